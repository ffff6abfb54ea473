//! Losses on firing rates, forward beside backward. f64 on the host: B x classes numbers, T times as many where each step has its own.

use serde::{Deserialize, Serialize};

use crate::named::named;
use crate::network::Output;

/// Which loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loss {
    /// Mean over batch and classes of (rate - one-hot)².
    #[default]
    Mse,
    /// Cross-entropy of softmax(rates), mean over the batch.
    Ce,
    /// The mean squared error of every time step's own rates, mean over T: temporal efficient training (Deng et al. 2022, arXiv 2202.11946,
    /// Eq. 9) with their regularisation term, since cross-entropy of rates between 0 and 1 is all but flat.
    Tet,
}

named!(Loss, "loss": Mse = "mse", Ce = "ce", Tet = "tet");

impl Loss {
    /// Loss of a pass for target classes `labels` `[B]`, and its gradient as the backward pass takes it; with or without weights of classes.
    pub fn of_output(self, out: &Output, labels: &[u16], weights: Option<&[f64]>) -> (f64, Vec<f64>) {
        match self {
            Loss::Tet => self.over_steps(&out.rates_by_step, labels, out.rates.len(), weights),
            Loss::Mse | Loss::Ce => self.weighted(&out.rates, labels, weights),
        }
    }

    /// Mean over T of the loss of each step's rates `[T, B, classes]`, and dL/d(those rates); `per_step` is B · classes.
    fn over_steps(self, rates: &[f64], labels: &[u16], per_step: usize, weights: Option<&[f64]>) -> (f64, Vec<f64>) {
        let steps = (rates.len() / per_step) as f64;
        let (mut loss, mut slope) = (0.0, Vec::new());
        for step in rates.chunks_exact(per_step) {
            let (l, d) = self.weighted(step, labels, weights);
            loss += l / steps;
            slope.extend(d.iter().map(|d| d / steps));
        }
        (loss, slope)
    }

    /// Loss and dL/d(rates) `[B, classes]` for target classes `labels` `[B]`.
    pub fn of(self, rates: &[f64], labels: &[u16]) -> (f64, Vec<f64>) {
        self.weighted(rates, labels, None)
    }

    /// The same, each sample's term times the weight of its class, `[classes]`; still divided by B, not by the sum of weights, so that
    /// a sample counts the same in whichever batch it is. Without weights, or where all are 1, the bits of [`Loss::of`].
    pub fn weighted(self, rates: &[f64], labels: &[u16], weights: Option<&[f64]>) -> (f64, Vec<f64>) {
        let classes = rates.len() / labels.len();
        let samples = labels.len() as f64;
        let mut d = vec![0.0; rates.len()];
        let mut loss = 0.0;
        for (b, &label) in labels.iter().enumerate() {
            let row = b * classes..(b + 1) * classes;
            let (r, d) = (&rates[row.clone()], &mut d[row]);
            let hot = |c: usize| f64::from(u8::from(c == label as usize));
            let weight = weights.map_or(1.0, |w| w[label as usize]);
            match self {
                Loss::Mse | Loss::Tet => {
                    let n = samples * classes as f64;
                    for c in 0..classes {
                        loss += weight * ((r[c] - hot(c)).powi(2) / n);
                        d[c] = weight * (2.0 * (r[c] - hot(c)) / n);
                    }
                }
                Loss::Ce => {
                    let p = softmax(r);
                    loss += weight * ((log_sum_exp(r) - r[label as usize]) / samples);
                    for c in 0..classes {
                        d[c] = weight * ((p[c] - hot(c)) / samples);
                    }
                }
            }
        }
        (loss, d)
    }
}

/// Weights `[classes]` that give every class the same part in the loss: N / (K·n_c) for the n_c of N samples that are of class c, K being
/// the classes that have samples. Their mean over the samples is 1; a class without samples has weight 0, which nothing reads.
pub fn balanced_weights(labels: impl Iterator<Item = u16>, classes: usize) -> Vec<f64> {
    let mut counts = vec![0u64; classes];
    labels.for_each(|l| counts[l as usize] += 1);
    let (all, present) = (counts.iter().sum::<u64>() as f64, counts.iter().filter(|&&n| n > 0).count() as f64);
    counts.iter().map(|&n| if n > 0 { all / (present * n as f64) } else { 0.0 }).collect()
}

