//! Listing notes: the newest that fit, from the end of a range of keys.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, Row, params};
use suibi_journal::{
    Body, Change, Content, Day, Hash, Note, NoteId, NoteTime, Query, SearchLine, is_starred,
    tokens, wanted_tag,
};

use super::OwnChain;
use super::index::{From, Snapshot, Wanted};
use super::key;
use super::notes::{self, FOLDED};
use crate::{JournalId, StoreError};

/// How many changes may be missing in the index before all notes are looked through instead.
const TAIL: u64 = 4096;

/// So many of the newest notes are looked at first where the index takes its time.
const GLANCE: usize = 512;

/// From how many chains the index is asked for notes; a device that has more is looked for in the rows.
const MOST_CHAINS: usize = 200;

/// The notes of a range that are not deleted, newest first, perhaps of one device or address only.
/// CROSS JOIN: in this order, which is that of the keys.
const IN_RANGE: &str =
    "SELECT n.key, n.id, n.time, n.zone, n.state, n.source, n.first, n.last, n.head,
            d.device, c.hash, c.content, r.server
     FROM notes n
        CROSS JOIN chains d ON d.id = n.chain
        CROSS JOIN changes c ON c.position = n.head
        LEFT JOIN receipts r ON r.position = n.head
     WHERE n.key BETWEEN ?1 AND ?2 AND n.journal = ?3 AND n.state & 1 = 0
        AND (?4 IS NULL OR n.source = ?4
            OR (n.source >= ?4 || ':' AND n.source < ?4 || ';')
            OR d.device = ?4)
     ORDER BY n.key DESC";

/// A question to one state of the store.
pub(crate) struct Search<'c> {
    conn: &'c Connection,
    own_chain: OwnChain,
    journal: JournalId,
    range: RangeInclusive<i64>,
    from: Option<String>,
    line: SearchLine,
    starred: bool,
    /// Of a day only from this minute on, and of a day only up to this minute.
    since: Option<(Day, u16)>,
    until: Option<(Day, u16)>,
    limit: usize,
}

/// A note, and what its row says of it.
struct Found {
    key: i64,
    last: u64,
    note: Note,
}

/// Whether a query is helped by the index.
pub(crate) fn wants_index(query: &Query) -> bool {
    !query.tags.is_empty()
        || query.starred
        || query.from.is_some()
        || query.text.as_ref().is_some_and(|text| {
            let SearchLine { terms, tags, .. } = SearchLine::parse(text, query.folds);
            !terms.is_empty() || !tags.is_empty()
        })
}

impl<'c> Search<'c> {
    /// `None`: nothing can fit. `conn` is in a transaction.
    pub(crate) fn new(
        conn: &'c Connection,
        own_chain: OwnChain,
        journal: JournalId,
        query: &Query,
    ) -> Result<Option<Self>, StoreError> {
        let mut range = key::range(query.since, query.until);
        if let Some(before) = query.before {
            let Some(row) = notes::find(conn, journal, before)? else { return Ok(None) };
            range = *range.start()..=(*range.end()).min(row.key - 1);
        }
        let limit = query.limit.unwrap_or(usize::MAX);
        if range.is_empty() || limit == 0 {
            return Ok(None);
        }
        let text = query.text.as_deref().unwrap_or_default();
        let mut line = SearchLine::parse(text, query.folds);
        line.tags.extend(query.tags.iter().map(|tag| wanted_tag(tag)));
        Ok(Some(Self {
            conn,
            own_chain,
            journal,
            range,
            from: query.from.clone(),
            line,
            starred: query.starred,
            since: query.since.zip(query.since_minute),
            until: query.until.zip(query.until_minute),
            limit,
        }))
    }

    /// The notes that fit, oldest first.
    ///
    /// The index has to be a state that is not newer than that of the connection.
    pub(crate) fn notes(&mut self, index: Option<&Snapshot<'_>>) -> Result<Vec<Note>, StoreError> {
        let index = match index {
            Some(index) if self.behind(index)? <= TAIL => Some(index),
            _ => None,
        };
        let mut line = std::mem::take(&mut self.line);
        line.settle(|word| self.is_written(word, index))?;
        self.line = line;
        let mut found = match index {
            Some(index) => self.indexed(index)?,
            None => self.scanned(&self.range)?,
        };
        found.reverse();
        Ok(found.into_iter().map(|found| found.note).collect())
    }

