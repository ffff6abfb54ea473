//! The user's own recordings.

use super::{Defaults, Descriptor, Origin, Source, Treatment};
use crate::data::DatasetName;
use crate::data::recordings::folder;

/// The user's own recordings: a folder per class.
pub const EVENTS: DatasetName = DatasetName::new(&Descriptor {
    name: "events",
    title: "your own event recordings, a folder per class: --dataset events DIR",
    origin: Origin::Own,
    source: Source::Recordings(folder::LAYOUT),
    preparation: Treatment::cropped(4),
    defaults: Defaults { batch: 16, time_steps: "4:14,8:6", ..Defaults::USUAL },
    authors: None,
});
