//! That a question costs the same in a small journal and in a large one: counted, never timed.

use rusqlite::{Connection, ffi};
use suibi_journal::{
    Body, ChainId, Change, Content, Cursor, Entry, Extras, Hash, NoteId, NoteName, NoteTime, Query,
};

use super::{OwnChain, SqliteOptions, SqliteReader, SqliteStore};
use crate::{Expect, JournalId, Reader, Store, StoreError, Write};

const HERE: JournalId = JournalId::FIRST;
const SMALL: u32 = 1_000;
const LARGE: u32 = 16_000;
const PER_DAY: u32 = 20;

/// What was done for a question.
#[derive(Debug, Default, Clone, Copy)]
struct Work {
    /// Of the machine that runs SQL.
    steps: i64,
    /// From a row to the next because no index fits.
    scanned: i64,
    /// Looked at, in the cache or on the disk; also by FTS5, which needs few steps.
    pages: i64,
}

impl Work {
    /// What a connection has done since the last time.
    #[expect(unsafe_code, reason = "rusqlite has no count of pages, nor the statements of FTS5")]
    fn of(conn: &Connection) -> Self {
        let mut work = Self::default();
        // SAFETY: the connection is open, and statements of it are asked while nobody else uses it. Each place that is
        // written to is one.
        unsafe {
            let db = conn.handle();
            let mut statement = ffi::sqlite3_next_stmt(db, std::ptr::null_mut());
            while !statement.is_null() {
                let count = |what| i64::from(ffi::sqlite3_stmt_status(statement, what, 1));
                work.steps += count(ffi::SQLITE_STMTSTATUS_VM_STEP);
                work.scanned += count(ffi::SQLITE_STMTSTATUS_FULLSCAN_STEP);
                statement = ffi::sqlite3_next_stmt(db, statement);
            }
            for what in [ffi::SQLITE_DBSTATUS_CACHE_HIT, ffi::SQLITE_DBSTATUS_CACHE_MISS] {
                let (mut pages, mut highest) = (0, 0);
                assert_eq!(ffi::sqlite3_db_status(db, what, &mut pages, &mut highest, 1), 0);
                work.pages += i64::from(pages);
            }
        }
        work
    }
}

/// A journal and one who reads it.
struct Journal {
    notes: u32,
    _dir: tempfile::TempDir,
    store: SqliteStore,
    reader: SqliteReader,
}

fn time(number: u32) -> NoteTime {
    let (day, in_day) = (i64::from(number / PER_DAY), i64::from(number % PER_DAY));
    NoteTime::new(946_684_800_000 + day * 86_400_000 + in_day * 3_600_000, 0).unwrap()
}

/// The same journal, so many notes long: some words are in all of it, others in five notes.
fn text(number: u32, notes: u32) -> String {
    let mut text = format!("the note w{} 的一天 tea{}", number % 300, number % 7);
    if number % (notes / 5) == 7 {
        text += " axolotl 長城";
    }
    if number.is_multiple_of(3) {
        text += " #work";
    }
    if number % (notes / 5) == 9 {
        text += " #heirloom";
    }
    // All but five.
    text += if number % (notes / 5) == 9 { " #home/some" } else { " #home/all" };
    text
}

