//! Networks leave and come back as what they were: every format, odd shapes, and files that are not what they say.

use std::path::Path;
use std::process::Command;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;
use spiketrain::config::{Config, Options};
use spiketrain::engine::{Batch, Running};
use spiketrain::export::agree::{self, Answers};
use spiketrain::export::inputs::Inputs;
use spiketrain::export::model::{Layer, Norm};
use spiketrain::export::{self, Format, Hints, Model, Profile, graph, nir, tensors, unchain};
use spiketrain::neuron::Lif;
use spiketrain::plan::Plan;
use spiketrain::rng::{Purpose, Rng};
use spiketrain::storage::Disk;
use spiketrain::trained::{Trained, numbered};
use spiketrain::values::{Normalization, Values};

mod command;
mod tiny;

use command::{command, said, train};
use tiny::scratch;

/// Networks on odd shapes, with everything that NIR can say.
const NETS: [(&str, &str); 8] = [
    ("5C3-MP2-7C3-AP2-DP-9FC-2Voting", "1x9x8"),
    ("4C5-AP3-3C1-2Voting", "2x7x10"),
    ("6C3-MP3-6C3-MP2-11FC-DP-7FC-3Voting", "3x13x12"),
    ("AP2-3C3-AP2-4FC-2Voting", "2x8x9"),
    ("3Voting", "1x5x3"),
    ("8FC-2Voting", "2x1x7"),
    ("17C3-2Voting", "1x1x1"),
    ("5C3-DP-MP2-AP2-3C3-MP2-2Voting", "1x17x16"),
];

fn config() -> Config {
    Options { time_steps: Some(7.into()), ..Options::default() }.complete().unwrap()
}

fn inputs(m: &Model) -> Inputs {
    Inputs::of(&config(), &m.plan, &numbered(m.plan.classes()))
}

/// A network whose neurons fire, with statistics that are not 0 and 1.
fn model(net: &str, shape: &str, relu: bool, lif: Lif, seed: u64) -> Model {
    let plan = Plan::new(net.parse().unwrap(), shape.parse().unwrap()).unwrap();
    let plan = if relu { plan } else { plan.without_relu() };
    let mut rng = Rng::at(seed, Purpose::Test, 0, 0);
    let mut values = |n: usize, low: f32, high: f32| (0..n).map(|_| rng.uniform(low, high)).collect::<Vec<f32>>();
    let layers = plan.blocks.iter().map(|b| {
        let (c, bound) = (b.output.c, 3.0 / (b.fan_in() as f32).sqrt());
        let norm = b.has_norm().then(|| Norm {
            gamma: values(c, -1.0, 1.4),
            beta: values(c, -0.3, 0.6),
            running: Running { mean: values(c, -0.2, 0.2), var: values(c, 0.1, 2.0) },
        });
        Layer { weight: values(b.weight().len(), -bound, bound), bias: values(c, -0.1, 0.4), norm }
    });
    let layers = layers.collect();
    Model { plan, lif, layers }
}

/// The model as a network that says its classes by number.
fn trained(model: &Model) -> Trained {
    model.trained(config(), numbered(model.plan.classes())).unwrap()
}

fn run(model: &Model, batch: &Batch) -> Answers {
    agree::answers(&trained(model), batch).unwrap()
}

/// Spikes that differ, and spikes.
fn differing(a: &Answers, b: &Answers) -> (usize, usize) {
    let pairs = || a.spikes.iter().flatten().zip(b.spikes.iter().flatten());
    (pairs().filter(|(x, y)| x != y).count(), pairs().filter(|(x, _)| **x == 1.0).count())
}

#[test]
fn nir_files_come_back_as_the_same_network() {
    let dir = scratch();
    let (mut tried, mut different, mut spikes) = (0, 0, 0);
    for (i, (net, shape)) in NETS.into_iter().enumerate() {
        for (j, profile) in [Profile::Portable, Profile::Spec].into_iter().enumerate() {
            for (decay, threshold) in [(0.9, 0.5), (0.5, 0.3), (0.0, 1.0)] {
                let lif = Lif { decay, threshold };
                let m = model(net, shape, false, lif, (i * 2 + j) as u64);
                let path = dir.path().join("net.nir");
                export::write(&Disk, &path, &m, &inputs(&m), Format::Nir, profile).unwrap();
                let back = export::read(&path, &Hints::default()).unwrap();
                assert_eq!(back.lif, lif, "{net}");
                let plain = net.replace("-DP", "");
                assert_eq!(back.plan.notation.to_string(), plain);
                assert!(!back.has_relu() && back.plan.shape == m.plan.shape);
                for direct in [true, false] {
                    let batch = agree::random_inputs(m.plan.shape, 7, 3, direct, tried);
                    let (off, all) = differing(&run(&m, &batch), &run(&back, &batch));
                    (different, spikes) = (different + off, spikes + all);
                }
                tried += 1;
            }
        }
    }
    println!("{tried} graphs, {spikes} spikes, {different} different (rounding at the threshold)");
    assert!(spikes > 10_000 && different * 2_000 < spikes, "{different} of {spikes}");
}

