//! Networks that leave, and networks that come: NIR, safetensors, npz, C. What left is read back and compared.
//!
//! - [`model`]: a network on the host, and BatchNorm folded into its weights.
//! - [`graph`] → [`nir`]: as a NIR graph, and that as HDF5; [`unchain`]: a NIR graph as a network, for which it asks
//!   the [`time_step`].
//! - [`tensors`], [`npz`]: parameters by name; [`state_dict`]: those of other programs.
//! - [`integer`] → [`c`]: with int8 weights, and that as C.
//! - [`inputs`]: how samples are prepared, which every file says; [`stated`]: what an imported one is fed by.
//! - [`agree`]: whether the file computes what the network does, and a golden trace for whoever receives it.

pub mod agree;
pub mod c;
pub mod graph;
pub mod inputs;
pub mod integer;
pub mod model;
pub mod nir;
pub mod npz;
pub mod state_dict;
pub mod stated;
pub mod tensors;
pub mod time_step;
pub mod unchain;

use std::path::Path;

pub use inputs::Inputs;
pub use integer::Integer;
pub use model::Model;

use crate::error::{Error, Result};
use crate::named::named;
use crate::neuron::Lif;
use crate::shape::Chw;
use crate::storage::{Published, Storage};
use stated::Stated;
use tensors::About;

/// What a network leaves as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Neuromorphic Intermediate Representation, HDF5.
    Nir,
    /// PyTorch's state_dict, safetensors.
    Safetensors,
    /// The same arrays for numpy.
    Npz,
    /// C99 with int8 weights; nothing reads it back but a compiler.
    C,
}

// The names are the endings of their files.
named!(Format, "format": Nir = "nir", Safetensors = "safetensors", Npz = "npz", C = "c");

const READ: &str = "what is read are files that end in .nir, .safetensors or .npz";
/// PyTorch's own files are programs that Python runs; nothing else should.
const FROM_PICKLE: &str =
    "make a .safetensors file of it in Python (pip install safetensors), for which a saved state_dict takes two lines:
    import torch; from safetensors.torch import save_file
    save_file({k: v.contiguous() for k, v in torch.load('model.pt', weights_only=True).items()}, 'model.safetensors')";

impl Format {
    /// By the ending of a file.
    ///
    /// # Errors
    /// Usage: none that we read.
    pub fn of(path: &Path) -> Result<Format> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        Self::ALL.into_iter().find(|f| f.name() == ending && *f != Format::C).ok_or_else(|| {
            let e = Error::usage(format!("no format is known by the ending '{ending}'")).at(path.display());
            if ["pt", "pth", "bin"].contains(&ending) { e.remedy(FROM_PICKLE) } else { e.remedy(READ) }
        })
    }
}

/// How a NIR graph is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// As SpikingJelly, snnTorch and Norse all run it: convolutions only, sums for averages.
    #[default]
    Portable,
    /// As NIR documents its nodes: Flatten, Affine, AvgPool2d.
    Spec,
}

named!(Profile, "profile": Portable = "portable", Spec = "spec");

/// Under this name a file says its network, if we wrote it.
const NETWORK: &str = "network";

/// What stands beside the tensors, so that the file can be read without further words.
pub fn about(model: &Model, inputs: &Inputs) -> About {
    let pairs = [
        (NETWORK, model.plan.notation.to_string()),
        ("input_shape", model.plan.shape.to_string()),
        ("decay", model.lif.decay.to_string()),
        ("threshold", model.lif.threshold.to_string()),
        ("relu", if model.has_relu() { "on" } else { "off" }.to_string()),
    ];
    let mut about = inputs.about();
    about.extend(pairs.into_iter().map(|(k, v)| (k.to_string(), v)));
    about
}

/// Writes a network in a format.
///
/// # Errors
/// Usage: the format cannot hold it. Storage: the disk fails.
pub fn write(storage: &dyn Storage, path: &Path, model: &Model, inputs: &Inputs, format: Format, profile: Profile) -> Result<Published> {
    match format {
        Format::Nir => nir::write(storage, path, &graph::of(model, profile)?, &about(model, inputs)),
        Format::Safetensors => tensors::write_safetensors(storage, path, model, &about(model, inputs)),
        Format::Npz => tensors::write_npz(storage, path, model, &about(model, inputs)),
        Format::C => c::write(storage, path, &Integer::of(model)?, inputs),
    }
}

/// What the user says about a file that does not say it itself; what the file says wins, but for λ, u_th and ReLU of tensors.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// A notation, as a preset resolved.
    pub net: Option<String>,
    /// C, H, W.
    pub shape: Option<Chw>,
    /// λ
    pub decay: Option<f64>,
    /// u_th
    pub threshold: Option<f64>,
    /// ReLU
    pub relu: Option<bool>,
    /// Seconds of a time step, of NIR.
    pub dt: Option<f64>,
}

