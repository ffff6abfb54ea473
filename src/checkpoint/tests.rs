use std::borrow::Cow;
use std::fs;
use std::time::Instant;

use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::error::Kind as ErrorKind;
use crate::rng::{Purpose, Rng};
use crate::storage::Disk;
use crate::storage::faulty::{Fault, FaultyDisk};

fn header(step: u64, shapes: &[(&str, &[usize])]) -> Header {
    Header {
        kind: CheckpointKind::Training,
        config_toml: "lr = 0.001\nname = \"ü\"\n".into(),
        network: "3C3-MP2-10".into(),
        input_shape: "1x5x7".into(),
        classes: vec!["null".into(), "eins".into()],
        dataset: "glyphs".into(),
        dataset_fingerprint: "abc".into(),
        step,
        numerics: 2,
        progress: json!({"best": 0.1 + 0.2, "tiny": 5e-324, "huge": f64::MAX, "count": u64::MAX, "note": null}),
        tensors: shapes.iter().map(|(name, shape)| TensorEntry { name: (*name).into(), shape: shape.to_vec() }).collect(),
    }
}

fn values(entry: &TensorEntry) -> Vec<f32> {
    let mut rng = Rng::at(1, Purpose::Test, 0, entry.name.len() as u64);
    (0..entry.values().unwrap()).map(|_| rng.normal()).collect()
}

fn save_plain(path: &Path, header: &Header) -> Result<()> {
    save(&Disk, path, header, |entry| Ok(values(entry).into())).map(|_| ())
}

const SMALL: &[(&str, &[usize])] = &[("w", &[3, 2]), ("scale", &[]), ("none", &[0, 4])];

/// Bytes with a valid preamble and digest around `json`, and `rest` behind.
fn forged(json: &str, rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"SPIKETRN\x01\0\0\0".to_vec();
    bytes.extend((json.len() as u64).to_le_bytes());
    bytes.extend(json.as_bytes());
    bytes.extend(Sha256::digest(&bytes));
    bytes.extend(rest);
    bytes
}

fn load_bytes(bytes: &[u8]) -> Result<Checkpoint> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.ckpt");
    fs::write(&path, bytes).unwrap();
    load(&Disk, &path)
}

#[test]
fn what_was_saved_is_loaded_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    // More than one chunk and not a multiple of it; one value; no value.
    let header = header(7, &[("big", &[3, 174_763]), ("chunk", &[1 << 18]), ("scalar", &[]), ("empty", &[0]), ("odd-name ü", &[1, 1, 5])]);
    save_plain(&path, &header).unwrap();
    let mut loaded = load(&Disk, &path).unwrap();
    assert_eq!(loaded.header, header);
    for tensor in &loaded.tensors {
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&tensor.values), bits(&values(&tensor.entry)), "{}", tensor.entry.name);
    }
    assert!(loaded.take("scalar", &[1]).unwrap_err().what.contains("shape []"));
    assert_eq!(loaded.take("scalar", &[]).unwrap().len(), 1);
    assert_eq!(loaded.take("scalar", &[]).unwrap_err().kind, ErrorKind::Format);
    assert_eq!(loaded.take("chunk", &[1 << 18]).unwrap().len(), 1 << 18);
}

#[test]
fn signs_of_zero_and_the_smallest_numbers_survive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    let special = [-0.0, 0.0, f32::MIN_POSITIVE, f32::from_bits(1), f32::MAX, f32::MIN];
    save(&Disk, &path, &header(1, &[("s", &[6])]), |_| Ok(Cow::Borrowed(&special))).unwrap();
    let back = load(&Disk, &path).unwrap().take("s", &[6]).unwrap();
    assert_eq!(back.map_bits(), special.to_vec().map_bits());
}

trait MapBits {
    fn map_bits(&self) -> Vec<u32>;
}
impl MapBits for Vec<f32> {
    fn map_bits(&self) -> Vec<u32> {
        self.iter().map(|v| v.to_bits()).collect()
    }
}

