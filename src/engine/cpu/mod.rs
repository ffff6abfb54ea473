//! The event-driven engine for CPUs.
//!
//! Under bpsa and bpsa+bpta a layer's forward pass, its weight gradient and its input gradient all cost in proportion to the
//! spikes of its input (method, section 2). Where they live: `field` (values and spike words), `lists` (spikes as work
//! lists), `conv`, `conv_spikes` and `rows`, `conv_back`, `conv_walk` and `walk`, `linear`, `tables`, `linear_back` and `linear_sparse`
//! (kernels over lists, with `dense` beside them for reals), `pool` (word arithmetic), `fire` and `fire_back` (norm, neuron), `grad` (gradients that are spread only when read), `simd` (instruction sets).
//!
//! Results depend on data only: work is cut by shape, sums over a batch by samples ([`super::parts`]), so that any number of threads
//! gives the same bits.

mod buffer;
mod conv;
mod conv_back;
mod conv_spikes;
mod conv_tiles;
mod conv_walk;
mod dense;
mod field;
mod fire;
mod fire_back;
mod grad;
mod linear;
mod linear_back;
mod linear_sparse;
mod lists;
mod memory;
mod param;
mod pool;
mod recompute;
mod rows;
mod simd;
#[cfg(test)]
mod sweep;
mod tables;
#[cfg(test)]
mod tests;
mod vote;
mod walk;

pub use field::{Acts, Field, Spikes};
pub use grad::Grad;
pub use memory::CpuMemory;
pub use param::Param;
pub use simd::Isa;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use buffer::{Pool, Source};

use super::memory::MemoryPlan;
use super::{AdamW, AffineGrads, Batch, Cell, DropMask, Engine, Layout, Moments, Need, Norm, NormGrads, Pass, Recomputed, Running};
use crate::error::Result;
use crate::neuron::Surrogate;

/// Numbers that are copied to the host only after the buffers that wait were given back.
const LARGE_COPY: usize = 1 << 18;

/// The CPU engine: the instruction set it runs, and buffers that wait for use. Parameters and what a pass has made may outlive it.
#[derive(Debug)]
pub struct Cpu {
    isa: Isa,
    pool: Arc<Pool>,
    /// What the last pass was: its purpose, samples and steps.
    last: Mutex<Option<(Pass, usize, usize)>>,
}

/// With the same instruction set, and buffers of its own.
impl Clone for Cpu {
    fn clone(&self) -> Cpu {
        Cpu::with_isa(self.isa)
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Cpu::new()
    }
}

impl Cpu {
    /// With the widest instruction set of this processor.
    pub fn new() -> Cpu {
        Cpu::with_isa(Isa::best())
    }

    /// For messages: `avx512`, `avx2`, `neon` or `portable`.
    pub fn instruction_set(&self) -> &'static str {
        self.isa.name()
    }

    /// With a given instruction set, one of [`Isa::available`].
    pub fn with_isa(isa: Isa) -> Cpu {
        Cpu { isa, pool: Pool::new(), last: Mutex::new(None) }
    }

    /// Before a copy of so many numbers on the host.
    fn make_room(&self, numbers: usize) {
        if numbers >= LARGE_COPY {
            self.pool.trim();
        }
    }

    /// What the last pass was; a plain value, whole even if a thread panicked with it in hand.
    fn last(&self) -> MutexGuard<'_, Option<(Pass, usize, usize)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self) -> Source {
        Source::of(&self.pool)
    }
}

impl Engine for Cpu {
    type Acts = Acts;
    type Currents = Field;
    type Grad = Grad;
    type Param = Param;
    type Moments = Moments;
    type Note = u64;

