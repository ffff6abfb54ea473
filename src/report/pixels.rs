//! Pictures of few pixels as SVG: each colour one path of the runs it has, every pixel a square with sharp edges.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::chart::{self, Hint};
use super::{heat, short};
use crate::engine::Layout;
use crate::events::{Sensor, picture::Pictures};
use crate::shape::Chw;

/// A picture; pixels without a colour show the ground.
#[derive(Clone, Debug)]
pub struct Pixels {
    width: usize,
    height: usize,
    /// `[H,W]`.
    colours: Vec<Option<[u8; 3]>>,
    /// What parts of it say.
    hints: Vec<Hint>,
}

impl Pixels {
    fn empty(width: usize, height: usize) -> Pixels {
        Pixels { width, height, colours: vec![None; width * height], hints: Vec::new() }
    }

    /// A picture of 1 or 3 channels, 0 to 1; of other numbers of channels the mean is shown.
    pub fn picture(values: &[f32], shape: Chw) -> Pixels {
        let area = shape.area();
        let byte = |v: f32| (255.0 * v.clamp(0.0, 1.0)).round() as u8;
        let grey = |i: usize| byte((0..shape.c).map(|c| values[c * area + i]).sum::<f32>() / shape.c as f32);
        let colour = |i: usize| if shape.c == 3 { [0, 1, 2].map(|c| byte(values[c * area + i])) } else { [grey(i); 3] };
        Pixels { width: shape.w, height: shape.h, colours: (0..area).map(|i| Some(colour(i))).collect(), hints: Vec::new() }
    }

    /// Tiles of first-layer weights, one block per unit with its input channels side by side; blue is negative, red positive, all on one
    /// scale.
    pub fn filters(layout: Layout, weights: &[f32], units: usize) -> Pixels {
        // A weight of a small kernel is several pixels wide, so that the gaps are narrower than it.
        let (side_h, side_w, channels, size) = match layout {
            Layout::Conv { inp, k, .. } => (k, k, inp, 4),
            Layout::Linear { inp, .. } => (inp.h, inp.w, inp.c, 1),
            Layout::PerChannel(_) => (1, 1, 1, 4),
        };
        let tile = side_h * side_w;
        // With a gap of 1 behind each channel, and of 2 more behind each unit.
        let (wide, high) = (channels * (side_w * size + 1) + 2, side_h * size + 3);
        let per_row = ((units * high * 2) as f64 / wide as f64).sqrt().ceil().clamp(1.0, units.max(1) as f64) as usize;
        let mut all = Pixels::empty(per_row * wide - 3, units.div_ceil(per_row) * high - 3);
        let shown = &weights[..units * channels * tile];
        let largest = shown.iter().fold(f32::MIN_POSITIVE, |m, w| m.max(w.abs()));
        for (i, w) in shown.iter().enumerate() {
            let (unit, channel, y, x) = (i / (channels * tile), i / tile % channels, i % tile / side_w, i % side_w);
            let (top, left) = (unit / per_row * high + y * size, unit % per_row * wide + channel * (side_w * size + 1) + x * size);
            let colour = Some(heat::diverging(f64::from(w / largest)));
            (0..size).for_each(|dy| all.colours[(top + dy) * all.width + left..][..size].fill(colour));
            // More of them are too small to be pointed at.
            if shown.len() <= chart::MOST_HINTS {
                let place = [(left, top), (left + size, top + size)].map(|(x, y)| (x as i32, y as i32));
                let says = format!("unit {}, channel {}, row {}, column {}: {}", unit + 1, channel + 1, y + 1, x + 1, short(f64::from(*w)));
                all.hints.push(Hint { place, says });
            }
        }
        all
    }

    /// As an SVG document whose longer side has about `side` pixels.
    pub fn svg(&self, side: usize) -> String {
        let mut paths: BTreeMap<[u8; 3], String> = BTreeMap::new();
        for (y, row) in self.colours.chunks(self.width).enumerate() {
            let mut x = 0;
            for run in row.chunk_by(|a, b| a == b) {
                if let Some(colour) = run[0] {
                    // Writing to a String cannot fail.
                    let _ = write!(paths.entry(colour).or_default(), "M{x} {y}h{n}v1h-{n}z", n = run.len());
                }
                x += run.len();
            }
        }
        let scale = (side / self.width.max(self.height)).max(1);
        let (w, h) = (self.width, self.height);
        let mut svg = format!(
            "<svg width=\"{}\" height=\"{}\" viewBox=\"0 0 {w} {h}\" xmlns=\"http://www.w3.org/2000/svg\" shape-rendering=\"crispEdges\">\n",
            w * scale,
            h * scale
        );
        for ([r, g, b], path) in paths {
            let _ = writeln!(svg, "<path fill=\"#{r:02X}{g:02X}{b:02X}\" d=\"{path}\"/>");
        }
        svg += "</svg>\n";
        if self.hints.is_empty() { svg } else { chart::with_hints(&svg, &self.hints) }
    }
}

/// All frames of a sample of events on one sheet, `[T,2,H,W]` counts; `None` where nothing happened.
pub fn frames(counts: &[f32], shape: Chw) -> Option<String> {
    if shape.c != 2 {
        return None;
    }
    let counts: Vec<u16> = counts.iter().map(|&c| c as u16).collect();
    let sensor = Sensor { width: shape.w as u16, height: shape.h as u16 };
    Pictures::of(&counts, sensor).ok().map(|p| p.sheet().svg())
}
