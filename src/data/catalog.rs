//! Which sets there are, which files they consist of, where those come from, and which of them are at hand.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The digest of a published file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256, hex.
    Sha256(&'static str),
    /// MD5, hex: all that the publisher gives.
    Md5(&'static str),
    /// None is published.
    Unknown,
}

/// A file (or folder) that holds parts of a set.
#[derive(Debug)]
pub struct SetFile {
    /// Where it may lie below the set's folder, under any of these names; the first is the published name.
    pub paths: &'static [&'static str],
    /// Its size, where known.
    pub bytes: Option<u64>,
    /// Its digest, where known.
    pub checksum: Checksum,
    /// Which of [`Set::parts`] it holds, as bits.
    pub holds: u16,
    /// True for the files that are published; the others are what one gets by unpacking them.
    pub published: bool,
}

/// A data set of the catalogue.
#[derive(Debug)]
pub struct Set {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is.
    pub title: &'static str,
    /// Its folder below the data folder.
    pub folder: &'static str,
    /// What it consists of.
    pub parts: &'static [&'static str],
    /// All files that may hold them.
    pub files: &'static [SetFile],
    /// Addresses that serve the published files, tried in this order; each ends with '/'. Empty: by hand only.
    pub mirrors: &'static [&'static str],
    /// What to do by hand.
    pub steps: &'static str,
}

const fn published(paths: &'static [&'static str], bytes: u64, checksum: Checksum, holds: u16) -> SetFile {
    SetFile { paths, bytes: Some(bytes), checksum, holds, published: true }
}

const fn unpacked(paths: &'static [&'static str], bytes: u64, checksum: Checksum, holds: u16) -> SetFile {
    SetFile { paths, bytes: Some(bytes), checksum, holds, published: false }
}

const fn archive(paths: &'static [&'static str], checksum: Checksum, holds: u16) -> SetFile {
    SetFile { paths, bytes: None, checksum, holds, published: true }
}

const fn folder(paths: &'static [&'static str], holds: u16) -> SetFile {
    SetFile { paths, bytes: None, checksum: Checksum::Unknown, holds, published: false }
}

use Checksum::{Md5, Sha256, Unknown};

/// The names of the four IDX files, packed and unpacked, as they go round.
const IDX: [[&[&str]; 2]; 4] = [
    [&["train-images-idx3-ubyte.gz", "train-images.idx3-ubyte.gz"], &["train-images-idx3-ubyte", "train-images.idx3-ubyte"]],
    [&["train-labels-idx1-ubyte.gz", "train-labels.idx1-ubyte.gz"], &["train-labels-idx1-ubyte", "train-labels.idx1-ubyte"]],
    [&["t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte.gz"], &["t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"]],
    [&["t10k-labels-idx1-ubyte.gz", "t10k-labels.idx1-ubyte.gz"], &["t10k-labels-idx1-ubyte", "t10k-labels.idx1-ubyte"]],
];
const IDX_PARTS: &[&str] = &["training images", "training labels", "test images", "test labels"];
/// Bytes of the unpacked IDX files: 60,000 and 10,000 pictures of 28x28, and their labels.
const IDX_BYTES: [u64; 4] = [47_040_016, 60_008, 7_840_016, 10_008];

/// One of CIFAR10's batches: 10,000 records of 1 + 3072 bytes.
const fn batch(paths: &'static [&'static str], checksum: Checksum, holds: u16) -> SetFile {
    unpacked(paths, 30_730_000, checksum, holds)
}

