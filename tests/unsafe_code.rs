//! `unsafe` stands in the kernels of the cpu engine and nowhere else, and every block says why it is sound.
//!
//! Two lints say the same (`unsafe_code`, `undocumented_unsafe_blocks`); this test sees to it that nobody lifts them elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the lint may be lifted: the kernels, and the allocator that counts in tests.
const KERNELS: [&str; 4] =
    ["src/engine/cpu/dense.rs", "src/engine/cpu/simd.rs", "src/engine/cpu/simd/neon.rs", "src/engine/cpu/simd/x86.rs"];
const TESTS: [&str; 1] = ["tests/hostile/memory.rs"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|e| e == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The code of a line: without comment, and not within text.
fn code(line: &str) -> &str {
    let line = line.split("//").next().unwrap_or("");
    if line.contains('"') { line.split('"').next().unwrap_or("") } else { line }
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
}

#[test]
fn unsafe_code_is_in_the_kernels_and_argued() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "tests", "benches", "python/src"].iter().for_each(|folder| sources(&root.join(folder), &mut files));
    let (mut uses, mut seen) = (0, Vec::new());
    for file in &files {
        let name = file.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/");
        let text = fs::read_to_string(file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            let code = code(line);
            if has_word(code, "unsafe_code") {
                assert!(KERNELS.iter().chain(&TESTS).any(|k| *k == name), "{name}:{}: lifts the lint against unsafe code", i + 1);
            }
            if !has_word(code, "unsafe") {
                continue;
            }
            assert!(KERNELS.iter().chain(&TESTS).any(|k| *k == name), "{name}:{}: unsafe code", i + 1);
            uses += 1;
            seen.push(name.clone());
            // An unsafe function says what it asks for; what its body does is argued block by block.
            let before = lines[i.saturating_sub(12)..=i].join("\n");
            let argued = ["SAFETY", "# Safety"].iter().any(|word| before.contains(word));
            assert!(argued || name.starts_with("tests/"), "{name}:{}: unsafe without an argument", i + 1);
        }
    }
    seen.dedup();
    println!("{uses} uses of unsafe in {} of {} files", seen.len(), files.len());
}
