//! Configuration is data: one struct, complete, written into the run folder and into every checkpoint.
//!
//! [`Options`] is what a user says (command line or TOML, everything optional); [`Config`] is what a run uses.
//! What is not said comes from the defaults of the data set ([`sets::Defaults`]). Both are made of the table in `options.rs`,
//! which declares every option once.

mod check;
mod choices;
mod declare;
mod defaults;
mod options;
mod recipe;

use std::path::{Path, PathBuf};

pub use choices::{BestOn, ClassWeights, Device, InstructionSet, NormMode, minutes, on_off};
pub use declare::Mark;
pub use defaults::defaults_table;
pub use options::{Config, Options};
pub use recipe::Recipe;

use crate::data::{Preparation, own, sets};
use crate::error::{Error, Result};
use crate::limits;
use crate::network::Method;
use crate::neuron::{self, Lif, Rule};
use crate::notation::Notation;
use crate::plan::Plan;
use crate::plural::counted;
use crate::shape::Chw;
use crate::storage;

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
        self.check()?;
        let config = self.filled(self.dataset.unwrap_or(sets::GLYPHS))?;
        config.check()?;
        Ok(config)
    }

    /// Whether the data set is a folder of the user's own that has samples to choose the best epoch by.
    pub fn has_validation_folder(&self) -> bool {
        let Some(set) = self.dataset.filter(|set| set.is_own()) else { return false };
        let dir = if set.is_events() { &self.events_dir } else { &self.images_dir };
        dir.as_ref().is_some_and(|dir| own::has_validation(dir))
    }

    /// Those with one of `marks`.
    pub fn only(self, marks: &[Mark]) -> Options {
        self.filtered(|of| of.iter().any(|m| marks.contains(m)))
    }

    /// Those with none of `marks`.
    pub fn without(self, marks: &[Mark]) -> Options {
        self.filtered(|of| !of.iter().any(|m| marks.contains(m)))
    }
}

impl Config {
    /// With the data set and its prepared frames where they lie now, if not where they lay when the run began.
    pub fn with_data_at(self, data_dir: Option<PathBuf>, cache: Option<PathBuf>) -> Config {
        Config { data_dir: data_dir.or(self.data_dir), cache: cache.or(self.cache), ..self }
    }

    /// With the events of recordings put in the order of their times first.
    ///
    /// # Errors
    /// Usage: the data set holds no recordings.
    pub fn sorted(&self) -> Result<Config> {
        Options { sort: Some(true), ..Options::from(self) }.complete()
    }

    /// The preset or notation with the number of classes put in.
    pub fn net_for(&self, classes: usize) -> String {
        self.net.replace("{n}", &classes.to_string())
    }

    /// A notation laid out for inputs of `shape`, with or without ReLU.
    ///
    /// # Errors
    /// Usage, as [`Plan::new`]; or pixels are to be scaled that have other channels.
    pub fn lay_out(&self, notation: Notation, shape: Chw) -> Result<Plan> {
        if let Some([mean, _]) = self.normalize.as_ref().filter(|[mean, _]| mean.len() != shape.c) {
            return Err(Error::usage(format!("scales pixels of {} channels, the samples have {}", mean.len(), shape.c))
                .at("normalize")
                .remedy("leave it out of config.toml, or give a mean and a standard deviation for each channel"));
        }
        let plan = Plan::new(notation, shape)?;
        Ok(if self.relu { plan } else { plan.without_relu() })
    }

    /// The same for more epochs: those of a curriculum are added at its last T, and schedules go over the new length.
    ///
    /// # Errors
    /// Usage: not more than there are, or too many.
    pub fn lengthened(self, epochs: usize) -> Result<Config> {
        if epochs <= self.epochs {
            return Err(Error::usage(format!("this run has {}; a resumed one may get more, not fewer", counted(self.epochs, "epoch")))
                .option("epochs")
                .remedy(format!("choose {} or more, or leave it out", self.epochs + 1)));
        }
        let longer = Config { epochs, time_steps: self.time_steps.lengthened(epochs), ..self };
        longer.time_steps.check("T")?;
        Ok(longer)
    }

    /// What happens to samples of `channels` channels on their way into the network.
    pub fn preparation(&self, channels: usize) -> Preparation {
        let all = Preparation::of(self.dataset, channels);
        let moved = if self.augment { all } else { all.without_augmentation() };
        let moved = match self.normalize.clone() {
            Some([mean, std]) => Preparation { mean, std, ..moved },
            None => moved,
        };
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
                across.powi(self.time_steps.most() as i32 - 1)
            }
            _ => 0.0,
        }
    }

    /// What an evaluation after `epoch` computes.
    pub fn evaluation(&self, epoch: usize) -> Method {
        Method { tssl_rate: None, ..self.method(epoch) }
    }

    /// Whether the network after `epoch` may be chosen as the best: not at another T than the last, and not while the `ann` warm-up makes it
    /// another kind of network, unless the whole run is one.
    pub fn is_candidate(&self, epoch: usize) -> bool {
        self.time_steps.at(epoch) == self.time_steps.last() && (!self.warm_up.is_ann(epoch) || self.warm_up.is_ann(self.epochs - 1))
    }

    /// That of the trained network: its T, whatever curriculum it was trained by.
    pub fn at_last_steps(self) -> Config {
        Config { time_steps: self.time_steps.last().into(), ..self }
    }

    /// Names of the options in which `self` and `other` differ; where the data and its cache lie does not count, nor how often
    /// credit lines are written: neither changes a weight.
    pub fn differences(&self, other: &Config) -> Vec<String> {
        let counts = |c: &Config| Options::from(c).without(&[Mark::Place, Mark::Watch]);
        counts(self).differing(&counts(other))
    }

    /// What decides which samples are loaded, and nothing else: two configurations that agree in it have the same data set.
    pub fn of_data(&self) -> Options {
        let frames = self.dataset.is_events().then_some(Mark::Frames);
        let drawn = (!self.dataset.is_published()).then_some(Mark::Drawn);
        let marks: Vec<Mark> = [Some(Mark::Data), frames, drawn].into_iter().flatten().collect();
        Options::from(self).only(&marks)
    }

    /// As TOML, complete.
    ///
    /// # Errors
    /// Bug: never, for a checked configuration.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(&Options::from(self)).map_err(|e| Error::bug(format!("configuration to TOML: {e}")))
    }

    /// From the TOML in a run folder or checkpoint.
    ///
    /// # Errors
    /// Format: not a complete configuration. Usage: a value out of range.
    pub fn from_toml(text: &str) -> Result<Config> {
        let wrong = |what: &str| Error::format(format!("configuration: {what}"));
        let said: Options = toml::from_str(text).map_err(|e| wrong(e.to_string().trim_end()))?;
        let config = said.clone().complete()?;
        // What had to be filled in was missing.
        let needed = |options: Options| options.without(&[Mark::Younger]);
        match needed(Options::from(&config)).differing(&needed(said)).first() {
            Some(name) => Err(wrong(&format!("missing field `{name}`"))),
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests;
