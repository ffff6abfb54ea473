//! The output: ten voters per class.

use super::buffer::Buffer;
use super::field::{Acts, blocks};
use super::grad::{Grad, Order};
use super::simd::{LANES, Lane};
use crate::engine::VOTERS;

/// Votes for each class at every step, `[T, B, classes]`; the voters are the channels of a layer with one position.
pub fn vote(x: &Acts) -> Vec<f64> {
    let (shape, all) = (x.shape(), blocks(x.shape().c) * x.shape().area());
    assert_eq!(shape.area(), 1, "voters are units of a linear layer");
    let unit = |t: usize, b: usize, c: usize| -> f64 {
        match x {
            Acts::Spikes(s) => {
                let fired = s.planes.iter().map(|plane| plane[b * all + c / LANES][c % LANES] >> t & 1);
                fired.enumerate().map(|(power, one)| one << power).sum::<u64>() as f64 * f64::from(s.scale)
            }
            Acts::Real(f) => f64::from(f.block(b, c / LANES)[t.min(f.stored - 1)].0[c % LANES]),
        }
    };
    let class = |t: usize, b: usize, class: usize| (class * VOTERS..(class + 1) * VOTERS).map(|c| unit(t, b, c)).sum::<f64>();
    let (samples, classes) = (x.samples(), shape.c / VOTERS);
    (0..x.steps() * samples * classes).map(|i| class(i / classes / samples, i / classes % samples, i % classes)).collect()
}

/// dL/d(rate) to every voter: d / (10 T) at every step of rates over all steps, d\[t\] / 10 of the rates of each.
pub fn vote_backward(x: &Acts, d_rates: &[f64]) -> Grad {
    let (shape, steps, samples) = (x.shape(), x.steps(), x.samples());
    let classes = shape.c / VOTERS;
    let per_step = samples * classes;
    let share = (VOTERS * steps * per_step / d_rates.len()) as f64;
    let mut values: Buffer<Lane> = x.source().stale(samples * blocks(shape.c) * steps);
    for (i, lane) in values.iter_mut().enumerate() {
        let (t, b, block) = (i % steps, i / steps / blocks(shape.c), i / steps % blocks(shape.c));
        for (l, value) in lane.0.iter_mut().enumerate() {
            let class = (block * LANES + l) / VOTERS;
            let at = (t * per_step + b * classes + class) % d_rates.len();
            *value = if class < classes { (d_rates[at] / share) as f32 } else { 0.0 };
        }
    }
    let stride = values.len() / samples;
    Grad::new(shape, samples, steps, Order::ByStep { stride }, values)
}
