use std::fs;
use std::path::PathBuf;

use super::camera::Scene;
use super::*;
use crate::data::{LoadOptions, load, sets};
use crate::events::nmnist;

#[test]
fn a_path_is_closed_and_rests_at_its_corners() {
    for kind in Kind::ALL {
        let path = kind.manner().path;
        assert_eq!(path.at(0), path.corners[0]);
        assert_eq!(path.at(path.duration()), path.corners[0]);
        let mut fastest = 0.0f32;
        for t in 0..path.duration() / 100 {
            let ((x0, y0), (x1, y1)) = (path.at(100 * t), path.at(100 * t + 100));
            fastest = fastest.max((x1 - x0).hypot(y1 - y0) * 10.0);
        }
        for (i, corner) in path.corners.iter().enumerate() {
            let t = path.leg * i as u32;
            assert_eq!(path.at(t), *corner);
            let near = path.at(t + path.leg / 50);
            assert!((near.0 - corner.0).hypot(near.1 - corner.1) < 1e-3, "{kind}: no rest at corner {i}");
        }
        println!("{kind}: {} ms, at most {fastest:.2} pixels a ms", path.duration() / 1000);
        assert!(fastest * (kind.manner().camera.step as f32) < 500.0, "{kind}: half a pixel between frames");
    }
}

#[test]
fn a_picture_moves_by_whole_and_by_broken_pixels_and_its_border_goes_on() {
    const SENSOR: Sensor = Sensor { width: 6, height: 5 };
    let picture: Vec<f32> = (0..9).map(|v| v as f32).collect();
    let rendered = |corner: &'static [(f32, f32)]| {
        let scene = MovedPicture::new(&picture, 3, SENSOR, Path { corners: corner, leg: 1, loops: 1 }).unwrap();
        let mut out = vec![0.0; 30];
        scene.render(0, &mut out);
        out
    };
    let row = |from: [f32; 3]| [from[0], from[0], from[1], from[2], from[2], from[2]];
    let still = [row([0.0, 1.0, 2.0]), row([0.0, 1.0, 2.0]), row([3.0, 4.0, 5.0]), row([6.0, 7.0, 8.0]), row([6.0, 7.0, 8.0])];
    assert_eq!(rendered(&[(0.0, 0.0)]), still.concat());
    let right = rendered(&[(1.0, 0.0)]);
    assert_eq!(right[12..18], [3.0, 3.0, 3.0, 4.0, 5.0, 5.0]);
    let up = rendered(&[(0.0, -1.0)]);
    assert_eq!(up[6..12], row([3.0, 4.0, 5.0]));
    let between = rendered(&[(-0.25, 0.5)]);
    assert_eq!(between[12..15], [1.5, 1.75, 2.75]);
    assert!(MovedPicture::new(&picture, 3, Sensor { width: 2, height: 5 }, Kind::NMnist.manner().path).is_err());
    assert!(MovedPicture::new(&picture, 4, SENSOR, Kind::NMnist.manner().path).is_err());
}

#[test]
fn pictures_are_resized_between_the_middles_of_pixels() {
    assert_eq!(resized(&[0.0, 4.0], (1, 2), 4)[..4], [0.0, 1.0, 3.0, 4.0]);
    let same: Vec<f32> = (0..16).map(|v| v as f32).collect();
    assert_eq!(resized(&same, (4, 4), 4), same);
    assert_eq!(resized(&same, (4, 4), 2), [2.5, 4.5, 10.5, 12.5]);
    assert_eq!(grey(&[255, 0, 0, 255, 0, 0], 2), [0.299, 0.587]);
    assert_eq!(grey(&[51, 255], 2), [0.2, 1.0]);
}

#[test]
fn a_recording_depends_on_picture_seed_split_and_index() {
    let picture: Vec<u8> = (0..784).map(|i| if (300..450).contains(&i) && i % 28 > 10 { 255 } else { 0 }).collect();
    for kind in Kind::ALL {
        let record = |seed, split, index| Studio::new(kind.manner(), seed).unwrap().record(&picture, (28, 28), split, index).unwrap();
        let events = record(1, 0, 0);
        assert_eq!(events, record(1, 0, 0));
        assert!([record(2, 0, 0), record(1, 1, 0), record(1, 0, 1)].iter().all(|other| *other != events));
        assert!(events.is_sorted_by_key(|e| e.t));
        let Settings { sensor, .. } = kind.manner().camera;
        assert!(events.iter().all(|e| e.x < sensor.width && e.y < sensor.height && e.t <= kind.manner().path.duration() as u64));
        println!("{kind}: {} events of a rectangle", events.len());
    }
}

