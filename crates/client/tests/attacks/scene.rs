//! A server, devices that reach it over a path where somebody sits, and what there is to be harmed.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use suibi_client::{Added, Client, Membership, Remote};
use suibi_coap::Protection;
use suibi_journal::Extras;
use suibi_net::relay::{Direction, Faults, Line, Passage, Relay};
use suibi_oscore::{ClientContext, InviteLine};

use crate::recorder::Recorder;
use crate::support::{PATIENCE, Serving, World, texts};

/// What travels instead of a datagram.
pub(crate) type Instead = Vec<(Direction, Vec<u8>)>;

/// Who sits on the path.
type Hands = Box<dyn FnMut(Direction, SocketAddr, Vec<u8>) -> Instead + Send>;

/// A recorded datagram, as its sender sent it.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    pub(crate) direction: Direction,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) server: Option<Serving>,
    relay: Relay,
    path: Arc<Mutex<Path>>,
    witnesses: u32,
}

struct Path {
    recorder: Recorder,
    recorded: Vec<Recorded>,
    hands: Hands,
}

/// All that an attack could have changed, as the owner and an honest reader see it.
#[derive(Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) notes: Vec<String>,
    pub(crate) devices: usize,
    pub(crate) invites: usize,
    pub(crate) audit: usize,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let world = World::new();
        let server = Serving::start(world.dir("server"), None);
        let path = Path { recorder: Recorder::default(), recorded: vec![], hands: honest() };
        let path = Arc::new(Mutex::new(path));
        let shared = Arc::clone(&path);
        let relay = Relay::start_through(server.oscore, Faults::default(), {
            move |direction, client, datagram| lock(&shared).carry(direction, client, datagram)
        });
        let relay = relay.unwrap();
        // Whoever sits on the path has hands for datagrams alone, so that there is no way around them.
        relay.set_line(Line { tcp: Passage::Refused, ..Line::default() });
        Self { world, server: Some(server), relay, path, witnesses: 0 }
    }

    /// An invite whose line leads over the path.
    pub(crate) fn line(&self, rights: &str) -> InviteLine {
        InviteLine { port: self.relay.address().port(), ..self.world.invite(rights) }
    }

    /// A device that joined over the path; its data is in a directory of its name.
    pub(crate) fn join(&self, device: &str, rights: &str) -> Membership {
        self.world.join(device, &self.line(rights)).membership
    }

    /// A process of such a device.
    pub(crate) fn process(&self, device: &str) -> Client {
        self.world.joined(device)
    }

    /// A process of such a device that can ask anything.
    pub(crate) fn bare_process(&self, of: &Membership, context: &ClientContext) -> Remote {
        assert_eq!(of.address, self.relay.address().to_string());
        self.remote(context.protection())
    }

    pub(crate) fn remote(&self, protection: Box<dyn Protection>) -> Remote {
        let mut remote = Remote::new().unwrap();
        remote.protect_datagrams(Some(protection)).unwrap();
        remote.connect(&[self.relay.address()]).unwrap();
        remote
    }

    /// Whoever sits on the path does this from now on.
    pub(crate) fn hands(
        &self,
        hands: impl FnMut(Direction, SocketAddr, Vec<u8>) -> Instead + Send + 'static,
    ) {
        self.path().hands = Box::new(hands);
    }

    /// The path itself is bad from now on.
    pub(crate) fn weather(&self, faults: Faults) {
        self.relay.set_faults(faults);
    }

    /// Nobody does anything any more.
    pub(crate) fn honest(&self) {
        self.path().hands = honest();
    }

    /// What was sent since this was asked last, by both sides.
    pub(crate) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.path().recorded)
    }

    /// The same, of the devices alone.
    pub(crate) fn take_requests(&self) -> Vec<Vec<u8>> {
        let ups = self.take().into_iter().filter(|one| one.direction == Direction::Up);
        ups.map(|one| one.bytes).collect()
    }

    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    pub(crate) fn start(&mut self) {
        let server = Serving::start(self.world.dir("server"), None);
        self.relay.set_target(server.oscore);
        self.server = Some(server);
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.start();
    }

    pub(crate) fn server_address(&self) -> SocketAddr {
        self.server.as_ref().unwrap().oscore
    }

    /// Somebody with a socket of his own.
    pub(crate) fn stranger(&self) -> Stranger {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.server_address()).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(120))).unwrap();
        Stranger { socket, path: Arc::clone(&self.path) }
    }

    /// The server's notes, as somebody reads them who has never read before.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        self.witnesses += 1;
        let address = self.server.as_ref().unwrap().address;
        let mut witness = self.world.client(&format!("witness {}", self.witnesses), address);
        witness.sync(PATIENCE, |_| {}).unwrap();
        texts(&mut *witness.reader().unwrap())
    }

    pub(crate) fn facts(&mut self) -> Facts {
        let notes = self.notes();
        let mut owner = self.world.admin("server");
        Facts {
            notes,
            devices: owner.devices().unwrap().len(),
            invites: owner.invites().unwrap().len(),
            audit: owner.audit(10_000).unwrap().len(),
        }
    }

    fn path(&self) -> MutexGuard<'_, Path> {
        lock(&self.path)
    }
}

