//! Reading a NIR file: its nodes, subgraphs and metadata.

use std::collections::HashMap;
use std::path::Path;

use hdf5_pure::{Dataset, File, Group};

use super::edges::Edges;
use super::{METADATA, STEP, SUPPORTED};
use crate::error::{Error, Result};
use crate::export::graph::{Chain, Node, Tensor};
use crate::export::tensors::About;
use crate::limits;
use crate::storage;

/// Graphs in graphs: programs write one level.
const MAX_DEPTH: usize = 8;

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// The nodes in the order in which they are passed.
    pub chain: Chain,
    /// Seconds of a time step, from the graph's metadata (`dt`); `None`: NIR itself does not say it.
    pub dt: Option<f64>,
    /// What its metadata say in words.
    pub about: About,
}

impl From<Chain> for Found {
    fn from(chain: Chain) -> Found {
        Found { chain, dt: None, about: About::new() }
    }
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
    let (mut groups, mut edges) = (Vec::new(), Edges::default());
    reader.collect(&node, "/node", "", &mut groups, &mut edges)?;
    refuse_kinds(&groups, &edges)?;
    let mut all = HashMap::new();
    for Kinded { name, at, kind, group } in groups {
        let node = reader.node(&kind, &group).map_err(|e| e.at(format!("node '{name}' ({kind})")).at(at))?;
        all.insert(name, node);
    }
    let chain = edges.chain(all).map_err(|e| e.at("/node/edges"))?;
    Ok(Found { chain, dt: reader.time_step(&node)?, about: reader.about(&node)? })
}

/// A node that was not read yet.
struct Kinded {
    name: String,
    /// Its place in the file.
    at: String,
    kind: String,
    group: Group,
}

/// Why nodes of a kind have no form here.
fn why_not(kind: &str) -> Option<&'static str> {
    match kind {
        "Input" | "Output" | "Conv2d" | "SumPool2d" | "AvgPool2d" | "Flatten" | "Affine" | "Linear" | "LIF" | "IF" => None,
        "CubaLIF" | "CubaLI" => Some("a synaptic current besides the membrane potential, which neurons here do not have"),
        "LI" => Some("a leaky integrator, which never fires; outputs here are spikes"),
        "Delay" => Some("delays"),
        "Threshold" => Some("spikes without a membrane potential"),
        "Conv1d" => Some("a convolution over one side; pictures here have two"),
        _ => Some("no such layer"),
    }
}

