//! A training run of milliseconds that has all that a long one has: a validation split, dropout, augmentation, noise events, a warm-up,
//! and a credit line and a checkpoint at every step.
#![allow(dead_code)] // each test file that includes this uses a part of it

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use spiketrain::checkpoint::{self, Tensor};
use spiketrain::config::{Config, Options};
use spiketrain::data::frame_set::{FrameSet, FrameSplit};
use spiketrain::data::{Resize, sets};
use spiketrain::engine::cpu::Cpu;
use spiketrain::error::Result;
use spiketrain::events::Sensor;
use spiketrain::frames::FrameSource;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::run_folder::RunFolder;
use spiketrain::schedule::{Schedule, WarmUp};
use spiketrain::storage::{self, Disk, Storage};
use spiketrain::train::{self, EpochLine, Observer, Outcome, Session, Stop, trainer::Tally};

/// Factor of the number of cases: `SPIKETRAIN_SOAK`, 1 unless it is set.
pub fn soak() -> u64 {
    std::env::var("SPIKETRAIN_SOAK").map_or(1, |s| s.parse().expect("SPIKETRAIN_SOAK is a whole number"))
}

/// A random stream of a test; another one in each round of a soak (`SPIKETRAIN_SOAK_ROUND`).
pub fn random(seed: u64, case: u64) -> Rng {
    let round = std::env::var("SPIKETRAIN_SOAK_ROUND").map_or(0, |s| s.parse().expect("SPIKETRAIN_SOAK_ROUND is a whole number"));
    Rng::at(seed, Purpose::Test, round, case)
}

/// A folder in memory where there is one: thousands of cases sync dozens of times each.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Frames in which a class is a half that is lively.
struct Halves;

const SIDE: u16 = 6;
const STEPS: usize = 2;
const SAMPLES: u32 = 24;

impl FrameSource for Halves {
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()> {
        let (mut rng, side) = (Rng::at(9, Purpose::Test, 0, index as u64), SIDE as usize);
        for (i, count) in counts.iter_mut().enumerate() {
            let lively = usize::from(2 * (i % side) >= side) == index % 2;
            *count = if rng.below(10) < if lively { 6 } else { 1 } { 1 + rng.below(3) as u16 } else { 0 };
        }
        Ok(())
    }
}

/// The run: 14 of 18 samples are trained on in 4 steps per epoch.
pub struct Tiny {
    pub config: Config,
    pub data: FrameSet,
}

impl Tiny {
    pub fn new(epochs: usize) -> Tiny {
        let split = |at: std::ops::Range<u32>| FrameSplit { labels: at.clone().map(|i| (i % 2) as u16).collect(), at: at.collect() };
        let data = FrameSet {
            name: sets::EVENTS,
            sensor: Sensor { width: SIDE, height: SIDE },
            steps: STEPS,
            classes: ["left", "right"].map(String::from).to_vec(),
            train: split(0..18),
            validation: FrameSplit::default(),
            test: split(18..SAMPLES),
            source: Arc::new(Halves),
            simulated: true,
            notes: Vec::new(),
            fingerprint: "halves".into(),
        };
        let options = Options {
            dataset: Some(sets::EVENTS),
            events_dir: Some("halves".into()),
            net: Some("3C3-MP2-DP-4FC-2Voting".into()),
            time_steps: Some(STEPS.into()),
            resize: Some(Resize::Sum),
            batch: Some(4),
            epochs: Some(epochs),
            warm_up: Some(WarmUp::Tssl(1)),
            schedule: Some(Schedule::RampCosine),
            val_split: Some(0.2),
            augment: Some(true),
            event_drop: Some(0.1),
            event_noise: Some(0.05),
            credit_every: Some(1),
            checkpoint_every: Some(1),
            ..Options::default()
        };
        Tiny { config: options.complete().unwrap(), data }
    }

