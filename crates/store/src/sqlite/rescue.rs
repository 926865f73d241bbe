//! Forks in a replica: the branch that the server's feed decided against is written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, params};
use suibi_journal::{
    AuditEntry, AuditKind, ChainId, Change, Cursor, Entry, Hash, NoteId, rescue, rescued_chain,
};

use super::batch::Batch;
use super::index::INDEX_EPOCH;
use super::replica::entry;
use super::{SqliteStore, access, notes};
use crate::{JournalId, StoreError};

/// What a page of the server's feed brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// How many changes of the page were not here yet.
    pub new: u64,
    /// The forks that the page showed; their lost branches wait in the outbox now.
    pub rescued: Vec<Rescued>,
}

/// The lost branch of a fork, which was written anew ([`suibi_journal::rescue()`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// The chain that was forked.
    pub chain: ChainId,
    /// The first place of the lost branch there.
    pub from_seq: u64,
    /// How many changes the branch had; 0 when there was none any more.
    pub changes: u64,
    /// The name of the chain's device; empty if it is not known.
    pub device: String,
}

impl SqliteStore {
    /// Writes the changes of a chain from `seq` on anew, on a rescued chain, and puts them into the
    /// outbox: the server has other changes there, and this device may not read which (a drop).
    /// A replica that may read has [`apply_page`](Self::apply_page), which knows which ones lose.
    ///
    /// # Errors
    /// Nothing is changed then.
    pub fn rescue_from(&mut self, chain: ChainId, seq: u64) -> Result<Rescued, StoreError> {
        self.write(JournalId::FIRST, |batch| {
            let end = batch.end();
            let rescued = batch.rescue_branch(chain, seq)?;
            if batch.end() < end {
                // All of it was here already. What is derived from the end of the feed has to see
                // that something happened (`Reader::version`).
                batch.aside().execute(
                    "UPDATE journals SET renames = renames + ?1 WHERE id = ?2",
                    params![end - batch.end() + 1, batch.journal.0],
                )?;
            }
            let none = Rescued { chain, from_seq: seq, changes: 0, device: String::new() };
            Ok(rescued.unwrap_or(none))
        })
    }
}

/// A change in its place in a chain.
pub(super) struct Slot {
    position: u64,
    pub(super) hash: Hash,
    pub(super) previous: Option<Hash>,
}

