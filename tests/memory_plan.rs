//! What an engine says a training step takes of memory is what it takes, counted by the allocator.

#[path = "hostile/memory.rs"]
mod memory;

use spiketrain::engine::memory::{Load, PROGRAM};
use spiketrain::engine::{Batch, Engine, Input, cpu::Cpu, reference::Reference};
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::train::step::{Task, adamw, optimise};

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Bytes that training steps on noise take at most, on one thread, and those planned without the program itself. What a thread keeps for
/// itself, whatever is trained, belongs to the program (gemm packs into as much as a core's L2 cache holds, 2 MiB here and 1 there): steps on
/// another engine, `before`, have it allocated.
fn taken_and_planned<E: Engine>(before: E, engine: &E, plan: &Plan, load: &Load, recompute: &[bool]) -> (usize, usize) {
    let (rng, len) = (&mut Rng::at(0, Purpose::Test, 8, 0), load.batch * plan.shape.len());
    let mut values = |n: usize| (0..n).map(|_| rng.unit()).collect();
    let input = if load.direct { Input::Direct(values(len)) } else { Input::Frames(values(load.steps * len)) };
    let batch = Batch::whole(plan.shape, load.batch, load.steps, input);
    let rule = if load.everywhere { Rule::Stbp } else { Rule::BpsaBpta };
    let method = Method { lif: Lif::default(), rule, alpha: 0.8, merged_norm: false, ann: false, tssl_rate: None };
    let labels = vec![0; load.batch];
    let steps = |engine: &E| {
        let mut net = Network::init(engine, plan.clone(), 1);
        net.recompute.copy_from_slice(recompute);
        let mut moments = [net.zeros(engine), net.zeros(engine)];
        for step in 1..=3 {
            let masks = net.masks(1, step);
            let task = Task { batch: &batch, labels: &labels, masks: &masks, method: &method, loss: Loss::Mse, class_weights: None };
            optimise(engine, &mut net, &mut moments, &task, &adamw(1e-3, 0.0, step)).unwrap();
        }
    };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    one.install(|| steps(&before));
    drop(before);
    let (_, taken) = one.install(|| memory::peak(|| steps(engine)));
    (taken, engine.memory().step(plan, load, recompute).total() - PROGRAM)
}

/// Refuses a plan that says less than a step takes, or far more (a quarter less where layers are recomputed), with none, one and all of the convolutions recomputed.
fn compare<E: Engine>(engine: impl Fn() -> E, net: &str, shape: &str, load: Load) {
    let plan = Plan::new(net.parse().unwrap(), shape.parse().unwrap()).unwrap();
    for recomputed in [0, 1, plan.blocks.len()] {
        let recompute: Vec<bool> = plan.blocks.iter().enumerate().map(|(i, b)| i < recomputed && b.has_norm()).collect();
        let (before, engine) = (engine(), engine());
        let (taken, planned) = taken_and_planned(before, &engine, &plan, &load, &recompute);
        let times = taken as f64 / planned as f64;
        let what = format!("{}: {net} on {shape}, {load:?}, {recompute:?}: {taken} bytes, {planned} planned, {times:.2}", engine.name());
        println!("{what}");
        // Currents that are not kept wait in the pool until the way back begins, which no plan counts.
        let most = if recomputed == 0 { 1.05 } else { 1.3 };
        assert!((0.7..most).contains(&times), "{what}");
    }
}

#[test]
fn steps_take_what_is_planned() {
    let load = Load { steps: 8, batch: 12, direct: true, everywhere: false };
    // In the shapes of `small`, `middle` and `large`.
    for everywhere in [false, true] {
        compare(Cpu::new, "32C3-MP2-64C3-MP2-256FC-DP-10Voting", "1x28x28", Load { everywhere, ..load });
    }
    compare(Cpu::new, "32C3-48C3-AP2-64C3-MP2-64C3-MP2-128FC-10Voting", "3x32x32", load);
    compare(Cpu::new, "16C3-MP2-32C3-MP2-32C3-MP2-128FC-DP-11Voting", "2x48x48", Load { direct: false, ..load });
}

#[test]
fn so_it_is_with_the_reference() {
    let load = Load { steps: 4, batch: 3, direct: true, everywhere: false };
    compare(|| Reference, "6C3-AP2-8C3-MP2-20FC-DP-2Voting", "1x16x16", load);
    compare(|| Reference, "6C3-8C3-MP4-2Voting", "2x16x16", Load { direct: false, everywhere: true, ..load });
}
