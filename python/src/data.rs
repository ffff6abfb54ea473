//! Readers: data sets as arrays, recordings as events, events as frames.

use std::path::PathBuf;

use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spiketrain::config::Config;
use spiketrain::data::{Dataset, Preparation, Split};
use spiketrain::error::{Error, Result};
use spiketrain::events::{self, Event, Sensor, order};
use spiketrain::frames::{SplitBy, counts};
use spiketrain::limits;
use spiketrain::train::feed::preparation;
use spiketrain::train::{Stop, open};

use crate::arrays::array;
use crate::errors::exception;
use crate::options::options;
use crate::waiting::{Done, wait};

/// Bytes of an event as Python sees it: t i8, x u2, y u2, p u1, packed.
const EVENT_BYTES: usize = 13;

/// A data set whose samples come as arrays, as a network reads them. Open one with spiketrain.dataset().
#[pyclass(name = "Dataset", module = "spiketrain", frozen)]
pub struct PyDataset {
    data: Box<dyn Dataset>,
    prep: Preparation,
    seed: u64,
    config: Config,
}

/// Opens a data set (`spiketrain data list`); recordings are prepared into frames if that was not done before.
///
/// Options are those of `spiketrain train`: data_dir, T (frames), train_limit, test_limit, seed and so on.
/// Raises UsageError: it is not there (with the command that fetches it). FormatError, StorageError.
#[pyfunction]
#[pyo3(signature = (name="glyphs", **keywords))]
pub fn dataset(py: Python, name: &str, keywords: Option<&Bound<'_, PyDict>>) -> PyResult<PyDataset> {
    let mut said = options(keywords)?;
    said.dataset = Some(name.parse().map_err(exception)?);
    let config = open::fresh(said, None).map_err(exception)?;
    let Done { result, raised } = wait(py, &Stop::default(), None, |reports| open::dataset(&config, reports))?;
    match raised {
        Some(e) => Err(e),
        None => Ok(PyDataset { prep: preparation(&config, &*result), data: result, seed: config.seed, config }),
    }
}

#[pymethods]
impl PyDataset {
    /// Which set.
    #[getter]
    fn name(&self) -> &str {
        self.data.name()
    }

    /// (C, H, W) of one sample at one step.
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        let shape = self.data.shape(&self.prep);
        (shape.c, shape.h, shape.w)
    }

    /// T of frames; None for pictures.
    #[getter]
    fn steps(&self) -> Option<usize> {
        self.data.steps()
    }

    /// Names of the classes; a label is a position among them.
    #[getter]
    fn classes(&self) -> Vec<String> {
        self.data.classes().to_vec()
    }

    /// What you should know: limits, resized pictures, missing files.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.data.notes().to_vec()
    }

    /// SHA-256 (hex) of the data: two sets with the same one are the same.
    #[getter]
    fn fingerprint(&self) -> &str {
        self.data.fingerprint()
    }

    /// Whether the events were computed and no camera saw them.
    #[getter]
    fn simulated(&self) -> bool {
        self.data.simulated()
    }

    /// [N] classes (int64) of a split, "train" or "test".
    fn labels<'py>(&self, py: Python<'py>, split: &str) -> PyResult<Bound<'py, PyAny>> {
        let labels = self.data.labels(split_of(split)?);
        array(py, labels.iter().map(|&l| i64::from(l)).collect(), &[labels.len()])
    }

    /// The samples at `indices` (default: all) of "train" or "test", float32: pictures [B, C, H, W], frames of events [T, B, C, H, W].
    ///
    /// Scaled, normalised and resized as in training; augment: also moved at random, as training does in this epoch (from 0).
    #[pyo3(signature = (split, indices=None, *, augment=None))]
    fn batch<'py>(&self, py: Python<'py>, split: &str, indices: Option<Vec<i64>>, augment: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
        let split = split_of(split)?;
        let count = self.data.labels(split).len();
        let known = |i: i64| u32::try_from(i).ok().filter(|&i| (i as usize) < count);
        let wrong =
            |i: i64| exception(Error::usage(format!("there is no sample {i}")).at("indices").remedy(format!("choose 0 to {}", count - 1)));
        let indices: Vec<u32> = match indices {
            None => (0..count as u32).collect(),
            Some(given) => given.into_iter().map(|i| known(i).ok_or_else(|| wrong(i))).collect::<PyResult<_>>()?,
        };
        let augment = augment.map(|epoch| (self.seed, epoch));
        let shape = self.data.shape(&self.prep);
        let read = || Ok(self.data.assemble(split, &indices, &self.prep, augment)?.reals(shape));
        let values = py.detach(read).map_err(exception)?;
        let (c, h, w) = self.shape();
        let shape = [self.data.steps().unwrap_or(1), indices.len(), c, h, w];
        array(py, values, if self.data.steps().is_some() { &shape } else { &shape[1..] })
    }

    fn __repr__(&self) -> String {
        let [train, test] = [Split::Train, Split::Test].map(|s| self.data.labels(s).len());
        let frames = self.data.steps().map_or(String::new(), |t| format!(", {t} frames each"));
        format!("Dataset({}: {train} training, {test} test samples of {}{frames})", self.config.dataset, self.data.shape(&self.prep))
    }
}

