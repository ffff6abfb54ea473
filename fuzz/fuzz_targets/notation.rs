#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::notation::Notation;
use spiketrain::plan::Plan;
use spiketrain::shape::Chw;

fuzz_target!(|data: &[u8]| {
    if let Some(notation) = std::str::from_utf8(data).ok().and_then(|text| text.parse::<Notation>().ok()) {
        let _ = Plan::new(notation, Chw::new(3, 64, 64));
    }
});
