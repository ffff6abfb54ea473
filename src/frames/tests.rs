use super::*;
use crate::rng::{Purpose, Rng};

const SENSOR: Sensor = Sensor { width: 5, height: 3 };

fn event(t: u64, x: u16, y: u16, on: bool) -> Event {
    Event { t, x, y, on }
}

/// Random events; every `bad`-th outside the sensor or going back in time.
fn random(n: usize, case: u64, bad: usize) -> Vec<Event> {
    let mut rng = Rng::at(1, Purpose::Test, case, n as u64);
    let mut t = rng.below(1000) as u64 + 500;
    (0..n)
        .map(|_| {
            t += rng.below(40) as u64;
            let mut e = event(t, rng.below(5) as u16, rng.below(3) as u16, rng.below(2) == 1);
            match rng.below(3 * bad) {
                0 => e.x = 5 + rng.below(9) as u16,
                1 => e.y = 3 + rng.below(9) as u16,
                2 => e.t -= rng.below(300) as u64,
                _ => {}
            }
            e
        })
        .collect()
}

/// The definition, word by word, one event at a time.
fn literal(events: &[Event], steps: usize, by: SplitBy) -> Vec<u16> {
    let events: Vec<&Event> = events.iter().filter(|e| e.x < 5 && e.y < 3).collect();
    let mut counts = vec![0u16; steps * 30];
    let first = events.iter().map(|e| e.t).min().unwrap_or(0);
    let last = events.iter().map(|e| e.t).max().unwrap_or(0);
    for (i, e) in events.iter().enumerate() {
        let slice = match by {
            SplitBy::Number => i.checked_div(events.len() / steps),
            SplitBy::Time => (e.t - first).checked_div((last - first) / steps as u64).map(|s| s as usize),
        };
        let step = slice.unwrap_or(steps).min(steps - 1);
        counts[((step * 2 + e.on as usize) * 3 + e.y as usize) * 5 + e.x as usize] += 1;
    }
    counts
}

#[test]
fn frames_are_those_of_the_definition() {
    let mut cases = 0;
    for n in [0, 1, 2, 3, 7, 16, 17, 100, 1001] {
        for steps in [1, 2, 3, 16, 64] {
            for by in [SplitBy::Number, SplitBy::Time] {
                for bad in [4, 1_000_000] {
                    let events = random(n, steps as u64, bad);
                    let (counts, quality) = counts(&events, SENSOR, steps, by);
                    assert_eq!(counts, literal(&events, steps, by), "{n} events, T = {steps}, {by:?}");
                    let seen: u64 = counts.iter().map(|&c| c as u64).sum();
                    assert_eq!((quality.events, seen), (n as u64, n as u64 - quality.out_of_range));
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} cases");
}

#[test]
fn the_last_slice_takes_the_rest_and_few_events_leave_the_first_ones_empty() {
    let events: Vec<Event> = (0..11).map(|t| event(t, 0, 0, false)).collect();
    let per_step = |n: usize| -> Vec<u16> { counts(&events[..n], SENSOR, 4, SplitBy::Number).0.chunks(30).map(|f| f[0]).collect() };
    assert_eq!(per_step(11), [2, 2, 2, 5]);
    assert_eq!(per_step(3), [0, 0, 0, 3]);
    assert_eq!(per_step(0), [0, 0, 0, 0]);
}

#[test]
fn polarity_comes_before_row_and_column() {
    let (c, _) = counts(&[event(0, 4, 2, false), event(1, 1, 0, true)], SENSOR, 1, SplitBy::Number);
    let set: Vec<usize> = (0..30).filter(|&i| c[i] == 1).collect();
    assert_eq!(set, [14, 16]);
}

#[test]
fn counts_end_at_the_largest_number() {
    let events = vec![event(5, 1, 1, true); 70_000];
    assert_eq!(counts(&events, SENSOR, 1, SplitBy::Number).0[21], u16::MAX);
    // One moment: no window has a length, and the last takes all.
    let (c, q) = counts(&events[..10], SENSOR, 2, SplitBy::Time);
    assert_eq!((c[21], c[51], q.misplaced), (0, 10, 0));
}

#[test]
fn bad_events_are_counted_by_kind_and_refused_above_one_per_cent() {
    let mut events: Vec<Event> = (0..1000).map(|t| event(t, 0, 0, true)).collect();
    events[3].x = 5;
    events[4].y = 65_535;
    events[500].t = 0;
    let q = Quality::of(&events, SENSOR);
    assert_eq!(q, Quality { events: 1000, out_of_range: 2, misplaced: 1, invalid: 0, empty_frames: 0 });
    q.check(false).unwrap();
    let e = q.check(true).unwrap_err();
    assert!(e.exit_code() == 2 && e.to_string().contains("--strict"), "{e}");
    let mut many = Quality { invalid: 8, ..q };
    let e = many.check(false).unwrap_err().to_string();
    assert!(e.contains("found 11 of 1008 (1.09 %): 2 outside the sensor, 1 out of order, 8 marked invalid"), "{e}");
    many += Quality { events: 100, ..Quality::default() };
    many.check(false).unwrap();
    Quality::default().check(true).unwrap();
}

#[test]
fn huge_times_are_no_trouble() {
    let events = [event(u64::MAX, 0, 0, true), event(0, 0, 0, true), event(u64::MAX, 1, 0, true)];
    let (c, q) = counts(&events, SENSOR, 3, SplitBy::Time);
    assert_eq!((q.misplaced, c[15], c[75], c[76]), (1, 1, 1, 1));
}
