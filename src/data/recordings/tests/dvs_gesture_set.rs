use std::fs::File;

use super::*;

const WINDOWS: &str = "class,startTime_usec,endTime_usec\n11,500,900\n1,1000,2000\n";

/// Files of the set: three recordings for training, one for the test.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = vec![
        ("trials_to_train.txt".to_string(), b"user02_led.aedat\nuser01_led.aedat\r\nuser01_lab.aedat\n".to_vec()),
        ("trials_to_test.txt".to_string(), b"user03_led.aedat\n".to_vec()),
        ("gesture_mapping.csv".to_string(), b"action,label\n".to_vec()),
    ];
    for (i, stem) in ["user01_lab", "user01_led", "user02_led", "user03_led"].into_iter().enumerate() {
        files.push((format!("{stem}.aedat"), aedat3::write(&recording(i), "DVS128").unwrap()));
        files.push((format!("{stem}_labels.csv"), WINDOWS.as_bytes().to_vec()));
    }
    files
}

fn recording(i: usize) -> Vec<Event> {
    events(300, 128, i as u64, 0)
}

fn folder(dir: &Path, files: &[(String, Vec<u8>)]) {
    let folder = dir.join("dvs-gesture/DvsGesture");
    fs::remove_dir_all(&folder).unwrap_or_default();
    files.iter().for_each(|(name, bytes)| put(folder.join(name), bytes));
}

fn tar(dir: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    let path = dir.join("dvs-gesture/DvsGesture.tar.gz");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
    let mut tar = ::tar::Builder::new(gz);
    for (name, content) in files {
        let mut header = ::tar::Header::new_ustar();
        // Straight into the field: the library refuses to write the paths that an attacker would.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        if name.contains("link") {
            header.set_entry_type(::tar::EntryType::Symlink);
            header.set_size(0);
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, &content[..header.size().unwrap() as usize]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    path
}

fn in_archive(files: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    files.into_iter().map(|(name, bytes)| (format!("DvsGesture/{name}"), bytes)).collect()
}

fn failure(files: Vec<(String, Vec<u8>)>) -> String {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), &files);
    let unpacked = error(sets::DVS_GESTURE, &EventOptions { allow_partial: false, ..options(dir.path()) });
    let packed = tempfile::tempdir().unwrap();
    tar(packed.path(), &in_archive(files));
    let text = error(sets::DVS_GESTURE, &EventOptions { allow_partial: false, ..options(packed.path()) });
    let what = |e: &str| e.rsplit("DvsGesture").next().unwrap().split_once(": ").unwrap().1.to_string();
    assert_eq!(what(&unpacked), what(&text), "folder and archive are refused alike");
    text
}

#[test]
fn samples_are_windows_in_the_order_of_lists_and_lines() {
    let dir = tempfile::tempdir().unwrap();
    folder(dir.path(), &files());
    let p = ready(sets::DVS_GESTURE, &EventOptions { allow_partial: false, ..options(dir.path()) });
    let mut i = 0;
    for r in [2, 1, 0, 3] {
        for (label, start, end) in [(10, 500, 900), (0, 1000, 2000)] {
            let within: Vec<Event> = recording(r).into_iter().filter(|e| e.t >= start && e.t < end).collect();
            assert!(within.len() > 20);
            let (expected, quality) = counts(&within, Sensor::DVS128, 4, SplitBy::Number);
            let entry = p.cache.entries()[i];
            assert_eq!((entry.place.label, entry.place.test, entry.quality), (label, r == 3, quality));
            assert_eq!(entry.duration, within[within.len() - 1].t - within[0].t);
            assert!(frames(&p, i) == expected);
            i += 1;
        }
    }
    assert_eq!(p.cache.entries().len(), i);
    // The archive, with labels before, after and far from the recordings, and the lists at the end.
    for order in [false, true] {
        let packed = tempfile::tempdir().unwrap();
        let mut files = in_archive(files());
        if order {
            files.reverse();
        }
        tar(packed.path(), &files);
        let q = ready(sets::DVS_GESTURE, &EventOptions { allow_partial: false, ..options(packed.path()) });
        assert_eq!(q.cache.about().fingerprint, p.cache.about().fingerprint);
        assert_eq!(q.cache.about().split_hash, p.cache.about().split_hash);
    }
}

#[test]
fn recordings_whose_times_go_back_are_cut_by_the_same_windows() {
    let dir = tempfile::tempdir().unwrap();
    let mut swapped = recording(0);
    swapped.swap(60, 250);
    let mut files = files();
    files[3].1 = aedat3::write(&swapped, "DVS128").unwrap();
    folder(dir.path(), &files);
    let p = ready(sets::DVS_GESTURE, &options(dir.path()));
    let within: Vec<Event> = swapped.into_iter().filter(|e| (1000..2000).contains(&e.t)).collect();
    assert!(frames(&p, 5) == counts(&within, Sensor::DVS128, 4, SplitBy::Number).0);
    assert!(p.quality.misplaced > 0);
}

