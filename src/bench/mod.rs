//! What a training step costs on this machine, and where the time goes: `spiketrain bench`.
//!
//! Real steps (forward, backward, AdamW), by default on inputs of uniform noise, as the usual benchmark scripts have them. Noise is the
//! harder input for an event-driven engine: neighbours fire independently, so pooling raises the share of spikes most.

pub mod timed;

use std::time::Instant;

use crate::engine::{Batch, Engine, Input, Layout};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::named::named;
use crate::network::{Method, Network, Tensors};
use crate::neuron::{Lif, Rule};
use crate::plan::Plan;
use crate::rng::{Purpose, Rng};
use crate::train::record::peak_rss_mb;
use crate::train::step::{Task, adamw, optimise};
use timed::{Timed, Times};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The network on its input.
    pub plan: Plan,
    /// T.
    pub time_steps: usize,
    /// B.
    pub batch: usize,
    /// Learning rule.
    pub rule: Rule,
    /// Firing rate that every convolution is brought to; `None`: as initialised.
    pub rate: Option<f64>,
    /// What the inputs look like; frames of events are always noise.
    pub inputs: Inputs,
    /// Timed steps.
    pub steps: usize,
    /// Blocks that compute their currents twice, see [`crate::memory`].
    pub recompute: Vec<bool>,
}

/// What was measured.
pub struct Measured {
    /// Seconds of each timed step, in order.
    pub seconds: Vec<f64>,
    /// Largest resident memory up to then, in MB, where the system tells.
    pub peak_rss_mb: Option<u64>,
    /// Firing rate of each block in the first timed step.
    pub rates: Vec<f64>,
    /// Share of nonzero inputs of each block's weight layer.
    pub densities: Vec<f64>,
    /// One further step with a clock around every primitive.
    pub times: Times,
    /// Seconds of that step.
    pub timed_step: f64,
    /// How often the host waited for the device in it.
    pub waits: usize,
}

impl Measured {
    /// Median seconds of a step.
    pub fn median(&self) -> f64 {
        median(&self.seconds)
    }
}

/// The middle value, or the mean of the two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

/// What the inputs look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// Every pixel drawn by itself: the hardest for an event-driven engine.
    Noise,
    /// Random values four pixels apart and straight lines between them: neighbours are alike, as in pictures.
    Smooth,
}

named!(Inputs, "input": Noise = "noise", Smooth = "smooth");

/// Frames of events for two input channels (Poisson counts of mean 0.1), pictures in \[0, 1) for others.
fn inputs(spec: &Spec) -> Batch {
    let (shape, rng) = (spec.plan.shape, &mut Rng::at(0, Purpose::Test, 2, 0));
    let input = if shape.c == 2 {
        let count = |r: f32| [0.904_837, 0.995_321, 0.999_845].iter().filter(|&&p| r >= p).count() as f32;
        Input::Frames((0..spec.time_steps * spec.batch * shape.len()).map(|_| count(rng.unit())).collect())
    } else if spec.inputs == Inputs::Noise {
        Input::Direct((0..spec.batch * shape.len()).map(|_| rng.unit()).collect())
    } else {
        Input::Direct((0..spec.batch * shape.c).flat_map(|_| smooth(shape.h, shape.w, rng)).collect())
    };
    Batch::whole(shape, spec.batch, spec.time_steps, input)
}

/// One channel of [`Inputs::Smooth`].
fn smooth(h: usize, w: usize, rng: &mut Rng) -> Vec<f32> {
    const APART: usize = 4;
    let across = w / APART + 2;
    let drawn: Vec<f32> = (0..(h / APART + 2) * across).map(|_| rng.unit()).collect();
    let between = |a: f32, b: f32, at: usize| a + (b - a) * (at % APART) as f32 / APART as f32;
    let row = |y: usize, x: usize| between(drawn[y * across + x / APART], drawn[y * across + x / APART + 1], x);
    (0..h * w).map(|i| (i / w, i % w)).map(|(y, x)| between(row(y / APART, x), row(y / APART + 1, x), y)).collect()
}

/// A network, its optimiser and one batch.
struct Bench<E: Engine> {
    net: Network<E>,
    moments: [Vec<Tensors<E::Param>>; 2],
    batch: Batch,
    labels: Vec<u16>,
    method: Method,
    step: u64,
}

impl<E: Engine> Bench<E> {
    fn new(engine: &E, spec: &Spec) -> Self {
        let mut net = Network::init(engine, spec.plan.clone(), 1);
        net.recompute.clone_from(&spec.recompute);
        let moments = [net.zeros(engine), net.zeros(engine)];
        let labels = (0..spec.batch).map(|b| (b % spec.plan.classes()) as u16).collect();
        let method = Method { lif: Lif::default(), rule: spec.rule, alpha: 0.8, merged_norm: false, ann: false, tssl_rate: None };
        Bench { net, moments, batch: inputs(spec), labels, method, step: 0 }
    }

