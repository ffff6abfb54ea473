//! The bytes of recordings, one after the other: from files, from zip archives, from a .tar.gz.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::listing::{Strays, check_total, twice};
use crate::data::source::{Capped, gzip_error, open};
use crate::data::verify::{Doing, Observer};
use crate::data::zip::Zip;
use crate::error::{Error, Result};
use crate::limits;
use crate::storage::CHUNK;

/// Where one recording lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A file.
    File(PathBuf),
    /// A member of a zip archive.
    Member {
        /// Which archive of the supply.
        archive: usize,
        /// Which of its members.
        index: usize,
    },
}

/// All recordings of a set, in a fixed order.
pub(super) enum Supply {
    /// Files and members of zip archives.
    Items { archives: Vec<PathBuf>, items: Vec<Item> },
    /// Members of a .tar.gz, in the order of the archive.
    Tar { path: PathBuf, members: Vec<String> },
}

/// Who takes recordings: (number, bytes) to whether there should be more.
pub(super) type Take<'a> = &'a mut dyn FnMut(usize, Vec<u8>) -> bool;

impl Supply {
    /// Gives recording number `from` and those behind it to `take`, in order.
    ///
    /// # Errors
    /// Format or Storage: the next recording cannot be had.
    pub fn each(&self, from: usize, take: Take) -> Result<()> {
        match self {
            Supply::Items { archives, items } => {
                let mut opened: Option<(usize, Zip)> = None;
                for (i, item) in items.iter().enumerate().skip(from) {
                    if !take(i, read(item, archives, &mut opened)?) {
                        break;
                    }
                }
                Ok(())
            }
            Supply::Tar { path, members } => each_in_tar(path, members, from, take),
        }
    }
}

/// The bytes of one item; `opened` is the archive that was read last.
pub(super) fn read(item: &Item, archives: &[PathBuf], opened: &mut Option<(usize, Zip)>) -> Result<Vec<u8>> {
    let (archive, index) = match item {
        Item::File(path) => return read_file(path, limits::MAX_RECORDING_BYTES),
        Item::Member { archive, index } => (*archive, *index),
    };
    if opened.as_ref().is_none_or(|(which, _)| *which != archive) {
        *opened = Some((archive, Zip::open(&archives[archive])?));
    }
    match opened {
        Some((_, zip)) => zip.read(index, limits::MAX_RECORDING_BYTES),
        None => Err(Error::bug("no archive")),
    }
}