#[test]
fn tensors_come_back_to_the_bit() {
    let dir = scratch();
    let mut tried = 0;
    for (i, (net, shape)) in NETS.into_iter().enumerate() {
        for format in [Format::Safetensors, Format::Npz] {
            for relu in [true, false] {
                let m = model(net, shape, relu, Lif { decay: 0.85, threshold: 0.4 }, i as u64);
                let path = dir.path().join(format!("net.{}", format.name()));
                export::write(&Disk, &path, &m, &inputs(&m), format, Profile::Portable).unwrap();
                let back = export::read(&path, &Hints::default()).unwrap();
                assert_eq!((back.plan.notation.to_string(), back.lif, &back.layers), (net.to_string(), m.lif, &m.layers));
                assert_eq!(back.has_relu(), m.has_relu());
                tried += 1;
            }
        }
    }
    println!("{tried} files");
}

#[test]
fn folding_changes_nothing_but_rounding() {
    let (mut different, mut spikes) = (0, 0);
    for (i, (net, shape)) in NETS.into_iter().enumerate() {
        for relu in [true, false] {
            let m = model(net, shape, relu, Lif::default(), 50 + i as u64);
            let batch = agree::random_inputs(m.plan.shape, 16, 4, i % 2 == 0, i as u64);
            let (off, all) = differing(&run(&m, &batch), &run(&m.folded(), &batch));
            (different, spikes) = (different + off, spikes + all);
        }
    }
    println!("{} networks, {spikes} spikes, {different} different", 2 * NETS.len());
    assert!(spikes > 10_000 && different * 2_000 < spikes, "{different} of {spikes}");
}

#[test]
fn what_has_no_form_in_nir_is_refused() {
    let lif = Lif::default();
    let refused = |net: &str, lif: Lif, words: &[&str]| {
        let e = graph::of(&model(net, "1x16x16", false, lif, 1), Profile::Portable).unwrap_err();
        assert!(e.exit_code() == 2 && words.iter().all(|w| e.to_string().contains(w)), "{net}: {e}");
    };
    refused("MP2-3C3-2Voting", lif, &["max pooling of inputs", "layer 0 (MP2)", "--format safetensors"]);
    refused("3C3-AP2-MP2-2Voting", lif, &["max pooling of averages", "layer 2 (MP2)"]);
    refused("3C3-2Voting", Lif { decay: 1.0, ..lif }, &["decay of 1", "below 1"]);
    println!("3 cases");
}

#[test]
fn graphs_that_cannot_be_read_say_what_and_where() {
    let good = graph::of(&model(NETS[0].0, NETS[0].1, false, Lif::default(), 1), Profile::Spec).unwrap();
    let mut tried = 0;
    let mut bad = |at: usize, node: graph::Node, words: &[&str]| {
        let mut chain = good.clone();
        chain.0[at].1 = node;
        let e = unchain::model(chain.into(), &Hints::default()).unwrap_err();
        let text = e.to_string();
        assert!(e.exit_code() == 2 && words.iter().all(|w| text.contains(w)), "{text}: {words:?}");
        tried += 1;
    };
    use graph::Node;
    let Node::Conv2d { input, weight, padding, bias, .. } = good.0[1].1.clone() else { panic!("{:?}", good.0[1].1.kind()) };
    let conv = |stride, padding, groups| Node::Conv2d {
        input,
        weight: weight.clone(),
        stride,
        padding,
        dilation: [1, 1],
        groups,
        bias: bias.clone(),
    };
    let name = format!("node '{}' (Conv2d)", good.0[1].0);
    bad(1, conv([2, 2], padding, 1), &[&name, "stride [2, 2]", "supported are"]);
    bad(1, conv([1, 1], [0, 0], 1), &[&name, "padding [0, 0]"]);
    bad(1, conv([1, 1], padding, 5), &[&name, "groups 5"]);
    let Node::Lif { shape, .. } = good.0[2].1.clone() else { panic!() };
    let lif = |tau, threshold| Node::Lif { shape: shape.clone(), tau, r: 1.0, threshold };
    bad(2, lif(1e-3, 0.7), &["decay 0.9 and threshold 0.5 here", "threshold 0.7 before"]);
    bad(2, lif(1e-5, 0.5), &["tau 0.00001 s", "must be 0.0001 s or more", "--dt"]);
    bad(2, lif(f64::NAN, 0.5), &["tau NaN"]);
    bad(1, Node::Flatten(vec![7]), &["(Flatten)", "of [7]"]);
    let pool = |k, stride| Node::Pool { average: true, kernel: [k, k], stride: [stride, stride], padding: [0, 0] };
    bad(1, pool(3, 2), &["(AvgPool2d)", "windows [3, 3] with stride [2, 2]"]);
    bad(1, pool(99, 99), &["on 1x9x8"]);
    bad(0, Node::Input(vec![2, 2, 3, 4]), &["expected an input of C,H,W"]);
    println!("{tried} graphs refused");
}

