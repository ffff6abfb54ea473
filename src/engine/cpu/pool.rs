//! Pooling and dropout: on spikes by word arithmetic over all steps at once, on reals step by step.

use std::sync::Arc;

use rayon::prelude::*;

use super::buffer::Buffer;
use super::field::{Acts, Field, Spikes, Words, blocks};
use super::simd::{LANES, Lane};
use crate::engine::DropMask;
use crate::shape::Chw;

/// Shape after non-overlapping pooling of side k, floor.
pub fn pooled(shape: Chw, k: usize) -> Chw {
    Chw::new(shape.c, shape.h / k, shape.w / k)
}

/// The non-overlapping windows of a pool of side k over one block, row-major.
pub struct Windows {
    input: Chw,
    k: usize,
    /// From the first element of a window to each, row-major.
    pub offsets: Vec<usize>,
}

impl Windows {
    /// Over maps of this shape.
    pub fn new(input: Chw, k: usize) -> Windows {
        Windows { input, k, offsets: (0..k * k).map(|j| j / k * input.w + j % k).collect() }
    }

    /// First elements of the windows.
    pub fn corners(&self) -> impl Iterator<Item = usize> + use<> {
        let (Chw { h, w, .. }, k) = (self.input, self.k);
        (0..h / k).flat_map(move |y| (0..w / k).map(move |x| (y * w + x) * k))
    }
}

/// Runs `window(planes of one block, a window's first element, its output planes)` over all windows.
fn pool_words(
    x: &Spikes,
    k: usize,
    planes_out: usize,
    scale: f32,
    window: impl Fn(&[&[Words]], &Windows, usize, &mut [Words]) + Sync,
) -> Spikes {
    let (shape, area, windows) = (pooled(x.shape, k), x.shape.area(), Windows::new(x.shape, k));
    let all_blocks = x.samples * blocks(x.shape.c);
    let mut planes: Vec<Buffer<Words>> = (0..planes_out).map(|_| x.source().stale(all_blocks * shape.area())).collect();
    let mut chunks: Vec<_> = planes.iter_mut().map(|plane| plane.chunks_exact_mut(shape.area())).collect();
    let tasks: Vec<Vec<&mut [Words]>> = (0..all_blocks).map(|_| chunks.iter_mut().filter_map(Iterator::next).collect()).collect();
    tasks.into_par_iter().enumerate().for_each(|(block, mut out)| {
        let planes = x.window(block * area, area);
        let mut words = vec![[0; LANES]; planes_out];
        for (w, corner) in windows.corners().enumerate() {
            window(&planes, &windows, corner, &mut words);
            out.iter_mut().zip(&words).for_each(|(plane, words)| plane[w] = *words);
        }
    });
    let planes = planes.into_iter().map(Arc::new).collect();
    Spikes { shape, samples: x.samples, steps: x.steps, planes, scale }
}

/// Max pooling.
pub fn max(x: &Acts, k: usize) -> Acts {
    match x {
        Acts::Spikes(s) => Acts::Spikes(pool_words(s, k, s.planes.len(), s.scale, |planes, windows, corner, out| {
            if let [plane] = planes {
                out[0] = any(plane, windows, corner)
            } else {
                max_and_winners(planes, windows, corner, out, |_, _| ())
            }
        })),
        Acts::Real(f) => Acts::Real(Arc::new(pool_reals(f, k, |row, windows, corner, out| {
            *out = row[corner];
            for offset in &windows.offsets[1..] {
                let other = &row[corner + offset];
                for l in 0..LANES {
                    out.0[l] = if other.0[l] > out.0[l] { other.0[l] } else { out.0[l] };
                }
            }
        }))),
    }
}

/// Planes of the sums over windows of side k of levels of so many planes.
pub fn planes_of_sums(planes: usize, k: usize) -> usize {
    let largest = ((1usize << planes) - 1) * k * k;
    (largest.ilog2() + 1) as usize
}

/// Average pooling.
pub fn avg(x: &Acts, k: usize) -> Acts {
    let share = 1.0 / (k * k) as f32;
    match x {
        Acts::Spikes(s) => {
            let planes_out = planes_of_sums(s.planes.len(), k);
            Acts::Spikes(pool_words(s, k, planes_out, s.scale * share, sum))
        }
        Acts::Real(f) => Acts::Real(Arc::new(pool_reals(f, k, |row, windows, corner, out| {
            for offset in &windows.offsets {
                let element = &row[corner + offset];
                for l in 0..LANES {
                    out.0[l] += element.0[l];
                }
            }
            out.0.iter_mut().for_each(|v| *v *= share);
        }))),
    }
}

/// OR over a window: the maximum of binary spikes.
fn any(plane: &[Words], windows: &Windows, corner: usize) -> Words {
    let mut out = [0; LANES];
    for offset in &windows.offsets {
        let words = &plane[corner + offset];
        for l in 0..LANES {
            out[l] |= words[l];
        }
    }
    out
}

/// Sum over a window, bit-sliced: a ripple-carry addition of all steps at once.
fn sum(planes: &[&[Words]], windows: &Windows, corner: usize, total: &mut [Words]) {
    total.fill([0; LANES]);
    for offset in &windows.offsets {
        let mut carry = [0u64; LANES];
        for (i, total) in total.iter_mut().enumerate() {
            let addend = planes.get(i).map_or([0; LANES], |plane| plane[corner + offset]);
            for l in 0..LANES {
                let (a, b, c) = (total[l], addend[l], carry[l]);
                total[l] = a ^ b ^ c;
                carry[l] = a & b | c & (a ^ b);
            }
        }
    }
}

