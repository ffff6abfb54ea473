//! With the neuron as the identity (the `ann` mode) the whole network is smooth: its gradients are differences of the loss.

use spiketrain::engine::reference::Reference;
use spiketrain::engine::{Batch, DropMask, Engine, Input};
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::tensors::{self, Tensor};

fn loss_of(net: &Network<Reference>, batch: &Batch, labels: &[u16], masks: &[DropMask], method: &Method, loss: Loss) -> f64 {
    let (out, _) = net.forward(&Reference, batch, masks, method).unwrap();
    loss.of_output(&out, labels, None).0
}

#[test]
fn gradients_are_differences_of_the_loss_end_to_end() {
    let mut compared = 0;
    for (i, (net, shape)) in [
        ("4C3-MP2-3C5-AP2-DP-7FC-2Voting", "2x9x8"),
        ("3C1-AP3-2Voting", "1x7x6"),
        ("5C3-DP-MP3-4FC-DP-3FC-3Voting", "1x6x7"),
        ("6FC-2Voting", "3x2x2"),
    ]
    .into_iter()
    .enumerate()
    {
        for merged_norm in [false, true] {
            for loss in Loss::ALL {
                compared += check(i as u64, net, shape, merged_norm, loss);
            }
        }
    }
    println!("{compared} derivatives compared with central differences");
    assert!(compared > 4_000);
}

fn check(seed: u64, net: &str, shape: &str, merged_norm: bool, loss: Loss) -> usize {
    let plan = Plan::new(net.parse().unwrap(), shape.parse().unwrap()).unwrap();
    let mut rng = Rng::at(seed, Purpose::Test, 1, 0);
    let (samples, steps) = (3, 2);
    let frames = (0..steps * samples * plan.shape.len()).map(|_| rng.uniform(-1.0, 1.0)).collect();
    let batch = Batch::whole(plan.shape, samples, steps, Input::Frames(frames));
    let labels: Vec<u16> = (0..samples).map(|_| rng.below(plan.classes()) as u16).collect();
    let method = Method { lif: Lif::default(), rule: Rule::BpsaBpta, alpha: 0.8, merged_norm, ann: true, tssl_rate: None };
    let mut net = Network::init(&Reference, plan, seed);
    let masks = net.masks(seed, 1);
    let (out, tape) = net.forward(&Reference, &batch, &masks, &method).unwrap();
    let (_, d_rates) = loss.of_output(&out, &labels, None);
    let grads = net.backward(&Reference, tape, &d_rates, &masks, &method).unwrap();

    let mut compared = 0;
    for b in 0..net.plan.blocks.len() {
        for Tensor { name, layout, place } in tensors::of_block(b, &net.plan.blocks[b]) {
            let Some(gradient) = grads[b].get(place.which) else { continue };
            let (host, gradient) = (net.host(&Reference, place).unwrap(), Reference.host(gradient).unwrap());
            for i in 0..host.len() {
                // The weights are f32 on the host: the step is what they really moved by.
                let mut at = |value: f32| {
                    let mut moved = host.clone();
                    moved[i] = value;
                    *net.get_mut(place).unwrap() = Reference.param(layout, &moved);
                    loss_of(&net, &batch, &labels, &masks, &method, loss)
                };
                let (up, down) = (host[i] + 1e-5, host[i] - 1e-5);
                let slope = (at(up) - at(down)) / (up as f64 - down as f64);
                at(host[i]);
                // A ReLU or a maximum may switch within the step: the two one-sided slopes then differ.
                let bound = 1e-6 + 1e-4 * slope.abs();
                if (slope - gradient[i] as f64).abs() > bound {
                    let here = at(host[i]);
                    let right = (at(up) - here) / (up as f64 - host[i] as f64);
                    let left = (here - at(down)) / (host[i] as f64 - down as f64);
                    at(host[i]);
                    assert!((right - left).abs() > bound, "{name}[{i}]: {} by backward, {slope} by differences", gradient[i]);
                    continue;
                }
                compared += 1;
            }
        }
    }
    compared
}