#[test]
fn damaged_files_never_panic() {
    let dir = scratch();
    let m = model(NETS[0].0, NETS[0].1, false, Lif::default(), 3);
    let mut refused = 0;
    let cases = 400 * tiny::soak();
    for format in [Format::Nir, Format::Safetensors, Format::Npz] {
        let path = dir.path().join(format!("x.{}", format.name()));
        export::write(&Disk, &path, &m, &inputs(&m), format, Profile::Portable).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for case in 0..cases {
            let mut rng = tiny::random(77, case);
            let mut bytes = whole.clone();
            match rng.below(3) {
                0 => bytes.truncate(rng.below(whole.len())),
                _ => (0..1 + rng.below(4)).for_each(|_| {
                    // Headers are where the structure is.
                    let at = if rng.below(2) == 0 { rng.below(whole.len()) } else { rng.below(2000.min(whole.len())) };
                    bytes[at] = rng.below(256) as u8;
                }),
            }
            std::fs::write(&path, &bytes).unwrap();
            match export::read(&path, &Hints::default()) {
                Ok(back) => assert_eq!(back.layers.len(), back.plan.blocks.len()),
                Err(e) => {
                    assert!(matches!(e.exit_code(), 2 | 4), "{e}");
                    refused += 1;
                }
            }
        }
    }
    println!("{} damaged files, {refused} refused", 3 * cases);
    assert!(refused > cases);
    assert!(nir::read_bytes(b"\x89HDF\r\n\x1a\n".to_vec()).is_err());
}

/// Tensors by name and shape.
type Shapes<'a> = Vec<(&'a str, &'a [usize])>;

/// A state_dict as PyTorch writes it, with the names of a module written by hand.
fn state_dict(path: &Path, tensors: &[(&str, &[usize])]) {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, s)| vec![0u8; 4 * s.iter().product::<usize>()]).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((n, shape), b)| (*n, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.to_vec(), b).unwrap()));
    std::fs::write(path, safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
}

#[test]
fn a_state_dict_is_taken_in_layer_order_and_what_does_not_fit_is_shown() {
    let dir = scratch();
    let path = dir.path().join("net.safetensors");
    let hints = Hints { net: Some("4C3-MP2-3C3-2Voting".into()), shape: Some("1x4x4".parse().unwrap()), ..Hints::default() };
    let bn = |n: &'static str, c: &'static [usize]| {
        [("weight", c), ("bias", c), ("running_mean", c), ("running_var", c)].map(|(k, s)| (format!("{n}.{k}"), s))
    };
    let all: Vec<(String, &[usize])> = [bn("bn2", &[4]), bn("bn10", &[3])].into_iter().flatten().collect();
    let mut tensors: Vec<(&str, &[usize])> = all.iter().map(|(n, s)| (n.as_str(), *s)).collect();
    tensors.extend([("conv1.weight", &[4, 1, 3, 3][..]), ("conv1.bias", &[4]), ("conv2.weight", &[3, 4, 3, 3]), ("conv2.bias", &[3])]);
    tensors.extend([("fc.weight", &[20, 12][..]), ("fc.bias", &[20])]);
    state_dict(&path, &tensors);
    let m = export::read(&path, &hints).unwrap();
    assert_eq!(m.layers.iter().map(|l| l.weight.len()).collect::<Vec<_>>(), [36, 108, 240]);

    let wrong = |change: &dyn Fn(&mut Shapes), words: &[&str]| {
        let mut changed = tensors.clone();
        change(&mut changed);
        state_dict(&path, &changed);
        let e = export::read(&path, &hints).unwrap_err();
        assert!(e.exit_code() == 2 && words.iter().all(|w| e.to_string().contains(w)), "{e}");
    };
    wrong(&|t| t.retain(|(n, _)| *n != "bn10.running_var"), &["2.bn.running_var", "missing   <-", "expected"]);
    wrong(&|t| t.push(("fc2.weight", &[5, 20])), &["fc2.weight [5, 20]   <- extra"]);
    wrong(
        &|t| t.iter_mut().filter(|(n, _)| *n == "conv2.weight").for_each(|(_, s)| *s = &[3, 4, 5, 5]),
        &["2.weight", "[3, 4, 3, 3]", "conv2.weight [3, 4, 5, 5]   <-"],
    );
    state_dict(&path, &tensors);
    assert!(export::read(&path, &Hints { net: None, ..hints.clone() }).unwrap_err().remedy.contains("--net"));
    assert!(export::read(&path, &Hints { shape: None, ..hints }).unwrap_err().remedy.contains("--shape"));
    println!("6 files");
}

