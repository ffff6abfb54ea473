//! The layers, written once over the engine's contract: walk forward, walk back.

mod checks;
pub mod operations;

use std::convert::Infallible;

pub use checks::Checks;

use crate::engine::{
    AffineGrads, Batch, Cell, DropMask, Engine, Layout, Need, Neuron, Norm, NormGrads, NormOf, Pass, Recomputed, Running, VOTERS,
};
use crate::error::{Error, Result};
use crate::neuron::{Lif, Rule, Surrogate};
use crate::plan::{Block, BlockKind, Front, Plan};
use crate::rng::{Purpose, Rng};
pub use crate::tensors::Tensors;
use crate::tensors::{self, Place, Tensor, Which};

/// How a pass computes: everything that is not a weight.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// The neuron's constants.
    pub lif: Lif,
    /// The learning rule.
    pub rule: Rule,
    /// α of the temporal adjustment.
    pub alpha: f64,
    /// One BatchNorm statistic over T·B instead of one per step.
    pub merged_norm: bool,
    /// `ann` warm-up: LIF is the identity.
    pub ann: bool,
    /// `tssl` warm-up: a layer whose mean spike rate is at most this uses the smooth surrogate.
    pub tssl_rate: Option<f64>,
}

impl Method {
    fn cell(&self, block: &Block) -> Cell {
        // Without spikes and without ReLU the `ann` network would be linear.
        let relu = block.relu || self.ann && block.kind != BlockKind::Vote;
        Cell { relu, neuron: if self.ann { Neuron::Identity } else { Neuron::Lif(self.lif) } }
    }

    /// Of a layer with this mean spike rate.
    fn surrogate(&self, rate: f64) -> Surrogate {
        let quiet = !self.ann && self.tssl_rate.is_some_and(|limit| rate <= limit);
        if quiet { self.rule.warm_up_surrogate(self.alpha) } else { self.rule.surrogate(self.alpha) }
    }
}

/// What a forward pass says.
pub struct Output {
    /// `[B, classes]` firing rates over all steps, row-major.
    pub rates: Vec<f64>,
    /// `[T, B, classes]` firing rates of each step.
    pub rates_by_step: Vec<f64>,
    /// Spikes of each block, over T, B and neurons.
    pub spikes: Vec<u64>,
    /// Of a training pass and the way back that belongs to it ([`operations`]); 0 of others.
    pub operations: u64,
}

impl Output {
    /// Of `votes` `[T, B, classes]`; `per_step` is B · classes.
    fn of(votes: Vec<f64>, per_step: usize, spikes: Vec<u64>) -> Output {
        let share = (VOTERS * votes.len() / per_step) as f64;
        let all = |i: usize| votes[i..].iter().step_by(per_step).sum::<f64>() / share;
        let rates = (0..per_step).map(all).collect();
        Output { rates, rates_by_step: votes.iter().map(|v| v / VOTERS as f64).collect(), spikes, operations: 0 }
    }
}

/// What the backward pass needs of one block.
struct Trace<E: Engine> {
    /// Inputs of each front step, then of the weight layer.
    inputs: Vec<E::Acts>,
    /// `None`: to be computed once more.
    currents: Option<E::Currents>,
    moments: Option<E::Moments>,
}

/// What the device has noted of each layer of a pass, to be read with the votes.
struct Notes<E: Engine> {
    /// Whether the layers' currents are finite.
    finite: Vec<E::Note>,
    /// Their spikes; none in the `ann` warm-up.
    spikes: Vec<E::Note>,
    /// Inputs of the weight layers that are not zero, where they are counted.
    inputs: Vec<E::Note>,
}

impl<E: Engine> Notes<E> {
    fn new() -> Self {
        Notes { finite: Vec::new(), spikes: Vec::new(), inputs: Vec::new() }
    }

