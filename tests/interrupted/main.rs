//! The command killed, told to stop, started twice, on a full disk, on a failing one, and with too little memory: no run is lost.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

use spiketrain::checkpoint;
use spiketrain::storage::Disk;

#[path = "../command/mod.rs"]
mod command;
mod memory;
mod system;
#[path = "../tiny/mod.rs"]
mod tiny;

use command::{End, ended, said, start_or_resume, undisturbed, wait_for};
use tiny::{random, scratch, soak};

#[test]
fn killed_at_random_instants_and_resumed_until_done_it_ends_in_the_same_bytes() {
    let dir = scratch();
    let since = Instant::now();
    let want = undisturbed(dir.path(), &[]);
    let whole = since.elapsed().as_secs_f64();
    let (cases, mut kills) = (25 * soak(), 0);
    for case in 0..cases {
        let mut rng = random(21, case);
        let mut sessions = 0;
        loop {
            let mut child = start_or_resume(dir.path(), "run", &[]).spawn().unwrap();
            sessions += 1;
            // The later the session, the more time it gets, so that there is an end to it.
            let patience = whole * (0.3 + 0.1 * f64::from(sessions)) * f64::from(rng.unit());
            sleep(Duration::from_secs_f64(patience));
            if let Some(status) = child.try_wait().unwrap() {
                let (code, text) = ended(child.wait_with_output().unwrap());
                assert_eq!(code, Some(0), "case {case}, session {sessions}, {status}: {text}");
                assert!(!text.contains("warning"), "case {case}: {text}");
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        let run = dir.path().join("run");
        assert_eq!(End::of(&run), want, "case {case}");
        std::fs::remove_dir_all(&run).unwrap();
    }
    println!("{cases} cases: runs killed {kills} times");
    assert!(kills >= cases, "{kills}");
}

/// A run too long to end by itself here.
const LONG: [&str; 2] = ["--epochs=2000", "--eval-every=1000"];

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Whether a signal still waits for the child, where the system tells (Linux).
fn pending(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    status.lines().filter_map(|l| l.strip_prefix("ShdPnd:")).any(|mask| mask.trim().contains(|c| c != '0'))
}

/// Exit code and text of a child that has to end within ten seconds.
fn soon_ended(mut child: Child) -> (Option<i32>, String) {
    wait_for("the end", || child.try_wait().unwrap().is_some());
    ended(child.wait_with_output().unwrap())
}

fn newest(run: &Path) -> u64 {
    checkpoint::steps(&Disk, run).map_or(0, |steps| steps.first().copied().unwrap_or(0))
}

#[test]
fn a_signal_saves_and_stops_and_the_run_goes_on_from_there() {
    let dir = scratch();
    let run = dir.path().join("run");
    let cases = 20 * soak();
    for case in 0..2 * cases {
        let (name, code) = if case % 2 == 0 { ("INT", 130) } else { ("TERM", 143) };
        let before = newest(&run);
        let child = start_or_resume(dir.path(), "run", &LONG).spawn().unwrap();
        wait_for("a step", || newest(&run) > before);
        sleep(Duration::from_millis(random(22, case).below(30) as u64));
        signal(&child, name);
        let (ended, text) = soon_ended(child);
        assert_eq!(ended, Some(code), "case {case}: {text}");
        let step: u64 = text.split("stopped after step ").nth(1).and_then(|t| t.split(',').next()).unwrap().parse().unwrap();
        assert!(step == newest(&run) && step > before, "case {case}: {text}");
        assert!(before == 0 || text.contains(&format!("step {before}, ")), "case {case}: does not go on from step {before}: {text}");
        let found = checkpoint::load_newest(&Disk, &run).unwrap();
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    }
    println!("{cases} cases of SIGINT, {cases} of SIGTERM");
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let dir = scratch();
    let cases = 20 * soak();
    let mut slowest = Duration::ZERO;
    for case in 0..cases {
        // Steps of many seconds.
        let slow = ["--engine=reference", "--net=16C15-16C15-MP7-10Voting", "--time-steps=8", "--train-limit=64", "--batch=32"];
        let out = format!("run-{case}");
        let child = start_or_resume(dir.path(), &out, &slow).spawn().unwrap();
        let run = dir.path().join(&out);
        let begun =
            || std::fs::read_dir(&run).is_ok_and(|mut names| names.any(|n| n.unwrap().file_name().to_string_lossy().contains("tfevents")));
        wait_for("the first step", begun);
        sleep(Duration::from_millis(20));
        let (first, second, code) = if case % 2 == 0 { ("INT", "TERM", 143) } else { ("TERM", "INT", 130) };
        signal(&child, first);
        // Of two signals that wait together, the handler of the second runs first.
        wait_for("the first signal to be taken", || !pending(&child));
        sleep(Duration::from_millis(20 + random(23, case).below(30) as u64));
        signal(&child, second);
        let since = Instant::now();
        let (ended, text) = soon_ended(child);
        slowest = slowest.max(since.elapsed());
        assert_eq!(ended, Some(code), "case {case}: {text}");
        assert!(!text.contains("checkpoint saved"), "case {case}: the step was over before the second signal: {text}");
        assert!(since.elapsed() < Duration::from_secs(2), "case {case}: {:?}", since.elapsed());
    }
    println!("{cases} cases, the slowest took {} ms", slowest.as_millis());
}

#[test]
fn a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on() {
    let dir = scratch();
    let run = dir.path().join("run");
    let first = start_or_resume(dir.path(), "run", &LONG).spawn().unwrap();
    wait_for("a step", || newest(&run) > 0);
    let cases = 20 * soak();
    for case in 0..cases {
        let (code, text) = said(&mut command::command(dir.path(), &["train", "--resume", "run"]));
        assert!(code == Some(4) && text.contains("another spiketrain process is using this folder"), "case {case}: {text}");
    }
    let saved = newest(&run);
    wait_for("a further step", || newest(&run) > saved);
    signal(&first, "INT");
    assert_eq!(soon_ended(first).0, Some(130));
    // Two that begin at the same moment: one has the folder.
    let want = undisturbed(dir.path(), &[]);
    for case in 0..cases {
        let commands = [0, 1].map(|_| start_or_resume(dir.path(), "race", &[]));
        let both = commands.map(|mut command| command.spawn().unwrap());
        let mut codes = both.map(soon_ended);
        codes.sort();
        let (won, lost) = (&codes[0], &codes[1]);
        assert!(won.0 == Some(0) && matches!(lost.0, Some(2 | 4)), "case {case}: {codes:?}");
        assert!(lost.1.contains("is using this folder") || lost.1.contains("not empty"), "case {case}: {}", lost.1);
        assert_eq!(End::of(&dir.path().join("race")), want, "case {case}");
        std::fs::remove_dir_all(dir.path().join("race")).unwrap();
    }
    println!("{cases} cases of a second run, {cases} of two that begin together");
}
