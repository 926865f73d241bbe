//! The live view: what a prompt is told, and that typing waits for nobody.

use std::net::UdpSocket;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::support::{AT_ONCE, PATIENCE, World};
use suibi_client::{Client, LiveEvent};
use suibi_journal::Extras;
use suibi_net::relay::{Faults, Relay};

fn add(client: &mut Client, text: &str) -> suibi_client::Added {
    client.add(text, None, Extras::new()).unwrap()
}

/// The first event that `take` takes; the others before it are dropped.
#[track_caller]
fn until<T>(events: &Receiver<LiveEvent>, mut take: impl FnMut(LiveEvent) -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(taken) = take(events.recv_timeout(left).unwrap()) {
            return taken;
        }
    }
}

#[track_caller]
fn until_online(events: &Receiver<LiveEvent>, is_online: bool) {
    until(events, |event| match event {
        LiveEvent::Online => is_online.then_some(()),
        LiveEvent::Offline => (!is_online).then_some(()),
        _ => None,
    });
}

#[track_caller]
fn next_texts(events: &Receiver<LiveEvent>) -> Vec<String> {
    until(events, |event| match event {
        LiveEvent::NewNotes(notes) => Some(notes.into_iter().map(|note| note.text).collect()),
        _ => None,
    })
}

#[test]
fn notes_of_others_appear_and_own_ones_are_confirmed() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let mut laptop = world.client("laptop", server.address);
    let (on_phone, on_laptop) = (phone.live().unwrap(), laptop.live().unwrap());
    until_online(&on_phone, true);
    until_online(&on_laptop, true);

    for i in 0..5 {
        let added = add(&mut phone, &format!("note {i}"));
        assert!(added.trouble.is_none());
        let confirmed = until(&on_phone, |event| match event {
            LiveEvent::Delivered(receipts) => Some(receipts),
            LiveEvent::NewNotes(notes) => panic!("own notes are no news: {notes:?}"),
            _ => None,
        });
        let receipt = confirmed[0];
        assert_eq!((receipt.chain, receipt.seq, receipt.hash), added.change);
        assert_eq!(next_texts(&on_laptop), [format!("note {i}")]);
    }
    assert_eq!(phone.waiting().unwrap(), 0);
}

#[test]
fn a_server_that_comes_late_goes_and_comes_again_is_followed() {
    let world = World::new();
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut phone = world.client("phone", address);
    let on_phone = phone.live().unwrap();
    until_online(&on_phone, false);
    let begun = Instant::now();
    add(&mut phone, "early");
    assert!(begun.elapsed() < AT_ONCE, "typing waited {:?}", begun.elapsed());

    let server = world.serve(address);
    let confirmed = until(&on_phone, |event| match event {
        LiveEvent::Delivered(receipts) => Some(receipts.len()),
        _ => None,
    });
    assert_eq!(confirmed, 1);
    until_online(&on_phone, true);

    server.stop();
    add(&mut phone, "while it is away");
    until_online(&on_phone, false);
    let server = world.serve(address);
    until_online(&on_phone, true);
    let mut laptop = world.client("laptop", server.address);
    add(&mut laptop, "from the laptop");
    assert_eq!(next_texts(&on_phone), ["from the laptop"]);
    assert_eq!(phone.waiting().unwrap(), 0);
}

#[test]
fn a_server_that_comes_again_at_once_knows_its_observers_again() {
    let world = World::new();
    let mut server = world.serve(None);
    let address = server.address;
    let mut phone = world.client("phone", address);
    let on_phone = phone.live().unwrap();
    until_online(&on_phone, true);
    for i in 0..3 {
        server.stop();
        server = world.serve(address);
        let mut laptop = world.client("laptop", address);
        let text = format!("note {i}");
        assert!(add(&mut laptop, &text).receipt.is_some());
        // Sooner than a path to another machine would be tried again.
        let begun = Instant::now();
        assert_eq!(next_texts(&on_phone), [text]);
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    }
}

#[test]
fn a_silent_server_is_offline_and_the_end_comes_at_once() {
    let world = World::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut phone = world.client("phone", silent.local_addr().unwrap());
    let on_phone = phone.live().unwrap();
    let begun = Instant::now();
    assert_eq!(add(&mut phone, "into the void").waiting, 1);
    assert!(begun.elapsed() < AT_ONCE, "typing waited {:?}", begun.elapsed());
    until_online(&on_phone, false);
    let begun = Instant::now();
    phone.stop_live();
    assert!(begun.elapsed() < AT_ONCE, "ending took {:?}", begun.elapsed());
    assert!(on_phone.recv_timeout(PATIENCE).is_err(), "hung up");
}

#[test]
fn a_bad_path_only_delays_what_appears() {
    let world = World::new();
    let server = world.serve(None);
    let faults = Faults { loss: 0.3, double: 0.2, reorder: 0.2, delay: Duration::ZERO, seed: 7 };
    let relay = Relay::start(server.address, faults).unwrap();
    let mut phone = world.client("phone", relay.address());
    let mut laptop = world.client("laptop", relay.address());
    let (_on_phone, on_laptop) = (phone.live().unwrap(), laptop.live().unwrap());
    let mut expected = Vec::new();
    for i in 0..20 {
        let text = format!("note {i:02}");
        add(&mut phone, &text);
        expected.push(text);
    }
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.extend(next_texts(&on_laptop));
    }
    assert_eq!(seen, expected);
}
