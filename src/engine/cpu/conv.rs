//! Convolution forward: by tables ([`conv_tables`]), else gather over spikes, or unfold and multiply where the input is real or dense.
//!
//! Gather: for one output pixel, the accumulators of up to 128 output channels stay in registers while the weight rows of
//! its active inputs are added. Twice as fast as scattering each spike into the output.

use std::ops::Range;

use rayon::prelude::*;

use super::conv_tables;
use super::dense::{self, TILE, Unfold, matmul, row_major};
use super::field::{Acts, Field, Spikes, blocks};
use super::lists::{ByPosition, Lists};
use super::param::{Group, Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Simd, floats, floats_mut};
use crate::engine::Layout;
use crate::shape::Chw;

/// Share of spikes above which the forward pass multiplies instead of gathering: gathering costs in proportion to the spikes
/// at about half the rate of a dense product, and unfolding takes the rest of the gain.
pub const DENSE_SHARE: f64 = 0.6;

/// Neuron-steps of a sample that are listed or expanded at a time, so that the lists stay in L2.
const LISTED: usize = 1 << 18;

/// K of a convolution's weight.
pub fn side(weight: &Param) -> usize {
    match weight.layout {
        Layout::Conv { k, .. } => k,
        other => unreachable!("{other:?} is not a convolution"),
    }
}

/// Steps cut so that the work lists of one part stay small.
fn step_groups(shape: Chw, steps: usize) -> impl Iterator<Item = Range<usize>> {
    let together = (LISTED / (blocks(shape.c) * LANES * shape.area()).max(1)).clamp(1, steps);
    (0..steps).step_by(together).map(move |from| from..(from + together).min(steps))
}

/// y = W x + b
pub fn forward(isa: Isa, x: &Acts, weight: &Param, bias: &Param) -> Field {
    let shape = Chw { c: outputs(weight.layout), ..x.shape() };
    let mut y = Field::stale(shape, x.samples(), x.steps(), x.stored());
    if let Acts::Spikes(s) = x
        && conv_tables::suits(s, weight)
    {
        conv_tables::forward(isa, s, weight, bias, &mut y);
        return y;
    }
    let sample_len = y.sample_len();
    let samples = y.data.par_chunks_mut(sample_len.max(1)).enumerate();
    match x {
        Acts::Spikes(s) if s.density() <= DENSE_SHARE => samples.for_each_init(Lists::default, |lists, (b, y)| {
            for steps in step_groups(s.shape, s.steps) {
                let planes = s.window(b * s.sample_len(), s.sample_len());
                lists.clear();
                let blocks = blocks(s.shape.c);
                isa.run(ByPosition { planes: &planes, blocks, area: s.shape.area(), steps: steps.clone(), out: lists });
                gather(isa, s, lists, steps, weight, bias, y);
            }
        }),
        Acts::Spikes(s) => samples.for_each_init(Buffers::default, |buffers, (b, y)| {
            for steps in step_groups(s.shape, s.steps) {
                let mut x = std::mem::take(&mut buffers.expanded);
                s.expand(b, steps.start, steps.end, &mut x);
                multiply(&x, s.shape, steps, s.steps, weight, bias, buffers, y);
                buffers.expanded = x;
            }
        }),
        Acts::Real(f) => samples.for_each_init(Buffers::default, |buffers, (b, y)| {
            multiply(f.sample(b), f.shape, 0..f.stored, f.stored, weight, bias, buffers, y);
        }),
    }
    y
}

#[derive(Default)]
struct Buffers {
    expanded: Vec<Lane>,
    unfolded: Vec<f32>,
    product: Vec<Lane>,
}

/// The dense path for some steps of one sample: `x` holds just these steps, `y` all `stored` of them.
#[expect(clippy::too_many_arguments, reason = "one call site per kind of input")]
fn multiply(
    x: &[Lane],
    shape: Chw,
    steps: Range<usize>,
    stored: usize,
    weight: &Param,
    bias: &Param,
    buffers: &mut Buffers,
    y: &mut [Lane],
) {
    let (area, geometry) = (shape.area(), Unfold { shape, k: side(weight), steps: steps.len() });
    for first in (0..steps.len() * area).step_by(TILE) {
        let rows = TILE.min(steps.len() * area - first);
        geometry.unfold(x, first, rows, &mut buffers.unfolded);
        for group in groups(outputs(weight.layout)) {
            let width = group.width * LANES;
            buffers.product.resize(rows * group.width, Lane::ZERO);
            let a = (&buffers.unfolded[..], row_major(geometry.columns()));
            let b = (floats(weight.group(group)), row_major(width));
            matmul([rows, width, geometry.columns()], (floats_mut(&mut buffers.product), width), false, a, b);
            for n in 0..group.width {
                let (start, bias) = ((group.first + n) * stored * area + steps.start * area + first, &bias.data[group.first + n]);
                for (r, y) in y[start..start + rows].iter_mut().enumerate() {
                    let product = &buffers.product[r * group.width + n];
                    *y = Lane(std::array::from_fn(|l| product.0[l] + bias.0[l]));
                }
            }
        }
    }
}

