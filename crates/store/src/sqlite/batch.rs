//! One write transaction: changes are appended, chains and feeds go on, notes follow.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use suibi_journal::{Body, ChainId, Cursor, Entry, Hash, Receipt, Refusal};

use super::chains::{Chain, Chains};
use super::key::NextKeys;
use super::notes;
use super::own::OwnNote;
use super::rows::{self, NewChange, Rows};
use super::{OwnChain, SqliteOptions};
use crate::random::Chance;
use crate::{JournalId, Outcome, StoreError, Write};

/// Chains that are remembered between transactions, at most.
const CHAINS: usize = 20_000;

/// What the file held at the end of the last transaction, so that the next one need not ask.
///
/// Believed only while no other process has written since (`PRAGMA data_version`).
#[derive(Debug, Default)]
pub(crate) struct Cache {
    version: Option<i64>,
    /// The last position of all journals.
    pub(super) position: u64,
    feeds: BTreeMap<JournalId, Feed>,
    chains: Chains,
    pub(super) next_keys: NextKeys,
    /// The own chains of a server, one in each journal. They belong to this opening of the file, so
    /// they outlive what others write.
    pub(crate) own: BTreeMap<JournalId, ChainId>,
}

/// The end of a journal's feed.
#[derive(Debug, Clone, Copy)]
struct Feed {
    end: Cursor,
    number: u64,
    /// Whether this transaction has moved it on.
    touched: bool,
}

/// One write transaction, in one journal at a time.
pub(crate) struct Batch<'t> {
    conn: &'t Connection,
    /// What goes to `changes` and `notes` next.
    pub(super) rows: Rows<'t>,
    pub(crate) options: &'t SqliteOptions,
    pub(crate) cache: &'t mut Cache,
    pub(crate) chance: &'t mut Chance,
    /// The journal that it is in.
    pub(crate) journal: JournalId,
    /// The feed of that journal.
    feed: Feed,
    /// The feeds of the journals that it was in before.
    left: BTreeMap<JournalId, Feed>,
    /// Chains that were moved on, by their places in the cache.
    touched: Vec<usize>,
    /// Notes more or fewer on each day of each journal.
    pub(super) days: BTreeMap<(i32, JournalId), i64>,
    /// Whether contents were erased.
    pub(super) erased: bool,
}

impl<'t> Batch<'t> {
    /// `conn` is in a write transaction.
    pub(crate) fn begin(
        conn: &'t Connection,
        cache: &'t mut Cache,
        chance: &'t mut Chance,
        options: &'t SqliteOptions,
        journal: JournalId,
    ) -> Result<Self, StoreError> {
        let version =
            conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if cache.version != Some(version) || cache.chains.len() > CHAINS {
            let own = match options.own_chain {
                OwnChain::Fresh => std::mem::take(&mut cache.own),
                OwnChain::Kept => BTreeMap::new(),
            };
            *cache = Cache { version: Some(version), own, ..Cache::default() };
            cache.position =
                conn.query_row("SELECT coalesce(max(position), 0) FROM feeds", [], |row| {
                    row.get(0)
                })?;
        }
        let feed = feed(conn, cache, journal)?;
        let (rows, touched, days) = (Rows::new(conn), Vec::new(), BTreeMap::new());
        let (left, erased) = (BTreeMap::new(), false);
        Ok(Self { conn, rows, options, cache, chance, journal, feed, left, touched, days, erased })
    }

