//! When to ask the server what: pushing the outbox and pulling the feed, as a machine.
//!
//! ```text
//! ReadOutbox ─> POST /feed ─> Keep(Receipts) ─┐          ReadCursor ─> GET /feed ─> Keep(Page) ─┐
//!      ^                                      │               ^                                 │
//!      └────────── until it is empty ─────────┘               └───── until nothing remains ─────┘
//! ```
//!
//! Nothing of a run has to be remembered: what has no receipt is in the outbox, what was pulled moved the cursor in
//! the same transaction. So a run may end at any point, be it a lost answer or a lost process, and the next one goes
//! on from the replica; sending twice, and hearing twice, is harmless.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::{
    ChainId, Cursor, Entry, FeedPage, Head, Receipt, Refusal, Rights, decode_answers, decode_heads,
    encode_batch,
};

use crate::error::SyncError;

/// How much is asked for, or sent, first: it fits one datagram with the options beside it.
pub const FIRST_BYTES: usize = 1_000;

/// How much at most: one batch is one transaction at either end, and blocks carry it (RFC 7959).
pub const MAX_BYTES: usize = 64 << 10;

/// How much of the feed is asked for in one page, at most, as it travels: below what OSCORE protects at once.
pub(crate) const PAGE_BYTES: usize = 60_000;

/// The name of a device that nobody could tell us.
const NAMELESS: &str = "?";

/// What is to be done next, in this order, before [`Sync::poll_step`] is asked again.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Read the changes without a receipt, oldest first, about so many bytes, and give them to
    /// [`Sync::handle_outbox`].
    ReadOutbox {
        /// Encoded length of the changes together; one change alone may be longer.
        max_bytes: usize,
    },
    /// Read the replica's cursor, and give it to [`Sync::handle_cursor`].
    ReadCursor,
    /// Read the last change of every chain that the replica has, and give them to [`Sync::handle_chains`].
    ReadChains,
    /// Send this to the server; its answer goes to [`Sync::handle_reply`]. Without an answer, drop the machine.
    Ask(Request),
    /// Write this to the replica.
    Keep(Keep),
}

/// What the server said, for the replica to keep.
#[derive(Debug, Clone, PartialEq)]
pub enum Keep {
    /// These changes are durable on the server.
    Receipts(Vec<Receipt>),
    /// The changes of the feed after a cursor, which moves with them in one transaction.
    Page {
        /// The cursor before it.
        after: Cursor,
        /// The page.
        page: FeedPage,
    },
    /// The feed is another one (a restored server): the cursor goes back to the start. What is known stays known.
    NewFeed,
    /// The server lacks the changes of `chain` after `seq`, receipt or not: they go to the outbox again.
    Requeue {
        /// A chain of this device, or of another one that may not come by soon.
        chain: ChainId,
        /// The last that the server has; 0 when it has none.
        seq: u64,
    },
    /// Chains with their devices' names.
    Heads(Vec<Head>),
}

/// What a run has done so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What the server confirmed.
    pub receipts: Vec<Receipt>,
    /// Own changes that the server does not take, and why. They stay in the outbox.
    pub refused: Vec<Refused>,
    /// Changes that came with pages, known ones among them.
    pub pulled: u64,
    /// Changes that the server still has for us, as far as it has told.
    pub remaining: u64,
}

/// A change that the server does not take.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The change's chain.
    pub chain: ChainId,
    /// Its place there.
    pub seq: u64,
    /// Why, in the server's words.
    pub refusal: Refusal,
}

/// One run of the sync. See the module's picture.
#[derive(Debug)]
pub struct Sync {
    pushes: bool,
    pulls: bool,
    queue: VecDeque<Step>,
    awaiting: Awaiting,
    push_bytes: usize,
    pull_bytes: usize,
    /// Which device each chain belongs to, as far as it had to be known.
    names: BTreeMap<ChainId, String>,
    /// The replica was asked for the names that it knows.
    names_are_read: bool,
    /// Chains that the server refused in this run: theirs stay in the outbox, and those of others go.
    refused: BTreeSet<ChainId>,
    /// The last gap that was mended, lest a server that lacks it for ever is asked for ever.
    mended: Option<(ChainId, u64)>,
    /// Whether to compare, at the end, what the server has of each chain.
    compares: bool,
    /// It was compared in this run; a second time would be a circle.
    is_compared: bool,
    /// The server's feed turned out to be another one.
    is_new_feed: bool,
    /// Chains whose device the server could not tell.
    nameless: BTreeSet<ChainId>,
    report: Report,
}

