//! Fully connected backward over the errors that are not 0.
//!
//! Under bpsa and bpsa+bpta e\[t\] is 0 from a neuron's last spike on, so in a hidden layer that fires at a few percent nearly all
//! errors are exactly 0. The pass visits the others, an output and four (sample, step) pairs at a time: they are added to dL/dW of
//! the inputs that fired and multiplied with their weights, 16 inputs at once. For that a tile of weights is turned round, and
//! its gradient turned back. It costs the same for any number of spikes, so where they are few, walking them is faster.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::field::{Spikes, blocks};
use super::grad::{Grad, Order};
use super::linear::cut;
use super::lists::Lists;
use super::param::{Group, Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Simd};
use super::tables;
use crate::engine::Need;

/// Pairs whose errors are visited together.
const FOUR: usize = 4;
/// What turning tiles costs, as a share of visits. A visit takes as long as a spike of an input for each of the outputs of a group;
/// both measured at 256 pairs.
const TURNING: f64 = 0.1;
/// Positions of 16 inputs in one tile: those of [`tables::codes`].
const TILE: usize = tables::TILE;
/// Positions that fit the registers: with four pairs eight masks and eight sums.
const HALF: usize = 2;

/// Whether [`backward`] is the way to go; `e` `[B·T][width]` per group.
pub fn suits(x: &Spikes, e: &[Buffer<Lane>], need: Need) -> bool {
    if x.graded() || need == Need::Everywhere {
        return false;
    }
    let pairs = x.samples * x.steps;
    let visits: usize = e.iter().map(|rows| quads(rows, rows.len() / pairs).map(|four| errors_of(four).count()).sum::<usize>()).sum();
    let all: usize = e.iter().map(|rows| rows.len() * LANES / FOUR).sum();
    visits as f64 / all as f64 + TURNING < x.density()
}

/// Rows of four pairs, `[4][width]`, the last perhaps of fewer.
fn quads(e: &[Lane], width: usize) -> impl Iterator<Item = (&[Lane], usize)> {
    e.chunks(FOUR * width).map(move |rows| (rows, width))
}

/// Outputs with an error among four pairs, and the four.
fn errors_of((rows, width): (&[Lane], usize)) -> impl Iterator<Item = (usize, [f32; FOUR])> {
    let outputs = (0..width * LANES).map(move |o| {
        let mut errors = [0.0; FOUR];
        errors.iter_mut().zip(rows.chunks_exact(width)).for_each(|(e, row)| *e = row[o / LANES].0[o % LANES]);
        (o, errors)
    });
    outputs.filter(|(_, errors)| *errors != [0.0; FOUR])
}

/// dL/dW and, as far as needed, dL/dx.
pub fn backward(isa: Isa, x: &Spikes, weight: &Param, e: &[Buffer<Lane>], need: Need) -> (Param, Option<Grad>) {
    let (all, pairs) = (blocks(x.shape.c) * x.shape.area(), x.samples * x.steps);
    let groups = groups(outputs(weight.layout));
    let errors: Vec<Lists> = groups.par_iter().zip(e).map(|(group, e)| nonzero(e, group.width)).collect();
    let codes = tables::codes(isa, x);
    let mut d_weight = Param::stale(weight.layout);
    let mut d_x = Buffer::zeros(if need == Need::Nothing { 0 } else { all * pairs });
    let tiles = cut(&mut d_weight, &mut d_x, TILE, all, pairs, &groups);
    tiles.into_par_iter().zip(&codes).for_each_init(Scratch::default, |scratch, (mut tile, codes)| {
        for (g, group) in groups.iter().enumerate() {
            let start = tile.first * LANES * group.width;
            let weight = &weight.group(*group)[start..start + tile.d_weight[g].len()];
            let (d_weight, d_x) = (&mut *tile.d_weight[g], &mut *tile.d_x);
            isa.run(Visit { group: *group, weight, d_weight, d_x, errors: &errors[g], codes, scale: x.scale, scratch });
        }
    });
    let d_x = (need != Need::Nothing).then(|| Grad::new(x.shape, x.samples, x.steps, Order::ByNeuron, d_x));
    (d_weight, d_x)
}

/// For every four pairs the outputs that have an error; their four errors are the levels.
fn nonzero(e: &[Lane], width: usize) -> Lists {
    let mut lists = Lists::default();
    lists.starts.push(0);
    for four in quads(e, width) {
        for (o, errors) in errors_of(four) {
            lists.index.push(o as u32);
            lists.level.extend(errors);
        }
        lists.end_list();
    }
    lists
}

