//! Whatever is damaged by hand is named.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use suibi_journal::{Body, Cursor, Hash};
use suibi_store::verify::{Problem, ProblemKind, Verified, verify};
use suibi_store::{AccessChange, Expect, JournalId, Store, StoreError, Write};

use crate::support::{Device, HERE, at, id, pushed, text, written};
use crate::{many_pages, replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";
const FAMILY: JournalId = JournalId(2);

/// A server with two journals, two devices, an edit, a conflict, a deletion and an erased content;
/// its index is made.
fn scene(path: &Path) -> [Device; 2] {
    let mut store = server(path);
    let (mut phone, mut laptop) = (Device::new("phone"), Device::new("laptop"));
    let one = phone.note(1, NOW, "note 1 @shop");
    let two = phone.note(2, NOW, "note 2");
    let edit = laptop.change(id(1), &[one.hash()], NOW, Body::Text("note 1, edited".into()));
    let clash = phone.change(id(1), &[one.hash()], NOW, Body::Text("note 1, clashing".into()));
    let moved = "2026-11-20T09:05:00.000+08:00";
    let gone = laptop.change(id(2), &[two.hash()], moved, Body::Deleted);
    pushed(&mut store, phone.push(&[one, two]));
    pushed(&mut store, laptop.push(&[edit, gone]));
    pushed(&mut store, phone.push(&[clash]));
    written(&mut store, text("own note", NOW)).unwrap();
    store
        .change_access(&AccessChange::AddJournal { name: "family".into() }, None)
        .unwrap()
        .unwrap();
    let own = Write::Note {
        id: None,
        expect: Expect::Any,
        body: Body::Text("of the family".into()),
        time: None,
        extras: Default::default(),
        now: at(NOW),
    };
    store.commit(vec![(FAMILY, own.clone()), (HERE, own)]).unwrap();
    assert_eq!(store.reader().unwrap().catch_up(usize::MAX).unwrap(), 0);
    sql(path, "UPDATE changes SET content = NULL WHERE position = 2");
    [phone, laptop]
}

fn sql(path: &Path, sql: &str) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(sql).unwrap();
}

fn look(path: &Path) -> Verified {
    verify(path, None, &mut |_, _| {}).unwrap()
}

fn problems(path: &Path) -> Vec<Problem> {
    look(path).problems
}

/// A copy of a store.
fn copy(path: &Path, name: &str) -> PathBuf {
    let to = path.with_file_name(format!("{name}.db"));
    let _ = std::fs::remove_file(&to);
    Connection::open(path).unwrap().execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
    to
}

#[test]
fn a_whole_store_has_no_problems_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    scene(&path);
    let mut told = Vec::new();
    let found = verify(&path, None, &mut |done, of| told.push((done, of))).unwrap();
    let expected = Verified { changes: 8, chains: 4, notes: 5, purged: 1, ..Verified::default() };
    assert_eq!(found, expected);
    assert!(found.is_clean());
    assert_eq!((told[0], told.last()), ((0, 8), Some(&(8, 8))));
    let family = verify(&path, Some(FAMILY), &mut |_, _| {}).unwrap();
    let expected = Verified { changes: 1, chains: 1, notes: 1, ..Verified::default() };
    assert_eq!(family, expected);
    assert_eq!(verify(&path, Some(JournalId(9)), &mut |_, _| {}).unwrap(), Verified::default());
}

#[test]
fn a_replica_is_whole_through_all_that_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let (server_path, path) = (dir.path().join("server.db"), dir.path().join("replica.db"));
    let [phone, _] = scene(&server_path);
    let mut laptop = replica(&path);
    assert!(look(&path).is_clean());
    written(&mut laptop, text("note", NOW)).unwrap();
    assert!(look(&path).is_clean());
    let server = server(&server_path);
    let page = server.reader().unwrap().feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    laptop.apply_page(Cursor::START, &page).unwrap();
    assert_eq!(problems(&path), []);
    laptop.requeue_after(phone.chain, 1).unwrap();
    assert_eq!(problems(&path), []);
    laptop.rescue_from(phone.chain, 2).unwrap();
    assert_eq!(problems(&path), []);
    assert_eq!(look(&path).changes, 8);
}

