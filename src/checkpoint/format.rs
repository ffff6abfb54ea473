//! The bytes of a checkpoint: written and read in the order of the table in the module above.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::{Checkpoint, Header, Tensor, TensorEntry};
use crate::error::{Error, Result};
use crate::limits;
use crate::storage::{CHUNK, Digest256, Draft, Published, Storage, write_atomically};

const MAGIC: &[u8; 8] = b"SPIKETRN";
const VERSION: u32 = 1;
/// Magic, version and header length.
const PREAMBLE: u64 = 20;
const DIGEST: u64 = size_of::<Digest256>() as u64;

/// Writes a checkpoint, whole or not at all. `values` is asked for one tensor after the other, in the header's order,
/// and may lend or make them; only one is held at a time.
///
/// Errors: Diverged if a value is not finite; Storage if the disk fails; Bug if the values do not fit the header. In
/// all cases the file that was at `path` is still there.
pub fn save<'a>(
    storage: &dyn Storage,
    path: &Path,
    header: &Header,
    mut values: impl FnMut(&TensorEntry) -> Result<Cow<'a, [f32]>>,
) -> Result<Published> {
    let json = serde_json::to_vec(header).map_err(|e| Error::bug(format!("checkpoint header: {e}")))?;
    check_entries(header).map_err(Error::bug)?;
    if json.len() as u64 > limits::MAX_CHECKPOINT_HEADER {
        return Err(Error::bug(format!("checkpoint header of {} bytes", json.len())));
    }
    write_atomically(storage, path, |draft| {
        draft.put(MAGIC)?;
        draft.put(&VERSION.to_le_bytes())?;
        draft.put(&(json.len() as u64).to_le_bytes())?;
        draft.put(&json)?;
        draft.put(&draft.digest_so_far())?;
        for entry in &header.tensors {
            let values = values(entry)?;
            if Some(values.len()) != entry.values() {
                return Err(Error::bug(format!("tensor '{}' {:?} came with {} values", entry.name, entry.shape, values.len())));
            }
            put_values(draft, entry, &values)?;
            draft.put(&draft.digest_so_far())?;
        }
        Ok(())
    })
}

fn put_values(draft: &mut Draft, entry: &TensorEntry, values: &[f32]) -> Result<()> {
    let mut bytes = vec![0; CHUNK.min(size_of_val(values))];
    for (i, chunk) in values.chunks(CHUNK / 4).enumerate() {
        if let Some((j, v)) = first_not_finite(chunk) {
            return Err(Error::diverged(format!("tensor '{}' is {v} at position {}", entry.name, i * (CHUNK / 4) + j)).remedy(
                "the last checkpoint before this is intact; start a new run with a lower --lr (--config takes the other options over)",
            ));
        }
        let bytes = &mut bytes[..size_of_val(chunk)];
        for (b, v) in bytes.as_chunks_mut().0.iter_mut().zip(chunk) {
            *b = v.to_le_bytes();
        }
        draft.put(bytes)?;
    }
    Ok(())
}

fn first_not_finite(values: &[f32]) -> Option<(usize, f32)> {
    // Without a way out of the loop it is compiled to wide instructions; the search is for the rare case.
    let all_finite = values.iter().fold(true, |all, v| all & v.is_finite());
    if all_finite { None } else { values.iter().copied().enumerate().find(|(_, v)| !v.is_finite()) }
}

/// Bounds and unique names; says what is wrong.
fn check_entries(header: &Header) -> std::result::Result<(), String> {
    let mut names = HashSet::new();
    for entry in &header.tensors {
        if entry.values().is_none_or(|n| n > limits::MAX_PARAMETERS) {
            return Err(format!("tensor '{}' of shape {:?} has more than {} values", entry.name, entry.shape, limits::MAX_PARAMETERS));
        }
        if !names.insert(&entry.name) {
            return Err(format!("two tensors are called '{}'", entry.name));
        }
    }
    Ok(())
}

/// A checkpoint being read: every byte that passes is counted and hashed.
struct Source<'p> {
    file: Box<dyn Read>,
    path: &'p Path,
    length: u64,
    at: u64,
    hasher: Sha256,
}

