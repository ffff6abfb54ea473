//! Sixteen f32 lanes: the one address of instruction sets.
//!
//! A kernel is written once, generic over [`Simd`], as a struct that implements [`Kernel`]. [`Isa::run`] instantiates it
//! inside a function that enables the instruction set found at run time; the kernel's `run` must be `#[inline(always)]`, so
//! that its loops are compiled with those features. For the same reason kernels loop with `for` around vectors: a closure that is
//! not inlined lacks the features, and every instruction in it becomes a call. Lanes are added in the same order by all instruction sets; the portable
//! `fma` rounds twice (a fused one is a library call without the instruction), so last bits may differ between instruction
//! sets, never between runs or thread counts.

#![allow(unsafe_code)]

use std::ops::{Add, Div, Mul, Sub};

use crate::neuron::Real;

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

/// Channels in a block, f32 lanes in one AVX-512 register.
pub const LANES: usize = 16;

/// Sixteen values on a cache line of their own: one position of a block of channels.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane(pub [f32; LANES]);

impl Lane {
    /// All zero.
    pub const ZERO: Lane = Lane([0.0; LANES]);
}

/// The same memory as plain numbers.
pub fn floats(lanes: &[Lane]) -> &[f32] {
    // SAFETY: Lane is repr(C), 64 bytes with 64-byte alignment: exactly 16 f32 and no padding.
    unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
}

/// The same memory as plain numbers.
pub fn floats_mut(lanes: &mut [Lane]) -> &mut [f32] {
    // SAFETY: as in `floats`; every bit pattern is an f32, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len() * LANES) }
}

/// What kernels may do with 16 lanes.
pub trait Simd: Copy {
    /// Sixteen f32 in registers.
    type V: Copy;
    /// Sixteen answers.
    type M: Copy;
    /// How many [`Simd::V`] its registers hold.
    const REGISTERS: usize;
    /// From memory.
    fn load(x: &Lane) -> Self::V;
    /// To memory.
    fn store(v: Self::V, to: &mut Lane);
    /// Asks for what is read soon, where the processor would not guess it; changes nothing.
    #[inline(always)]
    fn prefetch(_: &Lane) {}
    /// The same value in all lanes.
    fn splat(x: f32) -> Self::V;
    /// a + b
    fn add(a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// a b
    fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    fn div(a: Self::V, b: Self::V) -> Self::V;
    /// a > b
    fn above(a: Self::V, b: Self::V) -> Self::M;
    /// Lanes of `yes` where the mask is set, else of `no`.
    fn choose(mask: Self::M, yes: Self::V, no: Self::V) -> Self::V;
    /// One bit per lane.
    fn bits(mask: Self::M) -> u16;
    /// a b + c
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Lanes whose bit is set, others 0.
    fn keep(mask: u16, v: Self::V) -> Self::V;
    /// a + b in lanes whose bit is set, a in others (but for the sign of a zero).
    #[inline(always)]
    fn add_where(mask: u16, a: Self::V, b: Self::V) -> Self::V {
        Self::add(a, Self::keep(mask, b))
    }
    /// Sum of the lanes: halves are folded, 16 → 8 → 4 → 2 → 1.
    fn sum(v: Self::V) -> f32;
    /// [`Simd::sum`] of sixteen, by the same additions, which an instruction set may do side by side.
    #[inline(always)]
    fn sums(vectors: &[Lane; LANES]) -> Self::V {
        let mut sums = Lane::ZERO;
        for l in 0..LANES {
            sums.0[l] = Self::sum(Self::load(&vectors[l]));
        }
        Self::load(&sums)
    }
    /// Lane c of vector r to lane r of vector c.
    #[inline(always)]
    fn transpose(rows: [Self::V; LANES]) -> [Self::V; LANES] {
        let (mut from, mut to) = ([Lane::ZERO; LANES], [Lane::ZERO; LANES]);
        store_all::<Self, LANES>(&rows, &mut from);
        for r in 0..LANES {
            for c in 0..LANES {
                to[c].0[r] = from[r].0[c];
            }
        }
        load_all::<Self, LANES>(&to)
    }
    /// Bit t of sixteen words, word l giving bit l.
    fn step_mask(words: &[u64; LANES], t: usize) -> u16;
}

/// N vectors from memory.
#[inline(always)]
pub fn load_all<S: Simd, const N: usize>(from: &[Lane; N]) -> [S::V; N] {
    let mut vectors = [S::splat(0.0); N];
    for n in 0..N {
        vectors[n] = S::load(&from[n]);
    }
    vectors
}

/// Asks for N lanes from `first` on, as far as there are: steps lie too far apart for the processor to see a pattern.
#[inline(always)]
pub fn prefetch<S: Simd, const N: usize>(lanes: &[Lane], first: usize) {
    for n in 0..N {
        if let Some(lane) = lanes.get(first + n) {
            S::prefetch(lane);
        }
    }
}

/// N vectors to memory.
#[inline(always)]
pub fn store_all<S: Simd, const N: usize>(vectors: &[S::V; N], to: &mut [Lane; N]) {
    for n in 0..N {
        S::store(vectors[n], &mut to[n]);
    }
}

/// Sixteen numbers that the neuron's equations can be written for.
pub struct Vector<S: Simd>(pub S::V);

impl<S: Simd> Clone for Vector<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd> Copy for Vector<S> {}

macro_rules! operator {
    ($($operator:ident, $name:ident);*) => {$(
        impl<S: Simd> $operator for Vector<S> {
            type Output = Self;
            #[inline(always)]
            fn $name(self, other: Self) -> Self {
                Vector(S::$name(self.0, other.0))
            }
        }
    )*};
}
operator!(Add, add; Sub, sub; Mul, mul; Div, div);

impl<S: Simd> Vector<S> {
    /// From memory.
    #[inline(always)]
    pub fn load(from: &Lane) -> Self {
        Vector(S::load(from))
    }
    /// To memory.
    #[inline(always)]
    pub fn store(self, to: &mut Lane) {
        S::store(self.0, to);
    }
}

impl<S: Simd> Real for Vector<S> {
    type Mask = S::M;
    #[inline(always)]
    fn of(v: f64) -> Self {
        Vector(S::splat(v as f32))
    }
    #[inline(always)]
    fn above(self, other: Self) -> S::M {
        S::above(self.0, other.0)
    }
    #[inline(always)]
    fn choose(mask: S::M, yes: Self, no: Self) -> Self {
        Vector(S::choose(mask, yes.0, no.0))
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let mut lane = Lane::ZERO;
        self.store(&mut lane);
        Self::load(&Lane(lane.0.map(f32::exp)))
    }
}

/// A piece of work that wants an instruction set. `run` must be `#[inline(always)]`.
pub trait Kernel {
    /// What comes out.
    type Out;
    /// Does the work.
    fn run<S: Simd>(self) -> Self::Out;
}

/// An instruction set that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Plain Rust, on any processor.
    pub const PORTABLE: Isa = Isa(Set::Portable);

