//! Notes for programs. The shapes are documented in `docs/cli.md`; a change that breaks a reader raises [`VERSION`].

use std::cell::Cell;

use serde::ser::{Error as _, SerializeSeq as _, SerializeStruct as _};
use serde::{Serialize, Serializer};
use suibi_journal::{Hash, Note, Rights, tags};
use suibi_store::Revision;

use crate::story::{Story, source_of, text_of, written_at};

/// The `version` field of every document.
pub(crate) const VERSION: u32 = 1;

/// Rights as a list of words.
pub(crate) fn rights_json(rights: Rights) -> Vec<&'static str> {
    let names = [(rights.read, "read"), (rights.write, "write"), (rights.admin, "admin")];
    names.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
}

/// A note as every listing shows it.
#[derive(Debug, Serialize)]
pub(crate) struct NoteJson {
    id: String,
    time: String,
    day: String,
    text: String,
    tags: Vec<String>,
    device: String,
    source: Option<String>,
    conflict: bool,
    starred: bool,
    /// Deleted by a device that had not seen the last edit.
    undeleted: bool,
    waiting: bool,
    receipt: Option<ReceiptJson>,
}

/// The server's word that a change is durable.
#[derive(Debug, Serialize)]
pub(crate) struct ReceiptJson {
    pub(crate) position: u64,
    pub(crate) hash: String,
}

impl From<&Note> for NoteJson {
    fn from(note: &Note) -> Self {
        Self {
            id: note.id.to_string(),
            time: note.time.to_string(),
            day: note.time.day().to_string(),
            text: note.text.clone(),
            tags: tags(&note.text).into_iter().map(|tag| tag.name).collect(),
            device: note.device.clone(),
            source: note.source.clone(),
            conflict: note.conflict,
            starred: note.starred,
            undeleted: note.undeleted,
            waiting: note.waiting,
            receipt: note.receipt.as_ref().map(|(position, hash)| ReceiptJson {
                position: *position,
                hash: hash.to_string(),
            }),
        }
    }
}

/// What `log`, `today`, `on` and `search` print with `--json`: notes as they come, and no end where one of them fails.
pub(crate) struct NotesJson<I, E> {
    /// Taken when they are printed.
    notes: Cell<Option<I>>,
    failure: Cell<Option<E>>,
}

impl<I: Iterator<Item = Result<Note, E>>, E> NotesJson<I, E> {
    pub(crate) fn new(notes: I) -> Self {
        Self { notes: Cell::new(Some(notes)), failure: Cell::new(None) }
    }

    /// Why there was no next note, if printing ended there.
    pub(crate) fn into_failure(self) -> Option<E> {
        self.failure.into_inner()
    }
}

impl<I: Iterator<Item = Result<Note, E>>, E> Serialize for NotesJson<I, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("NotesJson", 2)?;
        document.serialize_field("version", &VERSION)?;
        document.serialize_field("notes", &Notes(self))?;
        document.end()
    }
}

/// The list in it.
struct Notes<'d, I, E>(&'d NotesJson<I, E>);

impl<I: Iterator<Item = Result<Note, E>>, E> Serialize for Notes<'_, I, E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for note in self.0.notes.take().into_iter().flatten() {
            match note {
                Ok(note) => list.serialize_element(&NoteJson::from(&note))?,
                Err(failure) => {
                    self.0.failure.set(Some(failure));
                    return Err(S::Error::custom("a note cannot be read"));
                }
            }
        }
        list.end()
    }
}

/// What `tags` prints with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct TagsJson {
    version: u32,
    tags: Vec<TagJson>,
}

/// One tag and how many notes have it.
#[derive(Debug, Serialize)]
struct TagJson {
    tag: String,
    notes: u64,
}

impl TagsJson {
    pub(crate) fn new(tags: &[(String, u64)]) -> Self {
        let tags = tags.iter().map(|(tag, notes)| TagJson {
            tag: tag.trim_start_matches(['#', '@', '＃', '＠']).to_owned(),
            notes: *notes,
        });
        Self { version: VERSION, tags: tags.collect() }
    }
}

