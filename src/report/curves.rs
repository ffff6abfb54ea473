//! What happened epoch by epoch: accuracy, loss, learning rate, firing rates.

use maud::html;

use super::chart::{self, Lines, Series};
use super::heat::{self, Map};
use super::run::groups;
use super::{Figure, Part, Run, Section, Table, percent, short};
use crate::error::Result;
use crate::train::EpochLine;

/// Layers that are drawn as lines; more become a map.
const MOST_LINES: usize = 7;

/// Runs whose layers are drawn.
const MOST_RUNS: usize = 4;

/// Kind, first and last epoch of a warm-up.
type WarmUp = (String, u64, u64);

type Of = fn(&EpochLine) -> Option<f64>;

fn train_accuracy(l: &EpochLine) -> Option<f64> {
    Some(100.0 * l.train_accuracy)
}
fn test_accuracy(l: &EpochLine) -> Option<f64> {
    l.test_accuracy.map(|a| 100.0 * a)
}
fn validation_accuracy(l: &EpochLine) -> Option<f64> {
    l.validation_accuracy.map(|a| 100.0 * a)
}

/// Rates on the test set, else on the training batches.
pub(super) fn rates_of(l: &EpochLine) -> &[f64] {
    l.test_firing_rates.as_deref().unwrap_or(&l.firing_rates)
}

pub(super) fn mean(rates: &[f64]) -> f64 {
    rates.iter().sum::<f64>() / rates.len().max(1) as f64
}

fn series(name: &str, run: &Run, of: Of) -> Series {
    let points = run.epochs.iter().filter_map(|l| Some((l.epoch as f64, of(l)?))).collect();
    Series { name: name.to_string(), points }
}

/// Each line as columns beside the epoch.
pub(super) fn table(x: &str, series: &[Series]) -> Table {
    let mut t = Table::new(std::iter::once(x.to_string()).chain(series.iter().map(|s| s.name.clone())));
    let mut xs: Vec<f64> = series.iter().flat_map(|s| s.points.iter().map(|p| p.0)).collect();
    xs.sort_unstable_by(f64::total_cmp);
    xs.dedup();
    let at = |s: &Series, x: f64| s.points.iter().find(|p| p.0 == x).map_or(String::new(), |p| short(p.1));
    t.rows = xs.into_iter().map(|x| std::iter::once(x.to_string()).chain(series.iter().map(|s| at(s, x))).collect()).collect();
    t
}

/// A chart of epochs with its warm-up shaded, and said, if one of its epochs was drawn: nothing spikes in `ann`, so that rates begin
/// after it.
fn figure(name: &str, title: &str, note: &str, warm: &Warm, chart: Lines) -> Result<Option<Figure>> {
    let series: Vec<Series> = chart.series.into_iter().filter(|s| !s.points.is_empty()).collect();
    if series.is_empty() {
        return Ok(None);
    }
    let drawn = |(from, to): (f64, f64)| series.iter().flat_map(|s| &s.points).any(|p| from <= p.0 && p.0 <= to);
    let shaded = warm.epochs.filter(|&s| drawn(s));
    let said = if shaded.is_some() { warm.said.as_str() } else { "" };
    let note = [note, said].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
    let chart = Lines { series, shaded, ..chart };
    let table = table(&chart.x, &chart.series);
    Ok(Some(Figure { name: name.into(), title: title.into(), note, svg: chart::lines(&chart)?, table, wide: false }))
}

/// The warm-up of a run.
fn warm_up(run: &Run) -> Option<WarmUp> {
    let warm: Vec<&EpochLine> = run.epochs.iter().filter(|l| l.warm_up != "none").collect();
    Some((warm.first()?.warm_up.clone(), warm[0].epoch, warm.last()?.epoch))
}

/// The epochs in which any of the runs warms up, from the first to the last, and what a caption says of them.
#[derive(Default)]
struct Warm {
    epochs: Option<(f64, f64)>,
    said: String,
}