/// Maximum of a window of levels, bit-sliced. `winner(j, mask)` is told, per element in row-major order, at which steps
/// it beats all elements before it; the last one told is the first maximum (element 0 begins as the winner everywhere).
#[inline(always)]
fn max_and_winners(planes: &[&[Words]], windows: &Windows, corner: usize, best: &mut [Words], mut winner: impl FnMut(usize, &Words)) {
    best.iter_mut().zip(planes).for_each(|(best, plane)| *best = plane[corner]);
    for (j, offset) in windows.offsets.iter().enumerate().skip(1) {
        let p = corner + offset;
        // From the highest plane down: greater where it has the first bit that differs.
        let (mut greater, mut equal) = ([0u64; LANES], [u64::MAX; LANES]);
        for (plane, best) in planes.iter().zip(&*best).rev() {
            for l in 0..LANES {
                let differs = plane[p][l] ^ best[l];
                greater[l] |= equal[l] & differs & plane[p][l];
                equal[l] &= !differs;
            }
        }
        for (plane, best) in planes.iter().zip(&mut *best) {
            for l in 0..LANES {
                best[l] = best[l] & !greater[l] | plane[p][l] & greater[l];
            }
        }
        winner(j, &greater);
    }
}

/// Per element of a window the steps at which it is the first maximum; `best` is scratch, a word per plane.
#[inline(always)]
pub fn first_maxima(planes: &[&[Words]], windows: &Windows, corner: usize, best: &mut [Words], winners: &mut [Words]) {
    if let [plane] = planes {
        return first_spikes(plane, windows, corner, winners);
    }
    winners.fill([0; LANES]);
    winners[0] = [u64::MAX; LANES];
    max_and_winners(planes, windows, corner, best, |j, greater| {
        let (before, now) = winners.split_at_mut(j);
        for mask in before {
            for l in 0..LANES {
                mask[l] &= !greater[l];
            }
        }
        now[0] = *greater;
    });
}

/// [`first_maxima`] of binary spikes: the first that fires, or the first of all.
#[inline(always)]
fn first_spikes(plane: &[Words], windows: &Windows, corner: usize, winners: &mut [Words]) {
    let mut seen = [0; LANES];
    for (offset, winner) in windows.offsets.iter().zip(winners.iter_mut()) {
        let words = &plane[corner + offset];
        for l in 0..LANES {
            winner[l] = words[l] & !seen[l];
            seen[l] |= words[l];
        }
    }
    for l in 0..LANES {
        winners[0][l] |= !seen[l];
    }
}

/// Pools every step of a real field; `window` sees one step of one block, a window's first element and an output lane of zeros.
fn pool_reals(x: &Field, k: usize, window: impl Fn(&[Lane], &Windows, usize, &mut Lane) + Sync) -> Field {
    let (shape, windows) = (pooled(x.shape, k), Windows::new(x.shape, k));
    let mut out = Field::zeros(x.data.source(), shape, x.samples, x.steps, x.stored);
    if !shape.is_empty() {
        let steps_in = x.data.par_chunks(x.shape.area());
        out.data.par_chunks_mut(shape.area()).zip(steps_in).for_each(|(out, row)| {
            out.iter_mut().zip(windows.corners()).for_each(|(out, corner)| window(row, &windows, corner, out));
        });
    }
    out
}

/// The mask in blocked order: bit l of `[B][C/16][H·W]` = channel l of the block is kept.
pub fn block_mask(mask: &DropMask, shape: Chw, samples: usize) -> Vec<u16> {
    let (area, sample_len) = (shape.area(), blocks(shape.c) * shape.area());
    let mut bits = vec![0u16; samples * sample_len];
    bits.par_chunks_mut(sample_len).enumerate().for_each(|(b, bits)| {
        let words = mask.words(b, shape.len());
        for i in 0..shape.len() {
            let (c, p) = (i / area, i % area);
            bits[c / LANES * area + p] |= ((words[i / 64] >> (i % 64) & 1) as u16) << (c % LANES);
        }
    });
    bits
}

/// Multiplies by the mask: 0 or 2, the same at all steps.
pub fn dropout(x: &Acts, mask: &DropMask) -> Acts {
    let bits = block_mask(mask, x.shape(), x.samples());
    match x {
        Acts::Spikes(s) => {
            let kept = |(words, bits): (&Words, &u16)| std::array::from_fn(|l| if bits >> l & 1 == 1 { words[l] } else { 0 });
            let masked = |plane: &Arc<Buffer<Words>>| {
                let mut out = plane.source().stale(plane.len());
                out.iter_mut().zip(plane.iter().zip(&bits)).for_each(|(out, pair)| *out = kept(pair));
                Arc::new(out)
            };
            let planes = s.planes.iter().map(masked).collect();
            Acts::Spikes(Spikes { planes, scale: s.scale * 2.0, ..s.clone() })
        }
        Acts::Real(f) => {
            let (mut out, area) = (Field::clone(f), f.shape.area());
            for (i, lane) in out.data.iter_mut().enumerate() {
                let (block, p) = (i / f.block_len(), i % area);
                double_or_drop(lane, bits[block * area + p]);
            }
            Acts::Real(Arc::new(out))
        }
    }
}

/// Times 2 where the bit is set, else 0.
#[inline(always)]
pub fn double_or_drop(lane: &mut Lane, bits: u16) {
    for l in 0..LANES {
        lane.0[l] = if bits >> l & 1 == 1 { 2.0 * lane.0[l] } else { 0.0 };
    }
}
