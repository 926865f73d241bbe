//! Joining: the right way, each wrong way, and the ways that are cut short.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Serving, World, copy, texts};
use suibi_client::{Client, JoinError, Membership, Place, join, join_again};
use suibi_journal::{Extras, Rights};
use suibi_net::relay::{Faults, Relay};
use suibi_oscore::{InviteLine, KeyId};
use suibi_store::{
    AccessChange, InviteRow, JournalId, OwnChain, SqliteOptions, SqliteStore, Store as _,
};

fn add(client: &mut Client, text: &str) {
    client.add(text, None, Extras::new()).unwrap();
}

/// What the server has by now, as a device that has just joined sees it.
#[track_caller]
fn on_server(world: &World, device: &str) -> Vec<String> {
    world.join(device, &world.invite("read,write"));
    let mut client = world.joined(device);
    client.sync(PATIENCE, |_| {}).unwrap();
    texts(&mut *client.reader().unwrap())
}

/// The same line through another port.
fn through(line: &InviteLine, port: u16) -> InviteLine {
    InviteLine { port, ..line.clone() }
}

fn nobody() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_machine_joins_and_is_a_device_of_that_server_from_then_on() {
    let world = World::new();
    let _server = world.serve(None);
    let line = world.invite("read,write");
    let joined = world.join("phone", &line);
    assert_eq!(joined.membership.address, format!("127.0.0.1:{}", line.port));
    assert_eq!((joined.membership.device.as_str(), joined.carried), ("phone", 0));
    assert_eq!((joined.left_behind, joined.clock_off), (0, None));
    let data_dir = world.dir("phone");
    assert_eq!(Membership::load(&data_dir).unwrap().unwrap(), joined.membership);
    assert_eq!(Place::of(&data_dir).unwrap(), Place::Joined { data_dir: data_dir.clone() });
    assert!(!data_dir.join("join.pending").exists());
    for name in ["membership", &joined.membership.replica] {
        let mode = fs::metadata(data_dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let devices = world.admin("server").devices().unwrap();
    assert_eq!((devices.len(), devices[0].name.as_str()), (1, "phone"));
    assert_eq!(devices[0].id, joined.membership.id.to_string());
}

#[test]
fn an_invite_lets_one_device_in() {
    let world = World::new();
    let _server = world.serve(None);
    let line = world.invite("read,write");
    world.join("phone", &line);
    let error = join(&world.dir("thief"), &line, "thief", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::Used { .. }), "{error}");
    assert!(error.to_string().contains("used already, at 20"), "{error}");
    assert_eq!(Membership::load(&world.dir("thief")).unwrap(), None);
    assert_eq!(world.admin("server").devices().unwrap().len(), 1);
}

#[test]
fn of_several_at_once_one_gets_in() {
    let world = World::new();
    let _server = world.serve(None);
    let line = world.invite("read,write");
    let outcomes: Vec<_> = thread::scope(|scope| {
        let joiners: Vec<_> = (0..5)
            .map(|joiner| {
                let (world, line) = (&world, &line);
                scope.spawn(move || {
                    let name = format!("joiner {joiner}");
                    join(&world.dir(&name), line, &name, PATIENCE)
                })
            })
            .collect();
        joiners.into_iter().map(|joiner| joiner.join().unwrap()).collect()
    });
    let in_ = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let used = outcomes.iter().filter(|o| matches!(o, Err(JoinError::Used { .. }))).count();
    assert_eq!((in_, used), (1, 4), "{outcomes:?}");
    assert_eq!(world.admin("server").devices().unwrap().len(), 1);
}

#[test]
fn two_processes_of_one_machine_do_not_join_at_the_same_time() {
    let world = World::new();
    let _server = world.serve(None);
    let line = world.invite("read,write");
    fs::create_dir_all(world.dir("phone")).unwrap();
    let other = fs::File::open(world.dir("phone")).unwrap();
    other.lock().unwrap();
    let error = join(&world.dir("phone"), &line, "phone", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::InProgress), "{error}");
    drop(other);
    world.join("phone", &line);
}

