//! What a replica keeps beside the notes: the outbox, the receipts, and how far it has read.

use rusqlite::{Connection, OptionalExtension, Row, params};
use suibi_journal::{ChainId, Change, Cursor, Entry, FeedPage, Hash, Head, NoteId, Receipt};

use super::batch::Batch;
use super::own::OWN_CHAIN;
use super::{Applied, OwnChain, SqliteStore, open};
use crate::{JournalId, PageError, StoreError};

/// The key of the cursor in `meta`.
const CURSOR: &str = "cursor";

impl SqliteStore {
    /// Changes that the server has not acknowledged, oldest first: at most `max_bytes` together,
    /// but one if there is any.
    pub fn outbox(&mut self, max_bytes: usize) -> Result<Vec<Entry>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT c.position, c.map, c.content
             FROM outbox o CROSS JOIN changes c ON c.position = o.position
             ORDER BY o.chain, o.seq",
        )?;
        let mut rows = statement.query([])?;
        let (mut entries, mut len) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let entry = entry(row)?.1;
            len += entry.encoded_len();
            if len > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    /// How many changes are in the outbox.
    pub fn waiting(&mut self) -> Result<u64, StoreError> {
        let mut statement = self.conn.prepare_cached("SELECT count(*) FROM outbox")?;
        Ok(statement.query_row([], |row| row.get(0))?)
    }

    /// The chain that this replica writes, once it has written.
    pub fn own_chain(&mut self) -> Result<Option<ChainId>, StoreError> {
        Ok(meta(&self.conn, OWN_CHAIN)?.and_then(|text| text.parse().ok()))
    }

    /// The newest change of the own chain, and its note. None before the first one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn newest_own(&mut self) -> Result<Option<(NoteId, Hash)>, StoreError> {
        let Some(chain) = self.own_chain()? else { return Ok(None) };
        // No index has chains and places: it is looked for from the end, where it usually is.
        let mut statement = self.conn.prepare_cached(
            "SELECT map, hash FROM changes
             WHERE chain = (SELECT id FROM chains WHERE chain = ?1)
             ORDER BY position DESC LIMIT 1",
        )?;
        let found = statement
            .query_row([chain.as_bytes()], |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, Hash::from_bytes(row.get(1)?)))
            })
            .optional()?;
        let Some((map, hash)) = found else { return Ok(None) };
        let change = Change::decode(&map)
            .map_err(|error| StoreError::Corrupt(format!("a change: {error}")))?;
        Ok(Some((change.note, hash)))
    }

    /// Takes the acknowledged changes out of the outbox. Receipts for others are ignored.
    ///
    /// A power cut soon after may take the receipts, whole or not at all: the changes are in the outbox again then, and
    /// delivering them again gives the same receipts.
    pub fn apply_receipts(&mut self, receipts: &[Receipt]) -> Result<(), StoreError> {
        if receipts.is_empty() {
            return Ok(());
        }
        self.write_unflushed(|batch| {
            receipts.iter().try_for_each(|receipt| batch.apply_receipt(receipt))
        })
    }

    /// Takes a page of the server's feed that was read after the cursor `after`: its changes and
    /// the next cursor in one transaction.
    ///
    /// Another process may have moved the cursor; then it stays as it is. Chains are taken as they
    /// come, with what the server may lack of them. Own changes that come back count as receipts.
    ///
    /// The server's feed decides about forks: where it has another change in a slot, the branch
    /// that is here leaves, from that slot on, and what it says is written anew on a rescued chain
    /// and waits in the outbox ([`suibi_journal::rescue()`]). A replica whose own chain was forked
    /// writes on in a fresh one. Cursors of *this* store's feed from before that do not fit any
    /// more ([`CursorMismatch`](crate::CursorMismatch)).
    ///
    /// # Errors
    /// [`StoreError::Page`] when the page does not follow from the cursor, or a change in it from
    /// the one before in its chain; nothing of it is taken then.
    pub fn apply_page(&mut self, after: Cursor, page: &FeedPage) -> Result<Applied, StoreError> {
        let rises = page.entries.windows(2).all(|pair| pair[0].0 < pair[1].0);
        // Positions are kept as signed numbers.
        let fits = |(position, entry): &(u64, Entry)| {
            i64::try_from((*position).max(entry.change().seq)).is_ok()
        };
        if !rises || !page.entries.iter().all(fits) {
            return Err(PageError::Order.into());
        }
        if !page.follows(after) {
            return Err(PageError::RunningHash.into());
        }
        self.expect_more(page.remaining > 0)?;
        self.look_for_traces();
        self.write(JournalId::FIRST, |batch| {
            let mut applied = Applied::default();
            for (position, entry) in &page.entries {
                batch.apply_entry(entry, *position, &mut applied)?;
            }
            if page.next != after && cursor(batch.aside())? == after {
                batch.set_meta(CURSOR, &page.next.to_string())?;
            }
            Ok(applied)
        })
    }

    /// A long run of pages gets a long log, as a server has, and its end makes it short again.
    fn expect_more(&mut self, more: bool) -> Result<(), StoreError> {
        if self.expects_more != more {
            open::keep_log(&self.conn, self.log_pages(more))?;
            self.expects_more = more;
        }
        Ok(())
    }

    /// How long the log may become.
    fn log_pages(&self, expects_more: bool) -> u32 {
        match expects_more || self.options.own_chain == OwnChain::Fresh {
            true => open::LONG_LOG,
            false => open::SHORT_LOG,
        }
    }

    /// How far the server's feed has been read.
    pub fn cursor(&mut self) -> Result<Cursor, StoreError> {
        cursor(&self.conn)
    }

    /// Reads the server's feed from the beginning again: it is not the one it was.
    pub fn reset_cursor(&mut self) -> Result<(), StoreError> {
        self.write(JournalId::FIRST, |batch| {
            batch.aside().execute("DELETE FROM meta WHERE key = ?1", [CURSOR])?;
            Ok(())
        })
    }

    /// Puts the changes of a chain after `seq` into the outbox again, because the server does not
    /// have them any more; any chain, so that a restored server gets back what other devices
    /// wrote, too. Returns how many were put there that were not waiting already.
    pub fn requeue_after(&mut self, chain: ChainId, seq: u64) -> Result<u64, StoreError> {
        self.write(JournalId::FIRST, |batch| {
            let Some(chain) = batch.chain(chain)? else { return Ok(0) };
            if seq >= chain.seq {
                return Ok(0);
            }
            let (chain, conn) = (chain.id, batch.tables()?);
            let requeued = conn.execute(
                "INSERT OR IGNORE INTO outbox (chain, seq, position)
                 SELECT chain, seq, position FROM changes WHERE chain = ?1 AND seq > ?2",
                params![chain, seq],
            )?;
            conn.execute(
                "DELETE FROM receipts WHERE position IN
                    (SELECT position FROM outbox WHERE chain = ?1 AND seq > ?2)",
                params![chain, seq],
            )?;
            Ok(requeued as u64)
        })
    }

    /// Takes over which device each chain belongs to; how far the chains are is not touched.
    pub fn apply_heads(&mut self, heads: &[Head]) -> Result<(), StoreError> {
        let known = |conn: &Connection, head: &Head| -> Result<bool, StoreError> {
            let mut statement =
                conn.prepare_cached("SELECT device = ?2 FROM chains WHERE chain = ?1")?;
            let same = statement
                .query_row(params![head.chain.as_bytes(), head.device], |row| row.get(0))
                .optional()?;
            Ok(same.unwrap_or(false))
        };
        let mut news = Vec::new();
        for head in heads {
            if !head.device.is_empty() && !known(&self.conn, head)? {
                news.push(head);
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        self.write(JournalId::FIRST, |batch| {
            news.iter().try_for_each(|head| batch.name_chain(head.chain, &head.device))
        })
    }

    /// A value that the client keeps here under a name of its own (not `cursor`, not `own-chain`).
    pub fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        meta(&self.conn, key)
    }

    /// Keeps a value under a name. It is durable when this returns.
    pub fn set_meta(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write(JournalId::FIRST, |batch| batch.set_meta(key, value))
    }

    /// Keeps a value that only saves time: a power cut may take it, and bring back the one before.
    pub fn set_meta_unflushed(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.write_unflushed(|batch| batch.set_meta(key, value))
    }

    /// A write that nobody relies on: whole or not at all, and durable with the next one that is flushed.
    ///
    /// The log stays as it is after that, however long: emptying it begins with a flush whose failure SQLite keeps to
    /// itself, and the next flush would succeed behind what is not on the disk.
    fn write_unflushed<T>(
        &mut self,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        open::keep_log(&self.conn, open::WHOLE_LOG)?;
        open::flush_commits(&self.conn, false)?;
        let done = self.write(JournalId::FIRST, work);
        let pages = self.log_pages(self.expects_more);
        let as_before =
            open::flush_commits(&self.conn, true).and_then(|()| open::keep_log(&self.conn, pages));
        if let Err(error) = as_before {
            self.heed(&StoreError::Broken(error.to_string()));
        }
        done
    }
}

