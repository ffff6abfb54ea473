//! One reader against every cut of its files and many mutants: no panic, little time, little memory.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use spiketrain::error::{Error, Kind};

use super::memory::peak;
use super::mutate::mutant;

/// Longest run.
const TIME: Duration = Duration::from_millis(50);
/// What every reader may take.
pub const FREE: usize = 64 << 10;
/// How often a run that seems long is repeated, with the thread's own time taken: on a loaded machine any one may seem so.
const AGAIN: usize = 5;
/// Mutants of a reader in a CI run; `SPIKETRAIN_SOAK` multiplies them.
const MUTANTS: u64 = 50_000;

/// A reader: gives its error, if it has one.
pub type Reader<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Error>;

/// How a reader is tried.
pub struct Trial {
    /// For messages, and (by its letters) the seed.
    pub name: &'static str,
    /// Bytes it may take for an input of so many.
    pub memory: fn(usize) -> usize,
    /// Makes the checksums right again; every second mutant is mended, so that what stands behind them is met.
    pub mend: Option<fn(&mut Vec<u8>)>,
}

/// 64 KiB and four times the input.
pub fn four_times(input: usize) -> usize {
    FREE + 4 * input
}

impl Trial {
    /// A trial of [`MUTANTS`] within [`four_times`].
    pub const fn of(name: &'static str) -> Trial {
        Trial { name, memory: four_times, mend: None }
    }

    /// Cuts and mutates `files`, which `read` must accept as they are.
    pub fn run(&self, files: &[Vec<u8>], read: Reader) {
        for file in files {
            if let Err(e) = read(file) {
                panic!("{}: a good file is refused: {e}", self.name);
            }
        }
        let mut worst = Worst::default();
        let mut cuts = 0;
        for (which, file) in files.iter().enumerate() {
            for length in 0..file.len() {
                self.one(&file[..length], read, &mut worst, || format!("file {which} cut after {length} bytes"));
                cuts += 1;
            }
        }
        let seed = self.name.bytes().fold(0u64, |n, b| n.wrapping_mul(31).wrapping_add(b.into()));
        let mutants = MUTANTS * soak();
        for index in 0..mutants {
            let mut bytes = mutant(files, seed, index);
            if let Some(mend) = self.mend.filter(|_| index % 2 == 1) {
                mend(&mut bytes);
            }
            self.one(&bytes, read, &mut worst, || format!("mutant {index} of seed {seed}"));
        }
        let Worst { time, memory, input, good } = worst;
        println!(
            "{}: {} cases ({cuts} cuts, {mutants} mutants, {good} of them readable); longest {:.1} ms, most memory {memory} bytes for {input}",
            self.name,
            cuts + mutants,
            1e3 * time.as_secs_f64()
        );
    }

    fn one(&self, bytes: &[u8], read: Reader, worst: &mut Worst, case: impl Fn() -> String) {
        let start = Instant::now();
        let (outcome, taken) = peak(|| catch_unwind(AssertUnwindSafe(|| read(bytes))));
        let mut time = start.elapsed();
        let kept = || keep(self.name, bytes);
        let Ok(result) = outcome else { panic!("{}: {} panicked; {}", self.name, case(), kept()) };
        for _ in 0..AGAIN {
            if time > TIME / 10 {
                time = time.min(thread_time(|| drop(read(bytes))));
            }
        }
        assert!(time <= TIME, "{}: {} took {time:?}; {}", self.name, case(), kept());
        let allowed = (self.memory)(bytes.len());
        assert!(taken <= allowed, "{}: {} took {taken} bytes for {}, allowed are {allowed}; {}", self.name, case(), bytes.len(), kept());
        match result {
            Ok(()) => worst.good += 1,
            Err(e) if matches!(e.kind, Kind::Format | Kind::Usage | Kind::Memory) => {}
            Err(e) => panic!("{}: {}: {:?}: {e}; {}", self.name, case(), e.kind, kept()),
        }
        worst.time = worst.time.max(time);
        if taken > worst.memory {
            (worst.memory, worst.input) = (taken, bytes.len());
        }
    }
}

#[derive(Default)]
struct Worst {
    time: Duration,
    memory: usize,
    input: usize,
    good: u64,
}

/// Puts a file that a reader failed on where it can be looked at.
fn keep(name: &str, bytes: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("spiketrain-hostile-{}", name.replace([' ', '/'], "-")));
    fs::write(&path, bytes).map_or_else(|e| format!("not kept: {e}"), |()| format!("kept as {}", path.display()))
}

/// Time that this thread itself ran, where the system tells (Linux); else what went by.
fn thread_time(work: impl FnOnce()) -> Duration {
    let ran = || {
        let text = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    };
    let (before, start) = (ran(), Instant::now());
    work();
    before.zip(ran()).map_or_else(|| start.elapsed(), |(before, after)| after - before)
}

/// By how much the numbers of cases are multiplied.
pub fn soak() -> u64 {
    std::env::var("SPIKETRAIN_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// A folder in memory, where this machine has one.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A file that is written again and again: for readers that only take paths.
pub struct Scratch {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Scratch {
    /// One of this name, in a folder of its own.
    pub fn new(name: &str) -> Scratch {
        let dir = folder();
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Scratch { dir, path }
    }
    /// Writes it, and gives its path.
    pub fn put(&self, bytes: &[u8]) -> &Path {
        fs::write(&self.path, bytes).unwrap();
        &self.path
    }
    /// The folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}
