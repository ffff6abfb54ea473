#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::events::labels;

fuzz_target!(|data: &[u8]| {
    let _ = (labels::parse(data, "f"), labels::parse_trials(data, "f"));
});
