//! A training step waits for its device twice, an evaluation once; a device that fails says so at the next wait, and changes nothing.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use spiketrain::engine::memory::MemoryPlan;
use spiketrain::engine::reference::Reference;
use spiketrain::engine::{
    AdamW, AffineGradsOf, Batch, Cell, DropMask, Engine, Input, Layout, Moments, Need, NormGrads, NormOf, Pass, RecomputedOf, Running,
    cpu::Cpu,
};
use spiketrain::error::{Error, Result};
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network, Tensors};
use spiketrain::neuron::{Lif, Rule, Surrogate};
use spiketrain::plan::Plan;
use spiketrain::train::step::{Task, adamw, optimise};

/// An engine that counts how often the host waits for it, and fails at one of those times and ever after.
struct Watched<E> {
    inner: E,
    waits: AtomicUsize,
    fails_at: usize,
}

impl<E: Engine> Watched<E> {
    fn new(inner: E, fails_at: usize) -> Self {
        Watched { inner, waits: AtomicUsize::new(0), fails_at }
    }

    fn wait(&self) -> Result<&E> {
        if self.waits.fetch_add(1, Relaxed) >= self.fails_at {
            return Err(Error::memory("the device is lost"));
        }
        Ok(&self.inner)
    }
}

#[rustfmt::skip]
impl<E: Engine> Engine for Watched<E> {
    type Acts = E::Acts;
    type Currents = E::Currents;
    type Grad = E::Grad;
    type Param = E::Param;
    type Moments = E::Moments;
    type Note = E::Note;

    fn name(&self) -> &'static str { self.inner.name() }
    fn memory(&self) -> &'static dyn MemoryPlan { self.inner.memory() }
    fn param(&self, layout: Layout, host: &[f32]) -> E::Param { self.inner.param(layout, host) }
    fn constant(&self, layout: Layout, value: f32) -> E::Param { self.inner.constant(layout, value) }
    fn add(&self, into: &mut E::Param, other: &E::Param) { self.inner.add(into, other) }
    fn adamw(&self, p: &mut E::Param, m: &mut E::Param, v: &mut E::Param, g: &E::Param, c: &AdamW) { self.inner.adamw(p, m, v, g, c) }
    fn all_within(&self, p: &E::Param, bound: f32) -> E::Note { self.inner.all_within(p, bound) }
    fn input(&self, batch: &Batch, pass: Pass) -> E::Acts { self.inner.input(batch, pass) }
    fn spike_count(&self, x: &E::Acts) -> E::Note { self.inner.spike_count(x) }
    fn max_pool(&self, x: &E::Acts, k: usize) -> E::Acts { self.inner.max_pool(x, k) }
    fn max_pool_backward(&self, x: &E::Acts, k: usize, d: E::Grad) -> E::Grad { self.inner.max_pool_backward(x, k, d) }
    fn avg_pool(&self, x: &E::Acts, k: usize) -> E::Acts { self.inner.avg_pool(x, k) }
    fn avg_pool_backward(&self, x: &E::Acts, k: usize, d: E::Grad) -> E::Grad { self.inner.avg_pool_backward(x, k, d) }
    fn dropout(&self, x: &E::Acts, mask: &DropMask) -> E::Acts { self.inner.dropout(x, mask) }
    fn dropout_backward(&self, mask: &DropMask, d: E::Grad) -> E::Grad { self.inner.dropout_backward(mask, d) }
    fn affine(&self, x: &E::Acts, weight: &E::Param, bias: &E::Param) -> E::Currents { self.inner.affine(x, weight, bias) }
    fn affine_backward(&self, x: &E::Acts, weight: &E::Param, e: E::Currents, need: Need) -> AffineGradsOf<E> {
        self.inner.affine_backward(x, weight, e, need)
    }
    fn backward_recomputed(&self, x: &E::Acts, layer: &RecomputedOf<E>, d: E::Grad, need: Need) -> (AffineGradsOf<E>, NormGrads<E::Param>) {
        self.inner.backward_recomputed(x, layer, d, need)
    }
    fn bias_gradient(&self, e: &E::Currents) -> E::Param { self.inner.bias_gradient(e) }
    fn moments(&self, y: &E::Currents, merged: bool) -> E::Moments { self.inner.moments(y, merged) }
    fn moments_finite(&self, m: &E::Moments) -> E::Note { self.inner.moments_finite(m) }
    fn running_moments(&self, r: Running<&E::Param>) -> E::Moments { self.inner.running_moments(r) }
    fn update_running(&self, r: Running<&E::Param>, m: &E::Moments) -> Running<E::Param> { self.inner.update_running(r, m) }
    fn fire(&self, y: &E::Currents, norm: Option<&NormOf<E>>, cell: &Cell) -> E::Acts { self.inner.fire(y, norm, cell) }
    fn fire_backward(&self, y: E::Currents, norm: Option<&NormOf<E>>, cell: &Cell, surrogate: Surrogate, d: E::Grad)
        -> (E::Currents, Option<NormGrads<E::Param>>) {
        self.inner.fire_backward(y, norm, cell, surrogate, d)
    }
    fn currents_finite(&self, y: &E::Currents) -> E::Note { self.inner.currents_finite(y) }
    fn vote_backward(&self, x: &E::Acts, d_rates: &[f64]) -> E::Grad { self.inner.vote_backward(x, d_rates) }

