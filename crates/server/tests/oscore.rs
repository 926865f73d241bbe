//! Devices under OSCORE, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use suibi_coap::{Code, ContentFormat, Request};
use suibi_journal::Cursor;
use suibi_oscore::ClientContext;
use suibi_server::{Config, Listen, Reach, Server};
use suibi_store::{AccessChange, DeviceRow, Store as _};
use support::{
    Client, Credential, NOTES, Old, Running, add_device, add_journal, config, datagram, get,
    phone_and_server, post, protected, random, store,
};

#[track_caller]
fn refused(client: &mut Client, request: Request, sentence: &str) {
    let response = client.ask(request);
    assert_eq!((response.code, response.text().as_str()), (Code::FORBIDDEN, sentence));
}

#[test]
fn a_device_writes_reads_and_observes() {
    let dir = tempfile::tempdir().unwrap();
    let [phone, laptop] =
        ["phone", "laptop"].map(|name| add_device(dir.path(), name, NOTES, "read,write"));
    let server = Running::start(protected(dir.path()));
    let mut phone = server.device(&phone.process(None));
    let mut laptop = server.device(&laptop.process(None));

    let notes = phone.send(get("/notes").observe(true));
    assert_eq!(phone.answer(notes).text(), "");
    let created = laptop.post("第一条 #trip");
    assert!(phone.notification(notes).text().ends_with(" 第一条 #trip\n"));
    laptop.post("once more");
    assert!(phone.notification(notes).text().ends_with(" once more\n"));
    let note = format!("/{}", created.location_segments().join("/"));
    let edited = phone.ask(Request::new(Code::PUT).path(&note).payload("edited"));
    assert_eq!(edited.code, Code::CHANGED);
    assert_eq!(laptop.texts(), ["edited", "once more"]);
    let json = phone.ask(get("/notes").accept(ContentFormat::JSON)).text();
    assert!(json.contains("\"source\":\"laptop\""), "{json}");
}

#[test]
fn a_hundred_kilobytes_go_both_ways() {
    let (_dir, phone, server) = phone_and_server();
    let mut phone = server.device(&phone.process(None));
    let text = "一行一行, line by line\n".repeat(4000);
    assert!(text.len() > 100_000);
    let created = phone.post(&text);
    let note = format!("/{}", created.location_segments().join("/"));
    assert!(phone.get(&note).text() == text, "something else came back");
}

#[test]
fn two_round_trips_at_first_contact_then_one_until_the_server_starts_anew() {
    let (dir, phone, server) = phone_and_server();
    let round_trips = |server: &Running, context: &ClientContext| {
        let mut client = server.device(context);
        client.post("a note");
        client.sent
    };
    let first = phone.process(None);
    assert_eq!(round_trips(&server, &first), 2);
    let remembered = first.epoch();
    assert!(remembered.is_some());
    assert_eq!(round_trips(&server, &phone.process(remembered)), 1);
    assert_eq!(round_trips(&server, &phone.process(remembered)), 1);
    server.stop();

    let server = Running::start(protected(dir.path()));
    let next = phone.process(remembered);
    assert_eq!(round_trips(&server, &next), 2);
    assert_ne!(next.epoch(), remembered);
    assert_eq!(round_trips(&server, &phone.process(next.epoch())), 1);
    assert_eq!(server.owner().texts().len(), 5, "each was kept once");
}

#[test]
fn strangers_get_silence_and_unprotected_requests_nothing_but_4_01() {
    let (_dir, phone, server) = phone_and_server();
    let id = suibi_oscore::KeyId::from_slice(b"none").unwrap();
    let nobody = Credential { id, secret: phone.secret.clone() };
    let secret = suibi_oscore::Secret::from_bytes(&random::<32>()).unwrap();
    let guessing = Credential { id: phone.id, secret };
    for stranger in [nobody, guessing] {
        let mut client = server.device(&stranger.process(None));
        let asked = client.send(get("/notes"));
        client.expect_silence(asked);
    }
    let mut plain = Client::new(server.oscore[0]);
    for request in
        [get("/notes"), get("/.well-known/core"), post("x"), get("/status").observe(true)]
    {
        let response = plain.ask(request);
        assert_eq!((response.code, response.payload.len()), (Code::UNAUTHORIZED, 0));
    }
    assert_eq!(server.owner().texts(), [""; 0]);
}

