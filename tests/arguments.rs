//! Whatever the words on the command line and in config.toml, the answer is a documented exit code and never a panic.
//!
//! Options are those that clap knows. Options that decide how long a command takes get small good values, or bad ones.

#[path = "arguments/pool.rs"]
mod pool;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use spiketrain::cli;
use spiketrain::events::{Event, nmnist};
use spiketrain::rng::{Purpose, Rng};

/// Cases of a CI run; `SPIKETRAIN_SOAK` multiplies them.
const CASES: u64 = 500;
const WORKERS: u64 = 2;
const SEED: u64 = 6;
/// Longest time of a case, in time that it ran itself where the system tells (Linux): on a loaded machine more goes by.
const TIME: Duration = Duration::from_secs(60);
/// So much may go by at most.
const PATIENCE: Duration = Duration::from_secs(1200);
/// Codes that the help promises, without 1 (a bug) and those of signals.
const DOCUMENTED: [i32; 5] = [0, 2, 3, 4, 5];
/// Options without which a command would run long, and their values.
const SMALL: [(&str, &str); 7] = [
    ("net", "2C3-MP4-10Voting"),
    ("time-steps", "2"),
    ("batch", "8"),
    ("epochs", "1"),
    ("train-limit", "16"),
    ("test-limit", "8"),
    ("steps", "1"),
];
/// Options that take a command out of reach of small ones, or onto the net.
const LEFT_OUT: [&str; 2] = ["full", "what"];

fn command(dir: &Path) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    c.current_dir(dir.join("work")).env("HOME", dir.join("home")).env("TMPDIR", dir.join("tmp"));
    c.env("SPIKETRAIN_DATA", dir.join("work/data")).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    c
}

/// A place to run in: a run, a picture, a recording and folders of both.
fn playground() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let work = dir.path().join("work");
    for folder in ["work/data", "work/images/a", "work/images/b", "work/events/a", "work/events/b", "home", "tmp"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let events: Vec<Event> = (0..50u64).map(|i| Event { t: 9 * i, x: (i % 12) as u16, y: (i * 5 % 12) as u16, on: i % 3 == 0 }).collect();
    for i in 0..6 {
        for class in ["a", "b"] {
            fs::write(work.join(format!("events/{class}/{i}.bin")), nmnist::write(&events).unwrap()).unwrap();
            image::GrayImage::from_pixel(8, 8, image::Luma([40 * i])).save(work.join(format!("images/{class}/{i}.png"))).unwrap();
        }
    }
    fs::copy(work.join("events/a/0.bin"), work.join("recording.bin")).unwrap();
    fs::copy(work.join("images/a/1.png"), work.join("picture.png")).unwrap();
    fs::write(work.join("config.toml"), "epochs = 1\nnet = \"2C3-MP4-10Voting\"\n").unwrap();
    let mut train = command(dir.path());
    train.args(["train", "--out", "run", "-j1"]);
    train.args(SMALL.iter().filter(|(name, _)| *name != "steps").map(|(name, value)| format!("--{name}={value}")));
    let out = train.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    dir
}

/// A command, from the top down to one without further commands.
fn pick<'c>(top: &'c clap::Command, rng: &mut Rng, words: &mut Vec<OsString>) -> Vec<&'c clap::Command> {
    let mut path = vec![top];
    loop {
        let below: Vec<&clap::Command> = path[path.len() - 1].get_subcommands().filter(|c| c.get_name() != "help").collect();
        if below.is_empty() || rng.below(50) == 0 {
            return path;
        }
        let next = below[rng.below(below.len())];
        words.push(next.get_name().into());
        path.push(next);
    }
}

/// Words for one option; empty, if it is left out.
fn words_for(arg: &clap::Arg, wanted: bool, rng: &mut Rng) -> Vec<OsString> {
    let name = arg.get_id().as_str().replace('_', "-");
    let small = SMALL.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    let (kept, bad) = (wanted || small.is_some() || rng.below(6) == 0, rng.below(12) == 0);
    if !kept || LEFT_OUT.contains(&name.as_str()) || ["help", "version"].contains(&name.as_str()) && rng.below(40) > 0 {
        return Vec::new();
    }
    let value = match (bad, pool::good(&name, rng), small) {
        (true, ..) => pool::absurd(&name, rng),
        (false, Some(_), Some(small)) if rng.below(2) == 0 => small.into(),
        (false, Some(good), _) => good.into(),
        (false, None, _) => pool::absurd(&name, rng),
    };
    let takes = arg.get_action().takes_values();
    let mut words = Vec::new();
    match (arg.get_long(), arg.get_short()) {
        (_, Some(short)) if rng.below(2) == 0 => words.push(format!("-{short}").into()),
        (Some(long), _) => words.push(format!("--{long}").into()),
        (None, Some(short)) => words.push(format!("-{short}").into()),
        (None, None) => {}
    }
    if takes {
        // A name with its folder are two words.
        let two = value.to_str().filter(|_| ["dataset", "source"].contains(&name.as_str())).and_then(|v| v.split_once(' '));
        match two {
            Some((a, b)) => words.extend([a.into(), b.into()]),
            None => words.push(value),
        }
    }
    words
}

