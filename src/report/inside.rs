//! What the network of a run shows of itself: samples on their way through it, confusions, filters.

use crate::plural::{either, grouped, thousands};
use maud::html;

use super::heat::{self, Map};
use super::look::{Confusion, Look, Sample};
use super::pixels::{self, Pixels};
use super::{Figure, Part, Run, Section, Table, percent, short, spikes};
use crate::engine::Layout;
use crate::error::Result;

/// Classes up to which the whole matrix is drawn.
const DRAWN_CLASSES: usize = 40;
/// Classes up to which counts are written into its cells.
const WRITTEN_CLASSES: usize = 16;
/// Units of the first layer that are shown.
const FILTERS: usize = 64;

/// The three sections that need a checkpoint and its data.
///
/// # Errors
/// Bug: a picture cannot be drawn.
pub fn sections(run: &Run, look: &std::result::Result<Look, String>) -> Result<Vec<Section>> {
    let mut all = [
        Section::new("samples", "Spikes and membrane potentials"),
        Section::new("confusion", "Confusion matrix"),
        Section::new("filters", "First-layer filters"),
    ];
    match look {
        Err(why) => all.iter_mut().for_each(|s| s.missing.push(format!("Left out: {why}"))),
        Ok(look) => {
            let [samples, confusion, filters] = &mut all;
            show_samples(samples, run, look)?;
            show_confusion(confusion, look)?;
            show_filters(filters, look);
        }
    }
    Ok(all.into())
}

fn show_samples(section: &mut Section, run: &Run, look: &Look) -> Result<()> {
    if look.samples.is_empty() {
        section
            .missing
            .push("No sample is shown: none was asked for, or the network is still in the ann warm-up, in which nothing spikes.".into());
        return Ok(());
    }
    section.words(html! { p {
        "The first test samples of different classes on their way through the network of " (run.name) " (" (look.source) "). "
        "Neurons are evenly spread over each layer. The potential u[t] is drawn before its reset; it falls to 0 from every spike (disc), "
        "and the dashed line is the threshold u_th = " (short(look.threshold)) "."
    } });
    for (i, sample) in look.samples.iter().enumerate() {
        of_sample(section, look, sample, i + 1)?;
    }
    section.words(
        html! { p { "Neurons that fired at no step, and at every step, of any of " (grouped(look.state_samples, "test sample")) ":" } },
    );
    let mut table = Table::new(["layer", "neurons", "silent", "saturated"]);
    let share = |n: usize, of: usize| format!("{} ({})", thousands(n), percent(n as f64 / of.max(1) as f64));
    for (i, l) in look.layers.iter().enumerate() {
        table.rows.push(vec![
            format!("{} {}", i + 1, l.name),
            thousands(l.neurons),
            share(l.silent, l.neurons),
            share(l.saturated, l.neurons),
        ]);
    }
    section.parts.push(Part::Table(table));
    Ok(())
}

fn class(look: &Look, index: usize) -> &str {
    look.classes.get(index).map_or("?", String::as_str)
}

fn of_sample(section: &mut Section, look: &Look, sample: &Sample, number: usize) -> Result<()> {
    let (truth, taken) = (class(look, sample.label.into()), class(look, sample.predicted));
    let right = if usize::from(sample.label) == sample.predicted { "rightly" } else { "wrongly" };
    let simulated = if look.simulated { " (simulated)" } else { "" };
    let title = format!("Test sample {}{simulated}: {truth}, {right} taken for {taken}", sample.index);
    section.words(html! { h3 { (title) } });
    let svg = if sample.events {
        pixels::frames(&sample.input, sample.shape)
    } else {
        Some(Pixels::picture(&sample.input, sample.shape).svg(280))
    };
    let mut votes = Table::new(["class", "firing rate of its voters"]);
    votes.rows = look.classes.iter().zip(&sample.rates).map(|(c, r)| vec![c.clone(), short(*r)]).collect();
    let (what, note) = match sample.events {
        true => ("Frames", "All time steps, row by row; orange: brighter, blue: darker."),
        false => ("Input", "The same at every time step."),
    };
    let best = sample.rates.get(sample.predicted).copied().unwrap_or_default();
    let note = format!("{note} The voters of {taken} fire at {}.", percent(best));
    if let Some(svg) = svg {
        section.figure(Figure {
            name: format!("sample-{number}-input"),
            title: format!("{what} of {truth}"),
            note,
            svg,
            table: votes,
            wide: false,
        });
    }
    section.figure(Figure {
        name: format!("sample-{number}-spikes"),
        title: "Spikes by layer".into(),
        note: "A mark is a spike; numbers on the left are neurons' positions in the layer.".into(),
        svg: spikes::raster(sample, &look.layers, look.steps)?,
        table: spikes::raster_table(sample, &look.layers, look.steps),
        wide: false,
    });
    let layer = &look.layers[sample.traced];
    section.figure(Figure {
        name: format!("sample-{number}-potentials"),
        title: format!("Membrane potentials in layer {} {}", sample.traced + 1, layer.name),
        note: "From the busiest neuron down, all on one scale; the last is the silent one that came closest to firing, where there is one. u has no unit.".into(),
        svg: spikes::traces(sample, look.threshold, look.steps)?,
        table: spikes::trace_table(sample, look.steps),
        wide: false,
    });
    Ok(())
}

