//! Parameters as the kernels want them, and AdamW.
//!
//! Output channels are cut into groups of up to 8 blocks (128 lanes: the accumulators of one output pixel). A weight is
//! `[group][row][blocks of the group]` lanes, where a row is one input of one output: (tap, input channel) of a convolution,
//! a neuron in blocked order of a linear layer. Padding stays zero.

use rayon::prelude::*;

use super::buffer::{Buffer, Source};
use super::field::blocks;
use super::simd::{Isa, Kernel, LANES, Lane, Simd, floats, floats_mut};
use crate::engine::{AdamW, Layout};
use crate::shape::Chw;

/// Numbers per task of the elementwise passes: large enough to hide a task's cost, fixed so that threads cannot matter.
const CHUNK: usize = 1 << 12;

/// A parameter, its gradient or one of its AdamW moments.
#[derive(Clone, Debug)]
pub struct Param {
    /// What it is.
    pub layout: Layout,
    /// The values.
    pub data: Buffer<Lane>,
}

/// Up to 8 neighbouring blocks of output channels.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// First block.
    pub first: usize,
    /// Number of blocks: 8, 4, 2 or 1.
    pub width: usize,
}

/// The groups of `out` output channels: as many of 8 as fit, then 4, 2, 1.
pub fn groups(out: usize) -> Vec<Group> {
    let (mut first, all) = (0, blocks(out));
    let mut list = Vec::new();
    while first < all {
        let width = [8, 4, 2, 1].into_iter().find(|w| first + w <= all).expect("1 always fits");
        list.push(Group { first, width });
        first += width;
    }
    list
}

/// Rows of a weight: taps · input channels, or padded input neurons.
pub fn rows(layout: Layout) -> usize {
    match layout {
        Layout::Conv { inp, k, .. } => k * k * inp,
        Layout::Linear { inp, .. } => blocks(inp.c) * inp.area() * LANES,
        Layout::PerChannel(_) => 1,
    }
}

/// Outputs of a parameter.
pub fn outputs(layout: Layout) -> usize {
    match layout {
        Layout::Conv { out, .. } | Layout::Linear { out, .. } | Layout::PerChannel(out) => out,
    }
}

/// Lanes of a parameter, padding included.
pub fn lanes(layout: Layout) -> usize {
    rows(layout) * blocks(outputs(layout))
}

/// Row of neuron `i` (C,H,W order) in blocked order.
fn blocked(shape: Chw, i: usize) -> usize {
    let (c, p) = (i / shape.area(), i % shape.area());
    (c / LANES * shape.area() + p) * LANES + c % LANES
}

impl Param {
    /// All zero.
    pub fn zeros(source: &Source, layout: Layout) -> Param {
        Param { layout, data: source.zeros(lanes(layout)) }
    }

    /// With values from before, to be overwritten.
    pub fn stale(source: &Source, layout: Layout) -> Param {
        Param { layout, data: source.stale(lanes(layout)) }
    }

    /// The weights of one group, `[row][width]`.
    pub fn group(&self, group: Group) -> &[Lane] {
        let rows = rows(self.layout);
        &self.data[group.first * rows..(group.first + group.width) * rows]
    }

    /// All entries `value`; padding stays zero.
    pub fn constant(source: &Source, layout: Layout, value: f32) -> Param {
        if value == 0.0 { Param::zeros(source, layout) } else { Param::from_host(source, layout, &vec![value; layout.len()]) }
    }

    /// From the order of [`Layout`].
    pub fn from_host(source: &Source, layout: Layout, host: &[f32]) -> Param {
        assert_eq!(host.len(), layout.len(), "a parameter has as many values as its layout");
        let mut param = Param::zeros(source, layout);
        let data = floats_mut(&mut param.data);
        for_each_place(layout, |canonical, place| data[place] = host[canonical]);
        param
    }

    /// To the order of [`Layout`].
    pub fn to_host(&self) -> Vec<f32> {
        let data = floats(&self.data);
        let mut host = vec![0.0; self.layout.len()];
        for_each_place(self.layout, |canonical, place| host[canonical] = data[place]);
        host
    }

    /// Whether all entries are within ±`bound` (NaN is not).
    pub fn all_within(&self, isa: Isa, bound: f32) -> bool {
        all_within(isa, &self.data, bound)
    }
}

/// Whether all values are within ±`bound` (NaN is not).
pub fn all_within(isa: Isa, lanes: &[Lane], bound: f32) -> bool {
    lanes.par_chunks(CHUNK).all(|lanes| isa.run(Within { lanes, bound }))
}

