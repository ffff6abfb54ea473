//! `spiketrain bench`: what a training step costs here, and where the time goes.

use std::path::Path;

use serde_json::{Value, json};

use super::args::BenchArgs;
use super::{print, set_threads};
use crate::bench::timed::Phase;
use crate::bench::{self, Measured, Spec};
use crate::config::Device;
use crate::engine::Engine;
use crate::engines::{self, Work};
use crate::error::{Error, Result};
use crate::limits;
use crate::memory::{self, Load};
use crate::notation::Notation;
use crate::plan::Plan;
use crate::plural::counted;
use crate::shape::Chw;
use crate::storage;

/// Measures and prints.
pub fn run(a: &BenchArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let rival = a.vs.as_deref().map(rival).transpose()?;
    let (spec, device, isa) = (spec(a)?, device(a), a.isa.unwrap_or_default());
    // What the last bits of sums depend on.
    let what = if device == Device::Cpu { isa.isa()?.name() } else { device.engine() };
    if a.infer {
        let latency = Latency { spec: &spec, what, json: a.json };
        return engines::with_engine(&device, isa, latency)?;
    }
    let m = engines::with_engine(&device, isa, Steps { spec: &spec })??;
    let planned = engines::memory(&device).step(&spec.plan, &load_of(&spec.plan, a), &spec.recompute).total() / 1_000_000;
    let speed = spec.batch as f64 / m.median();
    let rss = m.peak_rss_mb;
    if a.json {
        print(json!({
            "net": spec.plan.notation.to_string(), "T": spec.time_steps, "batch": spec.batch, "rule": spec.rule.name(), "rate": spec.rate,
            "inputs": if spec.inputs == bench::Inputs::Noise { "noise" } else { "smooth" },
            "threads": rayon::current_num_threads(), "device": device.to_string(), "isa": what, "samples_per_s": speed,
            "step_seconds": m.seconds, "rates": m.rates, "densities": m.densities, "peak_rss_mb": rss, "planned_mb": planned,
        }));
        return Ok(0);
    }
    let (plan, threads) = (&spec.plan, counted(rayon::current_num_threads(), "thread"));
    let on = if device == Device::Cpu { format!("{threads}, cpu ({what})") } else { device.to_string() };
    print(format!("{} on {}: T {}, batch {}, {}, {on}", plan.notation, plan.shape, spec.time_steps, spec.batch, spec.rule.name()));
    let (least, most) = m.seconds.iter().fold((f64::INFINITY, 0.0f64), |(l, h), &s| (l.min(s), h.max(s)));
    print(format!(
        "{speed:.1} samples/s: {:.0} ms a step (median of {}, {:.0} to {:.0}), peak memory {} MB (planned: {})\n",
        1e3 * m.median(),
        m.seconds.len(),
        1e3 * least,
        1e3 * most,
        rss.map_or("?".into(), |r| r.to_string()),
        planned
    ));
    print(layers(&spec, &m));
    print(phases(&m));
    if let Some(rival) = rival {
        print(compare(&rival, speed, rss)?);
    }
    Ok(0)
}

/// The device asked for.
fn device(a: &BenchArgs) -> Device {
    a.device.clone().unwrap_or_default()
}

/// Training steps on an engine.
struct Steps<'a> {
    spec: &'a Spec,
}

impl Work for Steps<'_> {
    type Out = Result<Measured>;

    fn on<E: Engine + Clone + Send + 'static>(self, engine: E) -> Self::Out {
        bench::training(&engine, self.spec)
    }
}

fn spec(a: &BenchArgs) -> Result<Spec> {
    let range = |option: &str, value: usize, most: usize| match value {
        v if (1..=most).contains(&v) => Ok(()),
        v => Err(Error::usage(format!("{v} is out of range")).option(option).remedy(format!("choose 1 to {most}"))),
    };
    range("time-steps", a.time_steps, limits::MAX_TIME_STEPS)?;
    range("batch", a.batch, limits::MAX_BATCH)?;
    range("steps", a.steps, 10_000)?;
    if a.rate.is_some_and(|r| !(0.0..=1.0).contains(&r)) {
        return Err(Error::usage("a firing rate is a share of the steps").option("rate").remedy("choose 0.02 to 0.4"));
    }
    let notation = Notation::named(&a.net, 10)?;
    let preset = match a.net.as_str() {
        "small" | "released-mnist" => Some(Chw::new(1, 28, 28)),
        "middle" | "released-cifar10" => Some(Chw::new(3, 32, 32)),
        "released-nmnist" => Some(Chw::new(2, 34, 34)),
        "large" | "released-dvs" => Some(Chw::new(2, 64, 64)),
        _ => None,
    };
    let shape =
        a.shape.or(preset).ok_or_else(|| Error::usage("a notation needs an input").option("shape").remedy("write --shape 1x28x28"))?;
    let plan = Plan::new(notation, shape)?;
    let recompute = match a.memory {
        Some(limit) => memory::recompute_within(engines::memory(&device(a)), &plan, &load_of(&plan, a), limit)?,
        None => vec![false; plan.blocks.len()],
    };
    Ok(Spec { plan, time_steps: a.time_steps, batch: a.batch, rule: a.rule, rate: a.rate, inputs: a.inputs, steps: a.steps, recompute })
}

fn load_of(plan: &Plan, a: &BenchArgs) -> Load {
    let everywhere = a.rule.surrogate(0.8).reads_silent_steps();
    Load { steps: a.time_steps, batch: a.batch, direct: plan.shape.c != 2, everywhere }
}

