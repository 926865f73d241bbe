//! Backups of stores in use, and what comes back of them.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rusqlite::Connection;
use suibi_journal::{Cursor, Query};
use suibi_store::backup::{About, Role, check, create, restore};
use suibi_store::verify::verify;
use suibi_store::{Reader, Store, StoreError};

use crate::support::{Device, HERE, pushed, text, texts, written};
use crate::{replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";
const FILE: &str = "SUIBI_BACKUP_TEST_FULL";

fn about(role: Role) -> About {
    About {
        role,
        made: 1_795_395_900_000,
        program: "0.1.0".to_owned(),
        file: "server.db".to_owned(),
        membership: None,
    }
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn all(reader: &mut dyn Reader) -> Vec<String> {
    texts(reader, Query::default())
}

fn nothing(_: u64, _: u64) {}

#[test]
fn a_server_comes_back_as_it_was_and_writes_on_in_another_chain() {
    let dir = tempfile::tempdir().unwrap();
    let (db, file) = (dir.path().join("server.db"), dir.path().join("backup"));
    let mut store = server(&db);
    let mut phone = Device::new("phone");
    let notes = [phone.note(1, NOW, "note 1"), phone.note(2, NOW, "note 2")];
    pushed(&mut store, phone.push(&notes));
    let own = written(&mut store, text("own note", NOW)).unwrap();
    let before = all(&mut *store.reader().unwrap());

    create(&db, &file, about(Role::Server)).unwrap();

    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let checked = check(&file, &mut nothing).unwrap();
    assert_eq!(checked.about, about(Role::Server));
    assert_eq!(checked.bytes, fs::metadata(&file).unwrap().len());
    assert!(checked.verified.is_clean() && checked.schema >= 2);
    assert_eq!((checked.verified.changes, checked.verified.notes), (3, 3));

    written(&mut store, text("after the backup", NOW)).unwrap();
    let place = dir.path().join("new").join("place").join("server.db");
    assert_eq!(restore(&file, &place).unwrap(), about(Role::Server));

    assert_eq!(files(place.parent().unwrap()), ["server.db"]);
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(place.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let mut restored = server(&place);
    assert_eq!(all(&mut *restored.reader().unwrap()), before);
    let next = written(&mut restored, text("own again", NOW)).unwrap();
    assert_ne!(next.receipt.chain, own.receipt.chain);
    assert!(verify(&place, None, &mut nothing).unwrap().is_clean());
    let tables: i64 = Connection::open(&place)
        .unwrap()
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'backup'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 0, "it is no backup any more");
    assert!(check(&file, &mut nothing).unwrap().verified.is_clean(), "the file stays as it is");
}

#[test]
fn a_replica_comes_back_with_its_outbox_and_never_writes_a_slot_again() {
    let dir = tempfile::tempdir().unwrap();
    let (db, file) = (dir.path().join("replica.db"), dir.path().join("backup"));
    let mut laptop = replica(&db);
    let old = written(&mut laptop, text("note 1", NOW)).unwrap();
    let membership = "suibi membership 1\nsecret 0707\n".to_owned();
    let about = About { membership: Some(membership.clone().into()), ..about(Role::Replica) };
    create(&db, &file, about.clone()).unwrap();
    assert!(!format!("{about:?}").contains("0707"), "{about:?}");
    let after = written(&mut laptop, text("note 2", NOW)).unwrap();
    assert_eq!(after.receipt.chain, old.receipt.chain);

    let place = dir.path().join("restored.db");
    let found = restore(&file, &place).unwrap();

    assert_eq!(found.membership.as_deref(), Some(&membership));
    let bytes = fs::read(&place).unwrap();
    let secret = b"secret 0707";
    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "it is overwritten");
    let mut restored = replica(&place);
    let outbox = restored.outbox(usize::MAX).unwrap();
    assert_eq!(outbox.len(), 1);
    assert_eq!(outbox[0].hash(), old.receipt.hash);
    let next = written(&mut restored, text("note 2 of another life", NOW)).unwrap().receipt;
    assert!(next.chain != old.receipt.chain && next.seq == 1);
    let again = written(&mut restored, text("note 3", NOW)).unwrap().receipt;
    assert_eq!((again.chain, again.seq), (next.chain, 2));
}

#[test]
fn a_backup_is_one_state_of_a_store_that_is_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("server.db");
    drop(server(&db));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut store = server(&db);
            let mut phone = Device::new("phone");
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) {
                let notes: Vec<_> =
                    (0..10).map(|n| phone.note(written + n, NOW, &"words ".repeat(50))).collect();
                assert!(pushed(&mut store, phone.push(&notes)).iter().all(Result::is_ok));
                written += 10;
            }
            u64::from(written)
        });
        let mut changes = Vec::new();
        for round in 0..8 {
            let file = dir.path().join(format!("backup-{round}"));
            create(&db, &file, about(Role::Server)).unwrap();
            let checked = check(&file, &mut nothing).unwrap();
            assert_eq!(checked.verified.problems, []);
            assert_eq!(checked.verified.changes % 10, 0, "whole commits");
            changes.push(checked.verified.changes);
        }
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap();
        assert!(changes.is_sorted() && changes.first() < changes.last(), "{changes:?}");
        assert!(changes.last() <= Some(&written));
    });
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let (db, file) = (dir.path().join("server.db"), dir.path().join("backup"));
    written(&mut server(&db), text("note", NOW)).unwrap();
    fs::write(&file, "precious").unwrap();
    let error = create(&db, &file, about(Role::Server)).unwrap_err();
    assert!(matches!(error, StoreError::Exists(_)), "{error}");
    assert!(error.to_string().ends_with("backup is there already, and stays as it is"));
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    fs::remove_file(&file).unwrap();

    // What a process left that was ended is no hindrance, even if others could read it.
    let part = dir.path().join("backup.part");
    fs::write(&part, "half a backup ".repeat(10_000)).unwrap();
    fs::set_permissions(&part, Permissions::from_mode(0o644)).unwrap();
    create(&db, &file, about(Role::Server)).unwrap();
    assert!(!part.exists());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // One that another process writes is left alone.
    let second = dir.path().join("second");
    let theirs = fs::File::create(dir.path().join("second.part")).unwrap();
    theirs.lock().unwrap();
    let error = create(&db, &second, about(Role::Server)).unwrap_err();
    assert!(error.to_string().contains("another process is writing it"), "{error}");
    assert!(dir.path().join("second.part").exists() && !second.exists());

    // A link that somebody put there is not followed.
    let third = dir.path().join("third");
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), dir.path().join("third.part"))
        .unwrap();
    let error = create(&db, &third, about(Role::Server)).unwrap_err();
    assert!(error.to_string().contains("third.part is a symbolic link"), "{error}");
    assert!(!dir.path().join("elsewhere").exists());

    for place in ["server.db", "other.db"] {
        let place = dir.path().join(place);
        if !place.exists() {
            fs::write(dir.path().join("other.db-wal"), "").unwrap();
        }
        let before = files(dir.path());
        let error = restore(&file, &place).unwrap_err();
        assert!(matches!(error, StoreError::Exists(_)), "{error}");
        assert_eq!(files(dir.path()), before);
    }
    let error = create(&dir.path().join("none.db"), &second, about(Role::Server)).unwrap_err();
    assert!(error.to_string().contains("none.db"), "{error}");
    let nowhere = dir.path().join("none").join("backup");
    let error = create(&db, &nowhere, about(Role::Server)).unwrap_err();
    assert!(error.to_string().contains("none/backup"), "{error}");
}

