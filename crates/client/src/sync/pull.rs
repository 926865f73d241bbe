//! Pulling the feed: page after page while there is little, else by ranges of positions, several at once.
//!
//! ```text
//!   cursor ─────────┐ accepted, in order          end, as far as it is known
//!   ████████████████│▒▒▒▒▒▒▒│       │▒▒▒▒▒▒▒│.......│.......│
//!                   │ held  │ asked │ held  │ asked │ asked │
//! ```
//!
//! A page is accepted when it follows from the cursor, which its running hash proves. Whatever does not (a range
//! that the server cut short, or asked for in vain) leaves a hole, and the hole is asked for.

use std::collections::BTreeMap;

use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::{Cursor, FeedPage, Head, coding};

use super::{
    AskId, BULK_BYTES, FIRST_BYTES, Keep, MAX_DECODED_BYTES, PAGE_BYTES, Phase, Step, Sync, WINDOW,
    heads, is_not_understood, nonsense, success,
};
use crate::error::SyncError;

/// How long a page of a range should become, with room to the limit.
const GOOD_PAGE_BYTES: f64 = 48_000.0;

/// What compression is expected to save before it was seen.
const EXPECTED_RATIO: f64 = 2.0;

/// So many positions are asked for at once at most.
const MAX_RANGE: f64 = 20_000.0;

/// So many times pages may not fit each other before the server is taken to make no sense.
const MAX_MISFITS: u32 = 3;

/// Where it is.
#[derive(Debug)]
pub(super) struct Pull {
    /// Behind the last page that was accepted.
    cursor: Cursor,
    /// How long a page may be that is asked for alone.
    page_bytes: usize,
    asked: BTreeMap<AskId, Asked>,
    /// Pages that came, by their first position.
    held: BTreeMap<u64, FeedPage>,
    naming: Naming,
    /// Up to which position ranges were asked for, and up to which there is anything as far as we know. Nothing where
    /// pages are asked for one by one.
    ranges: Option<(u64, u64)>,
    /// How many bytes a change takes on its way, as seen lately.
    change_bytes: f64,
    /// How many changes there are for a position: other journals have positions, too.
    density: f64,
    /// The server has said that nothing remains.
    is_end: bool,
    misfits: u32,
}

/// What a request will bring.
#[derive(Debug)]
enum Asked {
    /// The page after a cursor.
    Page(Cursor),
    /// The pages after a position, and up to one.
    Range { after: u64, until: u64, is_hole: bool },
}

/// Whether the names of devices are known that the next page needs.
#[derive(Debug, PartialEq, Eq)]
enum Naming {
    Known,
    /// The chains here are being read.
    Here,
    /// The chains there are asked for.
    There(AskId),
}

impl Pull {
    pub(super) fn awaits_names(&self) -> bool {
        self.naming == Naming::Here
    }
}

impl Sync {
    pub(super) fn begin_pull(&mut self, cursor: Cursor) {
        self.phase = Phase::Pulling(Pull {
            cursor,
            page_bytes: FIRST_BYTES,
            asked: BTreeMap::new(),
            held: BTreeMap::new(),
            naming: Naming::Known,
            ranges: None,
            change_bytes: 0.0,
            density: 1.0,
            is_end: false,
            misfits: 0,
        });
        self.ask_page();
    }

    fn pulling(&mut self) -> &mut Pull {
        match &mut self.phase {
            Phase::Pulling(pull) => pull,
            _ => unreachable!("only called while pulling"),
        }
    }

    /// Asks for the page after the cursor, with its hash.
    fn ask_page(&mut self) {
        let pull = self.pulling();
        let (cursor, max) = (pull.cursor, pull.page_bytes);
        pull.ranges = None;
        let request = Request::new(Code::GET)
            .path("/feed")
            .query("after", &cursor.to_string())
            .query("max", &max.to_string());
        let ask = self.ask(request, max > FIRST_BYTES);
        self.pulling().asked.insert(ask, Asked::Page(cursor));
    }

