//! Fully connected layers. Weight rows lie by input neuron, in blocked order, so that a spike adds one contiguous row.
//!
//! Forward, binary spikes of enough samples and steps are added by [`tables`]; else inputs are cut into tiles of 128 rows, and a
//! tile of one group's weights (64 KB) stays in L2 while all samples and steps add their active rows. Backward, each task owns the rows of a tile, so no sums have to be joined;
//! where few errors are not 0, [`linear_sparse`] is faster.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Buffer;
use super::conv::{DENSE_SHARE, add_rows};
use super::dense::{matmul, row_major, transposed};
use super::field::{Acts, Field, Spikes, blocks};
use super::grad::{Grad, Order};
use super::linear_sparse;
use super::lists::{ByPosition, Lists, by_neuron};
use super::param::{Group, Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Pending, Simd, floats, floats_mut, load_all, store_all};
use super::tables;
use crate::engine::{Layout, Need};
use crate::shape::Chw;

/// Positions of 16 inputs in one tile.
const TILE: usize = 8;
/// (sample, step) pairs whose spikes are listed together.
const PAIRS: usize = 512;
/// Pairs whose rows of e are walked together: 16 KB for a group of 128 outputs, half of L1.
const NEAR: usize = 32;

/// Positions of blocks in one sample: inputs / 16, padded.
fn positions(shape: Chw) -> usize {
    blocks(shape.c) * shape.area()
}

