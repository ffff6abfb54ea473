use super::tune::Tune;
use super::*;
use crate::data::{self, Dataset, LoadOptions};
use crate::train::trainer::Tally;
use crate::train::{EpochLine, Observer, Stop};

/// Counts steps, and asks to stop after some.
#[derive(Default)]
struct Watch {
    steps: usize,
    stop_after: Option<usize>,
    stop: Stop,
    notes: Vec<String>,
}

impl Observer for Watch {
    fn step(&mut self, _: usize, _: usize, _: usize, _: &Tally, _: &[f64]) {
        self.steps += 1;
        if self.stop_after == Some(self.steps) {
            self.stop.0.store(15, std::sync::atomic::Ordering::Relaxed);
        }
    }
    fn epoch(&mut self, _: &EpochLine, _: usize) {}
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_string());
    }
}

fn options() -> Options {
    Options {
        net: Some("6C3-MP2-10Voting".to_string()),
        time_steps: Some(3.into()),
        batch: Some(16),
        epochs: Some(2),
        train_limit: Some(80),
        test_limit: Some(30),
        ..Options::default()
    }
}

fn ablation(options: Options) -> Study {
    Study::new(Kind::Ablation, options, &[Rule::Stbp, Rule::BpsaBpta], &[], &[], &[]).unwrap()
}

/// Runs a study, asked to stop after so many steps; how many steps it took besides.
fn run(study: &Study, folder: &Path, seeds: u64, stop_after: Option<usize>) -> (Result<Option<Vec<Row>>>, usize, Vec<String>) {
    let stop = Stop::default();
    let mut watch = Watch { stop_after, stop: stop.clone(), ..Watch::default() };
    let mut load = |c: &Config| -> Result<Box<dyn Dataset>> {
        let options = LoadOptions { seed: c.seed, train_limit: c.train_limit, test_limit: c.test_limit, ..LoadOptions::default() };
        Ok(Box::new(data::load(c.dataset, &options)?))
    };
    let mut around = Surroundings { load: &mut load, watch: &mut watch, stop: &stop, memory: None, loaded: None };
    let rows = study.run(folder, seeds, &mut around);
    (rows, watch.steps, watch.notes)
}

fn weights(rows: &[Row]) -> Vec<String> {
    rows.iter().flat_map(|r| r.runs.iter().map(|f| f.result.weights_sha256.clone())).collect()
}

#[test]
fn a_stopped_study_goes_on_and_finished_runs_are_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let study = ablation(options());
    let (whole, steps, _) = run(&study, &dir.path().join("whole"), 2, None);
    let whole = whole.unwrap().unwrap();
    assert_eq!((whole.len(), whole[0].runs.len(), weights(&whole).len()), (2, 2, 4));
    for stop_after in [1, steps / 4, steps / 2 + 1] {
        let folder = dir.path().join(format!("stopped-{stop_after}"));
        let (first, done, _) = run(&study, &folder, 2, Some(stop_after));
        assert!(first.unwrap().is_none());
        let (second, rest, _) = run(&study, &folder, 2, None);
        assert_eq!(weights(&second.unwrap().unwrap()), weights(&whole), "stopped after {stop_after} steps");
        assert_eq!(done + rest, steps, "a step was done twice or not at all");
    }
    let (again, none, _) = run(&study, &dir.path().join("whole"), 2, None);
    assert_eq!((weights(&again.unwrap().unwrap()), none), (weights(&whole), 0));
    let (more, some, _) = run(&study, &dir.path().join("whole"), 3, None);
    assert_eq!((more.unwrap().unwrap()[0].runs.len(), some), (3, steps / 2));
    let kept = std::fs::read_dir(dir.path().join("whole/runs/stbp-s1")).unwrap().flatten();
    let names: Vec<String> = kept.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    assert!(names.iter().all(|n| !n.starts_with("checkpoint-")) && names.contains(&"best.ckpt".to_string()), "{names:?}");
    let found = table::read(&dir.path().join("whole")).unwrap().unwrap();
    assert_eq!((found.kind, found.rows.len()), (Kind::Ablation, 2));
}

