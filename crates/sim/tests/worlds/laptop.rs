//! A device: a replica on a disk whose power may fail, the sync, and an endpoint under OSCORE.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use suibi_client::{AskId, Step, Sync};
use suibi_coap::{Config, Endpoint, Event, Peer, RequestId};
use suibi_journal::{Body, Extras, Hash, NoteTime, Query, Rights};
use suibi_oscore::{ClientContext, KeyId, Secret};
use suibi_sim::Disk;
use suibi_store::{
    Expect, JournalId, NoteWritten, Outcome, OwnChain, SqliteOptions, SqliteStore, Store, Write,
};

use crate::doom::Doom;

/// The file of a replica.
pub(crate) const FILE: &str = "replica.db";

/// A run of the sync that hears nothing for so long is given up, as a command's is.
const SILENCE: Duration = Duration::from_secs(20);

/// Where the R2 of the server is kept, as the client keeps it.
const EPOCH: &str = "epoch";

/// By what a device is known to its server.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) name: String,
    pub(crate) key_id: Vec<u8>,
    pub(crate) secret: [u8; 32],
    pub(crate) rights: Rights,
}

/// A device.
pub(crate) struct Laptop {
    pub(crate) credential: Credential,
    pub(crate) disk: Disk,
    pub(crate) doom: Doom,
    /// How far its clock is off, in milliseconds.
    pub(crate) clock_off: i64,
    /// What it has acknowledged to its user since it was last asked, by content.
    pub(crate) promised: Vec<Hash>,
    pub(crate) rescued: u64,
    pub(crate) recovered: u64,
    server: Peer,
    process: Option<Process>,
    rng: StdRng,
    serial: u64,
    /// What a world gets to see when it goes wrong.
    pub(crate) last_error: Option<String>,
}

/// A running process.
struct Process {
    store: SqliteStore,
    endpoint: Endpoint,
    context: ClientContext,
    run: Option<Run>,
    has_compared: bool,
}

/// A run of the sync that is under way.
struct Run {
    sync: Sync,
    asked: BTreeMap<RequestId, AskId>,
    heard: Instant,
}

impl Laptop {
    pub(crate) fn new(credential: Credential, disk: Disk, server: SocketAddr, rng: StdRng) -> Self {
        Self {
            credential,
            disk,
            doom: Doom::default(),
            clock_off: 0,
            promised: Vec::new(),
            rescued: 0,
            recovered: 0,
            server: server.into(),
            process: None,
            rng,
            serial: 0,
            last_error: None,
        }
    }

    /// Writes a note, edits one or deletes one, and acknowledges it.
    pub(crate) fn write(&mut self, world_millis: i64) {
        self.open();
        self.serial += 1;
        let now = NoteTime::new(world_millis + self.clock_off, 480).unwrap();
        let (name, serial) = (self.credential.name.clone(), self.serial);
        let notes = match self.rng.random_range(0..3) {
            0 if self.credential.rights.read => {
                let store = &mut self.process.as_mut().unwrap().store;
                store.reader().unwrap().notes(JournalId::FIRST, &Query::default()).unwrap()
            }
            _ => Vec::new(),
        };
        let note = notes.choose(&mut self.rng);
        let body = match note {
            None => Body::Text(format!("{name} {serial}\nline\nline @tag")),
            Some(_) if self.rng.random_bool(0.25) => Body::Deleted,
            Some(note) => {
                // One of its lines is another one now.
                let mut lines: Vec<&str> = note.text.lines().take(12).collect();
                let line = format!("{name} edit {serial}");
                let at = self.rng.random_range(0..=lines.len());
                lines.insert(at, &line);
                Body::Text(lines.join("\n"))
            }
        };
        let (id, extras) = (note.map(|note| note.id), Extras::new());
        let write = Write::Note { id, expect: Expect::Any, body, time: None, extras, now };
        let written = self.step(|process| {
            let outcome = process.store.commit(vec![(JournalId::FIRST, write)]).unwrap().remove(0);
            let Outcome::Note(Ok(written)) = outcome else { panic!("{outcome:?}") };
            let NoteWritten { receipt, .. } = written;
            let outbox = process.store.outbox(usize::MAX).unwrap();
            let entry = outbox.into_iter().find(|entry| entry.hash() == receipt.hash).unwrap();
            Hash::of(entry.content_bytes().unwrap())
        });
        self.promised.extend(written);
    }

    /// Begins to sync, unless it does already.
    pub(crate) fn sync(&mut self, now: Instant) {
        self.open();
        let process = self.process.as_mut().unwrap();
        if process.run.is_some() {
            return;
        }
        let own = process.store.own_chain().unwrap();
        let mut sync = Sync::within(self.credential.rights, &self.credential.name, own);
        if !std::mem::replace(&mut process.has_compared, true) {
            sync = sync.comparing();
        }
        process.run = Some(Run { sync, asked: BTreeMap::new(), heard: now });
        self.go_on(now);
    }

