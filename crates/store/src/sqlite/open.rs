//! Opening the files: who may read them, how they are kept, and whether they are ours.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{OwnChain, migrate};
use crate::StoreError;
use crate::directory::{create_directory, flush_names};

/// `PRAGMA application_id` of our files: "suib".
pub(crate) const APPLICATION_ID: i32 = 0x7375_6962;

/// How long a process waits for another one's transaction.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const STATEMENTS: usize = 64;

/// What becomes of the write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Log {
    /// A server writes all the time: a long log that is used again and again, and goes with the last connection.
    Server,
    /// A server that lives for a command or two. As with a replica; what an earlier one has left is
    /// doubted unless that one has ended in good order.
    BriefServer { is_doubted: bool },
    /// A replica is opened for one note by a short process: its log is kept short, because each opening reads it,
    /// and is left for the next process, because emptying it costs two flushes of the disk.
    Replica,
}

impl Log {
    /// A store that is opened without a word about its log.
    pub(crate) fn of(own_chain: OwnChain) -> Self {
        match own_chain {
            OwnChain::Fresh => Self::Server,
            OwnChain::Kept => Self::Replica,
        }
    }
}

/// The connection that writes.
pub(crate) fn writer(path: &Path, log: Log) -> Result<Connection, StoreError> {
    let conn = connect_to_write(path)?;
    // First of all: beside a damaged file, closing would remove a log that still has something to tell.
    if log != Log::Server {
        leave_the_log(&conn)?;
    }
    // Before anything is written: a file of something else stays as it is.
    migrate::version(&conn, path)?;
    keep_private(path)?;
    use_wal(&conn, path)?;
    flush_commits(&conn, true)?;
    conn.execute_batch("PRAGMA cache_size = -16384; PRAGMA secure_delete = ON;")?;
    keep_log(&conn, if log == Log::Server { LONG_LOG } else { SHORT_LOG })?;
    Ok(conn)
}

/// Gets rid of a log that is in doubt. `false`: it is still there, and still in doubt.
///
/// The log of a server that was killed may end in what a failing disk never flushed: nobody can tell, so all of it is
/// written to the file, and flushed there, before anything is built on it. A server that closed its file has left no
/// log. A replica is opened too often for that.
pub(crate) fn settle_log(conn: &Connection, log: Log) -> bool {
    if !matches!(log, Log::Server | Log::BriefServer { is_doubted: true }) {
        return true;
    }
    empty_log(conn).unwrap_or_else(|error| {
        tracing::debug!(%error, "the log stays");
        false
    })
}

/// Whether each commit is flushed to the disk before it counts. The log keeps their order in any case.
pub(crate) fn flush_commits(conn: &Connection, flush: bool) -> Result<(), StoreError> {
    let level = if flush { "FULL" } else { "NORMAL" };
    Ok(conn.execute_batch(&format!("PRAGMA synchronous = {level}"))?)
}

/// Of a server, in pages; and while a replica takes many pages of the feed.
pub(crate) const LONG_LOG: u32 = 4000;
/// A dozen notes by as many processes. Half of that is what each of them reads on average; emptying it costs one of them
/// two flushes.
pub(crate) const SHORT_LOG: u32 = 128;
/// Nothing is brought to the file by itself.
pub(crate) const WHOLE_LOG: u32 = 0;

/// How many pages long the write-ahead log may become before they go to the file.
pub(crate) fn keep_log(conn: &Connection, pages: u32) -> Result<(), StoreError> {
    conn.query_row(&format!("PRAGMA wal_autocheckpoint = {pages}"), [], |_| Ok(()))?;
    Ok(())
}

