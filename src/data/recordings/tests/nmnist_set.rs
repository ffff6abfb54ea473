use super::*;

/// (path, events) of 12 training and 4 test recordings.
fn recordings() -> Vec<(String, Vec<Event>)> {
    let one = |split: &str, i: usize| (format!("{split}/{}/{i:05}.bin", i * 7 % 10), events(50 + i, 34, i as u64, 100));
    (1..=12).map(|i| one("Train", i)).chain((1..=4).map(|i| one("Test", i))).collect()
}

fn unpacked(dir: &Path) {
    recordings().iter().for_each(|(path, events)| put(dir.join("nmnist").join(path), &bin::write(events).unwrap()));
}

#[test]
fn folders_and_zips_are_the_same_data_in_the_order_of_mnist() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    unpacked(a.path());
    let files: Vec<(String, Vec<u8>)> = recordings().into_iter().map(|(p, e)| (p, bin::write(&e).unwrap())).collect();
    for split in ["Train", "Test"] {
        let members: Vec<(&str, &[u8])> = files.iter().filter(|(p, _)| p.starts_with(split)).map(|(p, b)| (p.as_str(), &b[..])).collect();
        put(b.path().join(format!("nmnist/{split}.zip")), &zip(&members));
    }
    let (folders, zips) = (ready(sets::NMNIST, &options(a.path())), ready(sets::NMNIST, &options(b.path())));
    assert_eq!(folders.cache.about().fingerprint, zips.cache.about().fingerprint);
    assert_eq!(folders.cache.about().split_hash, zips.cache.about().split_hash);
    for (i, (_, events)) in recordings().iter().enumerate() {
        let (expected, quality) = counts(events, Sensor { width: 34, height: 34 }, 4, SplitBy::Number);
        assert!(frames(&zips, i) == expected && frames(&folders, i) == expected);
        assert_eq!(zips.cache.entries()[i].quality, quality);
    }
    let set = load(sets::NMNIST, &options(b.path()), &mut ()).unwrap();
    assert_eq!(set.train.labels, (1..=12).map(|i| i * 7 % 10).collect::<Vec<u16>>());
    assert_eq!((set.test.at, set.steps), (vec![12, 13, 14, 15], 4));
    assert!(set.notes.iter().any(|n| n == "partial: Train: expected 60000 recordings, found 12"), "{:?}", set.notes);
    // The lines of the hash, written out.
    let mut lines: Vec<String> = recordings().iter().map(|(p, _)| format!("{}\n", p.to_lowercase())).collect();
    lines.sort();
    assert_eq!(zips.cache.about().split_hash, hex(&Sha256::digest(lines.concat())));
}

#[test]
fn incomplete_sets_are_errors_unless_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let none = error(sets::NMNIST, &options(dir.path()));
    assert!(none.contains("not there") && none.contains("Train.zip"), "{none}");
    unpacked(dir.path());
    let strict = EventOptions { allow_partial: false, ..options(dir.path()) };
    let text = error(sets::NMNIST, &strict);
    assert!(text.contains("Train: expected 60000 recordings, found 12") && text.contains("--allow-partial"), "{text}");
    fs::remove_dir_all(dir.path().join("nmnist/Test")).unwrap();
    assert!(error(sets::NMNIST, &strict).contains("missing: Test"));
    assert!(error(sets::NMNIST, &options(dir.path())).contains("no recording is left for the test set"));
}

#[test]
fn limits_take_the_first_samples_and_make_another_set_of_it() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let whole = load(sets::NMNIST, &options(dir.path()), &mut ()).unwrap();
    let some = EventOptions { train_limit: Some(5), test_limit: Some(9), ..options(dir.path()) };
    let some = load(sets::NMNIST, &some, &mut ()).unwrap();
    assert_eq!((some.train.labels.len(), some.train.at.len(), some.test.labels.len()), (5, 5, 4));
    assert!(some.notes.contains(&"train: the first 5 of 12 samples, the classes in turn".to_string()), "{:?}", some.notes);
    assert_ne!(some.fingerprint, whole.fingerprint);
    let zero = EventOptions { test_limit: Some(0), ..options(dir.path()) };
    assert!(load(sets::NMNIST, &zero, &mut ()).err().unwrap().to_string().starts_with("--test-limit"));
}

