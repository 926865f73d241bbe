//! The documents point at what is there.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The Markdown files of the root and of docs/.
fn documents() -> Vec<PathBuf> {
    let entries = [root(), root().join("docs")].map(|folder| fs::read_dir(folder).unwrap());
    let mut found: Vec<_> =
        entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    found
}

#[test]
fn every_link_leads_to_a_file() {
    let mut links = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            links += 1;
            let path = document.parent().unwrap().join(target);
            assert!(path.exists(), "{} links to {target}, which is not there", document.display());
        }
    }
    assert!(links > 20, "only {links} links were found");
}

#[test]
fn the_map_names_every_crate_and_only_files_that_exist() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(map.contains(&name), "ARCHITECTURE.md does not name the crate {name}");
    }
    // `journal/src/{tags,tokens}.rs` in a code span is two files.
    let mut named = 0;
    for span in map.split('`').skip(1).step_by(2).filter(|span| span.contains("/src/")) {
        let (before, rest) = span.split_once('{').unwrap_or((span, "}"));
        let (names, after) = rest.split_once('}').unwrap();
        for name in names.split(',') {
            let path = root().join("crates").join(format!("{before}{name}{after}"));
            assert!(
                path.exists(),
                "ARCHITECTURE.md names {span}, but there is no {}",
                path.display()
            );
            named += 1;
        }
    }
    assert!(named > 15, "only {named} files were found");
}

#[test]
fn both_readmes_show_the_same_commands() {
    let commands = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let blocks = text.split("```sh\n").skip(1).map(|part| part.split("```").next().unwrap());
        let lines = blocks.flat_map(str::lines);
        lines.map(|line| line.split(" # ").next().unwrap().trim_end().to_owned()).collect()
    };
    let english = commands("README.md");
    assert!(english.len() > 10);
    assert_eq!(english, commands("README.zh-CN.md"));
}
