//! What the program says of its commands: help that teaches each thing once, completions, man pages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use spiketrain::cli;

fn said(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_spiketrain")).args(arguments).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every command with the words that call it.
fn commands() -> Vec<(Vec<String>, clap::Command)> {
    fn below(path: Vec<String>, command: clap::Command, all: &mut Vec<(Vec<String>, clap::Command)>) {
        for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
            below([&path[..], &[sub.get_name().to_string()]].concat(), sub.clone(), all);
        }
        all.push((path, command));
    }
    let mut all = Vec::new();
    below(Vec::new(), cli::command(), &mut all);
    assert!(all.len() > 25, "{}", all.len());
    all
}

#[test]
fn every_option_of_train_stands_under_a_heading() {
    let (_, train) = commands().into_iter().find(|(path, _)| path == &["train"]).unwrap();
    let bare: Vec<&str> = train.get_arguments().filter(|a| a.get_help_heading().is_none()).map(|a| a.get_id().as_str()).collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[test]
fn commands_that_take_trains_options_refer_to_its_help() {
    let dir = tempfile::tempdir().unwrap();
    let train = said(dir.path(), &["train", "--help"]).lines().count();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["import"], &["--shape", "--dt", "--classes", "--dataset", "--time-steps"]),
        (&["reproduce"], &["--budget", "--full", "--seeds", "--dataset", "--quiet"]),
        (&["study", "ablation"], &["--rules", "--seeds", "--tune", "--dataset", "--quiet"]),
        (&["study", "latency"], &["--steps", "--rules", "--dataset"]),
        (&["study", "energy"], &["--rules", "--seeds"]),
        (&["study", "alpha"], &["--alphas", "--seeds"]),
    ];
    for (path, shown) in cases {
        let help = said(dir.path(), &[path, &["--help"]].concat());
        assert!(shown.iter().all(|option| help.contains(option)), "{path:?}:\n{help}");
        assert!(["--warm-up", "--event-noise", "--checkpoint-every"].iter().all(|option| !help.contains(option)), "{path:?}:\n{help}");
        assert!(help.contains("spiketrain train --help") && 2 * help.lines().count() < train, "{path:?}:\n{help}");
    }
    for line in ["study alpha --warm-up ann:1", "reproduce table2 --schedule constant", "import a.nir --out b.ckpt --event-noise 0.1"] {
        cli::understands(&line.split(' ').collect::<Vec<_>>()).unwrap();
    }
}

/// One spelling, one meaning, wherever something is told on the way.
#[test]
fn what_shows_progress_can_be_quiet() {
    let shows = |path: &[String]| {
        let words: Vec<&str> = path.iter().map(String::as_str).collect();
        matches!(
            words[..],
            ["train" | "eval" | "predict" | "export" | "report" | "reproduce"]
                | ["study", _]
                | ["data", "download" | "check" | "prepare" | "simulate"]
        )
    };
    for (path, command) in commands() {
        let quiet = command.get_arguments().find(|a| a.get_long() == Some("quiet"));
        assert_eq!(quiet.is_some(), shows(&path), "{path:?}");
        assert!(quiet.is_none_or(|a| a.get_short() == Some('q')), "{path:?}");
    }
}

#[test]
fn completions_know_every_command_and_the_options_that_help_hides() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = said(dir.path(), &["completions", shell]);
        let words: BTreeSet<&str> = script.split(|c: char| !(c.is_alphanumeric() || c == '-')).collect();
        for (path, _) in commands() {
            assert!(path.iter().all(|word| words.contains(word.as_str())), "{shell}: {path:?}");
        }
        // Once for each command that takes it: train, import, reproduce and four studies.
        assert!(script.matches("warm-up").count() >= 7, "{shell}");
    }
}

#[test]
fn every_command_has_a_man_page() {
    let dir = tempfile::tempdir().unwrap();
    let page = said(dir.path(), &["man"]);
    assert!(page.contains(".TH spiketrain 1") && page.contains("Exit codes"), "{page}");
    let counted = said(dir.path(), &["man", "pages/man1"]);
    let all = commands();
    assert!(counted.contains(&format!("{} man pages in pages/man1", all.len())), "{counted}");
    for (path, command) in &all {
        let name = [&["spiketrain".to_string()], &path[..]].concat().join("-");
        let text = fs::read_to_string(dir.path().join(format!("pages/man1/{name}.1"))).unwrap();
        assert!(text.contains(&format!(".TH {name} 1")) && text.contains(".SH SYNOPSIS"), "{name}:\n{text}");
        let first = command.get_about().unwrap().to_string();
        let first = first.split([' ', '\'', '-']).next().unwrap();
        assert!(text.contains(first), "{name}: {first}");
    }
    assert_eq!(fs::read_dir(dir.path().join("pages/man1")).unwrap().count(), all.len());
    assert_eq!(said(dir.path(), &["man", "pages/man1"]), counted, "it can be repeated");
}
