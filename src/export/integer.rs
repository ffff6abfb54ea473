//! The network that leaves as C: int8 weights with a scale per output channel, integer sums behind layer 1.
//!
//! Layer 1 reads real numbers and keeps its weights as they are. Behind it inputs are spikes or counts of spikes, so that sums are exact
//! integers; a sum becomes a current by the channel's scale. ReLU, neuron, pools and votes are as everywhere, in f32. What is computed
//! here is what the C code of [`super::c`] computes, operation by operation, so that the agreement measured here is the agreement there.

use rayon::prelude::*;

use super::agree::Answers;
use super::model::Model;
use crate::engine::{Batch, VOTERS};
use crate::error::{Error, Result};
use crate::neuron::{self, Lif};
use crate::plan::{Block, BlockKind, Front, Plan};

/// Weights of a layer.
#[derive(Clone, Debug)]
pub enum Weights {
    /// Layer 1.
    Real(Vec<f32>),
    /// Behind it: weight = q · scale of its output channel; the scale also divides counts by the windows' areas.
    Integer {
        /// Laid out as [`Block::weight`].
        q: Vec<i8>,
        /// `[out]`
        scale: Vec<f32>,
    },
}

/// One layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// W
    pub weights: Weights,
    /// b, with BatchNorm folded into it and W.
    pub bias: Vec<f32>,
}

/// A network of integers.
#[derive(Clone, Debug)]
pub struct Integer {
    /// The blocks.
    pub plan: Plan,
    /// λ and u_th.
    pub lif: Lif,
    /// One entry per block.
    pub layers: Vec<Layer>,
}

/// k² of the average pools before a block, together.
pub fn area(block: &Block) -> f32 {
    block.fronts.iter().map(|f| if let Front::AvgPool(k) = f.front { (k * k) as f32 } else { 1.0 }).product()
}

/// Side of a block's window, and the zeros around its input.
pub fn window(block: &Block) -> ([usize; 2], usize) {
    if let BlockKind::Conv(k) = block.kind { ([k, k], k / 2) } else { ([block.input.h, block.input.w], 0) }
}

impl Integer {
    /// Rounds a network's weights.
    ///
    /// # Errors
    /// Usage: sums that could leave 32 bits.
    pub fn of(model: &Model) -> Result<Integer> {
        let m = model.folded();
        let mut layers = Vec::new();
        for (i, (block, layer)) in m.plan.blocks.iter().zip(m.layers).enumerate() {
            if i == 0 {
                let by = 1.0 / area(block);
                layers.push(Layer { weights: Weights::Real(layer.weight.iter().map(|w| w * by).collect()), bias: layer.bias });
                continue;
            }
            if block.fan_in() as f64 * f64::from(area(block)) * 127.0 >= f64::from(i32::MAX) || area(block) > f32::from(u16::MAX) {
                return Err(Error::usage("its sums or counts can leave 32 or 16 bits").at(format!(
                    "layer {} ({})",
                    block.index,
                    block.name()
                )));
            }
            let (mut q, mut scale) = (Vec::with_capacity(layer.weight.len()), Vec::with_capacity(layer.bias.len()));
            for row in layer.weight.chunks(block.fan_in()) {
                let largest = row.iter().fold(0.0f32, |m, w| m.max(w.abs()));
                let step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
                q.extend(row.iter().map(|w| (w / step).round() as i8));
                scale.push(step / area(block));
            }
            layers.push(Layer { weights: Weights::Integer { q, scale }, bias: layer.bias });
        }
        Ok(Integer { plan: m.plan, lif: m.lif, layers })
    }

    /// Spikes and rates, as the C code computes them.
    pub fn run(&self, batch: &Batch) -> Answers {
        let frames = batch.frames();
        let samples: Vec<Answers> = (0..batch.samples).into_par_iter().map(|b| self.sample(batch, &frames, b)).collect();
        let shapes = self.plan.blocks.iter().map(|b| b.output.len());
        let spikes = shapes.enumerate().map(|(l, n)| {
            // `[B,T,n]` → `[T,B,n]`
            (0..batch.steps).flat_map(|t| samples.iter().flat_map(move |s| s.spikes[l][t * n..(t + 1) * n].iter().copied())).collect()
        });
        let spikes = spikes.collect();
        Answers { spikes, rates: samples.into_iter().flat_map(|s| s.rates).collect() }
    }

