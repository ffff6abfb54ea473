//! The cpu engine against the reference engine: whole training passes of random networks on odd shapes.

mod networks;

use networks::{agree, case, judged, pass, pass_recomputed};
use rayon::prelude::*;
use spiketrain::engine::cpu::{Cpu, Isa};
use spiketrain::engine::{Cut, Input, Values};

/// What a case says.
enum Said {
    /// Nothing: rounding decides.
    Nothing,
    /// All instruction sets agree with the reference.
    Agreed { without_relu: bool },
}

fn compare(seed: u64, paths: &[Isa]) -> Said {
    let c = case(seed);
    let Some(want) = judged(&c) else { return Said::Nothing };
    for &isa in paths {
        agree(&c, isa.name(), &pass(&Cpu::with_isa(isa), &c, c.method.lif.threshold), &want);
    }
    Said::Agreed { without_relu: c.plan.blocks.iter().all(|b| !b.relu) }
}

#[test]
fn the_cpu_engine_computes_what_the_reference_computes() {
    let paths = Isa::available();
    let said: Vec<Said> = (0..250).into_par_iter().map(|seed| compare(seed, &paths)).collect();
    let kept = said.iter().filter(|s| matches!(s, Said::Agreed { .. })).count();
    let without_relu = said.iter().filter(|s| matches!(s, Said::Agreed { without_relu: true })).count();
    assert!(without_relu > 30, "only {without_relu} cases without ReLU");
    println!(
        "{kept} networks ({without_relu} without ReLU) compared on {} instruction sets, {} left out (decided by rounding)",
        paths.len(),
        said.len() - kept
    );
    assert!(kept > 120, "only {kept} cases say anything");
}

#[test]
fn threads_do_not_change_a_bit() {
    for seed in [1, 2, 3, 5, 8, 13, 21, 34] {
        let c = case(seed);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| pass(&Cpu::new(), &c, c.method.lif.threshold))
        };
        let one = with(1);
        for threads in [2, 3, 8] {
            let many = with(threads);
            for ((name, a), (_, b)) in one.grads.iter().zip(&many.grads) {
                let same = a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
                assert!(same, "seed {seed}: gradient of {name} differs between 1 and {threads} threads");
            }
            assert_eq!(one.rates, many.rates);
            assert_eq!(one.running, many.running);
        }
    }
}

#[test]
fn currents_computed_anew_do_not_change_a_bit() {
    let mut tried = 0;
    for seed in 0..40 {
        let mut c = case(seed);
        // Enough samples for several parts.
        let times = 5;
        let (Input::Direct(Values::Reals(data)) | Input::Frames(Values::Reals(data))) = &mut c.batch.input else { panic!() };
        let steps = data.len() / (c.batch.samples * c.batch.shape.len());
        let len = data.len() / steps;
        *data = (0..steps).flat_map(|t| data[t * len..(t + 1) * len].repeat(times)).collect();
        data.iter_mut().enumerate().for_each(|(i, v)| *v *= 1.0 + (i % 7) as f32 / 8.0);
        c.batch.samples *= times;
        c.batch.cut = Cut::whole(c.batch.samples);
        c.labels = c.labels.repeat(times);
        for engine in Isa::available().into_iter().map(Cpu::with_isa) {
            let kept = pass(&engine, &c, c.method.lif.threshold);
            let blocks: Vec<usize> = (0..c.plan.blocks.len()).collect();
            for recomputed in [&blocks[..], &blocks[..1]] {
                let twice = pass_recomputed(&engine, &c, c.method.lif.threshold, recomputed);
                for ((name, a), (_, b)) in kept.grads.iter().zip(&twice.grads) {
                    let same = a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits());
                    assert!(same, "seed {seed}: gradient of {name} differs when {recomputed:?} of {} are recomputed", c.plan.notation);
                }
                assert_eq!((kept.rates.clone(), &kept.running), (twice.rates, &twice.running));
                tried += 1;
            }
        }
    }
    println!("{tried} passes with currents recomputed");
}
