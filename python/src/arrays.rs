//! numpy arrays as samples and labels, and back.

use numpy::{AllowTypeChange, Element, PyArray1, PyArrayLikeDyn, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use spiketrain::data::{Dataset, Preparation, Split};
use spiketrain::engine::{Batch, Input, Values};
use spiketrain::error::{Error, Result};
use spiketrain::limits;
use spiketrain::shape::Chw;

use crate::errors::exception;

/// Pictures `[B,C,H,W]`, or frames of events `[T,B,C,H,W]`.
#[derive(Default)]
pub struct Samples {
    /// B.
    pub count: usize,
    /// T of frames.
    pub steps: Option<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

impl Samples {
    /// Reads an array or what numpy makes one of. The values are copied: Python may change its array while others compute.
    pub fn read(x: &Bound<PyAny>, shape: Chw) -> PyResult<Samples> {
        let x = asarray(x, "fiub", "x holds numbers")?;
        let x: PyArrayLikeDyn<f32, AllowTypeChange> = x.extract()?;
        let dims = x.shape().to_vec();
        let wrong = |what: String| {
            let (c, h, w) = (shape.c, shape.h, shape.w);
            exception(Error::usage(what).at("x").remedy(format!("give pictures [B,{c},{h},{w}] or frames of events [T,B,{c},{h},{w}]")))
        };
        let (steps, count) = match dims[..] {
            [b, c, h, w] if Chw::new(c, h, w) == shape => (None, b),
            [t, b, c, h, w] if Chw::new(c, h, w) == shape => (Some(t), b),
            _ => return Err(wrong(format!("an array of shape {dims:?} does not fit a network for inputs of {shape}"))),
        };
        if count == 0 || steps.is_some_and(|t| !(1..=limits::MAX_TIME_STEPS).contains(&t)) {
            return Err(wrong(format!("an array of shape {dims:?} has no samples, or not 1 to {} steps", limits::MAX_TIME_STEPS)));
        }
        let values = match x.as_slice() {
            Ok(values) => values.to_vec(),
            Err(_) => x.as_array().iter().copied().collect(),
        };
        Ok(Samples { count, steps, values })
    }

    /// T: of the frames, which must be what was said; of pictures what was said, else `default`.
    pub fn time_steps(&self, said: Option<usize>, default: usize) -> Result<usize> {
        match (self.steps, said) {
            (Some(frames), Some(said)) if said != frames => {
                Err(Error::usage(format!("x holds {frames} frames, T is {said}")).at("T").remedy("leave T out: frames have their own"))
            }
            (frames, said) => {
                let steps = frames.or(said).unwrap_or(default);
                let range = 1..=limits::MAX_TIME_STEPS;
                let wrong = || Error::usage(format!("{steps} is out of range")).at("T").remedy(format!("choose 1 to {}", range.end()));
                if range.contains(&steps) { Ok(steps) } else { Err(wrong()) }
            }
        }
    }

    /// All of them as one batch.
    pub fn into_batch(self, shape: Chw, steps: usize) -> Result<Batch> {
        if self.count > limits::MAX_BATCH {
            return Err(Error::usage(format!("{} samples at once", self.count)).at("x").remedy(format!("at most {}", limits::MAX_BATCH)));
        }
        let values = Values::Reals(self.values);
        let input = if self.steps.is_some() { Input::Frames(values) } else { Input::Direct(values) };
        Ok(Batch::whole(shape, self.count, steps, input))
    }
}

/// Labels `[B]`, one for each of `count` samples, each below `classes`.
pub fn labels(labels: &Bound<PyAny>, count: usize, classes: usize) -> PyResult<Vec<u16>> {
    let labels = asarray(labels, "iub", "labels are whole numbers")?;
    let labels: PyArrayLikeDyn<i64, AllowTypeChange> = labels.extract()?;
    if labels.shape() != [count] {
        let e = Error::usage(format!("labels of shape {:?} for {count} samples", labels.shape()));
        return Err(exception(e.at("labels").remedy("give one whole number for each sample")));
    }
    let read = |(i, &label): (usize, &i64)| {
        let known = u16::try_from(label).ok().filter(|&l| usize::from(l) < classes);
        known
            .ok_or_else(|| Error::usage(format!("label {label}")).at(format!("labels[{i}]")).remedy(format!("choose 0 to {}", classes - 1)))
    };
    labels.as_array().iter().enumerate().map(read).collect::<Result<_>>().map_err(exception)
}

/// `np.asarray`, if the kind of its numbers is one of `kinds`.
fn asarray<'py>(values: &Bound<'py, PyAny>, kinds: &str, rule: &str) -> PyResult<Bound<'py, PyAny>> {
    let array = values.py().import("numpy")?.call_method1("asarray", (values,))?;
    let dtype = array.getattr("dtype")?;
    let kind: String = dtype.getattr("kind")?.extract()?;
    if kinds.contains(&kind) { Ok(array) } else { Err(PyTypeError::new_err(format!("{rule}, found {dtype}"))) }
}

