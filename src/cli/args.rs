//! Every option of every command, with the help that teaches it.

mod data;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use data::{DataArgs, DataCommand, InspectArgs, PrepareArgs, SimulateArgs};

use crate::bench::Inputs;
use crate::config::{BestOn, EngineName, InstructionSet, NormMode, Options, defaults_table};
use crate::data::{DatasetName, Resize};
use crate::events::Sensor;
use crate::frames::SplitBy;
use crate::loss::Loss;
use crate::memory;
use crate::neuron::Rule;
use crate::schedule::{Schedule, WarmUp};
use crate::shape::Chw;
use crate::simulate::Kind;

/// Train deep spiking neural networks, event-driven, from one binary.
///
/// `spiketrain train` without any option trains a small network on built-in digits in about two minutes.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str =
    "Exit codes: 0 done, 1 bug or failed check, 2 wrong usage or data, 3 diverged, 4 storage, 5 memory, 130/143 stopped with a checkpoint.";

#[derive(Subcommand)]
pub enum Command {
    /// Train a network, or go on with a stopped run.
    Train(Box<TrainArgs>),
    /// Watch a run while it trains, from another terminal.
    Watch(WatchArgs),
    /// Accuracy, loss and firing rates of a checkpoint on its data set.
    Eval(EvalArgs),
    /// Classify pictures or event recordings with a checkpoint.
    Predict(PredictArgs),
    /// Show a network: layers, shapes, parameters, cost, memory.
    Net(NetArgs),
    /// List, download and check data sets.
    Data(DataArgs),
    /// Measure training steps and latencies on this machine.
    Bench(BenchArgs),
    /// Check that this machine computes the paper's numbers.
    Doctor(DoctorArgs),
}

