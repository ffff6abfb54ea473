//! NEON, for 64-bit ARM.
//!
//! Every intrinsic below is sound because NEON is part of the target: what is compiled for aarch64 may use it anywhere. So there is
//! nothing to detect, and kernels need no function around them that enables it.

use super::{LANES, Lane, Simd};
use std::arch::aarch64::*;
use std::arch::asm;

/// Lanes 4 q to 4 q + 3 are in register q.
type Quarters = [float32x4_t; 4];

/// The bit of each lane in a mask of sixteen.
const BITS: [[u32; 4]; 4] = [
    [1, 1 << 1, 1 << 2, 1 << 3],
    [1 << 4, 1 << 5, 1 << 6, 1 << 7],
    [1 << 8, 1 << 9, 1 << 10, 1 << 11],
    [1 << 12, 1 << 13, 1 << 14, 1 << 15],
];

/// `f` of the quarters of both.
#[inline(always)]
fn each<T>(a: Quarters, b: Quarters, f: impl Fn(float32x4_t, float32x4_t) -> T) -> [T; 4] {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// The lower halves of both.
#[inline(always)]
fn low(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: NEON is part of the target.
    unsafe { vreinterpretq_f32_f64(vtrn1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))) }
}

/// The upper halves of both.
#[inline(always)]
fn high(a: float32x4_t, b: float32x4_t) -> float32x4_t {
    // SAFETY: NEON is part of the target.
    unsafe { vreinterpretq_f32_f64(vtrn2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))) }
}

/// 16 → 8 → 4.
#[inline(always)]
fn sum4(v: Quarters) -> float32x4_t {
    // SAFETY: NEON is part of the target.
    unsafe { vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3])) }
}

/// Lane c of vector r to lane r of vector c.
#[inline(always)]
fn transpose4(rows: Quarters) -> Quarters {
    // SAFETY: NEON is part of the target.
    let (even, odd, even_below, odd_below) =
        unsafe { (vtrn1q_f32(rows[0], rows[1]), vtrn2q_f32(rows[0], rows[1]), vtrn1q_f32(rows[2], rows[3]), vtrn2q_f32(rows[2], rows[3])) };
    [low(even, even_below), low(odd, odd_below), high(even, even_below), high(odd, odd_below)]
}

#[derive(Clone, Copy)]
pub struct Neon;

impl Simd for Neon {
    type V = Quarters;
    type M = [uint32x4_t; 4];
    const REGISTERS: usize = 8;
    #[inline(always)]
    fn load(x: &Lane) -> Self::V {
        let from = x.0.as_ptr();
        // SAFETY: NEON is part of the target; a Lane is sixteen f32.
        unsafe { [vld1q_f32(from), vld1q_f32(from.add(4)), vld1q_f32(from.add(8)), vld1q_f32(from.add(12))] }
    }
    #[inline(always)]
    fn store(v: Self::V, to: &mut Lane) {
        let to = to.0.as_mut_ptr();
        // SAFETY: as in `load`.
        unsafe {
            vst1q_f32(to, v[0]);
            vst1q_f32(to.add(4), v[1]);
            vst1q_f32(to.add(8), v[2]);
            vst1q_f32(to.add(12), v[3]);
        }
    }
    #[inline(always)]
    fn prefetch(x: &Lane) {
        // SAFETY: a hint, which gives no value, changes nothing that a program can see and never faults.
        unsafe { asm!("prfm pldl1keep, [{}]", in(reg) std::ptr::from_ref(x).addr(), options(nomem, nostack, preserves_flags)) }
    }
    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: NEON is part of the target.
        [unsafe { vdupq_n_f32(x) }; 4]
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: NEON is part of the target.
        each(a, b, |a, b| unsafe { vaddq_f32(a, b) })
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: NEON is part of the target.
        each(a, b, |a, b| unsafe { vsubq_f32(a, b) })
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: NEON is part of the target.
        each(a, b, |a, b| unsafe { vmulq_f32(a, b) })
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: NEON is part of the target.
        each(a, b, |a, b| unsafe { vdivq_f32(a, b) })
    }
    #[inline(always)]
    fn above(a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: NEON is part of the target.
        each(a, b, |a, b| unsafe { vcgtq_f32(a, b) })
    }
    #[inline(always)]
    fn choose(mask: Self::M, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: NEON is part of the target.
        let quarter = |q: usize| unsafe { vbslq_f32(mask[q], yes[q], no[q]) };
        [quarter(0), quarter(1), quarter(2), quarter(3)]
    }
    #[inline(always)]
    fn bits(mask: Self::M) -> u16 {
        // SAFETY: NEON is part of the target; a row of BITS is four u32.
        unsafe {
            let quarter = |q: usize| vandq_u32(mask[q], vld1q_u32(BITS[q].as_ptr()));
            vaddvq_u32(vorrq_u32(vorrq_u32(quarter(0), quarter(1)), vorrq_u32(quarter(2), quarter(3)))) as u16
        }
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: NEON is part of the target.
        let quarter = |q: usize| unsafe { vfmaq_f32(c[q], a[q], b[q]) };
        [quarter(0), quarter(1), quarter(2), quarter(3)]
    }
    #[inline(always)]
    fn keep(mask: u16, v: Self::V) -> Self::V {
        // SAFETY: NEON is part of the target; a row of BITS is four u32.
        unsafe {
            let mask = vdupq_n_u32(u32::from(mask));
            let quarter = |q: usize| {
                let set = vtstq_u32(mask, vld1q_u32(BITS[q].as_ptr()));
                vreinterpretq_f32_u32(vandq_u32(set, vreinterpretq_u32_f32(v[q])))
            };
            [quarter(0), quarter(1), quarter(2), quarter(3)]
        }
    }
    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        let four = sum4(v);
        // SAFETY: NEON is part of the target.
        unsafe { vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four))) }
    }
    #[inline(always)]
    fn sums(vectors: &[Lane; LANES]) -> Self::V {
        let sums = |group: usize| {
            let four = |i: usize| sum4(Self::load(&vectors[4 * group + i]));
            let (a, b, c, d) = (four(0), four(1), four(2), four(3));
            // As `sum` folds: 4 to 2, two vectors side by side, and 2 to 1, four.
            // SAFETY: NEON is part of the target.
            unsafe { vpaddq_f32(vaddq_f32(low(a, b), high(a, b)), vaddq_f32(low(c, d), high(c, d))) }
        };
        [sums(0), sums(1), sums(2), sums(3)]
    }
    #[inline(always)]
    fn transpose(rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let mut columns = rows;
        for r in 0..4 {
            for c in 0..4 {
                let square = transpose4([rows[4 * r][c], rows[4 * r + 1][c], rows[4 * r + 2][c], rows[4 * r + 3][c]]);
                for i in 0..4 {
                    columns[4 * c + i][r] = square[i];
                }
            }
        }
        columns
    }
    #[inline(always)]
    fn step_mask(words: &[u64; LANES], t: usize) -> u16 {
        // SAFETY: NEON is part of the target; four words lie at 4 q.
        unsafe {
            let bit = vdupq_n_u64(1 << t);
            let quarter = |q: usize| {
                let from = words.as_ptr().add(4 * q);
                let (low, high) = (vtstq_u64(vld1q_u64(from), bit), vtstq_u64(vld1q_u64(from.add(2)), bit));
                // One half of each answer, which are alike.
                vuzp1q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high))
            };
            Self::bits([quarter(0), quarter(1), quarter(2), quarter(3)])
        }
    }
}
