//! Whether events stand in the order of their times, over a stream of chunks.

use std::collections::VecDeque;

use super::Event;
use crate::plural::{counted, either};

/// Events that may yet turn out to be the misplaced ones; older ones keep their place. 8 MiB.
const WINDOW: usize = 1 << 20;

/// Counts misplaced events: the fewest whose removal leaves the others in order. One stamp far ahead is one, a stretch that comes late is
/// as many as it has events. What stays is a longest non-decreasing subsequence, found by patience sorting.
///
/// The count is exact where no event stands more than 2^20 places from where it belongs, and never too low.
#[derive(Debug, Default)]
pub struct Order {
    /// Least last time of a sequence in order, by its length; ascending.
    ends: VecDeque<u64>,
    /// Ends that have left the window: events that stay.
    settled: u64,
    /// The last of them.
    floor: u64,
    seen: u64,
}

impl Order {
    /// Takes the events that come next.
    pub fn add(&mut self, events: &[Event]) {
        self.seen += events.len() as u64;
        for e in events {
            if self.ends.back().is_none_or(|&end| end <= e.t) && e.t >= self.floor {
                self.ends.push_back(e.t);
                if self.ends.len() > WINDOW {
                    self.floor = self.ends.pop_front().unwrap_or(self.floor);
                    self.settled += 1;
                }
            } else if e.t >= self.floor {
                let at = self.ends.partition_point(|&end| end <= e.t);
                self.ends[at] = e.t;
            }
        }
    }

    /// Misplaced events so far.
    pub fn misplaced(&self) -> u64 {
        self.seen - self.settled - self.ends.len() as u64
    }
}

/// Misplaced events of a whole recording ([`Order`]).
pub fn misplaced(events: &[Event]) -> u64 {
    // Nearly every recording is in order, which is seen at the speed of memory.
    if events.is_sorted_by_key(|e| e.t) {
        return 0;
    }
    let mut order = Order::default();
    order.add(events);
    order.misplaced()
}

/// Puts events in the order of their times, those of one time as they stand; says how many were misplaced, if any.
pub fn sort(events: &mut [Event]) -> Option<String> {
    let count = misplaced(events);
    events.sort_by_key(|e| e.t);
    (count > 0)
        .then(|| format!("{count} of {} {} out of order: sorted by time", counted(events.len(), "event"), either(count, "was", "were")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn at(times: impl IntoIterator<Item = u64>) -> Vec<Event> {
        times.into_iter().map(|t| Event { t, ..Event::default() }).collect()
    }

    #[test]
    fn the_fewest_events_are_blamed() {
        assert_eq!(misplaced(&[]), 0);
        assert_eq!(misplaced(&at([1, 1, 2, 9, 9])), 0);
        assert_eq!(misplaced(&at([1, 2, 900, 3, 4, 5])), 1, "one stamp far ahead");
        assert_eq!(misplaced(&at([100, 101, 3, 102, 103])), 1, "one stamp far behind");
        assert_eq!(misplaced(&at((0..50).map(|i| 2 * i).chain((0..50).map(|i| 2 * i + 1)))), 49, "two streams behind each other");
        assert_eq!(misplaced(&at((0..10).rev())), 9);
    }

    #[test]
    fn any_cut_into_chunks_counts_the_same_and_agrees_with_every_subset() {
        let mut rng = Rng::at(3, Purpose::Order, 0, 0);
        for _ in 0..200 {
            let n = 1 + rng.below(10);
            let events = at((0..n).map(|_| u64::from(rng.below(8) as u32)));
            let in_order = |kept: u32| (0..n).filter(|i| kept >> i & 1 == 1).map(|i| events[i].t).is_sorted();
            let most = (0..1u32 << n).filter(|&kept| in_order(kept)).map(u32::count_ones).max().unwrap();
            let mut order = Order::default();
            events.chunks(3).for_each(|chunk| order.add(chunk));
            assert_eq!(order.misplaced(), n as u64 - u64::from(most), "{events:?}");
        }
    }

    #[test]
    fn what_lies_beyond_the_window_is_still_misplaced() {
        let n = WINDOW as u64 + 1000;
        assert_eq!(misplaced(&at((1000..1000 + n).chain(0..500))), 500);
    }

    #[test]
    fn sorting_keeps_events_of_one_time_as_they_stand() {
        let mut events = [(5, 0), (3, 1), (5, 2), (3, 3)].map(|(t, x)| Event { t, x, ..Event::default() });
        assert_eq!(sort(&mut events).unwrap(), "2 of 4 events were out of order: sorted by time");
        assert_eq!(events.map(|e| e.x), [1, 3, 0, 2]);
        assert_eq!(sort(&mut events), None);
    }
}
