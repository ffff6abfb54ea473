//! From the name of a device to its engine: the one place above [`crate::engine`] that a new one has to touch.

use crate::config::{Device, InstructionSet};
use crate::engine::Engine;
use crate::engine::cpu::{Cpu, CpuMemory};
#[cfg(feature = "gpu")]
use crate::engine::gpu::{self, GpuMemory};
use crate::engine::memory::MemoryPlan;
use crate::engine::reference::Reference;
use crate::error::Result;

/// What passes on this device take of memory.
pub fn memory(device: &Device) -> &'static dyn MemoryPlan {
    match device {
        Device::Cpu => &CpuMemory,
        Device::Reference => Reference.memory(),
        #[cfg(feature = "gpu")]
        Device::Gpu(_) => &GpuMemory,
        // It is refused before anything is computed.
        #[cfg(not(feature = "gpu"))]
        Device::Gpu(_) => &CpuMemory,
    }
}

/// Something to be done on an engine, whichever it is.
pub trait Work {
    /// What comes of it.
    type Out;

    /// Does it. A clone of the engine is the same device, with buffers of its own where they are the host's.
    fn on<E: Engine + Clone + Send + 'static>(self, engine: E) -> Self::Out;
}

/// Does `work` on this device; `isa` is the instruction set of the cpu engine.
///
/// # Errors
/// Usage: this machine does not have the instruction set, or no such card, or this program was built without the engine for cards.
/// Memory: the card cannot be opened.
pub fn with_engine<W: Work>(device: &Device, isa: InstructionSet, work: W) -> Result<W::Out> {
    Ok(match device {
        Device::Cpu => work.on(Cpu::with_isa(isa.isa()?)),
        Device::Reference => work.on(Reference),
        #[cfg(feature = "gpu")]
        Device::Gpu(which) => work.on(gpu::opened(which.as_deref())?),
        #[cfg(not(feature = "gpu"))]
        Device::Gpu(_) => {
            return Err(crate::error::Error::usage("this spiketrain was built without the engine for graphics cards")
                .option("device")
                .remedy("build it with `cargo build --release --features gpu`, or pass --device cpu"));
        }
    })
}

/// Opens a card; other devices are there.
///
/// # Errors
/// As of [`with_engine`].
pub fn ready(device: &Device) -> Result<()> {
    match device {
        #[cfg(feature = "gpu")]
        Device::Gpu(which) => gpu::opened(which.as_deref()).map(drop),
        _ => Ok(()),
    }
}

/// Whether a card holds a step of so many bytes, in buffers of at most `largest`; other devices are the host, whose memory is asked elsewhere.
///
/// # Errors
/// Memory: it does not. As of [`with_engine`].
pub fn holds(device: &Device, bytes: usize, largest: usize) -> Result<()> {
    match device {
        #[cfg(feature = "gpu")]
        Device::Gpu(which) => gpu::opened(which.as_deref())?.holds(bytes, largest),
        _ => {
            let _ = (bytes, largest);
            Ok(())
        }
    }
}

/// The engine of a device, and of a card its name and driver.
pub fn described(device: &Device) -> String {
    match device {
        #[cfg(feature = "gpu")]
        Device::Gpu(which) => match gpu::opened(which.as_deref()) {
            Ok(card) => format!("gpu engine on {}", card.about()),
            Err(_) => "gpu engine".to_string(),
        },
        other => format!("{} engine", other.engine()),
    }
}

/// The graphics cards that `gpu:0`, `gpu:1` … name, in words; none where the program was built without the engine for them.
pub fn cards() -> Vec<String> {
    #[cfg(feature = "gpu")]
    return gpu::adapters().iter().map(ToString::to_string).collect();
    #[cfg(not(feature = "gpu"))]
    Vec::new()
}

/// Whether the program was built with the engine for graphics cards.
pub const HAS_GPU: bool = cfg!(feature = "gpu");

/// The instruction set for a network that is used again: its run's own where this machine has it, and so its bits; else the widest.
pub fn isa_here(of_run: InstructionSet) -> InstructionSet {
    if of_run.isa().is_ok() { of_run } else { InstructionSet::default() }
}
