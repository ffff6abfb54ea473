//! What a run or a study will take, before it begins: `--dry-run` and `--budget`.

use std::path::Path;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::net::{memory_lines, rows, table};
use super::print;
use super::progress::Voice;
use super::train::load_by;
use crate::config::{Config, Options};
use crate::data::{Dataset, Split};
use crate::engine::Engine;
use crate::engine::memory::samples_on_host;
use crate::engines::{self, Work, with_engine};
use crate::error::{Error, Result};
use crate::plural::counted;
use crate::study::Study;
use crate::study::table::Table;
use crate::train::budget::load_of;
use crate::train::pace::{self, Pace, Samples};
use crate::train::{Session, open};

/// Samples of a timed step, at most: enough to see what one costs, few enough to take seconds.
const TIMED_BATCH: usize = 16;
/// Share of a budget that is spent on learning before it is divided, as firing rates fall at first.
const LEARNING: f64 = 0.03;
/// What a run takes of the time that is expected then: rates fall on. Measured: 0.87 (`glyphs`, one minute), 0.79 (Fashion-MNIST, ten minutes).
const LATER: f64 = 0.83;
/// What is left of a budget for all that is no step and no evaluation, and for what speed varies by.
const SLACK: f64 = 0.95;

/// Something that takes a moment, with a sign of life.
fn waiting<T>(what: &str, voice: Voice, work: impl FnOnce() -> T) -> T {
    let bar =
        ProgressBar::with_draw_target(None, voice.target()).with_style(ProgressStyle::default_spinner()).with_message(what.to_string());
    bar.enable_steady_tick(Duration::from_millis(100));
    let done = work();
    bar.finish_and_clear();
    done
}

/// Timed steps of a configuration.
struct Timed<'a> {
    config: &'a Config,
    data: &'a dyn Dataset,
    memory: Option<usize>,
    learning: f64,
}

impl Work for Timed<'_> {
    type Out = Result<Pace>;

    fn on<E: Engine>(self, engine: E) -> Result<Pace> {
        pace::measure(&engine, self.config, self.data, self.memory, self.learning)
    }
}

/// The options that keep a run of `config` within so many minutes, and the seconds it will take; `quick`: by the firing rates of untrained
/// weights, in seconds.
///
/// # Errors
/// As a training step's; Usage: not even one epoch fits.
pub fn within(
    minutes: f64,
    config: &Config,
    data: &dyn Dataset,
    memory: Option<usize>,
    quick: bool,
    voice: Voice,
) -> Result<(Options, f64)> {
    let samples = Samples::of(&Session::new(config.clone(), data, memory)?);
    let (seconds, learning) = (60.0 * minutes, if quick { 0.0 } else { LEARNING });
    let timed_with = if quick { few(config) } else { config.clone() };
    let timed = Timed { config: &timed_with, data, memory, learning: learning * seconds };
    let pace = waiting("learning for a moment, to see how long a step takes", voice, || with_engine(&config.device, config.isa, timed))??;
    let (options, expected) = pace.fit(config, SLACK * (1.0 - learning) * seconds / LATER, samples)?;
    Ok((options, LATER * expected))
}

/// With a smaller batch, where the one of the run is large.
fn few(c: &Config) -> Config {
    Config { batch: c.batch.min(TIMED_BATCH), ..c.clone() }
}

/// What two steps of a small batch say of every T, and the seconds of the whole run.
fn time(session: &Session, memory: Option<usize>, voice: Voice) -> Result<(Pace, f64)> {
    let c = &session.config;
    let few = few(c);
    let timed = Timed { config: &few, data: session.data, memory, learning: 0.0 };
    let pace = waiting("two steps", voice, || with_engine(&c.device, c.isa, timed))??;
    let all = pace.whole(c, Samples::of(session));
    Ok((pace, all))
}

/// The configuration of a cell, and the seconds of one of its runs.
struct Cell {
    name: String,
    config: Config,
    seconds: f64,
}

