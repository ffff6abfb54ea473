//! Line charts as SVG, through the plotters crate.
//!
//! Lines differ in colour (Okabe and Ito 2008, which people with any colour vision tell apart), in dashes and in marks, so that a
//! black-and-white print says the same. Text and axes have the colours [`INK`] and [`GRID`], which the page replaces by those of a
//! dark or a light ground.

use std::fmt::Write;

use plotters::coord::Shift;
use plotters::coord::ranged1d::Ranged;
use plotters::coord::types::RangedCoordf64;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::short;
use crate::error::{Error, Result};

/// Colours of lines.
pub const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x7F, 0x7F, 0x7F),
];
/// Text and axes.
pub const INK: RGBColor = RGBColor(0x1F, 0x23, 0x28);
/// Lines that lead the eye.
pub const GRID: RGBColor = RGBColor(0xD0, 0xD7, 0xDE);
/// Behind a stretch of the x axis.
pub const SHADE: RGBColor = RGBColor(0x88, 0x92, 0x9E);

/// Dash and gap in pixels; 0: a whole line.
const DASHES: [(i32, i32); 4] = [(0, 0), (9, 5), (3, 4), (14, 6)];
/// Width of a chart. Not more than a phone shows (390 px less margins) by much: there its text is scaled down with it, and must not
/// fall below 12 px. Three stand side by side on a screen.
pub const WIDTH: u32 = 400;
const HEIGHT: u32 = 270;
/// Height of a line of the legend.
const LEGEND_LINE: u32 = 22;
/// Width of a character, about.
const CHARACTER: u32 = 8;
/// Size of text (plotters divides it by 1.24).
pub const TEXT: i32 = 17;

/// Where plotters draws.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// What drawing gives.
pub type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A line.
#[derive(Clone, Debug)]
pub struct Series {
    /// In the legend.
    pub name: String,
    /// x ascending.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The mean of several, where all have a point.
    pub fn mean(name: impl Into<String>, all: &[Series]) -> Series {
        let at = |x: f64| all.iter().map(|s| s.points.iter().find(|p| p.0 == x).map(|p| p.1)).sum::<Option<f64>>();
        let xs = all.first().into_iter().flat_map(|s| s.points.iter().map(|p| p.0));
        let points = xs.filter_map(|x| Some((x, at(x)? / all.len() as f64))).collect();
        Series { name: name.into(), points }
    }

    /// Of values at x = 1, 2, ….
    pub fn counted(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Series {
        Series { name: name.into(), points: (1..).map(f64::from).zip(values).collect() }
    }
}

/// A chart of lines.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// What x is.
    pub x: String,
    /// What y is, with its unit.
    pub y: String,
    /// At least one point in all.
    pub series: Vec<Series>,
    /// x may be between whole numbers.
    pub real: bool,
    /// The y axis starts at 0.
    pub from_zero: bool,
    /// The y axis ends here, if it is not to end at the largest value.
    pub to: Option<f64>,
    /// Whole x with a shade behind them, from the first to the last.
    pub shaded: Option<(f64, f64)>,
}

/// An SVG document of this size.
///
/// # Errors
/// Bug: plotters cannot draw it.
pub fn document(size: (u32, u32), paint: impl FnOnce(&Area) -> Drawn) -> Result<String> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
    paint(&area).and_then(|()| area.present()).map_err(|e| Error::bug(format!("a chart cannot be drawn: {e}")))?;
    drop(area);
    Ok(svg)
}

/// Text that is anchored at a side.
pub fn label(text: impl Into<String>, at: (i32, i32), h: HPos, v: VPos) -> Text<'static, (i32, i32), String> {
    let style = TextStyle::from(("sans-serif", TEXT).into_font()).color(&INK).pos(Pos::new(h, v));
    Text::new(text.into(), at, style)
}

/// Draws a chart of lines.
///
/// # Errors
/// Bug: plotters cannot draw it.
pub fn lines(chart: &Lines) -> Result<String> {
    let named = chart.series.len() > 1;
    let longest = chart.series.iter().map(|s| s.name.chars().count() as u32).max().unwrap_or(0);
    let columns = (WIDTH / (longest * CHARACTER + 56)).clamp(1, 3);
    let legend = if named { (chart.series.len() as u32).div_ceil(columns) * LEGEND_LINE + 6 } else { 0 };
    let mut hints = Vec::new();
    let svg = document((WIDTH, HEIGHT + legend), |area| {
        let (above, below) = area.split_vertically(HEIGHT);
        panel(&above, chart, TEXT + 8, &mut hints)?;
        if named { draw_legend(&below, chart, columns) } else { Ok(()) }
    })?;
    Ok(with_hints(&svg, &hints))
}

