//! A simulated data set on the disk, in the formats and the layout of the real one.
//!
//! N-MNIST: `Train/<label>/<00001>.bin` and `Test/…`, numbered by position in the source from 1 on. DVS-CIFAR10:
//! `<class>/cifar10_<class>_<n>.aedat`, n from 0 on; readers split each class by the byte-wise order of names, so pictures of the
//! source's test set stand under the last names of that order.
//!
//! [`SIMULATED`] is written first and says what the folder is. A folder that holds anything else without it, or was made with other
//! parameters, is left alone. Each recording is written under a temporary name and renamed, without waiting for the device: 60,000
//! waits would take longer than all the rest. A killed run goes on where it stopped; after a power cut, files left empty are made
//! again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::{Kind, Manner, Studio};
use crate::error::{Error, Result};
use crate::events::{Event, Sensor, aedat2, nmnist};
use crate::limits;
use crate::shape::Chw;
use crate::storage::{self, Storage};

/// The file that says that no camera saw the recordings beside it.
pub const SIMULATED: &str = "SIMULATED.txt";
/// Classes that N-MNIST's layout has room for: its folders are digits.
const DIGITS: usize = 10;
/// Of ten recordings of a class, readers of DVS-CIFAR10 train on so many.
const TRAIN_TENTHS: usize = 9;
/// The last line of [`SIMULATED`].
const UNFINISHED: &str = "state        not finished: run the same command again\n";
const COMPLETE: &str = "state        complete\n";

/// Whether no camera saw the recordings of `folder`.
///
/// # Errors
/// Usage: they are simulated, and not all of them were made. Storage: reading fails.
pub fn is_simulated(folder: &Path) -> Result<bool> {
    let marker = folder.join(SIMULATED);
    match storage::read_text(&marker, limits::MAX_TEXT_BYTES)? {
        Some(about) if about.ends_with(UNFINISHED) => {
            let remedy = "run the `spiketrain data simulate` command that began it once more: it goes on";
            Err(Error::usage("this simulation was interrupted").at(marker.display()).remedy(remedy))
        }
        about => Ok(about.is_some()),
    }
}

