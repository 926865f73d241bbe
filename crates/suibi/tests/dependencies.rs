//! What we build on: where it comes from, under which licence, and that nothing unsafe is ours but one file, and one
//! of the tests.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than to be named; `deny.toml` has the same ones.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "BlueOak-1.0.0",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every package of `Cargo.lock`, those of the tests included.
fn packages() -> Vec<Value> {
    let told = Command::new(std::env::var_os("CARGO").unwrap())
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let metadata: Value = serde_json::from_slice(&told.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Whether we may use it: of each part that applies (`AND`) one choice (`OR`) is a licence of the list.
fn is_permitted(expression: &str) -> bool {
    expression.split(" AND ").all(|part| {
        let part = part.trim().trim_start_matches('(').trim_end_matches(')');
        part.split(" OR ")
            .flat_map(|part| part.split('/'))
            .any(|name| LICENCES.contains(&name.trim()))
    })
}

#[test]
fn every_dependency_comes_from_the_registry_under_a_licence_that_we_can_keep() {
    let packages = packages();
    assert!(packages.len() > 100);
    for package in packages {
        let name = &package["name"];
        match package["source"].as_str() {
            None => assert!(
                Path::new(package["manifest_path"].as_str().unwrap()).starts_with(root()),
                "{name} comes from another directory"
            ),
            Some(source) => assert!(source.starts_with("registry+"), "{name} comes from {source}"),
        }
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(is_permitted(licence), "{name} has the licence {licence}");
    }
    assert!(!is_permitted("GPL-3.0-only") && !is_permitted("MIT AND GPL-3.0-only"));
}

#[test]
fn the_list_of_licences_is_that_of_deny_toml() {
    let text = fs::read_to_string(root().join("deny.toml")).unwrap();
    let allowed = text.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    let allowed: Vec<&str> = allowed.split('"').skip(1).step_by(2).collect();
    assert_eq!(allowed, LICENCES);
}

#[test]
fn one_file_of_the_program_may_be_unsafe() {
    let mut permitted = Vec::new();
    let mut folders = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests/dependencies.rs")
                && fs::read_to_string(&path).unwrap().contains("(unsafe_code")
            {
                permitted.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    permitted.sort();
    // Everywhere else the lint of the workspace denies it. The others are in no program: one stands between SQLite and
    // the files when tests cut the power, one asks SQLite how many pages a question looked at, which rusqlite does not.
    let expected = [
        "crates/net/src/kernel.rs",
        "crates/sim/src/disk/vfs.rs",
        "crates/store/src/sqlite/cost.rs",
    ];
    assert_eq!(permitted, expected.map(Path::new));
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"deny\""));
}
