//! Looking into a pass: the membrane potentials of a layer, on the host, for pictures and statistics.
//!
//! Engines keep no membrane potentials. They are computed here once more, by the equations of [`crate::neuron`], from the currents
//! that a pass shows ([`crate::network::Fired`], [`crate::network::Reached`]). Last bits may differ from the engine's, which fuses
//! multiplications and additions, so a potential within rounding of the threshold may tell another story than the spikes do.

use crate::engine::{BN_EPS, Engine, NormOf};
use crate::error::Result;
use crate::neuron::{self, Lif};
use crate::plan::Block;

/// Membrane potentials u\[t\] before the reset, `[T,B,C,H,W]`, of a layer with these currents over `steps` time steps.
///
/// # Errors
/// Memory: the device has failed.
pub fn potentials<E: Engine>(
    engine: &E,
    block: &Block,
    lif: Lif,
    steps: usize,
    currents: &E::Currents,
    norm: Option<&NormOf<E>>,
) -> Result<Vec<f32>> {
    let mut u = engine.host_currents(currents)?;
    let (area, affine) = (block.output.area(), affine(engine, block, norm)?);
    let (decay, threshold) = (lif.decay as f32, lif.threshold as f32);
    let per_step = u.len() / steps;
    let mut rest = vec![0.0; per_step];
    for (t, step) in u.chunks_exact_mut(per_step).enumerate() {
        let row = &affine[t.min(affine.len() - 1)];
        for (i, (u, rest)) in step.chunks_exact_mut(area).zip(rest.chunks_exact_mut(area)).enumerate() {
            let [scale, shift] = row[i % block.output.c];
            for (u, rest) in u.iter_mut().zip(rest) {
                let z = *u * scale + shift;
                *u = neuron::step(decay, threshold, rest, if block.relu { z.max(0.0) } else { z }).0;
            }
        }
    }
    Ok(u)
}

/// `[rows][C]`: the norm as z = y · scale + shift.
fn affine<E: Engine>(engine: &E, block: &Block, norm: Option<&NormOf<E>>) -> Result<Vec<Vec<[f32; 2]>>> {
    let Some(norm) = norm else { return Ok(vec![vec![[1.0, 0.0]; block.output.c]]) };
    let (gamma, beta, m) = (engine.host(norm.gamma)?, engine.host(norm.beta)?, engine.host_moments(norm.moments)?);
    let of = |row: usize, c: usize| {
        let i = row * m.channels + c;
        let scale = f64::from(gamma[c]) / (m.var[i] + BN_EPS).sqrt();
        [scale as f32, (f64::from(beta[c]) - m.mean[i] * scale) as f32]
    };
    Ok((0..m.rows).map(|row| (0..m.channels).map(|c| of(row, c)).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::cpu::Cpu;
    use crate::engine::reference::Reference;
    use crate::engine::{Batch, Input, Values};
    use crate::loss::Loss;
    use crate::network::{Method, Network};
    use crate::neuron::Rule;
    use crate::notation::Notation;
    use crate::plan::Plan;
    use crate::rng::{Purpose, Rng};
    use crate::shape::Chw;

    /// One layer seen in a pass.
    struct Seen {
        /// Forward, evaluation mode: what went in, u, o.
        passed: [Vec<f32>; 3],
        /// Backward: u with the statistics of the batch, and S where u is above the threshold.
        blamed: [Vec<f32>; 2],
    }

    const LIF: Lif = Lif { decay: 0.9, threshold: 0.5 };
    const STEPS: usize = 5;

    fn look<E: Engine>(engine: &E) -> Vec<Seen> {
        let shape = Chw::new(2, 7, 5);
        let plan = Plan::new("18C3-MP2-9C3-AP2-DP-20FC-3Voting".parse::<Notation>().unwrap(), shape).unwrap();
        let net = Network::init(engine, plan, 3);
        let mut rng = Rng::at(7, Purpose::Weights, 0, 0);
        let counts = (0..STEPS * 3 * shape.len()).map(|_| rng.uniform(0.0, 2.0)).collect();
        let batch = Batch::whole(shape, 3, STEPS, Input::Frames(Values::Reals(counts)));
        let method = Method { lif: LIF, rule: Rule::BpsaBpta, alpha: 0.8, merged_norm: false, ann: false, tssl_rate: None };
        let mut all = Vec::new();
        let see = &mut |i: usize, f: crate::network::Fired<E>| {
            let u = potentials(engine, &net.plan.blocks[i], LIF, STEPS, f.currents, f.norm.as_ref())?;
            let passed = [engine.host_acts(f.input)?, u, engine.host_acts(f.spikes)?];
            all.push(Seen { passed, blamed: Default::default() });
            Ok(())
        };
        net.infer_seen(engine, &batch, &method, see).unwrap();
        let masks = net.masks(1, 1);
        let (out, tape) = net.forward(engine, &batch, &masks, &method).unwrap();
        let (_, d_rates) = Loss::Mse.of(&out.rates, &[0, 1, 2]);
        let see = &mut |i: usize, b: crate::network::Reached<E>| {
            let u = potentials(engine, &net.plan.blocks[i], LIF, STEPS, b.currents, b.norm.as_ref())?;
            let read = u.iter().zip(engine.host_grad(b.d)?).map(|(&u, s)| if u > 0.5 { s } else { 0.0 }).collect();
            all[i].blamed = [u, read];
            Ok(())
        };
        net.backward_seen(engine, tape, &d_rates, &masks, &method, Some(see)).unwrap();
        all
    }

    #[test]
    fn potentials_fire_where_the_engine_says_and_both_engines_show_the_same() {
        let (cpu, reference) = (look(&Cpu::new()), look(&Reference));
        let mut spikes = 0;
        for (i, (a, b)) in cpu.iter().zip(&reference).enumerate() {
            for seen in [a, b] {
                let [_, u, o] = &seen.passed;
                assert!(u.iter().zip(o).all(|(&u, &o)| (u > 0.5) == (o == 1.0) || (u - 0.5).abs() < 1e-5), "layer {i}");
                spikes += o.iter().filter(|o| **o == 1.0).count();
            }
            for (a, b) in a.passed.iter().chain(&a.blamed).zip(b.passed.iter().chain(&b.blamed)) {
                assert_eq!(a.len(), b.len());
                let largest = b.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
                let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-4 * largest, "layer {i}: off by {off} of {largest}");
            }
        }
        assert!(spikes > 100, "{spikes} spikes say little");
    }
}
