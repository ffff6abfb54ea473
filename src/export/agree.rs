//! Whether a file still computes what the network does: both are run on the same samples and compared spike by spike. They begin with the
//! raw sample, pixels or counts, and each prepares it in its own way, so that a file that says a wrong preparation does not agree.

use serde::{Deserialize, Serialize};

use super::npz;
use crate::engine::{Batch, Input, Values};
use crate::error::{Error, Result};
use crate::loss::predict;
use crate::rng::{Purpose, Rng};
use crate::shape::Chw;
use crate::train::feed::Labelled;
use crate::trained::Trained;

/// Numbers on the host at one time, while two networks are compared.
const AT_A_TIME: usize = 8 << 20;

/// Agreement of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerAgreement {
    /// As in the notation.
    pub layer: String,
    /// Neurons · samples · steps.
    pub compared: u64,
    /// Of these, spikes that only one of the two has.
    pub different: u64,
    /// Firing rate of the network.
    pub rate: f64,
    /// Firing rate of the exported one.
    pub rate_exported: f64,
}

/// How far an exported file agrees with the network it was made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// What both were run on.
    pub inputs: String,
    /// How many samples.
    pub samples: usize,
    /// T.
    pub steps: usize,
    /// In network order.
    pub layers: Vec<LayerAgreement>,
    /// Samples that both put into the same class.
    pub same_class: usize,
    /// Largest difference of a class's firing rate.
    pub largest_rate_difference: f64,
    /// Share rightly classified by the network; `None` without labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Share rightly classified by the exported one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_exported: Option<f64>,
}

impl Agreement {
    /// Whether every spike agrees.
    pub fn exact(&self) -> bool {
        self.layers.iter().all(|l| l.different == 0) && self.same_class == self.samples && self.largest_rate_difference == 0.0
    }
}

/// What a network said to a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// Per block `[T,B,C,H,W]`, 0 or 1.
    pub spikes: Vec<Vec<f32>>,
    /// `[B, classes]`
    pub rates: Vec<f64>,
}

/// Anything that can be run on a batch.
pub type Run<'a> = &'a mut dyn FnMut(&Batch) -> Result<Answers>;

/// Runs a network and keeps all spikes.
///
/// # Errors
/// Diverged: a layer's currents are not finite.
pub fn answers(net: &Trained, batch: &Batch) -> Result<Answers> {
    let mut spikes = Vec::new();
    let out = net.infer_seen(batch, &mut |_, seen| {
        spikes.push(seen.spikes()?);
        Ok(())
    })?;
    Ok(Answers { spikes, rates: out.rates })
}

/// Samples that may be compared at one time.
pub fn batch_size(plan: &crate::plan::Plan, steps: usize) -> usize {
    let per_sample = steps * plan.blocks.iter().map(|b| b.output.len()).sum::<usize>();
    (AT_A_TIME / per_sample.max(1)).clamp(1, 64)
}

/// The same samples as the network and as the exported one read them.
pub struct Pair {
    /// As the network does, with labels.
    pub original: Labelled,
    /// As the file says.
    pub exported: Batch,
}