/// A whole file of `cap` bytes at most.
pub(super) fn read_file(path: &Path, cap: u64) -> Result<Vec<u8>> {
    let failed = |e: io::Error| Error::io(path, "reading", &e);
    let file = open(path)?;
    let expected = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::with_capacity(expected.min(cap) as usize + 1);
    file.take(cap + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > cap {
        let what = format!("expected {cap} bytes at most, found {}", expected.max(cap + 1));
        return Err(Error::format(what).at(path.display()).remedy("cut the recording into shorter ones"));
    }
    Ok(bytes)
}

/// A recording in a .tar.gz.
pub(super) struct InTar {
    /// Its path in the archive.
    pub path: String,
    pub bytes: u64,
}

/// What is in a .tar.gz: its recordings in order, and the content of its text files by name.
#[derive(Default)]
pub(super) struct TarList {
    pub recordings: Vec<InTar>,
    /// Lists and labels, by the last part of their path.
    pub texts: HashMap<String, Vec<u8>>,
    pub notes: Vec<String>,
}

/// Reads through the archive, for files with one of the endings of recordings and of texts.
///
/// # Errors
/// Format: it is damaged, holds a name twice, or too much.
pub(super) fn list_tar(path: &Path, [recordings, texts]: [&[&str]; 2], watch: &mut dyn Observer) -> Result<TarList> {
    let mut list = TarList::default();
    let (mut strays, mut names) = (Strays::default(), std::collections::HashSet::new());
    let bytes = std::fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?.len();
    watch.begin(Doing::Listing, &path.file_name().unwrap_or_default().to_string_lossy(), 0, bytes);
    walk_tar(path, |member, parts, entry, packed| {
        watch.advance(packed);
        let Some(parts) = strays.inside(member).filter(|_| parts) else {
            strays.others += usize::from(!parts);
            return Ok(true);
        };
        let name = parts[parts.len() - 1].clone();
        let bytes = entry.size();
        let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
        let recording = recordings.contains(&ending);
        if !recording && !texts.contains(&ending) {
            return Ok(true);
        }
        if !names.insert(name.clone()) {
            return Err(twice(path, member));
        }
        if recording {
            list.recordings.push(InTar { path: member.to_string(), bytes });
        } else {
            list.texts.insert(name, read_entry(path, member, entry, limits::MAX_TEXT_BYTES)?);
        }
        Ok(true)
    })?;
    list.notes.extend(strays.note(path));
    Ok(list)
}

fn each_in_tar(path: &Path, members: &[String], from: usize, take: Take) -> Result<()> {
    let mut next = from;
    if next == members.len() {
        return Ok(());
    }
    walk_tar(path, |member, is_file, entry, _| {
        // In the order in which they were listed: the key has the archive's time of change, so it is the same archive.
        if !is_file || member != members[next] {
            return Ok(true);
        }
        let bytes = read_entry(path, member, entry, limits::MAX_RECORDING_BYTES)?;
        next += 1;
        Ok(take(next - 1, bytes) && next < members.len())
    })
}

type TarEntry<'a> = tar::Entry<'a, Capped<MultiGzDecoder<BufReader<Counted>>>>;

/// Shows every member that is no folder, until `see` has seen enough: its path, whether it is a file, its content, and how many bytes
/// of the archive were read.
fn walk_tar(path: &Path, mut see: impl FnMut(&str, bool, &mut TarEntry, u64) -> Result<bool>) -> Result<()> {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let file = BufReader::with_capacity(CHUNK, Counted { file: open(path)?, count: count.clone() });
    let mut archive = tar::Archive::new(Capped { inner: MultiGzDecoder::new(file), left: limits::MAX_ARCHIVE_BYTES });
    let broken = |e: io::Error| tar_error(path, &e);
    let mut total = 0u64;
    // Raw: no long names or sparse files, whose handling would read what the archive says into memory.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        total = total.saturating_add(entry.size());
        check_total(path, total)?;
        if kind.is_dir() || kind.is_pax_global_extensions() || kind.is_pax_local_extensions() {
            continue;
        }
        let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !see(&member, kind.is_file(), &mut entry, count.load(std::sync::atomic::Ordering::Relaxed))? {
            return Ok(());
        }
    }
    // The tar reader stops at the end mark; only what lies behind it tells whether gzip's own checksum holds.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    Ok(())
}

fn read_entry(archive: &Path, member: &str, entry: &mut TarEntry, cap: u64) -> Result<Vec<u8>> {
    let place = archive.join(member);
    let announced = entry.size();
    if announced > cap {
        return Err(Error::format(format!("expected {cap} bytes at most, found {announced}")).at(place.display()));
    }
    // Nothing is reserved for what is only announced: the archive may end before.
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(|e| tar_error(archive, &e))?;
    if bytes.len() as u64 != announced {
        let what = format!("expected {announced} bytes, found {}: cut off", bytes.len());
        return Err(Error::format(what).at(place.display()).remedy("fetch the archive again"));
    }
    Ok(bytes)
}

/// Errors of the tar reader: those of the archive's structure come as kind Other.
fn tar_error(path: &Path, e: &io::Error) -> Error {
    let err = match e.kind() {
        io::ErrorKind::Other => Error::format(format!("expected a tar archive, found: {e}")).at(path.display()),
        _ => gzip_error(path, None, e),
    };
    if err.kind == crate::error::Kind::Format { err.remedy("the archive is damaged or cut off: fetch it again") } else { err }
}

/// A file that says how far it was read.
struct Counted {
    file: File,
    count: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.count.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(n)
    }
}
