//! An engine that keeps time: every primitive of another engine, with a clock around it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::engine::{AdamW, AffineGrads, Batch, Cell, DropMask, Engine, Layout, Moments, Need, Norm, NormGrads};
use crate::neuron::Surrogate;

/// What a primitive is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// y = W x + b of one weight layer.
    Forward,
    /// Its weight and input gradients.
    Backward,
    /// Its AdamW steps.
    Update,
    /// Batch statistics.
    Moments,
    /// Norm → ReLU → neuron.
    Fire,
    /// Back through them.
    FireBackward,
    /// Pools and dropout, both ways.
    Pool,
    /// Looking for numbers that are not finite, and counting spikes.
    Checks,
    /// Input, votes and bias gradients.
    Ends,
}

/// Sums of one phase, or of one phase of one weight layer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Time {
    /// Seconds.
    pub seconds: f64,
    /// Nonzero inputs that a forward pass saw, over T and B.
    pub nonzero: u64,
}

/// Times by phase, and by weight layer (from 0, in network order) where there is one.
pub type Times = BTreeMap<(Phase, Option<usize>), Time>;

/// The engine with a clock. It tells layers by the order of calls: forward from the first, backward from the last.
pub struct Timed<'e, E> {
    inner: &'e E,
    times: Mutex<Times>,
    /// Weight layers walked forward and not yet back.
    layer: AtomicUsize,
    /// Whether the pass is on its way back.
    back: AtomicBool,
    /// Weights updated in this step.
    updated: AtomicUsize,
}

/// A parameter that remembers what it is.
pub struct Tagged<P> {
    inner: P,
    layout: Layout,
}

impl<'e, E: Engine> Timed<'e, E> {
    /// All clocks at zero.
    pub fn new(inner: &'e E) -> Self {
        Timed { inner, times: Mutex::default(), layer: AtomicUsize::new(0), back: AtomicBool::new(false), updated: AtomicUsize::new(0) }
    }

    /// Reads the clocks and sets them to zero.
    pub fn take(&self) -> Times {
        std::mem::take(&mut *self.times.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, phase: Phase, layer: Option<usize>, seconds: f64, nonzero: u64) {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let time = times.entry((phase, layer)).or_default();
        time.seconds += seconds;
        time.nonzero += nonzero;
    }

    fn time<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        self.time_layer(phase, None, work)
    }

    fn time_layer<T>(&self, phase: Phase, layer: Option<usize>, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let out = work();
        self.add(phase, layer, started.elapsed().as_secs_f64(), 0);
        out
    }
}

fn bare<'a, P>(norm: Option<&'a Norm<'a, Tagged<P>>>) -> Option<Norm<'a, P>> {
    norm.map(|n| Norm { gamma: &n.gamma.inner, beta: &n.beta.inner, moments: n.moments })
}

