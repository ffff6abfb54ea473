//! Maps of numbers: rows of cells whose colour says the value, with a scale of the colours.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{self, Area, Drawn, GRID, Hint, INK, TEXT, WIDTH};
use super::short;
use crate::error::Result;

/// From little to much: light to dark blue (ColorBrewer), in order of brightness too.
const BLUES: [[u8; 3]; 5] = [[247, 251, 255], [198, 219, 239], [107, 174, 214], [33, 113, 181], [8, 48, 107]];
/// From negative through nothing to positive: blue, light grey, red (ColorBrewer's RdBu, safe for every colour vision).
const BLUE_RED: [[u8; 3]; 5] = [[5, 48, 97], [67, 147, 195], [247, 247, 247], [214, 96, 77], [103, 0, 31]];
/// A cell without a number.
const NOTHING: [u8; 3] = [190, 190, 190];

/// The colour of a share from 0 to 1.
pub fn sequential(share: f64) -> [u8; 3] {
    between(&BLUES, share)
}

/// The colour of -1 to 1.
pub fn diverging(value: f64) -> [u8; 3] {
    between(&BLUE_RED, (value + 1.0) / 2.0)
}

fn between(anchors: &[[u8; 3]; 5], share: f64) -> [u8; 3] {
    if !share.is_finite() {
        return NOTHING;
    }
    let at = share.clamp(0.0, 1.0) * 4.0;
    let (i, part) = ((at as usize).min(3), at - (at as usize).min(3) as f64);
    std::array::from_fn(|c| (f64::from(anchors[i][c]) * (1.0 - part) + f64::from(anchors[i + 1][c]) * part).round() as u8)
}

/// A map.
#[derive(Clone, Debug)]
pub struct Map {
    /// What the columns are.
    pub x: String,
    /// Labels of the columns; as many are written as there is room for.
    pub columns: Vec<String>,
    /// Label and cells of each row, from above.
    pub rows: Vec<(String, Vec<f64>)>,
    /// What the colours say, with its unit.
    pub unit: String,
    /// The values of the lightest and the darkest colour.
    pub range: (f64, f64),
    /// Written into the cells.
    pub texts: Option<Vec<Vec<String>>>,
}

/// Size of text in cells (plotters divides it by 1.24).
const CELL_TEXT: i32 = 17;
/// Width of a digit of it.
const DIGIT: f64 = 8.5;

/// Height of the scale with its words.
const SCALE: i32 = 58;

/// Draws a map.
///
/// # Errors
/// Bug: plotters cannot draw it.
pub fn draw(map: &Map) -> Result<String> {
    let left = 16 + 8 * map.rows.iter().map(|r| r.0.chars().count() as i32).max().unwrap_or(0).min(20);
    let columns = map.columns.len().max(1) as i32;
    let wide = (WIDTH as i32 - left - 12) as f64 / f64::from(columns);
    let high = if map.texts.is_some() { (wide as i32).clamp(20, 36) } else { 26 };
    let bottom = 6 + high * map.rows.len() as i32;
    let mut hints = Vec::new();
    let svg = chart::document((WIDTH, (bottom + 48 + SCALE) as u32), |area| {
        let edge = |i: i32| left + (f64::from(i) * wide).round() as i32;
        for (y, (name, cells)) in map.rows.iter().enumerate() {
            let top = 6 + high * y as i32;
            let cut: String = name.chars().take(20).collect();
            area.draw(&chart::label(cut, (left - 6, top + high / 2), HPos::Right, VPos::Center))?;
            for (x, value) in cells.iter().enumerate() {
                let colour = sequential((value - map.range.0) / (map.range.1 - map.range.0));
                area.draw(&cell((edge(x as i32), top), (edge(x as i32 + 1), top + high), colour))?;
                let place = [(edge(x as i32), top), (edge(x as i32 + 1), top + high)];
                let column = map.columns.get(x).map_or("", String::as_str);
                hints.push(Hint { place, says: format!("{name}, {} {column}: {} {}", map.x, short(*value), map.unit) });
                if let Some(text) = map.texts.as_ref().map(|t| &t[y][x]) {
                    // Smaller than this nobody reads it on a phone; the value is in the hint and in the numbers.
                    if text.chars().count() as f64 * DIGIT > wide {
                        continue;
                    }
                    let ink = if colour[1] < 140 { WHITE } else { BLACK };
                    let style =
                        TextStyle::from(("sans-serif", CELL_TEXT).into_font()).color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
                    area.draw(&Text::new(text.clone(), ((edge(x as i32) + edge(x as i32 + 1)) / 2, top + high / 2), style))?;
                }
            }
        }
        area.draw(&Rectangle::new([(left, 6), (WIDTH as i32 - 12, bottom)], GRID.stroke_width(1)))?;
        let longest = map.columns.iter().map(|c| c.chars().count()).max().unwrap_or(1) as i32;
        let every = ((9 * longest + 8) as f64 / wide).ceil().max(1.0) as usize;
        for (x, name) in map.columns.iter().enumerate().step_by(every) {
            area.draw(&chart::label(name, ((edge(x as i32) + edge(x as i32 + 1)) / 2, bottom + 4), HPos::Center, VPos::Top))?;
        }
        area.draw(&chart::label(&map.x, ((left + WIDTH as i32) / 2, bottom + 24), HPos::Center, VPos::Top))?;
        scale(area, map, left, bottom + 52)
    })?;
    Ok(on_dark(&chart::with_hints(&svg, &hints)))
}

/// Marks a picture whose colours are values: the page turns their lightness round on a dark ground, so that little is dark there.
pub fn on_dark(svg: &str) -> String {
    svg.replacen("<svg ", "<svg class=\"values\" ", 1)
}

fn cell(from: (i32, i32), to: (i32, i32), [r, g, b]: [u8; 3]) -> Rectangle<(i32, i32)> {
    Rectangle::new([from, to], RGBColor(r, g, b).filled())
}

/// The colours from left to right with the values at their ends.
fn scale(area: &Area, map: &Map, left: i32, top: i32) -> Drawn {
    const PIECES: i32 = 32;
    let right = WIDTH as i32 - 12;
    let edge = |i: i32| left + (right - left) * i / PIECES;
    for i in 0..PIECES {
        let colour = sequential(f64::from(i) / f64::from(PIECES - 1));
        area.draw(&cell((edge(i), top), (edge(i + 1), top + 12), colour))?;
    }
    area.draw(&Rectangle::new([(left, top), (right, top + 12)], INK.stroke_width(1)))?;
    let style = |h| TextStyle::from(("sans-serif", TEXT).into_font()).color(&INK).pos(Pos::new(h, VPos::Top));
    let (low, high) = map.range;
    area.draw(&Text::new(short(low), (left, top + 16), style(HPos::Left)))?;
    area.draw(&Text::new(map.unit.clone(), ((left + right) / 2, top + 16), style(HPos::Center)))?;
    area.draw(&Text::new(short(high), (right, top + 16), style(HPos::Right)))
}
