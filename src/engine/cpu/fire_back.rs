//! Neuron, ReLU and norm backward, in two sweeps over T per neuron.
//!
//! Nothing but the currents y is kept for backward. Sweep 1 recomputes the potentials, walks back for e\[t\] and sums d and
//! d·x̂ per channel (d = dL/dz); sweep 2 does the same again and overwrites y with its gradient
//! γ/σ · (d - mean(d) - x̂ mean(d·x̂)). Where one stored step stands for all T, both are linear in d: d is summed over t first, and
//! kept for sweep 2, which has no T to walk then.

use rayon::prelude::*;

use super::buffer::{Buffer, Source};
use super::field::{Field, blocks};
use super::fire::{Affine, Affines, Sums, add_samples, current, floor};
use super::grad::{Grad, Scratch};
use super::param::Param;
use super::simd::{Isa, Kernel, LANES, Lane, Simd, Vector, prefetch};
use crate::engine::{Cell, Cut, Layout, Neuron, Norm};
use crate::limits::MAX_TIME_STEPS;
use crate::neuron::{self, Lif, Real, Surrogate};

/// Back through neuron, ReLU and norm: overwrites y with e = dL/dy; gives dL/dγ and dL/dβ.
pub fn fire_backward(
    isa: Isa,
    y: &mut Field,
    norm: Option<&Norm<Param>>,
    cell: &Cell,
    rule: Surrogate,
    d: &Grad,
) -> Option<(Param, Param)> {
    let affines = Affines::new(y.shape.c, norm);
    let plan = Plan { isa, affines: &affines, cell, rule, d, stored: y.stored, steps: y.steps };
    if norm.is_none() {
        plan.sweep(y, 0, &mut Buffer::empty(), Goal::Write(&[]));
        return None;
    }
    let mut kept = y.data.source().stale(if y.stored < y.steps { y.data.len() } else { 0 });
    let totals = Totals::of(&plan.sweep(y, 0, &mut kept, Goal::Sum), &plan, y.cut);
    plan.sweep(y, 0, &mut kept, Goal::Write(&totals.means));
    Some(totals.gradients(y.shape.c))
}

/// Sums over a batch, in two sweeps that see it in parts: for layers whose currents are recomputed, a few samples at a time.
pub struct Parts<'a> {
    plan: Plan<'a>,
    sums: Vec<Vec<[Sums; 2]>>,
}

impl<'a> Parts<'a> {
    /// Nothing summed yet. Every step of the currents is stored.
    pub fn new(isa: Isa, affines: &'a Affines, cell: &'a Cell, rule: Surrogate, d: &'a Grad) -> Parts<'a> {
        let steps = d.steps;
        Parts { plan: Plan { isa, affines, cell, rule, d, stored: steps, steps }, sums: Vec::new() }
    }

    /// Sweep 1 over the samples from `first` on, which follow those before.
    pub fn sum(&mut self, y: &mut Field, first: usize) {
        self.sums.extend(self.plan.sweep(y, first, &mut Buffer::empty(), Goal::Sum));
    }

    /// After sweep 1 over all samples of `cut`.
    pub fn totals(&self, cut: Cut) -> Totals {
        Totals::of(&self.sums, &self.plan, cut)
    }

    /// Sweep 2: dL/dy in the place of y.
    pub fn write(&self, y: &mut Field, first: usize, totals: &Totals) {
        self.plan.sweep(y, first, &mut Buffer::empty(), Goal::Write(&totals.means));
    }
}

/// Sums of d and d·x̂ over the batch, per row and channel.
pub struct Totals {
    rows: usize,
    /// `[rows][C/16]`
    sums: Vec<[Sums; 2]>,
    means: Vec<[Lane; 2]>,
}

impl Totals {
    fn of(samples: &[Vec<[Sums; 2]>], plan: &Plan, cut: Cut) -> Totals {
        let rows = plan.affines.rows.min(plan.stored);
        let behind = (cut.samples().len() * plan.d.shape.area() * plan.stored / rows) as f64;
        let sums = add_samples(samples, cut, plan.affines.blocks, rows);
        let means = sums.iter().map(|pair| pair.map(|s| Lane(s.map(|v| (v / behind) as f32)))).collect();
        Totals { rows, sums, means }
    }

