//! A server and a replica in memory, as simple as they can be, and a path between them that throws dice.

use std::collections::{BTreeMap, BTreeSet};

use suibi_client::{AskId, Keep, Report, Step, Sync, SyncError};
use suibi_coap::{Code, ContentFormat, Request, Response};
use suibi_journal::rescue::{rescue, rescued_chain};
use suibi_journal::{
    Body, ChainId, Change, Content, Cursor, Entry, FeedPage, Hash, Head, NoteId, Receipt, Refusal,
    Rights, coding, decode_batch, encode_answers, encode_heads,
};

/// Numbers that look random and are the same in each run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to `sides - 1`.
    pub(crate) fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

pub(crate) fn chain_id(number: u8) -> ChainId {
    ChainId::from_bytes([number; 16])
}

/// The next change of a chain: a note that says `text`.
pub(crate) fn next_entry(chain: &[Entry], id: ChainId, text: &str) -> Entry {
    let seq = chain.len() as u64 + 1;
    let salt = Hash::of(format!("{id} {seq} {text}").as_bytes());
    let change = Change {
        chain: id,
        seq,
        previous: chain.last().map(Entry::hash),
        note: NoteId::new(1_000 + seq as i64, salt.as_bytes()[..10].try_into().unwrap()),
        parents: Vec::new(),
        time: "2026-11-23T09:05:00.000+08:00".parse().unwrap(),
        content: Hash::ZERO,
    };
    let salt = salt.as_bytes()[..16].try_into().unwrap();
    let content = Content { salt, body: Body::Text(text.to_owned()), extras: BTreeMap::new() };
    Entry::new(change, content)
}

/// A server in memory.
#[derive(Clone, Default)]
pub(crate) struct Server {
    pub(crate) feed: Vec<Entry>,
    pub(crate) names: BTreeMap<ChainId, String>,
    /// Requests that it answered, by path.
    pub(crate) asked: Vec<String>,
    /// Changes that came with `again=yes`.
    pub(crate) recovered: u64,
    /// Of each change only so many positions are its own: others belong to other journals.
    pub(crate) stride: u64,
    /// It knows neither ranges nor compression, as a version of before.
    pub(crate) is_old: bool,
}

/// A server that holds one journal, and gives its positions to that alone.
pub(crate) fn new_server() -> Server {
    Server { stride: 1, ..Server::default() }
}

impl Server {
    pub(crate) fn chain(&self, id: ChainId) -> Vec<Entry> {
        self.feed.iter().filter(|entry| entry.change().chain == id).cloned().collect()
    }

    pub(crate) fn answer(&mut self, request: &Request) -> Response {
        let path = request.path_segments().join("/");
        self.asked
            .push(format!("{} {path}", if request.method == Code::POST { "POST" } else { "GET" }));
        match (request.method, path.as_str()) {
            (Code::POST, "feed") => {
                let device = request.query_value("device").unwrap();
                let is_coded = request.query_value("coding").is_some();
                if is_coded && self.is_old {
                    return Response::diagnostic(Code::BAD_REQUEST, "coding?");
                }
                let format = request.format().unwrap();
                let batch = match is_coded {
                    true => coding::decompress(&request.payload, 2 << 20).unwrap(),
                    false => request.payload.to_vec(),
                };
                let coded =
                    if is_coded { ContentFormat::OCTET_STREAM } else { ContentFormat::CBOR_SEQ };
                assert_eq!(format, coded);
                let batch = decode_batch(&batch).unwrap();
                if request.query_value("again").is_some() {
                    self.recovered += batch.len() as u64;
                }
                let answers: Vec<_> =
                    batch.into_iter().map(|entry| self.take(&device, entry)).collect();
                Response::new(Code::CHANGED).payload(encode_answers(&answers))
            }
            (Code::GET, "feed") => {
                let after = request.query_value("after").unwrap();
                let max: usize = request.query_value("max").unwrap().parse().unwrap();
                let is_coded = request.query_value("coding").is_some();
                if self.is_old && (is_coded || !after.contains('-')) {
                    return Response::diagnostic(Code::BAD_REQUEST, "what range?");
                }
                let until = request.query_value("until").map(|until| until.parse().unwrap());
                let page = match after.parse::<Cursor>() {
                    Ok(after) => self.page(after, until, max),
                    Err(_) => {
                        let after = self.cursor_at(after.parse().unwrap());
                        self.page(after, until, if is_coded { max * 2 } else { max })
                    }
                };
                match page {
                    Some(page) if is_coded => {
                        let format = ContentFormat::OCTET_STREAM;
                        let bytes = coding::compress(&page.encode());
                        Response::new(Code::CONTENT).content_format(format).payload(bytes)
                    }
                    Some(page) => Response::new(Code::CONTENT).payload(page.encode()),
                    None => Response::diagnostic(Code::CONFLICT, "not a cursor of this feed"),
                }
            }
            (Code::GET, "heads") => {
                Response::new(Code::CONTENT).payload(encode_heads(&self.heads()))
            }
            _ => Response::new(Code::NOT_FOUND),
        }
    }

