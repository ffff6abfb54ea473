//! The command as a user meets it: what a run leaves behind, and what bad input is answered with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use spiketrain::config::InstructionSet;
use spiketrain::engine::cpu::Isa;
use spiketrain::events::{Event, nmnist};
use spiketrain::rng::{Purpose, Rng};

/// A run of seconds on built-in data.
const TINY: [&str; 7] =
    ["train", "--net=4C3-MP4-10Voting", "--epochs=2", "--time-steps=2", "--train-limit=64", "--test-limit=20", "--batch=16"];

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    c.args(args).current_dir(dir).env_remove("SPIKETRAIN_DATA").env("HOME", dir).env_remove("XDG_DATA_HOME");
    c
}

fn spiketrain(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(dir, args).output().unwrap();
    let text = |b: Vec<u8>| String::from_utf8(b).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// Fails with this exit code, says these words, and does not panic.
fn refused(dir: &Path, args: &[&str], code: i32, words: &[&str]) {
    let (got, out, err) = spiketrain(dir, args);
    assert_eq!(got, code, "{args:?}: {out}{err}");
    assert!(!err.contains("panicked"), "{args:?}: {err}");
    words.iter().for_each(|w| assert!(err.contains(w), "{args:?}: no '{w}' in: {err}"));
}

fn tiny(more: &[&'static str]) -> Vec<&'static str> {
    TINY.iter().chain(more).copied().collect()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn wrong_usage_is_answered_with_the_remedy_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cases: &[(&[&str], &[&str])] = &[
        (&["train", "--dataset", "mnsit"], &["unknown data set 'mnsit'", "did you mean 'mnist'"]),
        (&["train", "--dataset", "dvs-gesture"], &["dvs-gesture"]),
        (&["train", "--dataset", "events"], &["--dataset events DIR"]),
        (&["train", "--dataset", "events", "nowhere"], &["nowhere"]),
        (&["train", "--dataset", "motions", "-T", "6"], &["--time-steps", "multiple of 4"]),
        (&["train", "--resize", "sum"], &["--resize", "glyphs holds pictures"]),
        (&["train", "--dataset", "motions", "--event-drop", "1"], &["--event-drop", "0 to below 1"]),
        (&["train", "--dataset", "motions", "--split-by", "events"], &["number, time"]),
        (&["train", "--dataset", "mnist"], &["mnist", "spiketrain data download mnist"]),
        (&["train", "--dataset", "mnist", "--data-dir", "nowhere"], &["nowhere/mnist", "spiketrain data download mnist"]),
        (&["train", "--dataset", "mnist", "folder"], &["only `--dataset images DIR`"]),
        (&["train", "--dataset", "images"], &["--dataset images DIR"]),
        (&["train", "--dataset", "images", "nowhere"], &["nowhere"]),
        (&["train", "--rule", "stdp"], &["stbp, stbp-detached, bpsa, bpsa+bpta"]),
        (&["train", "--warm-up", "ann"], &["ann:EPOCHS"]),
        (&["train", "--schedule", "cosines"], &["ramp-cosine"]),
        (&["train", "--bn", "none"], &["per-step, merged"]),
        (&["train", "--loss", "hinge"], &["mse, ce"]),
        (&["train", "--engine", "cuda"], &["cpu, reference"]),
        (&["train", "--isa", "sse2"], &["portable, neon, avx2, avx512"]),
        (&["train", "--memory", "lots"], &["1500M or 2G"]),
        (&["bench", "--memory", "0"], &["1500M or 2G"]),
        (&["bench", "--isa", "sse2"], &["portable, neon, avx2, avx512"]),
        (&["train", "--size", "32"], &["HEIGHTxWIDTH"]),
        (&["train", "--epochs", "many"], &["--epochs"]),
        (&["train", "-T", "0"], &["--time-steps", "1 to 64"]),
        (&["train", "-T", "65"], &["--time-steps", "1 to 64"]),
        (&["train", "--batch", "0"], &["--batch"]),
        (&["train", "--epochs", "0"], &["--epochs"]),
        (&["train", "--lr", "NaN"], &["--lr"]),
        (&["train", "--lr=-1"], &["--lr"]),
        (&["train", "--alpha", "inf"], &["--alpha"]),
        (&["train", "--alpha", "2"], &["--alpha: 2 is out of range", "choose 0 to 1"]),
        (&["train", "--lr", "-1"], &["--lr: -1 is out of range"]),
        (&["train", "--rule", "bpas"], &["did you mean 'bpsa'?"]),
        (&["train", "--engine", "CPU"], &["did you mean 'cpu'?"]),
        (&["train", "--schedule", "cosin"], &["did you mean 'cosine'?"]),
        (&["train", "--net", "smal"], &["did you mean 'small'?"]),
        (&["eval", "no-such-run"], &["no-such-run", "check the path"]),
        (&["train", "--resume", "no-such-run"], &["no-such-run", "check the path"]),
        (&["train", "--threshold", "0"], &["--threshold"]),
        (&["train", "--decay", "1.5"], &["--decay"]),
        (&["train", "--val-split", "1"], &["--val-split"]),
        (&["train", "--best-on", "validation"], &["--val-split 0.1"]),
        (&["train", "--train-limit", "0"], &["--train-limit"]),
        (&["train", "--train-limit", "9999999"], &["too many"]),
        (&["train", "--train-limit", "10", "--batch", "64"], &["larger than the training set of 10 samples", "--batch 10"]),
        (&["train", "--net", "3C3-MP28-MP2-10Voting"], &["column 10", "leaves nothing"]),
        (&["train", "--net", "0C3-10Voting"], &["column 1", "channels"]),
        (&["train", "--net", "99999999999C3-10Voting"], &["column 1", "1048576"]),
        (&["train", "--net", "1048576FC-1048576FC-10Voting"], &["parameters"]),
        (&["train", "--net", "16C3-256FC"], &["last layer", "-10Voting"]),
        (&["train", "--net", "16C3-11Voting"], &["11", "10", "end the notation with 10Voting"]),
        (&["train", "-j", "100000"], &["--threads"]),
        (&["train", "--config", "absent.toml"], &["absent.toml"]),
        (&["train", "--resume", "absent"], &["no such run folder"]),
        (&["train", "--resume", "."], &["no run in this folder"]),
        (&["train", "--resume", ".", "--lr", "0.3"], &["takes its options from its folder", "--config", "--init"]),
        (&["net", "16C3-MP2", "--shape", "1x28x28"], &["last layer"]),
        (&["net", "small", "--shape", "28x28"], &["1x28x28"]),
        (&["net", "small", "--shape", "1x99999x28"], &["out of range"]),
        (&["net", "small", "--shape", "1x28x28", "-T", "65"], &["1 to 64"]),
        (&["net", "small", "--shape", "1x28x28", "--classes", "0"], &["--classes"]),
        (&["train", "--seed", "18446744073709551615"], &["--seed"]),
        (&["train", "--train-limit", "40", "--batch", "8", "--val-split", "0.1"], &["no validation samples"]),
        (&["eval", "absent.ckpt"], &["absent.ckpt"]),
        (&["predict", "absent.ckpt", "x.png"], &["absent.ckpt"]),
        (&["doctor", "--fixtures", "."], &["no *.safetensors"]),
        (&["fly"], &["fly"]),
    ];
    for (args, words) in cases {
        refused(dir.path(), args, 2, words);
    }
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    println!("{} wrong command lines", cases.len());
}

#[test]
fn configuration_files_are_checked_to_the_key() {
    let dir = tempfile::tempdir().unwrap();
    for (text, words) in [
        ("epoch = 3", ["unknown field `epoch`", "line 1"]),
        ("epochs = \"three\"", ["line 1", "epochs"]),
        ("dataset = \"glyphs\"\nrule = \"stdp\"", ["line 2", "bpsa+bpta"]),
        ("epochs = 3\nepochs", ["line 2", "c.toml"]),
        ("time-steps = 65", ["--time-steps", "1 to 64"]),
    ] {
        fs::write(dir.path().join("c.toml"), text).unwrap();
        refused(dir.path(), &["train", "--config", "c.toml"], 2, &words);
    }
}

#[test]
fn a_run_leaves_what_the_readme_promises() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = spiketrain(dir.path(), &tiny(&["--val-split", "0.2", "--warm-up", "ann:1", "--checkpoint-every", "1"]));
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("test accuracy after the last epoch") && err.contains("epoch   2/2"), "{out}{err}");
    let run = dir.path().join("runs/glyphs-4c3-mp4-10voting-bpsa+bpta-1");
    let mut names: Vec<String> = fs::read_dir(&run).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|n| !n.starts_with("events.out.tfevents.") && n != ".lock");
    names.sort();
    // 54 of 64 samples are trained on: 3 whole batches of 16, and the 6 others are more than a quarter of one.
    assert_eq!(
        names,
        ["best.ckpt", "checkpoint-7.ckpt", "checkpoint-8.ckpt", "config.toml", "credit.jsonl", "metrics.jsonl", "result.json"]
    );

    let r = json(&run.join("result.json"));
    for key in "dataset train_samples validation_samples test_samples net rule alpha T seed epochs last_test_accuracy selected_test_accuracy selected_epoch \
                firing_rates mean_firing_rate weighted_firing_rate samples_per_s peak_rss_mb train_seconds weights_sha256"
        .split_whitespace()
    {
        assert!(r.get(key).is_some_and(|v| !v.is_null()), "result.json has no {key}: {r}");
    }
    assert_eq!(
        (r["train_samples"].as_u64(), r["validation_samples"].as_u64(), r["selected_epoch"].as_u64()),
        (Some(54), Some(10), Some(2))
    );
    // Results of earlier versions are read: they called best what may only be the last.
    let text = fs::read_to_string(run.join("result.json")).unwrap();
    let old = text.replace("\"selected_by\"", "\"best_chosen_on\"").replace("\"selected_", "\"best_");
    assert!(old.contains("\"best_epoch\"") && !old.contains("selected"), "{old}");
    let read = |text: &str| serde_json::from_str::<spiketrain::train::RunResult>(text).unwrap();
    assert_eq!(read(&old), read(&text));
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    for line in metrics.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        for key in ["loss", "train_accuracy", "test_accuracy", "learning_rate", "firing_rates", "samples_per_s", "seconds"] {
            assert!(line.get(key).is_some_and(|v| !v.is_null()), "metrics.jsonl has no {key}: {line}");
        }
    }

    let look = json(&run.join("credit.jsonl"));
    assert!(look["step"] == 5 && look["layers"][1]["name"] == "10Voting", "one, of the first step after the warm-up: {look}");

    let (code, out, err) = spiketrain(dir.path(), &["eval", run.to_str().unwrap(), "--json"]);
    let e: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code} {out} {err}"));
    assert_eq!((&e["test_accuracy"], &e["weights_sha256"]), (&r["selected_test_accuracy"], &r["weights_sha256"]));
    // Its config.toml gives the same run again; a finished run resumed says its result once more.
    let config = run.join("config.toml");
    assert_eq!(spiketrain(dir.path(), &["train", "--config", config.to_str().unwrap(), "--out", "again"]).0, 0);
    assert_eq!(json(&dir.path().join("again/result.json"))["weights_sha256"], r["weights_sha256"]);
    let (code, out, err) = spiketrain(dir.path(), &["train", "--resume", "again"]);
    assert!(code == 0 && out.contains(r["weights_sha256"].as_str().unwrap()), "{out}{err}");
}

