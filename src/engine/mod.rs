//! The contract: what a device must be able to do, and nothing more.
//!
//! The layers ([`crate::network`]) are written once over this trait. An engine picks its own buffers, layouts and spike
//! encoding (associated types) and decides *how*; *what* is computed is the same everywhere, and one set of conformance tests
//! runs over all engines.
//!
//! Every value is passed in and returned; engines hold no state of a network. All shapes below are logical; the
//! layout in memory is the engine's business.
//!
//! Letters: T steps, B samples, C, H, W channels and positions, K kernel side, λ decay.

pub mod cpu;
pub mod reference;

use crate::neuron::{Lif, Surrogate};
use crate::shape::Chw;

/// Momentum of the running statistics (PyTorch's default).
pub const BN_MOMENTUM: f64 = 0.1;
/// Added to the variance under the root (PyTorch's default).
pub const BN_EPS: f64 = 1e-5;
/// Output neurons that vote for one class.
pub const VOTERS: usize = 10;

/// The largest gradient that a step can be made of: its square, which AdamW sums in f32, is finite.
pub const LARGEST: f32 = 1e18;

/// A batch on the host, ready for any engine.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One sample at one step.
    pub shape: Chw,
    /// B, number of samples.
    pub samples: usize,
    /// T, number of time steps.
    pub steps: usize,
    /// The values.
    pub input: Input,
}

/// The two ways to feed a network.
#[derive(Clone, Debug)]
pub enum Input {
    /// Direct encoding: `[B,C,H,W]`, the same input current at each of the T steps.
    Direct(Vec<f32>),
    /// Frames of events: `[T,B,C,H,W]` counts.
    Frames(Vec<f32>),
}

/// What a parameter is; tells an engine how to lay it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Convolution weights `[out, in, K, K]`.
    Conv {
        /// Output channels.
        out: usize,
        /// Input channels.
        inp: usize,
        /// K, odd; padding (K-1)/2, stride 1.
        k: usize,
    },
    /// Linear weights `[out, in]`, inputs flattened in C,H,W order.
    Linear {
        /// Output units.
        out: usize,
        /// Shape of the layer's input.
        inp: Chw,
    },
    /// One number per output channel or unit: bias, γ, β.
    PerChannel(usize),
}

impl Layout {
    /// Number of parameters.
    pub fn len(&self) -> usize {
        match *self {
            Layout::Conv { out, inp, k } => out * inp * k * k,
            Layout::Linear { out, inp } => out * inp.len(),
            Layout::PerChannel(n) => n,
        }
    }
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Batch statistics of a layer's currents, in f64 on the host: `rows` x C, row-major.
/// rows = T under per-step BatchNorm of frames, else 1. For a static input, whose currents are the same at all T steps, an engine that computes them
/// once returns one row and `repeats` = T; one that computes every step returns T rows (per-step).
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean per row and channel.
    pub mean: Vec<f64>,
    /// Biased variance per row and channel.
    pub var: Vec<f64>,
    /// Number of rows.
    pub rows: usize,
    /// C.
    pub channels: usize,
    /// Elements behind each entry (B·H·W, or T·B·H·W under `merged`), for the unbiased variance.
    pub count: usize,
    /// How often each row stands for equal statistics of successive steps (T for a once-computed static layer under per-step, else 1).
    pub repeats: usize,
}

/// BatchNorm as a layer applies it: z = γ (y - mean)/sqrt(var + eps) + β. Moments with one row serve every step
/// (evaluation, `merged`, static input).
pub struct Norm<'a, P> {
    /// γ `[C]`.
    pub gamma: &'a P,
    /// β `[C]`.
    pub beta: &'a P,
    /// Of the batch in training, the running ones in evaluation.
    pub moments: &'a Moments,
}

/// What happens to a layer's currents after the norm.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// ReLU before the neuron (convolutions and hidden FC layers; not the voters).
    pub relu: bool,
    /// The neuron.
    pub neuron: Neuron,
}

/// The neuron model of a pass.
#[derive(Clone, Copy, Debug)]
pub enum Neuron {
    /// Leaky integrate-and-fire.
    Lif(Lif),
    /// The `ann` warm-up: the neuron passes its current on, no state, no spikes.
    Identity,
}

