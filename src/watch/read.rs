//! metrics.jsonl for people who watch: what can be shown is taken, the rest is named.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;

use crate::credit::{CREDIT, CreditLine};
use crate::error::{Error, Result};
use crate::limits;
use crate::storage;
use crate::train::trouble::Seen;

/// The version of the lines that we know; lines of it do not say so.
const VERSION: u64 = 1;

/// What a curve needs of an epoch. A number that was not finite stands as null in JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct EpochPoint {
    /// From 1.
    pub epoch: u64,
    /// `ann`, `tssl` or `none`.
    pub warm_up: String,
    /// Mean training loss.
    pub loss: Option<f64>,
    /// A fraction, as are the others.
    pub train_accuracy: Option<f64>,
    /// In epochs with evaluation.
    pub test_accuracy: Option<f64>,
    /// With evaluation, as are the next two.
    pub test_balanced_accuracy: Option<f64>,
    /// Share of the commonest class.
    pub test_commonest_class: Option<f64>,
    /// Share of the commonest answer.
    pub test_commonest_answer: Option<f64>,
    /// On the test set, in epochs with evaluation.
    pub test_firing_rates: Option<Vec<Option<f64>>>,
    /// With `--val-split`.
    pub validation_accuracy: Option<f64>,
    /// Per LIF layer, on the training batches.
    pub firing_rates: Vec<Option<f64>>,
    /// Of the whole epoch.
    pub seconds: Option<f64>,
}

impl EpochPoint {
    /// What is judged of it.
    pub fn seen(&self) -> Seen<'_> {
        let rates = self.test_firing_rates.as_ref().unwrap_or(&self.firing_rates);
        Seen {
            epoch: self.epoch,
            warm_up: &self.warm_up,
            loss: self.loss,
            train_accuracy: self.train_accuracy,
            test_accuracy: self.test_accuracy,
            balanced: self.test_balanced_accuracy,
            commonest_class: self.test_commonest_class,
            commonest_answer: self.test_commonest_answer,
            rates: rates.iter().map(|r| r.unwrap_or(0.0)).collect(),
        }
    }

    /// Firing rates, 0 where there is none.
    pub fn rates(&self) -> Vec<f64> {
        self.firing_rates.iter().map(|r| r.unwrap_or(0.0)).collect()
    }
}

/// What metrics.jsonl says.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// In order.
    pub epochs: Vec<EpochPoint>,
    /// The last look at credit assignment.
    pub credit: Option<CreditLine>,
    /// Kinds of lines that were skipped.
    pub unknown: BTreeSet<String>,
    /// Length and time of the file that was read.
    stamp: Option<(u64, SystemTime)>,
}

/// Tells lines apart.
#[derive(Deserialize)]
struct Head {
    kind: Option<String>,
    #[serde(default)]
    version: Option<u64>,
}

impl Metrics {
    /// Reads `path` if it changed; without the file there is nothing.
    ///
    /// # Errors
    /// Usage: a line of a newer version. Format: a line that is none of ours, by its number. Storage: the file cannot be read.
    pub fn update(&mut self, path: &Path) -> Result<()> {
        let stamp = match path.metadata() {
            Ok(m) => Some((m.len(), m.modified().unwrap_or(SystemTime::UNIX_EPOCH))),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(e) => return Err(Error::io(path, "reading", &e)),
        };
        if stamp != self.stamp {
            *self = Metrics::of(&storage::read_whole(path, limits::MAX_METRICS_BYTES)?.unwrap_or_default())
                .map_err(|e| e.at(path.display()))?;
            self.stamp = stamp;
        }
        Ok(())
    }

    /// Takes the lines of a file; a last one without its end is being written, or was cut.
    ///
    /// # Errors
    /// As [`Metrics::update`].
    pub fn of(bytes: &[u8]) -> Result<Metrics> {
        let mut all = Metrics::default();
        for (i, line) in bytes.split_inclusive(|&b| b == b'\n').filter(|l| l.ends_with(b"\n")).enumerate() {
            all.take(line).map_err(|e| e.at(format!("line {}", i + 1)))?;
        }
        Ok(all)
    }

    fn take(&mut self, line: &[u8]) -> Result<()> {
        if line.len() > limits::MAX_METRICS_LINE {
            return Err(Error::format(format!("expected a line of {} bytes at most, found {}", limits::MAX_METRICS_LINE, line.len())));
        }
        let wrong = |e: serde_json::Error| Error::format(format!("no line of a run's metrics: {e}"));
        let head: Head = serde_json::from_slice(line).map_err(wrong)?;
        let known = head.kind.as_deref().is_none_or(|k| k == CREDIT);
        match (head.kind, head.version) {
            (Some(kind), _) if !known => {
                self.unknown.insert(kind);
            }
            (_, Some(version)) if version > VERSION => {
                return Err(Error::usage(format!("a line of version {version}, this spiketrain knows version {VERSION}"))
                    .remedy("read it with the spiketrain that wrote it, or a newer one"));
            }
            (None, _) => self.epochs.push(serde_json::from_slice(line).map_err(wrong)?),
            (Some(_), _) => self.credit = Some(serde_json::from_slice(line).map_err(wrong)?),
        }
        Ok(())
    }
}
