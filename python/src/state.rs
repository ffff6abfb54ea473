//! A network's tensors by name.

use numpy::{AllowTypeChange, PyArrayLikeDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spiketrain::error::Error;
use spiketrain::tensors;
use spiketrain::trained::Trained;

use crate::arrays::array;
use crate::errors::exception;

/// All tensors by name.
pub fn state<'py>(py: Python<'py>, net: &Trained) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    for tensor in tensors::of(net.plan()) {
        let values = net.host(tensor.place).map_err(exception)?;
        state.set_item(&tensor.name, array(py, values, &tensor.shape())?)?;
    }
    Ok(state)
}

/// Sets the tensors that are named; all of them or none.
pub fn set_state(net: &mut Trained, values: &Bound<PyDict>) -> PyResult<()> {
    let known = tensors::of(net.plan());
    let mut read = Vec::new();
    for (name, value) in values {
        let name: String = name.extract()?;
        let wrong = |what: String| exception(Error::usage(what).at(&name).remedy("names and shapes are those of state()"));
        let Some(tensor) = known.iter().find(|t| t.name == name) else {
            return Err(wrong("the network has no such tensor".into()));
        };
        let value: PyArrayLikeDyn<f32, AllowTypeChange> = value.extract()?;
        let shape = tensor.shape();
        if value.shape() != shape {
            return Err(wrong(format!("expected shape {shape:?}, found {:?}", value.shape())));
        }
        let values: Vec<f32> = value.as_array().iter().copied().collect();
        if let Some(v) = values.iter().find(|v| !v.is_finite()) {
            return Err(wrong(format!("expected finite numbers, found {v}")));
        }
        read.push((tensor, values));
    }
    read.iter().for_each(|(tensor, values)| net.set(tensor, values));
    Ok(())
}
