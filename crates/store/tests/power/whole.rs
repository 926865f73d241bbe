//! Whether a store agrees with itself.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;
use suibi_journal::{
    Body, ChainId, Cursor, Entry, FeedPage, Hash, NoteId, Query, Revision, fold, verify_chain,
};
use suibi_store::{Reader, SqliteStore, Store};

use crate::HERE;

/// Everything in a store whose parts all agree, or the first that does not.
pub(crate) fn whole(store: &SqliteStore, path: &Path) -> Result<FeedPage, String> {
    let check: String = Connection::open(path)
        .and_then(|conn| conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)))
        .map_err(|error| format!("integrity check: {error}"))?;
    if check != "ok" {
        return Err(format!("integrity check: {check}"));
    }
    let page = chains_of(store)?;
    let mut reader = store.reader().map_err(|error| error.to_string())?;
    notes(&mut *reader, &page)?;
    Ok(page)
}

/// The feed, whose chains and hashes all fit.
pub(crate) fn chains_of(store: &SqliteStore) -> Result<FeedPage, String> {
    let say = |error: &dyn std::fmt::Display| error.to_string();
    let mut reader = store.reader().map_err(|error| say(&error))?;
    let page = reader.feed(HERE, Cursor::START, usize::MAX).map_err(|error| say(&error))?;
    let page = page.map_err(|error| say(&error))?;
    if !page.follows(Cursor::START) || reader.head(HERE).map_err(|e| say(&e))? != page.next {
        return Err("the running hashes of the feed do not add up".into());
    }
    chains(&mut *reader, &page)?;
    Ok(page)
}

fn chains(reader: &mut dyn Reader, page: &FeedPage) -> Result<(), String> {
    let mut chains: BTreeMap<ChainId, Vec<&Entry>> = BTreeMap::new();
    for (_, entry) in &page.entries {
        chains.entry(entry.change().chain).or_default().push(entry);
    }
    for chain in chains.values_mut() {
        chain.sort_by_key(|entry| entry.change().seq);
        verify_chain(chain.iter().copied()).map_err(|error| error.to_string())?;
    }
    let heads = reader.heads(HERE).map_err(|error| error.to_string())?;
    let heads: Vec<_> = heads.into_iter().map(|head| (head.chain, head.seq, head.hash)).collect();
    let ends: Vec<_> = chains
        .iter()
        .map(|(id, chain)| (*id, chain.len() as u64, chain[chain.len() - 1].hash()))
        .collect();
    if heads == ends { Ok(()) } else { Err(format!("heads are {heads:?}, chains {ends:?}")) }
}

fn notes(reader: &mut dyn Reader, page: &FeedPage) -> Result<(), String> {
    let mut changes: BTreeMap<NoteId, Vec<Revision>> = BTreeMap::new();
    for (_, entry) in &page.entries {
        changes.entry(entry.change().note).or_default().push(entry.into());
    }
    let mut folded: BTreeMap<NoteId, (String, Vec<Hash>)> = BTreeMap::new();
    for (id, revisions) in changes {
        let note = fold(revisions).expect("there are revisions");
        if let Body::Text(text) = note.body {
            folded.insert(id, (text, note.heads.iter().map(|head| head.hash).collect()));
        }
    }
    let mut list = |query: &Query| -> Result<BTreeMap<_, _>, String> {
        let notes = reader.notes(HERE, query).map_err(|error| error.to_string())?;
        Ok(notes.into_iter().map(|note| (note.id, (note.text, note.heads))).collect())
    };
    if list(&Query::default())? != folded {
        return Err("the notes are not what their changes say".into());
    }
    // Every text has this word; the index may have lost its end, and has to notice.
    let found = list(&Query { text: Some("note".to_owned()), ..Query::default() })?;
    if found != folded {
        return Err(format!("the search finds {} of {} notes", found.len(), folded.len()));
    }
    let days: u64 = reader.days(HERE).map_err(|e| e.to_string())?.iter().map(|(_, n)| n).sum();
    let count = reader.count(HERE).map_err(|error| error.to_string())?;
    if (days, count) != (folded.len() as u64, folded.len() as u64) {
        return Err(format!("{} notes, {count} counted, {days} on the days", folded.len()));
    }
    Ok(())
}
