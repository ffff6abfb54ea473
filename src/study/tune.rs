//! Choosing warm-up and α on the validation split, before the runs that are reported.
//!
//! One seed, the study's own epochs: first the warm-up of every rule, then, with it, α of bpsa+bpta. The test set has no say.

use std::path::Path;

use super::run::{Surroundings, run};
use super::{Cell, Kind, Study, TUNE, folder_name};
use crate::config::{Config, Options};
use crate::error::{Error, Result};
use crate::neuron::Rule;
use crate::schedule::WarmUp;

/// α is chosen among these: the released code's, the middle, the paper's.
pub const ALPHAS: [f64; 3] = [0.2, 0.5, 0.8];

/// What was chosen for the cells of one rule and T.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    rule: Rule,
    steps: Option<usize>,
    warm_up: WarmUp,
    alpha: Option<f64>,
}

/// Runs the candidates; `None` if it was asked to stop.
pub(super) fn choose(study: &Study, folder: &Path, around: &mut Surroundings) -> Result<Option<Vec<Choice>>> {
    let mut choices: Vec<Choice> = Vec::new();
    for cell in study.cells.iter().filter(|c| c.options.warm_up.is_none()) {
        let (rule, steps) = (cell.options.rule.unwrap_or(Rule::BpsaBpta), cell.options.time_steps);
        if choices.iter().any(|c| c.rule == rule && c.steps == steps) {
            continue;
        }
        let named = |what: String| format!("{} {what}", named_for(rule, steps));
        let warm_ups = candidates(&study.config(cell, 1)?);
        let cells: Vec<Cell> = warm_ups.iter().map(|&w| with(cell, &named(w.to_string()), Some(w), None)).collect();
        let Some(best) = best(study, folder, &cells, around)? else { return Ok(None) };
        let mut choice = Choice { rule, steps, warm_up: warm_ups[best], alpha: None };
        if rule == Rule::BpsaBpta && study.kind != Kind::Alpha && study.options.alpha.is_none() {
            let cells: Vec<Cell> =
                ALPHAS.iter().map(|&a| with(cell, &named(format!("{} α {a}", choice.warm_up)), Some(choice.warm_up), Some(a))).collect();
            let Some(best) = self::best(study, folder, &cells, around)? else { return Ok(None) };
            choice.alpha = Some(ALPHAS[best]);
        }
        around.watch.note(&format!("chosen on the validation split: {}: {}", named_for(rule, steps), said(&choice)));
        choices.push(choice);
    }
    Ok(Some(choices))
}

/// A cell with what was chosen for it, and that in words.
pub(super) fn applied(cell: &Cell, choices: &[Choice]) -> (Cell, String) {
    let rule = cell.options.rule.unwrap_or(Rule::BpsaBpta);
    let fits = |c: &&Choice| c.rule == rule && c.steps == cell.options.time_steps;
    match choices.iter().find(fits).filter(|_| cell.options.warm_up.is_none()) {
        None => (cell.clone(), String::new()),
        Some(c) => (with(cell, &cell.name, Some(c.warm_up), c.alpha), said(c)),
    }
}

fn with(cell: &Cell, name: &str, warm_up: Option<WarmUp>, alpha: Option<f64>) -> Cell {
    let options = cell.options.clone();
    Cell { name: name.to_string(), options: Options { warm_up, alpha: alpha.or(options.alpha), ..options } }
}

fn named_for(rule: Rule, steps: Option<usize>) -> String {
    format!("{}{}", rule.name(), steps.map_or(String::new(), |t| format!(" T{t}")))
}

fn said(c: &Choice) -> String {
    format!("warm-up {}{}", c.warm_up, c.alpha.map_or(String::new(), |a| format!(", α {a}")))
}

/// No warm-up, and each kind for a third of the run.
fn candidates(c: &Config) -> Vec<WarmUp> {
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
        let score = finished.result.best_validation_accuracy;
        let score =
            score.ok_or_else(|| Error::usage("no validation accuracy to choose by").option("tune").remedy("add --val-split 0.1"))?;
        around.watch.note(&format!("  validation accuracy {:.2} %", 100.0 * score));
        if score > best.1 {
            best = (i, score);
        }
    }
    Ok(Some(best.0))
}
