use std::collections::BTreeMap;

use super::*;
use crate::events::read;
use crate::rng::{Purpose, Rng};
use crate::storage::Disk;
use crate::storage::faulty::{Fault, FaultyDisk};

const SHAPE: Chw = Chw::new(1, 8, 8);

/// `[train, test]` pictures of a block at a random place, labels in rounds.
struct Source {
    classes: Vec<String>,
    pixels: [Vec<u8>; 2],
    labels: [Vec<u16>; 2],
}

impl Source {
    fn new(classes: &[&str], numbers: [usize; 2]) -> Self {
        let draw = |split: usize| {
            let picture = |i: usize| {
                let mut rng = Rng::at(1, Purpose::Test, split as u64, i as u64);
                let (x, y) = (rng.below(5), rng.below(5));
                (0..64usize).map(move |p| if (p % 8).wrapping_sub(x) < 4 && (p / 8).wrapping_sub(y) < 4 { 255 } else { 10 })
            };
            (0..numbers[split]).flat_map(picture).collect()
        };
        let labels = numbers.map(|n| (0..n).map(|i| (i % classes.len()) as u16).collect());
        Source { classes: classes.iter().map(|c| c.to_string()).collect(), pixels: [draw(0), draw(1)], labels }
    }

    fn pictures(&self) -> Pictures<'_> {
        let [train, test] = &self.pixels;
        let labels = [&self.labels[0][..], &self.labels[1][..]];
        Pictures { shape: SHAPE, classes: &self.classes, pixels: [train, test], labels, source: "test" }
    }
}

fn run(out: &Path, kind: Kind, source: &Source, seed: u64) -> Result<Report> {
    write(&Disk, out, kind, &source.pictures(), seed, &|_| ())
}

/// All files below a folder but the lock.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with(storage::LOCK) {
                found.insert(path.strip_prefix(dir).unwrap().to_str().unwrap().to_string(), fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn nmnist_has_its_layout_and_says_that_it_is_simulated() {
    let (dir, source) = (tempfile::tempdir().unwrap(), Source::new(&["zero", "one", "two"], [7, 2]));
    let report = run(dir.path(), Kind::NMnist, &source, 1).unwrap();
    assert_eq!((report.recordings, report.kept, report.notes.len()), ([7, 2], 0, 0));
    let files = files(dir.path());
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 10);
    assert!(
        ["SIMULATED.txt", "Train/0/00001.bin", "Train/2/00003.bin", "Train/0/00007.bin", "Test/1/00002.bin"]
            .iter()
            .all(|n| names.contains(n))
    );
    let text = String::from_utf8(files["SIMULATED.txt"].clone()).unwrap();
    for words in ["are simulated", "nmnist", "7 train, 2 test", "zero, one, two", "seed         1", "34x34", "complete"] {
        assert!(text.contains(words), "no '{words}' in {text}");
    }
    let studio = Studio::new(Kind::NMnist.manner(), 1).unwrap();
    let expected = studio.record(&source.pixels[0][5 * 64..6 * 64], (8, 8), 0, 5).unwrap();
    assert_eq!(read(&files["Train/2/00006.bin"], "a.bin").unwrap().events, expected);
}

#[test]
fn a_picture_of_dvs_cifar10_stands_upright_after_the_readers_turn() {
    let (dir, mut source) = (tempfile::tempdir().unwrap(), Source::new(&["cat", "T-shirt/top"], [2, 2]));
    // A bright block in the upper right.
    source.pixels[0][..64].iter_mut().enumerate().for_each(|(p, v)| *v = if p / 8 < 3 && p % 8 >= 4 { 255 } else { 10 });
    let report = run(dir.path(), Kind::DvsCifar10, &source, 1).unwrap();
    assert_eq!(report.notes.len(), 0, "{:?}", report.notes);
    let files = files(dir.path());
    assert!(files.contains_key("T-shirt-top/cifar10_T-shirt-top_1.aedat"), "{:?}", files.keys());
    let mut events = read(&files["cat/cifar10_cat_0.aedat"], "cat").unwrap().events;
    let expected = Studio::new(Kind::DvsCifar10.manner(), 1).unwrap().record(&source.pixels[0][..64], (8, 8), 0, 0).unwrap();
    // As the readers of the set say it: x' = 127-y, y' = 127-x, p' = 1-p.
    events.iter_mut().for_each(|e| (e.x, e.y, e.on) = (127 - e.y, 127 - e.x, !e.on));
    assert_eq!(events, expected);
    let n = events.len() as f64;
    let (x, y) = events.iter().fold((0.0, 0.0), |(x, y), e| (x + f64::from(e.x) / n, y + f64::from(e.y) / n));
    assert!(x > 70.0 && y < 50.0, "the centre of the events is ({x:.0}, {y:.0})");
}

