//! What can still be had from a damaged replica.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, ffi};
use suibi_journal::{ChainId, Entry, Hash};

use super::backup::beside;
use super::rescue::Rescued;
use super::{SqliteStore, open};
use crate::directory::flush_names;
use crate::{JournalId, StoreError, private};

/// How many positions behind a damaged place are tried one by one.
const TRIES: u64 = 100_000;

/// The changes in a damaged replica that its server may lack, as far as they can be read, with the
/// names of their devices: by chain, in the order of their `seq`.
///
/// What waits in the outbox, and whatever else has no receipt that can be read; what the tables do
/// not lead to any more is looked for in the bytes of the file. The server may have some of it
/// after all, which does no harm. Nothing is written to the file. One that is not there has nothing.
///
/// # Errors
/// When the file cannot be read for another reason than its damage: later it may be.
pub fn salvage(path: &Path) -> Result<Vec<(String, Entry)>, StoreError> {
    let mut found = Found::default();
    let is_there = path.try_exists().map_err(|error| StoreError::file(path, &error))?;
    match is_there.then(|| open::visitor(path)) {
        Some(Ok(conn)) => found.read(&conn),
        Some(Err(error)) if !error.is_damage() => return Err(error),
        _ => found.is_whole = false,
    }
    if let Some(trouble) = found.trouble {
        return Err(trouble);
    }
    if !found.is_whole {
        for file in [path.to_owned(), beside(path, "-wal")] {
            match fs::read(&file) {
                Ok(bytes) => found.look_through(&bytes),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::file(&file, &error)),
            }
        }
    }
    let (count, is_whole) = (found.entries.len(), found.is_whole);
    tracing::info!(count, is_whole, "changes were read from a replica that was put aside");
    Ok(found.into_sorted())
}

/// Where the files of a store go that are put aside: `NAME.db.damaged-1` or the next number that is
/// free.
pub fn place_aside(path: &Path) -> PathBuf {
    (1..)
        .map(|number| beside(path, &format!(".damaged-{number}")))
        .find(|aside| !aside.exists() && !beside(aside, "-wal").exists())
        .expect("numbers do not end")
}

/// Puts the files of a store aside. Its index is removed. Nobody may have the store open.
///
/// # Errors
/// What the system says. An attempt that was interrupted is completed by another one with the same
/// place; one that was complete is left as it is.
pub fn put_aside(path: &Path, aside: &Path) -> Result<(), StoreError> {
    if aside.try_exists().map_err(|error| StoreError::file(aside, &error))? {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let flush = || flush_names(directory).map_err(|error| StoreError::file(directory, &error));
    // The log first, and durably: a new store in this place must never find it.
    let log = beside(path, "-wal");
    rename(&log, &beside(aside, "-wal"))?;
    flush()?;
    let index = open::index_path(path);
    let of_no_use = [beside(path, "-shm"), beside(&index, "-wal"), beside(&index, "-shm"), index];
    for name in of_no_use {
        private::remove(&name).map_err(|error| StoreError::file(&name, &error))?;
    }
    rename(path, aside)?;
    flush()
}

/// Renames what is there.
fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::file(from, &error))
        }
        _ => Ok(()),
    }
}

/// How much of the server's feed a replica has read when it takes back what was salvaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedRead {
    /// All of it: what is not here now, the server lacks.
    Whole,
    /// Not to its end. The rest is to be taken back when it is.
    Part,
    /// Nothing, for ever: this device may not.
    Never,
}

impl SqliteStore {
    /// Takes what [`salvage`] gave into a replica that was filled anew, and puts what the server
    /// may lack into the outbox. Returns how much that is. Doing it again is harmless.
    ///
    /// What follows its chain as it is now goes there. About the rest it depends on the feed, for
    /// a change between could not be read, or the server has another one:
    ///
    /// - [`FeedRead::Whole`]: it is written anew on a rescued chain.
    /// - [`FeedRead::Part`]: it is left alone, because the server may have it all.
    /// - [`FeedRead::Never`]: it goes to its place with a gap before it; the server, which is
    ///   asked, has what is missing, or refuses. Only what has its place taken is written anew.
    ///
    /// # Errors
    /// Nothing of it is kept then.
    pub fn take_back(
        &mut self,
        salvaged: &[(String, Entry)],
        feed: FeedRead,
    ) -> Result<u64, StoreError> {
        let mut chains = BTreeMap::<ChainId, Vec<&(String, Entry)>>::new();
        for one in salvaged {
            chains.entry(one.1.change().chain).or_default().push(one);
        }
        self.write(JournalId::FIRST, |batch| {
            let mut taken = 0;
            for (chain, mut entries) in chains {
                entries.sort_by_key(|(_, entry)| entry.change().seq);
                let mut loose = Vec::new();
                for (device, entry) in &entries {
                    if batch.position_of(entry)?.is_some() {
                        continue;
                    }
                    let change = entry.change();
                    let end = batch.chain(chain)?.map_or((0, None), |end| (end.seq, end.hash));
                    let follows = (end.0 + 1, end.1) == (change.seq, change.previous);
                    let is_behind_a_gap = feed == FeedRead::Never && end.0 + 1 < change.seq;
                    if loose.is_empty() && (follows || is_behind_a_gap) {
                        let position = batch.append(device, entry)?;
                        batch.enqueue(entry, position)?;
                        taken += 1;
                    } else {
                        loose.push(entry.clone());
                    }
                }
                if feed == FeedRead::Part {
                    continue;
                }
                if let (Some(first), Some((device, _))) = (loose.first(), entries.first()) {
                    let from_seq = first.change().seq;
                    let (changes, device) = (loose.len() as u64, device.clone());
                    taken += changes;
                    batch.write_anew(&Rescued { chain, from_seq, changes, device }, loose)?;
                }
            }
            Ok(taken)
        })
    }
}

