//! A run folder, read and not touched.

use crate::plural::{counted, counted_as, either};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::Config;
use crate::credit::{CREDIT, CreditLine};
use crate::error::{Error, Result};
use crate::limits;
use crate::notation::{Layer, Notation};
use crate::run_folder::{CONFIG, COST, CREDITS, METRICS, RESULT};
use crate::storage;
use crate::study::{self, cost::Cost};
use crate::train::{EpochLine, RunResult};

/// The version of metrics lines we write; lines of later ones are skipped.
const VERSION: u64 = 1;

/// What a run folder says.
pub struct Run {
    /// Of the folder; told from those of other runs.
    pub name: String,
    /// The folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: Config,
    /// The same as it is written.
    pub config_toml: String,
    /// At least one.
    pub epochs: Vec<EpochLine>,
    /// Of its training steps, if any were kept.
    pub credit: Vec<CreditLine>,
    /// Only of a finished run.
    pub result: Option<RunResult>,
    /// What it costs, if a study has measured it.
    pub cost: Option<Cost>,
    /// What was odd about the files.
    pub remarks: Vec<String>,
}

impl Run {
    /// Reads a run folder. It may still be written to: a line that is not whole yet is left out, and said.
    ///
    /// # Errors
    /// Usage: no folder, no run, or a run without a finished epoch. Format: a file that cannot be understood. Storage: unreadable.
    pub fn read(path: &Path) -> Result<Run> {
        if !path.is_dir() {
            let what = if path.exists() { "this is a file, not a run folder" } else { "there is no such run folder" };
            return Err(Error::usage(what).at(path.display()).remedy("give the folder that spiketrain train made (--out, or in runs/)"));
        }
        let file = path.join(CONFIG);
        if !file.is_file() {
            return Err(Error::usage(format!("there is no run in this folder (no {CONFIG})"))
                .at(path.display())
                .remedy("give the folder that spiketrain train made (--out, or in runs/)"));
        }
        let config_toml = text(&file, limits::MAX_TEXT_BYTES)?;
        let config = Config::from_toml(&config_toml)
            .map_err(|e| e.at(file.display()).remedy("if a newer version of spiketrain wrote it, make the report with that version"))?;
        let (epochs, credit, mut remarks) = metrics(&path.join(METRICS), path)?;
        let result = path.join(RESULT);
        let result = match result.is_file() {
            true => Some(serde_json::from_str(&text(&result, limits::MAX_JSON_BYTES)?).map_err(|e| Error::format(e).at(result.display()))?),
            false => None,
        };
        if result.is_none() {
            let last = epochs.last().map_or(0, |l| l.epoch);
            remarks.push(format!(
                "the run is not finished: {last} of {} {} done",
                counted(config.epochs, "epoch"),
                either(last, "is", "are")
            ));
        }
        let name = std::path::absolute(path).ok().and_then(|p| Some(p.file_name()?.to_string_lossy().into_owned()));
        Ok(Run {
            name: name.unwrap_or_else(|| path.display().to_string()),
            path: path.to_path_buf(),
            config,
            config_toml,
            epochs,
            credit,
            result,
            cost: study::run::read_json(&path.join(COST))?,
            remarks,
        })
    }

    /// Reads several; where folders have the same name, the one above is named too.
    ///
    /// # Errors
    /// As [`Run::read`]. Usage: a folder is given twice.
    pub fn read_all(paths: &[PathBuf]) -> Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        for path in paths {
            let run = Run::read(path)?;
            let place = |r: &Run| std::fs::canonicalize(&r.path).ok();
            if runs.iter().any(|r| place(r) == place(&run)) {
                return Err(Error::usage("this run is given twice").at(path.display()).remedy("name every run once"));
            }
            runs.push(run);
        }
        for i in 1..runs.len() {
            if runs[..i].iter().any(|r| r.name == runs[i].name) {
                runs[i].name = runs[i].path.display().to_string();
            }
        }
        Ok(runs)
    }

    /// The last epoch's line.
    pub fn last(&self) -> &EpochLine {
        // `metrics` refuses a run without any.
        &self.epochs[self.epochs.len() - 1]
    }

    /// Names of the weight layers, in order.
    pub fn layers(&self) -> Vec<String> {
        let Ok(notation) = self.config.net.parse::<Notation>() else { return Vec::new() };
        let weights = notation.layers().iter().filter(|l| matches!(l, Layer::Conv { .. } | Layer::Full(_) | Layer::Voting(_)));
        weights.map(Layer::to_string).collect()
    }

    /// Classes the network tells apart: 0 if its notation is not understood.
    pub fn classes(&self) -> usize {
        self.config.net.parse::<Notation>().map_or(0, |n| n.classes())
    }

    /// Whether no camera saw the data, as far as the folder tells.
    pub fn simulated(&self) -> bool {
        let set = self.config.dataset;
        (set.is_events() && set.is_drawn()) || self.result.as_ref().is_some_and(|r| r.dataset_simulated)
    }

    /// The data set, with the word that must not be missing.
    pub fn dataset(&self) -> String {
        format!("{}{}", self.config.dataset, if self.simulated() { " (simulated)" } else { "" })
    }
}

