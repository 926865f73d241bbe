//! `suibi sync`: exchange notes with the server now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Serialize;
use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;
use suibi_client::Rebuilt;
use suibi_journal::Rights;

use super::Context;
use super::progress::Progress;
use crate::failure::{Exit, Failure};
use crate::render::json::VERSION;
use crate::render::style::{GOOD, WAITING};
use crate::say::{common, sync as say};
use crate::session::{self, Moved, Session};
use crate::ui::Ui;

/// What `sync` prints with `--json`.
#[derive(Debug, Serialize)]
struct SyncJson {
    version: u32,
    delivered: u64,
    fetched: u64,
    waiting: u64,
    refused: u64,
    /// Written anew on another chain, because another copy of this replica had taken their places.
    rescued: u64,
    /// Given back to a server that had lost them.
    recovered: u64,
    /// What was done about a replica that could not be used.
    rebuilt: Option<RebuiltJson>,
}

/// A damaged replica that was put aside.
#[derive(Debug, Serialize)]
struct RebuiltJson {
    aside: String,
    kept: u64,
}

pub(super) fn run(context: &mut Context) -> Result<Exit, Failure> {
    let mut session = session::open(&context.settings)?;
    let moved = exchange(&mut session, &context.ui)?;
    let is_waiting = moved.waiting > 0;
    let ui = &mut context.ui;
    if let Some(error) = &moved.left_behind {
        ui.complain(say::LeftBehind { why: error });
    }
    if ui.json {
        let Moved { delivered, fetched, waiting, refused, rescued, recovered, .. } = moved;
        let rebuilt = moved.rebuilt.map(|Rebuilt { aside, kept }| RebuiltJson {
            aside: aside.display().to_string(),
            kept,
        });
        ui.json(&SyncJson {
            version: VERSION,
            delivered,
            fetched,
            waiting,
            refused,
            rescued,
            recovered,
            rebuilt,
        })?;
    } else {
        ui.say(line(&moved, session.rights()));
    }
    Ok(if is_waiting { Exit::Network } else { Exit::Done })
}

/// Delivers and fetches everything; on a terminal it tells how far it is, and Ctrl-C ends it with a word about that.
pub(super) fn exchange(session: &mut Session, ui: &Ui) -> Result<Moved, Failure> {
    let waiting = session.waiting()?;
    let moved = Arc::new(Mutex::new((Moved::default(), Progress::new(ui))));
    let rights = session.rights();
    let quiet = ui.quiet;
    let mut signals = Signals::new([SIGINT])?;
    let handle = signals.handle();
    let so_far = Arc::clone(&moved);
    let watcher = thread::spawn(move || {
        if signals.forever().next().is_some() {
            let (moved, progress) = &*lock(&so_far);
            progress.finish();
            if !quiet {
                anstream::eprintln!("{}", stopped(moved, rights));
            }
            // Everything that was confirmed or fetched is on the disk: there is nothing to be put in order.
            std::process::exit(Exit::Interrupted as i32);
        }
    });
    let outcome = session.sync(|now| {
        let (moved, progress) = &mut *lock(&moved);
        moved.clone_from(now);
        let to_send = waiting.saturating_sub(now.delivered);
        progress.tell(
            now.delivered + now.fetched,
            now.delivered + now.fetched + now.remaining + to_send,
        );
    });
    handle.close();
    // It ends at once: nobody asks it for anything more.
    let _ = watcher.join();
    lock(&moved).1.finish();
    outcome
}

/// The lock; whoever panicked holding it left whole numbers.
fn lock(moved: &Mutex<(Moved, Progress)>) -> MutexGuard<'_, (Moved, Progress)> {
    moved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `stopped: 2 sent, 512 received; all of that is kept`.
fn stopped(moved: &Moved, rights: Rights) -> String {
    let parts = listed(&parts(moved, rights));
    format!("{WAITING}!{WAITING:#} {}", say::Stopped { parts })
}

