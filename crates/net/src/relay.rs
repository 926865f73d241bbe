//! A bad network on loopback: [`Relay`] stands between clients and a server and loses, doubles,
//! reorders and delays what passes, both ways, by dice thrown from a seed; and it is long, narrow,
//! closed or forgetful, as its [`Line`] says.
//!
//! ```text
//! client A ──┐                     ┌── socket for A ──┐
//!            ├─> Relay::address() ─┤                  ├─> target
//! client B ──┘                     └── socket for B ──┘
//! ```
//!
//! Each client address has a socket of its own towards the target, so that the server sees as many
//! peers as there are. TCP passes on the same port number: a connection on either side, and between
//! them the same delay and the same narrow place. The dice are the same in every run with the same
//! seed; who throws them first is up to the scheduler, so a run is alike, not identical.
//!
//! Where dice do not do, because somebody on the path means harm, every datagram passes through the
//! hands of the caller: [`Relay::start_through`].

mod line;
mod path;
mod stream;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::Waker;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use line::{DATAGRAM_OVERHEAD, Queue};
pub use line::{Lane, Line, Passage, Rate};
use path::{Path, Sockets};

/// The largest number of client addresses that are carried at the same time. When one more comes,
/// the one that was silent for longest is forgotten.
pub const MAX_CLIENTS: usize = 256;

/// The largest number of datagrams that are held back (delayed or reordered) at the same time.
/// What exceeds it is dropped, as a full router would.
pub const MAX_HELD: usize = 4_096;

/// The largest number of streams that are open at the same time. One more is reset.
pub const MAX_STREAMS: usize = 64;

/// A reordered datagram comes this much later than its turn, at least and at most.
const LATE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(40));

/// What happens to datagrams on their way; the same in both directions. A stream is only late: by
/// `delay`, and by 200 ms more for what is lost of it, since TCP sends that again.
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

/// What a [`Relay`] has done so far, both directions together, in datagrams where nothing else is
/// said.
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
    /// Streams that were opened through it.
    pub streams: u64,
    /// Bytes that came in on streams.
    pub stream_bytes: u64,
    /// How often the ports towards the server became others.
    pub rebinds: u64,
}

