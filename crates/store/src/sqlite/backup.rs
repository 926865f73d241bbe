//! Backups: one file that holds everything of a store, made while it is in use.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, params};
use suibi_journal::Hash;
use zeroize::Zeroizing;

use super::own::OWN_CHAIN;
use super::verify::{Problem, ProblemKind, Verified, verify};
use super::{migrate, open};
use crate::directory::{create_directory, flush_names};
use crate::{StoreError, private};

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
    let source = open::visitor(db)?;
    schema(&source, db)?;
    let part = Part::make(to)?;
    // SQLite takes names as UTF-8.
    let name = part
        .path
        .to_str()
        .ok_or_else(|| StoreError::Io(format!("{}: the name is not UTF-8", part.path.display())))?;
    source.execute("VACUUM INTO ?1", [name])?;
    drop(source);
    let conn = part.open()?;
    conn.execute_batch(
        "CREATE TABLE backup (
            role       TEXT    NOT NULL,  -- server or replica
            made       INTEGER NOT NULL,  -- milliseconds since 1970
            program    TEXT    NOT NULL,  -- its version
            file       TEXT    NOT NULL,  -- the name of the store's file
            membership TEXT,              -- of a joined replica
            digest     BLOB    NOT NULL   -- of what no change's hash protects
        )",
    )?;
    let About { role, made, program, file, membership } = about;
    conn.execute(
        "INSERT INTO backup VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            role.word(),
            made,
            program,
            file,
            membership.as_ref().map(|text| text.as_str()),
            digest(&conn)?.as_bytes()
        ],
    )?;
    close(conn)?;
    part.keep(to)
}

/// Looks through a backup, all of it. `progress` as in [`verify`].
///
/// # Errors
/// When it is no backup, or cannot be read. Damage is told in [`Checked::verified`].
pub fn check(file: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Checked, StoreError> {
    let conn = open::visitor(file)?;
    let schema = schema(&conn, file)?;
    let (about, digest) = about(&conn, file)?;
    let mut verified = verify(file, None, progress)?;
    let found = self::digest(&conn);
    if verified.is_clean() && !matches!(found, Ok(found) if found == digest) {
        let what = "something beside the changes is not as it was when the backup was made";
        verified.problems.push(Problem {
            kind: ProblemKind::File,
            journal: None,
            chain: None,
            seq: None,
            position: None,
            what: what.to_owned(),
        });
    }
    let metadata = fs::metadata(file).map_err(|error| StoreError::file(file, &error))?;
    Ok(Checked { about, schema, bytes: metadata.len(), verified })
}

/// Puts a backup in the place of a store: `to_db`, where nothing may be. The backup stays as it is.
///
/// It is copied, the copy is looked through, and only then it gets its name. What is written there
/// next goes to a fresh chain, so that no slot that was used since the backup is used again.
///
/// # Errors
/// When something is in the place, or the file is no backup, of a newer program or damaged; then
/// no file is left.
pub fn restore(file: &Path, to_db: &Path) -> Result<About, StoreError> {
    let conn = open::visitor(file)?;
    schema(&conn, file)?;
    about(&conn, file)?;
    drop(conn);
    for place in [to_db.to_owned(), beside(to_db, "-wal"), beside(to_db, "-shm")] {
        check_free(&place)?;
    }
    let directory = to_db.parent().unwrap_or(Path::new(""));
    create_directory(directory).map_err(|error| StoreError::file(directory, &error))?;
    let mut part = Part::make(to_db)?;
    let mut from = File::open(file).map_err(|error| StoreError::file(file, &error))?;
    io::copy(&mut from, &mut part.file).map_err(|error| StoreError::file(&part.path, &error))?;
    let Checked { about, verified, .. } = check(&part.path, &mut |_, _| {})?;
    if let Some(problem) = verified.problems.first() {
        let file = file.display();
        return Err(StoreError::Corrupt(format!("the backup {file}: {problem}")));
    }
    let conn = part.open()?;
    conn.execute_batch("PRAGMA secure_delete = ON; DROP TABLE backup;")?;
    conn.execute("DELETE FROM meta WHERE key = ?1 OR key LIKE ?1 || '-%'", [OWN_CHAIN])?;
    close(conn)?;
    // One that was left by another store would find out by itself, but it is of no use.
    let index = open::index_path(to_db);
    for name in [beside(&index, "-wal"), beside(&index, "-shm"), index] {
        private::remove(&name).map_err(|error| StoreError::file(&name, &error))?;
    }
    part.keep(to_db)?;
    Ok(about)
}

/// The schema of a store that this program can read.
fn schema(conn: &Connection, path: &Path) -> Result<u32, StoreError> {
    let known = migrate::MIGRATIONS.len() as u32;
    match migrate::version(conn, path)? {
        0 => Err(StoreError::Foreign(path.display().to_string())),
        found if found > known => Err(StoreError::Newer { found, known }),
        found => Ok(found),
    }
}

/// What a backup says of itself, and what its digest has to be.
fn about(conn: &Connection, path: &Path) -> Result<(About, Hash), StoreError> {
    if !conn.table_exists(None, "backup")? {
        return Err(StoreError::NotBackup(path.display().to_string()));
    }
    let found = conn.query_row(
        "SELECT role, made, program, file, membership, digest FROM backup",
        [],
        |row| {
            let membership: Option<String> = row.get(4)?;
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                membership.map(Zeroizing::new),
                Hash::from_bytes(row.get(5)?),
            ))
        },
    );
    let (role, made, program, file, membership, digest) = found?;
    let role = match role.as_str() {
        "server" => Role::Server,
        "replica" => Role::Replica,
        _ => return Err(StoreError::Corrupt(format!("a backup of a {role}"))),
    };
    Ok((About { role, made, program, file, membership }, digest))
}

