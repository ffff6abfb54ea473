//! MNIST.

use super::{Authors, Defaults, Descriptor, Measured, Origin, Source, Treatment};
use crate::data::catalog::Checksum::{Md5, Sha256};
use crate::data::catalog::{Set, published, unpacked};
use crate::data::{DatasetName, idx};

/// SHA-256 and unpacked MD5 are those of files whose published MD5 matched.
const FILES: Set = Set {
    name: "mnist",
    title: "handwritten digits, 60,000 + 10,000, 1x28x28",
    folder: "mnist",
    parts: idx::PARTS,
    recordings: &[],
    files: &[
        published(idx::NAMES[0][0], 9_912_422, Sha256("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"), 1),
        published(idx::NAMES[1][0], 28_881, Sha256("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"), 2),
        published(idx::NAMES[2][0], 1_648_877, Sha256("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"), 4),
        published(idx::NAMES[3][0], 4_542, Sha256("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"), 8),
        unpacked(idx::NAMES[0][1], idx::BYTES[0], Md5("6bbc9ace898e44ae57da46a324031adb"), 1),
        unpacked(idx::NAMES[1][1], idx::BYTES[1], Md5("a25bea736e30d166cdddb491f175f624"), 2),
        unpacked(idx::NAMES[2][1], idx::BYTES[2], Md5("2646ac647ad5339dbf082846283269ea"), 4),
        unpacked(idx::NAMES[3][1], idx::BYTES[3], Md5("27ae3e4e09519cfbb04c329615203637"), 8),
    ],
    mirrors: &["https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"],
    steps: "fetch the four .gz files with a browser; they need not be unpacked",
};

const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

/// Handwritten digits, 1x28x28 (LeCun, Cortes, Burges).
pub const MNIST: DatasetName = DatasetName::new(&Descriptor {
    name: FILES.name,
    title: FILES.title,
    origin: Origin::Published(&FILES),
    source: Source::Pictures(|options| idx::load(MNIST, &FILES, CLASSES, options)),
    preparation: Treatment::cropped(2),
    defaults: Defaults {
        net: "32C3-MP2-64C3-MP2-128C3-MP2-{n}Voting",
        time_steps: "2:20,4:8",
        epochs: 28,
        augment: true,
        measured: Some(Measured { minutes: 12.0, test: 99.42, of: "" }),
        ..Defaults::USUAL
    },
    authors: Some(Authors { net: "small", batch: 128, augment: false, script: ("released-mnist", "16", 300, "none") }),
});
