//! 40-bit events, the format of N-MNIST (.bin); other sets use it under .bin and .bs2.
//!
//! An event is five bytes, a big-endian number of 40 bits: x (8), y (8), polarity (1, ON = 1), time in µs (23). There is no header
//! and no sensor size. In recordings longer than 2^23 µs, y = 240 is no pixel but a mark: 2^13 µs are added to every time from there
//! on; where there is none, the counter itself tells ([`clock`]). (Orchard, Jayant, Cohen, Thakor, "Converting static image datasets to spiking neuromorphic datasets using saccades", Front.
//! Neurosci. 9:437, 2015; the marks as in the authors' reader, github.com/gorchard/event-Python, `read_dataset`.)

use super::clock::{self, BITS_23};
use super::{Event, Format, Recording, cut_off, does_not_fit};
use crate::error::Result;
use crate::plural::counted;

/// The format in the table of all.
pub static FORMAT: Format = Format {
    name: "nmnist",
    title: "40-bit events (N-MNIST's format)",
    listed: "40-bit events (.bin, .bs2)",
    endings: &["bin", "bs2"],
    magic: b"",
    read,
};

/// Bytes of one event.
const RECORD: usize = 5;
/// Row that marks an overflow of the time.
const MARK: u8 = 240;
/// What a mark adds to the times from there on, in µs.
const MARK_ADDS: u64 = 1 << 13;

/// Decodes 40-bit events into `events`, whose content goes; `name` only names the place of errors.
///
/// # Errors
/// Format: the file ends within an event. One that was cut between two events cannot be told from a shorter recording.
pub fn read(bytes: &[u8], name: &str, mut events: Vec<Event>) -> Result<Recording> {
    let (records, over) = bytes.as_chunks::<RECORD>();
    if !over.is_empty() {
        return Err(cut_off(name, bytes.len() - over.len(), "an event of 5 bytes", over.len()));
    }
    let mut marks = 0;
    let decode = |r: &[u8; RECORD]| {
        marks += usize::from(r[1] == MARK);
        let t = u32::from_be_bytes([0, r[2] & 0x7f, r[3], r[4]]);
        Event { t: t.into(), x: r[0].into(), y: r[1].into(), on: r[2] >> 7 == 1 }
    };
    events.clear();
    events.extend(records.iter().map(decode));
    let mut notes = Vec::new();
    if marks > 0 {
        apply_marks(&mut events);
        notes.push(format!("{} (y = {MARK}) of an overflow of the time: {MARK_ADDS} µs added from each on", counted(marks, "mark")));
    } else {
        notes.extend(clock::unwrap(&mut events, BITS_23));
    }
    Ok(Recording { format: &FORMAT, sensor: None, events, invalid: 0, notes })
}

/// Takes the marks out and adds what they say.
fn apply_marks(events: &mut Vec<Event>) {
    let mut added = 0;
    events.retain_mut(|event| {
        let is_mark = event.y == u16::from(MARK);
        added += if is_mark { MARK_ADDS } else { 0 };
        event.t += added;
        !is_mark
    });
}

/// Writes 40-bit events.
///
/// # Errors
/// Usage: a column beyond 255, a row beyond 255 or 240 (which readers take for a mark), a time of 2^23 µs or more.
pub fn write(events: &[Event]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(events.len() * RECORD);
    for (i, e) in events.iter().enumerate() {
        let (Ok(x), Ok(y)) = (u8::try_from(e.x), u8::try_from(e.y)) else {
            return Err(does_not_fit(i, format!("expected x and y below 256, found {}, {}", e.x, e.y)));
        };
        if y == MARK {
            return Err(does_not_fit(i, format!("row {MARK} means an overflow of the time in this format")));
        }
        if e.t >= BITS_23 {
            return Err(does_not_fit(i, format!("expected a time below {BITS_23} µs, found {}", e.t)));
        }
        let [_, high, middle, low] = (e.t as u32).to_be_bytes();
        bytes.extend([x, y, u8::from(e.on) << 7 | high, middle, low]);
    }
    Ok(bytes)
}