/// As SpikingJelly's and snnTorch's own layers give them.
#[test]
fn layers_without_bias_constants_of_neurons_and_other_widths_are_read() {
    let dir = scratch();
    let path = dir.path().join("net.safetensors");
    let hints = Hints { net: Some("2FC-1Voting".into()), shape: Some("1x1x3".parse().unwrap()), ..Hints::default() };
    let of = |values: &[f64], dtype: Dtype| -> Vec<u8> {
        let bytes = |v: &f64| match dtype {
            Dtype::F64 => v.to_le_bytes().to_vec(),
            Dtype::F16 => half::f16::from_f64(*v).to_le_bytes().to_vec(),
            Dtype::BF16 => half::bf16::from_f64(*v).to_le_bytes().to_vec(),
            Dtype::I64 => (*v as i64).to_le_bytes().to_vec(),
            _ => (*v as f32).to_le_bytes().to_vec(),
        };
        values.iter().flat_map(bytes).collect()
    };
    let (first, second) = ([0.5, -0.25, 2.0, 1.0, 0.0, -1.5], vec![0.125; 20]);
    for dtype in [Dtype::F64, Dtype::F16, Dtype::BF16, Dtype::F32] {
        let all = [
            ("1.weight", vec![2, 3], dtype, of(&first, dtype)),
            ("2.beta", vec![], dtype, of(&[0.75], dtype)),
            ("2.threshold", vec![], dtype, of(&[1.0], dtype)),
            ("2.reset_mechanism_val", vec![], Dtype::I64, of(&[0.0], Dtype::I64)),
            ("3.weight", vec![10, 2], dtype, of(&second, dtype)),
            ("5.num_batches_tracked", vec![], Dtype::I64, of(&[7.0], Dtype::I64)),
        ];
        let views = all.iter().map(|(n, shape, dtype, b)| (*n, TensorView::new(*dtype, shape.clone(), b).unwrap()));
        std::fs::write(&path, safetensors::serialize(views.collect::<Vec<_>>(), None).unwrap()).unwrap();
        let read = export::import(&path, &hints).unwrap();
        let wide: Vec<f64> = read.model.layers[0].weight.iter().map(|&w| f64::from(w)).collect();
        assert_eq!((wide, &read.model.layers[0].bias), (first.to_vec(), &vec![0.0; 2]), "{dtype:?}");
        let notes = read.notes.join("; ");
        assert_eq!(read.model.lif, Lif { decay: 0.75, threshold: 1.0 });
        let parts = ["decay 0.75, as the file", "threshold 1, as the file", "no bias in the file, 0 is taken", "subtract"];
        assert!(parts.iter().all(|part| notes.contains(part)), "{notes}");
    }
    let pickled = export::read(&dir.path().join("net.pt"), &hints).unwrap_err();
    assert!(pickled.exit_code() == 2 && pickled.remedy.contains("save_file({k: v.contiguous()"), "{pickled}");
}

