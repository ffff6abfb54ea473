//! DVS-CIFAR10 (CIFAR10-DVS): CIFAR10's pictures moved before a DVS128 (Li, Liu, Ji, Li, Shi 2017).
//!
//! A zip per class, as they are, or a folder per class: 1,000 AEDAT 2.0 files each. The set has no official split; this is the
//! method's: by the byte-wise order of names the first 900 train, the last 100 test.

use std::path::Path;

use super::listing::{Entry, Found, list};
use super::plan::{Plan, Whole, partial};
use super::{EventOptions, Layout};
use crate::data::cache::Place;
use crate::data::verify::Observer;
use crate::error::Result;
use crate::events::Sensor;
use crate::events::aedat2::FORMAT;
use crate::plural::counted_as;

const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Recordings per class as published; nine tenths are for training.
const PER_CLASS: usize = 1000;

/// Turned as SpikingJelly reads the set.
pub(in crate::data) const LAYOUT: Layout = Layout { plan, unpacked_list: None, turned: true };

fn plan(_: &Path, files: Vec<Found>, options: &EventOptions, _: &mut dyn Observer) -> Result<Plan> {
    let (listing, allow_partial) = (list(files)?, options.allow_partial);
    let mut classes: [Vec<Entry>; 10] = Default::default();
    let (mut notes, mut others) = (listing.notes, 0);
    for entry in listing.entries {
        match CLASSES.iter().position(|c| *c == entry.root) {
            Some(c) if FORMAT.endings.contains(&entry.ending().as_str()) => classes[c].push(entry),
            _ => others += 1,
        }
    }
    if others > 0 {
        notes.push(format!("{} no .aedat", counted_as(others, "file passed over that is", "files passed over that are")));
    }
    let mut keyed = Vec::new();
    for (label, mut files) in classes.into_iter().enumerate() {
        files.sort_by(|a, b| a.name().as_bytes().cmp(b.name().as_bytes()));
        let train = files.len() * 9 / 10;
        if files.len() != PER_CLASS {
            let what = format!("{}: expected {PER_CLASS} recordings, found {}", CLASSES[label], files.len());
            partial(format!("{what} ({train} train, {} test)", files.len() - train), allow_partial, &mut notes)?;
        }
        let place = |i: usize| Place { label: label as u16, test: i >= train };
        keyed.extend(files.into_iter().enumerate().map(|(i, entry)| (i, Whole { entry, place: place(i) })));
    }
    // In rounds, the first of every class, the second of every class…, so that a limit on their number keeps all classes.
    keyed.sort_by_key(|(i, whole)| (*i, whole.place.label));
    let wholes = keyed.into_iter().map(|(_, whole)| whole).collect();
    let plan = Plan::of_whole(CLASSES.map(String::from).to_vec(), Sensor::DVS128, wholes, listing.archives)?;
    Ok(Plan { notes, ..plan })
}
