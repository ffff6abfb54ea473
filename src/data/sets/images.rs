//! The user's own pictures.

use super::{Defaults, Descriptor, Origin, Source, Treatment};
use crate::data::{DatasetName, pictures};

/// The user's own pictures: a folder per class.
pub const IMAGES: DatasetName = DatasetName::new(&Descriptor {
    name: "images",
    title: "your own PNG and JPEG pictures, a folder per class: --dataset images DIR",
    origin: Origin::Own,
    source: Source::Pictures(pictures::load),
    preparation: Treatment { flip: true, ..Treatment::cropped(4) },
    defaults: Defaults { batch: 32, ..Defaults::USUAL },
    authors: None,
});
