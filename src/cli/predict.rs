//! `spiketrain predict`: a trained network on the user's own pictures and recordings.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::args::PredictArgs;
use super::eval::{method, open};
use super::{print, say, set_threads};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, EngineName};
use crate::data::batch::prepare_frames;
use crate::data::pictures::{self, Picture};
use crate::data::recordings::turn;
use crate::data::{Preparation, Samples, assemble};
use crate::engine::{Batch, Engine, Input, cpu::Cpu, reference::Reference};
use crate::error::{Error, Result};
use crate::events;
use crate::frames::{self, Quality};
use crate::loss;
use crate::network::{Method, Network};
use crate::train::save;

/// Classifies pictures or recordings.
pub fn run(a: &PredictArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let (c, path) = open(&a.checkpoint)?;
    match Config::from_toml(&c.header.config_toml).map_err(|e| e.at(path.display()))?.engine {
        EngineName::Cpu => run_on(&Cpu::new(), a, c, &path),
        EngineName::Reference => run_on(&Reference, a, c, &path),
    }
}

/// A network out of a checkpoint.
struct Trained<'e, E: Engine> {
    engine: &'e E,
    net: Network<E>,
    config: Config,
    method: Method,
    prep: Preparation,
    classes: Vec<String>,
}

/// What a network reads of a file.
struct Sample {
    input: Input,
    steps: usize,
    /// What the user should know.
    notes: Vec<String>,
    /// The same for programs.
    facts: serde_json::Value,
}

/// What a network says to a sample.
struct Decision {
    rates: Vec<f64>,
    class: usize,
    /// The winner's share of all votes; 0 if no voter fired.
    confidence: f64,
}

fn run_on<E: Engine>(engine: &E, a: &PredictArgs, mut c: Checkpoint, path: &Path) -> Result<u8> {
    let (config, net) = save::network(engine, &mut c).map_err(|e| e.at(path.display()))?;
    let method = method(&c, &config);
    let prep = config.preparation(net.plan.shape.c);
    let trained = Trained { engine, net, config, method, prep, classes: c.header.classes };
    if a.stream {
        return trained.stream(a);
    }
    for file in &a.files {
        let sample = trained.sample(file)?;
        let decision = trained.decide(sample.input, sample.steps)?;
        if a.json {
            print(trained.json(&decision, sample.facts));
            continue;
        }
        let notes: String = sample.notes.iter().map(|n| format!("  ({n})")).collect();
        print(format!("{}: {}, confidence {:.0} %{notes}", file.display(), trained.classes[decision.class], 100.0 * decision.confidence));
        let rates: Vec<String> = trained.classes.iter().zip(&decision.rates).map(|(n, r)| format!("{n} {r:.3}")).collect();
        print(format!("  firing rates: {}", rates.join("  ")));
    }
    Ok(0)
}

