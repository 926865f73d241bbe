//! Notes follow the changes: a new note is one row, an edit folds the note again.

use rusqlite::{Connection, OptionalExtension, Row, ffi, params};
use suibi_journal::{
    Body, Change, Content, Entry, Extra, Folded, Hash, NoteId, NoteTime, Revision, extra, fold,
};

use super::batch::Batch;
use super::key;
use super::rows::NewNote;
use crate::{JournalId, StoreError};

/// `notes.state`: not to be listed.
pub(crate) const DELETED: i64 = 1;
/// `notes.state`: the text is not simply that of the one head.
pub(crate) const FOLDED: i64 = 2;

/// `notes.state`, beside the other two: one of its changes is a purge.
pub(crate) const PURGED: i64 = 4;

/// A row of `notes`, as far as writing needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoteRow {
    pub(crate) key: i64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) head: u64,
    pub(crate) state: i64,
}

impl NoteRow {
    /// From the columns key, first, last, head and state, the first five of a row.
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get(0)?,
            first: row.get(1)?,
            last: row.get(2)?,
            head: row.get(3)?,
            state: row.get(4)?,
        })
    }
}

/// A revision, and where its change stands.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) position: u64,
    /// `chains.id`.
    chain: i64,
    pub(crate) revision: Revision,
}

/// What a note's row says beside its key.
#[derive(Debug, PartialEq)]
pub(super) struct State {
    pub(super) id: NoteId,
    pub(super) time: NoteTime,
    pub(super) state: i64,
    pub(super) chain: i64,
    pub(super) source: Option<String>,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) head: u64,
}

