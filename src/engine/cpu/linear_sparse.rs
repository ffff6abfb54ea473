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
use super::linear::positions;
use super::linear_back::cut;
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
/// Positions that fit the registers, with four pairs eight masks and eight sums, and whose weights fit into L1.
const HALF: usize = 2;

/// Per group, for every four pairs the outputs that have an error; their four errors are the levels. `e` `[B·T][width]` per group.
pub fn errors(e: &[Buffer<Lane>], groups: &[Group]) -> Vec<Lists> {
    groups.par_iter().zip(e).map(|(group, e)| nonzero(e, group.width)).collect()
}

/// Whether [`backward`] is the way to go, given the [`errors`].
pub fn suits(x: &Spikes, weight: &Param, errors: &[Lists]) -> bool {
    let visits: usize = errors.iter().map(|lists| lists.index.len()).sum();
    let all = x.samples * x.steps * blocks(outputs(weight.layout)) * LANES / FOUR;
    visits as f64 / all as f64 + TURNING < x.density()
}

/// dL/dW and, as far as needed, dL/dx.
pub fn backward(isa: Isa, x: &Spikes, weight: &Param, errors: &[Lists], need: Need) -> (Param, Option<Grad>) {
    let (all, pairs) = (positions(x.shape), x.samples * x.steps);
    let groups = groups(outputs(weight.layout));
    let codes = tables::codes(isa, x);
    let mut d_weight = Param::stale(x.source(), weight.layout);
    let mut d_x = x.source().zeros(if need == Need::Nothing { 0 } else { all * pairs });
    let tiles = cut(&mut d_weight, &mut d_x, TILE, all, pairs, &groups);
    tiles.into_par_iter().zip(&codes).for_each_init(Scratch::default, |scratch, (mut tile, codes)| {
        for (g, group) in groups.iter().enumerate() {
            let start = tile.first * LANES * group.width;
            let weight = &weight.group(*group)[start..start + tile.d_weight[g].len()];
            let (d_weight, d_x) = (&mut *tile.d_weight[g], &mut *tile.d_x);
            Visit { weight, d_weight, d_x, errors: &errors[g], codes, scale: x.scale, scratch }.run(isa, group.width);
        }
    });
    let d_x = (need != Need::Nothing).then(|| Grad::new(x.shape, x.samples, x.steps, Order::ByNeuron, d_x));
    (d_weight, d_x)
}

fn nonzero(e: &[Lane], width: usize) -> Lists {
    let mut lists = Lists::default();
    lists.clear();
    for four in e.chunks(FOUR * width) {
        for o in 0..width * LANES {
            let mut errors = [0.0; FOUR];
            errors.iter_mut().zip(four.chunks_exact(width)).for_each(|(e, row)| *e = row[o / LANES].0[o % LANES]);
            if errors != [0.0; FOUR] {
                lists.index.push(o as u32);
                lists.level.extend(errors);
            }
        }
        lists.end_list();
    }
    lists
}

/// Weights of a tile and their gradient, `[TILE/HALF][outputs of the group][HALF]`: a half of each fits into L1.
#[derive(Default)]
struct Scratch {
    weight: Vec<Lane>,
    d_weight: Vec<Lane>,
}

/// What is visited for one tile and one group.
struct Visit<'a> {
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

impl Visit<'_> {
    fn run(self, isa: Isa, width: usize) {
        match width {
            8 => isa.run(Sized::<8>(self)),
            4 => isa.run(Sized::<4>(self)),
            2 => isa.run(Sized::<2>(self)),
            _ => isa.run(Sized::<1>(self)),
        }
    }
}

/// [`Visit`] of a group of N blocks.
struct Sized<'a, const N: usize>(Visit<'a>);

impl<const N: usize> Kernel for Sized<'_, N> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Visit { weight, d_weight, d_x, errors, codes, scale, scratch } = self.0;
        scratch.weight.resize(N * LANES * TILE, Lane::ZERO);
        scratch.d_weight.clear();
        scratch.d_weight.resize(N * LANES * TILE, Lane::ZERO);
        let turned = scratch.weight.as_chunks_mut::<HALF>().0;
        let d_turned = scratch.d_weight.as_chunks_mut::<HALF>().0;
        let rows = weight.as_chunks::<N>().0.as_chunks::<LANES>().0;
        turn::<S, N>(rows, turned);
        let halves = turned.chunks_exact(N * LANES).zip(d_turned.chunks_exact_mut(N * LANES));
        for (half, (turned, d_turned)) in halves.enumerate().take(rows.len().div_ceil(HALF)) {
            visit_half::<S>(turned, d_turned, half * HALF, rows.len(), codes, errors, d_x);
        }
        turn_back::<S, N>(d_turned, d_weight.as_chunks_mut::<N>().0.as_chunks_mut::<LANES>().0, S::splat(scale));
    }
}

/// `[positions][16][N]` to `[TILE/HALF][N·16][HALF]`, in squares of 16 inputs and 16 outputs.
#[inline(always)]
fn turn<S: Simd, const N: usize>(rows: &[[[Lane; N]; LANES]], turned: &mut [[Lane; HALF]]) {
    for (q, rows) in rows.iter().enumerate() {
        for block in 0..N {
            let to: &mut [[Lane; HALF]; LANES] = turned[(q / HALF * N + block) * LANES..].first_chunk_mut().expect("a square");
            let mut square = [S::splat(0.0); LANES];
            for r in 0..LANES {
                square[r] = S::load(&rows[r][block]);
            }
            square = S::transpose(square);
            for r in 0..LANES {
                S::store(square[r], &mut to[r][q % HALF]);
            }
        }
    }
}

/// The way back, times `scale`.
#[inline(always)]
fn turn_back<S: Simd, const N: usize>(turned: &[[Lane; HALF]], rows: &mut [[[Lane; N]; LANES]], scale: S::V) {
    for (q, rows) in rows.iter_mut().enumerate() {
        for block in 0..N {
            let from: &[[Lane; HALF]; LANES] = turned[(q / HALF * N + block) * LANES..].first_chunk().expect("a square");
            let mut square = [S::splat(0.0); LANES];
            for r in 0..LANES {
                square[r] = S::mul(S::load(&from[r][q % HALF]), scale);
            }
            square = S::transpose(square);
            for r in 0..LANES {
                S::store(square[r], &mut rows[r][block]);
            }
        }
    }
}

/// The positions `first` and the next, at all pairs.
#[inline(always)]
fn visit_half<S: Simd>(
    weight: &[[Lane; HALF]],
    d_weight: &mut [[Lane; HALF]],
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
                let w = S::load(&weight[q]);
                let mut d = S::load(&d_weight[q]);
                for j in 0..FOUR {
                    let error = S::splat(four_errors[j]);
                    dots[j][q] = S::fma(error, w, dots[j][q]);
                    d = S::add_where(fired[j][q], d, error);
                }
                S::store(d, &mut d_weight[q]);
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