#[test]
fn predict_says_class_rates_and_that_it_resized() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(spiketrain(dir.path(), &tiny(&["--threshold=0.05", "--out", "run"])).0, 0);
    image::GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * y % 256) as u8])).save(dir.path().join("a.png")).unwrap();
    image::RgbImage::from_fn(60, 30, |x, y| image::Rgb([x as u8, y as u8, 9])).save(dir.path().join("b.jpg")).unwrap();
    let (code, out, err) = spiketrain(dir.path(), &["predict", "run", "a.png", "b.jpg"]);
    assert!(code == 0 && out.contains("a.png: ") && out.contains("(resized from 30x60 to 28x28)"), "{out}{err}");
    let (_, out, _) = spiketrain(dir.path(), &["predict", "run/last.ckpt", "b.jpg", "--json"]);
    let p: Value = serde_json::from_str(&out).unwrap();
    let confidence = p["confidence"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&confidence) && p["rates"].as_object().unwrap().len() == 10 && p["resized_from"]["height"] == 30, "{p}");
    fs::write(dir.path().join("c.png"), "no picture").unwrap();
    refused(dir.path(), &["predict", "run", "c.png"], 2, &["c.png", "PNG or JPEG"]);
    refused(dir.path(), &["predict", "run", "absent.png"], 2, &["absent.png"]);
    refused(dir.path(), &["predict", "run/config.toml", "a.png"], 2, &["config.toml", "not a spiketrain checkpoint"]);
}

