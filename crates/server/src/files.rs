//! The data directory, and that nobody but its owner gets into it.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use suibi_net::effective_user;

/// What the group and others may do to a file.
const OTHERS: u32 = 0o077;
/// What lets the group and others put files into a directory.
const OTHERS_WRITE: u32 = 0o022;

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
    check_owner(&metadata, "it")?;
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

/// Opens a file that is no symbolic link; `true`: for writing too, made for its owner alone if it is not there.
pub(crate) fn open_no_link(path: &Path, writes: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // A pipe in its place must not keep us waiting.
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    if writes {
        options.write(true).create(true).truncate(false).mode(0o600);
    }
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => refused(format!("{} is a symbolic link; remove it", path.display())),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(refused(format!("{} is no file; remove it", path.display())));
    }
    Ok(file)
}

/// Refuses a file that others could have written, or could read what is secret in it.
pub(crate) fn check_private(file: &File, name: &str) -> io::Result<()> {
    let metadata = file.metadata()?;
    check_owner(&metadata, name)?;
    match metadata.mode() & 0o7777 {
        mode if mode & OTHERS != 0 => Err(refused(format!(
            "{name} is open to other users of this machine (mode {mode:o}), and has a secret in it: end the server, \
             and start it again"
        ))),
        _ => Ok(()),
    }
}

/// Root may work for others.
fn check_owner(metadata: &Metadata, name: &str) -> io::Result<()> {
    let us = effective_user();
    if us == 0 || metadata.uid() == us {
        return Ok(());
    }
    Err(refused(format!("{name} belongs to another user (number {})", metadata.uid())))
}

fn refused(text: String) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

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

    #[test]
    fn neither_links_nor_pipes_are_opened_and_open_files_are_not_believed() {
        let dir = directory(0o700);
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        for writes in [false, true] {
            let error = open_no_link(&link, writes).unwrap_err().to_string();
            assert!(error.ends_with("is a symbolic link; remove it"), "{error}");
        }
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert!(open_no_link(dir.path(), false).is_err());
        let made = open_no_link(&dir.path().join("made"), true).unwrap();
        check_private(&made, "made").unwrap();
        made.set_permissions(Permissions::from_mode(0o640)).unwrap();
        let error = check_private(&made, "made").unwrap_err().to_string();
        assert!(
            error.starts_with("made is open to other users of this machine (mode 640)"),
            "{error}"
        );
    }
}
