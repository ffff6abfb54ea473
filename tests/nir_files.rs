//! NIR files of other programs: each is read and answers as an independent evaluation with numpy does, or is refused with node, reason
//! and remedy. `nir/make.py` made the graphs of `nir/` and, with numpy, the spikes of `nir/golden.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use spiketrain::config::Options;
use spiketrain::engine::{Batch, Input, Values};
use spiketrain::error::Result;
use spiketrain::export::{self, Hints, Imported, agree};
use spiketrain::trained::numbered;

mod command;
mod tiny;

use command::{command, said};
use tiny::scratch;

/// What a graph answers.
#[derive(Deserialize)]
struct Golden {
    /// Counts 0 to 3, a digit each, `[T,C,H,W]`.
    input: String,
    /// Said with --shape.
    shape: Option<String>,
    /// Said with --dt.
    dt: Option<f64>,
    /// A digit 0 or 1 for every neuron of a layer at every step, `[T,C,H,W]`.
    spikes: Vec<String>,
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nir").join(name)
}

fn golden() -> BTreeMap<String, Golden> {
    serde_json::from_str(&fs::read_to_string(here("golden.json")).unwrap()).unwrap()
}

fn import(path: &Path, shape: Option<&str>, dt: Option<f64>) -> Result<Imported> {
    export::import(path, &Hints { shape: shape.map(|s| s.parse().unwrap()), dt, ..Hints::default() })
}

/// Imports a graph and compares every spike; says how many there were.
fn agrees(path: &Path, golden: &Golden) -> usize {
    let Imported { model, notes } = import(path, golden.shape.as_deref(), golden.dt).unwrap();
    for words in ["time step", "NIR does not say how neurons reset"] {
        assert!(notes.iter().any(|n| n.contains(words)), "{}: {notes:?}", path.display());
    }
    let counts: Vec<u16> = golden.input.bytes().map(|b| u16::from(b - b'0')).collect();
    let steps = counts.len() / model.plan.shape.len();
    let config = Options { time_steps: Some(steps.into()), ..Options::default() }.complete().unwrap();
    let batch = Batch::whole(model.plan.shape, 1, steps, Input::Frames(Values::Counts(counts)));
    let answers = agree::answers(&model.trained(config, numbered(model.plan.classes())).unwrap(), &batch).unwrap();
    assert_eq!(answers.spikes.len(), golden.spikes.len());
    let last = golden.spikes.len() - 1;
    for (i, (found, wanted)) in answers.spikes.iter().zip(&golden.spikes).enumerate() {
        // The output neurons are ten equal voters each.
        let times = if i == last { 10 } else { 1 };
        let wanted: Vec<f32> = wanted.bytes().flat_map(|b| vec![f32::from(b - b'0'); times]).collect();
        assert!(*found == wanted, "{}: layer {i}: {} of {} differ", path.display(), differ(found, &wanted), wanted.len());
    }
    golden.spikes.iter().flat_map(|s| s.bytes()).filter(|b| *b == b'1').count()
}

fn differ(a: &[f32], b: &[f32]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[test]
fn graphs_of_the_nir_package_answer_as_numpy_does() {
    let all = golden();
    let ours: Vec<_> = all.iter().filter(|(name, _)| here(name).exists()).collect();
    for (name, golden) in &ours {
        println!("{name}: {} spikes agree", agrees(&here(name), golden));
    }
    assert_eq!(ours.len(), 5);
}

/// A real file of another program.
enum Outcome {
    /// As in golden.json.
    Agrees,
    /// With these words.
    Refused(&'static [&'static str]),
}
use Outcome::{Agrees, Refused};

const CUBA: &[&str] =
    &["node 'lif1.lif' (CubaLIF)", "synaptic current", "node 'lif2' (CubaLIF)", "recurrent", "'lif1.lif' sends to 'lif1.w_rec'"];
/// Its edges name a node that the subgraph does not have.
const CUBA_BROKEN: &[&str] = &["node 'lif1.lif1' (CubaLIF)", "synaptic current", "recurrent", "'lif1.lif' sends to 'lif1.lin'"];
const STRIDE: &[&str] = &["node '0' (Conv2d)", "stride [2, 2]", "convolutions here have stride 1", "in place of a stride"];

