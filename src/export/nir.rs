//! NIR files: a graph as HDF5.
//!
//! ```text
//! /version                        text
//! /node/type                      "NIRGraph"
//! /node/edges                     text [edges, 2]
//! /node/nodes/<name>/type         text, and the fields of that kind of node; readers reject others
//! ```

use std::collections::{HashMap, HashSet};
use std::path::Path;

use hdf5_pure::{Dataset, File, FileBuilder, Group, GroupBuilder};

use super::graph::{Chain, DT, Node, Tensor};
use super::tensors::About;
use crate::error::{Error, Result};
use crate::limits;
use crate::storage::{self, Published, Storage};

/// Of the NIR package whose files these are like.
const NIR_VERSION: &str = "1.0.8";
/// What a graph says besides its nodes.
const METADATA: &str = "metadata";
/// There: seconds of a time step.
const STEP: &str = "dt";
/// What can be read.
pub const SUPPORTED: &str = "Input, Output, Conv2d, SumPool2d, AvgPool2d, Flatten, Affine, Linear and LIF, one after the other";

/// Writes a graph, whole or not at all; `about` becomes the graph's metadata, as NIR provides for what it has no word for.
///
/// # Errors
/// Storage: the disk fails.
pub fn write(storage: &dyn Storage, path: &Path, chain: &Chain, about: &About) -> Result<Published> {
    put(storage, path, chain, Some(about))
}

/// Writes a graph that says nothing of its time step, as most programs do.
///
/// # Errors
/// As [`write()`].
pub fn write_without_metadata(storage: &dyn Storage, path: &Path, chain: &Chain) -> Result<Published> {
    put(storage, path, chain, None)
}

fn put(storage: &dyn Storage, path: &Path, chain: &Chain, about: Option<&About>) -> Result<Published> {
    let mut file = FileBuilder::new();
    file.create_dataset("version").with_vlen_strings(&[NIR_VERSION]).with_shape(&[]);
    let mut graph = file.create_group("node");
    text(&mut graph, "type", "NIRGraph");
    if let Some(about) = about {
        let mut metadata = graph.create_group(METADATA);
        metadata.create_dataset(STEP).with_f64_data(&[DT]).with_shape(&[]);
        about.iter().for_each(|(name, value)| text(&mut metadata, name, value));
        graph.add_group(metadata.finish());
    }
    let names: Vec<&str> = chain.0.iter().map(|(name, _)| name.as_str()).collect();
    let edges: Vec<&str> = names.windows(2).flatten().copied().collect();
    graph.create_dataset("edges").with_vlen_strings(&edges).with_shape(&[edges.len() as u64 / 2, 2]);
    let mut nodes = graph.create_group("nodes");
    for (name, node) in &chain.0 {
        let mut group = nodes.create_group(name);
        fields(&mut group, node);
        nodes.add_group(group.finish());
    }
    graph.add_group(nodes.finish());
    file.add_group(graph.finish());
    storage::write_atomically(storage, path, |draft| file.finish_to(draft).map_err(|e| Error::storage(e).at(path.display())))
}

fn text(group: &mut GroupBuilder, name: &str, value: &str) {
    group.create_dataset(name).with_vlen_strings(&[value]).with_shape(&[]);
}

fn fields(group: &mut GroupBuilder, node: &Node) {
    text(group, "type", node.kind());
    let integers = |group: &mut GroupBuilder, name: &str, values: &[usize], shape: &[u64]| {
        let values: Vec<i64> = values.iter().map(|&v| v as i64).collect();
        group.create_dataset(name).with_i64_data(&values).with_shape(shape);
    };
    let pair = |group: &mut GroupBuilder, name: &str, values: &[usize; 2]| integers(group, name, values, &[2]);
    let reals = |group: &mut GroupBuilder, name: &str, values: &[f32], shape: &[usize]| {
        let shape: Vec<u64> = shape.iter().map(|&s| s as u64).collect();
        group.create_dataset(name).with_f32_data(values).with_shape(&shape);
    };
    match node {
        Node::Input(shape) | Node::Output(shape) => integers(group, "shape", shape, &[shape.len() as u64]),
        Node::Conv2d { input, weight, stride, padding, dilation, groups, bias } => {
            if let Some(input) = input {
                pair(group, "input_shape", input);
            }
            reals(group, "weight", &weight.values, &weight.shape);
            reals(group, "bias", bias, &[bias.len()]);
            for (name, value) in [("stride", stride), ("padding", padding), ("dilation", dilation)] {
                pair(group, name, value);
            }
            integers(group, "groups", &[*groups], &[]);
        }
        Node::Pool { kernel, stride, padding, .. } => {
            for (name, value) in [("kernel_size", kernel), ("stride", stride), ("padding", padding)] {
                pair(group, name, value);
            }
        }
        Node::Flatten(input) => {
            integers(group, "input_type", input, &[input.len() as u64]);
            group.create_dataset("start_dim").with_i64_data(&[0]).with_shape(&[]);
            group.create_dataset("end_dim").with_i64_data(&[-1]).with_shape(&[]);
        }
        Node::Affine { weight, bias } => {
            reals(group, "weight", &weight.values, &weight.shape);
            if let Some(bias) = bias {
                reals(group, "bias", bias, &[bias.len()]);
            }
        }
        Node::Lif { shape, tau, r, threshold } => {
            let neurons = shape.iter().product();
            for (name, value) in [("tau", *tau), ("r", *r), ("v_leak", 0.0), ("v_reset", 0.0), ("v_threshold", *threshold)] {
                let shape: Vec<u64> = shape.iter().map(|&s| s as u64).collect();
                let field = group.create_dataset(name).with_f32_data(&vec![value as f32; neurons]).with_shape(&shape);
                // One number over and over, which would be most of the file.
                field.with_chunks(&shape).with_deflate(6);
            }
        }
    }
}

