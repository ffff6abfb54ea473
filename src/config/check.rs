//! Values out of range, and options that do not go together, by the names that users know them by.

use std::path::Path;

use super::{BestOn, Config};
use crate::curriculum::TimeSteps;
use crate::data::Resize;
use crate::error::{Error, Result};
use crate::frames::SplitBy;
use crate::plural::counted;

/// TOML has no whole numbers above 2^63 - 1: no config.toml could hold a larger one.
pub(super) fn writable(option: &str, &value: &u64) -> Result<()> {
    let most = i64::MAX as u64;
    if value <= most { Ok(()) } else { Err(out_of_range(option, value, &format!("at most {most}"))) }
}

/// `low` to `high`.
pub(super) fn whole(low: usize, high: usize) -> impl Fn(&str, &usize) -> Result<()> {
    move |option, &value| {
        writable(option, &(value as u64))?;
        if (low..=high).contains(&value) { Ok(()) } else { Err(out_of_range(option, value, &format!("{low} to {high}"))) }
    }
}

/// `low` to `high`.
pub(super) fn within(low: f64, high: f64) -> impl Fn(&str, &f64) -> Result<()> {
    move |option, &value| real(option, value, (low..=high).contains(&value), &format!("{low} to {high}"))
}

/// `low` to `high`, without `low`.
pub(super) fn above(low: f64, high: f64) -> impl Fn(&str, &f64) -> Result<()> {
    move |option, &value| real(option, value, value > low && value <= high, &format!("above {low}, at most {high}"))
}

/// `low` to `high`, without `high`.
pub(super) fn below(low: f64, high: f64) -> impl Fn(&str, &f64) -> Result<()> {
    move |option, &value| real(option, value, (low..high).contains(&value), &format!("{low} to below {high}"))
}

fn real(option: &str, value: f64, ok: bool, range: &str) -> Result<()> {
    if ok { Ok(()) } else { Err(out_of_range(option, value, range)) }
}

fn out_of_range(option: &str, value: impl std::fmt::Display, range: &str) -> Error {
    Error::usage(format!("{value} is out of range")).option(option).remedy(format!("choose {range}"))
}

/// Every T and its epochs.
pub(super) fn steps(option: &str, steps: &TimeSteps) -> Result<()> {
    steps.check(option)
}

/// One mean and one standard deviation per channel.
pub(super) fn scale(option: &str, [mean, std]: &[Vec<f32>; 2]) -> Result<()> {
    let numbers = mean.iter().chain(std).all(|v| v.is_finite());
    if mean.len() == std.len() && !mean.is_empty() && numbers && std.iter().all(|&s| s > 0.0) {
        return Ok(());
    }
    Err(Error::usage("expected [[mean of channel 0, …], [standard deviation of channel 0, …]], the second above 0").at(option))
}

/// A name that config.toml can hold.
pub(super) fn utf8(_: &str, name: &Path) -> Result<()> {
    let what = "the name of this folder or file is not UTF-8, and cannot be written to config.toml";
    if name.to_str().is_some() { Ok(()) } else { Err(Error::usage(what).at(name.display())) }
}

impl Config {
    /// What has to go together.
    pub(super) fn check(&self) -> Result<()> {
        // The user's own folder may hold some, which is known when it is read.
        if self.best_on == BestOn::Validation && self.val_split == 0.0 && !self.dataset.is_own() {
            return Err(Error::usage("there are no validation samples to choose on")
                .option_as("best-on", "validation")
                .remedy("add --val-split 0.1"));
        }
        if let Some(epochs) = self.time_steps.epochs().filter(|&epochs| epochs != self.epochs) {
            return Err(Error::usage(format!("the curriculum has {}, the run {}", counted(epochs, "epoch"), self.epochs))
                .option_as("time-steps", &self.time_steps)
                .remedy("leave --epochs out"));
        }
        let set = self.dataset;
        let own = if set.is_events() { &self.events_dir } else { &self.images_dir };
        if set.is_own() && own.is_none() {
            return Err(Error::usage(format!("no folder of {} is given", set.samples()))
                .option_as("dataset", set)
                .remedy(format!("write --dataset {set} DIR")));
        }
        if !set.is_events() {
            return self.check_no_event_options();
        }
        if self.normalize.is_some() {
            return Err(Error::usage(format!("{set} holds events, whose counts are not scaled")).at("normalize").remedy("leave it out"));
        }
        if !set.has_recordings() && (self.split_by != SplitBy::Number || self.strict || self.sort) {
            let e = Error::usage(format!("{set} are made as frames, visit by visit")).remedy("leave it out");
            return Err(match (self.strict, self.sort) {
                (true, _) => e.option("strict"),
                (_, true) => e.option("sort"),
                _ => e.option_as("split-by", "time"),
            });
        }
        Ok(())
    }

    /// What acts on events would silently do nothing to pictures.
    fn check_no_event_options(&self) -> Result<()> {
        let said = [
            ("split-by", self.split_by != SplitBy::default()),
            ("resize", self.resize != Resize::None),
            ("event-drop", self.event_drop > 0.0),
            ("event-noise", self.event_noise > 0.0),
            ("strict", self.strict),
            ("sort", self.sort),
        ];
        match said.iter().find(|(_, said)| *said) {
            Some((option, _)) => Err(Error::usage(format!("{} holds pictures, not recordings of events", self.dataset))
                .option(option)
                .remedy("leave it out, or choose a set of events (spiketrain data list)")),
            None => Ok(()),
        }
    }
}
