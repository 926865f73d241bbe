//! Changes become notes: the same set of revisions gives the same note, in whatever order they came.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::ancestry::Ancestry;
use crate::diff::{TooMuch, Work};
use crate::merge::{Version, merge};
use crate::{Body, ChainId, Content, Entry, Extra, Extras, Hash, NoteTime, extra};

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
            Body::Deleted | Body::Purged => None,
        }
    }

    fn says(&self, body: &Body) -> bool {
        self.content.as_ref().is_some_and(|content| content.body == *body)
    }
}

/// A note, put together from its revisions.
///
/// What it shows of several heads is no change: it becomes one with the next edit, whose parents are all of
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The revisions that no other one replaces, ascending by hash; deleted and erased ones as well.
    pub heads: Vec<Revision>,
    /// The time of the live head; of several, merged like an extra.
    pub time: NoteTime,
    /// The text of the live head; of several, their merged text. Deleted when no head is live: all were
    /// deleted, or their contents erased. Purged when any revision is a purge, whatever else there is.
    pub body: Body,
    /// The extras of the live head; of several, merged name by name: what one side changed is taken, and
    /// where both did, the smaller hash wins.
    pub extras: Extras,
    /// Whether live heads with different texts were put together, and nothing clashed.
    pub merged: bool,
    /// Whether the texts of the live heads clash. What clashes is shown in each version, whole lines, the
    /// smaller hash first; where that would be longer than [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES) or too much
    /// work, the text is the whole one of the head that was written last.
    pub conflict: bool,
    /// Whether one device deleted what another one edited apart: the edit won, until an edit or a deletion
    /// replaces all heads.
    pub undeleted: bool,
}

/// Puts a note together from its revisions; none from none.
///
/// Order and doubles do not matter. One head is the note. Several are merged two at a time, ascending by
/// hash, over their lowest common ancestor; where there are several lowest ones (two devices resolved the same
/// conflict at once), over what those fold into, which is what both devices saw. Where one device deleted what
/// another one edited, the edit wins. A revision whose parents are not here (not yet come) counts like any
/// other, and so does one whose parents were erased; with no text to compare with, whatever differs clashes.
/// With a purge among them there is no note: nothing is merged, and no content but that of purges is shown.
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
    let all: Vec<Revision> = all.into_values().collect();
    let replaced: BTreeSet<Hash> =
        all.iter().flat_map(|revision| revision.parents.iter().copied()).collect();
    let heads: Vec<usize> =
        (0..all.len()).filter(|&id| !replaced.contains(&all[id].hash)).collect();

    if let Some(purge) = all.iter().find(|revision| revision.says(&Body::Purged)) {
        return Some(purged(&all, &heads, purge));
    }
    let shown = live(&all, &heads);
    let texts: BTreeSet<&str> = shown.iter().filter_map(|&id| all[id].text()).collect();
    let is_several = texts.len() > 1;
    let (version, conflict) = match shown[..] {
        [] => return None,
        [only] => (version(&all[only]), false),
        _ => {
            let ancestry = Ancestry::new(&all);
            let (work, bases) = (Work::for_one_note(), BTreeMap::new());
            let mut merging = Merging { all: &all, ancestry, work, bases };
            match merging.version_of(&shown) {
                Ok(merged) => merged,
                Err(TooMuch) => (version(last_written(&all, &shown)), is_several),
            }
        }
    };
    let text = version.text.map(Cow::into_owned);
    let undeleted = text.is_some() && heads.iter().any(|&id| all[id].says(&Body::Deleted));
    let (time, extras) = (version.time, version.extras.into_owned());
    let heads = heads.into_iter().map(|id| all[id].clone()).collect();
    Some(Folded {
        heads,
        time,
        body: text.map_or(Body::Deleted, Body::Text),
        extras,
        merged: is_several && !conflict,
        conflict,
        undeleted,
    })
}

