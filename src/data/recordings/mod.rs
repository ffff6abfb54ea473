//! Sets of event recordings: from the files they are distributed in to prepared frames.
//!
//! [`load`] is the door for training, [`prepare`] says more. Both open the cache if there is one made from the same files with the
//! same options, and build it otherwise ([`super::cache`]). One file per set: `nmnist`, `dvs_gesture`, `dvs_cifar10`, `folder` (the
//! user's own); `listing` finds their files, `supply` reads them, zip and tar.gz in place, `plan` is what they have in common, and
//! `build` does the work.

mod build;
pub(super) mod dvs_cifar10;
pub(super) mod dvs_gesture;
pub(super) mod folder;
mod listing;
pub(super) mod nmnist;
mod peek;
mod plan;
mod prepared;
mod supply;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::cache::part::Part;
use super::cache::{About, Cache, is_distrust, take_damaged};
use super::frame_set::FrameSet;
use super::sets::Source;
use super::verify::{Doing, Observer};
use super::{DatasetName, catalog, check_limits, default_data_dir, hex, own, sets};
use crate::error::{Error, Result};
use crate::events::Sensor;
use crate::frames::{MAX_BAD_SHARE, SplitBy, cells};
use crate::limits;
use crate::plural::{counted, either};
pub use crate::simulate::write::SIMULATED;
use crate::simulate::write::is_simulated;
use crate::storage::{self, Digest256, Disk, Storage};
use build::Cut;
pub use build::turn;
use listing::Found;
use plan::Plan;
pub use prepared::{Built, Prepared};

/// How long to wait for another process to let go of the folder.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the recordings of a set lie, and what is done with them.
pub(crate) struct Layout {
    /// Which recordings there are among the files found in the folder, the samples in them and their splits.
    plan: fn(&Path, Vec<Found>, &EventOptions, &mut dyn Observer) -> Result<Plan>,
    /// A file that tells that what an archive would hold lies in the set's folder itself.
    unpacked_list: Option<&'static str>,
    /// Whether events are turned ([`turn`]).
    pub(crate) turned: bool,
}

/// What to prepare, and how.
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// The folder that holds `nmnist/`, `dvs-gesture/`…; `None`: [`default_data_dir`].
    pub data_dir: Option<PathBuf>,
    /// The set's own folder: needed for [`sets::EVENTS`], for the others in place of the one in the data folder.
    pub folder: Option<PathBuf>,
    /// For [`sets::EVENTS`]: the sensor, where the format does not say it.
    pub size: Option<Sensor>,
    /// T.
    pub steps: usize,
    /// How recordings are cut.
    pub split_by: SplitBy,
    /// Go on when recordings of a published set are missing.
    pub allow_partial: bool,
    /// Refuse any bad event.
    pub strict: bool,
    /// Put events in the order of their times.
    pub sort: bool,
    /// Seed of the split of [`sets::EVENTS`].
    pub seed: u64,
    /// The folder of prepared frames; `None`: `cache/` in the data folder.
    pub cache: Option<PathBuf>,
    /// Take only the first N training samples.
    pub train_limit: Option<usize>,
    /// Take only the first N test samples.
    pub test_limit: Option<usize>,
}

impl Default for EventOptions {
    /// T = 16, by number, seed 1, everything published.
    fn default() -> Self {
        EventOptions {
            data_dir: None,
            folder: None,
            size: None,
            steps: 16,
            split_by: SplitBy::Number,
            allow_partial: false,
            strict: false,
            sort: false,
            seed: 1,
            cache: None,
            train_limit: None,
            test_limit: None,
        }
    }
}

impl EventOptions {
    fn data_dir(&self) -> Result<PathBuf> {
        self.data_dir.clone().map_or_else(default_data_dir, Ok)
    }

    /// The options that change frames or split, as text.
    fn decisive(&self, name: DatasetName, simulated: bool) -> String {
        let size = self.size.map_or(String::new(), |s| format!(" size={}x{}", s.width, s.height));
        let seed = if name.is_own() { format!(" seed={}", self.seed) } else { String::new() };
        let sort = if self.sort { " sorted" } else { "" };
        let (steps, by, partial) = (self.steps, self.split_by.name(), self.allow_partial);
        format!("{name} T={steps} by={by} partial={partial} simulated={simulated}{size}{seed}{sort}")
    }
}

