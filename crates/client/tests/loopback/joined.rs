//! A machine that has joined a server: what passes between the two, and what happens when one of them is not what it was.

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use crate::support::{PATIENCE, Serving, World, copy, eventually, texts};
use suibi_client::{Added, Admin, Client, ClientError, LiveEvent, Membership, Place, RemoteError};
use suibi_journal::Extras;
use suibi_net::relay::{Faults, Relay};
use suibi_oscore::InviteLine;

fn add(client: &mut Client, text: &str) -> Added {
    client.add(text, None, Extras::new()).unwrap()
}

#[track_caller]
fn sync(client: &mut Client) {
    client.sync(PATIENCE, |_| {}).unwrap();
}

/// A device that has joined through a relay, which counts its datagrams.
fn joined_through_a_relay(world: &World, server: &Serving) -> Relay {
    let relay = Relay::start(server.oscore, Faults::default()).unwrap();
    let line = world.invite("read,write");
    world.join("phone", &InviteLine { port: relay.address().port(), ..line });
    relay
}

/// How many datagrams one note of a new process takes. More than it should be only when the disk is slow, so the best
/// of some is what is meant.
fn datagrams(world: &World, relay: &Relay, prepare: impl Fn()) -> u64 {
    let count = |i: usize| {
        prepare();
        let before = relay.stats().carried;
        let added = add(&mut world.joined("phone"), &format!("note {i}"));
        assert!(added.receipt.is_some(), "{:?}", added.trouble);
        relay.stats().carried - before
    };
    (0..20).map(count).min().unwrap()
}

#[test]
fn a_note_of_a_cold_process_takes_one_round_trip_and_the_first_contact_two() {
    let world = World::new();
    let server = world.serve(None);
    let relay = joined_through_a_relay(&world, &server);
    assert_eq!(datagrams(&world, &relay, || {}), 2, "the join has brought what it takes");

    // What the server drew at its start is not known: a first contact.
    let forget = || {
        let replica = Membership::load(&world.dir("phone")).unwrap().unwrap().replica;
        let path = world.dir("phone").join(replica);
        let options = suibi_store::SqliteOptions {
            own_chain: suibi_store::OwnChain::Kept,
            device: "phone".into(),
        };
        let mut store = suibi_store::SqliteStore::open(&path, options).unwrap();
        assert!(store.meta("epoch").unwrap().is_some_and(|epoch| epoch.len() > 16));
        store.set_meta("epoch", "").unwrap();
    };
    assert_eq!(datagrams(&world, &relay, forget), 4);
    assert_eq!(datagrams(&world, &relay, || {}), 2, "it is remembered");

    // After a restart of the server the same.
    let server = server.restart(&world);
    relay.set_target(server.oscore);
    assert!(add(&mut world.joined("phone"), "restarted").receipt.is_some());
    assert_eq!(datagrams(&world, &relay, || {}), 2, "it is remembered again");
}

#[test]
fn a_server_without_protection_is_met_only_where_it_is_named() {
    let world = World::new();
    let server = world.serve(None);
    world.join("phone", &world.invite("read,write"));
    add(&mut world.joined("phone"), "under protection");
    let mut named = world.client("tablet", server.address);
    sync(&mut named);
    assert_eq!(texts(&mut *named.reader().unwrap()), ["under protection"]);
    // The same at the listener that wants protection: it gives nothing away.
    let mut named = world.client("tablet", server.oscore);
    let error = named.sync(PATIENCE, |_| {}).unwrap_err();
    assert!(!error.is_offline(), "{error}");
    assert_eq!(texts(&mut *named.reader().unwrap()), Vec::<String>::new());
}

#[test]
fn a_drop_adds_notes_and_sees_none() {
    let world = World::new();
    let _server = world.serve(None);
    world.join("laptop", &world.invite("read,write"));
    add(&mut world.joined("laptop"), "not for the drop");
    world.join("drop", &world.invite("write"));
    let mut drop = world.joined("drop");
    let added = add(&mut drop, "dropped");
    assert!(added.receipt.is_some(), "{:?}", added.trouble);
    sync(&mut drop);
    assert_eq!(texts(&mut *drop.reader().unwrap()), ["dropped"]);
    assert!(drop.status(PATIENCE).unwrap().head.is_ok());
    let ask = suibi_coap::Request::new(suibi_coap::Code::GET).path("/notes");
    let error = drop.ask(&ask, PATIENCE).unwrap_err();
    assert!(matches!(error, ClientError::WriteOnly { .. }), "{error}");

    let events = drop.live().unwrap();
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), LiveEvent::Online));
    add(&mut drop, "dropped while live");
    loop {
        if let LiveEvent::Delivered(receipts) = events.recv_timeout(PATIENCE).unwrap() {
            assert_eq!(receipts.len(), 1);
            break;
        }
    }
    let mut laptop = world.joined("laptop");
    sync(&mut laptop);
    assert_eq!(
        texts(&mut *laptop.reader().unwrap()),
        ["dropped", "dropped while live", "not for the drop"]
    );
}

