//! SpikingJelly's files: .npz with the arrays t, x, y and p of events, or with the array `frames`.
//!
//! An .npz is a zip of .npy files, stored or deflated; an .npy is the magic, a version, the length of a text, the text (a Python
//! dictionary with `descr`, `fortran_order`, `shape`), and the numbers. (numpy.org, `numpy.lib.format`, versions 1.0 to 3.0.) Only
//! the few kinds of arrays that occur here are understood, so that nothing is allocated from a header: numbers are taken in a few at a
//! time, and memory grows with the numbers that really came out of the archive, up to [`limits::MAX_EVENTS`].

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::clock;
use super::npy::Array;
use super::{Event, Format, Recording, Sensor, bad};
use crate::error::{Error, Result};
use crate::limits;
use crate::plural::counted;

/// The format in the table of all.
pub static FORMAT: Format = Format {
    name: "npz",
    title: "numpy arrays t, x, y, p (SpikingJelly's format)",
    listed: ".npz with t, x, y and p",
    endings: &["npz"],
    magic: b"PK\x03\x04",
    read,
};

/// First bytes of every entry of the list of members.
const CENTRAL: &[u8] = b"PK\x01\x02";
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

impl Frames {
    /// Width and height.
    pub fn sensor(&self) -> Sensor {
        // Both are at most limits::MAX_SIDE.
        Sensor { width: self.width as u16, height: self.height as u16 }
    }

    /// Sum of all counts.
    pub fn events(&self) -> u64 {
        self.counts.iter().map(|&c| u64::from(c)).sum()
    }

    /// `[steps,2,H,W]`: these frames, or, if there are k times as many, the sums of k neighbours; sums end at 65,535.
    ///
    /// # Errors
    /// Usage: `steps` does not divide T.
    pub fn at(self, steps: usize) -> Result<Vec<u16>> {
        if steps == self.steps {
            return Ok(self.counts);
        }
        if steps == 0 || !self.steps.is_multiple_of(steps) {
            let fitting: Vec<String> = (1..=self.steps).rev().filter(|t| self.steps.is_multiple_of(*t)).map(|t| t.to_string()).collect();
            let what = format!("{} cannot be brought to T = {steps}", counted(self.steps, "frame"));
            let remedy =
                format!("choose -T {} (neighbouring frames are added up), or write the frames anew with T = {steps}", fitting.join(", "));
            return Err(Error::usage(what).remedy(remedy));
        }
        let cells = 2 * self.height * self.width;
        let mut sums = vec![0u16; steps * cells];
        for (t, frame) in self.counts.chunks_exact(cells).enumerate() {
            let sum = &mut sums[t / (self.steps / steps) * cells..][..cells];
            sum.iter_mut().zip(frame).for_each(|(s, &c)| *s = s.saturating_add(c));
        }
        Ok(sums)
    }
}

/// Whether a file is an .npz of frames, not of events.
pub fn holds_frames(bytes: &[u8]) -> bool {
    let holds = |archive: Archive| archive.index_for_name("t.npy").is_none() && archive.index_for_name("frames.npy").is_some();
    bytes.starts_with(FORMAT.magic) && open(bytes, "").is_ok_and(holds)
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Decodes the arrays t (µs), x, y and p (0 or 1) into `events`, whose content goes; `name` only names the place of errors.
///
/// # Errors
/// Format: no zip, an array missing or of another kind, arrays of different lengths, a number that does not fit, too many events.
pub fn read(bytes: &[u8], name: &str, mut events: Vec<Event>) -> Result<Recording> {
    let mut archive = open(bytes, name)?;
    // Whoever reads frames as well asks before: holds_frames.
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
            numbers.each(|values| {
                if let Some(i) = values.iter().position(|&v| v > most) {
                    return Err(Error::format(format!("number {}: expected {most} at most, found {}", at + i, values[i])));
                }
                if array == "t" {
                    events.extend(values.iter().map(|&t| Event { t, ..Event::default() }));
                    return Ok(());
                }
                let events = &mut events[at..at + values.len()];
                at += values.len();
                for (event, &value) in events.iter_mut().zip(values) {
                    match array {
                        "x" => event.x = value as u16,
                        "y" => event.y = value as u16,
                        _ => event.on = value == 1,
                    }
                }
                Ok(())
            })
        });
        done.map_err(|e| if e.remedy.is_empty() { e.at(&place).remedy(REMEDY) } else { e.at(&place) })?;
    }
    let notes = clock::unwrap_unknown(&mut events).into_iter().collect();
    Ok(Recording { format: &FORMAT, sensor: None, events, invalid: 0, notes })
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
        numbers.each(|values| {
            if let Some(large) = values.iter().find(|&&v| v > u64::from(u16::MAX)) {
                return Err(Error::format(format!("expected a count below 65536, found {large}")));
            }
            counts.extend(values.iter().map(|&v| v as u16));
            Ok(())
        })?;
        Ok((steps, height, width))
    });
    let remedy = "write a numpy array frames of shape [T,2,H,W] with whole numbers";
    let (steps, height, width) = done.map_err(|e| e.at(format!("{name}: array frames")).remedy(remedy))?;
    Ok(Frames { steps, height, width, counts })
}

