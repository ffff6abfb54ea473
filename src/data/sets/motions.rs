//! Motions.

use super::{Defaults, Descriptor, Origin, Source, Treatment};
use crate::data::{DatasetName, motions};

/// Movements drawn by this program that differ in time only: nothing to download.
pub const MOTIONS: DatasetName = DatasetName::new(&Descriptor {
    name: "motions",
    title: "simulated events, 11 paths that differ in time only, {n}, 2x34x34",
    origin: Origin::Drawn([motions::DEFAULT_TRAIN, motions::DEFAULT_TEST]),
    source: Source::Frames(|o| motions::load(o.train_limit, o.test_limit, o.steps, o.seed)),
    // A mirror would make another class of a motion.
    preparation: Treatment::cropped(2),
    defaults: Defaults {
        net: "AP4-512FC-{n}Voting",
        time_steps: "8",
        batch: 32,
        epochs: 20,
        warm_up: "tssl:6",
        schedule: "restarts:20",
        // Under the paper's values little is learned in so few epochs of so few events (docs/events.md).
        alpha: 0.2,
        threshold: 0.3,
        loss: "ce",
        ..Defaults::PAPER
    },
    authors: None,
});
