//! A number that is not finite stops a step before anything is changed, the error names the place, and the last good checkpoint stays.

use std::fs;

use spiketrain::checkpoint;
use spiketrain::config::{Config, Options};
use spiketrain::data::{Dataset, ImageSet, LoadOptions, Preparation, Split, load, sets};
use spiketrain::engine::cpu::Cpu;
use spiketrain::engine::reference::Reference;
use spiketrain::engine::{Batch, Engine, Input, Layout, Running, Values};
use spiketrain::error::Result;
use spiketrain::loss::Loss;
use spiketrain::network::{Method, Network, Tensors};
use spiketrain::neuron::{Lif, Rule};
use spiketrain::plan::Plan;
use spiketrain::run_folder::RunFolder;
use spiketrain::schedule::WarmUp;
use spiketrain::shape::Chw;
use spiketrain::storage::Disk;
use spiketrain::train::step::{Task, adamw, optimise};
use spiketrain::train::trainer::weights_sha256;
use spiketrain::train::{self, EpochLine, Observer, Session, Stop, trainer::Tally};

/// What is not finite, or will not stay so.
const BAD: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

/// A network, its moments and the input of one step, to be spoilt.
struct State<E: Engine> {
    net: Network<E>,
    moments: [Vec<Tensors<E::Param>>; 2],
    input: Vec<f32>,
}

/// How a step is made.
#[derive(Clone, Copy)]
struct Way {
    rule: Rule,
    alpha: f64,
    merged: bool,
    ann: bool,
    tssl: bool,
    frames: bool,
    loss: Loss,
    steps: usize,
}

const PLAIN: Way =
    Way { steps: 8, rule: Rule::BpsaBpta, alpha: 0.8, merged: false, ann: false, tssl: false, frames: false, loss: Loss::Mse };
const SAMPLES: usize = 4;

/// Everything that a step may change, as bits.
fn all_bits<E: Engine>(engine: &E, s: &State<E>) -> Vec<u32> {
    let bits = |p: &E::Param| engine.host(p).unwrap().into_iter().map(f32::to_bits);
    let of = |t: &[Tensors<E::Param>]| t.iter().flat_map(|t| t.each().flat_map(bits)).collect::<Vec<_>>();
    let running = s.net.running.iter().flatten().flat_map(|r| r.each().flat_map(bits)).collect();
    [of(&s.net.params), of(&s.moments[0]), of(&s.moments[1]), running].concat()
}

/// A step that is refused with these words; gives 1, the number of cases.
fn refused<E: Engine>(engine: &E, way: Way, words: &[&str], spoil: impl FnOnce(&mut State<E>)) -> usize {
    let plan = Plan::new("4C3-MP2-3C3-6FC-2Voting".parse().unwrap(), "1x6x6".parse().unwrap()).unwrap();
    let net = Network::init(engine, plan, 1);
    let moments = [net.zeros(engine), net.zeros(engine)];
    let values = SAMPLES * 36 * if way.frames { way.steps } else { 1 };
    let mut state = State { net, moments, input: (0..values).map(|i| (i % 7) as f32 / 7.0).collect() };
    spoil(&mut state);
    let before = all_bits(engine, &state);
    let values = Values::Reals(state.input.clone());
    let input = if way.frames { Input::Frames(values) } else { Input::Direct(values) };
    let batch = Batch::whole(Chw::new(1, 6, 6), SAMPLES, if way.ann { 1 } else { way.steps }, input);
    let Way { rule, alpha, ann, .. } = way;
    let method = Method { lif: Lif::default(), rule, alpha, merged_norm: way.merged, ann, tssl_rate: way.tssl.then_some(0.5) };
    let task = Task { batch: &batch, labels: &[0, 1, 0, 1], masks: &[], method: &method, loss: way.loss, class_weights: None };
    let outcome = optimise(engine, &mut state.net, &mut state.moments, &task, &adamw(1e-3, 1e-4, 1));
    let e = outcome.err().unwrap_or_else(|| panic!("{words:?}: the step was made"));
    assert_eq!(e.exit_code(), 3, "{e}");
    assert!(words.iter().all(|w| e.to_string().contains(w)), "expected {words:?}: {e}");
    assert!(all_bits(engine, &state) == before, "{e}: something was changed");
    1
}

/// Puts `bad` at place `at` of a parameter.
fn spoil<E: Engine>(engine: &E, p: &mut E::Param, layout: Layout, at: usize, bad: f32) {
    let mut host = engine.host(p).unwrap();
    host[at] = bad;
    *p = engine.param(layout, &host);
}

