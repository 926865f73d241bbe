//! A whole server without sockets, threads and a clock, for simulators: not for programs.
//!
//! What a server does in three threads is here one step after the other, so that a world can end between any two of
//! them:
//!
//! ```text
//!   handle_datagram ──► write()  a commit is on disk, nobody is told
//!                       read()   a question has its answer, nobody is told
//!                       tell()   one of these comes back ──► poll_transmit
//! ```
//!
//! Of chance, what crosses the wire without being secret comes from the seed. Ids and secrets that handlers or the store
//! make are the system's, so bytes differ from run to run where their lengths and order do not.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use suibi_coap::{Peer, Transmit};
use suibi_oscore::ServerContexts;
use suibi_store::{Reader, Store, StoreError};

pub use crate::clock::Clock;
use crate::config::{Config, ListenerKind};
pub use crate::core::StreamId;
use crate::core::{Core, Done, Jobs};
use crate::door::{Door, Speaks};
use crate::gate::Gate;
use crate::limits::Rate;
use crate::lock::LocalCredential;
use crate::plain::{Plain, PlainRules};
use crate::reader::{self, ReadJob};
use crate::resources::About;
use crate::server;
use crate::writer::{WriteJob, Writer};

/// What a [`Machine`] is told to be.
#[derive(Debug, Clone)]
pub struct MachineConfig {
    /// What its doors speak; they are numbered from 0.
    pub doors: Vec<ListenerKind>,
    /// The wall clock.
    pub clock: Clock,
    /// See [`Config::trusts_loopback`].
    pub trusts_loopback: bool,
    /// See [`Config::unproven`].
    pub unproven: Rate,
    /// Where `/status` looks for the size of the files.
    pub data_dir: PathBuf,
}

impl MachineConfig {
    /// A server with these doors, as [`Config::new`] has the rest.
    pub fn new(doors: Vec<ListenerKind>, clock: Clock, data_dir: PathBuf) -> Self {
        let Config { trusts_loopback, unproven, data_dir, .. } = Config::new(data_dir);
        Self { doors, clock, trusts_loopback, unproven, data_dir }
    }
}

/// What is to be done to a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamAction {
    /// Send these bytes.
    Send(Bytes),
    /// Close it, once they are sent.
    Close,
}

/// A server on an open store; see the module.
pub struct Machine {
    core: Core,
    writer: Writer,
    reader: Box<dyn Reader>,
    about: Arc<About>,
    local: LocalCredential,
    doors: usize,
    writes: VecDeque<WriteJob>,
    reads: VecDeque<ReadJob>,
    dones: VecDeque<Done>,
    streams: BTreeSet<StreamId>,
    actions: VecDeque<(StreamId, StreamAction)>,
    /// Nobody takes what is sent by streams.
    #[cfg(test)]
    pub(crate) is_stuck: bool,
}

