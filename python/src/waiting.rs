//! Long work beside Python: the calling thread waits, hears Ctrl-C and calls back; the work runs on a thread of its own.

use std::any::Any;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use serde_json::{Value, json};
use spiketrain::data::verify::{self, Doing};
use spiketrain::error::{Error, Result};
use spiketrain::train::trainer::Tally;
use spiketrain::train::{EpochLine, Observer, Stop};

use crate::errors::{check_process, exception};

/// How soon Ctrl-C is heard.
const TICK: Duration = Duration::from_millis(50);
/// The number of SIGINT, which is what stopping is called in the library.
const SIGINT: usize = 2;

/// Something that Python is told.
enum Report {
    /// For the callback.
    Progress(Value),
    /// For the log.
    Note(String),
}

/// The side of the work. A report is over when Python has dealt with it, so that a callback runs between two steps.
pub struct Reports {
    sender: SyncSender<Report>,
    heard: Receiver<()>,
    callback: bool,
}

impl Reports {
    fn send(&self, report: Report) {
        if self.sender.send(report).is_ok() {
            let _ = self.heard.recv();
        }
    }

    fn progress(&self, make: impl FnOnce() -> Value) {
        if self.callback {
            self.send(Report::Progress(make()));
        }
    }
}

impl Observer for Reports {
    fn step(&mut self, epoch: usize, i: usize, of: usize, tally: &Tally, rates: &[f64]) {
        let seen = tally.samples as f64;
        self.progress(|| {
            json!({
                "kind": "step", "epoch": epoch + 1, "step": i, "steps": of, "loss": tally.loss / seen,
                "accuracy": tally.correct as f64 / seen, "firing_rates": rates, "samples_per_s": seen / tally.seconds,
            })
        });
    }

    fn epoch(&mut self, line: &EpochLine, epochs: usize) {
        self.progress(|| {
            let mut report = json!(line);
            report["kind"] = json!("epoch");
            report["epochs"] = json!(epochs);
            report
        });
    }

    fn note(&mut self, text: &str) {
        self.send(Report::Note(text.to_string()));
    }
}

impl verify::Observer for Reports {
    fn begin(&mut self, doing: Doing, file: &str, _: u64, _: u64) {
        self.send(Report::Note(format!("{} {file}", doing.name())));
    }
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, text: &str) {
        self.send(Report::Note(text.to_string()));
    }
}

/// What came of the work.
pub struct Done<T> {
    /// Its own result.
    pub result: T,
    /// What Python raised meanwhile: by Ctrl-C, or in a callback. The work was then asked to stop.
    pub raised: Option<PyErr>,
}

/// Does `work` without the GIL. It is asked to stop through `stop` when a signal's handler or the callback raises.
///
/// # Errors
/// The work's own, as an exception.
pub fn wait<T: Send>(
    py: Python,
    stop: &Stop,
    callback: Option<&Py<PyAny>>,
    work: impl FnOnce(&mut Reports) -> Result<T> + Send,
) -> PyResult<Done<T>> {
    check_process()?;
    let (sender, reports) = sync_channel(0);
    let (hear, heard) = sync_channel(1);
    let mut own = Reports { sender, heard, callback: callback.is_some() };
    let (result, raised) = py
        .detach(move || {
            thread::scope(|scope| {
                let start = thread::Builder::new().name("spiketrain".into()).spawn_scoped(scope, move || work(&mut own));
                let worker = start.map_err(|e| Error::no_thread(&e))?;
                let raised = listen(&reports, &hear, stop, callback);
                let result = worker.join().unwrap_or_else(|panic| Err(Error::bug(said(&*panic))))?;
                Ok((result, raised))
            })
        })
        .map_err(exception)?;
    Ok(Done { result, raised })
}

/// Until the work is done.
fn listen(reports: &Receiver<Report>, hear: &SyncSender<()>, stop: &Stop, callback: Option<&Py<PyAny>>) -> Option<PyErr> {
    let mut raised = None;
    loop {
        let report = match reports.recv_timeout(TICK) {
            Ok(report) => Some(report),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return raised,
        };
        let tell = report.is_some();
        // After the first exception the work is on its way out; a second Ctrl-C waits for it.
        if raised.is_none() {
            raised = Python::attach(|py| py.check_signals().and_then(|()| report.map_or(Ok(()), |r| deliver(py, r, callback)))).err();
            if raised.is_some() {
                stop.0.store(SIGINT, Ordering::Relaxed);
            }
        }
        if tell {
            let _ = hear.send(());
        }
    }
}

fn deliver(py: Python, report: Report, callback: Option<&Py<PyAny>>) -> PyResult<()> {
    match report {
        Report::Note(text) => {
            let log = py.import("logging")?.call_method1("getLogger", ("spiketrain",))?;
            log.call_method1(if text.starts_with("warning") { "warning" } else { "info" }, ("%s", text))?;
        }
        Report::Progress(value) => {
            if let Some(callback) = callback {
                callback.call1(py, (python(py, &value)?,))?;
            }
        }
    }
    Ok(())
}

/// JSON as Python's own objects.
pub fn python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    py.import("json")?.call_method1("loads", (value.to_string(),))
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| s.to_string()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panic: {}", text.unwrap_or_default())
}
