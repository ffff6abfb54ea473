//! From bytes and counts to batches: scaling, normalisation, augmentation, and what is held out for validation.

use std::sync::Arc;

use rayon::prelude::*;

use super::augment::{Draw, Reading, Resize, disturb};
use super::frame_set::{FrameSet, FrameSplit};
use super::sets::Treatment;
use super::{DatasetName, Samples};
use crate::error::{Error, Result};
use crate::events::Sensor;
use crate::plural::counted;
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;
use crate::values::{Normalization, Values};

/// What happens to a sample on its way into the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Preparation {
    /// Pictures, per channel: subtracted after scaling to 0 to 1.
    pub mean: Vec<f32>,
    /// Pictures, per channel: divided by after that.
    pub std: Vec<f32>,
    /// Training only: crop the sample's own size out of an empty border of this many pixels; 0 = no crop.
    pub crop_pad: usize,
    /// Training only: mirror left-right half of the time.
    pub flip: bool,
    /// Training only: rotate about the centre by up to this many degrees either way, to the nearest pixel.
    pub rotate: f64,
    /// Frames of events: made smaller, after they were moved.
    pub resize: Resize,
    /// Frames of events, training only: every event is left out with this probability.
    pub event_drop: f64,
    /// Frames of events, training only: mean number of noise events in each count at the sensor's size.
    pub event_noise: f64,
}

impl Preparation {
    /// Scaling of pictures to 0 to 1, counts as they are, and nothing else.
    pub fn scale_only(channels: usize) -> Self {
        Preparation {
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
            crop_pad: 0,
            flip: false,
            rotate: 0.0,
            resize: Resize::None,
            event_drop: 0.0,
            event_noise: 0.0,
        }
    }

    /// The preparation that suits a set, augmentation included ([`Treatment`]).
    pub fn of(name: DatasetName, channels: usize) -> Self {
        let recipe = &name.preparation;
        let scaled = Self::scale_only(channels);
        let [mean, std] = recipe.normalized.map_or([scaled.mean, scaled.std], |of| of.map(Vec::from));
        let Treatment { crop_pad, flip, rotate, resize, .. } = *recipe;
        Preparation { mean, std, crop_pad, flip, rotate, resize, event_drop: 0.0, event_noise: 0.0 }
    }

    /// The same without crop, mirror and rotation.
    pub fn without_augmentation(self) -> Self {
        Preparation { crop_pad: 0, flip: false, rotate: 0.0, ..self }
    }

    /// The augmentation in words.
    pub fn augmentation(&self) -> String {
        let mut words = Vec::new();
        if self.crop_pad > 0 {
            words.push(format!("crop {}", self.crop_pad));
        }
        if self.flip {
            words.push("flip".to_string());
        }
        if self.rotate > 0.0 {
            words.push(format!("rotate {}", self.rotate));
        }
        if words.is_empty() { "no".to_string() } else { words.join(", ") }
    }

    /// How the sample is moved; not at all unless `augment` gives (seed, epoch).
    fn draw(&self, augment: Option<(u64, u64)>, index: u32) -> Draw {
        augment.map_or(Draw::still(self), |(seed, epoch)| Draw::at(self, seed, epoch, index))
    }
}

