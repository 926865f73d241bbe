//! A bad network on loopback: [`Relay`] stands between clients and a server and loses, doubles,
//! reorders and delays what passes, both ways, by dice thrown from a seed.
//!
//! ```text
//! client A ──┐                     ┌── socket for A ──┐
//!            ├─> Relay::address() ─┤                  ├─> target
//! client B ──┘                     └── socket for B ──┘
//! ```
//!
//! Each client address has a socket of its own towards the target, so that the server sees as many
//! peers as there are. The dice are the same in every run with the same seed; who throws them first
//! is up to the scheduler, so a run is alike, not identical.
//!
//! Where dice do not do, because somebody on the path means harm, every datagram passes through the
//! hands of the caller: [`Relay::start_through`].

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// The largest number of client addresses that are carried at the same time. When one more comes,
/// the one that was silent for longest is forgotten.
pub const MAX_CLIENTS: usize = 256;

/// The largest number of datagrams that are held back (delayed or reordered) at the same time.
/// What exceeds it is dropped, as a full router would.
pub const MAX_HELD: usize = 4_096;

/// A reordered datagram comes this much later than its turn, at least and at most.
const LATE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(40));

/// One more than any UDP payload has.
const BUFFER_LEN: usize = 65_536;

const FRONT: Token = Token(0);
const WAKE: Token = Token(1);
const FIRST_CLIENT: usize = 2;

/// What happens to datagrams on their way; the same in both directions.
///
/// Default: nothing, everything is carried at once.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// The share that is lost, 0 to 1.
    pub loss: f64,
    /// The share of the others that arrives twice, 0 to 1.
    pub double: f64,
    /// The share of the others that is overtaken by later ones, 0 to 1.
    pub reorder: f64,
    /// How much later everything arrives, each way.
    pub delay: Duration,
    /// Where the dice come from.
    pub seed: u64,
}

/// What a [`Relay`] has done so far, both directions together, in datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RelayStats {
    /// Passed on, each counted once.
    pub carried: u64,
    /// Lost.
    pub dropped: u64,
    /// Passed on a second time.
    pub doubled: u64,
    /// Held back so that later ones could overtake.
    pub reordered: u64,
}

/// A lossy path on loopback to one UDP server, for tests and for `suibi demo`.
///
/// It runs in a thread of its own and ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts a relay to `target`, on a loopback port that the system picks.
    ///
    /// # Errors
    ///
    /// When the socket, the poll or the thread cannot be made.
    pub fn start(target: SocketAddr, faults: Faults) -> io::Result<Self> {
        Self::start_through(target, faults, |direction, _, datagram| vec![(direction, datagram)])
    }

    /// The same with somebody on the path, who is given every datagram with the client whose it is, before the dice
    /// are thrown. What is returned travels instead, towards the server or that client.
    ///
    /// # Errors
    ///
    /// Those of [`Relay::start`].
    pub fn start_through(
        target: SocketAddr,
        faults: Faults,
        hands: impl FnMut(Direction, SocketAddr, Vec<u8>) -> Vec<(Direction, Vec<u8>)> + Send + 'static,
    ) -> io::Result<Self> {
        let loopback = match target {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let mut front = UdpSocket::bind(SocketAddr::new(loopback, 0))?;
        poll.registry().register(&mut front, FRONT, Interest::READABLE)?;
        let address = front.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared::new(target, faults)));
        let path = Path {
            poll,
            front,
            shared: Arc::clone(&shared),
            clients: BTreeMap::new(),
            tokens: BTreeMap::new(),
            next_token: FIRST_CLIENT,
            held: BinaryHeap::new(),
            order: 0,
            buf: vec![0; BUFFER_LEN],
            hands: Box::new(hands),
        };
        let thread = std::thread::Builder::new().name("relay".into()).spawn(|| path.run())?;
        Ok(Self { address, shared, waker, thread: Some(thread) })
    }

    /// Where clients send to instead of to the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server is elsewhere from now on: it was restarted on another port.
    /// It has to be of the same address family, or nothing arrives any more.
    pub fn set_target(&self, target: SocketAddr) {
        lock(&self.shared).target = target;
    }

    /// Other weather from now on; the dice start again from its seed.
    pub fn set_faults(&self, faults: Faults) {
        let mut shared = lock(&self.shared);
        shared.dice = [Direction::Up, Direction::Down].map(|direction| dice(faults, direction));
        shared.faults = faults;
    }

    /// What it has done so far.
    pub fn stats(&self) -> RelayStats {
        lock(&self.shared).stats
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        lock(&self.shared).stop = true;
        // Both can only fail when the thread has already ended by itself.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the owner and the thread both look at.
#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    faults: Faults,
    /// One set per direction, so that a retry of one side does not change the luck of the other.
    dice: [StdRng; 2],
    stats: RelayStats,
    stop: bool,
}

