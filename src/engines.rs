//! From the name of an engine to the engine: the one place above [`crate::engine`] that a new one has to touch.

use crate::config::{EngineName, InstructionSet};
use crate::engine::Engine;
use crate::engine::cpu::{Cpu, CpuMemory};
use crate::engine::memory::MemoryPlan;
use crate::engine::reference::Reference;
use crate::error::Result;

/// What passes of the engine of this name take of memory.
pub fn memory(name: EngineName) -> &'static dyn MemoryPlan {
    match name {
        EngineName::Cpu => &CpuMemory,
        EngineName::Reference => Reference.memory(),
    }
}

/// Something to be done on an engine, whichever it is.
pub trait Work {
    /// What comes of it.
    type Out;

    /// Does it. A clone of the engine is the same device, with buffers of its own.
    fn on<E: Engine + Clone + Send + 'static>(self, engine: E) -> Self::Out;
}

/// Does `work` on the engine of this name; `isa` is the instruction set of the cpu engine.
///
/// # Errors
/// Usage: this machine does not have the instruction set.
pub fn with_engine<W: Work>(name: EngineName, isa: InstructionSet, work: W) -> Result<W::Out> {
    Ok(match name {
        EngineName::Cpu => work.on(Cpu::with_isa(isa.isa()?)),
        EngineName::Reference => work.on(Reference),
    })
}

/// The instruction set for a network that is used again: its run's own where this machine has it, and so its bits; else the widest.
pub fn isa_here(of_run: InstructionSet) -> InstructionSet {
    if of_run.isa().is_ok() { of_run } else { InstructionSet::default() }
}
