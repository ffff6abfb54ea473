//! A session of training, whichever door it came by: configuration, plan, memory, then a trainer that begins or resumes. The loop is
//! [`super::run`].

use std::path::{Path, PathBuf};

use super::budget::{Budget, within};
use super::feed::{Feed, preparation};
use super::trainer::{Progress, Trainer, fresh_tally, smallest_batch};
use super::{Observer, open, save};
use crate::checkpoint::{self, Checkpoint, CheckpointKind};
use crate::config::{BestOn, ClassWeights, Config};
use crate::data::{Dataset, Split, hold_out};
use crate::engine::{Engine, NUMERICS};
use crate::error::{Error, Result};
use crate::loss::balanced_weights;
use crate::network::Network;
use crate::notation::Notation;
use crate::plan::Plan;
use crate::plural::counted;
use crate::run_folder::RunFolder;
use crate::storage::Disk;
use crate::tensors::Tensors;

/// Where a session begins, and where its results stay.
pub enum Start {
    /// A new run: in this folder, or else in the next free one of runs/.
    New(Option<PathBuf>),
    /// A run that was stopped.
    Resumed(RunFolder),
}

/// What is to be trained on what, known to fit together and into memory; no weights yet.
pub struct Session<'a> {
    /// Complete; `net` is the resolved notation.
    pub config: Config,
    /// The samples.
    pub data: &'a dyn Dataset,
    /// Indices trained on.
    pub train: Vec<u32>,
    /// Indices to choose the best epoch by: of [`Split::Validation`] where the data set has one, else held out of the training split.
    pub validation: Vec<u32>,
    /// The network.
    pub plan: Plan,
    /// How the training keeps within its memory; the result does not depend on it.
    pub budget: Budget,
    /// The preset that the configuration named.
    pub preset: Option<&'static str>,
    feed: Feed<'a>,
}

impl<'a> Session<'a> {
    /// A session whose network is judged on the test set; `memory`: bytes to train in, else those of the machine.
    ///
    /// # Errors
    /// Usage: the network or T does not fit the data, a set is empty, the batch is larger than the set or too small for statistics.
    /// Memory: it does not fit.
    pub fn new(config: Config, data: &'a dyn Dataset, memory: Option<usize>) -> Result<Self> {
        let session = Session::without_test(config, data, memory)?;
        match data.labels(Split::Test).is_empty() {
            true => Err(Error::usage("the test set is empty").at(session.config.dataset)),
            false => Ok(session),
        }
    }

