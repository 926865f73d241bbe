//! A disk whose power can be cut at any write.
//!
//! A [`Disk`] is a directory. Whatever SQLite does to files in it passes through to real files, and is
//! put on a tape: each write, truncation, flush, creation and deletion. From the tape come other disks:
//! as a power cut at any moment leaves this one, as a killed process leaves it, or a copy.
//!
//! What a power cut leaves: everything that was flushed (names: with their directory). Of what was not,
//! by chance and for each file alone, nothing, everything, some of the writes, or some of their sectors of
//! 512 bytes; a sector is written whole, and nothing beside what is written is harmed. A file that was
//! made or deleted without a flush of the directory may be there or not.
//!
//! ```
//! use rand::{SeedableRng, rngs::StdRng};
//! use rusqlite::Connection;
//! use suibi_sim::{Disk, Fault};
//!
//! let disk = Disk::new();
//! let conn = Connection::open(disk.path("a.db")).unwrap();
//! conn.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (n)").unwrap();
//! let before = disk.moment();
//! conn.execute_batch("INSERT INTO t VALUES (1)").unwrap();
//! let count = |disk: &Disk| -> i64 {
//!     let conn = Connection::open(disk.path("a.db")).unwrap();
//!     conn.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
//! };
//! let mut rng = StdRng::seed_from_u64(1);
//! assert_eq!(count(&disk.cut(before, &mut rng)), 0);
//! assert_eq!(count(&disk.cut(disk.moment(), &mut rng)), 1);
//!
//! disk.fail(Fault::Broken, 0, 1);
//! assert!(conn.execute_batch("INSERT INTO t VALUES (2)").is_err());
//! assert_eq!(count(&disk.killed()), 1);
//! ```

mod image;
mod tape;
mod vfs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rand::{Rng, rngs::StdRng};
use tempfile::TempDir;

use image::Image;
pub use tape::Fault;
use tape::{Names, Plan, Shared, lock};

/// A place on the tape of a [`Disk`]: after so much was done to it. The default is the beginning.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// After everything.
    pub const MAX: Self = Self(u64::MAX);

    /// A moment by chance, from this one to another, both included.
    pub fn to(self, other: Self, rng: &mut StdRng) -> Self {
        Self(rng.random_range(self.0..=other.0.max(self.0)))
    }
}

/// A directory whose database files are recorded. It is removed when this is dropped.
#[derive(Debug)]
pub struct Disk {
    directory: TempDir,
    tape: Shared,
    past: Mutex<Past>,
}

