//! Keeping journals: what a store promises, and the SQLite engine that keeps the promise.
//!
//! A [`Store`] takes batches of [`Write`]s and answers when they are durable. A [`Reader`] reads
//! the feed, the notes and the chains. Both speak of journals; neither knows a protocol.
//!
//! ```text
//!    writer thread                       reader threads
//!        │ commit(batch)                     │ feed, notes, days, …
//!        ▼                                   ▼
//!   ┌─────────────────┐  changes after  ┌───────────────────┐
//!   │ NAME.db         │ ──────────────► │ NAME-index.db     │
//!   │ changes, notes  │   indexed_to    │ words, tags       │
//!   └─────────────────┘                 └───────────────────┘
//!     synchronous=FULL                    may be deleted at any time
//! ```

mod access;
mod directory;
mod error;
pub mod private;
mod random;
mod sqlite;

pub use access::{
    Access, AccessChange, AccessDone, AccessRefused, DeviceRow, InviteRow, Joiner, KeyBytes,
    MAX_AUDIT,
};
pub use directory::{create_directory, flush_names};
pub use error::{PageError, StoreError};
pub use sqlite::{
    Applied, OwnChain, Rescued, SqliteOptions, SqliteReader, SqliteStore, backup, salvage, verify,
};

use suibi_journal::{
    AuditEntry, Body, Cursor, Day, Entry, Extras, FeedPage, Hash, Head, Note, NoteId, NoteName,
    NoteTime, Query, Receipt, Refusal,
};

/// Which journal of a store, from 1. It never leaves the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId(pub u32);

impl JournalId {
    /// The journal that a store has from the beginning; a replica has no other.
    pub const FIRST: Self = Self(1);
}

/// What has to be true of a note before it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// There is no such note, or it is deleted (If-None-Match, RFC 7252 §5.10.8.2).
    Absent,
    /// The note is as one of these [`etag`]s says (If-Match, RFC 7252 §5.10.8.1).
    Heads(Vec<Vec<u8>>),
    /// There is such a note.
    Exists,
}

/// Something to be made durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Changes made elsewhere and pushed here by a device.
    Push {
        /// The device that pushes; a chain that is new gets its name.
        device: String,
        /// The changes; those of one chain in the order of their `seq`.
        entries: Vec<Entry>,
        /// Whether the device may do nothing but add notes (a drop): what replaces something, or
        /// is of a note that is here already, is refused.
        only_new: bool,
        /// Whether the device may purge notes (it has the right `admin`): a purge of another one is
        /// refused.
        may_purge: bool,
    },
    /// One note created, edited or deleted here, on this store's own chain.
    Note {
        /// The note, or `None` for a new one with an id made here.
        id: Option<NoteId>,
        /// What has to be true of it.
        expect: Expect,
        /// The text, or that it is deleted.
        body: Body,
        /// The note's time. `None`: it keeps its own, or `now` if it is new.
        time: Option<NoteTime>,
        /// Added to those that the note has; a name that it has already gets the new value.
        extras: Extras,
        /// The time of writing.
        now: NoteTime,
    },
    /// A note erased for good: a purge of it is written on a chain of its own, and the contents of all
    /// its other changes are dropped here, also of those that come later. What the files of the
    /// store still hold of them besides goes as soon as nobody reads it any more.
    ///
    /// Deleted notes as well. A note that is purged already gives the receipt of its purge.
    Purge {
        /// Which note.
        note: NoteId,
        /// The time of writing.
        now: NoteTime,
        /// What the audit trail says of it; nothing is added when the note is purged already.
        audit: Option<AuditEntry>,
    },
}

/// What became of a [`Write`]. All of it is durable.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// One answer for each change, in their order.
    Pushed(Vec<Result<Receipt, Refusal>>),
    /// The note that was written or purged, or why it was not.
    Note(Result<NoteWritten, NoteRefused>),
}

