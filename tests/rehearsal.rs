//! What a run will take is said before it begins: a rehearsal writes nothing anywhere, and a budget becomes numbers that can be repeated.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn spiketrain(folder: &Path, data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    command.args(arguments).current_dir(folder).env("SPIKETRAIN_DATA", data).output().unwrap()
}

fn done(output: Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{err}");
    out + &err
}

/// Everything below a folder.
fn files(folder: &Path, all: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, all);
        }
        all.insert(path);
    }
}

#[test]
fn a_rehearsal_says_the_time_of_every_t_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let glyphs = &["train", "-T", "2:3,4:2", "--train-limit", "300", "--test-limit", "50", "--dry-run"];
    let said = done(spiketrain(dir.path(), dir.path(), glyphs));
    for words in [
        "time at T 2 in the warm-up:",
        "time at T 2:",
        "time at T 4:",
        "for 5 epochs",
        "nothing was written",
        "recipe standard",
        "memory of a training step at T = 4",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let output = spiketrain(dir.path(), dir.path(), &[&glyphs[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    assert_eq!((facts["epochs"].as_u64(), facts["train_samples"].as_u64(), facts["test_samples"].as_u64()), (Some(5), Some(300), Some(50)));
    let times: Vec<_> =
        facts["times"].as_array().unwrap().iter().map(|t| (t["T"].as_u64().unwrap(), t["warm_up"].as_bool().unwrap())).collect();
    assert_eq!(times, [(2, true), (2, false), (4, false)]);
    let layers = facts["layers"].as_array().unwrap();
    let parameters: u64 = layers.iter().map(|layer| layer["parameters"].as_u64().unwrap()).sum();
    assert!(facts["parameters"] == parameters && facts["disk"]["best"] == 4 * parameters, "{facts}");
    assert!(facts["seconds"].as_f64().unwrap() > 0.0 && facts["memory"]["together"].as_u64().unwrap() > 0, "{facts}");
    assert!(facts["options"]["dataset"] == "glyphs" && facts["memory"]["T"] == 4, "{facts}");
    let study = &[
        "study",
        "latency",
        "--steps",
        "2,3",
        "--rules",
        "bpsa",
        "--train-limit",
        "200",
        "--test-limit",
        "50",
        "--epochs",
        "2",
        "--dry-run",
    ];
    let said = done(spiketrain(dir.path(), dir.path(), study));
    assert!(said.contains("bpsa T2") && said.contains("bpsa T3") && said.contains("in all"), "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// Preparing all of a set takes minutes and disk: for a rehearsal a few recordings stand for all.
#[test]
fn recordings_that_are_not_prepared_are_rehearsed_without_a_cache() {
    let Some(shared) = std::env::var_os("SPIKETRAIN_TEST_DATA").map(PathBuf::from).filter(|data| data.join("nmnist").is_dir()) else {
        println!("SKIPPED: SPIKETRAIN_TEST_DATA names no folder with nmnist/");
        return;
    };
    let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let nmnist = std::fs::canonicalize(shared.join("nmnist")).unwrap();
    std::os::unix::fs::symlink(&nmnist, data.path().join("nmnist")).unwrap();
    let list = || {
        let mut all = BTreeSet::new();
        [data.path(), &nmnist, dir.path()].iter().for_each(|folder| files(folder, &mut all));
        all
    };
    let before = list();
    let arguments = &["train", "--dataset", "nmnist", "--allow-partial", "-T", "2:1,3:1", "--net", "4C3-MP4-10Voting", "--dry-run"];
    let said = done(spiketrain(dir.path(), data.path(), arguments));
    assert!(said.contains("not prepared yet") && said.contains("time at T 3:"), "{said}");
    assert!(["T 2 take about", "T 3 take about"].iter().all(|disk| said.contains(disk)), "{said}");
    assert_eq!(list(), before);
}

#[test]
fn a_budget_becomes_epochs_that_can_be_repeated_without_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let net = ["--net", "4C3-MP4-10Voting", "--train-limit", "256", "--test-limit", "64", "--threads", "1"];
    let run = |arguments: &[&str], out: &str| {
        done(spiketrain(dir.path(), dir.path(), &[&["train"], arguments, &["--threads", "1", "--out", out]].concat()));
        let result: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.path().join(out).join("result.json")).unwrap()).unwrap();
        result
    };
    let first = run(&[&["--budget", "3s", "-T", "2:1,4:2"], &net[..6]].concat(), "first");
    let epochs = first["epochs"].as_u64().unwrap();
    assert!(epochs >= 3 && first["T"] == 4 && first["recipe"] == "standard", "{first}");
    let stages = first["curriculum"].as_str().unwrap();
    let shares: u64 = stages.split(',').map(|stage| stage.split_once(':').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(shares, epochs, "{stages}");
    let again = run(&["--config", "first/config.toml"], "again");
    assert_eq!(again["weights_sha256"], first["weights_sha256"]);
    let both = spiketrain(dir.path(), dir.path(), &["train", "--budget", "3s", "--epochs", "2"]);
    assert_eq!(both.status.code(), Some(2));
}
