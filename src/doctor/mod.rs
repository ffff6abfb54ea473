//! `spiketrain doctor`: does this machine compute the paper's numbers?
//!
//! Golden vectors and fixtures are built into the binary and run on every engine; a folder of further fixtures can be given.

pub mod fixture;
pub mod golden;

use std::path::Path;

use crate::engine::{Batch, Cell, Engine, Input, Layout, Need, Neuron, Pass, Running, Values};
use crate::error::{Error, Result};
use crate::limits;
use crate::network::Network;
use crate::neuron::Lif;
use crate::shape::Chw;
use crate::storage;
use crate::tensors::{self, Tensor, Tensors};
use crate::train::step::adamw;
use fixture::Fixture;

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// The fixtures in the binary: (name, bytes).
        pub const BUILT_IN: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("../../fixtures/", $name, ".safetensors")))),*];
    };
}

built_in!(
    "kernel5_bpta",
    "large_events_bpta",
    "large_events_stbp",
    "middle_bpta",
    "middle_events_bpta",
    "small_ann",
    "small_bpsa_0.0",
    "small_bpta_0.2",
    "small_bpta_0.8",
    "small_bpta_T1",
    "small_bpta_ce",
    "small_bpta_merged",
    "small_bpta_tssl",
    "small_stbp-detached_0.0",
    "small_stbp_0.0",
    "tiny_bpta_T64",
);

/// One tensor compared.
pub struct Check {
    /// Name in the fixture, e.g. `grad.2.weight`.
    pub tensor: String,
    /// Largest error, in the measure of `bound`.
    pub error: f64,
    /// Largest error allowed.
    pub bound: f64,
}

impl Check {
    /// Within the bound (NaN is not).
    pub fn passes(&self) -> bool {
        self.error <= self.bound
    }
    /// `grad`, `rates`, `count`, `bn`, `eval`, `adamw1`, `adamw3`, `loss` or `golden`.
    pub fn group(&self) -> &str {
        self.tensor.split('.').next().unwrap_or("")
    }
}

/// Reads every `*.safetensors` of a folder, by name.
///
/// # Errors
/// Storage: the folder cannot be read. Usage: it holds no fixture. Format: a file is not a fixture.
pub fn read_folder(folder: &Path) -> Result<Vec<Fixture>> {
    let entries = std::fs::read_dir(folder).map_err(|e| Error::io(folder, "reading the folder", &e))?;
    let mut paths: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "safetensors"));
    paths.sort();
    if paths.is_empty() {
        return Err(Error::usage("no *.safetensors in this folder")
            .at(folder.display())
            .remedy("give the folder the fixtures were written to"));
    }
    let read = |p: &std::path::PathBuf| {
        let bytes = storage::read_whole(p, limits::MAX_FIXTURE_BYTES)?.ok_or_else(|| storage::not_there(p))?;
        Fixture::read(&p.file_stem().unwrap_or_default().to_string_lossy(), &bytes).map_err(|e| e.at(p.display()))
    };
    paths.iter().map(read).collect()
}

/// The fixtures in the binary, decoded.
///
/// # Errors
/// Format: never, unless the binary was built from damaged fixtures.
pub fn built_in() -> Result<Vec<Fixture>> {
    BUILT_IN.iter().map(|(name, bytes)| Fixture::read(name, bytes)).collect()
}

/// Runs a fixture on an engine and compares every tensor in it.
///
/// Bounds (of the fixtures' author, for f32 arithmetic): spike counts exact; rates, losses and running statistics 1e-5; gradients 1e-4 of the largest entry of their
/// tensor or 1e-6; parameters after AdamW 2e-5 where the gradient exceeds 1e-6 (elsewhere a step's sign is rounding noise).
///
/// # Errors
/// Format: the fixture lacks a tensor. Diverged: the pass is not finite.
pub fn run<E: Engine>(engine: &E, f: &Fixture) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let mut net = Network::init(engine, f.plan.clone(), 0);
    load(engine, &mut net, f)?;
    let (mut m, mut v) = (net.zeros(engine), net.zeros(engine));
    for step in 1..=f.iterations as u64 {
        let (out, tape) = net.forward(engine, &f.batch, &f.masks, &f.method)?;
        let (loss, d_rates) = f.loss.of(&out.rates, &f.labels);
        let running = net.updated_running(engine, &tape);
        let grads = net.backward(engine, tape, &d_rates, &f.masks, &f.method)?;
        if step == 1 {
            checks.push(absolute("rates", &out.rates, f.tensor("rates")?, 1e-5)?);
            checks.push(absolute("loss", &[loss], f.tensor("loss")?, 1e-5)?);
            for (block, &spikes) in f.plan.blocks.iter().zip(&out.spikes) {
                let name = format!("count.{}.spikes", block.index);
                checks.push(absolute(&name, &[spikes as f64], f.tensor(&name)?, 0.0)?);
            }
            check_running(engine, f, &running, &mut checks)?;
            check_tensors(engine, f, &grads, "grad", &mut checks)?;
            let first_running = std::mem::replace(&mut net.running, running);
            let eval = net.infer(engine, &f.batch, &f.method)?;
            checks.push(absolute("eval.rates", &eval.rates, f.tensor("eval.rates")?, 1e-5)?);
            net.running = first_running;
        }
        if step as usize == f.iterations {
            checks.push(absolute("loss_last", &[loss], f.tensor("loss_last")?, 1e-5)?);
        }
        let c = adamw(1e-3, 1e-4, step);
        for (b, g) in grads.iter().enumerate() {
            let moving = net.params[b].each_mut().zip(m[b].each_mut()).zip(v[b].each_mut());
            moving.zip(g.each()).for_each(|(((p, m), v), g)| engine.adamw(p, m, v, g, &c));
        }
        let prefix = format!("adamw{step}");
        if f.has(&prefix) {
            check_tensors(engine, f, &net.params, &prefix, &mut checks)?;
        }
    }
    Ok(checks)
}