/// What two steps say of every cell of a study.
fn cells(study: &Study, memory: Option<usize>, voice: Voice) -> Result<Vec<Cell>> {
    let (mut cells, mut loaded) = (Vec::new(), None);
    for cell in &study.cells {
        let config = study.config(cell, study.options.seed.unwrap_or(1))?;
        let key = config.of_data();
        let data = match loaded.take().filter(|(of, _)| *of == key) {
            Some((_, data)) => data,
            None => load_by(&config, open::rehearsed, voice)?,
        };
        let session = Session::new(config, &*data, memory)?;
        let seconds = time(&session, memory, voice)?.1;
        cells.push(Cell { name: cell.name.clone(), config: session.config, seconds });
        loaded = Some((key, data));
    }
    Ok(cells)
}

/// What is left of a study in `folder`, all of it if there is none yet, in words.
///
/// # Errors
/// As a training step's, and as [`Study::left`].
pub fn of_study(study: &Study, folder: &Path, seeds: u64, memory: Option<usize>, voice: Voice) -> Result<String> {
    let left = study.cells.iter().map(|cell| study.left(folder, cell, seeds)).collect::<Result<Vec<f64>>>()?;
    let (runs, all) = (left.iter().sum::<f64>(), study.cells.len() as u64 * seeds);
    let tuned = if study.tune.is_empty() { "" } else { ", without the runs that --tune chooses by" };
    if runs == 0.0 {
        return Ok(format!("all its {all} runs are finished"));
    }
    // Cells with nothing left are not timed either.
    let unfinished = || study.cells.iter().zip(&left).filter(|(_, left)| **left > 0.0);
    let timed = cells(&Study { cells: unfinished().map(|(cell, _)| cell.clone()).collect(), ..study.clone() }, memory, voice)?;
    let seconds: f64 = timed.iter().zip(unfinished()).map(|(cell, (_, left))| cell.seconds * left).sum();
    let what = match runs == all as f64 {
        true => "in all".to_string(),
        false => format!("for what is left, {} of {all} runs", short(runs)),
    };
    Ok(format!("about {} {what}{tuned}, at the firing rates of untrained weights; --dry-run shows each cell", words(seconds)))
}

/// `3`, or `2.5` where a run has begun.
fn short(runs: f64) -> String {
    if runs.fract() == 0.0 { runs.to_string() } else { format!("{runs:.1}") }
}

/// Prints the time of every cell of a study, and of all; writes nothing.
///
/// # Errors
/// As a training step's.
pub fn study(study: &Study, seeds: u64, memory: Option<usize>, voice: Voice) -> Result<u8> {
    let row = |Cell { name, config: c, seconds }: &Cell| {
        vec![name.clone(), c.time_steps.to_string(), c.epochs.to_string(), words(*seconds), words(seconds * seeds as f64)]
    };
    let cells = cells(study, memory, voice)?;
    let whole: f64 = cells.iter().map(|cell| cell.seconds * seeds as f64).sum();
    let rows: Vec<_> = cells.iter().map(row).collect();
    let head = ["cell", "T", "epochs", "a run", "all its runs"].map(str::to_string).to_vec();
    print(
        Table {
            title: format!("{}, {}, at the firing rates of untrained weights:", counted(rows.len(), "cell"), counted(seeds, "seed")),
            head,
            rows,
        }
        .text(),
    );
    let tuned = if study.tune.is_empty() { "" } else { ", without the runs that --tune chooses by" };
    print(format!("about {} in all{tuned}; nothing was written", words(whole)));
    Ok(0)
}

fn words(seconds: f64) -> String {
    HumanDuration(Duration::from_secs_f64(seconds)).to_string()
}

