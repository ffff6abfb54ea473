//! Fully connected layers. Weight rows lie by input neuron, in blocked order, so that a spike adds one contiguous row.
//!
//! Forward, binary spikes of enough samples and steps are added by [`tables`]; else inputs are cut into tiles of 128 rows, and a
//! tile of one group's weights (64 KB) stays in L2 while all samples and steps add their active rows. Backward: [`super::linear_back`].

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Buffer;
use super::dense::{matmul, row_major};
use super::field::{Acts, Field, MOSTLY, Spikes, blocks};
use super::lists::{ByPosition, Lists};
use super::param::{Group, Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Simd, floats, floats_mut, load_all, store_all};
use super::tables;
use crate::engine::Layout;
use crate::engine::parts::{Leaf, tree};
use crate::shape::Chw;

/// Positions of 16 inputs in one tile.
pub const TILE: usize = 8;
/// (sample, step) pairs whose spikes are listed together.
pub const PAIRS: usize = 512;

/// Share of spikes above which few pairs, or graded spikes, are multiplied instead of gathered: gathering costs in proportion to the
/// spikes at about half the rate of a dense product, and unpacking takes the rest of the gain.
const DENSE_SHARE: f64 = 0.6;

/// Positions of blocks in one sample: inputs / 16, padded.
pub fn positions(shape: Chw) -> usize {
    blocks(shape.c) * shape.area()
}

/// y = W x + b
pub fn forward(isa: Isa, x: &Acts, weight: &Param, bias: &Param) -> Field {
    let out = outputs(weight.layout);
    let mut y = Field::stale(x.source(), Chw::new(out, 1, 1), x.cut(), x.steps(), x.stored());
    let groups = groups(out);
    let (sums, scale): (Vec<Buffer<Lane>>, f32) = match x {
        Acts::Spikes(s) if !s.graded() && s.samples * s.steps >= tables::LEAST_PAIRS => {
            let (mut codes, silences) = (tables::codes(isa, s), s.density(isa) > MOSTLY);
            if silences {
                tables::silences(&mut codes);
            }
            let sum = |group: &Group| tables::sums(isa, s.source(), &codes, silences, weight.group(*group), group.width);
            (groups.par_iter().map(sum).collect(), s.scale)
        }
        Acts::Spikes(s) if s.density(isa) <= DENSE_SHARE => {
            let lists = lists_by_tile(isa, s);
            let sum = |&group: &Group| gather(isa, s, &lists, weight.group(group), group.width);
            (groups.par_iter().map(sum).collect(), s.scale)
        }
        _ => (multiply(x, weight, &groups), 1.0),
    };
    let (stored, sample_len) = (y.stored, y.sample_len());
    y.data.par_chunks_mut(sample_len).enumerate().for_each(|(b, y)| {
        for (group, sums) in groups.iter().zip(&sums) {
            for (t, n) in (0..stored).flat_map(|t| (0..group.width).map(move |n| (t, n))) {
                let (sum, bias) = (&sums[(b * stored + t) * group.width + n], &bias.data[group.first + n]);
                y[(group.first + n) * stored + t] = Lane(std::array::from_fn(|l| sum.0[l] * scale + bias.0[l]));
            }
        }
    });
    y
}

/// Per tile, for every (sample, step): the active inputs, counted from the tile's first.
fn lists_by_tile(isa: Isa, x: &Spikes) -> Vec<Lists> {
    let all = positions(x.shape);
    let build = |tile: usize| {
        let mut lists = Lists::default();
        lists.clear();
        let count = TILE.min(all - tile * TILE);
        for b in 0..x.samples {
            let planes = x.window(b * all + tile * TILE, count);
            isa.run(ByPosition { planes: &planes, blocks: count, area: 1, steps: 0..x.steps, out: &mut lists });
        }
        lists
    };
    (0..all.div_ceil(TILE)).into_par_iter().map(build).collect()
}

/// `[B·T][width]` sums of weight rows (without scale and bias) for one group.
fn gather(isa: Isa, x: &Spikes, lists: &[Lists], weight: &[Lane], width: usize) -> Buffer<Lane> {
    let mut sums = x.source().zeros(x.samples * x.steps * width);
    for (tile, lists) in lists.iter().enumerate() {
        let start = tile * TILE * LANES * width;
        let weight = &weight[start..weight.len().min(start + TILE * LANES * width)];
        let sums = &mut sums[..];
        match (width, x.graded()) {
            (8, false) => isa.run(Gather::<8, false> { lists, weight, sums }),
            (4, false) => isa.run(Gather::<4, false> { lists, weight, sums }),
            (2, false) => isa.run(Gather::<2, false> { lists, weight, sums }),
            (_, false) => isa.run(Gather::<1, false> { lists, weight, sums }),
            (8, true) => isa.run(Gather::<8, true> { lists, weight, sums }),
            (4, true) => isa.run(Gather::<4, true> { lists, weight, sums }),
            (2, true) => isa.run(Gather::<2, true> { lists, weight, sums }),
            (_, true) => isa.run(Gather::<1, true> { lists, weight, sums }),
        }
    }
    sums
}

