//! What can still be had from a damaged replica.

use std::path::{Path, PathBuf};

use suibi_journal::Entry;

use crate::StoreError;

/// The changes in a damaged replica that its server may lack, as far as they can be read, with the
/// names of their devices: by chain, in the order of their `seq`.
///
/// What the outbox names; where it cannot be read, every change that has no receipt. The server
/// may have some of them after all, which does no harm. Nothing is written to the file.
pub fn salvage(path: &Path) -> Vec<(String, Entry)> {
    let _ = path;
    Vec::new()
}

/// Puts the files of a store aside, as `NAME.db.damaged-1` or the next number that is free, and
/// says where to. Its index is removed. Nobody may have the store open.
///
/// # Errors
/// What the system says; the files are where they were, or all aside.
pub fn put_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let _ = path;
    Err(StoreError::Io("nothing is put aside yet".to_owned()))
}
