//! New rows of a commit wait for each other: nothing may show it.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rusqlite::Connection;
use rusqlite::types::Value;
use suibi_journal::{Body, Hash};
use suibi_store::{AccessChange, JournalId, Store, Write};

use crate::server;
use crate::support::{Device, id};

const INSTANTS: [&str; 3] = [
    "2026-11-23T09:05:00.000+08:00",
    "2026-11-23T09:05:00.001+08:00",
    "2026-11-22T23:59:59.999+08:00",
];

/// Pushes of one to six changes: new notes, of which many have the same instant and some the id of another, edits,
/// deletions and purges, to two journals by turns.
fn pushes(seed: u64) -> Vec<(JournalId, Write)> {
    let mut random = StdRng::seed_from_u64(seed);
    // Those of the second journal have their own chains.
    let mut devices = [["a", "b"], ["c", "d"]].map(|names| names.map(Device::new));
    let mut last: Vec<(usize, u32, Hash)> = Vec::new();
    let mut purges = 0;
    let mut push = || {
        let journal = random.random_range(0..2);
        let device = &mut devices[journal][random.random_range(0..2)];
        let mut entries = Vec::new();
        for _ in 0..random.random_range(1..=6) {
            let known: Vec<_> = last.iter().filter(|known| known.0 == journal).copied().collect();
            let what = random.random_range(0..24);
            let body = Body::Text(format!("text {}", random.random::<u32>()));
            if what < 3 && !known.is_empty() {
                let (_, number, parent) = known[random.random_range(0..known.len())];
                let body = if what == 0 { Body::Deleted } else { body };
                entries.push(device.change(id(number), &[parent], time(number), body));
                continue;
            }
            let number = match (what, known.last()) {
                (3 | 4, Some((_, number, _))) => *number,
                _ => random.random_range(0..10_000),
            };
            let entry = device.change(id(number), &[], time(number), body);
            last.push((journal, number, entry.hash()));
            entries.push(entry);
        }
        (journal, device.push(&entries))
    };
    let mut writes: Vec<_> = (0..60).map(|_| push()).collect();
    for journal in 0..2 {
        let Some((_, number, _)) = last.iter().find(|known| known.0 == journal) else { continue };
        purges += 1;
        let mut device = Device::new(["purge a", "purge b"][journal]);
        let purge = device.change(id(*number), &[], time(*number), Body::Purged);
        let (device, entries) = (device.name.to_owned(), vec![purge]);
        let push = Write::Push { device, entries, only_new: false, may_purge: true };
        writes.insert(purges * 25, (journal, push));
    }
    writes.into_iter().map(|(journal, write)| (JournalId(journal as u32 + 1), write)).collect()
}

/// A note keeps its time: one that got another would leave its place free, for whoever comes first.
fn time(number: u32) -> &'static str {
    INSTANTS[number as usize % INSTANTS.len()]
}

/// Every row of the tables that a batch writes.
fn rows(path: &Path) -> Vec<Vec<Value>> {
    let conn = Connection::open(path).unwrap();
    let mut all = Vec::new();
    for table in ["changes", "feeds", "chains", "notes", "edits", "moved", "days"] {
        let mut statement = conn.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| (0..columns).map(|column| row.get(column)).collect())
            .unwrap();
        all.extend(rows.map(Result::unwrap));
    }
    all
}

#[test]
fn one_commit_writes_what_many_would_have_written() {
    for seed in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let mut random = StdRng::seed_from_u64(seed);
        let paths = ["one.db", "many.db"].map(|name| dir.path().join(name));
        let writes = pushes(seed);
        let mut outcomes = Vec::new();
        for (path, most) in paths.iter().zip([writes.len(), 5]) {
            let mut store = server(path);
            let name = "work".to_owned();
            store.change_access(&AccessChange::AddJournal { name }, None).unwrap().unwrap();
            let (mut rest, mut done) = (&writes[..], Vec::new());
            while !rest.is_empty() {
                let (now, after) = rest.split_at(rest.len().min(most));
                done.extend(store.commit(now.to_vec()).unwrap());
                rest = after;
                if random.random_bool(0.3) {
                    store = server(path);
                }
            }
            outcomes.push(done);
        }
        assert_eq!(outcomes[0], outcomes[1], "seed {seed}");
        let (one, many) = (rows(&paths[0]), rows(&paths[1]));
        assert_eq!(one.len(), many.len(), "seed {seed}");
        for (one, many) in one.iter().zip(&many) {
            assert_eq!(one, many, "seed {seed}");
        }
    }
}