    /// One note that is not deleted.
    pub(crate) fn note(
        conn: &'c Connection,
        own_chain: OwnChain,
        journal: JournalId,
        id: NoteId,
    ) -> Result<Option<Note>, StoreError> {
        let Some(row) = notes::find(conn, journal, id)? else { return Ok(None) };
        let query = Query::default();
        let Some(search) = Self::new(conn, own_chain, journal, &query)? else { return Ok(None) };
        Ok(search.load(row.key)?.map(|found| found.note))
    }

    fn behind(&self, index: &Snapshot<'_>) -> Result<u64, StoreError> {
        let last: u64 = self
            .conn
            .prepare_cached("SELECT coalesce(max(position), 0) FROM feeds")?
            .query_row([], |row| row.get(0))?;
        Ok(last.saturating_sub(index.position))
    }

    /// Looks at every note of a range, newest first.
    fn scanned(&self, range: &RangeInclusive<i64>) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        self.each_in(range, |note| {
            found.extend(self.fits(&note.note).then_some(note));
            found.len() < self.limit
        })?;
        Ok(found)
    }

    /// The newest part of the range, with [`GLANCE`] notes, whoever wrote them.
    fn newest(&self) -> Result<RangeInclusive<i64>, StoreError> {
        let start = self
            .conn
            .prepare_cached(
                "SELECT key FROM notes WHERE key BETWEEN ?1 AND ?2
                 ORDER BY key DESC LIMIT 1 OFFSET ?3",
            )?
            .query_row(params![self.range.start(), self.range.end(), GLANCE as i64 - 1], |row| {
                row.get(0)
            })
            .optional()?;
        Ok(start.unwrap_or(*self.range.start())..=*self.range.end())
    }

    /// Takes what the index offers, newest first, and looks at what it has not seen.
    fn indexed(&self, index: &Snapshot<'_>) -> Result<Vec<Found>, StoreError> {
        let Some(question) = index.question(&self.wanted()?)? else {
            return self.scanned(&self.range);
        };
        if question.is_broad && self.limit < GLANCE {
            let found = self.scanned(&self.newest()?)?;
            if found.len() == self.limit {
                return Ok(found);
            }
        }
        let tail = self.tail(index.position)?;
        let mut found = Vec::new();
        index.each(&question, &self.range, |key| {
            // Changed since: it is in the tail, if it still fits.
            if let Some(note) = self.load(key)?
                && note.last <= index.position
                && self.fits(&note.note)
            {
                found.push(note);
            }
            Ok(found.len() < self.limit)
        })?;
        found.extend(tail);
        found.sort_by_key(|found| std::cmp::Reverse(found.key));
        found.truncate(self.limit);
        Ok(found)
    }

    /// The question as the index understands it.
    fn wanted(&self) -> Result<Wanted<'_>, StoreError> {
        let feeds: u64 = self
            .conn
            .prepare_cached("SELECT count(*) FROM feeds")?
            .query_row([], |row| row.get(0))?;
        let from = match self.from.as_deref() {
            Some(name) => {
                let chains = self
                    .conn
                    .prepare_cached("SELECT id FROM chains WHERE journal = ?1 AND device = ?2")?
                    .query_map(params![self.journal.0, name], |row| row.get(0))?
                    .collect::<Result<Vec<i64>, _>>()?;
                (chains.len() <= MOST_CHAINS).then_some(From { name, chains })
            }
            None => None,
        };
        Ok(Wanted {
            journal: (feeds > 1).then_some(self.journal),
            from,
            tags: &self.line.tags,
            starred: self.starred,
            terms: &self.line.terms,
            // Of what is told apart here the index does not know.
            not: if self.line.folds.are_of_index() { &self.line.not } else { &[] },
        })
    }

    /// The notes that fit among those that were changed after a position.
    fn tail(&self, position: u64) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        for key in self.changed_after(position)? {
            if self.range.contains(&key) {
                found.extend(self.load(key)?.filter(|found| self.fits(&found.note)));
            }
        }
        Ok(found)
    }

    fn fits(&self, note: &Note) -> bool {
        (note.starred || !self.starred) && self.is_in_time(note.time) && self.line.fits(&note.text)
    }

    /// Days are ranges of keys; the minutes of the first and the last are looked at here.
    fn is_in_time(&self, time: NoteTime) -> bool {
        let minute = |time: NoteTime| {
            let (hour, minute) = time.hour_minute();
            u16::from(hour) * 60 + u16::from(minute)
        };
        self.since.is_none_or(|(day, since)| time.day() > day || minute(time) >= since)
            && self.until.is_none_or(|(day, until)| time.day() < day || minute(time) <= until)
    }

    /// The notes that were changed after a position.
    fn changed_after(&self, position: u64) -> Result<BTreeSet<i64>, StoreError> {
        let mut statement = self
            .conn
            .prepare_cached("SELECT map FROM changes WHERE position > ?1 AND journal = ?2")?;
        let mut rows = statement.query(params![position, self.journal.0])?;
        let mut keys = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let change = Change::decode(&row.get::<_, Vec<u8>>(0)?)
                .map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let row = notes::find(self.conn, self.journal, change.note)?;
            keys.extend(row.map(|row| row.key));
        }
        Ok(keys)
    }

    /// Whether some note has a word, wherever it comes from and of whatever day.
    fn is_written(&self, word: &str, index: Option<&Snapshot<'_>>) -> Result<bool, StoreError> {
        let mut has = false;
        let mut look = |note: Found| {
            has |= tokens(&note.note.text).iter().any(|token| token == word);
            !has
        };
        match index {
            Some(index) if index.has(word)? => return Ok(true),
            Some(index) => {
                for key in self.changed_after(index.position)? {
                    self.each_from(None, &(key..=key), &mut look)?;
                }
            }
            None => self.each_from(None, &(i64::MIN..=i64::MAX), &mut look)?,
        }
        Ok(has)
    }

    fn load(&self, key: i64) -> Result<Option<Found>, StoreError> {
        let mut found = None;
        self.each_in(&(key..=key), |note| {
            found = Some(note);
            false
        })?;
        Ok(found)
    }

    /// Gives `take` the notes of a range that are not deleted and come from where they should,
    /// newest first, until it has enough.
    fn each_in(
        &self,
        range: &RangeInclusive<i64>,
        take: impl FnMut(Found) -> bool,
    ) -> Result<(), StoreError> {
        self.each_from(self.from.as_deref(), range, take)
    }

    fn each_from(
        &self,
        from: Option<&str>,
        range: &RangeInclusive<i64>,
        mut take: impl FnMut(Found) -> bool,
    ) -> Result<(), StoreError> {
        let mut statement = self.conn.prepare_cached(IN_RANGE)?;
        let mut rows =
            statement.query(params![range.start(), range.end(), self.journal.0, from])?;
        while let Some(row) = rows.next()? {
            if !take(self.found(row)?) {
                break;
            }
        }
        Ok(())
    }

    fn found(&self, row: &Row<'_>) -> Result<Found, StoreError> {
        let corrupt = |what: &dyn std::fmt::Display| StoreError::Corrupt(format!("a note: {what}"));
        let time = NoteTime::new(row.get(2)?, row.get(3)?).map_err(|error| corrupt(&error))?;
        let hash = Hash::from_bytes(row.get(10)?);
        let (text, extras, conflict, undeleted, heads) = if row.get::<_, i64>(4)? & FOLDED == 0 {
            let content = Content::decode(row.get_ref(11)?.as_blob().map_err(|e| corrupt(&e))?)
                .map_err(|error| corrupt(&error))?;
            (content.body, content.extras, false, false, vec![hash])
        } else {
            let folded = notes::folded(&notes::revisions(self.conn, row.get(6)?)?)?;
            let heads = folded.heads.iter().map(|head| head.hash).collect();
            (folded.body, folded.extras, folded.conflict, folded.undeleted, heads)
        };
        let position = match self.own_chain {
            OwnChain::Fresh => Some(row.get(8)?),
            OwnChain::Kept => row.get(12)?,
        };
        let note = Note {
            id: NoteId::from_bytes(row.get(1)?),
            time,
            text: match text {
                Body::Text(text) => text,
                Body::Deleted | Body::Purged => String::new(),
            },
            conflict,
            undeleted,
            starred: is_starred(&extras),
            heads,
            device: row.get(9)?,
            source: row.get(5)?,
            receipt: position.map(|position| (position, hash)),
            waiting: position.is_none(),
        };
        Ok(Found { key: row.get(0)?, last: row.get(7)?, note })
    }
}

