//! Convolution forward over spikes: for every output position the rows of its active inputs are listed, slice by slice, and added
//! ([`rows`](super::rows)). Graded spikes are as many binary ones as they have planes, of weights times a power of two.

use std::ops::Range;

use rayon::prelude::*;

use super::conv::side;
use super::field::{Field, MOSTLY, Spikes, Words, blocks, live_lanes};
use super::param::{Group, Param, groups, outputs};
use super::rows::{self, Add, Make, ROWS, RowLists, Rows, Run, Slice, TOGETHER, WAYS};
use super::simd::{Isa, Kernel, LANES, Lane, Simd};
use crate::shape::Chw;

/// Rows that are copied at once: there are seldom more.
const COPIED: usize = 32;
/// Positions and steps whose lists are made together: lists and sums of a slice stay in L2. Few in tests, so that they come in parts, but
/// not where a release build takes times (`sweep.rs`).
const LISTED: usize = if cfg!(all(test, debug_assertions)) { 1 << 6 } else { 1 << 11 };
/// Fewer positions and steps are not worth a task of their own.
const LEAST: usize = 1 << 10;
/// Tasks that a layer is cut into at least, where it has the blocks.
const TASKS: usize = 8;

/// How the spikes of a layer are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Single rows or fours.
    pub rows: Rows,
    /// Whether silences are listed, not spikes. At the border, inputs that do not exist are not listed either way.
    pub silences: bool,
}

/// Single rows or fours, of spikes or silences, by what they are estimated to cost.
pub fn choose(isa: Isa, x: &Spikes, weight: &Param) -> Way {
    let (taps, uses) = (side(weight).pow(2), together(x) * x.shape.area() * steps_together(x));
    let mut densities: Vec<f64> = (0..x.planes.len()).map(|plane| x.plane_density(isa, plane)).collect();
    let silences = !x.graded() && densities[0] > MOSTLY;
    if silences {
        densities[0] = 1.0 - densities[0];
    }
    let cost = |rows: Rows| {
        let cut = Cut::new(rows, x, side(weight));
        rows.cost(taps * x.shape.c, &densities, cut.units * cut.taps, uses)
    };
    let rows = if cost(Rows::Fours) < cost(Rows::Single) { Rows::Fours } else { Rows::Single };
    Way { rows, silences }
}

/// Samples of one task.
fn together(x: &Spikes) -> usize {
    (LEAST / (x.steps * x.shape.area())).clamp(1, x.samples.div_ceil(TASKS).max(1))
}

/// y = W x + b, in this way.
pub fn forward(isa: Isa, way: Way, x: &Spikes, weight: &Param, bias: &Param, y: &mut Field) {
    let masks = StepMasks::of(isa, x, way.silences);
    let starts = if way.silences { Starts::ByPosition(of_all_inputs(x, weight, bias)) } else { Starts::Bias(bias) };
    let job = Job { isa, x, masks: &masks, weight: &by_block(weight), starts, cut: Cut::new(way.rows, x, side(weight)), way };
    pieces(x, y).into_par_iter().for_each_init(Scratch::default, |scratch, piece| job.run(piece, scratch));
}

/// What one task computes.
struct Piece<'a> {
    samples: Range<usize>,
    steps: Range<usize>,
    /// Blocks of outputs.
    blocks: Range<usize>,
    /// `[steps][H·W]` for every sample and block.
    y: Vec<&'a mut [Lane]>,
}

