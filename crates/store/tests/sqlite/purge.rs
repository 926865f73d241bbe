//! After a purge no file of the store has a byte of the text any more.

use std::fs;
use std::path::Path;

use suibi_journal::{AuditKind, Body, Cursor, Extra, Extras, FeedPage, NoteId, Query, extra};
use suibi_store::{Expect, SqliteStore, Store, Write};

use crate::support::{Device, HERE, at, commit, id, pushed, text, texts, written};
use crate::{replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";

/// Which files of a directory have a run of bytes in them.
fn files_with(directory: &Path, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

fn note(text: &str, source: &str) -> Write {
    let source = Extra::Text(source.to_owned());
    Write::Note {
        id: None,
        expect: Expect::Any,
        body: Body::Text(text.to_owned()),
        time: None,
        extras: Extras::from([(extra::SOURCE.to_owned(), source)]),
        now: at(NOW),
    }
}

fn edit(note: NoteId, text: &str) -> Write {
    Write::Note {
        id: Some(note),
        expect: Expect::Exists,
        body: Body::Text(text.to_owned()),
        time: None,
        extras: Extras::new(),
        now: at(NOW),
    }
}

fn purge(note: NoteId) -> Write {
    Write::Purge { note, now: at(NOW), audit: None }
}

/// Words of which the index keeps all letters: no other word begins like them.
const SECRETS: [&str; 4] = ["quokkaword", "zebraword", "xylophoneword", "jackalword"];

/// A store with notes of all sizes, of which one is secret.
fn fill(store: &mut SqliteStore) -> NoteId {
    let some = |store: &mut SqliteStore, count: usize| {
        let words = ["milk", "bread", "tea", "冷水", "@shop"];
        let notes = (0..count).map(|n| {
            let text: Vec<_> = (0..n % 60).map(|at| words[(n + at) % words.len()]).collect();
            note(&format!("note {n} {}", text.join(" ")), "192.0.2.1:5000")
        });
        commit(store, notes.collect()).unwrap();
    };
    some(store, 300);
    let long = format!("quokkaword {} 秘密的事情 @zebraword", "and much more ".repeat(2000));
    let secret = written(store, note(&long, "198.51.100.77:40112")).unwrap();
    assert_eq!(store.reader().unwrap().catch_up(usize::MAX).unwrap(), 0);
    some(store, 300);
    written(store, edit(secret.id, "xylophoneword 秘密的事情")).unwrap();
    some(store, 300);
    secret.id
}

#[test]
fn no_file_has_the_text_after_a_purge() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = server(&dir.path().join("server.db"));
    let mut reader = store.reader().unwrap();
    let secret = fill(&mut store);
    assert_eq!(reader.catch_up(usize::MAX).unwrap(), 0);
    written(&mut store, edit(secret, "jackalword 秘密的事情")).unwrap();
    assert_eq!(reader.catch_up(usize::MAX).unwrap(), 0);
    for word in SECRETS {
        assert!(files_with(dir.path(), word).len() >= 2, "{word}: in the store and in the index");
    }
    for (bytes, count) in [("秘密的事情", 1), ("198.51.100.77", 1)] {
        assert!(files_with(dir.path(), bytes).len() >= count, "{bytes}");
    }

    written(&mut store, purge(secret)).unwrap();
    while reader.catch_up(usize::MAX).unwrap() > 0 {}

    for bytes in SECRETS.iter().chain(&["秘密的事情", "198.51.100.77", "and much more"]) {
        assert_eq!(files_with(dir.path(), bytes), [""; 0], "{bytes}");
    }
    assert_eq!(reader.count(HERE).unwrap(), 900);
    let milk = Query { text: Some("milk".to_owned()), ..Query::default() };
    assert!(texts(&mut *reader, milk).len() > 500, "the index knows all the others");
    drop((store, reader));
    for bytes in SECRETS {
        assert_eq!(files_with(dir.path(), bytes), [""; 0], "{bytes}, after closing");
    }
}

#[test]
fn what_comes_last_in_a_commit_and_is_purged_already_leaves_no_trace_either() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    let (mut phone, mut admin) = (Device::new("phone"), Device::new("admin"));
    let create = phone.note(1, NOW, "quokkaword");
    let purge = admin.change(id(1), &[create.hash()], NOW, Body::Purged);
    let device = admin.name.to_owned();
    let purge = Write::Push { device, entries: vec![purge], only_new: false, may_purge: true };
    pushed(&mut store, purge).remove(0).unwrap();

    pushed(&mut store, phone.push(&[create])).remove(0).unwrap();

    assert_eq!(files_with(dir.path(), "quokkaword"), [""; 0]);
    let conn = rusqlite::Connection::open(&path).unwrap();
    let marks = "SELECT count(*) FROM meta WHERE key = 'erasing'";
    let marks: u32 = conn.query_row(marks, [], |row| row.get(0)).unwrap();
    assert_eq!(marks, 0, "nobody has looked for what was erased");
}

