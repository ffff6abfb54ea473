//! Choosing warm-up, α and learning rate on the validation split, before the runs that are reported.
//!
//! One seed, the study's own epochs: first the warm-up of every rule, then, with it, α of bpsa+bpta, then the learning rate: every rule
//! has its own best one, and a comparison at one rate for all compares rates. The test set has no say.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use super::run::{Surroundings, run};
use super::{Cell, Kind, Study, TUNE, folder_name};
use crate::config::{Config, Options};
use crate::curriculum::TimeSteps;
use crate::error::{Error, Result};
use crate::named::named;
use crate::neuron::Rule;
use crate::schedule::WarmUp;

/// α is chosen among these: the released code's, the middle, the paper's.
pub const ALPHAS: [f64; 3] = [0.2, 0.5, 0.8];

/// Learning rates are chosen among these: the paper's, half of it, and up to six times as much.
pub const LEARNING_RATES: [f64; 4] = [0.0005, 0.001, 0.003, 0.006];

/// What can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tune {
    /// The warm-up of every rule, and α of bpsa+bpta.
    WarmUp,
    /// The learning rate of every rule.
    Lr,
}

named!(Tune, "choice": WarmUp = "warm-up", Lr = "lr");

/// Reads what is chosen as the study.toml has it: a list, or in files of the first version whether warm-ups and α are.
pub(super) fn in_file<'de, D: Deserializer<'de>>(file: D) -> std::result::Result<Vec<Tune>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum InFile {
        First(bool),
        List(Vec<Tune>),
    }
    Ok(match InFile::deserialize(file)? {
        InFile::First(true) => vec![Tune::WarmUp],
        InFile::First(false) => Vec::new(),
        InFile::List(list) => list,
    })
}

/// What was chosen for the cells of one rule and T.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    rule: Rule,
    steps: Option<TimeSteps>,
    /// Warm-up, α and learning rate, as far as they were chosen.
    options: Options,
}

/// Runs the candidates; `None` if it was asked to stop.
pub(super) fn choose(study: &Study, folder: &Path, around: &mut Surroundings) -> Result<Option<Vec<Choice>>> {
    let mut choices: Vec<Choice> = Vec::new();
    for cell in study.cells.iter().filter(|c| c.options.warm_up.is_none()) {
        let (rule, steps) = (cell.options.rule.unwrap_or(Rule::BpsaBpta), cell.options.time_steps.clone());
        if choices.iter().any(|c| c.rule == rule && c.steps == steps) {
            continue;
        }
        let mut choice = Choice { rule, steps, options: Options::default() };
        for candidates in candidates(study, cell, rule)? {
            let cells: Vec<Cell> = candidates
                .into_iter()
                .map(|options| {
                    let options = options.or(choice.options.clone());
                    with(cell, &format!("{} {}", named_for(&choice), in_folder(&options)), &options)
                })
                .collect();
            let Some(best) = best(study, folder, &cells, around)? else { return Ok(None) };
            choice.options = chosen(&cells[best].options);
        }
        around.watch.note(&format!("chosen on the validation split: {}: {}", named_for(&choice), said(&choice.options)));
        choices.push(choice);
    }
    Ok(Some(choices))
}

/// What is tried, one after the other.
fn candidates(study: &Study, cell: &Cell, rule: Rule) -> Result<Vec<Vec<Options>>> {
    let mut all = Vec::new();
    if study.tune.contains(&Tune::WarmUp) {
        all.push(warm_ups(&study.config(cell, 1)?).into_iter().map(|w| Options { warm_up: Some(w), ..Options::default() }).collect());
        if rule == Rule::BpsaBpta && study.kind != Kind::Alpha && study.options.alpha.is_none() {
            all.push(ALPHAS.iter().map(|&a| Options { alpha: Some(a), ..Options::default() }).collect());
        }
    }
    if study.tune.contains(&Tune::Lr) {
        all.push(LEARNING_RATES.iter().map(|&lr| Options { lr: Some(lr), ..Options::default() }).collect());
    }
    Ok(all)
}

/// A cell with what was chosen for it, and that in words.
pub(super) fn applied(cell: &Cell, choices: &[Choice]) -> (Cell, String) {
    let rule = cell.options.rule.unwrap_or(Rule::BpsaBpta);
    let fits = |c: &&Choice| c.rule == rule && c.steps == cell.options.time_steps;
    match choices.iter().find(fits).filter(|_| cell.options.warm_up.is_none()) {
        None => (cell.clone(), String::new()),
        Some(c) => (with(cell, &cell.name, &c.options), said(&c.options)),
    }
}

fn with(cell: &Cell, name: &str, options: &Options) -> Cell {
    Cell { name: name.to_string(), options: options.clone().or(cell.options.clone()) }
}

/// Of a cell's options those that are chosen here.
fn chosen(of: &Options) -> Options {
    Options { warm_up: of.warm_up, alpha: of.alpha, lr: of.lr, ..Options::default() }
}

fn named_for(c: &Choice) -> String {
    format!("{}{}", c.rule.name(), c.steps.as_ref().map_or(String::new(), |t| format!(" T{t}")))
}

/// In a name: `tssl:1 α 0.2 lr 0.003`.
fn in_folder(options: &Options) -> String {
    words(options, "", " ")
}

fn said(options: &Options) -> String {
    words(options, "warm-up ", ", ")
}

fn words(o: &Options, warm_up: &str, between: &str) -> String {
    let all = [o.warm_up.map(|w| format!("{warm_up}{w}")), o.alpha.map(|a| format!("α {a}")), o.lr.map(|lr| format!("lr {lr}"))];
    all.into_iter().flatten().collect::<Vec<_>>().join(between)
}

/// No warm-up, and each kind for a third of the run.
fn warm_ups(c: &Config) -> Vec<WarmUp> {
    let n = (c.epochs / 3).clamp(1, 10);
    if c.epochs < 2 { vec![WarmUp::None] } else { vec![WarmUp::None, WarmUp::Tssl(n), WarmUp::Ann(n)] }
}

/// Index of the cell with the best validation accuracy, the first of equals.
fn best(study: &Study, folder: &Path, cells: &[Cell], around: &mut Surroundings) -> Result<Option<usize>> {
    let mut best = (0, f64::NEG_INFINITY);
    for (i, cell) in cells.iter().enumerate() {
        let path = folder.join(TUNE).join(folder_name(&cell.name).replace(':', ""));
        around.watch.note(&format!("choosing: {}", cell.name));
        let config = study.config(cell, study.options.seed.unwrap_or(1))?;
        let Some(finished) = run(&path, config, around)? else { return Ok(None) };
        let score = finished.result.selected_validation_accuracy;
        let score =
            score.ok_or_else(|| Error::usage("no validation accuracy to choose by").option("tune").remedy("add --val-split 0.1"))?;
        around.watch.note(&format!("  validation accuracy {:.2} %", 100.0 * score));
        if score > best.1 {
            best = (i, score);
        }
    }
    Ok(Some(best.0))
}
