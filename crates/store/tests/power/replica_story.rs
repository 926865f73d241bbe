//! The story of a replica: own notes, receipts, pages of the feed, and forks of its own chain.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use suibi_journal::{
    Body, ChainId, Change, Content, Cursor, Entry, Extras, FeedPage, Hash, NoteId, Receipt, Refusal,
};
use suibi_sim::{Disk, Moment};
use suibi_store::{Expect, OwnChain, SqliteStore, Store, StoreError, Write};

use crate::faults::Writes;
use crate::whole::{chains_of, whole};
use crate::{HERE, Story, some_text, some_time, try_open};

/// How much happens in a life.
const STEPS: usize = 40;

/// A replica and the server that it talks to.
#[derive(Clone)]
pub(crate) struct ReplicaStory {
    server: Server,
    base: Promise,
    /// Each promise of this life, and when the work for it began and ended.
    promises: Vec<(Moment, Moment, Promise)>,
    others: ChainId,
    serial: u32,
    rescued: usize,
}

/// What the replica has promised to hold.
#[derive(Clone, Default, PartialEq)]
struct Promise {
    /// What was written here; by its content, as a rescue gives it another place and hash.
    own: BTreeSet<Hash>,
    cursor: Option<Cursor>,
    meta: Option<String>,
}

/// A server in memory, each of whose changes came at a moment.
#[derive(Clone, Default)]
struct Server {
    feed: Vec<(Moment, Entry)>,
}

impl Server {
    fn push(&mut self, now: Moment, entry: &Entry) -> Result<Receipt, Refusal> {
        let change = entry.change();
        if let Some(at) = self.feed.iter().position(|(_, known)| known.hash() == entry.hash()) {
            let position = at as u64 + 1;
            let (chain, seq) = (change.chain, change.seq);
            return Ok(Receipt { chain, seq, position, hash: entry.hash() });
        }
        let (have_seq, have_hash) = self.end(change.chain);
        if change.seq > have_seq + 1 {
            return Err(Refusal::Gap { have_seq, have_hash });
        }
        if change.seq <= have_seq || change.previous != have_hash {
            return Err(Refusal::Fork { have_seq, have_hash });
        }
        self.feed.push((now, entry.clone()));
        self.push(now, entry)
    }

    fn end(&self, chain: ChainId) -> (u64, Option<Hash>) {
        let of_chain = |(_, entry): &&(Moment, Entry)| entry.change().chain == chain;
        let last = self.feed.iter().rev().find(of_chain);
        last.map_or((0, None), |(_, entry)| (entry.change().seq, Some(entry.hash())))
    }

    /// At most `max` changes after a cursor, which is one of this feed.
    fn page(&self, after: Cursor, max: usize) -> Option<FeedPage> {
        let (mut cursor, mut entries) = (Cursor::START, Vec::new());
        let (mut next, mut is_known) = (after, after == Cursor::START);
        for (position, (_, entry)) in (1..).zip(&self.feed) {
            cursor = cursor.next(position, entry.hash());
            if is_known && entries.len() < max {
                entries.push((position, entry.clone()));
                next = cursor;
            }
            is_known |= cursor == after;
        }
        let remaining = self.feed.len() as u64 - next.position;
        is_known.then_some(FeedPage { entries, next, remaining })
    }
}

impl Story for ReplicaStory {
    const FILE: &str = "replica.db";
    const OWN_CHAIN: OwnChain = OwnChain::Kept;

    fn begin(rng: &mut StdRng) -> Self {
        Self {
            server: Server::default(),
            base: Promise::default(),
            promises: Vec::new(),
            others: ChainId::from_bytes(rng.random()),
            serial: 0,
            rescued: 0,
        }
    }

    fn live(&mut self, disk: &Disk, rng: &mut StdRng) -> Option<SqliteStore> {
        let path = disk.path(Self::FILE);
        let mut store = try_open(&path, Self::OWN_CHAIN).unwrap();
        for _ in 0..STEPS {
            let begun = disk.moment();
            let mut promise = self.last().clone();
            match rng.random_range(0..100) {
                0..40 => promise.own.extend(self.write(&mut store, rng).unwrap()),
                40..60 => {
                    let waiting = store.outbox(*[1, 600, 100_000].choose(rng).unwrap()).unwrap();
                    let receipts = self.push(disk.moment(), &waiting);
                    store.apply_receipts(&receipts).unwrap();
                }
                60..72 => {
                    for _ in 0..rng.random_range(1..5) {
                        self.add_elsewhere(self.others, disk.moment(), rng);
                    }
                }
                72..88 => {
                    let after = store.cursor().unwrap();
                    let page = self.server.page(after, rng.random_range(1..8)).unwrap();
                    let applied = store.apply_page(after, &page).unwrap();
                    self.rescued += applied.rescued.len();
                    promise.cursor = Some(page.next);
                }
                88..92 => {
                    // A clone of this replica writes on its chain, and is faster.
                    if let Some(own) = store.meta("own-chain").unwrap() {
                        self.add_elsewhere(own.parse().unwrap(), disk.moment(), rng);
                    }
                }
                92..94 => {
                    store.reset_cursor().unwrap();
                    promise.cursor = Some(Cursor::START);
                }
                94 => {
                    store.requeue_after(self.others, 0).unwrap();
                }
                95 => {
                    promise.meta = Some(format!("{}", rng.random::<u32>()));
                    store.set_meta("rtt", promise.meta.as_ref().unwrap()).unwrap();
                }
                96 => {
                    store.reader().unwrap().catch_up(1_000).unwrap();
                }
                97 => store.set_meta_unflushed("guess", "not promised").unwrap(),
                _ => {
                    drop(store);
                    store = try_open(&path, Self::OWN_CHAIN).unwrap();
                }
            }
            self.promises.push((begun, disk.moment(), promise));
        }
        rng.random_bool(0.5).then_some(store)
    }