/// Cut by samples and steps, so that lists stay small; few pieces are cut by outputs too, so that no core waits.
fn pieces<'a>(x: &Spikes, y: &'a mut Field) -> Vec<Piece<'a>> {
    let (area, all, together, steps) = (x.shape.area(), blocks(y.shape.c), together(x), steps_together(x));
    let ways = x.samples.div_ceil(together) * x.steps.div_ceil(steps);
    let part = all.div_ceil(TASKS.div_ceil(ways).min(all));
    let mut pieces = Vec::new();
    for first in (0..x.samples).step_by(together) {
        for (from, block) in (0..x.steps).step_by(steps).flat_map(|from| (0..all).step_by(part).map(move |block| (from, block))) {
            let (samples, blocks) = (first..x.samples.min(first + together), block..all.min(block + part));
            pieces.push(Piece { samples, steps: from..x.steps.min(from + steps), blocks, y: Vec::new() });
        }
    }
    let per_samples = x.steps.div_ceil(steps) * all.div_ceil(part);
    for (i, y) in y.data.chunks_mut(x.steps * area).enumerate() {
        let (sample, block) = (i / all, i % all);
        for (j, y) in y.chunks_mut(steps * area).enumerate() {
            pieces[sample / together * per_samples + j * all.div_ceil(part) + block / part].y.push(y);
        }
    }
    pieces
}

/// Steps of one task.
fn steps_together(x: &Spikes) -> usize {
    (LISTED / x.shape.area()).clamp(1, x.steps)
}

/// Spikes by step: bit l of `[plane][B][T][C/16][H·W]` is channel l of the block.
struct StepMasks {
    masks: Vec<u16>,
    /// Masks of one sample at one step.
    step_len: usize,
    sample_len: usize,
    plane_len: usize,
}

impl StepMasks {
    /// Of spikes, or of silences of channels that exist.
    fn of(isa: Isa, x: &Spikes, silences: bool) -> StepMasks {
        let (step_len, sample_len) = (x.sample_len(), x.sample_len() * x.steps);
        let mut masks = vec![0; x.planes.len() * x.samples * sample_len];
        masks.par_chunks_mut(sample_len).enumerate().for_each(|(i, out)| {
            let (plane, sample) = (i / x.samples, i % x.samples);
            isa.run(Transpose { words: &x.planes[plane][sample * step_len..(sample + 1) * step_len], out });
            if silences {
                for (i, mask) in out.iter_mut().enumerate() {
                    let live = live_lanes(x.shape.c, i % step_len / x.shape.area());
                    *mask = !*mask & (u16::MAX >> (LANES - live));
                }
            }
        });
        StepMasks { masks, step_len, sample_len, plane_len: x.samples * sample_len }
    }

    /// `[C/16][H·W]`
    fn of_step(&self, plane: usize, sample: usize, t: usize) -> &[u16] {
        &self.masks[plane * self.plane_len + sample * self.sample_len + t * self.step_len..][..self.step_len]
    }
}

/// Words of one sample to masks of its steps.
struct Transpose<'a> {
    words: &'a [Words],
    out: &'a mut [u16],
}

impl Kernel for Transpose<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let (all, steps) = (self.words.len(), self.out.len() / self.words.len());
        for (i, words) in self.words.iter().enumerate() {
            for t in 0..steps {
                self.out[t * all + i] = S::step_mask(words, t);
            }
        }
    }
}

/// How the inputs of an output position are cut into slices.
struct Cut {
    rows: Rows,
    planes: usize,
    k: usize,
    /// Channels or fours of channels in a slice.
    units: usize,
    /// Taps in a slice, at most.
    taps: usize,
}

impl Cut {
    fn new(rows: Rows, x: &Spikes, k: usize) -> Cut {
        let (planes, taps, room) = (x.planes.len(), k * k, ROWS / rows.per_unit() - rows.first());
        let fit = (room / (planes * taps)).max(1);
        let units = match rows {
            // A power of two, so that a slice begins with a block or lies within one; at most a word of channels.
            Rows::Single => 1 << fit.min(64).ilog2(),
            // 48 channels, wherever they begin, lie within four blocks.
            Rows::Fours => fit.min(12),
        };
        let most = (room / (planes * units)).clamp(1, taps);
        Cut { rows, planes, k, units, taps: taps.div_ceil(taps.div_ceil(most)) }
    }