    /// dL/dγ and dL/dβ.
    pub fn gradients(&self, channels: usize) -> (Param, Param) {
        let all = blocks(channels);
        let total = |which: usize| {
            let sum = |block: usize, l: usize| (0..self.rows).map(|row| self.sums[row * all + block][which][l]).sum::<f64>() as f32;
            let data: Vec<Lane> = (0..all).map(|block| Lane(std::array::from_fn(|l| sum(block, l)))).collect();
            Param { layout: Layout::PerChannel(channels), data: Source::default().holding(data) }
        };
        (total(1), total(0))
    }
}

/// What a backward sweep is for.
#[derive(Clone, Copy)]
enum Goal<'a> {
    /// Sums of d and d·x̂ per row.
    Sum,
    /// dL/dy in the place of y, given their means `[rows][C/16]`; empty without a norm.
    Write(&'a [[Lane; 2]]),
}

/// What all tasks of a backward sweep share.
struct Plan<'a> {
    isa: Isa,
    affines: &'a Affines,
    cell: &'a Cell,
    rule: Surrogate,
    d: &'a Grad,
    stored: usize,
    steps: usize,
}

impl Plan<'_> {
    /// All blocks of the samples of y, which follow `first` others in the batch; `kept` is empty or as large as y.
    fn sweep(&self, y: &mut Field, first: usize, kept: &mut Buffer<Lane>, pass: Goal) -> Vec<Vec<[Sums; 2]>> {
        let (all, block_len) = (blocks(y.shape.c), y.block_len());
        let mut kept: Vec<&mut [Lane]> = kept.chunks_mut(block_len).collect();
        kept.resize_with(y.data.len() / block_len, Default::default);
        let tasks = y.data.par_chunks_mut(block_len).zip(kept).enumerate();
        tasks.map_init(Scratch::default, |scratch, (i, (y, kept))| self.run((first + i / all, i % all), y, kept, pass, scratch)).collect()
    }

    /// One block of one sample; sums per row under [`Goal::Sum`]. `kept` is empty, or receives d in one pass for the next.
    fn run(&self, (sample, block): (usize, usize), y: &mut [Lane], kept: &mut [Lane], pass: Goal, scratch: &mut Scratch) -> Vec<[Sums; 2]> {
        let affine = &self.affines.of_block(block, self.steps)[..];
        let rows = self.affines.rows.min(self.stored);
        let means: Vec<[Lane; 2]> = match pass {
            Goal::Sum => Vec::new(),
            Goal::Write([]) => vec![[Lane::ZERO; 2]; rows],
            Goal::Write(means) => (0..rows).map(|row| means[row * self.affines.blocks + block]).collect(),
        };
        if let (Goal::Write(_), false) = (pass, kept.is_empty()) {
            self.isa.run(WriteKept { y, kept, affine: &affine[0], means: &means[0] });
            return Vec::new();
        }
        let d = self.d.expand(self.isa, sample, block, scratch);
        let back = Back { y, d, kept, stored: self.stored, rows, affine, floor: floor(self.cell), means: &means };
        self.isa.run(Walk { back, neuron: self.cell.neuron, rule: self.rule })
    }
}

/// Positions whose recurrences run side by side: one alone would wait for each of its divisions.
const CHAINS: usize = 4;

struct Back<'a> {
    /// `[stored][H·W]`
    y: &'a mut [Lane],
    /// `[T][H·W]`
    d: &'a [Lane],
    /// `[H·W]`, receives dL/dz; or empty.
    kept: &'a mut [Lane],
    stored: usize,
    rows: usize,
    affine: &'a [Affine],
    floor: f32,
    /// Per row, means of d and d·x̂; empty: sum instead.
    means: &'a [[Lane; 2]],
}

