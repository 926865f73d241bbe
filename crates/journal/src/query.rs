//! What to list, and what a listing holds.

use crate::{Day, Folds, Hash, NoteId, NoteTime};

/// Which notes to list; every part narrows it, the default lists all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// From this day on, itself included.
    pub since: Option<Day>,
    /// Of the day `since` only from this minute on (0 to 1439, at the note's own offset).
    pub since_minute: Option<u16>,
    /// Up to this day, itself included.
    pub until: Option<Day>,
    /// Of the day `until` only up to this minute, itself included.
    pub until_minute: Option<u16>,
    /// With each of these tags, or one below it: `a` finds `a/b`. A sigil does not matter; compared after
    /// [`fold_tag`](crate::fold_tag).
    pub tags: Vec<String>,
    /// Only with a star ([`extra::STAR`](crate::extra::STAR)).
    pub starred: bool,
    /// What to search for, as [`SearchLine::parse`](crate::SearchLine::parse) reads it.
    pub text: Option<String>,
    /// What a search takes for the same.
    pub folds: Folds,
    /// Where it came from: the name of a device, or a source address.
    pub from: Option<String>,
    /// Only what stands before this note in the order of a listing, for the page before.
    pub before: Option<NoteId>,
    /// Only so many, the newest.
    pub limit: Option<usize>,
}

impl Query {
    /// The notes of one day.
    pub fn on(day: Day) -> Self {
        Self { since: Some(day), until: Some(day), ..Self::default() }
    }
}

/// A note as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// Its time.
    pub time: NoteTime,
    /// Its text; of several heads, all their texts.
    pub text: String,
    /// Edited apart, and nobody has put it together yet.
    pub conflict: bool,
    /// Deleted on one device and edited apart on another: the edit won, and nobody has looked at it yet.
    pub undeleted: bool,
    /// Marked with a star.
    pub starred: bool,
    /// The hashes of its heads, ascending; an edit names them as its parents.
    pub heads: Vec<Hash>,
    /// The name of the device that wrote the newest revision.
    pub device: String,
    /// The address it came from, for a note from a plain or foreign client.
    pub source: Option<String>,
    /// Feed position and change hash, once the server has it.
    pub receipt: Option<(u64, Hash)>,
    /// Only in a replica: not yet on the server.
    pub waiting: bool,
}
