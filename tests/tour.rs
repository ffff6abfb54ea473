//! The order of the tour in lib.rs is who may depend on whom: a module uses only what stands before it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Modules that a line of documentation links to.
fn links(line: &str) -> impl Iterator<Item = String> {
    let after = line.split("[`").skip(1);
    let names = after.filter_map(|rest| rest.split_once("`]")).map(|(name, _)| name.trim_start_matches("mod@").to_string());
    names.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

/// The names after `crate::` in code, comments left out.
fn uses(code: &str) -> impl Iterator<Item = &str> {
    let lines = code.lines().map(|line| line.split("//").next().unwrap_or(""));
    lines.flat_map(|line| line.split("crate::").skip(1)).map(|rest| {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn a_module_uses_only_what_stands_before_it_in_the_tour() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let lib = fs::read_to_string(root.join("lib.rs")).unwrap();
    let tour = lib.lines().filter(|line| line.starts_with("//! - "));
    let places: BTreeMap<String, usize> = tour.flat_map(links).enumerate().map(|(i, name)| (name, i + 1)).collect();
    let serving = lib.split("in this list (").nth(1).unwrap().split("serve").next().unwrap();
    let mut places = places;
    places.extend(links(serving).map(|name| (name, 0)));
    // Macros, which are not part of the library's face.
    places.extend(lib.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(";")).map(|name| (name.to_string(), 0)));
    let modules: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(";")).collect();
    assert!(modules.len() > 20, "{modules:?}");
    for module in &modules {
        assert!(places.contains_key(*module), "{module} is not in the tour");
    }
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let mut arrows = 0;
    for file in &files {
        let inside = file.strip_prefix(&root).unwrap();
        let module = inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_string();
        // Tests may look anywhere.
        if ["lib", "main"].contains(&module.as_str()) || inside.to_string_lossy().contains("tests") {
            continue;
        }
        let code = fs::read_to_string(file).unwrap();
        for used in uses(code.split("#[cfg(test)]").next().unwrap()) {
            let (Some(from), Some(to)) = (places.get(&module), places.get(used)) else { panic!("{}: crate::{used}", inside.display()) };
            assert!(to <= from, "{} uses {used}, which comes later in the tour of lib.rs", inside.display());
            arrows += usize::from(to < from);
        }
    }
    assert!(arrows > 300, "{arrows}");
    println!("{arrows} cases in {} files", files.len());
}
