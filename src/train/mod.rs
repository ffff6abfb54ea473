//! The training loop: epochs, evaluation, checkpoints, and what a run leaves behind.

pub mod credit;
pub mod evaluate;
pub mod feed;
pub mod fit;
pub mod live;
pub mod open;
pub mod record;
pub mod save;
pub mod step;
pub mod trainer;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

pub use evaluate::Evaluation;
pub use record::{EpochLine, RunResult};
pub use trainer::{Best, Progress, Trainer};

use crate::checkpoint::Kind;
use crate::config::BestOn;
use crate::credit::CreditLine;
use crate::data::Split;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::run_folder::RunFolder;
use crate::tensorboard::EventWriter;
use feed::{ahead, next};
use live::{Live, LiveFile};

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
pub enum Outcome {
    /// All epochs done.
    Finished(Box<RunResult>),
    /// Stopped by this signal, checkpoint saved.
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

/// Trains until all epochs are done or `stop` asks: THE LOOP. The trainer has begun ([`Trainer::begin`]) or resumed.
///
/// # Errors
/// Diverged: something is not finite; the weights of the last good step are in the folder's newest checkpoint. Storage: the disk.
pub fn run<E: Engine>(trainer: &mut Trainer<E>, folder: &RunFolder, stop: &Stop, watch: &mut dyn Observer) -> Result<Outcome> {
    let mut views = Views { events: Events::create(folder, trainer.progress.epoch)?, live: LiveFile::new(folder.path()) };
    for epoch in trainer.progress.epoch..trainer.config.epochs {
        let clock = Clock { before: trainer.progress.tally.wall, started: Instant::now() };
        if let Some(signal) = steps(trainer, epoch, (folder, &mut views), &clock, stop, watch)? {
            return Ok(Outcome::Stopped(signal));
        }
        let place = |e: Error| e.at(format!("evaluation after epoch {}", epoch + 1));
        let Some(line) = finish_epoch(trainer, epoch, &clock, stop).map_err(place)? else {
            save(trainer, folder, &clock)?;
            return Ok(Outcome::Stopped(stop.requested().unwrap_or_default()));
        };
        folder.append_metrics(&line)?;
        views.events.epoch(&line)?;
        if trainer.progress.best.as_ref().is_some_and(|b| b.epoch == line.epoch) {
            folder.save_best(&trainer.header(Kind::WeightsOnly)?, trainer.values(Kind::WeightsOnly))?;
        }
        save(trainer, folder, &Clock { before: 0.0, started: Instant::now() })?;
        watch.epoch(&line, trainer.config.epochs);
        if let Some(signal) = stop.requested() {
            return Ok(Outcome::Stopped(signal));
        }
    }
    // A power cut can undo the removal of checkpoints, and a run that goes on from its end saves no further one.
    folder.prune(trainer.progress.step)?;
    let result = result(trainer)?;
    folder.write_result(&result)?;
    Ok(Outcome::Finished(Box::new(result)))
}

/// The steps of `epoch` that are not done yet; the signal, and a checkpoint saved, if it was asked to stop.
fn steps<E: Engine>(
    trainer: &mut Trainer<E>,
    epoch: usize,
    (folder, views): (&RunFolder, &mut Views),
    clock: &Clock,
    stop: &Stop,
    watch: &mut dyn Observer,
) -> Result<Option<u8>> {
    let per_epoch = trainer.steps_per_epoch();
    let done = trainer.progress.step as usize - epoch * per_epoch;
    let order = trainer.order(epoch);
    let chunks = order.chunks(trainer.config.batch).take(per_epoch).skip(done);
    let (feed, ann) = (trainer.feed.clone(), trainer.config.method(epoch).ann);
    thread::scope(|scope| {
        let batches = ahead(scope, chunks, move |indices| feed.training(epoch, indices, ann))?;
        for i in done..per_epoch {
            let mut started = Instant::now();
            let labelled = next(&batches);
            if let (true, Ok(labelled)) = (trainer.credit_due(), &labelled) {
                let looked = Instant::now();
                if let Some(line) = trainer.credit(epoch, labelled) {
                    folder.append_metrics(&line)?;
                    views.events.credit(&line)?;
                }
                // The speed of training does not count it.
                started += looked.elapsed();
            }
            let lr = trainer.learning_rate(epoch, i);
            trainer.learn(epoch, labelled, lr, started)?;
            watch.step(epoch, i + 1, per_epoch, &trainer.progress.tally, &trainer.training_rates());
            if views.live.is_due() {
                views.live.write(&live(trainer, epoch, i + 1, clock));
            }
            if let Some(signal) = stop.requested() {
                save(trainer, folder, clock)?;
                return Ok(Some(signal));
            }
            let every = trainer.config.checkpoint_every as u64;
            if every > 0 && trainer.progress.step.is_multiple_of(every) {
                save(trainer, folder, clock)?;
            }
        }
        Ok(None)
    })
}

/// What a session writes for others to look at.
struct Views {
    events: Events,
    live: LiveFile,
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

fn save<E: Engine>(trainer: &mut Trainer<E>, folder: &RunFolder, clock: &Clock) -> Result<()> {
    let p = &mut trainer.progress;
    p.tally.wall = clock.seconds();
    p.peak_rss_mb = p.peak_rss_mb.max(record::peak_rss_mb());
    folder.save_checkpoint(&trainer.header(Kind::Training)?, trainer.values(Kind::Training)).map(|_| ())
}

/// Evaluates where it is due, chooses the best, closes the epoch's sums; `None`, and nothing done, if it was asked to stop.
fn finish_epoch<E: Engine>(trainer: &mut Trainer<E>, epoch: usize, clock: &Clock, stop: &Stop) -> Result<Option<EpochLine>> {
    let due = (epoch + 1).is_multiple_of(trainer.config.eval_every) || epoch + 1 == trainer.config.epochs;
    let (mut test, mut validation) = (None, None);
    if due {
        test = trainer.evaluate_test(epoch, stop)?;
        validation = trainer.evaluate_validation(epoch, stop)?;
        if stop.requested().is_some() && (test.is_none() || validation.is_none() != trainer.validation.is_empty()) {
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
    let line = EpochLine {
        epoch: epoch as u64 + 1,
        step: trainer.progress.step,
        warm_up: warm_up_name(trainer, epoch).to_string(),
        loss: tally.loss / seen,
        train_accuracy: tally.correct as f64 / seen,
        test_accuracy: test.as_ref().map(|t| t.accuracy),
        test_loss: test.as_ref().map(|t| t.loss),
        validation_accuracy: validation.as_ref().map(|v| v.accuracy),
        validation_loss: validation.as_ref().map(|v| v.loss),
        learning_rate: trainer.learning_rate(epoch, trainer.steps_per_epoch() - 1),
        firing_rates: trainer.training_rates(),
        test_firing_rates: test.map(|t| t.firing_rates),
        samples_per_s: seen / tally.seconds,
        seconds: clock.seconds(),
    };
    trainer.progress.train_seconds += line.seconds;
    trainer.progress.samples_per_s = line.samples_per_s;
    trainer.progress.epoch = epoch + 1;
    trainer.clear_tally();
    Ok(Some(line))
}

fn warm_up_name<E: Engine>(trainer: &Trainer<E>, epoch: usize) -> &'static str {
    let method = trainer.config.method(epoch);
    match (method.ann, method.tssl_rate) {
        (true, _) => "ann",
        (_, Some(_)) => "tssl",
        _ => "none",
    }
}

fn result<E: Engine>(trainer: &Trainer<E>) -> Result<RunResult> {
    let (p, c, data) = (&trainer.progress, &trainer.config, trainer.data);
    let (Some(last), Some(best)) = (&p.last_test, &p.best) else {
        return Err(Error::bug("a finished run without an evaluation"));
    };
    let (mean_firing_rate, weighted_firing_rate) = record::mean_rates(&trainer.net.plan, &last.firing_rates);
    Ok(RunResult {
        dataset: data.name().to_string(),
        dataset_simulated: data.simulated(),
        dataset_fingerprint: data.fingerprint().to_string(),
        dataset_notes: data.notes().to_vec(),
        train_samples: trainer.train.len(),
        validation_samples: trainer.validation.len(),
        test_samples: data.labels(Split::Test).len(),
        net: c.net.clone(),
        rule: c.rule.name().to_string(),
        alpha: c.alpha,
        time_steps: c.time_steps,
        batch: c.batch,
        seed: c.seed,
        epochs: c.epochs,
        warm_up: c.warm_up.to_string(),
        last_test_accuracy: last.accuracy,
        best_test_accuracy: best.test_accuracy,
        best_validation_accuracy: (c.best_on == BestOn::Validation).then_some(best.score),
        best_epoch: best.epoch,
        best_chosen_on: c.best_on,
        firing_rates: last.firing_rates.clone(),
        mean_firing_rate,
        weighted_firing_rate,
        samples_per_s: p.samples_per_s,
        peak_rss_mb: p.peak_rss_mb.max(record::peak_rss_mb()),
        train_seconds: p.train_seconds,
        weights_sha256: trainer.weights_sha256()?,
        engine: trainer.engine.name().to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
    })
}

/// The TensorBoard file of this session.
struct Events(EventWriter);

impl Events {
    fn create(folder: &RunFolder, epochs_done: usize) -> Result<Events> {
        let mut writer = EventWriter::create(&folder.events(now() as u64), now())?;
        if epochs_done > 0 {
            writer.session_start(epochs_done as u64 + 1, now())?;
        }
        Ok(Events(writer))
    }

    fn epoch(&mut self, line: &EpochLine) -> Result<()> {
        let step = line.epoch;
        let mut scalar = |tag: &str, value: f64| self.0.scalar(tag, step, value as f32, now());
        scalar("train_loss", line.loss)?;
        scalar("train_acc", line.train_accuracy)?;
        scalar("learning_rate", line.learning_rate)?;
        for (tag, value) in [
            ("test_loss", line.test_loss),
            ("test_acc", line.test_accuracy),
            ("validation_loss", line.validation_loss),
            ("validation_acc", line.validation_accuracy),
        ] {
            value.map_or(Ok(()), |v| scalar(tag, v))?;
        }
        for (i, rate) in line.firing_rates.iter().enumerate() {
            scalar(&format!("rates/layer_{}", i + 1), *rate)?;
        }
        self.0.flush()
    }

    fn credit(&mut self, line: &CreditLine) -> Result<()> {
        for (i, layer) in line.layers.iter().enumerate() {
            // The weights are those after so many epochs; a resume ([`EventWriter::session_start`]) does not void them either.
            self.0.scalar(&format!("credit/across_layer_{}", i + 1), line.epoch - 1, layer.across_share() as f32, now())?;
        }
        self.0.flush()
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
