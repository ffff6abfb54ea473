//! `spiketrain train`: from options to a run folder.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};

use super::args::TrainArgs;
use super::progress::{Terminal, Voice};
use super::{print, rehearse, set_threads};
use crate::config::{BestOn, Config};
use crate::data::{Dataset, Split, verify};
use crate::engine::Engine;
use crate::engines::{self, Work, with_engine};
use crate::error::{Error, Result};
use crate::plural::{counted, counted_as, thousands};
use crate::train::{self, Observer, Outcome, RunResult, Session, Start, Stop, credit, open};

/// Growth of errors that is said when a run begins: with it `small` takes hundreds of steps to begin learning (docs/measurements.md).
const LARGE_GROWTH: f64 = 100.0;

/// A balanced accuracy so far from the accuracy is worth a line.
const UNEVEN: f64 = 0.005;

/// Starts, resumes or rehearses a run.
pub fn run(a: TrainArgs) -> Result<u8> {
    set_threads(a.run.options.threads)?;
    let said = a.run.options()?;
    let (start, config) = match &a.resume {
        Some(_) if a.run.config.is_some() || a.out.is_some() || a.dry_run => return Err(open::takes_options_from_its_folder()),
        Some(folder) => open::resumed(folder, said.clone()).map(|(folder, config)| (Start::Resumed(folder), config))?,
        None => (Start::New(a.out), open::fresh(said.clone(), a.run.config.as_deref())?),
    };
    let voice = if a.json { Voice::Json } else { a.loudness.voice() };
    let data = if a.dry_run { load_by(&config, open::rehearsed, voice)? } else { load(&config, voice)? };
    let memory = a.run.options.memory;
    let config = match a.budget {
        None => config,
        Some(minutes) => {
            let (fitted, seconds) = rehearse::within(minutes, &config, &*data, memory, a.dry_run, voice)?;
            let config = open::fresh(fitted.or(said), a.run.config.as_deref())?;
            let (epochs, steps) = (counted(config.epochs, "epoch"), &config.time_steps);
            voice.say(format!("{epochs}, T {steps}: about {:.1} of {minutes:.1} minutes", seconds / 60.0));
            config
        }
    };
    let session = Session::new(config, &*data, memory)?;
    if a.dry_run {
        describe(&session, &mut Terminal::new(voice));
        return rehearse::dry_run(&session, memory, voice);
    }
    let (device, isa) = (session.config.device.clone(), session.config.isa);
    with_engine(&device, isa, Training { session, start, voice })?
}

/// What a session begins with.
struct Training<'a> {
    session: Session<'a>,
    start: Start,
    voice: Voice,
}

/// Loads the data set of a configuration before the user's eyes.
pub fn load(c: &Config, voice: Voice) -> Result<Box<dyn Dataset>> {
    load_by(c, open::dataset, voice)
}

/// A way of loading.
type Opening = fn(&Config, &mut dyn verify::Observer) -> Result<Box<dyn Dataset>>;

/// The same, by this way of loading.
pub(super) fn load_by(c: &Config, open: Opening, voice: Voice) -> Result<Box<dyn Dataset>> {
    let mut watch = super::data::Terminal::new(voice);
    let set = open(c, &mut watch);
    watch.clear();
    set
}

impl Work for Training<'_> {
    type Out = Result<u8>;

    fn on<E: Engine + 'static>(self, engine: E) -> Result<u8> {
        let mut watch = Terminal::new(self.voice);
        describe(&self.session, &mut watch);
        let (mut trainer, folder) = self.session.start(&engine, self.start, &mut watch)?;
        let path = folder.path().display();
        watch.note(&format!("run folder {path}  (Ctrl-C saves and stops; go on with: spiketrain train --resume {path})"));
        let stop = handle_signals()?;
        let outcome = train::run_in(&folder, &mut trainer, &stop, &mut watch);
        watch.clear();
        match outcome? {
            Outcome::Finished(r) if self.voice == Voice::Json => {
                print(serde_json::to_string(&r).map_err(|e| Error::bug(format!("JSON: {e}")))?);
                Ok(0)
            }
            Outcome::Finished(r) => {
                print(summary(&r, folder.path()));
                Ok(0)
            }
            Outcome::Stopped(signal) => {
                let step = trainer.progress.step;
                watch.note(&format!("stopped after step {step}, checkpoint saved; go on with: spiketrain train --resume {path}"));
                Ok(128 + signal)
            }
        }
    }
}

