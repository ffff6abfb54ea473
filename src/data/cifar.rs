//! CIFAR10's binary version: records of one label byte and 3·32·32 pixel bytes (red, green, blue planes).
//!
//! Read from the unpacked batches, or from `cifar-10-binary.tar.gz` as it is: the archive is streamed, its members are known by
//! their base names, and nothing is ever written to a path that an archive names.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;

use super::catalog::Set;
use super::source::{Capped, gzip_error, open, read_whole};
use super::{DatasetName, ImageSet, LoadOptions, Samples, at_byte};
use crate::error::{Error, Result};
use crate::limits;
use crate::plural::counted;
use crate::shape::Chw;

/// Shape of a picture.
const SHAPE: Chw = Chw::new(3, 32, 32);
/// One label and the pixels.
const RECORD: usize = 1 + SHAPE.len();
/// Records of a published batch.
const BATCH: usize = 10_000;
/// Batches: five for training, then the test batch, as in the catalogue.
const BATCHES: usize = 6;
const TEST: usize = 5;
const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Said of every malformed file.
const REMEDY: &str = "the file is damaged or another one; spiketrain data check cifar10 tells, spiketrain data download cifar10 fetches it";

/// Reads the bytes of a batch of any number of records; `file` only names the place of errors.
///
/// # Errors
/// Format: empty, not a multiple of 3073 bytes, a label above 9.
pub fn parse_batch(file: &Path, bytes: &[u8]) -> Result<Samples> {
    let bad = |offset, what: String| Error::format(what).at(at_byte(file, offset)).remedy(REMEDY);
    if bytes.is_empty() {
        return Err(bad(0, format!("expected records of {RECORD} bytes, found an empty file")));
    }
    let (records, rest) = bytes.as_chunks::<RECORD>();
    if !rest.is_empty() {
        let what = format!(
            "expected a multiple of {RECORD} bytes, found {} and {} more",
            counted(records.len(), "record"),
            counted(rest.len(), "byte")
        );
        return Err(bad(records.len() * RECORD, what));
    }
    let mut samples = Samples { pixels: Vec::with_capacity(records.len() * SHAPE.len()), labels: Vec::with_capacity(records.len()) };
    for (i, [label, pixels @ ..]) in records.iter().enumerate() {
        if *label as usize >= CLASSES.len() {
            return Err(bad(i * RECORD, format!("expected a label of 0 to 9, found {label}")));
        }
        samples.labels.push(*label as u16);
        samples.pixels.extend_from_slice(pixels);
    }
    Ok(samples)
}

/// Loads the set.
pub(super) fn load(name: DatasetName, set: &Set, options: &LoadOptions) -> Result<ImageSet> {
    let folder = options.folder(set)?;
    let mut notes = Vec::new();
    let batches = read_batches(set, &folder)?;
    let missing: Vec<&str> = (0..BATCHES).filter(|&b| batches[b].is_none()).map(|b| set.parts[b]).collect();
    let usable = batches[TEST].is_some() && batches[..TEST].iter().any(Option::is_some);
    if !missing.is_empty() {
        if !(options.allow_partial && usable) {
            let what = format!("the data set cifar10 is incomplete; missing: {}", missing.join(", "));
            let hint = if usable { "; or train on what is there with --allow-partial" } else { "" };
            let remedy = format!("spiketrain data download cifar10  (or name another folder with --data-dir){hint}");
            return Err(Error::usage(what).at(folder.display()).remedy(remedy));
        }
        notes.push(format!("partial: without {}", missing.join(", ")));
    }
    let mut splits = [Samples::default(), Samples::default()];
    for (b, samples) in batches.into_iter().enumerate().filter_map(|(b, s)| Some((b, s?))) {
        check_count(&folder, set.parts[b], samples.len(), options.allow_partial, &mut notes)?;
        let split = &mut splits[usize::from(b == TEST)];
        split.pixels.extend(samples.pixels);
        split.labels.extend(samples.labels);
    }
    let [train, test] = splits;
    Ok(ImageSet::new(name, SHAPE, CLASSES.map(String::from).to_vec(), train, test, notes))
}

fn check_count(folder: &Path, batch: &str, found: usize, allow_partial: bool, notes: &mut Vec<String>) -> Result<()> {
    if found == BATCH {
        return Ok(());
    }
    let what = format!("expected {BATCH} records, found {found}");
    if !allow_partial {
        return Err(Error::format(what).at(folder.join(batch).display()).remedy(REMEDY));
    }
    notes.push(format!("partial: {batch}: {what}"));
    Ok(())
}