impl Batch<'_> {
    /// Lets the change at `position` have its effect on its note.
    pub(super) fn place(
        &mut self,
        entry: &Entry,
        position: u64,
        chain: i64,
    ) -> Result<(), StoreError> {
        let change = entry.change();
        // The usual case, and the only one in a hurry: nobody has seen this note, and the change
        // says all of it.
        if let (true, Some(content)) = (change.parents.is_empty(), entry.content()) {
            let state = State {
                id: change.note,
                time: change.time,
                state: match content.body {
                    Body::Text(_) => 0,
                    Body::Deleted => DELETED,
                    Body::Purged => DELETED | FOLDED | PURGED,
                },
                chain,
                source: source(content),
                first: position,
                last: position,
                head: position,
            };
            if !self.rows.has_note(self.journal, &state) {
                let key = self.next_key(state.time);
                self.rows.add_note(NewNote { key, journal: self.journal, state });
                return Ok(());
            }
        }
        let is_purge = entry.content().is_some_and(|content| content.body == Body::Purged);
        self.join(change.note, position, is_purge)
    }

    /// Lets the change at `position` have its effect on its note, whatever is there of it.
    fn join(&mut self, id: NoteId, position: u64, is_purge: bool) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let Some(row) = find(tables, self.journal, id)? else {
            let revisions = [stored(tables, position)?];
            let state = fold_state(id, position, &revisions)?;
            return match self.try_insert(&state)? {
                Some(_) => Ok(()),
                None => Err(StoreError::Corrupt(format!("note {id} is there twice"))),
            };
        };
        tables
            .prepare_cached("INSERT INTO edits (first, position) VALUES (?1, ?2)")?
            .execute([row.first, position])?;
        if is_purge || row.state & PURGED != 0 {
            self.erase(id, row)?;
        }
        let revisions = revisions(tables, row.first)?;
        let state = fold_state(id, row.first, &revisions)?;
        self.update(row, &state)
    }

    /// Writes the new changes and notes that wait for each other.
    pub(super) fn write_rows(&mut self) -> Result<(), StoreError> {
        let (notes, inserted) = self.rows.insert()?;
        if inserted == notes.len() {
            for note in &notes {
                self.count(note.journal, note.key, &note.state);
            }
        } else {
            self.write_in_order(&notes)?;
        }
        self.rows.reuse(notes);
        Ok(())
    }

    /// Writes notes one by one of which some could not be inserted: another note of that instant had the key, or
    /// the note was here already. Those that were are taken out again, since of one instant the first comes first.
    fn write_in_order(&mut self, notes: &[NewNote]) -> Result<(), StoreError> {
        let mut delete =
            self.tables()?.prepare_cached("DELETE FROM notes WHERE key = ?1 AND first = ?2")?;
        for note in notes {
            delete.execute(params![note.key, note.state.first])?;
            self.cache.next_keys.forget(key::first(note.state.time));
        }
        for NewNote { journal, state, .. } in notes {
            let here = std::mem::replace(&mut self.journal, *journal);
            if self.try_insert(state)?.is_none() {
                self.join(state.id, state.first, state.state & PURGED != 0)?;
            }
            self.journal = here;
        }
        Ok(())
    }

    /// The key for a note that is thought to be new.
    fn next_key(&mut self, time: NoteTime) -> i64 {
        let first = key::first(time);
        let key = self.cache.next_keys.get(first).unwrap_or(first);
        self.cache.next_keys.set(first, key + 1);
        key
    }

    /// Counts a note that was inserted.
    fn count(&mut self, journal: JournalId, key: i64, state: &State) {
        if state.state & DELETED == 0 {
            *self.days.entry((key::day(key).days(), journal)).or_default() += 1;
        }
    }

    /// Where a change is that may have been taken before.
    pub(crate) fn position_of(&mut self, entry: &Entry) -> Result<Option<u64>, StoreError> {
        let tables = self.tables()?;
        let Some(row) = find(tables, self.journal, entry.change().note)? else {
            return Ok(None);
        };
        let found = tables
            .prepare_cached(
                "SELECT position FROM changes WHERE hash = ?2 AND position IN
                    (SELECT ?1 UNION ALL SELECT position FROM edits WHERE first = ?1)",
            )?
            .query_row(params![row.first, entry.hash().as_bytes()], |row| row.get(0))
            .optional()?;
        Ok(found)
    }

    /// Takes the row of a note away, and what says which changes it has.
    pub(super) fn remove_note(&mut self, row: NoteRow) -> Result<(), StoreError> {
        if row.state & DELETED == 0 {
            *self.days.entry((key::day(row.key).days(), self.journal)).or_default() -= 1;
        }
        let tables = self.tables()?;
        tables.prepare_cached("DELETE FROM notes WHERE key = ?1")?.execute([row.key])?;
        tables.prepare_cached("DELETE FROM edits WHERE first = ?1")?.execute([row.first])?;
        Ok(())
    }

    /// Inserts a note that has no row, as its changes have it.
    pub(super) fn insert_folded(&mut self, id: NoteId, first: u64) -> Result<(), StoreError> {
        let state = state(self.tables()?, id, first)?;
        match self.try_insert(&state)? {
            Some(_) => Ok(()),
            None => Err(StoreError::Corrupt(format!("note {id} is there twice"))),
        }
    }

    /// Inserts a note under a key of its own. `None`: its id is there already.
    fn try_insert(&mut self, state: &State) -> Result<Option<i64>, StoreError> {
        let tables = self.tables()?;
        let mut first = key::first(state.time);
        let mut key = self.cache.next_keys.get(first).unwrap_or(first);
        let mut insert = tables.prepare_cached(
            "INSERT INTO notes
                (key, id, journal, time, zone, state, chain, source, first, last, head)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?;
        loop {
            let result = insert.execute(params![
                key,
                state.id.as_bytes(),
                self.journal.0,
                state.time.millis(),
                state.time.offset_minutes(),
                state.state,
                state.chain,
                state.source,
                state.first,
                state.last,
                state.head,
            ]);
            let Err(error) = result else { break };
            match extended_code(&error) {
                Some(ffi::SQLITE_CONSTRAINT_UNIQUE) => return Ok(None),
                Some(ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID) => {}
                _ => return Err(error.into()),
            }
            // Other notes have this instant: the place behind the last of them, or, when there
            // are too many, the next millisecond.
            let last: Option<i64> = tables
                .prepare_cached("SELECT max(key) FROM notes WHERE key >= ?1 AND key < ?2")?
                .query_row([first, first + key::SLOTS], |row| row.get(0))?;
            key = last.map_or(first, |last| last + 1);
            if key == first + key::SLOTS {
                first = key;
            }
        }
        self.cache.next_keys.set(key::first(state.time), key + 1);
        self.count(self.journal, key, state);
        Ok(Some(key))
    }

    /// Writes what a note has become; another time moves it to another key.
    fn update(&mut self, row: NoteRow, state: &State) -> Result<(), StoreError> {
        if row.state & DELETED == 0 {
            *self.days.entry((key::day(row.key).days(), self.journal)).or_default() -= 1;
        }
        if !key::fits(row.key, state.time) {
            let tables = self.tables()?;
            tables.prepare_cached("DELETE FROM notes WHERE key = ?1")?.execute([row.key])?;
            tables
                .prepare_cached("INSERT INTO moved (position, key) VALUES (?1, ?2)")?
                .execute(params![state.last, row.key])?;
            return match self.try_insert(state)? {
                Some(_) => Ok(()),
                None => Err(StoreError::Corrupt(format!("note {} is there twice", state.id))),
            };
        }
        self.tables()?
            .prepare_cached(
                "UPDATE notes SET time = ?2, zone = ?3, state = ?4, chain = ?5, source = ?6,
                    last = ?7, head = ?8 WHERE key = ?1",
            )?
            .execute(params![
                row.key,
                state.time.millis(),
                state.time.offset_minutes(),
                state.state,
                state.chain,
                state.source,
                state.last,
                state.head,
            ])?;
        self.count(self.journal, row.key, state);
        Ok(())
    }
}

