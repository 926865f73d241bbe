//! When to ask the server what: pushing the outbox and pulling the feed, as a machine.
//!
//! ```text
//!          ┌──────────── the outbox is empty ────────────┐       ┌─── nothing remains ───> compare ───> done
//!          │                                             v       │                           │
//! ReadOutbox ─> POST /feed … ─> Keep(Receipts)         ReadCursor ─> GET /feed … ─> Keep(Page)  │ something lacks there
//!     ^  ^                            │                  ^ a fork: what the feed has decides    │
//!     │  └──── there is more ─────────┘                  └─────── refused with a fork ──────    │
//!     └──────────────── rescued, or lacking there ──────────────────────────────────────────────┘
//! ```
//!
//! Nothing of a run has to be remembered: what has no receipt is in the outbox, what was pulled moved the cursor in
//! the same transaction. So a run may end at any point, be it a lost answer or a lost process, and the next one goes
//! on from the replica; sending twice, and hearing twice, is harmless.
//!
//! One note is one small request. With more to do, several requests are under way at once, and their answers may come
//! in any order: batches of the outbox in waves, pages of the feed by ranges of positions ([`pull`]). Each page proves by
//! its running hash that it follows from the one before, so that a range that was cut short is seen and asked for again.

mod pull;
mod push;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use suibi_coap::{Code, Request, Response};
use suibi_journal::{
    ChainId, Cursor, Entry, FeedPage, Head, Receipt, Refusal, Rights, decode_heads,
};

use crate::error::SyncError;
use pull::Pull;
use push::Push;

/// How much is asked for, or sent, first: it fits one datagram with the options beside it.
pub const FIRST_BYTES: usize = 1_000;

/// With more than this to send or to fetch it is worth while to compress, and to have several requests under way.
pub const BULK_BYTES: usize = 64 << 10;

/// How much travels in one batch or one page, at most: below what OSCORE encrypts at once (65,535 bytes).
pub const PAGE_BYTES: usize = 60_000;

/// So many requests are under way at once when there is much to do.
const WINDOW: usize = 8;

/// The longest page once decompressed.
const MAX_DECODED_BYTES: usize = 4 << 20;

/// How often a run begins anew to push, because forks were rescued or the server lacked something. Each time something
/// has moved, so that this is for servers that make no sense.
const MAX_ROUNDS: u32 = 8;

/// The name of a device that nobody could tell us.
const NAMELESS: &str = "?";

/// Which request of a run an answer belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

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
    /// Send this to the server; its answer goes to [`Sync::handle_reply`]. Several may be under way, and answers come in
    /// any order. Without an answer, drop the machine.
    Ask {
        /// What the answer has to be given back with.
        ask: AskId,
        /// The request.
        request: Request,
        /// Whether it is part of something long, so that a stream is the better way.
        bulk: bool,
    },
    /// Write this to the replica; [`Sync::handle_rescued`] and [`Sync::handle_requeued`] want to hear what came of it.
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
    /// The server has other changes in a chain from `seq` on, and this device may not read them: what is here from there
    /// on goes to a chain of its own. [`Sync::handle_rescued`] wants to hear of it.
    Rescue {
        /// The chain.
        chain: ChainId,
        /// The first place that the server did not take.
        seq: u64,
    },
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
    /// Changes that were written anew on a chain of their own, because their places were taken.
    pub rescued: u64,
    /// Changes that the server had lost, though there were receipts for them, and got back.
    pub recovered: u64,
}

impl Report {
    /// Takes in what a run after it has done.
    pub(crate) fn add(&mut self, after: Self) {
        let Self { receipts, refused, pulled, remaining, rescued, recovered } = after;
        self.receipts.extend(receipts);
        // What it refused before it refuses again.
        let is_new = |one: &Refused| !self.refused.contains(one);
        let refused: Vec<_> = refused.into_iter().filter(is_new).collect();
        self.refused.extend(refused);
        self.pulled += pulled;
        self.remaining = remaining;
        self.rescued += rescued;
        self.recovered += recovered;
    }
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
    rights: Rights,
    device: String,
    /// Whether the feed is pulled in any case; a fork makes it necessary.
    pulls: bool,
    /// Whether to compare, at the end, what the server has of each chain.
    compares: bool,
    queue: VecDeque<Step>,
    next_ask: u64,
    phase: Phase,
    /// Which device each chain belongs to, as far as it had to be known.
    names: BTreeMap<ChainId, String>,
    /// The replica was asked for the names that it knows.
    names_are_read: bool,
    /// Chains whose device the server could not tell.
    nameless: BTreeSet<ChainId>,
    /// Chains that the server refused in this run: theirs stay in the outbox, and those of others go.
    refused: BTreeSet<ChainId>,
    /// Chains that the server has otherwise; they wait for the feed to say what it has.
    forked: BTreeMap<ChainId, Refused>,
    /// Places of chains that were put into the outbox again, from the first to the last.
    again: BTreeMap<ChainId, (u64, u64)>,
    /// Changes that a device without a look at the server sends again, to see whether it still has them: the places
    /// before them.
    probes: BTreeSet<(ChainId, u64)>,
    /// Forked chains that a device without a look at the server has sent again from their beginning, to see where.
    searched: BTreeSet<ChainId>,
    /// The last gap that was mended, lest a server that lacks it for ever is asked for ever.
    mended: Option<(ChainId, u64)>,
    /// The ends of chains that the server had and the replica had not, when they were compared.
    ahead: Vec<(ChainId, u64)>,
    /// It was compared in this run; a second time would be a circle.
    is_compared: bool,
    /// The feed is read from its beginning, once in a run at most.
    is_read_anew: bool,
    /// The server's feed turned out to be another one.
    is_new_feed: bool,
    /// How often it began to push.
    rounds: u32,
    /// Changes were rescued since the outbox was read last.
    has_rescued: bool,
    /// The server does not take what is compressed, and knows no ranges.
    is_plain: bool,
    /// The server takes no batch that is longer than a datagram.
    is_small: bool,
    report: Report,
}