#[test]
fn rights_are_what_a_device_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let device = |name, rights| add_device(dir.path(), name, NOTES, rights);
    let (reader, sensor) = (device("reader", "read"), device("sensor", "write"));
    let (writer, admin) = (device("writer", "read,write"), device("admin", "admin"));
    let server = Running::start(config(dir.path()));
    let [mut reader, mut sensor, mut writer, mut admin] =
        [reader, sensor, writer, admin].map(|device| server.device(&device.process(None)));

    let no_write = "this device has no right to write; ask the owner of the server";
    let no_read = "this device has no right to read; ask the owner of the server";
    let only_adds = "this device can only add notes; ask the owner of the server for more";
    let no_admin = "this device has no right \"admin\"; ask the owner of the server";
    let created = sensor.post("21 degrees");
    let note = format!("/{}", created.location_segments().join("/"));
    let put = Request::new(Code::PUT).path(&note).payload("22 degrees");
    let delete = Request::new(Code::DELETE).path(&note);

    assert_eq!(reader.texts(), ["21 degrees"]);
    refused(&mut reader, post("x"), no_write);
    refused(&mut reader, Request::new(Code::POST).path("/feed"), no_write);
    refused(&mut reader, put.clone(), no_write);
    for path in ["/notes", &note, "/days", "/tags", "/feed", "/feed/head", "/heads", "/status"] {
        refused(&mut sensor, get(path), only_adds);
        refused(&mut sensor, get(path).observe(true), only_adds);
        refused(&mut admin, get(path), no_read);
    }
    refused(&mut sensor, put.clone(), only_adds);
    refused(&mut sensor, delete, only_adds);
    assert_eq!(sensor.get("/.well-known/core").code, Code::CONTENT);
    assert_eq!(writer.ask(put).code, Code::CHANGED);
    for path in ["/devices", "/invites", "/journals", "/audit"] {
        refused(&mut writer, get(path), no_admin);
        assert_eq!(admin.get(path).code, Code::CONTENT, "{path}");
    }
    // Nobody administers over a listener that proves nothing.
    let unprotected = server.client().get("/devices");
    assert_eq!(unprotected.code, Code::FORBIDDEN);
    assert!(unprotected.text().ends_with("nobody has over an unprotected listener"));
    let joining = writer.ask(Request::new(Code::POST).path("/join"));
    assert_eq!(joining.code, Code::FORBIDDEN, "{}", joining.text());
}

#[test]
fn journals_are_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let family = add_journal(dir.path(), "family");
    let mine = add_device(dir.path(), "phone", NOTES, "read,write");
    let ours = add_device(dir.path(), "tablet", family, "read,write");
    let server = Running::start(config(dir.path()));
    let mut mine = server.device(&mine.process(None));
    let mut ours = server.device(&ours.process(None));

    let [my_watch, our_watch] = [&mut mine, &mut ours].map(|client| {
        let id = client.send(get("/feed/head").observe(true));
        assert_eq!(Cursor::decode(&client.answer(id).payload).unwrap(), Cursor::START);
        id
    });
    let note = mine.post("for me");
    ours.post("for us");
    ours.post("for us again");
    server.client().post("over the open door");
    Old::new(server.plain[0]).ask("over the plain door");
    for (client, id, journal) in [(&mut mine, my_watch, "notes"), (&mut ours, our_watch, "family")]
    {
        let head = server.owner().ask(get("/feed/head").query("journal", journal)).payload;
        while client.notification(id).payload != head {}
    }
    assert_eq!(mine.texts(), ["for me", "over the open door", "over the plain door"]);
    assert_eq!(ours.texts(), ["for us", "for us again"]);
    let note = format!("/{}", note.location_segments().join("/"));
    assert_eq!(ours.get(&note).code, Code::NOT_FOUND);
    let deleted = ours.ask(Request::new(Code::DELETE).path(&note).if_match(b""));
    assert_ne!(deleted.code, Code::DELETED);
    assert_eq!(mine.get(&note).text(), "for me");
    // A device names no journal; the owner may name any.
    assert_eq!(ours.ask(get("/notes").query("journal", "notes")).code, Code::BAD_REQUEST);
    let named = server.owner().ask(get("/notes").query("journal", "family"));
    assert!(named.text().ends_with(" for us again\n"), "{}", named.text());
    let none = server.owner().ask(get("/notes").query("journal", "work"));
    assert_eq!(
        (none.code, none.text().as_str()),
        (Code::NOT_FOUND, "there is no journal \"work\" on this server")
    );
}

