//! The demo does what it says, in the time that it says.

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
        "✓ Every note is there exactly once.",
    ] {
        assert!(demo.out.contains(line), "{line:?} is not in {}", demo.out);
    }
    assert!(demo.out.contains("kill -9"), "{}", demo.out);
    assert_eq!(demo.err, "");
}
