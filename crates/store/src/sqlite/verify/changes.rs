//! The changes themselves, in one run through their table: hashes, links, numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rusqlite::{Connection, Row};
use suibi_journal::{ChainId, Change, Content, Cursor, DecodeError, Hash, NoteId};

use super::{Look, Problem, ProblemKind};
use crate::{JournalId, StoreError};

/// After how many changes progress is told.
const STEP: u64 = 1000;

/// What a run through the changes has seen.
#[derive(Default)]
pub(super) struct Changes {
    /// By their short names.
    chains: BTreeMap<i64, Chain>,
    feeds: BTreeMap<JournalId, (Cursor, u64)>,
    /// Which changes each note has to have.
    pub(super) claims: HashMap<(JournalId, NoteId), Claim>,
}

/// Positions, in no more room than two numbers.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) count: u64,
    sum: u64,
    /// One of them.
    pub(super) position: u64,
}

impl Claim {
    pub(super) fn add(&mut self, position: u64) {
        self.count += 1;
        // Spread over all bits, so that no two sets of positions have the same sum by chance.
        let spread = (position ^ (position >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.sum =
            self.sum.wrapping_add((spread ^ (spread >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9));
        self.position = position;
    }

    pub(super) fn is_same(self, other: Self) -> bool {
        (self.count, self.sum) == (other.count, other.sum)
    }
}

/// A chain as its row has it, and as its changes do.
struct Chain {
    id: ChainId,
    journal: JournalId,
    said: (u64, Option<Hash>),
    /// The end of what follows without a gap.
    end: (u64, Option<Hash>),
    /// What came before its turn.
    early: BTreeMap<u64, Link>,
    last: (u64, Option<Hash>),
}

/// A change as far as its chain is concerned.
#[derive(Clone, Copy)]
struct Link {
    journal: JournalId,
    position: u64,
    /// Which one it names before it; nothing is known of one that cannot be read.
    previous: Option<Option<Hash>>,
    hash: Hash,
}

/// A row of `changes`.
struct Stored<'r> {
    position: u64,
    journal: JournalId,
    number: u64,
    chain: i64,
    seq: u64,
    hash: Hash,
    running: Hash,
    map: &'r [u8],
    content: Option<&'r [u8]>,
}

impl<'r> Stored<'r> {
    fn read(row: &'r Row<'_>) -> Result<Self, StoreError> {
        let wrong = |error: rusqlite::types::FromSqlError| StoreError::Corrupt(error.to_string());
        Ok(Self {
            position: row.get(0)?,
            journal: JournalId(row.get(1)?),
            number: row.get(2)?,
            chain: row.get(3)?,
            seq: row.get(4)?,
            hash: Hash::from_bytes(row.get(5)?),
            running: Hash::from_bytes(row.get(6)?),
            map: row.get_ref(7)?.as_blob().map_err(wrong)?,
            content: row.get_ref(8)?.as_blob_or_null().map_err(wrong)?,
        })
    }
}

impl Changes {
    pub(super) fn read_chains(
        &mut self,
        look: &mut Look,
        conn: &Connection,
    ) -> Result<(), StoreError> {
        let mut statement = conn.prepare("SELECT id, chain, journal, seq, hash FROM chains")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let read = || -> Result<Chain, rusqlite::Error> {
                Ok(Chain {
                    id: ChainId::from_bytes(row.get(1)?),
                    journal: JournalId(row.get(2)?),
                    said: (row.get(3)?, row.get::<_, Option<_>>(4)?.map(Hash::from_bytes)),
                    end: (0, None),
                    early: BTreeMap::new(),
                    last: (0, None),
                })
            };
            match read() {
                Ok(chain) => {
                    self.chains.insert(row.get(0)?, chain);
                }
                Err(error) => {
                    look.problem(
                        ProblemKind::File,
                        format!("a row of the table of chains: {error}"),
                    );
                }
            }
        }
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        look: &mut Look,
        conn: &Connection,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StoreError> {
        let of: u64 = conn.query_row(
            "SELECT coalesce(sum(number), 0) FROM feeds WHERE ?1 IS NULL OR journal = ?1",
            [look.journal.map(|journal| journal.0)],
            |row| row.get(0),
        )?;
        progress(0, of);
        let mut statement = conn.prepare(
            "SELECT position, journal, number, chain, seq, hash, running, map, content
             FROM changes WHERE ?1 IS NULL OR journal = ?1 ORDER BY position",
        )?;
        let mut rows = statement.query([look.journal.map(|journal| journal.0)])?;
        while let Some(row) = rows.next()? {
            match Stored::read(row) {
                Ok(stored) => self.take(look, &stored),
                Err(error) => look.add(Problem {
                    kind: ProblemKind::Change,
                    journal: None,
                    chain: None,
                    seq: None,
                    position: row.get(0).ok(),
                    what: format!("its row cannot be read: {error}"),
                }),
            }
            look.found.changes += 1;
            if look.found.changes.is_multiple_of(STEP) {
                progress(look.found.changes, of.max(look.found.changes));
            }
        }
        progress(look.found.changes, look.found.changes);
        Ok(())
    }

    fn take(&mut self, look: &mut Look, stored: &Stored<'_>) {
        let Stored { position, journal, seq, .. } = *stored;
        let chain = self.chains.get(&stored.chain).map(|chain| chain.id);
        let mut problem = |kind, what: String| look.add(at(stored, chain, kind, what));
        if Hash::of(stored.map) != stored.hash {
            let found = Hash::of(stored.map);
            let what = format!(
                "its hash is {} and should be {}: one of them was altered",
                found.short(),
                stored.hash.short()
            );
            problem(ProblemKind::Change, what);
        }
        let change = match Change::decode(stored.map) {
            Ok(change) => Some(change),
            Err(error) => {
                problem(ProblemKind::Change, format!("it cannot be read: {error}"));
                None
            }
        };
        if let Some(change) = &change {
            if Some(change.chain) != chain || change.seq != seq {
                let (chain, seq) = (change.chain, change.seq);
                problem(
                    ProblemKind::Change,
                    format!("it is change {seq} of chain {chain} by itself"),
                );
            }
            match check_content(change, stored.content) {
                Ok(()) => {}
                Err(DecodeError::ContentHash) => {
                    let what = "its content is not the one that was written: the hash differs";
                    problem(ProblemKind::Content, what.to_owned());
                }
                Err(error) => {
                    problem(ProblemKind::Content, format!("its content cannot be read: {error}"));
                }
            }
            self.claims.entry((journal, change.note)).or_default().add(position);
        }
        let (cursor, number) = self.feeds.entry(journal).or_insert((Cursor::START, 0));
        let expected = cursor.next(position, stored.hash);
        if expected.running != stored.running {
            problem(ProblemKind::Feed, "the running hash of the feed does not follow".to_owned());
        }
        if stored.number != *number + 1 {
            let what = format!(
                "it is counted as change {} of the feed after change {number}",
                stored.number
            );
            problem(ProblemKind::Feed, what);
        }
        // From here on as it is written, so that one mistake is told once.
        (*cursor, *number) = (Cursor { position, running: stored.running }, stored.number);
        look.found.purged += u64::from(stored.content.is_none());
        let Some(chain) = self.chains.get_mut(&stored.chain) else {
            let what = format!("its chain, number {} in this file, is not there", stored.chain);
            return look.add(at(stored, None, ProblemKind::Chain, what));
        };
        if chain.journal != journal {
            let what = "it is in another journal than its chain".to_owned();
            look.add(at(stored, Some(chain.id), ProblemKind::Chain, what));
        }
        let previous = change.map(|change| change.previous);
        chain.take(look, seq, Link { journal, position, previous, hash: stored.hash });
    }

    /// After all changes: gaps, and whether each chain ends where its row says.
    pub(super) fn compare_chains(&mut self, look: &mut Look) -> Result<(), StoreError> {
        for chain in self.chains.values_mut() {
            if !look.wants(chain.journal) {
                continue;
            }
            look.found.chains += u64::from(chain.last.0 > 0);
            chain.close(look);
        }
        Ok(())
    }

    pub(super) fn compare_feeds(
        &mut self,
        look: &mut Look,
        conn: &Connection,
    ) -> Result<(), StoreError> {
        let mut statement = conn.prepare("SELECT journal, position, number, running FROM feeds")?;
        let mut rows = statement.query([])?;
        let mut said = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let cursor = Cursor { position: row.get(1)?, running: Hash::from_bytes(row.get(3)?) };
            said.insert(JournalId(row.get(0)?), (cursor, row.get::<_, u64>(2)?));
        }
        let journals: BTreeSet<_> = said.keys().chain(self.feeds.keys()).copied().collect();
        for journal in journals {
            if !look.wants(journal) {
                continue;
            }
            let start = (Cursor::START, 0);
            let (said, found) = (said.get(&journal), self.feeds.get(&journal));
            let (said, found) = (*said.unwrap_or(&start), *found.unwrap_or(&start));
            if said != found {
                let what = format!(
                    "the feed ends at position {} with {} changes, and should end at {} with {}",
                    found.0.position, found.1, said.0.position, said.1
                );
                look.add(Problem {
                    kind: ProblemKind::Feed,
                    journal: Some(journal),
                    chain: None,
                    seq: None,
                    position: Some(found.0.position),
                    what,
                });
            }
        }
        Ok(())
    }
}

impl Chain {
    fn take(&mut self, look: &mut Look, seq: u64, link: Link) {
        if seq > self.last.0 {
            self.last = (seq, Some(link.hash));
        }
        if seq <= self.end.0 || self.early.contains_key(&seq) {
            return look.add(self.problem(seq, link, "another change has this place as well"));
        }
        if seq > self.end.0 + 1 {
            self.early.insert(seq, link);
            return;
        }
        self.follow(look, seq, link);
        while let Some(link) = self.early.remove(&(self.end.0 + 1)) {
            self.follow(look, self.end.0 + 1, link);
        }
    }

