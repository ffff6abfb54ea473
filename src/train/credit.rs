//! A look at credit assignment before a step: a forward and a backward pass of their own on a few samples, that change nothing.

use super::feed::Labelled;
use super::trainer::Trainer;
use crate::credit::{self, CREDIT, CreditLine, LayerCredit};
use crate::engine::{Batch, Engine, Input};
use crate::error::Result;
use crate::limits::CREDIT_SAMPLES;
use crate::network::{Method, Reached};
use crate::probe::potentials;

impl<E: Engine> Trainer<'_, E> {
    /// Whether a credit line is due before the next step: at steps 1, 1 + K, 1 + 2K, … with K of `--credit-every`, or one per epoch.
    pub fn credit_due(&self) -> bool {
        let every = self.config.credit_every.unwrap_or(self.steps_per_epoch()) as u64;
        every > 0 && self.progress.step.is_multiple_of(every)
    }

    /// Credit assignment in the network as it is, on the first samples of the batch of the step of `epoch` that comes next, with that
    /// step's dropout. `None` in the `ann` warm-up, where nothing spikes; where BatchNorm would see one value only; and where numbers are
    /// no longer finite, of which the step itself will tell.
    pub fn credit(&self, epoch: usize, Labelled { batch, labels }: &Labelled) -> Option<CreditLine> {
        let (method, samples) = (self.config.method(epoch), self.credit_samples.min(labels.len()));
        if method.ann || samples == 0 || self.net.plan.without_variance(samples).is_some() {
            return None;
        }
        let layers = self.measure(&first(batch, samples), &labels[..samples], &method);
        let layers = layers.ok().filter(|all| all.iter().all(LayerCredit::is_finite))?;
        Some(CreditLine { kind: CREDIT.to_string(), epoch: epoch as u64 + 1, step: self.progress.step + 1, samples, layers })
    }

    fn measure(&self, batch: &Batch, labels: &[u16], method: &Method) -> Result<Vec<LayerCredit>> {
        let (engine, net) = (self.engine, &self.net);
        let masks = net.masks(self.config.seed, self.progress.step + 1);
        let (out, tape) = net.forward(engine, batch, &masks, method)?;
        let (_, d_rates) = self.config.loss.of_output(&out, labels, self.class_weights.as_deref());
        let mut layers = Vec::new();
        let see = &mut |i: usize, seen: Reached<E>| {
            let block = &net.plan.blocks[i];
            let s = engine.host_grad(seen.d)?;
            let u = potentials(engine, block, method.lif, batch.steps, seen.currents, seen.norm.as_ref())?;
            layers.push(credit::of_layer(block.name(), seen.surrogate, method.lif, block.output.len(), batch.steps, &u, &s));
            Ok(())
        };
        net.backward_seen(engine, tape, &d_rates, &masks, method, Some(see))?;
        layers.reverse();
        Ok(layers)
    }
}

/// How many samples a look takes of a batch, unless memory is short.
pub fn samples_of(batch: usize) -> usize {
    batch.min(CREDIT_SAMPLES)
}

/// The first samples of a batch.
fn first(batch: &Batch, samples: usize) -> Batch {
    let one = batch.shape.len();
    let input = match &batch.input {
        Input::Direct(v) => Input::Direct(v.cut(std::iter::once(0..samples * one))),
        Input::Frames(v) => Input::Frames(v.cut((0..batch.steps).map(|t| t * batch.samples * one).map(|at| at..at + samples * one))),
    };
    Batch::whole(batch.shape, samples, batch.steps, input)
}
