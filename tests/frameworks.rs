//! The portable NIR file in the real SpikingJelly, snnTorch and Norse: what they answer is what we answer.
//!
//! Needs Python with these packages (`tests/frameworks/environment.sh`, which looks at SPIKETRAIN_FRAMEWORKS); SKIPPED without.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use spiketrain::config::Options;
use spiketrain::engine::Running;
use spiketrain::export::model::{Layer, Norm};
use spiketrain::export::{self, Format, Hints, Model, Profile, agree};
use spiketrain::neuron::Lif;
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::storage::Disk;
use spiketrain::trained::numbered;

mod tiny;

const STEPS: usize = 16;
const SAMPLES: usize = 4;
/// Max pooling, average pooling, both, hidden FC, odd shapes.
const NETS: [(&str, &str); 4] = [
    ("8C3-MP2-12C3-MP2-20FC-3Voting", "1x12x12"),
    ("8C3-AP2-12C5-AP3-3Voting", "2x13x15"),
    ("6C3-6C3-MP2-DP-9C3-AP2-30FC-DP-12FC-2Voting", "3x11x10"),
    ("AP2-25FC-4Voting", "2x9x8"),
];

fn python() -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks/environment.sh");
    let out = Command::new("bash").arg(script).output().map_err(|e| format!("SKIPPED: frameworks: bash: {e}"))?;
    let said = String::from_utf8_lossy(&out.stdout).trim().to_string();
    if said.starts_with("SKIPPED") || said.is_empty() { Err(said) } else { Ok(said.into()) }
}

fn model(net: &str, shape: &str, seed: u64) -> Model {
    let plan = Plan::new(net.parse().unwrap(), shape.parse().unwrap()).unwrap().without_relu();
    let mut rng = Rng::at(seed, Purpose::Test, 0, 0);
    let mut values = |n: usize, low: f32, high: f32| (0..n).map(|_| rng.uniform(low, high)).collect::<Vec<f32>>();
    let layers = plan.blocks.iter().map(|b| {
        let (c, bound) = (b.output.c, 3.0 / (b.fan_in() as f32).sqrt());
        let norm = b.has_norm().then(|| Norm {
            gamma: values(c, 0.6, 1.4),
            beta: values(c, -0.3, 0.4),
            running: Running { mean: values(c, -0.2, 0.2), var: values(c, 0.1, 1.0) },
        });
        Layer { weight: values(b.weight().len(), -bound, bound), bias: values(c, -0.1, 0.4), norm }
    });
    let layers = layers.collect();
    Model { plan, lif: Lif::default(), layers }
}

#[test]
fn three_frameworks_run_the_portable_graph_as_we_do() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return println!("{why}"),
    };
    let dir = tiny::scratch();
    let config = Options { time_steps: Some(STEPS.into()), ..Options::default() }.complete().unwrap();
    let mut compared = 0;
    for (i, (net, shape)) in NETS.into_iter().enumerate() {
        let path = dir.path().join(format!("{i}.nir"));
        let m = model(net, shape, i as u64);
        let inputs = export::inputs::Inputs::of(&config, &m.plan, &numbered(m.plan.classes()));
        export::write(&Disk, &path, &m, &inputs, Format::Nir, Profile::Portable).unwrap();
        let back = export::read(&path, &Hints::default()).unwrap();
        let batch = agree::random_inputs(back.plan.shape, STEPS, SAMPLES, i % 2 == 0, i as u64);
        let said = agree::answers(&back.trained(config.clone(), numbered(back.plan.classes())).unwrap(), &batch).unwrap();
        let trace = PathBuf::from(format!("{}.trace.npz", path.display()));
        agree::trace(&back.plan, &batch, &said).unwrap().publish(&Disk, &trace).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frameworks/run.py");
        let out = Command::new(&python).arg(script).arg(&path).output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        // Frameworks print, too.
        for line in text.lines().filter(|l| l.starts_with('{')) {
            let v: Value = serde_json::from_str(line).unwrap();
            println!("{net} on {shape}: {line}");
            // Sums of ten 0.1 are as near as f32 comes.
            assert!(v["difference"].as_f64().is_some_and(|d| d < 1e-6) && v["spikes"].as_f64() > Some(20.0), "{net}: {line}\n{errors}");
            compared += 1;
        }
    }
    assert_eq!(compared, NETS.len() * 6, "three frameworks at two batch sizes");
    println!("{compared} comparisons at T = {STEPS}");
}
