//! A crash, a full or a failing disk at any call leaves a checkpoint that loads, and the run goes on from it to the same bytes.

use std::fs;
use std::path::Path;

use spiketrain::checkpoint;
use spiketrain::data::cache::Cache;
use spiketrain::error::{Kind, Result};
use spiketrain::run_folder::RunFolder;
use spiketrain::storage::{Disk, Storage, StorageFile, is_temporary};
use spiketrain::train::Outcome;

#[path = "../../src/storage/faulty.rs"]
#[allow(dead_code)]
mod faulty;
mod frames;
mod journal;
#[path = "../tiny/mod.rs"]
mod tiny;

use faulty::{Fault, FaultyDisk, SmallDisk};
use journal::{Device, Image, Journal, Left, lay_out};
use tiny::{End, Tiny, Watch, random, scratch, soak};

const EPOCHS: usize = 2;

/// A run stopped after five steps, with what a crash leaves behind its checkpoint: a temporary file, lines of later steps, half a line.
fn stopped(tiny: &Tiny, folder: &Path) {
    let mut watch = Watch { stop_after: 5, ..Watch::default() };
    assert!(matches!(tiny.session(Disk, folder, &mut watch), Ok(Outcome::Stopped(15))));
    fs::write(folder.join(".best.ckpt.tmp-1-0"), "half").unwrap();
    let later = "{\"kind\":\"credit\",\"epoch\":2,\"step\":7}\n{\"epoch\":2,\"lo";
    Disk.append(&folder.join("metrics.jsonl"), later.as_bytes()).unwrap();
    Disk.append(&folder.join("credit.jsonl"), later.lines().next().unwrap().as_bytes()).unwrap();
}

fn files(folder: &Path) -> Image {
    let names = Disk.list(folder).unwrap();
    names.into_iter().filter(|n| n != ".lock").map(|n| (n.clone(), fs::read(folder.join(n)).unwrap())).collect()
}

/// The steps of the newest checkpoint, which must be sound; 0 if there is none yet.
fn newest(folder: &Path) -> Result<u64> {
    if checkpoint::steps(&Disk, folder)?.is_empty() {
        return Ok(0);
    }
    let newest = checkpoint::load_newest(&Disk, folder)?;
    assert!(newest.warnings.is_empty(), "{:?}", newest.warnings);
    Ok(newest.checkpoint.header.step)
}

