//! The demo does what it says, in the time that it says.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::time::Duration;

use machinery::{Home, run};

#[test]
fn the_demo_ends_with_a_proof_in_time() {
    let home = Home::new();
    let demo = run(&mut home.command(&["demo"]), b"", Duration::from_secs(90)).expect_success();
    for line in [
        "✓ server    10 written, 10 there, each once",
        "✓ laptop    10 written, 10 there, each once",
        "✓ 手机      10 written, 10 there, each once",
        "✓ receipts  10 given, each one names a change that is on disk",
        "✓ chains    2 chains of 10 changes, every hash checked",
        " datagrams overheard, no note to be read in any",
        "✓ Every note is there exactly once.",
    ] {
        assert!(demo.out.contains(line), "{line:?} is not in {}", demo.out);
    }
    assert_eq!(demo.out.matches("kill -9").count(), 1, "{}", demo.out);
    assert!(demo.out.contains("the server was killed once"), "{}", demo.out);
    assert!(demo.out.contains(", encrypted, for invited devices"), "{}", demo.out);
    assert_eq!(demo.out.matches("joins    has keys of its own").count(), 2, "{}", demo.out);
    assert_eq!(demo.err, "");
    assert_eq!(leftovers(&home), 0, "it left its files behind");
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    let home = Home::new();
    let mut child = home.command(&["demo"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    while !line.contains("writes") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut stdout, &mut line).unwrap() > 0, "it ended");
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(leftovers(&home), 0, "it left its files behind");
}

/// How many directories of demos there are in this home's temporary directory, which is the home itself.
fn leftovers(home: &Home) -> usize {
    let names = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("suibi-demo-")).count()
}