/// [`Back`] by the equations of a neuron and a rule.
struct Walk<'a> {
    back: Back<'a>,
    neuron: Neuron,
    rule: Surrogate,
}

impl Kernel for Walk<'_> {
    type Out = Vec<[Sums; 2]>;
    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Out {
        let lif = if let Neuron::Lif(lif) = self.neuron { lif } else { Lif::default() };
        let (decay, threshold) = (Vector::<S>::of(lif.decay), Vector::of(lif.threshold));
        match (self.neuron, self.rule) {
            (Neuron::Identity, _) => self.back.sweep(decay, threshold, Straight),
            (_, Surrogate::Inverse { alpha }) => self.back.sweep(decay, threshold, Inverse { decay, alpha: Vector::of(alpha) }),
            (_, rule) => self.back.sweep(decay, threshold, General { rule, decay, threshold }),
        }
    }
}

/// e\[t\] of sixteen neurons from u\[t\], o\[t\], S\[t\] and e\[t+1\]. A type and not a closure, see [`super::simd`].
trait Errors<S: Simd>: Copy {
    fn error(self, u: Vector<S>, fired: S::M, s: Vector<S>, next: Vector<S>) -> Vector<S>;
}

/// Of the identity.
#[derive(Clone, Copy)]
struct Straight;

impl<S: Simd> Errors<S> for Straight {
    #[inline(always)]
    fn error(self, _: Vector<S>, _: S::M, s: Vector<S>, _: Vector<S>) -> Vector<S> {
        s
    }
}

/// Of bpsa and bpsa+bpta.
#[derive(Clone, Copy)]
struct Inverse<V> {
    decay: V,
    alpha: V,
}

impl<S: Simd> Errors<S> for Inverse<Vector<S>> {
    #[inline(always)]
    fn error(self, u: Vector<S>, fired: S::M, s: Vector<S>, next: Vector<S>) -> Vector<S> {
        neuron::inverse_error(self.decay, self.alpha, u, fired, s, next)
    }
}

/// Of every other rule.
#[derive(Clone, Copy)]
struct General<V> {
    rule: Surrogate,
    decay: V,
    threshold: V,
}

impl<S: Simd> Errors<S> for General<Vector<S>> {
    #[inline(always)]
    fn error(self, u: Vector<S>, fired: S::M, s: Vector<S>, next: Vector<S>) -> Vector<S> {
        neuron::error(self.rule, self.decay, self.threshold, u, fired, s, next)
    }
}