/// A line per weight layer. Accumulates: one per nonzero input and weight, borders not deducted.
fn layers(spec: &Spec, m: &Measured) -> String {
    let mut out = format!(
        "{:<10} {:>8} {:>8} {:>10} {:>10} {:>9} {:>11} {:>11}\n",
        "layer", "input", "rate", "forward", "backward", "AdamW", "forward", "backward"
    );
    out += &format!("{:<10} {:>8} {:>8} {:>10} {:>10} {:>9} {:>11} {:>11}\n", "", "density", "", "ms", "ms", "ms", "Gacc/s", "Gacc/s");
    for (i, b) in spec.plan.blocks.iter().enumerate() {
        let time = |phase| m.times.get(&(phase, Some(i))).copied().unwrap_or_default();
        let (forward, backward, update) = (time(Phase::Forward), time(Phase::Backward), time(Phase::Update));
        let per_input = b.macs() as f64 / b.input.len() as f64;
        let accumulates = forward.nonzero as f64 * per_input;
        out += &format!(
            "{:<10} {:>8.3} {:>8.3} {:>10.1} {:>10.1} {:>9.1} {:>11.1} {:>11.1}\n",
            b.name(),
            m.densities[i],
            m.rates[i],
            1e3 * forward.seconds,
            1e3 * backward.seconds,
            1e3 * update.seconds,
            accumulates / forward.seconds / 1e9,
            2.0 * accumulates / backward.seconds / 1e9
        );
    }
    out
}

fn phases(m: &Measured) -> String {
    let phases = [
        (Phase::Forward, "weights forward"),
        (Phase::Backward, "weights backward"),
        (Phase::Update, "AdamW"),
        (Phase::Moments, "batch statistics"),
        (Phase::Fire, "norm and neuron forward"),
        (Phase::FireBackward, "norm and neuron backward"),
        (Phase::Pool, "pooling and dropout"),
        (Phase::Checks, "finite checks, spike counts"),
        (Phase::Ends, "input and votes"),
    ];
    let sum = |phase| m.times.iter().filter(|((p, _), _)| *p == phase).map(|(_, t)| t.seconds).sum::<f64>();
    let mut out = format!("time of one step, {:.0} ms:\n", 1e3 * m.timed_step);
    let mut rest = m.timed_step;
    for (phase, name) in phases {
        rest -= sum(phase);
        out += &format!("  {name:<28} {:>8.1} ms {:>5.1} %\n", 1e3 * sum(phase), 100.0 * sum(phase) / m.timed_step);
    }
    out + &format!("  {:<28} {:>8.1} ms {:>5.1} %", "the rest", 1e3 * rest, 100.0 * rest / m.timed_step)
        + &format!("\n  values come to the host {} in it", counted(m.waits, "time"))
}

/// The last JSON object of a file.
fn rival(path: &Path) -> Result<Value> {
    let text = storage::read_text(path, limits::MAX_TEXT_BYTES)?.ok_or_else(|| storage::not_there(path))?;
    let last = text.lines().rev().find_map(|l| serde_json::from_str::<Value>(l).ok().filter(Value::is_object));
    last.ok_or_else(|| Error::format("no line is a JSON object").at(path.display()).remedy("give the output of bench/opponent.py"))
}

fn compare(rival: &Value, speed: f64, rss: Option<u64>) -> Result<String> {
    let number = |key: &str| rival.get(key).and_then(Value::as_f64);
    let Some(theirs) = number("samples_per_s").filter(|s| *s > 0.0) else {
        return Err(Error::format("the JSON object has no samples_per_s").option("vs").remedy("give the output of bench/opponent.py"));
    };
    let memory = match (rss, number("peak_rss_mb")) {
        (Some(ours), Some(theirs)) => format!(", memory {ours} MB against {theirs:.0} MB: {:.2}", ours as f64 / theirs),
        _ => String::new(),
    };
    Ok(format!("\nagainst {}: {speed:.1} / {theirs:.1} samples/s = {:.1} times{memory}", rival["impl"], speed / theirs))
}

/// Latencies of single samples on an engine.
struct Latency<'a> {
    spec: &'a Spec,
    what: &'a str,
    json: bool,
}

impl Work for Latency<'_> {
    type Out = Result<u8>;

    fn on<E: Engine + Clone + Send + 'static>(self, engine: E) -> Self::Out {
        infer(&engine, &self)
    }
}

fn infer<E: Engine>(engine: &E, Latency { spec, what, json }: &Latency) -> Result<u8> {
    if !*json {
        print(format!("{} on {}, one sample, {}", spec.plan.notation, spec.plan.shape, counted(rayon::current_num_threads(), "thread")));
        print(format!("{:>4} {:>10} {:>10} {:>12}", "T", "p50 ms", "p99 ms", "samples/s"));
    }
    for t in [1, 2, 4, 8, 16, 32] {
        let steps = spec.steps.max(20);
        let mut seconds = bench::inference(engine, &Spec { time_steps: t, steps, ..(*spec).clone() })?;
        seconds.sort_by(f64::total_cmp);
        let at = |share: f64| 1e3 * seconds[((seconds.len() - 1) as f64 * share).round() as usize];
        let throughput = seconds.len() as f64 / seconds.iter().sum::<f64>();
        match json {
            true => print(json!({
                "net": spec.plan.notation.to_string(), "T": t, "rate": spec.rate, "threads": rayon::current_num_threads(),
                "isa": what, "runs": steps, "p50_ms": at(0.5), "p99_ms": at(0.99), "samples_per_s": throughput})),
            false => print(format!("{t:>4} {:>10.2} {:>10.2} {throughput:>12.1}", at(0.5), at(0.99))),
        }
    }
    Ok(0)
}
