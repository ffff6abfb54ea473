//! Every option of a training run, declared once: name, type, help, default, range, and where it counts.
//!
//! To add one, add an entry to the table (what it consists of stands above `options!` in `declare.rs`) and use its field of [`Config`]:
//! the command line, config.toml, studies, resumed runs and the Python package know it then. An option that is younger than the first
//! release is marked so, since older files do not have it.

use std::path::PathBuf;

use super::check::{above, below, scale, steps, utf8, whole, within, writable};
use super::choices::{BestOn, ClassWeights, Device, InstructionSet, NormMode, height_width, on_off};
use super::declare::{Mark, kept, kept_type, options, said};
use super::recipe::Recipe;
use crate::curriculum::TimeSteps;
use crate::data::sets::Defaults;
use crate::data::{DatasetName, Resize};
use crate::error::Result;
use crate::frames::SplitBy;
use crate::limits;
use crate::loss::Loss;
use crate::memory;
use crate::neuron::{Lif, Rule};
use crate::schedule::{Schedule, WarmUp};

options! { |user, set, recipe|
    // The command line reads `--dataset NAME [DIR]`, which says a folder too, by itself (cli/args/train.rs).
    /// Data set.
    #[arg(skip)]
    dataset: DatasetName = set, [Data];
    /// Where what is not said comes from: standard (ours), paper, released (the authors' scripts); see `spiketrain recipes` [default: standard].
    #[arg(long, help_heading = "Training")]
    recipe: Recipe = Recipe::default(), [Training, Younger];
    /// Folder that holds mnist/, cifar10/, … [default: $SPIKETRAIN_DATA, else ~/.local/share/spiketrain].
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: PathBuf, in utf8, [Data, Place];
    /// Folder of pictures, one folder per class (`--dataset images`).
    #[arg(skip)]
    images_dir: PathBuf, in utf8, [Data];
    /// Folder of recordings, one folder per class (`--dataset events`).
    #[arg(skip)]
    events_dir: PathBuf, in utf8, [Data];
    /// Folder for prepared frames of events [default: cache/ in the data folder].
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    cache: PathBuf, in utf8, [Data, Place];
    /// Use an incomplete data set (some CIFAR10 batches, some recordings) as it is; said and stored.
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Data")]
    allow_partial: bool = false, [Data];
    /// HEIGHTxWIDTH that pictures of `--dataset images` are resized to; of `--dataset events` the camera's WIDTHxHEIGHT, if the files do not say.
    #[arg(long, value_name = "HxW|WxH", value_parser = height_width, help_heading = "Data")]
    size: [usize; 2], [Data];
    /// Make pictures of `--dataset images` grey.
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Data")]
    grey: bool = false, [Data];
    // What an imported network's file says; the sets say their own (`data/sets/`), and nobody else should have to.
    /// Mean and standard deviation per channel that pixels of 0 to 1 are scaled by, in config.toml [default: the data set's].
    #[arg(skip)]
    normalize: [Vec<f32>; 2], in scale, [Network, Younger];
    /// Network: small, middle, large, released-…, or a notation such as 16C3-MP2-256FC-DP-10Voting.
    #[arg(long, value_name = "NET", help_heading = "Network")]
    net: String = recipe.net.to_string(), [Network];
    /// Begin with the weights and statistics of this checkpoint, of a run or imported, instead of fresh ones.
    #[arg(long, value_name = "CHECKPOINT", help_heading = "Network")]
    init: PathBuf, in utf8, [Training];
    /// Learning rule: stbp, stbp-detached, bpsa, bpsa+bpta [default: the one of the recipe].
    #[arg(long, help_heading = "Method")]
    rule: Rule = recipe.rule.parse()?, [Learning];
    /// Share of the error that crosses a spike under bpsa+bpta [default: the one of the recipe].
    #[arg(long, help_heading = "Method")]
    alpha: f64 = recipe.alpha, in within(0.0, 1.0), [Learning];
    /// Firing threshold u_th [default: the one of the recipe].
    #[arg(long, help_heading = "Network")]
    threshold: f64 = recipe.threshold, in above(0.0, 1e3), [Network];
    /// Decay λ of the membrane potential per step [default: 0.9].
    #[arg(long, help_heading = "Network")]
    decay: f64 = Lif::default().decay, in within(0.0, 1.0), [Network];
    /// Time steps T, 1 to 64; or a curriculum T:EPOCHS,…, such as 2:8,4:6,16:4: the network's T is the last.
    #[arg(short = 'T', long, value_name = "T|T:EPOCHS,…", help_heading = "Network")]
    time_steps: TimeSteps = recipe.time_steps.parse::<TimeSteps>()?.fitted(epochs_of(user, &recipe)), in steps, [Network, Frames];
    /// Samples per step.
    #[arg(short, long, help_heading = "Training")]
    batch: usize = recipe.batch, in whole(1, limits::MAX_BATCH), [Learning, Training];
    /// Passes over the training set; a curriculum says them itself.
    #[arg(long, help_heading = "Training")]
    epochs: usize = epochs_of(user, &recipe), in whole(1, limits::MAX_EPOCHS), [Learning, Training];
    /// Base learning rate of AdamW [default: the one of recipe and rule].
    #[arg(long, help_heading = "Training")]
    lr: f64 = lr_of(user, &recipe)?, in above(0.0, 10.0), [Learning, Training];
    /// Weight decay of AdamW [default: 0.0001].
    #[arg(long, help_heading = "Training")]
    weight_decay: f64 = 1e-4, in within(0.0, 1.0), [Learning, Training];
    /// Learning-rate schedule: cosine, restarts:EPOCHS[:FACTOR] (cosine with warm restarts), ramp-cosine, constant.
    #[arg(long, help_heading = "Training")]
    schedule: Schedule = recipe.schedule.parse()?, [Learning, Training];
    /// First epochs: none, ann:N (neurons pass their input on) or tssl:N (quiet layers get a smooth surrogate).
    #[arg(long, help_heading = "Method")]
    warm_up: WarmUp = shorter(recipe.warm_up.parse()?, epochs_of(user, &recipe)), [Learning, Training];
    /// BatchNorm statistics: per-step (the paper), or merged, which evaluates better at few time steps [default: the one of the recipe].
    #[arg(long, help_heading = "Network")]
    bn: NormMode = recipe.bn.parse()?, [Learning];
    /// ReLU between the currents and the neurons, on or off: off for networks that shall leave through NIR, which has none [default: on].
    #[arg(long, value_parser = on_off, value_name = "on|off", help_heading = "Network")]
    relu: bool = true, [Network, Younger];
    /// Loss on firing rates: mse, ce, or tet (the squared error of every time step's own rates) [default: the one of the recipe].
    #[arg(long, help_heading = "Method")]
    loss: Loss = recipe.loss.parse()?, [Learning];
    /// Weight of a training sample in the loss: none, or balanced, N/(K·n_c) for a class with n_c of N samples among K classes [default: none].
    #[arg(long, help_heading = "Method")]
    class_weights: ClassWeights = ClassWeights::None, [Learning, Younger];
    /// Random moves of training samples, one draw for all frames: crop, flip and rotate as far as the data set bears it [default: the one of the recipe].
    #[arg(long, num_args = 0..=1, default_missing_value = "true", help_heading = "Data")]
    augment: bool = recipe.augment, [Network];
    /// Cut recordings into T frames by number (of events) or time [default: number].
    #[arg(long, help_heading = "Data")]
    split_by: SplitBy = SplitBy::Number, [Frames, Younger];
    /// Halve the sides of event frames after augmentation: nearest (even pixels are kept), sum (of 2x2 pixels) or none [default: the one of the recipe].
    #[arg(long, help_heading = "Data")]
    resize: Resize = set.preparation.resize, [Network, Younger];
    /// Leave every event of a training sample out with this probability [default: 0].
    #[arg(long, value_name = "P", help_heading = "Data")]
    event_drop: f64 = 0.0, in below(0.0, 1.0), [Network, Younger];
    /// Add noise events to training samples, R per pixel, polarity and frame on average [default: 0].
    #[arg(long, value_name = "R", help_heading = "Data")]
    event_noise: f64 = 0.0, in within(0.0, limits::MAX_EVENT_NOISE), [Network, Younger];
    /// Put the events of every recording in the order of their times first; without it more than 1 % out of order are an error.
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Data")]
    sort: bool = false, [Data, Network, Younger];
    /// Refuse recordings with any event out of range or out of order; without it they are counted, and up to 1 % are let pass.
    #[arg(long, num_args = 0, default_missing_value = "true", help_heading = "Data")]
    strict: bool = false, [Data, Younger];
    /// Seed of everything random [default: 1].
    #[arg(long, help_heading = "Training")]
    seed: u64 = 1, in writable, [Learning, Drawn], session {
        /// Memory to train in, e.g. 1500M or 2G: layers whose input currents do not fit recompute them. The result does not depend on it.
        #[arg(long, value_name = "SIZE", value_parser = memory::parse_size, help_heading = "Machine")]
        memory: usize;
        /// Worker threads [default: one per core]. The result does not depend on it.
        #[arg(short = 'j', long, help_heading = "Machine")]
        threads: usize;
    };
    /// Use the first N training samples (glyphs: draw N; recordings: of the classes in turn).
    #[arg(long, value_name = "N", help_heading = "Data")]
    train_limit: usize, in whole(1, usize::MAX), [Data, Training];
    /// Use the first N test samples (glyphs: draw N; recordings: of the classes in turn).
    #[arg(long, value_name = "N", help_heading = "Data")]
    test_limit: usize, in whole(1, usize::MAX), [Data, Training];
    /// Evaluate every N epochs, and after the last [default: 1].
    #[arg(long, value_name = "N", help_heading = "Training")]
    eval_every: usize = 1, in whole(1, limits::MAX_EPOCHS), [Learning, Training];
    /// Save a checkpoint every N steps besides the one after each epoch [default: 0, none].
    #[arg(long, value_name = "N", help_heading = "Output")]
    checkpoint_every: usize = 0, in whole(0, usize::MAX), [Training];
    /// Write a credit line every K steps; 0: never [default: once per epoch, at its first step].
    #[arg(long, value_name = "K", help_heading = "Output")]
    credit_every: usize, in whole(0, usize::MAX), [Training, Watch];
    /// Hold out this share of the training set and choose the best epoch on it.
    #[arg(long, value_name = "SHARE", help_heading = "Data")]
    val_split: f64 = 0.0, in within(0.0, 0.9), [Training];
    /// Choose the best epoch on: validation, test (biased, and said so), last [default: validation with --val-split or a folder val/, else last].
    #[arg(long, help_heading = "Training")]
    best_on: BestOn = if user.val_split.unwrap_or(0.0) > 0.0 || user.has_validation_folder() { BestOn::Validation } else { BestOn::Last }, [Training];
    /// What computes: cpu (event-driven), reference (slow, f64), gpu (the best graphics card), gpu:N or gpu:NAME [default: cpu].
    #[arg(long, alias = "engine", value_name = "DEVICE", help_heading = "Machine")]
    #[serde(alias = "engine")]
    device: Device = Device::Cpu, [Network];
    /// Instruction set of the cpu engine: portable, neon, avx2, avx512; last bits depend on it [default: the widest of this machine].
    #[arg(long, help_heading = "Machine")]
    isa: InstructionSet = InstructionSet::default(), [Network, Younger];
}

/// Those that are said, by themselves or by a curriculum.
fn epochs_of(user: &Options, recipe: &Defaults) -> usize {
    user.epochs.or(user.time_steps.as_ref().and_then(TimeSteps::epochs)).unwrap_or(recipe.epochs)
}

/// The best one of the rule that is said, or of the recipe's.
fn lr_of(user: &Options, recipe: &Defaults) -> Result<f64> {
    let rule = user.rule.map_or_else(|| recipe.rule.parse(), Ok)?;
    let [sparse, window] = recipe.lr;
    Ok(if matches!(rule, Rule::Bpsa | Rule::BpsaBpta) { sparse } else { window })
}

/// A default warm-up never takes more than a third of a short run.
fn shorter(warm_up: WarmUp, epochs: usize) -> WarmUp {
    let n = warm_up.epochs().min(epochs / 3);
    match warm_up {
        WarmUp::Ann(_) if n > 0 => WarmUp::Ann(n),
        WarmUp::Tssl(_) if n > 0 => WarmUp::Tssl(n),
        _ => WarmUp::None,
    }
}