    /// The database with all that the batch has written up to here, but for `days`, `feeds` and the ends of `chains`:
    /// these come with [`Self::flush`].
    pub(crate) fn tables(&mut self) -> Result<&'t Connection, StoreError> {
        if self.rows.len() > 0 {
            self.write_rows()?;
        }
        Ok(self.conn)
    }

    /// The database for those to whom `changes`, `notes` and `edits` mean nothing: new rows of these may be waiting.
    pub(super) fn aside(&self) -> &'t Connection {
        self.conn
    }

    /// Goes on in another journal.
    pub(crate) fn enter(&mut self, journal: JournalId) -> Result<(), StoreError> {
        if journal == self.journal {
            return Ok(());
        }
        let feed = match self.left.remove(&journal) {
            Some(feed) => feed,
            None => feed(self.conn, self.cache, journal)?,
        };
        self.left.insert(self.journal, self.feed);
        (self.journal, self.feed) = (journal, feed);
        Ok(())
    }

    /// Does one write in the journal that it is in.
    pub(crate) fn take(&mut self, write: Write) -> Result<Outcome, StoreError> {
        match write {
            Write::Push { device, entries, only_new, may_purge } => {
                let mut answers = Vec::with_capacity(entries.len());
                for entry in &entries {
                    answers.push(self.push(&device, entry, only_new, may_purge)?);
                }
                Ok(Outcome::Pushed(answers))
            }
            Write::Purge { note, now, audit } => {
                self.purge(note, now, audit.as_ref()).map(Outcome::Note)
            }
            Write::Note { id, expect, body, time, extras, now } => {
                self.write_note(OwnNote { id, expect, body, time, extras, now }).map(Outcome::Note)
            }
        }
    }

    /// Takes a change that a device pushes, if it is the next of its chain or there already.
    pub(crate) fn push(
        &mut self,
        device: &str,
        entry: &Entry,
        only_new: bool,
        may_purge: bool,
    ) -> Result<Result<Receipt, Refusal>, StoreError> {
        let change = entry.change();
        let journal = self.journal;
        let (have_seq, have_hash) = match self.chain(change.chain)? {
            Some(chain) if chain.journal != journal => {
                let reason = "its chain belongs to another journal".to_owned();
                return Ok(Err(Refusal::Invalid(reason)));
            }
            Some(chain) => (chain.seq, chain.hash),
            None => (0, None),
        };
        if change.seq > have_seq + 1 {
            return Ok(Err(Refusal::Gap { have_seq, have_hash }));
        }
        if change.seq <= have_seq {
            return Ok(match self.position_of(entry)? {
                Some(position) => Ok(receipt(entry, position)),
                None => Err(Refusal::Fork { have_seq, have_hash }),
            });
        }
        if change.previous != have_hash {
            return Ok(Err(Refusal::Fork { have_seq, have_hash }));
        }
        if only_new && !self.is_new(entry)? {
            return Ok(Err(Refusal::Invalid("this device can only add notes".to_owned())));
        }
        if entry.content().is_some_and(|content| content.body == Body::Purged) {
            if !may_purge {
                let reason = "only a device with the right admin can purge a note".to_owned();
                return Ok(Err(Refusal::Invalid(reason)));
            }
            if change.seq != 1 {
                let reason = "a purge stands in a chain of its own".to_owned();
                return Ok(Err(Refusal::Invalid(reason)));
            }
        }
        let position = self.append(device, entry)?;
        Ok(Ok(receipt(entry, position)))
    }

    /// Whether a change adds a note that is not here, and does nothing else. One that is here with the very same
    /// content was added by the same change, which a rescue wrote on another chain.
    fn is_new(&mut self, entry: &Entry) -> Result<bool, StoreError> {
        let change = entry.change();
        let has_text = entry.content().is_some_and(|content| matches!(content.body, Body::Text(_)));
        if !has_text || !change.parents.is_empty() {
            return Ok(false);
        }
        let tables = self.tables()?;
        let Some(row) = notes::find(tables, self.journal, change.note)? else { return Ok(true) };
        for position in notes::positions(tables, row.first)? {
            if self.entry_at(position)?.change().content == change.content {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a change to the feed, its chain and its note. The caller has seen that it is new.
    pub(crate) fn append(&mut self, device: &str, entry: &Entry) -> Result<u64, StoreError> {
        let change = entry.change();
        let chain = self.continue_chain(device, change.chain, change.seq, entry.hash())?;
        let position = self.cache.position + 1;
        self.cache.position = position;
        self.feed = Feed {
            end: self.feed.end.next(position, entry.hash()),
            number: self.feed.number + 1,
            touched: true,
        };
        let row = NewChange {
            position,
            journal: self.journal,
            number: self.feed.number,
            chain,
            seq: change.seq,
            hash: entry.hash(),
            running: self.feed.end.running,
        };
        self.rows.add_change(row, entry);
        self.place(entry, position, chain)?;
        if self.rows.len() >= rows::MOST {
            self.write_rows()?;
        }
        Ok(position)
    }

    /// The end of a chain, if the store knows the chain.
    pub(crate) fn chain(&mut self, id: ChainId) -> Result<Option<&Chain>, StoreError> {
        Ok(self.find_chain(id)?.map(|place| &*self.cache.chains.at(place)))
    }

    /// Where a chain is in the cache, if the store knows it.
    fn find_chain(&mut self, id: ChainId) -> Result<Option<usize>, StoreError> {
        if let Some(place) = self.cache.chains.find(id) {
            return Ok(Some(place));
        }
        let found = self
            .conn
            .prepare_cached(
                "SELECT id, journal, device <> '', seq, hash FROM chains WHERE chain = ?1",
            )?
            .query_row([id.as_bytes()], |row| {
                Ok(Chain {
                    id: row.get(0)?,
                    journal: JournalId(row.get(1)?),
                    has_device: row.get(2)?,
                    seq: row.get(3)?,
                    hash: row.get::<_, Option<[u8; 32]>>(4)?.map(Hash::from_bytes),
                    touched: false,
                })
            })
            .optional()?;
        Ok(found.map(|chain| self.cache.chains.remember(id, chain)))
    }

    /// Moves the end of a chain on, makes the chain if it is new, and says its short name.
    fn continue_chain(
        &mut self,
        device: &str,
        id: ChainId,
        seq: u64,
        hash: Hash,
    ) -> Result<i64, StoreError> {
        let place = match self.find_chain(id)? {
            Some(place) if device.is_empty() || self.cache.chains.at(place).has_device => place,
            _ => self.set_device(id, device)?,
        };
        let chain = self.cache.chains.at(place);
        // Of another server's feed, a replica may see the end of a chain before its middle.
        if seq > chain.seq {
            (chain.seq, chain.hash) = (seq, Some(hash));
        }
        if !chain.touched {
            chain.touched = true;
            self.touched.push(place);
        }
        Ok(chain.id)
    }

    /// Says whose chain it is. The chain is made if it is not there.
    pub(crate) fn name_chain(&mut self, id: ChainId, device: &str) -> Result<(), StoreError> {
        self.set_device(id, device).map(drop)
    }

    /// [`Self::name_chain`], and where the chain is in the cache.
    fn set_device(&mut self, id: ChainId, device: &str) -> Result<usize, StoreError> {
        // A chain that is there, and not in the cache yet, gets there with its end.
        let known = self.find_chain(id)?;
        let short = self
            .conn
            .prepare_cached(
                "INSERT INTO chains (chain, journal, device, seq) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT (chain) DO UPDATE SET device = excluded.device
                 RETURNING id",
            )?
            .query_row(params![id.as_bytes(), self.journal.0, device], |row| row.get(0))?;
        let (journal, has_device) = (self.journal, !device.is_empty());
        let Some(place) = known else {
            let (seq, hash, touched) = (0, None, false);
            let chain = Chain { id: short, journal, has_device, seq, hash, touched };
            return Ok(self.cache.chains.remember(id, chain));
        };
        self.cache.chains.at(place).has_device = has_device;
        Ok(place)
    }

    /// Writes what a batch changes only once, and says whether contents were erased, by these last rows perhaps. To be
    /// followed by the commit.
    pub(crate) fn finish(mut self) -> Result<bool, StoreError> {
        self.flush()?;
        Ok(self.erased)
    }

    /// Brings the tables to where the batch is, for who looks into them before its end.
    pub(super) fn flush(&mut self) -> Result<(), StoreError> {
        self.write_rows()?;
        let mut update =
            self.conn.prepare_cached("UPDATE chains SET seq = ?2, hash = ?3 WHERE id = ?1")?;
        for place in std::mem::take(&mut self.touched) {
            let chain = self.cache.chains.at(place);
            chain.touched = false;
            update.execute(params![
                chain.id,
                chain.seq,
                chain.hash.map(|hash| *hash.as_bytes())
            ])?;
        }
        for ((day, journal), notes) in std::mem::take(&mut self.days) {
            self.conn
                .prepare_cached(
                    "INSERT INTO days (day, journal, notes) VALUES (?1, ?2, ?3)
                     ON CONFLICT (day, journal) DO UPDATE SET notes = notes + excluded.notes",
                )?
                .execute(params![day, journal.0, notes])?;
        }
        let here = [(&self.journal, &mut self.feed)];
        for (journal, feed) in self.left.iter_mut().chain(here) {
            let Feed { end, number, touched: true } = *feed else { continue };
            self.conn
                .prepare_cached(
                    "INSERT INTO feeds (journal, position, number, running) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (journal) DO UPDATE SET position = excluded.position,
                        number = excluded.number, running = excluded.running",
                )?
                .execute(params![journal.0, end.position, number, end.running.as_bytes()])?;
            feed.touched = false;
            self.cache.feeds.insert(*journal, *feed);
        }
        Ok(())
    }

    /// Looks up anew how far a chain and the feed of this journal are, after the tables were
    /// changed behind the batch. It was flushed before that.
    pub(super) fn look_again(&mut self, chain: ChainId) -> Result<(), StoreError> {
        self.cache.chains.forget(chain);
        self.cache.feeds.remove(&self.journal);
        self.feed = feed(self.conn, self.cache, self.journal)?;
        Ok(())
    }

    /// The last position of this journal's feed.
    pub(super) fn end(&self) -> u64 {
        self.feed.end.position
    }
}

/// The end of a journal's feed, before this transaction.
fn feed(conn: &Connection, cache: &Cache, journal: JournalId) -> Result<Feed, StoreError> {
    if let Some(feed) = cache.feeds.get(&journal) {
        return Ok(*feed);
    }
    let found = conn
        .prepare_cached("SELECT position, running, number FROM feeds WHERE journal = ?1")?
        .query_row([journal.0], |row| {
            let end = Cursor { position: row.get(0)?, running: Hash::from_bytes(row.get(1)?) };
            Ok(Feed { end, number: row.get(2)?, touched: false })
        })
        .optional()?;
    Ok(found.unwrap_or(Feed { end: Cursor::START, number: 0, touched: false }))
}

pub(crate) fn receipt(entry: &Entry, position: u64) -> Receipt {
    let change = entry.change();
    Receipt { chain: change.chain, seq: change.seq, position, hash: entry.hash() }
}
