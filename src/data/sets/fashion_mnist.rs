//! Fashion-MNIST.

use super::{Defaults, Descriptor, Measured, Origin, Source, Treatment};
use crate::data::catalog::Checksum::{Md5, Unknown};
use crate::data::catalog::{Set, published, unpacked};
use crate::data::{DatasetName, idx};

/// Sizes and digests are the publishers'.
const FILES: Set = Set {
    name: "fashion-mnist",
    title: "articles of clothing, 60,000 + 10,000, 1x28x28",
    folder: "fashion-mnist",
    parts: idx::PARTS,
    recordings: &[],
    files: &[
        published(idx::NAMES[0][0], 26_421_880, Md5("8d4fb7e6c68d591d4c3dfef9ec88bf0d"), 1),
        published(idx::NAMES[1][0], 29_515, Md5("25c81989df183df01b3e8a0aad5dffbe"), 2),
        published(idx::NAMES[2][0], 4_422_102, Md5("bef4ecab320f06d8554ea6380940ec79"), 4),
        published(idx::NAMES[3][0], 5_148, Md5("bb300cfdad3c16e7a12a480ee83cd310"), 8),
        unpacked(idx::NAMES[0][1], idx::BYTES[0], Unknown, 1),
        unpacked(idx::NAMES[1][1], idx::BYTES[1], Unknown, 2),
        unpacked(idx::NAMES[2][1], idx::BYTES[2], Unknown, 4),
        unpacked(idx::NAMES[3][1], idx::BYTES[3], Unknown, 8),
    ],
    mirrors: &["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"],
    steps: "fetch the four .gz files with a browser; they need not be unpacked",
};

const CLASSES: [&str; 10] = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"];

/// Articles of clothing, 1x28x28 (Zalando Research).
pub const FASHION_MNIST: DatasetName = DatasetName::new(&Descriptor {
    name: FILES.name,
    title: FILES.title,
    origin: Origin::Published(&FILES),
    source: Source::Pictures(|options| idx::load(FASHION_MNIST, &FILES, CLASSES, options)),
    preparation: Treatment { flip: true, ..Treatment::cropped(4) },
    defaults: Defaults {
        net: "32C3-MP2-64C3-MP2-128C3-MP2-{n}Voting",
        augment: true,
        measured: Some(Measured { minutes: 9.9, test: 89.70, of: "" }),
        ..Defaults::USUAL
    },
    authors: None,
});