#[test]
fn who_may_only_read_is_told_before_anything_is_written() {
    let world = World::new();
    let _server = world.serve(None);
    world.join("laptop", &world.invite("read,write"));
    add(&mut world.joined("laptop"), "to be read");
    world.join("reader", &world.invite("read"));
    let mut reader = world.joined("reader");
    let error = reader.add("never", None, Extras::new()).unwrap_err();
    assert!(matches!(error, ClientError::ReadOnly { .. }), "{error}");
    assert_eq!(reader.waiting().unwrap(), 0);
    sync(&mut reader);
    assert_eq!(texts(&mut *reader.reader().unwrap()), ["to be read"]);
}

#[test]
fn a_device_that_was_cut_off_hears_so_and_keeps_its_notes() {
    let world = World::new();
    let _server = world.serve(None);
    let id = world.join("phone", &world.invite("read,write")).membership.id;
    let mut phone = world.joined("phone");
    add(&mut phone, "before");
    sync(&mut phone);
    world.admin("server").revoke(&id.to_string()).unwrap();

    let added = add(&mut phone, "after");
    let trouble = added.trouble.unwrap();
    assert!(matches!(trouble, ClientError::Revoked { .. }), "{trouble}");
    assert!(!trouble.is_offline());
    assert_eq!((added.receipt, added.waiting), (None, 1));
    let error = phone.sync(PATIENCE, |_| {}).unwrap_err();
    assert!(matches!(error, ClientError::Revoked { .. }), "{error}");
    assert_eq!(texts(&mut *phone.reader().unwrap()), ["after", "before"]);
    let events = phone.live().unwrap();
    loop {
        if let LiveEvent::Trouble(error) = events.recv_timeout(PATIENCE).unwrap() {
            assert!(matches!(error, ClientError::Revoked { .. }), "{error}");
            break;
        }
    }
}

#[test]
fn a_server_that_does_not_know_us_is_silent_and_what_that_may_mean_is_told() {
    let world = World::new();
    let server = world.serve(None);
    let (data, backup) = (world.dir("server"), world.dir("backup"));
    add(&mut world.client("tablet", server.address), "old");
    let (address, oscore) = (server.address, server.oscore);
    drop(server);
    copy(&data, &backup);
    let server = Serving::start_at(data.clone(), Some(address), Some(oscore));
    world.join("phone", &world.invite("read,write"));
    add(&mut world.joined("phone"), "new");
    drop(server);
    fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    let server = Serving::start_at(data, Some(address), Some(oscore));

    // Each in a process of its own.
    let within = Duration::from_millis(250);
    let ask = || world.joined("phone").status(within).unwrap().head.unwrap_err();
    for _ in 0..2 {
        let error = ask();
        assert!(matches!(error, ClientError::Remote(RemoteError::NoAnswer { .. })), "{error:?}");
    }
    let error = ask();
    assert!(
        matches!(error, ClientError::Unanswered { tries: 3, may_be_another: false, .. }),
        "{error:?}"
    );
    assert!(error.is_offline() && error.to_string().contains("backup"), "{error}");

    // The way out; nothing of the phone's is lost, and the server has it again.
    drop(server);
    let server = Serving::start_at(world.dir("server"), Some(address), Some(oscore));
    let line = world.invite("read,write");
    suibi_client::join_again(&world.dir("phone"), &line, "phone", PATIENCE).unwrap();
    let mut phone = world.joined("phone");
    sync(&mut phone);
    assert!(phone.status(PATIENCE).unwrap().head.is_ok());
    let mut tablet = world.client("tablet", server.address);
    sync(&mut tablet);
    assert_eq!(texts(&mut *tablet.reader().unwrap()), ["new", "old"]);
}

#[test]
fn what_proves_nothing_is_told_as_a_guess_and_ends_nothing() {
    let world = World::new();
    let server = world.serve(None);
    world.join("phone", &world.invite("read,write"));
    let oscore = server.oscore;
    drop(server);
    // A stranger at the server's address: an answer to everything, under nobody's keys.
    let stranger = UdpSocket::bind(oscore).unwrap();
    thread::spawn(move || {
        let mut buf = [0; 2048];
        while let Ok((_, from)) = stranger.recv_from(&mut buf) {
            // 4.03 in the acknowledgement, with the token that came.
            let token = usize::from(buf[0] & 0x0f);
            (buf[0], buf[1]) = (0x60 | token as u8, 0x83);
            if stranger.send_to(&buf[..4 + token], from).is_err() {
                break;
            }
        }
    });
    let mut phone = world.joined("phone");
    let added = add(&mut phone, "kept");
    assert_eq!((added.receipt, added.waiting), (None, 1));
    assert!(added.trouble.unwrap().is_offline(), "it is no word of the server");
    let error = phone.status(Duration::from_millis(300)).unwrap().head.unwrap_err();
    assert!(matches!(error, ClientError::Unanswered { may_be_another: true, .. }), "{error:?}");
    assert!(error.to_string().contains("may be another one"), "{error}");
}

