//! A fixture: one or three training iterations of a tiny network, written by an independent float64 program.
//!
//! Format: a safetensors file whose metadata values are JSON (`notation`, `shape`, `T`, `batch`, `rule`, `alpha`, `bn`, `input`, …) and whose
//! tensors are f32: `input`, `target`, `mask.{i}.mask`, `param.*`, then what is expected: `rates`, `loss`, `grad.*`,
//! `count.{i}.spikes`, `bn.{i}.running_*`, `eval.rates`, `adamw1.*`, `adamw3.*`, `loss_last`.

use std::collections::HashMap;

use safetensors::SafeTensors;
use serde::de::DeserializeOwned;

use crate::engine::{Batch, DropMask, Input};
use crate::error::{Error, Result};
use crate::limits;
use crate::loss::Loss;
use crate::network::Method;
use crate::neuron::{Lif, Rule};
use crate::plan::Plan;
use crate::shape::Chw;

/// One fixture, decoded.
pub struct Fixture {
    /// File name without the extension.
    pub name: String,
    /// The network.
    pub plan: Plan,
    /// Rule, α, neuron, BatchNorm, warm-up.
    pub method: Method,
    /// Which loss.
    pub loss: Loss,
    /// AdamW steps to take: 1 or 3.
    pub iterations: usize,
    /// The batch.
    pub batch: Batch,
    /// Target classes `[B]`.
    pub labels: Vec<u16>,
    /// One per DP, in order.
    pub masks: Vec<DropMask>,
    tensors: HashMap<String, Vec<f32>>,
}

impl Fixture {
    /// Reads a fixture from the bytes of its file.
    ///
    /// # Errors
    /// Format: not a safetensors file, or a tensor or metadata value is missing or does not fit the others.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Fixture> {
        Self::decode(name, bytes).map_err(|e| e.at(format!("fixture {name}")))
    }

    fn decode(name: &str, bytes: &[u8]) -> Result<Fixture> {
        let bad = |e: safetensors::SafeTensorError| Error::format(format!("not a readable safetensors file: {e}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(bad)?;
        let meta = Meta(header.metadata().clone().unwrap_or_default());
        let mut tensors = HashMap::new();
        for (key, view) in SafeTensors::deserialize(bytes).map_err(bad)?.tensors() {
            if view.dtype() != safetensors::Dtype::F32 {
                return Err(Error::format(format!("tensor '{key}' is {:?}, expected F32", view.dtype())));
            }
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            tensors.insert(key, values);
        }
        let notation: String = meta.get("notation")?;
        let [c, h, w] = meta.get::<[usize; 3]>("shape")?;
        let (steps, samples): (usize, usize) = (meta.get("T")?, meta.get("batch")?);
        if !(1..=limits::MAX_TIME_STEPS).contains(&steps) || !(1..=limits::MAX_BATCH).contains(&samples) {
            return Err(Error::format(format!("T = {steps}, batch = {samples}")));
        }
        let plan = Plan::new(notation.parse()?, format!("{c}x{h}x{w}").parse()?)?;
        let fixture = Fixture {
            name: name.to_string(),
            method: method(&meta)?,
            loss: if meta.optional::<String>("loss")?.as_deref() == Some("ce") { Loss::Ce } else { Loss::Mse },
            iterations: meta.get("iterations")?,
            batch: Batch::whole(Chw::new(c, h, w), samples, steps, input(&meta, &tensors, steps * samples * c * h * w)?),
            labels: labels(need(&tensors, "target")?, plan.classes(), samples)?,
            masks: masks(&plan, &tensors, samples)?,
            tensors,
            plan,
        };
        Ok(fixture)
    }

    /// A tensor by name.
    ///
    /// # Errors
    /// Format: there is none of this name.
    pub fn tensor(&self, name: &str) -> Result<&[f32]> {
        need(&self.tensors, name)
    }

    /// Whether the fixture holds tensors whose names begin like this.
    pub fn has(&self, prefix: &str) -> bool {
        self.tensors.keys().any(|k| k.starts_with(prefix))
    }
}

struct Meta(HashMap<String, String>);

impl Meta {
    fn optional<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(text) = self.0.get(key) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|e| Error::format(format!("metadata '{key}' = {text}: {e}")))
    }
    fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        self.optional(key)?.ok_or_else(|| Error::format(format!("metadata '{key}' is missing")))
    }
}

fn need<'a>(tensors: &'a HashMap<String, Vec<f32>>, name: &str) -> Result<&'a [f32]> {
    tensors.get(name).map(Vec::as_slice).ok_or_else(|| Error::format(format!("tensor '{name}' is missing")))
}

fn method(meta: &Meta) -> Result<Method> {
    let alpha: f64 = meta.get("alpha")?;
    let rule = match (meta.get::<String>("rule")?.as_str(), alpha > 0.0) {
        ("stbp", _) => Rule::Stbp,
        ("stbp-detached", _) => Rule::StbpDetached,
        ("bpsa", false) => Rule::Bpsa,
        ("bpsa", true) => Rule::BpsaBpta,
        (other, _) => return Err(Error::format(format!("unknown rule '{other}'"))),
    };
    Ok(Method {
        lif: Lif { decay: meta.get("lambda")?, threshold: meta.get("u_th")? },
        rule,
        alpha,
        merged_norm: meta.get::<String>("bn")? == "merged",
        ann: meta.optional("ann")?.unwrap_or(false),
        tssl_rate: meta.optional::<f64>("tssl_rate")?.filter(|&r| r > 0.0),
    })
}

fn input(meta: &Meta, tensors: &HashMap<String, Vec<f32>>, all_steps: usize) -> Result<Input> {
    let data = need(tensors, "input")?.to_vec();
    let steps: usize = meta.get("T")?;
    let direct = meta.get::<String>("input")? == "direct";
    let expected = if direct { all_steps / steps } else { all_steps };
    if data.len() != expected {
        return Err(Error::format(format!("input has {} values, expected {expected}", data.len())));
    }
    Ok(if direct { Input::Direct(data.into()) } else { Input::Frames(data.into()) })
}

fn labels(one_hot: &[f32], classes: usize, samples: usize) -> Result<Vec<u16>> {
    if one_hot.len() != classes * samples {
        return Err(Error::format(format!("target has {} values, expected {samples} x {classes}", one_hot.len())));
    }
    let hot = |row: &[f32]| row.iter().position(|&v| v == 1.0).map(|c| c as u16);
    one_hot.chunks(classes).map(|row| hot(row).ok_or_else(|| Error::format("a target row without a 1"))).collect()
}

fn masks(plan: &Plan, tensors: &HashMap<String, Vec<f32>>, samples: usize) -> Result<Vec<DropMask>> {
    let drops = plan.blocks.iter().flat_map(|b| &b.fronts).filter(|f| f.front == crate::plan::Front::Dropout);
    drops
        .map(|f| {
            let values = need(tensors, &format!("mask.{}.mask", f.index))?;
            if values.len() != samples * f.input.len() {
                return Err(Error::format(format!("mask.{}.mask has {} values", f.index, values.len())));
            }
            Ok(DropMask::Given(values.iter().map(|&v| v != 0.0).collect()))
        })
        .collect()
}
