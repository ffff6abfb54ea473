//! A network that was trained or imported, whichever engine it computes on: its weights and all that belongs to using them.
//!
//! - [`Trained`] is opened from a checkpoint or made of imported tensors, checked against data, evaluated and saved.
//! - [`sample`]: a user's own picture or recording as its input, and its decision.
//! - `on`: the engine behind it.

mod on;
pub mod sample;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::checkpoint::{self, Checkpoint, CheckpointKind, Header};
use crate::config::{Config, Device};
use crate::data::{Dataset, Preparation, Split};
use crate::engine::Batch;
use crate::engines::isa_here;
use crate::error::{Error, Result};
use crate::network::{Method, Output};
use crate::notation::Notation;
use crate::plan::Plan;
use crate::plural::{counted_as, either};
use crate::run_folder::checkpoint_at;
use crate::storage::{Published, Storage};
use crate::tensors::{self, Place, Tensor};
use crate::train::feed::{Feed, preparation};
use crate::train::record::mean_rates;
use crate::train::save::{self, LearnedFrom};
use crate::train::{Evaluation, Progress, Stop};
use on::{OnEngine, Weights};
pub use on::{See, Seen, Use};

/// A network that was trained or imported.
pub struct Trained {
    on: Box<dyn OnEngine>,
    config: Config,
    classes: Vec<String>,
    /// Of the data set it was trained on; empty if that is not known.
    fingerprint: String,
    progress: Progress,
}

impl Trained {
    /// Opens a checkpoint file, or of a run folder the best checkpoint, else the newest, on `device`, else on the one it was trained on; gives the
    /// file's path too. `note` is told of newer files that could not be used.
    ///
    /// # Errors
    /// As [`checkpoint_at`] and [`Trained::from_checkpoint`].
    pub fn open(path: &Path, device: Option<&Device>, note: &mut dyn FnMut(&str)) -> Result<(Trained, PathBuf)> {
        let found = checkpoint_at(path)?;
        found.warnings.iter().for_each(|w| note(&format!("warning: {w}")));
        let trained = Trained::from_checkpoint(found.checkpoint, device).map_err(|e| e.at(found.path.display()))?;
        Ok((trained, found.path))
    }

    /// The network of a checkpoint, on `device`, else on the one it was trained on.
    ///
    /// # Errors
    /// Format: configuration, notation and tensors do not fit each other.
    pub fn from_checkpoint(mut c: Checkpoint, device: Option<&Device>) -> Result<Trained> {
        let config = Config::from_toml(&c.header.config_toml)?.at_last_steps();
        let config = Config { isa: isa_here(config.isa), device: device.unwrap_or(&config.device).clone(), ..config };
        let notation: Notation = c.header.network.parse()?;
        if notation.classes() != c.header.classes.len() {
            let named = c.header.classes.len();
            return Err(Error::format(format!(
                "the network votes for {}, {named} {} named",
                counted_as(notation.classes(), "class", "classes"),
                either(named, "is", "are")
            )));
        }
        let plan = config.lay_out(notation, c.header.input_shape.parse()?)?;
        let on = on::make(&config, &plan, Weights::Stored(&mut c))?;
        let Header { classes, dataset_fingerprint: fingerprint, progress, step, .. } = c.header;
        let progress = Progress { step, ..serde_json::from_value(progress).unwrap_or_default() };
        Ok(Trained { on, config, classes, fingerprint, progress })
    }

    /// A network that no run of ours has trained, of the values that `values` gives for each tensor. It stands as after a whole run, so that
    /// no warm-up is under way, and does not know what it was trained on.
    ///
    /// # Errors
    /// Usage: this machine does not have the configuration's instruction set. Of `values`.
    pub fn imported(
        config: Config,
        plan: &Plan,
        classes: Vec<String>,
        values: &mut dyn FnMut(&Tensor) -> Result<Vec<f32>>,
    ) -> Result<Trained> {
        let on = on::make(&config, plan, Weights::Given(values))?;
        let progress = Progress { epoch: config.epochs, ..Progress::default() };
        Ok(Trained { on, config, classes, fingerprint: String::new(), progress })
    }

