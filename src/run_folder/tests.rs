use std::fs;

use serde_json::json;

use super::*;
use crate::checkpoint::CheckpointKind as What;
use crate::error::Kind;
use crate::storage::Disk;
use crate::storage::faulty::{Fault, FaultyDisk};

fn create(path: &Path) -> Result<RunFolder> {
    RunFolder::create(Box::new(Disk), path)
}

fn open(path: &Path) -> Result<RunFolder> {
    RunFolder::open(Box::new(Disk), path)
}

fn names(path: &Path) -> Vec<String> {
    Disk.list(path).unwrap()
}

fn error<T>(result: Result<T>) -> Error {
    result.err().expect("an error")
}

fn save(folder: &RunFolder, step: u64) {
    let header = Header {
        kind: What::Training,
        config_toml: String::new(),
        network: "10".into(),
        input_shape: "1x1x3".into(),
        classes: vec![],
        dataset: "glyphs".into(),
        dataset_fingerprint: String::new(),
        step,
        numerics: 2,
        progress: json!({"epoch": step}),
        tensors: vec![TensorEntry { name: "w".into(), shape: vec![3] }],
    };
    let path = folder.save_checkpoint(&header, |_| Ok(vec![step as f32; 3].into())).unwrap();
    assert_eq!(path, folder.checkpoint(step));
    folder.save_weights(true, &Header { kind: What::WeightsOnly, ..header }, |_| Ok(vec![0.5; 3].into())).unwrap();
}

/// An earlier version called the weights of the last epoch best.ckpt.
#[test]
fn weights_are_called_what_they_are() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let folder = create(&path).unwrap();
    save(&folder, 3);
    assert_eq!(weights_in(&path), Some(path.join(BEST)));
    let header = checkpoint::load(&Disk, &path.join(BEST)).unwrap().header;
    folder.save_weights(false, &header, |_| Ok(vec![0.25; 3].into())).unwrap();
    assert_eq!(weights_in(&path), Some(path.join(LAST)));
    assert!(!path.join(BEST).exists() && checkpoint_at(&path).unwrap().path == path.join(LAST));
}

#[test]
fn a_run_from_start_to_resume() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("runs/a/b");
    let folder = create(&path).unwrap();
    folder.write_config("seed = 1\n").unwrap();
    for step in [8, 9, 10, 11] {
        save(&folder, step);
        folder.append_metrics(&json!({"epoch": step, "loss": 0.1 + 0.2})).unwrap();
    }
    folder.write_result(&json!({"accuracy": 0.99})).unwrap();
    let here = [".lock", "best.ckpt", "checkpoint-10.ckpt", "checkpoint-11.ckpt", "config.toml", "metrics.jsonl", "result.json"];
    assert_eq!(names(&path), here);
    assert_eq!(fs::read_to_string(folder.config()).unwrap(), "seed = 1\n");
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(folder.result()).unwrap()).unwrap(), json!({"accuracy": 0.99}));
    drop(folder);

    fs::write(path.join(".checkpoint-12.ckpt.tmp-77-0"), "half").unwrap();
    let folder = open(&path).unwrap();
    assert_eq!(names(&path), here, "the temporary file is swept");
    let newest = folder.load_newest().unwrap().unwrap();
    assert_eq!((newest.checkpoint.header.step, newest.checkpoint.tensors[0].values.clone()), (11, vec![11.0; 3]));
    assert_eq!(folder.truncate_metrics(9, 9).unwrap().last(), Some(&json!({"epoch": 9, "loss": 0.1 + 0.2})));
}

#[test]
fn an_occupied_folder_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), "x").unwrap();
    let e = error(create(folder.path()));
    assert_eq!(e.kind, Kind::Usage);
    assert!(e.remedy.contains("--resume") && e.remedy.contains("--out") && e.what.contains("thesis.tex"), "{e}");
    assert_eq!(names(folder.path()), ["thesis.tex"], "no lock file either");
    let e = error(create(&folder.path().join("thesis.tex")));
    assert_eq!(e.kind, Kind::Usage);
}

#[test]
fn what_a_run_killed_at_its_start_leaves_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    for name in [".lock", ".config.toml.tmp-1-0", "live.json"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let run = create(folder.path()).unwrap();
    assert_eq!(names(run.path()), [".lock", "live.json"], "the first step replaces it");
}