/// Where a run begins: in no folder, or in that of one that was stopped.
fn beginnings(tiny: &Tiny) -> [(&'static str, Image, u64); 2] {
    let folder = scratch();
    let run = folder.path().join("run");
    stopped(tiny, &run);
    [("fresh", Image::new(), 0), ("resumed", files(&run), 5)]
}

#[test]
fn a_fault_at_any_call_leaves_a_checkpoint_and_the_run_ends_in_the_same_bytes() {
    let tiny = Tiny::new(EPOCHS);
    let parent = scratch();
    let (want, _) = tiny.finish(&parent.path().join("whole"));
    let (mut cases, mut calls) = (0, 0);
    for (begin, image, before) in beginnings(&tiny) {
        for fault in Fault::HONEST {
            for at in 0.. {
                let run = parent.path().join(format!("{begin}-{fault:?}-{at}"));
                if before > 0 {
                    lay_out(&image, &run);
                }
                let (disk, mut watch) = (FaultyDisk::new(fault, at), Watch::default());
                let ended = tiny.session(disk.clone(), &run, &mut watch);
                let what = format!("{begin}, {fault:?} at call {at}");
                if !disk.fired() {
                    assert!(matches!(ended, Ok(Outcome::Finished(_))) && End::of(&run) == want, "{what}");
                    calls += at;
                    break;
                }
                match ended {
                    Err(e) => assert!(e.kind == Kind::Storage && !e.place.is_empty(), "{what}: {e}"),
                    // A write that was short is gone on with; where the newest checkpoint cannot be read, the one before is used, and it is said.
                    Ok(_) => assert!(fault == Fault::Half || watch.warnings().len() == 1, "{what}"),
                }
                // The step that was not saved is the last one at most.
                let saved = newest(&run).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(saved + 1 >= before + watch.steps, "{what}: {saved} of {} steps", before + watch.steps);
                let (end, watch) = tiny.finish(&run);
                assert!(watch.warnings().is_empty(), "{what}: {:?}", watch.notes);
                end.must_be(&want, &what);
                fs::remove_dir_all(&run).unwrap();
                cases += 1;
            }
        }
    }
    println!("{cases} cases: 5 faults at each of {} calls of a run and of a resumed run", calls / 5);
    assert!(cases >= 800, "{cases}");
}

/// Every image of a power cut during `calls` is handed to `check`, with the name of the case; says how many there were.
fn power_cuts(seed: u64, mut device: Device, calls: &[journal::Call], per_call: u64, mut check: impl FnMut(&str, &Device, &Image)) -> u64 {
    let mut cases = 0;
    for at in 0..=calls.len() {
        let mut seen = std::collections::BTreeSet::new();
        for lot in 0..per_call {
            let left = [Left::Nothing, Left::Everything, Left::Names, Left::Contents].get(lot as usize).copied().unwrap_or(Left::Some);
            let image = device.image(left, &mut random(seed, at as u64 * per_call + lot));
            if seen.insert(image.clone()) {
                check(&format!("seed {seed}, call {at}, lot {lot} ({left:?})"), &device, &image);
                cases += 1;
            }
        }
        calls.get(at).into_iter().for_each(|call| device.take(call));
    }
    cases
}

#[test]
fn a_power_cut_at_any_call_loses_what_was_not_synced_and_no_more() {
    let tiny = Tiny::new(EPOCHS);
    let parent = scratch();
    let (want, _) = tiny.finish(&parent.path().join("whole"));
    let mut cases = 0;
    for (begin, image, before) in beginnings(&tiny) {
        let run = parent.path().join(begin);
        if before > 0 {
            lay_out(&image, &run);
        }
        let journal = Journal::default();
        assert!(matches!(tiny.session(journal.clone(), &run, &mut Watch::default()), Ok(Outcome::Finished(_))));
        End::of(&run).must_be(&want, begin);
        let after = parent.path().join(format!("{begin}-cut"));
        cases += power_cuts(before, Device::holding(&image), &journal.calls(), 60 * soak(), |case, device, image| {
            lay_out(image, &after);
            let saved = newest(&after).unwrap_or_else(|e| panic!("{begin}, {case}: {e}"));
            let certain = device.certain().filter_map(|n| checkpoint::step_of(n)).max().unwrap_or(0);
            assert!(saved >= certain, "{begin}, {case}: step {saved}, but {certain} was saved");
            let (end, watch) = tiny.finish(&after);
            assert!(watch.warnings().is_empty(), "{begin}, {case}: {:?}", watch.notes);
            end.must_be(&want, &format!("{begin}, {case}"));
            fs::remove_dir_all(&after).unwrap();
        });
    }
    println!("{cases} cases: images of the disk after a power cut, each gone on with to the end");
    assert!(cases >= 1200, "{cases}");
}

#[test]
fn a_power_cut_while_frames_are_prepared_loses_no_more_than_what_was_not_synced() {
    let parent = scratch();
    let whole = parent.path().join("whole.frames");
    frames::build(&Disk, &whole).unwrap();
    let good = fs::read(&whole).unwrap();
    let (folder, after) = (parent.path().join("noted"), parent.path().join("cut"));
    fs::create_dir(&folder).unwrap();
    let journal = Journal::default();
    frames::build(&journal, &folder.join("set.frames")).unwrap();
    let cases = power_cuts(3, Device::default(), &journal.calls(), 100 * soak(), |case, _, image| {
        lay_out(image, &after);
        let path = after.join("set.frames");
        // Under its own name it is whole.
        if let Some(cache) = Cache::open(&path, &frames::KEY).unwrap_or_else(|e| panic!("{case}: {e}")) {
            cache.verify().unwrap_or_else(|e| panic!("{case}: {e}"));
        } else {
            frames::build(&Disk, &path).unwrap_or_else(|e| panic!("{case}: {e}"));
        }
        assert!(fs::read(&path).unwrap() == good, "{case}");
        fs::remove_dir_all(&after).unwrap();
    });
    println!("{cases} cases: images of the disk after a power cut");
    assert!(cases >= 100, "{cases}");
}

#[test]
fn a_disk_that_is_full_at_any_size_leaves_the_checkpoint_before_and_the_run_goes_on_when_there_is_room() {
    let tiny = Tiny::new(EPOCHS);
    let parent = scratch();
    let (want, _) = tiny.finish(&parent.path().join("whole"));
    let plenty = 1 << 20;
    let most = {
        // The room that is needed: with less at the fullest moment, the run stops.
        let (mut low, mut high) = (0, plenty);
        while low + 1 < high {
            let middle = (low + high) / 2;
            let run = parent.path().join("most");
            let ended = tiny.session(SmallDisk::new(middle), &run, &mut Watch::default());
            if ended.is_ok() {
                high = middle
            } else {
                low = middle
            }
            fs::remove_dir_all(&run).unwrap();
        }
        high
    };
    let sizes = 64 * soak() as usize;
    for i in 0..sizes {
        let room = most * i / sizes;
        let run = parent.path().join(format!("room-{room}"));
        let mut watch = Watch::default();
        let e = tiny.session(SmallDisk::new(room), &run, &mut watch).expect_err(&format!("{room} of {most} bytes"));
        assert!(e.exit_code() == 4 && e.remedy.contains("free some space") && !e.place.is_empty(), "{room} bytes: {e}");
        let left = Disk.list(&run).unwrap();
        assert!(!left.iter().any(|n| is_temporary(n)), "{room} bytes: {left:?}");
        let saved = newest(&run).unwrap_or_else(|e| panic!("{room} bytes: {e}"));
        assert!(saved + 1 >= watch.steps, "{room} bytes: {saved} of {} steps", watch.steps);
        tiny.finish(&run).0.must_be(&want, &format!("{room} bytes"));
        fs::remove_dir_all(&run).unwrap();
    }
    println!("{sizes} cases: disks of 0 to {most} bytes, of which the last had room for the whole run");
}

#[test]
fn a_run_stopped_at_any_two_steps_of_three_epochs_ends_in_the_same_bytes() {
    let tiny = Tiny::new(3);
    let parent = scratch();
    let (want, _) = tiny.finish(&parent.path().join("whole"));
    let steps = 3 * 4;
    assert_eq!(want.metrics.len(), steps + 3, "a credit line at every step, and a line per epoch");
    let mut cases = 0;
    for first in 1..=steps {
        for second in 0..=steps - first {
            let run = parent.path().join(format!("{first}-{second}"));
            for stop_after in [first, second].into_iter().filter(|&n| n > 0) {
                let mut watch = Watch { stop_after: stop_after as u64, ..Watch::default() };
                let ended = tiny.session(Disk, &run, &mut watch);
                assert!(matches!(ended, Ok(Outcome::Stopped(15))) && watch.steps == stop_after as u64, "{ended:?}");
            }
            let folder = RunFolder::open(Box::new(Disk), &run).unwrap();
            assert_eq!(folder.load_newest().unwrap().unwrap().checkpoint.header.step, (first + second) as u64);
            drop(folder);
            tiny.finish(&run).0.must_be(&want, &format!("stopped after step {first} and {second} steps later"));
            fs::remove_dir_all(&run).unwrap();
            cases += 1;
        }
    }
    println!("{cases} cases: stopped at every step boundary of 3 epochs, and once more at every later one");
}
