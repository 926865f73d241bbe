//! Bytes that no honest client sends.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use rand::rngs::StdRng;
use rand::{Rng as _, RngCore as _, SeedableRng as _};
use support::{Old, Running, config};

/// So many fit into any socket buffer; after each handful the server is asked whether it is there, so
/// that all of them are really read.
const HANDFUL: usize = 128;

#[test]
fn datagrams_of_every_length_leave_it_serving() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut dice = StdRng::seed_from_u64(1);
    let mut honest = server.client();
    let rude = Old::new(server.coap[0]);
    let mut buf = [0; 1500];
    for len in 0..=buf.len() {
        dice.fill_bytes(&mut buf);
        rude.send(&buf[..len]);
        // Nearly a message: right version, a method, a short token.
        buf[0] = 0x40 | (dice.random_range(0..4) << 4) | dice.random_range(0..9);
        buf[1] = dice.random_range(0..8);
        rude.send(&buf[..len]);
        if len % (HANDFUL / 2) == 0 {
            honest.get("/feed/head");
        }
    }
    assert_eq!(honest.texts(), [""; 0]);
}

#[test]
fn a_million_random_datagrams_leave_it_serving() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut dice = StdRng::seed_from_u64(2);
    let mut honest = server.client();
    let mut rude = Old::new(server.coap[0]);
    let mut buf = [0; 48];
    for sent in 1..=1_000_000 {
        dice.fill_bytes(&mut buf);
        let len = dice.random_range(0..buf.len());
        if dice.random_bool(0.8) {
            buf[0] = 0x40 | (dice.random_range(0..4) << 4) | dice.random_range(0..9);
            buf[1] = dice.random_range(0..8);
        }
        rude.send(&buf[..len]);
        if sent % HANDFUL == 0 {
            honest.get("/feed/head");
            // What it was answered does not matter; a new socket has an empty buffer.
            rude = Old::new(server.coap[0]);
        }
    }
    honest.post("still serving");
    assert!(server.stop() < std::time::Duration::from_secs(2));
}

#[test]
fn rude_plain_datagrams_are_notes_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let old = Old::new(server.plain[0]);
    let mut dice = StdRng::seed_from_u64(3);
    let mut buf = vec![0; 1500];
    for len in (1..1500).step_by(7) {
        dice.fill_bytes(&mut buf);
        // Not a word, and not empty when the line ends are gone.
        buf[0] = 0xff;
        assert_eq!(old.ask(&buf[..len]), buf[..len], "length {len}");
    }
    // The largest that there is.
    assert_eq!(old.ask(vec![b'x'; 65_507]).len(), 65_507);
    let count = (1..1500).step_by(7).count() + 1;
    let request = suibi_coap::Request::new(suibi_coap::Code::GET).path("/status");
    let status = server.client().ask(request.accept(suibi_coap::ContentFormat::TEXT_PLAIN));
    assert!(status.text().contains(&format!("\nnotes {count}\n")), "{}", status.text());
}