/// What a browser shows while the pointer rests on a place, without a script.
#[derive(Clone, Debug)]
pub struct Hint {
    /// Left upper and right lower corner.
    pub place: [(i32, i32); 2],
    /// The value there, in words.
    pub says: String,
}

/// More would make a page heavy; then every second, third, … of them is there.
pub const MOST_HINTS: usize = 1600;

/// The same picture with places that say their value.
pub fn with_hints(svg: &str, hints: &[Hint]) -> String {
    let Some((picture, _)) = svg.rsplit_once("</svg>") else { return svg.to_string() };
    let mut all = String::from("<g fill=\"none\" pointer-events=\"all\">\n");
    for Hint { place: [(x, y), (right, bottom)], says } in hints.iter().step_by(hints.len().div_ceil(MOST_HINTS).max(1)) {
        let says = maud::html! { (says) }.into_string();
        // Writing to a String cannot fail.
        let _ = writeln!(
            all,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\"><title>{says}</title></rect>",
            (right - x).max(0),
            (bottom - y).max(0)
        );
    }
    format!("{picture}{all}</g>\n</svg>\n")
}

/// The ends of both axes.
fn ranges(chart: &Lines) -> ((f64, f64), (f64, f64)) {
    let points = || chart.series.iter().flat_map(|s| &s.points).filter(|p| p.1.is_finite());
    let (first, last) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| (a.min(p.0), b.max(p.0)));
    let (low, high) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), p| (a.min(p.1), b.max(p.1)));
    let (first, last) = match first {
        _ if first > last => (0.0, 1.0),
        // In the middle: nothing was measured at the next x.
        _ if first == last => (first - 0.5, first + 0.5),
        _ => (first, last),
    };
    let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
    let bottom = if chart.from_zero && low >= 0.0 { 0.0 } else { low };
    let top = chart.to.unwrap_or(high).max(high);
    let room = match top {
        _ if top > bottom => 0.04 * (top - bottom),
        // All values are the same.
        0.0 => 1.0,
        _ => 0.01 * top.abs(),
    };
    let bottom = if chart.from_zero && low >= 0.0 { 0.0 } else { bottom - room };
    ((first, last), (bottom, if chart.to == Some(top) { top } else { top + room }))
}

/// Labels of an axis's ticks: all with as many digits after the point as the finest needs, very small or large ones as powers of ten.
struct Ticks {
    digits: usize,
    power: bool,
    longest: usize,
}

impl Ticks {
    fn of(values: &[f64]) -> Ticks {
        let largest = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
        let power = largest > 0.0 && !(1e-3..1e5).contains(&largest);
        let name = |v: f64, digits: usize| if power { format!("{v:.digits$e}") } else { format!("{v:.digits$}") };
        let exact = |v: f64, digits: usize| name(v, digits).parse::<f64>().is_ok_and(|n| (n - v).abs() <= 1e-6 * largest);
        let digits = (0..6).find(|&d| values.iter().all(|v| exact(*v, d))).unwrap_or(6);
        let mut ticks = Ticks { digits, power, longest: 1 };
        ticks.longest = values.iter().map(|v| ticks.name(*v).chars().count()).max().unwrap_or(1);
        ticks
    }

    fn name(&self, v: f64) -> String {
        let digits = self.digits;
        match v {
            0.0 => "0".into(),
            _ if self.power => format!("{v:.digits$e}"),
            _ => format!("{v:.digits$}"),
        }
    }
}

/// About so many ticks stand at the y axis.
const Y_TICKS: usize = 6;

