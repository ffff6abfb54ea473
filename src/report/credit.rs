//! Credit assignment in pictures: where in the network and when in time the gradient is, and what it came through.

use crate::plural::{grouped, thousands};
use maud::html;

use super::chart::{self, Lines, Series};
use super::curves;
use super::heat::{self, Map};
use super::{Figure, Part, Run, Section, Table, percent, short};
use crate::credit::{CreditLine, LayerCredit, MARGIN_BIN, MARGIN_BINS};
use crate::error::Result;

/// Runs whose pictures fit on a page.
const MOST_RUNS: usize = 4;
/// Decades of the gradient's mass that colours tell apart.
const DECADES: f64 = 4.0;

/// A set of pictures for every run with credit lines.
///
/// # Errors
/// Bug: a picture cannot be drawn.
pub fn section(runs: &[Run]) -> Result<Section> {
    let mut section = Section::new("credit", "Credit assignment");
    let with: Vec<&Run> = runs.iter().filter(|r| !r.credit.is_empty()).collect();
    if with.is_empty() {
        section.missing.push("Left out: no credit lines in metrics.jsonl (spiketrain train --credit-every N writes them).".into());
        return Ok(section);
    }
    section.words(html! { p {
        "How errors travel: e[t] = dL/du[t] of each layer, taken during training. An error reaches a step from the layer above at the same step (space), "
        "from the step after while the neuron was silent (time), or from the step after across a spike, which only α > 0 lets through (the BPTA path)."
    } });
    if with.len() > MOST_RUNS {
        section.missing.push(format!("The pictures of the first {MOST_RUNS} runs are shown, of {} with credit lines.", with.len()));
    }
    for (i, run) in with.iter().take(MOST_RUNS).enumerate() {
        if with.len() > 1 {
            section.words(html! { h3 { (run.name) } });
        }
        of_run(&mut section, run, if with.len() > 1 { format!("-{}", i + 1) } else { String::new() })?;
    }
    Ok(section)
}

fn of_run(section: &mut Section, run: &Run, suffix: String) -> Result<()> {
    let Some(last) = run.credit.last() else { return Ok(()) };
    let when = format!("Epoch {}, step {}, {}.", last.epoch, last.step, grouped(last.samples, "sample"));
    section.figure(mass(last, &suffix, &when)?);
    section.figure(paths(last, &suffix, &when)?);
    section.figure(across_by_step(last, &suffix, &when)?);
    for (name, title, y, of) in [
        (
            "credit-across",
            "Share that came across a spike, by training step",
            "share across spikes in %",
            (|l| 100.0 * l.across_share()) as fn(&LayerCredit) -> f64,
        ),
        ("credit-silent", "Silent neurons", "neurons that never fired in %", |l| 100.0 * l.silent),
        ("credit-saturated", "Saturated neurons", "neurons that always fired in %", |l| 100.0 * l.saturated),
        ("credit-growth", "Growth across consecutive spikes", "share of factors above 1 in %", |l| 100.0 * l.growth.above_one),
    ] {
        section.figure(by_training_step(run, &format!("{name}{suffix}"), title, y, of)?);
    }
    section.figure(margins(last, &suffix, &when)?);
    section.words(html! { p { "Factors λα/u[t] by which an error grows from a spike to the spike just before it. " (when) } });
    section.parts.push(Part::Table(growth(last)));
    Ok(())
}

fn names(line: &CreditLine) -> Vec<String> {
    line.layers.iter().enumerate().map(|(i, l)| format!("{} {}", i + 1, l.name)).collect()
}

fn steps(line: &CreditLine) -> Vec<String> {
    (1..=line.layers[0].mass.len()).map(|t| t.to_string()).collect()
}

/// Layer by time step: how much gradient there is.
fn mass(line: &CreditLine, suffix: &str, when: &str) -> Result<Figure> {
    let largest = line.layers.iter().flat_map(|l| &l.mass).fold(f64::MIN_POSITIVE, |m, v| m.max(*v));
    let logs = |l: &LayerCredit| l.mass.iter().map(|m| (m / largest).log10().max(-DECADES)).collect::<Vec<f64>>();
    let svg = heat::draw(&Map {
        x: "time step".into(),
        columns: steps(line),
        rows: names(line).into_iter().zip(line.layers.iter().map(logs)).collect(),
        unit: "powers of ten, largest: 0".into(),
        range: (-DECADES, 0.0),
        texts: None,
    })?;
    let mut table = Table::new(std::iter::once("layer".to_string()).chain(steps(line)));
    table.rows = names(line)
        .into_iter()
        .zip(&line.layers)
        .map(|(n, l)| std::iter::once(n).chain(l.mass.iter().map(|m| short(*m))).collect())
        .collect();
    let note = format!("Σ |e[t]| over samples and neurons; the scale of colours is below. {when}");
    Ok(Figure { name: format!("credit-mass{suffix}"), title: "Gradient by layer and time step".into(), note, svg, table, wide: false })
}

