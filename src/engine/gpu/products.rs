//! Convolutions and linear layers, which are convolutions of one tap over one position: currents, and both gradients.

use super::Gpu;
use super::device::{Buffer, Grid, View, pieces};
use super::kernels;
use super::values::{Acts, Extent, Param, Reading, Reals};
use crate::engine::parts::{self, Leaf, PARTS};
use crate::engine::{AffineGrads, Layout, Need};
use crate::shape::Chw;

/// Rows and columns of a workgroup's tile.
const TILE: usize = 64;
/// Entries of a weight from which on the sums of parts are made one after the other, in registers, instead of side by side in memory.
const LARGE_WEIGHT: usize = 1 << 20;

/// A weight as the kernels see it.
struct Shape {
    out: usize,
    inp: usize,
    k: usize,
    /// Of a map, in and out.
    h: usize,
    w: usize,
}

impl Shape {
    fn of(layout: Layout, x: Chw) -> Shape {
        match layout {
            Layout::Conv { out, inp, k } => Shape { out, inp, k, h: x.h, w: x.w },
            Layout::Linear { out, inp } => Shape { out, inp: inp.len(), k: 1, h: 1, w: 1 },
            Layout::PerChannel(_) => unreachable!("weights of an affine layer are Conv or Linear"),
        }
    }

    fn area(&self) -> usize {
        self.h * self.w
    }

    /// Inputs of an output.
    fn depth(&self) -> usize {
        self.inp * self.k * self.k
    }

    fn output(&self, layout: Layout) -> Chw {
        match layout {
            Layout::Linear { .. } => Chw::new(self.out, 1, 1),
            _ => Chw::new(self.out, self.h, self.w),
        }
    }
}

/// Multiply-adds for each value that workgroups load, of a product of so many rows, columns and terms.
#[cfg(test)]
fn reuse(rows: usize, columns: usize, depth: usize) -> f64 {
    const DEEP: usize = 16;
    let groups = rows.div_ceil(TILE) * columns.div_ceil(TILE);
    let loaded = groups * depth.div_ceil(DEEP) * 2 * TILE * DEEP;
    rows as f64 * columns as f64 * depth as f64 / loaded as f64
}

/// One product: which samples and which outputs of the weight.
struct Piece<'a> {
    shape: &'a Shape,
    samples: std::ops::Range<usize>,
    outputs: std::ops::Range<usize>,
    stored: usize,
}

/// Currents of a layer.
pub fn forward(gpu: &Gpu, x: &Acts, weight: &Param, bias: &Param) -> Reals {
    let extent = x.extent();
    let shape = Shape::of(weight.layout, extent.shape);
    let reading = x.reading();
    let output = extent.of_shape(shape.output(weight.layout));
    let y = gpu.reals(output, reading.stored);
    let each = reading.each(extent.shape.len()).max(output.shape.len() * reading.stored);
    for samples in pieces(extent.samples, gpu.device.fit(each)) {
        for outputs in pieces(shape.out, gpu.device.fit(shape.depth())) {
            let piece = Piece { shape: &shape, samples: samples.clone(), outputs, stored: reading.stored };
            product(gpu, &piece, false, (&reading, extent), weight, Some(bias), &y);
        }
    }
    y
}

/// y from x and the weight, or, `transposed`, dL/dx from e.
fn product(gpu: &Gpu, piece: &Piece, transposed: bool, x: (&Reading, Extent), weight: &Param, bias: Option<&Param>, y: &Reals) {
    let Piece { shape, samples, outputs, stored } = piece;
    let (reading, extent) = x;
    let columns = samples.len() * shape.area() * stored;
    let depth = shape.depth();
    // Channels as the kernel counts them: a linear layer's input is one position of C·H·W channels.
    let (x_channels, y_channels) = (extent.shape.len() / shape.area(), y.extent.shape.len() / shape.area());
    let (rows, y_first, inputs, x_first) =
        if transposed { (shape.inp, 0, outputs.len(), outputs.start) } else { (outputs.len(), outputs.start, shape.inp, 0) };
    let accumulate = transposed && outputs.start > 0;
    let constants = [
        ("K", shape.k),
        ("STEPS", *stored),
        ("BITS", reading.bits),
        ("PLANES", reading.planes),
        ("WORDS", reading.words),
        ("TRANSPOSED", transposed.into()),
        ("BIAS", bias.is_some().into()),
    ];
    let each = reading.each(extent.shape.len());
    let last_plane = (reading.planes - 1) * reading.plane;
    let of_y = y.extent.shape.len() * stored;
    let views = [
        weight.data.part(outputs.start * depth..outputs.end * depth),
        bias.map_or(gpu.nothing.all(), |b| b.data.part(outputs.clone())),
        reading.data.part(samples.start * each..last_plane + samples.end * each),
        y.data.part(samples.start * of_y..samples.end * of_y),
    ];
    let parameters = [
        rows as u32,
        y_channels as u32,
        y_first as u32,
        inputs as u32,
        x_channels as u32,
        x_first as u32,
        shape.h as u32,
        shape.w as u32,
        columns as u32,
        reading.plane as u32,
        reading.scale.to_bits(),
        accumulate.into(),
    ];
    gpu.device.launch(&kernels::PRODUCT, &constants, &parameters, &views, Grid::Groups(columns.div_ceil(TILE), rows.div_ceil(TILE)));
}

