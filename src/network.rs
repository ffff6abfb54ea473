//! The layers, written once over the engine's contract: walk forward, walk back.

use crate::engine::{AffineGrads, BN_MOMENTUM, Batch, Cell, DropMask, Engine, Layer, Layout, Moments, Need, Neuron, Norm, NormGrads};
use crate::error::{Error, Result};
use crate::neuron::{Lif, Rule, Surrogate};
use crate::plan::{Block, Front, Kind, Plan};
use crate::rng::{Purpose, Rng};

/// The tensors of one block: parameters, their gradients, or one of AdamW's moments.
pub struct Tensors<P> {
    /// W
    pub weight: P,
    /// b
    pub bias: P,
    /// γ and β, where the block has a norm.
    pub norm: Option<(P, P)>,
}

impl<P> Tensors<P> {
    /// In the fixed order weight, bias, γ, β.
    pub fn each(&self) -> impl Iterator<Item = &P> {
        [&self.weight, &self.bias].into_iter().chain(self.norm.iter().flat_map(|(g, b)| [g, b]))
    }
    /// In the same order, to be changed.
    pub fn each_mut(&mut self) -> impl Iterator<Item = &mut P> {
        [&mut self.weight, &mut self.bias].into_iter().chain(self.norm.iter_mut().flat_map(|(g, b)| [g, b]))
    }
}

/// Names and layouts of a block's tensors, in the order of [`Tensors::each`]: `{index}.weight`, `.bias`, `.bn.weight`, `.bn.bias`.
pub fn tensor_names(block: &Block) -> Vec<(String, Layout)> {
    let per_channel = Layout::PerChannel(block.output.c);
    let mut names = vec![(format!("{}.weight", block.index), block.weight()), (format!("{}.bias", block.index), per_channel)];
    if block.has_norm() {
        names.push((format!("{}.bn.weight", block.index), per_channel));
        names.push((format!("{}.bn.bias", block.index), per_channel));
    }
    names
}

/// Running mean and (unbiased) variance of a block's currents, per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Starts at 0.
    pub mean: Vec<f32>,
    /// Starts at 1.
    pub var: Vec<f32>,
}

impl Running {
    fn new(channels: usize) -> Self {
        Running { mean: vec![0.0; channels], var: vec![1.0; channels] }
    }

    /// One update per row of statistics; a row that stands for `repeats` equal steps uses the closed form
    /// r ← 0.9^n r + (1 - 0.9^n) s.
    fn updated(&self, m: &Moments) -> Running {
        let keep = (1.0 - BN_MOMENTUM).powi(m.repeats as i32);
        let unbiased = m.count as f64 / (m.count as f64 - 1.0);
        let mix = |old: &[f32], new: &[f64], factor: f64| -> Vec<f32> {
            (0..m.channels)
                .map(|c| {
                    let step = |r: f64, row: usize| keep * r + (1.0 - keep) * factor * new[row * m.channels + c];
                    (0..m.rows).fold(old[c] as f64, step) as f32
                })
                .collect()
        };
        Running { mean: mix(&self.mean, &m.mean, 1.0), var: mix(&self.var, &m.var, unbiased) }
    }

    /// As the statistics of an evaluation pass: one row for every step.
    fn moments(&self) -> Moments {
        let wide = |v: &[f32]| v.iter().map(|&x| x as f64).collect();
        Moments { mean: wide(&self.mean), var: wide(&self.var), rows: 1, channels: self.mean.len(), count: 1, repeats: 1 }
    }
}

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
        let relu = block.relu || self.ann && block.kind != Kind::Vote;
        Cell { relu, neuron: if self.ann { Neuron::Identity } else { Neuron::Lif(self.lif) } }
    }
}

/// What a forward pass says.
pub struct Output {
    /// `[B, classes]` firing rates, row-major.
    pub rates: Vec<f64>,
    /// Spikes of each block, over T, B and neurons.
    pub spikes: Vec<u64>,
}

/// What the backward pass needs of one block.
struct Trace<E: Engine> {
    /// Inputs of each front step, then of the weight layer.
    inputs: Vec<E::Acts>,
    /// `None`: to be computed once more.
    currents: Option<E::Currents>,
    moments: Option<Moments>,
    surrogate: Surrogate,
}

