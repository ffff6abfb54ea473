//! What the numbers of a run warn of: the one place that `train`, result.json, `report` and `watch` tell it from.
//!
//! Everything is judged from what an epoch's line says anyway, so that looking costs nothing.

use super::evaluate::Evaluation;
use super::record::EpochLine;

use crate::plural::counted;

/// Below this firing rate a layer is called dead.
const DEAD: f64 = 0.001;
/// Above this firing rate spikes carry little and cost much; the method's networks fire at about a tenth.
const BUSY: f64 = 0.5;
/// A balanced accuracy so far below the accuracy needs a word.
const UNBALANCED: f64 = 0.1;
/// Two losses that differ by less, relatively, are the same: weights that learn move them far more.
const SAME_LOSS: f64 = 1e-9;
/// Above so many times the share of one in all classes, a training accuracy is no longer chance.
const CHANCE: f64 = 1.2;
/// Epochs that a network may take to leave chance.
const PATIENCE: u64 = 3;

/// Something to know before believing a run, or before waiting for its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The same for the same condition in every epoch, whatever its numbers.
    pub about: String,
    /// What is wrong, and what may help.
    pub text: String,
}

/// The numbers of a finished epoch; what a file does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen<'a> {
    /// From 1.
    pub epoch: u64,
    /// Epochs of the `ann` warm-up have no firing rates, and are not judged.
    pub warm_up: &'a str,
    /// Mean training loss.
    pub loss: Option<f64>,
    /// A fraction, as are the others.
    pub train_accuracy: Option<f64>,
    /// On the test set.
    pub test_accuracy: Option<f64>,
    /// Mean of the recalls of the test set's classes.
    pub balanced: Option<f64>,
    /// Share of the test set's commonest class.
    pub commonest_class: Option<f64>,
    /// Share of the commonest answer to the test set.
    pub commonest_answer: Option<f64>,
    /// Per LIF layer in network order.
    pub rates: Vec<f64>,
}

impl<'a> From<&'a EpochLine> for Seen<'a> {
    fn from(l: &'a EpochLine) -> Self {
        Seen {
            epoch: l.epoch,
            warm_up: &l.warm_up,
            loss: Some(l.loss),
            train_accuracy: Some(l.train_accuracy),
            test_accuracy: l.test_accuracy,
            balanced: l.test_balanced_accuracy,
            commonest_class: l.test_commonest_class,
            commonest_answer: l.test_commonest_answer,
            rates: l.test_firing_rates.as_ref().unwrap_or(&l.firing_rates).clone(),
        }
    }
}

/// What `now` warns of. `before` is the epoch before it, `layers` the names of the LIF layers in network order, `classes` their number.
pub fn of(layers: &[String], classes: usize, before: Option<&Seen>, now: &Seen) -> Vec<Trouble> {
    if now.warm_up == "ann" {
        return Vec::new();
    }
    let mut all = Vec::new();
    // That warm-up is there to wake them.
    if now.warm_up != "tssl" {
        all.extend(dead(layers, &now.rates));
    }
    all.extend(busy(layers, &now.rates));
    all.extend(stuck(before.filter(|b| b.warm_up == now.warm_up), now));
    // One answer and chance are what silence looks like: one cause is enough.
    if silent_output(now) {
        return all;
    }
    all.extend(answers(now));
    let chance = now.train_accuracy.is_some_and(|a| a < CHANCE / classes as f64);
    if classes > 1 && chance && now.epoch >= PATIENCE {
        all.push(trouble("chance", format!(
            "after {} the training accuracy is {}, no better than chance among {classes} classes: try another --lr, a lower --threshold or a warm-up (--warm-up tssl:2 or ann:2)",
            counted(now.epoch, "epoch"),
            percent(now.train_accuracy.unwrap_or_default())
        )));
    }
    all
}

/// All dead layers in one sentence: they often die together, and one remedy serves them all.
fn dead(names: &[String], rates: &[f64]) -> Option<Trouble> {
    let found = Layers::of(names, rates, |rate| rate < DEAD)?;
    let is = found.verb("is dead: it fires", "are dead: they fire");
    Some(trouble(
        format!("dead {}", found.about),
        format!(
            "{} {is} at {} of the steps, and silent neurons get little or no gradient; a lower --threshold or a warm-up (--warm-up tssl:2 or ann:2) may wake {}",
            found.named,
            found.share(rates, |r| format!("{:.3}", 100.0 * r)),
            found.verb("it", "them")
        ),
    ))
}

