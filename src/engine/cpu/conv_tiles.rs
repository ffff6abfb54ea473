//! How a sample is cut for a convolution's way back: few enough positions and steps at a time that their errors stay in L1 while the
//! spikes of all input channels are walked.
//!
//! Large maps are cut into tiles; small maps are taken at several steps together, so that a channel has spikes enough to be worth
//! fetching its weights for.

use std::ops::Range;

use super::simd::{LANES, Lane};
use crate::shape::Chw;

/// Lanes of bordered errors that are walked together, at most, where a window of the kernel is not larger: 20 KB of the 32 to 48 KB
/// that L1 has on x86-64, beside weights and lists that pass by. A tile of 16 x 16 under a kernel of side 3.
const ROOM: usize = 18 * 18;
/// Positions in a word of spikes.
pub const WORD: usize = 64;
/// No position: fills a tile's last word.
const NONE: u32 = u32::MAX;

/// Neighbouring positions.
struct Tile {
    rows: Range<usize>,
    columns: Range<usize>,
    /// Its words.
    words: Range<usize>,
}

/// The units of a sample: every tile at every few steps.
pub struct Tiling {
    shape: Chw,
    k: usize,
    /// T.
    steps: usize,
    /// Steps of a unit, at most.
    together: usize,
    tiles: Vec<Tile>,
    /// Lanes in a row of a bordered tile.
    pub pitch: usize,
    /// Lanes of a bordered tile at one step.
    step_len: usize,
    /// Positions tile by tile, each tile from a new word on.
    order: Vec<u32>,
    /// For each of them the first position of the window under it, in its bordered tile.
    corner: Vec<u32>,
}

/// What is walked together.
#[derive(Clone)]
pub struct Unit<'a> {
    tile: &'a Tile,
    /// Its steps.
    pub steps: Range<usize>,
}

impl Unit<'_> {
    /// Its words among those of a channel at one step.
    pub fn words(&self) -> Range<usize> {
        self.tile.words.clone()
    }
}

/// `len` cut into as few equal parts of at most `most` as there can be: their length.
fn part(len: usize, most: usize) -> usize {
    len.div_ceil(len.div_ceil(most.max(1)).max(1))
}

impl Tiling {
    /// Of maps of this shape, under a kernel of side `k`, over `steps`.
    pub fn new(shape: Chw, k: usize, steps: usize) -> Tiling {
        let (border, side) = (k - 1, ROOM.isqrt());
        let height = part(shape.h, side.saturating_sub(border));
        // Flat maps may be wider.
        let width = part(shape.w, (ROOM / (height + border)).saturating_sub(border));
        let (pitch, step_len) = (width + border, (width + border) * (height + border));
        let together = part(steps, ROOM / step_len);
        let (mut tiles, mut order, mut corner) = (Vec::new(), Vec::new(), Vec::new());
        for (y, x) in (0..shape.h).step_by(height).flat_map(|y| (0..shape.w).step_by(width).map(move |x| (y, x))) {
            let (rows, columns) = (y..shape.h.min(y + height), x..shape.w.min(x + width));
            let first = order.len();
            for (row, column) in rows.clone().flat_map(|row| columns.clone().map(move |column| (row, column))) {
                order.push((row * shape.w + column) as u32);
                corner.push(((row - y) * pitch + column - x) as u32);
            }
            order.resize(order.len().next_multiple_of(WORD), NONE);
            corner.resize(order.len(), 0);
            tiles.push(Tile { rows, columns, words: first / WORD..order.len() / WORD });
        }
        Tiling { shape, k, steps, together, tiles, pitch, step_len, order, corner }
    }

    /// Words of a channel at one step.
    pub fn words(&self) -> usize {
        self.order.len() / WORD
    }

    /// Lanes of a bordered unit, at most.
    pub fn room(&self) -> usize {
        self.together * self.step_len
    }

