//! Studies: one question, a cell per answer, a run per cell and seed.
//!
//! ```text
//! DIR/study.toml          what is studied: a folder holds one study, and goes on with it
//! DIR/tune/…              runs that warm-up, α and learning rate were chosen by, on a validation split
//! DIR/runs/<cell>-s<seed> a run folder each, without optimiser state once it is finished; cost.json beside result.json
//! DIR/study.json          every figure; also as table.md and table.csv
//! ```

pub mod cost;
pub mod energy;
pub mod run;
pub mod stats;
pub mod table;
pub mod tune;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::{Config, Mark, Options};
use crate::error::{Error, Result};
use crate::limits;
use crate::neuron::Rule;
use crate::schedule::WarmUp;
use crate::storage::{self, Disk};
use run::{Finished, Surroundings};
pub use stats::Stat;
use tune::Tune;

/// The share of the training set that a study holds out to choose on, where nothing else is said.
pub const VALIDATION_SHARE: f64 = 0.1;

/// What is studied.
pub(crate) const STUDY: &str = "study.toml";
/// Folder of the runs that are reported.
pub(crate) const RUNS: &str = "runs";
/// Folder of the runs that are chosen by.
const TUNE: &str = "tune";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What each part of the rule contributes (Table 8).
    Ablation,
    /// How few time steps will do (Table 9, Fig. 5).
    Latency,
    /// What spikes save (Table 6).
    Energy,
    /// What the share of the error that crosses a spike does.
    Alpha,
}

impl Kind {
    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ablation => "ablation",
            Kind::Latency => "latency",
            Kind::Energy => "energy",
            Kind::Alpha => "alpha",
        }
    }
}

/// One answer: what is set beside the options that all runs share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// For tables and folders, e.g. `bpsa+bpta T8`.
    pub name: String,
    /// What it sets.
    pub options: Options,
}

/// A study as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The question.
    pub kind: Kind,
    /// What is chosen on the validation split first.
    #[serde(deserialize_with = "tune::in_file")]
    pub tune: Vec<Tune>,
    /// What all runs share.
    pub options: Options,
    /// The answers.
    pub cells: Vec<Cell>,
}

/// All runs of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The cell's name.
    pub cell: String,
    /// What was chosen for it, e.g. `α 0.2, warm-up tssl:1`; empty if nothing was.
    pub chosen: String,
    /// A run per seed.
    pub runs: Vec<Finished>,
}

impl Study {
    /// A study of `kind`; `rules`, `steps` and `alphas` are what it runs over, as far as its kind asks.
    ///
    /// # Errors
    /// Usage: an option that the study itself sets, or a list that is empty or holds what a run refuses.
    pub fn new(kind: Kind, options: Options, rules: &[Rule], steps: &[usize], alphas: &[f64], tune: &[Tune]) -> Result<Study> {
        let own = [
            ("rule", options.rule.is_some()),
            ("T", kind == Kind::Latency && options.time_steps.is_some()),
            ("alpha", kind == Kind::Alpha && options.alpha.is_some()),
        ];
        if let Some((option, _)) = own.iter().find(|(_, said)| *said) {
            let list = ["--rules", "--steps", "--alphas"][own.iter().position(|(o, _)| o == option).unwrap_or(0)];
            return Err(Error::usage("the study sets this itself").option(option).remedy(format!("give a list with {list}")));
        }
        let rule = |rule: Rule| Options { rule: Some(rule), ..Options::default() };
        let of_rules = || rules.iter().map(|&r| Cell { name: r.name().to_string(), options: rule(r) });
        let cells: Vec<Cell> = match kind {
            Kind::Ablation => of_rules().collect(),
            Kind::Energy => of_rules().chain([without_spikes(&options)?]).collect(),
            Kind::Latency => {
                let of_steps = |t: usize| {
                    move |c: Cell| Cell { name: format!("{} T{t}", c.name), options: Options { time_steps: Some(t.into()), ..c.options } }
                };
                steps.iter().flat_map(|&t| of_rules().map(of_steps(t))).collect()
            }
            Kind::Alpha => {
                let cell = |&a: &f64| Cell { name: format!("α {a}"), options: Options { alpha: Some(a), ..rule(Rule::BpsaBpta) } };
                alphas.iter().map(cell).collect()
            }
        };
        let mut names: Vec<&str> = cells.iter().map(|c| c.name.as_str()).collect();
        names.sort_unstable();
        if cells.is_empty() || names.windows(2).any(|w| w[0] == w[1]) {
            return Err(Error::usage("nothing to study, or something twice")
                .option("rules")
                .option("steps")
                .option("alphas")
                .remedy("name each value once"));
        }
        let options = if options.val_split.is_none() && options.best_on.is_none() && !options.has_validation_folder() {
            Options { val_split: Some(VALIDATION_SHARE), ..options }
        } else {
            options
        };
        let study = Study { kind, tune: tune.to_vec(), options, cells };
        if !tune.is_empty() && study.config(&study.cells[0], 1)?.val_split == 0.0 && !study.options.has_validation_folder() {
            return Err(Error::usage("there are no validation samples to choose on").option("tune").remedy("add --val-split 0.1"));
        }
        study.cells.iter().try_for_each(|c| study.config(c, 1).map(|_| ()))?;
        Ok(study)
    }

