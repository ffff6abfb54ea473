//! What is in a recording: counts, times, and the rate of events over time.

use super::{Event, order};

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
    /// The fewest events whose removal leaves the others in the order of their times.
    pub misplaced: u64,
    /// The longest time without an event, in µs.
    pub longest_gap: u64,
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
        s.misplaced = order::misplaced(events);
        s.longest_gap = longest_gap(events, s.misplaced == 0);
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

fn longest_gap(events: &[Event], in_order: bool) -> u64 {
    let longest = |times: &mut dyn Iterator<Item = u64>| {
        let mut before = None;
        times.map(|t| t - before.replace(t).unwrap_or(t)).max().unwrap_or(0)
    };
    if in_order {
        return longest(&mut events.iter().map(|e| e.t));
    }
    let mut times: Vec<u64> = events.iter().map(|e| e.t).collect();
    times.sort_unstable();
    longest(&mut times.into_iter())
}

/// Counts events in `windows` equal windows of time from the earliest to the latest of `summary`, which is that of these events.
pub fn over_time(events: &[Event], summary: &Summary, windows: usize) -> Vec<u64> {
    let mut counts = vec![0; windows];
    let span = u128::from(summary.latest - summary.earliest) + 1;
    for e in events {
        counts[(u128::from(e.t - summary.earliest) * windows as u128 / span) as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_events() {
        let at = |t, x, y, on| Event { t, x, y, on };
        let events = [at(5, 1, 2, true), at(3, 7, 0, false), at(3, 0, 9, true), at(14, 2, 2, true)];
        let s = Summary::of(&events);
        let expected =
            Summary { events: 4, on: 3, earliest: 3, latest: 14, misplaced: 1, longest_gap: 9, max_x: 7, max_y: 9, sum_x: 10, sum_y: 13 };
        assert_eq!(s, expected);
        assert_eq!(over_time(&events, &s, 3), [3, 0, 1]);
        assert_eq!(Summary::of(&[]), Summary::default());
        assert_eq!(over_time(&[at(u64::MAX, 0, 0, true)], &Summary::of(&[at(u64::MAX, 0, 0, true)]), 2), [1, 0]);
    }
}
