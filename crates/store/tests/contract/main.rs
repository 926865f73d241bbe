//! One story, told to any store: what the rest of the program relies on.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by stopping")]

mod access;
mod heads;
mod history;
mod journals;
mod purge;
#[path = "../support/mod.rs"]
mod support;

use std::path::Path;

use suibi_journal::{Body, Cursor, Extra, Extras, Hash, Note, NoteId, Query, Refusal, extra};
use suibi_store::{
    Expect, NoteRefused, OwnChain, Reader, SqliteOptions, SqliteStore, Store, Write, etag,
};

use support::{Device, HERE, at, id, pushed, text, texts, written};

pub(crate) fn edit(note: NoteId, expect: Expect, body: Option<&str>) -> Write {
    Write::Note {
        id: Some(note),
        expect,
        body: body.map_or(Body::Deleted, |text| Body::Text(text.to_owned())),
        time: None,
        extras: Extras::new(),
        now: at("2026-11-24T08:00:00.000+08:00"),
    }
}

fn all(reader: &mut dyn Reader) -> Vec<String> {
    texts(reader, Query::default())
}

/// The story. `open` opens the same store each time, as a new process would.
fn tell(open: &dyn Fn() -> Box<dyn Store>) {
    an_empty_store_answers(&mut *open());
    changes_get_receipts_once(&mut *open());
    own_notes_are_guarded(&mut *open());
    edits_apart_are_kept(&mut *open());
    the_feed_leaves_nothing_out(&mut *open());
    a_run_of_the_feed_needs_no_hash(&mut *open());
    listings_are_narrowed(&mut *open());
    journals::a_drop_only_adds(&mut *open());
    journals::another_journal_is_another_world(&mut *open());
    access::tell(open);
}

fn an_empty_store_answers(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    assert_eq!(reader.head(HERE).unwrap(), Cursor::START);
    assert_eq!(reader.version(HERE).unwrap(), 0);
    assert_eq!(reader.count(HERE).unwrap(), 0);
    assert!(reader.heads(HERE).unwrap().is_empty());
    assert!(reader.days(HERE).unwrap().is_empty());
    assert!(reader.tags(HERE).unwrap().is_empty());
    assert!(all(&mut *reader).is_empty());
    let page = reader.feed(HERE, Cursor::START, 1000).unwrap().unwrap();
    assert!(page.entries.is_empty() && page.next == Cursor::START && page.remaining == 0);
    assert!(store.commit(Vec::new()).unwrap().is_empty());
}

fn changes_get_receipts_once(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let mut phone = Device::new("phone");
    let one = phone.note(1, "2026-11-22T23:50:00.000+08:00", "milk @shop");
    let two = phone.note(2, "2026-11-23T09:05:00.000+08:00", "今天很冷 #天气");
    let three = phone.note(3, "2026-11-23T09:05:00.000+08:00", "Brücke über den Fluß @shop");

    let gap = Err(Refusal::Gap { have_seq: 0, have_hash: None });
    assert_eq!(pushed(store, phone.push(std::slice::from_ref(&two))), [gap]);
    assert_eq!(reader.head(HERE).unwrap(), Cursor::START, "a refused change is not kept");

    let answers = pushed(store, phone.push(&[one.clone(), two.clone()]));
    let first = answers[0].clone().unwrap();
    let second = answers[1].clone().unwrap();
    assert_eq!((first.chain, first.seq, first.hash), (phone.chain, 1, one.hash()));
    assert!(first.position < second.position);

    // The answer was lost, the device asks again, with one more.
    let again = pushed(store, phone.push(&[one, two.clone(), three.clone()]));
    assert_eq!(again[..2], answers[..]);
    assert!(again[2].as_ref().unwrap().position > second.position);
    assert_eq!(reader.count(HERE).unwrap(), 3);

    // A copy of the phone, made when it had written two notes.
    let have = (3, Some(three.hash()));
    let mut copy = Device { seq: 2, previous: Some(two.hash()), ..Device::new("phone") };
    let other = copy.note(4, "2026-11-23T10:00:00.000+08:00", "of the copy");
    let after = copy.note(5, "2026-11-23T10:00:00.000+08:00", "after it");
    let fork = || Err(Refusal::Fork { have_seq: have.0, have_hash: have.1 });
    assert_eq!(pushed(store, copy.push(&[other, after])), [fork(), fork()]);
    let mut far = Device { seq: 7, previous: Some(two.hash()), ..Device::new("phone") };
    let far = far.note(6, "2026-11-23T10:00:00.000+08:00", "far ahead");
    let gap = Err(Refusal::Gap { have_seq: have.0, have_hash: have.1 });
    assert_eq!(pushed(store, phone.push(&[far])), [gap]);

    let heads = reader.heads(HERE).unwrap();
    assert_eq!(heads.len(), 1);
    assert_eq!((heads[0].chain, heads[0].device.as_str()), (phone.chain, "phone"));
    assert_eq!((heads[0].seq, Some(heads[0].hash)), have);
    assert_eq!(all(&mut *reader), ["milk @shop", "今天很冷 #天气", "Brücke über den Fluß @shop"]);
}

