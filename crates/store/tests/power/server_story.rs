//! The story of a server's store: devices push, notes come in by themselves, people join and go.

use std::collections::BTreeSet;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use suibi_journal::{
    AuditEntry, AuditKind, Body, ChainId, Change, Content, Entry, Extras, FeedPage, Hash, NoteId,
    Receipt, Rights,
};
use suibi_sim::{Disk, Moment};
use suibi_store::{
    Access, AccessChange, DeviceRow, Expect, InviteRow, JournalId, NoteRefused, Outcome, OwnChain,
    SqliteStore, Store, StoreError, Write,
};

use crate::faults::Writes;
use crate::whole::{chains_of, whole};
use crate::{HERE, Story, some_text, some_time, try_open};

/// How many commits a life has.
const COMMITS: usize = 25;

/// What devices and clients do, and what they were told.
#[derive(Clone)]
pub(crate) struct ServerStory {
    devices: Vec<Device>,
    /// What the store had promised when this life began.
    base: Promise,
    /// Each promise of this life, and when the work for it began and ended.
    promises: Vec<(Moment, Moment, Promise)>,
    serial: u32,
}

/// What the store has promised to hold, no less.
#[derive(Clone, Default)]
struct Promise {
    /// Changes by position, as receipts say; positions of the feed are dense.
    feed: Vec<Hash>,
    access: Option<Access>,
}

/// A device with everything that it ever wrote.
#[derive(Clone)]
struct Device {
    name: String,
    chain: ChainId,
    entries: Vec<Entry>,
    /// So many of them have receipts.
    acknowledged: usize,
}

impl Story for ServerStory {
    const FILE: &str = "server.db";
    const OWN_CHAIN: OwnChain = OwnChain::Fresh;

    fn begin(rng: &mut StdRng) -> Self {
        let device = |number: usize| Device {
            name: format!("device {number}"),
            chain: ChainId::from_bytes(rng.random()),
            entries: Vec::new(),
            acknowledged: 0,
        };
        let devices = (0..3).map(device).collect();
        Self { devices, base: Promise::default(), promises: Vec::new(), serial: 0 }
    }

    fn live(&mut self, disk: &Disk, rng: &mut StdRng) -> Option<SqliteStore> {
        let path = disk.path(Self::FILE);
        let mut store = try_open(&path, OwnChain::Fresh).unwrap();
        for _ in 0..COMMITS {
            let begun = disk.moment();
            match rng.random_range(0..20) {
                0 => {
                    drop(store);
                    store = try_open(&path, OwnChain::Fresh).unwrap();
                }
                1 => {
                    store.reader().unwrap().catch_up(1_000).unwrap();
                }
                2 | 3 => {
                    if let Some(access) = self.change_access(&mut store, rng).unwrap() {
                        self.promise(begun, disk.moment(), |promise| promise.access = Some(access));
                    }
                }
                _ => {
                    let added = self.commit(&mut store, rng).unwrap();
                    self.promise(begun, disk.moment(), |promise| promise.feed.extend(added));
                }
            }
        }
        // Closing is work, too.
        rng.random_bool(0.5).then_some(store)
    }

    fn check(&mut self, disk: &Disk, at: Moment) -> Result<(), String> {
        let path = disk.path(Self::FILE);
        let mut store = try_open(&path, OwnChain::Fresh).map_err(|error| error.to_string())?;
        let feed = whole(&store, &path)?;
        self.compare(&mut store, &feed, at)?;
        self.go_on(&mut store, &feed)
    }
}

impl Writes for ServerStory {
    fn write_some(&mut self, store: &mut SqliteStore, rng: &mut StdRng) -> Result<(), StoreError> {
        let added = self.commit(store, rng)?;
        self.promise(Moment::default(), Moment::default(), |promise| promise.feed.extend(added));
        Ok(())
    }

    fn adopt(&mut self, store: &mut SqliteStore) -> Result<(), String> {
        let feed = chains_of(store)?;
        let feed: Vec<Hash> = feed.entries.iter().map(|(_, entry)| entry.hash()).collect();
        let promised = &self.last().feed;
        if !feed.starts_with(promised) {
            return Err(format!("acknowledged changes lost: {} of {}", feed.len(), promised.len()));
        }
        self.base = Promise { feed, access: None };
        self.promises.clear();
        Ok(())
    }

    fn check_goes_on(&mut self, store: &mut SqliteStore) -> Result<(), String> {
        let feed = chains_of(store)?;
        self.go_on(store, &feed)
    }
}

