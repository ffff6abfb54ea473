//! Prepared frames, and what was found on the way.

use std::fs;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::EventOptions;
use crate::data::cache::{Cache, Entry, Place};
use crate::data::frame_set::{FrameSet, FrameSplit};
use crate::data::own::warning;
use crate::data::{hex, limited};
use crate::frames::Quality;
use crate::plural::{counted, counted_as, either};

/// Classes that a note names.
const NAMED: usize = 3;

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
        notes.extend(without_events(&cache));
        notes.extend(with_gaps(&cache));
        let bytes = fs::metadata(cache.path()).map_or(0, |m| m.len());
        Prepared { cache, quality, duration, bytes, built, notes }
    }

    /// `[2][classes]`: samples for training and for the test.
    pub fn per_class(&self) -> [Vec<usize>; 2] {
        let about = self.cache.about();
        let [train, _, test] = splits(self.cache.entries().iter().map(|entry| entry.place), about.validation);
        let mut counts = [(); 2].map(|()| vec![0; about.classes.len()]);
        for (counts, split) in counts.iter_mut().zip([train, test]) {
            for label in split.labels {
                if let Some(n) = counts.get_mut(label as usize) {
                    *n += 1;
                }
            }
        }
        counts
    }

    pub(super) fn into_set(self, options: &EventOptions) -> FrameSet {
        let about = self.cache.about().clone();
        let [train, validation, test] = splits(self.cache.entries().iter().map(|entry| entry.place), about.validation);
        let mut set = FrameSet {
            name: about.set,
            sensor: self.cache.sensor(),
            steps: about.steps,
            classes: about.classes,
            train,
            validation,
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

/// Samples of which nothing is there, by class.
fn without_events(cache: &Cache) -> Option<String> {
    let all = cache.entries();
    let nothing = |e: &&Entry| e.quality.events == e.quality.out_of_range;
    let empty = all.iter().filter(nothing).count();
    let of_class = |(label, name): (usize, &String)| {
        let here = || all.iter().filter(|e| usize::from(e.place.label) == label);
        let empty = here().filter(nothing).count();
        (empty > 0).then(|| format!("{name} {empty} of {}", here().count()))
    };
    let mut classes: Vec<String> = cache.about().classes.iter().enumerate().filter_map(of_class).collect();
    if classes.len() > NAMED {
        let more = classes.len() - NAMED;
        classes.truncate(NAMED);
        classes.push(counted_as(more, "more class", "more classes"));
    }
    let all = all.len();
    (empty > 0).then(|| {
        let (recordings, hold, them) = (counted(all, "recording"), either(empty, "holds", "hold"), either(empty, "it", "them"));
        warning(format!("{empty} of {recordings} {hold} no events (class {}): nothing can be learned of {them}", classes.join(", ")))
    })
}

/// Samples whose frames are empty for the most part.
fn with_gaps(cache: &Cache) -> Option<String> {
    let (all, steps) = (cache.entries(), cache.about().steps);
    let gaps = |e: &&Entry| e.quality.events > e.quality.out_of_range && 2 * e.quality.empty_frames >= steps as u64;
    let found = all.iter().filter(gaps).count();
    let share = 100.0 * found as f64 / all.len().max(1) as f64;
    let (empty, seconds) =
        (all.iter().map(|e| e.quality.empty_frames).sum::<u64>(), all.iter().map(|e| e.duration as f64 / 1e6).sum::<f64>());
    let frames = steps * all.len();
    let what = format!(
        "{found} of {} ({share:.1} %) {} no event in half of {} {steps} frames or more ({empty} of {frames} frames {} empty, \
         {seconds:.1} s in all): gaps in time, or few events; spiketrain data inspect FILE shows one",
        counted(all.len(), "recording"),
        either(found, "has", "have"),
        either(found, "its", "their"),
        either(empty, "is", "are")
    );
    (steps > 1 && found > 0).then(|| warning(what))
}

/// Training, validation and test samples of those that stand at these places, in the order of their numbers; `validation`: how many of
/// the last ones that are not for the test are to choose by.
pub(super) fn splits(places: impl Iterator<Item = Place>, validation: usize) -> [FrameSplit; 3] {
    let mut both = [FrameSplit::default(), FrameSplit::default()];
    for (at, place) in (0..).zip(places) {
        let split = &mut both[usize::from(place.test)];
        split.labels.push(place.label);
        split.at.push(at);
    }
    let [mut train, test] = both;
    let learned = train.labels.len().saturating_sub(validation);
    let validation = FrameSplit { labels: train.labels.split_off(learned), at: train.at.split_off(learned) };
    [train, validation, test]
}

/// Applies the limits, says so, and tells limited sets from whole ones. Recordings often lie class by class, so a limit takes the
/// classes in turn: the first of each, the second of each…
pub(super) fn limit(set: &mut FrameSet, options: &EventOptions) {
    let splits = [(&mut set.train, options.train_limit, "train"), (&mut set.test, options.test_limit, "test")];
    for (samples, limit, split) in splits {
        let have = samples.labels.len();
        let (kept, note) = limited(have, limit, split);
        if kept < have {
            let mut chosen = in_turn(&samples.labels);
            chosen.truncate(kept);
            chosen.sort_unstable();
            samples.labels = chosen.iter().map(|&i| samples.labels[i]).collect();
            samples.at = chosen.iter().map(|&i| samples.at[i]).collect();
            set.fingerprint = hex(&Sha256::digest(format!("{} {split} {kept} in turn", set.fingerprint)));
        }
        set.notes.extend(note.map(|n| if kept < have { format!("{n}, the classes in turn") } else { n }));
    }
}

/// Indices of samples: the first of every class, the second of every class…
fn in_turn(labels: &[u16]) -> Vec<usize> {
    let mut seen = vec![0usize; labels.iter().map(|&l| usize::from(l) + 1).max().unwrap_or(0)];
    let round = |label: &u16| {
        let n = &mut seen[usize::from(*label)];
        *n += 1;
        *n
    };
    let rounds: Vec<usize> = labels.iter().map(round).collect();
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|&i| rounds[i]);
    order
}

#[cfg(test)]
mod tests {
    use super::in_turn;

    #[test]
    fn a_limit_takes_the_classes_in_turn() {
        assert_eq!(in_turn(&[0, 0, 0, 2, 1, 1]), [0, 3, 4, 1, 5, 2]);
    }
}
