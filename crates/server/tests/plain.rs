//! The plain dialect over real sockets, with both kinds of old client.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::thread;

use suibi_server::plain::{Reply, Words};
use support::{Old, Running, config, plain};

fn lines(history: &[u8]) -> Vec<&str> {
    str::from_utf8(history).unwrap().lines().map(|line| &line[17..]).collect()
}

#[test]
fn an_answered_client_gets_each_note_back_once_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let old = Old::new(server.plain[0]);
    assert_eq!(old.ask("今天 first\n"), "今天 first\n".as_bytes());
    assert_eq!(server.client().texts(), ["今天 first"]);
    assert_eq!(old.ask("q"), b"q");
    assert_eq!(lines(&old.ask("r")), ["今天 first"]);
    assert_eq!(lines(&old.ask("")), ["今天 first"]);
    assert!(old.ask("?").starts_with(b"suibi: "));
    assert_eq!(server.client().texts(), ["今天 first"]);
}

#[test]
fn a_silent_client_hears_histories_alone() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let old = Old::new(server.plain[0]);
    assert_eq!(old.ask("sync"), b"(no notes yet)");
    for text in ["one", "two", "", "q", "?"] {
        old.send(text);
    }
    old.expect_silence();
    assert_eq!(lines(&old.ask("r")), ["one", "two"]);
    old.expect_silence();
}

#[test]
fn both_kinds_at_once_are_each_served_in_their_way() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let address = server.plain[0];
    let threads: Vec<_> = (0..8)
        .map(|number| {
            thread::spawn(move || {
                let old = Old::new(address);
                let is_silent = number % 2 == 1;
                if is_silent {
                    old.ask("r");
                }
                for note in 0..20 {
                    let text = format!("{number} {note}");
                    if is_silent {
                        old.send(&text);
                    } else {
                        assert_eq!(old.ask(&text), text.as_bytes());
                    }
                }
                if is_silent {
                    old.expect_silence();
                }
                // An answer to this means that all before it was read.
                old.ask("r");
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let mut texts = server.client().texts();
    texts.sort();
    let mut expected: Vec<_> =
        (0..8).flat_map(|number| (0..20).map(move |note| format!("{number} {note}"))).collect();
    expected.sort();
    assert_eq!(texts, expected);
}

#[test]
fn a_history_is_one_datagram_of_the_newest_lines_in_the_clients_encoding() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let utf8 = Old::new(server.plain[0]);
    for number in 0..100 {
        utf8.ask(format!("note {number}"));
    }
    let history = utf8.ask("r");
    assert!(history.len() <= 1024 && history.len() > 900, "{} bytes", history.len());
    assert_eq!(lines(&history).last(), Some(&"note 99"));

    // 今天, as old Chinese systems write it.
    let gb18030 = Old::new(server.plain[0]);
    let today = b"\xbd\xf1\xcc\xec";
    assert_eq!(gb18030.ask(today), today);
    assert!(gb18030.ask("r").ends_with(today));
    assert!(utf8.ask("r").ends_with("今天".as_bytes()));
}

#[test]
fn each_listener_has_its_own_words_and_manners() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.plain.push(plain(Words::Compat, Reply::Always));
    config.plain.push(plain(Words::Course, Reply::Never));
    let server = Running::start(config);
    let compat = Old::new(server.plain[1]);
    assert_eq!(compat.ask("HANDSHAKE_54857"), b"(no notes yet)");
    assert_eq!(compat.ask("answered"), b"answered");
    let never = Old::new(server.plain[2]);
    never.send("not answered");
    never.expect_silence();
    assert_eq!(lines(&never.ask("r")), ["answered", "not answered"]);
}

#[test]
fn the_source_of_a_note_is_kept_and_can_be_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(config(dir.path()));
    let (one, other) = (Old::new(server.plain[0]), Old::new(server.plain[0]));
    one.ask("from one");
    other.ask("from the other");
    let from = one.0.local_addr().unwrap().to_string();
    let request = suibi_coap::Request::new(suibi_coap::Code::GET);
    let request = request.path("/notes").query("from", &from);
    assert_eq!(lines(&server.client().ask(request).payload), ["from one"]);
}
