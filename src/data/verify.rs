//! Whether the files at hand are the published ones.

use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::catalog::{Checksum, Set, SetFile};
use super::hex;
use crate::error::{Error, Result};
use crate::storage::CHUNK;

/// What happens to a file, or to a set of recordings, just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Its bytes come over the net.
    Fetching,
    /// Its digest is taken.
    Checking,
    /// What is in an archive is read.
    Listing,
    /// Recordings become frames.
    Preparing,
}

impl Doing {
    /// In a word.
    pub const fn name(self) -> &'static str {
        match self {
            Doing::Fetching => "fetching",
            Doing::Checking => "checking",
            Doing::Listing => "listing",
            Doing::Preparing => "preparing",
        }
    }
}

/// Who watches a download, a check or the preparation of frames. `()` looks away.
pub trait Observer {
    /// A file is taken up; `done` of its `total` bytes are dealt with already.
    fn begin(&mut self, doing: Doing, file: &str, done: u64, total: u64);
    /// Of the file last taken up, `done` bytes are dealt with.
    fn advance(&mut self, done: u64);
    /// Something the user should know.
    fn note(&mut self, text: &str);
}

impl Observer for () {
    fn begin(&mut self, _: Doing, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, _: &str) {}
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Size and digest are the published ones.
    Good,
    /// No digest is published; the size is right, where one is known.
    NoDigest,
    /// It has another size.
    Size {
        /// Bytes published.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// It has another digest.
    Damaged {
        /// SHA-256 or MD5.
        algorithm: &'static str,
        /// The digest published, hex.
        expected: String,
        /// The digest found, hex.
        found: String,
    },
    /// A folder or a device stands in its place.
    NotAFile,
}

impl Verdict {
    /// True if the file is certainly not the published one.
    pub fn is_wrong(&self) -> bool {
        !matches!(self, Verdict::Good | Verdict::NoDigest)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Good => f.write_str("ok"),
            Verdict::NoDigest => f.write_str("no digest published"),
            Verdict::Size { expected, found } => write!(f, "size wrong: expected {expected} bytes, found {found}"),
            Verdict::Damaged { algorithm, expected, found } => write!(f, "damaged: {algorithm} expected {expected}, found {found}"),
            Verdict::NotAFile => f.write_str("not a file: a folder or device stands in its place"),
        }
    }
}

impl Checksum {
    /// The algorithm's name and the digest in hex; `None` if none is published.
    pub fn named(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Checksum::Sha256(hex) => Some(("SHA-256", hex)),
            Checksum::Md5(hex) => Some(("MD5", hex)),
            Checksum::Unknown => None,
        }
    }
}

impl Set {
    /// Every file of the set that lies in `folder`, under any of its names.
    pub fn at_hand(&self, folder: &Path) -> Vec<(&SetFile, PathBuf)> {
        let paths = |f: &'static SetFile| f.paths.iter().map(move |p| (f, folder.join(p)));
        self.files.iter().flat_map(paths).filter(|(_, path)| path.exists()).collect()
    }

    /// Compares the file at `path` with what is published for `file`.
    ///
    /// A file that a browser unpacked without renaming it is compared with the unpacked form: loading takes it as well.
    ///
    /// # Errors
    /// Storage if it cannot be read.
    pub fn verify(&self, file: &SetFile, path: &Path, watch: &mut dyn Observer) -> Result<Verdict> {
        let about = fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?;
        if !about.is_file() {
            let whole_folder = about.is_dir() && file.checksum == Checksum::Unknown;
            return Ok(if whole_folder { Verdict::NoDigest } else { Verdict::NotAFile });
        }
        let found = about.len();
        let other_form = self.files.iter().find(|f| f.holds == file.holds && f.bytes == Some(found));
        match (file.bytes, other_form) {
            (Some(expected), _) if expected == found => compare(&file.checksum, path, found, watch),
            (Some(_), Some(other)) => compare(&other.checksum, path, found, watch),
            (Some(expected), None) => Ok(Verdict::Size { expected, found }),
            (None, _) => compare(&file.checksum, path, found, watch),
        }
    }
}

