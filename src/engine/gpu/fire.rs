//! Batch statistics, and norm → ReLU → neuron, forward and back.

use std::sync::Arc;

use super::Gpu;
use super::device::{Buffer, Grid, THREADS, View, pieces};
use super::kernels;
use super::values::{Acts, Moments, Param, Reals, Spikes, words};
use crate::engine::{BN_MOMENTUM, Cell, Neuron, Norm, NormGrads, Running};
use crate::neuron::Surrogate;

/// Values of a row that a workgroup of `moments.wgsl` takes.
fn together(rows: usize) -> usize {
    THREADS / rows * 4
}

/// Batch statistics, per step or over all. In two launches: moments of groups of about 1,000 values in two passes over registers, then all groups by
/// the formula of Chan, Golub & LeVeque; relative errors stay near 1e-7 times the logarithm of their number.
pub fn moments(gpu: &Gpu, y: &Reals, merged: bool) -> Moments {
    let extent = y.extent;
    let (channels, repeats) = (extent.shape.c, extent.steps / y.stored);
    let rows = if merged { 1 } else { y.stored };
    // Values of a row in one sample and channel.
    let per_sample = extent.shape.area() * y.stored / rows;
    let each = extent.shape.len() * y.stored;
    let samples: Vec<_> = pieces(extent.samples, gpu.device.fit(each)).collect();
    let groups = |samples: usize| (samples * per_sample).div_ceil(together(rows));
    let all: usize = samples.iter().map(|s| groups(s.len())).sum();
    let list = channels * rows * 3;
    let parts = gpu.device.buffer(all * list);
    let mut done = 0;
    for samples in samples {
        let here = groups(samples.len());
        let parameters = [channels, per_sample, samples.len() * per_sample].map(|n| n as u32);
        let views = [y.data.part(samples.start * each..samples.end * each), parts.part(done * list..(done + here) * list)];
        gpu.device.launch(&kernels::MOMENTS, &[("ROWS", rows)], &parameters, &views, Grid::Groups(here, channels));
        done += here;
    }
    let (mean, var) = (gpu.device.buffer(rows * channels), gpu.device.buffer(rows * channels));
    let views = [parts.all(), mean.all(), var.all()];
    let parameters = [channels as u32, all as u32];
    gpu.device.launch(&kernels::MOMENTS_TOTAL, &[("ROWS", rows)], &parameters, &views, Grid::Groups(rows * channels, 1));
    let behind = extent.samples * per_sample;
    let (count, repeats) = if merged { (behind * repeats, 1) } else { (behind, repeats) };
    Moments { mean: Arc::new(mean), var: Arc::new(var), rows, channels, count, repeats }
}

/// Running statistics as those of an evaluation pass.
pub fn running_moments(running: Running<&Param>) -> Moments {
    let channels = running.mean.layout.len();
    Moments { mean: Arc::clone(&running.mean.data), var: Arc::clone(&running.var.data), rows: 1, channels, count: 1, repeats: 1 }
}

/// Running statistics after a batch.
pub fn update_running(gpu: &Gpu, running: Running<&Param>, m: &Moments) -> Running<Param> {
    let new = Running { mean: gpu.param_of(running.mean.layout), var: gpu.param_of(running.var.layout) };
    let keep = (1.0 - BN_MOMENTUM).powi(m.repeats as i32) as f32;
    let unbiased = (m.count as f64 / (m.count as f64 - 1.0)) as f32;
    let parameters = [m.channels as u32, keep.to_bits(), unbiased.to_bits()];
    let buffers = [&m.mean, &m.var, &running.mean.data, &running.var.data, &new.mean.data, &new.var.data];
    gpu.device.launch(&kernels::RUNNING, &[("ROWS", m.rows)], &parameters, &buffers.map(|b| b.all()), Grid::Threads(m.channels));
    new
}

/// γ, β, mean and variance, in the order of the bindings.
fn norm_views<'a>(gpu: &'a Gpu, norm: Option<&Norm<'a, Param, Moments>>) -> [View<'a>; 4] {
    match norm {
        Some(n) => [n.gamma.data.all(), n.beta.data.all(), n.moments.mean.all(), n.moments.var.all()],
        None => std::array::from_fn(|_| gpu.nothing.all()),
    }
}

fn constants(y: &Reals, norm: Option<&Norm<Param, Moments>>, cell: &Cell) -> Vec<(&'static str, usize)> {
    vec![
        ("STEPS", y.extent.steps),
        ("STORED", y.stored),
        ("ROWS", norm.map_or(1, |n| n.moments.rows)),
        ("NORM", norm.is_some().into()),
        ("RELU", cell.relu.into()),
    ]
}

/// Decay and threshold; of no meaning where the neuron is the identity.
fn lif(cell: &Cell) -> [u32; 2] {
    match cell.neuron {
        Neuron::Lif(lif) => [(lif.decay as f32).to_bits(), (lif.threshold as f32).to_bits()],
        Neuron::Identity => [0, 0],
    }
}

