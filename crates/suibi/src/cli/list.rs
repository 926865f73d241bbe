//! `suibi log`, `today`, `on` and `search`: notes by day and by word.

use std::fmt::Display;
use std::io::Write as _;

use clap::Args;
use suibi_journal::{Day, Note, Query};

use super::{Context, shape};
use crate::clock;
use crate::day_words;
use crate::failure::{Exit, Failure};
use crate::render::json::NotesJson;
use crate::render::listing::Listing;
use crate::say::list as say;
use crate::session::{self, Session};

/// A listing of fewer notes is made in one piece.
const FEW: usize = 256;

/// About so many of all notes have the days of a piece of a longer one.
const PIECE: u64 = 4_096;

/// `suibi log`.
#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// Only the newest N notes
    #[arg(short = 'n', long = "limit", value_name = "N", value_parser = super::count)]
    limit: Option<usize>,
    /// Only from this day on
    #[arg(long, value_name = "DATE")]
    since: Option<String>,
    /// Only up to this day, itself included
    #[arg(long, value_name = "DATE")]
    until: Option<String>,
    /// Only notes with this tag (shop, @shop or '#shop')
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    #[command(flatten)]
    shown: Shown,
}

/// `suibi today`.
#[derive(Debug, Args)]
pub(super) struct DayArgs {
    #[command(flatten)]
    shown: Shown,
}

/// `suibi on DATE`.
#[derive(Debug, Args)]
pub(super) struct OnArgs {
    /// A day such as 2026-11-23, 11-23, yesterday, monday, 昨天, 周一
    #[arg(value_name = "DATE")]
    day: String,
    #[command(flatten)]
    shown: Shown,
}

/// `suibi search`.
#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Words that must all be there; "quoted phrase", begin*, 中文
    #[arg(required = true, value_name = "WORDS")]
    words: Vec<String>,
    /// Only the newest N matches
    #[arg(short = 'n', long = "limit", value_name = "N", value_parser = super::count)]
    limit: Option<usize>,
    #[command(flatten)]
    shown: Shown,
}

/// What every listing can be asked for.
#[derive(Debug, Args)]
struct Shown {
    /// Say where each note came from: a device's name, or the address of a foreign client
    #[arg(long)]
    source: bool,
    /// Only notes from this device or address
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Newest first
    #[arg(long)]
    reverse: bool,
}

pub(super) fn log(args: LogArgs, context: &mut Context) -> Result<Exit, Failure> {
    let today = clock::today()?;
    let bound = |text: Option<String>, option: &str| match text {
        None => Ok(None),
        Some(text) => day_words::parse(&text, today).map(Some).map_err(|error| {
            Failure::usage(format!("{option}: {error}"))
                .hint(format!("days look like {}", day_words::EXAMPLES))
        }),
    };
    let query = Query {
        since: bound(args.since, "--since")?,
        until: bound(args.until, "--until")?,
        tag: args.tag,
        limit: args.limit,
        ..Query::default()
    };
    let narrowed = query.since.is_some() || query.until.is_some() || query.tag.is_some();
    if narrowed || args.shown.from.is_some() {
        show(query, &args.shown, say::NoneMatch, context)
    } else {
        show(query, &args.shown, say::NoneYet, context)
    }
}

pub(super) fn today(args: DayArgs, context: &mut Context) -> Result<Exit, Failure> {
    let today = clock::today()?;
    show(Query::on(today), &args.shown, say::NoneToday, context)
}

pub(super) fn on(args: OnArgs, context: &mut Context) -> Result<Exit, Failure> {
    let day = day_words::parse(&args.day, clock::today()?).map_err(|error| {
        let words = ["on".into(), args.day.clone().into()];
        Failure::usage(format!("{error}; nothing was done")).hint(format!(
            "days look like {}; to write a note: suibi add {}",
            day_words::EXAMPLES,
            shape::quoted(&words)
        ))
    })?;
    show(Query::on(day), &args.shown, say::NoneOn { day }, context)
}

pub(super) fn search(args: SearchArgs, context: &mut Context) -> Result<Exit, Failure> {
    // A word with a space in it was one word to the shell: a phrase.
    let phrase = |word: &String| match word.contains(char::is_whitespace) && !word.contains('"') {
        true => format!("\"{word}\""),
        false => word.clone(),
    };
    let text = args.words.iter().map(phrase).collect::<Vec<_>>().join(" ");
    let query = Query { text: Some(text.clone()), limit: args.limit, ..Query::default() };
    show(query, &args.shown, say::NoneWith { words: text }, context)
}

fn show(
    mut query: Query,
    shown: &Shown,
    empty: impl Display,
    context: &mut Context,
) -> Result<Exit, Failure> {
    query.from.clone_from(&shown.from);
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    // A table of sources has one width, and a document one end.
    let in_pieces = query.limit.is_none() && !shown.source && !context.ui.json;
    let first_look = Query { limit: query.limit.or(in_pieces.then_some(FEW)), ..query.clone() };
    let mut notes = session.notes(&first_look)?;
    if in_pieces && notes.len() == FEW {
        drop(notes);
        return show_in_pieces(&mut session, &query, shown.reverse, context);
    }
    session.leave();
    if shown.reverse {
        notes.reverse();
    }
    print(&notes, shown.source, context)?;
    if notes.is_empty() {
        context.ui.say(empty);
        return Ok(Exit::NothingMatched);
    }
    Ok(Exit::Done)
}

/// Lists any number of notes with the memory for a few thousand: some days at a time.
fn show_in_pieces(
    session: &mut Session,
    query: &Query,
    reverse: bool,
    context: &mut Context,
) -> Result<Exit, Failure> {
    let days = session.days()?;
    let mut pieces = pieces(&days, PIECE);
    if reverse {
        pieces.reverse();
    }
    let mut is_first = true;
    for (first, last) in pieces {
        let since = query.since.map_or(first, |since| since.max(first));
        let until = query.until.map_or(last, |until| until.min(last));
        if since > until {
            continue;
        }
        let piece = Query { since: Some(since), until: Some(until), ..query.clone() };
        let mut notes = session.notes(&piece)?;
        if notes.is_empty() {
            continue;
        }
        if reverse {
            notes.reverse();
        }
        if !is_first {
            context.ui.out().write_all(b"\n")?;
        }
        is_first = false;
        print(&notes, false, context)?;
    }
    Ok(Exit::Done)
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

fn print(notes: &[Note], source: bool, context: &mut Context) -> Result<(), Failure> {
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&NotesJson::new(notes))?;
    } else {
        let listing =
            Listing { today: clock::today()?, width: ui.width(), source, marks: ui.is_terminal() };
        ui.out().write_all(listing.render(notes).as_bytes())?;
    }
    ui.flush()?;
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
