#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

use spiketrain::data::idx;

fuzz_target!(|data: &[u8]| {
    let _ = (idx::parse_images(Path::new("f"), data), idx::parse_labels(Path::new("f"), data));
});
