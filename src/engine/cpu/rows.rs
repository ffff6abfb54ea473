//! Sums of weight rows out of near memory: the forward pass over spikes.
//!
//! A sum (16 outputs at one position or pair) adds the rows of the inputs that fire under it. Rows far away are waited for, so the
//! inputs are cut into slices: the rows of a slice, for one block of 16 outputs, are copied into 64 KB, and every sum adds those it
//! lists. Where spikes are dense, the rows of a slice are the sums of *four* inputs, one for each of the 16 ways they can fire: an
//! entry then adds up to four spikes at once. Lists of rows serve all blocks of outputs.

use super::simd::{Kernel, Lane, Simd};

/// Rows of a slice, at most: 64 KB. A power of two, so that a row can be masked instead of checked.
pub const ROWS: usize = 1 << 10;
/// Sums that are walked side by side: their lists are filled up to one length, and no addition waits for the one before.
pub const TOGETHER: usize = 4;
/// Ways that four inputs can fire.
pub const WAYS: usize = 16;
/// What a visit of a sum costs beside its rows, in rows added: its share of the lists, a list's end that is not predicted, filling up,
/// the sum's way to memory and back. Fitted to both ways of convolutions of 128 channels at densities of .05 to .6, as is the next one.
const VISIT: f64 = 12.0;
/// The same for every plane of the input.
const PLANE: f64 = 4.0;
/// What a row of a slice costs to make, in rows added.
const MAKE: f64 = 2.0;

/// Rows of some inputs for one block of outputs; row 0 is zero.
pub struct Slice(Box<[Lane; ROWS]>);

impl Default for Slice {
    fn default() -> Self {
        Slice(Box::new([Lane::ZERO; ROWS]))
    }
}

/// How the rows of a slice are made of inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// A row per input, from row 1 on.
    Single,
    /// [`WAYS`] rows per four inputs, from row 0 on.
    Fours,
}

impl Rows {
    /// Inputs behind a unit.
    pub fn inputs(self) -> usize {
        match self {
            Rows::Single => 1,
            Rows::Fours => 4,
        }
    }

    /// Rows of a unit.
    pub fn per_unit(self) -> usize {
        match self {
            Rows::Single => 1,
            Rows::Fours => WAYS,
        }
    }

    /// The first row of the first unit.
    pub fn first(self) -> usize {
        usize::from(self == Rows::Single)
    }

    /// Estimated cost of a sum over `inputs` that fire at these `densities` (one per plane), in rows added, if slices hold `units` of each plane and
    /// are used `uses` times once made.
    pub fn cost(self, inputs: usize, densities: &[f64], units: usize, uses: usize) -> f64 {
        let entry = |d: &f64| match self {
            Rows::Single => *d,
            Rows::Fours => 1.0 - (1.0 - d).powi(4),
        };
        let all = inputs as f64 / self.inputs() as f64;
        let made = all * densities.len() as f64 * self.per_unit() as f64 * MAKE / uses as f64;
        all * densities.iter().map(entry).sum::<f64>() + (all / units as f64).ceil() * (VISIT + PLANE * densities.len() as f64) + made
    }
}

/// Neighbouring inputs whose rows follow each other in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// First row in the slice.
    pub row: usize,
    /// First row in the weight.
    pub from: usize,
    /// Number of inputs.
    pub inputs: usize,
    /// Factor of the weights.
    pub scale: f32,
}

/// Makes the rows of a slice.
pub struct Make<'a> {
    /// Single inputs or fours.
    pub rows: Rows,
    /// What the slice consists of.
    pub runs: &'a [Run],
    /// `[row][stride]`, from the wanted block of outputs on.
    pub weight: &'a [Lane],
    /// Blocks of outputs in the weight.
    pub stride: usize,
    /// Receives them.
    pub slice: &'a mut Slice,
}

