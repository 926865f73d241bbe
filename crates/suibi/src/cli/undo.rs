//! `suibi undo`: takes back what was done last on this device.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use suibi_journal::{Body, Extra, Hash, NoteId, extra, is_starred};

use super::Context;
use super::edit::end;
use crate::failure::{Exit, Failure};
use crate::render::json::{VERSION, WholeNoteJson};
use crate::render::saved::done;
use crate::render::story::beginning;
use crate::render::style::DIM;
use crate::say::undo as say;
use crate::session::{self, Session, Wrote};
use crate::story::{Deed, Story};

/// Columns of the text of what was taken back.
const TEXT_COLUMNS: usize = 72;

/// So many notes that were taken back together are told one by one.
const MOST_TOLD: usize = 5;

/// `suibi undo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct UndoArgs {}

const EXAMPLES: &str = "\
It takes back the last thing that was done on this device: a note that was
written is deleted, an edit gives way to the text before it, a note that was
deleted is there again, a star is as it was. That is a change like any other and
stands in the note's history; what was done to several notes at once is taken
back at once. A second undo takes back the first.

Nothing is taken back of a note that another device has changed since.";

/// What `undo` prints with `--json`.
#[derive(Debug, Serialize)]
struct UndoneJson {
    version: u32,
    /// What was taken back.
    undone: Vec<OneJson>,
    /// Changes of this device that the server has not confirmed yet.
    waiting: u64,
}

#[derive(Debug, Serialize)]
struct OneJson {
    change: &'static str,
    note: WholeNoteJson,
}

pub(super) fn run(_: UndoArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    // What another device made of the note is not to be lost.
    session.refresh(&context.ui);
    undo(&mut session, context)
}

/// Takes it back, and says so.
pub(crate) fn undo(session: &mut Session, context: &mut Context) -> Result<Exit, Failure> {
    let Some((note, hash)) = session.last_own()? else {
        return Err(Failure::new(Exit::NothingMatched, say::NothingDone));
    };
    let together = Together::load(session.data_dir());
    let changes = match together.has(hash) {
        true => together.changes,
        false => vec![(note, hash)],
    };
    // All or none: what would be left is hard to tell.
    let mut steps = Vec::new();
    for (note, hash) in changes {
        let story = session.story(note)?.expect("a note that was written is there");
        steps.push((check(&story, hash)?, story));
    }
    let mut after = Vec::new();
    for (at, story) in &steps {
        let Some(wrote) = take_back(*at, story, session)? else {
            return Err(super::edit::changed_meanwhile(story, session)?);
        };
        after.push((story.deed(*at), wrote));
    }
    if after.len() > 1 {
        Together::of(after.iter().map(|(_, wrote)| &wrote.story)).keep(session.data_dir());
    }
    tell(&after, context)?;
    end(after.iter().any(|(_, wrote)| wrote.story.note().waiting), context)
}

/// Where the change stands in the note's story, if it is all that the note is now.
fn check(story: &Story, hash: Hash) -> Result<usize, Failure> {
    let name = story.name();
    if story.is_purged() {
        return Err(Failure::new(Exit::NothingMatched, say::Erased { name }));
    }
    let at = story.revisions.iter().position(|revision| revision.entry.hash() == hash);
    let at = at.expect("a change that was written is in the note's history");
    if story.seen() == [hash] {
        return Ok(at);
    }
    let what = say::ChangedSince { name: &name };
    Err(Failure::new(Exit::NothingMatched, what).hint(say::ChangedSinceHint { name: &name }))
}

fn take_back(at: usize, story: &Story, session: &mut Session) -> Result<Option<Wrote>, Failure> {
    let before = story.folded_before(at);
    let Some(mut before) = before.filter(|before| matches!(before.body, Body::Text(_))) else {
        // There was no note before, or a deleted one.
        return session.remove(story);
    };
    if story.is_starred() && !is_starred(&before.extras) {
        before.extras.insert(extra::STAR.to_owned(), Extra::Bool(false));
    }
    session.put_back(story, before)
}

