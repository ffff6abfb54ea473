//! Keyword arguments are the options of `spiketrain train`, with `_` for `-`, read as a config.toml is.

use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use spiketrain::config::{Config, Mark, Options};
use spiketrain::error::Error;
use toml::{Table, Value};

use crate::errors::exception;

/// What was said; `None` is as good as not said.
pub fn options(keywords: Option<&Bound<PyDict>>) -> PyResult<Options> {
    let mut table = Table::new();
    for (key, value) in keywords.into_iter().flatten() {
        let name: String = key.extract()?;
        let name = if name == "T" { "time-steps".to_string() } else { name.replace('_', "-") };
        if !value.is_none() {
            table.insert(name, toml_value(&value).map_err(|_| PyTypeError::new_err(format!("option {key}: cannot read {value:?}")))?);
        }
    }
    table.try_into().map_err(|e| {
        let e = Error::usage(e.to_string().trim_end()).at("options");
        exception(e.remedy("the options are those of `spiketrain train --help`, with _ for -"))
    })
}

fn toml_value(value: &Bound<PyAny>) -> PyResult<Value> {
    // A bool is an int to Python, so it comes first; numpy's numbers are taken as well.
    if let Ok(b) = value.extract::<bool>() {
        return Ok(Value::Boolean(b));
    }
    if let Ok(i) = value.extract::<i64>() {
        return Ok(Value::Integer(i));
    }
    if let Ok(f) = value.extract::<f64>() {
        return Ok(Value::Float(f));
    }
    if let Ok(sides) = value.extract::<Vec<i64>>() {
        return Ok(Value::Array(sides.into_iter().map(Value::Integer).collect()));
    }
    let path: PathBuf = value.extract()?;
    let text = path.into_os_string().into_string();
    text.map(Value::String).map_err(|_| PyTypeError::new_err("not UTF-8"))
}

/// Options as they stand in a configuration, but those that only training has: a network that is trained on begins with the defaults.
pub fn of_network(config: &Config) -> Options {
    Options::from(config).without(&[Mark::Training])
}

/// Refuses what training on arrays cannot follow.
pub fn check_in_memory(said: &Options) -> Result<(), Error> {
    let not_followed = said.clone().without(&[Mark::Learning]).differing(&Options::default());
    if not_followed.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = not_followed.iter().map(|name| name.replace('-', "_")).collect();
    Err(Error::usage("training on arrays does not follow this")
        .at(names.join(", "))
        .remedy("it belongs to Network(...), or to spiketrain.train(...), which trains on a data set in a run folder"))
}
