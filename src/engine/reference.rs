//! The slow, obvious engine: plain loops over plain f64 arrays, every time step computed, nothing skipped.
//!
//! It is the oracle the fast engine is tested against, and is itself tested against the fixtures.
//! Read it to learn what each primitive of the contract means.

mod memory;

use super::memory::MemoryPlan;
use super::{
    AdamW, AffineGrads, BN_EPS, Batch, Cell, DropMask, Engine, Layout, Moments, Need, Neuron, Norm, NormGrads, Pass, Running, VOTERS,
};
use crate::error::Result;
use crate::neuron::{self, Lif, Surrogate};
use crate::shape::Chw;

/// The oracle.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

/// `[T,B,C,H,W]`, row-major.
#[derive(Clone, Debug)]
pub struct Tensor {
    steps: usize,
    samples: usize,
    shape: Chw,
    data: Vec<f64>,
}

/// A parameter in its host order.
pub struct Param {
    layout: Layout,
    data: Vec<f64>,
}

impl Tensor {
    fn zeros(steps: usize, samples: usize, shape: Chw) -> Self {
        Tensor { steps, samples, shape, data: vec![0.0; steps * samples * shape.len()] }
    }
    /// Start of image (t, b).
    fn image(&self, t: usize, b: usize) -> usize {
        (t * self.samples + b) * self.shape.len()
    }
    fn at(&self, t: usize, b: usize, c: usize, y: usize, x: usize) -> usize {
        self.image(t, b) + (c * self.shape.h + y) * self.shape.w + x
    }
    /// Every (t, b, c, y, x).
    fn places(&self) -> impl Iterator<Item = (usize, usize, usize, usize, usize)> + use<> {
        let (s, samples) = (self.shape, self.samples);
        (0..self.steps * samples * s.len()).map(move |i| {
            let (tb, r) = (i / s.len(), i % s.len());
            (tb / samples, tb % samples, r / s.area(), r % s.area() / s.w, r % s.w)
        })
    }
}

/// Visits every multiply of an affine layer: (index in x, index in weight, index in y).
fn each_product(layout: Layout, x: &Tensor, y: &Tensor, mut visit: impl FnMut(usize, usize, usize)) {
    match layout {
        Layout::Conv { inp, k, .. } => {
            let (pad, s) = (k / 2, x.shape);
            for (t, b, o, oy, ox) in y.places() {
                let out = y.at(t, b, o, oy, ox);
                for c in 0..inp {
                    for ky in 0..k {
                        for kx in 0..k {
                            let (iy, ix) = (oy + ky, ox + kx);
                            if iy >= pad && ix >= pad && iy - pad < s.h && ix - pad < s.w {
                                visit(x.at(t, b, c, iy - pad, ix - pad), ((o * inp + c) * k + ky) * k + kx, out);
                            }
                        }
                    }
                }
            }
        }
        Layout::Linear { out, inp } => {
            for t in 0..x.steps {
                for b in 0..x.samples {
                    for o in 0..out {
                        for i in 0..inp.len() {
                            visit(x.image(t, b) + i, o * inp.len() + i, y.image(t, b) + o);
                        }
                    }
                }
            }
        }
        Layout::PerChannel(_) => unreachable!("a per-channel parameter has no products"),
    }
}

/// γ, β, mean and 1/sqrt(var + eps) of each element's channel and step.
struct Affine<'a>(Option<&'a Norm<'a, Param>>);

impl Affine<'_> {
    fn row(&self, t: usize, c: usize) -> Option<(f64, f64, f64, f64)> {
        let n = self.0?;
        let m = &n.moments;
        let i = (if m.rows == 1 { 0 } else { t }) * m.channels + c;
        Some((n.gamma.data[c], n.beta.data[c], m.mean[i], 1.0 / (m.var[i] + BN_EPS).sqrt()))
    }
    /// z = γ·x̂ + β, or y itself without a norm.
    fn apply(&self, t: usize, c: usize, y: f64) -> f64 {
        self.row(t, c).map_or(y, |(g, b, mean, r)| g * (y - mean) * r + b)
    }
}

