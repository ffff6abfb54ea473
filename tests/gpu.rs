//! The engine for graphics cards against the reference engine, on every adapter of this machine; without one it says SKIPPED.
#![cfg(feature = "gpu")]

mod networks;

use networks::{Case, Passed, agree, case, judged, pass, pass_recomputed};
use spiketrain::engine::gpu::{Gpu, Profile, adapters};
use spiketrain::engine::parts::tree;
use spiketrain::engine::{Batch, Cell, Cut, Engine, Input, Layout, Need, Neuron, Pass};
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network, Tensors};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::shape::Chw;
use spiketrain::train::step::{Task, adamw, optimise};

/// Bytes of a buffer that a kernel sees where a test wants everything to be cut into pieces.
const LITTLE: Profile = Profile::Binding(48 << 10);

/// The adapters of this machine, opened; says so where there is none.
fn cards(profile: Profile) -> Vec<Gpu> {
    let all: Vec<Gpu> = adapters().iter().map(|a| a.open(profile).unwrap()).collect();
    if all.is_empty() {
        println!("SKIPPED: this machine has no graphics card, and no software in place of one (mesa-vulkan-drivers, libvulkan1)");
    }
    all
}

/// How many random networks agree, of `seeds`.
fn compare(gpu: &Gpu, seeds: std::ops::Range<u64>) -> usize {
    let (mut kept, mut worst) = (0, 0.0f64);
    for seed in seeds {
        let c = case(seed);
        let Some(want) = judged(&c) else { continue };
        worst = worst.max(agree(&c, gpu.about(), &pass(gpu, &c, c.method.lif.threshold), &want));
        kept += 1;
    }
    println!("{kept} networks on {}, gradients within {worst:.1e} of the largest", gpu.about());
    kept
}

#[test]
fn random_networks_compute_what_the_reference_computes() {
    for gpu in cards(Profile::LEAST) {
        let seeds = if std::env::var_os("SPIKETRAIN_SOAK").is_some() { 0..250 } else { 0..60 };
        let half = seeds.end as usize / 2;
        let kept = compare(&gpu, seeds);
        assert!(kept > half, "only {kept} cases say anything");
    }
}

fn same_bits(a: &Passed, b: &Passed) -> bool {
    let bits = |p: &Passed| -> Vec<u32> { p.grads.iter().flat_map(|(_, g)| g).chain(&p.running).map(|v| v.to_bits()).collect() };
    (&a.rates, &a.spikes, &a.eval) == (&b.rates, &b.spikes, &b.eval) && bits(a) == bits(b)
}

/// Pieces of samples and outputs, a second pass, and currents that are recomputed: none of them may be seen in a result, but for statistics
/// over a batch that is cut, whose groups are others.
#[test]
fn what_is_computed_in_pieces_agrees_and_what_is_computed_again_is_the_same() {
    for (whole, little) in cards(Profile::LEAST).into_iter().zip(cards(LITTLE)) {
        for seed in [3, 7, 12, 15, 21, 28] {
            let c = case(seed);
            let u_th = c.method.lif.threshold;
            let first = pass(&whole, &c, u_th);
            assert!(same_bits(&first, &pass(&whole, &c, u_th)), "seed {seed}: another pass has other bits");
            let blocks: Vec<usize> = (0..c.plan.blocks.len()).collect();
            assert!(same_bits(&first, &pass_recomputed(&whole, &c, u_th, &blocks)), "seed {seed}: recomputed");
            if let Some(want) = judged(&c) {
                agree(&c, "in pieces", &pass(&little, &c, u_th), &want);
            }
        }
    }
}

/// A network of every kind of layer, its moments and a batch.
struct State {
    net: Network<Gpu>,
    moments: [Vec<Tensors<spiketrain::engine::gpu::Param>>; 2],
    batch: Batch,
}

impl State {
    fn new(gpu: &Gpu, notation: &str, shape: &str, (samples, steps): (usize, usize)) -> State {
        let plan = Plan::new(notation.parse().unwrap(), shape.parse().unwrap()).unwrap();
        let shape = plan.shape;
        let net = Network::init(gpu, plan, 3);
        let moments = [net.zeros(gpu), net.zeros(gpu)];
        let input = Input::Frames((0..steps * samples * shape.len()).map(|i| (i % 3 / 2) as f32).collect());
        State { net, moments, batch: Batch::whole(shape, samples, steps, input) }
    }

    fn step(&mut self, gpu: &Gpu, step: u64, method: &Method) -> spiketrain::error::Result<f64> {
        let (masks, classes) = (self.net.masks(1, step), self.net.plan.classes());
        let labels: Vec<u16> = (0..self.batch.samples).map(|i| (i % classes) as u16).collect();
        let task = Task { batch: &self.batch, labels: &labels, masks: &masks, method, loss: Loss::Mse, class_weights: None };
        Ok(optimise(gpu, &mut self.net, &mut self.moments, &task, &adamw(1e-3, 1e-4, step))?.0)
    }