#[test]
fn a_copied_data_directory_is_used_by_both_without_harm() {
    let world = World::new();
    let _server = world.serve(None);
    world.join("phone", &world.invite("read,write"));
    add(&mut world.joined("phone"), "one");
    copy(&world.dir("phone"), &world.dir("clone"));
    // Both speak, and both are heard: each process has keys of its own.
    let (mut phone, mut clone) = (world.joined("phone"), world.joined("clone"));
    for _ in 0..3 {
        sync(&mut phone);
        sync(&mut clone);
    }
    assert!(add(&mut phone, "two").receipt.is_some());
    // A slot of the same chain for the second time: written anew, and delivered.
    let added = add(&mut clone, "another two");
    assert!(added.trouble.is_none(), "{:?}", added.trouble);
    assert_eq!((added.refused.len(), added.waiting), (0, 0));
    assert!(added.receipt.is_some());
    sync(&mut phone);
    clone.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(texts(&mut *clone.reader().unwrap()), ["another two", "one", "two"]);
}

#[test]
fn a_client_put_back_to_its_backup_goes_on() {
    let world = World::new();
    let server = world.serve(None);
    world.join("phone", &world.invite("read,write"));
    add(&mut world.joined("phone"), "one");
    copy(&world.dir("phone"), &world.dir("backup"));
    add(&mut world.joined("phone"), "two");
    // The server starts anew, too: the backup remembers what was drawn before.
    let server = server.restart(&world);
    add(&mut world.joined("phone"), "three");
    fs::remove_dir_all(world.dir("phone")).unwrap();
    copy(&world.dir("backup"), &world.dir("phone"));

    let mut phone = world.joined("phone");
    sync(&mut phone);
    assert!(add(&mut phone, "four").receipt.is_some());
    assert_eq!(texts(&mut *phone.reader().unwrap()), ["four", "one", "three", "two"]);
    drop(server);
}

#[test]
fn a_prompt_follows_a_joined_server_through_its_restart() {
    let world = World::new();
    let server = world.serve(None);
    world.join("phone", &world.invite("read,write"));
    world.join("laptop", &world.invite("read,write"));
    let mut phone = world.joined("phone");
    let events = phone.live().unwrap();
    assert!(matches!(events.recv_timeout(PATIENCE).unwrap(), LiveEvent::Online));
    let server = server.restart(&world);
    add(&mut phone, "by the phone");
    eventually("it is delivered", || phone.waiting().unwrap() == 0);
    let mut laptop = world.joined("laptop");
    eventually("the laptop's is", || add(&mut laptop, "by the laptop").receipt.is_some());
    loop {
        if let LiveEvent::NewNotes(notes) = events.recv_timeout(PATIENCE).unwrap() {
            assert_eq!(notes[0].text, "by the laptop");
            assert_eq!(notes[0].device, "laptop");
            break;
        }
    }
    drop(server);
}

#[test]
fn owners_commands_go_where_the_server_is() {
    let world = World::new();
    let _server = world.serve(None);
    world.join("admin", &world.invite("read,write,admin"));
    world.join("phone", &world.invite("read,write"));
    let mut admin = world.admin("admin");
    assert!(matches!(admin.place(), Place::Joined { .. }));
    let names = |devices: Vec<suibi_journal::DeviceInfo>| -> Vec<String> {
        devices.into_iter().map(|device| device.name).collect()
    };
    assert_eq!(names(admin.devices().unwrap()), ["admin", "phone"]);
    let phone = admin.devices().unwrap()[1].id.clone();
    admin.rename(&phone, "old phone").unwrap();
    assert_eq!(names(world.admin("server").devices().unwrap()), ["admin", "old phone"]);
    assert!(!admin.audit(100).unwrap().is_empty());

    let refused = Admin::open(&world.dir("phone"), "phone", PATIENCE).err().unwrap();
    assert!(matches!(refused, ClientError::NotAdmin { .. }), "{refused}");
    // A machine of its own has its own server for that.
    let mut own = world.admin("home");
    assert_eq!(own.devices().unwrap(), []);
}
