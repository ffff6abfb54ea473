//! Which files a set of recordings consists of, and what is in them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::supply::Item;
use crate::data::zip::Zip;
use crate::error::{Error, Result};
use crate::limits;
use crate::plural::counted_as;

/// Folders within folders: deeper ones belong to something else, or lead in a circle.
const DEPTH: usize = 4;

/// A file on the disk.
pub(super) struct Found {
    pub path: PathBuf,
    /// Its path below the set's folder.
    pub parts: Vec<String>,
    pub bytes: u64,
    /// When it was last changed, in ns.
    changed: u128,
}

/// Every file below `roots` (files or folders in `folder`), sorted; hidden ones are passed over.
pub(super) fn find(folder: &Path, roots: &[PathBuf]) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for root in roots {
        let parts = root.strip_prefix(folder).map_err(|_| Error::bug("a file outside its folder"))?;
        let parts = parts.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        walk(root.clone(), parts, &mut found)?;
    }
    found.sort_by(|a, b| a.parts.cmp(&b.parts));
    Ok(found)
}

fn walk(path: PathBuf, parts: Vec<String>, found: &mut Vec<Found>) -> Result<()> {
    let about = fs::metadata(&path).map_err(|e| Error::io(&path, "opening", &e))?;
    if about.is_file() {
        if found.len() == limits::MAX_RECORDINGS {
            return Err(Error::usage(format!("more than {} files", limits::MAX_RECORDINGS)).at(path.display()));
        }
        let changed = about.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
        found.push(Found { path, parts, bytes: about.len(), changed });
        return Ok(());
    }
    if !about.is_dir() || parts.len() >= DEPTH {
        return Ok(());
    }
    let failed = |e: std::io::Error| Error::io(&path, "listing the folder", &e);
    for entry in fs::read_dir(&path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if !name.as_encoded_bytes().starts_with(b".") {
            let mut parts = parts.clone();
            parts.push(name.to_string_lossy().into_owned());
            walk(path.join(name), parts, found)?;
        }
    }
    Ok(())
}

/// SHA-256 over `what` (the options that matter) and path, size and time of change of every file: a file that was replaced is read
/// anew even if it has its old size.
pub(super) fn key(what: &str, files: &[Found]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(what);
    for file in files {
        hash.update(format!("\n{:?} {} {}", file.parts, file.bytes, file.changed));
    }
    hash.finalize().into()
}

/// A recording (or a list beside recordings), on the disk or in a zip archive.
pub(super) struct Entry {
    /// First part of its file's path below the set's folder, without `.zip`.
    pub root: String,
    /// Its path, below the set's folder or in its archive.
    pub parts: Vec<String>,
    pub bytes: u64,
    pub item: Item,
}

impl Entry {
    /// Its name without the folders.
    pub fn name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The ending of its name, in lower case.
    pub fn ending(&self) -> String {
        self.name().rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_ascii_lowercase())
    }

    /// The folder it lies in.
    pub fn folder(&self) -> &str {
        self.parts.iter().rev().nth(1).map_or("", String::as_str)
    }
}

/// What the files hold, zip archives opened up.
pub(super) struct Listing {
    pub archives: Vec<PathBuf>,
    pub entries: Vec<Entry>,
    pub notes: Vec<String>,
}

/// Opens up `files`.
///
/// # Errors
/// Format: an archive is damaged, holds one member twice, or more than [`limits::MAX_ARCHIVE_BYTES`].
pub(super) fn list(files: Vec<Found>) -> Result<Listing> {
    let mut listing = Listing { archives: Vec::new(), entries: Vec::new(), notes: Vec::new() };
    for file in files {
        let first = file.parts.first().map_or("", String::as_str);
        if file.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("zip")) {
            let root = Path::new(first).file_stem().unwrap_or_default().to_string_lossy().into_owned();
            list_zip(&file.path, &root, &mut listing)?;
        } else {
            let (root, parts) = (first.to_string(), file.parts);
            listing.entries.push(Entry { root, parts, bytes: file.bytes, item: Item::File(file.path) });
        }
    }
    Ok(listing)
}

fn list_zip(path: &Path, root: &str, listing: &mut Listing) -> Result<()> {
    let zip = Zip::open(path)?;
    let archive = listing.archives.len();
    let mut strays = Strays::default();
    let (mut seen, mut bytes) = (HashSet::new(), 0u64);
    for (index, member) in zip.members().iter().enumerate() {
        let Some(parts) = strays.inside(&member.path) else { continue };
        if !member.is_file {
            strays.others += usize::from(!member.path.ends_with('/'));
            continue;
        }
        bytes = bytes.saturating_add(member.bytes);
        check_total(path, bytes)?;
        if !seen.insert(&member.path) {
            return Err(twice(path, &member.path));
        }
        listing.entries.push(Entry { root: root.to_string(), parts, bytes: member.bytes, item: Item::Member { archive, index } });
    }
    listing.archives.push(path.to_owned());
    listing.notes.extend(strays.note(path));
    Ok(())
}

/// The error for a member that an archive holds twice.
pub(super) fn twice(archive: &Path, member: &str) -> Error {
    Error::format("the archive holds this member twice").at(archive.join(member).display()).remedy("fetch the archive again")
}

/// Refuses an archive of which more comes out than any set has.
pub(super) fn check_total(archive: &Path, bytes: u64) -> Result<()> {
    if bytes <= limits::MAX_ARCHIVE_BYTES {
        return Ok(());
    }
    let what = format!("more than {} bytes come out of this archive", limits::MAX_ARCHIVE_BYTES);
    Err(Error::format(what).at(archive.display()).remedy("this is none of the known sets"))
}

/// Members of an archive that nothing is done with.
#[derive(Default)]
pub(super) struct Strays {
    /// Their path leads out of the archive.
    pub outside: usize,
    /// Links, devices, encrypted members.
    pub others: usize,
}

impl Strays {
    /// The parts of a member's path; `None`, and counted, if it leads out of the archive.
    pub fn inside(&mut self, path: &str) -> Option<Vec<String>> {
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
        if path.starts_with('/') || path.contains(['\\', ':', '\0']) || parts.contains(&"..") || parts.is_empty() {
            self.outside += 1;
            return None;
        }
        Some(parts.into_iter().map(String::from).collect())
    }

    pub fn note(&self, archive: &Path) -> Option<String> {
        (self.outside + self.others > 0).then(|| {
            let outside = counted_as(self.outside, "member whose path leads", "members whose path leads");
            let others = counted_as(self.others, "link or encrypted", "links or encrypted");
            format!("{}: passed over: {outside} out of the archive, {others}", archive.display())
        })
    }
}
