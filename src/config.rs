//! Configuration is data: one struct, complete, written into the run folder and into every checkpoint.
//!
//! [`Options`] is what a user says (command line or TOML, everything optional); [`Config`] is what a run uses.
//! What is not said comes from the table of defaults per data set, [`DEFAULTS`].

mod defaults;

use std::path::{Path, PathBuf};

pub use defaults::{DEFAULTS, Defaults, defaults_table};
use serde::{Deserialize, Serialize};

use crate::data::{DatasetName, Preparation, Resize};
use crate::engine::cpu::Isa;
use crate::error::{Error, Result};
use crate::frames::SplitBy;
use crate::limits;
use crate::loss::Loss;
use crate::network::Method;
use crate::neuron::{Lif, Rule};
use crate::notation::Notation;
use crate::plan::Plan;
use crate::schedule::{Schedule, WarmUp};
use crate::shape::Chw;
use crate::storage;

/// BatchNorm statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormMode {
    /// One per time step (the paper).
    #[default]
    PerStep,
    /// One over all steps.
    Merged,
}

/// On what the best epoch is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BestOn {
    /// The samples held out by `--val-split`.
    Validation,
    /// The test set: the authors' way, and a bias the result names.
    Test,
    /// No choice: the last epoch.
    Last,
}

/// Which engine computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Event-driven, f32.
    #[default]
    Cpu,
    /// The slow f64 oracle.
    Reference,
}

/// Instruction set of the cpu engine. Part of a run, because the last bits of sums depend on it: a resumed run keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstructionSet {
    /// No particular one.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512.
    Avx512,
}

impl InstructionSet {
    /// All, from narrow to wide.
    pub const ALL: [InstructionSet; 3] = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable => "portable",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Avx512 => "avx512",
        }
    }

    /// For the engine.
    ///
    /// # Errors
    /// Usage: this machine does not have it.
    pub fn isa(self) -> Result<Isa> {
        let mut all = Isa::available().into_iter();
        all.find(|isa| isa.name() == self.name()).ok_or_else(|| {
            Error::usage(format!("this machine does not have {}", self.name()))
                .at("--isa")
                .remedy(format!("a run whose bits need not be repeated can be started with --isa {}", Isa::best().name()))
        })
    }
}

impl Default for InstructionSet {
    /// The widest of this machine.
    fn default() -> Self {
        let best = Isa::best().name();
        Self::ALL.into_iter().find(|i| i.name() == best).unwrap_or(InstructionSet::Portable)
    }
}

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

    /// TOML has no whole numbers above 2^63 - 1.
    ///
    /// # Errors
    /// Usage: there is a larger one, which no config.toml could hold.
    pub fn writable(&self) -> Result<()> {
        let numbers = [
            ("--time-steps", self.time_steps),
            ("--batch", self.batch),
            ("--epochs", self.epochs),
            ("--train-limit", self.train_limit),
            ("--test-limit", self.test_limit),
            ("--eval-every", self.eval_every),
            ("--checkpoint-every", self.checkpoint_every),
            ("--credit-every", self.credit_every),
        ];
        let numbers = numbers.map(|(option, n)| (option, n.map(|n| n as u64)));
        let largest = i64::MAX as u64;
        match numbers.into_iter().chain([("--seed", self.seed)]).find(|(_, n)| n.is_some_and(|n| n > largest)) {
            Some((option, n)) => Err(out_of_range(option, n.unwrap_or_default(), &format!("at most {largest}"))),
            None => Ok(()),
        }
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

    fn check(&self) -> Result<()> {
        let whole = |option: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(out_of_range(option, value, &format!("{low} to {high}"))) }
        };
        let real = |option: &str, value: f64, ok: bool, range: &str| {
            if ok && value.is_finite() { Ok(()) } else { Err(out_of_range(option, value, range)) }
        };
        whole("--time-steps", self.time_steps, 1, limits::MAX_TIME_STEPS)?;
        whole("--batch", self.batch, 1, limits::MAX_BATCH)?;
        whole("--epochs", self.epochs, 1, limits::MAX_EPOCHS)?;
        whole("--eval-every", self.eval_every, 1, limits::MAX_EPOCHS)?;
        whole("--train-limit", self.train_limit.unwrap_or(1), 1, usize::MAX)?;
        whole("--test-limit", self.test_limit.unwrap_or(1), 1, usize::MAX)?;
        real("--alpha", self.alpha, (0.0..=10.0).contains(&self.alpha), "0 to 10")?;
        real("--threshold", self.threshold, self.threshold > 0.0 && self.threshold <= 1e3, "above 0, at most 1000")?;
        real("--decay", self.decay, (0.0..=1.0).contains(&self.decay), "0 to 1")?;
        real("--lr", self.lr, self.lr > 0.0 && self.lr <= 10.0, "above 0, at most 10")?;
        real("--weight-decay", self.weight_decay, (0.0..=1.0).contains(&self.weight_decay), "0 to 1")?;
        real("--val-split", self.val_split, (0.0..=0.9).contains(&self.val_split), "0 to 0.9")?;
        real("--event-drop", self.event_drop, (0.0..1.0).contains(&self.event_drop), "0 to below 1")?;
        real("--event-noise", self.event_noise, (0.0..=limits::MAX_EVENT_NOISE).contains(&self.event_noise), "0 to 10")?;
        if let Some(dir) = [&self.data_dir, &self.images_dir, &self.events_dir, &self.cache, &self.init]
            .into_iter()
            .flatten()
            .find(|d| d.to_str().is_none())
        {
            return Err(
                Error::usage("the name of this folder or file is not UTF-8, and cannot be written to config.toml").at(dir.display())
            );
        }
        if self.best_on == BestOn::Validation && self.val_split == 0.0 {
            return Err(Error::usage("there are no validation samples to choose on")
                .at("--best-on validation")
                .remedy("add --val-split 0.1"));
        }
        if self.dataset == DatasetName::Images && self.images_dir.is_none() {
            return Err(Error::usage("no folder of pictures is given").at("--dataset images").remedy("write --dataset images DIR"));
        }
        if self.dataset == DatasetName::Events && self.events_dir.is_none() {
            return Err(Error::usage("no folder of recordings is given").at("--dataset events").remedy("write --dataset events DIR"));
        }
        if self.dataset == DatasetName::Motions && (self.split_by != SplitBy::Number || self.strict) {
            let option = if self.strict { "--strict" } else { "--split-by time" };
            return Err(Error::usage("motions are made as frames, visit by visit").at(option).remedy("leave it out"));
        }
        if !self.dataset.is_events() {
            return self.check_no_event_options();
        }
        Ok(())
    }

    /// What acts on events would silently do nothing to pictures.
    fn check_no_event_options(&self) -> Result<()> {
        let said = [
            ("--split-by", self.split_by != SplitBy::default()),
            ("--resize", self.resize != Resize::None),
            ("--event-drop", self.event_drop > 0.0),
            ("--event-noise", self.event_noise > 0.0),
            ("--strict", self.strict),
        ];
        match said.iter().find(|(_, said)| *said) {
            Some((option, _)) => Err(Error::usage(format!("{} holds pictures, not recordings of events", self.dataset))
                .at(*option)
                .remedy("leave it out, or choose a set of events (spiketrain data list)")),
            None => Ok(()),
        }
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

fn out_of_range(option: &str, value: impl std::fmt::Display, range: &str) -> Error {
    Error::usage(format!("{value} is out of range")).at(option).remedy(format!("choose {range}"))
}

#[cfg(test)]
mod tests;