/// What was found so far.
struct Found {
    entries: Vec<(String, Entry)>,
    hashes: HashSet<Hash>,
    /// What the server has: not wanted, wherever it is found.
    acknowledged: HashSet<Hash>,
    devices: BTreeMap<ChainId, String>,
    /// Whether nothing was met that cannot be read.
    is_whole: bool,
    /// Why something cannot be read, if that is no damage.
    trouble: Option<StoreError>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            hashes: HashSet::new(),
            acknowledged: HashSet::new(),
            devices: BTreeMap::new(),
            is_whole: true,
            trouble: None,
        }
    }
}

impl Found {
    /// Reads the tables.
    fn read(&mut self, conn: &Connection) {
        let devices = "SELECT chain, device FROM chains";
        self.each(conn, devices, |found, row| {
            found.devices.insert(ChainId::from_bytes(row.get(0)?), row.get(1)?);
            Ok(())
        });
        let (mut waiting, mut acknowledged) = (BTreeSet::new(), BTreeSet::new());
        self.each(conn, "SELECT position FROM outbox", |_, row| {
            waiting.insert(row.get::<_, u64>(0)?);
            Ok(())
        });
        self.each(conn, "SELECT position FROM receipts", |_, row| {
            acknowledged.insert(row.get::<_, u64>(0)?);
            Ok(())
        });
        let is_wanted =
            |position: u64| waiting.contains(&position) || !acknowledged.contains(&position);
        self.changes(conn, is_wanted);
    }