fn tell(after: &[(Deed, Wrote)], context: &mut Context) -> Result<(), Failure> {
    if let Some(trouble) = after.iter().find_map(|(_, wrote)| wrote.trouble.as_ref()) {
        context.ui.complain(trouble);
    }
    let waiting = after.iter().map(|(_, wrote)| wrote.waiting).max().unwrap_or_default();
    if context.ui.json {
        let undone = after.iter().map(|(deed, wrote)| OneJson {
            change: deed.word(),
            note: WholeNoteJson::from(&wrote.story),
        });
        let json = UndoneJson { version: VERSION, undone: undone.collect(), waiting };
        context.ui.json(&json)?;
        return Ok(());
    }
    for (deed, wrote) in after.iter().take(MOST_TOLD) {
        context.ui.say(done(said(*deed), &wrote.story.note(), waiting));
        context.ui.say(format_args!("  {}", beginning(wrote.story.text(), TEXT_COLUMNS)));
    }
    if after.len() > MOST_TOLD {
        context.ui.say(format_args!("  {}", say::More { notes: after.len() - MOST_TOLD }));
    }
    let meaning = match after {
        [(Deed::Written | Deed::Restored, _)] => say::NowDeleted.to_string(),
        [(Deed::Deleted, _)] => say::NowThere.to_string(),
        [(Deed::Edited, _)] => say::NowSays.to_string(),
        _ => say::Again.to_string(),
    };
    context.ui.say(format_args!("{DIM}  {meaning}{DIM:#}"));
    Ok(())
}

/// What was taken back, for the line that confirms it.
fn said(deed: Deed) -> String {
    match deed {
        Deed::Written => say::Written.to_string(),
        Deed::Edited | Deed::Erased | Deed::Purged => say::Edited.to_string(),
        Deed::Starred => say::Starred.to_string(),
        Deed::Unstarred => say::Unstarred.to_string(),
        Deed::Deleted => say::Deleted.to_string(),
        Deed::Restored => say::Restored.to_string(),
    }
}

/// Changes that one command made to several notes, for the undo that follows it.
///
/// `DATA-DIR/together`: a line for each, `ID HASH`. When it is lost, they are taken back one by one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Together {
    changes: Vec<(NoteId, Hash)>,
}

impl Together {
    /// The newest changes of these notes.
    pub(super) fn of<'a>(stories: impl IntoIterator<Item = &'a Story>) -> Self {
        let newest = |story: &Story| Some((story.id, *story.seen().first()?));
        Self { changes: stories.into_iter().filter_map(newest).collect() }
    }

    pub(super) fn keep(&self, data_dir: &Path) {
        let lines = self.changes.iter().map(|(note, hash)| format!("{note} {hash}\n"));
        if let Err(error) = fs::write(path(data_dir), lines.collect::<String>()) {
            tracing::debug!(%error, "what was done together is taken back one by one");
        }
    }

    fn load(data_dir: &Path) -> Self {
        let text = fs::read_to_string(path(data_dir)).unwrap_or_default();
        let change = |line: &str| {
            let (note, hash) = line.split_once(' ')?;
            Some((note.parse().ok()?, hash.parse().ok()?))
        };
        Self { changes: text.lines().map(change).collect::<Option<_>>().unwrap_or_default() }
    }

    fn has(&self, hash: Hash) -> bool {
        self.changes.iter().any(|(_, its)| *its == hash)
    }
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("together")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_together_is_read_as_it_was_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Together::load(dir.path()), Together::default());
        let change = |number: u8| (NoteId::new(0, [number; 10]), Hash::of(&[number]));
        let together = Together { changes: vec![change(1), change(2)] };
        together.keep(dir.path());
        assert_eq!(Together::load(dir.path()), together);
        assert!(together.has(Hash::of(&[2])) && !together.has(Hash::of(&[3])));
        fs::write(path(dir.path()), "milk\n").unwrap();
        assert_eq!(Together::load(dir.path()), Together::default());
    }
}
