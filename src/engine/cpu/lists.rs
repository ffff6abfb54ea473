//! Lists of active inputs, built from spike words: the work lists of the event-driven kernels.

use super::conv_tiles::{Tiling, WORD};
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

/// The spikes of one sample for the way back of a convolution.
#[derive(Debug, Default)]
pub struct Windows {
    /// For every unit of the [`Tiling`] and channel (padding has empty lists): where each spike is in `[T][H·W]`, and its level.
    pub lists: Lists,
    /// For each listed spike the first position of the window under it, in the bordered unit.
    pub corner: Vec<u32>,
    /// For the making of lists.
    masks: Vec<u64>,
}

/// Bytes of a listed spike of [`Windows`].
pub const PER_WINDOW: usize = Lists::ENTRY + size_of::<u32>();

impl Windows {
    /// Of one sample, ascending by step and position.
    pub fn list(&mut self, isa: Isa, x: &Spikes, sample: usize, tiling: &Tiling) {
        let Windows { lists, corner, masks } = self;
        let planes = x.window(sample * x.sample_len(), x.sample_len());
        let (area, lanes, words) = (x.shape.area(), blocks(x.shape.c) * LANES, tiling.words());
        masks.clear();
        masks.resize(x.steps * lanes * words, 0);
        isa.run(Transpose { planes: &planes, area, steps: x.steps, tiling, out: masks });
        let spikes = masks.iter().map(|mask| mask.count_ones() as usize).sum();
        lists.clear();
        // Exactly: growth to twice the size for a few more spikes than the last sample had is what a memory plan does not count.
        for list in [&mut lists.index, &mut *corner] {
            list.clear();
            list.reserve_exact(spikes);
            list.resize(spikes, 0);
        }
        let mut end = 0;
        for (unit, channel) in tiling.units().flat_map(|unit| (0..lanes).map(move |channel| (unit.clone(), channel))) {
            for (n, t) in unit.steps.clone().enumerate() {
                let masks = &masks[(t * lanes + channel) * words..][..words];
                for word in unit.words() {
                    let mut mask = masks[word];
                    while mask != 0 {
                        let (position, window) = tiling.at(word * WORD + mask.trailing_zeros() as usize, n);
                        lists.index[end] = (t * area) as u32 + position;
                        corner[end] = window;
                        end += 1;
                        mask &= mask - 1;
                    }
                }
            }
            lists.starts.push(end as u32);
        }
        if x.graded() {
            for list in 0..lists.starts.len() - 1 {
                let channel = list % lanes;
                for i in lists.range(list) {
                    let (t, p) = (lists.index[i] as usize / area, lists.index[i] as usize % area);
                    lists.level.push(level(&planes, channel / LANES * area + p, channel % LANES, t) as f32);
                }
            }
        }
    }
}

/// Words over steps to words over places of a [`Tiling`], `[T][C][words]`.
struct Transpose<'a> {
    /// `[C/16][H·W]`
    planes: &'a [&'a [Words]],
    area: usize,
    steps: usize,
    tiling: &'a Tiling,
    /// All zero.
    out: &'a mut [u64],
}

impl Kernel for Transpose<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self) {
        let Transpose { planes, area, steps, tiling, out } = self;
        let (all, words) = (planes[0].len() / area, tiling.words());
        for (block, first) in (0..all).flat_map(|block| (0..words * WORD).step_by(LANES).map(move |first| (block, first))) {
            // Sixteen positions of sixteen channels: by channel.
            let mut turned = [[0; LANES]; LANES];
            for (i, position) in tiling.sixteen(first) {
                for plane in planes {
                    for (lane, word) in plane[block * area + position].iter().enumerate() {
                        turned[lane][i] |= word;
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
