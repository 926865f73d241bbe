//! NOTE on the command line: which note is meant.

use std::ffi::OsString;

use suibi_journal::NoteName;

use super::shape;
use crate::errors::told;
use crate::failure::{Exit, Failure};
use crate::render::story::beginning;
use crate::say::{common, names as say};
use crate::session::Session;
use crate::story::{Story, minute};

/// What NOTE may be, for the help of each command that takes one.
pub(super) const NOTE_HELP: &str = "\
NOTE is `last`, the number that the last listing in this terminal gave it (3),
the number of a receipt ('#1284', or 1284), its six digits (3f9ac1), a whole
receipt, or a note's id or the beginning of it.";

/// So many notes that one name could mean are listed.
const MOST_LISTED: usize = 10;

/// Columns for the text of each of them, so that the line fits 80.
const TEXT_COLUMNS: usize = 22;

/// A word of a NOTE, for clap: it can be one, or is the dot in the middle of a receipt that nobody quoted.
pub(super) fn note_word(text: &str) -> Result<String, String> {
    if text != "·" {
        NoteName::parse(text).map_err(|error| told(&error))?;
    }
    Ok(text.to_owned())
}

/// The notes that these words name; `1284 · 3f9ac1` in three words is one.
pub(crate) fn names(words: &[String]) -> Result<Vec<NoteName>, Failure> {
    let mut spelled: Vec<String> = Vec::new();
    let mut goes_on = false;
    for word in words {
        match spelled.last_mut() {
            Some(receipt) if word == "·" => {
                receipt.push_str(" ·");
                goes_on = true;
            }
            Some(receipt) if goes_on => {
                *receipt = format!("{receipt} {word}");
                goes_on = false;
            }
            _ => spelled.push(word.clone()),
        }
    }
    let name = |text: String| {
        NoteName::parse(&text)
            .map_err(|error| Failure::usage(common::AndNothingDone { what: told(&error) }))
    };
    spelled.into_iter().map(name).collect()
}

/// The one note that these words name.
pub(super) fn one_name(command: &str, words: &[String]) -> Result<NoteName, Failure> {
    let mut names = names(words)?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => {
            let words: Vec<OsString> = std::iter::once(command)
                .chain(words.iter().map(String::as_str))
                .map(Into::into)
                .collect();
            Err(Failure::usage(say::TakesOne { command })
                .hint(common::AddHint { words: shape::quoted(&words) }))
        }
    }
}

/// The note of this name with its story, deleted and erased ones as well.
///
/// # Errors
///
/// No such note here, or several.
pub(super) fn find(name: &NoteName, session: &mut Session) -> Result<Story, Failure> {
    // What the screen shows goes before a receipt of the same number; `#3` is always a receipt.
    let listed = match name {
        NoteName::Number { position, .. } => session.numbered(*position)?,
        _ => None,
    };
    let found = match listed {
        Some(note) => vec![note],
        None => session.find(name)?,
    };
    let mut stories = Vec::new();
    for id in found {
        stories.extend(session.story(id)?);
    }
    if stories.len() > 1 {
        return Err(ambiguous(name, &stories));
    }
    stories.pop().ok_or_else(|| missing(name))
}

/// `3 is 2026-11-23 09:05 bought milk`, for a name that is the number of a listing; nothing for others.
pub(super) fn spelled_out(
    name: &NoteName,
    story: &Story,
    session: &Session,
) -> Result<Option<String>, Failure> {
    let NoteName::Number { position, .. } = name else { return Ok(None) };
    let is_it = session.numbered(*position)? == Some(story.id);
    Ok(is_it.then(|| {
        let text = beginning(story.text(), 3 * TEXT_COLUMNS / 2);
        say::NumberIs { number: position, time: minute(story.folded.time), text }.to_string()
    }))
}

/// All of them, each once, in the order in which they were named. Nothing is done unless all are found.
pub(crate) fn find_all(names: &[NoteName], session: &mut Session) -> Result<Vec<Story>, Failure> {
    let mut stories: Vec<Story> = Vec::new();
    for name in names {
        let story = find(name, session)?;
        if stories.iter().all(|known| known.id != story.id) {
            stories.push(story);
        }
    }
    Ok(stories)
}

fn missing(name: &NoteName) -> Failure {
    if *name == NoteName::Last {
        return Failure::new(Exit::NothingMatched, say::NoneYet).hint(say::WriteOne);
    }
    Failure::new(Exit::NothingMatched, say::Missing { name }).hint(say::MissingHint)
}

fn ambiguous(name: &NoteName, stories: &[Story]) -> Failure {
    let mut lines: Vec<String> = stories
        .iter()
        .take(MOST_LISTED)
        .map(|story| {
            let text = match story.is_purged() {
                true => crate::say::story::Erased.to_string(),
                false => beginning(story.text(), TEXT_COLUMNS),
            };
            format!("  {}  {}  {text}", story.id, minute(story.folded.time))
        })
        .collect();
    if stories.len() > MOST_LISTED {
        lines.push(format!("  {}", say::More { count: stories.len() - MOST_LISTED }));
    }
    Failure::usage(say::Ambiguous { name, count: stories.len() })
        .hint(say::AmbiguousHint { notes: lines.join("\n") })
}
