use super::*;
use crate::doctor::golden;
use crate::rng::{Purpose, Rng};

const LIF: Lif = Lif { decay: 0.9, threshold: 0.5 };
const ALL: [Surrogate; 6] = [
    Surrogate::Inverse { alpha: 0.0 },
    Surrogate::Inverse { alpha: 0.8 },
    Surrogate::Rectangle { detached: false },
    Surrogate::Rectangle { detached: true },
    Surrogate::Sigmoid { alpha: 0.0 },
    Surrogate::Sigmoid { alpha: 0.8 },
];

fn potentials(current: &[f64]) -> Vec<f32> {
    let mut rest = 0.0;
    let step = |&i: &f64| {
        let u = neuron::potential(LIF.decay, rest, i);
        rest = neuron::rest(u, neuron::fires(LIF.threshold, u));
        u as f32
    };
    current.iter().map(step).collect()
}

/// Of one neuron over its steps.
fn of(surrogate: Surrogate, u: &[f32], s: &[f32]) -> LayerCredit {
    of_layer("1FC".into(), surrogate, LIF, 1, u.len(), u, s)
}

fn near(got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5), "{got:?}, expected {want:?}");
}

#[test]
fn mass_is_the_size_of_the_golden_errors() {
    let cases = golden::cases();
    for case in &cases {
        let s: Vec<f32> = case.s.iter().map(|&s| s as f32).collect();
        let credit = of(case.surrogate, &potentials(case.current), &s);
        near(&credit.mass, &case.error.iter().map(|e| e.abs()).collect::<Vec<_>>());
        assert_eq!(credit.rate, case.spikes.iter().map(|&b| f64::from(b)).sum::<f64>() / 8.0, "{}", case.name);
    }
    println!("{} golden vectors", cases.len());
}

#[test]
fn parts_are_those_worked_out_by_hand() {
    // Spike, spike, silence, spike: e[3] = .6/.9, e[2] = .9 e[3], e[1] = (-.2 + .72 e[2])/.8, e[0] = (.3 + .72 e[1])/.6.
    let (u, s) = ([0.6f32, 0.8, 0.4, 0.9], [0.3f32, -0.2, 7.0, 0.6]);
    let e3 = 0.6 / 0.9;
    let e2 = 0.9 * e3;
    let e1 = (-0.2 + 0.72 * e2) / 0.8;
    let credit = of(Surrogate::Inverse { alpha: 0.8 }, &u, &s);
    near(&credit.space, &[0.5, 0.25, 0.0, e3]);
    near(&credit.across, &[0.72 * f64::abs(e1) / 0.6, 0.72 * e2 / 0.8, 0.0, 0.0]);
    near(&credit.time, &[0.0, 0.0, e2, 0.0]);
    near(&credit.mass, &[(0.3 + 0.72 * e1) / 0.6, e1, e2, e3]);
    assert_eq!((credit.growth.pairs, credit.silent, credit.saturated, credit.rate), (1, 0.0, 0.0, 0.75));
    near(&[credit.growth.mean, credit.growth.largest, credit.growth.above_one], &[1.2, 1.2, 1.0]);
    // u - u_th of 0.1, 0.3 and 0.4.
    assert_eq!(credit.margin[..4], [1, 0, 1, 1]);
    let parts = credit.space.iter().chain(&credit.time).chain(&credit.across).sum::<f64>();
    near(&[credit.across_share()], &[credit.across.iter().sum::<f64>() / parts]);

    let reset = of(Surrogate::Rectangle { detached: false }, &[0.6, 0.4], &[0.0, 1.0]);
    near(&reset.across, &[0.9 * 0.6, 0.0]);
    assert_eq!(reset.growth, Growth::default(), "no pair");
}

#[test]
fn rules_without_a_path_across_spikes_have_nothing_there() {
    let (u, s) = ([0.6f32, 0.8, 0.4, 0.9, 0.55], [0.3f32, -0.2, 0.1, 0.6, 1.0]);
    for surrogate in ALL {
        let credit = of(surrogate, &u, &s);
        let crosses = !matches!(
            surrogate,
            Surrogate::Inverse { alpha: 0.0 } | Surrogate::Sigmoid { alpha: 0.0 } | Surrogate::Rectangle { detached: true }
        );
        assert_eq!(credit.across_share() > 0.0, crosses, "{surrogate:?}");
        assert_eq!((credit.growth.pairs, credit.growth.largest > 0.0), (2, crosses), "{surrogate:?}");
    }
}

#[test]
fn neurons_are_counted_over_all_samples() {
    // Two steps, two samples, three neurons: one never, one always, one at one step of one sample.
    let u = [0.1f32, 0.9, 0.9, 0.1, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 3.0, 0.1];
    let credit = of_layer("3FC".into(), Surrogate::Inverse { alpha: 0.8 }, LIF, 3, 2, &u, &[0.0; 12]);
    near(&[credit.silent, credit.saturated, credit.rate], &[1.0 / 3.0, 1.0 / 3.0, 5.0 / 12.0]);
    assert_eq!(credit.margin[MARGIN_BINS - 1], 1, "the last bin is open: {:?}", credit.margin);
    assert_eq!((credit.across_share(), credit.mass.as_slice()), (0.0, &[0.0, 0.0][..]));
}

#[test]
fn parts_bound_the_mass_and_are_finite_under_every_surrogate() {
    let (neurons, samples, steps) = (7, 3, 12);
    let mut rng = Rng::at(5, Purpose::Test, 0, 0);
    let mut layers = 0;
    for surrogate in ALL {
        for _ in 0..20 {
            let u: Vec<f32> = (0..neurons * samples * steps).map(|_| rng.uniform(-1.0, 2.5)).collect();
            let s: Vec<f32> = u.iter().map(|_| rng.uniform(-1.0, 1.0)).collect();
            let c = of_layer("x".into(), surrogate, LIF, neurons, steps, &u, &s);
            assert!(c.is_finite());
            for t in 0..steps {
                let parts = c.space[t] + c.time[t] + c.across[t];
                assert!(c.mass[t] <= parts * (1.0 + 1e-12) && c.mass[t] > 0.0, "{surrogate:?}, step {t}: {} of {parts}", c.mass[t]);
            }
            assert_eq!((c.time[steps - 1], c.across[steps - 1]), (0.0, 0.0), "nothing comes after the last step");
            assert_eq!(c.margin.iter().sum::<u64>(), (c.rate * u.len() as f64).round() as u64);
            layers += 1;
        }
    }
    println!("{layers} layers");
    let c = of(Surrogate::Inverse { alpha: 0.8 }, &[0.6, 0.6], &[f32::INFINITY, 1.0]);
    assert!(!c.is_finite(), "infinities are noticed");
}

#[test]
fn a_line_is_the_json_that_readers_expect() {
    let layer = of(Surrogate::Inverse { alpha: 0.8 }, &[0.6, 0.7], &[1.0, 1.0]);
    let line = CreditLine { kind: CREDIT.into(), epoch: 1, step: 120, samples: 8, layers: vec![layer] };
    let json = serde_json::to_value(&line).unwrap();
    assert_eq!((json["kind"].as_str(), json["step"].as_u64()), (Some("credit"), Some(120)));
    let keys: Vec<&String> = json["layers"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["across", "growth", "margin", "mass", "name", "rate", "saturated", "silent", "space", "time"]);
    assert_eq!(json["layers"][0]["margin"].as_array().unwrap().len(), MARGIN_BINS);
    assert_eq!(serde_json::from_value::<CreditLine>(json).unwrap(), line);
}
