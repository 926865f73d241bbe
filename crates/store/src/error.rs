//! What can go wrong with a store, told apart by what the caller can do about it.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;
use rusqlite::ffi;
use suibi_journal::ChainId;
use thiserror::Error;

/// Why a store could not do something.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The disk, or the space that this process may use on it, is full. Reading goes on.
    #[error("the disk is full")]
    Full,
    /// The file or its directory may not be written. Reading goes on, if it was open before.
    #[error("the database may not be written: {0}")]
    ReadOnly(String),
    /// What the file holds cannot be right.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A file of something else.
    #[error("{0} is not a database of suibi")]
    Foreign(String),
    /// A file is in the place where one should be made.
    #[error("{0} is there already, and stays as it is")]
    Exists(String),
    /// A file that is no backup, though it may be a store.
    #[error("{0} is not a backup of suibi")]
    NotBackup(String),
    /// The file was written by a later version of this program.
    #[error(
        "the database has schema {found}, this program knows up to {known}: a newer suibi is needed"
    )]
    Newer {
        /// The schema version in the file.
        found: u32,
        /// The latest one that this program knows.
        known: u32,
    },
    /// Another process held the write lock for too long. Trying again is right.
    #[error("the database is in use by another process")]
    Busy,
    /// A page of a feed that does not fit its cursor.
    #[error("the page from the server is not right: {0}")]
    Page(#[from] PageError),
    /// The disk failed to make something durable. What it holds is not known until the store is
    /// opened again, so it takes no more writes; reading goes on.
    #[error("the disk failed to keep a write, the store has to be opened again: {0}")]
    Broken(String),
    /// Any other trouble with the file or the disk.
    #[error("the database cannot be used: {0}")]
    Io(String),
}

/// What is wrong with a page of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PageError {
    /// The hashes of its changes do not lead from the cursor before to the one after.
    #[error("its running hash does not match its changes")]
    RunningHash,
    /// Positions that do not rise, or numbers beyond what can be kept.
    #[error("its positions are not in order")]
    Order,
    /// A change names another one before it than the one that the feed has there. That is no fork,
    /// which would be two changes in one slot: the feed itself is broken.
    #[error(
        "change {seq} of chain {chain} (position {position}) names another change before it than \
         the one that is there"
    )]
    Previous {
        /// The chain.
        chain: ChainId,
        /// The place of the change in it.
        seq: u64,
        /// Its position in the server's feed.
        position: u64,
    },
}

impl StoreError {
    /// Whether trying again, without a person or a restart, is no use.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Full | Self::Busy | Self::Io(_) => false,
            Self::ReadOnly(_)
            | Self::Corrupt(_)
            | Self::Foreign(_)
            | Self::Exists(_)
            | Self::NotBackup(_)
            | Self::Newer { .. }
            | Self::Page(_)
            | Self::Broken(_) => true,
        }
    }

    /// Whether the file itself is damaged: reading it again, or making room, is no help, putting it
    /// aside is. Errors of the disk and full disks are never that.
    ///
    /// A file of something else, or one whose beginning was overwritten, counts as damaged: this is
    /// asked about a file that only we write.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Corrupt(_) | Self::Foreign(_))
    }

    /// An error of the file system at `path`.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        let text = format!("{}: {error}", path.display());
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly(text)
            }
            _ => Self::Io(text),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            // Only a row that is not of our making has another type or is missing.
            return match error {
                rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..) => Self::Corrupt(text),
                _ => Self::Io(text),
            };
        };
        match (failure.code, failure.extended_code) {
            (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => Self::Broken(text),
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => Self::Full,
            (ErrorCode::ReadOnly | ErrorCode::PermissionDenied, _) => Self::ReadOnly(text),
            // We never write what a constraint forbids, so what it compares with is wrong.
            (
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation,
                _,
            ) => Self::Corrupt(text),
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Self::Busy,
            // The one case of a full disk that SQLite does not know: a file may not grow further.
            (_, ffi::SQLITE_IOERR_WRITE) => {
                Self::Io(format!("a write failed, by the disk or a limit of file sizes ({text})"))
            }
            _ => Self::Io(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Error::SqliteFailure;

    use super::*;

    fn of(code: i32) -> StoreError {
        SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn damage_is_told_apart_from_trouble_with_the_disk() {
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_VTAB, ffi::SQLITE_NOTADB] {
            assert!(of(code).is_damage() && of(code).is_permanent(), "{}", of(code));
        }
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_SHORT_READ,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
        ] {
            assert!(!of(code).is_damage(), "{}", of(code));
        }
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(StoreError::file(Path::new("a.db"), &full), StoreError::Full));
    }
}
