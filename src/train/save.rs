//! A trainer into a checkpoint and back.

use std::borrow::Cow;
use std::path::Path;

use super::Observer;
use super::trainer::{Progress, Trainer};
use crate::checkpoint::{self, Checkpoint, Header, Kind, TensorEntry};
use crate::config::Config;
use crate::engine::{Engine, Layout, NUMERICS, Running};
use crate::error::{Error, Result};
use crate::network::{Method, Network, Tensors, tensor_names};
use crate::notation::Notation;
use crate::plan::Plan;
use crate::run_folder::RunFolder;
use crate::storage::{Disk, Storage};

/// Prefixes of the tensors' names: parameters, first and second moments.
const ROLES: [&str; 3] = ["param", "adamw.m", "adamw.v"];

/// Shape of a parameter on the host.
pub fn shape(layout: Layout) -> Vec<usize> {
    match layout {
        Layout::Conv { out, inp, k } => vec![out, inp, k, k],
        Layout::Linear { out, inp } => vec![out, inp.len()],
        Layout::PerChannel(n) => vec![n],
    }
}

/// Where a stored tensor lives in a trainer.
enum Place {
    Device { role: usize, block: usize, tensor: usize },
    Mean(usize),
    Var(usize),
}

/// Every tensor of a checkpoint in order: per role and block the parameters, then the running statistics.
fn places(plan: &Plan, kind: Kind) -> Vec<(TensorEntry, Place)> {
    let mut all = Vec::new();
    let roles = if kind == Kind::Training { 3 } else { 1 };
    for (role, prefix) in ROLES.iter().enumerate().take(roles) {
        for (block, b) in plan.blocks.iter().enumerate() {
            for (tensor, (name, layout)) in tensor_names(b).into_iter().enumerate() {
                let entry = TensorEntry { name: format!("{prefix}.{name}"), shape: shape(layout) };
                all.push((entry, Place::Device { role, block, tensor }));
            }
        }
    }
    for (block, b) in plan.blocks.iter().enumerate().filter(|(_, b)| b.has_norm()) {
        let entry = |what: &str| TensorEntry { name: format!("bn.{}.{what}", b.index), shape: vec![b.output.c] };
        all.push((entry("running_mean"), Place::Mean(block)));
        all.push((entry("running_var"), Place::Var(block)));
    }
    all
}

/// Name and shape of every tensor of a checkpoint, in order.
pub fn entries(plan: &Plan, kind: Kind) -> Vec<TensorEntry> {
    places(plan, kind).into_iter().map(|(entry, _)| entry).collect()
}

/// The values of each of [`entries`], to be asked for in order; weights alone need no moments.
pub fn values<'s, E: Engine>(
    engine: &'s E,
    net: &'s Network<E>,
    moments: &'s [Vec<Tensors<E::Param>>],
    kind: Kind,
) -> impl FnMut(&TensorEntry) -> Result<Cow<'s, [f32]>> {
    let mut places = places(&net.plan, kind).into_iter();
    move |_| {
        let (_, place) = places.next().ok_or_else(|| Error::bug("more tensors than places"))?;
        let running = |block: usize| net.running[block].as_ref().ok_or_else(|| Error::bug("a norm without statistics"));
        Ok(match place {
            Place::Device { role, block, tensor } => {
                let source = if role == 0 { &net.params } else { &moments[role - 1] };
                let p = source[block].each().nth(tensor).ok_or_else(|| Error::bug("a block without this tensor"))?;
                Cow::Owned(engine.host(p)?)
            }
            Place::Mean(block) => Cow::Owned(engine.host(&running(block)?.mean)?),
            Place::Var(block) => Cow::Owned(engine.host(&running(block)?.var)?),
        })
    }
}

