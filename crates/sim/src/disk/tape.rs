//! What was done to the files of a disk, in its order.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi::{SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE};

/// One file, whatever its name is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(pub(super) u32);

/// The files of a directory by name, each with its inode, by which one that was removed and made again without
/// SQLite is noticed.
pub(super) type Names = BTreeMap<String, (FileId, u64)>;

/// Something that was done.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// A new file under a name.
    Create {
        name: String,
        file: FileId,
    },
    /// A name is gone.
    Delete {
        name: String,
    },
    /// The directory was flushed: the names are durable.
    SyncNames,
    Write {
        file: FileId,
        offset: u64,
        bytes: Arc<[u8]>,
    },
    Truncate {
        file: FileId,
        len: u64,
    },
    /// The file was flushed: what was written is durable.
    Sync {
        file: FileId,
    },
    /// It was to be flushed, and that failed: nobody will flush again what was written.
    SyncFailed {
        file: FileId,
    },
}

/// What can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Write,
    Truncate,
    Sync,
}

/// How a disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Writes, truncations and flushes fail with an input/output error (EIO).
    Broken,
    /// There is no room: what is written is cut off in the middle (ENOSPC). Flushes go on.
    Full,
    /// Flushes fail with an input/output error; writes and truncations go on.
    Unflushed,
}

/// When a disk fails: calls are counted from the moment at which that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) fault: Fault,
    /// So many calls go well.
    pub(super) after: u64,
    /// So many fail then.
    pub(super) times: u64,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    Fail(c_int),
    FailHalfWay(c_int),
}

/// The record of one directory.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) ops: Vec<Op>,
    /// The files as they are.
    names: Names,
    next: u32,
    pub(super) plan: Option<Plan>,
    /// Writes, truncations and flushes that were asked for.
    pub(super) calls: u64,
    /// Values that settings get instead of those that are asked for.
    pub(super) pragmas: BTreeMap<&'static str, &'static str>,
}

impl Tape {
    /// The files as they are, in a copy of the directory.
    pub(super) fn names_in(&self, copy: &Path) -> Names {
        let inode = |name: &String| Some(fs::metadata(copy.join(name)).ok()?.ino());
        let names = self.names.iter();
        names.filter_map(|(name, (file, _))| Some((name.clone(), (*file, inode(name)?)))).collect()
    }
}

/// A tape as its disk and its files share it.
pub(super) type Shared = Arc<Mutex<Tape>>;

/// The disks of this process.
static DISKS: Mutex<BTreeMap<PathBuf, Shared>> = Mutex::new(BTreeMap::new());

/// Nothing here is left half done by a panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records what is done in `directory` from now on.
pub(super) fn begin(directory: &Path, names: Names) -> Shared {
    let next = names.values().map(|(file, _)| file.0 + 1).max().unwrap_or(0);
    let tape = Arc::new(Mutex::new(Tape { names, next, ..Tape::default() }));
    lock(&DISKS).insert(directory.to_owned(), Arc::clone(&tape));
    tape
}

/// Records nothing more there, but for files that are still open.
pub(super) fn end(directory: &Path) {
    lock(&DISKS).remove(directory);
}

fn find(path: &Path) -> Option<(Shared, String)> {
    let tape = lock(&DISKS).get(path.parent()?).cloned()?;
    Some((tape, path.file_name()?.to_str()?.to_owned()))
}

/// A file was opened; `existed` before that, or was made now.
pub(super) fn open(path: &Path, existed: bool, is_log: bool) -> Option<Recorded> {
    let (shared, name) = find(path)?;
    let inode = fs::metadata(path).ok()?.ino();
    let mut tape = lock(&shared);
    let known = tape.names.get(&name).copied();
    let (file, is_new_log) = match known {
        Some((file, same)) if same == inode => (file, false),
        _ => {
            if known.is_some() {
                tape.ops.push(Op::Delete { name: name.clone() });
            }
            let file = FileId(tape.next);
            tape.next += 1;
            tape.names.insert(name.clone(), (file, inode));
            tape.ops.push(Op::Create { name, file });
            if existed {
                // Whoever makes a file before SQLite sees it flushes it and its directory: the store does.
                let bytes = fs::read(path).ok()?.into();
                let content = Op::Write { file, offset: 0, bytes };
                tape.ops.extend([content, Op::Sync { file }, Op::SyncNames]);
            }
            (file, is_log && !existed)
        }
    };
    drop(tape);
    Some(Recorded { tape: shared, file, is_new_log })
}

/// A file was deleted.
pub(super) fn delete(path: &Path, sync_names: bool) {
    let Some((shared, name)) = find(path) else { return };
    let mut tape = lock(&shared);
    if tape.names.remove(&name).is_some() {
        tape.ops.push(Op::Delete { name });
    }
    if sync_names {
        tape.ops.push(Op::SyncNames);
    }
}

/// An open file of a recorded disk.
#[derive(Debug)]
pub(super) struct Recorded {
    tape: Shared,
    file: FileId,
    /// "unix" flushes the directory with the first flush of a journal or log that it made.
    is_new_log: bool,
}

impl Recorded {
    /// What becomes of a call that is about to be made.
    pub(super) fn verdict(&self, call: Call) -> Verdict {
        let mut tape = lock(&self.tape);
        tape.calls += 1;
        let Some(plan) = &mut tape.plan else { return Verdict::Go };
        if plan.after > 0 {
            plan.after -= 1;
            return Verdict::Go;
        }
        if plan.times == 0 {
            return Verdict::Go;
        }
        let verdict = match (plan.fault, call) {
            (Fault::Full, Call::Write) => Verdict::FailHalfWay(SQLITE_FULL),
            (Fault::Full, Call::Truncate | Call::Sync)
            | (Fault::Unflushed, Call::Write | Call::Truncate) => return Verdict::Go,
            (Fault::Broken, Call::Write) => Verdict::Fail(SQLITE_IOERR_WRITE),
            (Fault::Broken, Call::Truncate) => Verdict::Fail(SQLITE_IOERR_TRUNCATE),
            (Fault::Broken | Fault::Unflushed, Call::Sync) => Verdict::Fail(SQLITE_IOERR_FSYNC),
        };
        plan.times -= 1;
        if call == Call::Sync {
            tape.ops.push(Op::SyncFailed { file: self.file });
        }
        verdict
    }

    pub(super) fn written(&self, offset: u64, bytes: &[u8]) {
        let op = Op::Write { file: self.file, offset, bytes: bytes.into() };
        lock(&self.tape).ops.push(op);
    }

    pub(super) fn truncated(&self, len: u64) {
        lock(&self.tape).ops.push(Op::Truncate { file: self.file, len });
    }

    pub(super) fn synced(&mut self) {
        let mut tape = lock(&self.tape);
        tape.ops.push(Op::Sync { file: self.file });
        if std::mem::take(&mut self.is_new_log) {
            tape.ops.push(Op::SyncNames);
        }
    }

    /// The value that a setting gets instead of the one that is asked for.
    pub(super) fn pragma(&self, name: &str) -> Option<&'static str> {
        lock(&self.tape).pragmas.get(name).copied()
    }
}
