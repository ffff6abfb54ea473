//! The engine for graphics cards, of any maker: WGSL kernels on wgpu (Vulkan, Metal, DX12). `docs/gpu.md` says how each works and why.
//!
//! The host side knows buffers, launches and one way to wait (`device`); kernels are texts (`kernels`, `wgsl/`). Layers are matrix products over
//! tiles that decode spikes on the fly (`products`), norm and neuron are one launch over all T (`fire`), pools work on words (`pools`).
//!
//! A card gives the same bits from run to run: sums have a fixed tree, and no sum of reals is an atomic. Another card, or another driver, may
//! differ in last bits.

mod adapters;
mod device;
mod fire;
mod kernels;
mod memory;
mod params;
mod pools;
mod products;
#[cfg(test)]
mod tests;
mod transfer;
mod values;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use adapters::{Adapter, Profile, adapters, open, opened};
pub use device::Traffic;
use device::{Buffer, Device};
pub use memory::GpuMemory;
use params::NoteList;
pub use values::{Acts, Moments, Note, Param, Reals};

use super::memory::MemoryPlan;
use super::{AdamW, AffineGrads, Batch, Cell, DropMask, Engine, Layout, Need, Norm, NormGrads, Pass, Running};
use crate::error::{Error, Result};
use crate::neuron::Surrogate;

/// A graphics card that has been opened; clones are the same card.
#[derive(Clone)]
pub struct Gpu {
    device: Arc<Device>,
    /// Stands where a kernel reads nothing.
    nothing: Arc<Buffer>,
    /// Stands where a kernel writes nothing.
    scratch: Arc<Buffer>,
    notes: Arc<Mutex<NoteList>>,
    /// What the last pass was: its purpose, samples and steps.
    last: Arc<Mutex<Option<(Pass, usize, usize)>>>,
}

impl Gpu {
    fn new(device: Device) -> Gpu {
        let device = Arc::new(device);
        let buffer = || Arc::new(device.zeros(4));
        Gpu { nothing: buffer(), scratch: buffer(), notes: Arc::default(), last: Arc::default(), device }
    }

    /// The adapter's name and driver.
    pub fn about(&self) -> &str {
        self.device.about()
    }

    /// Whether a step of so many bytes, in buffers of at most `largest`, can be had at this moment.
    ///
    /// # Errors
    /// Memory: it cannot.
    pub fn holds(&self, bytes: usize, largest: usize) -> Result<()> {
        let (mb, device) = (|n: u64| n.div_ceil(1_000_000), &self.device);
        let short = |what: String| Err(Error::memory(what));
        if largest as u64 > device.largest() {
            let (needs, has) = (mb(largest as u64), mb(device.largest()));
            return short(format!("a step needs a buffer of {needs} MB, {} gives {has} MB at most", self.about()));
        }
        if !device.has(bytes as u64) {
            return short(format!("a step needs about {} MB, and {} does not have them left", mb(bytes as u64), self.about()));
        }
        Ok(())
    }

    /// By kernel, since this was asked last: launches, and words of 32 bits that they were shown. A sweep reads or writes each of them once; a
    /// product reads them once for each of its tiles.
    pub fn take_traffic(&self) -> Traffic {
        self.device.take_traffic()
    }

    fn notes(&self) -> MutexGuard<'_, NoteList> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reals whose values are still to be written.
    fn reals(&self, extent: values::Extent, stored: usize) -> Reals {
        Reals { extent, stored, data: self.device.buffer(extent.neurons() * stored) }
    }
}

impl Engine for Gpu {
    type Acts = Acts;
    type Currents = Reals;
    type Grad = Reals;
    type Param = Param;
    type Moments = Moments;
    type Note = Note;

