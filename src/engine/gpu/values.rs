//! What lies on the device, and how: the step is the innermost index of reals, so that a neuron's thread walks through neighbouring words, and the
//! spikes of a neuron at 32 steps are one word.

use std::sync::Arc;

use super::device::Buffer;
use crate::engine::{Cut, Layout};
use crate::shape::Chw;

/// Words of a neuron's spike train.
pub fn words(steps: usize) -> usize {
    steps.div_ceil(32)
}

/// What samples these are, and how many steps they have.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// One sample at one step.
    pub shape: Chw,
    /// B
    pub samples: usize,
    /// T
    pub steps: usize,
    /// Which parts of a batch the samples are.
    pub cut: Cut,
}

impl Extent {
    /// The same samples with another shape.
    pub fn of_shape(self, shape: Chw) -> Extent {
        Extent { shape, ..self }
    }

    /// Neurons of all samples.
    pub fn neurons(&self) -> usize {
        self.samples * self.shape.len()
    }
}

/// Reals `[B][C][H·W][stored]`: stored = T, or 1 for all steps.
pub struct Reals {
    /// Of the samples.
    pub extent: Extent,
    /// Steps that are stored.
    pub stored: usize,
    /// f32.
    pub data: Buffer,
}

/// Spikes `[planes][B][C][H·W][words]`, bit t of a train at step t. A neuron's value is the sum of 2^p over the planes p in which it fires,
/// times `scale`.
pub struct Spikes {
    /// Of the samples.
    pub extent: Extent,
    /// 1, more behind average pooling.
    pub planes: usize,
    /// 1, another behind average pooling and dropout.
    pub scale: f32,
    /// Words.
    pub data: Buffer,
}

impl Spikes {
    /// Words of a plane.
    pub fn plane(&self) -> usize {
        self.extent.neurons() * words(self.extent.steps)
    }
}

/// What flows between layers.
pub enum Acts {
    /// From a layer of neurons on.
    Spikes(Spikes),
    /// The input, and everything in the `ann` warm-up.
    Reals(Reals),
}

/// How a kernel reads activations: what it is compiled for, and what it is told.
pub struct Reading<'a> {
    /// The buffer.
    pub data: &'a Buffer,
    /// 1: spikes, 0: reals.
    pub bits: usize,
    /// Planes of spikes.
    pub planes: usize,
    /// Words of a train.
    pub words: usize,
    /// Words from one plane to the next.
    pub plane: usize,
    /// What a spike of the first plane is worth.
    pub scale: f32,
    /// Steps stored; T for spikes.
    pub stored: usize,
}

impl Acts {
    /// Of the samples.
    pub fn extent(&self) -> Extent {
        match self {
            Acts::Spikes(s) => s.extent,
            Acts::Reals(r) => r.extent,
        }
    }

    /// For a kernel.
    pub fn reading(&self) -> Reading<'_> {
        match self {
            Acts::Spikes(s) => Reading {
                data: &s.data,
                bits: 1,
                planes: s.planes,
                words: words(s.extent.steps),
                plane: s.plane(),
                scale: s.scale,
                stored: s.extent.steps,
            },
            Acts::Reals(r) => Reading { data: &r.data, bits: 0, planes: 1, words: 1, plane: 0, scale: 1.0, stored: r.stored },
        }
    }
}

impl Reading<'_> {
    /// Words of a sample in a plane, if it has so many neurons.
    pub fn each(&self, neurons: usize) -> usize {
        neurons * if self.bits == 1 { self.words } else { self.stored }
    }
}

/// A parameter, its gradient or one of its moments, f32 in the order of [`Layout`].
pub struct Param {
    /// What it is.
    pub layout: Layout,
    /// f32.
    pub data: Arc<Buffer>,
}

/// Batch statistics `[rows][C]`.
pub struct Moments {
    /// f32.
    pub mean: Arc<Buffer>,
    /// Biased variance, f32.
    pub var: Arc<Buffer>,
    /// As in [`crate::engine::Moments`].
    pub rows: usize,
    /// C
    pub channels: usize,
    /// As in [`crate::engine::Moments`].
    pub count: usize,
    /// As in [`crate::engine::Moments`].
    pub repeats: usize,
}

/// A number the host will ask for: a place in a list of counters of 64 bits.
pub struct Note {
    /// The list.
    pub list: Arc<Buffer>,
    /// Which of them.
    pub slot: usize,
    /// Whether the host wants to know that nothing was counted, instead of how much.
    pub none: bool,
}