/// A graph as a file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its nodes.
    pub chain: Chain,
    /// Seconds of a time step, where the file says it.
    pub dt: Option<f64>,
    /// What it says in words besides.
    pub about: About,
}

/// Reads a graph that is a chain from its input to its output.
///
/// # Errors
/// Storage: unreadable. Format: no HDF5, not laid out as NIR, a node of another kind, neurons of a layer that differ, no chain.
pub fn read(path: &Path) -> Result<Found> {
    let bytes = storage::read_whole(path, limits::MAX_MODEL_BYTES)?.ok_or_else(|| storage::not_there(path))?;
    read_bytes(bytes).map_err(|e| e.at(path.display()))
}

/// [`read`] from memory.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: Vec<u8>) -> Result<Found> {
    let length = bytes.len();
    let file = File::from_bytes(bytes).map_err(|e| Error::format(format!("not an HDF5 file: {e}")))?;
    let reader = Reader { length };
    let node = group(&file.root(), "node", "/")?;
    let kind = reader.text(&node, "type", "/node")?;
    if kind != "NIRGraph" {
        return Err(Error::format(format!("expected a NIRGraph, found '{kind}'")).at("/node/type"));
    }
    let nodes = group(&node, "nodes", "/node")?;
    let names = nodes.groups().map_err(broken).map_err(|e| e.at("/node/nodes"))?;
    if names.len() > limits::MAX_NODES {
        return Err(Error::format(format!("{} nodes, more than the {} that are read", names.len(), limits::MAX_NODES)).at("/node/nodes"));
    }
    let mut all = HashMap::new();
    for name in names {
        let at = format!("/node/nodes/{name}");
        let node = group(&nodes, &name, "/node/nodes").and_then(|g| reader.node(&g).map_err(|e| e.at(&at)))?;
        all.insert(name, node);
    }
    let edges = reader.texts(&node, "edges").map_err(|e| e.at("/node"))?;
    let chain = chain(all, &edges).map_err(|e| e.at("/node/edges"))?;
    let (dt, about) = reader.metadata(&node).map_err(|e| e.at("/node/metadata"))?;
    Ok(Found { chain, dt, about })
}

/// Follows the edges, pairs of names, from the input.
fn chain(mut nodes: HashMap<String, Node>, edges: &[String]) -> Result<Chain> {
    let mut next = HashMap::new();
    let mut targets = HashSet::new();
    for pair in edges.chunks_exact(2) {
        if next.insert(&pair[0], &pair[1]).is_some() || !targets.insert(&pair[1]) {
            return Err(Error::format(format!("the graph branches at the edge from '{}' to '{}'", pair[0], pair[1]))
                .remedy(format!("supported are {SUPPORTED}")));
        }
    }
    let inputs: Vec<&String> = nodes.iter().filter(|(_, n)| matches!(n, Node::Input(_))).map(|(name, _)| name).collect();
    let [input] = inputs[..] else {
        return Err(Error::format(format!("expected one Input node, found {}", inputs.len())));
    };
    let (mut at, mut all) = (input.clone(), Vec::new());
    loop {
        let node =
            nodes.remove(&at).ok_or_else(|| Error::format(format!("an edge leads to '{at}', which is no node, or was passed before")))?;
        let last = matches!(node, Node::Output(_));
        all.push((at.clone(), node));
        if last {
            break;
        }
        at = next.get(&at).ok_or_else(|| Error::format(format!("no edge leads on from '{at}'")))?.to_string();
    }
    match nodes.keys().min() {
        Some(left) => {
            Err(Error::format(format!("node '{left}' is not on the way from input to output")).remedy(format!("supported are {SUPPORTED}")))
        }
        None => Ok(Chain(all)),
    }
}

