//! One note through time: its changes, and which note a name means.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Params, params};
use suibi_journal::{Change, Digits, Entry, Hash, NoteId, NoteName};

use super::OwnChain;
use super::notes;
use super::replica::entry;
use crate::{JournalId, Revision, StoreError};

/// [`Reader::history`](crate::Reader::history). `conn` is in a transaction.
pub(crate) fn history(
    conn: &Connection,
    own_chain: OwnChain,
    journal: JournalId,
    note: NoteId,
) -> Result<Vec<Revision>, StoreError> {
    let Some(row) = notes::find(conn, journal, note)? else { return Ok(Vec::new()) };
    let mut statement = conn.prepare_cached(
        "SELECT c.position, c.map, c.content, d.device, r.server
         FROM changes c
            CROSS JOIN chains d ON d.id = c.chain
            LEFT JOIN receipts r ON r.position = c.position
         WHERE c.position IN (SELECT ?1 UNION ALL SELECT position FROM edits WHERE first = ?1)",
    )?;
    let mut rows = statement.query([row.first])?;
    let mut revisions = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (position, entry) = entry(row)?;
        let receipt = match own_chain {
            OwnChain::Fresh => Some(position),
            OwnChain::Kept => row.get(4)?,
        };
        let revision = Revision {
            entry,
            device: row.get(3)?,
            position,
            receipt,
            is_head: true,
            waiting: receipt.is_none(),
        };
        revisions.insert(position, revision);
    }
    Ok(in_order(revisions))
}

/// Each after its parents, as far as these are here, else by position; and heads are told from the others.
fn in_order(mut revisions: BTreeMap<u64, Revision>) -> Vec<Revision> {
    let parents = |entry: &Entry| entry.change().parents.clone();
    let replaced: BTreeSet<Hash> =
        revisions.values().flat_map(|revision| parents(&revision.entry)).collect();
    let places: BTreeMap<Hash, u64> =
        revisions.iter().map(|(&position, revision)| (revision.entry.hash(), position)).collect();
    // How many parents of each are still to be told, and of which each is one.
    let mut missing: BTreeMap<u64, usize> = BTreeMap::new();
    let mut children: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (&position, revision) in &mut revisions {
        revision.is_head = !replaced.contains(&revision.entry.hash());
        for parent in parents(&revision.entry).iter().filter_map(|hash| places.get(hash)) {
            *missing.entry(position).or_default() += 1;
            children.entry(*parent).or_default().push(position);
        }
    }
    let mut ready: BTreeSet<u64> =
        revisions.keys().copied().filter(|position| !missing.contains_key(position)).collect();
    let mut ordered = Vec::with_capacity(revisions.len());
    while let Some(position) = ready.pop_first() {
        ordered.extend(revisions.remove(&position));
        for child in children.remove(&position).unwrap_or_default() {
            let missing = missing.get_mut(&child).expect("a child has a parent");
            *missing -= 1;
            if *missing == 0 {
                ready.insert(child);
            }
        }
    }
    // A hash cannot be made to come from itself, so nothing is left.
    ordered.extend(revisions.into_values());
    ordered
}

/// [`Reader::find`](crate::Reader::find). `conn` is in a transaction.
pub(crate) fn find(
    conn: &Connection,
    own_chain: OwnChain,
    journal: JournalId,
    name: &NoteName,
) -> Result<Vec<NoteId>, StoreError> {
    let here = Here { conn, own_chain, journal };
    let found = match name {
        NoteName::Last => here.last()?.into_iter().collect(),
        NoteName::Receipt { position, hash } => here.at(*position, hash.as_ref())?,
        NoteName::Number { position, digits } => {
            let found = here.at(*position, None)?;
            match digits {
                Some(digits) if found.is_empty() => here.beginning_with(digits)?,
                _ => found,
            }
        }
        NoteName::Digits(digits) => here.beginning_with(digits)?,
        NoteName::Id(digits) => here.ids(digits)?,
    };
    Ok(found.into_iter().collect())
}

/// A journal in one state of the store.
struct Here<'c> {
    conn: &'c Connection,
    own_chain: OwnChain,
    journal: JournalId,
}

impl Here<'_> {
    fn last(&self) -> Result<Option<NoteId>, StoreError> {
        let mut statement = self.conn.prepare_cached(
            "SELECT id FROM notes WHERE journal = ?1 AND state & 1 = 0 ORDER BY key DESC LIMIT 1",
        )?;
        let id = statement.query_row([self.journal.0], |row| row.get(0)).optional()?;
        Ok(id.map(NoteId::from_bytes))
    }

    /// The note of the change at a position of the server's feed.
    fn at(&self, position: u64, hash: Option<&Digits>) -> Result<BTreeSet<NoteId>, StoreError> {
        let of_server = "SELECT hash, map FROM changes WHERE position = ?1 AND journal = ?2";
        let of_replica = "SELECT c.hash, c.map
             FROM receipts r CROSS JOIN changes c ON c.position = r.position
             WHERE r.server = ?1 AND c.journal = ?2";
        let sql = match self.own_chain {
            OwnChain::Fresh => of_server,
            OwnChain::Kept => of_replica,
        };
        // What cannot be a position here is not one.
        let position = i64::try_from(position).unwrap_or(-1);
        self.notes_of(sql, params![position, self.journal.0], hash)
    }

    /// The notes of which a change has a hash that begins like this, or that have such an id.
    fn beginning_with(&self, digits: &Digits) -> Result<BTreeSet<NoteId>, StoreError> {
        let (from, to) = digits.range::<32>();
        let sql = "SELECT hash, map FROM changes WHERE journal = ?3 AND hash BETWEEN ?1 AND ?2";
        let mut found = self.notes_of(sql, params![from, to, self.journal.0], None)?;
        if digits.may_be_id() {
            found.append(&mut self.ids(digits)?);
        }
        Ok(found)
    }

    fn ids(&self, digits: &Digits) -> Result<BTreeSet<NoteId>, StoreError> {
        let (from, to) = digits.range::<16>();
        let mut statement = self
            .conn
            .prepare_cached("SELECT id FROM notes WHERE id BETWEEN ?1 AND ?2 AND journal = ?3")?;
        let ids = statement.query_map(params![from, to, self.journal.0], |row| {
            Ok(NoteId::from_bytes(row.get(0)?))
        })?;
        Ok(ids.collect::<Result<_, _>>()?)
    }

    /// The notes of the changes that a statement gives.
    fn notes_of(
        &self,
        sql: &str,
        parameters: impl Params,
        hash: Option<&Digits>,
    ) -> Result<BTreeSet<NoteId>, StoreError> {
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut found = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let its: [u8; 32] = row.get(0)?;
            if hash.is_some_and(|hash| !hash.begin(&its)) {
                continue;
            }
            let change = Change::decode(&row.get::<_, Vec<u8>>(1)?)
                .map_err(|error| StoreError::Corrupt(format!("a change: {error}")))?;
            found.insert(change.note);
        }
        Ok(found)
    }
}
