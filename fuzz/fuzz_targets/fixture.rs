#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::doctor::fixture::Fixture;

fuzz_target!(|data: &[u8]| {
    let _ = Fixture::read("f", data);
});
