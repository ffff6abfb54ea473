//! No file makes a reader panic, run long, or take memory that its length does not explain.
//!
//! Every reader is given every cut of small good files, and tens of thousands of mutants: flipped bits, numbers at their limits,
//! repeated, exchanged and spliced parts, half of them with their checksums made right again.

#[path = "hostile/memory.rs"]
mod memory;
#[path = "hostile/mutate.rs"]
mod mutate;
#[path = "hostile/networks.rs"]
mod networks;
#[path = "hostile/run.rs"]
mod run;
#[path = "hostile/trial.rs"]
mod trial;

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::Duration;

use spiketrain::checkpoint;
use spiketrain::config::{Config, Options};
use spiketrain::data::cache::part::{Block, Part};
use spiketrain::data::cache::{About, Cache, Place};
use spiketrain::data::recordings::{self, EventOptions};
use spiketrain::data::zip::Zip;
use spiketrain::data::{self, LoadOptions, cifar, idx, sets};
use spiketrain::doctor::{BUILT_IN, fixture::Fixture};
use spiketrain::events::{self, Event, Sensor, aedat2, aedat3, labels, nmnist, npz};
use spiketrain::export::Format;
use spiketrain::frames::{FrameSource, SplitBy, cells, counts};
use spiketrain::notation::{Notation, PRESETS};
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::storage::Disk;

use trial::{FREE, Scratch, Trial, four_times};

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// `n` events of a 100 x 100 sensor, in time.
fn some_events(n: usize, seed: u64) -> Vec<Event> {
    let mut rng = Rng::at(seed, Purpose::Test, 2, 0);
    (0..n as u64).map(|i| Event { t: 40 * i, x: rng.below(100) as u16, y: rng.below(100) as u16, on: rng.below(2) == 1 }).collect()
}

fn idx_file(sides: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sides.len() as u8];
    bytes.extend(sides.iter().flat_map(|s| s.to_be_bytes()));
    bytes.extend_from_slice(values);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// A zip of (name, content), deflated or stored.
fn zipped(members: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut out = zip::write::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        out.start_file(*name, zip::write::SimpleFileOptions::default().compression_method(method)).unwrap();
        out.write_all(bytes).unwrap();
    }
    out.finish().unwrap().into_inner()
}

fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..], text.as_bytes(), values].concat()
}

fn npz_events(n: usize, method: zip::CompressionMethod) -> Vec<u8> {
    let (events, shape) = (some_events(n, 3), format!("({n},)"));
    let column = |descr, f: &dyn Fn(&Event) -> Vec<u8>| npy(descr, &shape, &events.iter().flat_map(f).collect::<Vec<u8>>());
    let members = [
        ("t.npy", column("<i8", &|e| e.t.to_le_bytes().to_vec())),
        ("x.npy", column("<u2", &|e| e.x.to_le_bytes().to_vec())),
        ("y.npy", column(">f4", &|e| f32::from(e.y).to_be_bytes().to_vec())),
        ("p.npy", column("|b1", &|e| vec![e.on.into()])),
    ];
    zipped(&members, method)
}

#[test]
fn idx_images_and_labels() {
    let place = Path::new("f");
    let images = [idx_file(&[3, 5, 4], &[7; 60]), idx_file(&[1, 28, 28], &[9; 784])];
    Trial::of("idx images").run(&images, &mut |bytes| idx::parse_images(place, bytes).map(drop));
    let labels = [idx_file(&[40], &[3; 40])];
    Trial::of("idx labels").run(&labels, &mut |bytes| idx::parse_labels(place, bytes).map(drop));
}

#[test]
fn gzipped_idx() {
    let scratch = Scratch::new("mnist/train-images-idx3-ubyte");
    let images = idx_file(&[2, 28, 28], &[5; 2 * 784]);
    for (name, bytes) in [
        ("train-labels-idx1-ubyte", idx_file(&[2], &[1, 2])),
        ("t10k-images-idx3-ubyte", images.clone()),
        ("t10k-labels-idx1-ubyte", idx_file(&[2], &[3, 4])),
    ] {
        fs::write(scratch.dir().join("mnist").join(name), bytes).unwrap();
    }
    let options = LoadOptions { data_dir: Some(scratch.dir().into()), ..Default::default() };
    // What is unpacked is held twice, as the file has it and as the set has it, and deflate packs up to 1032 times: mutants of 200 KB have been
    // met that unpack to 40 MB.
    let time = Duration::from_millis(250);
    let trial = Trial { memory: |input| 4 * FREE + 3 * 1032 * input, time, ..Trial::of("gz") };
    trial.run(&[gzip(&images)], &mut |bytes| {
        scratch.put(bytes);
        data::load(sets::MNIST, &options).map(drop)
    });
}

