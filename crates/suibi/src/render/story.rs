//! One note with all that is known about it, and its history, for people.
//!
//! ```text
//! 2026-11-23 Monday · today
//! 09:05  bought milk @shop
//!
//! written   2026-11-23 09:05 on laptop · #1284 · 3f9ac1
//! tags      @shop
//! id        019a0b5e-8c68-7000-8000-000000000001
//! ```

use std::fmt::Write as _;

use suibi_journal::{Body, Note, tags};
use suibi_store::Revision;

use super::changes::{self, changes};
use super::listing::Listing;
use super::style::{DAY, DIM, TAG, WAITING};
use super::wrap::{columns, harmless, wrap};
use crate::story::{Deed, Story, minute, source_of, text_of, written_at};

/// Columns of the words before what is known.
const LABEL: usize = 8;

/// Where the text of a note begins in a listing.
const INDENT: usize = "09:05  ".len();

/// A note and what is known about it: `suibi show`.
pub(crate) fn whole(story: &Story, listing: &Listing) -> String {
    let mut text = format!("{}\n", listing.header(story.folded.time.day()));
    text.push_str(&body(story, listing));
    text.push('\n');
    let deeds: Vec<(Deed, &Revision)> =
        story.revisions.iter().enumerate().map(|(at, it)| (story.deed(at), it)).collect();
    if let Some((deed, first)) = deeds.first() {
        let name = if *deed == Deed::Erased { "written" } else { deed.word() };
        fact(&mut text, name, &by(first));
    }
    // Of a conflict, the versions have said it already.
    if let Some((deed, newest)) = deeds.get(1..).and_then(<[_]>::last)
        && !story.folded.conflict
    {
        let name = if *deed == Deed::Erased { "changed" } else { deed.word() };
        fact(&mut text, name, &by(newest));
    }
    if story.folded.merged {
        let versions = versions(story).count();
        fact(
            &mut text,
            "merged",
            &format!("from {versions} versions written apart; nothing clashed"),
        );
    }
    if story.folded.undeleted {
        let deletion = story.heads().find(|head| text_of(head).is_none());
        let by = deletion.map(by).unwrap_or_default();
        fact(
            &mut text,
            "deleted",
            &format!("{by}{WAITING}, without this edit in sight: the edit wins{WAITING:#}"),
        );
    }
    if deeds.len() > 2 {
        let more = format!("{} changes in all: suibi history {}", deeds.len(), story.name());
        fact(&mut text, "", &format!("{DIM}{more}{DIM:#}"));
    }
    let tags: Vec<String> = match story.is_purged() {
        true => Vec::new(),
        false => tags(story.text()).iter().map(|tag| format!("{TAG}{tag}{TAG:#}")).collect(),
    };
    if !tags.is_empty() {
        fact(&mut text, "tags", &tags.join(" "));
    }
    fact(&mut text, "id", &story.id.to_string());
    text
}

/// What to do about a note that is not simply there, for the line below it.
pub(crate) fn advice(story: &Story) -> Option<String> {
    let name = story.name();
    if story.folded.conflict {
        return Some(format!("both are kept; to settle it, edit it: suibi edit {name}"));
    }
    if story.folded.undeleted {
        return Some(format!("to delete it all the same: suibi rm {name}"));
    }
    story.is_deleted().then(|| format!("to bring it back: suibi restore {name}"))
}

/// Its text as in a listing; both texts where they clash.
fn body(story: &Story, listing: &Listing) -> String {
    let note = story.note();
    let (hour, minute) = note.time.hour_minute();
    let time = format!("{DIM}{hour:02}:{minute:02}{DIM:#}  ");
    if story.is_purged() {
        return format!("{time}{DIM}(erased for good){DIM:#}\n");
    }
    if story.is_deleted() {
        let text = format!("{time}{WAITING}(deleted){WAITING:#}\n");
        return text + &indented(story.text(), INDENT, listing.width);
    }
    if !story.folded.conflict {
        return listing.note(&Note { waiting: false, ..note }, None);
    }
    let count = versions(story).count();
    let count = if count == 2 { "Two".to_owned() } else { count.to_string() };
    let mut text = format!("{time}{WAITING}{count} versions, written apart{WAITING:#}\n");
    for version in versions(story) {
        let _ = write!(text, "\n{:INDENT$}{DAY}{}{DAY:#}\n", "", by(version));
        text.push_str(&indented(text_of(version).unwrap_or_default(), INDENT, listing.width));
    }
    text
}