/// What it is about.
#[derive(Debug)]
enum Phase {
    Pushing(Push),
    /// The cursor is being read.
    AwaitingCursor,
    Pulling(Pull),
    /// The chains there.
    AwaitingHeads(AskId),
    /// The chains here, to compare them with those there.
    Comparing(Vec<Head>),
    /// The chains here, to see whether what the server had more of some has come with the feed.
    Checking(Vec<(ChainId, u64)>),
    /// The chains here, whose ends are sent again.
    Probing,
    /// Everything is answered; what came is being kept.
    Settling,
    Done,
}

impl Sync {
    /// A run that delivers the outbox of `device`, whose own chain is `own` if it has one yet, and ends.
    ///
    /// Only where that shows a fork is the feed read as well: it says which of two changes stands.
    pub fn push(rights: Rights, device: &str, own: Option<ChainId>) -> Self {
        Self::new(rights, device, own, false)
    }

    /// A run that delivers the outbox, then pulls the feed until nothing remains; as much of it as the rights allow: who
    /// may only read pulls and gives nothing, who may only add delivers and asks nothing.
    pub fn within(rights: Rights, device: &str, own: Option<ChainId>) -> Self {
        Self::new(rights, device, own, rights.read)
    }

    /// Besides, at the end, compares what both have of each chain, and gives the server what it lacks.
    ///
    /// A server that was restored from a backup may have lost changes for which it gave receipts, and still know our
    /// cursor, if we never read so far. One more request tells; it is meant for the first run of a process. Who may only
    /// add sends the end of each of its chains again instead.
    #[must_use]
    pub fn comparing(mut self) -> Self {
        self.compares = true;
        self
    }

    fn new(rights: Rights, device: &str, own: Option<ChainId>, pulls: bool) -> Self {
        let mut sync = Self {
            rights,
            device: device.to_owned(),
            pulls,
            compares: false,
            queue: VecDeque::new(),
            next_ask: 0,
            phase: Phase::Done,
            names: own.into_iter().map(|chain| (chain, device.to_owned())).collect(),
            names_are_read: false,
            nameless: BTreeSet::new(),
            refused: BTreeSet::new(),
            forked: BTreeMap::new(),
            again: BTreeMap::new(),
            probes: BTreeSet::new(),
            searched: BTreeSet::new(),
            mended: None,
            ahead: Vec::new(),
            is_compared: false,
            is_read_anew: false,
            is_new_feed: false,
            rounds: 0,
            has_rescued: false,
            is_plain: false,
            is_small: false,
            report: Report::default(),
        };
        sync.begin_push();
        sync
    }

    /// What [`Step::ReadOutbox`] found.
    pub fn handle_outbox(&mut self, entries: Vec<Entry>) {
        if matches!(&self.phase, Phase::Pushing(push) if push.awaits_outbox()) {
            self.on_outbox(entries);
        }
    }

    /// What [`Step::ReadCursor`] found.
    pub fn handle_cursor(&mut self, cursor: Cursor) {
        if matches!(self.phase, Phase::AwaitingCursor) {
            self.begin_pull(cursor);
        }
    }

    /// What [`Step::ReadChains`] found.
    pub fn handle_chains(&mut self, chains: &[Head]) {
        match &mut self.phase {
            Phase::Pushing(push) if push.awaits_names() => {
                self.learn(chains);
                self.names_are_read = true;
                self.read_outbox();
            }
            Phase::Pulling(pull) if pull.awaits_names() => {
                self.learn(chains);
                self.names_are_read = true;
                self.go_on_pulling();
            }
            Phase::Comparing(there) => {
                let there = std::mem::take(there);
                self.compare(chains, &there);
            }
            Phase::Checking(ahead) => {
                let ahead = std::mem::take(ahead);
                self.check(chains, &ahead);
            }
            Phase::Probing => self.probe(chains),
            _ => {}
        }
    }

