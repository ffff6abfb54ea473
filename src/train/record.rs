//! What a run writes for people: a line per epoch, and the result.

use serde::{Deserialize, Serialize};

use super::trainer::Trainer;
use crate::config::{BestOn, Recipe};
use crate::data::Split;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::plan::Plan;

/// One line of metrics.jsonl. Accuracies are fractions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// From 1.
    pub epoch: u64,
    /// Optimiser steps so far.
    pub step: u64,
    /// T of the epoch, of training and of what was evaluated after it; absent in files of the first version, whose T is the run's.
    #[serde(rename = "T", default, skip_serializing_if = "Option::is_none")]
    pub time_steps: Option<usize>,
    /// `ann`, `tssl` or `none`.
    pub warm_up: String,
    /// Mean training loss of the epoch, measured while training.
    pub loss: f64,
    /// Training accuracy, measured while training.
    pub train_accuracy: f64,
    /// Absent in epochs without evaluation.
    pub test_accuracy: Option<f64>,
    /// The same.
    pub test_loss: Option<f64>,
    /// Mean recall over the classes; absent in files of earlier versions, as are the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_balanced_accuracy: Option<f64>,
    /// Share of the test set's commonest class: the accuracy of always answering with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_commonest_class: Option<f64>,
    /// Share of the test samples that got the commonest answer; 1: all got the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_commonest_answer: Option<f64>,
    /// With `--val-split`.
    pub validation_accuracy: Option<f64>,
    /// With `--val-split`.
    pub validation_loss: Option<f64>,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Per LIF layer, on the training batches of the epoch.
    pub firing_rates: Vec<f64>,
    /// Per LIF layer, on the test set.
    pub test_firing_rates: Option<Vec<f64>>,
    /// Multiply-adds, or adds where inputs are spikes, of the epoch's training steps, forward and back, counted
    /// ([`crate::network::operations`]); absent in files of the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<u64>,
    /// Training speed without evaluation.
    pub samples_per_s: f64,
    /// Seconds of the whole epoch, evaluation included.
    pub seconds: f64,
}

/// result.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names say it; units as in EpochLine
pub struct RunResult {
    pub dataset: String,
    /// True if the events were computed from pictures: no accuracy on the real set.
    #[serde(default)]
    pub dataset_simulated: bool,
    pub dataset_fingerprint: String,
    pub dataset_notes: Vec<String>,
    pub train_samples: usize,
    pub validation_samples: usize,
    pub test_samples: usize,
    pub net: String,
    pub rule: String,
    pub alpha: f64,
    #[serde(rename = "T")]
    pub time_steps: usize,
    /// T and epochs of every stage it was trained by, if T was not always the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<String>,
    /// Where its options came from that were not said; absent in results of the first version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<Recipe>,
    pub batch: usize,
    pub seed: u64,
    pub epochs: usize,
    pub warm_up: String,
    pub last_test_accuracy: f64,
    /// Mean recall over the classes, after the last epoch; absent in results of earlier versions, as are the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_balanced_accuracy: Option<f64>,
    /// Accuracy of always answering with the test set's commonest class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance_accuracy: Option<f64>,
    /// What the last epoch warns of, in words.
    #[serde(default)]
    pub warnings: Vec<String>,
    // Earlier versions called these four best_…, also where nothing had been selected.
    /// Test accuracy at `selected_epoch`.
    #[serde(alias = "best_test_accuracy")]
    pub selected_test_accuracy: f64,
    /// Accuracy on the held-out samples at `selected_epoch`, if it was selected on them.
    #[serde(default, alias = "best_validation_accuracy")]
    pub selected_validation_accuracy: Option<f64>,
    /// The epoch whose weights best.ckpt or last.ckpt holds, from 1.
    #[serde(alias = "best_epoch")]
    pub selected_epoch: u64,
    /// By what it was selected: `validation`, `test` (a biased choice), or `last`: nothing was selected, it is the last one.
    #[serde(alias = "best_chosen_on")]
    pub selected_by: BestOn,
    /// Per LIF layer in network order, on the test set, after the last epoch.
    pub firing_rates: Vec<f64>,
    /// Mean over the layers (the paper's style).
    pub mean_firing_rate: f64,
    /// Mean over the neurons.
    pub weighted_firing_rate: f64,
    /// Of the last epoch.
    pub samples_per_s: f64,
    pub peak_rss_mb: Option<u64>,
    /// Over all sessions of the run, evaluation included.
    pub train_seconds: f64,
    /// SHA-256 over all parameters and running statistics in order (f32, little-endian).
    pub weights_sha256: String,
    pub engine: String,
    pub version: String,
}