fn warm_ups(runs: &[Run]) -> Warm {
    let mut kinds: Vec<(Option<WarmUp>, Vec<String>)> = Vec::new();
    for (name, group) in groups(runs) {
        let warm = group.iter().find_map(|r| warm_up(r));
        match kinds.iter_mut().find(|k| k.0 == warm) {
            Some((_, names)) => names.push(name),
            None => kinds.push((warm, vec![name])),
        }
    }
    let all = || kinds.iter().filter_map(|k| k.0.as_ref());
    let (Some(first), Some(last)) = (all().map(|w| w.1).min(), all().map(|w| w.2).max()) else { return Warm::default() };
    let epochs = |from: u64, to: u64| if from == to { format!("epoch {from}") } else { format!("epochs {from} to {to}") };
    let words = |warm: &Option<WarmUp>| match warm {
        Some((kind, from, to)) => format!("{kind} warm-up, {}", epochs(*from, *to)),
        None => "no warm-up".into(),
    };
    let said = match &kinds[..] {
        [(warm, _)] => words(warm),
        all => all.iter().map(|(warm, names)| format!("{}: {}", names.join(", "), words(warm))).collect::<Vec<_>>().join("; "),
    };
    let why = "Another gradient or another network is trained in it: a step of the curves at its end is no collapse.";
    Warm { epochs: Some((first as f64, last as f64)), said: format!("Shaded: {said}. {why}") }
}

/// Whether test losses compare.
fn losses(runs: &[Run]) -> &'static str {
    let same = runs.iter().all(|r| r.config.loss == runs[0].config.loss);
    if same { "" } else { "The runs were trained with different losses: these values do not compare." }
}

/// On what training accuracy was measured.
fn measured(runs: &[Run]) -> String {
    let on = match runs.iter().filter(|r| r.config.augment).count() {
        0 => "",
        n if n == runs.len() => " and on augmented samples",
        _ => " and, in the runs that augment, on augmented samples",
    };
    format!("Training accuracy is measured while the weights change{on}.")
}

/// T by epoch, if it was not always the same.
fn stages(run: &Run) -> String {
    let steps = &run.config.time_steps;
    if steps.epochs().is_none() {
        String::new()
    } else {
        format!("T rises with the epochs (T:epochs {steps}); every value is of the network at the T of its epoch.")
    }
}

/// Accuracy, loss and learning rate; one run with all it measured, or several beside each other.
///
/// # Errors
/// Bug: a chart cannot be drawn.
pub fn section(runs: &[Run]) -> Result<Section> {
    let mut section = Section::new("curves", "Curves by epoch");
    let warm = warm_ups(runs);
    let stages = if let [run] = runs { stages(run) } else { String::new() };
    let note = |first: &str| [first, &stages].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ");
    let chart = |y: &str, series: Vec<Series>| Lines { x: "epoch".into(), y: y.into(), series, ..Lines::default() };
    let each = |of: Of| {
        let mean = |(name, group): (String, Vec<&Run>)| Series::mean(name, &group.iter().map(|r| series("", r, of)).collect::<Vec<_>>());
        groups(runs).into_iter().map(mean).collect::<Vec<_>>()
    };
    let together = if groups(runs).len() < runs.len() { "Runs that differ in their seed only are one line, their mean." } else { "" };
    let measured = measured(runs);
    let figures = match runs {
        [run] => vec![
            figure(
                "accuracy",
                "Accuracy",
                &note(&measured),
                &warm,
                chart(
                    "accuracy in %",
                    vec![
                        series("test", run, test_accuracy),
                        series("training", run, train_accuracy),
                        series("validation", run, validation_accuracy),
                    ],
                ),
            )?,
            figure(
                "loss",
                "Loss",
                &note(""),
                &warm,
                chart(
                    "mean loss",
                    vec![
                        series("test", run, |l| l.test_loss),
                        series("training", run, |l| Some(l.loss)),
                        series("validation", run, |l| l.validation_loss),
                    ],
                ),
            )?,
        ],
        _ => vec![
            figure("accuracy", "Test accuracy", together, &warm, chart("test accuracy in %", each(test_accuracy)))?,
            figure("train-accuracy", "Training accuracy", &measured, &warm, chart("training accuracy in %", each(train_accuracy)))?,
            figure("validation-accuracy", "Validation accuracy", "", &warm, chart("validation accuracy in %", each(validation_accuracy)))?,
            figure("loss", "Test loss", losses(runs), &warm, chart("mean test loss", each(|l| l.test_loss)))?,
        ],
    };
    figures.into_iter().flatten().for_each(|f| section.figure(f));
    let rate = Lines { from_zero: true, ..chart("learning rate", each(|l| Some(l.learning_rate))) };
    figure("learning-rate", "Learning rate", &note("Of the last step of each epoch."), &warm, rate)?
        .into_iter()
        .for_each(|f| section.figure(f));
    if runs.iter().all(|r| r.epochs.iter().all(|l| l.validation_accuracy.is_none())) {
        section.missing.push("No validation curve: no samples were held out (--val-split).".into());
    }
    Ok(section)
}