#[test]
fn cifar_batches() {
    let record = |label: u8| [vec![label], vec![label; 3072]].concat();
    Trial::of("cifar batch")
        .run(&[record(3), [record(9), record(0)].concat()], &mut |bytes| cifar::parse_batch(Path::new("b"), bytes).map(drop));
}

#[test]
fn recordings_without_a_header() {
    let mut marked = some_events(30, 1);
    marked.iter_mut().for_each(|e| e.y += 1);
    let mut bytes = nmnist::write(&marked).unwrap();
    bytes[51] = 240;
    Trial::of("n-mnist").run(&[nmnist::write(&some_events(60, 2)).unwrap(), bytes], &mut |bytes| events::read(bytes, "a.bin").map(drop));
}

#[test]
fn aedat_2() {
    let files = [aedat2::write(&some_events(40, 3)).unwrap(), aedat2::write(&[]).unwrap()];
    Trial::of("aedat 2").run(&files, &mut |bytes| events::read(bytes, "a.aedat").map(drop));
}

#[test]
fn aedat_3_1() {
    let mut far = some_events(20, 5);
    far.iter_mut().skip(10).for_each(|e| e.t += 5 << 31);
    let files = [aedat3::write(&some_events(40, 4), "DVS128").unwrap(), aedat3::write(&far, "DAVIS346").unwrap()];
    Trial::of("aedat 3.1").run(&files, &mut |bytes| events::read(bytes, "a.aedat").map(drop));
    // Nothing but headers of packets, of every kind there could be.
    let mut headers = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n".to_vec();
    for kind in 2..6000u16 {
        headers.extend(kind.to_le_bytes());
        headers.extend([0; 26]);
    }
    let (recording, taken) = memory::peak(|| events::read(&headers, "a.aedat").unwrap());
    assert!(taken <= four_times(headers.len()) && recording.notes.len() == 11, "{taken} bytes, {} notes", recording.notes.len());
}

#[test]
fn labels_and_trials() {
    let csv = [b"class,startTime_usec,endTime_usec\n1,10,20\n8,15,40\n2,1,5\n".to_vec(), "\u{feff}1,10,20\r\n3,20,9000000\r\n".into()];
    // A thousand gestures with a note for each.
    let trial = Trial { memory: |input| four_times(input) + 256 * spiketrain::limits::MAX_GESTURES, ..Trial::of("labels") };
    trial.run(&csv, &mut |bytes| labels::parse(bytes, "l.csv").map(drop));
    let lists = [b"user01_led.aedat\nuser02_natural.aedat\r\nuser03_lab.aedat".to_vec()];
    // A name, and where it stands, for every line of two bytes: 52 bytes of tables for it.
    let trial = Trial { memory: |input| FREE + 64 * input, ..Trial::of("trials") };
    trial.run(&lists, &mut |bytes| labels::parse_trials(bytes, "t.txt").map(drop));
    let many: String = (0..150_000).map(|i| format!("{i:x}\n")).collect();
    assert!(many.len() < spiketrain::limits::MAX_TEXT_BYTES as usize);
    let start = std::time::Instant::now();
    assert_eq!(labels::parse_trials(many.as_bytes(), "t.txt").unwrap().len(), 150_000);
    assert!(start.elapsed().as_secs() < 5, "a list as long as it may be took {:?}", start.elapsed());
}

