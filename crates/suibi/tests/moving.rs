//! A path that changes the address of a device every other second, as a NAT does that forgets, while
//! the device shows what others write.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod machinery;

use std::thread;
use std::time::{Duration, Instant};

use machinery::{Home, Server, Watch, assert_each_once, wait_until};
use suibi_net::relay::{Faults, Line, Passage, Relay};

/// How often the address changes, and how long notes flow.
const SWITCH_EVERY: Duration = Duration::from_secs(2);
const FOR: Duration = Duration::from_secs(15);

/// The longest that a note may take to the screen: it would have to fall into the hole after a switch, and the hint
/// that mends it into the next one. A bound against standing still, not a measurement.
const SHOWN_WITHIN: Duration = Duration::from_secs(60);

/// A server, its owner's machine, and a device that has joined it through a relay.
fn behind_a_relay() -> (tempfile::TempDir, Server, Home, Relay, Home) {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_encrypted(data.path());
    let owner = Home::of_owner(data.path());
    let relay = Relay::start(server.oscore[0], Faults::default()).unwrap();
    let device = Home::new();
    device.join(&owner.invite_to(relay.address(), &[]), "tablet");
    (data, server, owner, relay, device)
}

#[test]
fn a_screen_behind_a_nat_that_forgets_misses_nothing() {
    let (_data, server, owner, relay, tablet) = behind_a_relay();
    let phone = Home::new();
    phone.join(&owner.invite(&server, &[]), "phone");
    let watch = Watch::start(&tablet);
    phone.save("before the first switch");
    watch.wait_for("before the first switch");
    relay.set_line(Line { rebind_every: Some(SWITCH_EVERY), ..Line::default() });

    let mut written = vec![("before the first switch".to_owned(), Instant::now())];
    let begun = Instant::now();
    while begun.elapsed() < FOR {
        let text = format!("note {}", written.len());
        phone.save(&text);
        written.push((text, Instant::now()));
        thread::sleep(Duration::from_millis(100));
    }
    let rebinds = relay.stats().rebinds;
    wait_until("the last note is shown", || watch.shown().len() >= written.len());

    let shown = watch.shown();
    let late = written.iter().map(|(text, at)| {
        let shown = shown.iter().find(|(shown, _)| shown == text);
        shown.map_or(Duration::MAX, |(_, shown)| shown.saturating_duration_since(*at))
    });
    let mut late: Vec<_> = late.collect();
    late.sort();
    println!(
        "{} notes, {rebinds} switches: shown after {:?}, the latest after {:?}",
        written.len(),
        late[late.len() / 2],
        late.last().unwrap()
    );
    assert!(rebinds >= 5, "only {rebinds} switches");
    assert!(*late.last().unwrap() < SHOWN_WITHIN, "{late:?}");
    let [written, shown] =
        [written, shown].map(|all| all.into_iter().map(|(text, _)| text).collect::<Vec<_>>());
    assert_each_once(&shown, &written);
}

#[test]
fn a_screen_comes_back_from_sleep_from_a_dead_network_and_from_a_dead_server() {
    let (data, server, owner, relay, tablet) = behind_a_relay();
    let watch = Watch::start(&tablet);
    let mut written = Vec::new();
    let mut write = |text: &str| {
        owner.save(text);
        written.push(text.to_owned());
    };
    write("as it should be");
    watch.wait_for("as it should be");

    watch.signal("STOP");
    write("while it sleeps");
    // Its port is another one when it wakes up.
    relay.set_line(Line { rebind_every: Some(Duration::from_millis(500)), ..Line::default() });
    thread::sleep(Duration::from_millis(1_200));
    relay.set_line(Line::default());
    watch.signal("CONT");
    watch.wait_for("while it sleeps");

    relay.set_line(Line { udp_is_blocked: true, tcp: Passage::Silent, ..Line::default() });
    write("while the network is dead");
    thread::sleep(Duration::from_secs(3));
    relay.set_line(Line::default());
    watch.wait_for("while the network is dead");

    server.kill();
    let server = Server::start_encrypted(data.path());
    relay.set_target(server.oscore[0]);
    write("after the server's death");
    watch.wait_for("after the server's death");

    let shown: Vec<_> = watch.shown().into_iter().map(|(text, _)| text).collect();
    assert_each_once(&shown, &written);
}
