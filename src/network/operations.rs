//! What a training step computes, counted: additions of weights to currents and of errors to gradients.
//!
//! A weight layer does three things, each once for every input that is not zero and every weight which that input reaches: currents,
//! weight gradient, input gradient. Two of them cost more than that: a picture's currents and their gradient are computed for all pixels
//! once, and an input gradient that a surrogate reads at silent steps, too (stbp, the smooth surrogates, the `ann` warm-up), is dense.
//! Borders count as if padded with zeros; neurons, norms, pools and AdamW do not count.

use super::{Method, needed};
use crate::engine::{Batch, Input, Need};
use crate::neuron::Surrogate;
use crate::plan::{Block, Plan};

/// Whether the inputs of block `i` have to be counted: not where they are the spikes of the block before, nor where all are used.
pub(super) fn counted(i: usize, block: &Block, batch: &Batch, method: &Method) -> bool {
    let as_they_fired = i > 0 && block.fronts.is_empty();
    let picture = i == 0 && matches!(batch.input, Input::Direct(_));
    !method.ann && !as_they_fired && !picture
}

/// Operations of a step, forward and back. `spikes` are those of each block; `inputs` those inputs that were [`counted`], in order.
pub(super) fn of_step(plan: &Plan, batch: &Batch, method: &Method, surrogates: &[Surrogate], spikes: &[u64], inputs: &[u64]) -> u64 {
    let mut inputs = inputs.iter();
    let of_block = |(i, block): (usize, &Block)| {
        let dense = (block.macs() * batch.samples * batch.steps) as u64;
        let reached = match i.checked_sub(1) {
            _ if method.ann => dense,
            _ if counted(i, block, batch, method) => inputs.next().map_or(dense, |n| n * block.fan_out() as u64),
            None => dense / batch.steps as u64,
            Some(below) => spikes[below] * block.fan_out() as u64,
        };
        let input_gradient = match needed(i, method, surrogates) {
            Need::Nothing => 0,
            Need::AtSpikes => reached,
            Need::Everywhere => dense,
        };
        2 * reached + input_gradient
    };
    plan.blocks.iter().enumerate().map(of_block).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Values;
    use crate::engine::reference::Reference;
    use crate::network::Network;
    use crate::neuron::{Lif, Rule};
    use crate::shape::Chw;

    /// Operations of one step of a small network, and the spikes of its blocks.
    fn counted_of(rule: Rule, ann: bool, frames: bool) -> (u64, Vec<u64>, u64) {
        let (shape, steps, samples) = (Chw { c: 2, h: 4, w: 4 }, 3, 2);
        let plan = Plan::new("3C3-5FC-2Voting".parse().unwrap(), shape).unwrap();
        let method = Method { lif: Lif { threshold: 0.2, decay: 0.9 }, rule, alpha: 0.8, merged_norm: true, ann, tssl_rate: None };
        let n = samples * shape.len() * if frames { steps } else { 1 };
        let values = Values::Reals((0..n).map(|i| if i % 3 == 0 { 1.0 } else { 0.0 }).collect());
        let input = if frames { Input::Frames(values) } else { Input::Direct(values) };
        let net = Network::init(&Reference, plan, 1);
        let (out, _) = net.forward(&Reference, &Batch::whole(shape, samples, steps, input), &[], &method).unwrap();
        (out.operations, out.spikes, n.div_ceil(3) as u64)
    }

    #[test]
    fn what_is_silent_costs_nothing_under_bpsa_and_its_input_gradient_under_stbp() {
        // Per sample: 18 weights to each of 48 outputs; 48 inputs to 5 neurons; 5 inputs to 20 voters.
        let (picture, dense) = (2 * 18 * 48, |macs: u64| macs * 2 * 3);
        let (bpsa, spikes, _) = counted_of(Rule::Bpsa, false, false);
        assert!(spikes[0] > 0);
        assert_eq!(bpsa, 2 * picture + 3 * (spikes[0] * 5 + spikes[1] * 20));
        let (stbp, spikes, _) = counted_of(Rule::Stbp, false, false);
        assert_eq!(stbp, 2 * picture + 2 * (spikes[0] * 5 + spikes[1] * 20) + dense(48 * 5) + dense(5 * 20));
    }

    #[test]
    fn events_count_one_by_one_and_a_network_without_spikes_is_dense() {
        let (frames, spikes, events) = counted_of(Rule::Bpsa, false, true);
        assert_eq!(frames, 2 * events * 27 + 3 * (spikes[0] * 5 + spikes[1] * 20));
        let (ann, ..) = counted_of(Rule::Bpsa, true, true);
        assert_eq!(ann, 2 * 3 * (2 * 18 * 48 + 3 * 48 * 5 + 3 * 5 * 20));
    }
}
