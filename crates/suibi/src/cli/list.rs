//! `suibi log`, `today` and `on`: notes by day.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;
use std::path::Path;

use clap::Args;
use suibi_journal::{Day, Note, Query};

use super::filter::{Filter, FilterArgs, NoFilter};
use super::{Context, search, shape};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::numbers::{self, Numbers};
use crate::render::json::NotesJson;
use crate::render::listing::{self, Listing};
use crate::say::common::AndNothingDone;
use crate::say::list as say;
use crate::say::search as search_say;
use crate::say::when::HintAdd;
use crate::session::{self, Session};

/// A listing of fewer notes is made in one piece.
const FEW: usize = 256;

/// About so many of all notes have the days of a piece of a longer one.
const PIECE: u64 = 4_096;

/// `suibi log`.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// A time and tags, if not all notes are meant: last week @shop
    #[arg(value_name = "WHEN|TAG")]
    words: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    shown: Shown,
}

/// `suibi today`.
#[derive(Debug, Args)]
pub(super) struct DayArgs {
    /// Only notes with these tags
    #[arg(value_name = "TAG")]
    words: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    shown: Shown,
}

/// `suibi on DATE`.
#[derive(Debug, Args)]
pub(super) struct OnArgs {
    /// A day or stretch such as yesterday, 'last week', 2026-10, 昨天, 上个月; and tags
    #[arg(value_name = "WHEN", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(flatten)]
    shown: Shown,
}

/// What every listing can be asked for.
#[derive(Debug, Args)]
pub(super) struct Shown {
    /// Say where each note came from: a device's name, or the address of a foreign client
    #[arg(long)]
    source: bool,
}

pub(super) fn log(args: LogArgs, context: &mut Context) -> Result<Exit, Failure> {
    let filter =
        args.filter.with_words(&args.words).map_err(|no| misfit("log", no, &args.words))?;
    match filter.is_empty() {
        true => show(&filter.filter()?, &args.shown, say::NoneYet, context),
        false => show(&filter.filter()?, &args.shown, say::NoneMatch, context),
    }
}

pub(super) fn today(args: DayArgs, context: &mut Context) -> Result<Exit, Failure> {
    let is_plain = args.filter.is_empty() && args.words.is_empty();
    let filter = args.filter.today(&args.words).map_err(|no| misfit("today", no, &args.words))?;
    match is_plain {
        true => show(&filter.filter()?, &args.shown, say::NoneToday, context),
        false => show(&filter.filter()?, &args.shown, say::NoneMatch, context),
    }
}

pub(super) fn on(args: OnArgs, context: &mut Context) -> Result<Exit, Failure> {
    let is_plain = args.filter.is_empty();
    let filter = args.filter.with_words(&args.words).map_err(|no| {
        let all = std::iter::once("on").chain(args.words.iter().map(String::as_str));
        let all: Vec<_> = all.map(OsString::from).collect();
        Failure::usage(AndNothingDone { what: no.why }).hint(HintAdd { words: shape::quoted(&all) })
    })?;
    let filter = filter.filter()?;
    match filter.query.since.filter(|_| is_plain) {
        Some(day) if filter.query == Query::on(day) => {
            show(&filter, &args.shown, say::NoneOn { day }, context)
        }
        _ => show(&filter, &args.shown, say::NoneMatch, context),
    }
}

/// Words that are neither a time nor a tag may have been meant for a note.
fn misfit(command: &str, no: NoFilter, words: &[String]) -> Failure {
    let all = std::iter::once(command).chain(words.iter().map(String::as_str));
    let all: Vec<_> = all.map(OsString::from).collect();
    shape::offer_note(&all).unwrap_or_else(|| Failure::usage(no.why))
}

/// Lists what a filter finds.
pub(super) fn show(
    filter: &Filter,
    shown: &Shown,
    empty: impl Display,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let query = Query { folds: context.settings.folds()?, ..filter.query.clone() };
    let filter = &Filter { query, ..*filter };
    let Filter { query, reverse } = filter;
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let in_pieces = query.limit.is_none();
    let first_look = Query { limit: query.limit.or(in_pieces.then_some(FEW)), ..query.clone() };
    let mut notes = session.notes(&first_look)?;
    if in_pieces && notes.len() == FEW {
        drop(notes);
        return show_in_pieces(&mut session, filter, shown, context);
    }
    if notes.is_empty() {
        return nothing(query, session, shown, empty, context);
    }
    session.leave();
    if *reverse {
        notes.reverse();
    }
    print(notes, query, shown, context)?;
    Ok(Exit::Done)
}

/// Says that a query finds nothing, and what may have been meant.
pub(super) fn nothing(
    query: &Query,
    mut session: Session,
    shown: &Shown,
    empty: impl Display,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let other = search::suggestion(query, &mut session)?;
    session.leave();
    print(Vec::new(), query, shown, context)?;
    context.ui.say(empty);
    if let Some(words) = other {
        let words: Vec<_> = words.split_whitespace().map(OsString::from).collect();
        let words = shape::quoted(&words);
        context.ui.say(search_say::DidYouMean { words });
    }
    Ok(Exit::NothingMatched)
}

