//! The load generator: many sockets, a fixed number of requests outstanding on each, every answer
//! checked.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::kernel::{self, Received};
use crate::message::{self, Answer, Kind};
use crate::{Failure, cpu};

/// A message id must not come twice from one port while the server may remember it (RFC 7252
/// §4.4), and the server remembers for longer than a turn lasts: each port is left before its ids
/// begin again.
const IDS_PER_PORT: u32 = 60_000;

/// When something is sent again. Loopback loses nothing but what a full socket buffer has no room
/// for, so this is about the generator's own bursts.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// How long the last answers may take after the last request.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many sockets, and how many requests wait on each at a time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) sockets: usize,
    pub(crate) each: usize,
    /// What one socket sends at a time goes through the kernel as one, and so do its answers, if the server lets them.
    pub(crate) joined: bool,
}

/// What to ask, and whether the answer is right.
pub(crate) trait Work {
    /// The next request on this socket; `number` has not been given before.
    fn request(&mut self, socket: usize, id: u16, number: u32) -> Vec<u8>;

    /// Looks at the answer to request `number`.
    ///
    /// # Errors
    /// When it is not the right one.
    fn check(&mut self, number: u32, answer: &Answer<'_>) -> Result<(), Failure>;

    /// Whether this socket is not in the middle of something.
    fn may_stop(&self, _socket: usize) -> bool {
        true
    }
}

/// What one turn of load came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loaded {
    /// Requests, each answered rightly.
    pub(crate) requests: u64,
    /// From the first request to the last answer.
    pub(crate) wall: Duration,
    /// What the generator itself has used; as long as `wall`, it was what held things up.
    pub(crate) cpu: Duration,
    /// From a request's first sending to its answer, in microseconds, in order of size.
    pub(crate) answer_micros: Vec<u32>,
    /// Requests that were sent more than once.
    pub(crate) retried: u64,
    /// Answers that came apart from their acknowledgement.
    pub(crate) separate: u64,
}

impl Loaded {
    /// The answer time that this share of the requests did not exceed.
    pub(crate) fn answer_time(&self, share: f64) -> Duration {
        let last = self.answer_micros.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        Duration::from_micros(self.answer_micros.get(at).copied().unwrap_or(0).into())
    }
}

/// A request that waits for its answer.
struct Flight {
    id: u16,
    number: u32,
    first_sent: Instant,
    last_sent: Instant,
    bytes: Vec<u8>,
}

struct Port {
    socket: UdpSocket,
    next_id: u16,
    used: u32,
    flights: Vec<Flight>,
}

impl Port {
    fn open(poll: &Poll, token: Token, target: SocketAddr, joined: bool) -> io::Result<Self> {
        let mut socket = UdpSocket::bind("127.0.0.1:0".parse().expect("an address"))?;
        socket.connect(target)?;
        if joined {
            kernel::join_received(socket.as_fd())?;
        }
        poll.registry().register(&mut socket, token, Interest::READABLE)?;
        Ok(Self { socket, next_id: 0, used: 0, flights: Vec::new() })
    }
}

/// Loads `target` for `turn`, then waits for the last answers.
///
/// # Errors
/// When an answer is wrong, or does not come: there is no figure then.
pub(crate) fn run(
    target: SocketAddr,
    shape: Shape,
    turn: Duration,
    work: &mut dyn Work,
) -> Result<Loaded, Failure> {
    let poll = Poll::new()?;
    let ports = (0..shape.sockets)
        .map(|n| Port::open(&poll, Token(n), target, shape.joined))
        .collect::<io::Result<Vec<_>>>()?;
    let mut generator = Generator {
        poll,
        target,
        shape,
        ports,
        next_number: 0,
        received: if shape.joined { Received::joined() } else { Received::new() },
        loaded: Loaded::default(),
    };
    let cpu_before = cpu::of_this_thread()?;
    generator.run(turn, work)?;
    generator.loaded.cpu = cpu::of_this_thread()? - cpu_before;
    generator.loaded.answer_micros.sort_unstable();
    Ok(generator.loaded)
}