/// Tags under the sigil that came last (`@shop`), the most used first.
pub(crate) fn count_tags(
    parts: impl IntoIterator<Item = (String, char, u64)>,
) -> Vec<(String, u64)> {
    let mut names: BTreeMap<String, (char, u64)> = BTreeMap::new();
    for (name, sigil, notes) in parts {
        let (last, sum) = names.entry(name).or_insert((sigil, 0));
        *last = sigil;
        *sum += notes;
    }
    let tags = names.into_iter().map(|(name, (sigil, notes))| (format!("{sigil}{name}"), notes));
    let mut tags: Vec<_> = tags.collect();
    tags.sort_by(|(a, fewer), (b, more)| more.cmp(fewer).then_with(|| a.cmp(b)));
    tags
}

#[cfg(test)]
mod tests {
    use suibi_journal::Extras;

    use super::*;
    use crate::sqlite::index::Index;
    use crate::sqlite::{SqliteOptions, SqliteStore};
    use crate::{Expect, Outcome, Store, Write};

    fn write(store: &mut SqliteStore, id: Option<NoteId>, body: &str, time: &str) -> NoteId {
        let write = Write::Note {
            id,
            expect: Expect::Any,
            body: if body.is_empty() { Body::Deleted } else { Body::Text(body.to_owned()) },
            time: Some(time.parse().unwrap()),
            extras: Extras::new(),
            now: time.parse().unwrap(),
        };
        match store.commit(vec![(JournalId::FIRST, write)]).unwrap().remove(0) {
            Outcome::Note(Ok(note)) => note.id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_statement_is_planned_once_however_many_notes_it_looks_up() {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: String::new() };
        let mut store = SqliteStore::open(&dir.path().join("server.db"), options).unwrap();
        write(&mut store, None, "milk", "2026-11-23T09:00:00.000+08:00");
        let (own_chain, journal, all) = (OwnChain::Fresh, JournalId::FIRST, Query::default());
        let search = Search::new(&store.conn, own_chain, journal, &all).unwrap().unwrap();
        for key in 0..20 {
            search.load(key).unwrap();
        }
        let statement = store.conn.prepare_cached(IN_RANGE).unwrap();
        assert_eq!(statement.get_status(rusqlite::StatementStatus::Run), 20);
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[test]
    fn what_the_index_has_not_seen_is_found_and_what_is_gone_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.db");
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: String::new() };
        let mut store = SqliteStore::open(&path, options).unwrap();
        let [early, late] = ["2026-11-22T09:00:00.000+08:00", "2026-11-23T09:00:00.000+08:00"];
        let ids: Vec<_> =
            (0..6).map(|n| write(&mut store, None, &format!("milk {n} @shop"), late)).collect();
        let mut conn = super::super::open::reader(&path, OwnChain::Fresh).unwrap();
        let mut index = Index::open(&path).unwrap();
        assert_eq!(index.catch_up(&mut conn, usize::MAX).unwrap(), 0);

        // Changed, moved, deleted, moved, changed but still fitting, and new.
        write(&mut store, Some(ids[0]), "tea 0 @home", late);
        write(&mut store, Some(ids[1]), "milk 1 moved @shop", early);
        write(&mut store, Some(ids[2]), "", late);
        write(&mut store, Some(ids[3]), "milk 3 moved", early);
        write(&mut store, Some(ids[4]), "milk 4 still @shop", late);
        write(&mut store, None, "milk 6 @shop", late);

        let snapshot = index.snapshot().unwrap();
        assert_eq!(snapshot.position, 6, "the index is late");
        let query = |text: Option<&str>, tag: Option<&str>, limit| Query {
            text: text.map(str::to_owned),
            tags: tag.map(str::to_owned).into_iter().collect(),
            limit,
            ..Query::default()
        };
        let queries = [
            query(Some("milk"), None, None),
            query(Some("milk"), None, Some(2)),
            query(Some("tea"), None, None),
            query(Some("moved"), None, Some(1)),
            query(None, Some("shop"), None),
            query(None, Some("shop"), Some(3)),
            query(None, Some("home"), None),
            query(Some("milk"), Some("shop"), None),
        ];
        for (query, count) in queries.iter().zip([5, 2, 1, 1, 4, 3, 1, 4]) {
            let search = Search::new(&conn, OwnChain::Fresh, JournalId::FIRST, query);
            let mut search = search.unwrap().unwrap();
            let found = search.notes(Some(&snapshot)).unwrap();
            assert_eq!(found, search.notes(None).unwrap(), "{query:?}");
            assert_eq!(found.len(), count, "{query:?}");
        }
    }
}