impl<E: Engine> Trained<'_, E> {
    /// Reads a file as what the network was trained on.
    fn sample(&self, file: &Path) -> Result<Sample> {
        if self.config.dataset.is_events() { self.recording(file) } else { self.picture(file) }
    }

    fn picture(&self, file: &Path) -> Result<Sample> {
        let shape = self.net.plan.shape;
        let Picture { pixels, resized_from } = pictures::load_picture(file, shape)?;
        let samples = Samples { pixels, labels: vec![0] };
        let notes = resized_from.map(|(h, w)| format!("resized from {h}x{w} to {}x{}", shape.h, shape.w));
        Ok(Sample {
            input: Input::Direct(assemble(&samples, shape, &[0], &self.prep, None)),
            steps: if self.method.ann { 1 } else { self.config.time_steps },
            notes: notes.into_iter().collect(),
            facts: json!({"image": file.display().to_string(), "resized_from": resized_from.map(|(h, w)| json!({"height": h, "width": w}))}),
        })
    }

    /// Cut into frames as the training recordings were.
    fn recording(&self, file: &Path) -> Result<Sample> {
        let name = file.display().to_string();
        let set = self.config.dataset;
        let Some(layout) = set.recordings() else {
            return Err(Error::usage(format!("{set} are made as frames, visit by visit; there are no recordings of them")).at(name));
        };
        let mut recording = events::open(file)?;
        if layout.turned {
            recording.events.iter_mut().for_each(turn);
        }
        let sensor = self.prep.resize.sensor(self.net.plan.shape);
        let mut notes = recording.notes;
        if let Some(own) = recording.sensor.filter(|own| *own != sensor) {
            notes.push(format!("of a {}x{} sensor, the network's is {}x{}", own.width, own.height, sensor.width, sensor.height));
        }
        let (counts, quality) = frames::counts(&recording.events, sensor, self.config.time_steps, self.config.split_by);
        let quality = Quality { invalid: recording.invalid, ..quality };
        quality.check(self.config.strict).map_err(|e| e.at(&name))?;
        if quality.bad() > 0 {
            notes.push(format!("{} of {} events are bad", quality.bad(), quality.events + quality.invalid));
        }
        Ok(Sample {
            input: Input::Frames(prepare_frames(&counts, sensor, &self.prep)),
            steps: self.config.time_steps,
            notes,
            facts: json!({"recording": name, "events": quality.events, "bad_events": quality.bad()}),
        })
    }

    fn decide(&self, input: Input, steps: usize) -> Result<Decision> {
        let batch = Batch { shape: self.net.plan.shape, samples: 1, steps, input };
        let rates = self.net.infer(self.engine, &batch, &self.method)?.rates;
        let class = loss::predict(&rates);
        let all: f64 = rates.iter().map(|r| r.max(0.0)).sum();
        let confidence = if all > 0.0 { rates[class].max(0.0) / all } else { 0.0 };
        Ok(Decision { rates, class, confidence })
    }

    /// One JSON object: what the decision is on, and the decision.
    fn json(&self, d: &Decision, mut facts: serde_json::Value) -> serde_json::Value {
        let rates: serde_json::Map<_, _> = self.classes.iter().cloned().zip(d.rates.iter().map(|&r| json!(r))).collect();
        facts["class"] = json!(self.classes[d.class]);
        facts["index"] = json!(d.class);
        facts["confidence"] = json!(d.confidence);
        facts["rates"] = rates.into();
        facts
    }

    /// Feeds one recording frame by frame.
    ///
    /// The network is causal, so what it says after step t is what it says to the first t frames; its state is not kept between
    /// steps but computed anew, so that a step costs as much as all up to it.
    fn stream(&self, a: &PredictArgs) -> Result<u8> {
        let [file] = &a.files[..] else {
            return Err(Error::usage("--stream takes one recording").at("predict").remedy("name one file"));
        };
        let sample = self.sample(file)?;
        let Input::Frames(frames) = sample.input else {
            return Err(Error::usage("this network was trained on pictures, which have no time").at("--stream").remedy("leave it out"));
        };
        sample.notes.iter().for_each(|n| say(format!("{}: {n}", file.display())));
        let (name, size) = (file.display().to_string(), self.net.plan.shape.len());
        let mut latencies = Vec::new();
        for t in 1..=sample.steps {
            let started = Instant::now();
            let decision = self.decide(Input::Frames(frames.cut(std::iter::once(0..t * size))), t)?;
            let latency = 1e3 * started.elapsed().as_secs_f64();
            latencies.push(latency);
            if a.json {
                print(self.json(&decision, json!({"recording": name, "step": t, "steps": sample.steps, "latency_ms": latency})));
                continue;
            }
            let class = &self.classes[decision.class];
            print(format!("step {t:>2}: {class:<16} confidence {:>3.0} %  {latency:>8.2} ms", 100.0 * decision.confidence));
        }
        latencies.sort_by(f64::total_cmp);
        let (p50, p99) = (percentile(&latencies, 0.50), percentile(&latencies, 0.99));
        if a.json {
            print(json!({"recording": name, "latency_ms_p50": p50, "latency_ms_p99": p99}));
        } else {
            print(format!("latency of a step: p50 {p50:.2} ms, p99 {p99:.2} ms (every step computes all frames up to it)"));
        }
        Ok(0)
    }
}

/// The smallest of the sorted values that at least this share of them does not exceed; 0 of none.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}
