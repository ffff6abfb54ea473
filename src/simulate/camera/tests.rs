use super::*;

/// Every pixel sees the same intensity, exp(rate · t) on a straight line of its logarithm.
struct Ramp {
    per_ms: f32,
}

impl Scene for Ramp {
    fn render(&self, t: u32, out: &mut [f32]) {
        out.fill((self.per_ms * t as f32 / 1000.0).exp());
    }
}

/// Dark up to a time, bright from it on.
struct Step {
    at: u32,
    log_contrast: f32,
}

impl Scene for Step {
    fn render(&self, t: u32, out: &mut [f32]) {
        out.fill(if t < self.at { 1.0 } else { self.log_contrast.exp() });
    }
}

/// Bars of a wavelength of 8 pixels that drift.
struct Bars;

impl Scene for Bars {
    fn render(&self, t: u32, out: &mut [f32]) {
        for (i, v) in out.iter_mut().enumerate() {
            *v = 2.0 + (((i % 16) as f32 + t as f32 / 5000.0) * std::f32::consts::TAU / 8.0).sin();
        }
    }
}

const IDEAL: Settings =
    Settings { sensor: Sensor { width: 16, height: 12 }, on: 0.25, off: 0.5, mismatch: 0.0, refractory: 0, noise: 0.0, step: 1000 };

fn record(settings: Settings, scene: &impl Scene, duration: u32) -> Vec<Event> {
    Camera::new(settings, 1).unwrap().record(scene, duration, Rng::at(1, Purpose::Camera, 1, 0))
}

fn times(events: &[Event], pixel: (u16, u16)) -> Vec<u64> {
    events.iter().filter(|e| (e.x, e.y) == pixel).map(|e| e.t).collect()
}

#[test]
fn the_logarithm_is_that_of_the_standard_library() {
    let mut worst = 0.0f64;
    for i in 0..200_000 {
        let x = 1e-4 * 1.00012f64.powi(i);
        let x = x as f32;
        let expected = (x as f64).ln();
        worst = worst.max((ln(x) as f64 - expected).abs() / expected.abs().max(1.0));
    }
    println!("200,000 values, largest error {worst:.1e}");
    assert!(worst < 3e-7 && ln(1.0) == 0.0, "{worst}");
}

#[test]
fn a_threshold_crossed_between_frames_fires_at_the_interpolated_time() {
    // 0.1 per ms: ON at every 2.5 ms, OFF at every 5 ms.
    for step in [137, 1000, 1900, 7000, 50_000] {
        let up = record(Settings { step, ..IDEAL }, &Ramp { per_ms: 0.1 }, 50_000);
        assert!(up.iter().all(|e| e.on) && up.len() >= 19 * 192, "{}", up.len());
        for (k, t) in times(&up, (3, 4)).into_iter().enumerate() {
            assert!(t.abs_diff(2500 * (k as u64 + 1)) <= 2, "event {k} at {t}, frames every {step} µs");
        }
        let down = record(Settings { step, ..IDEAL }, &Ramp { per_ms: -0.1 }, 49_000);
        assert!(down.iter().all(|e| !e.on));
        assert_eq!(times(&down, (0, 11)).len(), 9);
        assert!(times(&down, (15, 0))[8].abs_diff(45_000) <= 2);
    }
}

#[test]
fn a_jump_over_several_thresholds_fires_several_times() {
    let events = record(IDEAL, &Step { at: 5000, log_contrast: 1.1 }, 20_000);
    // The jump is a straight line from 4 to 5 ms.
    assert_eq!(times(&events, (7, 7)), [4227, 4454, 4681, 4909]);
    // Resting for 0.4 ms, a pixel misses a part of it: it fires at 0.25, forgets up to 0.69, and fires at 0.94.
    let events = record(Settings { refractory: 400, ..IDEAL }, &Step { at: 5000, log_contrast: 1.1 }, 20_000);
    assert_eq!(times(&events, (7, 7)), [4227, 4854]);
    // Resting beyond the jump, it sees nothing of the rest.
    let events = record(Settings { refractory: 3000, ..IDEAL }, &Step { at: 5000, log_contrast: 1.1 }, 20_000);
    assert_eq!(times(&events, (7, 7)), [4227]);
}

#[test]
fn pixels_rest_after_an_event_whatever_made_it() {
    for (refractory, step) in [(700, 1000), (1800, 1000), (1800, 4000), (5000, 1000)] {
        let settings = Settings { refractory, step, mismatch: 0.2, noise: 20.0, on: 0.1, off: 0.1, ..IDEAL };
        let events = record(settings, &Bars, 300_000);
        let mut last = std::collections::HashMap::new();
        for e in &events {
            if let Some(before) = last.insert((e.x, e.y), e.t) {
                assert!(e.t + 1 >= before + refractory as u64, "{e:?} after {before}");
            }
        }
        println!("{} events, rest {refractory} µs", events.len());
        assert!(events.len() > 1000 && events.is_sorted_by_key(|e| e.t));
    }
}

#[test]
fn a_still_scene_gives_noise_alone_at_its_rate_and_no_events_without() {
    let still = Ramp { per_ms: 0.0 };
    assert!(record(IDEAL, &still, 1_000_000).is_empty());
    let events = record(Settings { noise: 10.0, ..IDEAL }, &still, 5_000_000);
    // 10 Hz x 192 pixels x 5 s, and five standard deviations.
    assert!(events.len().abs_diff(9600) < 490, "{}", events.len());
    let on = events.iter().filter(|e| e.on).count();
    assert!((on * 2).abs_diff(events.len()) < 490, "{on}");
    let pixels: std::collections::HashSet<_> = events.iter().map(|e| (e.x, e.y)).collect();
    assert_eq!(pixels.len(), 192);
}

#[test]
fn thresholds_differ_from_pixel_to_pixel_by_the_mismatch_of_the_seed() {
    let settings = Settings { mismatch: 0.1, sensor: Sensor { width: 100, height: 100 }, ..IDEAL };
    let camera = Camera::new(settings, 5).unwrap();
    for (thresholds, middle) in [(&camera.on, 0.25), (&camera.off, 0.5)] {
        let mean = thresholds.iter().sum::<f32>() / 1e4;
        let deviation = (thresholds.iter().map(|t| (t - mean).powi(2)).sum::<f32>() / 1e4).sqrt();
        assert!((mean / middle - 1.0).abs() < 0.005 && (deviation / middle / 0.1 - 1.0).abs() < 0.05, "{mean} {deviation}");
    }
    assert_eq!(camera.on, Camera::new(settings, 5).unwrap().on);
    assert_ne!(camera.on, Camera::new(settings, 6).unwrap().on);
}

#[test]
fn settings_out_of_range_are_refused() {
    let sensor = |width, height| Settings { sensor: Sensor { width, height }, ..IDEAL };
    let bad = [
        sensor(0, 5),
        sensor(5, 0),
        sensor(60_000, 5),
        Settings { on: 0.0, ..IDEAL },
        Settings { off: f32::NAN, ..IDEAL },
        Settings { mismatch: -0.1, ..IDEAL },
        Settings { noise: f32::INFINITY, ..IDEAL },
        Settings { step: 0, ..IDEAL },
    ];
    assert!(bad.iter().all(|s| Camera::new(*s, 0).unwrap_err().exit_code() == 2));
}
