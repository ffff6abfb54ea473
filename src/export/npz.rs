//! Arrays of numpy in a zip. (numpy.org, `numpy.lib.format`, version 1.0.) Only what we write is read: f32 and text.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, ZipArchive};

use super::graph::Tensor;
use crate::error::{Error, Result};
use crate::limits;
use crate::storage::{self, Published, Storage};

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// Numbers begin at a multiple of this.
const ALIGN: usize = 64;

/// An .npz under construction.
pub struct Writer(ZipWriter<Cursor<Vec<u8>>>);

impl Writer {
    /// Without arrays.
    #[allow(clippy::new_without_default)] // an empty .npz is nothing to have by default
    pub fn new() -> Writer {
        Writer(ZipWriter::new(Cursor::new(Vec::new())))
    }

    /// Adds f32.
    ///
    /// # Errors
    /// Bug: never.
    pub fn reals(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
        self.array(name, "<f4", shape, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// Bug: never.
    pub fn bytes(&mut self, name: &str, shape: &[usize], values: &[u8]) -> Result<()> {
        self.array(name, "|u1", shape, values)
    }

    /// Adds a text, numpy's str.
    ///
    /// # Errors
    /// Bug: never.
    pub fn text(&mut self, name: &str, text: &str) -> Result<()> {
        let bytes: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        self.array(name, &format!("<U{}", (bytes.len() / 4).max(1)), &[], if bytes.is_empty() { &[0; 4] } else { &bytes })
    }

    fn array(&mut self, name: &str, descr: &str, shape: &[usize], bytes: &[u8]) -> Result<()> {
        let sides: String = shape.iter().map(|s| format!("{s}, ")).collect();
        let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}), }}");
        header.extend(std::iter::repeat_n(' ', (ALIGN - (MAGIC.len() + 2 + header.len() + 1) % ALIGN) % ALIGN));
        header.push('\n');
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).large_file(bytes.len() >= 1 << 31);
        let zip = &mut self.0;
        let mut put = || -> std::io::Result<()> {
            zip.start_file(format!("{name}.npy"), options)?;
            zip.write_all(MAGIC)?;
            zip.write_all(&(header.len() as u16).to_le_bytes())?;
            zip.write_all(header.as_bytes())?;
            zip.write_all(bytes)
        };
        put().map_err(|e| Error::bug(format!("npz: {e}")))
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// Storage: the disk fails.
    pub fn publish(self, storage: &dyn Storage, path: &Path) -> Result<Published> {
        let bytes = self.0.finish().map_err(|e| Error::bug(format!("npz: {e}")))?.into_inner();
        storage::write_atomically(storage, path, |draft| draft.put(&bytes))
    }
}

/// Reads all f32 arrays and all texts.
///
/// # Errors
/// Storage: unreadable. Format: damaged, or arrays of another kind.
pub fn read(path: &Path) -> Result<(BTreeMap<String, Tensor>, BTreeMap<String, String>)> {
    let bytes = storage::read_whole(path, limits::MAX_MODEL_BYTES)?.ok_or_else(|| storage::not_there(path))?;
    let most = 1032 * bytes.len() as u64; // of deflate
    let wrong = |e: &dyn std::fmt::Display| Error::format(format!("not an .npz of tensors: {e}")).at(path.display());
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| wrong(&e))?;
    let (mut arrays, mut texts) = (BTreeMap::new(), BTreeMap::new());
    for i in 0..zip.len() {
        let file = zip.by_index(i).map_err(|e| wrong(&e))?;
        let name = file.name().map_err(|e| wrong(&e))?.trim_end_matches(".npy").to_string();
        let mut bytes = Vec::new();
        file.take(most.min(limits::MAX_MODEL_BYTES)).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
        let place = |e: Error| e.at(&name).at(path.display());
        let (descr, shape, values) = parse(&bytes).map_err(place)?;
        if descr == "<f4" {
            let values: Vec<f32> = values.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let count = shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
            if count != Some(values.len()) {
                return Err(place(Error::format(format!("expected numbers of shape {shape:?}, found {}", values.len()))));
            }
            arrays.insert(name, Tensor { shape, values });
        } else if descr.starts_with("<U") {
            let chars = values.as_chunks().0.iter().map(|b| char::from_u32(u32::from_le_bytes(*b)).filter(|c| *c != '\0'));
            texts.insert(name, chars.flatten().collect());
        } else {
            return Err(place(Error::format(format!("holds '{descr}', '<f4' is read"))));
        }
    }
    Ok((arrays, texts))
}

/// Kind of number, shape, and the bytes behind the header.
fn parse(bytes: &[u8]) -> Result<(String, Vec<usize>, &[u8])> {
    let bad = || Error::format("expected an .npy of version 1, in C order");
    let rest = bytes.strip_prefix(MAGIC).filter(|r| r.len() >= 2).ok_or_else(bad)?;
    let n = u16::from_le_bytes([rest[0], rest[1]]) as usize;
    let header =
        rest.get(2..2 + n).and_then(|h| std::str::from_utf8(h).ok()).filter(|h| h.contains("'fortran_order': False")).ok_or_else(bad)?;
    let between = |from: &str, to: char| header.split_once(from)?.1.split_once(to).map(|(inner, _)| inner.to_string());
    let descr = between("'descr': '", '\'').ok_or_else(bad)?;
    let sides = between("'shape': (", ')').ok_or_else(bad)?;
    let sides = sides.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().map_err(|_| bad()));
    Ok((descr, sides.collect::<Result<_>>()?, &rest[2 + n..]))
}
