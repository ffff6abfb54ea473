//! What to know before believing a result, in plain words.

use super::summary::last_test;
use super::{Look, Run, percent};
use crate::config::BestOn;
use crate::data::own::WARNING;
use crate::plural::grouped;
use crate::train::trouble::{self, Seen};

/// A share of neurons of a layer that never fire which is worth a word.
const SILENT: f64 = 0.5;
/// A fall of the test accuracy below its best that is worth a word.
const FALL: f64 = 0.02;
/// A share of factors above one that lets gradients grow.
const GROWING_PAIRS: f64 = 0.5;
/// Gradient mass of the first quarter of the steps over that of the last; a leak of 0.9 alone reaches 10.
const GROWING_MASS: f64 = 30.0;

/// All warnings; with several runs each begins with its runs, and what several say is said once.
pub fn all(runs: &[Run], look: Option<&Look>) -> Vec<String> {
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        for warning in of(run, look.filter(|_| i == 0)) {
            match said.iter_mut().find(|(w, _)| *w == warning) {
                Some((_, names)) => names.push(&run.name),
                None => said.push((warning, vec![&run.name])),
            }
        }
    }
    let named = |(warning, names): (String, Vec<&str>)| match names.len() {
        _ if runs.len() == 1 => warning,
        n if n == runs.len() => format!("all runs: {warning}"),
        _ => format!("{}: {warning}", names.join(", ")),
    };
    said.into_iter().map(named).collect()
}

fn of(run: &Run, look: Option<&Look>) -> Vec<String> {
    let (c, mut said) = (&run.config, run.remarks.clone());
    if run.simulated() || look.is_some_and(|l| l.simulated) {
        said.push(format!("the events of {} are simulated: no camera saw them, so its accuracies say nothing about recordings", c.dataset));
    }
    if c.best_on == BestOn::Test {
        said.push("the best epoch was chosen on the test set: its accuracy is a biased estimate, too high on average".into());
    }
    let limits = [("training", c.train_limit), ("test", c.test_limit)];
    let cut: Vec<String> = limits.iter().filter_map(|(what, n)| Some(grouped((*n)?, &format!("{what} sample")))).collect();
    if !cut.is_empty() && !c.dataset.is_drawn() {
        said.push(format!("the data set was limited to {}: not comparable with results on all of it", cut.join(" and ")));
    }
    if let Some(r) = &run.result {
        said.extend(r.dataset_notes.iter().map(|n| format!("{}: {}", c.dataset, n.trim_start_matches(WARNING))));
    }
    said.extend(fall(run));
    said.extend(numbers(run));
    said.extend(look.map_or(Vec::new(), silent));
    said.extend(credit(run));
    said
}

fn fall(run: &Run) -> Option<String> {
    let (last, _) = last_test(run)?;
    let spiking = run.epochs.iter().filter(|l| l.warm_up != "ann");
    let best = spiking.filter_map(|l| Some((l.test_accuracy?, l.epoch))).max_by(|a, b| a.0.total_cmp(&b.0))?;
    let words = || {
        format!(
            "test accuracy fell from {} in epoch {} to {}: the training is not stable, or the learning rate has just restarted",
            percent(best.0),
            best.1,
            percent(last)
        )
    };
    (best.0 - last > FALL).then(words)
}

/// What `train` warned of in the last epoch, from the same numbers.
fn numbers(run: &Run) -> Vec<String> {
    let last = run.last();
    if last.warm_up == "ann" {
        return vec!["the last epoch is still of the ann warm-up, in which nothing spikes: this is no spiking network yet".into()];
    }
    let before = run.epochs.len().checked_sub(2).and_then(|i| run.epochs.get(i)).map(Seen::from);
    let troubles = trouble::of(&run.layers(), run.classes(), before.as_ref(), &Seen::from(last));
    troubles.into_iter().map(|t| t.text).collect()
}

/// Layers whose neurons are mostly useless, though the layer as a whole fires.
fn silent(look: &Look) -> Vec<String> {
    let of = |(i, l): (usize, &super::look::Layer)| {
        let share = l.silent as f64 / l.neurons.max(1) as f64;
        // Of a layer that never fires, its rate tells.
        (share > SILENT && share < 1.0).then(|| {
            format!(
                "{} of the neurons of layer {} ({}) never fired on the samples looked at: a lower --threshold, a warm-up (--warm-up tssl:2 or ann:2) or fewer neurons may serve better",
                percent(share),
                i + 1,
                l.name
            )
        })
    };
    look.layers.iter().enumerate().filter_map(of).collect()
}

fn credit(run: &Run) -> Vec<String> {
    let Some(line) = run.credit.last() else { return Vec::new() };
    let mut said = Vec::new();
    for (i, l) in line.layers.iter().enumerate() {
        let quarter = l.mass.len().div_ceil(4);
        let sum = |part: &[f64]| part.iter().sum::<f64>();
        let (early, late) = (sum(&l.mass[..quarter]), sum(&l.mass[l.mass.len() - quarter..]));
        let name = format!("layer {} ({})", i + 1, l.name);
        if l.growth.pairs > 0 && l.growth.above_one > GROWING_PAIRS {
            said.push(format!(
                "gradients grow across spikes in {name}: {} of the pairs of consecutive spikes enlarge an error, up to {:.2} times each; a lower α damps them",
                percent(l.growth.above_one),
                l.growth.largest
            ));
        }
        if l.mass.len() >= 4 && late > 0.0 && early > GROWING_MASS * late {
            said.push(format!(
                "gradients grow back in time in {name}: the first steps hold {:.0} times the gradient of the last",
                early / late
            ));
        }
    }
    said
}
