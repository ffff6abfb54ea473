//! What a training step takes of memory, as an engine plans it.

use crate::plan::Plan;

/// What is trained.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// A static image, whose currents in the first layer are stored once.
    pub direct: bool,
    /// Whether gradients are needed at silent steps too: by stbp, and in a warm-up.
    pub everywhere: bool,
}

/// Bytes of a training step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Parameters, their gradients and AdamW's two moments.
    pub optimiser: usize,
    /// Input currents that are kept for the backward pass.
    pub currents: usize,
    /// Spike trains and the input.
    pub spikes: usize,
    /// What exists while a layer is passed: gradients, and currents that are recomputed.
    pub passing: usize,
    /// Work lists, and the program itself.
    pub work: usize,
}

impl Memory {
    /// Sum of all parts.
    pub fn total(&self) -> usize {
        self.optimiser + self.currents + self.spikes + self.passing + self.work
    }
}

/// The memory of an engine. Blocks marked in `recompute` do not keep their currents, but compute them once more on the way back; blocks
/// that it does not reach keep them.
pub trait MemoryPlan: Sync {
    /// Of a training step.
    fn step(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> Memory;
    /// Bytes of a look at credit assignment on `load.batch` samples: a forward pass, and a backward pass in which every layer is copied to
    /// the host before it is passed.
    fn credit(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> usize;
    /// Bytes that stay with the process, at most, where such looks at `samples` samples and steps take turns.
    fn retained(&self, plan: &Plan, load: &Load, samples: usize) -> usize;
    /// Bytes of a block's currents, which are free where they are not kept.
    fn currents(&self, plan: &Plan, load: &Load, block: usize) -> usize;
}

/// Bytes a neuron takes on the host when a look copies it: per step a potential and a gradient (f32), and once its error (f64) and how
/// often it fired.
pub fn looked_at(neurons: usize, load: &Load) -> usize {
    (8 * load.steps + 13) * neurons * load.batch
}

/// The program, its threads and small change.
pub const PROGRAM: usize = 10 << 20;
