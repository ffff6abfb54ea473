//! How far several runs get by what they spend: seconds, and counted operations.

use maud::html;

use super::chart::{self, Lines, Series};
use super::run::groups;
use super::{Figure, Part, Run, Section, Table, amount, short};
use crate::error::Result;
use crate::train::EpochLine;

/// Units of operations, and what an axis calls them.
const UNITS: [(f64, &str); 4] = [(1e12, "10¹² operations"), (1e9, "10⁹ operations"), (1e6, "10⁶ operations"), (1.0, "operations")];

/// What an epoch takes of something.
type Spent = fn(&EpochLine) -> Option<f64>;

fn seconds(l: &EpochLine) -> Option<f64> {
    Some(l.seconds)
}

fn operations(l: &EpochLine) -> Option<f64> {
    l.operations.map(|n| n as f64)
}

/// Runs that differ in their seed only, epoch by epoch: means of what was spent so far, and of the test accuracy then. Epochs that some of
/// them lack, or where nothing was measured, are left out.
fn points(group: &[&Run], spent: Spent) -> Vec<(f64, f64)> {
    let epochs = group.iter().map(|r| r.epochs.len()).min().unwrap_or(0);
    let n = group.len() as f64;
    let mut all = Vec::new();
    let mut so_far = 0.0;
    for i in 0..epochs {
        let lines = || group.iter().map(|r| &r.epochs[i]);
        let Some(more) = lines().map(spent).sum::<Option<f64>>() else { return Vec::new() };
        so_far += more / n;
        if let Some(accuracy) = lines().map(|l| l.test_accuracy).sum::<Option<f64>>() {
            all.push((so_far, 100.0 * accuracy / n));
        }
    }
    all
}

/// The largest unit of which someone took at least one: digits of tiny runs would be lost behind zeros.
fn unit(groups: &[(String, Vec<&Run>)]) -> (f64, &'static str) {
    let most = groups.iter().filter_map(|(_, g)| Some(points(g, operations).last()?.0)).fold(0.0, f64::max);
    UNITS.into_iter().find(|u| u.0 <= most).unwrap_or(UNITS[UNITS.len() - 1])
}

/// Test accuracy of several runs by seconds and by operations.
///
/// # Errors
/// Bug: a chart cannot be drawn.
pub fn section(runs: &[Run]) -> Result<Section> {
    let mut section = Section::new("pace", "Accuracy by what it took");
    let groups = groups(runs);
    let (one, of) = unit(&groups);
    let draw = |name: &str, x: &str, note: &str, spent: Spent, one: f64| -> Result<Option<Figure>> {
        let series: Vec<Series> = groups
            .iter()
            .map(|(name, group)| Series {
                name: name.clone(),
                points: points(group, spent).into_iter().map(|(x, y)| (x / one, y)).collect(),
            })
            .collect();
        if series.iter().any(|s| s.points.is_empty()) {
            return Ok(None);
        }
        let svg =
            chart::lines(&Lines { x: x.into(), y: "test accuracy in %".into(), series: series.clone(), real: true, ..Lines::default() })?;
        let mut table = Table::new(["run", x, "test accuracy in %"]);
        for s in &series {
            table.rows.extend(s.points.iter().map(|(x, y)| vec![s.name.clone(), short(*x), short(*y)]));
        }
        Ok(Some(Figure { name: name.into(), title: format!("Test accuracy by {name}"), note: note.into(), svg, table, wide: false }))
    };
    let by_seconds = "Seconds of training and evaluation so far, on the machine of each run: they compare only where that was one machine, with nothing else running.";
    let by_operations = "Additions of weights and of errors in training steps so far, forward and back, counted from the spikes: they do not depend on a machine.";
    match draw("seconds", "seconds", by_seconds, seconds, 1.0)? {
        Some(figure) => section.figure(figure),
        None => section.missing.push("No test accuracy was measured.".into()),
    }
    match draw("operations", of, by_operations, operations, one)? {
        Some(figure) => section.figure(figure),
        None => section.missing.push("No operations: a run was trained by a version that did not count them.".into()),
    }
    if let Some((goal, table)) = reached(&groups, (one, of)) {
        section.words(html! { p { "Until the test accuracy was " (format!("{goal:.1} %")) ", which all of them reached:" } });
        section.parts.push(Part::Table(table));
    }
    Ok(section)
}

/// What each group spent until it was as good as the one that came least far, and how good that was in %.
fn reached(groups: &[(String, Vec<&Run>)], (one, of): (f64, &str)) -> Option<(f64, Table)> {
    let best = |group: &Vec<&Run>| points(group, seconds).iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let goal = groups.iter().map(|(_, g)| best(g)).fold(f64::INFINITY, f64::min);
    if !goal.is_finite() {
        return None;
    }
    let goal = (10.0 * goal).floor() / 10.0;
    let until = |group: &[&Run], spent: Spent, one: f64| {
        points(group, spent).into_iter().find(|p| p.1 >= goal).map_or("–".to_string(), |p| amount(p.0 / one))
    };
    let mut table = Table::new(["run", "epochs", "seconds", of, "last test accuracy in %"]);
    for (name, group) in groups {
        let last = points(group, seconds).last().map_or("–".to_string(), |p| format!("{:.2}", p.1));
        table.rows.push(vec![
            name.clone(),
            until(group, |_| Some(1.0), 1.0),
            until(group, seconds, 1.0),
            until(group, operations, one),
            last,
        ]);
    }
    Some((goal, table))
}