const REAL: [(&str, Outcome); 23] = [
    ("kmheckel-spyx__lif_norse.nir", Agrees),
    ("kmheckel-spyx__spyx_shd.nir", Refused(&["node 'LI' (LI)", "never fires"])),
    (
        "neuromorphs-NIR__01_lif__debug_spike_representation__two_lif_neurons.nir",
        Refused(&["node 'lif1' (LIF)", "v_leak: 1.2; neurons here leak to 0", "shift the neurons"]),
    ),
    ("neuromorphs-NIR__01_lif__lif_norse.nir", Agrees),
    ("neuromorphs-NIR__01_lif__lif_rockpool.nir", Agrees),
    ("neuromorphs-NIR__02_cnn__cnn_sinabs.nir", Refused(STRIDE)),
    ("neuromorphs-NIR__02_cnn__scnn_mnist.nir", Refused(STRIDE)),
    ("neuromorphs-NIR__02_cnn__scnn_mnist_batches.nir", Refused(STRIDE)),
    ("neuromorphs-NIR__03_rnn__braille.nir", Refused(CUBA)),
    ("neuromorphs-NIR__03_rnn__braille_flattened.nir", Refused(&["node 'lif1' (CubaLIF)", "'lif1' sends to 'w_rec'"])),
    ("neuromorphs-NIR__03_rnn__braille_noDelay_bias_zero.nir", Refused(CUBA)),
    ("neuromorphs-NIR__03_rnn__braille_noDelay_noBias_subtract.nir", Refused(CUBA)),
    ("neuromorphs-NIR__03_rnn__braille_subgraph.nir", Refused(&["node 'hidden.lif' (CubaLIF)", "'hidden.lif' sends to 'hidden.lin'"])),
    ("neuromorphs-NIR__03_rnn__braille_subtract.nir", Refused(CUBA)),
    ("neuromorphs-NIR__03_rnn__braille_subtract_subgraph.nir", Refused(CUBA_BROKEN)),
    ("neuromorphs-NIR__03_rnn__braille_v2.nir", Refused(CUBA)),
    ("neuromorphs-NIR__03_rnn__braille_v2a.nir", Refused(CUBA)),
    ("neuromorphs-NIR__03_rnn__braille_zero.nir", Refused(CUBA)),
    ("neuromorphs-NIR__03_rnn__braille_zero_subgraph.nir", Refused(CUBA_BROKEN)),
    ("neuromorphs-NIR__03_rnn__extras__braille_noDelay_bias_zero_subgraph.nir", Refused(CUBA_BROKEN)),
    ("neuromorphs-NIR__03_rnn__extras__braille_noDelay_noBias_subtract_subgraph.nir", Refused(CUBA_BROKEN)),
    ("neuromorphs-NIR__lif_norse.nir", Agrees),
    ("norse__braille.nir", Refused(CUBA)),
];

#[test]
fn every_real_file_agrees_or_is_refused_with_node_reason_and_remedy() {
    let Some(folder) = std::env::var_os("SPIKETRAIN_TEST_DATA").map(|d| Path::new(&d).join("nir")).filter(|d| d.is_dir()) else {
        return println!("SKIPPED: SPIKETRAIN_TEST_DATA names no folder with nir/");
    };
    let (golden, expected) = (golden(), BTreeMap::from(REAL));
    let mut seen = 0;
    for file in fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.extension().is_none_or(|e| e != "nir") {
            continue;
        }
        match expected.get(name).unwrap_or_else(|| panic!("{name}: what is expected of it?")) {
            Agrees => println!("{name}: {} spikes agree", agrees(&path, &golden[name])),
            Refused(words) => {
                // Whatever step is said, what cannot be said here cannot be read here.
                for dt in [None, Some(1e-4)] {
                    let e = import(&path, None, dt).unwrap_err();
                    let text = e.to_string();
                    assert!(e.exit_code() == 2 && !e.remedy.is_empty() && words.iter().all(|w| text.contains(w)), "{words:?}: {text}");
                }
                println!("{name}: refused");
            }
        }
        seen += 1;
    }
    assert_eq!(seen, REAL.len());
}

