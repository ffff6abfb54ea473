//! Training on arrays, in memory: a session of the program over a data set made of them, of which only the network is kept.

use std::mem::take;

use spiketrain::config::Config;
use spiketrain::data::Dataset;
use spiketrain::engine::Engine;
use spiketrain::error::{Error, Result};
use spiketrain::network::Network;
use spiketrain::plan::Plan;
use spiketrain::train::{EpochLine, Observer, Progress, Session, Stop, run};

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
pub fn learn<E: Engine + Clone>(
    engine: &E,
    net: &mut Network<E>,
    config: &Config,
    data: &Arrays,
    stop: &Stop,
    reports: &mut Reports,
) -> Result<Learned> {
    let session = Session::without_test(as_read(config, data.steps()), data, None)?;
    if session.dropped_samples() > 0 {
        let n = session.dropped_samples();
        Observer::note(reports, &format!("the last {n} samples of each epoch are left out: too few for batch statistics"));
    }
    // Of its own, so that the buffers of its steps go with it.
    let engine = engine.clone();
    let (params, running, recompute) = (take(&mut net.params), take(&mut net.running), take(&mut net.recompute));
    let mut trainer = session.with(&engine, Network { plan: net.plan.clone(), params, running, recompute: recompute.clone() });
    let mut lines = Vec::new();
    let done = run(&mut trainer, &mut lines, stop, reports);
    *net = Network { recompute, ..trainer.net };
    done.map(|_| Learned { lines, progress: trainer.progress })
}

/// The configuration with a data set that gives pictures or frames as the arrays do, which decides about memory; without credit lines,
/// which nothing would keep.
pub fn as_read(config: &Config, steps: Option<usize>) -> Config {
    Config { dataset: crate::arrays::stand_in(steps), credit_every: Some(0), ..config.clone() }
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
