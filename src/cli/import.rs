//! `spiketrain import`: a file of another program into a checkpoint.

use super::args::ImportArgs;
use super::net::table;
use super::study::options;
use super::{print, say, set_threads};
use crate::config::Options;
use crate::error::{Error, Result};
use crate::export::{self, Format, Hints, Imported, Inputs};
use crate::notation::Notation;
use crate::storage::Disk;
use crate::trained::numbered;

/// Reads a network and writes it as a checkpoint.
pub fn run(a: &ImportArgs) -> Result<u8> {
    set_threads(a.run.options.threads)?;
    let said = options(&a.run)?;
    let net = said.net.as_ref().map(|n| Notation::named(n, a.classes.as_ref().map_or(10, Vec::len))).transpose()?;
    let hints =
        Hints { net: net.map(|n| n.to_string()), shape: a.shape, decay: said.decay, threshold: said.threshold, relu: said.relu, dt: a.dt };
    if a.dt.is_some() && Format::of(&a.file)? != Format::Nir {
        return Err(Error::usage("only NIR graphs have time constants in seconds")
            .option("dt")
            .remedy("say the decay itself with --decay"));
    }
    let Imported { model, stated, notes } = export::import(&a.file, &hints)?;
    let known = Options {
        net: Some(model.plan.notation.to_string()),
        decay: Some(model.lif.decay),
        threshold: Some(model.lif.threshold),
        relu: Some(model.has_relu()),
        ..said.clone()
    };
    let different = [
        ("net", hints.net.is_some() && hints.net != known.net),
        ("decay", said.decay.is_some_and(|v| v != model.lif.decay)),
        ("threshold", said.threshold.is_some_and(|v| v != model.lif.threshold)),
        ("relu", said.relu == Some(true) && !model.has_relu()),
    ];
    if let Some((option, _)) = different.iter().find(|(_, d)| *d) {
        return Err(Error::usage(format!(
            "the file says {}, decay {}, threshold {}, relu {}",
            model.plan.notation,
            model.lif.decay,
            model.lif.threshold,
            if model.has_relu() { "on" } else { "off" }
        ))
        .option(option)
        .remedy("leave the option out: the file knows"));
    }
    let channels = model.plan.shape.c;
    let config = stated.settle(known, channels).map_err(|e| e.at(a.file.display()))?.complete()?;
    let names = stated.names(a.classes.as_ref(), model.plan.classes()).map_err(|e| e.at(a.file.display()))?;
    let classes = names.unwrap_or_else(|| numbered(model.plan.classes()));
    let net = model.trained(config, classes)?;
    net.save(&Disk, &a.out)?;
    notes.iter().for_each(|n| say(format!("note: {n}")));
    let config = net.config();
    print(table(&model.plan));
    print(format!("decay {}, threshold {}, T {}, data set {}", config.decay, config.threshold, config.time_steps.last(), config.dataset));
    let inputs = Inputs::of(config, &model.plan, net.classes());
    let from = match (&stated.pixels, &stated.cutting) {
        (None, None) => format!("as of {}, for the file does not say it", config.dataset),
        _ => "as the file says".to_string(),
    };
    print(format!("input, {from}: {}\nclasses: {}", inputs.in_words(), net.classes().join(", ")));
    print(format!("{} written; use it with eval, predict, export or train --init", a.out.display()));
    Ok(0)
}
