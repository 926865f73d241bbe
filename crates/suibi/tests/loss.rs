//! A path that loses 30 % of the datagrams both ways, doubles some and reorders others. Every note
//! arrives, each once.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::thread;
use std::time::Duration;

use machinery::{Home, Server, Wire, assert_each_once, dice, long_text, wait_until};
use suibi_net::relay::{Faults, Relay};

fn bad_weather(seed: u64) -> Faults {
    let delay = Duration::from_millis(1);
    Faults { loss: 0.3, double: 0.2, reorder: 0.2, delay, seed }
}

#[track_caller]
fn assert_it_was_bad(relay: &Relay) {
    let stats = relay.stats();
    println!("{stats:?}");
    assert!(stats.dropped > 0 && stats.doubled > 0 && stats.reordered > 0, "{stats:?}");
}

#[test]
fn every_note_of_our_own_clients_arrives_once() {
    let (_, seed) = dice();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let relay = Relay::start(server.address(), bad_weather(seed)).unwrap();
    let homes: Vec<_> = (0..4).map(|_| Home::with_server(relay.address())).collect();
    let mut expected = Vec::new();
    thread::scope(|scope| {
        for (device, home) in homes.iter().enumerate() {
            let texts: Vec<_> =
                (0..12).map(|note| format!("note {note} of device {device}")).collect();
            expected.extend_from_slice(&texts);
            scope.spawn(move || {
                for text in &texts {
                    home.add(text);
                }
            });
        }
    });
    let sync_all = || {
        for home in &homes {
            wait_until("a sync goes through", || home.sync().status.success());
        }
    };
    sync_all();
    assert_each_once(&server.notes(), &expected);
    sync_all();
    for home in &homes {
        assert_each_once(&home.log(), &expected);
    }
    assert_it_was_bad(&relay);
}

#[test]
fn a_long_note_arrives_whole() {
    let (_, seed) = dice();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let relay = Relay::start(server.address(), bad_weather(seed)).unwrap();
    let writer = Home::with_server(relay.address());
    let reader = Home::with_server(relay.address());
    let text = long_text(10_000);
    writer.suibi_with_input(text.as_bytes(), &["-"]).expect_success();
    wait_until("it is delivered", || writer.sync().status.success());
    assert_each_once(&server.notes(), std::slice::from_ref(&text));
    wait_until("it is fetched", || reader.sync().status.success());
    assert_each_once(&reader.log(), &[text]);
    assert_it_was_bad(&relay);
}

#[test]
fn a_foreign_client_that_retries_under_one_message_id_is_served_once() {
    let (_, seed) = dice();
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let relay = Relay::start(server.address(), bad_weather(seed)).unwrap();
    let mut wire = Wire::connect(relay.address());
    wire.retry_after = Duration::from_millis(100);
    wire.tries = 10;
    let texts: Vec<_> = (0..100).map(|note| format!("foreign note {note}")).collect();
    for text in &texts {
        let answer = wire.post(text).expect("ten tries are enough");
        assert_eq!(answer.header.get_code(), "2.01");
    }
    assert_each_once(&server.notes(), &texts);
    assert_it_was_bad(&relay);
}
