//! `train` and `evaluate` on data sets and run folders: what the command does, to the bit.

use std::path::PathBuf;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::{Value, json};
use spiketrain::config::Options;
use spiketrain::data::Split;
use spiketrain::engine::Engine;
use spiketrain::engines::{Work, with_engine};
use spiketrain::error::{Error, Result};
use spiketrain::memory::parse_size;
use spiketrain::train::{Observer, Outcome, Session, Start, Stop, open, run_in};
use spiketrain::trained::Trained;

use crate::errors::exception;
use crate::options::options;
use crate::waiting::{Done, Reports, python, wait};

/// What is asked for.
struct Request {
    said: Options,
    config: Option<PathBuf>,
    resume: Option<PathBuf>,
    out: Option<PathBuf>,
    memory: Option<usize>,
}

/// The end of a session.
enum End {
    Finished(Value),
    Stopped { step: u64, folder: PathBuf },
}

/// Trains a network on a data set in a run folder, as `spiketrain train` does, to the bit; gives what result.json says, and "folder".
///
/// Options are those of the command, with _ for -. config: a config.toml to repeat. resume: the folder of a stopped run to go on with.
/// out: the folder, else runs/... memory: a size to train in, e.g. "1500M". callback: called with a dictionary after every step
/// ("kind": "step") and epoch ("epoch"). Ctrl-C saves a checkpoint and raises KeyboardInterrupt; what a callback raises is passed on.
/// Raises UsageError, FormatError, DivergedError, StorageError, MemoryPlanError.
#[pyfunction]
#[pyo3(signature = (*, callback=None, out=None, resume=None, config=None, memory=None, **keywords))]
pub fn train<'py>(
    py: Python<'py>,
    callback: Option<Py<PyAny>>,
    out: Option<PathBuf>,
    resume: Option<PathBuf>,
    config: Option<PathBuf>,
    memory: Option<&str>,
    keywords: Option<&Bound<'_, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let memory = memory.map(parse_size).transpose().map_err(|e| exception(Error::usage(e).at("memory")))?;
    let request = Request { said: options(keywords)?, config, resume, out, memory };
    let stop = Stop::default();
    let Done { result, raised } = wait(py, &stop, callback.as_ref(), |reports| session(request, &stop, reports))?;
    match (result, raised) {
        // It came when there was nothing left to stop.
        (End::Finished(result), None) => python(py, &result),
        (End::Finished(_), Some(e)) => Err(e),
        (End::Stopped { step, folder }, raised) => Err(stopped(py, step, &folder, raised)),
    }
}

/// Ctrl-C says where to go on; what a callback raised stays as it is.
fn stopped(py: Python, step: u64, folder: &std::path::Path, raised: Option<PyErr>) -> PyErr {
    let text =
        format!("stopped after step {step}, checkpoint saved; go on with: spiketrain.train(resume={:?})", folder.display().to_string());
    match raised {
        Some(e) if !e.is_instance_of::<PyKeyboardInterrupt>(py) => e,
        raised => {
            let e = PyKeyboardInterrupt::new_err(text);
            e.set_cause(py, raised);
            e
        }
    }
}

fn session(request: Request, stop: &Stop, reports: &mut Reports) -> Result<End> {
    let (start, config) = match &request.resume {
        Some(_) if request.config.is_some() || request.out.is_some() => return Err(open::takes_options_from_its_folder()),
        Some(folder) => open::resumed(folder, request.said).map(|(folder, config)| (Start::Resumed(folder), config))?,
        None => (Start::New(request.out), open::fresh(request.said, request.config.as_deref())?),
    };
    let data = open::dataset(&config, reports)?;
    data.notes().iter().for_each(|note| Observer::note(reports, note));
    let session = Session::new(config, &*data, request.memory)?;
    let (device, isa) = (session.config.device.clone(), session.config.isa);
    with_engine(&device, isa, Training { session, start, stop, reports })?
}

struct Training<'a> {
    session: Session<'a>,
    start: Start,
    stop: &'a Stop,
    reports: &'a mut Reports,
}

impl Work for Training<'_> {
    type Out = Result<End>;

    fn on<E: Engine + 'static>(self, engine: E) -> Result<End> {
        let (mut trainer, folder) = self.session.start(&engine, self.start, self.reports)?;
        let path = folder.path().to_path_buf();
        match run_in(&folder, &mut trainer, self.stop, self.reports)? {
            Outcome::Finished(result) => {
                let mut result = json!(result);
                result["folder"] = json!(path.display().to_string());
                Ok(End::Finished(result))
            }
            Outcome::Stopped(_) => Ok(End::Stopped { step: trainer.progress.step, folder: path }),
        }
    }
}

/// A trained network on the test set of its run: the dictionary that `spiketrain eval --json` prints. path: a checkpoint or run folder.
#[pyfunction]
#[pyo3(signature = (path, *, data_dir=None, cache=None))]
pub fn evaluate<'py>(py: Python<'py>, path: PathBuf, data_dir: Option<PathBuf>, cache: Option<PathBuf>) -> PyResult<Bound<'py, PyAny>> {
    let stop = Stop::default();
    let Done { result, raised } = wait(py, &stop, None, |reports| {
        let (net, path) = Trained::open(&path, None, &mut |text| Observer::note(reports, text))?;
        evaluated(&net.with_data_at(data_dir, cache), &stop, reports).map_err(|e| e.at(path.display()))
    })?;
    match (result, raised) {
        (_, Some(e)) => Err(e),
        (result, None) => python(py, &result.unwrap_or_else(|| json!({}))),
    }
}

/// `None` if it was asked to stop.
fn evaluated(net: &Trained, stop: &Stop, reports: &mut Reports) -> Result<Option<Value>> {
    let data = open::dataset(net.config(), reports)?;
    net.check(&*data)?.iter().for_each(|note| Observer::note(reports, &format!("warning: {note}")));
    let evaluation = net.evaluate(net.config(), &*data, Split::Test, stop)?;
    evaluation.map(|e| net.facts(&*data, &e)).transpose()
}

/// The command with `words` (without the program's name); gives the exit code. For a process that does nothing else.
#[pyfunction]
pub fn command(py: Python, words: Vec<std::ffi::OsString>) -> u8 {
    let name = std::iter::once("spiketrain".into());
    py.detach(|| spiketrain::cli::main_with(name.chain(words)))
}
