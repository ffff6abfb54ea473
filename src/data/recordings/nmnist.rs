//! N-MNIST: MNIST's digits before a camera that makes three saccades (Orchard, Jayawant, Cohen, Thakor 2015).
//!
//! `Train.zip` and `Test.zip` as they are, or the folders `Train` and `Test`: a file `<digit>/<number>.bin` per recording, the
//! number being the picture's position in MNIST from 1 on, in which order the samples stand. The split is the official one.

use std::path::Path;

use super::listing::{Found, list};
use super::plan::{Plan, Whole, partial};
use super::{EventOptions, Layout};
use crate::data::cache::Place;
use crate::data::verify::Observer;
use crate::error::Result;
use crate::events::Sensor;
use crate::events::nmnist::FORMAT;
use crate::plural::{counted, counted_as};

const SENSOR: Sensor = Sensor { width: 34, height: 34 };
/// Recordings of the published splits.
const PUBLISHED: [usize; 2] = [60_000, 10_000];

pub(in crate::data) const LAYOUT: Layout = Layout { plan, unpacked_list: None, turned: false };

fn plan(_: &Path, files: Vec<Found>, options: &EventOptions, _: &mut dyn Observer) -> Result<Plan> {
    let (listing, allow_partial) = (list(files)?, options.allow_partial);
    let (mut wholes, mut notes, mut others) = (Vec::new(), listing.notes, 0);
    for entry in listing.entries {
        let label = entry.folder().parse::<u16>().ok().filter(|&l| l < 10 && entry.folder().len() == 1);
        match label {
            Some(label) if FORMAT.endings.contains(&entry.ending().as_str()) => {
                let test = entry.root == "Test";
                wholes.push(Whole { entry, place: Place { label, test } });
            }
            _ => others += 1,
        }
    }
    if others > 0 {
        notes.push(format!("{} no <digit>/<number>.bin", counted_as(others, "file passed over that is", "files passed over that are")));
    }
    for (test, split) in [(false, "Train"), (true, "Test")] {
        let (found, expected) = (wholes.iter().filter(|w| w.place.test == test).count(), PUBLISHED[usize::from(test)]);
        if found != expected {
            partial(format!("{split}: expected {}, found {found}", counted(expected, "recording")), allow_partial, &mut notes)?;
        }
    }
    wholes.sort_by(|a, b| (a.entry.name(), a.place.label).cmp(&(b.entry.name(), b.place.label)));
    let classes = (0..10).map(|d| d.to_string()).collect();
    let plan = Plan::of_whole(classes, SENSOR, wholes, listing.archives)?;
    Ok(Plan { notes, ..plan })
}
