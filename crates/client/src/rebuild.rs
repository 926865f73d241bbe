//! A replica that cannot be used any more is put aside, and a new one is filled from the server.
//!
//! ```text
//!   NAME.db is damaged ──> NAME.db.damaged-1 ──┐ what the server may lack
//!   a new NAME.db <── the server's feed        └──> taken back, once the feed was read (or nobody answers)
//! ```
//!
//! Only damage is a reason: what a full disk, missing rights or a failing disk say goes away by itself or with
//! somebody's help, and the file is as good as before.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use suibi_journal::{AuditEntry, AuditKind, Rights};
use suibi_store::salvage::{self, FeedRead};
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

/// Opens the replica; a damaged one is put aside for a new one, and where to is said.
pub(crate) fn open(
    path: &Path,
    device: &str,
) -> Result<(SqliteStore, Option<Rebuilt>), StoreError> {
    let identity = Identity::of(path);
    match open_replica(path, device) {
        Err(error) if error.is_damage() => rebuild(path, device, identity, error),
        opened => opened.map(|store| (store, None)),
    }
}

/// Puts a replica aside in which damage was met, and opens a new one. Somebody else may have been faster: then that one
/// is opened.
pub(crate) fn rebuild(
    path: &Path,
    device: &str,
    damaged: Identity,
    error: StoreError,
) -> Result<(SqliteStore, Option<Rebuilt>), StoreError> {
    let io = |error: std::io::Error| StoreError::Io(format!("{}: {error}", path.display()));
    // One process at a time; the name of the file stays, and whoever comes next finds the new one.
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".rebuild");
    let lock_path = PathBuf::from(lock_path);
    let lock = File::create(&lock_path).map_err(io)?;
    lock.lock().map_err(io)?;
    let opened = if Identity::of(path) == damaged && damaged.0.is_some() {
        put_aside(path, device, error)
    } else {
        open_replica(path, device).map(|store| (store, None))
    };
    // It may be gone already.
    let _ = fs::remove_file(&lock_path);
    opened
}

fn put_aside(
    path: &Path,
    device: &str,
    error: StoreError,
) -> Result<(SqliteStore, Option<Rebuilt>), StoreError> {
    let now = jiff::Timestamp::now().as_millisecond();
    let before = open_replica(path, device).ok().and_then(|mut old| old.meta(REBUILT).ok()?);
    let before = before.and_then(|at| at.parse::<i64>().ok());
    if before.is_some_and(|before| (0..NOT_AGAIN_WITHIN).contains(&(now - before))) {
        return Err(error);
    }
    let aside = salvage::put_aside(path)?;
    tracing::warn!(%error, aside = %aside.display(), "the replica is damaged and was put aside");
    let mut store = open_replica(path, device)?;
    let name = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    store.set_meta(SALVAGE, &name)?;
    store.set_meta(REBUILT, &now.to_string())?;
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
    Ok((store, Some(Rebuilt { aside, kept: 0 })))
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
    let salvaged = salvage::salvage(&path.with_file_name(&name));
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
