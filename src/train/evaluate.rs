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
    /// By class, in the order of the data set's names; empty in checkpoints of earlier versions.
    #[serde(default)]
    pub by_class: Vec<ClassCount>,
}

/// How the samples of a class were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Samples of the class.
    pub samples: u64,
    /// Those of them that were classified rightly.
    pub correct: u64,
    /// Samples, of any class, that were answered with this one.
    pub answered: u64,
}

impl ClassCount {
    /// Share of the class's samples classified rightly; `None` without any.
    pub fn recall(&self) -> Option<f64> {
        (self.samples > 0).then(|| self.correct as f64 / self.samples as f64)
    }
}

impl Evaluation {
    /// Mean recall over the classes that have samples; `None` if classes were not counted.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let recalls: Vec<f64> = self.by_class.iter().filter_map(ClassCount::recall).collect();
        (!recalls.is_empty()).then(|| recalls.iter().sum::<f64>() / recalls.len() as f64)
    }

    /// The commonest class, the first of several, and its share of the samples: the accuracy of always answering with it.
    pub fn commonest_class(&self) -> Option<(usize, f64)> {
        let of = |(i, c): (usize, &ClassCount)| (i, c.samples as f64 / self.samples.max(1) as f64);
        self.by_class.iter().enumerate().map(of).reduce(|a, b| if b.1 > a.1 { b } else { a })
    }

    /// Share of the samples that got the commonest answer.
    pub fn commonest_answer(&self) -> Option<f64> {
        self.by_class.iter().map(|c| c.answered).max().map(|most| most as f64 / self.samples.max(1) as f64)
    }
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
    let (mut by_class, mut loss, mut spikes, mut steps) = (vec![ClassCount::default(); classes], 0.0, vec![0u64; net.plan.blocks.len()], 1);
    let done = thread::scope(|scope| -> Result<bool> {
        let batches = ahead(scope, indices.chunks(config.batch), |chunk| feed.plain(split, chunk, method.ann))?;
        for labelled in batches {
            if stop.requested().is_some() {
                return Ok(false);
            }
            let Labelled { batch, labels } = labelled?;
            let out = net.infer(engine, &batch, method)?;
            loss += config.loss.of_output(&out, &labels, None).0 * labels.len() as f64;
            count(&mut by_class, &out.rates, &labels);
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
    let correct: u64 = by_class.iter().map(|c| c.correct).sum();
    Ok(Some(Evaluation { accuracy: correct as f64 / n as f64, loss: loss / n as f64, firing_rates, samples: n, by_class }))
}

/// Adds the answers to a batch.
fn count(by_class: &mut [ClassCount], rates: &[f64], labels: &[u16]) {
    for (r, &label) in rates.chunks(by_class.len()).zip(labels) {
        let (answer, label) = (predict(r), label as usize);
        by_class[answer].answered += 1;
        by_class[label].samples += 1;
        by_class[label].correct += u64::from(answer == label);
    }
}

/// How many samples are classified rightly.
pub fn hits(rates: &[f64], labels: &[u16], classes: usize) -> usize {
    rates.chunks(classes).zip(labels).filter(|(r, l)| predict(r) == **l as usize).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class() {
        let mut by_class = vec![ClassCount::default(); 3];
        // Answers 0, 0, 0, 1 to the labels 0, 0, 1, 1; no sample of class 2.
        count(&mut by_class, &[0.9, 0.1, 0.0, 0.5, 0.5, 0.0, 0.3, 0.2, 0.1, 0.1, 0.4, 0.2], &[0, 0, 1, 1]);
        let e = Evaluation { samples: 4, by_class, ..Evaluation::default() };
        assert_eq!(e.by_class[0], ClassCount { samples: 2, correct: 2, answered: 3 });
        assert_eq!((e.balanced_accuracy(), e.commonest_class(), e.commonest_answer()), (Some(0.75), Some((0, 0.5)), Some(0.75)));
        assert_eq!(e.by_class[2].recall(), None);
        assert_eq!(Evaluation::default().balanced_accuracy(), None);
    }
}
