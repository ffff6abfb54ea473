use std::collections::HashSet;

use super::*;

fn frames_of(set: &FrameSet, split: &FrameSplit) -> Vec<Vec<u16>> {
    let mut counts = vec![0; cells(SENSOR, set.steps)];
    let read = |&at: &u32| {
        set.source.read(at as usize, &mut counts).unwrap();
        counts.clone()
    };
    split.at.iter().map(read).collect()
}

#[test]
fn paths_differ_and_share_their_pairs_evenly() {
    let windows =
        |n: usize| CLASSES.map(|c| (0..5).map(|i| (0..n).map(|k| c[(i + k) % 5] as usize).collect::<Vec<_>>()).collect::<HashSet<_>>());
    let four = windows(PLAYED);
    let all: HashSet<_> = four.iter().flatten().collect();
    assert_eq!(all.len(), 55, "two paths share four corners in a row");
    for pair in windows(2).iter().flatten() {
        let holders = windows(2).iter().filter(|w| w.contains(pair)).count();
        assert!((2..=3).contains(&holders), "{pair:?}: {holders}");
    }
    assert!(PLACES.iter().enumerate().all(|(i, p)| *p as usize == i));
}

#[test]
fn classes_are_orders_of_the_same_frames() {
    let camera = Camera::new(CAMERA, 3).unwrap();
    let mut compared = 0;
    for steps in [4, 8, 16, 64] {
        let stage = Stage { camera: &camera, steps, seed: 3, split: 0 };
        let area = cells(SENSOR, 1) as u32;
        for index in 0..12 {
            let frames = |class| {
                let mut frames = vec![Vec::new(); steps];
                stage.play(class, index).iter().for_each(|&(at, n)| frames[(at / area) as usize].push((at % area, n)));
                frames
            };
            let mut orders = HashSet::new();
            let mut expected = frames(0);
            expected.sort();
            for class in 0..CLASSES.len() {
                let mut own = frames(class);
                assert!(own.iter().all(|f| !f.is_empty()));
                assert!(orders.insert(own.clone()), "class {class} looks like another");
                own.sort();
                assert_eq!(own, expected, "class {class}, sample {index}, T = {steps}");
                compared += 1;
            }
        }
    }
    println!("{compared} samples compared");
}

#[test]
fn every_corner_is_equally_likely_at_every_step_of_every_class() {
    // The corner left out is one of five, whatever the class; the others follow on the path.
    let n = 20_000;
    let mut left_out = [0usize; 5];
    for index in 0..n {
        let mut rng = Rng::at(5, Purpose::Motions, 0, index);
        let actor = Actor::drawn(&mut rng);
        let _ = PLACES.map(|p| Clip::drawn(actor, p, &mut rng));
        left_out[rng.below(5)] += 1;
    }
    println!("{n} draws: {left_out:?}");
    assert!(left_out.iter().all(|c| c.abs_diff(4000) < 283), "more than five standard deviations: {left_out:?}");
}

#[test]
fn samples_depend_on_seed_split_and_index_alone() {
    let small = load(Some(23), Some(12), 8, 7).unwrap();
    let large = load(Some(40), Some(12), 8, 7).unwrap();
    assert_eq!(frames_of(&small, &small.train), frames_of(&large, &large.train)[..23]);
    assert_eq!(frames_of(&small, &small.test), frames_of(&large, &large.test));
    assert_ne!(frames_of(&small, &small.train)[..12], frames_of(&small, &small.test));
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let again = one_thread.install(|| load(Some(23), Some(12), 8, 7).unwrap());
    assert_eq!(again.fingerprint, small.fingerprint);
    let others = [load(Some(23), Some(12), 8, 8), load(Some(23), Some(12), 4, 7), load(Some(22), Some(13), 8, 7)];
    assert!(others.into_iter().all(|o| o.unwrap().fingerprint != small.fingerprint));
    assert!(small.simulated && small.notes[0].starts_with("simulated"));
    assert_eq!(small.train.labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0]);
    assert_eq!((small.classes.len(), small.classes[0].as_str()), (11, "path-abced"));
}

