//! What an engine says about its memory before any work.

use crate::plan::Plan;

/// What is trained.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// A static image, whose currents in the first layer are the same at all T steps.
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
    /// Spike trains, and the input.
    pub spikes: usize,
    /// What exists while a layer is passed, beside what is kept: gradients, and currents that are recomputed.
    pub passing: usize,
    /// Scratch memory of the kernels, and the program itself.
    pub work: usize,
}

impl Memory {
    /// Sum of all parts.
    pub fn total(&self) -> usize {
        self.optimiser + self.currents + self.spikes + self.passing + self.work
    }
}

/// The program, its threads and small change.
pub const PROGRAM: usize = 10 << 20;

/// What passes take of an engine's memory.
pub trait MemoryPlan: Sync {
    /// Of a training step in which the blocks marked in `recompute` do not keep their currents; what is not named keeps them.
    fn step(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> Memory;

    /// Bytes of a look at credit assignment on `load.batch` samples: a forward pass, and a backward pass in which every layer is copied to
    /// the host before it is passed, see [`copied_to_host`]. Blocks in `recompute` are recomputed with all samples.
    fn credit(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> usize;

    /// Bytes of the largest buffer of a step, where a device limits that.
    fn largest(&self, _plan: &Plan, _load: &Load) -> usize {
        0
    }

    /// Bytes that stay with the process, at most, though the engine gave them back, where training steps and looks at credit on `samples`
    /// take turns.
    fn retained(&self, _plan: &Plan, _load: &Load, _samples: usize) -> usize {
        0
    }
}

/// Bytes on the host of a look at the credit of a layer: potentials and gradients, f32; for a neuron its error, f64, and how often it fired.
pub fn copied_to_host(load: &Load, neurons: usize) -> usize {
    let trains = load.batch * neurons;
    2 * size_of::<f32>() * load.steps * trains + (size_of::<f64>() + size_of::<f32>() + size_of::<u8>()) * trains
}

/// Bytes of a copy of the samples of a batch, f32.
pub fn samples_on_host(plan: &Plan, load: &Load) -> usize {
    size_of::<f32>() * if load.direct { 1 } else { load.steps } * load.batch * plan.shape.len()
}

/// Whether a block is marked in a list of those that are recomputed.
pub fn is_marked(recompute: &[bool], block: usize) -> bool {
    recompute.get(block).copied().unwrap_or(false)
}