/// Lists any number of notes with the memory for a few thousand: some days at a time.
fn show_in_pieces(
    session: &mut Session,
    filter: &Filter,
    shown: &Shown,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let Filter { query, reverse } = filter;
    let days = session.days()?;
    let pieces = pieces(&days, PIECE).into_iter().map(|(first, last)| {
        let since = query.since.map_or(first, |since| since.max(first));
        let until = query.until.map_or(last, |until| until.min(last));
        // The minutes belong to the first and the last day of the whole.
        Query {
            since: Some(since),
            since_minute: query.since_minute.filter(|_| query.since == Some(since)),
            until: Some(until),
            until_minute: query.until_minute.filter(|_| query.until == Some(until)),
            ..query.clone()
        }
    });
    let mut pieces: Vec<_> = pieces.filter(|piece| piece.since <= piece.until).collect();
    if *reverse {
        pieces.reverse();
    }
    if context.ui.json {
        return json_in_pieces(session, &pieces, *reverse, context);
    }
    let sources = match shown.source {
        true => widest_source(session, &pieces)?,
        false => 0,
    };
    let mut is_first = true;
    for piece in &pieces {
        let notes = piece_of(session, piece, *reverse)?;
        if notes.is_empty() {
            continue;
        }
        if !is_first {
            context.ui.out().write_all(b"\n")?;
        }
        is_first = false;
        let sought = search::sought(query, &notes);
        let page = listing(shown, context)?.render_piece(&notes, sources, &sought);
        context.ui.out().write_all(page.as_bytes())?;
        context.ui.flush()?;
    }
    Ok(Exit::Done)
}

/// One document, written note after note.
fn json_in_pieces(
    session: &mut Session,
    pieces: &[Query],
    reverse: bool,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let notes = pieces.iter().flat_map(|piece| {
        let (notes, failure) = match piece_of(session, piece, reverse) {
            Ok(notes) => (notes, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        notes.into_iter().map(Ok).chain(failure.map(Err))
    });
    let document = NotesJson::new(notes);
    let printed = context.ui.json(&document);
    if let Some(failure) = document.into_failure() {
        return Err(failure);
    }
    printed?;
    context.ui.flush()?;
    Ok(Exit::Done)
}

fn piece_of(session: &mut Session, piece: &Query, reverse: bool) -> Result<Vec<Note>, Failure> {
    let mut notes = session.notes(piece)?;
    if reverse {
        notes.reverse();
    }
    Ok(notes)
}

/// How wide the column of sources is: all of them have one, so all are looked at before the first is printed.
fn widest_source(session: &mut Session, pieces: &[Query]) -> Result<usize, Failure> {
    let mut widest = 0;
    for piece in pieces {
        widest = widest.max(listing::widest_source(&session.notes(piece)?));
        if widest == listing::WIDEST_SOURCE {
            break;
        }
    }
    Ok(widest)
}

/// The days from the first to the last in stretches that have about so many notes, one day at least.
fn pieces(days: &[(Day, u64)], size: u64) -> Vec<(Day, Day)> {
    let mut pieces: Vec<(Day, Day)> = Vec::new();
    let mut here = 0;
    for (day, notes) in days {
        match pieces.last_mut() {
            Some((_, last)) if here + notes <= size => *last = *day,
            _ => {
                pieces.push((*day, *day));
                here = 0;
            }
        }
        here += notes;
    }
    pieces
}

/// All that there is to print, so that numbers count from one.
fn print(
    notes: Vec<Note>,
    query: &Query,
    shown: &Shown,
    context: &mut Context,
) -> Result<(), Failure> {
    if context.ui.json {
        context.ui.json(&NotesJson::new(notes.into_iter().map(Ok::<_, Infallible>)))?;
    } else {
        let listing = listing(shown, context)?;
        let is_numbered = context.ui.is_terminal() && notes.len() <= numbers::MOST;
        let sought = search::sought(query, &notes);
        let page = match is_numbered {
            true => listing.render_numbered(&notes, &sought),
            false => listing.render_piece(&notes, listing::widest_source(&notes), &sought),
        };
        context.ui.out().write_all(page.as_bytes())?;
        if is_numbered {
            keep_numbers(&notes, &context.settings.journal_dir()?)?;
        }
    }
    context.ui.flush()?;
    Ok(())
}

/// How notes are shown.
pub(super) fn listing(shown: &Shown, context: &Context) -> Result<Listing, Failure> {
    let (today, ui) = (clock::today()?, &context.ui);
    Ok(Listing { today, width: ui.width(), source: shown.source, marks: ui.is_terminal() })
}

/// The next command may call these notes by their numbers.
pub(super) fn keep_numbers(notes: &[Note], data_dir: &Path) -> Result<(), Failure> {
    let numbers = Numbers::new(notes.iter().map(|note| note.id));
    if let Err(error) = numbers.keep(data_dir, clock::now()?.millis()) {
        tracing::debug!(%error, "the numbers are for the eyes only");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_days_and_leave_none_out() {
        let day = |day: i32| Day::from_days(day);
        let days = [(1, 3), (2, 4), (4, 9), (5, 1), (6, 2), (9, 7), (10, 1)];
        let days = days.map(|(number, notes)| (day(number), notes));
        let expected = [(1, 2), (4, 4), (5, 6), (9, 10)].map(|(a, b)| (day(a), day(b)));
        assert_eq!(pieces(&days, 8), expected);
        assert_eq!(pieces(&days, 1).len(), 7);
        assert_eq!(pieces(&days, 100), [(day(1), day(10))]);
        assert!(pieces(&[], 8).is_empty());
    }
}