/// A layer that has just fired, to look at.
pub struct Fired<'a, E: Engine> {
    /// Input of the weight layer.
    pub input: &'a E::Acts,
    /// Its output, before the norm.
    pub currents: &'a E::Currents,
    /// What comes between currents and neuron.
    pub norm: Option<Norm<'a, E::Param>>,
    /// What the neurons said.
    pub spikes: &'a E::Acts,
}

/// A layer that is about to be walked back through, to look at.
pub struct Blamed<'a, E: Engine> {
    /// Output of the weight layer, before the norm.
    pub currents: &'a E::Currents,
    /// What comes between currents and neuron.
    pub norm: Option<Norm<'a, E::Param>>,
    /// Of this layer in this step.
    pub surrogate: Surrogate,
    /// S = dL/do; where the surrogate does not read it, it may hold anything.
    pub d: &'a E::Grad,
}

/// Looks at blocks (from 0) before they are walked back through.
pub type See<'a, E> = &'a mut dyn FnMut(usize, Blamed<E>);

/// A training pass half done: forward has been walked.
pub struct Tape<E: Engine> {
    traces: Vec<Trace<E>>,
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
    pub running: Vec<Option<Running>>,
    /// Blocks with a norm whose input currents are not kept for the backward pass but computed anew ([`crate::memory`]).
    pub recompute: Vec<bool>,
}

impl<E: Engine> Network<E> {
    /// Fresh weights, PyTorch's defaults: W and b uniform in ±1/sqrt(fan_in), γ = 1, β = 0.
    pub fn init(engine: &E, plan: Plan, seed: u64) -> Self {
        let draw = |block: &Block, which: u64, layout: Layout| {
            let bound = 1.0 / (block.fan_in() as f32).sqrt();
            let mut rng = Rng::at(seed, Purpose::Weights, block.index as u64, which);
            engine.param(layout, &(0..layout.len()).map(|_| rng.uniform(-bound, bound)).collect::<Vec<f32>>())
        };
        let params = plan
            .blocks
            .iter()
            .map(|b| {
                let per_channel = Layout::PerChannel(b.output.c);
                let constant = |v: f32| engine.param(per_channel, &vec![v; b.output.c]);
                Tensors {
                    weight: draw(b, 0, b.weight()),
                    bias: draw(b, 1, per_channel),
                    norm: b.has_norm().then(|| (constant(1.0), constant(0.0))),
                }
            })
            .collect();
        let running = plan.blocks.iter().map(|b| b.has_norm().then(|| Running::new(b.output.c))).collect();
        let recompute = vec![false; plan.blocks.len()];
        Network { plan, params, running, recompute }
    }

    /// Zeros in the shape of the parameters, for AdamW's moments.
    pub fn zeros(&self, engine: &E) -> Vec<Tensors<E::Param>> {
        let zero = |l: Layout| zeros(engine, l);
        let of = |b: &Block| {
            let c = Layout::PerChannel(b.output.c);
            Tensors { weight: zero(b.weight()), bias: zero(c), norm: b.has_norm().then(|| (zero(c), zero(c))) }
        };
        self.plan.blocks.iter().map(of).collect()
    }

    /// Dropout masks of one training step: a function of (seed, step, layer, sample), so that nothing needs saving.
    pub fn masks(&self, seed: u64, step: u64, samples: usize) -> Vec<DropMask> {
        let drops = self.plan.blocks.iter().flat_map(|b| &b.fronts).filter(|f| f.front == Front::Dropout);
        drops
            .map(|f| {
                let mut keep = Vec::with_capacity(samples * f.input.len());
                for sample in 0..samples {
                    let mut rng = Rng::at(seed, Purpose::Dropout, step, (f.index as u64) << 32 | sample as u64);
                    let mut bits = 0;
                    for i in 0..f.input.len() {
                        bits = if i % 64 == 0 { rng.bits() } else { bits >> 1 };
                        keep.push(bits & 1 == 1);
                    }
                }
                DropMask { keep }
            })
            .collect()
    }

    /// Forward in evaluation mode: running statistics, no dropout.
    ///
    /// # Errors
    /// Diverged: some layer's currents are not finite.
    pub fn infer(&self, engine: &E, batch: &Batch, method: &Method) -> Result<Output> {
        self.infer_seen(engine, batch, method, &mut |_, _| {})
    }

