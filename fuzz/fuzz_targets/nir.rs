#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::export::{nir, unchain};

fuzz_target!(|data: &[u8]| {
    let _ = nir::read_bytes(data.to_vec()).and_then(|found| unchain::model(found.chain, found.dt.unwrap_or(1e-4), None));
});
