//! Where values live: blocked fields of reals, words of spikes, and what flows between layers.
//!
//! Channels are cut into blocks of 16 lanes, padded with lanes that stay zero. Reals: `[B][C/16][T][H·W][16]` f32.
//! Spikes: one 64-bit word per neuron, bit t = step t, `[B][C/16][H·W][16]`. Graded spikes (counts, after average
//! pooling) are several planes of such words: level(t) = Σ_p bit_t(plane_p) 2^p, value = level · scale.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::buffer::{Buffer, Source};
use super::simd::{Isa, Kernel, LANES, Lane, Simd};
use crate::engine::{Batch, Cut, Input, Values};
use crate::shape::Chw;

/// Sixteen spike trains: one position of a block of channels.
pub type Words = [u64; LANES];

/// Positions of words that a task counts, or numbers that it copies, at least.
const COUNTED: usize = 1 << 12;

/// Share of spikes above which forward passes add what is silent, and take it away from the sum of all: there are fewer silences.
pub const MOSTLY: f64 = 0.5;

/// Number of 16-lane blocks that hold `channels`.
pub fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// Channels of block `block` that are not padding.
pub fn live_lanes(channels: usize, block: usize) -> usize {
    (channels - block * LANES).min(LANES)
}

/// Reals, `[B][C/16][stored][H·W]` lanes: input currents, their gradients, real-valued activations.
#[derive(Clone, Debug)]
pub struct Field {
    /// One sample at one step.
    pub shape: Chw,
    /// B.
    pub samples: usize,
    /// Which parts of the batch they are.
    pub cut: Cut,
    /// T.
    pub steps: usize,
    /// T, or 1 where one stored step stands for all T.
    pub stored: usize,
    /// The values.
    pub data: Buffer<Lane>,
}

impl Field {
    /// All zero.
    pub fn zeros(source: &Source, shape: Chw, cut: Cut, steps: usize, stored: usize) -> Field {
        let samples = cut.samples().len();
        let data = source.zeros(samples * blocks(shape.c) * stored * shape.area());
        Field { shape, samples, cut, steps, stored, data }
    }

    /// With values from before, to be overwritten.
    pub fn stale(source: &Source, shape: Chw, cut: Cut, steps: usize, stored: usize) -> Field {
        let samples = cut.samples().len();
        let data = source.stale(samples * blocks(shape.c) * stored * shape.area());
        Field { shape, samples, cut, steps, stored, data }
    }

    /// Lanes of one block of one sample: stored · H·W.
    pub fn block_len(&self) -> usize {
        self.stored * self.shape.area()
    }

    /// Lanes of one sample.
    pub fn sample_len(&self) -> usize {
        blocks(self.shape.c) * self.block_len()
    }

    /// `[stored][H·W]` of one block of one sample.
    pub fn block(&self, sample: usize, block: usize) -> &[Lane] {
        let start = (sample * blocks(self.shape.c) + block) * self.block_len();
        &self.data[start..start + self.block_len()]
    }

    /// `[C/16][stored][H·W]` of one sample.
    pub fn sample(&self, sample: usize) -> &[Lane] {
        &self.data[sample * self.sample_len()..(sample + 1) * self.sample_len()]
    }

    /// From canonical `[stored,B,C,H,W]`; `value` makes of what is stored in channel c what is computed with.
    pub(super) fn from_host<V: Copy>(
        source: &Source,
        dims: (Chw, Cut, usize, usize),
        host: &[V],
        value: impl Fn(usize, V) -> f32,
    ) -> Field {
        let (shape, cut, steps, stored) = dims;
        let samples = cut.samples().len();
        assert_eq!(host.len(), stored * samples * shape.len(), "a batch has as many values as its shape");
        let mut field = Field::zeros(source, shape, cut, steps, stored);
        let (area, lanes) = (shape.area(), field.block_len());
        for (row, values) in host.chunks_exact(area).enumerate() {
            let (t, b, c) = (row / (samples * shape.c), row / shape.c % samples, row % shape.c);
            let start = (b * blocks(shape.c) + c / LANES) * lanes + t * area;
            for (lane, &v) in field.data[start..start + area].iter_mut().zip(values) {
                lane.0[c % LANES] = value(c, v);
            }
        }
        field
    }