fn load<E: Engine>(engine: &E, net: &mut Network<E>, f: &Fixture) -> Result<()> {
    for (block, of_block) in net.params.iter_mut().enumerate() {
        for (Tensor { name, layout, .. }, p) in tensors::of_block(block, &net.plan.blocks[block]).into_iter().zip(of_block.each_mut()) {
            let values = f.tensor(&format!("param.{name}"))?;
            if values.len() != layout.len() {
                return Err(Error::format(format!("param.{name} has {} values, expected {}", values.len(), layout.len())));
            }
            *p = engine.param(layout, values);
        }
    }
    Ok(())
}

fn check_running<E: Engine>(engine: &E, f: &Fixture, running: &[Option<Running<E::Param>>], checks: &mut Vec<Check>) -> Result<()> {
    for (block, r) in f.plan.blocks.iter().zip(running) {
        let Some(r) = r else { continue };
        for (what, got) in [("running_mean", &r.mean), ("running_var", &r.var)] {
            let name = format!("bn.{}.{what}", block.index);
            let got: Vec<f64> = engine.host(got)?.into_iter().map(f64::from).collect();
            checks.push(absolute(&name, &got, f.tensor(&name)?, 1e-5)?);
        }
    }
    Ok(())
}

/// Compares every tensor called `{prefix}.*`.
fn check_tensors<E: Engine>(engine: &E, f: &Fixture, all: &[Tensors<E::Param>], prefix: &str, checks: &mut Vec<Check>) -> Result<()> {
    for (block, of_block) in all.iter().enumerate() {
        for (Tensor { name, .. }, p) in tensors::of_block(block, &f.plan.blocks[block]).into_iter().zip(of_block.each()) {
            let full = format!("{prefix}.{name}");
            let (got, want) = (engine.host(p)?, f.tensor(&full)?);
            let got: Vec<f64> = got.iter().map(|&v| v as f64).collect();
            checks.push(match prefix {
                "grad" => gradient(&full, &got, want)?,
                _ => {
                    let moved = f.tensor(&format!("grad.{name}"))?;
                    let real = |i: &usize| moved.get(*i).is_some_and(|g| g.abs() > 1e-6);
                    let keep: Vec<usize> = (0..got.len()).filter(real).collect();
                    let want: Vec<f32> = keep.iter().filter_map(|&i| want.get(i).copied()).collect();
                    absolute(&full, &keep.iter().map(|&i| got[i]).collect::<Vec<_>>(), &want, 2e-5)?
                }
            });
        }
    }
    Ok(())
}

fn largest_difference(name: &str, got: &[f64], want: &[f32]) -> Result<f64> {
    if got.len() != want.len() {
        return Err(Error::format(format!("{name} has {} values, expected {}", want.len(), got.len())));
    }
    let nan_is_worst = |a: f64, b: f64| if b.is_nan() { f64::INFINITY } else { a.max(b) };
    Ok(got.iter().zip(want).map(|(g, &w)| (g - w as f64).abs()).fold(0.0, nan_is_worst))
}

fn absolute(name: &str, got: &[f64], want: &[f32], bound: f64) -> Result<Check> {
    Ok(Check { tensor: name.to_string(), error: largest_difference(name, got, want)?, bound })
}

/// Relative to the tensor's largest entry; a difference below 1e-6 counts as none (a convolution's bias before BatchNorm has a true gradient of 0).
fn gradient(name: &str, got: &[f64], want: &[f32]) -> Result<Check> {
    let scale = want.iter().fold(0.0f64, |a, &b| a.max(b.abs() as f64));
    let difference = largest_difference(name, got, want)?;
    let error = if difference <= 1e-6 { 0.0 } else { difference / scale };
    Ok(Check { tensor: name.to_string(), error, bound: 1e-4 })
}

