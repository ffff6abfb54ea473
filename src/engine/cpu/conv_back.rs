//! Convolution backward: one walk over the input's spikes for both gradients, or matrix products on the dense path.
//!
//! The walk ([`conv_walk`](super::conv_walk)) has weights of its own order, `[block of outputs][C][K²]`, so that what a channel needs lies
//! together; in the order of [`Param`] its taps would meet in the same few sets of the caches.

use rayon::prelude::*;

use super::buffer::{Buffer, Source};
use super::conv::{interleave, multiply_back, side};
use super::conv_tiles::Tiling;
use super::conv_walk::Walk;
use super::dense::{TILE, Unfold};
use super::field::{Acts, Field, Spikes, blocks};
use super::grad::{Grad, Order};
use super::lists::{PER_WINDOW, Windows};
use super::param::{Add, Param, groups, outputs};
use super::simd::{Isa, LANES, Lane};
use crate::engine::parts::{Leaf, tree};
use crate::engine::{Layout, Need};
use crate::shape::Chw;

/// dL/dW and, as far as needed, dL/dx from e = dL/dy. Where dL/dx fits into the place of e, it is written there, sample by sample.
pub fn backward(isa: Isa, x: &Acts, weight: &Param, mut e: Field, need: Need) -> (Param, Option<Grad>) {
    let (samples, shape, stored, e_len) = (x.samples(), x.shape(), e.stored, e.sample_len());
    let sample_len = blocks(shape.c) * e.block_len();
    let in_place = matches!(x, Acts::Spikes(_)) && in_place(need, sample_len, e_len);
    let mut d_x = if in_place { Buffer::empty() } else { room(x.source(), need, samples * sample_len) };
    let mut sums = Parts::new(isa, x, weight, need);
    sums.add(x, &mut e, &mut d_x);
    let (values, stride) = if in_place { (e.data, e_len) } else { (d_x, sample_len) };
    let d_x = (need != Need::Nothing).then(|| Grad::new(shape, samples, stored, Order::ByStep { stride }, values));
    (sums.total(x), d_x)
}

/// Whether dL/dx of spikes is written in the place of e, given the lengths of a sample of both.
pub fn in_place(need: Need, len: usize, e_len: usize) -> bool {
    need == Need::AtSpikes && len <= e_len
}

/// A place for dL/dx.
pub fn room(source: &Source, need: Need, len: usize) -> Buffer<Lane> {
    match need {
        Need::Nothing => Buffer::empty(),
        Need::AtSpikes => source.stale(len),
        Need::Everywhere => source.zeros(len),
    }
}

/// dL/dW of the parts of a batch.
pub struct Parts<'a> {
    isa: Isa,
    weight: &'a Param,
    taps: Buffer<Lane>,
    tiling: Tiling,
    need: Need,
    sums: Vec<Buffer<Lane>>,
}

