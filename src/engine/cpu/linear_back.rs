//! Fully connected layers backward. Each task owns the rows of a tile of inputs; it walks their spikes for both gradients, visits the
//! errors that are not 0 where they are few ([`linear_sparse`]), or multiplies matrices. The sums of the parts of a batch are added in
//! the tile, as soon as the tree allows: the tile itself and at most three more of its size hold those that wait.

use std::ops::Range;

use rayon::prelude::*;

use super::buffer::Buffer;
use super::dense::{matmul, row_major, transposed};
use super::field::{Acts, Field, Spikes, blocks};
use super::grad::{Grad, Order};
use super::linear::{PAIRS, TILE, positions, reals};
use super::linear_sparse;
use super::lists::{Lists, by_neuron};
use super::param::{Group, Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Simd, floats, floats_mut, load_all};
use super::walk::{Pending, Walker};
use crate::engine::Need;
use crate::engine::parts::{Leaf, PARTS};

/// Pairs whose rows of e are walked together: 16 KB for a group of 128 outputs, half of L1.
const NEAR: usize = 32;
/// Lists of so many [`NEAR`] pairs that are made together.
const TOGETHER: usize = PAIRS / NEAR;

/// What one task of the backward pass owns: a tile of input rows.
pub struct Tile<'a> {
    /// First position of the tile.
    pub first: usize,
    /// Per group, `[inputs of the tile][width]` of dL/dW.
    pub d_weight: Vec<&'a mut [Lane]>,
    /// `[positions of the tile][B][T]` of dL/dx; empty under [`Need::Nothing`].
    pub d_x: &'a mut [Lane],
}

/// dL/dW and, as far as needed, dL/dx from e = dL/dy.
pub fn backward(isa: Isa, x: &Acts, weight: &Param, e: &Field, need: Need) -> (Param, Option<Grad>) {
    let groups = groups(outputs(weight.layout));
    let by_group: Vec<Buffer<Lane>> = groups.par_iter().map(|&group| rows_of(e, group)).collect();
    if let (Acts::Spikes(s), false) = (x, need == Need::Everywhere)
        && !s.graded()
    {
        let errors = linear_sparse::errors(s, &by_group, &groups);
        if linear_sparse::suits(isa, s, weight, &errors) {
            return linear_sparse::backward(isa, s, weight, &errors, need);
        }
    }
    by_inputs(isa, x, weight, e, &by_group, need)
}

/// [`backward`] by the spikes of each input, or by matrix products; `by_group` holds the [`rows_of`] e.
pub(super) fn by_inputs(isa: Isa, x: &Acts, weight: &Param, e: &Field, by_group: &[Buffer<Lane>], need: Need) -> (Param, Option<Grad>) {
    let (all, pairs, groups) = (positions(x.shape()), e.samples * e.stored, groups(outputs(weight.layout)));
    let mut d_weight = Param::stale(x.source(), weight.layout);
    let mut d_x = x.source().stale(if need == Need::Nothing { 0 } else { all * pairs });
    let tiles = cut(&mut d_weight, &mut d_x, TILE, all, pairs, &groups);
    let leaves = x.cut().leaves();
    let pieces = pieces(&leaves, (NEAR / e.stored).max(1));
    // Sums wait for the next lists, if there are any: each group's in a place of its own.
    let apart = pieces.len() > TOGETHER;
    let depth = leaves.iter().map(|leaf| leaf.slot).max().unwrap_or(0);
    let of_group = |width: usize| depth * (TILE * LANES * width + PADDING);
    let spare = if apart { groups.iter().map(|g| of_group(g.width)).sum() } else { of_group(groups[0].width) };
    let pass = Backward { isa, x, weight, groups: &groups, e: by_group, pairs, leaves: &leaves, pieces: &pieces, apart, depth };
    tiles.into_par_iter().for_each_init(
        || x.source().stale(spare),
        |spare, mut tile| match (x, need) {
            (Acts::Spikes(s), Need::AtSpikes) => pass.walk(s, &mut tile, true, spare),
            (Acts::Spikes(s), _) => {
                pass.walk(s, &mut tile, false, spare);
                pass.multiply(&mut tile, false, spare);
            }
            (Acts::Real(_), _) => pass.multiply(&mut tile, true, spare),
        },
    );
    let d_x = (need != Need::Nothing).then(|| Grad::new(x.shape(), e.samples, e.stored, Order::ByNeuron, d_x));
    (d_weight, d_x)
}

