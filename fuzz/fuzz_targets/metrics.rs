#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::watch::Metrics;

fuzz_target!(|data: &[u8]| {
    let _ = Metrics::of(data);
});
