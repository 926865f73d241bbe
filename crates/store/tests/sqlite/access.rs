//! Who may use the store, in a file: older files, other processes, and what is left of a secret.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use rusqlite::Connection;
use suibi_journal::{Cursor, Query, Rights};
use suibi_store::{
    AccessChange, AccessRefused, DeviceRow, InviteRow, JournalId, OwnChain, SqliteStore, Store,
};

use crate::support::{Device, HERE, pushed, text, texts, written};
use crate::{open, replica, server};

const NINE: &str = "2026-11-23T09:00:00.000+08:00";
const SECRET: [u8; 32] = *b"a secret that nobody should see.";
/// Another one, of a device.
const KEPT: [u8; 32] = *b"a secretive device that is kept.";

fn device(key_id: &[u8], name: &str) -> DeviceRow {
    DeviceRow {
        number: 0,
        key_id: key_id.to_vec(),
        name: name.to_owned(),
        journal: HERE,
        rights: Rights::READ_WRITE,
        secret: SECRET.to_vec().into(),
        salt: None,
        reserved: 0,
        joined: 2_000,
        revoked: None,
    }
}

fn invite(key_id: &[u8]) -> InviteRow {
    InviteRow {
        number: 0,
        key_id: key_id.to_vec(),
        secret: SECRET[..16].to_vec().into(),
        journal: HERE,
        rights: Rights::READ_WRITE,
        name: None,
        made: 1_000,
        expires: 9_000,
        joiner: None,
    }
}

fn beside(path: &Path, end: &str) -> std::path::PathBuf {
    path.with_file_name(format!("{}{end}", path.file_name().unwrap().to_str().unwrap()))
}

/// A file as the first version made it, with what `from` holds in the tables of that time.
fn version_1(from: &Path, to: &Path) {
    let conn = Connection::open(to).unwrap();
    conn.execute_batch(include_str!("../../migrations/sqlite/0001.sql")).unwrap();
    let tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table'";
    let tables: Vec<String> = conn
        .prepare(tables)
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(tables.len(), 10, "{tables:?}");
    conn.execute("ATTACH ?1 AS newer", [from.to_str().unwrap()]).unwrap();
    for table in tables {
        conn.execute(&format!("INSERT INTO {table} SELECT * FROM newer.{table}"), []).unwrap();
    }
    conn.execute_batch(
        "DETACH newer; PRAGMA application_id = 0x73756962; PRAGMA user_version = 1;",
    )
    .unwrap();
    let tables: u32 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
    assert!(tables > 10);
}

/// All that a replica or a server of the first version can tell.
fn told(store: &mut SqliteStore) -> String {
    let mut reader = store.reader().unwrap();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        reader.feed(HERE, Cursor::START, usize::MAX).unwrap(),
        reader.heads(HERE).unwrap(),
        reader.notes(HERE, &Query::default()).unwrap(),
        reader.days(HERE).unwrap(),
        reader.tags(HERE).unwrap(),
        reader.version(HERE).unwrap(),
        store.outbox(usize::MAX).unwrap(),
        store.cursor().unwrap(),
        store.meta("own-chain").unwrap(),
        store.meta("epoch").unwrap(),
    )
}

#[test]
fn a_file_of_version_1_goes_on_with_all_that_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    for own_chain in [OwnChain::Fresh, OwnChain::Kept] {
        let [from, path] =
            ["from", "to"].map(|end| dir.path().join(format!("{own_chain:?}{end}.db")));
        let mut store = open(&from, own_chain);
        let mut phone = Device::new("phone");
        let entries: Vec<_> = (1..20)
            .map(|number| phone.note(number, NINE, &format!("note {number} @shop")))
            .collect();
        pushed(&mut store, phone.push(&entries));
        written(&mut store, text("own 冷", NINE)).unwrap();
        store.set_meta("epoch", "0102030405060708").unwrap();
        let before = told(&mut store);
        drop(store);
        version_1(&from, &path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();

        let mut store = open(&path, own_chain);

        assert_eq!(told(&mut store), before);
        let access = store.access().unwrap();
        assert_eq!(access.journals, [(HERE, "notes".to_owned())]);
        assert!(access.devices.is_empty() && access.invites.is_empty());
        for end in ["", "-wal", "-shm", ".v1.backup"] {
            let mode = fs::metadata(beside(&path, end)).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{end}");
        }
        let backup = Connection::open(beside(&path, ".v1.backup")).unwrap();
        let version: u32 = backup.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        let notes: u32 =
            backup.query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
        assert_eq!((version, notes), (1, 20));

        written(&mut store, text("and on", NINE)).unwrap();
        store.change_access(&AccessChange::AddDevice(device(b"dev1", "x")), None).unwrap().unwrap();
        assert_eq!(store.reader().unwrap().count(HERE).unwrap(), 21);
        assert_eq!(open(&path, own_chain).access().unwrap().devices.len(), 1);
    }
}