#[derive(Args)]
#[command(after_long_help = train_help())]
pub struct TrainArgs {
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
    /// Learning rule: stbp, stbp-detached, bpsa, bpsa+bpta [default: bpsa+bpta].
    #[arg(long, value_parser = rule)]
    pub rule: Option<Rule>,
    /// Share of the error that crosses a spike under bpsa+bpta [default: 0.8].
    #[arg(long)]
    pub alpha: Option<f64>,
    /// Firing threshold u_th [default: 0.5].
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
    /// Loss on firing rates: mse or ce [default: mse].
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
    /// Run folder [default: runs/<dataset>-<net>-<rule>-<n>].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with a stopped run; needs no other option (-j may change).
    #[arg(long, value_name = "RUN_FOLDER")]
    pub resume: Option<PathBuf>,
    /// Use the first N training samples (glyphs: draw N).
    #[arg(long, value_name = "N")]
    pub train_limit: Option<usize>,
    /// Use the first N test samples (glyphs: draw N).
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

impl TrainArgs {
    /// What was said on the command line.
    pub fn options(&self) -> Result<Options, crate::error::Error> {
        let (dataset, dir) = match self.dataset.as_deref() {
            None | Some([]) => (None, None),
            Some([name]) => (Some(name.parse::<DatasetName>()?), None),
            Some([name, dir, ..]) => (Some(name.parse::<DatasetName>()?), Some(PathBuf::from(dir))),
        };
        let (images_dir, events_dir) = match (dataset, dir) {
            (Some(DatasetName::Images), dir) => (dir, None),
            (Some(DatasetName::Events), dir) => (None, dir),
            (Some(name), Some(dir)) => {
                return Err(crate::error::Error::usage(format!("'{}' after data set {name}", dir.display())).at("--dataset").remedy(
                    "only `--dataset images DIR` and `--dataset events DIR` take a folder; other sets are found through --data-dir",
                ));
            }
            _ => (None, None),
        };
        Ok(Options {
            dataset,
            data_dir: self.data_dir.clone(),
            images_dir,
            events_dir,
            cache: self.cache.clone(),
            size: self.size,
            grey: self.grey.then_some(true),
            allow_partial: self.allow_partial.then_some(true),
            net: self.net.clone(),
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
        })
    }
}

/// Curves, firing rates and the time left. It only reads the run's folder: q or Ctrl-C leaves, and the training goes on.
#[derive(Args)]
pub struct WatchArgs {
    /// The run's folder.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Print one frame as plain text; so is done where standard output is no terminal.
    #[arg(long)]
    pub once: bool,
}

#[derive(Args)]
pub struct EvalArgs {
    /// A checkpoint file (best.ckpt, checkpoint-….ckpt), or a run folder: its best.ckpt, else its newest checkpoint.
    pub checkpoint: PathBuf,
    /// Folder that holds the data sets' folders [default: the one of the run].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder for prepared frames of events [default: the one of the run].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Worker threads [default: one per core].
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
}

#[derive(Args)]
pub struct PredictArgs {
    /// A checkpoint file, or a run folder: its best.ckpt, else its newest checkpoint.
    pub checkpoint: PathBuf,
    /// PNG or JPEG pictures; or recordings of an event camera (.bin, .bs2, .aedat, .npz), for a network that was trained on such.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Feed one recording frame by frame: a decision, its confidence and the latency after every time step.
    #[arg(long)]
    pub stream: bool,
    /// Print one JSON object per file (with --stream: per time step).
    #[arg(long)]
    pub json: bool,
    /// Worker threads [default: one per core].
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
}

#[derive(Args)]
pub struct NetArgs {
    /// A preset or a notation.
    pub net: String,
    /// Input: channels x height x width, e.g. 1x28x28.
    #[arg(long, value_name = "CxHxW")]
    pub shape: Chw,
    /// Number of classes for presets.
    #[arg(long, default_value_t = 10)]
    pub classes: usize,
    /// Time steps T for the memory plan.
    #[arg(short = 'T', long, default_value_t = 16)]
    pub time_steps: usize,
    /// Batch size for the memory plan.
    #[arg(short, long, default_value_t = 16)]
    pub batch: usize,
    /// Plan for this much memory, e.g. 1500M or 2G.
    #[arg(long, value_name = "SIZE", value_parser = memory::parse_size)]
    pub memory: Option<usize>,
}

/// Real training steps on noise: samples per second, where the time goes, memory.
#[derive(Args)]
pub struct BenchArgs {
    /// A preset or a notation.
    #[arg(long, default_value = "small")]
    pub net: String,
    /// Input: channels x height x width [default: that of the preset]. Two channels are frames of events.
    #[arg(long, value_name = "CxHxW")]
    pub shape: Option<Chw>,
    /// Time steps T, 1 to 64.
    #[arg(short = 'T', long, default_value_t = 16)]
    pub time_steps: usize,
    /// Samples per step.
    #[arg(short, long, default_value_t = 16)]
    pub batch: usize,
    /// Bring every convolution to this firing rate (by its BatchNorm bias) [default: as initialised, about 0.33].
    #[arg(long)]
    pub rate: Option<f64>,
    /// Inputs: noise (the hardest), or smooth (neighbours are alike, as in pictures; not for events).
    #[arg(long, value_parser = inputs, default_value = "noise")]
    pub inputs: Inputs,
    /// Learning rule: stbp, stbp-detached, bpsa, bpsa+bpta.
    #[arg(long, value_parser = rule, default_value = "bpsa+bpta")]
    pub rule: Rule,
    /// Memory to train in, e.g. 1500M or 2G: layers whose input currents do not fit compute them twice.
    #[arg(long, value_name = "SIZE", value_parser = memory::parse_size)]
    pub memory: Option<usize>,
    /// Timed steps, after two to warm up.
    #[arg(long, default_value_t = 5)]
    pub steps: usize,
    /// Measure the latency of classifying one sample instead, at T = 1, 2, 4 … 32.
    #[arg(long)]
    pub infer: bool,
    /// Worker threads [default: one per core].
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
    /// Compare with the last JSON line of this file, as bench/opponent.py prints it.
    #[arg(long, value_name = "FILE")]
    pub vs: Option<PathBuf>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct DoctorArgs {
    /// A folder of further fixtures (*.safetensors).
    #[arg(long, value_name = "DIR")]
    pub fixtures: Option<PathBuf>,
    /// Print every tensor, not only the worst of each kind.
    #[arg(short, long)]
    pub verbose: bool,
}

fn named<T: Copy>(what: &str, choices: &[(&str, T)], text: &str) -> Result<T, String> {
    let found = choices.iter().find(|c| c.0 == text).map(|c| c.1);
    found.ok_or_else(|| format!("no such {what}; choose {}", choices.iter().map(|c| c.0).collect::<Vec<_>>().join(", ")))
}

fn rule(text: &str) -> Result<Rule, String> {
    named("rule", &Rule::ALL.map(|r| (r.name(), r)), text)
}

fn norm_mode(text: &str) -> Result<NormMode, String> {
    named("BatchNorm mode", &[("per-step", NormMode::PerStep), ("merged", NormMode::Merged)], text)
}

fn loss(text: &str) -> Result<Loss, String> {
    named("loss", &[("mse", Loss::Mse), ("ce", Loss::Ce)], text)
}

fn best_on(text: &str) -> Result<BestOn, String> {
    named("choice", &[("validation", BestOn::Validation), ("test", BestOn::Test), ("last", BestOn::Last)], text)
}

fn engine(text: &str) -> Result<EngineName, String> {
    named("engine", &[("cpu", EngineName::Cpu), ("reference", EngineName::Reference)], text)
}

fn split_by(text: &str) -> Result<SplitBy, String> {
    named("way to cut", &[("number", SplitBy::Number), ("time", SplitBy::Time)], text)
}

fn sensor(text: &str) -> Result<Sensor, String> {
    let side = |s: &str| s.parse::<u16>().ok().filter(|&n| (1..=crate::limits::MAX_SIDE).contains(&n.into()));
    let both = text.split_once('x').and_then(|(w, h)| Some(Sensor { width: side(w)?, height: side(h)? }));
    both.ok_or_else(|| format!("write WIDTHxHEIGHT, 1 to {} each, e.g. 128x128", crate::limits::MAX_SIDE))
}

fn frames(text: &str) -> Result<usize, String> {
    let most = crate::limits::MAX_TIME_STEPS;
    text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| format!("choose 1 to {most}"))
}

fn inputs(text: &str) -> Result<Inputs, String> {
    named("input", &[("noise", Inputs::Noise), ("smooth", Inputs::Smooth)], text)
}

fn resize(text: &str) -> Result<Resize, String> {
    named("way to resize", &Resize::ALL, text)
}

fn kind(text: &str) -> Result<Kind, String> {
    named("kind of recording", &Kind::ALL.map(|k| (k.as_str(), k)), text)
}

fn isa(text: &str) -> Result<InstructionSet, String> {
    named("instruction set", &InstructionSet::ALL.map(|i| (i.name(), i)), text)
}

fn height_width(text: &str) -> Result<[usize; 2], String> {
    let side = |s: &str| s.parse::<usize>().ok().filter(|n| (1..=crate::limits::MAX_SIDE).contains(n));
    let both = text.split_once('x').and_then(|(h, w)| Some([side(h)?, side(w)?]));
    both.ok_or_else(|| format!("write HEIGHTxWIDTH, 1 to {} each, e.g. 32x32", crate::limits::MAX_SIDE))
}