/// Writes the whole log to the file and makes it empty, so that no older state of a page is left in it.
/// `false`: somebody still reads from it.
pub(crate) fn empty_log(conn: &Connection) -> Result<bool, StoreError> {
    conn.busy_timeout(Duration::ZERO)?;
    let is_busy =
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    conn.busy_timeout(BUSY_TIMEOUT)?;
    match is_busy.map_err(StoreError::from) {
        Ok(is_busy) => Ok(!is_busy),
        Err(StoreError::Busy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A connection that only reads.
pub(crate) fn reader(path: &Path, own_chain: OwnChain) -> Result<Connection, StoreError> {
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    if own_chain == OwnChain::Kept {
        leave_the_log(&conn)?;
    }
    conn.execute_batch("PRAGMA cache_size = -8192;")?;
    Ok(conn)
}

/// A connection that only reads a store that is not opened otherwise, perhaps a damaged one.
pub(crate) fn visitor(path: &Path) -> Result<Connection, StoreError> {
    // SQLite's own word for a file that is not there does not say so.
    fs::metadata(path).map_err(|error| StoreError::file(path, &error))?;
    let conn = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    leave_the_log(&conn)?;
    Ok(conn)
}

/// The index: written by whoever has time, and made again if it is lost.
pub(crate) fn index(path: &Path) -> Result<Connection, StoreError> {
    let conn = connect_to_write(path)?;
    use_wal(&conn, path)?;
    leave_the_log(&conn)?;
    conn.execute_batch(
        "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = 1000;",
    )?;
    Ok(conn)
}

/// `NAME-index.db` beside `NAME.db`.
pub(crate) fn index_path(path: &Path) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-index.db"))
}

/// A connection that may write, to a file that is made if need be.
fn connect_to_write(path: &Path) -> Result<Connection, StoreError> {
    make_private(path)?;
    // SQLite is content with reading where it cannot write.
    let connected = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|conn| {
        let is_readonly = conn.is_readonly(rusqlite::MAIN_DB)?;
        Ok((conn, is_readonly))
    });
    match connected {
        Ok((conn, false)) => Ok(conn),
        // The system says more of the reason than SQLite does.
        not => match (OpenOptions::new().write(true).open(path), not) {
            (Err(error), _) => Err(StoreError::file(path, &error)),
            (Ok(_), Err(error)) => Err(error),
            (Ok(_), Ok(_)) => Err(StoreError::Io(format!("{}: read only", path.display()))),
        },
    }
}

/// Makes the file and its directory, for nobody but the owner.
fn make_private(path: &Path) -> Result<(), StoreError> {
    // Where there is a file it is not opened: closing it would give up what locks this process has on it.
    if path.exists() {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    create_directory(directory).map_err(|error| StoreError::file(directory, &error))?;
    // SQLite gives its other files (-wal, -shm) the mode of this one.
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => flush_names(directory).map_err(|error| StoreError::file(directory, &error)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::file(path, &error)),
    }
}

/// A file that others may read, as after a copy by hand, becomes the owner's alone: keys are in it.
fn keep_private(path: &Path) -> Result<(), StoreError> {
    for end in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let name = PathBuf::from(name);
        let metadata = match fs::metadata(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata.map_err(|error| StoreError::file(&name, &error))?,
        };
        let mode = metadata.permissions().mode();
        if mode & 0o077 == 0 {
            continue;
        }
        let file = name.display();
        match fs::set_permissions(&name, Permissions::from_mode(mode & 0o700)) {
            Ok(()) => tracing::warn!(%file, "others could open this file with keys in it, no more"),
            // It belongs to somebody else, who has given us the right to write it.
            Err(error) => {
                tracing::warn!(%file, %error, "others can open this file with keys in it");
            }
        }
    }
    Ok(())
}

fn connect(path: &Path, mode: OpenFlags) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // A statement is planned once. Otherwise SQLite may plan it anew for each value that is bound, which takes it longer
    // than to look up the note.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(conn)
}

/// When the last connection is closed, too.
fn leave_the_log(conn: &Connection) -> Result<(), StoreError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// Going over to a write-ahead log does not wait for other processes by itself, so we do.
fn use_wal(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        let mode = conn
            .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
            .map_err(StoreError::from);
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                let path = path.display();
                return Err(StoreError::Io(format!("{path}: journal mode is {mode}, not wal")));
            }
            Err(StoreError::Busy) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
        }
    }
}

/// What is no database at all is not a damaged one of ours.
pub(crate) fn foreign(path: &Path, error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => StoreError::Foreign(path.display().to_string()),
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_commit_of_the_store_is_flushed() {
        let dir = tempfile::tempdir().unwrap();
        for own_chain in [OwnChain::Fresh, OwnChain::Kept] {
            let conn =
                writer(&dir.path().join(format!("{own_chain:?}.db")), Log::of(own_chain)).unwrap();
            let setting = |name: &str| -> String {
                conn.query_row(&format!("SELECT {name} || '' FROM pragma_{name}"), [], |row| {
                    row.get(0)
                })
                .unwrap()
            };
            assert_eq!(setting("journal_mode"), "wal");
            assert_eq!(setting("synchronous"), "2");
            assert_eq!(setting("page_size"), "4096");
        }
    }

    #[test]
    fn files_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data").join("server.db");
        let conn = writer(&path, Log::Server).unwrap();
        conn.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        conn.execute_batch("CREATE TABLE a (b)").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for end in ["", "-wal", "-shm"] {
            assert_eq!(mode(&path.with_file_name(format!("server.db{end}"))), 0o600);
        }
        for end in ["", "-wal", "-shm"] {
            let open_to_all = Permissions::from_mode(0o644);
            fs::set_permissions(path.with_file_name(format!("server.db{end}")), open_to_all)
                .unwrap();
        }
        let _conn = writer(&path, Log::Server).unwrap();
        for end in ["", "-wal", "-shm"] {
            assert_eq!(mode(&path.with_file_name(format!("server.db{end}"))), 0o600, "{end}");
        }
        index(&index_path(&path)).unwrap();
        assert_eq!(mode(&path.with_file_name("server-index.db")), 0o600);
    }
}
