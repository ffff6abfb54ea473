//! Events to frames: counts per time slice, polarity, row and column.

use crate::error::{Error, Result};
use crate::events::{Event, Sensor, order};
use crate::named::named;
use crate::plural::counted;

/// How a recording is cut into T slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitBy {
    /// N events into slices of floor(N/T), the last takes the rest (method, section 5).
    #[default]
    Number,
    /// Equal windows of time.
    Time,
}

named!(SplitBy, "way to cut": Number = "number", Time = "time");

/// Frames of many samples at full resolution, read by position.
pub trait FrameSource: Send + Sync {
    /// Fills `counts`, `[T,2,H,W]` with polarity 0 (OFF) first, with sample `index` (its position among train and test together).
    ///
    /// # Errors
    /// Storage or Format: the sample cannot be read, or is not what was written.
    fn read(&self, index: usize, counts: &mut [u16]) -> Result<()>;
    /// Bytes of the samples that are held in memory.
    fn bytes(&self) -> usize {
        0
    }
}

/// Bad events that a recording may have, as a share of its events, before training on it is refused.
pub const MAX_BAD_SHARE: f64 = 0.01;

/// How many events there are, and what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quality {
    /// Decoded events, good and bad.
    pub events: u64,
    /// Of them, outside the sensor: in no frame.
    pub out_of_range: u64,
    /// Of them, the fewest whose removal leaves the others in the order of their times ([`order`]): kept, in file order.
    pub misplaced: u64,
    /// Events that the file itself marks as invalid: not among `events`.
    pub invalid: u64,
    /// Frames of the samples in which there is no event.
    pub empty_frames: u64,
}

impl std::ops::AddAssign for Quality {
    fn add_assign(&mut self, other: Quality) {
        self.events += other.events;
        self.out_of_range += other.out_of_range;
        self.misplaced += other.misplaced;
        self.invalid += other.invalid;
        self.empty_frames += other.empty_frames;
    }
}

impl Quality {
    /// Looks at every event; what is known of frames only is left open.
    pub fn of(events: &[Event], sensor: Sensor) -> Quality {
        // `|` and not `||`: without a branch this runs at the speed of memory.
        let out_of_range = events.iter().map(|e| u64::from((e.x >= sensor.width) | (e.y >= sensor.height))).sum();
        Quality { events: events.len() as u64, out_of_range, misplaced: order::misplaced(events), ..Quality::default() }
    }

    /// Bad events of all kinds.
    pub fn bad(&self) -> u64 {
        self.out_of_range + self.misplaced + self.invalid
    }

    /// Whether more of the events are out of order than [`MAX_BAD_SHARE`].
    pub fn is_disordered(&self) -> bool {
        self.misplaced as f64 > MAX_BAD_SHARE * self.events as f64
    }

    /// Refuses to train on more bad events than [`MAX_BAD_SHARE`], or, if `strict`, on any.
    ///
    /// # Errors
    /// Format, with the counts.
    pub fn check(&self, strict: bool) -> Result<()> {
        let all = self.events + self.invalid;
        let allowed = if strict { 0.0 } else { MAX_BAD_SHARE * all as f64 };
        if self.bad() as f64 <= allowed {
            return Ok(());
        }
        let share = 100.0 * self.bad() as f64 / all.max(1) as f64;
        let what = format!(
            "expected {} at most, found {} of {all} ({share:.2} %): {} outside the sensor, {} out of order, {} marked invalid",
            counted(allowed as u64, "bad event"),
            self.bad(),
            self.out_of_range,
            self.misplaced,
            self.invalid
        );
        let remedy = if self.misplaced > self.out_of_range.max(self.invalid) {
            "--sort puts events in the order of their times; spiketrain data inspect FILE shows a recording"
        } else if strict {
            "leave out --strict to train without them, or repair the recordings (spiketrain data inspect FILE shows one)"
        } else if self.out_of_range > self.misplaced + self.invalid {
            "is it the right sensor (--size WIDTHxHEIGHT)? spiketrain data inspect FILE shows how far x and y go"
        } else if self.out_of_range > 0 {
            "is it the right sensor (--size)? spiketrain data inspect FILE shows a recording; fetch damaged ones again"
        } else {
            "spiketrain data inspect FILE shows a recording; fetch damaged ones again"
        };
        Err(Error::format(what).remedy(remedy))
    }
}

