//! Event-camera recordings: bytes to events and back.
//!
//! One file per format, each a pure function over bytes: [`nmnist`] (40-bit events), [`aedat2`] (DVS128), [`aedat3`] (3.1), [`npz`]
//! (SpikingJelly's); [`mod@format`] is the table of them. All keep what the file says: file order, coordinates without any flip, times
//! in µs. [`read`] tells the format by content. [`labels`] reads the text files that come with DVS-Gesture, [`summary`] counts what is in a recording, [`picture`]
//! draws frames of it. [`clock`] and [`order`] are stages over streams of events: clocks that begin again, events out of order.

pub mod aedat2;
pub mod aedat3;
pub mod clock;
pub mod format;
pub mod labels;
pub mod nmnist;
mod npy;
pub mod npz;
pub mod order;
pub mod picture;
pub mod summary;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::limits;
pub use format::Format;

/// One change of brightness at one pixel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Time in µs, as in the file.
    pub t: u64,
    /// Column from the left, as in the file.
    pub x: u16,
    /// Row from the top, as in the file.
    pub y: u16,
    /// Brighter (ON, polarity 1) or darker (OFF, polarity 0).
    pub on: bool,
}

/// Width and height of a sensor in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensor {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Sensor {
    /// 128x128: the camera of DVS-Gesture and DVS-CIFAR10.
    pub const DVS128: Sensor = Sensor { width: 128, height: 128 };
}

/// A decoded recording.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The container.
    pub format: &'static Format,
    /// The format's sensor, where it has one.
    pub sensor: Option<Sensor>,
    /// In file order; neither sorted nor checked against the sensor.
    pub events: Vec<Event>,
    /// Events that the file itself marks as invalid: left out.
    pub invalid: u64,
    /// What the user should know: packets skipped, a header at odds with its events.
    pub notes: Vec<String>,
}

/// What every AEDAT file begins with; the version follows.
const AEDAT_MAGIC: &[u8] = b"#!AER-DAT";

/// Decodes a recording, its format told from its content (and, where content cannot tell, from the ending of `name`).
///
/// # Errors
/// Format: what is wrong at which byte, with `name` as the place.
pub fn read(bytes: &[u8], name: &str) -> Result<Recording> {
    read_reusing(bytes, name, Vec::new())
}

/// Like [`read`], into the memory of `events` (their content goes). Who reads many recordings passes those of the one before: memory
/// fresh from the system costs several times more to touch than to decode into.
///
/// # Errors
/// As [`read`].
pub fn read_reusing(bytes: &[u8], name: &str, events: Vec<Event>) -> Result<Recording> {
    if bytes.is_empty() {
        let Some(format) = format::of_ending(name) else {
            return Err(bad(name, 0, "expected a recording, found an empty file").remedy("download or unpack it again"));
        };
        // The same for all formats, those with a header and those without: a recording of which nothing is there.
        let notes = vec!["an empty file, of 0 bytes".to_string()];
        return Ok(Recording { format, sensor: None, events: Vec::new(), invalid: 0, notes });
    }
    if let Some(format) = format::of(bytes, name) {
        return (format.read)(bytes, name, events);
    }
    if let Some(rest) = bytes.strip_prefix(AEDAT_MAGIC) {
        return Err(other_aedat(name, rest.get(..3).unwrap_or(rest)));
    }
    let what = format!("no format of event recordings known here begins with {}", shown(bytes));
    Err(bad(name, 0, what).remedy(format!("known are {}", format::listed(" and "))))
}

/// Reads a recording from a file.
///
/// # Errors
/// As [`read`] and [`bytes_of`].
pub fn open(path: &Path) -> Result<Recording> {
    read(&bytes_of(path)?, &path.display().to_string())
}

/// The bytes of a file that may be a recording.
///
/// # Errors
/// Usage: there is no such file. Storage: it cannot be read. Format: it has more than [`limits::MAX_RECORDING_BYTES`].
pub fn bytes_of(path: &Path) -> Result<Vec<u8>> {
    let failed = |e: std::io::Error| Error::io(path, "reading", &e);
    // Asked before: opening a pipe waits for whoever writes into it.
    if !fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?.is_file() {
        return Err(Error::usage("not a file").at(path.display()).remedy("give a recording"));
    }
    let file = File::open(path).map_err(|e| Error::io(path, "opening", &e))?;
    let mut bytes = Vec::new();
    file.take(limits::MAX_RECORDING_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limits::MAX_RECORDING_BYTES {
        let found = format!("expected a recording of at most {} bytes, found a longer file", limits::MAX_RECORDING_BYTES);
        return Err(Error::format(found).at(path.display()).remedy("cut it into shorter recordings"));
    }
    Ok(bytes)
}

fn other_aedat(name: &str, version: &[u8]) -> Error {
    bad(name, AEDAT_MAGIC.len(), format!("expected AEDAT 2.0 or 3.1, found version {}", shown(version)))
        .remedy("convert it to AEDAT 3.1 or to .npz with arrays t, x, y and p")
}

/// The first bytes of a file for an error message.
fn shown(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes[..bytes.len().min(8)].escape_ascii())
}

/// A malformed file, and where.
fn bad(name: &str, byte: usize, what: impl std::fmt::Display) -> Error {
    Error::format(what).at(format!("{name}: byte {byte}"))
}

/// A file that ends within a record.
fn cut_off(name: &str, byte: usize, expected: impl std::fmt::Display, found: usize) -> Error {
    bad(name, byte, format!("expected {expected}, found {found}")).remedy("the file is cut off: download or unpack it again")
}

/// An event that a writer cannot express.
fn does_not_fit(index: usize, what: impl std::fmt::Display) -> Error {
    Error::usage(what).at(format!("event {index}")).remedy("AEDAT 3.1 has the most room: coordinates of 15 bits, times of 63")
}

#[cfg(test)]
mod tests;
