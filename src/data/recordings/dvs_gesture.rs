//! DVS-Gesture: eleven gestures of 29 people under five kinds of light (Amir and others, IBM, 2017).
//!
//! `DvsGesture.tar.gz` as it is, or what is in it: recordings `user01_led.aedat` (AEDAT 3.1) with their `user01_led_labels.csv`, and
//! the lists `trials_to_train.txt` and `trials_to_test.txt`. A sample is a line of labels: the events with start ≤ t < end. Samples
//! stand in the order of the lists and, within a recording, of the lines.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::listing::{Found, Listing, list, twice};
use super::plan::{Plan, Planned, Sample, Window, partial};
use super::supply::{Item, Supply, TarList, list_tar, read_file};
use super::{EventOptions, Layout};
use crate::data::cache::Place;
use crate::data::verify::Observer;
use crate::error::{Error, Result};
use crate::events::aedat3::FORMAT;
use crate::events::{Sensor, labels};
use crate::limits;

/// By number, from 1 on.
const CLASSES: [&str; labels::CLASSES as usize] = [
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
];
/// The lists of recordings, train and test.
const LISTS: [&str; 2] = ["trials_to_train.txt", "trials_to_test.txt"];

/// The set's files may also lie in its folder itself.
pub(in crate::data) const LAYOUT: Layout = Layout { plan: plan_any, unpacked_list: Some(LISTS[0]), turned: false };

fn plan_any(folder: &Path, files: Vec<Found>, options: &EventOptions, watch: &mut dyn Observer) -> Result<Plan> {
    match files.first().filter(|f| f.path.to_string_lossy().ends_with(".tar.gz")) {
        Some(Found { path, .. }) => plan_tar(path, list_tar(path, [FORMAT.endings, &TEXTS], watch)?, options.allow_partial),
        None => plan_folder(folder, list(files)?, options.allow_partial),
    }
}

/// Endings of lists and labels.
const TEXTS: [&str; 2] = ["csv", "txt"];

/// What the set consists of, wherever it lies.
struct Parts {
    /// Where, for messages.
    place: String,
    /// (name, place for messages, bytes), in the order of the supply.
    recordings: Vec<(String, String, u64)>,
    texts: HashMap<String, Vec<u8>>,
    supply: Supply,
    notes: Vec<String>,
}

/// The set as a folder.
fn plan_folder(folder: &Path, listing: Listing, allow_partial: bool) -> Result<Plan> {
    let (mut recordings, mut items, mut texts) = (BTreeMap::new(), Vec::new(), HashMap::new());
    for entry in listing.entries {
        let (name, Item::File(path)) = (entry.name().to_string(), &entry.item) else { continue };
        let known = match entry.ending().as_str() {
            ending if FORMAT.endings.contains(&ending) => recordings.insert(name, (path.clone(), entry.bytes)).is_some(),
            ending if TEXTS.contains(&ending) => texts.insert(name, read_file(path, limits::MAX_TEXT_BYTES)?).is_some(),
            _ => false,
        };
        if known {
            return Err(twice(folder, entry.name()).remedy("remove one of the files of this name"));
        }
    }
    let mut list = Vec::new();
    for (name, (path, bytes)) in recordings {
        list.push((name, path.display().to_string(), bytes));
        items.push(Item::File(path));
    }
    let supply = Supply::Items { archives: Vec::new(), items };
    let place = folder.display().to_string();
    plan(Parts { place, recordings: list, texts, supply, notes: listing.notes }, allow_partial)
}

/// The set as a .tar.gz.
fn plan_tar(path: &Path, list: TarList, allow_partial: bool) -> Result<Plan> {
    let name = |p: &str| p.rsplit('/').next().unwrap_or(p).to_string();
    let recordings = list.recordings.iter().map(|r| (name(&r.path), path.join(&r.path).display().to_string(), r.bytes)).collect();
    let members = list.recordings.into_iter().map(|r| r.path).collect();
    let supply = Supply::Tar { path: path.to_owned(), members };
    plan(Parts { place: path.display().to_string(), recordings, texts: list.texts, supply, notes: list.notes }, allow_partial)
}

fn plan(parts: Parts, allow_partial: bool) -> Result<Plan> {
    let mut notes = parts.notes;
    let trials = trials(&parts.texts).map_err(|e| e.at(&parts.place))?;
    let listed: HashSet<&str> = trials.iter().map(|(name, _)| name.as_str()).collect();
    let mut recordings: Vec<Planned> = Vec::with_capacity(parts.recordings.len());
    let mut number = HashMap::new();
    for (name, place, bytes) in parts.recordings {
        if !listed.contains(name.as_str()) {
            let what = format!("{name} is neither in {} nor in {}", LISTS[0], LISTS[1]);
            partial(what, allow_partial, &mut notes).map_err(|e| {
                e.at(&parts.place).remedy("remove the recording or put it into one of the lists; or leave it out: --allow-partial")
            })?;
        }
        number.insert(name, recordings.len());
        recordings.push(Planned { place, bytes, samples: Vec::new() });
    }
    let mut samples = Vec::new();
    for (name, test) in &trials {
        let Some(&r) = number.get(name) else {
            let list = LISTS[usize::from(*test)];
            partial(format!("{list} names {name}, which is not there"), allow_partial, &mut notes).map_err(|e| e.at(&parts.place))?;
            continue;
        };
        for (line, (label, window)) in gestures(name, &parts.texts, &mut notes).map_err(|e| e.at(&parts.place))?.into_iter().enumerate() {
            recordings[r].samples.push((samples.len() as u32, Some(window)));
            let place = Place { label, test: *test };
            samples.push(Sample { place, name: format!("{name}#{}", line + 1) });
        }
    }
    let classes = CLASSES.map(String::from).to_vec();
    let (sensor, supply) = (Sensor::DVS128, parts.supply);
    let plan = Plan { classes, sensor, same_sensor: false, recordings, samples, validation: 0, supply, notes };
    plan.check().map_err(|e| e.at(&parts.place))?;
    Ok(plan)
}

/// (recording, whether it is for the test), train before test.
fn trials(texts: &HashMap<String, Vec<u8>>) -> Result<Vec<(String, bool)>> {
    let (mut trials, mut seen) = (Vec::new(), HashSet::new());
    for (test, list) in [(false, LISTS[0]), (true, LISTS[1])] {
        let Some(text) = texts.get(list) else {
            return Err(Error::usage(format!("expected {list} beside the recordings, found none")).remedy("unpack the set again"));
        };
        for name in labels::parse_trials(text, list)? {
            if !seen.insert(name.clone()) {
                return Err(Error::format(format!("{name} is in both lists")).at(list).remedy("remove it from one of them"));
            }
            trials.push((name, test));
        }
    }
    Ok(trials)
}

/// (class from 0, window) of every line.
fn gestures(recording: &str, texts: &HashMap<String, Vec<u8>>, notes: &mut Vec<String>) -> Result<Vec<(u16, Window)>> {
    let file = format!("{}_labels.csv", recording.strip_suffix(".aedat").unwrap_or(recording));
    let Some(text) = texts.get(&file) else {
        return Err(Error::usage(format!("expected {file} beside {recording}, found none")).remedy("unpack the set again"));
    };
    let labels = labels::parse(text, &file)?;
    notes.extend(labels.notes);
    Ok(labels.labels.into_iter().map(|l| (l.class - 1, (l.start, l.end))).collect())
}
