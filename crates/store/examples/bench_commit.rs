//! How much a store adds to what SQLite alone needs for the same rows, and how fast it reads.
//!
//! `cargo run --release -p suibi-store --example bench_commit [NOTES] [BATCH]`
//!
//! CPU time of this process is what counts; the clock on the wall also knows the disk.

use std::error::Error;
use std::fs;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};
use suibi_journal::{
    Body, ChainId, Change, Content, Cursor, Entry, Extras, Hash, NoteId, NoteTime, Query,
};
use suibi_store::backup::{self, About, Role};
use suibi_store::verify::verify;
use suibi_store::{Expect, JournalId, OwnChain, SqliteOptions, SqliteStore, Store, Write};

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

const HERE: JournalId = JournalId::FIRST;
const START: i64 = 1_700_000_000_000;
/// Three years for a million notes.
const STEP: i64 = 94_600;
const WORDS: [&str; 8] =
    ["coffee with Anna", "买牛奶", "今天很冷", "release", "@shop bread", "#idea 手机", "run", "雨"];

fn main() -> Result {
    let mut arguments = std::env::args().skip(1);
    let mut argument = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let (notes, batch): (usize, usize) = (argument(20_000)?, argument(256)?);
    let dir = tempfile::tempdir()?;
    println!("{notes} notes, {batch} a commit");

    let entries = entries(notes)?;
    let bare = measure("bare inserts", notes, || bare(dir.path(), &entries, batch))?;
    let pushed = measure("pushed to a server", notes, || push(dir.path(), &entries, batch))?;
    let own = measure("written by a server", notes, || write(dir.path(), notes, batch))?;
    println!("bare / pushed {:.2}, bare / written {:.2}", bare / pushed, bare / own);

    measure("taken by a replica", notes, || pull(dir.path()))?;
    for name in ["pushed.db", "replica.db"] {
        measure(&format!("verified, {name}"), notes, || verified(&dir.path().join(name)))?;
    }
    measure("backed up", notes, || back_up(dir.path()))?;
    read(dir.path(), notes)
}

/// One chain, one note each.
fn entries(count: usize) -> Result<Vec<Entry>> {
    let mut previous = None;
    let mut entries = Vec::with_capacity(count);
    for number in 0..count {
        let time = NoteTime::new(START + STEP * number as i64, 480)?;
        let mut random = [0; 10];
        random[..8]
            .copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let change = Change {
            chain: ChainId::from_bytes([7; 16]),
            seq: number as u64 + 1,
            previous,
            note: NoteId::new(time.millis(), random),
            parents: Vec::new(),
            time,
            content: Hash::ZERO,
        };
        let body = Body::Text(text(number));
        let content = Content { salt: [9; 16], body, extras: Extras::new() };
        let entry = Entry::new(change, content);
        previous = Some(entry.hash());
        entries.push(entry);
    }
    Ok(entries)
}

/// About 300 bytes; `rare` is in one of a thousand.
fn text(number: usize) -> String {
    let mut text = format!("note {number}");
    for step in 0..16 {
        text.push(' ');
        text.push_str(WORDS[(number * 31 + step * 7 + number / 5) % WORDS.len()]);
    }
    if number % 1000 == 7 {
        text.push_str(" rare");
    }
    text
}

/// The same rows, with no thought.
fn bare(dir: &std::path::Path, entries: &[Entry], batch: usize) -> Result {
    let conn = Connection::open(dir.join("bare.db"))?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;")?;
    conn.execute_batch(include_str!("../migrations/sqlite/0001.sql"))?;
    for (round, entries) in entries.chunks(batch).enumerate() {
        conn.execute_batch("BEGIN IMMEDIATE")?;
        for (number, entry) in entries.iter().enumerate() {
            let position = (round * batch + number + 1) as i64;
            conn.prepare_cached("INSERT INTO changes VALUES (?1, 1, ?1, 1, ?1, ?2, ?2, ?3, ?4)")?
                .execute(params![
                position,
                entry.hash().as_bytes(),
                entry.change_bytes(),
                entry.content_bytes()
            ])?;
            conn.prepare_cached(
                "INSERT INTO notes VALUES (?1, ?2, 1, ?3, 480, 0, 1, NULL, ?4, ?4, ?4)",
            )?
            .execute(params![
                entry.change().time.millis() << 13,
                entry.change().note.as_bytes(),
                entry.change().time.millis(),
                position
            ])?;
        }
        conn.execute_batch("COMMIT")?;
    }
    Ok(())
}

fn open(dir: &std::path::Path, name: &str, own_chain: OwnChain) -> Result<SqliteStore> {
    let options = SqliteOptions { own_chain, device: "bench".to_owned() };
    Ok(SqliteStore::open(&dir.join(name), options)?)
}