/// The heads that say something.
fn versions(story: &Story) -> impl Iterator<Item = &Revision> {
    story.heads().filter(|head| text_of(head).is_some())
}

/// What each revision did, the oldest first: `suibi history`.
pub(crate) fn history(story: &Story, width: Option<usize>) -> String {
    let mut text = String::new();
    for (at, revision) in story.revisions.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        let deed = story.deed(at);
        let _ = write!(text, "{DAY}{}{DAY:#} {}", minute(written_at(revision)), deed.word());
        let _ = write!(text, " on {}", author(revision));
        text.push_str(&receipt(revision));
        text.push('\n');
        if let Some(remark) = remark(story, at) {
            let _ = writeln!(text, "  {WAITING}{remark}{WAITING:#}");
        }
        if let Some(after) = text_of(revision) {
            let before = match story.before(at) {
                Some(Body::Text(before)) => before,
                _ => String::new(),
            };
            let lines = changes(&before, after);
            if lines.is_empty() {
                let _ = writeln!(text, "  {DIM}(the text stayed as it was){DIM:#}");
            }
            text.push_str(&changes::text(&lines, 2, width));
        }
    }
    text
}

/// What is unusual about a revision.
fn remark(story: &Story, at: usize) -> Option<String> {
    let revision = &story.revisions[at];
    let parents = revision.entry.change().parents.len();
    if story.deed(at) == Deed::Erased {
        return Some(
            "its text was erased for good; what is left proves that it was there".to_owned(),
        );
    }
    if parents > 1 {
        return Some(format!("put together from {parents} versions"));
    }
    story.is_apart(at).then(|| "written apart, without the one above in sight".to_owned())
}

/// `2026-11-23 09:05 on laptop · #1284 · 3f9ac1`.
pub(crate) fn by(revision: &Revision) -> String {
    format!("{} on {}{}", minute(written_at(revision)), author(revision), receipt(revision))
}

/// `laptop`, or `home, from 192.168.1.7:50312`.
fn author(revision: &Revision) -> String {
    let device = match revision.device.as_str() {
        // Its name comes with the next contact.
        "" => "another device".to_owned(),
        name => harmless(name).replace('\n', " "),
    };
    match source_of(revision) {
        Some(source) => format!("{device}, from {}", harmless(source).replace('\n', " ")),
        None => device,
    }
}

/// ` · #1284 · 3f9ac1`, or that there is none yet.
fn receipt(revision: &Revision) -> String {
    match revision.receipt {
        Some(position) => {
            format!("{DIM} · #{position} · {}{DIM:#}", revision.entry.hash().short())
        }
        None if revision.waiting => format!("{WAITING} · not yet on the server{WAITING:#}"),
        None => String::new(),
    }
}

fn fact(text: &mut String, name: &str, fact: &str) {
    let _ = writeln!(text, "{DIM}{name:<LABEL$}{DIM:#}  {fact}");
}

fn indented(body: &str, indent: usize, width: Option<usize>) -> String {
    let mut text = String::new();
    for line in harmless(body).trim_end().lines() {
        let pieces = match width {
            Some(width) => wrap(line, width.saturating_sub(indent).max(10)),
            None => vec![line.to_owned()],
        };
        for piece in pieces {
            if !piece.is_empty() {
                let _ = write!(text, "{:indent$}{piece}", "");
            }
            text.push('\n');
        }
    }
    text
}

/// The beginning of a text in one line of at most so many columns.
pub(crate) fn beginning(text: &str, width: usize) -> String {
    let text = harmless(text);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let Some(first) = lines.next() else { return "(blank)".to_owned() };
    let is_whole = lines.next().is_none();
    if is_whole && columns(first) <= width {
        return first.to_owned();
    }
    let cut = wrap(first, width.saturating_sub(2).max(2)).into_iter().next().unwrap_or_default();
    format!("{cut} …")
}
