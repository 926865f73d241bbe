//! Damaged replicas: what can still be read is, and nothing stops the program.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use suibi_journal::{Cursor, Entry, Query, rescue};
use suibi_store::salvage::{FeedRead, place_aside, put_aside, salvage};
use suibi_store::verify::verify;
use suibi_store::{OwnChain, SqliteOptions, SqliteStore, Store};

use crate::support::{Device, HERE, pushed, text, texts, written};
use crate::{replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";

/// A replica with acknowledged changes of a phone and of its own, and some that wait.
fn scene(path: &Path, server: &mut SqliteStore) -> Vec<Entry> {
    let mut laptop = replica(path);
    let mut phone = Device::new("phone");
    let notes: Vec<_> = (0..60)
        .map(|n| {
            phone.note(n, NOW, &format!("note {n} {}", "of the phone ".repeat(n as usize * 9)))
        })
        .collect();
    pushed(server, phone.push(&notes));
    for number in 0..20 {
        written(&mut laptop, text(&format!("own {number}"), NOW)).unwrap();
    }
    let receipts = pushed(server, Device::new("laptop").push(&laptop.outbox(usize::MAX).unwrap()));
    laptop.apply_receipts(&receipts.into_iter().map(Result::unwrap).collect::<Vec<_>>()).unwrap();
    pull(&mut laptop, server);
    for number in 0..25 {
        let words = "that waits ".repeat(number * 20);
        written(&mut laptop, text(&format!("waiting {number} {words}"), NOW)).unwrap();
    }
    laptop.outbox(usize::MAX).unwrap()
}

fn pull(to: &mut SqliteStore, server: &SqliteStore) {
    let cursor = to.cursor().unwrap();
    let page = server.reader().unwrap().feed(HERE, cursor, usize::MAX).unwrap().unwrap();
    to.apply_page(cursor, &page).unwrap();
}

fn entries(salvaged: &[(String, Entry)]) -> Vec<Entry> {
    salvaged.iter().map(|(_, entry)| entry.clone()).collect()
}

/// All of it in one file, without a log.
fn settle(path: &Path) {
    let conn = rusqlite::Connection::open(path).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

#[test]
fn of_a_whole_replica_the_outbox_is_had() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let waiting = scene(&path, &mut server(&dir.path().join("server.db")));
    let salvaged = salvage(&path).unwrap();
    assert_eq!(entries(&salvaged), waiting);
    assert!(salvaged.iter().all(|(device, _)| device == "laptop"));
    assert!(salvage(&dir.path().join("none.db")).unwrap().is_empty());
}

#[test]
fn without_its_first_page_short_notes_are_still_had() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let waiting = scene(&path, &mut server(&dir.path().join("server.db")));
    settle(&path);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..4096].fill(0);
    fs::write(&path, bytes).unwrap();
    let found = entries(&salvage(&path).unwrap());
    let short = |entry: &&Entry| entry.encoded_len() < 3000;
    assert!(waiting.iter().filter(short).count() > 10);
    assert!(waiting.iter().filter(short).all(|entry| found.contains(entry)));
}

#[test]
fn damage_anywhere_costs_what_it_hits_and_never_more_than_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let waiting = scene(&path, &mut server(&dir.path().join("server.db")));
    settle(&path);
    let whole = fs::read(&path).unwrap();
    let written: HashSet<_> = {
        let mut reader = replica(&path).reader().unwrap();
        let page = reader.feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
        page.entries.iter().map(|(_, entry)| entry.hash()).collect()
    };
    let copy = dir.path().join("copy.db");
    let mut least = usize::MAX;
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..400 {
        let mut bytes = whole.clone();
        match round % 4 {
            0 => bytes[random(whole.len())] ^= 1 << random(8),
            1 => {
                let page = random(whole.len() / 4096) * 4096;
                bytes[page..page + 4096].fill(0);
            }
            2 => {
                let (at, len) = (random(whole.len() - 600), random(600));
                bytes[at..at + len].iter_mut().for_each(|byte| *byte = random(256) as u8);
            }
            _ => bytes.truncate(random(whole.len())),
        }
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(dir.path().join(format!("copy.db{end}")));
        }
        fs::write(&copy, &bytes).unwrap();
        let found = entries(&salvage(&copy).unwrap());
        let kept = waiting.iter().filter(|entry| found.contains(entry)).count();
        assert!(found.iter().all(|entry| written.contains(&entry.hash())), "round {round}");
        if round % 4 != 3 {
            least = least.min(kept);
        }
        // Nor does anything else stop the program: it opens or not, it is whole or not.
        let _ = verify(&copy, None, &mut |_, _| {}).map(|found| found.problems.len());
        let options = SqliteOptions { own_chain: OwnChain::Kept, device: "laptop".into() };
        if let Ok(mut store) = SqliteStore::open(&copy, options) {
            let _ = store.outbox(usize::MAX);
            let _ = store.reader().and_then(|mut reader| reader.notes(HERE, &Query::default()));
            let _ = store.rescue_from(waiting[0].change().chain, 3);
        }
    }
    assert!(least >= 10, "one page lost, and {least} of 25 changes left");
}