    /// All that this processor can run, slowest first.
    pub fn available() -> Vec<Isa> {
        let mut all = vec![Isa::PORTABLE];
        #[cfg(target_arch = "aarch64")]
        all.push(Isa(Set::Neon));
        #[cfg(target_arch = "x86_64")]
        {
            // Every feature that x86::with_avx2 and x86::with_avx512 enable.
            let small = is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("lzcnt");
            let avx2 = small && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl");
            if avx2 {
                all.push(Isa(Set::Avx2));
            }
            if avx2 && avx512 {
                all.push(Isa(Set::Avx512));
            }
        }
        all
    }

    /// The widest this processor can run.
    pub fn best() -> Isa {
        *Isa::available().last().expect("the portable set is always there")
    }

    /// For messages.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
        }
    }

    /// Runs a kernel under this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self.0 {
            Set::Portable => kernel.run::<Portable>(),
            // SAFETY: `available` is the only maker of this value and has asked the processor.
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => unsafe { x86::with_avx2(kernel) },
            // SAFETY: the same.
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => unsafe { x86::with_avx512(kernel) },
            #[cfg(target_arch = "aarch64")]
            Set::Neon => kernel.run::<neon::Neon>(),
        }
    }
}

#[derive(Clone, Copy)]
struct Portable;

impl Simd for Portable {
    type V = [f32; LANES];
    type M = [bool; LANES];
    /// As x86-64 has them in any case: sixteen of four lanes.
    const REGISTERS: usize = 4;
    #[inline(always)]
    fn load(x: &Lane) -> Self::V {
        x.0
    }
    #[inline(always)]
    fn store(v: Self::V, to: &mut Lane) {
        to.0 = v;
    }
    #[inline(always)]
    fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn above(a: Self::V, b: Self::V) -> Self::M {
        std::array::from_fn(|i| a[i] > b[i])
    }
    #[inline(always)]
    fn choose(mask: Self::M, yes: Self::V, no: Self::V) -> Self::V {
        std::array::from_fn(|i| if mask[i] { yes[i] } else { no[i] })
    }
    #[inline(always)]
    fn bits(mask: Self::M) -> u16 {
        mask.iter().rev().fold(0, |bits, &set| bits << 1 | u16::from(set))
    }
    #[inline(always)]
    fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn keep(mask: u16, v: Self::V) -> Self::V {
        std::array::from_fn(|i| if mask >> i & 1 == 1 { v[i] } else { 0.0 })
    }
    #[inline(always)]
    fn sum(v: Self::V) -> f32 {
        let eight: [f32; 8] = std::array::from_fn(|i| v[i] + v[i + 8]);
        let four: [f32; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
        (four[0] + four[2]) + (four[1] + four[3])
    }
    #[inline(always)]
    fn step_mask(words: &[u64; LANES], t: usize) -> u16 {
        words.iter().rev().fold(0, |mask, word| mask << 1 | (word >> t & 1) as u16)
    }
}
