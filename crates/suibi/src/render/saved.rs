//! The one line that confirms a note.

use std::fmt::{Display, Write as _};

use suibi_journal::{Note, tags};

use super::style::{DIM, GOOD, TAG, WAITING};
use crate::day_words::weekday_name;
use crate::say::saved as say;
use crate::story::minute;

/// `✓ saved 2026-11-23 09:05 @shop · #1284 · 3f9ac1`, or that it waits on this device with so many others.
///
/// Where the time was said with the note, it tells what was understood: `✓ saved for Sunday 2026-11-22 15:00`.
pub(crate) fn line(note: &Note, waiting: u64, is_dated: bool) -> String {
    let day = || weekday_name(note.time.day());
    match (note.receipt.is_some(), is_dated) {
        (true, false) => confirmed(say::Saved, note),
        (true, true) => confirmed(say::SavedFor { day: day() }, note),
        (false, false) => kept(say::Kept, waiting),
        (false, true) => kept(say::KeptFor { day: day(), time: minute(note.time) }, waiting),
    }
}

/// `✓ edited 2026-11-23 09:05 @shop · #1290 · 77aa01`, or that this is known on this device only.
pub(crate) fn done(deed: impl Display, note: &Note, waiting: u64) -> String {
    match note.receipt {
        None if waiting > 0 => kept(deed, waiting),
        _ => confirmed(deed, note),
    }
}

fn kept(deed: impl Display, waiting: u64) -> String {
    waits(say::Here { deed }, waiting)
}

fn waits(what: impl Display, waiting: u64) -> String {
    let waiting = say::Waiting { notes: waiting };
    format!("{WAITING}✓{WAITING:#} {what} {DIM}{waiting}{DIM:#}")
}

fn confirmed(deed: impl Display, note: &Note) -> String {
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
    if waiting > 0 {
        return waits(say::SeveralKept { notes }, waiting);
    }
    format!("{GOOD}✓{GOOD:#} {}", say::SeveralSaved { notes })
}

/// `✓ 2 notes reached the server`, of those that were said to wait.
pub(crate) fn delivered(notes: u64) -> String {
    format!("{GOOD}✓{GOOD:#} {}", say::Delivered { notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::tests::in_chinese;

    #[test]
    fn what_is_kept_here_is_told_in_both_languages() {
        let told = || {
            [done(say::Edited, &note(), 2), summary(1, 0), summary(2, 3), delivered(1)]
                .map(|line| anstream::adapter::strip_str(&line).to_string())
                .join("\n")
        };
        insta::assert_snapshot!(told(), @"
        ✓ edited here, not yet on the server (2 waiting)
        ✓ 1 note saved
        ✓ 2 notes kept here, not yet on the server (3 waiting)
        ✓ 1 waiting note reached the server
        ");
        insta::assert_snapshot!(in_chinese(told), @"
        ✓ 已修改，暂存本机，尚未送达服务器 （待发 2 条）
        ✓ 已保存 1 条随笔
        ✓ 已保存 2 条随笔，暂存本机，尚未送达服务器 （待发 3 条）
        ✓ 1 条待发的随笔已送达服务器
        ");
    }

    fn note() -> Note {
        Note {
            id: suibi_journal::NoteId::from_bytes([7; 16]),
            time: "2026-11-23T09:05:00.000+08:00".parse().unwrap(),
            text: "bought milk @shop".to_owned(),
            conflict: false,
            undeleted: false,
            starred: false,
            heads: Vec::new(),
            device: "laptop".to_owned(),
            source: None,
            receipt: None,
            waiting: true,
        }
    }
}
