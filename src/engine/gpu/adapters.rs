//! Which graphics cards this machine has, and opening one.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::Gpu;
use super::device::Device;
use crate::error::{Error, Result};

/// What is asked of an adapter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// All it can do.
    #[default]
    Full,
    /// A kernel sees no more than so many bytes of a buffer, though the adapter could show it more. WebGPU promises 128 MiB everywhere
    /// ([`Profile::LEAST`]); tests ask for less.
    Binding(u64),
}

impl Profile {
    /// What WebGPU promises everywhere.
    pub const LEAST: Profile = Profile::Binding(128 << 20);
}

/// A graphics card, or what stands for one.
pub struct Adapter {
    adapter: wgpu::Adapter,
    /// Its name.
    pub name: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// Vulkan, Metal or DX12.
    pub backend: String,
    /// Name and version.
    pub driver: String,
    /// Bytes that a kernel can see of one buffer.
    pub binding: u64,
    /// Bytes of the largest buffer.
    pub buffer: u64,
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes >> 20;
        write!(
            f,
            "{}, {}, {}, {}; a buffer of {} MiB, of which a kernel sees {} MiB",
            self.name,
            self.kind,
            self.backend,
            self.driver,
            mb(self.buffer),
            mb(self.binding)
        )
    }
}

/// The best first: cards, then what is built into a processor, then software.
const KINDS: [&str; 5] = ["discrete", "integrated", "virtual", "other", "software"];

/// The adapters of this machine, the best first, in an order that does not change.
pub fn adapters() -> Vec<Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() });
    let found = pollster::block_on(instance.enumerate_adapters(backends));
    let mut all: Vec<Adapter> = found.into_iter().map(Adapter::of).collect();
    all.sort_by_key(|a| KINDS.iter().position(|kind| *kind == a.kind));
    all
}

impl Adapter {
    fn of(adapter: wgpu::Adapter) -> Adapter {
        let (info, limits) = (adapter.get_info(), adapter.limits());
        let kind = match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        };
        Adapter {
            name: info.name,
            kind,
            backend: format!("{:?}", info.backend),
            driver: [info.driver, info.driver_info].join(" ").trim().to_string(),
            binding: limits.max_storage_buffer_binding_size,
            buffer: limits.max_buffer_size,
            adapter,
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// Memory: it cannot be opened.
    pub fn open(&self, profile: Profile) -> Result<Gpu> {
        let mut limits = self.adapter.limits();
        if let Profile::Binding(bytes) = profile {
            limits.max_storage_buffer_binding_size = limits.max_storage_buffer_binding_size.min(bytes);
        }
        Ok(Gpu::new(Device::open(&self.adapter, limits)?))
    }
}

/// Cards that are open: whoever asks for one again gets it with its kernels compiled.
static OPEN: Mutex<Vec<(Option<String>, Gpu)>> = Mutex::new(Vec::new());

/// As [`open`], with all a card can do; one that is open, and has not failed, is used again.
///
/// # Errors
/// As [`open`].
pub fn opened(which: Option<&str>) -> Result<Gpu> {
    let mut open_cards = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    open_cards.retain(|(_, gpu)| gpu.device.failed().is_ok());
    if let Some((_, gpu)) = open_cards.iter().find(|(name, _)| name.as_deref() == which) {
        return Ok(gpu.clone());
    }
    let gpu = open(which, Profile::Full)?;
    open_cards.push((which.map(str::to_string), gpu.clone()));
    Ok(gpu)
}

/// Opens the adapter that `which` names: none, the best; a number, by its place in [`adapters`]; else a part of its name, whatever the case.
///
/// # Errors
/// Usage: there is no such adapter; lists those that there are. Memory: it cannot be opened.
pub fn open(which: Option<&str>, profile: Profile) -> Result<Gpu> {
    let all = adapters();
    if all.is_empty() {
        return Err(Error::usage("this machine has no graphics card that can be used")
            .option("device")
            .remedy("install the card's Vulkan driver (Debian: mesa-vulkan-drivers and libvulkan1, or NVIDIA's), see `spiketrain doctor`; or pass --device cpu"));
    }
    let named = |name: &str| {
        let by_number = name.parse::<usize>().ok().and_then(|n| all.get(n));
        by_number.or_else(|| all.iter().find(|a| a.name.to_lowercase().contains(&name.to_lowercase())))
    };
    let adapter = which.map_or(all.first(), named).ok_or_else(|| {
        let list: Vec<String> = all.iter().enumerate().map(|(i, a)| format!("gpu:{i} is {}", a.name)).collect();
        Error::usage(format!("there is no graphics card '{}'", which.unwrap_or_default())).option("device").remedy(list.join(", "))
    })?;
    adapter.open(profile)
}