/// The positions of a note's changes, as they came.
pub(crate) fn positions(conn: &Connection, first: u64) -> Result<Vec<u64>, StoreError> {
    let mut positions = vec![first];
    let mut edits =
        conn.prepare_cached("SELECT position FROM edits WHERE first = ?1 ORDER BY position")?;
    for position in edits.query_map([first], |row| row.get(0))? {
        positions.push(position?);
    }
    Ok(positions)
}

/// The row of a note, by its id.
pub(crate) fn find(
    conn: &Connection,
    journal: JournalId,
    id: NoteId,
) -> Result<Option<NoteRow>, StoreError> {
    let found = conn
        .prepare_cached(
            "SELECT key, first, last, head, state FROM notes WHERE id = ?1 AND journal = ?2",
        )?
        .query_row(params![id.as_bytes(), journal.0], NoteRow::of)
        .optional()?;
    Ok(found)
}

/// All revisions of a note, as they came.
pub(crate) fn revisions(conn: &Connection, first: u64) -> Result<Vec<Stored>, StoreError> {
    positions(conn, first)?.into_iter().map(|position| stored(conn, position)).collect()
}

/// What the row of a note has to say.
pub(super) fn state(conn: &Connection, id: NoteId, first: u64) -> Result<State, StoreError> {
    fold_state(id, first, &revisions(conn, first)?)
}

/// The note that revisions make.
pub(crate) fn folded(revisions: &[Stored]) -> Result<Folded, StoreError> {
    fold(revisions.iter().map(|stored| stored.revision.clone()))
        .ok_or_else(|| StoreError::Corrupt("a note without a change".to_owned()))
}

fn stored(conn: &Connection, position: u64) -> Result<Stored, StoreError> {
    let (chain, map, content) = conn
        .prepare_cached("SELECT chain, map, content FROM changes WHERE position = ?1")?
        .query_row([position], |row: &Row<'_>| {
            Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
        })?;
    let bad = |error: suibi_journal::DecodeError| {
        StoreError::Corrupt(format!("the change at position {position}: {error}"))
    };
    let change = Change::decode(&map).map_err(bad)?;
    let content = content.map(|bytes| Content::decode(&bytes)).transpose().map_err(bad)?;
    let revision = Revision {
        hash: Hash::of(&map),
        parents: change.parents,
        time: change.time,
        content,
        chain: change.chain,
        seq: change.seq,
    };
    Ok(Stored { position, chain, revision })
}

/// Whether a change is a purge, by the content that is stored with it.
pub(crate) fn is_purge(position: u64, content: &[u8]) -> Result<bool, StoreError> {
    let content = Content::decode(content)
        .map_err(|error| StoreError::Corrupt(format!("the content at {position}: {error}")))?;
    Ok(content.body == Body::Purged)
}

/// What the row of a note says, from all of its revisions.
fn fold_state(id: NoteId, first: u64, revisions: &[Stored]) -> Result<State, StoreError> {
    let folded = folded(revisions)?;
    let says = |stored: &Stored, body: &Body| {
        stored.revision.content.as_ref().is_some_and(|content| content.body == *body)
    };
    let is_shown = |stored: &&Stored| match folded.body {
        Body::Purged => says(stored, &Body::Purged),
        Body::Deleted | Body::Text(_) => {
            folded.heads.iter().any(|head| head.hash == stored.revision.hash)
                && (folded.body == Body::Deleted || !says(stored, &Body::Deleted))
        }
    };
    let newest = revisions.last().expect("a note has a first change");
    let shown = revisions.iter().rev().find(is_shown).unwrap_or(newest);
    let simple = matches!(&folded.heads[..], [head] if head.content.is_some());
    let state = match folded.body {
        Body::Text(_) => 0,
        Body::Deleted => DELETED,
        Body::Purged => DELETED | FOLDED | PURGED,
    };
    let state = if simple { state } else { state | FOLDED };
    Ok(State {
        id,
        time: folded.time,
        state,
        chain: shown.chain,
        source: source_of(folded.extras.get(extra::SOURCE)),
        first,
        last: newest.position,
        head: shown.position,
    })
}

pub(super) fn source(content: &Content) -> Option<String> {
    source_of(content.extras.get(extra::SOURCE))
}

fn source_of(extra: Option<&Extra>) -> Option<String> {
    match extra {
        Some(Extra::Text(address)) => Some(address.clone()),
        _ => None,
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => Some(failure.extended_code),
        _ => None,
    }
}
