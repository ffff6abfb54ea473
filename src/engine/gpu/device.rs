//! The device interface: buffers, kernels recorded in order, and one way to wait. Everything above it asks for no more than this, so that
//! another driver could stand here.
//!
//! Commands run in the order in which they are recorded, so a buffer that is given back is used again by what is recorded later, while
//! what was recorded before still waits to run. Uploads come in buffers of their own for the same reason: they are written at once.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kernels::Kernel;
use crate::error::{Error, Result};

/// Recorded kernels after which the device is told to begin.
const TOGETHER: usize = 24;
/// Kinds of parameters of kernels that are kept for the next step.
const PARAMETERS_KEPT: usize = 4096;
/// Workgroups of one dimension of a launch (WebGPU's default profile).
const GRID: usize = 65_535;
/// Threads of a workgroup of the kernels that go over a list.
pub const THREADS: usize = 256;

/// What has gone wrong; from then on values have no meaning.
type Failure = Arc<Mutex<Option<String>>>;

/// A device that has been opened.
pub struct Device {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Of the adapter: its name and driver.
    about: String,
    limits: wgpu::Limits,
    pipelines: Mutex<HashMap<(&'static str, String), Arc<Pipeline>>>,
    parameters: Mutex<HashMap<Vec<u32>, wgpu::Buffer>>,
    recording: Mutex<Recording>,
    /// Buffers that wait for use, by size.
    free: Arc<Mutex<HashMap<u64, Vec<wgpu::Buffer>>>>,
    failure: Failure,
    traffic: Mutex<Traffic>,
}

/// Launches of each kernel, and words of all its views.
pub type Traffic = BTreeMap<&'static str, (usize, usize)>;

struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
}

#[derive(Default)]
struct Recording {
    encoder: Option<wgpu::CommandEncoder>,
    kernels: usize,
}

/// Memory of a device, in words of 32 bits. What it holds when it is made is not said.
pub struct Buffer {
    raw: Option<wgpu::Buffer>,
    words: usize,
    free: Arc<Mutex<HashMap<u64, Vec<wgpu::Buffer>>>>,
}

impl Buffer {
    /// Number of words.
    pub fn words(&self) -> usize {
        self.words
    }

    /// All of it, for a kernel.
    pub fn all(&self) -> View<'_> {
        self.part(0..self.words)
    }

    /// Some of it, for a kernel.
    pub fn part(&self, words: Range<usize>) -> View<'_> {
        View { buffer: self, words }
    }

    fn raw(&self) -> &wgpu::Buffer {
        self.raw.as_ref().expect("a buffer has its memory until it is dropped")
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(raw) = self.raw.take() {
            lock(&self.free).entry(raw.size()).or_default().push(raw);
        }
    }
}

/// A part of a buffer that a kernel sees.
pub struct View<'a> {
    buffer: &'a Buffer,
    words: Range<usize>,
}

/// Threads of a launch.
#[derive(Clone, Copy)]
pub enum Grid {
    /// At least so many, [`THREADS`] in a workgroup, over two dimensions where one is too short.
    Threads(usize),
    /// Workgroups: a list, over two dimensions where one is too short, times a number in the third.
    Groups(usize, usize),
}

impl Grid {
    fn groups(self) -> [u32; 3] {
        let (all, z) = match self {
            Grid::Threads(n) => (n.div_ceil(THREADS), 1),
            Grid::Groups(n, z) => (n, z),
        };
        let x = all.clamp(1, GRID);
        [x as u32, all.div_ceil(x) as u32, z as u32]
    }
}

