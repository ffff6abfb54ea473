//! The user's own folders: what sets of pictures and of recordings have in common, and what is said about the way they lie.
//!
//! A note that begins with [`WARNING`] says that a result could mislead.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::plural::{counted, counted_as, either};

/// What a note begins with that is more than a remark.
pub const WARNING: &str = "warning: ";
/// Names that are shown; more are counted.
const SHOWN: usize = 5;

/// A note that is a warning.
pub(super) fn warning(text: String) -> String {
    format!("{WARNING}{text}")
}

/// The one of `folders` that is called `name`, in capitals or not; as it is written here if there are several.
pub(super) fn called<'a>(mut folders: impl Iterator<Item = &'a str> + Clone, name: &str) -> Option<&'a str> {
    folders.clone().find(|f| *f == name).or_else(|| folders.find(|f| f.eq_ignore_ascii_case(name)))
}

/// The one of `folders` that holds samples to choose the best epoch by: val/, else validation/.
pub(super) fn validation<'a>(folders: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    called(folders.clone(), "val").or_else(|| called(folders, "validation"))
}

/// Whether the user's folder `dir` has one for validation beside those for training and test.
pub fn has_validation(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names: Vec<String> = entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    let names = || names.iter().map(String::as_str);
    called(names(), "train").is_some() && called(names(), "test").is_some() && validation(names()).is_some()
}

/// Says what is chosen by.
pub(super) fn chosen_by(folder: &str, samples: usize) -> String {
    format!("validation: the {samples} samples in {folder}; the best epoch is chosen by them")
}

/// Warns of folders that lie beside the training and the test folder.
pub(super) fn unused(folders: &[&str]) -> Option<String> {
    (!folders.is_empty()).then(|| {
        warning(format!(
            "beside the folders for training and test, not used: {}; samples to choose the best epoch by lie in a folder val, or are held \
             out of the training folder: --val-split 0.1",
            some_of(folders)
        ))
    })
}

/// Warns of classes on which a network is never tested. `tested`: one per class.
pub(super) fn untested(names: &[String], tested: &[bool]) -> Option<String> {
    let without: Vec<&str> = names.iter().zip(tested).filter(|(_, tested)| !**tested).map(|(name, _)| name.as_str()).collect();
    (!without.is_empty()).then(|| {
        warning(format!(
            "no test samples of {} of {}: {}; the test says nothing about {}",
            without.len(),
            counted_as(names.len(), "class", "classes"),
            some_of(&without),
            either(without.len(), "it", "them")
        ))
    })
}

/// Says that files below a class folder belong to it. `divided`: there is a folder for the test.
pub(super) fn deeper(files: usize, example: &str, divided: bool) -> Option<String> {
    let taken = format!(
        "{}, e.g. {example}: the class is the outer folder",
        counted_as(files, "file lies in a folder below its class folder", "files lie in folders below their class folder")
    );
    match (files, divided) {
        (0, _) => None,
        (_, true) => Some(taken),
        (_, false) => Some(warning(format!(
            "{taken}; if the inner ones are subjects, the split drawn here puts each into training and test: make folders train/ and test/"
        ))),
    }
}

/// A file of a set, as far as its content is compared.
pub(super) struct Content<K> {
    /// How to get at it.
    pub key: K,
    /// Its bytes.
    pub bytes: u64,
    /// In the test split.
    pub test: bool,
}

/// Warns of test files whose content is that of a training file; only files of equal length are read.
///
/// # Errors
/// Those of `read`.
pub(super) fn in_both<K>(files: &[Content<K>], mut read: impl FnMut(&K) -> Result<Vec<u8>>) -> Result<Option<String>> {
    let lengths = |test: bool| -> HashSet<u64> { files.iter().filter(|f| f.test == test).map(|f| f.bytes).collect() };
    let both: HashSet<u64> = lengths(true).intersection(&lengths(false)).copied().collect();
    let mut digests: HashMap<[u8; 32], [usize; 2]> = HashMap::new();
    for file in files.iter().filter(|f| f.bytes > 0 && both.contains(&f.bytes)) {
        let digest = Sha256::digest(read(&file.key)?).into();
        digests.entry(digest).or_default()[usize::from(file.test)] += 1;
    }
    let same: usize = digests.values().filter(|[train, _]| *train > 0).map(|[_, test]| test).sum();
    let all = files.iter().filter(|f| f.test).count();
    Ok((same > 0).then(|| {
        let which = match (same, all) {
            (1, 1) => "the only test file".to_string(),
            _ if same == all => format!("all {all} test files"),
            _ => format!("{same} of {}", counted(all, "test file")),
        };
        let are = either(same, "is", "are");
        warning(format!("{which} {are} also in the training set, byte for byte: the test accuracy is too high"))
    }))
}

/// The first names, and how many more there are.
fn some_of(names: &[&str]) -> String {
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_compared_where_lengths_are_equal() {
        let file = |key: &'static str, test| Content { key, bytes: key.len() as u64, test };
        let mut read = Vec::new();
        let files = [file("ab", false), file("abc", false), file("xyz", true), file("abc", true), file("four", true)];
        let said = in_both(&files, |key| {
            read.push(*key);
            Ok(key.as_bytes().to_vec())
        });
        assert!(said.unwrap().unwrap().contains("1 of 3 test files is also in the training set"));
        assert_eq!(read, ["abc", "xyz", "abc"]);
        let said = in_both(&files[..3], |key| Ok(key.as_bytes().to_vec())).unwrap();
        assert_eq!(said, None);
        assert!(in_both(&files[1..4], |_| Ok(vec![1])).unwrap().unwrap().contains("all 2 test files"));
    }

    #[test]
    fn names_of_splits_may_be_in_capitals() {
        let folders = ["TEST", "Train", "train"];
        assert_eq!(called(folders.into_iter(), "train"), Some("train"));
        assert_eq!(called(folders.into_iter(), "test"), Some("TEST"));
        assert_eq!(called(folders.into_iter(), "val"), None);
        assert_eq!(validation(folders.into_iter()), None);
        assert_eq!(validation(["validation", "Val"].into_iter()), Some("Val"));
    }
}
