//! The paper's tables and figures with the data at hand: ours, the paper's number, the difference, and a verdict in words.

pub mod budget;
pub mod paper;
mod verdict;

use std::path::Path;

use crate::config::{Config, Mark, Options};
use crate::data::DatasetName;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::neuron::Rule;
use crate::study::run::Surroundings;
use crate::study::table::Table;
use crate::study::{Row, Study};
use budget::Budget;
use paper::{EPOCHS, Exhibit, LATENCY_STEPS};
pub use verdict::verdicts;

/// How long it may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Extent {
    /// The paper's epochs, all samples.
    Full,
    /// What fits into these minutes, for all sets together.
    Minutes(f64),
}

/// What came of one set.
pub struct Reproduced {
    /// Which set.
    pub set: DatasetName,
    /// Whether its events were computed from pictures.
    pub simulated: bool,
    /// `full run: 300 epochs`, or what the budget left.
    pub extent: String,
    /// The study's findings.
    pub rows: Vec<Row>,
}

/// Which sets can be run.
pub struct Present {
    /// Those.
    pub here: Vec<DatasetName>,
    /// The others, and what to do about each.
    pub missing: Vec<(DatasetName, Error)>,
}

/// How a set fared.
pub enum Fate {
    /// Compared.
    Done(Box<Reproduced>),
    /// The set is not there: what to do about it.
    Missing(DatasetName, Error),
    /// Asked to stop.
    Stopped,
}

/// The exhibit of this name.
///
/// # Errors
/// Usage: there is none.
pub fn exhibit(name: &str) -> Result<&'static Exhibit> {
    paper::EXHIBITS.iter().find(|e| e.name == name).ok_or_else(|| {
        let all: Vec<&str> = paper::EXHIBITS.iter().map(|e| e.name).collect();
        Error::usage(format!("no table or figure is called '{name}'")).at("reproduce").remedy(format!("choose {}", all.join(", ")))
    })
}

/// The ones of `sets` that are here, by `there`, which a budget is divided over; and of the others what to do about it.
///
/// # Errors
/// As of `there`, but that a set is not there is none.
pub fn present(e: &Exhibit, sets: &[DatasetName], said: &Options, mut there: impl FnMut(&Config) -> Result<()>) -> Result<Present> {
    let (mut here, mut missing) = (Vec::new(), Vec::new());
    for &set in sets {
        let options = Options { dataset: Some(set), ..said.clone() }.or(paper::protocol(set, e.kind));
        match there(&options.complete()?) {
            Ok(()) => here.push(set),
            Err(what) if what.kind == ErrorKind::Usage => missing.push((set, what)),
            Err(other) => return Err(other),
        }
    }
    Ok(Present { here, missing })
}

/// Runs one set of an exhibit below `folder`; `said` departs from the paper's protocol.
///
/// # Errors
/// As a study's. A set that is not there is no error.
pub fn run(
    e: &Exhibit,
    set: DatasetName,
    said: &Options,
    extent: Extent,
    seeds: u64,
    folder: &Path,
    around: &mut Surroundings,
) -> Result<Fate> {
    let options = Options { dataset: Some(set), ..said.clone() }.or(paper::protocol(set, e.kind));
    let sketch = study(e, options.clone())?;
    let slowest = slowest(&sketch)?;
    let data = match (around.load)(&slowest) {
        Ok(data) => data,
        Err(missing) if missing.kind == ErrorKind::Usage => return Ok(Fate::Missing(set, missing)),
        Err(other) => return Err(other),
    };
    let simulated = data.simulated();
    let (options, extent, name) = match extent {
        Extent::Full => (options, format!("full run: {EPOCHS} epochs"), "full".to_string()),
        Extent::Minutes(minutes) => {
            let name = format!("{minutes}min");
            let runs = seeds as f64 * weight(&sketch, slowest.time_steps.most())?;
            let home = folder.join(format!("{}-{set}-{name}", e.name));
            let budget = budget::of(&home, minutes, &slowest, &*data, runs)?;
            (said_or(said, &budget, options), budget.words(), name)
        }
    };
    drop(data);
    let home = folder.join(format!("{}-{set}-{name}", e.name)).join("study");
    around.watch.note(&format!("{} on {set}: {extent}", e.shows));
    match study(e, options)?.run(&home, seeds, around)? {
        Some(rows) => Ok(Fate::Done(Box::new(Reproduced { set, simulated, extent, rows }))),
        None => Ok(Fate::Stopped),
    }
}

/// What the user says goes before the budget, and that before the protocol.
fn said_or(said: &Options, budget: &Budget, protocol: Options) -> Options {
    said.clone().or(budget.options()).or(protocol)
}

fn study(e: &Exhibit, options: Options) -> Result<Study> {
    Study::new(e.kind, options, e.rules, &LATENCY_STEPS, &[], &[])
}

/// The run that takes longest: stbp's, at the most steps.
fn slowest(study: &Study) -> Result<Config> {
    let configs = study.cells.iter().map(|c| study.config(c, 1)).collect::<Result<Vec<_>>>()?;
    let cost = |c: &Config| (c.time_steps.most(), c.rule == Rule::Stbp);
    configs.into_iter().max_by_key(cost).ok_or_else(|| Error::bug("a study without cells"))
}

/// How many of the slowest runs take as long as one of every cell.
fn weight(study: &Study, most: usize) -> Result<f64> {
    let steps =
        study.cells.iter().map(|c| study.config(c, 1).map(|c| c.time_steps.most() as f64 / most as f64)).collect::<Result<Vec<_>>>()?;
    Ok(steps.iter().sum())
}

/// Where the options depart from the paper's protocol.
pub fn departures(said: &Options) -> Result<Vec<String>> {
    let bare = said.clone().without(&[Mark::Place]);
    let table = toml::Table::try_from(bare).map_err(|e| Error::bug(format!("options to TOML: {e}")))?;
    Ok(table.into_iter().map(|(key, value)| format!("--{key} {value}")).collect())
}

/// Ours beside the paper's, a line per cell; every line says what kind of run it is.
pub fn table(e: &Exhibit, r: &Reproduced) -> Table {
    let rows = r.rows.iter().map(|row| verdict::line(row, r.set, &r.extent)).collect();
    let simulated = if r.simulated { " (simulated events: not the paper's data)" } else { "" };
    let head = ["", "T", "ours %", "paper %", "difference", "our rate %", "paper's", "Eq. 11 gain", "paper's", "run"];
    Table { title: format!("{}: {} on {}{simulated}", e.name, e.shows, r.set), head: head.map(str::to_string).to_vec(), rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_divided_over_the_sets_that_are_here() {
        let fig6 = exhibit("fig6").unwrap();
        let there = |c: &Config| match c.dataset.as_str() {
            "mnist" | "nmnist" => Ok(()),
            _ => Err(Error::usage("not here").remedy("fetch it")),
        };
        let Present { here, missing } = present(fig6, fig6.sets, &Options::default(), there).unwrap();
        assert_eq!(here.iter().map(|s| s.as_str()).collect::<Vec<_>>(), ["mnist", "nmnist"]);
        assert_eq!(missing.len(), fig6.sets.len() - 2);
        assert!(missing.iter().all(|(_, e)| e.remedy == "fetch it"));
        let broken = present(fig6, fig6.sets, &Options::default(), |_| Err(Error::storage("a bad disk")));
        assert!(broken.is_err_and(|e| e.kind == ErrorKind::Storage));
    }
}