    fn rescued(&self) -> usize {
        self.rescued
    }

    fn check(&mut self, disk: &Disk, at: Moment) -> Result<(), String> {
        let path = disk.path(Self::FILE);
        let mut store = try_open(&path, Self::OWN_CHAIN).map_err(|error| error.to_string())?;
        whole(&store, &path)?;
        // What came to the server later did not come to it.
        self.server.feed.retain(|(moment, _)| *moment <= at);
        self.compare(&mut store, at)?;
        self.go_on(&mut store).map_err(|error| error.to_string())?;
        whole(&store, &path)?;
        self.compare_with_server(&mut store)?;

        self.server.feed.iter_mut().for_each(|(moment, _)| *moment = Moment::default());
        let own = self.last_before(at).own.clone();
        let cursor = store.cursor().map_err(|error| error.to_string())?;
        let meta = store.meta("rtt").map_err(|error| error.to_string())?;
        self.base = Promise { own, cursor: Some(cursor), meta };
        self.promises.clear();
        Ok(())
    }
}

impl Writes for ReplicaStory {
    fn write_some(&mut self, store: &mut SqliteStore, rng: &mut StdRng) -> Result<(), StoreError> {
        let mut promise = self.last().clone();
        match rng.random_range(0..10) {
            0..2 => {
                let waiting = store.outbox(600)?;
                let receipts = self.push(Moment::default(), &waiting);
                store.apply_receipts(&receipts)?;
            }
            2 => store.set_meta_unflushed("guess", &format!("{}", rng.random::<u32>()))?,
            _ => promise.own.extend(self.write(store, rng)?),
        }
        self.promises.push((Moment::default(), Moment::default(), promise));
        Ok(())
    }

    fn adopt(&mut self, store: &mut SqliteStore) -> Result<(), String> {
        self.compare(store, Moment::MAX)
    }

    fn check_goes_on(&mut self, store: &mut SqliteStore) -> Result<(), String> {
        self.go_on(store).map_err(|error| error.to_string())?;
        self.compare_with_server(store)
    }
}

impl ReplicaStory {
    fn last(&self) -> &Promise {
        self.promises.last().map_or(&self.base, |(_, _, promise)| promise)
    }

    fn last_before(&self, at: Moment) -> &Promise {
        let kept = self.promises.iter().take_while(|(_, done, _)| *done <= at);
        kept.last().map_or(&self.base, |(_, _, promise)| promise)
    }

    /// Own notes in one commit, and what they are known by.
    fn write(
        &mut self,
        store: &mut SqliteStore,
        rng: &mut StdRng,
    ) -> Result<Vec<Hash>, StoreError> {
        let notes = store.reader()?.notes(HERE, &Default::default())?;
        let before = store.reader()?.head(HERE)?;
        let mut writes = Vec::new();
        for _ in 0..*[1, 1, 1, 4].choose(rng).unwrap() {
            let id = notes.choose(rng).map(|note| note.id).filter(|_| rng.random_bool(0.4));
            let body = match id {
                Some(_) if rng.random_bool(0.3) => Body::Deleted,
                Some(_) => Body::Text(format!("note, edited {}", rng.random::<u32>())),
                None => Body::Text(some_text(rng)),
            };
            let (expect, extras, now) = (Expect::Any, Extras::new(), some_time(rng));
            writes.push((HERE, Write::Note { id, expect, body, time: None, extras, now }));
        }
        store.commit(writes)?;
        let page = store.reader()?.feed(HERE, before, usize::MAX)?.expect("nothing was forked");
        Ok(page.entries.iter().map(|(_, entry)| name(entry)).collect())
    }

    /// What a server makes of changes; a refused one ends its chain.
    fn push(&mut self, now: Moment, waiting: &[Entry]) -> Vec<Receipt> {
        let mut refused = BTreeSet::new();
        let mut receipts = Vec::new();
        for entry in waiting {
            let chain = entry.change().chain;
            if refused.contains(&chain) {
                continue;
            }
            match self.server.push(now, entry) {
                Ok(receipt) => receipts.push(receipt),
                Err(Refusal::Fork { .. } | Refusal::Gap { .. }) => drop(refused.insert(chain)),
                Err(other) => panic!("{other}"),
            }
        }
        receipts
    }