impl Reference {
    /// One neuron over all steps: potentials from normed currents.
    fn potentials(lif: Lif, current: &[f64]) -> Vec<f64> {
        let mut rest = 0.0;
        current.iter().map(|&i| neuron::step(lif.decay, lif.threshold, &mut rest, i).0).collect()
    }

    /// Currents of one neuron over T after norm and ReLU, and where the ReLU lets gradients pass.
    fn neuron_input(y: &Tensor, affine: &Affine, relu: bool, b: usize, i: usize) -> (Vec<f64>, Vec<bool>) {
        let c = i / y.shape.area();
        let z: Vec<f64> = (0..y.steps).map(|t| affine.apply(t, c, y.data[y.image(t, b) + i])).collect();
        let open = z.iter().map(|&v| !relu || v > 0.0).collect();
        (z.iter().map(|&v| if relu { v.max(0.0) } else { v }).collect(), open)
    }

    /// d_z into d_y: BatchNorm's backward with the statistics of the batch.
    fn norm_backward(y: &Tensor, d_z: &mut Tensor, norm: &Norm<Param>) -> NormGrads<Param> {
        let (channels, rows) = (norm.moments.channels, norm.moments.rows);
        let affine = Affine(Some(norm));
        let row_of = |t: usize, c: usize| (if rows == 1 { 0 } else { t }) * channels + c;
        let (mut sum, mut sum_x) = (vec![0.0; rows * channels], vec![0.0; rows * channels]);
        let x_hat = |t, c, v: f64| affine.row(t, c).map_or(0.0, |(_, _, mean, r)| (v - mean) * r);
        for (t, b, c, h, w) in y.places() {
            let i = y.at(t, b, c, h, w);
            sum[row_of(t, c)] += d_z.data[i];
            sum_x[row_of(t, c)] += d_z.data[i] * x_hat(t, c, y.data[i]);
        }
        let n = (y.data.len() / channels / rows) as f64;
        for (t, b, c, h, w) in y.places() {
            let i = y.at(t, b, c, h, w);
            let Some((gamma, _, _, r)) = affine.row(t, c) else { continue };
            d_z.data[i] = gamma * r * (d_z.data[i] - sum[row_of(t, c)] / n - x_hat(t, c, y.data[i]) * sum_x[row_of(t, c)] / n);
        }
        let total = |v: &[f64]| (0..channels).map(|c| (0..rows).map(|r| v[r * channels + c]).sum()).collect();
        let layout = Layout::PerChannel(channels);
        NormGrads { gamma: Param { layout, data: total(&sum_x) }, beta: Param { layout, data: total(&sum) } }
    }
}

impl Engine for Reference {
    type Acts = Tensor;
    type Currents = Tensor;
    type Grad = Tensor;
    type Param = Param;
    type Moments = Moments;
    type Note = u64;