/// The event-driven path for some steps of one sample.
fn gather(isa: Isa, x: &Spikes, lists: &Lists, steps: Range<usize>, weight: &Param, bias: &Param, y: &mut [Lane]) {
    for group in groups(outputs(weight.layout)) {
        let Group { first, width } = group;
        let (k, shape) = (side(weight), x.shape);
        let y = &mut y[first * x.steps * shape.area()..(first + width) * x.steps * shape.area()];
        let (bias, weight) = (&bias.data[first..first + width], weight.group(group));
        Gather { lists, shape, rows: shape.c, k, steps: steps.clone(), stored: x.steps, weight, bias, scale: x.scale, y }.run(
            isa,
            width,
            x.graded(),
        );
    }
}

/// For each output pixel, the sum of the rows that the lists name under its taps.
pub struct Gather<'a> {
    /// Rows to add per (step, position): active channels, or entries of a table.
    pub lists: &'a Lists,
    /// Of one sample of the input.
    pub shape: Chw,
    /// Rows per tap.
    pub rows: usize,
    /// K.
    pub k: usize,
    /// Steps in the lists.
    pub steps: Range<usize>,
    /// Steps in `y`.
    pub stored: usize,
    /// `[tap][rows][N]`
    pub weight: &'a [Lane],
    /// `[N]`
    pub bias: &'a [Lane],
    /// Value of level 1.
    pub scale: f32,
    /// `[N][stored][H·W]`
    pub y: &'a mut [Lane],
}

impl Gather<'_> {
    /// For `width` blocks of outputs.
    pub fn run(self, isa: Isa, width: usize, graded: bool) {
        match (width, graded) {
            (8, false) => isa.run(Sized::<8, false>(self)),
            (4, false) => isa.run(Sized::<4, false>(self)),
            (2, false) => isa.run(Sized::<2, false>(self)),
            (_, false) => isa.run(Sized::<1, false>(self)),
            (8, true) => isa.run(Sized::<8, true>(self)),
            (4, true) => isa.run(Sized::<4, true>(self)),
            (2, true) => isa.run(Sized::<2, true>(self)),
            (_, true) => isa.run(Sized::<1, true>(self)),
        }
    }
}

/// [`Gather`] for N registers of output channels.
struct Sized<'a, const N: usize, const GRADED: bool>(Gather<'a>);

impl<const N: usize, const GRADED: bool> Kernel for Sized<'_, N, GRADED> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Gather { lists, shape: Chw { h, w, .. }, rows: per_tap, k, steps, stored, weight, bias, scale, y } = self.0;
        let (weight, pad) = (weight.as_chunks::<N>().0, k / 2);
        for (i, t) in steps.enumerate() {
            for p in 0..h * w {
                let (py, px) = (p / w, p % w);
                let mut acc = [S::splat(0.0); N];
                for ky in pad.saturating_sub(py)..k.min(h + pad - py) {
                    for kx in pad.saturating_sub(px)..k.min(w + pad - px) {
                        let rows = &weight[(ky * k + kx) * per_tap..][..per_tap];
                        let list = lists.range(i * h * w + (py + ky - pad) * w + px + kx - pad);
                        add_rows::<S, N, GRADED>(&mut acc, rows, lists, list);
                    }
                }
                for n in 0..N {
                    let value = S::fma(acc[n], S::splat(scale), S::load(&bias[n]));
                    S::store(value, &mut y[(n * stored + t) * h * w + p]);
                }
            }
        }
    }
}

/// Adds the rows of the listed inputs, times their level.
#[inline(always)]
pub fn add_rows<S: Simd, const N: usize, const GRADED: bool>(acc: &mut [S::V; N], rows: &[[Lane; N]], lists: &Lists, list: Range<usize>) {
    let level = if GRADED { &lists.level[list.clone()] } else { &[] };
    for (i, &input) in lists.index[list].iter().enumerate() {
        let row = &rows[input as usize];
        for n in 0..N {
            acc[n] = if GRADED { S::fma(S::splat(level[i]), S::load(&row[n]), acc[n]) } else { S::add(acc[n], S::load(&row[n])) };
        }
    }
}

/// Copies steps of e for one group as the rows of a matrix `[rows][width]`; `e` is `[C/16][stored][H·W]` of one sample.
pub fn interleave(e: &[Lane], block_len: usize, group: Group, first: usize, rows: usize, out: &mut Vec<Lane>) {
    out.clear();
    out.extend((first..first + rows).flat_map(|r| (0..group.width).map(move |n| e[(group.first + n) * block_len + r])));
}

/// Weight gradient and input gradient of the dense path for one tile; see `conv_back`.
pub fn multiply_back(
    geometry: &Unfold,
    (first, rows): (usize, usize),
    e: (&[Lane], Group),
    unfolded: Option<(&[f32], &mut [Lane])>,
    folded: Option<(&mut [f32], &[Lane])>,
) {
    debug_assert!(first < geometry.steps * geometry.shape.area());
    let (width, columns) = (e.1.width * LANES, geometry.columns());
    if let Some((a, d_weight)) = unfolded {
        let a = (a, dense::transposed(columns));
        matmul([columns, width, rows], (floats_mut(d_weight), width), true, a, (floats(e.0), row_major(width)));
    }
    if let Some((d_a, weight)) = folded {
        let weight = (floats(weight), dense::transposed(width));
        matmul([rows, columns, width], (d_a, columns), true, (floats(e.0), row_major(width)), weight);
    }
}