#[test]
fn a_revoked_device_is_refused_at_its_next_datagram() {
    let dir = tempfile::tempdir().unwrap();
    let phone = add_device(dir.path(), "phone", NOTES, "read,write,admin");
    let server = Running::start(protected(dir.path()));
    let mut lost = server.device(&phone.process(None));
    lost.post("before");
    let watch = lost.send(get("/notes").observe(true));
    assert_eq!(lost.answer(watch).code, Code::CONTENT);

    let id: String = phone.id.as_slice().iter().map(|byte| format!("{byte:02x}")).collect();
    let revoke = Request::new(Code::DELETE).path(&format!("/devices/{id}"));
    let revoked = server.owner().ask(revoke);
    assert_eq!(revoked.code, Code::DELETED, "{}", revoked.text());

    let text = "this device was revoked";
    let last = lost.notification(watch);
    assert_eq!((last.code, last.text().as_str()), (Code::FORBIDDEN, text));
    refused(&mut lost, get("/notes"), text);
    refused(&mut lost, get("/devices"), text);
    let sent = lost.sent;
    refused(&mut lost, post("x".repeat(100_000)), text);
    assert_eq!(lost.sent, sent + 1, "one block was enough");
    server.owner().post("after");
    assert_eq!(server.owner().texts(), ["before", "after"]);
    server.stop();

    // Nor does it come back with a new server.
    let server = Running::start(protected(dir.path()));
    refused(&mut server.device(&phone.process(None)), get("/notes"), text);
    let trail = server.owner().get("/audit").text();
    assert!(trail.contains("revoked") && trail.contains("refused"), "{trail}");
}

#[test]
fn what_was_recorded_is_carried_out_once_whenever_it_is_sent_again() {
    let (dir, phone, server) = phone_and_server();
    let context = phone.process(None);
    assert_eq!(server.device(&context).get("/status").code, Code::CONTENT);
    let first = datagram(&phone.process(context.epoch()), "the first of its process");
    let held_back = datagram(&context, "held back");
    let raw = Old::new(server.oscore[0]);
    let answer = raw.ask(&first);
    assert_eq!(raw.ask(&first), answer, "a retransmission is answered as before");
    let elsewhere = Old::new(server.oscore[0]);
    elsewhere.send(&first);
    elsewhere.expect_silence();
    assert_eq!(server.owner().texts(), ["the first of its process"]);
    server.stop();

    let server = Running::start(protected(dir.path()));
    for recorded in [&first, &held_back] {
        let again = Old::new(server.oscore[0]).ask(recorded);
        assert_ne!(again[4..], answer[4..], "no two answers under one key and nonce");
    }
    assert_eq!(server.owner().texts(), ["the first of its process"]);
}

#[test]
fn what_was_recorded_before_a_revocation_is_refused_after_it() {
    let (_dir, phone, server) = phone_and_server();
    let context = phone.process(None);
    assert_eq!(server.device(&context).get("/status").code, Code::CONTENT);
    let alive = datagram(&context, "in a context that is alive");
    let new = datagram(&phone.process(context.epoch()), "in one of its own");
    let id: String = phone.id.as_slice().iter().map(|byte| format!("{byte:02x}")).collect();
    let revoked = server.owner().ask(Request::new(Code::DELETE).path(&format!("/devices/{id}")));
    assert_eq!(revoked.code, Code::DELETED);
    for recorded in [alive, new] {
        Old::new(server.oscore[0]).ask(recorded);
    }
    assert_eq!(server.owner().texts(), [""; 0]);
}