#[test]
fn archives_with_tricks_are_read_without_harm_and_one_name_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let recording = bin::write(&events(20, 34, 1, 0)).unwrap();
    let train = dir.path().join("nmnist/Train.zip");
    let tricks: &[(&str, &[u8])] = &[
        ("Train/", b""),
        ("Train/3/00001.bin", &recording),
        ("../../Train/4/00002.bin", &recording),
        ("/Train/4/00003.bin", &recording),
        ("Train\\4\\00004.bin", &recording),
        ("Train/12/00005.bin", &recording),
        ("Train/readme.txt", b"hello"),
    ];
    put(train.clone(), &zip(tricks));
    let p = ready(sets::NMNIST, &options(dir.path()));
    assert_eq!(p.per_class()[0].iter().sum::<usize>(), 1);
    assert!(p.notes.iter().any(|n| n.contains("passed over: 3 members whose path leads out")), "{:?}", p.notes);
    assert!(p.notes.iter().any(|n| n.contains("2 files passed over")), "{:?}", p.notes);
    put(train.clone(), &zip(&[("Train/3/00001.bin", &recording), ("Train/3/00001.bin", &recording)]));
    let text = error(sets::NMNIST, &options(dir.path()));
    assert!(text.contains("Train.zip/Train/3/00001.bin") && text.contains("twice"), "{text}");
    put(train.clone(), b"<html>not found</html>");
    assert!(error(sets::NMNIST, &options(dir.path())).contains("Train.zip: expected a zip archive"));
    put(train, &zip(&[("Train/3/00001.bin", &recording[..7])]));
    let text = error(sets::NMNIST, &options(dir.path()));
    assert!(text.contains("00001.bin: byte 5"), "{text}");
    assert!(!dir.path().join("Train").exists() && !Path::new("/Train").exists());
}

#[test]
fn any_number_of_threads_makes_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let bytes = [1, 2, 5].map(|threads| {
        let cache = Some(dir.path().join(format!("cache{threads}")));
        let options = EventOptions { cache, ..options(dir.path()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let prepared = pool.install(|| ready(sets::NMNIST, &options));
        fs::read(prepared.cache.path()).unwrap()
    });
    assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2]);
}

#[test]
fn killed_anywhere_it_goes_on_and_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let options = options(dir.path());
    let path = ready(sets::NMNIST, &options).cache.path().to_owned();
    let good = fs::read(&path).unwrap();
    let mut went_on = 0;
    for cut in (0..good.len()).step_by(211) {
        fs::remove_file(&path).unwrap();
        fs::write(path.with_added_extension("part"), &good[..cut]).unwrap();
        let mut said = Said::default();
        prepare(sets::NMNIST, &options, false, &mut said).unwrap();
        went_on += usize::from(said.0.iter().any(|s| s.starts_with("going on after ") && s.contains(" of 16 recordings")));
        assert!(fs::read(&path).unwrap() == good, "{cut}");
    }
    assert!(went_on > good.len() / 211 / 2);
    println!("{} kills, {went_on} went on", good.len() / 211);
}

#[test]
fn damaged_and_outdated_frames_are_built_anew_and_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let options = options(dir.path());
    let first = ready(sets::NMNIST, &options);
    let path = first.cache.path().to_owned();
    let good = fs::read(&path).unwrap();
    assert!(first.built.is_some() && ready(sets::NMNIST, &options).built.is_none());
    let mut wrong = good.clone();
    wrong[200] ^= 1;
    // Training meets the damage when it reads the block…
    fs::write(&path, &wrong).unwrap();
    let set = load(sets::NMNIST, &options, &mut ()).unwrap();
    let mut counts = vec![0; cells(set.sensor, 4)];
    let bad: Vec<_> = (0..16).filter_map(|i| set.source.read(i, &mut counts).err()).collect();
    assert!(bad.len() == 1 && bad[0].to_string().contains("builds the frames anew"), "{bad:?}");
    let set = load(sets::NMNIST, &options, &mut ()).unwrap();
    assert!(set.notes.iter().any(|n| n.contains("was damaged: built anew")), "{:?}", set.notes);
    assert!((0..16).all(|i| set.source.read(i, &mut counts).is_ok()) && fs::read(&path).unwrap() == good);
    // … `data prepare` looks for it.
    fs::write(&path, &wrong).unwrap();
    let p = ready(sets::NMNIST, &options);
    assert!(p.built.is_some() && p.notes.iter().any(|n| n.contains("damaged")), "{:?}", p.notes);
    assert!(fs::read(&path).unwrap() == good);
    // Another recording under the same name and of the same size.
    let (file, events) = &recordings()[0];
    let mut changed = events.clone();
    changed[0].x ^= 1;
    put(dir.path().join("nmnist").join(file), &bin::write(&changed).unwrap());
    let p = ready(sets::NMNIST, &options);
    assert!(p.notes.iter().any(|n| n.contains("made from other recordings") && n.contains("built anew")), "{:?}", p.notes);
    assert_ne!(p.cache.about().fingerprint, first.cache.about().fingerprint);
    assert_eq!(p.cache.about().split_hash, first.cache.about().split_hash);
}

