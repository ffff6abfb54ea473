//! Glyphs: digits drawn from pen strokes, so that a first network can be trained without any download.
//!
//! A digit is one of two or three ways to write it (`strokes`), its points shaken, then rotated, sheared,
//! scaled and shifted, drawn with a pen of random width and ink, blurred, and covered with noise. The labels are balanced:
//! sample i shows digit i mod 10.
//!
//! Sample i of a split depends on (seed, split, i) alone. Only `+ - * /`, `sqrt` and comparisons are used, which IEEE 754
//! fixes to the last bit; with `sin` or `exp` another machine's library would draw other bytes.

use rayon::prelude::*;

use super::strokes::{DIGITS, Stroke};
use super::{ImageSet, LoadOptions, Samples, sets};
use crate::error::{Error, Result};
use crate::limits;
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;

/// Height and width of a glyph.
const SIDE: usize = 28;
/// Training glyphs drawn unless a number is asked for.
pub const DEFAULT_TRAIN: usize = 10_000;
/// Test glyphs drawn unless a number is asked for.
pub const DEFAULT_TEST: usize = 2_000;
/// Straight pieces per span of a spline: at 28 pixels, finer ones cannot be seen.
const PIECES: usize = 6;

type Point = (f32, f32);
type Image = [f32; SIDE * SIDE];

/// Draws the set; the limits of `options` are the numbers drawn.
pub(super) fn load(options: &LoadOptions) -> Result<ImageSet> {
    let count = |limit: Option<usize>, default| match limit.unwrap_or(default) {
        n if n <= limits::MAX_GLYPHS => Ok(n),
        n => Err(Error::usage(format!("{n} glyphs are too many")).remedy(format!("ask for {} at most", limits::MAX_GLYPHS))),
    };
    let train = draw(options.seed, 0, count(options.train_limit, DEFAULT_TRAIN)?);
    let test = draw(options.seed, 1, count(options.test_limit, DEFAULT_TEST)?);
    let classes = (0..10).map(|d| d.to_string()).collect();
    Ok(ImageSet::new(sets::GLYPHS, Chw::new(1, SIDE, SIDE), classes, train, test, vec![]))
}

/// The first `n` samples of `split` (0 train, 1 test).
pub fn draw(seed: u64, split: u64, n: usize) -> Samples {
    let mut pixels = vec![0; n * SIDE * SIDE];
    pixels.par_chunks_exact_mut(SIDE * SIDE).enumerate().for_each(|(i, out)| {
        draw_one(i % 10, &mut Rng::at(seed, Purpose::Glyphs, split, i as u64), out);
    });
    Samples { pixels, labels: (0..n).map(|i| (i % 10) as u16).collect() }
}