/// Gradients of a layer from e = dL/dy.
pub fn backward(gpu: &Gpu, x: &Acts, weight: &Param, e: Reals, need: Need) -> AffineGrads<Param, Reals> {
    let extent = x.extent();
    let shape = Shape::of(weight.layout, extent.shape);
    let of_weight = weight_gradient(gpu, x, weight.layout, &shape, &e);
    // Dense: under AtSpikes the entries that nobody reads are finite too.
    let input = (need != Need::Nothing).then(|| {
        let d = gpu.reals(extent, e.stored);
        let reading = Reading { data: &e.data, bits: 0, planes: 1, words: 1, plane: 0, scale: 1.0, stored: e.stored };
        let each = e.stored * extent.shape.len().max(e.extent.shape.len());
        for samples in pieces(extent.samples, gpu.device.fit(each)) {
            for outputs in pieces(shape.out, gpu.device.fit(shape.depth())) {
                let piece = Piece { shape: &shape, samples: samples.clone(), outputs, stored: e.stored };
                product(gpu, &piece, true, (&reading, e.extent), weight, None, &d);
            }
        }
        d
    });
    AffineGrads { weight: of_weight, input }
}

fn weight_gradient(gpu: &Gpu, x: &Acts, layout: Layout, shape: &Shape, e: &Reals) -> Param {
    let leaves = x.extent().cut.leaves();
    if leaves.is_empty() {
        return gpu.constant_of(layout, 0.0);
    }
    let sum = WeightSum { gpu, x: x.reading(), neurons: x.extent().shape.len(), shape, e };
    let (gradient, len) = (gpu.param_of(layout), shape.out * shape.depth());
    let seen_at_once = e.data.words().max(sum.x.data.words()) <= gpu.device.binding();
    if seen_at_once && len >= LARGE_WEIGHT {
        for outputs in pieces(shape.out, gpu.device.fit(shape.depth())) {
            let out = gradient.data.part(outputs.start * shape.depth()..outputs.end * shape.depth());
            sum.launch(false, outputs, &leaves, out);
        }
        return gradient;
    }
    if seen_at_once && leaves.len() * len <= gpu.device.binding() {
        let parts = gpu.device.buffer(leaves.len() * len);
        sum.launch(true, 0..shape.out, &leaves, parts.all());
        tree(gpu, &leaves, &parts, len, &gradient);
        return gradient;
    }
    // Part by part, each seen by itself; the same tree, and the same bits.
    let of_part = |leaf: &Leaf| {
        let part = gpu.param_of(layout);
        for outputs in pieces(shape.out, gpu.device.fit(shape.depth())) {
            let out = part.data.part(outputs.start * shape.depth()..outputs.end * shape.depth());
            sum.launch(false, outputs, &[Leaf { joins: 0, ..leaf.clone() }], out);
        }
        (leaf.part, part)
    };
    let added = parts::tree(leaves.iter().map(of_part), |left, right| {
        gpu.add_to(&left, &right);
        left
    });
    added.expect("there is a part with samples")
}

/// What the launches for a weight gradient share.
struct WeightSum<'a> {
    gpu: &'a Gpu,
    x: Reading<'a>,
    /// Of a sample of x.
    neurons: usize,
    shape: &'a Shape,
    e: &'a Reals,
}

