//! The user's own recordings: a folder per class, in any format that [`crate::events::read`] knows.
//!
//! `DIR/train/<class>/` and `DIR/test/<class>/` if both are there, and with them `DIR/val/<class>/` to choose the best epoch by; else `DIR/<class>/`, of which a seeded fifth of every class
//! becomes the test set, as with pictures. Recordings in folders below a class folder belong to the class. The samples of a split stand in rounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::listing::{Entry, Found, list};
use super::plan::{Plan, Whole};
use super::{EventOptions, Layout, SIMULATED, supply};
use crate::data::cache::Place;
use crate::data::own::{self, Content};
use crate::data::pictures::drawn_for_test;
use crate::data::verify::Observer;
use crate::error::{Error, Result};
use crate::events::format::recording_endings;
use crate::events::{self, Sensor, npz};
use crate::limits;
use crate::plural::counted_as;

pub(in crate::data) const LAYOUT: Layout = Layout { plan, unpacked_list: None, turned: false };

fn plan(dir: &Path, files: Vec<Found>, options: &EventOptions, _: &mut dyn Observer) -> Result<Plan> {
    let (mut listing, size) = (list(files)?, options.size);
    let mut notes = std::mem::take(&mut listing.notes);
    let inner = listing.entries.iter().filter(|e| e.parts.len() >= 3).map(|e| e.root.as_str());
    let [train, test] = ["train", "test"].map(|split| own::called(inner.clone(), split).map(String::from));
    if train.is_some() != test.is_some() {
        let (is, is_not) = if train.is_some() { ("train", "test") } else { ("test", "train") };
        let what = format!("there is a folder '{is}' but no folder '{is_not}'");
        return Err(Error::usage(what).at(dir.display()).remedy("give both, or a folder per class without either"));
    }
    let endings = recording_endings();
    listing.entries.retain(|e| e.parts != [SIMULATED]);
    let choosing = own::validation(listing.entries.iter().filter(|e| e.parts.len() >= 3).map(|e| e.root.as_str())).map(String::from);
    let splits = train.zip(test);
    let choosing = choosing.filter(|_| splits.is_some());
    let chooses = |e: &Entry| choosing.as_ref().is_some_and(|folder| e.root == *folder);
    let in_split = |e: &Entry| splits.as_ref().is_none_or(|(train, test)| e.root == *train || e.root == *test || chooses(e));
    let depth = if splits.is_some() { 3 } else { 2 };
    let (entries, others): (Vec<_>, Vec<_>) =
        listing.entries.into_iter().partition(|e| e.parts.len() >= depth && in_split(e) && endings.contains(&e.ending().as_str()));
    notes.extend(what_else(&others, &endings, in_split));
    let below: Vec<&Entry> = entries.iter().filter(|e| e.parts.len() > depth).collect();
    notes.extend(own::deeper(below.len(), &below.first().map_or(String::new(), |e| e.parts.join("/")), splits.is_some()));
    let entries = entries.into_iter().map(|e| Own {
        chooses: chooses(&e),
        test: splits.as_ref().map(|(_, test)| e.root == *test),
        class: e.parts[depth - 2].clone(),
        entry: e,
    });
    let entries: Vec<Own> = entries.collect();
    let mut names: Vec<String> = entries.iter().filter(|e| e.test != Some(true) && !e.chooses).map(|e| e.class.clone()).collect();
    names.sort();
    names.dedup();
    if !(2..=limits::MAX_CLASSES).contains(&names.len()) {
        let what = format!("expected recordings in folders of 2 to {} classes, found {}", limits::MAX_CLASSES, names.len());
        return Err(Error::usage(what).at(dir.display()).remedy(format!("recordings end in .{}", endings.join(", ."))));
    }
    let (choosing, entries): (Vec<Own>, Vec<Own>) = entries.into_iter().partition(|e| e.chooses);
    let folder = choosing.first().map(|e| e.entry.root.clone());
    let mut wholes = in_rounds(entries, &names, options.seed)?;
    let tested: Vec<bool> =
        (0..names.len()).map(|label| wholes.iter().any(|w| w.place.test && usize::from(w.place.label) == label)).collect();
    notes.extend(own::untested(&names, &tested));
    notes.extend(in_both(&wholes, &listing.archives)?);
    let choosing = in_rounds(choosing, &names, options.seed)?;
    let validation = choosing.len();
    notes.extend(folder.map(|folder| own::chosen_by(&folder, validation)));
    // Behind the others that are not for the test.
    wholes.extend(choosing);
    let sensor = match size {
        Some(size) => size,
        None => sensor_of(&wholes[0].entry)?,
    };
    let plan = Plan::of_whole(names, sensor, wholes, listing.archives).map_err(|e| e.at(dir.display()))?;
    Ok(Plan { same_sensor: size.is_none(), validation, notes, ..plan })
}

