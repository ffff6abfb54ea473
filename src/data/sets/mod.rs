//! The data sets, one file each: what a set is called, where its files come from, how they are read, how samples are prepared, and what
//! training begins with. To add one, write its file and name it here, in [`ALL`]. Nothing else asks which set it has in hand: what
//! differs between sets stands in their [`Descriptor`].

mod cifar10;
mod dvs_cifar10;
mod dvs_gesture;
mod events;
mod fashion_mnist;
mod glyphs;
mod images;
mod mnist;
mod motions;
mod nmnist;

pub use cifar10::CIFAR10;
pub use dvs_cifar10::DVS_CIFAR10;
pub use dvs_gesture::DVS_GESTURE;
pub use events::EVENTS;
pub use fashion_mnist::FASHION_MNIST;
pub use glyphs::GLYPHS;
pub use images::IMAGES;
pub use mnist::MNIST;
pub use motions::MOTIONS;
pub use nmnist::NMNIST;

use super::catalog::Set;
use super::frame_set::FrameSet;
use super::recordings::{EventOptions, Layout};
use super::{DatasetName, ImageSet, LoadOptions, Resize};
use crate::error::Result;

/// Every set, in the order of documentation.
pub const ALL: [DatasetName; 10] = [GLYPHS, MNIST, FASHION_MNIST, CIFAR10, IMAGES, NMNIST, DVS_GESTURE, DVS_CIFAR10, MOTIONS, EVENTS];

/// Everything that tells one data set from another.
pub struct Descriptor {
    /// As it is written on the command line and in files.
    pub name: &'static str,
    /// What it is, in a line; `{n}` = the numbers of samples that are drawn.
    pub title: &'static str,
    /// Where its samples come from.
    pub origin: Origin,
    /// What they are, and who reads them.
    pub(crate) source: Source,
    /// How samples are prepared.
    pub preparation: Recipe,
    /// What training begins with.
    pub defaults: Defaults,
}

/// Where samples come from.
pub enum Origin {
    /// Published, the same everywhere: these files.
    Published(&'static Set),
    /// Drawn by this program: so many for training and for the test, unless other numbers are asked for.
    Drawn([usize; 2]),
    /// The user's own: a folder per class in a folder that has to be named.
    Own,
}

/// What samples are, and who reads them.
pub(crate) enum Source {
    /// Pictures.
    Pictures(fn(&LoadOptions) -> Result<ImageSet>),
    /// Recordings of an event camera, cut into frames.
    Recordings(Layout),
    /// Frames of events of which there are no recordings.
    Frames(fn(&EventOptions) -> Result<FrameSet>),
}

/// How a set wants its samples prepared (section 5 of the method). Crop, mirror and rotation are for training with augmentation.
pub struct Recipe {
    /// Per channel, after scaling to 0 to 1: subtracted, and divided by after that.
    pub normalized: Option<[[f32; 3]; 2]>,
    /// Border of the crop, in pixels.
    pub crop_pad: usize,
    /// Mirrored half of the time.
    pub flip: bool,
    /// Rotated by up to so many degrees.
    pub rotate: f64,
    /// How frames of events are made smaller.
    pub resize: Resize,
}

impl Recipe {
    /// Cropped with a border of `crop_pad`, and nothing else.
    const fn cropped(crop_pad: usize) -> Self {
        Recipe { normalized: None, crop_pad, flip: false, rotate: 0.0, resize: Resize::None }
    }
}

/// What is not said otherwise about training on a set. Names of choices are as on the command line.
///
/// Warm-ups: docs/measurements.md; `ann` upsets nets with a large hidden FC layer, and CIFAR10 has the released script's share of it.
pub struct Defaults {
    /// Preset or notation; `{n}` = number of classes.
    pub net: &'static str,
    /// T.
    pub time_steps: usize,
    /// B.
    pub batch: usize,
    /// Epochs.
    pub epochs: usize,
    /// Random moves of training samples.
    pub augment: bool,
    /// Warm-up.
    pub warm_up: &'static str,
    /// Learning-rate schedule.
    pub schedule: &'static str,
    /// α of bpsa+bpta.
    pub alpha: f64,
    /// u_th.
    pub threshold: f64,
    /// What is minimised.
    pub loss: &'static str,
}

impl Defaults {
    /// The paper's values where it says one, and what most sets want where it does not.
    const USUAL: Self = Defaults {
        net: "middle",
        time_steps: 16,
        batch: 64,
        epochs: 30,
        augment: false,
        warm_up: "tssl:10",
        schedule: "restarts:10:2",
        alpha: 0.8,
        threshold: 0.5,
        loss: "mse",
    };
}

impl Descriptor {
    /// Whether its samples are frames of events, not pictures.
    pub const fn is_events(&self) -> bool {
        !matches!(self.source, Source::Pictures(_))
    }

    /// Whether it is a published set, the same everywhere; others are drawn by a seed, or are the user's own.
    pub const fn is_published(&self) -> bool {
        matches!(self.origin, Origin::Published(_))
    }

    /// Whether this program draws it.
    pub const fn is_drawn(&self) -> bool {
        matches!(self.origin, Origin::Drawn(_))
    }

    /// Whether it is the user's own: a folder has to be named.
    pub const fn is_own(&self) -> bool {
        matches!(self.origin, Origin::Own)
    }

    /// Whether there are recordings of an event camera behind its frames.
    pub const fn has_recordings(&self) -> bool {
        self.recordings().is_some()
    }

    /// How its recordings lie; `None` if it has none.
    pub(crate) const fn recordings(&self) -> Option<&Layout> {
        match &self.source {
            Source::Recordings(layout) => Some(layout),
            _ => None,
        }
    }

    /// Samples of the user's own set, in a word.
    pub const fn samples(&self) -> &'static str {
        if self.is_events() { "recordings" } else { "pictures" }
    }
}
