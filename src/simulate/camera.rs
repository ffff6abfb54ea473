//! A simulated event camera: every pixel compares the logarithm of its intensity with the one it remembers.
//!
//! The model of Lichtsteiner, Posch, Delbruck (IEEE JSSC 43(2), 2008): a pixel fires ON when its log intensity has risen by its ON
//! threshold, OFF when it has fallen by its OFF threshold. Firing holds the pixel in reset for the refractory time; what it sees at
//! the end of it is what it remembers from then on. Thresholds differ from pixel to pixel, and pixels fire now and then for no
//! reason (background activity). Between two rendered frames the log intensity runs in a straight line, which gives the times of
//! events and their number where several thresholds are crossed (as ESIM: Rebecq, Gehrig, Scaramuzza, CoRL 2018).
//!
//! Only `+ - * /` and comparisons are used, which IEEE 754 fixes to the last bit: every machine records the same events.

use crate::error::{Error, Result};
use crate::events::{Event, Sensor};
use crate::limits;
use crate::rng::{Purpose, Rng};

/// What a camera is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Columns and rows.
    pub sensor: Sensor,
    /// Rise of the natural logarithm of intensity that makes an ON event.
    pub on: f32,
    /// Fall of the natural logarithm of intensity that makes an OFF event.
    pub off: f32,
    /// Standard deviation of the thresholds over the pixels, as a share of the threshold.
    pub mismatch: f32,
    /// µs for which a pixel rests after an event.
    pub refractory: u32,
    /// Events without reason, per pixel and second.
    pub noise: f32,
    /// µs between two rendered frames.
    pub step: u32,
}

/// Something that moves before the camera.
pub trait Scene {
    /// Intensities at `t` µs in row order into `out`, `[H,W]` of the sensor, any unit; what is below [`DARKEST`] counts as that.
    fn render(&self, t: u32, out: &mut [f32]);
}

/// The least intensity: the logarithm of darkness is not finite.
pub const DARKEST: f32 = 1e-4;
/// The least threshold; it bounds the number of events of a change of intensity.
const LEAST_THRESHOLD: f32 = 0.02;
/// Pixels looked at together: almost all of them have nothing to say.
const LANES: usize = 32;

/// A camera whose pixels are drawn.
#[derive(Clone, Debug)]
pub struct Camera {
    settings: Settings,
    /// `[H,W]`, ON thresholds.
    on: Vec<f32>,
    /// `[H,W]`, OFF thresholds.
    off: Vec<f32>,
}

impl Camera {
    /// The camera of a seed: thresholds are normally distributed around those of `settings`, but not below a third of them.
    ///
    /// # Errors
    /// Usage: a sensor without pixels or a value out of range.
    pub fn new(settings: Settings, seed: u64) -> Result<Self> {
        let Settings { sensor, on, off, mismatch, noise, step, .. } = settings;
        let pixels = sensor.width as usize * sensor.height as usize;
        let bad = |what: String| Err(Error::usage(format!("simulated camera: {what}")));
        if pixels == 0 || sensor.width.max(sensor.height) as usize > limits::MAX_SIDE {
            return bad(format!("a sensor of {}x{} pixels; a side is 1 to {}", sensor.width, sensor.height, limits::MAX_SIDE));
        }
        if !(LEAST_THRESHOLD..=100.0).contains(&on) || !(LEAST_THRESHOLD..=100.0).contains(&off) {
            return bad(format!("thresholds of {on} and {off}; at least {LEAST_THRESHOLD}, at most 100"));
        }
        if !(0.0..=1.0).contains(&mismatch) || !(0.0..=1e4).contains(&noise) || step == 0 {
            return bad(format!("mismatch {mismatch} (0 to 1), noise {noise} Hz (0 to 10000), step {step} µs (1 or more)"));
        }
        let mut rng = Rng::at(seed, Purpose::Camera, 0, 0);
        let mut thresholds = |middle: f32| -> Vec<f32> {
            (0..pixels).map(|_| (middle * (1.0 + mismatch * bell(&mut rng))).max(middle / 3.0).max(LEAST_THRESHOLD)).collect()
        };
        Ok(Camera { settings, on: thresholds(on), off: thresholds(off) })
    }

    /// What it is made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Records `scene` from 0 to `duration` µs: events by time, at equal times by pixel. `rng` draws the noise.
    pub fn record(&self, scene: &impl Scene, duration: u32, mut rng: Rng) -> Vec<Event> {
        let mut pixels = Pixels::new(self);
        scene.render(0, &mut pixels.now);
        pixels.begin();
        let mut events = Vec::new();
        let mut noise = self.next_noise(0.0, &mut rng);
        let mut from = 0;
        while from < duration {
            let to = from.saturating_add(self.settings.step).min(duration);
            std::mem::swap(&mut pixels.before, &mut pixels.now);
            scene.render(to, &mut pixels.now);
            logarithms(&mut pixels.now);
            pixels.span = (from as f32, to as f32);
            pixels.step();
            while noise < to as f64 {
                pixels.fire_without_reason(noise as f32, &mut rng);
                noise = self.next_noise(noise, &mut rng);
            }
            pixels.collect(&mut events);
            from = to;
        }
        events
    }

    /// When any pixel fires without reason after `t`: gaps of a Poisson process are exponentially distributed.
    fn next_noise(&self, t: f64, rng: &mut Rng) -> f64 {
        let per_us = self.settings.noise as f64 * self.on.len() as f64 / 1e6;
        if per_us > 0.0 { t - ln(1.0 - rng.unit()) as f64 / per_us } else { f64::INFINITY }
    }
}

