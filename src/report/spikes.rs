//! Spikes and membrane potentials of a sample as pictures.

use crate::plural::{counted, grouped, thousands};
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::chart::{self, Area, COLOURS, Drawn, GRID, Hint, INK, TEXT, WIDTH};
use super::look::{Layer, Raster, Sample, Trace};
use super::{Table, percent, short};
use crate::error::Result;
use crate::neuron;

/// Room on the left for the numbers of neurons.
const LEFT: i32 = 56;
/// Room above a panel for its name.
const ABOVE: i32 = 26;
/// Height of the rows of a layer in a raster.
const ROWS: i32 = 110;
/// Room below for the time axis.
const BELOW: i32 = 44;

/// Left edge of step `t`.
fn edge(t: usize, steps: usize) -> i32 {
    LEFT + ((WIDTH as i32 - LEFT - 12) as f64 * t as f64 / steps as f64).round() as i32
}

/// Numbers of the steps, from 1.
fn time_axis(area: &Area, steps: usize, y: i32) -> Drawn {
    for t in (0..steps).step_by(steps.div_ceil(12)) {
        let x = (edge(t, steps) + edge(t + 1, steps)) / 2;
        area.draw(&chart::label((t + 1).to_string(), (x, y + 3), HPos::Center, VPos::Top))?;
    }
    area.draw(&chart::label("time step", ((LEFT + WIDTH as i32) / 2, y + 22), HPos::Center, VPos::Top))
}

/// Every spike of the chosen neurons of every layer.
///
/// # Errors
/// Bug: plotters cannot draw it.
pub fn raster(sample: &Sample, layers: &[Layer], steps: usize) -> Result<String> {
    let height = (ABOVE + ROWS + 6) * layers.len() as i32 + BELOW;
    let mut hints = Vec::new();
    let svg = chart::document((WIDTH, height as u32), |area| {
        for (i, (raster, layer)) in sample.rasters.iter().zip(layers).enumerate() {
            let top = (ABOVE + ROWS + 6) * i as i32 + ABOVE;
            raster_panel(area, raster, layer, i, top, steps)?;
            hints.extend((0..steps).map(|t| {
                let fired = raster.spikes.iter().filter(|w| **w >> t & 1 == 1).count();
                let says =
                    format!("{} {}, step {}: {} of the {} drawn", i + 1, layer.name, t + 1, counted(fired, "spike"), raster.neurons.len());
                Hint { place: [(edge(t, steps), top), (edge(t + 1, steps), top + ROWS)], says }
            }));
        }
        time_axis(area, steps, height - BELOW)
    })?;
    Ok(chart::with_hints(&svg, &hints))
}

fn raster_panel(area: &Area, raster: &Raster, layer: &Layer, i: usize, top: i32, steps: usize) -> Drawn {
    let shown = match raster.neurons.len() {
        n if n == layer.neurons => grouped(n, "neuron"),
        n => format!("{} of {}", thousands(n), grouped(layer.neurons, "neuron")),
    };
    let title = format!("{} {}: {shown}, rate {}", i + 1, layer.name, percent(raster.rate));
    area.draw(&chart::label(title, (LEFT, top - 4), HPos::Left, VPos::Bottom))?;
    let frame = [(LEFT, top), (WIDTH as i32 - 12, top + ROWS)];
    area.draw(&Rectangle::new(frame, GRID.stroke_width(1)))?;
    let rows = raster.neurons.len().max(1);
    let row = |n: usize| top + (f64::from(ROWS) * n as f64 / rows as f64).round() as i32;
    let colour = COLOURS[i % COLOURS.len()].filled();
    for (n, word) in raster.spikes.iter().enumerate() {
        for t in (0..steps).filter(|t| word >> t & 1 == 1) {
            // A gap between steps, so that a neuron that never rests is no line.
            let (from, to) = ((edge(t, steps) + 1, row(n)), (edge(t + 1, steps) - 1, row(n + 1).max(row(n) + 1)));
            area.draw(&Rectangle::new([from, to], colour))?;
        }
    }
    for (n, v) in [(0, VPos::Top), (rows - 1, VPos::Bottom)] {
        let number = raster.neurons.get(n).copied().unwrap_or_default();
        let y = if n == 0 { top } else { top + ROWS };
        area.draw(&chart::label(number.to_string(), (LEFT - 5, y), HPos::Right, v))?;
    }
    Ok(())
}

