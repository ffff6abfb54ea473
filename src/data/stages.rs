//! The frames of a curriculum: the same recordings, cut for every T that it has.

use super::frame_set::FrameSet;
use super::{Dataset, Preparation, Split};
use crate::error::Result;
use crate::shape::Chw;
use crate::values::Values;

/// A set of frames for every T; the last one speaks for all where T makes no difference.
pub struct Stages {
    sets: Vec<FrameSet>,
    /// What any of them has to say.
    notes: Vec<String>,
}

impl Stages {
    /// Of the same recordings; `sets` has one at least.
    pub fn new(sets: Vec<FrameSet>) -> Stages {
        let mut notes: Vec<String> = Vec::new();
        for note in sets.iter().flat_map(|set| &set.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        Stages { sets, notes }
    }

    fn last(&self) -> &FrameSet {
        &self.sets[self.sets.len() - 1]
    }
}

impl Dataset for Stages {
    fn name(&self) -> &str {
        self.last().name.as_str()
    }
    fn shape(&self, prep: &Preparation) -> Chw {
        self.last().shape(prep)
    }
    fn steps(&self) -> Option<usize> {
        Some(self.last().steps)
    }
    fn in_steps(&self, steps: usize) -> Option<&dyn Dataset> {
        self.sets.iter().find(|set| set.steps == steps).map(|set| set as &dyn Dataset)
    }
    fn classes(&self) -> &[String] {
        self.last().classes()
    }
    fn labels(&self, split: Split) -> &[u16] {
        self.last().labels(split)
    }
    fn notes(&self) -> &[String] {
        &self.notes
    }
    fn fingerprint(&self) -> &str {
        self.last().fingerprint()
    }
    fn simulated(&self) -> bool {
        self.last().simulated
    }
    fn bytes(&self) -> usize {
        self.sets.iter().map(|set| set.bytes()).sum()
    }
    fn assemble(&self, split: Split, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Result<Values> {
        self.last().assemble(split, indices, prep, augment)
    }
}
