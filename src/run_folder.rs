//! The folder of one run: who may use it, and what lies where.
//!
//! | file                                    | content                                                |
//! |-----------------------------------------|--------------------------------------------------------|
//! | `config.toml`                           | the run's whole configuration                          |
//! | `metrics.jsonl`                         | one JSON object a line: epochs                         |
//! | `credit.jsonl`                          | the same: looks at credit (older runs: in metrics)     |
//! | `live.json`                             | where the session under way is, for who watches        |
//! | `result.json`                           | what came out; its presence says the run is complete   |
//! | `cost.json`                             | of a study's run: what the network costs, written last |
//! | `checkpoint-<step>.ckpt`                | the newest two, to go on from ([`crate::checkpoint`])  |
//! | `best.ckpt`                             | weights and statistics of the epoch that was selected  |
//! | `last.ckpt`                             | in its place, of the last epoch, where none is         |
//! | `events.out.tfevents.<time>.spiketrain` | one per session, for TensorBoard                       |
//! | `.lock`                                 | held while a process uses the folder                   |

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::checkpoint::{self, Header, Newest, TensorEntry};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::limits;
use crate::storage::{self, Disk, Storage, folder_of};

/// Checkpoints kept besides the best one: the newest, and the one before in case the newest gets damaged.
pub const KEPT_CHECKPOINTS: usize = 2;

/// The run's whole configuration.
pub const CONFIG: &str = "config.toml";
/// A line per epoch.
pub const METRICS: &str = "metrics.jsonl";
/// A line per look at credit; the first version had them among those of epochs.
pub const CREDITS: &str = "credit.jsonl";
/// What came out.
pub const RESULT: &str = "result.json";
/// What the network costs; its presence says that a study is done with the run ([`crate::study::run`]).
pub const COST: &str = "cost.json";
/// Where the session under way is ([`crate::train::live`]).
pub const LIVE: &str = "live.json";
/// Weights and statistics of the epoch that was selected (result.json: `selected_by`). Earlier versions called those of the last epoch so, too.
pub const BEST: &str = "best.ckpt";
/// Weights and statistics of the last epoch, in a run that selects none.
pub const LAST: &str = "last.ckpt";
const EVENTS: &str = "events.out.tfevents.";

/// A run folder that this process, and no other, may write to until the value is dropped.
pub struct RunFolder {
    path: PathBuf,
    storage: Box<dyn Storage>,
    // Never read: holding the file open holds the lock.
    _lock: File,
}

impl RunFolder {
    /// Makes the folder for a new run.
    ///
    /// Errors: Usage if something is there already; Storage if the folder cannot be made or another run uses it.
    pub fn create(storage: Box<dyn Storage>, path: &Path) -> Result<Self> {
        make_folder(storage.as_ref(), path)?;
        // Asked twice: before, so that no lock file is left in a folder that is none of ours; after, since another run may have come and gone.
        refuse_occupied(storage.as_ref(), path)?;
        let folder = Self::locked(storage, path)?;
        refuse_occupied(folder.storage(), path)?;
        Ok(folder)
    }

