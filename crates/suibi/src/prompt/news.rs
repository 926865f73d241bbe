//! What happens while somebody types: receipts, other devices' notes, the server coming and going.
//!
//! [`News`] is a machine without clock and terminal: it is told what happened, and says what to print.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use suibi_client::LiveEvent;
use suibi_journal::{ChainId, Day, Note, Receipt};

use crate::day_words;
use crate::render::listing::{Listing, source};
use crate::render::saved;
use crate::render::style::{DIM, WAITING};
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
            return vec![saved::line(&written.note, written.waiting)];
        }
        self.silent.insert(written.place, (now, written));
        Vec::new()
    }

    /// Something happened in the background.
    pub(super) fn handle_event(&mut self, event: LiveEvent, listing: &Listing) -> Vec<String> {
        match event {
            LiveEvent::NewNotes(notes) => arrived(&notes, listing),
            LiveEvent::Delivered(receipts) => self.on_delivered(receipts),
            LiveEvent::Refused(refused) => refused
                .first()
                .map(|refused| {
                    format!(
                        "{WAITING}the server does not take a note: {}{WAITING:#}",
                        refused.refusal
                    )
                })
                .into_iter()
                .collect(),
            LiveEvent::Online if self.is_offline => {
                self.is_offline = false;
                vec![format!("{DIM}the server answers again{DIM:#}")]
            }
            LiveEvent::Online => Vec::new(),
            LiveEvent::Offline => {
                self.is_offline = true;
                let mut lines = vec![format!(
                    "{DIM}the server does not answer; notes are kept here until it does{DIM:#}"
                )];
                lines.extend(self.give_up(|_| true));
                lines
            }
            LiveEvent::Trouble(error) => {
                vec![format!("{WAITING}{}{WAITING:#}", session::chain(&error))]
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
            Some(saved::line(&written.note, written.waiting))
        });
        given_up.collect()
    }
}

fn confirmed(mut written: Written, receipt: Receipt) -> String {
    written.note.receipt = Some((receipt.position, receipt.hash));
    saved::line(&written.note, 0)
}

/// Others' notes: time, who, text; with the day when it is not today.
fn arrived(notes: &[Note], listing: &Listing) -> Vec<String> {
    let mut lines = Vec::new();
    let hidden = notes.len().saturating_sub(MOST_AT_ONCE);
    if hidden > 0 {
        lines.push(format!("{DIM}{hidden} more notes arrived; /log shows all{DIM:#}"));
    }
    for note in &notes[hidden..] {
        let when = other_day(note.time.day(), listing.today);
        let from = format!("{DIM}{when}{}{DIM:#}", source(note));
        let text = listing.note(note, None);
        lines.push(format!("{from}\n{}", text.trim_end_matches('\n')));
    }
    lines
}

fn other_day(day: Day, today: Day) -> String {
    match day_words::near_name(day, today) {
        Some("today") => String::new(),
        _ => format!("{day} "),
    }
}
