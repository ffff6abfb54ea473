//! `spiketrain data simulate`: pictures before a simulated event camera, as files of the real formats.

use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::SimulateArgs;
use super::print;
use super::progress::Voice;
use crate::data::{DatasetName, ImageSet, LoadOptions, Samples, load, sets};
use crate::error::{Error, Result};
use crate::plural::{either, grouped, thousands};
use crate::shape::Chw;
use crate::simulate::Kind;
use crate::simulate::write::{Pictures, write};
use crate::storage::Disk;

/// Pictures per class of DVS-CIFAR10 that are recorded unless a limit is given: its published number.
const PER_CLASS: [usize; 2] = [900, 100];
/// Recordings between two lines where no bar can be drawn.
const LINE_EVERY: u64 = 5_000;

/// Runs the command.
pub fn run(data_dir: PathBuf, a: &SimulateArgs) -> Result<()> {
    super::set_threads(a.threads)?;
    let mut set = source(data_dir, a)?;
    let seconds = Instant::now();
    if a.kind == Kind::DvsCifar10 {
        let limits = [(&mut set.train, a.train_limit, PER_CLASS[0]), (&mut set.test, a.test_limit, PER_CLASS[1])];
        for (samples, limit, published) in limits {
            let classes = set.classes.len();
            *samples = of_each_class(samples, set.shape, classes, limit.map_or(published, |n| n.div_ceil(classes)));
        }
    }
    let source = format!("{}, sha256 of its pictures {}", set.name, set.fingerprint);
    let pictures = Pictures {
        shape: set.shape,
        classes: &set.classes,
        pixels: [&set.train.pixels, &set.test.pixels],
        labels: [&set.train.labels, &set.test.labels],
        source: &source,
    };
    let voice = a.loudness.voice();
    let bar = bar(voice, (set.train.len() + set.test.len()) as u64);
    let progress = |done: u64| {
        bar.set_position(done);
        if bar.is_hidden() && done.is_multiple_of(LINE_EVERY) {
            voice.say(format!("  {} of {}", thousands(done as usize), grouped(bar.length().unwrap_or(0) as usize, "recording")));
        }
    };
    let made = write(&Disk, &a.out, a.kind, &pictures, a.seed, &progress);
    bar.finish_and_clear();
    let made = made?;
    set.notes.iter().chain(&made.notes).for_each(|n| super::tell(n));
    let [train, test] = [thousands(made.recordings[0]), grouped(made.recordings[1], "test recording")];
    print(format!("simulated {} from {}: {train} training and {test} in {}", a.kind, set.name, a.out.display()));
    let new = made.recordings[0] + made.recordings[1] - made.kept;
    let seconds = seconds.elapsed().as_secs_f64();
    let mean = made.events as f64 / new.max(1) as f64;
    print(format!(
        "  {} made now in {seconds:.1} s, {mean:.0} events each; {} {} there",
        thousands(new),
        thousands(made.kept),
        either(made.kept, "was", "were")
    ));
    print("  no camera saw them: accuracy on them says nothing about the real set");
    Ok(())
}

/// The pictures to record.
fn source(data_dir: PathBuf, a: &SimulateArgs) -> Result<ImageSet> {
    let name: DatasetName = a.source[0].parse()?;
    if name.is_events() {
        return Err(Error::usage(format!("'{name}' is a set of recordings already")).remedy("give a set of pictures: mnist, cifar10, …"));
    }
    let images_dir = a.source.get(1).map(PathBuf::from);
    if images_dir.is_some() != name.is_own() {
        let own = sets::IMAGES;
        let what = if images_dir.is_some() { format!("only '{own}' takes a folder") } else { format!("'{name}' needs a folder") };
        let remedy = format!("write: spiketrain data simulate {own} DIR --kind … --out …");
        return Err(Error::usage(what).at("data simulate").remedy(remedy));
    }
    let side = a.kind.manner().side;
    // Of DVS-CIFAR10 the limits are per class, and the source need not have its samples in rounds.
    let limit = |n: Option<usize>| if a.kind == Kind::NMnist { n } else { None };
    load(
        name,
        &LoadOptions {
            data_dir: Some(data_dir),
            images_dir,
            size: Some((side, side)),
            grey: true,
            allow_partial: a.allow_partial,
            seed: a.seed,
            train_limit: limit(a.train_limit),
            test_limit: limit(a.test_limit),
        },
    )
}

/// The first `n` samples of each class, in the order they had.
fn of_each_class(samples: &Samples, shape: Chw, classes: usize, n: usize) -> Samples {
    let mut had = vec![0; classes];
    let mut kept = Samples::default();
    for (&label, pixels) in samples.labels.iter().zip(samples.pixels.chunks_exact(shape.len())) {
        had[label as usize] += 1;
        if had[label as usize] <= n {
            kept.labels.push(label);
            kept.pixels.extend_from_slice(pixels);
        }
    }
    kept
}

fn bar(voice: Voice, recordings: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(recordings), voice.target());
    let style = ProgressStyle::with_template("simulating [{bar:24}] {human_pos} of {human_len} recordings, {per_sec}, {eta} left");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "))
}