#[test]
fn only_whole_backups_are_restored() {
    let dir = tempfile::tempdir().unwrap();
    let (db, file) = (dir.path().join("server.db"), dir.path().join("backup"));
    let mut store = server(&db);
    for number in 0..200 {
        written(&mut store, text(&format!("note {number} {}", "words ".repeat(40)), NOW)).unwrap();
    }
    store.set_meta("color", "green").unwrap();
    create(&db, &file, about(Role::Server)).unwrap();
    let place = dir.path().join("place").join("server.db");
    let refused = |file: &Path| {
        let checked = check(file, &mut nothing);
        let error = restore(file, &place).unwrap_err();
        assert!(!place.exists());
        assert!(
            fs::read_dir(place.parent().unwrap()).map_or(true, |mut names| names.next().is_none())
        );
        (checked, error)
    };

    let (checked, error) = refused(&db);
    assert!(matches!(error, StoreError::NotBackup(_)), "{error}");
    assert!(matches!(checked, Err(StoreError::NotBackup(_))));
    let diary = dir.path().join("diary");
    fs::write(&diary, "dear diary, ".repeat(500)).unwrap();
    let (checked, error) = refused(&diary);
    assert!(matches!(error, StoreError::Foreign(_)) && checked.is_err(), "{error}");
    assert!(matches!(refused(&dir.path().join("none")), (Err(_), StoreError::Io(_))));

    let altered = |sql: &str| {
        let copy = dir.path().join("copy");
        fs::copy(&file, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(sql).unwrap();
        copy
    };
    let (checked, error) = refused(&altered("PRAGMA user_version = 99"));
    assert!(matches!(error, StoreError::Newer { found: 99, .. }) && checked.is_err(), "{error}");
    // A flipped letter in what is hashed by nobody, and in what is.
    let (checked, error) = refused(&altered("UPDATE meta SET value = 'greed'"));
    assert_eq!(checked.unwrap().verified.problems.len(), 1);
    assert!(error.to_string().contains("something beside the changes is not as it was"), "{error}");
    let (checked, error) =
        refused(&altered("UPDATE changes SET content = x'00' WHERE position = 7"));
    assert!(!checked.unwrap().verified.is_clean());
    assert!(error.to_string().contains("(position 7): its content is not"), "{error}");
    let (checked, error) = refused(&altered("UPDATE backup SET role = 'cloud'"));
    assert!(matches!(error, StoreError::Corrupt(_)) && checked.is_err(), "{error}");

    // Bytes wherever: never a panic, never a store in the place, unless nothing is wrong.
    let whole = fs::read(&file).unwrap();
    for step in 0..40 {
        let mut bytes = whole.clone();
        let at = step * whole.len() / 40 + 13;
        bytes[at] ^= 0x40;
        let copy = dir.path().join("copy");
        fs::write(&copy, bytes).unwrap();
        match restore(&copy, &place) {
            Err(error) => assert!(
                error.is_damage() || matches!(error, StoreError::Io(_) | StoreError::NotBackup(_)),
                "{at}: {error}"
            ),
            Ok(_) => {
                let mut restored = server(&place);
                let page = |store: &mut dyn Store| {
                    store.reader().unwrap().feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap()
                };
                assert_eq!(page(&mut restored), page(&mut store), "{at}: not a byte that counts");
                drop(restored);
                fs::remove_dir_all(place.parent().unwrap()).unwrap();
            }
        }
        assert!(!place.exists());
    }
    for len in [1, 50, 4096, whole.len() / 2, whole.len() - 1] {
        let copy = dir.path().join("copy");
        fs::write(&copy, &whole[..len]).unwrap();
        assert!(restore(&copy, &place).is_err(), "{len} bytes");
    }
}

/// Not a test when it is run by hand: the process whose files may not grow beyond a limit.
#[test]
fn child() {
    let Ok(path) = env::var(FILE) else { return };
    let db = Path::new(&path);
    let file = db.with_file_name("backup");
    let error = create(db, &file, about(Role::Server)).unwrap_err();
    assert!(matches!(error, StoreError::Full | StoreError::Io(_)), "{error}");
    let place = db.with_file_name("restored.db");
    let error = restore(&db.with_file_name("whole"), &place).unwrap_err();
    assert!(matches!(error, StoreError::Full | StoreError::Io(_)), "{error}");
}

#[test]
fn a_full_disk_leaves_no_half_backup() {
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("server.db");
    let mut store = server(&db);
    for number in 0..300 {
        written(&mut store, text(&format!("{number} {}", "words ".repeat(500)), NOW)).unwrap();
    }
    drop(store);
    create(&db, &dir.path().join("whole"), about(Role::Server)).unwrap();
    let before = files(dir.path());
    let limited = "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\"";
    let status = Command::new("sh")
        .args(["-c", limited])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "backup::child", "--nocapture"])
        .env(FILE, &db)
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(files(dir.path()), before);
}
