//! AEDAT 2.0, as jAER writes it, from a DVS128.
//!
//! Lines that begin with `#` (LF or CRLF), then for every event a big-endian u32 address and a big-endian u32 time in µs. What the
//! bits of an address mean depends on the camera, and only for the DVS128 it is done here: polarity bit 0, x bits 1-7, y bits 8-14,
//! and bit 15 for special events (a synchronisation input), which are no change of a pixel. A file from another camera is refused: by
//! its name, if the header has one (`# AEChip: …`), else by bits that a DVS128 does not use. (inivation.com, "AEDAT file formats",
//! and `DVS128.java` of jAER.)
//!
//! The polarity bit is kept as it is, and 1 counts as ON. jAER itself, and SpikingJelly for DVS-CIFAR10, take 1 for OFF; who wants that
//! convention turns the events over after reading.

use super::clock;
use super::{Event, Format, Recording, Sensor, bad, cut_off, does_not_fit};
use crate::error::{Error, Result};
use crate::plural::{counted, either};

/// The format in the table of all.
pub static FORMAT: Format = Format {
    name: "aedat2",
    title: "AEDAT 2.0 of a DVS128",
    listed: "AEDAT 2.0 of a DVS128",
    endings: &["aedat"],
    magic: b"#!AER-DAT2.0",
    read,
};

/// Bytes of one event.
const RECORD: usize = 8;
/// The bits of polarity, x and y.
const USED: u32 = 0x7fff;
/// Set for special events.
const SPECIAL: u32 = 0x8000;
/// How jAER names the camera in the header.
const CHIP_LINE: &[u8] = b"AEChip:";
/// What the writer puts before the events.
const HEADER: &[u8] = b"#!AER-DAT2.0\r\n\
    # Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n\
    # Timestamps tick is 1 us\r\n\
    # AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n";

/// Decodes an AEDAT 2.0 file of a DVS128 into `events`, whose content goes; `name` only names the place of errors. A header without
/// events is a recording without events.
///
/// # Errors
/// Format: another version, another camera, a header that does not end, or a file that ends within an event. One that was cut between
/// two events cannot be told from a shorter recording.
pub fn read(bytes: &[u8], name: &str, mut events: Vec<Event>) -> Result<Recording> {
    let start = header(bytes, name)?;
    let (records, over) = bytes[start..].as_chunks();
    if !over.is_empty() {
        return Err(cut_off(name, bytes.len() - over.len(), "an event of 8 bytes", over.len()));
    }
    let mut all_bits = 0;
    let decode = |r: &[u8; RECORD]| {
        let (address, t) = address_and_time(r);
        all_bits |= address;
        Event { t: t.into(), x: (address >> 1 & 0x7f) as u16, y: (address >> 8 & 0x7f) as u16, on: address & 1 == 1 }
    };
    events.clear();
    events.extend(records.iter().map(decode));
    let mut notes = Vec::new();
    if all_bits & !(USED | SPECIAL) != 0 {
        return Err(other_bits(records, name, start));
    }
    if all_bits & SPECIAL != 0 {
        let mut records = records.iter();
        let before = events.len();
        events.retain(|_| records.next().is_some_and(|r| address_and_time(r).0 & SPECIAL == 0));
        let special = before - events.len();
        let (what, they_are) = (counted(special, "special event"), either(special, "it is", "they are"));
        notes.push(format!("{what} (bit 15 of the address) left out: {they_are} no change of a pixel"));
    }
    notes.extend(clock::unwrap_unknown(&mut events));
    Ok(Recording { format: &FORMAT, sensor: Some(Sensor::DVS128), events, invalid: 0, notes })
}

fn address_and_time(record: &[u8; RECORD]) -> (u32, u32) {
    let both = u64::from_be_bytes(*record);
    ((both >> 32) as u32, both as u32)
}

/// Where the events begin. No address of a DVS128 begins with '#'.
fn header(bytes: &[u8], name: &str) -> Result<usize> {
    if !bytes.starts_with(FORMAT.magic) {
        return Err(bad(name, 0, format!("expected #!AER-DAT2.0, found {}", super::shown(bytes))));
    }
    let mut start = 0;
    while bytes.get(start) == Some(&b'#') {
        let Some(length) = bytes[start..].iter().position(|&b| b == b'\n') else {
            return Err(cut_off(name, start, "a header line with an end", bytes.len() - start));
        };
        let line = bytes[start..start + length].trim_ascii();
        if let Some(chip) = line[1..].trim_ascii().strip_prefix(CHIP_LINE).map(<[u8]>::trim_ascii)
            && !chip.ends_with(b"DVS128")
        {
            return Err(other_camera(bad(name, start, format!("recorded with {}", chip[..chip.len().min(80)].escape_ascii()))));
        }
        start += length + 1;
    }
    Ok(start)
}

fn other_bits(records: &[[u8; RECORD]], name: &str, start: usize) -> Error {
    let addresses = records.iter().map(|r| address_and_time(r).0);
    let (i, found) = addresses.enumerate().find(|(_, a)| a & !(USED | SPECIAL) != 0).unwrap_or_default();
    other_camera(bad(name, start + i * RECORD, format!("expected an address of a DVS128 (16 bits), found {found:#x}")))
}

fn other_camera(e: Error) -> Error {
    e.remedy("addresses of other cameras than the DVS128 are laid out differently: convert the file to AEDAT 3.1 or .npz")
}

/// Writes AEDAT 2.0 of a DVS128.
///
/// # Errors
/// Usage: a coordinate beyond 127, or a time of 2^32 µs or more.
pub fn write(events: &[Event]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEADER.len() + events.len() * RECORD);
    bytes.extend_from_slice(HEADER);
    for (i, e) in events.iter().enumerate() {
        if e.x > 127 || e.y > 127 {
            return Err(does_not_fit(i, format!("expected x and y below 128, found {}, {}", e.x, e.y)));
        }
        let Ok(t) = u32::try_from(e.t) else {
            return Err(does_not_fit(i, format!("expected a time below 2^32 µs, found {}", e.t)));
        };
        let address = u32::from(e.y) << 8 | u32::from(e.x) << 1 | u32::from(e.on);
        bytes.extend_from_slice(&address.to_be_bytes());
        bytes.extend_from_slice(&t.to_be_bytes());
    }
    Ok(bytes)
}
