//! What a network costs and how soon it knows: energy, accuracy after every step, early exit, accuracy against T (Fig. 5).

use crate::plural::{counted, thousands};
use maud::html;

use super::chart::{self, Lines, Series};
use super::run::groups;
use super::summary::{last_test, rule};
use super::{Figure, Look, Part, Run, Section, Table, amount, curves, percent, short};
use crate::error::Result;
use crate::study::Stat;
use crate::study::cost::{Cost, Exit};

/// Runs whose cost is known: from `cost.json` that a study left, else what was measured now.
fn known<'a>(runs: &'a [Run], look: Option<&'a Look>) -> Vec<(&'a Run, &'a Cost)> {
    let measured = look.and_then(|l| l.cost.as_ref());
    let of = |(i, r): (usize, &'a Run)| Some((r, r.cost.as_ref().or(measured.filter(|_| i == 0))?));
    runs.iter().enumerate().filter_map(of).collect()
}

/// Energy by Eq. 11, and counted.
///
/// # Errors
/// Bug: a chart cannot be drawn.
pub fn energy(runs: &[Run], look: Option<&Look>) -> Result<Section> {
    let mut section = Section::new("energy", "Energy");
    let known: Vec<_> = known(runs, look).into_iter().filter_map(|(r, c)| Some((r, c, c.energy?))).collect();
    if known.is_empty() {
        section.missing.push("Left out: the network could not be run on its test set, or it does not spike.".into());
        return Ok(section);
    }
    section.words(html! { p {
        "Eq. 11 of the paper, E_ANN / E_SNN = 4.6 pJ / (0.1 pJ · T · rate), divides an FP32 multiply-add by an INT32 add. "
        "The sober figure counts the operations that occurred: FP32 adds (0.9 pJ) at spikes, multiply-adds (4.6 pJ) where a layer reads "
        "pixels, counts or averages; the same network without spikes does every multiply-add once. Neither counts memory. 45 nm, Horowitz 2014."
    } });
    let mut table = Table::new([
        "run",
        "T",
        "Eq. 11, mean of layers",
        "Eq. 11, mean of neurons",
        "counted, nJ per sample",
        "without spikes, nJ",
        "sober gain",
        "samples",
    ]);
    for (run, cost, e) in &known {
        let times = |gain: f64| format!("{gain:.2}×");
        table.rows.push(vec![
            run.name.clone(),
            cost.steps.to_string(),
            times(e.paper_gain),
            times(e.paper_gain_by_neurons),
            amount(e.spiking_nj),
            amount(e.dense_nj),
            times(e.sober_gain),
            thousands(cost.samples),
        ]);
    }
    section.parts.push(Part::Table(table));
    if let [(_, cost, _)] = known[..] {
        section.words(html! { p { "Layer by layer, per sample:" } });
        section.parts.push(Part::Table(layers(cost)));
    }
    unknown(&mut section, runs, known.len());
    Ok(section)
}

fn layers(cost: &Cost) -> Table {
    let mut table = Table::new(["layer", "neurons", "firing rate", "operations over all steps", "which", "multiply-adds without spikes"]);
    for (i, l) in cost.layers.iter().enumerate() {
        let which = if l.multiplies { "multiply-adds" } else { "adds" };
        table.rows.push(vec![
            format!("{} {}", i + 1, l.name),
            thousands(l.neurons),
            percent(l.firing_rate),
            amount(l.operations),
            which.into(),
            amount(l.macs as f64),
        ]);
    }
    table
}

/// Says how many runs are not in a table.
fn unknown(section: &mut Section, runs: &[Run], known: usize) {
    if known < runs.len() {
        section.missing.push(format!(
            "{} of {} not shown: no network of theirs could be run on its test set, or it does not spike (see the warnings).",
            runs.len() - known,
            counted(runs.len(), "run")
        ));
    }
}

