#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::events::aedat2;

fuzz_target!(|data: &[u8]| {
    let _ = aedat2::read(data, "f", Vec::new());
});
