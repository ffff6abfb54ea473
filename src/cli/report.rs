//! `spiketrain report`: runs on one page.

use std::path::Path;

use super::args::ReportArgs;
use super::{eval, print, say, set_threads};
use crate::checkpoint;
use crate::error::{Error, Result};
use crate::report::{Look, Report, Request, Run, Target, write};
use crate::run_folder;
use crate::storage::Disk;

/// Reads the runs, looks at the network of the first, writes the page. Nothing is written before all of it is known.
pub fn run(a: &ReportArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let runs = Run::read_all(&a.runs)?;
    let target = match &a.html {
        Some(html) => Target::file(html)?,
        None => Target::within(&runs[0].path),
    };
    same_classes(&runs)?;
    let look = look(a, &runs[0]).map_err(|e| e.to_string().replace('\n', ";"));
    if let Err(why) = &look {
        say(format!("note: samples, confusion matrix and filters are left out: {why}"));
    }
    let report = Report::new(&runs, &look)?;
    write(&Disk, &report, &target)?;
    for warning in &report.warnings {
        say(format!("warning: {warning}"));
    }
    print(format!("{}\n{} pictures and their numbers in {}", target.html.display(), report.figures().count(), target.folder.display()));
    Ok(0)
}

/// Runs that tell other things apart have accuracies that do not compare.
fn same_classes(runs: &[Run]) -> Result<()> {
    let classes: Vec<Option<Vec<String>>> = if runs.len() < 2 { Vec::new() } else { runs.iter().map(|r| class_names(&r.path)).collect() };
    for (run, other) in runs.iter().zip(&classes).skip(1) {
        let (Some(first), Some(other)) = (&classes[0], other) else { continue };
        if first != other {
            let list = |names: &[String]| {
                format!("{} classes ({}{})", names.len(), names[..names.len().min(3)].join(", "), if names.len() > 3 { ", …" } else { "" })
            };
            return Err(Error::usage(format!("this run tells {} apart, {} has {}", list(other), runs[0].name, list(first)))
                .at(run.path.display())
                .remedy("make a report of each"));
        }
    }
    Ok(())
}

/// Of a checkpoint of the run; a run without a usable one cannot be compared by its classes.
fn class_names(run: &Path) -> Option<Vec<String>> {
    let best = run.join(run_folder::BEST);
    let newest = || Some(checkpoint::load_newest(&Disk, run).ok()?.checkpoint);
    let loaded = if best.exists() { checkpoint::load(&Disk, &best).ok().or_else(newest) } else { newest() };
    Some(loaded?.header.classes)
}

fn look(a: &ReportArgs, run: &Run) -> Result<Look> {
    let (net, path) = eval::open(&run.path)?;
    let net = a.places.of(net);
    let data = super::train::load(net.config())?;
    eval::check(&net, &*data).map_err(|e| e.at(path.display()))?;
    let request = Request { samples: a.samples, classified: (a.test_samples > 0).then_some(a.test_samples), cost: run.cost.is_none() };
    let file = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    Ok(Look {
        source: format!("checkpoint {file}, after step {}", net.step()),
        ..Look::at(&net, &*data, &request).map_err(|e| e.at(path.display()))?
    })
}
