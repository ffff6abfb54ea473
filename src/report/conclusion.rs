//! What came out, in the first sentences of the page: which is ahead and by how much, and what speaks against believing it.

use crate::plural::{counted, counted_as};
use maud::{Markup, html};

use super::curves::{mean, rates_of};
use super::run::groups;
use super::summary::{duration, last_test, time};
use super::{Part, Run, Section, Table, amount, percent};
use crate::notation::Notation;
use crate::study::Stat;

/// Quantiles 0.975 of Student's t with 1, 2, … degrees of freedom; for more the last one, which is too wide rather than too narrow.
const STUDENT: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

/// What stands behind the sign in an accuracy of several seeds.
const SPREAD: &str = "Behind ± in an accuracy stands the standard deviation over seeds.";

/// Runs that differ in their seed only.
struct Group<'a> {
    name: String,
    runs: Vec<&'a Run>,
    /// Last test accuracy in %, over seeds.
    accuracy: Stat,
}

/// The conclusion of one run, or of several.
pub fn section(runs: &[Run]) -> Section {
    let mut section = Section::new("conclusion", "Conclusion");
    let mut ranked: Vec<Group> = groups(runs)
        .into_iter()
        .filter_map(|(name, runs)| {
            let accuracy = Stat::of(runs.iter().filter_map(|r| Some(100.0 * last_test(r)?.0)))?;
            // How many seeds is said beside the accuracy.
            let name = name.strip_suffix(&format!(", {} seeds", runs.len())).unwrap_or(&name).to_string();
            Some(Group { name, runs, accuracy })
        })
        .collect();
    ranked.sort_by(|a, b| b.accuracy.mean.total_cmp(&a.accuracy.mean));
    match &ranked[..] {
        [] => section.missing.push("Nothing can be concluded: no test accuracy was measured.".into()),
        [only] => section.words(sentences(alone(only))),
        all => {
            section.words(sentences(compared(all)));
            section.parts.push(Part::Table(table(all)));
        }
    }
    section
}

fn sentences(all: Vec<String>) -> Markup {
    let mut all = all.into_iter();
    html! {
        @if let Some(first) = all.next() { p.lead { strong { (first) } } }
        @for one in all { p { (one) } }
    }
}

/// Accuracy with its spread, and the number of seeds.
fn measured(g: &Group) -> String {
    format!("{} % ({})", g.accuracy, counted(g.accuracy.n, "seed"))
}

/// Classes of a run, if its notation says.
fn classes(run: &Run) -> Option<usize> {
    run.config.net.parse::<Notation>().ok().map(|n| n.classes()).filter(|n| *n > 0)
}

/// Percent that guessing gets right where classes are equally frequent.
fn chance(run: &Run) -> Option<f64> {
    classes(run).map(|n| 100.0 / n as f64)
}

/// Half the width of the 95 % interval of an accuracy in %, for the finite number of test samples alone.
fn sampling(g: &Group) -> Option<(f64, usize)> {
    let n = g.runs.iter().find_map(|r| r.result.as_ref().map(|x| x.test_samples)).filter(|n| *n > 0)?;
    let p = (g.accuracy.mean / 100.0).clamp(0.0, 1.0);
    Some((196.0 * (p * (1.0 - p) / n as f64).sqrt(), n))
}

/// Whether the accuracy is no more than guessing might give.
fn like_guessing(g: &Group) -> bool {
    chance(g.runs[0]).is_some_and(|c| g.accuracy.mean <= c + sampling(g).map_or(0.0, |s| s.0))
}

fn chance_level(run: &Run) -> Option<String> {
    let n = classes(run)?;
    Some(format!("Chance level: guessing among {n} equally frequent classes is right in {:.2} % of cases.", 100.0 / n as f64))
}

fn alone(g: &Group) -> Vec<String> {
    let run = g.runs[0];
    let epoch = last_test(run).map_or(0, |t| t.1);
    let mut said = vec![format!("{}: test accuracy {} % on {} (epoch {epoch}).", g.name, g.accuracy, run.dataset())];
    said.extend(chance_level(run));
    if like_guessing(g) {
        said.push(
            "This is no better than guessing may be on so many samples: nothing shows that the network tells the classes apart.".into(),
        );
    }
    if let Some((half, n)) = sampling(g) {
        let leave = counted_as(n, "test sample leaves", "test samples leave");
        said.push(format!("{leave} it uncertain by about ± {half:.2} points (95 %)."));
    }
    if g.accuracy.n > 1 {
        said.push(SPREAD.into());
    } else {
        said.push("One seed: how far another seed would be from it is not known.".into());
    }
    said
}