#[test]
fn pictures_of_the_user_are_a_data_set() {
    let dir = tempfile::tempdir().unwrap();
    for (class, value) in [("dark", 20u8), ("light", 220)] {
        fs::create_dir_all(dir.path().join("pictures").join(class)).unwrap();
        for i in 0..20u32 {
            let picture = image::RgbImage::from_fn(12, 10, |x, y| image::Rgb([value, value, (value as u32 / 2 + (x * y + i) % 9) as u8]));
            picture.save(dir.path().join(format!("pictures/{class}/{i}.png"))).unwrap();
        }
    }
    let args = [
        "train",
        "--dataset",
        "images",
        "pictures",
        "--net",
        "4C3-MP2-{n}Voting",
        "--epochs",
        "3",
        "-T",
        "4",
        "--batch",
        "8",
        "--out",
        "run",
    ];
    let (code, out, err) = spiketrain(dir.path(), &args);
    assert!(code == 0 && err.contains("32 training, 8 test samples, 2 classes, 3x10x12"), "{out}{err}");
    assert_eq!(json(&dir.path().join("run/result.json"))["net"], "4C3-MP2-2Voting");
    let (code, _, err) = spiketrain(dir.path(), &[&args[..13], &["grey", "--grey", "--size", "8x8"]].concat());
    assert!(code == 0 && err.contains("1x8x8") && err.contains("40 of 40 pictures resized"), "{err}");
}