/// Compares the digest of the `bytes` bytes at `path`.
pub(super) fn compare(checksum: &Checksum, path: &Path, bytes: u64, watch: &mut dyn Observer) -> Result<Verdict> {
    let Some((algorithm, expected)) = checksum.named() else { return Ok(Verdict::NoDigest) };
    watch.begin(Doing::Checking, &file_name(path), 0, bytes);
    let found = match checksum {
        Checksum::Md5(_) => digest::<Md5>(path, watch)?,
        _ => digest::<Sha256>(path, watch)?,
    };
    Ok(if found == expected { Verdict::Good } else { Verdict::Damaged { algorithm, expected: expected.to_string(), found } })
}

/// The digest of a whole file, hex.
fn digest<D: Digest>(path: &Path, watch: &mut dyn Observer) -> Result<String> {
    let mut file = File::open(path).map_err(|e| Error::io(path, "opening", &e))?;
    let (mut hasher, mut done, mut chunk) = (D::new(), 0, vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hex(&hasher.finalize())),
            Ok(n) => {
                hasher.update(&chunk[..n]);
                done += n as u64;
                watch.advance(done);
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::io(path, "reading", &e)),
        }
    }
}

/// The last part of a path, for people.
fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// MD5 and SHA-256 of "abc" from RFC 1321 and FIPS 180-4.
    const ABC_MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
    const ABC_SHA: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    static SET: Set = Set {
        name: "abc",
        title: "",
        folder: "abc",
        parts: &["a", "b", "c"],
        recordings: &[],
        files: &[
            SetFile { paths: &["sha", "sha2"], bytes: Some(3), checksum: Checksum::Sha256(ABC_SHA), holds: 1, published: true },
            SetFile { paths: &["md5"], bytes: None, checksum: Checksum::Md5(ABC_MD5), holds: 2, published: true },
            SetFile { paths: &["none"], bytes: Some(3), checksum: Checksum::Unknown, holds: 4, published: true },
            SetFile {
                paths: &["sha.unpacked"],
                bytes: Some(5),
                checksum: Checksum::Md5("ab56b4d92b40713acc5af89985d4b786"),
                holds: 1,
                published: false,
            },
        ],
        mirrors: &[],
        steps: "",
    };

    #[test]
    fn each_verdict_has_its_case() {
        let dir = tempfile::tempdir().unwrap();
        let verdict = |file: usize, content: &str| {
            let path = dir.path().join("file");
            fs::write(&path, content).unwrap();
            SET.verify(&SET.files[file], &path, &mut ()).unwrap()
        };
        assert_eq!([verdict(0, "abc"), verdict(1, "abc"), verdict(2, "xyz")], [Verdict::Good, Verdict::Good, Verdict::NoDigest]);
        assert_eq!(verdict(0, "ab"), Verdict::Size { expected: 3, found: 2 });
        assert!(matches!(verdict(0, "abd"), Verdict::Damaged { algorithm: "SHA-256", .. }));
        assert!(matches!(verdict(1, ""), Verdict::Damaged { algorithm: "MD5", .. }));
        assert_eq!(verdict(0, "abcde"), Verdict::Good, "unpacked on the way");
        assert!(matches!(verdict(0, "abcdf"), Verdict::Damaged { algorithm: "MD5", .. }));
        assert_eq!(SET.verify(&SET.files[0], dir.path(), &mut ()).unwrap(), Verdict::NotAFile);
        assert_eq!(SET.verify(&SET.files[2], dir.path(), &mut ()).unwrap(), Verdict::NoDigest, "a folder of files");
        assert_eq!(SET.verify(&SET.files[0], &dir.path().join("gone"), &mut ()).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn files_are_found_under_all_their_names() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["sha2", "none", "stranger"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found: Vec<_> = SET.at_hand(dir.path()).into_iter().map(|(_, path)| path).collect();
        assert_eq!(found, ["sha2", "none"].map(|n| dir.path().join(n)));
    }
}