    /// The votes of `x`, the last layer's spikes, and everything noted, the counted inputs apart: the one time that a pass waits for the
    /// device.
    fn vote(self, engine: &E, plan: &Plan, x: &E::Acts, samples: usize) -> Result<(Output, Vec<u64>)> {
        let (blocks, spiking, mut notes) = (self.finite.len(), self.spikes.len(), self.finite);
        notes.extend(self.spikes);
        notes.extend(self.inputs);
        let (votes, numbers) = engine.vote(x, &notes)?;
        let (finite, counts) = numbers.split_at(blocks);
        let (spikes, inputs) = counts.split_at(spiking);
        if let Some(i) = finite.iter().position(|&finite| finite == 0) {
            return Err(not_finite(&plan.blocks[i], "input currents"));
        }
        let spikes = if spikes.is_empty() { vec![0; blocks] } else { spikes.to_vec() };
        Ok((Output::of(votes, samples * plan.classes(), spikes), inputs.to_vec()))
    }
}

/// A layer that has just fired, to look at.
pub struct Fired<'a, E: Engine> {
    /// Input of the weight layer.
    pub input: &'a E::Acts,
    /// Its output, before the norm.
    pub currents: &'a E::Currents,
    /// What comes between currents and neuron.
    pub norm: Option<NormOf<'a, E>>,
    /// What the neurons said.
    pub spikes: &'a E::Acts,
}

/// A layer that is about to be walked back through, to look at.
pub struct Reached<'a, E: Engine> {
    /// Output of the weight layer, before the norm.
    pub currents: &'a E::Currents,
    /// What comes between currents and neuron.
    pub norm: Option<NormOf<'a, E>>,
    /// Of this layer in this step.
    pub surrogate: Surrogate,
    /// S = dL/do; where the surrogate does not read it, it may hold anything.
    pub d: &'a E::Grad,
}

/// Looks at blocks (from 0) before they are walked back through.
pub type See<'a, E> = &'a mut dyn FnMut(usize, Reached<E>) -> Result<()>;

/// A training pass half done: forward has been walked.
pub struct Tape<E: Engine> {
    traces: Vec<Trace<E>>,
    /// Of each layer, which may depend on how often it fired.
    surrogates: Vec<Surrogate>,
    votes: E::Acts,
}

/// Gradients of all parameters, block by block.
pub type Grads<E> = Vec<Tensors<<E as Engine>::Param>>;

/// Parameters and running statistics on a device.
pub struct Network<E: Engine> {
    /// The blocks.
    pub plan: Plan,
    /// One entry per block.
    pub params: Vec<Tensors<E::Param>>,
    /// One entry per block, `None` where there is no norm.
    pub running: Vec<Option<Running<E::Param>>>,
    /// Blocks with a norm whose input currents are not kept for the backward pass but recomputed ([`crate::memory`]).
    pub recompute: Vec<bool>,
}

impl<E: Engine> Network<E> {
    /// Fresh weights, PyTorch's defaults: W and b uniform in ±1/sqrt(fan_in), γ = 1, β = 0.
    pub fn init(engine: &E, plan: Plan, seed: u64) -> Self {
        let draw = |t: &Tensor, which: u64| {
            let block = &plan.blocks[t.place.block];
            let bound = 1.0 / (block.fan_in() as f32).sqrt();
            let mut rng = Rng::at(seed, Purpose::Weights, block.index as u64, which);
            engine.param(t.layout, &(0..t.layout.len()).map(|_| rng.uniform(-bound, bound)).collect::<Vec<f32>>())
        };
        let Ok(net) = Self::build(&plan, |t| {
            Ok::<_, Infallible>(match t.place.which {
                Which::Weight => draw(t, 0),
                Which::Bias => draw(t, 1),
                Which::Gamma | Which::Var => engine.constant(t.layout, 1.0),
                Which::Beta | Which::Mean => engine.constant(t.layout, 0.0),
            })
        });
        net
    }

