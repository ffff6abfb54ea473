mod dvs_cifar10_set;
mod dvs_gesture_set;
mod nmnist_set;
mod users_folder;

use super::*;
use crate::data::zip::tests::zip;
use crate::events::{Event, aedat2, aedat3, nmnist as bin};
use crate::frames::{FrameSource, counts};
use crate::rng::{Purpose, Rng};

/// Events in order, from `t` on, on a sensor of `side` x `side`.
fn events(n: usize, side: usize, case: u64, mut t: u64) -> Vec<Event> {
    let mut rng = Rng::at(5, Purpose::Test, case, n as u64);
    (0..n)
        .map(|_| {
            t += rng.below(20) as u64;
            Event { t, x: rng.below(side) as u16, y: rng.below(side) as u16, on: rng.below(2) == 1 }
        })
        .collect()
}

fn put(path: PathBuf, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn options(dir: &Path) -> EventOptions {
    EventOptions { data_dir: Some(dir.into()), steps: 4, allow_partial: true, ..Default::default() }
}

fn ready(name: DatasetName, options: &EventOptions) -> Prepared {
    prepare(name, options, true, &mut ()).unwrap()
}

fn error(name: DatasetName, options: &EventOptions) -> String {
    let e = prepare(name, options, true, &mut ()).err().unwrap();
    assert_eq!(e.exit_code(), 2, "{e}");
    e.to_string()
}

/// Sample `i` of a prepared set.
fn frames(p: &Prepared, i: usize) -> Vec<u16> {
    let mut counts = vec![0; cells(p.cache.sensor(), p.cache.about().steps)];
    p.cache.read(i, &mut counts).unwrap();
    counts
}

/// Keeps what is said.
#[derive(Default)]
struct Said(Vec<String>);

impl Observer for Said {
    fn begin(&mut self, _: Doing, _: &str, _: u64, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_string());
    }
}
