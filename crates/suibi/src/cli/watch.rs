//! `suibi watch`: notes as they arrive.

use std::io::Write as _;
use std::sync::mpsc;
use std::thread;

use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use suibi_client::LiveEvent;
use suibi_journal::Day;

use super::Context;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::happened::Happened;
use crate::render::listing::Listing;
use crate::render::style::DIM;
use crate::say::watch as say;
use crate::session;

/// `suibi watch`.
#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Only notes from this device or address
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// End after N notes
    #[arg(short = 'n', long = "limit", value_name = "N", value_parser = super::count)]
    limit: Option<usize>,
}

/// What ends a wait.
enum Heard {
    Live(LiveEvent),
    Signal(i32),
}

pub(super) fn run(args: WatchArgs, context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let events = session.live()?;
    let mut witness = session.witness()?;
    let (sender, heard) = mpsc::channel();
    let forward = sender.clone();
    thread::spawn(move || events.into_iter().all(|event| forward.send(Heard::Live(event)).is_ok()));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        signals.forever().all(|signal| sender.send(Heard::Signal(signal)).is_ok())
    });
    context.ui.say(format_args!("{DIM}{}{DIM:#}", say::Waiting));
    let mut left = args.limit;
    let mut day = None;
    let mut was_offline = false;
    while left != Some(0) {
        let event = match heard.recv() {
            Ok(Heard::Live(event)) => event,
            Ok(Heard::Signal(SIGINT)) => return Ok(Exit::Interrupted),
            Ok(Heard::Signal(_)) | Err(_) => return Ok(Exit::Done),
        };
        match event {
            LiveEvent::NewNotes(notes) => {
                tell(witness.of_notes(notes), &args, &mut left, &mut day, context)?;
            }
            LiveEvent::Gone(gone) => {
                tell(witness.of_gone(&gone), &args, &mut left, &mut day, context)?;
            }
            LiveEvent::Offline => {
                was_offline = true;
                context.ui.say(say::Offline);
            }
            LiveEvent::Online if was_offline => {
                was_offline = false;
                context.ui.say(say::Online);
            }
            LiveEvent::Trouble(error) => {
                was_offline = true;
                context.ui.complain(session::chain(&error));
            }
            LiveEvent::Online | LiveEvent::Delivered(_) | LiveEvent::Refused(_) => {}
        }
    }
    Ok(Exit::Done)
}

/// What is wanted of what happened, until there were enough.
fn tell(
    happened: Vec<Happened>,
    args: &WatchArgs,
    left: &mut Option<usize>,
    day: &mut Option<Day>,
    context: &mut Context,
) -> Result<(), Failure> {
    let from = args.from.as_deref();
    let wanted = happened.iter().filter(|one| from.is_none_or(|from| one.is_from(from)));
    for one in wanted.take(left.unwrap_or(usize::MAX)) {
        show(one, day, context)?;
        *left = left.map(|left| left - 1);
    }
    Ok(())
}

/// A note with the day before it when that is another one than of the note before.
fn show(happened: &Happened, day: &mut Option<Day>, context: &mut Context) -> Result<(), Failure> {
    let ui = &mut context.ui;
    if ui.json {
        ui.json_line(&happened.json())?;
        return Ok(());
    }
    let listing = Listing {
        today: clock::today()?,
        width: ui.width(),
        source: true,
        marks: ui.is_terminal(),
    };
    let its_day = happened.note.time.day();
    if *day != Some(its_day) {
        *day = Some(its_day);
        writeln!(ui.out(), "{}", listing.header(its_day))?;
    }
    ui.out().write_all(happened.text(&listing).as_bytes())?;
    ui.flush()?;
    Ok(())
}
