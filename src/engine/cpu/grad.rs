//! Gradients between layers, kept where they were computed.
//!
//! A gradient that passes a pool or a dropout on its way back only notes the route. It is spread to full resolution block by
//! block, in [`Grad::expand`], just before the neuron reads it: the large gradient of a pooled layer never exists for the batch.

use super::buffer::Buffer;
use super::field::{Acts, Words, blocks};
use super::pool::{self, Windows};
use super::simd::{Isa, Kernel, LANES, Lane, Simd};
use crate::engine::DropMask;
use crate::shape::Chw;

/// Order of the stored lanes.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// `[B][C/16][T][H·W]`, as convolutions write it.
    ByStep {
        /// Lanes from one sample to the next, at least as many as one has.
        stride: usize,
    },
    /// `[C/16][H·W][B][T]`, as linear layers write it: an input neuron's entries lie together.
    ByNeuron,
}

/// dL/d(activations).
pub struct Grad {
    /// Shape of the stored values.
    inner: Chw,
    /// Shape after all routes.
    pub shape: Chw,
    /// B.
    pub samples: usize,
    /// T.
    pub steps: usize,
    order: Order,
    values: Buffer<Lane>,
    routes: Vec<Route>,
}

/// One layer without weights, passed backward.
enum Route {
    /// To the first maximum of each window of the pool's input.
    Max { k: usize, input: Acts },
    /// 1/k² to every element of a window of an input of this shape.
    Avg { k: usize, input: Chw },
    /// Times 0 or 2.
    Drop { bits: Vec<u16> },
}

/// Buffers of [`Grad::expand`].
#[derive(Default)]
pub struct Scratch {
    now: Vec<Lane>,
    next: Vec<Lane>,
}

impl Grad {
    /// A gradient as a layer computed it; `values` in the given order.
    pub fn new(shape: Chw, samples: usize, steps: usize, order: Order, values: Buffer<Lane>) -> Grad {
        debug_assert!(values.len() >= samples * steps * blocks(shape.c) * shape.area());
        Grad { inner: shape, shape, samples, steps, order, values, routes: Vec::new() }
    }

    /// Back through a max pool with this input.
    pub fn through_max(mut self, k: usize, input: &Acts) -> Grad {
        self.shape = input.shape();
        self.routes.push(Route::Max { k, input: input.clone() });
        self
    }

    /// Back through an average pool with an input of this shape.
    pub fn through_avg(mut self, k: usize, input: Chw) -> Grad {
        self.shape = input;
        self.routes.push(Route::Avg { k, input });
        self
    }

    /// Back through a dropout.
    pub fn through_dropout(mut self, mask: &DropMask) -> Grad {
        let bits = pool::block_mask(mask, self.shape, self.samples);
        self.routes.push(Route::Drop { bits });
        self
    }

    /// `[T][H·W]` of one block of one sample, after all routes.
    pub fn expand<'a>(&'a self, isa: Isa, sample: usize, block: usize, scratch: &'a mut Scratch) -> &'a [Lane] {
        let len = self.steps * self.inner.area();
        let stored = match self.order {
            Order::ByStep { stride } => Some(&self.values[sample * stride + block * len..][..len]),
            Order::ByNeuron => None,
        };
        match stored {
            Some(stored) if self.routes.is_empty() => return stored,
            Some(_) => {}
            None => self.gather(sample, block, &mut scratch.now),
        }
        let mut shape = self.inner;
        for (i, route) in self.routes.iter().enumerate() {
            let (now, next) = (stored.filter(|_| i == 0).unwrap_or(&scratch.now), &mut scratch.next);
            match route {
                Route::Max { k, input } => {
                    prepare(next, *k, input.shape(), self.steps);
                    spread_max(isa, now, next, *k, input, sample, block);
                    shape = input.shape();
                }
                Route::Avg { k, input } => {
                    prepare(next, *k, *input, self.steps);
                    isa.run(SpreadAvg { d: now, out: next, k: *k, input: *input });
                    shape = *input;
                }
                Route::Drop { bits } => {
                    let start = (sample * blocks(shape.c) + block) * shape.area();
                    next.clear();
                    next.extend_from_slice(now);
                    for (i, lane) in next.iter_mut().enumerate() {
                        pool::double_or_drop(lane, bits[start + i % shape.area()]);
                    }
                }
            }
            std::mem::swap(&mut scratch.now, &mut scratch.next);
        }
        &scratch.now
    }