fn push(dir: &std::path::Path, entries: &[Entry], batch: usize) -> Result {
    let mut store = open(dir, "pushed.db", OwnChain::Fresh)?;
    for entries in entries.chunks(batch) {
        // One write a note, as from many clients at once.
        let push = |entry: &Entry| {
            let (device, entries) = ("phone".to_owned(), vec![entry.clone()]);
            (HERE, Write::Push { device, entries, only_new: false, may_purge: true })
        };
        store.commit(entries.iter().map(push).collect())?;
    }
    Ok(())
}

fn write(dir: &std::path::Path, count: usize, batch: usize) -> Result {
    let mut store = open(dir, "written.db", OwnChain::Fresh)?;
    let numbers: Vec<_> = (0..count).collect();
    for numbers in numbers.chunks(batch) {
        let writes: Result<Vec<_>> = numbers
            .iter()
            .map(|number| {
                Ok(Write::Note {
                    id: None,
                    expect: Expect::Any,
                    body: Body::Text(text(*number)),
                    time: None,
                    extras: Extras::new(),
                    now: NoteTime::new(START + STEP * *number as i64, 480)?,
                })
            })
            .collect();
        store.commit(writes?.into_iter().map(|write| (HERE, write)).collect())?;
    }
    Ok(())
}

fn pull(dir: &std::path::Path) -> Result {
    let mut replica = open(dir, "replica.db", OwnChain::Kept)?;
    let mut server = open(dir, "pushed.db", OwnChain::Fresh)?.reader()?;
    let mut cursor = Cursor::START;
    loop {
        let page = server.feed(HERE, cursor, 60_000)??;
        replica.apply_page(cursor, &page)?;
        cursor = page.next;
        if page.remaining == 0 {
            return Ok(());
        }
    }
}

fn verified(path: &std::path::Path) -> Result {
    let found = verify(path, None, &mut |_, _| {})?;
    if found.is_clean() { Ok(()) } else { Err(found.problems[0].to_string().into()) }
}

fn back_up(dir: &std::path::Path) -> Result {
    let about = About {
        role: Role::Server,
        made: START,
        program: String::new(),
        file: "pushed.db".to_owned(),
        membership: None,
    };
    Ok(backup::create(&dir.join("pushed.db"), &dir.join("backup"), about)?)
}

fn read(dir: &std::path::Path, notes: usize) -> Result {
    let mut reader = open(dir, "pushed.db", OwnChain::Fresh)?.reader()?;
    measure("indexed", notes, || {
        while reader.catch_up(10_000)? > 0 {}
        Ok(())
    })?;
    let text =
        |text: &str| Query { text: Some(text.to_owned()), limit: Some(20), ..Query::default() };
    let day = NoteTime::new(START + STEP * notes as i64 / 2, 480)?.day();
    let queries = [
        ("latest 50", Query { limit: Some(50), ..Query::default() }),
        ("a day", Query::on(day)),
        ("a common word", text("coffee")),
        ("a rare word", text("rare")),
        ("two Chinese characters", text("很冷")),
        ("two common words", text("coffee anna")),
        ("a prefix", text("rel*")),
        ("a tag", Query { tags: vec!["shop".to_owned()], limit: Some(20), ..Query::default() }),
        ("a device", Query { from: Some("phone".to_owned()), limit: Some(20), ..Query::default() }),
    ];
    for (name, query) in queries {
        let mut times: Vec<Duration> = Vec::new();
        let mut found = 0;
        for _ in 0..9 {
            let start = Instant::now();
            found = reader.notes(HERE, &query)?.len();
            times.push(start.elapsed());
        }
        times.sort();
        println!("{name:24} {found:4} notes {:9.3} ms", times[4].as_secs_f64() * 1e3);
    }
    let start = Instant::now();
    let tags = reader.tags(HERE)?.len();
    println!("{tags} tags {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let days = reader.days(HERE)?.len();
    println!("{days} days {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    for name in ["bare.db", "pushed.db", "pushed-index.db"] {
        let len = fs::metadata(dir.join(name))?.len();
        println!("{name:24} {:6} bytes a note", len / notes as u64);
    }
    Ok(())
}

/// Microseconds of CPU a note.
fn measure(name: &str, notes: usize, work: impl FnOnce() -> Result) -> Result<f64> {
    let (start, cpu_start) = (Instant::now(), cpu()?);
    work()?;
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu()? - cpu_start);
    let per_note = cpu / notes as f64 * 1e6;
    println!(
        "{name:24} {per_note:7.2} us of CPU a note, {:9.0} notes a second",
        notes as f64 / wall
    );
    Ok(per_note)
}

/// CPU time of this thread, seconds: the first number of `/proc/thread-self/schedstat`.
fn cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: f64 = stat.split_whitespace().next().ok_or("no schedstat")?.parse()?;
    Ok(nanos / 1e9)
}
