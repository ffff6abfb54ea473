//! Learning-rate schedules and warm-ups: pure functions of the epoch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits;
use crate::named::meant;

/// How the learning rate moves over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Schedule {
    /// Cosine with warm restarts (the paper; SGDR): cycles of `first`, `first·mult`, `first·mult²`, … epochs. A cycle that would not end within the run is
    /// given to the one before it, so that the last epoch always ends a cycle.
    Restarts {
        /// Epochs of the first cycle (T_0).
        first: usize,
        /// Each cycle is this many times as long as the one before (T_mult).
        mult: usize,
    },
    /// The released code: five epochs of lr/(5-e), then one half cosine to 0.
    RampCosine,
    /// One half cosine to 0 over the whole run.
    Cosine,
    /// No change.
    Constant,
}

/// Epochs of the released code's ramp.
const RAMP: usize = 5;

impl Schedule {
    /// Learning rate at `epoch` (from 0) plus `part` of it in \[0, 1), of a run of `epochs`, as a factor of the base rate.
    pub fn factor(self, epoch: usize, part: f64, epochs: usize) -> f64 {
        let cosine = |done: f64, length: f64| 0.5 * (1.0 + (std::f64::consts::PI * done / length).cos());
        match self {
            Schedule::Constant => 1.0,
            Schedule::Cosine => cosine(epoch as f64 + part, epochs as f64),
            Schedule::RampCosine if epoch < RAMP => 1.0 / (RAMP - epoch) as f64,
            Schedule::RampCosine => cosine((epoch - RAMP) as f64 + part, (epochs - RAMP) as f64),
            Schedule::Restarts { first, mult } => {
                let (start, length) = cycle(first, mult, epoch, epochs);
                cosine((epoch - start) as f64 + part, length as f64)
            }
        }
    }
}

/// First epoch and length of the cycle that holds `epoch`.
fn cycle(first: usize, mult: usize, epoch: usize, epochs: usize) -> (usize, usize) {
    let (mut start, mut length) = (0, first.min(epochs));
    loop {
        let end = start + length;
        let next = length.saturating_mul(mult);
        let end = if end + next > epochs { epochs } else { end };
        if epoch < end {
            return (start, end - start);
        }
        (start, length) = (end, next);
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Restarts { first, mult } => write!(f, "restarts:{first}:{mult}"),
            Schedule::RampCosine => write!(f, "ramp-cosine"),
            Schedule::Cosine => write!(f, "cosine"),
            Schedule::Constant => write!(f, "constant"),
        }
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let parts: Vec<&str> = s.split(':').collect();
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| (1..=limits::MAX_EPOCHS).contains(n));
        let found = match parts[..] {
            ["constant"] => Some(Schedule::Constant),
            ["cosine"] => Some(Schedule::Cosine),
            ["ramp-cosine"] => Some(Schedule::RampCosine),
            ["restarts", first] => number(first).map(|first| Schedule::Restarts { first, mult: 1 }),
            ["restarts", first, mult] => number(first).zip(number(mult)).map(|(first, mult)| Schedule::Restarts { first, mult }),
            _ => None,
        };
        found.ok_or_else(|| {
            Error::usage(format!("'{s}' is not a schedule")).remedy(
                meant(s, &["cosine", "restarts", "ramp-cosine", "constant"])
                    + "choose cosine, restarts:EPOCHS, restarts:EPOCHS:FACTOR, ramp-cosine or constant",
            )
        })
    }
}

/// What happens in the first epochs, while untrained neurons may be silent and bpsa gives them no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WarmUp {
    /// Nothing.
    None,
    /// For N epochs a layer that fires at 10 % or less gets a smooth surrogate (the paper's words).
    Tssl(usize),
    /// For N epochs the neuron is the identity (the released code).
    Ann(usize),
}

impl WarmUp {
    /// Firing rate at or below which a layer counts as quiet under `tssl`.
    pub const TSSL_RATE: f64 = 0.1;