    fn heads(&self) -> Vec<Head> {
        heads(&self.feed, &self.names)
    }

    fn take(&mut self, device: &str, entry: Entry) -> Result<Receipt, Refusal> {
        let change = entry.change().clone();
        let chain = self.chain(change.chain);
        let have_seq = chain.len() as u64;
        let have_hash = chain.last().map(Entry::hash);
        if let Some(at) = self.feed.iter().position(|known| *known == entry) {
            return Ok(receipt(self.position(at), &entry));
        }
        if change.seq > have_seq + 1 {
            return Err(Refusal::Gap { have_seq, have_hash });
        }
        if change.seq <= have_seq || change.previous != have_hash {
            return Err(Refusal::Fork { have_seq, have_hash });
        }
        if !device.is_empty() {
            self.names.entry(change.chain).or_insert_with(|| device.to_owned());
        }
        self.feed.push(entry);
        let at = self.feed.len() - 1;
        Ok(receipt(self.position(at), &self.feed[at]))
    }

    fn position(&self, at: usize) -> u64 {
        (at as u64 + 1) * self.stride
    }

    /// The cursor behind everything up to a position.
    fn cursor_at(&self, position: u64) -> Cursor {
        let mut cursor = Cursor::START;
        for (at, entry) in self.feed.iter().enumerate() {
            if self.position(at) <= position {
                cursor = cursor.next(self.position(at), entry.hash());
            }
        }
        cursor
    }

    fn page(&self, after: Cursor, until: Option<u64>, max: usize) -> Option<FeedPage> {
        let mut cursor = Cursor::START;
        let mut entries = Vec::new();
        let mut next = after;
        let mut len = 0;
        let mut remaining = 0;
        let mut is_known = after == cursor;
        for (at, entry) in self.feed.iter().enumerate() {
            let position = self.position(at);
            if until.is_some_and(|until| position > until) {
                break;
            }
            cursor = cursor.next(position, entry.hash());
            is_known |= after == cursor;
            if position <= after.position {
                continue;
            }
            let fits = entries.is_empty() || len + entry.encoded_len() <= max;
            if remaining > 0 || !fits {
                remaining += 1;
                continue;
            }
            len += entry.encoded_len();
            entries.push((position, entry.clone()));
            next = cursor;
        }
        is_known.then_some(FeedPage { entries, next, remaining })
    }
}

fn receipt(position: u64, entry: &Entry) -> Receipt {
    let change = entry.change();
    Receipt { chain: change.chain, seq: change.seq, position, hash: entry.hash() }
}

