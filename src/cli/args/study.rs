//! Options of studies and of the paper's tables.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Loudness, RunArgs};
use crate::config::minutes;
use crate::neuron::Rule;
use crate::study::tune::Tune;

#[derive(Args)]
pub struct StudyArgs {
    #[command(subcommand)]
    pub command: StudyCommand,
}

#[derive(Subcommand)]
pub enum StudyCommand {
    /// What each part of the rule contributes: the rules side by side (Table 8).
    Ablation(StudyOptions),
    /// How few time steps will do: rules x T trained, and every network read out after each step (Table 9, Fig. 5).
    Latency(LatencyOptions),
    /// What spikes save: rates, counted operations, energy, beside the same network trained without spikes (Table 6).
    Energy(StudyOptions),
    /// What α does under bpsa+bpta.
    Alpha(AlphaOptions),
}

/// All of train's options, and what a study adds. Run the same command again to go on with one that was stopped; finished runs are kept.
#[derive(Args)]
pub struct StudyOptions {
    #[command(flatten)]
    pub run: RunArgs,
    /// Runs per cell, with seeds from --seed on; a study may get more later.
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Folder of the study [default: studies/<study>-<data set>].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Rules to compare.
    #[arg(long, value_name = "RULE,…", value_delimiter = ',', default_values = ["stbp", "bpsa", "bpsa+bpta"])]
    pub rules: Vec<Rule>,
    /// Show the time of every cell and of the whole; write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Choose on the validation split first: warm-up (with α, up to 12 further runs per T), lr (4 runs per rule and T), or both.
    #[arg(long, value_name = "WHAT,…", value_delimiter = ',', num_args = 0..=1, default_missing_value = "warm-up")]
    pub tune: Vec<Tune>,
    #[command(flatten)]
    pub loudness: Loudness,
}

#[derive(Args)]
pub struct LatencyOptions {
    #[command(flatten)]
    pub study: StudyOptions,
    /// Time steps to train with.
    #[arg(long, value_name = "T,…", value_delimiter = ',', value_parser = super::frames, default_values = ["4", "8", "16", "32"])]
    pub steps: Vec<usize>,
}

#[derive(Args)]
pub struct AlphaOptions {
    #[command(flatten)]
    pub study: StudyOptions,
    /// Values of α.
    #[arg(long, value_name = "α,…", value_delimiter = ',', default_values = ["0", "0.2", "0.5", "0.8", "1"])]
    pub alphas: Vec<f64>,
}

/// The paper's tables and figures with the data at hand, ours beside the paper's number.
///
/// Takes train's options to depart from the paper's protocol; every departure is printed.
#[derive(Args)]
pub struct ReproduceArgs {
    /// table2 … table9, fig5 or fig6; without it, what there is.
    pub what: Option<String>,
    /// Time for everything, e.g. 90m or 2h (a number is minutes): fewer epochs, and if need be fewer samples. Every line says so.
    #[arg(long, value_name = "TIME", default_value = "60m", value_parser = minutes, conflicts_with = "full")]
    pub budget: f64,
    /// The paper's 300 epochs on all samples.
    #[arg(long)]
    pub full: bool,
    /// Runs per cell.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// Folder of the studies behind it [default: studies/reproduce].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub loudness: Loudness,
    #[command(flatten)]
    pub run: RunArgs,
}