struct Within<'a> {
    lanes: &'a [Lane],
    bound: f32,
}

impl Kernel for Within<'_> {
    type Out = bool;
    #[inline(always)]
    fn run<S: Simd>(self) -> bool {
        let (least, beyond) = (S::splat((-self.bound).next_down()), S::splat(self.bound.next_up()));
        let mut within = u16::MAX;
        for lane in self.lanes {
            let v = S::load(lane);
            within &= S::bits(S::above(v, least)) & S::bits(S::above(beyond, v));
        }
        within == u16::MAX
    }
}

/// Calls `visit(index in the layout's order, index in memory)` for every value.
fn for_each_place(layout: Layout, mut visit: impl FnMut(usize, usize)) {
    let rows = rows(layout);
    let inputs = layout.len() / outputs(layout).max(1);
    let row_of = |i: usize| match layout {
        Layout::Conv { inp, k, .. } => i % (k * k) * inp + i / (k * k),
        Layout::Linear { inp, .. } => blocked(inp, i),
        Layout::PerChannel(_) => 0,
    };
    for group in groups(outputs(layout)) {
        let (start, width) = (group.first * LANES, group.width * LANES);
        for o in start..outputs(layout).min(start + width) {
            for i in 0..inputs {
                visit(o * inputs + i, start * rows + row_of(i) * width + (o - start));
            }
        }
    }
}

/// The constants of one step as f32, computed in f64.
struct Constants {
    keep: f32,
    from_grad: f32,
    beta2: f32,
    from_square: f32,
    root_correction: f32,
    eps: f32,
    step: f32,
}

impl Constants {
    fn new(c: &AdamW) -> Constants {
        let correction = |beta: f64| 1.0 - beta.powf(c.step as f64);
        Constants {
            keep: (1.0 - c.lr * c.weight_decay) as f32,
            from_grad: (1.0 - c.beta1) as f32,
            beta2: c.beta2 as f32,
            from_square: (1.0 - c.beta2) as f32,
            root_correction: correction(c.beta2).sqrt() as f32,
            eps: c.eps as f32,
            step: (c.lr / correction(c.beta1)) as f32,
        }
    }
}

/// One AdamW step, in PyTorch's order of operations. Padding has gradient 0, so it stays 0.
pub fn adamw(isa: Isa, p: &mut Param, m: &mut Param, v: &mut Param, grad: &Param, c: &AdamW) {
    let constants = Constants::new(c);
    let moments = m.data.par_chunks_mut(CHUNK).zip(v.data.par_chunks_mut(CHUNK));
    p.data.par_chunks_mut(CHUNK).zip(moments).zip(grad.data.par_chunks(CHUNK)).for_each(|((p, (m, v)), g)| {
        isa.run(Step { p, m, v, g, constants: &constants });
    });
}

/// Adds entry by entry.
pub fn add(isa: Isa, into: &mut Param, other: &Param) {
    into.data.par_chunks_mut(CHUNK).zip(other.data.par_chunks(CHUNK)).for_each(|(into, other)| isa.run(Add { into, other }));
}

/// Adds lanes.
pub struct Add<'a> {
    /// To these
    pub into: &'a mut [Lane],
    /// these.
    pub other: &'a [Lane],
}

impl Kernel for Add<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for (into, other) in self.into.iter_mut().zip(self.other) {
            S::store(S::add(S::load(into), S::load(other)), into);
        }
    }
}

struct Step<'a> {
    p: &'a mut [Lane],
    m: &'a mut [Lane],
    v: &'a mut [Lane],
    g: &'a [Lane],
    constants: &'a Constants,
}

impl Kernel for Step<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let k = self.constants;
        for (((p, m), v), g) in self.p.iter_mut().zip(self.m).zip(self.v).zip(self.g) {
            for l in 0..LANES {
                let g = g.0[l];
                m.0[l] = normal(m.0[l] + k.from_grad * (g - m.0[l]));
                v.0[l] = normal(k.beta2 * v.0[l] + k.from_square * g * g);
                let decayed = p.0[l] * k.keep;
                p.0[l] = decayed - k.step * (m.0[l] / (v.0[l].sqrt() / k.root_correction + k.eps));
            }
        }
    }
}

/// Moments of weights whose gradient has stayed 0 fade until they are denormal, and stay so: too small to move a weight, and many
/// times slower to compute with. They are 0 from there on.
#[inline(always)]
fn normal(x: f32) -> f32 {
    if x.abs() < f32::MIN_POSITIVE { 0.0 } else { x }
}