#[test]
fn npz_and_npy() {
    let frames = npy("<f4", "(2, 2, 3, 4)", &(0..48u8).flat_map(|v| f32::from(v).to_le_bytes()).collect::<Vec<u8>>());
    let files = [npz_events(20, zip::CompressionMethod::Stored), npz_events(9, zip::CompressionMethod::Deflated)];
    // The reader of archives, and deflate's window; what is unpacked (up to 1032 times) becomes events of 16 bytes.
    let trial = Trial { memory: |input| 3 * FREE + 16 * 1032 * input, ..Trial::of("npz of events") };
    trial.run(&files, &mut |bytes| events::read(bytes, "a.npz").map(drop));
    // A list of members takes several times its length, so a long one is not looked at.
    let many: Vec<(String, Vec<u8>)> = (0..2000).map(|i| (i.to_string(), Vec::new())).collect();
    let many: Vec<(&str, Vec<u8>)> = many.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let many = zipped(&many, zip::CompressionMethod::Stored);
    let (read, taken) = memory::peak(|| events::read(&many, "a.npz"));
    assert!(read.is_err() && taken <= FREE, "{taken} bytes for {}", many.len());
    let trial = Trial { memory: |input| 3 * FREE + 2 * 1032 * input, ..Trial::of("npz of frames") };
    let files = [
        zipped(&[("frames.npy", frames.clone())], zip::CompressionMethod::Stored),
        zipped(&[("frames.npy", frames)], zip::CompressionMethod::Deflated),
    ];
    trial.run(&files, &mut |bytes| npz::read_frames(bytes, "a.npz").map(drop));
}

#[test]
fn zip_archives() {
    let scratch = Scratch::new("a.zip");
    let member = nmnist::write(&some_events(30, 6)).unwrap();
    let members = [("Train/0/1.bin", member.clone()), ("Train/1/2.bin", b"abc".to_vec()), ("Test/", Vec::new())];
    let files = [zipped(&members, zip::CompressionMethod::Deflated), zipped(&members[..2], zip::CompressionMethod::Stored)];
    // The end of the archive is searched for its list; what a member unpacks to is counted against what it says.
    let trial = Trial { memory: |input| 4 * FREE + (4 + 1032) * input, ..Trial::of("zip") };
    trial.run(&files, &mut |bytes| {
        let mut zip = Zip::open(scratch.put(bytes))?;
        for index in 0..zip.members().len().min(8) {
            zip.read(index, 1 << 20)?;
        }
        Ok(())
    });
}

/// A .tar of DVS-Gesture's layout with one recording.
fn gesture_tar(events: &[Event]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let files = [
        ("DvsGesture/trials_to_train.txt", b"user01_led.aedat\n".to_vec()),
        ("DvsGesture/trials_to_test.txt", b"user02_led.aedat\n".to_vec()),
        ("DvsGesture/user01_led_labels.csv", b"class,a,b\n1,0,1000\n".to_vec()),
        ("DvsGesture/user02_led_labels.csv", b"class,a,b\n2,0,1000\n".to_vec()),
        ("DvsGesture/user01_led.aedat", aedat3::write(events, "DVS128").unwrap()),
        ("DvsGesture/user02_led.aedat", aedat3::write(events, "DVS128").unwrap()),
    ];
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, &content[..]).unwrap();
    }
    tar.into_inner().unwrap()
}

#[test]
fn tar_gz_archives() {
    let scratch = Scratch::new("dvs-gesture/DvsGesture.tar.gz");
    let options =
        EventOptions { data_dir: Some(scratch.dir().into()), cache: Some(scratch.dir().join("cache")), steps: 1, ..Default::default() };
    let mut read = |bytes: &[u8]| {
        scratch.put(bytes);
        let prepared = recordings::load(sets::DVS_GESTURE, &options, &mut ()).map(drop);
        fs::remove_dir_all(scratch.dir().join("cache")).unwrap_or_default();
        prepared
    };
    let tar = gesture_tar(&some_events(20, 7));
    // The buffer of the file has a MiB, and every write of the cache is collected.
    let memory = |input| (4 << 20) + 1032 * input;
    let trial = Trial { memory, ..Trial::of("tar.gz") };
    trial.run(&[gzip(&tar)], &mut read);
    // The same mutants of what is inside.
    let trial = Trial { memory, ..Trial::of("tar") };
    trial.run(&[tar], &mut |bytes| read(&gzip(bytes)));
}

#[test]
fn notation_and_plan() {
    let files: Vec<Vec<u8>> = PRESETS.iter().map(|p| p.pattern.replace("{n}", "10").into_bytes()).collect();
    Trial::of("notation").run(&files, &mut |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
        Plan::new(text.parse::<Notation>()?, "3x64x64".parse()?).map(drop)
    });
}

