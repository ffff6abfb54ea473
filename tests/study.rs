//! Studies and the paper's tables as a user runs them: what is printed, what is left, how they are stopped and gone on with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn spiketrain(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    command.current_dir(folder).args(arguments).env_remove("SPIKETRAIN_DATA").output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SMALL: [&str; 12] =
    ["--net", "4C3-MP2-10Voting", "-T", "2", "-b", "16", "--epochs", "1", "--train-limit", "64", "--test-limit", "20"];

fn with<'a>(words: &[&'a str], rest: &[&'a str]) -> Vec<&'a str> {
    words.iter().chain(rest).copied().collect()
}

#[test]
fn an_energy_study_prints_its_tables_and_leaves_its_figures() {
    let dir = tempfile::tempdir().unwrap();
    let study = with(&["study", "energy", "--seeds", "2", "--rules", "stbp,bpsa+bpta", "--out", "s"], &SMALL);
    let out = spiketrain(dir.path(), &study);
    let (shown, said) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.success(), "{said}");
    for word in ["± ", "Eq. 11 gain", "sober gain", "Anytime", "Early exit", "ann", "glyphs"] {
        assert!(shown.contains(word), "{word} is missing:\n{shown}");
    }
    let csv = fs::read_to_string(dir.path().join("s/table.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 3 * 2, "{csv}");
    let columns: Vec<usize> = csv.lines().map(|l| l.split(',').count()).collect();
    assert!(columns.iter().all(|c| *c == columns[0]), "{columns:?}");
    assert!(fs::read_to_string(dir.path().join("s/table.md")).unwrap().contains("| bpsa+bpta | 2 |"));
    // Again: nothing is trained, the same is printed.
    let again = spiketrain(dir.path(), &study);
    assert_eq!(text(&again.stdout), shown);
    assert!(text(&again.stderr).lines().all(|l| !l.starts_with("epoch")), "{}", text(&again.stderr));
    // What it will take is said before it begins, and what is left of it when it goes on.
    assert!(said.contains("about ") && said.contains(" in all, at the firing rates of untrained weights; --dry-run"), "{said}");
    assert!(text(&again.stderr).contains("all its 6 runs are finished"), "{}", text(&again.stderr));
    fs::remove_dir_all(dir.path().join("s/runs/stbp-s2")).unwrap();
    let on = text(&spiketrain(dir.path(), &study).stderr);
    assert!(on.contains(" for what is left, 1 of 6 runs, at the firing rates"), "{on}");
    let two = with(&["study", "energy", "--seeds", "2", "--rules", "stbp", "--out", "s"], &SMALL);
    let other = spiketrain(dir.path(), &two);
    let said = text(&other.stderr);
    assert!(other.status.code() == Some(2) && said.contains("holds another study") && !said.contains("about "), "{said}");
}

#[test]
fn wrong_studies_are_answered_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["study", "ablation", "--seeds", "0"], "0 is not in 1..=1000"),
        (&["study", "latency", "--steps", "4,0"], "choose 1 to 64"),
        (&["study", "latency", "-T", "4"], "--steps"),
        (&["study", "ablation", "--rule", "bpsa"], "--rules"),
        (&["study", "alpha", "--alphas", "0.2,11"], "choose 0 to 1"),
        (&["study", "ablation", "--dataset", "nmnist", "--data-dir", "nowhere"], "remedy: "),
        (&["study", "ablation", "--tune", "--val-split", "0"], "--val-split"),
        (&["reproduce", "table99"], "choose table2"),
        (&["reproduce", "table2", "--budget", "0"], "write a time such as 30m"),
        (&["reproduce", "table2", "--full", "--budget", "5"], "cannot be used with"),
        (&["reproduce", "table2", "--dataset", "cifar10"], "table2 is not about cifar10"),
        (&["reproduce", "table8", "--data-dir", "nowhere"], "DvsGesture.tar.gz"),
    ];
    for (arguments, remedy) in cases {
        let out = spiketrain(dir.path(), arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {}", text(&out.stderr));
        assert!(text(&out.stderr).contains(remedy), "{arguments:?}: {}", text(&out.stderr));
    }
    println!("{} cases", cases.len());
}

/// MNIST's files with noise in them.
fn fake_mnist(folder: &Path) {
    let idx = |dims: &[u32], mut bytes: Vec<u8>| {
        let mut file = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|d| file.extend(d.to_be_bytes()));
        file.append(&mut bytes);
        file
    };
    fs::create_dir_all(folder).unwrap();
    for (name, n) in [("train", 200u32), ("t10k", 60)] {
        let pixels = (0..n * 784).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        fs::write(folder.join(format!("{name}-images-idx3-ubyte")), idx(&[n, 28, 28], pixels)).unwrap();
        fs::write(folder.join(format!("{name}-labels-idx1-ubyte")), idx(&[n], (0..n).map(|i| (i % 10) as u8).collect())).unwrap();
    }
}

#[test]
fn a_table_of_the_paper_within_a_budget_says_so_on_every_line() {
    let dir = tempfile::tempdir().unwrap();
    fake_mnist(&dir.path().join("data/mnist"));
    let small = ["--net", "4C3-MP2-10Voting", "-T", "2", "-b", "16", "--data-dir", "data", "--out", "r"];
    let reproduce = with(&["reproduce", "table2", "--budget", "0.001"], &small);
    let out = spiketrain(dir.path(), &reproduce);
    let (shown, said) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.success(), "{said}");
    assert!(shown.starts_with("table2: accuracy on MNIST on mnist"), "{shown}");
    assert!(said.contains("departing from the paper's protocol: --batch 16 --net"), "{said}");
    let rows: Vec<&str> = shown.lines().filter(|l| l.starts_with("stbp ") || l.starts_with("bpsa+bpta ")).take(2).collect();
    assert!(rows.iter().all(|r| r.contains("budget 0.0 min") && r.contains("of 300 epochs")), "{shown}");
    let verdicts: Vec<&str> = shown.lines().filter(|l| l.starts_with("- bpsa")).collect();
    assert!(!verdicts.is_empty() && verdicts.iter().all(|v| v.contains("[budget")), "{shown}");
    // T = 2 is not the paper's: no number of it is put beside ours.
    assert!(!shown.contains("99.58"), "{shown}");
    let at_16 =
        with(&["reproduce", "table2", "--budget", "0.001"], &["--net", "1C1-AP4-10Voting", "-b", "16", "--data-dir", "data", "--out", "q"]);
    let shown = text(&spiketrain(dir.path(), &at_16).stdout);
    assert!(shown.contains("99.58 (± 0.06, best 99.67)") && shown.contains("the paper's 99.58 % for bpsa+bpta: not reached"), "{shown}");
    // Sets that are not there are named, the others are done.
    let some = with(&["reproduce", "fig6", "--budget", "0.001"], &small);
    let out = spiketrain(dir.path(), &some);
    let said = text(&out.stderr);
    assert!(out.status.success() && said.contains("cifar10 is left out") && said.contains("dvs-gesture is left out"), "{said}");
    assert!(text(&out.stdout).contains("fig6: test accuracy by epoch on mnist"));
    // They are found before the budget is divided, so that all of it goes to what is here.
    let (left_out, begun) = (said.find("dvs-gesture is left out").unwrap(), said.find("test accuracy by epoch on mnist: budget").unwrap());
    assert!(left_out < begun && dir.path().join("r/fig6-mnist-0.001min/budget.json").exists(), "{said}");
}
