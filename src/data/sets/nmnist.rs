//! N-MNIST.

use super::{Authors, Defaults, Descriptor, Origin, Source, Treatment};
use crate::data::DatasetName;
use crate::data::catalog::Checksum::Md5;
use crate::data::catalog::{Set, archive, folder};
use crate::data::recordings::nmnist;

/// Sizes and digests are the publishers'.
const FILES: Set = Set {
    name: "nmnist",
    title: "event recordings of MNIST, 60,000 + 10,000, 34x34x2",
    folder: "nmnist",
    parts: &["Train", "Test"],
    recordings: &[(60_000, "bin"), (10_000, "bin")],
    files: &[
        archive(&["Train.zip"], Md5("20959b8e626244a1b502305a9e6e2031"), 1),
        archive(&["Test.zip"], Md5("69ca8762b2fe404d9b9bad1103e97832"), 2),
        folder(&["Train"], 1),
        folder(&["Test"], 2),
    ],
    mirrors: &[],
    steps: "open https://data.mendeley.com/datasets/468j46mzdv (Garrick Orchard) and fetch Train.zip and Test.zip",
};

/// Handwritten digits before a moving event camera, 34x34 (Orchard and others).
pub const NMNIST: DatasetName = DatasetName::new(&Descriptor {
    name: FILES.name,
    title: FILES.title,
    origin: Origin::Published(&FILES),
    source: Source::Recordings(nmnist::LAYOUT),
    preparation: Treatment::cropped(2),
    defaults: Defaults { net: "16C3-MP2-32C3-MP2-64C3-AP2-{n}Voting", time_steps: "4:14,8:6", ..Defaults::USUAL },
    authors: Some(Authors { net: "middle", batch: 64, augment: false, script: ("released-nmnist", "16", 300, "none") }),
});
