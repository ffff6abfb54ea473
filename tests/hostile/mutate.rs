//! Damage as accidents and attackers do it, as a function of (seed, number).

use spiketrain::rng::{Purpose, Rng};

/// Bytes that mean something to one format or another.
const TELLING: &[u8] = b"\0\x01\x7f\x80\xff\n\r\",:[]{}#-/=.09xCP";
/// Numbers at the ends of their kinds, and around them.
const LIMITS: [u64; 16] = [
    0,
    1,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX as u64,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];
/// A mutant is no longer than this, but for one in [`LONG_EVERY`].
const SHORT: usize = 16 << 10;
/// Length of those.
const LONG: usize = 192 << 10;
/// One in so many is made long by repeating a part of it, so that what grows with the input outgrows what every reader may take.
const LONG_EVERY: u64 = 500;

/// Mutant number `index` of `seed`: of one of `files`, by up to four changes.
pub fn mutant(files: &[Vec<u8>], seed: u64, index: u64) -> Vec<u8> {
    let mut rng = Rng::at(seed, Purpose::Test, 1, index);
    let mut bytes = files[rng.below(files.len())].clone();
    for _ in 0..1 + rng.below(4) {
        change(&mut bytes, files, &mut rng);
        bytes.truncate(SHORT.max(files.iter().map(Vec::len).max().unwrap_or(0)));
    }
    if index % LONG_EVERY == LONG_EVERY - 1 && !bytes.is_empty() {
        let (at, part) = part(&bytes, 256, &mut rng);
        let times = LONG / part.len();
        bytes.splice(at..at, part.repeat(times));
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, files: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.below(bytes.len() + 1);
    match rng.below(12) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
        2 if at < bytes.len() => bytes[at] = TELLING[rng.below(TELLING.len())],
        3 => bytes.truncate(at),
        4 => put_number(bytes, at, rng),
        5 => put_decimal(bytes, at, rng),
        6 if !bytes.is_empty() => {
            let (at, part) = part(bytes, 64, rng);
            let times = 1 + rng.below(40);
            bytes.splice(at..at, part.repeat(times));
        }
        7 if !bytes.is_empty() => {
            let (_, one) = part(bytes, 64, rng);
            let to = rng.below(bytes.len());
            let end = bytes.len().min(to + one.len());
            bytes.splice(to..end, one);
        }
        8 => {
            let end = bytes.len().min(at + rng.below(64));
            bytes.drain(at..end);
        }
        9 => {
            let new: Vec<u8> = (0..1 + rng.below(16)).map(|_| rng.bits() as u8).collect();
            bytes.splice(at..at, new);
        }
        10 => {
            let other = &files[rng.below(files.len())];
            bytes.truncate(at);
            bytes.extend_from_slice(&other[rng.below(other.len() + 1)..]);
        }
        _ => swap(bytes, rng),
    }
}

/// A part of at most `most` bytes, and where it stands.
fn part(bytes: &[u8], most: usize, rng: &mut Rng) -> (usize, Vec<u8>) {
    let at = rng.below(bytes.len());
    let end = bytes.len().min(at + 1 + rng.below(most));
    (at, bytes[at..end].to_vec())
}

/// Exchanges two blocks of one length.
fn swap(bytes: &mut [u8], rng: &mut Rng) {
    let length = 1 + rng.below(32);
    if bytes.len() >= 2 * length {
        let (first, second) = bytes.split_at_mut(bytes.len() / 2);
        if first.len() >= length && second.len() >= length {
            let (a, b) = (rng.below(first.len() - length + 1), rng.below(second.len() - length + 1));
            first[a..a + length].swap_with_slice(&mut second[b..b + length]);
        }
    }
}

fn limit(bytes: &[u8], rng: &mut Rng) -> u64 {
    match rng.below(4) {
        0 => (bytes.len() as u64).wrapping_add(rng.below(9) as u64).wrapping_sub(4),
        _ => LIMITS[rng.below(LIMITS.len())],
    }
}

/// A number of 1, 2, 4 or 8 bytes, in either order, over what stands there.
fn put_number(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    let number = limit(bytes, rng);
    let width = 1 << rng.below(4);
    let mut text = number.to_le_bytes()[..width].to_vec();
    if rng.below(2) == 1 {
        text.reverse();
    }
    for (to, from) in bytes.iter_mut().skip(at).zip(text) {
        *to = from;
    }
}

/// A number as text, in place of the digits behind `at`.
fn put_decimal(bytes: &mut Vec<u8>, at: usize, rng: &mut Rng) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| at + n) else { return };
    let end = bytes[start..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| start + n);
    let number = limit(bytes, rng);
    let text = match rng.below(6) {
        0 => format!("-{number}"),
        1 => format!("{number}e300"),
        2 => "NaN".to_string(),
        _ => number.to_string(),
    };
    bytes.splice(start..end, text.into_bytes());
}