#[test]
fn a_machine_that_has_joined_is_told_so_before_an_invite_is_spent() {
    let world = World::new();
    let _server = world.serve(None);
    let first = world.join("phone", &world.invite("read,write")).membership;
    let line = world.invite("read,write");
    let error = join(&world.dir("phone"), &line, "phone", PATIENCE).unwrap_err();
    assert!(matches!(&error, JoinError::AlreadyJoined(m) if **m == first), "{error}");
    assert!(error.hint().contains("--again"));
    assert_eq!(
        world.admin("server").invites().unwrap().iter().filter(|i| i.used.is_some()).count(),
        1
    );

    let mut phone = world.joined("phone");
    add(&mut phone, "before");
    drop(phone);
    let again = join_again(&world.dir("phone"), &line, "phone", PATIENCE).unwrap();
    assert_ne!(again.membership.id, first.id);
    assert_eq!(again.membership.replica, first.replica, "the journal is the same");
    assert_eq!(again.left_behind, 0);
    let mut phone = world.joined("phone");
    add(&mut phone, "after");
    assert_eq!(phone.waiting().unwrap(), 0);
    assert_eq!(on_server(&world, "laptop"), ["after", "before"]);
}

#[test]
fn a_server_that_moved_is_known_by_its_feed_and_another_one_is_not() {
    let world = World::new();
    let server = world.serve(None);
    let first = world.join("phone", &world.invite("read,write")).membership;
    let mut phone = world.joined("phone");
    add(&mut phone, "one");
    phone.sync(PATIENCE, |_| {}).unwrap();
    drop(phone);
    // The same server under another address.
    let relay = Relay::start(server.oscore, Faults::default()).unwrap();
    let line = through(&world.invite("read,write"), relay.address().port());
    let moved = join_again(&world.dir("phone"), &line, "phone", PATIENCE).unwrap().membership;
    assert_eq!(moved.replica, first.replica);

    // Another server: what is ours stays ours.
    let _other = Serving::start(world.dir("other"), None);
    drop(server);
    let mut phone = world.joined("phone");
    add(&mut phone, "not delivered");
    drop(phone);
    let line = world.invite_to("other", "read,write");
    let other = join_again(&world.dir("phone"), &line, "phone", PATIENCE).unwrap();
    assert_ne!(other.membership.replica, first.replica);
    assert_eq!((other.left_behind, other.carried), (1, 0));
    let mut phone = world.joined("phone");
    phone.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(texts(&mut *phone.reader().unwrap()), Vec::<String>::new());
}

#[test]
fn a_lost_answer_is_asked_for_again_by_the_same_joiner_and_nobody_else() {
    let world = World::new();
    let server = world.serve(None);
    let line = world.invite("read,write");
    // So slow that the server has let us in long before we hear of it, and we do not wait so long.
    let delay = Duration::from_millis(300);
    let relay = Relay::start(server.oscore, Faults { delay, ..Faults::default() }).unwrap();
    let slow = through(&line, relay.address().port());
    let error =
        join(&world.dir("phone"), &slow, "phone", Duration::from_millis(1_050)).unwrap_err();
    assert!(matches!(error, JoinError::NoAnswer { .. }), "{error:?}");
    assert!(error.hint().contains("same line again"), "{}", error.hint());
    assert_eq!(Membership::load(&world.dir("phone")).unwrap(), None);
    let until = Instant::now() + PATIENCE;
    while world.admin("server").devices().unwrap().is_empty() {
        assert!(Instant::now() < until, "the request never arrived");
    }

    let error = join(&world.dir("thief"), &line, "thief", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::Used { .. }), "{error}");
    let joined = world.join("phone", &line);
    let devices = world.admin("server").devices().unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].id, joined.membership.id.to_string());
    add(&mut world.joined("phone"), "in at last");
    assert_eq!(on_server(&world, "laptop"), ["in at last"]);
}