/// The frames of a set, ready to train on. Recordings are prepared if that was not done before.
///
/// # Errors
/// As [`prepare`] and [`check_quality`].
pub fn load(name: DatasetName, options: &EventOptions, watch: &mut dyn Observer) -> Result<FrameSet> {
    if let Source::Frames(load) = name.source {
        return load(options);
    }
    check_limits(options.train_limit, options.test_limit)?;
    let prepared = prepare(name, options, false, watch)?;
    check_quality(name, &prepared, options, watch)?;
    Ok(prepared.into_set(options))
}

/// Refuses to train on what would mislead: a recording out of order, which many good ones would hide in a sum over all of them, or
/// too many bad events in all.
///
/// # Errors
/// Format, naming the recording or the set.
pub fn check_quality(name: DatasetName, prepared: &Prepared, options: &EventOptions, watch: &mut dyn Observer) -> Result<()> {
    let entries = prepared.cache.entries();
    let mut disordered = entries.iter().enumerate().filter(|(_, e)| e.quality.is_disordered());
    let Some((sample, entry)) = disordered.next() else {
        return prepared.quality.check(options.strict).map_err(|e| e.at(format!("data set {name}")));
    };
    let (count, q) = (1 + disordered.count(), entry.quality);
    let share = |part: f64| format!("{:.2} %", 100.0 * part);
    let what = format!(
        "expected {} of the events out of order at most, found {} of {} ({}); {count} of {} {} more",
        share(MAX_BAD_SHARE),
        q.misplaced,
        q.events,
        share(q.misplaced as f64 / q.events as f64),
        counted(entries.len(), "sample"),
        either(count, "has", "have")
    );
    // A cache has no names of files: the set is listed once more, for this message only.
    let place = place_of(name, sample, options, watch).unwrap_or_else(|_| format!("data set {name}, sample {sample}"));
    Err(Error::format(what)
        .at(place)
        .remedy("--sort puts events in the order of their times; spiketrain data inspect FILE shows a recording"))
}

/// The recording that holds a sample, as messages name it.
fn place_of(name: DatasetName, sample: usize, options: &EventOptions, watch: &mut dyn Observer) -> Result<String> {
    let layout = name.recordings().ok_or_else(|| no_recordings(name))?;
    let Here { folder, files, .. } = here(name, layout, options)?;
    let plan = (layout.plan)(&folder, files, options, watch)?;
    let holds = |r: &&plan::Planned| r.samples.iter().any(|(number, _)| *number as usize == sample);
    let found = plan.recordings.into_iter().find(|r| holds(&r)).map(|r| r.place);
    found.ok_or_else(|| Error::bug(format!("sample {sample} is in no recording")))
}

/// The frames of a set for a rehearsal, which writes nothing: those that are prepared, or else the first few, which stand for all.
///
/// # Errors
/// As [`load`], but that nothing can fail to be written.
pub fn rehearse(name: DatasetName, options: &EventOptions, watch: &mut dyn Observer) -> Result<FrameSet> {
    let Some(layout) = name.recordings() else { return load(name, options, watch) };
    check(options)?;
    check_limits(options.train_limit, options.test_limit)?;
    let Here { folder, files, simulated, key, path } = here(name, layout, options)?;
    let mut notes = Vec::new();
    if let Some(cache) = open(&path, &key, false, &mut notes)? {
        return Ok(Prepared::new(cache, None, notes).into_set(options));
    }
    let cut = Cut { steps: options.steps, by: options.split_by, sorted: options.sort, turned: layout.turned };
    let mut set = peek::peek(name, &(layout.plan)(&folder, files, options, watch)?, cut, simulated)?;
    prepared::limit(&mut set, options);
    Ok(set)
}

/// Opens the prepared frames of a set, or builds them; if `verify`, every block of frames that are there is checked.
///
/// # Errors
/// Usage: the set is not there or not whole, or an option does not fit; Format: a recording, list or archive is not what it should be;
/// Storage: reading or writing fails, or another process prepares the same set.
pub fn prepare(name: DatasetName, options: &EventOptions, verify: bool, watch: &mut dyn Observer) -> Result<Prepared> {
    prepare_on(&Disk, name, options, verify, watch)
}

