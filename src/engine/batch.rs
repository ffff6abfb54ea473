//! What travels from the host to a device: samples as they are stored ([`Values`]), and dropout masks as coordinates.

use super::parts::Cut;
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;
use crate::values::Values;

/// A batch on the host, ready for any engine.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One sample at one step.
    pub shape: Chw,
    /// B, number of samples.
    pub samples: usize,
    /// Which parts of the whole batch of a step these samples are.
    pub cut: Cut,
    /// T, number of time steps.
    pub steps: usize,
    /// The values.
    pub input: Input,
}

impl Batch {
    /// All samples of a batch.
    pub fn whole(shape: Chw, samples: usize, steps: usize, input: Input) -> Batch {
        Batch { shape, samples, cut: Cut::whole(samples), steps, input }
    }

    /// What the network reads at every step, `[T,B,C,H,W]`.
    pub fn frames(&self) -> Vec<f32> {
        let values = self.input.values().reals(self.shape);
        if let Input::Direct(_) = self.input { values.repeat(self.steps) } else { values }
    }
}

/// The two ways to feed a network.
#[derive(Clone, Debug)]
pub enum Input {
    /// Direct encoding: `[B,C,H,W]`, the same input current at each of the T steps.
    Direct(Values),
    /// Frames of events: `[T,B,C,H,W]` counts.
    Frames(Values),
}

impl Input {
    /// The values, whichever way they are fed.
    pub fn values(&self) -> &Values {
        let (Input::Direct(values) | Input::Frames(values)) = self;
        values
    }
}

/// Where one dropout stands: multipliers 0 or 2, one per neuron and sample, the same at all T steps.
#[derive(Clone, Debug)]
pub enum DropMask {
    /// A function of these coordinates, which any device can compute ([`DropMask::words`]).
    Drawn {
        /// Of the run.
        seed: u64,
        /// Optimiser step, from 1.
        step: u64,
        /// Position of the dropout in the notation.
        layer: usize,
        /// Position of the batch's first sample in the whole batch of the step.
        first_sample: usize,
    },
    /// `[B,C,H,W]`, true = kept (multiplied by 2), false = multiplied by 0: masks of another program, by which an engine is judged.
    Given(Vec<bool>),
}

impl DropMask {
    /// For `sample` of the batch, 64 neurons in C,H,W order a word, lowest bit first: a bit that is set keeps its neuron. `neurons` is C·H·W.
    pub fn words(&self, sample: usize, neurons: usize) -> Vec<u64> {
        match self {
            DropMask::Drawn { seed, step, layer, first_sample } => {
                let index = (*layer as u64) << 32 | (first_sample + sample) as u64;
                let mut rng = Rng::at(*seed, Purpose::Dropout, *step, index);
                (0..neurons.div_ceil(64)).map(|_| rng.bits()).collect()
            }
            DropMask::Given(keep) => {
                let word = |kept: &[bool]| kept.iter().enumerate().fold(0, |word, (i, &keep)| word | u64::from(keep) << i);
                keep[sample * neurons..(sample + 1) * neurons].chunks(64).map(word).collect()
            }
        }
    }

    /// `[B,C,H,W]` of a batch, true = kept.
    pub fn keep(&self, samples: usize, neurons: usize) -> Vec<bool> {
        let of_sample = |b| {
            let words = self.words(b, neurons);
            (0..neurons).map(move |i| words[i / 64] >> (i % 64) & 1 == 1)
        };
        (0..samples).flat_map(of_sample).collect()
    }
}
