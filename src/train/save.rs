//! A trainer into a checkpoint and back.

use std::borrow::Cow;

use super::Observer;
use super::trainer::{Progress, Trainer};
use crate::checkpoint::{self, Checkpoint, Header, Kind, TensorEntry};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::network::Network;
use crate::plan::Plan;
use crate::run_folder::RunFolder;
use crate::storage::Disk;
use crate::tensors::{self, Role, Tensor, Tensors};

/// Every tensor of a checkpoint in order, and what is stored of it: parameters, their moments, then the statistics.
pub fn stored(plan: &Plan, kind: Kind) -> impl Iterator<Item = (Role, Tensor)> + use<> {
    let (statistics, parameters): (Vec<Tensor>, Vec<Tensor>) = tensors::of(plan).into_iter().partition(|t| t.place.which.is_statistic());
    let roles = [Role::Value, Role::FirstMoment, Role::SecondMoment];
    let roles = roles.into_iter().take(if kind == Kind::Training { 3 } else { 1 });
    let of_parameters = roles.flat_map(move |role| parameters.clone().into_iter().map(move |t| (role, t)));
    of_parameters.chain(statistics.into_iter().map(|t| (Role::Value, t)))
}

/// Name and shape of every tensor of a checkpoint, in order.
pub fn entries(plan: &Plan, kind: Kind) -> Vec<TensorEntry> {
    stored(plan, kind).map(|(role, t)| TensorEntry { name: t.in_checkpoint(role), shape: t.shape() }).collect()
}

/// The values of each of [`entries`], to be asked for in order; weights alone need no moments.
pub fn values<'s, E: Engine>(
    engine: &'s E,
    net: &'s Network<E>,
    moments: &'s [Vec<Tensors<E::Param>>],
    kind: Kind,
) -> impl FnMut(&TensorEntry) -> Result<Cow<'s, [f32]>> {
    let mut stored = stored(&net.plan, kind);
    move |_| {
        let (role, Tensor { place, .. }) = stored.next().ok_or_else(|| Error::bug("more tensors than a network has"))?;
        let moment = |which: usize| moments[which][place.block].get(place.which);
        let p = match role {
            Role::Value => net.get(place),
            Role::FirstMoment => moment(0),
            Role::SecondMoment => moment(1),
        };
        Ok(Cow::Owned(engine.host(p.ok_or_else(|| Error::bug("a network without this tensor"))?)?))
    }
}

/// Weights and statistics of a checkpoint as a network laid out as `plan`.
///
/// # Errors
/// Format: the tensors do not fit the plan.
pub fn network<E: Engine>(engine: &E, plan: &Plan, c: &mut Checkpoint) -> Result<Network<E>> {
    let net = Network::from_tensors(engine, plan, |t| c.take(&t.in_checkpoint(Role::Value), &t.shape()))?;
    nothing_left(c, plan, Kind::WeightsOnly)?;
    Ok(net)
}

/// AdamW's moments of a checkpoint, whose network was taken out before; then nothing is left.
///
/// # Errors
/// Format: the tensors do not fit the plan.
pub fn moments<E: Engine>(engine: &E, plan: &Plan, c: &mut Checkpoint) -> Result<[Vec<Tensors<E::Param>>; 2]> {
    let mut of = |role| tensors::parameters(plan, |t| Ok(engine.param(t.layout, &c.take(&t.in_checkpoint(role), &t.shape())?)));
    let moments = [of(Role::FirstMoment)?, of(Role::SecondMoment)?];
    nothing_left(c, plan, Kind::Training)?;
    Ok(moments)
}

/// A checkpoint of this kind has no further tensors.
fn nothing_left(c: &Checkpoint, plan: &Plan, kind: Kind) -> Result<()> {
    if c.header.kind != kind || c.tensors.is_empty() {
        return Ok(());
    }
    let (left, expected) = (c.tensors.len(), stored(plan, kind).count());
    Err(Error::format(format!("the checkpoint holds {left} tensors that its network of {expected} does not have")))
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
        let net = network(self.engine, &plan, &mut c).map_err(|e| e.at(path.display()))?;
        (self.net.params, self.net.running) = (net.params, net.running);
        Ok(())
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
        let place = newest.path.display().to_string();
        self.restore(newest.checkpoint).map_err(|e| e.at(&place))?;
        folder.truncate_metrics(self.progress.epoch as u64, self.progress.step)?;
        watch.note(&format!("resumed from {place}: step {}, epoch {}", self.progress.step, self.progress.epoch + 1));
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
        let other = self.config.differences(&Config::from_toml(&c.header.config_toml)?);
        if !other.is_empty() {
            return Err(Error::usage(format!("the checkpoint was written by a run with other options: {}", other.join(", ")))
                .remedy("a resumed run keeps its options: put config.toml back as it was, or start a new run with --config"));
        }
        let progress: Progress = serde_json::from_value(c.header.progress.clone())
            .map_err(|e| Error::format(format!("the checkpoint's progress cannot be understood: {e}")))?;
        if progress.tally.spikes.len() != self.net.plan.blocks.len() || progress.step != c.header.step {
            return Err(Error::format("the checkpoint's progress does not belong to its network"));
        }
        let net = network(self.engine, &self.net.plan, &mut c)?;
        let moments = moments(self.engine, &self.net.plan, &mut c)?;
        (self.net.params, self.net.running, self.moments, self.progress) = (net.params, net.running, moments, progress);
        Ok(())
    }
}
