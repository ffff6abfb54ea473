//! Data sets: images in memory or frames of events on the disk, with labels, a fingerprint, and everything on the way there.
//!
//! [`sets`] says which there are, one file each. [`load`] is the door. Behind it one file per format: [`glyphs`] (drawn, nothing to
//! download), [`idx`] (MNIST, Fashion-MNIST), [`cifar`] (CIFAR10's binary batches) and [`pictures`] (a folder of PNG and JPEG per class).
//! Sets of event recordings have their own door, [`recordings::load`]: prepared frames out of a [`cache`] in one file.
//! [`batch`] turns samples into the floating point numbers a network reads; [`catalog`] knows where sets come from,
//! [`download`] gets them, and [`verify`] tells whether the files at hand are the published ones.

pub mod augment;
pub mod batch;
pub mod cache;
pub mod catalog;
pub mod cifar;
pub mod dataset;
pub mod download;
mod fetch;
pub mod frame_set;
pub mod glyphs;
pub mod idx;
pub mod motions;
pub mod name;
pub mod own;
pub mod pictures;
pub mod recordings;
pub mod sets;
mod source;
pub mod stages;
mod strokes;
pub mod verify;
pub mod zip;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use augment::Resize;
pub use batch::{Preparation, assemble, hold_out};
pub use dataset::{Dataset, Split};
pub use name::DatasetName;

use crate::error::{Error, Result};
use crate::plural::counted;
use crate::shape::Chw;
use sets::Source;

/// Samples of one split.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// `[N,C,H,W]` bytes, 0 black.
    pub pixels: Vec<u8>,
    /// `[N]`, index into [`ImageSet::classes`].
    pub labels: Vec<u16>,
}

impl Samples {
    /// N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }
    /// True without any sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
    /// Keeps the first `n` samples.
    fn truncate(&mut self, n: usize, shape: Chw) {
        self.labels.truncate(n);
        self.pixels.truncate(n * shape.len());
    }
}

/// A data set in memory.
#[derive(Clone, Debug)]
pub struct ImageSet {
    /// Which one.
    pub name: DatasetName,
    /// Shape of one sample.
    pub shape: Chw,
    /// Names of the classes; a label is an index into them.
    pub classes: Vec<String>,
    /// What a network learns from, in file order.
    pub train: Samples,
    /// What the best epoch is chosen by, in file order; empty unless the user has a folder of it.
    pub validation: Samples,
    /// What it is judged on, in file order.
    pub test: Samples,
    /// What the user should know: missing batches, resized pictures, limits.
    pub notes: Vec<String>,
    /// SHA-256 (hex) over shape, labels and pixels of training and test: two runs with the same one learned from and were judged on the same.
    pub fingerprint: String,
}

impl ImageSet {
    fn new(name: DatasetName, shape: Chw, classes: Vec<String>, train: Samples, test: Samples, notes: Vec<String>) -> Self {
        ImageSet { name, shape, classes, train, validation: Samples::default(), test, notes, fingerprint: String::new() }
    }

    /// Applies the limits, says so in the notes, and takes the fingerprint.
    fn finish(mut self, options: &LoadOptions) -> Self {
        let splits = [(&mut self.train, options.train_limit, "train"), (&mut self.test, options.test_limit, "test")];
        for (samples, limit, split) in splits {
            let (kept, note) = limited(samples.len(), limit, split);
            samples.truncate(kept, self.shape);
            self.notes.extend(note);
        }
        self.fingerprint = fingerprint(self.shape, &self.train, &self.test);
        self
    }
}

/// What to load, and how much of it.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The folder that holds `mnist/`, `cifar10/`…; `None`: [`default_data_dir`].
    pub data_dir: Option<PathBuf>,
    /// For [`sets::IMAGES`]: the folder of class folders.
    pub images_dir: Option<PathBuf>,
    /// For [`sets::IMAGES`]: height and width to resize to; `None` if all pictures have one size.
    pub size: Option<(usize, usize)>,
    /// For [`sets::IMAGES`]: one grey channel instead of three colours.
    pub grey: bool,
    /// Go on when training batches of a set are missing.
    pub allow_partial: bool,
    /// Seed of drawn glyphs and of the split of pictures.
    pub seed: u64,
    /// Take only the first N training samples in file order (glyphs: the number drawn).
    pub train_limit: Option<usize>,
    /// Take only the first N test samples in file order (glyphs: the number drawn).
    pub test_limit: Option<usize>,
}

impl LoadOptions {
    /// The folder of `set` below the data folder.
    fn folder(&self, set: &catalog::Set) -> Result<PathBuf> {
        Ok(match &self.data_dir {
            Some(dir) => dir.join(set.folder),
            None => default_data_dir()?.join(set.folder),
        })
    }
}

/// Refuses limits that leave nothing.
///
/// # Errors
/// Usage: a limit is 0.
fn check_limits(train: Option<usize>, test: Option<usize>) -> Result<()> {
    match [(train, "train-limit"), (test, "test-limit")].iter().find(|(limit, _)| *limit == Some(0)) {
        Some((_, option)) => Err(Error::usage("a limit of 0 leaves no samples").option(option).remedy("give 1 or more, or leave it out")),
        None => Ok(()),
    }
}

/// How many of `have` samples a limit keeps, and what to say about it.
fn limited(have: usize, limit: Option<usize>, split: &str) -> (usize, Option<String>) {
    match limit {
        Some(n) if n < have => (n, Some(format!("{split}: the first {n} of {}", counted(have, "sample")))),
        Some(n) if n > have => (have, Some(format!("{split}: all {}, fewer than the {n} asked for", counted(have, "sample")))),
        _ => (have, None),
    }
}