    fn sample(&self, batch: &Batch, frames: &[f32], b: usize) -> Answers {
        let (n, blocks) = (batch.shape.len(), &self.plan.blocks);
        let mut rest: Vec<Vec<f32>> = blocks.iter().map(|b| vec![0.0; b.output.len()]).collect();
        let mut spikes = vec![Vec::new(); blocks.len()];
        let mut votes = vec![0u32; self.plan.classes()];
        for t in 0..batch.steps {
            let frame = &frames[(t * batch.samples + b) * n..][..n];
            let mut counts = Vec::new();
            for (l, block) in blocks.iter().enumerate() {
                let currents = match &self.layers[l].weights {
                    Weights::Real(w) => affine(block, &fronts(block, frame.to_vec(), f32::max), w),
                    Weights::Integer { q, scale } => {
                        let sums: Vec<i32> = affine(block, &fronts(block, counts, i32::max), q);
                        let area = block.output.area();
                        sums.iter().enumerate().map(|(i, &s)| s as f32 * scale[i / area]).collect()
                    }
                };
                counts = fire(block, self.lif, &currents, &self.layers[l].bias, &mut rest[l]);
                spikes[l].extend(counts.iter().map(|&v| v as f32));
            }
            counts.iter().enumerate().for_each(|(i, &v)| votes[i / VOTERS] += v as u32);
        }
        Answers { spikes, rates: votes.iter().map(|&v| f64::from(v) / (VOTERS * batch.steps) as f64).collect() }
    }
}

/// The pools before a block: maxima and sums.
fn fronts<V: Copy + std::ops::Add<Output = V>>(block: &Block, mut x: Vec<V>, max: fn(V, V) -> V) -> Vec<V> {
    for f in &block.fronts {
        let (k, join): (usize, fn(V, V) -> V) = match f.front {
            Front::MaxPool(k) => (k, max),
            Front::AvgPool(k) => (k, |a, b| a + b),
            Front::Dropout => continue,
        };
        let (from, to) = (f.input, f.output);
        let window = |i: usize| {
            let (c, y, x0) = (i / to.area(), i % to.area() / to.w * k, i % to.w * k);
            let place = |j: usize| (c * from.h + y + j / k) * from.w + x0 + j % k;
            (1..k * k).fold(x[place(0)], |a, j| join(a, x[place(j)]))
        };
        x = (0..to.len()).map(window).collect();
    }
    x
}

/// A number that inputs and weights are summed in.
trait Sum: Copy + Default + PartialEq + std::ops::AddAssign {
    type Weight: Copy;
    fn times(self, w: Self::Weight) -> Self;
}

impl Sum for f32 {
    type Weight = f32;
    fn times(self, w: f32) -> f32 {
        self * w
    }
}

impl Sum for i32 {
    type Weight = i8;
    fn times(self, w: i8) -> i32 {
        self * i32::from(w)
    }
}

/// Adds, for every input that is not 0 in C,H,W order, its weights to the outputs it reaches.
fn affine<S: Sum>(block: &Block, x: &[S], weight: &[S::Weight]) -> Vec<S> {
    let (from, to, ([kh, kw], pad)) = (block.input, block.output, window(block));
    let mut sums = vec![S::default(); to.len()];
    for (i, &v) in x.iter().enumerate().filter(|(_, v)| **v != S::default()) {
        let (c, y, x) = (i / from.area(), i % from.area() / from.w, i % from.w);
        // The part of the window that lies on outputs.
        let rows = (y + pad + 1).saturating_sub(to.h)..kh.min(y + pad + 1);
        let columns = (x + pad + 1).saturating_sub(to.w)..kw.min(x + pad + 1);
        for o in 0..to.c {
            for ky in rows.clone() {
                for kx in columns.clone() {
                    let at = (o * to.h + y + pad - ky) * to.w + x + pad - kx;
                    sums[at] += v.times(weight[((o * from.c + c) * kh + ky) * kw + kx]);
                }
            }
        }
    }
    sums
}

/// Bias → ReLU → neuron: spikes, 0 or 1; `rest` is what is left of the potentials.
fn fire(block: &Block, lif: Lif, currents: &[f32], bias: &[f32], rest: &mut [f32]) -> Vec<i32> {
    let (decay, threshold, area) = (lif.decay as f32, lif.threshold as f32, block.output.area());
    let one = |(i, (&sum, rest)): (usize, (&f32, &mut f32))| {
        let current = sum + bias[i / area];
        let (_, fired) = neuron::step(decay, threshold, rest, if block.relu && current < 0.0 { 0.0 } else { current });
        i32::from(fired)
    };
    currents.iter().zip(rest).enumerate().map(one).collect()
}
