//! Batch statistics, and norm → ReLU → neuron forward, a sweep over T per neuron. Backward: [`super::fire_back`].

use std::sync::Arc;

use rayon::prelude::*;

use super::field::{Acts, Field, Spikes, Words, blocks, live_lanes};
use super::param::Param;
use super::simd::{Isa, Kernel, LANES, Lane, Simd, Vector, prefetch};
use crate::engine::{BN_EPS, Cell, Moments, Neuron, Norm};
use crate::neuron::{self, Lif, Real};

/// A sum per channel of a block.
pub type Sums = [f64; LANES];

/// Batch statistics, in f64: sums per sample and block, added in order.
pub fn moments(isa: Isa, y: &Field, merged: bool) -> Moments {
    let (channels, all) = (y.shape.c, blocks(y.shape.c));
    let rows = if merged { 1 } else { y.stored };
    let sums = |i: usize| isa.run(Squares { y: y.block(i / all, i % all), stored: y.stored, rows });
    let parts: Vec<Vec<[Sums; 2]>> = (0..y.samples * all).into_par_iter().map(sums).collect();
    let total = add_samples(&parts, all, rows);
    let behind = y.samples * y.shape.area() * y.stored / rows;
    let (mut mean, mut var) = (vec![0.0; rows * channels], vec![0.0; rows * channels]);
    for (i, (mean, var)) in mean.iter_mut().zip(&mut var).enumerate() {
        let (row, c) = (i / channels, i % channels);
        let [sum, squares] = total[row * all + c / LANES];
        *mean = sum[c % LANES] / behind as f64;
        *var = (squares[c % LANES] / behind as f64 - *mean * *mean).max(0.0);
    }
    let repeats = y.steps / y.stored;
    let (count, repeats) = if merged { (behind * repeats, 1) } else { (behind, repeats) };
    Moments { mean, var, rows, channels, count, repeats }
}

/// Adds the parts `[B][C/16][rows]` over the samples, to `[rows][C/16]`.
pub fn add_samples(parts: &[Vec<[Sums; 2]>], all: usize, rows: usize) -> Vec<[Sums; 2]> {
    let mut total = vec![[[0.0; LANES]; 2]; rows * all];
    for (i, part) in parts.iter().enumerate() {
        for (row, sums) in part.iter().enumerate() {
            let total = &mut total[row * all + i % all];
            for l in 0..LANES {
                total[0][l] += sums[0][l];
                total[1][l] += sums[1][l];
            }
        }
    }
    total
}

struct Squares<'a> {
    y: &'a [Lane],
    stored: usize,
    rows: usize,
}

impl Kernel for Squares<'_> {
    type Out = Vec<[Sums; 2]>;
    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Out {
        let mut out = vec![[[0.0; LANES]; 2]; self.rows];
        for (t, step) in self.y.chunks_exact(self.y.len() / self.stored).enumerate() {
            let [mut sum, mut squares] = out[t % self.rows];
            for lane in step {
                for l in 0..LANES {
                    let value = f64::from(lane.0[l]);
                    sum[l] += value;
                    squares[l] += value * value;
                }
            }
            out[t % self.rows] = [sum, squares];
        }
        out
    }
}

/// The norm of one row and block, ready for 16 channels: z = y · scale + shift, x̂ = (y - mean) · rstd.
#[derive(Clone, Copy)]
pub struct Affine {
    /// γ/σ
    pub scale: Lane,
    /// β - mean·γ/σ
    pub shift: Lane,
    /// Of the batch, or running.
    pub mean: Lane,
    /// 1/σ
    pub rstd: Lane,
}

/// `[rows][C/16]`; without a norm z = y.
pub struct Affines {
    /// T, or 1.
    pub rows: usize,
    /// C/16
    pub blocks: usize,
    list: Vec<Affine>,
}

impl Affines {
    /// Of a layer.
    pub fn new(channels: usize, norm: Option<&Norm<Param>>) -> Affines {
        let all = blocks(channels);
        let Some(norm) = norm else {
            let unit = Affine { scale: Lane([1.0; LANES]), shift: Lane::ZERO, mean: Lane::ZERO, rstd: Lane::ZERO };
            return Affines { rows: 1, blocks: all, list: vec![unit; all] };
        };
        let rows = norm.moments.rows;
        let mut list = vec![Affine { scale: Lane::ZERO, shift: Lane::ZERO, mean: Lane::ZERO, rstd: Lane::ZERO }; rows * all];
        for i in 0..rows * channels {
            let (row, c) = (i / channels, i % channels);
            let (affine, l) = (&mut list[row * all + c / LANES], c % LANES);
            let (gamma, beta) = (f64::from(norm.gamma.data[c / LANES].0[l]), f64::from(norm.beta.data[c / LANES].0[l]));
            let rstd = 1.0 / (norm.moments.var[i] + BN_EPS).sqrt();
            affine.scale.0[l] = (gamma * rstd) as f32;
            affine.shift.0[l] = (beta - norm.moments.mean[i] * gamma * rstd) as f32;
            affine.mean.0[l] = norm.moments.mean[i] as f32;
            affine.rstd.0[l] = rstd as f32;
        }
        Affines { rows, blocks: all, list }
    }