/// Loads a data set into memory.
///
/// # Errors
/// Usage when the set is not there (naming the folder looked in and the command that fetches it) or a limit is 0;
/// Format when a file is not what its format says; Storage when reading fails.
pub fn load(name: DatasetName, options: &LoadOptions) -> Result<ImageSet> {
    check_limits(options.train_limit, options.test_limit)?;
    let Source::Pictures(load) = name.source else {
        return Err(Error::bug(format!("{name} is a set of events, not of pictures")));
    };
    Ok(load(options)?.finish(options))
}

/// The data folder when none is given: `$SPIKETRAIN_DATA`, else `$XDG_DATA_HOME/spiketrain`, else `~/.local/share/spiketrain`.
///
/// # Errors
/// Usage when the environment names no home folder either.
pub fn default_data_dir() -> Result<PathBuf> {
    data_dir_from(|name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from))
}

fn data_dir_from(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf> {
    if let Some(dir) = variable("SPIKETRAIN_DATA") {
        return Ok(dir);
    }
    // The XDG specification says that relative paths are to be ignored.
    if let Some(dir) = variable("XDG_DATA_HOME").filter(|d| d.is_absolute()) {
        return Ok(dir.join("spiketrain"));
    }
    match variable("HOME") {
        Some(home) => Ok(home.join(".local/share/spiketrain")),
        None => Err(Error::usage("no data folder: neither SPIKETRAIN_DATA nor HOME is set").remedy("give one with --data-dir")),
    }
}

/// SHA-256 over shape, labels (little-endian) and pixels of train and test, as hex.
fn fingerprint(shape: Chw, train: &Samples, test: &Samples) -> String {
    let mut hash = Sha256::new();
    for n in [shape.c, shape.h, shape.w, train.len(), test.len()] {
        hash.update((n as u64).to_le_bytes());
    }
    for samples in [train, test] {
        let labels: Vec<u8> = samples.labels.iter().flat_map(|l| l.to_le_bytes()).collect();
        hash.update(labels);
        hash.update(&samples.pixels);
    }
    hex(&hash.finalize())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// `/path/file: byte 16`, the place of an error.
fn at_byte(file: &Path, offset: usize) -> String {
    format!("{}: byte {offset}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_found_in_the_documented_order() {
        let env =
            |pairs: &'static [(&str, &str)]| data_dir_from(move |n| pairs.iter().find(|(k, _)| *k == n).map(|(_, v)| PathBuf::from(v)));
        assert_eq!(env(&[("SPIKETRAIN_DATA", "d"), ("HOME", "/h")]).unwrap(), Path::new("d"));
        assert_eq!(env(&[("XDG_DATA_HOME", "/x"), ("HOME", "/h")]).unwrap(), Path::new("/x/spiketrain"));
        assert_eq!(env(&[("XDG_DATA_HOME", "x"), ("HOME", "/h")]).unwrap(), Path::new("/h/.local/share/spiketrain"));
        assert!(env(&[]).unwrap_err().to_string().contains("--data-dir"));
    }

    #[test]
    fn fingerprint_sees_shape_labels_pixels_and_the_border_between_splits() {
        let samples = |labels: &[u16], pixels: &[u8]| Samples { labels: labels.to_vec(), pixels: pixels.to_vec() };
        let base = fingerprint(Chw::new(1, 1, 2), &samples(&[0, 1], &[1, 2, 3, 4]), &samples(&[1], &[5, 6]));
        assert_eq!(base.len(), 64);
        let others = [
            fingerprint(Chw::new(1, 2, 1), &samples(&[0, 1], &[1, 2, 3, 4]), &samples(&[1], &[5, 6])),
            fingerprint(Chw::new(1, 1, 2), &samples(&[0, 0], &[1, 2, 3, 4]), &samples(&[1], &[5, 6])),
            fingerprint(Chw::new(1, 1, 2), &samples(&[0, 1], &[1, 2, 3, 4]), &samples(&[1], &[5, 7])),
            fingerprint(Chw::new(1, 1, 2), &samples(&[0], &[1, 2]), &samples(&[1, 1], &[3, 4, 5, 6])),
        ];
        assert!(others.iter().all(|o| *o != base));
    }

    #[test]
    fn limits_take_the_first_samples_and_say_so() {
        let options = LoadOptions { train_limit: Some(7), test_limit: Some(3), ..Default::default() };
        let whole = ImageSet::new(
            sets::MNIST,
            Chw::new(1, 1, 2),
            vec![],
            Samples { pixels: (0..20).collect(), labels: (0..10).collect() },
            Samples { pixels: vec![1, 2], labels: vec![0] },
            vec![],
        );
        let set = whole.finish(&options);
        assert_eq!(set.train.labels, (0..7).collect::<Vec<u16>>());
        assert_eq!(set.train.pixels, (0..14).collect::<Vec<u8>>());
        assert_eq!(set.test.len(), 1);
        assert_eq!(set.notes, ["train: the first 7 of 10 samples", "test: all 1 sample, fewer than the 3 asked for"]);
        let zero = load(sets::GLYPHS, &LoadOptions { test_limit: Some(0), ..Default::default() }).unwrap_err();
        assert!(zero.to_string().starts_with("--test-limit: "));
    }
}
