//! The state of a training run and one step of it.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Stop;
use super::evaluate::{Evaluation, evaluate, hits};
use super::feed::{Feed, Labelled};
use super::step::{Task, adamw, optimise};
use crate::config::Config;
use crate::data::{Dataset, Split};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::plan::Plan;
use crate::rng::{Purpose, Rng};
use crate::tensors::{self, Tensors};

/// Sums over the epoch under way; in the checkpoint, so that a resumed epoch reports what an undisturbed one would.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Σ loss · samples.
    pub loss: f64,
    /// Rightly classified.
    pub correct: u64,
    /// Samples seen.
    pub samples: u64,
    /// Spikes per block.
    pub spikes: Vec<u64>,
    /// Of the steps, forward and back ([`crate::network::operations`]).
    #[serde(default)]
    pub operations: u64,
    /// Seconds of training steps so far.
    pub seconds: f64,
    /// Seconds of the epoch so far, of all sessions.
    pub wall: f64,
}

/// The best epoch so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// From 1.
    pub epoch: u64,
    /// Accuracy it was chosen by.
    pub score: f64,
    /// Test accuracy then.
    pub test_accuracy: f64,
}

/// Where a run stands; everything a resume needs besides the tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs finished, evaluation included; also the index of the one under way.
    pub epoch: usize,
    /// Optimiser steps done.
    pub step: u64,
    /// The epoch under way.
    pub tally: Tally,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Seconds of all finished epochs.
    pub train_seconds: f64,
    /// Of the last evaluation on the test set.
    pub last_test: Option<Evaluation>,
    /// Warm-up and training loss of the last finished epoch, to see whether the next one moves.
    #[serde(default)]
    pub last_loss: Option<(String, f64)>,
    /// What the last finished epoch warns of.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Training speed of the last finished epoch.
    pub samples_per_s: f64,
    /// Largest resident memory of all sessions in MB, where the system tells.
    pub peak_rss_mb: Option<u64>,
}

/// A training run in memory, made by a [`super::Session`].
pub struct Trainer<'a, E: Engine> {
    /// The device.
    pub engine: &'a E,
    /// Complete; `net` is the resolved notation.
    pub config: Config,
    /// The samples.
    pub data: &'a dyn Dataset,
    /// Batches of them, at the network's T ([`Trainer::feed_of`]).
    pub feed: Feed<'a>,
    /// Indices trained on.
    pub train: Vec<u32>,
    /// Indices to choose the best epoch by, as in [`super::Session`].
    pub validation: Vec<u32>,
    /// Weight of each class in the training loss, `[classes]`, by the samples trained on; `None`: all are 1.
    pub class_weights: Option<Vec<f64>>,
    /// The weights.
    pub net: Network<E>,
    /// AdamW's first and second moments.
    pub moments: [Vec<Tensors<E::Param>>; 2],
    /// Samples that a look at credit assignment takes ([`Trainer::credit`]).
    pub credit_samples: usize,
    /// Where the run stands.
    pub progress: Progress,
}

impl<'a, E: Engine> Trainer<'a, E> {
    /// Optimiser steps of one epoch: a last batch too small for statistics is dropped.
    pub fn steps_per_epoch(&self) -> usize {
        let (whole, rest) = (self.train.len() / self.config.batch, self.train.len() % self.config.batch);
        whole + usize::from(rest >= smallest_batch(self.config.batch))
    }

    /// The samples of `epoch` in the order they are trained.
    pub fn order(&self, epoch: usize) -> Vec<u32> {
        let p = Rng::at(self.config.seed, Purpose::Order, epoch as u64, 0).permutation(self.train.len());
        p.into_iter().map(|i| self.train[i as usize]).collect()
    }

