//! The cpu engine against the reference engine: whole training passes of random networks on odd shapes.
//!
//! A membrane potential that lies within rounding of the threshold may fire in one precision and not in the other. Such cases are found by
//! moving the threshold of the reference by ±1e-5: where its own spikes or gradients change, the case proves nothing and is left out.

use rayon::prelude::*;
use spiketrain::engine::cpu::{Cpu, Isa};
use spiketrain::engine::reference::Reference;
use spiketrain::engine::{Batch, Cut, Engine, Input, Values};
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::notation::Notation;
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::shape::Chw;
use spiketrain::tensors;

struct Case {
    plan: Plan,
    batch: Batch,
    labels: Vec<u16>,
    method: Method,
    loss: Loss,
    /// Host values of every parameter, block by block.
    params: Vec<Vec<Vec<f32>>>,
    seed: u64,
}

struct Passed {
    rates: Vec<f64>,
    spikes: Vec<u64>,
    running: Vec<f32>,
    grads: Vec<(String, Vec<f32>)>,
    eval: Vec<f64>,
}

fn pick<'a, T>(rng: &mut Rng, choices: &'a [T]) -> &'a T {
    &choices[rng.below(choices.len())]
}

fn notation(rng: &mut Rng, shape: Chw) -> String {
    let (mut h, mut w) = (shape.h, shape.w);
    let mut tokens = Vec::new();
    for _ in 0..1 + rng.below(3) {
        tokens.push(format!("{}C{}", pick(rng, &[1, 3, 8, 16, 17, 33]), pick(rng, &[1, 3, 3, 3, 5, 7, 9])));
        for _ in 0..rng.below(3) {
            let k = *pick(rng, &[2, 2, 3]);
            match rng.below(4) {
                0 => tokens.push("DP".to_string()),
                kind if h >= k && w >= k => {
                    (h, w) = (h / k, w / k);
                    tokens.push(format!("{}{k}", if kind == 1 { "AP" } else { "MP" }));
                }
                _ => {}
            }
        }
    }
    for _ in 0..rng.below(3) {
        tokens.push(format!("{}FC", pick(rng, &[1, 7, 40, 130])));
        if rng.below(2) == 0 {
            tokens.push("DP".to_string());
        }
    }
    tokens.push(format!("{}Voting", 2 + rng.below(3)));
    tokens.join("-")
}

fn case(seed: u64) -> Case {
    let rng = &mut Rng::at(seed, Purpose::Test, 0, 0);
    let shape = Chw::new(*pick(rng, &[1, 2, 3, 17]), *pick(rng, &[1, 5, 8, 11]), *pick(rng, &[1, 4, 9, 12]));
    let notation: Notation = notation(rng, shape).parse().unwrap();
    let plan = Plan::new(notation, shape).unwrap();
    // From another stream, so that the other cases stay what they were.
    let plan = if Rng::at(seed, Purpose::Test, 1, 0).below(3) == 0 { plan.without_relu() } else { plan };
    let (samples, steps) = (2 + rng.below(4), *pick(rng, &[1, 2, 3, 5, 8, 16, 64]));
    // BatchNorm over two values sends back a gradient of 0 by algebra, whatever arrives: f32 would be judged by its rounding noise.
    let least = plan.blocks.iter().filter(|b| b.has_norm()).map(|b| b.output.area()).min().unwrap_or(1);
    let samples = samples.max(6usize.div_ceil(least));
    let mut values = |n: usize, low: f32, high: f32| (0..n).map(|_| rng.uniform(low, high)).collect::<Vec<f32>>();
    let params = plan
        .blocks
        .iter()
        .map(|b| {
            let gain = if b.has_norm() { 1.0 } else { 3.0 };
            let bound = gain / (b.fan_in() as f32).sqrt();
            let mut all = vec![values(b.weight().len(), -bound, bound), values(b.output.c, -0.1, 0.3)];
            if b.has_norm() {
                all.extend([values(b.output.c, 0.6, 1.4), values(b.output.c, -0.3, 0.4)]);
            }
            all
        })
        .collect();
    let direct = rng.below(2) == 0;
    let len = samples * shape.len() * if direct { 1 } else { steps };
    let data = (0..len).map(|_| if direct { rng.unit() } else { (rng.below(8) / 6 * rng.below(4)) as f32 }).collect();
    let rule = *pick(rng, &Rule::ALL);
    let ann = rng.below(8) == 0;
    let method = Method {
        lif: Lif { decay: *pick(rng, &[0.9, 0.5, 1.0, 0.0]), threshold: *pick(rng, &[0.5, 0.5, 1.0]) },
        rule,
        alpha: *pick(rng, &[0.8, 0.2]),
        merged_norm: rng.below(3) == 0,
        ann,
        tssl_rate: (rng.below(4) == 0).then_some(0.3),
    };
    let labels = (0..samples).map(|_| rng.below(plan.classes()) as u16).collect();
    let input = if direct { Input::Direct(data) } else { Input::Frames(data) };
    let steps = if ann && direct { 1 } else { steps };
    let loss = [Loss::Ce, Loss::Tet, Loss::Mse, Loss::Mse][rng.below(4)];
    Case { batch: Batch::whole(shape, samples, steps, input), plan, labels, method, loss, params, seed }
}

