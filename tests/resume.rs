//! A run stopped after any step and resumed ends in the same bytes as one never stopped; so does any number of threads.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use spiketrain::checkpoint;
use spiketrain::config::{Config, Options};
use spiketrain::credit::{CreditLine, LayerCredit};
use spiketrain::data::frame_set::{FrameSet, FrameSplit};
use spiketrain::data::stages::Stages;
use spiketrain::data::{self, Dataset, ImageSet, LoadOptions, Resize, sets};
use spiketrain::engine::Engine;
use spiketrain::engine::cpu::Cpu;
use spiketrain::engine::reference::Reference;
use spiketrain::error::{Error, Result};
use spiketrain::events::Sensor;
use spiketrain::frames::FrameSource;
use spiketrain::neuron::Rule;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::run_folder::RunFolder;
use spiketrain::schedule::{Schedule, WarmUp};
use spiketrain::storage::Disk;
use spiketrain::train::{self, EpochLine, Observer, Outcome, RunResult, Session, Stop, trainer::Tally};

const EPOCHS: usize = 3;

fn options() -> Options {
    Options {
        net: Some("5C3-MP2-DP-7C3-AP2-9FC-DP-{n}Voting".into()),
        time_steps: Some(4.into()),
        batch: Some(16),
        epochs: Some(EPOCHS),
        warm_up: Some(WarmUp::Ann(1)),
        schedule: Some(Schedule::RampCosine),
        val_split: Some(0.2),
        augment: Some(true),
        train_limit: Some(90),
        test_limit: Some(20),
        ..Options::default()
    }
}

fn config() -> Config {
    options().complete().unwrap()
}

fn glyphs() -> ImageSet {
    let limits = LoadOptions { seed: 1, train_limit: Some(90), test_limit: Some(20), ..LoadOptions::default() };
    data::load(sets::GLYPHS, &limits).unwrap()
}

/// Frames in which a class is a corner that is lively.
struct Corners {
    /// Samples from here on cannot be read.
    broken: usize,
}

const STEPS: usize = 4;
const SIDE: u16 = 12;

impl FrameSource for Corners {
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()> {
        if index >= self.broken {
            return Err(Error::format("block damaged").at(format!("frames.cache: sample {index}")));
        }
        let (mut rng, side) = (Rng::at(9, Purpose::Test, 1, index as u64), SIDE as usize);
        for (i, count) in counts.iter_mut().enumerate() {
            let (y, x) = (i / side % side, i % side);
            let corner = usize::from(2 * y >= side) * 2 + usize::from(2 * x >= side);
            let of_hundred = if corner == index % 4 { 60 } else { 10 };
            *count = if rng.below(100) < of_hundred { 1 + rng.below(3) as u16 } else { 0 };
        }
        Ok(())
    }
}

fn corners(broken: usize) -> FrameSet {
    corners_in(STEPS, broken)
}

fn corners_in(steps: usize, broken: usize) -> FrameSet {
    let split = |at: std::ops::Range<u32>| FrameSplit { labels: at.clone().map(|i| (i % 4) as u16).collect(), at: at.collect() };
    FrameSet {
        name: sets::EVENTS,
        sensor: Sensor { width: SIDE, height: SIDE },
        steps,
        classes: ["a", "b", "c", "d"].map(String::from).to_vec(),
        train: split(0..60),
        validation: FrameSplit::default(),
        test: split(60..80),
        source: Arc::new(Corners { broken }),
        simulated: true,
        notes: Vec::new(),
        fingerprint: "corners".into(),
    }
}

/// Everything that is random about frames at once.
fn frames_config() -> Config {
    let options = Options {
        dataset: Some(sets::EVENTS),
        events_dir: Some("corners".into()),
        net: Some("5C3-MP2-DP-7C3-9FC-{n}Voting".into()),
        resize: Some(Resize::Sum),
        event_drop: Some(0.1),
        event_noise: Some(0.05),
        relu: Some(false),
        train_limit: None,
        test_limit: None,
        ..options()
    };
    options.complete().unwrap()
}

/// Asks to stop after optimiser step `at`.
struct StopAt {
    stop: Stop,
    at: u64,
    step: u64,
}

impl Observer for StopAt {
    fn step(&mut self, _: usize, _: usize, _: usize, _: &Tally, _: &[f64]) {
        self.step += 1;
        if self.step == self.at {
            self.stop.0.store(15, Ordering::Relaxed);
        }
    }
    fn epoch(&mut self, _: &EpochLine, _: usize) {}
    fn note(&mut self, _: &str) {}
}