/// What is left of a note with a purge, of several the one with the smallest hash.
fn purged(all: &[Revision], heads: &[usize], purge: &Revision) -> Folded {
    let without_text = |&id: &usize| {
        let mut head = all[id].clone();
        head.content = head.content.filter(|content| content.body == Body::Purged);
        head
    };
    Folded {
        heads: heads.iter().map(without_text).collect(),
        time: purge.time,
        body: Body::Purged,
        extras: Extras::new(),
        merged: false,
        conflict: false,
        undeleted: false,
    }
}

/// Merges revisions, which go by their places in `all`, ascending by hash.
struct Merging<'a> {
    all: &'a [Revision],
    ancestry: Ancestry,
    work: Work,
    /// What several ancestors are together. Devices that keep resolving each other's conflicts make long
    /// ladders of them, and where three devices meet each is asked for more than once.
    bases: BTreeMap<Vec<usize>, Version<'a>>,
}

/// What came of an attempt to merge.
enum Attempt<'a> {
    /// The version, and whether the texts clash.
    Done(Version<'a>, bool),
    /// These ancestors first.
    Needs(Vec<usize>),
}

impl<'a> Merging<'a> {
    /// What these revisions, of which none descends from another, are together, and whether they clash.
    fn version_of(&mut self, ids: &[usize]) -> Result<(Version<'a>, bool), TooMuch> {
        // A stack of our own: no history can make the recursion too deep for the thread's.
        let mut needed = vec![ids.to_vec()];
        loop {
            let top = needed.last().expect("the last is not taken off");
            match self.attempt(top)? {
                Attempt::Needs(ancestors) => needed.push(ancestors),
                Attempt::Done(version, clashes) if needed.len() == 1 => {
                    return Ok((version, clashes));
                }
                Attempt::Done(version, _) => {
                    self.bases.extend(needed.pop().map(|ids| (ids, version)));
                }
            }
        }
    }

    fn attempt(&mut self, ids: &[usize]) -> Result<Attempt<'a>, TooMuch> {
        let all = self.all;
        let shown = live(all, ids);
        let mut merged = version(&all[shown[0]]);
        let mut clashes = false;
        for (before, &id) in shown.iter().enumerate().skip(1) {
            let lowest = self.ancestry.lowest_common(&shown[..before], id, &mut self.work)?;
            let single;
            let base = match &lowest[..] {
                [] => None,
                [only] => {
                    single = version(&all[*only]);
                    Some(&single)
                }
                _ => match self.bases.get(&lowest) {
                    Some(base) => Some(base),
                    None => return Ok(Attempt::Needs(lowest)),
                },
            };
            let (version, clash) = merge(base, merged, version(&all[id]), &mut self.work)?;
            merged = version;
            clashes |= clash;
        }
        Ok(Attempt::Done(merged, clashes))
    }
}

/// Those with a text; all if none has one, so that time and extras are those of what was deleted.
fn live(all: &[Revision], ids: &[usize]) -> Vec<usize> {
    let live: Vec<usize> = ids.iter().copied().filter(|&id| all[id].text().is_some()).collect();
    if live.is_empty() { ids.to_vec() } else { live }
}

fn version(revision: &Revision) -> Version<'_> {
    static NONE: Extras = Extras::new();
    Version {
        text: revision.text().map(Cow::Borrowed),
        time: revision.time,
        extras: Cow::Borrowed(revision.content.as_ref().map_or(&NONE, |content| &content.extras)),
    }
}

/// The revision that was written last; of several, the one with the smallest hash.
fn last_written<'a>(all: &'a [Revision], ids: &[usize]) -> &'a Revision {
    let written = |revision: &Revision| {
        let content = revision.content.as_ref();
        match content.and_then(|content| content.extras.get(extra::WRITTEN)) {
            Some(Extra::Text(time)) => time.parse().unwrap_or(revision.time),
            _ => revision.time,
        }
    };
    let revisions = ids.iter().rev().map(|&id| &all[id]);
    revisions.max_by_key(|revision| written(revision)).expect("revisions to choose from")
}