/// y = W x + b
pub fn forward(isa: Isa, x: &Acts, weight: &Param, bias: &Param) -> Field {
    let out = outputs(weight.layout);
    let mut y = Field::stale(Chw::new(out, 1, 1), x.samples(), x.steps(), x.stored());
    let groups = groups(out);
    let (sums, scale): (Vec<Buffer<Lane>>, f32) = match x {
        Acts::Spikes(s) if !s.graded() && s.samples * s.steps >= tables::LEAST_PAIRS => {
            let codes = tables::codes(isa, s);
            let sum = |group: &Group| tables::sums(isa, &codes, weight.group(*group), group.width);
            (groups.par_iter().map(sum).collect(), s.scale)
        }
        Acts::Spikes(s) if s.density() <= DENSE_SHARE => {
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
        ByPosition::begin(&mut lists);
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
    let mut sums = Buffer::zeros(x.samples * x.steps * width);
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

/// Values of the inputs at positions `first .. first + count` for some samples, as rows `[samples · stored][count · 16]`.
fn reals(x: &Acts, first: usize, count: usize, samples: Range<usize>) -> Vec<Lane> {
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
    let mut sums: Vec<Buffer<Lane>> = groups.iter().map(|g| Buffer::stale(samples * stored * g.width)).collect();
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

/// What one task of the backward pass owns: a tile of input rows.
pub struct Tile<'a> {
    /// First position of the tile.
    pub first: usize,
    /// Per group, `[inputs of the tile][width]` of dL/dW.
    pub d_weight: Vec<&'a mut [Lane]>,
    /// `[positions of the tile][B][T]` of dL/dx; empty under [`Need::Nothing`].
    pub d_x: &'a mut [Lane],
}

/// dL/dW, dL/db and, as far as needed, dL/dx from e = dL/dy.
pub fn backward(isa: Isa, x: &Acts, weight: &Param, e: &Field, need: Need) -> (Param, Option<Grad>) {
    let (all, pairs) = (positions(x.shape()), e.samples * e.stored);
    let groups = groups(outputs(weight.layout));
    let by_group: Vec<Buffer<Lane>> = groups.par_iter().map(|&group| rows_of(e, group)).collect();
    if let Acts::Spikes(s) = x
        && linear_sparse::suits(s, &by_group, need)
    {
        return linear_sparse::backward(isa, s, weight, &by_group, need);
    }
    let mut d_weight = Param::stale(weight.layout);
    let mut d_x = Buffer::stale(if need == Need::Nothing { 0 } else { all * pairs });
    let tiles = cut(&mut d_weight, &mut d_x, TILE, all, pairs, &groups);
    let pass = Pass { isa, x, weight, groups: &groups, e: &by_group, pairs };
    tiles.into_par_iter().for_each(|mut tile| match (x, need) {
        (Acts::Spikes(s), Need::AtSpikes) => pass.walk(s, &mut tile, true),
        (Acts::Spikes(s), _) => {
            pass.walk(s, &mut tile, false);
            pass.multiply(&mut tile, false);
        }
        (Acts::Real(_), _) => pass.multiply(&mut tile, true),
    });
    let d_x = (need != Need::Nothing).then(|| Grad::new(x.shape(), e.samples, e.stored, Order::ByNeuron, d_x));
    (d_weight, d_x)
}

/// Sum of e over steps, samples and positions, per output channel, in f64; for convolutions too.
pub fn bias_gradient(e: &Field) -> Param {
    let data = (0..blocks(e.shape.c)).into_par_iter().map(|block| {
        let mut sum = [0f64; LANES];
        for b in 0..e.samples {
            for lane in e.block(b, block) {
                (0..LANES).for_each(|l| sum[l] += f64::from(lane.0[l]));
            }
        }
        Lane(sum.map(|v| v as f32))
    });
    Param { layout: Layout::PerChannel(e.shape.c), data: data.collect::<Vec<Lane>>().into() }
}

/// Rows of e for one group: `[B·stored][width]`.
pub(super) fn rows_of(e: &Field, group: Group) -> Buffer<Lane> {
    let mut rows = Buffer::stale(e.samples * e.stored * group.width);
    for (i, row) in rows.chunks_exact_mut(group.width).enumerate() {
        let (b, t) = (i / e.stored, i % e.stored);
        for (n, lane) in row.iter_mut().enumerate() {
            *lane = e.data[(b * blocks(e.shape.c) + group.first + n) * e.stored + t];
        }
    }
    rows
}

/// Tiles of `tile` positions out of `all`.
pub fn cut<'a>(d_weight: &'a mut Param, d_x: &'a mut [Lane], tile: usize, all: usize, pairs: usize, groups: &[Group]) -> Vec<Tile<'a>> {
    let mut rest = &mut d_weight.data[..];
    let mut per_group = Vec::new();
    for group in groups {
        let (head, tail) = rest.split_at_mut(group.width * all * LANES);
        per_group.push(head.chunks_mut(group.width * tile * LANES));
        rest = tail;
    }
    let mut d_x = d_x.chunks_mut((tile * pairs).max(1));
    let tiles = (0..all).step_by(tile).map(|first| {
        let d_weight = per_group.iter_mut().map(|chunks| chunks.next().expect("every group has every tile")).collect();
        Tile { first, d_weight, d_x: d_x.next().unwrap_or_default() }
    });
    tiles.collect()
}

struct Pass<'a> {
    isa: Isa,
    x: &'a Acts,
    weight: &'a Param,
    groups: &'a [Group],
    /// Per group, `[B·T][width]`.
    e: &'a [Buffer<Lane>],
    /// B·T
    pairs: usize,
}

impl Pass<'_> {
    /// The tile's weights of group i.
    fn weight(&self, i: usize, tile: &Tile) -> &[Lane] {
        let start = tile.first * LANES * self.groups[i].width;
        &self.weight.group(self.groups[i])[start..start + tile.d_weight[i].len()]
    }

    /// Visits spikes: dL/dW and, if `dot`, dL/dx where there is one.
    fn walk(&self, x: &Spikes, tile: &mut Tile, dot: bool) {
        let count = tile.d_weight[0].len() / (self.groups[0].width * LANES);
        let (together, near) = ((PAIRS / x.steps).max(1), (NEAR / x.steps).max(1));
        let mut lists: Vec<Lists> = Vec::new();
        for first in (0..x.samples).step_by(together) {
            let last = x.samples.min(first + together);
            lists.resize_with((last - first).div_ceil(near), Lists::default);
            let mut dots: Vec<Vec<f32>> = Vec::new();
            for (i, lists) in lists.iter_mut().enumerate() {
                let first = first + i * near;
                by_neuron(x, tile.first, count, first..last.min(first + near), lists);
                dots.push(vec![0.0; lists.index.len()]);
            }
            for (g, group) in self.groups.iter().enumerate() {
                for (i, (lists, dots)) in lists.iter().zip(&mut dots).enumerate() {
                    let e = &self.e[g][(first + i * near) * x.steps * group.width..];
                    let (weight, fresh) = (self.weight(g, tile), first + i == 0);
                    let job = Rows { lists, dots, weight, fresh, d_weight: tile.d_weight[g], e };
                    job.run(self.isa, group.width, x.graded(), dot);
                }
            }
            if dot {
                for (i, (lists, dots)) in lists.iter().zip(&dots).enumerate() {
                    self.scatter(lists, dots, (first + i * near) * x.steps, count, tile);
                }
            }
        }
        if x.scale != 1.0 {
            tile.d_weight.iter_mut().for_each(|part| floats_mut(part).iter_mut().for_each(|v| *v *= x.scale));
        }
    }

    /// The dots of listed spikes to their places in dL/dx; the lists count pairs from `first`.
    fn scatter(&self, lists: &Lists, dots: &[f32], first: usize, count: usize, tile: &mut Tile) {
        for row in 0..count * LANES {
            let d_x = &mut tile.d_x[row / LANES * self.pairs + first..];
            for i in lists.range(row) {
                d_x[lists.index[i] as usize].0[row % LANES] = dots[i];
            }
        }
    }

    /// Matrix products: dL/dW if asked for, dL/dx if needed.
    fn multiply(&self, tile: &mut Tile, weight_too: bool) {
        let count = tile.d_weight[0].len() / (self.groups[0].width * LANES);
        let (inputs, pairs) = (count * LANES, self.pairs);
        let values = if weight_too { reals(self.x, tile.first, count, 0..self.x.samples()) } else { Vec::new() };
        let mut d_x = vec![0.0; if tile.d_x.is_empty() { 0 } else { pairs * inputs }];
        for (i, group) in self.groups.iter().enumerate() {
            let (width, e) = (group.width * LANES, floats(&self.e[i]));
            if weight_too {
                let a = (floats(&values), transposed(inputs));
                matmul([inputs, width, pairs], (floats_mut(tile.d_weight[i]), width), false, a, (e, row_major(width)));
            }
            if !d_x.is_empty() {
                let weight = (floats(self.weight(i, tile)), transposed(width));
                matmul([pairs, inputs, width], (&mut d_x, inputs), i > 0, (e, row_major(width)), weight);
            }
        }
        for (i, lane) in tile.d_x.iter_mut().enumerate() {
            let (q, pair) = (i / pairs, i % pairs);
            lane.0.copy_from_slice(&d_x[pair * inputs + q * LANES..][..LANES]);
        }
    }
}

struct Rows<'a> {
    /// Active (sample, step) pairs per input.
    lists: &'a Lists,
    /// dL/dx of each listed spike, summed over the groups.
    dots: &'a mut [f32],
    /// `[inputs][N]`
    weight: &'a [Lane],
    /// Whether these are the first pairs: what `d_weight` holds does not count.
    fresh: bool,
    d_weight: &'a mut [Lane],
    /// `[pairs][N]`
    e: &'a [Lane],
}

