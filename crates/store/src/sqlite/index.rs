//! The second file: words and tags of the notes, for search.
//!
//! It follows the changes of the first file and says how far it is, so it can be late, it can be
//! made again from nothing, and anybody who has time may bring it on. A note is indexed at the
//! last of its changes. Its row id here is its key there, so that "newest first" costs nothing.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use suibi_journal::pinyin::indexed;
use suibi_journal::{Body, Change, Content, NoteId, Term, Unwanted, is_starred, tags};

use super::marks;
use super::notes::{self, DELETED, FOLDED, NoteRow, PURGED};
use super::open::{self, APPLICATION_ID};
use super::sounds;
use crate::{JournalId, StoreError};

/// Another number, and every index is made again.
const VERSION: i32 = 5;

/// The key in the store's `meta` of a number that rises whenever changes leave the store.
pub(crate) const INDEX_EPOCH: &str = "index-epoch";

/// Bounds of one transaction, so that other processes get their turn.
const CHUNK_CHANGES: usize = 1024;
const CHUNK_BYTES: usize = 4 << 20;
/// So many words with the same beginning are asked for one by one.
pub(super) const MOST_WORDS: usize = 32;
/// Pages of the tree of words that one step after a purge writes.
const MERGE_PAGES: i64 = 1000;

// The tokens are made by `journal` and the marks by `marks.rs`: none has an ASCII character but letters in
// lower case and digits, and this tokenizer cuts nowhere else.
const SCHEMA: &str = "
    CREATE VIRTUAL TABLE words USING
        fts5(body, content='', contentless_delete=1, tokenize='ascii');
    -- Which words there are; it keeps nothing.
    CREATE VIRTUAL TABLE vocabulary USING fts5vocab('words', 'instance');
    -- What a note is counted for.
    CREATE TABLE tagged (
        journal INTEGER NOT NULL,
        name    TEXT    NOT NULL,
        key     INTEGER NOT NULL,
        sigil   TEXT    NOT NULL,
        PRIMARY KEY (journal, name, key)
    ) WITHOUT ROWID;
    CREATE INDEX tagged_key ON tagged (key);
    -- How many notes have a tag. None: there is no row.
    CREATE TABLE tags (
        journal INTEGER NOT NULL,
        name    TEXT    NOT NULL,
        notes   INTEGER NOT NULL,
        PRIMARY KEY (journal, name)
    ) WITHOUT ROWID;
    -- One row: up to which change, and the mark of that one, by which another file is noticed; and the
    -- last purge whose note may still have traces in this file, 0 for none.
    CREATE TABLE progress (position INTEGER NOT NULL, mark BLOB, purge INTEGER NOT NULL);
    INSERT INTO progress VALUES (0, NULL, 0);
";

/// The index of one store.
#[derive(Debug)]
pub(crate) struct Index {
    conn: Connection,
    path: PathBuf,
    /// The last purge of whose note nothing is left in the file itself.
    forgotten: u64,
}

/// One state of the index.
pub(crate) struct Snapshot<'i> {
    tx: Transaction<'i>,
    /// Every change up to this one is in it.
    pub(crate) position: u64,
}

impl Index {
    /// Opens the index of a store. A file that is damaged or of something else is made anew.
    pub(crate) fn open(store: &Path) -> Result<Self, StoreError> {
        let path = open::index_path(store);
        let conn = match open(&path) {
            Err(error) if error.is_damage() => {
                remove(&path, &error);
                open(&path)?
            }
            other => other?,
        };
        Ok(Self { conn, path, forgotten: 0 })
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Throws the index away.
    pub(crate) fn discard(self, why: &StoreError) {
        let Self { conn, path, .. } = self;
        drop(conn);
        remove(&path, why);
    }

    /// Indexes up to about `max_changes` changes and says how many are left.
    pub(crate) fn catch_up(
        &mut self,
        store: &mut Connection,
        max_changes: usize,
    ) -> Result<u64, StoreError> {
        let mut left = max_changes;
        loop {
            // Most often there is nothing to do, and a write lock is not needed to see that.
            if Self::is_up_to_date(&self.conn, store)? {
                return Ok(0);
            }
            let (done, behind) = self.index_chunk(store, left.min(CHUNK_CHANGES))?;
            left = left.saturating_sub(done);
            if behind == 0 || left == 0 || done == 0 {
                return Ok(behind);
            }
        }
    }

    /// Does a part of what is left to do after a purge, and says whether the next part can follow.
    ///
    /// A word that was deleted stays in the tree until all of the tree is merged; then it is on pages
    /// that are free, and then in the log.
    pub(crate) fn erase_step(&mut self) -> Result<bool, StoreError> {
        let Progress { purge, .. } = progress(&self.conn)?;
        if purge == 0 {
            return Ok(false);
        }
        if self.forgotten != purge {
            let before = self.conn.total_changes();
            self.conn
                .prepare_cached("INSERT INTO words (words, rank) VALUES ('merge', ?1)")?
                .execute([-MERGE_PAGES])?;
            // Fewer than two rows written: there was nothing to merge any more.
            if self.conn.total_changes() - before >= 2 {
                return Ok(true);
            }
            self.conn.execute_batch("VACUUM")?;
            self.forgotten = purge;
        }
        if open::empty_log(&self.conn)? {
            // A later one has another number.
            self.conn.execute("UPDATE progress SET purge = 0 WHERE purge = ?1", [purge])?;
        }
        Ok(false)
    }

    /// Whether nothing is left to do after a purge.
    pub(crate) fn is_clean(&self) -> Result<bool, StoreError> {
        Ok(progress(&self.conn)?.purge == 0)
    }

    /// The index as it is now, for several questions.
    pub(crate) fn snapshot(&mut self) -> Result<Snapshot<'_>, StoreError> {
        let tx = self.conn.transaction()?;
        let position = progress(&tx)?.position;
        Ok(Snapshot { tx, position })
    }