/// The pixels during a recording. Times are µs; f32 holds them to better than 0.1 µs in a second.
struct Pixels<'a> {
    camera: &'a Camera,
    /// Begin and end of the current step.
    span: (f32, f32),
    /// `[H,W]`, log intensity at the begin of the step.
    before: Vec<f32>,
    /// `[H,W]`, log intensity at the end of the step.
    now: Vec<f32>,
    /// `[H,W]`, above this a pixel fires ON; [`RESTING`] while it is in reset, so that it is looked at in every step.
    high: Vec<f32>,
    /// `[H,W]`, below this a pixel fires OFF.
    low: Vec<f32>,
    /// `[H,W]`, the end of a pixel's last reset.
    free: Vec<f32>,
    /// (time, pixel, ON) of the current step.
    fired: Vec<(u32, u32, bool)>,
}

const RESTING: f32 = f32::NEG_INFINITY;

impl<'a> Pixels<'a> {
    fn new(camera: &'a Camera) -> Self {
        let zeros = || vec![0.0; camera.on.len()];
        let fired = Vec::new();
        Pixels { camera, span: (0.0, 0.0), before: zeros(), now: zeros(), high: zeros(), low: zeros(), free: zeros(), fired }
    }

    /// Every pixel remembers what it sees first.
    fn begin(&mut self) {
        logarithms(&mut self.now);
        for p in 0..self.now.len() {
            self.remember(p, self.now[p]);
        }
    }

    fn remember(&mut self, p: usize, level: f32) {
        self.high[p] = level + self.camera.on[p];
        self.low[p] = level - self.camera.off[p];
    }

    /// Looks for pixels that fire or rest, many at a time.
    fn step(&mut self) {
        for first in (0..self.now.len()).step_by(LANES) {
            let lanes = first..(first + LANES).min(self.now.len());
            let (now, high, low) = (&self.now[lanes.clone()], &self.high[lanes.clone()], &self.low[lanes.clone()]);
            let any = now.iter().zip(high).zip(low).fold(false, |any, ((n, h), l)| any | (n > h) | (n < l));
            if any {
                lanes.for_each(|p| self.follow(p));
            }
        }
    }

    /// Log intensity of pixel `p` at time `t` of the current step.
    fn level(&self, p: usize, t: f32) -> f32 {
        let (from, to) = self.span;
        self.before[p] + (self.now[p] - self.before[p]) * ((t - from) / (to - from))
    }

    /// Follows one pixel through the current step.
    fn follow(&mut self, p: usize) {
        let (from, to) = self.span;
        let mut at = from;
        loop {
            if self.high[p] == RESTING {
                if self.free[p] > to {
                    return;
                }
                at = self.free[p];
                self.remember(p, self.level(p, at));
            }
            let (on, crossed) = match self.now[p] {
                level if level > self.high[p] => (true, self.high[p]),
                level if level < self.low[p] => (false, self.low[p]),
                _ => return,
            };
            let t = from + (crossed - self.before[p]) / (self.now[p] - self.before[p]) * (to - from);
            at = t.clamp(at, to);
            self.fire(p, at, on);
        }
    }

    fn fire(&mut self, p: usize, t: f32, on: bool) {
        self.fired.push((t as u32, p as u32, on));
        self.free[p] = t + self.camera.settings.refractory as f32;
        self.high[p] = RESTING;
    }

    /// Background activity; a pixel that rests has none.
    fn fire_without_reason(&mut self, t: f32, rng: &mut Rng) {
        let (p, on) = (rng.below(self.now.len()), rng.unit() < 0.5);
        if self.high[p] != RESTING && self.free[p] <= t {
            self.fire(p, t, on);
            self.follow(p);
        }
    }

    /// Hands over the events of the step, by time.
    fn collect(&mut self, events: &mut Vec<Event>) {
        self.fired.sort_unstable();
        let width = self.camera.settings.sensor.width as u32;
        events.extend(self.fired.drain(..).map(|(t, p, on)| Event { t: t as u64, x: (p % width) as u16, y: (p / width) as u16, on }));
    }
}

/// Replaces intensities by their logarithms.
fn logarithms(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v = ln(v.max(DARKEST)));
}

/// The natural logarithm of a normal positive number, to 2e-7 or better: ln m = 2 artanh((m-1)/(m+1)), m within √½ and √2.
fn ln(x: f32) -> f32 {
    const ROOT_HALF: u32 = std::f32::consts::FRAC_1_SQRT_2.to_bits();
    let exponent = (x.to_bits() as i32 - ROOT_HALF as i32) >> 23;
    let m = f32::from_bits((x.to_bits() as i32 - (exponent << 23)) as u32);
    let s = (m - 1.0) / (m + 1.0);
    let s2 = s * s;
    exponent as f32 * std::f32::consts::LN_2 + 2.0 * s * (1.0 + s2 * (1.0 / 3.0 + s2 * (0.2 + s2 * (1.0 / 7.0))))
}

/// Nearly normal, mean 0 and standard deviation 1: a sum of twelve uniform values (Irwin-Hall), within -6 and 6.
fn bell(rng: &mut Rng) -> f32 {
    (0..12).map(|_| rng.unit()).sum::<f32>() - 6.0
}

#[cfg(test)]
mod tests;
