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
    pub preparation: Treatment,
    /// What training begins with by our own recipe.
    pub defaults: Defaults,
    /// What the paper and its authors' code say; `None`: they did not train on it.
    pub authors: Option<Authors>,
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
pub struct Treatment {
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

impl Treatment {
    /// Cropped with a border of `crop_pad`, and nothing else.
    const fn cropped(crop_pad: usize) -> Self {
        Treatment { normalized: None, crop_pad, flip: false, rotate: 0.0, resize: Resize::None }
    }
}

/// What is not said otherwise about training on a set, by one recipe. Names of choices are as on the command line.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Preset or notation; `{n}` = number of classes.
    pub net: &'static str,
    /// T, or a curriculum over it.
    pub time_steps: &'static str,
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
    /// Learning rule.
    pub rule: &'static str,
    /// Base learning rate of bpsa and bpsa+bpta, and of the rules whose surrogate gradient is a window: each has its own best one.
    pub lr: [f64; 2],
    /// BatchNorm statistics.
    pub bn: &'static str,
    /// α of bpsa+bpta.
    pub alpha: f64,
    /// u_th.
    pub threshold: f64,
    /// What is minimised.
    pub loss: &'static str,
    /// What it reached on [`MEASURED_ON`]; `None`: not measured.
    pub measured: Option<Measured>,
}

/// What a recipe reached, in a run as a user would start it.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Minutes of training, evaluation included.
    pub minutes: f64,
    /// Test accuracy after the last epoch, in %.
    pub test: f64,
    /// What else belongs to the number, such as a part of the set.
    pub of: &'static str,
}

/// The machine of every [`Measured`].
pub const MEASURED_ON: &str = "two cores of an AMD EPYC (Zen 4)";

impl Defaults {
    /// Ours, as far as sets agree: docs/recipes.md has the measurements behind it.
    const USUAL: Self = Defaults {
        net: "32C3-MP2-64C3-MP2-128C3-AP2-{n}Voting",
        time_steps: "2:14,4:6",
        batch: 64,
        epochs: 20,
        augment: false,
        warm_up: "ann:3",
        schedule: "cosine",
        rule: "bpsa+bpta",
        lr: [1e-3, 1e-3],
        bn: "merged",
        alpha: 0.2,
        threshold: 0.5,
        loss: "mse",
        measured: None,
    };

    /// The paper's, as far as sets agree.
    const PAPER: Self = Defaults {
        net: "middle",
        time_steps: "16",
        batch: 64,
        epochs: 300,
        augment: false,
        warm_up: "tssl:10",
        schedule: "restarts:10:2",
        rule: "bpsa+bpta",
        lr: [1e-3, 1e-3],
        bn: "per-step",
        alpha: 0.8,
        threshold: 0.5,
        loss: "mse",
        measured: None,
    };
}

/// What the authors did with a set (sections 3 to 5 of the method).
pub struct Authors {
    /// Table 1's network.
    net: &'static str,
    /// Samples per step.
    batch: usize,
    /// Whether training samples are moved.
    augment: bool,
    /// The released script: its network, T, epochs and warm-up.
    script: (&'static str, &'static str, usize, &'static str),
}

impl Authors {
    /// As the paper says. It names no length of the warm-up and no cycle of the schedule.
    pub const fn paper(&self) -> Defaults {
        Defaults { net: self.net, batch: self.batch, augment: self.augment, ..Defaults::PAPER }
    }

    /// As the released script does.
    pub const fn released(&self) -> Defaults {
        let (net, time_steps, epochs, warm_up) = self.script;
        Defaults { net, time_steps, epochs, warm_up, alpha: 0.2, schedule: "ramp-cosine", ..self.paper() }
    }
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
