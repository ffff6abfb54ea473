//! What a step takes of memory: f64 throughout, and every step of everything stored.

use crate::engine::memory::{Load, Memory, MemoryPlan, PROGRAM, copied_to_host, is_marked, samples_on_host};
use crate::plan::{Block, Plan};
use crate::shape::Chw;

/// Bytes of a tensor.
fn tensor(load: &Load, shape: Chw) -> usize {
    size_of::<f64>() * load.steps * load.batch * shape.len()
}

/// Bytes of the activations of the blocks before `end`, and of the input.
fn activations(plan: &Plan, load: &Load, end: usize) -> usize {
    let fronts = |b: &Block| b.fronts.iter().map(|f| tensor(load, f.output)).sum::<usize>();
    tensor(load, plan.shape) + plan.blocks[..end].iter().map(|b| fronts(b) + tensor(load, b.output)).sum::<usize>()
}

/// Bytes of the currents that are kept of the blocks before `end`.
fn kept(plan: &Plan, load: &Load, recompute: &[bool], end: usize) -> usize {
    (0..end).filter(|&i| !is_marked(recompute, i)).map(|i| tensor(load, plan.blocks[i].output)).sum()
}

/// Bytes of the two gradients that exist at a time while a block is passed: those of its output and of its currents, of its currents and
/// of its input, or before and after a front.
fn gradients(load: &Load, b: &Block) -> usize {
    let two = |one: Chw, other: Chw| tensor(load, one) + tensor(load, other);
    let fronts = b.fronts.iter().map(|f| two(f.input, f.output)).max().unwrap_or(0);
    two(b.output, b.output).max(two(b.output, b.input)).max(fronts)
}

/// Bytes of the currents, activations and gradients that exist while a block is passed backward, at most; `copied` of them by who looks
/// at it. What the blocks above had is gone.
fn passed(plan: &Plan, load: &Load, recompute: &[bool], copied: impl Fn(&Block) -> usize) -> usize {
    let of = |(i, b): (usize, &Block)| {
        let own = tensor(load, b.output) + gradients(load, b).max(copied(b));
        kept(plan, load, recompute, i) + activations(plan, load, i + 1) - tensor(load, b.output) + own
    };
    plan.blocks.iter().enumerate().map(of).max().unwrap_or(0)
}

/// The plan of [`super::Reference`].
pub struct ReferenceMemory;

impl MemoryPlan for ReferenceMemory {
    fn step(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> Memory {
        let all = plan.blocks.len();
        let (currents, spikes) = (kept(plan, load, recompute, all), activations(plan, load, all));
        Memory {
            optimiser: 4 * size_of::<f64>() * plan.parameters(),
            currents,
            spikes,
            passing: passed(plan, load, recompute, |_| 0).saturating_sub(currents + spikes),
            work: PROGRAM,
        }
    }

    fn credit(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> usize {
        let Memory { optimiser, currents, spikes, work, .. } = self.step(plan, load, &[]);
        let copied = |b: &Block| tensor(load, b.output) + copied_to_host(load, b.output.len());
        optimiser + work + samples_on_host(plan, load) + (currents + spikes).max(passed(plan, load, recompute, copied))
    }
}