    /// A [`Keep::Page`] or a [`Keep::Rescue`] wrote so many changes anew.
    pub fn handle_rescued(&mut self, changes: u64) {
        self.report.rescued += changes;
        self.has_rescued = true;
        // On chains that nobody here has heard of.
        self.names_are_read = false;
    }

    /// A [`Keep::Requeue`] put so many changes after `seq` into the outbox that were not there.
    pub fn handle_requeued(&mut self, chain: ChainId, seq: u64, changes: u64) {
        if changes > 0 && !self.probes.remove(&(chain, seq)) {
            let (first, last) = self.again.entry(chain).or_insert((seq + 1, seq));
            *first = (*first).min(seq + 1);
            *last = (*last).max(seq + changes);
        }
    }

    /// The server's answer to a [`Step::Ask`].
    ///
    /// # Errors
    ///
    /// When it ends the run. An answer that nobody waits for is ignored.
    pub fn handle_reply(&mut self, ask: AskId, response: &Response) -> Result<(), SyncError> {
        match &mut self.phase {
            Phase::Pushing(_) => self.on_answers(ask, response),
            Phase::Pulling(_) => self.on_pulled(ask, response),
            Phase::AwaitingHeads(awaited) if *awaited == ask => {
                let there = heads(response)?;
                self.learn(&there);
                self.queue.push_back(Step::Keep(Keep::Heads(there.clone())));
                self.queue.push_back(Step::ReadChains);
                self.phase = Phase::Comparing(there);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The next thing to do; `None` while something is awaited, and at the end.
    pub fn poll_step(&mut self) -> Option<Step> {
        // Only when everything was kept is it known what came of that.
        while self.queue.is_empty() && matches!(self.phase, Phase::Settling) {
            self.settle();
        }
        self.queue.pop_front()
    }

    /// Whether everything is done.
    pub fn is_done(&self) -> bool {
        self.queue.is_empty() && matches!(self.phase, Phase::Done)
    }

    /// What it has done so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// What it has done, at the end.
    pub fn into_report(self) -> Report {
        self.report
    }

    fn begin_push(&mut self) {
        if !self.rights.write {
            return self.after_push();
        }
        self.rounds += 1;
        self.phase = Phase::Pushing(Push::default());
        self.read_outbox();
    }

    /// The outbox is empty, but for what the server does not take.
    fn after_push(&mut self) {
        if self.pulls || !self.forked.is_empty() && self.rights.read {
            self.queue.push_back(Step::ReadCursor);
            self.phase = Phase::AwaitingCursor;
            return;
        }
        // A drop cannot see what is there instead, only from where on: changes before the one that was refused had
        // receipts, of a server that was put back since, perhaps.
        let is_unsure = |chain: ChainId, seq: u64| {
            let is_before = |receipt: &Receipt| (receipt.chain, receipt.seq) == (chain, seq - 1);
            seq > 1
                && !self.searched.contains(&chain)
                && !self.report.receipts.iter().any(is_before)
        };
        let unsure = self.forked.iter().map(|(&chain, refused)| (chain, refused.seq));
        let unsure: Vec<_> = unsure.filter(|&(chain, seq)| is_unsure(chain, seq)).collect();
        for &(chain, _) in &unsure {
            self.forked.remove(&chain);
            self.searched.insert(chain);
            self.probes.insert((chain, 0));
            self.queue.push_back(Step::Keep(Keep::Requeue { chain, seq: 0 }));
        }
        if !unsure.is_empty() {
            return self.begin_push();
        }
        for (&chain, refused) in &self.forked {
            let seq = refused.seq;
            self.queue.push_back(Step::Keep(Keep::Rescue { chain, seq }));
        }
        self.phase = Phase::Settling;
    }

    /// Everything that was asked is answered, and what came is kept: is there a reason to go on?
    fn settle(&mut self) {
        if std::mem::take(&mut self.has_rescued) && self.rounds < MAX_ROUNDS {
            self.forked.clear();
            return self.begin_push();
        }
        if !self.forked.is_empty() && self.rights.read && !self.is_read_anew {
            // The feed has said nothing of it lately, so it was earlier.
            return self.read_anew();
        }
        for refused in std::mem::take(&mut self.forked).into_values() {
            self.refuse(refused);
        }
        if !self.ahead.is_empty() {
            self.queue.push_back(Step::ReadChains);
            self.phase = Phase::Checking(std::mem::take(&mut self.ahead));
            return;
        }
        if self.compares && !self.is_compared {
            if self.pulls {
                return self.ask_heads();
            }
            if self.rights.is_drop() {
                self.is_compared = true;
                self.queue.push_back(Step::ReadChains);
                self.phase = Phase::Probing;
                return;
            }
        }
        self.phase = Phase::Done;
    }

    /// Reads the feed from its beginning.
    fn read_anew(&mut self) {
        self.is_read_anew = true;
        self.queue.push_back(Step::Keep(Keep::NewFeed));
        self.queue.push_back(Step::ReadCursor);
        self.phase = Phase::AwaitingCursor;
    }

    fn ask_heads(&mut self) {
        let ask = self.ask(Request::new(Code::GET).path("/heads"), false);
        self.phase = Phase::AwaitingHeads(ask);
    }

    /// Gives the server what it lacks, of whichever device, then pulls on. When nothing is lacking on either side, that is
    /// all, unless its feed is another one than we knew.
    fn compare(&mut self, here: &[Head], there: &[Head]) {
        self.learn(here);
        self.names_are_read = true;
        self.is_compared = true;
        let has = |chain, seq| here.iter().any(|head| head.chain == chain && head.seq >= seq);
        let there_ends = there.iter().map(|head| (head.chain, head.seq));
        self.ahead = there_ends.filter(|&(chain, seq)| !has(chain, seq)).collect();
        let mut is_lacking = false;
        for Head { chain, seq, hash, .. } in here {
            let has = there.iter().find(|head| head.chain == *chain);
            let has_seq = has.map_or(0, |head| head.seq);
            if has_seq < *seq && self.rights.write {
                is_lacking = true;
                self.queue.push_back(Step::Keep(Keep::Requeue { chain: *chain, seq: has_seq }));
            }
            if let Some(has) = has
                && has.seq == *seq
                && has.hash != *hash
            {
                let refusal = Refusal::Fork { have_seq: has.seq, have_hash: Some(has.hash) };
                self.forked.insert(*chain, Refused { chain: *chain, seq: *seq, refusal });
            }
        }
        if is_lacking || std::mem::take(&mut self.is_new_feed) {
            self.begin_push();
        } else if !self.ahead.is_empty() {
            // Others have written since the last page, or the replica lacks something before its cursor.
            self.queue.push_back(Step::ReadCursor);
            self.phase = Phase::AwaitingCursor;
        } else {
            self.phase = Phase::Settling;
        }
    }

    /// What the server had when it was compared should be here by now. If it is not, it stands before the cursor.
    fn check(&mut self, here: &[Head], ahead: &[(ChainId, u64)]) {
        let has = |chain, seq| here.iter().any(|head| head.chain == chain && head.seq >= seq);
        if ahead.iter().all(|&(chain, seq)| has(chain, seq)) || self.is_read_anew {
            self.phase = Phase::Settling;
        } else {
            self.read_anew();
        }
    }

    /// A drop may not ask what the server has of its chains. It sends the end of each once more: the answer is the same
    /// receipt, or that changes before it are missing.
    fn probe(&mut self, here: &[Head]) {
        self.learn(here);
        self.names_are_read = true;
        // What was confirmed just now need not be asked for.
        let confirmed = |head: &&Head| {
            let mut receipts = self.report.receipts.iter();
            receipts.any(|receipt| (receipt.chain, receipt.seq) == (head.chain, head.seq))
        };
        let own = here.iter().filter(|head| head.device == self.device);
        let unsure: Vec<_> = own.filter(|head| !confirmed(head)).collect();
        for Head { chain, seq, .. } in &unsure {
            let before = seq.saturating_sub(1);
            self.probes.insert((*chain, before));
            self.queue.push_back(Step::Keep(Keep::Requeue { chain: *chain, seq: before }));
        }
        if unsure.is_empty() {
            self.phase = Phase::Done;
        } else {
            self.begin_push();
        }
    }

    fn refuse(&mut self, refused: Refused) {
        self.refused.insert(refused.chain);
        self.report.refused.push(refused);
    }

    fn ask(&mut self, request: Request, bulk: bool) -> AskId {
        let ask = AskId(self.next_ask);
        self.next_ask += 1;
        self.queue.push_back(Step::Ask { ask, request, bulk });
        ask
    }

    fn is_named(&self, chain: ChainId) -> bool {
        self.names.contains_key(&chain) || self.nameless.contains(&chain)
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

/// A server of another version, that does not take the request for how it is written.
fn is_not_understood(response: &Response) -> bool {
    matches!(
        response.code,
        Code::BAD_REQUEST
            | Code::BAD_OPTION
            | Code::NOT_ACCEPTABLE
            | Code::UNSUPPORTED_CONTENT_FORMAT
    )
}

fn nonsense(error: impl std::fmt::Display) -> SyncError {
    SyncError::Nonsense(error.to_string())
}
