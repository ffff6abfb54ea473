//! A number that is not finite stops a step before anything is changed, and the error names the place.

use spiketrain::engine::cpu::Cpu;
use spiketrain::engine::reference::Reference;
use spiketrain::engine::{Batch, Engine, Input, Layout};
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::plan::Plan;
use spiketrain::train::step::{Task, adamw, optimise};
use spiketrain::train::trainer::weights_sha256;

fn refused<E: Engine>(engine: &E, spoil: impl FnOnce(&mut Network<E>, &mut Vec<f32>), ann: bool, alpha: f64, words: &[&str]) {
    let plan = Plan::new("4C3-MP2-6FC-2Voting".parse().unwrap(), "1x6x6".parse().unwrap()).unwrap();
    let mut net = Network::init(engine, plan, 1);
    let mut moments = [net.zeros(engine), net.zeros(engine)];
    let mut pixels: Vec<f32> = (0..4 * 36).map(|i| (i % 7) as f32 / 7.0).collect();
    spoil(&mut net, &mut pixels);
    let before = weights_sha256(engine, &net);
    let batch = Batch { shape: net.plan.shape, samples: 4, steps: 64, input: Input::Direct(pixels) };
    let method = Method { lif: Lif::default(), rule: Rule::BpsaBpta, alpha, merged_norm: false, ann, tssl_rate: None };
    let task = Task { batch: &batch, labels: &[0, 1, 0, 1], masks: &[], method: &method, loss: Loss::Mse };
    let e = optimise(engine, &mut net, &mut moments, &task, &adamw(1e-3, 1e-4, 1)).err().unwrap();
    assert_eq!(e.exit_code(), 3);
    assert!(words.iter().all(|w| e.to_string().contains(w)), "{e}");
    assert_eq!(weights_sha256(engine, &net), before, "{e}: something was changed");
}

fn all<E: Engine>(engine: &E) -> usize {
    for bad in [f32::NAN, f32::INFINITY] {
        refused(engine, |_, pixels| pixels[40] = bad, false, 0.8, &["input currents of layer 0 (4C3)"]);
        refused(engine, |_, pixels| pixels[40] = bad, true, 0.8, &["layer 0 (4C3)"]);
        let weight = |net: &mut Network<E>, block: usize| {
            let layout = net.plan.blocks[block].weight();
            let mut host = vec![0.1; layout.len()];
            host[1] = bad;
            net.params[block].weight = engine.param(layout, &host);
        };
        refused(engine, |net, _| weight(net, 0), false, 0.8, &["input currents of layer 0"]);
        refused(engine, |net, _| weight(net, 1), true, 0.8, &["input currents of layer 2 (6FC)"]);
    }
    // An always firing layer under α = 10: the error grows by 9/u a step.
    let loud = |net: &mut Network<E>, _: &mut Vec<f32>| {
        for i in 0..2 {
            let n = net.plan.blocks[i].output.c;
            let loud = engine.param(Layout::PerChannel(n), &vec![0.6; n]);
            match &mut net.params[i].norm {
                Some((_, beta)) => *beta = loud,
                None => net.params[i].bias = loud,
            }
        }
    };
    refused(engine, loud, false, 10.0, &["the gradient of", "not finite"]);
    9
}

#[test]
fn nothing_is_changed_by_a_step_that_is_not_finite() {
    println!("{} steps refused", all(&Cpu::new()) + all(&Reference));
}