/// A row per spike.
pub fn raster_table(sample: &Sample, layers: &[Layer], steps: usize) -> Table {
    let mut table = Table::new(["layer", "neuron", "steps with a spike"]);
    for (i, (raster, layer)) in sample.rasters.iter().zip(layers).enumerate() {
        for (n, word) in raster.neurons.iter().zip(&raster.spikes).filter(|(_, w)| **w != 0) {
            let at: Vec<String> = (0..steps).filter(|t| word >> t & 1 == 1).map(|t| (t + 1).to_string()).collect();
            table.rows.push(vec![format!("{} {}", i + 1, layer.name), n.to_string(), at.join(" ")]);
        }
    }
    table
}

/// Height of a trace.
const TRACE: i32 = 74;

/// Membrane potentials, each with the threshold as a dashed line and a disc at every spike, from where it falls to 0.
///
/// # Errors
/// Bug: plotters cannot draw it.
pub fn traces(sample: &Sample, threshold: f64, steps: usize) -> Result<String> {
    let height = (ABOVE + TRACE) * sample.traces.len() as i32 + BELOW + 6;
    let values = || sample.traces.iter().flat_map(|t| &t.u).map(|&u| f64::from(u));
    let (low, high) = values().fold((0.0, threshold), |(a, b): (f64, f64), u| (a.min(u), b.max(u)));
    let mut hints = Vec::new();
    let svg = chart::document((WIDTH, height as u32), |area| {
        for (i, trace) in sample.traces.iter().enumerate() {
            let top = (ABOVE + TRACE) * i as i32 + ABOVE;
            trace_panel(area, trace, top, (low, high), threshold, steps)?;
            hints.extend(trace.u.iter().enumerate().map(|(t, u)| {
                let spike = if trace.spikes >> t & 1 == 1 { ", a spike" } else { "" };
                let says = format!("neuron {}, step {}: u = {u:.4}{spike}", trace.neuron, t + 1);
                Hint { place: [(edge(t, steps), top), (edge(t + 1, steps), top + TRACE)], says }
            }));
        }
        time_axis(area, steps, height - BELOW)
    })?;
    Ok(chart::with_hints(&svg, &hints))
}

fn trace_panel(area: &Area, trace: &Trace, top: i32, (low, high): (f64, f64), threshold: f64, steps: usize) -> Drawn {
    let y = |u: f64| top + TRACE - 3 - (f64::from(TRACE - 6) * (u - low) / (high - low)).round() as i32;
    let middle = |t: usize| (edge(t, steps) + edge(t + 1, steps)) / 2;
    let right = WIDTH as i32 - 12;
    let title = format!("u of neuron {}: {}", trace.neuron, grouped(trace.spikes.count_ones() as usize, "spike"));
    area.draw(&chart::label(title, (LEFT, top - 2), HPos::Left, VPos::Bottom))?;
    area.draw(&PathElement::new([(LEFT, y(0.0)), (right, y(0.0))], GRID.stroke_width(1)))?;
    area.draw(&DashedPathElement::new([(LEFT, y(threshold)), (right, y(threshold))], 6, 4, COLOURS[1].stroke_width(1)))?;
    area.draw(&chart::label(short(threshold), (LEFT - 5, y(threshold)), HPos::Right, VPos::Center))?;
    if y(0.0) - y(threshold) >= TEXT {
        area.draw(&chart::label("0", (LEFT - 5, y(0.0)), HPos::Right, VPos::Center))?;
    }
    let fired = |t: usize| trace.spikes >> t & 1 == 1;
    let path = trace.u.iter().enumerate().flat_map(|(t, &u)| {
        let after = neuron::rest(f64::from(u), fired(t));
        [(middle(t), y(f64::from(u))), (middle(t), y(after))]
    });
    area.draw(&PathElement::new(path.collect::<Vec<_>>(), COLOURS[0].stroke_width(2)))?;
    for (t, &u) in trace.u.iter().enumerate().filter(|(t, _)| fired(*t)) {
        area.draw(&Circle::new((middle(t), y(f64::from(u))), 4, INK.filled()))?;
    }
    Ok(())
}

/// A row per step.
pub fn trace_table(sample: &Sample, steps: usize) -> Table {
    let names = sample.traces.iter().map(|t| format!("neuron {}", t.neuron));
    let mut table = Table::new(std::iter::once("time step".to_string()).chain(names));
    for t in 0..steps {
        let potential = |trace: &Trace| format!("{:.4}{}", trace.u[t], if trace.spikes >> t & 1 == 1 { " spike" } else { "" });
        table.rows.push(std::iter::once((t + 1).to_string()).chain(sample.traces.iter().map(potential)).collect());
    }
    table
}
