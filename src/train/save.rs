//! A network and its training into a checkpoint, and the tensors of one back.

use std::borrow::Cow;

use super::trainer::{Progress, Trainer};
use crate::checkpoint::{Checkpoint, CheckpointKind, Header, TensorEntry};
use crate::config::Config;
use crate::engine::{Engine, NUMERICS};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::plan::Plan;
use crate::plural::counted;
use crate::tensors::{self, Place, Role, Tensor, Tensors};

/// What a network has learned from, as a checkpoint names it.
pub struct LearnedFrom<'a> {
    /// Name of the data set.
    pub dataset: &'a str,
    /// Fingerprint of its files; empty if that is not known.
    pub fingerprint: &'a str,
    /// Names of its classes.
    pub classes: &'a [String],
}

/// Every tensor of a checkpoint in order, and what is stored of it: parameters, their moments, then the statistics.
fn stored(plan: &Plan, kind: CheckpointKind) -> impl Iterator<Item = (Role, Tensor)> + use<> {
    let (statistics, parameters): (Vec<Tensor>, Vec<Tensor>) = tensors::of(plan).into_iter().partition(|t| t.place.which.is_statistic());
    let roles = [Role::Value, Role::FirstMoment, Role::SecondMoment];
    let roles = roles.into_iter().take(if kind == CheckpointKind::Training { 3 } else { 1 });
    let of_parameters = roles.flat_map(move |role| parameters.clone().into_iter().map(move |t| (role, t)));
    of_parameters.chain(statistics.into_iter().map(|t| (Role::Value, t)))
}

/// What a checkpoint says besides the tensors' values.
///
/// # Errors
/// Bug: never, for a checked configuration.
pub fn header(config: &Config, plan: &Plan, from: &LearnedFrom, progress: &Progress, kind: CheckpointKind) -> Result<Header> {
    Ok(Header {
        kind,
        config_toml: config.to_toml()?,
        network: plan.notation.to_string(),
        input_shape: plan.shape.to_string(),
        classes: from.classes.to_vec(),
        dataset: from.dataset.to_string(),
        dataset_fingerprint: from.fingerprint.to_string(),
        step: progress.step,
        numerics: NUMERICS,
        progress: serde_json::to_value(progress).map_err(|e| Error::bug(format!("progress: {e}")))?,
        tensors: stored(plan, kind).map(|(role, t)| TensorEntry { name: t.in_checkpoint(role), shape: t.shape() }).collect(),
    })
}

/// The values of each tensor of [`header`], to be asked for in order; `host` gives them, of weights alone no moments.
pub fn values(
    plan: &Plan,
    kind: CheckpointKind,
    mut host: impl FnMut(Role, Place) -> Result<Vec<f32>>,
) -> impl FnMut(&TensorEntry) -> Result<Cow<'static, [f32]>> {
    let mut stored = stored(plan, kind);
    move |_| {
        let (role, tensor) = stored.next().ok_or_else(|| Error::bug("more tensors than a network has"))?;
        host(role, tensor.place).map(Cow::Owned)
    }
}

/// Weights and statistics of a checkpoint as a network laid out as `plan`.
///
/// # Errors
/// Format: the tensors do not fit the plan.
pub fn network<E: Engine>(engine: &E, plan: &Plan, c: &mut Checkpoint) -> Result<Network<E>> {
    let net = Network::from_tensors(engine, plan, |t| c.take(&t.in_checkpoint(Role::Value), &t.shape()))?;
    nothing_left(c, plan, CheckpointKind::WeightsOnly)?;
    Ok(net)
}

/// AdamW's moments of a checkpoint, whose network was taken out before; then nothing is left.
///
/// # Errors
/// Format: the tensors do not fit the plan.
pub fn moments<E: Engine>(engine: &E, plan: &Plan, c: &mut Checkpoint) -> Result<[Vec<Tensors<E::Param>>; 2]> {
    let mut of = |role| tensors::parameters(plan, |t| Ok(engine.param(t.layout, &c.take(&t.in_checkpoint(role), &t.shape())?)));
    let moments = [of(Role::FirstMoment)?, of(Role::SecondMoment)?];
    nothing_left(c, plan, CheckpointKind::Training)?;
    Ok(moments)
}

/// A checkpoint of this kind has no further tensors.
fn nothing_left(c: &Checkpoint, plan: &Plan, kind: CheckpointKind) -> Result<()> {
    if c.header.kind != kind || c.tensors.is_empty() {
        return Ok(());
    }
    let (left, expected) = (c.tensors.len(), stored(plan, kind).count());
    Err(Error::format(format!("the checkpoint holds {} that its network of {expected} does not have", counted(left, "tensor"))))
}

impl<E: Engine> Trainer<'_, E> {
    /// What a checkpoint of this moment says besides the tensors' values.
    ///
    /// # Errors
    /// As [`header`].
    pub fn header(&self, kind: CheckpointKind) -> Result<Header> {
        let data = self.data;
        let from = LearnedFrom { dataset: data.name(), fingerprint: data.fingerprint(), classes: data.classes() };
        header(&self.config, &self.net.plan, &from, &self.progress, kind)
    }

    /// The values of each tensor of [`Trainer::header`], to be asked for in order.
    pub fn values(&self, kind: CheckpointKind) -> impl FnMut(&TensorEntry) -> Result<Cow<'static, [f32]>> {
        values(&self.net.plan, kind, |role, place| {
            let moment = |which: usize| self.moments[which][place.block].get(place.which);
            let p = match role {
                Role::Value => self.net.get(place),
                Role::FirstMoment => moment(0),
                Role::SecondMoment => moment(1),
            };
            self.engine.host(p.ok_or_else(|| Error::bug("a network without this tensor"))?)
        })
    }
}
