//! What training needs of a data set, be it pictures or frames of events.

use super::frame_set::{FrameSet, FrameSplit};
use super::{ImageSet, Preparation, Samples, assemble, batch::assemble_frames};
use crate::error::Result;
use crate::shape::Chw;
use crate::values::Values;

/// Which samples of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// What a network learns from.
    Train,
    /// What the best epoch is chosen by, where the user has a folder of such samples; else there are none.
    Validation,
    /// What it is judged on.
    Test,
}

/// Samples with labels, ready to be made into batches.
pub trait Dataset: Send + Sync {
    /// What it is called.
    fn name(&self) -> &str;
    /// Shape of one sample at one step after `prep`.
    fn shape(&self, prep: &Preparation) -> Chw;
    /// T of the frames of events; `None` for pictures, which serve any T. This alone tells frames from pictures.
    fn steps(&self) -> Option<usize>;
    /// The same samples at this T; `None` if there are no frames of it. Pictures serve any.
    fn in_steps(&self, steps: usize) -> Option<&dyn Dataset>;
    /// Names of the classes; a label is an index into them.
    fn classes(&self) -> &[String];
    /// `[N]` of a split.
    fn labels(&self, split: Split) -> &[u16];
    /// What the user should know.
    fn notes(&self) -> &[String];
    /// Two sets with the same one are the same data.
    fn fingerprint(&self) -> &str;
    /// True if the events were computed from pictures and no camera saw them.
    fn simulated(&self) -> bool;
    /// Bytes that the samples take of memory.
    fn bytes(&self) -> usize;
    /// The samples at `indices`, prepared: pictures as `[B,C,H,W]`, frames as `[T,B,C,H,W]`, as they are stored; augmented if `augment` gives (seed, epoch).
    ///
    /// # Errors
    /// Storage or Format: a sample cannot be read.
    fn assemble(&self, split: Split, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Result<Values>;
}

impl ImageSet {
    fn samples(&self, split: Split) -> &Samples {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

impl Dataset for ImageSet {
    fn name(&self) -> &str {
        self.name.as_str()
    }
    fn shape(&self, _: &Preparation) -> Chw {
        self.shape
    }
    fn steps(&self) -> Option<usize> {
        None
    }
    fn in_steps(&self, _: usize) -> Option<&dyn Dataset> {
        Some(self)
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn labels(&self, split: Split) -> &[u16] {
        &self.samples(split).labels
    }
    fn notes(&self) -> &[String] {
        &self.notes
    }
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
    fn simulated(&self) -> bool {
        false
    }
    fn bytes(&self) -> usize {
        [&self.train, &self.validation, &self.test].iter().map(|samples| samples.pixels.len()).sum()
    }
    fn assemble(&self, split: Split, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Result<Values> {
        Ok(assemble(self.samples(split), self.shape, indices, prep, augment))
    }
}

impl FrameSet {
    fn split(&self, split: Split) -> &FrameSplit {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

impl Dataset for FrameSet {
    fn name(&self) -> &str {
        self.name.as_str()
    }
    fn shape(&self, prep: &Preparation) -> Chw {
        prep.resize.shape(self.sensor)
    }
    fn steps(&self) -> Option<usize> {
        Some(self.steps)
    }
    fn in_steps(&self, steps: usize) -> Option<&dyn Dataset> {
        (self.steps == steps).then_some(self as &dyn Dataset)
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn labels(&self, split: Split) -> &[u16] {
        &self.split(split).labels
    }
    fn notes(&self) -> &[String] {
        &self.notes
    }
    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
    fn simulated(&self) -> bool {
        self.simulated
    }
    fn bytes(&self) -> usize {
        let per_sample = size_of::<u16>() + size_of::<u32>();
        self.source.bytes() + per_sample * (self.train.labels.len() + self.validation.labels.len() + self.test.labels.len())
    }
    fn assemble(&self, split: Split, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Result<Values> {
        assemble_frames(self, self.split(split), indices, prep, augment)
    }
}