impl Back<'_> {
    #[inline(always)]
    fn sweep<S: Simd>(mut self, decay: Vector<S>, threshold: Vector<S>, errors: impl Errors<S>) -> Vec<[Sums; 2]> {
        let area = self.y.len() / self.stored;
        let mut sums = vec![[[0.0; LANES]; 2]; self.rows];
        let mut potentials = [[Lane::ZERO; CHAINS]; MAX_TIME_STEPS];
        let whole = area / CHAINS * CHAINS;
        for p in (0..whole).step_by(CHAINS) {
            self.chains::<S, CHAINS>(p, area, decay, threshold, errors, &mut potentials, &mut sums);
        }
        for p in whole..area {
            self.chains::<S, 1>(p, area, decay, threshold, errors, &mut potentials, &mut sums);
        }
        sums
    }

    /// N neighbouring positions, side by side: forward for the potentials, back for e.
    #[expect(clippy::too_many_arguments, reason = "constants and scratch of the one loop that calls this")]
    #[inline(always)]
    fn chains<S: Simd, const N: usize>(
        &mut self,
        p: usize,
        area: usize,
        decay: Vector<S>,
        threshold: Vector<S>,
        errors: impl Errors<S>,
        potentials: &mut [[Lane; CHAINS]; MAX_TIME_STEPS],
        sums: &mut [[Sums; 2]],
    ) {
        let (zero, floor) = (Vector::of(0.0), Vector::of(f64::from(self.floor)));
        let row_of = |t: usize| t.min(self.stored - 1);
        let mut rest = [zero; N];
        for (t, affine) in self.affine.iter().enumerate() {
            let y: &[Lane; N] = self.y[row_of(t) * area + p..].first_chunk().expect("the positions are inside");
            prefetch::<S, N>(self.y, row_of(t) * area + p + N);
            prefetch::<S, N>(self.d, t * area + p + N);
            for n in 0..N {
                let z = current(Vector::load(&y[n]), affine);
                let (u, _) = neuron::step(decay, threshold, &mut rest[n], Vector::choose(z.above(floor), z, floor));
                u.store(&mut potentials[t][n]);
            }
        }
        let (mut e, mut d_z) = ([zero; N], [zero; N]);
        for (t, affine) in self.affine.iter().enumerate().rev() {
            let s: &[Lane; N] = self.d[t * area + p..].first_chunk().expect("the positions are inside");
            let y: &mut [Lane; N] = self.y[row_of(t) * area + p..].first_chunk_mut().expect("the positions are inside");
            for n in 0..N {
                let u = Vector::load(&potentials[t][n]);
                e[n] = errors.error(u, neuron::fires(threshold, u), Vector::load(&s[n]), e[n]);
                let open = current(Vector::load(&y[n]), affine).above(floor);
                d_z[n] = d_z[n] + Vector::choose(open, e[n], zero);
            }
            if t < self.stored || t == 0 {
                let row = row_of(t).min(self.rows - 1);
                finish(y, &d_z, affine, self.means.get(row), &mut sums[row]);
                if let Some(kept) = self.kept.get_mut(p..).and_then(<[Lane]>::first_chunk_mut::<N>) {
                    for n in 0..N {
                        d_z[n].store(&mut kept[n]);
                    }
                }
                d_z = [zero; N];
            }
        }
    }
}

/// Sweep 2 where sweep 1 kept dL/dz.
struct WriteKept<'a> {
    /// `[H·W]`
    y: &'a mut [Lane],
    kept: &'a [Lane],
    affine: &'a Affine,
    means: &'a [Lane; 2],
}

impl Kernel for WriteKept<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let mut none = [[0.0; LANES]; 2];
        for (y, kept) in self.y.iter_mut().zip(self.kept) {
            finish::<S, 1>(std::array::from_mut(y), &[Vector::load(kept)], self.affine, Some(self.means), &mut none);
        }
    }
}

/// One stored step of N positions, once d is complete: adds to the sums, or writes dL/dy.
#[inline(always)]
fn finish<S: Simd, const N: usize>(
    y: &mut [Lane; N],
    d_z: &[Vector<S>; N],
    affine: &Affine,
    means: Option<&[Lane; 2]>,
    sums: &mut [Sums; 2],
) {
    let (mean, rstd) = (Vector::load(&affine.mean), Vector::load(&affine.rstd));
    let (mut sum, mut sum_x_hat) = (Vector::of(0.0), Vector::of(0.0));
    for n in 0..N {
        let x_hat = (Vector::load(&y[n]) - mean) * rstd;
        if let Some([d, d_x_hat]) = means {
            let e = Vector::load(&affine.scale) * (d_z[n] - Vector::load(d) - x_hat * Vector::load(d_x_hat));
            e.store(&mut y[n]);
        } else {
            sum = sum + d_z[n];
            sum_x_hat = sum_x_hat + d_z[n] * x_hat;
        }
    }
    if means.is_none() {
        for (total, part) in sums.iter_mut().zip([sum, sum_x_hat]) {
            let mut lane = Lane::ZERO;
            part.store(&mut lane);
            (0..LANES).for_each(|l| total[l] += f64::from(lane.0[l]));
        }
    }
}
