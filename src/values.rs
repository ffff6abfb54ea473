//! Numbers as data sets store them and as they travel to a device, and what a network reads of them.

use std::sync::Arc;

use crate::shape::Chw;

/// Numbers as a data set stores them; engines make of them what the network reads ([`Values::reals`] says what).
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Pixels of pictures, 0 black, and how they are normalised.
    Pixels(Vec<u8>, Arc<Normalization>),
    /// Counts of events.
    Counts(Vec<u16>),
    /// Numbers as the network reads them.
    Reals(Vec<f32>),
}

/// What a network reads of a pixel v of channel c: (v / 255 - mean\[c\]) / std\[c\].
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    /// Per channel: subtracted after scaling to 0 to 1.
    pub mean: Vec<f32>,
    /// Per channel: divided by after that.
    pub std: Vec<f32>,
}

impl Normalization {
    /// `[C][256]`: the value of every pixel, so that a batch is a table look-up.
    pub fn tables(&self) -> Vec<[f32; 256]> {
        let table = |(mean, std): (&f32, &f32)| std::array::from_fn(|v| (v as f32 / 255.0 - mean) / std);
        self.mean.iter().zip(&self.std).map(table).collect()
    }
}

impl From<Vec<f32>> for Values {
    fn from(reals: Vec<f32>) -> Values {
        Values::Reals(reals)
    }
}

impl FromIterator<f32> for Values {
    fn from_iter<I: IntoIterator<Item = f32>>(reals: I) -> Values {
        Values::Reals(reals.into_iter().collect())
    }
}

impl Values {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Values::Pixels(v, _) => v.len(),
            Values::Counts(v) => v.len(),
            Values::Reals(v) => v.len(),
        }
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all counts or numbers are 0; pixels never are, for black is a value like others.
    pub fn is_zero(&self) -> bool {
        match self {
            Values::Pixels(..) => false,
            Values::Counts(v) => v.iter().all(|&n| n == 0),
            Values::Reals(v) => v.iter().all(|&n| n == 0.0),
        }
    }

    /// Some of them, in order: `ranges` one after the other.
    pub fn cut(&self, ranges: impl Iterator<Item = std::ops::Range<usize>>) -> Values {
        fn copy<T: Copy>(v: &[T], ranges: impl Iterator<Item = std::ops::Range<usize>>) -> Vec<T> {
            ranges.flat_map(|range| &v[range]).copied().collect()
        }
        match self {
            Values::Pixels(v, n) => Values::Pixels(copy(v, ranges), Arc::clone(n)),
            Values::Counts(v) => Values::Counts(copy(v, ranges)),
            Values::Reals(v) => Values::Reals(copy(v, ranges)),
        }
    }

    /// What the network reads, for samples of `shape`, one sample or frame after the other.
    pub fn reals(&self, shape: Chw) -> Vec<f32> {
        match self {
            Values::Pixels(v, normalization) => {
                let tables = normalization.tables();
                let planes = v.chunks(shape.area().max(1)).enumerate();
                planes.flat_map(|(i, plane)| plane.iter().map(|&v| tables[i % shape.c][v as usize]).collect::<Vec<_>>()).collect()
            }
            Values::Counts(v) => v.iter().map(|&count| f32::from(count)).collect(),
            Values::Reals(v) => v.clone(),
        }
    }
}
