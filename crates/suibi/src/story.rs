//! The story of one note: all its revisions, what they are together, and what each of them did.

use std::collections::BTreeSet;

use suibi_journal::{
    Body, Extra, Folded, Hash, Note, NoteId, NoteTime, Revision as Plain, extra, fold, is_starred,
};
use suibi_store::Revision;

use crate::numbers;
use crate::say::deeds as say;

/// A note with all its revisions, deleted and erased ones as well.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) id: NoteId,
    /// Those that a revision descends from before it, else by the time of writing: alike on every device.
    pub(crate) revisions: Vec<Revision>,
    /// What they are together.
    pub(crate) folded: Folded,
}

/// What a revision did to its note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Written,
    Edited,
    /// An edit that left the text as it was and set the star.
    Starred,
    Unstarred,
    Deleted,
    Restored,
    /// What it did cannot be told: its content was erased.
    Erased,
    /// It erased the contents of all others.
    Purged,
}

impl Deed {
    /// One word for it, for people.
    pub(crate) fn said(self) -> String {
        match self {
            Self::Written => say::Written.to_string(),
            Self::Edited => say::Edited.to_string(),
            Self::Starred => say::Starred.to_string(),
            Self::Unstarred => say::Unstarred.to_string(),
            Self::Deleted => say::Deleted.to_string(),
            Self::Restored => say::Restored.to_string(),
            Self::Erased => say::Erased.to_string(),
            Self::Purged => say::Purged.to_string(),
        }
    }

    /// One word for it, for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Edited => "edited",
            Self::Starred => "starred",
            Self::Unstarred => "unstarred",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
            Self::Erased => "erased",
            Self::Purged => "purged",
        }
    }
}

impl Story {
    /// The story that these revisions tell; none without any.
    pub(crate) fn of(id: NoteId, revisions: Vec<Revision>) -> Option<Self> {
        let folded = fold(revisions.iter().map(|revision| Plain::from(&revision.entry)))?;
        Some(Self { id, revisions: in_order(revisions), folded })
    }

    /// Where the revision stands that came here last.
    pub(crate) fn newest(&self) -> Option<usize> {
        (0..self.revisions.len()).max_by_key(|at| self.revisions[*at].position)
    }

    /// The revisions that no other replaces.
    pub(crate) fn heads(&self) -> impl Iterator<Item = &Revision> {
        self.revisions.iter().filter(|revision| revision.is_head)
    }

    /// The hashes of the heads, for a write that replaces them all.
    pub(crate) fn seen(&self) -> Vec<Hash> {
        self.folded.heads.iter().map(|head| head.hash).collect()
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.folded.body == Body::Deleted
    }

    pub(crate) fn is_starred(&self) -> bool {
        is_starred(&self.folded.extras)
    }

    pub(crate) fn is_purged(&self) -> bool {
        self.folded.body == Body::Purged
    }

    /// What the note says, or said before it was deleted. Nothing after it was erased.
    pub(crate) fn text(&self) -> &str {
        let last = || self.revisions.iter().rev().find_map(text_of);
        match &self.folded.body {
            Body::Text(text) => text,
            Body::Deleted => last().unwrap_or_default(),
            Body::Purged => "",
        }
    }

    /// What the revision at `at` did.
    pub(crate) fn deed(&self, at: usize) -> Deed {
        let revision = &self.revisions[at];
        let Some(content) = revision.entry.content() else { return Deed::Erased };
        let is_first = revision.entry.change().parents.is_empty();
        match (&content.body, self.folded_before(at)) {
            (Body::Purged, _) => Deed::Purged,
            (Body::Deleted, _) => Deed::Deleted,
            (Body::Text(_), _) if is_first => Deed::Written,
            (Body::Text(_), Some(before)) if before.body == Body::Deleted => Deed::Restored,
            (Body::Text(_), Some(before)) if before.body == content.body && !before.conflict => {
                match (is_starred(&before.extras), is_starred(&content.extras)) {
                    (false, true) => Deed::Starred,
                    (true, false) => Deed::Unstarred,
                    _ => Deed::Edited,
                }
            }
            (Body::Text(_), _) => Deed::Edited,
        }
    }

    /// What the note said for whoever wrote the revision at `at`.
    pub(crate) fn before(&self, at: usize) -> Option<Body> {
        self.folded_before(at).map(|before| before.body)
    }