    /// What a run of `cell` with this seed is.
    ///
    /// # Errors
    /// Usage: a value out of range.
    pub fn config(&self, cell: &Cell, seed: u64) -> Result<Config> {
        Options { seed: Some(seed), ..cell.options.clone() }.or(self.options.clone()).complete()
    }

    /// Runs what is not finished yet in `folder`, with `seeds` seeds from the one of the options on; `None` if it was asked to stop.
    /// Tables are written after every cell.
    ///
    /// # Errors
    /// Usage: the folder holds another study or something else. As a run's.
    pub fn run(&self, folder: &Path, seeds: u64, around: &mut Surroundings) -> Result<Option<Vec<Row>>> {
        let first = self.options.seed.unwrap_or(1);
        self.config(&self.cells[0], first.saturating_add(seeds.saturating_sub(1)))?;
        let _lock = self.claim(folder)?;
        let choices = match self.tune.is_empty() {
            false => match tune::choose(self, folder, around)? {
                Some(choices) => choices,
                None => return Ok(None),
            },
            true => Vec::new(),
        };
        let (all, mut rows) = (self.cells.len() as u64 * seeds, Vec::new());
        for (i, cell) in (0u64..).zip(&self.cells) {
            let (cell, chosen) = tune::applied(cell, &choices);
            let mut runs = Vec::new();
            for seed in first..first + seeds {
                let path = self.run_folder(folder, &cell, seed);
                around.watch.note(&format!("run {} of {all}: {}, seed {seed}", i * seeds + seed - first + 1, cell.name));
                let Some(finished) = run::run(&path, self.config(&cell, seed)?, around)? else { return Ok(None) };
                around.watch.note(&table::run_line(&finished));
                runs.push(finished);
            }
            rows.push(Row { cell: cell.name, chosen, runs });
            table::write(folder, self.kind, &rows)?;
        }
        Ok(Some(rows))
    }

    /// How many of a cell's runs with `seeds` seeds are still to be trained in `folder`; of one that has begun the share of its epochs.
    ///
    /// # Errors
    /// As of [`Study::config`] and [`run::finished`].
    pub fn left(&self, folder: &Path, cell: &Cell, seeds: u64) -> Result<f64> {
        let first = self.options.seed.unwrap_or(1);
        let of_run = |seed: u64| -> Result<f64> {
            let path = self.run_folder(folder, cell, seed);
            if run::finished(&path)?.is_some() {
                return Ok(0.0);
            }
            let epochs = self.config(cell, seed)?.epochs;
            Ok(epochs.saturating_sub(run::epochs_done(&path)) as f64 / epochs as f64)
        };
        (first..first.saturating_add(seeds)).map(of_run).sum()
    }

