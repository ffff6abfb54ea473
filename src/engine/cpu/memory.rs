//! What a training step takes of memory on this engine: the sizes of its own buffers, and which of them exist together.
//!
//! The input currents of every layer are kept for the backward pass and are most of it.

use super::buffer::serves;
use super::conv_back::PARTS;
use super::field::{Words, blocks};
use super::recompute::TOGETHER;
use super::simd::{LANES, Lane};
use crate::engine::memory::{Load, Memory, MemoryPlan, PROGRAM, looked_at};
use crate::plan::{Block, Front, Kind, Plan};
use crate::shape::Chw;

/// The plan of [`super::Cpu`].
pub struct CpuMemory;

/// Positions of lanes that hold a shape.
fn lanes(shape: Chw) -> usize {
    blocks(shape.c) * shape.area()
}

/// Bytes of a block's input currents.
fn currents(plan: &Plan, load: &Load, i: usize) -> usize {
    let stored = if i == 0 && load.direct { 1 } else { load.steps };
    size_of::<Lane>() * stored * load.batch * lanes(plan.blocks[i].output)
}

/// Bytes of the spike trains that a block makes and of what stands before it.
fn spikes(load: &Load, b: &Block) -> usize {
    let words = |shape| size_of::<Words>() * load.batch * lanes(shape);
    let mut planes = 1;
    let fronts = b.fronts.iter().map(|f| {
        if let Front::AvgPool(k) = f.front {
            planes = ((k * k + 1) as f64).log2().ceil() as usize;
        }
        planes * words(f.output)
    });
    fronts.sum::<usize>() + words(b.output)
}

/// Bytes of a real field over all steps and samples.
fn field(load: &Load, shape: Chw) -> usize {
    size_of::<Lane>() * load.steps * load.batch * lanes(shape)
}

/// Bytes of each buffer for a weight gradient. A convolution has one for each part of a batch, their sum, and the weight in another
/// order; a fully connected layer has rows of its errors.
fn weight_parts(load: &Load, b: &Block) -> Vec<usize> {
    match b.kind {
        Kind::Conv(_) => vec![size_of::<Lane>() * b.fan_in() * blocks(b.output.c); load.batch.min(PARTS) + 2],
        Kind::Full | Kind::Vote => vec![field(load, b.output)],
    }
}

/// Bytes of the gradients that exist while a block is passed backward, beside what is kept.
fn gradients(load: &Load, b: &Block) -> usize {
    match b.kind {
        Kind::Conv(_) => {
            let own_place = load.everywhere || lanes(b.input) > lanes(b.output);
            weight_parts(load, b).iter().sum::<usize>() + if own_place { field(load, b.input) } else { 0 }
        }
        Kind::Full | Kind::Vote => field(load, b.input) + 2 * field(load, b.output),
    }
}

/// Bytes that a listed spike takes: where it is, its level, and what becomes of it in dL/dx, twice while the list grows.
const BYTES_A_SPIKE: usize = 16;
/// Bytes of the lists of one sum of a convolution (one position at one step), both halves.
const BYTES_A_SUM: usize = 128;

/// Bytes of lists while a block is passed: of two samples at a time, if a third of the inputs are active.
fn lists(load: &Load, b: &Block) -> usize {
    let neuron_steps = load.steps * LANES * lanes(b.input);
    let masks = load.batch * neuron_steps / 8;
    match b.kind {
        Kind::Conv(_) => masks + 2 * (neuron_steps / 3 * BYTES_A_SPIKE + load.steps * b.output.area() * BYTES_A_SUM),
        Kind::Full | Kind::Vote => masks,
    }
}

