//! What a trained network costs and how soon it knows: one pass over the test set.

use std::thread;

use serde::{Deserialize, Serialize};

use super::energy::{self, Energy};
use crate::data::Split;
use crate::engine::{Input, VOTERS};
use crate::error::Result;
use crate::loss::predict;
use crate::network::Method;
use crate::plan::{Block, Front, Plan};
use crate::train::Stop;
use crate::train::feed::{Feed, Labelled, ahead};
use crate::train::record::mean_rates;
use crate::trained::Trained;

/// Confidences at which a network may stop looking. The confidence is the winner's share of all votes so far.
pub const CONFIDENCES: [f64; 8] = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// Of one network on one test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Samples looked at.
    pub samples: usize,
    /// T; 1 for a network without spikes.
    pub steps: usize,
    /// After all steps, 0 to 1.
    pub accuracy: f64,
    /// Accuracy when read out after step 1, 2, … T. The network is causal, so one pass tells all.
    pub anytime: Vec<f64>,
    /// What stopping early costs and saves; empty without spikes.
    pub exits: Vec<Exit>,
    /// In network order.
    pub layers: Vec<Layer>,
    /// `None` for a network without spikes.
    pub energy: Option<Energy>,
}

/// Looking no further once the confidence is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// The winner's share of the votes, 0 to 1.
    pub confidence: f64,
    /// Share of samples classified rightly.
    pub accuracy: f64,
    /// Mean number of steps until then.
    pub mean_steps: f64,
}

/// One weight layer and its neurons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// As in the notation.
    pub name: String,
    /// Of one sample.
    pub neurons: usize,
    /// Multiply-adds of one sample in one step, if it were dense (borders counted as if padded with zeros).
    pub macs: usize,
    /// Spikes / (samples · neurons · T).
    pub firing_rate: f64,
    /// Operations of one sample over all steps: nonzero inputs times the weights each one reaches. A picture's currents count once.
    pub operations: f64,
    /// Whether they multiply: inputs are pixels, counts of events, or averages of spikes.
    pub multiplies: bool,
}

/// Sums over samples.
struct Sums {
    nonzero: Vec<u64>,
    spikes: Vec<u64>,
    right: Vec<u64>,
    exits: Vec<Exit>,
}

/// Looks at `net` on the samples `indices` of a split; `None` if it was asked to stop.
///
/// # Errors
/// Diverged: a layer's currents are not finite. Storage or Format: a sample cannot be read.
pub fn measure(net: &Trained, feed: &Feed, (split, indices): (Split, &[u32]), stop: &Stop) -> Result<Option<Cost>> {
    let (blocks, method) = (&net.plan().blocks, net.method());
    let exits = CONFIDENCES.map(|confidence| Exit { confidence, ..Exit::default() }).to_vec();
    let mut sums = Sums { nonzero: vec![0; blocks.len()], spikes: vec![0; blocks.len()], right: Vec::new(), exits };
    let (mut direct, mut steps) = (false, 1);
    let done = thread::scope(|scope| -> Result<bool> {
        let batches = ahead(scope, indices.chunks(net.config().batch), |chunk| feed.plain(split, chunk, method.ann))?;
        for labelled in batches {
            if stop.requested().is_some() {
                return Ok(false);
            }
            let Labelled { batch, labels } = labelled?;
            (direct, steps) = (matches!(batch.input, Input::Direct(_)), batch.steps);
            let mut votes = Vec::new();
            let (out, nonzero) = net.infer_counted(&batch, &mut |i, seen| {
                if i + 1 == blocks.len() {
                    votes = seen.spikes()?;
                }
                Ok(())
            })?;
            sums.nonzero.iter_mut().zip(nonzero).for_each(|(sum, n)| *sum += n);
            sums.spikes.iter_mut().zip(&out.spikes).for_each(|(sum, s)| *sum += s);
            sums.read_out(&votes, steps, &labels);
        }
        Ok(true)
    })?;
    Ok(done.then(|| sums.cost(net.plan(), &method, indices.len(), steps, direct)))
}

