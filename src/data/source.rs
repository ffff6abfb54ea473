//! Reading data files with a cap on what comes out of them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::at_byte;
use crate::error::{Error, Result};
use crate::limits;

/// First two bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The whole content of a file, decompressed if it is gzip, [`limits::MAX_DECOMPRESSED`] bytes at most.
///
/// Gzip is told by its first bytes and not by the name: some browsers unpack on the way and keep the name.
pub(super) fn read_whole(path: &Path) -> Result<Vec<u8>> {
    let mut file = open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(2).read_to_end(&mut start).map_err(|e| Error::io(path, "reading", &e))?;
    let compressed = start == GZIP_MAGIC;
    let whole = io::Cursor::new(start).chain(file);
    if compressed { read_gzip(whole, path, limits::MAX_DECOMPRESSED) } else { read_plain(whole, path, limits::MAX_DECOMPRESSED) }
}

/// Opens a regular file.
pub(super) fn open(path: &Path) -> Result<File> {
    // Asked before: opening a pipe waits for whoever writes into it.
    let meta = fs::metadata(path).map_err(|e| Error::io(path, "opening", &e))?;
    if !meta.is_file() {
        return Err(Error::usage("not a file").at(path.display()).remedy("a folder or device stands where the data file belongs"));
    }
    File::open(path).map_err(|e| Error::io(path, "opening", &e))
}

fn read_plain(reader: impl Read, path: &Path, cap: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(cap + 1).read_to_end(&mut bytes).map_err(|e| Error::io(path, "reading", &e))?;
    within(bytes, path, cap)
}

fn read_gzip(reader: impl Read, path: &Path, cap: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    match MultiGzDecoder::new(reader).take(cap + 1).read_to_end(&mut bytes) {
        Ok(_) => within(bytes, path, cap),
        Err(e) => Err(gzip_error(path, Some(bytes.len()), &e)),
    }
}

fn within(bytes: Vec<u8>, path: &Path, cap: u64) -> Result<Vec<u8>> {
    if bytes.len() as u64 > cap {
        return Err(Error::format(format!("more than {cap} bytes of data")).at(path.display()).remedy("this is none of the known sets"));
    }
    Ok(bytes)
}

/// What flate2 says, after `done` good bytes if that is known, in our words: its own are about streams and headers.
pub(super) fn gzip_error(path: &Path, done: Option<usize>, e: &io::Error) -> Error {
    let what = match e.kind() {
        io::ErrorKind::UnexpectedEof => "the compressed data ends too early".to_string(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => format!("the compressed data is damaged ({e})"),
        _ => return Error::io(path, "reading", e),
    };
    let place = match done {
        Some(offset) => at_byte(path, offset) + " of the decompressed data",
        None => path.display().to_string(),
    };
    Error::format(what).at(place).remedy("fetch the file again: spiketrain data download")
}

/// Ends with an error, not silently, when more than `left` bytes come out.
pub(super) struct Capped<R> {
    pub(super) inner: R,
    pub(super) left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "too much of it"))?;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(content: &[u8]) -> Result<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.gz");
        std::fs::write(&path, content).unwrap();
        read_whole(&path)
    }

    #[test]
    fn plain_and_gzip_are_told_apart_by_content() {
        let bytes: Vec<u8> = (0..10_000u32).flat_map(|i| i.to_le_bytes()).collect();
        assert_eq!(read(&bytes).unwrap(), bytes);
        assert_eq!(read(&gzip(&bytes)).unwrap(), bytes);
        assert_eq!(read(&[]).unwrap(), [0u8; 0]);
        assert_eq!(read(&[0x1f]).unwrap(), [0x1f]);
        assert_eq!(read(&[gzip(b"ab"), gzip(b"cd")].concat()).unwrap(), b"abcd");
    }

    #[test]
    fn damaged_gzip_is_an_error_at_any_cut() {
        let bytes: Vec<u8> = (0..1_000u32).flat_map(|i| (i * i).to_le_bytes()).collect();
        let packed = gzip(&bytes);
        for cut in 2..packed.len() {
            let e = read(&packed[..cut]).unwrap_err();
            assert_eq!(e.exit_code(), 2, "{cut}: {e}");
        }
        let e = read(&packed[..packed.len() / 2]).unwrap_err().to_string();
        assert!(e.contains("ends too early") && e.contains("file.gz: byte ") && e.contains("download"), "{e}");
        let mut wrong = packed.clone();
        let crc = wrong.len() - 8;
        wrong[crc] ^= 1;
        assert!(read(&wrong).unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn output_is_capped() {
        let packed = gzip(&vec![0; 100_000]);
        assert!(packed.len() < 1_000);
        let path = Path::new("bomb.gz");
        assert_eq!(read_gzip(&packed[..], path, 100_000).unwrap().len(), 100_000);
        assert!(read_gzip(&packed[..], path, 99_999).unwrap_err().to_string().contains("more than 99999 bytes"));
        assert!(read_plain(&[0; 11][..], path, 10).is_err());
    }

    #[test]
    fn missing_files_and_folders_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_whole(dir.path()).unwrap_err().exit_code(), 2);
        assert_eq!(read_whole(&dir.path().join("none")).unwrap_err().exit_code(), 2);
    }
}