#[test]
fn each_kind_of_damage_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let [phone, laptop] = scene(&path);
    let (phone, laptop) = (phone.chain, laptop.chain);
    let flip = |column: &str, position: u32| {
        // The last byte but some: inside a text or a hash.
        format!(
            "UPDATE changes SET {column} = CAST(substr({column}, 1, length({column}) - 5) || x'ff'
                || substr({column}, length({column}) - 3) AS BLOB) WHERE position = {position}"
        )
    };
    let named = |column: &str, position: u32| flip(column, position);
    let cases: Vec<(&str, String, ProblemKind, String)> = vec![
        ("a change's bytes", named("map", 4), ProblemKind::Change,
            format!("change 2 of chain {laptop} (position 4): its hash is ")),
        ("a change that is none", "UPDATE changes SET map = x'00' WHERE position = 4".into(), ProblemKind::Change,
            format!("change 2 of chain {laptop} (position 4): it cannot be read: ")),
        ("a row of another place", "UPDATE changes SET seq = 9 WHERE position = 4".into(), ProblemKind::Change,
            format!("change 9 of chain {laptop} (position 4): it is change 2 of chain {laptop} by itself")),
        ("a column of another type", "UPDATE changes SET running = 'soon' WHERE position = 4".into(), ProblemKind::Change,
            "position 4: its row cannot be read: ".into()),
        ("a content's bytes", named("content", 1), ProblemKind::Content,
            format!("change 1 of chain {phone} (position 1): its content is not the one that was written")),
        ("a hash", named("hash", 1), ProblemKind::Chain,
            format!("change 2 of chain {phone} (position 2): it names another change before it")),
        ("a change that is gone", "DELETE FROM changes WHERE position = 1".into(), ProblemKind::Chain,
            format!("chain {phone}: change 1 is missing")),
        ("changes that are gone", "DELETE FROM changes WHERE position < 3".into(), ProblemKind::Chain,
            format!("chain {phone}: changes 1 to 2 are missing")),
        ("the end of a chain", "DELETE FROM changes WHERE position = 4".into(), ProblemKind::Chain,
            format!("chain {laptop}: its last is change 1 (")),
        ("a place that is taken twice",
            "INSERT INTO changes SELECT 99, journal, number, chain, seq, hash, running, map, content
             FROM changes WHERE position = 1".into(), ProblemKind::Chain,
            format!("change 1 of chain {phone} (position 99): another change has this place as well")),
        ("a chain that is gone", "DELETE FROM chains WHERE device = 'phone'".into(), ProblemKind::Chain,
            "position 1: its chain, number ".into()),
        ("a chain of another journal", "UPDATE chains SET journal = 2 WHERE device = 'phone'".into(), ProblemKind::Chain,
            format!("change 1 of chain {phone} (position 1): it is in another journal than its chain")),
        ("a row of chains", "UPDATE chains SET hash = 5 WHERE device = 'phone'".into(), ProblemKind::File,
            "a row of the table of chains: ".into()),
        ("a running hash", named("running", 3), ProblemKind::Feed,
            format!("change 1 of chain {laptop} (position 3): the running hash of the feed does not follow")),
        ("a number", "UPDATE changes SET number = 7 WHERE position = 3".into(), ProblemKind::Feed,
            format!("change 1 of chain {laptop} (position 3): it is counted as change 7 of the feed after change 2")),
        ("the end of the feed", "UPDATE feeds SET position = 9 WHERE journal = 2".into(), ProblemKind::Feed,
            "position 7: the feed ends at position 7 with 1 changes, and should end at 9 with 1".into()),
        ("a feed that is gone", "DELETE FROM feeds WHERE journal = 2".into(), ProblemKind::Feed,
            "position 7: the feed ends at position 7 with 1 changes, and should end at 0 with 0".into()),
        ("a note that is gone", "DELETE FROM notes WHERE first = 1".into(), ProblemKind::Note,
            format!("position 5: note {}: has 3 changes here and no row", id(1))),
        ("an edit that is gone", "DELETE FROM edits WHERE position = 5".into(), ProblemKind::Note,
            format!("position 1: note {}: its row lists other changes than those that are its own", id(1))),
        ("edits of nothing", "INSERT INTO edits VALUES (77, 78)".into(), ProblemKind::Note,
            "position 77: 1 edits of a note that is not here".into()),
        ("a time", "UPDATE notes SET time = time + 1 WHERE first = 6".into(), ProblemKind::Note,
            "its time is not as its changes have it".into()),
        ("a zone", "UPDATE notes SET zone = 60 WHERE first = 1".into(), ProblemKind::Note,
            "its time is not as its changes have it".into()),
        ("a key", "UPDATE notes SET key = key + (1 << 41) WHERE first = 6".into(), ProblemKind::Note,
            "its place among the days is not as its changes have it".into()),
        ("a deletion", "UPDATE notes SET state = 0 WHERE first = 2".into(), ProblemKind::Note,
            "whether it is deleted is not as its changes have it".into()),
        ("a conflict that is hidden", "UPDATE notes SET state = 0 WHERE first = 1".into(), ProblemKind::Note,
            "whether it is deleted is not as its changes have it".into()),
        ("who wrote", "UPDATE notes SET source = 'x' WHERE first = 6".into(), ProblemKind::Note,
            "who wrote it is not as its changes have it".into()),
        ("what is shown", "UPDATE notes SET head = 1 WHERE first = 6".into(), ProblemKind::Note,
            "which change is shown is not as its changes have it".into()),
        ("a row of notes", "UPDATE notes SET id = x'00' WHERE first = 6".into(), ProblemKind::Note,
            "the row of a note cannot be read: ".into()),
        ("a day", "UPDATE days SET notes = 9 WHERE journal = 2".into(), ProblemKind::Note,
            "the day 2026-11-23 is counted with 9 notes and has 1".into()),
        ("a day that is gone", "DELETE FROM days WHERE journal = 2".into(), ProblemKind::Note,
            "the day 2026-11-23 is counted with 0 notes and has 1".into()),
        ("the outbox", "INSERT INTO outbox VALUES (1, 1, 3)".into(), ProblemKind::Outbox,
            format!("change 1 of chain {laptop} (position 3): it waits in the outbox, but is not there or another one")),
        ("a receipt for nothing", "INSERT INTO receipts VALUES (99, 99)".into(), ProblemKind::Outbox,
            "position 99: it has a receipt, but is not there".into()),
        ("a receipt for what waits",
            "INSERT INTO outbox SELECT chain, seq, position FROM changes; INSERT INTO receipts VALUES (1, 1)".into(), ProblemKind::Outbox,
            format!("change 1 of chain {phone} (position 1): it waits in the outbox and has a receipt")),
        ("what nobody acknowledged or sends", "INSERT INTO receipts VALUES (1, 1)".into(), ProblemKind::Outbox,
            format!("change 2 of chain {phone} (position 2): the server has not acknowledged it, and it does not wait")),
    ];
    for (name, damage, kind, words) in cases {
        let copy = copy(&path, "damaged");
        assert_eq!(problems(&copy), [], "{name}");
        sql(&copy, &damage);
        let problems = problems(&copy);
        assert!(
            problems.iter().any(|p| p.kind == kind && p.to_string().contains(&words)),
            "{name}: {:#?}",
            problems.iter().map(|p| format!("{:?} {p}", p.kind)).collect::<Vec<_>>()
        );
        assert!(problems.len() < 12, "{name}: one damage is not told over and over: {problems:?}");
    }
}

