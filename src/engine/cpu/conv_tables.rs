//! Convolution forward by tables: for every tap and every four input channels the sums of their weight rows, one for each of the
//! 16 ways they can fire. An output pixel then adds one entry per four that fires at all, up to four spikes at once.
//!
//! The tables of a few blocks of outputs stay in L2 while the samples read them; lists of entries are built once for all taps and
//! outputs.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::conv::{Gather, side};
use super::field::{Field, Spikes, Words, blocks};
use super::lists::Lists;
use super::param::{Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Simd};

/// Lanes of tables used at a time: 640 KB, so that they and what they are read for fit into 1 MB of L2.
const TABLE: usize = 640 << 10 >> 6;
/// Below so many output pixels and steps the tables cost more than they save: building takes about as long as 30.
const LEAST_PIXELS: usize = 256;
/// Neuron-steps whose entries are listed together: at most 4 MB of lists. Few in tests, so that they come in parts.
const LISTED: usize = if cfg!(test) { 1 << 10 } else { 1 << 22 };
/// Ways that four inputs can fire.
const WAYS: usize = 16;

/// Blocks of outputs whose tables fit; none for very large kernels.
fn blocks_together(x: &Spikes, k: usize) -> Option<usize> {
    let rows = k * k * fours(x) * WAYS;
    [8, 4, 2, 1].into_iter().find(|n| rows * n <= TABLE)
}

fn fours(x: &Spikes) -> usize {
    x.shape.c.div_ceil(4)
}

/// Whether [`forward`] is the way to go: a matter of shapes, not of spikes.
pub fn suits(x: &Spikes, weight: &Param) -> bool {
    !x.graded() && x.samples * x.steps * x.shape.area() >= LEAST_PIXELS && blocks_together(x, side(weight)).is_some()
}

/// y = W x + b
pub fn forward(isa: Isa, x: &Spikes, weight: &Param, bias: &Param, y: &mut Field) {
    let (k, block_len, sample_len) = (side(weight), y.block_len(), y.sample_len());
    let most = blocks_together(x, k).expect("`suits` was asked");
    let together = (LISTED / (x.sample_len() * LANES * x.steps)).max(1);
    let mut table = Buffer::stale(k * k * fours(x) * WAYS * most);
    for (part, y) in y.data.chunks_mut(sample_len * together).enumerate() {
        let samples = part * together..x.samples.min((part + 1) * together);
        let lists: Vec<Lists> = samples.into_par_iter().map(|b| entries(isa, x, b)).collect();
        for group in groups(outputs(weight.layout)) {
            let n = most.min(group.width);
            for first in (0..group.width).step_by(n) {
                let table = &mut table[..k * k * fours(x) * WAYS * n];
                let rows = Rows { weight: weight.group(group), stride: group.width, first, channels: x.shape.c };
                build(isa, &rows, n, table);
                let first = group.first + first;
                let bias = &bias.data[first..first + n];
                y.par_chunks_mut(sample_len).zip(&lists).for_each(|(y, lists)| {
                    let y = &mut y[first * block_len..(first + n) * block_len];
                    let (shape, rows, steps) = (x.shape, fours(x) * WAYS, 0..x.steps);
                    Gather { lists, shape, rows, k, steps, stored: x.steps, weight: table, bias, scale: x.scale, y }.run(isa, n, false);
                });
            }
        }
    }
}

/// For every (step, position) of one sample: the table entries to add, `four · 16 + how it fires`.
fn entries(isa: Isa, x: &Spikes, sample: usize) -> Lists {
    let mut lists = Lists::default();
    let planes = &x.planes[0][sample * x.sample_len()..(sample + 1) * x.sample_len()];
    isa.run(Entries { planes, blocks: blocks(x.shape.c), steps: x.steps, out: &mut lists });
    lists
}

struct Entries<'a> {
    /// `[C/16][H·W]`
    planes: &'a [Words],
    blocks: usize,
    steps: usize,
    out: &'a mut Lists,
}

impl Kernel for Entries<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        const FOURS: usize = LANES / 4;
        let Entries { planes, blocks, steps, out } = self;
        let area = planes.len() / blocks;
        out.clear();
        for t in 0..steps {
            for p in 0..area {
                // Written always, kept if one fires: cheaper than a branch that cannot be predicted.
                let mut end = out.index.len();
                out.index.resize(end + blocks * FOURS, 0);
                for block in 0..blocks {
                    let mask = u32::from(S::step_mask(&planes[block * area + p], t));
                    for four in 0..FOURS {
                        let code = mask >> (4 * four) & 15;
                        out.index[end] = ((block * FOURS + four) * WAYS) as u32 + code;
                        end += usize::from(code != 0);
                    }
                }
                out.index.truncate(end);
                out.end_list();
            }
        }
    }
}

/// Weight rows of some blocks of a group.
struct Rows<'a> {
    /// `[tap][C][stride]`
    weight: &'a [Lane],
    stride: usize,
    /// First block.
    first: usize,
    channels: usize,
}

/// `[tap][four][way][n]`; what only padding channels could ask for is not written.
fn build(isa: Isa, rows: &Rows, n: usize, table: &mut [Lane]) {
    match n {
        8 => isa.run(Build::<8>(rows, table)),
        4 => isa.run(Build::<4>(rows, table)),
        2 => isa.run(Build::<2>(rows, table)),
        _ => isa.run(Build::<1>(rows, table)),
    }
}

struct Build<'a, const N: usize>(&'a Rows<'a>, &'a mut [Lane]);

impl<const N: usize> Kernel for Build<'_, N> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Rows { weight, stride, first, channels } = *self.0;
        let per_tap = channels.div_ceil(4);
        let tables = self.1.as_chunks_mut::<N>().0.as_chunks_mut::<WAYS>().0;
        for (i, table) in tables.iter_mut().enumerate() {
            let (tap, channel) = (i / per_tap, i % per_tap * 4);
            let ways = 1usize << (channels - channel).min(4);
            for way in 1..ways {
                let (lowest, others) = (way.trailing_zeros() as usize, way & (way - 1));
                let row = &weight[(tap * channels + channel + lowest) * stride + first..][..N];
                for n in 0..N {
                    let row = S::load(&row[n]);
                    let sum = if others == 0 { row } else { S::add(S::load(&table[others][n]), row) };
                    S::store(sum, &mut table[way][n]);
                }
            }
        }
    }
}
