//! One server at the other end of a path: requests go out, answers come in, every wait has an end.
//!
//! What is short goes by datagram, what is long through a stream on the same port, under the same keys; where one of
//! them does not get through, the other is tried beside it ([`call`]).

mod call;
mod datagrams;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use suibi_coap::{
    Event, Protection, Request, RequestError, RequestId, Response, RttEstimate, Stats,
};
use suibi_oscore::ClientContext;
use thiserror::Error;

use crate::outcome::Transport;
use call::{By, Call, NEXT_ADDRESS_AFTER, OTHER_AFTER, STREAM_SILENT_FOR, Try};
use datagrams::Datagrams;
use streams::{Condition, StreamRequest, Streams};

/// So many transmissions that came back as unreachable are believed; one alone may be a server that is just starting.
const UNREACHABLE_IS_BELIEVED: u32 = 2;

/// How often somebody who waits looks whether waiting makes sense.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A longer payload does not fit one datagram with what comes around it.
const DATAGRAM_BYTES: usize = 1_000;

/// So many requests go in blocks of datagrams at once; a server keeps room for as many of one peer.
const LONG_DATAGRAMS: usize = 3;

/// How often datagrams are tried again where they did not get through; so long that is believed in later processes, too.
pub(crate) const DATAGRAMS_AGAIN: Duration = Duration::from_secs(600);

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

/// A request of a [`Remote`] that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u64);

/// An observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation(Path);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Path {
    Datagram(RequestId),
    Stream(StreamRequest),
}

/// What came of an observation.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// Which one.
    pub of: Observation,
    /// The first answer, a notification, or why no more comes.
    pub what: Result<Response, RequestError>,
}

/// A server under one or several addresses, and calls that block until a deadline.
pub struct Remote {
    datagrams: Datagrams,
    streams: Streams,
    /// Whether streams can be protected as datagrams are.
    has_streams: bool,
    /// The address that answered last.
    best: Option<usize>,
    /// By which way it answered.
    via: Option<Transport>,
    /// Datagrams do not get through, as far as we know; since then.
    silent_since: Option<Instant>,
    /// When datagrams are to be tried beside streams.
    datagrams_at: Instant,
    calls: BTreeMap<CallId, Call>,
    next_call: u64,
    /// What no call waited for.
    inbox: VecDeque<Heard>,
    poll: Poll,
    ready: Events,
    stop: Stop,
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
            datagrams: Datagrams::new(seed),
            streams: Streams::default(),
            has_streams: true,
            best: None,
            via: None,
            silent_since: None,
            datagrams_at: Instant::now(),
            calls: BTreeMap::new(),
            next_call: 0,
            inbox: VecDeque::new(),
            poll,
            ready: Events::with_capacity(16),
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