impl<'a> Parts<'a> {
    /// None yet; `x` tells the kind of input.
    pub fn new(isa: Isa, x: &Acts, weight: &'a Param, need: Need) -> Parts<'a> {
        let taps = if let Acts::Spikes(_) = x { to_walk(x.source(), weight) } else { Buffer::empty() };
        let tiling = Tiling::new(x.shape(), side(weight), x.stored());
        Parts { isa, weight, taps, tiling, need, sums: Vec::new() }
    }

    /// Adds the next parts, and writes their dL/dx: to `d_x`, or if that is empty in the place of e.
    pub fn add(&mut self, x: &Acts, e: &mut Field, d_x: &mut [Lane]) {
        let (e_len, block_len) = (e.sample_len(), e.block_len());
        let sample_len = d_x.len() / e.samples;
        let (isa, weight, taps, tiling, need) = (self.isa, self.weight, &self.taps, &self.tiling, self.need);
        let pass = Backward { isa, weight, taps, tiling, stored: e.stored, block_len, need };
        let (mut e_rest, mut d_x_rest) = (&mut e.data[..], d_x);
        let mut split = |leaf: Leaf| {
            let e = e_rest.split_off_mut(..leaf.samples.len() * e_len).expect("e has all samples");
            let d_x = d_x_rest.split_off_mut(..leaf.samples.len() * sample_len).expect("dL/dx has all samples, or nothing");
            (leaf.samples.start, e, d_x)
        };
        let tasks: Vec<_> = e.cut.leaves().into_iter().map(&mut split).collect();
        let parts = tasks.into_par_iter().map(|(first, e, d_x)| {
            let mut d_weight = x.source().zeros(self.weight.data.len());
            let mut scratch = Scratch::default();
            for (j, e) in e.chunks_exact_mut(e_len).enumerate() {
                let (b, d_x) = (first + j, if d_x.is_empty() { &mut [] } else { &mut d_x[j * sample_len..(j + 1) * sample_len] });
                match x {
                    Acts::Spikes(s) => pass.walk_sample(s, b, e, &mut d_weight, d_x, &mut scratch),
                    Acts::Real(f) => pass.dense_sample(Some((f, b)), f.shape, e, &mut d_weight, d_x, &mut scratch),
                }
            }
            d_weight
        });
        let parts: Vec<Buffer<Lane>> = parts.collect();
        self.sums.extend(parts);
    }

    /// dL/dW
    pub fn total(self, x: &Acts) -> Param {
        let (layout, leaves, mut sums) = (self.weight.layout, x.cut().leaves(), self.sums);
        match x {
            Acts::Spikes(s) => from_walk(x.source(), layout, add_parts(self.isa, &leaves, &mut sums, s.scale)),
            Acts::Real(_) => {
                add_parts(self.isa, &leaves, &mut sums, 1.0);
                Param { layout, data: sums.swap_remove(0) }
            }
        }
    }
}

/// The sums of the parts, each times `scale`, added in the place of the first.
fn add_parts<'a>(isa: Isa, leaves: &[Leaf], sums: &'a mut [Buffer<Lane>], scale: f32) -> &'a [Lane] {
    /// Few enough that those of all parts stay in L2.
    const CHUNK: usize = 1 << 9;
    let mut chunks: Vec<_> = sums.iter_mut().map(|sum| sum.chunks_mut(CHUNK)).collect();
    let tasks: Vec<Vec<&mut [Lane]>> = (0..chunks[0].len()).map(|_| chunks.iter_mut().filter_map(Iterator::next).collect()).collect();
    tasks.into_par_iter().for_each(|chunks| {
        let scaled = leaves.iter().zip(chunks).map(|(leaf, chunk)| {
            if scale != 1.0 {
                chunk.iter_mut().for_each(|lane| lane.0.iter_mut().for_each(|v| *v *= scale));
            }
            (leaf.part, chunk)
        });
        tree(scaled, |into, other| {
            isa.run(Add { into, other });
            into
        });
    });
    &sums[0]
}

/// A weight in another order, group by group: calls `copy(to, from, index in the order of the walk, index in that of [`Param`])` for every
/// lane, both counted from the group's first. Taps are in reverse, as a spike meets them: y\[p\] reads x\[p + tap - pad\].
fn reorder(layout: Layout, from: &[Lane], mut to: &mut [Lane], copy: impl Fn(&mut [Lane], &[Lane], usize, usize) + Sync) {
    let Layout::Conv { out, inp, k } = layout else { unreachable!("{layout:?} is not a convolution") };
    let taps = k * k;
    let mut tasks = Vec::new();
    for group in groups(out) {
        let place = group.first * taps * inp..(group.first + group.width) * taps * inp;
        tasks.push((group.width, &from[place.clone()], to.split_off_mut(..place.len()).expect("one length")));
    }
    tasks.into_par_iter().for_each(|(width, from, to)| {
        for (c, tap) in (0..inp).flat_map(|c| (0..taps).map(move |tap| (c, tap))) {
            for n in 0..width {
                copy(to, from, (n * inp + c) * taps + taps - 1 - tap, (tap * inp + c) * width + n);
            }
        }
    });
}

fn to_walk(source: &Source, weight: &Param) -> Buffer<Lane> {
    let mut taps = source.stale(weight.data.len());
    reorder(weight.layout, &weight.data, &mut taps, |taps, weight, walk, param| taps[walk] = weight[param]);
    taps
}

fn from_walk(source: &Source, layout: Layout, taps: &[Lane]) -> Param {
    let mut weight = Param::stale(source, layout);
    reorder(layout, taps, &mut weight.data, |weight, taps, walk, param| weight[param] = taps[walk]);
    weight
}

/// Bytes of [`Scratch`] for a listed spike, with its dot.
pub const PER_SPIKE: usize = PER_WINDOW + size_of::<f32>();