/// Prints plan, memory, disk and time of a session that does not start.
///
/// # Errors
/// As a training step's.
pub fn dry_run(session: &Session, memory: Option<usize>, voice: Voice) -> Result<u8> {
    if voice == Voice::Json {
        print(facts(session, memory)?);
        return Ok(0);
    }
    let (c, plan) = (&session.config, &session.plan);
    let (engine, load) = (engines::memory(&c.device), load_of(c, session.data));
    print(table(plan));
    print(memory_lines((c.device.engine(), engine), plan, &load, &session.budget.recompute));
    print(format!("  the data set               {:>8.1} MB", session.data.bytes() as f64 / 1e6));
    print(format!("  the batch made ahead       {:>8.1} MB", samples_on_host(plan, &load) as f64 / 1e6));
    let mb = |floats: usize| 4.0 * floats as f64 / 1e6;
    print(format!(
        "disk: two checkpoints of {:.1} MB (three while saving), the weights alone {:.1} MB",
        mb(3 * plan.parameters()),
        mb(plan.parameters())
    ));
    let (pace, all) = time(session, memory, voice)?;
    let (samples, per_epoch) = (Samples::of(session), counted(session.train.len().div_ceil(c.batch), "step"));
    for p in &pace.0 {
        let epoch = p.training * samples.training as f64;
        print(format!(
            "time at T {}{}: {:.2} ms a sample, {:.0} s per epoch of {per_epoch}, {:.0} s per evaluation",
            p.phase.steps,
            if p.phase.warm_up { " in the warm-up" } else { "" },
            1e3 * p.training,
            epoch,
            p.evaluation * samples.evaluated as f64
        ));
    }
    print(format!(
        "about {} for {}, at the firing rates of untrained weights, which are higher than later ones",
        words(all),
        counted(c.epochs, "epoch")
    ));
    print("nothing was written");
    Ok(0)
}

/// What [`dry_run`] shows, for programs; sizes are bytes.
fn facts(session: &Session, memory: Option<usize>) -> Result<Value> {
    let (c, plan, data) = (&session.config, &session.plan, session.data);
    let load = load_of(c, data);
    let step = engines::memory(&c.device).step(plan, &load, &session.budget.recompute);
    let layers = rows(plan).into_iter().map(|r| {
        json!({"name": r.name, "input": r.input.to_string(), "output": r.output.to_string(), "parameters": r.parameters, "macs": r.macs})
    });
    let twice: Vec<String> = plan.blocks.iter().zip(&session.budget.recompute).filter(|(_, r)| **r).map(|(b, _)| b.name()).collect();
    let (pace, seconds) = time(session, memory, Voice::Json)?;
    let samples = Samples::of(session);
    let times = pace.0.iter().map(|p| {
        json!({
            "T": p.phase.steps, "warm_up": p.phase.warm_up, "seconds_per_sample": p.training,
            "seconds_per_epoch": p.training * samples.training as f64, "seconds_per_evaluation": p.evaluation * samples.evaluated as f64,
        })
    });
    let options = serde_json::to_value(Options::from(c)).map_err(|e| Error::bug(format!("options as JSON: {e}")))?;
    Ok(json!({
        "options": options, "network": plan.notation.to_string(), "input": plan.shape.to_string(), "classes": data.classes(),
        "dataset_simulated": data.simulated(), "dataset_notes": data.notes(), "train_samples": session.train.len(),
        "validation_samples": session.validation.len(), "test_samples": data.labels(Split::Test).len(),
        "dropped_samples": session.dropped_samples(), "layers": layers.collect::<Vec<_>>(),
        "parameters": plan.parameters(), "macs_per_time_step": plan.macs(),
        "memory": {
            "T": load.steps, "weights_gradients_adamw": step.optimiser, "input_currents": step.currents, "spike_trains": step.spikes,
            "passing": step.passing, "lists_and_program": step.work, "together": step.total(), "recomputed": twice,
            "data_set": data.bytes(), "batch_made_ahead": samples_on_host(plan, &load),
        },
        "disk": {"checkpoint": size_of::<f32>() * 3 * plan.parameters(), "best": size_of::<f32>() * plan.parameters()},
        "steps_per_epoch": session.train.len().div_ceil(c.batch), "times": times.collect::<Vec<_>>(), "epochs": c.epochs, "seconds": seconds,
    }))
}
