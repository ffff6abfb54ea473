//! Training on arrays, in memory: the trainer of the program over a data set made of them.

use spiketrain::config::Config;
use spiketrain::data::Dataset;
use spiketrain::engine::Engine;
use spiketrain::error::{Error, Result};
use spiketrain::network::Network;
use spiketrain::plan::Plan;
use spiketrain::train::fit::fit;
use spiketrain::train::{EpochLine, Evaluation, Observer, Progress, Stop, Trainer};

use crate::arrays::Arrays;
use crate::waiting::Reports;

/// What came of it, as far as it came.
pub struct Learned {
    /// A line per epoch.
    pub lines: Vec<EpochLine>,
    /// Where the training stood.
    pub progress: Progress,
}

/// Trains `net` from its weights as they are, with moments of zero; what was learned before an error stays.
///
/// # Errors
/// Memory, Usage: it does not fit. Diverged: something is not finite.
pub fn learn<E: Engine>(
    engine: &E,
    net: &mut Network<E>,
    config: &Config,
    data: &Arrays,
    stop: &Stop,
    reports: &mut Reports,
) -> Result<Learned> {
    let config = as_read(config, data.steps());
    let fit = fit(&config, data, &net.plan, None)?;
    let mut trainer = Trainer::new(engine, config, data)?;
    std::mem::swap(&mut trainer.net, net);
    trainer.set_fit(fit);
    let lines = epochs(&mut trainer, data, stop, reports);
    std::mem::swap(&mut trainer.net, net);
    Ok(Learned { lines: lines?, progress: trainer.progress })
}

/// The configuration with a data set that gives pictures or frames as the arrays do, which decides about memory.
pub fn as_read(config: &Config, steps: Option<usize>) -> Config {
    Config { dataset: crate::arrays::stand_in(steps), ..config.clone() }
}

/// Refuses a batch whose statistics would be of one value: the unbiased variance divides by n - 1.
pub fn check_statistics(plan: &Plan, samples: usize) -> Result<()> {
    match plan.blocks.iter().find(|b| b.has_norm() && b.output.area() * samples < 2) {
        Some(b) => Err(Error::usage(format!("BatchNorm of layer {} ({}) sees one value per channel", b.index, b.name()))
            .at("x")
            .remedy("give two samples or more")),
        None => Ok(()),
    }
}

fn epochs<E: Engine>(trainer: &mut Trainer<E>, data: &Arrays, stop: &Stop, reports: &mut Reports) -> Result<Vec<EpochLine>> {
    if trainer.dropped_samples() > 0 {
        let n = trainer.dropped_samples();
        Observer::note(reports, &format!("the last {n} samples of each epoch are left out: too few for batch statistics"));
    }
    let mut lines = Vec::new();
    for epoch in 0..trainer.config.epochs {
        let started = std::time::Instant::now();
        if !steps(trainer, epoch, stop, reports)? {
            break;
        }
        let due = (epoch + 1).is_multiple_of(trainer.config.eval_every) || epoch + 1 == trainer.config.epochs;
        let test = if due && data.has_test() { trainer.evaluate_test(epoch, stop)? } else { None };
        let mut line = line(trainer, epoch, test);
        line.seconds = started.elapsed().as_secs_f64();
        trainer.progress.epoch = epoch + 1;
        trainer.clear_tally();
        reports.epoch(&line, trainer.config.epochs);
        lines.push(line);
        if stop.requested().is_some() {
            break;
        }
    }
    Ok(lines)
}

/// The steps of an epoch; false if it was asked to stop before the last of them.
fn steps<E: Engine>(trainer: &mut Trainer<E>, epoch: usize, stop: &Stop, reports: &mut Reports) -> Result<bool> {
    let per_epoch = trainer.steps_per_epoch();
    let order = trainer.order(epoch);
    for (i, indices) in order.chunks(trainer.config.batch).take(per_epoch).enumerate() {
        if stop.requested().is_some() {
            return Ok(false);
        }
        trainer.step(epoch, indices, trainer.learning_rate(epoch, i))?;
        reports.step(epoch, i + 1, per_epoch, &trainer.progress.tally, &trainer.training_rates());
    }
    Ok(true)
}

fn line<E: Engine>(trainer: &Trainer<E>, epoch: usize, test: Option<Evaluation>) -> EpochLine {
    let tally = &trainer.progress.tally;
    let (seen, method) = (tally.samples as f64, trainer.config.method(epoch));
    EpochLine {
        epoch: epoch as u64 + 1,
        step: trainer.progress.step,
        warm_up: if method.ann { "ann" } else { method.tssl_rate.map_or("none", |_| "tssl") }.to_string(),
        loss: tally.loss / seen,
        train_accuracy: tally.correct as f64 / seen,
        test_accuracy: test.as_ref().map(|t| t.accuracy),
        test_loss: test.as_ref().map(|t| t.loss),
        validation_accuracy: None,
        validation_loss: None,
        learning_rate: trainer.learning_rate(epoch, trainer.steps_per_epoch() - 1),
        firing_rates: trainer.training_rates(),
        test_firing_rates: test.map(|t| t.firing_rates),
        samples_per_s: seen / tally.seconds,
        seconds: 0.0,
    }
}
