//! Augmentation: how a sample is moved, one draw for all its frames and channels (method, section 5).
//!
//! A move is a table of source positions, made once per sample, that all planes are read through. Frames of events are moved at
//! the size they were recorded in and made smaller after that; what a sensor does (missed events, noise) comes before.

use serde::{Deserialize, Serialize};

use super::batch::Preparation;
use crate::events::Sensor;
use crate::named::named;
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;

/// How frames of events are made half as wide and high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Not at all.
    #[default]
    None,
    /// Even rows and columns are kept, the counts of the others are dropped (nearest neighbour: the authors' code).
    Nearest,
    /// The counts of 2x2 pixels are added: no event is lost.
    Sum,
}

named!(Resize, "way to resize": Nearest = "nearest", Sum = "sum", None = "none");

impl Resize {
    /// Pixels of the sensor for one of the result, along a side.
    fn factor(self) -> usize {
        if self == Resize::None { 1 } else { 2 }
    }

    /// Shape of one frame of `sensor` after it; a last odd row or column is dropped.
    pub fn shape(self, sensor: Sensor) -> Chw {
        Chw::new(2, sensor.height as usize / self.factor(), sensor.width as usize / self.factor())
    }

    /// The sensor whose frames have `shape` after it.
    pub fn sensor(self, shape: Chw) -> Sensor {
        let side = |n: usize| (n * self.factor()).min(u16::MAX as usize) as u16;
        Sensor { width: side(shape.w), height: side(shape.h) }
    }
}

/// Stands for a source beyond the border, where there is nothing.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// How one sample is moved: cropped out of its padded self, then mirrored, then rotated about the centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Draw {
    /// The crop's corner in the padded picture.
    top: usize,
    left: usize,
    mirror: bool,
    /// Clockwise.
    degrees: f64,
}

impl Draw {
    /// No move.
    pub(super) fn still(prep: &Preparation) -> Self {
        Draw { top: prep.crop_pad, left: prep.crop_pad, mirror: false, degrees: 0.0 }
    }

    /// One draw per (seed, epoch, index), the same whatever the batch.
    pub(super) fn at(prep: &Preparation, seed: u64, epoch: u64, index: u32) -> Self {
        let mut rng = Rng::at(seed, Purpose::Augment, epoch, index as u64);
        let (top, left) = (rng.below(2 * prep.crop_pad + 1), rng.below(2 * prep.crop_pad + 1));
        let mirror = rng.bits() >> 63 == 1 && prep.flip;
        Draw { top, left, mirror, degrees: prep.rotate * (2.0 * rng.unit() as f64 - 1.0) }
    }

    /// `[H,W]`: for every pixel after the move, the position it comes from, or [`OUTSIDE`].
    pub(super) fn sources(&self, (h, w): (usize, usize), pad: usize) -> Vec<u32> {
        let (sin, cos) = self.degrees.to_radians().sin_cos();
        let (middle_y, middle_x) = ((h as f64 - 1.0) / 2.0, (w as f64 - 1.0) / 2.0);
        let mut all = Vec::with_capacity(h * w);
        for y in 0..h {
            for x in 0..w {
                // From the result back: what was done last is undone first.
                let (dy, dx) = (y as f64 - middle_y, x as f64 - middle_x);
                let turned_y = (middle_y + cos * dy - sin * dx).round();
                let turned_x = (middle_x + sin * dy + cos * dx).round();
                if !(0.0..h as f64).contains(&turned_y) || !(0.0..w as f64).contains(&turned_x) {
                    all.push(OUTSIDE);
                    continue;
                }
                let (y, x) = (turned_y as usize, turned_x as usize);
                let x = if self.mirror { w - 1 - x } else { x };
                // Coordinates of the source are those of the padded picture less `pad`; below 0 they wrap and fail `< h`.
                let (y, x) = ((y + self.top).wrapping_sub(pad), (x + self.left).wrapping_sub(pad));
                all.push(if y < h && x < w { (y * w + x) as u32 } else { OUTSIDE });
            }
        }
        all
    }
}

/// Where every pixel of a prepared frame comes from.
pub(super) struct Reading {
    /// `[H',W',sources]` positions in a plane of the sensor.
    sources: Vec<u32>,
    /// Pixels added up for one of the result: 1, or 4 under [`Resize::Sum`].
    each: usize,
    /// H·W of the sensor.
    area: usize,
}

impl Reading {
    /// Of frames moved by `draw` and resized.
    pub(super) fn new(draw: Draw, sensor: Sensor, prep: &Preparation) -> Self {
        let (h, w) = (sensor.height as usize, sensor.width as usize);
        let moved = draw.sources((h, w), prep.crop_pad);
        let offsets: &[usize] = if prep.resize == Resize::Sum { &[0, 1, w, w + 1] } else { &[0] };
        let (shape, factor) = (prep.resize.shape(sensor), prep.resize.factor());
        let mut sources = Vec::with_capacity(shape.area() * offsets.len());
        for (y, x) in (0..shape.h).flat_map(|y| (0..shape.w).map(move |x| (y, x))) {
            sources.extend(offsets.iter().map(|o| moved[factor * (y * w + x) + o]));
        }
        Reading { sources, each: offsets.len(), area: h * w }
    }

    /// All planes of counts `[H,W]`, one after the other, into those of the network's input, `[H',W']` each. A sum beyond the largest u16 is
    /// that, as a count is.
    pub(super) fn planes<'a>(&self, counts: &[u16], planes: impl Iterator<Item = &'a mut [u16]>) {
        for (counts, plane) in counts.chunks_exact(self.area).zip(planes) {
            let count = |&source: &u32| counts.get(source as usize).copied().unwrap_or(0);
            for (out, sources) in plane.iter_mut().zip(self.sources.chunks_exact(self.each)) {
                *out = sources.iter().map(count).fold(0, u16::saturating_add);
            }
        }
    }
}

/// Leaves events out and adds noise, as a worse sensor would; a function of (seed, epoch, index).
pub(super) fn disturb(counts: &mut [u16], prep: &Preparation, seed: u64, epoch: u64, index: u32) {
    let mut rng = Rng::at(seed, Purpose::EventNoise, epoch, index as u64);
    if prep.event_drop > 0.0 {
        for count in counts.iter_mut().filter(|c| **c > 0) {
            *count = (0..*count).filter(|_| rng.unit() as f64 >= prep.event_drop).count() as u16;
        }
    }
    if prep.event_noise > 0.0 {
        // A Poisson process along the counts, walked from event to event: a Poisson number in each, in time for the events only.
        let mut at = 0.0;
        loop {
            at -= (1.0 - rng.unit() as f64).ln() / prep.event_noise;
            let Some(count) = counts.get_mut(at as usize) else { break };
            *count = count.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
