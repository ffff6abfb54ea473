//! Checkpoints: one file, checksummed, atomic.
//!
//! # The file, byte by byte
//!
//! All numbers little-endian; nothing between the parts, nothing after the last.
//!
//! | bytes | content                                                                    |
//! |------:|----------------------------------------------------------------------------|
//! |     8 | `SPIKETRN` (ASCII)                                                         |
//! |     4 | u32, format version: 1                                                     |
//! |     8 | u64, length n of the header                                                |
//! |     n | the [`Header`] as JSON (UTF-8)                                             |
//! |    32 | SHA-256 of all bytes of the file before this place                         |
//! |       | then, for each tensor in the header's order:                               |
//! |    4m | its m = product(shape) values, f32, row-major; every one finite            |
//! |    32 | SHA-256 of all bytes of the file before this place                         |
//!
//! Each digest covers everything before it, so one pass over the file computes them all, the first that differs says
//! which part is damaged, and parts of two checkpoints cannot be mixed. They guard against accidents; they are no
//! signature.
//!
//! # Saving and loading
//!
//! [`save`] goes through [`crate::storage`]: temporary file, sync, read back, rename, sync of the folder. It holds one
//! tensor at a time. [`load`] checks all of the above before it hands anything out. [`load_newest`] falls back to the
//! checkpoint before when the newest is damaged, and says so.

mod format;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use format::{load, save};

use crate::error::{self, Error, Result};
use crate::storage::{self, Storage};

/// What a checkpoint is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointKind {
    /// Everything needed to go on training: parameters, statistics, the optimiser's moments.
    Training,
    /// Parameters and statistics only: evaluate, export, fine-tune.
    WeightsOnly,
}

/// Name and shape of one stored tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorEntry {
    /// Unique within the checkpoint.
    pub name: String,
    /// Sides, outermost first; no sides = one value.
    pub shape: Vec<usize>,
}

impl TensorEntry {
    /// Number of values; `None` if that does not fit a usize.
    pub fn values(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |n, &side| n.checked_mul(side))
    }
}

/// Everything in a checkpoint but the tensors' values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What the checkpoint is good for.
    pub kind: CheckpointKind,
    /// The run's whole configuration.
    pub config_toml: String,
    /// The network in notation, e.g. `128C3-MP2-10Voting`.
    pub network: String,
    /// Channels x height x width of the input.
    pub input_shape: String,
    /// Names of the classes; the position is the label.
    pub classes: Vec<String>,
    /// Name of the data set.
    pub dataset: String,
    /// Fingerprint of the data set, compared on resume.
    pub dataset_fingerprint: String,
    /// Optimiser steps done.
    pub step: u64,
    /// Version of the numerics that computed it; files of version 1 do not say so.
    #[serde(default = "first_numerics")]
    pub numerics: u32,
    /// The trainer's own state: best so far, tallies of the epoch under way. Finite f64 survive to the bit.
    pub progress: serde_json::Value,
    /// The stored tensors, in the order of their values in the file.
    pub tensors: Vec<TensorEntry>,
}

fn first_numerics() -> u32 {
    1
}

/// A tensor read from a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Name and shape.
    pub entry: TensorEntry,
    /// Its values, row-major, all finite.
    pub values: Vec<f32>,
}

/// A checkpoint that was verified to its last byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What is stored and where the run stood.
    pub header: Header,
    /// The tensors in the header's order.
    pub tensors: Vec<Tensor>,
}

impl Checkpoint {
    /// Moves the values of tensor `name` out; a Format error if it is absent or its shape is not `shape`.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let Some(i) = self.tensors.iter().position(|t| t.entry.name == name) else {
            return Err(Error::format(format!("the checkpoint of network {} has no tensor '{name}'", self.header.network)));
        };
        if self.tensors[i].entry.shape != shape {
            let found = &self.tensors[i].entry.shape;
            return Err(Error::format(format!("tensor '{name}' of the checkpoint has shape {found:?}, the network wants {shape:?}")));
        }
        Ok(self.tensors.remove(i).values)
    }
}

/// What [`load_newest`] found.
#[derive(Debug)]
pub struct Newest {
    /// The newest checkpoint that verifies.
    pub checkpoint: Checkpoint,
    /// Where it lies.
    pub path: PathBuf,
    /// One line for each newer file that could not be used; show them to the user.
    pub warnings: Vec<String>,
}

/// File name of the checkpoint after `step` optimiser steps.
pub fn file_name(step: u64) -> String {
    format!("checkpoint-{step}.ckpt")
}

/// The step in a name made by [`file_name`]; `None` for any other name.
pub fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("checkpoint-")?.strip_suffix(".ckpt")?.parse().ok()?;
    // parse() also takes "+7" and "007", which we never write.
    (file_name(step) == name).then_some(step)
}

/// Steps of the checkpoints in `folder`, newest first.
pub fn steps(storage: &dyn Storage, folder: &Path) -> Result<Vec<u64>> {
    let names = storage.list(folder).map_err(|e| Error::io(folder, "listing", &e))?;
    let mut steps: Vec<u64> = names.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable_by(|a, b| b.cmp(a));
    Ok(steps)
}

/// Loads the newest `checkpoint-<step>.ckpt` of `folder` that verifies. Newer ones that do not are named in the
/// warnings; when none does, the error tells the reason for each.
///
/// # Errors
/// Storage: none verifies, and one or more could not be read; Format: all were read and are damaged; Usage: there is none.
pub fn load_newest(storage: &dyn Storage, folder: &Path) -> Result<Newest> {
    let (mut warnings, mut unread) = (Vec::new(), false);
    for step in steps(storage, folder)? {
        let path = folder.join(file_name(step));
        match load(storage, &path) {
            Ok(checkpoint) => return Ok(Newest { checkpoint, path, warnings }),
            Err(e) => {
                unread |= e.kind == error::Kind::Storage;
                warnings.push(format!("cannot use {e}"));
            }
        }
    }
    if warnings.is_empty() {
        return Err(Error::usage("there is no checkpoint in this folder")
            .at(folder.display())
            .remedy("check the path, or start afresh without --resume"));
    }
    let all = warnings.join("\n  ");
    if unread {
        return Err(Error::storage(format!("no checkpoint in this folder can be read:\n  {all}"))
            .at(folder.display())
            .remedy("check the disk and the permissions, then run the same command again"));
    }
    Err(Error::format(format!("no checkpoint in this folder is usable:\n  {all}"))
        .at(folder.display())
        .remedy("restore one from a backup, or start afresh in another folder (--out)"))
}

/// Removes all checkpoints of `folder` but the `keep` newest up to `newest`, the one just saved. Later ones go too: a
/// run that stands at `newest` has found them unusable when it resumed, and they must not push out good ones.
pub fn prune(storage: &dyn Storage, folder: &Path, newest: u64, keep: usize) -> Result<()> {
    let (later, mut earlier): (Vec<u64>, Vec<u64>) = steps(storage, folder)?.into_iter().partition(|&step| step > newest);
    let old = earlier.split_off(keep.min(earlier.len()));
    later.iter().chain(&old).try_for_each(|&step| storage::remove_if_there(storage, &folder.join(file_name(step))))
}

#[cfg(test)]
mod tests;