/// Pictures to be recorded; `[train, test]`.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    /// Shape of one: 1 (grey) or 3 (red, green, blue) channels.
    pub shape: Chw,
    /// Names of the classes.
    pub classes: &'a [String],
    /// `[N,C,H,W]` bytes.
    pub pixels: [&'a [u8]; 2],
    /// `[N]`, index into the classes.
    pub labels: [&'a [u16]; 2],
    /// What they are: name and digest.
    pub source: &'a str,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Recordings that stand in the folder, of training and test.
    pub recordings: [usize; 2],
    /// Of these, those that were there before.
    pub kept: usize,
    /// Events of the recordings made now.
    pub events: u64,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// A recording to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    /// Below the folder of the set.
    path: PathBuf,
    /// 0 train, 1 test.
    split: usize,
    /// Position in the source's split.
    index: usize,
}

/// Records `pictures` into the folder `out`. `progress` hears how many recordings are done, from any thread.
///
/// # Errors
/// Usage: the folder holds something else or is in use, or the classes do not fit the layout; Storage: writing fails.
pub fn write(
    storage: &dyn Storage,
    out: &Path,
    kind: Kind,
    pictures: &Pictures,
    seed: u64,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Report> {
    let (jobs, notes) = plan(kind, pictures)?;
    let recordings = [0, 1].map(|split| jobs.iter().filter(|j| j.split == split).count());
    let about = about(kind, pictures, seed, recordings);
    let _lock = claim(storage, out, &about)?;
    make_folders(storage, out, &jobs)?;
    let studio = Studio::new(kind.manner(), seed)?;
    let (done, events) = (AtomicU64::new(0), AtomicU64::new(0));
    let make = |job: &Job| -> Result<usize> {
        let path = out.join(&job.path);
        let there = fs::metadata(&path).is_ok_and(|m| m.len() > 0);
        if !there {
            events.fetch_add(record(storage, &studio, kind, pictures, job, &path)?, Ordering::Relaxed);
        }
        progress(1 + done.fetch_add(1, Ordering::Relaxed));
        Ok(usize::from(there))
    };
    let kept = jobs.par_iter().map(make).try_reduce(|| 0, |a, b| Ok(a + b))?;
    storage::write_text(storage, &out.join(SIMULATED), &(about + COMPLETE))?;
    Ok(Report { recordings, kept, events: events.into_inner(), notes })
}

/// Which recordings are to be made, and what is to be said about them.
fn plan(kind: Kind, pictures: &Pictures) -> Result<(Vec<Job>, Vec<String>)> {
    match kind {
        Kind::NMnist => {
            if pictures.classes.len() > DIGITS {
                let what = format!("N-MNIST's folders are the digits 0 to 9, but there are {} classes", pictures.classes.len());
                return Err(Error::usage(what).option_as("kind", "nmnist").remedy("choose --kind dvs-cifar10"));
            }
            let job = |split: usize, index: usize| {
                let path = format!("{}/{}/{:05}.bin", ["Train", "Test"][split], pictures.labels[split][index], index + 1);
                Job { path: path.into(), split, index }
            };
            let jobs = (0..2).flat_map(|split| (0..pictures.labels[split].len()).map(move |index| job(split, index)));
            Ok((jobs.collect(), Vec::new()))
        }
        Kind::DvsCifar10 => Ok(plan_classes(pictures)),
    }
}

/// DVS-CIFAR10: the training pictures of a class under the first names of the byte-wise order.
fn plan_classes(pictures: &Pictures) -> (Vec<Job>, Vec<String>) {
    let (mut jobs, mut notes) = (Vec::new(), Vec::new());
    for (label, class) in pictures.classes.iter().enumerate() {
        let class = plain(class);
        let of = |split: usize| {
            let labels = pictures.labels[split].iter().enumerate();
            labels.filter(move |(_, l)| **l as usize == label).map(move |(index, _)| (split, index))
        };
        let (train, all) = (of(0).count(), of(0).count() + of(1).count());
        let mut names: Vec<String> = (0..all).map(|n| format!("cifar10_{class}_{n}.aedat")).collect();
        names.sort();
        jobs.extend(of(0).chain(of(1)).zip(names).map(|((split, index), name)| Job { path: Path::new(&class).join(name), split, index }));
        if train != all * TRAIN_TENTHS / 10 {
            let read = all * TRAIN_TENTHS / 10;
            notes.push(format!("{class}: {train} training pictures of {all}, but readers will train on the first {read} by name"));
        }
    }
    (jobs, notes)
}

/// A class's name as the name of a folder: letters, digits, `-` and `_`.
fn plain(class: &str) -> String {
    class.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '-' }).collect()
}

/// Takes the folder for this process, if it is empty or one that this command began.
fn claim(storage: &dyn Storage, out: &Path, about: &str) -> Result<fs::File> {
    fs::create_dir_all(out).map_err(|e| Error::io(out, "making the folder", &e))?;
    let names = storage.list(out).map_err(|e| Error::io(out, "listing", &e))?;
    let marker = out.join(SIMULATED);
    let ours = names.iter().any(|n| n == SIMULATED);
    if !ours && names.iter().any(|n| n != storage::LOCK && !storage::is_temporary(n)) {
        return Err(Error::usage("this folder holds something that was not simulated").at(out.display()).remedy("choose a new --out"));
    }
    let Some(lock) = storage::lock(out)? else {
        return Err(Error::usage("another process is writing into this folder").at(out.display()).remedy("wait for it, or stop it"));
    };
    if !ours {
        storage::write_text(storage, &marker, &(about.to_string() + UNFINISHED))?;
    } else if !storage::read_text(&marker, limits::MAX_TEXT_BYTES)?.is_some_and(|text| text.starts_with(about)) {
        let what = "this folder was simulated from another source or with other parameters";
        return Err(Error::usage(what).at(marker.display()).remedy("choose a new --out, or remove the folder"));
    }
    storage::sweep(storage, out)?;
    Ok(lock)
}

