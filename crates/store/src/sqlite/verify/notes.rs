//! Whether the notes are what their changes fold into, and the days count them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Row};
use suibi_journal::{Body, Change, Content, NoteId, NoteTime};

use super::changes::Claim;
use super::{Look, Problem, ProblemKind};
use crate::sqlite::key;
use crate::sqlite::notes::{self, DELETED, PURGED, State};
use crate::{JournalId, StoreError};

/// A row of `notes`.
struct NoteRow {
    key: i64,
    journal: JournalId,
    millis: i64,
    zone: i64,
    said: State,
}

pub(super) fn compare(
    look: &mut Look,
    conn: &Connection,
    mut claims: HashMap<(JournalId, NoteId), Claim>,
) -> Result<(), StoreError> {
    let mut edits = edits(conn)?;
    let mut days = BTreeMap::<(JournalId, i32), i64>::new();
    // CROSS JOIN would leave out notes whose first change is gone.
    let mut statement = conn.prepare(
        "SELECT n.key, n.journal, n.time, n.zone, n.id, n.state, n.chain, n.source, n.first,
                n.last, n.head, c.map, c.content, c.chain
         FROM notes n LEFT JOIN changes c ON c.position = n.first ORDER BY n.key",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let note = match read(row) {
            Ok(note) => note,
            Err(error) => {
                look.problem(
                    ProblemKind::Note,
                    format!("the row of a note cannot be read: {error}"),
                );
                continue;
            }
        };
        let edits = edits.remove(&note.said.first).unwrap_or_default();
        if !look.wants(note.journal) {
            continue;
        }
        look.found.notes += 1;
        if note.said.state & DELETED == 0 {
            *days.entry((note.journal, key::day(note.key).days())).or_default() += 1;
        }
        let mut has = Claim::default();
        has.add(note.said.first);
        edits.iter().for_each(|position| has.add(*position));
        let claim = claims.remove(&(note.journal, note.said.id)).unwrap_or_default();
        if let Some(what) = wrong(conn, row, &note, edits.len(), claim.is_same(has))? {
            tell(look, note.journal, note.said.id, note.said.first, what);
        }
    }
    let mut left: Vec<_> = claims.into_iter().collect();
    left.sort_by_key(|(_, claim)| claim.position);
    for ((journal, id), claim) in left {
        let what = format!("has {} changes here and no row", claim.count);
        tell(look, journal, id, claim.position, what);
    }
    if look.journal.is_none() {
        for (first, positions) in edits {
            let what = format!("{} edits of a note that is not here", positions.len());
            look.problem(ProblemKind::Note, format!("position {first}: {what}"));
        }
    }
    compare_days(look, conn, days)
}

/// What is wrong with a note, if anything is.
fn wrong(
    conn: &Connection,
    row: &Row<'_>,
    note: &NoteRow,
    edits: usize,
    has_all: bool,
) -> Result<Option<String>, StoreError> {
    let said = &note.said;
    if !has_all {
        return Ok(Some("its row lists other changes than those that are its own".to_owned()));
    }
    if said.state & PURGED != 0
        && let Some(position) = left_of(conn, said.first)?
    {
        let what = format!("it was purged, and the content at position {position} is still here");
        return Ok(Some(what));
    }
    let expected = match alone(row, said.first).filter(|_| edits == 0) {
        Some(state) => state,
        None => match notes::state(conn, said.id, said.first) {
            Ok(state) => state,
            Err(StoreError::Corrupt(what)) => {
                return Ok(Some(format!("it cannot be put together: {what}")));
            }
            Err(error) => return Err(error),
        },
    };
    let what = if (expected.time.millis(), i64::from(expected.time.offset_minutes()))
        != (note.millis, note.zone)
    {
        "its time"
    } else if key::day(note.key) != expected.time.day() || note.key < key::first(expected.time) {
        "its place among the days"
    } else if expected.state != said.state {
        "whether it is deleted"
    } else if (expected.chain, &expected.source) != (said.chain, &said.source) {
        "who wrote it"
    } else if (expected.last, expected.head) != (said.last, said.head) {
        "which change is shown"
    } else {
        return Ok(None);
    };
    Ok(Some(format!("{what} is not as its changes have it")))
}

