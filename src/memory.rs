//! What a training step takes of memory on the cpu engine, and how to make do with less.
//!
//! The input currents of every layer are kept for the backward pass and are most of it. A layer may give them up after the forward
//! pass and compute them once more, from the spikes that are kept anyway: the same bits, for one more forward pass of that layer.

use crate::error::{Error, Result};
use crate::limits;
use crate::plan::{Block, Front, Kind, Plan};

/// What is trained.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// T.
    pub steps: usize,
    /// B.
    pub batch: usize,
    /// A static image, whose currents in the first layer are stored once.
    pub direct: bool,
}

/// Bytes of a training step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Parameters, their gradients and AdamW's two moments, f32.
    pub optimiser: usize,
    /// Input currents that are kept for the backward pass.
    pub currents: usize,
    /// Input currents that are computed a second time, at most: those of a layer and, holding its gradient, of the one above.
    pub recomputed: usize,
    /// Spike trains, one 64-bit word per neuron and plane, and the input.
    pub spikes: usize,
    /// Gradients on their way: of the inputs where they do not fit into the place of currents, of a convolution's weight in parts.
    pub gradients: usize,
    /// Lists of spikes, and the program itself.
    pub work: usize,
}

impl Memory {
    /// Sum of all parts.
    pub fn total(&self) -> usize {
        self.optimiser + self.currents + self.recomputed + self.spikes + self.gradients + self.work
    }
}

/// Channels are padded to blocks of 16.
fn padded(shape: crate::shape::Chw) -> usize {
    shape.c.next_multiple_of(16) * shape.area()
}

/// Bytes of a block's input currents.
fn currents(plan: &Plan, load: &Load, i: usize) -> usize {
    let stored = if i == 0 && load.direct { 1 } else { load.steps };
    4 * stored * load.batch * padded(plan.blocks[i].output)
}

/// Bytes of the spike trains that a block makes and of what stands before it.
fn spikes(load: &Load, b: &Block) -> usize {
    let words = |shape| 8 * load.batch * padded(shape);
    let mut planes = 1;
    let fronts = b.fronts.iter().map(|f| {
        if let Front::AvgPool(k) = f.front {
            planes = ((k * k + 1) as f64).log2().ceil() as usize;
        }
        planes * words(f.output)
    });
    fronts.sum::<usize>() + words(b.output)
}

/// Bytes of the gradients that exist while a block is passed backward, beside what is kept.
fn gradients(load: &Load, b: &Block) -> usize {
    let (pairs, weight) = (load.steps * load.batch, 4 * b.fan_in() * b.output.c.next_multiple_of(16));
    match b.kind {
        // Eight parts of a batch have a weight gradient each; the weight in another order comes on top.
        Kind::Conv(_) => {
            let input = if padded(b.input) > padded(b.output) { 4 * pairs * padded(b.input) } else { 0 };
            input + weight * (load.batch.min(8) + 2)
        }
        Kind::Full | Kind::Vote => 4 * pairs * (padded(b.input) + 2 * padded(b.output)),
    }
}

/// Bytes of lists while a block is passed: of two samples at a time, if a third of the inputs are active.
fn lists(load: &Load, b: &Block) -> usize {
    let neuron_steps = load.steps * padded(b.input);
    let masks = load.batch * neuron_steps / 8;
    match b.kind {
        Kind::Conv(_) => masks + 2 * neuron_steps * 16 / 3 + 2 * 2 * 64 * load.steps * b.output.area(),
        Kind::Full | Kind::Vote => masks,
    }
}

/// The program, its threads and small change.
const PROGRAM: usize = 16 << 20;

/// The memory of a training step in which the blocks marked in `recompute` give up their currents; what is not named is kept.
pub fn of(plan: &Plan, load: &Load, recompute: &[bool]) -> Memory {
    let mut m = Memory { optimiser: 16 * plan.parameters(), ..Memory::default() };
    let stored = if load.direct { 1 } else { load.steps };
    m.spikes = 4 * stored * load.batch * padded(plan.shape);
    let mut work = 0;
    for (i, b) in plan.blocks.iter().enumerate() {
        let bytes = currents(plan, load, i);
        let twice = |i: usize| recompute.get(i).copied().unwrap_or(false);
        if twice(i) {
            // The gradient from above lies in the place of the currents above.
            let above = if twice(i + 1) { currents(plan, load, i + 1) } else { 0 };
            m.recomputed = m.recomputed.max(bytes + above);
        } else {
            m.currents += bytes;
        }
        m.spikes += spikes(load, b);
        if i > 0 {
            m.gradients = m.gradients.max(gradients(load, b));
            work = work.max(lists(load, b));
        }
    }
    m.work = work + PROGRAM;
    m
}

