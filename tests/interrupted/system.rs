//! The same through the real system calls.

use std::fs;
use std::path::Path;
use std::process::Command;

use spiketrain::checkpoint;
use spiketrain::storage::{Disk, Storage, is_temporary};

use crate::command::{End, at_home, said, start_or_resume, train, undisturbed};
use crate::tiny::{scratch, soak};

/// A file system in memory of so many bytes, until it is dropped.
struct Mounted<'a>(&'a Path);

fn mount(options: &str, at: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
    command.output().is_ok_and(|o| o.status.success())
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).output();
    }
}

/// The newest checkpoint, if there is one, must be sound.
fn check_newest(run: &Path, what: &str) {
    if checkpoint::steps(&Disk, run).is_ok_and(|steps| !steps.is_empty()) {
        let found = checkpoint::load_newest(&Disk, run).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(found.warnings.is_empty(), "{what}: {:?}", found.warnings);
    }
}

#[test]
fn a_full_file_system_stops_the_run_with_its_checkpoint_and_it_goes_on_when_there_is_room() {
    let dir = scratch();
    let disk = dir.path().join("disk");
    fs::create_dir(&disk).unwrap();
    if !mount("size=4k", &disk) {
        println!("SKIPPED: no tmpfs can be mounted here (it takes root)");
        return;
    }
    drop(Mounted(&disk));
    let want = undisturbed(dir.path(), &[]);
    // Pages of 4 KiB; beyond this many the run ends.
    let (cases, mut full) = (16 * soak().min(4), 0);
    for case in 0..cases {
        let pages = 1 + case * 64 / cases;
        assert!(mount(&format!("size={}k", 4 * pages), &disk));
        let mounted = Mounted(&disk);
        let (code, text) = said(&mut start_or_resume(&disk, "run", &[]));
        let run = disk.join("run");
        let what = format!("{pages} pages: {text}");
        if code != Some(0) {
            full += 1;
            assert!(code == Some(4) && text.contains("free some space") && !text.contains("panicked"), "{what}");
            check_newest(&run, &what);
            assert!(!Disk.list(&run).is_ok_and(|names| names.iter().any(|n| is_temporary(n))), "{what}");
        }
        assert!(mount("remount,size=1m", &disk));
        let (code, text) = said(&mut start_or_resume(&disk, "run", &[]));
        assert_eq!(code, Some(0), "{what}, with room: {text}");
        assert_eq!(End::of(&run), want, "{what}");
        drop(mounted);
    }
    println!("{cases} cases: file systems of 4 to 256 KiB, {full} of them too small");
    assert!(full > 0 && full < cases, "{full}");
}

/// System calls that storage is made of. Linux has several names for some.
const CALLS: [&str; 8] =
    ["write", "fsync", "rename,renameat,renameat2", "openat", "unlink,unlinkat", "ftruncate", "mkdir,mkdirat", "statx"];

#[test]
fn an_error_of_any_system_call_leaves_a_checkpoint_and_the_run_ends_in_the_same_bytes() {
    let dir = scratch();
    if !Command::new("strace").args(["-e", "trace=none", "true"]).output().is_ok_and(|o| o.status.success()) {
        println!("SKIPPED: strace is not installed, or not allowed");
        return;
    }
    let short = ["--epochs=1", "--train-limit=32"];
    let want = undisturbed(dir.path(), &short);
    let (mut cases, mut stopped) = (0, 0);
    for call in CALLS {
        for at in 1.. {
            let error = if at % 2 == 0 { "EIO" } else { "ENOSPC" };
            let log = dir.path().join("strace.log");
            let mut strace = Command::new("strace");
            strace.arg("-f").arg("-o").arg(&log).args(["-e", &format!("trace={call}")]);
            strace.args(["-e", &format!("inject={call}:error={error}:when={at}"), env!("CARGO_BIN_EXE_spiketrain")]);
            strace.args(train(&short)).args(["--out", "run", "-j", "1"]);
            let (code, text) = said(&mut at_home(strace, dir.path()));
            let what = format!("{error} at {call} number {at}: exit {code:?}, {text}");
            if !fs::read_to_string(&log).unwrap().contains("INJECTED") {
                assert_eq!(code, Some(0), "{what}");
                fs::remove_dir_all(dir.path().join("run")).unwrap();
                break;
            }
            let run = dir.path().join("run");
            // 127: the system could not load the program.
            assert!(matches!(code, Some(0 | 2 | 4)) || (code == Some(127) && !run.exists()), "{what}");
            assert!(!text.contains("panicked"), "{what}");
            stopped += u64::from(code != Some(0));
            check_newest(&run, &what);
            let (code, text) = said(&mut start_or_resume(dir.path(), "run", &short));
            assert_eq!(code, Some(0), "{what}, then: {text}");
            assert_eq!(End::of(&run), want, "{what}");
            fs::remove_dir_all(&run).unwrap();
            cases += 1;
        }
    }
    println!("{cases} cases of {} kinds of system calls; {stopped} stopped the run, the others could be done without", CALLS.len());
    assert!(cases >= 100, "{cases}");
}
