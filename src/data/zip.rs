//! Zip archives, read in place: the list of members and one member at a time.
//!
//! (PKWARE's APPNOTE.TXT 6.3: end record 4.3.16, its 64-bit form 4.3.14, central directory 4.3.12, local header 4.3.7.) Written here
//! because the maps of names that libraries keep hide members of one name, which we refuse. Nothing is ever written to a path that
//! an archive names.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::source::open;
use crate::error::{Error, Result};
use crate::limits;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
/// Bytes of the fixed parts of these records.
const LOCAL_BYTES: usize = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;
const LOCATOR_BYTES: usize = 20;
/// Said of every malformed archive.
const REMEDY: &str = "the archive is damaged or cut off: fetch it again";

/// A member as the central directory has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its path, as it is written there; bytes that are not UTF-8 replaced.
    pub path: String,
    /// Length, unpacked, as announced.
    pub bytes: u64,
    /// False for folders, links and encrypted members.
    pub is_file: bool,
    method: u16,
    crc: u32,
    packed: u64,
    offset: u64,
}

/// An open archive.
pub struct Zip {
    path: PathBuf,
    file: BufReader<File>,
    /// Of the archive, in bytes.
    length: u64,
    members: Vec<Member>,
}

impl Zip {
    /// Reads the list of members.
    ///
    /// # Errors
    /// Format: this is no whole zip archive; Storage: it cannot be read.
    pub fn open(path: &Path) -> Result<Zip> {
        let mut file = BufReader::new(open(path)?);
        let failed = |e: io::Error| Error::io(path, "reading", &e);
        let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
        // A comment of 65,535 bytes at most may follow the end record.
        let tail_at = length.saturating_sub((END_BYTES + LOCATOR_BYTES + 65_535) as u64);
        file.seek(SeekFrom::Start(tail_at)).map_err(failed)?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail).map_err(failed)?;
        let bad = |what: &str| Error::format(what).at(path.display()).remedy(REMEDY);
        let end = (0..=tail.len().saturating_sub(END_BYTES)).rev().find(|&at| at + END_BYTES <= tail.len() && u32_at(&tail, at) == END);
        let Some(end) = end else { return Err(bad("expected a zip archive, found no end record")) };
        let (mut count, mut size, mut start) =
            (u64::from(u16_at(&tail, end + 10)), u64::from(u32_at(&tail, end + 12)), u64::from(u32_at(&tail, end + 16)));
        if end >= LOCATOR_BYTES && u32_at(&tail, end - LOCATOR_BYTES) == LOCATOR_64 {
            let mut record = [0; 56];
            let at = SeekFrom::Start(u64_at(&tail, end - LOCATOR_BYTES + 8));
            file.seek(at).and_then(|_| file.read_exact(&mut record)).map_err(|_| bad("the 64-bit end record lies outside the archive"))?;
            if u32_at(&record, 0) != END_64 {
                return Err(bad("there is no 64-bit end record where it should be"));
            }
            (count, size, start) = (u64_at(&record, 32), u64_at(&record, 40), u64_at(&record, 48));
        }
        if start.checked_add(size).is_none_or(|behind| behind > length) {
            return Err(bad(&format!("the list of members ends {} bytes behind the archive", start.saturating_add(size) - length)));
        }
        if size > limits::MAX_ZIP_LIST {
            return Err(bad(&format!("expected a list of members of {} bytes at most, found {size}", limits::MAX_ZIP_LIST)));
        }
        let mut list = vec![0; size as usize];
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut list)).map_err(failed)?;
        let members = members(&list).filter(|m| m.len() as u64 == count);
        let members = members.ok_or_else(|| bad(&format!("the list of {count} members is not what its lengths say")))?;
        if overlap(&members, start) {
            return Err(bad("two members, or a member and the list of them, share bytes of the archive"));
        }
        Ok(Zip { path: path.to_owned(), file, length, members })
    }

    /// In the order of the central directory.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Unpacks one member; no more than `cap` bytes come out.
    ///
    /// # Errors
    /// Format: it is longer than `cap`, not as long as announced, damaged, or packed in another way than stored or deflated.
    pub fn read(&mut self, index: usize, cap: u64) -> Result<Vec<u8>> {
        let Some(member) = self.members.get(index).cloned() else {
            return Err(Error::bug(format!("member {index} of an archive of {}", self.members.len())));
        };
        let place = self.path.join(&member.path);
        let bad = |what: String| Error::format(what).at(place.display()).remedy(REMEDY);
        if member.bytes > cap {
            return Err(bad(format!("expected {cap} bytes at most, found {}", member.bytes)));
        }
        let mut head = [0; LOCAL_BYTES];
        let at_head = self.file.seek(SeekFrom::Start(member.offset)).and_then(|_| self.file.read_exact(&mut head));
        if at_head.is_err() || u32_at(&head, 0) != LOCAL {
            return Err(bad(format!("byte {} of the archive is not where a member begins", member.offset)));
        }
        let skip = i64::from(u16_at(&head, 26)) + i64::from(u16_at(&head, 28));
        self.file.seek_relative(skip).map_err(|e| Error::io(&self.path, "reading", &e))?;
        let packed = self.file.by_ref().take(member.packed);
        // What is packed as tightly as recordings usually are gets its memory at once; more is only believed as it comes out.
        let there = member.packed.min(self.length.saturating_sub(member.offset));
        // One byte more than announced, to see whether there is more.
        let mut bytes = Vec::with_capacity(member.bytes.min(4 * there) as usize + 1);
        let read = match member.method {
            0 => packed.take(member.bytes + 1).read_to_end(&mut bytes),
            8 => DeflateDecoder::new(packed).take(member.bytes + 1).read_to_end(&mut bytes),
            other => return Err(bad(format!("expected a member stored or deflated, found method {other}")).remedy("pack it as usual")),
        };
        match read {
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof) => {
                return Err(bad(format!("the packed data is damaged ({e})")));
            }
            Err(e) => return Err(Error::io(&self.path, "reading", &e)),
            Ok(_) if bytes.len() as u64 != member.bytes => {
                let more = if bytes.len() as u64 > member.bytes { " or more" } else { "" };
                return Err(bad(format!("expected {} bytes, found {}{more}", member.bytes, bytes.len())));
            }
            Ok(_) => {}
        }
        let mut crc = Crc::new();
        crc.update(&bytes);
        if crc.sum() != member.crc {
            return Err(bad(format!("expected CRC-32 {:08x}, found {:08x}", member.crc, crc.sum())));
        }
        Ok(bytes)
    }
}