#[test]
fn a_few_thousand_events_a_sample() {
    let set = load(Some(110), Some(11), 16, 1).unwrap();
    let frames = frames_of(&set, &set.train);
    let totals: Vec<u32> = frames.iter().map(|f| f.iter().map(|&n| u32::from(n)).sum()).collect();
    println!("{} samples, {} to {} events", totals.len(), totals.iter().min().unwrap(), totals.iter().max().unwrap());
    assert!(totals.iter().all(|n| (400..20_000).contains(n)));
}

#[test]
fn time_steps_that_would_mix_visits_and_other_numbers_are_refused() {
    for steps in [0, 1, 2, 3, 5, 6, 10, 65, 68, 128] {
        let e = load(Some(1), Some(1), steps, 1).err().unwrap();
        assert!(e.exit_code() == 2 && e.to_string().contains("multiple of 4"), "{e}");
    }
    for (train, test) in [(Some(0), None), (None, Some(0)), (Some(usize::MAX), None)] {
        assert_eq!(load(train, test, 4, 1).err().unwrap().exit_code(), 2);
    }
    let set = load(Some(1), Some(1), 4, 1).unwrap();
    assert!(set.source.read(2, &mut vec![0; cells(SENSOR, 4)]).is_err());
    assert!(set.source.read(0, &mut [0; 7]).is_err());
}

/// What a frame looks like in a few numbers: how many events, where, how they spread, how their edges run.
fn features(frame: &[u16]) -> Vec<f64> {
    let (w, h) = (SENSOR.width as usize, SENSOR.height as usize);
    let at = |x: usize, y: usize| f64::from(frame[y * w + x]) + f64::from(frame[(h + y) * w + x]);
    let (mut n, mut mean) = (1e-9, [0.0; 2]);
    for (x, y) in pixels(w, h) {
        n += at(x, y);
        mean = [mean[0] + at(x, y) * x as f64, mean[1] + at(x, y) * y as f64];
    }
    mean = mean.map(|m| m / n);
    let (mut spread, mut edges, mut active) = ([0.0; 3], [0.0; 2], 0.0);
    for (x, y) in pixels(w - 1, h - 1) {
        let (dx, dy) = (x as f64 - mean[0], y as f64 - mean[1]);
        let c = at(x, y);
        spread = [spread[0] + c * dx * dx, spread[1] + c * dy * dy, spread[2] + c * (dx * dx + dy * dy).sqrt()];
        edges = [edges[0] + (at(x + 1, y) - c).abs(), edges[1] + (at(x, y + 1) - c).abs()];
        active += f64::from(c > 0.0);
    }
    let [xx, yy, r] = spread.map(|s| s / n);
    vec![1.0, n.ln(), mean[0], mean[1], xx, yy, r, edges[0] / n, edges[1] / n, active / n]
}

fn pixels(w: usize, h: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..h).flat_map(move |y| (0..w).map(move |x| (x, y)))
}

/// Brings each feature to mean 0 and deviation 1 over the training samples; the constant stays.
fn standardise(train: &mut [Vec<f64>], test: &mut [Vec<f64>]) {
    for k in 0..train[0].len() {
        let mean = train.iter().map(|f| f[k]).sum::<f64>() / train.len() as f64;
        let deviation = (train.iter().map(|f| (f[k] - mean).powi(2)).sum::<f64>() / train.len() as f64).sqrt();
        if deviation > 1e-9 {
            train.iter_mut().chain(test.iter_mut()).for_each(|f| f[k] = ((f[k] - mean) / deviation).clamp(-4.0, 4.0));
        }
    }
}