#[test]
fn what_somebody_still_reads_goes_as_soon_as_they_are_done() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    let secret = written(&mut store, text("quokkaword", NOW)).unwrap().id;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM changes;").unwrap();

    written(&mut store, purge(secret)).unwrap();
    assert!(!files_with(dir.path(), "quokkaword").is_empty(), "the other one may still read it");
    other.execute_batch("COMMIT").unwrap();
    drop(store);

    let _store = server(&path);
    assert_eq!(files_with(dir.path(), "quokkaword"), [""; 0], "the next process ends it");
}

#[test]
fn a_replica_ends_what_another_process_left_with_the_next_page_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let mut store = replica(&path);
    let secret = written(&mut store, text("quokkaword", NOW)).unwrap().id;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM changes;").unwrap();
    written(&mut store, purge(secret)).unwrap();
    // The reader is the last to go: it must not empty the log by closing.
    std::mem::forget(store);
    other.execute_batch("COMMIT").unwrap();

    let mut store = replica(&path);
    assert!(!files_with(dir.path(), "quokkaword").is_empty(), "a command does not wait for it");
    let nothing = FeedPage { entries: Vec::new(), next: Cursor::START, remaining: 0 };
    store.apply_page(Cursor::START, &nothing).unwrap();
    assert_eq!(files_with(dir.path(), "quokkaword"), [""; 0]);
}

#[test]
fn a_purge_reaches_a_replica_with_its_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("laptop"), dir.path().join("server"));
    let mut laptop = replica(&here.join("replica.db"));
    let mut server = server(&there.join("server.db"));
    let device = Device::new("laptop");
    let secret = fill(&mut laptop);
    let entries = laptop.outbox(usize::MAX).unwrap();
    let receipts: Vec<_> =
        pushed(&mut server, device.push(&entries)).into_iter().map(Result::unwrap).collect();
    laptop.apply_receipts(&receipts).unwrap();
    // Searched, so that there is an index; and edited while it is away.
    let found = |store: &SqliteStore, word: &str| {
        let query = Query { text: Some(word.to_owned()), ..Query::default() };
        texts(&mut *store.reader().unwrap(), query).len()
    };
    assert_eq!(found(&laptop, "xylophoneword"), 1);
    let late = written(&mut laptop, edit(secret, "jackalword 秘密的事情")).unwrap();
    let after = written(&mut laptop, text("written after it", NOW)).unwrap();
    assert_eq!(found(&laptop, "jackalword"), 1);
    written(&mut server, purge(secret)).unwrap();

    let mut feed = server.reader().unwrap();
    loop {
        let cursor = laptop.cursor().unwrap();
        let page = feed.feed(HERE, cursor, 20_000).unwrap().unwrap();
        laptop.apply_page(cursor, &page).unwrap();
        if page.remaining == 0 {
            break;
        }
    }

    for bytes in SECRETS.iter().chain(&["秘密的事情", "198.51.100.77"]) {
        assert_eq!(files_with(&here, bytes), [""; 0], "{bytes}");
    }
    assert_eq!((found(&laptop, "jackalword"), found(&laptop, "written")), (0, 1));
    let trail = laptop.reader().unwrap().audit(10).unwrap();
    assert_eq!(trail.len(), 1, "the replica says what it did");
    assert_eq!((&trail[0].what, &trail[0].detail), (&AuditKind::Purged, &format!("note {secret}")));
    let waiting = laptop.outbox(usize::MAX).unwrap();
    let seqs: Vec<_> = waiting.iter().map(|entry| entry.hash()).collect();
    assert_eq!(seqs, [late.receipt.hash, after.receipt.hash], "its chain goes on");
    assert!(waiting[0].content().is_none(), "without a word");
    let answers = pushed(&mut server, device.push(&waiting));
    assert!(answers.iter().all(Result::is_ok));
    for bytes in SECRETS {
        assert_eq!(files_with(&there, bytes), [""; 0], "{bytes}");
    }
    assert_eq!(server.reader().unwrap().count(HERE).unwrap(), 901);
}

