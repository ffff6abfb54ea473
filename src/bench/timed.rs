//! An engine that keeps time: every primitive of another engine, with a clock around it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::engine::memory::MemoryPlan;
use crate::engine::{
    AdamW, AffineGrads, AffineGradsOf, Batch, Cell, DropMask, Engine, Layout, Moments, Need, Norm, NormGrads, NormOf, Pass, Recomputed,
    RecomputedOf, Running,
};
use crate::error::Result;
use crate::neuron::Surrogate;

/// What a primitive is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// y = W x + b of one weight layer.
    Forward,
    /// Its weight and input gradients; of a layer that is recomputed, its currents and the way back through its neurons too.
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
pub struct Timed<'e, E: Engine> {
    inner: &'e E,
    times: Mutex<Times>,
    /// Nonzero inputs of layers, to be read with the clocks.
    nonzero: Mutex<Vec<(usize, E::Note)>>,
    /// How often the host has waited for the device.
    waits: AtomicUsize,
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
        Timed {
            inner,
            times: Mutex::default(),
            nonzero: Mutex::default(),
            waits: AtomicUsize::new(0),
            layer: AtomicUsize::new(0),
            back: AtomicBool::new(false),
            updated: AtomicUsize::new(0),
        }
    }

    /// Reads the clocks, and how often the host has waited for the device, and sets all to zero.
    ///
    /// # Errors
    /// Memory: the device has failed.
    pub fn take(&self) -> Result<(Times, usize)> {
        let mut times = std::mem::take(&mut *lock(&self.times));
        let (layers, notes): (Vec<usize>, Vec<E::Note>) = lock(&self.nonzero).drain(..).unzip();
        for (layer, nonzero) in layers.into_iter().zip(self.inner.read(&notes)?) {
            times.entry((Phase::Forward, Some(layer))).or_default().nonzero += nonzero;
        }
        Ok((times, self.waits.swap(0, Relaxed)))
    }

    /// The inner engine, where a call waits for the device.
    fn waiting(&self) -> &E {
        self.waits.fetch_add(1, Relaxed);
        self.inner
    }

    fn time<T>(&self, phase: Phase, work: impl FnOnce() -> T) -> T {
        self.time_layer(phase, None, work)
    }

    fn time_layer<T>(&self, phase: Phase, layer: Option<usize>, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let out = work();
        // A device that works while the host goes on is waited for; a failure is told by the next call that can fail.
        let _ = self.inner.read(&[]);
        lock(&self.times).entry((phase, layer)).or_default().seconds += started.elapsed().as_secs_f64();
        out
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bare<'a, P, M>(norm: Option<&'a Norm<'a, Tagged<P>, M>>) -> Option<Norm<'a, P, M>> {
    norm.map(|n| Norm { gamma: &n.gamma.inner, beta: &n.beta.inner, moments: n.moments })
}

impl<E: Engine> Engine for Timed<'_, E> {
    type Acts = E::Acts;
    type Currents = E::Currents;
    type Grad = E::Grad;
    type Param = Tagged<E::Param>;
    type Moments = E::Moments;
    type Note = E::Note;

    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn memory(&self) -> &'static dyn MemoryPlan {
        self.inner.memory()
    }
    fn param(&self, layout: Layout, host: &[f32]) -> Self::Param {
        Tagged { inner: self.inner.param(layout, host), layout }
    }
    fn constant(&self, layout: Layout, value: f32) -> Self::Param {
        Tagged { inner: self.inner.constant(layout, value), layout }
    }
    fn read(&self, notes: &[E::Note]) -> Result<Vec<u64>> {
        self.time(Phase::Checks, || self.waiting().read(notes))
    }
    fn host(&self, p: &Self::Param) -> Result<Vec<f32>> {
        self.waiting().host(&p.inner)
    }
    fn add(&self, into: &mut Self::Param, other: &Self::Param) {
        self.time(Phase::Update, || self.inner.add(&mut into.inner, &other.inner));
    }
    fn adamw(&self, p: &mut Self::Param, m: &mut Self::Param, v: &mut Self::Param, grad: &Self::Param, c: &AdamW) {
        let is_weight = !matches!(p.layout, Layout::PerChannel(_));
        let layer = is_weight.then(|| self.updated.fetch_add(1, Relaxed));
        self.time_layer(Phase::Update, layer, || self.inner.adamw(&mut p.inner, &mut m.inner, &mut v.inner, &grad.inner, c));
    }
    fn host_acts(&self, x: &E::Acts) -> Result<Vec<f32>> {
        self.waiting().host_acts(x)
    }
    fn host_currents(&self, y: &E::Currents) -> Result<Vec<f32>> {
        self.waiting().host_currents(y)
    }
    fn host_grad(&self, d: &E::Grad) -> Result<Vec<f32>> {
        self.waiting().host_grad(d)
    }
    fn host_moments(&self, m: &E::Moments) -> Result<Moments> {
        self.waiting().host_moments(m)
    }
    fn all_within(&self, p: &Self::Param, bound: f32) -> E::Note {
        self.time(Phase::Checks, || self.inner.all_within(&p.inner, bound))
    }

    fn input(&self, batch: &Batch, pass: Pass) -> E::Acts {
        self.layer.store(0, Relaxed);
        self.back.store(false, Relaxed);
        self.updated.store(0, Relaxed);
        self.time(Phase::Ends, || self.inner.input(batch, pass))
    }
    fn spike_count(&self, x: &E::Acts) -> E::Note {
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
        let layer = if back { self.layer.load(Relaxed) - 1 } else { self.layer.fetch_add(1, Relaxed) };
        if !back {
            let nonzero = self.inner.spike_count(x);
            lock(&self.nonzero).push((layer, nonzero));
        }
        self.time_layer(Phase::Forward, Some(layer), || self.inner.affine(x, &weight.inner, &bias.inner))
    }
    fn affine_backward(&self, x: &E::Acts, weight: &Self::Param, e: E::Currents, need: Need) -> AffineGradsOf<Self> {
        let work = || self.inner.affine_backward(x, &weight.inner, e, need);
        let layer = self.layer.fetch_sub(1, Relaxed) - 1;
        let AffineGrads { weight: inner, input } = self.time_layer(Phase::Backward, Some(layer), work);
        AffineGrads { weight: Tagged { inner, layout: weight.layout }, input }
    }
    fn backward_recomputed(
        &self,
        x: &E::Acts,
        layer: &RecomputedOf<Self>,
        d: E::Grad,
        need: Need,
    ) -> (AffineGradsOf<Self>, NormGrads<Self::Param>) {
        let Some(norm) = bare(Some(&layer.norm)) else { unreachable!("a layer that is recomputed has a norm") };
        let (weight, bias) = (&layer.weight.inner, &layer.bias.inner);
        let inner = Recomputed { weight, bias, norm, cell: layer.cell, surrogate: layer.surrogate };
        let at = self.layer.fetch_sub(1, Relaxed) - 1;
        let work = || self.inner.backward_recomputed(x, &inner, d, need);
        let (AffineGrads { weight, input }, norm) = self.time_layer(Phase::Backward, Some(at), work);
        let tag = |inner, layout| Tagged { inner, layout };
        let per_channel = layer.bias.layout;
        let affine = AffineGrads { weight: tag(weight, layer.weight.layout), input };
        (affine, NormGrads { gamma: tag(norm.gamma, per_channel), beta: tag(norm.beta, per_channel) })
    }
    fn bias_gradient(&self, e: &E::Currents) -> Self::Param {
        Tagged { inner: self.time(Phase::Ends, || self.inner.bias_gradient(e)), layout: Layout::PerChannel(0) }
    }

    fn moments(&self, y: &E::Currents, merged: bool) -> E::Moments {
        self.time(Phase::Moments, || self.inner.moments(y, merged))
    }
    fn moments_finite(&self, m: &E::Moments) -> E::Note {
        self.time(Phase::Checks, || self.inner.moments_finite(m))
    }
    fn running_moments(&self, r: Running<&Self::Param>) -> E::Moments {
        self.inner.running_moments(Running { mean: &r.mean.inner, var: &r.var.inner })
    }
    fn update_running(&self, r: Running<&Self::Param>, m: &E::Moments) -> Running<Self::Param> {
        let layout = r.mean.layout;
        let bare = Running { mean: &r.mean.inner, var: &r.var.inner };
        let Running { mean, var } = self.time(Phase::Moments, || self.inner.update_running(bare, m));
        Running { mean: Tagged { inner: mean, layout }, var: Tagged { inner: var, layout } }
    }
    fn fire(&self, y: &E::Currents, norm: Option<&NormOf<Self>>, cell: &Cell) -> E::Acts {
        self.time(Phase::Fire, || self.inner.fire(y, bare(norm).as_ref(), cell))
    }
    fn fire_backward(
        &self,
        y: E::Currents,
        norm: Option<&NormOf<Self>>,
        cell: &Cell,
        surrogate: Surrogate,
        d: E::Grad,
    ) -> (E::Currents, Option<NormGrads<Self::Param>>) {
        let (e, grads) = self.time(Phase::FireBackward, || self.inner.fire_backward(y, bare(norm).as_ref(), cell, surrogate, d));
        let tag = |inner| Tagged { inner, layout: Layout::PerChannel(0) };
        (e, grads.map(|g| NormGrads { gamma: tag(g.gamma), beta: tag(g.beta) }))
    }
    fn currents_finite(&self, y: &E::Currents) -> E::Note {
        self.time(Phase::Checks, || self.inner.currents_finite(y))
    }

    fn vote(&self, x: &E::Acts, notes: &[E::Note]) -> Result<(Vec<f64>, Vec<u64>)> {
        self.time(Phase::Ends, || self.waiting().vote(x, notes))
    }
    fn vote_backward(&self, x: &E::Acts, d_rates: &[f64]) -> E::Grad {
        self.back.store(true, Relaxed);
        self.time(Phase::Ends, || self.inner.vote_backward(x, d_rates))
    }
}