#[test]
fn lists_labels_and_recordings_that_do_not_fit_together_are_named() {
    let all = files();
    let without = |name: &str| all.iter().filter(|f| f.0 != name).cloned().collect::<Vec<_>>();
    let with = |name: &str, content: &str| {
        let mut files = without(name);
        files.push((name.to_string(), content.as_bytes().to_vec()));
        files
    };
    let e = failure(with("trials_to_test.txt", "user01_led.aedat\n"));
    assert!(e.contains("user01_led.aedat is in both lists"), "{e}");
    let e = failure(with("trials_to_train.txt", "user01_led.aedat\nuser02_led.aedat\n"));
    assert!(e.contains("user01_lab.aedat is neither in trials_to_train.txt nor in trials_to_test.txt"), "{e}");
    let e = failure(without("user03_led.aedat"));
    assert!(e.contains("trials_to_test.txt names user03_led.aedat, which is not there"), "{e}");
    let e = failure(without("user03_led_labels.csv"));
    assert!(e.contains("expected user03_led_labels.csv beside user03_led.aedat"), "{e}");
    let e = failure(without("trials_to_test.txt"));
    assert!(e.contains("expected trials_to_test.txt beside the recordings"), "{e}");
    for (lines, expected) in [("0,1,2\n", "class of 1 to 11, found 0"), ("12,1,2\n", "found 12"), ("1,5,5\n", "start before the end")] {
        let e = failure(with("user01_led_labels.csv", lines));
        assert!(e.contains("user01_led_labels.csv: line 1") && e.contains(expected), "{e}");
    }
}

#[test]
fn what_is_missing_may_be_left_out_and_odd_labels_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = files();
    files.retain(|f| !f.0.starts_with("user02"));
    files.push(("user09_led.aedat".to_string(), aedat3::write(&recording(7), "DVS128").unwrap()));
    files.iter_mut().find(|f| f.0 == "user01_lab_labels.csv").unwrap().1 = b"1,1000,2000\n2,100,1100\n3,90000,90001\n".to_vec();
    folder(dir.path(), &files);
    let p = ready(sets::DVS_GESTURE, &options(dir.path()));
    assert_eq!(p.cache.entries().len(), 2 + 3 + 2);
    let has = |text: &str| assert!(p.notes.iter().any(|n| n.contains(text)), "{text}: {:?}", p.notes);
    has("names user02_led.aedat");
    has("user09_led.aedat is neither");
    has("starts before the line above");
    has("overlap by 100");
    // A gap that has no event in it is a sample without events.
    assert!(frames(&p, 4).iter().all(|&c| c == 0) && p.cache.entries()[4].quality.events == 0);
}

#[test]
fn archives_with_tricks_cut_or_doubled() {
    let dir = tempfile::tempdir().unwrap();
    let options = EventOptions { allow_partial: false, ..options(dir.path()) };
    let mut files = in_archive(files());
    files.push(("../../user07_led.aedat".to_string(), b"x".to_vec()));
    files.push(("/user08_led.aedat".to_string(), b"x".to_vec()));
    files.push(("DvsGesture/user09_link.aedat".to_string(), vec![]));
    let path = tar(dir.path(), &files);
    let p = ready(sets::DVS_GESTURE, &options);
    let expected = "passed over: 2 members whose path leads out of the archive, 1 link or";
    assert!(p.notes.iter().any(|n| n.contains(expected)), "{:?}", p.notes);
    let whole = fs::read(&path).unwrap();
    for cut in [10, 1000, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        let text = error(sets::DVS_GESTURE, &options);
        assert!(text.contains("DvsGesture.tar.gz") && text.contains("fetch it again"), "{cut}: {text}");
    }
    files.push(("DvsGesture/other/user01_led.aedat".to_string(), b"x".to_vec()));
    tar(dir.path(), &files);
    let text = error(sets::DVS_GESTURE, &options);
    assert!(text.contains("user01_led.aedat") && text.contains("twice"), "{text}");
    fs::write(&path, b"nothing of the kind").unwrap();
    assert!(error(sets::DVS_GESTURE, &options).contains("DvsGesture.tar.gz"));
}

#[test]
fn killed_in_the_archive_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    tar(dir.path(), &in_archive(files()));
    let path = ready(sets::DVS_GESTURE, &options(dir.path())).cache.path().to_owned();
    let good = fs::read(&path).unwrap();
    for cut in (0..good.len()).step_by(good.len() / 20) {
        fs::remove_file(&path).unwrap();
        fs::write(path.with_added_extension("part"), &good[..cut]).unwrap();
        ready(sets::DVS_GESTURE, &options(dir.path()));
        assert!(fs::read(&path).unwrap() == good, "{cut}");
    }
}