/// Test accuracy of a linear classifier: ridge regression on one-hot labels.
fn linear_classifier(train: &mut [Vec<f64>], test: &mut [Vec<f64>], labels: [&[u16]; 2]) -> f64 {
    standardise(train, test);
    let (classes, d) = (CLASSES.len(), train[0].len());
    // Normal equations, `[d, d + classes]`.
    let mut rows = vec![vec![0.0; d + classes]; d];
    rows.par_iter_mut().enumerate().for_each(|(i, row)| {
        for (f, label) in train.iter().zip(labels[0]) {
            row[..d].iter_mut().zip(f).for_each(|(sum, v)| *sum += f[i] * v);
            row[d + *label as usize] += f[i];
        }
        row[i] += 0.01 * train.len() as f64;
    });
    // Gauss-Jordan; the matrix is positive definite, so its diagonal serves.
    for k in 0..d {
        let pivot: Vec<f64> = rows[k].iter().map(|v| v / rows[k][k]).collect();
        rows.par_iter_mut().enumerate().filter(|(i, _)| *i != k).for_each(|(_, row)| {
            let factor = row[k];
            row[k..].iter_mut().zip(&pivot[k..]).for_each(|(v, p)| *v -= factor * p);
        });
        rows[k] = pivot;
    }
    let right = test.iter().zip(labels[1]).filter(|(f, label)| {
        let score = |c: usize| f.iter().zip(&rows).map(|(v, row)| v * row[d + c]).sum::<f64>();
        (0..classes).max_by(|&a, &b| score(a).total_cmp(&score(b))) == Some(**label as usize)
    });
    right.count() as f64 / test.len() as f64
}

/// Products of all features of each step with all of the next one.
fn in_order(steps: &[Vec<f64>]) -> Vec<f64> {
    steps.windows(2).flat_map(|pair| pair[0].iter().flat_map(|a| pair[1].iter().map(move |b| a * b))).collect()
}

/// Features of sample i from those of its frames.
type Make<'a> = &'a dyn Fn(usize, &[Vec<f64>]) -> Vec<f64>;

#[test]
fn single_frames_and_shuffled_frames_stay_at_chance_and_ordered_frames_do_not() {
    let (train, test) = (2_200, 1_100);
    let chance = 1.0 / 11.0f64;
    // Five standard deviations of the number of right guesses.
    let bound = chance + 5.0 * (chance * (1.0 - chance) / test as f64).sqrt();
    for steps in [4, 8] {
        let set = load(Some(train), Some(test), steps, 11).unwrap();
        let labels = [&set.train.labels[..], &set.test.labels[..]];
        let area = cells(SENSOR, 1);
        let mut of = [&set.train, &set.test].map(|split| {
            let frames = frames_of(&set, split);
            frames.iter().flat_map(|f| f.chunks_exact(area).map(features)).collect::<Vec<_>>()
        });
        let [a, b] = &mut of;
        standardise(a, b);
        let sequences = of.map(|f| f.chunks_exact(steps).map(<[Vec<f64>]>::to_vec).collect::<Vec<_>>());
        let accuracy = |make: Make| {
            let [mut train, mut test] = [0, 1].map(|s| sequences[s].iter().enumerate().map(|(i, q)| make(i, q)).collect::<Vec<_>>());
            linear_classifier(&mut train, &mut test, labels)
        };
        for step in 0..steps {
            let single = accuracy(&|_, q| in_order(&[q[step].clone(), q[step].clone()]));
            println!("T = {steps}, frame {step} alone: {:.1} %", 100.0 * single);
            assert!(single < bound, "frame {step}: {single} is above {bound}");
        }
        let shuffled = accuracy(&|i, q| {
            let order = Rng::at(1, Purpose::Test, q[0].len() as u64, i as u64).permutation(steps);
            in_order(&order.iter().map(|&s| q[s as usize].clone()).collect::<Vec<_>>())
        });
        let summed = accuracy(&|_, q| {
            let sum: Vec<f64> = (0..q[0].len()).map(|k| q.iter().map(|f| f[k]).sum()).collect();
            in_order(&[sum.clone(), sum])
        });
        let ordered = accuracy(&|_, q| in_order(q));
        println!(
            "T = {steps}: shuffled {:.1} %, summed {:.1} %, in order {:.1} %, chance {:.1} %",
            100.0 * shuffled,
            100.0 * summed,
            100.0 * ordered,
            100.0 * chance
        );
        assert!(shuffled < bound && summed < bound, "{shuffled} or {summed} is above {bound}");
        assert!(ordered > 2.0 * bound, "{ordered}");
    }
}
