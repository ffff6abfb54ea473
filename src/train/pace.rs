//! How long training takes, from steps that are timed, and how many epochs fit into a time.

use std::time::Instant;

use super::evaluate::evaluate;
use super::{Session, Stop, Trainer};
use crate::config::{Config, Options};
use crate::curriculum::TimeSteps;
use crate::data::{Dataset, Split};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::limits::MAX_EPOCHS;

/// Seconds of a sample at one T.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerSample {
    /// T.
    pub steps: usize,
    /// Of training on it.
    pub training: f64,
    /// Of classifying it.
    pub evaluation: f64,
}

/// Seconds of a sample at every T of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace(pub Vec<PerSample>);

/// Steps that are timed for every T, after one that is not: the first also pays for touching fresh memory.
const TIMED: usize = 2;

/// Times real steps of `config` on `data`. Firing rates, and with them the time, fall while a network learns: so it trains for `learning`
/// seconds before, on weights that are thrown away.
///
/// # Errors
/// As a training step's and an evaluation's.
pub fn measure<E: Engine>(engine: &E, config: &Config, data: &dyn Dataset, memory: Option<usize>, learning: f64) -> Result<Pace> {
    let mut trainer = Session::without_test(config.clone(), data, memory)?.begin(engine)?;
    let order = trainer.order(0);
    let mut batches = order.chunks(config.batch).filter(|batch| batch.len() == config.batch || order.len() < config.batch).cycle();
    let mut step = |trainer: &mut Trainer<E>, epoch: usize| {
        let started = Instant::now();
        let batch = batches.next().ok_or_else(|| Error::bug("a training set without a batch"))?;
        trainer.step(epoch, batch, config.lr)?;
        Ok::<f64, Error>(started.elapsed().as_secs_f64() / batch.len() as f64)
    };
    let first = Instant::now();
    while first.elapsed().as_secs_f64() < learning {
        step(&mut trainer, 0)?;
    }
    let tested: Vec<u32> = (0..data.labels(Split::Test).len().min(config.batch) as u32).collect();
    let mut pace = Vec::new();
    for steps in config.time_steps.all() {
        // The phase that most epochs are in: after the warm-up.
        let epochs = config.warm_up.epochs().min(config.epochs - 1)..config.epochs;
        let epoch = epochs.rev().find(|&epoch| config.time_steps.at(epoch) == steps);
        let epoch = epoch.or_else(|| (0..config.epochs).find(|&epoch| config.time_steps.at(epoch) == steps)).unwrap_or(0);
        step(&mut trainer, epoch)?;
        let times = (0..TIMED).map(|_| step(&mut trainer, epoch)).collect::<Result<Vec<f64>>>()?;
        let started = Instant::now();
        let (method, feed) = (config.evaluation(epoch), trainer.feed_of(epoch));
        if !tested.is_empty() {
            evaluate(engine, &trainer.net, &trainer.config, &method, &feed, (Split::Test, &tested), &Stop::default())?;
        }
        let evaluation = started.elapsed().as_secs_f64() / tested.len().max(1) as f64;
        pace.push(PerSample { steps, training: times.iter().sum::<f64>() / TIMED as f64, evaluation });
    }
    Ok(Pace(pace))
}

/// Samples that an epoch goes through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Samples {
    /// Trained on.
    pub training: usize,
    /// Classified in an evaluation.
    pub evaluated: usize,
}

impl Samples {
    /// Of a session.
    pub fn of(session: &Session) -> Samples {
        let evaluated = session.data.labels(Split::Test).len() + session.validation.len();
        Samples { training: session.train.len(), evaluated }
    }
}

impl Pace {
    /// Seconds of a sample at `steps`; of one that was not timed, those of the next larger T.
    pub fn at(&self, steps: usize) -> PerSample {
        let found = self.0.iter().find(|p| p.steps >= steps).or(self.0.last());
        found.copied().unwrap_or(PerSample { steps, training: 0.0, evaluation: 0.0 })
    }