fn broken(e: hdf5_pure::Error) -> Error {
    Error::format(format!("cannot be read: {e}"))
}

fn group(parent: &Group, name: &str, at: &str) -> Result<Group> {
    parent.group(name).map_err(|_| Error::format(format!("expected a group '{name}'")).at(at).remedy("is this a NIR file?"))
}

struct Reader {
    /// Bytes of the file.
    length: usize,
}

impl Reader {
    /// Seconds of a step, and everything in words; other numbers mean nothing to us.
    fn metadata(&self, node: &Group) -> Result<(Option<f64>, About)> {
        let mut about = About::new();
        let Ok(g) = node.group(METADATA) else { return Ok((None, about)) };
        let names = g.datasets().map_err(broken)?;
        if names.len() > limits::MAX_NODES {
            return Err(Error::format(format!("{} entries, more than the {} that are read", names.len(), limits::MAX_NODES)));
        }
        let mut dt = None;
        for name in names {
            if name == STEP {
                let found = self.dataset(&g, STEP)?.read_f64().map_err(broken).map_err(|e| e.at(STEP))?;
                dt = found.first().copied().filter(|dt| found.len() == 1 && dt.is_finite() && *dt > 0.0);
                if dt.is_none() {
                    return Err(Error::format(format!("expected the seconds of a time step, found {found:?}")).at(STEP));
                }
            } else if let Ok(text) = self.text(&g, &name, "") {
                about.insert(name, text);
            }
        }
        Ok((dt, about))
    }

    fn node(&self, g: &Group) -> Result<Node> {
        let kind = self.text(g, "type", "")?;
        match kind.as_str() {
            "Input" => Ok(Node::Input(self.sizes(g, "shape")?)),
            "Output" => Ok(Node::Output(self.sizes(g, "shape")?)),
            "Conv2d" => Ok(Node::Conv2d {
                input: if has(g, "input_shape") { Some(self.pair(g, "input_shape")?) } else { None },
                padding: self.padding(g)?,
                weight: self.tensor(g, "weight", 4)?,
                stride: self.pair(g, "stride")?,
                dilation: self.pair(g, "dilation")?,
                groups: self.sizes(g, "groups")?.first().copied().unwrap_or(0),
                bias: self.tensor(g, "bias", 1)?.values,
            }),
            "SumPool2d" | "AvgPool2d" => Ok(Node::Pool {
                average: kind == "AvgPool2d",
                kernel: self.pair(g, "kernel_size")?,
                stride: self.pair(g, "stride")?,
                padding: self.pair(g, "padding")?,
            }),
            "Flatten" => self.flatten(g),
            "Affine" => Ok(Node::Affine { weight: self.tensor(g, "weight", 2)?, bias: Some(self.tensor(g, "bias", 1)?.values) }),
            "Linear" => Ok(Node::Affine { weight: self.tensor(g, "weight", 2)?, bias: None }),
            "LIF" => self.lif(g),
            other => Err(Error::format(format!("nodes of type '{other}' are not supported")).remedy(format!("supported are {SUPPORTED}"))),
        }
    }

    fn flatten(&self, g: &Group) -> Result<Node> {
        let input = self.sizes(g, "input_type")?;
        let side = |name: &str| -> Result<Option<i64>> { Ok(self.dataset(g, name)?.read_i64().map_err(broken)?.first().copied()) };
        let last = [Some(-1), Some(input.len() as i64 - 1)];
        match (side("start_dim")?, side("end_dim")?) {
            (Some(0), end) if last.contains(&end) => Ok(Node::Flatten(input)),
            (start, end) => {
                Err(Error::format(format!("flattens sides {start:?} to {end:?}")).remedy("supported is a Flatten of all sides: 0 to -1"))
            }
        }
    }

    fn lif(&self, g: &Group) -> Result<Node> {
        let threshold = self.reals(g, "v_threshold")?;
        let same = |name: &str| -> Result<f64> {
            let t = if name == "v_reset" && !has(g, name) { return Ok(0.0) } else { self.reals(g, name)? };
            match t.values.iter().find(|v| **v != t.values[0]) {
                _ if t.shape != threshold.shape => {
                    Err(Error::format(format!("expected {:?} as for v_threshold, found {:?}", threshold.shape, t.shape)).at(name))
                }
                Some(other) => Err(Error::format(format!("neurons of a layer differ: {} and {other}", t.values[0]))
                    .at(name)
                    .remedy("supported are layers of equal neurons")),
                // Read as the decimal number that it is the nearest f32 of.
                None => Ok(t.values[0].to_string().parse().unwrap_or(f64::from(t.values[0]))),
            }
        };
        for name in ["v_leak", "v_reset"] {
            let v = same(name)?;
            if v != 0.0 {
                return Err(Error::format(format!("{v}")).at(name).remedy("supported is 0"));
            }
        }
        let lif = Node::Lif { shape: threshold.shape.clone(), tau: same("tau")?, r: same("r")?, threshold: same("v_threshold")? };
        Ok(lif)
    }

