//! The user's own recordings.

use super::{Defaults, Descriptor, Origin, Recipe, Source};
use crate::data::DatasetName;
use crate::data::recordings::folder;

/// The user's own recordings: a folder per class.
pub const EVENTS: DatasetName = DatasetName::new(&Descriptor {
    name: "events",
    title: "your own event recordings, a folder per class: --dataset events DIR",
    origin: Origin::Own,
    source: Source::Recordings(folder::LAYOUT),
    preparation: Recipe::cropped(4),
    defaults: Defaults { net: "32C3-MP2-64C3-MP2-64C3-AP2-256FC-{n}Voting", batch: 16, ..Defaults::USUAL },
});