/// Which entries of the gradient with respect to a layer's input will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// None: the first layer.
    Nothing,
    /// Only where the input is not zero (bpsa, bpsa+bpta). Other entries may hold anything finite.
    AtSpikes,
    /// All (stbp, tssl, ann).
    Everywhere,
}

/// A weight layer with what follows it.
pub struct Layer<'a, P> {
    /// Weights.
    pub weight: &'a P,
    /// Bias.
    pub bias: &'a P,
    /// BatchNorm, with the batch's statistics.
    pub norm: Norm<'a, P>,
    /// ReLU and neuron.
    pub cell: Cell,
    /// Of the backward pass.
    pub surrogate: Surrogate,
}

/// [`Engine::backward_anew`] with the currents of all samples.
pub fn backward_at_once<E: Engine + ?Sized>(
    engine: &E,
    x: &E::Acts,
    layer: &Layer<E::Param>,
    d: E::Grad,
    need: Need,
) -> (AffineGrads<E>, NormGrads<E>) {
    let y = engine.affine(x, layer.weight, layer.bias);
    let (e, norm) = engine.fire_backward(y, Some(&layer.norm), &layer.cell, layer.surrogate, d);
    (engine.affine_backward(x, layer.weight, e, need), norm.expect("a layer with a norm has its gradients"))
}

/// Gradients of one weight layer, but for its bias ([`Engine::bias_gradient`]).
pub struct AffineGrads<E: Engine + ?Sized> {
    /// dL/dW, laid out as the weights.
    pub weight: E::Param,
    /// dL/d(input), absent under [`Need::Nothing`].
    pub input: Option<E::Grad>,
}

/// Gradients of BatchNorm's affine.
pub struct NormGrads<E: Engine + ?Sized> {
    /// dL/dγ.
    pub gamma: E::Param,
    /// dL/dβ.
    pub beta: E::Param,
}

/// Constants of one AdamW step (Loshchilov & Hutter; PyTorch's order of operations):
/// p -= lr·wd·p;  m += (1-β1)(g-m);  v = β2 v + (1-β2) g²;  p -= lr/(1-β1^n) · m / (sqrt(v)/sqrt(1-β2^n) + eps).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate of this step.
    pub lr: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// β1.
    pub beta1: f64,
    /// β2.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// n, counted from 1.
    pub step: u64,
}

/// Where one dropout stands: multipliers 0 or 2, one per neuron and sample, the same at all T steps.
#[derive(Clone, Debug)]
pub struct DropMask {
    /// `[B,C,H,W]`, true = kept (multiplied by 2), false = multiplied by 0.
    pub keep: Vec<bool>,
}

/// A device that can run the layers.
pub trait Engine: Sync {
    /// What flows between layers: spikes, graded spikes (after average pooling or dropout) or reals; logically `[T,B,C,H,W]`.
    type Acts: Send;
    /// Input currents of a layer, later their gradients; logically `[T,B,C,H,W]`, or `[B,C,H,W]` standing for all T steps.
    type Currents: Send;
    /// dL/d(Acts), as far as it was needed.
    type Grad: Send;
    /// A parameter, its gradient or one of its AdamW moments.
    type Param: Send + Sync;

    /// For messages and files.
    fn name(&self) -> &'static str;
    /// Gives back memory that is kept for the next step of the same kind; called when another kind of work begins.
    fn trim(&self) {}

    /// Brings a parameter (`host.len() == layout.len()`, order as in [`Layout`]) to the device.
    fn param(&self, layout: Layout, host: &[f32]) -> Self::Param;
    /// Back to the host, in the same order.
    fn host(&self, p: &Self::Param) -> Vec<f32>;
    /// One AdamW step on one parameter.
    fn adamw(&self, p: &mut Self::Param, m: &mut Self::Param, v: &mut Self::Param, grad: &Self::Param, c: &AdamW);
    /// Activations back to the host, `[T,B,C,H,W]`; to look at, not to compute with.
    fn host_acts(&self, x: &Self::Acts) -> Vec<f32>;
    /// Currents back to the host, `[T,B,C,H,W]`.
    fn host_currents(&self, y: &Self::Currents) -> Vec<f32>;
    /// A gradient back to the host, `[T,B,C,H,W]`; entries that were not needed ([`Need`]) hold anything finite.
    fn host_grad(&self, d: &Self::Grad) -> Vec<f32>;
    /// Whether all entries are within ±`bound` (NaN is not).
    fn all_within(&self, p: &Self::Param, bound: f32) -> bool;

