//! Which files published sets consist of, where those come from, and which of them are at hand. The sets themselves: [`super::sets`].

use std::path::{Path, PathBuf};

use super::sets::{self, Origin};
use crate::error::{Error, Result};

/// The digest of a published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256, hex.
    Sha256(&'static str),
    /// MD5, hex: all that the publisher gives.
    Md5(&'static str),
    /// None is published.
    Unknown,
}

/// A file (or folder) that holds parts of a set.
#[derive(Debug)]
pub struct SetFile {
    /// Where it may lie below the set's folder, under any of these names; the first is the published name.
    pub paths: &'static [&'static str],
    /// Its size, where known.
    pub bytes: Option<u64>,
    /// Its digest, where known.
    pub checksum: Checksum,
    /// Which of [`Set::parts`] it holds, as bits.
    pub holds: u16,
    /// True for the files that are published; the others are what one gets by unpacking them.
    pub published: bool,
}

/// A data set of the catalogue.
#[derive(Debug)]
pub struct Set {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Its folder below the data folder.
    pub folder: &'static str,
    /// What it consists of.
    pub parts: &'static [&'static str],
    /// All files that may hold them.
    pub files: &'static [SetFile],
    /// Addresses that serve the published files, tried in this order; each ends with '/'. Empty: by hand only.
    pub mirrors: &'static [&'static str],
    /// What to do by hand.
    pub steps: &'static str,
}

pub(super) const fn published(paths: &'static [&'static str], bytes: u64, checksum: Checksum, holds: u16) -> SetFile {
    SetFile { paths, bytes: Some(bytes), checksum, holds, published: true }
}

pub(super) const fn unpacked(paths: &'static [&'static str], bytes: u64, checksum: Checksum, holds: u16) -> SetFile {
    SetFile { paths, bytes: Some(bytes), checksum, holds, published: false }
}

pub(super) const fn archive(paths: &'static [&'static str], checksum: Checksum, holds: u16) -> SetFile {
    SetFile { paths, bytes: None, checksum, holds, published: true }
}

pub(super) const fn folder(paths: &'static [&'static str], holds: u16) -> SetFile {
    SetFile { paths, bytes: None, checksum: Checksum::Unknown, holds, published: false }
}

/// Every set that has files.
pub fn sets() -> impl Iterator<Item = &'static Set> {
    sets::ALL.into_iter().filter_map(|d| match d.origin {
        Origin::Published(set) => Some(set),
        _ => None,
    })
}

/// The set of that name.
///
/// # Errors
/// Usage for a name that has no files to list, fetch or check.
pub fn find(name: &str) -> Result<&'static Set> {
    let Some(set) = sets::ALL.into_iter().find(|d| d.name == name) else {
        return Err(super::name::unknown(name, &sets().map(|s| s.name).collect::<Vec<_>>()));
    };
    let what = match set.origin {
        Origin::Published(set) => return Ok(set),
        Origin::Drawn(_) => format!("the data set '{name}' is drawn by the program"),
        Origin::Own => format!("'{name}' is a folder of your own {}", set.samples()),
    };
    Err(Error::usage(format!("{what}: there are no files to fetch or check")))
}

impl SetFile {
    /// Where it lies below the set's folder, if it does.
    pub fn present(&self, folder: &Path) -> Option<PathBuf> {
        self.paths.iter().map(|p| folder.join(p)).find(|p| p.exists())
    }
}

impl Set {
    /// The first file at hand that holds part number `part`, by the order of [`Set::files`].
    pub fn locate(&self, folder: &Path, part: usize) -> Option<PathBuf> {
        self.files.iter().filter(|f| f.holds >> part & 1 == 1).find_map(|f| f.present(folder))
    }

    /// Names of the parts that no file at hand holds.
    pub fn missing_parts(&self, folder: &Path) -> Vec<&'static str> {
        (0..self.parts.len()).filter(|&p| self.locate(folder, p).is_none()).map(|p| self.parts[p]).collect()
    }

    /// The error for a set that is not, or not wholly, in `folder`.
    pub fn missing(&self, folder: &Path) -> Error {
        let parts = self.missing_parts(folder);
        let what = if parts.len() == self.parts.len() {
            format!("the data set {} is not there", self.name)
        } else {
            format!("the data set {} is incomplete; missing: {}", self.name, parts.join(", "))
        };
        let fetch = match self.mirrors {
            [] => self.steps.to_string(),
            _ => format!("spiketrain data download {}", self.name),
        };
        Error::usage(what).at(folder.display()).remedy(format!("{fetch}  (or name another folder with --data-dir or SPIKETRAIN_DATA)"))
    }
}
