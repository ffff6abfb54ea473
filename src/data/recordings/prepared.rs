//! Prepared frames, and what was found on the way.

use std::fs;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::EventOptions;
use crate::data::cache::Cache;
use crate::data::frame_set::{FrameSet, FrameSplit};
use crate::data::{hex, limited};
use crate::frames::Quality;

/// What building a cache took, without what an interrupted run had done before.
#[derive(Clone, Copy, Debug)]
pub struct Built {
    /// From finding the files to the cache under its name.
    pub seconds: f64,
    /// Events decoded.
    pub events: u64,
}

/// Prepared frames, and what was found on the way.
pub struct Prepared {
    /// The open cache.
    pub cache: Cache,
    /// Sum over all samples.
    pub quality: Quality,
    /// Sum of the samples' durations, in µs.
    pub duration: u64,
    /// Of the cache file.
    pub bytes: u64,
    /// `None` if the cache was there.
    pub built: Option<Built>,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Prepared {
    pub(super) fn new(cache: Cache, built: Option<Built>, mut notes: Vec<String>) -> Self {
        notes.extend(cache.about().notes.iter().cloned());
        let (mut quality, mut duration) = (Quality::default(), 0u64);
        for entry in cache.entries() {
            quality += entry.quality;
            duration = duration.saturating_add(entry.duration);
        }
        let bytes = fs::metadata(cache.path()).map_or(0, |m| m.len());
        Prepared { cache, quality, duration, bytes, built, notes }
    }

    /// `[2][classes]`: samples for training and for the test.
    pub fn per_class(&self) -> [Vec<usize>; 2] {
        let mut counts = [(); 2].map(|()| vec![0; self.cache.about().classes.len()]);
        for entry in self.cache.entries() {
            if let Some(n) = counts[usize::from(entry.place.test)].get_mut(entry.place.label as usize) {
                *n += 1;
            }
        }
        counts
    }

    pub(super) fn into_set(self, options: &EventOptions) -> FrameSet {
        let (mut train, mut test) = (FrameSplit::default(), FrameSplit::default());
        for (at, entry) in (0..).zip(self.cache.entries()) {
            let split = if entry.place.test { &mut test } else { &mut train };
            split.labels.push(entry.place.label);
            split.at.push(at);
        }
        let about = self.cache.about().clone();
        let mut set = FrameSet {
            name: about.set,
            sensor: self.cache.sensor(),
            steps: about.steps,
            classes: about.classes,
            train,
            test,
            simulated: about.simulated,
            notes: self.notes,
            fingerprint: about.fingerprint,
            source: Arc::new(self.cache),
        };
        limit(&mut set, options);
        set
    }
}

/// Applies the limits, says so, and tells limited sets from whole ones.
fn limit(set: &mut FrameSet, options: &EventOptions) {
    let splits = [(&mut set.train, options.train_limit, "train"), (&mut set.test, options.test_limit, "test")];
    for (samples, limit, split) in splits {
        let have = samples.labels.len();
        let (kept, note) = limited(have, limit, split);
        if kept < have {
            samples.labels.truncate(kept);
            samples.at.truncate(kept);
            set.fingerprint = hex(&Sha256::digest(format!("{} {split} {kept}", set.fingerprint)));
        }
        set.notes.extend(note);
    }
}
