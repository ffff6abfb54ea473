//! Convolutions: forward over spikes ([`conv_spikes`]), or unfolding and matrix products where the input is real.

use rayon::prelude::*;

use super::conv_spikes::{self, Way};
use super::dense::{self, TILE, Unfold, matmul, row_major};
use super::field::{Acts, Field, blocks};
use super::param::{Group, Param, groups, outputs};
use super::rows::Rows;
use super::simd::{Isa, LANES, Lane, floats, floats_mut};
use crate::engine::Layout;
use crate::shape::Chw;

/// K of a convolution's weight.
pub fn side(weight: &Param) -> usize {
    match weight.layout {
        Layout::Conv { k, .. } => k,
        other => unreachable!("{other:?} is not a convolution"),
    }
}

/// y = W x + b
pub fn forward(isa: Isa, x: &Acts, weight: &Param, bias: &Param) -> Field {
    forward_by(isa, choose(isa, x, weight), x, weight, bias)
}

/// How spikes are added; the choice for a batch holds for parts of it.
pub fn choose(isa: Isa, x: &Acts, weight: &Param) -> Way {
    match x {
        Acts::Spikes(s) => conv_spikes::choose(isa, s, weight),
        Acts::Real(_) => Way { rows: Rows::Single, silences: false },
    }
}

/// [`forward`] as chosen.
pub fn forward_by(isa: Isa, way: Way, x: &Acts, weight: &Param, bias: &Param) -> Field {
    let shape = Chw { c: outputs(weight.layout), ..x.shape() };
    let mut y = Field::stale(x.source(), shape, x.cut(), x.steps(), x.stored());
    match x {
        Acts::Spikes(s) => conv_spikes::forward(isa, way, s, weight, bias, &mut y),
        Acts::Real(f) => {
            let samples = y.data.par_chunks_mut(blocks(shape.c) * f.block_len()).enumerate();
            samples.for_each_init(Buffers::default, |buffers, (b, y)| multiply(f.sample(b), f, weight, bias, buffers, y));
        }
    }
    y
}

#[derive(Default)]
struct Buffers {
    unfolded: Vec<f32>,
    product: Vec<Lane>,
}

/// One sample of reals, `x` and `y` `[C/16][stored][H·W]`.
fn multiply(x: &[Lane], field: &Field, weight: &Param, bias: &Param, buffers: &mut Buffers, y: &mut [Lane]) {
    let (all, geometry) = (field.block_len(), Unfold { shape: field.shape, k: side(weight), steps: field.stored });
    for first in (0..all).step_by(TILE) {
        let rows = TILE.min(all - first);
        geometry.unfold(x, first, rows, &mut buffers.unfolded);
        for group in groups(outputs(weight.layout)) {
            let width = group.width * LANES;
            buffers.product.resize(rows * group.width, Lane::ZERO);
            let a = (&buffers.unfolded[..], row_major(geometry.columns()));
            let b = (floats(weight.group(group)), row_major(width));
            matmul([rows, width, geometry.columns()], (floats_mut(&mut buffers.product), width), false, a, b);
            for n in 0..group.width {
                let (start, bias) = ((group.first + n) * all + first, &bias.data[group.first + n]);
                for (r, y) in y[start..start + rows].iter_mut().enumerate() {
                    let product = &buffers.product[r * group.width + n];
                    *y = Lane(std::array::from_fn(|l| product.0[l] + bias.0[l]));
                }
            }
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