impl WeightSum<'_> {
    /// Over these parts of the batch, for these outputs: side by side (`split`), or one after the other.
    fn launch(&self, split: bool, outputs: std::ops::Range<usize>, leaves: &[Leaf], out: View) {
        let WeightSum { gpu, x, neurons, shape, e } = self;
        let first = leaves[0].samples.start;
        let samples = first..leaves[leaves.len() - 1].samples.end;
        let (of_e, of_x, last_plane) = (e.extent.shape.len() * e.stored, x.each(*neurons), (x.planes - 1) * x.plane);
        let views = [
            e.data.part(samples.start * of_e..samples.end * of_e),
            x.data.part(samples.start * of_x..last_plane + samples.end * of_x),
            out,
        ];
        let constants =
            [("K", shape.k), ("STEPS", e.stored), ("BITS", x.bits), ("PLANES", x.planes), ("WORDS", x.words), ("SPLIT", split.into())];
        let numbers = [shape.out, outputs.start, outputs.len(), shape.inp, shape.h, shape.w, x.plane];
        let mut parameters: Vec<u32> = numbers.into_iter().map(|n| n as u32).collect();
        parameters.extend([x.scale.to_bits(), leaves.len() as u32]);
        parameters.extend(part_list(leaves, first));
        let groups = shape.depth().div_ceil(TILE) * outputs.len().div_ceil(TILE);
        gpu.device.launch(&kernels::WEIGHTS, &constants, &parameters, &views, Grid::Groups(groups, if split { leaves.len() } else { 1 }));
    }
}

/// Samples of parts, counted from `first`, and how they are joined, as the kernels have them: 8 times 4 words.
fn part_list(leaves: &[Leaf], first: usize) -> Vec<u32> {
    let mut list = vec![0; 4 * PARTS];
    for (leaf, words) in leaves.iter().zip(list.chunks_exact_mut(4)) {
        (words[0], words[1], words[2]) = ((leaf.samples.start - first) as u32, (leaf.samples.end - first) as u32, leaf.joins as u32);
    }
    list
}

/// Adds the sums of parts, `[parts][n]`.
fn tree(gpu: &Gpu, leaves: &[Leaf], parts: &Buffer, n: usize, out: &Param) {
    let joins = leaves.iter().enumerate().fold(0, |all, (i, leaf)| all | (leaf.joins as u32) << (4 * i));
    let parameters = [n as u32, leaves.len() as u32, joins];
    gpu.device.launch(&kernels::TREE, &[], &parameters, &[parts.all(), out.data.all()], Grid::Threads(n));
}

/// dL/db: the sum of e over the batch, positions and steps.
pub fn bias_gradient(gpu: &Gpu, e: &Reals) -> Param {
    let channels = e.extent.shape.c;
    let layout = Layout::PerChannel(channels);
    let leaves = e.extent.cut.leaves();
    if leaves.is_empty() {
        return gpu.constant_of(layout, 0.0);
    }
    let parts = gpu.device.buffer(leaves.len() * channels);
    let (per_sample, each) = (e.extent.shape.area() * e.stored, e.extent.shape.len() * e.stored);
    // All parts in one launch, or as many as are seen at once.
    let together = if e.data.words() <= gpu.device.binding() { leaves.len() } else { 1 };
    for (i, seen) in leaves.chunks(together).enumerate() {
        let first = seen[0].samples.start;
        let mut parameters = vec![channels as u32, per_sample as u32, 0, 0, 0, 0];
        parameters.extend(part_list(seen, first));
        let at = i * together;
        let views =
            [e.data.part(first * each..seen[seen.len() - 1].samples.end * each), parts.part(at * channels..(at + seen.len()) * channels)];
        gpu.device.launch(&kernels::BIAS, &[], &parameters, &views, Grid::Groups(channels, seen.len()));
    }
    let gradient = gpu.param_of(layout);
    tree(gpu, &leaves, &parts, channels, &gradient);
    gradient
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::Notation;
    use crate::plan::Plan;

    /// docs/gpu.md, "Products": a tile of 64 by 64 uses every value 64 times, so 32 multiply-adds for each of two; what is at its edge is lost.
    #[test]
    fn a_value_that_is_loaded_is_used_thirty_times() {
        for (name, shape) in [("small", "1x28x28"), ("middle", "3x32x32"), ("large", "2x64x64")] {
            let plan = Plan::new(Notation::named(name, 10).unwrap(), shape.parse().unwrap()).unwrap();
            for block in &plan.blocks[1..] {
                let shape = Shape::of(block.weight(), block.input);
                let columns = 16 * 16 * shape.area();
                let all = [
                    reuse(shape.out, columns, shape.depth()),
                    reuse(shape.inp, columns, shape.out * shape.k * shape.k),
                    reuse(shape.out, shape.depth(), columns),
                ];
                let least = all.into_iter().fold(f64::INFINITY, f64::min);
                // The voters are 100, a tile and a half.
                let bound = if shape.out.is_multiple_of(TILE) { 30.0 } else { 23.0 };
                println!("{name} {}: {all:.1?} multiply-adds for each value loaded", block.name());
                assert!(least >= bound, "{name} {}: {all:?}", block.name());
            }
        }
    }
}
