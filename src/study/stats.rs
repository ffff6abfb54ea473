//! Mean and standard deviation over seeds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Of one quantity over runs that differ in their seed only.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stat {
    /// Mean.
    pub mean: f64,
    /// Standard deviation with n - 1; `None` for a single run.
    pub std: Option<f64>,
    /// Runs.
    pub n: usize,
}

impl Stat {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Stat> {
        let values: Vec<f64> = values.into_iter().collect();
        let n = values.len();
        if n == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Stat { mean, std: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()), n })
    }

    /// Both times `factor`.
    pub fn scaled(self, factor: f64) -> Stat {
        Stat { mean: factor * self.mean, std: self.std.map(|s| factor * s), ..self }
    }
}

impl fmt::Display for Stat {
    /// `97.65 ± 0.12`, with the formatter's precision (2 if none); `97.65` for a single run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        match self.std {
            Some(std) => write!(f, "{:.digits$} ± {std:.digits$}", self.mean),
            None => write!(f, "{:.digits$}", self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_runs_have_a_spread_and_one_has_none() {
        let s = Stat::of([1.0, 2.0, 3.0]).unwrap();
        assert_eq!((s.mean, s.std), (2.0, Some(1.0)));
        assert_eq!(format!("{s:.1}"), "2.0 ± 1.0");
        assert_eq!(Stat::of([0.5]).unwrap().scaled(100.0).to_string(), "50.00");
        assert_eq!(Stat::of([]), None);
    }
}
