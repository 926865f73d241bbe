//! A real server, asked over real sockets.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::thread;
use std::time::Duration;

use suibi_coap::{Code, ContentFormat, Request};
use suibi_journal::{Cursor, FeedPage};
use suibi_server::{Config, Listen, Reach, Server};
use support::{Client, Running, config};

#[test]
fn every_resource_answers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut client = server.client();
    let posted = client.post("第一条 #trip");
    let note = format!("/{}", posted.location_segments().join("/"));
    let day = &client.get("/notes").text()[..10];
    let paths = [
        "/.well-known/core",
        "/notes",
        &note,
        "/days",
        &format!("/days/{day}"),
        "/tags",
        "/feed",
        "/feed/head",
        "/heads",
        "/status",
    ];
    for path in paths {
        let response = client.get(path);
        assert_eq!(response.code, Code::CONTENT, "{path}: {}", response.text());
        assert!(!response.payload.is_empty(), "{path}");
    }
    assert_eq!(client.get("/nowhere").code, Code::NOT_FOUND);
    let edited = client.ask(Request::new(Code::PUT).path(&note).payload("edited"));
    assert_eq!(edited.code, Code::CHANGED);
    assert_eq!(client.texts(), ["edited"]);
    assert_eq!(client.ask(Request::new(Code::DELETE).path(&note)).code, Code::DELETED);
    assert_eq!(client.get(&note).code, Code::NOT_FOUND);
}

#[test]
fn a_long_note_goes_in_and_out_in_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut client = server.client();
    let text = "一行一行, line by line\n".repeat(4000);
    let posted = client.post(&text);
    let note = format!("/{}", posted.location_segments().join("/"));
    assert!(client.get(&note).text() == text, "something else came back");
}

#[test]
fn observers_are_told_of_new_notes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut watcher = server.client();
    let head = watcher.send(Request::new(Code::GET).path("/feed/head").observe(true));
    assert_eq!(Cursor::decode(&watcher.answer(head).payload).unwrap(), Cursor::START);
    let notes = watcher.send(Request::new(Code::GET).path("/notes").observe(true));
    assert_eq!(watcher.answer(notes).text(), "");

    server.client().post("seen by others");
    let told = Cursor::decode(&watcher.notification(head).payload).unwrap();
    assert_eq!(told.position, 1);
    // Notifications of both may come in either order; ask for the other one on its own.
    let mut watcher = server.client();
    let notes = watcher.send(Request::new(Code::GET).path("/notes").observe(true));
    assert!(watcher.answer(notes).text().ends_with(" seen by others\n"));
    server.client().post("once more");
    assert!(watcher.notification(notes).text().ends_with(" once more\n"));
}

#[test]
fn the_last_word_of_a_server_ends_every_observation() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut watchers: Vec<_> = (0..3).map(|_| server.client()).collect();
    let ask = |watcher: &mut Client| {
        let id = watcher.send(Request::new(Code::GET).path("/feed/head").observe(true));
        assert_eq!(watcher.answer(id).code, Code::CONTENT);
        id
    };
    let ids: Vec<_> = watchers.iter_mut().map(ask).collect();
    server.stop();
    for (watcher, id) in watchers.iter_mut().zip(ids) {
        let last = watcher.notification(id);
        assert_eq!(last.code, Code::SERVICE_UNAVAILABLE, "{}", last.text());
        assert!(last.text().is_ascii(), "{}", last.text());
    }
}

#[test]
fn clients_that_add_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let address = server.coap[0];
    let threads: Vec<_> = (0..8)
        .map(|number| {
            thread::spawn(move || {
                let mut client = Client::new(address);
                for note in 0..25 {
                    client.post(&format!("{number} {note}"));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut texts = server.client().texts();
    texts.sort();
    let mut expected: Vec<_> =
        (0..8).flat_map(|number| (0..25).map(move |note| format!("{number} {note}"))).collect();
    expected.sort();
    assert_eq!(texts, expected);
}

#[test]
fn what_was_acknowledged_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    server.client().post("kept");
    assert!(server.stop() < Duration::from_secs(2));
    let server = Running::start(config(dir.path()));
    let mut client = server.client();
    assert_eq!(client.texts(), ["kept"]);
    client.post("and more");
    let page = FeedPage::decode(&client.get("/feed").payload).unwrap();
    let chains: Vec<_> = page.entries.iter().map(|(_, entry)| entry.change().chain).collect();
    assert_ne!(chains[0], chains[1], "a server opens a new chain after each start");
}

#[test]
fn a_server_ends_within_two_seconds_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut client = server.client();
    for number in 0..50 {
        client.send(Request::new(Code::POST).path("/notes").payload(format!("note {number}")));
    }
    client.post("the last");
    assert!(server.stop() < Duration::from_secs(2));
}

#[test]
fn every_interface_answers_from_the_address_that_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::new(dir.path());
    config.coap.push(Listen { address: ":0".to_owned() });
    let server = Running::start(config);
    let ports: Vec<_> = server.coap.iter().map(|address| address.port()).collect();
    assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    let mut client = Client::new(([127, 0, 0, 2], ports[0]).into());
    client.post("over another address");
    assert_eq!(Reach::of(server.coap[0]), Reach::EveryInterface);
}

#[test]
fn an_unchanged_history_is_not_sent_twice() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let mut client = server.client();
    client.post("one");
    let request = Request::new(Code::GET).path("/notes").accept(ContentFormat::JSON);
    let first = client.ask(request.clone());
    let again = client.ask(request.etag(first.etag_value().unwrap()));
    assert_eq!((again.code, again.payload.len()), (Code::VALID, 0));
}

#[test]
fn a_second_server_is_refused_with_the_first_ones_process() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let error = Server::bind(config(dir.path())).err().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "another suibi server (process {}) runs on {}; end it, or choose another data directory",
            std::process::id(),
            dir.path().display()
        )
    );
    let running = suibi_server::running(dir.path()).unwrap().unwrap();
    assert_eq!((running.coap, running.plain), (server.coap.clone(), server.plain.clone()));
    server.stop();
    assert_eq!(suibi_server::running(dir.path()).unwrap(), None);
    assert!(Server::bind(config(dir.path())).is_ok());
}
