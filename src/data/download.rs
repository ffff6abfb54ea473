//! Getting a published set: each file whole and with the published digest under its name, or not there at all.
//!
//! The bytes gather in `<name>.part` beside the file's place. A broken connection, a full disk or an interrupted process
//! leaves the part, and the next attempt goes on from it, at whichever mirror. Once complete it is synced, compared with
//! the digest, and renamed; a part that fails the comparison is removed.

use std::fs::{self, File};
use std::path::Path;

use ureq::http::Uri;

use super::catalog::{Checksum, Set, SetFile};
pub use super::fetch::Patience;
use super::fetch::{Job, Stop};
use super::verify::{self, Observer, Verdict};
use crate::error::{Error, Result};
use crate::storage::{self, Disk, Storage, remove_if_there};

/// For errors that name no better one.
const OTHER_FOLDER: &str = "choose another folder with --data-dir or SPIKETRAIN_DATA";

/// Fetches the published files of `set` that are not in `folder`, or are there and damaged; returns their names.
///
/// The addresses of `mirrors` end with '/' and are tried in their order ([`mirror`] reads one from a user); without any,
/// the set's own.
///
/// # Errors
/// Usage for a set that only people can fetch (the remedy says how). Storage when no mirror gives a file (what each one
/// did, and how to fetch it by hand), when another process is fetching the set, and for a disk that is full or not writable.
pub fn download(set: &Set, folder: &Path, mirrors: &[String], patience: &Patience, watch: &mut dyn Observer) -> Result<Vec<&'static str>> {
    if set.mirrors.is_empty() {
        return Err(Error::usage(format!("the data set {} cannot be downloaded by a program", set.name)).remedy(format!(
            "by hand: {}; put the files into {}, then run: spiketrain data check {}",
            set.steps,
            folder.display(),
            set.name
        )));
    }
    let wanted = wanted(set, folder, watch)?;
    // Asked before anything is written, so that a complete set may lie where only others can write.
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let own: Vec<String> = set.mirrors.iter().map(|m| m.to_string()).collect();
    let mirrors = if mirrors.is_empty() { &own } else { mirrors };
    let _lock = lock(folder)?;
    for i in 0..wanted.len() {
        fetch_first(set, folder, &wanted[i..], mirrors, patience, watch)?;
    }
    Ok(wanted.iter().map(|f| f.paths[0]).collect())
}

/// Reads the address of a mirror: `http://` or `https://`, with a '/' put at its end if there is none.
///
/// # Errors
/// Usage for anything else.
pub fn mirror(text: &str) -> Result<String> {
    let usable = |u: &Uri| matches!(u.scheme_str(), Some("http" | "https")) && u.host().is_some() && u.query().is_none();
    match text.parse::<Uri>() {
        Ok(uri) if usable(&uri) => Ok(if text.ends_with('/') { text.to_string() } else { format!("{text}/") }),
        _ => Err(Error::usage(format!("'{text}' is no address of a mirror"))
            .option("mirror")
            .remedy("give the address that stands before the file's name, e.g. http://server/mnist/")),
    }
}

/// The published files to fetch: the damaged ones, and those whose parts are not all in good files.
fn wanted(set: &Set, folder: &Path, watch: &mut dyn Observer) -> Result<Vec<&'static SetFile>> {
    let (mut held, mut wrong) = (0, Vec::new());
    for file in set.files {
        let Some(path) = file.present(folder) else { continue };
        let verdict = set.verify(file, &path, watch)?;
        match verdict {
            Verdict::Good => held |= file.holds,
            Verdict::NoDigest => {}
            Verdict::NotAFile => {
                return Err(Error::usage(verdict).at(path.display()).remedy("move it away, then run the same command again"));
            }
            _ if file.published => {
                watch.note(&format!("{}: {verdict}; fetching it anew", path.display()));
                wrong.push(file.paths[0]);
            }
            // It may be read in the place of the published file, and is not ours to remove.
            _ => watch.note(&format!("{}: {verdict}; remove it", path.display())),
        }
    }
    let needed = |f: &&SetFile| f.published && (f.holds & !held != 0 || wrong.contains(&f.paths[0]));
    Ok(set.files.iter().filter(needed).collect())
}

/// Makes the folder and keeps every other process from fetching into it until the file is dropped.
fn lock(folder: &Path) -> Result<File> {
    let with_remedy = |e: Error| if e.remedy.is_empty() { e.remedy(OTHER_FOLDER) } else { e };
    fs::create_dir_all(folder).map_err(|e| with_remedy(Error::io(folder, "creating the folder", &e)))?;
    storage::lock(folder).map_err(with_remedy)?.ok_or_else(|| {
        Error::storage("another spiketrain process is downloading into this folder").at(folder.display()).remedy("wait for it or stop it")
    })
}