    /// One session in the folder `path`: starts there or goes on, as the command does, and stops after `watch.stop_after` further steps.
    pub fn session(&self, storage: impl Storage + 'static, path: &Path, watch: &mut Watch) -> Result<Outcome> {
        let engine = Cpu::new();
        let session = Session::new(self.config.clone(), &self.data, None)?;
        let (mut trainer, folder) = if path.join("config.toml").exists() {
            let folder = RunFolder::open(Box::new(storage), path)?;
            (session.resume(&engine, &folder, watch)?, folder)
        } else {
            let folder = RunFolder::create(Box::new(storage), path)?;
            folder.write_config(&session.config.to_toml()?)?;
            (session.begin(&engine)?, folder)
        };
        train::run_in(&folder, &mut trainer, &watch.stop.clone(), watch)
    }

    /// Goes on to the end on a healthy disk.
    pub fn finish(&self, path: &Path) -> (End, Watch) {
        let mut watch = Watch::default();
        match self.session(Disk, path, &mut watch) {
            Ok(Outcome::Finished(_)) => (End::of(path), watch),
            other => panic!("{other:?}"),
        }
    }
}

/// Counts steps, keeps what is said, and asks to stop.
pub struct Watch {
    pub stop: Stop,
    pub stop_after: u64,
    pub steps: u64,
    pub notes: Vec<String>,
}

impl Default for Watch {
    fn default() -> Self {
        Watch { stop: Stop::default(), stop_after: u64::MAX, steps: 0, notes: Vec::new() }
    }
}

impl Watch {
    pub fn warnings(&self) -> Vec<&String> {
        // What a tiny network does not learn is no matter of disks.
        self.notes.iter().filter(|n| n.contains("warning") && n.contains("checkpoint")).collect()
    }
}

impl Observer for Watch {
    fn step(&mut self, _: usize, _: usize, _: usize, _: &Tally, _: &[f64]) {
        self.steps += 1;
        if self.steps == self.stop_after {
            self.stop.0.store(15, Ordering::Relaxed);
        }
    }
    fn epoch(&mut self, _: &EpochLine, _: usize) {}
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_string());
    }
}

/// What a finished run left, but for times and memory: must not depend on what happened on the way.
#[derive(Debug, PartialEq)]
pub struct End {
    pub metrics: Vec<Value>,
    pub result: Value,
    /// Tensors of every checkpoint, by file name.
    pub tensors: BTreeMap<String, Vec<Tensor>>,
    /// Names in the folder but for the lock and TensorBoard's, of which there is one per session.
    pub names: Vec<String>,
}

impl End {
    /// Fails and says what differs.
    pub fn must_be(&self, want: &End, what: &str) {
        assert_eq!(self.names, want.names, "{what}");
        let lines = |end: &End| end.metrics.iter().map(|l| format!("{} {} {}", l["kind"], l["epoch"], l["step"])).collect::<Vec<_>>();
        assert_eq!(lines(self), lines(want), "{what}");
        for (line, other) in self.metrics.iter().zip(&want.metrics) {
            assert_eq!(line, other, "{what}");
        }
        assert_eq!(self.result, want.result, "{what}");
        assert!(self.tensors == want.tensors, "{what}: other weights");
    }

    pub fn of(path: &Path) -> End {
        let mut names = Disk.list(path).unwrap();
        names.retain(|n| n != storage::LOCK && !n.starts_with("events.out."));
        let checkpoints = names.iter().filter(|n| n.ends_with(".ckpt"));
        let tensors = checkpoints.map(|n| (n.clone(), checkpoint::load(&Disk, &path.join(n)).unwrap().tensors)).collect();
        let lines = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
        let metrics = lines("metrics.jsonl") + &lines("credit.jsonl");
        let result = std::fs::read_to_string(path.join("result.json")).unwrap();
        End { metrics: metrics.lines().map(timeless).collect(), result: timeless(&result), tensors, names }
    }
}

fn timeless(text: &str) -> Value {
    let mut v: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    for key in ["seconds", "samples_per_s", "train_seconds", "peak_rss_mb"] {
        v.as_object_mut().unwrap().remove(key);
    }
    v
}
