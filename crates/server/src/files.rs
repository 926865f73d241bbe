//! The data directory.

use std::fs;
use std::path::{Path, PathBuf};

/// The database of the server.
pub(crate) fn database(data_dir: &Path) -> PathBuf {
    data_dir.join("server.db")
}

/// The file whose lock says that a server runs here.
pub(crate) fn lock(data_dir: &Path) -> PathBuf {
    data_dir.join("server.lock")
}

/// What the server's databases take, in bytes.
pub(crate) fn disk_bytes(data_dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(data_dir) else { return 0 };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("server"))
        .filter_map(|entry| entry.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}
