//! `suibi purge`: a note is erased for good.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use suibi_client::{ClientError, SyncError};
use suibi_coap::Code;

use super::Context;
use super::names::{NOTE_HELP, find, note_word, one_name};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::listing::Listing;
use crate::render::story;
use crate::render::style::{GOOD, WAITING};
use crate::render::wrap::wrap;
use crate::say::{common, purge as say};
use crate::session;
use crate::story::Story;

/// So long the server may take for all of it.
const WITHIN: Duration = Duration::from_secs(15);

/// `suibi purge`.
#[derive(Debug, Args)]
#[command(override_usage = "suibi purge [OPTIONS] NOTE", after_help = NOTE_HELP)]
pub(super) struct PurgeArgs {
    /// Which note
    #[arg(required = true, value_name = "NOTE", num_args = 1..=3, value_parser = note_word)]
    note: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

/// What `purge` prints with `--json`.
#[derive(Debug, Serialize)]
struct PurgeJson {
    version: u32,
    id: String,
    purged: bool,
    /// Whether it is erased on this device, too, by now.
    here: bool,
}

pub(super) fn run(args: PurgeArgs, context: &mut Context) -> Result<Exit, Failure> {
    let name = one_name("purge", &args.note)?;
    let mut session = session::open(&context.settings)?;
    session.refresh(&context.ui);
    let story = find(&name, &mut session)?;
    let name = story.name();
    if story.is_purged() {
        context.ui.say(say::ErasedBefore { name });
        return tell(&story, true, context);
    }
    session.check_admin()?;
    if !args.yes && !is_meant(&story, context)? {
        context.ui.say(common::NothingDone);
        return Ok(Exit::NothingMatched);
    }
    let purged = session.purge(&story, WITHIN).map_err(|error| failure(&error))?;
    if let Some(trouble) = &purged {
        let what = say::NotHereYet { why: trouble };
        context.ui.complain(format_args!("{WAITING}!{WAITING:#} {what}"));
    } else if !context.ui.json {
        context.ui.say(format_args!("{GOOD}✓{GOOD:#} {}", say::Erased { name }));
    }
    tell(&story, purged.is_none(), context)
}

fn tell(story: &Story, here: bool, context: &mut Context) -> Result<Exit, Failure> {
    if context.ui.json {
        let id = story.id.to_string();
        context.ui.json(&PurgeJson { version: VERSION, id, purged: true, here })?;
    }
    Ok(Exit::Done)
}

/// Asks whether this note is to be erased.
///
/// # Errors
///
/// Where nobody can be asked.
fn is_meant(story: &Story, context: &Context) -> Result<bool, Failure> {
    let ui = &context.ui;
    if !ui.can_ask() {
        let name = story.name();
        return Err(Failure::usage(say::Nobody).hint(say::NobodyHint { name }));
    }
    let (width, _) = ui.talk_size().unwrap_or((80, 24));
    let listing =
        Listing { today: clock::today()?, width: Some(width), source: false, marks: true };
    ui.complain(story::whole(story, &listing));
    let warning = say::Warning { revisions: story.revisions.len(), name: story.name() };
    for line in wrap(&warning.to_string(), width.min(80)) {
        ui.complain(line);
    }
    Ok(ui.confirm(format_args!("{} ", say::Question))?)
}

/// What the person is told when it was not done.
fn failure(error: &ClientError) -> Failure {
    match error {
        ClientError::Sync(SyncError::Refused { code, .. })
            if [Code::FORBIDDEN, Code::UNAUTHORIZED].contains(code) =>
        {
            Failure::new(Exit::NotAllowed, say::NotAllowed)
                .because(error)
                .hint(crate::say::session::AdminHint)
        }
        ClientError::Sync(SyncError::Refused { .. }) => {
            Failure::new(Exit::Network, say::DidNot).because(error)
        }
        error if error.is_offline() => {
            Failure::new(Exit::Network, say::NotKnown).because(error).hint(say::NotKnownHint)
        }
        error => session::failure(error),
    }
}