/// Rows of e for one group: `[B·stored][width]`.
pub(super) fn rows_of(e: &Field, group: Group) -> Buffer<Lane> {
    let mut rows = e.data.source().stale(e.samples * e.stored * group.width);
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

struct Backward<'a> {
    isa: Isa,
    x: &'a Acts,
    weight: &'a Param,
    groups: &'a [Group],
    /// Per group, `[B·T][width]`.
    e: &'a [Buffer<Lane>],
    /// B·T
    pairs: usize,
    /// The parts of the batch, and what of them is listed together.
    leaves: &'a [Leaf],
    pieces: &'a [Piece],
    /// Whether the sums of each group that wait have a place of their own.
    apart: bool,
    /// How many sums wait beside the tile, at most.
    depth: usize,
}

/// Samples of one part whose spikes are listed together.
struct Piece {
    samples: Range<usize>,
    /// Place of the part's sum among those that wait.
    slot: usize,
    /// Whether it is the part's first: what is in that place does not count.
    fresh: bool,
    /// If it is the part's last: to how many sums before it that of the part is added.
    joins: Option<usize>,
}

impl Piece {
    /// The sums that it touches.
    fn slots(&self) -> Range<usize> {
        self.slot - self.joins.unwrap_or(0)..self.slot + 1
    }
}

fn pieces(leaves: &[Leaf], near: usize) -> Vec<Piece> {
    let of_leaf = |leaf: &Leaf| {
        let Leaf { samples: Range { start, end }, slot, joins, .. } = leaf.clone();
        (start..end).step_by(near).map(move |first| {
            let last = end.min(first + near);
            Piece { samples: first..last, slot, fresh: first == start, joins: (last == end).then_some(joins) }
        })
    };
    leaves.iter().flat_map(of_leaf).collect()
}

/// Lanes between the sums that wait: at distances of a power of two they would meet in the same few sets of the caches.
const PADDING: usize = 9;

/// The `wanted` ones of the sums that wait for their neighbours: the first is the tile itself, the others lie in `spare`.
fn slots<'a>(tile: &'a mut [Lane], spare: &'a mut [Lane], wanted: Range<usize>) -> Vec<&'a mut [Lane]> {
    let len = tile.len();
    let waiting = spare.chunks_exact_mut(len + PADDING).map(|sum| &mut sum[..len]);
    std::iter::once(tile).chain(waiting).skip(wanted.start).take(wanted.len()).collect()
}

