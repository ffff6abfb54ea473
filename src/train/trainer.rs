//! The state of a training run and one step of it.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Stop;
use super::evaluate::{Evaluation, evaluate, hits};
use super::feed::{Feed, Labelled, preparation};
use super::fit::Fit;
use super::step::{Task, adamw, optimise};
use crate::config::Config;
use crate::data::{Dataset, Split, hold_out};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::notation::Notation;
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
    /// Training speed of the last finished epoch.
    pub samples_per_s: f64,
    /// Largest resident memory of all sessions in MB, where the system tells.
    pub peak_rss_mb: Option<u64>,
}

/// A training run in memory.
pub struct Trainer<'a, E: Engine> {
    /// The device.
    pub engine: &'a E,
    /// Complete; `net` is the resolved notation.
    pub config: Config,
    /// The samples.
    pub data: &'a dyn Dataset,
    /// Batches of them.
    pub feed: Feed<'a>,
    /// Indices trained on.
    pub train: Vec<u32>,
    /// Indices held out.
    pub validation: Vec<u32>,
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
    /// A fresh run.
    ///
    /// # Errors
    /// Usage: the network or T does not fit the data, the batch is larger than the set, or too small for statistics.
    pub fn new(engine: &'a E, mut config: Config, data: &'a dyn Dataset) -> Result<Self> {
        let plan = plan(&config, data)?;
        config.net = plan.notation.to_string();
        let labels = data.labels(Split::Train);
        let all: Vec<u32> = (0..labels.len() as u32).collect();
        let (train, validation) = if config.val_split > 0.0 { hold_out(labels, config.val_split, config.seed)? } else { (all, Vec::new()) };
        if data.labels(Split::Test).is_empty() {
            return Err(Error::usage("the test set is empty").at(config.dataset));
        }
        check_batch(&config, &plan, train.len())?;
        let feed = Feed::new(&config, data)?;
        let net = Network::init(engine, plan, config.seed);
        let moments = [net.zeros(engine), net.zeros(engine)];
        let progress = Progress { tally: fresh_tally(&net.plan), ..Progress::default() };
        let credit_samples = super::credit::samples_of(config.batch);
        Ok(Trainer { engine, config, data, feed, train, validation, net, moments, credit_samples, progress })
    }

    /// Keeps within the memory that was asked for; the result does not depend on it.
    pub fn set_fit(&mut self, fit: Fit) {
        self.net.recompute = fit.recompute;
        self.credit_samples = fit.credit_samples;
    }

    /// Optimiser steps of one epoch: a last batch too small for statistics is dropped.
    pub fn steps_per_epoch(&self) -> usize {
        let (whole, rest) = (self.train.len() / self.config.batch, self.train.len() % self.config.batch);
        whole + usize::from(rest >= smallest_batch(self.config.batch))
    }

    /// Samples left out of every epoch because the last batch would be too small.
    pub fn dropped_samples(&self) -> usize {
        let rest = self.train.len() % self.config.batch;
        if rest < smallest_batch(self.config.batch) { rest } else { 0 }
    }

    /// The samples of `epoch` in the order they are trained.
    pub fn order(&self, epoch: usize) -> Vec<u32> {
        let p = Rng::at(self.config.seed, Purpose::Order, epoch as u64, 0).permutation(self.train.len());
        p.into_iter().map(|i| self.train[i as usize]).collect()
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
        let batch = self.feed.training(epoch, indices, self.config.method(epoch).ann);
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
        let task = Task { batch: &batch, labels: &labels, masks: &masks, method: &method, loss: self.config.loss };
        let c = adamw(lr, self.config.weight_decay, step);
        let (loss, out) = optimise(self.engine, &mut self.net, &mut self.moments, &task, &c).map_err(place)?;

        self.progress.step = step;
        let tally = &mut self.progress.tally;
        tally.loss += loss * labels.len() as f64;
        tally.correct += hits(&out.rates, &labels, self.net.plan.classes()) as u64;
        tally.samples += labels.len() as u64;
        tally.spikes.iter_mut().zip(&out.spikes).for_each(|(sum, s)| *sum += s);
        tally.seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Firing rate per block over the epoch so far.
    pub fn training_rates(&self) -> Vec<f64> {
        // In the `ann` warm-up, where an image has one step only, nothing spikes.
        let t = &self.progress.tally;
        let seen = (t.samples * self.config.time_steps as u64).max(1) as f64;
        t.spikes.iter().zip(&self.net.plan.blocks).map(|(&s, b)| s as f64 / seen / b.output.len() as f64).collect()
    }

    /// Starts the sums of the next epoch.
    pub fn clear_tally(&mut self) {
        self.progress.tally = fresh_tally(&self.net.plan);
    }

    /// On the whole test set, as the network computes after `epoch`; `None` if it was asked to stop.
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
        if self.validation.is_empty() {
            return Ok(None);
        }
        self.evaluate(epoch, (Split::Train, &self.validation), stop)
    }

    fn evaluate(&self, epoch: usize, samples: (Split, &[u32]), stop: &Stop) -> Result<Option<Evaluation>> {
        evaluate(self.engine, &self.net, &self.config, &self.config.evaluation(epoch), &self.feed, samples, stop)
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

/// The network of a configuration on the samples of a data set; takes no memory.
///
/// # Errors
/// Usage: the network does not fit the data.
pub fn plan(config: &Config, data: &dyn Dataset) -> Result<Plan> {
    let classes = data.classes().len();
    config.lay_out(Notation::resolve(&config.net_for(classes), classes)?, data.shape(&preparation(config, data)))
}

/// A last batch below a quarter of the batch size has poor statistics and full weight: it is dropped.
fn smallest_batch(batch: usize) -> usize {
    (batch / 4).max(1)
}

fn fresh_tally(plan: &Plan) -> Tally {
    Tally { spikes: vec![0; plan.blocks.len()], ..Tally::default() }
}

fn check_batch(config: &Config, plan: &Plan, samples: usize) -> Result<()> {
    if config.batch > samples {
        return Err(Error::usage(format!("a batch of {} is larger than the training set of {samples} samples", config.batch))
            .at("--batch")
            .remedy(format!("choose --batch {samples} or less")));
    }
    // The unbiased variance divides by n - 1.
    let lonely = plan.blocks.iter().find(|b| b.has_norm() && b.output.area() * smallest_batch(config.batch) < 2);
    match lonely {
        Some(b) => Err(Error::usage(format!("BatchNorm of layer {} ({}) sees one value per channel", b.index, b.name()))
            .at(format!("--batch {}", config.batch))
            .remedy("choose --batch 8 or more")),
        None => Ok(()),
    }
}