/// One session in `folder`: starts or goes on, stops after `at` further steps.
fn session<E: Engine>(engine: &E, config: &Config, data: &dyn Dataset, path: &Path, at: u64) -> Outcome {
    let session = Session::new(config.clone(), data, None).unwrap();
    let mut watch = StopAt { stop: Stop::default(), at, step: 0 };
    let (mut trainer, folder) = if path.exists() {
        let folder = RunFolder::open(Box::new(Disk), path).unwrap();
        (session.resume(engine, &folder, &mut watch).unwrap(), folder)
    } else {
        let folder = RunFolder::create(Box::new(Disk), path).unwrap();
        folder.write_config(&session.config.to_toml().unwrap()).unwrap();
        (session.begin(engine).unwrap(), folder)
    };
    train::run_in(&folder, &mut trainer, &watch.stop.clone(), &mut watch).unwrap()
}

/// The credit lines among all.
fn credit(lines: &[serde_json::Value]) -> Vec<&serde_json::Value> {
    lines.iter().filter(|l| l["kind"] == "credit").collect()
}

fn finished(outcome: Outcome) -> RunResult {
    match outcome {
        Outcome::Finished(r) => *r,
        Outcome::Stopped(signal) => panic!("stopped by {signal}"),
    }
}

/// What must not depend on when a run was stopped: all but times and memory.
fn timeless(path: &Path) -> (Vec<serde_json::Value>, serde_json::Value, Vec<u8>) {
    let without = |text: &str| {
        let mut v: serde_json::Value = serde_json::from_str(text).unwrap();
        for key in ["seconds", "samples_per_s", "train_seconds", "peak_rss_mb"] {
            v.as_object_mut().unwrap().remove(key);
        }
        v
    };
    let lines = |name: &str| std::fs::read_to_string(path.join(name)).unwrap_or_default();
    let metrics = lines("metrics.jsonl") + &lines("credit.jsonl");
    let result = std::fs::read_to_string(path.join("result.json")).unwrap();
    let best = spiketrain::checkpoint::load(&Disk, &path.join("best.ckpt")).unwrap();
    let bytes = best.tensors.iter().flat_map(|t| t.values.iter().flat_map(|v| v.to_le_bytes())).collect();
    (metrics.lines().map(without).collect(), without(&result), bytes)
}

#[test]
fn resume_after_any_step_ends_in_the_same_bytes() {
    let (config, data, parent) = (config(), glyphs(), tempfile::tempdir().unwrap());
    let undisturbed = parent.path().join("undisturbed");
    let r = finished(session(&Cpu::new(), &config, &data, &undisturbed, u64::MAX));
    let want = timeless(&undisturbed);
    assert_eq!(credit(&want.0).len(), EPOCHS - 1, "one look per epoch but that of the ann warm-up");
    assert_eq!(want.0.len(), EPOCHS + EPOCHS - 1);
    // 72 samples of 90 are trained on; of the batches of 16 the last has 8.
    let steps = EPOCHS as u64 * 5;
    for at in 1..=steps {
        let path = parent.path().join(format!("stopped-{at}"));
        assert!(matches!(session(&Cpu::new(), &config, &data, &path, at), Outcome::Stopped(15)), "after step {at}");
        let again = finished(session(&Cpu::new(), &config, &data, &path, u64::MAX));
        assert_eq!(again.weights_sha256, r.weights_sha256, "stopped after step {at}");
        assert_eq!(timeless(&path), want, "stopped after step {at}");
    }
    let path = parent.path().join("stopped-always");
    let mut sessions = 1;
    while let Outcome::Stopped(_) = session(&Cpu::new(), &config, &data, &path, 1) {
        sessions += 1;
    }
    assert_eq!(timeless(&path), want, "stopped after every step");
    println!("{} resumed runs, one of them of {sessions} sessions", steps + 1);
}

/// Opened anew for every session.
#[cfg(feature = "gpu")]
#[test]
fn a_run_on_a_card_resumes_to_the_same_bytes() {
    use spiketrain::engine::gpu::{Profile, open};
    let (data, config, parent) = (glyphs(), config(), tempfile::tempdir().unwrap());
    let Ok(card) = open(None, Profile::Full) else { return println!("SKIPPED: this machine has no graphics card") };
    let undisturbed = parent.path().join("undisturbed");
    finished(session(&card, &config, &data, &undisturbed, u64::MAX));
    let path = parent.path().join("stopped");
    assert!(matches!(session(&card, &config, &data, &path, 7), Outcome::Stopped(_)));
    finished(session(&open(None, Profile::Full).unwrap(), &config, &data, &path, u64::MAX));
    assert_eq!(timeless(&path), timeless(&undisturbed));
}