impl ServerStory {
    fn promise(&mut self, begun: Moment, done: Moment, add: impl FnOnce(&mut Promise)) {
        let mut promise = self.last().clone();
        add(&mut promise);
        self.promises.push((begun, done, promise));
    }

    fn last(&self) -> &Promise {
        self.promises.last().map_or(&self.base, |(_, _, promise)| promise)
    }

    /// One commit with what came in meanwhile: pushes of several devices, and notes without a device.
    fn commit(
        &mut self,
        store: &mut SqliteStore,
        rng: &mut StdRng,
    ) -> Result<Vec<Hash>, StoreError> {
        let (mut writes, mut pushed) = (Vec::new(), BTreeSet::new());
        for _ in 0..*[1, 1, 1, 2, 8].choose(rng).unwrap() {
            if rng.random_bool(0.2) {
                writes.push(Write::Note {
                    id: None,
                    expect: Expect::Any,
                    body: Body::Text(some_text(rng)),
                    time: None,
                    extras: Extras::new(),
                    now: some_time(rng),
                });
            } else if let (true, Some(entry)) = (rng.random_bool(0.03), self.any_entry(rng)) {
                let (note, now) = (entry.change().note, some_time(rng));
                writes.push(Write::Purge { note, now, audit: None });
            } else {
                let which = rng.random_range(0..self.devices.len());
                for _ in 0..rng.random_range(1..4) {
                    self.write_something(which, rng);
                }
                pushed.insert(which);
                // Those without a receipt go again, as from an outbox, and some that have one.
                let device = &mut self.devices[which];
                let again = device.acknowledged.min(rng.random_range(0..3));
                let entries = device.entries[device.acknowledged - again..].to_vec();
                writes.push(Write::Push {
                    device: device.name.clone(),
                    entries,
                    only_new: false,
                    may_purge: false,
                });
            }
        }
        let outcomes = store.commit(writes.into_iter().map(|write| (HERE, write)).collect())?;
        let mut added = Vec::new();
        let known = self.last().feed.len() as u64;
        let mut take = |receipt: Receipt| {
            if receipt.position == known + added.len() as u64 + 1 {
                added.push(receipt.hash);
            } else {
                // What was there already keeps its position.
                assert!(receipt.position <= known + added.len() as u64, "a hole in the feed");
            }
        };
        for outcome in outcomes {
            match outcome {
                // A purge of what has not come yet.
                Outcome::Note(Err(NoteRefused::NotFound)) => {}
                Outcome::Note(note) => take(note.unwrap().receipt),
                Outcome::Pushed(answers) => answers.into_iter().for_each(|a| take(a.unwrap())),
            }
        }
        for which in pushed {
            self.devices[which].acknowledged = self.devices[which].entries.len();
        }
        Ok(added)
    }

    /// What any device wrote, if it wrote anything.
    fn any_entry(&self, rng: &mut StdRng) -> Option<Entry> {
        let of = rng.random_range(0..self.devices.len());
        self.devices[of].entries.choose(rng).cloned()
    }

    /// A device adds, edits or deletes a note; edits are of what any device wrote.
    fn write_something(&mut self, which: usize, rng: &mut StdRng) {
        self.serial += 1;
        let before = self.any_entry(rng);
        let (note, parents) = match before {
            Some(before) if rng.random_bool(0.4) => (before.change().note, vec![before.hash()]),
            _ => (NoteId::new(1_700_000_000_000 + i64::from(self.serial), rng.random()), vec![]),
        };
        let body = match parents.len() {
            1 if rng.random_bool(0.2) => Body::Deleted,
            // Short: what was edited apart is compared word by word.
            1 => Body::Text(format!("note, edited {}", self.serial)),
            _ => Body::Text(some_text(rng)),
        };
        let device = &mut self.devices[which];
        let change = Change {
            chain: device.chain,
            seq: device.entries.len() as u64 + 1,
            previous: device.entries.last().map(Entry::hash),
            note,
            parents,
            time: some_time(rng),
            content: Hash::ZERO,
        };
        let content = Content { salt: rng.random(), body, extras: Extras::new() };
        device.entries.push(Entry::new(change, content));
    }