/// What the last step will bring.
#[derive(Debug)]
enum Awaiting {
    Nothing,
    Outbox,
    Cursor,
    /// The chains here, for the names of those in the outbox.
    NamesToPush,
    /// The chains here, for the names of those of a page.
    NamesForPage(Cursor, FeedPage),
    /// The chains here, to compare with those there.
    Comparison(Vec<Head>),
    /// Answers to these.
    Answers(Vec<Entry>),
    /// The page after this.
    Page(Cursor),
    /// The chains there, for the names of those of a page.
    HeadsForPage(Cursor, FeedPage),
    /// The chains there, to compare with those here.
    HeadsToCompare,
}

impl Sync {
    /// A run that delivers the outbox of `device`, whose own chain is `own` if it has one yet, and ends.
    pub fn push(device: &str, own: Option<ChainId>) -> Self {
        Self::new(device, own, false)
    }

    /// A run that delivers the outbox as [`Sync::push`] does, then pulls the feed until nothing remains.
    pub fn push_and_pull(device: &str, own: Option<ChainId>) -> Self {
        Self::new(device, own, true)
    }

    /// Besides, at the end, compares what both have of each chain, and gives the server what it lacks.
    ///
    /// A server that was restored from a backup may have lost changes for which it gave receipts, and still know our
    /// cursor, if we never read so far. One more request tells; it is meant for the first run of a process.
    #[must_use]
    pub fn comparing(mut self) -> Self {
        self.compares = true;
        self
    }

    /// As much of [`Sync::push_and_pull`] as these rights allow: who may only read pulls and gives nothing, who may only
    /// add delivers and asks nothing.
    pub fn within(rights: Rights, device: &str, own: Option<ChainId>) -> Self {
        let mut sync = Self::new(device, own, rights.read);
        if !rights.write {
            sync.pushes = false;
            sync.queue.clear();
            sync.after_push();
        }
        sync
    }

    fn new(device: &str, own: Option<ChainId>, pulls: bool) -> Self {
        let mut sync = Self {
            pushes: true,
            pulls,
            queue: VecDeque::new(),
            awaiting: Awaiting::Nothing,
            push_bytes: FIRST_BYTES,
            pull_bytes: FIRST_BYTES,
            names: own.into_iter().map(|chain| (chain, device.to_owned())).collect(),
            names_are_read: false,
            refused: BTreeSet::new(),
            mended: None,
            compares: false,
            is_compared: false,
            is_new_feed: false,
            nameless: BTreeSet::new(),
            report: Report::default(),
        };
        sync.read_outbox();
        sync
    }

    /// What [`Step::ReadOutbox`] found.
    pub fn handle_outbox(&mut self, mut entries: Vec<Entry>) {
        if !matches!(self.awaiting, Awaiting::Outbox) {
            return;
        }
        entries.retain(|entry| !self.refused.contains(&entry.change().chain));
        let Some(first) = entries.first() else {
            return self.after_push();
        };
        let named = |entry: &Entry| self.names.get(&entry.change().chain);
        if named(first).is_none() && !self.names_are_read {
            // Changes of another device, which a restored server lost: they go there under its name.
            self.queue.push_back(Step::ReadChains);
            self.awaiting = Awaiting::NamesToPush;
            return;
        }
        let device = named(first).cloned();
        let same = entries.iter().take_while(|entry| named(entry) == device.as_ref()).count();
        entries.truncate(same);
        // Later batches are larger: the first is the note just written, more is a backlog.
        self.push_bytes = (self.push_bytes * 8).min(MAX_BYTES);
        let request = Request::new(Code::POST)
            .path("/feed")
            .query("device", device.as_deref().unwrap_or(NAMELESS))
            .content_format(ContentFormat::CBOR_SEQ)
            .payload(encode_batch(&entries));
        self.queue.push_back(Step::Ask(request));
        self.awaiting = Awaiting::Answers(entries);
    }

    /// What [`Step::ReadCursor`] found.
    pub fn handle_cursor(&mut self, cursor: Cursor) {
        if matches!(self.awaiting, Awaiting::Cursor) {
            self.ask_page(cursor);
        }
    }

    /// What [`Step::ReadChains`] found.
    pub fn handle_chains(&mut self, chains: &[Head]) {
        match std::mem::replace(&mut self.awaiting, Awaiting::Nothing) {
            Awaiting::NamesToPush => {
                self.learn(chains);
                self.names_are_read = true;
                self.read_outbox();
            }
            Awaiting::NamesForPage(after, page) => {
                self.learn(chains);
                self.names_are_read = true;
                self.keep_page(after, page);
            }
            Awaiting::Comparison(there) => self.compare(chains, &there),
            other => self.awaiting = other,
        }
    }

