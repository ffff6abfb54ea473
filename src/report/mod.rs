//! The report: what is in run folders, and what a trained network shows of itself, on one page.
//!
//! A report is made of [`Section`]s, a section of [`Part`]s: words, tables, and [`Figure`]s with their numbers. The page
//! ([`page`]) shows them all in one file that needs no network; each figure is also written as `.svg` and `.csv` ([`write()`]).
//! What is left out says why: a section whose data is missing has no parts but a reason.

pub mod chart;
pub mod conclusion;
pub mod cost;
pub mod credit;
pub mod curves;
pub mod find;
pub mod heat;
pub mod inside;
pub mod look;
pub mod pace;
pub mod page;
pub mod pixels;
pub mod run;
pub mod spikes;
pub mod summary;
pub mod warnings;
pub mod words;
pub mod write;

use crate::plural::{counted, thousands};
use maud::Markup;

pub use look::{Look, Request};
pub use run::Run;
pub use write::{Target, write};

use crate::error::Result;

/// Numbers in rows, for the page and as CSV.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Table {
        Table { columns: columns.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// As CSV (RFC 4180, but with line ends of one byte): fields with a comma, a quote or a line end are quoted.
    pub fn csv(&self) -> String {
        let field = |f: &String| {
            if f.contains([',', '"', '\n', '\r']) { format!("\"{}\"", f.replace('"', "\"\"")) } else { f.clone() }
        };
        let lines = std::iter::once(&self.columns).chain(&self.rows);
        lines.map(|row| row.iter().map(field).collect::<Vec<_>>().join(",") + "\n").collect()
    }
}

/// A picture with its numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Its files' name, without ending; one of a kind in a report.
    pub name: String,
    /// What it shows, in a few words.
    pub title: String,
    /// How to read it.
    pub note: String,
    /// A complete SVG document.
    pub svg: String,
    /// Every number that is drawn.
    pub table: Table,
    /// It needs the width of the page.
    pub wide: bool,
}

/// A piece of a section.
pub enum Part {
    /// Text.
    Words(Markup),
    /// A table that is shown, not folded away.
    Table(Table),
    /// A picture.
    Figure(Box<Figure>),
}

/// A chapter of the report.
pub struct Section {
    /// For links within the page.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What it holds.
    pub parts: Vec<Part>,
    /// Why something is not there.
    pub missing: Vec<String>,
}

impl Section {
    /// An empty one.
    pub fn new(id: &'static str, title: &'static str) -> Section {
        Section { id, title, parts: Vec::new(), missing: Vec::new() }
    }

    fn figure(&mut self, figure: Figure) {
        self.parts.push(Part::Figure(Box::new(figure)));
    }

    fn words(&mut self, words: Markup) {
        self.parts.push(Part::Words(words));
    }

    /// Its figures.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.parts.iter().filter_map(|p| match p {
            Part::Figure(f) => Some(f.as_ref()),
            _ => None,
        })
    }
}

/// Everything a report says.
pub struct Report {
    /// Heading of the page.
    pub title: String,
    /// What came out, before anything else.
    pub conclusion: Section,
    /// What to know before believing any of it.
    pub warnings: Vec<String>,
    /// The chapters.
    pub sections: Vec<Section>,
}

impl Report {
    /// Puts a report together: `look` is what the network of the first run shows, or why it shows nothing.
    ///
    /// # Errors
    /// Bug: a chart cannot be drawn.
    pub fn new(runs: &[Run], look: &std::result::Result<Look, String>) -> Result<Report> {
        let names: Vec<&str> = runs.iter().map(|r| r.name.as_str()).collect();
        let mut sections = vec![summary::section(runs), curves::section(runs)?, curves::rates(runs)?];
        if runs.len() > 1 {
            sections.push(pace::section(runs)?);
        }
        let seen = look.as_ref().ok();
        sections.push(cost::energy(runs, seen)?);
        sections.push(cost::latency(runs, seen)?);
        sections.extend(inside::sections(&runs[0], look)?);
        sections.push(credit::section(runs)?);
        sections.push(summary::environment(runs));
        Ok(Report { title: heading(&names), conclusion: conclusion::section(runs), warnings: warnings::all(runs, seen), sections })
    }

    /// All figures in order.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(Section::figures)
    }
}

/// The runs' names, as many as a heading bears.
fn heading(names: &[&str]) -> String {
    const MOST: usize = 5;
    match names.len() {
        n if n > MOST => format!("{} and {}", names[..MOST - 1].join(", "), counted(n + 1 - MOST, "more run")),
        _ => names.join(", "),
    }
}

/// An amount in a table that is shown: four digits, and from a thousand on the whole number. In files it is [`short`], which programs read.
fn amount(v: f64) -> String {
    if (999.95..9e15).contains(&v) { thousands(v.round() as usize) } else { short(v) }
}

/// A share as percent.
fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A number with four significant digits, as short as they allow.
fn short(v: f64) -> String {
    let size = v.abs();
    match size {
        _ if v == 0.0 => "0".to_string(),
        _ if !(1e-3..1e5).contains(&size) => format!("{v:.2e}"),
        _ if size >= 1000.0 => format!("{v:.0}"),
        _ => {
            let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{v:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
        }
    }
}

#[cfg(test)]
mod tests;