fn heads(entries: &[Entry], names: &BTreeMap<ChainId, String>) -> Vec<Head> {
    let mut heads = BTreeMap::new();
    for entry in entries {
        let (chain, seq, hash) = (entry.change().chain, entry.change().seq, entry.hash());
        let device = names.get(&chain).cloned().unwrap_or_default();
        let head = Head { chain, device, seq, hash };
        let known: &mut Head = heads.entry(chain).or_insert_with(|| head.clone());
        if known.seq < seq {
            *known = head;
        }
    }
    heads.into_values().collect()
}

/// A replica in memory.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) device: String,
    pub(crate) rights: Rights,
    pub(crate) own: ChainId,
    pub(crate) entries: Vec<Entry>,
    pub(crate) outbox: BTreeSet<(ChainId, u64)>,
    pub(crate) cursor: Cursor,
    pub(crate) names: BTreeMap<ChainId, String>,
    /// Where fresh chains come from.
    pub(crate) dice: u8,
}

impl Replica {
    pub(crate) fn new(device: &str, chain: u8) -> Self {
        let own = chain_id(chain);
        Self {
            device: device.to_owned(),
            rights: Rights::ALL,
            own,
            entries: Vec::new(),
            outbox: BTreeSet::new(),
            cursor: Cursor::START,
            names: [(own, device.to_owned())].into(),
            dice: chain,
        }
    }

    pub(crate) fn add(&mut self, text: &str) {
        let entry = next_entry(&self.chain(self.own), self.own, text);
        self.outbox.insert((self.own, entry.change().seq));
        self.entries.push(entry);
    }

    pub(crate) fn chain(&self, id: ChainId) -> Vec<Entry> {
        let mut chain: Vec<_> =
            self.entries.iter().filter(|entry| entry.change().chain == id).cloned().collect();
        chain.sort_by_key(|entry| entry.change().seq);
        chain
    }

    /// What it has, in an order of its own.
    pub(crate) fn contents(&self) -> BTreeSet<(ChainId, u64, Hash)> {
        contents(&self.entries)
    }

    pub(crate) fn push(&self) -> Sync {
        Sync::push(self.rights, &self.device, Some(self.own))
    }

    pub(crate) fn push_and_pull(&self) -> Sync {
        Sync::within(self.rights, &self.device, Some(self.own))
    }

    /// Takes the steps until the machine has no more; `ask` gives no answer where the path ate it.
    pub(crate) fn run(
        &mut self,
        sync: Sync,
        ask: impl FnMut(&Request) -> Option<Response>,
    ) -> Result<Report, SyncError> {
        self.run_in_order(sync, |_| 0, |_| true, ask)
    }

    /// The same, with several answers under way: `next` picks the one of so many that comes next, `lives` says whether
    /// the process is still there before each step.
    pub(crate) fn run_in_order(
        &mut self,
        mut sync: Sync,
        mut next: impl FnMut(usize) -> usize,
        mut lives: impl FnMut(&Step) -> bool,
        mut ask: impl FnMut(&Request) -> Option<Response>,
    ) -> Result<Report, SyncError> {
        let mut asked: Vec<(AskId, Request)> = Vec::new();
        loop {
            let Some(step) = sync.poll_step() else {
                if asked.is_empty() {
                    assert!(sync.is_done(), "{sync:?}");
                    return Ok(sync.into_report());
                }
                let (id, request) = asked.remove(next(asked.len()));
                match ask(&request) {
                    Some(response) => sync.handle_reply(id, &response)?,
                    None => return Ok(sync.into_report()),
                }
                continue;
            };
            if !lives(&step) {
                return Ok(sync.into_report());
            }
            match step {
                Step::ReadOutbox { max_bytes } => sync.handle_outbox(self.read_outbox(max_bytes)),
                Step::ReadCursor => sync.handle_cursor(self.cursor),
                Step::ReadChains => sync.handle_chains(&heads(&self.entries, &self.names)),
                Step::Ask { ask, request, .. } => asked.push((ask, request)),
                Step::Keep(keep) => self.keep(keep, &mut sync),
            }
        }
    }

