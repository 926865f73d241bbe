//! What stands beside the changes: outbox, receipts, the index.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;
use suibi_journal::ChainId;

use super::{Look, Problem, ProblemKind};
use crate::sqlite::index::Index;
use crate::sqlite::open;
use crate::{JournalId, StoreError};

/// The outbox and the receipts of a replica: each change is in one of them.
pub(super) fn outbox(look: &mut Look, conn: &Connection) -> Result<(), StoreError> {
    if !look.wants(JournalId::FIRST) {
        return Ok(());
    }
    let mut waiting = BTreeSet::new();
    let mut statement = conn.prepare(
        "SELECT o.position, o.chain IS c.chain AND o.seq IS c.seq
         FROM outbox o LEFT JOIN changes c ON c.position = o.position",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let position = row.get(0)?;
        if !row.get::<_, bool>(1)? {
            tell(look, conn, position, "it waits in the outbox, but is not there or another one");
        }
        waiting.insert(position);
    }
    let mut statement = conn.prepare(
        "SELECT r.position FROM receipts r LEFT JOIN changes c ON c.position = r.position
         WHERE c.position IS NULL",
    )?;
    for position in statement.query_map([], |row| row.get(0))? {
        tell(look, conn, position?, "it has a receipt, but is not there");
    }
    if !is_replica(conn)? {
        return Ok(());
    }
    let mut statement = conn.prepare(
        "SELECT c.position, r.position IS NOT NULL
         FROM changes c LEFT JOIN receipts r ON r.position = c.position WHERE c.journal = 1",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let position = row.get(0)?;
        match (row.get(1)?, waiting.contains(&position)) {
            (true, true) => tell(look, conn, position, "it waits in the outbox and has a receipt"),
            (false, false) => {
                tell(
                    look,
                    conn,
                    position,
                    "the server has not acknowledged it, and it does not wait",
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the store is one of a client.
fn is_replica(conn: &Connection) -> Result<bool, StoreError> {
    Ok(conn.query_row(
        "SELECT EXISTS (SELECT 1 FROM meta WHERE key IN ('cursor', 'own-chain'))
             OR EXISTS (SELECT 1 FROM outbox) OR EXISTS (SELECT 1 FROM receipts)",
        [],
        |row| row.get(0),
    )?)
}

/// The full-text index beside the store, if there is one.
pub(super) fn index(look: &mut Look, store: &Connection, path: &Path) {
    let path = open::index_path(path);
    if !path.exists() {
        return;
    }
    let found = open::reader(&path, crate::OwnChain::Kept).and_then(|mut conn| {
        let tx = conn.transaction()?;
        let mut wrong = Vec::new();
        let mut statement = tx.prepare("PRAGMA integrity_check(10)")?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            wrong.extend(Some(line?).filter(|line| line != "ok"));
        }
        if wrong.is_empty() && Index::is_up_to_date(&tx, store)? {
            wrong.extend(compare(&tx, store)?);
        }
        Ok(wrong)
    });
    for what in found.unwrap_or_else(|error| vec![error.to_string()]) {
        look.problem(
            ProblemKind::Index,
            format!("the index: {what}; it can be removed, {}", path.display()),
        );
    }
}

/// How many notes an index knows that claims to know all.
fn compare(index: &Connection, store: &Connection) -> Result<Option<String>, StoreError> {
    let has: u64 = index.query_row("SELECT count(*) FROM words_docsize", [], |row| row.get(0))?;
    let wants: u64 =
        store.query_row("SELECT coalesce(sum(notes), 0) FROM days", [], |row| row.get(0))?;
    Ok((has != wants).then(|| format!("it has {has} notes instead of {wants}")))
}

fn tell(look: &mut Look, conn: &Connection, position: u64, what: &str) {
    let place = conn
        .query_row(
            "SELECT d.chain, c.seq FROM changes c JOIN chains d ON d.id = c.chain
             WHERE c.position = ?1",
            [position],
            |row| Ok((ChainId::from_bytes(row.get(0)?), row.get(1)?)),
        )
        // It is part of what is told, not what it is about.
        .ok();
    look.add(Problem {
        kind: ProblemKind::Outbox,
        journal: Some(JournalId::FIRST),
        chain: place.map(|(chain, _)| chain),
        seq: place.map(|(_, seq)| seq),
        position: Some(position),
        what: what.to_owned(),
    });
}