impl<E: Engine> Trainer<'_, E> {
    /// What a checkpoint of this moment says besides the tensors' values.
    ///
    /// # Errors
    /// Bug: never, for a checked configuration.
    pub fn header(&self, kind: Kind) -> Result<Header> {
        Ok(Header {
            kind,
            config_toml: self.config.to_toml()?,
            network: self.config.net.clone(),
            input_shape: self.net.plan.shape.to_string(),
            classes: self.data.classes().to_vec(),
            dataset: self.data.name().to_string(),
            dataset_fingerprint: self.data.fingerprint().to_string(),
            step: self.progress.step,
            numerics: NUMERICS,
            progress: serde_json::to_value(&self.progress).map_err(|e| Error::bug(format!("progress: {e}")))?,
            tensors: entries(&self.net.plan, kind),
        })
    }

    /// The values of each tensor of [`Trainer::header`], to be asked for in order.
    pub fn values<'s>(&'s self, kind: Kind) -> impl FnMut(&TensorEntry) -> Result<Cow<'s, [f32]>> {
        values(self.engine, &self.net, &self.moments, kind)
    }

    /// What a new run begins with, asked for before it has a folder: the weights and statistics of the checkpoint that `init` names, or
    /// else the fresh ones that are there.
    ///
    /// # Errors
    /// As of [`checkpoint::load`]; Usage: they are of another network.
    pub fn begin(&mut self) -> Result<()> {
        let Some(path) = &self.config.init else { return Ok(()) };
        let mut c = checkpoint::load(&Disk, path)?;
        let (shape, plan) = (self.net.plan.shape.to_string(), self.net.plan.clone());
        if c.header.network != self.config.net || c.header.input_shape != shape {
            return Err(Error::usage(format!(
                "the checkpoint is of {} on {}, the run of {} on {shape}",
                c.header.network, c.header.input_shape, self.config.net
            ))
            .at(path.display())
            .remedy("train the same network (--net), on samples of the same shape"));
        }
        let (mut unused_m, mut unused_v) = (Vec::new(), Vec::new());
        fill(self.engine, &mut c, &plan, Kind::WeightsOnly, [&mut self.net.params, &mut unused_m, &mut unused_v], &mut self.net.running)
            .map_err(|e| e.at(path.display()))
    }

    /// Goes on from the newest checkpoint of a run folder, or begins anew where there is none yet.
    ///
    /// # Errors
    /// As [`Trainer::restore`] and [`RunFolder::load_newest`].
    pub fn resume(&mut self, folder: &RunFolder, watch: &mut dyn Observer) -> Result<()> {
        let Some(newest) = folder.load_newest()? else {
            watch.note("this run was stopped before its first checkpoint: it begins anew");
            self.begin()?;
            return folder.truncate_metrics(0, 0).map(|_| ());
        };
        newest.warnings.iter().for_each(|w| watch.note(&format!("warning: {w}")));
        let (place, numerics) = (newest.path.display().to_string(), newest.checkpoint.header.numerics);
        self.restore(newest.checkpoint).map_err(|e| e.at(&place))?;
        folder.truncate_metrics(self.progress.epoch as u64, self.progress.step)?;
        watch.note(&format!("resumed from {place}: step {}, epoch {}", self.progress.step, self.progress.epoch + 1));
        if numerics != NUMERICS {
            watch.note(&format!(
                "note: this run was begun with numerics {numerics}, this version computes with {NUMERICS}: \
                 it goes on, but its last bits are not those it would have had"
            ));
        }
        Ok(())
    }

    /// Puts a checkpoint's tensors and progress into this trainer.
    ///
    /// # Errors
    /// Usage: the checkpoint holds no optimiser state, or is of another data set or configuration. Format: its tensors do not fit.
    pub fn restore(&mut self, mut c: Checkpoint) -> Result<()> {
        if c.header.kind != Kind::Training {
            return Err(Error::usage("this checkpoint holds weights only, not the optimiser's state").remedy("resume from the run folder"));
        }
        if c.header.dataset_fingerprint != self.data.fingerprint() {
            return Err(Error::usage(format!(
                "the data set {} is not the one this run was trained on (other files or limits)",
                self.data.name()
            ))
            .remedy("point --data-dir of the run's config.toml at the same files (spiketrain data check)"));
        }
        let other = self.config.differences(&Config::from_toml(&c.header.config_toml)?)?;
        if !other.is_empty() {
            return Err(Error::usage(format!("the checkpoint was written by a run with other options: {}", other.join(", ")))
                .remedy("a resumed run keeps its options: put config.toml back as it was, or start a new run with --config"));
        }
        let progress: Progress = serde_json::from_value(c.header.progress.clone())
            .map_err(|e| Error::format(format!("the checkpoint's progress cannot be understood: {e}")))?;
        if progress.tally.spikes.len() != self.net.plan.blocks.len() || progress.step != c.header.step {
            return Err(Error::format("the checkpoint's progress does not belong to its network"));
        }
        let [m, v] = &mut self.moments;
        fill(self.engine, &mut c, &self.net.plan, Kind::Training, [&mut self.net.params, m, v], &mut self.net.running)?;
        self.progress = progress;
        Ok(())
    }
}

