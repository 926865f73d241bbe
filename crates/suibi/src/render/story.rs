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

use std::fmt::{Display, Write as _};

use suibi_journal::{Body, Note, tags};
use suibi_store::Revision;

use super::changes::{self, changes};
use super::listing::Listing;
use super::style::{DAY, DIM, TAG, WAITING};
use super::wrap::{columns, harmless, padded, wrap};
use crate::say::story as say;
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
        fact(&mut text, word(*deed, first), by(first));
    }
    // Of a conflict, the versions have said it already.
    let newest = match story.folded.undeleted {
        true => deeds.iter().rfind(|(_, it)| it.is_head && text_of(it).is_some()),
        false => deeds.last(),
    };
    if let Some((deed, newest)) = newest.filter(|_| deeds.len() > 1 && !story.folded.conflict) {
        fact(&mut text, word(*deed, newest), by(newest));
    }
    if story.folded.merged {
        let versions = versions(story).count();
        fact(&mut text, say::LabelMerged, say::MergedFrom { versions });
    }
    if story.folded.undeleted {
        for deletion in story.heads().filter(|head| text_of(head).is_none()) {
            fact(&mut text, Deed::Deleted.said(), by(deletion));
        }
        fact(&mut text, "", format_args!("{WAITING}{}{WAITING:#}", say::EditWins));
    }
    if deeds.len() > 2 {
        let more = say::ChangesInAll { changes: deeds.len(), name: story.name() };
        fact(&mut text, "", format_args!("{DIM}{more}{DIM:#}"));
    }
    let tags: Vec<String> = match story.is_purged() {
        true => Vec::new(),
        false => tags(story.text()).iter().map(|tag| format!("{TAG}{tag}{TAG:#}")).collect(),
    };
    if !tags.is_empty() {
        fact(&mut text, say::LabelTags, tags.join(" "));
    }
    fact(&mut text, say::LabelId, story.id);
    text
}

/// What to do about a note that is not simply there, for the line below it.
pub(crate) fn advice(story: &Story) -> Option<String> {
    let name = story.name();
    if story.folded.conflict {
        return Some(say::BothKept { name }.to_string());
    }
    if story.folded.undeleted {
        return Some(say::ToDelete { name }.to_string());
    }
    story.is_deleted().then(|| say::ToBringBack { name }.to_string())
}

/// Its text as in a listing; both texts where they clash.
fn body(story: &Story, listing: &Listing) -> String {
    let note = story.note();
    let (hour, minute) = note.time.hour_minute();
    let time = format!("{DIM}{hour:02}:{minute:02}{DIM:#}  ");
    if story.is_purged() {
        return format!("{time}{DIM}{}{DIM:#}\n", say::Erased);
    }
    if story.is_deleted() {
        let text = format!("{time}{WAITING}{}{WAITING:#}\n", say::Deleted);
        return text + &indented(story.text(), INDENT, listing.width);
    }
    if !story.folded.conflict {
        return listing.note(&Note { waiting: false, ..note }, None);
    }
    let count = match versions(story).count() {
        2 => say::TwoVersionsApart.to_string(),
        count => say::VersionsApart { count }.to_string(),
    };
    let mut text = format!("{time}{WAITING}{count}{WAITING:#}\n");
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
        let deed = say::DeedOn { deed: word(story.deed(at), revision), who: author(revision) };
        let _ = write!(text, "{DAY}{}{DAY:#} {deed}", minute(written_at(revision)));
        text.push_str(&receipt(revision));
        text.push('\n');
        for remark in remarks(story, at) {
            let _ = writeln!(text, "  {WAITING}{remark}{WAITING:#}");
        }
        if let Some(after) = text_of(revision) {
            let before = match story.before(at) {
                Some(Body::Text(before)) => before,
                _ => String::new(),
            };
            let lines = changes(&before, after);
            if lines.is_empty() && !matches!(story.deed(at), Deed::Starred | Deed::Unstarred) {
                let _ = writeln!(text, "  {DIM}{}{DIM:#}", say::Unchanged);
            }
            text.push_str(&changes::text(&lines, 2, width));
        }
    }
    text
}

