//! Parameters as named tensors: PyTorch's state_dict in safetensors, and the same arrays in npz.
//!
//! Names are `{i}.weight`, `{i}.bias`, and where a norm follows `{i}.bn.weight`, `.bn.bias`, `.bn.running_mean`, `.bn.running_var`;
//! i is the layer's position in the notation, from 0, as in our checkpoints. Weights are laid out as PyTorch's.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::graph::Tensor;
use super::model::Model;
use super::{npz, state_dict};
use crate::error::{Error, Result};
use crate::limits;
use crate::neuron::Lif;
use crate::plan::Plan;
use crate::plural::{counted, either};
use crate::storage::{self, Published, Storage};
use crate::tensors::{self, Which};

/// What a file says about the network besides the tensors.
pub type About = BTreeMap<String, String>;

/// The parameters of a network by name, in layer order; those of a norm that was folded are left out.
pub fn named(model: &Model) -> Vec<(String, Tensor)> {
    let all = tensors::of(&model.plan).into_iter();
    let found = all.filter_map(|t| Some((t.shape(), model.layers[t.place.block].get(t.place.which)?.clone(), t.name)));
    found.map(|(shape, values, name)| (name, Tensor { shape, values })).collect()
}

/// Writes safetensors, whole or not at all.
///
/// # Errors
/// Storage: the disk fails.
pub fn write_safetensors(storage: &dyn Storage, path: &Path, model: &Model, about: &About) -> Result<Published> {
    let named: Vec<(String, Vec<usize>, Vec<u8>)> =
        named(model).into_iter().map(|(n, t)| (n, t.shape, t.values.iter().flat_map(|v| v.to_le_bytes()).collect())).collect();
    let bug = |e: safetensors::SafeTensorError| Error::bug(format!("safetensors: {e}"));
    let views = named.iter().map(|(n, shape, bytes)| Ok((n.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    let views = views.collect::<std::result::Result<Vec<_>, _>>().map_err(bug)?;
    // As PyTorch's own files have it.
    let format = ("format".to_string(), "pt".to_string());
    let bytes = serialize(views, Some(about.clone().into_iter().chain([format]).collect())).map_err(bug)?;
    storage::write_atomically(storage, path, |draft| draft.put(&bytes))
}

/// Reads all tensors of a safetensors file as f32, what it says besides, and what the user has to know of it.
///
/// # Errors
/// Storage: unreadable. Format: damaged, or numbers that are not read ([`state_dict::reals`]).
pub fn read_safetensors(path: &Path) -> Result<(BTreeMap<String, Tensor>, About, Vec<String>)> {
    let bytes = storage::read_whole(path, limits::MAX_MODEL_BYTES)?.ok_or_else(|| storage::not_there(path))?;
    let wrong = |e: safetensors::SafeTensorError| Error::format(format!("not a safetensors file: {e}")).at(path.display());
    let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(wrong)?;
    let about = metadata.metadata().clone().unwrap_or_default().into_iter().collect();
    let file = SafeTensors::deserialize(&bytes).map_err(wrong)?;
    let (mut all, mut counters, mut kinds) = (BTreeMap::new(), 0, BTreeMap::new());
    for (name, view) in file.tensors() {
        if name.ends_with("num_batches_tracked") {
            counters += 1;
            continue;
        }
        let values = state_dict::reals(&name, &view).map_err(|e| e.at(path.display()))?;
        if [Dtype::F64, Dtype::F16, Dtype::BF16].contains(&view.dtype()) {
            *kinds.entry(format!("{:?}", view.dtype())).or_insert(0) += 1;
        }
        all.insert(name, Tensor { shape: view.shape().to_vec(), values });
    }
    let mut notes: Vec<String> =
        kinds.iter().map(|(kind, n)| format!("{} of {kind} {} read as F32", counted(*n, "tensor"), either(*n, "was", "were"))).collect();
    if counters > 0 {
        let (what, were, them) = (counted(counters, "counter"), either(counters, "was", "were"), either(counters, "it", "them"));
        notes.push(format!("{what} of batches (num_batches_tracked) {were} left out: nothing here is computed from {them}"));
    }
    Ok((all, about, notes))
}

/// Writes npz, whole or not at all: the arrays of [`named`], and text arrays for what is said besides.
///
/// # Errors
/// Storage: the disk fails.
pub fn write_npz(storage: &dyn Storage, path: &Path, model: &Model, about: &About) -> Result<Published> {
    let mut out = npz::Writer::new();
    for (name, t) in named(model) {
        out.reals(&name, &t.shape, &t.values)?;
    }
    for (name, text) in about {
        out.text(name, text)?;
    }
    out.publish(storage, path)
}

/// Reads what [`write_npz`] wrote.
///
/// # Errors
/// Storage: unreadable. Format: damaged.
pub fn read_npz(path: &Path) -> Result<(BTreeMap<String, Tensor>, About)> {
    npz::read(path)
}

/// A state_dict laid into a network.
///
/// Modules are the names up to the last dot. Those with weights of two or more sides are layers, those with a running mean are norms;
/// both are taken in the order of their names, numbers by value (`2.weight` before `10.weight`). A layer without a bias gets one of zeros.
/// Also returned: the notation's positions of those layers.
///
/// # Errors
/// Format: a table of what is expected beside what was found.
pub fn model(plan: Plan, lif: Lif, mut found: BTreeMap<String, Tensor>) -> Result<(Model, Vec<usize>)> {
    let mut modules: Vec<String> =
        found.keys().map(|k| k.rsplit_once('.').map_or(String::new(), |(module, _)| module.to_string())).collect();
    modules.sort_by_key(|m| natural(m));
    modules.dedup();
    let field = |module: &str, name: &str| if module.is_empty() { name.to_string() } else { format!("{module}.{name}") };
    let sides = |module: &String| found.get(&field(module, "weight")).map_or(0, |t| t.shape.len());
    let layers: Vec<&String> = modules.iter().filter(|m| sides(m) >= 2).collect();
    let norms: Vec<&String> = modules.iter().filter(|m| found.contains_key(&field(m, "running_mean"))).collect();

    let mut without_bias = Vec::new();
    let missing: Vec<(usize, String, usize)> = layers
        .iter()
        .zip(&plan.blocks)
        .map(|(module, block)| (block.index, field(module, "bias"), block.output.c))
        .filter(|(_, name, _)| !found.contains_key(name))
        .collect();
    let layers: Vec<String> = layers.into_iter().cloned().collect();
    let norms: Vec<String> = norms.into_iter().cloned().collect();
    for (index, name, channels) in missing {
        found.insert(name, Tensor { shape: vec![channels], values: vec![0.0; channels] });
        without_bias.push(index);
    }

    // Expected arrays in order, each beside the name under which it should be found.
    let (mut pairs, mut norm) = (Vec::new(), 0);
    for (i, block) in plan.blocks.iter().enumerate() {
        for t in tensors::of_block(i, block) {
            let of_layer = matches!(t.place.which, Which::Weight | Which::Bias);
            let module = if of_layer { layers.get(i) } else { norms.get(norm) };
            let last = t.name.rsplit('.').next().unwrap_or_default();
            let found_as = module.map(|m| field(m, last));
            pairs.push((t.name.clone(), t.shape(), found_as));
        }
        norm += usize::from(block.has_norm());
    }
    let fits = |(_, shape, name): &Pair| {
        name.as_ref().and_then(|n| found.get(n)).is_some_and(|t| same_shape(&t.shape, shape) && t.values.iter().all(|v| v.is_finite()))
    };
    if pairs.len() != found.len() || !pairs.iter().all(fits) {
        return Err(mismatch(&plan, &pairs, &found));
    }
    let names: BTreeMap<String, Option<String>> = pairs.into_iter().map(|(ours, _, name)| (ours, name)).collect();
    let model = Model::from_tensors(plan, lif, |t| {
        let tensor = names[&t.name].as_ref().and_then(|name| found.remove(name));
        tensor.map(|t| t.values).ok_or_else(|| Error::bug(format!("{} is there twice", t.name)))
    })?;
    Ok((model, without_bias))
}

/// A linear layer may come as a convolution over its whole input.
fn same_shape(found: &[usize], expected: &[usize]) -> bool {
    found == expected
        || (expected.len() == 2 && found.len() == 4 && found[0] == expected[0] && found[1..].iter().product::<usize>() == expected[1])
}

type Pair = (String, Vec<usize>, Option<String>);

/// Expected beside found, line by line.
fn mismatch(plan: &Plan, pairs: &[Pair], found: &BTreeMap<String, Tensor>) -> Error {
    const LINES: usize = 60;
    let mut lines = vec![format!("{:<24} {:<20} found", "expected", "")];
    for (ours, shape, name) in pairs {
        let shape = format!("{shape:?}");
        let (there, ok) = match name.as_ref().and_then(|n| Some((n, found.get(n)?))) {
            None => ("missing".to_string(), false),
            Some((n, t)) if !t.values.iter().all(|v| v.is_finite()) => (format!("{n} with numbers that are not finite"), false),
            Some((n, t)) => {
                (format!("{n} {:?}", t.shape), same_shape(&t.shape, &pairs.iter().find(|p| p.0 == *ours).map_or(vec![], |p| p.1.clone())))
            }
        };
        lines.push(format!("{ours:<24} {shape:<20} {there}{}", if ok { "" } else { "   <-" }));
    }
    for (name, t) in found {
        if !pairs.iter().any(|(_, _, n)| n.as_ref() == Some(name)) {
            lines.push(format!("{:<24} {:<20} {name} {:?}   <- extra", "", "", t.shape));
        }
    }
    let more = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    Error::format(format!("the tensors do not fit {} on {}:\n  {}", plan.notation, plan.shape, lines.join("\n  ")))
        .remedy("name the network with --net and --shape; layers are taken in the order of their names, numbers by value, e.g. 0.weight, 0.bias, 0.bn.weight, … 10.weight")
}

/// A key that sorts numbers by value.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut key = Vec::new();
    for part in name.split(['.', '_']) {
        let digits = part.len() - part.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (word, number) = part.split_at(part.len() - digits);
        key.push((0, word.to_string()));
        key.push((number.parse().unwrap_or(0), String::new()));
    }
    key
}