/// Which blocks should give up their currents so that a training step takes at most `limit` bytes: those first whose currents cost
/// least to compute again. None, if all fits as it is.
///
/// # Errors
/// Memory: it does not fit; names the largest batch that would.
pub fn fit(plan: &Plan, load: &Load, limit: usize) -> Result<Vec<bool>> {
    let mut order: Vec<usize> = (0..plan.blocks.len()).collect();
    let cost = |i: usize| plan.blocks[i].macs() as f64 / currents(plan, load, i) as f64;
    order.sort_by(|&a, &b| cost(a).total_cmp(&cost(b)));
    let mut recompute = vec![false; plan.blocks.len()];
    for i in order {
        let now = of(plan, load, &recompute).total();
        if now <= limit {
            return Ok(recompute);
        }
        recompute[i] = true;
    }
    let all = vec![true; plan.blocks.len()];
    let least = |batch: usize| of(plan, &Load { batch, ..*load }, &all).total();
    if least(load.batch) <= limit {
        return Ok(recompute);
    }
    let mb = |bytes: usize| bytes.div_ceil(1_000_000);
    let fits = (1..=load.batch.min(limits::MAX_BATCH)).rev().find(|&batch| least(batch) <= limit);
    Err(Error::memory(format!("a step needs at least {} MB, {} MB are allowed", mb(least(load.batch)), mb(limit))).at("--memory").remedy(
        match fits {
            Some(batch) => format!("use a batch of at most {batch} (-b {batch}), a smaller -T, or allow more"),
            None => format!("use a smaller network or -T, or allow at least {} MB with -b 1", mb(least(1))),
        },
    ))
}

/// Reads a size: a number of bytes, or with K, M or G of 1000, 1000² or 1000³ bytes.
///
/// # Errors
/// A message: not a size.
pub fn parse_size(s: &str) -> std::result::Result<usize, String> {
    let unit = |c: char| match c.to_ascii_uppercase() {
        'K' => Some(1e3),
        'M' => Some(1e6),
        'G' => Some(1e9),
        _ => None,
    };
    let s = s.trim().trim_end_matches(['B', 'b']);
    let (number, factor) = match s.chars().last().and_then(|c| unit(c)) {
        Some(factor) => (&s[..s.len() - 1], factor),
        None => (s, 1.0),
    };
    match number.parse::<f64>() {
        Ok(n) if n > 0.0 && n * factor < 1e15 => Ok((n * factor) as usize),
        _ => Err("write a size such as 1500M or 2G".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::Notation;

    fn large() -> (Plan, Load) {
        let plan = Plan::new(Notation::named("large", 10).unwrap(), "2x64x64".parse().unwrap()).unwrap();
        (plan, Load { steps: 16, batch: 16, direct: false })
    }

    #[test]
    fn less_memory_costs_the_cheapest_layers_first() {
        let (plan, load) = large();
        let whole = of(&plan, &load, &[]).total();
        assert_eq!(fit(&plan, &load, whole).unwrap(), vec![false; plan.blocks.len()]);
        let some = fit(&plan, &load, whole - 1).unwrap();
        assert!(some[0] && of(&plan, &load, &some).total() < whole, "{some:?}");
        let most = fit(&plan, &load, 1_500_000_000).unwrap();
        assert!(of(&plan, &load, &most).total() <= 1_500_000_000);
    }

    #[test]
    fn what_cannot_fit_is_refused_with_what_would() {
        let (plan, load) = large();
        let e = fit(&plan, &load, 500_000_000).unwrap_err();
        let batch: usize = e.remedy.split("-b ").nth(1).and_then(|s| s.split(')').next()).unwrap().parse().unwrap();
        assert!(fit(&plan, &Load { batch, ..load }, 500_000_000).is_ok(), "{e}");
        assert!(fit(&plan, &Load { batch: batch + 1, ..load }, 500_000_000).is_err(), "{e}");
        assert!(fit(&plan, &load, 1_000_000).unwrap_err().remedy.contains("-b 1"));
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("2G"), Ok(2_000_000_000));
        assert_eq!(parse_size("1.5 gb".replace(' ', "").as_str()), Ok(1_500_000_000));
        assert_eq!(parse_size("512M"), Ok(512_000_000));
        for bad in ["", "G", "-1G", "2T", "nan", "1e99G", "0"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