    /// Brings a batch to the device.
    fn input(&self, batch: &Batch) -> Self::Acts;
    /// Number of nonzero entries over T, B and neurons (spikes, where `x` comes from a LIF layer).
    fn spike_count(&self, x: &Self::Acts) -> u64;

    /// Non-overlapping max pooling of side k, floor: an OR of spikes.
    fn max_pool(&self, x: &Self::Acts, k: usize) -> Self::Acts;
    /// To the first maximum of each window in row-major order; `x` is the pool's input.
    fn max_pool_backward(&self, x: &Self::Acts, k: usize, d: Self::Grad) -> Self::Grad;
    /// Non-overlapping average pooling of side k, floor: counts 0..k² times 1/k².
    fn avg_pool(&self, x: &Self::Acts, k: usize) -> Self::Acts;
    /// 1/k² to every element of each window; `x` is the pool's input.
    fn avg_pool_backward(&self, x: &Self::Acts, k: usize, d: Self::Grad) -> Self::Grad;
    /// Multiplies by the mask.
    fn dropout(&self, x: &Self::Acts, mask: &DropMask) -> Self::Acts;
    /// Multiplies by the mask.
    fn dropout_backward(&self, mask: &DropMask, d: Self::Grad) -> Self::Grad;

    /// Currents of a convolution or linear layer (which one, the weight's layout says): `y = W x + b`.
    fn affine(&self, x: &Self::Acts, weight: &Self::Param, bias: &Self::Param) -> Self::Currents;
    /// Its gradients; takes `e` = dL/dy, whose memory may become that of dL/dx.
    fn affine_backward(&self, x: &Self::Acts, weight: &Self::Param, e: Self::Currents, need: Need) -> AffineGrads<Self>;
    /// [`Engine::fire_backward`] and [`Engine::affine_backward`] of a layer with a norm whose currents were not kept: computes them
    /// anew, from `d`, the gradient of its spikes. An engine may take the samples in parts, so that all currents never exist at once.
    fn backward_anew(&self, x: &Self::Acts, layer: &Layer<Self::Param>, d: Self::Grad, need: Need) -> (AffineGrads<Self>, NormGrads<Self>) {
        backward_at_once(self, x, layer, d, need)
    }
    /// dL/db: the sum of e = dL/dy over T, B and positions.
    fn bias_gradient(&self, e: &Self::Currents) -> Self::Param;

    /// Batch statistics per time step, or over all steps if `merged`.
    fn moments(&self, y: &Self::Currents, merged: bool) -> Moments;
    /// Norm → ReLU → neuron over T.
    fn fire(&self, y: &Self::Currents, norm: Option<&Norm<Self::Param>>, cell: &Cell) -> Self::Acts;
    /// Back through neuron, ReLU and norm (with the batch's statistics): takes y, gives e = dL/dy in its place. The membrane potentials are computed anew.
    fn fire_backward(
        &self,
        y: Self::Currents,
        norm: Option<&Norm<Self::Param>>,
        cell: &Cell,
        surrogate: Surrogate,
        d: Self::Grad,
    ) -> (Self::Currents, Option<NormGrads<Self>>);
    /// Whether all currents are finite. A NaN never exceeds the threshold, so it would hide as silence.
    fn currents_finite(&self, y: &Self::Currents) -> bool;

    /// Output: mean over T and over each contiguous group of [`VOTERS`] units. `[B, classes]`, row-major.
    fn vote(&self, x: &Self::Acts) -> Vec<f64>;
    /// Its gradient, from dL/d(rates) `[B, classes]`; `x` is the input of [`Engine::vote`].
    fn vote_backward(&self, x: &Self::Acts, d_rates: &[f64]) -> Self::Grad;
}