/// Runs both on all batches; labels count where `labelled`.
///
/// # Errors
/// Of a batch, or of a run. Bug: the two do not read samples of the same kind.
pub fn compare(
    names: &[String],
    (original, exported): (Run, Run),
    batches: impl Iterator<Item = Result<Pair>>,
    labelled: bool,
    inputs: &str,
) -> Result<Agreement> {
    let layer = |n: &String| LayerAgreement { layer: n.clone(), compared: 0, different: 0, rate: 0.0, rate_exported: 0.0 };
    let mut all = Agreement { inputs: inputs.to_string(), layers: names.iter().map(layer).collect(), ..Agreement::default() };
    let mut right = [0usize; 2];
    for batch in batches {
        let Pair { original: Labelled { batch, labels }, exported: prepared } = batch?;
        let of = |b: &Batch| format!("{} samples of {} at {} steps", b.samples, b.shape, b.steps);
        if of(&batch) != of(&prepared) {
            return Err(Error::bug(format!("the network reads {}, the exported one {}", of(&batch), of(&prepared))));
        }
        let (a, b) = (original(&batch)?, exported(&prepared)?);
        for (l, (x, y)) in all.layers.iter_mut().zip(a.spikes.iter().zip(&b.spikes)) {
            l.compared += x.len() as u64;
            l.different += x.iter().zip(y).filter(|(x, y)| x != y).count() as u64;
            // Sums for now.
            l.rate += x.iter().map(|&v| f64::from(v)).sum::<f64>();
            l.rate_exported += y.iter().map(|&v| f64::from(v)).sum::<f64>();
        }
        let classes = a.rates.len() / batch.samples;
        for ((x, y), label) in a.rates.chunks(classes).zip(b.rates.chunks(classes)).zip(&labels) {
            let said = [predict(x), predict(y)];
            all.same_class += usize::from(said[0] == said[1]);
            right.iter_mut().zip(said).for_each(|(n, class)| *n += usize::from(class == *label as usize));
            let off = x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
            all.largest_rate_difference = all.largest_rate_difference.max(off);
        }
        all.samples += batch.samples;
        all.steps = batch.steps;
    }
    for l in &mut all.layers {
        l.rate /= l.compared.max(1) as f64;
        l.rate_exported /= l.compared.max(1) as f64;
    }
    if labelled {
        let share = |n: usize| Some(n as f64 / all.samples.max(1) as f64);
        (all.accuracy, all.accuracy_exported) = (share(right[0]), share(right[1]));
    }
    Ok(all)
}

/// What stands in for a data set that is not there: grey noise for pictures, sparse counts for events.
pub fn random_inputs(shape: Chw, steps: usize, samples: usize, direct: bool, seed: u64) -> Batch {
    let mut rng = Rng::at(seed, Purpose::Test, 0, 0);
    let len = samples * shape.len();
    let input = if direct {
        Input::Direct((0..len).map(|_| rng.unit()).collect())
    } else {
        Input::Frames(Values::Counts((0..steps * len).map(|_| if rng.below(5) == 0 { 1 + rng.below(2) as u16 } else { 0 }).collect()))
    };
    Batch::whole(shape, samples, steps, input)
}

/// The same of pictures as they are stored: what two preparations can be applied to.
pub fn random_pixels(shape: Chw, samples: usize, seed: u64) -> Vec<u8> {
    let mut rng = Rng::at(seed, Purpose::Test, 0, 0);
    (0..samples * shape.len()).map(|_| rng.below(256) as u8).collect()
}

/// The arrays of a golden trace: `pixels` `[B,C,H,W]` as pictures are stored, `input` `[T,B,C,H,W]` as the network reads it (of events the
/// counts themselves), `spikes.<layer>` `[T,B,C,H,W]`, `rates` `[B, classes]`, of the exported network.
///
/// # Errors
/// Bug: never.
pub fn trace(plan: &crate::plan::Plan, batch: &Batch, said: &Answers) -> Result<npz::Writer> {
    let mut out = npz::Writer::new();
    let sides = |s: Chw| [batch.steps, batch.samples, s.c, s.h, s.w];
    if let Input::Direct(Values::Pixels(pixels, _)) = &batch.input {
        out.bytes("pixels", &sides(batch.shape)[1..], pixels)?;
    }
    out.reals("input", &sides(batch.shape), &batch.frames())?;
    for (block, spikes) in plan.blocks.iter().zip(&said.spikes) {
        let bytes: Vec<u8> = spikes.iter().map(|&v| v as u8).collect();
        out.bytes(&format!("spikes.{}", block.index), &sides(block.output), &bytes)?;
    }
    let rates: Vec<f32> = said.rates.iter().map(|&r| r as f32).collect();
    out.reals("rates", &[batch.samples, rates.len() / batch.samples], &rates)?;
    Ok(out)
}
