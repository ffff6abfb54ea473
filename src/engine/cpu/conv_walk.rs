//! The walk of a convolution's way back over the spikes of a unit, for 16 outputs at a time.
//!
//! For one input channel, the weights of its taps and the accumulators of their gradients stay in registers. Each spike reads the rows of
//! e under its taps once: they are added to the accumulators (dL/dW) and multiplied with the weights (dL/dx at the spike). Where
//! registers hold one row of taps only, a few spikes at a time are visited once for each row.

use super::lists::Windows;
use super::simd::{Isa, Kernel, Lane, Simd, load_all, store_all};
use super::walk::{Pending, Walker, fit};

/// One block of outputs and one unit.
pub struct Walk<'a> {
    /// The sample's spikes.
    pub windows: &'a Windows,
    /// dL/dx of each listed spike, summed over the blocks.
    pub dots: &'a mut [f32],
    /// The unit's errors with their neighbours.
    pub bordered: &'a [Lane],
    /// Channels, padding included.
    pub channels: usize,
    /// The list of the unit's first channel.
    pub first: usize,
    /// `[C][K²]` of one block of outputs.
    pub weight: &'a [Lane],
    /// Of the same shape.
    pub d_weight: &'a mut [Lane],
    /// Side of the kernel.
    pub k: usize,
    /// Positions per row of the bordered e.
    pub pitch: usize,
    /// Row and column, in the window under a spike, where this pass begins.
    pub at: (usize, usize),
}

impl Walk<'_> {
    /// Large kernels in several passes.
    pub fn all(mut self, isa: Isa, graded: bool, dot: bool) {
        match self.k {
            1 => self.run::<1, 1>(isa, graded, dot),
            3 => self.run::<3, 3>(isa, graded, dot),
            5 => (0..5).for_each(|y| self.at((y, 0)).run::<5, 1>(isa, graded, dot)),
            7 => (0..7).for_each(|y| self.at((y, 0)).run::<7, 1>(isa, graded, dot)),
            k => (0..k * k).for_each(|tap| self.at((tap / k, tap % k)).run::<1, 1>(isa, graded, dot)),
        }
    }

    fn at(&mut self, at: (usize, usize)) -> &mut Self {
        self.at = at;
        self
    }

    /// A pass over `W` columns and `R` rows of the window.
    fn run<const W: usize, const R: usize>(&mut self, isa: Isa, graded: bool, dot: bool) {
        match (graded, dot) {
            (false, false) => isa.run(Taps::<'_, '_, W, R, false, false>(self)),
            (false, true) => isa.run(Taps::<'_, '_, W, R, false, true>(self)),
            (true, false) => isa.run(Taps::<'_, '_, W, R, true, false>(self)),
            (true, true) => isa.run(Taps::<'_, '_, W, R, true, true>(self)),
        }
    }
}

struct Taps<'a, 'b, const W: usize, const R: usize, const GRADED: bool, const DOT: bool>(&'a mut Walk<'b>);

impl<const W: usize, const R: usize, const GRADED: bool, const DOT: bool> Kernel for Taps<'_, '_, W, R, GRADED, DOT> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Walk { windows, dots, bordered, channels, first, weight, d_weight, k, pitch, at: (y0, x0) } = self.0;
        let (k, shift, lists) = (*k, *y0 * *pitch + *x0, &windows.lists);
        // Cut to one length, so that one comparison guards a whole window.
        let reach = bordered.len() - shift - (R - 1) * *pitch;
        let rows: [&[Lane]; R] = std::array::from_fn(|r| &bordered[shift + r * *pitch..][..reach]);
        let mut pending = Pending::new(lists.range(*first).start);
        for c in 0..*channels {
            let list = lists.range(*first + c);
            if list.is_empty() {
                continue;
            }
            let place = |r: usize| (c * k + *y0 + r) * k + *x0;
            let levels = if GRADED { &lists.level[list.clone()] } else { &[] };
            if R > 1 && !fit::<S>(R * W) {
                // Windows of several rows are as wide as the kernel: their taps lie together.
                let taps = weight[place(0)..].as_chunks().0.first_chunk().expect("the weight has all taps");
                let to = d_weight[place(0)..].as_chunks_mut().0.first_chunk_mut().expect("the gradient has all taps");
                let mut window = ByRow::<W, R, GRADED> { rows, taps, to, acc: [[Lane::ZERO; W]; R] };
                window.walk::<S, DOT>(&windows.corner[list], levels, &mut pending, dots);
                continue;
            }
            let zero = [[S::splat(0.0); W]; R];
            let mut window = Window::<S, W, R, GRADED, DOT> { rows, taps: zero, acc: zero };
            for r in 0..R {
                window.taps[r] = load_all::<S, W>(weight[place(r)..].first_chunk().expect("the weight has all taps"));
            }
            window.walk::<DOT>(&windows.corner[list], levels, &mut pending, dots);
            for r in 0..R {
                add_all::<S, W>(&window.acc[r], d_weight[place(r)..].first_chunk_mut().expect("the gradient has all taps"));
            }
        }
        if DOT {
            pending.flush::<S>(dots);
        }
    }
}