impl Kernel for Make<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Make { rows, runs, weight, stride, slice: Slice(slice) } = self;
        slice[0] = Lane::ZERO;
        for run in runs {
            let scale = S::splat(run.scale);
            let row = |input: usize| &weight[(run.from + input) * stride];
            if rows == Rows::Single {
                for input in 0..run.inputs {
                    S::store(S::mul(S::load(row(input)), scale), &mut slice[(run.row + input) % ROWS]);
                }
                continue;
            }
            for first in (0..run.inputs).step_by(4) {
                let mut four = [S::splat(0.0); 4];
                for (i, input) in (first..run.inputs.min(first + 4)).enumerate() {
                    four[i] = S::mul(S::load(row(input)), scale);
                }
                let (table, mut sums) = (run.row + first / 4 * WAYS, [S::splat(0.0); WAYS]);
                for way in 1..WAYS {
                    let (lowest, others) = (way.trailing_zeros() as usize, way & (way - 1));
                    sums[way] = if others == 0 { four[lowest] } else { S::add(sums[others], four[lowest]) };
                    S::store(sums[way], &mut slice[(table + way) % ROWS]);
                }
            }
        }
    }
}

/// Most rows in one list, with room for copies of more than is counted.
pub const LIST: usize = ROWS + 64;

/// Lists on their way into [`RowLists`].
pub struct Group {
    /// Rows; what stands behind the counted ones does not matter.
    pub rows: [[u16; LIST]; TOGETHER],
    /// Rows in each list.
    pub count: [usize; TOGETHER],
}

impl Group {
    /// Four empty lists.
    pub fn new() -> Group {
        Group { rows: [[0; LIST]; TOGETHER], count: [0; TOGETHER] }
    }
}

/// For every sum the rows it adds, in groups of [`TOGETHER`] sums, whose lists are filled up with row 0.
#[derive(Debug, Default)]
pub struct RowLists {
    /// The i-th rows of a group's lists, 16 bits each, in bytes from the slice's beginning. Packed, to be taken apart in one register.
    rows: Vec<u64>,
    /// Where each group ends.
    ends: Vec<u32>,
}

/// Size of a row.
const BYTES: usize = size_of::<Lane>();

impl RowLists {
    /// No list yet.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.ends.clear();
    }

    /// Rows in all lists.
    #[cfg(test)]
    pub fn rows(&self) -> usize {
        self.rows.len() * TOGETHER
    }

    /// The next four sums.
    #[inline(always)]
    pub fn push(&mut self, group: &mut Group) {
        let longest = group.count.into_iter().max().unwrap_or(0);
        for (rows, &count) in group.rows.iter_mut().zip(&group.count) {
            rows[count..longest].fill(0);
        }
        let [a, b, c, d] = &group.rows;
        let packed = |i: usize| u64::from(a[i]) | u64::from(b[i]) << 16 | u64::from(c[i]) << 32 | u64::from(d[i]) << 48;
        self.rows.extend((0..longest.min(LIST)).map(|i| packed(i) * BYTES as u64));
        self.ends.push(self.rows.len() as u32);
    }
}

/// Adds the listed rows to every sum.
pub struct Add<'a> {
    /// The rows.
    pub slice: &'a Slice,
    /// Which of them.
    pub lists: &'a RowLists,
    /// What sums begin with, or what is in them.
    pub start: Option<&'a Lane>,
    /// A sum per list.
    pub sums: &'a mut [Lane],
}

impl Kernel for Add<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Add { slice: Slice(slice), lists, start, sums } = self;
        let mut from = 0;
        for (&end, sums) in lists.ends.iter().zip(sums.chunks_mut(TOGETHER)) {
            let rows = &lists.rows[from..end as usize];
            from = end as usize;
            let mut acc = [S::splat(0.0); TOGETHER];
            for (j, sum) in sums.iter().enumerate() {
                acc[j] = S::load(start.unwrap_or(sum));
            }
            for &packed in rows {
                for j in 0..TOGETHER {
                    let bytes = (packed >> (16 * j)) as usize & ((ROWS - 1) * BYTES);
                    acc[j] = S::add(acc[j], S::load(&slice[bytes / BYTES]));
                }
            }
            for (j, sum) in sums.iter_mut().enumerate() {
                S::store(acc[j], sum);
            }
        }
    }
}