fn prepare_on(
    storage: &dyn Storage,
    name: DatasetName,
    options: &EventOptions,
    verify: bool,
    watch: &mut dyn Observer,
) -> Result<Prepared> {
    let start = Instant::now();
    check(options)?;
    let Some(layout) = name.recordings() else { return Err(no_recordings(name)) };
    let Here { folder, files, simulated, key, path } = here(name, layout, options)?;
    let mut notes = Vec::new();
    if let Some(cache) = open(&path, &key, verify, &mut notes)? {
        return Ok(Prepared::new(cache, None, notes));
    }
    let home = storage::folder_of(&path);
    fs::create_dir_all(home).map_err(|e| cache_error(Error::io(home, "creating the folder", &e)))?;
    let _lock = lock(home)?;
    // The other process may just have finished.
    if let Some(cache) = open(&path, &key, verify, &mut notes)? {
        return Ok(Prepared::new(cache, None, notes));
    }
    if take_damaged(&path)? {
        notes.push(format!("{} was damaged: built anew", path.display()));
    }
    let cut = Cut { steps: options.steps, by: options.split_by, sorted: options.sort, turned: layout.turned };
    let plan = (layout.plan)(&folder, files, options, watch)?;
    // What cannot be read is told by the build, in its place.
    if let Ok(disk) = peek::disk(&plan, cut) {
        watch.note(&disk);
    }
    let (cache, events) = build_cache(storage, name, &plan, cut, (&path, key), simulated, watch)?;
    Ok(Prepared::new(cache, Some(Built { seconds: start.elapsed().as_secs_f64(), events }), notes))
}

/// Whether there are recordings of a set here; none is read.
///
/// # Errors
/// Usage: there are none, or an option does not fit. Storage: a folder cannot be listed.
pub fn there(name: DatasetName, options: &EventOptions) -> Result<()> {
    check(options)?;
    let layout = name.recordings().ok_or_else(|| no_recordings(name))?;
    here(name, layout, options).map(drop)
}

/// The recordings of a set as they lie here, and the cache that belongs to them.
struct Here {
    folder: PathBuf,
    files: Vec<Found>,
    simulated: bool,
    key: Digest256,
    path: PathBuf,
}

fn here(name: DatasetName, layout: &Layout, options: &EventOptions) -> Result<Here> {
    let (folder, roots) = roots(name, layout, options)?;
    let files = listing::find(&folder, &roots)?;
    let simulated = is_simulated(&folder)?;
    // Frames that were prepared when such a folder was not used do not say which of their samples lie in it.
    let roots = files.iter().filter(|f| f.parts.len() >= 3).map(|f| f.parts[0].as_str());
    let validation = if name.is_own() && own::validation(roots).is_some() { " validation" } else { "" };
    let key = listing::key(&(options.decisive(name, simulated) + validation), &files);
    let path = cache_path(name, options, &folder)?;
    Ok(Here { folder, files, simulated, key, path })
}