    /// Opens the folder of an earlier run to resume it, and removes temporary files a killed process has left.
    /// A run that was stopped before its first checkpoint has its configuration only: it begins anew.
    ///
    /// Errors: Usage if there is no such folder or no run in it; Storage if another run uses it.
    pub fn open(storage: Box<dyn Storage>, path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::usage("there is no such run folder").at(path.display()).remedy("check the path given to --resume"));
        }
        if !path.join(CONFIG).is_file() {
            return Err(Error::usage(format!("there is no run in this folder (no {CONFIG})"))
                .at(path.display())
                .remedy("check the path given to --resume, or start afresh without it"));
        }
        Self::locked(storage, path)
    }

    fn locked(storage: Box<dyn Storage>, path: &Path) -> Result<Self> {
        let Some(lock) = storage::lock(path)? else {
            return Err(Error::storage("another spiketrain process is using this folder")
                .at(path.display())
                .remedy("wait for it or stop it, or choose another folder with --out"));
        };
        storage::sweep(storage.as_ref(), path)?;
        Ok(RunFolder { path: path.to_owned(), storage, _lock: lock })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The storage it lies on.
    pub fn storage(&self) -> &dyn Storage {
        self.storage.as_ref()
    }
    /// Path of `config.toml`.
    pub fn config(&self) -> PathBuf {
        self.path.join(CONFIG)
    }
    /// Path of `metrics.jsonl`.
    pub fn metrics(&self) -> PathBuf {
        self.path.join(METRICS)
    }
    /// Path of `credit.jsonl`.
    pub fn credit(&self) -> PathBuf {
        self.path.join(CREDITS)
    }
    /// Path of `result.json`.
    pub fn result(&self) -> PathBuf {
        self.path.join(RESULT)
    }
    /// Path of `best.ckpt`, or of `last.ckpt` where no epoch is selected.
    pub fn weights(&self, selected: bool) -> PathBuf {
        self.path.join(if selected { BEST } else { LAST })
    }
    /// Path of the checkpoint after `step` optimiser steps.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.path.join(checkpoint::file_name(step))
    }
    /// A path for this session's event file that is still free; `unix_time` in seconds.
    pub fn events(&self, unix_time: u64) -> PathBuf {
        first_free((0u64..).map(|n| {
            let again = if n == 0 { String::new() } else { format!(".{n}") };
            // TensorBoard reads the files in the order of their names.
            self.path.join(format!("{EVENTS}{unix_time:010}.spiketrain{again}"))
        }))
    }

    /// Writes `config.toml`.
    pub fn write_config(&self, toml: &str) -> Result<()> {
        storage::write_text(self.storage(), &self.config(), toml).map(|_| ())
    }

    /// Reads `config.toml`.
    ///
    /// Errors: Format if it is no complete configuration; Storage if it cannot be read.
    pub fn read_config(&self) -> Result<Config> {
        let path = self.config();
        let text = storage::read_text(&path, limits::MAX_TEXT_BYTES)?.ok_or_else(|| storage::not_there(&path))?;
        Config::from_toml(&text).map_err(|e| e.at(path.display()))
    }

    /// Writes `result.json`, indented for people.
    pub fn write_result(&self, result: &impl Serialize) -> Result<()> {
        let mut json = serde_json::to_string_pretty(result).map_err(|e| Error::bug(format!("{RESULT}: {e}")))?;
        json.push('\n');
        storage::write_text(self.storage(), &self.result(), &json).map(|_| ())
    }

    /// Saves `checkpoint-<header.step>.ckpt` ([`checkpoint::save`]), then removes all but the newest
    /// [`KEPT_CHECKPOINTS`].
    pub fn save_checkpoint<'a>(&self, header: &Header, values: impl FnMut(&TensorEntry) -> Result<Cow<'a, [f32]>>) -> Result<PathBuf> {
        let path = self.checkpoint(header.step);
        checkpoint::save(self.storage(), &path, header, values)?;
        self.prune(header.step)?;
        Ok(path)
    }

    /// Removes all checkpoints but the newest [`KEPT_CHECKPOINTS`] up to that after `step` steps ([`checkpoint::prune`]).
    pub fn prune(&self, step: u64) -> Result<()> {
        checkpoint::prune(self.storage(), &self.path, step, KEPT_CHECKPOINTS)
    }

    /// Saves the weights of an epoch that was `selected`, or of the last one. What an earlier version called them by goes.
    pub fn save_weights<'a>(
        &self,
        selected: bool,
        header: &Header,
        values: impl FnMut(&TensorEntry) -> Result<Cow<'a, [f32]>>,
    ) -> Result<()> {
        checkpoint::save(self.storage(), &self.weights(selected), header, values)?;
        storage::remove_if_there(self.storage(), &self.weights(!selected))
    }

    /// The checkpoint to go on from ([`checkpoint::load_newest`]); `None` if the run was stopped before its first.
    ///
    /// Errors: Format if no checkpoint is usable, or if they are gone from a run that has finished epochs.
    pub fn load_newest(&self) -> Result<Option<Newest>> {
        if !checkpoint::steps(self.storage(), &self.path)?.is_empty() {
            return checkpoint::load_newest(self.storage(), &self.path).map(Some);
        }
        // The first epoch's line is written before its checkpoint, so one line may stand there without any.
        let bytes = self.read_lines(&self.metrics())?;
        let whole = bytes.split_inclusive(|&b| b == b'\n').filter(|line| line.ends_with(b"\n"));
        let epochs = whole.filter(|line| !matches!(metrics_line(line), Some(Line { kind: Some(_), .. }))).count();
        if epochs > 1 || self.result().exists() {
            return Err(Error::format("the checkpoints of this run are gone; its finished epochs are not")
                .at(self.path.display())
                .remedy("restore checkpoint-<step>.ckpt, or start afresh in another folder (--out)"));
        }
        Ok(None)
    }

    /// The bytes of a file of lines; none if it is not there.
    fn read_lines(&self, path: &Path) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.storage.open(path) {
            Ok((_, length)) if length > limits::MAX_METRICS_BYTES => {
                Err(Error::format(format!("{length} bytes; at most {} are read", limits::MAX_METRICS_BYTES)).at(path.display()))
            }
            Ok((file, length)) => file.take(length).read_to_end(&mut bytes).map_err(|e| Error::io(path, "reading", &e)).map(|_| bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(bytes),
            Err(e) => Err(Error::io(path, "opening", &e)),
        }
    }

    /// Appends one line to `metrics.jsonl` and syncs it. Give it an object with an integer `epoch`, counted from 1; a line that is not
    /// an epoch's says its `kind`, and the `step` that comes next.
    pub fn append_metrics(&self, line: &impl Serialize) -> Result<()> {
        self.append(self.metrics(), line)
    }

    /// Appends one line to `credit.jsonl`: a table of epochs stays one without it. As [`RunFolder::append_metrics`].
    pub fn append_credit(&self, line: &impl Serialize) -> Result<()> {
        self.append(self.credit(), line)
    }

    fn append(&self, path: PathBuf, line: &impl Serialize) -> Result<()> {
        let mut bytes = serde_json::to_vec(line).map_err(|e| Error::bug(format!("{}: {e}", path.display())))?;
        bytes.push(b'\n');
        let new = !path.exists();
        self.storage.append(&path, &bytes).map_err(|e| Error::io(&path, "appending", &e))?;
        // Else a power cut could leave the checkpoint that comes next without the lines before it.
        if new { self.storage.sync_folder(&self.path).map_err(|e| Error::io(&self.path, "syncing the folder", &e)) } else { Ok(()) }
    }

    /// On resume from a checkpoint with `epochs` complete epochs after `steps` steps: drops a cut or torn last line, the lines of later epochs
    /// and those of another kind that came before later steps from `metrics.jsonl` and `credit.jsonl` (rewritten atomically, the other lines
    /// byte for byte) and returns the lines kept of the first.
    ///
    /// Errors: Format if a line in between is no JSON object with an `epoch` or a `kind`.
    pub fn truncate_metrics(&self, epochs: u64, steps: u64) -> Result<Vec<Value>> {
        self.truncate(&self.credit(), epochs, steps)?;
        self.truncate(&self.metrics(), epochs, steps)
    }

    fn truncate(&self, path: &Path, epochs: u64, steps: u64) -> Result<Vec<Value>> {
        let bytes = self.read_lines(path)?;
        let (mut kept, mut lines, mut read, mut last_epoch) = (Vec::with_capacity(bytes.len()), Vec::new(), 0, 0);
        for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
            read += line.len();
            match metrics_line(line) {
                Some(line_read) if line_read.is_before(epochs, steps) => {
                    kept.extend(line.trim_ascii_end());
                    kept.push(b'\n');
                    last_epoch = if line_read.kind.is_none() { line_read.epoch.unwrap_or(0) } else { last_epoch };
                    lines.push(line_read.value);
                }
                Some(_) => {}
                None if !line.ends_with(b"\n") => {}
                // It was being written when the power went, and sectors before its end did not arrive: it came after the checkpoint.
                None if read == bytes.len() && (last_epoch == epochs || path == self.credit()) => {}
                None => {
                    return Err(Error::format("this line is not a JSON object with an epoch or a kind")
                        .at(format!("{}: line {}", path.display(), i + 1))
                        .remedy("remove the line, then resume again"));
                }
            }
        }
        if kept != bytes {
            storage::write_atomically(self.storage(), path, |draft| draft.put(&kept))?;
        }
        Ok(lines)
    }
}

