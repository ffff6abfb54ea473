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

/// Where element `j` (row-major) of window `w` lies, for windows of side k over `shape`.
#[inline(always)]
pub fn element(shape: Chw, k: usize, w: usize, j: usize) -> usize {
    let columns = shape.w / k;
    (w / columns * k + j / k) * shape.w + w % columns * k + j % k
}

/// Runs `window(planes of one block, window, window's output planes at that window)` over all blocks.
fn pool_words(x: &Spikes, k: usize, planes_out: usize, scale: f32, window: impl Fn(&[&[Words]], usize) -> Vec<Words> + Sync) -> Spikes {
    let (shape, area) = (pooled(x.shape, k), x.shape.area());
    let all_blocks = x.samples * blocks(x.shape.c);
    let mut planes: Vec<Buffer<Words>> = (0..planes_out).map(|_| Buffer::stale(all_blocks * shape.area())).collect();
    let mut chunks: Vec<_> = planes.iter_mut().map(|plane| plane.chunks_exact_mut(shape.area())).collect();
    let tasks: Vec<Vec<&mut [Words]>> = (0..all_blocks).map(|_| chunks.iter_mut().filter_map(Iterator::next).collect()).collect();
    tasks.into_par_iter().enumerate().for_each(|(block, mut out)| {
        let planes = x.window(block * area, area);
        for w in 0..shape.area() {
            out.iter_mut().zip(window(&planes, w)).for_each(|(plane, words)| plane[w] = words);
        }
    });
    let planes = planes.into_iter().map(Arc::new).collect();
    Spikes { shape, samples: x.samples, steps: x.steps, planes, scale }
}

/// Max pooling.
pub fn max(x: &Acts, k: usize) -> Acts {
    match x {
        Acts::Spikes(s) => Acts::Spikes(pool_words(s, k, s.planes.len(), s.scale, |planes, w| {
            if let [plane] = planes { vec![any(plane, s.shape, k, w)] } else { max_and_winners(planes, s.shape, k, w, |_, _| ()) }
        })),
        Acts::Real(f) => Acts::Real(Arc::new(pool_reals(f, k, |row, w, out| {
            *out = row[element(f.shape, k, w, 0)];
            for j in 1..k * k {
                let other = &row[element(f.shape, k, w, j)];
                for l in 0..LANES {
                    out.0[l] = if other.0[l] > out.0[l] { other.0[l] } else { out.0[l] };
                }
            }
        }))),
    }
}

/// Average pooling.
pub fn avg(x: &Acts, k: usize) -> Acts {
    let share = 1.0 / (k * k) as f32;
    match x {
        Acts::Spikes(s) => {
            let largest = ((1usize << s.planes.len()) - 1) * k * k;
            let planes_out = (largest.ilog2() + 1) as usize;
            Acts::Spikes(pool_words(s, k, planes_out, s.scale * share, |planes, w| sum(planes, planes_out, s.shape, k, w)))
        }
        Acts::Real(f) => Acts::Real(Arc::new(pool_reals(f, k, |row, w, out| {
            for j in 0..k * k {
                let element = &row[element(f.shape, k, w, j)];
                for l in 0..LANES {
                    out.0[l] += element.0[l];
                }
            }
            out.0.iter_mut().for_each(|v| *v *= share);
        }))),
    }
}

/// OR over a window: the maximum of binary spikes.
fn any(plane: &[Words], shape: Chw, k: usize, w: usize) -> Words {
    let mut out = [0; LANES];
    for j in 0..k * k {
        let words = &plane[element(shape, k, w, j)];
        for l in 0..LANES {
            out[l] |= words[l];
        }
    }
    out
}

/// Sum over a window, bit-sliced: a ripple-carry addition of all steps at once.
fn sum(planes: &[&[Words]], planes_out: usize, shape: Chw, k: usize, w: usize) -> Vec<Words> {
    let mut total = vec![[0u64; LANES]; planes_out];
    for j in 0..k * k {
        let p = element(shape, k, w, j);
        let mut carry = [0u64; LANES];
        for (i, total) in total.iter_mut().enumerate() {
            let addend = planes.get(i).map_or([0; LANES], |plane| plane[p]);
            for l in 0..LANES {
                let (a, b, c) = (total[l], addend[l], carry[l]);
                total[l] = a ^ b ^ c;
                carry[l] = a & b | c & (a ^ b);
            }
        }
    }
    total
}

/// Maximum of a window of levels, bit-sliced. `winner(j, mask)` is told, per element in row-major order, at which steps
/// it beats all elements before it; the last one told is the first maximum (element 0 begins as the winner everywhere).
#[inline(always)]
pub fn max_and_winners(planes: &[&[Words]], shape: Chw, k: usize, w: usize, mut winner: impl FnMut(usize, &Words)) -> Vec<Words> {
    let mut best: Vec<Words> = planes.iter().map(|plane| plane[element(shape, k, w, 0)]).collect();
    for j in 1..k * k {
        let p = element(shape, k, w, j);
        // From the highest plane down: greater where it has the first bit that differs.
        let (mut greater, mut equal) = ([0u64; LANES], [u64::MAX; LANES]);
        for (plane, best) in planes.iter().zip(&best).rev() {
            for l in 0..LANES {
                let differs = plane[p][l] ^ best[l];
                greater[l] |= equal[l] & differs & plane[p][l];
                equal[l] &= !differs;
            }
        }
        for (plane, best) in planes.iter().zip(&mut best) {
            for l in 0..LANES {
                best[l] = best[l] & !greater[l] | plane[p][l] & greater[l];
            }
        }
        winner(j, &greater);
    }
    best
}

/// Pools every step of a real field; `window` sees one step of one block and an output lane of zeros.
fn pool_reals(x: &Field, k: usize, window: impl Fn(&[Lane], usize, &mut Lane) + Sync) -> Field {
    let shape = pooled(x.shape, k);
    let mut out = Field::zeros(shape, x.samples, x.steps, x.stored);
    if !shape.is_empty() {
        let steps_in = x.data.par_chunks(x.shape.area());
        out.data.par_chunks_mut(shape.area()).zip(steps_in).for_each(|(out, row)| {
            out.iter_mut().enumerate().for_each(|(w, out)| window(row, w, out));
        });
    }
    out
}

/// The mask in blocked order: bit l of `[B][C/16][H·W]` = channel l of the block is kept.
pub fn block_mask(mask: &DropMask, shape: Chw, samples: usize) -> Vec<u16> {
    let area = shape.area();
    let mut bits = vec![0u16; samples * blocks(shape.c) * area];
    for (row, keep) in mask.keep.chunks_exact(area).enumerate() {
        let (b, c) = (row / shape.c, row % shape.c);
        let start = (b * blocks(shape.c) + c / LANES) * area;
        for (bits, &keep) in bits[start..start + area].iter_mut().zip(keep) {
            *bits |= u16::from(keep) << (c % LANES);
        }
    }
    bits
}

/// Multiplies by the mask: 0 or 2, the same at all steps.
pub fn dropout(x: &Acts, mask: &DropMask) -> Acts {
    let bits = block_mask(mask, x.shape(), x.samples());
    match x {
        Acts::Spikes(s) => {
            let kept = |(words, bits): (&Words, &u16)| std::array::from_fn(|l| if bits >> l & 1 == 1 { words[l] } else { 0 });
            let masked = |plane: &Arc<Buffer<Words>>| {
                let mut out = Buffer::stale(plane.len());
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