    fn ask_range(&mut self, after: u64, until: u64, is_hole: bool) {
        let request = Request::new(Code::GET)
            .path("/feed")
            .query("after", &after.to_string())
            .query("until", &until.to_string())
            .query("coding", "zstd")
            .query("max", &PAGE_BYTES.to_string());
        let ask = self.ask(request, true);
        self.pulling().asked.insert(ask, Asked::Range { after, until, is_hole });
    }

    pub(super) fn on_pulled(&mut self, ask: AskId, response: &Response) -> Result<(), SyncError> {
        if self.pulling().naming == Naming::There(ask) {
            return self.on_names(heads(response)?);
        }
        match self.pulling().asked.remove(&ask) {
            Some(Asked::Page(after)) => self.on_page(after, response),
            Some(Asked::Range { after, until, is_hole }) => {
                self.on_range(after, until, is_hole, response)
            }
            None => Ok(()),
        }
    }

    fn on_page(&mut self, after: Cursor, response: &Response) -> Result<(), SyncError> {
        if response.code == Code::CONFLICT && !self.is_compared {
            self.is_new_feed = true;
            self.queue.push_back(Step::Keep(Keep::NewFeed));
            self.ask_heads();
            return Ok(());
        }
        let payload = success(response)?;
        let page = FeedPage::decode(payload).map_err(nonsense)?;
        if !page.follows(after) {
            return Err(SyncError::Nonsense("a page of the feed does not add up".into()));
        }
        if page.entries.is_empty() && page.remaining > 0 {
            return Err(SyncError::Nonsense("an empty page, and more to come".into()));
        }
        let (count, remaining, end) = (page.entries.len() as u64, page.remaining, page.next);
        // Told once the page is accepted; those of this page are taken off then.
        self.report.remaining = remaining + count;
        let is_plain = self.is_plain;
        let pull = self.pulling();
        pull.is_end = remaining == 0;
        if count > 0 {
            pull.change_bytes = payload.len() as f64 / count as f64;
            pull.density = count as f64 / (end.position - after.position).max(count) as f64;
        }
        pull.page_bytes = (pull.page_bytes * 8).min(PAGE_BYTES);
        if remaining as f64 * pull.change_bytes > BULK_BYTES as f64 && !is_plain {
            pull.change_bytes /= EXPECTED_RATIO;
            let ahead = (remaining as f64 / pull.density).ceil() as u64;
            pull.ranges = Some((end.position, end.position.saturating_add(ahead)));
        }
        pull.hold(page);
        self.go_on_pulling();
        Ok(())
    }

    fn on_range(
        &mut self,
        after: u64,
        until: u64,
        is_hole: bool,
        response: &Response,
    ) -> Result<(), SyncError> {
        if is_not_understood(response) {
            self.is_plain = true;
            self.start_over();
            return Ok(());
        }
        let payload = success(response)?;
        let is_coded = response.format() == Some(ContentFormat::OCTET_STREAM);
        let page = if is_coded {
            let bytes = coding::decompress(payload, MAX_DECODED_BYTES).map_err(nonsense)?;
            FeedPage::decode(&bytes)
        } else {
            FeedPage::decode(payload)
        };
        let page = page.map_err(nonsense)?;
        let is_within = |position: u64| after < position && position <= until;
        if !page.entries.iter().all(|(position, _)| is_within(*position)) {
            return Err(SyncError::Nonsense(
                "a page with other positions than were asked for".into(),
            ));
        }
        let pull = self.pulling();
        match page.entries.last() {
            Some((last, _)) => {
                let count = page.entries.len() as f64;
                let reached = if page.remaining > 0 { *last } else { until };
                let density = count / (reached - after).max(1) as f64;
                pull.change_bytes = (pull.change_bytes + payload.len() as f64 / count) / 2.0;
                pull.density = (pull.density + density.min(1.0)) / 2.0;
                pull.hold(page);
            }
            // There is nothing where something has to be: the pages around it do not belong together.
            None if is_hole => {
                pull.misfits += 1;
                if pull.misfits > MAX_MISFITS {
                    return Err(SyncError::Nonsense(
                        "pages of the feed do not fit each other".into(),
                    ));
                }
                self.start_over();
                return Ok(());
            }
            None => {}
        }
        self.go_on_pulling();
        Ok(())
    }

