//! How training makes do with less memory than it would take.
//!
//! A layer may give up its input currents after the forward pass and recompute them from the spikes, which are kept anyway: the same bits,
//! for one more forward pass of that layer. What that saves is asked of the engine ([`MemoryPlan`]).

pub use crate::engine::memory::{Load, MemoryPlan};
use crate::error::{Error, Result};
use crate::limits;
use crate::plan::Plan;

/// [`recompute_within`] with looks at the credit of `most` samples between the steps, or of as many as there is room for: which blocks are
/// recomputed, and how many samples a look takes. The steps come first: 0 samples where looks do not fit beside them.
///
/// # Errors
/// As [`recompute_within`].
pub fn recompute_and_look_within(
    engine: &dyn MemoryPlan,
    plan: &Plan,
    load: &Load,
    most: usize,
    limit: usize,
) -> Result<(Vec<bool>, usize)> {
    if most > 0 {
        let left = limit.saturating_sub(engine.retained(plan, load, most));
        if let Ok(recompute) = recompute_within(engine, plan, load, left) {
            let samples = credit_samples_within(engine, plan, load, &recompute, most, left);
            if samples > 0 {
                return Ok((recompute, samples));
            }
        }
    }
    Ok((recompute_within(engine, plan, load, limit)?, 0))
}

/// How many samples a look at credit takes: as many as `most`, or as take at most `limit` bytes; 0 if none does.
fn credit_samples_within(engine: &dyn MemoryPlan, plan: &Plan, load: &Load, recompute: &[bool], most: usize, limit: usize) -> usize {
    let takes = |batch| engine.credit(plan, &Load { batch, ..*load }, recompute);
    (1..=most).rev().find(|&batch| takes(batch) <= limit).unwrap_or(0)
}

