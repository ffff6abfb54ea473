//! Parameters, and what is noted for the host.

use std::sync::Arc;

use super::Gpu;
use super::device::{Buffer, Grid, THREADS, pieces};
use super::kernels;
use super::values::{Acts, Note, Param};
use crate::engine::{AdamW, Layout};

/// Counters of a list of notes: more than a step of a deep network takes.
const NOTES: usize = 2048;
/// Words that a thread of `note.wgsl` looks at.
const NOTED_TOGETHER: usize = 16;

/// The list that notes are taken in, and how many of its counters are used.
#[derive(Default)]
pub struct NoteList {
    list: Option<Arc<Buffer>>,
    used: usize,
}

impl NoteList {
    /// The next counter, which is 0.
    fn next(&mut self, gpu: &Gpu) -> (Arc<Buffer>, usize) {
        if self.list.is_none() || self.used == NOTES {
            (self.list, self.used) = (Some(Arc::new(gpu.device.zeros(2 * NOTES))), 0);
        }
        self.used += 1;
        (Arc::clone(self.list.as_ref().expect("made above")), self.used - 1)
    }
}

impl Gpu {
    /// A parameter whose values are still to be written.
    pub(super) fn param_of(&self, layout: Layout) -> Param {
        Param { layout, data: Arc::new(self.device.buffer(layout.len())) }
    }

    /// A parameter whose entries are all `value`.
    pub(super) fn constant_of(&self, layout: Layout, value: f32) -> Param {
        if value == 0.0 {
            return Param { layout, data: Arc::new(self.device.zeros(layout.len())) };
        }
        let param = self.param_of(layout);
        for part in pieces(layout.len(), self.device.fit(1)) {
            let parameters = [part.len() as u32, value.to_bits()];
            let grid = Grid::Threads(part.len());
            self.device.launch(&kernels::FILL, &[], &parameters, &[param.data.part(part)], grid);
        }
        param
    }

    /// Counts what `kind` says (`wgsl/note.wgsl`) in some buffers.
    fn noted(&self, kind: usize, buffers: &[&Buffer], bound: f32, times: usize) -> (Arc<Buffer>, usize) {
        let (list, slot) = self.notes().next(self);
        for buffer in buffers {
            for part in pieces(buffer.words(), self.device.fit(1)) {
                let parameters = [part.len() as u32, bound.to_bits(), 0, times as u32, slot as u32];
                let grid = Grid::Groups(part.len().div_ceil(THREADS * NOTED_TOGETHER), 1);
                self.device.launch(&kernels::NOTE, &[("KIND", kind), ("PLANES", 1)], &parameters, &[buffer.part(part), list.all()], grid);
            }
        }
        (list, slot)
    }

    /// 1 if all numbers are within ±`bound`, else 0.
    pub(super) fn within(&self, buffers: &[&Buffer], bound: f32) -> Note {
        let (list, slot) = self.noted(0, buffers, bound, 1);
        Note { list, slot, none: true }
    }

    /// Entries that are not 0, at all T steps.
    pub(super) fn count(&self, x: &Acts) -> Note {
        let (list, slot) = match x {
            Acts::Reals(r) => self.noted(2, &[&r.data], 0.0, r.extent.steps / r.stored),
            Acts::Spikes(s) => {
                let (list, slot) = self.notes().next(self);
                // All planes of a word are looked at together.
                let most = self.device.fit(1).saturating_sub((s.planes - 1) * s.plane()).max(1);
                for part in pieces(s.plane(), most) {
                    let parameters = [part.len() as u32, 0, s.plane() as u32, 1, slot as u32];
                    let grid = Grid::Groups(part.len().div_ceil(THREADS * NOTED_TOGETHER), 1);
                    let seen = s.data.part(part.start..part.end + (s.planes - 1) * s.plane());
                    self.device.launch(&kernels::NOTE, &[("KIND", 1), ("PLANES", s.planes)], &parameters, &[seen, list.all()], grid);
                }
                (list, slot)
            }
        };
        Note { list, slot, none: false }
    }

    /// One AdamW step on one parameter; its constants are computed in f64.
    pub(super) fn adamw_step(&self, p: &Param, m: &Param, v: &Param, grad: &Param, c: &AdamW) {
        let correction = |beta: f64| 1.0 - beta.powf(c.step as f64);
        let constants = [
            1.0 - c.lr * c.weight_decay,
            1.0 - c.beta1,
            c.beta2,
            1.0 - c.beta2,
            correction(c.beta2).sqrt(),
            c.eps,
            c.lr / correction(c.beta1),
        ];
        for part in pieces(p.layout.len(), self.device.fit(1)) {
            let parameters: Vec<u32> = [part.len() as u32].into_iter().chain(constants.map(|v| (v as f32).to_bits())).collect();
            let views = [grad, p, m, v].map(|p| p.data.part(part.clone()));
            self.device.launch(&kernels::ADAMW, &[], &parameters, &views, Grid::Threads(part.len()));
        }
    }

    /// into += other
    pub(super) fn add_to(&self, into: &Param, other: &Param) {
        for part in pieces(into.layout.len(), self.device.fit(1)) {
            let views = [other.data.part(part.clone()), into.data.part(part.clone())];
            self.device.launch(&kernels::ADD, &[], &[part.len() as u32], &views, Grid::Threads(part.len()));
        }
    }
}