/// A lossy path on loopback to one server, for tests and for `suibi demo`.
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
    /// When the sockets, the poll or the thread cannot be made.
    pub fn start(target: SocketAddr, faults: Faults) -> io::Result<Self> {
        Self::start_through(target, faults, |direction, _, datagram| vec![(direction, datagram)])
    }

    /// The same with somebody on the path, who is given every datagram with the client whose it is,
    /// before the dice are thrown. What is returned travels instead, towards the server or that
    /// client. Streams pass by.
    ///
    /// # Errors
    ///
    /// Those of [`Relay::start`].
    pub fn start_through(
        target: SocketAddr,
        faults: Faults,
        hands: impl FnMut(Direction, SocketAddr, Vec<u8>) -> Vec<(Direction, Vec<u8>)> + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_with(Shared::new(target, faults), Box::new(hands))
    }

    /// Another way over the same line, to another server: what passes there takes its place in the same queues. Of the
    /// line it has a copy, as it is now; the weather is fine.
    ///
    /// # Errors
    ///
    /// Those of [`Relay::start`].
    pub fn start_beside(&self, target: SocketAddr) -> io::Result<Self> {
        let mut shared = Shared::new(target, Faults::default());
        let ours = lock(&self.shared);
        shared.queues = Arc::clone(&ours.queues);
        shared.set_line(ours.line);
        drop(ours);
        Self::start_with(shared, Box::new(|direction, _, datagram| vec![(direction, datagram)]))
    }

    fn start_with(shared: Shared, hands: Hands) -> io::Result<Self> {
        let target = shared.target;
        let loopback = match target {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let sockets = Sockets::bind(loopback)?;
        let (address, waker) = (sockets.address, sockets.waker()?);
        let shared = Arc::new(Mutex::new(shared));
        let path = Path::new(sockets, Arc::clone(&shared), hands);
        let thread = std::thread::Builder::new().name("relay".into()).spawn(|| path.run())?;
        Ok(Self { address, shared, waker, thread: Some(thread) })
    }

    /// Where clients send to, and connect to, instead of to the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server is elsewhere from now on: it was restarted on another port. Streams that are open
    /// stay with the old one.
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

    /// Another line from now on. What is on its way arrives as it would have.
    pub fn set_line(&self, line: Line) {
        lock(&self.shared).set_line(line);
        self.wake();
    }

    /// Resets every stream that is open, as a router does that was switched off and on.
    pub fn cut(&self) {
        lock(&self.shared).cuts = true;
        self.wake();
    }

    /// What it has done so far.
    pub fn stats(&self) -> RelayStats {
        lock(&self.shared).stats
    }

    fn wake(&self) {
        // It fails only when the thread has already ended by itself.
        let _ = self.waker.wake();
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        lock(&self.shared).stop = true;
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Where something is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From a client to the server.
    Up = 0,
    /// From the server to a client.
    Down = 1,
}

impl Direction {
    fn back(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// Somebody on the path: takes a datagram, gives what travels instead.
type Hands = Box<dyn FnMut(Direction, SocketAddr, Vec<u8>) -> Vec<(Direction, Vec<u8>)> + Send>;

/// What the owner and the thread both look at.
#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    faults: Faults,
    /// One set per direction, so that a retry of one side does not change the luck of the other.
    dice: [StdRng; 2],
    line: Line,
    /// Shared by all relays on the same line.
    queues: Arc<Mutex<[Queue; 2]>>,
    /// When the ports change next.
    rebind_at: Option<Instant>,
    /// All streams are to be reset.
    cuts: bool,
    stats: RelayStats,
    stop: bool,
}

impl Shared {
    fn new(target: SocketAddr, faults: Faults) -> Self {
        Self {
            target,
            faults,
            dice: [Direction::Up, Direction::Down].map(|direction| dice(faults, direction)),
            line: Line::default(),
            queues: Arc::default(),
            rebind_at: None,
            cuts: false,
            stats: RelayStats::default(),
            stop: false,
        }
    }

    fn set_line(&mut self, line: Line) {
        self.line = line;
        self.rebind_at = line.rebind_every.map(|every| Instant::now() + every);
    }

    /// When the copies of a datagram of so many bytes leave: none, one or two of them.
    fn throw(&mut self, direction: Direction, now: Instant, len: usize) -> [Option<Instant>; 2] {
        let Faults { loss, double, reorder, .. } = self.faults;
        let dice = &mut self.dice[direction as usize];
        // Every datagram takes four throws, whatever comes out, so that one fault more or less does
        // not shift all later ones.
        let [lost, doubled, reordered, late]: [f64; 4] = dice.random();
        let passed = match lost < loss || self.line.udp_is_blocked {
            true => None,
            false => self.admit(direction, now, len as u64 + DATAGRAM_OVERHEAD),
        };
        let Some(passed) = passed else {
            self.stats.dropped += 1;
            return [None, None];
        };
        self.stats.carried += 1;
        let late = LATE.0 + (LATE.1 - LATE.0).mul_f64(late);
        let due = passed + self.delay(direction);
        let mut first = due;
        if reordered < reorder {
            self.stats.reordered += 1;
            first += late;
        }
        let second = (doubled < double).then(|| due + late);
        self.stats.doubled += u64::from(second.is_some());
        [Some(first), second]
    }

    /// Whether a piece of a stream is lost at first.
    fn throw_stream(&mut self, direction: Direction) -> bool {
        let lost: f64 = self.dice[direction as usize].random();
        lost < self.faults.loss
    }

    /// Lets something through the narrow place: when it is through, unless there is no room.
    fn admit(&mut self, direction: Direction, now: Instant, bytes: u64) -> Option<Instant> {
        let queue = if self.line.is_shared { Direction::Up } else { direction };
        let mut queues = lock(&self.queues);
        queues[queue as usize].admit(self.rate(direction), now, bytes)
    }

    fn rate(&self, direction: Direction) -> Option<Rate> {
        match direction {
            Direction::Down if !self.line.is_shared => self.line.down.rate,
            _ => self.line.up.rate,
        }
    }

    fn delay(&self, direction: Direction) -> Duration {
        let lane = match direction {
            Direction::Up => self.line.up,
            Direction::Down => self.line.down,
        };
        self.faults.delay + lane.delay
    }

    /// There and back, on an empty line.
    fn round_trip(&self) -> Duration {
        self.delay(Direction::Up) + self.delay(Direction::Down)
    }

    /// How long a sender takes to see that the queue was full: until what waits there has arrived.
    fn recovery(&self, direction: Direction) -> Duration {
        let rate = self.rate(direction);
        self.round_trip() + rate.map_or(Duration::ZERO, |rate| rate.time_of(rate.queue_bytes))
    }
}

fn dice(faults: Faults, direction: Direction) -> StdRng {
    StdRng::seed_from_u64(faults.seed.wrapping_mul(2).wrapping_add(direction as u64))
}

/// A poisoned lock means that the other side panicked between two plain assignments; what is in
/// there is still whole.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
