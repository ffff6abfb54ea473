//! What the runs are and what came out of them; what they ran on.

use crate::plural::{grouped, thousands};
use maud::{Markup, html};

use super::curves::{mean, rates_of};
use super::{Part, Run, Section, Table, amount, percent};
use crate::config::BestOn;
use crate::neuron::Rule;

/// The rule, and α where it counts.
pub fn rule(run: &Run) -> String {
    match run.config.rule {
        Rule::BpsaBpta => format!("bpsa+bpta, α {}", run.config.alpha),
        other => other.name().to_string(),
    }
}

/// The last test accuracy and its epoch.
pub fn last_test(run: &Run) -> Option<(f64, u64)> {
    run.epochs.iter().rev().find_map(|l| Some((l.test_accuracy?, l.epoch)))
}

/// What a column says of a run.
type Of = fn(&Run) -> String;

/// On what the best epoch was chosen.
fn chosen(on: BestOn) -> &'static str {
    match on {
        BestOn::Validation => "chosen on the validation split",
        BestOn::Test => "chosen on the test set: biased",
        BestOn::Last => "the last epoch, no choice",
    }
}

/// Accuracy of the epoch that was chosen.
fn best(run: &Run) -> String {
    match &run.result {
        Some(r) if r.selected_by == BestOn::Last => "none: nothing was selected on".to_string(),
        Some(r) => format!("{} (epoch {}, {})", percent(r.selected_test_accuracy), r.selected_epoch, chosen(r.selected_by)),
        None => "not known before the run ends".to_string(),
    }
}

fn accuracy(run: &Run) -> String {
    last_test(run).map_or("not measured".to_string(), |(a, epoch)| format!("{} (epoch {epoch})", percent(a)))
}

pub(super) fn time(run: &Run) -> f64 {
    run.epochs.iter().map(|l| l.seconds).sum()
}

/// Hours, minutes and seconds.
pub(super) fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) if s < 10 => format!("{seconds:.1} s"),
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

fn memory(run: &Run) -> String {
    run.result.as_ref().and_then(|r| r.peak_rss_mb).map_or("not known".to_string(), |m| format!("{} MB", thousands(m as usize)))
}

fn samples(run: &Run) -> String {
    match &run.result {
        Some(r) if r.validation_samples > 0 => {
            format!(
                "{} training, {} validation, {} test",
                thousands(r.train_samples),
                thousands(r.validation_samples),
                thousands(r.test_samples)
            )
        }
        Some(r) => format!("{} training, {} test", thousands(r.train_samples), thousands(r.test_samples)),
        None => "not known before the run ends".to_string(),
    }
}

/// One run as a list, or several as rows of a table.
pub fn section(runs: &[Run]) -> Section {
    let mut section = Section::new("summary", "Summary");
    match runs {
        [run] => {
            section.words(cards(run));
            section.parts.push(Part::Table(details(run)));
        }
        _ => compared(&mut section, runs),
    }
    section
}

/// The numbers people ask for first.
fn cards(run: &Run) -> Markup {
    let last = last_test(run).map_or("–".to_string(), |(a, _)| percent(a));
    let simulated = if run.simulated() { " on simulated data" } else { "" };
    html! {
        div.cards {
            div.card { strong { (last) } span { "test accuracy" (simulated) ", last epoch" } }
            div.card { strong { (percent(mean(rates_of(run.last())))) } span { "mean firing rate of layers" } }
            div.card { strong { (amount(run.last().samples_per_s)) } span { "samples/s in training" } }
            div.card { strong { (duration(time(run))) } span { "for " (grouped(run.last().epoch as usize, "epoch")) } }
        }
    }
}