    fn dataset(&self, g: &Group, name: &str) -> Result<Dataset> {
        let d = g.dataset(name).map_err(|_| Error::format(format!("expected a field '{name}'")))?;
        let shape = d.shape().map_err(broken).map_err(|e| e.at(name))?;
        let count = shape.iter().try_fold(1u64, |n, &s| n.checked_mul(s)).filter(|&n| n <= limits::MAX_PARAMETERS as u64);
        // Deflate makes at most 1032 bytes of one; what announces more is no file of this length.
        match count {
            Some(n) if n as usize <= self.length.saturating_mul(1032) => Ok(d),
            _ => Err(Error::format(format!("{shape:?} is more than the file can hold")).at(name)),
        }
    }

    fn texts(&self, g: &Group, name: &str) -> Result<Vec<String>> {
        self.dataset(g, name)?.read_string().map_err(broken).map_err(|e| e.at(name))
    }

    fn text(&self, g: &Group, name: &str, at: &str) -> Result<String> {
        let mut all = self.texts(g, name).map_err(|e| if at.is_empty() { e } else { e.at(at) })?;
        if all.len() == 1 { Ok(all.remove(0)) } else { Err(Error::format(format!("expected one text, found {}", all.len())).at(name)) }
    }

    fn sizes(&self, g: &Group, name: &str) -> Result<Vec<usize>> {
        let all = self.dataset(g, name)?.read_i64().map_err(broken).map_err(|e| e.at(name))?;
        let size = |&v: &i64| usize::try_from(v).ok().filter(|&v| v <= limits::MAX_PARAMETERS);
        all.iter().map(size).collect::<Option<Vec<_>>>().ok_or_else(|| Error::format(format!("{all:?} are no sizes")).at(name))
    }

    /// Height and width; one number stands for both.
    fn pair(&self, g: &Group, name: &str) -> Result<[usize; 2]> {
        match self.sizes(g, name)?[..] {
            [both] => Ok([both, both]),
            [h, w] => Ok([h, w]),
            ref other => Err(Error::format(format!("expected height and width, found {other:?}")).at(name)),
        }
    }

    /// Zeros around the input of a convolution: numbers, or PyTorch's words.
    fn padding(&self, g: &Group) -> Result<[usize; 2]> {
        let Ok(word) = self.text(g, "padding", "") else { return self.pair(g, "padding") };
        let (weight, dilation) = (self.tensor(g, "weight", 4)?, self.pair(g, "dilation")?);
        match word.as_str() {
            "valid" => Ok([0, 0]),
            // PyTorch puts the odd one behind; such windows are refused by what reads the graph.
            "same" => Ok([0, 1].map(|i| (dilation[i] * weight.shape[2 + i].saturating_sub(1)).div_ceil(2))),
            other => Err(Error::format(format!("'{other}'")).at("padding").remedy("write numbers, \"same\" or \"valid\"")),
        }
    }

    fn reals(&self, g: &Group, name: &str) -> Result<Tensor> {
        let d = self.dataset(g, name)?;
        let shape = d.shape().map_err(broken)?.iter().map(|&s| s as usize).collect::<Vec<_>>();
        let values = d.read_f32().map_err(broken).map_err(|e| e.at(name))?;
        if values.is_empty() || values.len() != shape.iter().product::<usize>() {
            return Err(Error::format(format!("expected numbers of shape {shape:?}, found {}", values.len())).at(name));
        }
        match values.iter().find(|v| !v.is_finite()) {
            Some(v) => Err(Error::format(format!("{v} is not finite")).at(name)),
            None => Ok(Tensor { shape, values }),
        }
    }

    fn tensor(&self, g: &Group, name: &str, sides: usize) -> Result<Tensor> {
        let t = self.reals(g, name)?;
        if t.shape.len() == sides { Ok(t) } else { Err(Error::format(format!("expected {sides} sides, found {:?}", t.shape)).at(name)) }
    }
}

fn has(g: &Group, name: &str) -> bool {
    g.datasets().is_ok_and(|all| all.iter().any(|n| n == name))
}
