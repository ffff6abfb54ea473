//! Each kernel beside plain sums in f64, on odd shapes, at every density and on every instruction set of this machine.
//!
//! `tests/engines.rs` compares whole networks; which kernel ran there depends on its numbers. Here every one is called by name.

use std::sync::Arc;

use super::buffer::Source;
use super::conv_spikes::{self, Way};
use super::conv_tiles::Tiling;
use super::field::{Acts, Field, Spikes, blocks};
use super::grad::{Grad, Scratch};
use super::lists::{Lists, Windows, by_neuron};
use super::param::{Param, groups};
use super::rows::Rows;
use super::simd::{Isa, LANES};
use super::{conv, conv_back, linear_back, linear_sparse};
use crate::engine::{Cut, Layout, Need};
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;

/// What a layer is tried on.
#[derive(Clone, Copy, Debug)]
struct Case {
    shape: Chw,
    out: usize,
    samples: usize,
    steps: usize,
    density: f64,
}

impl Case {
    /// Over steps, samples, channels and positions.
    fn index(&self, channels: usize, t: usize, b: usize, c: usize, p: usize) -> usize {
        ((t * self.samples + b) * channels + c) * self.shape.area() + p
    }

    /// Whether each input fires, `[T,B,C,H,W]`, and the same as words.
    fn spikes(&self, rng: &mut Rng) -> (Vec<bool>, Spikes) {
        let Case { shape, samples, steps, .. } = *self;
        let fired: Vec<bool> = (0..steps * samples * shape.len()).map(|_| f64::from(rng.unit()) < self.density).collect();
        let mut words = vec![[0u64; LANES]; samples * blocks(shape.c) * shape.area()];
        for (t, b, c) in (0..steps).flat_map(|t| (0..samples).flat_map(move |b| (0..shape.c).map(move |c| (t, b, c)))) {
            for p in 0..shape.area() {
                let word = &mut words[(b * blocks(shape.c) + c / LANES) * shape.area() + p][c % LANES];
                *word |= u64::from(fired[self.index(shape.c, t, b, c, p)]) << t;
            }
        }
        (
            fired,
            Spikes {
                shape,
                samples,
                cut: Cut::whole(samples),
                steps,
                planes: vec![Arc::new(Source::default().holding(words))],
                scale: 2.0,
            },
        )
    }
}

fn values(rng: &mut Rng, n: usize) -> Vec<f32> {
    (0..n).map(|_| rng.uniform(-1.0, 1.0)).collect()
}

fn close(got: f32, want: f64, case: &Case, isa: Isa, what: &str) {
    assert!((f64::from(got) - want).abs() < 1e-4 * want.abs().max(10.0), "{what}: {got}, expected {want}; {}, {case:?}", isa.name());
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    for (shape, out) in [((17, 5, 3), 20), ((1, 1, 1), 1), ((3, 4, 1), 130), ((33, 2, 6), 17), ((6, 3, 3), 64)] {
        for (samples, steps) in [(1, 1), (3, 7), (2, 64)] {
            for density in [0.0, 0.07, 0.5, 1.0] {
                all.push(Case { shape: Chw::new(shape.0, shape.1, shape.2), out, samples, steps, density });
            }
        }
    }
    all
}

/// Calls `visit(tap, input channel, p, q)` where output position p reads input position q through a tap.
fn for_each_tap(case: &Case, k: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
    let (Chw { h, w, .. }, pad) = (case.shape, k / 2);
    for (p, tap) in (0..h * w).flat_map(|p| (0..k * k).map(move |tap| (p, tap))) {
        let (y, x) = (p / w + tap / k, p % w + tap % k);
        if (pad..h + pad).contains(&y) && (pad..w + pad).contains(&x) {
            (0..case.shape.c).for_each(|c| visit(tap, c, p, (y - pad) * w + x - pad));
        }
    }
}

/// `[T][H·W]` of one channel of a field.
fn of_channel(y: &Field, b: usize, c: usize) -> impl Fn(usize, usize) -> f32 {
    move |t, p| y.block(b, c / LANES)[t * y.shape.area() + p].0[c % LANES]
}

