//! AEDAT 3.1, as cAER and DVS-Gesture's recordings have it.
//!
//! Lines that begin with `#`, the last one `#!END-HEADER\r\n`; then packets, all little-endian: u16 type, u16 source, u32 eventSize,
//! u32 eventTSOffset, u32 eventTSOverflow, u32 eventCapacity, u32 eventNumber, u32 eventValid, and eventCapacity events of eventSize
//! bytes, of which the first eventNumber are meant. A polarity event (packet type 1) is u32 data and i32 time in µs: bit 0 valid, bit 1
//! polarity (ON = 1), y bits 2-16, x bits 17-31; eventTSOverflow counts how often the 31 bits of the time have overflowed.
//! (inivation.com, "AEDAT file formats", 3.1; `events/common.h` and `events/polarity.h` of libcaer.)

use super::clock::{self, BITS_31};
use super::{Event, Format, Recording, Sensor, bad, cut_off, does_not_fit};
use crate::error::Result;
use crate::plural::{counted, counted_as};

/// The format in the table of all.
pub static FORMAT: Format =
    Format { name: "aedat3", title: "AEDAT 3.1", listed: "AEDAT 3.1", endings: &["aedat"], magic: b"#!AER-DAT3.1", read };

/// Last line of the text.
const END_OF_HEADER: &[u8] = b"#!END-HEADER";
/// Bytes of a packet's header.
const PACKET_HEADER: usize = 28;
/// Packet type of polarity events.
const POLARITY: u16 = 1;
/// Bytes of a polarity event.
const RECORD: usize = 8;
/// Largest coordinate.
const MAX_COORDINATE: u16 = 0x7fff;
/// Bits of a time; what is above goes into eventTSOverflow.
const TIME_BITS: u32 = 31;
/// Events to a packet in files that we write.
const PACKET_EVENTS: usize = 8192;
/// Names of the packet types, by number.
const KINDS: [&str; 12] =
    ["special", "polarity", "frame", "IMU6", "IMU9", "sample", "ear", "config", "1D point", "2D point", "3D point", "4D point"];
/// Cameras by the name in a `#Source` line, with their sizes.
const CAMERAS: [(&str, Sensor); 3] =
    [("DVS128", Sensor::DVS128), ("DAVIS240", Sensor { width: 240, height: 180 }), ("DAVIS346", Sensor { width: 346, height: 260 })];

/// One packet, checked to lie within the file.
struct Packet<'a> {
    /// Byte of its header.
    at: usize,
    kind: u16,
    /// eventTSOverflow.
    overflow: u32,
    /// eventValid.
    valid: usize,
    /// The first eventNumber events.
    events: &'a [u8],
    /// eventNumber.
    number: usize,
    /// Byte behind its last event.
    end: usize,
}

