//! Credit assignment: how much gradient a layer's neurons get, and on which way it came.
//!
//! The equation (*) of [`crate::neuron::error`] is linear in what arrives: e\[t\] = g·S + (what came from t+1). Each part is asked for
//! by itself, with the other set to 0, so that the equations stay written once, and is counted by its size:
//!
//! - *space*: |g·S|, from the layer above at the same step;
//! - *across*: what came from t+1 at a step with a spike, through the reset. Under bpsa+bpta and in the `tssl` warm-up that is
//!   λ·α·g·|e\[t+1\]|, the temporal adjustment (BPTA); under stbp it is |-u·g|·λ·|e\[t+1\]|, the derivative of the reset, whose sign is
//!   the opposite of e\[t+1\]; under bpsa and stbp-detached it is 0;
//! - *time*: what came from t+1 at a silent step. λ·|e\[t+1\]| under bpsa and bpsa+bpta; a surrogate that is not 0 at silent steps
//!   changes the factor (by -u·g under stbp, α·g in the `tssl` warm-up).
//!
//! Parts of opposite sign cancel: mass ≤ space + across + time. The error e is dL/du, before the ReLU: where a current is below 0,
//! the ReLU cuts its error off from the weights, but it is counted here.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::neuron::{self, Lif, Surrogate};

/// Width of a bin of [`LayerCredit::margin`].
pub const MARGIN_BIN: f64 = 0.125;
/// Bins of [`LayerCredit::margin`].
pub const MARGIN_BINS: usize = 16;
/// What [`CreditLine::kind`] says.
pub const CREDIT: &str = "credit";

/// One line of metrics.jsonl: what a look at a few samples before an optimiser step showed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CreditLine {
    /// [`CREDIT`]; an epoch's line has none.
    pub kind: String,
    /// Of the step, from 1.
    pub epoch: u64,
    /// The optimiser step that comes next, from 1: the weights are those before it.
    pub step: u64,
    /// Samples looked at: the first of the step's batch.
    pub samples: usize,
    /// In network order.
    pub layers: Vec<LayerCredit>,
}

/// Sums over samples and neurons of one layer. The loss is the mean over the samples looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerCredit {
    /// As in the notation.
    pub name: String,
    /// Σ |e\[t\]|, `[T]`.
    pub mass: Vec<f64>,
    /// Σ of the part from the layer above, `[T]`.
    pub space: Vec<f64>,
    /// Σ of the part from t+1 at silent steps, `[T]`.
    pub time: Vec<f64>,
    /// Σ of the part from t+1 at spikes, `[T]`.
    pub across: Vec<f64>,
    /// Share of neurons that fired at no step of any sample.
    pub silent: f64,
    /// Share of neurons that fired at every step of every sample.
    pub saturated: f64,
    /// Spikes / (samples · neurons · T).
    pub rate: f64,
    /// How many spikes had u - u_th in each bin of width [`MARGIN_BIN`] from 0; the last bin is open.
    pub margin: [u64; MARGIN_BINS],
    /// Growth of errors across spikes.
    pub growth: Growth,
}

/// The factor between |e\[t+1\]| and what arrives of it at t, over pairs of spikes of a neuron at t and t+1: λ·α/u\[t\] under bpsa+bpta.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// How many.
    pub pairs: u64,
    /// 0 without pairs.
    pub mean: f64,
    /// 0 without pairs.
    pub largest: f64,
    /// Share of pairs whose factor is above 1: there the error grows on its way back.
    pub above_one: f64,
}

impl LayerCredit {
    /// Share of the parts, over all steps, that came from t+1 across a spike; 0 where there is no gradient at all.
    pub fn across_share(&self) -> f64 {
        let sum = |part: &[f64]| part.iter().sum::<f64>();
        let all = sum(&self.space) + sum(&self.time) + sum(&self.across);
        if all > 0.0 { sum(&self.across) / all } else { 0.0 }
    }

    /// Whether all numbers are finite, as JSON wants them.
    pub fn is_finite(&self) -> bool {
        let sums = [&self.mass, &self.space, &self.time, &self.across].into_iter().flatten();
        sums.chain([&self.growth.mean, &self.growth.largest]).all(|v| v.is_finite())
    }
}

