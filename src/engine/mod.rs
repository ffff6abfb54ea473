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

mod batch;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod memory;
pub mod parts;
pub mod reference;

pub use batch::{Batch, DropMask, Input};
pub use parts::Cut;

use crate::error::Result;
use crate::neuron::{Lif, Surrogate};
pub use crate::plan::VOTERS;
pub use crate::shape::Layout;
pub use crate::values::{Normalization, Values};
use memory::MemoryPlan;

/// Version of the numerics: where it differs, the last bits of training do, and nothing else. 1: before sums over a batch were cut into
/// eight parts by samples.
pub const NUMERICS: u32 = 2;

/// Momentum of the running statistics (PyTorch's default).
pub const BN_MOMENTUM: f64 = 0.1;
/// Added to the variance under the root (PyTorch's default).
pub const BN_EPS: f64 = 1e-5;

/// The largest gradient that a step can be made of: its square, which AdamW sums in f32, is finite.
pub const LARGEST: f32 = 1e18;

/// Batch statistics of a layer's currents as a host holds them, in f64: `rows` x C, row-major. Engines whose device is the host
/// compute with these; others show theirs so ([`Engine::host_moments`]).
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

impl Moments {
    /// Whether all of them are finite.
    pub fn is_finite(&self) -> bool {
        self.mean.iter().chain(&self.var).all(|v| v.is_finite())
    }

    /// Running statistics (`[C]`) as those of an evaluation pass: one row for every step.
    pub fn of_running(mean: impl Iterator<Item = f64>, var: impl Iterator<Item = f64>) -> Moments {
        let (mean, var): (Vec<f64>, Vec<f64>) = (mean.collect(), var.collect());
        Moments { channels: mean.len(), mean, var, rows: 1, count: 1, repeats: 1 }
    }

    /// Running mean and variance of channel `c` after this batch, in f32: one update per row of statistics; a row that stands for
    /// `repeats` equal steps uses the closed form r ← 0.9^n r + (1 - 0.9^n) s. The variance is the unbiased one.
    pub fn update(&self, c: usize, mean: f64, var: f64) -> [f32; 2] {
        let keep = (1.0 - BN_MOMENTUM).powi(self.repeats as i32);
        let unbiased = self.count as f64 / (self.count as f64 - 1.0);
        let mix = |old: f64, new: &[f64], factor: f64| {
            let step = |r: f64, row: usize| keep * r + (1.0 - keep) * factor * new[row * self.channels + c];
            (0..self.rows).fold(old, step) as f32
        };
        [mix(mean, &self.mean, 1.0), mix(var, &self.var, unbiased)]
    }
}

/// Running mean and (unbiased) variance of a layer's currents, `[C]` each: parameters that no gradient moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Running<P> {
    /// Starts at 0.
    pub mean: P,
    /// Starts at 1.
    pub var: P,
}

impl<P> Running<P> {
    /// The same, borrowed.
    pub fn as_ref(&self) -> Running<&P> {
        Running { mean: &self.mean, var: &self.var }
    }

    /// Mean, then variance.
    pub fn each(&self) -> impl Iterator<Item = &P> {
        [&self.mean, &self.var].into_iter()
    }
}

/// BatchNorm as a layer applies it: z = γ (y - mean)/sqrt(var + eps) + β. Moments with one row serve every step
/// (evaluation, `merged`, static input).
pub struct Norm<'a, P, M = Moments> {
    /// γ `[C]`.
    pub gamma: &'a P,
    /// β `[C]`.
    pub beta: &'a P,
    /// Of the batch in training, the running ones in evaluation.
    pub moments: &'a M,
}

/// [`Norm`] of an engine.
pub type NormOf<'a, E> = Norm<'a, <E as Engine>::Param, <E as Engine>::Moments>;

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

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Forward and back: what the way back needs is kept.
    Training,
    /// Forward only.
    Inference,
}

/// A weight layer with what follows it, whose currents are recomputed on the way back ([`Engine::backward_recomputed`]).
pub struct Recomputed<'a, P, M = Moments> {
    /// Weights.
    pub weight: &'a P,
    /// Bias.
    pub bias: &'a P,
    /// BatchNorm, with the batch's statistics.
    pub norm: Norm<'a, P, M>,
    /// ReLU and neuron.
    pub cell: Cell,
    /// Of the backward pass.
    pub surrogate: Surrogate,
}