#[test]
fn frames_resume_after_any_step_and_on_any_threads_to_the_same_bytes() {
    let (config, data, parent) = (frames_config(), corners(usize::MAX), tempfile::tempdir().unwrap());
    let whole = parent.path().join("whole");
    let r = finished(session(&Cpu::new(), &config, &data, &whole, u64::MAX));
    assert!(r.dataset_simulated, "{r:?}");
    let want = timeless(&whole);
    // 48 samples of 60 are trained on.
    let steps = EPOCHS as u64 * 3;
    for at in 1..=steps {
        let path = parent.path().join(format!("stopped-{at}"));
        assert!(matches!(session(&Cpu::new(), &config, &data, &path, at), Outcome::Stopped(15)), "after step {at}");
        finished(session(&Cpu::new(), &config, &data, &path, u64::MAX));
        assert_eq!(timeless(&path), want, "stopped after step {at}");
    }
    for threads in [1, 2, 3, 8] {
        let path = parent.path().join(format!("threads-{threads}"));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| finished(session(&Cpu::new(), &config, &data, &path, u64::MAX)));
        assert_eq!(timeless(&path), want, "{threads} threads");
    }
    println!("{steps} resumed runs, 4 numbers of threads");
}

#[test]
fn looking_at_credit_changes_no_weight_and_resume_repeats_every_look() {
    let (data, parent) = (glyphs(), tempfile::tempdir().unwrap());
    // The smooth surrogate of the warm-up reads gradients at silent steps too, and running statistics go into the hash.
    let base = Config { warm_up: WarmUp::Tssl(1), ..config() };
    let mut hashes = Vec::new();
    for (name, every, looks) in [("never", Some(0), 0), ("default", None, 3), ("often", Some(1), 15), ("some", Some(4), 4)] {
        let config = Config { credit_every: every, ..base.clone() };
        let whole = parent.path().join(name);
        let r = finished(session(&Cpu::new(), &config, &data, &whole, u64::MAX));
        let want = timeless(&whole);
        assert_eq!(credit(&want.0).len(), looks, "{name}");
        for at in [1, 4, 5, 6, 9, 14] {
            let path = parent.path().join(format!("{name}-{at}"));
            session(&Cpu::new(), &config, &data, &path, at);
            finished(session(&Cpu::new(), &config, &data, &path, u64::MAX));
            assert_eq!(timeless(&path), want, "{name}, stopped after step {at}");
        }
        hashes.push((r.weights_sha256, r.firing_rates));
    }
    assert!(hashes.iter().all(|h| *h == hashes[0]), "{hashes:?}");
    let lines = timeless(&parent.path().join("some")).0;
    let steps: Vec<u64> = credit(&lines).iter().map(|l| l["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 5, 9, 13]);
    let seen = &credit(&lines)[3]["layers"];
    assert!(seen[0]["name"] == "5C3" && seen[3]["mass"].as_array().unwrap().len() == 4, "{seen}");
    assert!(seen.as_array().unwrap().iter().all(|l| l["mass"][0].as_f64().unwrap() > 0.0), "{seen}");
}

#[test]
fn engines_see_the_same_credit() {
    let (data, config) = (glyphs(), Config { warm_up: WarmUp::Tssl(1), ..config() });
    fn look<E: Engine>(engine: &E, config: &Config, data: &ImageSet) -> CreditLine {
        let mut trainer = Session::new(config.clone(), data, None).unwrap().begin(engine).unwrap();
        let order = trainer.order(0);
        let labelled = trainer.feed.training(0, &order[16..32], false).unwrap();
        let before = trainer.weights_sha256().unwrap();
        trainer.net.recompute = trainer.net.plan.blocks.iter().map(|b| b.has_norm()).collect();
        let line = trainer.credit(0, &labelled).unwrap();
        trainer.net.recompute.fill(false);
        assert_eq!(trainer.credit(0, &labelled).unwrap(), line, "currents recomputed");
        assert_eq!(trainer.weights_sha256().unwrap(), before);
        trainer.credit_samples = 0;
        assert!(trainer.credit(0, &labelled).is_none(), "nothing to look at");
        line
    }
    for rule in Rule::ALL {
        let config = Config { rule, ..config.clone() };
        let (fast, slow) = (look(&Cpu::new(), &config, &data), look(&Reference, &config, &data));
        assert_eq!((fast.step, fast.samples, fast.layers.len()), (1, 8, 4));
        for (a, b) in fast.layers.iter().zip(&slow.layers) {
            assert!((a.rate - b.rate).abs() < 1e-3, "{}: {} {}", a.name, a.rate, b.rate);
            let sum = |l: &LayerCredit| l.mass.iter().sum::<f64>();
            assert!((sum(a) - sum(b)).abs() < 0.01 * sum(b), "{} under {}: {} {}", a.name, rule.name(), sum(a), sum(b));
        }
    }
}

#[test]
fn batches_made_ahead_or_one_by_one_train_the_same_network() {
    let (config, data, parent) = (frames_config(), corners(usize::MAX), tempfile::tempdir().unwrap());
    let ahead = finished(session(&Cpu::new(), &config, &data, &parent.path().join("ahead"), u64::MAX));
    let engine = Cpu::new();
    let mut trainer = Session::new(config.clone(), &data, None).unwrap().begin(&engine).unwrap();
    for epoch in 0..EPOCHS {
        let order = trainer.order(epoch);
        for (i, indices) in order.chunks(config.batch).take(trainer.steps_per_epoch()).enumerate() {
            trainer.step(epoch, indices, trainer.learning_rate(epoch, i)).unwrap();
        }
    }
    assert_eq!(trainer.weights_sha256().unwrap(), ahead.weights_sha256);
}

#[test]
fn a_run_that_keeps_nothing_trains_the_same_network_and_needs_no_test_set() {
    let (config, data, parent, engine) = (frames_config(), corners(usize::MAX), tempfile::tempdir().unwrap(), Cpu::new());
    let kept = finished(session(&engine, &config, &data, &parent.path().join("kept"), u64::MAX));
    let mut watch = StopAt { stop: Stop::default(), at: u64::MAX, step: 0 };
    let begin = || Session::new(config.clone(), &data, None).unwrap().begin(&engine).unwrap();
    let mut trainer = begin();
    assert!(matches!(train::run(&mut trainer, &mut (), &Stop::default(), &mut watch), Ok(Outcome::Finished(()))));
    assert_eq!(trainer.weights_sha256().unwrap(), kept.weights_sha256);
    // Stopped between steps, and gone on with.
    let (mut trainer, mut lines) = (begin(), Vec::<EpochLine>::new());
    let mut watch = StopAt { stop: Stop::default(), at: 2, step: 0 };
    let stopped = train::run(&mut trainer, &mut lines, &watch.stop.clone(), &mut watch).unwrap();
    assert!(matches!(stopped, Outcome::Stopped(15)) && trainer.progress.step == 2 && lines.is_empty());
    train::run(&mut trainer, &mut lines, &Stop::default(), &mut watch).unwrap();
    assert_eq!(trainer.weights_sha256().unwrap(), kept.weights_sha256);
    assert!(lines.len() == EPOCHS && lines[EPOCHS - 1].test_accuracy == Some(kept.last_test_accuracy), "{lines:?}");

    let none = FrameSplit { labels: Vec::new(), at: Vec::new() };
    let (data, mut lines) = (FrameSet { test: none, ..corners(usize::MAX) }, Vec::<EpochLine>::new());
    let e = Session::new(config.clone(), &data, None).err().unwrap();
    assert!(e.to_string().contains("the test set is empty"), "{e}");
    let mut trainer = Session::without_test(config.clone(), &data, None).unwrap().begin(&engine).unwrap();
    train::run(&mut trainer, &mut lines, &Stop::default(), &mut watch).unwrap();
    assert_eq!(trainer.weights_sha256().unwrap(), kept.weights_sha256);
    assert!(lines.len() == EPOCHS && lines.iter().all(|l| l.test_accuracy.is_none() && l.firing_rates.len() == 4), "{lines:?}");
}

#[test]
fn a_run_begins_with_the_weights_it_is_given_and_so_it_does_when_it_begins_anew() {
    let (data, parent, engine) = (glyphs(), tempfile::tempdir().unwrap(), Cpu::new());
    let before = finished(session(&engine, &config(), &data, &parent.path().join("before"), u64::MAX));
    let steps = checkpoint::steps(&Disk, &parent.path().join("before")).unwrap();
    let newest = parent.path().join("before").join(checkpoint::file_name(*steps.iter().max().unwrap()));
    let config = Config { init: Some(newest), ..config() };
    let session = |config: &Config| Session::new(config.clone(), &data, None).unwrap();
    let fresh = session(&Config { init: None, ..config.clone() }).begin(&engine).unwrap();
    assert_ne!(fresh.weights_sha256().unwrap(), before.weights_sha256);
    let trainer = session(&config).begin(&engine).unwrap();
    assert_eq!(trainer.weights_sha256().unwrap(), before.weights_sha256);
    // Stopped before its first checkpoint.
    let folder = RunFolder::create(Box::new(Disk), &parent.path().join("anew")).unwrap();
    let mut watch = StopAt { stop: Stop::default(), at: u64::MAX, step: 0 };
    let anew = session(&config).resume(&engine, &folder, &mut watch).unwrap();
    assert_eq!(anew.weights_sha256().unwrap(), before.weights_sha256);
    let other = Config { net: "4C3-MP2-DP-7C3-AP2-9FC-DP-{n}Voting".into(), ..config };
    let e = session(&other).begin(&engine).err().unwrap();
    assert!(e.exit_code() == 2 && e.to_string().contains("train the same network"), "{e}");
}

/// The run's folder after every stop, for pictures and for frames that are cut anew for every T.
#[test]
fn a_curriculum_over_t_resumes_to_the_bit_and_its_last_t_is_the_networks() {
    let curriculum = || Some("2:1,3:1,4:2".parse().unwrap());
    let pictures = Options { time_steps: curriculum(), epochs: None, warm_up: Some(WarmUp::Tssl(1)), ..options() }.complete().unwrap();
    let frames = Config { time_steps: curriculum().unwrap(), epochs: 4, ..frames_config() };
    let staged = Stages::new([2, 3, STEPS].map(|steps| corners_in(steps, usize::MAX)).to_vec());
    let (glyphs, parent) = (glyphs(), tempfile::tempdir().unwrap());
    for (name, config, data) in [("pictures", pictures, &glyphs as &dyn Dataset), ("frames", frames, &staged)] {
        let path = |what: String| parent.path().join(format!("{name}-{what}"));
        let whole = finished(session(&Cpu::new(), &config, data, &path("whole".into()), u64::MAX));
        assert_eq!((whole.time_steps, whole.curriculum.as_deref(), whole.epochs), (4, Some("2:1,3:1,4:2"), 4));
        assert!(whole.selected_epoch >= 3, "an epoch at another T was chosen: {}", whole.selected_epoch);
        let (metrics, _, _) = timeless(&path("whole".into()));
        let steps: Vec<u64> = metrics.iter().filter_map(|line| line["T"].as_u64()).collect();
        assert_eq!(steps, [2, 3, 4, 4]);
        let last = metrics.iter().rfind(|line| line["T"].is_u64()).unwrap()["step"].as_u64().unwrap();
        for at in 1..last {
            let path = path(format!("stopped-{at}"));
            assert!(matches!(session(&Cpu::new(), &config, data, &path, at), Outcome::Stopped(_)));
            finished(session(&Cpu::new(), &config, data, &path, u64::MAX));
            assert_eq!(timeless(&path), timeless(&parent.path().join(format!("{name}-whole"))), "{name} stopped after step {at}");
        }
    }
    let e = Session::new(Config { time_steps: "5:1,4:2".parse().unwrap(), ..frames_config() }, &staged, None).err().unwrap();
    assert!(e.to_string().contains("cut into 4 frames"), "{e}");
}

#[test]
fn a_sample_that_cannot_be_read_stops_the_step_and_is_named() {
    let (config, data, parent) = (frames_config(), corners(59), tempfile::tempdir().unwrap());
    let engine = Cpu::new();
    let mut trainer = Session::new(config.clone(), &data, None).unwrap().begin(&engine).unwrap();
    // Held out or trained on, sample 59 is met in the first epoch or the evaluation after it.
    let folder = RunFolder::create(Box::new(Disk), &parent.path().join("run")).unwrap();
    let mut watch = StopAt { stop: Stop::default(), at: u64::MAX, step: 0 };
    let e = train::run_in(&folder, &mut trainer, &Stop::default(), &mut watch).unwrap_err();
    assert_eq!(e.exit_code(), 2);
    assert!(e.place.contains("epoch 1") && e.place.contains("frames.cache: sample "), "{e}");
    let other = Session::new(Config { time_steps: 5.into(), ..config }, &data, None).err().unwrap();
    assert!(other.to_string().contains("cut into 4 frames"), "{other}");
}

#[test]
fn the_reference_engine_resumes_to_the_bit_too() {
    let (config, data, parent) = (config(), glyphs(), tempfile::tempdir().unwrap());
    let whole = finished(session(&Reference, &config, &data, &parent.path().join("whole"), u64::MAX));
    for at in [3, 7, 12] {
        let path = parent.path().join(format!("stopped-{at}"));
        session(&Reference, &config, &data, &path, at);
        assert_eq!(finished(session(&Reference, &config, &data, &path, u64::MAX)).weights_sha256, whole.weights_sha256, "after step {at}");
    }
}

#[test]
fn threads_and_rules_end_in_the_same_bytes() {
    let (data, parent) = (glyphs(), tempfile::tempdir().unwrap());
    let mut runs = 0;
    for rule in Rule::ALL {
        let config = Config { rule, ..config() };
        let hashes: Vec<String> = [1, 2, 3, 8]
            .map(|threads| {
                let path = parent.path().join(format!("{}-{threads}", rule.name()));
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                runs += 1;
                pool.install(|| finished(session(&Cpu::new(), &config, &data, &path, u64::MAX))).weights_sha256
            })
            .to_vec();
        assert!(hashes.iter().all(|h| *h == hashes[0]), "{}: {hashes:?}", rule.name());
    }
    println!("{runs} runs");
}

#[test]
fn the_reference_engine_trains_the_same_network() {
    let (config, data, parent) = (config(), glyphs(), tempfile::tempdir().unwrap());
    let fast = finished(session(&Cpu::new(), &config, &data, &parent.path().join("cpu"), u64::MAX));
    let slow = finished(session(&Reference, &config, &data, &parent.path().join("reference"), u64::MAX));
    // Rounding moves single spikes, and AdamW's first steps are sign-like, so the runs part slowly; they must not part at once.
    let losses = |name: &str| -> Vec<f64> { timeless(&parent.path().join(name)).0.iter().filter_map(|l| l["loss"].as_f64()).collect() };
    let (a, b) = (losses("cpu"), losses("reference"));
    assert!((a[0] - b[0]).abs() < 1e-4 * b[0], "{a:?} {b:?}");
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 0.1 * b), "{a:?} {b:?}");
    assert_eq!((fast.epochs, fast.train_samples), (slow.epochs, slow.train_samples));
}

