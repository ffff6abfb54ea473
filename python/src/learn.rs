//! Training on arrays, in memory: a session of the program over a data set made of them, of which only the network is kept.

use std::mem::take;

use spiketrain::config::Config;
use spiketrain::engine::Engine;
use spiketrain::error::{Error, Result};
use spiketrain::network::Network;
use spiketrain::plan::Plan;
use spiketrain::train::{EpochLine, Observer, Progress, Session, Stop, run};
use spiketrain::trained::Use;

use crate::arrays::Arrays;
use crate::waiting::Reports;

/// What came of it, as far as it came.
pub struct Learned {
    /// A line per epoch.
    pub lines: Vec<EpochLine>,
    /// Where the training stood.
    pub progress: Progress,
}

/// Training from the weights as they are, with moments of zero; what was learned before an error stays.
pub struct Learning<'a> {
    /// Complete.
    pub config: &'a Config,
    /// What to learn from, and to be judged on.
    pub data: &'a Arrays,
    /// Asks to stop.
    pub stop: &'a Stop,
    /// Hears of the progress.
    pub reports: &'a mut Reports,
}

impl Use for Learning<'_> {
    type Out = Learned;

    fn on<E: Engine + Clone>(self, engine: &E, net: &mut Network<E>) -> Result<Learned> {
        // Nothing would keep credit lines.
        let config = Config { credit_every: Some(0), ..self.config.clone() };
        let session = Session::without_test(config, self.data, None)?;
        if session.dropped_samples() > 0 {
            let n = session.dropped_samples();
            Observer::note(self.reports, &format!("the last {n} samples of each epoch are left out: too few for batch statistics"));
        }
        // With buffers of its own, which go with the training.
        let engine = engine.clone();
        let (params, running, plan) = (take(&mut net.params), take(&mut net.running), net.plan.clone());
        let mut trainer = session.with(&engine, Network { plan, params, running, recompute: Vec::new() });
        let mut lines = Vec::new();
        let done = run(&mut trainer, &mut lines, self.stop, self.reports);
        (net.params, net.running) = (trainer.net.params, trainer.net.running);
        done.map(|_| Learned { lines, progress: trainer.progress })
    }
}

/// Refuses a batch whose statistics would be of one value ([`Plan::without_variance`]).
pub fn check_statistics(plan: &Plan, samples: usize) -> Result<()> {
    match plan.without_variance(samples) {
        Some(b) => Err(Error::usage(format!("BatchNorm of layer {} ({}) sees one value per channel", b.index, b.name()))
            .at("x")
            .remedy("give two samples or more")),
        None => Ok(()),
    }
}
