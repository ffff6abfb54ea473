//! The same bytes, whatever the number of threads, when it is evaluated, what is looked at, where progress goes, and what else the machine does.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use spiketrain::checkpoint::{self, Tensor};
use spiketrain::config::{Config, Options};
use spiketrain::data::{self, LoadOptions, sets};
use spiketrain::engine::cpu::Cpu;
use spiketrain::run_folder::RunFolder;
use spiketrain::storage::Disk;
use spiketrain::train::{Outcome, Session, run_in};

mod command;
mod tiny;

use command::{at_home, command, said, train};
use tiny::{Watch, scratch};

const THREADS: [usize; 4] = [1, 2, 3, 8];

/// Another process that wants all of two cores, until it is dropped.
struct Load([Child; 2]);

impl Load {
    fn begin() -> Load {
        let busy = || Command::new("sh").args(["-c", "while :; do :; done"]).stdout(Stdio::null()).spawn().unwrap();
        Load([busy(), busy()])
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|child| {
            let _ = child.kill();
            let _ = child.wait();
        });
    }
}

/// What must not depend on any of it: the newest checkpoint's tensors, the hash in the result, and what each epoch says of its training.
fn bytes(run: &Path) -> (Vec<Tensor>, Value, Vec<[Value; 4]>) {
    let newest = checkpoint::load_newest(&Disk, run).unwrap().checkpoint;
    let result: Value = serde_json::from_slice(&fs::read(run.join("result.json")).unwrap()).unwrap();
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = metrics.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).filter(|l| l.get("kind").is_none());
    let epochs = lines.map(|l| ["epoch", "loss", "train_accuracy", "firing_rates"].map(|key| l[key].clone())).collect();
    (newest.tensors, result["weights_sha256"].clone(), epochs)
}

/// (threads, evaluation every so many epochs, credit line every so many steps, yes or no): 32.
fn combinations(epochs: usize) -> Vec<(usize, usize, usize, bool)> {
    let mut all = Vec::new();
    for threads in THREADS {
        for eval in [1, epochs] {
            for credit in [0, 1] {
                all.extend([false, true].map(|yes| (threads, eval, credit, yes)));
            }
        }
    }
    all
}

#[test]
fn in_process() {
    let limits = LoadOptions { train_limit: Some(60), test_limit: Some(20), ..LoadOptions::default() };
    let data = data::load(sets::GLYPHS, &limits).unwrap();
    let options = Options {
        net: Some("5C3-MP4-DP-17C3-AP2-9FC-DP-{n}Voting".into()),
        time_steps: Some(4.into()),
        batch: Some(16),
        epochs: Some(2),
        val_split: Some(0.2),
        augment: Some(true),
        train_limit: Some(60),
        test_limit: Some(20),
        ..Options::default()
    };
    let config = options.complete().unwrap();
    let parent = scratch();
    let mut all = Vec::new();
    for (i, (threads, eval_every, credit, loaded)) in combinations(2).into_iter().enumerate() {
        let _load = loaded.then(Load::begin);
        let config = Config { eval_every, credit_every: Some(credit), ..config.clone() };
        let run = parent.path().join(i.to_string());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let engine = Cpu::new();
            let mut trainer = Session::new(config, &data, None).unwrap().begin(&engine).unwrap();
            let folder = RunFolder::create(Box::new(Disk), &run).unwrap();
            let mut watch = Watch::default();
            assert!(matches!(run_in(&folder, &mut trainer, &watch.stop.clone(), &mut watch), Ok(Outcome::Finished(_))));
        });
        all.push(bytes(&run));
        assert!(all[i] == all[0], "{threads} threads, evaluated every {eval_every}, credit every {credit}, loaded: {loaded}");
    }
    println!("{} cases", all.len());
}

#[test]
#[cfg(unix)]
fn as_a_command() {
    let dir = scratch();
    let terminal = Command::new("script").args(["-qec", "true", "/dev/null"]).output().is_ok_and(|o| o.status.success());
    if !terminal {
        println!("SKIPPED in part: no `script` here to make a terminal with; progress went to a pipe");
    }
    let mut all = Vec::new();
    for (i, (threads, eval, credit, on_terminal)) in combinations(2).into_iter().enumerate() {
        let _load = (i % 3 == 0).then(Load::begin);
        let more = [format!("-j{threads}"), format!("--eval-every={eval}"), format!("--credit-every={credit}"), format!("--out={i}")];
        let args = train(&more.iter().map(String::as_str).collect::<Vec<_>>());
        let mut command = if terminal && on_terminal {
            let mut script = Command::new("script");
            script.args(["-qec", &format!("{} {}", env!("CARGO_BIN_EXE_spiketrain"), args.join(" ")), "/dev/null"]);
            at_home(script, dir.path())
        } else {
            command(dir.path(), &args)
        };
        let (code, text) = said(&mut command);
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(text.contains('\u{1b}'), terminal && on_terminal, "a bar is drawn on a terminal only: {text}");
        all.push(bytes(&dir.path().join(i.to_string())));
        assert!(all[i] == all[0], "case {i}: {args:?}");
    }
    println!("{} cases", all.len());
}