#[test]
fn a_join_that_was_killed_anywhere_is_taken_up_by_the_same_line() {
    let world = World::new();
    let _server = world.serve(None);
    let line = world.invite("read,write");
    let mut before = world.embedded();
    add(&mut before, "written before");
    drop(before);
    // What is on the disk right after the server was asked: all that a killed process leaves.
    let _ = join(&world.dir("home"), &through(&line, nobody()), "home", PATIENCE).unwrap_err();
    let asked = world.dir("asked");
    copy(&world.dir("home"), &asked);
    assert!(asked.join("join.pending").exists() && !asked.join("membership").exists());

    let first = world.join("home", &line).membership;
    // Killed before the membership was there, with the replica half made or whole.
    fs::remove_file(world.dir("home").join("membership")).unwrap();
    fs::copy(asked.join("join.pending"), world.dir("home").join("join.pending")).unwrap();
    assert_eq!(world.join("home", &line).membership, first);
    // Killed before the pending join was removed.
    fs::copy(asked.join("join.pending"), world.dir("home").join("join.pending")).unwrap();
    assert_eq!(world.join("home", &line).membership, first);
    assert!(!world.dir("home").join("join.pending").exists());
    // Done: now the machine has joined, and the line is used up.
    let error = join(&world.dir("home"), &line, "home", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::AlreadyJoined(_)), "{error}");

    let mut home = world.joined("home");
    home.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(on_server(&world, "laptop"), ["written before"]);
    assert_eq!(world.admin("server").devices().unwrap().len(), 2);
}

#[test]
fn an_invite_that_has_expired_says_when() {
    let world = World::new();
    let server = world.serve(None);
    let fresh = world.invite("read,write");
    // The shortest lasts a minute; this one was made an hour ago.
    let id = KeyId::from_slice(b"late").unwrap();
    let hour = 3_600_000;
    let now = jiff::Timestamp::now().as_millisecond();
    let row = InviteRow {
        number: 0,
        key_id: id.as_slice().to_vec(),
        secret: fresh.secret.as_bytes().into(),
        journal: JournalId::FIRST,
        rights: Rights::READ_WRITE,
        name: None,
        made: now - hour,
        expires: now - hour / 2,
        joiner: None,
    };
    let (address, oscore) = (server.address, server.oscore);
    drop(server);
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".into() };
    let mut store = SqliteStore::open(&world.dir("server").join("server.db"), options).unwrap();
    store.change_access(&AccessChange::AddInvite(row), None).unwrap().unwrap();
    drop(store);
    let _server = Serving::start_at(world.dir("server"), Some(address), Some(oscore));
    let line = InviteLine { id, ..fresh };
    let error = join(&world.dir("phone"), &line, "phone", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::Expired { .. }), "{error:?}");
    assert!(error.to_string().contains("ended at 20"), "{error}");
    assert!(error.hint().contains("suibi invite"));
}

#[test]
fn a_server_that_is_down_and_one_that_is_another_one_are_told_apart() {
    let world = World::new();
    let _server = world.serve(None);
    let line = world.invite("read,write");
    let data_dir = world.dir("phone");

    let error = join(&data_dir, &through(&line, nobody()), "phone", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::LoopbackElsewhere { .. }), "{error:?}");
    assert!(error.hint().contains("--host"));

    let other = Serving::start(world.dir("other"), None);
    let within = Duration::from_secs(1);
    let error = join(&data_dir, &through(&line, other.oscore.port()), "phone", within).unwrap_err();
    assert!(matches!(error, JoinError::NotOurs { .. }), "{error:?}");
    // A listener without protection is no better.
    let error =
        join(&data_dir, &through(&line, other.address.port()), "phone", within).unwrap_err();
    assert!(matches!(error, JoinError::NotOurs { .. }), "{error:?}");

    let nowhere = InviteLine { host: "no such host.invalid".into(), ..line.clone() };
    let error = join(&data_dir, &nowhere, "phone", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::Unresolvable { .. }), "{error:?}");

    let error = join(&data_dir, &line, "two\nlines", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::Device(_)), "{error:?}");
    // After all of that the line is as good as new.
    world.join("phone", &line);
}

