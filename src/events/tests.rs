use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::rng::{Purpose, Rng};

/// Random events that every format can express.
fn random_events(seed: u64, n: usize) -> Vec<Event> {
    let mut rng = Rng::at(seed, Purpose::Test, 0, 0);
    let mut t = 0;
    let mut next = |_| {
        t += rng.bits() % 3;
        let b = rng.bits();
        Event { t, x: (b & 127) as u16, y: (b >> 7 & 127) as u16, on: b >> 14 & 1 == 1 }
    };
    (0..n).map(&mut next).collect()
}

fn has(error: Error, parts: &[&str]) {
    let text = error.to_string();
    parts.iter().for_each(|p| assert!(text.contains(p), "{text}: no '{p}'"));
}

/// Million events a second of the best of several runs, after one that touches the memory.
fn speed(what: &str, bytes: &[u8], name: &str) {
    let mut best = f64::MAX;
    let mut events = Vec::new();
    for _ in 0..8 {
        let start = Instant::now();
        events = read_reusing(bytes, name, events).unwrap().events;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("{what}: {:.0} M events/s ({} events)", events.len() as f64 / best / 1e6, events.len());
}

#[test]
#[ignore = "a measurement: cargo test --release --lib events:: -- --ignored --nocapture"]
fn parse_speed() {
    for n in [5_000, 150_000, 4_000_000] {
        let events = random_events(1, n);
        speed("N-MNIST .bin", &nmnist::write(&events).unwrap(), "a.bin");
        speed("AEDAT 2.0", &aedat2::write(&events).unwrap(), "a.aedat");
        speed("AEDAT 3.1", &aedat3::write(&events, "DVS128").unwrap(), "a.aedat");
    }
}

fn test_data() -> Option<PathBuf> {
    let dir = std::env::var_os("SPIKETRAIN_TEST_DATA").map(PathBuf::from);
    if dir.is_none() {
        println!("SKIPPED: SPIKETRAIN_TEST_DATA is not set");
    }
    dir
}

#[test]
fn what_is_written_is_read_back() {
    for n in [0, 1, 2, 1000, 20_000] {
        let events = random_events(n as u64, n);
        let (aedat2, aedat3) = (aedat2::write(&events).unwrap(), aedat3::write(&events, "DVS128").unwrap());
        for (bytes, format) in [(aedat2, &aedat2::FORMAT), (aedat3, &aedat3::FORMAT)] {
            let r = read(&bytes, "f").unwrap();
            assert_eq!((r.format, r.sensor, r.invalid, r.notes.len()), (format, Some(Sensor::DVS128), 0, 0));
            assert_eq!(r.events, events);
        }
        if n > 0 {
            let r = read(&nmnist::write(&events).unwrap(), "f.BIN").unwrap();
            assert_eq!((r.format, r.sensor, r.invalid, r.notes.len()), (&nmnist::FORMAT, None, 0, 0));
            assert_eq!(r.events, events);
        }
    }
}

#[test]
fn the_largest_values_of_a_format_survive_and_larger_ones_are_refused() {
    let at = |t, x, y| Event { t, x, y, on: true };
    let bin = |e| nmnist::write(&[at(0, 0, 0), e]);
    let two = |e| aedat2::write(&[at(0, 0, 0), e]);
    let three = |e| aedat3::write(&[at(0, 0, 0), e], "DAVIS346");
    for (write, name, good, bad) in [
        (
            &bin as &dyn Fn(Event) -> Result<Vec<u8>>,
            "f.bin",
            at((1 << 23) - 1, 255, 255),
            vec![at(1 << 23, 0, 0), at(0, 256, 0), at(0, 0, 256), at(0, 0, 240)],
        ),
        (&two, "f", at(u64::from(u32::MAX), 127, 127), vec![at(1 << 32, 0, 0), at(0, 128, 0), at(0, 0, 128)]),
        (&three, "f", at((1 << 63) - 1, 32767, 32767), vec![at(1 << 63, 0, 0), at(0, 32768, 0), at(0, 0, 32768)]),
    ] {
        assert_eq!(read(&write(good).unwrap(), name).unwrap().events, [at(0, 0, 0), good]);
        for e in bad {
            has(write(e).unwrap_err(), &["event 1: ", "remedy"]);
        }
    }
    assert!(aedat3::write(&[], "a\nb").is_err() && aedat3::write(&[], " ").is_err());
    assert_eq!(
        read(&aedat3::write(&[], "iniVation DAVIS346 0001").unwrap(), "f").unwrap().sensor,
        Some(Sensor { width: 346, height: 260 })
    );
    assert_eq!(read(&aedat3::write(&[], "Test").unwrap(), "f").unwrap().sensor, None);
}

#[test]
fn an_empty_or_foreign_file_is_named() {
    for name in ["f.aedat", "f.bin", "f.npz"] {
        let nothing = read(b"", name).unwrap();
        assert!(nothing.events.is_empty() && nothing.notes == ["an empty file, of 0 bytes"], "{name}");
    }
    has(read(b"", "f.gif").unwrap_err(), &["f.gif: byte 0", "empty file"]);
    has(
        read(b"GIF89a", "f.gif").unwrap_err(),
        &["f.gif: byte 0", "GIF89a", "40-bit events (.bin, .bs2), AEDAT 2.0 of a DVS128, AEDAT 3.1 and .npz"],
    );
    has(read(b"#!AER-DAT4.0\r\n", "f.aedat4").unwrap_err(), &["version \"4.0\"", "convert"]);
    has(read(b"#!AER-DAT", "f").unwrap_err(), &["byte 9"]);
    has(open(Path::new("/")).unwrap_err(), &["not a file"]);
}

/// A file of few events in every format, and how many bytes of it are a whole one.
fn small_files() -> Vec<(&'static str, Vec<u8>, Vec<usize>)> {
    let events = random_events(3, 4);
    let bin = nmnist::write(&events).unwrap();
    let two = aedat2::write(&events).unwrap();
    let three = [aedat3::write(&events[..2], "DVS128").unwrap(), packet(1, &events[2..])].concat();
    let start = two.len() - 32;
    // AEDAT 2.0 is also whole where a line of its header ends.
    let lines = (1..start).filter(|&n| two[n - 1] == b'\n');
    let two_ends = lines.chain((start..=two.len()).step_by(8)).collect();
    let three_ends = vec![three.len() - 28 - 16 - 28 - 16, three.len() - 28 - 16, three.len()];
    let npz = npz::tests::events_file(&events, zip::CompressionMethod::Deflated);
    let npz_ends = vec![npz.len()];
    vec![("f.bin", bin, vec![5, 10, 15, 20]), ("f.aedat", two, two_ends), ("f.aedat", three, three_ends), ("f.npz", npz, npz_ends)]
}

/// An AEDAT 3.1 packet.
fn packet(kind: u16, events: &[Event]) -> Vec<u8> {
    let file = aedat3::write(events, "x").unwrap();
    let mut packet = file[file.len() - 28 - 8 * events.len()..].to_vec();
    packet[..2].copy_from_slice(&kind.to_le_bytes());
    packet
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_ends_between_two_events() {
    let mut cut = 0;
    for (name, bytes, whole) in small_files() {
        let all = read(&bytes, name).unwrap().events;
        for n in 0..=bytes.len() {
            match read(&bytes[..n], name) {
                Ok(r) => {
                    assert!(n == 0 || whole.contains(&n), "{name}: {n} of {} bytes", bytes.len());
                    assert!(all.starts_with(&r.events), "{name}: {n} bytes");
                }
                Err(e) => {
                    assert!(!whole.contains(&n), "{name}: {n} bytes: {e}");
                    assert!(e.place.starts_with(name) && !e.remedy.is_empty(), "{name}: {n} bytes: {e}");
                }
            }
            cut += 1;
        }
    }
    println!("{cut} cut files");
}

#[test]
fn no_byte_makes_a_reader_panic() {
    let mut tried = 0;
    for (name, good, _) in small_files() {
        for position in 0..good.len() {
            for value in [0, 1, 2, 0x23, 0x7f, 0x80, 0xff] {
                let mut bytes = good.clone();
                bytes[position] = value;
                let _ = read(&bytes, name);
                tried += 1;
            }
        }
    }
    println!("{tried} files");
}

#[test]
fn marks_of_overflow_make_the_time_go_on() {
    let record = |x, y, t: u8| [x, y, 0x80, 0, t];
    let bytes = [record(1, 2, 9), record(0, 240, 0), record(3, 4, 7), record(0, 240, 0), record(0, 240, 0), record(5, 6, 8)].concat();
    let r = read(&bytes, "f.bin").unwrap();
    assert_eq!(r.events.iter().map(|e| (e.t, e.x, e.y)).collect::<Vec<_>>(), [(9, 1, 2), (8192 + 7, 3, 4), (3 * 8192 + 8, 5, 6)]);
    assert!(r.notes[0].starts_with("3 marks"), "{:?}", r.notes);
}

/// jAER and some converters count in signed numbers: 31 bits of the 32.
#[test]
fn both_counters_of_aedat2_are_unwrapped() {
    for bits in [31, 32] {
        let range = 1u64 << bits;
        let real: Vec<u64> = (range - 10_000_000..range + 10_000_000).step_by(10_000).collect();
        let as_stored: Vec<Event> = real.iter().map(|t| Event { t: t % range, x: 1, y: 2, on: true }).collect();
        let r = read(&aedat2::write(&as_stored).unwrap(), "f.aedat").unwrap();
        assert!(r.events.iter().map(|e| e.t).eq(real), "{bits} bits");
        assert_eq!(r.notes, [format!("the clock of {bits} bits began again once: {range} µs added from there on")]);
    }
}

#[test]
fn only_addresses_of_a_dvs128_are_read() {
    let events = random_events(5, 3);
    let good = aedat2::write(&events).unwrap();
    let start = good.len() - 24;
    let with = |byte: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[byte] |= value;
        read(&bytes, "f.aedat")
    };
    let special = with(start + 8 + 2, 0x80).unwrap();
    assert_eq!(special.events, [events[0], events[2]]);
    assert!(special.notes[0].starts_with("1 special event "), "{:?}", special.notes);
    has(with(start + 16 + 1, 1).unwrap_err(), &[&format!("f.aedat: byte {}", start + 16), "DVS128", "found 0x1", "convert"]);
    let named = |chip: &str| read(format!("#!AER-DAT2.0\r\n# AEChip: {chip}\r\n").as_bytes(), "f.aedat");
    has(named("eu.seebetter.ini.chips.davis.Davis346red").unwrap_err(), &["byte 14", "Davis346red", "convert"]);
    assert_eq!(named("ch.unizh.ini.jaer.chip.retina.DVS128").unwrap().events, []);
    assert_eq!(read(b"#!AER-DAT2.0\n#\n", "f").unwrap().events, []);
}

/// AEDAT 3.1 of one packet of two events, a field of the packet's header replaced.
fn with_field(at: usize, value: u32) -> Result<Recording> {
    let mut bytes = aedat3::write(&random_events(7, 2), "DVS128").unwrap();
    let packet = bytes.len() - 28 - 16;
    bytes[packet + at..packet + at + 4].copy_from_slice(&value.to_le_bytes());
    read(&bytes, "f.aedat")
}

#[test]
fn a_packet_header_is_believed_only_if_the_bytes_are_there() {
    const SIZE: usize = 4;
    const OFFSET: usize = 8;
    const CAPACITY: usize = 16;
    const NUMBER: usize = 20;
    const VALID: usize = 24;
    for size in [0, 7, 9, 16, u32::MAX] {
        has(with_field(SIZE, size).unwrap_err(), &["expected polarity events of 8 bytes", &format!("found {size} bytes")]);
    }
    has(with_field(OFFSET, 0).unwrap_err(), &["with the time at 4", "and 0"]);
    has(with_field(CAPACITY, 0).unwrap_err(), &["valid ≤ number ≤ capacity", "found 2, 2, 0"]);
    has(with_field(CAPACITY, 1).unwrap_err(), &["found 2, 2, 1"]);
    has(with_field(CAPACITY, 3).unwrap_err(), &["expected a packet of 3 events of 8 bytes, found 16", "cut off"]);
    has(with_field(CAPACITY, u32::MAX).unwrap_err(), &["4294967295 events", "found 16"]);
    has(with_field(NUMBER, u32::MAX).unwrap_err(), &["found 2, 4294967295, 2"]);
    has(with_field(VALID, 3).unwrap_err(), &["found 3, 2, 2"]);
    // Less than the capacity is in use.
    let mut shorter = aedat3::write(&random_events(7, 2), "DVS128").unwrap();
    let packet = shorter.len() - 28 - 16;
    shorter[packet + NUMBER] = 1;
    shorter[packet + VALID] = 1;
    assert_eq!(read(&shorter, "f").unwrap().events, random_events(7, 2)[..1]);
    // Another kind with events of no bytes, and an empty packet of size 0.
    let header = aedat3::write(&[], "x").unwrap();
    let other = |size: u32, number: u32| {
        let mut packet = [2u16.to_le_bytes(), [0; 2]].concat();
        [size, 0, 0, number, number, number].iter().for_each(|v| packet.extend(v.to_le_bytes()));
        read(&[header.clone(), packet].concat(), "f")
    };
    assert_eq!(other(0, 0).unwrap().notes, ["skipped 1 packet of kind frame (0 events)"]);
    has(other(0, u32::MAX).unwrap_err(), &["4294967295 events of 0 bytes"]);
    has(other(u32::MAX, u32::MAX).unwrap_err(), &["cut off"]);
}

#[test]
fn other_packets_are_skipped_and_invalid_events_dropped_both_counted() {
    let events = random_events(9, 6);
    let mut bytes = aedat3::write(&events[..2], "DVS128").unwrap();
    bytes.extend(packet(3, &events));
    bytes.extend(packet(0, &events[..1]));
    bytes.extend(packet(3, &events[..1]));
    let mut last = packet(1, &events[2..]);
    last[28 + 8] &= !1;
    bytes.extend(last);
    let r = read(&bytes, "f").unwrap();
    assert_eq!(r.events, [events[0], events[1], events[2], events[4], events[5]]);
    assert_eq!(r.invalid, 1);
    assert_eq!(
        r.notes,
        ["1 event marked as invalid left out", "skipped 1 packet of kind special (1 event)", "skipped 2 packets of kind IMU6 (7 events)"]
    );
}

#[test]
fn a_header_that_says_all_are_valid_is_believed_where_no_event_has_the_bit() {
    let events = random_events(9, 3);
    let mut all = packet(1, &events);
    (0..3).for_each(|i| all[28 + 8 * i] &= !1);
    let file = |packet: &[u8]| [aedat3::write(&[], "x").unwrap(), packet.to_vec()].concat();
    let r = read(&file(&all), "f").unwrap();
    assert_eq!((r.events, r.invalid), (events, 0));
    assert!(r.notes[0].starts_with("3 events have valid bit 0"), "{:?}", r.notes);
    // The header says that none is.
    all[24] = 0;
    let r = read(&file(&all), "f").unwrap();
    assert_eq!((r.events.len(), r.invalid), (0, 3));
}

#[test]
fn times_beyond_31_bits_are_carried_by_packets_and_negative_ones_are_refused() {
    let at = |t| Event { t, x: 1, y: 2, on: false };
    let events = [at((1 << 31) - 1), at(1 << 31), at((1 << 31) + 5), at(3 << 31), at(7)];
    let mut bytes = aedat3::write(&events, "DVS128").unwrap();
    assert_eq!(read(&bytes, "f").unwrap().events, events);
    *bytes.last_mut().unwrap() |= 0x80;
    has(read(&bytes, "f").unwrap_err(), &[&format!("f: byte {}", bytes.len() - 8), "-2147483641 µs"]);
}

/// A decoded file against the entries of the table that comes with the data.
fn compare(file: &str, expected: &serde_json::Value, r: &Recording) {
    let s = summary::Summary::of(&r.events);
    let txyp = |e: &Event| serde_json::json!([e.t, e.x, e.y, u8::from(e.on)]);
    if let Some(valid) = expected.get("events_txyp_valid") {
        let found: Vec<_> = r.events.iter().map(|e| serde_json::json!([e.t, e.x, e.y, u8::from(e.on), 0])).collect();
        assert_eq!(serde_json::Value::from(found), *valid, "{file}");
        return;
    }
    let range = |part: fn(&Event) -> u64| [r.events.iter().map(part).min(), r.events.iter().map(part).max()];
    let found = serde_json::json!({
        "events": s.events, "on": s.on, "sum_x": s.sum_x, "sum_y": s.sum_y, "monotonic": s.misplaced == 0,
        "t": [s.earliest, s.latest], "x": range(|e| e.x.into()), "y": range(|e| e.y.into()),
        "first3_txyp": r.events[..3].iter().map(txyp).collect::<Vec<_>>(), "last_txyp": r.events.last().map(txyp),
    });
    for (key, value) in found.as_object().unwrap() {
        assert_eq!(value, &expected[key], "{file}: {key}");
    }
}

#[test]
fn real_recordings_decode_as_the_reference_says() {
    let Some(dir) = test_data() else { return };
    let Ok(table) = std::fs::read(dir.join("REFERENCE.json")) else {
        println!("SKIPPED: {} has no REFERENCE.json", dir.display());
        return;
    };
    let table: serde_json::Value = serde_json::from_slice(&table).unwrap();
    let (mut files, mut events, mut refused) = (0, 0, 0);
    // Networks stand in the same table.
    for (file, expected) in table.as_object().unwrap().iter().filter(|(file, _)| !file.starts_with("nir/")) {
        if file.ends_with(".aedat4") || file.starts_with("event-formats/") {
            // Of formats without a reader, which have to be named as what they are not.
            let e = open(&dir.join(file)).unwrap_err();
            assert!(e.exit_code() == 2 && !e.remedy.is_empty() && e.to_string().contains(file), "{file}: {e}");
            refused += 1;
            continue;
        }
        let r = open(&dir.join(file)).unwrap();
        compare(file, expected, &r);
        (files, events) = (files + 1, events + r.events.len());
    }
    println!("{files} files, {events} events; {refused} of formats without a reader refused by name");
    assert!(files >= 17 && refused >= 1);
}

#[test]
fn real_nmnist_recordings_decode_as_their_index_says() {
    let Some(dir) = test_data() else { return };
    let Ok(index) = std::fs::read_to_string(dir.join("nmnist/index.tsv")) else {
        println!("SKIPPED: {} has no nmnist/index.tsv", dir.display());
        return;
    };
    let mut files = 0;
    for line in index.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let path = dir.join(fields[0]);
        let path = if path.exists() { path } else { dir.join("nmnist").join(fields[0]) };
        let r = open(&path).unwrap();
        let s = summary::Summary::of(&r.events);
        let found = [s.events, r.events[0].t, r.events.last().unwrap().t, s.on];
        assert_eq!(found.map(|n| n.to_string()), fields[2..6], "{line}");
        assert!(s.max_x < 34 && s.max_y < 34, "{line}");
        files += 1;
    }
    println!("{files} files");
    assert!(files >= 1100);
}

#[test]
fn real_recordings_of_other_cameras_are_refused_by_name() {
    let Some(dir) = test_data() else { return };
    let open = |file: &str| open(&dir.join("fixtures/aedat2").join(file)).unwrap_err();
    has(open("sample_aedat_header.aedat"), &["Davis346red"]);
    has(open("TranslatingBarX.aedat"), &["byte 185", "found 0x4bca1a", "DVS128"]);
}