    /// As canonical `[T,B,C,H,W]`, after all routes.
    pub fn to_host(&self, isa: Isa) -> Vec<f32> {
        let (channels, area) = (self.shape.c, self.shape.area());
        let mut out = vec![0.0; self.steps * self.samples * self.shape.len()];
        let mut scratch = Scratch::default();
        // Block by block: what is spread is never there as a whole.
        for (b, block) in (0..self.samples).flat_map(|b| (0..blocks(channels)).map(move |block| (b, block))) {
            let spread = self.expand(isa, b, block, &mut scratch);
            for (t, step) in spread.chunks_exact(area).enumerate() {
                for c in block * LANES..channels.min((block + 1) * LANES) {
                    let row = &mut out[((t * self.samples + b) * channels + c) * area..][..area];
                    row.iter_mut().zip(step).for_each(|(value, lane)| *value = lane.0[c % LANES]);
                }
            }
        }
        out
    }

    /// One block of one sample, stored by neuron, as `[T][H·W]`.
    fn gather(&self, sample: usize, block: usize, out: &mut Vec<Lane>) {
        let (area, steps) = (self.inner.area(), self.steps);
        out.resize(steps * area, Lane::ZERO);
        for p in 0..area {
            let of_neuron = &self.values[((block * area + p) * self.samples + sample) * steps..][..steps];
            for (t, lane) in of_neuron.iter().enumerate() {
                out[t * area + p] = *lane;
            }
        }
    }
}

/// Room for `[T][H·W]`, zero where windows of side k will not write: at edges that they do not reach.
fn prepare(out: &mut Vec<Lane>, k: usize, input: Chw, steps: usize) {
    if !input.h.is_multiple_of(k) || !input.w.is_multiple_of(k) {
        out.clear();
    }
    out.resize(steps * input.area(), Lane::ZERO);
}

/// The spread of an average pool, one block of one sample.
struct SpreadAvg<'a> {
    /// `[T][pooled]`
    d: &'a [Lane],
    /// `[T][input]`
    out: &'a mut [Lane],
    k: usize,
    input: Chw,
}

impl Kernel for SpreadAvg<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let SpreadAvg { d, out, k, input: Chw { h, w, .. } } = self;
        let share = S::splat(1.0 / (k * k) as f32);
        let rows = out.chunks_exact_mut(h * w).flat_map(|step| step.chunks_exact_mut(k * w).take(h / k));
        for (d, rows) in d.chunks_exact(w / k).zip(rows) {
            for row in rows.chunks_exact_mut(w) {
                for (d, window) in d.iter().zip(row.chunks_exact_mut(k)) {
                    let part = S::mul(S::load(d), share);
                    for out in window {
                        S::store(part, out);
                    }
                }
            }
        }
    }
}

fn spread_max(isa: Isa, d: &[Lane], out: &mut [Lane], k: usize, input: &Acts, sample: usize, block: usize) {
    let shape = input.shape();
    let (windows, area, pooled) = (Windows::new(shape, k), shape.area(), pool::pooled(shape, k).area());
    match input {
        Acts::Spikes(s) => {
            let planes = s.window((sample * blocks(shape.c) + block) * area, area);
            isa.run(SpreadMax { d, out, windows: &windows, area, pooled, steps: s.steps, planes: &planes });
        }
        Acts::Real(f) => {
            out.fill(Lane::ZERO);
            for (t, (d, out)) in d.chunks_exact(pooled).zip(out.chunks_exact_mut(area)).enumerate() {
                let row = &f.block(sample, block)[t.min(f.stored - 1) * area..][..area];
                for (d, corner) in d.iter().zip(windows.corners()) {
                    for l in 0..LANES {
                        let mut best = corner;
                        for offset in &windows.offsets[1..] {
                            best = if row[corner + offset].0[l] > row[best].0[l] { corner + offset } else { best };
                        }
                        out[best].0[l] = d.0[l];
                    }
                }
            }
        }
    }
}

/// The spread of a max pool over spikes, one block of one sample.
struct SpreadMax<'a> {
    /// `[T][pooled]`
    d: &'a [Lane],
    /// `[T][area]`
    out: &'a mut [Lane],
    windows: &'a Windows,
    area: usize,
    pooled: usize,
    steps: usize,
    /// Of the pool's input.
    planes: &'a [&'a [Words]],
}

impl Kernel for SpreadMax<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let SpreadMax { d, out, windows, area, pooled, steps, planes } = self;
        let (mut best, mut winners) = (vec![[0; LANES]; planes.len()], vec![[0; LANES]; windows.offsets.len()]);
        for (w, corner) in windows.corners().enumerate() {
            pool::first_maxima(planes, windows, corner, &mut best, &mut winners);
            for (offset, winner) in windows.offsets.iter().zip(&winners) {
                for t in 0..steps {
                    S::store(S::keep(S::step_mask(winner, t), S::load(&d[t * pooled + w])), &mut out[t * area + corner + offset]);
                }
            }
        }
    }
}
