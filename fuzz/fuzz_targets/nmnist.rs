#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::events;

fuzz_target!(|data: &[u8]| {
    let _ = events::read(data, "f.bin");
});