#[test]
fn test_pictures_of_dvs_cifar10_have_the_last_names() {
    let source = Source::new(&["a", "b"], [180, 20]);
    let (jobs, notes) = plan(Kind::DvsCifar10, &source.pictures()).unwrap();
    assert!(notes.is_empty());
    let mut of_a: Vec<&Job> = jobs.iter().filter(|j| j.path.starts_with("a")).collect();
    of_a.sort_by_key(|j| j.path.clone());
    assert_eq!(of_a.len(), 100);
    assert!(of_a.iter().enumerate().all(|(i, j)| j.split == usize::from(i >= 90)));
    assert_eq!(of_a[1].path, Path::new("a/cifar10_a_1.aedat"));
    assert_eq!(of_a[2].path, Path::new("a/cifar10_a_10.aedat"));
    let (_, notes) = plan(Kind::DvsCifar10, &Source::new(&["a", "b"], [10, 10]).pictures()).unwrap();
    assert!(notes.len() == 2 && notes[0].contains("first 9 by name"), "{notes:?}");
}

#[test]
fn a_stopped_run_goes_on_and_leaves_the_same_bytes() {
    let source = Source::new(&["0", "1"], [6, 3]);
    let whole = tempfile::tempdir().unwrap();
    run(whole.path(), Kind::NMnist, &source, 1).unwrap();
    let expected = files(whole.path());
    let mut tried = 0;
    for fault in [Fault::Once, Fault::Forever] {
        for fails_at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let disk = FaultyDisk::new(fault, fails_at);
            let outcome = write(&disk, dir.path(), Kind::NMnist, &source.pictures(), 1, &|_| ());
            if !disk.fired() {
                assert!(outcome.is_ok());
                break;
            }
            tried += 1;
            for (name, bytes) in files(dir.path()) {
                let is_whole = expected.get(&name) == Some(&bytes) || name == SIMULATED;
                assert!(is_whole || storage::is_temporary(name.rsplit('/').next().unwrap()), "{name} is neither whole nor temporary");
            }
            run(dir.path(), Kind::NMnist, &source, 1).unwrap();
            assert_eq!(files(dir.path()), expected, "{fault:?} at operation {fails_at}");
        }
    }
    println!("{tried} faults tried");
    assert!(tried > 40);
    // What is there is kept; what a power cut emptied is made again.
    fs::write(whole.path().join("Train/0/00003.bin"), b"").unwrap();
    fs::remove_file(whole.path().join("Test/1/00002.bin")).unwrap();
    assert_eq!(run(whole.path(), Kind::NMnist, &source, 1).unwrap().kept, 7);
    assert_eq!(files(whole.path()), expected);
}

#[test]
fn recordings_do_not_depend_on_the_number_of_threads() {
    let source = Source::new(&["0", "1", "2"], [11, 4]);
    let of = |threads| {
        let dir = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(dir.path(), Kind::NMnist, &source, 9)).unwrap();
        files(dir.path())
    };
    assert_eq!(of(1), of(5));
}

#[test]
fn folders_of_others_are_left_alone() {
    let (dir, source) = (tempfile::tempdir().unwrap(), Source::new(&["0", "1"], [2, 1]));
    let refused = |kind, source: &Source, seed, words: &str| {
        let e = run(dir.path(), kind, source, seed).unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains(words), "{e}");
    };
    fs::write(dir.path().join("thesis.txt"), "x").unwrap();
    refused(Kind::NMnist, &source, 1, "not simulated");
    assert_eq!(files(dir.path()).len(), 1);
    fs::remove_file(dir.path().join("thesis.txt")).unwrap();
    run(dir.path(), Kind::NMnist, &source, 1).unwrap();
    refused(Kind::NMnist, &source, 2, "other parameters");
    refused(Kind::DvsCifar10, &source, 1, "other parameters");
    refused(Kind::NMnist, &Source::new(&["0", "1"], [3, 1]), 1, "other parameters");
    let lock = storage::lock(dir.path()).unwrap();
    refused(Kind::NMnist, &source, 1, "another process");
    drop(lock);
    let many: Vec<String> = (0..11).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(Kind::NMnist, &Source::new(&many, [11, 0]), 1, "11 classes");
}
