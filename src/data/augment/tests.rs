use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::data::batch::assemble_frames;
use crate::data::frame_set::{FrameSet, FrameSplit};
use crate::data::sets;
use crate::error::{Error, Result};
use crate::frames::FrameSource;
use crate::shape::Chw;
use crate::values::Values;

/// Samples drawn by their index; sample `broken` cannot be read.
struct Drawn {
    broken: Option<usize>,
    /// Of 100 counts so many are not 0.
    percent: usize,
}

impl FrameSource for Drawn {
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()> {
        if self.broken.is_some_and(|b| index >= b) {
            return Err(Error::format("damaged").at(format!("cache: sample {index}")));
        }
        let mut rng = Rng::at(5, Purpose::Test, 0, index as u64);
        counts.iter_mut().for_each(|c| *c = if rng.below(100) < self.percent { 1 + rng.below(4) as u16 } else { 0 });
        Ok(())
    }
}

/// `samples` samples that stand in the source the other way round.
fn set(samples: usize, steps: usize, (height, width): (u16, u16), source: Drawn) -> FrameSet {
    FrameSet {
        name: sets::DVS_GESTURE,
        sensor: Sensor { width, height },
        steps,
        classes: vec!["a".into(), "b".into()],
        train: FrameSplit { labels: vec![0; samples], at: (0..samples as u32).rev().collect() },
        validation: FrameSplit::default(),
        test: FrameSplit::default(),
        source: Arc::new(source),
        simulated: false,
        notes: Vec::new(),
        fingerprint: String::new(),
    }
}