impl<E: Engine> Engine for Timed<'_, E> {
    type Acts = E::Acts;
    type Currents = E::Currents;
    type Grad = E::Grad;
    type Param = Tagged<E::Param>;

    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn trim(&self) {
        self.inner.trim();
    }
    fn param(&self, layout: Layout, host: &[f32]) -> Self::Param {
        Tagged { inner: self.inner.param(layout, host), layout }
    }
    fn host(&self, p: &Self::Param) -> Vec<f32> {
        self.inner.host(&p.inner)
    }
    fn adamw(&self, p: &mut Self::Param, m: &mut Self::Param, v: &mut Self::Param, grad: &Self::Param, c: &AdamW) {
        let is_weight = !matches!(p.layout, Layout::PerChannel(_));
        let layer = is_weight.then(|| self.updated.fetch_add(1, Relaxed));
        self.time_layer(Phase::Update, layer, || self.inner.adamw(&mut p.inner, &mut m.inner, &mut v.inner, &grad.inner, c));
    }
    fn host_acts(&self, x: &E::Acts) -> Vec<f32> {
        self.inner.host_acts(x)
    }
    fn host_currents(&self, y: &E::Currents) -> Vec<f32> {
        self.inner.host_currents(y)
    }
    fn host_grad(&self, d: &E::Grad) -> Vec<f32> {
        self.inner.host_grad(d)
    }
    fn all_within(&self, p: &Self::Param, bound: f32) -> bool {
        self.time(Phase::Checks, || self.inner.all_within(&p.inner, bound))
    }

    fn input(&self, batch: &Batch) -> E::Acts {
        self.layer.store(0, Relaxed);
        self.back.store(false, Relaxed);
        self.updated.store(0, Relaxed);
        self.time(Phase::Ends, || self.inner.input(batch))
    }
    fn spike_count(&self, x: &E::Acts) -> u64 {
        self.time(Phase::Checks, || self.inner.spike_count(x))
    }

    fn max_pool(&self, x: &E::Acts, k: usize) -> E::Acts {
        self.time(Phase::Pool, || self.inner.max_pool(x, k))
    }
    fn max_pool_backward(&self, x: &E::Acts, k: usize, d: E::Grad) -> E::Grad {
        self.time(Phase::Pool, || self.inner.max_pool_backward(x, k, d))
    }
    fn avg_pool(&self, x: &E::Acts, k: usize) -> E::Acts {
        self.time(Phase::Pool, || self.inner.avg_pool(x, k))
    }
    fn avg_pool_backward(&self, x: &E::Acts, k: usize, d: E::Grad) -> E::Grad {
        self.time(Phase::Pool, || self.inner.avg_pool_backward(x, k, d))
    }
    fn dropout(&self, x: &E::Acts, mask: &DropMask) -> E::Acts {
        self.time(Phase::Pool, || self.inner.dropout(x, mask))
    }
    fn dropout_backward(&self, mask: &DropMask, d: E::Grad) -> E::Grad {
        self.time(Phase::Pool, || self.inner.dropout_backward(mask, d))
    }

    fn affine(&self, x: &E::Acts, weight: &Self::Param, bias: &Self::Param) -> E::Currents {
        // On the way back a layer's currents are computed once more, before its gradients.
        let back = self.back.load(Relaxed);
        let layer = Some(if back { self.layer.load(Relaxed) - 1 } else { self.layer.fetch_add(1, Relaxed) });
        self.add(Phase::Forward, layer, 0.0, if back { 0 } else { self.inner.spike_count(x) });
        self.time_layer(Phase::Forward, layer, || self.inner.affine(x, &weight.inner, &bias.inner))
    }
    fn affine_backward(&self, x: &E::Acts, weight: &Self::Param, e: E::Currents, need: Need) -> AffineGrads<Self> {
        let work = || self.inner.affine_backward(x, &weight.inner, e, need);
        let layer = self.layer.fetch_sub(1, Relaxed) - 1;
        let AffineGrads { weight: inner, input } = self.time_layer(Phase::Backward, Some(layer), work);
        AffineGrads { weight: Tagged { inner, layout: weight.layout }, input }
    }
    fn bias_gradient(&self, e: &E::Currents) -> Self::Param {
        Tagged { inner: self.time(Phase::Ends, || self.inner.bias_gradient(e)), layout: Layout::PerChannel(0) }
    }

    fn moments(&self, y: &E::Currents, merged: bool) -> Moments {
        self.time(Phase::Moments, || self.inner.moments(y, merged))
    }
    fn fire(&self, y: &E::Currents, norm: Option<&Norm<Self::Param>>, cell: &Cell) -> E::Acts {
        self.time(Phase::Fire, || self.inner.fire(y, bare(norm).as_ref(), cell))
    }
    fn fire_backward(
        &self,
        y: E::Currents,
        norm: Option<&Norm<Self::Param>>,
        cell: &Cell,
        surrogate: Surrogate,
        d: E::Grad,
    ) -> (E::Currents, Option<NormGrads<Self>>) {
        let (e, grads) = self.time(Phase::FireBackward, || self.inner.fire_backward(y, bare(norm).as_ref(), cell, surrogate, d));
        let tag = |inner| Tagged { inner, layout: Layout::PerChannel(0) };
        (e, grads.map(|g| NormGrads { gamma: tag(g.gamma), beta: tag(g.beta) }))
    }
    fn currents_finite(&self, y: &E::Currents) -> bool {
        self.time(Phase::Checks, || self.inner.currents_finite(y))
    }

    fn vote(&self, x: &E::Acts) -> Vec<f64> {
        self.time(Phase::Ends, || self.inner.vote(x))
    }
    fn vote_backward(&self, x: &E::Acts, d_rates: &[f64]) -> E::Grad {
        self.back.store(true, Relaxed);
        self.time(Phase::Ends, || self.inner.vote_backward(x, d_rates))
    }
}
