//! Prepared frames in one file, read by position.
//!
//! ```text
//! header   magic, version, key (SHA-256 of what the frames are made from, and how)
//! blocks   one per sample, in the order they were made: head (44 bytes), counts (see `block`)
//! index    one entry (48 bytes) per sample, train before test, each in its order
//! about    JSON: set, sensor, T, classes, digests
//! tail     lengths of index and about, CRC-32C of everything from the index on
//! ```
//!
//! The key, the index and what lies behind it are checked when the file is opened, a block whenever it is read. All numbers are
//! little-endian. [`part::Part`] is a file under construction, which can be taken up again after a crash; under its own name a
//! cache is always whole.

pub mod block;
pub mod part;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::DatasetName;
use crate::error::{Error, Kind, Result};
use crate::events::Sensor;
use crate::frames::{FrameSource, Quality, SplitBy, cells};
use crate::limits;
use crate::storage::Digest256;

/// First bytes of a cache, and the version of everything behind them.
const MAGIC: [u8; 12] = *b"STFRAMES\x02\0\0\0";
/// Magic and key.
const HEADER: usize = MAGIC.len() + 32;
/// Bytes of an entry of the index.
const ENTRY: usize = 48;
/// Bytes of the tail.
const TAIL: usize = 20;

/// What is true of all samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Which set.
    pub set: DatasetName,
    /// Width of the frames.
    pub width: u16,
    /// Height of the frames.
    pub height: u16,
    /// T.
    pub steps: usize,
    /// How recordings were cut.
    pub split_by: SplitBy,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Digest of which sample is in which split.
    pub split_hash: String,
    /// So many of the last samples that are not for the test are to choose the best epoch by.
    #[serde(default, skip_serializing_if = "is_none")]
    pub validation: usize,
    /// Digest of labels and counts.
    pub fingerprint: String,
    /// True if no camera saw it.
    pub simulated: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

fn is_none(samples: &usize) -> bool {
    *samples == 0
}

impl About {
    /// What batches and networks rely on. Checksums guard against accidents, not against whoever computes them anew.
    fn check(&self, entries: &[Entry]) -> std::result::Result<(), &'static str> {
        let side = 1..=limits::MAX_SIDE;
        if !(1..=limits::MAX_TIME_STEPS).contains(&self.steps) || !side.contains(&self.width.into()) || !side.contains(&self.height.into())
        {
            return Err("damaged: frames of this size are never made");
        }
        if self.classes.len() > limits::MAX_CLASSES || entries.iter().any(|e| usize::from(e.place.label) >= self.classes.len()) {
            return Err("damaged: a sample of a class that is not there");
        }
        Ok(())
    }
}

/// Where a sample comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into the classes.
    pub label: u16,
    /// For the test, not for training.
    pub test: bool,
}

/// What is known of a sample without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Label and split.
    pub place: Place,
    /// Its events, and what is wrong with them.
    pub quality: Quality,
    /// From the earliest to the latest event, in µs.
    pub duration: u64,
    /// Where its block's counts begin in the file.
    offset: u64,
    /// Their length.
    bytes: u32,
    /// Their CRC-32C.
    crc: u32,
}

/// An open cache.
pub struct Cache {
    path: PathBuf,
    file: File,
    about: About,
    entries: Vec<Entry>,
}

