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
        for (bytes, format) in [(aedat2, Format::Aedat2), (aedat3, Format::Aedat3)] {
            let r = read(&bytes, "f").unwrap();
            assert_eq!((r.format, r.sensor, r.invalid, r.notes.len()), (format, Some(Sensor::DVS128), 0, 0));
            assert_eq!(r.events, events);
        }
        if n > 0 {
            let r = read(&nmnist::write(&events).unwrap(), "f.BIN").unwrap();
            assert_eq!((r.format, r.sensor, r.invalid, r.notes.len()), (Format::NMnist, None, 0, 0));
            assert_eq!(r.events, events);
        }
    }
}

#[test]
fn an_empty_or_foreign_file_is_named() {
    has(read(b"", "f.aedat").unwrap_err(), &["f.aedat: byte 0", "empty file"]);
    has(read(b"", "f.bin").unwrap_err(), &["f.bin: byte 0", "empty file"]);
    has(read(b"GIF89a", "f.gif").unwrap_err(), &["f.gif: byte 0", "GIF89a", "AEDAT 2.0 (DVS128) and 3.1"]);
    has(read(b"#!AER-DAT4.0\r\n", "f.aedat4").unwrap_err(), &["version \"4.0\"", "convert"]);
    has(read(b"#!AER-DAT", "f").unwrap_err(), &["byte 9"]);
}
