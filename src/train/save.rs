//! A trainer into a checkpoint, and the tensors of one back.

use std::borrow::Cow;

use super::trainer::Trainer;
use crate::checkpoint::{Checkpoint, CheckpointKind, Header, TensorEntry};
use crate::engine::{Engine, NUMERICS};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::plan::Plan;
use crate::tensors::{self, Role, Tensor, Tensors};

/// Every tensor of a checkpoint in order, and what is stored of it: parameters, their moments, then the statistics.
pub fn stored(plan: &Plan, kind: CheckpointKind) -> impl Iterator<Item = (Role, Tensor)> + use<> {
    let (statistics, parameters): (Vec<Tensor>, Vec<Tensor>) = tensors::of(plan).into_iter().partition(|t| t.place.which.is_statistic());
    let roles = [Role::Value, Role::FirstMoment, Role::SecondMoment];
    let roles = roles.into_iter().take(if kind == CheckpointKind::Training { 3 } else { 1 });
    let of_parameters = roles.flat_map(move |role| parameters.clone().into_iter().map(move |t| (role, t)));
    of_parameters.chain(statistics.into_iter().map(|t| (Role::Value, t)))
}

/// Name and shape of every tensor of a checkpoint, in order.
pub fn entries(plan: &Plan, kind: CheckpointKind) -> Vec<TensorEntry> {
    stored(plan, kind).map(|(role, t)| TensorEntry { name: t.in_checkpoint(role), shape: t.shape() }).collect()
}

/// The values of each of [`entries`], to be asked for in order; weights alone need no moments.
pub fn values<'s, E: Engine>(
    engine: &'s E,
    net: &'s Network<E>,
    moments: &'s [Vec<Tensors<E::Param>>],
    kind: CheckpointKind,
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
    Err(Error::format(format!("the checkpoint holds {left} tensors that its network of {expected} does not have")))
}

impl<E: Engine> Trainer<'_, E> {
    /// What a checkpoint of this moment says besides the tensors' values.
    ///
    /// # Errors
    /// Bug: never, for a checked configuration.
    pub fn header(&self, kind: CheckpointKind) -> Result<Header> {
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
    pub fn values<'s>(&'s self, kind: CheckpointKind) -> impl FnMut(&TensorEntry) -> Result<Cow<'s, [f32]>> {
        values(self.engine, &self.net, &self.moments, kind)
    }
}