    /// Seconds of a run of so many epochs, evaluated after every `eval_every`.
    pub fn seconds(&self, time_steps: &TimeSteps, epochs: usize, eval_every: usize, samples: Samples) -> f64 {
        let epoch = |epoch: usize| {
            let pace = self.at(time_steps.at(epoch));
            let evaluated = (epoch + 1).is_multiple_of(eval_every) || epoch + 1 == epochs;
            pace.training * samples.training as f64 + if evaluated { pace.evaluation * samples.evaluated as f64 } else { 0.0 }
        };
        (0..epochs).map(epoch).sum()
    }

    /// The most epochs of `config`, shares of a curriculum kept, that fit into `budget` seconds, as options, and the seconds they take.
    ///
    /// # Errors
    /// Usage: not even one does.
    pub fn fit(&self, config: &Config, budget: f64, samples: Samples) -> Result<(Options, f64)> {
        let seconds = |epochs: usize| self.seconds(&config.time_steps.fitted(epochs), epochs, config.eval_every, samples);
        let mut epochs = 0;
        // Twice as far, then half as far: a run of many epochs costs more than one of few, whatever their shares.
        let mut stride = 1;
        while epochs + stride <= MAX_EPOCHS && seconds(epochs + stride) <= budget {
            epochs += stride;
            stride *= 2;
        }
        while stride > 0 {
            if epochs + stride <= MAX_EPOCHS && seconds(epochs + stride) <= budget {
                epochs += stride;
            }
            stride /= 2;
        }
        if epochs == 0 {
            let needed = seconds(1);
            let part = (samples.training as f64 * budget / needed).floor().max(config.batch as f64);
            return Err(Error::usage(format!("one epoch takes about {needed:.0} seconds, the budget leaves {budget:.0}"))
                .option("budget")
                .remedy(format!("give more, or take fewer samples, e.g. --train-limit {part}, or fewer time steps")));
        }
        let time_steps = config.time_steps.epochs().map(|_| config.time_steps.fitted(epochs));
        Ok((Options { epochs: Some(epochs), time_steps, ..Options::default() }, seconds(epochs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        let at = |steps: usize| PerSample { steps, training: steps as f64, evaluation: 0.5 * steps as f64 };
        Pace(vec![at(2), at(4)])
    }

    #[test]
    fn a_curriculum_costs_what_its_stages_cost() {
        let samples = Samples { training: 100, evaluated: 10 };
        let steps: TimeSteps = "2:3,4:2".parse().unwrap();
        assert_eq!(pace().seconds(&steps, 5, 1, samples), 3.0 * 210.0 + 2.0 * 420.0);
        assert_eq!(pace().seconds(&steps, 5, 5, samples), 3.0 * 200.0 + 400.0 + 420.0);
        assert_eq!(pace().at(3).steps, 4);
        assert_eq!(pace().at(9).steps, 4);
    }

    #[test]
    fn the_most_epochs_that_fit_are_taken() {
        let config = Options { time_steps: Some("2:3,4:2".parse().unwrap()), ..Options::default() }.complete().unwrap();
        let samples = Samples { training: 100, evaluated: 10 };
        for budget in [420.0, 700.0, 3000.0, 123_456.0] {
            let (options, seconds) = pace().fit(&config, budget, samples).unwrap();
            let epochs = options.epochs.unwrap();
            assert!(seconds <= budget);
            assert!(pace().seconds(&config.time_steps.fitted(epochs + 1), epochs + 1, 1, samples) > budget, "{epochs} in {budget}");
            assert_eq!(options.time_steps.unwrap().epochs(), Some(epochs));
        }
        let e = pace().fit(&config, 42.0, samples).unwrap_err().to_string();
        assert!(e.contains("--train-limit 64") && e.contains("--budget"), "{e}");
    }
}