fn details(run: &Run) -> Table {
    let c = &run.config;
    let rates: Vec<String> = rates_of(run.last()).iter().map(|r| format!("{:.2}", 100.0 * r)).collect();
    let weighted = run.result.as_ref().map_or(String::new(), |r| format!(", of neurons {}", percent(r.weighted_firing_rate)));
    let rows = [
        ("data set", run.dataset()),
        ("samples", samples(run)),
        ("network", c.net.clone()),
        ("recipe", if run.config_toml.contains("\nrecipe = ") { c.recipe.name() } else { "older than recipes" }.to_string()),
        ("rule", rule(run)),
        ("time steps T", c.time_steps.to_string()),
        ("warm-up", c.warm_up.to_string()),
        ("epochs", format!("{} of {}", run.last().epoch, c.epochs)),
        ("test accuracy, last", accuracy(run)),
        ("test accuracy, best", best(run)),
        ("firing rates by layer", format!("{} %", rates.join(" · "))),
        ("firing rate, mean of layers", format!("{}{weighted}", percent(mean(rates_of(run.last()))))),
        ("training speed", format!("{} samples/s", amount(run.last().samples_per_s))),
        ("time", format!("{}, evaluation included", duration(time(run)))),
        ("peak memory", memory(run)),
        ("seed", c.seed.to_string()),
    ];
    let mut table = Table::new(["what", "value"]);
    table.rows = rows.into_iter().map(|(what, value)| vec![what.to_string(), value]).collect();
    table
}

/// A row per run of what differs among them; what all share is said in one line.
fn compared(section: &mut Section, runs: &[Run]) {
    let columns: [(&str, Of); 12] = [
        ("data set", |r| r.dataset()),
        ("network", |r| r.config.net.clone()),
        ("rule", rule),
        ("T", |r| r.config.time_steps.to_string()),
        ("epochs", |r| format!("{} of {}", r.last().epoch, r.config.epochs)),
        ("test accuracy, last", accuracy),
        ("test accuracy, best", best),
        ("mean rate", |r| percent(mean(rates_of(r.last())))),
        ("samples/s", |r| amount(r.last().samples_per_s)),
        ("time", |r| duration(time(r))),
        ("memory", memory),
        ("seed", |r| r.config.seed.to_string()),
    ];
    let same = |of: fn(&Run) -> String| runs.iter().all(|r| of(r) == of(&runs[0]));
    // Results stay in the table, even if they are the same by chance.
    let settings = ["data set", "network", "rule", "T", "epochs", "seed"];
    let (shared, differing): (Vec<_>, Vec<_>) = columns.into_iter().partition(|(name, of)| settings.contains(name) && same(*of));
    let shared: Vec<String> = shared.iter().map(|(name, of)| format!("{name} {}", of(&runs[0]))).collect();
    if !shared.is_empty() {
        section.words(html! { p { "The same in all runs: " (shared.join("; ")) "." } });
    }
    let mut table = Table::new(std::iter::once("run").chain(differing.iter().map(|c| c.0)));
    let row = |r: &Run| std::iter::once(r.name.clone()).chain(differing.iter().map(|(_, of)| of(r))).collect();
    table.rows = runs.iter().map(row).collect();
    section.parts.push(Part::Table(table));
}

/// Configuration and machine.
pub fn environment(runs: &[Run]) -> Section {
    let mut section = Section::new("environment", "Configuration and environment");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    section.words(html! { p {
        "This report was made by spiketrain " (env!("CARGO_PKG_VERSION")) " on " (std::env::consts::OS) "/" (std::env::consts::ARCH)
        " with " (threads) " threads and " (crate::engine::cpu::Isa::best().name()) "; the runs may have come from another machine."
    } });
    let mut table = Table::new(["run", "folder", "spiketrain", "device", "instruction set", "weights SHA-256", "data set fingerprint"]);
    for r in runs {
        let of = |get: fn(&crate::train::RunResult) -> &String| {
            r.result.as_ref().map_or("not known before the run ends".to_string(), |x| get(x).clone())
        };
        table.rows.push(vec![
            r.name.clone(),
            r.path.display().to_string(),
            of(|x| &x.version),
            r.config.device.to_string(),
            r.config.isa.name().into(),
            of(|x| &x.weights_sha256),
            of(|x| &x.dataset_fingerprint),
        ]);
    }
    section.parts.push(Part::Table(table));
    for r in runs {
        section.words(html! { details open[runs.len() == 1] { summary { (r.name) ": config.toml" } pre { code { (r.config_toml) } } } });
    }
    section
}
