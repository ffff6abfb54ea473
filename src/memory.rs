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
    /// Whether gradients are needed at silent steps too: by stbp, and in a warm-up.
    pub everywhere: bool,
}

/// Bytes of a training step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Parameters, their gradients and AdamW's two moments, f32.
    pub optimiser: usize,
    /// Input currents that are kept for the backward pass.
    pub currents: usize,
    /// Spike trains, one 64-bit word per neuron and plane, and the input.
    pub spikes: usize,
    /// What exists while a layer is passed: gradients of inputs that do not fit into the place of currents, of a convolution's weight in
    /// parts, currents that are computed anew.
    pub passing: usize,
    /// Lists of spikes, and the program itself.
    pub work: usize,
}

impl Memory {
    /// Sum of all parts.
    pub fn total(&self) -> usize {
        self.optimiser + self.currents + self.spikes + self.passing + self.work
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

/// Bytes of a real field over all steps and samples.
fn field(load: &Load, shape: crate::shape::Chw) -> usize {
    4 * load.steps * load.batch * padded(shape)
}

/// Bytes of each buffer for a weight gradient. A convolution has one for each of eight parts of a batch, their sum, and the weight in
/// another order; a fully connected layer has rows of its errors.
fn weight_parts(load: &Load, b: &Block) -> Vec<usize> {
    match b.kind {
        Kind::Conv(_) => vec![4 * b.fan_in() * b.output.c.next_multiple_of(16); load.batch.min(8) + 2],
        Kind::Full | Kind::Vote => vec![field(load, b.output)],
    }
}

/// Bytes of the gradients that exist while a block is passed backward, beside what is kept.
fn gradients(load: &Load, b: &Block) -> usize {
    match b.kind {
        Kind::Conv(_) => {
            let own_place = load.everywhere || padded(b.input) > padded(b.output);
            weight_parts(load, b).iter().sum::<usize>() + if own_place { field(load, b.input) } else { 0 }
        }
        Kind::Full | Kind::Vote => field(load, b.input) + 2 * field(load, b.output),
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
const PROGRAM: usize = 10 << 20;

/// The memory of a training step in which the blocks marked in `recompute` give up their currents; what is not named is kept.
pub fn of(plan: &Plan, load: &Load, recompute: &[bool]) -> Memory {
    let twice = |i: usize| recompute.get(i).copied().unwrap_or(false);
    let all = 0..plan.blocks.len();
    let stored = if load.direct { 1 } else { load.steps };
    let input = 4 * stored * load.batch * padded(plan.shape);
    let kept: usize = all.clone().filter(|&i| !twice(i)).map(|i| currents(plan, load, i)).sum();
    let most = if all.clone().any(twice) { all.map(|i| phase(plan, load, &twice, kept, i)).max().unwrap_or(0) } else { shelf(plan, load) };
    let passing = most.saturating_sub(kept);
    Memory {
        optimiser: 16 * plan.parameters(),
        currents: kept,
        spikes: input + plan.blocks.iter().map(|b| spikes(load, b)).sum::<usize>(),
        passing,
        work: plan.blocks[1..].iter().map(|b| lists(load, b)).max().unwrap_or(0) + PROGRAM,
    }
}

/// Bytes of currents and gradients after two steps in which every layer keeps its own: a buffer that is not needed any more waits on
/// a shelf for one of its size (`engine/cpu/buffer.rs`), so that those of a size that is never asked for again add up.
fn shelf(plan: &Plan, load: &Load) -> usize {
    let (mut made, mut waiting) = (0, Vec::new());
    let mut take = |waiting: &mut Vec<usize>, bytes: usize| {
        let fitting = (0..waiting.len()).filter(|&i| waiting[i] >= bytes && waiting[i] < 2 * bytes).min_by_key(|&i| waiting[i]);
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
            let in_place = !full && !load.everywhere && padded(block.input) <= padded(block.output);
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

/// Currents and gradients while block `i` is passed, at most, where some blocks compute twice; `kept` by all others together.
fn phase(plan: &Plan, load: &Load, twice: &impl Fn(usize) -> bool, kept: usize, i: usize) -> usize {
    let field = |shape| field(load, shape);
    // The gradient from above lies in the place of the currents above, if they were kept and it fits.
    let above = plan.blocks.get(i + 1).map_or(0, |b| if twice(i + 1) { field(b.input) } else { field(b.input).max(field(b.output)) });
    if !twice(i) {
        return kept + above + gradients(load, &plan.blocks[i]);
    }
    let (block, own) = (&plan.blocks[i], currents(plan, load, i));
    let below: usize = (0..i).filter(|&j| !twice(j)).map(|j| currents(plan, load, j)).sum();
    let below_gradient = if i == 0 { 0 } else { field(block.input) };
    // Two of eight parts at a time.
    let part = own * load.batch.div_ceil(4) / load.batch;
    (below + own).max(below + above + part + below_gradient + weight_parts(load, block).iter().sum::<usize>())
}

/// Bytes of a look at credit assignment on `load.batch` samples: a forward pass, and a backward pass in which every layer is copied to the
/// host before it is passed (potentials and gradients, f32; for a neuron its error, f64, and how often it fired). What a pass makes and the
/// next layer does not need is given back at once, but blocks in `recompute` are computed anew with all samples.
pub fn look(plan: &Plan, load: &Load, recompute: &[bool]) -> usize {
    let Memory { optimiser, spikes, work, .. } = of(plan, load, &[]);
    let twice = |i: usize| recompute.get(i).copied().unwrap_or(false);
    let shown = |(i, block): (usize, &Block)| {
        let below: usize = (0..i).filter(|&j| !twice(j)).map(|j| currents(plan, load, j)).sum();
        let numbers = load.steps * load.batch * block.output.len();
        let host = 8 * numbers + 13 * numbers / load.steps;
        below + currents(plan, load, i) + field(load, block.output) + host.max(gradients(load, block))
    };
    let forward = (0..plan.blocks.len()).map(|i| currents(plan, load, i)).sum::<usize>();
    let backward = plan.blocks.iter().enumerate().map(shown).max().unwrap_or(0);
    let stored = if load.direct { 1 } else { load.steps };
    let samples_copied = 4 * stored * load.batch * plan.shape.len();
    optimiser + spikes + work + samples_copied + forward.max(backward)
}

/// Bytes that the C library keeps, at most, of what was given back, where looks and steps take turns: glibc hands blocks below a threshold
/// out of a heap of which it returns nothing below twice the threshold, which grows with the blocks given back, up to 32 MiB (mallopt(3)).
fn kept_back(plan: &Plan, load: &Load, samples: usize) -> usize {
    const LARGEST_THRESHOLD: usize = 32 << 20;
    let blocks = plan.blocks.iter().flat_map(|b| [load.batch, samples].map(|batch| field(&Load { batch, ..*load }, b.output)));
    2 * blocks.filter(|&bytes| bytes < LARGEST_THRESHOLD).max().unwrap_or(0)
}

/// [`fit`] with looks of `most` samples at credit between the steps, or of as many as there is room for: which blocks compute twice, and how
/// many samples a look takes. The steps come first: 0 samples where looks do not fit beside them.
///
/// # Errors
/// As [`fit`].
pub fn fit_looks(plan: &Plan, load: &Load, most: usize, limit: usize) -> Result<(Vec<bool>, usize)> {
    if most > 0 {
        let left = limit.saturating_sub(kept_back(plan, load, most));
        if let Ok(recompute) = fit(plan, load, left) {
            let samples = look_samples(plan, load, &recompute, most, left);
            if samples > 0 {
                return Ok((recompute, samples));
            }
        }
    }
    Ok((fit(plan, load, limit)?, 0))
}

/// How many samples a look takes: as many as `most`, or as fit into `limit` bytes; 0 if none does.
fn look_samples(plan: &Plan, load: &Load, recompute: &[bool], most: usize, limit: usize) -> usize {
    (1..=most).rev().find(|&batch| look(plan, &Load { batch, ..*load }, recompute) <= limit).unwrap_or(0)
}

/// Which blocks should give up their currents so that a training step takes at most `limit` bytes: those first whose currents cost
/// least to compute again. None, if all fits as it is.
///
/// # Errors
/// Memory: it does not fit; names the largest batch that would.
pub fn fit(plan: &Plan, load: &Load, limit: usize) -> Result<Vec<bool>> {
    // Without a norm there is nothing to sum over the batch first, and little to keep.
    let mut order: Vec<usize> = (0..plan.blocks.len()).filter(|&i| plan.blocks[i].has_norm()).collect();
    let cost = |i: usize| plan.blocks[i].macs() as f64 / currents(plan, load, i) as f64;
    order.sort_by(|&a, &b| cost(a).total_cmp(&cost(b)));
    let mut recompute = vec![false; plan.blocks.len()];
    for i in order {
        if of(plan, load, &recompute).total() <= limit {
            return Ok(recompute);
        }
        recompute[i] = true;
    }
    let least = |batch: usize| of(plan, &Load { batch, ..*load }, &recompute).total();
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
    let (number, factor) = match s.chars().last().and_then(unit) {
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
        (plan, Load { steps: 16, batch: 16, direct: false, everywhere: false })
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
    fn a_look_at_credit_takes_the_samples_that_fit() {
        let (plan, load) = large();
        let of_samples = |batch| look(&plan, &Load { batch, ..load }, &[]);
        assert!((2..=8).all(|n| of_samples(n - 1) < of_samples(n)));
        assert!(of_samples(8) < of(&plan, &load, &[]).total(), "8 samples of a batch of 16 take less than the step");
        for n in 1..=8 {
            assert_eq!(look_samples(&plan, &load, &[], 8, of_samples(n)), n);
            assert_eq!(look_samples(&plan, &load, &[], 8, of_samples(n) - 1), n - 1);
        }
        assert_eq!(look_samples(&plan, &load, &[], 4, usize::MAX), 4);
        let least = (1..).map(|n| n * 50_000_000).find(|&limit| fit(&plan, &load, limit).is_ok()).unwrap();
        assert_eq!(fit_looks(&plan, &load, 8, least).unwrap(), (fit(&plan, &load, least).unwrap(), 0), "steps come first");
        assert_eq!(fit_looks(&plan, &load, 8, 10 * least).unwrap(), (vec![false; plan.blocks.len()], 8));
        for limit in (least..3 * least).step_by(100_000_000) {
            let (recompute, samples) = fit_looks(&plan, &load, 8, limit).unwrap();
            assert!(of(&plan, &load, &recompute).total() <= limit);
            assert!(samples == 0 || look(&plan, &Load { batch: samples, ..load }, &recompute) <= limit);
        }
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
