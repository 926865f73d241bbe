//! Datagrams and streams: which of them carries what, and that each does without the other.

use std::time::{Duration, Instant};

use suibi_client::{Client, Transport};
use suibi_journal::Extras;
use suibi_net::relay::{Faults, Line, Passage, Relay};
use suibi_oscore::InviteLine;

use crate::support::{AT_ONCE, PATIENCE, World, eventually, texts};

const NO_DATAGRAMS: Line = line(true, Passage::Open);
const SILENT_STREAMS: Line = line(false, Passage::Silent);
const NO_STREAMS: Line = line(false, Passage::Refused);

const fn line(udp_is_blocked: bool, tcp: Passage) -> Line {
    use suibi_net::relay::Lane;
    const LANE: Lane = Lane { delay: Duration::ZERO, rate: None };
    Line { up: LANE, down: LANE, is_shared: false, udp_is_blocked, tcp, rebind_every: None }
}

#[track_caller]
fn add(client: &mut Client, text: &str) -> suibi_client::Added {
    let begun = Instant::now();
    let added = client.add(text, None, Extras::new()).unwrap();
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    added
}

fn backlog(client: &mut Client, notes: usize) -> Vec<String> {
    let events = client.live().unwrap();
    let text = |i: usize| format!("note {i:04}: {}", "some words, 一些字. ".repeat(20));
    for i in 0..notes {
        client.add(&text(i), None, Extras::new()).unwrap();
    }
    client.stop_live();
    drop(events);
    (0..notes).map(text).collect()
}

#[test]
fn where_datagrams_do_not_get_through_a_stream_carries_all() {
    let world = World::new();
    let server = world.serve(None);
    let relay = Relay::start(server.address, Faults::default()).unwrap();
    relay.set_line(NO_DATAGRAMS);
    let mut phone = world.client("phone", relay.address());
    let first = add(&mut phone, "one");
    assert!(first.receipt.is_some(), "{:?}", first.trouble);
    assert_eq!(phone.status(PATIENCE).unwrap().transport, Some(Transport::Tcp));

    // The next process knows.
    drop(phone);
    let mut phone = world.client("phone", relay.address());
    let before = relay.stats();
    assert!(add(&mut phone, "two").receipt.is_some());
    let after = relay.stats();
    assert_eq!((after.carried + after.dropped), (before.carried + before.dropped), "no datagram");
    let mut laptop = world.client("laptop", relay.address());
    laptop.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(texts(&mut *laptop.reader().unwrap()), ["one", "two"]);
}

#[test]
fn a_black_hole_for_streams_holds_up_nothing() {
    let world = World::new();
    let server = world.serve(None);
    let relay = Relay::start(server.address, Faults::default()).unwrap();
    relay.set_line(SILENT_STREAMS);
    let mut phone = world.client("phone", relay.address());
    assert!(add(&mut phone, "one").receipt.is_some());
    assert!(add(&mut phone, &"long ".repeat(2_000)).receipt.is_some());
    assert_eq!(phone.status(PATIENCE).unwrap().transport, Some(Transport::Udp));

    relay.set_line(Line { tcp: Passage::Silent, ..NO_DATAGRAMS });
    let added = add(&mut phone, "into the void");
    assert!(added.receipt.is_none() && added.trouble.unwrap().is_offline());
    relay.set_line(Line::default());
    assert!(add(&mut phone, "again").receipt.is_some());
}

#[test]
fn a_backlog_travels_by_stream_and_without_one_in_blocks() {
    for (line, is_by_stream) in [(Line::default(), true), (NO_STREAMS, false)] {
        let world = World::new();
        let server = world.serve(None);
        let relay = Relay::start(server.address, Faults::default()).unwrap();
        relay.set_line(line);
        let mut phone = world.client("phone", relay.address());
        let expected = backlog(&mut phone, 400);
        relay.set_line(line);
        phone.sync(PATIENCE, |_| {}).unwrap();
        let up = relay.stats();
        let mut laptop = world.client("laptop", relay.address());
        laptop.sync(PATIENCE, |_| {}).unwrap();
        assert_eq!(texts(&mut *laptop.reader().unwrap()), expected);
        let down = relay.stats();
        assert_eq!(down.stream_bytes - up.stream_bytes > 20_000, is_by_stream, "{down:?}");
        assert!(!is_by_stream || down.carried - up.carried < 20, "{down:?}");
    }
}

#[test]
fn a_device_joins_and_works_through_streams_alone() {
    let world = World::new();
    let server = world.serve(None);
    let relay = Relay::start(server.oscore, Faults::default()).unwrap();
    relay.set_line(NO_DATAGRAMS);
    let invite = world.invite("read,write");
    let port = relay.address().port();
    world.join("phone", &InviteLine { port, ..invite });
    let mut phone = world.joined("phone");
    assert!(add(&mut phone, "one").receipt.is_some());
    backlog(&mut phone, 300);
    let synced = phone.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(synced.waiting, 0);
    // The server starts anew: the stream breaks, and the keys are others.
    let server = server.restart(&world);
    assert!(add(&mut phone, "two").receipt.is_some());
    assert_eq!(phone.status(PATIENCE).unwrap().transport, Some(Transport::Tcp));
    drop(server);
}

#[test]
fn a_live_view_goes_on_by_stream_when_datagrams_stop() {
    let world = World::new();
    let server = world.serve(None);
    let relay = Relay::start(server.address, Faults::default()).unwrap();
    let mut phone = world.client("phone", relay.address());
    let mut laptop = world.client("laptop", server.address);
    let events = phone.live().unwrap();
    let shows = |phone: &Client, text: &str| {
        texts(&mut *phone.reader().unwrap()).iter().any(|shown| shown == text)
    };
    add(&mut laptop, "one");
    eventually("the first note is shown", || shows(&phone, "one"));
    for (text, line) in [("two", NO_DATAGRAMS), ("three", NO_STREAMS), ("four", NO_DATAGRAMS)] {
        relay.set_line(line);
        add(&mut laptop, text);
        eventually(text, || shows(&phone, text));
    }
    drop(events);
}
