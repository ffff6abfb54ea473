//! What is to be prepared: recordings, the samples in them, and which split each is in.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::listing::Entry;
use super::supply::{Item, Supply};
use crate::data::cache::Place;
use crate::data::hex;
use crate::error::{Error, Result};
use crate::events::Sensor;
use crate::limits;

/// A time window in µs: start ≤ t < end.
pub(super) type Window = (u64, u64);

/// One recording.
pub(super) struct Planned {
    /// Its file, for messages; the ending tells formats that have no magic.
    pub place: String,
    /// Its length, unpacked.
    pub bytes: u64,
    /// The samples in it, and the window of each; `None`: all of it.
    pub samples: Vec<(u32, Option<Window>)>,
}

/// One sample.
pub(super) struct Sample {
    pub place: Place,
    /// Unique in its split and class.
    pub name: String,
}

/// A set before any recording is decoded.
pub(super) struct Plan {
    pub classes: Vec<String>,
    pub sensor: Sensor,
    /// Whether the recordings themselves must say that they have this sensor.
    pub same_sensor: bool,
    /// In the order of the supply.
    pub recordings: Vec<Planned>,
    /// Train before test, each in its order: a sample's number is its position here.
    pub samples: Vec<Sample>,
    /// So many of the last training samples are to choose the best epoch by.
    pub validation: usize,
    pub supply: Supply,
    pub notes: Vec<String>,
}

/// A recording that is one sample, and where it goes.
pub(super) struct Whole {
    pub entry: Entry,
    pub place: Place,
}

impl Plan {
    /// A plan of recordings that are one sample each, given in the order of their split.
    ///
    /// # Errors
    /// Usage: a split is empty.
    pub fn of_whole(classes: Vec<String>, sensor: Sensor, mut wholes: Vec<Whole>, archives: Vec<PathBuf>) -> Result<Plan> {
        wholes.sort_by_key(|w| w.place.test);
        let samples: Vec<Sample> = wholes.iter().map(|w| Sample { place: w.place, name: w.entry.name().to_string() }).collect();
        // Read in the order in which they lie, whatever the order of the samples is.
        let mut order: Vec<(u32, Whole)> = (0..).zip(wholes).collect();
        order.sort_by(|(_, a), (_, b)| position(&a.entry).cmp(&position(&b.entry)));
        let (mut recordings, mut items) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        for (sample, Whole { entry, .. }) in order {
            let place = match &entry.item {
                Item::File(path) => path.display().to_string(),
                Item::Member { archive, .. } => archives[*archive].join(entry.parts.join("/")).display().to_string(),
            };
            recordings.push(Planned { place, bytes: entry.bytes, samples: vec![(sample, None)] });
            items.push(entry.item);
        }
        let supply = Supply::Items { archives, items };
        let plan = Plan { classes, sensor, same_sensor: false, recordings, samples, validation: 0, supply, notes: Vec::new() };
        plan.check()?;
        Ok(plan)
    }

    /// Refuses a set that nothing can be learned from, or whose recordings are too long.
    ///
    /// # Errors
    /// Usage, Format.
    pub fn check(&self) -> Result<()> {
        for (test, split) in [(false, "training"), (true, "test")] {
            if !self.samples.iter().any(|s| s.place.test == test) {
                return Err(Error::usage(format!("no recording is left for the {split} set")).remedy("add recordings"));
            }
        }
        if let Some(long) = self.recordings.iter().find(|r| r.bytes > limits::MAX_RECORDING_BYTES) {
            let what = format!("expected {} bytes at most, found {}", limits::MAX_RECORDING_BYTES, long.bytes);
            return Err(Error::format(what).at(&long.place).remedy("cut the recording into shorter ones"));
        }
        Ok(())
    }

    /// Digest of which sample is in which split: SHA-256 of the sorted lines `split/class/name`, each ended by a line feed.
    pub fn split_hash(&self) -> String {
        let line = |s: &Sample| {
            let split = if s.place.test { "test" } else { "train" };
            format!("{split}/{}/{}\n", self.classes[s.place.label as usize], s.name)
        };
        let mut lines: Vec<String> = self.samples.iter().map(line).collect();
        lines.sort();
        hex(&Sha256::digest(lines.concat()))
    }
}

/// Files by path, then archives in their order.
fn position(entry: &Entry) -> (bool, &[String], usize, usize) {
    match &entry.item {
        Item::File(_) => (false, &entry.parts, 0, 0),
        Item::Member { archive, index } => (true, &[], *archive, *index),
    }
}

/// Says that a set is not whole, or notes it where that is allowed.
///
/// # Errors
/// Usage.
pub(super) fn partial(what: String, allowed: bool, notes: &mut Vec<String>) -> Result<()> {
    if allowed {
        notes.push(format!("partial: {what}"));
        return Ok(());
    }
    Err(Error::usage(what).remedy("add what is missing, or go on with what is there: --allow-partial"))
}