/// ln Σ exp(r), finite wherever r is.
fn log_sum_exp(r: &[f64]) -> f64 {
    let top = r.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + r.iter().map(|v| (v - top).exp()).sum::<f64>().ln()
}

/// exp(r) / Σ exp(r), shifted by the largest entry.
pub fn softmax(r: &[f64]) -> Vec<f64> {
    let top = r.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = r.iter().map(|v| (v - top).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|v| v / sum).collect()
}

/// Index of the largest rate, the lowest on ties.
pub fn predict(rates: &[f64]) -> usize {
    (1..rates.len()).fold(0, |best, c| if rates[c] > rates[best] { c } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_differences_of_the_loss() {
        let (rates, labels) = ([0.1, 0.5, 0.2, 0.9, 0.0, 0.3], [1u16, 0]);
        let ways = [None, Some([0.5, 1.75, 3.0])].map(|w| Loss::ALL.map(|loss| (loss, w)));
        for (loss, weights) in ways.iter().flatten() {
            let of = |rates: &[f64]| loss.weighted(rates, &labels, weights.as_ref().map(|w| &w[..]));
            let (_, d) = of(&rates);
            for i in 0..rates.len() {
                let moved = |h: f64| {
                    let mut r = rates;
                    r[i] += h;
                    of(&r).0
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!((slope - d[i]).abs() < 1e-8, "{loss:?} {i}: {slope} {}", d[i]);
            }
        }
    }

    #[test]
    fn a_loss_of_each_step_is_the_mean_and_has_its_slope() {
        // T = 3, one sample, two classes: every step is wrong by its own distance, and the mean over T by less.
        let (rates, labels) = ([0.0, 1.0, 0.6, 0.4, 0.9, 0.1], [0u16]);
        let (loss, d) = Loss::Tet.over_steps(&rates, &labels, 2, None);
        assert!((loss - (1.0 + 0.16 + 0.01) / 3.0).abs() < 1e-12, "{loss}");
        assert!(loss > Loss::Mse.of(&[0.5, 0.5], &labels).0);
        for i in 0..rates.len() {
            let moved = |h: f64| {
                let mut r = rates;
                r[i] += h;
                Loss::Tet.over_steps(&r, &labels, 2, None).0
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - d[i]).abs() < 1e-8, "{i}: {slope} {}", d[i]);
        }
    }

    #[test]
    fn balanced_weights_give_every_class_the_same_part() {
        let labels = [0u16, 0, 0, 0, 0, 0, 2, 2];
        let weights = balanced_weights(labels.into_iter(), 3);
        assert_eq!(weights, [8.0 / 12.0, 0.0, 2.0]);
        assert_eq!(labels.iter().map(|&l| weights[l as usize]).sum::<f64>() / 8.0, 1.0);
    }

    #[test]
    fn a_weight_scales_its_samples_and_a_weight_of_one_changes_no_bit() {
        let rates = [0.1, 0.5, 0.9, 0.3];
        for loss in [Loss::Mse, Loss::Ce] {
            assert_eq!(loss.weighted(&rates, &[1, 0], Some(&[1.0, 1.0])), loss.of(&rates, &[1, 0]));
            let (alone, twice) = (loss.of(&rates[..2], &[1]), loss.weighted(&rates[..2], &[1], Some(&[7.0, 2.0])));
            assert_eq!((2.0 * alone.0, alone.1.iter().map(|d| 2.0 * d).collect::<Vec<_>>()), twice);
        }
    }

    #[test]
    fn a_hopeless_sample_has_a_finite_loss() {
        let (loss, d) = Loss::Ce.of(&[5_000.0, -5_000.0], &[1]);
        assert!((loss - 10_000.0).abs() < 1e-9 && d == [1.0, -1.0], "{loss} {d:?}");
    }

    #[test]
    fn ties_go_to_the_lowest_class() {
        assert_eq!(predict(&[0.2, 0.7, 0.7]), 1);
        assert_eq!(predict(&[0.0, 0.0]), 0);
    }
}
