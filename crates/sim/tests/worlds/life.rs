//! One world: what happens in it by chance, and what has to be true in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rusqlite::{Connection, OpenFlags};
use suibi_journal::{Hash, Note, Query, Rights};
use suibi_sim::{Disk, Link, Node, NodeId, World};
use suibi_store::{
    AccessChange, DeviceRow, JournalId, OwnChain, SqliteOptions, SqliteStore, Store, verify,
};

use crate::doom::Doom;
use crate::hub::{self, Hub};
use crate::laptop::{self, Credential, Laptop};

/// When the world begins, for people: milliseconds since 1970.
const BEGINNING: i64 = 1_795_000_000_000;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// The devices of every world; the last one may be a clone of another, and the one before it may only add.
const DEVICES: usize = 4;

/// So many times all devices sync in the end, before they have to agree.
const ROUNDS: usize = 12;

const SERVER: NodeId = NodeId(0);

/// Whoever is in the world.
enum Being {
    Hub(Box<Hub>),
    Laptop(Box<Laptop>),
}

impl Node for Being {
    fn handle_datagram(&mut self, now: Instant, from: NodeId, datagram: &[u8]) {
        match self {
            Self::Hub(hub) => hub.handle_datagram(now, address(from).into(), datagram),
            Self::Laptop(laptop) => laptop.handle_datagram(now, datagram),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Hub(hub) => hub.handle_timeout(now),
            Self::Laptop(laptop) => laptop.handle_timeout(now),
        }
    }

    fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
        match self {
            Self::Hub(hub) => hub.poll_transmit().map(|(peer, bytes)| (node(peer.address), bytes)),
            Self::Laptop(laptop) => laptop.poll_transmit().map(|bytes| (SERVER, bytes)),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Hub(hub) => hub.poll_timeout(),
            Self::Laptop(laptop) => laptop.poll_timeout(),
        }
    }
}

fn address(node: NodeId) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, node.0 as u8), 5683).into()
}

fn node(address: SocketAddr) -> NodeId {
    match address {
        SocketAddr::V4(address) => NodeId(usize::from(address.ip().octets()[3])),
        SocketAddr::V6(_) => unreachable!("all live in one small net"),
    }
}

/// Files as a new server and a new device have them, made once.
struct Templates {
    server: Disk,
    replica: Disk,
    credentials: Vec<Credential>,
}

static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| {
    let credentials: Vec<_> = (1..DEVICES as u8)
        .map(|number| Credential {
            name: format!("device {number}"),
            key_id: vec![number, number],
            secret: [number; 32],
            rights: if number == 3 { Rights::DROP } else { Rights::READ_WRITE },
        })
        .collect();
    let server = Disk::new();
    let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
    let mut store = SqliteStore::open(&server.path(hub::FILE), options).unwrap();
    for Credential { name, key_id, secret, rights } in &credentials {
        let device = DeviceRow {
            number: 0,
            key_id: key_id.clone(),
            name: name.clone(),
            journal: JournalId::FIRST,
            rights: *rights,
            secret: secret.to_vec().into(),
            salt: None,
            reserved: 0,
            joined: BEGINNING,
            revoked: None,
        };
        store.change_access(&AccessChange::AddDevice(device), None).unwrap().unwrap();
    }
    drop(store);
    let replica = Disk::new();
    drop(laptop::open(&replica, "", 0));
    Templates { server, replica, credentials }
});

/// What happened in a world, to be summed up.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) changes: u64,
    pub(crate) deaths: u64,
    pub(crate) restores: u64,
    pub(crate) clones: u64,
    pub(crate) rescued: u64,
    pub(crate) recovered: u64,
    pub(crate) twice: u64,
    pub(crate) datagrams: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.changes += other.changes;
        self.deaths += other.deaths;
        self.restores += other.restores;
        self.clones += other.clones;
        self.rescued += other.rescued;
        self.recovered += other.recovered;
        self.twice += other.twice;
        self.datagrams += other.datagrams;
    }
}

/// A world and what was promised in it.
struct Life {
    world: World<Being>,
    rng: StdRng,
    /// Devices that are in use.
    active: Vec<NodeId>,
    /// Changes that somebody acknowledged and that are still on some disk, by their content.
    promised: BTreeSet<Hash>,
    /// Older states, of whom.
    backups: Vec<(NodeId, Disk)>,
    server_went_back: bool,
    /// A device was put back or cloned, so that places may have been written twice.
    is_forked: bool,
    tally: Tally,
    trace: bool,
}