    /// Everything that a step may change, as bits.
    fn bits(&self, gpu: &Gpu) -> Vec<u32> {
        let tensors = [&self.net.params, &self.moments[0], &self.moments[1]].into_iter().flatten().flat_map(Tensors::each);
        let all = tensors.chain(self.net.running.iter().flatten().flat_map(|r| r.each()));
        all.flat_map(|p| gpu.host(p).unwrap()).map(f32::to_bits).collect()
    }
}

fn method(rule: Rule) -> Method {
    Method { lif: Lif::default(), rule, alpha: 0.8, merged_norm: false, ann: false, tssl_rate: None }
}

const EVERY_LAYER: &str = "6C3-MP2-5C3-DP-AP2-7FC-DP-2Voting";

#[test]
fn steps_give_the_same_bytes_on_a_card_that_is_opened_again() {
    for rule in [Rule::Stbp, Rule::BpsaBpta] {
        let runs = [0, 1, 2].map(|_| {
            let bits = |gpu: &Gpu| {
                let mut state = State::new(gpu, EVERY_LAYER, "2x9x8", (5, 4));
                (1..=4).for_each(|step| assert!(state.step(gpu, step, &method(rule)).unwrap() > 0.0));
                state.bits(gpu)
            };
            cards(Profile::LEAST).iter().map(bits).collect::<Vec<_>>()
        });
        assert!(runs[0] == runs[1] && runs[1] == runs[2], "{rule:?}");
    }
}

/// Launches of a training step: a few for each layer, whatever T and batch are.
#[test]
fn a_step_takes_few_launches() {
    for gpu in cards(Profile::LEAST) {
        let count = |samples: usize, steps: usize| {
            let mut state = State::new(&gpu, "8C3-MP2-8C3-16FC-2Voting", "2x8x8", (samples, steps));
            state.step(&gpu, 1, &method(Rule::BpsaBpta)).unwrap();
            gpu.take_traffic();
            state.step(&gpu, 2, &method(Rule::BpsaBpta)).unwrap();
            gpu.take_traffic().values().map(|(launches, _)| launches).sum::<usize>()
        };
        let launches = [count(3, 2), count(40, 16)];
        println!("{launches:?} launches for two convolutions and two linear layers");
        assert!(launches[1] <= launches[0] + 4 && launches[1] <= 40 * 4, "{launches:?}");
    }
}

/// docs/gpu.md, "Sweeps": a current is written once and read four times, its error takes its place, and spikes are bits.
#[test]
fn currents_are_seen_five_times_in_a_step() {
    let (channels, area, samples, steps) = (16, 16 * 16, 8, 16);
    for gpu in cards(Profile::LEAST) {
        let mut state = State::new(&gpu, "16C3-2Voting", "1x16x16", (samples, steps));
        gpu.take_traffic();
        state.step(&gpu, 1, &method(Rule::BpsaBpta)).unwrap();
        let traffic = gpu.take_traffic();
        let currents = (samples * channels * area * steps) as f64;
        // Of the voters, parameters, sums and counters there is little beside them.
        let seen = |kernel: &str| (traffic[kernel].1 as f64 / currents * 100.0).round() / 100.0;
        let sweeps = ["moments", "fire", "fire_back"].map(seen);
        println!("words per current: moments, fire, fire_back {sweeps:?}; {traffic:?}");
        // Read once; read once beside a bit for each step; twice read, once of these written in its place, beside the gradient twice.
        for (seen, bound) in sweeps.into_iter().zip([1.0, 1.0 + 1.0 / 16.0, 4.0]) {
            assert!((bound..bound + 0.06).contains(&seen), "{sweeps:?}");
        }
    }
}

#[test]
fn numbers_that_are_not_finite_are_found_and_change_nothing() {
    for gpu in cards(Profile::LEAST) {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut state = State::new(&gpu, EVERY_LAYER, "2x9x8", (5, 4));
            let Layout::Conv { .. } = state.net.plan.blocks[1].weight() else { panic!("block 1 is a convolution") };
            let layout = state.net.plan.blocks[1].weight();
            let mut weights = gpu.host(&state.net.params[1].weight).unwrap();
            weights[3] = bad;
            state.net.params[1].weight = gpu.param(layout, &weights);
            let before = state.bits(&gpu);
            let e = state.step(&gpu, 1, &method(Rule::Bpsa)).unwrap_err().to_string();
            assert!(e.contains("not finite"), "{e}");
            assert!(state.bits(&gpu) == before, "a step that is not finite changed something");
        }
    }
}

