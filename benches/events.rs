//! Recordings in memory to frames: decoding and counting together, on all cores, per format (M events/s: elements per second).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use spiketrain::events::{self, Event, Sensor, aedat2, aedat3, nmnist};
use spiketrain::frames::{SplitBy, counts};
use spiketrain::rng::{Purpose, Rng};

/// Recordings that are decoded side by side.
const RECORDINGS: usize = 64;
/// Events of each: those of a gesture.
const EVENTS: usize = 250_000;

fn recording(sensor: Sensor) -> Vec<Event> {
    let mut rng = Rng::at(1, Purpose::Test, 0, 0);
    let event = |i: usize| Event {
        t: 4 * i as u64,
        x: rng.below(sensor.width.into()) as u16,
        y: rng.below(sensor.height.into()) as u16,
        on: rng.bits() & 1 == 1,
    };
    (0..EVENTS).map(event).collect()
}

fn frames(c: &mut Criterion) {
    let small = Sensor { width: 34, height: 34 };
    let large = Sensor { width: 128, height: 128 };
    let camera = "DVS128";
    let cases = [
        ("N-MNIST .bin", small, nmnist::write(&recording(small)).expect("34x34 fits"), "a.bin"),
        ("AEDAT 2.0", large, aedat2::write(&recording(large)).expect("128x128 fits"), "a.aedat"),
        ("AEDAT 3.1", large, aedat3::write(&recording(large), camera).expect("128x128 fits"), "a.aedat"),
    ];
    let mut group = c.benchmark_group("decode and count, 16 frames");
    group.sample_size(10).throughput(Throughput::Elements((RECORDINGS * EVENTS) as u64));
    for (name, sensor, bytes, file) in &cases {
        let one = |room: &mut Vec<Event>| {
            let recording = events::read_reusing(bytes, file, std::mem::take(room)).expect("just written");
            let (frames, _) = counts(&recording.events, *sensor, 16, SplitBy::Number);
            *room = recording.events;
            frames.len()
        };
        group.bench_function(*name, |b| {
            b.iter(|| (0..RECORDINGS).into_par_iter().map_init(Vec::new, |room, _| one(room)).sum::<usize>());
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
