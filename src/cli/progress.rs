//! Progress of a run for people: a bar per epoch, a line when it is done.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ratatui::crossterm::terminal::size;

use crate::curriculum::TimeSteps;
use crate::data::own::WARNING;
use crate::train::trainer::Tally;
use crate::train::{EpochLine, Observer};

/// Between lines within an epoch where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// How much is said on the way to a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voice {
    /// Bars, notes, a line per epoch.
    #[default]
    Full,
    /// Warnings alone.
    Quiet,
    /// Notes; what a program may want to read is JSON on standard output.
    Json,
}

impl Voice {
    /// Whether this text is said: the quiet hear warnings alone.
    pub fn says(self, text: &str) -> bool {
        self != Voice::Quiet || text.trim_start().starts_with(WARNING)
    }

    /// Says something that is no result, on standard error.
    pub fn say(self, text: impl std::fmt::Display) {
        let text = text.to_string();
        if self.says(&text) {
            super::say(text);
        }
    }

    /// Where bars are drawn: on standard error where it is a terminal, for the quiet nowhere.
    pub fn target(self) -> ProgressDrawTarget {
        if self == Voice::Quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(5) }
    }
}

/// Bars on standard error where it is a terminal; lines everywhere.
pub struct Terminal {
    voice: Voice,
    bar: ProgressBar,
    plain: bool,
    /// When the last line was written.
    last: Instant,
    /// T by epoch, if it is not always the same: lines say it then.
    curriculum: Option<TimeSteps>,
}

impl Terminal {
    /// Nothing is drawn before the first step.
    pub fn new(voice: Voice) -> Self {
        let bar = ProgressBar::with_draw_target(None, voice.target());
        // A narrow terminal cuts the end: the time left must not be there.
        let style = "epoch {prefix} [{bar:16}] {pos}/{len} {eta} left  {wide_msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("=> "));
        }
        let plain = bar.is_hidden();
        Terminal { voice, bar, plain, last: Instant::now(), curriculum: None }
    }

    /// For a run whose T changes.
    pub fn follow(&mut self, steps: &TimeSteps) {
        self.curriculum = steps.epochs().map(|_| steps.clone());
    }

    /// Takes the bar away, so that others may print.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&mut self, text: &str) {
        self.last = Instant::now();
        if self.plain {
            super::say(text);
        } else {
            self.bar.println(super::harmless(text));
        }
    }
}

fn percents(rates: &[f64]) -> String {
    rates.iter().map(|r| format!("{:.1}", 100.0 * r)).collect::<Vec<_>>().join(" ")
}

impl Observer for Terminal {
    fn step(&mut self, epoch: usize, i: usize, of: usize, tally: &Tally, rates: &[f64]) {
        if self.voice == Voice::Quiet {
            return;
        }
        if self.bar.position() as usize + 1 != i || self.bar.length() != Some(of as u64) {
            self.bar.set_length(of as u64);
            self.bar.set_position(i as u64);
            self.bar.reset_eta();
        }
        self.bar.set_prefix((epoch + 1).to_string());
        self.bar.set_position(i as u64);
        let seen = tally.samples as f64;
        let state = format!(
            "{:.0} samples/s  loss {:.4}  acc {:.2} %  rates {} %",
            seen / tally.seconds,
            tally.loss / seen,
            100.0 * tally.correct as f64 / seen,
            percents(rates)
        );
        if self.plain && self.last.elapsed() >= LINE_EVERY {
            self.line(&format!("  epoch {}, step {i} of {of}: {state}", epoch + 1));
        }
        self.bar.set_message(state);
    }

    fn epoch(&mut self, l: &EpochLine, epochs: usize) {
        match self.voice {
            Voice::Full => {}
            Voice::Quiet => return,
            // What cannot be written as JSON is in no file either.
            Voice::Json => return self.bar.suspend(|| super::print(serde_json::to_string(l).unwrap_or_default())),
        }
        let percent = |v: Option<f64>| v.map_or("-".to_string(), |a| format!("{:.2} %", 100.0 * a));
        let validation = l.validation_accuracy.map_or(String::new(), |a| format!("  validation {:.2} %", 100.0 * a));
        let done = l.epoch.max(1) as usize;
        let (steps, left) = match &self.curriculum {
            None => (String::new(), epochs.saturating_sub(done) as f64),
            Some(steps) => (format!("  at T {}", steps.at(done - 1)), steps.sum(done..epochs) / steps.at(done - 1) as f64),
        };
        let phase = if l.warm_up == "none" { String::new() } else { format!("  ({} warm-up)", l.warm_up) };
        let left = Duration::from_secs_f64(l.seconds * left);
        // An artificial network has no spikes: zeros would look like a collapse.
        let rates = match l.warm_up.as_str() {
            "ann" => "-".to_string(),
            _ => percents(l.test_firing_rates.as_ref().unwrap_or(&l.firing_rates)) + " %",
        };
        let learned = format!(
            "epoch {:>3}/{epochs}  loss {:.4}  train {}{validation}  test {}",
            l.epoch,
            l.loss,
            percent(Some(l.train_accuracy)),
            percent(l.test_accuracy)
        );
        let took = format!(
            "rates {rates}  {:.0} samples/s  {:.0} s, {} left{steps}{phase}",
            l.samples_per_s,
            l.seconds,
            indicatif::HumanDuration(left)
        );
        // A file has a line per epoch; a terminal that is too narrow for it two, broken between words.
        let fits = self.plain || size().is_ok_and(|(columns, _)| learned.chars().count() + 2 + took.chars().count() <= columns.into());
        self.line(&format!("{learned}{}{took}", if fits { "  " } else { "\n               " }));
    }

    fn note(&mut self, text: &str) {
        if self.voice.says(text) {
            self.line(text);
        }
    }
}
