//! The output: ten voters per class, mean over the group and over T.

use super::buffer::Buffer;
use super::field::{Acts, blocks};
use super::grad::{Grad, Order};
use super::simd::{LANES, Lane};
use crate::engine::VOTERS;

/// Class rates `[B, classes]`; the voters are the channels of a layer with one position.
pub fn vote(x: &Acts) -> Vec<f64> {
    let (shape, all) = (x.shape(), blocks(x.shape().c) * x.shape().area());
    assert_eq!(shape.area(), 1, "voters are units of a linear layer");
    let unit = |b: usize, c: usize| -> f64 {
        match x {
            Acts::Spikes(s) => {
                let ones = s.planes.iter().map(|plane| plane[b * all + c / LANES][c % LANES].count_ones());
                ones.enumerate().map(|(power, ones)| u64::from(ones) << power).sum::<u64>() as f64 * f64::from(s.scale)
            }
            Acts::Real(f) => {
                let sum: f64 = f.block(b, c / LANES).iter().map(|lane| f64::from(lane.0[c % LANES])).sum();
                sum * (f.steps / f.stored) as f64
            }
        }
    };
    let class = |b: usize, class: usize| (class * VOTERS..(class + 1) * VOTERS).map(|c| unit(b, c)).sum::<f64>();
    let classes = shape.c / VOTERS;
    let share = (VOTERS * x.steps()) as f64;
    (0..x.samples() * classes).map(|i| class(i / classes, i % classes) / share).collect()
}

/// d / (10 T) to every voter at every step.
pub fn vote_backward(x: &Acts, d_rates: &[f64]) -> Grad {
    let (shape, steps, samples) = (x.shape(), x.steps(), x.samples());
    let (classes, share) = (shape.c / VOTERS, (VOTERS * steps) as f64);
    let mut values: Buffer<Lane> = x.source().stale(samples * blocks(shape.c) * steps);
    for (i, lane) in values.iter_mut().enumerate() {
        let (b, block) = (i / steps / blocks(shape.c), i / steps % blocks(shape.c));
        for (l, value) in lane.0.iter_mut().enumerate() {
            let class = (block * LANES + l) / VOTERS;
            *value = if class < classes { (d_rates[b * classes + class] / share) as f32 } else { 0.0 };
        }
    }
    let stride = values.len() / samples;
    Grad::new(shape, samples, steps, Order::ByStep { stride }, values)
}
