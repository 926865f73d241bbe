//! What happens while somebody types: receipts, other devices' notes, the server coming and going.
//!
//! [`News`] is a machine without clock and terminal: it is told what happened, and says what to print.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use suibi_client::{ClientError, LiveEvent};
use suibi_journal::{ChainId, Receipt};

use crate::errors;
use crate::happened::Happened;
use crate::render::listing::Listing;
use crate::render::saved;
use crate::render::style::{DIM, WAITING};
use crate::say::prompt as say;
use crate::session::{self, Written};

/// A note whose receipt takes longer is said to wait.
const RECEIPT_WITHIN: Duration = Duration::from_secs(1);

/// When more notes than this come at once, only the last ones are shown.
const MOST_AT_ONCE: usize = 12;

/// A place in a chain.
type Place = (ChainId, u64);

/// What has been written and said so far.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Written, and nothing said about it yet.
    silent: BTreeMap<Place, (Instant, Written)>,
    /// Said to be kept here only.
    waiting: BTreeMap<Place, ()>,
    /// Receipts that came before the note was handed to us.
    early: BTreeMap<Place, Receipt>,
    is_offline: bool,
}

impl News {
    /// A note was written here.
    pub(super) fn handle_written(&mut self, now: Instant, written: Written) -> Vec<String> {
        if let Some(receipt) = self.early.remove(&written.place) {
            return vec![confirmed(written, receipt)];
        }
        if self.is_offline {
            self.waiting.insert(written.place, ());
            return vec![saved::line(&written.note, written.waiting, written.is_dated)];
        }
        self.silent.insert(written.place, (now, written));
        Vec::new()
    }

    /// Something happened in the background.
    pub(super) fn handle_event(&mut self, event: LiveEvent) -> Vec<String> {
        match event {
            // They come as what happened to them.
            LiveEvent::NewNotes(_) | LiveEvent::Gone(_) => Vec::new(),
            LiveEvent::Delivered(receipts) => self.on_delivered(receipts),
            LiveEvent::Refused(refused) => refused
                .first()
                .map(|refused| {
                    let why = errors::refusal(&refused.refusal);
                    format!("{WAITING}{}{WAITING:#}", say::NotTaken { why })
                })
                .into_iter()
                .collect(),
            LiveEvent::Online if self.is_offline => {
                self.is_offline = false;
                vec![format!("{DIM}{}{DIM:#}", say::Online)]
            }
            LiveEvent::Online => Vec::new(),
            LiveEvent::Offline => {
                self.is_offline = true;
                let mut lines = vec![format!("{DIM}{}{DIM:#}", say::Offline)];
                lines.extend(self.give_up(|_| true));
                lines
            }
            LiveEvent::Trouble(error) => {
                self.is_offline = true;
                let mut lines = vec![format!("{WAITING}{}{WAITING:#}", session::chain(&error))];
                if matches!(error, ClientError::Revoked { .. }) {
                    lines.push(format!("{DIM}{}{DIM:#}", say::CutOff));
                }
                lines.extend(self.give_up(|_| true));
                lines
            }
        }
    }

    /// Time has passed.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<String> {
        self.give_up(|written_at| now.saturating_duration_since(written_at) >= RECEIPT_WITHIN)
    }

    /// When [`News::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.silent.values().map(|(written_at, _)| *written_at + RECEIPT_WITHIN).min()
    }

    fn on_delivered(&mut self, receipts: Vec<Receipt>) -> Vec<String> {
        let mut lines = Vec::new();
        let mut late = 0;
        for receipt in receipts {
            let place = (receipt.chain, receipt.seq);
            if let Some((_, written)) = self.silent.remove(&place) {
                lines.push(confirmed(written, receipt));
            } else if self.waiting.remove(&place).is_some() {
                late += 1;
            } else {
                self.early.insert(place, receipt);
            }
        }
        if late > 0 {
            lines.push(saved::delivered(late));
        }
        lines
    }

    fn give_up(&mut self, is_due: impl Fn(Instant) -> bool) -> Vec<String> {
        let due: Vec<Place> = self
            .silent
            .iter()
            .filter(|(_, (written_at, _))| is_due(*written_at))
            .map(|(place, _)| *place)
            .collect();
        let given_up = due.into_iter().filter_map(|place| {
            let (_, written) = self.silent.remove(&place)?;
            self.waiting.insert(place, ());
            Some(saved::line(&written.note, written.waiting, written.is_dated))
        });
        given_up.collect()
    }
}

fn confirmed(mut written: Written, receipt: Receipt) -> String {
    written.note.receipt = Some((receipt.position, receipt.hash));
    saved::line(&written.note, 0, written.is_dated)
}

