//! Which files published sets consist of, where those come from, and which of them are at hand. The sets themselves: [`super::sets`].

use std::fs;
use std::path::{Path, PathBuf};

use super::sets::{self, Origin};
use super::zip::Zip;
use crate::error::{Error, Result};
use crate::plural::counted;

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
    /// How many recordings each part has as published, and how their names end; empty: a part is one file.
    pub recordings: &'static [(usize, &'static str)],
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

/// Folders within folders that are looked into.
const DEPTH: usize = 4;

/// The files in a folder or zip archive whose names end in `.ending`; `None` for other files.
fn recordings_in(path: &Path, ending: &str) -> Result<Option<usize>> {
    let is_one = |path: &Path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    if path.is_dir() {
        return count(path, &is_one, DEPTH).map(Some).map_err(|e| Error::io(path, "listing the folder", &e));
    }
    if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) {
        return Ok(None);
    }
    let members = Zip::open(path)?;
    Ok(Some(members.members().iter().filter(|m| m.is_file && is_one(Path::new(&m.path))).count()))
}

fn count(folder: &Path, is_one: &dyn Fn(&Path) -> bool, depth: usize) -> std::io::Result<usize> {
    let mut found = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if is_one(&path) {
            found += 1;
        } else if depth > 0 && path.is_dir() {
            found += count(&path, is_one, depth - 1)?;
        }
    }
    Ok(found)
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

    /// What the parts at hand lack of what is published, part by part: recordings in folders and zip archives are counted, files compared
    /// by their size. Only a checksum ([`Set::verify`]) knows more.
    ///
    /// # Errors
    /// Format, Storage: a folder or an archive cannot be read.
    pub fn shortcomings(&self, folder: &Path) -> Result<Vec<String>> {
        let mut short = Vec::new();
        for (part, name) in self.parts.iter().enumerate() {
            let Some(path) = self.locate(folder, part) else { continue };
            if let Some((expected, ending)) = self.recordings.get(part) {
                let found = recordings_in(&path, ending)?;
                short.extend(found.filter(|n| n != expected).map(|n| format!("{name}: {n} of {}", counted(*expected, "recording"))));
                continue;
            }
            let found = fs::metadata(&path).map_err(|e| Error::io(&path, "opening", &e))?.len();
            let known: Vec<u64> = self.files.iter().filter(|f| f.holds >> part & 1 == 1).filter_map(|f| f.bytes).collect();
            if !known.is_empty() && !known.contains(&found) {
                short.push(format!("{name}: {} has {found} bytes, not as published", path.strip_prefix(folder).unwrap_or(&path).display()));
            }
        }
        Ok(short)
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
