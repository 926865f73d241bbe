//! Backups: one file that holds everything of a store, made while it is in use.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::verify::Verified;
use crate::StoreError;

/// What a store is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Of a server.
    Server,
    /// Of a client: its replica and its outbox.
    Replica,
}

impl Role {
    /// One word for it, as it is written in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Replica => "replica",
        }
    }
}

/// What a backup is a backup of.
#[derive(Clone, PartialEq, Eq)]
pub struct About {
    /// What the store is used as.
    pub role: Role,
    /// When it was made, milliseconds since 1970.
    pub made: i64,
    /// The version of the program that made it.
    pub program: String,
    /// The name of the store's file, without directories.
    pub file: String,
    /// The text of the membership of a joined replica. The credential is in it.
    pub membership: Option<Zeroizing<String>>,
}

impl fmt::Debug for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("About")
            .field("role", &self.role)
            .field("made", &self.made)
            .field("program", &self.program)
            .field("file", &self.file)
            .field("membership", &self.membership.as_ref().map(|text| text.len()))
            .finish()
    }
}

/// A backup that was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What it is a backup of.
    pub about: About,
    /// The schema version of the file.
    pub schema: u32,
    /// How long the file is, in bytes.
    pub bytes: u64,
    /// What is in it, and whether all of it is right.
    pub verified: Verified,
}

/// Writes a backup of the store in the file `db` to a new file `to`, for its owner alone, while
/// others go on writing: one state of it, durable when this returns.
///
/// It is `TO.part` until it is complete. The full-text index is not in it, it makes itself again.
///
/// # Errors
/// When `to` is there already, `db` is no store, or the disk is full; then no file is left.
pub fn create(db: &Path, to: &Path, about: About) -> Result<(), StoreError> {
    let (_, _, _) = (db, to, about);
    Err(StoreError::Io("backups are not written yet".to_owned()))
}

/// Looks through a backup, all of it. `progress` as in [`verify`](super::verify::verify).
///
/// # Errors
/// When it is no backup, or cannot be read. Damage is told in [`Checked::verified`], as far as it
/// can be read.
pub fn check(file: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Checked, StoreError> {
    progress(0, 0);
    Err(StoreError::Foreign(file.display().to_string()))
}

/// Puts a backup in the place of a store: `to_db`, where nothing may be. The file stays as it is.
///
/// What is written there next goes to a fresh chain.
///
/// # Errors
/// When something is in the place, or the file is no backup, of a newer program or damaged; then
/// nothing is written.
pub fn restore(file: &Path, to_db: &Path) -> Result<About, StoreError> {
    let _ = to_db;
    Err(StoreError::Foreign(file.display().to_string()))
}