/// Weights of a tile and their gradient, `[outputs of the group][TILE]`.
#[derive(Default)]
struct Scratch {
    weight: Vec<Lane>,
    d_weight: Vec<Lane>,
}

struct Visit<'a> {
    group: Group,
    /// `[inputs of the tile][width]`
    weight: &'a [Lane],
    d_weight: &'a mut [Lane],
    /// `[positions of the tile][B·T]`, added to; or empty.
    d_x: &'a mut [Lane],
    errors: &'a Lists,
    /// `[B·T]`
    codes: &'a [u64],
    scale: f32,
    scratch: &'a mut Scratch,
}

impl Kernel for Visit<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Visit { group: Group { width, .. }, weight, d_weight, d_x, errors, codes, scale, scratch } = self;
        let positions = weight.len() / (LANES * width);
        scratch.weight.clear();
        scratch.weight.resize(width * LANES * TILE, Lane::ZERO);
        scratch.d_weight.clear();
        scratch.d_weight.resize(width * LANES * TILE, Lane::ZERO);
        let turned = scratch.weight.as_chunks_mut::<TILE>().0;
        let d_turned = scratch.d_weight.as_chunks_mut::<TILE>().0;
        let mut square = [S::splat(0.0); LANES];
        for (q, block) in squares(positions, width) {
            for r in 0..LANES {
                square[r] = S::load(&weight[(q * LANES + r) * width + block]);
            }
            square = S::transpose(square);
            for r in 0..LANES {
                S::store(square[r], &mut turned[block * LANES + r][q]);
            }
        }
        for first in (0..positions).step_by(HALF) {
            visit_half::<S>(turned, d_turned, first, positions, codes, errors, d_x);
        }
        let scale = S::splat(scale);
        for (q, block) in squares(positions, width) {
            for r in 0..LANES {
                square[r] = S::mul(S::load(&d_turned[block * LANES + r][q]), scale);
            }
            square = S::transpose(square);
            for r in 0..LANES {
                S::store(square[r], &mut d_weight[(q * LANES + r) * width + block]);
            }
        }
    }
}

/// Squares of 16 inputs and 16 outputs.
fn squares(positions: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..positions).flat_map(move |q| (0..width).map(move |block| (q, block)))
}

/// The positions `first` and the next, at all pairs.
#[inline(always)]
fn visit_half<S: Simd>(
    weight: &[[Lane; TILE]],
    d_weight: &mut [[Lane; TILE]],
    first: usize,
    positions: usize,
    codes: &[u64],
    errors: &Lists,
    d_x: &mut [Lane],
) {
    let pairs = codes.len();
    for (quad, codes) in codes.chunks(FOUR).enumerate() {
        let list = errors.range(quad);
        let mut fired = [[0; HALF]; FOUR];
        let mut any = 0;
        for (fired, code) in fired.iter_mut().zip(codes) {
            *fired = [(code >> (first * LANES)) as u16, (code >> (first * LANES + LANES)) as u16];
            any |= fired[0] | fired[1];
        }
        if any == 0 || list.is_empty() {
            continue;
        }
        let mut dots = [[S::splat(0.0); HALF]; FOUR];
        let four_errors = errors.level.as_chunks::<FOUR>().0;
        for (&o, four_errors) in errors.index[list.clone()].iter().zip(&four_errors[list]) {
            let (weight, d_weight) = (&weight[o as usize], &mut d_weight[o as usize]);
            for q in 0..HALF {
                let w = S::load(&weight[first + q]);
                let mut d = S::load(&d_weight[first + q]);
                for j in 0..FOUR {
                    let error = S::splat(four_errors[j]);
                    dots[j][q] = S::fma(error, w, dots[j][q]);
                    d = S::add_where(fired[j][q], d, error);
                }
                S::store(d, &mut d_weight[first + q]);
            }
        }
        if !d_x.is_empty() {
            for (j, dots) in dots.iter().enumerate().take(codes.len()) {
                for q in 0..HALF.min(positions - first) {
                    let to = &mut d_x[(first + q) * pairs + quad * FOUR + j];
                    S::store(S::add(S::load(to), dots[q]), to);
                }
            }
        }
    }
}
