//! A replica that cannot be used any more is put aside, and a new one is filled from the server.
//!
//! ```text
//!   NAME.db is damaged ──> NAME.db.damaged-1 ──┐ what the server may lack
//!   a new NAME.db <── the server's feed        └──> taken back, once the feed was read (or nobody answers)
//! ```
//!
//! Only damage is a reason: what a full disk, missing rights or a failing disk say goes away by itself or with
//! somebody's help, and the file is as good as before.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use suibi_journal::{AuditEntry, AuditKind, Rights};
use suibi_store::salvage::{self, FeedRead};
use suibi_store::verify::{self, Problem, ProblemKind};
use suibi_store::{AccessChange, SqliteStore, Store as _, StoreError};

use crate::client::open_replica;
use crate::outcome::Rebuilt;

/// The file that was put aside and is still to be looked through, without directory, in the `meta` of the new one.
const SALVAGE: &str = "salvage";

/// The file of which what follows its chain was taken already, before the feed was read.
const SALVAGED_PART: &str = "salvaged-part";

/// When a replica was made in place of a damaged one, in milliseconds since 1970.
const REBUILT: &str = "rebuilt";

/// A replica that is damaged again so soon has another trouble, which a third one would have as well.
const NOT_AGAIN_WITHIN: i64 = 60 * 60 * 1000;

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(Option<(u64, u64)>);

impl Identity {
    pub(crate) fn of(path: &Path) -> Self {
        Self(fs::metadata(path).ok().map(|file| (file.dev(), file.ino())))
    }
}

/// A replica that was opened.
pub(crate) struct Opened {
    pub(crate) store: SqliteStore,
    /// Which file it is.
    pub(crate) identity: Identity,
    /// What was put aside for it.
    pub(crate) rebuilt: Option<Rebuilt>,
}

impl Opened {
    /// Nobody may put it aside meanwhile.
    fn of(path: &Path, device: &str) -> Result<Self, StoreError> {
        let store = open_replica(path, device)?;
        Ok(Self { store, identity: Identity::of(path), rebuilt: None })
    }
}

/// Opens the replica; a damaged one is put aside for a new one.
pub(crate) fn open(path: &Path, device: &str) -> Result<Opened, StoreError> {
    // Without a directory nothing is there to be put aside, and where nothing can be written nothing can.
    if let Ok(lock) = lock_file(path) {
        lock.lock_shared().map_err(|error| io(path, &error))?;
        if begun(path, &lock).is_none() {
            let identity = Identity::of(path);
            return match Opened::of(path, device) {
                Err(error) if error.is_damage() => {
                    drop(lock);
                    rebuild(path, device, identity, error)
                }
                opened => opened,
            };
        }
        drop(lock);
        let error = StoreError::Corrupt("met by a process that was stopped".into());
        return rebuild(path, device, Identity::of(path), error);
    }
    Opened::of(path, device)
}

/// Puts a replica aside in which damage was met, and opens a new one. Somebody else may have been faster: then that one
/// is opened. What somebody else has begun, and did not come to the end of, is completed.
pub(crate) fn rebuild(
    path: &Path,
    device: &str,
    damaged: Identity,
    error: StoreError,
) -> Result<Opened, StoreError> {
    // One process at a time, and nobody opens meanwhile. The file stays, lest somebody waits for one that is gone.
    let lock = lock_file(path).map_err(|error| io(path, &error))?;
    lock.lock().map_err(|error| io(path, &error))?;
    let aside = match begun(path, &lock) {
        Some(aside) => aside,
        None if Identity::of(path) != damaged || damaged.0.is_none() => {
            return Opened::of(path, device);
        }
        None => {
            let now = jiff::Timestamp::now().as_millisecond();
            if was_rebuilt_lately(path, device, now) || !is_confirmed(path) {
                return Err(error);
            }
            let aside = salvage::place_aside(path);
            begin(path, &lock, &aside).map_err(|error| io(path, &error))?;
            aside
        }
    };
    put_aside(path, device, &lock, aside, &error)
}

/// `NAME.db.rebuild`: the lock, and in it, while a replica is put aside, where to: a name and a line feed.
fn lock_file(path: &Path) -> std::io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".rebuild");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(name)
}

