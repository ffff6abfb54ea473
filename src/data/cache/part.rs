//! A cache under construction.
//!
//! Samples are appended in a given order, some megabytes at a time, each batch synced, so that a crash or a full disk loses
//! a batch at most. Taken up again, every block that is there is checked, the file is cut behind the last good one of a whole
//! recording, and the work goes on from there: the finished file has the same bytes as one built without a stop.

use std::fs::OpenOptions;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{About, Cache, Entry, FACTS, HEADER, MAGIC, Place, block, facts_from_bytes, facts_to_bytes, u32_at};
use crate::data::hex;
use crate::error::{Error, Result};
use crate::frames::Quality;
use crate::storage::{CHUNK, Digest256, Storage, folder_of, remove_if_there};

/// Bytes of a block's head: sample, length, CRC-32C of the counts, facts, CRC-32C of the head.
const HEAD: usize = 16 + FACTS;
/// Of them, those that the second checksum covers.
const COVERED: usize = 12 + FACTS;
/// Bytes collected before they go to the disk and are synced.
const BATCH: usize = 16 << 20;

/// One sample, ready to be appended.
pub struct Block {
    sample: u32,
    quality: Quality,
    duration: u64,
    /// [`block::encode`]d.
    counts: Vec<u8>,
}

impl Block {
    /// Encodes the counts of sample number `sample`; duration in µs.
    pub fn new(sample: u32, counts: &[u16], quality: Quality, duration: u64) -> Block {
        let mut bytes = Vec::with_capacity(counts.len() / 4);
        block::encode(counts, &mut bytes);
        Block { sample, quality, duration, counts: bytes }
    }

    /// The counts of so many cells, as they were given.
    pub fn decoded(&self, cells: usize) -> Option<Vec<u16>> {
        let mut counts = vec![0; cells];
        block::decode(&self.counts, &mut counts).map(|()| counts)
    }

    /// What it takes of the file.
    pub fn bytes(&self) -> u64 {
        (HEAD + self.counts.len()) as u64
    }

    fn head(&self) -> [u8; HEAD] {
        let mut out = [0; HEAD];
        out[..4].copy_from_slice(&self.sample.to_le_bytes());
        out[4..8].copy_from_slice(&(self.counts.len() as u32).to_le_bytes());
        out[8..12].copy_from_slice(&crc32c::crc32c(&self.counts).to_le_bytes());
        out[12..COVERED].copy_from_slice(&facts_to_bytes(self.quality, self.duration));
        let crc = crc32c::crc32c(&out[..COVERED]);
        out[COVERED..].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

/// A block that is in the file.
#[derive(Clone, Copy)]
struct Written {
    sample: u32,
    /// Where its counts begin.
    offset: u64,
    bytes: u32,
    crc: u32,
    quality: Quality,
    duration: u64,
}

/// The file on its way to `target`. Hold the folder's lock while it lives.
pub struct Part<'s> {
    storage: &'s dyn Storage,
    path: PathBuf,
    target: PathBuf,
    key: Digest256,
    written: Vec<Written>,
    /// Bytes of the file and of the batch.
    length: u64,
    batch: Vec<u8>,
}

impl<'s> Part<'s> {
    /// Begins `target`.part, or takes it up: `recordings` lists the samples of each recording in the order they are to come, of
    /// `cells` counts each. Gives also how many recordings are there already.
    ///
    /// # Errors
    /// Storage: it cannot be read, made or cut.
    pub fn begin(storage: &'s dyn Storage, target: &Path, key: Digest256, cells: usize, recordings: &[Vec<u32>]) -> Result<(Self, usize)> {
        let path = target.with_added_extension("part");
        let mut part = Part { storage, path, target: target.to_owned(), key, written: Vec::new(), length: 0, batch: Vec::new() };
        let found = part.scan(cells)?;
        if let Some(blocks) = found {
            let mut samples = blocks.iter().map(|b| b.sample);
            let whole = recordings.iter().take_while(|r| r.iter().all(|s| samples.next() == Some(*s))).count();
            part.written = blocks;
            part.written.truncate(recordings[..whole].iter().map(Vec::len).sum());
            part.length = part.written.last().map_or(HEADER as u64, |w| w.offset + u64::from(w.bytes));
            part.cut()?;
            return Ok((part, whole));
        }
        remove_if_there(storage, &part.path)?;
        part.length = HEADER as u64;
        part.batch.extend_from_slice(&MAGIC);
        part.batch.extend_from_slice(&key);
        part.flush()?;
        Ok((part, 0))
    }

