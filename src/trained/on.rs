//! The engine behind a trained network: what is asked of one without knowing which.

use std::any::Any;

use crate::checkpoint::Checkpoint;
use crate::config::Config;
use crate::data::Split;
use crate::engine::{Batch, Engine};
use crate::engines::{Work, with_engine};
use crate::error::{Error, Result};
use crate::network::{Fired, Method, Network, Output};
use crate::neuron::Lif;
use crate::plan::{Block, Plan};
use crate::probe;
use crate::tensors::{Place, Tensor};
use crate::train::evaluate::evaluate;
use crate::train::feed::Feed;
use crate::train::{Evaluation, Stop, save};

/// A layer that has just fired, whichever engine has computed it.
pub trait Seen {
    /// Its spikes `[T,B,C,H,W]`, on the host.
    ///
    /// # Errors
    /// Memory: the device has failed.
    fn spikes(&self) -> Result<Vec<f32>>;

    /// Its membrane potentials before the reset, `[T,B,C,H,W]`, over `steps` time steps ([`probe::potentials`]).
    ///
    /// # Errors
    /// Memory: the device has failed.
    fn potentials(&self, lif: Lif, steps: usize) -> Result<Vec<f32>>;
}

/// Looks at blocks (from 0) after they have fired.
pub type See<'a> = &'a mut dyn FnMut(usize, &dyn Seen) -> Result<()>;

/// Something to be done with a network on its engine, whichever that is.
pub trait Use {
    /// What comes of it.
    type Out;

    /// Does it.
    ///
    /// # Errors
    /// As it likes.
    fn on<E: Engine + Clone>(self, engine: &E, net: &mut Network<E>) -> Result<Self::Out>;
}

/// A network on some engine.
pub(super) trait OnEngine: Any + Send + Sync {
    fn engine(&self) -> &'static str;
    fn plan(&self) -> &Plan;
    fn host(&self, place: Place) -> Result<Vec<f32>>;
    fn set(&mut self, tensor: &Tensor, values: &[f32]);
    fn infer(&self, batch: &Batch, method: &Method, see: See) -> Result<Output>;
    fn infer_counted(&self, batch: &Batch, method: &Method, see: See) -> Result<(Output, Vec<u64>)>;
    fn evaluate(&self, config: &Config, method: &Method, feed: &Feed, samples: (Split, &[u32]), stop: &Stop) -> Result<Option<Evaluation>>;
}

struct On<E: Engine> {
    engine: E,
    net: Network<E>,
}

impl<E: Engine + Clone + Send + 'static> OnEngine for On<E> {
    fn engine(&self) -> &'static str {
        self.engine.name()
    }

    fn plan(&self) -> &Plan {
        &self.net.plan
    }

    fn host(&self, place: Place) -> Result<Vec<f32>> {
        self.net.host(&self.engine, place)
    }

    fn set(&mut self, tensor: &Tensor, values: &[f32]) {
        if let Some(p) = self.net.get_mut(tensor.place) {
            *p = self.engine.param(tensor.layout, values);
        }
    }

    fn infer(&self, batch: &Batch, method: &Method, see: See) -> Result<Output> {
        let On { engine, net } = self;
        let blocks = &net.plan.blocks;
        net.infer_seen(engine, batch, method, &mut |i, fired| see(i, &SeenOn { engine, block: &blocks[i], fired }))
    }

    fn infer_counted(&self, batch: &Batch, method: &Method, see: See) -> Result<(Output, Vec<u64>)> {
        let On { engine, net } = self;
        let (blocks, mut counts) = (&net.plan.blocks, Vec::new());
        let out = net.infer_seen(engine, batch, method, &mut |i, fired| {
            counts.push(engine.spike_count(fired.input));
            see(i, &SeenOn { engine, block: &blocks[i], fired })
        })?;
        Ok((out, engine.read(&counts)?))
    }

    fn evaluate(&self, config: &Config, method: &Method, feed: &Feed, samples: (Split, &[u32]), stop: &Stop) -> Result<Option<Evaluation>> {
        evaluate(&self.engine, &self.net, config, method, feed, samples, stop)
    }
}

/// What an engine shows of a layer.
struct SeenOn<'a, E: Engine> {
    engine: &'a E,
    block: &'a Block,
    fired: Fired<'a, E>,
}

impl<E: Engine> Seen for SeenOn<'_, E> {
    fn spikes(&self) -> Result<Vec<f32>> {
        self.engine.host_acts(self.fired.spikes)
    }

    fn potentials(&self, lif: Lif, steps: usize) -> Result<Vec<f32>> {
        probe::potentials(self.engine, self.block, lif, steps, self.fired.currents, self.fired.norm.as_ref())
    }
}

/// Where a network's tensors come from.
pub(super) enum Weights<'a> {
    /// Drawn by this seed.
    Fresh(u64),
    /// Taken out of a checkpoint.
    Stored(&'a mut Checkpoint),
    /// Asked for one by one.
    Given(&'a mut dyn FnMut(&Tensor) -> Result<Vec<f32>>),
}

/// A network on the engine of a configuration.
///
/// # Errors
/// Usage: this machine does not have the instruction set. Format: a checkpoint's tensors do not fit.
pub(super) fn make(config: &Config, plan: &Plan, weights: Weights) -> Result<Box<dyn OnEngine>> {
    with_engine(&config.device, config.isa, Make { plan, weights })?
}

struct Make<'a, 'w> {
    plan: &'a Plan,
    weights: Weights<'w>,
}

impl Work for Make<'_, '_> {
    type Out = Result<Box<dyn OnEngine>>;

    fn on<E: Engine + Clone + Send + 'static>(self, engine: E) -> Self::Out {
        let net = match self.weights {
            Weights::Fresh(seed) => Network::init(&engine, self.plan.clone(), seed),
            Weights::Stored(c) => save::network(&engine, self.plan, c)?,
            Weights::Given(values) => Network::from_tensors(&engine, self.plan, values)?,
        };
        Ok(Box::new(On { engine, net }))
    }
}

/// Uses `net`, made by [`make`] with this configuration's engine.
pub(super) fn using<U: Use>(config: &Config, net: &mut dyn OnEngine, using: U) -> Result<U::Out> {
    with_engine(&config.device, config.isa, Using { net, using })?
}

struct Using<'a, U> {
    net: &'a mut dyn OnEngine,
    using: U,
}

impl<U: Use> Work for Using<'_, U> {
    type Out = Result<U::Out>;

    fn on<E: Engine + Clone + Send + 'static>(self, _: E) -> Self::Out {
        let net: &mut dyn Any = self.net;
        let on = net.downcast_mut::<On<E>>().ok_or_else(|| Error::bug("a network on another engine than its configuration's"))?;
        self.using.on(&on.engine, &mut on.net)
    }
}
