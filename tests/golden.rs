//! Checkpoints of version 1 of the format: every later spiketrain must load them, and find in them what is written here. Those of the present
//! numerics ([`NUMERICS`]) go on to the bits that are written here, older ones go on and say that they will not.
//!
//! They are of one run ([`RUN`]), with each numerics; the one to train on is from the middle of the third epoch. A new numerics gets new
//! ones: `cargo test --test golden -- --ignored --nocapture` writes them and says what to write here.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use spiketrain::checkpoint::{self, CheckpointKind};
use spiketrain::engine::NUMERICS;
use spiketrain::storage::Disk;

mod command;
mod tiny;

use command::{command, said};
use tiny::scratch;

const RUN: &str = "train --net 3C3-AP14-DP-10Voting -T 8 --epochs 3 --lr 0.02 --train-limit 600 --test-limit 200 --batch 40 --isa portable \
                   --seed 7 --val-split 0.2 --augment --checkpoint-every 10 --warm-up tssl:1 --out run";

/// A checkpoint, and what is found in it.
struct Golden {
    file: &'static str,
    numerics: u32,
    kind: CheckpointKind,
    step: u64,
    sha256: &'static str,
    loss: f64,
}

const GOLDEN: [Golden; 4] = [
    Golden {
        file: "version-1-training.ckpt",
        numerics: 1,
        kind: CheckpointKind::Training,
        step: 30,
        sha256: "2671149d265cdb5448ea8b9995eaba7c800fa51e7ecf5830c6f2ee9f8d8de087",
        loss: 0.089571328125,
    },
    Golden {
        file: "version-1-weights.ckpt",
        numerics: 1,
        kind: CheckpointKind::WeightsOnly,
        step: 36,
        sha256: "81242dfd1028f015f11c9cf44a4326921d43352242e7334beef727866dce7c9a",
        loss: 0.08956390625,
    },
    Golden {
        file: "numerics-2-training.ckpt",
        numerics: 2,
        kind: CheckpointKind::Training,
        step: 30,
        sha256: "2a6ee26172d6701a1370d0e2e07690be3bd5ed125f4bada65d50af25bd4bf9d1",
        loss: 0.08957468749999968,
    },
    Golden {
        file: "numerics-2-weights.ckpt",
        numerics: 2,
        kind: CheckpointKind::WeightsOnly,
        step: 36,
        sha256: "6531a91dd6059768319e10cef99ae3d2b56cdbe4e163683a727fffb2fd6632ac",
        loss: 0.0895684374999997,
    },
];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn evaluated(dir: &Path, path: &Path) -> Value {
    let (code, text) = said(&mut command(dir, &["eval", path.to_str().unwrap(), "--json"]));
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{}: {code:?} {text}", path.display()))
}

fn result(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("result.json")).unwrap()).unwrap()
}

#[test]
fn golden_checkpoints_load_and_evaluate_as_on_the_day_they_were_written() {
    let dir = scratch();
    for Golden { file, numerics, kind, step, sha256, loss } in GOLDEN {
        let path = golden(file);
        assert!(fs::metadata(&path).unwrap().len() < 20_000, "{file}");
        let loaded = checkpoint::load(&Disk, &path).unwrap();
        let tensors = if kind == CheckpointKind::Training { 20 } else { 8 };
        let header = &loaded.header;
        assert_eq!((header.numerics, header.kind, header.step, loaded.tensors.len()), (numerics, kind, step, tensors), "{file}");
        let e = evaluated(dir.path(), &path);
        assert_eq!(
            (&e["weights_sha256"], &e["test_accuracy"], &e["test_samples"]),
            (&sha256.into(), &0.125.into(), &200.into()),
            "{file}: {e}"
        );
        // Glyphs are drawn with the system's mathematics, which may differ in last bits.
        assert!((e["test_loss"].as_f64().unwrap() - loss).abs() < 1e-9, "{file}: {e}");
    }
    println!("{} cases", GOLDEN.len());
}

#[test]
fn golden_runs_go_on_to_the_end_they_had() {
    for pair in GOLDEN.chunks(2) {
        let (training, end) = (&pair[0], &pair[1]);
        let dir = scratch();
        let run = dir.path().join("run");
        fs::create_dir(&run).unwrap();
        fs::copy(golden(training.file), run.join("checkpoint-30.ckpt")).unwrap();
        fs::write(run.join("config.toml"), checkpoint::load(&Disk, &golden(training.file)).unwrap().header.config_toml).unwrap();
        let (code, text) = said(&mut command(dir.path(), &["train", "--resume", "run"]));
        assert_eq!(code, Some(0), "{text}");
        let result = result(&run);
        assert_eq!(result["selected_epoch"], 3, "{result}");
        let note = format!("note: this run was begun with numerics {}, this version computes with {NUMERICS}", training.numerics);
        assert_eq!(text.contains(&note), training.numerics != NUMERICS, "{text}");
        if training.numerics != NUMERICS {
            // Nothing is promised of its last bits.
        } else if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(result["weights_sha256"], end.sha256);
        } else {
            println!("SKIPPED in part: the last bits are those of x86-64 Linux");
        }
    }
}

#[test]
#[ignore = "writes checkpoints of the present numerics to tests/golden"]
fn write_golden_checkpoints() {
    let dir = scratch();
    let (code, text) = said(&mut command(dir.path(), &RUN.split_whitespace().collect::<Vec<_>>()));
    assert_eq!(code, Some(0), "{text}");
    for (from, kind) in [("checkpoint-30.ckpt", "training"), ("best.ckpt", "weights")] {
        let to = golden(&format!("numerics-{NUMERICS}-{kind}.ckpt"));
        fs::copy(dir.path().join("run").join(from), &to).unwrap();
        println!("{}: {}", to.display(), evaluated(dir.path(), &to));
    }
    println!("the run's end: {}", result(&dir.path().join("run")));
}
