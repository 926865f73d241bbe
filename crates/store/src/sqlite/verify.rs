//! Whether a store is whole: every hash, link, number and note in it.

mod changes;
mod notes;
mod rest;

use std::fmt;
use std::path::Path;

use rusqlite::Connection;
use suibi_journal::ChainId;

use super::{migrate, open};
use crate::{JournalId, StoreError};
use changes::Changes;

/// How many problems are told one by one.
pub const MAX_PROBLEMS: usize = 1000;

/// What a look through a whole store found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many changes there are.
    pub changes: u64,
    /// How many chains have changes.
    pub chains: u64,
    /// How many notes there are, deleted ones counted.
    pub notes: u64,
    /// How many changes have no content any more because it was erased.
    pub purged: u64,
    /// What is wrong, the first [`MAX_PROBLEMS`].
    pub problems: Vec<Problem>,
    /// How many problems there are beyond those.
    pub more_problems: u64,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Something that is wrong in a store, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Of which sort.
    pub kind: ProblemKind,
    /// The journal, where it concerns one.
    pub journal: Option<JournalId>,
    /// The chain, where it concerns one.
    pub chain: Option<ChainId>,
    /// The place in the chain.
    pub seq: Option<u64>,
    /// The position in the feed of this store.
    pub position: Option<u64>,
    /// What is wrong, in words.
    pub what: String,
}

/// Sorts of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The database itself: pages, trees, indexes, tables that do not fit each other.
    File,
    /// A change that cannot be read, or is not the one that its row says.
    Change,
    /// A content that cannot be read, or is not its change's.
    Content,
    /// A chain with a gap, with two changes in one place, or a change that does not follow the one before.
    Chain,
    /// A running hash, a number or an end of the feed.
    Feed,
    /// A note that is not what its changes fold into, or a change without its note.
    Note,
    /// The outbox or a receipt.
    Outbox,
    /// The full-text index. It is made again by itself.
    Index,
}

impl ProblemKind {
    /// One word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Change => "change",
            Self::Content => "content",
            Self::Chain => "chain",
            Self::Feed => "feed",
            Self::Note => "note",
            Self::Outbox => "outbox",
            Self::Index => "index",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chain, seq, position, what, .. } = self;
        match (chain, seq, position) {
            (Some(chain), Some(seq), Some(position)) => {
                write!(f, "change {seq} of chain {chain} (position {position}): {what}")
            }
            (Some(chain), Some(seq), None) => write!(f, "change {seq} of chain {chain}: {what}"),
            (Some(chain), None, _) => write!(f, "chain {chain}: {what}"),
            (None, _, Some(position)) => write!(f, "position {position}: {what}"),
            (None, ..) => f.write_str(what),
        }
    }
}

/// Looks through the store in a file, one journal or all: one state of it, while others may go on writing.
///
/// `progress` is told how many changes were looked at, and of how many.
///
/// # Errors
/// Only when there is nothing to look at: no such file, a file of something else or of a newer
/// program, a disk that cannot be read. Damage is no error but a [`Problem`].
pub fn verify(
    path: &Path,
    journal: Option<JournalId>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verified, StoreError> {
    let mut conn = open::visitor(path)?;
    let mut look = Look { journal, found: Verified::default() };
    let known = migrate::MIGRATIONS.len() as u32;
    match migrate::version(&conn, path) {
        Ok(0) => return Err(StoreError::Foreign(path.display().to_string())),
        Ok(found) if found > known => return Err(StoreError::Newer { found, known }),
        // Nothing can be read through a damaged schema.
        Err(StoreError::Corrupt(what)) => {
            look.problem(ProblemKind::File, what);
            return Ok(look.found);
        }
        other => other?,
    };
    let tx = conn.transaction()?;
    look.part("the file", |look| look.pages(&tx))?;
    let mut changes = Changes::default();
    look.part("the table of chains", |look| changes.read_chains(look, &tx))?;
    look.part("the table of changes", |look| changes.read(look, &tx, progress))?;
    look.part("the table of chains", |look| changes.compare_chains(look))?;
    look.part("the table of feeds", |look| changes.compare_feeds(look, &tx))?;
    look.part("the table of notes", |look| notes::compare(look, &tx, changes.claims))?;
    look.part("the outbox", |look| rest::outbox(look, &tx))?;
    if look.found.is_clean() {
        // Of a store that is not right, the index cannot be.
        rest::index(&mut look, &tx, path);
    }
    Ok(look.found)
}

/// A look through a store, as far as it is.
struct Look {
    /// Only this one.
    journal: Option<JournalId>,
    found: Verified,
}

impl Look {
    /// A part of the look. Damage ends the part and is a problem; other trouble ends the look.
    fn part(
        &mut self,
        name: &str,
        look: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match look(self) {
            Err(StoreError::Corrupt(what)) => {
                self.problem(
                    ProblemKind::File,
                    format!("{name} cannot be read to its end: {what}"),
                );
                Ok(())
            }
            other => other,
        }
    }

    fn problem(&mut self, kind: ProblemKind, what: impl Into<String>) {
        self.add(Problem {
            kind,
            journal: None,
            chain: None,
            seq: None,
            position: None,
            what: what.into(),
        });
    }

    fn add(&mut self, problem: Problem) {
        if self.found.problems.len() < MAX_PROBLEMS {
            self.found.problems.push(problem);
        } else {
            self.found.more_problems += 1;
        }
    }

    fn wants(&self, journal: JournalId) -> bool {
        self.journal.is_none_or(|only| only == journal)
    }

    /// What SQLite has to say about its trees.
    fn pages(&mut self, conn: &Connection) -> Result<(), StoreError> {
        let mut statement = conn.prepare(&format!("PRAGMA integrity_check({MAX_PROBLEMS})"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                self.problem(ProblemKind::File, line);
            }
        }
        Ok(())
    }
}