/// What `show` prints with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct ShowJson {
    version: u32,
    notes: Vec<WholeNoteJson>,
}

impl ShowJson {
    pub(crate) fn new(stories: &[Story]) -> Self {
        Self { version: VERSION, notes: stories.iter().map(WholeNoteJson::from).collect() }
    }
}

/// A note with what is known about it.
#[derive(Debug, Serialize)]
pub(crate) struct WholeNoteJson {
    #[serde(flatten)]
    note: NoteJson,
    deleted: bool,
    purged: bool,
    /// Several versions that did not clash.
    merged: bool,
    /// The revisions that no other replaces.
    versions: Vec<RevisionJson>,
}

impl From<&Story> for WholeNoteJson {
    fn from(story: &Story) -> Self {
        let all = revisions(story);
        Self {
            note: NoteJson::from(&story.note()),
            deleted: story.is_deleted(),
            purged: story.is_purged(),
            merged: story.folded.merged,
            versions: all.into_iter().filter(|revision| revision.head).collect(),
        }
    }
}

/// What `history` prints with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryJson {
    version: u32,
    id: String,
    revisions: Vec<RevisionJson>,
}

impl From<&Story> for HistoryJson {
    fn from(story: &Story) -> Self {
        Self { version: VERSION, id: story.id.to_string(), revisions: revisions(story) }
    }
}

/// A note as one change left it.
#[derive(Debug, Serialize)]
struct RevisionJson {
    change: &'static str,
    time: String,
    device: String,
    source: Option<String>,
    text: Option<String>,
    hash: String,
    parents: Vec<String>,
    head: bool,
    waiting: bool,
    receipt: Option<ReceiptJson>,
}

fn revisions(story: &Story) -> Vec<RevisionJson> {
    let revision = |(at, revision): (usize, &Revision)| {
        let hash = revision.entry.hash().to_string();
        let receipt = revision.receipt.map(|position| ReceiptJson { position, hash: hash.clone() });
        RevisionJson {
            change: story.deed(at).word(),
            time: written_at(revision).to_string(),
            device: revision.device.clone(),
            source: source_of(revision).map(str::to_owned),
            text: text_of(revision).map(str::to_owned),
            parents: revision.entry.change().parents.iter().map(Hash::to_string).collect(),
            head: revision.is_head,
            waiting: revision.waiting,
            receipt,
            hash,
        }
    };
    story.revisions.iter().enumerate().map(revision).collect()
}

/// What `rm` and `restore` print with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct WrittenJson {
    version: u32,
    /// Those that were written to.
    notes: Vec<WholeNoteJson>,
    /// Changes of this device that the server has not confirmed yet.
    waiting: u64,
}

impl WrittenJson {
    pub(crate) fn new(stories: &[Story], waiting: u64) -> Self {
        let notes = stories.iter().map(WholeNoteJson::from).collect();
        Self { version: VERSION, notes, waiting }
    }
}

/// What `edit` prints with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct EditedJson {
    version: u32,
    note: WholeNoteJson,
    /// Whether anything was written.
    changed: bool,
    /// Changes of this device that the server has not confirmed yet.
    waiting: u64,
}

impl EditedJson {
    pub(crate) fn new(story: &Story, changed: bool, waiting: u64) -> Self {
        Self { version: VERSION, note: WholeNoteJson::from(story), changed, waiting }
    }
}

/// What `watch` prints with `--json`, a line for each.
#[derive(Debug, Serialize)]
pub(crate) struct NewsJson {
    #[serde(flatten)]
    note: NoteJson,
    change: &'static str,
    by: String,
}

impl NewsJson {
    pub(crate) fn new(note: &Note, change: &'static str, by: &str) -> Self {
        Self { note: NoteJson::from(note), change, by: by.to_owned() }
    }
}
