use super::part::{Block, Part};
use super::*;
use crate::data::sets;
use crate::frames::counts;
use crate::rng::{Purpose, Rng};
use crate::storage::faulty::{Fault, FaultyDisk};
use crate::storage::{Disk, Storage};

const SENSOR: Sensor = Sensor { width: 9, height: 7 };
const STEPS: usize = 3;
const KEY: Digest256 = [7; 32];
/// Samples of each recording, in the order in which they are written.
const ORDER: [&[u32]; 4] = [&[4, 0], &[2], &[], &[3, 1, 5]];

fn order() -> Vec<Vec<u32>> {
    ORDER.map(|r| r.to_vec()).to_vec()
}

fn about() -> About {
    About {
        set: sets::EVENTS,
        width: SENSOR.width,
        height: SENSOR.height,
        steps: STEPS,
        split_by: SplitBy::Number,
        classes: vec!["a".into(), "b".into()],
        split_hash: "s".into(),
        validation: 0,
        fingerprint: String::new(),
        simulated: false,
        notes: vec!["n".into()],
    }
}

fn places() -> Vec<Place> {
    (0..6).map(|i| Place { label: i % 2, test: i >= 4 }).collect()
}

/// `[T,2,H,W]` and quality of sample `i`; sample 2 has counts above 255.
fn sample(i: u32) -> (Vec<u16>, Quality) {
    let mut rng = Rng::at(3, Purpose::Test, 0, u64::from(i));
    let n = if i == 2 { 40_000 } else { 200 };
    let mut event =
        |t| crate::events::Event { t, x: rng.below(if i == 2 { 2 } else { 10 }) as u16, y: rng.below(7) as u16, on: rng.below(2) == 1 };
    let events: Vec<_> = (0..n).map(&mut event).collect();
    counts(&events, SENSOR, STEPS, SplitBy::Number)
}

fn blocks(recording: usize) -> Vec<Block> {
    let block = |&i: &u32| {
        let (counts, quality) = sample(i);
        Block::new(i, &counts, quality, 1000 + u64::from(i))
    };
    ORDER[recording].iter().map(block).collect()
}

/// Builds, or goes on with, a cache.
fn build(storage: &dyn Storage, path: &Path) -> Result<(Cache, usize)> {
    let (mut part, done) = Part::begin(storage, path, KEY, cells(SENSOR, STEPS), &order())?;
    for recording in done..ORDER.len() {
        part.put(&blocks(recording))?;
        part.flush()?;
    }
    Ok((part.finish(about(), &places())?, done))
}

#[test]
fn what_was_put_in_comes_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.frames");
    assert!(Cache::open(&path, &KEY).unwrap().is_none());
    let (cache, _) = build(&Disk, &path).unwrap();
    assert!(Cache::open(&path, &KEY).unwrap().unwrap().about().fingerprint.len() == 64);
    let mut read = vec![1; cells(SENSOR, STEPS)];
    for i in 0..6 {
        let (counts, quality) = sample(i);
        cache.read(i as usize, &mut read).unwrap();
        assert_eq!(read, counts);
        let entry = cache.entries()[i as usize];
        assert_eq!((entry.quality, entry.duration, entry.place), (quality, 1000 + u64::from(i), places()[i as usize]));
    }
    assert!(read.len() == 378 && sample(2).0.iter().any(|&c| c > 255));
    assert_eq!(cache.read(6, &mut read).unwrap_err().exit_code(), 1);
    assert_eq!(cache.read(0, &mut read[1..]).unwrap_err().exit_code(), 1);
    cache.verify().unwrap();
}