    /// As canonical `[T,B,C,H,W]`.
    pub(super) fn to_host(&self) -> Vec<f32> {
        let value = |t: usize, b: usize, block: usize, p: usize| self.block(b, block)[t.min(self.stored - 1) * self.shape.area() + p];
        canonical(self.shape, self.samples, self.steps, value)
    }
}

/// Canonical `[T,B,C,H,W]` from the lanes of (t, b, block, position).
fn canonical(shape: Chw, samples: usize, steps: usize, lane: impl Fn(usize, usize, usize, usize) -> Lane + Sync) -> Vec<f32> {
    let mut out = vec![0.0; steps * samples * shape.len()];
    out.par_chunks_exact_mut(shape.area()).with_min_len(COUNTED.div_ceil(shape.area())).enumerate().for_each(|(row, values)| {
        let (t, b, c) = (row / (samples * shape.c), row / shape.c % samples, row % shape.c);
        for (p, value) in values.iter_mut().enumerate() {
            *value = lane(t, b, c / LANES, p).0[c % LANES];
        }
    });
    out
}

/// Spike trains of a layer, possibly graded.
#[derive(Clone, Debug)]
pub struct Spikes {
    /// One sample at one step.
    pub shape: Chw,
    /// B.
    pub samples: usize,
    /// Which parts of the batch they are.
    pub cut: Cut,
    /// T, at most 64.
    pub steps: usize,
    /// Bit planes of the level, lowest first; each `[B][C/16][H·W]`.
    pub planes: Vec<Arc<Buffer<Words>>>,
    /// Value of level 1.
    pub scale: f32,
}

impl Spikes {
    /// Where its buffers come from.
    pub fn source(&self) -> &Source {
        self.planes[0].source()
    }

    /// Positions of words in one sample and plane.
    pub fn sample_len(&self) -> usize {
        blocks(self.shape.c) * self.shape.area()
    }

    /// Whether levels above 1 occur.
    pub fn graded(&self) -> bool {
        self.planes.len() > 1
    }

    /// The planes of positions `start .. start + len` (an index over `[B][C/16][H·W]`).
    pub fn window(&self, start: usize, len: usize) -> Vec<&[Words]> {
        self.planes.iter().map(|plane| &plane[start..start + len]).collect()
    }

    /// Number of entries that are not zero.
    pub fn count(&self, isa: Isa) -> u64 {
        let planes: Vec<&[Words]> = self.planes.iter().map(|plane| &plane[..]).collect();
        count(isa, &planes)
    }

    /// As canonical `[T,B,C,H,W]`.
    fn to_host(&self) -> Vec<f32> {
        let level = |word: usize, t: usize, l: usize| {
            let planes = self.planes.iter().enumerate();
            planes.map(|(p, plane)| (plane[word][l] >> t & 1) << p).sum::<u64>() as f32
        };
        canonical(self.shape, self.samples, self.steps, |t, b, block, p| {
            let word = (b * blocks(self.shape.c) + block) * self.shape.area() + p;
            Lane(std::array::from_fn(|l| level(word, t, l) * self.scale))
        })
    }

    /// Share of entries whose bit is set in one plane.
    pub fn plane_density(&self, isa: Isa, plane: usize) -> f64 {
        count(isa, &[&self.planes[plane]]) as f64 / (self.shape.len() * self.samples * self.steps) as f64
    }

    /// Share of entries that are not zero.
    pub fn density(&self, isa: Isa) -> f64 {
        self.count(isa) as f64 / (self.shape.len() * self.samples * self.steps) as f64
    }
}

/// Number of bits that are set in any of these planes.
fn count(isa: Isa, planes: &[&[Words]]) -> u64 {
    let starts = (0..planes[0].len()).into_par_iter().step_by(COUNTED);
    starts.map(|start| isa.run(Count { planes, places: start..planes[0].len().min(start + COUNTED) })).sum()
}

/// [`count`] of some places. A kernel, since counting bits has an instruction that not every processor has.
struct Count<'a> {
    planes: &'a [&'a [Words]],
    places: Range<usize>,
}

