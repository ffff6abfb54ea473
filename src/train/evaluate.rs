//! Accuracy, loss and firing rates on a set of samples.

use std::thread;

use serde::{Deserialize, Serialize};

use super::Stop;
use super::feed::{Feed, Labelled, ahead};
use crate::config::Config;
use crate::data::Split;
use crate::engine::Engine;
use crate::error::Result;
use crate::loss::predict;
use crate::network::{Method, Network};

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

/// Evaluates `net` on the samples `indices` of a split, in batches of the configured size; `None` if it was asked to stop.
///
/// # Errors
/// Diverged: a layer's currents are not finite. Storage or Format: a sample cannot be read.
pub fn evaluate<E: Engine>(
    engine: &E,
    net: &Network<E>,
    config: &Config,
    method: &Method,
    feed: &Feed,
    (split, indices): (Split, &[u32]),
    stop: &Stop,
) -> Result<Option<Evaluation>> {
    let classes = net.plan.classes();
    let (mut correct, mut loss, mut spikes, mut steps) = (0usize, 0.0, vec![0u64; net.plan.blocks.len()], 1);
    let done = thread::scope(|scope| -> Result<bool> {
        let batches = ahead(scope, indices.chunks(config.batch), |chunk| feed.plain(split, chunk, method.ann))?;
        for labelled in batches {
            if stop.requested().is_some() {
                return Ok(false);
            }
            let Labelled { batch, labels } = labelled?;
            let out = net.infer(engine, &batch, method)?;
            loss += config.loss.of_output(&out, &labels).0 * labels.len() as f64;
            correct += hits(&out.rates, &labels, classes);
            spikes.iter_mut().zip(&out.spikes).for_each(|(sum, s)| *sum += s);
            steps = batch.steps;
        }
        Ok(true)
    })?;
    if !done {
        return Ok(None);
    }
    let n = indices.len();
    let rate = |(s, b): (&u64, &crate::plan::Block)| *s as f64 / (n * steps * b.output.len()) as f64;
    let firing_rates = spikes.iter().zip(&net.plan.blocks).map(rate).collect();
    Ok(Some(Evaluation { accuracy: correct as f64 / n as f64, loss: loss / n as f64, firing_rates, samples: n }))
}

/// How many samples are classified rightly.
pub fn hits(rates: &[f64], labels: &[u16], classes: usize) -> usize {
    rates.chunks(classes).zip(labels).filter(|(r, l)| predict(r) == **l as usize).count()
}
