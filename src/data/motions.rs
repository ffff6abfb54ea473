//! Motions: a built-in set of event recordings whose 11 classes differ only in time, with nothing to download.
//!
//! A shape visits the corners of a pentagon before a simulated camera and shakes at each. A class is a closed path through the five
//! corners (around the pentagon one way or the other, along its star, and paths between these); a sample plays four corners in a row,
//! beginning anywhere on the path. So the order tells the class (no two of the eleven paths share four corners in a row), and nothing
//! else does:
//!
//! - One frame: at every time step each corner is as likely in one class as in any other.
//! - All frames without their order: which corner is left out is drawn, and everything about a visit is drawn for itself, whatever
//!   the class. With the same draws, a sample of one class has bit for bit the frames of a sample of any other, in another order.
//!   (The test `classes_are_orders_of_the_same_frames` holds this.)
//!
//! Shape, tilt, size, place of the pentagon, contrast and its sign, and direction, extent and speed of every shaking are drawn per
//! sample. The sign matters: ON leads and OFF trails a bright shape, so that polarity alone tells no direction. The camera rests
//! between visits, so that none leaves a trace in the next one's events. Each visit is cut by number into T/4 frames; a frame that
//! held the end of one and the beginning of the next would tell their order by itself, so T must be a multiple of 4.

use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::frame_set::{FrameSet, FrameSplit};
use super::{hex, sets};
use crate::error::{Error, Result};
use crate::events::Sensor;
use crate::frames::{FrameSource, SplitBy, cells, counts};
use crate::limits;
use crate::rng::{Purpose, Rng};
use crate::simulate::camera::{Camera, Scene, Settings};

/// Training samples made unless a number is asked for.
pub const DEFAULT_TRAIN: usize = 4_400;
/// Test samples made unless a number is asked for.
pub const DEFAULT_TEST: usize = 1_100;
/// The camera's pixels.
pub const SENSOR: Sensor = Sensor { width: 34, height: 34 };
/// Corners that a sample plays; T is a multiple of it.
pub const PLAYED: usize = 4;

/// The camera: few events for an edge, so that frames stay sparse.
const CAMERA: Settings = Settings { sensor: SENSOR, on: 0.5, off: 0.5, mismatch: 0.2, refractory: 1_000, noise: 0.25, step: 2_000 };

/// Where a shape can shake: the corners of a pentagon, clockwise from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    A,
    B,
    C,
    D,
    E,
}

use Place::{A, B, C, D, E};

const PLACES: [Place; 5] = [A, B, C, D, E];

/// Offset of each from the middle, in pixels; y grows downwards.
const OFFSETS: [(f32, f32); 5] = [(0.0, -10.0), (9.5, -3.1), (5.9, 8.1), (-5.9, 8.1), (-9.5, -3.1)];

/// The paths of the classes. Of the 24 there are, these eleven hold every pair of neighbours two or three times, so that no two
/// corners in a row tell a class; ten of them are five pairs of a path and the same one backwards.
const CLASSES: [[Place; 5]; 11] = [
    [A, B, C, E, D],
    [A, D, E, C, B],
    [A, B, D, C, E],
    [A, E, C, D, B],
    [A, C, B, E, D],
    [A, D, E, B, C],
    [A, C, D, B, E],
    [A, E, B, D, C],
    [A, C, E, B, D],
    [A, D, B, E, C],
    [A, B, C, D, E],
];

/// A shape as boxes `[middle x, middle y, half width, half height]` in a square from -1 to 1. None is round: its turn would not show.
type Shape = &'static [[f32; 4]];

const SHAPES: [Shape; 6] = [
    &[[0.0, 0.0, 0.8, 0.8]],
    &[[0.0, 0.0, 1.0, 0.45]],
    &[[0.0, 0.0, 0.45, 1.0]],
    &[[0.0, 0.0, 1.0, 0.35], [0.0, 0.0, 0.35, 1.0]],
    &[[0.0, -0.7, 0.9, 0.3], [0.0, 0.0, 0.3, 1.0]],
    &[[-0.6, 0.0, 0.3, 1.0], [0.1, 0.7, 0.9, 0.3]],
];

/// What all visits of a sample have in common.
#[derive(Clone, Copy, Debug)]
struct Actor {
    shape: Shape,
    /// Middle of the pentagon, in pixels.
    home: (f32, f32),
    /// Tangent of half the angle by which it leans.
    lean: f32,
    /// Half its side, in pixels.
    size: f32,
    /// Intensities of the ground and of the shape.
    light: [f32; 2],
}

