use super::*;

fn of(dir: &Path) -> EventOptions {
    EventOptions { folder: Some(dir.join("mine")), data_dir: Some(dir.join("data")), steps: 4, ..Default::default() }
}

fn fill(dir: &Path, split: &str, class: &str, n: usize) {
    for i in 0..n {
        let bytes = aedat2::write(&events(40, 128, i as u64, 0)).unwrap();
        put(dir.join("mine").join(split).join(class).join(format!("{i}.aedat")), &bytes);
    }
}

#[test]
fn splits_are_taken_or_drawn_from_the_seed() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), "", "wave", 10);
    fill(dir.path(), "", "clap", 5);
    put(dir.path().join("mine/wave/notes.txt"), b"x");
    let p = ready(sets::EVENTS, &of(dir.path()));
    assert_eq!(p.cache.about().classes, ["clap", "wave"]);
    assert_eq!(p.per_class(), [vec![4, 8], vec![1, 2]]);
    assert!(p.notes.iter().any(|n| n.starts_with("1 file passed over")), "{:?}", p.notes);
    let hash = |seed| ready(sets::EVENTS, &EventOptions { seed, ..of(dir.path()) }).cache.about().split_hash.clone();
    assert!(hash(1) == p.cache.about().split_hash && (2..6).any(|seed| hash(seed) != hash(1)));
    let other = tempfile::tempdir().unwrap();
    fill(other.path(), "train", "wave", 3);
    fill(other.path(), "train", "clap", 2);
    let text = error(sets::EVENTS, &of(other.path()));
    assert!(text.contains("no folder 'test'"), "{text}");
    fill(other.path(), "test", "clap", 1);
    assert_eq!(ready(sets::EVENTS, &of(other.path())).per_class(), [vec![2, 3], vec![1, 0]]);
    fill(other.path(), "test", "jump", 1);
    assert!(error(sets::EVENTS, &of(other.path())).contains("the class 'jump' is in the test folder"));
}

#[test]
fn the_sensor_is_that_of_the_format_or_of_the_option() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), "", "clap", 5);
    for i in 0..5 {
        put(dir.path().join(format!("mine/wave/{i}.bin")), &bin::write(&events(40, 34, i, 0)).unwrap());
    }
    let text = error(sets::EVENTS, &of(dir.path()));
    assert!(text.contains("wave/") && text.contains("expected a sensor of 128x128") && text.contains("--size"), "{text}");
    let size = Some(Sensor { width: 200, height: 100 });
    let p = ready(sets::EVENTS, &EventOptions { size, ..of(dir.path()) });
    assert_eq!((p.cache.sensor().width, p.cache.sensor().height), (200, 100));
    assert!(p.quality.out_of_range > 0, "rows 100 to 127");
    fs::remove_dir_all(dir.path().join("mine/clap")).unwrap();
    assert!(error(sets::EVENTS, &of(dir.path())).contains("2 to 10000 classes, found 1"));
    fs::rename(dir.path().join("mine/wave"), dir.path().join("mine/a")).unwrap();
    fill(dir.path(), "", "b", 2);
    let text = error(sets::EVENTS, &of(dir.path()));
    assert!(text.contains("does not say how large the sensor is") && text.contains("--size WIDTHxHEIGHT"), "{text}");
}

#[test]
fn wrong_options_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    assert!(error(sets::EVENTS, &EventOptions { folder: None, ..of(dir.path()) }).contains("needs a folder"));
    assert!(error(sets::EVENTS, &of(dir.path())).contains("no such folder"));
    for steps in [0, 65] {
        assert!(error(sets::EVENTS, &EventOptions { steps, ..of(dir.path()) }).starts_with("-T: "));
    }
    let size = Some(Sensor { width: 0, height: 9 });
    assert!(error(sets::EVENTS, &EventOptions { size, ..of(dir.path()) }).starts_with("--size: "));
    assert!(error(sets::MNIST, &of(dir.path())).contains("has no recordings to prepare"));
}

