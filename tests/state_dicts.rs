//! state_dicts as SpikingJelly and snnTorch give them: read with a line for whatever is not a layer's, or refused with a remedy.

use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use spiketrain::error::Result;
use spiketrain::export::{self, Hints, Imported};

mod command;
mod tiny;

use command::{command, said};
use tiny::scratch;

/// Name, kind of number, shape, bytes.
type Stored = (String, Dtype, Vec<usize>, Vec<u8>);

fn f32s(name: &str, shape: &[usize], values: &[f32]) -> Stored {
    (name.to_string(), Dtype::F32, shape.to_vec(), values.iter().flat_map(|v| v.to_le_bytes()).collect())
}

/// Weights that every kind of number holds exactly: eighths.
fn eighths(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect()
}

fn save(path: &Path, tensors: &[Stored]) {
    let views = tensors.iter().map(|(n, d, s, b)| (n.as_str(), TensorView::new(*d, s.clone(), b).unwrap()));
    std::fs::write(path, safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
}

/// Imports tensors as a network of a hidden layer on 1x2x2.
fn import(tensors: &[Stored], net: &str, hints: &Hints) -> Result<Imported> {
    let dir = scratch();
    let path: PathBuf = dir.path().join("net.safetensors");
    save(&path, tensors);
    export::import(&path, &Hints { net: Some(net.into()), shape: Some("1x2x2".parse().unwrap()), ..hints.clone() })
}

/// nn.Sequential(nn.Flatten(), nn.Linear(4, 3, bias=False), neurons, nn.Linear(3, 10, bias=False)).
fn linear() -> Vec<Stored> {
    vec![f32s("1.weight", &[3, 4], &eighths(12)), f32s("3.weight", &[10, 3], &eighths(30))]
}

/// snnTorch's Leaky: three reals and an integer, without sides.
fn leaky(name: &str, beta: f32, threshold: f32, reset: i64) -> Vec<Stored> {
    let scalar = |field: &str, v: f32| f32s(&format!("{name}.{field}"), &[], &[v]);
    let reset = (format!("{name}.reset_mechanism_val"), Dtype::I64, vec![], reset.to_le_bytes().to_vec());
    vec![scalar("beta", beta), scalar("threshold", threshold), scalar("graded_spikes_factor", 1.0), reset]
}

const NET: &str = "3FC-1Voting";

fn noted(imported: &Imported, words: &str) -> bool {
    imported.notes.iter().any(|n| n.contains(words))
}

#[test]
fn layers_without_a_bias_get_one_of_zeros() {
    let read = import(&linear(), NET, &Hints::default()).unwrap();
    assert_eq!((&read.model.layers[0].weight, &read.model.layers[0].bias), (&eighths(12), &vec![0.0; 3]));
    assert!(noted(&read, "no bias in the file, 0 is taken: layers 0, 1"), "{:?}", read.notes);
    assert!(
        noted(&read, "--decay 0.9, --threshold 0.5, --relu on") && noted(&read, "SpikingJelly's LIFNode multiplies"),
        "{:?}",
        read.notes
    );

    // Before BatchNorm, with its counter.
    let mut conv =
        vec![f32s("0.weight", &[2, 1, 3, 3], &eighths(18)), f32s("4.weight", &[10, 8], &eighths(80)), f32s("4.bias", &[10], &eighths(10))];
    conv.extend(["weight", "bias", "running_mean", "running_var"].map(|n| f32s(&format!("1.{n}"), &[2], &[0.5, 1.5])));
    conv.push(("1.num_batches_tracked".into(), Dtype::I64, vec![], 7i64.to_le_bytes().to_vec()));
    let read = import(&conv, "2C3-1Voting", &Hints::default()).unwrap();
    assert_eq!(read.model.layers[0].bias, [0.0; 2]);
    assert_eq!(read.model.layers[0].norm.as_ref().unwrap().running.var, [0.5, 1.5]);
    assert!(noted(&read, "0 is taken: layers 0") && noted(&read, "1 counter of batches"), "{:?}", read.notes);
}

/// binary16 of a number that it holds: sign, exponent with its other bias, ten bits of the fraction; 0 has none of them.
fn half(v: f32) -> u16 {
    let bits = v.to_bits();
    let size = if v == 0.0 { 0 } else { ((bits & 0x7fff_ffff) >> 13) - (112 << 10) };
    (size | bits >> 31 << 15) as u16
}

#[test]
fn numbers_of_every_floating_kind_are_the_same_weights() {
    let wanted = eighths(12);
    let bytes = |kind: Dtype| -> Vec<u8> {
        match kind {
            Dtype::F64 => wanted.iter().flat_map(|v| f64::from(*v).to_le_bytes()).collect(),
            Dtype::BF16 => wanted.iter().flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()).collect(),
            _ => wanted.iter().flat_map(|v| half(*v).to_le_bytes()).collect(),
        }
    };
    for kind in [Dtype::F64, Dtype::BF16, Dtype::F16] {
        let mut tensors = linear();
        tensors[0] = ("1.weight".into(), kind, vec![3, 4], bytes(kind));
        let read = import(&tensors, NET, &Hints::default()).unwrap();
        assert_eq!(read.model.layers[0].weight, wanted, "{kind:?}");
        assert!(noted(&read, &format!("1 tensor of {kind:?} was read as F32")), "{:?}", read.notes);
    }
    let mut quantised = linear();
    quantised[0] = ("1.weight".into(), Dtype::U8, vec![3, 4], vec![1; 12]);
    let e = import(&quantised, NET, &Hints::default()).unwrap_err();
    assert!(e.exit_code() == 2 && e.to_string().contains("'1.weight' holds U8") && e.remedy.contains("v.float()"), "{e}");
}

