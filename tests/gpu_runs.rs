//! Whole training runs on a graphics card, by the command: the same bytes again and again, stopped or not; and on another device.
#![cfg(feature = "gpu")]

mod command;

use std::fs;
use std::path::Path;

use command::{command, said, train};
use serde_json::Value;
use spiketrain::engine::gpu::adapters;

/// Whether there is a card; says so where there is none.
fn card() -> bool {
    let some = !adapters().is_empty();
    if !some {
        println!("SKIPPED: this machine has no graphics card, and no software in place of one (mesa-vulkan-drivers, libvulkan1)");
    }
    some
}

fn done(dir: &Path, args: &[&str]) -> String {
    let (code, said) = said(&mut command(dir, args));
    assert_eq!(code, Some(0), "{args:?}: {said}");
    said
}

fn result(dir: &Path, run: &str) -> Value {
    serde_json::from_slice(&fs::read(dir.join(run).join("result.json")).unwrap()).unwrap()
}

#[test]
fn runs_end_in_the_same_bytes_and_near_those_of_the_cpu() {
    if !card() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let of = |out: &'static str, device: &'static str| {
        done(dir, &train(&[out, device, "--train-limit=128"]));
        result(dir, out.trim_start_matches("--out="))
    };
    let runs = [of("--out=a", "--device=gpu"), of("--out=b", "--device=gpu:0"), of("--out=c", "--engine=gpu")];
    for run in &runs {
        assert_eq!(run["weights_sha256"], runs[0]["weights_sha256"]);
        assert_eq!(run["last_test_accuracy"], runs[0]["last_test_accuracy"]);
    }
    let cpu = of("--out=d", "--device=cpu");
    let loss = |run: &str| {
        let text = fs::read_to_string(dir.join(run).join("metrics.jsonl")).unwrap();
        let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        line["loss"].as_f64().unwrap()
    };
    // The first epoch, before what differs in last bits has grown into other spikes.
    println!("loss {} on the card, {} on the cpu; {} and {}", loss("a"), loss("d"), runs[0]["weights_sha256"], cpu["weights_sha256"]);
    assert!((loss("a") - loss("d")).abs() < 1e-3 * loss("d"));
}

#[test]
fn a_run_goes_on_and_is_evaluated_on_another_device() {
    if !card() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, &train(&["--out=run", "--device=cpu", "--epochs=1"]));
    let words = done(dir, &["train", "--resume", "run", "--epochs", "2", "--device", "gpu"]);
    assert!(words.contains("was on cpu and goes on on gpu"), "{words}");
    assert!(fs::read_to_string(dir.join("run/config.toml")).unwrap().contains("device = \"gpu\""));
    let accuracy = |device: &str| {
        let words = done(dir, &["eval", "run", "--device", device, "--json"]);
        let json = words.lines().find(|line| line.starts_with('{')).unwrap_or_else(|| panic!("no JSON: {words}"));
        serde_json::from_str::<Value>(json).unwrap()["test_accuracy"].as_f64().unwrap()
    };
    assert_eq!(accuracy("gpu"), accuracy("cpu"));
    for args in [&["eval", "run", "--device", "gpu:no-such-card"][..], &train(&["--out=none", "--device=gpu:no-such-card"])] {
        let (code, words) = said(&mut command(dir, args));
        assert!(code == Some(2) && words.contains("gpu:0 is "), "{words}");
    }
}

#[test]
fn a_step_that_no_card_holds_is_refused_before_the_run() {
    if !card() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wide = ["train", "--net=64C3-64C3-10Voting", "--device=gpu", "--batch=4096", "-T=64", "--train-limit=8192", "--out=run"];
    let (code, words) = said(&mut command(dir.path(), &wide));
    assert!(code == Some(5) && words.contains("a step needs") && words.contains("--batch"), "{code:?} {words}");
    assert!(!dir.path().join("run").exists());
}