#[test]
fn the_owners_commands_have_a_credential_of_their_own_that_ends_with_the_server() {
    let dir = tempfile::tempdir().unwrap();
    // Not asked for by name: it is there whatever else is.
    let server = Running::start(config(dir.path()));
    assert_eq!(server.oscore.len(), 1);
    assert_eq!(Reach::of(server.oscore[0]), Reach::ThisMachine);
    let mut owner = server.owner();
    owner.post("mine");
    assert_eq!(owner.sent, 1, "what the lock file tells is enough for one round trip");
    assert_eq!(owner.get("/devices").code, Code::CONTENT);
    let old = server.local();
    assert_eq!(format!("{old:?}").matches("Secret(32 bytes)").count(), 1, "{old:?}");
    server.stop();

    let server = Running::start(config(dir.path()));
    assert_ne!(server.local().id, old.id);
    assert_ne!(server.local().secret, old.secret);
    let context = ClientContext::new(old.id, old.secret, Some(old.epoch), random());
    let mut late = server.device(&context);
    let asked = late.send(get("/notes"));
    late.expect_silence(asked);
}

#[test]
fn a_door_that_is_reached_over_loopback_is_the_owners_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path());
    config.listen.push(Listen { address: "0.0.0.0:0".to_owned() });
    let server = Server::bind(config).unwrap();
    let listeners: Vec<_> = server.listeners().iter().map(ToString::to_string).collect();
    let [SocketAddr::V4(address)] =
        server.listeners().iter().map(|l| l.address).collect::<Vec<_>>()[..]
    else {
        panic!("{listeners:?}");
    };
    assert_eq!(
        listeners,
        [format!(
            "oscore {address}, CoAP over UDP and TCP, encrypted, for invited devices, at every address of this machine"
        )]
    );
}

#[test]
fn what_an_admin_does_has_to_be_fresh() {
    let dir = tempfile::tempdir().unwrap();
    let admin = add_device(dir.path(), "admin", NOTES, "read,write,admin");
    let server = Running::start(protected(dir.path()));
    let context = admin.process(None);
    let mut admin = server.device(&context);
    admin.get("/status");
    let sent = admin.sent;
    // Nobody has this id, and nobody is told so before the echo has come back.
    let response = admin.ask(Request::new(Code::DELETE).path("/devices/00000000"));
    assert_eq!(response.code, Code::NOT_FOUND, "{}", response.text());
    assert_eq!(admin.sent, sent + 2, "asked, and asked again with the echo");
}

#[test]
fn a_purge_has_to_be_fresh_too_and_a_deletion_has_not() {
    let dir = tempfile::tempdir().unwrap();
    let admin = add_device(dir.path(), "admin", NOTES, "read,write,admin");
    let server = Running::start(protected(dir.path()));
    let context = admin.process(None);
    let mut admin = server.device(&context);
    let [deleted, purged] = ["deleted", "purged"].map(|text| {
        let path = admin.post(text).location_segments().join("/");
        Request::new(Code::DELETE).path(&format!("/{path}"))
    });
    let sent = admin.sent;
    assert_eq!(admin.ask(deleted).code, Code::DELETED);
    assert_eq!(admin.sent, sent + 1);
    let response = admin.ask(purged.query("purge", "yes"));
    assert_eq!(response.code, Code::DELETED, "{}", response.text());
    // On a slow disk a purge takes so long that its answer comes by itself and is acknowledged.
    assert!(admin.sent >= sent + 3, "asked, and asked again with the echo");
    let trail = admin.ask(Request::new(Code::GET).path("/audit")).text();
    assert!(trail.contains("purged") && trail.contains("admin"), "{trail}");
}

#[test]
fn numbers_of_a_fixed_context_are_reserved_before_the_first_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let row = DeviceRow {
        number: 0,
        key_id: b"lamp".to_vec(),
        name: "lamp".to_owned(),
        journal: NOTES,
        rights: "read".parse().unwrap(),
        secret: random::<16>().to_vec().into(),
        salt: Some(random::<8>().to_vec()),
        reserved: 0,
        joined: 0,
        revoked: None,
    };
    store(dir.path()).change_access(&AccessChange::AddDevice(row), None).unwrap().unwrap();
    let reserved = || store(dir.path()).access().unwrap().devices[0].reserved;
    let since_2025 =
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(1_735_689_600);
    Running::start(protected(dir.path())).stop();
    let first = reserved();
    assert!(first >= since_2025.as_secs() << 8, "an older backup repeats nothing");
    Running::start(protected(dir.path())).stop();
    assert!(reserved() >= first + 1024, "a start goes on after what the last one reserved");
}
