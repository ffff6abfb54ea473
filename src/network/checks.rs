//! Numbers that are not finite, looked for before a step changes anything.

use super::{Grads, LESS, not_finite};
use crate::engine::{Engine, LARGEST, Running};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::tensors::{self, Tensors};

/// Looks for numbers that are not finite before a step changes anything; waits for the device once, at the end.
pub struct Checks<'n, E: Engine> {
    engine: &'n E,
    plan: &'n Plan,
    notes: Vec<E::Note>,
    /// What each note is of: what it is called, which block, which of its tensors.
    places: Vec<(&'static str, usize, usize)>,
}

/// What [`Checks::running`] calls its tensors.
const RUNNING: &str = "running statistics";

impl<'n, E: Engine> Checks<'n, E> {
    /// Nothing noted yet.
    pub fn new(engine: &'n E, plan: &'n Plan) -> Self {
        Checks { engine, plan, notes: Vec::new(), places: Vec::new() }
    }

    fn note(&mut self, p: &E::Param, bound: f32, place: (&'static str, usize, usize)) {
        self.notes.push(self.engine.all_within(p, bound));
        self.places.push(place);
    }

    /// Statistics have to be finite.
    pub fn running(&mut self, running: &[Option<Running<E::Param>>]) {
        for (i, r) in running.iter().enumerate().filter_map(|(i, r)| Some((i, r.as_ref()?))) {
            r.each().for_each(|p| self.note(p, f32::MAX, (RUNNING, i, 0)));
        }
    }

    /// Gradients have to be such that AdamW can square them ([`LARGEST`]).
    pub fn gradients(&mut self, grads: &Grads<E>) {
        self.tensors("gradient", grads, LARGEST);
    }

    /// Values or moments, called `what`, have to be finite.
    pub fn finite(&mut self, what: &'static str, tensors: &[Tensors<E::Param>]) {
        self.tensors(what, tensors, f32::MAX);
    }

    fn tensors(&mut self, what: &'static str, tensors: &[Tensors<E::Param>], bound: f32) {
        for (i, t) in tensors.iter().enumerate() {
            t.each().enumerate().for_each(|(k, p)| self.note(p, bound, (what, i, k)));
        }
    }

    /// Whether all was as it has to be.
    ///
    /// # Errors
    /// Diverged: names the first tensor that was not, in the order in which they were noted. Memory: the device has failed.
    pub fn verdict(self) -> Result<()> {
        let within = self.engine.read(&self.notes)?;
        let Some(bad) = within.iter().position(|&within| within == 0) else { return Ok(()) };
        let (what, i, k) = self.places[bad];
        let block = &self.plan.blocks[i];
        if what == RUNNING {
            return Err(not_finite(block, RUNNING));
        }
        let name = &tensors::of_block(i, block)[k].name;
        Err(Error::diverged(format!("the {what} of {name} ({}) is not finite", block.name())).remedy(LESS))
    }
}
