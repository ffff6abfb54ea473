//! Lists of active inputs, built from spike words: the work lists of the event-driven kernels.

use super::field::{Spikes, Words, blocks};
use super::simd::{Isa, Kernel, LANES, Simd};

/// Several lists behind one another: entries of list i are `starts[i] .. starts[i + 1]`.
#[derive(Debug, Default)]
pub struct Lists {
    /// Where each list begins; one more than there are lists.
    pub starts: Vec<u32>,
    /// What is active; the meaning is the builder's.
    pub index: Vec<u32>,
    /// Its level; empty where all levels are 1.
    pub level: Vec<f32>,
}

impl Lists {
    /// Bytes of an entry with its level.
    pub const ENTRY: usize = size_of::<u32>() + size_of::<f32>();

    /// No list yet.
    pub fn clear(&mut self) {
        self.starts.clear();
        self.starts.push(0);
        self.index.clear();
        self.level.clear();
    }

    /// What was pushed since the last end is a list.
    #[inline(always)]
    pub fn end_list(&mut self) {
        self.starts.push(self.index.len() as u32);
    }

    /// Entries of list i.
    #[inline(always)]
    pub fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.starts[i] as usize..self.starts[i + 1] as usize
    }
}

/// Level of one neuron at step t, given its word in every plane.
#[inline(always)]
fn level(planes: &[&[Words]], at: usize, lane: usize, t: usize) -> u32 {
    planes.iter().enumerate().map(|(power, plane)| ((plane[at][lane] >> t & 1) as u32) << power).sum()
}

/// For every (step, position): the active channels, ascending. `planes` are `[C/16][H·W]` of one sample.
///
/// With area = 1 this lists, for every step, the active neurons among `blocks` · 16.
pub struct ByPosition<'a> {
    /// Bit planes of the sample.
    pub planes: &'a [&'a [Words]],
    /// Blocks of channels.
    pub blocks: usize,
    /// Positions per block.
    pub area: usize,
    /// First step and the one after the last.
    pub steps: std::ops::Range<usize>,
    /// Receives the lists; those it has stay in front.
    pub out: &'a mut Lists,
}

impl Kernel for ByPosition<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        for t in self.steps {
            for p in 0..self.area {
                for block in 0..self.blocks {
                    let at = block * self.area + p;
                    let mut mask = 0;
                    for plane in self.planes {
                        mask |= S::step_mask(&plane[at], t);
                    }
                    while mask != 0 {
                        let lane = mask.trailing_zeros() as usize;
                        self.out.index.push((block * LANES + lane) as u32);
                        if self.planes.len() > 1 {
                            self.out.level.push(level(self.planes, at, lane, t) as f32);
                        }
                        mask &= mask - 1;
                    }
                }
                self.out.end_list();
            }
        }
    }
}

/// For every (step, channel) of one sample: the positions where it is active, ascending. Padding channels have empty lists.
pub fn by_channel(isa: Isa, x: &Spikes, sample: usize, masks: &mut Vec<u64>, out: &mut Lists) {
    let area = x.shape.area();
    let planes = x.window(sample * x.sample_len(), x.sample_len());
    let (lanes, words) = (blocks(x.shape.c) * LANES, area.div_ceil(WORD));
    masks.clear();
    masks.resize(x.steps * lanes * words, 0);
    isa.run(Transpose { planes: &planes, area, steps: x.steps, out: masks });
    out.clear();
    for masks in masks.chunks_exact(words) {
        for (first, &mask) in (0..).step_by(WORD).zip(masks) {
            let mut mask = mask;
            while mask != 0 {
                out.index.push(first + mask.trailing_zeros());
                mask &= mask - 1;
            }
        }
        out.end_list();
    }
    if x.graded() {
        out.level.reserve(out.index.len());
        for list in 0..out.starts.len() - 1 {
            let (t, channel) = (list / lanes, list % lanes);
            for i in out.range(list) {
                let at = channel / LANES * area + out.index[i] as usize;
                out.level.push(level(&planes, at, channel % LANES, t) as f32);
            }
        }
    }
}

/// Positions in a word.
const WORD: usize = 64;

/// Words over steps to words over positions, `[T][C][H·W / 64]`.
struct Transpose<'a> {
    /// `[C/16][H·W]`
    planes: &'a [&'a [Words]],
    area: usize,
    steps: usize,
    /// All zero.
    out: &'a mut [u64],
}

impl Kernel for Transpose<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Transpose { planes, area, steps, out } = self;
        let (all, words) = (planes[0].len() / area, area.div_ceil(WORD));
        for (block, first) in (0..all).flat_map(|block| (0..area).step_by(LANES).map(move |first| (block, first))) {
            // Sixteen positions of sixteen channels: by channel.
            let mut turned = [[0; LANES]; LANES];
            for p in first..area.min(first + LANES) {
                for plane in planes {
                    for (lane, word) in plane[block * area + p].iter().enumerate() {
                        turned[lane][p - first] |= word;
                    }
                }
            }
            for (lane, trains) in turned.iter().enumerate() {
                for t in 0..steps {
                    let mask = u64::from(S::step_mask(trains, t));
                    out[((t * all + block) * LANES + lane) * words + first / WORD] |= mask << (first % WORD);
                }
            }
        }
    }
}

/// For every neuron of the positions `first .. first + count` (over `[C/16][H·W]`): the (sample, step) pairs, as
/// `(sample - samples.start) · T + step`, at which it is active, ascending.
pub fn by_neuron(x: &Spikes, first: usize, count: usize, samples: std::ops::Range<usize>, out: &mut Lists) {
    out.clear();
    let everyone = x.window(0, x.samples * x.sample_len());
    for at in first..first + count {
        for lane in 0..LANES {
            for (i, sample) in samples.clone().enumerate() {
                let at = sample * x.sample_len() + at;
                let mut word = everyone.iter().fold(0, |word, plane| word | plane[at][lane]);
                while word != 0 {
                    let t = word.trailing_zeros() as usize;
                    out.index.push((i * x.steps + t) as u32);
                    if x.graded() {
                        out.level.push(level(&everyone, at, lane, t) as f32);
                    }
                    word &= word - 1;
                }
            }
            out.end_list();
        }
    }
}
