#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::events::aedat3;

fuzz_target!(|data: &[u8]| {
    let _ = aedat3::read(data, "f", Vec::new());
});
