//! The kernels one by one, over densities and shapes of the paper's networks, through the engine's contract: `cargo bench`.
//!
//! Beside the event-driven kernels stand the dense ones, which get the same spikes as real numbers: unfolding and matrix products
//! (im2col + gemm). Elements per second are accumulates: one per spike and weight forward, two backward, borders not deducted.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use spiketrain::engine::cpu::{Acts, Cpu, Field, Grad, Param};
use spiketrain::engine::{AdamW, Batch, Cell, Engine, Input, Layout, Need, Neuron, Norm, Pass};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::rng::{Purpose, Rng};
use spiketrain::shape::Chw;

const SAMPLES: usize = 4;
const STEPS: usize = 16;
const DENSITIES: [f64; 4] = [0.02, 0.1, 0.33, 0.5];
/// A neuron that passes spikes on.
const PASS: Cell = Cell { relu: false, neuron: Neuron::Lif(Lif { decay: 0.0, threshold: 0.5 }) };
const LIF: Cell = Cell { relu: true, neuron: Neuron::Lif(Lif { decay: 0.9, threshold: 0.5 }) };

/// Independent spikes of a density, as reals and as spikes.
fn spikes(engine: &Cpu, shape: Chw, density: f64) -> [Acts; 2] {
    let mut rng = Rng::at(0, Purpose::Test, 0, 0);
    let frames = (0..STEPS * SAMPLES * shape.len()).map(|_| f32::from(u8::from(f64::from(rng.unit()) < density))).collect();
    let reals = engine.input(&Batch { shape, samples: SAMPLES, steps: STEPS, input: Input::Frames(frames) }, Pass::Training);
    let identity: Vec<f32> = (0..shape.c * shape.c).map(|i| f32::from(u8::from(i % (shape.c + 1) == 0))).collect();
    let one = engine.param(Layout::Conv { out: shape.c, inp: shape.c, k: 1 }, &identity);
    let currents = engine.affine(&reals, &one, &zeros(engine, shape.c));
    let spikes = engine.fire(&currents, None, &PASS);
    [reals, spikes]
}

fn zeros(engine: &Cpu, channels: usize) -> Param {
    engine.constant(Layout::PerChannel(channels), 0.0)
}

fn weights(engine: &Cpu, layout: Layout) -> Param {
    let mut rng = Rng::at(0, Purpose::Test, 1, 0);
    engine.param(layout, &(0..layout.len()).map(|_| rng.uniform(-0.05, 0.05)).collect::<Vec<f32>>())
}

/// Forward and backward of one weight layer, event-driven beside dense.
fn layer(c: &mut Criterion, name: &str, shape: Chw, layout: Layout) {
    let engine = Cpu::new();
    let (out, fan_out) = match layout {
        Layout::Conv { out, k, .. } => (out, out * k * k),
        Layout::Linear { out, .. } | Layout::PerChannel(out) => (out, out),
    };
    let (weight, bias) = (weights(&engine, layout), zeros(&engine, out));
    for (pass, factor) in [("forward", 1), ("backward", 2)] {
        let mut group = c.benchmark_group(format!("{name} {pass}"));
        for density in DENSITIES {
            let inputs = spikes(&engine, shape, density);
            let events = engine.read(&[engine.spike_count(&inputs[1])]).unwrap()[0];
            group.throughput(Throughput::Elements(factor * events * fan_out as u64));
            for (kind, x) in ["dense", "events"].into_iter().zip(&inputs) {
                let id = BenchmarkId::new(kind, density);
                match pass {
                    "forward" => group.bench_function(id, |b| b.iter(|| black_box(engine.affine(x, &weight, &bias)))),
                    _ => group.bench_function(id, |b| {
                        let need = if kind == "dense" { Need::Everywhere } else { Need::AtSpikes };
                        let e = || engine.affine(x, &weight, &bias);
                        b.iter_batched(e, |e| black_box(engine.affine_backward(x, &weight, e, need)), BatchSize::PerIteration);
                    }),
                };
            }
        }
        group.finish();
    }
}

fn layers(c: &mut Criterion) {
    let conv = |inp, out| Layout::Conv { out, inp, k: 3 };
    layer(c, "conv 128-128 14x14", Chw::new(128, 14, 14), conv(128, 128));
    layer(c, "conv 256-512 4x4", Chw::new(256, 4, 4), conv(256, 512));
    let shape = Chw::new(64, 7, 7);
    layer(c, "linear 3136-1024", shape, Layout::Linear { out: 1024, inp: shape });
}

/// A gradient from above for spikes of `shape`, as a convolution sends it.
fn gradient(engine: &Cpu, x: &Acts, shape: Chw) -> Grad {
    let weight = weights(engine, Layout::Conv { out: shape.c, inp: shape.c, k: 1 });
    let e = engine.affine(x, &weight, &zeros(engine, shape.c));
    engine.affine_backward(x, &weight, e, Need::AtSpikes).input.expect("it was needed")
}

fn sweeps(c: &mut Criterion) {
    let (engine, shape) = (Cpu::new(), Chw::new(128, 14, 14));
    let [_, x] = spikes(&engine, shape, 0.33);
    let weight = weights(&engine, Layout::Conv { out: shape.c, inp: shape.c, k: 3 });
    let currents = || -> Field { engine.affine(&x, &weight, &zeros(&engine, shape.c)) };
    let ones = engine.constant(Layout::PerChannel(shape.c), 1.0);
    let (y, beta) = (currents(), zeros(&engine, shape.c));
    let moments = engine.moments(&y, false);
    let norm = Norm { gamma: &ones, beta: &beta, moments: &moments };
    let mut group: BenchmarkGroup<'_, WallTime> = c.benchmark_group("norm, ReLU, LIF 128x14x14");
    group.throughput(Throughput::Elements((SAMPLES * STEPS * shape.len()) as u64));
    group.bench_function("batch statistics", |b| b.iter(|| black_box(engine.moments(&y, false))));
    group.bench_function("forward", |b| b.iter(|| black_box(engine.fire(&y, Some(&norm), &LIF))));
    let fired = engine.fire(&y, Some(&norm), &LIF);
    let surrogate = Rule::BpsaBpta.surrogate(0.8);
    group.bench_function("backward", |b| {
        let setup = || (currents(), gradient(&engine, &fired, shape));
        let work = |(y, d)| black_box(engine.fire_backward(y, Some(&norm), &LIF, surrogate, d));
        b.iter_batched(setup, work, BatchSize::PerIteration);
    });
    group.bench_function("max pool", |b| b.iter(|| black_box(engine.max_pool(&fired, 2))));
    group.bench_function("average pool", |b| b.iter(|| black_box(engine.avg_pool(&fired, 2))));
    group.finish();
}

fn optimiser(c: &mut Criterion) {
    let (engine, layout) = (Cpu::new(), Layout::Linear { out: 1024, inp: Chw::new(4096, 1, 1) });
    let (mut p, mut m, mut v, grad) =
        (weights(&engine, layout), weights(&engine, layout), engine.constant(layout, 1e-4), weights(&engine, layout));
    let mut group = c.benchmark_group("AdamW");
    group.throughput(Throughput::Elements(layout.len() as u64));
    let constants = AdamW { lr: 1e-3, weight_decay: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, step: 10 };
    group.bench_function("4 M parameters", |b| b.iter(|| engine.adamw(&mut p, &mut m, &mut v, &grad, &constants)));
    group.finish();
}

criterion_group! {
    name = kernels;
    config = Criterion::default().sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    targets = layers, sweeps, optimiser
}
criterion_main!(kernels);
