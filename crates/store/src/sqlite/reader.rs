//! The reading half: each method is one read transaction.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use suibi_journal::{
    AuditEntry, ChainId, Cursor, Day, FeedPage, Folds, Hash, Head, Note, NoteId, NoteName, Query,
    SearchLine, tags,
};

use super::index::Index;
use super::replica::entry;
use super::search::{Search, count_tags, wants_index};
use super::suggest::{Suggestion, suggestions};
use super::{OwnChain, access, history, open};
use crate::{CursorMismatch, JournalId, Reader, Revision, StoreError};

/// How many changes a query puts into the index before it is answered.
const QUERY_CHANGES: usize = 8192;

/// Reads a store in a SQLite file.
#[derive(Debug)]
pub struct SqliteReader {
    /// Opened when it is first needed: a server that lives for one note asks nothing.
    conn: Option<Connection>,
    own_chain: OwnChain,
    path: PathBuf,
    /// Opened when it is first needed.
    index: Option<Index>,
}

impl SqliteReader {
    /// A reader of the file of a [`SqliteStore`](super::SqliteStore), which has to be there.
    pub(crate) fn new(path: &Path, own_chain: OwnChain) -> Self {
        Self { conn: None, own_chain, path: path.to_owned(), index: None }
    }

    pub(super) fn conn(&mut self) -> Result<&mut Connection, StoreError> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => open::reader(&self.path, self.own_chain)?,
        };
        Ok(self.conn.insert(conn))
    }

    #[cfg(test)]
    pub(super) fn index_connection(&self) -> Option<&Connection> {
        self.index.as_ref().map(Index::connection)
    }

    /// The index, brought up to date as far as a query waits for that; nothing if it is of no use
    /// now, which a query survives.
    fn ready_index(&mut self) -> Option<Index> {
        let mut index = self.take_index().ok()?;
        match index.catch_up(self.conn().ok()?, QUERY_CHANGES) {
            Err(error) if error.is_damage() => {
                index.discard(&error);
                let mut index = self.take_index().ok()?;
                index.catch_up(self.conn().ok()?, QUERY_CHANGES).ok()?;
                Some(index)
            }
            Err(error) => {
                // It may still be read as far as it is.
                tracing::debug!(%error, "the index cannot be brought up to date");
                Some(index)
            }
            Ok(_) => Some(index),
        }
    }

    fn take_index(&mut self) -> Result<Index, StoreError> {
        match self.index.take() {
            Some(index) => Ok(index),
            None => Index::open(&self.path),
        }
    }

    fn search(
        &mut self,
        index: Option<&mut Index>,
        journal: JournalId,
        query: &Query,
    ) -> Result<Vec<Note>, StoreError> {
        // The index first: what it does not know yet is found in the newer state of the store,
        // what it knows too early would be found nowhere.
        let snapshot = index.map(Index::snapshot).transpose()?;
        let own_chain = self.own_chain;
        let tx = self.conn()?.transaction()?;
        match Search::new(&tx, own_chain, journal, query)? {
            Some(mut search) => search.notes(snapshot.as_ref()),
            None => Ok(Vec::new()),
        }
    }
}

impl Reader for SqliteReader {
    fn feed(
        &mut self,
        journal: JournalId,
        after: Cursor,
        max_bytes: usize,
    ) -> Result<Result<FeedPage, CursorMismatch>, StoreError> {
        let tx = self.conn()?.transaction()?;
        let (head, count) = head(&tx, journal)?;
        let mut number: u64 = 0;
        if after != Cursor::START {
            let found = tx
                .prepare_cached(
                    "SELECT number, running FROM changes WHERE position = ?1 AND journal = ?2",
                )?
                // What cannot be a position here is not one.
                .query_row(params![i64::try_from(after.position).unwrap_or(-1), journal.0], |row| {
                    Ok((row.get(0)?, Hash::from_bytes(row.get(1)?)))
                })
                .optional()?;
            match found {
                Some((at, running)) if running == after.running => number = at,
                _ => return Ok(Err(CursorMismatch { head })),
            }
        }
        let start = At { cursor: after, number };
        Ok(Ok(page(&tx, journal, start, u64::MAX, count, max_bytes)?))
    }

    fn feed_range(
        &mut self,
        journal: JournalId,
        after: u64,
        until: Option<u64>,
        max_bytes: usize,
    ) -> Result<FeedPage, StoreError> {
        let tx = self.conn()?.transaction()?;
        let until = until.unwrap_or(u64::MAX);
        let start = at(&tx, journal, after)?;
        let end = at(&tx, journal, until)?;
        page(&tx, journal, start, until, end.number, max_bytes)
    }