/// Names every node of an unsupported kind at once, with the reason, so that nobody meets them one by one.
fn refuse_kinds(groups: &[Kinded], edges: &Edges) -> Result<()> {
    const SHOWN: usize = 6;
    let mut bad: Vec<(&Kinded, &str)> = groups.iter().filter_map(|n| Some((n, why_not(&n.kind)?))).collect();
    bad.sort_by_key(|(n, _)| &n.name);
    let Some((first, _)) = bad.first() else { return Ok(()) };
    let mut words: Vec<String> = bad.iter().take(SHOWN).map(|(n, why)| format!("node '{}' ({}): {why}", n.name, n.kind)).collect();
    if bad.len() > SHOWN {
        words.push(format!("and {} more", bad.len() - SHOWN));
    }
    if let Some((a, b)) = edges.recurrence() {
        words.push(format!("and the graph is recurrent: what '{a}' sends to '{b}' comes back to '{a}'"));
    }
    Err(Error::format(format!("not supported: {}", words.join("; "))).at(&first.at).remedy(format!(
        "train the network with feed-forward LIF layers in its program, or here with spiketrain train; supported are {SUPPORTED}"
    )))
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
    /// Nodes and edges of a graph and of the graphs in it.
    fn collect(&self, graph: &Group, at: &str, prefix: &str, all: &mut Vec<Kinded>, edges: &mut Edges) -> Result<()> {
        let nodes = group(graph, "nodes", at)?;
        let inside = format!("{at}/nodes");
        let names = nodes.groups().map_err(broken).map_err(|e| e.at(&inside))?;
        if names.len() + all.len() > limits::MAX_NODES {
            let n = names.len() + all.len();
            return Err(Error::format(format!("{n} nodes, more than the {} that are read", limits::MAX_NODES)).at(&inside));
        }
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for name in names {
            let (at, full) = (format!("{inside}/{name}"), format!("{prefix}{name}"));
            let group = group(&nodes, &name, &inside)?;
            let kind = self.text(&group, "type", &at)?;
            match kind.as_str() {
                "NIRGraph" if prefix.matches('.').count() >= MAX_DEPTH => {
                    return Err(Error::format(format!("graphs in graphs, more than {MAX_DEPTH}")).at(at));
                }
                "NIRGraph" => {
                    self.collect(&group, &at, &format!("{full}."), all, edges)?;
                    continue;
                }
                "Input" => inputs.push(full.clone()),
                "Output" => outputs.push(full.clone()),
                _ => {}
            }
            all.push(Kinded { name: full, at, kind, group });
        }
        let pairs = self.texts(graph, "edges").map_err(|e| e.at(at))?;
        edges.add(prefix, &pairs).map_err(|e| e.at(format!("{at}/edges")))?;
        if let Some(name) = prefix.strip_suffix('.') {
            let ([input], [output]) = (&inputs[..], &outputs[..]) else {
                let found = format!("expected one Input and one Output in a subgraph, found {} and {}", inputs.len(), outputs.len());
                return Err(Error::format(found).at(at));
            };
            edges.subgraph(name, input.clone(), output.clone());
        }
        Ok(())
    }

    /// `dt` of the graph's metadata, a number or a text.
    fn time_step(&self, graph: &Group) -> Result<Option<f64>> {
        let Ok(metadata) = graph.group(METADATA) else { return Ok(None) };
        if !has(&metadata, STEP) {
            return Ok(None);
        }
        let d = self.dataset(&metadata, STEP).map_err(|e| e.at("/node/metadata"))?;
        let number = d.read_f64().ok().and_then(|all| all.first().copied());
        let text = || d.read_string().ok().and_then(|all| all.first()?.trim().parse().ok());
        match number.or_else(text).filter(|dt: &f64| dt.is_finite() && *dt > 0.0) {
            Some(dt) => Ok(Some(dt)),
            None => Err(Error::format("expected the seconds of a time step").at("/node/metadata/dt")),
        }
    }

    /// The texts among the graph's metadata.
    fn about(&self, graph: &Group) -> Result<About> {
        let Ok(metadata) = graph.group(METADATA) else { return Ok(About::new()) };
        let names = metadata.datasets().map_err(broken).map_err(|e| e.at("/node/metadata"))?;
        if names.len() > limits::MAX_NODES {
            return Err(
                Error::format(format!("{} entries, more than the {} that are read", names.len(), limits::MAX_NODES)).at("/node/metadata")
            );
        }
        Ok(names.into_iter().filter_map(|name| Some((name.clone(), self.text(&metadata, &name, "").ok()?))).collect())
    }

    fn node(&self, kind: &str, g: &Group) -> Result<Node> {
        match kind {
            "Input" => Ok(Node::Input(self.sizes(g, "shape")?)),
            "Output" => Ok(Node::Output(self.sizes(g, "shape")?)),
            "Conv2d" => self.conv(g),
            "SumPool2d" | "AvgPool2d" => Ok(Node::Pool {
                average: kind == "AvgPool2d",
                kernel: self.pair(g, "kernel_size")?,
                stride: self.pair(g, "stride")?,
                padding: self.pair(g, "padding")?,
            }),
            "Flatten" => self.flatten(g),
            "Affine" => Ok(Node::Affine { weight: self.tensor(g, "weight", 2)?, bias: Some(self.tensor(g, "bias", 1)?.values) }),
            "Linear" => Ok(Node::Affine { weight: self.tensor(g, "weight", 2)?, bias: None }),
            "LIF" | "IF" => self.neurons(kind, g),
            other => Err(Error::bug(format!("'{other}' was let through"))),
        }
    }

    fn conv(&self, g: &Group) -> Result<Node> {
        let weight = self.tensor(g, "weight", 4)?;
        let (stride, dilation) = (self.pair(g, "stride")?, self.pair(g, "dilation")?);
        let (weight, padding) = match self.padding_by_name(g).as_deref() {
            None => (weight, self.pair(g, "padding")?),
            Some("valid") => (weight, [0, 0]),
            Some("same") => same(weight, dilation),
            Some(other) => {
                return Err(Error::format(format!("'{other}'")).at("padding").remedy("a padding is two numbers, \"same\" or \"valid\""));
            }
        };
        Ok(Node::Conv2d {
            input: if has(g, "input_shape") { Some(self.pair(g, "input_shape")?) } else { None },
            weight,
            stride,
            padding,
            dilation,
            groups: self.sizes(g, "groups")?.first().copied().unwrap_or(0),
            bias: self.tensor(g, "bias", 1)?.values,
        })
    }

    /// PyTorch's "same" or "valid", where padding is a text.
    fn padding_by_name(&self, g: &Group) -> Option<String> {
        let d = self.dataset(g, "padding").ok()?;
        d.read_string().ok().filter(|all| all.len() == 1)?.pop()
    }

    /// Rows keep their order whichever sides are flattened, and layers behind it take all of them; so the sides do not matter, but for a
    /// side that older files count for the batch.
    fn flatten(&self, g: &Group) -> Result<Node> {
        let input = if has(g, "input_type") { self.sizes(g, "input_type")? } else { Vec::new() };
        let side = |name: &str| -> Result<Option<i64>> { Ok(self.dataset(g, name)?.read_i64().map_err(broken)?.first().copied()) };
        let (start, end) = (side("start_dim")?, side("end_dim")?);
        let last = [Some(-1), Some(input.len() as i64 - 1)];
        if matches!(start, Some(0 | 1)) && last.contains(&end) {
            return Ok(Node::Flatten(input));
        }
        Err(Error::format(format!("flattens sides {start:?} to {end:?}")).remedy("supported is a Flatten of all sides: 0 to -1"))
    }

    fn neurons(&self, kind: &str, g: &Group) -> Result<Node> {
        let names = if kind == "IF" { &["r", "v_threshold"][..] } else { &["tau", "r", "v_leak", "v_threshold"] };
        let fields = names.iter().map(|n| Ok((*n, self.reals(g, n)?))).collect::<Result<HashMap<&str, Tensor>>>()?;
        // One number may stand for all neurons.
        let Some(shape) = fields.values().map(|t| &t.shape).max_by_key(|s| s.len()).cloned() else {
            return Err(Error::bug("neurons without fields"));
        };
        let same = |name: &str, t: &Tensor| -> Result<f64> {
            match t.values.iter().find(|v| **v != t.values[0]) {
                _ if t.shape != shape && !t.shape.is_empty() => {
                    Err(Error::format(format!("expected {shape:?} as for the other fields, found {:?}", t.shape)).at(name))
                }
                Some(other) => Err(Error::format(format!("neurons of a layer differ: {} and {other}", t.values[0]))
                    .at(name)
                    .remedy("supported are layers of equal neurons")),
                // Read as the decimal number that it is the nearest f32 of.
                None => Ok(t.values[0].to_string().parse().unwrap_or(f64::from(t.values[0]))),
            }
        };
        let of = |name: &str| fields.get(name).map_or(Ok(0.0), |t| same(name, t));
        let reset = if has(g, "v_reset") { same("v_reset", &self.reals(g, "v_reset")?)? } else { 0.0 };
        for (name, v) in [("v_leak", of("v_leak")?), ("v_reset", reset)] {
            if v != 0.0 {
                let what = if name == "v_leak" { "neurons here leak to 0" } else { "neurons here are reset to 0" };
                return Err(Error::format(format!("{v}; {what}"))
                    .at(name)
                    .remedy(format!("shift the neurons of this layer so that {name} is 0")));
            }
        }
        let (r, threshold) = (of("r")?, of("v_threshold")?);
        let tau = of("tau")?;
        Ok(if kind == "IF" { Node::If { shape, r, threshold } } else { Node::Lif { shape, tau, r, threshold } })
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

/// PyTorch's "same": as many outputs as inputs. Where an even window needs one more zero behind than before, a row or column of zeros
/// in front of the window makes it odd and the padding equal on both sides.
fn same(weight: Tensor, dilation: [usize; 2]) -> (Tensor, [usize; 2]) {
    let [h, w] = [weight.shape[2], weight.shape[3]];
    let more = |k: usize, d: usize| usize::from(d == 1 && k > 0 && k.is_multiple_of(2));
    let [top, left] = [more(h, dilation[0]), more(w, dilation[1])];
    let padding = [dilation[0] * (h + top).saturating_sub(1) / 2, dilation[1] * (w + left).saturating_sub(1) / 2];
    if top + left == 0 {
        return (weight, padding);
    }
    let (rows, columns) = (h + top, w + left);
    let mut values = vec![0.0; weight.values.len() / (h * w) * rows * columns];
    for (window, old) in values.chunks_mut(rows * columns).zip(weight.values.chunks(h * w)) {
        for (y, row) in old.chunks(w).enumerate() {
            let at = (y + top) * columns + left;
            window[at..at + w].copy_from_slice(row);
        }
    }
    (Tensor { shape: vec![weight.shape[0], weight.shape[1], rows, columns], values }, padding)
}
