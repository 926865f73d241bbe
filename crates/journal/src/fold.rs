//! Changes become notes: the same set of revisions gives the same note, in whatever order they came.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Body, ChainId, Content, Entry, Extras, Hash, NoteTime};

/// A note as one change left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The hash of the change.
    pub hash: Hash,
    /// The revisions that it replaces.
    pub parents: Vec<Hash>,
    /// The note's time as of this revision.
    pub time: NoteTime,
    /// What it says; none when that was erased.
    pub content: Option<Content>,
    /// The chain of the change.
    pub chain: ChainId,
    /// Its place there.
    pub seq: u64,
}

impl From<&Entry> for Revision {
    fn from(entry: &Entry) -> Self {
        let change = entry.change();
        Self {
            hash: entry.hash(),
            parents: change.parents.clone(),
            time: change.time,
            content: entry.content().cloned(),
            chain: change.chain,
            seq: change.seq,
        }
    }
}

impl Revision {
    fn text(&self) -> Option<&str> {
        match &self.content.as_ref()?.body {
            Body::Text(text) => Some(text),
            Body::Deleted => None,
        }
    }
}

/// A note, put together from its revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The revisions that no other one replaces, ascending by hash.
    pub heads: Vec<Revision>,
    /// The time of the live head; of several, the latest.
    pub time: NoteTime,
    /// The text of the live head; of several, their distinct texts in the order of their hashes, with an
    /// empty line between them. Deleted when no head is live: all were deleted, or their contents erased.
    pub body: Body,
    /// The extras of the live head; of several, all of them, where the lowest hash wins a name.
    pub extras: Extras,
    /// Whether the live heads have more than one text.
    pub conflict: bool,
}

/// Puts a note together from its revisions; none from none.
///
/// Order and doubles do not matter. A revision whose parents are not here (not yet come) counts like any
/// other. Where one device deleted what another one edited, the edit wins.
pub fn fold(revisions: impl IntoIterator<Item = Revision>) -> Option<Folded> {
    let mut all = BTreeMap::<Hash, Revision>::new();
    for revision in revisions {
        match all.get_mut(&revision.hash) {
            // The same change, once with its content and once erased: what is known is kept.
            Some(known) if known.content.is_none() => known.content = revision.content,
            Some(_) => {}
            None => {
                all.insert(revision.hash, revision);
            }
        }
    }
    let replaced: BTreeSet<Hash> =
        all.values().flat_map(|revision| revision.parents.iter().copied()).collect();
    let heads: Vec<Revision> =
        all.into_values().filter(|revision| !replaced.contains(&revision.hash)).collect();

    let live: Vec<&Revision> = heads.iter().filter(|head| head.text().is_some()).collect();
    // With no live head, time and extras are those of what was deleted.
    let shown = if live.is_empty() { heads.iter().collect() } else { live };
    let time = shown.iter().map(|head| head.time).max()?;

    let mut seen = BTreeSet::new();
    let distinct = shown.iter().filter_map(|head| head.text()).filter(|text| seen.insert(*text));
    let texts: Vec<&str> = distinct.collect();
    let body = if texts.is_empty() { Body::Deleted } else { Body::Text(texts.join("\n\n")) };
    let conflict = texts.len() > 1;

    let mut extras = Extras::new();
    for (name, value) in
        shown.iter().filter_map(|head| head.content.as_ref()).flat_map(|c| &c.extras)
    {
        extras.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Some(Folded { time, body, extras, conflict, heads })
}