#[test]
fn every_truncation_and_every_flipped_byte_is_detected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    save_plain(&path, &header(7, SMALL)).unwrap();
    let good = fs::read(&path).unwrap();
    assert!(load_bytes(&good).is_ok());
    for n in 0..good.len() {
        let error = load_bytes(&good[..n]).expect_err(&format!("cut to {n} bytes"));
        assert_eq!(error.kind, ErrorKind::Format, "cut to {n} bytes: {error}");
        assert!(error.place.contains("byte"), "{error}");
    }
    for i in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[i] ^= flip;
            let error = load_bytes(&bad).expect_err(&format!("byte {i} flipped by {flip:x}"));
            assert_eq!(error.kind, ErrorKind::Format, "byte {i}: {error}");
        }
    }
    let longer = [&good[..], &[0]].concat();
    assert!(load_bytes(&longer).unwrap_err().what.contains("appended"));
    println!("{} truncations and {} flips detected", good.len(), 3 * good.len());
}

#[test]
fn other_files_and_newer_versions_are_named_as_such() {
    let error = load_bytes(&[b'x'; 100]).unwrap_err();
    assert!(error.what.contains("not a spiketrain checkpoint"), "{error}");
    let mut bytes = forged("{}", &[]);
    bytes[8] = 2;
    let error = load_bytes(&bytes).unwrap_err();
    assert!(error.what.contains("written by a newer spiketrain") && error.remedy.contains("update"), "{error}");
    assert!(error.place.ends_with("byte 8"), "{error}");
    assert!(load_bytes(&forged("{}", &[])).unwrap_err().what.contains("cannot be understood"));
    assert!(load_bytes(&forged(&"[".repeat(100_000), &[])).unwrap_err().what.contains("cannot be understood"));
    assert_eq!(load(&Disk, Path::new("/absent/x.ckpt")).unwrap_err().kind, ErrorKind::Usage);
}

#[test]
fn absurd_sizes_are_refused_before_anything_is_allocated() {
    let mut bytes = b"SPIKETRN\x01\0\0\0".to_vec();
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.extend([0; 100]);
    assert!(load_bytes(&bytes).unwrap_err().place.ends_with("byte 12"));
    // Would be 2^62 bytes, overflow, or 8 GiB: a test that allocated them would fail.
    for shape in [&[1usize << 60][..], &[1 << 40, 1 << 40], &[usize::MAX, 2], &[limits_max()]] {
        let json = serde_json::to_string(&header(1, &[("w", shape)])).unwrap();
        let error = load_bytes(&forged(&json, &[0; 64])).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Format, "{error}");
        assert!(error.what.contains("more than") || error.what.contains("cut off"), "{error}");
    }
    let twice = serde_json::to_string(&header(1, &[("w", &[1]), ("w", &[1])])).unwrap();
    assert!(load_bytes(&forged(&twice, &[0; 72])).unwrap_err().what.contains("two tensors"));
}

fn limits_max() -> usize {
    crate::limits::MAX_PARAMETERS
}

#[test]
fn values_that_are_not_finite_are_neither_saved_nor_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    fs::write(&path, "old").unwrap();
    let header = header(1, &[("first", &[2]), ("weights", &[300_000])]);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = save(&Disk, &path, &header, |entry| {
            let mut v = values(entry);
            if entry.name == "weights" {
                v[299_999] = bad;
            }
            Ok(v.into())
        })
        .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Diverged);
        assert!(error.what.contains("'weights'") && error.what.contains("299999"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(Disk.list(folder.path()).unwrap(), ["a.ckpt"]);
    }
    let json = serde_json::to_string(&self::header(1, &[("w", &[2])])).unwrap();
    let mut bytes = forged(&json, &[0, 0, 128, 63, 0, 0, 192, 127]);
    bytes.extend(Sha256::digest(&bytes));
    let error = load_bytes(&bytes).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Format);
    assert!(error.what.contains("'w' is NaN at position 1"), "{error}");
}

#[test]
fn values_that_do_not_fit_the_header_are_our_own_bug() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    let error = save(&Disk, &path, &header(1, &[("w", &[3])]), |_| Ok(vec![0.0; 4].into())).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bug);
    let error = save_plain(&path, &header(1, &[("w", &[3]), ("w", &[3])])).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Bug);
    assert!(Disk.list(folder.path()).unwrap().is_empty());
}