impl Sums {
    /// Adds one batch's votes, `[T,B,classes·10]`, read after every step.
    fn read_out(&mut self, votes: &[f32], steps: usize, labels: &[u16]) {
        self.right.resize(steps, 0);
        let per_step = votes.len() / steps;
        let units = per_step / labels.len();
        for (b, &label) in labels.iter().enumerate() {
            let mut counts = vec![0.0; units / VOTERS];
            let mut waiting = self.exits.len();
            for t in 0..steps {
                let now = &votes[t * per_step + b * units..][..units];
                counts.iter_mut().zip(now.chunks_exact(VOTERS)).for_each(|(sum, v)| *sum += v.iter().copied().map(f64::from).sum::<f64>());
                let class = predict(&counts);
                let right = u64::from(class == usize::from(label));
                self.right[t] += right;
                let all: f64 = counts.iter().map(|c| c.max(0.0)).sum();
                let confidence = if all > 0.0 { counts[class] / all } else { 0.0 };
                // Confidences ascend: the most demanding exits are the last to be taken.
                let taken = self.exits.len() - waiting;
                for exit in &mut self.exits[taken..] {
                    if confidence < exit.confidence && t + 1 < steps {
                        break;
                    }
                    exit.accuracy += right as f64;
                    exit.mean_steps += (t + 1) as f64;
                    waiting -= 1;
                }
            }
        }
    }

    fn cost(self, plan: &Plan, method: &Method, samples: usize, steps: usize, direct: bool) -> Cost {
        let n = samples as f64;
        let layer = |(i, b): (usize, &Block)| {
            let presented = if i == 0 && direct { steps as f64 } else { 1.0 };
            Layer {
                name: b.name(),
                neurons: b.output.len(),
                macs: b.macs(),
                firing_rate: self.spikes[i] as f64 / (n * (steps * b.output.len()) as f64),
                operations: if method.ann { b.macs() as f64 } else { self.nonzero[i] as f64 / presented * b.fan_out() as f64 / n },
                multiplies: method.ann || i == 0 || b.fronts.iter().any(|f| matches!(f.front, Front::AvgPool(_))),
            }
        };
        let layers: Vec<Layer> = plan.blocks.iter().enumerate().map(layer).collect();
        let rates: Vec<f64> = layers.iter().map(|l| l.firing_rate).collect();
        let energy = (!method.ann).then(|| energy::of(&layers, steps, mean_rates(plan, &rates)));
        let anytime: Vec<f64> = self.right.iter().map(|&r| r as f64 / n).collect();
        let mean = |e: &Exit| Exit { accuracy: e.accuracy / n, mean_steps: e.mean_steps / n, ..*e };
        let exits = if method.ann { Vec::new() } else { self.exits.iter().map(mean).collect() };
        Cost { samples, steps, accuracy: anytime.last().copied().unwrap_or(0.0), anytime, exits, layers, energy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One voter group per class, `[T][classes]` votes of one sample.
    fn read(votes: &[[f32; 2]], label: u16) -> Sums {
        let exits = [0.6, 0.9].map(|confidence| Exit { confidence, ..Exit::default() }).to_vec();
        let mut sums = Sums { nonzero: Vec::new(), spikes: Vec::new(), right: Vec::new(), exits };
        let spread = |v: f32| (0..VOTERS).map(move |i| if (i as f32) < v { 1.0 } else { 0.0 });
        let flat: Vec<f32> = votes.iter().flat_map(|v| v.iter().flat_map(|&v| spread(v))).collect();
        sums.read_out(&flat, votes.len(), &[label]);
        sums
    }

    #[test]
    fn every_step_is_read_and_exits_are_taken_once_their_confidence_is_there() {
        // Votes so far: 0:0, 2:1, 3:7, 3:17. Shares of the winner: none, .67, .7, .85.
        let sums = read(&[[0.0, 0.0], [2.0, 1.0], [1.0, 6.0], [0.0, 10.0]], 1);
        assert_eq!(sums.right, [0, 0, 1, 1]);
        let seen: Vec<(f64, f64)> = sums.exits.iter().map(|e| (e.mean_steps, e.accuracy)).collect();
        // At .6 it leaves after step 2, wrong; .9 is never reached, so all steps are looked at.
        assert_eq!(seen, [(2.0, 0.0), (4.0, 1.0)]);
    }

    #[test]
    fn a_silent_network_never_leaves_early_and_says_class_0() {
        let sums = read(&[[0.0, 0.0], [0.0, 0.0]], 0);
        assert_eq!((sums.right, sums.exits[0].mean_steps), (vec![1, 1], 2.0));
    }
}
