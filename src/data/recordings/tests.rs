use std::fs::File;

use super::*;
use crate::data::zip::tests::zip;
use crate::events::{Event, aedat2, aedat3, nmnist as bin};
use crate::frames::{FrameSource, counts};
use crate::rng::{Purpose, Rng};

/// Events in order, from `t` on, on a sensor of `side` x `side`.
fn events(n: usize, side: usize, case: u64, mut t: u64) -> Vec<Event> {
    let mut rng = Rng::at(5, Purpose::Test, case, n as u64);
    (0..n)
        .map(|_| {
            t += rng.below(20) as u64;
            Event { t, x: rng.below(side) as u16, y: rng.below(side) as u16, on: rng.below(2) == 1 }
        })
        .collect()
}

fn put(path: PathBuf, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn options(dir: &Path) -> EventOptions {
    EventOptions { data_dir: Some(dir.into()), steps: 4, allow_partial: true, ..Default::default() }
}

fn ready(name: DatasetName, options: &EventOptions) -> Prepared {
    prepare(name, options, true, &mut ()).unwrap()
}

fn error(name: DatasetName, options: &EventOptions) -> String {
    let e = prepare(name, options, true, &mut ()).err().unwrap();
    assert_eq!(e.exit_code(), 2, "{e}");
    e.to_string()
}

/// Sample `i` of a prepared set.
fn frames(p: &Prepared, i: usize) -> Vec<u16> {
    let mut counts = vec![0; cells(p.cache.sensor(), p.cache.about().steps)];
    p.cache.read(i, &mut counts).unwrap();
    counts
}

/// Keeps what is said.
#[derive(Default)]
struct Said(Vec<String>);

impl Observer for Said {
    fn begin(&mut self, _: Doing, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_string());
    }
}