    /// Whether nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.process.as_ref().is_none_or(|process| process.run.is_none())
    }

    /// The process ends, as `kill -9` ends it.
    pub(crate) fn end(&mut self) {
        self.process = None;
    }

    /// The process and perhaps the machine end between two steps.
    pub(crate) fn die(&mut self, power: bool) {
        let now = self.disk.moment();
        self.fall(now, power);
    }

    /// It goes on with another disk, as one that was restored or cloned.
    pub(crate) fn replace(&mut self, disk: Disk) {
        self.process = None;
        self.disk = disk;
    }

    fn fall(&mut self, at: suibi_sim::Moment, power: bool) {
        let left = if power { self.disk.cut(at, &mut self.rng) } else { self.disk.killed_at(at) };
        self.process = None;
        self.disk = left;
    }

    /// Something that may be the last thing that the process does; then nobody hears of it.
    fn step<T>(&mut self, work: impl FnOnce(&mut Process) -> T) -> Option<T> {
        let process = self.process.as_mut()?;
        let begun = self.disk.moment();
        let done = work(process);
        let Some(power) = self.doom.strikes() else { return Some(done) };
        let at = begun.to(self.disk.moment(), &mut self.rng);
        self.fall(at, power);
        None
    }

    fn open(&mut self) {
        if self.process.is_some() {
            return;
        }
        self.disk.settle();
        let mut store = open(&self.disk, &self.credential.name, self.rng.random());
        let epoch = store.meta(EPOCH).unwrap();
        let epoch = epoch.and_then(|text| suibi_journal::hex::array_from_hex(&text));
        let id = KeyId::from_slice(&self.credential.key_id).unwrap();
        let secret = Secret::from_bytes(&self.credential.secret).unwrap();
        let context = ClientContext::new(id, secret, epoch, self.rng.random());
        let mut endpoint = Endpoint::new(Config::own(), self.rng.random());
        endpoint.set_protection(Some(context.protection()));
        let process = Process { store, endpoint, context, run: None, has_compared: false };
        self.process = Some(process);
    }

    /// Takes the steps of the sync as far as they go without the server.
    fn go_on(&mut self, now: Instant) {
        while let Some(process) = &mut self.process
            && let Some(run) = &mut process.run
        {
            match run.sync.poll_step() {
                Some(Step::Ask { ask, request, .. }) => {
                    let id = process.endpoint.request(now, self.server, request);
                    run.asked.insert(id, ask);
                }
                Some(step) => {
                    let taken = self.step(|process| {
                        let run = process.run.as_mut().expect("a step of it is taken");
                        suibi_client::take(step, &mut run.sync, &mut process.store)
                    });
                    if let Some(Err(error)) = taken {
                        self.give_up(now, error.to_string());
                    }
                }
                None => {
                    if run.sync.is_done() {
                        self.finish(now);
                    }
                    return;
                }
            }
        }
    }

    fn finish(&mut self, now: Instant) {
        let Some(process) = &mut self.process else { return };
        if let Some(run) = process.run.take() {
            run.asked.keys().for_each(|id| process.endpoint.cancel(now, *id));
            self.rescued += run.sync.report().rescued;
            self.recovered += run.sync.report().recovered;
        }
        let epoch = process.context.epoch().map(|epoch| suibi_journal::hex::to_hex(&epoch));
        if let Some(epoch) = epoch {
            self.step(|process| {
                if process.store.meta(EPOCH).unwrap().as_ref() != Some(&epoch) {
                    process.store.set_meta(EPOCH, &epoch).unwrap();
                }
            });
        }
    }

    fn give_up(&mut self, now: Instant, error: String) {
        self.last_error = Some(error);
        self.finish(now);
    }

    fn on_events(&mut self, now: Instant) {
        while let Some(process) = &mut self.process
            && let Some(event) = process.endpoint.poll_event()
        {
            let Some(run) = &mut process.run else { continue };
            match event {
                Event::Response { id, response } => {
                    let Some(ask) = run.asked.remove(&id) else { continue };
                    run.heard = now;
                    match run.sync.handle_reply(ask, &response) {
                        Ok(()) => self.go_on(now),
                        Err(error) => self.give_up(now, error.to_string()),
                    }
                }
                Event::Failed { id, error } if run.asked.contains_key(&id) => {
                    self.give_up(now, error.to_string());
                }
                _ => {}
            }
        }
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, bytes: &[u8]) {
        if let Some(process) = &mut self.process {
            process.endpoint.handle_datagram(now, self.server, bytes);
            self.on_events(now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let Some(process) = &mut self.process else { return };
        process.endpoint.handle_timeout(now);
        if process.run.as_ref().is_some_and(|run| run.heard + SILENCE <= now) {
            self.give_up(now, "silence".to_owned());
        }
        self.on_events(now);
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let transmit = self.process.as_mut()?.endpoint.poll_transmit()?;
        Some(transmit.bytes.to_vec())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let process = self.process.as_ref()?;
        let silence = process.run.as_ref().map(|run| run.heard + SILENCE);
        [process.endpoint.poll_timeout(), silence].into_iter().flatten().min()
    }
}

/// The replica on a disk.
pub(crate) fn open(disk: &Disk, device: &str, seed: u64) -> SqliteStore {
    let options = SqliteOptions { own_chain: OwnChain::Kept, device: device.to_owned() };
    SqliteStore::open_seeded(&disk.path(FILE), options, seed).unwrap()
}