impl Actor {
    fn drawn(rng: &mut Rng) -> Self {
        let shape = SHAPES[rng.below(SHAPES.len())];
        let middle = (SENSOR.width - 1) as f32 / 2.0;
        let home = (middle + rng.uniform(-2.0, 2.0), middle + rng.uniform(-2.0, 2.0));
        let bright = rng.uniform(3.0, 5.0);
        let light = if rng.unit() < 0.5 { [1.0, bright] } else { [bright, 1.0] };
        Actor { shape, home, lean: rng.uniform(-0.12, 0.12), size: rng.uniform(3.5, 4.5), light }
    }
}

/// A visit before the camera.
#[derive(Clone, Copy, Debug)]
struct Clip {
    actor: Actor,
    place: Place,
    /// Extent in pixels, to the right and down; its sign says which way first.
    extent: (f32, f32),
    /// µs.
    duration: u32,
}

impl Clip {
    fn drawn(actor: Actor, place: Place, rng: &mut Rng) -> Self {
        let extent = (rng.uniform(-3.0, 3.0), rng.uniform(-3.0, 3.0));
        Clip { actor, place, extent, duration: rng.uniform(60_000.0, 120_000.0) as u32 }
    }
}

/// One way to 1, back through 0 to -1, and to 0 again, for u from 0 to 1.
fn to_and_fro(u: f32) -> f32 {
    10.392_305 * u * (1.0 - u) * (1.0 - 2.0 * u)
}

impl Scene for Clip {
    fn render(&self, t: u32, out: &mut [f32]) {
        let Actor { shape, home, lean, size, light: [ground, light] } = self.actor;
        let moved = to_and_fro(t as f32 / self.duration as f32);
        let (right, down) = OFFSETS[self.place as usize];
        let (x0, y0) = (home.0 + right + self.extent.0 * moved, home.1 + down + self.extent.1 * moved);
        // Half-angle formulas: no sine, no cosine, the same bits everywhere.
        let (cos, sin) = ((1.0 - lean * lean) / (1.0 + lean * lean), 2.0 * lean / (1.0 + lean * lean));
        for (row, line) in out.chunks_exact_mut(SENSOR.width as usize).enumerate() {
            let y = row as f32 - y0;
            for (column, out) in line.iter_mut().enumerate() {
                let x = column as f32 - x0;
                let (along, across) = ((cos * x + sin * y) / size, (cos * y - sin * x) / size);
                let distance = |b: &[f32; 4]| ((along - b[0]).abs() - b[2]).max((across - b[1]).abs() - b[3]);
                let nearest = shape.iter().map(distance).fold(f32::INFINITY, f32::min);
                // Coverage of a pixel falls from 1 to 0 over one pixel at the edge.
                *out = ground + (light - ground) * (0.5 - nearest * size).clamp(0.0, 1.0);
            }
        }
    }
}

/// Counts of one sample that are not 0: position in `[T,2,H,W]` and count.
type Sparse = Vec<(u32, u16)>;

/// Where the samples of one split are played.
struct Stage<'a> {
    camera: &'a Camera,
    steps: usize,
    seed: u64,
    split: u64,
}

impl Stage<'_> {
    /// Sample `index` as `class` plays it; but for the order of the corners, every class plays the same.
    fn play(&self, class: usize, index: u64) -> Sparse {
        let mut rng = Rng::at(self.seed, Purpose::Motions, self.split, index);
        let actor = Actor::drawn(&mut rng);
        let clips = PLACES.map(|place| Clip::drawn(actor, place, &mut rng));
        let left_out = rng.below(PLACES.len());
        let path = CLASSES[class];
        let first = 1 + path.iter().take_while(|p| **p as usize != left_out).count();
        let played = (first..first + PLAYED).map(|at| path[at % path.len()] as usize);
        let slices = self.steps / PLAYED;
        let mut sample = Vec::new();
        for (at, place) in played.enumerate() {
            let noise = Rng::at(self.seed, Purpose::Camera, 3 + self.split, PLACES.len() as u64 * index + place as u64);
            let events = self.camera.record(&clips[place], clips[place].duration, noise);
            let (counts, _) = counts(&events, SENSOR, slices, SplitBy::Number);
            let from = (at * counts.len()) as u32;
            sample.extend(counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(i, n)| (from + i as u32, *n)));
        }
        sample
    }

    /// The first `n` samples with their labels; sample i is of class i mod 11.
    fn samples(&self, n: usize) -> Vec<Sparse> {
        (0..n).into_par_iter().map(|i| self.play(i % CLASSES.len(), i as u64)).collect()
    }
}