    /// Forgets what was asked for ahead, and goes on with one page.
    fn start_over(&mut self) {
        let pull = self.pulling();
        pull.asked.clear();
        pull.held.clear();
        self.ask_page();
    }

    fn on_names(&mut self, there: Vec<Head>) -> Result<(), SyncError> {
        self.learn(&there);
        let pull = self.pulling();
        pull.naming = Naming::Known;
        let chains: Vec<_> = pull
            .held
            .values()
            .flat_map(|page| page.entries.iter().map(|(_, entry)| entry.change().chain))
            .collect();
        self.nameless.extend(chains.into_iter().filter(|chain| !self.names.contains_key(chain)));
        self.queue.push_back(Step::Keep(Keep::Heads(there)));
        self.go_on_pulling();
        Ok(())
    }

    /// Accepts what follows, and asks for more.
    pub(super) fn go_on_pulling(&mut self) {
        let names_are_read = self.names_are_read;
        if matches!(self.pulling().naming, Naming::Here) && names_are_read {
            self.pulling().naming = Naming::Known;
        }
        while let Some(page) = self.pulling().following() {
            // If the server loses both change and name one day, whoever brings it back has to know whose it is.
            let mut chains = page.entries.iter().map(|(_, entry)| entry.change().chain);
            if chains.any(|chain| !self.is_named(chain)) {
                let first = page.entries.first().map_or(0, |(position, _)| *position);
                self.pulling().held.insert(first, page);
                return self.ask_names();
            }
            let after = std::mem::replace(&mut self.pulling().cursor, page.next);
            let count = page.entries.len() as u64;
            self.report.pulled += count;
            self.report.remaining = self.report.remaining.saturating_sub(count);
            self.queue.push_back(Step::Keep(Keep::Page { after, page }));
        }
        if self.pulling().naming == Naming::Known {
            self.ask_on();
        }
    }

    fn ask_names(&mut self) {
        if !self.names_are_read {
            self.pulling().naming = Naming::Here;
            self.queue.push_back(Step::ReadChains);
        } else if !matches!(self.pulling().naming, Naming::There(_)) {
            let ask = self.ask(Request::new(Code::GET).path("/heads"), false);
            self.pulling().naming = Naming::There(ask);
        }
    }

    fn ask_on(&mut self) {
        let pull = self.pulling();
        if pull.asked.values().any(|asked| matches!(asked, Asked::Page(_))) {
            return;
        }
        // A page that waits for another one which nobody was asked for.
        if let Some((&first, _)) = pull.held.first_key_value() {
            let is_asked = pull
                .asked
                .values()
                .any(|asked| matches!(asked, Asked::Range { after, .. } if *after < first));
            if !is_asked {
                let after = pull.cursor.position;
                self.ask_range(after, first - 1, true);
            }
        }
        while let Some((asked, end)) = self.pulling().ranges
            && asked < end
        {
            let pull = self.pulling();
            if pull.asked.len() >= WINDOW || pull.held.len() >= 2 * WINDOW {
                return;
            }
            let positions = GOOD_PAGE_BYTES / pull.change_bytes.max(1.0) / pull.density.max(0.001);
            let until = asked.saturating_add(positions.clamp(1.0, MAX_RANGE) as u64).min(end);
            pull.ranges = Some((until, end));
            self.ask_range(asked, until, false);
        }
        let pull = self.pulling();
        if !pull.asked.is_empty() || !pull.held.is_empty() {
            return;
        }
        if pull.is_end {
            self.phase = Phase::Settling;
        } else {
            self.ask_page();
        }
    }
}

impl Pull {
    fn hold(&mut self, page: FeedPage) {
        if let Some((first, _)) = page.entries.first() {
            self.held.insert(*first, page);
        }
    }

    /// Takes the next page that follows from the cursor.
    fn following(&mut self) -> Option<FeedPage> {
        while let Some(first) = self.held.first_entry() {
            let page = first.get();
            if page.follows(self.cursor) {
                return Some(first.remove());
            }
            if *first.key() > self.cursor.position {
                return None;
            }
            // Another one brought it already.
            first.remove();
        }
        None
    }
}