    fn name(&self) -> &'static str {
        "reference"
    }

    fn memory(&self) -> &'static dyn MemoryPlan {
        &memory::ReferenceMemory
    }

    fn param(&self, layout: Layout, host: &[f32]) -> Param {
        assert_eq!(host.len(), layout.len());
        Param { layout, data: host.iter().map(|&v| v as f64).collect() }
    }

    fn constant(&self, layout: Layout, value: f32) -> Param {
        Param { layout, data: vec![value.into(); layout.len()] }
    }

    fn read(&self, notes: &[u64]) -> Result<Vec<u64>> {
        Ok(notes.to_vec())
    }

    fn host(&self, p: &Param) -> Result<Vec<f32>> {
        Ok(narrow(&p.data))
    }

    fn add(&self, into: &mut Param, other: &Param) {
        into.data.iter_mut().zip(&other.data).for_each(|(a, b)| *a += b);
    }

    fn adamw(&self, p: &mut Param, m: &mut Param, v: &mut Param, grad: &Param, c: &AdamW) {
        let (bias1, bias2) = (1.0 - c.beta1.powf(c.step as f64), 1.0 - c.beta2.powf(c.step as f64));
        for i in 0..p.data.len() {
            let g = grad.data[i];
            p.data[i] -= c.lr * c.weight_decay * p.data[i];
            m.data[i] += (1.0 - c.beta1) * (g - m.data[i]);
            v.data[i] = c.beta2 * v.data[i] + (1.0 - c.beta2) * g * g;
            p.data[i] -= c.lr / bias1 * m.data[i] / (v.data[i].sqrt() / bias2.sqrt() + c.eps);
            // A checkpoint stores f32: what it cannot hold must not be remembered, or a resumed run would differ.
            for value in [&mut p.data[i], &mut m.data[i], &mut v.data[i]] {
                *value = f64::from(*value as f32);
            }
        }
    }

    fn host_acts(&self, x: &Tensor) -> Result<Vec<f32>> {
        Ok(narrow(&x.data))
    }

    fn host_currents(&self, y: &Tensor) -> Result<Vec<f32>> {
        Ok(narrow(&y.data))
    }

    fn host_grad(&self, d: &Tensor) -> Result<Vec<f32>> {
        Ok(narrow(&d.data))
    }

    fn host_moments(&self, m: &Moments) -> Result<Moments> {
        Ok(m.clone())
    }

    fn all_within(&self, p: &Param, bound: f32) -> u64 {
        p.data.iter().all(|v| v.abs() <= f64::from(bound)).into()
    }

    fn input(&self, batch: &Batch, _: Pass) -> Tensor {
        let data: Vec<f64> = batch.frames().into_iter().map(f64::from).collect();
        assert_eq!(data.len(), batch.steps * batch.samples * batch.shape.len());
        Tensor { steps: batch.steps, samples: batch.samples, shape: batch.shape, data }
    }

    fn spike_count(&self, x: &Tensor) -> u64 {
        x.data.iter().filter(|&&v| v != 0.0).count() as u64
    }

    fn max_pool(&self, x: &Tensor, k: usize) -> Tensor {
        let mut y = Tensor::zeros(x.steps, x.samples, Chw::new(x.shape.c, x.shape.h / k, x.shape.w / k));
        for (t, b, c, oy, ox) in y.places() {
            let i = y.at(t, b, c, oy, ox);
            y.data[i] = x.data[first_maximum(x, k, t, b, c, oy, ox)];
        }
        y
    }

    fn max_pool_backward(&self, x: &Tensor, k: usize, d: Tensor) -> Tensor {
        let mut d_x = Tensor::zeros(x.steps, x.samples, x.shape);
        for (t, b, c, oy, ox) in d.places() {
            d_x.data[first_maximum(x, k, t, b, c, oy, ox)] = d.data[d.at(t, b, c, oy, ox)];
        }
        d_x
    }

    fn avg_pool(&self, x: &Tensor, k: usize) -> Tensor {
        let mut y = Tensor::zeros(x.steps, x.samples, Chw::new(x.shape.c, x.shape.h / k, x.shape.w / k));
        for (t, b, c, oy, ox) in y.places() {
            let i = y.at(t, b, c, oy, ox);
            for j in 0..k * k {
                y.data[i] += x.data[x.at(t, b, c, oy * k + j / k, ox * k + j % k)] / (k * k) as f64;
            }
        }
        y
    }

    fn avg_pool_backward(&self, x: &Tensor, k: usize, d: Tensor) -> Tensor {
        let mut d_x = Tensor::zeros(x.steps, x.samples, x.shape);
        for (t, b, c, oy, ox) in d.places() {
            for j in 0..k * k {
                let i = x.at(t, b, c, oy * k + j / k, ox * k + j % k);
                d_x.data[i] = d.data[d.at(t, b, c, oy, ox)] / (k * k) as f64;
            }
        }
        d_x
    }

    fn dropout(&self, x: &Tensor, mask: &DropMask) -> Tensor {
        let keep = mask.keep(x.samples, x.shape.len());
        let data = x.data.iter().enumerate().map(|(i, v)| if keep[i % keep.len()] { 2.0 * v } else { 0.0 }).collect();
        Tensor { data, ..x.clone() }
    }

    fn dropout_backward(&self, mask: &DropMask, d: Tensor) -> Tensor {
        self.dropout(&d, mask)
    }

    fn affine(&self, x: &Tensor, weight: &Param, bias: &Param) -> Tensor {
        let shape = match weight.layout {
            Layout::Conv { out, .. } => Chw::new(out, x.shape.h, x.shape.w),
            Layout::Linear { out, .. } => Chw::new(out, 1, 1),
            Layout::PerChannel(_) => unreachable!("weights of an affine layer are Conv or Linear"),
        };
        let mut y = Tensor::zeros(x.steps, x.samples, shape);
        for (t, b, c, h, w) in y.places() {
            let i = y.at(t, b, c, h, w);
            y.data[i] = bias.data[c];
        }
        let mut out = std::mem::take(&mut y.data);
        each_product(weight.layout, x, &y, |xi, wi, yi| out[yi] += weight.data[wi] * x.data[xi]);
        Tensor { data: out, ..y }
    }

    fn affine_backward(&self, x: &Tensor, weight: &Param, e: Tensor, need: Need) -> AffineGrads<Param, Tensor> {
        let mut d_w = vec![0.0; weight.data.len()];
        let mut d_x = Tensor::zeros(x.steps, x.samples, x.shape);
        each_product(weight.layout, x, &e, |xi, wi, yi| {
            d_w[wi] += e.data[yi] * x.data[xi];
            d_x.data[xi] += e.data[yi] * weight.data[wi];
        });
        AffineGrads { weight: Param { layout: weight.layout, data: d_w }, input: (need != Need::Nothing).then_some(d_x) }
    }

    fn bias_gradient(&self, e: &Tensor) -> Param {
        let mut d_b = vec![0.0; e.shape.c];
        for (t, b, c, h, w) in e.places() {
            d_b[c] += e.data[e.at(t, b, c, h, w)];
        }
        Param { layout: Layout::PerChannel(e.shape.c), data: d_b }
    }

    fn moments(&self, y: &Tensor, merged: bool) -> Moments {
        let (channels, rows) = (y.shape.c, if merged { 1 } else { y.steps });
        let count = y.data.len() / channels / rows;
        let row_of = |t: usize, c: usize| (if merged { 0 } else { t }) * channels + c;
        let (mut mean, mut var) = (vec![0.0; rows * channels], vec![0.0; rows * channels]);
        for (t, b, c, h, w) in y.places() {
            mean[row_of(t, c)] += y.data[y.at(t, b, c, h, w)] / count as f64;
        }
        for (t, b, c, h, w) in y.places() {
            var[row_of(t, c)] += (y.data[y.at(t, b, c, h, w)] - mean[row_of(t, c)]).powi(2) / count as f64;
        }
        Moments { mean, var, rows, channels, count, repeats: 1 }
    }

    fn moments_finite(&self, m: &Moments) -> u64 {
        m.is_finite().into()
    }

    fn running_moments(&self, running: Running<&Param>) -> Moments {
        Moments::of_running(running.mean.data.iter().copied(), running.var.data.iter().copied())
    }

    fn update_running(&self, running: Running<&Param>, m: &Moments) -> Running<Param> {
        let old = running.mean.data.iter().zip(&running.var.data).enumerate();
        let new: Vec<[f32; 2]> = old.map(|(c, (&mean, &var))| m.update(c, mean, var)).collect();
        let of = |which: usize| Param { layout: running.mean.layout, data: new.iter().map(|pair| pair[which].into()).collect() };
        Running { mean: of(0), var: of(1) }
    }

    fn fire(&self, y: &Tensor, norm: Option<&Norm<Param>>, cell: &Cell) -> Tensor {
        let mut out = Tensor::zeros(y.steps, y.samples, y.shape);
        for b in 0..y.samples {
            for i in 0..y.shape.len() {
                let (current, _) = Self::neuron_input(y, &Affine(norm), cell.relu, b, i);
                let value: Vec<f64> = match cell.neuron {
                    Neuron::Identity => current,
                    Neuron::Lif(lif) => {
                        Self::potentials(lif, &current).iter().map(|&u| f64::from(neuron::fires(lif.threshold, u))).collect()
                    }
                };
                for (t, v) in value.iter().enumerate() {
                    let at = out.image(t, b) + i;
                    out.data[at] = *v;
                }
            }
        }
        out
    }

    fn fire_backward(
        &self,
        y: Tensor,
        norm: Option<&Norm<Param>>,
        cell: &Cell,
        surrogate: Surrogate,
        d: Tensor,
    ) -> (Tensor, Option<NormGrads<Param>>) {
        let mut d_z = Tensor::zeros(y.steps, y.samples, y.shape);
        for b in 0..y.samples {
            for i in 0..y.shape.len() {
                let (current, open) = Self::neuron_input(&y, &Affine(norm), cell.relu, b, i);
                let potentials = match cell.neuron {
                    Neuron::Identity => None,
                    Neuron::Lif(lif) => Some((lif, Self::potentials(lif, &current))),
                };
                let mut next = 0.0;
                for t in (0..y.steps).rev() {
                    let at = y.image(t, b) + i;
                    next = match &potentials {
                        None => d.data[at],
                        Some((lif, u)) => {
                            let fired = neuron::fires(lif.threshold, u[t]);
                            neuron::error(surrogate, lif.decay, lif.threshold, u[t], fired, d.data[at], next)
                        }
                    };
                    d_z.data[at] = if open[t] { next } else { 0.0 };
                }
            }
        }
        let grads = norm.map(|n| Self::norm_backward(&y, &mut d_z, n));
        (d_z, grads)
    }

    fn currents_finite(&self, y: &Tensor) -> u64 {
        y.data.iter().all(|v| v.is_finite()).into()
    }

    fn vote(&self, x: &Tensor, notes: &[u64]) -> Result<(Vec<f64>, Vec<u64>)> {
        let classes = x.shape.c / VOTERS;
        let mut votes = vec![0.0; x.steps * x.samples * classes];
        for (t, b, c, ..) in x.places() {
            votes[(t * x.samples + b) * classes + c / VOTERS] += x.data[x.at(t, b, c, 0, 0)];
        }
        Ok((votes, notes.to_vec()))
    }

    fn vote_backward(&self, x: &Tensor, d_rates: &[f64]) -> Tensor {
        let classes = x.shape.c / VOTERS;
        let mut d = Tensor::zeros(x.steps, x.samples, x.shape);
        // Of rates over all steps, or of those of each.
        let per_step = x.samples * classes;
        let share = (VOTERS * x.steps * per_step / d_rates.len()) as f64;
        for (t, b, c, ..) in x.places() {
            let i = d.at(t, b, c, 0, 0);
            d.data[i] = d_rates[(t * per_step + b * classes + c / VOTERS) % d_rates.len()] / share;
        }
        d
    }
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// Index of the first maximum of a window in row-major order.
fn first_maximum(x: &Tensor, k: usize, t: usize, b: usize, c: usize, oy: usize, ox: usize) -> usize {
    let mut best = x.at(t, b, c, oy * k, ox * k);
    for j in 1..k * k {
        let i = x.at(t, b, c, oy * k + j / k, ox * k + j % k);
        if x.data[i] > x.data[best] {
            best = i;
        }
    }
    best
}
