//! Each attack that docs/security.md names, tried end to end: a real server and the real client over loopback sockets,
//! with somebody on the path between them who records, drops, alters, sends back and sends again.
//!
//! Whatever a test does, all that was protected in it is looked at in the end: no key and nonce for two messages.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod copies;
mod flood;
mod joining;
mod meddling;
mod recorder;
mod replay;
mod scene;
mod spoofed;
#[path = "../loopback/support.rs"]
#[allow(dead_code, reason = "each test program uses its own part")]
mod support;
mod table;