/// A folder per class of N-MNIST's 40-bit events on 16x16 pixels: most of them right (class `right`) or left.
fn recordings(dir: &Path) {
    for (class, from) in [("left", 0), ("right", 8)] {
        fs::create_dir_all(dir.join("recordings").join(class)).unwrap();
        for i in 0..20u64 {
            let mut rng = Rng::at(i, Purpose::Test, 2, from);
            let mut pixel = |t| {
                let x = if rng.below(10) == 0 { rng.below(16) } else { from as usize + rng.below(8) };
                Event { t, x: x as u16, y: rng.below(16) as u16, on: rng.below(2) == 1 }
            };
            let events: Vec<Event> = (0..600).map(|k| pixel(100 * k)).collect();
            fs::write(dir.join(format!("recordings/{class}/{i}.bin")), nmnist::write(&events).unwrap()).unwrap();
        }
    }
}

#[test]
fn recordings_of_the_user_are_a_data_set() {
    let dir = tempfile::tempdir().unwrap();
    recordings(dir.path());
    let train = ["train", "--dataset", "events", "recordings", "--size=16x16", "--net=4C3-MP2-{n}Voting", "--epochs=6", "-T4", "--batch=8"];
    let with = |more: &[&'static str]| [&train[..], &["--resize=sum", "--event-drop=0.1"], more].concat();
    let (code, out, err) = spiketrain(dir.path(), &with(&["--out=run", "--cache=prepared"]));
    assert!(
        code == 0 && err.contains("32 training, 8 test samples, 2 classes, 2x8x8") && err.contains("frames: T 4 by number, resize sum"),
        "{out}{err}"
    );
    let result = json(&dir.path().join("run/result.json"));
    assert!(result["last_test_accuracy"].as_f64().unwrap() >= 0.8 && result["dataset_simulated"] == false, "{result}");
    // The same from the prepared frames, wherever they lie; other frames are another run.
    assert_eq!(spiketrain(dir.path(), &with(&["--out=again", "--data-dir=elsewhere", "-j1"])).0, 0);
    assert_eq!(json(&dir.path().join("again/result.json"))["weights_sha256"], result["weights_sha256"]);
    let (code, out, err) = spiketrain(dir.path(), &["eval", "run", "--json"]);
    let e: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code} {out} {err}"));
    assert_eq!((&e["test_accuracy"], &e["weights_sha256"]), (&result["selected_test_accuracy"], &result["weights_sha256"]));
    refused(dir.path(), &[&train[..4], &["-T4"]].concat(), 2, &["--size WIDTHxHEIGHT"]);

    let (code, out, err) = spiketrain(dir.path(), &["predict", "run", "recordings/left/0.bin", "recordings/right/0.bin", "--json"]);
    let said: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(code == 0 && said.len() == 2, "{out}{err}");
    assert!(said[0]["class"] == "left" && said[1]["class"] == "right" && said[1]["events"] == 600, "{out}");
    let (code, out, err) = spiketrain(dir.path(), &["predict", "run", "recordings/right/0.bin", "--stream", "--json"]);
    let steps: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(code == 0 && steps.len() == 5, "{out}{err}");
    assert!((0..4).all(|t| steps[t]["step"] == t + 1 && steps[t]["latency_ms"].as_f64().unwrap() > 0.0), "{out}");
    // After the last step all has been seen.
    assert_eq!((&steps[3]["class"], &steps[3]["rates"]), (&said[1]["class"], &said[1]["rates"]));
    assert!(steps[4]["latency_ms_p99"].as_f64() >= steps[4]["latency_ms_p50"].as_f64(), "{out}");
    let (_, out, _) = spiketrain(dir.path(), &["predict", "run", "recordings/right/0.bin", "--stream"]);
    assert!(out.contains("step  4: right") && out.contains("p99"), "{out}");

    refused(dir.path(), &["predict", "run", "recordings/left/0.bin", "recordings/left/1.bin", "--stream"], 2, &["one recording"]);
    refused(dir.path(), &["predict", "run", "absent.bin"], 2, &["absent.bin"]);
    fs::write(dir.path().join("cut.bin"), [1, 2, 3]).unwrap();
    refused(dir.path(), &["predict", "run", "cut.bin"], 2, &["cut.bin"]);
    let wide = [Event { t: 1, x: 200, y: 3, on: true }; 4];
    fs::write(dir.path().join("wide.bin"), nmnist::write(&wide).unwrap()).unwrap();
    refused(dir.path(), &["predict", "run", "wide.bin"], 2, &["wide.bin", "4 outside the sensor"]);
}

