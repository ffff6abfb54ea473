//! A user's own picture or recording as a network's input, and what the network decides on it.

use std::path::Path;

use super::Trained;
use crate::data::batch::prepare_frames;
use crate::data::pictures::{self, Picture};
use crate::data::recordings::turn;
use crate::data::{Samples, assemble};
use crate::engine::{Batch, Input};
use crate::error::{Error, Result};
use crate::events::{self, npz, order};
use crate::frames::{self, Quality};
use crate::loss;
use crate::plural::{counted, either};

/// What a network reads of a file.
pub struct Sample {
    /// As the samples it was trained on.
    pub input: Input,
    /// T.
    pub steps: usize,
    /// What the user should know.
    pub notes: Vec<String>,
    /// What the file was.
    pub source: Source,
}

/// What a file was before it became an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A picture.
    Picture {
        /// Its own (height, width), if it had to be resized.
        resized_from: Option<(usize, usize)>,
    },
    /// Events.
    Recording {
        /// All of them.
        events: u64,
        /// Those that were left out.
        bad: u64,
    },
}

/// What a network says to a sample.
pub struct Decision {
    /// Firing rates, one per class.
    pub rates: Vec<f64>,
    /// What it takes the sample for, or why it cannot tell.
    pub answer: std::result::Result<Answer, NoEvidence>,
}

/// What a network takes a sample for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class with the highest firing rate.
    pub class: usize,
    /// Its share of all votes.
    pub confidence: f64,
}

/// Why there is no answer: the first class would be named for no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEvidence {
    /// There is no event on the network's sensor.
    Input,
    /// No output neuron fired.
    Output,
}

impl std::fmt::Display for NoEvidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NoEvidence::Input => "no evidence: no events",
            NoEvidence::Output => "no evidence: no output neuron fired",
        })
    }
}

impl Trained {
    /// Reads a file as what the network was trained on; if `sort`, or if it was trained so, events are put in the order of their times.
    ///
    /// # Errors
    /// Usage: it was trained on what no file holds, or on pictures, which have no order. Format or Storage: the file cannot be read, or its events are too bad.
    pub fn sample(&self, file: &Path, sort: bool) -> Result<Sample> {
        match self.config.dataset.is_events() {
            true => self.recording(file, sort || self.config.sort),
            false if sort => {
                Err(Error::usage("this network was trained on pictures, which have no time").option("sort").remedy("leave it out"))
            }
            false => self.picture(file),
        }
    }

    fn picture(&self, file: &Path) -> Result<Sample> {
        let shape = self.plan().shape;
        let Picture { pixels, resized_from, turned, transparent } = pictures::load_picture(file, shape)?;
        let samples = Samples { pixels, labels: vec![0] };
        let notes = [
            turned.then(|| "turned as its EXIF orientation says".to_string()),
            transparent.then(|| "has transparent pixels, which count with the colour stored under them".to_string()),
            resized_from.map(|(h, w)| format!("resized from {h}x{w} to {}x{}", shape.h, shape.w)),
        ];
        Ok(Sample {
            input: Input::Direct(assemble(&samples, shape, &[0], &self.preparation(), None)),
            steps: if self.method().ann { 1 } else { self.config.time_steps.last() },
            notes: notes.into_iter().flatten().collect(),
            source: Source::Picture { resized_from },
        })
    }

    /// Cut into frames as the training recordings were.
    fn recording(&self, file: &Path, sort: bool) -> Result<Sample> {
        let (name, config, prep) = (file.display(), &self.config, self.preparation());
        let set = config.dataset;
        let Some(layout) = set.recordings() else {
            return Err(Error::usage(format!("{set} are made as frames, visit by visit; there are no recordings of them")).at(name));
        };
        let bytes = events::bytes_of(file)?;
        if npz::holds_frames(&bytes) {
            return self.frames(&bytes, file);
        }
        let mut recording = events::read(&bytes, &file.display().to_string())?;
        if sort {
            recording.notes.extend(order::sort(&mut recording.events));
        }
        if layout.turned {
            recording.events.iter_mut().for_each(turn);
        }
        let sensor = prep.resize.sensor(self.plan().shape);
        let mut notes = recording.notes;
        if let Some(own) = recording.sensor.filter(|own| *own != sensor) {
            notes.push(format!("of a {}x{} sensor, the network's is {}x{}", own.width, own.height, sensor.width, sensor.height));
        }
        let (counts, quality) = frames::counts(&recording.events, sensor, config.time_steps.last(), config.split_by);
        let quality = Quality { invalid: recording.invalid, ..quality };
        quality.check(config.strict).map_err(|e| e.at(name))?;
        if quality.bad() > 0 {
            notes.push(format!(
                "{} of {} {} bad",
                quality.bad(),
                counted(quality.events + quality.invalid, "event"),
                either(quality.bad(), "is", "are")
            ));
        }
        Ok(Sample {
            input: Input::Frames(prepare_frames(&counts, sensor, &prep)),
            steps: config.time_steps.last(),
            notes,
            source: Source::Recording { events: quality.events, bad: quality.bad() },
        })
    }

    /// Frames that were cut before, as SpikingJelly stores them.
    fn frames(&self, bytes: &[u8], file: &Path) -> Result<Sample> {
        let (prep, steps) = (self.preparation(), self.config.time_steps.last());
        let (sensor, frames) = (prep.resize.sensor(self.plan().shape), npz::read_frames(bytes, &file.display().to_string())?);
        if frames.sensor() != sensor {
            let what =
                format!("expected frames of {}x{} (width x height), found {}x{}", sensor.width, sensor.height, frames.width, frames.height);
            return Err(Error::usage(what).at(file.display()).remedy("give frames of the size that the network was trained on"));
        }
        let (events, all) = (frames.events(), frames.steps);
        let counts = frames.at(steps).map_err(|e| e.at(file.display()))?;
        let added = (all > steps).then(|| format!("{all} frames added up to {steps}"));
        Ok(Sample {
            input: Input::Frames(prepare_frames(&counts, sensor, &prep)),
            steps,
            notes: added.into_iter().collect(),
            source: Source::Recording { events, bad: 0 },
        })
    }

    /// What the network says to one sample over `steps` time steps.
    ///
    /// # Errors
    /// Diverged: a layer's currents are not finite.
    pub fn decide(&self, input: Input, steps: usize) -> Result<Decision> {
        // Frames of events alone can be empty; a black picture is a picture.
        let nothing = matches!(&input, Input::Frames(frames) if frames.is_zero());
        let rates = self.infer(&Batch::whole(self.plan().shape, 1, steps, input))?.rates;
        let class = loss::predict(&rates);
        let all: f64 = rates.iter().map(|r| r.max(0.0)).sum();
        let answer = match all > 0.0 {
            _ if nothing => Err(NoEvidence::Input),
            true => Ok(Answer { class, confidence: rates[class].max(0.0) / all }),
            false => Err(NoEvidence::Output),
        };
        Ok(Decision { rates, answer })
    }
}
