//! Notes for programs. The shapes are documented in `docs/cli.md`; a change that breaks a reader raises [`VERSION`].

use serde::Serialize;
use suibi_journal::{Note, Rights, tags};

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
            waiting: note.waiting,
            receipt: note.receipt.as_ref().map(|(position, hash)| ReceiptJson {
                position: *position,
                hash: hash.to_string(),
            }),
        }
    }
}

/// What `log`, `today`, `on` and `search` print with `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct NotesJson {
    version: u32,
    notes: Vec<NoteJson>,
}

impl NotesJson {
    pub(crate) fn new<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Self {
        Self { version: VERSION, notes: notes.into_iter().map(NoteJson::from).collect() }
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
