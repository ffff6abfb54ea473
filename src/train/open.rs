//! What a session begins with: configuration, data set, run folder; the same for every door to the program.

use std::path::{Path, PathBuf};

use crate::config::{Config, Mark, Options};
use crate::curriculum::TimeSteps;
use crate::data::frame_set::FrameSet;
use crate::data::recordings::{self, EventOptions};
use crate::data::stages::Stages;
use crate::data::{self, Dataset, DatasetName, LoadOptions, verify};
use crate::error::{Error, Result};
use crate::events::Sensor;
use crate::notation::PRESETS;
use crate::run_folder::{self, RunFolder};
use crate::storage::{self, Disk};

/// With absolute folders: a run may be resumed from another one.
///
/// # Errors
/// Storage: there is no current folder.
pub fn absolute(mut options: Options) -> Result<Options> {
    for dir in options.paths_mut() {
        *dir = std::path::absolute(&*dir).map_err(|e| Error::io(dir, "finding", &e))?;
    }
    Ok(options)
}

/// The configuration of a new run: what is said, else what the TOML file says, else the defaults.
///
/// # Errors
/// Usage: a key or value is not known or out of range. Storage: the file cannot be read.
pub fn fresh(said: Options, file: Option<&Path>) -> Result<Config> {
    let file = file.map(Options::read).transpose()?.unwrap_or_default();
    // A run chosen on its validation split says so in its file; another split wants another choice.
    let file = if said.val_split.is_some() { Options { best_on: None, ..file } } else { file };
    let file = one_length(&said, file);
    absolute(said.or(file))?.complete()
}

/// What a file says, without the epochs that a curriculum contradicts which is said, or the other way round.
fn one_length(said: &Options, file: Options) -> Options {
    match (said.epochs, said.time_steps.as_ref().and_then(TimeSteps::epochs)) {
        (None, Some(_)) => Options { epochs: None, ..file },
        (Some(epochs), None) => Options { time_steps: file.time_steps.map(|steps| steps.fitted(epochs)), ..file },
        _ => file,
    }
}

/// Folder and configuration of a run to go on with; where the data and its cache lie may be said anew, and a larger number of epochs,
/// another device, or that events are sorted, which its config.toml has from then on.
///
/// # Errors
/// Usage: something else is said, or there is no run. Format or Storage: its configuration cannot be read.
pub fn resumed(folder: &Path, mut said: Options) -> Result<(RunFolder, Config)> {
    let (epochs, device) = (said.epochs.take(), said.device.take());
    let sort = said.sort.take_if(|sort| *sort).is_some();
    if said.clone().without(&[Mark::Place]) != Options::default() {
        return Err(takes_options_from_its_folder());
    }
    let folder = RunFolder::open(Box::new(Disk), folder)?;
    let mut config = folder.read_config()?;
    // A run that is older than the refusal of recordings out of order cannot go on without.
    if sort && !config.sort {
        if folder.result().exists() && epochs.is_none_or(|epochs| epochs <= config.epochs) {
            return Err(Error::usage("this run is finished: what it was trained on is no longer chosen")
                .option("sort")
                .remedy("evaluate it with eval --sort, or let it go on for longer: --resume RUN --sort --epochs N"));
        }
        config = config.sorted()?;
        folder.write_config(&config.to_toml()?)?;
    }
    if let Some(epochs) = epochs.filter(|&epochs| epochs != config.epochs) {
        config = config.lengthened(epochs)?;
        // What it was is no result any more; then what it shall be.
        storage::remove_if_there(folder.storage(), &folder.result())?;
        folder.write_config(&config.to_toml()?)?;
    }
    if let Some(device) = device.filter(|device| *device != config.device) {
        config.device = device;
        folder.write_config(&config.to_toml()?)?;
    }
    Ok((folder, config.with_data_at(said.data_dir, said.cache)))
}

/// What is said to other options of a run that is gone on with.
pub fn takes_options_from_its_folder() -> Error {
    Error::usage("a resumed run takes its options from its folder").option("resume").remedy(
        "give -j, --memory, --data-dir, --cache, --device, --sort and more --epochs at most; with another rate or rule a new run begins with its weights: \
             train --config RUN/config.toml --init RUN/last.ckpt --lr 0.0003",
    )
}

