//! A small file of prepared frames.

use std::path::Path;

use spiketrain::data::cache::part::{Block, Part};
use spiketrain::data::cache::{About, Cache, Place};
use spiketrain::data::sets;
use spiketrain::error::Result;
use spiketrain::events::Sensor;
use spiketrain::frames::{Quality, SplitBy, cells};
use spiketrain::storage::{Digest256, Storage};

use crate::tiny::random;

pub const KEY: Digest256 = [7; 32];
const SENSOR: Sensor = Sensor { width: 16, height: 12 };
const STEPS: usize = 4;
/// Samples of each recording, in the order in which they are written.
const ORDER: [&[u32]; 4] = [&[4, 0], &[2], &[], &[3, 1, 5]];

fn block(sample: u32) -> Block {
    let mut rng = random(3, u64::from(sample));
    let counts: Vec<u16> = (0..cells(SENSOR, STEPS)).map(|_| rng.below(4) as u16).collect();
    Block::new(sample, &counts, Quality::default(), 1000)
}

/// Builds, or goes on with, the file at `path`.
pub fn build(storage: &dyn Storage, path: &Path) -> Result<Cache> {
    let order = ORDER.map(|r| r.to_vec()).to_vec();
    let (mut part, done) = Part::begin(storage, path, KEY, cells(SENSOR, STEPS), &order)?;
    for recording in &ORDER[done..] {
        let blocks: Vec<Block> = recording.iter().map(|&sample| block(sample)).collect();
        part.put(&blocks)?;
        part.flush()?;
    }
    let about = About {
        set: sets::EVENTS,
        width: SENSOR.width,
        height: SENSOR.height,
        steps: STEPS,
        split_by: SplitBy::Number,
        classes: vec!["a".into(), "b".into()],
        split_hash: "s".into(),
        validation: 0,
        fingerprint: String::new(),
        simulated: false,
        notes: vec![],
    };
    let places: Vec<Place> = (0..6).map(|i| Place { label: i % 2, test: i >= 4 }).collect();
    part.finish(about, &places)
}
