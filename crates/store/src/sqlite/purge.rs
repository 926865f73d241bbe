//! Purge: a note's contents go, its changes stay, so that chains still verify.
//!
//! In the transaction that brings a purge, or a change of a note that is purged already, the contents
//! become NULL; `secure_delete` overwrites what they leave in the pages. Older states of these pages are
//! still in the write-ahead log, and the words of the note in the index. They go once nobody reads
//! them any more, which is tried right away and then again and again: a mark in `meta` is kept until
//! it is done, over restarts as well.

use std::time::{Duration, Instant};

use suibi_journal::{
    AuditEntry, AuditKind, Body, ChainId, Change, Content, Entry, Extra, Extras, Hash, MAX_PARENTS,
    NoteId, NoteTime, Receipt, extra,
};

use super::batch::{Batch, receipt};
use super::index::Index;
use super::notes::{self, NoteRow, PURGED};
use super::rescue::now;
use super::{OwnChain, SqliteStore, access, open};
use crate::{NoteRefused, NoteWritten, StoreError};

/// Key in `meta`: up to which position contents were erased, while the files may still hold traces.
const ERASING: &str = "erasing";

/// How long to leave readers alone before the traces are tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether traces of erased contents are left in the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traces {
    /// It was not looked yet what earlier processes left.
    Unknown,
    /// No, as far as this process knows.
    None,
    /// Yes, and when it was tried in vain to be rid of them.
    Left(Option<Instant>),
}

impl SqliteStore {
    /// Gets rid of what an earlier process left. A server looks when it starts, a replica when it takes a
    /// page of the feed, also an empty one: a command that only lists or writes does not wait for that.
    pub(super) fn look_for_traces(&mut self) {
        if self.traces == Traces::Unknown && self.broken.is_none() {
            self.traces = Traces::Left(None);
            self.sweep();
        }
    }

    /// Gets rid of traces, if there are any and nobody reads them. It can wait: trouble is no error.
    pub(super) fn sweep(&mut self) {
        match self.traces {
            Traces::None | Traces::Unknown => return,
            Traces::Left(Some(tried)) if tried.elapsed() < AGAIN => return,
            Traces::Left(_) => {}
        }
        let done = self.try_sweep().unwrap_or_else(|error| {
            tracing::debug!(%error, "what was purged is not gone from all files yet");
            self.heed(&error);
            false
        });
        self.traces = if done { Traces::None } else { Traces::Left(Some(Instant::now())) };
    }

    fn try_sweep(&mut self) -> Result<bool, StoreError> {
        // Another process may be doing the same.
        let Some(mark) = self.meta(ERASING)? else { return Ok(true) };
        let words_are_gone = self.forget_words().unwrap_or_else(|error| {
            tracing::debug!(%error, "the index has not forgotten what was purged yet");
            false
        });
        let is_clean = open::empty_log(&self.conn)? && words_are_gone;
        if is_clean {
            // Whatever was erased meanwhile has another mark.
            self.conn
                .execute("DELETE FROM meta WHERE key = ?1 AND value = ?2", [ERASING, &mark])?;
        }
        Ok(is_clean)
    }

    /// A replica's index may be looked at by nobody for a long time; that of a server is brought up
    /// to date by its readers.
    fn forget_words(&self) -> Result<bool, StoreError> {
        if self.options.own_chain == OwnChain::Fresh || !open::index_path(&self.path).exists() {
            return Ok(true);
        }
        let mut store = open::reader(&self.path, self.options.own_chain)?;
        let mut index = Index::open(&self.path)?;
        index.catch_up(&mut store, usize::MAX)?;
        while index.erase_step()? {}
        index.is_clean()
    }
}

impl Batch<'_> {
    /// [`Write::Purge`](crate::Write::Purge).
    pub(crate) fn purge(
        &mut self,
        id: NoteId,
        now: NoteTime,
        audit: Option<&AuditEntry>,
    ) -> Result<Result<NoteWritten, NoteRefused>, StoreError> {
        let tables = self.tables()?;
        let Some(row) = notes::find(tables, self.journal, id)? else {
            return Ok(Err(NoteRefused::NotFound));
        };
        let folded = notes::folded(&notes::revisions(tables, row.first)?)?;
        let mut heads: Vec<Hash> = folded.heads.iter().map(|head| head.hash).collect();
        let time = folded.time;
        if row.state & PURGED != 0 {
            let receipt = self.receipt_at(row.head)?;
            return Ok(Ok(NoteWritten { id, receipt, created: false, time, heads }));
        }
        heads.truncate(MAX_PARENTS);
        let written = Extra::Text(now.to_string());
        let extras = Extras::from([(extra::WRITTEN.to_owned(), written)]);
        // A chain of its own: a server that refuses it refuses nothing else with it.
        let chain = ChainId::from_bytes(self.chance.draw()?);
        let (seq, previous, content) = (1, None, Hash::ZERO);
        let change = Change { chain, seq, previous, note: id, parents: heads, time, content };
        let entry =
            Entry::new(change, Content { salt: self.chance.draw()?, body: Body::Purged, extras });
        let options = self.options;
        let position = self.append(&options.device, &entry)?;
        if options.own_chain == OwnChain::Kept {
            self.enqueue(&entry, position)?;
        }
        if let Some(audit) = audit {
            access::add_to_trail(self.aside(), audit)?;
        }
        let (receipt, heads) = (receipt(&entry, position), vec![entry.hash()]);
        Ok(Ok(NoteWritten { id, receipt, created: false, time, heads }))
    }

    /// Drops the contents of all changes of a note but those of its purges.
    pub(super) fn erase(&mut self, id: NoteId, note: NoteRow) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let mut with_content = tables.prepare_cached(
            "SELECT position, content FROM changes
             WHERE position IN (SELECT ?1 UNION ALL SELECT position FROM edits WHERE first = ?1)
                AND content IS NOT NULL",
        )?;
        let mut drop_content =
            tables.prepare_cached("UPDATE changes SET content = NULL WHERE position = ?1")?;
        let mut rows = with_content.query([note.first])?;
        let mut positions: Vec<u64> = Vec::new();
        while let Some(row) = rows.next()? {
            let (position, content): (u64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            if !notes::is_purge(position, &content)? {
                positions.push(position);
            }
        }
        for position in &positions {
            drop_content.execute([position])?;
        }
        if !positions.is_empty() {
            self.set_meta(ERASING, &self.cache.position.to_string())?;
            self.erased = true;
            if self.options.own_chain == OwnChain::Kept {
                self.tell_of(id)?;
            }
        }
        Ok(())
    }

    /// Says in a replica's own trail that contents went. A server's trail says who asked for it.
    fn tell_of(&self, id: NoteId) -> Result<(), StoreError> {
        let entry = AuditEntry {
            at: now(),
            what: AuditKind::Purged,
            device: String::new(),
            journal: String::new(),
            address: String::new(),
            detail: format!("note {id}"),
        };
        access::add_to_trail(self.aside(), &entry)
    }

    /// The receipt of a change that is here.
    fn receipt_at(&mut self, position: u64) -> Result<Receipt, StoreError> {
        let map: Vec<u8> = self
            .tables()?
            .prepare_cached("SELECT map FROM changes WHERE position = ?1")?
            .query_row([position], |row| row.get(0))?;
        let change = Change::decode(&map).map_err(|error| {
            StoreError::Corrupt(format!("the change at position {position}: {error}"))
        })?;
        let (chain, seq, hash) = (change.chain, change.seq, Hash::of(&map));
        Ok(Receipt { chain, seq, position, hash })
    }
}