/// An array of this shape.
pub fn array<'py, T: Element>(py: Python<'py>, values: Vec<T>, shape: &[usize]) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyArray1::from_vec(py, values).reshape(shape)?.into_any())
}

/// Samples with their labels.
pub struct Labelled {
    /// The samples.
    pub samples: Samples,
    /// `[B]`.
    pub labels: Vec<u16>,
}

/// Arrays as a data set: values as they are, no augmentation.
pub struct Arrays {
    shape: Chw,
    classes: Vec<String>,
    train: Labelled,
    test: Option<Labelled>,
}

impl Arrays {
    /// Training and test samples, of which both are pictures or both have the same number of frames.
    pub fn new(shape: Chw, classes: Vec<String>, train: Labelled, test: Option<Labelled>) -> Result<Arrays> {
        if test.as_ref().is_some_and(|t| t.samples.steps != train.samples.steps) {
            let e = Error::usage("training and test samples are not both pictures, or differ in their number of frames");
            return Err(e.at("test").remedy("prepare both in the same way"));
        }
        Ok(Arrays { shape, classes, train, test })
    }

    fn split(&self, split: Split) -> Option<&Labelled> {
        if split == Split::Test { self.test.as_ref() } else { Some(&self.train) }
    }
}

impl Dataset for Arrays {
    fn name(&self) -> &str {
        "arrays"
    }
    fn shape(&self, _: &Preparation) -> Chw {
        self.shape
    }
    fn steps(&self) -> Option<usize> {
        self.train.samples.steps
    }
    fn in_steps(&self, steps: usize) -> Option<&dyn Dataset> {
        self.steps().is_none_or(|own| own == steps).then_some(self as &dyn Dataset)
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn labels(&self, split: Split) -> &[u16] {
        self.split(split).map_or(&[], |s| &s.labels)
    }
    fn notes(&self) -> &[String] {
        &[]
    }
    fn fingerprint(&self) -> &str {
        ""
    }
    fn simulated(&self) -> bool {
        false
    }
    fn bytes(&self) -> usize {
        let of = |l: &Labelled| size_of_val(&l.samples.values[..]) + size_of_val(&l.labels[..]);
        of(&self.train) + self.test.as_ref().map_or(0, of)
    }
    fn assemble(&self, split: Split, indices: &[u32], _: &Preparation, _: Option<(u64, u64)>) -> Result<Values> {
        let split = self.split(split).ok_or_else(|| Error::bug("samples of a test set that is not there"))?;
        let Samples { count, steps, values } = &split.samples;
        let size = self.shape.len();
        let mut all = Vec::with_capacity(steps.unwrap_or(1) * indices.len() * size);
        for step in values.chunks_exact(count * size) {
            indices.iter().for_each(|&i| all.extend_from_slice(&step[i as usize * size..][..size]));
        }
        Ok(Values::Reals(all))
    }
}
