//! The schema version, and how an older file becomes a new one.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::open::{APPLICATION_ID, foreign};
use crate::StoreError;

/// Each makes the version of its number, from 1, out of the one before.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001.sql"),
    include_str!("../../migrations/sqlite/0002.sql"),
];

/// Brings the file to the latest version in one transaction. A file that has notes already is
/// copied before that, to `FILE.vN.backup`.
pub(crate) fn migrate(
    conn: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let known = u32::try_from(migrations.len()).expect("few migrations");
    let found = version(conn, path)?;
    if found == known {
        return Ok(());
    }
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    if found > 0 {
        back_up(conn, path, found)?;
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = version(&tx, path)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for sql in &migrations[found as usize..] {
        tx.execute_batch(sql)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", known)?;
    tx.commit()?;
    if found > 0 {
        tracing::info!(from = found, to = known, "the database has a new schema");
    }
    Ok(())
}

/// The version of the file, 0 for an empty one.
pub(crate) fn version(conn: &Connection, path: &Path) -> Result<u32, StoreError> {
    // What every opening but the first finds, without a look at the tables.
    let application: i32 = conn
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(|error| foreign(path, error))?;
    if application == APPLICATION_ID {
        return Ok(conn.query_row("PRAGMA user_version", [], |row| row.get(0))?);
    }
    // At one moment: another process may be making the tables.
    let (application, version, tables): (i32, u32, u32) = conn
        .query_row(
            "SELECT (SELECT application_id FROM pragma_application_id),
                    (SELECT user_version FROM pragma_user_version),
                    (SELECT count(*) FROM sqlite_schema)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(|error| foreign(path, error))?;
    match (application, tables) {
        (APPLICATION_ID, _) => Ok(version),
        (0, 0) if version == 0 => Ok(0),
        _ => Err(StoreError::Foreign(path.display().to_string())),
    }
}

/// Where the copy of a file goes before its schema is changed.
fn backup_path(path: &Path, version: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".v{version}.backup"));
    name.into()
}

/// A copy is complete or not there: it is written under another name, and flushed, first.
fn back_up(conn: &Connection, path: &Path, version: u32) -> Result<(), StoreError> {
    let backup = backup_path(path, version);
    let mut half = backup.as_os_str().to_owned();
    half.push(format!(".{}", std::process::id()));
    let half = PathBuf::from(half);
    // SQLite fills an empty file that is there already; its mode is ours from the first byte on.
    let written = make_empty(&half)
        .map_err(|error| StoreError::file(&half, &error))
        .and_then(|()| {
            conn.execute("VACUUM INTO ?1", [half.to_string_lossy()]).map_err(StoreError::from)
        })
        .and_then(|_| keep(&half, &backup).map_err(|error| StoreError::file(&backup, &error)));
    if written.is_err() {
        // What is left of it is no use to anybody; if it cannot be removed, it does no harm.
        let _ = fs::remove_file(&half);
    }
    written
}

fn make_empty(half: &Path) -> io::Result<()> {
    // What a process of the same number left when it was ended.
    if let Err(error) = fs::remove_file(half)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(half).map(drop)
}

fn keep(half: &Path, backup: &Path) -> io::Result<()> {
    fs::File::open(half)?.sync_all()?;
    fs::rename(half, backup)?;
    match backup.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(directory) => fs::File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const FIRST: &str = "CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('kept')";
    const SECOND: &str = "ALTER TABLE notes ADD COLUMN star INTEGER NOT NULL DEFAULT 0";

    fn open(path: &Path) -> Connection {
        Connection::open(path).unwrap()
    }

    #[test]
    fn an_older_file_is_copied_and_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        migrate(&mut open(&path), &path, &[FIRST]).unwrap();
        assert!(!backup_path(&path, 0).exists());
        // A copy that was broken off, by a process of our number.
        let half = dir.path().join(format!("a.db.v1.backup.{}", std::process::id()));
        fs::write(half, "half a copy").unwrap();

        migrate(&mut open(&path), &path, &[FIRST, SECOND]).unwrap();

        let star = |conn: Connection| {
            conn.query_row("SELECT star FROM notes WHERE text = 'kept'", [], |row| {
                row.get::<_, i64>(0)
            })
        };
        assert_eq!(star(open(&path)).unwrap(), 0);
        let mode = fs::metadata(backup_path(&path, 1)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let backup = open(&backup_path(&path, 1));
        assert_eq!(version(&backup, &path).unwrap(), 1);
        assert!(star(backup).is_err(), "the copy has the old schema");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        migrate(&mut open(&path), &path, &[FIRST]).unwrap();

        assert!(migrate(&mut open(&path), &path, &[FIRST, SECOND, "CREATE nonsense"]).is_err());

        assert_eq!(version(&open(&path), &path).unwrap(), 1);
        migrate(&mut open(&path), &path, &[FIRST, SECOND]).unwrap();
    }

    #[test]
    fn a_newer_file_is_refused_and_both_versions_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        migrate(&mut open(&path), &path, &[FIRST, SECOND]).unwrap();

        let error = migrate(&mut open(&path), &path, &[FIRST]).unwrap_err();

        assert!(matches!(error, StoreError::Newer { found: 2, known: 1 }));
        assert!(error.to_string().contains('2') && error.to_string().contains('1'));
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("text.db");
        fs::write(&text, "dear diary, ".repeat(100)).unwrap();
        let other = dir.path().join("other.db");
        open(&other).execute_batch("CREATE TABLE theirs (a)").unwrap();

        for path in [text, other] {
            let before = fs::read(&path).unwrap();
            let error = migrate(&mut open(&path), &path, MIGRATIONS).unwrap_err();
            assert!(matches!(error, StoreError::Foreign(_)), "{error}");
            assert_eq!(fs::read(&path).unwrap(), before);
        }
    }
}
