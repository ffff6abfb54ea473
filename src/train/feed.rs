//! Batches, made one ahead of their use.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use crate::config::Config;
use crate::data::{Dataset, Preparation, Split};
use crate::engine::{Batch, Input};
use crate::error::{Error, Result};

/// Samples of a data set as the network of a configuration reads them.
#[derive(Clone)]
pub struct Feed<'a> {
    data: &'a dyn Dataset,
    prep: Preparation,
    time_steps: usize,
    /// Of augmentation.
    seed: u64,
}

/// A batch and its labels, `[B]`.
pub struct Labelled {
    /// The samples.
    pub batch: Batch,
    /// Their classes.
    pub labels: Vec<u16>,
}

impl<'a> Feed<'a> {
    /// Samples of `data` prepared as `config` says.
    ///
    /// # Errors
    /// Usage: the set's frames were cut into another number of steps.
    pub fn new(config: &Config, data: &'a dyn Dataset) -> Result<Feed<'a>> {
        if let Some(steps) = data.steps().filter(|t| *t != config.time_steps) {
            return Err(Error::usage(format!("the recordings of {} are cut into {steps} frames", data.name()))
                .option_as("T", config.time_steps)
                .remedy(format!("choose -T {steps}, or load them with another T")));
        }
        let prep = preparation(config, data);
        Ok(Feed { data, prep, time_steps: config.time_steps, seed: config.seed })
    }

    /// Training samples for `epoch`, augmented; in the `ann` warm-up (`ann`) a static image needs one step only.
    ///
    /// # Errors
    /// Storage or Format: a sample cannot be read.
    pub fn training(&self, epoch: usize, indices: &[u32], ann: bool) -> Result<Labelled> {
        self.batch(Split::Train, indices, ann, Some((self.seed, epoch as u64)))
    }

    /// Samples as they are, to be judged on.
    ///
    /// # Errors
    /// Storage or Format: a sample cannot be read.
    pub fn plain(&self, split: Split, indices: &[u32], ann: bool) -> Result<Labelled> {
        self.batch(split, indices, ann, None)
    }

    fn batch(&self, split: Split, indices: &[u32], ann: bool, augment: Option<(u64, u64)>) -> Result<Labelled> {
        let values = self.data.assemble(split, indices, &self.prep, augment)?;
        let (steps, input) = match self.data.steps() {
            Some(_) => (self.time_steps, Input::Frames(values)),
            None => (if ann { 1 } else { self.time_steps }, Input::Direct(values)),
        };
        let labels = indices.iter().map(|&i| self.data.labels(split)[i as usize]).collect();
        Ok(Labelled { batch: Batch::whole(self.data.shape(&self.prep), indices.len(), steps, input), labels })
    }
}

/// How `config` prepares samples of `data`.
pub fn preparation(config: &Config, data: &dyn Dataset) -> Preparation {
    // The channels do not depend on how samples are prepared.
    let channels = data.shape(&Preparation::scale_only(0)).c;
    config.preparation(channels)
}

/// Makes one batch after the other in the background: the next while the last is used, and no more than that. What is made does
/// not depend on when. Ends when `chunks` do, or when the receiver is dropped.
///
/// # Errors
/// Memory: the system starts no further thread.
pub fn ahead<'scope, 'env, T: Send + 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    chunks: impl Iterator<Item = &'scope [u32]> + Send + 'scope,
    mut make: impl FnMut(&[u32]) -> Result<T> + Send + 'scope,
) -> Result<Receiver<Result<T>>> {
    // A channel without room: its sender holds the one batch that is ahead.
    let (sender, receiver) = sync_channel(0);
    let work = move || {
        for chunk in chunks {
            if sender.send(make(chunk)).is_err() {
                break;
            }
        }
    };
    Builder::new().spawn_scoped(scope, work).map_err(|e| Error::no_thread(&e))?;
    Ok(receiver)
}

/// The next batch.
///
/// # Errors
/// As it was made. Bug: there is no further one.
pub fn next<T>(batches: &Receiver<Result<T>>) -> Result<T> {
    batches.recv().map_err(|_| Error::bug("fewer batches than steps"))?
}

#[cfg(test)]
mod tests;