#[test]
fn a_run_stopped_before_its_first_checkpoint_begins_anew_a_robbed_one_does_not() {
    let parent = tempfile::tempdir().unwrap();
    let folder = create(&parent.path().join("run")).unwrap();
    folder.write_config("seed = 1\n").unwrap();
    assert!(folder.load_newest().unwrap().is_none());
    for step in 1..5 {
        folder.append_metrics(&json!({"kind": "credit", "epoch": 1, "step": step})).unwrap();
    }
    assert!(folder.load_newest().unwrap().is_none(), "looks at credit are no epochs");
    folder.append_metrics(&json!({"epoch": 1})).unwrap();
    assert!(folder.load_newest().unwrap().is_none(), "killed between the first line and its checkpoint");
    folder.append_metrics(&json!({"epoch": 2})).unwrap();
    assert!(error(folder.load_newest()).what.contains("gone"));
}

#[test]
fn two_runs_cannot_share_a_folder() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let first = create(&path).unwrap();
    let e = error(create(&path));
    assert_eq!((e.kind, e.exit_code()), (Kind::Storage, 4));
    assert!(e.what.contains("another spiketrain process"), "{e}");
    first.write_config("").unwrap();
    save(&first, 1);
    // The second must not sweep away what the first is writing.
    fs::write(path.join(".config.toml.tmp-1-0"), "being written").unwrap();
    assert_eq!(error(open(&path)).exit_code(), 4);
    assert!(path.join(".config.toml.tmp-1-0").exists() && path.join("checkpoint-1.ckpt").exists());
    drop(first);
    let again = open(&path).unwrap();
    assert!(!again.path().join(".config.toml.tmp-1-0").exists());
}

#[test]
fn folders_that_cannot_be_opened_or_made_say_why() {
    let parent = tempfile::tempdir().unwrap();
    let e = error(open(&parent.path().join("absent")));
    assert!(e.kind == Kind::Usage && e.remedy.contains("--resume"), "{e}");
    let e = error(open(parent.path()));
    assert!(e.kind == Kind::Usage && e.what.contains("no run"), "{e}");
    assert!(names(parent.path()).is_empty());
    fs::write(parent.path().join("file"), "").unwrap();
    assert_eq!(error(create(&parent.path().join("file/run"))).kind, Kind::Storage);
    // Operation 0 of a new folder is the sync of the one above.
    let e = error(RunFolder::create(Box::new(FaultyDisk::new(Fault::Once, 0)), &parent.path().join("new")));
    assert_eq!(e.kind, Kind::Storage);
}

#[test]
fn cut_and_later_metrics_are_dropped_the_others_stay_to_the_byte() {
    let parent = tempfile::tempdir().unwrap();
    let folder = create(&parent.path().join("run")).unwrap();
    assert!(folder.truncate_metrics(3, 0).unwrap().is_empty());
    assert!(!folder.metrics().exists());
    // Own spacing, to see that kept lines are not written anew.
    let good = "{\"epoch\": 1,  \"loss\": 2.50}\n{\"epoch\": 2}\n";
    for cut in ["", "{\"epoch\": 3}\n", "{\"epoch\": 3}\n{\"epo", "{\"epoch\": 3", "{\"epoch\":2,\"x\"", "\0\0\0\0", "{\"epoch\": 4}"] {
        fs::write(folder.metrics(), format!("{good}{cut}")).unwrap();
        assert_eq!(folder.truncate_metrics(2, 0).unwrap().len(), 2, "{cut}");
        assert_eq!(fs::read_to_string(folder.metrics()).unwrap(), good, "{cut}");
    }
    // A line of 1,200 bytes of which the power cut has left the last sector.
    let torn = [&[0; 1024][..], b"5, 0.5]}\n"].concat();
    fs::write(folder.metrics(), [good.as_bytes(), &torn].concat()).unwrap();
    assert_eq!(folder.truncate_metrics(2, 0).unwrap().len(), 2);
    assert_eq!(fs::read_to_string(folder.metrics()).unwrap(), good);
    // Torn where the checkpoint's own last epoch should be: not dropped in silence.
    fs::write(folder.metrics(), [b"{\"epoch\": 1}\n", &torn[..]].concat()).unwrap();
    assert_eq!(error(folder.truncate_metrics(2, 0)).kind, Kind::Format);
    // Whole but for its line end: kept and ended.
    fs::write(folder.metrics(), good.trim_end()).unwrap();
    assert_eq!(folder.truncate_metrics(2, 0).unwrap()[1], json!({"epoch": 2}));
    assert_eq!(fs::read_to_string(folder.metrics()).unwrap(), good);
    folder.append_metrics(&json!({"epoch": 3})).unwrap();
    assert_eq!(fs::read_to_string(folder.metrics()).unwrap(), format!("{good}{{\"epoch\":3}}\n"));

    for bad in ["{\"epoch\": 1}\n{\"ep\n{\"epoch\": 3}\n", "\n", "[1]\n", "{\"epoch\": -1}\n", "{}\n"] {
        fs::write(folder.metrics(), bad).unwrap();
        let e = error(folder.truncate_metrics(9, 9));
        assert!(e.kind == Kind::Format && e.place.contains("line"), "{e}");
        assert_eq!(fs::read_to_string(folder.metrics()).unwrap(), bad);
    }
}

