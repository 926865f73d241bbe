//! `suibi star` and `suibi unstar`: a mark on the notes that matter.

use clap::Args;

use super::Context;
use super::names::{NOTE_HELP, note_word};
use super::remove::{finish, look, tell, together};
use crate::failure::{Exit, Failure};
use crate::say::star as say;
use crate::session::Session;
use crate::story::Story;

/// `suibi star` and `suibi unstar`.
#[derive(Debug, Args)]
#[command(after_help = NOTE_HELP)]
pub(super) struct StarArgs {
    /// Which notes
    #[arg(required = true, value_name = "NOTE", value_parser = note_word)]
    notes: Vec<String>,
}

pub(super) fn star(args: StarArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (mut session, stories) = look(&args.notes, context)?;
    mark(true, stories, &mut session, context)
}

pub(super) fn unstar(args: StarArgs, context: &mut Context) -> Result<Exit, Failure> {
    let (mut session, stories) = look(&args.notes, context)?;
    mark(false, stories, &mut session, context)
}

/// Gives these notes a star, or takes it away.
pub(crate) fn mark(
    is_starred: bool,
    stories: Vec<Story>,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    for story in &stories {
        check(story)?;
    }
    let mut after = Vec::new();
    for story in stories {
        let name = story.name();
        if story.is_starred() == is_starred {
            match is_starred {
                true => context.ui.say(say::HasStar { name }),
                false => context.ui.say(say::HasNone { name }),
            }
            continue;
        }
        let Some(wrote) = session.star(&story, is_starred)? else {
            return Err(super::edit::changed_meanwhile(&story, session)?);
        };
        match is_starred {
            true => tell(say::Starred, &story, &wrote, context),
            false => tell(say::Unstarred, &story, &wrote, context),
        }
        after.push(wrote);
    }
    together(&after, session);
    finish(after, session, context)
}

/// Why a note cannot be marked. Marking is writing, and whoever writes over two versions has settled them.
fn check(story: &Story) -> Result<(), Failure> {
    if story.folded.conflict {
        let name = story.name();
        let what = say::TwoVersions { name: &name };
        return Err(
            Failure::new(Exit::NothingMatched, what).hint(say::TwoVersionsHint { name: &name })
        );
    }
    super::edit::check(story)
}
