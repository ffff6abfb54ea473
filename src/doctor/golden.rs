//! The golden vectors: two currents and gradients worked out by hand for one neuron over eight steps.
//!
//! Two of them, because the first cannot tell α = 0.2 from 0.8 at steps 3 and 4.

use crate::neuron::{self, Lif, Surrogate};

/// One neuron, eight steps, one surrogate.
pub struct Case {
    /// For messages.
    pub name: &'static str,
    /// The backward rule.
    pub surrogate: Surrogate,
    /// I\[t\].
    pub current: &'static [f64],
    /// S\[t\].
    pub s: &'static [f64],
    /// Expected o\[t\].
    pub spikes: &'static [u8],
    /// Expected e\[t\].
    pub error: &'static [f64],
}

const I1: &[f64] = &[0.3, 0.4, 0.1, 0.7, 0.0, 0.6, 0.2, 0.9];
const S1: &[f64] = &[0.1, -0.2, 0.3, 0.4, -0.5, 0.6, 0.7, -0.8];
const O1: &[u8] = &[0, 1, 0, 1, 0, 1, 0, 1];
const I2: &[f64] = &[0.55, 0.6, 0.52, 0.2, 0.35, 0.8, 0.51, 0.45];
const S2: &[f64] = &[0.3, -0.1, 0.25, -0.4, 0.5, 0.2, -0.6, 0.7];
const O2: &[u8] = &[1, 1, 1, 0, 1, 1, 1, 0];

/// All ten, λ = 0.9 and u_th = 0.5; e is given to six decimals.
pub fn cases() -> Vec<Case> {
    let first = |name, surrogate, error| Case { name, surrogate, current: I1, s: S1, spikes: O1, error };
    let second = |name, surrogate, error| Case { name, surrogate, current: I2, s: S2, spikes: O2, error };
    let bpsa = Surrogate::Inverse { alpha: 0.0 };
    let low = Surrogate::Inverse { alpha: 0.2 };
    let high = Surrogate::Inverse { alpha: 0.8 };
    let stbp = Surrogate::Rectangle { detached: false };
    let detached = Surrogate::Rectangle { detached: true };
    vec![
        first("bpsa, first", bpsa, &[-0.268657, -0.298507, 0.455696, 0.506329, 0.9, 1.0, -0.666667, -0.740741]),
        first("bpta α=.2, first", low, &[-0.122774, -0.136416, 0.603342, 0.670380, 0.72, 0.8, -0.666667, -0.740741]),
        first("bpta α=.8, first", high, &[0.314874, 0.349860, 0.603342, 0.670380, 0.18, 0.2, -0.666667, -0.740741]),
        first("stbp, first", stbp, &[-0.219339, -0.506887, 0.508933, 0.257942, 0.1998, 0.222, 0.7, 0.0]),
        first("stbp-detached, first", detached, &[-0.08, -0.2, 0.66, 0.4, 0.54, 0.6, 0.7, 0.0]),
        second("bpsa, second", bpsa, &[0.545455, -0.166667, 0.480769, 0.849057, 0.943396, 0.25, -1.176471, 0.0]),
        second("bpta α=.2, second", low, &[0.566815, 0.065269, 0.773117, 0.844562, 0.938402, -0.014706, -1.176471, 0.0]),
        second("bpta α=.8, second", high, &[0.778341, 0.177899, 0.287138, -0.139845, -0.155383, -0.808824, -1.176471, 0.0]),
        second("stbp, second", stbp, &[0.458420, -0.320041, 0.407484, -0.336504, 0.088189, 0.863336, -0.921300, 0.7]),
        second("stbp-detached, second", detached, &[0.3, -0.1, 0.25, 0.05, 0.5, 0.2, -0.6, 0.7]),
    ]
}

/// The equations walked literally over one neuron: spikes and e\[t\].
pub fn walk(surrogate: Surrogate, lif: Lif, current: &[f64], s: &[f64]) -> (Vec<bool>, Vec<f64>) {
    let mut rest = 0.0;
    let (u, fired): (Vec<f64>, Vec<bool>) = current.iter().map(|&i| neuron::step(lif.decay, lif.threshold, &mut rest, i)).unzip();
    let mut e = vec![0.0; u.len()];
    let mut next = 0.0;
    for t in (0..u.len()).rev() {
        next = neuron::error(surrogate, lif.decay, lif.threshold, u[t], fired[t], s[t], next);
        e[t] = next;
    }
    (fired, e)
}