impl Shared {
    fn new(target: SocketAddr, faults: Faults) -> Self {
        let dice = [Direction::Up, Direction::Down].map(|direction| dice(faults, direction));
        Self { target, faults, dice, stats: RelayStats::default(), stop: false }
    }

    /// When the copies of the next datagram leave: none, one or two of them.
    fn throw(&mut self, direction: Direction, now: Instant) -> [Option<Instant>; 2] {
        let Faults { loss, double, reorder, delay, .. } = self.faults;
        let dice = &mut self.dice[direction as usize];
        // Every datagram takes four throws, whatever comes out, so that one fault more or less does
        // not shift all later ones.
        let [lost, doubled, reordered, late]: [f64; 4] = dice.random();
        if lost < loss {
            self.stats.dropped += 1;
            return [None, None];
        }
        self.stats.carried += 1;
        let late = LATE.0 + (LATE.1 - LATE.0).mul_f64(late);
        let mut first = now + delay;
        if reordered < reorder {
            self.stats.reordered += 1;
            first += late;
        }
        let second = (doubled < double).then(|| now + delay + late);
        self.stats.doubled += u64::from(second.is_some());
        [Some(first), second]
    }
}

/// Where a datagram is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From a client to the server.
    Up = 0,
    /// From the server to a client.
    Down = 1,
}

/// Somebody on the path: takes a datagram, gives what travels instead.
type Hands = Box<dyn FnMut(Direction, SocketAddr, Vec<u8>) -> Vec<(Direction, Vec<u8>)> + Send>;

fn dice(faults: Faults, direction: Direction) -> StdRng {
    StdRng::seed_from_u64(faults.seed.wrapping_mul(2).wrapping_add(direction as u64))
}

/// A poisoned lock means that the other side panicked between two plain assignments; what is in
/// there is still whole.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A datagram on its way. Ordered by when it is due, then by when it came.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Instant,
    order: u64,
    direction: Direction,
    client: SocketAddr,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    token: Token,
    upstream: UdpSocket,
    heard: Instant,
}

/// The thread's side.
struct Path {
    poll: Poll,
    front: UdpSocket,
    shared: Arc<Mutex<Shared>>,
    clients: BTreeMap<SocketAddr, Client>,
    tokens: BTreeMap<Token, SocketAddr>,
    next_token: usize,
    held: BinaryHeap<Reverse<Held>>,
    order: u64,
    buf: Vec<u8>,
    hands: Hands,
}

