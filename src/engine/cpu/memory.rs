//! What a step takes of memory, from the sizes that the kernels ask for.
//!
//! The input currents of every layer are kept for the backward pass and are most of it.

use super::buffer;
use super::conv_back::{self, PER_SPIKE};
use super::field::Words;
use super::linear::positions;
use super::param;
use super::pool;
use super::recompute::TOGETHER;
use super::simd::{LANES, Lane};
use crate::engine::memory::{Load, Memory, MemoryPlan, PROGRAM, copied_to_host, is_marked, samples_on_host};
use crate::engine::parts::Cut;
use crate::engine::{Layout, Need};
use crate::plan::{Block, BlockKind, Front, Plan};
use crate::shape::Chw;

/// Samples whose spikes are listed at once: a plan does not depend on the threads of a machine, of which most of what it counts is
/// independent.
const LISTED: usize = 2;
/// Rows that the forward pass of a convolution lists for a position and step.
const ROWS_LISTED: usize = 64;

/// Steps of which a block's input currents are stored.
fn stored(load: &Load, block: usize) -> usize {
    if block == 0 && load.direct { 1 } else { load.steps }
}

/// Bytes of reals over all samples, at `stored` steps.
fn reals(load: &Load, shape: Chw, stored: usize) -> usize {
    size_of::<Lane>() * positions(shape) * stored * load.batch
}

/// Bytes of a real field over all steps and samples.
fn field(load: &Load, shape: Chw) -> usize {
    reals(load, shape, load.steps)
}

/// Bytes of a block's input currents.
fn currents(plan: &Plan, load: &Load, i: usize) -> usize {
    reals(load, plan.blocks[i].output, stored(load, i))
}

/// Bytes of a parameter.
fn parameter(layout: Layout) -> usize {
    size_of::<Lane>() * param::lanes(layout)
}

/// Bytes of the parameters of a block.
fn parameters(b: &Block) -> usize {
    parameter(b.weight()) + if b.has_norm() { 3 } else { 1 } * parameter(Layout::PerChannel(b.output.c))
}

/// Bytes of the spike trains that a block makes and of what stands before it.
fn spikes(load: &Load, i: usize, b: &Block) -> usize {
    let words = |shape| size_of::<Words>() * positions(shape) * load.batch;
    let mut planes = 1;
    let fronts = b.fronts.iter().map(|f| {
        if let Front::AvgPool(k) = f.front {
            planes = pool::planes_of_sums(planes, k);
        }
        // What stands before the first layer pools the input.
        if i == 0 { reals(load, f.output, stored(load, 0)) } else { planes * words(f.output) }
    });
    fronts.sum::<usize>() + words(b.output)
}

/// Bytes of each buffer for a weight gradient. A convolution has one for each part of a batch, their sum, and the weight in another
/// order; a fully connected layer has rows of its errors.
fn weight_parts(load: &Load, b: &Block) -> Vec<usize> {
    match b.kind {
        BlockKind::Conv(_) => vec![parameter(b.weight()); Cut::whole(load.batch).leaves().len() + 2],
        BlockKind::Full | BlockKind::Vote => vec![field(load, b.output)],
    }
}

/// Whether dL/dx of a block lies in the place of e.
fn in_place(load: &Load, b: &Block) -> bool {
    let need = if load.everywhere { Need::Everywhere } else { Need::AtSpikes };
    matches!(b.kind, BlockKind::Conv(_)) && conv_back::in_place(need, positions(b.input), positions(b.output))
}

/// Bytes of the gradients that exist while a block is passed backward, beside what is kept.
fn gradients(load: &Load, b: &Block) -> usize {
    match b.kind {
        BlockKind::Conv(_) => weight_parts(load, b).iter().sum::<usize>() + if in_place(load, b) { 0 } else { field(load, b.input) },
        BlockKind::Full | BlockKind::Vote => field(load, b.input) + 2 * field(load, b.output),
    }
}

/// Bytes of lists while a block is passed, if a third of the inputs are active.
fn lists(load: &Load, b: &Block) -> usize {
    let neuron_steps = load.steps * positions(b.input) * LANES;
    // A bit for each neuron and step.
    let masks = load.batch * neuron_steps / 8;
    match b.kind {
        BlockKind::Conv(_) => {
            masks + LISTED * neuron_steps * PER_SPIKE / 3 + LISTED * size_of::<u16>() * ROWS_LISTED * load.steps * b.output.area()
        }
        BlockKind::Full | BlockKind::Vote => masks,
    }
}

/// The plan of [`super::Cpu`].
pub struct CpuMemory;

