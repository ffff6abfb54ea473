//! A sweep over density: what every way of a layer takes, beside the one that is chosen.
//!
//!     cargo test --release --lib sweep -- --ignored --nocapture
//!
//! A clock cannot be asserted on, so it prints: the share behind "chosen" is its time over that of the best way.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use super::buffer::{Buffer, Source};
use super::conv_spikes::{self, Way};
use super::field::{Acts, Field, Spikes, Words, blocks};
use super::linear_back::{by_inputs, rows_of};
use super::param::{Param, groups};
use super::rows::Rows;
use super::simd::{Isa, LANES};
use super::{conv, linear_sparse};
use crate::engine::{Cut, Layout, Need};
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;

const STEPS: usize = 16;
const DENSITIES: [f64; 10] = [0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9];

/// Independent spikes.
fn spikes(shape: Chw, samples: usize, density: f64) -> Spikes {
    let rng = &mut Rng::at(0, Purpose::Test, 0, 0);
    let mut plane: Buffer<Words> = Source::default().zeros(samples * blocks(shape.c) * shape.area());
    for word in plane.iter_mut().flat_map(|words| words[..shape.c.min(LANES)].iter_mut()) {
        *word = (0..STEPS).fold(0, |word, t| word | u64::from(f64::from(rng.unit()) < density) << t);
    }
    Spikes { shape, samples, cut: Cut::whole(samples), steps: STEPS, planes: vec![Arc::new(plane)], scale: 1.0 }
}

fn weights(layout: Layout) -> Param {
    let rng = &mut Rng::at(0, Purpose::Test, 1, 0);
    Param::from_host(&Source::default(), layout, &(0..layout.len()).map(|_| rng.uniform(-0.05, 0.05)).collect::<Vec<f32>>())
}

/// Least milliseconds of each way; they take turns, since a machine's speed changes.
fn least(ways: &[(&str, &dyn Fn())]) -> Vec<f64> {
    let mut least = vec![f64::INFINITY; ways.len()];
    for _ in 0..7 {
        for (least, (_, way)) in least.iter_mut().zip(ways) {
            let started = Instant::now();
            way();
            *least = least.min(1e3 * started.elapsed().as_secs_f64());
        }
    }
    least
}

/// A line: the ways' times, and that of the chosen one over the best.
fn print(what: &str, density: f64, ways: &[(&str, &dyn Fn())], chosen: usize) {
    let times = least(ways);
    let all: Vec<String> = ways.iter().zip(&times).map(|((name, _), ms)| format!("{name} {ms:7.2}")).collect();
    let over = times[chosen] / times.iter().copied().fold(f64::INFINITY, f64::min);
    println!("{what:<26} {density:.2}  {}  chosen: {} ({over:.2})", all.join("  "), ways[chosen].0);
}

fn convolution(isa: Isa, shape: Chw, out: usize, samples: usize) {
    let layout = Layout::Conv { out, inp: shape.c, k: 3 };
    let (weight, bias) = (weights(layout), Param::zeros(&Source::default(), Layout::PerChannel(out)));
    for density in DENSITIES {
        let x = spikes(shape, samples, density);
        let forward = |rows: Rows, silences: bool| {
            let mut y = Field::stale(&Source::default(), Chw { c: out, ..shape }, x.cut, STEPS, STEPS);
            conv_spikes::forward(isa, Way { rows, silences }, &x, &weight, &bias, &mut y);
            black_box(y);
        };
        let ways: [(&str, &dyn Fn()); 4] = [
            ("single", &|| forward(Rows::Single, false)),
            ("fours", &|| forward(Rows::Fours, false)),
            ("single silences", &|| forward(Rows::Single, true)),
            ("fours of silences", &|| forward(Rows::Fours, true)),
        ];
        let chosen = conv::choose(isa, &Acts::Spikes(x.clone()), &weight);
        let chosen = usize::from(chosen.rows == Rows::Fours) + 2 * usize::from(chosen.silences);
        print(&format!("{}-{out} {}x{} forward", shape.c, shape.h, shape.w), density, &ways, chosen);
    }
}

fn linear_backward(isa: Isa, shape: Chw, out: usize, samples: usize, errors_at: f64) {
    let (weight, rng) = (weights(Layout::Linear { out, inp: shape }), &mut Rng::at(0, Purpose::Test, 2, 0));
    let mut e = Field::zeros(&Source::default(), Chw::new(out, 1, 1), Cut::whole(samples), STEPS, STEPS);
    for value in e.data.iter_mut().flat_map(|lane| lane.0.iter_mut()) {
        *value = if f64::from(rng.unit()) < errors_at { rng.uniform(-1.0, 1.0) } else { 0.0 };
    }
    let groups = groups(out);
    let rows: Vec<Buffer<_>> = groups.iter().map(|&group| rows_of(&e, group)).collect();
    for density in DENSITIES {
        let x = spikes(shape, samples, density);
        let acts = Acts::Spikes(x.clone());
        let errors = linear_sparse::errors(&x, &rows, &groups);
        let ways: [(&str, &dyn Fn()); 2] = [
            ("spikes", &|| drop(black_box(by_inputs(isa, &acts, &weight, &e, &rows, Need::AtSpikes)))),
            ("errors", &|| drop(black_box(linear_sparse::backward(isa, &x, &weight, &errors, Need::AtSpikes)))),
        ];
        let chosen = usize::from(linear_sparse::suits(isa, &x, &weight, &errors));
        print(&format!("{}-{out} back, errors {errors_at}", shape.len()), density, &ways, chosen);
    }
}

#[test]
#[ignore = "takes minutes, and prints times"]
fn sweep_over_density() {
    for isa in Isa::available().into_iter().filter(|&isa| isa != Isa::PORTABLE) {
        println!("{}, {} threads", isa.name(), rayon::current_num_threads());
        convolution(isa, Chw::new(128, 14, 14), 128, 4);
        convolution(isa, Chw::new(256, 4, 4), 512, 8);
        for errors_at in [0.05, 0.2, 1.0] {
            linear_backward(isa, Chw::new(256, 4, 4), 1024, 16, errors_at);
        }
    }
}