    fn head(&mut self, journal: JournalId) -> Result<Cursor, StoreError> {
        Ok(head(self.conn()?, journal)?.0)
    }

    fn heads(&mut self, journal: JournalId) -> Result<Vec<Head>, StoreError> {
        let mut statement = self.conn()?.prepare_cached(
            "SELECT chain, device, seq, hash FROM chains WHERE journal = ?1 AND seq > 0
             ORDER BY chain",
        )?;
        let heads = statement.query_map([journal.0], |row| {
            Ok(Head {
                chain: ChainId::from_bytes(row.get(0)?),
                device: row.get(1)?,
                seq: row.get(2)?,
                hash: Hash::from_bytes(row.get(3)?),
            })
        })?;
        Ok(heads.collect::<Result<_, _>>()?)
    }

    fn notes(&mut self, journal: JournalId, query: &Query) -> Result<Vec<Note>, StoreError> {
        if !wants_index(query) {
            return self.search(None, journal, query);
        }
        let Some(mut index) = self.ready_index() else {
            return self.search(None, journal, query);
        };
        match self.search(Some(&mut index), journal, query) {
            Ok(notes) => {
                self.index = Some(index);
                Ok(notes)
            }
            Err(error) => {
                // Whichever of the two files it was: if it is the store, it will say so again.
                if error.is_damage() {
                    index.discard(&error);
                }
                self.search(None, journal, query)
            }
        }
    }

    fn suggest(&mut self, journal: JournalId, query: &Query) -> Result<Option<String>, StoreError> {
        let Some(text) = &query.text else { return Ok(None) };
        let Some(mut index) = self.ready_index() else { return Ok(None) };
        let suggestions = suggestions(&index.snapshot()?, text, query.folds)?;
        self.index = Some(index);
        for Suggestion { text, sounds } in suggestions {
            let folds = Folds { pinyin: query.folds.pinyin || sounds.is_some(), ..query.folds };
            let other = Query { text: Some(text.clone()), folds, limit: Some(1), ..query.clone() };
            let notes = self.notes(journal, &other)?;
            let Some(note) = notes.first() else { continue };
            let Some(sounds) = sounds else { return Ok(Some(text)) };
            let places = SearchLine::parse(&sounds, folds).places(&note.text);
            if let Some(place) = places.first() {
                return Ok(Some(text.replacen(&sounds, &note.text[place.clone()], 1)));
            }
        }
        Ok(None)
    }

    fn note(&mut self, journal: JournalId, id: NoteId) -> Result<Option<Note>, StoreError> {
        let own_chain = self.own_chain;
        let tx = self.conn()?.transaction()?;
        Search::note(&tx, own_chain, journal, id)
    }

    fn history(&mut self, journal: JournalId, note: NoteId) -> Result<Vec<Revision>, StoreError> {
        let own_chain = self.own_chain;
        let tx = self.conn()?.transaction()?;
        history::history(&tx, own_chain, journal, note)
    }

    fn find(&mut self, journal: JournalId, name: &NoteName) -> Result<Vec<NoteId>, StoreError> {
        let own_chain = self.own_chain;
        let tx = self.conn()?.transaction()?;
        history::find(&tx, own_chain, journal, name)
    }

    fn days(&mut self, journal: JournalId) -> Result<Vec<(Day, u64)>, StoreError> {
        let mut statement = self.conn()?.prepare_cached(
            "SELECT day, notes FROM days WHERE journal = ?1 AND notes > 0 ORDER BY day",
        )?;
        let days = statement
            .query_map([journal.0], |row| Ok((Day::from_days(row.get(0)?), row.get(1)?)))?;
        Ok(days.collect::<Result<_, _>>()?)
    }

    fn tags(&mut self, journal: JournalId) -> Result<Vec<(String, u64)>, StoreError> {
        let last = last_position(self.conn()?)?;
        if let Some(mut index) = self.ready_index() {
            let counted = index.snapshot().and_then(|snapshot| {
                Ok((snapshot.position >= last).then_some(snapshot.tags(journal)?))
            });
            match counted {
                Ok(counted) => {
                    self.index = Some(index);
                    if let Some(parts) = counted {
                        return Ok(count_tags(parts));
                    }
                }
                Err(error) if error.is_damage() => index.discard(&error),
                Err(error) => tracing::debug!(%error, "the index cannot be read"),
            }
        }
        let notes = self.search(None, journal, &Query::default())?;
        let all = notes.iter().flat_map(|note| tags(&note.text));
        Ok(count_tags(all.map(|tag| (tag.name, tag.sigil, 1))))
    }