/// The disk at some moment, from which later ones are made.
#[derive(Debug, Clone)]
struct Past {
    image: Image,
    /// Of the whole tape.
    at: u64,
    /// The first of the tape that is still there.
    begin: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk {
    /// An empty disk, in memory where the system has a place for that.
    ///
    /// # Panics
    /// As everything here, when the real disk fails.
    pub fn new() -> Self {
        Self::of(directory())
    }

    /// A disk with the files of a directory, all of them flushed.
    pub fn copy_of(directory: &Path) -> Self {
        Self::of(copy(directory))
    }

    /// The files of a directory are flushed.
    fn of(directory: TempDir) -> Self {
        let (image, names) = Image::read(directory.path()).expect("a new directory can be read");
        Self::record(directory, image, names)
    }

    fn record(directory: TempDir, image: Image, names: Names) -> Self {
        vfs::install();
        let tape = tape::begin(directory.path(), names);
        Self { directory, tape, past: Mutex::new(Past { image, at: 0, begin: 0 }) }
    }

    /// Where a file of this name is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Gives a setting (`PRAGMA name = value`) another value than what it is set to from now on, unless
    /// that is longer than the value that is asked for.
    pub fn set_pragma(&self, name: &'static str, value: &'static str) {
        lock(&self.tape).pragmas.insert(name, value);
    }

    /// Now.
    pub fn moment(&self) -> Moment {
        let begin = lock(&self.past).begin;
        Moment(begin + lock(&self.tape).ops.len() as u64)
    }

    /// The first moment that is not forgotten.
    pub fn beginning(&self) -> Moment {
        Moment(lock(&self.past).begin)
    }

    /// How often something was to be written, truncated or flushed.
    pub fn calls(&self) -> u64 {
        lock(&self.tape).calls
    }

    /// Lets `after` calls to write, truncate or flush go well, and the next `times` fail.
    pub fn fail(&self, fault: Fault, after: u64, times: u64) {
        lock(&self.tape).plan = Some(Plan { fault, after, times });
    }

    /// Nothing fails from now on.
    pub fn heal(&self) {
        lock(&self.tape).plan = None;
    }

    /// Forgets how it was before now: no cut can be made there any more.
    pub fn settle(&self) {
        let now = self.moment();
        let mut past = lock(&self.past);
        past.advance(&lock(&self.tape).ops, now);
        lock(&self.tape).ops.clear();
        past.begin = now.0;
    }

    /// What a power cut at a moment leaves.
    ///
    /// # Panics
    /// If the moment lies before that of another cut or was forgotten, or is yet to come.
    pub fn cut(&self, at: Moment, rng: &mut StdRng) -> Self {
        let to = directory();
        self.at(at, |image| image.write_some(to.path(), rng).expect("a file can be written"));
        // Whatever was in shared memory, the first who opens the database makes it anew.
        Self::of(to)
    }

    /// What is left when whatever runs here is killed now, and the system goes on.
    pub fn killed(&self) -> Self {
        self.killed_at(self.moment())
    }

    /// The same while the system goes on whose flush failed: what was written is still to be read, from memory,
    /// but nobody will flush it once more.
    pub fn killed_with_memory(&self) -> Self {
        let to = copy(self.directory());
        let mut past = lock(&self.past);
        let now = Moment(past.begin + lock(&self.tape).ops.len() as u64);
        past.advance(&lock(&self.tape).ops, now);
        let names = lock(&self.tape).names_in(to.path());
        Self::record(to, past.image.clone(), names)
    }

    /// What would have been left if it had been killed at a moment.
    ///
    /// # Panics
    /// As [`Disk::cut`].
    pub fn killed_at(&self, at: Moment) -> Self {
        let to = directory();
        self.at(at, |image| image.write_all(to.path()).expect("a file can be written"));
        Self::of(to)
    }

    fn at(&self, at: Moment, look: impl FnOnce(&Image)) {
        let mut past = lock(&self.past);
        let tape = lock(&self.tape);
        assert!(at.0 >= past.begin, "this moment was forgotten");
        assert!(at.0 - past.begin <= tape.ops.len() as u64, "this moment is yet to come");
        past.advance(&tape.ops, at);
        drop(tape);
        look(&past.image);
    }
}

impl Past {
    fn advance(&mut self, ops: &[tape::Op], to: Moment) {
        assert!(to.0 >= self.at, "moments of cuts rise");
        let (from, until) = ((self.at - self.begin) as usize, (to.0 - self.begin) as usize);
        ops[from..until].iter().for_each(|op| self.image.take(op));
        self.at = to.0;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        tape::end(self.directory.path());
    }
}

/// A directory with the files of another one.
fn copy(from: &Path) -> TempDir {
    let to = directory();
    for entry in fs::read_dir(from).expect("a directory to be copied can be read") {
        let entry = entry.expect("a directory to be copied can be read");
        // Shared memory is of no use to another disk.
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            let to = to.path().join(entry.file_name());
            fs::copy(entry.path(), to).expect("a file can be copied");
        }
    }
    to
}

fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("suibi-disk-");
    let elsewhere = || {
        // SQLite asks for files under their real names.
        builder.tempdir_in(std::env::temp_dir().canonicalize()?)
    };
    let made = builder.tempdir_in(memory).or_else(|_| elsewhere());
    made.expect("a temporary directory can be made")
}