/// A hash over the tables that the hashes of changes say nothing of: devices, receipts and so on.
/// SQLite itself notices broken trees, but not a letter that became another one.
fn digest(conn: &Connection) -> Result<Hash, StoreError> {
    let mut statement = conn.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('changes', 'backup')
         ORDER BY name",
    )?;
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut hash = Hash::ZERO;
    for table in tables {
        let mut statement = conn.prepare(&format!("SELECT * FROM \"{table}\""))?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut bytes = hash.as_bytes().to_vec();
            bytes.extend(table.as_bytes());
            for column in 0..columns {
                let (sort, value): (u8, &[u8]) = match row.get_ref(column)? {
                    ValueRef::Null => (0, &[]),
                    ValueRef::Integer(number) => (1, &number.to_be_bytes()),
                    ValueRef::Real(number) => (2, &number.to_be_bytes()),
                    ValueRef::Text(text) => (3, text),
                    ValueRef::Blob(blob) => (4, blob),
                };
                bytes.push(sort);
                bytes.extend(value.len().to_be_bytes());
                bytes.extend(value);
            }
            hash = Hash::of(&bytes);
        }
    }
    Ok(hash)
}

/// A file that gets its name when it is complete, and is removed if that never comes.
struct Part {
    path: PathBuf,
    /// Held, so that nobody else writes the same one meanwhile.
    file: File,
    kept: bool,
}

impl Part {
    /// Makes the file for what is to be at `to`, where nothing is.
    fn make(to: &Path) -> Result<Self, StoreError> {
        check_free(to)?;
        let path = beside(to, ".part");
        let failed = |error: &io::Error| StoreError::file(&path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = match options.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // What a process that was ended left, or anybody else: it is not written to, as
                // keys go in there, but made anew.
                let left = private::open(&path).map_err(|error| failed(&error))?;
                lock(&left, &path)?;
                fs::remove_file(&path).and_then(|()| options.open(&path))
            }
            made => made,
        };
        let file = file.map_err(|error| failed(&error))?;
        lock(&file, &path)?;
        Ok(Self { path, file, kept: false })
    }

    /// A connection to it. It is nobody's store yet, so nothing is gained by a log, or by flushing
    /// each write.
    fn open(&self) -> Result<Connection, StoreError> {
        let mode = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, mode)?;
        conn.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
        conn.execute_batch("PRAGMA synchronous = OFF")?;
        Ok(conn)
    }

    /// Flushes it and gives it its name.
    fn keep(mut self, to: &Path) -> Result<(), StoreError> {
        check_free(to)?;
        let directory = to.parent().unwrap_or(Path::new(""));
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, to))
            .map_err(|error| StoreError::file(to, &error))?;
        self.kept = true;
        flush_names(directory).map_err(|error| StoreError::file(directory, &error))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept {
            // If it cannot be removed, it does no harm: the next one begins it anew.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn lock(file: &File, path: &Path) -> Result<(), StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let what = "another process is writing it";
            Err(StoreError::Io(format!("{}: {what}", path.display())))
        }
        // Not every file system of a memory stick has locks.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(StoreError::file(path, &error)),
    }
}

fn check_free(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::file(path, &error)),
        Ok(_) => Err(StoreError::Exists(path.display().to_string())),
    }
}

/// The path with something behind its name.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn close(conn: Connection) -> Result<(), StoreError> {
    conn.close().map_err(|(_, error)| error.into())
}