#[test]
fn two_processes_do_not_prepare_one_set_at_once() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let home = dir.path().join("cache/nmnist");
    fs::create_dir_all(&home).unwrap();
    let lock = storage::lock(&home).unwrap().unwrap();
    let e = prepare(sets::NMNIST, &options(dir.path()), false, &mut ()).err().unwrap();
    assert!(e.exit_code() == 4 && e.to_string().contains("another process"), "{e}");
    drop(lock);
    ready(sets::NMNIST, &options(dir.path()));
}

#[test]
fn a_full_disk_is_said_with_what_to_do_and_the_next_run_goes_on() {
    use crate::storage::faulty::{Fault, FaultyDisk};
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let mut cases = 0;
    for at in 0.. {
        let disk = FaultyDisk::new(Fault::Once, at);
        let options = EventOptions { cache: Some(dir.path().join(format!("c{at}"))), ..options(dir.path()) };
        let built = prepare_on(&disk, sets::NMNIST, &options, false, &mut ());
        if !disk.fired() {
            break;
        }
        let e = built.err().unwrap();
        assert!(e.exit_code() == 4 && e.to_string().contains("free some space"), "{e}");
        ready(sets::NMNIST, &options);
        cases += 1;
    }
    assert!(cases >= 5);
    println!("{cases} cases");
}

#[test]
fn bad_events_are_counted_and_refused_by_training() {
    let dir = tempfile::tempdir().unwrap();
    unpacked(dir.path());
    let (file, events) = &recordings()[0];
    let mut bad = events.clone();
    bad.iter_mut().take(3).for_each(|e| e.x = 40);
    put(dir.path().join("nmnist").join(file), &bin::write(&bad).unwrap());
    let p = ready(sets::NMNIST, &options(dir.path()));
    assert_eq!((p.quality.out_of_range, p.quality.bad()), (3, 3));
    load(sets::NMNIST, &options(dir.path()), &mut ()).unwrap();
    let strict = EventOptions { strict: true, ..options(dir.path()) };
    let e = load(sets::NMNIST, &strict, &mut ()).err().unwrap();
    assert!(e.exit_code() == 2 && e.to_string().contains("3 outside the sensor"), "{e}");
    bad.iter_mut().for_each(|e| e.x = 40);
    put(dir.path().join("nmnist").join(file), &bin::write(&bad).unwrap());
    let e = load(sets::NMNIST, &options(dir.path()), &mut ()).err().unwrap().to_string();
    assert!(e.contains("data set nmnist") && e.contains("51 outside the sensor"), "{e}");
}

#[test]
fn the_real_recordings() {
    let Some(dir) = std::env::var_os("SPIKETRAIN_TEST_DATA").map(PathBuf::from) else {
        println!("SKIPPED: SPIKETRAIN_TEST_DATA is not set");
        return;
    };
    let Ok(index) = fs::read_to_string(dir.join("nmnist/index.tsv")) else {
        println!("SKIPPED: no N-MNIST in {}", dir.display());
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let p = ready(sets::NMNIST, &EventOptions { cache: Some(cache.path().into()), ..options(&dir) });
    let rows: Vec<Vec<&str>> = index.lines().skip(1).map(|l| l.split('\t').collect()).collect();
    assert_eq!(p.quality.events, rows.iter().map(|r| r[2].parse::<u64>().unwrap()).sum::<u64>());
    assert_eq!(p.quality.bad(), 0);
    for split in ["Train", "Test"] {
        let mut labels: Vec<(&str, u16)> = rows
            .iter()
            .filter(|r| r[0].contains(&format!("/{split}/")))
            .map(|r| (r[0].rsplit('/').next().unwrap(), r[1].parse().unwrap()))
            .collect();
        labels.sort();
        let found = p.cache.entries().iter().filter(|e| e.place.test == (split == "Test"));
        assert!(found.map(|e| e.place.label).eq(labels.iter().map(|l| l.1)), "{split}");
    }
    println!("{} recordings, {} events", p.cache.entries().len(), p.quality.events);
}