/// Sources that a compiler checks, with a main that prints spikes of the last layer and the class of every sample in `input.bin`.
fn main_c(name: &str, inputs: usize, samples: usize, steps: usize) -> String {
    let upper = name.to_uppercase();
    format!(
        "#include <stdio.h>\n#include \"{name}.h\"\nstatic {name}_net net;\nstatic float frame[{inputs}];\nint main(int argc, char **argv) {{\n\
         FILE *f = fopen(argv[argc - 1], \"rb\");\nif (!f || {upper}_STEPS < 1) return 1;\nfor (int b = 0; b < {samples}; b++) {{\n\
         {name}_reset(&net);\nfor (int t = 0; t < {steps}; t++) {{\nif (fread(frame, 4, {inputs}, f) != {inputs}) return 2;\n\
         if (b % 2) {{ for (int i = 0; i < {inputs}; i++) for (int n = 0; n < (int)frame[i]; n++)\n\
         {name}_event(&net, i / ({upper}_HEIGHT * {upper}_WIDTH), i / {upper}_WIDTH % {upper}_HEIGHT, i % {upper}_WIDTH);\n\
         {name}_event(&net, -1, 0, 0); {name}_tick(&net); }} else {name}_step(&net, frame);\n}}\n\
         for (int i = 0; i < {upper}_CLASSES; i++) printf(\"%u \", (unsigned)net.votes[i]);\nprintf(\"%d\\n\", {name}_class(&net));\n}}\nreturn fclose(f);\n}}\n"
    )
}

fn compiler() -> Option<Vec<&'static str>> {
    let works = |flags: &[&str]| {
        let dir = scratch();
        std::fs::write(dir.path().join("a.c"), "int main(void) { return 0; }").unwrap();
        let made = Command::new("cc").args(flags).args(["a.c", "-o", "a"]).current_dir(dir.path()).output();
        made.is_ok_and(|o| o.status.success()) && Command::new(dir.path().join("a")).status().is_ok_and(|s| s.success())
    };
    let strict = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-pedantic"];
    let sanitized = [&strict[..], &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]].concat();
    if works(&sanitized) { Some(sanitized) } else { works(&strict).then(|| strict.to_vec()) }
}