struct Gather<'a, const N: usize, const GRADED: bool> {
    lists: &'a Lists,
    /// `[inputs of the tile][N]`
    weight: &'a [Lane],
    /// `[B·T][N]`
    sums: &'a mut [Lane],
}

impl<const N: usize, const GRADED: bool> Kernel for Gather<'_, N, GRADED> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let rows = self.weight.as_chunks::<N>().0;
        for (pair, sums) in self.sums.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            let mut acc = load_all::<S, N>(sums);
            add_rows::<S, N, GRADED>(&mut acc, rows, self.lists, self.lists.range(pair));
            store_all::<S, N>(&acc, sums);
        }
    }
}

/// Adds the rows of the listed inputs, times their level.
#[inline(always)]
fn add_rows<S: Simd, const N: usize, const GRADED: bool>(acc: &mut [S::V; N], rows: &[[Lane; N]], lists: &Lists, list: Range<usize>) {
    let level = if GRADED { &lists.level[list.clone()] } else { &[] };
    for (i, &input) in lists.index[list].iter().enumerate() {
        let row = &rows[input as usize];
        for n in 0..N {
            acc[n] = if GRADED { S::fma(S::splat(level[i]), S::load(&row[n]), acc[n]) } else { S::add(acc[n], S::load(&row[n])) };
        }
    }
}

/// Values of the inputs at positions `first .. first + count` for some samples, as rows `[samples · stored][count · 16]`.
pub fn reals(x: &Acts, first: usize, count: usize, samples: Range<usize>) -> Vec<Lane> {
    let (shape, stored) = (x.shape(), x.stored());
    let (all, area) = (positions(shape), shape.area());
    let mut out = Vec::with_capacity(samples.len() * stored * count);
    for (b, t) in samples.flat_map(|b| (0..stored).map(move |t| (b, t))) {
        out.extend((first..first + count).map(|q| match x {
            Acts::Real(f) => f.data[((b * blocks(shape.c) + q / area) * stored + t) * area + q % area],
            Acts::Spikes(s) => Lane(std::array::from_fn(|l| {
                let level: u64 = s.planes.iter().enumerate().map(|(power, plane)| (plane[b * all + q][l] >> t & 1) << power).sum();
                level as f32 * s.scale
            })),
        }));
    }
    out
}

/// The dense path: per group `[B·stored][width]`.
fn multiply(x: &Acts, weight: &Param, groups: &[Group]) -> Vec<Buffer<Lane>> {
    let (all, stored, samples) = (positions(x.shape()), x.stored(), x.samples());
    let together = (PAIRS / stored).max(1);
    let mut sums: Vec<Buffer<Lane>> = groups.iter().map(|g| x.source().stale(samples * stored * g.width)).collect();
    for first in (0..samples).step_by(together) {
        let part = first..samples.min(first + together);
        let input: Vec<Lane> = part.into_par_iter().flat_map_iter(|b| reals(x, 0, all, b..b + 1)).collect();
        let rows = input.len() / all;
        groups.par_iter().zip(&mut sums).for_each(|(group, sums)| {
            let (done, width) = (first * stored * group.width, group.width * LANES);
            let a = (floats(&input), row_major(all * LANES));
            let b = (floats(weight.group(*group)), row_major(width));
            matmul([rows, width, all * LANES], (floats_mut(&mut sums[done..done + rows * group.width]), width), false, a, b);
        });
    }
    sums
}

/// Sum of e over steps and samples, per output; within a part of the batch in f64.
pub fn bias_gradient(e: &Field) -> Param {
    let leaves = e.cut.leaves();
    let data = (0..blocks(e.shape.c)).into_par_iter().map(|block| {
        let of_part = |leaf: &Leaf| {
            let mut sum = [0f64; LANES];
            for b in leaf.samples.clone() {
                for lane in e.block(b, block) {
                    (0..LANES).for_each(|l| sum[l] += f64::from(lane.0[l]));
                }
            }
            (leaf.part, Lane(sum.map(|v| v as f32)))
        };
        let add = |left: Lane, right: Lane| Lane(std::array::from_fn(|l| left.0[l] + right.0[l]));
        tree(leaves.iter().map(of_part), add).unwrap_or(Lane::ZERO)
    });
    Param { layout: Layout::PerChannel(e.shape.c), data: e.data.source().holding(data.collect()) }
}
