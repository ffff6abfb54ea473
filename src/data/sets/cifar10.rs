//! CIFAR10.

use super::{Authors, Defaults, Descriptor, Measured, Origin, Source, Treatment};
use crate::data::catalog::Checksum::{Md5, Sha256};
use crate::data::catalog::{Checksum, Set, SetFile, published, unpacked};
use crate::data::{DatasetName, cifar};

/// One of CIFAR10's batches: 10,000 records of 1 + 3072 bytes.
const fn batch(paths: &'static [&'static str], checksum: Checksum, holds: u16) -> SetFile {
    unpacked(paths, 30_730_000, checksum, holds)
}

/// Sizes and digests are the publishers'.
const FILES: Set = Set {
    name: "cifar10",
    title: "ten kinds of things in colour, 50,000 + 10,000, 3x32x32",
    folder: "cifar10",
    parts: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"],
    recordings: &[],
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
};

/// Ten kinds of things, 3x32x32 (Krizhevsky).
pub const CIFAR10: DatasetName = DatasetName::new(&Descriptor {
    name: FILES.name,
    title: FILES.title,
    origin: Origin::Published(&FILES),
    source: Source::Pictures(|options| cifar::load(CIFAR10, &FILES, options)),
    preparation: Treatment { normalized: Some([[0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]]), flip: true, ..Treatment::cropped(4) },
    defaults: Defaults {
        net: "64C3-MP2-128C3-MP2-256C3-AP4-{n}Voting",
        time_steps: "2:18,4:6",
        epochs: 24,
        augment: true,
        warm_up: "ann:4",
        measured: Some(Measured { minutes: 41.0, test: 81.99, of: "on 45,000 of the images; minutes as a dry run expects" }),
        ..Defaults::USUAL
    },
    authors: Some(Authors { net: "middle", batch: 128, augment: true, script: ("released-cifar10", "8", 500, "ann:80") }),
});