/// Loads the data set of a configuration; recordings are prepared if that was not done before.
///
/// # Errors
/// As [`data::load`] and [`recordings::load`].
pub fn dataset(c: &Config, watch: &mut dyn verify::Observer) -> Result<Box<dyn Dataset>> {
    dataset_by(c, recordings::load, watch)
}

/// The data set of a configuration for a rehearsal: of recordings that are not prepared the first few stand for all.
///
/// # Errors
/// As [`data::load`] and [`recordings::rehearse`].
pub fn rehearsed(c: &Config, watch: &mut dyn verify::Observer) -> Result<Box<dyn Dataset>> {
    dataset_by(c, recordings::rehearse, watch)
}

/// Whether the files of a configuration's data set are where they should be; recordings are found, but not read.
///
/// # Errors
/// As [`dataset`]: Usage where they are not.
pub fn there(c: &Config) -> Result<()> {
    match c.dataset.has_recordings() {
        true => recordings::there(c.dataset, &event_options(c, c.time_steps.last())),
        false => dataset(c, &mut ()).map(drop),
    }
}

type LoadFrames = fn(DatasetName, &EventOptions, &mut dyn verify::Observer) -> Result<FrameSet>;

fn dataset_by(c: &Config, load: LoadFrames, watch: &mut dyn verify::Observer) -> Result<Box<dyn Dataset>> {
    // A study keeps a data set as long as these options stay; so others must not reach it.
    let c = &c.of_data().complete()?;
    if c.dataset.is_events() {
        let in_steps = |steps: usize| load(c.dataset, &event_options(c, steps), watch);
        let mut sets = stages(&c.time_steps).into_iter().map(in_steps).collect::<Result<Vec<_>>>()?;
        return Ok(if sets.len() == 1 { Box::new(sets.remove(0)) } else { Box::new(Stages::new(sets)) });
    }
    let options = LoadOptions {
        data_dir: c.data_dir.clone(),
        images_dir: c.images_dir.clone(),
        size: c.size.map(|[h, w]| (h, w)),
        grey: c.grey,
        allow_partial: c.allow_partial,
        seed: c.seed,
        train_limit: c.train_limit,
        test_limit: c.test_limit,
    };
    Ok(Box::new(data::load(c.dataset, &options)?))
}

/// Every T, that of the network last.
fn stages(steps: &TimeSteps) -> Vec<usize> {
    let mut all = steps.all();
    all.retain(|&t| t != steps.last());
    all.push(steps.last());
    all
}

fn event_options(c: &Config, steps: usize) -> EventOptions {
    // What has more pixels than fit is refused with the other sizes that are out of range.
    let side = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
    EventOptions {
        data_dir: c.data_dir.clone(),
        folder: c.events_dir.clone(),
        size: c.size.map(|[w, h]| Sensor { width: side(w), height: side(h) }),
        steps,
        split_by: c.split_by,
        allow_partial: c.allow_partial,
        strict: c.strict,
        sort: c.sort,
        seed: c.seed,
        cache: c.cache.clone(),
        train_limit: c.train_limit,
        test_limit: c.test_limit,
    }
}

/// The name of the preset that a configuration names, if it does.
pub fn preset(c: &Config) -> Option<&'static str> {
    PRESETS.iter().find(|p| p.name == c.net).map(|p| p.name)
}

/// Makes the folder of a new run, `runs/<dataset>-<net>-<rule>-<n>` unless `out` says where, and writes its configuration: `c`, of the
/// trainer, from which `preset` was resolved.
///
/// # Errors
/// As [`RunFolder::create`].
pub fn folder(c: &Config, preset: Option<&str>, out: Option<PathBuf>) -> Result<RunFolder> {
    let name = preset.map_or_else(|| c.net.to_lowercase(), str::to_string);
    let path = out.unwrap_or_else(|| run_folder::next_free(Path::new("runs"), &c.dataset.to_string(), &name, c.rule.name()));
    let folder = RunFolder::create(Box::new(Disk), &path)?;
    folder.write_config(&c.to_toml()?)?;
    Ok(folder)
}