    /// One block at all T steps.
    pub fn of_block(&self, block: usize, steps: usize) -> Vec<Affine> {
        (0..steps).map(|t| self.list[t.min(self.rows - 1) * self.blocks + block]).collect()
    }
}

/// Below this, z is cut off: 0 under ReLU.
pub fn floor(cell: &Cell) -> f32 {
    if cell.relu { 0.0 } else { f32::NEG_INFINITY }
}

/// z before ReLU.
#[inline(always)]
pub fn current<S: Simd>(y: Vector<S>, affine: &Affine) -> Vector<S> {
    y * Vector::load(&affine.scale) + Vector::load(&affine.shift)
}

/// Norm → ReLU → neuron over T.
pub fn fire(isa: Isa, y: &Field, norm: Option<&Norm<Param>>, cell: &Cell) -> Acts {
    let affines = Affines::new(y.shape.c, norm);
    let (all, area, floor) = (blocks(y.shape.c), y.shape.area(), floor(cell));
    match cell.neuron {
        Neuron::Lif(lif) => {
            let mut words = y.data.source().stale(y.samples * all * area);
            words.par_chunks_mut(area).enumerate().for_each(|(i, words)| {
                let affine = &affines.of_block(i % all, y.steps)[..];
                isa.run(Sweep { y: y.block(i / all, i % all), stored: y.stored, affine, floor, lif, words });
                for lane in live_lanes(y.shape.c, i % all)..LANES {
                    words.iter_mut().for_each(|w| w[lane] = 0); // padding would fire under a negative threshold
                }
            });
            Acts::Spikes(Spikes { shape: y.shape, samples: y.samples, steps: y.steps, planes: vec![Arc::new(words)], scale: 1.0 })
        }
        Neuron::Identity => {
            let mut out = Field::stale(y.data.source(), y.shape, y.samples, y.steps, y.steps);
            out.data.par_chunks_mut(y.steps * area).enumerate().for_each(|(i, out)| {
                let affine = affines.of_block(i % all, y.steps);
                for (j, lane) in out.iter_mut().enumerate() {
                    let (t, p) = (j / area, j % area);
                    let from = &y.block(i / all, i % all)[t.min(y.stored - 1) * area + p];
                    let z = |l: usize| from.0[l] * affine[t].scale.0[l] + affine[t].shift.0[l];
                    *lane = Lane(std::array::from_fn(|l| if z(l) > floor { z(l) } else { floor }));
                }
            });
            Acts::Real(Arc::new(out))
        }
    }
}

/// Positions between what is read and what is asked for.
const AHEAD: usize = 4;

struct Sweep<'a> {
    /// `[stored][H·W]`
    y: &'a [Lane],
    stored: usize,
    /// `[T]`
    affine: &'a [Affine],
    floor: f32,
    lif: Lif,
    /// `[H·W]`
    words: &'a mut [Words],
}

impl Kernel for Sweep<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (decay, threshold, floor) =
            (Vector::<S>::of(self.lif.decay), Vector::of(self.lif.threshold), Vector::of(f64::from(self.floor)));
        let area = self.words.len();
        for (p, words) in self.words.iter_mut().enumerate() {
            let (mut rest, mut trains) = (Vector::of(0.0), [0; LANES]);
            for (t, affine) in self.affine.iter().enumerate() {
                let at = t.min(self.stored - 1) * area + p;
                prefetch::<S, 1>(self.y, at + AHEAD);
                let z = current(Vector::load(&self.y[at]), affine);
                let u = neuron::potential(decay, rest, Vector::choose(z.above(floor), z, floor));
                let fired = neuron::fires(threshold, u);
                rest = neuron::rest(u, fired);
                let bits = u64::from(S::bits(fired));
                for l in 0..LANES {
                    trains[l] |= (bits >> l & 1) << t;
                }
            }
            *words = trains;
        }
    }
}