fn show_confusion(section: &mut Section, look: &Look) -> Result<()> {
    let (c, classes) = (&look.confusion, look.classes.len());
    let which = match c.seen == c.of {
        true => format!("All {}", grouped(c.of, "test sample")),
        false => {
            format!("{} of {}, evenly spread (--test-samples 0 takes all)", thousands(c.seen), grouped(c.of, "test sample"))
        }
    };
    section.words(html! { p { (which) ", classified by the network of the " (look.source) ": " strong { (percent(c.accuracy(classes))) } " " (either(c.seen, "is", "are")) " right." } });
    let mut table = Table::new(std::iter::once("class \\ taken for").chain(look.classes.iter().map(String::as_str)));
    let row = |i: usize| &c.counts[i * classes..][..classes];
    table.rows =
        (0..classes).map(|i| std::iter::once(look.classes[i].clone()).chain(row(i).iter().map(u32::to_string)).collect()).collect();
    if classes > DRAWN_CLASSES {
        section.missing.push(format!("The matrix of {classes} classes is not drawn."));
    } else {
        let shares = |i: usize| {
            let sum = row(i).iter().sum::<u32>().max(1);
            row(i).iter().map(|&n| 100.0 * f64::from(n) / f64::from(sum)).collect::<Vec<f64>>()
        };
        let texts = (0..classes).map(|i| row(i).iter().map(|&n| if n == 0 { String::new() } else { n.to_string() }).collect()).collect();
        let named = look.classes.iter().all(|c| c.chars().count() <= 3);
        let column = |i: usize| if named { look.classes[i].clone() } else { (i + 1).to_string() };
        let label = |i: usize| if named { look.classes[i].clone() } else { format!("{} {}", i + 1, look.classes[i]) };
        let svg = heat::draw(&Map {
            x: "taken for".into(),
            columns: (0..classes).map(column).collect(),
            rows: (0..classes).map(|i| (label(i), shares(i))).collect(),
            unit: "% of the class".into(),
            range: (0.0, 100.0),
            texts: (classes <= WRITTEN_CLASSES).then_some(texts),
        })?;
        let note = "Rows are the classes; the numbers count samples.".to_string();
        section.figure(Figure {
            name: "confusion".into(),
            title: "Classes and what they were taken for".into(),
            note,
            svg,
            table,
            wide: false,
        });
    }
    section.words(worst(c, &look.classes));
    Ok(())
}

/// The pairs that are confused most often.
fn worst(c: &Confusion, names: &[String]) -> maud::Markup {
    let classes = names.len();
    let mut wrong: Vec<(u32, usize)> = c.counts.iter().copied().zip(0..).filter(|(n, i)| *n > 0 && i / classes != i % classes).collect();
    wrong.sort_by_key(|&(n, i)| (std::cmp::Reverse(n), i));
    html! {
        @if wrong.is_empty() { p { "Nothing was confused." } }
        @else {
            p { "Confused most often:" }
            ul { @for (n, i) in wrong.iter().take(5) { li { (names[i / classes]) " taken for " (names[i % classes]) ": " (n) } } }
        }
    }
}

fn show_filters(section: &mut Section, look: &Look) {
    let (units, inputs, what) = match look.layout {
        Layout::Conv { out, inp, k } => (out, inp * k * k, format!("{k}x{k} weights of {}", grouped(inp, "input channel"))),
        Layout::Linear { out, inp } => (out, inp.len(), format!("weights to the {}", grouped(inp.len(), "input"))),
        Layout::PerChannel(_) => return,
    };
    let shown = units.min(FILTERS);
    let mut table = Table::new(std::iter::once("unit".to_string()).chain((1..=inputs).map(|i| format!("w{i}"))));
    let row =
        |u: usize| std::iter::once((u + 1).to_string()).chain(look.weights[u * inputs..][..inputs].iter().map(f32::to_string)).collect();
    table.rows = (0..shown).map(row).collect();
    let largest = look.weights[..shown * inputs].iter().fold(0.0, |m: f32, w| m.max(w.abs()));
    section.figure(Figure {
        name: "filters".into(),
        title: format!(
            "{} of {units} units of the first layer",
            if shown == units { "All".to_string() } else { format!("The first {shown}") }
        ),
        note: format!(
            "Each block of tiles holds the {what}, side by side. Blue is negative, red positive, without colour 0; the strongest are ±{}.",
            short(largest.into())
        ),
        svg: heat::on_dark(&Pixels::filters(look.layout, &look.weights, shown).svg(1000)),
        table,
        wide: true,
    });
}