    /// Channels and taps of every slice.
    fn slices(&self, channels: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (together, taps, all) = (self.channels(), self.taps, self.k * self.k);
        let taps =
            move |first: usize| (0..all).step_by(taps).map(move |tap| (first..channels.min(first + together), tap..all.min(tap + taps)));
        (0..channels).step_by(together).flat_map(taps)
    }

    /// Rows of one tap.
    fn per_tap(&self) -> usize {
        self.planes * self.units * self.rows.per_unit()
    }

    /// First row of a plane under the first tap.
    fn plane(&self, plane: usize) -> usize {
        self.rows.first() + plane * self.units * self.rows.per_unit()
    }

    /// The rows of active channels (a bit each, from the slice's first) under the first tap.
    #[inline]
    fn list(&self, mut active: u64, plane: usize, channels: usize, out: &mut Vec<u16>) {
        let first = self.plane(plane);
        if self.rows == Rows::Single {
            while active != 0 {
                out.push((first + active.trailing_zeros() as usize) as u16);
                active &= active - 1;
            }
            return;
        }
        // Written always, kept if one fires: cheaper than a branch that cannot be predicted.
        let mut end = out.len();
        out.resize(end + channels.div_ceil(4), 0);
        for four in 0..channels.div_ceil(4) {
            let way = (active >> (4 * four) & 15) as usize;
            out[end] = (first + four * WAYS + way) as u16;
            end += usize::from(way != 0);
        }
        out.truncate(end);
    }

    /// Channels of a slice.
    fn channels(&self) -> usize {
        self.units * self.rows.inputs()
    }
}

/// The rows that each position and step has active in a slice, under the first tap: lists behind one another.
#[derive(Default)]
struct Near {
    /// Followed by [`COPIED`] of no meaning.
    rows: Vec<u16>,
    /// Of the samples' steps and positions in order; one more than there are lists.
    starts: Vec<u32>,
}

struct Scratch {
    slice: Slice,
    near: Near,
    lists: Vec<RowLists>,
    group: rows::Group,
    runs: Vec<Run>,
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch { slice: Slice::default(), near: Near::default(), lists: Vec::new(), group: rows::Group::new(), runs: Vec::new() }
    }
}

struct Job<'a> {
    isa: Isa,
    x: &'a Spikes,
    masks: &'a StepMasks,
    /// Per block of outputs.
    weight: &'a [OfBlock<'a>],
    starts: Starts<'a>,
    cut: Cut,
    way: Way,
}

/// What sums begin with.
enum Starts<'a> {
    /// All with the bias.
    Bias(&'a Param),
    /// Where silences are listed, with the weights of all inputs that exist, too: per block `[H·W]`.
    ByPosition(Vec<Vec<Lane>>),
}

/// Bias and the weights of all inputs, as far as they are inside the map.
fn of_all_inputs(x: &Spikes, weight: &Param, bias: &Param) -> Vec<Vec<Lane>> {
    let (Chw { c, h, w }, k, pad) = (x.shape, side(weight), side(weight) / 2);
    let add = |sum: Lane, other: &Lane, scale: f32| Lane(std::array::from_fn(|l| sum.0[l] + other.0[l] * scale));
    let of_block = |(block, OfBlock { weight, stride }): (usize, &OfBlock)| {
        let row = |tap: usize, input: usize| &weight[(tap * c + input) * stride];
        let taps: Vec<Lane> = (0..k * k).map(|tap| (0..c).fold(Lane::ZERO, |sum, input| add(sum, row(tap, input), 1.0))).collect();
        let inside = |y: usize, x: usize, tap: usize| (pad..h + pad).contains(&(y + tap / k)) && (pad..w + pad).contains(&(x + tap % k));
        let start = |p: usize| {
            let inside = (0..k * k).filter(|&tap| inside(p / w, p % w, tap));
            inside.fold(bias.data[block], |sum, tap| add(sum, &taps[tap], x.scale))
        };
        (0..h * w).map(start).collect()
    };
    by_block(weight).par_iter().enumerate().map(of_block).collect()
}

