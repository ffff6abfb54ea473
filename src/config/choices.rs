//! Choices of a configuration that belong to no other part of the program.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::cpu::Isa;
use crate::error::{Error, Result};
use crate::limits;
use crate::named::{named, no_such};

/// BatchNorm statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormMode {
    /// One per time step (the paper).
    #[default]
    PerStep,
    /// One over all steps.
    Merged,
}

named!(NormMode, "BatchNorm mode": PerStep = "per-step", Merged = "merged");

/// What a training sample counts in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All the same.
    #[default]
    None,
    /// By how rare its class is ([`crate::loss::balanced_weights`]).
    Balanced,
}

named!(ClassWeights, "choice of class weights": None = "none", Balanced = "balanced");

/// On what the best epoch is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BestOn {
    /// The samples held out by `--val-split`.
    Validation,
    /// The test set: the authors' way, and a bias the result names.
    Test,
    /// No choice: the last epoch.
    Last,
}

named!(BestOn, "choice": Validation = "validation", Test = "test", Last = "last");

/// What computes: an engine, and which card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// Event-driven, f32.
    #[default]
    Cpu,
    /// The slow f64 oracle.
    Reference,
    /// A graphics card: the best one, or the one of this number or with this in its name.
    Gpu(Option<String>),
}

impl Device {
    /// Names of the engines.
    pub const ENGINES: [&str; 3] = ["cpu", "reference", "gpu"];

    /// Of its engine.
    pub fn engine(&self) -> &'static str {
        match self {
            Device::Cpu => "cpu",
            Device::Reference => "reference",
            Device::Gpu(_) => "gpu",
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Gpu(Some(which)) => write!(f, "gpu:{which}"),
            other => f.write_str(other.engine()),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Device::Cpu),
            None if text == "reference" => Ok(Device::Reference),
            None if text == "gpu" => Ok(Device::Gpu(None)),
            Some(("gpu", which)) if !which.trim().is_empty() => Ok(Device::Gpu(Some(which.trim().to_string()))),
            _ => Err(Error::usage(format!("{}; a card by number or name: gpu:0, gpu:NAME", no_such("device", text, &Self::ENGINES)))),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Instruction set of the cpu engine. Part of a run, because the last bits of sums depend on it: a resumed run keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstructionSet {
    /// No particular one.
    Portable,
    /// NEON, of every 64-bit ARM processor.
    Neon,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512.
    Avx512,
}

// From narrow to wide.
named!(InstructionSet, "instruction set": Portable = "portable", Neon = "neon", Avx2 = "avx2", Avx512 = "avx512");

impl InstructionSet {
    /// For the engine.
    ///
    /// # Errors
    /// Usage: this machine does not have it.
    pub fn isa(self) -> Result<Isa> {
        self.among(&Isa::available())
    }

    fn among(self, available: &[Isa]) -> Result<Isa> {
        available.iter().copied().find(|isa| isa.name() == self.name()).ok_or_else(|| {
            let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
            Error::usage(format!("this machine does not have {}", self.name()))
                .option("isa")
                .remedy(format!("choose {}; the last bits of a run depend on it", names.join(", ")))
        })
    }
}

impl Default for InstructionSet {
    /// The widest of this machine.
    fn default() -> Self {
        let best = Isa::best().name();
        Self::ALL.into_iter().find(|i| i.name() == best).unwrap_or(InstructionSet::Portable)
    }
}

/// `on` or `off`, as the command line has it.
///
/// # Errors
/// It is neither.
pub fn on_off(text: &str) -> std::result::Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("no such choice; choose on, off".to_string()),
    }
}

/// Minutes of a time such as `30m`, `2h`, `1h30m`, `90s`; a bare number is minutes.
///
/// # Errors
/// It is none, or not above 0.
pub fn minutes(text: &str) -> std::result::Result<f64, String> {
    let bare = text.parse::<f64>().ok();
    let with_units = || {
        let (mut rest, mut sum) = (text, 0.0);
        for (unit, minutes) in [('h', 60.0), ('m', 1.0), ('s', 1.0 / 60.0)] {
            if let Some((number, behind)) = rest.split_once(unit) {
                sum += minutes * number.parse::<f64>().ok().filter(|n| *n >= 0.0)?;
                rest = behind;
            }
        }
        rest.is_empty().then_some(sum)
    };
    let found = bare.or_else(with_units).filter(|m| m.is_finite() && *m > 0.0);
    found.ok_or_else(|| "write a time such as 30m, 2h, 1h30m or 90s; a number is minutes".to_string())
}

/// `HEIGHTxWIDTH`.
pub(super) fn height_width(text: &str) -> std::result::Result<[usize; 2], String> {
    let side = |s: &str| s.parse::<usize>().ok().filter(|n| (1..=limits::MAX_SIDE).contains(n));
    let both = text.split_once('x').and_then(|(h, w)| Some([side(h)?, side(w)?]));
    both.ok_or_else(|| format!("write HEIGHTxWIDTH, 1 to {} each, e.g. 32x32", limits::MAX_SIDE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, wanted) in [("30", 30.0), ("30m", 30.0), ("2h", 120.0), ("1h30m", 90.0), ("90s", 1.5), ("0.5h", 30.0), ("1h1m30s", 61.5)]
        {
            assert_eq!(minutes(text), Ok(wanted), "{text}");
        }
        for text in ["", "0", "-1", "m", "30x", "inf", "nan", "1m1h", "0m", "1h-5m"] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_instruction_set_that_is_not_here_is_refused_with_those_that_are() {
        assert_eq!(InstructionSet::Portable.among(&[Isa::PORTABLE]).unwrap(), Isa::PORTABLE);
        let e = InstructionSet::Avx512.among(&[Isa::PORTABLE]).unwrap_err().to_string();
        assert!(e.contains("--isa") && e.contains("does not have avx512") && e.contains("choose portable;"), "{e}");
    }
}