#[test]
fn convolutions_forward_are_plain_sums() {
    let rng = &mut Rng::at(1, Purpose::Test, 3, 0);
    let mut tried = 0;
    for (i, case) in cases().into_iter().enumerate() {
        let k = [1, 3, 5, 15][i % 4];
        let (fired, x) = case.spikes(rng);
        let layout = Layout::Conv { out: case.out, inp: case.shape.c, k };
        let (weight, bias) = (values(rng, layout.len()), values(rng, case.out));
        let mut want = vec![0.0; case.steps * case.samples * case.out * case.shape.area()];
        for (t, b) in (0..case.steps).flat_map(|t| (0..case.samples).map(move |b| (t, b))) {
            for o in 0..case.out {
                (0..case.shape.area()).for_each(|p| want[case.index(case.out, t, b, o, p)] = f64::from(bias[o]));
                for_each_tap(&case, k, |tap, c, p, q| {
                    let w = f64::from(weight[(o * case.shape.c + c) * k * k + tap]);
                    want[case.index(case.out, t, b, o, p)] += if fired[case.index(case.shape.c, t, b, c, q)] { 2.0 * w } else { 0.0 };
                });
            }
        }
        let (w, bias) = (
            Param::from_host(&Source::default(), layout, &weight),
            Param::from_host(&Source::default(), Layout::PerChannel(case.out), &bias),
        );
        for isa in Isa::available() {
            let by = |rows: Rows, silences: bool| {
                let mut y = Field::stale(&Source::default(), Chw { c: case.out, ..case.shape }, x.cut, case.steps, case.steps);
                conv_spikes::forward(isa, Way { rows, silences }, &x, &w, &bias, &mut y);
                y
            };
            let chosen = conv::forward(isa, &Acts::Spikes(x.clone()), &w, &bias);
            let mut ways = vec![(by(Rows::Single, false), "single"), (by(Rows::Fours, false), "fours"), (chosen, "chosen")];
            if !x.graded() {
                ways.extend([(by(Rows::Single, true), "single silences"), (by(Rows::Fours, true), "fours of silences")]);
            }
            for (y, what) in ways {
                for (b, o) in (0..case.samples).flat_map(|b| (0..case.out).map(move |o| (b, o))) {
                    let got = of_channel(&y, b, o);
                    for (t, p) in (0..case.steps).flat_map(|t| (0..case.shape.area()).map(move |p| (t, p))) {
                        close(got(t, p), want[case.index(case.out, t, b, o, p)], &case, isa, what);
                    }
                }
            }
            tried += 1;
        }
    }
    println!("{tried} convolutions forward");
}

#[test]
fn linear_backward_is_plain_sums() {
    let rng = &mut Rng::at(1, Purpose::Test, 4, 0);
    let mut tried = 0;
    for (i, case) in cases().into_iter().enumerate() {
        let (fired, x) = case.spikes(rng);
        let (inputs, pairs) = (case.shape.len(), case.samples * case.steps);
        let layout = Layout::Linear { out: case.out, inp: case.shape };
        let weight = values(rng, layout.len());
        let share = [0.0, 0.05, 1.0][i % 3];
        let e: Vec<f32> = (0..pairs * case.out).map(|_| if rng.unit() < share { rng.uniform(-1.0, 1.0) } else { 0.0 }).collect();
        let field = Field::from_host(&Source::default(), (Chw::new(case.out, 1, 1), x.cut, case.steps, case.steps), &e, |_, v| v);
        let w = Param::from_host(&Source::default(), layout, &weight);
        for isa in Isa::available() {
            let groups = groups(case.out);
            let by_group: Vec<_> = groups.iter().map(|&group| linear_back::rows_of(&field, group)).collect();
            let sparse = linear_sparse::backward(isa, &x, &w, &linear_sparse::errors(&x, &by_group, &groups), Need::AtSpikes);
            let chosen = linear_back::backward(isa, &Acts::Spikes(x.clone()), &w, &field, Need::AtSpikes);
            for ((d_weight, d_x), what) in [(sparse, "sparse"), (chosen, "chosen")] {
                let (d_weight, d_x) = (d_weight.to_host(), d_x.expect("it was needed"));
                for (o, input) in (0..case.out).flat_map(|o| (0..inputs).map(move |input| (o, input))) {
                    let at = |pair: usize| if fired[pair * inputs + input] { 2.0 * f64::from(e[pair * case.out + o]) } else { 0.0 };
                    close(d_weight[o * inputs + input], (0..pairs).map(at).sum(), &case, isa, what);
                }
                at_spikes(&case, &fired, &d_x, isa, what, |pair, input| {
                    (0..case.out).map(|o| f64::from(e[pair * case.out + o] * weight[o * inputs + input])).sum()
                });
            }
            tried += 1;
        }
    }
    println!("{tried} linear layers backward");
}

/// Compares dL/dx where the input fired with `want(step · B + sample, input)`.
fn at_spikes(case: &Case, fired: &[bool], d_x: &Grad, isa: Isa, what: &str, want: impl Fn(usize, usize) -> f64) {
    let (area, mut scratch) = (case.shape.area(), Scratch::default());
    for (b, block) in (0..case.samples).flat_map(|b| (0..blocks(case.shape.c)).map(move |block| (b, block))) {
        let lanes = d_x.expand(isa, b, block, &mut scratch);
        for (t, c) in (0..case.steps).flat_map(|t| (block * LANES..case.shape.c.min((block + 1) * LANES)).map(move |c| (t, c))) {
            for p in (0..area).filter(|p| fired[case.index(case.shape.c, t, b, c, *p)]) {
                let want = want(t * case.samples + b, c * area + p);
                close(lanes[t * area + p].0[c % LANES], want, case, isa, what);
            }
        }
    }
}

