//! The counts of one sample as bytes, without the zeros that most of them are.
//!
//! A byte that says how wide a count is (1, or 2 where one is above 255), one bit per cell in little-endian words of 64 (is its
//! count above 0?), then the counts above 0 in the order of the cells. Frames of N-MNIST at T = 16 shrink from 37 KB to 8 KB, and
//! reading fewer bytes is faster than having them ready to use.

/// Cells that one word of bits tells of.
const WORD: usize = 64;

/// The most bytes that [`encode`] makes of so many cells.
pub fn max_bytes(cells: usize) -> usize {
    1 + cells.div_ceil(WORD) * 8 + cells * 2
}

/// Appends the encoded counts to `out`.
pub fn encode(counts: &[u16], out: &mut Vec<u8>) {
    let wide = counts.iter().fold(0, |all, &c| all | c) > 255;
    out.push(if wide { 2 } else { 1 });
    let bits = out.len();
    for cells in counts.chunks(WORD) {
        out.extend_from_slice(&bits_of(cells).to_le_bytes());
    }
    for (w, cells) in counts.chunks(WORD).enumerate() {
        let mut word = word_at(&out[bits..], w);
        while word != 0 {
            let [low, high] = cells[word.trailing_zeros() as usize].to_le_bytes();
            out.push(low);
            if wide {
                out.push(high);
            }
            word &= word - 1;
        }
    }
}

/// Which of 64 counts at most are above 0.
fn bits_of(cells: &[u16]) -> u64 {
    // Most words are empty, and finding that out takes a few instructions for all 64.
    if cells.iter().fold(0, |all, &c| all | c) == 0 {
        return 0;
    }
    cells.iter().enumerate().fold(0, |word, (k, &c)| word | u64::from(c != 0) << k)
}

fn word_at(bits: &[u8], w: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&bits[8 * w..8 * w + 8]);
    u64::from_le_bytes(bytes)
}

/// Fills `counts` with what [`encode`] was given; `None` if the bytes are nothing that it makes of so many cells.
pub fn decode(bytes: &[u8], counts: &mut [u16]) -> Option<()> {
    let (&width, rest) = bytes.split_first()?;
    let (bits, values) = rest.split_at_checked(counts.len().div_ceil(WORD) * 8)?;
    counts.fill(0);
    let used = match width {
        1 => fill(bits, values, counts, |v| u16::from(v[0]), 1)?,
        2 => fill(bits, values, counts, |v| u16::from_le_bytes([v[0], v[1]]), 2)?,
        _ => return None,
    };
    (used == values.len()).then_some(())
}

/// Puts the values where the bits are; gives the bytes it used.
fn fill(bits: &[u8], values: &[u8], counts: &mut [u16], value: impl Fn(&[u8]) -> u16, width: usize) -> Option<usize> {
    let mut values = values.chunks_exact(width);
    let mut used = 0;
    for (w, cells) in counts.chunks_mut(WORD).enumerate() {
        let mut word = word_at(bits, w);
        used += word.count_ones() as usize * width;
        while word != 0 {
            *cells.get_mut(word.trailing_zeros() as usize)? = value(values.next()?);
            word &= word - 1;
        }
    }
    Some(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn counts_come_back_as_they_were() {
        let mut cases = 0;
        for cells in [0, 1, 63, 64, 65, 1000, 2312] {
            for (share, below) in [(0, 2), (2, 256), (20, 256), (50, 65_536), (99, 300)] {
                let mut rng = Rng::at(0, Purpose::Test, cells as u64, share as u64);
                let counts: Vec<u16> = (0..cells).map(|_| if rng.below(100) < share { rng.below(below) as u16 } else { 0 }).collect();
                let mut bytes = Vec::new();
                encode(&counts, &mut bytes);
                assert!(bytes.len() <= max_bytes(cells));
                let mut back = vec![7; cells];
                decode(&bytes, &mut back).unwrap();
                assert_eq!(back, counts);
                cases += 1;
            }
        }
        println!("{cases} cases");
    }

    #[test]
    fn other_bytes_are_refused_and_never_read_beyond() {
        let mut bytes = Vec::new();
        encode(&[1, 0, 3, 0, 300], &mut bytes);
        assert_eq!(bytes.len(), 1 + 8 + 6);
        let mut counts = [0; 5];
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut], &mut counts), None);
        }
        for (at, byte) in [(0, 3), (1, 0xff), (3, 1), (8, 0x80)] {
            let mut wrong = bytes.clone();
            wrong[at] = byte;
            assert_eq!(decode(&wrong, &mut counts), None, "byte {at}");
        }
        bytes.push(0);
        assert_eq!(decode(&bytes, &mut counts), None);
    }
}
