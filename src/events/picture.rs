//! Frames of events to look at: PNG, SVG, and an animated GIF.
//!
//! ON is orange and OFF blue, colours that nobody confuses (Okabe and Ito 2008), on a dark ground; both at one pixel give a light
//! grey. Brightness grows with the square root of the count, so that single events stay visible beside busy pixels.

use std::fmt::Write;

use gif::{Encoder, Frame, Repeat};
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use super::Sensor;
use crate::error::{Error, Result};

/// Degrees of brightness of each polarity; 16 x 16 of both are the 256 colours of a GIF.
const LEVELS: usize = 16;
/// Colour without any event.
const GROUND: [f32; 3] = [16.0, 18.0, 24.0];
/// ON at full brightness.
const ON: [f32; 3] = [240.0, 165.0, 20.0];
/// OFF at full brightness.
const OFF: [f32; 3] = [70.0, 170.0, 245.0];
/// Pictures are enlarged to at least this many pixels on their longer side.
const MIN_SIDE: usize = 320;
/// The line between the frames of a sheet: a grey that no count has.
const LINE: u8 = 2 * LEVELS as u8 + 2;
/// Time a frame is shown, in 1/100 s.
const FRAME_TIME: u16 = 12;

/// Frames as indices into the colours: 16 x the level of ON + the level of OFF.
pub struct Pictures {
    sensor: Sensor,
    /// T times `[H,W]`.
    levels: Vec<u8>,
}

impl Pictures {
    /// Makes pictures of `[T,2,H,W]` counts, OFF first, all with the same scale of brightness: full at a count that one of a hundred
    /// pixels with events exceeds.
    ///
    /// # Errors
    /// Usage: there is no event to show.
    pub fn of(counts: &[u16], sensor: Sensor) -> Result<Self> {
        let mut lit: Vec<u16> = counts.iter().copied().filter(|&c| c > 0).collect();
        if lit.is_empty() {
            return Err(Error::usage("no event to show").remedy("is the size of the sensor right (--size WxH)?"));
        }
        let at = (lit.len() - 1) * 99 / 100;
        let full = f32::from(*lit.select_nth_unstable(at).1);
        let level = |count: u16| {
            let share = (f32::from(count) / full).sqrt().min(1.0);
            // Nothing is level 0; one event is at least level 4, which the eye still sees.
            if count == 0 { 0 } else { 4 + (share * (LEVELS - 5) as f32).round() as u8 }
        };
        let pixels = usize::from(sensor.width) * usize::from(sensor.height);
        let frame = |counts: &[u16]| {
            let (off, on) = counts.split_at(pixels);
            on.iter().zip(off).map(|(&on, &off)| level(on) * LEVELS as u8 + level(off)).collect::<Vec<u8>>()
        };
        Ok(Pictures { sensor, levels: counts.chunks_exact(2 * pixels).flat_map(frame).collect() })
    }

    /// All frames on one sheet, in rows, with a line between them.
    pub fn sheet(&self) -> Pictures {
        let [width, height] = [self.sensor.width, self.sensor.height].map(usize::from);
        let columns = (1..).find(|n| n * n >= self.frames().len()).unwrap_or(1);
        let rows = self.frames().len().div_ceil(columns);
        let (wide, high) = (columns * (width + 1) - 1, rows * (height + 1) - 1);
        let mut levels = vec![LINE; wide * high];
        for (i, frame) in self.frames().enumerate() {
            let corner = i / columns * (height + 1) * wide + i % columns * (width + 1);
            for (y, row) in frame.chunks_exact(width).enumerate() {
                levels[corner + y * wide..][..width].copy_from_slice(row);
            }
        }
        Pictures { sensor: Sensor { width: wide as u16, height: high as u16 }, levels }
    }