/// The weights that a run folder keeps: of the last epoch, or of the selected one. There are both only where an earlier version began the run,
/// and then the last ones are newer.
pub fn weights_in(folder: &Path) -> Option<PathBuf> {
    [LAST, BEST].map(|name| folder.join(name)).into_iter().find(|path| path.exists())
}

/// The checkpoint at `path`: a file; or of a run folder the weights it keeps ([`weights_in`]), or the newest as long as there are none.
///
/// # Errors
/// Format: it is damaged. Storage: it cannot be read. Usage: the folder has none.
pub fn checkpoint_at(path: &Path) -> Result<Newest> {
    let kept = weights_in(path);
    if path.is_dir() && kept.is_none() {
        return checkpoint::load_newest(&Disk, path);
    }
    let file = kept.filter(|_| path.is_dir()).unwrap_or_else(|| path.to_path_buf());
    Ok(Newest { checkpoint: checkpoint::load(&Disk, &file)?, path: file, warnings: Vec::new() })
}

/// A whole line of metrics.
struct Line {
    /// `None`: an epoch's.
    kind: Option<String>,
    epoch: Option<u64>,
    step: Option<u64>,
    value: Value,
}

impl Line {
    /// Whether it was written before the checkpoint of so many epochs and steps. A line of another kind is written before its step; one
    /// that does not say when is kept.
    fn is_before(&self, epochs: u64, steps: u64) -> bool {
        match (&self.kind, self.step, self.epoch) {
            (Some(_), Some(step), _) => step <= steps,
            (_, _, Some(epoch)) => epoch <= epochs,
            _ => true,
        }
    }
}

