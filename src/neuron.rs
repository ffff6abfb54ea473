//! The paper's neuron: forward beside backward, the one place where its equations are written.
//!
//! Notation as in the paper: λ decay, u_th threshold, u\[t\] membrane potential, o\[t\] spike, I\[t\] input current,
//! S\[t\] = dL/do\[t\] from the layer above at the same step, e\[t\] = dL/du\[t\] = dL/dI\[t\], e\[T+1\] = 0.
//!
//! Every learning rule shares one forward pass; a rule is a choice made only in [`error`].

use std::ops::{Add, Div, Mul, Sub};

use serde::{Deserialize, Serialize};

use crate::named::named;

/// Width a of the smooth warm-up surrogate s(1-s)/a (TSSL-BP).
pub const SIGMOID_WIDTH: f64 = 0.2;
/// Half width of the rectangular surrogate of STBP (Wu et al. 2018).
pub const RECTANGLE_HALF_WIDTH: f64 = 0.5;

/// Leaky integrate-and-fire constants. The paper's: decay 0.9, threshold 0.5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lif {
    /// λ, the share of the potential left after one step, in \[0, 1\].
    pub decay: f64,
    /// u_th, fired when exceeded strictly.
    pub threshold: f64,
}

impl Default for Lif {
    fn default() -> Self {
        Lif { decay: 0.9, threshold: 0.5 }
    }
}

/// The learning rule as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Spatio-temporal backpropagation (Wu et al. 2018): rectangular surrogate, reset differentiated.
    Stbp,
    /// The same with the reset taken as a constant (Eq. 8 as printed).
    StbpDetached,
    /// Biologically plausible spatial adjustment (Eq. 9): a gradient only where there was a spike.
    Bpsa,
    /// With the temporal adjustment besides (Eq. 10): errors also cross spikes, scaled by α.
    #[serde(rename = "bpsa+bpta")]
    BpsaBpta,
}

// In the order of the ablation table.
named!(Rule, "rule": Stbp = "stbp", StbpDetached = "stbp-detached", Bpsa = "bpsa", BpsaBpta = "bpsa+bpta");

impl Rule {
    /// What the rule does in a layer's backward pass; `alpha` counts under bpsa+bpta only.
    pub fn surrogate(self, alpha: f64) -> Surrogate {
        match self {
            Rule::Stbp => Surrogate::Rectangle { detached: false },
            Rule::StbpDetached => Surrogate::Rectangle { detached: true },
            Rule::Bpsa => Surrogate::Inverse { alpha: 0.0 },
            Rule::BpsaBpta => Surrogate::Inverse { alpha },
        }
    }

    /// The smooth surrogate a quiet layer gets during the `tssl` warm-up, with the rule's own α.
    pub fn warm_up_surrogate(self, alpha: f64) -> Surrogate {
        Surrogate::Sigmoid { alpha: if self == Rule::BpsaBpta { alpha } else { 0.0 } }
    }
}

/// g\[t\], the stand-in for do/du, and how errors travel across a spike.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Surrogate {
    /// g = 1 where |u - u_th| < 1/2 (stbp). `detached`: the reset is a constant.
    Rectangle {
        /// The reset is not differentiated.
        detached: bool,
    },
    /// g = 1/u at a spike, else 0 (Eq. 9), temporal residual α (Eq. 10).
    Inverse {
        /// Share of the error that crosses a spike.
        alpha: f64,
    },
    /// g = s(1-s)/a, s = sigmoid((u - u_th)/a): the warm-up of TSSL-BP.
    Sigmoid {
        /// Share of the error that crosses a spike.
        alpha: f64,
    },
}

impl Surrogate {
    /// Whether S\[t\] is read at silent steps. If not, the gradient is needed at spikes only (method, section 2).
    pub fn reads_silent_steps(self) -> bool {
        !matches!(self, Surrogate::Inverse { .. })
    }
}

/// Numbers the equations are written for: f64, f32, and sixteen f32 side by side in an engine.
pub trait Real: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// Yes or no, for each number.
    type Mask: Copy;
    /// A constant of the method.
    fn of(v: f64) -> Self;
    /// self > other
    fn above(self, other: Self) -> Self::Mask;
    /// `yes` where the mask is set, else `no`.
    fn choose(mask: Self::Mask, yes: Self, no: Self) -> Self;
    /// e to the power of self.
    fn exp(self) -> Self;
}

