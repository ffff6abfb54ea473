//! The readers that open their file themselves: a file of this process, written again for every input.

use std::fs;
use std::path::{Path, PathBuf};

/// Calls `read` with the path of a file that ends in `.{ending}` and holds `data`.
pub fn with(data: &[u8], ending: &str, read: impl FnOnce(&Path)) {
    let path: PathBuf = std::env::temp_dir().join(format!("spiketrain-fuzz-{}.{ending}", std::process::id()));
    fs::write(&path, data).expect("the temporary folder can be written");
    read(&path);
    let _ = fs::remove_file(path);
}
