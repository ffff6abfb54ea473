//! SpikingJelly's files: .npz with the arrays t, x, y and p of events, or with the array `frames`.
//!
//! An .npz is a zip of .npy files, stored or deflated; an .npy is the magic, a version, the length of a text, the text (a Python
//! dictionary with `descr`, `fortran_order`, `shape`), and the numbers. (numpy.org, `numpy.lib.format`, versions 1.0 to 3.0.) Only
//! the few kinds of arrays that occur here are understood, so that nothing is allocated from a header: numbers are taken in a few at a
//! time, and memory grows with the numbers that really came out of the archive, up to [`limits::MAX_EVENTS`].

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::npy::Array;
use super::{Event, Format, Recording, bad};
use crate::error::{Error, Result};
use crate::limits;

/// First bytes of every zip that is not empty.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
/// Said of arrays that are not what is expected.
const REMEDY: &str = "write numpy arrays t, x, y and p of one length: whole numbers, not negative, p 0 or 1";

/// Frames as SpikingJelly stores them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frames {
    /// T.
    pub steps: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// `[T,2,H,W]`, OFF first.
    pub counts: Vec<u16>,
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Decodes the arrays t (µs), x, y and p (0 or 1) into `events`, whose content goes; `name` only names the place of errors.
///
/// # Errors
/// Format: no zip, an array missing or of another kind, arrays of different lengths, a number that does not fit, too many events.
pub fn read(bytes: &[u8], name: &str, mut events: Vec<Event>) -> Result<Recording> {
    let mut archive = open(bytes, name)?;
    if archive.index_for_name("t.npy").is_none() && archive.index_for_name("frames.npy").is_some() {
        return Err(Error::format("expected events (arrays t, x, y, p), found frames")
            .at(name)
            .remedy("give the file of events they are from"));
    }
    events.clear();
    let mut length = None;
    for (array, most) in [("t", u64::MAX), ("x", u64::from(u16::MAX)), ("y", u64::from(u16::MAX)), ("p", 1)] {
        let place = format!("{name}: array {array}");
        let done = with_array(&mut archive, array, |mut numbers| {
            let &[n] = numbers.shape.as_slice() else {
                return Err(Error::format(format!("expected one dimension, found {:?}", numbers.shape)));
            };
            if n > limits::MAX_EVENTS {
                return Err(Error::format(format!("{n} events, more than the {} that are read", limits::MAX_EVENTS)));
            }
            if *length.get_or_insert(n) != n {
                return Err(Error::format(format!("expected {} numbers as in t, found {n}", length.unwrap_or(0))));
            }
            let mut at = 0;
            numbers.each(|value| {
                if value > most {
                    return Err(Error::format(format!("number {at}: expected {most} at most, found {value}")));
                }
                match array {
                    "t" => events.push(Event { t: value, ..Event::default() }),
                    "x" => events[at].x = value as u16,
                    "y" => events[at].y = value as u16,
                    _ => events[at].on = value == 1,
                }
                at += 1;
                Ok(())
            })
        });
        done.map_err(|e| if e.remedy.is_empty() { e.at(&place).remedy(REMEDY) } else { e.at(&place) })?;
    }
    Ok(Recording { format: Format::Npz, sensor: None, events, invalid: 0, notes: Vec::new() })
}

/// Decodes the array `frames`, `[T,2,H,W]` in C order; `name` only names the place of errors.
///
/// # Errors
/// Format: no zip, no such array, another number of dimensions, too large, or counts that are not whole numbers below 2^16.
pub fn read_frames(bytes: &[u8], name: &str) -> Result<Frames> {
    let mut archive = open(bytes, name)?;
    let mut counts = Vec::new();
    let done = with_array(&mut archive, "frames", |mut numbers| {
        let &[steps, 2, height, width] = numbers.shape.as_slice() else {
            return Err(Error::format(format!("expected [T,2,H,W], found {:?}", numbers.shape)));
        };
        let sides = 1..=limits::MAX_SIDE;
        if !(1..=limits::MAX_TIME_STEPS).contains(&steps) || !sides.contains(&height) || !sides.contains(&width) {
            let most = format!("{} steps of {} x {}", limits::MAX_TIME_STEPS, limits::MAX_SIDE, limits::MAX_SIDE);
            return Err(Error::format(format!("expected at most {most}, found {:?}", numbers.shape)));
        }
        numbers.each(|value| {
            counts.push(u16::try_from(value).map_err(|_| Error::format(format!("expected a count below 65536, found {value}")))?);
            Ok(())
        })?;
        Ok((steps, height, width))
    });
    let remedy = "write a numpy array frames of shape [T,2,H,W] with whole numbers";
    let (steps, height, width) = done.map_err(|e| e.at(format!("{name}: array frames")).remedy(remedy))?;
    Ok(Frames { steps, height, width, counts })
}

fn open<'a>(bytes: &'a [u8], name: &str) -> Result<Archive<'a>> {
    ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| bad(name, 0, format!("expected a zip: {e}")).remedy("the file is cut off or damaged: download or write it again"))
}

/// Opens a member as an array and lets `take` have it.
fn with_array<T>(archive: &mut Archive, array: &str, take: impl FnOnce(Array) -> Result<T>) -> Result<T> {
    let mut file = archive.by_name(&format!("{array}.npy")).map_err(|e| Error::format(format!("expected the array: {e}")))?;
    take(Array::open(&mut file as &mut dyn Read)?)
}