fn open<'a>(bytes: &'a [u8], name: &str) -> Result<Archive<'a>> {
    // The list of members is held in memory, some hundred bytes for each, before anything can be asked.
    if bytes.windows(CENTRAL.len()).filter(|w| *w == CENTRAL).nth(limits::MAX_NPZ_MEMBERS).is_some() {
        let found = format!("expected an archive of {} members at most, found more", limits::MAX_NPZ_MEMBERS);
        return Err(Error::format(found).at(name).remedy(REMEDY));
    }
    ZipArchive::new(Cursor::new(bytes))
        .map_err(|e| bad(name, 0, format!("expected a zip: {e}")).remedy("the file is cut off or damaged: download or write it again"))
}

/// Opens a member as an array and lets `take` have it.
fn with_array<T>(archive: &mut Archive, array: &str, take: impl FnOnce(Array) -> Result<T>) -> Result<T> {
    let mut file = archive.by_name(&format!("{array}.npy")).map_err(|e| Error::format(format!("expected the array: {e}")))?;
    take(Array::open(&mut file as &mut dyn Read)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use zip::CompressionMethod::{self, Deflated, Stored};
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    /// An .npy of version 1.
    fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), values].concat()
    }

    fn zip_of(members: &[(&str, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in members {
            zip.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn column<const N: usize>(events: &[Event], bytes: impl Fn(&Event) -> [u8; N]) -> Vec<u8> {
        events.iter().flat_map(bytes).collect()
    }

    /// Events as SpikingJelly writes them for AEDAT 3.1: everything int64.
    pub fn events_file(events: &[Event], method: CompressionMethod) -> Vec<u8> {
        let shape = format!("({},)", events.len());
        let array = |f: fn(&Event) -> u64| npy("<i8", &shape, &column(events, |e| f(e).to_le_bytes()));
        let (t, x, y, p) = (array(|e| e.t), array(|e| e.x.into()), array(|e| e.y.into()), array(|e| e.on.into()));
        zip_of(&[("t", t), ("x", x), ("y", y), ("p", p)], method)
    }

    /// Frames of bytes, `[T,2,H,W]`.
    pub fn frames_file(steps: usize, height: usize, width: usize, counts: &[u8]) -> Vec<u8> {
        zip_of(&[("frames", npy("|u1", &format!("({steps}, 2, {height}, {width})"), counts))], Deflated)
    }

    fn some_events(n: usize) -> Vec<Event> {
        (0..n).map(|i| Event { t: 7 * i as u64, x: (i % 128) as u16, y: (i / 2 % 100) as u16, on: i % 3 == 0 }).collect()
    }

    #[test]
    fn every_kind_of_number_is_read() {
        let events = some_events(9001);
        let shape = "(9001,)";
        let t = npy(">u4", shape, &column(&events, |e| (e.t as u32).to_be_bytes()));
        let x = npy("<u2", shape, &column(&events, |e| e.x.to_le_bytes()));
        let y = npy("<f8", shape, &column(&events, |e| f64::from(e.y).to_le_bytes()));
        let p = npy("|b1", shape, &column(&events, |e| [e.on.into()]));
        let mixed = zip_of(&[("p", p), ("y", y), ("x", x), ("t", t)], Deflated);
        for bytes in [mixed, events_file(&events, Stored), events_file(&events, Deflated)] {
            let r = super::super::read(&bytes, "f").unwrap();
            assert_eq!((r.format, r.sensor), (&FORMAT, None));
            assert_eq!(r.events, events);
        }
    }

    #[test]
    fn arrays_that_do_not_fit_are_named() {
        let good = |v: u8| npy("|u1", "(2,)", &[v, v]);
        let error = |x: Vec<u8>, p: Vec<u8>| {
            let e = read(&zip_of(&[("t", good(1)), ("x", x), ("y", good(3)), ("p", p)], Stored), "f.npz", Vec::new()).unwrap_err();
            assert!(e.place.starts_with("f.npz: array ") && e.remedy.contains("arrays t, x, y and p"), "{e}");
            e.to_string()
        };
        let has = |e: String, parts: &[&str]| parts.iter().for_each(|p| assert!(e.contains(p), "{e}: no '{p}'"));
        has(error(good(1), good(2)), &["array p", "number 0", "expected 1 at most, found 2"]);
        has(error(npy("|u1", "(3,)", &[1; 3]), good(1)), &["array x", "expected 2 numbers as in t, found 3"]);
        has(error(npy("|u1", "(2,)", &[1]), good(1)), &["array x", "shorter than its header"]);
        has(error(npy("|u1", "(1, 2)", &[1, 2]), good(1)), &["one dimension"]);
        has(error(npy("|u1", "()", &[1]), good(1)), &["one dimension"]);
        has(error(npy("<i2", "(2,)", &[1, 0, 255, 255]), good(1)), &["found -1"]);
        has(error(npy("<f4", "(2,)", &[0, 0, 0, 63, 0, 0, 0, 63]), good(1)), &["whole numbers", "0.5"]);
        has(error(npy("<f4", "(2,)", &[0, 0, 192, 127, 0, 0, 0, 63]), good(1)), &["NaN"]);
        has(error(npy("<u4", "(2,)", &[0, 0, 1, 0, 0, 0, 0, 0]), good(1)), &["number 0", "found 65536"]);
        has(error(npy("|O", "(2,)", &[1, 2]), good(1)), &["not an array of numbers"]);
        has(error(b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), good(1)), &["at most 65536 bytes, found 4294967295"]);
        has(error(b"hello, world".to_vec(), good(1)), &["expected an .npy"]);
    }

    #[test]
    fn a_bomb_takes_no_memory() {
        let few = npy("|u1", "(18446744073709551615,)", &[0; 4]);
        let e = read(&zip_of(&[("t", few)], Deflated), "f", Vec::new()).unwrap_err();
        assert!(e.to_string().contains("more than the 134217728"), "{e}");
        let fewer = npy("|u1", "(134217728,)", &[0; 4]);
        assert!(read(&zip_of(&[("t", fewer)], Deflated), "f", Vec::new()).unwrap_err().to_string().contains("shorter"));
        let frames = zip_of(&[("frames", npy("|u1", "(64, 2, 2048, 2048)", &[0; 4]))], Deflated);
        assert!(read_frames(&frames, "f").unwrap_err().to_string().contains("shorter"));
    }

    #[test]
    fn frames_keep_their_counts() {
        let shape = "(3, 2, 2, 4)";
        let counts: Vec<u16> = (0..48).collect();
        let floats: Vec<u8> = counts.iter().flat_map(|&c| f32::from(c).to_le_bytes()).collect();
        let file = |array| zip_of(&[("frames", array)], Deflated);
        let frames = read_frames(&file(npy("<f4", shape, &floats)), "f").unwrap();
        assert_eq!(frames, Frames { steps: 3, height: 2, width: 4, counts });
        let e = read(&file(npy("<f4", shape, &floats)), "f", Vec::new()).unwrap_err().to_string();
        assert!(e.contains("found frames"), "{e}");
        for (descr, shape) in
            [("<f4", "(3, 4, 4)"), ("<f4", "(3, 1, 4, 4)"), ("<f4", "(0, 2, 4, 4)"), ("<f4", "(65, 2, 1, 1)"), ("<i4", shape)]
        {
            let mut bytes = floats.clone();
            bytes[3] = 0xff;
            assert!(read_frames(&file(npy(descr, shape, &bytes)), "f").is_err(), "{descr} {shape}");
        }
        assert!(read_frames(&events_file(&some_events(2), Stored), "f").is_err());
    }

    #[test]
    fn frames_are_added_up_to_a_t_that_divides_theirs() {
        let file = frames_file(4, 1, 2, &(0..16).collect::<Vec<u8>>());
        assert!(holds_frames(&file) && !holds_frames(&events_file(&some_events(2), Stored)) && !holds_frames(b"PK\x03\x04"));
        let frames = read_frames(&file, "f").unwrap();
        assert_eq!((frames.sensor(), frames.events()), (Sensor { width: 2, height: 1 }, 120));
        assert_eq!(frames.clone().at(4).unwrap(), (0..16).collect::<Vec<u16>>());
        assert_eq!(frames.clone().at(2).unwrap(), [4, 6, 8, 10, 20, 22, 24, 26]);
        let e = frames.clone().at(3).unwrap_err().to_string();
        assert!(e.contains("4 frames cannot be brought to T = 3") && e.contains("-T 4, 2, 1"), "{e}");
        assert!(frames.clone().at(8).is_err() && frames.at(0).is_err());
    }
}
