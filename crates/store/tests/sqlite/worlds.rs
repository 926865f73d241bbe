//! Replicas that are copied, put back and cut off, and a server that is put back: whatever is still
//! anywhere is everywhere in the end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;
use suibi_journal::{Body, Cursor, Hash, NoteId, Query, Refusal};
use suibi_store::verify::verify;
use suibi_store::{Expect, SqliteStore, Store, Write};

use crate::support::{Device, HERE, at, commit, pushed};
use crate::{replica, server};

const NOW: &str = "2026-11-23T09:05:00.000+08:00";
const REPLICAS: usize = 3;

struct World {
    dir: tempfile::TempDir,
    random: StdRng,
    written: u32,
    forks: u64,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.db"))
    }

    fn server(&self) -> SqliteStore {
        server(&self.path("server"))
    }

    fn replica(&self, number: usize) -> SqliteStore {
        replica(&self.path(&format!("replica-{number}")))
    }

    /// One thing that happens.
    fn step(&mut self) {
        let number = self.random.random_range(0..REPLICAS);
        let name = format!("replica-{number}");
        match self.random.random_range(0..20) {
            0..7 => self.write(number),
            7..10 => self.push(number, true),
            10..12 => self.pull(number, 1400),
            12..14 => copy(&self.path(&name), &self.path(&format!("{name}-kept"))),
            14..17 => {
                let kept = self.random.random_range(0..REPLICAS);
                self.put_back(&format!("replica-{kept}-kept"), &name);
            }
            17 => copy(&self.path("server"), &self.path("server-kept")),
            18 => self.put_back("server-kept", "server"),
            _ => {
                self.replica(number).reader().unwrap().catch_up(5).unwrap();
            }
        }
    }

    fn write(&mut self, number: usize) {
        let mut store = self.replica(number);
        let notes = store.reader().unwrap().notes(HERE, &Query::default()).unwrap();
        self.written += 1;
        let text = format!("line {} of note\nby {number}", self.written);
        let (id, body) = match self.random.random_range(0..5) {
            0..3 if !notes.is_empty() => {
                (Some(notes[self.random.random_range(0..notes.len())].id), Body::Text(text))
            }
            3 if !notes.is_empty() => {
                (Some(notes[self.random.random_range(0..notes.len())].id), Body::Deleted)
            }
            _ => (None, Body::Text(text)),
        };
        let day = 1 + self.random.random_range(0..28);
        let time = (self.random.random_range(0..3) == 0)
            .then(|| at(&format!("2026-11-{day:02}T09:05:00.000+08:00")));
        let expect = Expect::Any;
        let write =
            Write::Note { id, expect, body, time, extras: Default::default(), now: at(NOW) };
        commit(&mut store, vec![write]).unwrap();
    }

    /// A part of the outbox, or all; the answer may be lost.
    fn push(&mut self, number: usize, in_part: bool) {
        let mut store = self.replica(number);
        let max_bytes = if in_part { self.random.random_range(0..2000) } else { usize::MAX };
        let entries = store.outbox(max_bytes).unwrap();
        let answers = pushed(&mut self.server(), Device::new("laptop").push(&entries));
        if !in_part || self.random.random_range(0..4) > 0 {
            let receipts: Vec<_> = answers.iter().flatten().copied().collect();
            store.apply_receipts(&receipts).unwrap();
        }
        self.forks +=
            answers.iter().filter(|answer| matches!(answer, Err(Refusal::Fork { .. }))).count()
                as u64;
    }

    fn pull(&mut self, number: usize, max_bytes: usize) {
        let mut store = self.replica(number);
        let cursor = store.cursor().unwrap();
        let page = self.server().reader().unwrap().feed(HERE, cursor, max_bytes).unwrap();
        match page {
            Ok(page) => {
                store.apply_page(cursor, &page).unwrap();
            }
            // The client asks with the next step again.
            Err(_) => store.reset_cursor().unwrap(),
        }
    }

    fn put_back(&self, kept: &str, name: &str) {
        if self.path(kept).exists() {
            copy(&self.path(kept), &self.path(name));
        }
    }

    /// Everything is exchanged until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..20 {
            let mut has_more = false;
            for number in 0..REPLICAS {
                // A server that was put back lacks what has receipts.
                let heads = self.server().reader().unwrap().heads(HERE).unwrap();
                let mut store = self.replica(number);
                for ours in store.reader().unwrap().heads(HERE).unwrap() {
                    let theirs = heads.iter().find(|theirs| theirs.chain == ours.chain);
                    store.requeue_after(ours.chain, theirs.map_or(0, |theirs| theirs.seq)).unwrap();
                }
                has_more |= store.waiting().unwrap() > 0;
                drop(store);
                self.push(number, false);
                loop {
                    let before = self.replica(number).cursor().unwrap();
                    self.pull(number, 20_000);
                    if self.replica(number).cursor().unwrap() == before {
                        break;
                    }
                    has_more = true;
                }
            }
            if !has_more {
                return;
            }
        }
    }

    /// What is anywhere: note and content.
    fn contents(&self) -> BTreeSet<(NoteId, Hash)> {
        let mut all = contents(&self.server());
        for number in 0..REPLICAS {
            all.extend(contents(&self.replica(number)));
        }
        all
    }
}

