//! The SQLite engine: one file with a write-ahead log, one writer at a time.

mod access;
pub mod backup;
mod batch;
mod chains;
#[cfg(test)]
mod cost;
mod history;
mod index;
mod key;
mod marks;
mod migrate;
mod near;
mod notes;
mod open;
mod own;
mod purge;
mod reader;
mod replica;
mod rescue;
mod rows;
pub mod salvage;
mod search;
mod sounds;
mod suggest;
pub mod verify;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

pub use reader::SqliteReader;
pub use rescue::{Applied, Rescued};

use suibi_journal::AuditEntry;

use crate::random::Chance;
use crate::{
    Access, AccessChange, AccessDone, AccessRefused, JournalId, Outcome, Reader, Store, StoreError,
    Write,
};
use batch::{Batch, Cache};
use open::Log;
use purge::Traces;

/// Which chain the store's own writes go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnChain {
    /// A server's: a new chain, made at the first own write after each opening, so that a server
    /// whose file was restored from a backup never writes a slot for the second time.
    Fresh,
    /// A replica's: kept in the file, and shared by all processes that have it open. Own changes
    /// go to the outbox.
    Kept,
}

/// How a file is used.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Which chain the store's own writes go to.
    pub own_chain: OwnChain,
    /// The name of the device that this is, for its own chain.
    pub device: String,
}

/// A store in one SQLite file, `NAME.db`. Its full-text index stands beside it, `NAME-index.db`.
#[derive(Debug)]
pub struct SqliteStore {
    conn: Connection,
    cache: Cache,
    chance: Chance,
    options: SqliteOptions,
    path: PathBuf,
    /// Whether nothing in the log was in doubt once it was open.
    is_settled: bool,
    /// Why nothing may be written any more.
    broken: Option<String>,
    /// Whether the last page of a server's feed was not its end.
    expects_more: bool,
    traces: Traces,
}

impl SqliteStore {
    /// Opens the file, or makes it (mode 0600, a new directory 0700), and brings its schema up to
    /// date, after a copy to `FILE.vN.backup`.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::Foreign`] leave the file as it is.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<Self, StoreError> {
        let log = Log::of(options.own_chain);
        Self::open_with(path, options, log, Chance::System { left: Vec::new() })
    }

    /// [`Self::open`] for a server that may live no longer than one command: it leaves its log to the next one, and does
    /// not wait for the disk until it is asked to write.
    ///
    /// `is_doubted`: whether the process that wrote the log may have met a disk that failed, or was ended before it could
    /// say. Then the log goes first, as with [`Self::open`].
    ///
    /// # Errors
    /// As with [`Self::open`].
    pub fn open_briefly(
        path: &Path,
        options: SqliteOptions,
        is_doubted: bool,
    ) -> Result<Self, StoreError> {
        Self::open_with(
            path,
            options,
            Log::BriefServer { is_doubted },
            Chance::System { left: Vec::new() },
        )
    }

    /// [`Self::open`] in a simulated world: what this store draws by chance comes from a seed, so that the
    /// world can be run again. Not for programs: whoever knows the seed can guess what purged texts were.
    #[doc(hidden)]
    pub fn open_seeded(path: &Path, options: SqliteOptions, seed: u64) -> Result<Self, StoreError> {
        let log = Log::of(options.own_chain);
        Self::open_with(path, options, log, Chance::Seeded { seed, drawn: 0 })
    }

    fn open_with(
        path: &Path,
        options: SqliteOptions,
        log: Log,
        chance: Chance,
    ) -> Result<Self, StoreError> {
        let mut conn = open::writer(path, log)?;
        let is_settled = open::settle_log(&conn, log);
        migrate::migrate(&mut conn, path, migrate::MIGRATIONS)?;
        let (cache, path) = (Cache::default(), path.to_owned());
        let (broken, expects_more, traces) = (None, false, Traces::Unknown);
        let mut store =
            Self { conn, cache, chance, options, path, is_settled, broken, expects_more, traces };
        if store.options.own_chain == OwnChain::Fresh {
            store.look_for_traces();
        }
        Ok(store)
    }

    /// One write transaction: durable when this returns `Ok`, without a trace when not.
    fn write<T>(
        &mut self,
        journal: JournalId,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(why) = &self.broken {
            return Err(StoreError::Broken(why.clone()));
        }
        let result = self.try_write(journal, work);
        match &result {
            Ok(_) => self.sweep(),
            Err(error) => {
                // What the cache says may have been rolled back.
                self.cache = Cache::default();
                self.heed(error);
            }
        }
        result
    }

    /// After a flush that failed nothing is written any more.
    fn heed(&mut self, error: &StoreError) {
        let StoreError::Broken(why) = error else { return };
        self.broken = Some(why.clone());
        // What could not be flushed is still to be read in the log, as if it were durable. Whoever
        // opens the file next must not build on it: the log goes, if the disk allows that.
        if let Err(error) = open::empty_log(&self.conn) {
            tracing::debug!(%error, "the log cannot be emptied either");
        }
    }

    fn try_write<T>(
        &mut self,
        journal: JournalId,
        work: impl FnOnce(&mut Batch<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut batch =
            Batch::begin(&tx, &mut self.cache, &mut self.chance, &self.options, journal)?;
        let done = work(&mut batch)?;
        let erased = batch.finish()?;
        tx.commit()?;
        if erased {
            self.traces = Traces::Left(None);
        }
        Ok(done)
    }
}

impl Store for SqliteStore {
    fn commit(&mut self, writes: Vec<(JournalId, Write)>) -> Result<Vec<Outcome>, StoreError> {
        let first = writes.first().map_or(JournalId::FIRST, |(journal, _)| *journal);
        self.write(first, |batch| {
            let mut outcomes = Vec::with_capacity(writes.len());
            for (journal, write) in writes {
                batch.enter(journal)?;
                outcomes.push(batch.take(write)?);
            }
            Ok(outcomes)
        })
    }

    fn access(&mut self) -> Result<Access, StoreError> {
        access::read(&mut self.conn)
    }

    fn change_access(
        &mut self,
        change: &AccessChange,
        audit: Option<&AuditEntry>,
    ) -> Result<Result<AccessDone, AccessRefused>, StoreError> {
        self.write(JournalId::FIRST, |batch| access::change(batch.tables()?, change, audit))
    }

    fn is_sound(&self) -> bool {
        self.is_settled && self.broken.is_none()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(SqliteReader::new(&self.path, self.options.own_chain)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_flush_that_failed_nothing_is_written_until_the_file_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.db");
        let options = SqliteOptions { own_chain: OwnChain::Fresh, device: String::new() };
        let mut store = SqliteStore::open(&path, options.clone()).unwrap();
        let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        let error = StoreError::from(rusqlite::Error::SqliteFailure(failure, None));
        assert!(error.is_permanent());

        assert!(store.write(JournalId::FIRST, |_| Err::<(), _>(error)).is_err());

        for _ in 0..2 {
            let error = store.commit(Vec::new()).unwrap_err();
            assert!(matches!(error, StoreError::Broken(_)), "{error}");
        }
        assert!(!store.is_sound());
        assert_eq!(store.reader().unwrap().count(JournalId::FIRST).unwrap(), 0);
        let mut store = SqliteStore::open(&path, options).unwrap();
        store.commit(Vec::new()).unwrap();
        assert!(store.is_sound());
    }
}