fn split_of(name: &str) -> PyResult<Split> {
    match name {
        "train" => Ok(Split::Train),
        "test" => Ok(Split::Test),
        _ => Err(exception(Error::usage(format!("there is no split '{name}'")).at("split").remedy("choose \"train\" or \"test\""))),
    }
}

/// What [`read_events`] gives: packed events, width and height, format, events marked as invalid, notes.
type Decoded<'py> = (Bound<'py, PyAny>, Option<(u16, u16)>, &'static str, u64, Vec<String>);

/// Decodes a recording; the Python side (events.py) makes a structured array of the bytes.
#[pyfunction]
pub fn read_events(py: Python<'_>, path: PathBuf) -> PyResult<Decoded<'_>> {
    let (r, bytes) = py
        .detach(|| {
            let recording = events::open(&path)?;
            let bytes = pack(&recording.events).map_err(|e| e.at(path.display()))?;
            Ok((recording, bytes))
        })
        .map_err(exception)?;
    let count = bytes.len();
    Ok((array(py, bytes, &[count])?, r.sensor.map(|s| (s.width, s.height)), r.format.name, r.invalid, r.notes))
}

fn pack(events: &[Event]) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(events.len() * EVENT_BYTES);
    for e in events {
        let t = i64::try_from(e.t).map_err(|_| Error::format(format!("time {} does not fit 63 bits", e.t)))?;
        bytes.extend_from_slice(&t.to_le_bytes());
        bytes.extend_from_slice(&e.x.to_le_bytes());
        bytes.extend_from_slice(&e.y.to_le_bytes());
        bytes.push(u8::from(e.on));
    }
    Ok(bytes)
}

fn unpack(bytes: &[u8]) -> Result<Vec<Event>> {
    let event = |(i, b): (usize, &[u8; EVENT_BYTES])| {
        let &[t0, t1, t2, t3, t4, t5, t6, t7, x0, x1, y0, y1, p] = b;
        let t = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let t = u64::try_from(t).map_err(|_| Error::usage(format!("time {t} is negative")).at(format!("event {i}")))?;
        if p > 1 {
            return Err(Error::usage(format!("polarity {p}")).at(format!("event {i}")).remedy("choose 0 or 1"));
        }
        Ok(Event { t, x: u16::from_le_bytes([x0, x1]), y: u16::from_le_bytes([y0, y1]), on: p == 1 })
    };
    bytes.as_chunks().0.iter().enumerate().map(event).collect()
}

/// Counts packed events (events.py) per slice, polarity, row and column: [T,2,H,W].
#[pyfunction]
pub fn frames<'py>(
    py: Python<'py>,
    packed: PyReadonlyArray1<u8>,
    steps: usize,
    sensor: (u16, u16),
    split_by: &str,
    strict: bool,
    sort: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let by = match split_by {
        "number" => SplitBy::Number,
        "time" => SplitBy::Time,
        other => {
            let e = Error::usage(format!("there is no way to cut by '{other}'")).at("split_by");
            return Err(exception(e.remedy("choose \"number\" or \"time\"")));
        }
    };
    let out = |what: String, place: &str, most: usize| exception(Error::usage(what).at(place).remedy(format!("choose 1 to {most}")));
    if !(1..=limits::MAX_TIME_STEPS).contains(&steps) {
        return Err(out(format!("{steps} is out of range"), "T", limits::MAX_TIME_STEPS));
    }
    let (side, (width, height)) = (1..=limits::MAX_SIDE, sensor);
    if !side.contains(&width.into()) || !side.contains(&height.into()) {
        return Err(out(format!("a sensor of {width}x{height}"), "sensor", limits::MAX_SIDE));
    }
    let bytes = packed.as_slice()?.to_vec();
    let sensor = Sensor { width, height };
    let counts = py.detach(|| {
        let mut events = unpack(&bytes)?;
        if sort {
            order::sort(&mut events);
        }
        let (counts, quality) = counts(&events, sensor, steps, by);
        quality.check(strict).map(|()| counts)
    });
    array(py, counts.map_err(exception)?, &[steps, 2, height.into(), width.into()])
}
