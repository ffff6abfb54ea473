use super::*;

const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

fn name(class: &str, i: usize) -> String {
    format!("{class}/cifar10_{class}_{i}.aedat")
}

#[test]
fn nine_tenths_by_the_bytes_of_names_train_and_events_are_turned() {
    let (dir, packed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = |c: usize, i: usize| aedat2::write(&events(40, 128, (c * 100 + i) as u64, 0)).unwrap();
    for (c, class) in CLASSES.iter().enumerate() {
        let files: Vec<(String, Vec<u8>)> = (0..12).map(|i| (name(class, i), file(c, i))).collect();
        files.iter().for_each(|(path, bytes)| put(dir.path().join("dvs-cifar10").join(path), bytes));
        let members: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
        put(packed.path().join(format!("dvs-cifar10/{class}.zip")), &zip(&members));
    }
    let text = error(sets::DVS_CIFAR10, &EventOptions { allow_partial: false, ..options(dir.path()) });
    assert!(text.contains("airplane: expected 1000 recordings, found 12 (10 train, 2 test)"), "{text}");
    let p = ready(sets::DVS_CIFAR10, &options(dir.path()));
    assert_eq!(p.per_class(), [vec![10; 10], vec![2; 10]]);
    // 0, 1, 10, 11, 2, 3, … 9: the last two are for the test; samples stand in rounds.
    for (i, (c, n)) in [(0, (0, 0)), (10, (0, 1)), (20, (0, 10)), (33, (3, 11)), (42, (2, 2)), (100, (0, 8)), (119, (9, 9))] {
        let mut expected = events(40, 128, (c * 100 + n) as u64, 0);
        expected.iter_mut().for_each(|e| (e.x, e.y, e.on) = (127 - e.y, 127 - e.x, !e.on));
        assert!(frames(&p, i) == counts(&expected, Sensor::DVS128, 4, SplitBy::Number).0, "sample {i}");
        assert_eq!(p.cache.entries()[i].place.label as usize, c);
    }
    let zips = ready(sets::DVS_CIFAR10, &options(packed.path()));
    assert_eq!(zips.cache.about().fingerprint, p.cache.about().fingerprint);
    fs::remove_file(packed.path().join("dvs-cifar10/cat.zip")).unwrap();
    let text = error(sets::DVS_CIFAR10, &EventOptions { allow_partial: false, ..options(packed.path()) });
    assert!(text.contains("missing: cat"), "{text}");
    assert_eq!(ready(sets::DVS_CIFAR10, &options(packed.path())).per_class()[0][3], 0);
}