fn own_notes_are_guarded(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let note = written(store, text("buy a lamp", "2026-11-23T11:00:00.000+08:00")).unwrap();
    assert!(note.created && note.receipt.seq == 1);
    assert_eq!(note.heads, [note.receipt.hash]);
    assert_eq!(reader.version(HERE).unwrap(), note.receipt.position);
    let listed = reader.note(HERE, note.id).unwrap().unwrap();
    assert_eq!((listed.text.as_str(), listed.device.as_str()), ("buy a lamp", "server"));
    assert_eq!(listed.receipt, Some((note.receipt.position, note.receipt.hash)));
    assert!(!listed.waiting);

    let stale = etag(&note.heads);
    assert_eq!(
        written(store, edit(note.id, Expect::Absent, Some("no"))),
        Err(NoteRefused::Exists(stale.clone()))
    );
    let edited =
        written(store, edit(note.id, Expect::Heads(vec![stale.clone()]), Some("buy two lamps")))
            .unwrap();
    assert!(!edited.created);
    assert_eq!(edited.time, note.time, "an edit keeps the time");
    assert_eq!(
        written(store, edit(note.id, Expect::Heads(vec![stale.clone()]), Some("no"))),
        Err(NoteRefused::PreconditionFailed)
    );
    assert_eq!(reader.note(HERE, note.id).unwrap().unwrap().text, "buy two lamps");

    written(store, edit(note.id, Expect::Any, None)).unwrap();
    assert_eq!(reader.note(HERE, note.id).unwrap(), None);
    for expect in [Expect::Any, Expect::Exists] {
        assert_eq!(written(store, edit(note.id, expect, None)), Err(NoteRefused::NotFound));
    }
    assert_eq!(
        written(store, edit(note.id, Expect::Heads(vec![stale]), Some("no"))),
        Err(NoteRefused::PreconditionFailed)
    );
    let back = written(store, edit(note.id, Expect::Absent, Some("three lamps"))).unwrap();
    assert!(back.created);
    assert_eq!(back.time, at("2026-11-24T08:00:00.000+08:00"));
    written(store, edit(note.id, Expect::Exists, None)).unwrap();

    let long = "x".repeat((1 << 20) + 1);
    let refused = written(store, text(&long, "2026-11-23T11:00:00.000+08:00"));
    assert_eq!(refused, Err(NoteRefused::TooLarge));
    assert_eq!(reader.count(HERE).unwrap(), 3);
}

fn edits_apart_are_kept(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let (mut laptop, mut tablet) = (Device::new("laptop"), Device::new("tablet"));
    let time = "2026-11-23T12:00:00.000+08:00";
    let create = laptop.note(20, time, "plan");
    let by_laptop =
        laptop.change(id(20), &[create.hash()], time, Body::Text("plan of the laptop".into()));
    let by_tablet =
        tablet.change(id(20), &[create.hash()], time, Body::Text("plan of the tablet".into()));

    // An edit may come before the note that it edits.
    pushed(store, tablet.push(std::slice::from_ref(&by_tablet)));
    assert_eq!(reader.note(HERE, id(20)).unwrap().unwrap().text, "plan of the tablet");
    pushed(store, laptop.push(&[create, by_laptop.clone()]));

    let note = reader.note(HERE, id(20)).unwrap().unwrap();
    assert!(note.conflict);
    assert!(note.text.contains("laptop") && note.text.contains("tablet"), "{}", note.text);
    let mut heads = vec![by_laptop.hash(), by_tablet.hash()];
    heads.sort();
    assert_eq!(note.heads, heads);
    assert_eq!(reader.count(HERE).unwrap(), 4, "one note, however many changes");

    // One device saw both and says how it should be, and on which day.
    let time = "2026-11-20T12:00:00.000+08:00";
    let merged = tablet.change(id(20), &heads, time, Body::Text("plan of both".into()));
    pushed(store, tablet.push(&[merged]));
    let note = reader.note(HERE, id(20)).unwrap().unwrap();
    assert!(!note.conflict);
    assert_eq!((note.text.as_str(), note.time), ("plan of both", at(time)));
    let days: Vec<_> = reader.days(HERE).unwrap();
    let days: Vec<_> = days.iter().map(|(day, notes)| (day.to_string(), *notes)).collect();
    let expected = [("2026-11-20", 1), ("2026-11-22", 1), ("2026-11-23", 2)];
    assert_eq!(days, expected.map(|(day, notes)| (day.to_owned(), notes)));
}

