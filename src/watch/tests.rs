use std::fs;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::config::Options;
use crate::credit::{self, CreditLine};
use crate::error::Kind;
use crate::neuron::{Lif, Surrogate};

/// A run folder made by hand.
fn folder(metrics: &str, live: Option<&str>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { net: Some("16C3-MP2-32FC-10Voting".into()), epochs: Some(12), ..Options::default() };
    fs::write(dir.path().join(CONFIG), options.complete().unwrap().to_toml().unwrap()).unwrap();
    if !metrics.is_empty() {
        fs::write(dir.path().join(METRICS), metrics).unwrap();
    }
    if let Some(live) = live {
        fs::write(dir.path().join(LIVE), live).unwrap();
    }
    dir
}

fn epoch(n: u64, loss: &str) -> String {
    format!(
        "{{\"epoch\":{n},\"step\":{},\"warm_up\":\"none\",\"loss\":{loss},\"train_accuracy\":0.9,\"test_accuracy\":0.8{n},\"firing_rates\":[0.1,0.62,0.3],\"seconds\":12.5}}\n",
        n * 94
    )
}

fn live(step: u64, age: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let live = Live {
        epoch: 3,
        epochs: 12,
        step,
        steps: 94,
        samples_per_s: 812.0,
        loss: 0.031,
        accuracy: 0.93,
        firing_rates: vec![0.12, 0.05, 0.4],
        seconds: 5.0,
        unix_time: now - age,
    };
    serde_json::to_string(&live).unwrap()
}

/// One frame through ratatui's own test terminal.
fn drawn(run: &Run, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| frame.render_widget(&View { run, footer: "q leaves" }, frame.area())).unwrap();
    let text = to_text(&View { run, footer: "q leaves" }, width, height);
    let shown = terminal.backend().to_string();
    for line in text.lines() {
        assert!(shown.contains(line), "the printed frame is the drawn one: {line}");
    }
    text
}

fn shows(text: &str, words: &[&str]) {
    words.iter().for_each(|w| assert!(text.contains(w), "no '{w}' in\n{text}"));
}

#[test]
fn a_run_is_drawn_at_every_stage_and_size() {
    let two: String = [epoch(1, "0.09"), epoch(2, "0.05")].concat();
    let many: String = (1..=300).map(|n| epoch(n, &format!("{}", 1.0 / n as f64))).collect();
    let stages = [
        ("no metrics yet", String::new(), None),
        ("first steps", String::new(), Some(live(1, 0.0))),
        ("one epoch", epoch(1, "0.09"), None),
        ("a cut last line", format!("{two}{{\"epoch\":3,\"lo"), Some(live(40, 1.0))),
        ("many epochs", many, Some(live(94, 2.0))),
        ("a loss that is not finite", format!("{two}{}", epoch(3, "null")), None),
        ("all the same", [epoch(1, "0"), epoch(2, "0")].concat(), None),
        ("live.json cut", two.clone(), Some("{\"epoch\":".to_string())),
    ];
    let mut frames = 0;
    for (name, metrics, live) in &stages {
        let dir = folder(metrics, live.as_deref());
        let run = Run::read(dir.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
        for (width, height) in [(1, 1), (20, 5), (40, 30), (50, 16), (80, 24), (100, 32), (250, 80)] {
            let text = drawn(&run, width, height);
            assert!(!text.contains("NaN") && !text.contains("inf"), "{name} {width}x{height}:\n{text}");
            assert!(height < 5 || !text.is_empty(), "{name}");
            frames += 1;
        }
    }
    println!("{frames} frames");
}

#[test]
fn a_training_shows_progress_curves_rates_and_the_time_left() {
    let dir = folder(&[epoch(1, "0.09"), epoch(2, "0.05")].concat(), Some(&live(47, 1.0)));
    let run = Run::read(dir.path()).unwrap();
    assert_eq!(run.state(), State::Training);
    // An epoch takes 12.5 s, 5 s of this one are over, nine more come.
    assert_eq!(run.seconds_left(), Some(7.5 + 9.0 * 12.5));
    let text = drawn(&run, 100, 32);
    shows(
        &text,
        &["glyphs 16C3-MP2-32FC-10Voting bpsa+bpta", "epoch 3/12 ██████░", "step 47/94", "812 samples/s", "about 2 min 00 s left"],
    );
    shows(
        &text,
        &["loss train 0.0310", "accuracy train 93.00 %", "test 82.00 %", "16C3  12.00 % ███", "32FC", "10Voting  40.00 %", "q leaves"],
    );
    shows(&text, &["epoch 2/12  loss 0.0500  train 90.00 %  test 82.00 %  13 s"]);
    assert!(text.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)), "a curve in dots:\n{text}");
    shows(&drawn(&run, 20, 5), &["training", "3/12 47/94", "0.031 93.00 %", "2 min 00 s left"]);
    // The epoch under way is no second point of one that is written down.
    fs::write(dir.path().join(METRICS), [epoch(1, "0.09"), epoch(2, "0.05"), epoch(3, "0.04")].concat()).unwrap();
    let run = run.again().unwrap();
    shows(&drawn(&run, 100, 32), &["loss train 0.0400"]);
}