/// Fetches the first of the `wanted` files from the first mirror that gives it.
fn fetch_first(
    set: &Set,
    folder: &Path,
    wanted: &[&SetFile],
    mirrors: &[String],
    patience: &Patience,
    watch: &mut dyn Observer,
) -> Result<()> {
    let file = wanted[0];
    let name = file.paths[0];
    let Some(total) = file.bytes else {
        return Err(Error::bug(format!("the catalogue gives no size for {name}")));
    };
    let part = folder.join(format!("{name}.part"));
    let job = Job { name, total, part: &part, patience };
    let mut failures = Vec::new();
    for (i, mirror) in mirrors.iter().enumerate() {
        let url = format!("{mirror}{name}");
        match from_mirror(&job, &url, &file.checksum, watch) {
            Ok(()) => {
                publish(&part, &folder.join(name))?;
                watch.note(&format!("{name}: complete and verified"));
                return Ok(());
            }
            Err(Stop::Here(e)) => return Err(e),
            Err(Stop::Broken(why) | Stop::Refused(why)) => {
                if i + 1 < mirrors.len() {
                    watch.note(&format!("{url}: {why}; trying the next mirror"));
                }
                failures.push(format!("{url}: {why}"));
            }
        }
    }
    Err(by_hand(set, folder, wanted, &failures))
}

/// Completes the part, syncs it and compares its digest. A wrong part is removed, and if this mirror is not to blame for
/// all of it, the mirror is asked for the whole file.
fn from_mirror(job: &Job, url: &str, checksum: &Checksum, watch: &mut dyn Observer) -> std::result::Result<(), Stop> {
    loop {
        let found = job.held().map_err(Stop::Here)?;
        job.run(url, watch)?;
        let file = job.open(job.total).map_err(Stop::Here)?;
        file.sync_all().map_err(|e| Stop::Here(Error::io(job.part, "syncing", &e)))?;
        let verdict = verify::compare(checksum, job.part, job.total, watch).map_err(Stop::Here)?;
        if verdict == Verdict::Good {
            return Ok(());
        }
        remove_if_there(&Disk, job.part).map_err(Stop::Here)?;
        if found == 0 {
            return Err(Stop::Refused(format!("another file: {verdict}")));
        }
        watch.note(&format!("{}: what an earlier attempt left was no beginning of it; starting afresh", job.name));
    }
}

/// Puts the verified part in its place.
fn publish(part: &Path, target: &Path) -> Result<()> {
    Disk.rename(part, target).map_err(|e| Error::io(target, "renaming", &e))?;
    let folder = crate::storage::folder_of(target);
    Disk.sync_folder(folder).map_err(|e| Error::io(folder, "syncing the folder", &e))
}

/// The error when no mirror gave the first of the `wanted` files.
fn by_hand(set: &Set, folder: &Path, wanted: &[&SetFile], failures: &[String]) -> Error {
    let mut what = format!("{} could not be downloaded", wanted[0].paths[0]);
    for failure in failures {
        what += &format!("\n    {failure}");
    }
    let mut remedy = "try again later, or by hand: open in a browser\n".to_string();
    for file in wanted {
        for mirror in set.mirrors {
            remedy += &format!("    {mirror}{}\n", file.paths[0]);
        }
        if let (Some(bytes), Some((algorithm, digest))) = (file.bytes, file.checksum.named()) {
            remedy += &format!("      ({bytes} bytes, {algorithm} {digest})\n");
        }
    }
    let put = format!("    put into {}\n    and run: spiketrain data check {}", folder.display(), set.name);
    Error::storage(what).at(folder.display()).remedy(remedy + &put + "  (with the same --data-dir, if one was given)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::catalog::sets;

    #[test]
    fn whatever_has_a_mirror_has_size_and_digest() {
        for set in sets().filter(|s| !s.mirrors.is_empty()) {
            assert!(set.mirrors.iter().all(|m| mirror(m).unwrap() == *m), "{}", set.name);
            for file in set.files.iter().filter(|f| f.published) {
                assert!(file.bytes.is_some() && file.checksum.named().is_some(), "{}", file.paths[0]);
                assert!(!file.paths[0].contains('/'), "{}", file.paths[0]);
            }
        }
    }

    #[test]
    fn mirrors_are_read() {
        assert_eq!(mirror("http://127.0.0.1:80/a").unwrap(), "http://127.0.0.1:80/a/");
        assert_eq!(mirror("https://host/").unwrap(), "https://host/");
        for bad in ["", "/data/mnist", "file:///data/mnist/", "ftp://host/", "host", "http://", "http://h/?f=", "http://a b/"] {
            let e = mirror(bad).expect_err(bad);
            assert_eq!((e.exit_code(), e.whole_place().as_str()), (2, "--mirror"), "{bad}");
        }
    }
}