/// An input channel whose spikes are walked once for each row of the window, where registers hold no more than a row.
struct ByRow<'a, const W: usize, const R: usize, const GRADED: bool> {
    /// As in [`Window`].
    rows: [&'a [Lane]; R],
    taps: &'a [[Lane; W]; R],
    /// dL/dW, to which the sums of the list are added.
    to: &'a mut [[Lane; W]; R],
    /// The sums between two stretches of the list.
    acc: [[Lane; W]; R],
}

impl<const W: usize, const R: usize, const GRADED: bool> ByRow<'_, W, R, GRADED> {
    /// As [`Walker::walk`]: as many spikes at a time as their dots have places.
    #[inline(always)]
    fn walk<S: Simd, const DOT: bool>(&mut self, list: &[u32], levels: &[f32], pending: &mut Pending, dots: &mut [f32]) {
        let mut first = 0;
        while first < list.len() {
            let places = if DOT { pending.places(list.len() - first) } else { &mut [] };
            let last = if DOT { first + places.len() } else { list.len() };
            let (begins, ends) = (first == 0, last == list.len());
            let (spikes, levels) = (&list[first..last], levels.get(first..last).unwrap_or_default());
            for r in 0..R {
                let taps = load_all::<S, W>(&self.taps[r]);
                let acc = if begins { [S::splat(0.0); W] } else { load_all::<S, W>(&self.acc[r]) };
                let mut row = Window::<S, W, 1, GRADED, DOT> { rows: [self.rows[r]], taps: [taps], acc: [acc] };
                row.pass::<DOT>(spikes, levels, places, r == 0);
                if ends {
                    add_all::<S, W>(&row.acc[0], &mut self.to[r]);
                } else {
                    store_all::<S, W>(&row.acc[0], &mut self.acc[r]);
                }
            }
            if DOT {
                pending.flush_full::<S>(dots);
            }
            first = last;
        }
    }
}

/// Adds sums of gradients to dL/dW.
#[inline(always)]
fn add_all<S: Simd, const N: usize>(sums: &[S::V; N], to: &mut [Lane; N]) {
    for n in 0..N {
        S::store(S::add(S::load(&to[n]), sums[n]), &mut to[n]);
    }
}

/// What an input channel keeps in registers while its spikes are walked.
struct Window<'a, S: Simd, const W: usize, const R: usize, const GRADED: bool, const DOT: bool> {
    /// The bordered e from each row of the window on.
    rows: [&'a [Lane]; R],
    /// Weights, and sums of their gradients.
    taps: [[S::V; W]; R],
    acc: [[S::V; W]; R],
}

impl<S: Simd, const W: usize, const R: usize, const GRADED: bool, const DOT: bool> Walker<S> for Window<'_, S, W, R, GRADED, DOT> {
    #[inline(always)]
    fn visit(&mut self, corner: u32, level: f32) -> S::V {
        // A chain of products per row: one chain of all would be waited for.
        let mut dot = [S::splat(0.0); R];
        for r in 0..R {
            let row: &[Lane; W] = self.rows[r][corner as usize..].first_chunk().expect("the border keeps windows inside");
            for x in 0..W {
                let e = S::load(&row[x]);
                self.acc[r][x] = if GRADED { S::fma(S::splat(level), e, self.acc[r][x]) } else { S::add(self.acc[r][x], e) };
                if DOT {
                    dot[r] = S::fma(e, self.taps[r][x], dot[r]);
                }
            }
        }
        let mut sum = dot[0];
        for r in 1..R {
            sum = S::add(sum, dot[r]);
        }
        sum
    }
}