/// Ranges of at most `most` that make up `0..n`.
pub fn pieces(n: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..n).step_by(most).map(move |from| from..(from + most).min(n))
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    /// Opens an adapter with these limits.
    ///
    /// # Errors
    /// Memory: the adapter cannot be opened.
    pub fn open(adapter: &wgpu::Adapter, limits: wgpu::Limits) -> Result<Device> {
        let info = adapter.get_info();
        let about = format!("{} ({})", info.name, [info.driver, info.driver_info].join(" ").trim());
        let wanted = wgpu::DeviceDescriptor {
            label: Some("spiketrain"),
            required_limits: limits.clone(),
            memory_hints: wgpu::MemoryHints::Performance,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&wanted)).map_err(|e| {
            Error::memory(format!("{about} cannot be opened: {e}")).remedy("look at `spiketrain doctor`, or pass --device cpu")
        })?;
        let failure = Failure::default();
        let told = Arc::clone(&failure);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            let what = match e {
                wgpu::Error::OutOfMemory { .. } => "has no memory left".to_string(),
                e => format!("failed: {e}"),
            };
            lock(&told).get_or_insert(what);
        }));
        let told = Arc::clone(&failure);
        device.set_device_lost_callback(move |reason, message| {
            if !matches!(reason, wgpu::DeviceLostReason::Destroyed) {
                lock(&told).get_or_insert(format!("is lost: {message}"));
            }
        });
        Ok(Device {
            device,
            queue,
            about,
            limits,
            pipelines: Mutex::default(),
            parameters: Mutex::default(),
            recording: Mutex::default(),
            free: Arc::default(),
            failure,
            traffic: Mutex::default(),
        })
    }

    /// The adapter's name and driver.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Kernels recorded since this was asked last.
    pub fn take_traffic(&self) -> Traffic {
        std::mem::take(&mut *lock(&self.traffic))
    }

    /// Words that one binding of a kernel can see.
    pub fn binding(&self) -> usize {
        (self.limits.max_storage_buffer_binding_size.min(self.limits.max_buffer_size) / 4) as usize
    }

    /// Words to which a view is moved back to begin where the device lets it begin.
    fn alignment(&self) -> usize {
        (self.limits.min_storage_buffer_offset_alignment as usize / 4).max(1)
    }

    /// How many words of `each` a binding surely sees, wherever they begin; at least 1.
    pub fn fit(&self, each: usize) -> usize {
        ((self.binding() - self.alignment()) / each.max(1)).max(1)
    }

    /// Whether so many bytes can be had at this moment, in buffers of at most 256 MiB; they are given back at once.
    pub fn has(&self, bytes: u64) -> bool {
        const PROBE: u64 = 256 << 20;
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let usage = wgpu::BufferUsages::STORAGE;
        let buffer = |size| self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false });
        let whole = (0..bytes / PROBE).map(|_| buffer(PROBE));
        let probes: Vec<wgpu::Buffer> = whole.chain(std::iter::once(buffer((bytes % PROBE).next_multiple_of(4).max(4)))).collect();
        let failed = pollster::block_on(scope.pop()).is_some();
        probes.iter().for_each(wgpu::Buffer::destroy);
        !failed
    }

    /// Bytes of the largest buffer.
    pub fn largest(&self) -> u64 {
        self.limits.max_buffer_size
    }

    /// A buffer of so many words, with values from before.
    pub fn buffer(&self, words: usize) -> Buffer {
        let size = (words.max(1) * 4).next_multiple_of(256) as u64;
        let waiting = lock(&self.free).get_mut(&size).and_then(Vec::pop);
        let made = || {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
            self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        Buffer { raw: Some(waiting.unwrap_or_else(made)), words, free: Arc::clone(&self.free) }
    }

    /// A buffer with these words.
    pub fn upload(&self, words: &[u32]) -> Buffer {
        let buffer = self.buffer(words.len());
        if !words.is_empty() {
            let staged = self.staged(words, wgpu::BufferUsages::COPY_SRC);
            self.record(|encoder| encoder.copy_buffer_to_buffer(&staged, 0, buffer.raw(), 0, (words.len() * 4) as u64));
        }
        buffer
    }

    /// A buffer of zeros.
    pub fn zeros(&self, words: usize) -> Buffer {
        let buffer = self.buffer(words);
        self.record(|encoder| encoder.clear_buffer(buffer.raw(), 0, None));
        buffer
    }

    /// Gives back the buffers that wait for use.
    pub fn trim(&self) {
        lock(&self.free).clear();
    }

    /// A fresh buffer that holds these words from the beginning.
    fn staged(&self, words: &[u32], usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = (words.len() * 4).next_multiple_of(16) as u64;
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: true });
        if let Ok(mut range) = buffer.get_mapped_range_mut(..(words.len() * 4) as u64) {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
            range.copy_from_slice(&bytes);
        }
        buffer.unmap();
        buffer
    }

    fn record(&self, what: impl FnOnce(&mut wgpu::CommandEncoder)) {
        let mut recording = lock(&self.recording);
        let encoder = recording.encoder.get_or_insert_with(|| self.device.create_command_encoder(&Default::default()));
        what(encoder);
        recording.kernels += 1;
        if recording.kernels >= TOGETHER {
            self.submit(&mut recording);
        }
    }

    fn submit(&self, recording: &mut Recording) {
        recording.kernels = 0;
        if let Some(encoder) = recording.encoder.take() {
            self.queue.submit([encoder.finish()]);
        }
    }

    /// Records a kernel. `constants` are written into its text, `parameters` behind the places where its views begin, in the order of its
    /// `Params`; views are those it reads, then those it writes, in the order of its bindings.
    pub fn launch(&self, kernel: &'static Kernel, constants: &[(&str, usize)], parameters: &[u32], views: &[View], grid: Grid) {
        assert_eq!(views.len(), kernel.reads + kernel.writes, "the kernel {} has other bindings", kernel.name);
        let pipeline = self.pipeline(kernel, constants);
        let mut all = Vec::with_capacity(views.len() + parameters.len());
        let mut entries = Vec::with_capacity(views.len() + 1);
        for (i, view) in views.iter().enumerate() {
            let begin = view.words.start / self.alignment() * self.alignment();
            all.push((view.words.start - begin) as u32);
            let size = std::num::NonZeroU64::new(((view.words.end.max(1) - begin) * 4) as u64);
            let binding = wgpu::BufferBinding { buffer: view.buffer.raw(), offset: (begin * 4) as u64, size };
            entries.push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource: wgpu::BindingResource::Buffer(binding) });
        }
        all.extend_from_slice(parameters);
        let parameters = self.parameters(all);
        entries.push(wgpu::BindGroupEntry { binding: 0, resource: parameters.as_entire_binding() });
        let group = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(kernel.name),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let [x, y, z] = grid.groups();
        let words: usize = views.iter().map(|v| v.words.len()).sum();
        lock(&self.traffic).entry(kernel.name).and_modify(|(n, all)| (*n, *all) = (*n + 1, *all + words)).or_insert((1, words));
        self.record(|encoder| {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: Some(kernel.name), timestamp_writes: None });
            pass.set_pipeline(&pipeline.pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(x, y, z);
        });
    }

    /// Parameters as a buffer; those of a step are mostly those of the step before.
    fn parameters(&self, words: Vec<u32>) -> wgpu::Buffer {
        let mut kept = lock(&self.parameters);
        if kept.len() >= PARAMETERS_KEPT {
            kept.clear();
        }
        kept.entry(words).or_insert_with_key(|words| self.staged(words, wgpu::BufferUsages::UNIFORM)).clone()
    }

    fn pipeline(&self, kernel: &'static Kernel, constants: &[(&str, usize)]) -> Arc<Pipeline> {
        let header = Kernel::header(constants);
        let mut kept = lock(&self.pipelines);
        let entry = kept.entry((kernel.name, header)).or_insert_with_key(|(_, header)| Arc::new(self.compile(kernel, header)));
        Arc::clone(entry)
    }

    fn compile(&self, kernel: &Kernel, header: &str) -> Pipeline {
        let source = wgpu::ShaderSource::Wgsl(kernel.text(header).into());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(kernel.name), source });
        let entry = |binding: u32, ty: wgpu::BufferBindingType| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let storage = |i: usize| entry(i as u32 + 1, wgpu::BufferBindingType::Storage { read_only: i < kernel.reads });
        let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform)];
        entries.extend((0..kernel.reads + kernel.writes).map(storage));
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name), entries: &entries });
        let groups = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&groups),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { zero_initialize_workgroup_memory: false, ..Default::default() },
            cache: None,
        });
        Pipeline { pipeline, layout }
    }

    /// Waits until everything recorded has run, and brings these parts to the host.
    ///
    /// # Errors
    /// Memory: the device has failed, or has no memory left.
    pub fn fetch(&self, parts: &[View]) -> Result<Vec<Vec<u32>>> {
        let words: usize = parts.iter().map(|p| p.words.len()).sum();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let size = (words.max(1) * 4) as u64;
        let staging =
            self.device.create_buffer(&wgpu::BufferDescriptor { label: Some("to the host"), size, usage, mapped_at_creation: false });
        let mut at = 0;
        for part in parts.iter().filter(|p| !p.words.is_empty()) {
            let bytes = (part.words.len() * 4) as u64;
            self.record(|encoder| encoder.copy_buffer_to_buffer(part.buffer.raw(), (part.words.start * 4) as u64, &staging, at, bytes));
            at += bytes;
        }
        self.submit(&mut lock(&self.recording));
        staging.map_async(wgpu::MapMode::Read, .., |_| ());
        let polled = self.device.poll(wgpu::PollType::wait_indefinitely());
        self.failed()?;
        polled.map_err(|e| self.error(&format!("does not answer: {e}")))?;
        let range = staging.get_mapped_range(..).map_err(|e| self.error(&format!("gives nothing back: {e}")))?;
        let mut numbers = range.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let fetched = parts.iter().map(|p| numbers.by_ref().take(p.words.len()).collect()).collect();
        Ok(fetched)
    }

    /// # Errors
    /// Memory: the device has failed.
    pub fn failed(&self) -> Result<()> {
        lock(&self.failure).as_deref().map_or(Ok(()), |what| Err(self.error(what)))
    }

    fn error(&self, what: &str) -> Error {
        Error::memory(format!("the device {} {what}", self.about))
            .remedy("what was saved is whole: go on with --resume, with a smaller --batch if memory was short, or with --device cpu")
    }

    /// For a test: as if the device had failed.
    #[cfg(test)]
    pub fn fail(&self, what: &str) {
        lock(&self.failure).get_or_insert(what.to_string());
    }
}
