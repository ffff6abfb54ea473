//! The user's own recordings: a folder per class, in any format that [`crate::events::read`] knows.
//!
//! `DIR/train/<class>/` and `DIR/test/<class>/` if both are there; else `DIR/<class>/`, of which a seeded fifth of every class
//! becomes the test set, as with pictures. The samples of a split stand in rounds.

use std::collections::BTreeMap;
use std::path::Path;

use super::listing::{Entry, Found, list};
use super::plan::{Plan, Whole};
use super::{EventOptions, Layout, SIMULATED, supply};
use crate::data::cache::Place;
use crate::data::pictures::drawn_for_test;
use crate::data::verify::Observer;
use crate::error::{Error, Result};
use crate::events::format::recording_endings;
use crate::events::{self, Sensor};
use crate::limits;

pub(in crate::data) const LAYOUT: Layout = Layout { plan, unpacked_list: None, turned: false };

fn plan(dir: &Path, files: Vec<Found>, options: &EventOptions, _: &mut dyn Observer) -> Result<Plan> {
    let (mut listing, size) = (list(files)?, options.size);
    let mut notes = std::mem::take(&mut listing.notes);
    let has = |split: &str| listing.entries.iter().any(|e| e.root == split && e.parts.len() == 3);
    let (train, test) = (has("train"), has("test"));
    if train != test {
        let (is, is_not) = if train { ("train", "test") } else { ("test", "train") };
        let what = format!("there is a folder '{is}' but no folder '{is_not}'");
        return Err(Error::usage(what).at(dir.display()).remedy("give both, or a folder per class without either"));
    }
    let endings = recording_endings();
    let depth = if train { 3 } else { 2 };
    listing.entries.retain(|e| e.parts != [SIMULATED]);
    let (entries, others): (Vec<_>, Vec<_>) = listing.entries.into_iter().partition(|e| {
        let in_split = !train || e.root == "train" || e.root == "test";
        e.parts.len() == depth && in_split && endings.contains(&e.ending().as_str())
    });
    if !others.is_empty() {
        notes.push(format!("{} files passed over that are no recordings in a class folder", others.len()));
    }
    let learned = entries.iter().filter(|e| e.root != "test" || !train);
    let mut names: Vec<String> = learned.map(|e| e.folder().to_string()).collect();
    names.sort();
    names.dedup();
    if !(2..=limits::MAX_CLASSES).contains(&names.len()) {
        let what = format!("expected recordings in folders of 2 to {} classes, found {}", limits::MAX_CLASSES, names.len());
        return Err(Error::usage(what).at(dir.display()).remedy(format!("recordings end in .{}", endings.join(", ."))));
    }
    let mut wholes = in_rounds(entries, &names, train, options.seed)?;
    wholes.sort_by_key(|(round, whole)| (*round, whole.place.label));
    let wholes: Vec<Whole> = wholes.into_iter().map(|(_, whole)| whole).collect();
    let sensor = match size {
        Some(size) => size,
        None => sensor_of(&wholes[0].entry)?,
    };
    let plan = Plan::of_whole(names, sensor, wholes, listing.archives).map_err(|e| e.at(dir.display()))?;
    Ok(Plan { same_sensor: size.is_none(), notes, ..plan })
}

/// (position in its class and split, sample).
fn in_rounds(entries: Vec<Entry>, names: &[String], divided: bool, seed: u64) -> Result<Vec<(usize, Whole)>> {
    let mut folders: BTreeMap<(bool, usize), Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        let Some(label) = names.iter().position(|n| n == entry.folder()) else {
            let what = format!("the class '{}' is in the test folder but not in the training folder", entry.folder());
            return Err(Error::usage(what).remedy("both must have the same class folders"));
        };
        folders.entry((divided && entry.root == "test", label)).or_default().push(entry);
    }
    let mut wholes = Vec::new();
    for ((test, label), mut files) in folders {
        files.sort_by(|a, b| a.parts.cmp(&b.parts));
        let drawn = if divided { vec![test; files.len()] } else { drawn_for_test(files.len(), seed, label) };
        let mut rounds = [0, 0];
        for (entry, test) in files.into_iter().zip(drawn) {
            let round = &mut rounds[usize::from(test)];
            wholes.push((*round, Whole { entry, place: Place { label: label as u16, test } }));
            *round += 1;
        }
    }
    Ok(wholes)
}

/// The sensor that the format of a recording has.
fn sensor_of(entry: &Entry) -> Result<Sensor> {
    let bytes = supply::read(&entry.item, &[], &mut None)?;
    let place = entry.parts.join("/");
    let recording = events::read(&bytes, &place)?;
    recording.sensor.ok_or_else(|| {
        Error::usage("the format of this recording does not say how large the sensor is")
            .at(place)
            .remedy("say it: --size WIDTHxHEIGHT, e.g. --size 128x128")
    })
}