mod nmnist_set {
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
            let members: Vec<(&str, &[u8])> =
                files.iter().filter(|(p, _)| p.starts_with(split)).map(|(p, b)| (p.as_str(), &b[..])).collect();
            put(b.path().join(format!("nmnist/{split}.zip")), &zip(&members));
        }
        let (folders, zips) = (ready(DatasetName::NMnist, &options(a.path())), ready(DatasetName::NMnist, &options(b.path())));
        assert_eq!(folders.cache.about().fingerprint, zips.cache.about().fingerprint);
        assert_eq!(folders.cache.about().split_hash, zips.cache.about().split_hash);
        for (i, (_, events)) in recordings().iter().enumerate() {
            let (expected, quality) = counts(events, Sensor { width: 34, height: 34 }, 4, SplitBy::Number);
            assert!(frames(&zips, i) == expected && frames(&folders, i) == expected);
            assert_eq!(zips.cache.entries()[i].quality, quality);
        }
        let set = load(DatasetName::NMnist, &options(b.path()), &mut ()).unwrap();
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
        let none = error(DatasetName::NMnist, &options(dir.path()));
        assert!(none.contains("not there") && none.contains("Train.zip"), "{none}");
        unpacked(dir.path());
        let strict = EventOptions { allow_partial: false, ..options(dir.path()) };
        let text = error(DatasetName::NMnist, &strict);
        assert!(text.contains("Train: expected 60000 recordings, found 12") && text.contains("--allow-partial"), "{text}");
        fs::remove_dir_all(dir.path().join("nmnist/Test")).unwrap();
        assert!(error(DatasetName::NMnist, &strict).contains("missing: Test"));
        assert!(error(DatasetName::NMnist, &options(dir.path())).contains("no recording is left for the test set"));
    }

    #[test]
    fn limits_take_the_first_samples_and_make_another_set_of_it() {
        let dir = tempfile::tempdir().unwrap();
        unpacked(dir.path());
        let whole = load(DatasetName::NMnist, &options(dir.path()), &mut ()).unwrap();
        let some = EventOptions { train_limit: Some(5), test_limit: Some(9), ..options(dir.path()) };
        let some = load(DatasetName::NMnist, &some, &mut ()).unwrap();
        assert_eq!((some.train.labels.len(), some.train.at.len(), some.test.labels.len()), (5, 5, 4));
        assert!(some.notes.contains(&"train: the first 5 of 12 samples".to_string()), "{:?}", some.notes);
        assert_ne!(some.fingerprint, whole.fingerprint);
        let zero = EventOptions { test_limit: Some(0), ..options(dir.path()) };
        assert!(load(DatasetName::NMnist, &zero, &mut ()).err().unwrap().to_string().starts_with("--test-limit"));
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
        let p = ready(DatasetName::NMnist, &options(dir.path()));
        assert_eq!(p.per_class()[0].iter().sum::<usize>(), 1);
        assert!(p.notes.iter().any(|n| n.contains("passed over: 3 members whose path leads out")), "{:?}", p.notes);
        assert!(p.notes.iter().any(|n| n.contains("2 files passed over")), "{:?}", p.notes);
        put(train.clone(), &zip(&[("Train/3/00001.bin", &recording), ("Train/3/00001.bin", &recording)]));
        let text = error(DatasetName::NMnist, &options(dir.path()));
        assert!(text.contains("Train.zip/Train/3/00001.bin") && text.contains("twice"), "{text}");
        put(train.clone(), b"<html>not found</html>");
        assert!(error(DatasetName::NMnist, &options(dir.path())).contains("Train.zip: expected a zip archive"));
        put(train, &zip(&[("Train/3/00001.bin", &recording[..7])]));
        let text = error(DatasetName::NMnist, &options(dir.path()));
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
            let prepared = pool.install(|| ready(DatasetName::NMnist, &options));
            fs::read(prepared.cache.path()).unwrap()
        });
        assert!(bytes[0] == bytes[1] && bytes[0] == bytes[2]);
    }

    #[test]
    fn killed_anywhere_it_goes_on_and_ends_with_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        unpacked(dir.path());
        let options = options(dir.path());
        let path = ready(DatasetName::NMnist, &options).cache.path().to_owned();
        let good = fs::read(&path).unwrap();
        let mut went_on = 0;
        for cut in (0..good.len()).step_by(211) {
            fs::remove_file(&path).unwrap();
            fs::write(path.with_added_extension("part"), &good[..cut]).unwrap();
            let mut said = Said::default();
            prepare(DatasetName::NMnist, &options, false, &mut said).unwrap();
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
        let first = ready(DatasetName::NMnist, &options);
        let path = first.cache.path().to_owned();
        let good = fs::read(&path).unwrap();
        assert!(first.built.is_some() && ready(DatasetName::NMnist, &options).built.is_none());
        let mut wrong = good.clone();
        wrong[200] ^= 1;
        // Training meets the damage when it reads the block…
        fs::write(&path, &wrong).unwrap();
        let set = load(DatasetName::NMnist, &options, &mut ()).unwrap();
        let mut counts = vec![0; cells(set.sensor, 4)];
        let bad: Vec<_> = (0..16).filter_map(|i| set.source.read(i, &mut counts).err()).collect();
        assert!(bad.len() == 1 && bad[0].to_string().contains("builds the frames anew"), "{bad:?}");
        let set = load(DatasetName::NMnist, &options, &mut ()).unwrap();
        assert!(set.notes.iter().any(|n| n.contains("was damaged: built anew")), "{:?}", set.notes);
        assert!((0..16).all(|i| set.source.read(i, &mut counts).is_ok()) && fs::read(&path).unwrap() == good);
        // … `data prepare` looks for it.
        fs::write(&path, &wrong).unwrap();
        let p = ready(DatasetName::NMnist, &options);
        assert!(p.built.is_some() && p.notes.iter().any(|n| n.contains("damaged")), "{:?}", p.notes);
        assert!(fs::read(&path).unwrap() == good);
        // Another recording under the same name and of the same size.
        let (file, events) = &recordings()[0];
        let mut changed = events.clone();
        changed[0].x ^= 1;
        put(dir.path().join("nmnist").join(file), &bin::write(&changed).unwrap());
        let p = ready(DatasetName::NMnist, &options);
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
        let e = prepare(DatasetName::NMnist, &options(dir.path()), false, &mut ()).err().unwrap();
        assert!(e.exit_code() == 4 && e.to_string().contains("another process"), "{e}");
        drop(lock);
        ready(DatasetName::NMnist, &options(dir.path()));
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
            let built = prepare_on(&disk, DatasetName::NMnist, &options, false, &mut ());
            if !disk.fired() {
                break;
            }
            let e = built.err().unwrap();
            assert!(e.exit_code() == 4 && e.to_string().contains("free some space"), "{e}");
            ready(DatasetName::NMnist, &options);
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
        let p = ready(DatasetName::NMnist, &options(dir.path()));
        assert_eq!((p.quality.out_of_range, p.quality.bad()), (3, 3));
        load(DatasetName::NMnist, &options(dir.path()), &mut ()).unwrap();
        let strict = EventOptions { strict: true, ..options(dir.path()) };
        let e = load(DatasetName::NMnist, &strict, &mut ()).err().unwrap();
        assert!(e.exit_code() == 2 && e.to_string().contains("3 outside the sensor"), "{e}");
        bad.iter_mut().for_each(|e| e.x = 40);
        put(dir.path().join("nmnist").join(file), &bin::write(&bad).unwrap());
        let e = load(DatasetName::NMnist, &options(dir.path()), &mut ()).err().unwrap().to_string();
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
        let p = ready(DatasetName::NMnist, &EventOptions { cache: Some(cache.path().into()), ..options(&dir) });
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
}