impl Cache {
    /// Opens the cache at `path`; `None` if there is none.
    ///
    /// # Errors
    /// Format: it was made from something else, or it is damaged; Storage: it cannot be read.
    pub fn open(path: &Path, key: &Digest256) -> Result<Option<Cache>> {
        let failed = |e: io::Error| Error::io(path, "reading", &e);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(path, "opening", &e)),
        };
        let length = file.metadata().map_err(failed)?.len();
        let bad = |what: &str| Error::format(what).at(path.display());
        if length < (HEADER + TAIL) as u64 {
            return Err(bad("too short to be a cache of frames"));
        }
        let mut header = [0; HEADER];
        read_at(&file, &mut header, 0).map_err(failed)?;
        if header[..MAGIC.len()] != MAGIC {
            return Err(bad("no cache of frames of this version"));
        }
        if header[MAGIC.len()..] != key[..] {
            return Err(bad("made from other recordings or with other options"));
        }
        let mut tail = [0; TAIL];
        read_at(&file, &mut tail, length - TAIL as u64).map_err(failed)?;
        let (index, about, crc) = (u64_at(&tail, 0), u64_at(&tail, 8), u32_at(&tail, 16));
        let behind = index.checked_add(about).filter(|&n| n <= length - (HEADER + TAIL) as u64);
        let Some(behind) = behind else { return Err(bad("damaged: the index is longer than the file")) };
        let mut bytes = vec![0; behind as usize];
        read_at(&file, &mut bytes, length - TAIL as u64 - behind).map_err(failed)?;
        if crc32c::crc32c_append(crc32c::crc32c(&bytes), &tail[..16]) != crc {
            return Err(bad("damaged: the checksum of the index is another one"));
        }
        let (index, about) = bytes.split_at(index as usize);
        let about: About = serde_json::from_slice(about).map_err(|e| bad(&format!("damaged: {e}")))?;
        let entries: Vec<Entry> = index.chunks_exact(ENTRY).map(Entry::from_bytes).collect();
        about.check(&entries).map_err(bad)?;
        Ok(Some(Cache { path: path.to_owned(), file, about, entries }))
    }

    /// What is true of all samples.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Size of the frames.
    pub fn sensor(&self) -> Sensor {
        Sensor { width: self.about.width, height: self.about.height }
    }

    /// `[N]`, train before test.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every block and compares its checksum.
    ///
    /// # Errors
    /// Format: one is damaged, and the file was set aside; Storage: it cannot be read.
    pub fn verify(&self) -> Result<()> {
        (0..self.entries.len()).into_par_iter().try_for_each(|index| self.block(index).map(|_| ()))
    }

    /// The bytes of a block, as they were written.
    fn block(&self, index: usize) -> Result<Vec<u8>> {
        let Some(entry) = self.entries.get(index) else {
            return Err(Error::bug(format!("sample {index} of a cache of {}", self.entries.len())));
        };
        if entry.bytes as usize > block::max_bytes(cells(self.sensor(), self.about.steps)) {
            return Err(self.damaged(index));
        }
        let mut bytes = vec![0; entry.bytes as usize];
        match read_at(&self.file, &mut bytes, entry.offset) {
            // Behind the end, or where no file can have an end.
            Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidInput) => return Err(self.damaged(index)),
            read => read.map_err(|e| Error::io(&self.path, "reading", &e))?,
        }
        if crc32c::crc32c(&bytes) == entry.crc { Ok(bytes) } else { Err(self.damaged(index)) }
    }

    /// Takes the file out of the way, so that it is built anew, and says so.
    fn damaged(&self, index: usize) -> Error {
        let what = format!("the frames of sample {index} are damaged on the disk");
        let err = Error::format(what).at(self.path.display());
        match fs::rename(&self.path, aside(&self.path)) {
            // Another thread may have been faster.
            Err(e) if e.kind() != ErrorKind::NotFound => err.remedy("remove this file, and run the same command again: it builds it anew"),
            _ => err.remedy("run the same command again: it builds the frames anew; then check the disk"),
        }
    }
}

impl FrameSource for Cache {
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()> {
        let expected = cells(self.sensor(), self.about.steps);
        if counts.len() != expected {
            return Err(Error::bug(format!("expected room for {expected} counts, found {}", counts.len())));
        }
        block::decode(&self.block(index)?, counts).ok_or_else(|| self.damaged(index))
    }
}

/// Where a damaged cache goes.
fn aside(path: &Path) -> PathBuf {
    path.with_added_extension("damaged")
}

/// Whether there is a cache that was found damaged; it is removed.
///
/// # Errors
/// Storage: it cannot be removed.
pub fn take_damaged(path: &Path) -> Result<bool> {
    match fs::remove_file(aside(path)) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(&aside(path), "removing", &e)),
    }
}

/// Whether a cache could be read but must not be trusted.
pub fn is_distrust(e: &Error) -> bool {
    e.kind == Kind::Format
}

impl Entry {
    fn to_bytes(self) -> [u8; ENTRY] {
        let mut out = [0; ENTRY];
        out[..8].copy_from_slice(&self.offset.to_le_bytes());
        out[8..12].copy_from_slice(&self.bytes.to_le_bytes());
        out[12..16].copy_from_slice(&self.crc.to_le_bytes());
        out[16..18].copy_from_slice(&self.place.label.to_le_bytes());
        out[18] = u8::from(self.place.test);
        out[20..48].copy_from_slice(&facts_to_bytes(self.quality, self.duration));
        out
    }

    fn from_bytes(b: &[u8]) -> Entry {
        let (quality, duration) = facts_from_bytes(&b[20..48]);
        Entry {
            offset: u64_at(b, 0),
            bytes: u32_at(b, 8),
            crc: u32_at(b, 12),
            place: Place { label: u16::from_le_bytes([b[16], b[17]]), test: b[18] != 0 },
            quality,
            duration,
        }
    }
}

/// Bytes of [`facts_to_bytes`].
const FACTS: usize = 28;

/// Five counts of 32 bits (a recording of `MAX_RECORDING_BYTES` has fewer events) and the duration.
fn facts_to_bytes(q: Quality, duration: u64) -> [u8; FACTS] {
    let mut out = [0; FACTS];
    for (at, n) in [q.events, q.out_of_range, q.misplaced, q.invalid, q.empty_frames].into_iter().enumerate() {
        out[4 * at..4 * at + 4].copy_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
    }
    out[20..].copy_from_slice(&duration.to_le_bytes());
    out
}

fn facts_from_bytes(b: &[u8]) -> (Quality, u64) {
    let n = |at| u64::from(u32_at(b, at));
    (Quality { events: n(0), out_of_range: n(4), misplaced: n(8), invalid: n(12), empty_frames: n(16) }, u64_at(b, 20))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Fills `buffer` from `offset` on, without a cursor that threads would have to share.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut buffer[done..], offset + done as u64)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                n => done += n,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