impl Backward<'_> {
    /// The tile's weights of group i.
    fn weight(&self, i: usize, tile: &Tile) -> &[Lane] {
        let start = tile.first * LANES * self.groups[i].width;
        &self.weight.group(self.groups[i])[start..start + tile.d_weight[i].len()]
    }

    /// Visits spikes: dL/dW and, if `dot`, dL/dx where there is one.
    fn walk(&self, x: &Spikes, tile: &mut Tile, dot: bool, spare: &mut [Lane]) {
        let count = tile.d_weight[0].len() / (self.groups[0].width * LANES);
        let mut lists: Vec<Lists> = Vec::new();
        for pieces in self.pieces.chunks(TOGETHER) {
            lists.resize_with(pieces.len(), Lists::default);
            let mut dots: Vec<Vec<f32>> = Vec::new();
            for (piece, lists) in pieces.iter().zip(&mut lists) {
                by_neuron(x, tile.first, count, piece.samples.clone(), lists);
                dots.push(vec![0.0; lists.index.len()]);
            }
            for (g, group) in self.groups.iter().enumerate() {
                let place = if self.apart { self.depth * (group.first * count * LANES + g * PADDING) } else { 0 };
                for (piece, (lists, dots)) in pieces.iter().zip(lists.iter().zip(&mut dots)) {
                    let e = &self.e[g][piece.samples.start * x.steps * group.width..];
                    let weight = self.weight(g, tile);
                    let sums = slots(tile.d_weight[g], &mut spare[place..], piece.slots());
                    let job = Rows { lists, dots, weight, fresh: piece.fresh, ended: piece.joins.is_some(), scale: x.scale, sums, e };
                    job.run(self.isa, group.width, x.graded(), dot);
                }
            }
            if dot {
                for (piece, (lists, dots)) in pieces.iter().zip(lists.iter().zip(&dots)) {
                    self.scatter(lists, dots, piece.samples.start * x.steps, count, tile);
                }
            }
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
    fn multiply(&self, tile: &mut Tile, weight_too: bool, spare: &mut [Lane]) {
        let count = tile.d_weight[0].len() / (self.groups[0].width * LANES);
        let (inputs, pairs) = (count * LANES, self.pairs);
        let values = if weight_too { reals(self.x, tile.first, count, 0..self.x.samples()) } else { Vec::new() };
        let mut d_x = vec![0.0; if tile.d_x.is_empty() { 0 } else { pairs * inputs }];
        for (i, group) in self.groups.iter().enumerate() {
            let (width, e) = (group.width * LANES, floats(&self.e[i]));
            if weight_too {
                for leaf in self.leaves {
                    let [first, last] = [leaf.samples.start, leaf.samples.end].map(|sample| sample * self.x.stored());
                    let mut sums = slots(tile.d_weight[i], spare, leaf.slot - leaf.joins..leaf.slot + 1);
                    let (a, e) = (&floats(&values)[first * inputs..], &e[first * width..]);
                    let product = floats_mut(sums[leaf.joins]);
                    matmul([inputs, width, last - first], (product, width), false, (a, transposed(inputs)), (e, row_major(width)));
                    self.isa.run(Join { sums: &mut sums });
                }
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
    /// Whether these are the first pairs of their part: what their sum holds does not count.
    fresh: bool,
    /// Whether they are its last: their sum is complete.
    ended: bool,
    /// Of a complete sum.
    scale: f32,
    /// `[inputs][N]` each: the sum of the part is the last, and, complete, added to those before; the result goes to the first.
    sums: Vec<&'a mut [Lane]>,
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
        let Rows { lists, dots, weight, fresh, ended, scale, sums, e } = self.0;
        let (weight, e) = (weight.as_chunks::<N>().0, e.as_chunks::<N>().0);
        let before = sums.len() - 1;
        let mut sums = sums.into_iter().map(|sum| sum.as_chunks_mut::<N>().0);
        // The sum of the part, and those it is added to, nearest first: three at most, since the tree has three levels.
        let sums: [&mut [[Lane; N]]; PARTS.ilog2() as usize + 1] = std::array::from_fn(|_| sums.next().unwrap_or_default());
        let mut pending = Pending::new(0);
        for (input, row) in weight.iter().enumerate() {
            let list = lists.range(input);
            if list.is_empty() && fresh && ended && before == 1 {
                continue; // nothing to add, and the result is where it was
            }
            let acc = if fresh { [S::splat(0.0); N] } else { load_all::<S, N>(&sums[before][input]) };
            let row = load_all::<S, N>(row);
            let mut unit = Unit::<S, N, GRADED, DOT> { e, row, acc };
            let levels = if GRADED { &lists.level[list.clone()] } else { &[] };
            unit.walk::<DOT>(&lists.index[list], levels, &mut pending, dots);
            let scale = if ended && scale != 1.0 { Some(scale) } else { None };
            for n in 0..N {
                let mut sum = unit.acc[n];
                if let Some(scale) = scale {
                    sum = scaled::<S>(sum, scale);
                }
                for left in (0..before).rev() {
                    sum = S::add(S::load(&sums[left][input][n]), sum);
                }
                S::store(sum, &mut sums[0][input][n]);
            }
        }
        pending.flush::<S>(dots);
    }
}

/// A sum times a scale. Never -0, which a sum that begins at 0 is not either: adding 0 does not change it, so a part in which an input
/// or an output does not take part may be left out.
#[inline(always)]
pub fn scaled<S: Simd>(sum: S::V, scale: f32) -> S::V {
    S::add(S::mul(sum, S::splat(scale)), S::splat(0.0))
}

/// Adds the last of these sums to the others, nearest first; the result goes to the first.
struct Join<'a, 'b> {
    sums: &'a mut [&'b mut [Lane]],
}

impl Kernel for Join<'_, '_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (last, before) = self.sums.split_last_mut().expect("the sum of the part");
        if before.is_empty() {
            return;
        }
        for (i, lane) in last.iter().enumerate() {
            let mut sum = S::load(lane);
            for left in before.iter().rev() {
                sum = S::add(S::load(&left[i]), sum);
            }
            S::store(sum, &mut before[0][i]);
        }
    }
}

/// What an input neuron keeps in registers while its spikes are walked.
struct Unit<'a, S: Simd, const N: usize, const GRADED: bool, const DOT: bool> {
    e: &'a [[Lane; N]],
    /// Its weights, and sums of their gradients.
    row: [S::V; N],
    acc: [S::V; N],
}

impl<S: Simd, const N: usize, const GRADED: bool, const DOT: bool> Walker<S> for Unit<'_, S, N, GRADED, DOT> {
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