#[test]
fn the_best_epoch_is_never_one_of_the_ann_warm_up() {
    let (data, parent) = (glyphs(), tempfile::tempdir().unwrap());
    let config = Config { warm_up: WarmUp::Ann(2), ..config() };
    let r = finished(session(&Cpu::new(), &config, &data, &parent.path().join("run"), u64::MAX));
    assert_eq!(r.selected_epoch, 3, "epochs 1 and 2 trained another kind of network");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let (config, data, parent) = (config(), glyphs(), tempfile::tempdir().unwrap());
    let path = parent.path().join("run");
    session(&Cpu::new(), &config, &data, &path, 2);
    let newest = |path: &Path| RunFolder::open(Box::new(Disk), path).unwrap().load_newest().unwrap().unwrap().checkpoint;
    let refused = |config: Config, data: &ImageSet, words: &[&str]| {
        let e = Session::new(config, data, None).unwrap().restore(&Cpu::new(), newest(&path)).err().unwrap();
        assert!(e.exit_code() == 2 && words.iter().all(|w| e.to_string().contains(w)), "{e}");
    };
    refused(Config { rule: Rule::Stbp, time_steps: 5.into(), ..config.clone() }, &data, &["rule", "time-steps"]);
    refused(Config { net: "5C3-{n}Voting".into(), ..config.clone() }, &data, &["other options: net"]);
    let other = data::load(sets::GLYPHS, &LoadOptions { seed: 2, train_limit: Some(90), test_limit: Some(20), ..Default::default() });
    refused(config.clone(), &other.unwrap(), &["data set glyphs is not the one"]);
    let engine = Cpu::new();
    let moved = Session::new(Config { data_dir: Some("elsewhere".into()), ..config }, &data, None).unwrap();
    moved.restore(&engine, newest(&path)).unwrap();
}
