//! `suibi show` and `suibi history`: one note, and what became of it.

use std::io::Write as _;

use clap::Args;

use super::Context;
use super::names::{NOTE_HELP, find, find_all, names, note_word, one_name};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::{HistoryJson, ShowJson};
use crate::render::listing::Listing;
use crate::render::story;
use crate::render::style::DIM;
use crate::session;

/// `suibi show`.
#[derive(Debug, Args)]
#[command(after_help = NOTE_HELP)]
pub(super) struct ShowArgs {
    /// Which notes
    #[arg(required = true, value_name = "NOTE", value_parser = note_word)]
    notes: Vec<String>,
}

/// `suibi history`.
#[derive(Debug, Args)]
#[command(override_usage = "suibi history [OPTIONS] NOTE", after_help = NOTE_HELP)]
pub(super) struct HistoryArgs {
    /// Which note
    #[arg(required = true, value_name = "NOTE", num_args = 1..=3, value_parser = note_word)]
    note: Vec<String>,
}

pub(super) fn show(args: ShowArgs, context: &mut Context) -> Result<Exit, Failure> {
    let names = names(&args.notes)?;
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let stories = find_all(&names, &mut session)?;
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&ShowJson::new(&stories))?;
        return Ok(Exit::Done);
    }
    let listing = Listing {
        today: clock::today()?,
        width: ui.width(),
        source: false,
        marks: ui.is_terminal(),
    };
    for (at, one) in stories.iter().enumerate() {
        if at > 0 {
            writeln!(ui.out())?;
        }
        ui.out().write_all(story::whole(one, &listing).as_bytes())?;
        ui.flush()?;
        if let Some(advice) = story::advice(one) {
            ui.say(format_args!("{DIM}{advice}{DIM:#}"));
        }
    }
    Ok(Exit::Done)
}

pub(super) fn history(args: HistoryArgs, context: &mut Context) -> Result<Exit, Failure> {
    let name = one_name("history", &args.note)?;
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let one = find(&name, &mut session)?;
    let ui = &mut context.ui;
    if ui.json {
        ui.json(&HistoryJson::from(&one))?;
        return Ok(Exit::Done);
    }
    let width = ui.width();
    ui.out().write_all(story::history(&one, width).as_bytes())?;
    ui.flush()?;
    if let Some(advice) = story::advice(&one) {
        ui.say(format_args!("{DIM}{advice}{DIM:#}"));
    }
    Ok(Exit::Done)
}