    /// What is walked one after the other.
    pub fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        let chunks = (0..self.steps).step_by(self.together).map(|first| first..self.steps.min(first + self.together));
        chunks.flat_map(|steps| self.tiles.iter().map(move |tile| Unit { tile, steps: steps.clone() }))
    }

    /// The sixteen positions from place `first` of all words on, as far as there are.
    pub fn sixteen(&self, first: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let positions = self.order[first..first + LANES].iter().enumerate();
        positions.filter(|&(_, &position)| position != NONE).map(|(i, &position)| (i, position as usize))
    }

    /// Position, and corner of the window under it in the bordered unit, of a place of all words at the n-th step of a unit.
    #[inline(always)]
    pub fn at(&self, place: usize, n: usize) -> (u32, u32) {
        (self.order[place], self.corner[place] + (n * self.step_len) as u32)
    }

    /// Errors of a unit with their neighbours, and zeros outside the map; `e` is `[T][H·W]`.
    pub fn border(&self, unit: &Unit, e: &[Lane], out: &mut [Lane]) {
        let (Chw { h, w, .. }, pad) = (self.shape, self.k / 2);
        let (rows, columns) = (&unit.tile.rows, &unit.tile.columns);
        let inside = columns.start.saturating_sub(pad)..w.min(columns.end + pad);
        let left = inside.start + pad - columns.start;
        for (t, out) in unit.steps.clone().zip(out.chunks_exact_mut(self.step_len)) {
            let map = &e[t * h * w..(t + 1) * h * w];
            for (row, out) in (rows.start..rows.end + 2 * pad).zip(out.chunks_exact_mut(self.pitch)) {
                if (pad..h + pad).contains(&row) {
                    let (middle, y) = (left..left + inside.len(), row - pad);
                    out[..left].fill(Lane::ZERO);
                    out[middle.clone()].copy_from_slice(&map[y * w..][inside.clone()]);
                    out[middle.end..].fill(Lane::ZERO);
                } else {
                    out.fill(Lane::ZERO);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_hold_every_position_and_step_once_under_their_windows() {
        for (h, w, k, steps) in
            [(14, 14, 3, 16), (4, 4, 3, 16), (33, 64, 3, 5), (1, 200, 5, 7), (9, 2, 9, 64), (40, 40, 31, 3), (1, 1, 1, 1)]
        {
            let (shape, pad) = (Chw::new(1, h, w), k / 2);
            let tiling = Tiling::new(shape, k, steps);
            assert!(tiling.room() <= ROOM.max(k * k), "{h}x{w}, {k}");
            let value = |at: usize| at as f32 + 1.0;
            let e: Vec<Lane> = (0..steps * h * w).map(|at| Lane([value(at); LANES])).collect();
            let mut seen = vec![0; steps * h * w];
            let mut bordered = vec![Lane([f32::NAN; LANES]); tiling.room()];
            for unit in tiling.units() {
                tiling.border(&unit, &e, &mut bordered);
                let places = unit.words().start * WORD..unit.words().end * WORD;
                for (n, place) in (0..unit.steps.len()).flat_map(|n| places.clone().map(move |place| (n, place))) {
                    let (position, corner) = tiling.at(place, n);
                    if position == NONE {
                        continue;
                    }
                    let (t, y, x) = (unit.steps.start + n, position as usize / w, position as usize % w);
                    seen[t * h * w + y * w + x] += 1;
                    for (dy, dx) in (0..k).flat_map(|dy| (0..k).map(move |dx| (dy, dx))) {
                        let inside = (pad..h + pad).contains(&(y + dy)) && (pad..w + pad).contains(&(x + dx));
                        let want = if inside { value((t * h + y + dy - pad) * w + x + dx - pad) } else { 0.0 };
                        assert_eq!(bordered[corner as usize + dy * tiling.pitch + dx].0[0], want);
                    }
                }
            }
            assert!(seen.iter().all(|&seen| seen == 1), "{h}x{w}, {k}");
        }
    }
}