/// Firing rates by layer and epoch.
///
/// # Errors
/// Bug: a chart cannot be drawn.
pub fn rates(runs: &[Run]) -> Result<Section> {
    let mut section = Section::new("rates", "Firing rates");
    section.words(html! { p {
        "Spikes / (samples · neurons · T) of each layer, on the test set where it was evaluated, else on the training batches. "
        "A network that fires less costs less; a layer that hardly fires passes hardly any gradient on."
    } });
    if runs.len() > 1 {
        compare_rates(&mut section, runs)?;
    }
    if runs.len() > MOST_RUNS {
        section.missing.push(format!("The layers of the first {MOST_RUNS} runs are drawn, of {}.", runs.len()));
    }
    for (i, run) in runs.iter().take(MOST_RUNS).enumerate() {
        match of_run(run, if runs.len() > 1 { i + 1 } else { 0 })? {
            Some(figure) => section.figure(figure),
            None => section.missing.push(format!("{}: all epochs are of the ann warm-up, in which nothing spikes.", run.name)),
        }
    }
    Ok(section)
}

/// The mean rate by epoch, and every layer's last.
fn compare_rates(section: &mut Section, runs: &[Run]) -> Result<()> {
    fn mean_rate(l: &EpochLine) -> Option<f64> {
        (l.warm_up != "ann").then(|| 100.0 * mean(rates_of(l)))
    }
    let of = |(name, group): (String, Vec<&Run>)| Series::mean(name, &group.iter().map(|r| series("", r, mean_rate)).collect::<Vec<_>>());
    let series = groups(runs).into_iter().map(of).collect();
    let chart = Lines { x: "epoch".into(), y: "mean firing rate of layers in %".into(), series, from_zero: true, ..Lines::default() };
    figure("rates", "Mean firing rate", "Mean over the layers.", &warm_ups(runs), chart)?.into_iter().for_each(|f| section.figure(f));
    let mut table = Table::new(["run", "mean of layers", "layers in order, after the last epoch, in %"]);
    for run in runs {
        let rates = rates_of(run.last());
        let layers: Vec<String> = run.layers().iter().zip(rates).map(|(n, r)| format!("{n} {:.2}", 100.0 * r)).collect();
        table.rows.push(vec![run.name.clone(), percent(mean(rates)), layers.join(" · ")]);
    }
    section.parts.push(Part::Table(table));
    Ok(())
}

fn of_run(run: &Run, number: usize) -> Result<Option<Figure>> {
    let lines: Vec<&EpochLine> = run.epochs.iter().filter(|l| l.warm_up != "ann").collect();
    let names = run.layers();
    let layers = lines.iter().map(|l| rates_of(l).len()).max().unwrap_or(0);
    if layers == 0 {
        return Ok(None);
    }
    let name = |i: usize| format!("{} {}", i + 1, names.get(i).map_or("layer", String::as_str));
    let at = |l: &EpochLine, i: usize| rates_of(l).get(i).copied();
    let all: Vec<Series> = (0..layers)
        .map(|i| Series { name: name(i), points: lines.iter().filter_map(|l| Some((l.epoch as f64, 100.0 * at(l, i)?))).collect() })
        .collect();
    let (file, title) = match number {
        0 => ("rates".to_string(), "Firing rate by layer".to_string()),
        n => (format!("rates-{n}"), format!("Firing rate by layer: {}", run.name)),
    };
    if layers <= MOST_LINES {
        let chart = Lines { x: "epoch".into(), y: "firing rate in %".into(), series: all, from_zero: true, ..Lines::default() };
        return figure(&file, &title, "", &warm_ups(std::slice::from_ref(run)), chart);
    }
    let table = table("epoch", &all);
    let rows: Vec<_> = all.iter().map(|s| (s.name.clone(), s.points.iter().map(|p| p.1).collect::<Vec<f64>>())).collect();
    let top = rows.iter().flat_map(|r| &r.1).fold(1e-9, |m: f64, v| m.max(*v));
    let columns = lines.iter().map(|l| l.epoch.to_string()).collect();
    let svg = heat::draw(&Map { x: "epoch".into(), columns, rows, unit: "firing rate in %".into(), range: (0.0, top), texts: None })?;
    Ok(Some(Figure { name: file, title, note: String::new(), svg, table, wide: false }))
}