    /// One training step with a learning rate of 0: the work of a real one, and the rates stay where they were set.
    fn step(&mut self, engine: &E) -> Result<Vec<f64>> {
        self.step += 1;
        let masks = self.net.masks(1, self.step);
        let task =
            Task { batch: &self.batch, labels: &self.labels, masks: &masks, method: &self.method, loss: Loss::Mse, class_weights: None };
        let (_, out) = optimise(engine, &mut self.net, &mut self.moments, &task, &adamw(0.0, 0.0, self.step))?;
        Ok(self.rates(&out.spikes))
    }

    fn rates(&self, spikes: &[u64]) -> Vec<f64> {
        let seen = (self.batch.samples * self.batch.steps) as f64;
        spikes.iter().zip(&self.net.plan.blocks).map(|(&s, b)| s as f64 / seen / b.output.len() as f64).collect()
    }

    /// Finds, layer by layer, the BatchNorm bias at which a convolution fires at `rate`; gives the biases.
    fn bring_to(&mut self, engine: &E, rate: f64, biases: &[f64]) -> Result<Vec<f64>> {
        let normed: Vec<usize> = (0..self.net.plan.blocks.len()).filter(|&i| self.net.plan.blocks[i].has_norm()).collect();
        let mut found = Vec::new();
        for (nth, &i) in normed.iter().enumerate() {
            let (mut low, mut high) = (-4.0, 4.0);
            let mut bias = biases.get(nth).copied().unwrap_or(0.0);
            for _ in 0..16 {
                self.set_bias(engine, i, bias);
                if !biases.is_empty() {
                    break;
                }
                let (out, _) = self.net.forward(engine, &self.batch, &self.net.masks(1, 0), &self.method)?;
                let fires_at = self.rates(&out.spikes)[i];
                if (fires_at - rate).abs() < 0.002 {
                    break;
                }
                if fires_at > rate {
                    high = bias
                } else {
                    low = bias
                }
                bias = (low + high) / 2.0;
            }
            found.push(bias);
        }
        Ok(found)
    }

    fn set_bias(&mut self, engine: &E, block: usize, bias: f64) {
        let channels = self.net.plan.blocks[block].output.c;
        if let Some((_, beta)) = &mut self.net.params[block].norm {
            *beta = engine.constant(Layout::PerChannel(channels), bias as f32);
        }
    }
}

/// Measures training steps.
///
/// # Errors
/// Diverged: never on noise. Usage: the rate cannot be reached.
pub fn training<E: Engine>(engine: &E, spec: &Spec) -> Result<Measured> {
    let mut bench = Bench::new(engine, spec);
    let biases = match spec.rate {
        Some(rate) => bench.bring_to(engine, rate, &[])?,
        None => Vec::new(),
    };
    // Two steps touch all memory and wake the threads.
    bench.step(engine)?;
    let mut rates = bench.step(engine)?;
    let mut seconds = Vec::new();
    for _ in 0..spec.steps {
        let started = Instant::now();
        rates = bench.step(engine)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    let off = |(r, b): (&f64, &crate::plan::Block)| b.has_norm() && spec.rate.is_some_and(|rate| (r - rate).abs() > 0.01);
    if let Some((r, b)) = rates.iter().zip(&spec.plan.blocks).find(|&(r, b)| off((r, b))) {
        return Err(Error::usage(format!("{} fires at {r:.3} at best", b.name())).option("rate").remedy("choose a rate from 0.02 to 0.4"));
    }
    let peak_rss_mb = peak_rss_mb();
    drop(bench);
    let timed = Timed::new(engine);
    let mut bench = Bench::new(&timed, spec);
    if spec.rate.is_some() {
        bench.bring_to(&timed, 0.0, &biases)?;
    }
    bench.step(&timed)?;
    timed.take()?;
    let started = Instant::now();
    bench.step(&timed)?;
    let timed_step = started.elapsed().as_secs_f64();
    let (times, waits) = timed.take()?;
    let density = |(i, b): (usize, &crate::plan::Block)| {
        let nonzero = times.get(&(timed::Phase::Forward, Some(i))).map_or(0, |t| t.nonzero);
        nonzero as f64 / (b.input.len() * spec.batch * spec.time_steps) as f64
    };
    let densities = spec.plan.blocks.iter().enumerate().map(density).collect();
    Ok(Measured { seconds, peak_rss_mb, rates, densities, times, timed_step, waits })
}

/// Latencies of classifying one sample, in seconds, in order; `spec.batch` is not looked at.
///
/// # Errors
/// Diverged: never on noise.
pub fn inference<E: Engine>(engine: &E, spec: &Spec) -> Result<Vec<f64>> {
    let one = Spec { batch: 1, ..spec.clone() };
    let mut bench = Bench::new(engine, &one);
    if let Some(rate) = spec.rate {
        bench.bring_to(engine, rate, &[])?;
    }
    // Evaluation reads the running statistics: make them those of the batch.
    let (_, tape) = bench.net.forward(engine, &bench.batch, &bench.net.masks(1, 0), &bench.method)?;
    for _ in 0..100 {
        bench.net.running = bench.net.updated_running(engine, &tape);
    }
    drop(tape);
    let mut seconds = Vec::new();
    for i in 0..spec.steps + 3 {
        let started = Instant::now();
        bench.net.infer(engine, &bench.batch, &bench.method)?;
        if i >= 3 {
            seconds.push(started.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}