#[test]
fn a_replica_that_was_put_aside_and_filled_anew_has_everything_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let mut server = server(&dir.path().join("server.db"));
    let waiting = scene(&path, &mut server);
    replica(&path).reader().unwrap().catch_up(usize::MAX).unwrap();

    let aside = place_aside(&path);
    put_aside(&path, &aside).unwrap();
    put_aside(&path, &aside).unwrap();

    assert_eq!(aside, dir.path().join("replica.db.damaged-1"));
    let left = |name: &str| dir.path().join(name).exists();
    for gone in ["replica.db", "replica.db-wal", "replica.db-shm", "replica-index.db"] {
        assert!(!left(gone), "{gone}");
    }
    let salvaged = salvage(&aside).unwrap();
    assert_eq!(entries(&salvaged), waiting, "its log went along");
    let mut fresh = replica(&path);
    pull(&mut fresh, &server);
    assert_eq!(fresh.take_back(&salvaged, FeedRead::Whole).unwrap(), 25);
    assert_eq!(fresh.take_back(&salvaged, FeedRead::Whole).unwrap(), 0, "once is enough");
    assert_eq!(fresh.outbox(usize::MAX).unwrap(), waiting);
    assert_eq!(verify(&path, None, &mut |_, _| {}).unwrap().problems, []);
    let next = written(&mut fresh, text("and on", NOW)).unwrap().receipt;
    assert!(next.seq == 1 && next.chain != waiting[0].change().chain);
    let receipts =
        pushed(&mut server, Device::new("laptop").push(&fresh.outbox(usize::MAX).unwrap()));
    assert!(receipts.iter().all(Result::is_ok));

    drop(fresh);
    let second = place_aside(&path);
    assert_eq!(second, dir.path().join("replica.db.damaged-2"));
    put_aside(&path, &second).unwrap();
    assert!(salvage(&second).unwrap().len() > 20);
    // With its file gone already: nothing takes its place.
    fs::write(dir.path().join("replica.db.damaged-3-wal"), "a log").unwrap();
    assert_eq!(place_aside(&path), dir.path().join("replica.db.damaged-4"));
}

#[test]
fn a_replica_that_was_put_aside_and_cannot_be_read_now_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    scene(&path, &mut server(&dir.path().join("server.db")));
    // A directory in its place: it can be opened by nobody, not even by root.
    let directory = dir.path().join("directory.db");
    fs::create_dir(&directory).unwrap();
    assert!(!salvage(&directory).unwrap_err().is_damage());
}

#[test]
fn what_follows_a_change_that_cannot_be_read_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let mut server = server(&dir.path().join("server.db"));
    let waiting = scene(&path, &mut server);
    let salvaged: Vec<_> =
        waiting.iter().map(|entry| ("laptop".to_owned(), entry.clone())).collect();
    let without_one = [&salvaged[..5], &salvaged[6..]].concat();
    let fresh_path = dir.path().join("fresh.db");
    let mut fresh = replica(&fresh_path);
    pull(&mut fresh, &server);

    // Before the feed was read it may all be there.
    assert_eq!(fresh.take_back(&without_one, FeedRead::Part).unwrap(), 5);
    assert_eq!(fresh.take_back(&without_one, FeedRead::Part).unwrap(), 0);
    assert_eq!(fresh.outbox(usize::MAX).unwrap(), waiting[..5]);
    assert_eq!(fresh.take_back(&without_one, FeedRead::Whole).unwrap(), 19);

    let outbox = fresh.outbox(usize::MAX).unwrap();
    assert_eq!(outbox[..5], waiting[..5]);
    assert_eq!(outbox[5..], rescue(&waiting[6..]));
    assert_eq!(verify(&fresh_path, None, &mut |_, _| {}).unwrap().problems, []);
    let answers = pushed(&mut server, Device::new("laptop").push(&outbox));
    assert!(answers.iter().all(Result::is_ok));
    let query = Query { text: Some("waiting".into()), ..Query::default() };
    assert_eq!(texts(&mut *server.reader().unwrap(), query).len(), 24);
    // The cursor of the fresh one is the server's of before; the rest comes as receipts.
    pull(&mut fresh, &server);
    assert_eq!(fresh.waiting().unwrap(), 0);
    assert_eq!(
        fresh.cursor().unwrap().position,
        server.reader().unwrap().head(HERE).unwrap().position
    );
    assert_ne!(fresh.cursor().unwrap(), Cursor::START);
}

#[test]
fn a_device_that_may_not_read_leaves_a_gap_where_a_change_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let waiting = scene(&dir.path().join("replica.db"), &mut server(&dir.path().join("server.db")));
    let salvaged: Vec<_> =
        waiting.iter().map(|entry| ("laptop".to_owned(), entry.clone())).collect();
    let without_one = [&salvaged[..5], &salvaged[6..]].concat();
    let mut fresh = replica(&dir.path().join("fresh.db"));
    assert_eq!(fresh.take_back(&without_one, FeedRead::Never).unwrap(), 24);
    assert_eq!(fresh.take_back(&without_one, FeedRead::Never).unwrap(), 0);
    assert_eq!(fresh.outbox(usize::MAX).unwrap(), [&waiting[..5], &waiting[6..]].concat());
}
