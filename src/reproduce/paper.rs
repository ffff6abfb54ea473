//! The paper's numbers and its protocol: Shen, Zhao, Zeng, arXiv 2110.08858, Patterns 3(6), 2022.
//!
//! Where the paper prints two numbers for one thing, both stand here. Tables 6, 8 and 9 and the figures are numbered as in the paper;
//! the numbers 2 to 5 and 7 are given to its accuracy tables in the order in which it presents the data sets.

use crate::config::{Options, Recipe};
use crate::data::DatasetName;
use crate::data::sets::{CIFAR10, DVS_CIFAR10, DVS_GESTURE, MNIST, NMNIST};
use crate::neuron::Rule;
use crate::study::Kind;

/// Epochs of every run of the paper.
pub const EPOCHS: usize = 300;
/// Its time steps, but for the latency study.
pub const TIME_STEPS: usize = 16;
/// Its α.
pub const ALPHA: f64 = 0.8;

/// What the paper says of one set under one rule.
pub struct Claim {
    /// Which set.
    pub set: DatasetName,
    /// The rule; its baseline is stbp.
    pub rule: Rule,
    /// T.
    pub steps: usize,
    /// Test accuracy in %, of the best test epoch.
    pub accuracy: f64,
    /// What else it prints for the same, or the spread.
    pub also: &'static str,
    /// Mean firing rate and energy gain (Table 6).
    pub spikes: Option<(f64, f64)>,
}

const fn claim(set: DatasetName, rule: Rule, steps: usize, accuracy: f64, also: &'static str, spikes: Option<(f64, f64)>) -> Claim {
    Claim { set, rule, steps, accuracy, also, spikes }
}

use Rule::{Bpsa, BpsaBpta, Stbp};

/// Everything that can be compared.
pub const CLAIMS: [Claim; 21] = [
    claim(MNIST, BpsaBpta, 16, 99.58, "± 0.06, best 99.67", Some((0.082, 35.1))),
    claim(MNIST, Stbp, 16, 99.42, "", Some((0.183, 15.7))),
    claim(NMNIST, BpsaBpta, 16, 99.71, "Table 6: 99.61", Some((0.097, 29.6))),
    claim(NMNIST, Stbp, 16, 99.32, "", Some((0.176, 16.3))),
    claim(CIFAR10, BpsaBpta, 16, 92.15, "Table 6: 92.33", Some((0.108, 26.6))),
    claim(CIFAR10, Stbp, 16, 89.49, "", Some((0.214, 13.4))),
    claim(DVS_GESTURE, BpsaBpta, 16, 98.96, "Tables 6 and 9: 98.26", Some((0.083, 34.6))),
    claim(DVS_GESTURE, Bpsa, 16, 97.56, "", None),
    claim(DVS_GESTURE, Stbp, 16, 93.92, "", Some((0.165, 17.4))),
    claim(DVS_CIFAR10, BpsaBpta, 16, 78.95, "Table 6: 77.76", Some((0.097, 29.5))),
    claim(DVS_CIFAR10, Bpsa, 16, 75.30, "", None),
    claim(DVS_CIFAR10, Stbp, 16, 71.40, "", Some((0.177, 16.2))),
    claim(DVS_GESTURE, BpsaBpta, 32, 98.27, "", None),
    claim(DVS_GESTURE, BpsaBpta, 8, 96.18, "", None),
    claim(DVS_GESTURE, BpsaBpta, 4, 96.18, "", None),
    claim(DVS_GESTURE, Bpsa, 32, 96.53, "", None),
    claim(DVS_GESTURE, Bpsa, 8, 94.44, "", None),
    claim(DVS_GESTURE, Bpsa, 4, 89.58, "", None),
    claim(DVS_GESTURE, Stbp, 32, 95.49, "", None),
    claim(DVS_GESTURE, Stbp, 8, 84.03, "", None),
    claim(DVS_GESTURE, Stbp, 4, 73.96, "", None),
];

/// The claim on a set, rule and T.
pub fn claim_on(set: DatasetName, rule: Rule, steps: usize) -> Option<&'static Claim> {
    CLAIMS.iter().find(|c| c.set == set && c.rule == rule && c.steps == steps)
}

/// A table or figure.
pub struct Exhibit {
    /// As on the command line.
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// On which sets.
    pub sets: &'static [DatasetName],
    /// By which study.
    pub kind: Kind,
    /// Of which rules.
    pub rules: &'static [Rule],
}

const ALL_SETS: &[DatasetName] = &[MNIST, NMNIST, CIFAR10, DVS_GESTURE, DVS_CIFAR10];
const BOTH: &[Rule] = &[Stbp, BpsaBpta];
const THREE: &[Rule] = &[Stbp, Bpsa, BpsaBpta];

const fn exhibit(name: &'static str, shows: &'static str, sets: &'static [DatasetName], kind: Kind, rules: &'static [Rule]) -> Exhibit {
    Exhibit { name, shows, sets, kind, rules }
}

/// All of them (Table 1 is the networks: `spiketrain net`).
pub const EXHIBITS: [Exhibit; 10] = [
    exhibit("table2", "accuracy on MNIST", &[MNIST], Kind::Ablation, BOTH),
    exhibit("table3", "accuracy on N-MNIST", &[NMNIST], Kind::Ablation, BOTH),
    exhibit("table4", "accuracy on CIFAR10", &[CIFAR10], Kind::Ablation, BOTH),
    exhibit("table5", "accuracy on DVS-Gesture", &[DVS_GESTURE], Kind::Ablation, BOTH),
    exhibit("table6", "firing rates and energy", ALL_SETS, Kind::Energy, BOTH),
    exhibit("table7", "accuracy on DVS-CIFAR10", &[DVS_CIFAR10], Kind::Ablation, BOTH),
    exhibit("table8", "ablation of the rule", &[DVS_GESTURE, DVS_CIFAR10], Kind::Ablation, THREE),
    exhibit("table9", "accuracy at few time steps", &[DVS_GESTURE], Kind::Latency, THREE),
    exhibit("fig5", "accuracy at few time steps (as table9)", &[DVS_GESTURE], Kind::Latency, THREE),
    exhibit("fig6", "test accuracy by epoch", ALL_SETS, Kind::Ablation, THREE),
];

/// T of Table 9.
pub const LATENCY_STEPS: [usize; 4] = [4, 8, 16, 32];

/// The paper's protocol: its recipe, and what holds under any recipe that is said instead. The last epoch is reported: the paper's choice of the best
/// epoch on the test set would be a bias.
pub fn protocol(set: DatasetName, kind: Kind) -> Options {
    Options {
        dataset: Some(set),
        recipe: Some(Recipe::Paper),
        time_steps: (kind != Kind::Latency).then(|| TIME_STEPS.into()),
        epochs: Some(EPOCHS),
        alpha: Some(ALPHA),
        val_split: Some(0.0),
        ..Options::default()
    }
}