#[test]
fn convolutions_backward_are_plain_sums() {
    let rng = &mut Rng::at(1, Purpose::Test, 5, 0);
    let mut tried = 0;
    for (i, case) in cases().into_iter().enumerate() {
        let k = [3, 1, 5, 9][i % 4];
        let (fired, x) = case.spikes(rng);
        let (channels, area) = (case.shape.c, case.shape.area());
        let layout = Layout::Conv { out: case.out, inp: channels, k };
        let weight = values(rng, layout.len());
        let e = values(rng, case.steps * case.samples * case.out * area);
        let field = Field::from_host(&Source::default(), (Chw { c: case.out, ..case.shape }, x.cut, case.steps, case.steps), &e, |_, v| v);
        let mut want = vec![0.0; layout.len()];
        let mut want_x = vec![0.0; case.steps * case.samples * case.shape.len()];
        for (t, b, o) in (0..case.steps).flat_map(|t| (0..case.samples).flat_map(move |b| (0..case.out).map(move |o| (t, b, o)))) {
            for_each_tap(&case, k, |tap, c, p, q| {
                let (at, from) = ((o * channels + c) * k * k + tap, f64::from(e[case.index(case.out, t, b, o, p)]));
                want[at] += if fired[case.index(channels, t, b, c, q)] { 2.0 * from } else { 0.0 };
                want_x[case.index(channels, t, b, c, q)] += from * f64::from(weight[at]);
            });
        }
        for isa in Isa::available() {
            let (d_weight, d_x) = conv_back::backward(
                isa,
                &Acts::Spikes(x.clone()),
                &Param::from_host(&Source::default(), layout, &weight),
                field.clone(),
                Need::AtSpikes,
            );
            d_weight.to_host().iter().zip(&want).for_each(|(got, want)| close(*got, *want, &case, isa, "dL/dW"));
            let want_x = |pair: usize, input: usize| want_x[pair * case.shape.len() + input];
            at_spikes(&case, &fired, &d_x.expect("it was needed"), isa, "dL/dx", want_x);
            tried += 1;
        }
    }
    println!("{tried} convolutions backward");
}

/// A guard on speed that does not look at a clock: additions and visits are counted, per spike.
#[test]
fn work_is_in_proportion_to_spikes() {
    let (rng, isa, k) = (&mut Rng::at(1, Purpose::Test, 6, 0), Isa::best(), 3);
    let (mut windows, mut lists) = (Windows::default(), Lists::default());
    for density in [0.02, 0.05, 0.1, 0.2, 0.33, 0.5, 0.8] {
        let case = Case { shape: Chw::new(128, 12, 13), out: 1, samples: 2, steps: 16, density };
        let (_, x) = case.spikes(rng);
        let (spikes, area) = (x.count(isa) as f64, case.shape.area() as f64);
        // A spike is added under each of its taps that is inside.
        let inside = spikes * (3.0 * 12.0 - 2.0) * (3.0 * 13.0 - 2.0) / area;
        let per_spike = |rows| conv_spikes::rows_added(isa, rows, &x, k) as f64 / inside;
        let (single, fours) = (per_spike(Rows::Single), per_spike(Rows::Fours));
        println!("density {density}: {single:.3} additions per spike and weight, by fours {fours:.3}");
        // Lists of four sums are filled up to the longest; at the border some are shorter.
        let filling = 1.08 + 1.2 / (64.0 * 9.0 * density).sqrt();
        assert!((1.0..filling).contains(&single), "{single} additions per spike at {density}, at most {filling}");
        let by_four = (1.0 - (1.0f64 - density).powi(4)) / (4.0 * density);
        let filling = 1.08 + 1.6 / (28.0 * 9.0 * density * by_four).sqrt();
        assert!(
            (by_four * 0.97..by_four * filling).contains(&fours),
            "{fours} additions per spike by fours, at most {}",
            by_four * filling
        );
        let chosen = conv::choose(isa, &Acts::Spikes(x.clone()), &Param::zeros(&Source::default(), Layout::Conv { out: 512, inp: 128, k }));
        assert!(density == 0.5 || chosen.silences == (density > 0.5), "{chosen:?} at {density}");
        let listed = density.min(1.0 - density);
        assert!(
            listed > 0.19 && listed < 0.21 || chosen.rows == if listed < 0.2 { Rows::Single } else { Rows::Fours },
            "{chosen:?} at {density}"
        );
        // Backward, a spike is visited once per block of outputs, and nothing else is.
        let tiling = Tiling::new(case.shape, k, case.steps);
        let visits: usize = (0..case.samples).map(|b| (windows.list(isa, &x, b, &tiling), windows.corner.len()).1).sum();
        assert_eq!(visits as f64, spikes);
        by_neuron(&x, 0, x.sample_len(), 0..case.samples, &mut lists);
        assert_eq!(lists.index.len() as f64, spikes);
    }
}
