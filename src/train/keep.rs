//! What keeps the results of a run: a run folder, the caller's memory, or nothing.

use super::live::{Live, LiveFile, now};
use super::record::{EpochLine, RunResult};
use super::trainer::Trainer;
use crate::checkpoint::CheckpointKind;
use crate::config::BestOn;
use crate::credit::CreditLine;
use crate::engine::Engine;
use crate::error::Result;
use crate::run_folder::RunFolder;
use crate::tensorboard::EventWriter;

/// What the loop gives its results to, in the order in which they come. Unless said otherwise nothing is kept, and what would have to
/// be computed to be kept is not computed.
pub trait Keep {
    /// What is left when all epochs are done.
    type Left;

    /// The state after a step, to resume from.
    ///
    /// # Errors
    /// Storage: it cannot be written; so have all.
    fn checkpoint<E: Engine>(&mut self, _trainer: &Trainer<E>) -> Result<()> {
        Ok(())
    }
    /// The numbers of an epoch, evaluation included; where it is the best so far, its weights.
    fn epoch<E: Engine>(&mut self, _trainer: &Trainer<E>, _line: &EpochLine) -> Result<()> {
        Ok(())
    }
    /// A look at credit assignment; `None` where there is nothing to see.
    fn credit(&mut self, _look: impl FnOnce() -> Option<CreditLine>) -> Result<()> {
        Ok(())
    }
    /// Where the run is after a step, for others to watch.
    fn live(&mut self, _now: impl FnOnce() -> Live) {}
    /// All epochs are done.
    fn finish<E: Engine>(&mut self, trainer: &Trainer<E>) -> Result<Self::Left>;
}

/// Keeps nothing: the network in the trainer is all that is wanted.
impl Keep for () {
    type Left = ();

    fn finish<E: Engine>(&mut self, _: &Trainer<E>) -> Result<()> {
        Ok(())
    }
}

/// Keeps the numbers of each epoch.
impl Keep for Vec<EpochLine> {
    type Left = ();

    fn epoch<E: Engine>(&mut self, _: &Trainer<E>, line: &EpochLine) -> Result<()> {
        self.push(line.clone());
        Ok(())
    }

    fn finish<E: Engine>(&mut self, _: &Trainer<E>) -> Result<()> {
        Ok(())
    }
}

/// Keeps everything in a run folder: checkpoints, metrics, the result, and what a session writes for others to look at.
pub struct InFolder<'a> {
    folder: &'a RunFolder,
    events: Events,
    live: LiveFile,
}

impl<'a> InFolder<'a> {
    /// A session that begins after `epochs_done` epochs.
    ///
    /// # Errors
    /// Storage: the TensorBoard file cannot be made.
    pub fn new(folder: &'a RunFolder, epochs_done: usize) -> Result<Self> {
        Ok(InFolder { folder, events: Events::create(folder, epochs_done)?, live: LiveFile::new(folder.path()) })
    }
}

impl Keep for InFolder<'_> {
    type Left = Box<RunResult>;

    fn checkpoint<E: Engine>(&mut self, trainer: &Trainer<E>) -> Result<()> {
        self.folder.save_checkpoint(&trainer.header(CheckpointKind::Training)?, trainer.values(CheckpointKind::Training)).map(|_| ())
    }

    fn epoch<E: Engine>(&mut self, trainer: &Trainer<E>, line: &EpochLine) -> Result<()> {
        self.folder.append_metrics(line)?;
        self.events.epoch(line)?;
        if trainer.progress.best.as_ref().is_some_and(|b| b.epoch == line.epoch) {
            let selected = trainer.config.best_on != BestOn::Last;
            self.folder.save_weights(
                selected,
                &trainer.header(CheckpointKind::WeightsOnly)?,
                trainer.values(CheckpointKind::WeightsOnly),
            )?;
        }
        Ok(())
    }

    fn credit(&mut self, look: impl FnOnce() -> Option<CreditLine>) -> Result<()> {
        let Some(line) = look() else { return Ok(()) };
        self.folder.append_credit(&line)?;
        self.events.credit(&line)
    }

    fn live(&mut self, now: impl FnOnce() -> Live) {
        if self.live.is_due() {
            self.live.write(&now());
        }
    }

    fn finish<E: Engine>(&mut self, trainer: &Trainer<E>) -> Result<Box<RunResult>> {
        // A power cut can undo the removal of checkpoints, and a run that goes on from its end saves no further one.
        self.folder.prune(trainer.progress.step)?;
        let result = RunResult::of(trainer)?;
        self.folder.write_result(&result)?;
        Ok(Box::new(result))
    }
}

/// The TensorBoard file of this session.
struct Events(EventWriter);

impl Events {
    fn create(folder: &RunFolder, epochs_done: usize) -> Result<Events> {
        let mut writer = EventWriter::create(&folder.events(now() as u64), now())?;
        if epochs_done > 0 {
            writer.session_start(epochs_done as u64 + 1, now())?;
        }
        Ok(Events(writer))
    }

    fn epoch(&mut self, line: &EpochLine) -> Result<()> {
        let step = line.epoch;
        let mut scalar = |tag: &str, value: f64| self.0.scalar(tag, step, value as f32, now());
        scalar("train_loss", line.loss)?;
        scalar("train_acc", line.train_accuracy)?;
        scalar("learning_rate", line.learning_rate)?;
        for (tag, value) in [
            ("test_loss", line.test_loss),
            ("test_acc", line.test_accuracy),
            ("validation_loss", line.validation_loss),
            ("validation_acc", line.validation_accuracy),
        ] {
            value.map_or(Ok(()), |v| scalar(tag, v))?;
        }
        for (i, rate) in line.firing_rates.iter().enumerate() {
            scalar(&format!("rates/layer_{}", i + 1), *rate)?;
        }
        self.0.flush()
    }

    fn credit(&mut self, line: &CreditLine) -> Result<()> {
        for (i, layer) in line.layers.iter().enumerate() {
            // The weights are those after so many epochs; a resume ([`EventWriter::session_start`]) does not void them either.
            self.0.scalar(&format!("credit/across_layer_{}", i + 1), line.epoch - 1, layer.across_share() as f32, now())?;
        }
        self.0.flush()
    }
}
