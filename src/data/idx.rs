//! IDX, the format of MNIST and Fashion-MNIST: a magic number, big-endian dimensions, then one byte per value.
//!
//! `00 00 08 01 N` + N labels, and `00 00 08 03 N H W` + N·H·W pixels. 08 means unsigned bytes, the fourth byte is the
//! number of dimensions. (Format: yann.lecun.com/exdb/mnist.)

use std::path::Path;

use super::catalog::Set;
use super::source::read_whole;
use super::{DatasetName, ImageSet, LoadOptions, Samples, at_byte};
use crate::error::{Error, Result};
use crate::limits;
use crate::plural::counted;
use crate::shape::Chw;

/// Highest label of a set of ten classes.
const MAX_LABEL: u8 = 9;
/// Height and width of the pictures of both sets.
const SIDE: usize = 28;
/// Said of every malformed file.
const REMEDY: &str = "the file is damaged or another one; spiketrain data check tells, spiketrain data download fetches it again";

/// The content of an IDX file of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Images<'a> {
    /// N.
    pub count: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// `[N,H,W]`.
    pub pixels: &'a [u8],
}

/// Reads the bytes of a file of images; `file` only names the place of errors.
///
/// # Errors
/// Format: wrong magic number, header cut off, sides out of range, more or fewer pixels than announced.
pub fn parse_images<'a>(file: &Path, bytes: &'a [u8]) -> Result<Images<'a>> {
    let ([count, height, width], pixels) = header::<3>(file, bytes, "images")?;
    for (offset, side) in [(8, height), (12, width)] {
        if !(1..=limits::MAX_SIDE).contains(&side) {
            return Err(bad(file, offset, format!("expected a side of 1 to {} pixels, found {side}", limits::MAX_SIDE)));
        }
    }
    exactly(file, 16, (count as u128) * (height * width) as u128, pixels.len(), "pixel")?;
    Ok(Images { count, height, width, pixels })
}

/// Reads the bytes of a file of labels 0 to 9; `file` only names the place of errors.
///
/// # Errors
/// Format: wrong magic number, header cut off, a label above 9, more or fewer labels than announced.
pub fn parse_labels<'a>(file: &Path, bytes: &'a [u8]) -> Result<&'a [u8]> {
    let ([count], labels) = header::<1>(file, bytes, "labels")?;
    exactly(file, 8, count as u128, labels.len(), "label")?;
    match labels.iter().position(|&l| l > MAX_LABEL) {
        Some(i) => Err(bad(file, 8 + i, format!("expected a label of 0 to {MAX_LABEL}, found {}", labels[i]))),
        None => Ok(labels),
    }
}

/// Checks the magic number and splits off D dimensions.
fn header<'a, const D: usize>(file: &Path, bytes: &'a [u8], kind: &str) -> Result<([usize; D], &'a [u8])> {
    let length = 4 + 4 * D;
    let magic = [0, 0, 8, D as u8];
    if bytes.is_empty() {
        return Err(bad(file, 0, format!("expected IDX {kind}, found an empty file")));
    }
    let found = &bytes[..bytes.len().min(4)];
    if found != magic {
        return Err(bad(file, 0, format!("expected IDX {kind} ({magic:02x?}), found {found:02x?}")));
    }
    let Some((head, rest)) = bytes.split_at_checked(length) else {
        return Err(bad(file, bytes.len(), format!("expected a header of {length} bytes, found {}", bytes.len())));
    };
    let dimension = |d: usize| u32::from_be_bytes(std::array::from_fn(|k| head[4 + 4 * d + k])) as usize;
    Ok((std::array::from_fn(dimension), rest))
}

fn exactly(file: &Path, start: usize, announced: u128, found: usize, what: &str) -> Result<()> {
    let end = start + found;
    match announced.cmp(&(found as u128)) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(bad(file, end, format!("expected {}, found {found}: cut off", counted(announced, what)))),
        std::cmp::Ordering::Less => {
            let offset = start + announced as usize;
            Err(bad(
                file,
                offset,
                format!("expected the end after {}, found {}", counted(announced, what), counted(end - offset, "more byte")),
            ))
        }
    }
}

fn bad(file: &Path, offset: usize, what: String) -> Error {
    Error::format(what).at(at_byte(file, offset)).remedy(REMEDY)
}