#[test]
fn motions_are_made_and_trained_on_without_any_file() {
    let dir = tempfile::tempdir().unwrap();
    let args =
        ["train", "--dataset=motions", "--train-limit=66", "--test-limit=22", "--epochs=1", "--batch=16", "--out=run", "--warm-up=ann:1"];
    let (code, out, err) = spiketrain(dir.path(), &args);
    assert!(code == 0 && err.contains("motions (simulated): 66 training, 22 test samples, 11 classes, 2x34x34"), "{out}{err}");
    assert!(out.contains("test accuracy on simulated events"), "{out}");
    assert_eq!(json(&dir.path().join("run/result.json"))["dataset_simulated"], true);
    refused(dir.path(), &["predict", "run", "x.bin"], 2, &["no recordings of them"]);
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for folder in ["mnist", "cifar10"] {
        fs::create_dir_all(data.join(folder)).unwrap();
    }
    let idx = |name: &str, bytes: &[u8]| fs::write(data.join("mnist").join(name), bytes).unwrap();
    let image = [&[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28][..], &[7; 784]].concat();
    let label = [0, 0, 8, 1, 0, 0, 0, 1, 5];
    let whole = || {
        for (name, bytes) in [("train", &image), ("t10k", &image)] {
            idx(&format!("{name}-images-idx3-ubyte"), bytes);
            idx(&format!("{name}-labels-idx1-ubyte"), &label);
        }
    };
    let train = ["train", "--dataset", "mnist", "--data-dir", "data"];
    let cases: &[(&str, &[u8], &[&str])] = &[
        ("train-images-idx3-ubyte", &[], &["train-images-idx3-ubyte: byte 0", "empty"]),
        ("train-images-idx3-ubyte", &image[..700], &["byte 700", "expected 784 pixels, found 684", "cut off"]),
        ("train-images-idx3-ubyte", b"<html>", &["byte 0", "expected IDX images"]),
        ("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 2, 5, 5], &["byte 4", "expected 1 label "]),
        ("t10k-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 1, 10], &["t10k-labels", "byte 8", "found 10"]),
    ];
    for (name, bytes, words) in cases {
        whole();
        idx(name, bytes);
        refused(dir.path(), &train, 2, words);
    }
    let cifar = ["train", "--dataset", "cifar10", "--data-dir", "data", "--allow-partial"];
    let batch = |bytes: &[u8]| {
        for name in ["data_batch_1.bin", "test_batch.bin"] {
            fs::write(data.join("cifar10").join(name), bytes).unwrap();
        }
    };
    batch(&[]);
    refused(dir.path(), &cifar, 2, &["data_batch_1.bin: byte 0", "empty"]);
    batch(&[1; 3000]);
    refused(dir.path(), &cifar, 2, &["multiple of 3073", "spiketrain data check cifar10"]);
    batch(&[10; 3073]);
    refused(dir.path(), &cifar, 2, &["label of 0 to 9, found 10"]);
    batch(&[1; 3073]);
    refused(dir.path(), &cifar[..5], 2, &["missing: data_batch_2.bin", "--allow-partial"]);
}

#[test]
fn run_folders_are_not_shared_nor_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(spiketrain(dir.path(), &tiny(&["--out", "run"])).0, 0);
    let before = fs::read(dir.path().join("run/result.json")).unwrap();
    refused(dir.path(), &tiny(&["--out", "run"]), 2, &["not empty", "--resume run"]);
    assert_eq!(fs::read(dir.path().join("run/result.json")).unwrap(), before);
    fs::write(dir.path().join("file"), "").unwrap();
    refused(dir.path(), &tiny(&["--out", "file"]), 2, &["a file, not a folder"]);
    refused(dir.path(), &tiny(&["--out", "file/run"]), 4, &["file/run"]);
    if cfg!(target_os = "linux") {
        refused(dir.path(), &tiny(&["--out", "/proc/spiketrain"]), 4, &["/proc/spiketrain"]);
    }
    // A weights-only file and a checkpoint of another network in place of the newest.
    let newest = dir.path().join("run/checkpoint-8.ckpt");
    fs::copy(dir.path().join("run/last.ckpt"), &newest).unwrap();
    refused(dir.path(), &["train", "--resume", "run"], 2, &["checkpoint-8.ckpt", "weights only"]);
    let mut other = tiny(&["--out", "other"]);
    other[1] = "--net=6C3-MP4-10Voting";
    assert_eq!(spiketrain(dir.path(), &other).0, 0);
    fs::copy(dir.path().join("other/checkpoint-8.ckpt"), &newest).unwrap();
    refused(dir.path(), &["train", "--resume", "run"], 2, &["checkpoint-8.ckpt", "other options: net"]);
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(spiketrain(dir.path(), &tiny(&["--out", "run"])).0, 0);
    let (newest, before) = (dir.path().join("run/checkpoint-8.ckpt"), dir.path().join("run/checkpoint-4.ckpt"));
    let want = json(&dir.path().join("run/result.json"))["weights_sha256"].clone();
    let mut bytes = fs::read(&newest).unwrap();
    let at = bytes.len() - 300;
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&newest, &bytes).unwrap();
    refused(dir.path(), &["eval", newest.to_str().unwrap()], 2, &["checkpoint-8.ckpt: byte"]);
    let (code, _, err) = spiketrain(dir.path(), &["train", "--resume", "run"]);
    assert!(code == 0 && err.contains("warning: cannot use") && err.contains("step 4"), "{err}");
    assert_eq!(json(&dir.path().join("run/result.json"))["weights_sha256"], want);
    for path in [&newest, &before] {
        fs::write(path, "").unwrap();
    }
    refused(
        dir.path(),
        &["train", "--resume", "run"],
        2,
        &["no checkpoint in this folder is usable", "checkpoint-4.ckpt", "checkpoint-8.ckpt"],
    );
}