#[test]
fn configurations() {
    let complete = Options::default().complete().unwrap().to_toml().unwrap();
    let files = [
        complete.clone().into_bytes(),
        b"dataset = \"motions\"\nsize = [34, 34]\nwarm-up = \"ann:3\"\nschedule = \"restarts:9:2\"\n".to_vec(),
    ];
    // What the TOML parser makes of a file of at most 1 MiB.
    let trial = Trial { memory: |input| 2 * FREE + 128 * input, ..Trial::of("options") };
    trial.run(&files, &mut |bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Options::from_toml(text)?.complete().map(drop),
        Err(_) => Ok(()),
    });
    let trial = Trial { memory: |input| 2 * FREE + 128 * input, ..Trial::of("config") };
    trial.run(&[complete.into_bytes()], &mut |bytes| match std::str::from_utf8(bytes) {
        Ok(text) => Config::from_toml(text).map(drop),
        Err(_) => Ok(()),
    });
}

#[test]
fn caches_of_frames() {
    let scratch = Scratch::new("c.frames");
    let (sensor, steps, key) = (Sensor { width: 6, height: 5 }, 2, [7; 32]);
    let about = About {
        set: sets::EVENTS,
        width: sensor.width,
        height: sensor.height,
        steps,
        split_by: SplitBy::Number,
        classes: vec!["a".into(), "b".into()],
        split_hash: "s".into(),
        validation: 0,
        fingerprint: String::new(),
        simulated: false,
        notes: vec!["n".into()],
    };
    let path = scratch.dir().join("made.frames");
    let (mut part, _) = Part::begin(&Disk, &path, key, cells(sensor, steps), &[vec![0], vec![1]]).unwrap();
    for sample in 0..2 {
        let (counts, quality) = counts(&some_events(20, sample.into()), sensor, steps, SplitBy::Number);
        part.put(&[Block::new(sample, &counts, quality, 9)]).unwrap();
    }
    part.finish(about, &[Place { label: 0, test: false }, Place { label: 1, test: true }]).unwrap();
    // A cache is mapped by its list; its JSON is small.
    let trial = Trial { memory: |input| FREE + 16 * input, mend: Some(|bytes| mend_cache(bytes)), ..Trial::of("cache") };
    trial.run(&[fs::read(&path).unwrap()], &mut |bytes| {
        let Some(cache) = Cache::open(scratch.put(bytes), &key)? else { return Ok(()) };
        let (sensor, steps) = (cache.sensor(), cache.about().steps);
        if cells(sensor, steps) <= 4096 {
            let mut counts = vec![0; cells(sensor, steps)];
            (0..cache.entries().len().min(4)).try_for_each(|i| cache.read(i, &mut counts))?;
        }
        Ok(())
    });
}

/// The checksum over index, text and lengths.
fn mend_cache(bytes: &mut [u8]) {
    let Some(crc_at) = bytes.len().checked_sub(4).filter(|_| bytes.len() > 64) else { return };
    let length = |at: usize| u64::from_le_bytes(bytes[crc_at - at..][..8].try_into().unwrap());
    let behind = length(16).saturating_add(length(8)).min(crc_at as u64 - 16) as usize;
    let crc = crc32c::crc32c(&bytes[crc_at - 16 - behind..crc_at]);
    bytes[crc_at..].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn fixtures() {
    let small = BUILT_IN.iter().filter(|(name, _)| name.starts_with("tiny")).map(|(_, bytes)| bytes.to_vec());
    let files: Vec<Vec<u8>> = small.collect();
    let header = |bytes: &[u8]| 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // The tensors are four fifths of the file: damage to them is damage to numbers only. Their description is what is read.
    println!("description of {} bytes in {}", header(&files[0]), files[0].len());
    let trial = Trial { memory: |input| 2 * FREE + 16 * input, ..Trial::of("fixture") };
    trial.run(&files, &mut |bytes| Fixture::read("f", bytes).map(drop));
}

#[test]
fn what_a_run_leaves() {
    let made = run::Made::new();
    made.checkpoint();
    made.metrics();
    made.results();
    // A finished run of a study keeps its best network only.
    let best = checkpoint::load(&Disk, &made.folder().join("best.ckpt"));
    assert!(best.is_ok(), "the run itself is as it was: {:?}", best.err());
}

#[test]
fn networks_as_nir() {
    networks::of(Format::Nir);
}

#[test]
fn networks_as_safetensors() {
    networks::of(Format::Safetensors);
}

#[test]
fn networks_as_npz() {
    networks::of(Format::Npz);
}
