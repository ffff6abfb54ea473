//! Train deep spiking neural networks by backpropagation through time with biologically plausible spatio-temporal
//! adjustment (Shen, Zhao, Zeng, Patterns 3(6), 2022), on spikes only: forward, weight gradient and input gradient cost in
//! proportion to the spikes, exactly.
//!
//! What a user needs stands here, at the root: a data set and [`Options`] make a [`Session`], which an engine turns into a [`Trainer`];
//! what was trained or imported is a [`Trained`]. The README has an example. The modules are how it is made: they are documented, the
//! command, the Python package and the tests use them, and they may change with any version.
//!
//! # A tour, in the order the data takes
//!
//! - [`events`]: recordings of event cameras, bytes to events and back; [`frames`]: events to counts per time slice.
//! - [`simulate`]: an event camera made of arithmetic, what moves before it, and data sets it records.
//! - [`data`]: sets of pictures and of recordings, where they come from, prepared frames in one file, and batches of them.
//! - [`notation`] and [`plan`]: `128C3-MP2-…-10Voting` as text, and laid out for an input shape.
//! - [`neuron`]: the paper's equations, forward beside backward, written once.
//! - [`engine`]: what a device must be able to do; [`engine::reference`] does it literally in f64, [`engine::cpu`] event by event.
//! - [`memory`]: what a training step will take, and which layers are recomputed to take less.
//! - [`tensors`]: the tensors of a network by name, shape and place.
//! - [`network`]: the layers over that contract, walked forward and back. [`loss`], [`schedule`], [`curriculum`]: what is minimised, how
//!   fast, and at which T.
//! - [`probe`]: the membrane potentials of a pass, for pictures and statistics.
//! - [`credit`]: how much gradient each layer gets, and on which way it came.
//! - [`config`]: everything a run is, as one value. [`engines`]: from the name of an engine in it to the engine.
//! - [`storage`], [`checkpoint`], [`run_folder`], [`tensorboard`]: what stays on the disk, and why it can be trusted.
//! - [`train`]: the loop. [`watch`]: a run as another process sees it.
//! - [`trained`]: a network that was trained or imported, to be evaluated, asked, saved.
//! - [`study`]: the same training over rules, T, α and seeds; what the networks cost, and how soon they know.
//! - [`reproduce`]: the paper's tables and figures by such studies, beside its numbers.
//! - [`mod@bench`]: what a training step costs, and where the time goes.
//! - [`doctor`]: golden vectors and fixtures that judge every engine.
//! - [`report`]: run folders, and what a network shows of itself, on one page.
//! - [`export`]: networks that leave as NIR, safetensors, npz or C, and networks that come.
//! - [`cli`]: arguments → configuration → a call.
//!
//! A module uses only what stands before it in this list ([`error`], [`limits`], [`rng`], [`shape`], [`values`] and [`storage`] serve
//! all); `tests/tour.rs` holds it to that.

/// The README's code runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

pub use config::{Config, Options};
pub use curriculum::TimeSteps;
pub use data::{Dataset, DatasetName, LoadOptions, Split, sets};
pub use engine::cpu::Cpu;
pub use engine::reference::Reference;
pub use engine::{Batch, Engine, Input, Values};
pub use error::{Error, Kind as ErrorKind, Result};
pub use loss::Loss;
pub use network::{Method, Network};
pub use neuron::{Lif, Rule};
pub use notation::Notation;
pub use plan::Plan;
pub use run_folder::RunFolder;
pub use shape::Chw;
pub use train::{Session, Stop, Trainer};
pub use trained::Trained;

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod credit;
pub mod curriculum;
pub mod data;
pub mod doctor;
pub mod engine;
pub mod engines;
pub mod error;
pub mod events;
pub mod export;
pub mod frames;
pub mod limits;
pub mod loss;
pub mod memory;
mod named;
pub mod network;
pub mod neuron;
pub mod notation;
pub mod plan;
mod plural;
pub mod probe;
pub mod report;
pub mod reproduce;
pub mod rng;
pub mod run_folder;
pub mod schedule;
pub mod shape;
pub mod simulate;
pub mod storage;
pub mod study;
pub mod tensorboard;
pub mod tensors;
pub mod train;
pub mod trained;
pub mod values;
pub mod watch;