#[test]
fn simulated_sets_stay_simulated() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), "", "clap", 5);
    fill(dir.path(), "", "wave", 5);
    assert!(!load(sets::EVENTS, &of(dir.path()), &mut ()).unwrap().simulated);
    put(dir.path().join("mine").join(SIMULATED), b"");
    let set = load(sets::EVENTS, &of(dir.path()), &mut ()).unwrap();
    assert!(set.simulated && set.notes.iter().any(|n| n.starts_with("simulated:")), "{:?}", set.notes);
    put(dir.path().join("mine").join(SIMULATED), b"state        not finished: run the same command again\n");
    let e = error(sets::EVENTS, &of(dir.path()));
    assert!(e.contains("interrupted") && e.contains("spiketrain data simulate"), "{e}");
}

/// All ON events first, then all OFF: half of the events are out of place, though only one step leads back.
#[test]
fn half_a_recording_out_of_order_is_refused_unless_sorted() {
    let dir = tempfile::tempdir().unwrap();
    let scene: Vec<Event> = (0..400u64).map(|i| Event { t: 100 * i, x: (i * 16 / 400) as u16, y: 3, on: i % 2 == 0 }).collect();
    let mut by_polarity = scene.clone();
    by_polarity.sort_by_key(|e| !e.on);
    for class in ["a", "b"] {
        for i in 0..5 {
            put(dir.path().join(format!("mine/{class}/{i}.aedat")), &aedat2::write(&by_polarity).unwrap());
        }
    }
    let text = load(sets::EVENTS, &of(dir.path()), &mut ()).err().unwrap().to_string();
    for part in ["mine/a/", ".aedat: expected 1.00 % ", "199 of 400 (49.75 %); 10 of 10 samples have more", "--sort"] {
        assert!(text.contains(part), "no '{part}': {text}");
    }
    let sorted = EventOptions { sort: true, ..of(dir.path()) };
    let set = load(sets::EVENTS, &sorted, &mut ()).unwrap();
    assert!(set.notes.iter().any(|n| n.contains("199 of 400 events were out of order: sorted by time")), "{:?}", set.notes);
    let mut counts = vec![0; cells(Sensor::DVS128, 4)];
    set.source.read(0, &mut counts).unwrap();
    assert_eq!(counts, crate::frames::counts(&scene, Sensor::DVS128, 4, options(dir.path()).split_by).0);
    assert!(ready(sets::EVENTS, &sorted).quality.misplaced == 0 && ready(sets::EVENTS, &of(dir.path())).quality.misplaced == 1990);
}

/// In a sum over all recordings, a few bad ones vanish among the good.
#[test]
fn one_recording_out_of_order_among_many_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), "", "a", 60);
    fill(dir.path(), "", "b", 60);
    let backwards: Vec<Event> = (0..100u64).map(|i| Event { t: 100 - i, x: 1, y: 1, on: true }).collect();
    put(dir.path().join("mine/b/late.aedat"), &aedat2::write(&backwards[..40]).unwrap());
    assert!(ready(sets::EVENTS, &of(dir.path())).quality.check(false).is_ok(), "the share over all is below the limit");
    for _ in ["built", "opened"] {
        let e = load(sets::EVENTS, &of(dir.path()), &mut ()).err().unwrap();
        let text = e.to_string();
        assert_eq!(e.exit_code(), 2, "{text}");
        for part in ["mine/b/late.aedat: ", "39 of 40 (97.50 %); 1 of 121 samples has more", "--sort"] {
            assert!(text.contains(part), "no '{part}': {text}");
        }
    }
    load(sets::EVENTS, &EventOptions { sort: true, ..of(dir.path()) }, &mut ()).unwrap();
}

#[test]
fn recordings_without_events_and_with_gaps_are_counted_whatever_their_format() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path(), "", "full", 6);
    let nothing = aedat2::write(&[]).unwrap();
    for (i, (name, bytes)) in [("0.aedat", &nothing[..]), ("1.aedat", b""), ("2.bin", b""), ("3.npz", b"")].into_iter().enumerate() {
        put(dir.path().join("mine/void").join(name), bytes);
        let gap = [5, 6, 7, 3_000_000_000 + i as u64].map(|t| Event { t, x: 1, y: 1, on: true });
        put(dir.path().join(format!("mine/gap/{i}.aedat")), &aedat2::write(&gap).unwrap());
    }
    let by_time = EventOptions { split_by: SplitBy::Time, size: Some(Sensor::DVS128), ..of(dir.path()) };
    let p = ready(sets::EVENTS, &by_time);
    let said = |part: &str| assert!(p.notes.iter().any(|n| n.contains(part)), "no '{part}' in {:?}", p.notes);
    said("warning: 4 of 14 recordings hold no events (class void 4 of 4)");
    said(
        "warning: 4 of 14 recordings (28.6 %) have no event in half of their 4 frames or more (24 of 56 frames are empty, 12000.0 s in all)",
    );
    assert_eq!(p.quality.empty_frames, 4 * 4 + 4 * 2);
}