/// Axes and lines, without a legend; `margin` above for the name of y. `hints` takes what each point says.
pub fn panel(area: &Area, chart: &Lines, margin: i32, hints: &mut Vec<Hint>) -> Drawn {
    let ((first, last), (bottom, top)) = ranges(chart);
    area.draw(&label(&chart.y, (6, 2), HPos::Left, VPos::Top))?;
    let ys = Ticks::of(&RangedCoordf64::from(bottom..top).key_points(Y_TICKS));
    let left = (ys.longest as u32 * CHARACTER + 14).max(30);
    let room = (WIDTH - left - 16) as usize;
    let most = |longest: usize| (room / (longest * CHARACTER as usize + 14)).clamp(2, 9);
    let whole = format!("{last:.0}").len();
    // As many as there is room for, by what will be written there.
    let named = |n: usize| (n, Ticks::of(&RangedCoordf64::from(first..last).key_points(n)));
    let fits = |(n, t): &(usize, Ticks)| n * (t.longest * CHARACTER as usize + 14) <= room;
    let (real, xs) = (2..=9).rev().map(named).find(fits).unwrap_or_else(|| named(2));
    let mut axes = ChartBuilder::on(area);
    axes.margin_top(margin).margin_right(16).x_label_area_size(46).y_label_area_size(left);
    let mut axes = axes.build_cartesian_2d(first..last, bottom..top)?;
    if let Some((from, to)) = chart.shaded {
        let corners = [((from - 0.5).max(first), bottom), ((to + 0.5).min(last), top)];
        axes.draw_series([Rectangle::new(corners, SHADE.mix(0.16).filled())])?;
    }
    let text = TextStyle::from(("sans-serif", TEXT).into_font()).color(&INK);
    let name = |x: &f64| match x {
        _ if chart.real => xs.name(*x),
        _ if x.fract() == 0.0 => format!("{x:.0}"),
        _ => String::new(),
    };
    let tick = |y: &f64| ys.name(*y);
    axes.configure_mesh()
        .x_desc(&chart.x)
        .x_labels(if chart.real { real } else { (last - first + 1.0).min(most(whole) as f64).max(2.0) as usize })
        .x_label_formatter(&name)
        .y_labels(Y_TICKS)
        .y_label_formatter(&tick)
        .label_style(text.clone())
        .axis_desc_style(text)
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (i, s) in chart.series.iter().enumerate() {
        let points: Vec<(f64, f64)> = s.points.iter().copied().filter(|p| p.1.is_finite()).collect();
        let ink = COLOURS[i % COLOURS.len()].stroke_width(2);
        match DASHES[i % DASHES.len()] {
            (0, _) => axes.draw_series(LineSeries::new(points.iter().copied(), ink)).map(|_| ())?,
            (dash, gap) => axes.draw_series(DashedLineSeries::new(points.iter().copied(), dash, gap, ink)).map(|_| ())?,
        }
        // At most about a dozen marks on a line, and always one at its end.
        let every = points.len().div_ceil(12).max(1);
        for at in points.iter().rev().step_by(every) {
            axes.draw_series([EmptyElement::at(*at) + mark(i, (0, 0))])?;
        }
        let named = if chart.series.len() > 1 { format!("{}: ", s.name) } else { String::new() };
        for at in &points {
            let (x, y) = axes.backend_coord(at);
            let says = format!("{named}{} {}, {} {}", chart.x, short(at.0), chart.y, short(at.1));
            hints.push(Hint { place: [(x - 7, y - 7), (x + 7, y + 7)], says });
        }
    }
    Ok(())
}

/// The mark of line `i`: a disc, a square, a triangle, a ring.
fn mark<'a>(i: usize, at: (i32, i32)) -> DynElement<'static, SVGBackend<'a>, (i32, i32)> {
    let colour = COLOURS[i % COLOURS.len()];
    match i % 4 {
        0 => Circle::new(at, 4, colour.filled()).into_dyn(),
        1 => Rectangle::new([(at.0 - 4, at.1 - 4), (at.0 + 4, at.1 + 4)], colour.filled()).into_dyn(),
        2 => TriangleMarker::new(at, 6, colour.filled()).into_dyn(),
        _ => Circle::new(at, 4, colour.stroke_width(2)).into_dyn(),
    }
}

fn draw_legend(area: &Area, chart: &Lines, columns: u32) -> Drawn {
    let (width, _) = area.dim_in_pixel();
    for (i, s) in chart.series.iter().enumerate() {
        let (column, row) = (i as u32 % columns, i as u32 / columns);
        let (x, y) = ((12 + column * (width / columns)) as i32, (row * LEGEND_LINE + LEGEND_LINE / 2) as i32);
        let (ends, ink) = ([(x, y), (x + 34, y)], COLOURS[i % COLOURS.len()].stroke_width(2));
        match DASHES[i % DASHES.len()] {
            (0, _) => area.draw(&PathElement::new(ends, ink))?,
            (dash, gap) => area.draw(&DashedPathElement::new(ends, dash, gap, ink))?,
        }
        area.draw(&mark(i, (x + 17, y)))?;
        area.draw(&label(&s.name, (x + 42, y), HPos::Left, VPos::Center))?;
    }
    Ok(())
}
