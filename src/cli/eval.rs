//! `spiketrain eval`: a trained network on its data set.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::EvalArgs;
use super::progress::Voice;
use super::{print, say, set_threads};
use crate::config::{BestOn, Device};
use crate::data::own::WARNING;
use crate::data::{Dataset, Split};
use crate::error::{Error, Result};
use crate::plural::counted;
use crate::run_folder;
use crate::train::{Evaluation, Stop, record};
use crate::trained::Trained;

/// Evaluates a checkpoint on its test set.
pub fn run_eval(a: &EvalArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let (net, path) = open(&a.checkpoint, a.device.as_ref())?;
    let net = a.places.of(net);
    let net = if a.sort && !net.config().sort { in_order(net)? } else { net };
    let config = net.config();
    let data = super::train::load(config, a.loudness.voice())?;
    check(&net, &*data, a.loudness.voice()).map_err(|e| e.at(path.display()))?;
    let e = net.evaluate(config, &*data, Split::Test, &Stop::default())?;
    let e = e.ok_or_else(|| Error::bug("an evaluation that nobody could stop was stopped"))?;
    if a.json {
        let mut facts = net.facts(&*data, &e)?;
        facts["checkpoint"] = json!(path.display().to_string());
        print(facts);
        return Ok(0);
    }
    let selected = if is_last(&path, config.best_on) { " (the last epoch: nothing was selected)" } else { "" };
    print(format!("{}: {} after step {}{selected}", path.display(), config.net, net.step()));
    let simulated = super::train::simulated(data.simulated());
    print(format!(
        "{} of {}{simulated}: accuracy {:.2} %, loss {:.4}",
        counted(e.samples, "test sample"),
        config.dataset,
        100.0 * e.accuracy,
        e.loss
    ));
    by_class(data.classes(), &e);
    for (b, r) in net.plan().blocks.iter().zip(&e.firing_rates) {
        print(format!("  {:<10} firing rate {:6.2} %", b.name(), 100.0 * r));
    }
    let (mean, weighted) = record::mean_rates(net.plan(), &e.firing_rates);
    print(format!("  mean of layers {:.2} %, of neurons {:.2} %", 100.0 * mean, 100.0 * weighted));
    Ok(0)
}

/// The network with its recordings sorted, which it was not trained on.
fn in_order(net: Trained) -> Result<Trained> {
    let net = net.with_sorted_events()?;
    say("note: the network was trained without --sort: on other frames of recordings whose events are out of order");
    Ok(net)
}

/// Whether these are the weights of the last epoch of a run that selected none, however they are called.
fn is_last(path: &Path, best_on: BestOn) -> bool {
    best_on == BestOn::Last && path.file_name().is_some_and(|name| name == run_folder::BEST || name == run_folder::LAST)
}

/// Balanced accuracy, what the commonest class alone would give, and the recall of each class.
fn by_class(names: &[String], e: &Evaluation) {
    let (Some(balanced), Some((commonest, share))) = (e.balanced_accuracy(), e.commonest_class()) else { return };
    let name = |i: usize| names.get(i).map_or("?", String::as_str);
    print(format!(
        "balanced accuracy {:.2} % (mean recall of the classes); always answering '{}' gives an accuracy of {:.2} %",
        100.0 * balanced,
        name(commonest),
        100.0 * share
    ));
    for (i, c) in e.by_class.iter().enumerate() {
        let recall = c.recall().map_or("no samples".to_string(), |r| format!("{:6.2} % of {}", 100.0 * r, c.samples));
        print(format!("  {:<16} recall {recall}, answered {}", name(i), counted(c.answered, "time")));
    }
}

/// The network of a checkpoint file, or of a run folder, on this device or on the one it was trained on.
pub(super) fn open(path: &Path, device: Option<&Device>) -> Result<(Trained, PathBuf)> {
    Trained::open(path, device, &mut |text| say(text))
}

/// Checks that the network takes the samples of `data`, and says if they are not those it was trained on.
pub(super) fn check(net: &Trained, data: &dyn Dataset, voice: Voice) -> Result<()> {
    net.check(data)?.iter().for_each(|note| voice.say(format!("note: {note}")));
    // What training was told of the data is true of every result on them.
    data.notes().iter().filter(|note| note.starts_with(WARNING)).for_each(say);
    Ok(())
}