impl Batch<'_> {
    /// Remembers that the server has not seen this own change.
    pub(super) fn enqueue(&mut self, entry: &Entry, position: u64) -> Result<(), StoreError> {
        let change = entry.change();
        let chain = self.chain(change.chain)?.expect("a change was just appended to it").id;
        self.aside()
            .prepare_cached("INSERT INTO outbox (chain, seq, position) VALUES (?1, ?2, ?3)")?
            .execute(params![chain, change.seq, position])?;
        Ok(())
    }

    fn apply_receipt(&mut self, receipt: &Receipt) -> Result<(), StoreError> {
        let Some(chain) = self.chain(receipt.chain)? else { return Ok(()) };
        let (chain, seq) = (chain.id, receipt.seq);
        let position = self
            .tables()?
            .prepare_cached(
                "SELECT o.position FROM outbox o CROSS JOIN changes c ON c.position = o.position
                 WHERE o.chain = ?1 AND o.seq = ?2 AND c.hash = ?3",
            )?
            .query_row(params![chain, seq, receipt.hash.as_bytes()], |row| row.get(0))
            .optional()?;
        match position {
            Some(position) => self.acknowledged(chain, seq, position, receipt.position),
            None => Ok(()),
        }
    }

    fn apply_entry(
        &mut self,
        entry: &Entry,
        server: u64,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        let change = entry.change();
        if let Some(chain) = self.chain(change.chain)? {
            let (short, seq, hash) = (chain.id, chain.seq, chain.hash);
            if change.seq <= seq {
                if let Some(position) = self.position_of(entry)? {
                    return self.acknowledged(short, change.seq, position, server);
                }
                self.make_room(entry, server, applied)?;
            } else if change.seq == seq + 1 && change.previous != hash {
                return Err(broken_link(entry, server));
            }
        }
        let position = self.append("", entry)?;
        self.set_receipt(position, server)?;
        applied.new += 1;
        Ok(())
    }

    /// Readies a chain that is longer here for a change of the server's feed that is not: what
    /// stands in its place, or follows another one there, is the lost branch of a fork.
    fn make_room(
        &mut self,
        entry: &Entry,
        server: u64,
        applied: &mut Applied,
    ) -> Result<(), StoreError> {
        let change = entry.change();
        let slots = self.slots(change.chain)?;
        let before = slots.get(&(change.seq - 1));
        if before.is_some_and(|before| Some(before.hash) != change.previous) {
            return Err(broken_link(entry, server));
        }
        let (here, after) = (slots.get(&change.seq), slots.get(&(change.seq + 1)));
        let lost_from = match (here, after) {
            (Some(_), _) => change.seq,
            (None, Some(after)) if after.previous != Some(entry.hash()) => change.seq + 1,
            (None, _) => return Ok(()),
        };
        applied.rescued.extend(self.rescue_branch(change.chain, lost_from)?);
        Ok(())
    }

    fn acknowledged(
        &self,
        chain: i64,
        seq: u64,
        position: u64,
        server: u64,
    ) -> Result<(), StoreError> {
        self.set_receipt(position, server)?;
        self.aside()
            .prepare_cached("DELETE FROM outbox WHERE chain = ?1 AND seq = ?2 AND position = ?3")?
            .execute(params![chain, seq, position])?;
        Ok(())
    }

    fn set_receipt(&self, position: u64, server: u64) -> Result<(), StoreError> {
        self.aside()
            .prepare_cached("INSERT OR REPLACE INTO receipts (position, server) VALUES (?1, ?2)")?
            .execute([position, server])?;
        Ok(())
    }

    pub(super) fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        meta(self.aside(), key)
    }

    pub(super) fn set_meta(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.aside()
            .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
            .execute([key, value])?;
        Ok(())
    }
}

fn broken_link(entry: &Entry, position: u64) -> StoreError {
    let change = entry.change();
    PageError::Previous { chain: change.chain, seq: change.seq, position }.into()
}

fn meta(conn: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    Ok(statement.query_row([key], |row| row.get(0)).optional()?)
}

fn cursor(conn: &Connection) -> Result<Cursor, StoreError> {
    match meta(conn, CURSOR)? {
        None => Ok(Cursor::START),
        Some(text) => text.parse().map_err(|_| StoreError::Corrupt(format!("{text} is no cursor"))),
    }
}

/// The entry in a row that begins with the columns position, map and content of `changes`; and its position.
pub(crate) fn entry(row: &Row<'_>) -> Result<(u64, Entry), StoreError> {
    let position = row.get(0)?;
    let map = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
    let content = row.get_ref(2)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
    let entry = Entry::from_bytes(map, content).map_err(|error| {
        StoreError::Corrupt(format!("the change at position {position}: {error}"))
    })?;
    Ok((position, entry))
}