/// Every set that has files. Sizes and digests: the publishers', MNIST's SHA-256 and unpacked MD5 taken from files whose
/// published MD5 matched.
pub const SETS: &[Set] = &[
    Set {
        name: "mnist",
        title: "handwritten digits, 60,000 + 10,000, 1x28x28",
        folder: "mnist",
        parts: IDX_PARTS,
        files: &[
            published(IDX[0][0], 9_912_422, Sha256("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"), 1),
            published(IDX[1][0], 28_881, Sha256("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"), 2),
            published(IDX[2][0], 1_648_877, Sha256("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"), 4),
            published(IDX[3][0], 4_542, Sha256("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"), 8),
            unpacked(IDX[0][1], IDX_BYTES[0], Md5("6bbc9ace898e44ae57da46a324031adb"), 1),
            unpacked(IDX[1][1], IDX_BYTES[1], Md5("a25bea736e30d166cdddb491f175f624"), 2),
            unpacked(IDX[2][1], IDX_BYTES[2], Md5("2646ac647ad5339dbf082846283269ea"), 4),
            unpacked(IDX[3][1], IDX_BYTES[3], Md5("27ae3e4e09519cfbb04c329615203637"), 8),
        ],
        mirrors: &["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"],
        steps: "fetch the four .gz files with a browser; they need not be unpacked",
    },
    Set {
        name: "fashion-mnist",
        title: "articles of clothing, 60,000 + 10,000, 1x28x28",
        folder: "fashion-mnist",
        parts: IDX_PARTS,
        files: &[
            published(IDX[0][0], 26_421_880, Md5("8d4fb7e6c68d591d4c3dfef9ec88bf0d"), 1),
            published(IDX[1][0], 29_515, Md5("25c81989df183df01b3e8a0aad5dffbe"), 2),
            published(IDX[2][0], 4_422_102, Md5("bef4ecab320f06d8554ea6380940ec79"), 4),
            published(IDX[3][0], 5_148, Md5("bb300cfdad3c16e7a12a480ee83cd310"), 8),
            unpacked(IDX[0][1], IDX_BYTES[0], Unknown, 1),
            unpacked(IDX[1][1], IDX_BYTES[1], Unknown, 2),
            unpacked(IDX[2][1], IDX_BYTES[2], Unknown, 4),
            unpacked(IDX[3][1], IDX_BYTES[3], Unknown, 8),
        ],
        mirrors: &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
        steps: "fetch the four .gz files with a browser; they need not be unpacked",
    },
    Set {
        name: "cifar10",
        title: "ten kinds of things in colour, 50,000 + 10,000, 3x32x32",
        folder: "cifar10",
        parts: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"],
        files: &[
            published(
                &["cifar-10-binary.tar.gz"],
                170_052_171,
                Sha256("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
                0b11_1111,
            ),
            batch(&["cifar-10-batches-bin/data_batch_1.bin", "data_batch_1.bin"], Md5("5dd7e06a14cb22eb9f671a540d1b7c25"), 1),
            batch(&["cifar-10-batches-bin/data_batch_2.bin", "data_batch_2.bin"], Md5("5ea93a67294ea407fff1d09f752e9692"), 2),
            batch(&["cifar-10-batches-bin/data_batch_3.bin", "data_batch_3.bin"], Md5("942cd6a4bcdd0dd3c604fbe906cb4421"), 4),
            batch(&["cifar-10-batches-bin/data_batch_4.bin", "data_batch_4.bin"], Md5("ae636b3ba5c66a11e91e8cb52e771fcb"), 8),
            batch(&["cifar-10-batches-bin/data_batch_5.bin", "data_batch_5.bin"], Md5("53f37980c15c3d472c316c40844f3f0d"), 16),
            batch(&["cifar-10-batches-bin/test_batch.bin", "test_batch.bin"], Md5("803d5f7f4d78ea53de84dbe85f74fb6d"), 32),
        ],
        mirrors: &["https://www.cs.toronto.edu/~kriz/"],
        steps: "fetch the 'CIFAR-10 binary version' with a browser; it need not be unpacked",
    },
    Set {
        name: "nmnist",
        title: "event recordings of MNIST, 60,000 + 10,000, 34x34x2",
        folder: "nmnist",
        parts: &["Train", "Test"],
        files: &[
            archive(&["Train.zip"], Md5("20959b8e626244a1b502305a9e6e2031"), 1),
            archive(&["Test.zip"], Md5("69ca8762b2fe404d9b9bad1103e97832"), 2),
            folder(&["Train"], 1),
            folder(&["Test"], 2),
        ],
        mirrors: &[],
        steps: "open https://data.mendeley.com/datasets/468j46mzdv (Garrick Orchard) and fetch Train.zip and Test.zip",
    },
    Set {
        name: "dvs-gesture",
        title: "event recordings of gestures, 1,176 + 288, 128x128x2",
        folder: "dvs-gesture",
        parts: &["DvsGesture"],
        files: &[archive(&["DvsGesture.tar.gz"], Md5("8a5c71fb11e24e5ca5b11866ca6c00a1"), 1), folder(&["DvsGesture"], 1)],
        mirrors: &[],
        steps: "search for 'DVS128 Gesture Dataset' at IBM Research, fill in the form, and fetch DvsGesture.tar.gz",
    },
    Set {
        name: "dvs-cifar10",
        title: "event recordings of CIFAR10, 10,000, 128x128x2",
        folder: "dvs-cifar10",
        parts: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        files: &[
            archive(&["airplane.zip", "airplane"], Unknown, 1),
            archive(&["automobile.zip", "automobile"], Unknown, 1 << 1),
            archive(&["bird.zip", "bird"], Unknown, 1 << 2),
            archive(&["cat.zip", "cat"], Unknown, 1 << 3),
            archive(&["deer.zip", "deer"], Unknown, 1 << 4),
            archive(&["dog.zip", "dog"], Unknown, 1 << 5),
            archive(&["frog.zip", "frog"], Unknown, 1 << 6),
            archive(&["horse.zip", "horse"], Unknown, 1 << 7),
            archive(&["ship.zip", "ship"], Unknown, 1 << 8),
            archive(&["truck.zip", "truck"], Unknown, 1 << 9),
        ],
        mirrors: &[],
        steps: "open https://figshare.com/articles/dataset/CIFAR10-DVS_New/4724671 and fetch one zip per class",
    },
];

/// The set of that name.
///
/// # Errors
/// Usage for a name that has no files to list, fetch or check.
pub fn find(name: &str) -> Result<&'static Set> {
    let known: Vec<&str> = SETS.iter().map(|s| s.name).collect();
    match name {
        "glyphs" => Err(Error::usage("the data set 'glyphs' is drawn by the program: there are no files to fetch or check")),
        "motions" => Err(Error::usage("the data set 'motions' is drawn by the program: there are no files to fetch or check")),
        "events" => Err(Error::usage("'events' is a folder of your own recordings: there are no files to fetch or check")),
        "images" => Err(Error::usage("'images' is a folder of your own pictures: there are no files to fetch or check")),
        _ => SETS.iter().find(|s| s.name == name).ok_or_else(|| super::name::unknown(name, &known)),
    }
}