#[test]
fn a_failing_disk_leaves_the_checkpoint_before_and_no_temporary_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint-5.ckpt");
    let old = header(4, SMALL);
    let new = header(5, &[("w", &[600_000])]);
    let mut tried = 0;
    loop {
        save_plain(&path, &old).unwrap();
        let storage = FaultyDisk::new(Fault::Once, tried);
        let result = save(&storage, &path, &new, |entry| Ok(values(entry).into()));
        let there = load(&Disk, &path).unwrap().header;
        assert_eq!(Disk.list(folder.path()).unwrap(), ["checkpoint-5.ckpt"]);
        match result {
            Ok(_) => break assert!(!storage.fired() && there == new),
            Err(e) => assert_eq!(there == new, e.what.contains("in place"), "operation {tried}: {e}"),
        }
        tried += 1;
    }
    println!("{tried} operations failed in turn");
    assert!(tried >= 8, "{tried}");
}

#[test]
fn a_damaged_newest_falls_back_to_the_one_before_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let path = |step| folder.join(file_name(step));
    for step in [9, 10, 100] {
        save_plain(&path(step), &header(step, SMALL)).unwrap();
    }
    // Names that are not ours are not looked at.
    fs::write(folder.join("checkpoint-0200.ckpt"), "x").unwrap();
    fs::write(folder.join("checkpoint-300.ckpt.bak"), "x").unwrap();
    let newest = load_newest(&Disk, folder).unwrap();
    assert_eq!((newest.checkpoint.header.step, newest.path, newest.warnings.len()), (100, path(100), 0));

    let mut bytes = fs::read(path(100)).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path(100), bytes).unwrap();
    let newest = load_newest(&Disk, folder).unwrap();
    assert_eq!((newest.checkpoint.header.step, newest.path), (10, path(10)));
    assert!(newest.warnings.len() == 1 && newest.warnings[0].contains("checkpoint-100.ckpt"), "{:?}", newest.warnings);

    for step in [9, 10] {
        fs::write(path(step), "").unwrap();
    }
    let error = load_newest(&Disk, folder).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Format);
    assert!([9, 10, 100].iter().all(|&s| error.what.contains(&file_name(s))), "{error}");
    // What could not be read may well be sound.
    let error = load_newest(&FaultyDisk::new(Fault::Forever, 1), folder).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Storage);
    let empty = tempfile::tempdir().unwrap();
    assert!(load_newest(&Disk, empty.path()).unwrap_err().what.contains("no checkpoint"));
}

#[test]
fn pruning_keeps_the_newest_up_to_the_one_just_saved() {
    let folder = tempfile::tempdir().unwrap();
    for step in [9, 10, 50, 100, 200, 300] {
        fs::write(folder.path().join(file_name(step)), "x").unwrap();
    }
    fs::write(folder.path().join("best.ckpt"), "x").unwrap();
    prune(&Disk, folder.path(), 300, 5).unwrap();
    assert_eq!(steps(&Disk, folder.path()).unwrap(), [300, 200, 100, 50, 10]);
    // The run fell back behind damaged 200 and 300 and has saved 100 again.
    prune(&Disk, folder.path(), 100, 2).unwrap();
    assert_eq!(steps(&Disk, folder.path()).unwrap(), [100, 50]);
    prune(&Disk, folder.path(), 100, 9).unwrap();
    assert_eq!(Disk.list(folder.path()).unwrap(), ["best.ckpt", "checkpoint-100.ckpt", "checkpoint-50.ckpt"]);
}

/// Not a promise but a measurement: `cargo test --release checkpoint -- --ignored --nocapture`.
#[test]
#[ignore = "writes 512 MB"]
fn speed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ckpt");
    let data = vec![1.25f32; 128 << 20];
    let start = Instant::now();
    save(&Disk, &path, &header(1, &[("w", &[data.len()])]), |_| Ok(Cow::Borrowed(&data))).unwrap();
    let saved = start.elapsed().as_secs_f64();
    let start = Instant::now();
    assert_eq!(load(&Disk, &path).unwrap().tensors[0].values, data);
    let loaded = start.elapsed().as_secs_f64();
    println!("512 MiB: save (with sync and reading back) {:.0} MB/s, load {:.0} MB/s", 537.0 / saved, 537.0 / loaded);
}
