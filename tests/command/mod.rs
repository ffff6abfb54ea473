//! The command on a network that trains in a fraction of a second, and what its runs leave.
#![allow(dead_code)] // each test file that includes this uses a part of it

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use spiketrain::checkpoint::{self, Tensor};
use spiketrain::storage::{Disk, LOCK, Storage};

/// Two epochs of four steps, a checkpoint after each.
pub const TRAIN: [&str; 9] = [
    "train",
    "--net=2C3-MP7-10Voting",
    "--time-steps=2",
    "--epochs=2",
    "--train-limit=64",
    "--test-limit=20",
    "--batch=16",
    "--checkpoint-every=1",
    "--credit-every=2",
];

pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    command.args(args);
    at_home(command, dir)
}

/// A command that sees nothing of the user's settings.
pub fn at_home(mut command: Command, dir: &Path) -> Command {
    command.current_dir(dir).env_remove("SPIKETRAIN_DATA").env("HOME", dir).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code, or `None` if a signal ended it; and everything it said.
pub fn said(command: &mut Command) -> (Option<i32>, String) {
    ended(command.output().unwrap())
}

pub fn ended(Output { status, stdout, stderr }: Output) -> (Option<i32>, String) {
    (status.code(), [stdout, stderr].map(|b| String::from_utf8_lossy(&b).into_owned()).concat())
}

/// [`TRAIN`] with more options, or others in their place.
pub fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let name = |option: &&str| option.split('=').next().unwrap_or_default().to_string();
    let others: Vec<String> = more.iter().map(name).collect();
    TRAIN.into_iter().filter(|option| !others.contains(&name(option))).chain(more.iter().copied()).collect()
}

/// [`train`] in a folder; or on from where a run in it came to.
pub fn start_or_resume<'a>(dir: &Path, run: &'a str, more: &[&'a str]) -> Command {
    if dir.join(run).join("config.toml").exists() {
        return command(dir, &["train", "--resume", run]);
    }
    command(dir, &[&train(more)[..], &["--out", run]].concat())
}

/// Waits until `done`, at most a minute.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What a finished run left, but for times and memory.
#[derive(Debug, PartialEq)]
pub struct End {
    pub metrics: Vec<Value>,
    pub weights: Value,
    /// Tensors of every checkpoint, by file name.
    pub tensors: BTreeMap<String, Vec<Tensor>>,
    pub names: Vec<String>,
}

impl End {
    pub fn of(run: &Path) -> End {
        let mut names = Disk.list(run).unwrap();
        names.retain(|n| n != LOCK && !n.starts_with("events.out."));
        let checkpoints = names.iter().filter(|n| n.ends_with(".ckpt"));
        let tensors = checkpoints.map(|n| (n.clone(), checkpoint::load(&Disk, &run.join(n)).unwrap().tensors)).collect();
        let result: Value = serde_json::from_slice(&fs::read(run.join("result.json")).unwrap()).unwrap();
        let lines = |name: &str| fs::read_to_string(run.join(name)).unwrap_or_default();
        let metrics = lines("metrics.jsonl") + &lines("credit.jsonl");
        let timeless = |line: &str| {
            let mut v: Value = serde_json::from_str(line).unwrap();
            ["seconds", "samples_per_s"].iter().for_each(|key| drop(v.as_object_mut().unwrap().remove(*key)));
            v
        };
        End { metrics: metrics.lines().map(timeless).collect(), weights: result["weights_sha256"].clone(), tensors, names }
    }
}

/// The end of [`TRAIN`] when nothing disturbs it.
pub fn undisturbed(dir: &Path, more: &[&str]) -> End {
    let (code, text) = said(&mut start_or_resume(dir, "undisturbed", more));
    assert_eq!(code, Some(0), "{text}");
    End::of(&dir.join("undisturbed"))
}