/// Lives through the world of a seed.
pub(crate) fn live(seed: u64, trace: bool) -> Result<Tally, String> {
    let templates = &*TEMPLATES;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new(rng.random());
    let seeded = |rng: &mut StdRng| StdRng::from_seed(rng.random());
    let hub = Hub::new(Disk::copy_of(templates.server.directory()), seeded(&mut rng));
    world.add(Being::Hub(Box::new(hub)));
    for number in 0..DEVICES {
        let credential = templates.credentials[number % templates.credentials.len()].clone();
        let disk = Disk::copy_of(templates.replica.directory());
        let laptop = Laptop::new(credential, disk, address(SERVER), seeded(&mut rng));
        world.add(Being::Laptop(Box::new(laptop)));
    }
    let mut active = vec![NodeId(1), NodeId(2)];
    if rng.random_bool(0.3) {
        active.push(NodeId(3));
    }
    let (promised, backups, tally) = (BTreeSet::new(), Vec::new(), Tally::default());
    let (server_went_back, is_forked) = (false, false);
    let mut life =
        Life { world, rng, active, promised, backups, server_went_back, is_forked, tally, trace };
    life.weather();
    life.start_hub();
    for _ in 0..life.rng.random_range(20..70) {
        life.happen();
    }
    life.end()
}

impl Life {
    fn hub(&mut self) -> &mut Hub {
        match self.world.node(SERVER) {
            Being::Hub(hub) => hub,
            Being::Laptop(_) => unreachable!("the server was added first"),
        }
    }

    fn laptop(&mut self, id: NodeId) -> &mut Laptop {
        match self.world.node(id) {
            Being::Laptop(laptop) => laptop,
            Being::Hub(_) => unreachable!("the server was added first"),
        }
    }

