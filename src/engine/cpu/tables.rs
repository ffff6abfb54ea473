//! Fully connected forward by tables: for every four inputs the sums of their weight rows, one for each of the 16 ways they can
//! fire. A look-up adds up to four spikes at once, and skips silent fours.
//!
//! The tables of 64 inputs and 128 outputs are 128 KB and stay in L2 while all samples and steps read them. Where most inputs fire, the
//! silent ones are looked up, and taken away from the sum of all.

use rayon::prelude::*;

use super::buffer::{Buffer, Source};
use super::field::{Spikes, Words, blocks};
use super::simd::{Isa, Kernel, LANES, Lane, Simd, load_all, store_all};

/// Below so many (sample, step) pairs the tables cost more than they save: building takes about as long as 40 pairs.
pub const LEAST_PAIRS: usize = 64;
/// Positions of 16 inputs in one tile, whose spikes at one step are one word.
pub const TILE: usize = 4;
/// Entries of the tables of a tile: 16 fours, 16 ways each.
const ENTRIES: usize = 256;

/// `[tile][B·T]`: the spikes of 64 inputs, bit i = input i of the tile.
pub fn codes(isa: Isa, x: &Spikes) -> Vec<Vec<u64>> {
    let all = blocks(x.shape.c) * x.shape.area();
    let read = |tile: usize| {
        let mut out = Vec::with_capacity(x.samples * x.steps);
        for b in 0..x.samples {
            let first = b * all + tile * TILE;
            let words = &x.planes[0][first..first + TILE.min(all - tile * TILE)];
            isa.run(Read { words, steps: x.steps, out: &mut out });
        }
        out
    };
    (0..all.div_ceil(TILE)).into_par_iter().map(read).collect()
}

struct Read<'a> {
    words: &'a [Words],
    steps: usize,
    out: &'a mut Vec<u64>,
}

impl Kernel for Read<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for t in 0..self.steps {
            let mut code = 0;
            for words in self.words.iter().rev() {
                code = code << LANES | u64::from(S::step_mask(words, t));
            }
            self.out.push(code);
        }
    }
}

/// Codes in which inputs are set that were not.
pub fn silences(codes: &mut [Vec<u64>]) {
    codes.par_iter_mut().flatten().for_each(|code| *code = !*code);
}

/// `[B·T][width]` sums of weight rows for one group of outputs, `weight` `[row][width]`. The codes are of spikes, or of [`silences`].
pub fn sums(isa: Isa, source: &Source, codes: &[Vec<u64>], of_silences: bool, weight: &[Lane], width: usize) -> Buffer<Lane> {
    let mut sums = source.zeros(codes.first().map_or(0, Vec::len) * width);
    let mut table: Buffer<Lane> = source.stale(ENTRIES * width);
    for (codes, weight) in codes.iter().zip(weight.chunks(TILE * LANES * width)) {
        let (table, sums) = (&mut table[..], &mut sums[..]);
        match width {
            8 => isa.run(Add::<8> { codes, of_silences, weight, table, sums }),
            4 => isa.run(Add::<4> { codes, of_silences, weight, table, sums }),
            2 => isa.run(Add::<2> { codes, of_silences, weight, table, sums }),
            _ => isa.run(Add::<1> { codes, of_silences, weight, table, sums }),
        }
    }
    sums
}

struct Add<'a, const N: usize> {
    /// `[B·T]`
    codes: &'a [u64],
    of_silences: bool,
    /// `[inputs of the tile][N]`
    weight: &'a [Lane],
    /// `[ENTRIES][N]`
    table: &'a mut [Lane],
    /// `[B·T][N]`
    sums: &'a mut [Lane],
}

impl<const N: usize> Kernel for Add<'_, N> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let rows = self.weight.as_chunks::<N>().0;
        let table: &mut [[Lane; N]; ENTRIES] = self.table.as_chunks_mut::<N>().0.first_chunk_mut().expect("tables of one tile");
        let sign = S::splat(if self.of_silences { -1.0 } else { 1.0 });
        // Inputs that exist, and less the sum of all their rows where silences are looked up.
        let (mut exist, mut all) = (0, [S::splat(0.0); N]);
        for (four, rows) in rows.chunks_exact(4).enumerate() {
            exist |= 15 << (four * 4);
            for code in 1..16usize {
                let (row, rest) = (&rows[code.trailing_zeros() as usize], four * 16 + (code & (code - 1)));
                for n in 0..N {
                    let row = S::mul(S::load(&row[n]), sign);
                    let sum = if code.is_power_of_two() { row } else { S::add(S::load(&table[rest][n]), row) };
                    if code == 15 && self.of_silences {
                        all[n] = S::add(all[n], sum);
                    }
                    S::store(sum, &mut table[four * 16 + code][n]);
                }
            }
        }
        for (code, sums) in self.codes.iter().map(|code| code & exist).zip(self.sums.as_chunks_mut::<N>().0) {
            // One bit per four that fires.
            let mut fours = (code | code >> 1 | code >> 2 | code >> 3) & 0x1111_1111_1111_1111;
            let mut acc = load_all::<S, N>(sums);
            if self.of_silences {
                for n in 0..N {
                    acc[n] = S::sub(acc[n], all[n]);
                }
            }
            while fours != 0 {
                let at = fours.trailing_zeros() as usize;
                let entry = &table[(at * 4 + (code >> at & 15) as usize) % ENTRIES];
                for n in 0..N {
                    acc[n] = S::add(acc[n], S::load(&entry[n]));
                }
                fours &= fours - 1;
            }
            store_all::<S, N>(&acc, sums);
        }
    }
}