/// As SpikingJelly writes them; T of the file is -T or a multiple of it.
#[test]
fn frames_are_taken_as_they_are_or_added_up() {
    let dir = tempfile::tempdir().unwrap();
    for (class, first) in [("a", 1u8), ("b", 100)] {
        for i in 0..5 {
            let counts: Vec<u8> = (0..8 * 2 * 6).map(|n| if n < 12 { first + i } else { 0 }).collect();
            put(dir.path().join(format!("mine/{class}/{i}.npz")), &crate::events::npz::tests::frames_file(8, 2, 3, &counts));
        }
    }
    for steps in [8, 4] {
        let p = ready(sets::EVENTS, &EventOptions { steps, ..of(dir.path()) });
        assert_eq!((p.cache.sensor(), p.per_class()), (Sensor { width: 3, height: 2 }, [vec![4, 4], vec![1, 1]]));
        let found = frames(&p, 1);
        assert!(found.len() == steps * 12 && found[..12].iter().all(|&c| (100..105).contains(&c)) && found[12..].iter().all(|&c| c == 0));
    }
    let text = error(sets::EVENTS, &EventOptions { steps: 3, ..of(dir.path()) });
    assert!(text.contains("a/0.npz: 8 frames cannot be brought to T = 3") && text.contains("-T 8, 4, 2, 1"), "{text}");
    let size = Some(Sensor { width: 9, height: 2 });
    assert!(error(sets::EVENTS, &EventOptions { size, ..of(dir.path()) }).contains("expected a sensor of 9x2, found 3x2"));
}

#[test]
fn what_would_mislead_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for (split, class, n) in [("Train", "wave", 3), ("Train", "clap/anna", 2), ("TEST", "clap/anna", 1), ("more", "wave", 2)] {
        fill(dir.path(), split, class, n);
    }
    let p = ready(sets::EVENTS, &of(dir.path()));
    assert_eq!((&p.cache.about().classes[..], p.per_class()), (&["clap".to_string(), "wave".to_string()][..], [vec![2, 3], vec![1, 0]]));
    let said = p.notes.join("\n");
    for part in [
        "not used: more;",
        "3 files lie in folders below",
        "no test samples of 1 of 2 classes: wave",
        "warning: the only test file is also",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn a_folder_for_validation_is_a_split_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for (split, class, n) in [("train", "wave", 3), ("train", "clap", 2), ("test", "clap", 1)] {
        fill(dir.path(), split, class, n);
    }
    let before = load(sets::EVENTS, &of(dir.path()), &mut ()).unwrap();
    assert!(before.validation.labels.is_empty());
    fill(dir.path(), "VAL", "wave", 2);
    fill(dir.path(), "VAL", "clap", 1);
    let path = ready(sets::EVENTS, &of(dir.path())).cache.path().to_owned();
    for made in ["built", "opened", "rehearsed"] {
        let set = match made {
            "rehearsed" => {
                fs::remove_file(&path).unwrap();
                rehearse(sets::EVENTS, &of(dir.path()), &mut ()).unwrap()
            }
            _ => load(sets::EVENTS, &of(dir.path()), &mut ()).unwrap(),
        };
        assert_eq!((&set.train.labels, &set.test.labels), (&before.train.labels, &before.test.labels), "{made}");
        assert_eq!((&set.validation.labels[..], &set.validation.at[..]), (&[0, 1, 1][..], &[5, 6, 7][..]), "{made}");
        assert!(set.notes.iter().any(|n| n.contains("the 3 samples in VAL")), "{:?}", set.notes);
    }
    let limited = load(sets::EVENTS, &EventOptions { train_limit: Some(2), ..of(dir.path()) }, &mut ()).unwrap();
    assert_eq!((limited.train.labels.len(), limited.validation.labels.len()), (2, 3));
    let p = ready(sets::EVENTS, &of(dir.path()));
    assert_eq!(p.per_class(), [vec![2, 3], vec![1, 0]]);
}