/// Decodes the polarity events of an AEDAT 3.1 file into `events`, whose content goes; `name` only names the place of errors.
///
/// Other packets are skipped, and counted in a note. Events without the valid bit are left out and counted, but for packets whose header
/// says that all are valid while none has the bit: there the header is believed, with a note (some converters leave the bits 0).
///
/// # Errors
/// Format: another version, no end of the header, a packet or its events cut off, eventNumber above eventCapacity, polarity events that
/// are not 8 bytes, a negative time. A file that was cut between two packets cannot be told from a shorter recording.
pub fn read(bytes: &[u8], name: &str, mut events: Vec<Event>) -> Result<Recording> {
    events.clear();
    let (start, sensor) = header(bytes, name)?;
    // (packets, events) by kind; the last place is for kinds without a name.
    let mut found = [(0usize, 0usize); KINDS.len() + 1];
    let mut at = start;
    while at < bytes.len() {
        let p = packet(bytes, at, name)?;
        let (count, events) = &mut found[usize::from(p.kind).min(KINDS.len())];
        (*count, *events) = (*count + 1, *events + p.number);
        at = p.end;
    }
    events.reserve_exact(found[usize::from(POLARITY)].1);
    let (mut invalid, mut believed) = (0, 0);
    at = start;
    while at < bytes.len() {
        let p = packet(bytes, at, name)?;
        at = p.end;
        if p.kind != POLARITY {
            continue;
        }
        match decode(&p, name, &mut events)? {
            valid if valid == p.number => {}
            0 if p.valid == p.number => believed += p.number,
            valid => {
                events.truncate(events.len() - p.number);
                events.extend(p.events.as_chunks().0.iter().filter(|r| r[0] & 1 == 1).map(|r| event(r, p.overflow)));
                invalid += (p.number - valid) as u64;
            }
        }
    }
    // Where packets count the overflows themselves there is nothing left to find.
    let mut notes: Vec<String> = clock::unwrap(&mut events, BITS_31).into_iter().collect();
    if believed > 0 {
        notes.push(format!(
            "{} valid bit 0 in packets whose header says that all are valid: kept, as the header says",
            counted_as(believed, "event has", "events have")
        ));
    }
    if invalid > 0 {
        notes.push(format!("{} marked as invalid left out", counted(invalid, "event")));
    }
    for (kind, (count, events)) in found.into_iter().enumerate().filter(|(kind, (count, _))| *kind != usize::from(POLARITY) && *count > 0) {
        let kind = KINDS.get(kind).copied().unwrap_or("unknown");
        notes.push(format!("skipped {} of kind {kind} ({})", counted(count, "packet"), counted(events, "event")));
    }
    Ok(Recording { format: &FORMAT, sensor, events, invalid, notes })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn event(record: &[u8; RECORD], overflow: u32) -> Event {
    let both = u64::from_le_bytes(*record);
    let (data, time) = (both as u32, both >> 32);
    let t = u64::from(overflow) << TIME_BITS | time;
    Event { t, x: (data >> 17) as u16, y: (data >> 2) as u16 & MAX_COORDINATE, on: data >> 1 & 1 == 1 }
}

/// Decodes all events of a packet, valid or not; returns how many have the valid bit.
fn decode(p: &Packet, name: &str, events: &mut Vec<Event>) -> Result<usize> {
    let (records, _) = p.events.as_chunks();
    let (mut valid, mut all_bits) = (0, 0);
    events.extend(records.iter().map(|r| {
        valid += u32::from(r[0] & 1);
        all_bits |= r[7];
        event(r, p.overflow)
    }));
    if all_bits >> 7 == 1 {
        let i = records.iter().position(|r| r[7] >> 7 == 1).unwrap_or(0);
        let at = p.at + PACKET_HEADER + i * RECORD;
        let time = word(&records[i], 4) as i32;
        return Err(bad(name, at, format!("expected a time of 31 bits, found {time} µs")).remedy("the file is damaged: download it again"));
    }
    Ok(valid as usize)
}

/// Where the packets begin, and the size of the camera if it is one we know.
fn header(bytes: &[u8], name: &str) -> Result<(usize, Option<Sensor>)> {
    if !bytes.starts_with(FORMAT.magic) {
        return Err(bad(name, 0, format!("expected #!AER-DAT3.1, found {}", super::shown(bytes))));
    }
    let (mut start, mut sensor) = (0, None);
    while bytes.get(start) == Some(&b'#') {
        let Some(length) = bytes[start..].iter().position(|&b| b == b'\n') else { break };
        let line = bytes[start..start + length].trim_ascii_end();
        start += length + 1;
        if line == END_OF_HEADER {
            return Ok((start, sensor));
        }
        if line.starts_with(b"#Source") {
            let source = String::from_utf8_lossy(line).to_ascii_uppercase();
            sensor = sensor.or(CAMERAS.iter().find(|c| source.contains(c.0)).map(|c| c.1));
        }
    }
    Err(bad(name, start, "expected header lines up to #!END-HEADER, found their end before it")
        .remedy("the file is cut off: download it again"))
}

/// The packet at byte `at`; nothing in its header is believed before it was held against the bytes at hand.
fn packet<'a>(bytes: &'a [u8], at: usize, name: &str) -> Result<Packet<'a>> {
    let left = bytes.len() - at;
    if left < PACKET_HEADER {
        return Err(cut_off(name, at, "a packet header of 28 bytes", left));
    }
    let kind = u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let [size, offset, overflow, capacity, number, valid] = std::array::from_fn(|i| word(bytes, at + 4 + 4 * i));
    if kind == POLARITY && (size as usize, offset) != (RECORD, 4) {
        let found = format!("expected polarity events of 8 bytes with the time at 4, found {size} bytes and {offset}");
        return Err(bad(name, at + 4, found).remedy("the file is damaged, or not AEDAT 3.1"));
    }
    if number > capacity || valid > number {
        let found = format!("expected valid ≤ number ≤ capacity in a packet, found {valid}, {number}, {capacity}");
        return Err(bad(name, at + 16, found).remedy("the file is damaged: download it again"));
    }
    let (body, left) = (u64::from(capacity) * u64::from(size), left - PACKET_HEADER);
    if body > left as u64 {
        let expected = format!("a packet of {} of {size} bytes", counted(capacity, "event"));
        return Err(cut_off(name, at, expected, left));
    }
    if size == 0 && capacity > 0 {
        return Err(
            bad(name, at + 4, format!("{} of 0 bytes", counted(capacity, "event"))).remedy("the file is damaged: download it again")
        );
    }
    let (first, number) = (at + PACKET_HEADER, number as usize);
    let events = &bytes[first..first + number * size as usize];
    Ok(Packet { at, kind, overflow, valid: valid as usize, events, number, end: first + body as usize })
}

