//! What a step takes of the card's memory, from the sizes of the buffers.

use super::values::words;
use crate::engine::memory::{Load, Memory, MemoryPlan, PROGRAM, copied_to_host, is_marked, samples_on_host};
use crate::engine::parts::PARTS;
use crate::plan::{Block, Plan};
use crate::shape::Chw;

/// Bytes of reals at `stored` steps.
fn reals(load: &Load, shape: Chw, stored: usize) -> usize {
    size_of::<f32>() * stored * load.batch * shape.len()
}

/// Bytes of a block's input currents.
fn currents(plan: &Plan, load: &Load, i: usize) -> usize {
    reals(load, plan.blocks[i].output, if i == 0 && load.direct { 1 } else { load.steps })
}

/// Bytes of spike trains; behind average pooling there are more planes, which smaller maps pay for.
fn spikes(load: &Load, shape: Chw) -> usize {
    size_of::<u32>() * words(load.steps) * load.batch * shape.len()
}

/// Bytes of what a block reads and makes, but for its currents.
fn kept(load: &Load, b: &Block) -> usize {
    b.fronts.iter().map(|f| 2 * spikes(load, f.output)).sum::<usize>() + spikes(load, b.output)
}

/// Bytes that exist while a block is passed backward: gradients on both sides of each pool, and a weight gradient for each part.
fn passed(load: &Load, b: &Block) -> usize {
    let fronts = b.fronts.iter().map(|f| reals(load, f.output, load.steps)).max().unwrap_or(0);
    let weight = size_of::<f32>() * b.weight().len() * (PARTS + 1);
    reals(load, b.output, load.steps) + 2 * reals(load, b.input, load.steps).max(fronts) + weight
}

/// The plan of [`super::Gpu`].
pub struct GpuMemory;

impl MemoryPlan for GpuMemory {
    fn step(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> Memory {
        let all = 0..plan.blocks.len();
        let input = reals(load, plan.shape, if load.direct { 1 } else { load.steps });
        let recomputed = all.clone().filter(|&i| is_marked(recompute, i)).map(|i| currents(plan, load, i)).max().unwrap_or(0);
        Memory {
            optimiser: 4 * size_of::<f32>() * plan.parameters(),
            currents: all.filter(|&i| !is_marked(recompute, i)).map(|i| currents(plan, load, i)).sum(),
            spikes: input + plan.blocks.iter().map(|b| kept(load, b)).sum::<usize>(),
            passing: recomputed + plan.blocks.iter().map(|b| passed(load, b)).max().unwrap_or(0),
            work: PROGRAM,
        }
    }

    fn largest(&self, plan: &Plan, load: &Load) -> usize {
        let of_block =
            |b: &Block| reals(load, b.output, load.steps).max(reals(load, b.input, load.steps)).max(size_of::<f32>() * b.weight().len());
        plan.blocks.iter().map(of_block).max().unwrap_or(0)
    }

    fn credit(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> usize {
        let copied = plan.blocks.iter().map(|b| copied_to_host(load, b.output.len())).max().unwrap_or(0);
        self.step(plan, load, recompute).total() + samples_on_host(plan, load) + copied
    }
}