/// Notes durably where a replica is to go, before it goes anywhere: whoever comes next completes it, should we not.
fn begin(path: &Path, lock: &File, aside: &Path) -> std::io::Result<()> {
    let name = aside.file_name().unwrap_or_default().to_string_lossy();
    lock.set_len(0)?;
    lock.write_all_at(format!("{name}\n").as_bytes(), 0)?;
    lock.sync_all()?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// Where a replica was to go when somebody was stopped.
fn begun(path: &Path, mut lock: &File) -> Option<PathBuf> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0)).ok()?;
    lock.read_to_string(&mut text).ok()?;
    // What has no end was not durable, and nothing was renamed yet.
    text.strip_suffix('\n').filter(|name| !name.contains('/')).map(|name| path.with_file_name(name))
}

fn was_rebuilt_lately(path: &Path, device: &str, now: i64) -> bool {
    let before = open_replica(path, device).ok().and_then(|mut old| old.meta(REBUILT).ok()?);
    let before = before.and_then(|at| at.parse::<i64>().ok());
    before.is_some_and(|before| (0..NOT_AGAIN_WITHIN).contains(&(now - before)))
}

/// Whether a look through the whole file finds damage as well. Otherwise the mistake is elsewhere, perhaps in this
/// program, and a good file stays.
fn is_confirmed(path: &Path) -> bool {
    // The index is made again by itself, and a chain has gaps where a drop took back what was left of it.
    let is_damage =
        |problem: &Problem| !matches!(problem.kind, ProblemKind::Index | ProblemKind::Chain);
    match verify::verify(path, None, &mut |_, _| {}) {
        Ok(verified) => verified.problems.iter().any(is_damage),
        Err(error) => error.is_damage(),
    }
}

/// Puts the replica aside, or completes that, and opens a new one which knows of the old one.
fn put_aside(
    path: &Path,
    device: &str,
    lock: &File,
    aside: PathBuf,
    error: &StoreError,
) -> Result<Opened, StoreError> {
    salvage::put_aside(path, &aside)?;
    tracing::warn!(%error, aside = %aside.display(), "the replica is damaged and was put aside");
    let mut opened = Opened::of(path, device)?;
    let store = &mut opened.store;
    let name = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let now = jiff::Timestamp::now().as_millisecond();
    store.set_meta(SALVAGE, &name)?;
    store.set_meta(REBUILT, &now.to_string())?;
    // From here on the new one knows.
    lock.set_len(0).and_then(|()| lock.sync_all()).map_err(|error| io(path, &error))?;
    let audit = AuditEntry {
        at: now,
        what: AuditKind::Rebuilt,
        device: device.to_owned(),
        journal: String::new(),
        address: String::new(),
        detail: format!("{error}; the old file is {name}"),
    };
    // It tells what was done, and nothing depends on it.
    let told = store.change_access(&AccessChange::AuditOnly, Some(&audit));
    if let Err(error) = told {
        tracing::debug!(%error, "the repair is not noted");
    }
    opened.rebuilt = Some(Rebuilt { aside, kept: 0 });
    Ok(opened)
}

fn io(path: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        std::io::ErrorKind::StorageFull => StoreError::Full,
        _ => StoreError::Io(format!("{}: {error}", path.display())),
    }
}

/// Whether there is a file that was put aside and not looked through yet.
pub(crate) fn is_pending(store: &mut SqliteStore) -> Result<bool, StoreError> {
    Ok(store.meta(SALVAGE)?.is_some_and(|name| !name.is_empty()))
}

/// Takes back what the server may lack of the replica that was put aside; says how many changes, if there was one to
/// be looked through. As long as the feed was read in part only, it is looked through once, and once more later.
pub(crate) fn take_back(
    path: &Path,
    store: &mut SqliteStore,
    feed: FeedRead,
) -> Result<Option<u64>, StoreError> {
    let name = store.meta(SALVAGE)?.filter(|name| !name.is_empty());
    let Some(name) = name else { return Ok(None) };
    let is_part = feed == FeedRead::Part;
    if is_part && store.meta(SALVAGED_PART)?.as_ref() == Some(&name) {
        return Ok(None);
    }
    let salvaged = salvage::salvage(&path.with_file_name(&name))?;
    let kept = store.take_back(&salvaged, feed)?;
    match is_part {
        true => store.set_meta(SALVAGED_PART, &name)?,
        false => store.set_meta(SALVAGE, "")?,
    }
    Ok(Some(kept))
}

/// How much of the feed was read by a run that ended like this.
pub(crate) fn feed_read<E>(rights: Rights, outcome: &Result<(), E>) -> FeedRead {
    match outcome {
        _ if !rights.read => FeedRead::Never,
        Ok(()) => FeedRead::Whole,
        Err(_) => FeedRead::Part,
    }
}
