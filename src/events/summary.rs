//! What is in a recording: counts, times, and events that are not where or when they should be.

use super::{Event, Sensor};

/// Counts over all events of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All of them.
    pub events: u64,
    /// Those with polarity ON.
    pub on: u64,
    /// Earliest time in µs; 0 without events.
    pub earliest: u64,
    /// Latest time in µs; 0 without events.
    pub latest: u64,
    /// Events that are earlier than the one before them in the file.
    pub back_in_time: u64,
    /// Largest x; 0 without events.
    pub max_x: u16,
    /// Largest y; 0 without events.
    pub max_y: u16,
    /// Sum of all x.
    pub sum_x: u64,
    /// Sum of all y.
    pub sum_y: u64,
}

impl Summary {
    /// Counts.
    pub fn of(events: &[Event]) -> Self {
        let mut s = Summary { events: events.len() as u64, ..Summary::default() };
        s.earliest = events.iter().map(|e| e.t).min().unwrap_or(0);
        s.back_in_time = events.windows(2).filter(|p| p[1].t < p[0].t).count() as u64;
        for e in events {
            s.on += u64::from(e.on);
            s.latest = s.latest.max(e.t);
            s.max_x = s.max_x.max(e.x);
            s.max_y = s.max_y.max(e.y);
            s.sum_x += u64::from(e.x);
            s.sum_y += u64::from(e.y);
        }
        s
    }
}

/// How many events lie outside of the sensor.
pub fn out_of_range(events: &[Event], sensor: Sensor) -> u64 {
    events.iter().filter(|e| e.x >= sensor.width || e.y >= sensor.height).count() as u64
}
