#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

use spiketrain::data::cifar;

fuzz_target!(|data: &[u8]| {
    let _ = cifar::parse_batch(Path::new("f"), data);
});