fn sums(l: &LayerCredit) -> [f64; 3] {
    [&l.space, &l.time, &l.across].map(|v| v.iter().sum::<f64>())
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

/// Layer by path: what the gradient is made of.
fn paths(line: &CreditLine, suffix: &str, when: &str) -> Result<Figure> {
    let shares = |l: &LayerCredit| {
        let parts = sums(l);
        parts.map(|p| share(p, parts.iter().sum())).to_vec()
    };
    let rows: Vec<(String, Vec<f64>)> = names(line).into_iter().zip(line.layers.iter().map(shares)).collect();
    // Short enough to stand side by side; what "across" crosses is said below them.
    let columns = ["space", "time", "across"].map(String::from).to_vec();
    let mut table = Table::new(["layer", "space, %", "time, %", "across spikes, %"]);
    table.rows = rows.iter().map(|(n, s)| std::iter::once(n.clone()).chain(s.iter().map(|v| short(*v))).collect()).collect();
    let texts = Some(rows.iter().map(|(_, s)| s.iter().map(|v| format!("{v:.2}")).collect()).collect());
    let svg = heat::draw(&Map {
        x: "came through (across: spikes)".into(),
        columns,
        rows,
        unit: "% of the layer's".into(),
        range: (0.0, 100.0),
        texts,
    })?;
    Ok(Figure {
        name: format!("credit-paths{suffix}"),
        title: "Paths of the gradient".into(),
        note: when.to_string(),
        svg,
        table,
        wide: false,
    })
}

fn across_by_step(line: &CreditLine, suffix: &str, when: &str) -> Result<Figure> {
    let shares = |l: &LayerCredit| {
        let at = |t: usize| share(l.across[t], l.space[t] + l.time[t] + l.across[t]);
        (0..l.mass.len()).map(at).collect::<Vec<f64>>()
    };
    let series: Vec<Series> = names(line).into_iter().zip(&line.layers).map(|(n, l)| Series::counted(n, shares(l))).collect();
    lines(
        &format!("credit-time{suffix}"),
        "Share that came across a spike, by time step",
        when,
        "time step",
        "share across spikes in %",
        series,
    )
}

fn by_training_step(run: &Run, name: &str, title: &str, y: &str, of: fn(&LayerCredit) -> f64) -> Result<Figure> {
    let layers = run.credit.last().map(names).unwrap_or_default();
    let points = |i: usize| run.credit.iter().filter_map(|c| Some((c.step as f64, of(c.layers.get(i)?)))).collect();
    let series = layers.iter().enumerate().map(|(i, n)| Series { name: n.clone(), points: points(i) }).collect();
    lines(name, title, "", "training step", y, series)
}

fn lines(name: &str, title: &str, note: &str, x: &str, y: &str, series: Vec<Series>) -> Result<Figure> {
    let table = curves::table(x, &series);
    let svg = chart::lines(&Lines { x: x.into(), y: y.into(), series, from_zero: true, ..Lines::default() })?;
    Ok(Figure { name: name.into(), title: title.into(), note: note.into(), svg, table, wide: false })
}

/// How far above the threshold neurons fire.
fn margins(line: &CreditLine, suffix: &str, when: &str) -> Result<Figure> {
    let bins = MARGIN_BINS;
    let bin = |i: usize| if i + 1 == bins { format!("{}+", i as f64 * MARGIN_BIN) } else { (i as f64 * MARGIN_BIN).to_string() };
    let shares = |l: &LayerCredit| {
        let all = l.margin.iter().sum::<u64>() as f64;
        (0..bins).map(|i| share(l.margin[i] as f64, all)).collect::<Vec<f64>>()
    };
    let rows: Vec<(String, Vec<f64>)> = names(line).into_iter().zip(line.layers.iter().map(shares)).collect();
    let top = rows.iter().flat_map(|r| &r.1).fold(1e-9, |m: f64, v| m.max(*v));
    let columns: Vec<String> = (0..bins).map(bin).collect();
    let mut table = Table::new(std::iter::once("layer".to_string()).chain(columns.iter().cloned()));
    table.rows = names(line)
        .into_iter()
        .zip(&line.layers)
        .map(|(n, l)| std::iter::once(n).chain((0..bins).map(|i| l.margin[i].to_string())).collect())
        .collect();
    let svg = heat::draw(&Map {
        x: format!("u - u_th, bins of {MARGIN_BIN}"),
        columns,
        rows,
        unit: "% of the layer's spikes".into(),
        range: (0.0, top),
        texts: None,
    })?;
    let note = format!("The gradient at a spike is divided by u: neurons far above the threshold learn less. {when}");
    Ok(Figure {
        name: format!("credit-margin{suffix}"),
        title: "Margin above the threshold at spikes".into(),
        note,
        svg,
        table,
        wide: false,
    })
}

fn growth(line: &CreditLine) -> Table {
    let mut table = Table::new(["layer", "pairs of consecutive spikes", "mean factor", "largest factor", "factors above 1"]);
    for (name, l) in names(line).into_iter().zip(&line.layers) {
        let g = &l.growth;
        let row = match g.pairs {
            0 => vec![name, "0".into(), "–".into(), "–".into(), "–".into()],
            n => vec![name, thousands(n as usize), short(g.mean), short(g.largest), percent(g.above_one)],
        };
        table.rows.push(row);
    }
    table
}