/// Keeps the folder for this process. A process that was killed may take a moment to end.
fn lock(home: &Path) -> Result<fs::File> {
    let start = Instant::now();
    loop {
        if let Some(lock) = storage::lock(home).map_err(cache_error)? {
            return Ok(lock);
        }
        if start.elapsed() > PATIENCE {
            let err = Error::storage("another process prepares frames in this folder").at(home.display());
            return Err(err.remedy("wait for it; or choose another folder with --cache"));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Builds the cache, from where an interrupted build came to.
fn build_cache(
    storage: &dyn Storage,
    name: DatasetName,
    plan: &Plan,
    cut: Cut,
    (path, key): (&Path, Digest256),
    simulated: bool,
    watch: &mut dyn Observer,
) -> Result<(Cache, u64)> {
    let order: Vec<Vec<u32>> = plan.recordings.iter().map(|r| r.samples.iter().map(|s| s.0).collect()).collect();
    let (mut part, done) = Part::begin(storage, path, key, cells(plan.sensor, cut.steps), &order).map_err(cache_error)?;
    if done > 0 {
        watch.note(&format!("going on after {done} of {} prepared before", counted(order.len(), "recording")));
    }
    let bytes = |n: usize| plan.recordings[..n].iter().map(|r| r.bytes).sum::<u64>();
    watch.begin(Doing::Preparing, name.as_str(), bytes(done), bytes(order.len()));
    let mut notes = plan.notes.clone();
    let (events, noted) = build::build(plan, cut, &mut part, done, watch)?;
    notes.extend(noted);
    if simulated {
        notes.push("simulated: no camera saw these recordings".to_string());
    }
    let about = About {
        set: name,
        width: plan.sensor.width,
        height: plan.sensor.height,
        steps: cut.steps,
        split_by: cut.by,
        classes: plan.classes.clone(),
        split_hash: plan.split_hash(),
        validation: plan.validation,
        fingerprint: String::new(),
        simulated,
        notes,
    };
    let places: Vec<_> = plan.samples.iter().map(|s| s.place).collect();
    Ok((part.finish(about, &places)?, events))
}

/// The cache at `path` if it can be trusted; what is not is said in the notes.
fn open(path: &Path, key: &Digest256, verify: bool, notes: &mut Vec<String>) -> Result<Option<Cache>> {
    let opened = Cache::open(path, key).and_then(|cache| {
        if let Some(cache) = cache.as_ref().filter(|_| verify) {
            cache.verify()?;
        }
        Ok(cache)
    });
    match opened {
        Err(e) if is_distrust(&e) => {
            let note = format!("{}: {}: built anew", e.place, e.what);
            if !notes.contains(&note) {
                notes.push(note);
            }
            Ok(None)
        }
        other => other,
    }
}

fn check(options: &EventOptions) -> Result<()> {
    if !(1..=limits::MAX_TIME_STEPS).contains(&options.steps) {
        return Err(Error::usage(format!("expected T of 1 to {}, found {}", limits::MAX_TIME_STEPS, options.steps)).option("T"));
    }
    let side = 1..=limits::MAX_SIDE;
    if let Some(s) = options.size.filter(|s| !side.contains(&s.width.into()) || !side.contains(&s.height.into())) {
        let what = format!("expected sides of 1 to {}, found {}x{}", limits::MAX_SIDE, s.width, s.height);
        return Err(Error::usage(what).option("size"));
    }
    Ok(())
}

/// The set's folder, and the files and folders in it that belong to the set.
fn roots(name: DatasetName, layout: &Layout, options: &EventOptions) -> Result<(PathBuf, Vec<PathBuf>)> {
    if name.is_own() {
        let Some(folder) = &options.folder else {
            let remedy = format!("name the folder of class folders: {name} DIR");
            return Err(Error::usage(format!("the data set '{name}' needs a folder")).remedy(remedy));
        };
        if !folder.is_dir() {
            return Err(Error::usage("there is no such folder").at(folder.display()).remedy("name the folder of class folders"));
        }
        return Ok((folder.clone(), vec![folder.clone()]));
    }
    let set = catalog::find(name.as_str())?;
    let folder = match &options.folder {
        Some(folder) => folder.clone(),
        None => options.data_dir()?.join(set.folder),
    };
    let here = |list: &str| set.missing_parts(&folder) == set.parts && folder.join(list).exists();
    if layout.unpacked_list.is_some_and(here) {
        return Ok((folder.clone(), vec![folder]));
    }
    let roots: Vec<PathBuf> = (0..set.parts.len()).filter_map(|part| set.locate(&folder, part)).collect();
    if roots.is_empty() || (roots.len() < set.parts.len() && !options.allow_partial) {
        return Err(set.missing(&folder));
    }
    Ok((folder, roots))
}

fn no_recordings(name: DatasetName) -> Error {
    let names: Vec<&str> = sets::ALL.iter().filter(|d| d.recordings().is_some()).map(|d| d.as_str()).collect();
    let (last, others) = names.split_last().unwrap_or((&"", &[]));
    Error::usage(format!("'{name}' has no recordings to prepare")).remedy(format!("choose {} or {last}", others.join(", ")))
}

/// `<cache>/<set>/T16-number-<where the set lies>.frames`: preparing the same set again after a change replaces the file.
fn cache_path(name: DatasetName, options: &EventOptions, folder: &Path) -> Result<PathBuf> {
    let cache = match &options.cache {
        Some(cache) => cache.clone(),
        None => options.data_dir()?.join("cache"),
    };
    let place = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let place = hex(&Sha256::digest(place.as_os_str().as_encoded_bytes())[..4]);
    Ok(cache.join(name.as_str()).join(format!("T{}-{}-{place}.frames", options.steps, options.split_by.name())))
}

/// Prepared frames need not lie beside the data.
fn cache_error(e: Error) -> Error {
    let elsewhere = "prepared frames may lie in another folder: --cache DIR";
    let remedy = if e.remedy.is_empty() { elsewhere.to_string() } else { format!("{}; {elsewhere}", e.remedy) };
    e.remedy(remedy)
}

#[cfg(test)]
mod tests;