fn describe(session: &Session, watch: &mut Terminal) {
    let (c, plan) = (&session.config, &session.plan);
    watch.follow(&c.time_steps);
    let held_out = if session.validation.is_empty() { String::new() } else { format!(", {} validation", session.validation.len()) };
    watch.note(&format!(
        "{}{}: {} training{held_out}, {}, {}, {}",
        c.dataset,
        simulated(session.data.simulated()),
        session.train.len(),
        counted(session.data.labels(Split::Test).len(), "test sample"),
        counted_as(session.data.classes().len(), "class", "classes"),
        plan.shape
    ));
    if session.data.steps().is_some() {
        watch.note(&frames_line(c));
    }
    session.data.notes().iter().for_each(|n| watch.note(&format!("  {}", super::noted(n))));
    let name = session.preset.map_or(String::new(), |p| format!("{p} = "));
    watch.note(&format!("net {name}{}: {} parameters, {}", plan.notation, thousands(plan.parameters()), engines::described(&c.device)));
    let alpha = if c.rule == crate::neuron::Rule::BpsaBpta { format!(", α {}", c.alpha) } else { String::new() };
    let relu = if c.relu { "" } else { ", without ReLU" };
    watch.note(&format!(
        "recipe {}: rule {}{alpha}{relu}, T {}, batch {}, {}, lr {} {}, warm-up {}, seed {}",
        c.recipe.name(),
        c.rule.name(),
        c.time_steps,
        c.batch,
        counted(c.epochs, "epoch"),
        c.lr,
        c.schedule,
        c.warm_up,
        c.seed
    ));
    let growth = c.largest_growth();
    if growth > LARGE_GROWTH {
        watch.note(&format!(
            "note: with α {} an error can grow {growth:.0} times on its way back over {} in a row, which slows the beginning; the authors' code has --alpha 0.2",
            c.alpha,
            counted(c.time_steps.most(), "spike")
        ));
    }
    let dropped = match session.dropped_samples() {
        0 => None,
        1 => Some("sample of each epoch is".to_string()),
        n => Some(format!("{n} samples of each epoch are")),
    };
    if let Some(last) = dropped {
        watch.note(&format!("the last {last} left out: too few for batch statistics"));
    }
    let samples = credit::samples_of(c.batch);
    match session.budget.credit_samples {
        _ if c.credit_every == Some(0) => {}
        0 => watch.note("no credit lines: --memory leaves no room for a look beside the steps"),
        n if n < samples => {
            watch.note(&format!("credit lines look at {} instead of {samples}, to keep within --memory", counted(n, "sample")))
        }
        _ => {}
    }
    if c.best_on == BestOn::Test {
        watch.note("warning: the best epoch is chosen on the test set (--best-on test); its accuracy is a biased estimate");
    }
}

/// What a data set's name needs beside it where no camera saw the events.
pub(super) fn simulated(yes: bool) -> &'static str {
    if yes { " (simulated)" } else { "" }
}

/// How recordings become a network's input.
fn frames_line(c: &Config) -> String {
    let disturbed = match (c.event_drop, c.event_noise) {
        (0.0, 0.0) => String::new(),
        (drop, noise) => format!(", {drop} of the events left out and {noise} added per count in training"),
    };
    format!(
        "frames: T {} by {}, resize {}, augmentation: {}{disturbed}",
        c.time_steps,
        c.split_by.name(),
        c.resize.name(),
        c.preparation(2).augmentation()
    )
}

/// SIGINT and SIGTERM ask to stop after the step; a second one ends the process at once.
pub(super) fn handle_signals() -> Result<Stop> {
    let stop = Stop::default();
    let armed = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let status = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, status, Arc::clone(&armed))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&armed)))
            .and_then(|_| signal_hook::flag::register_usize(signal, Arc::clone(&stop.0), signal as usize))
            .map_err(|e| Error::bug(format!("signal handler: {e}")))?;
    }
    Ok(stop)
}

fn summary(r: &RunResult, folder: &Path) -> String {
    let percent = |v: f64| format!("{:.2} %", 100.0 * v);
    let next = format!("next: spiketrain report {}  (eval, predict and export take the folder, too)", folder.display());
    let best = match r.selected_by {
        BestOn::Last => String::new(),
        BestOn::Validation => {
            format!(
                "\nbest epoch on the validation split: {} of {}, test accuracy {}",
                r.selected_epoch,
                r.epochs,
                percent(r.selected_test_accuracy)
            )
        }
        BestOn::Test => {
            format!(
                "\nbest epoch, chosen on the test set (biased): {} of {}, {}",
                r.selected_epoch,
                r.epochs,
                percent(r.selected_test_accuracy)
            )
        }
    };
    let rates: Vec<String> = r.firing_rates.iter().map(|v| format!("{:.1}", 100.0 * v)).collect();
    // Where classes are of one size it says nothing new.
    let uneven = r.last_balanced_accuracy.filter(|balanced| (balanced - r.last_test_accuracy).abs() >= UNEVEN);
    let balanced = uneven.zip(r.chance_accuracy).map_or(String::new(), |(balanced, chance)| {
        format!(
            "\nbalanced accuracy (mean recall of the classes) {}; always answering the commonest class gives {}",
            percent(balanced),
            percent(chance)
        )
    });
    let warnings: String = r.warnings.iter().map(|w| format!("\nwarning: {w}")).collect();
    format!(
        "test accuracy{} after the last epoch: {}{balanced}{best}{warnings}\nfiring rates by layer: {} %, mean {} (by neurons {})\n{:.0} samples/s, {:.0} s, peak memory {} MB\nweights sha256 {}\nresults in {}\n{next}",
        if r.dataset_simulated { " on simulated events" } else { "" },
        percent(r.last_test_accuracy),
        rates.join(" "),
        percent(r.mean_firing_rate),
        percent(r.weighted_firing_rate),
        r.samples_per_s,
        r.train_seconds,
        r.peak_rss_mb.map_or("?".to_string(), |m| m.to_string()),
        r.weights_sha256,
        folder.display()
    )
}