impl Journal {
    fn new(notes: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.db");
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".into() };
        let mut store = SqliteStore::open(&path, options).unwrap();
        let mut chains = [1_u8, 2].map(|id| (ChainId::from_bytes([id; 16]), 0, None));
        let mut writes: Vec<(JournalId, Write)> = Vec::new();
        for number in 0..notes {
            // The second one wrote the first notes, and then no more.
            let device = usize::from(number < 10);
            let (chain, seq, previous) = &mut chains[device];
            *seq += 1;
            let mut random = [0; 10];
            random[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
            let change = Change {
                chain: *chain,
                seq: *seq,
                previous: *previous,
                note: NoteId::new(time(number).millis(), random),
                parents: Vec::new(),
                time: time(number),
                content: Hash::ZERO,
            };
            let body = Body::Text(text(number, notes));
            let entry = Entry::new(change, Content { salt: [0; 16], body, extras: Extras::new() });
            *previous = Some(entry.hash());
            let device = ["phone", "old phone"][device].to_owned();
            let entries = vec![entry];
            let push = Write::Push { device, entries, only_new: false, may_purge: false };
            writes.push((HERE, push));
            if writes.len() == 1_000 {
                store.commit(std::mem::take(&mut writes)).unwrap();
            }
        }
        store.commit(writes).unwrap();
        let mut reader = SqliteReader::new(&path, OwnChain::Fresh);
        assert_eq!(reader.catch_up(usize::MAX).unwrap(), 0);
        assert_eq!(reader.count(HERE).unwrap(), u64::from(notes));
        Self { notes, _dir: dir, store, reader }
    }

    /// What a question costs that was asked before.
    fn work(
        &mut self,
        mut ask: impl FnMut(&mut SqliteReader, u32) -> Result<usize, StoreError>,
    ) -> (usize, Work) {
        ask(&mut self.reader, self.notes).unwrap();
        let look = |reader: &mut SqliteReader| {
            let index = reader.index_connection().map(Work::of).unwrap_or_default();
            let store = Work::of(reader.conn().unwrap());
            Work {
                steps: store.steps + index.steps,
                scanned: store.scanned + index.scanned,
                pages: store.pages + index.pages,
            }
        };
        look(&mut self.reader);
        let found = ask(&mut self.reader, self.notes).unwrap();
        (found, look(&mut self.reader))
    }
}

type Ask = Box<dyn Fn(&mut SqliteReader, u32) -> Result<usize, StoreError>>;

fn notes(query: impl Fn(u32) -> Query + 'static) -> Ask {
    Box::new(move |reader, notes| Ok(reader.notes(HERE, &query(notes))?.len()))
}

fn words(text: &'static str) -> Query {
    Query { text: Some(text.to_owned()), limit: Some(20), ..Query::default() }
}

fn tagged(tag: &str, query: Query) -> Query {
    Query { tags: vec![tag.to_owned()], ..query }
}

fn by(device: &str, query: Query) -> Query {
    Query { from: Some(device.to_owned()), ..query }
}

fn latest() -> Query {
    Query { limit: Some(20), ..Query::default() }
}

fn week(notes: u32, query: Query) -> Query {
    let day = time(notes / 2).day();
    Query { since: Some(day), until: Some(day.add(6)), ..query }
}

/// Whether a page is full.
fn page(reader: &mut SqliteReader, position: u64) -> Result<usize, StoreError> {
    let before = reader.feed_range(HERE, position, Some(position), 1)?.next;
    let page = reader.feed(HERE, before, 4_000)?.unwrap();
    Ok(usize::from(page.entries.len() > 10 && page.remaining > 0))
}

/// Each question, and how many notes, changes or tags are the answer, whatever the size of the journal.
fn questions() -> Vec<(&'static str, usize, Ask)> {
    vec![
        ("the latest", 20, notes(|_| latest())),
        ("a day", 20, notes(|notes| Query::on(time(notes / 2).day()))),
        ("a rare word", 5, notes(|_| words("axolotl"))),
        ("a common word", 20, notes(|_| words("the"))),
        ("two common characters", 20, notes(|_| words("的一"))),
        ("the same apart", 20, notes(|_| words("一 的"))),
        ("a phrase", 20, notes(|_| words("\"the note\""))),
        ("how few words begin", 5, notes(|_| words("axo*"))),
        ("how some words begin", 20, notes(|_| words("tea*"))),
        ("how many words begin", 20, notes(|_| words("w*"))),
        ("a common word in a week", 20, notes(|notes| week(notes, words("the")))),
        ("a rare word and a common one", 5, notes(|_| words("axolotl the"))),
        ("a word that nobody wrote", 0, notes(|_| words("quetzal"))),
        ("pinyin of common characters", 20, notes(|_| words("yitian"))),
        ("first letters of common characters", 20, notes(|_| words("dyt"))),
        ("pinyin of rare characters", 5, notes(|_| words("changcheng"))),
        ("first letters of rare characters", 5, notes(|_| words("cc"))),
        ("one syllable", 20, notes(|_| words("tian"))),
        ("pinyin that nobody wrote", 0, notes(|_| words("beijing"))),
        ("a common word without a rare one", 20, notes(|_| words("the -axolotl"))),
        ("a tag among words", 20, notes(|_| words("the #work"))),
        ("a common tag", 20, notes(|_| tagged("work", latest()))),
        ("a common tag and word", 20, notes(|_| tagged("#Work", words("the")))),
        ("a rare tag and a common word", 5, notes(|_| tagged("heirloom", words("the")))),
        ("a tag above others", 20, notes(|_| tagged("home", latest()))),
        ("two tags", 5, notes(|_| tagged("heirloom", tagged("home", latest())))),
        ("a common word but not another", 20, notes(|_| words("the -tea3"))),
        ("a common word without almost all", 5, notes(|_| words("the -#home/all"))),
        ("all but those with a tag", 20, notes(|_| words("-#work"))),
        ("stars", 0, notes(|_| Query { starred: true, ..latest() })),
        ("from who writes", 20, notes(|_| by("phone", latest()))),
        ("from who wrote long ago", 10, notes(|_| by("old phone", latest()))),
        ("the same with a common word", 10, notes(|_| by("old phone", words("的")))),
        ("from an address that nobody has", 0, notes(|_| by("192.0.2.1", latest()))),
        ("tags", 4, Box::new(|reader, _| Ok(reader.tags(HERE)?.len()))),
        ("chains", 2, Box::new(|reader, _| Ok(reader.heads(HERE)?.len()))),
        (
            "the last by name",
            1,
            Box::new(|reader, _| Ok(reader.find(HERE, &NoteName::Last)?.len())),
        ),
        ("the first page of the feed", 1, Box::new(|reader, _| page(reader, 0))),
        ("a page in the middle", 1, Box::new(|reader, notes| page(reader, u64::from(notes / 2)))),
        ("the head", 1, Box::new(|reader, _| Ok(usize::from(reader.head(HERE)? != Cursor::START)))),
    ]
}

#[test]
fn what_a_question_costs_does_not_grow_with_the_journal() {
    let (mut small, mut large) = (Journal::new(SMALL), Journal::new(LARGE));
    for (name, expected, ask) in questions() {
        let (found, before) = small.work(&ask);
        assert_eq!(found, expected, "{name}");
        let (found, work) = large.work(&ask);
        assert_eq!(found, expected, "{name}");
        let text = format!("{name}: {before:?} for {SMALL} notes, {work:?} for {LARGE}");
        println!("{text}");
        // The index is in more pieces, each of which is asked, and a tree may be a level deeper: that is three times as
        // much at most, and where all that is done is asking for the next word, as pinyin does, as much as there are
        // pieces. Looking at all notes would be sixteen times as much.
        assert!(work.steps <= before.steps * 3 + 500, "{text}");
        assert!(work.scanned <= before.scanned + 2, "{text}");
        assert!(work.pages <= before.pages * 8 + 100, "{text}");
    }
}

#[test]
fn however_many_words_begin_like_this_the_same_notes_are_found() {
    let mut journal = Journal::new(SMALL);
    let mut ask = |query: Query| journal.reader.notes(HERE, &query).unwrap();
    // Each note has one of three hundred such words.
    assert_eq!(ask(words("w*")), ask(latest()));
    assert_eq!(ask(Query { limit: None, ..words("w*") }).len(), SMALL as usize);
    assert_eq!(ask(words("w* axolotl")), ask(words("axolotl")));
    assert_eq!(ask(words("axo* w*")).len(), 5);
    assert_eq!(ask(words("wx*")), []);
}

#[test]
fn a_word_that_the_index_has_cut_within_a_character_is_no_reason_to_look_at_every_note() {
    let mut journal = Journal::new(SMALL);
    let note = |text: String| {
        let (id, expect, extras, now) = (None, Expect::Any, Extras::new(), time(SMALL + 50));
        let body = Body::Text(text);
        (HERE, Write::Note { id, expect, body, time: None, extras, now })
    };
    let long = format!("z{}", "ж".repeat(20_000));
    journal.store.commit(vec![note(long), note("zжук".to_owned())]).unwrap();
    let ask = |reader: &mut SqliteReader, _| Ok(reader.notes(HERE, &words("zж*"))?.len());
    let (found, work) = journal.work(ask);
    assert_eq!(found, 2);
    assert!(work.pages < 2_000, "{work:?}");
}

#[test]
fn what_a_note_costs_does_not_grow_with_the_journal() {
    let add = |journal: &mut Journal| {
        let write = |text: &str| Write::Note {
            id: None,
            expect: Expect::Any,
            body: Body::Text(text.to_owned()),
            time: Some(time(LARGE + 50)),
            extras: Extras::new(),
            now: time(LARGE + 50),
        };
        for text in ["one more #work", "and another #work"] {
            Work::of(&journal.store.conn);
            journal.store.commit(vec![(HERE, write(text))]).unwrap();
        }
        let written = Work::of(&journal.store.conn);
        let question =
            |reader: &mut SqliteReader, _| Ok(reader.notes(HERE, &words("axolotl"))?.len());
        (written, journal.work(question).1)
    };
    let (small, large) = (add(&mut Journal::new(SMALL)), add(&mut Journal::new(LARGE)));
    let text = format!("{small:?} for {SMALL} notes, {large:?} for {LARGE}");
    assert!(large.0.steps <= small.0.steps * 5 / 4 + 50, "{text}");
    assert!(large.0.pages <= small.0.pages * 2 + 40, "{text}");
    assert!(large.1.steps <= small.1.steps * 3 + 500, "{text}");
}
