//! `suibi edit`: another text for a note.

mod draft;

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;

use super::names::{find, note_word, one_name, spelled_out};
use super::{Context, add};
use crate::failure::{Exit, Failure};
use crate::render::json::EditedJson;
use crate::render::saved::done;
use crate::render::style::DIM;
use crate::say::{edit as say, saved as deed};
use crate::session::{self, Session};
use crate::story::{Story, minute, written_at};
use draft::Draft;

pub(super) use draft::open_in_editor;

/// `suibi edit`.
#[derive(Debug, Args)]
#[command(
    override_usage = "suibi edit [OPTIONS] NOTE            in your editor ($VISUAL, $EDITOR)\n       \
                      suibi edit [OPTIONS] NOTE TEXT…      these words are its text from now on\n       \
                      … | suibi edit [OPTIONS] NOTE -      all of standard input is",
    after_help = EXAMPLES
)]
pub(super) struct EditArgs {
    /// Which note
    #[arg(value_name = "NOTE", value_parser = note_word)]
    note: String,
    /// The words of its text from now on, joined by spaces; - for standard input
    #[arg(value_name = "TEXT", trailing_var_arg = true)]
    text: Vec<OsString>,
}

const EXAMPLES: &str = "\
NOTE is `last`, the number that the last listing in this terminal gave it (3),
the number of a receipt ('#1284', or 1284), its six digits (3f9ac1), a whole
receipt, or a note's id or the beginning of it.

Nothing is overwritten: what the note said before stays in its history. A note
that was written apart on two devices is shown with both versions; what you save
settles it.

Examples:
  suibi edit last                       opens the editor
  suibi edit 1284 bought milk @shop     one line
  suibi show --json 1284 | jq -r '.notes[0].text' | tr a-z A-Z | suibi edit 1284 -";

pub(super) fn run(args: EditArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut words = vec![args.note];
    let mut text = args.text;
    // The rest of a receipt that nobody quoted: suibi edit 1284 · 3f9ac1 TEXT.
    if text.first().is_some_and(|dot| dot == "·") && text.len() > 1 {
        words.extend(text.drain(..2).map(|word| word.to_string_lossy().into_owned()));
    }
    let name = one_name("edit", &words)?;
    let given = given(&text)?;
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let story = find(&name, &mut session)?;
    if let Some(note) = spelled_out(&name, &story, &session)? {
        context.ui.say(format_args!("{DIM}{note}{DIM:#}"));
    }
    check(&story)?;
    if let Some(given) = given {
        return write(&story, &given, None, &mut session, context);
    }
    // Whoever thinks about a text for an hour need not be everybody's server meanwhile.
    drop(session);
    let draft = Draft::new(&context.settings.journal_dir()?, &story)?;
    if let Some(earlier) = draft.earlier() {
        context.ui.say(say::EarlierText { file: earlier.display() });
    }
    let text = draft.edit()?;
    let mut session = session::open(&context.settings)?;
    write(&story, &text, Some(draft), &mut session, context)
}

/// The text of the command line or of standard input; none where an editor is to be opened.
fn given(words: &[OsString]) -> Result<Option<String>, Failure> {
    if words.is_empty() {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            return Ok(None);
        }
        return Err(Failure::usage(say::NoText).hint(say::NoTextHint));
    }
    let bytes = if words == ["-"] {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        bytes
    } else {
        words.join(OsStr::new(" ")).into_encoded_bytes()
    };
    let text = add::readable(bytes).map_err(|failure| failure.hint(crate::say::add::Recode))?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Why a note cannot be edited.
pub(super) fn check(story: &Story) -> Result<(), Failure> {
    let name = story.name();
    if story.is_purged() {
        return Err(
            Failure::new(Exit::NothingMatched, say::WasErased { name }).hint(say::WasErasedHint)
        );
    }
    if story.is_deleted() {
        return Err(Failure::new(Exit::NothingMatched, say::IsDeleted { name: &name })
            .hint(say::IsDeletedHint { name: &name }));
    }
    Ok(())
}

fn write(
    story: &Story,
    text: &str,
    draft: Option<Draft>,
    session: &mut Session,
    context: &mut Context,
) -> Result<Exit, Failure> {
    if text.trim().is_empty() {
        // An emptied file says that it is not meant; it is no way to lose a note.
        if let Some(draft) = draft {
            draft.discard();
        }
        return Err(Failure::usage(say::Empty).hint(say::EmptyHint { name: story.name() }));
    }
    if let Err(too_long) = add::check(text) {
        return Err(match draft {
            Some(draft) => too_long.hint(say::YourTextIsIn { file: draft.keep().display() }),
            None => too_long,
        });
    }
    if text == story.text() {
        if let Some(draft) = draft {
            draft.discard();
        }
        let waiting = session.waiting()?;
        if context.ui.json {
            context.ui.json(&EditedJson::new(story, false, waiting))?;
        } else {
            match story.folded.conflict {
                true => context.ui.say(say::SameConflict),
                false => context.ui.say(say::Same),
            }
        }
        return Ok(Exit::Done);
    }
    let Some(wrote) = session.edit(story, text)? else {
        let failure = changed_meanwhile(story, session)?;
        let file = match draft {
            Some(draft) => draft.keep(),
            None => Draft::kept(&context.settings.journal_dir()?, story, text)?,
        };
        let name = story.name();
        let file = file.display();
        return Err(failure.hint(say::ChangedHint { file: &file, name, path: &file }));
    };
    if let Some(draft) = draft {
        draft.discard();
    }
    if let Some(trouble) = &wrote.trouble {
        context.ui.complain(trouble);
    }
    let note = wrote.story.note();
    if context.ui.json {
        context.ui.json(&EditedJson::new(&wrote.story, true, wrote.waiting))?;
    } else {
        context.ui.say(match story.folded.conflict {
            true => done(deed::Settled, &note, wrote.waiting),
            false => done(deed::Edited, &note, wrote.waiting),
        });
    }
    end(note.waiting, context)
}

/// A write to a note that somebody else has written to since it was shown.
pub(super) fn changed_meanwhile(story: &Story, session: &mut Session) -> Result<Failure, Failure> {
    let now = session.story(story.id)?;
    let newest = now.iter().flat_map(|now| now.revisions.iter().enumerate()).next_back();
    let who = newest.zip(now.as_ref()).map(|((at, newest), now)| {
        let (deed, when) = (now.deed(at).said(), minute(written_at(newest)));
        say::WhoChanged { deed, when, device: &newest.device }.to_string()
    });
    let name = story.name();
    let what = say::ChangedMeanwhile { name: &name, who: who.unwrap_or_default() };
    Ok(Failure::new(Exit::NothingMatched, what).hint(say::ChangedMeanwhileHint { name: &name }))
}

/// How a command that wrote ends.
pub(super) fn end(is_kept_here: bool, context: &mut Context) -> Result<Exit, Failure> {
    context.ui.flush()?;
    Ok(if is_kept_here && context.require_server { Exit::KeptLocally } else { Exit::Done })
}
