//! Random networks on odd shapes, for engines to agree on.
//!
//! A membrane potential that lies within rounding of the threshold may fire in one precision and not in the other. Such cases are found by
//! moving the threshold of the reference by ±1e-5: where its own spikes or gradients change, the case proves nothing and is left out.
#![allow(dead_code)] // not every test uses everything

use spiketrain::engine::reference::Reference;
use spiketrain::engine::{Batch, Engine, Input};
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::notation::Notation;
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::shape::Chw;
use spiketrain::tensors;

/// A random network, a batch, and how it is passed.
pub struct Case {
    pub plan: Plan,
    pub batch: Batch,
    pub labels: Vec<u16>,
    pub method: Method,
    pub loss: Loss,
    /// Host values of every parameter, block by block.
    pub params: Vec<Vec<Vec<f32>>>,
    pub seed: u64,
}

/// What comes of a training pass and an evaluation.
pub struct Passed {
    pub rates: Vec<f64>,
    pub spikes: Vec<u64>,
    pub running: Vec<f32>,
    pub grads: Vec<(String, Vec<f32>)>,
    pub eval: Vec<f64>,
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

/// Networks of odd shapes, by number.
pub fn case(seed: u64) -> Case {
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

/// A training pass and an evaluation with this threshold.
pub fn pass<E: Engine>(engine: &E, c: &Case, threshold: f64) -> Passed {
    pass_recomputed(engine, c, threshold, &[])
}

/// [`pass`] with the blocks in `recomputed` not keeping their currents.
pub fn pass_recomputed<E: Engine>(engine: &E, c: &Case, threshold: f64, recomputed: &[usize]) -> Passed {
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
pub fn worst(a: &Passed, b: &Passed) -> (f64, String) {
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

pub fn same_forward(a: &Passed, b: &Passed) -> bool {
    let close = |x: &[f64], y: &[f64]| x.iter().zip(y).all(|(p, q)| (p - q).abs() < 1e-4 * (1.0 + q.abs()));
    a.spikes == b.spikes && close(&a.rates, &b.rates) && close(&a.eval, &b.eval)
}

/// What the reference computes, and `None` where rounding decides: moving its threshold a little changes its spikes or gradients.
pub fn judged(c: &Case) -> Option<Passed> {
    let u_th = c.method.lif.threshold;
    let want = pass(&Reference, c, u_th);
    let stable = [-1e-5, 1e-5].iter().all(|d| {
        let moved = pass(&Reference, c, u_th + d);
        same_forward(&moved, &want) && worst(&moved, &want).0 < 1e-3
    });
    stable.then_some(want)
}

/// Holds what an engine computed to what the reference did; gives the largest relative difference of a gradient.
pub fn agree(c: &Case, engine: &str, got: &Passed, want: &Passed) -> f64 {
    let about = || format!("seed {}, {engine}: {} on {}, T {}, {:?}", c.seed, c.plan.notation, c.plan.shape, c.batch.steps, c.method);
    assert_eq!(got.spikes, want.spikes, "{}", about());
    assert!(same_forward(got, want), "rates {:?} {:?}: {}", got.rates, want.rates, about());
    let (off, name) = worst(got, want);
    assert!(off < 1e-3, "gradient of {name} off by {off:e}: {}", about());
    let drift = got.running.iter().zip(&want.running).fold(0.0f32, |m, (a, b)| m.max((a - b).abs() / (1.0 + b.abs())));
    assert!(drift < 1e-5, "running statistics off by {drift:e}: {}", about());
    off
}
