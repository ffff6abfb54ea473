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
