//! `spiketrain data prepare` can be killed at any moment and still ends with the same bytes; it says what it found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use spiketrain::events::{Event, aedat3};
use spiketrain::rng::{Purpose, Rng};

/// `recordings` of 20,000 events in each of two classes.
fn recordings(dir: &Path, recordings: u64) {
    for (c, class) in ["left", "right"].into_iter().enumerate() {
        fs::create_dir_all(dir.join(class)).unwrap();
        for i in 0..recordings {
            let mut rng = Rng::at(c as u64, Purpose::Test, i, 0);
            let mut event = |t| Event { t, x: rng.below(128) as u16, y: rng.below(128) as u16, on: rng.below(2) == 1 };
            let events: Vec<Event> = (0..20_000).map(&mut event).collect();
            fs::write(dir.join(class).join(format!("{i:03}.aedat")), aedat3::write(&events, "DVS128").unwrap()).unwrap();
        }
    }
}

/// Long enough that the frames go to the disk in several batches.
const T: [&str; 2] = ["-T", "64"];

fn prepare(set: &Path, cache: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    command.args(["data", "prepare", "events"]).arg(set).arg("--cache").arg(cache).args(more);
    command.env("SPIKETRAIN_DATA", cache).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn done(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The files below a folder, but for the lock.
fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| !p.ends_with(".lock")).collect();
    found.sort();
    found
}

#[test]
fn killed_at_any_moment_it_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let set = dir.path().join("set");
    recordings(&set, 80);
    let (undisturbed, killed) = (dir.path().join("undisturbed"), dir.path().join("killed"));
    let (code, out, err) = done(prepare(&set, &undisturbed, &T));
    assert_eq!(code, 0, "{err}");
    for words in
        ["events: 128 training and 32 test samples of 2 classes, 128x128, T = 64 by number", "bad events  0:", "split       sha256 "]
    {
        assert!(out.contains(words), "no '{words}' in:\n{out}");
    }
    let good = fs::read(&files(&undisturbed.join("events"))[0]).unwrap();
    let (mut kills, mut went_on) = (0, 0);
    for ms in (0..).step_by(10) {
        let mut child = prepare(&set, &killed, &T).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(ms));
        if child.try_wait().unwrap().is_some() {
            let left = files(&killed.join("events"));
            assert!(left.len() == 1 && fs::read(&left[0]).unwrap() == good, "{left:?}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        // Under its own name a cache is whole, whenever that was.
        let left = files(&killed.join("events"));
        let whole: Vec<&PathBuf> = left.iter().filter(|p| p.extension().is_some_and(|e| e == "frames")).collect();
        assert!(left.len() <= 1 && whole.iter().all(|p| fs::read(p).unwrap() == good), "{left:?}");
        if kills % 2 == 1 {
            continue;
        }
        let (code, _, err) = done(prepare(&set, &killed, &T));
        assert_eq!(code, 0, "{err}");
        went_on += usize::from(err.contains("going on after"));
        let left = files(&killed.join("events"));
        assert!(left.len() == 1 && fs::read(&left[0]).unwrap() == good, "after {ms} ms: {left:?}");
        fs::remove_file(&left[0]).unwrap();
    }
    assert!(went_on > 0);
    println!("{kills} kills, {went_on} times it went on from an unfinished file");
}