/// Runs the golden vectors through an engine's own primitives: one neuron, eight steps, no norm, no ReLU.
///
/// # Errors
/// Memory: the device has failed.
pub fn run_golden<E: Engine>(engine: &E) -> Result<Vec<Check>> {
    golden::cases().iter().map(|case| golden_case(engine, case)).collect()
}

fn golden_case<E: Engine>(engine: &E, case: &golden::Case) -> Result<Check> {
    let steps = case.current.len();
    let series = |v: &[f64]| {
        let input = Input::Frames(v.iter().map(|&x| x as f32).collect());
        engine.input(&Batch { shape: Chw::new(1, 1, 1), samples: 1, steps, input }, Pass::Training)
    };
    // A 1x1 convolution with weight 1 turns a series into currents, and its gradient turns currents back into numbers.
    let one = engine.param(Layout::Conv { out: 1, inp: 1, k: 1 }, &[1.0]);
    let zero = engine.constant(Layout::PerChannel(1), 0.0);
    let cell = Cell { relu: false, neuron: Neuron::Lif(Lif::default()) };
    let currents = engine.affine(&series(case.current), &one, &zero);
    let spikes = engine.fire(&currents, None, &cell);
    let need = if case.surrogate.reads_silent_steps() { Need::Everywhere } else { Need::AtSpikes };
    let above = engine.affine_backward(&spikes, &one, engine.affine(&series(case.s), &one, &zero), need);
    let counted = engine.read(&[engine.spike_count(&spikes)])?;
    let mut error = f64::from(u8::from(counted != [case.spikes.iter().map(|&b| b as u64).sum::<u64>()]));
    if let Some(d) = above.input {
        let (e, _) = engine.fire_backward(currents, None, &cell, case.surrogate, d);
        // Channel c is 1 at step c only, so the gradient of its weight is e[c].
        let picks = Input::Frames(Values::Counts((0..steps * steps).map(|i| u16::from(i / steps == i % steps)).collect()));
        let picks = engine.input(&Batch { shape: Chw::new(steps, 1, 1), samples: 1, steps, input: picks }, Pass::Training);
        let weights = engine.constant(Layout::Conv { out: 1, inp: steps, k: 1 }, 0.0);
        let got = engine.host(&engine.affine_backward(&picks, &weights, e, Need::Nothing).weight)?;
        for (got, want) in got.iter().zip(case.error) {
            error = error.max((f64::from(*got) - want).abs());
        }
    }
    Ok(Check { tensor: format!("golden.{}", case.name), error, bound: 2e-6 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::{Cpu, Isa};
    use crate::engine::reference::Reference;

    #[test]
    fn the_reference_engine_reproduces_every_fixture() {
        let fixtures = built_in().unwrap();
        let mut compared = 0;
        for f in &fixtures {
            for c in run(&Reference, f).unwrap() {
                assert!(c.passes(), "{} {}: {:e} > {:e}", f.name, c.tensor, c.error, c.bound);
                // f64 arithmetic must do far better than the bounds made for f32.
                assert!(c.group() != "grad" || c.error < 1e-6, "{} {}: {:e}", f.name, c.tensor, c.error);
                compared += 1;
            }
        }
        println!("{} fixtures, {compared} tensors", fixtures.len());
        assert!(compared > 500);
    }

    #[test]
    fn the_cpu_engine_reproduces_every_fixture_and_golden_vector_on_every_instruction_set() {
        let mut compared = 0;
        for isa in Isa::available() {
            let cpu = Cpu::with_isa(isa);
            for f in &built_in().unwrap() {
                for c in run(&cpu, f).unwrap() {
                    assert!(c.passes(), "{} {} {}: {:e} > {:e}", isa.name(), f.name, c.tensor, c.error, c.bound);
                    compared += 1;
                }
            }
            assert!(run_golden(&cpu).unwrap().iter().all(Check::passes), "{}", isa.name());
        }
        println!("{compared} tensors");
    }

    #[test]
    fn the_reference_engine_reproduces_the_golden_vectors() {
        for c in run_golden(&Reference).unwrap() {
            assert!(c.passes(), "{}: {:e}", c.tensor, c.error);
        }
    }

    #[test]
    fn a_wrong_alpha_is_caught() {
        let mut f = Fixture::read("x", BUILT_IN.iter().find(|f| f.0 == "small_bpta_0.8").unwrap().1).unwrap();
        f.method.alpha = 0.2;
        assert!(run(&Reference, &f).unwrap().iter().any(|c| !c.passes()));
    }

    #[test]
    fn cut_fixtures_are_errors() {
        let bytes = BUILT_IN[0].1;
        for n in [0, 1, 7, 8, 100, 1000, bytes.len() - 1] {
            assert_eq!(Fixture::read("cut", &bytes[..n]).err().map(|e| e.exit_code()), Some(2), "{n} bytes");
        }
    }
}