/// What a revision did, in one word. Of what was erased, whatever can still be told.
fn word(deed: Deed, revision: &Revision) -> String {
    match deed {
        Deed::Erased if revision.entry.change().parents.is_empty() => Deed::Written.said(),
        Deed::Erased => crate::say::deeds::Changed.to_string(),
        deed => deed.said(),
    }
}

/// What is unusual about a revision.
fn remarks(story: &Story, at: usize) -> Vec<String> {
    let parents = story.revisions[at].entry.change().parents.len();
    let mut remarks = Vec::new();
    match story.deed(at) {
        Deed::Erased => {
            return vec![say::TextErased.to_string()];
        }
        Deed::Edited if parents > 1 => {
            remarks.push(say::PutTogether { versions: parents }.to_string());
        }
        _ => {}
    }
    if story.is_apart(at) {
        remarks.push(say::Unaware.to_string());
    }
    remarks
}

/// `2026-11-23 09:05 on laptop · #1284 · 3f9ac1`.
pub(crate) fn by(revision: &Revision) -> String {
    {
        let when = say::WhenOn { when: minute(written_at(revision)), who: author(revision) };
        format!("{when}{}", receipt(revision))
    }
}

/// `laptop`, or `home, from 192.168.1.7:50312`.
fn author(revision: &Revision) -> String {
    let device = match revision.device.as_str() {
        // Its name comes with the next contact.
        "" => say::AnotherDevice.to_string(),
        name => harmless(name).replace('\n', " "),
    };
    match source_of(revision) {
        Some(source) => {
            let source = harmless(source).replace('\n', " ");
            say::From { device, source }.to_string()
        }
        None => device,
    }
}

/// ` · #1284 · 3f9ac1`, or that there is none yet.
fn receipt(revision: &Revision) -> String {
    match revision.receipt {
        Some(position) => {
            format!("{DIM} · #{position} · {}{DIM:#}", revision.entry.hash().short())
        }
        None if revision.waiting => format!("{WAITING} · {}{WAITING:#}", say::NotOnServer),
        None => String::new(),
    }
}

fn fact(text: &mut String, name: impl Display, fact: impl Display) {
    let name = padded(&name.to_string(), LABEL);
    let _ = writeln!(text, "{DIM}{name}{DIM:#}  {fact}");
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
    let Some(first) = lines.next() else { return say::Blank.to_string() };
    let is_whole = lines.next().is_none();
    if is_whole && columns(first) <= width {
        return first.to_owned();
    }
    let cut = wrap(first, width.saturating_sub(2).max(2)).into_iter().next().unwrap_or_default();
    format!("{cut} …")
}

#[cfg(test)]
mod tests {
    use suibi_journal::{
        ChainId, Change, Content, Entry, Extra, Extras, Hash, NoteId, NoteTime, extra,
    };

    use super::*;

    /// A note in the making: who wrote what over which revisions.
    #[derive(Default)]
    struct Past(Vec<Revision>);

    impl Past {
        /// `minute` past nine; `over` are the places of the revisions that it replaces.
        fn then(mut self, minute: i64, device: &str, over: &[usize], body: Body) -> Self {
            let time: NoteTime = "2026-11-23T09:00:00.000+08:00".parse().unwrap();
            let written = NoteTime::new(time.millis() + minute * 60_000, 480).unwrap();
            let mut parents: Vec<Hash> = over.iter().map(|at| self.0[*at].entry.hash()).collect();
            parents.sort_unstable();
            let mut extras = Extras::new();
            if !over.is_empty() {
                extras.insert(extra::WRITTEN.to_owned(), Extra::Text(written.to_string()));
            }
            let number = u8::try_from(self.0.len()).unwrap();
            let change = Change {
                chain: ChainId::from_bytes([number; 16]),
                seq: 1,
                previous: None,
                note: NoteId::new(time.millis(), [7; 10]),
                parents,
                time,
                content: Hash::ZERO,
            };
            for at in over {
                self.0[*at].is_head = false;
            }
            self.0.push(Revision {
                entry: Entry::new(change, Content { salt: [number; 16], body, extras }),
                device: device.to_owned(),
                position: u64::from(number) + 1,
                receipt: Some(1284 + u64::from(number)),
                is_head: true,
                waiting: false,
            });
            self
        }

