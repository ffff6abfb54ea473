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
    assert!(p.notes.iter().any(|n| n.starts_with("1 files passed over")), "{:?}", p.notes);
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
    for (split, class, n) in [("Train", "wave", 3), ("Train", "clap/anna", 2), ("TEST", "clap/anna", 1), ("val", "wave", 2)] {
        fill(dir.path(), split, class, n);
    }
    let p = ready(sets::EVENTS, &of(dir.path()));
    assert_eq!((&p.cache.about().classes[..], p.per_class()), (&["clap".to_string(), "wave".to_string()][..], [vec![2, 3], vec![1, 0]]));
    let said = p.notes.join("\n");
    for part in
        ["not used: val;", "3 files lie in folders below", "no test samples of 1 of 2 classes: wave", "warning: all 1 test files are also"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}