struct Generator {
    poll: Poll,
    target: SocketAddr,
    shape: Shape,
    ports: Vec<Port>,
    next_number: u32,
    received: Received,
    loaded: Loaded,
}

impl Generator {
    fn run(&mut self, turn: Duration, work: &mut dyn Work) -> Result<(), Failure> {
        let start = Instant::now();
        let mut last_look = start;
        let mut events = Events::with_capacity(self.shape.sockets);
        for port in 0..self.ports.len() {
            self.fill(port, work)?;
        }
        loop {
            self.poll.poll(&mut events, Some(RETRY_AFTER / 4))?;
            let ending = start.elapsed() >= turn;
            for event in &events {
                let Token(port) = event.token();
                self.take_answers(port, work)?;
                if !ending || !work.may_stop(port) {
                    self.fill(port, work)?;
                }
            }
            if last_look.elapsed() >= RETRY_AFTER / 4 {
                last_look = Instant::now();
                self.retry()?;
            }
            if ending && self.ports.iter().all(|port| port.flights.is_empty()) {
                self.loaded.wall = start.elapsed();
                return Ok(());
            }
            if start.elapsed() > turn + PATIENCE {
                let waiting: usize = self.ports.iter().map(|port| port.flights.len()).sum();
                return Err(format!("{waiting} requests were never answered").into());
            }
        }
    }

    /// Sends until as many requests wait on this port as shall.
    fn fill(&mut self, index: usize, work: &mut dyn Work) -> Result<(), Failure> {
        let port = &mut self.ports[index];
        if port.used >= IDS_PER_PORT {
            if !port.flights.is_empty() {
                return Ok(());
            }
            *port = Port::open(&self.poll, Token(index), self.target, self.shape.joined)?;
        }
        let now = Instant::now();
        let mut datagrams = Vec::with_capacity(self.shape.each);
        while port.flights.len() < self.shape.each && port.used < IDS_PER_PORT {
            let bytes = work.request(index, port.next_id, self.next_number);
            datagrams.push(bytes.clone());
            port.flights.push(Flight {
                id: port.next_id,
                number: self.next_number,
                first_sent: now,
                last_sent: now,
                bytes,
            });
            port.next_id += 1;
            port.used += 1;
            self.next_number += 1;
        }
        if self.shape.joined {
            kernel::send_joined(port.socket.as_fd(), &datagrams)?;
        } else {
            kernel::send_all(port.socket.as_fd(), &datagrams)?;
        }
        Ok(())
    }

    fn take_answers(&mut self, index: usize, work: &mut dyn Work) -> Result<(), Failure> {
        loop {
            let port = &mut self.ports[index];
            match self.received.receive(port.socket.as_fd()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            for datagram in self.received.datagrams() {
                let answer = Answer::decode(datagram)
                    .ok_or_else(|| format!("not an answer: {datagram:02x?}"))?;
                if answer.kind == Kind::Reset {
                    return Err("the server resets requests".into());
                }
                let Some(number) = answer.token else {
                    // An empty acknowledgement: the answer follows by itself.
                    continue;
                };
                if answer.kind == Kind::Confirmable && answer.code >= message::CREATED {
                    self.loaded.separate += 1;
                    kernel::send_all(port.socket.as_fd(), &[message::acknowledgement(answer.id)])?;
                }
                let Some(at) = port.flights.iter().position(|flight| flight.number == number)
                else {
                    // Answered already: something was sent twice.
                    continue;
                };
                let flight = port.flights.swap_remove(at);
                if answer.kind == Kind::Acknowledgement && answer.id != flight.id {
                    return Err(format!("id {} answers id {}", answer.id, flight.id).into());
                }
                work.check(number, &answer)?;
                let took = now - flight.first_sent;
                self.loaded.requests += 1;
                self.loaded.answer_micros.push(u32::try_from(took.as_micros())?);
            }
        }
    }

    fn retry(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        for port in &mut self.ports {
            for flight in &mut port.flights {
                if now - flight.last_sent >= RETRY_AFTER {
                    flight.last_sent = now;
                    self.loaded.retried += 1;
                    kernel::send_all(port.socket.as_fd(), std::slice::from_ref(&flight.bytes))?;
                }
            }
        }
        Ok(())
    }
}