macro_rules! real {
    ($($f:ty),*) => {$(
        impl Real for $f {
            type Mask = bool;
            #[inline(always)]
            fn of(v: f64) -> Self {
                v as $f
            }
            #[inline(always)]
            fn above(self, other: Self) -> bool {
                self > other
            }
            #[inline(always)]
            fn choose(mask: bool, yes: Self, no: Self) -> Self {
                if mask { yes } else { no }
            }
            #[inline(always)]
            fn exp(self) -> Self {
                <$f>::exp(self)
            }
        }
    )*};
}
real!(f32, f64);

/// u\[t\] = λ·r\[t-1\] + I\[t\]  (Eq. 2)
#[inline(always)]
pub fn potential<F: Real>(decay: F, rest: F, current: F) -> F {
    decay * rest + current
}

/// o\[t\] = \[u\[t\] > u_th\], strictly  (Eq. 4)
#[inline(always)]
pub fn fires<F: Real>(threshold: F, u: F) -> F::Mask {
    u.above(threshold)
}

/// r\[t\]: hard reset to 0 at a spike, else u\[t\]  (Eq. 3)
#[inline(always)]
pub fn rest<F: Real>(u: F, fired: F::Mask) -> F {
    F::choose(fired, F::of(0.0), u)
}

/// e\[t\] from S\[t\] and e\[t+1\]: e = g·S + λ·e⁺·((1-o) + α·g), that is Eqs. 7-10 after the 1/g of Eq. 8 has cancelled;
/// under stbp the last term is -u·g, the derivative of the reset. `s` does not matter where the surrogate does not read it.
#[inline(always)]
pub fn error<F: Real>(surrogate: Surrogate, decay: F, threshold: F, u: F, fired: F::Mask, s: F, e_next: F) -> F {
    let (zero, one) = (F::of(0.0), F::of(1.0));
    let kept = F::choose(fired, zero, one);
    match surrogate {
        Surrogate::Inverse { alpha } => inverse_error(decay, F::of(alpha), u, fired, s, e_next),
        Surrogate::Rectangle { detached } => {
            let (distance, half) = (u - threshold, F::of(RECTANGLE_HALF_WIDTH));
            let g = F::choose(half.above(distance), F::choose(half.above(zero - distance), one, zero), zero);
            let through_reset = if detached { zero } else { u * g };
            g * s + decay * e_next * (kept - through_reset)
        }
        Surrogate::Sigmoid { alpha } => {
            let (a, bound) = (F::of(SIGMOID_WIDTH), F::of(8.0));
            let x = (u - threshold) / a;
            let x = F::choose(x.above(bound), bound, x);
            let x = F::choose((zero - bound).above(x), zero - bound, x);
            let sigma = one / (one + (zero - x).exp());
            let g = sigma * (one - sigma) / a;
            g * s + decay * e_next * (kept + F::of(alpha) * g)
        }
    }
}

/// The hot case of [`error`], bpsa and bpsa+bpta: (S + λ·α·e⁺)/u at a spike, λ·e⁺ at a silent step.
#[inline(always)]
pub fn inverse_error<F: Real>(decay: F, alpha: F, u: F, fired: F::Mask, s: F, e_next: F) -> F {
    let carried = decay * e_next;
    F::choose(fired, (s + alpha * carried) / u, carried)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_vectors_of_the_method() {
        for case in crate::doctor::golden::cases() {
            let (o, e) = crate::doctor::golden::walk(case.surrogate, Lif::default(), case.current, case.s);
            assert_eq!(o, case.spikes.iter().map(|&b| b == 1).collect::<Vec<_>>());
            for (t, (got, want)) in e.iter().zip(case.error).enumerate() {
                assert!((got - want).abs() < 1e-6, "{}: e[{t}] = {got}, expected {want}", case.name);
            }
        }
    }

    #[test]
    fn silent_steps_never_read_the_gradient_from_above() {
        let e = inverse_error(0.9, 0.8, 0.2, false, f64::NAN, 2.0);
        assert_eq!(e, 1.8);
    }

    #[test]
    fn equality_with_the_threshold_is_silent() {
        assert!(!fires(0.5f32, 0.5) && fires(0.5f32, 0.500001));
    }
}
