//! One server at the other end of a UDP path: requests go out, answers come in, every wait has an end.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use suibi_coap::{
    Config, Endpoint, Event, Protection, Request, RequestError, RequestId, Response, RttEstimate,
    Stats, Transmit,
};
use suibi_net::{ReceiveBatch, Received, UdpSocket};
use thiserror::Error;

/// How long the first address of several is tried alone (as RFC 8305 §5 does for connections).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// So many transmissions that came back as unreachable are believed; one alone may be a server that is just starting.
const UNREACHABLE_IS_BELIEVED: u32 = 2;

/// How often somebody who waits looks whether waiting makes sense.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is assumed of a peer on this machine that was never met: the RFC's 2 s are for the open Internet.
const LOOPBACK_RTT: Duration = Duration::from_millis(5);

/// The token of the waker; sockets have their place in the list.
const WAKE: Token = Token(usize::MAX);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RemoteError {
    /// No address to ask.
    #[error("no address of the server is known")]
    NoAddress,
    /// The system says, more than once, that nobody listens there.
    #[error("nobody listens at {0}")]
    Unreachable(SocketAddr),
    /// Silence until the deadline.
    #[error("{address} does not answer (waited {} ms)", waited.as_millis())]
    NoAnswer {
        /// Who was asked.
        address: SocketAddr,
        /// How long.
        waited: Duration,
    },
    /// The exchange ended without an answer.
    #[error("no answer from {address}: {error}")]
    Failed {
        /// Who was asked.
        address: SocketAddr,
        /// What ended it.
        error: RequestError,
    },
    /// The caller's condition for waiting on ended ([`Remote::call_while`]).
    #[error("the server has gone")]
    Gone,
    /// Somebody asked us to stop ([`Stop`]).
    #[error("interrupted")]
    Stopped,
    /// The socket.
    #[error("the network of this machine")]
    Io(#[from] io::Error),
}

/// How long to wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Not beyond this.
    pub deadline: Instant,
    /// Not longer than this without hearing anything from there; a large answer that comes in blocks is heard.
    pub silence: Duration,
}

/// Ends waits of a [`Remote`] from another thread.
#[derive(Debug, Clone)]
pub struct Stop {
    stopped: Arc<AtomicBool>,
    /// Kept until a wait meets it: a wake during a call is not lost.
    woken: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Stop {
    /// Every wait ends now, every later call at once.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake();
    }

    /// The [`Remote::wait`] in progress, else the next one, returns; a call goes on.
    pub fn wake(&self) {
        self.woken.store(true, Ordering::Release);
        // It fails only when the poll is gone, and then nobody waits.
        let _ = self.waker.wake();
    }

    /// Whether it was stopped.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Takes the stop back, for a remote that goes on elsewhere.
    pub(crate) fn resume(&self) {
        self.stopped.store(false, Ordering::Release);
    }
}

/// A server under one or several addresses: sockets, a CoAP endpoint, and calls that block until a deadline.
pub struct Remote {
    endpoint: Endpoint,
    links: Vec<Link>,
    /// The link that answered last.
    best: Option<usize>,
    /// Events that no call waited for.
    inbox: VecDeque<Event>,
    poll: Poll,
    ready: Events,
    batch: ReceiveBatch,
    stop: Stop,
}

/// A connected socket to one of the server's addresses.
struct Link {
    address: SocketAddr,
    socket: UdpSocket,
    queue: VecDeque<Transmit>,
    /// How often nobody was there, since the link was made.
    unreachable: u32,
    /// When something came last.
    heard: Option<Instant>,
}

/// One sending of a request: to this link, under this id, with so much known about the link before.
struct Try {
    link: usize,
    id: RequestId,
    unreachable_before: u32,
}

impl Remote {
    /// A remote that knows no address yet, with the profile towards our own server.
    ///
    /// # Errors
    ///
    /// When the system gives no more file descriptors, or no random bytes.
    pub fn new() -> io::Result<Self> {
        let seed = seed()?;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        Ok(Self {
            endpoint: Endpoint::new(Config::own(), seed),
            links: Vec::new(),
            best: None,
            inbox: VecDeque::new(),
            poll,
            ready: Events::with_capacity(16),
            batch: ReceiveBatch::new(),
            stop: Stop { stopped: Arc::default(), woken: Arc::default(), waker },
        })
    }

    /// A remote for the server at one of `candidates`, the preferred one first.
    ///
    /// # Errors
    ///
    /// Those of [`Remote::new`] and [`Remote::connect`].
    pub fn to(candidates: &[SocketAddr]) -> Result<Self, RemoteError> {
        let mut remote = Self::new()?;
        remote.connect(candidates)?;
        Ok(remote)
    }