/// Makes the folders of the recordings and takes away what a killed process left in them.
fn make_folders(storage: &dyn Storage, out: &Path, jobs: &[Job]) -> Result<()> {
    let folders: std::collections::BTreeSet<PathBuf> = jobs.iter().map(|j| storage::folder_of(&out.join(&j.path)).to_owned()).collect();
    for folder in folders {
        fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, "making the folder", &e))?;
        storage::sweep(storage, &folder)?;
    }
    Ok(())
}

/// Makes one file; gives its number of events.
fn record(storage: &dyn Storage, studio: &Studio, kind: Kind, pictures: &Pictures, job: &Job, path: &Path) -> Result<u64> {
    let Chw { h, w, .. } = pictures.shape;
    let values = pictures.shape.len();
    let pixels = &pictures.pixels[job.split][job.index * values..][..values];
    let mut events = studio.record(pixels, (h, w), job.split as u64, job.index as u64)?;
    let bytes = match kind {
        Kind::NMnist => nmnist::write(&events)?,
        Kind::DvsCifar10 => {
            events.iter_mut().for_each(|e| *e = turned(*e));
            aedat2::write(&events)?
        }
    };
    put(storage, path, &bytes)?;
    Ok(events.len() as u64)
}

/// As the files of DVS-CIFAR10 hold an event: readers take x' = 127-y, y' = 127-x, p' = 1-p, which is its own inverse.
fn turned(e: Event) -> Event {
    let Sensor { width, height } = Sensor::DVS128;
    Event { x: height - 1 - e.y, y: width - 1 - e.x, on: !e.on, ..e }
}

/// Writes a file that appears whole or not at all, short of a power cut.
fn put(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = storage::folder_of(path).join(format!(".{name}.tmp-{}-0", std::process::id()));
    let written = storage.create(&temporary).and_then(|mut file| file.write_all(bytes).and_then(|()| file.flush()));
    written.and_then(|()| storage.rename(&temporary, path)).map_err(|e| {
        // The first error is the one to report, whether or not this works.
        let _ = storage.remove(&temporary);
        Error::io(path, "writing", &e)
    })
}

/// What [`SIMULATED`] says, but for its last line.
fn about(kind: Kind, pictures: &Pictures, seed: u64, recordings: [usize; 2]) -> String {
    let Manner { camera: c, path, side, contrast, negative, blur } = kind.manner();
    let corners: Vec<String> = path.corners.iter().map(|(x, y)| format!("({x}, {y})")).collect();
    let negative = if negative { ", as a negative" } else { "" };
    format!(
        "These recordings are simulated: no camera saw them. Accuracy on them says nothing about the real set.\n\n\
         made by      spiketrain {} data simulate\n\
         kind         {kind}\n\
         source       {}\n\
         recordings   {} train, {} test\n\
         classes      {}\n\
         seed         {seed}\n\
         camera       {}x{} pixels, thresholds of log intensity {} ON and {} OFF, mismatch {}, refractory time {} µs, noise {} Hz a pixel\n\
         rendering    a frame every {} µs, straight lines of log intensity between them\n\
         movement     corners {} in pixels, {} µs a leg, {} times round\n\
         picture      {side}x{side} pixels, contrast {contrast}{negative}, blur {blur}\n",
        env!("CARGO_PKG_VERSION"),
        pictures.source,
        recordings[0],
        recordings[1],
        pictures.classes.join(", "),
        c.sensor.width,
        c.sensor.height,
        c.on,
        c.off,
        c.mismatch,
        c.refractory,
        c.noise,
        c.step,
        corners.join(" "),
        path.leg,
        path.loops,
    )
}

#[cfg(test)]
mod tests;
