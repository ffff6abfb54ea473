//! Choices of a configuration that belong to no other part of the program.

use serde::{Deserialize, Serialize};

use crate::engine::cpu::Isa;
use crate::error::{Error, Result};

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

/// Which engine computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// Event-driven, f32.
    #[default]
    Cpu,
    /// The slow f64 oracle.
    Reference,
}

/// Instruction set of the cpu engine. Part of a run, because the last bits of sums depend on it: a resumed run keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstructionSet {
    /// No particular one.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512.
    Avx512,
}

impl InstructionSet {
    /// All, from narrow to wide.
    pub const ALL: [InstructionSet; 3] = [InstructionSet::Portable, InstructionSet::Avx2, InstructionSet::Avx512];

    /// As on the command line.
    pub fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable => "portable",
            InstructionSet::Avx2 => "avx2",
            InstructionSet::Avx512 => "avx512",
        }
    }

    /// For the engine.
    ///
    /// # Errors
    /// Usage: this machine does not have it.
    pub fn isa(self) -> Result<Isa> {
        let mut all = Isa::available().into_iter();
        all.find(|isa| isa.name() == self.name()).ok_or_else(|| {
            Error::usage(format!("this machine does not have {}", self.name()))
                .at("--isa")
                .remedy(format!("a run whose bits need not be repeated can be started with --isa {}", Isa::best().name()))
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
