//! What happened to notes elsewhere: which of them are new, and which were edited, deleted, brought back.

use suibi_journal::{Note, NoteId};
use suibi_store::{JournalId, Reader};

use crate::render::json::NewsJson;
use crate::render::listing::{Listing, source};
use crate::render::story::beginning;
use crate::render::style::{DIM, WAITING};
use crate::render::wrap::columns;
use crate::say::listing as say;
use crate::story::{Deed, Story};

/// Columns of the text of a note that is gone.
const TEXT_COLUMNS: usize = 44;

/// One note, and what happened to it last.
#[derive(Debug)]
pub(crate) struct Happened {
    /// As it is now; one that was deleted, as it was.
    pub(crate) note: Note,
    pub(crate) deed: Deed,
    /// The device that did it.
    pub(crate) by: String,
    /// How commands name it.
    pub(crate) name: String,
}

/// Finds out what happened, in a replica of which it has a reader of its own.
pub(crate) struct Witness {
    reader: Box<dyn Reader>,
}

impl Witness {
    pub(crate) fn new(reader: Box<dyn Reader>) -> Self {
        Self { reader }
    }

    /// Of notes that came or changed.
    pub(crate) fn of_notes(&mut self, notes: Vec<Note>) -> Vec<Happened> {
        notes.into_iter().map(|note| self.of_note(note)).collect()
    }

    /// Of notes that were deleted or erased.
    pub(crate) fn of_gone(&mut self, gone: &[NoteId]) -> Vec<Happened> {
        let stories = gone.iter().filter_map(|id| self.story(*id));
        stories.map(|story| Happened::of(&story, story.note())).collect()
    }

    fn of_note(&mut self, note: Note) -> Happened {
        match self.story(note.id) {
            Some(story) => Happened::of(&story, note),
            // It cannot be read twice: what was told is told.
            None => {
                let (by, name) = (source(&note), note.id.to_string());
                Happened { note, deed: Deed::Written, by, name }
            }
        }
    }

    fn story(&mut self, id: NoteId) -> Option<Story> {
        match self.reader.history(JournalId::FIRST, id) {
            Ok(revisions) => Story::of(id, revisions),
            Err(error) => {
                tracing::debug!(%error, "a note cannot be looked at");
                None
            }
        }
    }
}

impl Happened {
    fn of(story: &Story, note: Note) -> Self {
        let last = story.newest();
        let deed = match last {
            // Its first revision may be all that is left to be seen of a purge that came before it.
            _ if story.is_purged() => Deed::Purged,
            Some(last) => story.deed(last),
            None => Deed::Written,
        };
        let by = last.map(|last| story.revisions[last].device.clone()).unwrap_or_default();
        // A foreign client's address says more than the device that took its note.
        let by = if deed == Deed::Written { source(&note) } else { by };
        Self { note, deed, by, name: story.name() }
    }

    /// Whether this device or address did it, or wrote the note.
    pub(crate) fn is_from(&self, name: &str) -> bool {
        self.by == name || self.note.device == name || self.note.source.as_deref() == Some(name)
    }

    /// A line or more, each with its newline: time, who, text, and what happened unless the note is new.
    pub(crate) fn text(&self, listing: &Listing) -> String {
        let shown = Note { device: self.by.clone(), source: None, ..self.note.clone() };
        let source_columns = Some(columns(&source(&shown)));
        let what = match self.deed {
            Deed::Written | Deed::Erased => None,
            Deed::Purged => Some(say::ErasedForGood.to_string()),
            deed => Some(deed.said()),
        };
        let text = match self.deed {
            Deed::Deleted => beginning(&self.note.text, TEXT_COLUMNS),
            Deed::Purged => "…".to_owned(),
            _ => self.note.text.clone(),
        };
        let shown = Note { text, ..shown };
        let mut line = listing.note(&shown, source_columns);
        if let Some(what) = what {
            line.insert_str(line.len() - 1, &format!(" {DIM}· {what}{DIM:#}"));
        }
        if self.note.conflict && listing.marks {
            let settle = say::Settle { name: &self.name };
            line.push_str(&format!("       {WAITING}{settle}{WAITING:#}\n"));
        }
        line
    }

    pub(crate) fn json(&self) -> NewsJson {
        NewsJson::new(&self.note, self.deed.word(), &self.by)
    }
}
