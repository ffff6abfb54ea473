//! Whether a run fits into memory, asked before it begins.

use super::credit;
use super::record::available_memory;
use crate::config::{Config, Device};
use crate::data::{Dataset, Resize};
use crate::engine::memory::samples_on_host;
use crate::engines;
use crate::error::{Error, Result};
use crate::memory::{self, Load};
use crate::plan::Plan;

/// What a training step of `c` on `data` consists of.
pub fn load_of(c: &Config, data: &dyn Dataset) -> Load {
    let everywhere = c.rule.surrogate(c.alpha).reads_silent_steps() || c.warm_up.epochs() > 0;
    Load { steps: c.time_steps.most(), batch: c.batch, direct: data.steps().is_none(), everywhere }
}

/// What can be said about the size of inputs where there is not enough memory; begins with a comma.
fn smaller_inputs(c: &Config) -> &'static str {
    match (c.dataset.is_own(), c.dataset.is_events()) {
        (true, false) => ", or smaller pictures (--size 32x32: height x width)",
        (_, true) if c.resize == Resize::None => ", or frames of half the sides (--resize sum)",
        _ => "",
    }
}

/// How a run keeps within its memory.
pub struct Budget {
    /// Which layers are recomputed.
    pub recompute: Vec<bool>,
    /// Samples that a look at credit takes.
    pub credit_samples: usize,
}

/// Asks a graphics card whether it holds a step.
fn on_card(c: &Config, plan: &Plan, load: &Load, recompute: &[bool]) -> Result<()> {
    engines::ready(&c.device)?;
    let engine = engines::memory(&c.device);
    let asked = |batch| {
        let load = Load { batch, ..*load };
        engines::holds(&c.device, engine.step(plan, &load, recompute).total(), engine.largest(plan, &load))
    };
    asked(c.batch).map_err(|e| {
        let halves = std::iter::successors(Some(c.batch / 2), |b| Some(b / 2)).take_while(|b| *b > 0);
        let advice = halves.filter(|b| asked(*b).is_ok()).take(1).map(|b| format!("choose --batch {b}, or ")).collect::<String>();
        let e = e.option_as("batch", c.batch).option_as("T", c.time_steps.most());
        e.remedy(format!("{advice}--memory SIZE (layers are recomputed), fewer time steps, or --device cpu{}", smaller_inputs(c)))
    })
}

/// Fits a run into `limit` bytes.
///
/// # Errors
/// Memory, before any work: what is asked for does not fit into `limit`, or into the machine.
pub fn within(c: &Config, data: &dyn Dataset, plan: &Plan, limit: Option<usize>) -> Result<Budget> {
    let (load, engine) = (load_of(c, data), engines::memory(&c.device));
    // One batch is made while another is trained on.
    let ahead = |load: &Load| samples_on_host(plan, load);
    let most = if c.credit_every == Some(0) { 0 } else { credit::samples_of(c.batch) };
    let (recompute, credit_samples) = match limit {
        Some(limit) => memory::recompute_and_look_within(engine, plan, &load, most, limit.saturating_sub(data.bytes() + ahead(&load)))
            .map_err(|e| {
                if smaller_inputs(c).is_empty() {
                    e
                } else {
                    let remedy = format!("{}{}", e.remedy, smaller_inputs(c));
                    e.remedy(remedy)
                }
            })?,
        None => (vec![false; plan.blocks.len()], most),
    };
    if let Device::Gpu(_) = c.device {
        on_card(c, plan, &load, &recompute)?;
        return Ok(Budget { recompute, credit_samples });
    }
    let needs = |batch| {
        let load = Load { batch, ..load };
        let look = engine.credit(plan, &Load { batch: credit_samples.min(batch), ..load }, &recompute);
        let most = engine.step(plan, &load, &recompute).total().max(if credit_samples > 0 { look } else { 0 });
        most as u64 + ahead(&load) as u64
    };
    let budget = |recompute| Budget { recompute, credit_samples };
    let Some(room) = available_memory() else { return Ok(budget(recompute)) };
    if needs(c.batch) <= room.bytes {
        return Ok(budget(recompute));
    }
    let fits = (1..c.batch).rev().find(|&b| needs(b) <= room.bytes);
    let smaller = smaller_inputs(c);
    let advice = fits.map_or(format!("choose a smaller net or fewer time steps{smaller}"), |b| {
        format!("choose --batch {b}, --memory {}M (layers are recomputed), or fewer time steps{smaller}", room.bytes / 1_000_000)
    });
    let mb = |bytes: u64| bytes / 1_000_000;
    let who = if room.limited { "this process may take only" } else { "this machine has only" };
    Err(Error::memory(format!("a step needs about {} MB, {who} {} MB more", mb(needs(c.batch)), mb(room.bytes)))
        .option_as("batch", c.batch)
        .option_as("T", c.time_steps.most())
        .remedy(advice))
}
