//! A server and a replica in memory, as simple as they can be, and a path between them that throws dice.

use std::collections::{BTreeMap, BTreeSet};

use suibi_client::{Keep, Report, Step, Sync, SyncError};
use suibi_coap::{Code, Request, Response};
use suibi_journal::{
    Body, ChainId, Change, Content, Cursor, Entry, FeedPage, Hash, Head, NoteId, Receipt, Refusal,
    decode_batch, encode_answers, encode_heads,
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
                let answers: Vec<_> = decode_batch(&request.payload)
                    .unwrap()
                    .into_iter()
                    .map(|entry| self.take(&device, entry))
                    .collect();
                Response::new(Code::CHANGED).payload(encode_answers(&answers))
            }
            (Code::GET, "feed") => {
                let after: Cursor = request.query_value("after").unwrap().parse().unwrap();
                let max: usize = request.query_value("max").unwrap().parse().unwrap();
                match self.page(after, max) {
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
            return Ok(receipt(at, &entry));
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
        Ok(receipt(self.feed.len() - 1, self.feed.last().unwrap()))
    }

    fn page(&self, after: Cursor, max: usize) -> Option<FeedPage> {
        let mut cursor = Cursor::START;
        let mut entries = Vec::new();
        let mut next = after;
        let mut len = 0;
        let mut is_known = after == cursor;
        for (at, entry) in self.feed.iter().enumerate() {
            let position = at as u64 + 1;
            cursor = cursor.next(position, entry.hash());
            is_known |= after == cursor;
            if position > after.position && (entries.is_empty() || len + entry.encoded_len() <= max)
            {
                len += entry.encoded_len();
                entries.push((position, entry.clone()));
                next = cursor;
            } else if position > after.position {
                break;
            }
        }
        let remaining = self.feed.len() as u64 - next.position.min(self.feed.len() as u64);
        is_known.then_some(FeedPage { entries, next, remaining })
    }
}

fn receipt(at: usize, entry: &Entry) -> Receipt {
    let change = entry.change();
    Receipt { chain: change.chain, seq: change.seq, position: at as u64 + 1, hash: entry.hash() }
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
    pub(crate) own: ChainId,
    pub(crate) entries: Vec<Entry>,
    pub(crate) outbox: BTreeSet<(ChainId, u64)>,
    pub(crate) cursor: Cursor,
    pub(crate) names: BTreeMap<ChainId, String>,
}

impl Replica {
    pub(crate) fn new(device: &str, chain: u8) -> Self {
        let own = chain_id(chain);
        Self {
            device: device.to_owned(),
            own,
            entries: Vec::new(),
            outbox: BTreeSet::new(),
            cursor: Cursor::START,
            names: [(own, device.to_owned())].into(),
        }
    }

    pub(crate) fn add(&mut self, text: &str) {
        let entry = next_entry(&self.chain(self.own), self.own, text);
        self.outbox.insert((self.own, entry.change().seq));
        self.entries.push(entry);
    }

    pub(crate) fn chain(&self, id: ChainId) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.change().chain == id).cloned().collect()
    }

    /// What it has, in an order of its own.
    pub(crate) fn contents(&self) -> BTreeSet<(ChainId, u64, Hash)> {
        contents(&self.entries)
    }

    pub(crate) fn push(&self) -> Sync {
        Sync::push(&self.device, Some(self.own))
    }

    pub(crate) fn push_and_pull(&self) -> Sync {
        Sync::push_and_pull(&self.device, Some(self.own))
    }

    /// Takes the steps until the machine has no more; `ask` gives no answer where the path ate it.
    pub(crate) fn run(
        &mut self,
        mut sync: Sync,
        mut ask: impl FnMut(&Request) -> Option<Response>,
    ) -> Result<Report, SyncError> {
        while let Some(step) = sync.poll_step() {
            match step {
                Step::ReadOutbox { max_bytes } => sync.handle_outbox(self.read_outbox(max_bytes)),
                Step::ReadCursor => sync.handle_cursor(self.cursor),
                Step::ReadChains => sync.handle_chains(&heads(&self.entries, &self.names)),
                Step::Ask(request) => match ask(&request) {
                    Some(response) => sync.handle_reply(&response)?,
                    None => return Ok(sync.into_report()),
                },
                Step::Keep(keep) => self.keep(keep),
            }
        }
        assert!(sync.is_done(), "{sync:?}");
        Ok(sync.into_report())
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

    fn keep(&mut self, keep: Keep) {
        match keep {
            Keep::Receipts(receipts) => {
                for receipt in receipts {
                    self.outbox.remove(&(receipt.chain, receipt.seq));
                }
            }
            Keep::Page { after, page } => {
                assert!(page.follows(after));
                for (_, entry) in &page.entries {
                    if self.entries.contains(entry) {
                        self.outbox.remove(&(entry.change().chain, entry.change().seq));
                    } else {
                        self.entries.push(entry.clone());
                    }
                }
                if self.cursor == after {
                    self.cursor = page.next;
                }
            }
            Keep::NewFeed => self.cursor = Cursor::START,
            Keep::Requeue { chain, seq } => {
                let lacking = self.chain(chain).into_iter().map(|entry| entry.change().seq);
                self.outbox.extend(lacking.filter(|&s| s > seq).map(|seq| (chain, seq)));
            }
            Keep::Heads(heads) => {
                self.names.extend(heads.into_iter().map(|head| (head.chain, head.device)));
            }
        }
    }
}

pub(crate) fn contents(entries: &[Entry]) -> BTreeSet<(ChainId, u64, Hash)> {
    let key = |entry: &Entry| (entry.change().chain, entry.change().seq, entry.hash());
    let all: BTreeSet<_> = entries.iter().map(key).collect();
    assert_eq!(all.len(), entries.len(), "each once");
    all
}
