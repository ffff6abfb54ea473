//! The frames of a curriculum: the same recordings, cut for every T that it has.

use super::frame_set::FrameSet;
use super::{Dataset, Preparation, Split};
use crate::error::Result;
use crate::shape::Chw;
use crate::values::Values;

/// A set of frames for every T; the last one speaks for all where T makes no difference.
pub struct Stages(Vec<FrameSet>);

impl Stages {
    /// Of the same recordings; `sets` has one at least.
    pub fn new(sets: Vec<FrameSet>) -> Stages {
        Stages(sets)
    }

    fn last(&self) -> &FrameSet {
        &self.0[self.0.len() - 1]
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
        self.0.iter().find(|set| set.steps == steps).map(|set| set as &dyn Dataset)
    }
    fn classes(&self) -> &[String] {
        self.last().classes()
    }
    fn labels(&self, split: Split) -> &[u16] {
        self.last().labels(split)
    }
    fn notes(&self) -> &[String] {
        self.last().notes()
    }
    fn fingerprint(&self) -> &str {
        self.last().fingerprint()
    }
    fn simulated(&self) -> bool {
        self.last().simulated
    }
    fn bytes(&self) -> usize {
        self.0.iter().map(|set| set.bytes()).sum()
    }
    fn assemble(&self, split: Split, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Result<Values> {
        self.last().assemble(split, indices, prep, augment)
    }
}
