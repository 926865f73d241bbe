//! `suibi TEXT…`, `suibi add`, `suibi -`: one note.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;
use serde::Serialize;
use suibi_journal::{MAX_TEXT_BYTES, NoteTime};
use suibi_when::Moment;

use super::{Context, filter, piped};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::{NoteJson, VERSION};
use crate::render::saved;
use crate::say::add as say;
use crate::say::when::Moved;
use crate::session;
use crate::story::minute;

/// `suibi add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// All of standard input is the note
    #[arg(long, conflicts_with = "text")]
    stdin: bool,
    /// When it was, instead of a time in front of the text: 'yesterday 3pm'
    #[arg(long, value_name = "WHEN")]
    at: Option<String>,
    /// The words of the note; a time in front of a colon is when it was: yesterday 3pm: tea
    #[arg(value_name = "TEXT", trailing_var_arg = true)]
    text: Vec<OsString>,
}

/// What `add` prints with `--json`.
#[derive(Debug, Serialize)]
struct AddedJson {
    version: u32,
    note: NoteJson,
    /// Notes of this device that the server has not confirmed yet.
    waiting: u64,
}

pub(super) fn run(args: AddArgs, context: &mut Context) -> Result<Exit, Failure> {
    if args.stdin || args.text == ["-"] {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        let text = readable(bytes).map_err(recode)?;
        let text = text.trim_end_matches(['\n', '\r']);
        let dated = match args.at.as_deref() {
            Some(time) => Dated { text, ..at(time)? },
            None => Dated::now(text)?,
        };
        return add(dated, context);
    }
    if args.text.is_empty() && args.at.is_none() && !io::stdin().is_terminal() {
        return piped::run(context);
    }
    match args.at {
        None => run_words(args.text, context),
        Some(time) => {
            let text = joined(args.text)?;
            add(Dated { text: text.trim(), ..at(&time)? }, context)
        }
    }
}

/// The words of a command line are a note.
pub(super) fn run_words(words: Vec<OsString>, context: &mut Context) -> Result<Exit, Failure> {
    let text = joined(words)?;
    add(dated(text.trim())?, context)
}

fn joined(words: Vec<OsString>) -> Result<String, Failure> {
    let line = words.join(std::ffi::OsStr::new(" "));
    line.into_string().or_else(|line| readable(line.into_encoded_bytes()).map_err(recode))
}

/// A text and the time of its note.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dated<'t> {
    pub(crate) text: &'t str,
    pub(crate) time: NoteTime,
    /// The time was said, rather than being now.
    pub(crate) is_dated: bool,
    /// No clock here showed the time that was said.
    pub(crate) moved: bool,
}

impl<'t> Dated<'t> {
    fn now(text: &'t str) -> Result<Self, Failure> {
        Ok(Self { text, time: clock::now()?, is_dated: false, moved: false })
    }

    fn of(text: &'t str, moment: &Moment) -> Result<Self, Failure> {
        let time = NoteTime::of(&moment.at).map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self { text, time, is_dated: true, moved: moment.moved })
    }
}

/// Takes the time from in front of a text, if one is there: `yesterday 3pm: tea` is tea, yesterday at three.
///
/// # Errors
///
/// The clock shows no time that a note can have.
pub(crate) fn dated(text: &str) -> Result<Dated<'_>, Failure> {
    // Most notes have no colon there, and then nothing more is looked at.
    if suibi_when::may_have_prefix(text)
        && let Some(prefix) = suibi_when::prefix(text, &clock::here()?)
    {
        return Dated::of(&text[prefix.len..], &prefix.moment);
    }
    Dated::now(text)
}

/// The time of `--at`; the text is still to come.
fn at(time: &str) -> Result<Dated<'static>, Failure> {
    Dated::of("", &filter::moment(time, "--at")?)
}

/// What to say where no clock here showed the time that was said.
pub(crate) fn moved(time: NoteTime) -> Moved<String> {
    Moved { time: minute(time) }
}

fn recode(failure: Failure) -> Failure {
    failure.hint(say::Recode)
}

/// The text that `bytes` are. What is no UTF-8 is refused whole: a guess at it could not be undone.
pub(super) fn readable(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        Failure::usage(say::NotUtf8 { at })
    })
}

/// Why `text` cannot be a note.
pub(crate) fn check(text: &str) -> Result<(), Failure> {
    if text.trim().is_empty() {
        return Err(Failure::usage(say::NothingToWrite).hint(say::NothingToWriteHint));
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(Failure::usage(say::TooLong { most: MAX_TEXT_BYTES, has: text.len() }));
    }
    Ok(())
}

fn add(dated: Dated<'_>, context: &mut Context) -> Result<Exit, Failure> {
    check(dated.text)?;
    let mut session = session::open(&context.settings)?;
    let written = session.add(dated.text, dated.time)?;
    let note = &written.note;
    if let Some(trouble) = &written.trouble {
        context.ui.complain(trouble);
    }
    if context.ui.json {
        let json = AddedJson { version: VERSION, note: note.into(), waiting: written.waiting };
        context.ui.json(&json)?;
        context.ui.flush()?;
    } else {
        context.ui.say(saved::line(note, written.waiting, dated.is_dated));
    }
    if dated.moved {
        context.ui.say(moved(dated.time));
    }
    session.leave();
    if note.waiting && context.require_server {
        return Ok(Exit::KeptLocally);
    }
    Ok(Exit::Done)
}
