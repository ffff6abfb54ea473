//! Glyphs.

use super::{Defaults, Descriptor, Measured, Origin, Source, Treatment};
use crate::data::{DatasetName, glyphs};

/// Digits drawn by this program, 1x28x28: nothing to download.
pub const GLYPHS: DatasetName = DatasetName::new(&Descriptor {
    name: "glyphs",
    title: "digits drawn by the program, {n}, 1x28x28",
    origin: Origin::Drawn([glyphs::DEFAULT_TRAIN, glyphs::DEFAULT_TEST]),
    source: Source::Pictures(glyphs::load),
    preparation: Treatment::cropped(2),
    defaults: Defaults {
        net: "16C3-MP2-32C3-MP2-128FC-{n}Voting",
        time_steps: "4",
        epochs: 12,
        warm_up: "ann:1",
        schedule: "restarts:12",
        measured: Some(Measured { minutes: 0.5, test: 98.40, of: "" }),
        ..Defaults::PAPER
    },
    authors: None,
});