mod dvs_gesture_set {
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
        let unpacked = error(DatasetName::DvsGesture, &EventOptions { allow_partial: false, ..options(dir.path()) });
        let packed = tempfile::tempdir().unwrap();
        tar(packed.path(), &in_archive(files));
        let text = error(DatasetName::DvsGesture, &EventOptions { allow_partial: false, ..options(packed.path()) });
        let what = |e: &str| e.rsplit("DvsGesture").next().unwrap().split_once(": ").unwrap().1.to_string();
        assert_eq!(what(&unpacked), what(&text), "folder and archive are refused alike");
        text
    }

    #[test]
    fn samples_are_windows_in_the_order_of_lists_and_lines() {
        let dir = tempfile::tempdir().unwrap();
        folder(dir.path(), &files());
        let p = ready(DatasetName::DvsGesture, &EventOptions { allow_partial: false, ..options(dir.path()) });
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
            let q = ready(DatasetName::DvsGesture, &EventOptions { allow_partial: false, ..options(packed.path()) });
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
        let p = ready(DatasetName::DvsGesture, &options(dir.path()));
        let within: Vec<Event> = swapped.into_iter().filter(|e| (1000..2000).contains(&e.t)).collect();
        assert!(frames(&p, 5) == counts(&within, Sensor::DVS128, 4, SplitBy::Number).0);
        assert!(p.quality.backwards > 0);
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
        let p = ready(DatasetName::DvsGesture, &options(dir.path()));
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
        let p = ready(DatasetName::DvsGesture, &options);
        let expected = "passed over: 2 members whose path leads out of the archive, 1 links";
        assert!(p.notes.iter().any(|n| n.contains(expected)), "{:?}", p.notes);
        let whole = fs::read(&path).unwrap();
        for cut in [10, 1000, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            let text = error(DatasetName::DvsGesture, &options);
            assert!(text.contains("DvsGesture.tar.gz") && text.contains("fetch it again"), "{cut}: {text}");
        }
        files.push(("DvsGesture/other/user01_led.aedat".to_string(), b"x".to_vec()));
        tar(dir.path(), &files);
        let text = error(DatasetName::DvsGesture, &options);
        assert!(text.contains("user01_led.aedat") && text.contains("twice"), "{text}");
        fs::write(&path, b"nothing of the kind").unwrap();
        assert!(error(DatasetName::DvsGesture, &options).contains("DvsGesture.tar.gz"));
    }

    #[test]
    fn killed_in_the_archive_it_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        tar(dir.path(), &in_archive(files()));
        let path = ready(DatasetName::DvsGesture, &options(dir.path())).cache.path().to_owned();
        let good = fs::read(&path).unwrap();
        for cut in (0..good.len()).step_by(good.len() / 20) {
            fs::remove_file(&path).unwrap();
            fs::write(path.with_added_extension("part"), &good[..cut]).unwrap();
            ready(DatasetName::DvsGesture, &options(dir.path()));
            assert!(fs::read(&path).unwrap() == good, "{cut}");
        }
    }
}

mod dvs_cifar10_set {
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
        let text = error(DatasetName::DvsCifar10, &EventOptions { allow_partial: false, ..options(dir.path()) });
        assert!(text.contains("airplane: expected 1000 recordings, found 12 (10 train, 2 test)"), "{text}");
        let p = ready(DatasetName::DvsCifar10, &options(dir.path()));
        assert_eq!(p.per_class(), [vec![10; 10], vec![2; 10]]);
        // 0, 1, 10, 11, 2, 3, … 9: the last two are for the test; samples stand in rounds.
        for (i, (c, n)) in [(0, (0, 0)), (10, (0, 1)), (20, (0, 10)), (33, (3, 11)), (42, (2, 2)), (100, (0, 8)), (119, (9, 9))] {
            let mut expected = events(40, 128, (c * 100 + n) as u64, 0);
            expected.iter_mut().for_each(|e| (e.x, e.y, e.on) = (127 - e.y, 127 - e.x, !e.on));
            assert!(frames(&p, i) == counts(&expected, Sensor::DVS128, 4, SplitBy::Number).0, "sample {i}");
            assert_eq!(p.cache.entries()[i].place.label as usize, c);
        }
        let zips = ready(DatasetName::DvsCifar10, &options(packed.path()));
        assert_eq!(zips.cache.about().fingerprint, p.cache.about().fingerprint);
        fs::remove_file(packed.path().join("dvs-cifar10/cat.zip")).unwrap();
        let text = error(DatasetName::DvsCifar10, &EventOptions { allow_partial: false, ..options(packed.path()) });
        assert!(text.contains("missing: cat"), "{text}");
        assert_eq!(ready(DatasetName::DvsCifar10, &options(packed.path())).per_class()[0][3], 0);
    }
}