/// Mean, minimum, maximum.
fn spread(counts: &[usize]) -> (f64, usize, usize) {
    let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    (mean, *counts.iter().min().unwrap(), *counts.iter().max().unwrap())
}

/// Over pixels that fire both ways in the third saccade: how much later ON comes than OFF, in ms.
fn on_after_off(recordings: &[Vec<Event>]) -> f64 {
    let (mut sum, mut pixels) = (0.0, 0.0);
    for events in recordings {
        let mut times = std::collections::HashMap::new();
        for e in events.iter().filter(|e| (225_000..300_000).contains(&e.t)) {
            let (n, t): &mut (f64, f64) = times.entry((e.x, e.y, e.on)).or_default();
            (*n, *t) = (*n + 1.0, *t + e.t as f64 / 1000.0);
        }
        for (&(x, y, on), (n, t)) in &times {
            if let (true, Some((n_off, t_off))) = (on, times.get(&(x, y, false))) {
                sum += t / n - t_off / n_off;
                pixels += 1.0;
            }
        }
    }
    sum / pixels
}

#[test]
fn simulated_nmnist_resembles_the_real_recordings_of_the_same_digits() {
    let Some(dir) = std::env::var_os("SPIKETRAIN_TEST_DATA").map(PathBuf::from).filter(|d| d.join("nmnist/Train").is_dir()) else {
        println!("SKIPPED: SPIKETRAIN_TEST_DATA has no nmnist/Train");
        return;
    };
    let n = 400;
    let options = LoadOptions { data_dir: Some(dir.clone()), train_limit: Some(n), test_limit: Some(1), ..Default::default() };
    let Ok(set) = load(sets::MNIST, &options) else {
        println!("SKIPPED: SPIKETRAIN_TEST_DATA has no mnist");
        return;
    };
    let studio = Studio::new(Kind::NMnist.manner(), 1).unwrap();
    let (mut real, mut made) = (Vec::new(), Vec::new());
    for (i, label) in set.train.labels.iter().enumerate() {
        let path = dir.join(format!("nmnist/Train/{label}/{:05}.bin", i + 1));
        real.push(nmnist::read(&fs::read(&path).unwrap(), "real", Vec::new()).unwrap().events);
        made.push(studio.record(&set.train.pixels[i * 784..][..784], (28, 28), 0, i as u64).unwrap());
    }
    let counts = [&real, &made].map(|r| spread(&r.iter().map(Vec::len).collect::<Vec<_>>()));
    println!("{n} recordings, events (mean, min, max): real {:?}, simulated {:?}", counts[0], counts[1]);
    assert!((counts[1].0 / counts[0].0 - 1.0).abs() < 0.05 && counts[1].1 > 1000 && counts[1].2 < 8000);
    let delays = [on_after_off(&real), on_after_off(&made)];
    println!("ON after OFF: real {:.1} ms, simulated {:.1} ms", delays[0], delays[1]);
    assert!(delays.iter().all(|d| (15.0..35.0).contains(d)));
    // The centre of the events follows the same way.
    for window in [10_000u64, 45_000, 75_000, 130_000, 160_000, 190_000, 240_000, 270_000, 290_000] {
        let centre = |recordings: &[Vec<Event>]| {
            let inside = recordings.iter().flatten().filter(|e| e.t.abs_diff(window) < 5_000);
            let (n, x, y) = inside.fold((0.0, 0.0, 0.0), |(n, x, y), e| (n + 1.0, x + f64::from(e.x), y + f64::from(e.y)));
            (x / n, y / n)
        };
        let (a, b) = (centre(&real), centre(&made));
        println!("  at {:3} ms: real ({:.1}, {:.1}), simulated ({:.1}, {:.1})", window / 1000, a.0, a.1, b.0, b.1);
        assert!((a.0 - b.0).hypot(a.1 - b.1) < 2.0, "at {window} µs");
    }
}
