//! Values out of range, and options that do not go together, by the names that users know them by.

use super::{BestOn, Config, Options};
use crate::data::{DatasetName, Resize};
use crate::error::{Error, Result};
use crate::frames::SplitBy;
use crate::limits;

impl Options {
    /// TOML has no whole numbers above 2^63 - 1.
    ///
    /// # Errors
    /// Usage: there is a larger one, which no config.toml could hold.
    pub fn writable(&self) -> Result<()> {
        let numbers = [
            ("--time-steps", self.time_steps),
            ("--batch", self.batch),
            ("--epochs", self.epochs),
            ("--train-limit", self.train_limit),
            ("--test-limit", self.test_limit),
            ("--eval-every", self.eval_every),
            ("--checkpoint-every", self.checkpoint_every),
            ("--credit-every", self.credit_every),
        ];
        let numbers = numbers.map(|(option, n)| (option, n.map(|n| n as u64)));
        let largest = i64::MAX as u64;
        match numbers.into_iter().chain([("--seed", self.seed)]).find(|(_, n)| n.is_some_and(|n| n > largest)) {
            Some((option, n)) => Err(out_of_range(option, n.unwrap_or_default(), &format!("at most {largest}"))),
            None => Ok(()),
        }
    }
}

impl Config {
    /// Every value on its own, then what has to go together.
    pub(super) fn check(&self) -> Result<()> {
        self.check_ranges()?;
        self.check_names()?;
        self.check_choices()
    }

    fn check_ranges(&self) -> Result<()> {
        let whole = |option: &str, value: usize, low: usize, high: usize| {
            if (low..=high).contains(&value) { Ok(()) } else { Err(out_of_range(option, value, &format!("{low} to {high}"))) }
        };
        let real = |option: &str, value: f64, ok: bool, range: &str| {
            if ok && value.is_finite() { Ok(()) } else { Err(out_of_range(option, value, range)) }
        };
        whole("--time-steps", self.time_steps, 1, limits::MAX_TIME_STEPS)?;
        whole("--batch", self.batch, 1, limits::MAX_BATCH)?;
        whole("--epochs", self.epochs, 1, limits::MAX_EPOCHS)?;
        whole("--eval-every", self.eval_every, 1, limits::MAX_EPOCHS)?;
        whole("--train-limit", self.train_limit.unwrap_or(1), 1, usize::MAX)?;
        whole("--test-limit", self.test_limit.unwrap_or(1), 1, usize::MAX)?;
        real("--alpha", self.alpha, (0.0..=10.0).contains(&self.alpha), "0 to 10")?;
        real("--threshold", self.threshold, self.threshold > 0.0 && self.threshold <= 1e3, "above 0, at most 1000")?;
        real("--decay", self.decay, (0.0..=1.0).contains(&self.decay), "0 to 1")?;
        real("--lr", self.lr, self.lr > 0.0 && self.lr <= 10.0, "above 0, at most 10")?;
        real("--weight-decay", self.weight_decay, (0.0..=1.0).contains(&self.weight_decay), "0 to 1")?;
        real("--val-split", self.val_split, (0.0..=0.9).contains(&self.val_split), "0 to 0.9")?;
        real("--event-drop", self.event_drop, (0.0..1.0).contains(&self.event_drop), "0 to below 1")?;
        real("--event-noise", self.event_noise, (0.0..=limits::MAX_EVENT_NOISE).contains(&self.event_noise), "0 to 10")
    }

    fn check_names(&self) -> Result<()> {
        let names = [&self.data_dir, &self.images_dir, &self.events_dir, &self.cache, &self.init];
        match names.into_iter().flatten().find(|name| name.to_str().is_none()) {
            Some(name) => {
                let what = "the name of this folder or file is not UTF-8, and cannot be written to config.toml";
                Err(Error::usage(what).at(name.display()))
            }
            None => Ok(()),
        }
    }

    fn check_choices(&self) -> Result<()> {
        if self.best_on == BestOn::Validation && self.val_split == 0.0 {
            return Err(Error::usage("there are no validation samples to choose on")
                .at("--best-on validation")
                .remedy("add --val-split 0.1"));
        }
        if self.dataset == DatasetName::Images && self.images_dir.is_none() {
            return Err(Error::usage("no folder of pictures is given").at("--dataset images").remedy("write --dataset images DIR"));
        }
        if self.dataset == DatasetName::Events && self.events_dir.is_none() {
            return Err(Error::usage("no folder of recordings is given").at("--dataset events").remedy("write --dataset events DIR"));
        }
        if self.dataset == DatasetName::Motions && (self.split_by != SplitBy::Number || self.strict) {
            let option = if self.strict { "--strict" } else { "--split-by time" };
            return Err(Error::usage("motions are made as frames, visit by visit").at(option).remedy("leave it out"));
        }
        if !self.dataset.is_events() {
            return self.check_no_event_options();
        }
        Ok(())
    }

    /// What acts on events would silently do nothing to pictures.
    fn check_no_event_options(&self) -> Result<()> {
        let said = [
            ("--split-by", self.split_by != SplitBy::default()),
            ("--resize", self.resize != Resize::None),
            ("--event-drop", self.event_drop > 0.0),
            ("--event-noise", self.event_noise > 0.0),
            ("--strict", self.strict),
        ];
        match said.iter().find(|(_, said)| *said) {
            Some((option, _)) => Err(Error::usage(format!("{} holds pictures, not recordings of events", self.dataset))
                .at(*option)
                .remedy("leave it out, or choose a set of events (spiketrain data list)")),
            None => Ok(()),
        }
    }
}

fn out_of_range(option: &str, value: impl std::fmt::Display, range: &str) -> Error {
    Error::usage(format!("{value} is out of range")).at(option).remedy(format!("choose {range}"))
}
