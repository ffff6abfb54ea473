#![no_main]

use libfuzzer_sys::fuzz_target;
use spiketrain::config::{Config, Options};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = (Options::from_toml(text).and_then(Options::complete), Config::from_toml(text));
    }
});