impl SetFile {
    /// Where it lies below the set's folder, if it does.
    pub fn present(&self, folder: &Path) -> Option<PathBuf> {
        self.paths.iter().map(|p| folder.join(p)).find(|p| p.exists())
    }
}

impl Set {
    /// The first file at hand that holds part number `part`, by the order of [`Set::files`].
    pub fn locate(&self, folder: &Path, part: usize) -> Option<PathBuf> {
        self.files.iter().filter(|f| f.holds >> part & 1 == 1).find_map(|f| f.present(folder))
    }

    /// Names of the parts that no file at hand holds.
    pub fn missing_parts(&self, folder: &Path) -> Vec<&'static str> {
        (0..self.parts.len()).filter(|&p| self.locate(folder, p).is_none()).map(|p| self.parts[p]).collect()
    }

    /// The error for a set that is not, or not wholly, in `folder`.
    pub fn missing(&self, folder: &Path) -> Error {
        let parts = self.missing_parts(folder);
        let what = if parts.len() == self.parts.len() {
            format!("the data set {} is not there", self.name)
        } else {
            format!("the data set {} is incomplete; missing: {}", self.name, parts.join(", "))
        };
        let fetch = match self.mirrors {
            [] => self.steps.to_string(),
            _ => format!("spiketrain data download {}", self.name),
        };
        Error::usage(what).at(folder.display()).remedy(format!("{fetch}  (or name another folder with --data-dir or SPIKETRAIN_DATA)"))
    }
}