    /// Whether the index that a connection has open knows all of a store.
    pub(crate) fn is_up_to_date(
        index: &Connection,
        store: &Connection,
    ) -> Result<bool, StoreError> {
        let Progress { position, mark, .. } = progress(index)?;
        Ok(last_change(store)? == position && mark_at(store, position)? == mark)
    }

    /// How many changes were indexed, and how many are left.
    fn index_chunk(
        &mut self,
        store: &mut Connection,
        max_changes: usize,
    ) -> Result<(usize, u64), StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let store = store.transaction()?;
        let Progress { mut position, mark, .. } = progress(&tx)?;
        if position > 0 && mark_at(&store, position)? != mark {
            tracing::info!("the index is not of this database as it is, it is made again");
            clear(&tx)?;
            position = 0;
        }
        let mut chunk = Chunk::default();
        let (mut done, mut bytes) = (0, 0);
        {
            let mut statement = store.prepare_cached(
                "SELECT position, journal, map, content FROM changes
                 WHERE position > ?1 ORDER BY position LIMIT ?2",
            )?;
            let mut rows = statement.query(params![position, max_changes as i64])?;
            while let Some(row) = rows.next()? {
                let content: Option<Vec<u8>> = row.get(3)?;
                bytes += content.as_ref().map_or(0, Vec::len);
                position = row.get(0)?;
                let map: Vec<u8> = row.get(2)?;
                chunk.add(&store, position, JournalId(row.get(1)?), &map, content)?;
                done += 1;
                if bytes > CHUNK_BYTES {
                    break;
                }
            }
        }
        let purge = chunk.purge;
        chunk.write(&tx)?;
        tx.prepare_cached("UPDATE progress SET position = ?1, mark = ?2, purge = max(purge, ?3)")?
            .execute(params![position, mark_at(&store, position)?, purge])?;
        // There are few holes between positions, and counting would read all that is left, chunk by chunk.
        let behind = last_change(&store)?.saturating_sub(position);
        tx.commit()?;
        if purge > 0 {
            self.forgotten = 0;
        }
        Ok((done, behind))
    }
}