impl Kernel for Count<'_> {
    type Out = u64;
    #[inline(always)]
    fn run<S: Simd>(self) -> u64 {
        let (first, rest) = self.planes.split_first().expect("spikes have at least one plane");
        let mut total = 0;
        for place in self.places {
            let mut any = first[place];
            for plane in rest {
                for l in 0..LANES {
                    any[l] |= plane[place][l];
                }
            }
            for word in any {
                total += u64::from(word.count_ones());
            }
        }
        total
    }
}

/// What flows between layers. Cheap to clone: the values are shared.
#[derive(Clone, Debug)]
pub enum Acts {
    /// Binary or graded spikes.
    Spikes(Spikes),
    /// Reals: the input, and everything in the `ann` warm-up.
    Real(Arc<Field>),
}

impl Acts {
    /// Brings a batch into blocks.
    pub fn from_batch(source: &Source, batch: &Batch) -> Acts {
        let stored = if let Input::Direct(_) = batch.input { 1 } else { batch.steps };
        let dims = (batch.shape, batch.cut, batch.steps, stored);
        let field = match batch.input.values() {
            Values::Reals(v) => Field::from_host(source, dims, v, |_, v| v),
            Values::Counts(v) => Field::from_host(source, dims, v, |_, v| f32::from(v)),
            Values::Pixels(v, normalization) => {
                let tables = normalization.tables();
                Field::from_host(source, dims, v, |c, v| tables[c][v as usize])
            }
        };
        Acts::Real(Arc::new(field))
    }

    /// Where its buffers come from.
    pub fn source(&self) -> &Source {
        match self {
            Acts::Spikes(s) => s.source(),
            Acts::Real(f) => f.data.source(),
        }
    }

    /// One sample at one step.
    pub fn shape(&self) -> Chw {
        match self {
            Acts::Spikes(s) => s.shape,
            Acts::Real(f) => f.shape,
        }
    }

    /// B.
    pub fn samples(&self) -> usize {
        match self {
            Acts::Spikes(s) => s.samples,
            Acts::Real(f) => f.samples,
        }
    }

    /// Which parts of the batch they are.
    pub fn cut(&self) -> Cut {
        match self {
            Acts::Spikes(s) => s.cut,
            Acts::Real(f) => f.cut,
        }
    }

    /// T.
    pub fn steps(&self) -> usize {
        match self {
            Acts::Spikes(s) => s.steps,
            Acts::Real(f) => f.steps,
        }
    }

    /// T, or 1 where one stored step stands for all.
    pub fn stored(&self) -> usize {
        match self {
            Acts::Spikes(s) => s.steps,
            Acts::Real(f) => f.stored,
        }
    }

    /// Some of the parts.
    pub fn part(&self, cut: Cut) -> Acts {
        let start = cut.samples().start - self.cut().samples().start;
        let samples = start..start + cut.samples().len();
        match self {
            Acts::Spikes(s) => {
                let copy = |plane: &Arc<Buffer<Words>>| {
                    let mut out = plane.source().stale(samples.len() * s.sample_len());
                    out.copy_from_slice(&plane[samples.start * s.sample_len()..samples.end * s.sample_len()]);
                    Arc::new(out)
                };
                Acts::Spikes(Spikes { samples: samples.len(), cut, planes: s.planes.iter().map(copy).collect(), ..s.clone() })
            }
            Acts::Real(f) => {
                let mut out = Field::stale(f.data.source(), f.shape, cut, f.steps, f.stored);
                out.data.copy_from_slice(&f.data[samples.start * f.sample_len()..samples.end * f.sample_len()]);
                Acts::Real(Arc::new(out))
            }
        }
    }

    /// As canonical `[T,B,C,H,W]`.
    pub fn to_host(&self) -> Vec<f32> {
        match self {
            Acts::Spikes(s) => s.to_host(),
            Acts::Real(f) => f.to_host(),
        }
    }

    /// Number of nonzero entries over T, B and neurons.
    pub fn nonzero(&self, isa: Isa) -> u64 {
        match self {
            Acts::Spikes(s) => s.count(isa),
            Acts::Real(f) => {
                let stored: usize = f.data.iter().map(|lane| lane.0.iter().filter(|&&v| v != 0.0).count()).sum();
                (stored * (f.steps / f.stored)) as u64
            }
        }
    }
}
