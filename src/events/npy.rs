//! The .npy members of an .npz, a few numbers at a time (the format: `super::npz`).

use std::io::{ErrorKind, Read};

use crate::error::{Error, Result};
use crate::limits::MAX_NPY_HEADER;

/// First bytes of every .npy.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Numbers decoded at a time.
const AT_A_TIME: usize = 4096;

/// How a number lies in the file.
#[derive(Clone, Copy)]
enum Kind {
    Unsigned,
    Signed,
    Float,
}

/// An array that is about to be read.
pub(super) struct Array<'a> {
    reader: &'a mut dyn Read,
    /// Its lengths, the slowest first.
    pub(super) shape: Vec<usize>,
    kind: Kind,
    /// Bytes of a number: 1, 2, 4 or 8.
    size: usize,
    big_endian: bool,
}

impl<'a> Array<'a> {
    /// Reads everything in front of the numbers.
    pub(super) fn open(reader: &'a mut dyn Read) -> Result<Self> {
        let mut start = [0; 8];
        fill(reader, &mut start)?;
        if &start[..6] != MAGIC || !(1..=3).contains(&start[6]) {
            return Err(Error::format(format!("expected an .npy of version 1 to 3, found \"{}\"", start.escape_ascii())));
        }
        let mut length = [0; 4];
        fill(reader, if start[6] == 1 { &mut length[..2] } else { &mut length })?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_NPY_HEADER {
            return Err(Error::format(format!("expected a header of at most {MAX_NPY_HEADER} bytes, found {length}")));
        }
        let mut header = vec![0; length];
        fill(reader, &mut header)?;
        let header = String::from_utf8_lossy(&header);
        let not_understood = || Error::format(format!("not an array of numbers in C order: {}", header.trim().escape_debug()));
        let (kind, size, big_endian) = value_of(&header, "descr").and_then(number_type).ok_or_else(not_understood)?;
        let shape = value_of(&header, "shape").and_then(lengths).ok_or_else(not_understood)?;
        let order = value_of(&header, "fortran_order").ok_or_else(not_understood)?;
        if !order.starts_with("False") && shape.len() > 1 {
            return Err(not_understood());
        }
        Ok(Array { reader, shape, kind, size, big_endian })
    }

    /// Calls `take` with all numbers in file order, a few at a time; negative ones and fractions are errors.
    pub(super) fn each(&mut self, mut take: impl FnMut(&[u64]) -> Result<()>) -> Result<()> {
        let count = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let mut left = count.ok_or_else(|| Error::format(format!("a shape of {:?}", self.shape)))?;
        let (mut bytes, mut numbers) = (vec![0; AT_A_TIME * self.size], vec![0; AT_A_TIME]);
        while left > 0 {
            let n = left.min(AT_A_TIME);
            let (bytes, numbers) = (&mut bytes[..n * self.size], &mut numbers[..n]);
            fill(self.reader, bytes)?;
            match self.size {
                1 => widen::<1>(bytes, self.big_endian, numbers),
                2 => widen::<2>(bytes, self.big_endian, numbers),
                4 => widen::<4>(bytes, self.big_endian, numbers),
                _ => widen::<8>(bytes, self.big_endian, numbers),
            }
            self.check(numbers)?;
            take(numbers)?;
            left -= n;
        }
        Ok(())
    }

    /// Makes numbers of bits.
    fn check(&self, numbers: &mut [u64]) -> Result<()> {
        match self.kind {
            Kind::Unsigned => {}
            Kind::Signed => {
                let sign = 8 * self.size as u32 - 1;
                if let Some(negative) = numbers.iter().find(|&n| n >> sign & 1 == 1) {
                    let value = (negative << (63 - sign)) as i64 >> (63 - sign);
                    return Err(Error::format(format!("expected numbers from 0 on, found {value}")));
                }
            }
            Kind::Float => {
                for n in numbers {
                    let value = if self.size == 4 { f64::from(f32::from_bits(*n as u32)) } else { f64::from_bits(*n) };
                    *n = value as u64;
                    if *n as f64 != value {
                        return Err(Error::format(format!("expected whole numbers from 0 on, found {value}")));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The bits of numbers of N bytes.
fn widen<const N: usize>(bytes: &[u8], big_endian: bool, bits: &mut [u64]) {
    for (record, bits) in bytes.as_chunks::<N>().0.iter().zip(bits) {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(record);
        let little = u64::from_le_bytes(wide);
        *bits = if big_endian { little.swap_bytes() >> (64 - 8 * N) } else { little };
    }
}

/// Fills `bytes`, or says that the array ended early.
fn fill(reader: &mut dyn Read, bytes: &mut [u8]) -> Result<()> {
    reader.read_exact(bytes).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => Error::format("the array is shorter than its header says"),
        _ => Error::format(format!("not readable: {e}")),
    })
}

/// What stands behind a key of the dictionary.
fn value_of<'h>(header: &'h str, key: &str) -> Option<&'h str> {
    let (_, rest) = header.split_once(&format!("'{key}'"))?;
    Some(rest.trim_start().strip_prefix(':')?.trim_start())
}

/// `'<u4'`, `'>i8'`, `'|b1'`…
fn number_type(text: &str) -> Option<(Kind, usize, bool)> {
    let (inner, _) = text.strip_prefix('\'')?.split_once('\'')?;
    let (order, kind, size) = (inner.get(..1)?, inner.get(1..2)?, inner.get(2..)?);
    let kind = match (kind, size) {
        ("u", "1" | "2" | "4" | "8") | ("b", "1") => Kind::Unsigned,
        ("i", "1" | "2" | "4" | "8") => Kind::Signed,
        ("f", "4" | "8") => Kind::Float,
        _ => return None,
    };
    matches!(order, "<" | ">" | "|").then_some((kind, size.parse().ok()?, order == ">"))
}

/// `(1000,)`, `(16, 2, 128, 128)`.
fn lengths(text: &str) -> Option<Vec<usize>> {
    let (inner, _) = text.strip_prefix('(')?.split_once(')')?;
    inner.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect()
}
