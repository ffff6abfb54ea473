//! The seconds of a time step, which NIR does not have: its time constants are seconds, and a network here counts steps.

use super::Hints;
use super::graph::{DT, Node};
use crate::error::{Error, Result};

/// Decays that a network is trained with; another one is more likely a wrong time step.
const PLAUSIBLE: std::ops::Range<f64> = 0.1..0.99;
/// Time steps that programs write with: SpikingJelly and snnTorch, Norse, those that count steps.
const USUAL: [f64; 3] = [1e-4, 1e-3, 1.0];

/// A time step, and who says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeStep {
    /// Seconds.
    pub dt: f64,
    by: By,
    /// λ that the user expects.
    expected: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    User,
    File,
    /// Neurons without a leak whose r is the inverse of a usual time step.
    Resistance,
    Nobody,
}

impl TimeStep {
    /// What the user says, else the file, else what IF neurons have for r, else 1e-4 s.
    ///
    /// # Errors
    /// Usage: no time step. Format: IF neurons whose r no usual time step explains.
    pub fn of(nodes: &[(String, Node)], in_file: Option<f64>, hints: &Hints) -> Result<TimeStep> {
        let step = |dt: f64, by: By| TimeStep { dt, by, expected: hints.decay };
        match (hints.dt, in_file) {
            (Some(dt), _) if dt > 0.0 && dt.is_finite() => return Ok(step(dt, By::User)),
            (Some(dt), _) => {
                return Err(Error::usage("no time step").option_as("dt", dt).remedy("say the seconds of a step, e.g. --dt 1e-3"));
            }
            (None, Some(dt)) => return Ok(step(dt, By::File)),
            (None, None) => {}
        }
        if nodes.iter().any(|(_, n)| matches!(n, Node::Lif { .. })) {
            return Ok(step(DT, By::Nobody));
        }
        let first = nodes.iter().find_map(|(name, n)| if let Node::If { r, .. } = n { Some((name, *r)) } else { None });
        let Some((name, r)) = first else { return Ok(step(DT, By::Nobody)) };
        let known = USUAL.into_iter().find(|dt| (r * dt - 1.0).abs() < 1e-5);
        known.map(|dt| step(dt, By::Resistance)).ok_or_else(|| {
            Error::format(format!("r = {r} is the inverse of no usual time step, and the file does not say its time step"))
                .at(format!("node '{name}' (IF)"))
                .remedy("say the seconds of a step: currents are multiplied by dt·r, e.g. --dt 1e-3")
        })
    }

    /// λ of a time constant.
    ///
    /// # Errors
    /// Format: shorter than a step; or, where nobody said the step, one that no network is trained with.
    pub fn decay(&self, tau: f64) -> Result<f64> {
        // f32 of a file does not give back the last digit.
        if !(tau.is_finite() && tau >= self.dt * (1.0 - 1e-6)) {
            let what = format!("tau {tau} s; with time steps of {} s it must be {} s or more", self.dt, self.dt);
            return Err(Error::format(what).remedy(self.others(tau)));
        }
        let decay = decimal((1.0 - self.dt / tau).max(0.0));
        if self.by == By::Nobody && !PLAUSIBLE.contains(&decay) {
            let what = format!(
                "tau {tau} s with the usual time step of {} s is a decay of {decay}, which is hardly what it was trained with; NIR does not \
                 say the time step",
                self.dt
            );
            return Err(Error::format(what).remedy(self.others(tau)));
        }
        Ok(decay)
    }

    /// Which time steps make sense of a time constant.
    fn others(&self, tau: f64) -> String {
        let gives = |dt: f64| format!("--dt {dt} gives decay {}", decimal(1.0 - dt / tau));
        let expected = self.expected.filter(|d| *d < 1.0).map(|d| decimal(tau * (1.0 - d))).filter(|dt| *dt > 0.0 && dt.is_finite());
        let usual = USUAL.into_iter().filter(|dt| Some(*dt) != expected && PLAUSIBLE.contains(&(1.0 - dt / tau)));
        let all: Vec<String> = expected.into_iter().chain(usual).map(gives).collect();
        let which = if all.is_empty() { "--dt SECONDS".to_string() } else { all.join(", ") };
        format!("say the seconds of a time step: {which} (SpikingJelly and snnTorch 1e-4, Norse 1e-3 or what it was told)")
    }

    /// For the user: which step was used, and what came of it.
    pub fn note(&self, decay: f64) -> String {
        let by = match self.by {
            By::User => "as --dt says",
            By::File => "as the file's metadata say",
            By::Resistance => "which is 1/r of its IF neurons; --dt says otherwise",
            By::Nobody => "assumed: NIR does not say it; --dt says otherwise",
        };
        format!("time step {} s ({by}): decay {decay}", self.dt)
    }

    /// Holds λ to what the user expects.
    ///
    /// # Errors
    /// Usage: another one comes out.
    pub fn agrees(&self, decay: f64) -> Result<()> {
        let Some(wanted) = self.expected.filter(|d| *d != decay) else { return Ok(()) };
        let e = Error::usage(format!("the file's time constants and time steps of {} s give decay {decay}", self.dt));
        let dt = decimal(self.dt * (1.0 - wanted) / (1.0 - decay));
        let usable = dt.is_finite() && dt > 0.0;
        let remedy = if usable { format!("--dt {dt} gives this decay; or leave --decay out") } else { "leave --decay out".to_string() };
        Err(e.option_as("decay", wanted).remedy(remedy))
    }
}

/// The shortest decimal number that f32 cannot tell from `x`: τ in f32 does not give back λ to the last digit.
fn decimal(x: f64) -> f64 {
    let rounded = |digits: i32| (x * 10f64.powi(digits)).round() / 10f64.powi(digits);
    (0..7).map(rounded).find(|r| (r - x).abs() < 3e-8).unwrap_or(x)
}
