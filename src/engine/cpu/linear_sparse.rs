//! Fully connected backward where few outputs have an error.
//!
//! Under bpsa and bpsa+bpta e\[t\] is 0 from a neuron's last spike on, so in a hidden layer that fires at a few percent nearly all
//! errors are exactly 0. The pass visits the others: each is added to dL/dW of the inputs that fired and multiplied with
//! their weights, 16 inputs at a time. For that a tile of weights is turned round, and its gradient turned back.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::field::{Spikes, blocks};
use super::grad::{Grad, Order};
use super::linear::cut;
use super::lists::Lists;
use super::param::{Group, Param, groups, outputs};
use super::simd::{Isa, Kernel, LANES, Lane, Simd};
use super::tables;
use crate::engine::Need;

/// Errors that are not 0, as a share of all, per share of spikes: above, visiting the spikes is faster. An error costs per input
/// about twice what a spike costs per output, and turning the weights the rest.
const ERRORS_PER_SPIKE: f64 = 0.4;
/// Positions of 16 inputs in one tile: those of [`tables::codes`].
const TILE: usize = tables::TILE;

/// Whether [`backward`] is the way to go; `e` `[B·T][width]` per group.
pub fn suits(x: &Spikes, e: &[Buffer<Lane>], need: Need) -> bool {
    let count = |rows: &Buffer<Lane>| rows.iter().map(|lane| lane.0.iter().filter(|&&v| v != 0.0).count()).sum::<usize>();
    let (errors, all) = (e.iter().map(count).sum::<usize>(), e.iter().map(|rows| rows.len() * LANES).sum::<usize>());
    !x.graded() && need != Need::Everywhere && (errors as f64) < ERRORS_PER_SPIKE * x.density() * all as f64
}

/// dL/dW and, as far as needed, dL/dx.
pub fn backward(isa: Isa, x: &Spikes, weight: &Param, e: &[Buffer<Lane>], need: Need) -> (Param, Option<Grad>) {
    let (all, pairs) = (blocks(x.shape.c) * x.shape.area(), x.samples * x.steps);
    let groups = groups(outputs(weight.layout));
    let errors: Vec<Lists> = groups.par_iter().zip(e).map(|(group, e)| nonzero(e, group.width)).collect();
    let codes = tables::codes(isa, x);
    let mut d_weight = Param::stale(weight.layout);
    let mut d_x = Buffer::zeros(if need == Need::Nothing { 0 } else { all * pairs });
    let tiles = cut(&mut d_weight, &mut d_x, TILE, all, pairs, &groups);
    tiles.into_par_iter().zip(&codes).for_each_init(Scratch::default, |scratch, (mut tile, codes)| {
        for (g, group) in groups.iter().enumerate() {
            let start = tile.first * LANES * group.width;
            let weight = &weight.group(*group)[start..start + tile.d_weight[g].len()];
            let (d_weight, d_x) = (&mut *tile.d_weight[g], &mut *tile.d_x);
            isa.run(Visit { group: *group, weight, d_weight, d_x, errors: &errors[g], codes, scale: x.scale, scratch });
        }
    });
    let d_x = (need != Need::Nothing).then(|| Grad::new(x.shape, x.samples, x.steps, Order::ByNeuron, d_x));
    (d_weight, d_x)
}

/// For every pair the outputs whose error is not 0; the error is the level.
fn nonzero(e: &[Lane], width: usize) -> Lists {
    let mut lists = Lists::default();
    lists.starts.push(0);
    for row in e.chunks_exact(width) {
        for (o, &error) in row.iter().flat_map(|lane| &lane.0).enumerate().filter(|(_, e)| **e != 0.0) {
            lists.index.push(o as u32);
            lists.level.push(error);
        }
        lists.end_list();
    }
    lists
}

/// Weights of a tile and their gradient, `[outputs of the group][TILE]`.
#[derive(Default)]
struct Scratch {
    weight: Vec<Lane>,
    d_weight: Vec<Lane>,
}

struct Visit<'a> {
    group: Group,
    /// `[inputs of the tile][width]`
    weight: &'a [Lane],
    d_weight: &'a mut [Lane],
    /// `[positions of the tile][B·T]`, added to; or empty.
    d_x: &'a mut [Lane],
    errors: &'a Lists,
    /// `[B·T]`
    codes: &'a [u64],
    scale: f32,
    scratch: &'a mut Scratch,
}

impl Kernel for Visit<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Visit { group: Group { width, .. }, weight, d_weight, d_x, errors, codes, scale, scratch } = self;
        let (positions, pairs) = (weight.len() / (LANES * width), codes.len());
        scratch.weight.clear();
        scratch.weight.resize(width * LANES * TILE, Lane::ZERO);
        scratch.d_weight.clear();
        scratch.d_weight.resize(width * LANES * TILE, Lane::ZERO);
        let turned = scratch.weight.as_chunks_mut::<TILE>().0;
        let d_turned = scratch.d_weight.as_chunks_mut::<TILE>().0;
        let mut square = [S::splat(0.0); LANES];
        for q in 0..positions {
            for block in 0..width {
                for r in 0..LANES {
                    square[r] = S::load(&weight[(q * LANES + r) * width + block]);
                }
                square = S::transpose(square);
                for r in 0..LANES {
                    S::store(square[r], &mut turned[block * LANES + r][q]);
                }
            }
        }
        for (pair, &code) in codes.iter().enumerate() {
            let list = errors.range(pair);
            if code == 0 || list.is_empty() {
                continue;
            }
            let mut dots = [S::splat(0.0); TILE];
            for (&o, &error) in errors.index[list.clone()].iter().zip(&errors.level[list]) {
                let (weight, d_weight) = (&turned[o as usize], &mut d_turned[o as usize]);
                let error = S::splat(error);
                for q in 0..TILE {
                    let fired = (code >> (q * LANES)) as u16;
                    dots[q] = S::fma(error, S::load(&weight[q]), dots[q]);
                    S::store(S::add(S::load(&d_weight[q]), S::keep(fired, error)), &mut d_weight[q]);
                }
            }
            if !d_x.is_empty() {
                for q in 0..positions {
                    let to = &mut d_x[q * pairs + pair];
                    S::store(S::add(S::load(to), dots[q]), to);
                }
            }
        }
        let scale = S::splat(scale);
        for q in 0..positions {
            for block in 0..width {
                for r in 0..LANES {
                    square[r] = S::mul(S::load(&d_turned[block * LANES + r][q]), scale);
                }
                square = S::transpose(square);
                for r in 0..LANES {
                    S::store(square[r], &mut d_weight[(q * LANES + r) * width + block]);
                }
            }
        }
    }
}
