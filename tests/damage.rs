//! Any flipped byte, cut, swapped or foreign block is detected: in a checkpoint, the one before is used; prepared frames are built anew;
//! and both are said.

use std::fs;
use std::path::Path;

use spiketrain::checkpoint;
use spiketrain::data::cache::Cache;
use spiketrain::data::recordings::{self, EventOptions};
use spiketrain::data::sets;
use spiketrain::events::{Event, Sensor, nmnist};
use spiketrain::frames::{FrameSource, cells};
use spiketrain::rng::Rng;
use spiketrain::storage::Disk;
use spiketrain::train::Outcome;

mod tiny;

use tiny::{Tiny, Watch, random, scratch, soak};

/// A copy of `good` with something wrong, of nine kinds; `other` is a sound file of the same format.
fn damaged(good: &[u8], other: &[u8], rng: &mut Rng) -> (Vec<u8>, &'static str) {
    loop {
        let mut bad = good.to_vec();
        // Places and lengths of two blocks that do not overlap.
        let longest = [4, 64, 512, good.len() / 2][rng.below(4)].min(good.len() / 2);
        let length = 1 + rng.below(longest);
        let first = rng.below(good.len() - 2 * length + 1);
        let second = first + length + rng.below(good.len() - first - 2 * length + 1);
        let kind = match rng.below(9) {
            0 => {
                bad[first] ^= 1 << rng.below(8);
                "a flipped bit"
            }
            1 => {
                bad[first] = bad[first].wrapping_add(1 + rng.below(255) as u8);
                "another byte"
            }
            2 => {
                bad.truncate(first);
                "cut off"
            }
            3 => {
                let (front, back) = bad.split_at_mut(second);
                front[first..first + length].swap_with_slice(&mut back[..length]);
                "two blocks swapped"
            }
            4 => {
                bad[first..first + length].fill(0);
                "an empty block"
            }
            5 => {
                bad.copy_within(first..first + length, second);
                "a block twice"
            }
            6 => {
                bad.drain(first..first + length);
                "a block missing"
            }
            7 => {
                bad.extend((0..length).map(|_| rng.below(256) as u8));
                "bytes appended"
            }
            _ => {
                let end = (first + length).min(other.len());
                if first < end {
                    bad[first..end].copy_from_slice(&other[first..end]);
                }
                "a block of another file"
            }
        };
        if bad != good && bad != other {
            return (bad, kind);
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_never_used_and_the_one_before_is() {
    let tiny = Tiny::new(2);
    let parent = scratch();
    let (want, _) = tiny.finish(&parent.path().join("whole"));
    let run = parent.path().join("run");
    let mut watch = Watch { stop_after: 4, ..Watch::default() };
    assert!(matches!(tiny.session(Disk, &run, &mut watch), Ok(Outcome::Stopped(15))));
    let (newest, before) = (run.join(checkpoint::file_name(4)), run.join(checkpoint::file_name(3)));
    let (good, other) = (fs::read(&newest).unwrap(), fs::read(&before).unwrap());
    let cases = 8000 * soak();
    for case in 0..cases {
        let (bad, kind) = damaged(&good, &other, &mut random(11, case));
        fs::write(&newest, &bad).unwrap();
        let what = format!("case {case}: {kind}");
        let found = checkpoint::load_newest(&Disk, &run).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(found.path == before && found.checkpoint.header.step == 3, "{what}: {}", found.path.display());
        assert!(found.warnings.len() == 1 && found.warnings[0].contains("checkpoint-4.ckpt: byte"), "{what}: {:?}", found.warnings);
        if case % 200 == 0 {
            let copy = parent.path().join("copy");
            fs::create_dir(&copy).unwrap();
            for entry in fs::read_dir(&run).unwrap() {
                let path = entry.unwrap().path();
                fs::copy(&path, copy.join(path.file_name().unwrap())).unwrap();
            }
            let (end, watch) = tiny.finish(&copy);
            assert!(watch.warnings().len() == 1 && watch.notes.iter().any(|n| n.contains("step 3")), "{what}: {:?}", watch.notes);
            end.must_be(&want, &what);
            fs::remove_dir_all(&copy).unwrap();
        }
    }
    println!("{cases} cases, {} of them gone on with to the end", cases.div_ceil(200));
}

/// Four recordings of 300 events in each of two classes.
fn recordings_in(folder: &Path) {
    for (c, class) in ["left", "right"].into_iter().enumerate() {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..4 {
            let mut rng = random(c as u64, i);
            let mut event = |t| Event { t, x: rng.below(34) as u16, y: rng.below(34) as u16, on: rng.below(2) == 1 };
            let events: Vec<Event> = (0..300).map(&mut event).collect();
            fs::write(folder.join(class).join(format!("{i}.bin")), nmnist::write(&events).unwrap()).unwrap();
        }
    }
}

/// The frames of all samples.
fn all(cache: &Cache) -> Vec<Vec<u16>> {
    let mut counts = vec![0; cells(cache.sensor(), cache.about().steps)];
    (0..cache.entries().len()).map(|i| cache.read(i, &mut counts).map(|()| counts.clone()).unwrap()).collect()
}

#[test]
fn damaged_frames_are_never_used_but_built_anew() {
    let parent = scratch();
    let folder = parent.path().join("set");
    recordings_in(&folder);
    let size = Some(Sensor { width: 34, height: 34 });
    let cache = Some(parent.path().join("cache"));
    let options = EventOptions { folder: Some(folder), size, steps: 2, cache, ..EventOptions::default() };
    let prepare = |steps| recordings::prepare(sets::EVENTS, &EventOptions { steps, ..options.clone() }, true, &mut ()).unwrap();
    let path = prepare(2).cache.path().to_owned();
    let (good, want) = (fs::read(&path).unwrap(), all(&prepare(2).cache));
    let other = fs::read(prepare(3).cache.path()).unwrap();
    let (cases, mut unread, mut in_training) = (3000 * soak(), 0, 0);
    for case in 0..cases {
        let (bad, kind) = damaged(&good, &other, &mut random(12, case));
        fs::write(&path, &bad).unwrap();
        let what = format!("case {case}: {kind}");
        if case % 4 == 0 {
            // As training meets it: not before a damaged sample is read, and then the next command builds it anew.
            let set = recordings::load(sets::EVENTS, &options, &mut ()).unwrap_or_else(|e| panic!("{what}: {e}"));
            let mut counts = vec![0; want[0].len()];
            let failed = (0..want.len()).find_map(|i| set.source.read(i, &mut counts).err());
            if let Some(e) = failed {
                in_training += 1;
                assert!(e.exit_code() == 2 && e.remedy.contains("run the same command again"), "{what}: {e}");
            }
        }
        let prepared = prepare(2);
        assert_eq!(all(&prepared.cache), want, "{what}");
        if prepared.built.is_some() {
            assert!(prepared.notes.iter().any(|n| n.contains("built anew")), "{what}: {:?}", prepared.notes);
            assert!(fs::read(&path).unwrap() == good, "{what}");
        } else {
            // Found and mended by training already; or in the heads of blocks, which serve an unfinished file only.
            unread += u64::from(fs::read(&path).unwrap() != good);
        }
    }
    println!("{cases} cases: {in_training} met by training first, {unread} where nobody reads");
    assert!(unread < cases / 5, "{unread}");
}
