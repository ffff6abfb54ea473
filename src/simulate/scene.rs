//! A picture that moves before the camera along a closed path.

use super::camera::Scene;
use crate::error::{Error, Result};
use crate::events::Sensor;

/// A closed polygon, walked `loops` times at a smooth speed: every leg begins and ends at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// Corners (x, y) in pixels; the last leg leads back to the first corner.
    pub corners: &'static [(f32, f32)],
    /// µs for one leg.
    pub leg: u32,
    /// How many times round.
    pub loops: u32,
}

impl Path {
    /// µs from the first corner back to it, all loops together.
    pub fn duration(&self) -> u32 {
        self.leg * self.corners.len() as u32 * self.loops
    }

    /// Where it is at `t` µs.
    pub fn at(&self, t: u32) -> (f32, f32) {
        let leg = (t / self.leg) as usize % self.corners.len();
        let (from, to) = (self.corners[leg], self.corners[(leg + 1) % self.corners.len()]);
        let u = (t % self.leg) as f32 / self.leg as f32;
        // Minimum jerk (Flash, Hogan, 1985): speed and acceleration are 0 at both ends, the speed a bell between them.
        let s = u * u * u * (10.0 - u * (15.0 - 6.0 * u));
        (from.0 + s * (to.0 - from.0), from.1 + s * (to.1 - from.1))
    }

    /// The largest coordinate, rounded up.
    fn reach(&self) -> usize {
        self.corners.iter().fold(0.0f32, |r, c| r.max(c.0.abs()).max(c.1.abs())).ceil() as usize
    }
}

/// A picture whose middle follows a path around the middle of the sensor. Beyond its border the border's pixels go on, so that no
/// frame is seen that the picture does not have.
pub struct MovedPicture {
    sensor: Sensor,
    path: Path,
    /// `[H + 2 margin, W + 2 margin]`, intensities.
    canvas: Vec<f32>,
    margin: usize,
}

impl MovedPicture {
    /// `picture`: `[side,side]` intensities, no larger than the sensor.
    ///
    /// # Errors
    /// Bug: it is larger, or not of that shape.
    pub fn new(picture: &[f32], side: usize, sensor: Sensor, path: Path) -> Result<Self> {
        let (w, h) = (sensor.width as usize, sensor.height as usize);
        if side == 0 || side > w.min(h) || picture.len() != side * side {
            return Err(Error::bug(format!("a picture of {} pixels and side {side} before a sensor of {w}x{h}", picture.len())));
        }
        let margin = path.reach() + 1;
        let (left, top) = (margin + (w - side) / 2, margin + (h - side) / 2);
        let inside = |i: usize, before: usize| i.saturating_sub(before).min(side - 1);
        let line = |row: usize| (0..w + 2 * margin).map(move |column| picture[inside(row, top) * side + inside(column, left)]);
        let canvas = (0..h + 2 * margin).flat_map(line).collect();
        Ok(MovedPicture { sensor, path, canvas, margin })
    }

    /// The lens: kernel (share, 1 - 2 share, share) along both axes. The outermost ring stays as it is.
    pub fn blur(&mut self, share: f32) {
        let width = self.sensor.width as usize + 2 * self.margin;
        for step in [1, width] {
            let from = self.canvas.clone();
            for i in width..from.len() - width {
                self.canvas[i] = from[i] + share * (from[i - step] + from[i + step] - 2.0 * from[i]);
            }
        }
    }
}

impl Scene for MovedPicture {
    fn render(&self, t: u32, out: &mut [f32]) {
        let (x, y) = self.path.at(t);
        // The margin keeps both positive.
        let (x, y) = (self.margin as f32 - x, self.margin as f32 - y);
        let (left, top) = (x as usize, y as usize);
        let (right_share, low_share) = (x - left as f32, y - top as f32);
        let w = self.sensor.width as usize;
        let width = w + 2 * self.margin;
        for (row, out) in out.chunks_exact_mut(w).enumerate() {
            let at = (top + row) * width + left;
            let (upper, lower) = (&self.canvas[at..at + w + 1], &self.canvas[at + width..at + width + w + 1]);
            for c in 0..w {
                let above = upper[c] + right_share * (upper[c + 1] - upper[c]);
                let below = lower[c] + right_share * (lower[c + 1] - lower[c]);
                out[c] = above + low_share * (below - above);
            }
        }
    }
}

/// Brings `[h,w]` values to `[side,side]`: bilinear between the middles of pixels, beyond them the border's value.
pub fn resized(values: &[f32], (h, w): (usize, usize), side: usize) -> Vec<f32> {
    let place = |i: usize, n: usize| -> (usize, usize, f32) {
        let at = ((i as f32 + 0.5) * n as f32 / side as f32 - 0.5).clamp(0.0, (n - 1) as f32);
        (at as usize, (at as usize + 1).min(n - 1), at - (at as usize) as f32)
    };
    let mut out = Vec::with_capacity(side * side);
    for row in 0..side {
        let (upper, lower, low_share) = place(row, h);
        for column in 0..side {
            let (left, right, right_share) = place(column, w);
            let line = |r: usize| values[r * w + left] + right_share * (values[r * w + right] - values[r * w + left]);
            out.push(line(upper) + low_share * (line(lower) - line(upper)));
        }
    }
    out
}
