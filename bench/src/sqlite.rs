//! The database alone: the same rows into the same tables, in batches, with nothing around it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use suibi_journal::{Entry, Query};
use suibi_store::{JournalId, OwnChain, SqliteOptions, SqliteStore, Store as _, Write};

use crate::feed::{self, Chain};
use crate::{Failure, cpu};

/// How many notes one turn inserts, at least.
const NOTES: u32 = 32_768;

/// What the database alone came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inserted {
    pub(crate) notes: u64,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

/// Opens the store as the server does.
pub(crate) fn open(data: &Path) -> Result<SqliteStore, Failure> {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "bench".into() };
    Ok(SqliteStore::open(&data.join("server.db"), options)?)
}

/// Asks the store in `data` whether exactly the notes with these numbers are there, each once.
pub(crate) fn verify(
    data: &Path,
    acknowledged: impl IntoIterator<Item = u32>,
) -> Result<(), Failure> {
    let mut missing: BTreeSet<u32> = acknowledged.into_iter().collect();
    for note in open(data)?.reader()?.notes(JournalId::FIRST, &Query::default())? {
        let number = feed::number_of(&note.text).ok_or("a note that nobody wrote")?;
        if !missing.remove(&number) {
            return Err(format!("note {number} is there twice, or was not acknowledged").into());
        }
    }
    match missing.first() {
        Some(number) => Err(format!("note {number} was acknowledged and is not there").into()),
        None => Ok(()),
    }
}

/// All of these in one write, as a device brings them.
fn push(entries: Vec<Entry>) -> Write {
    Write::Push { device: "bench".into(), entries, only_new: false, may_purge: true }
}

/// Our store alone, without a network: `batch` notes a commit, for `turn`.
pub(crate) fn store(data: &Path, batch: usize, turn: Duration) -> Result<Inserted, Failure> {
    let mut store = open(data)?;
    let mut chain = Chain::new(0);
    let mut inserted = Inserted { notes: 0, wall: Duration::ZERO, cpu: Duration::ZERO };
    let mut number = 0;
    while inserted.wall < turn {
        let entries: Vec<Entry> = (0..batch)
            .map(|_| {
                number += 1;
                chain.next(number - 1)
            })
            .collect();
        let write = vec![(JournalId::FIRST, push(entries))];
        let (start, cpu_before) = (Instant::now(), cpu::of_this_thread()?);
        store.commit(write)?;
        inserted.cpu += cpu::of_this_thread()? - cpu_before;
        inserted.wall += start.elapsed();
        inserted.notes += batch as u64;
    }
    drop(store);
    verify(data, 0..number)?;
    Ok(inserted)
}

/// SQLite alone: what our store wrote is read back, and its rows go into an empty file of the same
/// schema and with the same settings.
///
/// Only the tables with a row for each note are filled; the handful of rows that a batch touches
/// besides are left out, in favour of the limit.
pub(crate) fn alone(data: &Path, batch: usize, turn: Duration) -> Result<Inserted, Failure> {
    let (from, to) = (data.join("from"), data.join("to"));
    let mut store = open(&from)?;
    let mut chain = Chain::new(0);
    let entries = (0..NOTES).map(|number| chain.next(number)).collect();
    store.commit(vec![(JournalId::FIRST, push(entries))])?;
    drop(store);
    let tables = Table::read_all(&from.join("server.db"), NOTES)?;
    let mut inserted = Inserted { notes: 0, wall: Duration::ZERO, cpu: Duration::ZERO };
    while inserted.wall < turn {
        let (wall, cpu) = insert(&tables, &to, NOTES, batch)?;
        inserted.cpu += cpu;
        inserted.wall += wall;
        inserted.notes += u64::from(NOTES);
    }
    Ok(inserted)
}

/// SQLite alone with the rows of a database that somebody else wrote, once: `notes` of them, `batch` a commit.
pub(crate) fn again(from: &Path, to: &Path, notes: u32, batch: usize) -> Result<Inserted, Failure> {
    let (wall, cpu) = insert(&Table::read_all(from, notes)?, to, notes, batch)?;
    Ok(Inserted { notes: notes.into(), wall, cpu })
}

fn insert(
    tables: &[Table],
    to: &Path,
    notes: u32,
    batch: usize,
) -> Result<(Duration, Duration), Failure> {
    drop(open(to)?);
    let mut target = Connection::open(to.join("server.db"))?;
    target.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;",
    )?;
    let (start, cpu_before) = (Instant::now(), cpu::of_this_thread()?);
    for first in (0..notes as usize).step_by(batch) {
        let transaction = target.transaction()?;
        for table in tables {
            let mut insert = transaction.prepare_cached(&table.insert)?;
            for row in table.rows.iter().skip(first).take(batch) {
                insert.execute(params_from_iter(row))?;
            }
        }
        transaction.commit()?;
    }
    // What stands in the log is brought to the file, as it is under a server that goes on: these rows just fit into a
    // log, which would otherwise be all that is written.
    drop(target);
    let took = (start.elapsed(), cpu::of_this_thread()? - cpu_before);
    std::fs::remove_dir_all(to)?;
    Ok(took)
}

/// A table with a row for each note.
struct Table {
    insert: String,
    rows: Vec<Vec<Value>>,
}

impl Table {
    fn read_all(database: &Path, notes: u32) -> Result<Vec<Self>, Failure> {
        let source = Connection::open(database)?;
        let mut names = source.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
        let names: Vec<String> =
            names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut tables = Vec::new();
        for name in names {
            let mut select = source.prepare(&format!("SELECT * FROM \"{name}\""))?;
            let columns = select.column_count();
            let rows: Vec<Vec<Value>> = select
                .query_map([], |row| (0..columns).map(|column| row.get(column)).collect())?
                .collect::<Result<_, _>>()?;
            if rows.len() == notes as usize {
                let places = vec!["?"; columns].join(", ");
                tables.push(Self {
                    insert: format!("INSERT INTO \"{name}\" VALUES ({places})"),
                    rows,
                });
            }
        }
        if tables.is_empty() {
            return Err("no table has a row for each note".into());
        }
        Ok(tables)
    }
}
