//! One client and another, with a server that goes, comes, keeps silent, or is put back to a backup.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::support::{AT_ONCE, PATIENCE, World, copy, eventually, texts};
use suibi_client::{Added, Client, ClientConfig, ClientError, Place, RemoteError, Scope, Synced};
use suibi_journal::{Extras, Query};
use suibi_net::relay::{Faults, Relay};
use suibi_store::JournalId;

fn add(client: &mut Client, text: &str) -> Added {
    client.add(text, None, Extras::new()).unwrap()
}

#[track_caller]
fn sync(client: &mut Client) -> Synced {
    client.sync(PATIENCE, |_| {}).unwrap()
}

#[test]
fn a_note_is_on_the_server_when_add_returns() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    let added = add(&mut phone, "买茶 @shop");
    assert!(added.trouble.is_none(), "{:?}", added.trouble);
    let receipt = added.receipt.unwrap();
    assert_eq!((receipt.chain, receipt.seq, receipt.hash), added.change);
    assert_eq!((receipt.position, added.waiting), (1, 0));

    let mut laptop = world.client("laptop", server.address);
    assert_eq!(sync(&mut laptop).pulled, 1);
    let notes = laptop.reader().unwrap().notes(JournalId::FIRST, &Query::default()).unwrap();
    assert_eq!((notes[0].text.as_str(), notes[0].device.as_str()), ("买茶 @shop", "phone"));
    assert_eq!(notes[0].id, added.note);
    assert_eq!(notes[0].receipt, Some((1, receipt.hash)));
}

#[test]
fn notes_survive_a_server_that_stops_and_starts() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "before");
    let address = server.stop();

    let begun = Instant::now();
    let added = add(&mut phone, "while it is gone");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!((added.receipt, added.waiting), (None, 1));
    assert!(added.trouble.unwrap().is_offline());

    let server = world.serve(address);
    let added = add(&mut phone, "after");
    assert!(added.receipt.is_some(), "{:?}", added.trouble);
    assert_eq!(added.waiting, 0, "what waited went along");

    let mut laptop = world.client("laptop", server.address);
    sync(&mut laptop);
    assert_eq!(texts(&mut *laptop.reader().unwrap()), ["after", "before", "while it is gone"]);
}

#[test]
fn a_server_that_never_answers_holds_up_nobody() {
    let world = World::new();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut phone = world.client("phone", silent.local_addr().unwrap());

    let begun = Instant::now();
    let added = add(&mut phone, "into the void");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert_eq!((added.receipt, added.waiting), (None, 1));
    let trouble = added.trouble.unwrap();
    assert!(matches!(trouble, ClientError::Remote(RemoteError::NoAnswer { .. })), "{trouble}");

    let begun = Instant::now();
    let error = phone.sync(Duration::from_millis(700), |_| {}).unwrap_err();
    assert!(error.is_offline(), "{error}");
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());

    let begun = Instant::now();
    let status = phone.status(Duration::from_millis(300)).unwrap();
    assert!(status.head.unwrap_err().is_offline());
    assert_eq!((status.notes, status.waiting), (1, 1));
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
}

#[test]
fn a_client_that_starts_before_its_server_delivers_when_it_comes() {
    let world = World::new();
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut phone = world.client("phone", address);
    let begun = Instant::now();
    assert_eq!(add(&mut phone, "early bird").waiting, 1);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());

    let _server = world.serve(address);
    let synced = sync(&mut phone);
    assert_eq!((synced.receipts.len(), synced.waiting), (1, 0));
    assert_eq!(sync(&mut phone).receipts, []);
}

#[test]
fn a_wrong_address_is_told_and_the_note_is_kept() {
    let world = World::new();
    let place = Place::Server { address: "127.0.0.1:99999".into() };
    let data_dir = world.dir("phone");
    let config = ClientConfig { data_dir, place, device: "phone".into() };
    let mut phone = Client::open(config).unwrap();
    let added = add(&mut phone, "kept");
    assert_eq!(added.waiting, 1);
    assert!(!added.trouble.unwrap().is_offline());
}

