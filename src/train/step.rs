//! One optimiser step of any network on any engine.

use crate::engine::{AdamW, Batch, DropMask, Engine};
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::network::{Checks, LESS, Method, Network, Output, Tensors};

/// What a step learns, and how.
pub struct Task<'a> {
    /// The samples.
    pub batch: &'a Batch,
    /// Their classes, `[B]`.
    pub labels: &'a [u16],
    /// Dropout masks, one per DP.
    pub masks: &'a [DropMask],
    /// Rule, neuron, warm-up.
    pub method: &'a Method,
    /// What is minimised.
    pub loss: Loss,
    /// Weight of each class in it, `[classes]`; `None`: all are 1.
    pub class_weights: Option<&'a [f64]>,
}

/// The constants of step `step` (from 1): β 0.9 and 0.999, ε 1e-8.
pub fn adamw(lr: f64, weight_decay: f64, step: u64) -> AdamW {
    AdamW { lr, weight_decay, beta1: 0.9, beta2: 0.999, eps: 1e-8, step }
}

/// Forward, backward, AdamW; gives the loss and the forward pass's output. Nothing is changed unless all currents and their statistics,
/// the loss, all gradients, weights and moments are finite.
///
/// The host waits for the device twice: for the votes, and for the verdict on gradients, weights and moments.
///
/// # Errors
/// Diverged: one of them is not; names the layer. Memory: the device has failed.
pub fn optimise<E: Engine>(
    engine: &E,
    net: &mut Network<E>,
    [m, v]: &mut [Vec<Tensors<E::Param>>; 2],
    task: &Task,
    c: &AdamW,
) -> Result<(f64, Output)> {
    let (out, tape) = net.forward(engine, task.batch, task.masks, task.method)?;
    let (loss, d_rates) = task.loss.of_output(&out, task.labels, task.class_weights);
    if !loss.is_finite() {
        return Err(Error::diverged(format!("the loss is {loss}")).remedy(LESS));
    }
    let running = net.updated_running(engine, &tape);
    let grads = net.backward(engine, tape, &d_rates, task.masks, task.method)?;
    // What AdamW reads. A weight that is NaN may hide: a neuron that gets NaN is silent, and an input that is silent adds nothing.
    let mut checks = Checks::new(engine, &net.plan);
    checks.running(&running);
    checks.gradients(&grads);
    checks.finite("value", &net.params);
    checks.finite("first moment", m);
    checks.finite("second moment", v);
    checks.verdict()?;
    net.running = running;
    for (i, g) in grads.iter().enumerate() {
        let moving = net.params[i].each_mut().zip(m[i].each_mut()).zip(v[i].each_mut());
        moving.zip(g.each()).for_each(|(((p, m), v), g)| engine.adamw(p, m, v, g, c));
    }
    Ok((loss, out))
}
