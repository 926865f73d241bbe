//! `suibi sync`: exchange notes with the server now.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use serde::Serialize;
use suibi_journal::Rights;

use super::Context;
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::style::{GOOD, WAITING};
use crate::session::{self, Moved, Session};
use crate::ui::Ui;

/// A long sync tells how far it is, but no more often than this.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// What `sync` prints with `--json`.
#[derive(Debug, Serialize)]
struct SyncJson {
    version: u32,
    delivered: u64,
    fetched: u64,
    waiting: u64,
    refused: u64,
}

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    let moved = exchange(&mut session, &context.ui)?;
    let ui = &mut context.ui;
    if ui.json {
        let Moved { delivered, fetched, waiting, refused, .. } = moved;
        ui.json(&SyncJson { version: VERSION, delivered, fetched, waiting, refused })?;
    } else {
        ui.say(line(moved, session.rights()));
    }
    Ok(if moved.waiting > 0 { Exit::Network } else { Exit::Done })
}

/// Delivers and fetches everything; on a terminal it tells how far it is.
pub(super) fn exchange(session: &mut Session, ui: &Ui) -> Result<Moved, Failure> {
    let tell = !ui.quiet && io::stderr().is_terminal();
    let mut told = Instant::now();
    let mut told_any = false;
    let outcome = session.sync(|moved| {
        if tell && told.elapsed() >= TELL_EVERY {
            eprint!(
                "\r{} changes, {} to go\x1b[K",
                moved.delivered + moved.fetched,
                moved.remaining
            );
            told = Instant::now();
            told_any = true;
        }
    });
    if told_any {
        eprint!("\r\x1b[K");
        io::stderr().flush()?;
    }
    outcome
}

/// `✓ in step with the server · 2 sent, 5 received`; of what a device has no right to do it does not speak.
pub(crate) fn line(moved: Moved, rights: Rights) -> String {
    let Moved { delivered, fetched, waiting, refused, .. } = moved;
    // Our own changes come back with the feed; only the others are news.
    let news = fetched.saturating_sub(delivered);
    let sent = rights.write.then(|| format!("{delivered} sent"));
    let received = rights.read.then(|| format!("{news} received"));
    let mut parts: Vec<String> = sent.into_iter().chain(received).collect();
    if waiting > 0 {
        let why = if refused > 0 { ", the server does not take them" } else { "" };
        parts.push(format!("{waiting} still waiting{why}"));
        return format!("{WAITING}!{WAITING:#} {}", parts.join(", "));
    }
    format!("{GOOD}✓{GOOD:#} in step with the server · {}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_may_not_do_is_not_counted() {
        let moved = Moved { delivered: 2, fetched: 7, ..Moved::default() };
        let behind = Moved { waiting: 3, ..moved };
        let read = Rights { read: true, ..Rights::default() };
        for (moved, rights, wanted) in [
            (moved, Rights::READ_WRITE, "✓ in step with the server · 2 sent, 5 received"),
            (moved, Rights::DROP, "✓ in step with the server · 2 sent"),
            (moved, read, "✓ in step with the server · 5 received"),
            (behind, Rights::READ_WRITE, "! 2 sent, 5 received, 3 still waiting"),
            (behind, Rights::DROP, "! 2 sent, 3 still waiting"),
        ] {
            let line = line(moved, rights);
            assert_eq!(anstream::adapter::strip_str(&line).to_string(), wanted);
        }
    }
}
