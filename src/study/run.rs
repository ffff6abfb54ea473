//! One run of a study: trained, looked at, and its optimiser state removed; or found finished.

use std::path::Path;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::cost::{self, Cost};
use crate::checkpoint;
use crate::config::{Config, Options};
use crate::data::{Dataset, Split};
use crate::engine::Engine;
use crate::engines::{Work, with_engine};
use crate::error::{Error, Result};
use crate::limits;
use crate::run_folder::{CONFIG, COST, METRICS, RESULT, RunFolder};
use crate::storage::{self, Disk};
use crate::train::feed::Feed;
use crate::train::{self, EpochLine, Observer, Outcome, RunResult, Session, Start, Stop};
use crate::trained::Trained;

/// What a study needs of the world around it.
pub struct Surroundings<'a> {
    /// Loads the data set of a configuration; the last one is kept as long as it serves.
    pub load: &'a mut dyn FnMut(&Config) -> Result<Box<dyn Dataset>>,
    /// Sees the progress.
    pub watch: &'a mut dyn Observer,
    /// Asks to stop.
    pub stop: &'a Stop,
    /// Bytes to train in.
    pub memory: Option<usize>,
    /// The data set in use and what it was loaded by.
    pub loaded: Option<(Options, Box<dyn Dataset>)>,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// result.json
    pub result: RunResult,
    /// cost.json
    pub cost: Cost,
}

/// A finished run of this folder, if it is one.
///
/// # Errors
/// Format: a file of it cannot be understood. Storage: it cannot be read.
pub fn finished(path: &Path) -> Result<Option<Finished>> {
    let cost: Option<Cost> = read_json(&path.join(COST))?;
    let result: Option<RunResult> = read_json(&path.join(RESULT))?;
    Ok(cost.zip(result).map(|(cost, result)| Finished { result, cost }))
}

/// Epochs that a run in this folder has behind it, 0 if there is none: for an estimate, so that what cannot be read counts as nothing.
pub fn epochs_done(path: &Path) -> usize {
    let text = storage::read_text(&path.join(METRICS), limits::MAX_TEXT_BYTES).ok().flatten().unwrap_or_default();
    text.lines().filter(|line| serde_json::from_str::<EpochLine>(line).is_ok()).count()
}

/// Reads a JSON file; `None` if it is not there.
///
/// # Errors
/// Format: it cannot be understood. Storage: it cannot be read.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = storage::read_whole(path, limits::MAX_JSON_BYTES)? else { return Ok(None) };
    let value = serde_json::from_slice(&bytes);
    value.map(Some).map_err(|e| {
        Error::format(format!("not as this version writes it: {e}")).at(path.display()).remedy("remove the file's folder to run it again")
    })
}

/// Writes a value as JSON, indented for people.
///
/// # Errors
/// Storage: it cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_string_pretty(value).map_err(|e| Error::bug(format!("{}: {e}", path.display())))?;
    json.push('\n');
    storage::write_text(&Disk, path, &json).map(|_| ())
}

/// Trains `config` in the folder `path`, from where it was stopped; `None` if it was asked to stop.
///
/// # Errors
/// Usage: the folder holds a run of another configuration, or the configuration does not fit the data. Diverged, Storage, Memory.
pub fn run(path: &Path, config: Config, around: &mut Surroundings) -> Result<Option<Finished>> {
    if let Some(finished) = finished(path)? {
        return Ok(Some(finished));
    }
    let (key, data) = around.take(&config)?;
    let (device, isa) = (config.device.clone(), config.isa);
    let done = with_engine(&device, isa, OneRun { path, config, data: &*data, around }).flatten();
    around.loaded = Some((key, data));
    done
}

impl Surroundings<'_> {
    /// The data set of a configuration: the one at hand, if it is the same, else loaded.
    fn take(&mut self, config: &Config) -> Result<(Options, Box<dyn Dataset>)> {
        let key = config.of_data();
        // Two sets need not fit into memory: the one that does not serve goes before the next comes.
        match self.loaded.take().filter(|(k, _)| *k == key) {
            Some(loaded) => Ok(loaded),
            None => Ok((key, (self.load)(config)?)),
        }
    }
}

struct OneRun<'a, 'h> {
    path: &'a Path,
    config: Config,
    data: &'a dyn Dataset,
    around: &'a mut Surroundings<'h>,
}

impl Work for OneRun<'_, '_> {
    type Out = Result<Option<Finished>>;

    fn on<E: Engine + 'static>(self, engine: E) -> Self::Out {
        let OneRun { path, config, data, around } = self;
        let session = Session::new(config, data, around.memory)?;
        let folder = match start(path, &session.config)? {
            Start::Resumed(folder) if read_json::<RunResult>(&folder.result())?.is_some() => folder,
            start => {
                let (mut trainer, folder) = session.start(&engine, start, around.watch)?;
                if let Outcome::Stopped(_) = train::run_in(&folder, &mut trainer, around.stop, around.watch)? {
                    return Ok(None);
                }
                folder
            }
        };
        // With the buffers of its steps.
        drop(engine);
        let Some(cost) = measure(&folder, data, around.stop)? else { return Ok(None) };
        write_json(&path.join(COST), &cost)?;
        // What is finished is never gone on with.
        checkpoint::prune(folder.storage(), path, u64::MAX, 0)?;
        finished(path)
    }
}

/// A new run in the folder `path`, or the one that is there, if it has these options.
fn start(path: &Path, config: &Config) -> Result<Start> {
    if !path.join(CONFIG).is_file() {
        return Ok(Start::New(Some(path.to_path_buf())));
    }
    let folder = RunFolder::open(Box::new(Disk), path)?;
    let other = config.differences(&folder.read_config()?);
    if other.is_empty() {
        return Ok(Start::Resumed(folder));
    }
    Err(Error::usage(format!("this folder holds a run with other options: {}", other.join(", ")))
        .at(path.display())
        .remedy("give the same options again, or choose another folder with --out"))
}

/// The network that the run keeps, on the test set.
fn measure(folder: &RunFolder, data: &dyn Dataset, stop: &Stop) -> Result<Option<Cost>> {
    let (net, _) = Trained::open(folder.path(), None, &mut |_| {})?;
    let all: Vec<u32> = (0..data.labels(Split::Test).len() as u32).collect();
    cost::measure(&net, &Feed::new(net.config(), data)?, (Split::Test, &all), stop)
}