/// The batches at hand: unpacked ones first, the archive for those that are not.
fn read_batches(set: &Set, folder: &Path) -> Result<[Option<Samples>; BATCHES]> {
    if set.missing_parts(folder).len() == BATCHES {
        return Err(set.missing(folder));
    }
    let mut batches = [const { None }; BATCHES];
    let (packed, unpacked): (Vec<_>, Vec<_>) = set.files.iter().partition(|f| f.published);
    for file in unpacked {
        if let Some(path) = file.present(folder) {
            batches[file.holds.trailing_zeros() as usize] = Some(parse_batch(&path, &read_whole(&path)?)?);
        }
    }
    if batches.iter().any(Option::is_none) {
        for path in packed.iter().filter_map(|f| f.present(folder)) {
            let archive = read_archive(&path, set.parts)?;
            batches.iter_mut().zip(archive).for_each(|(have, new)| *have = have.take().or(new));
        }
    }
    Ok(batches)
}

/// The batches in a .tar.gz, by base name; whatever else is in there is passed over.
fn read_archive(path: &Path, names: &[&str]) -> Result<[Option<Samples>; BATCHES]> {
    let mut batches = [const { None }; BATCHES];
    let reader = Capped { inner: GzDecoder::new(BufReader::new(open(path)?)), left: limits::MAX_DECOMPRESSED };
    let mut archive = tar::Archive::new(reader);
    let broken = |e: io::Error| archive_error(path, &e);
    // Raw: no long names or sparse files, whose handling would read what the archive says into memory.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let member = entry.path_bytes().into_owned();
        let base = member.rsplit(|&b| b == b'/').next().unwrap_or(&[]);
        let Some(b) = names.iter().position(|n| n.as_bytes() == base) else { continue };
        let place = path.join(names[b]);
        let announced = entry.size();
        if announced != (BATCH * RECORD) as u64 {
            let what = format!("expected {} bytes, found {announced}", BATCH * RECORD);
            return Err(Error::format(what).at(place.display()).remedy(REMEDY));
        }
        if batches[b].is_some() {
            return Err(Error::format("the archive holds this batch twice").at(place.display()).remedy(REMEDY));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 != announced {
            let what = format!("expected {announced} bytes, found {}: cut off", bytes.len());
            return Err(Error::format(what).at(place.display()).remedy(REMEDY));
        }
        batches[b] = Some(parse_batch(&place, &bytes)?);
    }
    // The tar reader stops at the end mark; only what lies behind it tells whether gzip's own checksum holds.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken)?;
    Ok(batches)
}

