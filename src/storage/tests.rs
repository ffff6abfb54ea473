use std::fs;

use super::faulty::{Fault, FaultyDisk, SmallDisk};
use super::*;
use crate::error::Kind;

/// What stands in the folder, without looking inside.
fn names(folder: &Path) -> Vec<String> {
    Disk.list(folder).unwrap()
}

#[test]
fn written_files_are_whole_and_their_digest_is_that_of_the_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    for text in ["", "a = 1\n", &"line\n".repeat(700_001)] {
        let published = write_text(&Disk, &path, text).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(published.bytes, text.len() as u64);
        assert_eq!(published.sha256, *Sha256::digest(text));
        assert_eq!(names(folder.path()), ["config.toml"]);
    }
}

#[test]
fn an_error_at_any_operation_leaves_the_old_file_and_no_temporary_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    let new = "new ".repeat(10_000);
    let mut tried = 0;
    loop {
        fs::write(&path, "old").unwrap();
        let storage = FaultyDisk::new(Fault::Once, tried);
        let result = write_atomically(&storage, &path, |draft| new.as_bytes().chunks(4096).try_for_each(|c| draft.put(c)));
        if !storage.fired() {
            assert!(result.is_ok());
            break;
        }
        let error = result.unwrap_err();
        assert_eq!(error.kind, Kind::Storage);
        assert!(error.place.ends_with("result.json") && !error.remedy.is_empty(), "{error}");
        let after_rename = error.what.contains("in place");
        assert_eq!(fs::read_to_string(&path).unwrap(), if after_rename { &new } else { "old" }, "operation {tried}");
        assert_eq!(names(folder.path()), ["result.json"], "operation {tried}");
        tried += 1;
    }
    println!("{tried} operations failed in turn");
    assert!(tried > 8, "create, writes, sync, open, rename, sync_folder: {tried}");
}

#[test]
fn a_killed_writer_leaves_old_or_new_and_what_is_left_over_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    let mut left_over = 0;
    for n in 0.. {
        fs::write(&path, "old").unwrap();
        let storage = FaultyDisk::new(Fault::Forever, n);
        let _ = write_text(&storage, &path, "new");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text == "old" || text == "new");
        let swept = sweep(&Disk, folder.path()).unwrap();
        left_over += swept.len();
        assert_eq!(names(folder.path()), ["result.json"]);
        if !storage.fired() {
            break;
        }
    }
    assert!(left_over >= 3, "{left_over}");
}

#[test]
fn every_honest_fault_at_any_operation_leaves_old_or_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    let (old, new) = ("old".repeat(1000), "new".repeat(10_000));
    let mut cases = 0;
    for fault in Fault::HONEST {
        for n in 0.. {
            fs::write(&path, &old).unwrap();
            let storage = FaultyDisk::new(fault, n);
            let result = write_text(&storage, &path, &new);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text == old || text == new, "{fault:?} at {n}");
            assert!(result.is_err() || text == new, "{fault:?} at {n}");
            sweep(&Disk, folder.path()).unwrap();
            assert_eq!(names(folder.path()), ["result.json"]);
            if !storage.fired() {
                break;
            }
            cases += 1;
        }
    }
    println!("{cases} cases");
    assert!(cases >= 30, "{cases}");
}

#[test]
fn a_disk_without_room_leaves_the_old_file_and_takes_the_new_one_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("result.json");
    for room in 0..=100 {
        fs::write(&path, "old").unwrap();
        let disk = SmallDisk::new(room);
        let result = write_text(&disk, &path, &"n".repeat(100));
        assert_eq!(result.is_ok(), room == 100, "{room}");
        assert_eq!(fs::read(&path).unwrap()[0], if room == 100 { b'n' } else { b'o' }, "{room}");
        assert_eq!(names(folder.path()), ["result.json"]);
        assert_eq!(disk.room(), if room == 100 { 3 } else { room }, "what is removed makes room");
    }
}

#[test]
fn a_disk_that_lies_is_caught_by_reading_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, "old").unwrap();
    // Operation 0 creates the file, operation 1 writes to it.
    let error = write_text(&FaultyDisk::new(Fault::Lie, 1), &path, "new").unwrap_err();
    assert!(error.what.contains("read back"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(folder.path()), ["config.toml"]);
}

#[test]
fn an_error_of_the_content_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, "old").unwrap();
    let error = write_atomically(&Disk, &path, |draft| {
        draft.put(b"half")?;
        Err(Error::diverged("loss is NaN"))
    });
    assert_eq!(error.unwrap_err().kind, Kind::Diverged);
    assert_eq!(fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(names(folder.path()), ["config.toml"]);
}

#[test]
fn only_our_own_temporary_files_are_swept() {
    for name in [".config.toml.tmp-12-0", ".a.tmp-b.tmp-1-999"] {
        assert!(is_temporary(name), "{name}");
    }
    for name in ["config.toml", ".lock", "a.tmp-1-0", ".a.tmp-1", ".a.tmp-x-0", ".a.tmp-1-", ".tmp-1-0", "..tmp-1-0x"] {
        assert!(!is_temporary(name), "{name}");
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["keep.tmp-1-0", ".config.toml.tmp-12-0", ".hidden"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    assert_eq!(sweep(&Disk, folder.path()).unwrap(), [".config.toml.tmp-12-0"]);
    assert_eq!(names(folder.path()), [".hidden", "keep.tmp-1-0"]);
}

#[test]
fn a_leftover_of_the_same_process_number_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let leftover = folder.path().join(format!(".x.tmp-{}-0", std::process::id()));
    fs::write(&leftover, "half").unwrap();
    write_text(&Disk, &path, "whole").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    assert_eq!(fs::read_to_string(&leftover).unwrap(), "half");
}

#[test]
fn places_that_cannot_be_written_are_storage_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [folder.path().join("absent/x"), file.join("x")] {
        assert_eq!(write_text(&Disk, &path, "x").unwrap_err().kind, Kind::Storage);
    }
    assert_eq!(write_text(&Disk, Path::new("/"), "x").unwrap_err().kind, Kind::Usage);
}
