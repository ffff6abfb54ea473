//! The walk over the spikes of one input, for both gradients: each spike reads the errors it meets once, which are added to sums (dL/dW)
//! and multiplied with weights (dL/dx at the spike).
//!
//! Where registers hold sums and weights, the list is walked once ([`Walker::walk`]). The nine taps of a convolution are 18 vectors, which
//! AVX-512 holds; AVX2 and NEON hold eight, and would fetch and store every sum at every spike. There a few spikes at a time are visited
//! in several passes ([`Walker::pass`]), each over some of the taps. All is added in the same order either way, so the bits are the same.

use super::simd::{LANES, Lane, Simd};

/// Vectors whose lanes are to be summed, on their way to totals that stand behind one another: sixteen at a time, because a sum
/// alone costs as much as the products it sums.
pub struct Pending {
    vectors: [Lane; LANES],
    count: usize,
    /// Where the first of them goes.
    at: usize,
}

impl Pending {
    /// None yet, the first one for total `at`.
    pub fn new(at: usize) -> Pending {
        Pending { vectors: [Lane::ZERO; LANES], count: 0, at }
    }

    /// Free places for up to `most` vectors that follow.
    #[inline(always)]
    pub fn places(&mut self, most: usize) -> &mut [Lane] {
        let first = self.count;
        self.count = LANES.min(first + most);
        &mut self.vectors[first..self.count]
    }

    /// Adds the sums to their totals if all sixteen are there.
    #[inline(always)]
    pub fn flush_full<S: Simd>(&mut self, totals: &mut [f32]) {
        if self.count == LANES {
            self.flush::<S>(totals);
        }
    }

    /// Adds the sums to their totals.
    #[inline(always)]
    pub fn flush<S: Simd>(&mut self, totals: &mut [f32]) {
        let totals = &mut totals[self.at..self.at + self.count];
        let mut lane = Lane::ZERO;
        lane.0[..totals.len()].copy_from_slice(totals);
        S::store(S::add(S::load(&lane), S::sums(&self.vectors)), &mut lane);
        totals.copy_from_slice(&lane.0[..totals.len()]);
        (self.at, self.count) = (self.at + self.count, 0);
    }
}

/// Whether registers hold the weights of so many taps, the sums of their gradients, and an error.
#[inline(always)]
pub fn fit<S: Simd>(taps: usize) -> bool {
    2 * taps < S::REGISTERS
}

/// What keeps weights and sums of their gradients in registers while the spikes of an input are walked.
pub trait Walker<S: Simd> {
    /// One spike of this level: adds e to dL/dW; gives the products of e and the weights, whose sum is dL/dx.
    fn visit(&mut self, at: u32, level: f32) -> S::V;

    /// Visits a list of spikes; `levels` is empty where all are 1. If `DOT`, the sums go to `dots` behind those that are `pending`.
    #[inline(always)]
    fn walk<const DOT: bool>(&mut self, list: &[u32], levels: &[f32], pending: &mut Pending, dots: &mut [f32]) {
        let mut active = list.iter().enumerate();
        if DOT {
            while active.len() > 0 {
                for (place, (i, &at)) in pending.places(active.len()).iter_mut().zip(&mut active) {
                    S::store(self.visit(at, levels.get(i).copied().unwrap_or(1.0)), place);
                }
                pending.flush_full::<S>(dots);
            }
        } else {
            for (i, &at) in active {
                self.visit(at, levels.get(i).copied().unwrap_or(1.0));
            }
        }
    }

    /// Visits some spikes in one of several passes. If `DOT`, the products of each go to its place, added to those of earlier passes if
    /// this is not the first.
    #[inline(always)]
    fn pass<const DOT: bool>(&mut self, spikes: &[u32], levels: &[f32], places: &mut [Lane], first: bool) {
        let spikes = spikes.iter().enumerate();
        if !DOT {
            for (i, &at) in spikes {
                self.visit(at, levels.get(i).copied().unwrap_or(1.0));
            }
        } else if first {
            for ((i, &at), place) in spikes.zip(places) {
                S::store(self.visit(at, levels.get(i).copied().unwrap_or(1.0)), place);
            }
        } else {
            for ((i, &at), place) in spikes.zip(places) {
                let dot = self.visit(at, levels.get(i).copied().unwrap_or(1.0));
                S::store(S::add(S::load(place), dot), place);
            }
        }
    }
}
