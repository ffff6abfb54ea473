//! `spiketrain eval`: a trained network on its data set.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::EvalArgs;
use super::{print, say, set_threads};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, EngineName};
use crate::data::Split;
use crate::engine::{Engine, cpu::Cpu, reference::Reference};
use crate::error::{Error, Result};
use crate::run_folder::checkpoint_at;
use crate::train::evaluate::evaluate;
use crate::train::feed::{Feed, preparation};
pub(super) use crate::train::save::method;
use crate::train::{Stop, record, save};

/// Evaluates a checkpoint on its test set.
pub fn run_eval(a: &EvalArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let (c, path) = open(&a.checkpoint)?;
    match Config::from_toml(&c.header.config_toml).map_err(|e| e.at(path.display()))?.engine {
        EngineName::Cpu => eval_on(&Cpu::new(), a, c, &path),
        EngineName::Reference => eval_on(&Reference, a, c, &path),
    }
}

/// A checkpoint file; or the best one of a run folder, or its newest as long as there is no best.
pub(super) fn open(path: &Path) -> Result<(Checkpoint, PathBuf)> {
    let found = checkpoint_at(path)?;
    found.warnings.iter().for_each(|w| say(format!("warning: {w}")));
    Ok((found.checkpoint, found.path))
}

fn eval_on<E: Engine>(engine: &E, a: &EvalArgs, mut c: Checkpoint, path: &Path) -> Result<u8> {
    let (config, net) = save::open(engine, &mut c).map_err(|e| e.at(path.display()))?;
    let method = method(&c, &config);
    let config = a.places.of(config);
    let data = super::train::load(&config)?;
    let shape = data.shape(&preparation(&config, &*data));
    if shape != net.plan.shape || data.classes().len() != net.plan.classes() {
        return Err(Error::usage(format!(
            "the network takes {} and {} classes, the data set has {} and {}",
            net.plan.shape,
            net.plan.classes(),
            shape,
            data.classes().len()
        ))
        .at(path.display()));
    }
    // An imported network does not know what it was trained with.
    if !c.header.dataset_fingerprint.is_empty() && data.fingerprint() != c.header.dataset_fingerprint {
        say(format!("note: the files of {} are not those the network was trained with (fingerprint differs)", config.dataset));
    }
    let all: Vec<u32> = (0..data.labels(Split::Test).len() as u32).collect();
    let e = evaluate(engine, &net, &config, &method, &Feed::new(&config, &*data)?, (Split::Test, &all), &Stop::default())?;
    let e = e.ok_or_else(|| Error::bug("an evaluation that nobody could stop was stopped"))?;
    let (mean, weighted) = record::mean_rates(&net.plan, &e.firing_rates);
    if a.json {
        print(json!({
            "checkpoint": path.display().to_string(), "dataset": config.dataset, "dataset_simulated": data.simulated(), "net": config.net, "T": config.time_steps, "step": c.header.step,
            "test_samples": e.samples, "test_accuracy": e.accuracy, "test_loss": e.loss, "firing_rates": e.firing_rates,
            "mean_firing_rate": mean, "weighted_firing_rate": weighted,
            "weights_sha256": crate::train::trainer::weights_sha256(engine, &net)?,
        }));
        return Ok(0);
    }
    print(format!("{}: {} after step {}", path.display(), config.net, c.header.step));
    let simulated = super::train::simulated(data.simulated());
    print(format!("{} test samples of {}{simulated}: accuracy {:.2} %, loss {:.4}", e.samples, config.dataset, 100.0 * e.accuracy, e.loss));
    for (b, r) in net.plan.blocks.iter().zip(&e.firing_rates) {
        print(format!("  {:<10} firing rate {:6.2} %", b.name(), 100.0 * r));
    }
    print(format!("  mean of layers {:.2} %, of neurons {:.2} %", 100.0 * mean, 100.0 * weighted));
    Ok(0)
}