/// Whatever it was, nothing was protected twice under one key and nonce.
impl Drop for Scene {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let path = self.path();
            path.recorder.check();
            assert!(path.recorder.messages() > 3, "nothing was recorded");
        }
    }
}

impl Path {
    fn carry(&mut self, direction: Direction, client: SocketAddr, datagram: Vec<u8>) -> Instead {
        match direction {
            Direction::Up => self.recorder.request(client, &datagram),
            Direction::Down => self.recorder.answer(client, &datagram),
        }
        self.recorded.push(Recorded { direction, bytes: datagram.clone() });
        let instead = (self.hands)(direction, client, datagram);
        for (_, datagram) in instead.iter().filter(|(direction, _)| *direction == Direction::Up) {
            self.recorder.arrives(client, datagram);
        }
        instead
    }
}

/// Sends the server what he likes.
pub(crate) struct Stranger {
    socket: UdpSocket,
    path: Arc<Mutex<Path>>,
}

impl Stranger {
    /// Sends these datagrams and gives back what comes, until nothing has come for a while.
    pub(crate) fn send<'a>(
        &self,
        datagrams: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        let here = self.socket.local_addr().unwrap();
        for datagram in datagrams {
            lock(&self.path).recorder.arrives(here, datagram);
            self.socket.send(datagram).unwrap();
        }
        std::iter::from_fn(|| self.receive().ok()).collect()
    }

    /// The same with one datagram and its answer, for those who are no strangers but have a socket of their own.
    pub(crate) fn ask(&self, datagram: &[u8]) -> Vec<u8> {
        lock(&self.path).recorder.request(self.socket.local_addr().unwrap(), datagram);
        self.socket.send(datagram).unwrap();
        let until = Instant::now() + PATIENCE;
        loop {
            match self.receive() {
                Ok(answer) => return answer,
                Err(error) => assert!(Instant::now() < until, "no answer: {error}"),
            }
        }
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buf = [0; 2048];
        let len = self.socket.recv(&mut buf)?;
        lock(&self.path).recorder.answer(self.socket.local_addr()?, &buf[..len]);
        Ok(buf[..len].to_vec())
    }
}

fn honest() -> Hands {
    Box::new(|direction, _, datagram| vec![(direction, datagram)])
}

/// What is in there is whole after each statement.
fn lock(path: &Mutex<Path>) -> MutexGuard<'_, Path> {
    path.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random bytes for a process.
pub(crate) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}

pub(crate) fn add(client: &mut Client, text: &str) -> Added {
    client.add(text, None, Extras::new()).unwrap()
}

/// Adds a note and makes sure that the server has it.
#[track_caller]
pub(crate) fn deliver(client: &mut Client, text: &str) {
    let added = add(client, text);
    if added.receipt.is_none() {
        everything(client);
    }
}

/// Until the server has acknowledged everything.
#[track_caller]
pub(crate) fn everything(client: &mut Client) {
    let until = Instant::now() + PATIENCE;
    let mut outcome = None;
    while client.waiting().unwrap() > 0 || outcome.is_none() {
        assert!(Instant::now() < until, "never delivered: {outcome:?}");
        outcome = Some(client.sync(Duration::from_secs(2), |_| {}).map(|synced| synced.waiting));
    }
}