    /// Number of warm-up epochs.
    pub fn epochs(self) -> usize {
        match self {
            WarmUp::None => 0,
            WarmUp::Tssl(n) | WarmUp::Ann(n) => n,
        }
    }
    /// Whether `epoch` (from 0) runs as an artificial network.
    pub fn is_ann(self, epoch: usize) -> bool {
        matches!(self, WarmUp::Ann(n) if epoch < n)
    }
    /// The rate limit of `tssl` in `epoch`, if it applies.
    pub fn tssl_rate(self, epoch: usize) -> Option<f64> {
        matches!(self, WarmUp::Tssl(n) if epoch < n).then_some(Self::TSSL_RATE)
    }
}

impl fmt::Display for WarmUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WarmUp::None => write!(f, "none"),
            WarmUp::Tssl(n) => write!(f, "tssl:{n}"),
            WarmUp::Ann(n) => write!(f, "ann:{n}"),
        }
    }
}

impl FromStr for WarmUp {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let number = |text: &str| text.parse::<usize>().ok().filter(|n| (1..=limits::MAX_EPOCHS).contains(n));
        let found = match s.split_once(':') {
            None if s == "none" => Some(WarmUp::None),
            Some(("tssl", n)) => number(n).map(WarmUp::Tssl),
            Some(("ann", n)) => number(n).map(WarmUp::Ann),
            _ => None,
        };
        found.ok_or_else(|| {
            Error::usage(format!("'{s}' is not a warm-up"))
                .remedy(meant(s, &["none", "ann", "tssl"]) + "choose none, ann:EPOCHS or tssl:EPOCHS")
        })
    }
}

macro_rules! text_in_files {
    ($($t:ty),*) => {$(
        impl TryFrom<String> for $t {
            type Error = Error;
            fn try_from(s: String) -> Result<Self> {
                s.parse()
            }
        }
        impl From<$t> for String {
            fn from(v: $t) -> String {
                v.to_string()
            }
        }
    )*};
}
text_in_files!(Schedule, WarmUp);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_follow_sgdr_and_never_end_just_after_one() {
        let s = Schedule::Restarts { first: 10, mult: 2 };
        assert_eq!(s.factor(0, 0.0, 30), 1.0);
        assert!((s.factor(5, 0.0, 30) - 0.5).abs() < 1e-12);
        assert_eq!(s.factor(10, 0.0, 30), 1.0);
        assert!((s.factor(20, 0.0, 30) - 0.5).abs() < 1e-12);
        for first in 1..14 {
            for mult in 1..4 {
                for epochs in 1..80 {
                    let s = Schedule::Restarts { first, mult };
                    let end = s.factor(epochs - 1, 0.999_999, epochs);
                    assert!(end < 1e-4, "restarts:{first}:{mult} of {epochs} epochs ends at {end}");
                    let whole = cycle(first, mult, epochs - 1, epochs);
                    assert!(whole.1 >= first.min(epochs), "a stump of {} epochs at the end", whole.1);
                }
            }
        }
    }

    #[test]
    fn the_released_ramp() {
        let s = Schedule::RampCosine;
        assert_eq!([0, 1, 2, 3, 4].map(|e| s.factor(e, 0.5, 105)), [0.2, 0.25, 1.0 / 3.0, 0.5, 1.0]);
        assert!((s.factor(55, 0.0, 105) - 0.5).abs() < 1e-12);
        assert!(s.factor(104, 0.999, 105) < 1e-3);
        assert_eq!(s.factor(2, 0.0, 3), 1.0 / 3.0);
    }

    #[test]
    fn texts_round_trip() {
        for text in ["restarts:10:2", "cosine", "ramp-cosine", "constant"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        assert_eq!("restarts:7".parse::<Schedule>().unwrap().to_string(), "restarts:7:1");
        for text in ["none", "ann:3", "tssl:1"] {
            assert_eq!(text.parse::<WarmUp>().unwrap().to_string(), text);
        }
        for bad in ["", "restarts", "restarts:0", "restarts:1:0", "cosine:3", "restarts:1:2:3"] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
        for bad in ["", "ann", "ann:0", "tssl:-1", "ann:1:2", "none:1"] {
            assert!(bad.parse::<WarmUp>().is_err(), "{bad}");
        }
    }
}
