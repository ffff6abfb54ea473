//! AVX2 and AVX-512.
//!
//! Every intrinsic below is sound because these types are named nowhere but in [`with_avx2`] and [`with_avx512`], which are called
//! only after detection.

use super::{Kernel, LANES, Lane, Simd};
use std::arch::x86_64::*;

/// # Safety
/// The machine has what is enabled here.
#[target_feature(enable = "avx2,fma,popcnt,bmi1,bmi2,lzcnt")]
pub unsafe fn with_avx2<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx2>()
}

/// # Safety
/// The machine has what is enabled here.
#[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma,popcnt,bmi1,bmi2,lzcnt")]
pub unsafe fn with_avx512<K: Kernel>(kernel: K) -> K::Out {
    kernel.run::<Avx512>()
}

/// 8 → 4 → 2 → 1.
#[inline(always)]
fn sum8(v: __m256) -> f32 {
    // SAFETY: AVX was detected (module comment).
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}

#[derive(Clone, Copy)]
struct Avx2;

impl Simd for Avx2 {
    type V = (__m256, __m256);
    type M = (__m256, __m256);
    const REGISTERS: usize = 8;
    #[inline(always)]
    fn load(x: &Lane) -> Self::V {
        // SAFETY: AVX2 was detected; a Lane is 64 bytes, aligned to 64.
        unsafe { (_mm256_load_ps(x.0.as_ptr()), _mm256_load_ps(x.0.as_ptr().add(8))) }
    }
    #[inline(always)]
    fn store(v: Self::V, to: &mut Lane) {
        // SAFETY: as in `load`.
        unsafe {
            _mm256_store_ps(to.0.as_mut_ptr(), v.0);
            _mm256_store_ps(to.0.as_mut_ptr().add(8), v.1);
        }
    }
    #[inline(always)]
    fn prefetch(x: &Lane) {
        // SAFETY: SSE is part of x86-64; the address is that of a Lane.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.0.as_ptr().cast()) }
    }
    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe { (_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe { (_mm256_add_ps(a.0, b.0), _mm256_add_ps(a.1, b.1)) }
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe { (_mm256_sub_ps(a.0, b.0), _mm256_sub_ps(a.1, b.1)) }
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe { (_mm256_mul_ps(a.0, b.0), _mm256_mul_ps(a.1, b.1)) }
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe { (_mm256_div_ps(a.0, b.0), _mm256_div_ps(a.1, b.1)) }
    }
    #[inline(always)]
    fn above(a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: AVX2 was detected.
        unsafe { (_mm256_cmp_ps::<_CMP_GT_OQ>(a.0, b.0), _mm256_cmp_ps::<_CMP_GT_OQ>(a.1, b.1)) }
    }
    #[inline(always)]
    fn choose(mask: Self::M, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe { (_mm256_blendv_ps(no.0, yes.0, mask.0), _mm256_blendv_ps(no.1, yes.1, mask.1)) }
    }
    #[inline(always)]
    fn bits(mask: Self::M) -> u16 {
        // SAFETY: AVX2 was detected.
        unsafe { _mm256_movemask_ps(mask.0) as u16 | (_mm256_movemask_ps(mask.1) as u16) << 8 }
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: FMA was detected.
        unsafe { (_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1)) }
    }
    #[inline(always)]
    fn keep(mask: u16, v: Self::V) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe {
            let bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let half = |mask: u16, v: __m256| {
                let set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(mask as i32), bits), bits);
                _mm256_and_ps(_mm256_castsi256_ps(set), v)
            };
            (half(mask, v.0), half(mask >> 8, v.1))
        }
    }
    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        // SAFETY: AVX2 was detected.
        sum8(unsafe { _mm256_add_ps(v.0, v.1) })
    }
    #[inline(always)]
    fn sums(vectors: &[Lane; LANES]) -> Self::V {
        // SAFETY: AVX2 was detected.
        unsafe {
            // As `sum` folds: 16 to 8,
            let mut eights = [_mm256_setzero_ps(); LANES];
            for i in 0..LANES {
                let v = Self::load(&vectors[i]);
                eights[i] = _mm256_add_ps(v.0, v.1);
            }
            // 8 to 4, two vectors side by side: i and i + 4,
            let mut fours = [_mm256_setzero_ps(); 8];
            for i in 0..8 {
                let (a, b) = (eights[i / 4 * 8 + i % 4], eights[i / 4 * 8 + i % 4 + 4]);
                fours[i] = _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
            }
            // 4 to 2, four, and 2 to 1, eight.
            let mut twos = [_mm256_setzero_ps(); 4];
            for i in 0..4 {
                let (a, b) = (_mm256_castps_pd(fours[2 * i]), _mm256_castps_pd(fours[2 * i + 1]));
                twos[i] = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)), _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
            }
            let mut ones = [_mm256_setzero_ps(); 2];
            for i in 0..2 {
                let (a, b) = (twos[2 * i], twos[2 * i + 1]);
                ones[i] = _mm256_add_ps(_mm256_shuffle_ps::<0b10_00_10_00>(a, b), _mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            }
            (ones[0], ones[1])
        }
    }
    #[inline(always)]
    fn step_mask(words: &[u64; LANES], t: usize) -> u16 {
        let mut mask = 0;
        for quarter in 0..4 {
            // SAFETY: AVX2 was detected; four words lie at 4 * quarter.
            let bits = unsafe {
                let four = _mm256_loadu_si256(words.as_ptr().add(4 * quarter).cast());
                let to_sign = _mm256_sll_epi64(four, _mm_cvtsi64_si128(63 - t as i64));
                _mm256_movemask_pd(_mm256_castsi256_pd(to_sign))
            };
            mask |= (bits as u16) << (4 * quarter);
        }
        mask
    }
}