    fn name(&self) -> &'static str {
        "cpu"
    }

    fn memory(&self) -> &'static dyn MemoryPlan {
        &CpuMemory
    }

    fn param(&self, layout: Layout, host: &[f32]) -> Param {
        Param::from_host(&self.source(), layout, host)
    }

    fn constant(&self, layout: Layout, value: f32) -> Param {
        Param::constant(&self.source(), layout, value)
    }

    fn read(&self, notes: &[u64]) -> Result<Vec<u64>> {
        Ok(notes.to_vec())
    }

    fn host(&self, p: &Param) -> Result<Vec<f32>> {
        self.make_room(p.layout.len());
        Ok(p.to_host())
    }

    fn add(&self, into: &mut Param, other: &Param) {
        param::add(self.isa, into, other);
    }

    fn adamw(&self, p: &mut Param, m: &mut Param, v: &mut Param, grad: &Param, c: &AdamW) {
        param::adamw(self.isa, p, m, v, grad, c);
    }

    fn host_acts(&self, x: &Acts) -> Result<Vec<f32>> {
        Ok(x.to_host())
    }

    fn host_currents(&self, y: &Field) -> Result<Vec<f32>> {
        self.make_room(y.steps * y.samples * y.shape.len());
        Ok(y.to_host())
    }

    fn host_grad(&self, d: &Grad) -> Result<Vec<f32>> {
        self.make_room(d.steps * d.samples * d.shape.len());
        Ok(d.to_host(self.isa))
    }

    fn host_moments(&self, m: &Moments) -> Result<Moments> {
        Ok(m.clone())
    }

    fn all_within(&self, p: &Param, bound: f32) -> u64 {
        p.all_within(self.isa, bound).into()
    }

    fn input(&self, batch: &Batch, pass: Pass) -> Acts {
        // A pass of another kind asks for buffers of other sizes.
        let this = Some((pass, batch.samples, batch.steps));
        if std::mem::replace(&mut *self.last(), this) != this {
            self.pool.trim();
        }
        Acts::from_batch(&self.source(), batch)
    }

    fn spike_count(&self, x: &Acts) -> u64 {
        x.nonzero(self.isa)
    }

    fn max_pool(&self, x: &Acts, k: usize) -> Acts {
        pool::max(x, k)
    }

    fn max_pool_backward(&self, x: &Acts, k: usize, d: Grad) -> Grad {
        d.through_max(k, x)
    }

    fn avg_pool(&self, x: &Acts, k: usize) -> Acts {
        pool::avg(x, k)
    }

    fn avg_pool_backward(&self, x: &Acts, k: usize, d: Grad) -> Grad {
        d.through_avg(k, x.shape())
    }

    fn dropout(&self, x: &Acts, mask: &DropMask) -> Acts {
        pool::dropout(x, mask)
    }

    fn dropout_backward(&self, mask: &DropMask, d: Grad) -> Grad {
        d.through_dropout(mask)
    }

    fn affine(&self, x: &Acts, weight: &Param, bias: &Param) -> Field {
        match weight.layout {
            Layout::Conv { .. } => conv::forward(self.isa, x, weight, bias),
            Layout::Linear { .. } | Layout::PerChannel(_) => linear::forward(self.isa, x, weight, bias),
        }
    }

    fn affine_backward(&self, x: &Acts, weight: &Param, e: Field, need: Need) -> AffineGrads<Param, Grad> {
        let (weight, input) = match weight.layout {
            Layout::Conv { .. } => conv_back::backward(self.isa, x, weight, e, need),
            Layout::Linear { .. } | Layout::PerChannel(_) => linear_back::backward(self.isa, x, weight, &e, need),
        };
        AffineGrads { weight, input }
    }

    fn backward_recomputed(
        &self,
        x: &Acts,
        layer: &Recomputed<Param>,
        d: Grad,
        need: Need,
    ) -> (AffineGrads<Param, Grad>, NormGrads<Param>) {
        self.pool.trim();
        if x.stored() < x.steps() {
            return super::backward_at_once(self, x, layer, d, need);
        }
        let (weight, input, (gamma, beta)) = recompute::backward(self.isa, x, layer, &d, need);
        // What waits after this way back is of other sizes than the next pass asks for.
        *self.last() = None;
        (AffineGrads { weight, input }, NormGrads { gamma, beta })
    }

    fn bias_gradient(&self, e: &Field) -> Param {
        linear::bias_gradient(e)
    }

    fn moments(&self, y: &Field, merged: bool) -> Moments {
        fire::moments(self.isa, y, merged)
    }

    fn moments_finite(&self, m: &Moments) -> u64 {
        m.is_finite().into()
    }

    fn running_moments(&self, running: Running<&Param>) -> Moments {
        let wide = |p: &Param| p.to_host().into_iter().map(f64::from);
        Moments::of_running(wide(running.mean), wide(running.var))
    }

    fn update_running(&self, running: Running<&Param>, m: &Moments) -> Running<Param> {
        let old = running.mean.to_host().into_iter().zip(running.var.to_host()).enumerate();
        let (mean, var): (Vec<f32>, Vec<f32>) = old.map(|(c, (mean, var))| m.update(c, mean.into(), var.into()).into()).unzip();
        let per_channel = |values: &[f32]| Param::from_host(&self.source(), Layout::PerChannel(m.channels), values);
        Running { mean: per_channel(&mean), var: per_channel(&var) }
    }

    fn fire(&self, y: &Field, norm: Option<&Norm<Param>>, cell: &Cell) -> Acts {
        fire::fire(self.isa, y, norm, cell)
    }

    fn fire_backward(
        &self,
        mut y: Field,
        norm: Option<&Norm<Param>>,
        cell: &Cell,
        surrogate: Surrogate,
        d: Grad,
    ) -> (Field, Option<NormGrads<Param>>) {
        let grads = fire_back::fire_backward(self.isa, &mut y, norm, cell, surrogate, &d);
        (y, grads.map(|(gamma, beta)| NormGrads { gamma, beta }))
    }

    fn currents_finite(&self, y: &Field) -> u64 {
        param::all_within(self.isa, &y.data, f32::MAX).into()
    }

    fn vote(&self, x: &Acts, notes: &[u64]) -> Result<(Vec<f64>, Vec<u64>)> {
        Ok((vote::vote(x), notes.to_vec()))
    }

    fn vote_backward(&self, x: &Acts, d_rates: &[f64]) -> Grad {
        vote::vote_backward(x, d_rates)
    }
}
