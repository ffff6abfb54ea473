//! Words for options: good ones that cost little, ones at the edge, and absurd ones.

use std::ffi::OsString;

use spiketrain::rng::Rng;

/// Good values of options by name; whatever takes time or memory has small ones only.
const GOOD: &[(&str, &[&str])] = &[
    ("dataset", &["glyphs", "motions", "mnist", "images images", "events events", "cifar10", "nmnist"]),
    ("data-dir", &["data", "nowhere"]),
    ("cache", &["cache"]),
    ("size", &["8x8", "28x28", "128x128"]),
    ("net", &["2C3-MP4-10Voting", "4FC-10Voting", "2C3-AP7-DP-10Voting", "3FC-2Voting"]),
    ("rule", &["stbp", "stbp-detached", "bpsa", "bpsa+bpta"]),
    ("alpha", &["0", "0.5", "10"]),
    ("threshold", &["0.5", "1000"]),
    ("decay", &["0", "0.9", "1"]),
    ("time-steps", &["1", "2", "4"]),
    ("batch", &["2", "8", "16"]),
    ("epochs", &["1", "2"]),
    ("lr", &["0.001", "10"]),
    ("weight-decay", &["0", "1"]),
    ("schedule", &["constant", "ramp-cosine", "restarts:1", "restarts:2:1.5"]),
    ("warm-up", &["none", "ann:1", "tssl:1"]),
    ("bn", &["per-step", "merged"]),
    ("loss", &["mse", "ce"]),
    ("augment", &["true", "false"]),
    ("split-by", &["number", "time"]),
    ("resize", &["nearest", "sum", "none"]),
    ("event-drop", &["0", "0.5"]),
    ("event-noise", &["0", "0.1"]),
    ("seed", &["0", "1", "9223372036854775807"]),
    ("memory", &["1", "1M", "200M", "2G"]),
    ("threads", &["1", "2", "0"]),
    ("train-limit", &["16", "20"]),
    ("test-limit", &["1", "10"]),
    ("eval-every", &["1", "3"]),
    ("checkpoint-every", &["0", "1"]),
    ("credit-every", &["0", "1"]),
    ("val-split", &["0", "0.5"]),
    ("best-on", &["validation", "test", "last"]),
    ("engine", &["cpu", "reference"]),
    ("isa", &["portable", "neon", "avx2", "avx512"]),
    ("config", &["config.toml", "run/config.toml", "random.toml"]),
    ("out", &["out", "run", "deep/er/out"]),
    ("resume", &["run", "out"]),
    ("checkpoint", &["run", "run/last.ckpt"]),
    ("files", &["picture.png", "recording.bin"]),
    ("file", &["recording.bin", "run/last.ckpt"]),
    ("runs", &["run"]),
    ("run", &["run"]),
    ("html", &["page.html", "out/page.html"]),
    ("samples", &["0", "2"]),
    ("test-samples", &["1", "10"]),
    ("shape", &["1x28x28", "2x12x12"]),
    ("classes", &["2", "10"]),
    ("rate", &["0", "0.3", "1"]),
    ("inputs", &["noise", "smooth"]),
    ("steps", &["1"]),
    ("vs", &["config.toml"]),
    ("fixtures", &["nowhere"]),
    ("name", &["mnist", "nmnist", "events", "dvs-gesture"]),
    ("dir", &["events", "nowhere"]),
    ("mirror", &["http://127.0.0.1:1/"]),
    ("picture", &["p.png", "p.svg"]),
    ("animation", &["a.gif"]),
    ("frames", &["1", "16"]),
    ("source", &["glyphs", "images images"]),
    ("kind", &["nmnist", "dvs-cifar10"]),
    ("rules", &["bpsa", "stbp,bpsa"]),
    ("alphas", &["0", "0,1"]),
    ("seeds", &["1"]),
    ("budget", &["0.001"]),
];
/// Values at the ends of what numbers, names and paths can be.
const EDGE: [&str; 26] = [
    "",
    "0",
    "-1",
    "1.5",
    "65",
    "70000",
    "1e400",
    "-1e400",
    "NaN",
    "inf",
    "18446744073709551615",
    "18446744073709551616",
    "9223372036854775808",
    "0x10",
    "1x1x1",
    "2048x2048",
    "99999x1",
    "1,2,,3",
    "ann:",
    "restarts:0:NaN",
    "../outside",
    "/dev/null/x",
    "/proc/self/mem",
    "ü€\u{1F600}",
    "--",
    "\u{1b}[2J\r\n",
];
/// Networks that are too large, or no networks.
const NETS: [&str; 8] = [
    "1048576FC-1048576FC-10Voting",
    "1048576C15-10Voting",
    "10000Voting",
    "2C3-MP64-10Voting",
    "-10Voting",
    "2C4-10Voting",
    "10Voting-2C3",
    "99999999999999999999C3-10Voting",
];

/// A good value of an option, if any is known.
pub fn good(name: &str, rng: &mut Rng) -> Option<&'static str> {
    let values = GOOD.iter().find(|(n, _)| *n == name)?.1;
    Some(values[rng.below(values.len())])
}

/// Any value.
pub fn absurd(name: &str, rng: &mut Rng) -> OsString {
    match rng.below(12) {
        0 => "9".repeat(1 + rng.below(3000)).into(),
        1 => "ab-".repeat(1 + rng.below(3000)).into(),
        2 => not_utf8(),
        3 | 4 if name == "net" => NETS[rng.below(NETS.len())].into(),
        5 => {
            let other = GOOD[rng.below(GOOD.len())].1;
            other[rng.below(other.len())].into()
        }
        _ => EDGE[rng.below(EDGE.len())].into(),
    }
}

#[cfg(unix)]
fn not_utf8() -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(vec![b'x', 0xff, 0xfe])
}

#[cfg(not(unix))]
fn not_utf8() -> OsString {
    "x".into()
}