impl RunResult {
    /// Of a run whose last epoch is done.
    ///
    /// # Errors
    /// Bug: nothing was evaluated. Memory: the device has failed.
    pub fn of<E: Engine>(trainer: &Trainer<E>) -> Result<RunResult> {
        let (p, c, data) = (&trainer.progress, &trainer.config, trainer.data);
        let (Some(last), Some(best)) = (&p.last_test, &p.best) else {
            return Err(Error::bug("a finished run without an evaluation"));
        };
        let (mean_firing_rate, weighted_firing_rate) = mean_rates(&trainer.net.plan, &last.firing_rates);
        Ok(RunResult {
            dataset: data.name().to_string(),
            dataset_simulated: data.simulated(),
            dataset_fingerprint: data.fingerprint().to_string(),
            dataset_notes: data.notes().to_vec(),
            train_samples: trainer.train.len(),
            validation_samples: trainer.validation.len(),
            test_samples: data.labels(Split::Test).len(),
            net: c.net.clone(),
            rule: c.rule.name().to_string(),
            alpha: c.alpha,
            time_steps: c.time_steps.last(),
            curriculum: c.time_steps.epochs().map(|_| c.time_steps.to_string()),
            recipe: Some(c.recipe),
            batch: c.batch,
            seed: c.seed,
            epochs: c.epochs,
            warm_up: c.warm_up.to_string(),
            last_test_accuracy: last.accuracy,
            last_balanced_accuracy: last.balanced_accuracy(),
            chance_accuracy: last.commonest_class().map(|(_, share)| share),
            warnings: p.warnings.clone(),
            selected_test_accuracy: best.test_accuracy,
            selected_validation_accuracy: (c.best_on == BestOn::Validation).then_some(best.score),
            selected_epoch: best.epoch,
            selected_by: c.best_on,
            firing_rates: last.firing_rates.clone(),
            mean_firing_rate,
            weighted_firing_rate,
            samples_per_s: p.samples_per_s,
            peak_rss_mb: p.peak_rss_mb.max(peak_rss_mb()),
            train_seconds: p.train_seconds,
            weights_sha256: trainer.weights_sha256()?,
            engine: trainer.engine.name().to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
        })
    }
}

/// Mean firing rate over layers, and over neurons.
pub fn mean_rates(plan: &Plan, rates: &[f64]) -> (f64, f64) {
    let neurons: Vec<f64> = plan.blocks.iter().map(|b| b.output.len() as f64).collect();
    let weighted = rates.iter().zip(&neurons).map(|(r, n)| r * n).sum::<f64>() / neurons.iter().sum::<f64>();
    (rates.iter().sum::<f64>() / rates.len() as f64, weighted)
}

/// Peak resident memory of this process in MB, where the system tells (Linux).
pub fn peak_rss_mb() -> Option<u64> {
    status_kb("/proc/self/status", "VmHWM:").map(|kb| kb / 1024)
}

/// Memory that this process could still get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How much.
    pub bytes: u64,
    /// Whether it is the process that is limited (`ulimit -v`), and not the machine.
    pub limited: bool,
}

/// Memory that this process could still get, where the system tells (Linux).
pub fn available_memory() -> Option<Room> {
    let machine = status_kb("/proc/meminfo", "MemAvailable:").map(|kb| Room { bytes: kb * 1024, limited: false });
    let used = status_kb("/proc/self/status", "VmSize:").map(|kb| kb * 1024);
    let process = address_space().zip(used).map(|(limit, used)| Room { bytes: limit.saturating_sub(used), limited: true });
    [machine, process].into_iter().flatten().min_by_key(|room| room.bytes)
}

/// Bytes of addresses this process may have; `None`: as many as it likes, or the system does not tell.
fn address_space() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    text.lines().find_map(|l| l.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()
}

fn status_kb(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|l| l.strip_prefix(key))?.trim().strip_suffix("kB")?.trim().parse().ok()
}