/// Runs that differ in nothing but their seed, and a name for them, in the order they were given.
pub fn groups(runs: &[Run]) -> Vec<(String, Vec<&Run>)> {
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in runs {
        let seed_only = |a: &Run| a.config.differences(&run.config) == ["seed"];
        match groups.iter_mut().find(|g| g.iter().all(|r| seed_only(r))) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let name = |g: &Vec<&Run>| match g[..] {
        [one] => one.name.clone(),
        // Studies name a run by its cell and seed.
        _ => format!("{}, {} seeds", g[0].name.strip_suffix(&format!("-s{}", g[0].config.seed)).unwrap_or(&g[0].name), g.len()),
    };
    groups.into_iter().map(|g| (name(&g), g)).collect()
}

fn text(path: &Path, cap: u64) -> Result<String> {
    storage::read_text(path, cap)?.ok_or_else(|| storage::not_there(path))
}

type Metrics = (Vec<EpochLine>, Vec<CreditLine>, Vec<String>);

fn metrics(file: &Path, folder: &Path) -> Result<Metrics> {
    let (mut epochs, mut credit, mut remarks, mut unknown) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let lines = |file: &Path| -> Result<Vec<(PathBuf, usize, String)>> {
        let bytes = if file.is_file() { text(file, limits::MAX_METRICS_BYTES)? } else { String::new() };
        Ok(bytes.split_inclusive('\n').enumerate().map(|(i, line)| (file.to_path_buf(), i, line.to_string())).collect())
    };
    // Runs of the first version have their looks at credit among the epochs.
    let all = [lines(file)?, lines(&folder.join(CREDITS))?].concat();
    for (file, i, line) in &all {
        let place = || format!("{}: line {}", file.display(), i + 1);
        if line.len() > limits::MAX_METRICS_LINE {
            let what = format!("expected a line of {} bytes at most, found {}", limits::MAX_METRICS_LINE, line.len());
            return Err(Error::format(what).at(place()).remedy("remove the line"));
        }
        let value: Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(_) if !line.ends_with('\n') => {
                let name = file.file_name().map_or(METRICS.into(), |n| n.to_string_lossy());
                remarks.push(format!("the last line of {name} is cut off and left out"));
                continue;
            }
            Err(e) => return Err(Error::format(format!("not a JSON object: {e}")).at(place()).remedy("remove the line")),
        };
        let kind = value.get("kind").map(|k| k.as_str().unwrap_or_default().to_string());
        if value.get("version").and_then(Value::as_u64).is_some_and(|v| v > VERSION) {
            unknown += 1;
            continue;
        }
        let wrong = |e: serde_json::Error| Error::format(format!("not a line of metrics: {e}")).at(place()).remedy("remove the line");
        match kind.as_deref() {
            None => epochs.push(serde_json::from_value(value).map_err(wrong)?),
            Some(CREDIT) => credit.push(checked(serde_json::from_value(value).map_err(wrong)?).map_err(|e| e.at(place()))?),
            Some(_) => unknown += 1,
        }
    }
    if unknown > 0 {
        remarks.push(format!(
            "{} a kind or version that this version of spiketrain does not know, and left out",
            counted_as(unknown, &format!("line of {METRICS} is of"), &format!("lines of {METRICS} are of"))
        ));
    }
    if epochs.is_empty() {
        let why = match (file.is_file(), unknown) {
            (false, _) => "this run has no metrics.jsonl",
            (true, 0) => "this run has not finished an epoch",
            (true, _) => "no line of metrics.jsonl is of a version that is known here",
        };
        return Err(Error::usage(why).at(folder.display()).remedy("go on with it: spiketrain train --resume FOLDER, then report"));
    }
    Ok((epochs, credit, remarks))
}

/// The pictures rely on every list being as long as the others.
fn checked(line: CreditLine) -> Result<CreditLine> {
    let steps = line.layers.first().map_or(0, |l| l.mass.len());
    let whole = line.layers.iter().all(|l| [&l.mass, &l.space, &l.time, &l.across].iter().all(|v| v.len() == steps));
    if !whole || !(1..=limits::MAX_TIME_STEPS).contains(&steps) || line.layers.len() > limits::MAX_LAYERS {
        return Err(Error::format("a credit line needs layers with lists of 1 to 64 time steps, all as long"));
    }
    Ok(line)
}