/// One state of a store under another name.
fn copy(from: &Path, to: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", to.display()));
    }
    Connection::open(from).unwrap().execute("VACUUM INTO ?1", [to.to_str().unwrap()]).unwrap();
}

fn contents(store: &SqliteStore) -> BTreeSet<(NoteId, Hash)> {
    let page = store.reader().unwrap().feed(HERE, Cursor::START, usize::MAX).unwrap().unwrap();
    page.entries.iter().map(|(_, entry)| (entry.change().note, entry.change().content)).collect()
}

fn notes(store: &SqliteStore) -> Vec<(NoteId, String, Vec<Hash>, bool, bool)> {
    let notes = store.reader().unwrap().notes(HERE, &Query::default()).unwrap();
    let mut notes: Vec<_> = notes
        .into_iter()
        .map(|note| (note.id, note.text, note.heads, note.conflict, note.waiting))
        .collect();
    notes.sort();
    notes
}

#[test]
fn whatever_is_still_anywhere_is_everywhere_in_the_end() {
    let (mut forks, mut rescued) = (0, 0);
    for seed in 0..16 {
        let random = StdRng::seed_from_u64(seed * 7919 + 1);
        let mut world = World { dir: tempfile::tempdir().unwrap(), random, written: 0, forks: 0 };
        drop(world.server());
        for _ in 0..50 {
            world.step();
        }
        let before = world.contents();

        world.settle();

        let server = world.server();
        let there = contents(&server);
        let lost: Vec<_> = before.difference(&there).collect();
        assert!(lost.is_empty(), "seed {seed}: {lost:?}");
        let found = verify(&world.path("server"), None, &mut |_, _| {}).unwrap();
        assert_eq!(found.problems, [], "seed {seed}");
        for number in 0..REPLICAS {
            let mut store = world.replica(number);
            assert_eq!(store.waiting().unwrap(), 0, "seed {seed}, replica {number}");
            assert_eq!(notes(&store), notes(&server), "seed {seed}, replica {number}");
            assert_eq!(contents(&store), there, "seed {seed}, replica {number}");
            let path = world.path(&format!("replica-{number}"));
            let found = verify(&path, None, &mut |_, _| {}).unwrap();
            assert_eq!(found.problems, [], "seed {seed}, replica {number}");
            rescued += store.reader().unwrap().audit(1000).unwrap().len();
        }
        forks += world.forks;
    }
    assert!(
        forks > 9 && rescued > 4,
        "{forks} changes refused as forks, {rescued} branches rescued"
    );
}