/// A recording in its class folder.
struct Own {
    entry: Entry,
    class: String,
    /// Whether it lies in the folder for the test; `None`: there is none.
    test: Option<bool>,
    /// Whether it lies in the folder for validation.
    chooses: bool,
}

/// What is said about files that are not used: folders beside those of the splits by name, others by number.
fn what_else(others: &[Entry], endings: &[&str], in_split: impl Fn(&Entry) -> bool) -> Vec<String> {
    let is_beside = |e: &&Entry| !in_split(e) && e.parts.len() >= 3 && endings.contains(&e.ending().as_str());
    let mut beside: Vec<&str> = others.iter().filter(is_beside).map(|e| e.root.as_str()).collect();
    let rest = others.len() - beside.len();
    beside.dedup();
    let passed = (rest > 0).then(|| {
        format!(
            "{} in a class folder",
            counted_as(rest, "file passed over that is no recording", "files passed over that are no recordings")
        )
    });
    own::unused(&beside).into_iter().chain(passed).collect()
}

/// Warns of recordings that are in both splits.
fn in_both(wholes: &[Whole], archives: &[PathBuf]) -> Result<Option<String>> {
    let content = |w: &Whole| Content { key: w.entry.item.clone(), bytes: w.entry.bytes, test: w.place.test };
    let mut opened = None;
    own::in_both(&wholes.iter().map(content).collect::<Vec<_>>(), |item| supply::read(item, archives, &mut opened))
}

/// The samples of a split in rounds: the first of every class, the second of every class…
fn in_rounds(entries: Vec<Own>, names: &[String], seed: u64) -> Result<Vec<Whole>> {
    let mut folders: BTreeMap<(Option<bool>, usize), Vec<Entry>> = BTreeMap::new();
    for Own { entry, class, test, .. } in entries {
        let Some(label) = names.iter().position(|n| *n == class) else {
            let folder = if test == Some(true) { "test" } else { "validation" };
            let what = format!("the class '{class}' is in the {folder} folder but not in the training folder");
            return Err(Error::usage(what).remedy("all must have the same class folders"));
        };
        folders.entry((test, label)).or_default().push(entry);
    }
    let mut wholes = Vec::new();
    for ((test, label), mut files) in folders {
        files.sort_by(|a, b| a.parts.cmp(&b.parts));
        let drawn = test.map_or_else(|| drawn_for_test(files.len(), seed, label), |test| vec![test; files.len()]);
        let mut rounds = [0, 0];
        for (entry, test) in files.into_iter().zip(drawn) {
            let round = &mut rounds[usize::from(test)];
            wholes.push((*round, Whole { entry, place: Place { label: label as u16, test } }));
            *round += 1;
        }
    }
    wholes.sort_by_key(|(round, whole): &(usize, Whole)| (*round, whole.place.label));
    Ok(wholes.into_iter().map(|(_, whole)| whole).collect())
}

/// The sensor that the format of a recording has.
fn sensor_of(entry: &Entry) -> Result<Sensor> {
    let bytes = supply::read(&entry.item, &[], &mut None)?;
    let place = entry.parts.join("/");
    if npz::holds_frames(&bytes) {
        return Ok(npz::read_frames(&bytes, &place)?.sensor());
    }
    let recording = events::read(&bytes, &place)?;
    recording.sensor.ok_or_else(|| {
        Error::usage("the format of this recording does not say how large the sensor is")
            .at(place)
            .remedy("say it: --size WIDTHxHEIGHT, e.g. --size 128x128")
    })
}