/// Values of one sample: T x 2 x H x W.
pub fn cells(sensor: Sensor, steps: usize) -> usize {
    steps * 2 * sensor.width as usize * sensor.height as usize
}

/// Frames of `counts` `[T,2,H,W]` in which there is no event.
pub fn empty_frames(counts: &[u16], sensor: Sensor) -> u64 {
    counts.chunks(cells(sensor, 1)).filter(|frame| frame.iter().all(|&n| n == 0)).count() as u64
}

/// Counts events per slice, polarity, row and column: `[T,2,H,W]`, polarity 0 (OFF) first, T = `steps`; counts end at 65,535.
///
/// Events outside the sensor are taken out first, so that the slices hold equal numbers of events that can be seen; an event out
/// of order keeps its place in the file when cutting by number, and falls into the window of its own time when cutting by time. Windows of time are floor(duration/T) µs long, from the earliest event on, and the last takes the rest up to the latest
/// one. Without bad events both are the frames that SpikingJelly makes (`split_by='number'` and `'time'`).
pub fn counts(events: &[Event], sensor: Sensor, steps: usize, by: SplitBy) -> (Vec<u16>, Quality) {
    let quality = Quality::of(events, sensor);
    let mut counts = vec![0; cells(sensor, steps)];
    if quality.out_of_range == 0 {
        cut(events, quality.misplaced == 0, sensor, by, &mut counts);
    } else {
        let inside: Vec<Event> = events.iter().filter(|e| e.x < sensor.width && e.y < sensor.height).copied().collect();
        cut(&inside, quality.misplaced == 0, sensor, by, &mut counts);
    }
    let empty_frames = empty_frames(&counts, sensor);
    (counts, Quality { empty_frames, ..quality })
}

/// Adds up events that are all inside the sensor.
fn cut(events: &[Event], in_order: bool, sensor: Sensor, by: SplitBy, counts: &mut [u16]) {
    let cells = cells(sensor, 1);
    if events.is_empty() || counts.is_empty() {
        return;
    }
    match by {
        SplitBy::Number => by_number(events, sensor, counts.chunks_exact_mut(cells)),
        SplitBy::Time if in_order => by_time(events, events[0].t, events[events.len() - 1].t, sensor, counts),
        SplitBy::Time => {
            let range = events.iter().fold((u64::MAX, 0), |(low, high), e| (low.min(e.t), high.max(e.t)));
            by_time(events, range.0, range.1, sensor, counts);
        }
    }
}

/// `frames`: T times `[2,H,W]`.
fn by_number(events: &[Event], sensor: Sensor, frames: std::slice::ChunksExactMut<u16>) {
    let steps = frames.len();
    let slice = events.len() / steps;
    for (step, frame) in frames.enumerate() {
        let end = if step + 1 == steps { events.len() } else { (step + 1) * slice };
        for e in &events[step * slice..end] {
            bump(&mut frame[position(e, sensor)]);
        }
    }
}

/// `counts`: `[T,2,H,W]`; `first` and `last` are the earliest and the latest time.
fn by_time(events: &[Event], first: u64, last: u64, sensor: Sensor, counts: &mut [u16]) {
    let cells = cells(sensor, 1);
    let end = counts.len() / cells - 1;
    let window = (last - first) / (end as u64 + 1);
    let (mut step, mut from, mut to) = (end, 0, 0);
    for e in events {
        let since = e.t - first;
        // Neighbours in the file are nearly always in one window: divide only where one ends.
        if since < from || since >= to {
            step = since.checked_div(window).map_or(end, |s| end.min(s as usize));
            from = step as u64 * window;
            to = if step == end { u64::MAX } else { from + window };
        }
        bump(&mut counts[step * cells + position(e, sensor)]);
    }
}

/// Where an event is counted in `[2,H,W]`.
#[inline]
fn position(e: &Event, sensor: Sensor) -> usize {
    (usize::from(e.on) * sensor.height as usize + e.y as usize) * sensor.width as usize + e.x as usize
}

#[inline]
fn bump(count: &mut u16) {
    *count = count.saturating_add(1);
}

#[cfg(test)]
mod tests;