fn busy(names: &[String], rates: &[f64]) -> Option<Trouble> {
    let found = Layers::of(names, rates, |rate| rate > BUSY)?;
    Some(trouble(
        format!("busy {}", found.about),
        format!(
            "{} {} at {} of the steps, more often than not: {} much and {} little",
            found.named,
            found.verb("fires", "fire"),
            found.share(rates, |r| format!("{:.2}", 100.0 * r)),
            found.verb("it costs", "they cost"),
            found.verb("says", "say")
        ),
    ))
}

/// Layers with the same trouble.
struct Layers {
    which: Vec<usize>,
    /// `2 4`, from 0.
    about: String,
    /// `layers 3 and 5 (8C3, 10Voting)`, from 1.
    named: String,
}

impl Layers {
    fn of(names: &[String], rates: &[f64], has: impl Fn(f64) -> bool) -> Option<Layers> {
        let which: Vec<usize> = (0..rates.len()).filter(|&i| has(rates[i])).collect();
        let (last, before) = which.split_last()?;
        let all = |text: &dyn Fn(&usize) -> String, separator: &str| which.iter().map(text).collect::<Vec<_>>().join(separator);
        let numbers = match before {
            [] => format!("layer {}", last + 1),
            _ => format!("layers {} and {}", before.iter().map(|i| (i + 1).to_string()).collect::<Vec<_>>().join(", "), last + 1),
        };
        let named = format!("{numbers} ({})", all(&|&i| names.get(i).cloned().unwrap_or("?".into()), ", "));
        Some(Layers { about: all(&|i| i.to_string(), " "), named, which })
    }

    fn verb(&self, one: &'static str, several: &'static str) -> &'static str {
        if self.which.len() == 1 { one } else { several }
    }

    /// `0.010 %`, or `0.000 to 0.010 %`.
    fn share(&self, rates: &[f64], text: impl Fn(f64) -> String) -> String {
        let of = || self.which.iter().map(|&i| rates[i]);
        let (least, most) = (text(of().fold(f64::INFINITY, f64::min)), text(of().fold(0.0, f64::max)));
        if least == most { format!("{most} %") } else { format!("{least} to {most} %") }
    }
}

fn silent_output(now: &Seen) -> bool {
    now.rates.last() == Some(&0.0) && now.warm_up != "tssl"
}

/// A loss that stands still, which it does only where no weight that matters moves.
fn stuck(before: Option<&Seen>, now: &Seen) -> Option<Trouble> {
    let loss = now.loss.filter(|&l| l > 0.0 && now.train_accuracy != Some(1.0))?;
    let remedy = "lower --threshold, or begin with a warm-up (--warm-up tssl:2 or ann:2)";
    if silent_output(now) {
        let text = format!(
            "no output neuron fires: the loss is that of no answer at all, {loss:.4}, and little or nothing can be learned; {remedy}"
        );
        return Some(trouble("stuck", text));
    }
    let was = before?.loss?;
    ((loss - was).abs() <= SAME_LOSS * loss.abs()).then(|| {
        trouble(
            "stuck",
            format!("the training loss is {loss:.4} as in the epoch before: the gradient is 0 and nothing is learned; {remedy}"),
        )
    })
}

/// One answer for everything, or for nearly all of a rare class.
fn answers(now: &Seen) -> Option<Trouble> {
    let (accuracy, class) = (now.test_accuracy?, now.commonest_class?);
    let remedy = "look at the recall of each class (spiketrain eval); where classes are of unlike size, --class-weights balanced may help";
    if now.commonest_answer? >= 1.0 && class < 1.0 {
        return Some(trouble(
            "one answer",
            format!(
                "every test sample gets the same answer, so the accuracy of {} is that class's share of the samples (always answering the commonest gives {}); {remedy}",
                percent(accuracy),
                percent(class)
            ),
        ));
    }
    let balanced = now.balanced.filter(|b| accuracy - b > UNBALANCED)?;
    Some(trouble(
        "unbalanced",
        format!(
            "the balanced accuracy is {}, far below the accuracy of {}: rare classes are answered badly (always answering the commonest gives {}); {remedy}",
            percent(balanced),
            percent(accuracy),
            percent(class)
        ),
    ))
}

