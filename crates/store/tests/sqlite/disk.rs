//! Disks that are full, torn, damaged, or not ours to write.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;
use suibi_journal::{Cursor, Query};
use suibi_store::{OwnChain, Reader, SqliteOptions, SqliteStore, Store, StoreError};

use crate::support::{HERE, commit, text, texts, written};
use crate::{many_pages, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";
const FILE: &str = "SUIBI_STORE_TEST_FULL";

fn try_open(path: &Path) -> Result<SqliteStore, StoreError> {
    let own_chain = OwnChain::Fresh;
    SqliteStore::open(path, SqliteOptions { own_chain, device: "server".to_owned() })
}

fn all(reader: &mut dyn Reader) -> Vec<String> {
    texts(reader, Query::default())
}

/// Not a test when it is run by hand: the process whose files may not grow beyond a limit.
#[test]
fn child() {
    let Ok(path) = env::var(FILE) else { return };
    let path = Path::new(&path);
    let mut store = server(path);
    let mut reader = store.reader().unwrap();
    let mut kept = Vec::new();
    let error = loop {
        assert!(kept.len() < 10_000, "there is no limit");
        let note = format!("{} {}", kept.len(), "full of words ".repeat(100));
        match commit(&mut store, vec![text(&note, NOW)]) {
            Ok(_) => kept.push(note),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full | StoreError::Io(_)), "{error}");
    assert!(!error.is_permanent());
    assert!(kept.len() > 10);

    // Reading goes on, also the search whose index has no place; writing does not.
    assert_eq!(all(&mut *reader), kept);
    let words = Query { text: Some("words".to_owned()), ..Query::default() };
    assert_eq!(texts(&mut *reader, words).len(), kept.len());
    let large = "too large for what is left ".repeat(40_000);
    assert!(commit(&mut store, vec![text("first", NOW), text(&large, NOW)]).is_err());
    assert_eq!(all(&mut *reader), kept, "nothing of a failed batch is kept");
    fs::write(path.with_extension("kept"), kept.join("\n")).unwrap();
}

#[test]
fn a_full_disk_refuses_writes_and_serves_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    // Beyond the limit a write fails, instead of ending the process.
    let limited = "trap '' XFSZ; ulimit -f 1200; exec \"$0\" \"$@\"";
    let status = Command::new("sh")
        .args(["-c", limited])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "disk::child", "--nocapture"])
        .env(FILE, &path)
        .status()
        .unwrap();
    assert!(status.success());

    let kept = fs::read_to_string(path.with_extension("kept")).unwrap();
    let kept: Vec<_> = kept.split('\n').collect();
    let mut store = server(&path);
    let mut reader = store.reader().unwrap();
    assert_eq!(all(&mut *reader), kept);
    written(&mut store, text("there is room again", NOW)).unwrap();
    assert_eq!(all(&mut *reader).len(), kept.len() + 1);
}

/// Small, fast, and the same in each run.
/// What an acknowledgement promises was flushed; of what was written later, a power cut may leave
/// any sectors. That the flushes are asked for is tested where the file is opened.
#[test]
fn a_torn_log_has_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let log = dir.path().join("server.db-wal");
    let mut store = server(&path);
    let mut flushed = Vec::new();
    for number in 0..120 {
        let words = "some words ".repeat(number % 40);
        written(&mut store, text(&format!("{number} {words}"), NOW)).unwrap();
        flushed.push(fs::metadata(&log).unwrap().len() as usize);
    }
    let (base, bytes) = (fs::read(&path).unwrap(), fs::read(&log).unwrap());
    let texts = all(&mut *store.reader().unwrap());
    assert!(flushed.is_sorted(), "the log was not begun again meanwhile");

    let mut random = StdRng::seed_from_u64(7);
    for cut in 0..150 {
        let acknowledged = random.random_range(0..flushed.len());
        let mut torn = bytes[..flushed[acknowledged]].to_vec();
        let later = &bytes[torn.len()..];
        for sector in later[..random.random_range(0..later.len() + 1)].chunks(512) {
            match random.random_range(0..3) {
                0 => torn.extend(vec![0; sector.len()]),
                1 => torn.extend(&sector[..random.random_range(0..sector.len())]),
                _ => torn.extend(sector),
            }
        }
        let copy = dir.path().join("copy.db");
        fs::write(&copy, &base).unwrap();
        fs::write(dir.path().join("copy.db-wal"), &torn).unwrap();
        let _ = fs::remove_file(dir.path().join("copy.db-shm"));

        let mut store = server(&copy);
        let mut reader = store.reader().unwrap();
        let found = all(&mut *reader);
        assert!(found.len() > acknowledged, "cut {cut}: {} of {acknowledged}", found.len());
        assert_eq!(found, texts[..found.len()], "cut {cut}");
        let page = reader.feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
        assert!(page.follows(Cursor::START) && page.entries.len() == found.len(), "cut {cut}");
        written(&mut store, text("and on", NOW)).unwrap();
        let whole: String = Connection::open(&copy)
            .and_then(|conn| conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(whole, "ok", "cut {cut}");
    }
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    many_pages(&path);
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 300_000, "all of it is in the file");
    // Behind the schema and the first pages of the tables, so that the file can be opened.
    bytes[160_000..].fill(0x5a);
    fs::write(&path, bytes).unwrap();

    let mut store = server(&path);
    let mut reader = store.reader().unwrap();
    let feed = reader.feed(HERE, Cursor::START, usize::MAX).unwrap_err();
    assert!(matches!(feed, StoreError::Corrupt(_)), "{feed}");
    assert!(feed.is_permanent());
    assert!(reader.notes(HERE, &Query::default()).is_err());
    // It may or may not touch a damaged page; it does not panic, and it says what it did.
    match commit(&mut store, vec![text("one more", NOW)]) {
        Ok(_) => assert_eq!(reader.version(HERE).unwrap(), 101),
        Err(error) => assert!(matches!(error, StoreError::Corrupt(_)), "{error}"),
    }
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("diary.txt");
    fs::write(&file, "dear diary, ".repeat(500)).unwrap();
    let other = dir.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let bytes = [fs::read(&file).unwrap(), fs::read(&other).unwrap()];

    for path in [&file, &other] {
        let error = try_open(path).unwrap_err();
        assert!(matches!(error, StoreError::Foreign(_)), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
    assert_eq!(bytes, [fs::read(&file).unwrap(), fs::read(&other).unwrap()]);

    let below = try_open(&file.join("server.db")).unwrap_err();
    assert!(below.to_string().contains("diary.txt"), "{below}");
    assert!(try_open(dir.path()).is_err());
}

#[test]
fn a_file_of_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    drop(server(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();

    let error = try_open(&path).unwrap_err();

    assert!(matches!(error, StoreError::Newer { found: 99, known: 2 }), "{error}");
}
