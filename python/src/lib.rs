//! spiketrain for Python: a thin layer over the library, which knows nothing of it.
//!
//! - `options`: keyword arguments → options of the library. `arrays`: numpy → samples, labels, a data set; and back.
//! - `network`, with `state` and `learn`: the class `Network`. `train`: `train` and `evaluate` on run folders, and the command.
//! - `data`: the readers. `waiting`: work without the GIL, Ctrl-C, callbacks. `errors`: the library's error as an exception.
//!
//! What users see is written down in `spiketrain/__init__.pyi`; docs/python.md teaches it.

mod arrays;
mod data;
mod errors;
mod learn;
mod network;
mod options;
mod state;
mod train;
mod waiting;

use pyo3::prelude::*;

/// The compiled part of the package `spiketrain`.
#[pymodule]
mod _spiketrain {
    #[pymodule_export]
    use super::data::{PyDataset, dataset, frames, read_events};
    #[pymodule_export]
    use super::network::{Network, load};
    #[pymodule_export]
    use super::train::{command, evaluate, train};
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
