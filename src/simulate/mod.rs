//! Simulated event recordings: pictures that move before a simulated camera, in the manner of two published sets.
//!
//! [`camera`] turns intensities into events, [`scene`] moves a picture along a path, [`write`](mod@write) makes a folder that the
//! readers of the real set read. What comes out is called simulated everywhere: a network's accuracy on it says nothing about the
//! real set.

pub mod camera;
pub mod scene;
pub mod write;

use std::fmt;

use crate::error::Result;
use crate::events::{Event, Sensor};
use crate::named::named;
use crate::rng::{Purpose, Rng};
use camera::{Camera, Settings};
use scene::{MovedPicture, Path, resized};

/// The set whose recording is imitated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// N-MNIST (Orchard, Jayawant, Cohen, Thakor, Front. Neurosci. 9:437, 2015): a camera of 34x34 pixels makes three saccades
    /// before a picture of 28x28.
    NMnist,
    /// DVS-CIFAR10, or CIFAR10-DVS (Li, Liu, Ji, Li, Shi, Front. Neurosci. 11:309, 2017): a picture makes a repeated closed-loop
    /// smooth movement before a camera of 128x128 pixels.
    DvsCifar10,
}

/// How a kind is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Manner {
    /// The camera.
    pub camera: Settings,
    /// How the picture moves.
    pub path: Path,
    /// Side of the picture on the sensor, in pixels.
    pub side: usize,
    /// Intensity of white, where black has 1.
    pub contrast: f32,
    /// Shown as a negative.
    pub negative: bool,
    /// Share of each neighbour in the blur of the lens, along both axes.
    pub blur: f32,
}

named!(Kind, "kind of recording": NMnist = "nmnist", DvsCifar10 = "dvs-cifar10");

impl Kind {
    /// How it is recorded. N-MNIST's numbers were fitted to its first 1,000 training recordings: number of events over time, path of
    /// their centre, rest of a pixel, background activity, and OFF before ON (a digit's leading edge is darker there). For
    /// DVS-CIFAR10 the kind of movement and the number of events (about 200,000) are what its abstract says; nothing else was compared.
    pub const fn manner(self) -> Manner {
        match self {
            Kind::NMnist => Manner {
                camera: Settings {
                    sensor: Sensor { width: 34, height: 34 },
                    on: 0.24,
                    off: 0.24,
                    mismatch: 0.3,
                    refractory: 1_700,
                    noise: 0.25,
                    step: 1_000,
                },
                path: Path { corners: &[(-2.8, -1.5), (0.0, 3.5), (2.8, -1.5)], leg: 102_000, loops: 1 },
                side: 28,
                contrast: 14.0,
                negative: true,
                blur: 0.15,
            },
            Kind::DvsCifar10 => Manner {
                camera: Settings {
                    sensor: Sensor { width: 128, height: 128 },
                    on: 0.15,
                    off: 0.15,
                    mismatch: 0.3,
                    refractory: 1_000,
                    noise: 0.25,
                    step: 2_000,
                },
                path: Path { corners: &[(0.0, -4.0), (4.0, 0.0), (0.0, 4.0), (-4.0, 0.0)], leg: 50_000, loops: 6 },
                side: 128,
                contrast: 10.0,
                negative: false,
                blur: 0.15,
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A camera set up to record pictures of a kind.
pub struct Studio {
    manner: Manner,
    camera: Camera,
    seed: u64,
}

impl Studio {
    /// The studio of a seed: one camera for all recordings.
    ///
    /// # Errors
    /// Usage: a setting of the camera out of range.
    pub fn new(manner: Manner, seed: u64) -> Result<Self> {
        Ok(Studio { manner, camera: Camera::new(manner.camera, seed)?, seed })
    }

    /// Records a picture, `[C,H,W]` bytes with C 1 (grey) or 3 (red, green, blue), as sample `index` of `split` (0 train, 1 test).
    ///
    /// # Errors
    /// Bug: the picture is not of that shape.
    pub fn record(&self, pixels: &[u8], (h, w): (usize, usize), split: u64, index: u64) -> Result<Vec<Event>> {
        let Manner { camera, path, side, contrast, negative, blur } = self.manner;
        let shade = |v: f32| 1.0 + (contrast - 1.0) * if negative { 1.0 - v } else { v };
        let intensities: Vec<f32> = resized(&grey(pixels, h * w), (h, w), side).into_iter().map(shade).collect();
        let mut scene = MovedPicture::new(&intensities, side, camera.sensor, path)?;
        scene.blur(blur);
        Ok(self.camera.record(&scene, path.duration(), Rng::at(self.seed, Purpose::Camera, 1 + split, index)))
    }
}

/// Luma within 0 and 1 of a grey or coloured picture (weights of ITU-R BT.601).
fn grey(pixels: &[u8], area: usize) -> Vec<f32> {
    if pixels.len() < 3 * area {
        return pixels.iter().map(|&v| v as f32 / 255.0).collect();
    }
    let (red, rest) = pixels.split_at(area);
    let (green, blue) = rest.split_at(area);
    (0..area).map(|i| (0.299 * red[i] as f32 + 0.587 * green[i] as f32 + 0.114 * blue[i] as f32) / 255.0).collect()
}

#[cfg(test)]
mod tests;