/// A change of a purged note that has its content still, and is not the purge itself.
fn left_of(conn: &Connection, first: u64) -> Result<Option<u64>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT position, content FROM changes
         WHERE position IN (SELECT ?1 UNION ALL SELECT position FROM edits WHERE first = ?1)
            AND content IS NOT NULL",
    )?;
    let mut rows = statement.query([first])?;
    while let Some(row) = rows.next()? {
        let content = row.get_ref(1)?.as_blob().unwrap_or_default();
        // One that cannot be read was told with its change.
        if Content::decode(content).is_ok_and(|content| content.body != Body::Purged) {
            return Ok(Some(row.get(0)?));
        }
    }
    Ok(None)
}

/// What the row of a note has to say that has one change, and a text. The usual case.
fn alone(row: &Row<'_>, first: u64) -> Option<State> {
    let change = Change::decode(row.get_ref(11).ok()?.as_blob().ok()?).ok()?;
    let content = Content::decode(row.get_ref(12).ok()?.as_blob().ok()?).ok()?;
    let Body::Text(_) = content.body else { return None };
    Some(State {
        id: change.note,
        time: change.time,
        state: 0,
        chain: row.get(13).ok()?,
        source: notes::source(&content),
        first,
        last: first,
        head: first,
    })
}

fn read(row: &Row<'_>) -> Result<NoteRow, StoreError> {
    let (millis, zone) = (row.get(2)?, row.get(3)?);
    let said = State {
        id: NoteId::from_bytes(row.get(4)?),
        // Compared as the numbers they are; this is only to have one.
        time: NoteTime::new(0, 0).expect("1970 is a time"),
        state: row.get(5)?,
        chain: row.get(6)?,
        source: row.get(7)?,
        first: row.get(8)?,
        last: row.get(9)?,
        head: row.get(10)?,
    };
    Ok(NoteRow { key: row.get(0)?, journal: JournalId(row.get(1)?), millis, zone, said })
}

fn edits(conn: &Connection) -> Result<BTreeMap<u64, Vec<u64>>, StoreError> {
    let mut edits = BTreeMap::<u64, Vec<u64>>::new();
    let mut statement = conn.prepare("SELECT first, position FROM edits")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        edits.entry(row.get(0)?).or_default().push(row.get(1)?);
    }
    Ok(edits)
}

fn compare_days(
    look: &mut Look,
    conn: &Connection,
    mut days: BTreeMap<(JournalId, i32), i64>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare("SELECT journal, day, notes FROM days")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (journal, day, said): (_, i32, i64) =
            (JournalId(row.get(0)?), row.get(1)?, row.get(2)?);
        let found = days.remove(&(journal, day)).unwrap_or(0);
        if found != said && look.wants(journal) {
            tell_day(look, journal, day, found, said);
        }
    }
    for ((journal, day), found) in days {
        tell_day(look, journal, day, found, 0);
    }
    Ok(())
}

fn tell_day(look: &mut Look, journal: JournalId, day: i32, found: i64, said: i64) {
    let day = suibi_journal::Day::from_days(day);
    look.add(Problem {
        kind: ProblemKind::Note,
        journal: Some(journal),
        chain: None,
        seq: None,
        position: None,
        what: format!("the day {day} is counted with {said} notes and has {found}"),
    });
}

fn tell(look: &mut Look, journal: JournalId, id: NoteId, position: u64, what: String) {
    look.add(Problem {
        kind: ProblemKind::Note,
        journal: Some(journal),
        chain: None,
        seq: None,
        position: Some(position),
        what: format!("note {id}: {what}"),
    });
}
