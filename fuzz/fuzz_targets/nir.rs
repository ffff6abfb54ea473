#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::export::{Hints, nir, unchain};

fuzz_target!(|data: &[u8]| {
    let _ = nir::read_bytes(data.to_vec()).and_then(|found| unchain::model(found, &Hints::default()));
});
