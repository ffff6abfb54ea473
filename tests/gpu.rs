//! The engine for graphics cards against the reference engine, on every adapter of this machine; without one it says SKIPPED.
#![cfg(feature = "gpu")]

mod networks;

use networks::{agree, case, judged, pass};
use spiketrain::engine::gpu::{Gpu, Profile, adapters};

/// The adapters of this machine, opened; says so where there is none.
fn cards(profile: Profile) -> Vec<Gpu> {
    let all: Vec<Gpu> = adapters().iter().map(|a| a.open(profile).unwrap()).collect();
    if all.is_empty() {
        println!("SKIPPED: this machine has no graphics card, and no software in place of one (mesa-vulkan-drivers)");
    }
    all
}

#[test]
fn random_networks_compute_what_the_reference_computes() {
    for gpu in cards(Profile::Full) {
        let (mut kept, mut worst) = (0, 0.0f64);
        for seed in 0..120 {
            let c = case(seed);
            let Some(want) = judged(&c) else { continue };
            worst = worst.max(agree(&c, gpu.about(), &pass(&gpu, &c, c.method.lif.threshold), &want));
            kept += 1;
        }
        println!("{kept} networks on {}, gradients within {worst:.1e}", gpu.about());
        assert!(kept > 60, "only {kept} cases say anything");
    }
}
