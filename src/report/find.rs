//! Which runs are meant: a run's folder, a study's, or one that holds runs.

use crate::plural::counted;
use std::path::{Path, PathBuf};

use super::Run;
use crate::error::{Error, Kind, Result};
use crate::run_folder::CONFIG;
use crate::study::{RUNS, STUDY};

/// The runs of a report.
pub struct Found {
    /// At least one, in the order of the folders given; within a folder by name, `-s10` after `-s2`.
    pub runs: Vec<Run>,
    /// Runs that were found in a folder and cannot be shown, and why.
    pub left_out: Vec<String>,
}

/// Reads the runs of `paths`. A folder that is no run stands for the runs in it, a study's folder for those in its `runs/`; among
/// these, a run that has not finished an epoch is left out. Where names repeat or are long, they are made distinct and short.
///
/// # Errors
/// Usage: no folder, no run in it, a run without a finished epoch that was named itself, or a run given twice. As [`Run::read`].
pub fn runs(paths: &[PathBuf]) -> Result<Found> {
    let (mut folders, mut left_out) = (Vec::new(), Vec::new());
    for path in paths {
        let inside = if path.join(CONFIG).is_file() { Vec::new() } else { inside(path)? };
        if inside.is_empty() {
            folders.push(path.clone());
        }
        let before = folders.len();
        for folder in inside.iter() {
            match Run::read(folder) {
                Ok(_) => folders.push(folder.clone()),
                Err(e) if e.kind == Kind::Usage => left_out.push(format!("left out: {}", e.to_string().replace('\n', ";"))),
                Err(e) => return Err(e),
            }
        }
        if !inside.is_empty() && folders.len() == before {
            return Err(Error::usage(format!("none of the {} in this folder has finished an epoch", counted(inside.len(), "run")))
                .at(path.display())
                .remedy("wait for the first epoch, or go on with a run: spiketrain train --resume FOLDER"));
        }
    }
    let mut runs = Run::read_all(&folders)?;
    shorten(&mut runs);
    Ok(Found { runs, left_out })
}

/// The run folders right below `path`, or below `runs/` of a study.
fn inside(path: &Path) -> Result<Vec<PathBuf>> {
    let path = if path.join(STUDY).is_file() { path.join(RUNS) } else { path.to_path_buf() };
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&path).map_err(|e| Error::io(&path, "listing the folder", &e))?;
    let mut found = Vec::new();
    for entry in entries {
        let run = entry.map_err(|e| Error::io(&path, "listing the folder", &e))?.path();
        if run.join(CONFIG).is_file() {
            found.push(run);
        }
    }
    found.sort_by_key(|p| {
        let name = p.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
        let text = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_string();
        (text.clone(), name[text.len()..].parse::<u64>().unwrap_or(0), name)
    });
    Ok(found)
}

/// Names of more characters make legends and tables wrap.
const LONG: usize = 24;

/// Takes from long names the words that all of them begin with, as long as something is left of each.
fn shorten(runs: &mut [Run]) {
    if runs.len() < 2 || runs.iter().all(|r| r.name.chars().count() <= LONG) {
        return;
    }
    let first = runs[0].name.clone();
    let mut ends = first.char_indices().filter(|(_, c)| matches!(c, '-' | '/' | '_')).map(|(i, _)| i + 1);
    // What is left begins with a whole word and is more than a number.
    let tells = |r: &Run, end: usize| r.name.starts_with(&first[..end]) && r.name[end..].contains(char::is_alphabetic);
    let common = ends.rfind(|&end| runs.iter().all(|r| tells(r, end)));
    if let Some(end) = common {
        runs.iter_mut().for_each(|r| r.name = r.name[end..].to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;
    use super::*;
    use crate::config::Options;

    #[test]
    fn long_names_lose_what_they_share_and_stay_distinct() {
        let names = |all: &[&str]| {
            let mut runs: Vec<Run> = all.iter().map(|n| run(n, Options::default(), Vec::new())).collect();
            shorten(&mut runs);
            runs.into_iter().map(|r| r.name).collect::<Vec<_>>()
        };
        let long = "mnist-16C3-MP2-32C3-MP2-256FC-DP-10Voting";
        assert_eq!(names(&[&format!("{long}-stbp-1"), &format!("{long}-bpsa-1")]), ["stbp-1", "bpsa-1"]);
        assert_eq!(names(&[&format!("{long}-stbp-1"), &format!("{long}-stbp-12")]), ["stbp-1", "stbp-12"]);
        assert_eq!(names(&["a-b", "a-c"]), ["a-b", "a-c"]);
        assert_eq!(names(&[long]), [long]);
    }
}