    fn read_outbox(&self, max_bytes: usize) -> Vec<Entry> {
        let mut len = 0;
        let mut batch = Vec::new();
        for &(chain, seq) in &self.outbox {
            let waits = |entry: &&Entry| (entry.change().chain, entry.change().seq) == (chain, seq);
            let entry = self.entries.iter().find(waits).unwrap();
            len += entry.encoded_len();
            if len > max_bytes && !batch.is_empty() {
                break;
            }
            batch.push(entry.clone());
        }
        batch
    }

    fn keep(&mut self, keep: Keep, sync: &mut Sync) {
        match keep {
            Keep::Receipts(receipts) => {
                for receipt in receipts {
                    self.outbox.remove(&(receipt.chain, receipt.seq));
                }
            }
            Keep::Page { after, page } => {
                assert!(page.follows(after));
                let mut rescued = 0;
                for (_, entry) in &page.entries {
                    let (chain, seq) = (entry.change().chain, entry.change().seq);
                    if self.entries.contains(entry) {
                        self.outbox.remove(&(chain, seq));
                        continue;
                    }
                    rescued += self.rescue(chain, seq);
                    self.entries.push(entry.clone());
                }
                if self.cursor == after {
                    self.cursor = page.next;
                }
                if rescued > 0 {
                    sync.handle_rescued(rescued);
                }
            }
            Keep::NewFeed => self.cursor = Cursor::START,
            Keep::Requeue { chain, seq } => {
                let lacking = self.chain(chain).into_iter().map(|entry| entry.change().seq);
                let new = lacking.filter(|&s| s > seq && self.outbox.insert((chain, s))).count();
                sync.handle_requeued(chain, seq, new as u64);
            }
            Keep::Heads(heads) => {
                self.names.extend(heads.into_iter().map(|head| (head.chain, head.device)));
            }
            Keep::Rescue { chain, seq } => {
                let rescued = self.rescue(chain, seq);
                if rescued > 0 {
                    sync.handle_rescued(rescued);
                }
            }
        }
    }

    /// Writes what is here of a chain from a place on anew.
    fn rescue(&mut self, chain: ChainId, seq: u64) -> u64 {
        let lost: Vec<_> =
            self.chain(chain).into_iter().filter(|entry| entry.change().seq >= seq).collect();
        let Some(first) = lost.first() else { return 0 };
        let new = rescued_chain(first.hash());
        self.entries.retain(|entry| !lost.contains(entry));
        self.outbox.retain(|(c, s)| *c != chain || *s < seq);
        let name = self.names.get(&chain).cloned().unwrap_or_default();
        self.names.insert(new, name);
        for entry in rescue(&lost) {
            if !self.entries.contains(&entry) {
                self.outbox.insert((new, entry.change().seq));
                self.entries.push(entry);
            }
        }
        if chain == self.own {
            self.dice = self.dice.wrapping_add(50);
            let fresh = Hash::of(format!("{} {}", first.hash(), self.dice).as_bytes());
            self.own = ChainId::from_bytes(fresh.as_bytes()[..16].try_into().unwrap());
            self.names.insert(self.own, self.device.clone());
        }
        lost.len() as u64
    }
}

pub(crate) fn contents(entries: &[Entry]) -> BTreeSet<(ChainId, u64, Hash)> {
    let key = |entry: &Entry| (entry.change().chain, entry.change().seq, entry.hash());
    let all: BTreeSet<_> = entries.iter().map(key).collect();
    assert_eq!(all.len(), entries.len(), "each once");
    all
}

/// The texts, each as often as there is a note with it.
pub(crate) fn texts(entries: &[Entry]) -> Vec<String> {
    let notes: BTreeMap<NoteId, String> = entries
        .iter()
        .filter_map(|entry| match &entry.content()?.body {
            Body::Text(text) => Some((entry.change().note, text.clone())),
            _ => None,
        })
        .collect();
    let mut texts: Vec<_> = notes.into_values().collect();
    texts.sort();
    texts
}
