//! Networks that leave, and networks that come: NIR, safetensors, npz, C. What left is read back and compared.
//!
//! - [`model`]: a network on the host, and BatchNorm folded into its weights.
//! - [`graph`] → [`nir`]: as a NIR graph, and that as HDF5; [`unchain`]: a NIR graph as a network.
//! - [`tensors`], [`npz`]: parameters by name.
//! - [`integer`] → [`c`]: with int8 weights, and that as C.
//! - [`agree`]: whether the file computes what the network does, and a golden trace for whoever receives it.

pub mod agree;
pub mod c;
pub mod graph;
pub mod inputs;
pub mod integer;
pub mod model;
pub mod nir;
pub mod npz;
pub mod tensors;
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

/// Files of torch.save are programs for Python's unpickler.
const PICKLED: &str = "make a safetensors file of it, in Python:\n    from safetensors.torch import save_file; import torch\n    \
                       save_file({k: v.contiguous() for k, v in torch.load(\"net.pt\").items()}, \"net.safetensors\")";

impl Format {
    /// By the ending of a file.
    ///
    /// # Errors
    /// Usage: none that we read.
    pub fn of(path: &Path) -> Result<Format> {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        Self::ALL.into_iter().find(|f| f.name() == ending && *f != Format::C).ok_or_else(|| {
            let unknown = Error::usage(format!("no format is known by the ending '{ending}'")).at(path.display());
            unknown.remedy(match ending {
                "pt" | "pth" => PICKLED,
                _ => "what is read are files that end in .nir, .safetensors or .npz",
            })
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
    /// Seconds of a time step of a NIR graph; it wins over what the file says.
    pub dt: Option<f64>,
}

/// A network that was read.
#[derive(Clone, Debug)]
pub struct Import {
    /// The network.
    pub model: Model,
    /// Names of its classes, if the file says them.
    pub classes: Option<Vec<String>>,
    /// What the user should know of how it was read.
    pub notes: Vec<String>,
}

/// Decays outside are not made by training: a time step that nobody said is wrong then.
const PLAUSIBLE: std::ops::Range<f64> = 0.1..0.99;

fn graph(path: &Path, hints: &Hints) -> Result<Import> {
    let found = nir::read(path)?;
    let (dt, whose) = match (hints.dt, found.dt) {
        (Some(dt), _) => (dt, "as --dt says"),
        (None, Some(dt)) => (dt, "as the file says"),
        (None, None) => (graph::DT, "assumed: the file does not say it, and it is what SpikingJelly and snnTorch take"),
    };
    let model = unchain::model(found.chain, dt, hints.shape)?;
    let decay = model.lif.decay;
    if hints.dt.is_none() && found.dt.is_none() && !PLAUSIBLE.contains(&decay) {
        return Err(Error::format(format!("a time step of {dt} s gives a decay of {decay}, which no network is trained with"))
            .remedy("say the seconds of a time step of the program that wrote it: --dt (Norse: 1e-3; others 1e-4 or 1)"));
    }
    let mut notes = vec![format!("a time step of {dt} s, {whose}: decay {decay}")];
    // What we wrote ourselves says its network, and resets to 0.
    notes.extend((!found.about.contains_key(NETWORK)).then(|| RESET.to_string()));
    Ok(Import { model, classes: inputs::classes(&found.about), notes })
}

/// What no file says.
const RESET: &str = "neurons are taken to reset to 0 after a spike: files do not say whether the network was trained to subtract the \
                     threshold instead (snnTorch's default), which gives other answers; compare a few with the program it comes from";

/// Reads a network of any format that [`write()`] writes, told by the file's ending.
///
/// # Errors
/// Storage: unreadable. Usage: the file does not say which network it is of, and nobody else does. Format: it does not fit.
pub fn read(path: &Path, hints: &Hints) -> Result<Import> {
    let (found, about) = match Format::of(path)? {
        Format::Nir => return graph(path, hints).map_err(|e| at(e, path)),
        Format::Safetensors => tensors::read_safetensors(path)?,
        Format::Npz => tensors::read_npz(path)?,
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
    let number = |hint: Option<f64>, key: &str, default: f64| match (hint, said(key)) {
        (Some(v), _) => Ok(v),
        (None, Some(text)) => text.parse().map_err(|_| Error::format(format!("{key}: '{text}' is no number")).at(path.display())),
        (None, None) => Ok(default),
    };
    let own = Lif::default();
    let lif = Lif { decay: number(hints.decay, "decay", own.decay)?, threshold: number(hints.threshold, "threshold", own.threshold)? };
    let relu = hints.relu.unwrap_or(said("relu").is_none_or(|r| r != "off"));
    let plan = crate::plan::Plan::new(net.parse()?, shape)?;
    let plan = if relu { plan } else { plan.without_relu() };
    let (model, mut notes) = tensors::model(plan, lif, found).map_err(|e| at(e, path))?;
    notes.extend(said(NETWORK).is_none().then(|| RESET.to_string()));
    Ok(Import { model, classes: inputs::classes(&about), notes })
}

/// Names the file, once.
fn at(e: Error, path: &Path) -> Error {
    let name = path.display().to_string();
    if e.place.starts_with(&name) { e } else { e.at(name) }
}
