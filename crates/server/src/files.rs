//! The data directory, and that nobody but its owner gets into it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use suibi_net::effective_user;
use suibi_store::private;

/// What the group and others may do to a file.
const OTHERS: u32 = 0o077;
/// What lets the group and others put files into a directory.
const OTHERS_WRITE: u32 = 0o022;

/// The database of a server that keeps its data in this directory.
pub fn database(data_dir: &Path) -> PathBuf {
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

/// Sees to it that no other user of this machine gets into the data directory: one that they may enter is closed to
/// them (mode 0700) where it is ours alone, that is empty or with a suibi database in it.
///
/// # Errors
///
/// With what to do, when it is another user's, when others may have put something there already, or when it has other
/// things in it, whose owner would not expect it to be closed.
pub(crate) fn close_to_others(data_dir: &Path) -> io::Result<()> {
    let metadata = fs::metadata(data_dir)?;
    let mode = metadata.mode() & 0o7777;
    let chmod = format!("chmod 700 {}", data_dir.display());
    private::check_owner(&metadata, "it", effective_user())?;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    let is_empty = fs::read_dir(data_dir)?.next().is_none();
    if mode & OTHERS_WRITE != 0 && !is_empty {
        return Err(refused(format!(
            "other users of this machine may write there (mode {mode:o}), and what is in it may be theirs: look, then \
             {chmod}"
        )));
    }
    let is_of_suibi = |name: &str| {
        ["server.db", "server.lock", "membership"].contains(&name)
            || name.ends_with(".db")
                && (name.starts_with("replica-") || name.starts_with("joined-"))
    };
    let is_ours = fs::read_dir(data_dir)?.flatten().any(|entry| {
        entry.file_name().to_str().is_some_and(is_of_suibi)
            && entry.file_type().is_ok_and(|kind| kind.is_file())
    });
    if !is_empty && !is_ours {
        return Err(refused(format!(
            "other users of this machine may look into it (mode {mode:o}), and it has other things in it than notes: \
             {chmod}"
        )));
    }
    fs::set_permissions(data_dir, Permissions::from_mode(0o700))?;
    tracing::info!(data_dir = %data_dir.display(), "closed to other users of this machine");
    // Whoever was faster than that. Where others could not write it was another process of ours.
    if mode & OTHERS_WRITE != 0 && is_empty && fs::read_dir(data_dir)?.next().is_some() {
        return Err(refused("somebody put something there just now".to_owned()));
    }
    Ok(())
}

fn refused(text: String) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn directory(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn a_directory_of_our_own_is_closed() {
        let empty = directory(0o777);
        close_to_others(empty.path()).unwrap();
        assert_eq!(mode(empty.path()), 0o700);
        for name in ["server.db", "replica-notes.example+5683.db", "joined-a-b.db", "membership"] {
            let ours = directory(0o755);
            fs::write(ours.path().join(name), "").unwrap();
            close_to_others(ours.path()).unwrap();
            assert_eq!(mode(ours.path()), 0o700, "{name}");
        }
    }

    #[test]
    fn a_directory_with_other_things_is_refused_and_stays_as_it_is() {
        let home = directory(0o755);
        fs::write(home.path().join("letter"), "").unwrap();
        let error = close_to_others(home.path()).unwrap_err().to_string();
        assert!(error.contains("may look into it (mode 755)"), "{error}");
        assert_eq!(mode(home.path()), 0o755);
        let shared = directory(0o1777);
        fs::write(database(shared.path()), "").unwrap();
        let error = close_to_others(shared.path()).unwrap_err().to_string();
        assert!(error.contains("may write there (mode 1777)"), "{error}");
        assert!(error.contains("chmod 700 "), "{error}");
    }
}