    /// The same, and every block (from 0) is shown after it has fired.
    ///
    /// # Errors
    /// As [`Network::infer`].
    pub fn infer_seen(&self, engine: &E, batch: &Batch, method: &Method, see: &mut dyn FnMut(usize, Fired<E>)) -> Result<Output> {
        let mut x = engine.input(batch);
        let mut spikes = Vec::new();
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
            check_currents(engine, block, &y)?;
            let moments = self.running[i].as_ref().map(Running::moments);
            let norm = norm_of(p, moments.as_ref());
            let fired = engine.fire(&y, norm.as_ref(), &method.cell(block));
            see(i, Fired { input: &x, currents: &y, norm, spikes: &fired });
            x = fired;
            spikes.push(if method.ann { 0 } else { engine.spike_count(&x) });
        }
        Ok(Output { rates: engine.vote(&x), spikes })
    }

    /// Forward in training mode: statistics of the batch, dropout by `masks` (one per DP, in order).
    /// The running statistics are not touched; see [`Network::updated_running`].
    ///
    /// # Errors
    /// Diverged: some layer's currents are not finite.
    pub fn forward(&self, engine: &E, batch: &Batch, masks: &[DropMask], method: &Method) -> Result<(Output, Tape<E>)> {
        let mut x = engine.input(batch);
        let (mut traces, mut spikes, mut masks) = (Vec::new(), Vec::new(), masks.iter());
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
            let currents = engine.affine(&x, &p.weight, &p.bias);
            inputs.push(x);
            let moments = block.has_norm().then(|| engine.moments(&currents, method.merged_norm));
            match &moments {
                Some(m) if m.mean.iter().chain(&m.var).all(|v| v.is_finite()) => {}
                Some(_) => return Err(not_finite(block, "input currents")),
                None => check_currents(engine, block, &currents)?,
            }
            x = engine.fire(&currents, norm_of(p, moments.as_ref()).as_ref(), &method.cell(block));
            let count = if method.ann { 0 } else { engine.spike_count(&x) };
            let rate = count as f64 / (batch.steps * batch.samples * block.output.len()) as f64;
            let quiet = !method.ann && method.tssl_rate.is_some_and(|limit| rate <= limit);
            let surrogate = if quiet { method.rule.warm_up_surrogate(method.alpha) } else { method.rule.surrogate(method.alpha) };
            let currents = (!self.recompute[i] || moments.is_none()).then_some(currents);
            traces.push(Trace { inputs, currents, moments, surrogate });
            spikes.push(count);
        }
        Ok((Output { rates: engine.vote(&x), spikes }, Tape { traces, votes: x }))
    }

    /// Running statistics after the batch on the tape.
    ///
    /// # Errors
    /// Diverged: they are not finite in f32; names the layer.
    pub fn updated_running(&self, tape: &Tape<E>) -> Result<Vec<Option<Running>>> {
        let pairs = self.running.iter().zip(&tape.traces);
        let running: Vec<Option<Running>> = pairs.map(|(r, t)| Some(r.as_ref()?.updated(t.moments.as_ref()?))).collect();
        let good = |r: &Option<Running>| r.iter().all(|r| r.mean.iter().chain(&r.var).all(|v| v.is_finite()));
        match running.iter().position(|r| !good(r)) {
            Some(i) => Err(not_finite(&self.plan.blocks[i], "running statistics")),
            None => Ok(running),
        }
    }

    /// Back through the tape from dL/d(rates) `[B, classes]`.
    pub fn backward(&self, engine: &E, tape: Tape<E>, d_rates: &[f64], masks: &[DropMask], method: &Method) -> Grads<E> {
        self.backward_seen(engine, tape, d_rates, masks, method, None)
    }

    /// The same, and every block (from the last to 0) is shown before the walk through it, if `see` is there; its currents are then
    /// computed anew at once where they were not kept.
    pub fn backward_seen(
        &self,
        engine: &E,
        tape: Tape<E>,
        d_rates: &[f64],
        masks: &[DropMask],
        method: &Method,
        mut see: Option<See<E>>,
    ) -> Grads<E> {
        let mut grad = Some(engine.vote_backward(&tape.votes, d_rates));
        drop(tape.votes);
        let mut traces = tape.traces;
        let mut masks = masks.iter().rev();
        let mut grads = Vec::new();
        while let (Some(trace), Some(d)) = (traces.pop(), grad.take()) {
            let i = traces.len();
            let (block, p) = (&self.plan.blocks[i], &self.params[i]);
            let norm = norm_of(p, trace.moments.as_ref());
            let mut inputs = trace.inputs;
            let Some(x) = inputs.pop() else { break };
            let need = match traces.last() {
                None => Need::Nothing,
                Some(below) if method.ann || below.surrogate.reads_silent_steps() => Need::Everywhere,
                Some(_) => Need::AtSpikes,
            };
            let cell = method.cell(block);
            let (AffineGrads { weight, input }, bias, norm_grads) = match (trace.currents, norm) {
                (None, Some(norm)) if see.is_none() => {
                    engine.trim();
                    let layer = Layer { weight: &p.weight, bias: &p.bias, norm, cell, surrogate: trace.surrogate };
                    let (affine, norm) = engine.backward_anew(&x, &layer, d, need);
                    (affine, None, Some(norm))
                }
                (currents, norm) => {
                    let y = currents.unwrap_or_else(|| engine.affine(&x, &p.weight, &p.bias));
                    if let Some(see) = &mut see {
                        let norm = norm_of(p, trace.moments.as_ref());
                        see(i, Blamed { currents: &y, norm, surrogate: trace.surrogate, d: &d });
                    }
                    let (e, norm_grads) = engine.fire_backward(y, norm.as_ref(), &cell, trace.surrogate, d);
                    let bias = (!block.has_norm()).then(|| engine.bias_gradient(&e));
                    (engine.affine_backward(&x, &p.weight, e, need), bias, norm_grads)
                }
            };
            // A norm subtracts the mean, so the bias before it has gradient 0; a sum of e would be rounding noise, large where gradients are.
            let bias = bias.unwrap_or_else(|| zeros(engine, Layout::PerChannel(block.output.c)));
            grad = input;
            for (f, x) in block.fronts.iter().zip(&inputs).rev() {
                let mask = if f.front == Front::Dropout { masks.next() } else { None };
                grad = grad.map(|d| match (f.front, mask) {
                    (Front::MaxPool(k), _) => engine.max_pool_backward(x, k, d),
                    (Front::AvgPool(k), _) => engine.avg_pool_backward(x, k, d),
                    (Front::Dropout, Some(mask)) => engine.dropout_backward(mask, d),
                    (Front::Dropout, None) => d,
                });
            }
            grads.push(Tensors { weight, bias, norm: norm_grads.map(|NormGrads { gamma, beta }| (gamma, beta)) });
        }
        grads.reverse();
        grads
    }

    /// The first of `tensors` with an entry beyond ±`bound` (or NaN), by name.
    pub fn first_beyond(&self, engine: &E, tensors: &[Tensors<E::Param>], bound: f32) -> Option<String> {
        self.plan.blocks.iter().zip(tensors).find_map(|(block, t)| {
            let bad = t.each().zip(tensor_names(block)).find(|(p, _)| !engine.all_within(p, bound))?;
            Some(format!("{} ({})", bad.1.0, block.name()))
        })
    }
}

fn zeros<E: Engine>(engine: &E, layout: Layout) -> E::Param {
    engine.param(layout, &vec![0.0; layout.len()])
}

fn norm_of<'a, P>(p: &'a Tensors<P>, moments: Option<&'a Moments>) -> Option<Norm<'a, P>> {
    let (gamma, beta) = p.norm.as_ref()?;
    Some(Norm { gamma, beta, moments: moments? })
}

fn next_mask<'a>(masks: &mut impl Iterator<Item = &'a DropMask>) -> Result<&'a DropMask> {
    masks.next().ok_or_else(|| Error::bug("fewer dropout masks than dropout layers"))
}

fn check_currents<E: Engine>(engine: &E, block: &Block, y: &E::Currents) -> Result<()> {
    if engine.currents_finite(y) { Ok(()) } else { Err(not_finite(block, "input currents")) }
}

/// What to do about a number that is not finite.
pub const LESS: &str = "lower --lr or --alpha, shorten -T, or look for NaN in the data; the last good checkpoint is kept";

fn not_finite(block: &Block, what: &str) -> Error {
    Error::diverged(format!("{what} of layer {} ({}) are not finite", block.index, block.name())).remedy(LESS)
}
