//! The user's own pictures.

use super::{Defaults, Descriptor, Origin, Recipe, Source};
use crate::data::{DatasetName, pictures};

/// The user's own pictures: a folder per class.
pub const IMAGES: DatasetName = DatasetName::new(&Descriptor {
    name: "images",
    title: "your own PNG and JPEG pictures, a folder per class: --dataset images DIR",
    origin: Origin::Own,
    source: Source::Pictures(pictures::load),
    preparation: Recipe { flip: true, ..Recipe::cropped(4) },
    defaults: Defaults { net: "32C3-MP2-64C3-MP2-64C3-AP2-256FC-{n}Voting", time_steps: 8, batch: 32, ..Defaults::USUAL },
});