impl Snapshot<'_> {
    /// What is wanted in the words of the index. `None`: nothing is that the index knows of.
    pub(crate) fn question(&self, wanted: &Wanted<'_>) -> Result<Option<Question>, StoreError> {
        let mut parts = Vec::new();
        let mut is_broad = false;
        if let Some(journal) = wanted.journal {
            parts.push(quoted(&marks::journal(journal)));
        }
        for tag in wanted.tags {
            parts.push(self.tagged(tag, &mut is_broad)?);
        }
        if wanted.starred {
            parts.push(quoted(&marks::star()));
        }
        if let Some(from) = &wanted.from {
            let mut anyone = vec![
                quoted(&marks::source(from.name)),
                format!("{} *", quoted(&marks::ports_of(from.name))),
            ];
            anyone.extend(from.chains.iter().map(|id| quoted(&marks::chain(*id))));
            parts.push(format!("({})", anyone.join(" OR ")));
        }
        for term in wanted.terms {
            parts.push(self.term(term, &mut is_broad)?);
        }
        let mut expression = parts.join(" AND ");
        if expression.is_empty() {
            return Ok(None);
        }
        for not in wanted.not {
            let unwanted = match not {
                Unwanted::Tag(tag) => self.tagged(tag, &mut is_broad)?,
                Unwanted::Term(term) => self.term(term, &mut is_broad)?,
            };
            expression = format!("({expression}) NOT ({unwanted})");
        }
        Ok(Some(Question { expression, is_broad }))
    }

    /// A tag, or one below it.
    fn tagged(&self, tag: &str, is_broad: &mut bool) -> Result<String, StoreError> {
        let below = self.begins(&marks::tags_below(tag), is_broad)?;
        Ok(format!("({} OR {below})", quoted(&marks::tag(tag))))
    }

    fn term(&self, term: &Term, is_broad: &mut bool) -> Result<String, StoreError> {
        Ok(match term {
            Term::Word(word) => quoted(&word.word),
            Term::Prefix(start) => self.begins(&start.word, is_broad)?,
            Term::Phrase(words) => {
                let words: Vec<&str> = words.iter().map(|word| word.word.as_str()).collect();
                quoted(&words.join(" "))
            }
            Term::Sounding(written, readings) => {
                let mut ways = vec![self.term(written, is_broad)?];
                for sounds in &readings.sure {
                    ways.extend(sounds::question(self, sounds, is_broad)?);
                }
                format!("({})", ways.join(" OR "))
            }
        })
    }

    /// Any word that begins like this.
    fn begins(&self, start: &str, is_broad: &mut bool) -> Result<String, StoreError> {
        // FTS5 puts the notes of all words with a beginning into one list before it gives the first. Of
        // single words it takes the notes one after the other, as many as are wanted.
        Ok(match self.beginning_with(start)? {
            Some(words) => format!("({})", words.join(" OR ")),
            None => {
                *is_broad = true;
                format!("{} *", quoted(start))
            }
        })
    }

    /// Whether some note has a word.
    pub(crate) fn has(&self, word: &str) -> Result<bool, StoreError> {
        Ok(self.next_word(word)?.is_some_and(|next| next == word.as_bytes()))
    }

    /// The first word that is not before `from`; where it is long, perhaps cut within a character.
    pub(super) fn next_word(&self, from: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let mut statement = self.tx.prepare_cached(NEXT_WORD)?;
        Ok(statement
            .query_row([from], |row| Ok(row.get_ref(0)?.as_bytes()?.to_vec()))
            .optional()?)
    }

    /// Gives `take` the keys of the notes that have all that is asked for, newest first, until it says that it has
    /// enough.
    pub(crate) fn each(
        &self,
        question: &Question,
        range: &RangeInclusive<i64>,
        mut take: impl FnMut(i64) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut statement = self.tx.prepare_cached(KEYS)?;
        let mut rows = statement.query(params![question.expression, range.start(), range.end()])?;
        while let Some(row) = rows.next()? {
            if !take(row.get(0)?)? {
                break;
            }
        }
        Ok(())
    }

    /// The words that begin like this, quoted, if they are few, and all of them can be asked for.
    fn beginning_with(&self, start: &str) -> Result<Option<Vec<String>>, StoreError> {
        let mut words = Vec::new();
        let mut from = start.to_owned();
        while words.len() < MOST_WORDS {
            let next = self.next_word(&from)?.filter(|word| word.starts_with(start.as_bytes()));
            match next.map(String::from_utf8) {
                Some(Ok(word)) => {
                    words.push(quoted(&word));
                    // The least that is behind this word.
                    from = word + "\x01";
                }
                // FTS5 cuts a word of more than 32,768 bytes, within a character if need be.
                Some(Err(_)) => return Ok(None),
                // Nothing begins like this: nor has a note the word itself.
                None if words.is_empty() => return Ok(Some(vec![quoted(start)])),
                None => return Ok(Some(words)),
            }
        }
        Ok(None)
    }

    /// The tags: name, the sigil that the newest note has, and how many notes.
    pub(crate) fn tags(&self, journal: JournalId) -> Result<Vec<(String, char, u64)>, StoreError> {
        let mut newest = self.tx.prepare_cached(NEWEST_SIGIL)?;
        let mut names = self.tx.prepare_cached(TAGS)?;
        let mut rows = names.query([journal.0])?;
        let mut tags = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let sigil: String = newest.query_row(params![journal.0, name], |row| row.get(0))?;
            tags.push((name, sigil.chars().next().unwrap_or('#'), row.get(1)?));
        }
        Ok(tags)
    }
}

const KEYS: &str = "SELECT rowid FROM words WHERE words MATCH ?1 AND rowid BETWEEN ?2 AND ?3
     ORDER BY rowid DESC";
