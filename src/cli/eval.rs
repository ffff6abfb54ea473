//! `spiketrain eval` and `spiketrain predict`: a trained network at work.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{EvalArgs, PredictArgs};
use super::{print, say, set_threads};
use crate::checkpoint::{self, Checkpoint};
use crate::config::{Config, EngineName};
use crate::data::{Preparation, Samples, assemble, pictures, pictures::Picture};
use crate::engine::{Batch, Engine, Input, cpu::Cpu, reference::Reference};
use crate::error::{Error, Result};
use crate::loss::predict;
use crate::network::{Method, Network};
use crate::storage::Disk;
use crate::train::evaluate::evaluate;
use crate::train::{Progress, Stop, record, save};

/// Evaluates a checkpoint on its test set.
pub fn run_eval(a: &EvalArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let (c, path) = open(&a.checkpoint)?;
    match Config::from_toml(&c.header.config_toml).map_err(|e| e.at(path.display()))?.engine {
        EngineName::Cpu => eval_on(&Cpu::new(), a, c, &path),
        EngineName::Reference => eval_on(&Reference, a, c, &path),
    }
}

/// Classifies pictures.
pub fn run_predict(a: &PredictArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let (c, path) = open(&a.checkpoint)?;
    match Config::from_toml(&c.header.config_toml).map_err(|e| e.at(path.display()))?.engine {
        EngineName::Cpu => predict_on(&Cpu::new(), a, c, &path),
        EngineName::Reference => predict_on(&Reference, a, c, &path),
    }
}

/// A checkpoint file; or the best one of a run folder, or its newest as long as there is no best.
fn open(path: &Path) -> Result<(Checkpoint, PathBuf)> {
    let best = path.join("best.ckpt");
    if path.is_dir() && !best.exists() {
        let newest = checkpoint::load_newest(&Disk, path)?;
        newest.warnings.iter().for_each(|w| say(format!("warning: {w}")));
        return Ok((newest.checkpoint, newest.path));
    }
    let file = if path.is_dir() { best } else { path.to_path_buf() };
    Ok((checkpoint::load(&Disk, &file)?, file))
}

/// The pass the weights were last evaluated with: a checkpoint of the `ann` warm-up is still an ordinary network.
fn method(c: &Checkpoint, config: &Config) -> Method {
    let p: Progress = serde_json::from_value(c.header.progress.clone()).unwrap_or_default();
    config.evaluation(if p.tally.samples == 0 { p.epoch.saturating_sub(1) } else { p.epoch })
}

fn eval_on<E: Engine>(engine: &E, a: &EvalArgs, mut c: Checkpoint, path: &Path) -> Result<u8> {
    let (mut config, net) = save::network(engine, &mut c).map_err(|e| e.at(path.display()))?;
    let method = method(&c, &config);
    config.data_dir = a.data_dir.clone().or(config.data_dir);
    let data = super::train::load(&config)?;
    if data.shape != net.plan.shape || data.classes.len() != net.plan.classes() {
        return Err(Error::usage(format!(
            "the network takes {} and {} classes, the data set has {} and {}",
            net.plan.shape,
            net.plan.classes(),
            data.shape,
            data.classes.len()
        ))
        .at(path.display()));
    }
    if data.fingerprint != c.header.dataset_fingerprint {
        say(format!("note: the files of {} are not those the network was trained with (fingerprint differs)", config.dataset));
    }
    let all: Vec<u32> = (0..data.test.len() as u32).collect();
    let prep = Preparation::of(config.dataset, data.shape.c);
    let e = evaluate(engine, &net, &config, &method, (&data.test, data.shape, &prep), &all, &Stop::default())?;
    let e = e.ok_or_else(|| Error::bug("an evaluation that nobody could stop was stopped"))?;
    let (mean, weighted) = record::mean_rates(&net.plan, &e.firing_rates);
    if a.json {
        print(json!({
            "checkpoint": path.display().to_string(), "dataset": config.dataset, "net": config.net, "T": config.time_steps, "step": c.header.step,
            "test_samples": e.samples, "test_accuracy": e.accuracy, "test_loss": e.loss, "firing_rates": e.firing_rates,
            "mean_firing_rate": mean, "weighted_firing_rate": weighted,
            "weights_sha256": crate::train::trainer::weights_sha256(engine, &net),
        }));
        return Ok(0);
    }
    print(format!("{}: {} after step {}", path.display(), config.net, c.header.step));
    print(format!("{} test samples of {}: accuracy {:.2} %, loss {:.4}", e.samples, config.dataset, 100.0 * e.accuracy, e.loss));
    for (b, r) in net.plan.blocks.iter().zip(&e.firing_rates) {
        print(format!("  {:<10} firing rate {:6.2} %", b.name(), 100.0 * r));
    }
    print(format!("  mean of layers {:.2} %, of neurons {:.2} %", 100.0 * mean, 100.0 * weighted));
    Ok(0)
}

fn predict_on<E: Engine>(engine: &E, a: &PredictArgs, mut c: Checkpoint, path: &Path) -> Result<u8> {
    let (config, net) = save::network(engine, &mut c).map_err(|e| e.at(path.display()))?;
    let method = method(&c, &config);
    let prep = Preparation::of(config.dataset, net.plan.shape.c);
    for image in &a.images {
        let Picture { pixels, resized_from } = pictures::load_picture(image, net.plan.shape)?;
        let rates = classify(engine, &net, &config, &method, &prep, pixels)?;
        let class = predict(&rates);
        let confidence = share(&rates, class);
        let name = &c.header.classes[class];
        if a.json {
            let rates: serde_json::Map<_, _> = c.header.classes.iter().cloned().zip(rates.iter().map(|&r| json!(r))).collect();
            print(json!({
                "image": image.display().to_string(), "class": name, "index": class, "confidence": confidence, "rates": rates,
                "resized_from": resized_from.map(|(h, w)| json!({"height": h, "width": w})),
            }));
            continue;
        }
        let told =
            resized_from.map_or(String::new(), |(h, w)| format!("  (resized from {h}x{w} to {}x{})", net.plan.shape.h, net.plan.shape.w));
        print(format!("{}: {name}, confidence {:.0} %{told}", image.display(), 100.0 * confidence));
        let rates: Vec<String> = c.header.classes.iter().zip(&rates).map(|(n, r)| format!("{n} {r:.3}")).collect();
        print(format!("  firing rates: {}", rates.join("  ")));
    }
    Ok(0)
}

fn classify<E: Engine>(
    engine: &E,
    net: &Network<E>,
    config: &Config,
    method: &Method,
    prep: &Preparation,
    pixels: Vec<u8>,
) -> Result<Vec<f64>> {
    let shape = net.plan.shape;
    let samples = Samples { pixels, labels: vec![0] };
    let steps = if method.ann { 1 } else { config.time_steps };
    let batch = Batch { shape, samples: 1, steps, input: Input::Direct(assemble(&samples, shape, &[0], prep, None)) };
    Ok(net.infer(engine, &batch, method)?.rates)
}

/// Confidence: the winner's share of all votes; 0 if no voter fired.
fn share(rates: &[f64], class: usize) -> f64 {
    let all: f64 = rates.iter().map(|r| r.max(0.0)).sum();
    if all > 0.0 { rates[class].max(0.0) / all } else { 0.0 }
}
