//! Fully connected backward over the errors that are not 0.
//!
//! Under bpsa and bpsa+bpta e\[t\] is 0 from a neuron's last spike on, so in a hidden layer that fires at a few percent nearly all
//! errors are exactly 0. The pass visits the others, an output and four (sample, step) pairs at a time: they are added to dL/dW of
//! the inputs that fired and multiplied with their weights, 16 inputs at once. For that a tile of weights is turned round, and
//! its gradient turned back. It costs the same for any number of spikes, so where they are few, walking them is faster.
//!
//! Fours of pairs lie within a part of the batch. An output has a sum of dL/dW for each part in which it has an error; the sums are
//! added when the gradient is turned back.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::{Buffer, Source};
use super::field::{Spikes, blocks};
use super::grad::{Grad, Order};
use super::linear::positions;
use super::linear_back::{cut, scaled};
use super::lists::Lists;
use super::param::{Group, Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Simd};
use super::tables;
use crate::engine::Need;
use crate::engine::parts::{Leaf, PARTS, joins};

/// Pairs whose errors are visited together.
const FOUR: usize = 4;
/// Positions of 16 inputs in one tile: those of [`tables::codes`].
const TILE: usize = tables::TILE;
/// Positions that fit the registers, with four pairs eight masks and eight sums, and whose weights fit into L1.
const HALF: usize = 2;

/// The errors of a group of outputs that are not 0.
pub struct Errors {
    /// For every four pairs the outputs that have an error; their four errors are the levels.
    lists: Lists,
    /// Pairs of each list: four, or fewer at the end of a part.
    fours: Vec<Range<usize>>,
    /// For each entry of the lists, the sum of dL/dW that it belongs to. Sums are ordered by output, then by part.
    sum: Vec<u32>,
    /// First sum of each output; one more than there are outputs.
    starts: Vec<usize>,
    /// For each sum, to how many of the output's sums that wait it is added.
    joins: Vec<usize>,
}

/// Per group, from its errors `e` `[B·T][width]`.
pub fn errors(x: &Spikes, e: &[Buffer<Lane>], groups: &[Group]) -> Vec<Errors> {
    let leaves = x.cut.leaves();
    groups.par_iter().zip(e).map(|(group, e)| Errors::of(e, group.width, &leaves, x.steps)).collect()
}

/// Whether [`backward`] is the way to go, given the [`errors`].
pub fn suits(isa: Isa, x: &Spikes, weight: &Param, errors: &[Errors]) -> bool {
    let visits: usize = errors.iter().map(|errors| errors.sum.len()).sum();
    let all = x.samples * x.steps * blocks(outputs(weight.layout)) * LANES / FOUR;
    let (turning, visit) = costs(isa);
    x.density(isa) > turning + visit * visits as f64 / all as f64
}

/// What turning tiles costs, and visiting every four pairs of every output, beside walking the spikes of inputs that all fire. Measured at
/// 256 pairs (`sweep.rs`, Zen 4). Without AVX-512 a square of 16 lanes by 16 takes more registers than there are, and so does the walk.
fn costs(isa: Isa) -> (f64, f64) {
    if isa.name() == "avx512" { (0.1, 1.2) } else { (0.15, 1.0) }
}

/// dL/dW and, as far as needed, dL/dx.
pub fn backward(isa: Isa, x: &Spikes, weight: &Param, errors: &[Errors], need: Need) -> (Param, Option<Grad>) {
    let (all, pairs) = (positions(x.shape), x.samples * x.steps);
    let groups = groups(outputs(weight.layout));
    let codes = tables::codes(isa, x);
    let most = errors.iter().map(|errors| errors.joins.len()).max().unwrap_or(0);
    let mut d_weight = Param::stale(x.source(), weight.layout);
    let mut d_x = x.source().zeros(if need == Need::Nothing { 0 } else { all * pairs });
    let tiles = cut(&mut d_weight, &mut d_x, TILE, all, pairs, &groups);
    tiles.into_par_iter().zip(&codes).for_each_init(
        || Scratch::for_sums(x.source(), most),
        |scratch, (mut tile, codes)| {
            for (g, group) in groups.iter().enumerate() {
                let start = tile.first * LANES * group.width;
                let weight = &weight.group(*group)[start..start + tile.d_weight[g].len()];
                let (d_weight, d_x) = (&mut *tile.d_weight[g], &mut *tile.d_x);
                Visit { weight, d_weight, d_x, errors: &errors[g], codes, scale: x.scale, scratch }.run(isa, group.width);
            }
        },
    );
    let d_x = (need != Need::Nothing).then(|| Grad::new(x.shape, x.samples, x.steps, Order::ByNeuron, d_x));
    (d_weight, d_x)
}

impl Errors {
    fn of(e: &[Lane], width: usize, leaves: &[Leaf], steps: usize) -> Errors {
        let (mut lists, mut fours, mut leaf_of) = (Lists::default(), Vec::new(), Vec::new());
        lists.clear();
        for (i, leaf) in leaves.iter().enumerate() {
            let (start, end) = (leaf.samples.start * steps, leaf.samples.end * steps);
            for first in (start..end).step_by(FOUR) {
                let four = first..end.min(first + FOUR);
                for o in 0..width * LANES {
                    let mut errors = [0.0; FOUR];
                    let rows = e[four.start * width..four.end * width].chunks_exact(width);
                    errors.iter_mut().zip(rows).for_each(|(e, row)| *e = row[o / LANES].0[o % LANES]);
                    if errors != [0.0; FOUR] {
                        lists.index.push(o as u32);
                        lists.level.extend(errors);
                        leaf_of.push(i);
                    }
                }
                lists.end_list();
                fours.push(four);
            }
        }
        // A sum's key is its output and part; before each key there are so many others.
        let keys = || lists.index.iter().zip(&leaf_of).map(|(&o, leaf)| o as usize * leaves.len() + leaf);
        let mut before = vec![0; width * LANES * leaves.len() + 1];
        keys().for_each(|key| before[key + 1] = 1);
        (1..before.len()).for_each(|i| before[i] += before[i - 1]);
        let joins_of = |o: usize| {
            let used = (0..leaves.len()).filter(|leaf| before[o * leaves.len() + leaf + 1] > before[o * leaves.len() + leaf]);
            joins(&used.map(|leaf| leaves[leaf].part).collect::<Vec<_>>())
        };
        let sum = keys().map(|key| before[key] as u32).collect();
        let starts = (0..=width * LANES).map(|o| before[o * leaves.len()]).collect();
        let joins = (0..width * LANES).flat_map(joins_of).collect();
        Errors { lists, fours, sum, starts, joins }
    }
}

