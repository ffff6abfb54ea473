//! Every package that is linked in has a licence from a list, comes from crates.io with a checksum, and is none of those we refuse.
//!
//! `cargo deny check` does the same from deny.toml, and more; this holds where it is not installed.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than their text and a name. deny.toml has the same list.
const LICENCES: [&str; 12] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "0BSD",
    "Unlicense",
    "BSL-1.0",
    "Unicode-3.0",
    // Root certificates, which are data (webpki-roots).
    "CDLA-Permissive-2.0",
];
/// C libraries in disguise, and what would bring a second of something that is here. deny.toml has the same list.
const REFUSED: [&str; 8] = ["openssl-sys", "native-tls", "curl-sys", "libz-sys", "tokio", "openblas-src", "bincode", "serde_pickle"];
/// Of these, the one that may stand in the lock file if nothing else depends on it: for browsers, which we do not build for.
const WRAPPED: (&str, &str) = ("tokio", "wasm-bindgen-futures");
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Whether one way through an SPDX expression is allowed. `/` is an old spelling of OR.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some((left, right)) = split(&expression, " AND ") {
        return allowed(left) && allowed(right);
    }
    if let Some((left, right)) = split(&expression, " OR ") {
        return allowed(left) || allowed(right);
    }
    let one = expression.trim();
    match one.strip_prefix('(').and_then(|e| e.strip_suffix(')')) {
        Some(inner) => allowed(inner),
        None => LICENCES.contains(&one),
    }
}

/// Splits at the first `by` outside of parentheses.
fn split<'e>(expression: &'e str, by: &str) -> Option<(&'e str, &'e str)> {
    let mut depth = 0;
    for (at, c) in expression.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && expression[at..].starts_with(by) => return Some((&expression[..at], &expression[at + by.len()..])),
            _ => {}
        }
    }
    None
}

#[test]
fn expressions_are_understood() {
    for good in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND Unicode-3.0", "Apache-2.0 WITH LLVM-exception OR MIT"] {
        assert!(allowed(good), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND MPL-2.0", "", "LGPL-3.0/GPL-3.0"] {
        assert!(!allowed(bad), "{bad}");
    }
}

#[test]
fn licences_are_on_the_list() {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let about = String::from_utf8(rustc.stdout).unwrap();
    let host = about.lines().find_map(|l| l.strip_prefix("host: ")).unwrap();
    // The packages of other systems need not have been fetched.
    let words = ["metadata", "--offline", "--locked", "--format-version=1", "--filter-platform", host];
    let out = Command::new(cargo).args(words).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let mut bad = Vec::new();
    for p in packages {
        let licence = p["license"].as_str().unwrap_or_default();
        if !allowed(licence) {
            bad.push(format!("{} {}: {licence:?}", p["name"], p["version"]));
        }
    }
    assert!(bad.is_empty(), "licences that are not on the list: {}", bad.join(", "));
    println!("{} packages on {host}", packages.len());
}

#[test]
fn packages_come_from_the_registry_with_a_checksum() {
    for lock in [include_str!("../Cargo.lock"), include_str!("../python/Cargo.lock")] {
        check_lock(lock);
    }
}

fn check_lock(lock: &str) {
    let lock: toml::Table = lock.parse().unwrap();
    let packages = lock["package"].as_array().unwrap();
    let mut versions = BTreeMap::<&str, Vec<&str>>::new();
    for p in packages {
        let (name, version) = (p["name"].as_str().unwrap(), p["version"].as_str().unwrap());
        versions.entry(name).or_default().push(version);
        if [env!("CARGO_PKG_NAME"), "spiketrain-python"].contains(&name) {
            continue;
        }
        assert_eq!(p.get("source").and_then(|s| s.as_str()), Some(REGISTRY), "{name} {version} comes from elsewhere");
        assert!(p.get("checksum").is_some(), "{name} {version} has no checksum");
        assert!(!REFUSED.contains(&name) || name == WRAPPED.0, "{name} is refused");
        let needs = p.get("dependencies").and_then(|d| d.as_array()).into_iter().flatten();
        let wrapped = needs.filter_map(|d| d.as_str()).any(|d| d.split(' ').next() == Some(WRAPPED.0));
        assert!(!wrapped || name == WRAPPED.1, "{name} depends on {}", WRAPPED.0);
    }
    let twice: Vec<String> = versions.iter().filter(|(_, v)| v.len() > 1).map(|(name, v)| format!("{name} {}", v.join(" and "))).collect();
    println!("{} packages on all systems; in more than one version: {}", packages.len(), twice.join(", "));
}

/// Else the gate would build them twice, and the package might compute other bits than the program.
#[test]
fn the_python_package_has_the_versions_and_profiles_of_the_program() {
    let table = |text: &str| text.parse::<toml::Table>().unwrap();
    let versions = |lock: &str| -> Vec<(String, String)> {
        let packages = table(lock)["package"].as_array().unwrap().clone();
        packages.iter().map(|p| [&p["name"], &p["version"]].map(|v| v.as_str().unwrap().to_string()).into()).collect()
    };
    let (ours, theirs) = (versions(include_str!("../Cargo.lock")), versions(include_str!("../python/Cargo.lock")));
    // Versions that one build may hold side by side (other majors) are not versions of the same thing.
    let line = |version: &str| version.split('.').take(if version.starts_with("0.") { 2 } else { 1 }).map(String::from).collect::<Vec<_>>();
    for (name, version) in &theirs {
        let same = ours.iter().any(|(n, v)| n == name && line(v) == line(version));
        let other = same && !ours.contains(&(name.clone(), version.clone()));
        assert!(!other, "python/Cargo.lock has {name} {version}, which Cargo.lock has not: copy Cargo.lock there and build once");
    }
    let profile = |manifest: &str| table(manifest)["profile"]["dev"].clone();
    let (ours, theirs) = (profile(include_str!("../Cargo.toml")), profile(include_str!("../python/Cargo.toml")));
    assert_eq!(ours, theirs, "[profile.dev] of Cargo.toml and python/Cargo.toml");
    println!("{} packages, one profile", versions(include_str!("../python/Cargo.lock")).len());
}

#[test]
fn deny_toml_has_the_same_lists() {
    let deny: toml::Table = include_str!("../deny.toml").parse().unwrap();
    let words = |table: &str, key: &str| -> Vec<String> {
        let list = deny[table][key].as_array().unwrap();
        list.iter().map(|v| v.as_str().unwrap_or_else(|| v["name"].as_str().unwrap()).to_string()).collect()
    };
    let plain = LICENCES.map(String::from).to_vec();
    assert_eq!(words("licenses", "allow"), plain);
    assert_eq!(words("bans", "deny"), REFUSED.map(String::from).to_vec());
    let wrapped = deny["bans"]["deny"].as_array().unwrap().iter().find(|v| v.get("wrappers").is_some()).unwrap();
    assert_eq!((wrapped["name"].as_str().unwrap(), wrapped["wrappers"][0].as_str().unwrap()), WRAPPED);
}
