//! Too little memory: refused before any work, or the run ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{at_home, command, said};
use crate::tiny::{scratch, soak};

/// A step takes some 60 MB.
const RUN: [&str; 9] = [
    "train",
    "--net=16C3-16C3-MP4-10Voting",
    "-T16",
    "--epochs=1",
    "--train-limit=64",
    "--test-limit=20",
    "--batch=32",
    "--out=run",
    "-j2",
];

#[test]
fn what_does_not_fit_into_the_memory_allowed_is_refused_before_any_work() {
    let dir = scratch();
    let (mut cases, mut refused) = (0, 0);
    for mb in (4..=80).step_by(4) {
        let (code, text) = said(&mut command(dir.path(), &[&RUN[..], &[&format!("--memory={mb}M")]].concat()));
        if code == Some(0) {
            fs::remove_dir_all(dir.path().join("run")).unwrap();
        } else {
            refused += 1;
            assert!(code == Some(5) && text.contains("--memory") && text.contains("remedy"), "{mb} MB: {text}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{mb} MB: {text}");
        }
        cases += 1;
    }
    println!("{cases} cases, {refused} refused");
    assert!(refused > 0 && refused < cases);
}

/// The run with so many KiB of addresses.
fn limited(dir: &Path, kb: u64) -> (Option<i32>, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -v {kb} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_spiketrain")]).args(RUN);
    said(&mut at_home(shell, dir))
}

#[test]
#[cfg(target_os = "linux")]
fn a_limit_of_addresses_ends_in_exit_code_5_or_a_finished_run_never_in_an_abort() {
    let dir = scratch();
    // The least with which the system can load the program at all, and it says something.
    let mut least = 4 << 10;
    while !matches!(limited(dir.path(), least), (Some(0 | 5), _)) {
        least += 1 << 10;
        assert!(least < 1 << 20, "a gigabyte is not enough: {}", limited(dir.path(), least).1);
    }
    let (cases, mut seen) = (20 * soak(), [0; 3]);
    for case in 0..cases {
        let kb = least + (case * case * (400 << 10)) / (cases * cases);
        let _ = fs::remove_dir_all(dir.path().join("run"));
        let (code, text) = limited(dir.path(), kb);
        let what = format!("{kb} KiB: exit {code:?}, {text}");
        assert!(!text.contains("panicked"), "{what}");
        match code {
            Some(0) => seen[0] += 1,
            Some(5) if text.contains("this process may take only") || text.contains("cannot be started") => seen[1] += 1,
            Some(5) => {
                assert!(text.contains("memory allocation of"), "{what}");
                seen[2] += 1;
            }
            _ => panic!("{what}"),
        }
    }
    println!(
        "{cases} cases from {} MiB on: {} finished, {} refused before any work, {} ended within it",
        least >> 10,
        seen[0],
        seen[1],
        seen[2]
    );
    assert!(seen[0] > 0 && seen[0] < cases, "{seen:?}");
}