/// The names of the four IDX files, packed and unpacked, as they go round.
pub(super) const NAMES: [[&[&str]; 2]; 4] = [
    [&["train-images-idx3-ubyte.gz", "train-images.idx3-ubyte.gz"], &["train-images-idx3-ubyte", "train-images.idx3-ubyte"]],
    [&["train-labels-idx1-ubyte.gz", "train-labels.idx1-ubyte.gz"], &["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"]],
    [&["t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte.gz"], &["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"]],
    [&["t10k-labels-idx1-ubyte.gz", "t10k-labels.idx1-ubyte.gz"], &["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"]],
];
/// What each of them holds.
pub(super) const PARTS: &[&str] = &["training images", "training labels", "test images", "test labels"];
/// Bytes of the unpacked IDX files: 60,000 and 10,000 pictures of 28x28, and their labels.
pub(super) const BYTES: [u64; 4] = [47_040_016, 60_008, 7_840_016, 10_008];

/// Loads a set of four IDX files.
pub(super) fn load(name: DatasetName, set: &Set, classes: [&str; 10], options: &LoadOptions) -> Result<ImageSet> {
    let folder = options.folder(set)?;
    let mut files = Vec::new();
    for part in 0..set.parts.len() {
        match set.locate(&folder, part) {
            Some(path) => files.push(path),
            None => return Err(set.missing(&folder)),
        }
    }
    let train = load_split(&files[0], &files[1])?;
    let test = load_split(&files[2], &files[3])?;
    let mut notes = Vec::new();
    for (split, samples, published) in [("train", &train, 60_000), ("test", &test, 10_000)] {
        if samples.len() != published {
            notes.push(format!("{split}: {}, the published set has {published}", counted(samples.len(), "sample")));
        }
    }
    let classes = classes.map(String::from).to_vec();
    Ok(ImageSet::new(name, Chw::new(1, SIDE, SIDE), classes, train, test, notes))
}

