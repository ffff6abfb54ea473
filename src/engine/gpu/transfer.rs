//! What travels between host and device: batches, votes and notes, and values to look at.

use std::ops::Range;
use std::sync::Arc;

use super::Gpu;
use super::device::{Buffer, Grid, View, pieces};
use super::kernels;
use super::values::{Acts, Extent, Note, Reals, words};
use crate::engine::{Batch, Input, VOTERS, Values};
use crate::error::Result;

/// What `wgsl/input.wgsl` calls the ways of storing samples.
const REALS: usize = 0;
const PIXELS: usize = 1;
const COUNTS: usize = 2;

/// Numbers of `per` to a word, the first in the lowest bits.
fn packed<T: Copy + Into<u32>>(values: &[T], per: usize) -> Vec<u32> {
    let word = |v: &[T]| v.iter().enumerate().fold(0, |word, (i, &v)| word | v.into() << (32 / per * i));
    values.chunks(per).map(word).collect()
}

impl Gpu {
    /// A batch as it is stored, and of it what the network reads.
    pub(super) fn upload_batch(&self, batch: &Batch) -> Acts {
        let extent = Extent { shape: batch.shape, samples: batch.samples, steps: batch.steps, cut: batch.cut };
        let stored = if let Input::Direct(_) = batch.input { 1 } else { batch.steps };
        let reals = self.reals(extent, stored);
        let neurons = extent.shape.len();
        for samples in pieces(extent.samples, self.device.fit(neurons * stored)) {
            if samples.len() == extent.samples {
                self.upload_samples(batch.input.values(), samples, &reals);
                break;
            }
            let step = |t: usize| (t * extent.samples + samples.start) * neurons..(t * extent.samples + samples.end) * neurons;
            self.upload_samples(&batch.input.values().cut((0..stored).map(step)), samples.clone(), &reals);
        }
        Acts::Reals(reals)
    }

    /// `samples` of a batch, as they are stored, to their places among the reals.
    fn upload_samples(&self, values: &Values, samples: Range<usize>, reals: &Reals) {
        let (kind, words, table) = match values {
            Values::Reals(v) => (REALS, v.iter().map(|v| v.to_bits()).collect(), Vec::new()),
            Values::Counts(v) => (COUNTS, packed(v, 2), Vec::new()),
            Values::Pixels(v, n) => (PIXELS, packed(v, 4), n.tables().concat().into_iter().map(f32::to_bits).collect()),
        };
        let (words, table) = (self.device.upload(&words), self.device.upload(&table));
        let shape = reals.extent.shape;
        let parameters = [samples.len(), shape.c, shape.area()].map(|n| n as u32);
        let each = shape.len() * reals.stored;
        let views = [words.all(), table.all(), reals.data.part(samples.start * each..samples.end * each)];
        let grid = Grid::Threads(samples.len() * shape.len());
        self.device.launch(&kernels::INPUT, &[("STEPS", reals.stored), ("KIND", kind)], &parameters, &views, grid);
    }

    /// Votes `[T, B, classes]`, f32, on the device.
    pub(super) fn votes(&self, x: &Acts) -> Buffer {
        let (extent, reading) = (x.extent(), x.reading());
        let (units, classes) = (extent.shape.c, extent.shape.c / VOTERS);
        let votes = self.device.buffer(extent.steps * extent.samples * classes);
        let constants = [
            ("STEPS", extent.steps),
            ("STORED", reading.stored),
            ("BITS", reading.bits),
            ("PLANES", reading.planes),
            ("WORDS", reading.words),
            ("VOTERS", VOTERS),
        ];
        let numbers = [extent.samples, units, classes, reading.plane].map(|n| n as u32);
        let parameters = [&numbers[..], &[reading.scale.to_bits()]].concat();
        self.device.launch(&kernels::VOTE, &constants, &parameters, &[reading.data.all(), votes.all()], Grid::Threads(votes.words()));
        votes
    }

    /// dL/d(rate) to every voter: d / (10 T) of rates over all steps, d\[t\] / 10 of the rates of each.
    pub(super) fn votes_backward(&self, x: &Acts, d_rates: &[f64]) -> Reals {
        let extent = x.extent();
        let (units, classes) = (extent.shape.c, extent.shape.c / VOTERS);
        let share = (VOTERS * extent.steps * extent.samples * classes / d_rates.len().max(1)) as f64;
        let rates: Vec<u32> = d_rates.iter().map(|d| ((d / share) as f32).to_bits()).collect();
        let (rates, d) = (self.device.upload(&rates), self.reals(extent, extent.steps));
        let parameters = [extent.samples, units, classes, rates.words()].map(|n| n as u32);
        let views = [rates.all(), d.data.all()];
        self.device.launch(
            &kernels::VOTE_BACK,
            &[("STEPS", extent.steps), ("VOTERS", VOTERS)],
            &parameters,
            &views,
            Grid::Threads(d.data.words()),
        );
        d
    }

    /// The words of these buffers, and the numbers behind these notes, in one wait.
    pub(super) fn read_with(&self, buffers: &[&Buffer], notes: &[Note]) -> Result<(Vec<Vec<u32>>, Vec<u64>)> {
        let mut lists: Vec<&Arc<Buffer>> = Vec::new();
        for note in notes {
            if !lists.iter().any(|list| Arc::ptr_eq(list, &note.list)) {
                lists.push(&note.list);
            }
        }
        let parts: Vec<View> = buffers.iter().map(|b| b.all()).chain(lists.iter().map(|list| list.all())).collect();
        let mut fetched = self.device.fetch(&parts)?;
        let counted = fetched.split_off(buffers.len());
        let number = |note: &Note| {
            let list = lists.iter().position(|list| Arc::ptr_eq(list, &note.list)).expect("every list was fetched");
            let word = |i: usize| u64::from(counted[list][2 * note.slot + i]);
            let count = word(0) | word(1) << 32;
            if note.none { u64::from(count == 0) } else { count }
        };
        Ok((fetched, notes.iter().map(number).collect()))
    }

    /// f32 as they lie on the device.
    pub(super) fn numbers(&self, buffer: &Buffer) -> Result<Vec<f32>> {
        Ok(self.device.fetch(&[buffer.all()])?.concat().into_iter().map(f32::from_bits).collect())
    }

    /// `[T,B,C,H,W]`
    pub(super) fn reals_on_host(&self, r: &Reals) -> Result<Vec<f32>> {
        let values = self.numbers(&r.data)?;
        let neurons = r.extent.neurons();
        let at = |i: usize| values[i % neurons * r.stored + (i / neurons).min(r.stored - 1)];
        Ok((0..r.extent.steps * neurons).map(at).collect())
    }

    /// `[T,B,C,H,W]`
    pub(super) fn acts_on_host(&self, x: &Acts) -> Result<Vec<f32>> {
        let s = match x {
            Acts::Reals(r) => return self.reals_on_host(r),
            Acts::Spikes(s) => s,
        };
        let trains = self.device.fetch(&[s.data.all()])?.concat();
        let (neurons, each) = (s.extent.neurons(), words(s.extent.steps));
        let at = |i: usize| {
            let (t, neuron) = (i / neurons, i % neurons);
            let bit = |p: usize| (trains[p * s.plane() + neuron * each + t / 32] >> (t % 32) & 1) << p;
            (0..s.planes).map(bit).sum::<u32>() as f32 * s.scale
        };
        Ok((0..s.extent.steps * neurons).map(at).collect())
    }
}
