//! New rows of `changes` and `notes`, which wait for each other: one statement inserts several of them, since to begin
//! and to end a statement is a quarter of what a row costs.

use std::sync::LazyLock;

use rusqlite::{CachedStatement, Connection, Statement};
use suibi_journal::{Entry, Hash};

use super::notes::State;
use crate::{JournalId, StoreError};

/// How many rows a statement inserts, the most that is there first.
const RUNS: [usize; 3] = [16, 4, 1];
/// How many rows wait for each other.
pub(super) const MOST: usize = RUNS[0];

/// The statements for one table, one for each of [`RUNS`].
type Texts = LazyLock<[String; 3]>;

static CHANGES: Texts = LazyLock::new(|| {
    texts("INTO changes (position, journal, number, chain, seq, hash, running, map, content)", 9)
});

// A note that cannot be inserted as it is, is looked at by itself.
static NOTES: Texts = LazyLock::new(|| {
    let columns = "key, id, journal, time, zone, state, chain, source, first, last, head";
    texts(&format!("OR IGNORE INTO notes ({columns})"), 11)
});

fn texts(into: &str, columns: usize) -> [String; 3] {
    let row = format!("({})", vec!["?"; columns].join(","));
    RUNS.map(|run| format!("INSERT {into} VALUES {}", vec![row.as_str(); run].join(",")))
}

/// A change, and where it stands.
pub(super) struct NewChange {
    pub(super) position: u64,
    pub(super) journal: JournalId,
    pub(super) number: u64,
    /// `chains.id`.
    pub(super) chain: i64,
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) running: Hash,
}

/// A note that is thought to be new.
pub(super) struct NewNote {
    pub(super) key: i64,
    pub(super) journal: JournalId,
    pub(super) state: State,
}

/// Where a change's bytes stand among those of all.
struct Bytes {
    map: usize,
    content: usize,
    /// No content, if it is the same as `content`: no content is empty.
    end: usize,
}

/// What waits.
pub(super) struct Rows<'t> {
    conn: &'t Connection,
    changes: Vec<(NewChange, Bytes)>,
    bytes: Vec<u8>,
    notes: Vec<NewNote>,
    into_changes: Inserts<'t>,
    into_notes: Inserts<'t>,
}

impl<'t> Rows<'t> {
    pub(super) fn new(conn: &'t Connection) -> Self {
        let (changes, bytes, notes) = (Vec::new(), Vec::new(), Vec::new());
        let (into_changes, into_notes) = (Inserts::new(&CHANGES, 9), Inserts::new(&NOTES, 11));
        Self { conn, changes, bytes, notes, into_changes, into_notes }
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn add_change(&mut self, change: NewChange, entry: &Entry) {
        let map = self.bytes.len();
        self.bytes.extend_from_slice(entry.change_bytes());
        let content = self.bytes.len();
        self.bytes.extend_from_slice(entry.content_bytes().unwrap_or_default());
        self.changes.push((change, Bytes { map, content, end: self.bytes.len() }));
    }

    pub(super) fn add_note(&mut self, note: NewNote) {
        self.notes.push(note);
    }

    /// Whether a note with this id waits.
    pub(super) fn has_note(&self, journal: JournalId, state: &State) -> bool {
        self.notes.iter().any(|note| note.state.id == state.id && note.journal == journal)
    }

    /// Inserts what waits, and hands back the notes. Those whose key or id is taken are left out: there are some if
    /// the number is smaller than that of the notes.
    pub(super) fn insert(&mut self) -> Result<(Vec<NewNote>, usize), StoreError> {
        let bytes = &self.bytes;
        self.into_changes.insert(self.conn, &self.changes, |insert, at, (change, place)| {
            let content = &bytes[place.content..place.end];
            insert.raw_bind_parameter(at, change.position)?;
            insert.raw_bind_parameter(at + 1, change.journal.0)?;
            insert.raw_bind_parameter(at + 2, change.number)?;
            insert.raw_bind_parameter(at + 3, change.chain)?;
            insert.raw_bind_parameter(at + 4, change.seq)?;
            insert.raw_bind_parameter(at + 5, change.hash.as_bytes())?;
            insert.raw_bind_parameter(at + 6, change.running.as_bytes())?;
            insert.raw_bind_parameter(at + 7, &bytes[place.map..place.content])?;
            insert.raw_bind_parameter(at + 8, (!content.is_empty()).then_some(content))
        })?;
        let inserted = self.into_notes.insert(self.conn, &self.notes, |insert, at, note| {
            let NewNote { key, journal, state } = note;
            insert.raw_bind_parameter(at, key)?;
            insert.raw_bind_parameter(at + 1, state.id.as_bytes())?;
            insert.raw_bind_parameter(at + 2, journal.0)?;
            insert.raw_bind_parameter(at + 3, state.time.millis())?;
            insert.raw_bind_parameter(at + 4, state.time.offset_minutes())?;
            insert.raw_bind_parameter(at + 5, state.state)?;
            insert.raw_bind_parameter(at + 6, state.chain)?;
            insert.raw_bind_parameter(at + 7, state.source.as_deref())?;
            insert.raw_bind_parameter(at + 8, state.first)?;
            insert.raw_bind_parameter(at + 9, state.last)?;
            insert.raw_bind_parameter(at + 10, state.head)
        })?;
        self.changes.clear();
        self.bytes.clear();
        Ok((std::mem::take(&mut self.notes), inserted))
    }

    /// Takes back the list that [`insert`](Self::insert) gave, for its memory.
    pub(super) fn reuse(&mut self, mut notes: Vec<NewNote>) {
        notes.clear();
        self.notes = notes;
    }
}

/// The statements that insert into one table, from their first use to the end of the transaction.
struct Inserts<'t> {
    texts: &'static Texts,
    columns: usize,
    statements: [Option<CachedStatement<'t>>; 3],
}

impl<'t> Inserts<'t> {
    fn new(texts: &'static Texts, columns: usize) -> Self {
        Self { texts, columns, statements: [None, None, None] }
    }

    /// Inserts the rows and says how many went in. `bind` gives one to a statement, from the parameter on that it is
    /// told.
    fn insert<R>(
        &mut self,
        conn: &'t Connection,
        mut rows: &[R],
        bind: impl Fn(&mut Statement<'t>, usize, &R) -> rusqlite::Result<()>,
    ) -> Result<usize, StoreError> {
        let mut inserted = 0;
        for (which, run) in RUNS.into_iter().enumerate() {
            while let Some((these, others)) = rows.split_at_checked(run) {
                let insert = match &mut self.statements[which] {
                    Some(statement) => statement,
                    none => none.insert(conn.prepare_cached(&self.texts[which])?),
                };
                for (place, row) in these.iter().enumerate() {
                    bind(insert, place * self.columns + 1, row)?;
                }
                inserted += insert.raw_execute()?;
                rows = others;
            }
        }
        Ok(inserted)
    }
}
