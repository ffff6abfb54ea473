//! NIR files: a graph as HDF5.
//!
//! ```text
//! /version                        text
//! /node/type                      "NIRGraph"
//! /node/edges                     text [edges, 2]
//! /node/nodes/<name>/type         text, and the fields of that kind of node; readers reject others
//! ```

mod edges;
mod read;

use std::path::Path;

use hdf5_pure::{FileBuilder, GroupBuilder};

pub use read::{Found, read, read_bytes};

use super::graph::{Chain, DT, Node};
use super::tensors::About;
use crate::error::{Error, Result};
use crate::storage::{self, Published, Storage};

/// Of the NIR package whose files these are like.
const NIR_VERSION: &str = "1.0.8";
/// What a graph says besides its nodes.
const METADATA: &str = "metadata";
/// There: seconds of a time step.
const STEP: &str = "dt";
/// What can be read.
pub const SUPPORTED: &str = "Input, Output, Conv2d, SumPool2d, AvgPool2d, Flatten, Affine, Linear, LIF and IF, one after the other";

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
        // No network of ours has them; they are read only.
        Node::If { .. } => {}
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