/// Others' notes: time, who, text; below a line for the day when it is not today.
pub(super) fn arrived(happened: &[Happened], listing: &Listing) -> Vec<String> {
    let mut lines = Vec::new();
    let hidden = happened.len().saturating_sub(MOST_AT_ONCE);
    if hidden > 0 {
        lines.push(format!("{DIM}{}{DIM:#}", say::MoreArrived { notes: hidden }));
    }
    let mut day = listing.today;
    for one in &happened[hidden..] {
        if one.note.time.day() != day {
            day = one.note.time.day();
            lines.push(listing.header(day));
        }
        lines.push(one.text(listing).trim_end_matches('\n').to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use suibi_journal::{Hash, Note, NoteId};

    use super::*;
    use crate::story::Deed;

    fn plain(lines: Vec<String>) -> String {
        anstream::adapter::strip_str(&lines.join("\n")).to_string()
    }

    fn listing() -> Listing {
        let today = "2026-11-23".parse().unwrap();
        Listing { today, width: Some(80), source: false, marks: true }
    }

    fn note(time: &str, text: &str) -> Note {
        Note {
            id: NoteId::new(0, [0; 10]),
            time: time.parse().unwrap(),
            text: text.to_owned(),
            conflict: false,
            undeleted: false,
            starred: false,
            heads: Vec::new(),
            device: "手机".to_owned(),
            source: None,
            receipt: None,
            waiting: true,
        }
    }

    fn written(seq: u64) -> Written {
        let note = note("2026-11-23T09:05:00.000+08:00", "milk @shop");
        let place = (ChainId::from_bytes([1; 16]), seq);
        Written { note, place, is_dated: false, waiting: seq, trouble: None }
    }

    fn delivered(seqs: &[u64]) -> LiveEvent {
        let receipt = |seq: &u64| Receipt {
            chain: ChainId::from_bytes([1; 16]),
            seq: *seq,
            position: 40 + seq,
            hash: Hash::of(b""),
        };
        LiveEvent::Delivered(seqs.iter().map(receipt).collect())
    }

    #[test]
    fn a_note_is_said_to_be_saved_whichever_comes_first() {
        let mut news = News::default();
        let now = Instant::now();
        assert!(news.handle_written(now, written(1)).is_empty());
        let after = plain(news.handle_event(delivered(&[1])));
        assert_eq!(after, "✓ saved 2026-11-23 09:05 @shop · #41 · e3b0c4");
        assert!(news.handle_event(delivered(&[2])).is_empty());
        let before = plain(news.handle_written(now, written(2)));
        assert_eq!(before, "✓ saved 2026-11-23 09:05 @shop · #42 · e3b0c4");
        assert_eq!(news.poll_timeout(), None);
    }

    #[test]
    fn without_a_receipt_it_is_said_to_wait_and_later_that_it_arrived() {
        let mut news = News::default();
        let now = Instant::now();
        assert!(news.handle_written(now, written(1)).is_empty());
        assert!(news.handle_timeout(now).is_empty());
        let due = news.poll_timeout().unwrap();
        assert_eq!(due, now + RECEIPT_WITHIN);
        let waits = plain(news.handle_timeout(due));
        assert_eq!(waits, "✓ kept here, not yet on the server (1 waiting)");
        let offline = plain(news.handle_event(LiveEvent::Offline));
        assert_eq!(offline, "the server does not answer; notes are kept here until it does");
        let at_once = plain(news.handle_written(now, written(2)));
        assert_eq!(at_once, "✓ kept here, not yet on the server (2 waiting)");
        let late = plain(news.handle_event(delivered(&[1, 2])));
        assert_eq!(late, "✓ 2 waiting notes reached the server");
        let online = plain(news.handle_event(LiveEvent::Online));
        assert_eq!(online, "the server answers again");
    }

    #[test]
    fn who_was_cut_off_is_told_once_and_what_to_do() {
        let mut news = News::default();
        assert!(news.handle_written(Instant::now(), written(1)).is_empty());
        let (device, server) = ("laptop".to_owned(), "home".to_owned());
        let trouble = LiveEvent::Trouble(ClientError::Revoked { device, server });
        insta::assert_snapshot!(plain(news.handle_event(trouble)), @"
        the server «home» has cut this device off (it knows it as «laptop»)
        notes are kept here; with a new invite they go along: suibi join --again LINE
        ✓ kept here, not yet on the server (1 waiting)
        ");
        let next = plain(news.handle_written(Instant::now(), written(2)));
        assert_eq!(next, "✓ kept here, not yet on the server (2 waiting)");
    }

    #[test]
    fn what_others_did_names_them_and_a_day_that_is_not_today() {
        let happened = |time, text, deed, conflict| Happened {
            note: Note { waiting: false, conflict, ..note(time, text) },
            deed,
            by: "手机".to_owned(),
            name: "1284".to_owned(),
        };
        let (today, before) = ("2026-11-23T09:07:00.000+08:00", "2026-11-22T23:50:00.000+08:00");
        let seen = arrived(
            &[
                happened(today, "晚饭吃什么？", Deed::Written, false),
                happened(today, "tea", Deed::Edited, false),
                happened(today, "green tea\nblack tea", Deed::Edited, true),
                happened(today, "first\nsecond", Deed::Deleted, false),
                happened(before, "", Deed::Purged, false),
                happened(before, "back", Deed::Restored, false),
            ],
            &listing(),
        );
        insta::assert_snapshot!(plain(seen), @"
        09:07  手机  晚饭吃什么？
        09:07  手机  tea · edited
        09:07  手机  green tea
                     black tea · two versions · edited
               suibi show 1284 tells them apart, suibi edit 1284 settles it
        09:07  手机  first … · deleted
        2026-11-22 Sunday · yesterday
        23:50  手机  … · erased for good
        23:50  手机  back · restored
        ");
    }
}