#[test]
fn growing_gradients_stop_the_run_and_name_layer_and_step() {
    let dir = tempfile::tempdir().unwrap();
    let args = [
        "train",
        "-T",
        "64",
        "--alpha",
        "1",
        "--threshold",
        "0.01",
        "--train-limit",
        "64",
        "--batch",
        "32",
        "--warm-up",
        "none",
        "--out",
        "run",
    ];
    refused(dir.path(), &args, 3, &["epoch 1, step", "not finite", "lower --lr or --alpha"]);
}

#[test]
fn a_dry_run_plans_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = spiketrain(dir.path(), &tiny(&["--dry-run"]));
    assert_eq!(code, 0, "{err}");
    for word in ["MAC per step", "memory of a training step", "disk:", "s per epoch", "nothing was written"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
#[cfg(unix)]
fn signals_save_within_a_step_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let long = |out: &'static str| -> Vec<&str> {
        TINY.iter().map(|a| if *a == "--epochs=2" { "--epochs=80" } else { a }).chain(["--out", out]).collect()
    };
    assert_eq!(spiketrain(dir.path(), &long("whole")).0, 0);
    for (signal, code, folder) in [("INT", 130, "interrupted"), ("TERM", 143, "terminated")] {
        let child = command(dir.path(), &long(folder)).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let metrics = dir.path().join(folder).join("metrics.jsonl");
        let since = Instant::now();
        while !metrics.exists() && since.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success());
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let err = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(code), "{err}");
        assert!(err.contains("checkpoint saved") && err.contains(&format!("--resume {folder}")), "{err}");
        assert_eq!(spiketrain(dir.path(), &["train", "--resume", folder, "-j", "1"]).0, 0);
        let hash = |folder: &str| json(&dir.path().join(folder).join("result.json"))["weights_sha256"].clone();
        assert_eq!(hash(folder), hash("whole"));
    }
}

