//! The options of `spiketrain export` and `spiketrain import`.

use std::path::PathBuf;

use clap::Args;

use super::{Loudness, Places, RunArgs};
use crate::export::{Format, Profile};
use crate::limits;
use crate::shape::Chw;

#[derive(Args)]
pub struct ExportArgs {
    /// A checkpoint file, or a run folder: its best.ckpt or last.ckpt, else its newest checkpoint.
    pub checkpoint: PathBuf,
    /// What to write: nir, safetensors, npz, c.
    #[arg(long)]
    pub format: Format,
    /// The file [default: that of the checkpoint with another ending]. <file>.agreement.json and <file>.trace.npz are written beside it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How a NIR graph is put: portable (as SpikingJelly, snnTorch and Norse all run it) or spec (Flatten, Affine and AvgPool2d as documented).
    #[arg(long, default_value = "portable")]
    pub profile: Profile,
    /// Write a network with ReLU as NIR, which has none, although it then computes something else; how much else is measured.
    #[arg(long)]
    pub allow_lossy: bool,
    /// Test samples that the network and the file are compared on.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = samples)]
    pub samples: usize,
    #[command(flatten)]
    pub places: Places,
    /// Print one JSON object: the agreement.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub loudness: Loudness,
    /// Worker threads [default: one per core].
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
}

/// A network of another program, or one that was exported, into a checkpoint for eval, predict, export and `train --init`.
///
/// Read are NIR graphs (.nir), a PyTorch state_dict (.safetensors) with the keys weight, bias, running_mean and running_var in layer
/// order, and the .npz that export writes. What a file does not say (the network, its input, the time step of a NIR graph) is said with
/// --net, --shape and --dt; what was assumed, left out or cannot be known is printed. What the network is used with (--dataset, -T,
/// --threshold, …) is said with the options of train.
#[derive(Args)]
pub struct ImportArgs {
    /// A file that ends in .nir, .safetensors or .npz.
    pub file: PathBuf,
    /// The checkpoint to write.
    #[arg(long, value_name = "FILE.ckpt")]
    pub out: PathBuf,
    /// Input of the network: channels x height x width, e.g. 1x28x28 [default: what the file says]. A NIR graph with an input of [784] needs it.
    #[arg(long, value_name = "CxHxW")]
    pub shape: Option<Chw>,
    /// Seconds of a time step, for NIR graphs, whose time constants are seconds [default: what the file's metadata say, else 1e-4, the step of
    /// SpikingJelly and snnTorch; Norse's is 1e-3].
    #[arg(long, value_name = "SECONDS")]
    pub dt: Option<f64>,
    /// Names of the classes, separated by commas [default: 0, 1, 2 …].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub classes: Option<Vec<String>>,
    #[command(flatten)]
    pub run: RunArgs,
}

fn samples(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=limits::MAX_COMPARED).contains(n)).ok_or_else(|| format!("choose 1 to {}", limits::MAX_COMPARED))
}
