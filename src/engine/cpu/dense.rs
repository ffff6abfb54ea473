//! The dense path: matrix products, and the unfolding of images that makes convolutions of them.

#![allow(unsafe_code)]

use super::simd::{LANES, Lane};
use crate::shape::Chw;

/// Output rows (positions over all steps) that are unfolded at a time: enough to reuse packed weights, small enough for L2.
pub const TILE: usize = 256;

/// A matrix in a slice: element (i, j) at `i * row + j * col`.
#[derive(Clone, Copy)]
pub struct Strides {
    /// Step between rows.
    pub row: usize,
    /// Step between columns.
    pub col: usize,
}

/// Row-major with this many numbers per row.
pub fn row_major(row: usize) -> Strides {
    Strides { row, col: 1 }
}

/// The transpose of a row-major matrix with this many numbers per row.
pub fn transposed(row: usize) -> Strides {
    Strides { row: 1, col: row }
}

/// c (`m` x `n`) = a (`m` x `k`) b (`k` x `n`), plus what was in c if `add`. On the calling thread only: the cut into
/// products, and so the order of sums, is the caller's.
pub fn matmul([m, n, k]: [usize; 3], c: (&mut [f32], usize), add: bool, a: (&[f32], Strides), b: (&[f32], Strides)) {
    if m == 0 || n == 0 {
        return;
    }
    let fits = |len: usize, rows: usize, cols: usize, s: Strides| rows * cols == 0 || (rows - 1) * s.row + (cols - 1) * s.col < len;
    assert!(fits(c.0.len(), m, n, row_major(c.1)) && fits(a.0.len(), m, k, a.1) && fits(b.0.len(), k, n, b.1));
    let signed = |stride: usize| stride as isize;
    // SAFETY: the assertion above keeps every element of the three matrices inside its slice; c is borrowed exclusively.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.0.as_mut_ptr(),
            1,
            signed(c.1),
            add,
            a.0.as_ptr(),
            signed(a.1.col),
            signed(a.1.row),
            b.0.as_ptr(),
            signed(b.1.col),
            signed(b.1.row),
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Geometry of a convolution over a field of `steps` stored steps.
#[derive(Clone, Copy, Debug)]
pub struct Unfold {
    /// Shape of the input.
    pub shape: Chw,
    /// K.
    pub k: usize,
    /// Stored steps.
    pub steps: usize,
}

impl Unfold {
    /// Columns of the unfolded matrix: (tap, channel).
    pub fn columns(&self) -> usize {
        self.k * self.k * self.shape.c
    }

    /// Calls `visit(row in the tile, tap, step · H·W + input position)` for every tap inside the image.
    fn taps(&self, first: usize, rows: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let (Chw { h, w, .. }, k, pad) = (self.shape, self.k, self.k / 2);
        for r in 0..rows {
            let (t, p) = ((first + r) / (h * w), (first + r) % (h * w));
            let (y, x) = (p / w, p % w);
            for tap in 0..k * k {
                let (qy, qx) = (y + tap / k, x + tap % k);
                if (pad..h + pad).contains(&qy) && (pad..w + pad).contains(&qx) {
                    visit(r, tap, t * h * w + (qy - pad) * w + qx - pad);
                }
            }
        }
    }

    /// Rows `first .. first + rows` of the unfolded matrix `[steps · H·W][tap][C]` of `x` `[C/16][steps][H·W]`.
    pub fn unfold(&self, x: &[Lane], first: usize, rows: usize, out: &mut Vec<f32>) {
        let (c, block_len) = (self.shape.c, self.steps * self.shape.area());
        out.clear();
        out.resize(rows * self.columns(), 0.0);
        self.taps(first, rows, |r, tap, q| {
            let to = &mut out[r * self.columns() + tap * c..][..c];
            for (block, to) in to.chunks_mut(LANES).enumerate() {
                to.copy_from_slice(&x[block * block_len + q].0[..to.len()]);
            }
        });
    }

    /// Adds rows `first .. first + rows` back to where they were unfolded from.
    pub fn fold(&self, matrix: &[f32], first: usize, rows: usize, x: &mut [Lane]) {
        let (c, block_len) = (self.shape.c, self.steps * self.shape.area());
        self.taps(first, rows, |r, tap, q| {
            let from = &matrix[r * self.columns() + tap * c..][..c];
            for (block, from) in from.chunks(LANES).enumerate() {
                let to = &mut x[block * block_len + q];
                from.iter().zip(&mut to.0).for_each(|(from, to)| *to += from);
            }
        });
    }
}
