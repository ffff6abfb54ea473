//! Every option of every command, with the help that teaches it.

mod data;
mod export;
mod study;
mod train;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use data::{DataArgs, DataCommand, InspectArgs, PrepareArgs, SimulateArgs};
pub use export::{ExportArgs, ImportArgs};
pub use study::{ReproduceArgs, StudyArgs, StudyCommand, StudyOptions};
pub use train::{RunArgs, TrainArgs};

use super::progress::Voice;
use crate::bench::Inputs;
use crate::config::{Device, InstructionSet, on_off};
use crate::data::DatasetName;
use crate::events::Sensor;
use crate::memory;
use crate::neuron::Rule;
use crate::shape::Chw;
use crate::trained::Trained;

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
    /// Compare rules, time steps, α or energy over seeds.
    Study(Box<StudyArgs>),
    /// The paper's tables and figures with the data at hand.
    Reproduce(Box<ReproduceArgs>),
    /// Named sets of defaults: ours, the paper's, the authors' scripts; what each reaches, and in how long.
    Recipes(RecipesArgs),
    /// Watch a run while it trains, from another terminal.
    Watch(WatchArgs),
    /// Accuracy, loss and firing rates of a checkpoint on its data set.
    Eval(EvalArgs),
    /// Classify pictures or event recordings with a checkpoint.
    Predict(PredictArgs),
    /// Write a trained network as NIR, safetensors, npz or C; read it back and compare.
    Export(Box<ExportArgs>),
    /// Make a checkpoint of a NIR graph, a PyTorch state_dict or an npz.
    Import(Box<ImportArgs>),
    /// Runs on one page: curves, firing rates, spikes, confusions, filters, credit assignment, warnings.
    Report(ReportArgs),
    /// Show a network: layers, shapes, parameters, cost, memory.
    Net(NetArgs),
    /// List, download and check data sets.
    Data(DataArgs),
    /// Measure training steps and latencies on this machine.
    Bench(BenchArgs),
    /// Check that this machine computes the paper's numbers.
    Doctor(DoctorArgs),
    /// Completions for a shell, to be put where it looks for them, e.g. spiketrain completions bash > ~/.local/share/bash-completion/completions/spiketrain
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Man pages: that of spiketrain on standard output, or those of all commands into a folder, e.g. spiketrain man ~/.local/share/man/man1
    Man {
        /// Where to write a file per command, such as spiketrain-train.1.
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
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

// Every command that shows progress takes it. (A doc comment here would become the help of them all.)
#[derive(Args, Clone, Copy)]
pub struct Loudness {
    /// Say warnings and the result alone.
    #[arg(long, short)]
    pub quiet: bool,
}

impl Loudness {
    /// How such a command speaks.
    pub fn voice(self) -> Voice {
        if self.quiet { Voice::Quiet } else { Voice::Full }
    }
}

// Where the data of a run lies now. (A doc comment here would become the help of every command that flattens this.)
#[derive(Args)]
pub struct Places {
    /// Folder that holds the data sets' folders [default: the one of the run].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder for prepared frames of events [default: the one of the run].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
}

impl Places {
    /// The network of a run with its data there.
    pub fn of(&self, net: Trained) -> Trained {
        net.with_data_at(self.data_dir.clone(), self.cache.clone())
    }
}

#[derive(Args)]
pub struct EvalArgs {
    /// A checkpoint file, or a run folder: its best.ckpt or last.ckpt, else its newest checkpoint.
    pub checkpoint: PathBuf,
    #[command(flatten)]
    pub places: Places,
    /// Put the events of every recording in the order of their times first; as it was trained if the network was trained with --sort.
    #[arg(long)]
    pub sort: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub loudness: Loudness,
    /// What computes: cpu, reference, gpu, gpu:N or gpu:NAME [default: as in training].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// Worker threads [default: one per core].
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
}

fn predicted_files() -> String {
    let endings = crate::events::format::endings().join(", .");
    format!("PNG or JPEG pictures; or recordings of an event camera (.{endings}), for a network that was trained on such")
}

#[derive(Args)]
pub struct PredictArgs {
    /// A checkpoint file, or a run folder: its best.ckpt or last.ckpt, else its newest checkpoint.
    pub checkpoint: PathBuf,
    #[arg(required = true, value_name = "FILE", help = predicted_files())]
    pub files: Vec<PathBuf>,
    /// Feed one recording frame by frame: a decision, its confidence and the latency after every time step.
    #[arg(long)]
    pub stream: bool,
    /// Put the events of every recording in the order of their times first; as it was trained if the network was trained with --sort.
    #[arg(long)]
    pub sort: bool,
    /// Print one JSON object per file (with --stream: per time step).
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub loudness: Loudness,
    /// What computes: cpu, reference, gpu, gpu:N or gpu:NAME [default: as in training].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// Worker threads [default: one per core].
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
}

#[derive(Args)]
pub struct ReportArgs {
    /// Run folders, a study's folder or a folder that holds runs; several runs are compared, and spikes, confusions and filters are
    /// those of the first.
    #[arg(required = true, value_name = "FOLDER")]
    pub runs: Vec<PathBuf>,
    /// The page; its pictures and numbers go into a folder of the same name beside it [default: report.html in the first folder].
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Test samples whose spikes and membrane potentials are drawn, at most one of each class, 0 to 20.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = samples)]
    pub samples: usize,
    /// Test samples to classify for the confusion matrix, energy and latency, evenly spread; 0: all.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub test_samples: usize,
    #[command(flatten)]
    pub places: Places,
    #[command(flatten)]
    pub loudness: Loudness,
    /// What computes: cpu, reference, gpu, gpu:N or gpu:NAME [default: as in training].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
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
    /// ReLU between the currents and the neurons: on or off.
    #[arg(long, value_parser = on_off, value_name = "on|off", action = clap::ArgAction::Set, default_value = "on")]
    pub relu: bool,
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
    #[arg(long, default_value = "noise")]
    pub inputs: Inputs,
    /// Learning rule: stbp, stbp-detached, bpsa, bpsa+bpta.
    #[arg(long, default_value = "bpsa+bpta")]
    pub rule: Rule,
    /// Memory to train in, e.g. 1500M or 2G: layers whose input currents do not fit recompute them.
    #[arg(long, value_name = "SIZE", value_parser = memory::parse_size)]
    pub memory: Option<usize>,
    /// Timed steps, after two to warm up.
    #[arg(long, default_value_t = 5)]
    pub steps: usize,
    /// Measure the latency of classifying one sample instead, at T = 1, 2, 4 … 32.
    #[arg(long)]
    pub infer: bool,
    /// What computes: cpu, reference, gpu, gpu:N or gpu:NAME [default: cpu].
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<Device>,
    /// Instruction set: portable, neon, avx2, avx512 [default: the widest of this machine].
    #[arg(long)]
    pub isa: Option<InstructionSet>,
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
pub struct RecipesArgs {
    /// Show what the recipes of this data set consist of.
    pub dataset: Option<DatasetName>,
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

fn sensor(text: &str) -> Result<Sensor, String> {
    let side = |s: &str| s.parse::<u16>().ok().filter(|&n| (1..=crate::limits::MAX_SIDE).contains(&n.into()));
    let both = text.split_once('x').and_then(|(w, h)| Some(Sensor { width: side(w)?, height: side(h)? }));
    both.ok_or_else(|| format!("write WIDTHxHEIGHT, 1 to {} each, e.g. 128x128", crate::limits::MAX_SIDE))
}

fn frames(text: &str) -> Result<usize, String> {
    let most = crate::limits::MAX_TIME_STEPS;
    text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| format!("choose 1 to {most}"))
}

fn samples(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n <= 20).ok_or_else(|| "choose 0 to 20".to_string())
}