/// Samples in memory, those of the test behind those of the training.
struct InMemory {
    cells: usize,
    samples: Vec<Sparse>,
}

impl FrameSource for InMemory {
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()> {
        let Some(sample) = self.samples.get(index).filter(|_| counts.len() == self.cells) else {
            let what = format!("motions: sample {index} of {} into {} of {} values", self.samples.len(), counts.len(), self.cells);
            return Err(Error::bug(what));
        };
        counts.fill(0);
        sample.iter().for_each(|&(at, n)| counts[at as usize] = n);
        Ok(())
    }
    fn bytes(&self) -> usize {
        self.samples.iter().map(|s| s.len() * size_of::<(u32, u16)>()).sum()
    }
}

/// Makes the set: `steps` frames a sample, [`DEFAULT_TRAIN`] and [`DEFAULT_TEST`] samples unless numbers are given.
///
/// # Errors
/// Usage: `steps` is not a multiple of [`PLAYED`] up to [`limits::MAX_TIME_STEPS`], or a number is 0 or above [`limits::MAX_MOTIONS`].
pub fn load(train: Option<usize>, test: Option<usize>, steps: usize, seed: u64) -> Result<FrameSet> {
    if steps == 0 || !steps.is_multiple_of(PLAYED) || steps > limits::MAX_TIME_STEPS {
        let what = format!("motions: {steps} time steps; expected a multiple of {PLAYED}, at most {}", limits::MAX_TIME_STEPS);
        return Err(Error::usage(what).option("time-steps").remedy("choose 4, 8 or 16: a frame must not hold parts of two visits"));
    }
    let (train, test) = (train.unwrap_or(DEFAULT_TRAIN), test.unwrap_or(DEFAULT_TEST));
    for (n, option) in [(train, "train-limit"), (test, "test-limit")] {
        if !(1..=limits::MAX_MOTIONS).contains(&n) {
            return Err(Error::usage(format!("motions: {n} samples; expected 1 to {}", limits::MAX_MOTIONS)).option(option));
        }
    }
    let camera = Camera::new(CAMERA, seed)?;
    let stage = |split| Stage { camera: &camera, steps, seed, split };
    let mut samples = stage(0).samples(train);
    samples.extend(stage(1).samples(test));
    let split = |from: usize, n: usize| FrameSplit {
        labels: (0..n).map(|i| (i % CLASSES.len()) as u16).collect(),
        at: (from..from + n).map(|i| i as u32).collect(),
    };
    Ok(FrameSet {
        name: sets::MOTIONS,
        sensor: SENSOR,
        steps,
        classes: CLASSES.iter().map(name).collect(),
        train: split(0, train),
        validation: FrameSplit::default(),
        test: split(train, test),
        fingerprint: fingerprint(steps, train, &samples),
        source: Arc::new(InMemory { cells: cells(SENSOR, steps), samples }),
        simulated: true,
        notes: vec![format!("simulated: drawn shapes before a simulated camera, {PLAYED} of {} corners each", PLACES.len())],
    })
}

/// `path-abcde`: the path of a class, its corners named clockwise from the top.
fn name(path: &[Place; 5]) -> String {
    format!("path-{}", path.map(|p| format!("{p:?}").to_lowercase()).concat())
}

/// SHA-256 over T, the border between the splits, and all counts. Labels follow from positions.
fn fingerprint(steps: usize, train: usize, samples: &[Sparse]) -> String {
    let mut hash = Sha256::new();
    for n in [steps, train, samples.len()] {
        hash.update((n as u64).to_le_bytes());
    }
    for sample in samples {
        hash.update((sample.len() as u64).to_le_bytes());
        let bytes: Vec<u8> = sample.iter().flat_map(|(at, n)| [at.to_le_bytes(), u32::from(*n).to_le_bytes()].concat()).collect();
        hash.update(&bytes);
    }
    hex(&hash.finalize())
}

#[cfg(test)]
mod tests;
