//! Options of a training run.

use std::path::PathBuf;

use clap::Args;

use super::{best_on, engine, height_width, isa, loss, norm_mode, on_off, resize, rule, split_by};
use crate::config::{BestOn, EngineName, InstructionSet, NormMode, Options, defaults_table};
use crate::data::{DatasetName, Resize};
use crate::error::{Error, Result};
use crate::frames::SplitBy;
use crate::loss::Loss;
use crate::memory;
use crate::neuron::Rule;
use crate::schedule::{Schedule, WarmUp};

/// What a training run is; `train` and every study take it.
#[derive(Args)]
pub struct RunArgs {
    /// Data set: glyphs, mnist, fashion-mnist, cifar10, `images DIR`; of events: motions, nmnist, dvs-gesture, dvs-cifar10, `events DIR`.
    #[arg(long, num_args = 1..=2, value_names = ["NAME", "DIR"])]
    pub dataset: Option<Vec<String>>,
    /// Folder that holds mnist/, cifar10/, … [default: $SPIKETRAIN_DATA, else ~/.local/share/spiketrain].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder for prepared frames of events [default: cache/ in the data folder].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Use an incomplete data set (some CIFAR10 batches, some recordings) as it is; said and stored.
    #[arg(long)]
    pub allow_partial: bool,
    /// HEIGHTxWIDTH that pictures of `--dataset images` are resized to; of `--dataset events` the camera's WIDTHxHEIGHT, if the files do not say.
    #[arg(long, value_name = "HxW|WxH", value_parser = height_width)]
    pub size: Option<[usize; 2]>,
    /// Make pictures of `--dataset images` grey.
    #[arg(long)]
    pub grey: bool,
    /// Network: small, middle, large, released-…, or a notation such as 16C3-MP2-256FC-DP-10Voting.
    #[arg(long, value_name = "NET")]
    pub net: Option<String>,
    /// Begin with the weights and statistics of this checkpoint, of a run or imported, instead of fresh ones.
    #[arg(long, value_name = "CHECKPOINT")]
    pub init: Option<PathBuf>,
    /// Learning rule: stbp, stbp-detached, bpsa, bpsa+bpta [default: bpsa+bpta].
    #[arg(long, value_parser = rule)]
    pub rule: Option<Rule>,
    /// Share of the error that crosses a spike under bpsa+bpta [default: see below].
    #[arg(long)]
    pub alpha: Option<f64>,
    /// Firing threshold u_th [default: see below].
    #[arg(long)]
    pub threshold: Option<f64>,
    /// Decay λ of the membrane potential per step [default: 0.9].
    #[arg(long)]
    pub decay: Option<f64>,
    /// Time steps T, 1 to 64.
    #[arg(short = 'T', long)]
    pub time_steps: Option<usize>,
    /// Samples per step.
    #[arg(short, long)]
    pub batch: Option<usize>,
    /// Passes over the training set.
    #[arg(long)]
    pub epochs: Option<usize>,
    /// Base learning rate of AdamW [default: 0.001].
    #[arg(long)]
    pub lr: Option<f64>,
    /// Weight decay of AdamW [default: 0.0001].
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Learning-rate schedule: restarts:EPOCHS[:FACTOR] (cosine with warm restarts), ramp-cosine, constant.
    #[arg(long)]
    pub schedule: Option<Schedule>,
    /// First epochs: none, ann:N (neurons pass their input on) or tssl:N (quiet layers get a smooth surrogate).
    #[arg(long)]
    pub warm_up: Option<WarmUp>,
    /// BatchNorm statistics: per-step (the paper), or merged, which evaluates better at few time steps [default: per-step].
    #[arg(long, value_parser = norm_mode)]
    pub bn: Option<NormMode>,
    /// ReLU between the currents and the neurons, on or off: off for networks that shall leave through NIR, which has none [default: on].
    #[arg(long, value_parser = on_off, value_name = "on|off")]
    pub relu: Option<bool>,
    /// Loss on firing rates: mse or ce [default: see below].
    #[arg(long, value_parser = loss)]
    pub loss: Option<Loss>,
    /// Random moves of training samples, one draw for all frames: crop, flip and rotate as far as the data set bears it [default: see below].
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub augment: Option<bool>,
    /// Cut recordings into T frames by number (of events) or time [default: number].
    #[arg(long, value_parser = split_by)]
    pub split_by: Option<SplitBy>,
    /// Halve the sides of event frames after augmentation: nearest (even pixels are kept), sum (of 2x2 pixels) or none [default: see below].
    #[arg(long, value_parser = resize)]
    pub resize: Option<Resize>,
    /// Leave every event of a training sample out with this probability [default: 0].
    #[arg(long, value_name = "P")]
    pub event_drop: Option<f64>,
    /// Add noise events to training samples, R per pixel, polarity and frame on average [default: 0].
    #[arg(long, value_name = "R")]
    pub event_noise: Option<f64>,
    /// Refuse recordings with any event out of range or back in time; without it they are counted, and up to 1 % are skipped.
    #[arg(long)]
    pub strict: bool,
    /// Seed of everything random [default: 1].
    #[arg(long)]
    pub seed: Option<u64>,
    /// Memory to train in, e.g. 1500M or 2G: layers whose input currents do not fit compute them twice. The result does not depend on it.
    #[arg(long, value_name = "SIZE", value_parser = memory::parse_size)]
    pub memory: Option<usize>,
    /// Worker threads [default: one per core]. The result does not depend on it.
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
    /// Use the first N training samples (glyphs: draw N; recordings: of the classes in turn).
    #[arg(long, value_name = "N")]
    pub train_limit: Option<usize>,
    /// Use the first N test samples (glyphs: draw N; recordings: of the classes in turn).
    #[arg(long, value_name = "N")]
    pub test_limit: Option<usize>,
    /// Evaluate every N epochs, and after the last [default: 1].
    #[arg(long, value_name = "N")]
    pub eval_every: Option<usize>,
    /// Save a checkpoint every N steps besides the one after each epoch [default: 0, none].
    #[arg(long, value_name = "N")]
    pub checkpoint_every: Option<usize>,
    /// Write a credit line every K steps; 0: never [default: once per epoch, at its first step].
    #[arg(long, value_name = "K")]
    pub credit_every: Option<usize>,
    /// Hold out this share of the training set and choose the best epoch on it.
    #[arg(long, value_name = "SHARE")]
    pub val_split: Option<f64>,
    /// Choose the best epoch on: validation, test (biased, and said so), last [default: validation with --val-split, else last].
    #[arg(long, value_parser = best_on)]
    pub best_on: Option<BestOn>,
    /// Engine: cpu (event-driven) or reference (slow, f64) [default: cpu].
    #[arg(long, value_parser = engine)]
    pub engine: Option<EngineName>,
    /// Instruction set of the cpu engine: portable, avx2, avx512; last bits depend on it [default: the widest of this machine].
    #[arg(long, value_parser = isa)]
    pub isa: Option<InstructionSet>,
    /// Read options from a TOML file (a run's config.toml is one); options given here win.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_long_help = train_help())]
pub struct TrainArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Run folder [default: runs/<dataset>-<net>-<rule>-<n>].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a stopped run; needs no other option (-j may change).
    #[arg(long, value_name = "RUN_FOLDER")]
    pub resume: Option<PathBuf>,
    /// Show plan, memory, disk and time per epoch from two real steps; write nothing.
    #[arg(long)]
    pub dry_run: bool,
}

