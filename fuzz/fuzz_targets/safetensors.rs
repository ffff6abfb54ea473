#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use spiketrain::export::{self, Hints};

fuzz_target!(|data: &[u8]| {
    file::with(data, "safetensors", |path| {
        let _ = export::read(path, &Hints::default());
    });
});
