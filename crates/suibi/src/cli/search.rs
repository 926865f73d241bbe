//! `suibi search`: notes by words, marked where they have them; what fits best, and what may have been meant.

use std::convert::Infallible;
use std::fmt::Display;
use std::io::Write as _;

use clap::Args;
use suibi_journal::{Day, Note, Query, SearchLine, tokens};

use super::Context;
use super::filter::{Filter, FilterArgs};
use super::list::{self, Shown};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::numbers;
use crate::render::json::NotesJson;
use crate::say::search as say;
use crate::session;
use crate::settings::Key;

/// So many of the newest matches are compared for the best.
const CANDIDATES: usize = 1_000;

/// The best, where nobody says how many.
const BEST: usize = 20;

/// What is so old counts three quarters of what is new.
const HALF_LIFE_DAYS: f64 = 90.0;

/// `suibi search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Words that must all be there; "quoted phrase", begin*, -without, @tag, 中文, pinyin
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// What fits best first, of the newest thousand matches: often and as written, and rather new than old; 20 of them, or N
    #[arg(long)]
    best: bool,
    /// What is the same: script (traditional and simplified), width, pinyin; all, unless it is said; or none
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    fold: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    shown: Shown,
}

pub(super) fn search(args: SearchArgs, context: &mut Context) -> Result<Exit, Failure> {
    context.settings.flag(Key::Fold, args.fold);
    let text = line(&args.words);
    let empty = say::NoneWith { words: typed(&text) };
    let filter = args.filter.with_text(text).filter()?;
    if args.best {
        return best(filter, &args.shown, empty, context);
    }
    list::show(&filter, &args.shown, empty, context)
}

/// What stands for the hyphen of a word that must not be there, so that it is not taken for an option.
pub(super) const MINUS: char = '\u{2212}';

/// The words of the command line as one line of search. A word with a space in it was one word to the shell, and is a
/// phrase, unless it is a whole line by itself.
pub(crate) fn line(words: &[String]) -> String {
    let part = |word: &String| {
        let is_line = word.contains('"')
            || word.split_whitespace().skip(1).any(|part| part.starts_with(['-', '#', '@']))
            || word.split_whitespace().any(|part| part.ends_with('*'));
        match word.strip_prefix(MINUS) {
            _ if is_line || !word.contains(char::is_whitespace) => word.clone(),
            Some(without) => format!("{MINUS}\"{without}\""),
            None => format!("\"{word}\""),
        }
    };
    words.iter().map(part).collect::<Vec<_>>().join(" ")
}

/// A line of search as somebody would type it.
pub(crate) fn typed(line: &str) -> String {
    line.replace(MINUS, "-")
}

/// What was searched for, to be marked in the notes that were found.
pub(crate) fn sought(query: &Query, notes: &[Note]) -> SearchLine {
    let Some(text) = &query.text else { return SearchLine::default() };
    let mut line = SearchLine::parse(text, query.folds);
    // What some of them have as a word was not searched for as pinyin.
    let has =
        |word: &str| notes.iter().any(|note| tokens(&note.text).iter().any(|has| has == word));
    let Ok(()) = line.settle(|word| Ok::<_, Infallible>(has(word)));
    line
}

/// Another search, for one that found nothing, as it is typed.
pub(crate) fn suggestion(
    query: &Query,
    session: &mut session::Session,
) -> Result<Option<String>, Failure> {
    Ok(session.suggest(query)?.map(|text| typed(&text)))
}

fn best(
    filter: Filter,
    shown: &Shown,
    empty: impl Display,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let Filter { mut query, reverse } = filter;
    let limit = query.limit.replace(CANDIDATES).unwrap_or(BEST);
    query.folds = context.settings.folds()?;
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let notes = session.notes(&query)?;
    if notes.is_empty() {
        return list::nothing(&query, session, shown, empty, context);
    }
    session.leave();
    let line = sought(&query, &notes);
    let today = clock::today()?;
    let mut notes = ranked(notes, &line, today);
    notes.truncate(limit);
    if reverse {
        notes.reverse();
    }
    if context.ui.json {
        context.ui.json(&NotesJson::new(notes.into_iter().map(Ok::<_, Infallible>)))?;
    } else {
        let is_numbered = context.ui.is_terminal() && notes.len() <= numbers::MOST;
        let page = list::listing(shown, context)?.render_dated(&notes, is_numbered, &line);
        context.ui.out().write_all(page.as_bytes())?;
        if is_numbered {
            list::keep_numbers(&notes, &context.settings.journal_dir()?)?;
        }
    }
    context.ui.flush()?;
    Ok(Exit::Done)
}

/// What fits best first; of what fits alike, the newer.
fn ranked(notes: Vec<Note>, line: &SearchLine, today: Day) -> Vec<Note> {
    let newness = |note: &Note| {
        let age = f64::from(today.days().saturating_sub(note.time.day().days()).max(0));
        0.5 + 0.5 * (-age / HALF_LIFE_DAYS).exp2()
    };
    let mut ranked: Vec<(f64, Note)> = Vec::with_capacity(notes.len());
    for note in notes.into_iter().rev() {
        ranked.push((line.rank(&note.text) * newness(&note), note));
    }
    ranked.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    ranked.into_iter().map(|(_, note)| note).collect()
}

#[cfg(test)]
mod tests {
    use suibi_journal::{Folds, NoteId};

    use super::*;

    fn note(day: &str, text: &str) -> Note {
        Note {
            id: NoteId::new(0, [0; 10]),
            time: format!("{day}T09:05:00.000+08:00").parse().unwrap(),
            text: text.to_owned(),
            conflict: false,
            undeleted: false,
            starred: false,
            heads: Vec::new(),
            device: "laptop".to_owned(),
            source: None,
            receipt: None,
            waiting: false,
        }
    }

    #[test]
    fn what_fits_as_well_and_is_newer_goes_first() {
        let notes = vec![
            note("2024-01-01", "green tea, tea and more tea"),
            note("2026-05-01", "tea at noon"),
            note(
                "2026-11-20",
                "a long note about many things that have to be done, and at last a tea",
            ),
            note("2026-11-22", "tea at noon"),
        ];
        let line = SearchLine::parse("tea", Folds::default());
        let ranked = ranked(notes, &line, "2026-11-23".parse().unwrap());
        let days: Vec<_> = ranked.iter().map(|note| note.time.day().to_string()).collect();
        assert_eq!(days, ["2026-11-22", "2026-11-20", "2026-05-01", "2024-01-01"]);
    }

    #[test]
    fn words_become_a_line() {
        for (words, expected) in [
            (&["green", "tea"][..], "green tea"),
            (&["green tea"], "\"green tea\""),
            (&["green tea -milk"], "green tea -milk"),
            (&["tea #shop"], "tea #shop"),
            (&["gre* tea"], "gre* tea"),
            (&["say \"green tea\""], "say \"green tea\""),
            (&["\u{2212}ice cream", "tea"], "\u{2212}\"ice cream\" tea"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(line(&words), expected);
        }
    }
}