/// The entries of a central directory; `None` if its lengths do not fit together.
fn members(list: &[u8]) -> Option<Vec<Member>> {
    let (mut members, mut rest) = (Vec::with_capacity(list.len() / CENTRAL_BYTES), list);
    while !rest.is_empty() && rest.get(..4)? == CENTRAL.to_le_bytes() {
        let (head, behind) = rest.split_at_checked(CENTRAL_BYTES)?;
        let (name, behind) = behind.split_at_checked(u16_at(head, 28).into())?;
        let (extra, behind) = behind.split_at_checked(u16_at(head, 30).into())?;
        rest = behind.get(usize::from(u16_at(head, 32))..)?;
        let [mut packed, mut bytes, mut offset] = [20, 24, 42].map(|at| u64::from(u32_at(head, at)));
        // What does not fit into 32 bits stands in the extra field 1, in this order.
        let mut large = field(extra, 1).unwrap_or(&[]).chunks_exact(8).map(|b| u64_at(b, 0));
        for value in [&mut bytes, &mut packed, &mut offset] {
            if *value == u64::from(u32::MAX) {
                *value = large.next()?;
            }
        }
        let path = String::from_utf8_lossy(name).into_owned();
        // Made on Unix (3): the upper half of the attributes is the mode, 0o120000 of it a link.
        let link = head[5] == 3 && u32_at(head, 38) >> 16 & 0o170_000 == 0o120_000;
        let encrypted = u16_at(head, 8) & 1 == 1;
        let is_file = !path.ends_with('/') && !link && !encrypted;
        members.push(Member { path, bytes, is_file, method: u16_at(head, 10), crc: u32_at(head, 16), packed, offset });
    }
    Some(members)
}

/// Whether bytes of the archive are unpacked for two members (so a small archive becomes as large as its maker likes), or are behind
/// `start`, where the list begins.
fn overlap(members: &[Member], start: u64) -> bool {
    let span = |m: &Member| (m.offset, m.offset.saturating_add(LOCAL_BYTES as u64).saturating_add(m.packed));
    let mut spans: Vec<(u64, u64)> = members.iter().map(span).chain([(start, u64::MAX)]).collect();
    spans.sort_unstable();
    spans.windows(2).any(|pair| pair[1].0 < pair[0].1)
}

/// The content of one extra field.
fn field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    while extra.len() >= 4 {
        let content = extra.get(4..4 + usize::from(u16_at(extra, 2)))?;
        if u16_at(extra, 0) == id {
            return Some(content);
        }
        extra = &extra[4 + content.len()..];
    }
    None
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
pub(crate) mod tests;
