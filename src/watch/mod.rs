//! A run as another process sees it: from the files in its folder, which are only read.

mod draw;
mod fit;
mod read;

pub use draw::{View, to_text};
pub use read::{EpochPoint, Metrics};

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::limits;
use crate::notation::{Layer, Notation};
use crate::run_folder::{CONFIG, LIVE, METRICS, RESULT};
use crate::storage;
use crate::train::RunResult;
use crate::train::live::Live;
use crate::train::trouble;

/// live.json is written every second or so while steps are made; a longer silence needs a word.
const QUIET: f64 = 30.0;

/// What a run folder says at one moment.
pub struct Run {
    /// The folder.
    pub folder: PathBuf,
    /// What is trained.
    pub config: Config,
    /// Names of the LIF layers, in network order.
    pub layers: Vec<String>,
    /// Of metrics.jsonl.
    pub metrics: Metrics,
    /// The epoch under way, if a session is.
    pub live: Option<Live>,
    /// The result, once the run is complete.
    pub result: Option<RunResult>,
    /// Seconds since live.json was written.
    pub age: f64,
}

/// Whether a run is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Complete.
    Finished,
    /// A session makes steps.
    Training,
    /// A session has made all steps of its epoch.
    Evaluating,
    /// A session has said nothing for a while: a long step, or it was killed.
    Quiet,
    /// No session: stopped, or not at its first step yet.
    Still,
}

impl Run {
    /// Reads `folder`.
    ///
    /// # Errors
    /// Usage: no run is there, or one of a newer version. Format: a file is not what it should be. Storage: it cannot be read.
    pub fn read(folder: &Path) -> Result<Run> {
        let mut metrics = Metrics::default();
        metrics.update(&folder.join(METRICS))?;
        Run::with(folder, metrics)
    }

    /// Reads `folder` once more; of metrics.jsonl only if it changed.
    ///
    /// # Errors
    /// As [`Run::read`].
    pub fn again(mut self) -> Result<Run> {
        self.metrics.update(&self.folder.join(METRICS))?;
        Run::with(&self.folder, self.metrics)
    }

    fn with(folder: &Path, metrics: Metrics) -> Result<Run> {
        let Some(text) = storage::read_whole(&folder.join(CONFIG), limits::MAX_TEXT_BYTES)? else {
            let what =
                if folder.is_dir() { format!("there is no run in this folder (no {CONFIG})") } else { "there is no such folder".into() };
            return Err(Error::usage(what).at(folder.display()).remedy("give the folder of a run, as `spiketrain train` names it"));
        };
        let config = Config::from_toml(&String::from_utf8_lossy(&text)).map_err(|e| e.at(folder.join(CONFIG).display()))?;
        let live: Option<Live> =
            storage::read_whole(&folder.join(LIVE), limits::MAX_JSON_BYTES)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let result = match storage::read_whole(&folder.join(RESULT), limits::MAX_JSON_BYTES)? {
            Some(bytes) => Some(serde_json::from_slice(&bytes).map_err(|e| Error::format(e).at(folder.join(RESULT).display()))?),
            None => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
        let age = live.as_ref().map_or(0.0, |l| (now - l.unix_time).max(0.0));
        Ok(Run { folder: folder.to_owned(), layers: layers(&config.net), config, metrics, live, result, age })
    }

    /// Whether it is under way.
    pub fn state(&self) -> State {
        match (&self.result, &self.live) {
            (Some(_), _) => State::Finished,
            (None, None) => State::Still,
            (None, Some(l)) if l.step == l.steps => State::Evaluating,
            (None, Some(_)) if self.age > QUIET => State::Quiet,
            (None, Some(_)) => State::Training,
        }
    }

    /// Seconds until the last epoch is done, as far as can be said.
    pub fn seconds_left(&self) -> Option<f64> {
        let live = self.live.as_ref().filter(|_| self.result.is_none())?;
        let done = live.step as f64 / live.steps.max(1) as f64;
        let (steps, now) = (&self.config.time_steps, live.epoch.saturating_sub(1) as usize);
        let whole = |epoch: usize| steps.sum(epoch..epoch + 1);
        // The last epoch with its evaluation, as long as this one is expected to be; without one, what its steps will take.
        let last = self.metrics.epochs.last().and_then(|l| l.seconds);
        let epoch = last.map_or(live.seconds / done.max(1e-9), |last| last * whole(now) / whole(now.saturating_sub(1)));
        let left = (epoch - live.seconds).max(0.0) + epoch * steps.sum(now + 1..live.epochs as usize) / whole(now);
        left.is_finite().then_some(left)
    }

    /// Firing rate per layer: of the epoch under way, else of the last one.
    pub fn rates(&self) -> Vec<f64> {
        let of_last = || self.metrics.epochs.last().map_or(Vec::new(), EpochPoint::rates);
        match (&self.result, &self.live) {
            (Some(r), _) => r.firing_rates.clone(),
            (None, Some(l)) => l.firing_rates.clone(),
            (None, None) => of_last(),
        }
    }

    /// What the numbers warn of, in words.
    pub fn warnings(&self) -> Vec<String> {
        // Of the last whole epoch: the first steps of the next say little.
        let [before, now] = [2, 1].map(|back| self.metrics.epochs.iter().nth_back(back - 1).map(EpochPoint::seen));
        let classes = self.config.net.parse::<Notation>().map_or(0, |n| n.classes());
        let troubles = now.map_or(Vec::new(), |now| trouble::of(&self.layers, classes, before.as_ref(), &now));
        let mut all: Vec<String> = troubles.into_iter().map(|t| t.text).collect();
        for layer in self.metrics.credit.iter().flat_map(|line| &line.layers) {
            if layer.silent == 1.0 {
                all.push(format!("no neuron of {} fired in the last look at credit", layer.name));
            }
            if layer.growth.above_one > 0.5 {
                all.push(format!("errors grow across most consecutive spikes of {} (up to {:.2} times)", layer.name, layer.growth.largest));
            }
        }
        all
    }
}

/// The weight layers of a notation.
fn layers(net: &str) -> Vec<String> {
    let Ok(notation) = net.parse::<Notation>() else { return Vec::new() };
    let weights = notation.layers().iter().filter(|l| matches!(l, Layer::Conv { .. } | Layer::Full(_) | Layer::Voting(_)));
    weights.map(Layer::to_string).collect()
}

#[cfg(test)]
mod tests;