fn the_feed_leaves_nothing_out(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let whole = reader.feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    assert_eq!(whole.remaining, 0);
    assert_eq!(whole.next, reader.head(HERE).unwrap());
    assert!(whole.follows(Cursor::START));

    let (mut cursor, mut entries) = (Cursor::START, Vec::new());
    loop {
        let page = reader.feed(HERE, cursor, 1).unwrap().unwrap();
        if page.entries.is_empty() {
            break;
        }
        assert_eq!(page.entries.len(), 1, "one entry, even if it is too long");
        assert!(page.follows(cursor));
        entries.extend(page.entries);
        cursor = page.next;
        assert_eq!(page.remaining as usize, whole.entries.len() - entries.len());
    }
    assert_eq!(entries, whole.entries);

    let len = entries[0].1.encoded_len() + entries[1].1.encoded_len();
    for (max_bytes, count) in [(len - 1, 1), (len, 2)] {
        let page = reader.feed(HERE, Cursor::START, max_bytes).unwrap().unwrap();
        assert_eq!(page.entries.len(), count);
    }

    let other = Cursor { running: Hash::of(b"of another server"), ..cursor };
    let beyond = Cursor { position: u64::MAX, ..cursor };
    for wrong in [other, beyond, Cursor { position: 0, ..cursor }] {
        let mismatch = reader.feed(HERE, wrong, 1000).unwrap().unwrap_err();
        assert_eq!(mismatch.head, cursor);
    }
}

fn a_run_of_the_feed_needs_no_hash(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let mut range = |after, until, max| reader.feed_range(HERE, after, until, max).unwrap();
    let whole = range(0, None, usize::MAX);
    assert!(whole.follows(Cursor::START) && whole.remaining == 0);
    let positions: Vec<u64> = whole.entries.iter().map(|(position, _)| *position).collect();
    let last = positions[positions.len() - 1];
    // Wherever it is cut, the pieces put together are the whole, and follow one on the other.
    for cut in 0..=last + 2 {
        let (front, back) = (range(0, Some(cut), usize::MAX), range(cut, None, usize::MAX));
        assert!(front.follows(Cursor::START) && back.follows(front.next), "cut at {cut}");
        assert_eq!([front.entries, back.entries].concat(), whole.entries);
        assert_eq!((front.remaining, back.remaining, back.next), (0, 0, whole.next));
    }
    // What is left is counted up to where it was asked for.
    let [first, .., third] = positions[..3] else { panic!("three changes") };
    let page = range(0, Some(third), 1);
    assert_eq!((page.entries.len(), page.next.position, page.remaining), (1, first, 2));
    let page = range(first, Some(third), 1);
    assert_eq!((page.next.position, page.remaining), (positions[1], 1));
    for (after, until) in [(last, None), (u64::MAX, None), (5, Some(3)), (last, Some(u64::MAX))] {
        let page = range(after, until, usize::MAX);
        assert_eq!((page.entries.len(), page.remaining), (0, 0), "{after}, {until:?}");
    }
    assert_eq!(range(u64::MAX, None, 1).next, whole.next);
}