/// The pictures at `indices` as `[B,C,H,W]`, moved if `augment` gives (seed, epoch), with their normalisation, which engines apply.
///
/// The border of a crop is black *before* normalisation, as where the method comes from.
///
/// # Panics
/// If an index is beyond the samples, or `prep` is for another number of channels: defects of the caller.
pub fn assemble(samples: &Samples, shape: Chw, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Values {
    let size = shape.len();
    assert!(prep.mean.len() == shape.c && prep.std.len() == shape.c, "one mean and one std per channel");
    let mut batch = vec![0; indices.len() * size];
    batch.par_chunks_exact_mut(size.max(1)).zip(indices).for_each(|(out, &index)| {
        let picture = &samples.pixels[index as usize * size..][..size];
        let sources = prep.draw(augment, index).sources((shape.h, shape.w), prep.crop_pad);
        for (from, to) in picture.chunks_exact(shape.area()).zip(out.chunks_exact_mut(shape.area())) {
            to.iter_mut().zip(&sources).for_each(|(to, &source)| *to = from.get(source as usize).copied().unwrap_or(0));
        }
    });
    Values::Pixels(batch, Arc::new(Normalization { mean: prep.mean.clone(), std: prep.std.clone() }))
}

/// The frames at `indices` of a split as `[T,B,2,H,W]` counts, prepared; augmented and disturbed if `augment` gives (seed, epoch).
///
/// # Errors
/// Storage or Format: a sample cannot be read.
///
/// # Panics
/// If an index is beyond the split: a defect of the caller.
pub fn assemble_frames(
    set: &FrameSet,
    split: &FrameSplit,
    indices: &[u32],
    prep: &Preparation,
    augment: Option<(u64, u64)>,
) -> Result<Values> {
    let shape = prep.resize.shape(set.sensor);
    let mut batch = vec![0; set.steps * indices.len() * shape.len()];
    // Of every sample its T frames, which lie B apart.
    let mut frames: Vec<Vec<&mut [u16]>> = indices.iter().map(|_| Vec::with_capacity(set.steps)).collect();
    for (i, frame) in batch.chunks_exact_mut(shape.len().max(1)).enumerate() {
        frames[i % indices.len()].push(frame);
    }
    let fill = |counts: &mut Vec<u16>, (frames, &index): (Vec<&mut [u16]>, &u32)| {
        set.source.read(split.at[index as usize] as usize, counts)?;
        if let Some((seed, epoch)) = augment {
            disturb(counts, prep, seed, epoch, index);
        }
        let reading = Reading::new(prep.draw(augment, index), set.sensor, prep);
        reading.planes(counts, frames.into_iter().flat_map(|frame| frame.chunks_exact_mut(shape.area())));
        Ok(())
    };
    let room = || vec![0; set.steps * Resize::None.shape(set.sensor).len()];
    let read: Vec<Result<()>> = frames.into_par_iter().zip(indices).map_init(room, fill).collect();
    // The first in the batch, whichever failed first.
    read.into_iter().collect::<Result<()>>()?;
    Ok(Values::Counts(batch))
}

/// The counts `[T,2,H,W]` of one recording as a network reads them, `[T,2,H',W']`: resized, not moved.
pub fn prepare_frames(counts: &[u16], sensor: Sensor, prep: &Preparation) -> Values {
    let (from, to) = (Resize::None.shape(sensor), prep.resize.shape(sensor));
    let mut frames = vec![0; counts.len() / from.len() * to.len()];
    Reading::new(Draw::still(prep), sensor, prep).planes(counts, frames.chunks_exact_mut(to.area()));
    Values::Counts(frames)
}

/// Splits the training samples into (train, validation), both as ascending indices.
///
/// Stratified: of every class, round(fraction · its samples) are held out, drawn by (seed, class).
///
/// # Errors
/// Usage when `fraction` is not in [0, 1), or so near to 1 that nothing is left to learn from.
pub fn hold_out(labels: &[u16], fraction: f64, seed: u64) -> Result<(Vec<u32>, Vec<u32>)> {
    if !(0.0..1.0).contains(&fraction) {
        return Err(Error::usage(format!("{fraction} is no share of samples to hold out")).remedy("give a number from 0 to below 1"));
    }
    let classes = labels.iter().max().map_or(0, |&l| l as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        members[label as usize].push(i as u32);
    }
    let mut held = vec![false; labels.len()];
    for (class, members) in members.iter().enumerate() {
        let order = Rng::at(seed, Purpose::Validation, class as u64, 0).permutation(members.len());
        let count = (fraction * members.len() as f64).round() as usize;
        for &k in &order[..count] {
            held[members[k as usize] as usize] = true;
        }
    }
    if fraction > 0.0 && !held.contains(&true) && !labels.is_empty() {
        return Err(Error::usage(format!("holding out {fraction} of every class leaves no validation samples"))
            .remedy("give a larger share, or more training samples"));
    }
    let (validation, train): (Vec<u32>, Vec<u32>) = (0..labels.len() as u32).partition(|&i| held[i as usize]);
    if train.is_empty() && !labels.is_empty() {
        return Err(Error::usage(format!("holding out {fraction} of {} leaves none", counted(labels.len(), "sample")))
            .remedy("give a smaller share"));
    }
    Ok((train, validation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::sets;

    /// What a network reads of a batch.
    fn read(samples: &Samples, shape: Chw, indices: &[u32], prep: &Preparation, augment: Option<(u64, u64)>) -> Vec<f32> {
        assemble(samples, shape, indices, prep, augment).reals(shape)
    }

    fn ramp(n: usize, shape: Chw) -> Samples {
        Samples { pixels: (0..n * shape.len()).map(|i| (i * 7 % 256) as u8).collect(), labels: vec![0; n] }
    }

    #[test]
    fn scaling_and_normalisation_are_those_of_the_method() {
        let shape = Chw::new(3, 2, 1);
        let samples = Samples { pixels: vec![0, 255, 51, 102, 153, 204], labels: vec![0] };
        assert_eq!(read(&samples, shape, &[0], &Preparation::scale_only(3), None), [0.0, 1.0, 0.2, 0.4, 0.6, 0.8]);
        let prep = Preparation::of(sets::CIFAR10, 3);
        let expected = [-0.4914 / 0.2470, 0.5086 / 0.2470, -0.2822 / 0.2435, -0.0822 / 0.2435, 0.1535 / 0.2616, 0.3535 / 0.2616];
        for (got, want) in read(&samples, shape, &[0], &prep, None).iter().zip(expected) {
            assert!((got - want as f32).abs() < 1e-6, "{got} {want}");
        }
    }

    #[test]
    fn without_augmentation_indices_pick_whole_pictures() {
        let shape = Chw::new(2, 3, 5);
        let samples = ramp(6, shape);
        let prep = Preparation { crop_pad: 2, flip: true, ..Preparation::scale_only(2) };
        let batch = read(&samples, shape, &[5, 0, 5], &prep, None);
        let sample = |i: usize| samples.pixels[i * 30..][..30].iter().map(|&v| v as f32 / 255.0).collect::<Vec<_>>();
        assert_eq!(batch, [sample(5), sample(0), sample(5)].concat());
        assert!(read(&samples, shape, &[], &prep, None).is_empty());
    }

    #[test]
    fn augmentation_is_a_shift_with_black_border_and_a_mirror() {
        let (shape, pad) = (Chw::new(2, 3, 4), 2i64);
        let samples = ramp(40, shape);
        let prep = Preparation { crop_pad: 2, flip: true, mean: vec![0.5; 2], std: vec![0.25; 2], ..Preparation::scale_only(2) };
        let indices: Vec<u32> = (0..40).collect();
        let batch = read(&samples, shape, &indices, &prep, Some((11, 3)));
        let mut seen = std::collections::HashSet::new();
        for i in 0..40 {
            let moved = |top: i64, left: i64, mirror: bool| -> Vec<f32> {
                let mut out = Vec::new();
                for (c, y, x) in (0..2).flat_map(|c| (0..3i64).flat_map(move |y| (0..4i64).map(move |x| (c, y, x)))) {
                    let (sy, sx) = (y + top - pad, if mirror { 3 - x } else { x } + left - pad);
                    let inside = (0..3).contains(&sy) && (0..4).contains(&sx);
                    let byte = if inside { samples.pixels[i * 24 + c * 12 + (sy * 4 + sx) as usize] } else { 0 };
                    out.push((byte as f32 / 255.0 - 0.5) / 0.25);
                }
                out
            };
            let all = (0..5).flat_map(|t| (0..5).flat_map(move |l| [false, true].map(move |m| (t, l, m))));
            let found = all.into_iter().find(|&(t, l, m)| moved(t, l, m) == batch[i * 24..][..24]);
            seen.insert(found.unwrap_or_else(|| panic!("sample {i} is no shift of its picture")));
        }
        assert!(seen.len() > 20, "only {} different draws", seen.len());
    }

    #[test]
    fn one_draw_per_seed_epoch_and_index_whatever_the_batch() {
        let shape = Chw::new(1, 8, 8);
        let samples = ramp(50, shape);
        let prep = Preparation { crop_pad: 4, flip: true, ..Preparation::scale_only(1) };
        let all: Vec<u32> = (0..50).collect();
        let whole = read(&samples, shape, &all, &prep, Some((1, 2)));
        let part = read(&samples, shape, &[30, 7], &prep, Some((1, 2)));
        assert_eq!(part, [&whole[30 * 64..31 * 64], &whole[7 * 64..8 * 64]].concat());
        assert_ne!(whole, read(&samples, shape, &all, &prep, Some((1, 3))));
        assert_ne!(whole, read(&samples, shape, &all, &prep, Some((2, 2))));
        let off = prep.without_augmentation();
        assert_eq!(read(&samples, shape, &all, &off, Some((1, 2))), read(&samples, shape, &all, &off, None));
    }

    #[test]
    fn hold_out_is_stratified_seeded_and_complete() {
        let labels: Vec<u16> = (0..1_000).map(|i| if i < 900 { i % 3 } else { 3 }).collect();
        let (train, validation) = hold_out(&labels, 0.1, 5).unwrap();
        assert_eq!((train.len(), validation.len()), (900, 100));
        for class in 0..4 {
            let held = validation.iter().filter(|&&i| labels[i as usize] == class).count();
            assert_eq!(held, if class < 3 { 30 } else { 10 });
        }
        let mut both = [train.clone(), validation.clone()].concat();
        both.sort();
        assert!(both.iter().enumerate().all(|(i, &v)| i == v as usize));
        assert!(validation.is_sorted() && validation[..9] != [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(hold_out(&labels, 0.1, 5).unwrap().1, validation);
        assert_ne!(hold_out(&labels, 0.1, 6).unwrap().1, validation);
    }

    #[test]
    fn hold_out_refuses_what_is_no_share() {
        for bad in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(hold_out(&[0, 1], bad, 0).unwrap_err().exit_code(), 2);
        }
        assert!(hold_out(&[0, 1], 0.9, 0).is_err());
        assert!(hold_out(&[0, 0, 0, 0, 1], 0.1, 0).unwrap_err().to_string().contains("no validation samples"));
        assert_eq!(hold_out(&[], 0.5, 0).unwrap(), (vec![], vec![]));
        assert_eq!(hold_out(&[4, 4, 4], 0.0, 0).unwrap(), (vec![0, 1, 2], vec![]));
    }
}