#[test]
fn doctor_passes_here_and_fails_on_a_tampered_fixture() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = spiketrain(dir.path(), &["doctor"]);
    assert!(code == 0 && out.contains(" 0 out of tolerance"), "{out}{err}");
    assert!(out.contains("\nmachine: ") && out.trim_end().ends_with("this machine computes the paper's numbers"), "{out}");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/kernel5_bpta.safetensors");
    let mut bytes = fs::read(source).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let rates = 8 + length + header["rates"]["data_offsets"][0].as_u64().unwrap() as usize;
    bytes[rates..rates + 4].copy_from_slice(&9.0f32.to_le_bytes());
    fs::create_dir(dir.path().join("fixtures")).unwrap();
    fs::write(dir.path().join("fixtures/tampered.safetensors"), bytes).unwrap();
    let (code, out, err) = spiketrain(dir.path(), &["doctor", "--fixtures", "fixtures"]);
    assert!(code == 1 && out.contains("tampered") && out.contains("OUT OF TOLERANCE"), "{out}{err}");
}

#[test]
fn a_plan_beyond_the_memory_is_refused_before_any_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    // 2^31 parameters are allowed, and need 34 GB; where there are more, the network is merely large.
    let enough = fs::read_to_string("/proc/meminfo").ok().is_none_or(|m| {
        let kb = m.lines().find_map(|l| l.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kb.is_none_or(|kb| kb > 33_000_000)
    });
    if enough {
        println!("SKIPPED: this machine has the memory, or does not tell");
        return;
    }
    refused(dir.path(), &["train", "--net", "400000FC-4000FC-10Voting"], 5, &["this machine has", "choose"]);
}

#[test]
fn less_memory_gives_the_same_weights_or_says_which_batch_would_fit() {
    let dir = tempfile::tempdir().unwrap();
    let run = |more: &[&'static str]| -> Vec<&str> {
        let net = [
            "train",
            "--net=8C3-16C3-16C3-16C3-16C3-MP4-10Voting",
            "-T8",
            "--epochs=1",
            "--train-limit=64",
            "--test-limit=20",
            "--batch=16",
        ];
        net.into_iter().chain(more.iter().copied()).collect()
    };
    let sha = |more: &[&'static str]| {
        let (code, out, err) = spiketrain(dir.path(), &run(more));
        assert_eq!(code, 0, "{out}{err}");
        out.lines().find(|l| l.starts_with("weights sha256")).map(str::to_string).unwrap()
    };
    assert_eq!(sha(&["--out=whole"]), sha(&["--out=less", "--memory=46M"]));
    assert_eq!(sha(&["--out=looks", "--credit-every=1", "--memory=100M"]), sha(&["--out=none", "--credit-every=0"]));
    let (code, plan, _) = spiketrain(dir.path(), &run(&["--dry-run", "--memory=46M"]));
    assert!(code == 0 && plan.contains("recomputed to save memory: 8C3"), "{plan}");
    refused(dir.path(), &run(&["--memory=30M"]), 5, &["--memory", "at most", "-b "]);
    refused(dir.path(), &run(&["--memory=1M"]), 5, &["--memory", "a smaller network"]);
}

#[test]
fn a_run_keeps_the_instruction_set_it_began_with() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, err) = spiketrain(dir.path(), &tiny(&["--out=run", "--isa=portable"]));
    assert_eq!(code, 0, "{err}");
    let config = dir.path().join("run/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("isa = \"portable\""), "{text}");
    fs::write(dir.path().join("other.toml"), text.replace("portable", "widest")).unwrap();
    refused(dir.path(), &["train", "--config", "other.toml"], 2, &["isa"]);
}

#[test]
fn bench_measures_the_instruction_set_that_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let here: Vec<_> = Isa::available().iter().map(|isa| isa.name()).collect();
    for set in InstructionSet::ALL.map(InstructionSet::name) {
        let args = ["bench", "--net=4C3-MP4-10Voting", "--shape=1x8x8", "-T=2", "-b=2", "--steps=1", "--json", "--isa", set];
        if !here.contains(&set) {
            refused(dir.path(), &args, 2, &["--isa", "does not have", set, &here.join(", ")]);
            continue;
        }
        for kind in [&[][..], &["--infer"]] {
            let (code, out, err) = spiketrain(dir.path(), &[&args, kind].concat());
            assert_eq!(code, 0, "{set}: {err}");
            out.lines().for_each(|line| assert_eq!(serde_json::from_str::<Value>(line).unwrap()["isa"], set, "{line}"));
            assert!(!out.is_empty(), "{set} {kind:?}");
        }
    }
    assert!(here.contains(&"portable"));
}

#[test]
fn a_closed_standard_error_does_not_stop_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let child = command(dir.path(), &tiny(&["--out", "run"])).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut child = child;
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert!(dir.path().join("run/result.json").exists());
}

