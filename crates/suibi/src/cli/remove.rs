//! `suibi rm` and `suibi restore`: out of sight, and back.

use std::fmt::Display;

use clap::Args;
use suibi_journal::Note;

use super::Context;
use super::edit::{changed_meanwhile, end};
use super::names::{NOTE_HELP, find_all, names, note_word};
use super::undo::Together;
use crate::failure::{Exit, Failure};
use crate::render::json::WrittenJson;
use crate::render::saved::done;
use crate::render::story::beginning;
use crate::render::style::DIM;
use crate::say::{remove as say, saved as deed};
use crate::session::{self, Session, Wrote};
use crate::story::Story;

/// Columns of the text that is said to be deleted.
const TEXT_COLUMNS: usize = 50;

/// `suibi rm`.
#[derive(Debug, Args)]
#[command(after_help = NOTE_HELP)]
pub(super) struct RemoveArgs {
    /// Which notes
    #[arg(required = true, value_name = "NOTE", value_parser = note_word)]
    notes: Vec<String>,
}

/// `suibi restore`.
#[derive(Debug, Args)]
#[command(after_help = NOTE_HELP)]
pub(super) struct RestoreArgs {
    /// Which notes
    #[arg(required = true, value_name = "NOTE", value_parser = note_word)]
    notes: Vec<String>,
}

pub(super) fn remove(args: RemoveArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (mut session, stories) = look(&args.notes, context)?;
    remove_all(stories, &mut session, context)
}

/// Deletes these notes.
pub(crate) fn remove_all(
    stories: Vec<Story>,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let mut after = Vec::new();
    for story in stories {
        let name = story.name();
        if story.is_purged() {
            context.ui.say(say::ErasedBefore { name });
        } else if story.is_deleted() {
            context.ui.say(say::DeletedBefore { name });
        } else {
            let wrote = session.remove(&story)?;
            let Some(wrote) = wrote else { return Err(changed_meanwhile(&story, session)?) };
            tell(deed::Deleted, &story, &wrote, context);
            after.push(wrote);
            context.ui.say(format_args!("{DIM}  {}{DIM:#}", say::BringBack { name }));
        }
    }
    together(&after, session);
    finish(after, session, context)
}

pub(super) fn restore(args: RestoreArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (mut session, stories) = look(&args.notes, context)?;
    restore_all(stories, &mut session, context)
}

/// Brings these notes back.
pub(crate) fn restore_all(
    stories: Vec<Story>,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    if let Some(erased) = stories.iter().find(|story| story.is_purged()) {
        return Err(Failure::new(Exit::NothingMatched, say::NothingLeft { name: erased.name() })
            .hint(say::BackupHint));
    }
    let mut after = Vec::new();
    for story in stories {
        if !story.is_deleted() {
            context.ui.say(say::NotDeleted { name: story.name() });
            continue;
        }
        let Some(wrote) = session.restore(&story)? else {
            return Err(changed_meanwhile(&story, session)?);
        };
        tell(deed::Restored, &story, &wrote, context);
        after.push(wrote);
    }
    together(&after, session);
    finish(after, session, context)
}

/// One undo takes back what was done to several notes.
pub(super) fn together(after: &[Wrote], session: &Session) {
    if after.len() > 1 {
        Together::of(after.iter().map(|wrote| &wrote.story)).keep(session.data_dir());
    }
}

pub(super) fn look(words: &[String], context: &Context) -> Result<(Session, Vec<Story>), Failure> {
    let names = names(words)?;
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let stories = find_all(&names, &mut session)?;
    Ok((session, stories))
}

pub(super) fn tell(deed: impl Display, story: &Story, wrote: &Wrote, context: &Context) {
    if let Some(trouble) = &wrote.trouble {
        context.ui.complain(trouble);
    }
    if context.ui.json {
        return;
    }
    let note = Note { time: story.folded.time, ..wrote.story.note() };
    context.ui.say(done(deed, &note, wrote.waiting));
    context.ui.say(format_args!("  {}", beginning(story.text(), TEXT_COLUMNS)));
}

pub(super) fn finish(
    after: Vec<Wrote>,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let waiting = session.waiting()?;
    let is_kept = after.iter().any(|wrote| wrote.story.note().waiting);
    if context.ui.json {
        let stories: Vec<Story> = after.into_iter().map(|wrote| wrote.story).collect();
        context.ui.json(&WrittenJson::new(&stories, waiting))?;
    }
    end(is_kept, context)
}