/// [`Recomputed`] of an engine.
pub type RecomputedOf<'a, E> = Recomputed<'a, <E as Engine>::Param, <E as Engine>::Moments>;

/// [`Engine::backward_recomputed`] with the currents of all samples.
pub fn backward_at_once<E: Engine + ?Sized>(
    engine: &E,
    x: &E::Acts,
    layer: &RecomputedOf<E>,
    d: E::Grad,
    need: Need,
) -> (AffineGradsOf<E>, NormGrads<E::Param>) {
    let y = engine.affine(x, layer.weight, layer.bias);
    let (e, norm) = engine.fire_backward(y, Some(&layer.norm), &layer.cell, layer.surrogate, d);
    (engine.affine_backward(x, layer.weight, e, need), norm.expect("a layer with a norm has its gradients"))
}

/// Gradients of one weight layer, but for its bias ([`Engine::bias_gradient`]).
pub struct AffineGrads<P, G> {
    /// dL/dW, laid out as the weights.
    pub weight: P,
    /// dL/d(input), absent under [`Need::Nothing`].
    pub input: Option<G>,
}

/// [`AffineGrads`] of an engine.
pub type AffineGradsOf<E> = AffineGrads<<E as Engine>::Param, <E as Engine>::Grad>;

/// Gradients of BatchNorm's affine.
pub struct NormGrads<P> {
    /// dL/dγ.
    pub gamma: P,
    /// dL/dβ.
    pub beta: P,
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

/// A device that can run the layers.
///
/// # What comes back to the host, and when a device has failed
///
/// Primitives give what stays on the device, and may give it before it is computed. Only the calls that end in a [`Result`] wait for the
/// device: [`Engine::read`] and [`Engine::vote`], of which a training step makes one each, and the `host` calls, with which a network is
/// saved or looked at.
///
/// Other primitives cannot fail. A device that is lost, or has no memory left, remembers it and from then on gives values without
/// meaning; the next call that waits says so, and so does every later one. A training step waits for the last time before anything is
/// changed, so weights without meaning are never saved: a device that fails later than that fails the next call, and saving is one.
pub trait Engine: Sync {
    /// What flows between layers: spikes, graded spikes (after average pooling or dropout) or reals; logically `[T,B,C,H,W]`.
    type Acts: Send;
    /// Input currents of a layer, later their gradients; logically `[T,B,C,H,W]`, or `[B,C,H,W]` standing for all T steps.
    type Currents: Send;
    /// dL/d(Acts), as far as it was needed.
    type Grad: Send;
    /// A parameter, its gradient, one of its AdamW moments or a running statistic.
    type Param: Send + Sync;
    /// Batch statistics of a layer's currents ([`Moments`]).
    type Moments: Send;
    /// A number that the device has noted, or is going to; [`Engine::read`] brings many of them to the host at once.
    type Note: Send;

    /// For messages and files.
    fn name(&self) -> &'static str;
    /// What its passes take of memory.
    fn memory(&self) -> &'static dyn MemoryPlan;

    /// The numbers behind these notes. Waits for the device.
    ///
    /// # Errors
    /// The device has failed, or has no memory left.
    fn read(&self, notes: &[Self::Note]) -> Result<Vec<u64>>;
    /// Brings a parameter (`host.len() == layout.len()`, order as in [`Layout`]) to the device.
    fn param(&self, layout: Layout, host: &[f32]) -> Self::Param;
    /// A parameter whose entries are all `value`, made on the device.
    fn constant(&self, layout: Layout, value: f32) -> Self::Param;
    /// Back to the host, in the same order. Waits for the device.
    ///
    /// # Errors
    /// As [`Engine::read`]; so have all `host` calls.
    fn host(&self, p: &Self::Param) -> Result<Vec<f32>>;
    /// Adds a gradient to another of the same layout, entry by entry: sums of parts of a batch, in the tree of [`parts`].
    fn add(&self, into: &mut Self::Param, other: &Self::Param);
    /// One AdamW step on one parameter.
    fn adamw(&self, p: &mut Self::Param, m: &mut Self::Param, v: &mut Self::Param, grad: &Self::Param, c: &AdamW);
    /// Activations back to the host, `[T,B,C,H,W]`; to look at, not to compute with.
    fn host_acts(&self, x: &Self::Acts) -> Result<Vec<f32>>;
    /// Currents back to the host, `[T,B,C,H,W]`.
    fn host_currents(&self, y: &Self::Currents) -> Result<Vec<f32>>;
    /// A gradient back to the host, `[T,B,C,H,W]`; entries that were not needed ([`Need`]) hold anything finite.
    fn host_grad(&self, d: &Self::Grad) -> Result<Vec<f32>>;
    /// Batch statistics back to the host.
    fn host_moments(&self, m: &Self::Moments) -> Result<Moments>;
    /// 1 if all entries are within ±`bound` (NaN is not), else 0.
    fn all_within(&self, p: &Self::Param, bound: f32) -> Self::Note;