/// Saves a network that no run of ours has trained, as a checkpoint of weights.
///
/// # Errors
/// As [`checkpoint::save`].
pub fn foreign<E: Engine>(
    storage: &dyn Storage,
    path: &Path,
    engine: &E,
    net: &Network<E>,
    config: &Config,
    classes: &[String],
) -> Result<()> {
    let header = Header {
        kind: Kind::WeightsOnly,
        config_toml: config.to_toml()?,
        network: net.plan.notation.to_string(),
        input_shape: net.plan.shape.to_string(),
        classes: classes.to_vec(),
        dataset: config.dataset.to_string(),
        // Of none that is known.
        dataset_fingerprint: String::new(),
        step: 0,
        numerics: NUMERICS,
        // As after a whole run, so that no warm-up is under way.
        progress: serde_json::to_value(Progress { epoch: config.epochs, ..Progress::default() })
            .map_err(|e| Error::bug(format!("progress: {e}")))?,
        tensors: entries(&net.plan, Kind::WeightsOnly),
    };
    checkpoint::save(storage, path, &header, values(engine, net, &[], Kind::WeightsOnly)).map(|_| ())
}

fn fill<E: Engine>(
    engine: &E,
    c: &mut Checkpoint,
    plan: &Plan,
    kind: Kind,
    targets: [&mut Vec<Tensors<E::Param>>; 3],
    running: &mut [Option<Running<E::Param>>],
) -> Result<()> {
    let expected = places(plan, kind).len();
    for (entry, place) in places(plan, kind) {
        let values = c.take(&entry.name, &entry.shape)?;
        match place {
            Place::Device { role, block, tensor } => {
                let layout = tensor_names(&plan.blocks[block])[tensor].1;
                if let Some(p) = targets[role][block].each_mut().nth(tensor) {
                    *p = engine.param(layout, &values);
                }
            }
            Place::Mean(block) => running[block].as_mut().map_or((), |r| r.mean = engine.param(Layout::PerChannel(values.len()), &values)),
            Place::Var(block) => running[block].as_mut().map_or((), |r| r.var = engine.param(Layout::PerChannel(values.len()), &values)),
        }
    }
    if c.header.kind == kind && !c.tensors.is_empty() {
        return Err(Error::format(format!(
            "the checkpoint holds {} tensors that its network of {expected} does not have",
            c.tensors.len()
        )));
    }
    Ok(())
}

/// The pass the weights of a checkpoint were last evaluated with: one of the `ann` warm-up is still an ordinary network.
pub fn method(c: &Checkpoint, config: &Config) -> Method {
    let p: Progress = serde_json::from_value(c.header.progress.clone()).unwrap_or_default();
    config.evaluation(if p.tally.samples == 0 { p.epoch.saturating_sub(1) } else { p.epoch })
}

/// Configuration and network of a checkpoint, for evaluation.
///
/// # Errors
/// Format: configuration, notation and tensors do not fit each other.
pub fn network<E: Engine>(engine: &E, c: &mut Checkpoint) -> Result<(Config, Network<E>)> {
    let config = Config::from_toml(&c.header.config_toml)?;
    let notation: Notation = c.header.network.parse()?;
    if notation.classes() != c.header.classes.len() {
        return Err(Error::format(format!("the network votes for {} classes, {} are named", notation.classes(), c.header.classes.len())));
    }
    let plan = config.lay_out(notation, c.header.input_shape.parse()?)?;
    let mut net = Network::init(engine, plan.clone(), config.seed);
    let (mut unused_m, mut unused_v) = (Vec::new(), Vec::new());
    fill(engine, c, &plan, Kind::WeightsOnly, [&mut net.params, &mut unused_m, &mut unused_v], &mut net.running)?;
    Ok((config, net))
}