impl Path {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            let timeout =
                self.held.peek().map(|held| held.0.due.saturating_duration_since(Instant::now()));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::warn!(%error, "the relay ends");
                    return;
                }
            }
            if lock(&self.shared).stop {
                return;
            }
            for event in &events {
                match event.token() {
                    FRONT => self.on_front_readable(),
                    WAKE => {}
                    token => self.on_upstream_readable(token),
                }
            }
            self.send_due();
        }
    }

    fn on_front_readable(&mut self) {
        loop {
            match self.front.recv_from(&mut self.buf) {
                Ok((len, client)) => {
                    if self.meet(client).is_ok() {
                        self.carry(Direction::Up, client, len);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about something sent earlier; the path just loses it.
                Err(_) => {}
            }
        }
    }

    fn on_upstream_readable(&mut self, token: Token) {
        let Some(&client) = self.tokens.get(&token) else { return };
        while let Some(known) = self.clients.get(&client) {
            match known.upstream.recv_from(&mut self.buf) {
                Ok((len, from)) => {
                    // Whoever else knows the port has no business here.
                    if from == lock(&self.shared).target {
                        self.carry(Direction::Down, client, len);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {}
            }
        }
    }

    /// Makes sure that `client` has a socket towards the target.
    fn meet(&mut self, client: SocketAddr) -> io::Result<()> {
        let now = Instant::now();
        if let Some(known) = self.clients.get_mut(&client) {
            known.heard = now;
            return Ok(());
        }
        if self.clients.len() >= MAX_CLIENTS {
            let oldest = self.clients.iter().min_by_key(|(_, known)| known.heard);
            if let Some(oldest) = oldest.map(|(address, _)| *address)
                && let Some(gone) = self.clients.remove(&oldest)
            {
                self.tokens.remove(&gone.token);
            }
        }
        let mut upstream = UdpSocket::bind(SocketAddr::new(self.front.local_addr()?.ip(), 0))?;
        let token = Token(self.next_token);
        self.next_token += 1;
        self.poll.registry().register(&mut upstream, token, Interest::READABLE)?;
        self.tokens.insert(token, client);
        self.clients.insert(client, Client { token, upstream, heard: now });
        Ok(())
    }

    /// Decides what happens to the first `len` bytes of the buffer.
    fn carry(&mut self, direction: Direction, client: SocketAddr, len: usize) {
        for (direction, bytes) in (self.hands)(direction, client, self.buf[..len].to_vec()) {
            self.throw(direction, client, bytes);
        }
    }

    fn throw(&mut self, direction: Direction, client: SocketAddr, bytes: Vec<u8>) {
        let now = Instant::now();
        let copies = lock(&self.shared).throw(direction, now);
        for due in copies.into_iter().flatten() {
            let bytes = bytes.clone();
            let held = Held { due, order: self.order, direction, client, bytes };
            self.order += 1;
            if due <= now {
                self.send(&held);
            } else if self.held.len() < MAX_HELD {
                self.held.push(Reverse(held));
            } else {
                lock(&self.shared).stats.dropped += 1;
            }
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while self.held.peek().is_some_and(|held| held.0.due <= now) {
            if let Some(Reverse(held)) = self.held.pop() {
                self.send(&held);
            }
        }
    }

    /// A datagram that cannot be sent is lost: that is what this network is like.
    fn send(&self, held: &Held) {
        let _ = match held.direction {
            Direction::Up => {
                let target = lock(&self.shared).target;
                match self.clients.get(&held.client) {
                    Some(known) => known.upstream.send_to(&held.bytes, target),
                    None => return,
                }
            }
            Direction::Down => self.front.send_to(&held.bytes, held.client),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// A server's socket, a relay to it, and a client's socket connected to the relay.
    fn path(faults: Faults) -> (UdpSocket, Relay, UdpSocket) {
        let server = socket();
        let relay = Relay::start(server.local_addr().unwrap(), faults).unwrap();
        let client = socket();
        client.connect(relay.address()).unwrap();
        (server, relay, client)
    }

    fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buf = [0; 100];
        let (len, from) = socket.recv_from(&mut buf).unwrap();
        (buf[..len].to_vec(), from)
    }

    /// Everything that arrives until nothing has for `silence`.
    fn receive_all(socket: &UdpSocket, silence: Duration) -> Vec<u32> {
        socket.set_read_timeout(Some(silence)).unwrap();
        let mut buf = [0; 4];
        std::iter::from_fn(|| socket.recv_from(&mut buf).ok().map(|_| u32::from_be_bytes(buf)))
            .collect()
    }

    #[test]
    fn without_faults_everything_arrives_both_ways_and_in_order() {
        let (server, relay, client) = path(Faults::default());
        for n in 0..50u8 {
            client.send(&[n]).unwrap();
            let (bytes, from) = receive(&server);
            assert_eq!(bytes, [n]);
            server.send_to(&[n, n], from).unwrap();
            assert_eq!(receive(&client).0, [n, n]);
        }
        let expected = RelayStats { carried: 100, ..RelayStats::default() };
        assert_eq!(relay.stats(), expected);
    }

    #[test]
    fn each_client_has_its_own_address_towards_the_server() {
        let (server, relay, first) = path(Faults::default());
        let second = socket();
        second.connect(relay.address()).unwrap();
        first.send(b"first").unwrap();
        let (_, first_seen) = receive(&server);
        second.send(b"second").unwrap();
        let (_, second_seen) = receive(&server);
        assert_ne!(first_seen, second_seen);
        server.send_to(b"for the second", second_seen).unwrap();
        server.send_to(b"for the first", first_seen).unwrap();
        assert_eq!(receive(&first).0, b"for the first");
        assert_eq!(receive(&second).0, b"for the second");
    }

    #[test]
    fn what_is_thrown_is_what_arrives() {
        let faults = Faults { loss: 0.3, double: 0.2, reorder: 0.2, seed: 7, ..Faults::default() };
        let (server, relay, client) = path(faults);
        // Few enough for any socket buffer.
        let sent = 150;
        for n in 0..sent {
            client.send(&u32::to_be_bytes(n)).unwrap();
        }
        let arrived = receive_all(&server, Duration::from_secs(1));
        let stats = relay.stats();
        assert_eq!(stats.carried + stats.dropped, u64::from(sent));
        assert_eq!(arrived.len() as u64, stats.carried + stats.doubled);
        assert!((25..=65).contains(&stats.dropped), "{stats:?}");
        assert!(stats.doubled > 0 && stats.reordered > 0, "{stats:?}");
        let mut distinct = arrived.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len() as u64, stats.carried);
        assert!(!arrived.is_sorted(), "nothing was overtaken");
    }

    #[test]
    fn the_same_seed_throws_the_same() {
        let throw = |seed| {
            let faults = Faults { loss: 0.5, double: 0.5, reorder: 0.5, seed, ..Faults::default() };
            let mut shared = Shared::new("127.0.0.1:1".parse().unwrap(), faults);
            let now = Instant::now();
            let mut times = Vec::new();
            for _ in 0..64 {
                times.push(shared.throw(Direction::Up, now).map(|due| due.map(|at| at - now)));
            }
            times
        };
        assert_eq!(throw(1), throw(1));
        assert_ne!(throw(1), throw(2));
    }

    #[test]
    fn a_delay_is_kept() {
        let delay = Duration::from_millis(30);
        let (server, _relay, client) = path(Faults { delay, ..Faults::default() });
        let start = Instant::now();
        client.send(b"there").unwrap();
        let (_, from) = receive(&server);
        server.send_to(b"and back", from).unwrap();
        receive(&client);
        assert!(start.elapsed() >= 2 * delay);
    }

    #[test]
    fn hands_on_the_path_change_drop_and_send_back() {
        let server = socket();
        let hands = |direction, _, bytes: Vec<u8>| match &bytes[..] {
            b"drop" => vec![],
            b"back" => vec![(Direction::Down, bytes)],
            _ => vec![(direction, [&bytes[..], b"!"].concat())],
        };
        let target = server.local_addr().unwrap();
        let relay = Relay::start_through(target, Faults::default(), hands).unwrap();
        let client = socket();
        client.connect(relay.address()).unwrap();
        client.send(b"drop").unwrap();
        client.send(b"back").unwrap();
        assert_eq!(receive(&client).0, b"back");
        client.send(b"on").unwrap();
        let (bytes, from) = receive(&server);
        assert_eq!(bytes, b"on!");
        server.send_to(b"answer", from).unwrap();
        assert_eq!(receive(&client).0, b"answer!");
    }

    #[test]
    fn another_target_and_other_weather_hold_from_then_on() {
        let (_server, relay, client) = path(Faults { loss: 1.0, ..Faults::default() });
        client.send(b"lost").unwrap();
        let start = Instant::now();
        while relay.stats().dropped == 0 {
            assert!(start.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(1));
        }
        let other = socket();
        relay.set_target(other.local_addr().unwrap());
        relay.set_faults(Faults::default());
        client.send(b"carried").unwrap();
        assert_eq!(receive(&other).0, b"carried");
    }

    #[test]
    fn more_clients_than_it_can_carry_push_out_the_most_silent() {
        let (server, relay, first) = path(Faults::default());
        first.send(b"first").unwrap();
        receive(&server);
        for _ in 0..MAX_CLIENTS + 10 {
            let client = socket();
            client.send_to(b"hello", relay.address()).unwrap();
            receive(&server);
        }
        first.send(b"back again").unwrap();
        let (bytes, from) = receive(&server);
        assert_eq!(bytes, b"back again");
        server.send_to(b"welcome", from).unwrap();
        assert_eq!(receive(&first).0, b"welcome");
    }

    #[test]
    fn it_stops_when_dropped() {
        let (_server, relay, _client) = path(Faults::default());
        let address = relay.address();
        drop(relay);
        UdpSocket::bind(address).expect("the port is free again");
    }
}