fn assembled(set: &FrameSet, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Vec<f32> {
    assemble_frames(set, &set.train, indices, prep, augment).unwrap().reals(prep.resize.shape(set.sensor))
}

/// The stored counts `[T,2,H,W]` of the sample that stands at `index` in the training split.
fn stored(set: &FrameSet, index: usize) -> Vec<f32> {
    let mut counts = vec![0; set.steps * 2 * set.sensor.width as usize * set.sensor.height as usize];
    set.source.read(set.train.at[index] as usize, &mut counts).unwrap();
    counts.into_iter().map(f32::from).collect()
}

/// Sample `b` of a batch `[T,B,C,H,W]` as `[T,C,H,W]`.
fn sample_of(batch: &[f32], steps: usize, samples: usize, b: usize) -> Vec<f32> {
    let size = batch.len() / steps / samples;
    (0..steps).flat_map(|t| batch[(t * samples + b) * size..][..size].to_vec()).collect()
}

fn plain() -> Preparation {
    Preparation::scale_only(2)
}

#[test]
fn frames_of_a_batch_stand_step_by_step() {
    let set = set(5, 3, (4, 6), Drawn { broken: None, percent: 40 });
    let batch = assembled(&set, &[4, 0, 4], &plain(), None);
    for (b, index) in [4, 0, 4].into_iter().enumerate() {
        assert_eq!(sample_of(&batch, 3, 3, b), stored(&set, index));
    }
    assert!(assembled(&set, &[], &plain(), None).is_empty());
}

/// What a crop, a mirror and a rotation do, written the other way round than in `Draw`: plane by plane, one move after the other.
fn moved(planes: &[f32], (h, w): (i64, i64), (top, left, pad): (i64, i64, i64), mirror: bool, degrees: f64) -> Vec<f32> {
    let mut out = Vec::new();
    for plane in planes.chunks_exact((h * w) as usize) {
        let at = |p: &[f32], y: i64, x: i64| if (0..h).contains(&y) && (0..w).contains(&x) { p[(y * w + x) as usize] } else { 0.0 };
        let each = |f: &dyn Fn(i64, i64) -> f32| -> Vec<f32> { (0..h).flat_map(|y| (0..w).map(move |x| f(y, x))).collect() };
        let cropped = each(&|y, x| at(plane, y + top - pad, x + left - pad));
        let mirrored = each(&|y, x| at(&cropped, y, if mirror { w - 1 - x } else { x }));
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (my, mx) = ((h - 1) as f64 / 2.0, (w - 1) as f64 / 2.0);
        out.extend(each(&|y, x| {
            let (dy, dx) = (y as f64 - my, x as f64 - mx);
            at(&mirrored, (my + cos * dy - sin * dx).round() as i64, (mx + sin * dy + cos * dx).round() as i64)
        }));
    }
    out
}

#[test]
fn augmentation_is_one_shift_and_mirror_for_all_frames() {
    let set = set(40, 4, (5, 6), Drawn { broken: None, percent: 50 });
    let prep = Preparation { crop_pad: 2, flip: true, ..plain() };
    let indices: Vec<u32> = (0..40).collect();
    let batch = assembled(&set, &indices, &prep, Some((11, 3)));
    let mut seen = HashSet::new();
    for i in 0..40 {
        let (whole, got) = (stored(&set, i), sample_of(&batch, 4, 40, i));
        let all = (0..5).flat_map(|t| (0..5).flat_map(move |l| [false, true].map(move |m| (t, l, m))));
        let found = all.into_iter().find(|&(t, l, m)| moved(&whole, (5, 6), (t, l, 2), m, 0.0) == got);
        seen.insert(found.unwrap_or_else(|| panic!("sample {i} is no shift of its frames")));
    }
    assert!(seen.len() > 20, "only {} different draws", seen.len());
}

#[test]
fn rotation_is_one_angle_for_all_frames_and_within_the_limit() {
    let set = set(30, 3, (16, 16), Drawn { broken: None, percent: 50 });
    let prep = Preparation { rotate: 15.0, ..plain() };
    let indices: Vec<u32> = (0..30).collect();
    let batch = assembled(&set, &indices, &prep, Some((7, 1)));
    let mut angles = Vec::new();
    for i in 0..30 {
        let (whole, got) = (stored(&set, i), sample_of(&batch, 3, 30, i));
        // Steps of a hundredth of a degree move a corner by 0.002 pixels.
        let found = (-1_600..=1_600).map(|a| a as f64 / 100.0).find(|&a| moved(&whole, (16, 16), (0, 0, 0), false, a) == got);
        angles.push(found.unwrap_or_else(|| panic!("sample {i} is no rotation of its frames")));
    }
    assert!(angles.iter().all(|a| a.abs() <= 15.1), "{angles:?}");
    assert!(angles.iter().any(|a| *a > 7.0) && angles.iter().any(|a| *a < -7.0), "{angles:?}");
    // A quarter turn is exact, so its direction and centre can be seen.
    let quarter = Draw { top: 0, left: 0, mirror: false, degrees: 90.0 }.sources((3, 3), 0);
    assert_eq!(quarter, [6, 3, 0, 7, 4, 1, 8, 5, 2], "clockwise");
}

#[test]
fn moves_apply_in_the_order_crop_mirror_rotation() {
    let set = set(1, 1, (9, 9), Drawn { broken: None, percent: 60 });
    let draw = Draw { top: 3, left: 0, mirror: true, degrees: 90.0 };
    let prep = Preparation { crop_pad: 2, ..plain() };
    let mut got = vec![0; 162];
    let counts: Vec<u16> = stored(&set, 0).iter().map(|&v| v as u16).collect();
    Reading::new(draw, set.sensor, &prep).planes(&counts, got.chunks_exact_mut(81));
    assert_eq!(Values::Counts(got).reals(Chw::new(2, 9, 9)), moved(&stored(&set, 0), (9, 9), (3, 0, 2), true, 90.0));
}

#[test]
fn nearest_keeps_even_pixels_and_sum_keeps_every_event() {
    for (h, w) in [(8u16, 6u16), (7, 9)] {
        let set = set(2, 3, (h, w), Drawn { broken: None, percent: 60 });
        let (h, w) = (h as usize, w as usize);
        let nearest = assembled(&set, &[1], &Preparation { resize: Resize::Nearest, ..plain() }, None);
        let sum = assembled(&set, &[1], &Preparation { resize: Resize::Sum, ..plain() }, None);
        let whole = stored(&set, 1);
        assert_eq!((nearest.len(), sum.len()), (3 * 2 * (h / 2) * (w / 2), nearest.len()));
        for (i, (n, s)) in nearest.iter().zip(&sum).enumerate() {
            let (plane, y, x) = (i / (h / 2 * (w / 2)), i / (w / 2) % (h / 2), i % (w / 2));
            let at = |dy: usize, dx: usize| whole[(plane * h + 2 * y + dy) * w + 2 * x + dx];
            assert_eq!((*n, *s), (at(0, 0), at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)));
        }
        if h % 2 == 0 && w % 2 == 0 {
            assert_eq!(sum.iter().sum::<f32>(), whole.iter().sum::<f32>());
        }
    }
    let sensor = Sensor { width: 128, height: 128 };
    for resize in Resize::ALL {
        let name = resize.name();
        assert_eq!((resize.name(), resize.sensor(resize.shape(sensor))), (name, sensor));
    }
}