    fn millis(&self) -> i64 {
        BEGINNING + self.world.elapsed().as_millis() as i64
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{:>10.3?} {}", self.world.elapsed(), what());
        }
    }

    fn start_hub(&mut self) {
        let (now, millis) = (self.world.now(), self.millis());
        self.hub().start(now, millis);
    }

    /// The links get other qualities.
    fn weather(&mut self) {
        for id in 1..=DEVICES {
            for (from, to) in [(SERVER, NodeId(id)), (NodeId(id), SERVER)] {
                let loss = *[0.0, 0.0, 0.05, 0.2, 0.5].choose(&mut self.rng).unwrap();
                let doubling = *[0.0, 0.1, 0.5].choose(&mut self.rng).unwrap();
                let delay = Duration::from_millis(self.rng.random_range(1..80));
                let jitter = Duration::from_millis(*[0, 0, 30, 300].choose(&mut self.rng).unwrap());
                let is_down = self.rng.random_bool(0.08);
                let link = self.world.link(from, to);
                (link.loss, link.doubling) = (loss, doubling);
                (link.delay, link.jitter, link.is_down) = (delay, jitter, is_down);
            }
        }
    }

    /// Something happens, and some time passes.
    fn happen(&mut self) {
        let who = *self.active.choose(&mut self.rng).unwrap();
        let power = self.rng.random_bool(0.6);
        let now = self.world.now();
        match self.rng.random_range(0..100) {
            0..36 => {
                let millis = self.millis();
                self.laptop(who).write(millis);
                self.collect();
                self.say(|| format!("{who:?} writes"));
                if self.rng.random_bool(0.6) {
                    self.laptop(who).sync(now);
                }
            }
            36..60 => {
                self.say(|| format!("{who:?} syncs"));
                self.laptop(who).sync(now);
            }
            60..66 => self.weather(),
            66..73 => {
                let steps = self.rng.random_range(0..25);
                self.say(|| format!("{who:?} will die in {steps} steps, power {power}"));
                self.laptop(who).doom = Doom::after(steps, power);
                self.tally.deaths += 1;
            }
            73..76 => {
                self.say(|| format!("{who:?} dies, power {power}"));
                self.laptop(who).die(power);
                self.tally.deaths += 1;
            }
            76..82 => {
                let steps = self.rng.random_range(0..40);
                self.say(|| format!("the server will die in {steps} steps, power {power}"));
                self.hub().doom = Doom::after(steps, power);
                self.tally.deaths += 1;
            }
            82..84 => {
                self.say(|| format!("the server dies, power {power}"));
                self.hub().die(power);
                self.tally.deaths += 1;
            }
            84..88 => {
                let off = self.rng.random_range(-3 * DAY..3 * DAY);
                self.laptop(who).clock_off = off;
                let millis = self.millis() + self.rng.random_range(-3 * DAY..3 * DAY);
                self.hub().clock.store(millis, std::sync::atomic::Ordering::Relaxed);
            }
            88..93 => self.back_up(),
            93..97 => self.restore(),
            _ => self.clone_laptop(who),
        }
        if !self.hub().is_up() && self.rng.random_bool(0.5) {
            self.say(|| "the server starts".to_owned());
            self.start_hub();
        }
        let time = *[0, 50, 500, 3_000, 20_000].choose(&mut self.rng).unwrap();
        self.world.run_for(Duration::from_millis(self.rng.random_range(0..=time)));
    }

    /// What devices have acknowledged.
    fn collect(&mut self) {
        for id in self.active.clone() {
            let promised = std::mem::take(&mut self.laptop(id).promised);
            self.tally.changes += promised.len() as u64;
            self.promised.extend(promised);
        }
    }

    /// A consistent copy of somebody's files is put aside.
    fn back_up(&mut self) {
        let mut whose = self.active.clone();
        whose.push(SERVER);
        let who = *whose.choose(&mut self.rng).unwrap();
        let copy = self.disk(who).killed();
        self.say(|| format!("a backup of {who:?}"));
        self.backups.push((who, copy));
    }

    /// An older state of somebody's files takes the place of what is there.
    fn restore(&mut self) {
        let Some((who, backup)) = self.backups.choose(&mut self.rng) else { return };
        let (who, disk) = (*who, backup.killed());
        self.say(|| format!("{who:?} is put back"));
        match who {
            SERVER => {
                self.hub().replace(disk);
                self.server_went_back = true;
                self.start_hub();
            }
            id => {
                self.laptop(id).replace(disk);
                self.is_forked = true;
            }
        }
        self.tally.restores += 1;
        // What was nowhere else is gone.
        let mut everything = BTreeSet::new();
        let mut all = self.active.clone();
        all.push(SERVER);
        for id in all {
            everything.extend(contents(&self.file(id)));
        }
        self.promised.retain(|content| everything.contains(content));
    }

    /// Somebody copies his home directory to another machine, and uses both.
    fn clone_laptop(&mut self, who: NodeId) {
        let clone = NodeId(DEVICES);
        if self.active.contains(&clone) || who == clone {
            return;
        }
        self.say(|| format!("{who:?} is cloned"));
        let (disk, credential) = (self.disk(who).killed(), self.laptop(who).credential.clone());
        self.laptop(clone).replace(disk);
        self.laptop(clone).credential = credential;
        self.active.push(clone);
        self.is_forked = true;
        self.tally.clones += 1;
    }

    fn disk(&mut self, id: NodeId) -> &Disk {
        match self.world.node(id) {
            Being::Hub(hub) => &hub.disk,
            Being::Laptop(laptop) => &laptop.disk,
        }
    }

    fn file(&mut self, id: NodeId) -> PathBuf {
        let name = if id == SERVER { hub::FILE } else { laptop::FILE };
        self.disk(id).path(name)
    }

    /// The faults stop, everybody syncs until nothing moves, and then everybody has the same.
    fn end(mut self) -> Result<Tally, String> {
        self.say(|| "the faults stop".to_owned());
        for id in 1..=DEVICES {
            for (from, to) in [(SERVER, NodeId(id)), (NodeId(id), SERVER)] {
                let link = self.world.link(from, to);
                self.tally.datagrams += link.carried;
                *link = Link::default();
            }
        }
        self.hub().doom = Doom::default();
        self.start_hub();
        for id in self.active.clone() {
            self.laptop(id).doom = Doom::default();
            self.laptop(id).end();
        }
        let mut round = 0;
        while !self.round()? {
            round += 1;
            if round == ROUNDS {
                return Err(format!("no end after {ROUNDS} rounds: {}", self.differences()));
            }
        }
        self.compare()?;
        for id in self.active.clone() {
            self.tally.rescued += self.laptop(id).rescued;
            self.tally.recovered += self.laptop(id).recovered;
        }
        Ok(self.tally)
    }

    /// Each device syncs once, in a process of its own. Whether all agree.
    fn round(&mut self) -> Result<bool, String> {
        for id in self.active.clone() {
            self.laptop(id).end();
            self.laptop(id).last_error = None;
            let now = self.world.now();
            self.say(|| format!("{id:?} syncs"));
            self.laptop(id).sync(now);
            let until = now + Duration::from_secs(120);
            while !self.laptop(id).is_idle() {
                if self.world.now() > until {
                    return Err(format!("the sync of {id:?} does not end"));
                }
                self.world.run_for(Duration::from_millis(100));
            }
            if let Some(error) = self.laptop(id).last_error.take() {
                return Err(format!("{id:?} cannot sync though nothing is wrong: {error}"));
            }
            self.laptop(id).end();
        }
        Ok(self.differences().is_empty())
    }

    /// Who has not what the server has, or still waits.
    fn differences(&mut self) -> String {
        let server = hashes(&self.file(SERVER));
        let mut text = String::new();
        for id in self.active.clone() {
            let file = self.file(id);
            let (here, waiting) = (hashes(&file), waiting(&file));
            let reads = self.laptop(id).credential.rights.read;
            if waiting > 0 || reads && here != server {
                let lacks = server.difference(&here).count();
                let more = here.difference(&server).count();
                text += &format!("{id:?} lacks {lacks}, has {more} more, {waiting} wait; ");
            }
        }
        text
    }

    /// Everything promised is there once, everything fits, and everybody reads the same.
    fn compare(&mut self) -> Result<(), String> {
        self.hub().stop();
        let server = self.file(SERVER);
        let once: BTreeSet<Hash> = contents(&server).into_iter().collect();
        self.tally.twice = self.doubles(&server)?;
        let lost = self.promised.difference(&once).count();
        if lost > 0 {
            return Err(format!("{lost} of {} promised changes are lost", self.promised.len()));
        }
        let mut expected: Option<Notes> = None;
        let mut all = self.active.clone();
        all.push(SERVER);
        for id in all {
            let file = self.file(id);
            let verified =
                verify::verify(&file, None, &mut |_, _| {}).map_err(|e| e.to_string())?;
            if let Some(problem) = verified.problems.first() {
                return Err(format!("{id:?}: {problem}"));
            }
            if id != SERVER && !self.laptop(id).credential.rights.read {
                continue;
            }
            let notes = self.notes(id);
            if expected.get_or_insert_with(|| notes.clone()) != &notes {
                return Err(format!("{id:?} does not read what others read"));
            }
        }
        Ok(())
    }

    /// How many changes are there twice: a fork was rescued, and then the server went back to a state before it and
    /// decided otherwise. The note has both, and is one.
    fn doubles(&self, server: &Path) -> Result<u64, String> {
        let (mut known, mut doubles) = (BTreeSet::new(), 0);
        for content in contents(server) {
            if !known.insert(content) {
                doubles += 1;
            }
        }
        match doubles {
            0 => Ok(0),
            _ if self.server_went_back && self.is_forked => Ok(doubles),
            _ => Err(format!("{doubles} changes are there twice")),
        }
    }

    fn notes(&mut self, id: NodeId) -> Notes {
        let own_chain = if id == SERVER { OwnChain::Fresh } else { OwnChain::Kept };
        let options = SqliteOptions { own_chain, device: String::new() };
        let store = SqliteStore::open(&self.file(id), options).unwrap();
        let notes = store.reader().unwrap().notes(JournalId::FIRST, &Query::default()).unwrap();
        let shown = |note: Note| (note.text, note.time.to_string(), note.conflict, note.heads);
        notes.into_iter().map(|note| (note.id.to_string(), shown(note))).collect()
    }
}

/// Notes as they are shown: text, time, whether they conflict, heads.
type Notes = BTreeMap<String, (String, String, bool, Vec<Hash>)>;

fn connect(file: &Path) -> Connection {
    Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// What the changes of a store hold, in no order.
fn contents(file: &Path) -> Vec<Hash> {
    let conn = connect(file);
    let mut statement = conn.prepare("SELECT content FROM changes").unwrap();
    let rows = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
    rows.map(|content| Hash::of(&content.unwrap())).collect()
}

/// The changes of a store.
fn hashes(file: &Path) -> BTreeSet<[u8; 32]> {
    let conn = connect(file);
    let mut statement = conn.prepare("SELECT hash FROM changes").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

fn waiting(file: &Path) -> u64 {
    connect(file).query_row("SELECT count(*) FROM outbox", [], |row| row.get(0)).unwrap()
}
