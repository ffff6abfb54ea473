//! What travels from the host to a device: samples as they are stored, and dropout masks as coordinates.

use std::sync::Arc;

use crate::rng::{Purpose, Rng};
use crate::shape::Chw;

/// A batch on the host, ready for any engine.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One sample at one step.
    pub shape: Chw,
    /// B, number of samples.
    pub samples: usize,
    /// T, number of time steps.
    pub steps: usize,
    /// The values.
    pub input: Input,
}

impl Batch {
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

/// Numbers as a data set stores them; engines make of them what the network reads ([`Values::reals`] says what).
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Pixels of pictures, 0 black, and how they are normalised.
    Pixels(Vec<u8>, Arc<Normalization>),
    /// Counts of events.
    Counts(Vec<u16>),
    /// Numbers as the network reads them.
    Reals(Vec<f32>),
}

/// What a network reads of a pixel v of channel c: (v / 255 - mean\[c\]) / std\[c\].
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// Per channel: subtracted after scaling to 0 to 1.
    pub mean: Vec<f32>,
    /// Per channel: divided by after that.
    pub std: Vec<f32>,
}

impl Normalization {
    /// `[C][256]`: the value of every pixel, so that a batch is a table look-up.
    pub fn tables(&self) -> Vec<[f32; 256]> {
        let table = |(mean, std): (&f32, &f32)| std::array::from_fn(|v| (v as f32 / 255.0 - mean) / std);
        self.mean.iter().zip(&self.std).map(table).collect()
    }
}

impl From<Vec<f32>> for Values {
    fn from(reals: Vec<f32>) -> Values {
        Values::Reals(reals)
    }
}

impl FromIterator<f32> for Values {
    fn from_iter<I: IntoIterator<Item = f32>>(reals: I) -> Values {
        Values::Reals(reals.into_iter().collect())
    }
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Values::Pixels(v, _) => v.len(),
            Values::Counts(v) => v.len(),
            Values::Reals(v) => v.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of them, in order: `ranges` one after the other.
    pub fn cut(&self, ranges: impl Iterator<Item = std::ops::Range<usize>>) -> Values {
        fn copy<T: Copy>(v: &[T], ranges: impl Iterator<Item = std::ops::Range<usize>>) -> Vec<T> {
            ranges.flat_map(|range| &v[range]).copied().collect()
        }
        match self {
            Values::Pixels(v, n) => Values::Pixels(copy(v, ranges), Arc::clone(n)),
            Values::Counts(v) => Values::Counts(copy(v, ranges)),
            Values::Reals(v) => Values::Reals(copy(v, ranges)),
        }
    }

    /// What the network reads, for samples of `shape`, one sample or frame after the other.
    pub fn reals(&self, shape: Chw) -> Vec<f32> {
        match self {
            Values::Pixels(v, normalization) => {
                let tables = normalization.tables();
                let planes = v.chunks(shape.area().max(1)).enumerate();
                planes.flat_map(|(i, plane)| plane.iter().map(|&v| tables[i % shape.c][v as usize]).collect::<Vec<_>>()).collect()
            }
            Values::Counts(v) => v.iter().map(|&count| f32::from(count)).collect(),
            Values::Reals(v) => v.clone(),
        }
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
