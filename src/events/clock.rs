//! Clocks that begin again at 0 without a mark.
//!
//! A camera counts microseconds in 23, 31 or 32 bits. After 8.4 s, 36 or 72 minutes the counter is full and begins again; a file that says
//! nothing of it would be laid over itself.

use super::Event;

/// The counter of 40-bit events.
pub const BITS_23: u64 = 1 << 23;
/// The counter of AEDAT 3.1, and of AEDAT 2.0 where its writer counts in signed numbers.
pub const BITS_31: u64 = 1 << 31;
/// The counter of AEDAT 2.0.
pub const BITS_32: u64 = 1 << 32;

/// Adds the counter's range from every wrap on. A wrap is a step from the top hundredth of the range to its bottom hundredth, unless the
/// step before led straight from the bottom to the top: that was one stray stamp. Events that come late, from before the wrap, are put
/// before it. Any other step back is disorder ([`super::order`]).
#[derive(Debug)]
pub struct Clock {
    range: u64,
    /// The last time that was no stray, as the counter had it.
    last: Option<u64>,
    /// Whether it was reached straight from the bottom.
    leapt: bool,
    added: u64,
    wraps: u64,
}

impl Clock {
    /// Of a counter that ends before `range` µs.
    pub fn new(range: u64) -> Clock {
        Clock { range, last: None, leapt: false, added: 0, wraps: 0 }
    }

    /// The times of the events that come next.
    pub fn unwrap(&mut self, events: &mut [Event]) {
        for e in events {
            e.t = self.time(e.t);
        }
    }

    fn time(&mut self, t: u64) -> u64 {
        let (top, bottom) = (|t: u64| t < self.range && t >= self.range - self.range / 100, |t: u64| t < self.range / 100);
        let Some(last) = self.last else {
            self.last = Some(t);
            return t;
        };
        if top(last) && bottom(t) && !self.leapt {
            self.added += self.range;
            self.wraps += 1;
        } else if bottom(last) && top(t) && self.added > 0 {
            // It comes late.
            return t + self.added - self.range;
        }
        self.leapt = bottom(last) && top(t) || self.leapt && top(t);
        self.last = Some(t);
        t.saturating_add(self.added)
    }

    /// What was done, in words, if anything was.
    pub fn note(&self) -> Option<String> {
        let (n, range) = (self.wraps, self.range);
        let times = if n == 1 { "once".to_string() } else { format!("{n} times") };
        (n > 0).then(|| format!("the clock of {} bits began again {times}: {range} µs added from there on", range.ilog2()))
    }
}

/// Unwraps a whole recording; says what was done, if anything was.
pub fn unwrap(events: &mut [Event], range: u64) -> Option<String> {
    if events.is_sorted_by_key(|e| e.t) {
        return None;
    }
    let mut clock = Clock::new(range);
    clock.unwrap(events);
    clock.note()
}

/// The same of a recording whose counter is not known: of 31 or of 32 bits, whichever its latest time is near the end of.
pub fn unwrap_unknown(events: &mut [Event]) -> Option<String> {
    let most = events.iter().map(|e| e.t).max()?;
    [BITS_31, BITS_32].into_iter().find(|&range| most < range && most >= range - range / 100).and_then(|range| unwrap(events, range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(times: impl IntoIterator<Item = u64>) -> Vec<Event> {
        times.into_iter().map(|t| Event { t, ..Event::default() }).collect()
    }

    fn times(events: &[Event]) -> Vec<u64> {
        events.iter().map(|e| e.t).collect()
    }

    #[test]
    fn twenty_seconds_come_back_out_of_23_bits() {
        let real: Vec<u64> = (0..20_000_000).step_by(500).collect();
        let mut events = at(real.iter().map(|t| t % BITS_23));
        assert_eq!(unwrap(&mut events, BITS_23).unwrap(), "the clock of 23 bits began again 2 times: 8388608 µs added from there on");
        assert_eq!(times(&events), real);
    }

    #[test]
    fn a_cut_into_chunks_makes_no_difference() {
        let mut events = at((4_290_000_000u64..4_300_000_000).step_by(10_000).map(|t| t % BITS_32));
        let mut whole = events.clone();
        let note = unwrap(&mut whole, BITS_32).unwrap();
        assert!(note.contains("32 bits began again once"), "{note}");
        let mut clock = Clock::new(BITS_32);
        events.chunks_mut(7).for_each(|chunk| clock.unwrap(chunk));
        assert_eq!((clock.note(), &events), (Some(note), &whole));
        assert!(whole.is_sorted_by_key(|e| e.t));
    }

    #[test]
    fn a_late_event_is_put_before_the_wrap_and_a_stray_stamp_is_no_wrap() {
        let top = BITS_23 - 10;
        let mut late = at([top, top + 2, 5, top + 4, 9]);
        unwrap(&mut late, BITS_23).unwrap();
        assert_eq!(times(&late), [top, top + 2, BITS_23 + 5, top + 4, BITS_23 + 9]);
        let mut stray = at([1, 2, top, 3, 4]);
        assert_eq!(unwrap(&mut stray, BITS_23), None);
        assert_eq!(times(&stray), [1, 2, top, 3, 4]);
    }

    #[test]
    fn other_steps_back_stay_as_they_are() {
        let mut events = at([5_000_000, 4_000_000, 8_380_000, 200_000]);
        assert_eq!(unwrap(&mut events, BITS_23), None);
        assert_eq!(times(&events), [5_000_000, 4_000_000, 8_380_000, 200_000]);
        let mut unknown = at([BITS_31 - 1, 0, 7]);
        assert!(unwrap_unknown(&mut unknown).unwrap().contains("31 bits"));
        assert_eq!(unwrap_unknown(&mut at([70, 3])), None);
    }
}