const NEXT_WORD: &str = "SELECT term FROM vocabulary WHERE term >= ?1 LIMIT 1";
const TAGS: &str = "SELECT name, notes FROM tags WHERE journal = ?1";
const NEWEST_SIGIL: &str =
    "SELECT sigil FROM tagged WHERE journal = ?1 AND name = ?2 ORDER BY key DESC LIMIT 1";

/// A question in the words of FTS5. Quoted, no token has a meaning of its own.
pub(crate) struct Question {
    expression: String,
    /// The first answer takes long, and most likely there are many.
    pub(crate) is_broad: bool,
}

/// What notes are to have.
pub(crate) struct Wanted<'q> {
    /// None: there is only one.
    pub(crate) journal: Option<JournalId>,
    /// Folded names.
    pub(crate) tags: &'q [String],
    pub(crate) starred: bool,
    pub(crate) from: Option<From<'q>>,
    pub(crate) terms: &'q [Term],
    pub(crate) not: &'q [Unwanted],
}

/// Where notes come from: a device, or an address.
pub(crate) struct From<'q> {
    pub(crate) name: &'q str,
    /// The chains of a device of this name.
    pub(crate) chains: Vec<i64>,
}

/// What a run of changes does to the index.
#[derive(Default)]
struct Chunk {
    gone: Vec<i64>,
    /// In the order of keys: words that come in their order go into the tree in one piece.
    texts: BTreeMap<i64, Text>,
    /// The last purge in it, 0 for none.
    purge: u64,
}

/// What is to be found of a note.
struct Text {
    journal: JournalId,
    chain: i64,
    source: Option<String>,
    starred: bool,
    text: String,
}

impl Chunk {
    fn add(
        &mut self,
        store: &Connection,
        position: u64,
        journal: JournalId,
        map: &[u8],
        content: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let change = Change::decode(map)
            .map_err(|error| StoreError::Corrupt(format!("change at {position}: {error}")))?;
        let Some((row, chain, source)) = find(store, journal, change.note)? else {
            return Err(StoreError::Corrupt(format!("note {} has no row", change.note)));
        };
        if row.first != position {
            let moved: Option<i64> = store
                .prepare_cached("SELECT key FROM moved WHERE position = ?1")?
                .query_row([position], |row| row.get(0))
                .optional()?;
            self.gone.extend(moved);
        }
        if row.state & PURGED != 0
            && let Some(content) = &content
            && notes::is_purge(position, content)?
        {
            // The note may have been in the index, in several versions even.
            self.gone.push(row.key);
            self.purge = position;
        }
        // A later change of the note will bring what it says then.
        if row.last != position {
            return Ok(());
        }
        if row.first != position {
            self.gone.push(row.key);
        }
        if row.state & DELETED == 0
            && let Some((text, starred)) = text(store, row, position, content)?
        {
            self.texts.insert(row.key, Text { journal, chain, source, starred, text });
        }
        Ok(())
    }

    fn write(self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        let mut counts: BTreeMap<(JournalId, String), i64> = BTreeMap::new();
        let mut forget_words = tx.prepare_cached("DELETE FROM words WHERE rowid = ?1")?;
        let mut forget_tags =
            tx.prepare_cached("DELETE FROM tagged WHERE key = ?1 RETURNING journal, name")?;
        for key in self.gone {
            forget_words.execute([key])?;
            let mut rows = forget_tags.query([key])?;
            while let Some(row) = rows.next()? {
                *counts.entry((JournalId(row.get(0)?), row.get(1)?)).or_default() -= 1;
            }
        }
        let mut add_words = tx.prepare_cached("INSERT INTO words (rowid, body) VALUES (?1, ?2)")?;
        let mut add_tag = tx.prepare_cached(
            "INSERT OR IGNORE INTO tagged (journal, name, key, sigil) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (key, Text { journal, chain, source, starred, text }) in self.texts {
            let tags = tags(&text);
            let mut words = vec![marks::journal(journal), marks::chain(chain)];
            words.extend(source.as_deref().map(marks::source));
            words.extend(starred.then(marks::star));
            words.extend(tags.iter().map(|tag| marks::tag(&tag.name)));
            let (mut tokens, pairs) = indexed(&text);
            words.extend(pairs.into_iter().map(marks::pair));
            words.append(&mut tokens);
            add_words.execute(params![key, words.join(" ")])?;
            for tag in tags {
                let sigil = tag.sigil.to_string();
                let added = add_tag.execute(params![journal.0, tag.name, key, sigil])?;
                *counts.entry((journal, tag.name)).or_default() += added as i64;
            }
        }
        for ((journal, name), notes) in counts.into_iter().filter(|(_, notes)| *notes != 0) {
            let left: i64 = tx
                .prepare_cached(
                    "INSERT INTO tags (journal, name, notes) VALUES (?1, ?2, ?3)
                     ON CONFLICT (journal, name) DO UPDATE SET notes = notes + excluded.notes
                     RETURNING notes",
                )?
                .query_row(params![journal.0, name, notes], |row| row.get(0))?;
            if left <= 0 {
                tx.prepare_cached("DELETE FROM tags WHERE journal = ?1 AND name = ?2")?
                    .execute(params![journal.0, name])?;
            }
        }
        Ok(())
    }
}

