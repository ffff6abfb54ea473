//! Accuracy, loss and firing rates on a set of samples.

use serde::{Deserialize, Serialize};

use super::Stop;
use crate::config::Config;
use crate::data::{Preparation, Samples, assemble};
use crate::engine::{Batch, Engine, Input};
use crate::error::Result;
use crate::loss::predict;
use crate::network::{Method, Network};
use crate::shape::Chw;

/// What an evaluation says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Share of samples classified rightly, 0 to 1.
    pub accuracy: f64,
    /// Mean loss.
    pub loss: f64,
    /// Per LIF layer in network order: spikes / (samples · neurons · T). Zero during the `ann` warm-up.
    pub firing_rates: Vec<f64>,
    /// Samples looked at.
    pub samples: usize,
}

/// Builds the batch of `indices`; in the `ann` warm-up a static image needs one step only.
pub fn batch_of(
    config: &Config,
    samples: &Samples,
    shape: Chw,
    prep: &Preparation,
    indices: &[u32],
    method: &Method,
    augment: Option<(u64, u64)>,
) -> (Batch, Vec<u16>) {
    let steps = if method.ann { 1 } else { config.time_steps };
    let input = Input::Direct(assemble(samples, shape, indices, prep, augment));
    let labels = indices.iter().map(|&i| samples.labels[i as usize]).collect();
    (Batch { shape, samples: indices.len(), steps, input }, labels)
}

/// Evaluates `net` on the samples `indices`, in batches of the configured size; `None` if it was asked to stop.
///
/// # Errors
/// Diverged: a layer's currents are not finite.
pub fn evaluate<E: Engine>(
    engine: &E,
    net: &Network<E>,
    config: &Config,
    method: &Method,
    (samples, shape, prep): (&Samples, Chw, &Preparation),
    indices: &[u32],
    stop: &Stop,
) -> Result<Option<Evaluation>> {
    let classes = net.plan.classes();
    let (mut correct, mut loss, mut spikes) = (0usize, 0.0, vec![0u64; net.plan.blocks.len()]);
    for chunk in indices.chunks(config.batch) {
        if stop.requested().is_some() {
            return Ok(None);
        }
        let (batch, labels) = batch_of(config, samples, shape, prep, chunk, method, None);
        let out = net.infer(engine, &batch, method)?;
        loss += config.loss.of(&out.rates, &labels).0 * chunk.len() as f64;
        correct += hits(&out.rates, &labels, classes);
        spikes.iter_mut().zip(&out.spikes).for_each(|(sum, s)| *sum += s);
    }
    let n = indices.len();
    let steps = if method.ann { 1 } else { config.time_steps };
    let rate = |(s, b): (&u64, &crate::plan::Block)| *s as f64 / (n * steps * b.output.len()) as f64;
    let firing_rates = spikes.iter().zip(&net.plan.blocks).map(rate).collect();
    Ok(Some(Evaluation { accuracy: correct as f64 / n as f64, loss: loss / n as f64, firing_rates, samples: n }))
}

/// How many samples are classified rightly.
pub fn hits(rates: &[f64], labels: &[u16], classes: usize) -> usize {
    rates.chunks(classes).zip(labels).filter(|(r, l)| predict(r) == **l as usize).count()
}
