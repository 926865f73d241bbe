//! The table in docs/security.md names tests that exist.

use std::fs;
use std::path::Path;

#[test]
fn every_attack_in_the_table_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let (_, table) = text.split_once("\n## Attacks and the tests that try them\n").unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    assert!(rows.len() > 20);
    for row in rows {
        let tests: Vec<_> = row.split('`').filter(|part| part.contains("::")).collect();
        assert!(!tests.is_empty(), "nobody tries: {row}");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap();
            let source = fs::read_to_string(root.join(file)).unwrap_or_default();
            let is_there = source.contains(&format!("fn {name}("));
            assert!(is_there && source.contains("#[test]"), "{test} is not there");
        }
    }
}