#[test]
fn what_comes_after_the_purge_is_never_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = server(&dir.path().join("server.db"));
    let mut phone = Device::new("phone");
    let create = phone.note(1, NOW, "quokkaword");
    let mut of_purge = Device::new("of the purge");
    let purge = of_purge.change(id(1), &[create.hash()], NOW, Body::Purged);
    let (device, entries) = (of_purge.name.to_owned(), vec![purge]);
    let first = Write::Push { device, entries, only_new: false, may_purge: true };
    assert!(pushed(&mut store, first)[0].is_ok());
    let long = phone.change(id(1), &[create.hash()], NOW, Body::Text("zebraword ".repeat(3000)));

    assert!(pushed(&mut store, phone.push(&[create, long])).iter().all(Result::is_ok));

    let mut reader = store.reader().unwrap();
    while reader.catch_up(usize::MAX).unwrap() > 0 {}
    for word in SECRETS {
        assert_eq!(files_with(dir.path(), word), [""; 0], "{word}");
    }
    let page = reader.feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    assert!(page.follows(Cursor::START));
    assert_eq!(page.entries.iter().filter(|(_, entry)| entry.content().is_some()).count(), 1);
}

#[test]
fn what_a_fork_moved_in_the_file_leaves_no_copies_of_its_neighbours() {
    // Nothing here is about the disk, which would only be slow.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (here, there) = (dir.path().join("copy"), dir.path().join("server"));
    let mut server = server(&there.join("server.db"));
    let mut phone = Device::new("phone");
    let mut purges = Vec::new();
    for number in 0..200 {
        let entry = phone.note(number, NOW, &format!("secret{number:05} {}", "x".repeat(200)));
        purges.push(purge(entry.change().note));
        pushed(&mut server, phone.push(&[entry]))[0].clone().unwrap();
    }
    let path = here.join("replica.db");
    written(&mut replica(&path), text("the first of the chain", NOW)).unwrap();
    let mut copy = replica(&path);
    let other = copy.outbox(usize::MAX).unwrap().remove(0).change().clone();
    let mut feed = server.reader().unwrap();
    let mut pull = |copy: &mut SqliteStore| {
        let cursor = copy.cursor().unwrap();
        let page = feed.feed(HERE, cursor, 1).unwrap().unwrap();
        copy.apply_page(cursor, &page).unwrap().rescued.len()
    };
    for number in 0..200 {
        pull(&mut copy);
        written(&mut copy, text(&format!("own {number} {}", "y".repeat(200)), NOW)).unwrap();
    }
    // The original wrote something else.
    let content = suibi_journal::Content {
        salt: [1; 16],
        body: Body::Text("of the original".to_owned()),
        extras: Extras::new(),
    };
    let first = suibi_journal::Entry::new(other, content);
    pushed(&mut server, Device::new("laptop").push(&[first]))[0].clone().unwrap();
    assert_eq!(pull(&mut copy), 1, "201 changes go");

    commit(&mut server, purges).unwrap();
    for _ in 0..200 {
        pull(&mut copy);
    }

    let left = (0..200).map(|number| format!("secret{number:05}"));
    let left: Vec<_> = left.filter(|word| !files_with(&here, word).is_empty()).collect();
    assert_eq!(left, [""; 0]);
    assert_eq!(copy.reader().unwrap().count(HERE).unwrap(), 201, "one has two changes");
}