        fn text(self, minute: i64, device: &str, over: &[usize], text: &str) -> Self {
            self.then(minute, device, over, Body::Text(text.to_owned()))
        }

        /// The last one waits for the server.
        fn waiting(mut self) -> Self {
            let last = self.0.last_mut().unwrap();
            (last.receipt, last.waiting) = (None, true);
            self
        }

        /// The contents of all but the last one are gone.
        fn erased(mut self) -> Self {
            let last = self.0.len() - 1;
            for revision in &mut self.0[..last] {
                revision.entry = Entry::from_bytes(revision.entry.change_bytes(), None).unwrap();
            }
            self
        }

        fn story(self) -> Story {
            let id = self.0[0].entry.change().note;
            Story::of(id, self.0).unwrap()
        }
    }

    fn listing() -> Listing {
        let today = "2026-11-23".parse().unwrap();
        Listing { today, width: Some(80), source: false, marks: true }
    }

    /// What `show` and `history` print, at 80 columns.
    fn told(past: Past) -> String {
        let story = past.story();
        let advice = advice(&story).unwrap_or_default();
        let text =
            format!("{}{advice}\n----\n{}", whole(&story, &listing()), history(&story, Some(80)));
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.lines().all(|line| columns(line) <= 80), "{plain}");
        plain
    }

    #[test]
    fn a_note_that_was_written_once() {
        insta::assert_snapshot!(told(Past::default().text(5, "laptop", &[], "买牛奶 @shop\n\n- eggs")), @"
        2026-11-23 Monday · today
        09:00  买牛奶 @shop

               - eggs

        written   2026-11-23 09:00 on laptop · #1284 · 52c4b9
        tags      @shop
        id        01a205ea-be80-7707-8707-070707070707

        ----
        2026-11-23 09:00 written on laptop · #1284 · 52c4b9
          + 买牛奶 @shop
          +
          + - eggs
        ");
    }

    #[test]
    fn a_note_that_was_edited_here_and_there() {
        let past = Past::default()
            .text(5, "laptop", &[], "buy milk\nand bread\nand tea\nand rice")
            .text(12, "手机", &[0], "buy milk\nand bread\nand tea\nand 米饭")
            .text(20, "laptop", &[1], "buy oat milk\nand bread\nand tea\nand 米饭")
            .waiting();
        insta::assert_snapshot!(told(past), @"
        2026-11-23 Monday · today
        09:00  buy oat milk
               and bread
               and tea
               and 米饭

        written   2026-11-23 09:00 on laptop · #1284 · 2e0838
        edited    2026-11-23 09:20 on laptop · not yet on the server
                  3 changes in all: suibi history 1284
        id        01a205ea-be80-7707-8707-070707070707

        ----
        2026-11-23 09:00 written on laptop · #1284 · 2e0838
          + buy milk
          + and bread
          + and tea
          + and rice

        2026-11-23 09:12 edited on 手机 · #1285 · 2910b3
            … 2 lines as before
            and tea
          - and rice
          + and 米饭

        2026-11-23 09:20 edited on laptop · not yet on the server
          - buy milk
          + buy oat milk
            and bread
            … 2 lines as before
        ");
    }

    #[test]
    fn two_versions_that_clash_are_both_there_until_one_edit_settles_it() {
        let past = || {
            Past::default()
                .text(5, "laptop", &[], "buy milk")
                .text(12, "laptop", &[0], "buy milk and bread")
                .text(13, "手机", &[0], "buy milk and 鸡蛋")
        };
        insta::assert_snapshot!(told(past()), @"
        2026-11-23 Monday · today
        09:00  Two versions, written apart

               2026-11-23 09:12 on laptop · #1285 · 32f627
               buy milk and bread

               2026-11-23 09:13 on 手机 · #1286 · 2968fc
               buy milk and 鸡蛋

        written   2026-11-23 09:00 on laptop · #1284 · 9a89b8
                  3 changes in all: suibi history 1284
        id        01a205ea-be80-7707-8707-070707070707
        both are kept; to settle it, edit it: suibi edit 1284
        ----
        2026-11-23 09:00 written on laptop · #1284 · 9a89b8
          + buy milk

        2026-11-23 09:12 edited on laptop · #1285 · 32f627
          - buy milk
          + buy milk and bread

        2026-11-23 09:13 edited on 手机 · #1286 · 2968fc
          by a device that did not know of the one above yet
          - buy milk
          + buy milk and 鸡蛋
        ");
        let settled = past().text(20, "laptop", &[1, 2], "buy milk, bread and 鸡蛋");
        insta::assert_snapshot!(told(settled), @"
        2026-11-23 Monday · today
        09:00  buy milk, bread and 鸡蛋

        written   2026-11-23 09:00 on laptop · #1284 · 9a89b8
        edited    2026-11-23 09:20 on laptop · #1287 · 3dab47
                  4 changes in all: suibi history 1284
        id        01a205ea-be80-7707-8707-070707070707

        ----
        2026-11-23 09:00 written on laptop · #1284 · 9a89b8
          + buy milk

        2026-11-23 09:12 edited on laptop · #1285 · 32f627
          - buy milk
          + buy milk and bread

        2026-11-23 09:13 edited on 手机 · #1286 · 2968fc
          by a device that did not know of the one above yet
          - buy milk
          + buy milk and 鸡蛋

        2026-11-23 09:20 edited on laptop · #1287 · 3dab47
          put together from 2 versions
          - buy milk and 鸡蛋
          - buy milk and bread
          + buy milk, bread and 鸡蛋
        ");
    }

    #[test]
    fn two_versions_that_do_not_clash_are_one_note() {
        let past = Past::default()
            .text(5, "laptop", &[], "milk\nbread\ntea")
            .text(12, "laptop", &[0], "oat milk\nbread\ntea")
            .text(13, "手机", &[0], "milk\nbread\ngreen tea");
        insta::assert_snapshot!(told(past), @"
        2026-11-23 Monday · today
        09:00  oat milk
               bread
               green tea

        written   2026-11-23 09:00 on laptop · #1284 · 25a512
        edited    2026-11-23 09:13 on 手机 · #1286 · ad6329
        merged    from 2 versions written apart; nothing clashed
                  3 changes in all: suibi history 1284
        id        01a205ea-be80-7707-8707-070707070707

        ----
        2026-11-23 09:00 written on laptop · #1284 · 25a512
          + milk
          + bread
          + tea

        2026-11-23 09:12 edited on laptop · #1285 · f26fb7
          - milk
          + oat milk
            bread
            tea

        2026-11-23 09:13 edited on 手机 · #1286 · ad6329
          by a device that did not know of the one above yet
            milk
            bread
          - tea
          + green tea
        ");
    }

    #[test]
    fn an_edit_wins_against_a_deletion_and_says_so() {
        let past = Past::default()
            .text(5, "laptop", &[], "buy milk")
            .text(12, "laptop", &[0], "buy oat milk")
            .then(13, "手机", &[0], Body::Deleted);
        insta::assert_snapshot!(told(past), @"
        2026-11-23 Monday · today
        09:00  buy oat milk · deleted elsewhere

        written   2026-11-23 09:00 on laptop · #1284 · 9a89b8
        edited    2026-11-23 09:12 on laptop · #1285 · 247fbb
        deleted   2026-11-23 09:13 on 手机 · #1286 · df5c3f
                  by a device that did not know of the edit yet: the edit wins
                  3 changes in all: suibi history 1284
        id        01a205ea-be80-7707-8707-070707070707
        to delete it all the same: suibi rm 1284
        ----
        2026-11-23 09:00 written on laptop · #1284 · 9a89b8
          + buy milk

        2026-11-23 09:12 edited on laptop · #1285 · 247fbb
          - buy milk
          + buy oat milk

        2026-11-23 09:13 deleted on 手机 · #1286 · df5c3f
          by a device that did not know of the one above yet
        ");
    }

    #[test]
    fn a_deleted_note_shows_what_it_said_and_the_way_back() {
        let past = || {
            Past::default().text(5, "laptop", &[], "buy milk").then(13, "手机", &[0], Body::Deleted)
        };
        insta::assert_snapshot!(told(past()), @"
        2026-11-23 Monday · today
        09:00  (deleted)
               buy milk

        written   2026-11-23 09:00 on laptop · #1284 · 9a89b8
        deleted   2026-11-23 09:13 on 手机 · #1285 · 510dff
        id        01a205ea-be80-7707-8707-070707070707
        to bring it back: suibi restore 1284
        ----
        2026-11-23 09:00 written on laptop · #1284 · 9a89b8
          + buy milk

        2026-11-23 09:13 deleted on 手机 · #1285 · 510dff
        ");
        let back = past().text(20, "laptop", &[1], "buy milk");
        insta::assert_snapshot!(told(back), @"
        2026-11-23 Monday · today
        09:00  buy milk

        written   2026-11-23 09:00 on laptop · #1284 · 9a89b8
        restored  2026-11-23 09:20 on laptop · #1286 · 467cec
                  3 changes in all: suibi history 1284
        id        01a205ea-be80-7707-8707-070707070707

        ----
        2026-11-23 09:00 written on laptop · #1284 · 9a89b8
          + buy milk

        2026-11-23 09:13 deleted on 手机 · #1285 · 510dff

        2026-11-23 09:20 restored on laptop · #1286 · 467cec
          + buy milk
        ");
    }

    #[test]
    fn of_an_erased_note_only_hashes_are_left() {
        let past = Past::default()
            .text(5, "laptop", &[], "my password")
            .text(6, "laptop", &[0], "my other password")
            .then(13, "home", &[1], Body::Purged)
            .erased();
        insta::assert_snapshot!(told(past), @"
        2026-11-23 Monday · today
        09:00  (erased for good)

        written   2026-11-23 09:00 on laptop · #1284 · 42b591
        purged    2026-11-23 09:13 on home · #1286 · eb85e9
                  3 changes in all: suibi history 1284
        id        01a205ea-be80-7707-8707-070707070707

        ----
        2026-11-23 09:00 written on laptop · #1284 · 42b591
          its text was erased for good; its hash proves that it was there

        2026-11-23 09:00 changed on laptop · #1285 · b34fb8
          its text was erased for good; its hash proves that it was there

        2026-11-23 09:13 purged on home · #1286 · eb85e9
        ");
    }

    #[test]
    fn the_beginning_of_a_text_fits_a_line() {
        assert_eq!(beginning("short", 20), "short");
        assert_eq!(beginning("first\nsecond", 20), "first …");
        assert_eq!(beginning("去超市买牛奶，还有面包和鸡蛋", 12), "去超市买牛 …");
        assert_eq!(beginning(" \n", 20), "(blank)");
        assert_eq!(beginning("\n\na\x1b[2J", 20), "a␛[2J");
    }
}