/// Accuracy after every step, early exit, and accuracy against T where runs differ in it.
///
/// # Errors
/// Bug: a chart cannot be drawn.
pub fn latency(runs: &[Run], look: Option<&Look>) -> Result<Section> {
    let mut section = Section::new("latency", "Latency");
    if let Some(figure) = by_steps(runs)? {
        section.figure(figure);
    }
    let known: Vec<_> = known(runs, look).into_iter().filter(|(_, c)| !c.exits.is_empty()).collect();
    if known.is_empty() {
        section.missing.push("No reading after every step: the network could not be run on its test set, or it does not spike.".into());
        return Ok(section);
    }
    let mut samples: Vec<String> = known.iter().map(|(_, c)| counted(c.samples, "test sample")).collect();
    samples.dedup();
    let note = format!("The network is causal: one pass of T steps tells what a shorter one would say. {}.", samples.join(", "));
    let after =
        |r: &Run| known.iter().find(|(k, _)| k.path == r.path).map(|(_, c)| Series::counted("", c.anytime.iter().map(|a| 100.0 * a)));
    let mean = |(name, group): (String, Vec<&Run>)| Some(Series::mean(name, &group.into_iter().map(after).collect::<Option<Vec<_>>>()?));
    let series = groups(runs).into_iter().filter_map(mean).collect();
    section.figure(lines("anytime", "Accuracy when read out after every step", &note, "time step", series, false)?);
    let exits = |r: &Run| known.iter().find(|(k, _)| k.path == r.path).map(|(_, c)| c.exits.as_slice());
    let mean = |(name, group): (String, Vec<&Run>)| {
        Some(Series { name, points: mean_exits(&group.into_iter().map(exits).collect::<Option<Vec<_>>>()?) })
    };
    let series = groups(runs).into_iter().filter_map(mean).collect();
    let note = "A sample is done with once the winner has this share of all votes so far; a mark is a share, from 30 % to 99 %.";
    let mut figure = lines("exit", "Early exit: accuracy against mean steps", note, "mean steps per sample", series, true)?;
    figure.table = exit_table(&known);
    section.figure(figure);
    unknown(&mut section, runs, known.len());
    Ok(section)
}

/// Mean steps and accuracy over runs at each confidence.
fn mean_exits(runs: &[&[Exit]]) -> Vec<(f64, f64)> {
    let least = runs.iter().map(|e| e.len()).min().unwrap_or(0);
    let mean = |of: &dyn Fn(&[Exit]) -> f64| runs.iter().map(|e| of(e)).sum::<f64>() / runs.len() as f64;
    (0..least).map(|i| (mean(&|e| e[i].mean_steps), mean(&|e| 100.0 * e[i].accuracy))).collect()
}

fn lines(name: &str, title: &str, note: &str, x: &str, series: Vec<Series>, real: bool) -> Result<Figure> {
    let table = curves::table(x, &series);
    let svg = chart::lines(&Lines { x: x.into(), y: "test accuracy in %".into(), series, real, ..Lines::default() })?;
    Ok(Figure { name: name.into(), title: title.into(), note: note.into(), svg, table, wide: false })
}

fn exit_table(known: &[(&Run, &Cost)]) -> Table {
    let mut table = Table::new(["run", "confidence", "mean steps", "accuracy"]);
    for (run, cost) in known {
        let row = |e: &Exit| vec![run.name.clone(), percent(e.confidence), short(e.mean_steps), percent(e.accuracy)];
        table.rows.extend(cost.exits.iter().map(row));
    }
    table
}

/// Last test accuracy against T, a line per rule, the mean over runs (seeds) at each T: Fig. 5.
fn by_steps(runs: &[Run]) -> Result<Option<Figure>> {
    let mut rules: Vec<String> = Vec::new();
    runs.iter().map(rule).for_each(|r| {
        if !rules.contains(&r) {
            rules.push(r)
        }
    });
    let mut steps: Vec<usize> = runs.iter().map(|r| r.config.time_steps.last()).collect();
    steps.sort_unstable();
    steps.dedup();
    if steps.len() < 2 {
        return Ok(None);
    }
    let at = |name: &str, t: usize| {
        let same = runs.iter().filter(|r| rule(r) == name && r.config.time_steps.last() == t);
        Stat::of(same.filter_map(|r| Some(100.0 * last_test(r)?.0)))
    };
    let mut table = Table::new(std::iter::once("T".to_string()).chain(rules.iter().cloned()));
    let cell = |name: &String, t: usize| at(name, t).map_or(String::new(), |s| format!("{s} (n = {})", s.n));
    table.rows = steps.iter().map(|&t| std::iter::once(t.to_string()).chain(rules.iter().map(|r| cell(r, t))).collect()).collect();
    let points = |name: &String| steps.iter().filter_map(|&t| Some((t as f64, at(name, t)?.mean))).collect();
    let series = rules.iter().map(|name| Series { name: name.clone(), points: points(name) }).collect();
    let figure = lines(
        "steps",
        "Test accuracy against the number of time steps",
        "Last epoch; mean over runs with the same rule and T. Each T was trained.",
        "T",
        series,
        false,
    )?;
    Ok(Some(Figure { table, ..figure }))
}
