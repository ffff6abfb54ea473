//! Pools and dropout, on words where there are spikes.

use super::Gpu;
use super::device::{Grid, pieces};
use super::kernels;
use super::values::{Acts, Extent, Reading, Reals, Spikes, words};
use crate::engine::DropMask;
use crate::shape::Chw;

/// Planes that hold sums of k² numbers of `planes` bits.
fn planes_of_sums(planes: usize, k: usize) -> usize {
    let largest = ((1 << planes) - 1) * k * k;
    (usize::BITS - largest.leading_zeros()) as usize
}

fn pooled(extent: Extent, k: usize) -> Extent {
    let s = extent.shape;
    extent.of_shape(Chw::new(s.c, s.h / k, s.w / k))
}

/// A view of some samples in all planes.
fn seen<'a>(reading: &Reading<'a>, samples: &std::ops::Range<usize>, neurons: usize) -> super::device::View<'a> {
    let each = reading.each(neurons);
    reading.data.part(samples.start * each..(reading.planes - 1) * reading.plane + samples.end * each)
}

/// Makes activations of `planes` planes from others by a kernel over the neurons of the output, in pieces of samples.
fn make(
    gpu: &Gpu,
    x: &Acts,
    output: Extent,
    (planes, scale): (usize, f32),
    run: impl Fn(&Reading, &std::ops::Range<usize>, &Reading),
) -> Acts {
    let reading = x.reading();
    let each = output.shape.len() * if reading.bits == 1 { words(output.steps) } else { reading.stored };
    let data = gpu.device.buffer(planes * output.samples * each);
    let made = match x {
        Acts::Spikes(_) => Acts::Spikes(Spikes { extent: output, planes, scale, data }),
        Acts::Reals(_) => Acts::Reals(Reals { extent: output, stored: reading.stored, data }),
    };
    let most = reading.each(x.extent().shape.len()).max(each);
    for samples in pieces(output.samples, gpu.device.fit(most)) {
        run(&reading, &samples, &made.reading());
    }
    made
}

/// Non-overlapping max pooling of side k.
pub fn max_pool(gpu: &Gpu, x: &Acts, k: usize) -> Acts {
    let (extent, output) = (x.extent(), pooled(x.extent(), k));
    let reading = x.reading();
    make(gpu, x, output, (reading.planes, reading.scale), |reading, samples, out| {
        let constants = [("K", k), ("STEPS", reading.stored), ("BITS", reading.bits), ("PLANES", reading.planes), ("WORDS", reading.words)];
        pool(gpu, &kernels::MAX_POOL, &constants, (reading, extent), (out, output), samples);
    })
}

/// Non-overlapping average pooling of side k.
pub fn avg_pool(gpu: &Gpu, x: &Acts, k: usize) -> Acts {
    let (extent, output) = (x.extent(), pooled(x.extent(), k));
    let reading = x.reading();
    let planes = if reading.bits == 1 { planes_of_sums(reading.planes, k) } else { 1 };
    make(gpu, x, output, (planes, reading.scale / (k * k) as f32), |reading, samples, out| {
        let constants = [
            ("K", k),
            ("STEPS", reading.stored),
            ("BITS", reading.bits),
            ("PLANES", reading.planes),
            ("OUT_PLANES", planes),
            ("WORDS", reading.words),
        ];
        pool(gpu, &kernels::AVG_POOL, &constants, (reading, extent), (out, output), samples);
    })
}

fn pool(
    gpu: &Gpu,
    kernel: &'static kernels::Kernel,
    constants: &[(&str, usize)],
    (x, extent): (&Reading, Extent),
    (out, output): (&Reading, Extent),
    samples: &std::ops::Range<usize>,
) {
    let neurons = samples.len() * output.shape.len();
    let parameters = [extent.shape.h, extent.shape.w, neurons, x.plane, out.plane].map(|n| n as u32);
    let views = [seen(x, samples, extent.shape.len()), seen(out, samples, output.shape.len())];
    gpu.device.launch(kernel, constants, &parameters, &views, Grid::Threads(neurons));
}