/// A note that was written on the store's own chain.
#[derive(Debug, Clone, PartialEq)]
pub struct NoteWritten {
    /// Which note.
    pub id: NoteId,
    /// The receipt of the change.
    pub receipt: Receipt,
    /// Whether the note was not there before, or was deleted.
    pub created: bool,
    /// The note's time.
    pub time: NoteTime,
    /// Its heads now.
    pub heads: Vec<Hash>,
}

/// Why a [`Write::Note`] or a [`Write::Purge`] is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefused {
    /// [`Expect::Absent`], and it is there; its [`etag`].
    #[error("there is a note with this id already")]
    Exists(Vec<u8>),
    /// [`Expect::Heads`], and the note is another by now.
    #[error("the note was changed in the meantime")]
    PreconditionFailed,
    /// To be deleted or edited, and there is none.
    #[error("there is no such note")]
    NotFound,
    /// The note was purged: nothing that is written to it would be kept.
    #[error("this note was purged, nothing can be written to it; write a new one")]
    Purged,
    /// The text is longer than 1 MiB, or the extras are more than 16 KiB; both are refused whole.
    #[error("the note is too long: a text may have 1 MiB, the extras 16 KiB")]
    TooLarge,
}

/// One change of a note, as its history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The change and what it says; no content where that was erased.
    pub entry: Entry,
    /// The name of the device that wrote it; empty as long as that is not known here.
    pub device: String,
    /// Its position in this store.
    pub position: u64,
    /// Its position in the server's feed, once the server has it.
    pub receipt: Option<u64>,
    /// Whether no other change of the note replaces it.
    pub is_head: bool,
    /// Only in a replica: not yet on the server.
    pub waiting: bool,
}

/// The cursor is not one of this feed: another server's, or this one was restored from a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one of this feed")]
pub struct CursorMismatch {
    /// The end of the feed as it is here.
    pub head: Cursor,
}

/// The short name of a note's state, for `ETag` and `If-Match` (RFC 7252 §5.10.6): eight bytes.
///
/// Equal for equal heads on every store; `heads` sorted, as [`Note::heads`] has them.
pub fn etag(heads: &[Hash]) -> Vec<u8> {
    let name = match heads {
        [one] => *one,
        several => {
            Hash::of(&several.iter().flat_map(|h| h.as_bytes().iter().copied()).collect::<Vec<_>>())
        }
    };
    name.as_bytes()[..8].to_vec()
}

/// Where journals are kept: the writing half.
pub trait Store: Send {
    /// Does all of `writes`, in order, each to its journal, in one transaction, and returns when it
    /// is durable. That there are such journals is for the caller to know, from [`Store::access`].
    ///
    /// One [`Outcome`] for each write. A change that is there already gets the receipt that it
    /// got the first time.
    ///
    /// # Errors
    /// Nothing of the batch is kept, and nothing of it may be acknowledged; the same batch may be
    /// tried again unless [`StoreError::is_permanent`].
    fn commit(&mut self, writes: Vec<(JournalId, Write)>) -> Result<Vec<Outcome>, StoreError>;

    /// Who may use the store, as it is now.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn access(&mut self) -> Result<Access, StoreError>;

    /// Changes who may use the store, and adds `audit` to its trail: both in one transaction, both
    /// durable when this returns. Texts of the entry that are too long are cut
    /// ([`AuditEntry::shortened`]). A change that finds everything as it should be already makes
    /// no entry.
    ///
    /// # Errors
    /// The outer one is the store's, as of [`Store::commit`]. The inner one says why the change
    /// may not be made; then nothing is kept.
    fn change_access(
        &mut self,
        change: &AccessChange,
        audit: Option<&AuditEntry>,
    ) -> Result<Result<AccessDone, AccessRefused>, StoreError>;

    /// Whether all that can be read is on the disk, as far as the disk says: what stood there when the store was
    /// opened, and what was written since. Otherwise whoever opens it next has to doubt it, though the last commit
    /// may have been `Ok`.
    fn is_sound(&self) -> bool;

