//! The files of a run, made by the binary, and everything that reads them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use spiketrain::checkpoint;
use spiketrain::report::run::Run;
use spiketrain::storage::Disk;
use spiketrain::study::run::{Finished, read_json};
use spiketrain::{study, watch};

use super::trial::{FREE, Scratch, Trial};

/// JSON of numbers becomes up to forty times its length in memory, by lines of at most 4 MiB and files of at most 64.
fn of_json(input: usize) -> usize {
    3 * FREE + 64 * input
}

/// A study of one short run.
pub struct Made {
    dir: tempfile::TempDir,
    run: PathBuf,
}

impl Made {
    /// Trains it.
    pub fn new() -> Made {
        let dir = super::trial::folder();
        let words = "study ablation --rules bpsa+bpta --seeds 1 --net 2C3-MP7-10Voting --epochs 2 -T 2 --train-limit 120 --test-limit 10 --batch 16 \
                     --credit-every 2 --threads 1 --out study";
        let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
        let done = command.args(words.split_whitespace()).current_dir(dir.path()).env("HOME", dir.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let runs = dir.path().join("study/runs");
        let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
        Made { dir, run }
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.run
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.run.join(name)).unwrap()
    }

    /// Its checkpoint; a digest stands behind every part, so the parts of every second mutant get theirs anew.
    pub fn checkpoint(&self) {
        let scratch = Scratch::new("a.ckpt");
        let trial = Trial { memory: of_json, mend: Some(|bytes| mend_checkpoint(bytes)), ..Trial::of("checkpoint") };
        trial.run(&[self.read("best.ckpt")], &mut |bytes| checkpoint::load(&Disk, scratch.put(bytes)).map(drop));
    }

    /// metrics.jsonl, as `watch` and `report` read it.
    pub fn metrics(&self) {
        let file = [self.read("metrics.jsonl")];
        let trial = Trial { memory: of_json, ..Trial::of("metrics in watch") };
        trial.run(&file, &mut |bytes| watch::Metrics::of(bytes).map(drop));
        let scratch = Scratch::new("run/metrics.jsonl");
        let folder = scratch.dir().join("run");
        fs::copy(self.run.join("config.toml"), folder.join("config.toml")).unwrap();
        let trial = Trial { memory: of_json, ..Trial::of("metrics in report") };
        trial.run(&file, &mut |bytes| {
            scratch.put(bytes);
            Run::read(&folder).map(drop)
        });
    }

    /// result.json, cost.json, study.json and study.toml.
    pub fn results(&self) {
        for name in ["result.json", "cost.json"] {
            let scratch = Scratch::new(&format!("run/{name}"));
            let folder = scratch.dir().join("run");
            for other in ["config.toml", "metrics.jsonl", "result.json", "cost.json"] {
                fs::copy(self.run.join(other), folder.join(other)).unwrap();
            }
            let trial = Trial { memory: of_json, ..Trial::of(name) };
            trial.run(&[self.read(name)], &mut |bytes| {
                scratch.put(bytes);
                study::run::finished(&folder)?;
                watch::Run::read(&folder).map(drop)
            });
        }
        let scratch = Scratch::new("study.json");
        let trial = Trial { memory: of_json, ..Trial::of("study.json") };
        trial.run(&[fs::read(self.dir.path().join("study/study.json")).unwrap()], &mut |bytes| {
            scratch.put(bytes);
            study::table::read(scratch.dir()).map(drop)
        });
        assert!(read_json::<Finished>(Path::new("nowhere.json")).unwrap().is_none());
    }
}

/// Digest after the header, and after each tensor as far as the header can be understood.
fn mend_checkpoint(bytes: &mut [u8]) {
    let Some(length) = bytes.get(12..20).map(|b| u64::from_le_bytes(b.try_into().unwrap())) else { return };
    let Some(end) = usize::try_from(length).ok().and_then(|n| n.checked_add(20)).filter(|end| end.saturating_add(32) <= bytes.len()) else {
        return;
    };
    let sizes: Vec<usize> = serde_json::from_slice::<checkpoint::Header>(&bytes[20..end]).map_or(Vec::new(), |header| {
        header.tensors.iter().map(|t| t.values().and_then(|n| n.checked_mul(4)).unwrap_or(usize::MAX)).collect()
    });
    let mut at = end;
    seal(bytes, at);
    for size in sizes {
        let Some(next) = at.checked_add(32).and_then(|n| n.checked_add(size)).filter(|n| n.saturating_add(32) <= bytes.len()) else {
            return;
        };
        at = next;
        seal(bytes, at);
    }
}

fn seal(bytes: &mut [u8], at: usize) {
    let digest = Sha256::digest(&bytes[..at]);
    bytes[at..at + 32].copy_from_slice(&digest);
}