fn pass<E: Engine>(engine: &E, c: &Case, threshold: f64) -> Passed {
    pass_recomputed(engine, c, threshold, &[])
}

/// [`pass`] with the blocks in `recomputed` not keeping their currents.
fn pass_recomputed<E: Engine>(engine: &E, c: &Case, threshold: f64, recomputed: &[usize]) -> Passed {
    let mut net = Network::init(engine, c.plan.clone(), 0);
    recomputed.iter().for_each(|&i| net.recompute[i] = true);
    for (i, (of_block, host)) in net.params.iter_mut().zip(&c.params).enumerate() {
        for ((p, t), values) in of_block.each_mut().zip(tensors::of_block(i, &c.plan.blocks[i])).zip(host) {
            *p = engine.param(t.layout, values);
        }
    }
    let method = Method { lif: Lif { threshold, ..c.method.lif }, ..c.method };
    let masks = net.masks(c.seed, 1);
    let (out, tape) = net.forward(engine, &c.batch, &masks, &method).unwrap();
    let (_, d_rates) = c.loss.of_output(&out, &c.labels, None);
    net.running = net.updated_running(engine, &tape);
    let grads = net.backward(engine, tape, &d_rates, &masks, &method).unwrap();
    let named = |(i, g): (usize, &tensors::Tensors<E::Param>)| -> Vec<(String, Vec<f32>)> {
        tensors::of_block(i, &c.plan.blocks[i]).into_iter().zip(g.each()).map(|(t, p)| (t.name, engine.host(p).unwrap())).collect()
    };
    Passed {
        running: net.running.iter().flatten().flat_map(|r| r.each().flat_map(|p| engine.host(p).unwrap())).collect(),
        grads: grads.iter().enumerate().flat_map(named).collect(),
        eval: net.infer(engine, &c.batch, &method).unwrap().rates,
        rates: out.rates,
        spikes: out.spikes,
    }
}

/// Largest difference of any gradient, relative to the tensor's largest entry (differences below 1e-6 count as none).
fn worst(a: &Passed, b: &Passed) -> (f64, String) {
    let mut worst = (0.0, String::new());
    for ((name, x), (_, y)) in a.grads.iter().zip(&b.grads) {
        let scale = y.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let off = x.iter().zip(y).fold(0.0f32, |m, (p, q)| m.max((p - q).abs()));
        let relative = if off <= 1e-6 { 0.0 } else { (off / scale) as f64 };
        if relative > worst.0 || relative.is_nan() {
            worst = (relative, name.clone());
        }
    }
    worst
}

fn same_forward(a: &Passed, b: &Passed) -> bool {
    let close = |x: &[f64], y: &[f64]| x.iter().zip(y).all(|(p, q)| (p - q).abs() < 1e-4 * (1.0 + q.abs()));
    a.spikes == b.spikes && close(&a.rates, &b.rates) && close(&a.eval, &b.eval)
}

/// What a case says.
enum Said {
    /// Nothing: rounding decides.
    Nothing,
    /// All instruction sets agree with the reference.
    Agreed { without_relu: bool },
}

