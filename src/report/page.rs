//! The report as one HTML file: style and pictures inside, no script, nothing fetched.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Figure, Part, Report, Section, Table, words};

const STYLE: &str = include_str!("style.css");
/// Rows of a table behind a picture that are on the page; the CSV file holds all.
const SHOWN_ROWS: usize = 400;
/// Columns of the same.
const SHOWN_COLUMNS: usize = 40;

/// The whole page; `folder` is the name of the folder with the pictures' files.
pub fn page(report: &Report, folder: &str) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Nothing may be fetched, whoever opens the page.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { (report.title) " – spiketrain report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    p.kind { "spiketrain report" }
                    h1 { (report.title) }
                    nav aria-label="Sections" { a href={ "#" (report.conclusion.id) } { (report.conclusion.title) } " " a href="#warnings" { "Warnings" } " " @for s in &report.sections { a href={ "#" (s.id) } { (s.title) } " " } }
                }
                main {
                    (section(&report.conclusion, folder))
                    (warnings(&report.warnings))
                    @for s in &report.sections { (section(s, folder)) }
                }
                footer { p { "Pictures and their numbers as files: " code { (folder) "/*.svg" } ", " code { (folder) "/*.csv" } "." } }
            }
        }
    };
    markup.into_string()
}

fn warnings(all: &[String]) -> Markup {
    html! {
        section #warnings {
            h2 { "Warnings" }
            @if all.is_empty() { p { "None." } }
            @else { ul.warnings { @for w in all { li { (w) } } } }
        }
    }
}

fn section(s: &Section, folder: &str) -> Markup {
    html! {
        section id=(s.id) {
            h2 { (s.title) }
            @for part in s.parts.chunk_by(|a, b| matches!((a, b), (Part::Figure(_), Part::Figure(_)))) {
                @match part {
                    [Part::Words(words)] => { (words) }
                    [Part::Table(t)] => { (table(t)) }
                    figures => {
                        div.figures { @for f in figures { @if let Part::Figure(f) = f { (figure(f, folder)) } } }
                    }
                }
            }
            @for why in &s.missing { p.missing { (why) } }
        }
    }
}

fn figure(f: &Figure, folder: &str) -> Markup {
    let cut = f.table.rows.len() > SHOWN_ROWS || f.table.columns.len() > SHOWN_COLUMNS;
    html! {
        figure.wide[f.wide] {
            figcaption { strong { (f.title) } @if !f.note.is_empty() { " " (f.note) } }
            (PreEscaped(inline(f)))
            details {
                summary { "Numbers" }
                @if cut { p { "The first of them; all are in " code { (folder) "/" (f.name) ".csv" } "." } }
                (table(&f.table))
            }
        }
    }
}

/// The picture as an element of the page: named and summed up for those who cannot see it, and as wide as there is room.
fn inline(f: &Figure) -> String {
    let svg = f.svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
    let Some((head, body)) = svg.split_once('>') else { return String::new() };
    let summary = words::of(f);
    let label = html! { (f.title) ". " (summary) }.into_string();
    let inside = html! { title { (f.title) } desc { (summary) } }.into_string();
    format!("{head} role=\"img\" aria-label=\"{label}\">{inside}{body}")
}

/// The class of a value that may be broken anywhere: digests and paths have no places of their own for that, and would push the table off
/// the page.
fn long(value: &str) -> Option<&'static str> {
    const WORD: usize = 24;
    value.split_whitespace().any(|word| word.chars().count() > WORD).then_some("long")
}

fn table(t: &Table) -> Markup {
    html! {
        div.table tabindex="0" role="region" aria-label="Table" {
            table {
                thead { tr { @for c in t.columns.iter().take(SHOWN_COLUMNS) { th scope="col" { (c) } } } }
                tbody {
                    @for row in t.rows.iter().take(SHOWN_ROWS) {
                        tr {
                            @for (i, value) in row.iter().take(SHOWN_COLUMNS).enumerate() {
                                @if i == 0 { th class=[long(value)] scope="row" { (value) } }
                                @else { td class=[long(value)] data-of=(t.columns.get(i).map_or("", String::as_str)) { (value) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