/// What makes a ranking meaningless.
fn obstacle(all: &[Group]) -> Option<&'static str> {
    let differ = |of: &dyn Fn(&Run) -> String| all.iter().flat_map(|g| &g.runs).any(|r| of(r) != of(all[0].runs[0]));
    let known = || all.iter().flat_map(|g| &g.runs).filter_map(|r| r.result.as_ref());
    let first = known().next();
    if differ(&|r| r.dataset()) {
        return Some("the runs were tested on different data sets");
    }
    let other = |x: &crate::train::RunResult| first.is_some_and(|f| f.test_samples != x.test_samples);
    if differ(&|r| format!("{:?}", r.config.test_limit)) || known().any(other) {
        return Some("the runs were tested on different samples");
    }
    None
}

fn compared(all: &[Group]) -> Vec<String> {
    if let Some(why) = obstacle(all) {
        return vec![format!("No run is ahead of another: {why}, and their accuracies do not compare.")];
    }
    let (first, second) = (&all[0], &all[1]);
    let gap = first.accuracy.mean - second.accuracy.mean;
    let (one, other) = (measured(first), measured(second));
    let mut said = Vec::new();
    match interval(&first.accuracy, &second.accuracy) {
        _ if gap == 0.0 => said.push(format!("{} and {} are equal: {one} and {other} on the test set.", first.name, second.name)),
        Some(half) if half < gap => said.push(format!(
            "{} is ahead of {} by {gap:.2} points: {one} against {other}; the difference is larger than seeds explain (95 % interval ± {half:.2}).",
            first.name, second.name
        )),
        Some(half) => said.push(format!(
            "No clear winner: {} is {gap:.2} points above {}, less than other seeds may change (95 % interval ± {half:.2}): {one} against {other}.",
            first.name, second.name
        )),
        None => said.push(format!("{} is {gap:.2} points above {}: {one} against {other}.", first.name, second.name)),
    }
    if all.iter().any(|g| g.accuracy.n > 1) {
        said.push(SPREAD.into());
    }
    if all.iter().any(|g| g.accuracy.n == 1) {
        said.push("Where there is one seed only, the spread over seeds is not known: another seed may change the order.".into());
    }
    if let Some((half, n)) = sampling(first) {
        let leave = counted_as(n, "test sample leaves", "test samples leave");
        said.push(format!("{leave} each accuracy uncertain by about ± {half:.2} points more (95 %)."));
    }
    said.extend(chance_level(first.runs[0]));
    let guessing: Vec<&str> = all.iter().filter(|g| like_guessing(g)).map(|g| g.name.as_str()).collect();
    if !guessing.is_empty() {
        said.push(format!("No better than guessing: {}.", guessing.join(", ")));
    }
    said.extend(differences(all));
    said.extend(unequal(all));
    if all.len() > 2 {
        said.push(format!("The first of {} was picked after looking, which makes its lead look larger than it is.", all.len()));
    }
    said
}

/// Half the 95 % interval of the difference of two means over seeds (Welch); `None` if one has no spread.
fn interval(a: &Stat, b: &Stat) -> Option<f64> {
    let (va, vb) = (a.std?.powi(2) / a.n as f64, b.std?.powi(2) / b.n as f64);
    let freedom = (va + vb).powi(2) / (va.powi(2) / (a.n as f64 - 1.0) + vb.powi(2) / (b.n as f64 - 1.0));
    // Without any spread there is no number of degrees, and nothing to multiply.
    let degrees = if freedom.is_finite() { (freedom as usize).clamp(1, STUDENT.len()) } else { 1 };
    Some(STUDENT[degrees - 1] * (va + vb).sqrt())
}

/// The options in which the runs differ, beside their seeds.
fn differences(all: &[Group]) -> Option<String> {
    let mut options: Vec<String> = all[1..].iter().flat_map(|g| all[0].runs[0].config.differences(&g.runs[0].config)).collect();
    options.retain(|o| o != "seed");
    options.sort();
    options.dedup();
    let more = if options.len() > 1 { " Which of these makes the difference cannot be told from these runs." } else { "" };
    (!options.is_empty()).then(|| format!("The runs differ in: {}.{more}", options.join(", ")))
}