/// Writes AEDAT 3.1: polarity packets of a camera, a DVS128 (`"DVS128"`) or another; a new packet begins where the upper bits of
/// the time change.
///
/// # Errors
/// Usage: a coordinate beyond 32767, a time of 2^63 µs or more, or a name of a camera that is empty or has a line end.
pub fn write(events: &[Event], camera: &str) -> Result<Vec<u8>> {
    if camera.trim().is_empty() || camera.contains(['\r', '\n']) {
        return Err(crate::error::Error::usage(format!("{camera:?} as the name of a camera")).remedy("name it in one line"));
    }
    if let Some(i) = events.iter().position(|e| e.x > MAX_COORDINATE || e.y > MAX_COORDINATE) {
        let found = format!("expected x and y up to {MAX_COORDINATE}, found {}, {}", events[i].x, events[i].y);
        return Err(does_not_fit(i, found));
    }
    let overflow = |e: &Event| u32::try_from(e.t >> TIME_BITS);
    if let Some(i) = events.iter().position(|e| overflow(e).is_err()) {
        return Err(does_not_fit(i, format!("expected a time below 2^63 µs, found {}", events[i].t)));
    }
    let mut bytes = format!("#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: {camera}\r\n#!END-HEADER\r\n").into_bytes();
    bytes.reserve(events.len() * RECORD + (events.len() / PACKET_EVENTS + 1) * PACKET_HEADER);
    for run in events.chunk_by(|a, b| overflow(a) == overflow(b)) {
        for packet in run.chunks(PACKET_EVENTS) {
            put_packet(&mut bytes, packet, (packet[0].t >> TIME_BITS) as u32);
        }
    }
    Ok(bytes)
}

fn put_packet(bytes: &mut Vec<u8>, events: &[Event], overflow: u32) {
    let number = events.len() as u32;
    bytes.extend(POLARITY.to_le_bytes());
    bytes.extend(1u16.to_le_bytes());
    for field in [RECORD as u32, 4, overflow, number, number, number] {
        bytes.extend(field.to_le_bytes());
    }
    for e in events {
        let data = u32::from(e.x) << 17 | u32::from(e.y) << 2 | u32::from(e.on) << 1 | 1;
        let time = e.t as u32 & (u32::MAX >> 1);
        bytes.extend_from_slice(&data.to_le_bytes());
        bytes.extend_from_slice(&time.to_le_bytes());
    }
}