/// Arguments number `index`.
fn arguments(top: &clap::Command, index: u64) -> Vec<OsString> {
    let mut rng = Rng::at(SEED, Purpose::Test, 3, index);
    let mut words = Vec::new();
    let path = pick(top, &mut rng, &mut words);
    for command in path {
        let positional = command.get_positionals().flat_map(|a| words_for(a, rng.below(10) > 0, &mut rng)).collect::<Vec<_>>();
        // Positional words first: an option of one or two values would swallow them.
        words.extend(positional);
        let mut options: Vec<Vec<OsString>> = command.get_opts().map(|a| words_for(a, a.is_required_set(), &mut rng)).collect();
        options.extend(command.get_arguments().filter(|a| !a.get_action().takes_values()).map(|a| words_for(a, false, &mut rng)));
        let order = rng.permutation(options.len());
        order.iter().for_each(|&i| words.append(&mut options[i as usize]));
    }
    spoil(&mut words, &mut rng);
    let first = words.first().and_then(|w| w.to_str()).unwrap_or("").to_string();
    if first == "data" && words.iter().any(|w| w == "download") && !words.iter().any(|w| w == "--mirror") {
        words.extend(["--mirror".into(), "http://127.0.0.1:1/".into()]);
    }
    if first == "doctor" && !words.iter().any(|w| w == "--fixtures") {
        words.extend(["--fixtures".into(), "nowhere".into()]);
    }
    words
}

/// One in ten: a word twice, gone, or somewhere else.
fn spoil(words: &mut Vec<OsString>, rng: &mut Rng) {
    // What keeps a command short stays.
    let free = |w: &OsString| !SMALL.iter().any(|(name, _)| w.to_str().is_some_and(|w| w.contains(name)));
    if words.len() < 3 || rng.below(10) > 0 {
        return;
    }
    let at = 1 + rng.below(words.len() - 1);
    if free(&words[at]) && free(&words[at - 1]) {
        let word = words[at].clone();
        match rng.below(2) {
            0 => words.push(word),
            _ => words.insert(1 + rng.below(words.len() - 1), word),
        }
    }
}

/// A config.toml of random keys and values; small where that matters.
fn random_toml(top: &clap::Command, index: u64) -> String {
    let mut rng = Rng::at(SEED, Purpose::Test, 4, index);
    let train = top.find_subcommand("train").unwrap();
    let mut text = String::new();
    for arg in train.get_opts().filter(|a| !["config", "out", "resume", "threads", "memory"].contains(&a.get_id().as_str())) {
        let name = arg.get_id().as_str().replace('_', "-");
        let small = SMALL.iter().find(|(n, _)| *n == name);
        if small.is_none() && rng.below(8) > 0 {
            continue;
        }
        let value = if rng.below(8) > 0 {
            pool::good(&name, &mut rng).unwrap_or("true").to_string()
        } else {
            pool::absurd(&name, &mut rng).to_string_lossy().into_owned()
        };
        let written = match rng.below(12) {
            0 => format!("[{value}]"),
            1 => format!("{{ a = {value:?} }}"),
            _ if value.parse::<f64>().is_ok_and(f64::is_finite) || ["true", "false"].contains(&value.as_str()) => value,
            _ => format!("{value:?}"),
        };
        text += &format!("{name} = {written}\n");
    }
    text
}

/// Time that a child ran on any core, from its `stat`: fields 14 and 15, in hundredths of a second.
fn ran(child: &Child) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(Duration::from_millis(10 * (fields.next()?.ok()? + fields.next()?.ok()?)))
}

/// Runs a case; gives its exit code.
fn answer(dir: &Path, words: &[OsString], case: &str) -> i32 {
    let start = Instant::now();
    let log = dir.join("said");
    let file = fs::File::create(&log).unwrap();
    let mut child = command(dir).args(words).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if ran(&child).unwrap_or(start.elapsed()) > TIME || start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{case}: {words:?} still runs after {TIME:?}: {}", String::from_utf8_lossy(&fs::read(&log).unwrap()));
        }
        thread::sleep(Duration::from_millis(2));
    };
    let said = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
    let code = status.code().unwrap_or_else(|| panic!("{case}: {words:?} ended by {status}: {said}"));
    assert!(DOCUMENTED.contains(&code) && !said.contains("panicked"), "{case}: {words:?} ended with {code}: {said}");
    code
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<OsString> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn any_words_are_answered_with_a_documented_code() {
    let cases = CASES * std::env::var("SPIKETRAIN_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (next, codes) = (AtomicU64::new(0), Mutex::new(BTreeMap::<i32, usize>::new()));
    let top = {
        let mut top = cli::command();
        top.build();
        top
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (root, package) = (names(Path::new("/")), names(here));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let dir = playground();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= cases {
                        break;
                    }
                    fs::write(dir.path().join("work/random.toml"), random_toml(&top, index)).unwrap();
                    let words = match index % 4 {
                        0 => ["train", "--config", "random.toml", "-j1", "--out", "out"].map(OsString::from).to_vec(),
                        _ => arguments(&top, index),
                    };
                    let code = answer(dir.path(), &words, &format!("case {index} of seed {SEED}"));
                    *codes.lock().unwrap().entry(code).or_default() += 1;
                    let _ = fs::remove_dir_all(dir.path().join("work/out"));
                    assert_eq!(
                        names(&dir.path().join("home")),
                        Vec::<OsString>::new(),
                        "case {index}: {words:?} wrote into the home folder"
                    );
                }
                assert_eq!(names(&dir.path().join("tmp")), Vec::<OsString>::new(), "temporary files are left");
            });
        }
    });
    assert_eq!((names(Path::new("/")), names(here)), (root, package), "something was written elsewhere");
    println!("{cases} cases; by exit code: {:?}", codes.into_inner().unwrap());
}
