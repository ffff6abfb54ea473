//! The README says what is so: its commands parse, its tables are those of the program, its test command is the gate's.

use std::fs;
use std::path::Path;
use std::process::Command;

use spiketrain::cli;
use spiketrain::config::defaults_table;

const README: &str = include_str!("../README.md");

/// The lines of all code blocks in `language`.
fn code(language: &str) -> Vec<&'static str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in README.lines() {
        match line.strip_prefix("```") {
            Some(name) => inside = !inside && name == language,
            None if inside => lines.push(line),
            None => {}
        }
    }
    lines
}

#[test]
fn every_command_is_understood() {
    let mut tried = 0;
    for line in code("sh") {
        let words = line.split_whitespace().collect::<Vec<_>>();
        let arguments = match words[..] {
            ["spiketrain", ref rest @ ..] | ["cargo", "run", "--release", "--", ref rest @ ..] => rest,
            _ => continue,
        };
        cli::understands(arguments).unwrap_or_else(|e| panic!("{line}: {e}"));
        tried += 1;
    }
    println!("{tried} commands");
    assert!(tried >= 9);
}

/// With few samples, where a command really trains.
const FEW: [(&str, &str); 6] = [
    ("--train-limit", "64"),
    ("--test-limit", "20"),
    ("--net", "4C3-MP4-10Voting"),
    ("--time-steps", "2"),
    ("--epochs", "1"),
    ("--batch", "16"),
];

/// In one folder, one after the other, as a reader would: what trains into a folder that later commands use does so on few samples, other
/// training is rehearsed, and what needs files that a reader has to bring is left out.
#[test]
fn every_command_works_as_printed() {
    let Ok(data) = std::env::var("SPIKETRAIN_TEST_DATA") else {
        println!("SKIPPED: SPIKETRAIN_TEST_DATA names no folder of data sets");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for line in code("sh") {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["spiketrain", command, rest @ ..] = &words[..] else { continue };
        let extra: Vec<&str> = match (*command, rest) {
            ("train", _) if rest.contains(&"--resume") => vec![],
            ("train", _) if rest.contains(&"--out") => {
                let few = FEW.iter().filter(|(option, _)| !(words.contains(option) || words.contains(&"-T") && *option == "--time-steps"));
                few.flat_map(|(option, value)| [*option, *value]).chain(["--allow-partial", "--cache", "cache"]).collect()
            }
            ("train" | "study", _) => ["--dry-run", "--allow-partial"].into_iter().filter(|option| !words.contains(option)).collect(),
            ("doctor" | "net" | "recipes" | "eval" | "report", _) | ("data", ["list"]) | ("reproduce", []) => vec![],
            ("export", _) if !rest.contains(&"c") => vec![],
            _ => continue,
        };
        let mut process = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
        let run = process.args(&words[1..]).args(&extra).current_dir(dir.path()).env("SPIKETRAIN_DATA", &data).output().unwrap();
        assert!(run.status.success(), "{line}: {}", String::from_utf8_lossy(&run.stderr));
        tried += 1;
    }
    println!("{tried} commands");
    assert!(tried >= 18);
}

#[test]
fn the_table_of_defaults_is_the_programs() {
    let table = README.split("<!-- defaults -->\n```text\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(table, defaults_table(), "put the second into README.md");
}

#[test]
fn every_preset_and_exit_code_is_listed() {
    for preset in spiketrain::notation::PRESETS {
        assert!(README.contains(&format!("`{}`", preset.name)), "{}", preset.name);
    }
    for code in ["0", "1", "2", "3", "4", "5", "130, 143"] {
        assert!(README.contains(&format!("| {code} | ")), "{code}");
    }
}

#[test]
fn the_gate_runs_the_test_command() {
    let gate = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/run")).unwrap();
    assert!(code("sh").contains(&"cargo test") && gate.contains("step cargo test"));
}

#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts = ["docs", "."].map(|folder| fs::read_dir(root.join(folder)).unwrap()).into_iter().flatten().map(|e| e.unwrap().path());
    let mut tried = 0;
    for path in texts.filter(|p| p.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.contains("://") || file.is_empty() {
                continue;
            }
            assert!(path.parent().unwrap().join(file).exists(), "{}: there is no {link}", path.display());
            tried += 1;
        }
    }
    println!("{tried} links");
    assert!(tried >= 20);
}
