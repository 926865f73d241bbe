//! `suibi TEXT…`, `suibi add`, `suibi -`: one note.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Read as _};

use clap::Args;
use serde::Serialize;
use suibi_journal::MAX_TEXT_BYTES;

use super::{Context, piped};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::{NoteJson, VERSION};
use crate::render::saved;
use crate::say::add as say;
use crate::session;

/// `suibi add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// All of standard input is the note
    #[arg(long, conflicts_with = "text")]
    stdin: bool,
    /// The words of the note, joined by spaces
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
        return add(text.trim_end_matches(['\n', '\r']), context);
    }
    if args.text.is_empty() && !io::stdin().is_terminal() {
        return piped::run(context);
    }
    run_words(args.text, context)
}

/// The words of a command line are a note.
pub(super) fn run_words(words: Vec<OsString>, context: &mut Context) -> Result<Exit, Failure> {
    let line = words.join(std::ffi::OsStr::new(" "));
    let text = match line.into_string() {
        Ok(text) => text,
        Err(line) => readable(line.into_encoded_bytes()).map_err(recode)?,
    };
    add(text.trim(), context)
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

fn add(text: &str, context: &mut Context) -> Result<Exit, Failure> {
    check(text)?;
    let mut session = session::open(&context.settings)?;
    let written = session.add(text, clock::now()?)?;
    let note = &written.note;
    if let Some(trouble) = &written.trouble {
        context.ui.complain(trouble);
    }
    if context.ui.json {
        let json = AddedJson { version: VERSION, note: note.into(), waiting: written.waiting };
        context.ui.json(&json)?;
        context.ui.flush()?;
    } else {
        context.ui.say(saved::line(note, written.waiting));
    }
    session.leave();
    if note.waiting && context.require_server {
        return Ok(Exit::KeptLocally);
    }
    Ok(Exit::Done)
}