/// The weights of one block of outputs: `[row][stride]`, from that block on.
struct OfBlock<'a> {
    weight: &'a [Lane],
    stride: usize,
}

fn by_block(weight: &Param) -> Vec<OfBlock<'_>> {
    let of = |group: Group| (0..group.width).map(move |n| OfBlock { weight: &weight.group(group)[n..], stride: group.width });
    groups(outputs(weight.layout)).into_iter().flat_map(of).collect()
}

impl Job<'_> {
    fn run(&self, mut piece: Piece, scratch: &mut Scratch) {
        for (i, (channels, taps)) in self.cut.slices(self.x.shape.c).enumerate() {
            self.list(&piece, &channels, &taps, scratch);
            self.find_runs(&channels, &taps, &mut scratch.runs);
            for (j, block) in piece.blocks.clone().enumerate() {
                let OfBlock { weight, stride } = self.weight[block];
                self.isa.run(Make { rows: self.cut.rows, runs: &scratch.runs, weight, stride, slice: &mut scratch.slice });
                for (sample, lists) in scratch.lists.iter().enumerate() {
                    let sums = &mut *piece.y[sample * piece.blocks.len() + j];
                    let start = match &self.starts {
                        _ if i > 0 => None,
                        Starts::Bias(bias) => Some(&bias.data[block]),
                        Starts::ByPosition(starts) => {
                            sums.chunks_exact_mut(self.x.shape.area()).for_each(|step| step.copy_from_slice(&starts[block]));
                            None
                        }
                    };
                    self.isa.run(Add { slice: &scratch.slice, lists, start, sums });
                }
            }
        }
    }

    /// Lists the rows of one slice, for every sample of a piece.
    fn list(&self, piece: &Piece, channels: &Range<usize>, taps: &Range<usize>, scratch: &mut Scratch) {
        if taps.start == 0 {
            self.find_near(piece, channels, &mut scratch.near);
        }
        let count = piece.steps.len() * self.x.shape.area();
        scratch.lists.resize_with(piece.samples.len(), RowLists::default);
        for (i, out) in scratch.lists.iter_mut().enumerate() {
            let (near, group, shape) = (&scratch.near, &mut scratch.group, self.x.shape);
            self.isa.run(ListRows { near, first: i * count, count, cut: &self.cut, shape, taps: taps.clone(), group, out });
        }
    }

    fn find_near(&self, piece: &Piece, channels: &Range<usize>, out: &mut Near) {
        let (planes, area) = (self.cut.planes, self.x.shape.area());
        let blocks = channels.start / LANES..channels.end.div_ceil(LANES);
        out.rows.clear();
        out.starts.clear();
        out.starts.push(0);
        for (b, t) in piece.samples.clone().flat_map(|b| piece.steps.clone().map(move |t| (b, t))) {
            for p in 0..area {
                for plane in 0..planes {
                    let masks = &self.masks.of_step(plane, b, t)[blocks.start * area..];
                    let together = (0..blocks.len()).fold(0, |word, i| word | u64::from(masks[i * area + p]) << (i * LANES));
                    let active = together >> (channels.start % LANES) & (u64::MAX >> (64 - channels.len()));
                    self.cut.list(active, plane, channels.len(), &mut out.rows);
                }
                out.starts.push(out.rows.len() as u32);
            }
        }
        out.rows.extend([0; COPIED]);
    }

    fn find_runs(&self, channels: &Range<usize>, taps: &Range<usize>, out: &mut Vec<Run>) {
        out.clear();
        for (tap, plane) in taps.clone().flat_map(|tap| (0..self.cut.planes).map(move |plane| (tap, plane))) {
            out.push(Run {
                row: self.cut.plane(plane) + (tap - taps.start) * self.cut.per_tap(),
                from: tap * self.x.shape.c + channels.start,
                inputs: channels.len(),
                scale: self.x.scale * (1u64 << plane) as f32 * if self.way.silences { -1.0 } else { 1.0 },
            });
        }
    }
}