    /// The server's answer to the last [`Step::Ask`].
    ///
    /// # Errors
    ///
    /// When it ends the run. An answer that nobody waits for is ignored.
    pub fn handle_reply(&mut self, response: &Response) -> Result<(), SyncError> {
        match std::mem::replace(&mut self.awaiting, Awaiting::Nothing) {
            Awaiting::Answers(sent) => self.on_answers(&sent, response),
            Awaiting::Page(after) => self.on_page(after, response),
            Awaiting::HeadsForPage(after, page) => {
                let there = heads(response)?;
                self.learn(&there);
                let chains = page.entries.iter().map(|(_, entry)| entry.change().chain);
                self.nameless.extend(chains.filter(|chain| !self.names.contains_key(chain)));
                self.queue.push_back(Step::Keep(Keep::Heads(there)));
                self.keep_page(after, page);
                Ok(())
            }
            Awaiting::HeadsToCompare => {
                let there = heads(response)?;
                self.learn(&there);
                self.queue.push_back(Step::Keep(Keep::Heads(there.clone())));
                self.queue.push_back(Step::ReadChains);
                self.awaiting = Awaiting::Comparison(there);
                Ok(())
            }
            other => {
                self.awaiting = other;
                Ok(())
            }
        }
    }

    /// The next thing to do; `None` while something is awaited, and at the end.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.queue.pop_front()
    }

    /// Whether everything is done.
    pub fn is_done(&self) -> bool {
        self.queue.is_empty() && matches!(self.awaiting, Awaiting::Nothing)
    }

    /// What it has done so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What it has done, at the end.
    pub fn into_report(self) -> Report {
        self.report
    }

    fn read_outbox(&mut self) {
        if !self.pushes {
            return self.after_push();
        }
        self.queue.push_back(Step::ReadOutbox { max_bytes: self.push_bytes });
        self.awaiting = Awaiting::Outbox;
    }

    fn after_push(&mut self) {
        self.awaiting = Awaiting::Nothing;
        if self.pulls {
            self.queue.push_back(Step::ReadCursor);
            self.awaiting = Awaiting::Cursor;
        }
    }

    fn ask_page(&mut self, after: Cursor) {
        let request = Request::new(Code::GET)
            .path("/feed")
            .query("after", &after.to_string())
            .query("max", &self.pull_bytes.to_string());
        self.queue.push_back(Step::Ask(request));
        self.awaiting = Awaiting::Page(after);
    }

    fn ask_heads(&mut self, awaiting: Awaiting) {
        let request = Request::new(Code::GET).path("/heads");
        self.queue.push_back(Step::Ask(request));
        self.awaiting = awaiting;
    }

    fn on_answers(&mut self, sent: &[Entry], response: &Response) -> Result<(), SyncError> {
        if response.code == Code::REQUEST_ENTITY_TOO_LARGE && sent.len() > 1 {
            // A server with smaller bounds: go on one datagram at a time.
            self.push_bytes = FIRST_BYTES;
            self.queue.push_back(Step::ReadOutbox { max_bytes: FIRST_BYTES });
            self.awaiting = Awaiting::Outbox;
            return Ok(());
        }
        let payload = success(response)?;
        let answers = decode_answers(payload).map_err(nonsense)?;
        if answers.len() != sent.len() {
            let text = format!("{} answers for {} changes", answers.len(), sent.len());
            return Err(SyncError::Nonsense(text));
        }

        let mut receipts = Vec::new();
        let mut refused = Vec::new();
        for (entry, answer) in sent.iter().zip(answers) {
            let change = entry.change();
            match answer {
                // Only a receipt for exactly what we sent counts as one.
                Ok(receipt)
                    if (receipt.chain, receipt.seq, receipt.hash)
                        == (change.chain, change.seq, entry.hash()) =>
                {
                    receipts.push(receipt);
                }
                Ok(receipt) => {
                    let text = format!("a receipt for another change, {receipt}");
                    return Err(SyncError::Nonsense(text));
                }
                Err(refusal) => {
                    refused.push(Refused { chain: change.chain, seq: change.seq, refusal });
                }
            }
        }
        let confirmed = !receipts.is_empty();
        if confirmed {
            self.report.receipts.extend_from_slice(&receipts);
            self.queue.push_back(Step::Keep(Keep::Receipts(receipts)));
        }
        match refused.into_iter().next() {
            None => self.read_outbox(),
            Some(first) => self.on_refused(first, confirmed),
        }
        Ok(())
    }

    /// The first refusal tells the cause; those behind it in the same chain follow from it.
    fn on_refused(&mut self, refused: Refused, confirmed: bool) {
        if let Refusal::Gap { have_seq, .. } = &refused.refusal {
            let gap = (refused.chain, *have_seq);
            if *have_seq < refused.seq && (confirmed || self.mended != Some(gap)) {
                self.mended = Some(gap);
                let (chain, seq) = gap;
                self.queue.push_back(Step::Keep(Keep::Requeue { chain, seq }));
                return self.read_outbox();
            }
        }
        // Those of other chains may stand behind it, as far as one reading of the outbox goes.
        self.push_bytes = MAX_BYTES;
        self.refused.insert(refused.chain);
        self.report.refused.push(refused);
        self.read_outbox();
    }

    fn on_page(&mut self, after: Cursor, response: &Response) -> Result<(), SyncError> {
        if response.code == Code::CONFLICT && !self.is_compared {
            self.is_new_feed = true;
            self.queue.push_back(Step::Keep(Keep::NewFeed));
            self.ask_heads(Awaiting::HeadsToCompare);
            return Ok(());
        }
        let page = FeedPage::decode(success(response)?).map_err(nonsense)?;
        if !page.follows(after) {
            return Err(SyncError::Nonsense("a page of the feed does not add up".into()));
        }
        if page.entries.is_empty() && page.remaining > 0 {
            return Err(SyncError::Nonsense("an empty page, and more to come".into()));
        }

        self.keep_page(after, page);
        Ok(())
    }

    /// Keeps a page once the names of its chains' devices are known: if the server loses both one day, whoever brings
    /// the changes back has to know whose they are.
    fn keep_page(&mut self, after: Cursor, page: FeedPage) {
        let mut chains = page.entries.iter().map(|(_, entry)| entry.change().chain);
        if chains.any(|chain| !self.is_named(chain)) {
            if self.names_are_read {
                self.ask_heads(Awaiting::HeadsForPage(after, page));
            } else {
                self.queue.push_back(Step::ReadChains);
                self.awaiting = Awaiting::NamesForPage(after, page);
            }
            return;
        }
        self.report.pulled += page.entries.len() as u64;
        self.report.remaining = page.remaining;
        let (end, remaining) = (page.next, page.remaining);
        if !page.entries.is_empty() {
            self.queue.push_back(Step::Keep(Keep::Page { after, page }));
        }
        if remaining > 0 {
            self.pull_bytes = (self.pull_bytes * 8).min(MAX_BYTES);
            self.ask_page(end);
        } else if self.compares && !self.is_compared {
            self.ask_heads(Awaiting::HeadsToCompare);
        }
    }

    fn is_named(&self, chain: ChainId) -> bool {
        self.names.contains_key(&chain) || self.nameless.contains(&chain)
    }

    /// Gives the server what it lacks, of whichever device, then pulls on. When nothing is lacking, that is all, unless
    /// its feed is another one than we knew.
    fn compare(&mut self, here: &[Head], there: &[Head]) {
        self.learn(here);
        self.names_are_read = true;
        self.is_compared = true;
        let mut is_lacking = false;
        for Head { chain, seq, .. } in here {
            let has = there.iter().find(|head| head.chain == *chain).map_or(0, |head| head.seq);
            if has < *seq && self.pushes {
                is_lacking = true;
                self.queue.push_back(Step::Keep(Keep::Requeue { chain: *chain, seq: has }));
            }
        }
        if is_lacking || self.is_new_feed {
            self.read_outbox();
        }
    }

    fn learn(&mut self, chains: &[Head]) {
        for Head { chain, device, .. } in chains {
            if !device.is_empty() {
                self.names.entry(*chain).or_insert_with(|| device.clone());
            }
        }
    }
}

fn heads(response: &Response) -> Result<Vec<Head>, SyncError> {
    decode_heads(success(response)?).map_err(nonsense)
}

fn success(response: &Response) -> Result<&[u8], SyncError> {
    if response.code.is_success() { Ok(&response.payload) } else { Err(SyncError::of(response)) }
}

fn nonsense(error: impl std::fmt::Display) -> SyncError {
    SyncError::Nonsense(error.to_string())
}
