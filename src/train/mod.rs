//! The training loop: epochs, steps, evaluation. What is kept of them is up to [`Keep`]; how it begins, to [`Session`].

pub mod budget;
pub mod credit;
pub mod evaluate;
pub mod feed;
pub mod keep;
pub mod live;
pub mod open;
pub mod pace;
pub mod record;
pub mod save;
pub mod session;
pub mod step;
pub mod trainer;
pub mod trouble;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

pub use evaluate::Evaluation;
pub use keep::{InFolder, Keep};
pub use record::{EpochLine, RunResult};
pub use session::{Session, Start};
pub use trainer::{Best, Progress, Trainer};

use crate::config::BestOn;
use crate::data::Split;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::run_folder::RunFolder;
use feed::{ahead, next};
use live::{Live, now};
use trouble::{Seen, Trouble};

/// The number of the signal that asked to stop, 0 for none; set by a handler or a test, read after every step.
#[derive(Clone, Debug, Default)]
pub struct Stop(pub Arc<AtomicUsize>);

impl Stop {
    /// The signal that asked to stop, if any.
    pub fn requested(&self) -> Option<u8> {
        Some(self.0.load(Ordering::Relaxed) as u8).filter(|&s| s != 0)
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome<R = Box<RunResult>> {
    /// All epochs done; what is left of them ([`Keep::Left`]).
    Finished(R),
    /// Stopped by this signal, the state after the last step kept.
    Stopped(u8),
}

/// Who watches a run.
pub trait Observer {
    /// After every step: epoch from 0, step within it from 1, steps per epoch, and the sums of the epoch so far.
    fn step(&mut self, epoch: usize, i: usize, of: usize, tally: &trainer::Tally, rates: &[f64]);
    /// After every epoch.
    fn epoch(&mut self, line: &EpochLine, epochs: usize);
    /// Something the user should know.
    fn note(&mut self, text: &str);
}

/// Trains until all epochs are done or `stop` asks: THE LOOP. `keep` gets what comes of it.
///
/// # Errors
/// Diverged: something is not finite; the weights are those of the last good step. Storage: the disk.
pub fn run<E: Engine, K: Keep>(trainer: &mut Trainer<E>, keep: &mut K, stop: &Stop, watch: &mut dyn Observer) -> Result<Outcome<K::Left>> {
    let mut said = BTreeSet::new();
    for epoch in trainer.progress.epoch..trainer.config.epochs {
        let clock = Clock { before: trainer.progress.tally.wall, started: Instant::now() };
        if let Some(signal) = steps(trainer, epoch, keep, &clock, stop, watch)? {
            return Ok(Outcome::Stopped(signal));
        }
        let place = |e: Error| e.at(format!("evaluation after epoch {}", epoch + 1));
        let Some((line, troubles)) = finish_epoch(trainer, epoch, &clock, stop).map_err(place)? else {
            save(trainer, keep, &clock)?;
            return Ok(Outcome::Stopped(stop.requested().unwrap_or_default()));
        };
        keep.epoch(trainer, &line)?;
        save(trainer, keep, &Clock { before: 0.0, started: Instant::now() })?;
        watch.epoch(&line, trainer.config.epochs);
        troubles.into_iter().filter(|t| said.insert(t.about.clone())).for_each(|t| watch.note(&format!("warning: {}", t.text)));
        if let Some(signal) = stop.requested() {
            return Ok(Outcome::Stopped(signal));
        }
    }
    keep.finish(trainer).map(Outcome::Finished)
}

/// The same, with everything kept in a run folder.
///
/// # Errors
/// As [`run`].
pub fn run_in<E: Engine>(folder: &RunFolder, trainer: &mut Trainer<E>, stop: &Stop, watch: &mut dyn Observer) -> Result<Outcome> {
    let mut keep = InFolder::new(folder, trainer.progress.epoch)?;
    run(trainer, &mut keep, stop, watch)
}

/// The steps of `epoch` that are not done yet; the signal, and a checkpoint kept, if it was asked to stop.
fn steps<E: Engine>(
    trainer: &mut Trainer<E>,
    epoch: usize,
    keep: &mut impl Keep,
    clock: &Clock,
    stop: &Stop,
    watch: &mut dyn Observer,
) -> Result<Option<u8>> {
    let per_epoch = trainer.steps_per_epoch();
    let done = trainer.progress.step as usize - epoch * per_epoch;
    let order = trainer.order(epoch);
    let chunks = order.chunks(trainer.config.batch).take(per_epoch).skip(done);
    let (feed, ann) = (trainer.feed_of(epoch), trainer.config.method(epoch).ann);
    thread::scope(|scope| {
        let batches = ahead(scope, chunks, move |indices| feed.training(epoch, indices, ann))?;
        for i in done..per_epoch {
            let mut started = Instant::now();
            let labelled = next(&batches);
            if let (true, Ok(labelled)) = (trainer.credit_due(), &labelled) {
                let looked = Instant::now();
                keep.credit(|| trainer.credit(epoch, labelled))?;
                // The speed of training does not count it.
                started += looked.elapsed();
            }
            let lr = trainer.learning_rate(epoch, i);
            trainer.learn(epoch, labelled, lr, started)?;
            watch.step(epoch, i + 1, per_epoch, &trainer.progress.tally, &trainer.training_rates());
            keep.live(|| live(trainer, epoch, i + 1, clock));
            if let Some(signal) = stop.requested() {
                save(trainer, keep, clock)?;
                return Ok(Some(signal));
            }
            let every = trainer.config.checkpoint_every as u64;
            if every > 0 && trainer.progress.step.is_multiple_of(every) {
                save(trainer, keep, clock)?;
            }
        }
        Ok(None)
    })
}

/// The epoch under way after its step `step`, from 1.
fn live<E: Engine>(trainer: &Trainer<E>, epoch: usize, step: usize, clock: &Clock) -> Live {
    let tally = &trainer.progress.tally;
    let seen = tally.samples as f64;
    Live {
        epoch: epoch as u64 + 1,
        epochs: trainer.config.epochs as u64,
        step: step as u64,
        steps: trainer.steps_per_epoch() as u64,
        samples_per_s: seen / tally.seconds,
        loss: tally.loss / seen,
        accuracy: tally.correct as f64 / seen,
        firing_rates: trainer.training_rates(),
        seconds: clock.seconds(),
        unix_time: now(),
    }
}

/// Time spent in an epoch, earlier sessions included.
struct Clock {
    before: f64,
    started: Instant,
}

impl Clock {
    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }
}

fn save<E: Engine>(trainer: &mut Trainer<E>, keep: &mut impl Keep, clock: &Clock) -> Result<()> {
    let p = &mut trainer.progress;
    p.tally.wall = clock.seconds();
    p.peak_rss_mb = p.peak_rss_mb.max(record::peak_rss_mb());
    keep.checkpoint(trainer)
}

/// Evaluates where it is due, chooses the best, closes the epoch's sums; `None`, and nothing done, if it was asked to stop.
fn finish_epoch<E: Engine>(
    trainer: &mut Trainer<E>,
    epoch: usize,
    clock: &Clock,
    stop: &Stop,
) -> Result<Option<(EpochLine, Vec<Trouble>)>> {
    let due = (epoch + 1).is_multiple_of(trainer.config.eval_every) || epoch + 1 == trainer.config.epochs;
    let (mut test, mut validation) = (None, None);
    if due {
        test = trainer.evaluate_test(epoch, stop)?;
        validation = trainer.evaluate_validation(epoch, stop)?;
        let has_test = !trainer.data.labels(Split::Test).is_empty();
        if stop.requested().is_some() && (test.is_some() != has_test || validation.is_none() != trainer.validation.is_empty()) {
            return Ok(None);
        }
    }
    if let Some(test) = test.as_ref().filter(|_| trainer.config.is_candidate(epoch)) {
        let score = match trainer.config.best_on {
            BestOn::Validation => validation.as_ref().map_or(0.0, |v| v.accuracy),
            BestOn::Test => test.accuracy,
            BestOn::Last => epoch as f64,
        };
        if trainer.progress.best.as_ref().is_none_or(|b| score > b.score) {
            trainer.progress.best = Some(Best { epoch: epoch as u64 + 1, score, test_accuracy: test.accuracy });
        }
    }
    trainer.progress.last_test = test.clone().or(trainer.progress.last_test.take());
    let tally = &trainer.progress.tally;
    let seen = tally.samples as f64;
    let [balanced, commonest_class, commonest_answer] = trouble::shares(test.as_ref());
    let line = EpochLine {
        epoch: epoch as u64 + 1,
        step: trainer.progress.step,
        time_steps: Some(trainer.config.time_steps.at(epoch)),
        warm_up: warm_up_name(trainer, epoch).to_string(),
        loss: tally.loss / seen,
        train_accuracy: tally.correct as f64 / seen,
        test_accuracy: test.as_ref().map(|t| t.accuracy),
        test_loss: test.as_ref().map(|t| t.loss),
        test_balanced_accuracy: balanced,
        test_commonest_class: commonest_class,
        test_commonest_answer: commonest_answer,
        validation_accuracy: validation.as_ref().map(|v| v.accuracy),
        validation_loss: validation.as_ref().map(|v| v.loss),
        learning_rate: trainer.learning_rate(epoch, trainer.steps_per_epoch() - 1),
        firing_rates: trainer.training_rates(),
        test_firing_rates: test.map(|t| t.firing_rates),
        operations: Some(tally.operations),
        samples_per_s: seen / tally.seconds,
        seconds: clock.seconds(),
    };
    let troubles = troubles(trainer, &line);
    trainer.progress.train_seconds += line.seconds;
    trainer.progress.samples_per_s = line.samples_per_s;
    trainer.progress.epoch = epoch + 1;
    trainer.clear_tally();
    Ok(Some((line, troubles)))
}

/// What the epoch of `line` warns of; noted for the result and for the next epoch.
fn troubles<E: Engine>(trainer: &mut Trainer<E>, line: &EpochLine) -> Vec<Trouble> {
    let (p, plan) = (&mut trainer.progress, &trainer.net.plan);
    let layers: Vec<String> = plan.blocks.iter().map(|b| b.name().to_string()).collect();
    let before = p.last_loss.as_ref().map(|(warm_up, loss)| Seen { warm_up, loss: Some(*loss), ..Seen::default() });
    let troubles = trouble::of(&layers, plan.classes(), before.as_ref(), &Seen::from(line));
    p.last_loss = Some((line.warm_up.clone(), line.loss));
    p.warnings = troubles.iter().map(|t| t.text.clone()).collect();
    troubles
}

fn warm_up_name<E: Engine>(trainer: &Trainer<E>, epoch: usize) -> &'static str {
    let method = trainer.config.method(epoch);
    match (method.ann, method.tssl_rate) {
        (true, _) => "ann",
        (_, Some(_)) => "tssl",
        _ => "none",
    }
}
