#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::events::npz;

fuzz_target!(|data: &[u8]| {
    let _ = (npz::read(data, "f", Vec::new()), npz::read_frames(data, "f"));
});