/// The rows of every position and step of one sample, from what is active around it.
struct ListRows<'a> {
    near: &'a Near,
    /// First list of the sample.
    first: usize,
    /// Positions and steps of the sample.
    count: usize,
    cut: &'a Cut,
    shape: Chw,
    taps: Range<usize>,
    group: &'a mut rows::Group,
    out: &'a mut RowLists,
}

impl Kernel for ListRows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let ListRows { near, first, count, cut, shape: Chw { h, w, .. }, taps, group, out } = self;
        let starts = &near.starts[first..=first + count];
        let (k, pad, per_tap) = (cut.k, cut.k / 2, cut.per_tap());
        let rows = taps.start / k..taps.end.div_ceil(k);
        out.clear();
        let (mut step, mut y, mut x, mut left) = (0, 0, 0, count);
        while left > 0 {
            for j in 0..TOGETHER {
                let (list, mut end) = (&mut group.rows[j], 0);
                if left > 0 {
                    for ky in rows.start.max(pad.saturating_sub(y))..rows.end.min(h + pad - y) {
                        let from = taps.start.max(ky * k).max(ky * k + pad.saturating_sub(x));
                        let until = taps.end.min(ky * k + k.min(w + pad - x));
                        for tap in from..until {
                            let at = (step * h + y + ky - pad) * w + x + (tap - ky * k) - pad;
                            let (from, until) = (starts[at] as usize, starts[at + 1] as usize);
                            let shift = ((tap - taps.start) * per_tap) as u16;
                            copy(&near.rows, from, shift, &mut list[end..]);
                            for more in (COPIED..until - from).step_by(COPIED) {
                                copy(&near.rows, from + more, shift, &mut list[end + more..]);
                            }
                            end += until - from;
                        }
                    }
                    left -= 1;
                    x += 1;
                    if x == w {
                        (x, y) = (0, y + 1);
                    }
                    if y == h {
                        (y, step) = (0, step + 1);
                    }
                }
                group.count[j] = end;
            }
            out.push(group);
        }
    }
}

/// Copies rows from `rows[from..]` under the tap that begins at row `shift`; at once, more than are asked for.
#[inline(always)]
fn copy(rows: &[u16], from: usize, shift: u16, to: &mut [u16]) {
    let mut copied: [u16; COPIED] = *rows[from..].first_chunk().expect("rows go on behind the last list");
    copied.iter_mut().for_each(|row| *row = row.wrapping_add(shift));
    to[..COPIED].copy_from_slice(&copied);
}

/// Rows that [`forward`] adds for each block of outputs, those that fill up lists included.
#[cfg(test)]
pub fn rows_added(isa: Isa, rows: Rows, x: &Spikes, k: usize) -> usize {
    let layout = crate::engine::Layout::Conv { out: 1, inp: x.shape.c, k };
    let (weight, bias) = (Param::zeros(x.source(), layout), Param::zeros(x.source(), crate::engine::Layout::PerChannel(1)));
    let (masks, way) = (StepMasks::of(isa, x, false), Way { rows, silences: false });
    let (starts, cut) = (Starts::Bias(&bias), Cut::new(rows, x, k));
    let job = Job { isa, x, masks: &masks, weight: &by_block(&weight), starts, cut, way };
    let (mut scratch, mut added) = (Scratch::default(), 0);
    for piece in pieces(x, &mut Field::zeros(x.source(), Chw { c: 1, ..x.shape }, x.cut, x.steps, x.steps)) {
        for (channels, taps) in job.cut.slices(x.shape.c) {
            job.list(&piece, &channels, &taps, &mut scratch);
            added += scratch.lists.iter().map(RowLists::rows).sum::<usize>();
        }
    }
    added
}
