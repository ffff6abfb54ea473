//! Configuration is data: one struct, complete, written into the run folder and into every checkpoint.
//!
//! [`Options`] is what a user says (command line or TOML, everything optional); [`Config`] is what a run uses.
//! What is not said comes from the table of defaults per data set, [`DEFAULTS`].

mod check;
mod choices;
mod defaults;

use std::path::{Path, PathBuf};

pub use choices::{BestOn, EngineName, InstructionSet, NormMode};
pub use defaults::{DEFAULTS, Defaults, defaults_table};
use serde::{Deserialize, Serialize};

use crate::data::{DatasetName, Preparation, Resize};
use crate::error::{Error, Result};
use crate::frames::SplitBy;
use crate::limits;
use crate::loss::Loss;
use crate::network::Method;
use crate::neuron::{self, Lif, Rule};
use crate::notation::Notation;
use crate::plan::Plan;
use crate::schedule::{Schedule, WarmUp};
use crate::shape::Chw;
use crate::storage;

macro_rules! options {
    ($($(#[$doc:meta])* $field:ident: $t:ty),* $(,)?) => {
        /// What a user says; everything is optional.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub struct Options {
            $($(#[$doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$t>,)*
        }

        impl Options {
            /// What `self` says, and where it is silent what `other` says.
            pub fn or(self, other: Options) -> Options {
                Options { $($field: self.$field.or(other.$field),)* }
            }
        }
    };
}

options! {
    /// Data set.
    dataset: DatasetName,
    /// Folder that holds the data sets' folders.
    data_dir: PathBuf,
    /// Folder of pictures, one folder per class (`--dataset images`).
    images_dir: PathBuf,
    /// Folder of recordings, one folder per class (`--dataset events`).
    events_dir: PathBuf,
    /// Folder for prepared frames.
    cache: PathBuf,
    /// Height and width that pictures are resized to; for `--dataset events` width and height of the camera.
    size: [usize; 2],
    /// Pictures are made grey.
    grey: bool,
    /// An incomplete data set is used as it is.
    allow_partial: bool,
    /// Preset or notation.
    net: String,
    /// Checkpoint to take weights and statistics from.
    init: PathBuf,
    /// Learning rule.
    rule: Rule,
    /// α of bpsa+bpta.
    alpha: f64,
    /// u_th.
    threshold: f64,
    /// λ.
    decay: f64,
    /// T.
    time_steps: usize,
    /// B.
    batch: usize,
    /// Epochs.
    epochs: usize,
    /// Base learning rate.
    lr: f64,
    /// AdamW's weight decay.
    weight_decay: f64,
    /// Learning-rate schedule.
    schedule: Schedule,
    /// Warm-up.
    warm_up: WarmUp,
    /// BatchNorm statistics.
    bn: NormMode,
    /// Whether ReLU stands between currents and neurons.
    relu: bool,
    /// Loss.
    loss: Loss,
    /// Seed of everything random.
    seed: u64,
    /// First N training samples only.
    train_limit: usize,
    /// First N test samples only.
    test_limit: usize,
    /// Evaluate every N epochs (and after the last).
    eval_every: usize,
    /// Also save a checkpoint every N steps; 0: after each epoch only.
    checkpoint_every: usize,
    /// Write a credit line every N steps; 0: never.
    credit_every: usize,
    /// Share of the training set held out.
    val_split: f64,
    /// On what the best epoch is chosen.
    best_on: BestOn,
    /// Random moves of training samples.
    augment: bool,
    /// How recordings are cut into T frames.
    split_by: SplitBy,
    /// How frames are made smaller.
    resize: Resize,
    /// Share of the events left out of training samples.
    event_drop: f64,
    /// Mean noise events per count in training samples.
    event_noise: f64,
    /// Any bad event in a recording is an error.
    strict: bool,
    /// Engine.
    engine: EngineName,
    /// Instruction set of the cpu engine.
    isa: InstructionSet,
}

/// A complete configuration. `net` is the resolved notation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs)] // the fields are those of Options, one for one
pub struct Config {
    pub dataset: DatasetName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_dir: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    pub grey: bool,
    pub allow_partial: bool,
    pub net: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    pub rule: Rule,
    pub alpha: f64,
    pub threshold: f64,
    pub decay: f64,
    pub time_steps: usize,
    pub batch: usize,
    pub epochs: usize,
    pub lr: f64,
    pub weight_decay: f64,
    pub schedule: Schedule,
    pub warm_up: WarmUp,
    pub bn: NormMode,
    #[serde(default = "on")]
    pub relu: bool,
    pub loss: Loss,
    pub seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    pub eval_every: usize,
    pub checkpoint_every: usize,
    /// `None`: once per epoch, at its first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_every: Option<usize>,
    pub val_split: f64,
    pub best_on: BestOn,
    pub augment: bool,
    #[serde(default)]
    pub split_by: SplitBy,
    #[serde(default)]
    pub resize: Resize,
    #[serde(default)]
    pub event_drop: f64,
    #[serde(default)]
    pub event_noise: f64,
    #[serde(default)]
    pub strict: bool,
    pub engine: EngineName,
    #[serde(default)]
    pub isa: InstructionSet,
}

impl Options {
    /// Reads a TOML file; a complete `config.toml` of a run is one.
    ///
    /// # Errors
    /// Storage: unreadable. Usage: not TOML, or an unknown key or value (the parser names line and column).
    pub fn read(path: &Path) -> Result<Options> {
        let text = storage::read_text(path, limits::MAX_TEXT_BYTES)?.ok_or_else(|| storage::not_there(path))?;
        Self::from_toml(&text).map_err(|e| e.at(path.display()))
    }

    /// Reads TOML text.
    ///
    /// # Errors
    /// Usage, as [`Options::read`].
    pub fn from_toml(text: &str) -> Result<Options> {
        toml::from_str(text)
            .map_err(|e| Error::usage(e.to_string().trim_end()).remedy("the keys are the options of `spiketrain train` without the dashes"))
    }

    /// Fills in the defaults of the data set and checks every value.
    ///
    /// # Errors
    /// Usage: a value out of range, naming the option.
    pub fn complete(self) -> Result<Config> {
        self.writable()?;
        let dataset = self.dataset.unwrap_or(DatasetName::Glyphs);
        let Some(d) = DEFAULTS.iter().find(|d| d.dataset == dataset) else {
            return Err(Error::bug(format!("no defaults for {dataset}")));
        };
        let val_split = self.val_split.unwrap_or(0.0);
        let epochs = self.epochs.unwrap_or(d.epochs);
        let warm_up = match self.warm_up {
            Some(w) => w,
            None => shorter(d.warm_up.parse()?, epochs),
        };
        let config = Config {
            dataset,
            data_dir: self.data_dir,
            images_dir: self.images_dir,
            events_dir: self.events_dir,
            cache: self.cache,
            size: self.size,
            grey: self.grey.unwrap_or(false),
            allow_partial: self.allow_partial.unwrap_or(false),
            net: self.net.unwrap_or_else(|| d.net.to_string()),
            init: self.init,
            rule: self.rule.unwrap_or(Rule::BpsaBpta),
            alpha: self.alpha.unwrap_or(d.neuron.alpha),
            threshold: self.threshold.unwrap_or(d.neuron.threshold),
            decay: self.decay.unwrap_or(Lif::default().decay),
            time_steps: self.time_steps.unwrap_or(d.time_steps),
            batch: self.batch.unwrap_or(d.batch),
            epochs,
            lr: self.lr.unwrap_or(1e-3),
            weight_decay: self.weight_decay.unwrap_or(1e-4),
            schedule: match self.schedule {
                Some(s) => s,
                None => d.schedule.parse()?,
            },
            warm_up,
            bn: self.bn.unwrap_or_default(),
            relu: self.relu.unwrap_or(true),
            loss: self.loss.unwrap_or(d.neuron.loss),
            seed: self.seed.unwrap_or(1),
            train_limit: self.train_limit,
            test_limit: self.test_limit,
            eval_every: self.eval_every.unwrap_or(1),
            checkpoint_every: self.checkpoint_every.unwrap_or(0),
            credit_every: self.credit_every,
            val_split,
            best_on: self.best_on.unwrap_or(if val_split > 0.0 { BestOn::Validation } else { BestOn::Last }),
            augment: self.augment.unwrap_or(d.augment),
            split_by: self.split_by.unwrap_or_default(),
            resize: self.resize.unwrap_or(Preparation::of(dataset, 1).resize),
            event_drop: self.event_drop.unwrap_or(0.0),
            event_noise: self.event_noise.unwrap_or(0.0),
            strict: self.strict.unwrap_or(false),
            engine: self.engine.unwrap_or_default(),
            isa: self.isa.unwrap_or_default(),
        };
        config.check()?;
        Ok(config)
    }
}

/// What runs before the option existed had.
fn on() -> bool {
    true
}

/// A default warm-up never takes more than a third of a short run.
fn shorter(warm_up: WarmUp, epochs: usize) -> WarmUp {
    let n = warm_up.epochs().min(epochs / 3);
    match warm_up {
        WarmUp::Ann(_) if n > 0 => WarmUp::Ann(n),
        WarmUp::Tssl(_) if n > 0 => WarmUp::Tssl(n),
        _ => WarmUp::None,
    }
}

impl Config {
    /// With the data set and its prepared frames where they lie now, if not where they lay when the run began.
    pub fn with_data_at(self, data_dir: Option<PathBuf>, cache: Option<PathBuf>) -> Config {
        Config { data_dir: data_dir.or(self.data_dir), cache: cache.or(self.cache), ..self }
    }

    /// The preset or notation with the number of classes put in.
    pub fn net_for(&self, classes: usize) -> String {
        self.net.replace("{n}", &classes.to_string())
    }

    /// A notation laid out for inputs of `shape`, with or without ReLU.
    ///
    /// # Errors
    /// Usage, as [`Plan::new`].
    pub fn lay_out(&self, notation: Notation, shape: Chw) -> Result<Plan> {
        let plan = Plan::new(notation, shape)?;
        Ok(if self.relu { plan } else { plan.without_relu() })
    }

    /// What happens to samples of `channels` channels on their way into the network.
    pub fn preparation(&self, channels: usize) -> Preparation {
        let all = Preparation::of(self.dataset, channels);
        let moved = if self.augment { all } else { all.without_augmentation() };
        Preparation { resize: self.resize, event_drop: self.event_drop, event_noise: self.event_noise, ..moved }
    }

    /// What a pass of `epoch` (from 0) computes.
    pub fn method(&self, epoch: usize) -> Method {
        Method {
            lif: Lif { decay: self.decay, threshold: self.threshold },
            rule: self.rule,
            alpha: self.alpha,
            merged_norm: self.bn == NormMode::Merged,
            ann: self.warm_up.is_ann(epoch),
            tssl_rate: self.warm_up.tssl_rate(epoch),
        }
    }

    /// The most by which an error can grow on its way back over T spikes in a row: by what [`neuron::error`] makes of it at a spike of the
    /// lowest potential, T-1 times. 0 for rules without the temporal adjustment.
    pub fn largest_growth(&self) -> f64 {
        match self.rule {
            Rule::BpsaBpta => {
                let across = neuron::error(self.rule.surrogate(self.alpha), self.decay, self.threshold, self.threshold, true, 0.0, 1.0);
                across.powi(self.time_steps as i32 - 1)
            }
            _ => 0.0,
        }
    }

    /// What an evaluation after `epoch` computes.
    pub fn evaluation(&self, epoch: usize) -> Method {
        Method { tssl_rate: None, ..self.method(epoch) }
    }

    /// Whether the network after `epoch` may be chosen as the best: not while the `ann` warm-up makes it another kind of network,
    /// unless the whole run is one.
    pub fn is_candidate(&self, epoch: usize) -> bool {
        !self.warm_up.is_ann(epoch) || self.warm_up.is_ann(self.epochs - 1)
    }

    /// Names of the options in which `self` and `other` differ; where the data and its cache lie does not count, nor how often
    /// credit lines are written: neither changes a weight.
    ///
    /// # Errors
    /// Bug: never, for checked configurations.
    pub fn differences(&self, other: &Config) -> Result<Vec<String>> {
        let table = |c: &Config| {
            let c = Config { data_dir: None, cache: None, credit_every: None, ..c.clone() };
            toml::Table::try_from(c).map_err(|e| Error::bug(format!("configuration to TOML: {e}")))
        };
        let (a, b) = (table(self)?, table(other)?);
        let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        Ok(names.into_iter().filter(|name| a.get(*name) != b.get(*name)).cloned().collect())
    }

    /// As TOML, complete.
    ///
    /// # Errors
    /// Bug: never, for a checked configuration.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::bug(format!("configuration to TOML: {e}")))
    }

    /// From the TOML in a run folder or checkpoint.
    ///
    /// # Errors
    /// Format: not a complete configuration.
    pub fn from_toml(text: &str) -> Result<Config> {
        let config: Config = toml::from_str(text).map_err(|e| Error::format(format!("configuration: {}", e.to_string().trim_end())))?;
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests;
