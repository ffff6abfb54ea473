//! Backward through a convolution whose currents were not kept: they are recomputed, twice, a few samples at a time, for the sums
//! of the norm and then for the gradients. The same bits as with all samples at once, because every sum is cut by samples anyway.

use super::conv;
use super::conv_back;
use super::field::Acts;
use super::fire::Affines;
use super::fire_back;
use super::grad::{Grad, Order};
use super::param::Param;
use super::simd::Isa;
use crate::engine::{Need, Recomputed};

/// Parts of a batch ([`crate::engine::parts`]) whose currents exist at once.
pub const TOGETHER: usize = 2;

/// Gradients of a layer, see [`crate::engine::Engine::backward_recomputed`]. Every step of its currents differs.
pub fn backward(isa: Isa, x: &Acts, layer: &Recomputed<Param>, d: &Grad, need: Need) -> (Param, Option<Grad>, (Param, Param)) {
    let (samples, steps, shape) = (x.samples(), x.steps(), x.shape());
    let start = x.cut().samples().start;
    let parts = || x.cut().subtrees(TOGETHER).map(|cut| (cut.samples().start - start, x.part(cut)));
    let way = conv::choose(isa, x, layer.weight);
    let currents = |x: &Acts| conv::forward_by(isa, way, x, layer.weight, layer.bias);
    let affines = Affines::new(d.shape.c, Some(&layer.norm));
    let mut neurons = fire_back::Parts::new(isa, &affines, &layer.cell, layer.surrogate, d);
    for (first, x) in parts() {
        neurons.sum(&mut currents(&x), first);
    }
    let totals = neurons.totals(x.cut());
    let sample_len = super::field::blocks(shape.c) * steps * shape.area();
    let mut d_x = conv_back::room(x.source(), need, samples * sample_len);
    let mut sums = conv_back::Parts::new(isa, x, layer.weight, need);
    for (first, x) in parts() {
        let mut e = currents(&x);
        neurons.write(&mut e, first, &totals);
        let d_x = if need == Need::Nothing { &mut [] } else { &mut d_x[first * sample_len..(first + x.samples()) * sample_len] };
        sums.add(&x, &mut e, d_x);
    }
    let d_x = (need != Need::Nothing).then(|| Grad::new(shape, samples, steps, Order::ByStep { stride: sample_len }, d_x));
    (sums.total(x), d_x, totals.gradients(d.shape.c))
}