/// The size that a terminal has unless it is changed: nothing that is said may end at its edge.
#[test]
fn at_80_by_24_everything_is_said_to_its_end() {
    let line = |n: u64| {
        format!(
            "{{\"epoch\":{n},\"step\":{},\"warm_up\":\"tssl\",\"loss\":{},\"train_accuracy\":0.9,\"test_accuracy\":0.8123,\"validation_accuracy\":0.8345,\
             \"firing_rates\":[0.1,0.62,0.3,0.1,0.2,0.1,0.71,0.1,0.2,0.3],\"seconds\":725.0}}\n",
            n * 938,
            0.1024 / n as f64
        )
    };
    let live = live(47, 1.0).replace("[0.12,0.05,0.4]", "[0.1,0.6,0.3,0.1,0.2,0.1,0.7,0.1,0.2,0.3]");
    let dir = folder(&[line(1), line(2)].concat(), Some(&live));
    let net = "32C3-32C3-MP2-64C3-64C3-MP2-128C3-128C3-AP2-256FC-256FC-128FC-10Voting";
    let options = Options {
        net: Some(net.into()),
        time_steps: Some("2:14,4:6".parse().unwrap()),
        dataset: Some(crate::data::sets::FASHION_MNIST),
        ..Options::default()
    };
    fs::write(dir.path().join(CONFIG), options.complete().unwrap().to_toml().unwrap()).unwrap();
    let run = Run::read(dir.path()).unwrap();
    let text = drawn(&run, 80, 24);
    assert_eq!(text.lines().count(), 24, "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    shows(&text, &[net, "T 2:14,4:6", "batch 64", "seed 1"]);
    shows(&text, &["epoch 3/12 at T 2 ██████░░░░░░ step 47/94", "left", "812 samples/s", "loss 0.0310", "acc 93.00 %"]);
    shows(&text, &[" train 93.00% val 83.45% test 81.23%", "and 6 layers more", "q leaves"]);
    shows(&text, &["warning: layers 2 and 7 (32C3, 256FC) fire at 62.00 to 71.00 % of the steps", "they cost much and say little"]);
    shows(&text, &["epoch 2/20  loss 0.0512  train 90.00 %  validation 83.45 %  test 81.23 %", "12 min 05 s  (tssl warm-up)"]);

    // The command that goes on is there to be copied.
    let long = dir.path().join("runs").join("fashion-mnist-32c3-mp2-64c3-mp2-128c3-ap2-10v-bpsa+bpta-1");
    fs::create_dir_all(&long).unwrap();
    fs::copy(dir.path().join(CONFIG), long.join(CONFIG)).unwrap();
    let text = drawn(&Run::read(&long).unwrap(), 80, 24);
    let joined: String = text.lines().take_while(|l| !l.contains("epochs done")).map(|l| l.replace(' ', "")).collect();
    assert!(joined.contains(&format!("--resume{}", long.display())), "{text}");
}

#[test]
fn sessions_that_evaluate_are_silent_or_gone_are_told_apart() {
    for (live, state, words) in [
        (Some(live(94, 100.0)), State::Evaluating, "evaluating"),
        (Some(live(40, 100.0)), State::Quiet, "no news for 1 min 40 s"),
        (Some(live(40, 2.0)), State::Training, "training"),
        (None, State::Still, "--resume"),
    ] {
        let dir = folder(&epoch(1, "0.09"), live.as_deref());
        let run = Run::read(dir.path()).unwrap();
        assert_eq!(run.state(), state);
        shows(&drawn(&run, 200, 32), &[words]);
    }
}

#[test]
fn warnings_and_unknown_lines_are_named() {
    let still = credit::of_layer("32FC".into(), Surrogate::Inverse { alpha: 0.8 }, Lif::default(), 2, 2, &[0.1; 4], &[0.0; 4]);
    let hot = credit::of_layer("10Voting".into(), Surrogate::Inverse { alpha: 0.8 }, Lif::default(), 2, 2, &[0.6; 4], &[1.0; 4]);
    let line = CreditLine { kind: "credit".into(), epoch: 1, step: 95, samples: 1, layers: vec![still, hot] };
    let metrics = format!("{}{}\n{{\"kind\":\"weather\",\"version\":7}}\n", epoch(1, "0.1"), serde_json::to_string(&line).unwrap());
    let run = Run::read(folder(&metrics, None).path()).unwrap();
    let text = drawn(&run, 120, 32);
    shows(&text, &["fires at 62.00 % of the steps", "no neuron of 32FC fired", "spikes of 10Voting (up to 1.20 times)"]);
    assert_eq!((run.metrics.credit.clone(), run.metrics.epochs.len(), run.metrics.unknown.len()), (Some(line), 1, 1));
    let quiet = folder("{\"kind\":\"weather\"}\n{\"kind\":\"weather\"}\n", None);
    shows(&drawn(&Run::read(quiet.path()).unwrap(), 120, 32), &["does not know were skipped: weather"]);
}

#[test]
fn what_is_no_run_or_of_a_newer_version_is_refused() {
    let refused = |e: Option<Error>, kind: Kind, words: &[&str]| {
        let e = e.expect("an error");
        assert!(e.kind == kind && e.exit_code() == 2 && words.iter().all(|w| e.to_string().contains(w)), "{e}");
    };
    let dir = tempfile::tempdir().unwrap();
    refused(Run::read(dir.path()).err(), Kind::Usage, &["no config.toml", "folder of a run"]);
    refused(Run::read(&dir.path().join("absent")).err(), Kind::Usage, &["no such folder"]);
    for (metrics, kind, words) in [
        ("{\"epoch\":1,\"version\":2}\n", Kind::Usage, ["line 1", "version 2"]),
        ("{\"epoch\":1}\n{\"kind\":\"credit\",\"version\":2}\n", Kind::Usage, ["line 2", "version 1"]),
        ("{\"epoch\":1}\nnonsense\n{\"epoch\":3}\n", Kind::Format, ["line 2", "metrics.jsonl"]),
        ("{\"epoch\":\"one\"}\n", Kind::Format, ["line 1", "metrics.jsonl"]),
        ("{\"kind\":\"credit\"}\n", Kind::Format, ["line 1", "missing field"]),
    ] {
        refused(Run::read(folder(metrics, None).path()).err(), kind, &words);
    }
    let dir = folder("", None);
    fs::write(dir.path().join(RESULT), "{}").unwrap();
    refused(Run::read(dir.path()).err(), Kind::Format, &["result.json"]);
    fs::write(dir.path().join(CONFIG), "epochs = 3\n").unwrap();
    refused(Run::read(dir.path()).err(), Kind::Format, &["config.toml"]);
}