    /// A network with fresh weights, drawn by the configuration's seed, that tells as many classes apart as `plan` has.
    ///
    /// # Errors
    /// Usage: this machine does not have the configuration's instruction set.
    pub fn fresh(config: Config, plan: &Plan) -> Result<Trained> {
        let on = on::make(&config, plan, Weights::Fresh(config.seed))?;
        let classes = numbered(plan.classes());
        Ok(Trained { on, config, classes, fingerprint: String::new(), progress: Progress::default() })
    }

    /// With the data set and prepared frames in other folders than those of its run.
    pub fn with_data_at(self, data_dir: Option<PathBuf>, cache: Option<PathBuf>) -> Trained {
        Trained { config: self.config.with_data_at(data_dir, cache), ..self }
    }

    /// With the events of recordings put in the order of their times first, as `--sort` does in training.
    ///
    /// # Errors
    /// Usage: its data set holds no recordings.
    pub fn with_sorted_events(self) -> Result<Trained> {
        Ok(Trained { config: self.config.sorted()?, ..self })
    }

    /// Its blocks.
    pub fn plan(&self) -> &Plan {
        self.on.plan()
    }

    /// Of its training, or what it would be trained with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names of the classes; a label is a position among them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Optimiser steps done.
    pub fn step(&self) -> u64 {
        self.progress.step
    }

