//! What fits into the minutes one has.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::paper::EPOCHS;
use crate::config::{Config, Options};
use crate::data::{Dataset, Split};
use crate::engine::Engine;
use crate::engines::{Work, with_engine};
use crate::error::Result;
use crate::study::run::{read_json, write_json};
use crate::train::pace::{self, Pace, Phase};

/// Below this many passes a run says nothing; then samples are left out instead.
const FEWEST_EPOCHS: usize = 5;
/// Cost of evaluating a sample, in that of training on one.
const EVALUATION: f64 = 0.35;
/// What speed varies by, and all that is no training, is left this share.
const SLACK: f64 = 0.8;
/// Fewer test samples say too little.
const FEWEST_TESTED: usize = 500;

/// A budget, turned into options. Stored, since a second measurement would say something else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Minutes for all runs of the study.
    pub minutes: f64,
    /// Minutes it will take; more only where the least that says anything takes longer.
    pub expected: f64,
    /// Passes.
    pub epochs: usize,
    /// Training samples of each, and how many there are.
    pub train: (usize, usize),
    /// Test samples, and how many there are.
    pub test: (usize, usize),
    /// Passes between evaluations.
    pub eval_every: usize,
}

impl Budget {
    /// What every line says.
    pub fn words(&self) -> String {
        let part = |(n, of): (usize, usize), what: &str| if n == of { String::new() } else { format!(", {n} of {of} {what} samples") };
        format!(
            "budget {:.1} min{}: {} of {EPOCHS} epochs{}{}",
            self.minutes,
            match self.expected > self.minutes {
                true => format!(", but even the shortest runs that say anything take about {:.0} min and are run", self.expected.ceil()),
                false => String::new(),
            },
            self.epochs,
            part(self.train, "training"),
            part(self.test, "test")
        )
    }

    /// The options that keep to it.
    pub fn options(&self) -> Options {
        let limit = |(n, of): (usize, usize)| (n < of).then_some(n);
        Options {
            epochs: Some(self.epochs),
            train_limit: limit(self.train),
            test_limit: limit(self.test),
            eval_every: Some(self.eval_every),
            ..Options::default()
        }
    }
}

/// What was measured before for this folder, or is now: `slowest` is the configuration of the slowest run, and `runs` how many of
/// its kind take as long as all together.
///
/// # Errors
/// As a training step's. Format or Storage: the stored budget cannot be read.
pub fn of(folder: &Path, minutes: f64, slowest: &Config, data: &dyn Dataset, runs: f64) -> Result<Budget> {
    let file = folder.join("budget.json");
    if let Some(budget) = read_json::<Budget>(&file)?.filter(|b| b.minutes == minutes) {
        return Ok(budget);
    }
    let pace = with_engine(&slowest.device, slowest.isa, Timed { config: slowest, data })??;
    let seconds = pace.at(Phase { steps: slowest.time_steps.last(), warm_up: false }).training;
    let counts = [Split::Train, Split::Test].map(|s| data.labels(s).len());
    let affordable = 60.0 * minutes * SLACK / runs / seconds;
    let budget = fit(minutes, affordable, slowest.batch, counts);
    std::fs::create_dir_all(folder).map_err(|e| crate::error::Error::io(folder, "creating the folder", &e))?;
    write_json(&file, &budget)?;
    Ok(budget)
}

/// `affordable` samples in all, in units of one trained on, for a run on `[train, test]` samples.
fn fit(minutes: f64, affordable: f64, batch: usize, [train, test]: [usize; 2]) -> Budget {
    let whole = train as f64 + EVALUATION * test as f64;
    let epochs = ((affordable / whole) as usize).min(EPOCHS);
    if epochs >= FEWEST_EPOCHS {
        return Budget { minutes, expected: minutes, epochs, train: (train, train), test: (test, test), eval_every: 1 };
    }
    // A tenth for one evaluation at the end, the rest for training.
    let tested = ((0.1 * affordable / EVALUATION) as usize).clamp(FEWEST_TESTED.min(test), test);
    let trained = (0.9 * affordable / FEWEST_EPOCHS as f64) as usize;
    let trained = trained.clamp((4 * batch).min(train), train);
    let needed = (FEWEST_EPOCHS * trained) as f64 + EVALUATION * tested as f64;
    let expected = minutes * (needed / affordable).max(1.0);
    Budget { minutes, expected, epochs: FEWEST_EPOCHS, train: (trained, train), test: (tested, test), eval_every: FEWEST_EPOCHS }
}

/// Training steps to be timed.
struct Timed<'a> {
    config: &'a Config,
    data: &'a dyn Dataset,
}

impl Work for Timed<'_> {
    type Out = Result<Pace>;

    fn on<E: Engine>(self, engine: E) -> Result<Pace> {
        pace::measure(&engine, self.config, self.data, None, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_passes_where_five_fit_and_fewer_samples_where_not() {
        let plenty = fit(60.0, 10.0 * (1000.0 + 350.0) + 1.0, 32, [1000, 1000]);
        assert_eq!((plenty.epochs, plenty.train, plenty.eval_every), (10, (1000, 1000), 1));
        assert_eq!(fit(1e9, 1e12, 32, [1000, 1000]).epochs, EPOCHS);
        let little = fit(1.0, 10_000.0, 32, [60_000, 10_000]);
        assert_eq!((little.epochs, little.train.0), (5, 1800));
        let spent = 5.0 * little.train.0 as f64 + EVALUATION * little.test.0 as f64;
        assert!(spent <= 10_000.0 && little.test.0 >= FEWEST_TESTED, "{little:?}");
        let nothing = fit(0.01, 3.0, 32, [60_000, 100]);
        assert_eq!((nothing.train.0, nothing.test.0), (128, 100));
        assert!((nothing.expected - 0.01 * 675.0 / 3.0).abs() < 1e-9, "{nothing:?}");
    }

    #[test]
    fn a_budget_says_what_it_leaves_of_the_papers_run() {
        let all = Budget { minutes: 60.0, expected: 60.0, epochs: 10, train: (1000, 1000), test: (200, 200), eval_every: 1 };
        assert_eq!(all.words(), "budget 60.0 min: 10 of 300 epochs");
        let part = Budget { epochs: 5, train: (128, 60_000), test: (100, 200), ..all };
        assert_eq!(part.words(), "budget 60.0 min: 5 of 300 epochs, 128 of 60000 training samples, 100 of 200 test samples");
        let more = Budget { minutes: 0.5, expected: 2.2, ..all };
        assert_eq!(
            more.words(),
            "budget 0.5 min, but even the shortest runs that say anything take about 3 min and are run: 10 of 300 epochs"
        );
    }
}
