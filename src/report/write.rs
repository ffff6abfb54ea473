//! A report onto the disk: pictures and numbers first, the page last, each file whole or not at all.

use std::path::{Path, PathBuf};

use super::{Figure, Report, page};
use crate::error::{Error, Result};
use crate::storage::{Storage, write_text};

/// Where a report goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// The page.
    pub html: PathBuf,
    /// Beside it, for pictures and numbers: its name without the ending.
    pub folder: PathBuf,
}

impl Target {
    /// `report.html` in a run folder.
    pub fn within(run: &Path) -> Target {
        Target { html: run.join("report.html"), folder: run.join("report") }
    }

    /// A page of the user's choice.
    ///
    /// # Errors
    /// Usage: no file name that ends in `.html`, a folder in its place, or no folder to hold it.
    pub fn file(html: &Path) -> Result<Target> {
        let wrong = |what: &str| {
            Err(Error::usage(what).option_as("html", html.display()).remedy("give a file such as report.html in a folder that exists"))
        };
        if html.extension().is_none_or(|e| e != "html") {
            return wrong("the page's name does not end in .html");
        }
        if html.is_dir() {
            return wrong("this is a folder");
        }
        let above = crate::storage::folder_of(html);
        if !above.is_dir() {
            return wrong("there is no such folder");
        }
        Ok(Target { html: html.to_path_buf(), folder: html.with_extension("") })
    }
}

/// Writes page, pictures and numbers. Pictures of an earlier report that this one does not have stay.
///
/// # Errors
/// Storage: the disk.
pub fn write(storage: &dyn Storage, report: &Report, target: &Target) -> Result<()> {
    if !target.folder.is_dir() {
        std::fs::create_dir(&target.folder).map_err(|e| Error::io(&target.folder, "creating the folder", &e))?;
    }
    for figure in report.figures() {
        let path = |ending: &str| target.folder.join(format!("{}.{ending}", figure.name));
        write_text(storage, &path("svg"), &standalone(figure))?;
        write_text(storage, &path("csv"), &figure.table.csv())?;
    }
    let folder = target.folder.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    write_text(storage, &target.html, &page::page(report, &folder)).map(|_| ())
}

/// With its title, and on white: the colour of text and axes wants a light ground.
fn standalone(f: &Figure) -> String {
    let title = maud::html! { title { (f.title) } }.into_string();
    match f.svg.split_once('>') {
        Some((head, body)) => format!("{head}>\n{title}\n<rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>{body}"),
        None => f.svg.clone(),
    }
}