/// To the first maximum of each window; `x` is the pool's input.
pub fn max_pool_backward(gpu: &Gpu, x: &Acts, k: usize, d: &Reals) -> Reals {
    let reading = x.reading();
    let constants = [
        ("K", k),
        ("STEPS", d.stored),
        ("STORED", reading.stored),
        ("BITS", reading.bits),
        ("PLANES", reading.planes),
        ("WORDS", reading.words),
    ];
    spread(gpu, x.extent(), d, |samples, d, out, parameters| {
        let parameters = [parameters, &[reading.plane as u32]].concat();
        let views = [seen(&reading, samples, x.extent().shape.len()), d, out];
        let grid = Grid::Threads(samples.len() * x.extent().shape.len());
        gpu.device.launch(&kernels::MAX_POOL_BACK, &constants, &parameters, &views, grid);
    })
}

/// 1/k² to every element of each window.
pub fn avg_pool_backward(gpu: &Gpu, x: &Acts, k: usize, d: &Reals) -> Reals {
    let constants = [("K", k), ("STEPS", d.stored)];
    spread(gpu, x.extent(), d, |samples, d, out, parameters| {
        let grid = Grid::Threads(samples.len() * x.extent().shape.len());
        gpu.device.launch(&kernels::AVG_POOL_BACK, &constants, parameters, &[d, out], grid);
    })
}

/// A gradient for the input of a pool by a kernel over its neurons, in pieces of samples.
fn spread(
    gpu: &Gpu,
    extent: Extent,
    d: &Reals,
    run: impl Fn(&std::ops::Range<usize>, super::device::View, super::device::View, &[u32]),
) -> Reals {
    let out = gpu.reals(extent, d.stored);
    let (each, of_d) = (extent.shape.len() * d.stored, d.extent.shape.len() * d.stored);
    for samples in pieces(extent.samples, gpu.device.fit(each)) {
        let parameters = [extent.shape.h, extent.shape.w, samples.len() * extent.shape.len()].map(|n| n as u32);
        let of = [d.data.part(samples.start * of_d..samples.end * of_d), out.data.part(samples.start * each..samples.end * each)];
        let [d, out] = of;
        run(&samples, d, out, &parameters);
    }
    out
}

/// Multiplies by the mask.
pub fn dropout(gpu: &Gpu, x: &Acts, mask: &DropMask) -> Acts {
    let extent = x.extent();
    let mask = Mask::new(gpu, mask, extent);
    let reading = x.reading();
    let scale = if reading.bits == 1 { 2.0 * reading.scale } else { 1.0 };
    make(gpu, x, extent, (reading.planes, scale), |reading, samples, out| mask.apply(gpu, reading, out, samples))
}

/// Multiplies a gradient by the mask.
pub fn dropout_backward(gpu: &Gpu, mask: &DropMask, d: Reals) -> Reals {
    match dropout(gpu, &Acts::Reals(d), mask) {
        Acts::Reals(d) => d,
        Acts::Spikes(_) => unreachable!("dropout keeps reals reals"),
    }
}

/// A mask on the device.
struct Mask {
    words: super::device::Buffer,
    /// Words of a sample.
    each: usize,
    neurons: usize,
}

impl Mask {
    fn new(gpu: &Gpu, mask: &DropMask, extent: Extent) -> Mask {
        let neurons = extent.shape.len();
        let of_sample = |b| mask.words(b, neurons).into_iter().flat_map(|w| [w as u32, (w >> 32) as u32]);
        let words: Vec<u32> = (0..extent.samples).flat_map(of_sample).collect();
        Mask { words: gpu.device.upload(&words), each: 2 * neurons.div_ceil(64), neurons }
    }

    fn apply(&self, gpu: &Gpu, x: &Reading, out: &Reading, samples: &std::ops::Range<usize>) {
        let all = samples.len() * self.neurons;
        let constants = [("BITS", x.bits), ("PLANES", x.planes), ("EACH", x.each(1))];
        let parameters = [self.neurons, all, self.each, x.plane, out.plane].map(|n| n as u32);
        let mask = self.words.part(samples.start * self.each..samples.end * self.each);
        let views = [seen(x, samples, self.neurons), mask, seen(out, samples, self.neurons)];
        gpu.device.launch(&kernels::DROPOUT, &constants, &parameters, &views, Grid::Threads(all));
    }
}