#[test]
fn lines_that_came_before_later_steps_are_dropped_on_resume() {
    let parent = tempfile::tempdir().unwrap();
    let folder = create(&parent.path().join("run")).unwrap();
    let credit = |epoch: u64, step: u64| format!("{{\"kind\":\"credit\",\"epoch\":{epoch},\"step\":{step}}}\n");
    let lines = [
        credit(1, 1),
        "{\"epoch\":1,\"step\":5}\n".into(),
        "{\"kind\":\"weather\"}\n".into(),
        credit(2, 6),
        "{\"kind\":\"newer\",\"step\":7,\"version\":2}\n".into(),
        credit(2, 8),
        "{\"epoch\":2,\"step\":10}\n".into(),
        "{\"kind\":\"newer\",\"epoch\":2}\n".into(),
        credit(3, 11),
    ];
    // A checkpoint in the middle of epoch 2, after step 7: the line before step 8 is written again.
    for (epochs, steps, kept) in [(0, 0, vec![2]), (1, 5, vec![0, 1, 2]), (1, 7, vec![0, 1, 2, 3, 4]), (2, 10, (0..8).collect())] {
        fs::write(folder.metrics(), lines.concat()).unwrap();
        assert_eq!(folder.truncate_metrics(epochs, steps).unwrap().len(), kept.len());
        let want: String = kept.iter().map(|&i| lines[i].as_str()).collect();
        assert_eq!(fs::read_to_string(folder.metrics()).unwrap(), want, "epoch {epochs}, step {steps}");
    }
}

#[test]
fn a_failed_rewrite_leaves_the_metrics_as_they_were() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("run");
    let text = "{\"epoch\":1}\n{\"epoch\":2}\n{\"ep";
    let mut tried = 0;
    loop {
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("metrics.jsonl"), text).unwrap();
        fs::write(path.join("config.toml"), "").unwrap();
        let storage = FaultyDisk::new(Fault::Once, tried);
        let result = RunFolder::open(Box::new(storage), &path).and_then(|folder| folder.truncate_metrics(1, 0));
        let now = fs::read_to_string(path.join("metrics.jsonl")).unwrap();
        assert_eq!(names(&path).iter().filter(|n| storage::is_temporary(n)).count(), 0);
        match result {
            Ok(lines) => break assert_eq!((now.as_str(), lines.len()), ("{\"epoch\":1}\n", 1)),
            Err(e) => assert!(now == text || e.what.contains("in place"), "operation {tried}: {e}"),
        }
        tried += 1;
    }
    println!("{tried} operations failed in turn");
    assert!(tried >= 8, "{tried}");
}

#[test]
fn names_of_new_runs_and_event_files_are_free_ones() {
    let parent = tempfile::tempdir().unwrap();
    let runs = parent.path().join("runs");
    assert_eq!(next_free(&runs, "glyphs", "small", "paper"), runs.join("glyphs-small-paper-1"));
    fs::create_dir_all(runs.join("glyphs-small-paper-1")).unwrap();
    fs::create_dir_all(runs.join("glyphs-small-paper-3")).unwrap();
    assert_eq!(next_free(&runs, "glyphs", "small", "paper"), runs.join("glyphs-small-paper-2"));
    let odd = next_free(&runs, "../my data/", &"128C3-".repeat(50), "p");
    assert_eq!(odd, runs.join(format!("my_data-{}-p-1", &"128C3-".repeat(50)[..40])));

    let folder = create(&runs.join("x")).unwrap();
    let first = folder.events(1_700_000_000);
    assert!(first.ends_with("events.out.tfevents.1700000000.spiketrain"));
    fs::write(&first, "").unwrap();
    assert!(folder.events(1_700_000_000).ends_with("events.out.tfevents.1700000000.spiketrain.1"));
}