    /// A reader of its own, for another thread. It sees each commit from the moment it returns.
    ///
    /// # Errors
    /// When the store cannot be opened a second time.
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError>;
}

/// Where journals are kept: the reading half.
///
/// Every method sees one state of the store, with everything that was committed before it began.
/// Errors are those of the store; bad luck of the full-text index is none, it is worked around.
pub trait Reader: Send {
    /// The changes after a cursor, oldest first: whole entries of at most `max_bytes` together,
    /// but one if there is any.
    ///
    /// No reader that goes on from [`FeedPage::next`] ever misses a change.
    fn feed(
        &mut self,
        journal: JournalId,
        after: Cursor,
        max_bytes: usize,
    ) -> Result<Result<FeedPage, CursorMismatch>, StoreError>;

    /// The changes after the position `after`, up to `until` with that one, or to the end: what lies between two pages
    /// that are fetched at once. As [`Self::feed`], but that nobody has to know a running hash;
    /// [`FeedPage::follows`] tells whether the page fits what is there before it.
    ///
    /// [`FeedPage::remaining`] counts what was asked for and is not in the page. A page without changes ends where
    /// the feed was at `after`.
    fn feed_range(
        &mut self,
        journal: JournalId,
        after: u64,
        until: Option<u64>,
        max_bytes: usize,
    ) -> Result<FeedPage, StoreError>;

    /// The end of the feed.
    fn head(&mut self, journal: JournalId) -> Result<Cursor, StoreError>;

    /// The last change of every chain, in the order of the chains' ids.
    fn heads(&mut self, journal: JournalId) -> Result<Vec<Head>, StoreError>;

    /// The notes that fit the query: by day, then time, then arrival, oldest first. With
    /// [`Query::limit`], the last ones of these. Deleted notes are left out.
    fn notes(&mut self, journal: JournalId, query: &Query) -> Result<Vec<Note>, StoreError>;

    /// Another search text with which the query finds something, for one that finds nothing: a word that is spelled
    /// nearly like it, or Chinese that sounds like it. It costs about the same in a journal of any size.
    fn suggest(&mut self, journal: JournalId, query: &Query) -> Result<Option<String>, StoreError>;

    /// One note, unless there is none or it is deleted.
    fn note(&mut self, journal: JournalId, id: NoteId) -> Result<Option<Note>, StoreError>;

    /// All changes of a note, each after those that it replaces, else in the order in which they came
    /// here; also of a note that is deleted or purged. None: there is no such note.
    fn history(&mut self, journal: JournalId, note: NoteId) -> Result<Vec<Revision>, StoreError>;

    /// The notes that are meant by a name, ascending by id: with several, more has to be said.
    ///
    /// Deleted and purged notes are among them, but never the last. Digits of a hash alone make it look at
    /// every change, the other names at a few.
    fn find(&mut self, journal: JournalId, name: &NoteName) -> Result<Vec<NoteId>, StoreError>;

    /// The days that have notes, oldest first, and how many.
    fn days(&mut self, journal: JournalId) -> Result<Vec<(Day, u64)>, StoreError>;

    /// The tags with the sigil that the newest note has (`@shop`), and in how many notes; the most
    /// used first.
    fn tags(&mut self, journal: JournalId) -> Result<Vec<(String, u64)>, StoreError>;

    /// Rises with each change of the journal, and with each rename of one of its devices: a cheap
    /// basis for an `ETag` of lists.
    fn version(&mut self, journal: JournalId) -> Result<u64, StoreError>;

    /// Does up to about `max_changes` of what is kept off the acknowledging path (the full-text
    /// index), and says how many changes are still to be done. To be called when idle.
    fn catch_up(&mut self, max_changes: usize) -> Result<u64, StoreError>;

    /// The newest entries of the audit trail, `newest` at most, oldest first. It has up to
    /// [`MAX_AUDIT`].
    fn audit(&mut self, newest: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// How many notes there are, deleted ones not counted.
    fn count(&mut self, journal: JournalId) -> Result<u64, StoreError>;
}
