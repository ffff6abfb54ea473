//! Recordings to frames on all cores: one thread reads, the others decode, cut and count, the calling one writes.
//!
//! What is in work is bounded in bytes, whatever the number of cores. Blocks are written in the order of the recordings, so that
//! the file has the same bytes whatever the number of threads.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::plan::{Plan, Planned, Window};
use crate::data::cache::part::{Block, Part};
use crate::data::verify::Observer;
use crate::error::{Error, Result};
use crate::events::{self, Event, Sensor, npz, order};
use crate::frames::{Quality, SplitBy, cells, counts, empty_frames};
use crate::limits;
use crate::plural::counted;

/// Notes of single recordings that are kept; more are counted.
const NOTES: usize = 3;

/// How recordings are cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub steps: usize,
    pub by: SplitBy,
    /// Whether events are put in the order of their times before.
    pub sorted: bool,
    /// Whether events are turned ([`turn`]) before.
    pub turned: bool,
}

/// A recording that waits for its frames.
struct Job {
    number: usize,
    bytes: Vec<u8>,
}

/// A recording that waits to be written.
pub(super) struct Done {
    pub blocks: Vec<Block>,
    events: u64,
    notes: Vec<String>,
}

type Outcome = (usize, Result<Done>);

/// Prepares the recordings from number `from` on and appends them to `part`; gives how many events they have, and what their readers
/// noted.
///
/// # Errors
/// The first one by the order of recordings. What was prepared before stays in the part.
pub(super) fn build(plan: &Plan, cut: Cut, part: &mut Part, from: usize, watch: &mut dyn Observer) -> Result<(u64, Vec<String>)> {
    let budget = Budget::default();
    let (jobs, queue) = channel::<Job>();
    let queue = Mutex::new(queue);
    let (outcomes, finished) = channel::<Outcome>();
    let (queue, budget) = (&queue, &budget);
    thread::scope(|scope| {
        let reader = outcomes.clone();
        // Workers first: they end when the reader, which would not be there, sends nothing.
        for _ in 0..rayon::current_num_threads().min(plan.recordings.len()) {
            let outcomes = outcomes.clone();
            let started = thread::Builder::new().spawn_scoped(scope, move || work(plan, cut, queue, outcomes));
            started.map_err(|e| Error::no_thread(&e))?;
        }
        let reading = move || read_all(plan, cut, from, budget, jobs, reader);
        thread::Builder::new().spawn_scoped(scope, reading).map_err(|e| Error::no_thread(&e))?;
        drop(outcomes);
        let written = write_all(plan, cut, part, from, budget, finished, watch);
        // Wakes the reader; without it, the others come to their end.
        budget.close();
        // What is ready is kept, whatever stopped the rest.
        let flushed = part.flush();
        let found = written?;
        flushed.map(|()| found)
    })
}

/// Bytes that a recording takes while it is in work: as it is, its events (2 to 3.2 times that), its frames, its blocks.
fn cost(recording: &Planned, plan: &Plan, cut: Cut) -> u64 {
    4 * recording.bytes + 2 * (1 + recording.samples.len() as u64) * cells(plan.sensor, cut.steps) as u64
}

fn read_all(plan: &Plan, cut: Cut, from: usize, budget: &Budget, jobs: Sender<Job>, outcomes: Sender<Outcome>) {
    let mut next = from;
    let read = plan.supply.each(from, &mut |number, bytes| {
        next = number + 1;
        budget.take(cost(&plan.recordings[number], plan, cut)) && jobs.send(Job { number, bytes }).is_ok()
    });
    // Whoever writes meets the error in its place; if nobody is there any more, another error came first.
    if let Err(e) = read {
        let _ = outcomes.send((next, Err(e)));
    } else if next < plan.recordings.len() {
        let missing = Error::format("the recording is not where it was a moment ago").at(&plan.recordings[next].place);
        let _ = outcomes.send((next, Err(missing.remedy("run the same command again"))));
    }
}

fn work(plan: &Plan, cut: Cut, queue: &Mutex<Receiver<Job>>, outcomes: Sender<Outcome>) {
    let mut events = Vec::new();
    loop {
        let job = lock(queue).recv();
        let Ok(Job { number, bytes }) = job else { return };
        // A panic is a defect; caught, it ends the run with a message instead of leaving the others waiting.
        let done = catch_unwind(AssertUnwindSafe(|| frames(plan, cut, number, &bytes, &mut events)))
            .unwrap_or_else(|_| Err(Error::bug("panic while preparing").at(&plan.recordings[number].place)));
        if outcomes.send((number, done)).is_err() {
            return;
        }
    }
}

fn write_all(
    plan: &Plan,
    cut: Cut,
    part: &mut Part,
    from: usize,
    budget: &Budget,
    finished: Receiver<Outcome>,
    watch: &mut dyn Observer,
) -> Result<(u64, Vec<String>)> {
    let (mut waiting, mut next, mut events, mut notes) = (BTreeMap::new(), from, 0, Vec::new());
    let mut bytes: u64 = plan.recordings[..from].iter().map(|r| r.bytes).sum();
    while next < plan.recordings.len() {
        let Ok((number, done)) = finished.recv() else {
            return Err(Error::bug(format!("recording {next} was lost")));
        };
        waiting.insert(number, done);
        while let Some(done) = waiting.remove(&next) {
            let done = done?;
            part.put(&done.blocks)?;
            let recording = &plan.recordings[next];
            budget.give(cost(recording, plan, cut));
            bytes += recording.bytes;
            watch.advance(bytes);
            events += done.events;
            notes.extend(done.notes);
            next += 1;
        }
    }
    if notes.len() > NOTES {
        let more = notes.len() - NOTES;
        notes.truncate(NOTES);
        notes.push(format!("and {} about single recordings: spiketrain data inspect FILE", counted(more, "more note")));
    }
    Ok((events, notes))
}