    fn read(&self, notes: &[E::Note]) -> Result<Vec<u64>> { self.wait()?.read(notes) }
    fn host(&self, p: &E::Param) -> Result<Vec<f32>> { self.wait()?.host(p) }
    fn host_acts(&self, x: &E::Acts) -> Result<Vec<f32>> { self.wait()?.host_acts(x) }
    fn host_currents(&self, y: &E::Currents) -> Result<Vec<f32>> { self.wait()?.host_currents(y) }
    fn host_grad(&self, d: &E::Grad) -> Result<Vec<f32>> { self.wait()?.host_grad(d) }
    fn host_moments(&self, m: &E::Moments) -> Result<Moments> { self.wait()?.host_moments(m) }
    fn vote(&self, x: &E::Acts, notes: &[E::Note]) -> Result<(Vec<f64>, Vec<u64>)> { self.wait()?.vote(x, notes) }
}

/// A network of every kind of layer, its moments and a batch.
struct State<E: Engine> {
    engine: Watched<E>,
    net: Network<Watched<E>>,
    moments: [Vec<Tensors<E::Param>>; 2],
    batch: Batch,
}

impl<E: Engine> State<E> {
    fn new(inner: E, fails_at: usize, recompute: bool) -> Self {
        let engine = Watched::new(inner, fails_at);
        let plan = Plan::new("6C3-MP2-5C3-DP-AP2-7FC-DP-2Voting".parse().unwrap(), "2x9x8".parse().unwrap()).unwrap();
        let (samples, steps, shape) = (5, 4, plan.shape);
        let mut net = Network::init(&engine, plan, 3);
        net.recompute = net.plan.blocks.iter().map(|b| recompute && b.has_norm()).collect();
        let moments = [net.zeros(&engine), net.zeros(&engine)];
        let input = Input::Frames((0..steps * samples * shape.len()).map(|i| (i % 3 / 2) as f32).collect());
        State { engine, net, moments, batch: Batch::whole(shape, samples, steps, input) }
    }

    fn step(&mut self, method: &Method) -> Result<()> {
        let masks = self.net.masks(1, 1);
        let task = Task { batch: &self.batch, labels: &[0, 1, 0, 1, 1], masks: &masks, method, loss: Loss::Mse, class_weights: None };
        optimise(&self.engine, &mut self.net, &mut self.moments, &task, &adamw(1e-3, 1e-4, 1)).map(|_| ())
    }

    /// Everything that a step may change, as bits.
    fn bits(&self) -> Vec<u32> {
        let (m, v) = (&self.moments[0], &self.moments[1]);
        let tensors = [&self.net.params, m, v].into_iter().flatten().flat_map(Tensors::each);
        let all = tensors.chain(self.net.running.iter().flatten().flat_map(Running::each));
        all.flat_map(|p| self.engine.inner.host(p).unwrap()).map(f32::to_bits).collect()
    }
}

fn methods() -> Vec<Method> {
    let plain = |rule| Method { lif: Lif::default(), rule, alpha: 0.8, merged_norm: false, ann: false, tssl_rate: None };
    let mut all: Vec<Method> = Rule::ALL.into_iter().map(plain).collect();
    all.push(Method { merged_norm: true, ..all[0] });
    all.push(Method { ann: true, ..all[0] });
    all.push(Method { tssl_rate: Some(0.1), ..all[0] });
    all
}

fn waits<E: Engine>(inner: impl Fn() -> E) -> usize {
    let mut cases = 0;
    for (method, recompute) in methods().into_iter().flat_map(|m| [false, true].map(|recompute| (m, recompute))) {
        let mut s = State::new(inner(), usize::MAX, recompute);
        s.step(&method).unwrap();
        assert_eq!(s.engine.waits.swap(0, Relaxed), 2, "a training step of {method:?}");
        s.net.infer(&s.engine, &s.batch, &method).unwrap();
        assert_eq!(s.engine.waits.load(Relaxed), 1, "an evaluation of {method:?}");
        cases += 2;
    }
    cases
}

fn failures<E: Engine>(inner: impl Fn() -> E) -> usize {
    let mut cases = 0;
    for (method, fails_at) in methods().into_iter().flat_map(|m| [0, 1].map(|k| (m, k))) {
        let mut s = State::new(inner(), fails_at, false);
        let before = s.bits();
        let e = s.step(&method).unwrap_err();
        assert!(e.to_string().contains("the device is lost") && e.exit_code() == 5, "{e}");
        assert!(s.bits() == before, "a failed device changed something");
        assert!(s.net.infer(&s.engine, &s.batch, &method).is_err(), "a failed device stays so");
        cases += 1;
    }
    cases
}

/// The best card, or what stands for it.
#[cfg(feature = "gpu")]
fn card() -> Option<spiketrain::engine::gpu::Gpu> {
    let card = spiketrain::engine::gpu::opened(None).ok();
    if card.is_none() {
        println!("SKIPPED: this machine has no graphics card, and no software in place of one");
    }
    card
}

#[cfg(feature = "gpu")]
#[test]
fn a_training_step_on_a_card_waits_twice_and_its_failure_changes_nothing() {
    let Some(card) = card() else { return };
    println!("{} cases", waits(|| card.clone()) + failures(|| card.clone()));
}

#[test]
fn a_training_step_waits_twice_and_an_evaluation_once() {
    println!("{} cases", waits(Cpu::new) + waits(|| Reference));
}

#[test]
fn a_device_that_fails_says_so_before_anything_is_changed() {
    println!("{} cases", failures(Cpu::new) + failures(|| Reference));
}
