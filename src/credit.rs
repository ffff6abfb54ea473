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
    let per_step = u.len() / steps;
    let mut parts = vec![Parts::default(); steps];
    let (mut spikes, mut margin, mut growth) = (0u64, [0u64; MARGIN_BINS], Growth::default());
    // How often each neuron fired, over samples and steps.
    let mut fired_at = vec![0u32; neurons];
    let (mut e, mut fired_next) = (vec![0.0f64; per_step], vec![false; per_step]);
    for t in (0..steps).rev() {
        let at = t * per_step..(t + 1) * per_step;
        for (i, (&u, &s)) in u[at.clone()].iter().zip(&s[at]).enumerate() {
            // As the potentials were computed.
            let fired = neuron::fires(lif.threshold as f32, u);
            let u = f64::from(u);
            let error = |s: f64, e_next: f64| neuron::error(surrogate, lif.decay, lif.threshold, u, fired, s, e_next);
            parts[t].add(fired, error(f64::from(s), 0.0), error(0.0, e[i]), &mut e[i]);
            if fired {
                spikes += 1;
                fired_at[i % neurons] += 1;
                margin[(((u - lif.threshold) / MARGIN_BIN) as usize).min(MARGIN_BINS - 1)] += 1;
                if fired_next[i] {
                    growth.add(error(0.0, 1.0).abs());
                }
            }
            fired_next[i] = fired;
        }
    }
    let always = u.len() / neurons;
    let share = |count: usize| fired_at.iter().filter(|&&n| n as usize == count).count() as f64 / neurons as f64;
    LayerCredit {
        name,
        mass: parts.iter().map(|p| p.mass).collect(),
        space: parts.iter().map(|p| p.space).collect(),
        time: parts.iter().map(|p| p.time).collect(),
        across: parts.iter().map(|p| p.across).collect(),
        silent: share(0),
        saturated: share(always),
        rate: spikes as f64 / u.len() as f64,
        margin,
        growth: growth.closed(),
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
    fn add(&mut self, fired: bool, space: f64, carried: f64, e: &mut f64) {
        *e = space + carried;
        self.mass += e.abs();
        self.space += space.abs();
        *if fired { &mut self.across } else { &mut self.time } += carried.abs();
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