fn load_split(image_file: &Path, label_file: &Path) -> Result<Samples> {
    let bytes = read_whole(image_file)?;
    let images = parse_images(image_file, &bytes)?;
    let label_bytes = read_whole(label_file)?;
    let labels = parse_labels(label_file, &label_bytes)?;
    if (images.height, images.width) != (SIDE, SIDE) {
        let found = format!("expected pictures of {SIDE}x{SIDE}, found {}x{}", images.height, images.width);
        return Err(bad(image_file, 8, found));
    }
    if images.count == 0 {
        return Err(bad(image_file, 4, "expected pictures, found none".into()));
    }
    if images.count != labels.len() {
        let found = format!(
            "expected {} as there are pictures in {}, found {}",
            counted(images.count, "label"),
            image_file.display(),
            labels.len()
        );
        return Err(bad(label_file, 4, found));
    }
    Ok(Samples { pixels: images.pixels.to_vec(), labels: labels.iter().map(|&l| l as u16).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sets;
    use std::fs;

    fn images(n: u32, h: u32, w: u32, pixels: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3];
        bytes.extend([n, h, w].iter().flat_map(|v| v.to_be_bytes()));
        bytes.extend((0..pixels).map(|i| i as u8));
        bytes
    }

    fn labels(n: u32, values: &[u8]) -> Vec<u8> {
        [&[0, 0, 8, 1][..], &n.to_be_bytes(), values].concat()
    }

    fn images_error(bytes: &[u8]) -> String {
        parse_images(Path::new("f.idx"), bytes).unwrap_err().to_string()
    }

    #[test]
    fn good_files() {
        let bytes = images(2, 3, 5, 30);
        let got = parse_images(Path::new("f"), &bytes).unwrap();
        assert_eq!((got.count, got.height, got.width), (2, 3, 5));
        assert_eq!(got.pixels, (0..30).collect::<Vec<u8>>());
        assert_eq!(parse_labels(Path::new("f"), &labels(3, &[9, 0, 4])).unwrap(), [9, 0, 4]);
    }

    #[test]
    fn every_malformed_file_is_named_with_its_byte() {
        let has = |error: String, parts: &[&str]| parts.iter().for_each(|p| assert!(error.contains(p), "{error}: no '{p}'"));
        has(images_error(&[]), &["f.idx: byte 0", "empty", "data check"]);
        has(images_error(&labels(1, &[1])), &["byte 0", "expected IDX images", "08, 01"]);
        has(images_error(b"PNG"), &["byte 0", "[50, 4e, 47]"]);
        has(images_error(&images(2, 3, 5, 30)[..9]), &["byte 9", "header of 16 bytes", "found 9"]);
        has(images_error(&images(2, 3, 5, 29)), &["byte 45", "expected 30 pixels, found 29", "cut off"]);
        has(images_error(&images(2, 3, 5, 31)), &["byte 46", "found 1 more"]);
        has(images_error(&images(2, 0, 5, 0)), &["byte 8", "found 0"]);
        has(images_error(&images(2, 3, 1 << 30, 0)), &["byte 12", "1073741824"]);
        has(images_error(&images(u32::MAX, 2048, 2048, 10)), &["expected 18014398505287680 pixels", "found 10"]);
        let labels_error = |bytes: &[u8]| parse_labels(Path::new("l"), bytes).unwrap_err().to_string();
        has(labels_error(&labels(3, &[9, 10, 4])), &["l: byte 9", "found 10"]);
        has(labels_error(&labels(3, &[9, 4])), &["byte 10", "expected 3 labels, found 2"]);
        has(labels_error(&labels(u32::MAX, &[])), &["expected 4294967295 labels, found 0"]);
        has(labels_error(&labels(1, &[1, 2])), &["byte 9", "found 1 more"]);
        has(labels_error(&labels(1, &[1])[..7]), &["byte 7", "header of 8 bytes"]);
    }

    #[test]
    fn no_bytes_make_the_parsers_panic() {
        let good = images(2, 3, 5, 30);
        let mut tried = 0;
        for position in 0..good.len() {
            for value in [0, 1, 3, 8, 127, 128, 255] {
                let mut bytes = good.clone();
                bytes[position] = value;
                let _ = (parse_images(Path::new("f"), &bytes), parse_labels(Path::new("f"), &bytes));
                let _ = (parse_images(Path::new("f"), &bytes[..position]), parse_labels(Path::new("f"), &bytes[..position]));
                tried += 4;
            }
        }
        println!("{tried} files");
    }

    fn write_set(dir: &Path, train: (&[u8], &[u8]), test: (&[u8], &[u8])) {
        fs::create_dir_all(dir.join("mnist")).unwrap();
        fs::write(dir.join("mnist/train-images-idx3-ubyte"), train.0).unwrap();
        fs::write(dir.join("mnist/train-labels.idx1-ubyte"), train.1).unwrap();
        fs::write(dir.join("mnist/t10k-images.idx3-ubyte"), test.0).unwrap();
        fs::write(dir.join("mnist/t10k-labels-idx1-ubyte"), test.1).unwrap();
    }

    #[test]
    fn a_set_on_disk_loads_under_either_spelling_of_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let options = LoadOptions { data_dir: Some(dir.path().into()), ..Default::default() };
        let e = crate::data::load(sets::MNIST, &options).unwrap_err();
        let text = e.to_string();
        assert_eq!(e.exit_code(), 2);
        assert!(text.contains(&dir.path().join("mnist").display().to_string()), "{text}");
        assert!(text.contains("spiketrain data download mnist"), "{text}");

        let (train, test) = (images(3, 28, 28, 3 * 784), images(2, 28, 28, 2 * 784));
        write_set(dir.path(), (&train, &labels(3, &[1, 2, 3])), (&test, &labels(2, &[4, 5])));
        let set = crate::data::load(sets::MNIST, &options).unwrap();
        assert_eq!((set.shape, &set.train.labels[..], &set.test.labels[..]), (Chw::new(1, 28, 28), &[1, 2, 3][..], &[4, 5][..]));
        assert_eq!(set.train.pixels, train[16..]);
        assert!(set.notes[0].contains("60000"), "{:?}", set.notes);

        write_set(dir.path(), (&train, &labels(4, &[1, 2, 3, 4])), (&test, &labels(2, &[4, 5])));
        let e = crate::data::load(sets::MNIST, &options).unwrap_err().to_string();
        assert!(e.contains("train-labels.idx1-ubyte: byte 4") && e.contains("expected 3 labels"), "{e}");

        write_set(dir.path(), (&images(3, 27, 28, 3 * 27 * 28), &labels(3, &[1, 2, 3])), (&test, &labels(2, &[4, 5])));
        assert!(crate::data::load(sets::MNIST, &options).unwrap_err().to_string().contains("27x28"));
        write_set(dir.path(), (&images(0, 28, 28, 0), &labels(0, &[])), (&test, &labels(2, &[4, 5])));
        assert!(crate::data::load(sets::MNIST, &options).unwrap_err().to_string().contains("found none"));
    }

    #[test]
    fn the_real_mnist() {
        let Some(dir) = std::env::var_os("SPIKETRAIN_TEST_DATA") else {
            println!("SKIPPED: SPIKETRAIN_TEST_DATA is not set");
            return;
        };
        let options = LoadOptions { data_dir: Some(dir.into()), ..Default::default() };
        let set = crate::data::load(sets::MNIST, &options).unwrap();
        assert_eq!((set.train.len(), set.test.len()), (60_000, 10_000));
        assert_eq!(set.train.labels[..10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
        assert_eq!(set.test.labels[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
        assert!(set.notes.is_empty());
        // The mean of the training pixels that everybody normalises with, 0.1307.
        let mean = set.train.pixels.iter().map(|&p| p as u64).sum::<u64>() as f64 / set.train.pixels.len() as f64 / 255.0;
        assert!((mean - 0.1307).abs() < 1e-4, "{mean}");
    }
}
