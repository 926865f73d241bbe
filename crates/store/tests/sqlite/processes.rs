//! Several processes with one file, and processes that are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{BufRead, BufReader, Write as _, stdout};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use suibi_journal::{Cursor, Entry, Hash, Query, verify_chain};
use suibi_store::{Outcome, OwnChain, Reader, Store};

use crate::support::{HERE, commit, text, texts, written};
use crate::{open, replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";
const TASK: &str = "SUIBI_STORE_TEST_TASK";
const FILE: &str = "SUIBI_STORE_TEST_FILE";

/// This program again, for one of the tasks of [`child`].
fn start(task: &str, path: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture"])
        .env(TASK, task)
        .env(FILE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Not a test when it is run by hand: what the other processes of these tests do.
#[test]
fn child() {
    let Ok(task) = env::var(TASK) else { return };
    let path = env::var(FILE).unwrap();
    let path = Path::new(&path);
    let own_chain = if task.ends_with("fresh") { OwnChain::Fresh } else { OwnChain::Kept };
    let count = if task.starts_with("some") { 25 } else { u64::MAX };
    let mut store = open(path, own_chain);
    let process = std::process::id();
    for number in 0..count {
        // One to three notes a commit, in turn.
        let notes = (0..=number % 3).map(|n| text(&format!("{process} {number} {n}"), NOW));
        let outcomes = commit(&mut store, notes.collect()).unwrap();
        let mut out = stdout().lock();
        for outcome in outcomes {
            let Outcome::Note(Ok(note)) = outcome else { panic!("not written") };
            writeln!(out, "ack {}", note.receipt.hash).unwrap();
        }
        out.flush().unwrap();
    }
}

fn acknowledged(lines: &mut BufReader<ChildStdout>) -> Option<Hash> {
    let mut line = String::new();
    // A line that a killed process did not end was not said.
    while lines.read_line(&mut line).unwrap() > 0 && line.ends_with('\n') {
        // The harness may have begun the line.
        if let Some((_, hash)) = line.trim_end().split_once("ack ") {
            return Some(hash.parse().unwrap());
        }
        line.clear();
    }
    None
}

/// All entries; the feed is checked on the way.
fn feed(reader: &mut dyn Reader) -> Vec<Entry> {
    let page = reader.feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    assert!(page.follows(Cursor::START));
    assert_eq!(page.next, reader.head(HERE).unwrap());
    page.entries.into_iter().map(|(_, entry)| entry).collect()
}

/// Nothing acknowledged is missing, nothing is there twice, every chain is whole.
fn check(reader: &mut dyn Reader, acknowledged: &BTreeSet<Hash>) {
    let entries = feed(reader);
    let hashes: BTreeSet<_> = entries.iter().map(Entry::hash).collect();
    assert_eq!(hashes.len(), entries.len());
    assert!(acknowledged.is_subset(&hashes), "an acknowledged note is lost");
    let mut chains: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in &entries {
        chains.entry(entry.change().chain).or_default().push(entry);
    }
    for chain in chains.into_values() {
        verify_chain(chain).unwrap();
    }
    let texts = texts(reader, Query::default());
    assert_eq!(texts.len(), entries.len());
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len());
    assert_eq!(reader.count(HERE).unwrap(), texts.len() as u64);
}

#[test]
fn processes_of_one_device_share_one_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("replica.db");
    let children: Vec<_> = (0..6).map(|_| start("some, kept", &path)).collect();

    let mut hashes = BTreeSet::new();
    for mut child in children {
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        hashes.extend(std::iter::from_fn(|| acknowledged(&mut lines)));
        assert!(child.wait().unwrap().success());
    }

    assert_eq!(hashes.len(), 6 * 49);
    let mut store = replica(&path);
    check(&mut *store.reader().unwrap(), &hashes);
    assert_eq!(store.reader().unwrap().heads(HERE).unwrap().len(), 1);
    let outbox = store.outbox(usize::MAX).unwrap();
    assert_eq!(outbox.len(), hashes.len());
    verify_chain(&outbox).unwrap();
}

#[test]
fn a_writer_killed_fifty_times_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut hashes = [BTreeSet::new(), BTreeSet::new()];
    for round in 0..50_usize {
        let kept = round % 2;
        let (task, name) = [("on, fresh", "server.db"), ("on, kept", "replica.db")][kept];
        let path = dir.path().join(name);
        let mut child = start(task, &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let wait_for = (round * 7) % 23;
        for _ in 0..wait_for {
            hashes[kept].insert(acknowledged(&mut lines).expect("it goes on until it is killed"));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        hashes[kept].extend(std::iter::from_fn(|| acknowledged(&mut lines)));
    }

    for (kept, name) in ["server.db", "replica.db"].into_iter().enumerate() {
        let own_chain = [OwnChain::Fresh, OwnChain::Kept][kept];
        let mut store = open(&dir.path().join(name), own_chain);
        assert!(hashes[kept].len() > 100);
        check(&mut *store.reader().unwrap(), &hashes[kept]);
        hashes[kept].insert(written(&mut store, text("after all", NOW)).unwrap().receipt.hash);
        check(&mut *store.reader().unwrap(), &hashes[kept]);
    }
}

#[test]
fn a_reader_of_the_feed_never_misses_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = server(&dir.path().join("server.db"));
    let readers: Vec<_> = (0..3).map(|_| store.reader().unwrap()).collect();
    const COMMITS: usize = 200;
    let total: usize = (0..COMMITS).map(|number| 1 + number % 5).sum();

    let followed: Vec<_> = thread::scope(|scope| {
        let follow = |mut reader: Box<dyn Reader>| {
            move || {
                let (mut cursor, mut hashes) = (Cursor::START, Vec::new());
                while hashes.len() < total {
                    let page = reader.feed(HERE, cursor, 700).unwrap().unwrap();
                    assert!(page.follows(cursor));
                    hashes.extend(page.entries.iter().map(|(_, entry)| entry.hash()));
                    cursor = page.next;
                }
                hashes
            }
        };
        let followers: Vec<_> =
            readers.into_iter().map(|reader| scope.spawn(follow(reader))).collect();
        for number in 0..COMMITS {
            let notes = (0..=number % 5).map(|n| text(&format!("{number} {n}"), NOW)).collect();
            commit(&mut store, notes).unwrap();
        }
        followers.into_iter().map(|follower| follower.join().unwrap()).collect()
    });

    let all: Vec<_> = feed(&mut *store.reader().unwrap()).iter().map(Entry::hash).collect();
    assert_eq!(all.len(), total);
    for hashes in followed {
        assert_eq!(hashes, all);
    }
}

#[test]
fn two_writers_with_one_server_file_agree_on_positions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("server.db");
    let (mut one, mut two) = (server(&path), server(&path));
    for number in 0..10 {
        written(&mut one, text(&format!("one {number}"), NOW)).unwrap();
        written(&mut two, text(&format!("two {number}"), NOW)).unwrap();
    }
    let mut reader = one.reader().unwrap();
    check(&mut *reader, &BTreeSet::new());
    assert_eq!(reader.version(HERE).unwrap(), 20);
    assert_eq!(reader.heads(HERE).unwrap().len(), 2, "each opening has a chain of its own");
}