fn compare(seed: u64, paths: &[Isa]) -> Said {
    let c = case(seed);
    let u_th = c.method.lif.threshold;
    let want = pass(&Reference, &c, u_th);
    let stable = [-1e-5, 1e-5].iter().all(|d| {
        let moved = pass(&Reference, &c, u_th + d);
        same_forward(&moved, &want) && worst(&moved, &want).0 < 1e-3
    });
    if !stable {
        return Said::Nothing;
    }
    for &isa in paths {
        let got = pass(&Cpu::with_isa(isa), &c, u_th);
        let about = || format!("seed {seed}, {}: {} on {}, T {}, {:?}", isa.name(), c.plan.notation, c.plan.shape, c.batch.steps, c.method);
        assert_eq!(got.spikes, want.spikes, "{}", about());
        assert!(same_forward(&got, &want), "rates {:?} {:?}: {}", got.rates, want.rates, about());
        let (off, name) = worst(&got, &want);
        assert!(off < 1e-3, "gradient of {name} off by {off:e}: {}", about());
        let drift = got.running.iter().zip(&want.running).fold(0.0f32, |m, (a, b)| m.max((a - b).abs() / (1.0 + b.abs())));
        assert!(drift < 1e-5, "running statistics off by {drift:e}: {}", about());
    }
    Said::Agreed { without_relu: c.plan.blocks.iter().all(|b| !b.relu) }
}

#[test]
fn the_cpu_engine_computes_what_the_reference_computes() {
    let paths = Isa::available();
    let said: Vec<Said> = (0..250).into_par_iter().map(|seed| compare(seed, &paths)).collect();
    let kept = said.iter().filter(|s| matches!(s, Said::Agreed { .. })).count();
    let without_relu = said.iter().filter(|s| matches!(s, Said::Agreed { without_relu: true })).count();
    assert!(without_relu > 30, "only {without_relu} cases without ReLU");
    println!(
        "{kept} networks ({without_relu} without ReLU) compared on {} instruction sets, {} left out (decided by rounding)",
        paths.len(),
        said.len() - kept
    );
    assert!(kept > 120, "only {kept} cases say anything");
}

#[test]
fn threads_do_not_change_a_bit() {
    for seed in [1, 2, 3, 5, 8, 13, 21, 34] {
        let c = case(seed);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| pass(&Cpu::new(), &c, c.method.lif.threshold))
        };
        let one = with(1);
        for threads in [2, 3, 8] {
            let many = with(threads);
            for ((name, a), (_, b)) in one.grads.iter().zip(&many.grads) {
                let same = a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
                assert!(same, "seed {seed}: gradient of {name} differs between 1 and {threads} threads");
            }
            assert_eq!(one.rates, many.rates);
            assert_eq!(one.running, many.running);
        }
    }
}

#[test]
fn currents_computed_anew_do_not_change_a_bit() {
    let mut tried = 0;
    for seed in 0..40 {
        let mut c = case(seed);
        // Enough samples for several parts.
        let times = 5;
        let (Input::Direct(Values::Reals(data)) | Input::Frames(Values::Reals(data))) = &mut c.batch.input else { panic!() };
        let steps = data.len() / (c.batch.samples * c.batch.shape.len());
        let len = data.len() / steps;
        *data = (0..steps).flat_map(|t| data[t * len..(t + 1) * len].repeat(times)).collect();
        data.iter_mut().enumerate().for_each(|(i, v)| *v *= 1.0 + (i % 7) as f32 / 8.0);
        c.batch.samples *= times;
        c.batch.cut = Cut::whole(c.batch.samples);
        c.labels = c.labels.repeat(times);
        for engine in Isa::available().into_iter().map(Cpu::with_isa) {
            let kept = pass(&engine, &c, c.method.lif.threshold);
            let blocks: Vec<usize> = (0..c.plan.blocks.len()).collect();
            for recomputed in [&blocks[..], &blocks[..1]] {
                let twice = pass_recomputed(&engine, &c, c.method.lif.threshold, recomputed);
                for ((name, a), (_, b)) in kept.grads.iter().zip(&twice.grads) {
                    let same = a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
                    assert!(same, "seed {seed}: gradient of {name} differs when {recomputed:?} of {} are recomputed", c.plan.notation);
                }
                assert_eq!((kept.rates.clone(), &kept.running), (twice.rates, &twice.running));
                tried += 1;
            }
        }
    }
    println!("{tried} passes with currents recomputed");
}