/// Weights of a tile and their gradient, `[TILE/HALF][outputs of the group][HALF]`: a half of each fits into L1.
struct Scratch {
    weight: Vec<Lane>,
    d_weight: Vec<Lane>,
    /// `[sums][HALF]`, at least.
    sums: Buffer<Lane>,
}

impl Scratch {
    fn for_sums(source: &Source, most: usize) -> Scratch {
        Scratch { weight: Vec::new(), d_weight: Vec::new(), sums: source.stale(most * HALF) }
    }
}

/// What is visited for one tile and one group.
struct Visit<'a> {
    /// `[inputs of the tile][width]`
    weight: &'a [Lane],
    d_weight: &'a mut [Lane],
    /// `[positions of the tile][B·T]`, added to; or empty.
    d_x: &'a mut [Lane],
    errors: &'a Errors,
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
        scratch.d_weight.resize(N * LANES * TILE, Lane::ZERO);
        let turned = scratch.weight.as_chunks_mut::<HALF>().0;
        let d_turned = scratch.d_weight.as_chunks_mut::<HALF>().0;
        let rows = weight.as_chunks::<N>().0.as_chunks::<LANES>().0;
        turn::<S, N>(rows, turned);
        let halves = turned.chunks_exact(N * LANES).zip(d_turned.chunks_exact_mut(N * LANES));
        for (half, (turned, d_turned)) in halves.enumerate().take(rows.len().div_ceil(HALF)) {
            let sums = &mut scratch.sums.as_chunks_mut::<HALF>().0[..errors.joins.len()];
            sums.fill([Lane::ZERO; HALF]);
            visit_half::<S>(turned, sums, half * HALF, rows.len(), codes, errors, d_x);
            join_half::<S>(sums, d_turned, errors, scale);
        }
        turn_back::<S, N>(d_turned, d_weight.as_chunks_mut::<N>().0.as_chunks_mut::<LANES>().0);
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

/// The way back.
#[inline(always)]
fn turn_back<S: Simd, const N: usize>(turned: &[[Lane; HALF]], rows: &mut [[[Lane; N]; LANES]]) {
    for (q, rows) in rows.iter_mut().enumerate() {
        for block in 0..N {
            let from: &[[Lane; HALF]; LANES] = turned[(q / HALF * N + block) * LANES..].first_chunk().expect("a square");
            let mut square = [S::splat(0.0); LANES];
            for r in 0..LANES {
                square[r] = S::load(&from[r][q % HALF]);
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
    sums: &mut [[Lane; HALF]],
    first: usize,
    positions: usize,
    codes: &[u64],
    errors: &Errors,
    d_x: &mut [Lane],
) {
    let pairs = codes.len();
    for (i, four) in errors.fours.iter().enumerate() {
        let (codes, list) = (&codes[four.clone()], errors.lists.range(i));
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
        let four_errors = errors.lists.level.as_chunks::<FOUR>().0;
        let entries = errors.lists.index[list.clone()].iter().zip(&errors.sum[list.clone()]);
        for ((&o, &sum), four_errors) in entries.zip(&four_errors[list]) {
            let (weight, sum) = (&weight[o as usize], &mut sums[sum as usize]);
            for q in 0..HALF {
                let w = S::load(&weight[q]);
                let mut d = S::load(&sum[q]);
                for j in 0..FOUR {
                    let error = S::splat(four_errors[j]);
                    dots[j][q] = S::fma(error, w, dots[j][q]);
                    d = S::add_where(fired[j][q], d, error);
                }
                S::store(d, &mut sum[q]);
            }
        }
        if !d_x.is_empty() {
            for (j, dots) in dots.iter().enumerate().take(codes.len()) {
                for q in 0..HALF.min(positions - first) {
                    let to = &mut d_x[(first + q) * pairs + four.start + j];
                    S::store(S::add(S::load(to), dots[q]), to);
                }
            }
        }
    }
}

/// Adds the sums of every output, each times `scale`.
#[inline(always)]
fn join_half<S: Simd>(sums: &[[Lane; HALF]], d_weight: &mut [[Lane; HALF]], errors: &Errors, scale: f32) {
    for (o, d_weight) in d_weight.iter_mut().enumerate() {
        for q in 0..HALF {
            let mut waiting = [S::splat(0.0); PARTS];
            let mut end = 0;
            for i in errors.starts[o]..errors.starts[o + 1] {
                let mut sum = scaled::<S>(S::load(&sums[i][q]), scale);
                for _ in 0..errors.joins[i] {
                    end -= 1;
                    sum = S::add(waiting[end], sum);
                }
                waiting[end] = sum;
                end += 1;
            }
            S::store(waiting[0], &mut d_weight[q]);
        }
    }
}