#[test]
fn augmentation_acts_before_the_resize() {
    let set = set(20, 2, (12, 12), Drawn { broken: None, percent: 50 });
    let prep = Preparation { crop_pad: 3, flip: true, rotate: 10.0, ..plain() };
    let indices: Vec<u32> = (0..20).collect();
    let full = assembled(&set, &indices, &prep, Some((1, 1)));
    let half = assembled(&set, &indices, &Preparation { resize: Resize::Nearest, ..prep }, Some((1, 1)));
    let even = |plane: &[f32]| -> Vec<f32> { (0..36).map(|i| plane[i / 6 * 24 + i % 6 * 2]).collect() };
    assert_eq!(half, full.chunks_exact(144).flat_map(even).collect::<Vec<f32>>());
}

#[test]
fn one_draw_per_seed_epoch_and_index_whatever_the_batch() {
    let set = set(20, 3, (8, 8), Drawn { broken: None, percent: 30 });
    let prep = Preparation { crop_pad: 2, flip: true, rotate: 20.0, event_drop: 0.3, event_noise: 0.1, ..plain() };
    let all: Vec<u32> = (0..20).collect();
    let whole = assembled(&set, &all, &prep, Some((1, 2)));
    let part = assembled(&set, &[13, 7], &prep, Some((1, 2)));
    assert_eq!(sample_of(&part, 3, 2, 0), sample_of(&whole, 3, 20, 13));
    assert_eq!(sample_of(&part, 3, 2, 1), sample_of(&whole, 3, 20, 7));
    assert_ne!(whole, assembled(&set, &all, &prep, Some((1, 3))));
    assert_ne!(whole, assembled(&set, &all, &prep, Some((2, 2))));
    for threads in [1, 2, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| assembled(&set, &all, &prep, Some((1, 2)))), whole, "{threads} threads");
    }
    // Judged on is what was recorded.
    assert_eq!(assembled(&set, &all, &prep, None), assembled(&set, &all, &plain(), None));
}

#[test]
fn dropped_events_and_noise_come_as_often_as_they_should() {
    let set = set(1, 8, (64, 64), Drawn { broken: None, percent: 50 });
    let whole = stored(&set, 0);
    let events: f32 = whole.iter().sum();
    for p in [0.1, 0.5, 0.9] {
        let kept = assembled(&set, &[0], &Preparation { event_drop: p, ..plain() }, Some((3, 0)));
        assert!(kept.iter().zip(&whole).all(|(k, w)| k <= w));
        let share = kept.iter().sum::<f32>() / events;
        assert!((share as f64 - (1.0 - p)).abs() < 0.01, "{p}: {share}");
        // Of a count of 4, so many are left as of a binomial distribution.
        let of_four: Vec<f32> = kept.iter().zip(&whole).filter(|(_, w)| **w == 4.0).map(|(k, _)| *k).collect();
        let none = of_four.iter().filter(|k| **k == 0.0).count() as f64 / of_four.len() as f64;
        assert!((none - p.powi(4)).abs() < 0.02, "{p}: {none}");
    }
    for rate in [0.001, 0.1, 2.0] {
        let noisy = assembled(&set, &[0], &Preparation { event_noise: rate, ..plain() }, Some((3, 0)));
        let added: Vec<f64> = noisy.iter().zip(&whole).map(|(n, w)| (n - w) as f64).collect();
        let n = added.len() as f64;
        let mean = added.iter().sum::<f64>() / n;
        let variance = added.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / n;
        let spread = 5.0 * (rate / n).sqrt();
        assert!((mean - rate).abs() < spread, "{rate}: mean {mean}");
        assert!((variance - rate).abs() < 3.0 * spread + 0.05 * rate, "{rate}: variance {variance}");
    }
    let mut full = vec![u16::MAX; 10];
    disturb(&mut full, &Preparation { event_noise: 3.0, ..plain() }, 1, 1, 1);
    assert_eq!(full, [u16::MAX; 10]);
}

#[test]
fn the_first_sample_that_cannot_be_read_is_named() {
    let set = set(40, 2, (8, 8), Drawn { broken: Some(20), percent: 10 });
    // Sample i stands at 39 - i.
    let e = assemble_frames(&set, &set.train, &[30, 39, 11, 3], &plain(), None).unwrap_err();
    assert_eq!((e.place.as_str(), e.exit_code()), ("cache: sample 28", 2));
}
