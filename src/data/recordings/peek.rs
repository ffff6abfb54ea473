//! The first recordings of a set that is not prepared, for a rehearsal of training: nothing is written.

use std::sync::Arc;

use super::build::{Cut, frames};
use super::plan::Plan;
use super::prepared::splits;
use crate::data::DatasetName;
use crate::data::cache::part::Block;
use crate::data::frame_set::FrameSet;
use crate::error::{Error, Result};
use crate::frames::{FrameSource, cells};
use crate::plural::{counted, counted_as};

/// Samples that are looked at: a small batch.
const SAMPLES: usize = 16;

/// Frames of a few samples, which stand for all.
struct Few(Vec<Vec<u16>>);

impl FrameSource for Few {
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()> {
        counts.copy_from_slice(&self.0[index % self.0.len()]);
        Ok(())
    }
    fn bytes(&self) -> usize {
        self.0.iter().map(|counts| size_of_val(&counts[..])).sum()
    }
}

/// What the first samples say of all.
struct First {
    blocks: Vec<Block>,
    /// Bytes that the frames of all samples will take, about.
    bytes: u64,
}

fn first(plan: &Plan, cut: Cut) -> Result<First> {
    let (mut blocks, mut failed, mut buffer) = (Vec::new(), None, Vec::new());
    plan.supply.each(0, &mut |number, bytes| match frames(plan, cut, number, &bytes, &mut buffer) {
        Ok(done) => {
            blocks.extend(done.blocks);
            blocks.len() < SAMPLES
        }
        Err(e) => {
            failed = Some(e);
            false
        }
    })?;
    if let Some(e) = failed {
        return Err(e);
    }
    if blocks.is_empty() {
        return Err(Error::usage("no recording holds a sample"));
    }
    let bytes = blocks.iter().map(Block::bytes).sum::<u64>() * plan.samples.len() as u64 / blocks.len() as u64;
    Ok(First { blocks, bytes })
}

/// What the prepared frames will take of the disk, in words.
///
/// # Errors
/// Format, Storage: the first recordings cannot be read.
pub(super) fn disk(plan: &Plan, cut: Cut) -> Result<String> {
    Ok(in_words(first(plan, cut)?.bytes, cut))
}

fn in_words(bytes: u64, cut: Cut) -> String {
    format!("the frames for T {} take about {:.1} MB of disk", cut.steps, bytes as f64 / 1e6)
}

/// The set with all its labels, and the frames of its first samples in the place of all.
pub(super) fn peek(name: DatasetName, plan: &Plan, cut: Cut, simulated: bool) -> Result<FrameSet> {
    let First { blocks, bytes } = first(plan, cut)?;
    let few: Vec<Vec<u16>> = blocks.iter().filter_map(|block| block.decoded(cells(plan.sensor, cut.steps))).collect();
    let [train, validation, test] = splits(plan.samples.iter().map(|sample| sample.place), plan.validation);
    let recordings = plan.recordings.len();
    let mut notes = plan.notes.clone();
    let disk = in_words(bytes, cut);
    notes.push(format!(
        "not prepared yet: the first {} of {} for all; {disk}",
        counted(few.len(), "sample"),
        counted_as(recordings, "recording stands", "recordings stand")
    ));
    Ok(FrameSet {
        name,
        sensor: plan.sensor,
        steps: cut.steps,
        classes: plan.classes.clone(),
        train,
        validation,
        test,
        source: Arc::new(Few(few)),
        simulated,
        notes,
        fingerprint: plan.split_hash(),
    })
}
