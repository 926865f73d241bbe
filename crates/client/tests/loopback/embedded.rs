//! The embedded server: many processes of one device on one directory. Here each is a client of its own in one
//! process; the locks of the directory and of the database do not know the difference.

use std::thread;
use std::time::Instant;

use crate::support::{AT_ONCE, PATIENCE, World, eventually, texts};
use suibi_client::{Client, ClientError, LiveEvent};
use suibi_journal::Extras;
use suibi_store::{OwnChain, SqliteOptions, SqliteStore, Store as _};

fn add(client: &mut Client, text: &str) -> suibi_client::Added {
    client.add(text, None, Extras::new()).unwrap()
}

/// What the server's own database has, sorted; the server must not run.
fn on_server(world: &World) -> Vec<String> {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "test".into() };
    let store = SqliteStore::open(&world.dir("home").join("server.db"), options).unwrap();
    texts(&mut *store.reader().unwrap())
}

#[test]
fn one_command_on_a_new_machine_keeps_its_note_on_its_own_server() {
    let world = World::new();
    let mut client = world.embedded();
    let added = add(&mut client, "first");
    assert!(added.receipt.is_some(), "{:?}", added.trouble);
    assert!(client.status(PATIENCE).unwrap().is_host);
    drop(client);
    assert_eq!(on_server(&world), ["first"]);
}

#[test]
fn the_second_command_talks_to_the_first_ones_server_and_takes_over_when_it_ends() {
    let world = World::new();
    let (mut first, mut second) = (world.embedded(), world.embedded());
    add(&mut first, "one");
    assert!(add(&mut second, "two").receipt.is_some());
    let (a, b) = (first.status(PATIENCE).unwrap(), second.status(PATIENCE).unwrap());
    assert_eq!(a.server, b.server);
    assert!(a.is_host && !b.is_host);

    drop(first);
    let begun = Instant::now();
    let added = add(&mut second, "three");
    assert!(added.receipt.is_some(), "{:?}", added.trouble);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    assert!(second.status(PATIENCE).unwrap().is_host);
    drop(second);
    assert_eq!(on_server(&world), ["one", "three", "two"]);
}

#[test]
fn twenty_at_once_keep_every_note_once() {
    let world = World::new();
    let adders = 20;
    let each = 5;
    thread::scope(|scope| {
        for adder in 0..adders {
            let world = &world;
            scope.spawn(move || {
                for i in 0..each {
                    // As a command: it opens, adds one, and ends, with its server if it is the host.
                    let added = add(&mut world.embedded(), &format!("{adder:02}-{i}"));
                    assert!(
                        added.trouble.as_ref().is_none_or(ClientError::is_offline),
                        "{added:?}"
                    );
                    assert!(added.refused.is_empty(), "{:?}", added.refused);
                    assert!(added.receipt.is_some() || added.waiting > 0, "{added:?}");
                }
            });
        }
    });
    // What was too late for its own second goes along with the next command.
    let mut last = world.embedded();
    eventually("the outbox is empty", || {
        last.sync(PATIENCE, |_| {}).is_ok_and(|synced| synced.waiting == 0)
    });
    let here = texts(&mut *last.reader().unwrap());
    drop(last);
    let mut expected: Vec<_> =
        (0..adders).flat_map(|a| (0..each).map(move |i| format!("{a:02}-{i}"))).collect();
    expected.sort();
    assert_eq!(here, expected);
    assert_eq!(on_server(&world), expected);
}

#[test]
fn a_prompt_takes_over_by_itself_when_the_host_ends() {
    let world = World::new();
    let mut first = world.embedded();
    add(&mut first, "by the first");
    let mut second = world.embedded();
    let events = second.live().unwrap();
    let next = || events.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(next(), LiveEvent::Online));

    // Nobody types anything; still the server is back soon, in the second one.
    drop(first);
    let mut third = world.embedded();
    eventually("the second is the host", || second.status(PATIENCE).unwrap().is_host);
    let added = add(&mut third, "by the third");
    assert!(added.receipt.is_some(), "{:?}", added.trouble);
    loop {
        if let LiveEvent::NewNotes(notes) = next() {
            assert_eq!(notes.len(), 1);
            assert_eq!(notes[0].text, "by the third");
            break;
        }
    }
}