#[test]
fn a_second_run_checks_and_strict_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let (set, cache) = (dir.path().join("set"), dir.path().join("cache"));
    recordings(&set, 5);
    let (_, first, _) = done(prepare(&set, &cache, &["-T", "4", "--split-by", "time"]));
    assert!(first.contains("T = 4 by time") && first.contains("M events/s"), "{first}");
    let (_, again, _) = done(prepare(&set, &cache, &["-T", "4", "--split-by", "time", "--strict"]));
    assert!(again.contains("was prepared before, checked, and is good"), "{again}");
    let back = [5u64, 4].map(|t| Event { t, x: 1, y: 1, on: true });
    fs::write(set.join("left/000.aedat"), aedat3::write(&back, "DVS128").unwrap()).unwrap();
    let (code, out, err) = done(prepare(&set, &cache, &["-T", "4", "--split-by", "time", "--strict"]));
    assert!(code == 2 && err.contains("left/000.aedat: ") && err.contains("found 1 of 2 (50.00 %)"), "{err}");
    assert!(out.contains("made from other recordings") && out.contains("1 out of order"), "{out}");
    let (code, _, err) = done(prepare(&dir.path().join("nothing"), &cache, &[]));
    assert!(code == 2 && err.contains("no such folder"), "{err}");
}

/// A command of the program in `dir`.
fn spiketrain(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    command.args(args).current_dir(dir).env("SPIKETRAIN_DATA", dir).stdout(Stdio::piped()).stderr(Stdio::piped());
    done(command)
}

#[test]
fn predict_sorts_on_request_and_names_no_class_without_events() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let at = |t, class: u16, i: u64| Event { t, x: 64 * class + (i % 60) as u16, y: (i % 128) as u16, on: i.is_multiple_of(2) };
    let write = |path: &str, events: &[Event]| fs::write(dir.join(path), aedat3::write(events, "DVS128").unwrap()).unwrap();
    for (class, name) in [(0, "left"), (1, "right")] {
        fs::create_dir_all(dir.join("set").join(name)).unwrap();
        for r in 0..5 {
            write(&format!("set/{name}/{r}.aedat"), &(0..400).map(|i| at(10 * i, class, i + r)).collect::<Vec<_>>());
        }
    }
    write("backwards.aedat", &(0..400).map(|i| at(4000 - 10 * i, 1, i)).collect::<Vec<_>>());
    write("sorted.aedat", &(0..400).rev().map(|i| at(4000 - 10 * i, 1, i)).collect::<Vec<_>>());
    fs::write(dir.join("empty.bin"), b"").unwrap();
    let net = ["--net", "4FC-2Voting", "-T", "4", "-b", "4", "--epochs", "1", "--warm-up", "none"];
    let (code, _, err) = spiketrain(dir, &[&["train", "--dataset", "events", "set", "--out", "run"], &net[..]].concat());
    assert_eq!(code, 0, "{err}");

    let (code, _, err) = spiketrain(dir, &["predict", "run", "backwards.aedat"]);
    assert!(code == 2 && err.contains("399 out of order") && err.contains("--sort"), "{err}");
    // What the remedy names is there, and gives what the recording in order gives.
    let rates = |file: &str, more: &[&str]| {
        let (code, out, err) = spiketrain(dir, &[&["predict", "run", "--json", file], more].concat());
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let sorted = rates("backwards.aedat", &["--sort"]);
    assert_eq!((&sorted["rates"], &sorted["bad_events"]), (&rates("sorted.aedat", &[])["rates"], &serde_json::json!(0)));

    let none = rates("empty.bin", &[]);
    assert!(none["class"].is_null() && none["confidence"].is_null() && none["note"] == "no evidence: no events", "{none}");
    for more in [&[][..], &["--stream"]] {
        let (code, out, err) = spiketrain(dir, &[&["predict", "run", "empty.bin"], more].concat());
        assert!(code == 0 && out.contains("no evidence: no events") && !out.contains('%'), "{out}{err}");
    }
}

