//! A set of event recordings as frames, ready to train on.

use std::sync::Arc;

use super::DatasetName;
use crate::events::Sensor;
use crate::frames::FrameSource;

/// Labels of one split, and where its samples are in the source.
#[derive(Clone, Debug, Default)]
pub struct FrameSplit {
    /// `[N]`, index into the classes.
    pub labels: Vec<u16>,
    /// `[N]`, index for [`FrameSource::read`].
    pub at: Vec<u32>,
}

/// Frames of event recordings: labels in memory, counts behind [`FrameSource`].
#[derive(Clone)]
pub struct FrameSet {
    /// Which set.
    pub name: DatasetName,
    /// Size of the stored counts; augmentation acts on them, before any resize.
    pub sensor: Sensor,
    /// T of the stored counts.
    pub steps: usize,
    /// Names of the classes; a label is an index into them.
    pub classes: Vec<String>,
    /// What a network learns from.
    pub train: FrameSplit,
    /// What the best epoch is chosen by; empty unless the user has a folder of it.
    pub validation: FrameSplit,
    /// What it is judged on.
    pub test: FrameSplit,
    /// The counts.
    pub source: Arc<dyn FrameSource>,
    /// True if no camera saw it.
    pub simulated: bool,
    /// What the user should know.
    pub notes: Vec<String>,
    /// Hex digest of content, split and cutting: two sets with the same one are the same data.
    pub fingerprint: String,
}