fn listings_are_narrowed(store: &mut dyn Store) {
    let mut reader = store.reader().unwrap();
    let mut source = Extras::new();
    source.insert(extra::SOURCE.to_owned(), Extra::Text("127.0.0.1:50001".to_owned()));
    let write = Write::Note {
        id: None,
        expect: Expect::Any,
        body: Body::Text("from nc: 冷水 and milk, E-MAIL a@b.c".to_owned()),
        time: None,
        extras: source,
        now: at("2026-11-23T13:00:00.000+08:00"),
    };
    let plain = written(store, write).unwrap();
    let [plan, milk, cold, bridge, nc] = [
        "plan of both",
        "milk @shop",
        "今天很冷 #天气",
        "Brücke über den Fluß @shop",
        "from nc: 冷水 and milk, E-MAIL a@b.c",
    ];
    assert_eq!(all(&mut *reader), [plan, milk, cold, bridge, nc]);

    let query = Query::default;
    let day = |text: &str| Some(text.parse().unwrap());
    let is = |reader: &mut dyn Reader, query: Query, expected: &[&str]| {
        assert_eq!(texts(reader, query.clone()), expected, "{query:?}");
    };
    let reader = &mut *reader;
    is(reader, Query { since: day("2026-11-23"), ..query() }, &[cold, bridge, nc]);
    is(reader, Query { until: day("2026-11-22"), ..query() }, &[plan, milk]);
    let (since, until) = (day("2026-11-22"), day("2026-11-22"));
    is(reader, Query { since, until, ..query() }, &[milk]);
    is(reader, Query { since: day("2026-11-24"), until: day("2026-11-22"), ..query() }, &[]);
    is(reader, Query { limit: Some(2), ..query() }, &[bridge, nc]);
    is(reader, Query { limit: Some(0), ..query() }, &[]);
    is(reader, Query { before: Some(plain.id), limit: Some(2), ..query() }, &[cold, bridge]);
    is(reader, Query { before: Some(id(99)), ..query() }, &[]);

    for tag in ["shop", "@shop", "SHOP"] {
        is(reader, Query { tags: vec![tag.to_owned()], ..query() }, &[milk, bridge]);
    }
    let tags = vec!["shop".to_owned()];
    is(reader, Query { tags: tags.clone(), limit: Some(1), ..query() }, &[bridge]);
    is(reader, Query { tags: tags.clone(), until: day("2026-11-22"), ..query() }, &[milk]);

    let search = |text: &str| Query { text: Some(text.to_owned()), ..query() };
    is(reader, search("milk"), &[milk, nc]);
    is(reader, search("MILK shop"), &[milk]);
    is(reader, search("brucke"), &[bridge]);
    is(reader, search("flu*"), &[bridge]);
    is(reader, search("\"of both\""), &[plan]);
    is(reader, search("\"both of\""), &[]);
    is(reader, search("冷"), &[cold, nc]);
    is(reader, search("很冷"), &[cold]);
    is(reader, search("冷很"), &[]);
    is(reader, search("lamp"), &[]);
    is(reader, search("plan laptop"), &[]);
    is(reader, search("…"), &[plan, milk, cold, bridge, nc]);
    is(reader, Query { limit: Some(1), ..search("milk") }, &[nc]);
    is(reader, Query { tags, ..search("milk") }, &[milk]);
    is(reader, Query { before: Some(plain.id), ..search("milk") }, &[milk]);

    let from = |from: &str| Query { from: Some(from.to_owned()), ..query() };
    is(reader, from("phone"), &[milk, cold, bridge]);
    is(reader, from("127.0.0.1:50001"), &[nc]);
    is(reader, from("127.0.0.1"), &[nc]);
    is(reader, from("127.0.0"), &[]);
    is(reader, Query { text: Some("milk".to_owned()), ..from("phone") }, &[milk]);

    let tags = [("@shop".to_owned(), 2), ("#天气".to_owned(), 1)];
    assert_eq!(reader.tags(HERE).unwrap(), tags);

    // What was found can be changed, and is found as it is then.
    written(store, edit(plain.id, Expect::Exists, Some("tea @shop"))).unwrap();
    is(reader, search("milk"), &[milk]);
    is(reader, search("tea"), &["tea @shop"]);
    assert_eq!(reader.tags(HERE).unwrap()[0], ("@shop".to_owned(), 3));
    let listed: Vec<Note> = reader.notes(HERE, &search("tea")).unwrap();
    assert_eq!(listed[0].source.as_deref(), Some("127.0.0.1:50001"), "extras outlive an edit");
    assert_eq!(reader.catch_up(usize::MAX).unwrap(), 0);
    is(reader, search("tea"), &["tea @shop"]);
}

/// Opens the file as a server does.
fn server(path: &Path) -> Box<dyn Store> {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
    Box::new(SqliteStore::open(path, options).unwrap())
}

#[test]
fn sqlite_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new").join("server.db");
    tell(&|| server(&path));
}

#[test]
fn sqlite_keeps_journals_apart() {
    let dir = tempfile::tempdir().unwrap();
    let [mut both, mut one, mut other] =
        ["both", "one", "other"].map(|name| server(&dir.path().join(name).join("server.db")));
    journals::kept_apart(&mut *both, [&mut *one, &mut *other]);
}

#[test]
fn sqlite_tells_the_history_of_a_note() {
    let dir = tempfile::tempdir().unwrap();
    history::tell(&mut *server(&dir.path().join("server.db")));
}

#[test]
fn sqlite_erases_what_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut made, path) = (0, dir.path());
    purge::tell(&mut || {
        made += 1;
        server(&path.join(made.to_string()).join("server.db"))
    });
}

#[test]
fn sqlite_brings_together_what_was_written_apart() {
    let dir = tempfile::tempdir().unwrap();
    let [mut store, mut other] = ["one", "other"].map(|name| server(&dir.path().join(name)));
    heads::tell(&mut *store, &mut *other);
}