/// Reads and verifies a whole checkpoint: magic, version, lengths, digests, finite values, and that the file ends where
/// it should. Nothing is allocated that the bytes at hand do not cover.
pub fn load(storage: &dyn Storage, path: &Path) -> Result<Checkpoint> {
    let mut source = Source::open(storage, path)?;
    let header = source.header()?;
    let mut tensors = Vec::with_capacity(header.tensors.len());
    for entry in &header.tensors {
        let values = source.values(entry)?;
        source.digest(&format!("tensor '{}'", entry.name))?;
        tensors.push(Tensor { entry: entry.clone(), values });
    }
    Ok(Checkpoint { header, tensors })
}

impl<'p> Source<'p> {
    fn open(storage: &dyn Storage, path: &'p Path) -> Result<Self> {
        let (file, length) = storage.open(path).map_err(|e| Error::io(path, "opening", &e))?;
        Ok(Source { file, path, length, at: 0, hasher: Sha256::new() })
    }

    /// A Format error at byte `at`.
    fn wrong(&self, at: u64, what: impl std::fmt::Display) -> Error {
        Error::format(what).at(format!("{}: byte {at}", self.path.display()))
    }

    fn read(&mut self, into: &mut [u8]) -> Result<()> {
        self.file.read_exact(into).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => self.wrong(self.at, "the file ended while it was read"),
            _ => Error::io(self.path, "reading", &e),
        })?;
        self.hasher.update(&*into);
        self.at += into.len() as u64;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.read(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a digest and compares it with that of everything before.
    fn digest(&mut self, part: &str) -> Result<()> {
        let computed: Digest256 = self.hasher.clone().finalize().into();
        let place = self.at;
        if computed == self.array()? { Ok(()) } else { Err(self.wrong(place, format!("{part} is damaged (SHA-256 differs)"))) }
    }

    /// Everything up to the first tensor, and the length of the whole file.
    fn header(&mut self) -> Result<Header> {
        if self.length < PREAMBLE + DIGEST {
            return Err(self.wrong(self.length, format!("ends here, a checkpoint has {} bytes or more (cut off?)", PREAMBLE + DIGEST)));
        }
        if self.array()? != *MAGIC {
            return Err(self.wrong(0, "this is not a spiketrain checkpoint (it does not begin with SPIKETRN)"));
        }
        match u32::from_le_bytes(self.array()?) {
            VERSION => {}
            0 => return Err(self.wrong(8, "format version 0 does not exist (damaged?)")),
            newer => {
                let what = format!("format version {newer} was written by a newer spiketrain; this one reads version {VERSION}");
                return Err(self.wrong(8, what).remedy("update spiketrain"));
            }
        }
        let n = u64::from_le_bytes(self.array()?);
        let room = (self.length - PREAMBLE - DIGEST).min(limits::MAX_CHECKPOINT_HEADER);
        if n > room {
            return Err(self.wrong(12, format!("a header of {n} bytes is announced, there is room for {room} (cut off or damaged?)")));
        }
        let mut json = vec![0; n as usize];
        self.read(&mut json)?;
        self.digest("the header")?;
        let header: Header =
            serde_json::from_slice(&json).map_err(|e| self.wrong(PREAMBLE, format!("the header cannot be understood: {e}")))?;
        check_entries(&header).map_err(|what| self.wrong(PREAMBLE, what))?;
        self.check_length(&header)?;
        Ok(header)
    }

    fn check_length(&self, header: &Header) -> Result<()> {
        // check_entries has bounded each count, and MAX_CHECKPOINT_HEADER their number: u128 cannot overflow.
        let tensors: u128 = header.tensors.iter().map(|t| 4 * t.values().unwrap_or(0) as u128 + DIGEST as u128).sum();
        let expected = self.at as u128 + tensors;
        if self.length as u128 == expected {
            return Ok(());
        }
        let how = if (self.length as u128) < expected { "cut off" } else { "something was appended" };
        Err(self.wrong(self.length, format!("the file ends here, its header says {expected} bytes ({how})")))
    }

    fn values(&mut self, entry: &TensorEntry) -> Result<Vec<f32>> {
        let start = self.at;
        let count = entry.values().unwrap_or(0);
        let mut values = Vec::with_capacity(count);
        let mut bytes = vec![0; CHUNK.min(4 * count)];
        while values.len() < count {
            let n = (count - values.len()).min(CHUNK / 4);
            let bytes = &mut bytes[..4 * n];
            self.read(bytes)?;
            values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
        }
        if let Some((i, v)) = first_not_finite(&values) {
            return Err(self.wrong(start + 4 * i as u64, format!("tensor '{}' is {v} at position {i}", entry.name)));
        }
        Ok(values)
    }
}