impl MemoryPlan for CpuMemory {
    fn step(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> Memory {
        let all = 0..plan.blocks.len();
        let kept: usize = all.clone().filter(|&i| !is_marked(recompute, i)).map(|i| currents(plan, load, i)).sum();
        let most = if all.clone().any(|i| is_marked(recompute, i)) {
            all.map(|i| phase(plan, load, recompute, kept, i)).max().unwrap_or(0)
        } else {
            steady(plan, load)
        };
        let blocks = || plan.blocks.iter();
        Memory {
            optimiser: 4 * blocks().map(parameters).sum::<usize>(),
            currents: kept,
            spikes: reals(load, plan.shape, stored(load, 0)) + blocks().enumerate().map(|(i, b)| spikes(load, i, b)).sum::<usize>(),
            passing: most.saturating_sub(kept),
            work: blocks().skip(1).map(|b| lists(load, b)).max().unwrap_or(0) + PROGRAM,
        }
    }

    /// What a pass makes and the next layer does not need is given back at once.
    fn credit(&self, plan: &Plan, load: &Load, recompute: &[bool]) -> usize {
        let Memory { optimiser, spikes, work, .. } = self.step(plan, load, &[]);
        let shown = |(i, block): (usize, &Block)| {
            let below: usize = (0..i).filter(|&j| !is_marked(recompute, j)).map(|j| currents(plan, load, j)).sum();
            let passed = copied_to_host(load, block.output.len()).max(gradients(load, block));
            below + currents(plan, load, i) + field(load, block.output) + passed
        };
        let forward = (0..plan.blocks.len()).map(|i| currents(plan, load, i)).sum::<usize>();
        let backward = plan.blocks.iter().enumerate().map(shown).max().unwrap_or(0);
        optimiser + spikes + work + samples_on_host(plan, load) + forward.max(backward)
    }

    /// glibc hands blocks below a threshold out of a heap of which it returns nothing below twice the threshold, which grows with the
    /// blocks given back, up to 32 MiB (mallopt(3)).
    fn retained(&self, plan: &Plan, load: &Load, samples: usize) -> usize {
        const LARGEST_THRESHOLD: usize = 32 << 20;
        let blocks = plan.blocks.iter().flat_map(|b| [load.batch, samples].map(|batch| field(&Load { batch, ..*load }, b.output)));
        2 * blocks.filter(|&bytes| bytes < LARGEST_THRESHOLD).max().unwrap_or(0)
    }
}

/// Bytes of currents and gradients after two steps in which every layer keeps its own: a buffer that is not needed any more waits in the
/// pool for one of its size, so that those of a size that is never asked for again add up.
fn steady(plan: &Plan, load: &Load) -> usize {
    let (mut made, mut waiting) = (0, Vec::new());
    let mut take = |waiting: &mut Vec<usize>, bytes: usize| match buffer::best_fit(waiting.iter().copied(), bytes) {
        Some(i) => waiting.swap_remove(i),
        None => {
            made += bytes;
            bytes
        }
    };
    for _ in 0..2 {
        let kept: Vec<usize> = (0..plan.blocks.len()).map(|i| take(&mut waiting, currents(plan, load, i))).collect();
        let mut above = None;
        for (i, block) in plan.blocks.iter().enumerate().rev() {
            // The gradient of the layer's spikes is used up when the errors lie in the place of its currents.
            waiting.extend(above.take());
            let parts: Vec<usize> = weight_parts(load, block).into_iter().map(|bytes| take(&mut waiting, bytes)).collect();
            let in_place = in_place(load, block);
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
fn phase(plan: &Plan, load: &Load, recompute: &[bool], kept: usize, i: usize) -> usize {
    let field = |shape| field(load, shape);
    // The gradient from above lies in the place of the currents above, if they were kept and it fits.
    let above = plan
        .blocks
        .get(i + 1)
        .map_or(0, |b| if is_marked(recompute, i + 1) { field(b.input) } else { field(b.input).max(field(b.output)) });
    if !is_marked(recompute, i) {
        return kept + above + gradients(load, &plan.blocks[i]);
    }
    let (block, own) = (&plan.blocks[i], currents(plan, load, i));
    let below: usize = (0..i).filter(|&j| !is_marked(recompute, j)).map(|j| currents(plan, load, j)).sum();
    let below_gradient = if i == 0 { 0 } else { field(block.input) };
    let together = Cut::whole(load.batch).subtrees(TOGETHER).map(|cut| cut.samples().len()).max().unwrap_or(0);
    let part = own * together / load.batch;
    (below + own).max(below + above + part + below_gradient + weight_parts(load, block).iter().sum::<usize>())
}