/// The samples of one recording.
pub(super) fn frames(plan: &Plan, cut: Cut, number: usize, bytes: &[u8], buffer: &mut Vec<Event>) -> Result<Done> {
    let planned = &plan.recordings[number];
    if planned.samples.is_empty() {
        return Ok(Done { blocks: Vec::new(), events: 0, notes: Vec::new() });
    }
    if npz::holds_frames(bytes) {
        return ready_frames(plan, cut, planned, bytes);
    }
    let mut recording = events::read_reusing(bytes, &planned.place, std::mem::take(buffer))?;
    if plan.same_sensor && recording.sensor != Some(plan.sensor) {
        let other = other_sensor(plan, recording.sensor);
        return Err(other.at(&planned.place).remedy("say the size of all: --size WIDTHxHEIGHT"));
    }
    if cut.sorted {
        recording.notes.extend(order::sort(&mut recording.events));
    }
    if cut.turned {
        recording.events.iter_mut().for_each(turn);
    }
    let events = &recording.events;
    // Windows are cut by bisection where times are in order, as they are but for damaged recordings.
    let in_order = planned.samples.iter().all(|(_, w)| w.is_none()) || events.is_sorted_by_key(|e| e.t);
    let mut blocks = Vec::with_capacity(planned.samples.len());
    let mut invalid = recording.invalid;
    for (sample, window) in &planned.samples {
        let kept;
        let within = match window {
            None => &events[..],
            Some(w) if in_order => between(events, *w),
            Some((start, end)) => {
                kept = events.iter().filter(|e| (*start..*end).contains(&e.t)).copied().collect::<Vec<_>>();
                &kept[..]
            }
        };
        let (counts, quality) = counts(within, plan.sensor, cut.steps, cut.by);
        // What a file marks as invalid has no time to rely on: it is counted with the first sample.
        let quality = Quality { invalid: std::mem::take(&mut invalid), ..quality };
        blocks.push(Block::new(*sample, &counts, quality, duration(within, quality.misplaced == 0)));
    }
    let events = recording.events.len() as u64;
    *buffer = recording.events;
    let notes = recording.notes.iter().map(|note| format!("{}: {note}", planned.place)).collect();
    Ok(Done { blocks, events, notes })
}

fn other_sensor(plan: &Plan, found: Option<Sensor>) -> Error {
    let name = |s: Sensor| format!("{}x{}", s.width, s.height);
    let found = found.map_or("none that the format knows".to_string(), name);
    let whose = if plan.same_sensor { " as in the first recording" } else { "" };
    Error::usage(format!("expected a sensor of {}{whose}, found {found}", name(plan.sensor)))
}

/// A recording that was cut into frames before. Its events have no times, so that no window of them can be taken.
fn ready_frames(plan: &Plan, cut: Cut, planned: &Planned, bytes: &[u8]) -> Result<Done> {
    let frames = npz::read_frames(bytes, &planned.place)?;
    if frames.sensor() != plan.sensor {
        return Err(other_sensor(plan, Some(frames.sensor()))
            .at(&planned.place)
            .remedy("frames cannot change their size: make them of one size"));
    }
    let &[(sample, None)] = &planned.samples[..] else {
        return Err(Error::usage("expected events, found frames").at(&planned.place).remedy("give the file of events they are from"));
    };
    if cut.turned {
        return Err(Error::usage("expected events, found frames")
            .at(&planned.place)
            .remedy("load frames of this set with --dataset events DIR"));
    }
    let events = frames.events();
    let counts = frames.at(cut.steps).map_err(|e| e.at(&planned.place))?;
    let quality = Quality { events, empty_frames: empty_frames(&counts, plan.sensor), ..Quality::default() };
    Ok(Done { blocks: vec![Block::new(sample, &counts, quality, 0)], events, notes: Vec::new() })
}

/// DVS-CIFAR10 as SpikingJelly reads it: x' = 127-y, y' = 127-x, polarity swapped. Coordinates beyond the sensor stay beyond it.
pub fn turn(e: &mut Event) {
    (e.x, e.y, e.on) = (127u16.wrapping_sub(e.y), 127u16.wrapping_sub(e.x), !e.on);
}

fn between(events: &[Event], (start, end): Window) -> &[Event] {
    let from = events.partition_point(|e| e.t < start);
    let to = events.partition_point(|e| e.t < end);
    &events[from..to]
}

/// From the earliest to the latest event.
fn duration(events: &[Event], in_order: bool) -> u64 {
    match events {
        [] => 0,
        [first, ..] if in_order => events[events.len() - 1].t - first.t,
        _ => {
            let (low, high) = events.iter().fold((u64::MAX, 0), |(low, high), e| (low.min(e.t), high.max(e.t)));
            high - low
        }
    }
}

/// Bytes in work.
#[derive(Default)]
struct Budget {
    state: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl Budget {
    /// Waits until there is room; what has no room at all waits until nothing else is in work. False if nothing is wanted any more.
    fn take(&self, bytes: u64) -> bool {
        let mut state = lock(&self.state);
        while !state.1 && state.0 > 0 && state.0 + bytes > limits::PREPARE_BYTES {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.0 += bytes;
        !state.1
    }
    fn give(&self, bytes: u64) {
        lock(&self.state).0 -= bytes;
        self.changed.notify_all();
    }
    fn close(&self) {
        lock(&self.state).1 = true;
        self.changed.notify_all();
    }
}

/// A panic elsewhere is reported there.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