    /// Name of its engine.
    pub fn engine(&self) -> &'static str {
        self.on.engine()
    }

    /// The pass its weights are evaluated with: a network of the `ann` warm-up is still one without spikes.
    pub fn method(&self) -> Method {
        let p = &self.progress;
        self.config.evaluation(if p.tally.samples == 0 { p.epoch.saturating_sub(1) } else { p.epoch })
    }

    /// What happens to samples on their way into it.
    pub fn preparation(&self) -> Preparation {
        self.config.preparation(self.plan().shape.c)
    }

    /// Whether it takes the samples of `data`; gives what the user should know if they are not those it was trained on.
    ///
    /// # Errors
    /// Usage: shape or number of classes differ, or the classes are the same in another order, so that every label would mean another.
    pub fn check(&self, data: &dyn Dataset) -> Result<Option<String>> {
        let (plan, shape, classes) = (self.plan(), data.shape(&preparation(&self.config, data)), data.classes().len());
        if (shape, classes) != (plan.shape, plan.classes()) {
            let takes = format!("the network takes {} and {}", plan.shape, counted_as(plan.classes(), "class", "classes"));
            return Err(Error::usage(format!("{takes}, the data set has {shape} and {classes}")));
        }
        if self.classes != data.classes() && sorted(&self.classes) == sorted(data.classes()) {
            return Err(Error::usage(format!(
                "the network's classes are {}; the data set has them in another order: {}",
                self.classes.join(", "),
                data.classes().join(", ")
            ))
            .remedy("name the folders of the classes so that their order by name is that of the network, e.g. 0-cat, 1-dog"));
        }
        let others = !self.fingerprint.is_empty() && data.fingerprint() != self.fingerprint;
        Ok(others.then(|| format!("the files of {} are not those the network was trained with (fingerprint differs)", self.config.dataset)))
    }

    /// Evaluates it on a split of `data`, prepared and in batches as `config` says; `None` if it was asked to stop.
    ///
    /// # Errors
    /// Usage: the set's frames were cut into another number of steps. Diverged: a layer's currents are not finite. Storage or Format: a
    /// sample cannot be read.
    pub fn evaluate(&self, config: &Config, data: &dyn Dataset, split: Split, stop: &Stop) -> Result<Option<Evaluation>> {
        let all: Vec<u32> = (0..data.labels(split).len() as u32).collect();
        self.on.evaluate(config, &self.method(), &Feed::new(config, data)?, (split, &all), stop)
    }

    /// An evaluation on the test set of `data` for programs, as `spiketrain eval --json` prints it.
    ///
    /// # Errors
    /// Memory: the device has failed.
    pub fn facts(&self, data: &dyn Dataset, e: &Evaluation) -> Result<Value> {
        let (c, (mean, weighted)) = (&self.config, mean_rates(self.plan(), &e.firing_rates));
        let class = |(name, n): (&String, &crate::train::evaluate::ClassCount)| json!({ "class": name, "samples": n.samples, "recall": n.recall(), "answered": n.answered });
        let by_class: Vec<Value> = data.classes().iter().zip(&e.by_class).map(class).collect();
        Ok(json!({
            "dataset": c.dataset, "dataset_simulated": data.simulated(), "net": c.net, "T": c.time_steps.last(), "step": self.step(),
            "test_samples": e.samples, "test_accuracy": e.accuracy, "test_loss": e.loss,
            "test_balanced_accuracy": e.balanced_accuracy(), "chance_accuracy": e.commonest_class().map(|(_, share)| share),
            "by_class": by_class, "firing_rates": e.firing_rates,
            "mean_firing_rate": mean, "weighted_firing_rate": weighted, "weights_sha256": self.weights_sha256()?,
        }))
    }

    /// What it says to a batch, in evaluation mode.
    ///
    /// # Errors
    /// Diverged: a layer's currents are not finite.
    pub fn infer(&self, batch: &Batch) -> Result<Output> {
        self.infer_seen(batch, &mut |_, _| Ok(()))
    }

    /// The same, and every block (from 0) is shown after it has fired.
    ///
    /// # Errors
    /// As [`Trained::infer`], and of `see`.
    pub fn infer_seen(&self, batch: &Batch, see: See) -> Result<Output> {
        self.on.infer(batch, &self.method(), see)
    }

    /// The same, and how many inputs of each block's weight layer are not 0.
    ///
    /// # Errors
    /// As [`Trained::infer_seen`].
    pub fn infer_counted(&self, batch: &Batch, see: See) -> Result<(Output, Vec<u64>)> {
        self.on.infer_counted(batch, &self.method(), see)
    }

    /// The values of a tensor, on the host.
    ///
    /// # Errors
    /// Memory: the device has failed. Bug: the network has no such tensor.
    pub fn host(&self, place: Place) -> Result<Vec<f32>> {
        self.on.host(place)
    }

    /// Sets a tensor to these values, as many as it has.
    pub fn set(&mut self, tensor: &Tensor, values: &[f32]) {
        self.on.set(tensor, values);
    }

    /// Uses the network on its engine, to do what is not done with every network.
    ///
    /// # Errors
    /// Of `using`.
    pub fn on<U: Use>(&mut self, using: U) -> Result<U::Out> {
        on::using(&self.config, &mut *self.on, using)
    }

    /// Notes that it was trained further, with this configuration, as far as `progress` says, on data that no file holds.
    pub fn learned(&mut self, config: Config, progress: Progress) {
        (self.config, self.progress, self.fingerprint) = (config, progress, String::new());
    }

    /// SHA-256 (hex) over parameters and running statistics, as result.json has it.
    ///
    /// # Errors
    /// Memory: the device has failed.
    pub fn weights_sha256(&self) -> Result<String> {
        tensors::sha256(self.plan(), |t| self.host(t.place))
    }

    /// Saves it as a checkpoint of weights.
    ///
    /// # Errors
    /// As [`checkpoint::save`].
    pub fn save(&self, storage: &dyn Storage, path: &Path) -> Result<Published> {
        let (plan, kind) = (self.plan(), CheckpointKind::WeightsOnly);
        let dataset = self.config.dataset.as_str();
        let from = LearnedFrom { dataset, fingerprint: &self.fingerprint, classes: &self.classes };
        let header = save::header(&self.config, plan, &from, &self.progress, kind)?;
        checkpoint::save(storage, path, &header, save::values(plan, kind, |_, place| self.host(place)))
    }
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names
}

/// Names of classes that have none.
pub fn numbered(classes: usize) -> Vec<String> {
    (0..classes).map(|c| c.to_string()).collect()
}

#[cfg(test)]
mod tests;