#[test]
fn a_long_backlog_goes_up_and_comes_down() {
    let world = World::new();
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut phone = world.client("phone", address);
    let long = "长".repeat(40_000);
    add(&mut phone, &long);
    let mut expected = vec![long];
    let events = phone.live().unwrap();
    for i in 0..300 {
        let text = format!("note {i:03}");
        add(&mut phone, &text);
        expected.push(text);
    }
    phone.stop_live();
    drop(events);
    expected.sort();

    let server = world.serve(address);
    let synced = sync(&mut phone);
    assert_eq!((synced.receipts.len(), synced.waiting), (301, 0));
    let mut laptop = world.client("laptop", server.address);
    assert_eq!(sync(&mut laptop).pulled, 301);
    assert_eq!(texts(&mut *laptop.reader().unwrap()), expected);
}

#[test]
fn a_bad_path_loses_nothing_and_doubles_nothing() {
    let world = World::new();
    let server = world.serve(None);
    let faults =
        Faults { loss: 0.3, double: 0.2, reorder: 0.2, delay: Duration::ZERO, seed: 20261123 };
    let relay = Relay::start(server.address, faults).unwrap();
    let mut phone = world.client("phone", relay.address());
    let mut laptop = world.client("laptop", relay.address());
    let mut expected = Vec::new();
    for i in 0..10 {
        for (client, name) in [(&mut phone, "phone"), (&mut laptop, "laptop")] {
            let begun = Instant::now();
            let text = format!("{name} {i:02}");
            add(client, &text);
            assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
            expected.push(text);
        }
    }
    expected.sort();
    // One run may meet a long row of losses, and each waits for what the other still has; the next goes on.
    eventually("everything has arrived everywhere", || {
        [&mut phone, &mut laptop].map(|client| {
            let is_done = client.sync(PATIENCE, |_| {}).is_ok_and(|synced| synced.waiting == 0);
            is_done && texts(&mut *client.reader().unwrap()) == expected
        }) == [true, true]
    });
    assert!(relay.stats().dropped > 10, "{:?}", relay.stats());
}

#[test]
fn a_server_put_back_to_its_backup_gets_everything_again() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "one");
    sync(&mut phone);
    let address = server.stop();
    let (data, backup) = (world.dir("server"), world.dir("backup"));
    copy(&data, &backup);

    let server = world.serve(address);
    add(&mut phone, "two");
    let mut laptop = world.client("laptop", server.address);
    add(&mut laptop, "three");
    sync(&mut laptop);
    server.stop();
    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);

    // The phone does not come back; the laptop has what it wrote.
    let server = world.serve(address);
    sync(&mut laptop);
    let mut tablet = world.client("tablet", server.address);
    sync(&mut tablet);
    assert_eq!(texts(&mut *tablet.reader().unwrap()), ["one", "three", "two"]);
}

#[test]
fn a_replica_that_was_cloned_writes_on_and_loses_nothing() {
    let world = World::new();
    let server = world.serve(None);
    let mut phone = world.client("phone", server.address);
    add(&mut phone, "one");
    drop(phone);
    copy(&world.dir("phone"), &world.dir("clone"));

    let mut phone = world.client("phone", server.address);
    add(&mut phone, "two");
    let data_dir = world.dir("clone");
    let place = Place::Server { address: server.address.to_string() };
    let config = ClientConfig { data_dir, place, device: "phone".into() };
    let mut clone = Client::open(config).unwrap();
    let added = add(&mut clone, "another two");
    assert!(added.receipt.is_some(), "{added:?}");
    assert_eq!((added.waiting, added.refused.len()), (0, 0));
    assert!(clone.history(added.note).unwrap()[0].receipt.is_some());
    // Both go on.
    let mut laptop = world.client("laptop", server.address);
    add(&mut laptop, "three");
    for _ in 0..3 {
        add(&mut phone, "more");
        assert!(add(&mut clone, "more").receipt.is_some());
    }
    let mut all = vec!["more"; 6];
    all.extend(["one", "two", "another two", "three"]);
    all.sort_unstable();
    for client in [&mut phone, &mut clone, &mut laptop] {
        sync(client);
        assert_eq!(texts(&mut *client.reader().unwrap()), all);
        assert_eq!(client.verify(Scope::All, PATIENCE, &mut |_, _| {}).unwrap().problems, []);
    }
    let repairs = clone.status(PATIENCE).unwrap().repairs;
    assert_eq!(repairs.iter().map(|repair| repair.what.word()).collect::<Vec<_>>(), ["rescued"]);
}
