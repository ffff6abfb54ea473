//! How far several runs get by what they spend: seconds, and counted operations.

use super::chart::{self, Lines, Series};
use super::run::groups;
use super::{Figure, Part, Run, Section, Table, short};
use crate::error::Result;
use crate::train::EpochLine;

/// Operations are shown in units of this many.
const TERA: f64 = 1e12;

/// What an epoch takes of something.
type Spent = fn(&EpochLine) -> Option<f64>;

fn seconds(l: &EpochLine) -> Option<f64> {
    Some(l.seconds)
}

fn operations(l: &EpochLine) -> Option<f64> {
    l.operations.map(|n| n as f64 / TERA)
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

/// Test accuracy of several runs by seconds and by operations.
///
/// # Errors
/// Bug: a chart cannot be drawn.
pub fn section(runs: &[Run]) -> Result<Section> {
    let mut section = Section::new("pace", "Accuracy by what it took");
    let groups = groups(runs);
    let draw = |name: &str, x: &str, note: &str, spent: Spent| -> Result<Option<Figure>> {
        let series: Vec<Series> = groups.iter().map(|(name, group)| Series { name: name.clone(), points: points(group, spent) }).collect();
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
    match draw("seconds", "seconds", by_seconds, seconds)? {
        Some(figure) => section.figure(figure),
        None => section.missing.push("No test accuracy was measured.".into()),
    }
    match draw("operations", "10¹² operations", by_operations, operations)? {
        Some(figure) => section.figure(figure),
        None => section.missing.push("No operations: a run was trained by a version that did not count them.".into()),
    }
    section.parts.extend(reached(&groups).map(Part::Table));
    Ok(section)
}

/// What each group spent until it was as good as the one that came least far.
fn reached(groups: &[(String, Vec<&Run>)]) -> Option<Table> {
    let best = |group: &Vec<&Run>| points(group, seconds).iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let goal = groups.iter().map(|(_, g)| best(g)).fold(f64::INFINITY, f64::min);
    if !goal.is_finite() {
        return None;
    }
    let goal = (10.0 * goal).floor() / 10.0;
    let until =
        |group: &[&Run], spent: Spent| points(group, spent).into_iter().find(|p| p.1 >= goal).map_or("-".to_string(), |p| short(p.0));
    let mut table = Table::new([
        format!("until {goal:.1} % on the test set"),
        "epochs".into(),
        "seconds".into(),
        "10¹² operations".into(),
        "last test accuracy in %".into(),
    ]);
    for (name, group) in groups {
        let last = points(group, seconds).last().map_or("-".to_string(), |p| format!("{:.2}", p.1));
        table.rows.push(vec![name.clone(), until(group, |_| Some(1.0)), until(group, seconds), until(group, operations), last]);
    }
    Some(table)
}
