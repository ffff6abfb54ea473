//! DVS-CIFAR10.

use super::{Authors, Defaults, Descriptor, Origin, Source, Treatment};
use crate::data::catalog::Checksum::Unknown;
use crate::data::catalog::{Set, archive};
use crate::data::recordings::dvs_cifar10;
use crate::data::{DatasetName, Resize};

/// No digests are published.
const FILES: Set = Set {
    name: "dvs-cifar10",
    title: "event recordings of CIFAR10, 10,000, 128x128x2",
    folder: "dvs-cifar10",
    parts: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    recordings: &[(1000, "aedat"); 10],
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
};

/// CIFAR10's pictures moved before an event camera, 128x128 (Li and others).
pub const DVS_CIFAR10: DatasetName = DatasetName::new(&Descriptor {
    name: FILES.name,
    title: FILES.title,
    origin: Origin::Published(&FILES),
    source: Source::Recordings(dvs_cifar10::LAYOUT),
    preparation: Treatment { flip: true, rotate: 15.0, resize: Resize::Nearest, ..Treatment::cropped(16) },
    defaults: Defaults {
        net: "32C3-MP2-64C3-MP2-64C3-MP2-128C3-AP4-{n}Voting",
        batch: 32,
        time_steps: "4:18,8:12",
        epochs: 30,
        augment: true,
        ..Defaults::USUAL
    },
    authors: Some(Authors { net: "large", batch: 64, augment: true, script: ("released-dvs", "16", 300, "none") }),
});