/// Walks back through a layer of `neurons` neurons: potentials u and gradients S from above, `[T,B,neurons]` each. What the surrogate
/// does not read of S may hold anything finite.
pub fn of_layer(name: String, surrogate: Surrogate, lif: Lif, neurons: usize, steps: usize, u: &[f32], s: &[f32]) -> LayerCredit {
    let samples = u.len() / (steps * neurons);
    let of_sample = |b: usize| {
        let mut sums = Sums::new(neurons, steps);
        let (mut e, mut fired_next) = (vec![0.0f64; neurons], vec![false; neurons]);
        for t in (0..steps).rev() {
            let at = (t * samples + b) * neurons..(t * samples + b + 1) * neurons;
            for (i, (&u, &s)) in u[at.clone()].iter().zip(&s[at]).enumerate() {
                // As the potentials were computed.
                let fired = neuron::fires(lif.threshold as f32, u);
                let u = f64::from(u);
                let error = |s: f64, e_next: f64| neuron::error(surrogate, lif.decay, lif.threshold, u, fired, s, e_next);
                e[i] = sums.parts[t].add(fired, error(f64::from(s), 0.0), error(0.0, e[i]));
                if fired {
                    sums.fired[i] += 1;
                    sums.margin[(((u - lif.threshold) / MARGIN_BIN) as usize).min(MARGIN_BINS - 1)] += 1;
                    if fired_next[i] {
                        sums.growth.add(error(0.0, 1.0).abs());
                    }
                }
                fired_next[i] = fired;
            }
        }
        sums
    };
    // Added up in the order of the samples: the same bits on any number of threads.
    let all: Vec<Sums> = (0..samples).into_par_iter().map(of_sample).collect();
    all.into_iter().fold(Sums::new(neurons, steps), Sums::plus).closed(name, samples)
}

/// Sums over neurons, and over samples.
struct Sums {
    /// `[T]`
    parts: Vec<Parts>,
    /// How often each neuron fired.
    fired: Vec<u32>,
    margin: [u64; MARGIN_BINS],
    /// `mean` and `above_one` are sums.
    growth: Growth,
}

impl Sums {
    fn new(neurons: usize, steps: usize) -> Self {
        Sums { parts: vec![Parts::default(); steps], fired: vec![0; neurons], margin: [0; MARGIN_BINS], growth: Growth::default() }
    }

    fn plus(mut self, other: Sums) -> Sums {
        for (p, o) in self.parts.iter_mut().zip(&other.parts) {
            p.mass += o.mass;
            p.space += o.space;
            p.time += o.time;
            p.across += o.across;
        }
        self.fired.iter_mut().zip(&other.fired).for_each(|(n, o)| *n += o);
        self.margin.iter_mut().zip(&other.margin).for_each(|(n, o)| *n += o);
        self.growth.pairs += other.growth.pairs;
        self.growth.mean += other.growth.mean;
        self.growth.largest = self.growth.largest.max(other.growth.largest);
        self.growth.above_one += other.growth.above_one;
        self
    }

    fn closed(self, name: String, samples: usize) -> LayerCredit {
        let (steps, neurons) = (self.parts.len(), self.fired.len());
        let sums = |of: fn(&Parts) -> f64| self.parts.iter().map(of).collect();
        let share = |count: usize| self.fired.iter().filter(|&&n| n as usize == count).count() as f64 / neurons as f64;
        let spikes: u64 = self.fired.iter().map(|&n| u64::from(n)).sum();
        LayerCredit {
            name,
            mass: sums(|p| p.mass),
            space: sums(|p| p.space),
            time: sums(|p| p.time),
            across: sums(|p| p.across),
            silent: share(0),
            saturated: share(steps * samples),
            rate: spikes as f64 / (steps * samples * neurons) as f64,
            margin: self.margin,
            growth: self.growth.closed(),
        }
    }
}

/// Sums of one step.
#[derive(Clone, Copy, Default)]
struct Parts {
    mass: f64,
    space: f64,
    time: f64,
    across: f64,
}

impl Parts {
    /// Counts a neuron's parts; gives their sum e.
    fn add(&mut self, fired: bool, space: f64, carried: f64) -> f64 {
        let e = space + carried;
        self.mass += e.abs();
        self.space += space.abs();
        *if fired { &mut self.across } else { &mut self.time } += carried.abs();
        e
    }
}

impl Growth {
    /// While pairs are added, `mean` and `above_one` hold sums.
    fn add(&mut self, factor: f64) {
        self.pairs += 1;
        self.mean += factor;
        self.largest = self.largest.max(factor);
        self.above_one += f64::from(u8::from(factor > 1.0));
    }

    fn closed(mut self) -> Growth {
        let pairs = self.pairs.max(1) as f64;
        self.mean /= pairs;
        self.above_one /= pairs;
        self
    }
}

#[cfg(test)]
mod tests;
