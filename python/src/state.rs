//! A network's tensors by name, in memory and in a checkpoint.

use std::path::Path;

use numpy::{AllowTypeChange, PyArrayLikeDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spiketrain::checkpoint::{self, Header, Kind};
use spiketrain::engine::{Engine, Layout};
use spiketrain::error::{Error, Result};
use spiketrain::network::{Network, tensor_names};
use spiketrain::plan::Block;
use spiketrain::storage::Disk;
use spiketrain::train::save;

use crate::arrays::array;
use crate::errors::exception;

/// Where a tensor lies: its block, and which of the block's.
#[derive(Clone, Copy)]
enum Place {
    Parameter(usize, usize),
    Mean(usize),
    Var(usize),
}

/// Every tensor: name, layout, place.
fn tensors(blocks: &[Block]) -> Vec<(String, Layout, Place)> {
    let mut all = Vec::new();
    for (i, block) in blocks.iter().enumerate() {
        all.extend(tensor_names(block).into_iter().enumerate().map(|(k, (name, layout))| (name, layout, Place::Parameter(i, k))));
        if block.has_norm() {
            let layout = Layout::PerChannel(block.output.c);
            all.push((format!("{}.bn.running_mean", block.index), layout, Place::Mean(i)));
            all.push((format!("{}.bn.running_var", block.index), layout, Place::Var(i)));
        }
    }
    all
}

/// All tensors by name.
pub fn state<'py, E: Engine>(py: Python<'py>, engine: &E, net: &Network<E>) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    for (name, layout, place) in tensors(&net.plan.blocks) {
        let values = match place {
            Place::Parameter(i, k) => net.params[i].each().nth(k).map(|p| engine.host(p)),
            Place::Mean(i) => net.running[i].as_ref().map(|r| r.mean.clone()),
            Place::Var(i) => net.running[i].as_ref().map(|r| r.var.clone()),
        };
        state.set_item(name, array(py, values.unwrap_or_default(), &save::shape(layout))?)?;
    }
    Ok(state)
}

/// Sets the tensors that are named; all of them or none.
pub fn set_state<E: Engine>(engine: &E, net: &mut Network<E>, values: &Bound<PyDict>) -> PyResult<()> {
    let known = tensors(&net.plan.blocks);
    let mut read = Vec::new();
    for (name, value) in values {
        let name: String = name.extract()?;
        let wrong = |what: String| exception(Error::usage(what).at(&name).remedy("names and shapes are those of state()"));
        let Some((_, layout, place)) = known.iter().find(|(n, _, _)| *n == name) else {
            return Err(wrong("the network has no such tensor".into()));
        };
        let value: PyArrayLikeDyn<f32, AllowTypeChange> = value.extract()?;
        let shape = save::shape(*layout);
        if value.shape() != shape {
            return Err(wrong(format!("expected shape {shape:?}, found {:?}", value.shape())));
        }
        let values: Vec<f32> = value.as_array().iter().copied().collect();
        if let Some(v) = values.iter().find(|v| !v.is_finite()) {
            return Err(wrong(format!("expected finite numbers, found {v}")));
        }
        read.push((*layout, *place, values));
    }
    for (layout, place, values) in read {
        match place {
            Place::Parameter(i, k) => net.params[i].each_mut().nth(k).into_iter().for_each(|p| *p = engine.param(layout, &values)),
            Place::Mean(i) => net.running[i].iter_mut().for_each(|r| r.mean.clone_from(&values)),
            Place::Var(i) => net.running[i].iter_mut().for_each(|r| r.var.clone_from(&values)),
        }
    }
    Ok(())
}

/// Writes a checkpoint of weights and statistics; `header` lacks the list of them.
pub fn write<E: Engine>(engine: &E, net: &Network<E>, mut header: Header, path: &Path) -> Result<()> {
    header.kind = Kind::WeightsOnly;
    header.tensors = save::entries(&net.plan, Kind::WeightsOnly);
    checkpoint::save(&Disk, path, &header, save::values(engine, net, &[], Kind::WeightsOnly)).map(|_| ())
}
