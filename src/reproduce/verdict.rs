//! Comparison with the paper, number by number and claim by claim.

use super::Reproduced;
use super::paper::{Claim, TIME_STEPS, claim_on};
use crate::data::DatasetName;
use crate::neuron::Rule;
use crate::study::{Row, Stat};

/// Rule and T of a row; `None` for the network without spikes.
fn of(row: &Row) -> Option<(Rule, usize)> {
    let first = &row.runs.first()?.result;
    let rule = Rule::ALL.into_iter().find(|r| r.name() == first.rule)?;
    (row.cell != "ann").then_some((rule, first.time_steps))
}

fn accuracy(row: &Row) -> Option<Stat> {
    Stat::of(row.runs.iter().map(|f| 100.0 * f.result.last_test_accuracy))
}

fn rate(row: &Row) -> Option<Stat> {
    Stat::of(row.runs.iter().map(|f| 100.0 * f.result.mean_firing_rate))
}

/// One cell beside the paper's.
pub(super) fn line(row: &Row, set: DatasetName, extent: &str) -> Vec<String> {
    let dash = || "-".to_string();
    let text = |s: Option<Stat>| s.map_or_else(dash, |s| s.to_string());
    let (rule_steps, ours) = (of(row), accuracy(row));
    let claim = rule_steps.and_then(|(rule, steps)| claim_on(set, rule, steps));
    let said = |c: &Claim| if c.also.is_empty() { format!("{:.2}", c.accuracy) } else { format!("{:.2} ({})", c.accuracy, c.also) };
    let spikes = claim.and_then(|c| c.spikes);
    let gain = row.runs.iter().filter_map(|f| f.cost.energy.map(|e| e.paper_gain));
    vec![
        row.cell.clone(),
        rule_steps.map_or_else(dash, |(_, t)| t.to_string()),
        text(ours),
        claim.map_or_else(dash, said),
        claim.zip(ours).map_or_else(dash, |(c, o)| format!("{:+.2}", o.mean - c.accuracy)),
        rule_steps.and(rate(row)).map_or_else(dash, |s| format!("{s:.1}")),
        spikes.map_or_else(dash, |(r, _)| format!("{:.1}", 100.0 * r)),
        rule_steps.and(Stat::of(gain)).map_or_else(dash, |s| format!("{s:.1}")),
        spikes.map_or_else(dash, |(_, g)| format!("{g:.1}")),
        extent.to_string(),
    ]
}

/// Which of the paper's claims held here, in words. What a short run shows holds for the short run.
pub fn verdicts(r: &Reproduced) -> Vec<String> {
    let find = |rule: Rule, steps: usize| r.rows.iter().find(|row| of(row) == Some((rule, steps)));
    let mut steps: Vec<usize> = r.rows.iter().filter_map(|row| of(row).map(|(_, t)| t)).collect();
    steps.sort_unstable();
    steps.dedup();
    let mut out = Vec::new();
    for &t in &steps {
        let at = if steps.len() > 1 { format!(" at T = {t}") } else { String::new() };
        let [base, bpsa, full] = [Rule::Stbp, Rule::Bpsa, Rule::BpsaBpta].map(|rule| find(rule, t));
        out.extend(better(full.zip(base), &format!("bpsa+bpta is more accurate than the baseline{at}")));
        out.extend(better(full.zip(bpsa), &format!("BPTA adds accuracy to bpsa{at}")));
        out.extend(better(bpsa.zip(base), &format!("bpsa alone is more accurate than the baseline{at}")));
        out.extend(fires_less(full.zip(base), &format!("bpsa+bpta fires less than the baseline{at}")));
    }
    if let (Some(&few), Some(&many)) = (steps.first(), steps.last())
        && few < many
    {
        let fall = |rule| Some(accuracy(find(rule, many)?)?.mean - accuracy(find(rule, few)?)?.mean);
        if let (Some(full), Some(base)) = (fall(Rule::BpsaBpta), fall(Rule::Stbp)) {
            let held = if full < base { "held" } else { "did not hold" };
            out.push(format!(
                "from T = {many} to {few} bpsa+bpta loses less than the baseline: {held} ({full:.2} against {base:.2} points)"
            ));
        }
    }
    if let Some(c) = claim_on(r.set, Rule::BpsaBpta, TIME_STEPS)
        && let Some(ours) = find(Rule::BpsaBpta, TIME_STEPS).and_then(accuracy)
    {
        let reached = if ours.mean >= c.accuracy { "reached" } else { "not reached" };
        out.push(format!("the paper's {:.2} % for bpsa+bpta: {reached} ({:+.2} points)", c.accuracy, ours.mean - c.accuracy));
    }
    let kind = if r.simulated { format!("{}, on simulated events", r.extent) } else { r.extent.clone() };
    out.into_iter().map(|v| format!("{v} [{kind}]")).collect()
}

/// Whether the first of two has the higher accuracy, by more than both spread.
fn better(pair: Option<(&Row, &Row)>, claim: &str) -> Option<String> {
    let (a, b) = pair?;
    Some(compare(accuracy(a)?, accuracy(b)?, claim, "%"))
}

fn fires_less(pair: Option<(&Row, &Row)>, claim: &str) -> Option<String> {
    let (a, b) = pair?;
    let turned = |s: Stat| s.scaled(-1.0);
    let (a, b) = (rate(a)?, rate(b)?);
    let verdict = judge(turned(a), turned(b).mean, b.std);
    Some(format!("{claim}: {verdict} ({a} against {b} %)"))
}

fn compare(a: Stat, b: Stat, claim: &str, unit: &str) -> String {
    format!("{claim}: {} ({a} against {b} {unit})", judge(a, b.mean, b.std))
}

/// Whether `a` exceeds the other by more than both standard deviations together.
fn judge(a: Stat, other: f64, other_std: Option<f64>) -> &'static str {
    let difference = a.mean - other;
    match a.std.zip(other_std).map(|(s, o)| s.abs() + o.abs()) {
        Some(spread) if difference.abs() <= spread => "undecided, within the spread of the seeds",
        Some(_) if difference > 0.0 => "held",
        None if difference > 0.0 => "held, by one seed",
        _ => "did not hold",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_within_the_spread_decides_nothing() {
        let s = |mean, std| Stat { mean, std, n: 3 };
        assert_eq!(judge(s(97.0, Some(0.4)), 96.5, Some(0.3)), "undecided, within the spread of the seeds");
        assert_eq!(judge(s(97.0, Some(0.1)), 96.5, Some(0.1)), "held");
        assert_eq!(judge(s(96.0, Some(0.1)), 96.5, Some(0.1)), "did not hold");
        assert_eq!(judge(s(97.0, None), 96.5, None), "held, by one seed");
    }

    #[test]
    fn every_claim_is_there_once() {
        use super::super::paper::CLAIMS;
        for (i, c) in CLAIMS.iter().enumerate() {
            assert!(CLAIMS[..i].iter().all(|o| (o.set, o.rule, o.steps) != (c.set, c.rule, c.steps)));
            if let Some((rate, gain)) = c.spikes {
                assert!((crate::study::energy::paper_gain(c.steps, rate) - gain).abs() < 0.15, "{} {}", c.set, c.rule.name());
            }
        }
    }
}