    /// The good blocks of a part that is there, up to the first bad one; `None` if there is no part of this key.
    fn scan(&self, cells: usize) -> Result<Option<Vec<Written>>> {
        let file = match self.storage.open(&self.path) {
            Ok((file, _)) => file,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&self.path, "opening", &e)),
        };
        scan(BufReader::with_capacity(CHUNK, file), &self.key, block::max_bytes(cells)).map_err(|e| Error::io(&self.path, "reading", &e))
    }

    fn cut(&self) -> Result<()> {
        // The trait has no such operation: nothing else ever shortens a file.
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|f| f.set_len(self.length)).map_err(|e| Error::io(&self.path, "cutting", &e))
    }

    /// Appends the samples of one recording.
    ///
    /// # Errors
    /// Storage: the file cannot be written. What was there before stays, and can be taken up.
    pub fn put(&mut self, blocks: &[Block]) -> Result<()> {
        for block in blocks {
            let head = block.head();
            self.batch.extend_from_slice(&head);
            self.batch.extend_from_slice(&block.counts);
            self.written.push(Written {
                sample: block.sample,
                offset: self.length + HEAD as u64,
                bytes: block.counts.len() as u32,
                crc: u32_at(&head, 8),
                quality: block.quality,
                duration: block.duration,
            });
            self.length += (HEAD + block.counts.len()) as u64;
        }
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Brings what was put to the disk.
    ///
    /// # Errors
    /// As [`Part::put`].
    pub fn flush(&mut self) -> Result<()> {
        if !self.batch.is_empty() {
            self.storage.append(&self.path, &self.batch).map_err(|e| Error::io(&self.path, "writing", &e))?;
            self.batch.clear();
        }
        Ok(())
    }

    /// Writes the index, checks it, and puts the file under its own name. `places` has label and split of every sample; the
    /// fingerprint in `about` is filled in.
    ///
    /// # Errors
    /// Storage as [`Part::put`]; Bug: a sample is missing.
    pub fn finish(mut self, mut about: About, places: &[Place]) -> Result<Cache> {
        self.written.sort_by_key(|w| w.sample);
        if self.written.len() != places.len() || !self.written.iter().zip(0..).all(|(w, i)| w.sample == i) {
            return Err(Error::bug(format!("{} samples written of {}", self.written.len(), places.len())));
        }
        let entries: Vec<Entry> = self.written.iter().zip(places).map(|(w, place)| w.entry(*place)).collect();
        about.fingerprint = fingerprint(&about, &entries);
        let mut end: Vec<u8> = entries.iter().flat_map(|e| e.to_bytes()).collect();
        let index = end.len() as u64;
        serde_json::to_writer(&mut end, &about).map_err(Error::bug)?;
        let text = end.len() as u64 - index;
        end.extend_from_slice(&index.to_le_bytes());
        end.extend_from_slice(&text.to_le_bytes());
        end.extend_from_slice(&crc32c::crc32c(&end).to_le_bytes());
        self.batch.extend_from_slice(&end);
        self.flush()?;
        if Cache::open(&self.path, &self.key)?.is_none() {
            return Err(Error::storage("the file is gone").at(self.path.display()));
        }
        let failed = |doing: &str, e: &io::Error| Error::io(&self.target, doing, e);
        self.storage.rename(&self.path, &self.target).map_err(|e| failed("renaming", &e))?;
        self.storage.sync_folder(folder_of(&self.target)).map_err(|e| failed("syncing the folder", &e))?;
        Cache::open(&self.target, &self.key)?.ok_or_else(|| Error::storage("the file is gone").at(self.target.display()))
    }
}

impl Written {
    fn entry(&self, place: Place) -> Entry {
        Entry { place, quality: self.quality, duration: self.duration, offset: self.offset, bytes: self.bytes, crc: self.crc }
    }
}

/// SHA-256 over everything a network gets to see, the counts by their checksums.
fn fingerprint(about: &About, entries: &[Entry]) -> String {
    let mut hash = Sha256::new();
    let About { set, width, height, steps, split_by, classes, .. } = about;
    hash.update(format!("{set} {width}x{height} T={steps} {} {classes:?}\n", split_by.name()));
    for e in entries {
        hash.update(e.place.label.to_le_bytes());
        hash.update([u8::from(e.place.test)]);
        hash.update(e.bytes.to_le_bytes());
        hash.update(e.crc.to_le_bytes());
    }
    hex(&hash.finalize())
}

/// Reads blocks until one is not whole or not good.
fn scan(mut file: impl Read, key: &Digest256, max: usize) -> io::Result<Option<Vec<Written>>> {
    let mut header = [0; HEADER];
    if !fill(&mut file, &mut header)? || header[..MAGIC.len()] != MAGIC || header[MAGIC.len()..] != key[..] {
        return Ok(None);
    }
    let (mut written, mut offset) = (Vec::new(), HEADER as u64);
    let (mut head, mut counts) = ([0; HEAD], Vec::new());
    while fill(&mut file, &mut head)? && crc32c::crc32c(&head[..COVERED]) == u32_at(&head, COVERED) {
        let (sample, bytes, crc) = (u32_at(&head, 0), u32_at(&head, 4), u32_at(&head, 8));
        if bytes as usize > max {
            break;
        }
        counts.resize(bytes as usize, 0);
        if !fill(&mut file, &mut counts)? || crc32c::crc32c(&counts) != crc {
            break;
        }
        let (quality, duration) = facts_from_bytes(&head[12..COVERED]);
        offset += HEAD as u64;
        written.push(Written { sample, offset, bytes, crc, quality, duration });
        offset += u64::from(bytes);
    }
    Ok(Some(written))
}

/// Fills the buffer; false if the file ends before it is full.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}
