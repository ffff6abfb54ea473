//! The options of `spiketrain data`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Loudness, frames, sensor};
use crate::data::DatasetName;
use crate::events::Sensor;
use crate::events::format::listed;
use crate::frames::SplitBy;
use crate::simulate::Kind;

#[derive(Args)]
pub struct DataArgs {
    /// Folder that holds mnist/, cifar10/, … [default: $SPIKETRAIN_DATA, else ~/.local/share/spiketrain].
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Subcommand)]
pub enum DataCommand {
    /// What there is, and what is here.
    List,
    /// Fetch a data set: resumes, verifies checksums, tries the next mirror.
    ///
    /// Files that are here and good are left alone, damaged ones are replaced. Ctrl-C stops at any time: what has come so far
    /// stays as NAME.part, and the same command goes on from it.
    Download {
        /// mnist, fashion-mnist or cifar10; for the others `spiketrain data list` says what to do by hand.
        name: String,
        /// Fetch from here instead of the publishers, e.g. http://server/mnist/; may be given several times, tried in this order.
        #[arg(long, value_name = "URL")]
        mirror: Vec<String>,
        #[command(flatten)]
        loudness: Loudness,
    },
    /// Verify the checksums of the files that are here.
    Check {
        /// Which set [default: all that are here].
        name: Option<String>,
        #[command(flatten)]
        loudness: Loudness,
    },
    /// Cut event recordings into frames, once: one cache file, which training opens at once.
    ///
    /// Archives are read as they are. What was interrupted goes on where it stopped; what is there and good is only checked, what is
    /// damaged or was made from other files or with other options is built anew.
    Prepare(PrepareArgs),
    /// Show what is in an event recording: counts, times, rate over time, events that are out of place; and pictures of it.
    Inspect(InspectArgs),
    /// Record pictures with a simulated event camera, into files of N-MNIST's or DVS-CIFAR10's format and layout.
    ///
    /// The same command goes on where a stopped one ended. SIMULATED.txt beside the recordings says what they are; accuracy on them
    /// says nothing about the real set.
    Simulate(SimulateArgs),
}

#[derive(Args)]
pub struct InspectArgs {
    #[arg(help = format!("A recording: {}", listed(", or ")))]
    pub file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Size of the camera [default: the format's, if it has one].
    #[arg(long, value_name = "WxH", value_parser = sensor)]
    pub size: Option<Sensor>,
    /// Draw a picture, .png or .svg: ON orange, OFF blue, both light. All events on one frame, or a sheet of --frames.
    #[arg(long, value_name = "FILE")]
    pub picture: Option<PathBuf>,
    /// Draw an animation, .gif.
    #[arg(long, value_name = "FILE")]
    pub animation: Option<PathBuf>,
    /// Frames to cut the recording into, 1 to 64 [default: 1 for a picture, 16 for an animation].
    #[arg(long, value_name = "N", value_parser = frames)]
    pub frames: Option<usize>,
    /// Cut the frames by number (of events) or time.
    #[arg(long, default_value = "number")]
    pub split_by: SplitBy,
    /// Put events in the order of their times first.
    #[arg(long)]
    pub sort: bool,
}

#[derive(Args)]
pub struct SimulateArgs {
    /// Pictures: mnist, fashion-mnist, cifar10, glyphs, or `images DIR`.
    #[arg(required = true, num_args = 1..=2, value_names = ["SOURCE", "DIR"])]
    pub source: Vec<String>,
    /// What is imitated: nmnist (34x34, three saccades) or dvs-cifar10 (128x128, a closed loop of movements).
    #[arg(long)]
    pub kind: Kind,
    /// Folder for the recordings.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Record only the first N training pictures (dvs-cifar10: N by classes of each class) [default: all; dvs-cifar10: 900 of each class].
    #[arg(long, value_name = "N")]
    pub train_limit: Option<usize>,
    /// Record only the first N test pictures (dvs-cifar10: N by classes of each class) [default: all; dvs-cifar10: 100 of each class].
    #[arg(long, value_name = "N")]
    pub test_limit: Option<usize>,
    /// Use an incomplete data set (some CIFAR10 batches, some recordings) as it is.
    #[arg(long)]
    pub allow_partial: bool,
    /// Seed of the camera's pixels and noise, and of glyphs.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub loudness: Loudness,
    /// Worker threads [default: one per core]. The recordings do not depend on it.
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
}

#[derive(Args)]
pub struct PrepareArgs {
    /// nmnist, dvs-gesture, dvs-cifar10, or events (your own recordings, a folder per class).
    pub name: DatasetName,
    /// The folder of the set [default: the one of its name in the data folder]; needed for events.
    pub dir: Option<PathBuf>,
    /// Time steps T, 1 to 64.
    #[arg(short = 'T', long, default_value_t = 16)]
    pub time_steps: usize,
    /// Cut recordings by number (of events) or time.
    #[arg(long, default_value = "number")]
    pub split_by: SplitBy,
    /// Go on when recordings of a published set are missing; said and stored.
    #[arg(long)]
    pub allow_partial: bool,
    /// Put the events of every recording in the order of their times first; without it more than 1 % out of order are refused in training.
    #[arg(long)]
    pub sort: bool,
    /// Any event out of range or out of order is an error.
    #[arg(long)]
    pub strict: bool,
    /// Size of the camera, for events in formats that do not say it.
    #[arg(long, value_name = "WxH", value_parser = sensor)]
    pub size: Option<Sensor>,
    /// Seed of the split of events.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder for prepared frames [default: cache/ in the data folder].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    #[command(flatten)]
    pub loudness: Loudness,
    /// Worker threads [default: one per core].
    #[arg(short = 'j', long)]
    pub threads: Option<usize>,
}
