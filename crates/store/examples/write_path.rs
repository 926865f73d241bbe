//! What a commit costs, apart from all else: the same notes inserted by SQLite alone, pushed by devices and
//! written by a server, in turns. For comparisons and for profilers.
//!
//! `cargo run --release -p suibi-store --example write_path [NOTES] [BATCH] [ROUNDS] [bare|pushed|written]`
//!
//! Prints the median of the CPU time a note. Notes are made before the clock runs.

use std::error::Error;
use std::fs;
use std::hint::black_box;
use std::path::Path;

use rusqlite::{Connection, params};
use suibi_journal::{
    Body, ChainId, Change, Content, Entry, Extra, Extras, Hash, NoteId, NoteTime, extra,
};
use suibi_store::{Expect, JournalId, OwnChain, SqliteOptions, SqliteStore, Store, Write};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const HERE: JournalId = JournalId::FIRST;
const START: i64 = 1_700_000_000_000;
/// Devices that push by turns, four changes at a time.
const DEVICES: usize = 64;
const EACH: usize = 4;

fn main() -> Result {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| {
        arguments.get(at).map_or(Ok(default), |text| text.parse::<usize>())
    };
    let (notes, batch, rounds) = (number(0, 20_480)?, number(1, 256)?, number(2, 5)?);
    let entries = entries(notes)?;
    let kinds = ["bare", "pushed", "written"];
    let wanted = |kind: &&str| arguments.get(3).is_none_or(|only| only == kind);
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        for (kind, times) in kinds.iter().zip(&mut times).filter(|(kind, _)| wanted(kind)) {
            let dir = tempfile::tempdir()?;
            let spent = match *kind {
                "bare" => bare(dir.path(), &entries, batch)?,
                "pushed" => push(dir.path(), &entries, batch)?,
                _ => write(dir.path(), notes, batch)?,
            };
            times.push(spent / notes as f64 * 1e6);
        }
    }
    for (kind, times) in kinds.iter().zip(&mut times).filter(|(_, times)| !times.is_empty()) {
        times.sort_by(f64::total_cmp);
        println!("{kind:8} {:6.2} us of CPU a note, {batch} a commit", times[times.len() / 2]);
    }
    Ok(())
}

/// The changes of all devices, each a new note, in the order in which they are pushed.
fn entries(count: usize) -> Result<Vec<Entry>> {
    let mut ends = vec![(0, None); DEVICES];
    let mut entries = Vec::with_capacity(count);
    for number in 0..count {
        let device = number / EACH % DEVICES;
        let (seq, previous) = &mut ends[device];
        *seq += 1;
        let time = NoteTime::new(START + number as i64, 480)?;
        let mut random = [0; 10];
        random[..8]
            .copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let change = Change {
            chain: ChainId::from_bytes([device as u8; 16]),
            seq: *seq,
            previous: *previous,
            note: NoteId::new(time.millis(), random),
            parents: Vec::new(),
            time,
            content: Hash::ZERO,
        };
        let content =
            Content { salt: [9; 16], body: Body::Text(text(number)), extras: Extras::new() };
        let entry = Entry::new(change, content);
        *previous = Some(entry.hash());
        entries.push(entry);
    }
    Ok(entries)
}

/// 64 bytes or so.
fn text(number: usize) -> String {
    format!("note {number:08}: bread and milk 买面包和牛奶, then home #shop")
}

/// The same rows, with no thought.
fn bare(dir: &Path, entries: &[Entry], batch: usize) -> Result<f64> {
    let path = dir.join("server.db");
    drop(open(dir)?);
    let mut conn = Connection::open(&path)?;
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000;",
    )?;
    let start = cpu()?;
    for (round, entries) in entries.chunks(batch).enumerate() {
        let tx = conn.transaction()?;
        let position = |number: usize| (round * batch + number + 1) as i64;
        let mut insert =
            tx.prepare_cached("INSERT INTO changes VALUES (?1, 1, ?1, ?2, ?3, ?4, ?4, ?5, ?6)")?;
        for (number, entry) in entries.iter().enumerate() {
            insert.execute(params![
                position(number),
                position(number) % 64,
                entry.change().seq,
                entry.hash().as_bytes(),
                entry.change_bytes(),
                entry.content_bytes()
            ])?;
        }
        drop(insert);
        let mut insert = tx.prepare_cached(
            "INSERT INTO notes VALUES (?1, ?2, 1, ?3, 480, 0, 1, NULL, ?4, ?4, ?4)",
        )?;
        for (number, entry) in entries.iter().enumerate() {
            insert.execute(params![
                entry.change().time.millis() << 13,
                entry.change().note.as_bytes(),
                entry.change().time.millis(),
                position(number)
            ])?;
        }
        drop(insert);
        tx.commit()?;
    }
    Ok(cpu()? - start)
}

fn open(dir: &Path) -> Result<SqliteStore> {
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
    Ok(SqliteStore::open(&dir.join("server.db"), options)?)
}

fn push(dir: &Path, entries: &[Entry], batch: usize) -> Result<f64> {
    let mut store = open(dir)?;
    let commits = entries.chunks(batch).map(|entries| {
        let push = |entries: &[Entry]| {
            let device = format!("phone {}", entries[0].change().chain);
            let entries = entries.to_vec();
            (HERE, Write::Push { device, entries, only_new: false, may_purge: true })
        };
        entries.chunks(EACH).map(push).collect()
    });
    commit(&mut store, commits.collect())
}

fn write(dir: &Path, count: usize, batch: usize) -> Result<f64> {
    let mut store = open(dir)?;
    let numbers: Vec<_> = (0..count).collect();
    let commits = numbers.chunks(batch).map(|numbers| {
        let write = |number: &usize| {
            let source = Extra::Text("192.168.1.23".to_owned());
            let note = Write::Note {
                id: None,
                expect: Expect::Any,
                body: Body::Text(text(*number)),
                time: None,
                extras: Extras::from([(extra::SOURCE.to_owned(), source)]),
                // Some notes of the same millisecond, as under load.
                now: NoteTime::new(START + *number as i64 / 16, 480)?,
            };
            Ok((HERE, note))
        };
        numbers.iter().map(write).collect()
    });
    commit(&mut store, commits.collect::<Result<_>>()?)
}

fn commit(store: &mut SqliteStore, commits: Vec<Vec<(JournalId, Write)>>) -> Result<f64> {
    let start = cpu()?;
    for writes in commits {
        black_box(store.commit(writes)?);
    }
    Ok(cpu()? - start)
}

/// CPU time of this thread, seconds: the first number of `/proc/thread-self/schedstat`.
fn cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: f64 = stat.split_whitespace().next().ok_or("no schedstat")?.parse()?;
    Ok(nanos / 1e9)
}