/// Errors of the tar reader: those of the archive's structure come as kind Other.
fn archive_error(path: &Path, e: &io::Error) -> Error {
    match e.kind() {
        io::ErrorKind::Other => Error::format(format!("expected a tar archive, found: {e}")).at(path.display()).remedy(REMEDY),
        _ => gzip_error(path, None, e),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;
    use crate::data::sets;
    use std::fs::{self, File};
    use std::path::PathBuf;

    fn records(labels: &[u8]) -> Vec<u8> {
        labels.iter().flat_map(|&l| std::iter::once(l).chain((0..SHAPE.len()).map(move |i| (i as u8).wrapping_add(l)))).collect()
    }

    fn whole(label: u8) -> Vec<u8> {
        records(&[label]).repeat(BATCH)
    }

    fn options(dir: &Path, allow_partial: bool) -> LoadOptions {
        LoadOptions { data_dir: Some(dir.into()), allow_partial, ..Default::default() }
    }

    fn error(dir: &Path, allow_partial: bool) -> String {
        let e = load(sets::CIFAR10, &options(dir, allow_partial)).unwrap_err();
        assert_eq!(e.exit_code(), 2);
        e.to_string()
    }

    #[test]
    fn records_are_label_then_planes() {
        let samples = parse_batch(Path::new("b"), &records(&[3, 9])).unwrap();
        assert_eq!(samples.labels, [3, 9]);
        assert_eq!(samples.pixels.len(), 2 * 3072);
        assert_eq!((samples.pixels[0], samples.pixels[3072 + 1]), (3, 10));
    }

    #[test]
    fn malformed_batches_are_named_with_their_byte() {
        let e = |bytes: &[u8]| parse_batch(Path::new("b.bin"), bytes).unwrap_err().to_string();
        assert!(e(&[]).contains("b.bin: byte 0: expected records"));
        assert!(e(&records(&[1, 2])[..4000]).contains("byte 3073: expected a multiple of 3073 bytes, found 1 record and 927 bytes"));
        assert!(e(&records(&[1, 10])).contains("byte 3073: expected a label of 0 to 9, found 10"));
    }

    #[test]
    fn missing_and_short_batches_are_errors_unless_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let text = error(dir.path(), true);
        assert!(text.contains("not there") && text.contains("download cifar10"), "{text}");
        let folder = dir.path().join("cifar10/cifar-10-batches-bin");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("data_batch_2.bin"), records(&[1, 2, 3])).unwrap();
        let text = error(dir.path(), true);
        assert!(text.contains("missing: data_batch_1.bin, data_batch_3.bin") && !text.contains("--allow-partial"), "{text}");
        fs::write(dir.path().join("cifar10/test_batch.bin"), records(&[4, 5])).unwrap();
        assert!(error(dir.path(), false).contains("--allow-partial"));
        let set = load(sets::CIFAR10, &options(dir.path(), true)).unwrap();
        assert_eq!((&set.train.labels[..], &set.test.labels[..]), (&[1, 2, 3][..], &[4, 5][..]));
        assert!(set.notes[0].contains("without data_batch_1.bin") && set.notes[1].contains("found 3"), "{:?}", set.notes);
        for b in [1, 3, 4, 5] {
            fs::write(dir.path().join(format!("cifar10/data_batch_{b}.bin")), records(&[b])).unwrap();
        }
        assert!(error(dir.path(), false).contains("data_batch_1.bin: expected 10000 records, found 1"));
        let set = load(sets::CIFAR10, &options(dir.path(), true)).unwrap();
        assert_eq!(set.train.labels, [1, 1, 2, 3, 3, 4, 5]);
    }

    /// Writes cifar10/cifar-10-binary.tar.gz from (path, content) and gives its path.
    fn archive(dir: &Path, members: &[(&str, &[u8])]) -> PathBuf {
        let path = dir.join("cifar10/cifar-10-binary.tar.gz");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, content) in members {
            let mut header = tar::Header::new_ustar();
            // Straight into the field: the library refuses to write the paths that an attacker would.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        path
    }

    #[test]
    fn the_archive_is_read_in_place_by_base_name() {
        let dir = tempfile::tempdir().unwrap();
        let (one, test) = (whole(1), whole(7));
        let readme: &[u8] = b"hello";
        let path = archive(
            dir.path(),
            &[("cifar-10-batches-bin/readme.html", readme), ("../../etc/data_batch_1.bin", &one), ("/abs/test_batch.bin", &test)],
        );
        let set = load(sets::CIFAR10, &options(dir.path(), true)).unwrap();
        assert_eq!((set.train.len(), set.test.len(), set.test.labels[9_999]), (BATCH, BATCH, 7));
        let left: Vec<_> = fs::read_dir(dir.path().join("cifar10")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing but the archive");
        // Unpacked batches win.
        fs::write(dir.path().join("cifar10/test_batch.bin"), records(&[4])).unwrap();
        assert_eq!(load(sets::CIFAR10, &options(dir.path(), true)).unwrap().test.labels, [4]);
        fs::remove_file(dir.path().join("cifar10/test_batch.bin")).unwrap();

        let packed = fs::read(&path).unwrap();
        for cut in [3, packed.len() / 2, packed.len() - 1] {
            fs::write(&path, &packed[..cut]).unwrap();
            let text = error(dir.path(), true);
            assert!(text.contains("cifar-10-binary.tar.gz"), "{cut}: {text}");
        }
        fs::write(&path, b"<html>not found</html>").unwrap();
        assert!(error(dir.path(), true).contains("damaged"));
    }

    #[test]
    fn strange_archives_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let one = whole(1);
        archive(dir.path(), &[("a/data_batch_1.bin", &one), ("b/data_batch_1.bin", &one)]);
        assert!(error(dir.path(), true).contains("twice"));
        archive(dir.path(), &[("a/data_batch_1.bin", &one[..3073])]);
        assert!(error(dir.path(), true).contains("expected 30730000 bytes, found 3073"));
        archive(dir.path(), &[("a/readme.html", b"x")]);
        assert!(error(dir.path(), true).contains("missing: data_batch_1.bin"));
    }

    #[test]
    fn the_real_batches() {
        let Some(dir) = std::env::var_os("SPIKETRAIN_TEST_DATA").map(PathBuf::from) else {
            println!("SKIPPED: SPIKETRAIN_TEST_DATA is not set");
            return;
        };
        if !dir.join("cifar10/cifar-10-batches-bin/test_batch.bin").exists() {
            println!("SKIPPED: no unpacked CIFAR10 batches in {}", dir.display());
            return;
        }
        let set = load(sets::CIFAR10, &options(&dir, true)).unwrap();
        assert!(set.train.len() >= BATCH && set.train.len().is_multiple_of(BATCH));
        assert_eq!(set.test.len(), BATCH);
        assert!((0..10).all(|c| set.test.labels.iter().filter(|&&l| l == c).count() == 1_000));
        assert_eq!(set.test.labels[..10], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
    }
}