    /// Samples at the T of `epoch`.
    pub fn feed_of(&self, epoch: usize) -> Feed<'a> {
        self.feed.in_steps(self.config.time_steps.at(epoch))
    }

    /// Learning rate of step `i` of `epoch`.
    pub fn learning_rate(&self, epoch: usize, i: usize) -> f64 {
        self.config.lr * self.config.schedule.factor(epoch, i as f64 / self.steps_per_epoch() as f64, self.config.epochs)
    }

    /// One optimiser step on the samples `indices`. Nothing is changed unless everything it is made of is finite ([`optimise`]).
    ///
    /// # Errors
    /// Diverged: something is not finite; names layer and step. Storage or Format: a sample cannot be read.
    pub fn step(&mut self, epoch: usize, indices: &[u32], lr: f64) -> Result<()> {
        let started = Instant::now();
        let batch = self.feed_of(epoch).training(epoch, indices, self.config.method(epoch).ann);
        self.learn(epoch, batch, lr, started)
    }

    /// One optimiser step on a batch that [`Feed::training`] has made, or could not make; timed since `started`.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn learn(&mut self, epoch: usize, batch: Result<Labelled>, lr: f64, started: Instant) -> Result<()> {
        let step = self.progress.step + 1;
        let place = |e: Error| e.at(format!("epoch {}, step {step}", epoch + 1));
        let Labelled { batch, labels } = batch.map_err(place)?;
        let method = self.config.method(epoch);
        let masks = self.net.masks(self.config.seed, step);
        let task = Task {
            batch: &batch,
            labels: &labels,
            masks: &masks,
            method: &method,
            loss: self.config.loss,
            class_weights: self.class_weights.as_deref(),
        };
        let c = adamw(lr, self.config.weight_decay, step);
        let (loss, out) = optimise(self.engine, &mut self.net, &mut self.moments, &task, &c).map_err(place)?;

        self.progress.step = step;
        let tally = &mut self.progress.tally;
        tally.loss += loss * labels.len() as f64;
        tally.correct += hits(&out.rates, &labels, self.net.plan.classes()) as u64;
        tally.samples += labels.len() as u64;
        tally.spikes.iter_mut().zip(&out.spikes).for_each(|(sum, s)| *sum += s);
        tally.operations += out.operations;
        tally.seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Firing rate per block over the epoch so far.
    pub fn training_rates(&self) -> Vec<f64> {
        // In the `ann` warm-up, where an image has one step only, nothing spikes.
        let t = &self.progress.tally;
        let seen = (t.samples * self.config.time_steps.at(self.progress.epoch) as u64).max(1) as f64;
        t.spikes.iter().zip(&self.net.plan.blocks).map(|(&s, b)| s as f64 / seen / b.output.len() as f64).collect()
    }

    /// Starts the sums of the next epoch.
    pub fn clear_tally(&mut self) {
        self.progress.tally = fresh_tally(&self.net.plan);
    }

    /// On the whole test set, as the network computes after `epoch`; `None` if it is empty, or if it was asked to stop.
    ///
    /// # Errors
    /// Diverged: a layer's currents are not finite. Storage or Format: a sample cannot be read.
    pub fn evaluate_test(&self, epoch: usize, stop: &Stop) -> Result<Option<Evaluation>> {
        let all: Vec<u32> = (0..self.data.labels(Split::Test).len() as u32).collect();
        self.evaluate(epoch, (Split::Test, &all), stop)
    }

    /// On the samples held out, without augmentation; `None` if there are none, or if it was asked to stop.
    ///
    /// # Errors
    /// Diverged: a layer's currents are not finite. Storage or Format: a sample cannot be read.
    pub fn evaluate_validation(&self, epoch: usize, stop: &Stop) -> Result<Option<Evaluation>> {
        let of = if self.data.labels(Split::Validation).is_empty() { Split::Train } else { Split::Validation };
        self.evaluate(epoch, (of, &self.validation), stop)
    }

    fn evaluate(&self, epoch: usize, samples: (Split, &[u32]), stop: &Stop) -> Result<Option<Evaluation>> {
        if samples.1.is_empty() {
            return Ok(None);
        }
        evaluate(self.engine, &self.net, &self.config, &self.config.evaluation(epoch), &self.feed_of(epoch), samples, stop)
    }

    /// SHA-256 (hex) over parameters and running statistics, block by block: weight, bias, γ, β, mean, variance.
    ///
    /// # Errors
    /// Memory: the device has failed.
    pub fn weights_sha256(&self) -> Result<String> {
        weights_sha256(self.engine, &self.net)
    }
}

/// SHA-256 (hex) over parameters and running statistics of a network, in order, as f32 little-endian.
///
/// # Errors
/// Memory: the device has failed.
pub fn weights_sha256<E: Engine>(engine: &E, net: &Network<E>) -> Result<String> {
    tensors::sha256(&net.plan, |t| net.host(engine, t.place))
}

/// A last batch below a quarter of the batch size has poor statistics and full weight: it is dropped.
pub(super) fn smallest_batch(batch: usize) -> usize {
    (batch / 4).max(1)
}

pub(super) fn fresh_tally(plan: &Plan) -> Tally {
    Tally { spikes: vec![0; plan.blocks.len()], ..Tally::default() }
}