    fn name(&self) -> &'static str {
        "gpu"
    }

    fn memory(&self) -> &'static dyn MemoryPlan {
        &GpuMemory
    }

    fn read(&self, notes: &[Note]) -> Result<Vec<u64>> {
        Ok(self.read_with(&[], notes)?.1)
    }

    fn param(&self, layout: Layout, host: &[f32]) -> Param {
        assert_eq!(host.len(), layout.len(), "a parameter has as many values as its layout");
        let words: Vec<u32> = host.iter().map(|v| v.to_bits()).collect();
        Param { layout, data: Arc::new(self.device.upload(&words)) }
    }

    fn constant(&self, layout: Layout, value: f32) -> Param {
        self.constant_of(layout, value)
    }

    fn host(&self, p: &Param) -> Result<Vec<f32>> {
        self.numbers(&p.data)
    }

    fn add(&self, into: &mut Param, other: &Param) {
        self.add_to(into, other);
    }

    fn adamw(&self, p: &mut Param, m: &mut Param, v: &mut Param, grad: &Param, c: &AdamW) {
        self.adamw_step(p, m, v, grad, c);
    }

    fn host_acts(&self, x: &Acts) -> Result<Vec<f32>> {
        self.acts_on_host(x)
    }

    fn host_currents(&self, y: &Reals) -> Result<Vec<f32>> {
        self.reals_on_host(y)
    }

    fn host_grad(&self, d: &Reals) -> Result<Vec<f32>> {
        self.reals_on_host(d)
    }

    fn host_moments(&self, m: &Moments) -> Result<super::Moments> {
        let wide = |b: &Buffer| -> Result<Vec<f64>> { Ok(self.numbers(b)?.into_iter().map(f64::from).collect()) };
        let (mean, var) = (wide(&m.mean)?, wide(&m.var)?);
        Ok(super::Moments { mean, var, rows: m.rows, channels: m.channels, count: m.count, repeats: m.repeats })
    }

    fn all_within(&self, p: &Param, bound: f32) -> Note {
        self.within(&[&p.data], bound)
    }

    fn input(&self, batch: &Batch, pass: Pass) -> Acts {
        let kind = Some((pass, batch.samples, batch.steps));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != kind {
            self.device.trim();
            *last = kind;
        }
        drop(last);
        self.upload_batch(batch)
    }

    fn spike_count(&self, x: &Acts) -> Note {
        self.count(x)
    }

    fn max_pool(&self, x: &Acts, k: usize) -> Acts {
        pools::max_pool(self, x, k)
    }

    fn max_pool_backward(&self, x: &Acts, k: usize, d: Reals) -> Reals {
        pools::max_pool_backward(self, x, k, &d)
    }

    fn avg_pool(&self, x: &Acts, k: usize) -> Acts {
        pools::avg_pool(self, x, k)
    }

    fn avg_pool_backward(&self, x: &Acts, k: usize, d: Reals) -> Reals {
        pools::avg_pool_backward(self, x, k, &d)
    }

    fn dropout(&self, x: &Acts, mask: &DropMask) -> Acts {
        pools::dropout(self, x, mask)
    }

    fn dropout_backward(&self, mask: &DropMask, d: Reals) -> Reals {
        pools::dropout_backward(self, mask, d)
    }

    fn affine(&self, x: &Acts, weight: &Param, bias: &Param) -> Reals {
        products::forward(self, x, weight, bias)
    }

    fn affine_backward(&self, x: &Acts, weight: &Param, e: Reals, need: Need) -> AffineGrads<Param, Reals> {
        products::backward(self, x, weight, e, need)
    }

    fn bias_gradient(&self, e: &Reals) -> Param {
        products::bias_gradient(self, e)
    }

    fn moments(&self, y: &Reals, merged: bool) -> Moments {
        fire::moments(self, y, merged)
    }

    fn moments_finite(&self, m: &Moments) -> Note {
        self.within(&[&m.mean, &m.var], f32::MAX)
    }

    fn running_moments(&self, running: Running<&Param>) -> Moments {
        fire::running_moments(running)
    }

    fn update_running(&self, running: Running<&Param>, m: &Moments) -> Running<Param> {
        fire::update_running(self, running, m)
    }

    fn fire(&self, y: &Reals, norm: Option<&Norm<Param, Moments>>, cell: &Cell) -> Acts {
        fire::fire(self, y, norm, cell)
    }

    fn fire_backward(
        &self,
        y: Reals,
        norm: Option<&Norm<Param, Moments>>,
        cell: &Cell,
        surrogate: Surrogate,
        d: Reals,
    ) -> (Reals, Option<NormGrads<Param>>) {
        fire::fire_backward(self, y, norm, cell, surrogate, &d)
    }

    fn currents_finite(&self, y: &Reals) -> Note {
        self.within(&[&y.data], f32::MAX)
    }

    fn vote(&self, x: &Acts, notes: &[Note]) -> Result<(Vec<f64>, Vec<u64>)> {
        let votes = self.votes(x);
        let (votes, notes) = self.read_with(&[&votes], notes)?;
        Ok((votes.into_iter().flatten().map(|w| f64::from(f32::from_bits(w))).collect(), notes))
    }

    fn vote_backward(&self, x: &Acts, d_rates: &[f64]) -> Reals {
        self.votes_backward(x, d_rates)
    }
}