    /// The rows that a query gives until one of them cannot be read.
    fn each(
        &mut self,
        conn: &Connection,
        query: &str,
        mut take: impl FnMut(&mut Self, &Row<'_>) -> rusqlite::Result<()>,
    ) {
        let done = conn.prepare(query).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                take(self, row)?;
            }
            Ok(())
        });
        if let Err(error) = done {
            self.miss(error);
        }
    }

    /// Something cannot be read.
    fn miss(&mut self, error: rusqlite::Error) {
        self.is_whole = false;
        let is_trouble = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::ReadOnly
                    | ErrorCode::DiskFull
                    | ErrorCode::OutOfMemory
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::SystemIoFailure
            )
        );
        // A file that ends too soon is damaged, and so is a log.
        let is_short = error
            .sqlite_error()
            .is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHORT_READ);
        if is_trouble && !is_short {
            self.trouble = Some(error.into());
        }
    }

    /// All changes that can be reached; behind a damaged place it goes on with the next one that
    /// can be.
    fn changes(&mut self, conn: &Connection, is_wanted: impl Fn(u64) -> bool) {
        let end = [
            "SELECT position FROM changes ORDER BY position DESC LIMIT 1",
            "SELECT max(position) FROM feeds",
        ];
        let end = end.iter().filter_map(|end| conn.query_row(end, [], |row| row.get(0)).ok()).max();
        let mut tries = TRIES;
        let mut after = 0;
        while let Err(last) = self.run(conn, after, &is_wanted) {
            self.is_whole = false;
            after = last;
            loop {
                after += 1;
                tries -= 1;
                if tries == 0 || end.is_none_or(|end: u64| after > end) {
                    return;
                }
                if matches!(self.one(conn, after, &is_wanted), Ok(Some(()))) {
                    break;
                }
            }
        }
    }

    /// The change at a position.
    fn one(
        &mut self,
        conn: &Connection,
        position: u64,
        is_wanted: &impl Fn(u64) -> bool,
    ) -> rusqlite::Result<Option<()>> {
        conn.prepare_cached("SELECT position, map, content, hash FROM changes WHERE position = ?1")?
            .query_row([position], |row| self.take(row, is_wanted).map(drop))
            .optional()
    }

    /// The changes after a position, to the end or to the last one before what cannot be read.
    fn run(
        &mut self,
        conn: &Connection,
        after: u64,
        is_wanted: &impl Fn(u64) -> bool,
    ) -> Result<(), u64> {
        let mut last = after;
        let done = conn
            .prepare(
                "SELECT position, map, content, hash FROM changes
                 WHERE position > ?1 ORDER BY position",
            )
            .and_then(|mut statement| {
                let mut rows = statement.query([after])?;
                while let Some(row) = rows.next()? {
                    last = self.take(row, is_wanted)?;
                }
                Ok(())
            });
        done.map_err(|error| {
            self.miss(error);
            last
        })
    }

    /// A row of `changes`: its position.
    fn take(&mut self, row: &Row<'_>, is_wanted: &impl Fn(u64) -> bool) -> rusqlite::Result<u64> {
        let position = row.get(0)?;
        let is_map = |map: &[u8]| {
            row.get::<_, [u8; 32]>(3).is_ok_and(|hash| Hash::of(map) == Hash::from_bytes(hash))
        };
        match (row.get::<_, Vec<u8>>(1), row.get::<_, Option<Vec<u8>>>(2)) {
            (Ok(map), _) if !is_wanted(position) => {
                self.acknowledged.insert(Hash::of(&map));
            }
            // Of a map that was altered, the content may still be the right one.
            (Ok(map), Ok(content)) if is_map(&map) => {
                match Entry::from_bytes(&map, content.as_deref()) {
                    Ok(entry) => self.add(entry),
                    Err(_) => self.is_whole = false,
                }
            }
            _ => self.is_whole = false,
        }
        Ok(position)
    }

    fn add(&mut self, entry: Entry) {
        if !self.acknowledged.contains(&entry.hash()) && self.hashes.insert(entry.hash()) {
            let device = self.devices.get(&entry.change().chain).cloned().unwrap_or_default();
            self.entries.push((device, entry));
        }
    }

    /// Looks for changes in bytes of which nothing is known. A row has its hash and the running one
    /// right before the change and its content right behind it, and the hashes tell what is one; long
    /// rows, which are in several pieces, are not found.
    fn look_through(&mut self, bytes: &[u8]) {
        // A map of 6 to 8 pairs, of which the first two are: version 1, and a chain of 16 bytes.
        const BEGIN: [u8; 4] = [0x00, 0x01, 0x01, 0x50];
        let is_begin = |window: &[u8]| matches!(window[0], 0xa6..=0xa8) && window[1..] == BEGIN;
        for (at, _) in bytes.windows(5).enumerate().filter(|(_, window)| is_begin(window)) {
            let rest = &bytes[at..];
            let Some(map) = item_len(rest) else { continue };
            let hash = at.checked_sub(64).map(|hash| &bytes[hash..hash + 32]);
            if hash != Some(Hash::of(&rest[..map]).as_bytes().as_slice()) {
                continue;
            }
            let Some(content) = item_len(&rest[map..]) else { continue };
            let content = &rest[map..map + content];
            if let Ok(entry) = Entry::from_bytes(&rest[..map], Some(content)) {
                self.add(entry);
            }
        }
    }

    fn into_sorted(mut self) -> Vec<(String, Entry)> {
        self.entries
            .sort_by_key(|(_, entry)| (entry.change().chain, entry.change().seq, entry.hash()));
        self.entries
    }
}

/// How many bytes the CBOR item has that these bytes begin with (RFC 8949 §3), if they hold all of
/// it; of the forms that changes and contents have.
fn item_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut left) = (0, 1u64);
    while left > 0 {
        left -= 1;
        let (major, info) = (bytes.get(at)? >> 5, bytes[at] & 0x1f);
        let len = match info {
            0..=23 => 0,
            24..=27 => 1 << (info - 24),
            _ => return None,
        };
        let argument = bytes.get(at + 1..at + 1 + len)?;
        let argument = match len {
            0 => u64::from(info),
            _ => argument.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        };
        at += 1 + len;
        match major {
            2 | 3 => at = at.checked_add(usize::try_from(argument).ok()?)?,
            4 => left = left.checked_add(argument)?,
            5 => left = left.checked_add(argument.checked_mul(2)?)?,
            6 => return None,
            _ => {}
        }
        // Each item that is still to come has a byte at least.
        if at.checked_add(usize::try_from(left).ok()?)? > bytes.len() {
            return None;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_an_item_is_found_or_there_is_none() {
        for (bytes, len) in [
            (&[0x00][..], Some(1)),
            (&[0x18, 0x20, 0xff], Some(2)),
            (&[0x42, 1, 2, 3], Some(3)),
            (&[0x42, 1], None),
            (&[0x82, 0x01, 0xf6, 0x01], Some(3)),
            (&[0xa1, 0x01, 0x81, 0x20], Some(4)),
            (&[0xa1, 0x01], None),
            (&[0xc0, 0x01], None),
            (&[0x5f, 0x41, 0], None),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
            (&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
            (&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], None),
            (&[0x19, 0x01], None),
            (&[], None),
        ] {
            assert_eq!(item_len(bytes), len, "{bytes:02x?}");
        }
    }
}