    /// The same, whether or not there are samples to judge the network on; without any it is not evaluated.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn without_test(mut config: Config, data: &'a dyn Dataset, memory: Option<usize>) -> Result<Self> {
        let (plan, preset) = (plan(&config, data)?, open::preset(&config));
        let budget = within(&config, data, &plan, memory)?;
        config.net = plan.notation.to_string();
        let labels = data.labels(Split::Train);
        let all: Vec<u32> = (0..labels.len() as u32).collect();
        let in_folder = data.labels(Split::Validation).len() as u32;
        let (train, validation) = match config.val_split > 0.0 {
            true if in_folder > 0 => {
                return Err(Error::usage(format!("the data set has {in_folder} samples for validation in a folder of its own"))
                    .option_as("val-split", config.val_split)
                    .remedy("leave it out, or take the folder val away from beside train and test"));
            }
            true => hold_out(labels, config.val_split, config.seed)?,
            false => (all, (0..in_folder).collect()),
        };
        if config.best_on == BestOn::Validation && validation.is_empty() {
            return Err(Error::usage("there are no validation samples to choose on")
                .option_as("best-on", "validation")
                .remedy("add --val-split 0.1, or a folder val beside train and test"));
        }
        check_batch(&config, &plan, train.len())?;
        let feed = Feed::new(&config, data)?;
        Ok(Session { config, data, train, validation, plan, budget, preset, feed })
    }

    /// Samples left out of every epoch because the last batch would be too small for statistics.
    pub fn dropped_samples(&self) -> usize {
        let rest = self.train.len() % self.config.batch;
        if rest < smallest_batch(self.config.batch) { rest } else { 0 }
    }

    /// Begins or resumes in a run folder.
    ///
    /// # Errors
    /// As [`Session::begin`] and [`open::folder`], before there is a folder, or as [`Session::resume`].
    pub fn start<'t, E: Engine>(self, engine: &'t E, start: Start, watch: &mut dyn Observer) -> Result<(Trainer<'t, E>, RunFolder)>
    where
        'a: 't,
    {
        match start {
            Start::Resumed(folder) => Ok((self.resume(engine, &folder, watch)?, folder)),
            Start::New(out) => {
                let preset = self.preset;
                let trainer = self.begin(engine)?;
                let folder = open::folder(&trainer.config, preset, out)?;
                Ok((trainer, folder))
            }
        }
    }

    /// A new run: with the weights and statistics of the checkpoint that `init` names, or else fresh ones.
    ///
    /// # Errors
    /// As of [`checkpoint::load`]; Usage: they are of another network.
    pub fn begin<'t, E: Engine>(self, engine: &'t E) -> Result<Trainer<'t, E>>
    where
        'a: 't,
    {
        let net = match &self.config.init {
            Some(path) => self.initial(engine, path)?,
            None => Network::init(engine, self.plan.clone(), self.config.seed),
        };
        Ok(self.with(engine, net))
    }

    fn initial<E: Engine>(&self, engine: &E, path: &Path) -> Result<Network<E>> {
        let mut c = checkpoint::load(&Disk, path)?;
        let shape = self.plan.shape.to_string();
        if c.header.network != self.config.net || c.header.input_shape != shape {
            return Err(Error::usage(format!(
                "the checkpoint is of {} on {}, the run of {} on {shape}",
                c.header.network, c.header.input_shape, self.config.net
            ))
            .at(path.display())
            .remedy("train the same network (--net), on samples of the same shape"));
        }
        save::network(engine, &self.plan, &mut c).map_err(|e| e.at(path.display()))
    }

    /// A new run of this network, whose plan is that of the session.
    pub fn with<'t, E: Engine>(self, engine: &'t E, net: Network<E>) -> Trainer<'t, E>
    where
        'a: 't,
    {
        let moments = [net.zeros(engine), net.zeros(engine)];
        let progress = Progress { tally: fresh_tally(&net.plan), ..Progress::default() };
        self.at(engine, net, moments, progress)
    }

    fn at<'t, E: Engine>(
        self,
        engine: &'t E,
        mut net: Network<E>,
        moments: [Vec<Tensors<E::Param>>; 2],
        progress: Progress,
    ) -> Trainer<'t, E>
    where
        'a: 't,
    {
        let Session { config, data, feed, train, validation, budget: Budget { recompute, credit_samples }, .. } = self;
        net.recompute = recompute;
        let class_weights = match config.class_weights {
            ClassWeights::None => None,
            ClassWeights::Balanced => {
                let labels = data.labels(Split::Train);
                Some(balanced_weights(train.iter().map(|&i| labels[i as usize]), net.plan.classes()))
            }
        };
        Trainer { engine, config, data, feed, train, validation, class_weights, net, moments, credit_samples, progress }
    }

    /// Resumes from the newest checkpoint of a run folder, or begins anew where there is none yet.
    ///
    /// # Errors
    /// As [`Session::restore`] and [`RunFolder::load_newest`].
    pub fn resume<'t, E: Engine>(self, engine: &'t E, folder: &RunFolder, watch: &mut dyn Observer) -> Result<Trainer<'t, E>>
    where
        'a: 't,
    {
        let Some(newest) = folder.load_newest()? else {
            watch.note("this run was stopped before its first checkpoint: it begins anew");
            let trainer = self.begin(engine)?;
            folder.truncate_metrics(0, 0)?;
            return Ok(trainer);
        };
        newest.warnings.iter().for_each(|w| watch.note(&format!("warning: {w}")));
        let (place, numerics) = (newest.path.display().to_string(), newest.checkpoint.header.numerics);
        let before = Config::from_toml(&newest.checkpoint.header.config_toml)?.device;
        let device = self.config.device.clone();
        if self.config.sort && !Config::from_toml(&newest.checkpoint.header.config_toml)?.sort {
            watch.note("note: from here on events are put in the order of their times, which they were not so far: frames may be others");
        }
        let trainer = self.restore(engine, newest.checkpoint).map_err(|e| e.at(&place))?;
        let Progress { epoch, step, .. } = trainer.progress;
        folder.truncate_metrics(epoch as u64, step)?;
        watch.note(&format!("resumed from {place}: step {step}, epoch {}", epoch + 1));
        if before != device {
            watch.note(&format!("note: this run was on {before} and goes on on {device}; its last bits are not those it would have had"));
        }
        if numerics != NUMERICS {
            watch.note(&format!(
                "note: this run was begun with numerics {numerics}, this version computes with {NUMERICS}: \
                 it goes on, but its last bits are not those it would have had"
            ));
        }
        Ok(trainer)
    }

    /// A run as a checkpoint has it.
    ///
    /// # Errors
    /// Usage: the checkpoint holds no optimiser state, or is of another data set or configuration. Format: its tensors do not fit.
    pub fn restore<'t, E: Engine>(self, engine: &'t E, mut c: Checkpoint) -> Result<Trainer<'t, E>>
    where
        'a: 't,
    {
        if c.header.kind != CheckpointKind::Training {
            return Err(Error::usage("this checkpoint holds weights only, not the optimiser's state").remedy("resume from the run folder"));
        }
        // A run may have been given more epochs since, another device, or sorted events: other frames of the same recordings.
        let theirs = Config::from_toml(&c.header.config_toml)?;
        let sorted_since = self.config.sort && !theirs.sort;
        if c.header.dataset_fingerprint != self.data.fingerprint() && !sorted_since {
            return Err(Error::usage(format!(
                "the data set {} is not the one this run was trained on (other files or limits)",
                self.data.name()
            ))
            .remedy("point --data-dir of the run's config.toml at the same files (spiketrain data check)"));
        }
        let theirs = Config { device: self.config.device.clone(), ..theirs };
        let theirs = if sorted_since { Config { sort: true, ..theirs } } else { theirs };
        let theirs = if self.config.epochs > theirs.epochs { theirs.lengthened(self.config.epochs)? } else { theirs };
        let other = self.config.differences(&theirs);
        if !other.is_empty() {
            return Err(Error::usage(format!("the checkpoint was written by a run with other options: {}", other.join(", ")))
                .remedy("a resumed run keeps its options: put config.toml back as it was, or start a new run with --config"));
        }
        let progress: Progress = serde_json::from_value(c.header.progress.clone())
            .map_err(|e| Error::format(format!("the checkpoint's progress cannot be understood: {e}")))?;
        if progress.tally.spikes.len() != self.plan.blocks.len() || progress.step != c.header.step {
            return Err(Error::format("the checkpoint's progress does not belong to its network"));
        }
        let net = save::network(engine, &self.plan, &mut c)?;
        let moments = save::moments(engine, &self.plan, &mut c)?;
        Ok(self.at(engine, net, moments, progress))
    }
}

/// The network of a configuration on the samples of a data set; takes no memory.
///
/// # Errors
/// Usage: the network does not fit the data.
fn plan(config: &Config, data: &dyn Dataset) -> Result<Plan> {
    let classes = data.classes().len();
    config.lay_out(Notation::resolve(&config.net_for(classes), classes)?, data.shape(&preparation(config, data)))
}

fn check_batch(config: &Config, plan: &Plan, samples: usize) -> Result<()> {
    if config.batch > samples {
        return Err(Error::usage(format!("a batch of {} is larger than the training set of {}", config.batch, counted(samples, "sample")))
            .option("batch")
            .remedy(format!("choose --batch {samples} or less")));
    }
    match plan.without_variance(smallest_batch(config.batch)) {
        Some(b) => Err(Error::usage(format!("BatchNorm of layer {} ({}) sees one value per channel", b.index, b.name()))
            .option_as("batch", config.batch)
            .remedy("choose --batch 8 or more")),
        None => Ok(()),
    }
}