/// The shares an epoch's line keeps of the answers: balanced accuracy, commonest class, commonest answer.
pub fn shares(e: Option<&Evaluation>) -> [Option<f64>; 3] {
    let Some(e) = e else { return [None; 3] };
    [e.balanced_accuracy(), e.commonest_class().map(|(_, share)| share), e.commonest_answer()]
}

fn trouble(about: impl Into<String>, text: String) -> Trouble {
    Trouble { about: about.into(), text }
}

fn percent(v: f64) -> String {
    format!("{:.2} %", 100.0 * v)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Seen<'static> {
        Seen {
            epoch: 2,
            warm_up: "none",
            loss: Some(0.05),
            train_accuracy: Some(0.9),
            test_accuracy: Some(0.9),
            balanced: Some(0.88),
            commonest_class: Some(0.1),
            commonest_answer: Some(0.12),
            rates: vec![0.1, 0.2],
        }
    }

    fn about(before: Option<&Seen>, now: &Seen) -> Vec<String> {
        of(&["20FC".into(), "10Voting".into()], 10, before, now).into_iter().map(|t| t.about).collect()
    }

    #[test]
    fn layers_with_the_same_trouble_share_a_sentence() {
        let names = ["8C3", "16C3", "20FC", "9FC", "10Voting"].map(String::from);
        let texts = |rates: [f64; 5]| -> Vec<String> {
            of(&names, 10, None, &Seen { rates: rates.to_vec(), ..healthy() })
                .into_iter()
                .map(|t| format!("{}: {}", t.about, t.text))
                .collect()
        };
        let [dead] = &texts([0.1, 0.0, 0.0002, 0.0, 0.2])[..] else { panic!() };
        assert!(
            dead.starts_with("dead 1 2 3: layers 2, 3 and 4 (16C3, 20FC, 9FC) are dead: they fire at 0.000 to 0.020 % of the steps"),
            "{dead}"
        );
        assert!(dead.ends_with("may wake them"), "{dead}");
        let [one, busy] = &texts([0.7, 0.0, 0.6, 0.1, 0.2])[..] else { panic!() };
        assert!(
            one.starts_with("dead 1: layer 2 (16C3) is dead: it fires at 0.000 % of the steps") && one.ends_with("may wake it"),
            "{one}"
        );
        assert!(busy.starts_with("busy 0 2: layers 1 and 3 (8C3, 20FC) fire at 60.00 to 70.00 % of the steps"), "{busy}");
    }

    #[test]
    fn each_condition_is_named_and_health_and_warm_up_are_not() {
        assert_eq!(about(None, &healthy()), [""; 0]);
        let h = healthy;
        assert_eq!(about(Some(&Seen { loss: Some(0.051), ..h() }), &h()), [""; 0]);
        for warm_up in ["ann", "tssl"] {
            assert_eq!(about(None, &Seen { warm_up, rates: vec![0.0; 2], ..h() }), [""; 0]);
        }
        let done = Seen { loss: Some(0.0), ..h() };
        assert_eq!(about(Some(&done), &done), [""; 0], "nothing left to learn");
        let cases = [
            (Seen { rates: vec![0.0009, 0.2], ..h() }, vec!["dead 0"]),
            (Seen { rates: vec![0.1, 0.0], ..h() }, vec!["dead 1", "stuck"]),
            (Seen { rates: vec![0.1, 0.51], ..h() }, vec!["busy 1"]),
            (Seen { commonest_answer: Some(1.0), ..h() }, vec!["one answer"]),
            (Seen { balanced: Some(0.5), ..h() }, vec!["unbalanced"]),
            (Seen { epoch: 3, train_accuracy: Some(0.1), ..h() }, vec!["chance"]),
        ];
        for (seen, words) in &cases {
            assert_eq!(about(None, seen), *words, "{seen:?}");
        }
        assert_eq!(about(Some(&h()), &h()), ["stuck"]);
        // A line of an older version says nothing of answers.
        let old = Seen { balanced: None, commonest_class: None, commonest_answer: None, ..h() };
        assert_eq!(about(None, &old), [""; 0]);
    }
}