impl MemoryPlan for CpuMemory {
    fn step(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> Memory {
        let recomputed = |i: usize| recompute.get(i).copied().unwrap_or(false);
        let all = 0..plan.blocks.len();
        let stored = if load.direct { 1 } else { load.steps };
        let input = size_of::<Lane>() * stored * load.batch * lanes(plan.shape);
        let kept: usize = all.clone().filter(|&i| !recomputed(i)).map(|i| currents(plan, load, i)).sum();
        let most = if all.clone().any(recomputed) {
            all.map(|i| phase(plan, load, &recomputed, kept, i)).max().unwrap_or(0)
        } else {
            pooled(plan, load)
        };
        Memory {
            optimiser: 4 * size_of::<f32>() * plan.parameters(),
            currents: kept,
            spikes: input + plan.blocks.iter().map(|b| spikes(load, b)).sum::<usize>(),
            passing: most.saturating_sub(kept),
            work: plan.blocks[1..].iter().map(|b| lists(load, b)).max().unwrap_or(0) + PROGRAM,
        }
    }

    /// What a pass makes and the next layer does not need is given back at once, but blocks in `recompute` are computed with all samples.
    fn credit(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> usize {
        let Memory { optimiser, spikes, work, .. } = self.step(plan, load, &[]);
        let recomputed = |i: usize| recompute.get(i).copied().unwrap_or(false);
        let shown = |(i, block): (usize, &Block)| {
            let below: usize = (0..i).filter(|&j| !recomputed(j)).map(|j| currents(plan, load, j)).sum();
            let host = looked_at(block.output.len(), load);
            below + currents(plan, load, i) + field(load, block.output) + host.max(gradients(load, block))
        };
        let forward = (0..plan.blocks.len()).map(|i| currents(plan, load, i)).sum::<usize>();
        let backward = plan.blocks.iter().enumerate().map(shown).max().unwrap_or(0);
        let stored = if load.direct { 1 } else { load.steps };
        let samples_copied = size_of::<f32>() * stored * load.batch * plan.shape.len();
        optimiser + spikes + work + samples_copied + forward.max(backward)
    }

    /// glibc hands blocks below a threshold out of a heap of which it returns nothing below twice the threshold, which grows with the
    /// blocks given back, up to 32 MiB (mallopt(3)).
    fn retained(&self, plan: &Plan, load: &Load, samples: usize) -> usize {
        const LARGEST_THRESHOLD: usize = 32 << 20;
        let blocks = plan.blocks.iter().flat_map(|b| [load.batch, samples].map(|batch| field(&Load { batch, ..*load }, b.output)));
        2 * blocks.filter(|&bytes| bytes < LARGEST_THRESHOLD).max().unwrap_or(0)
    }

    fn currents(&self, plan: &Plan, load: &Load, block: usize) -> usize {
        currents(plan, load, block)
    }
}

/// Bytes of currents and gradients after two steps in which every layer keeps its own: a buffer that is not needed any more waits in
/// the pool for a request that it serves, so that those of a size that is never asked for again add up.
fn pooled(plan: &Plan, load: &Load) -> usize {
    let (mut made, mut waiting) = (0, Vec::new());
    let mut take = |waiting: &mut Vec<usize>, bytes: usize| {
        let fitting = (0..waiting.len()).filter(|&i| serves(waiting[i], bytes)).min_by_key(|&i| waiting[i]);
        fitting.map(|i| waiting.swap_remove(i)).unwrap_or_else(|| {
            made += bytes;
            bytes
        })
    };
    for _ in 0..2 {
        let kept: Vec<usize> = (0..plan.blocks.len()).map(|i| take(&mut waiting, currents(plan, load, i))).collect();
        let mut above = None;
        for (i, block) in plan.blocks.iter().enumerate().rev() {
            // The gradient of the layer's spikes is used up when the errors lie in the place of its currents.
            waiting.extend(above.take());
            let full = !matches!(block.kind, Kind::Conv(_));
            let parts: Vec<usize> = weight_parts(load, block).into_iter().map(|bytes| take(&mut waiting, bytes)).collect();
            let in_place = !full && !load.everywhere && lanes(block.input) <= lanes(block.output);
            above = match i {
                0 => None,
                _ if in_place => Some(kept[i]),
                _ => Some(take(&mut waiting, field(load, block.input))),
            };
            waiting.extend(parts);
            if above.is_none() || !in_place {
                waiting.push(kept[i]);
            }
        }
    }
    made
}

/// Currents and gradients while block `i` is passed, at most, where some blocks are recomputed; `kept` by all others together.
fn phase(plan: &Plan, load: &Load, recomputed: &impl Fn(usize) -> bool, kept: usize, i: usize) -> usize {
    let field = |shape| field(load, shape);
    // The gradient from above lies in the place of the currents above, if they were kept and it fits.
    let above = plan.blocks.get(i + 1).map_or(0, |b| if recomputed(i + 1) { field(b.input) } else { field(b.input).max(field(b.output)) });
    if !recomputed(i) {
        return kept + above + gradients(load, &plan.blocks[i]);
    }
    let (block, own) = (&plan.blocks[i], currents(plan, load, i));
    let below: usize = (0..i).filter(|&j| !recomputed(j)).map(|j| currents(plan, load, j)).sum();
    let below_gradient = if i == 0 { 0 } else { field(block.input) };
    let part = own * (TOGETHER * load.batch.div_ceil(PARTS)).min(load.batch) / load.batch;
    (below + own).max(below + above + part + below_gradient + weight_parts(load, block).iter().sum::<usize>())
}