#[test]
fn scalars_of_neurons_decide_unless_the_user_does() {
    let with = |a: Vec<Stored>, b: Vec<Stored>| [linear(), a, b].concat();
    let both = with(leaky("2", 0.8, 1.0, 0), leaky("4", 0.8, 1.0, 0));
    let read = import(&both, NET, &Hints::default()).unwrap();
    assert_eq!((read.model.lif.decay, read.model.lif.threshold), (0.8, 1.0));
    assert!(
        noted(&read, "decay 0.8, as the file's neurons have it")
            && noted(&read, "subtract the threshold at a spike, those here are reset to 0")
    );
    assert!(noted(&read, "8 scalars of neurons were read and are no layers"), "{:?}", read.notes);

    let said = Hints { decay: Some(0.6), ..Hints::default() };
    let read = import(&both, NET, &said).unwrap();
    assert!(read.model.lif.decay == 0.6 && noted(&read, "decay 0.6 as --decay says; the file's neurons have 0.8"), "{:?}", read.notes);

    let zero = import(&with(leaky("2", 0.8, 1.0, 1), leaky("4", 0.8, 1.0, 1)), NET, &Hints::default()).unwrap();
    // snnTorch 1.0.0 with reset_mechanism="zero" fires where neurons here do, with reset_delay and without it (50 neurons, 60 steps of random input).
    assert!(!zero.notes.iter().any(|n| n.contains("reset to 0") || n.contains("subtract")), "{:?}", zero.notes);

    let differ = with(leaky("2", 0.8, 1.0, 1), leaky("4", 0.7, 1.0, 1));
    let e = import(&differ, NET, &Hints::default()).unwrap_err();
    assert!(e.exit_code() == 2 && e.to_string().contains("'2.beta' 0.8, '4.beta' 0.7") && e.remedy.contains("--decay"), "{e}");
    assert!(import(&differ, NET, &said).is_ok());

    let synaptic = with(leaky("2", 0.8, 1.0, 1), vec![f32s("2.alpha", &[], &[0.9])]);
    assert!(import(&synaptic, NET, &Hints::default()).unwrap_err().to_string().contains("'2.alpha': neurons with a synaptic current"));
    // What nobody knows is still shown.
    let extra = with(vec![f32s("2.gain", &[], &[0.9])], vec![]);
    assert!(import(&extra, NET, &Hints::default()).unwrap_err().to_string().contains("2.gain []   <- extra"));
}

#[test]
fn a_pickle_is_refused_with_two_lines_of_python() {
    let dir = scratch();
    for name in ["m.pt", "m.pth"] {
        let (code, text) = said(&mut command(dir.path(), &["import", name, "--out", "x.ckpt"]));
        let words = ["import torch; from safetensors.torch import save_file\n", "weights_only=True", ".safetensors"];
        assert!(code == Some(2) && words.iter().all(|w| text.contains(w)), "{code:?} {text}");
    }
    let (code, text) = said(&mut command(dir.path(), &["import", "m.safetensors", "--dt", "1e-3", "--out", "x.ckpt"]));
    assert!(code == Some(2) && text.contains("--dt") && text.contains("--decay"), "{code:?} {text}");
}