/// Runs that are not equally far.
fn unequal(all: &[Group]) -> Option<String> {
    let epochs = || all.iter().flat_map(|g| &g.runs).filter_map(|r| Some(last_test(r)?.1));
    let (least, most) = (epochs().min()?, epochs().max()?);
    (least != most).then(|| format!("They are compared after different numbers of epochs: {least} to {most}."))
}

fn table(all: &[Group]) -> Table {
    let mut table = Table::new([
        "run",
        "seeds",
        "test accuracy, last, in %",
        "behind the first, points",
        "mean firing rate",
        "energy counted, nJ per sample",
        "training time",
    ]);
    let over = |g: &Group, of: &dyn Fn(&Run) -> Option<f64>| Stat::of(g.runs.iter().filter_map(|r| of(r))).map(|s| s.mean);
    let comparable = obstacle(all).is_none();
    for g in all {
        let behind = all[0].accuracy.mean - g.accuracy.mean;
        let energy = over(g, &|r| Some(r.cost.as_ref()?.energy?.spiking_nj));
        table.rows.push(vec![
            g.name.clone(),
            g.accuracy.n.to_string(),
            g.accuracy.to_string(),
            if comparable { format!("{behind:.2}") } else { "–".into() },
            over(g, &|r| Some(mean(rates_of(r.last())))).map_or("–".into(), percent),
            energy.map_or("–".into(), amount),
            over(g, &|r| Some(time(r))).map_or("–".into(), duration),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::tests::{line, run};
    use super::*;
    use crate::config::Options;
    use crate::neuron::Rule;

    fn of(name: &str, seed: u64, rule: Rule, accuracy: f64) -> Run {
        let options = Options { seed: Some(seed), rule: Some(rule), ..Options::default() };
        run(name, options, vec![line(1, accuracy, [0.1; 2])])
    }

    fn text(runs: &[Run]) -> String {
        let section = section(runs);
        let words = section.parts.iter().filter_map(|p| match p {
            Part::Words(m) => Some(m.clone().into_string()),
            _ => None,
        });
        words.chain(section.missing.clone()).collect()
    }

    #[test]
    fn a_lead_is_larger_than_the_spread_or_none() {
        let runs = |b: [f64; 2]| {
            vec![
                of("a-s1", 1, Rule::Bpsa, 0.90),
                of("a-s2", 2, Rule::Bpsa, 0.91),
                of("b-s1", 1, Rule::Stbp, b[0]),
                of("b-s2", 2, Rule::Stbp, b[1]),
            ]
        };
        let clear = text(&runs([0.50, 0.51]));
        assert!(clear.contains("a is ahead of b by 40.00 points: 90.50 ± 0.71 % (2 seeds)"), "{clear}");
        // t with 2 degrees of freedom, standard error 0.7071: ± 3.04.
        assert!(clear.contains("± 3.04") && clear.contains("The runs differ in: rule."), "{clear}");
        let unclear = text(&runs([0.89, 0.90]));
        assert!(unclear.contains("No clear winner") && unclear.contains("1.00 points above"), "{unclear}");
        assert!(text(&runs([0.91, 0.90])).contains("are equal"));
    }

    #[test]
    fn one_seed_chance_and_data_that_do_not_compare_are_said() {
        let lone = text(&[of("a", 1, Rule::Bpsa, 0.10)]);
        for words in
            ["test accuracy 10.00 %", "10 equally frequent classes is right in 10.00 %", "no better than guessing may be", "One seed"]
        {
            assert!(lone.contains(words), "no '{words}' in {lone}");
        }
        let two = text(&[of("a", 1, Rule::Bpsa, 0.9), of("b", 1, Rule::Stbp, 0.1)]);
        assert!(
            two.contains("a is 80.00 points above b") && two.contains("one seed only") && two.contains("No better than guessing: b."),
            "{two}"
        );
        let mut other = of("b", 1, Rule::Stbp, 0.1);
        other.config.test_limit = Some(50);
        assert!(text(&[of("a", 1, Rule::Bpsa, 0.9), other]).contains("No run is ahead of another"));
        let mut silent = of("a", 1, Rule::Bpsa, 0.9);
        silent.epochs[0].test_accuracy = None;
        assert!(text(&[silent]).contains("no test accuracy was measured"));
    }
}
