#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use spiketrain::checkpoint;
use spiketrain::storage::Disk;

fuzz_target!(|data: &[u8]| {
    file::with(data, "ckpt", |path| {
        let _ = checkpoint::load(&Disk, path);
    });
});