    /// What the note was for whoever wrote the revision at `at`: all that it descends from, put together.
    pub(crate) fn folded_before(&self, at: usize) -> Option<Folded> {
        let mut wanted: BTreeSet<Hash> =
            self.revisions[at].entry.change().parents.iter().copied().collect();
        let mut ancestors = Vec::new();
        let mut left: Vec<&Revision> = self.revisions.iter().collect();
        loop {
            let (found, rest): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|revision| wanted.contains(&revision.entry.hash()));
            if found.is_empty() {
                break;
            }
            wanted.extend(found.iter().flat_map(|revision| &revision.entry.change().parents));
            ancestors.extend(found);
            left = rest;
        }
        fold(ancestors.iter().map(|revision| Plain::from(&revision.entry)))
    }

    /// Whether who wrote the revision at `at` had not seen the one listed before it.
    pub(crate) fn is_apart(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1).map(|before| &self.revisions[before]) else {
            return false;
        };
        !self.descends(at, before.entry.hash())
    }

    fn descends(&self, at: usize, ancestor: Hash) -> bool {
        let mut asked = BTreeSet::new();
        let mut wanted = self.revisions[at].entry.change().parents.clone();
        while let Some(hash) = wanted.pop() {
            if hash == ancestor {
                return true;
            }
            if !asked.insert(hash) {
                continue;
            }
            let parent = self.revisions.iter().find(|revision| revision.entry.hash() == hash);
            wanted.extend(parent.iter().flat_map(|parent| &parent.entry.change().parents));
        }
        false
    }

    /// A short name of the note that commands take: the position of its first receipt, else the first digits of a
    /// change's hash. As a shell takes it: a number that could be a short one of a listing goes with its `#`.
    pub(crate) fn name(&self) -> String {
        let position = self.revisions.iter().find_map(|revision| revision.receipt);
        let Some(position) = position else {
            return self.revisions.first().map_or_else(|| self.id.to_string(), hash_name);
        };
        match usize::try_from(position) {
            Ok(short) if short <= numbers::MOST => format!("'#{short}'"),
            _ => position.to_string(),
        }
    }

    /// The note as listings show it; deleted and erased ones, too.
    pub(crate) fn note(&self) -> Note {
        let newest = self.heads().last().or(self.revisions.last());
        let receipt = newest.and_then(|head| Some((head.receipt?, head.entry.hash())));
        Note {
            id: self.id,
            time: self.folded.time,
            text: self.text().to_owned(),
            conflict: self.folded.conflict,
            undeleted: self.folded.undeleted,
            starred: is_starred(&self.folded.extras),
            heads: self.seen(),
            device: self.revisions.first().map(|first| first.device.clone()).unwrap_or_default(),
            source: self.revisions.first().and_then(source_of).map(str::to_owned),
            receipt,
            waiting: newest.is_some_and(|head| head.waiting),
        }
    }
}

/// Ancestors before descendants, whatever the clocks said.
fn in_order(mut left: Vec<Revision>) -> Vec<Revision> {
    left.sort_by_key(|revision| (written_at(revision).millis(), revision.entry.hash()));
    let mut ordered: Vec<Revision> = Vec::with_capacity(left.len());
    let mut missing: BTreeSet<Hash> = left.iter().map(|revision| revision.entry.hash()).collect();
    while !left.is_empty() {
        let is_next = |revision: &Revision| {
            let parents = &revision.entry.change().parents;
            parents.iter().all(|parent| !missing.contains(parent))
        };
        // Hashes cannot go in a circle: there is always one.
        let next = left.remove(left.iter().position(is_next).unwrap_or(0));
        missing.remove(&next.entry.hash());
        ordered.push(next);
    }
    ordered
}

/// The first six digits of its hash; more where six could be read as a position.
fn hash_name(revision: &Revision) -> String {
    let hash = revision.entry.hash().to_string();
    let letter = hash.find(|digit: char| digit.is_ascii_alphabetic()).unwrap_or(0);
    hash[..(letter + 1).max(6)].to_owned()
}

/// The text of a revision that has one.
pub(crate) fn text_of(revision: &Revision) -> Option<&str> {
    match &revision.entry.content()?.body {
        Body::Text(text) => Some(text),
        Body::Deleted | Body::Purged => None,
    }
}

/// When a revision was written, which for an edit is later than the note's time.
pub(crate) fn written_at(revision: &Revision) -> NoteTime {
    let time = revision.entry.change().time;
    match extra_of(revision, extra::WRITTEN) {
        Some(written) => written.parse().unwrap_or(time),
        None => time,
    }
}

/// The address of a foreign client, if the revision came from one.
pub(crate) fn source_of(revision: &Revision) -> Option<&str> {
    extra_of(revision, extra::SOURCE)
}

/// `2026-11-23 09:05`, on the clock of where it was written.
pub(crate) fn minute(time: NoteTime) -> String {
    let (hour, minute) = time.hour_minute();
    format!("{} {hour:02}:{minute:02}", time.day())
}

fn extra_of<'a>(revision: &'a Revision, name: &str) -> Option<&'a str> {
    match revision.entry.content()?.extras.get(name)? {
        Extra::Text(text) => Some(text),
        _ => None,
    }
}