    fn version(&mut self, journal: JournalId) -> Result<u64, StoreError> {
        // A rename is seen in listings and is no change of the feed. Both numbers only rise, so no
        // two states have the same sum.
        let mut statement = self.conn()?.prepare_cached(
            "SELECT coalesce((SELECT position FROM feeds WHERE journal = ?1), 0)
                + coalesce((SELECT renames FROM journals WHERE id = ?1), 0)",
        )?;
        Ok(statement.query_row([journal.0], |row| row.get(0))?)
    }

    fn catch_up(&mut self, max_changes: usize) -> Result<u64, StoreError> {
        let mut index = self.take_index()?;
        match index.catch_up(self.conn()?, max_changes) {
            Err(error) if error.is_damage() => {
                index.discard(&error);
                last_position(self.conn()?)
            }
            Ok(0) => {
                let has_more = index.erase_step()?;
                self.index = Some(index);
                Ok(u64::from(has_more))
            }
            other => {
                self.index = Some(index);
                other
            }
        }
    }

    fn audit(&mut self, newest: usize) -> Result<Vec<AuditEntry>, StoreError> {
        access::trail(self.conn()?, newest)
    }

    fn count(&mut self, journal: JournalId) -> Result<u64, StoreError> {
        let mut statement = self
            .conn()?
            .prepare_cached("SELECT coalesce(sum(notes), 0) FROM days WHERE journal = ?1")?;
        Ok(statement.query_row([journal.0], |row| row.get(0))?)
    }
}

/// A place in a journal's feed.
struct At {
    cursor: Cursor,
    /// How many changes there are up to here.
    number: u64,
}

/// Where the feed was at a position: after the last change that is not beyond it.
fn at(conn: &Connection, journal: JournalId, position: u64) -> Result<At, StoreError> {
    let (head, count) = head(conn, journal)?;
    if head.position <= position {
        return Ok(At { cursor: head, number: count });
    }
    let mut statement = conn.prepare_cached(
        "SELECT position, running, number FROM changes
         WHERE position <= ?1 AND journal = ?2 ORDER BY position DESC LIMIT 1",
    )?;
    let found = statement
        .query_row(params![position, journal.0], |row| {
            let cursor = Cursor { position: row.get(0)?, running: Hash::from_bytes(row.get(1)?) };
            Ok(At { cursor, number: row.get(2)? })
        })
        .optional()?;
    Ok(found.unwrap_or(At { cursor: Cursor::START, number: 0 }))
}

/// The changes from `start` on, up to the position `until`; `count`: how many there are up to there.
fn page(
    conn: &Connection,
    journal: JournalId,
    start: At,
    until: u64,
    count: u64,
    max_bytes: usize,
) -> Result<FeedPage, StoreError> {
    let At { cursor, mut number } = start;
    let mut page = FeedPage { entries: Vec::new(), next: cursor, remaining: 0 };
    let mut statement = conn.prepare_cached(
        "SELECT position, map, content FROM changes
         WHERE position > ?1 AND position <= ?2 AND journal = ?3 ORDER BY position",
    )?;
    // What cannot be a position here is beyond all of them.
    let until = i64::try_from(until).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![cursor.position, until, journal.0])?;
    let mut len = 0;
    while let Some(row) = rows.next()? {
        let (position, entry) = entry(row)?;
        len += entry.encoded_len();
        if len > max_bytes && !page.entries.is_empty() {
            break;
        }
        number += 1;
        page.next = page.next.next(position, entry.hash());
        page.entries.push((position, entry));
    }
    page.remaining = count.saturating_sub(number);
    Ok(page)
}

/// The end of a journal's feed, and how many changes it has.
fn head(conn: &Connection, journal: JournalId) -> Result<(Cursor, u64), StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT position, running, number FROM feeds WHERE journal = ?1")?;
    let head = statement
        .query_row([journal.0], |row| {
            let running = Hash::from_bytes(row.get(1)?);
            Ok((Cursor { position: row.get(0)?, running }, row.get(2)?))
        })
        .optional()?;
    Ok(head.unwrap_or((Cursor::START, 0)))
}

/// The last position of all journals.
fn last_position(conn: &Connection) -> Result<u64, StoreError> {
    let mut statement = conn.prepare_cached("SELECT coalesce(max(position), 0) FROM feeds")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}