/// The loader speaks with the voice of its command.
#[test]
fn the_quiet_see_no_progress_of_preparation() {
    let dir = tempfile::tempdir().unwrap();
    let (set, cache) = (dir.path().join("set"), dir.path().join("cache"));
    recordings(&set, 5);
    let (code, out, err) = done(prepare(&set, &cache, &["-T", "2"]));
    assert!(code == 0 && err.contains("preparing"), "{out}{err}");
    let alone = |(code, out, err): (i32, String, String), result: &str| {
        assert!(code == 0 && out.contains(result), "{out}{err}");
        assert!(err.lines().all(|line| line.starts_with("warning")), "{err}");
    };
    alone(done(prepare(&set, &cache, &["-T", "3", "--quiet"])), "prepared in");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
        command.args(arguments).env("SPIKETRAIN_DATA", &cache).current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        done(command)
    };
    let train = ["train", "--dataset", "events", "set", "--net=2C3-MP32-2Voting", "-T=4", "--epochs=1", "--batch=4", "--out=run"];
    alone(run(&[&train[..], &["-q"]].concat()), "test accuracy");
    fs::remove_dir_all(&cache).unwrap();
    alone(run(&["eval", "run", "--quiet"]), "test sample");
}

/// A run that is older than the refusal of recordings out of order needs what the refusal names.
#[test]
fn an_older_run_is_evaluated_and_gone_on_with_when_its_recordings_are_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let write = |turned: bool| {
        for (class, name) in [(0, "left"), (1, "right")] {
            fs::create_dir_all(dir.join("set").join(name)).unwrap();
            for r in 0..5u64 {
                let at = |i: u64| Event { t: 10 * i, x: 64 * class + ((i + r) % 60) as u16, y: (i % 128) as u16, on: i.is_multiple_of(2) };
                let mut events: Vec<Event> = (0..400).map(at).collect();
                if turned {
                    events.reverse();
                }
                fs::write(dir.join("set").join(name).join(format!("{r}.aedat")), aedat3::write(&events, "DVS128").unwrap()).unwrap();
            }
        }
    };
    // In order to begin with: this version trains on nothing else.
    write(false);
    let net = ["--net", "4FC-2Voting", "-T", "4", "-b", "4", "--epochs", "1", "--warm-up", "none"];
    let (code, _, err) = spiketrain(dir, &[&["train", "--dataset", "events", "set", "--out", "run"], &net[..]].concat());
    assert_eq!(code, 0, "{err}");
    write(true);
    let refused = |args: &[&str], words: &[&str]| {
        let (code, out, err) = spiketrain(dir, args);
        assert!(code == 2 && words.iter().all(|w| err.contains(w)), "{args:?}: {out}{err}");
    };
    refused(&["eval", "run"], &["out of order", "--sort"]);
    let (code, out, err) = spiketrain(dir, &["eval", "run", "--sort"]);
    assert!(code == 0 && out.contains("2 test samples") && err.contains("trained without --sort"), "{out}{err}");
    assert!(out.contains("run/last.ckpt") && out.contains("(the last epoch: nothing was selected)"), "{out}");

    refused(&["train", "--resume", "run", "--epochs", "2", "--lr", "0.1"], &["--sort and more --epochs at most"]);
    refused(&["train", "--resume", "run", "--sort"], &["--sort", "finished", "eval --sort"]);
    let (code, _, err) = spiketrain(dir, &["train", "--resume", "run", "--epochs", "2", "--sort"]);
    assert!(code == 0 && err.contains("from here on events are put in the order of their times"), "{err}");
    assert!(fs::read_to_string(dir.join("run/config.toml")).unwrap().contains("sort = true"));
    // From then on it is a run like any other that was trained with it.
    let (code, _, err) = spiketrain(dir, &["train", "--resume", "run", "--epochs", "3"]);
    assert!(code == 0 && !err.contains("from here on"), "{err}");
    assert_eq!(spiketrain(dir, &["eval", "run"]).0, 0);

    let glyphs = ["train", "--out", "pictures", "--net", "1C3-MP7-10Voting", "-T", "1", "--epochs", "1", "--train-limit", "64"];
    assert_eq!(spiketrain(dir, &[&glyphs[..], &["--test-limit", "10"]].concat()).0, 0);
    refused(&["eval", "pictures", "--sort"], &["--sort", "glyphs holds pictures"]);
    refused(&["train", "--resume", "pictures", "--epochs", "2", "--sort"], &["--sort", "glyphs holds pictures"]);
}