    fn change_access(
        &mut self,
        store: &mut SqliteStore,
        rng: &mut StdRng,
    ) -> Result<Option<Access>, StoreError> {
        let access = store.access()?;
        self.serial += 1;
        let device = DeviceRow {
            number: 0,
            key_id: self.serial.to_be_bytes().to_vec(),
            name: format!("joined {}", self.serial),
            journal: JournalId::FIRST,
            rights: Rights::READ_WRITE,
            secret: rng.random::<[u8; 32]>().to_vec().into(),
            salt: None,
            reserved: 0,
            joined: i64::from(self.serial),
            revoked: None,
        };
        let open = access.invites.iter().find(|invite| invite.joiner.is_none());
        let change = match (rng.random_range(0..5), open, access.devices.choose(rng)) {
            (0, _, Some(device)) => AccessChange::Revoke { device: device.number, at: 1 },
            (1, _, Some(device)) => {
                let name = format!("renamed {}", self.serial);
                AccessChange::Rename { device: device.number, name }
            }
            (_, Some(invite), _) => AccessChange::Join {
                invite: invite.number,
                joiner_public: rng.random::<[u8; 32]>().to_vec(),
                own_public: rng.random::<[u8; 32]>().to_vec(),
                device,
            },
            _ => AccessChange::AddInvite(InviteRow {
                number: 0,
                key_id: device.key_id,
                secret: rng.random::<[u8; 16]>().to_vec().into(),
                journal: JournalId::FIRST,
                rights: Rights::READ_WRITE,
                name: None,
                made: 1,
                expires: 2,
                joiner: None,
            }),
        };
        let audit = AuditEntry {
            at: i64::from(self.serial),
            what: AuditKind::Joined,
            device: "somebody".to_owned(),
            journal: "notes".to_owned(),
            address: String::new(),
            detail: String::new(),
        };
        match store.change_access(&change, Some(&audit))? {
            Ok(_) => store.access().map(Some),
            // A revoked device keeps its name.
            Err(_) => Ok(None),
        }
    }

    /// The store holds what was promised by then; of what was under way, all or nothing.
    fn compare(&self, store: &mut SqliteStore, feed: &FeedPage, at: Moment) -> Result<(), String> {
        let kept = self.promises.iter().take_while(|(_, done, _)| *done <= at).count();
        let promised = kept.checked_sub(1).map_or(&self.base, |last| &self.promises[last].2);
        let under_way = self.promises.get(kept).filter(|(begun, ..)| *begun <= at);
        let has: Vec<Hash> = feed.entries.iter().map(|(_, entry)| entry.hash()).collect();
        let dense = feed.entries.iter().zip(1..).all(|((position, _), dense)| *position == dense);
        let access = store.access().map_err(|error| error.to_string())?;
        let is = |promise: &Promise| {
            has == promise.feed
                && promise.access.as_ref().is_none_or(|promised| *promised == access)
        };
        if dense && (is(promised) || under_way.is_some_and(|(_, _, promise)| is(promise))) {
            return Ok(());
        }
        let there = promised.feed.iter().filter(|hash| has.contains(hash)).count();
        Err(format!(
            "{} acknowledged changes lost: {there} of {} are there, {} in all",
            promised.feed.len() - there,
            promised.feed.len(),
            has.len()
        ))
    }

    /// The devices send everything once more, and one note is written.
    fn go_on(&mut self, store: &mut SqliteStore, feed: &FeedPage) -> Result<(), String> {
        let mut hashes: Vec<Hash> = feed.entries.iter().map(|(_, entry)| entry.hash()).collect();
        for device in &mut self.devices {
            let push = Write::Push {
                device: device.name.clone(),
                entries: device.entries.clone(),
                only_new: false,
                may_purge: false,
            };
            let outcome = store.commit(vec![(HERE, push)]).map_err(|error| error.to_string())?;
            let [Outcome::Pushed(answers)] = &outcome[..] else { panic!("one push, one answer") };
            for (entry, answer) in device.entries.iter().zip(answers) {
                let receipt = answer.as_ref().map_err(|refusal| refusal.to_string())?;
                let at = receipt.position as usize - 1;
                if at == hashes.len() {
                    hashes.push(entry.hash());
                }
                if hashes.get(at) != Some(&entry.hash()) {
                    return Err(format!("{receipt} is another change's place"));
                }
            }
            device.acknowledged = device.entries.len();
        }
        let note = Write::Note {
            id: None,
            expect: Expect::Any,
            body: Body::Text("a note after the cut".to_owned()),
            time: None,
            extras: Extras::new(),
            now: "2026-11-23T09:05:00.000+08:00".parse().unwrap(),
        };
        store.commit(vec![(HERE, note)]).map_err(|error| error.to_string())?;
        let feed = chains_of(store)?;
        if !feed.entries.iter().map(|(_, entry)| entry.hash()).take(hashes.len()).eq(hashes) {
            return Err("what is written later changes what was there".into());
        }
        let feed = feed.entries.iter().map(|(_, entry)| entry.hash()).collect();
        let access = Some(store.access().map_err(|error| error.to_string())?);
        self.base = Promise { feed, access };
        self.promises.clear();
        Ok(())
    }
}