#[derive(Default)]
struct Scratch {
    windows: Windows,
    /// dL/dx of each listed spike.
    dots: Vec<f32>,
    /// One block of e at the positions and steps of a unit, with a border.
    bordered: Vec<Lane>,
    unfolded: Vec<f32>,
    folded: Vec<f32>,
    rows: Vec<Lane>,
}

struct Backward<'a> {
    isa: Isa,
    weight: &'a Param,
    /// The weight in the order of the walk.
    taps: &'a [Lane],
    tiling: &'a Tiling,
    /// Steps in e.
    stored: usize,
    /// Lanes in a block of a sample of e.
    block_len: usize,
    need: Need,
}

impl Backward<'_> {
    /// Spikes of one sample: both gradients by the walk, or dL/dx by products where it is needed everywhere. Without a place of its
    /// own dL/dx goes to that of e.
    fn walk_sample(&self, x: &Spikes, b: usize, e: &mut [Lane], d_weight: &mut [Lane], d_x: &mut [Lane], scratch: &mut Scratch) {
        let Scratch { windows, dots, bordered, .. } = scratch;
        windows.list(self.isa, x, b, self.tiling);
        dots.clear();
        dots.reserve_exact(windows.corner.len());
        dots.resize(windows.corner.len(), 0.0);
        bordered.resize(self.tiling.room(), Lane::ZERO);
        let (k, channels) = (side(self.weight), x.shape.c);
        for (block, e) in e.chunks_exact(self.block_len).enumerate() {
            let place = block * channels * k * k..(block + 1) * channels * k * k;
            let (weight, d_weight) = (&self.taps[place.clone()], &mut d_weight[place]);
            for (n, unit) in self.tiling.units().enumerate() {
                self.tiling.border(&unit, e, bordered);
                let first = n * channels.next_multiple_of(LANES);
                let walk = Walk { windows, dots, bordered, channels, first, weight, d_weight, k, pitch: self.tiling.pitch, at: (0, 0) };
                walk.all(self.isa, x.graded(), self.need == Need::AtSpikes);
            }
        }
        match self.need {
            Need::Nothing => {}
            Need::AtSpikes => scatter(x, scratch, if d_x.is_empty() { e } else { d_x }),
            Need::Everywhere => self.dense_sample(None, x.shape, e, d_weight, d_x, scratch),
        }
    }

    /// One sample by matrix products: dL/dW if `x` is given, dL/dx if needed.
    fn dense_sample(
        &self,
        x: Option<(&Field, usize)>,
        shape: Chw,
        e: &[Lane],
        d_weight: &mut [Lane],
        d_x: &mut [Lane],
        scratch: &mut Scratch,
    ) {
        let geometry = Unfold { shape, k: side(self.weight), steps: self.stored };
        let (all, rows_in_weight) = (self.block_len, super::param::rows(self.weight.layout));
        for first in (0..all).step_by(TILE) {
            let rows = TILE.min(all - first);
            if let Some((x, b)) = x {
                geometry.unfold(x.sample(b), first, rows, &mut scratch.unfolded);
            }
            scratch.folded.clear();
            scratch.folded.resize(if d_x.is_empty() { 0 } else { rows * geometry.columns() }, 0.0);
            for group in groups(outputs(self.weight.layout)) {
                interleave(e, all, group, first, rows, &mut scratch.rows);
                let part = &mut d_weight[group.first * rows_in_weight..(group.first + group.width) * rows_in_weight];
                let unfolded = x.map(|_| (&scratch.unfolded[..], part));
                let folded = (!d_x.is_empty()).then_some((&mut scratch.folded[..], self.weight.group(group)));
                multiply_back(&geometry, (first, rows), (&scratch.rows, group), unfolded, folded);
            }
            if !d_x.is_empty() {
                geometry.fold(&scratch.folded, first, rows, d_x);
            }
        }
    }
}

/// The listed dots to their places in `d_x` `[C/16][T][H·W]`.
fn scatter(x: &Spikes, scratch: &Scratch, d_x: &mut [Lane]) {
    let (channels, block_len) = (blocks(x.shape.c) * LANES, x.steps * x.shape.area());
    let lists = &scratch.windows.lists;
    for list in 0..lists.starts.len() - 1 {
        let c = list % channels;
        let block = &mut d_x[c / LANES * block_len..][..block_len];
        for i in lists.range(list) {
            block[lists.index[i] as usize].0[c % LANES] = scratch.dots[i];
        }
    }
}