/// The row of a note, and who wrote what it shows: the chain, and the address of a client without one.
fn find(
    store: &Connection,
    journal: JournalId,
    id: NoteId,
) -> Result<Option<(NoteRow, i64, Option<String>)>, StoreError> {
    let found = store
        .prepare_cached(
            "SELECT key, first, last, head, state, chain, source FROM notes
             WHERE id = ?1 AND journal = ?2",
        )?
        .query_row(params![id.as_bytes(), journal.0], |row| {
            Ok((NoteRow::of(row)?, row.get(5)?, row.get(6)?))
        })
        .optional()?;
    Ok(found)
}

/// The text of a note, and whether it has a star. `content` is that of the change at `position`, which is the note's last.
fn text(
    store: &Connection,
    row: NoteRow,
    position: u64,
    content: Option<Vec<u8>>,
) -> Result<Option<(String, bool)>, StoreError> {
    let (body, extras) = match content {
        Some(content) if row.head == position && row.state & FOLDED == 0 => {
            let content = Content::decode(&content)
                .map_err(|error| StoreError::Corrupt(format!("content at {position}: {error}")))?;
            (content.body, content.extras)
        }
        _ => {
            let folded = notes::folded(&notes::revisions(store, row.first)?)?;
            (folded.body, folded.extras)
        }
    };
    Ok(match body {
        Body::Text(text) => Some((text, is_starred(&extras))),
        Body::Deleted | Body::Purged => None,
    })
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn open(path: &Path) -> Result<Connection, StoreError> {
    let mut conn = open::index(path)?;
    let version = |conn: &Connection| -> Result<(i32, i32), StoreError> {
        Ok((
            conn.pragma_query_value(None, "application_id", |row| row.get(0))?,
            conn.pragma_query_value(None, "user_version", |row| row.get(0))?,
        ))
    };
    if version(&conn)? == (APPLICATION_ID, VERSION) {
        return Ok(conn);
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match version(&tx)? {
        (APPLICATION_ID, VERSION) => {}
        (0, 0) => {
            tx.execute_batch(SCHEMA)?;
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", VERSION)?;
        }
        (_, other) => {
            return Err(StoreError::Corrupt(format!("an index of version {other}")));
        }
    }
    tx.commit()?;
    Ok(conn)
}

fn remove(path: &Path, why: &StoreError) {
    tracing::warn!(index = %path.display(), %why, "the index is made again");
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // What cannot be removed is met again when the file is opened.
        let _ = fs::remove_file(name);
    }
}

fn clear(tx: &Transaction<'_>) -> Result<(), StoreError> {
    tx.execute_batch(
        "INSERT INTO words (words) VALUES ('delete-all'); DELETE FROM tagged; DELETE FROM tags;",
    )?;
    Ok(())
}

/// How far the index is.
struct Progress {
    position: u64,
    mark: Option<Vec<u8>>,
    purge: u64,
}

fn progress(conn: &Connection) -> Result<Progress, StoreError> {
    let mut statement = conn.prepare_cached("SELECT position, mark, purge FROM progress")?;
    let progress = statement.query_row([], |row| {
        Ok(Progress { position: row.get(0)?, mark: row.get(1)?, purge: row.get(2)? })
    })?;
    Ok(progress)
}

/// The position of the last change, 0 where there is none.
fn last_change(store: &Connection) -> Result<u64, StoreError> {
    let last = store
        .prepare_cached("SELECT position FROM changes ORDER BY position DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0))
}

/// What an index that ends with this change has to remember: the change's hash, and how often
/// changes have left the store ([`INDEX_EPOCH`]), which no later change tells.
fn mark_at(store: &Connection, position: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let found = store
        .prepare_cached(
            "SELECT hash, coalesce((SELECT value FROM meta WHERE key = ?2), '') FROM changes
             WHERE position = ?1",
        )?
        .query_row(params![position, INDEX_EPOCH], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, String>(1)?))
        })
        .optional()?;
    Ok(found.map(|(hash, epoch)| [hash, epoch.into_bytes()].concat()))
}
