//! Sums over a batch are cut into eight parts by samples and added in one tree: whoever owns an aligned half, quarter or eighth of the parts
//! computes a subtree, and the subtrees add up to the bits of the whole.

use spiketrain::engine::cpu::{Acts, Cpu, Field, Isa, Param};
use spiketrain::engine::parts::{Cut, tree};
use spiketrain::engine::{Batch, Cell, Engine, Input, Layout, Need, Neuron, Pass};
use spiketrain::neuron::Lif;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::shape::Chw;

/// A neuron that passes spikes on.
const PASS: Cell = Cell { relu: false, neuron: Neuron::Lif(Lif { decay: 0.0, threshold: 0.5 }) };

/// What reaches the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Reals,
    /// The same at all steps, stored once.
    Static,
    Spikes,
    /// Averages of 3x3 spikes: several planes, and a scale that is no power of two.
    Graded,
}

#[derive(Debug)]
struct Case {
    kind: Kind,
    need: Need,
    shape: Chw,
    layout: Layout,
    samples: usize,
    steps: usize,
    /// `[stored,B,C,H,W]` of what the layer reads, and of e.
    x: (Chw, Vec<f32>),
    e: (Chw, Vec<f32>),
}

impl Case {
    fn of(rng: &mut Rng, samples: usize, kind: Kind, need: Need, conv: bool) -> Case {
        let mut pick = |choices: &[usize]| choices[rng.below(choices.len())];
        let shape = Chw::new(pick(&[1, 3, 17, 35]), pick(&[1, 2, 5]), pick(&[1, 3, 4]));
        let (out, k, steps) = (pick(&[1, 20, 130]), pick(&[1, 3, 5]), pick(&[1, 3, 7, 16, 64]));
        let (layout, of_e) = match conv {
            true => (Layout::Conv { out, inp: shape.c, k }, Chw { c: out, ..shape }),
            false => (Layout::Linear { out, inp: shape }, Chw::new(out, 1, 1)),
        };
        let side = if kind == Kind::Graded { 3 } else { 1 };
        let (of_x, stored) = (Chw::new(shape.c, side * shape.h, side * shape.w), if kind == Kind::Static { 1 } else { steps });
        let density = [0.05, 0.5, 0.9][rng.below(3)];
        let share = [0.03, 0.2, 1.0][rng.below(3)];
        let mut entries = |len: usize, share: f32, spikes: bool| -> Vec<f32> {
            let mut entry = || if spikes { 1.0 } else { rng.uniform(-1.0, 1.0) };
            let values: Vec<f32> = (0..len).map(|_| entry()).collect();
            values.into_iter().map(|v| if rng.unit() < share { v } else { 0.0 }).collect()
        };
        let spikes = matches!(kind, Kind::Spikes | Kind::Graded);
        let x = (of_x, entries(stored * samples * of_x.len(), density, spikes));
        let e = (of_e, entries(stored * samples * of_e.len(), share, false));
        Case { kind, need, shape, layout, samples, steps, x, e }
    }

    /// The samples of `cut` on the device.
    fn input(&self, engine: &Cpu, (shape, values): &(Chw, Vec<f32>), cut: Cut) -> Acts {
        let (samples, len) = (cut.samples(), shape.len());
        let values: Vec<f32> =
            values.chunks(self.samples * len).flat_map(|step| &step[samples.start * len..samples.end * len]).copied().collect();
        let input = if self.kind == Kind::Static { Input::Direct(values.into()) } else { Input::Frames(values.into()) };
        engine.input(&Batch { shape: *shape, samples: samples.len(), cut, steps: self.steps, input }, Pass::Training)
    }

    /// As currents: a convolution with one tap of weight 1 changes nothing.
    fn currents(&self, engine: &Cpu, values: &(Chw, Vec<f32>), cut: Cut) -> Field {
        let c = values.0.c;
        let one: Vec<f32> = (0..c * c).map(|i| f32::from(u8::from(i % (c + 1) == 0))).collect();
        let one = engine.param(Layout::Conv { out: c, inp: c, k: 1 }, &one);
        engine.affine(&self.input(engine, values, cut), &one, &engine.constant(Layout::PerChannel(c), 0.0))
    }

    /// dL/dW and dL/db of some parts.
    fn gradients(&self, engine: &Cpu, weight: &Param, cut: Cut) -> [Param; 2] {
        let fired = || engine.fire(&self.currents(engine, &self.x, cut), None, &PASS);
        let x = match self.kind {
            Kind::Reals | Kind::Static => self.input(engine, &self.x, cut),
            Kind::Spikes => fired(),
            Kind::Graded => engine.avg_pool(&fired(), 3),
        };
        let e = self.currents(engine, &self.e, cut);
        let bias = engine.bias_gradient(&e);
        [engine.affine_backward(&x, weight, e, self.need).weight, bias]
    }
}

fn bits(engine: &Cpu, [weight, bias]: &[Param; 2]) -> Vec<u32> {
    [weight, bias].into_iter().flat_map(|p| engine.host(p).unwrap()).map(f32::to_bits).collect()
}

#[test]
fn subtrees_add_up_to_the_bits_of_the_whole() {
    let rng = &mut Rng::at(17, Purpose::Test, 0, 0);
    let pools: Vec<_> = [1, 3].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap()).into();
    let engines: Vec<Cpu> = Isa::available().into_iter().map(Cpu::with_isa).collect();
    let mut tried = 0;
    for samples in 1..=20 {
        for kind in [Kind::Reals, Kind::Static, Kind::Spikes, Kind::Spikes, Kind::Graded] {
            for need in [Need::Nothing, Need::AtSpikes, Need::Everywhere] {
                for conv in [false, true] {
                    let case = Case::of(rng, samples, kind, need, conv);
                    let weights: Vec<f32> = (0..case.layout.len()).map(|_| rng.uniform(-1.0, 1.0)).collect();
                    let engine = &engines[tried % engines.len()];
                    let weight = engine.param(case.layout, &weights);
                    let whole = Cut::whole(samples);
                    let [one, three] = [0, 1].map(|i| pools[i].install(|| bits(engine, &case.gradients(engine, &weight, whole))));
                    assert!(one == three, "threads: {:?} {}", case.layout, engine.instruction_set());
                    for count in [4, 2, 1] {
                        let subtrees = whole.subtrees(count).map(|cut| (cut.parts().start, case.gradients(engine, &weight, cut)));
                        let total = tree(subtrees, |mut left, right| {
                            left.iter_mut().zip(&right).for_each(|(left, right)| engine.add(left, right));
                            left
                        });
                        let what = (case.kind, case.need, case.shape, case.layout, case.samples, case.steps);
                        assert!(bits(engine, &total.unwrap()) == one, "{count} parts each: {what:?} {}", engine.instruction_set());
                    }
                    tried += 1;
                }
            }
        }
    }
    println!("{tried} layers in halves, quarters and eighths");
}