    fn frames(&self) -> std::slice::ChunksExact<'_, u8> {
        self.levels.chunks_exact(usize::from(self.sensor.width) * usize::from(self.sensor.height))
    }

    /// Pixels to a pixel.
    fn scale(&self) -> usize {
        MIN_SIDE.div_ceil(usize::from(self.sensor.width.max(self.sensor.height)))
    }

    /// Width and height of the enlarged picture.
    fn size(&self) -> [u16; 2] {
        [self.sensor.width, self.sensor.height].map(|side| side * self.scale() as u16)
    }

    /// One frame, every pixel enlarged to a square.
    fn enlarged(&self, frame: &[u8]) -> Vec<u8> {
        let scale = self.scale();
        let mut out = Vec::with_capacity(frame.len() * scale * scale);
        for row in frame.chunks_exact(self.sensor.width.into()) {
            let wide: Vec<u8> = row.iter().flat_map(|&level| std::iter::repeat_n(level, scale)).collect();
            (0..scale).for_each(|_| out.extend_from_slice(&wide));
        }
        out
    }

    /// The first frame as PNG.
    ///
    /// # Errors
    /// Bug: the encoder refuses it.
    pub fn png(&self) -> Result<Vec<u8>> {
        let [width, height] = self.size();
        let pixels: Vec<u8> = self.frames().take(1).flat_map(|f| self.enlarged(f)).flat_map(color).collect();
        let mut bytes = Vec::new();
        PngEncoder::new(&mut bytes)
            .write_image(&pixels, width.into(), height.into(), ExtendedColorType::Rgb8)
            .map_err(|e| Error::bug(format!("PNG: {e}")))?;
        Ok(bytes)
    }

    /// The first frame as SVG: one path per colour.
    pub fn svg(&self) -> String {
        let ([width, height], columns) = (self.size(), usize::from(self.sensor.width));
        let mut paths = vec![String::new(); 256];
        for (y, row) in self.frames().take(1).flat_map(|f| f.chunks_exact(columns)).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if run[0] != 0 {
                    // Writing to a String cannot fail.
                    let _ = write!(paths[usize::from(run[0])], "M{x} {y}h{n}v1h-{n}z", n = run.len());
                }
                x += run.len();
            }
        }
        let hex = |level: usize| color(level as u8).map(|c| format!("{c:02x}")).concat();
        let (w, h) = (self.sensor.width, self.sensor.height);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {w} {h}\" shape-rendering=\"crispEdges\">\n\
             <path fill=\"#{}\" d=\"M0 0h{w}v{h}h-{w}z\"/>\n",
            hex(0)
        );
        for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
            let _ = writeln!(svg, "<path fill=\"#{}\" d=\"{path}\"/>", hex(level));
        }
        svg + "</svg>\n"
    }

    /// All frames as a GIF that starts again at its end.
    ///
    /// # Errors
    /// Bug: the encoder refuses it.
    pub fn gif(&self) -> Result<Vec<u8>> {
        let failed = |e: gif::EncodingError| Error::bug(format!("GIF: {e}"));
        let [width, height] = self.size();
        let palette: Vec<u8> = (0..=255).flat_map(color).collect();
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, height, &palette).map_err(failed)?;
        encoder.set_repeat(Repeat::Infinite).map_err(failed)?;
        for frame in self.frames() {
            let buffer = self.enlarged(frame).into();
            encoder.write_frame(&Frame { delay: FRAME_TIME, width, height, buffer, ..Frame::default() }).map_err(failed)?;
        }
        drop(encoder);
        Ok(bytes)
    }
}

/// Red, green and blue of an index.
fn color(level: u8) -> [u8; 3] {
    let share = |n: u8| f32::from(n) / (LEVELS - 1) as f32;
    let (on, off) = (share(level / LEVELS as u8), share(level % LEVELS as u8));
    std::array::from_fn(|c| {
        let light = GROUND[c] + on * (ON[c] - GROUND[c]) + off * (OFF[c] - GROUND[c]);
        light.clamp(0.0, 255.0) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames of a sensor of 3x2: ON at (2, 0), then OFF at (0, 1) and both at (1, 1).
    fn pictures() -> Pictures {
        let sensor = Sensor { width: 3, height: 2 };
        let mut counts = vec![0; 2 * 2 * 6];
        counts[6 + 2] = 9;
        counts[12 + 3] = 1;
        counts[12 + 4] = 9;
        counts[12 + 6 + 4] = 9;
        Pictures::of(&counts, sensor).unwrap()
    }

    #[test]
    fn a_png_shows_every_pixel_as_a_square_of_its_colour() {
        let p = pictures();
        let image = image::load_from_memory(&p.png().unwrap()).unwrap().to_rgb8();
        assert_eq!(image.dimensions(), (321, 214));
        for (x, y, pixel) in image.enumerate_pixels() {
            let expected = if (x / 107, y / 107) == (2, 0) { color(15 * 16) } else { color(0) };
            assert_eq!(pixel.0, expected, "{x}, {y}");
        }
    }

    #[test]
    fn a_gif_has_a_frame_per_slice() {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        let bytes = pictures().gif().unwrap();
        let mut gif = options.read_info(bytes.as_slice()).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = gif.read_next_frame().unwrap() {
            frames.push([[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]].map(|[x, y]| frame.buffer[y * 107 * 321 + x * 107]));
        }
        assert_eq!(frames, [[0, 0, 240, 0, 0, 0], [0, 0, 0, 8, 255, 0]]);
    }

    #[test]
    fn a_sheet_holds_all_frames() {
        let sheet = pictures().sheet();
        assert_eq!((sheet.sensor, sheet.frames().len()), (Sensor { width: 7, height: 2 }, 1));
        assert_eq!(sheet.levels, [[0, 0, 240, LINE, 0, 0, 0], [0, 0, 0, LINE, 8, 255, 0]].concat());
        let three = Pictures { sensor: Sensor { width: 1, height: 1 }, levels: vec![1, 2, 3] }.sheet();
        assert_eq!((three.sensor.width, three.levels), (3, [[1, LINE, 2], [LINE; 3], [3, LINE, LINE]].concat()));
        assert_eq!(Pictures { sensor: Sensor { width: 2, height: 1 }, levels: vec![1, 2] }.sheet().levels, [1, 2]);
    }

    #[test]
    fn an_svg_draws_what_is_lit() {
        let svg = pictures().svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 3 2\"") && svg.contains("d=\"M2 0h1v1h-1z\""), "{svg}");
        assert_eq!(svg.matches("<path").count(), 2);
    }

    #[test]
    fn polarities_differ_in_more_than_hue_and_nothing_is_an_error() {
        let [on, off, both] = [240, 15, 255].map(color);
        assert!(on[0] > off[0] && on[2] < off[2] && both.iter().all(|&c| c > 150), "{on:?} {off:?} {both:?}");
        assert!(Pictures::of(&[0; 12], Sensor { width: 3, height: 2 }).is_err());
    }
}