fn train_help() -> String {
    format!(
        "Defaults by data set:\n{}\nA warm-up by default takes at most a third of a run. The paper trains 300 epochs at T = 16.",
        defaults_table()
    )
}

impl RunArgs {
    /// What was said on the command line.
    pub fn options(&self) -> Result<Options> {
        let (dataset, dir) = match self.dataset.as_deref() {
            None | Some([]) => (None, None),
            Some([name]) => (Some(name.parse::<DatasetName>()?), None),
            Some([name, dir, ..]) => (Some(name.parse::<DatasetName>()?), Some(PathBuf::from(dir))),
        };
        let (images_dir, events_dir) = match (dataset, dir) {
            (Some(DatasetName::Images), dir) => (dir, None),
            (Some(DatasetName::Events), dir) => (None, dir),
            (Some(name), Some(dir)) => {
                return Err(Error::usage(format!("'{}' after data set {name}", dir.display())).at("--dataset").remedy(
                    "only `--dataset images DIR` and `--dataset events DIR` take a folder; other sets are found through --data-dir",
                ));
            }
            _ => (None, None),
        };
        let options = Options {
            dataset,
            data_dir: self.data_dir.clone(),
            images_dir,
            events_dir,
            cache: self.cache.clone(),
            size: self.size,
            grey: self.grey.then_some(true),
            allow_partial: self.allow_partial.then_some(true),
            net: self.net.clone(),
            init: self.init.clone(),
            rule: self.rule,
            alpha: self.alpha,
            threshold: self.threshold,
            decay: self.decay,
            time_steps: self.time_steps,
            batch: self.batch,
            epochs: self.epochs,
            lr: self.lr,
            weight_decay: self.weight_decay,
            schedule: self.schedule,
            warm_up: self.warm_up,
            bn: self.bn,
            relu: self.relu,
            loss: self.loss,
            seed: self.seed,
            train_limit: self.train_limit,
            test_limit: self.test_limit,
            eval_every: self.eval_every,
            checkpoint_every: self.checkpoint_every,
            credit_every: self.credit_every,
            val_split: self.val_split,
            best_on: self.best_on,
            augment: self.augment,
            split_by: self.split_by,
            resize: self.resize,
            event_drop: self.event_drop,
            event_noise: self.event_noise,
            strict: self.strict.then_some(true),
            engine: self.engine,
            isa: self.isa,
        };
        options.writable()?;
        Ok(options)
    }
}