    /// The next change, whatever it is.
    fn follow(&mut self, look: &mut Look, seq: u64, link: Link) {
        // One that cannot be read names nothing; that was told.
        if link.previous.is_some_and(|previous| previous != self.end.1) {
            let what = "it names another change before it than the one that is there";
            look.add(self.problem(seq, link, what));
        }
        self.end = (seq, Some(link.hash));
    }

    fn close(&mut self, look: &mut Look) {
        while let Some((seq, link)) = self.early.pop_first() {
            if seq > self.end.0 + 1 {
                let (first, last) = (self.end.0 + 1, seq - 1);
                let what = if first == last {
                    format!("change {first} is missing")
                } else {
                    format!("changes {first} to {last} are missing")
                };
                look.add(self.whole(what));
                // What it names is among the missing.
                self.end = (seq, Some(link.hash));
            } else {
                self.follow(look, seq, link);
            }
        }
        if self.said != self.last {
            let end = |(seq, hash): (u64, Option<Hash>)| match hash {
                Some(hash) => format!("change {seq} ({})", hash.short()),
                None => "nothing".to_owned(),
            };
            let what = format!("its last is {}, and should be {}", end(self.last), end(self.said));
            look.add(self.whole(what));
        }
    }

    fn problem(&self, seq: u64, link: Link, what: &str) -> Problem {
        Problem {
            kind: ProblemKind::Chain,
            journal: Some(link.journal),
            chain: Some(self.id),
            seq: Some(seq),
            position: Some(link.position),
            what: what.to_owned(),
        }
    }

    fn whole(&self, what: String) -> Problem {
        let (journal, chain) = (Some(self.journal), Some(self.id));
        Problem { kind: ProblemKind::Chain, journal, chain, seq: None, position: None, what }
    }
}

/// Whether the content is the change's own; one that was erased is.
fn check_content(change: &Change, content: Option<&[u8]>) -> Result<(), DecodeError> {
    let Some(content) = content else { return Ok(()) };
    if Hash::of(content) != change.content {
        return Err(DecodeError::ContentHash);
    }
    Content::decode(content).map(drop)
}

fn at(stored: &Stored<'_>, chain: Option<ChainId>, kind: ProblemKind, what: String) -> Problem {
    let (journal, seq) = (Some(stored.journal), Some(stored.seq));
    Problem { kind, journal, chain, seq, position: Some(stored.position), what }
}