#[test]
fn a_damaged_index_is_named_and_a_late_one_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    scene(&path);
    let index = dir.path().join("server-index.db");
    sql(&index, "DELETE FROM words WHERE rowid = (SELECT max(id) FROM words_docsize)");
    let found = problems(&path);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, ProblemKind::Index);
    assert!(found[0].to_string().contains("it has 3 notes instead of 4"), "{}", found[0]);
    // One more note: the index is late now, which is nothing to tell.
    written(&mut server(&path), text("one more", NOW)).unwrap();
    assert_eq!(problems(&path), []);

    sql(&index, "UPDATE words_data SET block = x'0102030405' WHERE id > 10");
    let found = problems(&path);
    assert!(!found.is_empty() && found.iter().all(|p| p.kind == ProblemKind::Index), "{found:?}");
    std::fs::write(&index, "no database ".repeat(99)).unwrap();
    assert!(problems(&path)[0].to_string().starts_with("the index: "));
    std::fs::remove_file(&index).unwrap();
    let _ = std::fs::remove_file(dir.path().join("server-index.db-wal"));
    assert_eq!(problems(&path), []);
}

#[test]
fn damaged_pages_are_problems_and_no_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    many_pages(&path);
    let whole = std::fs::read(&path).unwrap();
    for from in [4096, 8 * 4096, 160_000] {
        let mut bytes = whole.clone();
        bytes[from..from + 3 * 4096].fill(0x5a);
        std::fs::write(&path, bytes).unwrap();
        let found = look(&path);
        assert!(!found.is_clean(), "from byte {from}");
        assert!(found.problems.iter().any(|p| p.kind == ProblemKind::File), "from byte {from}");
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert!(!look(&path).is_clean());
}