#[derive(Clone, Copy)]
struct Avx512;

impl Simd for Avx512 {
    type V = __m512;
    type M = __mmask16;
    const REGISTERS: usize = 32;
    #[inline(always)]
    fn load(x: &Lane) -> Self::V {
        // SAFETY: AVX-512F was detected; a Lane is 64 bytes, aligned to 64.
        unsafe { _mm512_load_ps(x.0.as_ptr()) }
    }
    #[inline(always)]
    fn store(v: Self::V, to: &mut Lane) {
        // SAFETY: as in `load`.
        unsafe { _mm512_store_ps(to.0.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn prefetch(x: &Lane) {
        // SAFETY: SSE is part of x86-64; the address is that of a Lane.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.0.as_ptr().cast()) }
    }
    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn above(a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    fn choose(mask: Self::M, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_mask_blend_ps(mask, no, yes) }
    }
    #[inline(always)]
    fn bits(mask: Self::M) -> u16 {
        mask
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn keep(mask: u16, v: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_maskz_mov_ps(mask, v) }
    }
    #[inline(always)]
    fn add_where(mask: u16, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe { _mm512_mask_add_ps(a, mask, a, b) }
    }
    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        // SAFETY: AVX-512F and DQ were detected.
        sum8(unsafe { _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v)) })
    }
    #[inline(always)]
    fn sums(vectors: &[Lane; LANES]) -> Self::V {
        // SAFETY: AVX-512F was detected.
        unsafe {
            // As `sum` folds: 16 to 8 and 8 to 4, which leaves in quarter q of fours[g] four numbers of vector 4 q + g,
            let mut fours = [_mm512_setzero_ps(); 4];
            for g in 0..4 {
                let (a, b) = (Self::load(&vectors[g]), Self::load(&vectors[4 + g]));
                let (c, d) = (Self::load(&vectors[8 + g]), Self::load(&vectors[12 + g]));
                let ab = _mm512_add_ps(_mm512_shuffle_f32x4::<0b01_00_01_00>(a, b), _mm512_shuffle_f32x4::<0b11_10_11_10>(a, b));
                let cd = _mm512_add_ps(_mm512_shuffle_f32x4::<0b01_00_01_00>(c, d), _mm512_shuffle_f32x4::<0b11_10_11_10>(c, d));
                fours[g] = _mm512_add_ps(_mm512_shuffle_f32x4::<0b10_00_10_00>(ab, cd), _mm512_shuffle_f32x4::<0b11_01_11_01>(ab, cd));
            }
            // 4 to 2, two vectors side by side, and 2 to 1, four.
            let mut twos = [_mm512_setzero_pd(); 2];
            for h in 0..2 {
                let (a, b) = (_mm512_castps_pd(fours[2 * h]), _mm512_castps_pd(fours[2 * h + 1]));
                let (low, high) = (_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
                twos[h] = _mm512_castps_pd(_mm512_add_ps(low, high));
            }
            let (a, b) = (_mm512_castpd_ps(twos[0]), _mm512_castpd_ps(twos[1]));
            _mm512_add_ps(_mm512_shuffle_ps::<0b10_00_10_00>(a, b), _mm512_shuffle_ps::<0b11_01_11_01>(a, b))
        }
    }
    #[inline(always)]
    fn transpose(rows: [Self::V; LANES]) -> [Self::V; LANES] {
        // SAFETY: AVX-512F was detected.
        unsafe {
            let mut pairs = rows;
            for i in 0..8 {
                pairs[2 * i] = _mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            // fours[4 i + c] holds, in quarter q, column 4 q + c of the rows 4 i to 4 i + 3.
            let mut fours = rows;
            for i in 0..4 {
                for half in 0..2 {
                    let (a, b) = (_mm512_castps_pd(pairs[4 * i + half]), _mm512_castps_pd(pairs[4 * i + half + 2]));
                    fours[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                    fours[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
                }
            }
            let mut columns = rows;
            for c in 0..4 {
                let (even, odd) = (
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(fours[c], fours[4 + c]),
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(fours[c], fours[4 + c]),
                );
                let (even_below, odd_below) = (
                    _mm512_shuffle_f32x4::<0b10_00_10_00>(fours[8 + c], fours[12 + c]),
                    _mm512_shuffle_f32x4::<0b11_01_11_01>(fours[8 + c], fours[12 + c]),
                );
                columns[c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(even, even_below);
                columns[8 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(even, even_below);
                columns[4 + c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(odd, odd_below);
                columns[12 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(odd, odd_below);
            }
            columns
        }
    }
    #[inline(always)]
    fn step_mask(words: &[u64; LANES], t: usize) -> u16 {
        // SAFETY: AVX-512F was detected; 16 words are two registers.
        unsafe {
            let bit = _mm512_set1_epi64((1u64 << t) as i64);
            let low = _mm512_test_epi64_mask(_mm512_loadu_si512(words.as_ptr().cast()), bit);
            let high = _mm512_test_epi64_mask(_mm512_loadu_si512(words.as_ptr().add(8).cast()), bit);
            low as u16 | (high as u16) << 8
        }
    }
}