    /// With the values that `values` gives for each tensor, asked for in the order of a checkpoint: parameters, then statistics.
    ///
    /// # Errors
    /// Of `values`. Bug: they are not as many as the tensor has.
    pub fn from_tensors(engine: &E, plan: &Plan, mut values: impl FnMut(&Tensor) -> Result<Vec<f32>>) -> Result<Self> {
        Self::build(plan, |t| {
            let values = values(t)?;
            if values.len() != t.layout.len() {
                return Err(Error::bug(format!("{} values for tensor {} {:?}", values.len(), t.name, t.shape())));
            }
            Ok(engine.param(t.layout, &values))
        })
    }

    /// Of what `make` gives for each tensor.
    ///
    /// # Errors
    /// Of `make`.
    pub fn build<F>(plan: &Plan, mut make: impl FnMut(&Tensor) -> std::result::Result<E::Param, F>) -> std::result::Result<Self, F> {
        let (params, running) = (tensors::parameters(plan, &mut make)?, tensors::statistics(plan, &mut make)?);
        Ok(Network { plan: plan.clone(), params, running, recompute: vec![false; plan.blocks.len()] })
    }

    /// The tensor at a place, if the network has it.
    pub fn get(&self, place: Place) -> Option<&E::Param> {
        match place.which {
            Which::Mean => self.running[place.block].as_ref().map(|r| &r.mean),
            Which::Var => self.running[place.block].as_ref().map(|r| &r.var),
            which => self.params[place.block].get(which),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut E::Param> {
        match place.which {
            Which::Mean => self.running[place.block].as_mut().map(|r| &mut r.mean),
            Which::Var => self.running[place.block].as_mut().map(|r| &mut r.var),
            which => self.params[place.block].get_mut(which),
        }
    }

    /// The values at a place, on the host.
    ///
    /// # Errors
    /// Memory: the device has failed. Bug: the network has no such tensor.
    pub fn host(&self, engine: &E, place: Place) -> Result<Vec<f32>> {
        engine.host(self.get(place).ok_or_else(|| Error::bug(format!("no tensor at {place:?}")))?)
    }

    /// Zeros in the shape of the parameters, for AdamW's moments.
    pub fn zeros(&self, engine: &E) -> Vec<Tensors<E::Param>> {
        let Ok(zeros) = tensors::parameters(&self.plan, |t| Ok::<_, Infallible>(engine.constant(t.layout, 0.0)));
        zeros
    }

    /// Dropout masks of one training step: a function of (seed, step, layer, sample), so that nothing needs saving.
    pub fn masks(&self, seed: u64, step: u64) -> Vec<DropMask> {
        let drops = self.plan.blocks.iter().flat_map(|b| &b.fronts).filter(|f| f.front == Front::Dropout);
        drops.map(|f| DropMask::Drawn { seed, step, layer: f.index, first_sample: 0 }).collect()
    }

    /// Forward in evaluation mode: running statistics, no dropout.
    ///
    /// # Errors
    /// Diverged: some layer's currents are not finite.
    pub fn infer(&self, engine: &E, batch: &Batch, method: &Method) -> Result<Output> {
        self.infer_seen(engine, batch, method, &mut |_, _| Ok(()))
    }

    /// The same, and every block (from 0) is shown after it has fired.
    ///
    /// # Errors
    /// As [`Network::infer`], and of `see`.
    pub fn infer_seen(
        &self,
        engine: &E,
        batch: &Batch,
        method: &Method,
        see: &mut dyn FnMut(usize, Fired<E>) -> Result<()>,
    ) -> Result<Output> {
        let (mut x, mut notes) = (engine.input(batch, Pass::Inference), Notes::<E>::new());
        for (i, block) in self.plan.blocks.iter().enumerate() {
            for f in &block.fronts {
                x = match f.front {
                    Front::MaxPool(k) => engine.max_pool(&x, k),
                    Front::AvgPool(k) => engine.avg_pool(&x, k),
                    Front::Dropout => x,
                };
            }
            let p = &self.params[i];
            let y = engine.affine(&x, &p.weight, &p.bias);
            notes.finite.push(engine.currents_finite(&y));
            let moments = self.running[i].as_ref().map(|r| engine.running_moments(r.as_ref()));
            let norm = norm_of::<E>(p, moments.as_ref());
            let fired = engine.fire(&y, norm.as_ref(), &method.cell(block));
            see(i, Fired { input: &x, currents: &y, norm, spikes: &fired })?;
            x = fired;
            if !method.ann {
                notes.spikes.push(engine.spike_count(&x));
            }
        }
        Ok(notes.vote(engine, &self.plan, &x, batch.samples)?.0)
    }

    /// Forward in training mode: statistics of the batch, dropout by `masks` (one per DP, in order).
    /// The running statistics are not touched; see [`Network::updated_running`].
    ///
    /// # Errors
    /// Diverged: some layer's currents are not finite.
    pub fn forward(&self, engine: &E, batch: &Batch, masks: &[DropMask], method: &Method) -> Result<(Output, Tape<E>)> {
        let (mut x, mut notes) = (engine.input(batch, Pass::Training), Notes::<E>::new());
        let (mut traces, mut masks) = (Vec::new(), masks.iter());
        for (i, block) in self.plan.blocks.iter().enumerate() {
            let mut inputs = Vec::new();
            for f in &block.fronts {
                let next = match f.front {
                    Front::MaxPool(k) => engine.max_pool(&x, k),
                    Front::AvgPool(k) => engine.avg_pool(&x, k),
                    Front::Dropout => engine.dropout(&x, next_mask(&mut masks)?),
                };
                inputs.push(std::mem::replace(&mut x, next));
            }
            let p = &self.params[i];
            if operations::counted(i, block, batch, method) {
                notes.inputs.push(engine.spike_count(&x));
            }
            let currents = engine.affine(&x, &p.weight, &p.bias);
            inputs.push(x);
            let moments = block.has_norm().then(|| engine.moments(&currents, method.merged_norm));
            notes.finite.push(match &moments {
                Some(m) => engine.moments_finite(m),
                None => engine.currents_finite(&currents),
            });
            x = engine.fire(&currents, norm_of::<E>(p, moments.as_ref()).as_ref(), &method.cell(block));
            if !method.ann {
                notes.spikes.push(engine.spike_count(&x));
            }
            let currents = (!self.recompute[i] || moments.is_none()).then_some(currents);
            traces.push(Trace { inputs, currents, moments });
        }
        let (mut out, counted) = notes.vote(engine, &self.plan, &x, batch.samples)?;
        let rate = |(spikes, b): (&u64, &Block)| *spikes as f64 / (batch.steps * batch.samples * b.output.len()) as f64;
        let surrogates: Vec<Surrogate> = out.spikes.iter().zip(&self.plan.blocks).map(|pair| method.surrogate(rate(pair))).collect();
        out.operations = operations::of_step(&self.plan, batch, method, &surrogates, &out.spikes, &counted);
        Ok((out, Tape { traces, surrogates, votes: x }))
    }

    /// Running statistics after the batch on the tape; they may not be finite ([`Checks::running`]).
    pub fn updated_running(&self, engine: &E, tape: &Tape<E>) -> Vec<Option<Running<E::Param>>> {
        let pairs = self.running.iter().zip(&tape.traces);
        pairs.map(|(r, t)| Some(engine.update_running(r.as_ref()?.as_ref(), t.moments.as_ref()?))).collect()
    }

    /// Back through the tape from dL/d(rates) `[B, classes]`, or of the rates of each step `[T, B, classes]` ([`crate::loss::Loss::of_output`]).
    ///
    /// # Errors
    /// Bug: the masks are not those of the forward pass.
    pub fn backward(&self, engine: &E, tape: Tape<E>, d_rates: &[f64], masks: &[DropMask], method: &Method) -> Result<Grads<E>> {
        self.backward_seen(engine, tape, d_rates, masks, method, None)
    }

    /// The same, and every block (from the last to 0) is shown before the walk through it, if `see` is there; its currents are then
    /// recomputed at once where they were not kept.
    ///
    /// # Errors
    /// As [`Network::backward`], and of `see`.
    pub fn backward_seen(
        &self,
        engine: &E,
        tape: Tape<E>,
        d_rates: &[f64],
        masks: &[DropMask],
        method: &Method,
        mut see: Option<See<E>>,
    ) -> Result<Grads<E>> {
        let mut grad = Some(engine.vote_backward(&tape.votes, d_rates));
        drop(tape.votes);
        let (mut traces, surrogates) = (tape.traces, tape.surrogates);
        let mut masks = masks.iter().rev();
        let mut grads = Vec::new();
        while let (Some(trace), Some(d)) = (traces.pop(), grad.take()) {
            let i = traces.len();
            let (block, p) = (&self.plan.blocks[i], &self.params[i]);
            let (norm, surrogate) = (norm_of::<E>(p, trace.moments.as_ref()), surrogates[i]);
            let mut inputs = trace.inputs;
            let Some(x) = inputs.pop() else { break };
            let need = needed(i, method, &surrogates);
            let cell = method.cell(block);
            let (AffineGrads { weight, input }, bias, norm_grads) = match (trace.currents, norm) {
                (None, Some(norm)) if see.is_none() => {
                    let layer = Recomputed { weight: &p.weight, bias: &p.bias, norm, cell, surrogate };
                    let (affine, norm) = engine.backward_recomputed(&x, &layer, d, need);
                    (affine, None, Some(norm))
                }
                (currents, norm) => {
                    let y = currents.unwrap_or_else(|| engine.affine(&x, &p.weight, &p.bias));
                    if let Some(see) = &mut see {
                        let norm = norm_of::<E>(p, trace.moments.as_ref());
                        see(i, Reached { currents: &y, norm, surrogate, d: &d })?;
                    }
                    let (e, norm_grads) = engine.fire_backward(y, norm.as_ref(), &cell, surrogate, d);
                    let bias = (!block.has_norm()).then(|| engine.bias_gradient(&e));
                    (engine.affine_backward(&x, &p.weight, e, need), bias, norm_grads)
                }
            };
            // A norm subtracts the mean, so the bias before it has gradient 0; a sum of e would be rounding noise, large where gradients are.
            let bias = bias.unwrap_or_else(|| engine.constant(Layout::PerChannel(block.output.c), 0.0));
            grad = input;
            for (f, x) in block.fronts.iter().zip(&inputs).rev() {
                let Some(d) = grad.take() else { break };
                grad = Some(match f.front {
                    Front::MaxPool(k) => engine.max_pool_backward(x, k, d),
                    Front::AvgPool(k) => engine.avg_pool_backward(x, k, d),
                    Front::Dropout => engine.dropout_backward(next_mask(&mut masks)?, d),
                });
            }
            grads.push(Tensors { weight, bias, norm: norm_grads.map(|NormGrads { gamma, beta }| (gamma, beta)) });
        }
        grads.reverse();
        Ok(grads)
    }
}

fn norm_of<'a, E: Engine>(p: &'a Tensors<E::Param>, moments: Option<&'a E::Moments>) -> Option<NormOf<'a, E>> {
    let (gamma, beta) = p.norm.as_ref()?;
    Some(Norm { gamma, beta, moments: moments? })
}

/// Where block `i` owes the one below it an input gradient.
fn needed(i: usize, method: &Method, surrogates: &[Surrogate]) -> Need {
    match i.checked_sub(1) {
        None => Need::Nothing,
        Some(below) if method.ann || surrogates[below].reads_silent_steps() => Need::Everywhere,
        Some(_) => Need::AtSpikes,
    }
}

fn next_mask<'a>(masks: &mut impl Iterator<Item = &'a DropMask>) -> Result<&'a DropMask> {
    masks.next().ok_or_else(|| Error::bug("fewer dropout masks than dropout layers"))
}

/// What to do about a number that is not finite.
pub const LESS: &str = "lower --lr or --alpha, shorten -T, or look for NaN in the data; the last good checkpoint is kept";

fn not_finite(block: &Block, what: &str) -> Error {
    Error::diverged(format!("{what} of layer {} ({}) are not finite", block.index, block.name())).remedy(LESS)
}