    /// Protects what is asked from now on, or nothing of it. The addresses are forgotten, and so is whatever was awaited
    /// from there: an answer under another protection would find no way back.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn protect(&mut self, protection: Option<Box<dyn Protection>>) -> io::Result<()> {
        self.disconnect();
        self.endpoint = Endpoint::new(Config::own(), seed()?);
        self.endpoint.set_protection(protection);
        Ok(())
    }

    /// The server is at one of `candidates` from now on, the preferred one first. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When there is no way to any of them: the last one's error.
    pub fn connect(&mut self, candidates: &[SocketAddr]) -> Result<(), RemoteError> {
        self.disconnect();
        let mut trouble = RemoteError::NoAddress;
        for &address in candidates {
            match self.open(address) {
                Ok(link) => self.links.push(link),
                Err(error) => trouble = RemoteError::Io(error),
            }
        }
        if self.links.is_empty() { Err(trouble) } else { Ok(()) }
    }

    /// Forgets the addresses and whatever was awaited from there.
    pub fn disconnect(&mut self) {
        for mut link in self.links.drain(..) {
            // Closing the socket does the same; an error changes nothing.
            let _ = self.poll.registry().deregister(&mut link.socket);
        }
        self.best = None;
        self.inbox.clear();
    }

    fn open(&mut self, address: SocketAddr) -> io::Result<Link> {
        let mut socket = UdpSocket::connect(address)?;
        let token = Token(self.links.len());
        self.poll.registry().register(&mut socket, token, Interest::READABLE)?;
        if address.ip().is_loopback() {
            self.endpoint.assume_rtt(address.into(), LOOPBACK_RTT);
        }
        Ok(Link { address, socket, queue: VecDeque::new(), unreachable: 0, heard: None })
    }

    /// Asks, and waits for the answer until `within` has passed.
    ///
    /// The addresses are tried one after the other, and together after a quarter of a second; whoever answers first
    /// is the server from then on. So a request may arrive twice, and has to be one that bears it.
    ///
    /// # Errors
    ///
    /// When there is no answer. ICMP ("nobody there") shortens the wait only when a retransmission met it as well.
    pub fn call(&mut self, request: &Request, within: Duration) -> Result<Response, RemoteError> {
        let patience = Patience { deadline: Instant::now() + within, silence: within };
        self.call_while(request, patience, || true)
    }

    /// Like [`Remote::call`], as long as `waits` says so; it is asked every 100 ms while nothing comes.
    ///
    /// # Errors
    ///
    /// Those of [`Remote::call`], and [`RemoteError::Gone`].
    pub fn call_while(
        &mut self,
        request: &Request,
        patience: Patience,
        mut waits: impl FnMut() -> bool,
    ) -> Result<Response, RemoteError> {
        let begun = Instant::now();
        let deadline = patience.deadline;
        let mut order: VecDeque<usize> = (0..self.links.len()).collect();
        if let Some(best) = self.best {
            order.retain(|&link| link != best);
            order.push_front(best);
        }
        let mut tries: Vec<Try> = Vec::new();
        let mut next_at = begun;
        let mut look_at = begun + LOOK_EVERY;
        let mut last = RemoteError::NoAddress;
        let outcome = loop {
            if self.stop.is_stopped() {
                break Err(RemoteError::Stopped);
            }
            let now = Instant::now();
            if now >= look_at {
                if !waits() {
                    break Err(RemoteError::Gone);
                }
                look_at = now + LOOK_EVERY;
            }
            let nobody_yet = tries.iter().all(|tried| self.refusals(tried) > 0);
            if (nobody_yet || now >= next_at)
                && let Some(link) = order.pop_front()
            {
                tries.push(self.begin(now, link, request.clone()));
                next_at = now + NEXT_ADDRESS_AFTER;
            }
            if tries.is_empty() {
                break Err(last);
            }
            let until = if order.is_empty() { deadline } else { next_at.min(deadline) };
            self.turn(until.min(look_at))?;

            if let Some(answer) = self.take_answer(&mut tries, &mut last) {
                break Ok(answer);
            }
            if order.is_empty()
                && let Some(first) = tries.first()
                && tries.iter().all(|tried| self.refusals(tried) >= UNREACHABLE_IS_BELIEVED)
            {
                break Err(RemoteError::Unreachable(self.links[first.link].address));
            }
            let now = Instant::now();
            let heard = tries.iter().filter_map(|tried| self.links[tried.link].heard).max();
            let silent_since = heard.map_or(begun, |heard| heard.max(begun));
            if now >= deadline || now >= silent_since + patience.silence {
                let address = self.links[tries.first().map_or(0, |tried| tried.link)].address;
                break Err(RemoteError::NoAnswer { address, waited: now - begun });
            }
        };
        let now = Instant::now();
        for tried in tries {
            self.endpoint.cancel(now, tried.id);
        }
        outcome
    }

    /// Begins to observe, at the address that answered last (else the first one). The first answer and all
    /// notifications come out of [`Remote::wait`].
    ///
    /// # Errors
    ///
    /// When no address is known.
    pub fn observe(&mut self, request: Request) -> Result<RequestId, RemoteError> {
        if self.links.is_empty() {
            return Err(RemoteError::NoAddress);
        }
        let link = self.best.unwrap_or(0);
        let now = Instant::now();
        Ok(self.begin(now, link, request.observe(true)).id)
    }

    /// Ends an observation, or drops a request; nothing is heard of it any more.
    pub fn forget(&mut self, id: RequestId) {
        self.endpoint.cancel(Instant::now(), id);
    }

    /// The next event that no call waited for; `None` at `until`, or when [`Stop::wake`] was called.
    ///
    /// # Errors
    ///
    /// When it was stopped, or the sockets fail.
    pub fn wait(&mut self, until: Instant) -> Result<Option<Event>, RemoteError> {
        loop {
            if self.stop.is_stopped() {
                return Err(RemoteError::Stopped);
            }
            if let Some(event) = self.inbox.pop_front() {
                return Ok(Some(event));
            }
            if self.stop.woken.swap(false, Ordering::AcqRel) {
                return Ok(None);
            }
            self.turn(until)?;
            self.collect();
            if self.inbox.is_empty() && Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// Whom [`Remote::call`] asks first: the address that answered last, else the preferred one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.links.get(self.best.unwrap_or(0)).map(|link| link.address)
    }

    /// The round trip as measured to [`Remote::address`], once it is.
    pub fn rtt(&self) -> Option<RttEstimate> {
        self.endpoint.rtt(self.address()?.into())
    }

    /// What an earlier process measured for `address`.
    pub fn set_rtt(&mut self, address: SocketAddr, estimate: RttEstimate) {
        self.endpoint.set_rtt(address.into(), estimate);
    }

    /// What went over the wire since the protection was chosen.
    pub fn stats(&self) -> Stats {
        self.endpoint.stats()
    }

    /// Ends waits from other threads.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    fn begin(&mut self, now: Instant, link: usize, request: Request) -> Try {
        let Link { address, unreachable, .. } = self.links[link];
        let id = self.endpoint.request(now, address.into(), request);
        Try { link, id, unreachable_before: unreachable }
    }

    /// How often nobody was there, since the request was first sent.
    fn refusals(&self, tried: &Try) -> u32 {
        self.links[tried.link].unreachable - tried.unreachable_before
    }

    fn take_answer(&mut self, tries: &mut Vec<Try>, last: &mut RemoteError) -> Option<Response> {
        while let Some(event) = self.endpoint.poll_event() {
            let (Event::Response { id, .. } | Event::Failed { id, .. }) = &event else {
                self.inbox.push_back(event);
                continue;
            };
            let Some(at) = tries.iter().position(|tried| tried.id == *id) else {
                self.inbox.push_back(event);
                continue;
            };
            let link = tries.remove(at).link;
            match event {
                Event::Response { response, .. } => {
                    self.best = Some(link);
                    return Some(response);
                }
                Event::Failed { error, .. } => {
                    *last = RemoteError::Failed { address: self.links[link].address, error };
                }
                _ => {}
            }
        }
        None
    }

    fn collect(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            self.inbox.push_back(event);
        }
    }

    /// Sends what is to be sent, waits until something happens or `until`, and takes what came.
    fn turn(&mut self, until: Instant) -> Result<(), RemoteError> {
        self.transmit()?;
        let due = self.endpoint.poll_timeout().map_or(until, |at| at.min(until));
        let patience = due.saturating_duration_since(Instant::now());
        if let Err(error) = self.poll.poll(&mut self.ready, Some(patience))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        self.receive()?;
        self.endpoint.handle_timeout(Instant::now());
        self.transmit()
    }

    fn receive(&mut self) -> Result<(), RemoteError> {
        for link in &mut self.links {
            loop {
                match link.socket.receive(&mut self.batch)? {
                    Received::Datagrams(_) => {
                        let now = Instant::now();
                        link.heard = Some(now);
                        for (_, bytes) in self.batch.iter() {
                            // The socket is connected: nobody else is heard.
                            self.endpoint.handle_datagram(now, link.address.into(), bytes);
                        }
                    }
                    Received::Unreachable(_) => {
                        link.unreachable += 1;
                        self.endpoint.handle_unreachable(Instant::now(), link.address.into());
                    }
                    Received::Nothing => break,
                }
            }
        }
        Ok(())
    }

    fn transmit(&mut self) -> Result<(), RemoteError> {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            // What goes to an address that we left is not sent any more.
            if let Some(link) = self.links.iter_mut().find(|l| l.address == transmit.peer.address) {
                link.queue.push_back(transmit);
            }
        }
        for link in &mut self.links {
            let sent = link.socket.send(&mut link.queue)?;
            for _ in sent.refused {
                link.unreachable += 1;
                self.endpoint.handle_unreachable(Instant::now(), link.address.into());
            }
            // A full buffer drops what it cannot take, as the path would; retransmission is for that.
            link.queue.clear();
        }
        Ok(())
    }
}

/// Random bytes of the system.
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(seed)
}
