//! Errors of the library as exceptions of `spiketrain.errors`, with place and remedy.

use pyo3::prelude::*;
use spiketrain::error::{Error, Kind};

/// The exception for an error.
pub fn exception(e: Error) -> PyErr {
    let class = match e.kind {
        Kind::Usage => "UsageError",
        Kind::Format => "FormatError",
        Kind::Diverged => "DivergedError",
        Kind::Storage => "StorageError",
        Kind::Memory => "MemoryPlanError",
        _ => "BugError",
    };
    let (place, remedy) = (e.place_in_keywords(), e.remedy_in_keywords());
    let made = Python::attach(|py| py.import("spiketrain.errors")?.getattr(class)?.call1((e.what, place, remedy)).map(PyErr::from_value));
    made.unwrap_or_else(|why_not| why_not)
}

/// Refuses to work where the threads are those of a parent process: a fork does not copy them, and waiting for them has no end.
pub fn check_process() -> PyResult<()> {
    static OWNER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let this = std::process::id();
    if *OWNER.get_or_init(|| this) == this {
        return Ok(());
    }
    let e = Error::usage("this process was forked from one in which spiketrain had been at work, and has none of its threads");
    Err(exception(e.at(format!("process {this}")).remedy("start processes by multiprocessing.get_context(\"spawn\")")))
}