#[test]
fn what_was_written_before_goes_along_and_is_there_once() {
    let world = World::new();
    let _server = world.serve(None);
    // On the machine itself, and through the plain listener of a server that ran there.
    let mut expected: Vec<_> = (0..500).map(|i| format!("note {i:03}")).collect();
    let mut home = world.embedded();
    let events = home.live().unwrap();
    for text in &expected[..480] {
        add(&mut home, text);
    }
    drop(home);
    drop(events);
    let own = Serving::start(world.dir("home"), None);
    let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
    plain.connect(own.plain).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    for text in &expected[480..] {
        plain.send(text.as_bytes()).unwrap();
        let mut buf = [0; 64];
        let len = plain.recv(&mut buf).unwrap();
        assert_eq!(&buf[..len], text.as_bytes());
    }
    drop(own);
    // A prompt that stays open while the machine joins.
    let mut open = world.embedded();
    add(&mut open, "from an open prompt, before");

    let joined = world.join("home", &world.invite("read,write"));
    assert_eq!(joined.carried, 501);
    let mut home = world.joined("home");
    let synced = home.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!((synced.receipts.len(), synced.waiting, synced.refused.len()), (501, 0, 0));

    add(&mut open, "from an open prompt, after");
    drop(open);
    add(&mut home, "from the joined machine");
    let synced = home.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(synced.waiting, 0);
    expected.extend([
        "from an open prompt, before".to_owned(),
        "from an open prompt, after".to_owned(),
        "from the joined machine".to_owned(),
    ]);
    expected.sort();
    assert_eq!(texts(&mut *home.reader().unwrap()), expected);
    assert_eq!(on_server(&world, "laptop"), expected);
    // A second time there is nothing to do.
    let synced = home.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!((synced.receipts.len(), synced.pulled), (0, 0));
    assert!(world.dir("home").join("replica-embedded.db").exists(), "what was there is there");
}

#[test]
fn a_drop_takes_along_what_was_written_before_without_asking_what_is_there() {
    let world = World::new();
    let _server = world.serve(None);
    let mut home = world.embedded();
    add(&mut home, "written before");
    drop(home);
    assert_eq!(world.join("home", &world.invite("write")).carried, 1);
    let mut home = world.joined("home");
    assert_eq!(home.waiting().unwrap(), 1);
    let synced = home.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!((synced.receipts.len(), synced.waiting), (1, 0));
    drop(home);
    // Another invite to the same journal: it went along once, and is not said to go again.
    let again = join_again(&world.dir("home"), &world.invite("read,write"), "home", PATIENCE);
    assert_eq!(again.unwrap().carried, 0);
    world.joined("home").sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(on_server(&world, "laptop"), ["written before"]);
}

#[test]
fn a_server_is_not_its_own_device() {
    let world = World::new();
    let server = world.serve(None);
    let line = world.invite("read,write");
    let error = join(&world.dir("server"), &line, "server", PATIENCE).unwrap_err();
    assert!(matches!(error, JoinError::OwnServer), "{error:?}");
    assert_eq!(Membership::load(&world.dir("server")).unwrap(), None);
    drop(server);
}

#[test]
fn who_may_only_read_takes_nothing_along() {
    let world = World::new();
    let _server = world.serve(None);
    let mut home = world.embedded();
    add(&mut home, "private");
    drop(home);
    let joined = world.join("home", &world.invite("read"));
    assert_eq!((joined.carried, joined.left_behind), (1, 0));
    let mut home = world.joined("home");
    home.sync(PATIENCE, |_| {}).unwrap();
    assert_eq!(on_server(&world, "laptop"), Vec::<String>::new());
}
