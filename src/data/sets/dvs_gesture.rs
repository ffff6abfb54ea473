//! DVS-Gesture.

use super::{Authors, Defaults, Descriptor, Origin, Source, Treatment};
use crate::data::catalog::Checksum::Md5;
use crate::data::catalog::{Set, archive, folder};
use crate::data::recordings::dvs_gesture;
use crate::data::{DatasetName, Resize};

/// Sizes and digests are the publishers'.
const FILES: Set = Set {
    name: "dvs-gesture",
    title: "event recordings of gestures, 1,176 + 288, 128x128x2",
    folder: "dvs-gesture",
    parts: &["DvsGesture"],
    recordings: &[(122, "aedat")],
    files: &[archive(&["DvsGesture.tar.gz"], Md5("8a5c71fb11e24e5ca5b11866ca6c00a1"), 1), folder(&["DvsGesture"], 1)],
    mirrors: &[],
    steps: "search for 'DVS128 Gesture Dataset' at IBM Research, fill in the form, and fetch DvsGesture.tar.gz",
};

/// Eleven gestures before an event camera, 128x128 (Amir and others, IBM).
pub const DVS_GESTURE: DatasetName = DatasetName::new(&Descriptor {
    name: FILES.name,
    title: FILES.title,
    origin: Origin::Published(&FILES),
    source: Source::Recordings(dvs_gesture::LAYOUT),
    preparation: Treatment { rotate: 5.0, resize: Resize::Nearest, ..Treatment::cropped(16) },
    defaults: Defaults {
        net: "32C3-MP2-64C3-MP2-64C3-MP2-128C3-AP4-{n}Voting",
        batch: 16,
        time_steps: "4:24,16:16",
        epochs: 40,
        augment: true,
        ..Defaults::USUAL
    },
    authors: Some(Authors { net: "large", batch: 16, augment: true, script: ("released-dvs", "16", 300, "none") }),
});