    /// Begins a pass: brings a batch to the device as it is stored, and makes of it what the network reads. An engine that keeps memory
    /// for the next pass of the same kind gives it back when one of another kind begins.
    fn input(&self, batch: &Batch, pass: Pass) -> Self::Acts;
    /// Number of nonzero entries over T, B and neurons (spikes, where `x` comes from a LIF layer).
    fn spike_count(&self, x: &Self::Acts) -> Self::Note;

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
    fn affine_backward(&self, x: &Self::Acts, weight: &Self::Param, e: Self::Currents, need: Need) -> AffineGradsOf<Self>;
    /// [`Engine::fire_backward`] and [`Engine::affine_backward`] of a layer with a norm whose currents were not kept: recomputes them
    /// from `d`, the gradient of its spikes. An engine may take the samples in parts, so that all currents never exist at once.
    fn backward_recomputed(
        &self,
        x: &Self::Acts,
        layer: &RecomputedOf<Self>,
        d: Self::Grad,
        need: Need,
    ) -> (AffineGradsOf<Self>, NormGrads<Self::Param>) {
        backward_at_once(self, x, layer, d, need)
    }
    /// dL/db: the sum of e = dL/dy over T, B and positions.
    fn bias_gradient(&self, e: &Self::Currents) -> Self::Param;

    /// Batch statistics per time step, or over all steps if `merged`.
    fn moments(&self, y: &Self::Currents, merged: bool) -> Self::Moments;
    /// 1 if all of them are finite, else 0.
    fn moments_finite(&self, m: &Self::Moments) -> Self::Note;
    /// Running statistics as an evaluation pass applies them.
    fn running_moments(&self, running: Running<&Self::Param>) -> Self::Moments;
    /// Running statistics after a batch with these statistics ([`Moments::update`]).
    fn update_running(&self, running: Running<&Self::Param>, m: &Self::Moments) -> Running<Self::Param>;
    /// Norm → ReLU → neuron over T.
    fn fire(&self, y: &Self::Currents, norm: Option<&NormOf<Self>>, cell: &Cell) -> Self::Acts;
    /// Back through neuron, ReLU and norm (with the batch's statistics): takes y, gives e = dL/dy in its place. The membrane potentials are recomputed.
    fn fire_backward(
        &self,
        y: Self::Currents,
        norm: Option<&NormOf<Self>>,
        cell: &Cell,
        surrogate: Surrogate,
        d: Self::Grad,
    ) -> (Self::Currents, Option<NormGrads<Self::Param>>);
    /// 1 if all currents are finite, else 0. A NaN never exceeds the threshold, so it would hide as silence.
    fn currents_finite(&self, y: &Self::Currents) -> Self::Note;

    /// Output: the spikes of each contiguous group of [`VOTERS`] units at every step, `[T, B, classes]`, row-major; and, on the way, the
    /// numbers behind `notes`. Waits for the device.
    ///
    /// # Errors
    /// As [`Engine::read`].
    fn vote(&self, x: &Self::Acts, notes: &[Self::Note]) -> Result<(Vec<f64>, Vec<u64>)>;
    /// Its gradient; `x` is the input of [`Engine::vote`]. `d_rates` is dL/d(rates): `[B, classes]` of rates over all steps, or
    /// `[T, B, classes]` of the rates of each step, where every step has a loss of its own.
    fn vote_backward(&self, x: &Self::Acts, d_rates: &[f64]) -> Self::Grad;
}