#[test]
fn a_thousand_problems_are_enough_to_tell() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    let mut phone = Device::new("phone");
    let notes: Vec<_> = (0..1100).map(|n| phone.note(n, NOW, "note")).collect();
    pushed(&mut store, phone.push(&notes));
    sql(&path, "UPDATE changes SET content = x'00'");
    let found = look(&path);
    assert_eq!(found.problems.len(), 1000);
    assert!(found.more_problems >= 100);
    assert_eq!(found.changes, 1100);
}

#[test]
fn what_is_no_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let error = verify(&path, None, &mut |_, _| {}).unwrap_err();
    assert!(error.to_string().contains("server.db"), "{error}");
    assert!(!path.exists());
    for bytes in ["", "dear diary, "] {
        std::fs::write(&path, bytes.repeat(500)).unwrap();
        let error = verify(&path, None, &mut |_, _| {}).unwrap_err();
        assert!(matches!(error, StoreError::Foreign(_)), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    scene(&path);
    sql(&path, "PRAGMA user_version = 99");
    let error = verify(&path, None, &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn a_purged_note_is_whole_without_its_contents_and_not_with_one_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    let mut phone = Device::new("phone");
    let one = phone.note(1, NOW, "note 1");
    let edit = phone.change(id(1), &[one.hash()], NOW, Body::Text("note 1, edited".into()));
    let content = edit.content_bytes().unwrap().to_vec();
    pushed(&mut store, phone.push(&[one, edit]));
    written(&mut store, Write::Purge { note: id(1), now: at(NOW), audit: None }).unwrap();
    let found = look(&path);
    assert_eq!((found.problems.as_slice(), found.purged, found.changes), (&[][..], 2, 3));
    let digits: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    sql(&path, &format!("UPDATE changes SET content = x'{digits}' WHERE position = 2"));
    let problems = problems(&path);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0]
            .to_string()
            .ends_with("it was purged, and the content at position 2 is still here"),
        "{}",
        problems[0]
    );
}

#[test]
fn hashes_of_what_was_erased_still_count() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    let mut phone = Device::new("phone");
    let note = phone.note(1, NOW, "note");
    let erased = suibi_journal::Entry::from_bytes(note.change_bytes(), None).unwrap();
    pushed(&mut store, phone.push(&[erased]));
    assert_eq!((look(&path).purged, look(&path).is_clean()), (1, true));
    let other = Hash::of(b"other").to_string();
    sql(&path, &format!("UPDATE changes SET hash = x'{other}'"));
    assert!(problems(&path).iter().any(|p| p.kind == ProblemKind::Change));
}