/// Norm → ReLU → neuron over T, in one launch.
pub fn fire(gpu: &Gpu, y: &Reals, norm: Option<&Norm<Param, Moments>>, cell: &Cell) -> Acts {
    let extent = y.extent;
    let identity = matches!(cell.neuron, Neuron::Identity);
    let each_out = extent.shape.len() * if identity { extent.steps } else { words(extent.steps) };
    let out = gpu.device.buffer(extent.samples * each_out);
    let mut constants = constants(y, norm, cell);
    constants.extend([("WORDS", words(extent.steps)), ("IDENTITY", identity.into())]);
    let each = extent.shape.len() * y.stored;
    for samples in pieces(extent.samples, gpu.device.fit(each.max(each_out))) {
        let neurons = samples.len() * extent.shape.len();
        let [gamma, beta, mean, var] = norm_views(gpu, norm);
        let [y, out] = [y.data.part(samples.start * each..samples.end * each), out.part(samples.start * each_out..samples.end * each_out)];
        let [decay, threshold] = lif(cell);
        let parameters = [extent.shape.c as u32, extent.shape.area() as u32, neurons as u32, decay, threshold];
        gpu.device.launch(&kernels::FIRE, &constants, &parameters, &[y, gamma, beta, mean, var, out], Grid::Threads(neurons));
    }
    match cell.neuron {
        Neuron::Identity => Acts::Reals(Reals { extent, stored: extent.steps, data: out }),
        Neuron::Lif(_) => Acts::Spikes(Spikes { extent, planes: 1, scale: 1.0, data: out }),
    }
}

/// The kernel's number of a surrogate, and its α.
fn surrogate_of(cell: &Cell, surrogate: Surrogate) -> (usize, f64) {
    match (cell.neuron, surrogate) {
        (Neuron::Identity, _) => (4, 0.0),
        (_, Surrogate::Inverse { alpha }) => (0, alpha),
        (_, Surrogate::Rectangle { detached }) => (1 + usize::from(detached), 0.0),
        (_, Surrogate::Sigmoid { alpha }) => (3, alpha),
    }
}

/// Back through neuron, ReLU and norm: e = dL/dy in the place of y.
pub fn fire_backward(
    gpu: &Gpu,
    y: Reals,
    norm: Option<&Norm<Param, Moments>>,
    cell: &Cell,
    surrogate: Surrogate,
    d: &Reals,
) -> (Reals, Option<NormGrads<Param>>) {
    let extent = y.extent;
    let (channels, area) = (extent.shape.c, extent.shape.area());
    let (number, alpha) = surrogate_of(cell, surrogate);
    let rows = norm.map_or(1, |n| n.moments.rows).min(y.stored);
    let share = (rows as f64 / (extent.samples * area * y.stored) as f64) as f32;
    let [decay, threshold] = lif(cell);
    let (each_y, each_d) = (extent.shape.len() * y.stored, extent.shape.len() * extent.steps);
    let samples: Vec<_> = pieces(extent.samples, gpu.device.fit(each_y.max(each_d))).collect();
    let groups = |samples: usize| (samples * area).div_ceil(THREADS);
    let sweep = |samples: &std::ops::Range<usize>, sum: bool, sums: View| {
        let mut constants = constants(&y, norm, cell);
        constants.extend([("SURROGATE", number), ("SUM", sum.into())]);
        let [gamma, beta, mean, var] = norm_views(gpu, norm);
        let d = d.data.part(samples.start * each_d..samples.end * each_d);
        let y = y.data.part(samples.start * each_y..samples.end * each_y);
        let numbers = [channels, area, samples.len() * area].map(|n| n as u32);
        let parameters = [&numbers[..], &[decay, threshold, (alpha as f32).to_bits(), share.to_bits()]].concat();
        let grid = Grid::Groups(groups(samples.len()), channels);
        gpu.device.launch(&kernels::FIRE_BACK, &constants, &parameters, &[gamma, beta, mean, var, d, y, sums], grid);
    };
    let Some(_) = norm else {
        samples.iter().for_each(|s| sweep(s, false, gpu.scratch.all()));
        return (y, None);
    };
    let list = channels * rows * 2;
    let all: usize = samples.iter().map(|s| groups(s.len())).sum();
    let parts = gpu.device.buffer(all * list);
    let mut done = 0;
    for s in &samples {
        let here = groups(s.len());
        sweep(s, true, parts.part(done * list..(done + here) * list));
        done += here;
    }
    let sums = total(gpu, &parts, all, channels, rows);
    samples.iter().for_each(|s| sweep(s, false, sums.all()));
    (y, Some(norm_grads(gpu, &sums, channels, rows)))
}

/// Sums `[rows][C][2]` of those of groups.
fn total(gpu: &Gpu, parts: &Buffer, count: usize, channels: usize, rows: usize) -> Buffer {
    let sums = gpu.device.buffer(channels * rows * 2);
    let parameters = [channels as u32, count as u32];
    gpu.device.launch(&kernels::NORM_TOTAL, &[("ROWS", rows)], &parameters, &[parts.all(), sums.all()], Grid::Groups(rows * channels, 1));
    sums
}

fn norm_grads(gpu: &Gpu, sums: &Buffer, channels: usize, rows: usize) -> NormGrads<Param> {
    let layout = crate::engine::Layout::PerChannel(channels);
    let grads = NormGrads { gamma: gpu.param_of(layout), beta: gpu.param_of(layout) };
    let views = [sums.all(), grads.gamma.data.all(), grads.beta.data.all()];
    gpu.device.launch(&kernels::NORM_GRADS, &[("ROWS", rows)], &[channels as u32], &views, Grid::Threads(channels));
    grads
}