/// C code that is fed what a camera or a file gives must see what the network saw in training.
#[test]
fn raw_pixels_become_the_input_of_training_in_c_and_classes_have_their_names() {
    let Some(flags) = compiler() else { return println!("SKIPPED: there is no C compiler (cc)") };
    let dir = scratch();
    let m = model("2C3-2Voting", "3x2x5", true, Lif::default(), 1);
    let normalization = Normalization { mean: vec![0.4914, 0.4822, 0.4465], std: vec![0.247, 0.2435, 0.2616] };
    let names = ["plane \"1\" */ ??/", "Flugzeug \u{e4}\\n"].map(str::to_string).to_vec();
    let pixels = Some([normalization.mean.clone(), normalization.std.clone()]);
    let inputs = Inputs { pixels, classes: names.clone(), ..inputs(&m) };
    export::write(&Disk, &dir.path().join("net.c"), &m, &inputs, Format::C, Profile::Portable).unwrap();
    let main = "#include <stdio.h>\n#include \"net.h\"\nint main(void) {\nuint8_t pixels[30];\nfloat frame[30];\n\
                for (int i = 0; i < 30; i++) pixels[i] = (uint8_t)(i * 37 % 256);\nnet_pixels(pixels, frame);\n\
                for (int i = 0; i < 30; i++) printf(\"%.9g\\n\", (double)frame[i]);\nputs(net_class_name(0));\nputs(net_class_name(1));\n\
                puts(net_class_name(2));\nreturn 0;\n}\n";
    std::fs::write(dir.path().join("main.c"), main).unwrap();
    let made = Command::new("cc").args(&flags).args(["main.c", "net.c", "-o", "run"]).current_dir(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let out = Command::new(dir.path().join("run")).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let raw = (0..30).map(|i| (i * 37 % 256) as u8).collect();
    let want = Values::Pixels(raw, normalization.into()).reals(m.plan.shape);
    for (line, want) in lines.iter().zip(&want) {
        let got: f32 = line.parse().unwrap();
        assert!((got - want).abs() < 1e-5, "{got} {want}");
    }
    assert_eq!(&lines[30..], [&names[0], &names[1], ""]);
}

/// What feeds a network travels with it.
#[test]
fn every_format_says_how_inputs_are_scaled_and_what_classes_are_called() {
    let dir = scratch();
    let m = model("2C3-2Voting", "1x4x4", false, Lif::default(), 1);
    let inputs = Inputs { classes: vec!["left".into(), "right".into()], ..inputs(&m) };
    for format in [Format::Nir, Format::Safetensors, Format::Npz] {
        let path = dir.path().join(format!("net.{}", format.name()));
        export::write(&Disk, &path, &m, &inputs, format, Profile::Portable).unwrap();
        let about = match format {
            Format::Nir => nir::read(&path).unwrap().about,
            Format::Safetensors => tensors::read_safetensors(&path).unwrap().1,
            _ => tensors::read_npz(&path).unwrap().1,
        };
        inputs.about().iter().for_each(|(key, value)| assert_eq!(about.get(key), Some(value), "{} {key}", format.name()));
        assert!(about["input"].contains("(v / 255 - mean[c]) / std[c]") && about["time_steps"] == "7");
        let stated = export::import(&path, &Hints::default()).unwrap().stated;
        assert_eq!((stated.classes, stated.pixels, stated.steps), (Some(inputs.classes.clone()), inputs.pixels.clone(), Some(7)));
    }
}

/// A graph does not say how long a step is: what nobody said is said, and what cannot be is refused.
#[test]
fn the_time_step_of_a_graph_is_the_users_the_files_or_said_to_be_assumed() {
    let dir = scratch();
    let path = dir.path().join("net.nir");
    let m = model("8FC-2Voting", "1x4x4", false, Lif { decay: 0.9, threshold: 0.5 }, 1);
    let read = |hints: &Hints| export::import(&path, hints);
    export::write(&Disk, &path, &m, &inputs(&m), Format::Nir, Profile::Portable).unwrap();
    let ours = read(&Hints::default()).unwrap();
    assert!(
        ours.model.lif.decay == 0.9 && ours.notes == ["time step 0.0001 s (as the file's metadata say): decay 0.9"],
        "{:?}",
        ours.notes
    );
    // As Norse writes it: a step of a millisecond, which the file does not say.
    let of_norse = || {
        let mut chain = graph::of(&m, Profile::Portable).unwrap();
        chain.0.iter_mut().for_each(|(_, node)| {
            if let graph::Node::Lif { tau, .. } = node {
                *tau *= 10.0;
            }
        });
        chain
    };
    nir::write_without_metadata(&Disk, &path, &of_norse()).unwrap();
    let e = read(&Hints::default()).unwrap_err();
    assert!(e.exit_code() == 2 && e.to_string().contains("decay of 0.99") && e.remedy.contains("--dt"), "{e}");
    let back = read(&Hints { dt: Some(1e-3), ..Hints::default() }).unwrap();
    assert!(back.model.lif.decay == 0.9 && back.notes[0].contains("0.001 s (as --dt says): decay 0.9"), "{:?}", back.notes);
    assert!(back.notes.iter().any(|n| n.contains("subtract")), "{:?}", back.notes);
    let batch = agree::random_inputs(m.plan.shape, 7, 3, false, 1);
    assert_eq!(run(&back.model, &batch).rates, run(&ours.model, &batch).rates);
}

#[test]
fn a_flat_input_gets_its_shape_from_the_user() {
    let dir = scratch();
    let path = dir.path().join("net.nir");
    let m = model("8FC-2Voting", "16x1x1", false, Lif::default(), 1);
    let mut chain = graph::of(&m, Profile::Spec).unwrap();
    chain.0[0].1 = graph::Node::Input(vec![16]);
    nir::write_without_metadata(&Disk, &path, &chain).unwrap();
    let shape = |text: &str| Hints { shape: Some(text.parse().unwrap()), ..Hints::default() };
    assert_eq!(export::read(&path, &shape("1x4x4")).unwrap().plan.shape.to_string(), "1x4x4");
    assert_eq!(export::read(&path, &Hints::default()).unwrap().plan.shape.to_string(), "16x1x1");
    let e = export::read(&path, &shape("1x4x5")).unwrap_err();
    assert!(e.to_string().contains("--shape") && e.to_string().contains("[16]"), "{e}");
}

#[test]
fn the_c_code_compiles_without_a_warning_and_votes_as_measured() {
    let Some(flags) = compiler() else { return println!("SKIPPED: there is no C compiler (cc)") };
    let (mut compared, mut votes) = (0, 0);
    let (steps, samples) = (9, 4);
    let more = [("MP2-3C3-AP2-MP2-6FC-2Voting", "2x12x9"), ("AP2-MP2-4C3-2Voting", "1x9x12")];
    for (i, (net, shape)) in NETS.into_iter().chain(more).enumerate() {
        for relu in [true, false] {
            let dir = scratch();
            let m = model(net, shape, relu, Lif { decay: 0.9, threshold: 0.4 }, i as u64);
            export::write(&Disk, &dir.path().join("tiny_net.c"), &m, &inputs(&m), Format::C, Profile::Portable).unwrap();
            let batch = agree::random_inputs(m.plan.shape, steps, samples, false, i as u64);
            let frames = batch.frames();
            let n = m.plan.shape.len();
            let bytes: Vec<u8> = (0..samples)
                .flat_map(|b| (0..steps).flat_map(move |t| (t * samples + b) * n..(t * samples + b + 1) * n))
                .flat_map(|i| frames[i].to_le_bytes())
                .collect();
            std::fs::write(dir.path().join("input.bin"), bytes).unwrap();
            std::fs::write(dir.path().join("main.c"), main_c("tiny_net", n, samples, steps)).unwrap();
            let made =
                Command::new("cc").args(&flags).args(["main.c", "tiny_net.c", "-o", "run"]).current_dir(dir.path()).output().unwrap();
            assert!(made.status.success(), "{net}: {}", String::from_utf8_lossy(&made.stderr));
            let out = Command::new(dir.path().join("run")).arg(dir.path().join("input.bin")).output().unwrap();
            assert!(out.status.success(), "{net}: {:?} {}", out.status, String::from_utf8_lossy(&out.stderr));
            let want = export::Integer::of(&m).unwrap().run(&batch);
            let classes = m.plan.classes();
            for (line, rates) in String::from_utf8(out.stdout).unwrap().lines().zip(want.rates.chunks(classes)) {
                let said: Vec<usize> = line.split_whitespace().map(|w| w.parse().unwrap()).collect();
                let counts: Vec<usize> = rates.iter().map(|r| (r * (10 * steps) as f64).round() as usize).collect();
                assert_eq!((&said[..classes], said[classes]), (&counts[..], spiketrain::loss::predict(rates)), "{net}");
                votes += counts.iter().sum::<usize>();
                compared += 1;
            }
        }
    }
    println!("{compared} samples, {votes} votes, cc {}", flags.join(" "));
    assert!(compared == 2 * (NETS.len() + more.len()) * samples && votes > 500);
}

/// A network is fed as its file says, whatever data set is named at the import.
#[test]
fn an_imported_network_prepares_samples_as_the_exported_one_did() {
    let dir = scratch();
    let ok = |args: &[&str]| {
        let (code, text) = said(&mut command(dir.path(), args));
        assert_eq!(code, Some(0), "{args:?}: {text}");
        text
    };
    let refused = |args: &[&str], words: &[&str]| {
        let (code, text) = said(&mut command(dir.path(), args));
        assert!(code == Some(2) && words.iter().all(|w| text.contains(w)), "{args:?}: {code:?} {text}");
    };
    std::fs::write(dir.path().join("scaled.toml"), "normalize = [[0.5], [0.25]]\n").unwrap();
    ok(&train(&["--config=scaled.toml", "--out=scaled", "--relu=off", "--net=3C3-MP7-8FC-10Voting"]));
    let picture: Vec<u8> = (0..28 * 28).map(|i| (i * 5 % 256) as u8).collect();
    image::GrayImage::from_vec(28, 28, picture).unwrap().save(dir.path().join("x.png")).unwrap();
    let rates = |checkpoint: &str| json(&ok(&["predict", checkpoint, "x.png", "--json"]))["rates"].clone();
    let loss = |checkpoint: &str| json(&ok(&["eval", checkpoint, "--json"]))["test_loss"].as_f64().unwrap();
    for format in ["nir", "safetensors", "npz"] {
        let report = json(&ok(&["export", "scaled", "--format", format, "--samples", "20", "--json"]));
        assert_eq!(report["inputs"]["input_mean"], "[0.5]", "{report}");
        let file = format!("scaled/last.{format}");
        let text = ok(&["import", &file, "--out", "alone.ckpt", "--train-limit=64", "--test-limit=20"]);
        assert!(text.contains("input, as the file says: ") && text.contains("mean [0.5] and std [0.25]"), "{text}");
        let text = ok(&["import", &file, "--out", "own.ckpt", "--dataset", "images", "pictures"]);
        assert!(text.contains("mean [0.5] and std [0.25]") && text.contains("T 2, data set images"), "{text}");
        let off = (loss("alone.ckpt") - loss("scaled")).abs();
        assert!(off < if format == "nir" { 1e-3 } else { 1e-12 }, "{format}: {off}");
        if format != "nir" {
            assert!(report["exact"] == true && rates("own.ckpt") == rates("scaled"), "{format}");
        }
        assert_eq!(rates("own.ckpt"), rates("alone.ckpt"));
        let import = |more: &[&'static str]| [&["import", file.as_str(), "--out", "x.ckpt"], more].concat();
        refused(&import(&["--dataset=mnist"]), &["--dataset mnist", "mean [0.5]", "leave it out"]);
        refused(&import(&["--dataset=glyphs", "-T", "3"]), &["the file says T 2", "leave the option out"]);
        refused(&import(&["--classes=9,8,7,6,5,4,3,2,1,0"]), &["the classes are 0, 1", "--classes"]);
    }
    ok(&train(&["--out=moving", "--relu=off", "--dataset=motions", "--time-steps=4", "--net=2C3-MP7-{n}Voting"]));
    ok(&["export", "moving", "--format=npz", "--samples=8"]);
    ok(&["import", "moving/last.npz", "--out=moving.ckpt", "--train-limit=64", "--test-limit=20"]);
    assert_eq!(loss("moving.ckpt"), loss("moving"));
    refused(&["import", "moving/last.npz", "--out=x.ckpt", "--dataset=glyphs"], &["--dataset glyphs", "frames of events"]);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn the_command_exports_compares_and_imports() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    let ok = |args: &[&str]| {
        let (code, text) = said(&mut command(dir.path(), args));
        assert_eq!(code, Some(0), "{args:?}: {text}");
        text
    };
    let refused = |args: &[&str], words: &[&str]| {
        let (code, text) = said(&mut command(dir.path(), args));
        assert!(code == Some(2) && words.iter().all(|w| text.contains(w)), "{args:?}: {code:?} {text}");
    };
    ok(&train(&["--out=plain", "--relu=off", "--net=3C3-MP7-8FC-DP-10Voting"]));
    ok(&train(&["--out=relu"]));
    for format in ["nir", "safetensors", "npz"] {
        let report = json(&ok(&["export", "plain", "--format", format, "--samples", "20", "--json"]));
        assert_eq!(report["agreement"]["samples"], 20, "{report}");
        assert!(format == "nir" || report["exact"] == true, "{report}");
        assert!(report["agreement"]["same_class"].as_u64().unwrap() >= 19, "{report}");
        let file = format!("plain/last.{format}");
        for beside in ["agreement.json", "trace.npz"] {
            assert!(at(&format!("{file}.{beside}")).exists(), "{beside}");
        }
        ok(&["import", &file, "--out", "back.ckpt", "--dataset=glyphs", "-T", "2", "--train-limit=64", "--test-limit=20"]);
        let (a, b) = (json(&ok(&["eval", "plain", "--json"])), json(&ok(&["eval", "back.ckpt", "--json"])));
        assert_eq!(a["test_samples"], b["test_samples"]);
        let off = (a["test_loss"].as_f64().unwrap() - b["test_loss"].as_f64().unwrap()).abs();
        assert!(off < if format == "nir" { 1e-3 } else { 1e-12 }, "{format}: {a} {b}");
        let net = if format == "nir" { "--net=3C3-MP7-8FC-10Voting" } else { "--net=3C3-MP7-8FC-DP-10Voting" };
        ok(&train(&[&format!("--out=more-{format}"), "--relu=off", net, "--init=back.ckpt", "--epochs=1"]));
    }
    let c = json(&ok(&["export", "relu", "--format", "c", "--out", "tiny_net.c", "--samples=20", "--json"]));
    assert!(at("tiny_net.h").exists() && c["agreement"]["same_class"].as_u64().unwrap() >= 15, "{c}");
    refused(&["export", "relu", "--format", "c", "--out", "tiny-net.c"], &["'tiny-net' is no name in C"]);
    refused(&["export", "relu", "--format", "nir"], &["NIR has no ReLU", "--relu off", "--allow-lossy"]);
    let lossy = json(&ok(&["export", "relu", "--format", "nir", "--allow-lossy", "--samples=5", "--json"]));
    assert_eq!(lossy["relu"], false);
    refused(&["export", "relu", "--format", "onnx"], &["no such format; choose nir, safetensors, npz, c"]);
    refused(&["export", "relu", "--format", "npz", "--out", "a.zip"], &["does not end in .npz"]);
    refused(&["import", "net.pth", "--out", "x.ckpt"], &["'pth'", ".safetensors"]);
    refused(&["import", "plain/last.nir", "--out", "x.ckpt", "--threshold", "0.7"], &["--threshold", "the file knows"]);
    let mut newer = std::fs::read(at("plain/last.ckpt")).unwrap();
    newer[8] = 9;
    std::fs::write(at("newer.ckpt"), newer).unwrap();
    refused(&["export", "newer.ckpt", "--format", "npz"], &["newer spiketrain", "version 9"]);
}

#[test]
fn engines_and_networks_agree_on_what_a_folded_norm_is() {
    let m = model(NETS[0].0, NETS[0].1, true, Lif::default(), 9).folded();
    let net = trained(&m);
    assert_eq!(Model::of(&net).unwrap().folded().layers, m.layers, "a norm that changes nothing folds to nothing");
    assert_eq!(net.engine(), "cpu");
}
