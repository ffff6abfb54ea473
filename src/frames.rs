//! Events to frames: counts per time slice, polarity, row and column.

use crate::error::Result;

/// How a recording is cut into T slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// N events into slices of floor(N/T), the last takes the rest (method, section 5).
    #[default]
    Number,
    /// Equal windows of time.
    Time,
}

/// Frames of many samples at full resolution, read by position.
pub trait FrameSource: Send + Sync {
    /// Fills `counts`, `[T,2,H,W]` with polarity 0 (OFF) first, with sample `index` (its position among train and test together).
    ///
    /// # Errors
    /// Storage or Format: the sample cannot be read, or is not what was written.
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()>;
}