#[test]
fn foreign_cut_and_damaged_files_are_never_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.frames");
    build(&Disk, &path).unwrap();
    let good = fs::read(&path).unwrap();
    let e = Cache::open(&path, &[8; 32]).err().unwrap();
    assert!(is_distrust(&e) && e.to_string().contains("other options"), "{e}");
    for cut in 0..good.len() {
        fs::write(&path, &good[..cut]).unwrap();
        assert!(is_distrust(&Cache::open(&path, &KEY).err().unwrap()), "{cut}");
    }
    let (mut refused, mut found, mut harmless) = (0, 0, 0);
    let mut counts = vec![0; cells(SENSOR, STEPS)];
    for at in 0..good.len() {
        let mut wrong = good.clone();
        wrong[at] ^= 0x20;
        fs::write(&path, wrong).unwrap();
        match Cache::open(&path, &KEY) {
            Err(e) => refused += usize::from(is_distrust(&e)),
            Ok(cache) => {
                let cache = cache.unwrap();
                let bad: Vec<usize> = (0..6).filter(|&i| cache.read(i, &mut counts).is_err()).collect();
                match bad[..] {
                    // The heads of blocks serve those who go on with an unfinished file; nobody else reads them.
                    [] => harmless += 1,
                    _ => {
                        found += 1;
                        assert!(bad.len() == 1 && !path.exists() && take_damaged(&path).unwrap());
                    }
                }
            }
        }
    }
    assert_eq!((refused + found + harmless, harmless), (good.len(), 6 * 44));
    assert!(!take_damaged(&path).unwrap());
    println!("{} cuts, {} bytes changed: {refused} refused, {found} found when read", good.len(), good.len());
}

#[test]
fn a_build_killed_at_any_byte_goes_on_and_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (path, part) = (dir.path().join("c.frames"), dir.path().join("c.frames.part"));
    build(&Disk, &path).unwrap();
    let good = fs::read(&path).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for cut in 0..=good.len() {
        fs::remove_file(&path).unwrap();
        fs::write(&part, &good[..cut]).unwrap();
        let (_, done) = build(&Disk, &path).unwrap();
        seen.insert(done);
        assert!(fs::read(&path).unwrap() == good && !part.exists(), "{cut}");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 3, 4]);
    println!("{} kills", good.len() + 1);
}

#[test]
fn an_unfinished_file_that_is_damaged_or_of_something_else_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let (path, part) = (dir.path().join("c.frames"), dir.path().join("c.frames.part"));
    build(&Disk, &path).unwrap();
    let good = fs::read(&path).unwrap();
    // The bytes up to the end of the second recording.
    let half = good.len() / 2;
    for at in 0..half {
        fs::remove_file(&path).unwrap();
        let mut wrong = good[..half].to_vec();
        wrong[at] ^= 1;
        fs::write(&part, wrong).unwrap();
        build(&Disk, &path).unwrap();
        assert!(fs::read(&path).unwrap() == good, "{at}");
    }
    println!("{half} bytes changed");
}

#[test]
fn a_disk_that_fails_at_any_operation_leaves_no_cache_and_what_was_done() {
    let mut cases = 0;
    for fault in Fault::HONEST {
        for at in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("c.frames");
            let disk = FaultyDisk::new(fault, at);
            let built = build(&disk, &path);
            if !disk.fired() {
                assert!(built.is_ok() && at > 6);
                break;
            }
            cases += 1;
            let e = match built {
                // A write that took less than all is gone on with.
                Ok((cache, _)) if fault == Fault::Half => {
                    cache.verify().unwrap();
                    continue;
                }
                built => built.err().unwrap(),
            };
            assert!(e.exit_code() == 4 && (fault == Fault::Broken || e.to_string().contains("free some space")), "{e}");
            // Whole or not there.
            let before = Cache::open(&path, &KEY).unwrap();
            assert!(before.is_none() || fault == Fault::Half || e.to_string().contains("syncing the folder"), "{fault:?}: {e}");
            build(&Disk, &path).unwrap().0.verify().unwrap();
        }
    }
    println!("{cases} cases");
}

#[test]
fn seventy_thousand_samples_are_opened_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.frames");
    let order = vec![(0..70_000).collect::<Vec<u32>>()];
    let (mut part, _) = Part::begin(&Disk, &path, KEY, cells(SENSOR, STEPS), &order).unwrap();
    let empty = vec![0; cells(SENSOR, STEPS)];
    let blocks: Vec<Block> = order[0].iter().map(|&i| Block::new(i, &empty, Quality::default(), 0)).collect();
    part.put(&blocks).unwrap();
    part.finish(about(), &vec![Place { label: 0, test: false }; 70_000]).unwrap();
    let start = std::time::Instant::now();
    let cache = Cache::open(&path, &KEY).unwrap().unwrap();
    let time = start.elapsed();
    println!("{} samples opened in {:.1} ms", cache.entries().len(), 1e3 * time.as_secs_f64());
    // It takes a few ms; the bound leaves room for a machine that is busy with other tests.
    assert!(time.as_millis() < 500);
}