/// Draws one `digit` into `out`, `[28,28]`.
fn draw_one(digit: usize, rng: &mut Rng, out: &mut [u8]) {
    let variants = DIGITS[digit];
    let variant = variants[rng.below(variants.len())];
    let affine = Affine::drawn(rng);
    let radius = rng.uniform(0.6, 1.7);
    // Squared distance of every pixel to the nearest piece of a stroke, as far as the pen reaches.
    let mut d2 = [f32::INFINITY; SIDE * SIDE];
    for stroke in variant {
        let line = flatten(stroke, rng);
        let line: Vec<Point> = line.into_iter().map(|p| affine.apply(p)).collect();
        for ends in line.windows(2) {
            approach(&mut d2, ends[0], ends[1], radius + 1.0);
        }
    }
    // Coverage of a pixel falls from 1 to 0 over one pixel at the edge of the stroke.
    let ink = d2.map(|d| (radius + 0.5 - d.sqrt()).clamp(0.0, 1.0));
    let ink = blur(&ink, rng.uniform(0.0, 0.25));
    let background = rng.uniform(0.0, 0.25);
    let contrast = rng.uniform(0.45, 1.0 - background);
    let noise = rng.uniform(0.0, 0.12);
    for (out, ink) in out.iter_mut().zip(ink) {
        // The sum of three uniform values is nearly normal, with a standard deviation of 1/2.
        let shake = rng.unit() + rng.unit() + rng.unit() - 1.5;
        let value = background + contrast * ink + 2.0 * noise * shake;
        *out = (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8;
    }
}

/// From the unit box to pixels.
struct Affine {
    m: [f32; 4],
    shift: Point,
}

impl Affine {
    fn drawn(rng: &mut Rng) -> Self {
        // Half-angle formulas: a rotation of up to 17 degrees without sine or cosine.
        let t = rng.uniform(-0.15, 0.15);
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let shear = rng.uniform(-0.3, 0.3);
        let height = rng.uniform(15.0, 22.0);
        let width = height * rng.uniform(0.7, 1.1);
        // rotation · shear · scale
        let m = [cos * width, (cos * shear - sin) * height, sin * width, (sin * shear + cos) * height];
        let middle = SIDE as f32 / 2.0;
        let shift = (middle + rng.uniform(-2.5, 2.5), middle + rng.uniform(-2.5, 2.5));
        Affine { m, shift }
    }

    fn apply(&self, (x, y): Point) -> Point {
        let (x, y) = (x - 0.5, y - 0.5);
        (self.m[0] * x + self.m[1] * y + self.shift.0, self.m[2] * x + self.m[3] * y + self.shift.1)
    }
}

/// A stroke as straight pieces, each of its points shaken a little: no two writers are the same.
fn flatten(stroke: &Stroke, rng: &mut Rng) -> Vec<Point> {
    let mut shaken = |points: &[Point]| -> Vec<Point> {
        points.iter().map(|&(x, y)| (x + rng.uniform(-0.035, 0.035), y + rng.uniform(-0.035, 0.035))).collect()
    };
    let p = match stroke {
        Stroke::Sharp(points) => return shaken(points),
        Stroke::Smooth(points) => shaken(points),
    };
    let mut line = vec![p[0]];
    for i in 0..p.len() - 1 {
        let (before, from, to, after) = (p[i.saturating_sub(1)], p[i], p[i + 1], p[(i + 2).min(p.len() - 1)]);
        for k in 1..=PIECES {
            let t = k as f32 / PIECES as f32;
            let at = |a, b, c, d| catmull_rom(a, b, c, d, t);
            line.push((at(before.0, from.0, to.0, after.0), at(before.1, from.1, to.1, after.1)));
        }
    }
    line
}

/// The uniform Catmull-Rom spline between b (t = 0) and c (t = 1).
fn catmull_rom(a: f32, b: f32, c: f32, d: f32, t: f32) -> f32 {
    let linear = c - a;
    let square = 2.0 * a - 5.0 * b + 4.0 * c - d;
    let cube = 3.0 * (b - c) + d - a;
    0.5 * (2.0 * b + t * (linear + t * (square + t * cube)))
}

/// Lowers `d2` to the squared distance to the piece from `a` to `b`, at pixels up to `reach` away.
fn approach(d2: &mut Image, a: Point, b: Point, reach: f32) {
    // The casts saturate, so that strokes beyond the border are cut off there.
    let first = |v: f32| (v - reach) as usize;
    let last = |v: f32| ((v + reach) as usize + 1).min(SIDE);
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length2 = (dx * dx + dy * dy).max(1e-12);
    for y in first(a.1.min(b.1))..last(a.1.max(b.1)) {
        for x in first(a.0.min(b.0))..last(a.0.max(b.0)) {
            let (px, py) = (x as f32 + 0.5 - a.0, y as f32 + 0.5 - a.1);
            let t = ((px * dx + py * dy) / length2).clamp(0.0, 1.0);
            let (ex, ey) = (px - t * dx, py - t * dy);
            let d = &mut d2[y * SIDE + x];
            *d = d.min(ex * ex + ey * ey);
        }
    }
}

/// Blurs with the kernel (w, 1-2w, w) along both axes; what lies outside is empty.
fn blur(image: &Image, w: f32) -> Image {
    let pass = |from: &Image, step: usize, place: fn(usize) -> usize| -> Image {
        std::array::from_fn(|i| {
            let before = if place(i) > 0 { from[i - step] } else { 0.0 };
            let after = if place(i) < SIDE - 1 { from[i + step] } else { 0.0 };
            (1.0 - 2.0 * w) * from[i] + w * (before + after)
        })
    };
    let across = pass(image, 1, |i| i % SIDE);
    pass(&across, SIDE, |i| i / SIDE)
}

#[cfg(test)]
mod tests {
    use super::super::{hex, load};
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_first_hundred_are_frozen() {
        let samples = draw(0, 0, 100);
        assert_eq!(hex(&Sha256::digest(&samples.pixels)), "f12df6a9c9167aac46d06df2522d8649d732e852f3146696ca34bd985d01a9e5");
    }

    #[test]
    fn a_sample_depends_on_seed_split_and_index_alone() {
        let few = draw(3, 1, 37);
        let many = draw(3, 1, 211);
        assert_eq!(few.pixels, many.pixels[..37 * 784]);
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(one_thread.install(|| draw(3, 1, 211)), many);
        assert_ne!(draw(4, 1, 1).pixels, draw(3, 1, 1).pixels);
        assert_ne!(draw(3, 0, 1).pixels, draw(3, 1, 1).pixels);
    }

    #[test]
    fn every_glyph_shows_ink_above_its_background() {
        let samples = draw(9, 0, 2_000);
        for (i, image) in samples.pixels.chunks(784).enumerate() {
            let corner = (0..9).map(|k| image[k / 3 * SIDE + k % 3] as u32).sum::<u32>() / 9;
            let bright = image.iter().filter(|&&v| v as u32 > corner + 60).count();
            assert!((15..400).contains(&bright), "sample {i}: {bright} bright pixels, corner {corner}");
        }
    }

    #[test]
    fn the_set_is_balanced_and_limits_say_how_many_are_drawn() {
        let set = load(sets::GLYPHS, &LoadOptions::default()).unwrap();
        assert_eq!((set.train.len(), set.test.len(), set.classes.len()), (10_000, 2_000, 10));
        assert!((0..10).all(|d| set.train.labels.iter().filter(|&&l| l == d).count() == 1_000));
        let options = LoadOptions { train_limit: Some(10_030), test_limit: Some(7), ..Default::default() };
        let more = load(sets::GLYPHS, &options).unwrap();
        assert_eq!((more.train.len(), more.test.len()), (10_030, 7));
        assert_eq!(more.train.pixels[..set.train.pixels.len()], set.train.pixels);
        assert!(more.notes.is_empty());
        let options = LoadOptions { train_limit: Some(usize::MAX), ..Default::default() };
        assert_eq!(load(sets::GLYPHS, &options).unwrap_err().exit_code(), 2);
    }

    /// `GLYPH_SHEET=/tmp/sheet.png cargo test contact_sheet` writes what a reviewer wants to look at.
    #[test]
    fn contact_sheet() {
        let Some(path) = std::env::var_os("GLYPH_SHEET") else {
            println!("SKIPPED: GLYPH_SHEET is not set");
            return;
        };
        let (across, down) = (30, 20);
        let samples = draw(0, 0, across * down);
        let sheet = image::GrayImage::from_fn((across * SIDE) as u32, (down * SIDE) as u32, |x, y| {
            let (x, y) = (x as usize, y as usize);
            let sample = (y / SIDE) * across + x / SIDE;
            image::Luma([samples.pixels[sample * 784 + (y % SIDE) * SIDE + x % SIDE]])
        });
        sheet.save(path).unwrap();
    }
}