fn weight<E: Engine>(engine: &E, s: &mut State<E>, block: usize, bad: f32) {
    let layout = s.net.plan.blocks[block].weight();
    spoil(engine, &mut s.net.params[block].weight, layout, 1, bad);
}

/// γ or β, or where there is no norm the bias.
fn per_channel<E: Engine>(engine: &E, s: &mut State<E>, block: usize, gamma: bool, bad: f32) {
    let layout = Layout::PerChannel(s.net.plan.blocks[block].output.c);
    let t = &mut s.net.params[block];
    let p = match &mut t.norm {
        Some((g, _)) if gamma => g,
        Some((_, b)) => b,
        None => &mut t.bias,
    };
    spoil(engine, p, layout, 0, bad);
}

/// An always firing network.
fn loud<E: Engine>(engine: &E, s: &mut State<E>, value: f32) {
    for i in 0..s.net.params.len() {
        let layout = Layout::PerChannel(s.net.plan.blocks[i].output.c);
        let loud = engine.constant(layout, value);
        match &mut s.net.params[i].norm {
            Some((_, beta)) => *beta = loud,
            None => s.net.params[i].bias = loud,
        }
    }
}

fn steps<E: Engine>(engine: &E) -> usize {
    let mut cases = 0;
    let names = ["0 (4C3)", "2 (3C3)", "3 (6FC)", "4 (2Voting)"];
    let tensors = ["0.bn", "2.bn", "3.bias", "4.bias"];
    let ways = Rule::ALL.map(|rule| Way { rule, ..PLAIN });
    for bad in BAD {
        for way in
            ways.into_iter().chain([Way { merged: true, ..PLAIN }, Way { ann: true, ..PLAIN }, Way { tssl: true, frames: true, ..PLAIN }])
        {
            cases += refused(engine, way, &["layer 0 (4C3)"], |s| s.input[40] = bad);
        }
        for (block, name) in names.iter().enumerate() {
            // In a layer whose inputs are silent just there, it is the weight itself that is found.
            cases += refused(engine, PLAIN, &["not finite", &name[2..]], |s| weight(engine, s, block, bad));
            cases += refused(engine, Way { ann: true, ..PLAIN }, &["not finite"], |s| weight(engine, s, block, bad));
            for gamma in [false, true] {
                cases += refused(engine, PLAIN, &["not finite"], |s| per_channel(engine, s, block, gamma, bad));
            }
            for (which, moment) in ["first moment", "second moment"].into_iter().enumerate() {
                let words = [moment, tensors[block].split('.').next().unwrap()];
                cases += refused(engine, PLAIN, &words, |s| {
                    let layout = s.net.plan.blocks[block].weight();
                    spoil(engine, &mut s.moments[which][block].weight, layout, 2, bad);
                });
            }
        }
        cases += refused(engine, PLAIN, &["running statistics of layer 2"], |s| {
            let of = |value| engine.constant(Layout::PerChannel(3), value);
            s.net.running[1] = Some(Running { mean: of(bad), var: of(1.0) });
        });
    }
    // Finite, but not for long.
    cases += refused(engine, PLAIN, &["layer 0"], |s| s.input[40] = f32::MAX);
    cases += refused(engine, PLAIN, &["running statistics of layer 0"], |s| s.input.iter_mut().for_each(|v| *v *= 1e25));
    cases += refused(engine, Way { frames: true, ..PLAIN }, &["running statistics of layer 0"], |s| s.input[3] = 1e30);
    for block in 0..4 {
        let (layout, large) = (block, 3e38);
        cases += refused(engine, Way { ann: true, ..PLAIN }, &["not finite"], |s| {
            let plan = s.net.plan.blocks[layout].weight();
            s.net.params[block].weight = engine.constant(plan, large);
        });
    }
    for loss in [Loss::Mse, Loss::Ce] {
        // The error of an always firing layer grows by 9/u a step.
        let way = Way { loss, alpha: 10.0, steps: 64, ..PLAIN };
        cases += refused(engine, way, &["the gradient of", "not finite"], |s| loud(engine, s, 0.6));
    }
    cases
}

#[test]
fn nothing_is_changed_by_a_step_that_is_not_finite() {
    let cases = steps(&Cpu::new()) + steps(&Reference);
    assert!(cases >= 120, "{cases}");
    println!("{cases} cases");
}

/// Digits of which one is spoilt.
struct Spoilt {
    set: ImageSet,
    sample: u32,
    bad: f32,
}