impl Rows<'_> {
    fn run(self, isa: Isa, width: usize, graded: bool, dot: bool) {
        match width {
            8 => self.sized::<8>(isa, graded, dot),
            4 => self.sized::<4>(isa, graded, dot),
            2 => self.sized::<2>(isa, graded, dot),
            _ => self.sized::<1>(isa, graded, dot),
        }
    }

    fn sized<const N: usize>(self, isa: Isa, graded: bool, dot: bool) {
        match (graded, dot) {
            (false, false) => isa.run(Sized::<'_, N, false, false>(self)),
            (false, true) => isa.run(Sized::<'_, N, false, true>(self)),
            (true, false) => isa.run(Sized::<'_, N, true, false>(self)),
            (true, true) => isa.run(Sized::<'_, N, true, true>(self)),
        }
    }
}

/// [`Rows`] for N registers of outputs.
struct Sized<'a, const N: usize, const GRADED: bool, const DOT: bool>(Rows<'a>);

impl<const N: usize, const GRADED: bool, const DOT: bool> Kernel for Sized<'_, N, GRADED, DOT> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Rows { lists, dots, weight, fresh, d_weight, e } = self.0;
        let (weight, e) = (weight.as_chunks::<N>().0, e.as_chunks::<N>().0);
        let mut pending = Pending::new(0);
        for (input, d_row) in d_weight.as_chunks_mut::<N>().0.iter_mut().enumerate() {
            let list = lists.range(input);
            let acc = if fresh { [S::splat(0.0); N] } else { load_all::<S, N>(d_row) };
            let row = load_all::<S, N>(&weight[input]);
            let mut unit = Unit::<S, N, GRADED, DOT> { e, row, acc };
            let level = |i: usize| if GRADED { lists.level[list.start + i] } else { 1.0 };
            let mut active = lists.index[list.clone()].iter().enumerate();
            if DOT {
                while active.len() > 0 {
                    for (place, (i, &at)) in pending.places(active.len()).iter_mut().zip(&mut active) {
                        S::store(unit.visit(at, level(i)), place);
                    }
                    pending.flush_full::<S>(dots);
                }
            } else {
                for (i, &at) in active {
                    unit.visit(at, level(i));
                }
            }
            store_all::<S, N>(&unit.acc, d_row);
        }
        pending.flush::<S>(dots);
    }
}

/// What an input neuron keeps in registers while its spikes are walked.
struct Unit<'a, S: Simd, const N: usize, const GRADED: bool, const DOT: bool> {
    e: &'a [[Lane; N]],
    /// Its weights, and sums of their gradients.
    row: [S::V; N],
    acc: [S::V; N],
}

impl<S: Simd, const N: usize, const GRADED: bool, const DOT: bool> Unit<'_, S, N, GRADED, DOT> {
    /// One spike: adds its e to dL/dW; gives the products of e and the weights, whose sum is dL/dx.
    #[inline(always)]
    fn visit(&mut self, pair: u32, level: f32) -> S::V {
        let e = &self.e[pair as usize];
        // Two chains: one of N dependent products would be waited for.
        let mut dot = [S::splat(0.0); 2];
        for n in 0..N {
            let e = S::load(&e[n]);
            self.acc[n] = if GRADED { S::fma(S::splat(level), e, self.acc[n]) } else { S::add(self.acc[n], e) };
            if DOT {
                dot[n % 2] = S::fma(e, self.row[n], dot[n % 2]);
            }
        }
        S::add(dot[0], dot[1])
    }
}