/// Which blocks should give up their currents so that a training step takes at most `limit` bytes: those first whose currents cost
/// least to compute again. None, if all fits as it is.
///
/// # Errors
/// Memory: it does not fit; names the largest batch that would.
pub fn recompute_within(engine: &dyn MemoryPlan, plan: &Plan, load: &Load, limit: usize) -> Result<Vec<bool>> {
    let none = vec![false; plan.blocks.len()];
    let kept = |recompute: &[bool]| engine.step(plan, load, recompute).currents;
    let saved = |block: usize| {
        let mut one = none.clone();
        one[block] = true;
        kept(&none) - kept(&one)
    };
    // Without a norm there is nothing to sum over the batch first, and little to keep.
    let normed = (0..plan.blocks.len()).filter(|&i| plan.blocks[i].has_norm());
    let mut order: Vec<(usize, f64)> = normed.map(|i| (i, plan.blocks[i].macs() as f64 / saved(i) as f64)).collect();
    order.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut recompute = none.clone();
    for (i, _) in order {
        if engine.step(plan, load, &recompute).total() <= limit {
            return Ok(recompute);
        }
        recompute[i] = true;
    }
    let least = |batch: usize| engine.step(plan, &Load { batch, ..*load }, &recompute).total();
    if least(load.batch) <= limit {
        return Ok(recompute);
    }
    let mb = |bytes: usize| bytes.div_ceil(1_000_000);
    let fits = (1..=load.batch.min(limits::MAX_BATCH)).rev().find(|&batch| least(batch) <= limit);
    Err(Error::memory(format!("a step needs at least {} MB, {} MB are allowed", mb(least(load.batch)), mb(limit))).option("memory").remedy(
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
    use crate::engine::Engine;
    use crate::engine::cpu::CpuMemory;
    use crate::engine::reference::Reference;
    use crate::notation::Notation;

    fn within(plan: &Plan, load: &Load, limit: usize) -> Result<Vec<bool>> {
        recompute_within(&CpuMemory, plan, load, limit)
    }

    fn total(plan: &Plan, load: &Load, recompute: &[bool]) -> usize {
        CpuMemory.step(plan, load, recompute).total()
    }

    fn large() -> (Plan, Load) {
        let plan = Plan::new(Notation::named("large", 10).unwrap(), "2x64x64".parse().unwrap()).unwrap();
        (plan, Load { steps: 16, batch: 16, direct: false, everywhere: false })
    }

    #[test]
    fn less_memory_costs_the_cheapest_layers_first() {
        let (plan, load) = large();
        let whole = total(&plan, &load, &[]);
        assert_eq!(within(&plan, &load, whole).unwrap(), vec![false; plan.blocks.len()]);
        let some = within(&plan, &load, whole - 1).unwrap();
        assert!(some[0] && total(&plan, &load, &some) < whole, "{some:?}");
        let most = within(&plan, &load, 1_500_000_000).unwrap();
        assert!(total(&plan, &load, &most) <= 1_500_000_000);
    }

    #[test]
    fn what_cannot_fit_is_refused_with_what_would() {
        let (plan, load) = large();
        let e = within(&plan, &load, 500_000_000).unwrap_err();
        let batch: usize = e.remedy.split("-b ").nth(1).and_then(|s| s.split(')').next()).unwrap().parse().unwrap();
        assert!(within(&plan, &Load { batch, ..load }, 500_000_000).is_ok(), "{e}");
        assert!(within(&plan, &Load { batch: batch + 1, ..load }, 500_000_000).is_err(), "{e}");
        assert!(within(&plan, &load, 1_000_000).unwrap_err().remedy.contains("-b 1"));
    }

    #[test]
    fn a_look_at_credit_takes_the_samples_that_fit() {
        let (plan, load) = large();
        let of_samples = |batch| CpuMemory.credit(&plan, &Load { batch, ..load }, &[]);
        assert!((2..=8).all(|n| of_samples(n - 1) < of_samples(n)));
        assert!(of_samples(8) < total(&plan, &load, &[]), "8 samples of a batch of 16 take less than the step");
        for n in 1..=8 {
            assert_eq!(credit_samples_within(&CpuMemory, &plan, &load, &[], 8, of_samples(n)), n);
            assert_eq!(credit_samples_within(&CpuMemory, &plan, &load, &[], 8, of_samples(n) - 1), n - 1);
        }
        assert_eq!(credit_samples_within(&CpuMemory, &plan, &load, &[], 4, usize::MAX), 4);
        let least = (1..).map(|n| n * 50_000_000).find(|&limit| within(&plan, &load, limit).is_ok()).unwrap();
        assert_eq!(
            recompute_and_look_within(&CpuMemory, &plan, &load, 8, least).unwrap(),
            (within(&plan, &load, least).unwrap(), 0),
            "steps come first"
        );
        assert_eq!(recompute_and_look_within(&CpuMemory, &plan, &load, 8, 10 * least).unwrap(), (vec![false; plan.blocks.len()], 8));
        for limit in (least..3 * least).step_by(100_000_000) {
            let (recompute, samples) = recompute_and_look_within(&CpuMemory, &plan, &load, 8, limit).unwrap();
            assert!(total(&plan, &load, &recompute) <= limit);
            assert!(samples == 0 || CpuMemory.credit(&plan, &Load { batch: samples, ..load }, &recompute) <= limit);
        }
    }

    #[test]
    fn f64_that_is_stored_at_every_step_takes_more() {
        let (plan, load) = large();
        for load in [load, Load { direct: true, everywhere: true, ..load }] {
            assert!(Reference.memory().step(&plan, &load, &[]).total() > 3 * total(&plan, &load, &[]) / 2);
            assert!(Reference.memory().credit(&plan, &load, &[]) > CpuMemory.credit(&plan, &load, &[]));
            let some = recompute_within(Reference.memory(), &plan, &load, Reference.memory().step(&plan, &load, &[]).total() - 1).unwrap();
            assert!(some[0], "{some:?}");
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