impl Machine {
    /// Opens the store, and anew whenever it fails.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub fn new(
        now: Instant,
        seed: [u8; 32],
        config: MachineConfig,
        open: impl Fn() -> Result<Box<dyn Store>, StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let MachineConfig { doors: kinds, clock, trusts_loopback, unproven, data_dir } = config;
        let mut rng = StdRng::from_seed(seed);
        let contexts = ServerContexts::new(rng.random());
        let gate = Gate::default();
        let mut door = |kind| match kind {
            ListenerKind::Plain => {
                let plain = Plain::new(now, PlainRules::default());
                Door::new(kind, Speaks::Plain(Box::new(plain)))
            }
            ListenerKind::Coap => Door::coap(kind, rng.random(), trusts_loopback, None),
            ListenerKind::Oscore => {
                let protection = gate.before(contexts.protection());
                Door::coap(kind, rng.random(), trusts_loopback, Some(protection))
            }
        };
        let doors: Vec<Door> = kinds.into_iter().map(&mut door).collect();
        let mut writer = Writer::new(Box::new(move |_| open()), true)?;
        let mut random = [0; 37];
        rng.fill(&mut random[..]);
        let (registry, local) = server::admit(&mut writer, &clock, contexts, gate, random)?;
        let reader = writer.reader()?;
        let about = Arc::new(About::new(now, "server".to_owned(), data_dir, clock));
        let count = doors.len();
        let core = Core::new(now, rng.random(), doors, Arc::clone(&about), registry, unproven);
        Ok(Self {
            core,
            writer,
            reader,
            about,
            local,
            doors: count,
            writes: VecDeque::new(),
            reads: VecDeque::new(),
            dones: VecDeque::new(),
            streams: BTreeSet::new(),
            actions: VecDeque::new(),
            #[cfg(test)]
            is_stuck: false,
        })
    }

    /// What the owner's own commands prove themselves with.
    pub fn local(&self) -> &LocalCredential {
        &self.local
    }

    /// A datagram came in at a door.
    pub fn handle_datagram(&mut self, now: Instant, door: usize, peer: Peer, bytes: &[u8]) {
        self.core.handle_datagram(now, door, peer, bytes);
        self.go_on(now);
    }

    /// A stream was opened at a door. `None`: it is to be closed at once.
    pub fn handle_opened(&mut self, now: Instant, door: usize, peer: Peer) -> Option<StreamId> {
        let id = self.core.handle_opened(now, door, peer)?;
        self.streams.insert(id);
        self.go_on(now);
        Some(id)
    }

    /// Bytes came in by a stream; to be asked for with [`Self::wants_bytes`].
    pub fn handle_bytes(&mut self, now: Instant, id: StreamId, bytes: &[u8]) {
        self.core.handle_bytes(now, id, bytes);
        self.go_on(now);
    }

    /// A stream was closed by the other side, or is broken.
    pub fn handle_closed(&mut self, now: Instant, id: StreamId) {
        self.streams.remove(&id);
        self.core.handle_closed(now, id);
        self.go_on(now);
    }

    /// Whether more bytes of a stream are wanted now.
    pub fn wants_bytes(&self, id: StreamId) -> bool {
        self.core.wants_bytes(id)
    }

    /// What is to be done to the next stream.
    pub fn poll_stream(&mut self) -> Option<(StreamId, StreamAction)> {
        self.actions.pop_front()
    }

    /// The last words before the end.
    pub fn say_goodbye(&mut self, now: Instant) {
        self.core.handle_ending();
        self.core.say_goodbye(now);
        self.go_on(now);
    }

    /// Time passed; too early or once too often does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.go_on(now);
    }

    /// The next datagram to leave, and by which door.
    pub fn poll_transmit(&mut self) -> Option<(usize, Transmit)> {
        (0..self.doors).find_map(|door| Some((door, self.core.poll_transmit(door)?)))
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.poll_timeout()
    }

    /// Makes one commit of what waits for the disk, as the writer thread would. `false`: nothing waits.
    pub fn write(&mut self) -> bool {
        let Some(done) = self.writer.carry_out(&mut self.writes) else { return false };
        self.dones.push_back(Done::Write(done));
        true
    }

    /// Answers one question, as the reader thread would. `false`: nothing waits.
    pub fn read(&mut self) -> bool {
        let Some(job) = self.reads.pop_front() else { return false };
        if let Some(done) = reader::answer(&mut *self.reader, &self.about, job) {
            self.dones.push_back(Done::Read(done));
        }
        true
    }

    /// Lets one of the things that were done be known. `false`: nothing waits.
    pub fn tell(&mut self, now: Instant) -> bool {
        let Some(done) = self.dones.pop_front() else { return false };
        self.core.handle_done(now, done);
        self.go_on(now);
        true
    }

    /// Does all that is to be done.
    pub fn work(&mut self, now: Instant) {
        while self.write() || self.read() || self.tell(now) {}
    }

    /// What all streams keep together, in bytes.
    #[cfg(test)]
    pub(crate) fn streams_keep(&self) -> usize {
        self.core.streams_keep()
    }

    /// Whether there are jobs to be done.
    #[cfg(test)]
    pub(crate) fn wants_work(&self) -> bool {
        !(self.writes.is_empty() && self.reads.is_empty() && self.dones.is_empty())
    }

    fn go_on(&mut self, now: Instant) {
        self.core.handle_timeout(now);
        #[cfg(test)]
        if self.is_stuck {
            return self.sort_jobs();
        }
        while let Some(id) = self.core.poll_stream() {
            while let Some(bytes) = self.core.poll_bytes(id) {
                self.actions.push_back((id, StreamAction::Send(bytes)));
            }
            self.core.handle_sent(now, id, 0);
            if self.core.is_over(now, id) && self.streams.remove(&id) {
                self.core.handle_closed(now, id);
                self.actions.push_back((id, StreamAction::Close));
            }
        }
        self.sort_jobs();
    }

    fn sort_jobs(&mut self) {
        let Jobs { writes, reads } = self.core.jobs();
        self.writes.append(writes);
        self.reads.append(reads);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use suibi_coap::{Code, Endpoint, Event, Request};
    use suibi_store::{OwnChain, SqliteOptions, SqliteStore};

    use super::*;
    use crate::files;

    fn machine(now: Instant, path: &std::path::Path) -> Machine {
        let file = files::database(path);
        let config = MachineConfig::new(vec![ListenerKind::Coap], Clock::System, path.to_owned());
        Machine::new(now, [1; 32], config, move || {
            let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
            Ok(Box::new(SqliteStore::open(&file, options)?))
        })
        .unwrap()
    }

    /// Both ways, until nobody has anything to say.
    fn exchange(now: Instant, client: &mut Endpoint, server: &mut Machine) {
        let (here, there) = ([1, 2].map(|host| SocketAddr::from(([127, 0, 0, host], 1)))).into();
        loop {
            let mut is_quiet = true;
            while let Some(transmit) = client.poll_transmit() {
                server.handle_datagram(now, 0, here.into(), &transmit.bytes);
                is_quiet = false;
            }
            while let Some((_, transmit)) = server.poll_transmit() {
                client.handle_datagram(now, there.into(), &transmit.bytes);
                is_quiet = false;
            }
            if is_quiet {
                return;
            }
        }
    }

    #[test]
    fn who_gives_back_what_was_lost_is_in_the_trail_once() {
        let dir = tempfile::tempdir().unwrap();
        let now = Instant::now();
        let mut server = machine(now, dir.path());
        for changes in [3, 4] {
            let address = SocketAddr::from(([192, 0, 2, 1], 5));
            let journal = suibi_store::JournalId::FIRST;
            server.about.recovered.handle_changes(journal, "phone", address, changes);
            server.handle_timeout(now);
            server.work(now);
        }
        let trail = server.reader.audit(10).unwrap();
        let [entry] = &trail[..] else { panic!("{trail:?}") };
        assert_eq!(entry.what, suibi_journal::AuditKind::Recovered);
        assert_eq!((entry.device.as_str(), entry.journal.as_str()), ("phone", "notes"));
        assert_eq!(entry.detail, "3 changes or more that were acknowledged before");
    }

    #[test]
    fn a_server_that_dies_between_commit_and_answer_has_the_note_and_has_told_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let mut now = Instant::now();
        let mut client = Endpoint::new(suibi_coap::Config::own(), [2; 32]);
        let there = SocketAddr::from(([127, 0, 0, 2], 1));
        let post = Request::new(Code::POST).path("/notes").payload("tea");
        client.request(now, there.into(), post);
        let mut server = machine(now, dir.path());
        exchange(now, &mut client, &mut server);
        assert!(server.write() && !server.write());
        exchange(now, &mut client, &mut server);
        assert_eq!(client.poll_event(), None);
        drop(server);

        let mut server = machine(now, dir.path());
        let asked = client.request(now, there.into(), Request::new(Code::GET).path("/notes"));
        for _ in 0..3 {
            exchange(now, &mut client, &mut server);
            server.work(now);
            now += Duration::from_secs(5);
            client.handle_timeout(now);
        }
        let answer = std::iter::from_fn(|| client.poll_event()).find_map(|event| match event {
            Event::Response { id, response } if id == asked => Some(response.text()),
            _ => None,
        });
        assert!(answer.unwrap().contains(" tea\n"));
    }
}
