//! Options of a training run.

use std::path::PathBuf;

use clap::Args;

use super::Loudness;
use crate::config::{Options, defaults_table, minutes};
use crate::data::{DatasetName, sets};
use crate::error::{Error, Result};

/// What a training run is; `train` and every study take it.
#[derive(Args)]
pub struct RunArgs {
    /// Data set: glyphs, mnist, fashion-mnist, cifar10, `images DIR`; of events: motions, nmnist, dvs-gesture, dvs-cifar10, `events DIR`.
    #[arg(long, num_args = 1..=2, value_names = ["NAME", "DIR"], help_heading = "Data")]
    pub dataset: Option<Vec<String>>,
    #[command(flatten)]
    pub options: Options,
    /// Read options from a TOML file (a run's config.toml is one); options given here win.
    #[arg(long, value_name = "FILE.toml", help_heading = "Output")]
    pub config: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "Defaults of the recipe by data set: --help has a table, spiketrain recipes DATASET all of them.", after_long_help = train_help())]
pub struct TrainArgs {
    #[command(flatten)]
    pub run: RunArgs,
    /// Run folder [default: runs/<dataset>-<net>-<rule>-<n>].
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// Go on with a stopped run; needs no other option (-j may change). With a larger --epochs it goes on for longer, its schedule restated.
    #[arg(long, value_name = "RUN_FOLDER", help_heading = "Training")]
    pub resume: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Output")]
    pub loudness: Loudness,
    /// Print every epoch as a line of JSON on standard output, as in metrics.jsonl, and result.json's object as the last; with --dry-run
    /// what it shows, as one object.
    #[arg(long, help_heading = "Output", conflicts_with = "quiet")]
    pub json: bool,
    /// Show plan, memory, disk and time per epoch from two real steps; write nothing.
    #[arg(long, help_heading = "Training")]
    pub dry_run: bool,
    /// Take as many epochs as fit into this time, e.g. 30m, 2h or 1h30m (a number is minutes): timed first, then written to config.toml.
    #[arg(long, value_name = "TIME", value_parser = minutes, help_heading = "Training", conflicts_with_all = ["epochs", "resume"])]
    pub budget: Option<f64>,
}

fn train_help() -> String {
    format!(
        "Defaults of the recipe `standard` by data set; all others: spiketrain recipes DATASET\n{}\nA warm-up by default takes at most a third of a run. The paper's protocol is --recipe paper.",
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
            (Some(set), dir) if set.is_own() && set.is_events() => (None, dir),
            (Some(set), dir) if set.is_own() => (dir, None),
            (Some(set), Some(dir)) => {
                let own: Vec<String> = sets::ALL.iter().filter(|s| s.is_own()).map(|s| format!("`--dataset {s} DIR`")).collect();
                return Err(Error::usage(format!("'{}' after data set {set}", dir.display()))
                    .option("dataset")
                    .remedy(format!("only {} take a folder; other sets are found through --data-dir", own.join(" and "))));
            }
            _ => (None, None),
        };
        Ok(Options { dataset, images_dir, events_dir, ..self.options.clone() })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    fn said(words: &[&str]) -> Options {
        match Cli::try_parse_from([&["spiketrain", "train"], words].concat()).unwrap().command {
            Command::Train(a) => a.run.options().unwrap(),
            _ => unreachable!("train was said"),
        }
    }

    /// Else it would win over a file.
    #[test]
    fn what_is_not_said_is_nothing() {
        assert_eq!(said(&[]), Options::default());
        let flags = Options { grey: Some(true), strict: Some(true), allow_partial: Some(true), augment: Some(true), ..Options::default() };
        assert_eq!(said(&["--grey", "--strict", "--allow-partial", "--augment"]), flags);
        let off = Options { augment: Some(false), relu: Some(false), ..Options::default() };
        assert_eq!(said(&["--augment=false", "--relu", "off"]), off);
    }
}
