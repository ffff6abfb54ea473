//! `spiketrain study`: the same training over rules, T, α and seeds.

use super::args::{RunArgs, StudyArgs, StudyCommand, StudyOptions};
use super::progress::{Terminal, Voice};
use super::train::{handle_signals, load};
use super::{print, rehearse, set_threads};
use crate::config::{Config, Options};
use crate::data::Dataset;
use crate::error::Result;
use crate::plural::counted;
use crate::study::run::Surroundings;
use crate::study::table::tables;
use crate::study::{Kind, Study, default_folder};
use crate::train::{Stop, open::absolute};

/// Runs a study, or goes on with it.
pub fn run(a: &StudyArgs) -> Result<u8> {
    match &a.command {
        StudyCommand::Ablation(s) => study(Kind::Ablation, s, &[], &[]),
        StudyCommand::Energy(s) => study(Kind::Energy, s, &[], &[]),
        StudyCommand::Latency(l) => study(Kind::Latency, &l.study, &l.steps, &[]),
        StudyCommand::Alpha(a) => study(Kind::Alpha, &a.study, &[], &a.alphas),
    }
}

fn study(kind: Kind, a: &StudyOptions, steps: &[usize], alphas: &[f64]) -> Result<u8> {
    set_threads(a.run.options.threads)?;
    let study = Study::new(kind, options(&a.run)?, &a.rules, steps, alphas, &a.tune)?;
    let voice = a.loudness.voice();
    if a.dry_run {
        return rehearse::study(&study, a.seeds, a.run.options.memory, voice);
    }
    let folder = a.out.clone().unwrap_or_else(|| default_folder(kind, &study.options));
    let (cells, seeds) = (counted(study.cells.len(), "cell"), counted(a.seeds, "seed"));
    voice.say(format!("study {} of {cells} and {seeds} in {}", kind.name(), folder.display()));
    study.has_begun(&folder)?;
    voice.say(rehearse::of_study(&study, &folder, a.seeds, a.run.options.memory, voice)?);
    let stop = handle_signals()?;
    let rows = with_hands(a.run.options.memory, voice, &stop, |around| study.run(&folder, a.seeds, around))?;
    let Some(rows) = rows else {
        voice.say(format!("stopped, checkpoint saved; run the same command again to go on in {}", folder.display()));
        return Ok(128 + stop.requested().unwrap_or_default());
    };
    tables(&rows).iter().for_each(|t| print(t.text()));
    print(format!("all figures in {0}: study.json, table.md, table.csv; a page: spiketrain report {0}", folder.display()));
    Ok(0)
}

/// What was said, on the command line and in the file, with folders that hold wherever the study is gone on with.
pub(super) fn options(a: &RunArgs) -> Result<Options> {
    let file = a.config.as_deref().map(Options::read).transpose()?.unwrap_or_default();
    let said = absolute(a.options()?.or(file))?;
    said.check()?;
    Ok(said)
}

/// Does something that trains, with a terminal to watch and data to load.
pub(super) fn with_hands<T>(
    memory: Option<usize>,
    voice: Voice,
    stop: &Stop,
    work: impl FnOnce(&mut Surroundings) -> Result<T>,
) -> Result<T> {
    let mut watch = Terminal::new(voice);
    let mut load = |c: &Config| -> Result<Box<dyn Dataset>> { load(c, voice) };
    let mut around = Surroundings { load: &mut load, watch: &mut watch, stop, memory, loaded: None };
    let done = work(&mut around);
    watch.clear();
    done
}