    fn run_folder(&self, folder: &Path, cell: &Cell, seed: u64) -> PathBuf {
        folder.join(RUNS).join(format!("{}-s{seed}", folder_name(&cell.name)))
    }

    /// Whether runs of this study lie in the folder.
    ///
    /// # Errors
    /// Usage: the folder holds another study or something else.
    pub fn has_begun(&self, folder: &Path) -> Result<bool> {
        // Where the data and its cache lie does not count.
        let bare = |s: &Study| Study { options: s.options.clone().without(&[Mark::Place]), ..s.clone() };
        let Some(text) = is_study(folder)? else { return Ok(false) };
        let file = folder.join(STUDY);
        let other: Study = toml::from_str(&text).map_err(|e| Error::format(e.to_string().trim_end()).at(file.display()))?;
        let begun = [RUNS, TUNE].iter().any(|d| folder.join(d).exists());
        if begun && bare(&other) != bare(self) {
            return Err(Error::usage(format!("this folder holds another study: {}", different(&bare(&other), &bare(self))))
                .at(folder.display())
                .remedy("give the same options to go on with it, or choose another folder with --out"));
        }
        Ok(begun)
    }

    /// Keeps the folder for this study and this process.
    fn claim(&self, folder: &Path) -> Result<std::fs::File> {
        is_study(folder)?;
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "creating the folder", &e))?;
        let lock = storage::lock(folder)?.ok_or_else(|| {
            Error::storage("another study is running in this folder").at(folder.display()).remedy("wait for it, or choose another --out")
        })?;
        if !self.has_begun(folder)? {
            let text = toml::to_string(self).map_err(|e| Error::bug(format!("study to TOML: {e}")))?;
            storage::write_text(&Disk, &folder.join(STUDY), &text)?;
        }
        Ok(lock)
    }
}

/// The study.toml of a folder; `None` of one that is empty or not there yet.
fn is_study(folder: &Path) -> Result<Option<String>> {
    let file = folder.join(STUDY);
    if file.is_file() {
        return storage::read_text(&file, limits::MAX_TEXT_BYTES);
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(folder, "listing", &e)),
    };
    let names = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    match names.into_iter().find(|n| n != storage::LOCK && !storage::is_temporary(n)) {
        None => Ok(None),
        Some(name) => Err(Error::usage(format!("this folder is not empty and holds no study (it holds {name})"))
            .at(folder.display())
            .remedy("choose another folder with --out")),
    }
}

/// Names of what differs.
fn different(a: &Study, b: &Study) -> String {
    let rest = [("its kind", a.kind != b.kind), ("its tune", a.tune != b.tune), ("its cells", a.cells != b.cells)];
    let mut names: Vec<String> = a.options.differing(&b.options).iter().map(|name| format!("--{name}")).collect();
    names.extend(rest.iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_string()));
    names.sort();
    names.join(", ")
}

/// The same network trained without spikes.
fn without_spikes(options: &Options) -> Result<Cell> {
    let epochs = options.clone().complete()?.epochs;
    Ok(Cell { name: "ann".to_string(), options: Options { warm_up: Some(WarmUp::Ann(epochs)), ..Options::default() } })
}

fn folder_name(cell: &str) -> String {
    cell.replace("α ", "alpha").replace(' ', "-")
}

/// `studies/<kind>-<dataset>`, with what else tells studies apart left to `--out`.
pub fn default_folder(kind: Kind, options: &Options) -> PathBuf {
    let set = options.dataset.map_or("glyphs".to_string(), |d| d.to_string());
    Path::new("studies").join(format!("{}-{set}", kind.name()))
}

#[cfg(test)]
mod tests;
