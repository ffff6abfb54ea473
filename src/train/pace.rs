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

/// Epochs that cost the same: those at one T, within the warm-up or behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// T.
    pub steps: usize,
    /// Whether it is the warm-up.
    pub warm_up: bool,
}

impl Phase {
    /// Of an epoch, from 0.
    fn of(time_steps: &TimeSteps, warm_up: usize, epoch: usize) -> Phase {
        Phase { steps: time_steps.at(epoch), warm_up: epoch < warm_up }
    }
}

/// Seconds of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerSample {
    /// In which epochs.
    pub phase: Phase,
    /// Of training on it.
    pub training: f64,
    /// Of classifying it.
    pub evaluation: f64,
}

/// Seconds of a sample in every phase of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace(pub Vec<PerSample>);

/// Steps that are timed in every phase, after one that is not: the first also pays for touching fresh memory.
const TIMED: usize = 2;

/// Times real steps of `config` on `data`. Firing rates, and with them the time, fall while a network learns: so it trains for `learning`
/// seconds on the way, shared out as the epochs of the run are, on weights that are thrown away.
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
    let tested: Vec<u32> = (0..data.labels(Split::Test).len().min(config.batch) as u32).collect();
    let mut pace = Vec::new();
    for (phase, epochs) in phases(config) {
        let (started, share) = (Instant::now(), epochs.len() as f64 / config.epochs as f64);
        while started.elapsed().as_secs_f64() < share * learning {
            step(&mut trainer, epochs[0])?;
        }
        step(&mut trainer, epochs[0])?;
        let times = (0..TIMED).map(|_| step(&mut trainer, epochs[0])).collect::<Result<Vec<f64>>>()?;
        let started = Instant::now();
        let (method, feed) = (config.evaluation(epochs[0]), trainer.feed_of(epochs[0]));
        if !tested.is_empty() {
            evaluate(engine, &trainer.net, &trainer.config, &method, &feed, (Split::Test, &tested), &Stop::default())?;
        }
        let evaluation = started.elapsed().as_secs_f64() / tested.len().max(1) as f64;
        pace.push(PerSample { phase, training: times.iter().sum::<f64>() / TIMED as f64, evaluation });
    }
    Ok(Pace(pace))
}

/// The phases of a run in their order, with their epochs.
fn phases(config: &Config) -> Vec<(Phase, Vec<usize>)> {
    let mut all: Vec<(Phase, Vec<usize>)> = Vec::new();
    for epoch in 0..config.epochs {
        let phase = Phase::of(&config.time_steps, config.warm_up.epochs(), epoch);
        match all.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, epochs)) => epochs.push(epoch),
            None => all.push((phase, vec![epoch])),
        }
    }
    all
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
    /// Seconds of a sample in a phase; of one that was not timed, those of the next larger T.
    pub fn at(&self, phase: Phase) -> PerSample {
        let alike = || self.0.iter().filter(|p| p.phase.warm_up == phase.warm_up);
        let larger = alike().filter(|p| p.phase.steps >= phase.steps).min_by_key(|p| p.phase.steps);
        let found = larger.or(alike().max_by_key(|p| p.phase.steps)).or(self.0.last());
        found.copied().unwrap_or(PerSample { phase, training: 0.0, evaluation: 0.0 })
    }

    /// Seconds of a run of `config` with other T and so many epochs.
    pub fn seconds(&self, config: &Config, time_steps: &TimeSteps, epochs: usize, samples: Samples) -> f64 {
        let warm_up = if epochs < config.epochs { config.warm_up.epochs().min(epochs / 3) } else { config.warm_up.epochs() };
        let epoch = |epoch: usize| {
            let pace = self.at(Phase::of(time_steps, warm_up, epoch));
            let evaluated = (epoch + 1).is_multiple_of(config.eval_every) || epoch + 1 == epochs;
            pace.training * samples.training as f64 + if evaluated { pace.evaluation * samples.evaluated as f64 } else { 0.0 }
        };
        (0..epochs).map(epoch).sum()
    }

    /// Seconds of a run.
    pub fn whole(&self, config: &Config, samples: Samples) -> f64 {
        self.seconds(config, &config.time_steps, config.epochs, samples)
    }

    /// The most epochs of `config`, shares of a curriculum kept, that fit into `budget` seconds, as options, and the seconds they take.
    ///
    /// # Errors
    /// Usage: not even one does.
    pub fn fit(&self, config: &Config, budget: f64, samples: Samples) -> Result<(Options, f64)> {
        let seconds = |epochs: usize| self.seconds(config, &config.time_steps.fitted(epochs), epochs, samples);
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
    use crate::schedule::WarmUp;

    const SAMPLES: Samples = Samples { training: 100, evaluated: 10 };

    /// A sample takes T seconds, twice as many in the warm-up; classifying it half.
    fn pace() -> Pace {
        let at = |steps: usize, warm_up: bool| {
            let training = (steps * if warm_up { 2 } else { 1 }) as f64;
            PerSample { phase: Phase { steps, warm_up }, training, evaluation: 0.5 * steps as f64 }
        };
        Pace(vec![at(2, true), at(2, false), at(4, false)])
    }

    fn config(warm_up: usize, eval_every: usize) -> Config {
        let warm_up = if warm_up == 0 { WarmUp::None } else { WarmUp::Tssl(warm_up) };
        let time_steps = Some("2:3,4:2".parse().unwrap());
        Options { time_steps, warm_up: Some(warm_up), eval_every: Some(eval_every), ..Options::default() }.complete().unwrap()
    }

    #[test]
    fn a_run_costs_what_its_phases_cost() {
        assert_eq!(pace().whole(&config(0, 1), SAMPLES), 3.0 * 210.0 + 2.0 * 420.0);
        assert_eq!(pace().whole(&config(1, 1), SAMPLES), 410.0 + 2.0 * 210.0 + 2.0 * 420.0);
        assert_eq!(pace().whole(&config(0, 5), SAMPLES), 3.0 * 200.0 + 400.0 + 420.0);
        let phase = |steps: usize, warm_up: bool| Phase { steps, warm_up };
        assert_eq!([3, 9].map(|steps| pace().at(phase(steps, false)).phase), [phase(4, false); 2]);
        assert_eq!(pace().at(phase(4, true)).phase, phase(2, true));
        let found: Vec<(Phase, usize)> = phases(&config(1, 1)).iter().map(|(phase, epochs)| (*phase, epochs.len())).collect();
        assert_eq!(found, [(phase(2, true), 1), (phase(2, false), 2), (phase(4, false), 2)]);
    }

    #[test]
    fn the_most_epochs_that_fit_are_taken() {
        let config = config(0, 1);
        for budget in [420.0, 700.0, 3000.0, 123_456.0] {
            let (options, seconds) = pace().fit(&config, budget, SAMPLES).unwrap();
            let epochs = options.epochs.unwrap();
            assert!(seconds <= budget);
            assert!(pace().seconds(&config, &config.time_steps.fitted(epochs + 1), epochs + 1, SAMPLES) > budget, "{epochs} in {budget}");
            assert_eq!(options.time_steps.unwrap().epochs(), Some(epochs));
        }
        let e = pace().fit(&config, 42.0, SAMPLES).unwrap_err().to_string();
        assert!(e.contains("--train-limit 64") && e.contains("--budget"), "{e}");
    }
}