/// A line of metrics, if it is whole, not too long, and says its epoch or its kind.
fn metrics_line(line: &[u8]) -> Option<Line> {
    if line.len() > limits::MAX_METRICS_LINE {
        return None;
    }
    let value: Value = serde_json::from_slice(line).ok()?;
    let number = |key| value.get(key).and_then(Value::as_u64);
    let kind = value.get("kind").and_then(Value::as_str).map(str::to_string);
    let (epoch, step) = (number("epoch"), number("step"));
    (kind.is_some() || epoch.is_some()).then_some(Line { kind, epoch, step, value })
}

/// Makes the folder and those above it that are missing, and syncs their names.
fn make_folder(storage: &dyn Storage, path: &Path) -> Result<()> {
    if path.exists() && !path.is_dir() {
        return Err(Error::usage("this is a file, not a folder").at(path.display()).remedy("choose another folder with --out"));
    }
    let missing: Vec<&Path> = path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
    std::fs::create_dir_all(path).map_err(|e| Error::io(path, "creating the folder", &e))?;
    missing.iter().try_for_each(|made| {
        let above = folder_of(made);
        storage.sync_folder(above).map_err(|e| Error::io(above, "syncing the folder", &e))
    })
}

/// A lock file, temporary files and a live.json do not count: a run that was killed leaves those, whatever else was taken away.
fn refuse_occupied(storage: &dyn Storage, path: &Path) -> Result<()> {
    let names = storage.list(path).map_err(|e| Error::io(path, "listing", &e))?;
    match names.iter().find(|n| *n != storage::LOCK && *n != LIVE && !storage::is_temporary(n)) {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!("this folder is not empty (it holds {name})"))
            .at(path.display())
            .remedy(format!("go on with the run in it: --resume {}; or choose another folder: --out", path.display()))),
    }
}

/// `runs/<dataset>-<net>-<rule>-<n>` with the first n, from 1, that is free. Characters that are awkward in file names
/// become `_`, and long parts (a notation, a path) are cut.
pub fn next_free(runs: &Path, dataset: &str, net: &str, rule: &str) -> PathBuf {
    const LONGEST_PART: usize = 40;
    let plain = |part: &str| -> String {
        let keep = |c: char| if c.is_alphanumeric() || "-_+.".contains(c) { c } else { '_' };
        part.trim_matches(['/', '.']).chars().map(keep).take(LONGEST_PART).collect()
    };
    let name = [dataset, net, rule].map(plain).join("-");
    first_free((1u64..).map(|n| runs.join(format!("{name}-{n}"))))
}

fn first_free(mut candidates: impl Iterator<Item = PathBuf>) -> PathBuf {
    candidates.find(|p| p.symlink_metadata().is_err()).expect("fewer than 2^64 files")
}

#[cfg(test)]
mod tests;