mod users_folder {
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
        let p = ready(DatasetName::Events, &of(dir.path()));
        assert_eq!(p.cache.about().classes, ["clap", "wave"]);
        assert_eq!(p.per_class(), [vec![4, 8], vec![1, 2]]);
        assert!(p.notes.iter().any(|n| n.starts_with("1 files passed over")), "{:?}", p.notes);
        let hash = |seed| ready(DatasetName::Events, &EventOptions { seed, ..of(dir.path()) }).cache.about().split_hash.clone();
        assert!(hash(1) == p.cache.about().split_hash && (2..6).any(|seed| hash(seed) != hash(1)));
        let other = tempfile::tempdir().unwrap();
        fill(other.path(), "train", "wave", 3);
        fill(other.path(), "train", "clap", 2);
        let text = error(DatasetName::Events, &of(other.path()));
        assert!(text.contains("no folder 'test'"), "{text}");
        fill(other.path(), "test", "clap", 1);
        assert_eq!(ready(DatasetName::Events, &of(other.path())).per_class(), [vec![2, 3], vec![1, 0]]);
        fill(other.path(), "test", "jump", 1);
        assert!(error(DatasetName::Events, &of(other.path())).contains("the class 'jump' is in the test folder"));
    }

    #[test]
    fn the_sensor_is_that_of_the_format_or_of_the_option() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), "", "clap", 5);
        for i in 0..5 {
            put(dir.path().join(format!("mine/wave/{i}.bin")), &bin::write(&events(40, 34, i, 0)).unwrap());
        }
        let text = error(DatasetName::Events, &of(dir.path()));
        assert!(text.contains("wave/") && text.contains("expected a sensor of 128x128") && text.contains("--size"), "{text}");
        let size = Some(Sensor { width: 200, height: 100 });
        let p = ready(DatasetName::Events, &EventOptions { size, ..of(dir.path()) });
        assert_eq!((p.cache.sensor().width, p.cache.sensor().height), (200, 100));
        assert!(p.quality.out_of_range > 0, "rows 100 to 127");
        fs::remove_dir_all(dir.path().join("mine/clap")).unwrap();
        assert!(error(DatasetName::Events, &of(dir.path())).contains("2 to 10000 classes, found 1"));
        fs::rename(dir.path().join("mine/wave"), dir.path().join("mine/a")).unwrap();
        fill(dir.path(), "", "b", 2);
        let text = error(DatasetName::Events, &of(dir.path()));
        assert!(text.contains("does not say how large the sensor is") && text.contains("--size WIDTHxHEIGHT"), "{text}");
    }

    #[test]
    fn wrong_options_are_answered() {
        let dir = tempfile::tempdir().unwrap();
        assert!(error(DatasetName::Events, &EventOptions { folder: None, ..of(dir.path()) }).contains("needs a folder"));
        assert!(error(DatasetName::Events, &of(dir.path())).contains("no such folder"));
        for steps in [0, 65] {
            assert!(error(DatasetName::Events, &EventOptions { steps, ..of(dir.path()) }).starts_with("-T: "));
        }
        let size = Some(Sensor { width: 0, height: 9 });
        assert!(error(DatasetName::Events, &EventOptions { size, ..of(dir.path()) }).starts_with("--size: "));
        assert!(error(DatasetName::Mnist, &of(dir.path())).contains("has no recordings to prepare"));
    }

    #[test]
    fn simulated_sets_stay_simulated() {
        let dir = tempfile::tempdir().unwrap();
        fill(dir.path(), "", "clap", 5);
        fill(dir.path(), "", "wave", 5);
        assert!(!load(DatasetName::Events, &of(dir.path()), &mut ()).unwrap().simulated);
        put(dir.path().join("mine").join(SIMULATED), b"");
        let set = load(DatasetName::Events, &of(dir.path()), &mut ()).unwrap();
        assert!(set.simulated && set.notes.iter().any(|n| n.starts_with("simulated:")), "{:?}", set.notes);
    }
}