#[test]
fn a_replica_has_the_tables_and_no_use_for_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut laptop = replica(&dir.path().join("replica.db"));
    let mut home = server(&dir.path().join("server.db"));
    let name = "work".to_owned();
    let work = home.change_access(&AccessChange::AddJournal { name }, None).unwrap().unwrap();
    let work = work.journal.unwrap();
    let mut phone = Device::new("phone");
    let entry = phone.note(1, NINE, "at work");
    home.commit(vec![(work, phone.push(&[entry]))]).unwrap();

    // Whatever the journal is at home, it is the only one here.
    let page = home.reader().unwrap().feed(work, Cursor::START, usize::MAX).unwrap().unwrap();
    laptop.apply_page(Cursor::START, &page).unwrap();
    laptop.apply_heads(&home.reader().unwrap().heads(work).unwrap()).unwrap();
    assert_eq!(texts(&mut *laptop.reader().unwrap(), Query::default()), ["at work"]);
    let access = laptop.access().unwrap();
    assert_eq!(access.journals, [(HERE, "notes".to_owned())]);
    assert!(access.devices.is_empty() && access.invites.is_empty());

    // A rename at home comes with the heads.
    let row = DeviceRow { journal: work, ..device(b"dev1", "phone") };
    let added = home.change_access(&AccessChange::AddDevice(row), None).unwrap().unwrap();
    let rename =
        AccessChange::Rename { device: added.device.unwrap(), name: "old phone".to_owned() };
    home.change_access(&rename, None).unwrap().unwrap();
    laptop.apply_heads(&home.reader().unwrap().heads(work).unwrap()).unwrap();
    let from = Query { from: Some("old phone".to_owned()), ..Query::default() };
    assert_eq!(texts(&mut *laptop.reader().unwrap(), from), ["at work"]);
}

#[test]
fn of_many_who_join_at_once_with_one_invite_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    for round in 0..5u8 {
        let add = AccessChange::AddInvite(invite(&[b'i', round]));
        let invite = store.change_access(&add, None).unwrap().unwrap().invite.unwrap();
        let start = Barrier::new(4);
        let join = |who: u8| {
            let mut store = server(&path);
            start.wait();
            let change = AccessChange::Join {
                invite,
                joiner_public: vec![who],
                own_public: vec![who],
                device: device(&[round, who], &format!("{round} {who}")),
            };
            store.change_access(&change, None).unwrap()
        };
        let join = &join;
        let answers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|who| scope.spawn(move || join(who))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        let used = Err(AccessRefused::Used { at: 2_000 });
        assert_eq!(answers.iter().filter(|answer| **answer == used).count(), 3, "{answers:?}");
    }
    assert_eq!(store.access().unwrap().devices.len(), 5);
}

/// Whether the secret stands in the file or its log.
fn is_on_disk(path: &Path) -> bool {
    ["", "-wal"].iter().any(|end| {
        let bytes = fs::read(beside(path, end)).unwrap_or_default();
        bytes.windows(16).any(|bytes| *bytes == SECRET[..16])
    })
}

#[test]
fn a_forgotten_secret_is_overwritten_and_none_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let mut store = server(&path);
    let secret = KEPT.to_vec().into();
    let row = DeviceRow { secret, ..device(b"dev1", "phone") };
    let add = AccessChange::AddDevice(row.clone());
    let phone = store.change_access(&add, None).unwrap().unwrap().device.unwrap();
    let add = AccessChange::AddInvite(invite(b"inv1"));
    let waiting = store.change_access(&add, None).unwrap().unwrap().invite.unwrap();
    assert!(is_on_disk(&path));

    let access = store.access().unwrap();
    assert_eq!(
        (&access.devices[0].secret[..], &access.invites[0].secret[..]),
        (&KEPT[..], &SECRET[..16])
    );
    for shown in [format!("{access:?}"), format!("{access:#?}"), format!("{add:?} {row:?}")] {
        let shown = shown.split_whitespace().collect::<String>();
        assert!(shown.contains("KeyBytes(32bytes)"), "{shown}");
        // Neither as text nor as numbers.
        assert!(!shown.contains("asecret") && !shown.contains("97,32,115"), "{shown}");
    }

    store.change_access(&AccessChange::Revoke { device: phone, at: 1 }, None).unwrap().unwrap();
    assert_eq!(store.access().unwrap().devices[0].secret[..], KEPT, "the device is told by it");
    store.change_access(&AccessChange::DropInvite(waiting), None).unwrap().unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    Connection::open(&path).unwrap().query_row(checkpoint, [], |_| Ok(())).unwrap();
    assert!(!is_on_disk(&path));
}

#[test]
fn journals_are_numbered_as_they_are_added() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = server(&dir.path().join("server.db"));
    let names: Vec<_> = ["work", "家"]
        .map(|name| AccessChange::AddJournal { name: name.to_owned() })
        .iter()
        .map(|change| store.change_access(change, None).unwrap().unwrap().journal.unwrap())
        .collect();
    assert_eq!(names, [JournalId(2), JournalId(3)]);
    let listed = store.access().unwrap().journals;
    assert_eq!(
        listed.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(),
        ["notes", "work", "家"]
    );
}