/// A layer by itself: the weight gradients of halves, quarters and eighths of a batch add up to the bits of the whole.
#[test]
fn subtrees_of_a_batch_add_up_to_the_bits_of_the_whole() {
    let pass_on = Cell { relu: false, neuron: Neuron::Lif(Lif { decay: 0.0, threshold: 0.5 }) };
    for gpu in cards(Profile::LEAST) {
        let rng = &mut Rng::at(17, Purpose::Test, 0, 0);
        for samples in [1, 3, 8, 13, 20] {
            for layout in [Layout::Conv { out: 20, inp: 3, k: 3 }, Layout::Linear { out: 17, inp: Chw::new(3, 5, 4) }] {
                let (shape, steps) = (Chw::new(3, 5, 4), 7);
                let out = if let Layout::Conv { out, .. } = layout { Chw { c: out, ..shape } } else { Chw::new(17, 1, 1) };
                let mut values = |n: usize| (0..n).map(|_| rng.uniform(-1.0, 1.0)).collect::<Vec<f32>>();
                let (x, e) = (values(steps * samples * shape.len()), values(steps * samples * out.len()));
                let weight = gpu.param(layout, &values(layout.len()));
                let gradients = |cut: Cut| {
                    let currents = |shape: Chw, values: &[f32]| {
                        let at = cut.samples();
                        let part = values.chunks(samples * shape.len()).flat_map(|s| &s[at.start * shape.len()..at.end * shape.len()]);
                        let input = Input::Frames(part.copied().collect());
                        let batch = Batch { shape, samples: at.len(), cut, steps, input };
                        let one: Vec<f32> = (0..shape.c * shape.c).map(|i| f32::from(u8::from(i % (shape.c + 1) == 0))).collect();
                        let one = gpu.param(Layout::Conv { out: shape.c, inp: shape.c, k: 1 }, &one);
                        gpu.affine(&gpu.input(&batch, Pass::Training), &one, &gpu.constant(Layout::PerChannel(shape.c), 0.0))
                    };
                    let x = gpu.fire(&currents(shape, &x), None, &pass_on);
                    let e = currents(out, &e);
                    let bias = gpu.bias_gradient(&e);
                    [gpu.affine_backward(&x, &weight, e, Need::Nothing).weight, bias]
                };
                let bits = |[w, b]: &[spiketrain::engine::gpu::Param; 2]| -> Vec<u32> {
                    [w, b].into_iter().flat_map(|p| gpu.host(p).unwrap()).map(f32::to_bits).collect()
                };
                let whole = Cut::whole(samples);
                let one = bits(&gradients(whole));
                for count in [4, 2, 1] {
                    let subtrees = whole.subtrees(count).map(|cut| (cut.parts().start, gradients(cut)));
                    let total = tree(subtrees, |mut left, right| {
                        left.iter_mut().zip(&right).for_each(|(left, right)| gpu.add(left, right));
                        left
                    });
                    assert!(bits(&total.unwrap()) == one, "{count} parts each of {samples} samples: {layout:?}");
                }
            }
        }
    }
}

/// More than one dimension of workgroups, several workgroups, T at both ends, silence and spikes everywhere.
#[test]
fn large_and_extreme_networks_agree() {
    for gpu in cards(Profile::LEAST) {
        for (notation, shape, samples, steps, scale) in [
            ("3C3-MP3-2Voting", "1x70x33", 9, 1, 1.0),
            ("70C3-AP2-65C3-MP2-2Voting", "2x9x10", 3, 64, 1.0),
            ("5C5-3C3-40FC-DP-3Voting", "2x12x7", 4, 33, 0.0),
            ("5C3-AP2-DP-AP2-7FC-2Voting", "2x13x8", 4, 32, 50.0),
        ] {
            let plan = Plan::new(notation.parse().unwrap(), shape.parse().unwrap()).unwrap();
            let c = extreme(plan, samples, steps, scale);
            if let Some(want) = judged(&c) {
                agree(&c, gpu.about(), &pass(&gpu, &c, c.method.lif.threshold), &want);
                println!("{notation} on {shape}, T {steps}: spikes {:?}", want.spikes);
            }
        }
    }
}

fn extreme(plan: Plan, samples: usize, steps: usize, scale: f32) -> Case {
    let rng = &mut Rng::at(5, Purpose::Test, steps as u64, 0);
    let params = plan.blocks.iter().map(|b| {
        let bound = 1.0 / (b.fan_in() as f32).sqrt();
        let mut values = |n: usize, low: f32, high: f32| (0..n).map(|_| rng.uniform(low, high)).collect::<Vec<f32>>();
        let mut all = vec![values(b.weight().len(), -bound, bound), values(b.output.c, 0.0, 0.2 * scale)];
        if b.has_norm() {
            all.extend([values(b.output.c, 0.6, 1.4), values(b.output.c, -0.1, 0.2 * scale)]);
        }
        all
    });
    let params = params.collect();
    let shape = plan.shape;
    let frames = (0..steps * samples * shape.len()).map(|i| (i * 7 % 5 / 3) as f32).collect();
    let labels = (0..samples).map(|i| (i % plan.classes()) as u16).collect();
    let batch = Batch::whole(shape, samples, steps, Input::Frames(frames));
    Case { plan, batch, labels, method: method(Rule::BpsaBpta), loss: Loss::Mse, params, seed: 1 }
}