    /// Protects what is asked from now on, by whichever way. The addresses are forgotten, and so is whatever was awaited
    /// from there: an answer under another protection would find no way back.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn protect(&mut self, context: &ClientContext) -> io::Result<()> {
        self.protect_datagrams(Some(context.protection()))?;
        self.streams.protect(Some(context.clone()));
        self.has_streams = true;
        Ok(())
    }

    /// The same with a protection of the caller's, for datagrams alone: there are no streams.
    ///
    /// # Errors
    ///
    /// When the system gives no random bytes.
    pub fn protect_datagrams(&mut self, protection: Option<Box<dyn Protection>>) -> io::Result<()> {
        self.disconnect();
        self.datagrams.protect(seed()?, protection);
        self.has_streams = false;
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
            if let Err(error) = self.datagrams.open(self.poll.registry(), address) {
                trouble = RemoteError::Io(error);
            }
        }
        if self.datagrams.addresses().len() == 0 { Err(trouble) } else { Ok(()) }
    }

    /// Forgets the addresses and whatever was awaited from there.
    pub fn disconnect(&mut self) {
        self.datagrams.close(self.poll.registry());
        self.streams.close(self.poll.registry());
        self.best = None;
        self.via = None;
        self.calls.clear();
        self.inbox.clear();
    }

    /// Whether this machine would still send from the addresses that the sockets have. If not, it is in another network
    /// by now, and the server is to be connected to anew.
    pub fn is_at_home(&self) -> bool {
        self.datagrams.are_at_home()
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
        let call = self.begin(request.clone(), false);
        let outcome = loop {
            match self.next_while(patience, &mut waits) {
                Ok((answered, response)) if answered == call => break Ok(response),
                // Of somebody who asked before and did not wait.
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        self.drop_calls();
        outcome
    }

    /// Asks; the answer comes out of [`Remote::next_while`]. With `bulk` it is one of many that are long.
    pub fn begin(&mut self, request: Request, bulk: bool) -> CallId {
        let now = Instant::now();
        let mut order: VecDeque<usize> = (0..self.datagrams.addresses().len()).collect();
        if let Some(best) = self.best {
            order.retain(|&link| link != best);
            order.push_front(best);
        }
        let is_long = bulk || request.payload.len() > DATAGRAM_BYTES;
        let is_silent = self.silent_since.is_some();
        let rtt = self.rtt().map_or(Duration::ZERO, |rtt| 2 * rtt.srtt);
        let mut call =
            Call::new(now, request, is_long, is_long || is_silent, OTHER_AFTER.max(rtt), order);
        if !self.has_streams {
            call.streams.order.clear();
            call.datagrams.next_at = now;
        } else if is_silent && now >= self.datagrams_at {
            self.datagrams_at = now + DATAGRAMS_AGAIN;
            call.datagrams.next_at = now;
        }
        let id = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(id, call);
        id
    }

    /// Forgets what is under way; no answer of it comes any more.
    pub fn drop_calls(&mut self) {
        let now = Instant::now();
        for call in std::mem::take(&mut self.calls).into_values() {
            self.drop_tries(now, call.tries);
        }
    }

    fn drop_tries(&mut self, now: Instant, tries: Vec<Try>) {
        for tried in tries {
            match tried.by {
                By::Datagram { id, .. } => self.datagrams.cancel(now, id),
                By::Stream(request) => self.streams.cancel(now, request),
            }
        }
    }

    /// The next answer to what is under way, whichever it is.
    ///
    /// # Errors
    ///
    /// When one of the requests comes to nothing; the others are still under way then.
    pub fn next_while(
        &mut self,
        patience: Patience,
        waits: &mut impl FnMut() -> bool,
    ) -> Result<(CallId, Response), RemoteError> {
        let waiting_since = Instant::now();
        let mut look_at = waiting_since + LOOK_EVERY;
        let begun = self.calls.values().map(|call| call.begun).min().unwrap_or(waiting_since);
        loop {
            if self.stop.is_stopped() {
                return Err(RemoteError::Stopped);
            }
            let now = Instant::now();
            if now >= look_at {
                if !waits() {
                    return Err(RemoteError::Gone);
                }
                look_at = now + LOOK_EVERY;
            }
            let due = self.try_calls(now)?;
            self.send()?;
            // What came together with the last answer is here already, and no socket tells of it again.
            if let Some(answer) = self.take_answer()? {
                return Ok(answer);
            }
            let until = due.map_or(patience.deadline, |due| due.min(patience.deadline));
            self.rest(until.min(look_at))?;
            if let Some(answer) = self.take_answer()? {
                return Ok(answer);
            }
            if let Some(address) = self.is_nobody_there() {
                return Err(RemoteError::Unreachable(address));
            }
            let now = Instant::now();
            let heard = self.datagrams.heard().max(self.streams.heard());
            let silent_since = heard.map_or(begun, |heard| heard.max(begun));
            if now >= patience.deadline || now >= silent_since + patience.silence {
                let address = self.address().ok_or(RemoteError::NoAddress)?;
                return Err(RemoteError::NoAnswer { address, waited: now - begun });
            }
        }
    }

    /// Sends what is due, and says when to look again.
    fn try_calls(&mut self, now: Instant) -> Result<Option<Instant>, RemoteError> {
        if self.datagrams.addresses().len() == 0 {
            return Err(RemoteError::NoAddress);
        }
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        let mut due: Option<Instant> = None;
        for id in ids {
            let mut call = self.calls.remove(&id).expect("it is one of them");
            self.try_streams(now, &mut call);
            self.try_datagrams(now, &mut call);
            let is_hopeless = call.is_hopeless();
            due = [due, call.due()].into_iter().flatten().min();
            self.calls.insert(id, call);
            if is_hopeless {
                let address = self.address().ok_or(RemoteError::NoAddress)?;
                return Err(RemoteError::Failed { address, error: RequestError::Closed });
            }
        }
        Ok(due)
    }

    fn try_streams(&mut self, now: Instant, call: &mut Call) {
        // Somebody is heard, so that datagrams are not what is wrong.
        if !call.is_stream_first
            && let Some(heard) = self.datagrams.heard().filter(|heard| *heard >= call.begun)
        {
            call.streams.next_at = call.streams.next_at.max(heard + OTHER_AFTER);
        }
        let is_refused = |call: &Call| call.tries.iter().any(|tried| self.refusals(tried) > 0);
        if is_refused(call) {
            call.streams.next_at = call.streams.next_at.min(now);
        }
        while now >= call.streams.next_at
            && let Some(link) = call.streams.order.pop_front()
        {
            let address = self.link(link);
            if self.streams.condition(now, address) == Condition::Refused {
                call.datagrams.next_at = call.datagrams.next_at.min(now);
                continue;
            }
            let registry = self.poll.registry();
            match self.streams.request(registry, now, address, call.request.clone()) {
                Ok(request) => {
                    call.tries.push(Try { link, by: By::Stream(request) });
                    call.streams.next_at = now + NEXT_ADDRESS_AFTER;
                }
                Err(error) => {
                    tracing::debug!(%address, %error, "no stream");
                    call.datagrams.next_at = call.datagrams.next_at.min(now);
                }
            }
        }
    }

    fn try_datagrams(&mut self, now: Instant, call: &mut Call) {
        if call.is_stream_first {
            let streams = call.tries.iter().filter(|tried| matches!(tried.by, By::Stream(_)));
            let conditions: Vec<_> =
                streams.map(|tried| self.streams.condition(now, self.link(tried.link))).collect();
            for condition in conditions {
                match condition {
                    // What is long is on its way; datagrams would only make the way narrower.
                    Condition::Open(heard) => {
                        let since = heard.max(call.begun);
                        call.datagrams.next_at =
                            call.datagrams.next_at.max(since + STREAM_SILENT_FOR);
                    }
                    Condition::Opening(begun) if now >= begun + OTHER_AFTER => {
                        call.datagrams.next_at = call.datagrams.next_at.min(now);
                    }
                    _ => {}
                }
            }
        }
        let nobody_yet = call
            .tries
            .iter()
            .filter(|tried| matches!(tried.by, By::Datagram { .. }))
            .all(|tried| self.refusals(tried) > 0);
        let has_tried = call.tries.iter().any(|tried| matches!(tried.by, By::Datagram { .. }));
        if now < call.datagrams.next_at && !(has_tried && nobody_yet) {
            return;
        }
        if call.is_long && self.long_datagrams() >= LONG_DATAGRAMS {
            call.datagrams.next_at = now + LOOK_EVERY;
            return;
        }
        if let Some(link) = call.datagrams.order.pop_front() {
            let unreachable_before = self.datagrams.unreachable(link);
            let id = self.datagrams.request(now, link, call.request.clone());
            call.tries.push(Try { link, by: By::Datagram { id, unreachable_before } });
            call.datagrams.next_at = now + NEXT_ADDRESS_AFTER;
        }
    }

    /// Long requests that are under way in datagrams.
    fn long_datagrams(&self) -> usize {
        let is_one = |call: &&Call| {
            call.is_long && call.tries.iter().any(|tried| matches!(tried.by, By::Datagram { .. }))
        };
        self.calls.values().filter(is_one).count()
    }

    fn link(&self, link: usize) -> SocketAddr {
        self.datagrams.addresses().nth(link).expect("links are as many as addresses")
    }

    /// How often nobody was there, since a datagram was first sent.
    fn refusals(&self, tried: &Try) -> u32 {
        match tried.by {
            By::Datagram { unreachable_before, .. } => {
                self.datagrams.unreachable(tried.link) - unreachable_before
            }
            By::Stream(_) => 0,
        }
    }

    /// The address, if all that a call could try was refused, more than once.
    fn is_nobody_there(&self) -> Option<SocketAddr> {
        let is_refused = |tried: &Try| self.refusals(tried) >= UNREACHABLE_IS_BELIEVED;
        let call = self.calls.values().find(|call| {
            !call.tries.is_empty()
                && call.datagrams.order.is_empty()
                && call.streams.order.is_empty()
                && call.tries.iter().all(is_refused)
        })?;
        Some(self.link(call.tries[0].link))
    }

    fn take_answer(&mut self) -> Result<Option<(CallId, Response)>, RemoteError> {
        let now = Instant::now();
        let mut answer = None;
        while answer.is_none()
            && let Some((path, event)) = self.poll_event()
        {
            answer = self.on_event(now, path, event)?;
        }
        self.streams.sweep(self.poll.registry(), now);
        Ok(answer)
    }

    fn poll_event(&mut self) -> Option<(Path, Result<Response, RequestError>)> {
        loop {
            let (stream, event) = match self.datagrams.poll_event() {
                Some(event) => (None, event),
                None => {
                    let (stream, _, event) = self.streams.poll_event()?;
                    (Some(stream), event)
                }
            };
            let (id, what) = match event {
                Event::Response { id, response } | Event::Notification { id, response } => {
                    (id, Ok(response))
                }
                Event::Failed { id, error } => (id, Err(error)),
                // Nobody asks a client anything.
                Event::Request { .. } | Event::ObservationEnded { .. } => continue,
            };
            let path = match stream {
                None => Path::Datagram(id),
                Some(stream) => Path::Stream(StreamRequest { stream, id }),
            };
            return Some((path, what));
        }
    }

    fn on_event(
        &mut self,
        now: Instant,
        path: Path,
        what: Result<Response, RequestError>,
    ) -> Result<Option<(CallId, Response)>, RemoteError> {
        let is_it = |tried: &Try| match (tried.by, path) {
            (By::Datagram { id, .. }, Path::Datagram(asked)) => id == asked,
            (By::Stream(request), Path::Stream(asked)) => request == asked,
            _ => false,
        };
        let found = self
            .calls
            .iter()
            .find_map(|(id, call)| Some((*id, call.tries.iter().position(is_it)?)));
        let Some((id, at)) = found else {
            self.inbox.push_back(Heard { of: Observation(path), what });
            return Ok(None);
        };
        match what {
            Ok(response) => {
                let mut call = self.calls.remove(&id).expect("it was found just now");
                let answered = call.tries.remove(at);
                self.on_answered(now, &call, answered);
                self.drop_tries(now, call.tries);
                Ok(Some((id, response)))
            }
            Err(error) => {
                let call = self.calls.get_mut(&id).expect("it was found just now");
                let link = call.tries[at].link;
                let was_open = match path {
                    Path::Stream(request) => self.streams.was_open(request.stream),
                    Path::Datagram(_) => false,
                };
                call.on_failed(now, at, was_open);
                if !self.has_streams {
                    call.streams.order.clear();
                }
                if call.is_hopeless() {
                    self.calls.remove(&id);
                    let address = self.link(link);
                    return Err(RemoteError::Failed { address, error });
                }
                Ok(None)
            }
        }
    }

    /// What works is what is taken next time.
    fn on_answered(&mut self, now: Instant, call: &Call, answered: Try) {
        self.best = Some(answered.link);
        match answered.by {
            By::Datagram { .. } => {
                self.via = Some(Transport::Udp);
                self.silent_since = None;
            }
            By::Stream(_) => {
                self.via = Some(Transport::Tcp);
                let asked = call.tries.iter().any(|tried| matches!(tried.by, By::Datagram { .. }));
                let heard = self.datagrams.heard().is_some_and(|heard| heard >= call.begun);
                if asked && !heard && self.silent_since.is_none() {
                    tracing::debug!("datagrams do not get through");
                    self.silent_since = Some(now);
                    self.datagrams_at = now + DATAGRAMS_AGAIN;
                }
            }
        }
    }

    /// Begins to observe, by the way and at the address that answered last (else by datagram, at the first one). The
    /// first answer and all notifications come out of [`Remote::wait`].
    ///
    /// # Errors
    ///
    /// When no address is known, or no stream can be had where datagrams do not get through.
    pub fn observe(&mut self, request: Request) -> Result<Observation, RemoteError> {
        if self.datagrams.addresses().len() == 0 {
            return Err(RemoteError::NoAddress);
        }
        let link = self.best.unwrap_or(0);
        let now = Instant::now();
        let request = request.observe(true);
        let path = if self.silent_since.is_some() && self.has_streams {
            let address = self.link(link);
            Path::Stream(self.streams.request(self.poll.registry(), now, address, request)?)
        } else {
            Path::Datagram(self.datagrams.request(now, link, request))
        };
        Ok(Observation(path))
    }

    /// Ends an observation; nothing is heard of it any more.
    pub fn forget(&mut self, Observation(path): Observation) {
        let now = Instant::now();
        match path {
            Path::Datagram(id) => self.datagrams.cancel(now, id),
            Path::Stream(request) => self.streams.cancel(now, request),
        }
    }

    /// What came next of an observation; `None` at `until`, or when [`Stop::wake`] was called.
    ///
    /// # Errors
    ///
    /// When it was stopped, or the sockets fail.
    pub fn wait(&mut self, until: Instant) -> Result<Option<Heard>, RemoteError> {
        loop {
            if self.stop.is_stopped() {
                return Err(RemoteError::Stopped);
            }
            self.send()?;
            // What came together with the last answer is here already, and no socket tells of it again. It answers no
            // call: they are dropped before anybody waits.
            self.take_answer()?;
            if let Some(heard) = self.inbox.pop_front() {
                return Ok(Some(heard));
            }
            if self.stop.woken.swap(false, Ordering::AcqRel) {
                return Ok(None);
            }
            self.rest(until)?;
            self.take_answer()?;
            if self.inbox.is_empty() && Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// Whom [`Remote::call`] asks first: the address that answered last, else the preferred one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.datagrams.addresses().nth(self.best.unwrap_or(0))
    }

    /// By which way the last answer came.
    pub fn via(&self) -> Option<Transport> {
        self.via
    }

    /// Which way is tried first with what is short.
    pub fn preferred(&self) -> Transport {
        if self.silent_since.is_some() { Transport::Tcp } else { Transport::Udp }
    }

    /// What an earlier process found out about that, a while ago.
    pub fn prefer(&mut self, transport: Transport, ago: Duration) {
        let now = Instant::now();
        self.silent_since = (transport == Transport::Tcp).then_some(now);
        self.datagrams_at = now + DATAGRAMS_AGAIN.saturating_sub(ago);
    }

    /// The round trip as measured to [`Remote::address`], once it is.
    pub fn rtt(&self) -> Option<RttEstimate> {
        self.datagrams.rtt(self.address()?)
    }

    /// What an earlier process measured for `address`.
    pub fn set_rtt(&mut self, address: SocketAddr, estimate: RttEstimate) {
        self.datagrams.set_rtt(address, estimate);
    }

    /// What went by datagram since the protection was chosen.
    pub fn stats(&self) -> Stats {
        self.datagrams.stats()
    }

    /// Ends waits from other threads.
    pub fn stopper(&self) -> Stop {
        self.stop.clone()
    }

    /// Sends what is to be sent, and reads from streams what is there.
    fn send(&mut self) -> Result<(), RemoteError> {
        self.datagrams.transmit()?;
        self.streams.turn();
        Ok(())
    }

    /// Waits until something happens or `until`, takes what came, and sends what that calls for.
    fn rest(&mut self, until: Instant) -> Result<(), RemoteError> {
        let due = [self.datagrams.poll_timeout(), self.streams.poll_timeout()];
        let due = due.into_iter().flatten().fold(until, Instant::min);
        let patience = due.saturating_duration_since(Instant::now());
        if let Err(error) = self.poll.poll(&mut self.ready, Some(patience))
            && error.kind() != io::ErrorKind::Interrupted
        {
            return Err(error.into());
        }
        self.datagrams.receive()?;
        self.streams.turn();
        let now = Instant::now();
        self.datagrams.handle_timeout(now);
        self.streams.handle_timeout(now);
        self.send()
    }
}

/// Random bytes of the system.
pub(crate) fn seed() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(seed)
}