/// A network that came, and what has to be said about it.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The network.
    pub model: Model,
    /// What it says about inputs and answers.
    pub stated: Stated,
    /// Sentences for the user: what was assumed, what was left out, what cannot be known.
    pub notes: Vec<String>,
}

/// Reads a network of any format that [`write()`] writes, told by the file's ending.
///
/// # Errors
/// Storage: unreadable. Usage: the file does not say which network it is of, and nobody else does. Format: it does not fit.
pub fn read(path: &Path, hints: &Hints) -> Result<Model> {
    Ok(import(path, hints)?.model)
}

/// The same, with what has to be said about it.
///
/// # Errors
/// As [`read`].
pub fn import(path: &Path, hints: &Hints) -> Result<Imported> {
    let (mut found, about, mut notes) = match Format::of(path)? {
        Format::Nir => return nir::read(path).and_then(|found| unchain::model(found, hints)).map_err(|e| at(e, path)),
        Format::Safetensors => tensors::read_safetensors(path)?,
        Format::Npz => tensors::read_npz(path).map(|(found, about)| (found, about, Vec::new()))?,
        Format::C => return Err(Error::bug("C is not read")),
    };
    let missing = |what: &str, option: &str| {
        Error::usage(format!("the file does not say {what}")).at(path.display()).remedy(format!("say it with {option}"))
    };
    let said = |key: &str| about.get(key);
    let net = hints.net.as_ref().or(said(NETWORK)).ok_or_else(|| missing("which network it is of", "--net, as a notation"))?;
    let shape = match hints.shape {
        Some(shape) => shape,
        None => said("input_shape").ok_or_else(|| missing("the shape of its input", "--shape CxHxW"))?.parse()?,
    };
    let number = |hint: Option<f64>, key: &str, neurons: Option<f64>, default: f64| match (hint.or(neurons), said(key)) {
        (Some(v), _) => Ok(v),
        (None, Some(text)) => text.parse().map_err(|_| Error::format(format!("{key}: '{text}' is no number")).at(path.display())),
        (None, None) => Ok(default),
    };
    let neurons = state_dict::neurons(&mut found, state_dict::Said { decay: hints.decay, threshold: hints.threshold });
    let neurons = neurons.map_err(|e| at(e, path))?;
    let own = Lif::default();
    let lif = Lif {
        decay: number(hints.decay, "decay", neurons.decay, own.decay)?,
        threshold: number(hints.threshold, "threshold", neurons.threshold, own.threshold)?,
    };
    notes.extend(neurons.notes);
    let relu = hints.relu.unwrap_or(said("relu").is_none_or(|r| r != "off"));
    let plan = crate::plan::Plan::new(net.parse()?, shape)?;
    let plan = if relu { plan } else { plan.without_relu() };
    let (model, without_bias) = tensors::model(plan, lif, found).map_err(|e| at(e, path))?;
    if !without_bias.is_empty() {
        let of: Vec<String> = without_bias.iter().map(|i| i.to_string()).collect();
        notes.push(format!("no bias in the file, 0 is taken: layers {}", of.join(", ")));
    }
    // Files of ours say all of it.
    let unsaid = [
        ("--decay", lif.decay.to_string(), hints.decay.or(neurons.decay).is_none() && said("decay").is_none()),
        ("--threshold", lif.threshold.to_string(), hints.threshold.or(neurons.threshold).is_none() && said("threshold").is_none()),
        ("--relu", if relu { "on" } else { "off" }.to_string(), hints.relu.is_none() && said("relu").is_none()),
    ];
    let assumed: Vec<String> =
        unsaid.iter().filter(|(_, _, unsaid)| *unsaid).map(|(option, value, _)| format!("{option} {value}")).collect();
    if !assumed.is_empty() {
        notes.push(format!("the file does not say it, so the defaults here were taken: {}", assumed.join(", ")));
    }
    if said(NETWORK).is_none() && !neurons.reset {
        notes.push(UNSAID.to_string());
    }
    Ok(Imported { model, stated: Stated::of(&about).map_err(|e| at(e, path))?, notes })
}

/// What a state_dict cannot say.
const UNSAID: &str = "a state_dict does not say how neurons reset (here to 0 at a spike; snnTorch's default subtracts the threshold) nor whether \
     they scale their input (SpikingJelly's LIFNode multiplies it by 1/tau, unless decay_input=False); compare both networks on some samples";

/// Names the file, once.
fn at(e: Error, path: &Path) -> Error {
    let name = path.display().to_string();
    if e.place.starts_with(&name) { e } else { e.at(name) }
}