#[test]
fn another_study_or_something_else_in_the_folder_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("study");
    assert!(run(&ablation(options()), &folder, 1, Some(1)).0.unwrap().is_none());
    let before = std::fs::read(folder.join("study.toml")).unwrap();
    let other = ablation(Options { lr: Some(0.5), ..options() });
    let e = run(&other, &folder, 1, None).0.unwrap_err();
    assert!(e.what.contains("another study: --lr"), "{e}");
    let alpha = Study::new(Kind::Alpha, options(), &[], &[], &[0.2], &[]).unwrap();
    assert!(run(&alpha, &folder, 1, None).0.unwrap_err().what.contains("its cells, its kind"));
    assert_eq!(std::fs::read(folder.join("study.toml")).unwrap(), before);
    let foreign = dir.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("thesis.tex"), "mine").unwrap();
    let e = run(&ablation(options()), &foreign, 1, None).0.unwrap_err();
    assert!(e.what.contains("thesis.tex"), "{e}");
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_studied_is_said_before_anything_is_written() {
    let all = &[Rule::Stbp, Rule::Bpsa][..];
    let with = |kind, options, steps: &[usize], alphas: &[f64]| Study::new(kind, options, all, steps, alphas, &[]).unwrap_err().to_string();
    assert!(with(Kind::Latency, Options { time_steps: None, ..options() }, &[4, 0], &[]).starts_with("--time-steps"));
    assert!(with(Kind::Latency, options(), &[4], &[]).contains("--steps"));
    assert!(with(Kind::Latency, Options { time_steps: None, ..options() }, &[4, 4], &[]).contains("twice"));
    assert!(with(Kind::Alpha, options(), &[], &[]).contains("nothing to study"));
    assert!(with(Kind::Alpha, options(), &[], &[-1.0]).starts_with("--alpha"));
    assert!(with(Kind::Ablation, Options { rule: Some(Rule::Bpsa), ..options() }, &[], &[]).contains("--rules"));
    let blind = Options { val_split: Some(0.0), ..options() };
    let e = Study::new(Kind::Ablation, blind, all, &[], &[], &[Tune::WarmUp]).unwrap_err();
    assert!(e.to_string().contains("--val-split"), "{e}");
}

#[test]
fn warm_up_and_alpha_are_chosen_on_the_validation_split_and_said() {
    let dir = tempfile::tempdir().unwrap();
    let study = Study::new(Kind::Ablation, options(), &[Rule::Bpsa, Rule::BpsaBpta], &[], &[], &[Tune::WarmUp]).unwrap();
    let (rows, _, notes) = run(&study, dir.path(), 1, None);
    let rows = rows.unwrap().unwrap();
    assert!(rows[0].chosen.starts_with("warm-up ") && !rows[0].chosen.contains('α'), "{}", rows[0].chosen);
    assert!(rows[1].chosen.contains(", α 0."), "{}", rows[1].chosen);
    // Three warm-ups for each rule, then three α.
    let tried = notes.iter().filter(|n| n.starts_with("choosing: ")).count();
    assert_eq!(tried, 9, "{notes:?}");
    let scores: Vec<&String> = notes.iter().filter(|n| n.contains("validation accuracy")).collect();
    assert_eq!(scores.len(), 9);
    let result = &rows[1].runs[0].result;
    assert!(rows[1].chosen.contains(&format!("warm-up {}, α {}", result.warm_up, result.alpha)), "{} {result:?}", rows[1].chosen);
}

#[test]
fn the_last_word_of_anytime_is_the_accuracy_and_energy_counts_the_spikes() {
    let dir = tempfile::tempdir().unwrap();
    let study = Study::new(Kind::Energy, options(), &[Rule::Stbp], &[], &[], &[]).unwrap();
    let rows = run(&study, dir.path(), 1, None).0.unwrap().unwrap();
    let (spiking, ann) = (&rows[0].runs[0], &rows[1].runs[0]);
    assert_eq!(spiking.cost.anytime.len(), 3);
    assert_eq!(spiking.cost.accuracy, spiking.result.selected_test_accuracy);
    let first = &spiking.cost.layers[0];
    assert!(first.multiplies && first.operations <= first.macs as f64, "a picture counts once: {first:?}");
    assert!(!spiking.cost.layers[1].multiplies);
    assert!(ann.cost.energy.is_none() && ann.cost.exits.is_empty());
    assert_eq!(ann.cost.layers[1].operations, ann.cost.layers[1].macs as f64);
    assert_eq!(ann.cost.accuracy, ann.result.selected_test_accuracy);
}
