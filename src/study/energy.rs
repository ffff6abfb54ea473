//! What an inference costs in energy: as the paper counts (Eq. 11), and with like compared to like.
//!
//! The paper divides 4.6 pJ, a multiply and an add of FP32 numbers, by 0.1 pJ, an add of INT32 numbers, once per step, neuron and
//! spike (45 nm, Horowitz 2014). Weights that were trained in FP32 are added in FP32, 0.9 pJ; and the first layer, which sees
//! pixels or counts of events, multiplies. The sober figure counts so, operation by operation, from the spikes that occurred.
//! Neither counts memory, which on most hardware costs more than arithmetic.

use serde::{Deserialize, Serialize};

use super::cost::Layer;

/// An FP32 multiply (3.7 pJ) and add (0.9 pJ).
pub const MULTIPLY_ADD_PJ: f64 = 4.6;
/// An FP32 add.
pub const ADD_PJ: f64 = 0.9;
/// An INT32 add: what the paper takes for a spike.
pub const INTEGER_ADD_PJ: f64 = 0.1;

/// Energy of one inference, beside that of the same network without spikes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Energy {
    /// E_ANN / E_SNN by Eq. 11, with the mean firing rate over layers (the paper's style).
    pub paper_gain: f64,
    /// The same with the mean over neurons.
    pub paper_gain_by_neurons: f64,
    /// Of all counted operations, nJ per sample over all T steps.
    pub spiking_nj: f64,
    /// Of the same network as an ANN, every multiply-add done once, nJ per sample.
    pub dense_nj: f64,
    /// dense_nj / spiking_nj.
    pub sober_gain: f64,
}

/// E_ANN / E_SNN by Eq. 11: 4.6 pJ / (0.1 pJ · T · firing rate); infinite for a silent network.
pub fn paper_gain(steps: usize, firing_rate: f64) -> f64 {
    MULTIPLY_ADD_PJ / (INTEGER_ADD_PJ * steps as f64 * firing_rate)
}

/// Of a network with these layers and mean firing rates (over layers, over neurons).
pub fn of(layers: &[Layer], steps: usize, (by_layers, by_neurons): (f64, f64)) -> Energy {
    let spent = |l: &Layer| l.operations * if l.multiplies { MULTIPLY_ADD_PJ } else { ADD_PJ };
    let spiking_nj = layers.iter().map(spent).sum::<f64>() / 1e3;
    let dense_nj = layers.iter().map(|l| l.macs as f64 * MULTIPLY_ADD_PJ).sum::<f64>() / 1e3;
    Energy {
        paper_gain: paper_gain(steps, by_layers),
        paper_gain_by_neurons: paper_gain(steps, by_neurons),
        spiking_nj,
        dense_nj,
        sober_gain: dense_nj / spiking_nj,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eq_11_gives_the_ratios_of_table_6() {
        let table_6 = [
            (0.082, 35.1),
            (0.183, 15.7),
            (0.097, 29.6),
            (0.176, 16.3),
            (0.108, 26.6),
            (0.214, 13.4),
            (0.083, 34.6),
            (0.165, 17.4),
            (0.097, 29.5),
            (0.177, 16.2),
        ];
        for (rate, printed) in table_6 {
            assert!((paper_gain(16, rate) - printed).abs() < 0.15, "rate {rate}: {} and not {printed}", paper_gain(16, rate));
        }
    }

    #[test]
    fn the_first_layer_multiplies_and_the_others_add() {
        let layer =
            |operations, macs, multiplies| Layer { name: String::new(), neurons: 1, macs, firing_rate: 0.1, operations, multiplies };
        let e = of(&[layer(1000.0, 1000, true), layer(2000.0, 5000, false)], 4, (0.1, 0.1));
        assert!((e.spiking_nj - (4.6 + 1.8)).abs() < 1e-12 && (e.dense_nj - 27.6).abs() < 1e-12, "{e:?}");
    }
}
