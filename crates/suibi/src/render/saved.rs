//! The one line that confirms a note.

use std::fmt::Write as _;

use suibi_journal::{Note, tags};

use super::style::{DIM, GOOD, TAG, WAITING};
use crate::story::minute;

/// `✓ saved 2026-11-23 09:05 @shop · #1284 · 3f9ac1`, or that it waits on this device with so many others.
pub(crate) fn line(note: &Note, waiting: u64) -> String {
    match note.receipt {
        Some(_) => confirmed("saved", note),
        None => kept("kept", waiting),
    }
}

/// `✓ edited 2026-11-23 09:05 @shop · #1290 · 77aa01`, or that this is known on this device only.
pub(crate) fn done(deed: &str, note: &Note, waiting: u64) -> String {
    match note.receipt {
        Some(_) => confirmed(deed, note),
        None => kept(deed, waiting),
    }
}

fn kept(deed: &str, waiting: u64) -> String {
    format!(
        "{WAITING}✓{WAITING:#} {deed} here, not yet on the server {DIM}({waiting} waiting){DIM:#}"
    )
}

fn confirmed(deed: &str, note: &Note) -> String {
    let mut line = format!("{GOOD}✓{GOOD:#} {deed} {}", minute(note.time));
    for tag in tags(&note.text) {
        let _ = write!(line, " {TAG}{tag}{TAG:#}");
    }
    if let Some((position, hash)) = &note.receipt {
        let _ = write!(line, "{DIM} · #{position} · {}{DIM:#}", hash.short());
    }
    line
}

/// `✓ 2 notes saved`, or how many of them wait on this device.
pub(crate) fn summary(notes: u64, waiting: u64) -> String {
    let plural = if notes == 1 { "" } else { "s" };
    if waiting > 0 {
        return format!(
            "{WAITING}✓{WAITING:#} {notes} note{plural} kept here, not yet on the server \
             {DIM}({waiting} waiting){DIM:#}"
        );
    }
    format!("{GOOD}✓{GOOD:#} {notes} note{plural} saved")
}

/// `✓ 2 notes reached the server`, of those that were said to wait.
pub(crate) fn delivered(notes: u64) -> String {
    let plural = if notes == 1 { "" } else { "s" };
    format!("{GOOD}✓{GOOD:#} {notes} waiting note{plural} reached the server")
}
