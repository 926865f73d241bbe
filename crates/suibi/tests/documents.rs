//! The documents point at what is there.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The Markdown files of the root, of docs/ and of the folders in it.
fn documents() -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let docs = root().join("docs");
    let mut found = [entries(&root()), entries(&docs)].concat();
    let folders = entries(&docs).into_iter().filter(|path| path.is_dir());
    found.extend(folders.flat_map(|folder| entries(&folder)));
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    found
}

/// The names of a document's headings, as links to them have them: small letters, digits and strokes.
fn anchors(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut anchors: Vec<String> = Vec::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let title = line.trim_start_matches('#');
        if is_code || title == line || !title.starts_with(' ') {
            continue;
        }
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let anchor: String = title.trim().to_lowercase().chars().filter(is_kept).collect();
        let anchor = anchor.replace(' ', "-");
        // The second of one name is `name-1`.
        let before = anchors.iter().filter(|other| **other == anchor).count();
        anchors.push(if before > 0 { format!("{anchor}-{before}") } else { anchor });
    }
    anchors
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_in_it() {
    let (mut links, mut headings) = (0, 0);
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let name = document.display();
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap();
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            links += 1;
            assert!(path.exists(), "{name} links to {target}, which is not there");
            if !heading.is_empty() {
                headings += 1;
                let anchors = anchors(&fs::read_to_string(&path).unwrap());
                let is_there = anchors.iter().any(|anchor| anchor == heading);
                assert!(is_there, "{name} links to {target}; the headings are {anchors:#?}");
            }
        }
    }
    assert!(links > 20 && headings > 5, "only {links} links were found, {headings} to headings");
}

#[test]
fn a_heading_is_linked_to_in_small_letters_and_strokes() {
    let text = "# `suibi log`, and what *it* says\n#no\n```sh\n# no\n```\n## 今天 and RFC 8613\n# A\n# A\n";
    assert_eq!(anchors(text), ["suibi-log-and-what-it-says", "今天-and-rfc-8613", "a", "a-1"]);
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