#[test]
fn the_time_step_is_said_found_or_doubted() {
    let dir = scratch();
    let ok = |args: &[&str], words: &[&str]| {
        let (code, text) = said(&mut command(dir.path(), args));
        assert!(code == Some(0) && words.iter().all(|w| text.contains(w)), "{args:?}: {code:?} {text}");
    };
    let refused = |args: &[&str], words: &[&str]| {
        let (code, text) = said(&mut command(dir.path(), args));
        assert!(code == Some(2) && words.iter().all(|w| text.contains(w)), "{args:?}: {code:?} {text}");
    };
    for name in ["flat.nir", "paddings.nir", "if_steps.nir", "if_seconds.nir", "subgraph.nir"] {
        fs::copy(here(name), dir.path().join(name)).unwrap();
    }
    let to = ["--dataset=glyphs", "-T", "2", "--out=x.ckpt"];
    let with = |args: &[&'static str]| [&["import"], args, &to].concat();
    let reset = "NIR does not say how neurons reset";
    ok(&with(&["flat.nir", "--shape=1x4x4"]), &["time step 0.0001 s (assumed", "decay 0.9", "inputs in a row are taken as 1x4x4", reset]);
    ok(&with(&["paddings.nir", "--dt=1e-3"]), &["time step 0.001 s (as --dt says): decay 0.5"]);
    ok(&with(&["paddings.nir", "--dt=1e-4"]), &["decay 0.95"]);
    ok(&with(&["subgraph.nir"]), &["time step 0.001 s (as the file's metadata say): decay 0.8", "4FC-2Voting"]);
    ok(&with(&["subgraph.nir", "--dt=5e-4"]), &["(as --dt says): decay 0.9"]);
    ok(&with(&["if_steps.nir"]), &["time step 1 s (which is 1/r", "decay 1"]);
    ok(&with(&["if_seconds.nir"]), &["time step 0.0001 s (which is 1/r"]);
    // tau = 1 ms.
    refused(
        &with(&["flat.nir", "--shape=1x4x4", "--dt=2e-3"]),
        &["(LIF)", "tau 0.001 s", "must be 0.002 s or more", "--dt 0.0001 gives decay 0.9"],
    );
    refused(&with(&["flat.nir", "--shape=1x4x4", "--decay=0.8"]), &["--decay 0.8", "give decay 0.9", "--dt 0.0002 gives this decay"]);
    refused(&with(&["flat.nir", "--dt=0"]), &["--dt 0", "no time step"]);
    refused(&with(&["flat.nir", "--shape=1x5x4"]), &["--shape 1x5x4", "[16]", "20 numbers"]);
}

#[test]
fn a_decay_that_nobody_trains_with_ends_the_import() {
    use export::graph::{Chain, Node, Tensor};
    let chain = |tau: f64| {
        let weight = Tensor { shape: vec![2, 3], values: vec![0.5; 6] };
        let nodes = [
            ("in", Node::Input(vec![3])),
            ("fc", Node::Affine { weight, bias: None }),
            ("lif", Node::Lif { shape: vec![2], tau, r: 1.0, threshold: 1.0 }),
            ("out", Node::Output(vec![2])),
        ];
        Chain(nodes.map(|(name, node)| (name.to_string(), node)).to_vec())
    };
    let read = |tau, dt, decay| export::unchain::model(Chain::into(chain(tau)), &Hints { dt, decay, ..Hints::default() });
    for (tau, dt, remedy) in
        [(1e-2, 1e-3, "--dt 0.001 gives decay 0.9"), (10.0, 1.0, "--dt 1 gives decay 0.9"), (1.05e-4, 1e-4, "--dt SECONDS")]
    {
        let e = read(tau, None, None).unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains("neurons 'lif'") && e.remedy.contains(remedy), "{e}");
        assert!(read(tau, Some(dt), None).is_ok(), "whoever says the step is believed");
    }
    assert_eq!(read(1e-2, Some(1e-3), None).unwrap().model.lif.decay, 0.9);
    assert!(read(1e-2, None, Some(0.75)).unwrap_err().remedy.contains("--dt 0.0025 gives decay 0.75"));
}