impl Batch<'_> {
    /// The changes of a chain, by `seq`. This looks through the whole table: only for forks, and
    /// for chains that came with gaps.
    pub(super) fn slots(&mut self, chain: ChainId) -> Result<BTreeMap<u64, Slot>, StoreError> {
        let Some(chain) = self.chain(chain)?.map(|chain| chain.id) else {
            return Ok(BTreeMap::new());
        };
        let mut statement = self
            .tables()?
            .prepare_cached("SELECT position, seq, hash, map FROM changes WHERE chain = ?1")?;
        let mut rows = statement.query([chain])?;
        let mut slots = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let position = row.get(0)?;
            let change = Change::decode(row.get_ref(3)?.as_blob().unwrap_or_default())
                .map_err(|error| StoreError::Corrupt(format!("change at {position}: {error}")))?;
            let (hash, previous) = (Hash::from_bytes(row.get(2)?), change.previous);
            slots.insert(row.get(1)?, Slot { position, hash, previous });
        }
        Ok(slots)
    }

    /// Takes the changes of a chain from `seq` on out of the store and writes them anew. `None`:
    /// there are none.
    pub(super) fn rescue_branch(
        &mut self,
        chain: ChainId,
        seq: u64,
    ) -> Result<Option<Rescued>, StoreError> {
        self.flush()?;
        let positions: Vec<u64> =
            self.slots(chain)?.range(seq..).map(|(_, slot)| slot.position).collect();
        if positions.is_empty() {
            return Ok(None);
        }
        let lost: Vec<Entry> =
            positions.iter().map(|position| self.entry_at(*position)).collect::<Result<_, _>>()?;
        let device: String = self
            .aside()
            .prepare_cached("SELECT device FROM chains WHERE chain = ?1")?
            .query_row([chain.as_bytes()], |row| row.get(0))?;
        self.take_out(chain, &positions, &lost)?;
        self.leave_chain(chain)?;
        let rescued = Rescued { chain, from_seq: seq, changes: lost.len() as u64, device };
        self.write_anew(&rescued, lost)?;
        Ok(Some(rescued))
    }

    pub(super) fn entry_at(&mut self, position: u64) -> Result<Entry, StoreError> {
        let mut select = self
            .tables()?
            .prepare_cached("SELECT position, map, content FROM changes WHERE position = ?1")?;
        let mut rows = select.query([position])?;
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        Ok(entry(row)?.1)
    }

    /// Takes changes out of the store, and puts everything right that followed from them.
    fn take_out(
        &mut self,
        chain: ChainId,
        positions: &[u64],
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let gone: BTreeSet<u64> = positions.iter().copied().collect();
        let ids: BTreeSet<NoteId> = entries.iter().map(|entry| entry.change().note).collect();
        let mut left = Vec::new();
        for id in ids {
            left.push((id, self.take_note_out(id, &gone)?));
        }
        for table in ["changes", "outbox", "receipts", "edits", "moved"] {
            let mut delete =
                self.tables()?.prepare(&format!("DELETE FROM {table} WHERE position = ?1"))?;
            for position in &gone {
                delete.execute([position])?;
            }
        }
        for (id, positions) in left {
            self.put_note_back(id, &positions)?;
        }
        self.tables()?.execute(
            "UPDATE chains SET (seq, hash) =
                (SELECT coalesce(max(seq), 0), hash FROM changes WHERE chain = chains.id)
             WHERE chain = ?1",
            [chain.as_bytes()],
        )?;
        self.count_again(gone.first().copied().unwrap_or(0))?;
        let epoch = self.meta(INDEX_EPOCH)?.and_then(|text| text.parse::<u64>().ok());
        self.set_meta(INDEX_EPOCH, &(epoch.unwrap_or(0) + 1).to_string())?;
        self.look_again(chain)
    }

    /// Takes the row of a note away, and says which of its changes stay.
    fn take_note_out(&mut self, id: NoteId, gone: &BTreeSet<u64>) -> Result<Vec<u64>, StoreError> {
        let tables = self.tables()?;
        let Some(row) = notes::find(tables, self.journal, id)? else {
            return Err(StoreError::Corrupt(format!("note {id} has no row")));
        };
        let mut positions = notes::positions(tables, row.first)?;
        positions.retain(|position| !gone.contains(position));
        self.remove_note(row)?;
        Ok(positions)
    }

    /// Folds a note from the changes that are left of it.
    fn put_note_back(&mut self, id: NoteId, positions: &[u64]) -> Result<(), StoreError> {
        let Some((first, others)) = positions.split_first() else { return Ok(()) };
        let mut edit =
            self.tables()?.prepare_cached("INSERT INTO edits (first, position) VALUES (?1, ?2)")?;
        for position in others {
            edit.execute([first, position])?;
        }
        self.insert_folded(id, *first)
    }

    /// Numbers and running hashes of this journal's feed, from a position on.
    fn count_again(&mut self, from: u64) -> Result<(), StoreError> {
        let tables = self.tables()?;
        let (mut cursor, mut number) = tables
            .prepare_cached(
                "SELECT position, running, number FROM changes
                 WHERE journal = ?1 AND position < ?2 ORDER BY position DESC LIMIT 1",
            )?
            .query_row(params![self.journal.0, from], |row| {
                let running = Hash::from_bytes(row.get(1)?);
                Ok((Cursor { position: row.get(0)?, running }, row.get::<_, u64>(2)?))
            })
            .optional()?
            .unwrap_or((Cursor::START, 0));
        let mut statement = tables.prepare_cached(
            "SELECT position, hash FROM changes
             WHERE journal = ?1 AND position >= ?2 ORDER BY position",
        )?;
        let after: Vec<(u64, [u8; 32])> = statement
            .query_map(params![self.journal.0, from], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut update = tables
            .prepare_cached("UPDATE changes SET number = ?2, running = ?3 WHERE position = ?1")?;
        for (position, hash) in after {
            cursor = cursor.next(position, Hash::from_bytes(hash));
            number += 1;
            update.execute(params![position, number, cursor.running.as_bytes()])?;
        }
        tables.execute(
            "UPDATE feeds SET position = ?2, number = ?3, running = ?4 WHERE journal = ?1",
            params![self.journal.0, cursor.position, number, cursor.running.as_bytes()],
        )?;
        Ok(())
    }

    /// Appends what was lost on its rescued chain, as far as it is not there, and tells the trail.
    pub(super) fn write_anew(
        &mut self,
        rescued: &Rescued,
        lost: Vec<Entry>,
    ) -> Result<(), StoreError> {
        let chain = rescued_chain(lost[0].hash());
        let mut lost = lost;
        while !lost.is_empty() {
            let mut again = rescue(&lost);
            let there = self.slots(rescued_chain(lost[0].hash()))?;
            let is_other = |entry: &Entry| {
                there.get(&entry.change().seq).is_some_and(|slot| slot.hash != entry.hash())
            };
            // Another replica that had another end of this branch was here first: a fork of the
            // rescued chain, and what is ours of it is rescued in turn.
            let end = again.iter().position(is_other).unwrap_or(again.len());
            lost = again.split_off(end);
            for entry in &again {
                if !there.contains_key(&entry.change().seq) {
                    let position = self.append(&rescued.device, entry)?;
                    self.enqueue(entry, position)?;
                }
            }
        }
        let Rescued { chain: old, from_seq, changes, device } = rescued;
        let entry = AuditEntry {
            at: now(),
            what: AuditKind::Rescued,
            device: device.clone(),
            journal: String::new(),
            address: String::new(),
            detail: format!("{changes} from seq {from_seq} of chain {old}, now chain {chain}"),
        };
        access::add_to_trail(self.aside(), &entry)
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