/// A finished run goes on for longer as if it had been stopped there, and says so in its config.toml.
#[test]
fn a_finished_run_may_get_more_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let (code, _, err) = spiketrain(dir.path(), &[&["train"], more].concat());
        assert_eq!(code, 0, "{err}");
        err
    };
    let tiny = [&TINY[1..], &["--schedule=constant", "--warm-up=none"]].concat();
    let tiny: Vec<&str> = tiny.into_iter().filter(|a| !a.starts_with("--epochs") && !a.starts_with("--time-steps")).collect();
    run(&[&tiny[..], &["-T", "2:1,3:3", "--out", "whole"]].concat());
    run(&[&tiny[..], &["-T", "2:1,3:1", "--out", "longer"]].concat());
    run(&["--resume", "longer", "--epochs", "4"]);
    let sha = |name: &str| json(&dir.path().join(name).join("result.json"))["weights_sha256"].clone();
    assert_eq!(sha("longer"), sha("whole"));
    let config = fs::read_to_string(dir.path().join("longer/config.toml")).unwrap();
    assert!(config.contains("epochs = 4") && config.contains("\"2:1,3:3\""), "{config}");
    // From here on it is a run of four epochs like others.
    run(&["--resume", "longer"]);
    let (code, _, err) = spiketrain(dir.path(), &["train", "--resume", "longer", "--epochs", "3"]);
    assert!(code == 2 && err.contains("more, not fewer"), "{err}");
}

#[test]
fn programs_get_lines_of_json_and_the_quiet_are_told_warnings_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = spiketrain(dir.path(), &tiny(&["--threshold=0.05", "--json", "--out", "json"]));
    assert_eq!(code, 0, "{err}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let metrics = fs::read_to_string(dir.path().join("json/metrics.jsonl")).unwrap();
    let kept: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[..2], kept[..]);
    assert_eq!(lines[2], json(&dir.path().join("json/result.json")));
    let (code, out, err) = spiketrain(dir.path(), &tiny(&["--threshold=0.05", "--quiet", "--out", "quiet"]));
    assert!(code == 0 && out.contains("test accuracy after the last epoch"), "{out}");
    assert!(err.lines().all(|line| line.starts_with("warning")), "{err}");
}

/// A folder val/ is what the best epoch is chosen by, without a word on the command line.
#[test]
fn a_folder_for_validation_chooses_the_best_epoch() {
    let dir = tempfile::tempdir().unwrap();
    for (split, n) in [("train", 16), ("val", 4), ("test", 3)] {
        for (class, from) in [("dark", 0u32), ("light", 200)] {
            let folder = dir.path().join("set").join(split).join(class);
            fs::create_dir_all(&folder).unwrap();
            for i in 0..n {
                let pixel = |x: u32, y: u32| image::Luma([(from + (x * y + 7 * i) % 50) as u8]);
                image::GrayImage::from_fn(6, 6, pixel).save(folder.join(format!("{i}.png"))).unwrap();
            }
        }
    }
    let train = |out: &str, more: &[&str]| {
        let small = [
            "train",
            "--dataset",
            "images",
            "set",
            "--grey",
            "--net",
            "2C3-AP2-2Voting",
            "-T",
            "2",
            "-b",
            "8",
            "--epochs",
            "2",
            "--warm-up",
            "none",
        ];
        spiketrain(dir.path(), &[&small[..], &["--out", out], more].concat())
    };
    let result = |out: &str| json(&dir.path().join(out).join("result.json"));
    let (code, _, err) = train("chosen", &[]);
    assert!(code == 0 && err.contains("validation: the 8 samples in val"), "{err}");
    let r = result("chosen");
    assert_eq!((&r["train_samples"], &r["validation_samples"], &r["test_samples"]), (&Value::from(32), &Value::from(8), &Value::from(6)));
    assert!(r["selected_by"] == "validation" && r["selected_validation_accuracy"].is_number(), "{r}");
    let (code, _, err) = train("held", &["--val-split", "0.25"]);
    assert!(
        code == 2 && err.contains("--val-split 0.25: ") && err.contains("8 samples for validation") && err.contains("leave it out"),
        "{err}"
    );
    assert_eq!((train("last", &["--best-on", "last"]).0, result("last")["selected_by"].as_str()), (0, Some("last")));
    // Which weights there are does not depend on it.
    assert_eq!(result("last")["weights_sha256"], r["weights_sha256"]);
    fs::remove_dir_all(dir.path().join("set/val")).unwrap();
    let (code, _, err) = train("none", &["--best-on", "validation"]);
    assert!(code == 2 && err.contains("no validation samples to choose on") && err.contains("a folder val"), "{err}");
}
