//! Event files for TensorBoard.
//!
//! A file is a row of TFRecords: u64 length, masked CRC-32C of those 8 bytes, the data, masked CRC-32C of the data
//! (all little-endian; mask: rotate right by 15 bits, add 0xa282ead8). The data is a protobuf message, of which we use:
//!
//! ```text
//! Event      { double wall_time = 1; int64 step = 2; string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
//! Summary    { repeated Value value = 1; }
//! Value      { string tag = 1; float simple_value = 2; }
//! SessionLog { enum status = 1 (START = 1); }
//! ```
//!
//! (Source: tensorboard/compat/proto/{event,summary}.proto and tensorflow/core/lib/io/record_writer.h.)
//!
//! Every session of a run writes a file of its own beside the others. After a resume, [`EventWriter::session_start`]
//! tells TensorBoard to forget what the killed session had written beyond the checkpoint. The files are a view for the
//! eye: nothing is ever read from them, so they are not synced, and a killed process may leave a cut last record, which
//! TensorBoard ignores.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Writes one event file. Wall times are seconds since 1970, given by the caller.
#[derive(Debug)]
pub struct EventWriter {
    file: BufWriter<std::fs::File>,
    path: PathBuf,
}

impl EventWriter {
    /// Creates the file; a Storage error if there is one of that name, or none can be made.
    pub fn create(path: &Path, wall_time: f64) -> Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|e| Error::io(path, "creating", &e))?;
        let mut writer = EventWriter { file: BufWriter::new(file), path: path.to_owned() };
        writer.record(&event(wall_time, None, 3, b"brain.Event:2"))?;
        Ok(writer)
    }

    /// Declares values of earlier files at or after `step` void; the first thing to write after a resume.
    pub fn session_start(&mut self, step: u64, wall_time: f64) -> Result<()> {
        const STATUS_IS_START: &[u8] = &[1 << 3, 1];
        self.record(&event(wall_time, Some(step), 7, STATUS_IS_START))
    }

    /// One point of the curve `tag`.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32, wall_time: f64) -> Result<()> {
        let mut entry = Vec::new();
        put_bytes(&mut entry, 1, tag.as_bytes());
        entry.push(2 << 3 | FOUR_BYTES);
        entry.extend(value.to_le_bytes());
        let mut summary = Vec::new();
        put_bytes(&mut summary, 1, &entry);
        self.record(&event(wall_time, Some(step), 5, &summary))
    }

    /// Hands what was written to the system, so that a running TensorBoard sees it.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::io(&self.path, "writing", &e))
    }

    fn record(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(&frame(data)).map_err(|e| Error::io(&self.path, "writing", &e))
    }
}

/// A TFRecord around `data`.
fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length, &masked_crc(&length)[..], data, &masked_crc(data)].concat()
}

fn masked_crc(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

// Protobuf: a field begins with its number << 3 | how its length is known.
const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const COUNTED_BYTES: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// An Event with one of its content fields.
fn event(wall_time: f64, step: Option<u64>, field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1 << 3 | EIGHT_BYTES];
    bytes.extend(wall_time.to_le_bytes());
    if let Some(step) = step {
        bytes.push(2 << 3 | VARINT);
        put_varint(&mut bytes, step);
    }
    put_bytes(&mut bytes, field, content);
    bytes
}

fn put_bytes(into: &mut Vec<u8>, field: u8, content: &[u8]) {
    into.push(field << 3 | COUNTED_BYTES);
    put_varint(into, content.len() as u64);
    into.extend(content);
}

/// Seven bits a byte, lowest first, the top bit says that more follow.
fn put_varint(into: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        into.push(v as u8 | 0x80);
        v >>= 7;
    }
    into.push(v as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    /// Written by tensorboard 2.21's own RecordWriter and event_pb2 from the same four events.
    const GOLDEN: &str = concat!(
        "1800000000000000a37f4b22",
        "0900001040fc54d9411a0d627261696e2e4576656e743a32",
        "338d2fe9",
        "1000000000000000",
        "95fbfe18",
        "0900006040fc54d94110ac023a020801",
        "312d1a8d",
        "2100000000000000",
        "017becf6",
        "0900008040fc54d94110ac022a130a110a0a747261696e2f6c6f737315cdcccc3d",
        "d8af3709",
    );

    #[test]
    fn the_file_is_what_tensorboard_itself_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.out.tfevents.1700000000.spiketrain");
        let mut writer = EventWriter::create(&path, 1_700_000_000.25).unwrap();
        writer.session_start(300, 1_700_000_001.5).unwrap();
        writer.scalar("train/loss", 300, 0.1, 1_700_000_002.0).unwrap();
        writer.flush().unwrap();
        let hex: String = std::fs::read(&path).unwrap().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, GOLDEN);

        // Lengths and steps of more than one varint byte, a two-byte tag: length and both checksums from the same source.
        let before = hex.len() / 2;
        writer.scalar(&"ä".repeat(100), 1 << 40, -0.0, 1_700_000_003.0).unwrap();
        drop(writer);
        let bytes = std::fs::read(&path).unwrap();
        let last = &bytes[before..];
        assert_eq!(last.len(), 246);
        assert_eq!(last[..12], [0xe6, 0, 0, 0, 0, 0, 0, 0, 0x71, 0x23, 0x4f, 0x87]);
        assert_eq!(last[last.len() - 4..], [0x8f, 0x67, 0x23, 0x27]);
        assert_eq!(EventWriter::create(&path, 0.0).unwrap_err().kind, Kind::Storage);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn varints_of_every_length() {
        for (v, bytes) in [(0u64, &[0u8][..]), (127, &[127]), (128, &[128, 1]), (300, &[0xac, 2])] {
            let mut out = Vec::new();
            put_varint(&mut out, v);
            assert_eq!(out, bytes);
        }
        let mut out = Vec::new();
        put_varint(&mut out, u64::MAX);
        assert_eq!((out.len(), out[9]), (10, 1));
    }

    /// For a look with TensorBoard: `SPIKETRAIN_TENSORBOARD_OUT=folder cargo test --release tensorboard`.
    #[test]
    fn a_run_with_a_resume_for_the_eye() {
        let Ok(folder) = std::env::var("SPIKETRAIN_TENSORBOARD_OUT") else {
            println!("SKIPPED: SPIKETRAIN_TENSORBOARD_OUT is not set");
            return;
        };
        for (session, steps) in [(0, 0..6), (1, 3..9)] {
            let path = Path::new(&folder).join(format!("events.out.tfevents.{}.spiketrain", 1_700_000_000 + session));
            let mut writer = EventWriter::create(&path, 1.7e9 + session as f64).unwrap();
            if session > 0 {
                writer.session_start(steps.start, 1.7e9 + session as f64).unwrap();
            }
            for step in steps {
                writer.scalar("train/loss", step, session as f32 + 1.0 / (1.0 + step as f32), 1.7e9 + step as f64).unwrap();
            }
        }
    }
}