    /// Another device's change reaches the server.
    fn add_elsewhere(&mut self, chain: ChainId, now: Moment, rng: &mut StdRng) {
        self.serial += 1;
        let (seq, previous) = self.server.end(chain);
        let before = self.server.feed.choose(rng).map(|(_, entry)| entry.clone());
        let (note, parents) = match before {
            Some(entry) if rng.random_bool(0.3) => (entry.change().note, vec![entry.hash()]),
            _ => (NoteId::new(1_700_000_000_000 + i64::from(self.serial), rng.random()), vec![]),
        };
        let body = match parents.len() {
            0 => Body::Text(some_text(rng)),
            _ => Body::Text(format!("note, edited elsewhere {}", self.serial)),
        };
        let (time, content) = (some_time(rng), Hash::ZERO);
        let change = Change { chain, seq: seq + 1, previous, note, parents, time, content };
        let content = Content { salt: rng.random(), body, extras: Extras::new() };
        self.server.push(now, &Entry::new(change, content)).unwrap();
    }

    /// The replica holds what was promised by then, and knows what the server lacks.
    fn compare(&self, store: &mut SqliteStore, at: Moment) -> Result<(), String> {
        let promised = self.last_before(at);
        let entries = contents(store)?;
        let lost = promised.own.iter().filter(|own| !entries.contains_key(own)).count();
        if lost > 0 {
            return Err(format!("{lost} acknowledged changes lost, of {}", promised.own.len()));
        }
        let under_way = self.promises.iter().find(|(_, done, _)| *done > at);
        let is = |promise: &Promise, cursor, meta: &Option<String>| {
            promise.cursor.unwrap_or(Cursor::START) == cursor && promise.meta == *meta
        };
        let cursor = store.cursor().map_err(|error| error.to_string())?;
        let meta = store.meta("rtt").map_err(|error| error.to_string())?;
        if !is(promised, cursor, &meta)
            && !under_way.is_some_and(|(_, _, promise)| is(promise, cursor, &meta))
        {
            return Err("acknowledged changes lost: of the cursor, or what is kept by name".into());
        }
        let there: BTreeSet<Hash> =
            self.server.feed.iter().map(|(_, entry)| entry.hash()).collect();
        let outbox = store.outbox(usize::MAX).map_err(|error| error.to_string())?;
        let outbox: BTreeSet<Hash> = outbox.iter().map(Entry::hash).collect();
        match entries.values().find(|hash| !there.contains(hash) && !outbox.contains(hash)) {
            None => Ok(()),
            Some(hash) => Err(format!("{} would never reach the server", hash.short())),
        }
    }

    /// Writes one note, and gives and takes until both have the same.
    fn go_on(&mut self, store: &mut SqliteStore) -> Result<(), StoreError> {
        let (id, time, extras) = (None, None, Extras::new());
        let body = Body::Text("a note after the cut".to_owned());
        let now = "2026-11-23T09:05:00.000+08:00".parse().unwrap();
        let note = Write::Note { id, expect: Expect::Any, body, time, extras, now };
        store.commit(vec![(HERE, note)])?;
        for _ in 0..10 {
            let waiting = store.outbox(usize::MAX)?;
            let receipts = self.push(Moment::default(), &waiting);
            store.apply_receipts(&receipts)?;
            let after = store.cursor()?;
            let page = self.server.page(after, usize::MAX).expect("it is the only feed");
            store.apply_page(after, &page)?;
            if store.waiting()? == 0 && store.cursor()?.position == self.server.feed.len() as u64 {
                break;
            }
        }
        Ok(())
    }

    fn compare_with_server(&self, store: &mut SqliteStore) -> Result<(), String> {
        let waiting = store.waiting().map_err(|error| error.to_string())?;
        let there: BTreeSet<Hash> =
            self.server.feed.iter().map(|(_, entry)| entry.hash()).collect();
        let here: BTreeSet<Hash> = contents(store)?.into_values().collect();
        if waiting == 0 && here == there {
            return Ok(());
        }
        let (here, there) = (here.len(), there.len());
        Err(format!("{waiting} wait, {here} are here, {there} on the server"))
    }
}

/// What a change is known by wherever it stands.
fn name(entry: &Entry) -> Hash {
    Hash::of(entry.content_bytes().expect("nothing is purged"))
}

/// The changes in a store, by their content; each is there once.
fn contents(store: &SqliteStore) -> Result<BTreeMap<Hash, Hash>, String> {
    let page = chains_of(store)?;
    let mut contents = BTreeMap::new();
    for (_, entry) in &page.entries {
        if contents.insert(name(entry), entry.hash()).is_some() {
            return Err(format!("{} is there twice", entry.hash().short()));
        }
    }
    Ok(contents)
}