impl Dataset for Spoilt {
    fn name(&self) -> &str {
        "spoilt glyphs"
    }
    fn shape(&self, prep: &Preparation) -> Chw {
        self.set.shape(prep)
    }
    fn steps(&self) -> Option<usize> {
        None
    }
    fn in_steps(&self, _: usize) -> Option<&dyn Dataset> {
        Some(self)
    }
    fn classes(&self) -> &[String] {
        &self.set.classes
    }
    fn labels(&self, split: Split) -> &[u16] {
        self.set.labels(split)
    }
    fn notes(&self) -> &[String] {
        &self.set.notes
    }
    fn fingerprint(&self) -> &str {
        &self.set.fingerprint
    }
    fn simulated(&self) -> bool {
        false
    }
    fn bytes(&self) -> usize {
        self.set.bytes()
    }
    fn assemble(&self, split: Split, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Result<Values> {
        let mut values = self.set.assemble(split, indices, prep, augment)?.reals(self.set.shape);
        if let (Split::Train, Some(at)) = (split, indices.iter().position(|&i| i == self.sample)) {
            values[at * 784 + 300] = self.bad;
        }
        Ok(values.into())
    }
}

struct Silent;

impl Observer for Silent {
    fn step(&mut self, _: usize, _: usize, _: usize, _: &Tally, _: &[f64]) {}
    fn epoch(&mut self, _: &EpochLine, _: usize) {}
    fn note(&mut self, _: &str) {}
}

fn config(rule: Rule, warm_up: WarmUp) -> Config {
    let options = Options {
        net: Some("3C3-MP4-10Voting".into()),
        time_steps: Some(2.into()),
        batch: Some(8),
        epochs: Some(2),
        rule: Some(rule),
        warm_up: Some(warm_up),
        checkpoint_every: Some(1),
        ..Options::default()
    };
    options.complete().unwrap()
}

/// A run that meets a spoilt sample: it ends at that step, and the newest checkpoint is the state before it.
fn run<E: Engine>(engine: &E, rule: Rule, warm_up: WarmUp, sample: u32, bad: f32) -> u64 {
    let limits = LoadOptions { seed: 1, train_limit: Some(40), test_limit: Some(10), ..LoadOptions::default() };
    let data = Spoilt { set: load(sets::GLYPHS, &limits).unwrap(), sample, bad };
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(Box::new(Disk), &dir.path().join("run")).unwrap();
    let session = || Session::new(config(rule, warm_up), &data, None).unwrap();
    let mut trainer = session().begin(engine).unwrap();
    let step = 1 + trainer.order(0).iter().position(|&i| i == sample).unwrap() as u64 / 8;
    let e = train::run_in(&folder, &mut trainer, &Stop::default(), &mut Silent).unwrap_err();
    let text = e.to_string();
    assert!(e.exit_code() == 3 && text.starts_with(&format!("epoch 1, step {step}: ")) && text.contains("layer 0 (3C3)"), "{text}");
    assert_eq!(trainer.progress.step, step - 1);
    let left = checkpoint::steps(&Disk, folder.path()).unwrap();
    if step == 1 {
        assert!(left.is_empty());
        return step;
    }
    let newest = checkpoint::load_newest(&Disk, folder.path()).unwrap();
    assert!(newest.warnings.is_empty() && newest.checkpoint.header.step == step - 1, "{:?}", newest.warnings);
    drop(trainer);
    let mut resumed = session().resume(engine, &folder, &mut Silent).unwrap();
    let before = weights_sha256(engine, &resumed.net).unwrap();
    // The same step fails in the same way, and still nothing is lost.
    let again = train::run_in(&folder, &mut resumed, &Stop::default(), &mut Silent).unwrap_err();
    assert_eq!((again.to_string(), weights_sha256(engine, &resumed.net).unwrap()), (text, before));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "ckpt")).count(),
        left.len()
    );
    step
}

#[test]
fn a_run_that_diverges_leaves_the_checkpoint_of_the_step_before() {
    let (mut cases, mut steps) = (0, std::collections::BTreeSet::new());
    for (i, rule) in Rule::ALL.into_iter().enumerate() {
        for (j, warm_up) in [WarmUp::None, WarmUp::Ann(1), WarmUp::Tssl(1)].into_iter().enumerate() {
            let (sample, bad) = ((13 * i + 5 * j) as u32 % 40, BAD[(i + j) % 3]);
            steps.insert(run(&Cpu::new(), rule, warm_up, sample, bad));
            steps.insert(run(&Reference, rule, warm_up, sample, bad));
            cases += 2;
        }
    }
    assert!(steps.len() >= 3, "{steps:?}");
    println!("{cases} cases at steps {steps:?}");
}
