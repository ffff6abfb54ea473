//! `spiketrain report`: runs on one page.

use std::path::{Path, PathBuf};

use super::args::ReportArgs;
use super::progress::Voice;
use super::{eval, print, say, set_threads};
use crate::checkpoint;
use crate::config::{Config, Options};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::plural::counted_as;
use crate::report::find::{self, Found};
use crate::report::{Look, Report, Request, Run, Target, look, write};
use crate::run_folder;
use crate::storage::Disk;
use crate::trained::Trained;

/// Reads the runs, looks at the network of the first, measures what the others cost, writes the page. Nothing is written before all of it is known.
pub fn run(a: &ReportArgs) -> Result<u8> {
    set_threads(a.threads)?;
    let Found { mut runs, left_out } = find::runs(&a.runs)?;
    let target = match &a.html {
        Some(html) => Target::file(html)?,
        None => Target::within(&a.runs[0]),
    };
    same_classes(&runs)?;
    let voice = a.loudness.voice();
    let mut sets = Sets { voice, loaded: None };
    let look = seen(a, &runs[0], &mut sets).map_err(|e| e.to_string().replace('\n', ";"));
    if let Err(why) = &look {
        voice.say(format!("note: samples, confusion matrix and filters are left out: {why}"));
    }
    if let (None, Ok(look)) = (&runs[0].cost, &look) {
        runs[0].cost = look.cost.clone();
    }
    costs(a, &mut runs, &mut sets);
    let mut report = Report::new(&runs, &look)?;
    report.warnings.extend(left_out);
    write(&Disk, &report, &target)?;
    for warning in &report.warnings {
        say(format!("warning: {warning}"));
    }
    let pictures = counted_as(report.figures().count(), "picture and its numbers", "pictures and their numbers");
    print(format!("{}\n{} in {}", target.html.display(), pictures, target.folder.display()));
    Ok(0)
}

/// Runs that tell other things apart have accuracies that do not compare.
fn same_classes(runs: &[Run]) -> Result<()> {
    let classes: Vec<Option<Vec<String>>> = if runs.len() < 2 { Vec::new() } else { runs.iter().map(|r| class_names(&r.path)).collect() };
    for (run, other) in runs.iter().zip(&classes).skip(1) {
        let (Some(first), Some(other)) = (&classes[0], other) else { continue };
        if first != other {
            let list = |names: &[String]| {
                format!(
                    "{} ({}{})",
                    counted_as(names.len(), "class", "classes"),
                    names[..names.len().min(3)].join(", "),
                    if names.len() > 3 { ", …" } else { "" }
                )
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
    let kept = run_folder::weights_in(run).and_then(|path| checkpoint::load(&Disk, &path).ok());
    let loaded = kept.or_else(|| Some(checkpoint::load_newest(&Disk, run).ok()?.checkpoint));
    Some(loaded?.header.classes)
}

/// The data set that was loaded last, for the next run if it is the same.
struct Sets {
    voice: Voice,
    loaded: Option<(Options, Box<dyn Dataset>)>,
}

impl Sets {
    fn of(&mut self, config: &Config) -> Result<&dyn Dataset> {
        let key = config.of_data();
        // Two sets need not fit into memory: the one that does not serve goes first.
        let (_, data) = match self.loaded.take().filter(|(k, _)| *k == key) {
            Some(same) => self.loaded.insert(same),
            None => self.loaded.insert((key, super::train::load(config, self.voice)?)),
        };
        Ok(&**data)
    }
}

/// The network of a run and its data set, which fits it, and the checkpoint's file.
fn open<'a>(a: &ReportArgs, run: &Run, sets: &'a mut Sets) -> Result<(Trained, &'a dyn Dataset, PathBuf)> {
    let (net, path) = eval::open(&run.path, a.device.as_ref())?;
    let net = a.places.of(net);
    let data = sets.of(net.config())?;
    eval::check(&net, data, a.loudness.voice()).map_err(|e| e.at(path.display()))?;
    Ok((net, data, path))
}

fn classified(a: &ReportArgs) -> Option<usize> {
    (a.test_samples > 0).then_some(a.test_samples)
}

fn seen(a: &ReportArgs, run: &Run, sets: &mut Sets) -> Result<Look> {
    let (net, data, path) = open(a, run, sets)?;
    let request = Request { samples: a.samples, classified: classified(a), cost: run.cost.is_none() };
    let file = path.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned());
    Ok(Look {
        source: format!("checkpoint {file}, after step {}", net.step()),
        ..Look::at(&net, data, &request).map_err(|e| e.at(path.display()))?
    })
}

/// Measures what the networks of the other runs cost, where no study has: energies compare only if every run has one.
fn costs(a: &ReportArgs, runs: &mut [Run], sets: &mut Sets) {
    let of = runs.len();
    for (i, run) in runs.iter_mut().enumerate().skip(1).filter(|(_, r)| r.cost.is_none()) {
        sets.voice.say(format!("measuring energy and latency of run {} of {of}: {}", i + 1, run.name));
        let measured =
            open(a, run, sets).and_then(|(net, data, path)| look::cost(&net, data, classified(a)).map_err(|e| e.at(path.display())));
        match measured {
            Ok(cost) => run.cost = cost,
            Err(e) => run.remarks.push(format!("energy and latency could not be measured: {}", e.to_string().replace('\n', ";"))),
        }
    }
}