/// What was sent and received, of what a device has a right to.
fn parts(moved: &Moved, rights: Rights) -> Vec<String> {
    // Our own changes come back with the feed; only the others are news.
    let news = moved.fetched.saturating_sub(moved.delivered);
    let sent = rights.write.then(|| say::Sent { changes: moved.delivered }.to_string());
    let received = rights.read.then(|| say::Received { changes: news }.to_string());
    sent.into_iter().chain(received).collect()
}

/// `✓ in step with the server · 2 sent, 5 received`; of what a device has no right to do it does not speak.
pub(crate) fn line(moved: &Moved, rights: Rights) -> String {
    let Moved { waiting, refused, .. } = moved;
    let mut parts = parts(moved, rights);
    let first = if *waiting > 0 {
        parts.push(match *refused > 0 {
            true => say::Refused { changes: waiting }.to_string(),
            false => say::Waiting { changes: waiting }.to_string(),
        });
        format!("{WAITING}!{WAITING:#} {}", listed(&parts))
    } else {
        format!("{GOOD}✓{GOOD:#} {}", say::InStep { parts: listed(&parts) })
    };
    std::iter::once(first).chain(repaired(moved)).collect::<Vec<_>>().join("\n")
}

/// With commas between them.
fn listed(parts: &[String]) -> String {
    parts.join(&common::Comma.to_string())
}

/// What was put right on the way, a line for each thing.
fn repaired(moved: &Moved) -> Vec<String> {
    let mut lines = Vec::new();
    if moved.rescued > 0 {
        lines.push(format!("  {}", say::Rescued { changes: moved.rescued }));
    }
    if moved.recovered > 0 {
        lines.push(format!("  {}", say::Recovered { changes: moved.recovered }));
    }
    if let Some(Rebuilt { aside, kept }) = &moved.rebuilt {
        let rebuilt = say::Rebuilt { changes: *kept, file: aside.display() }.to_string();
        lines.extend(rebuilt.lines().map(|line| format!("  {line}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_may_not_do_is_not_counted() {
        let moved = Moved { delivered: 2, fetched: 7, ..Moved::default() };
        let behind = Moved { waiting: 3, ..moved.clone() };
        let read = Rights { read: true, ..Rights::default() };
        for (moved, rights, wanted) in [
            (moved.clone(), Rights::READ_WRITE, "✓ in step with the server · 2 sent, 5 received"),
            (moved.clone(), Rights::DROP, "✓ in step with the server · 2 sent"),
            (moved, read, "✓ in step with the server · 5 received"),
            (behind.clone(), Rights::READ_WRITE, "! 2 sent, 5 received, 3 still waiting"),
            (behind, Rights::DROP, "! 2 sent, 3 still waiting"),
        ] {
            let line = line(&moved, rights);
            assert_eq!(anstream::adapter::strip_str(&line).to_string(), wanted);
        }
    }

    #[test]
    fn what_was_repaired_is_told() {
        let rebuilt = Rebuilt { aside: "/data/replica.db.damaged-1".into(), kept: 1 };
        let moved = Moved {
            delivered: 4,
            rescued: 3,
            recovered: 1,
            rebuilt: Some(rebuilt),
            ..Moved::default()
        };
        let line = line(&moved, Rights::READ_WRITE);
        insta::assert_snapshot!(anstream::adapter::strip_str(&line).to_string(), @"
        ✓ in step with the server · 4 sent, 0 received
          3 changes saved from a copy of this device that went its own way
          1 change given back to the server, which had been put back to an older state
          the notes kept here were damaged and are rebuilt from the server; 1 change that only
          this device had was kept; the damaged file: /data/replica.db.damaged-1
        ");
        let stopped = stopped(&moved, Rights::READ_WRITE);
        insta::assert_snapshot!(anstream::adapter::strip_str(&stopped).to_string(), @"! stopped: 4 sent, 0 received; all of that is kept, and the next suibi command goes on from there");
    }
}
