//! Batches, made one ahead of their use.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope};

use crate::config::Config;
use crate::data::{Dataset, Preparation, Split};
use crate::engine::{Batch, Input};
use crate::error::{Error, Result};
use crate::plural::counted;

/// Samples of a data set as the network of a configuration reads them.
#[derive(Clone)]
pub struct Feed<'a> {
    /// At every T that it has.
    whole: &'a dyn Dataset,
    /// At `time_steps`.
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
    /// Samples of `data` prepared as `config` says, at the network's T.
    ///
    /// # Errors
    /// Usage: the set's frames were cut into other numbers of steps than those of the configuration.
    pub fn new(config: &Config, data: &'a dyn Dataset) -> Result<Feed<'a>> {
        if config.time_steps.all().into_iter().any(|steps| data.in_steps(steps).is_none()) {
            let steps = data.steps().unwrap_or(config.time_steps.last());
            return Err(Error::usage(format!("the recordings of {} are cut into {}", data.name(), counted(steps, "frame")))
                .option_as("T", &config.time_steps)
                .remedy(format!("choose -T {steps}, or load them with another T")));
        }
        let feed = Feed { whole: data, data, prep: preparation(config, data), time_steps: config.time_steps.last(), seed: config.seed };
        Ok(feed.in_steps(config.time_steps.last()))
    }

    /// The same samples at another T of the configuration.
    pub fn in_steps(&self, steps: usize) -> Feed<'a> {
        let data = self.whole.in_steps(steps).unwrap_or(self.whole);
        Feed { data, time_steps: steps, ..self.clone() }
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
