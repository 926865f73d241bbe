//! The net thread: every socket, one readiness call, and never a disk.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use suibi_coap::{Code, Event, Exchange, Peer, Request, Response, Transmit};
use suibi_journal::{Body, Extra, Extras, extra};
use suibi_net::ReceiveBatch;
use suibi_store::{Expect, JournalId, Outcome, Reader, Write};

use crate::caller::Caller;
use crate::clock;
use crate::door::{Door, Speaks};
use crate::encoding::Encoding;
use crate::freshness::Freshness;
use crate::gate;
use crate::limits::{self, Meter, Payer, Place, Queue, Rate};
use crate::observers::Observers;
use crate::plain::Action;
use crate::problem::Problem;
use crate::reader::{ReadDone, ReadJob};
use crate::registry::Registry;
use crate::resources::{About, Route, Writing};
use crate::stop::StopSignal;
use crate::writer::{WriteDone, WriteJob, Written};

mod admission;
mod desk;

use desk::Desk;

/// Completions wait.
pub(crate) const WAKER: Token = Token(usize::MAX);
/// Told to stop.
const STOP: Token = Token(usize::MAX - 1);

/// Writes that may wait for their commit, in number and bytes; what comes then is refused.
const MAX_WRITES: usize = 16_384;
const MAX_WRITE_BYTES: usize = 32 << 20;
/// Questions that may wait for the reader.
const MAX_READS: usize = 4096;

/// What the other threads have done.
pub(crate) enum Done {
    Read(ReadDone),
    Write(WriteDone),
}

/// Who waits for what the other threads do, and the place in the queue that is theirs.
struct Waiting {
    asker: Asker,
    place: Place,
    waits_for: WaitsFor,
}

#[derive(Debug, Clone, Copy)]
enum WaitsFor {
    Reader,
    Writer,
}

enum Asker {
    Coap {
        door: usize,
        exchange: Exchange,
        observed: Option<Box<(Caller, Route, Request)>>,
    },
    /// `echo` is what a note is answered with, and a history answers itself.
    Plain {
        door: usize,
        peer: Peer,
        echo: Echo,
    },
}

enum Echo {
    /// These bytes, once the note is durable.
    Note(Bytes),
    /// Nothing.
    Silence,
    /// What the reader found.
    History,
}

/// The ways to the other threads, and back.
pub(crate) struct Channels {
    pub(crate) writes: Sender<WriteJob>,
    pub(crate) reads: Sender<ReadJob>,
    pub(crate) dones: Receiver<Done>,
}

pub(crate) struct NetThread {
    poll: Poll,
    doors: Vec<Door>,
    stops: [StopSignal; 2],
    about: Arc<About>,
    /// Gone once there is to be nothing new.
    writes: Option<Sender<WriteJob>>,
    reads: Sender<ReadJob>,
    dones: Receiver<Done>,
    registry: Registry,
    waiting: BTreeMap<u64, Waiting>,
    next_ticket: u64,
    writing: Queue,
    reading: Queue,
    desk: Desk,
    observers: Observers,
    freshness: Freshness,
    /// For hosts beyond loopback at unprotected doors.
    unproven: Meter<IpAddr>,
}

impl NetThread {
    pub(crate) fn new(
        poll: Poll,
        mut doors: Vec<Door>,
        stops: [StopSignal; 2],
        about: Arc<About>,
        registry: Registry,
        unproven: Rate,
        Channels { writes, reads, dones }: Channels,
    ) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        for (number, door) in doors.iter_mut().enumerate() {
            poll.registry().register(&mut door.socket, Token(number), both)?;
        }
        for stop in &stops {
            poll.registry().register(&mut SourceFd(&stop.fd()), STOP, Interest::READABLE)?;
        }
        let now = Instant::now();
        Ok(Self {
            poll,
            doors,
            stops,
            about,
            writes: Some(writes),
            reads,
            dones,
            registry,
            waiting: BTreeMap::new(),
            next_ticket: 0,
            writing: Queue::new(MAX_WRITES, MAX_WRITE_BYTES),
            reading: Queue::new(MAX_READS, usize::MAX),
            desk: Desk::new(now),
            observers: Observers::new(now),
            freshness: Freshness::default(),
            unproven: Meter::new(now, unproven),
        })
    }

    /// Serves until told to stop.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut ready = Events::with_capacity(64);
        let mut batch = ReceiveBatch::new();
        while !self.stops.iter().any(StopSignal::is_told) {
            match self.poll.poll(&mut ready, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in ready.iter().filter(|event| event.is_readable() || event.is_error()) {
                if let Some(door) = self.doors.get_mut(event.token().0) {
                    door.is_readable = true;
                }
            }
            // One batch of each door in turn, so that a flood at one holds up no other.
            let now = Instant::now();
            for number in 0..self.doors.len() {
                self.receive(now, number, &mut batch)?;
            }
            while let Ok(done) = self.dones.try_recv() {
                self.on_done(now, done);
            }
            self.on_time(now);
            self.tend(now);
            for door in &mut self.doors {
                door.flush()?;
            }
        }
        Ok(())
    }

    /// Waits for what the writer has in hand, and answers it; takes nothing new. Tells every observer that it is one no
    /// longer.
    pub(crate) fn finish(&mut self, deadline: Instant) {
        self.writes = None;
        while !self.writing.is_empty() || self.desk.is_writing() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.dones.recv_timeout(left) {
                Ok(done) => self.on_done(Instant::now(), done),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        self.dismiss_observers();
        for door in &mut self.doors {
            if let Err(error) = door.flush() {
                tracing::debug!(%error, "the last answers could not go");
            }
        }
    }

    /// The next server at this address does not know our observers, and would leave them waiting: an error ends an
    /// observation (RFC 7641 §4.2), so that they register anew. Nobody waits for their acknowledgements.
    fn dismiss_observers(&mut self) {
        let now = Instant::now();
        let text = "the server ends; register again when it is back";
        let last =
            Response::diagnostic(Code::SERVICE_UNAVAILABLE, text).max_age(Duration::from_secs(1));
        for (door, observation) in self.observers.all() {
            if let Speaks::Coap(endpoint) = &mut self.doors[*door].speaks {
                endpoint.notify(now, observation, last.clone());
            }
        }
    }

    /// How long there is nothing to do of our own accord.
    fn patience(&self) -> Option<Duration> {
        if self.doors.iter().any(Door::wants_turn) {
            return Some(Duration::ZERO);
        }
        let timers = self.doors.iter().filter_map(Door::timeout);
        let own = [self.observers.poll_timeout(), self.desk.poll_timeout()];
        let next = timers.chain(own.into_iter().flatten()).min()?;
        Some(next.saturating_duration_since(Instant::now()))
    }

    fn receive(&mut self, now: Instant, number: usize, batch: &mut ReceiveBatch) -> io::Result<()> {
        let mut actions = Vec::new();
        self.doors[number].receive(now, batch, |peer, action| actions.push((peer, action)))?;
        for (peer, action) in actions {
            self.on_action(number, peer, action);
        }
        self.on_events(now, number);
        Ok(())
    }

    fn on_time(&mut self, now: Instant) {
        for number in 0..self.doors.len() {
            let door = &mut self.doors[number];
            if door.timeout().is_some_and(|at| at <= now)
                && let Speaks::Coap(endpoint) = &mut door.speaks
            {
                endpoint.handle_timeout(now);
                self.on_events(now, number);
            }
        }
        if let Some(questions) = self.observers.poll_round(now)
            && self.reads.send(ReadJob::Observed(questions)).is_err()
        {
            self.observers.handle_refused_round();
        }
    }

    fn on_events(&mut self, now: Instant, number: usize) {
        loop {
            let Speaks::Coap(endpoint) = &mut self.doors[number].speaks else { return };
            match endpoint.poll_event() {
                Some(Event::Request { exchange, peer, request }) => {
                    self.on_request(now, number, exchange, peer, request);
                }
                Some(Event::ObservationEnded { observation }) => {
                    self.observers.remove(&(number, observation));
                }
                // We ask nobody anything.
                Some(_) => {}
                None => return,
            }
        }
    }

    fn on_action(&mut self, door: usize, peer: Peer, action: Action) {
        let now = Instant::now();
        match action {
            Action::Nothing => {}
            Action::Reply(bytes) => {
                self.doors[door].outgoing.push_back(Transmit { peer, bytes });
            }
            Action::History(style) => {
                let payer = Payer::Host(limits::host(peer.address));
                let asker = Asker::Plain { door, peer, echo: Echo::History };
                let Some(place) = self.reading.enter(payer, 0) else {
                    return self.answer(now, asker, Problem::overloaded().into());
                };
                let ticket = self.wait(WaitsFor::Reader, place, asker);
                self.ask_reader(now, ticket, ReadJob::History { ticket, style });
            }
            Action::Keep { text, encoding, source, echo } => {
                let payer = Payer::Host(limits::host(peer.address));
                let echo = echo.map_or(Echo::Silence, Echo::Note);
                let asker = Asker::Plain { door, peer, echo };
                let bytes = text.len();
                let Some(place) = self.writing.enter(payer, bytes) else {
                    return self.answer(now, asker, Problem::overloaded().into());
                };
                let ticket = self.wait(WaitsFor::Writer, place, asker);
                let writing = plain_note(text, encoding, source.to_string());
                let journal = JournalId::FIRST;
                let job = WriteJob::Notes { ticket, bytes, journal, writing };
                self.ask_writer(now, ticket, job);
            }
        }
    }

    fn on_done(&mut self, now: Instant, done: Done) {
        match done {
            Done::Write(WriteDone::Notes { answers, changed }) => {
                for Written { ticket, response } in answers {
                    self.on_answer(now, ticket, response);
                }
                if !changed.is_empty() {
                    for journal in changed {
                        self.observers.handle_change(journal);
                    }
                    // Without a reader there is nobody to index either.
                    let _ = self.reads.send(ReadJob::Changed);
                }
            }
            Done::Write(WriteDone::Access { change, result }) => {
                self.on_access(now, *change, result);
            }
            Done::Read(ReadDone::Response { ticket, response }) => {
                self.on_answer(now, ticket, response);
            }
            Done::Read(ReadDone::Observed(answers)) => {
                let doors = &mut self.doors;
                self.observers.handle_round(answers, |(door, observation), response| {
                    if let Speaks::Coap(endpoint) = &mut doors[*door].speaks {
                        endpoint.notify(now, observation, response.clone());
                    }
                });
            }
        }
    }

    /// The answer for whoever waits under this ticket.
    fn on_answer(&mut self, now: Instant, ticket: u64, response: Response) {
        let Some(Waiting { asker, place, waits_for }) = self.waiting.remove(&ticket) else {
            return;
        };
        match waits_for {
            WaitsFor::Writer => self.writing.leave(place),
            WaitsFor::Reader => self.reading.leave(place),
        }
        self.answer(now, asker, response);
    }

    fn answer(&mut self, now: Instant, asker: Asker, response: Response) {
        match asker {
            Asker::Coap { door, exchange, observed } => {
                let Some(observed) = observed.filter(|_| response.code.is_success()) else {
                    return self.respond(now, door, exchange, response);
                };
                let (caller, route, request) = *observed;
                // Who was revoked meanwhile observes nothing.
                let subject = caller.subject();
                if subject.is_some_and(|who| self.registry.caller(who, caller.address).is_none()) {
                    return self.respond(now, door, exchange, gate::revoked());
                }
                if !self.observers.has_room(subject) {
                    return self.respond(now, door, exchange, response);
                }
                let Speaks::Coap(endpoint) = &mut self.doors[door].speaks else { return };
                let told = response.clone();
                if let Some(id) = endpoint.respond_observed(now, exchange, response) {
                    self.observers.add((door, id), &caller, route, request, &told);
                }
            }
            Asker::Plain { door, peer, echo } => {
                let bytes = match echo {
                    Echo::Silence => return,
                    Echo::Note(echo) if response.code.is_success() => echo,
                    // The reason, so that nobody takes it for an echo.
                    Echo::Note(_) | Echo::History => response.payload,
                };
                self.doors[door].outgoing.push_back(Transmit { peer, bytes });
            }
        }
    }

    fn respond(&mut self, now: Instant, door: usize, exchange: Exchange, response: Response) {
        if let Speaks::Coap(endpoint) = &mut self.doors[door].speaks {
            endpoint.respond(now, exchange, response);
        }
    }

    fn wait(&mut self, waits_for: WaitsFor, place: Place, asker: Asker) -> u64 {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, Waiting { asker, place, waits_for });
        self.next_ticket
    }

    fn ask_writer(&mut self, now: Instant, ticket: u64, job: WriteJob) {
        let is_sent = self.writes.as_ref().is_some_and(|writes| writes.send(job).is_ok());
        if !is_sent {
            self.on_answer(now, ticket, failed_thread());
        }
    }

    fn ask_reader(&mut self, now: Instant, ticket: u64, job: ReadJob) {
        if self.reads.send(job).is_err() {
            self.on_answer(now, ticket, failed_thread());
        }
    }
}

/// A thread has panicked; it said why on standard error.
fn failed_thread() -> Response {
    let text = "a part of the server has failed; it has to be started again";
    Response::diagnostic(Code::INTERNAL_SERVER_ERROR, text)
}

/// A datagram of the plain dialect as a note.
fn plain_note(text: String, encoding: Encoding, source: String) -> Writing {
    let mut extras = Extras::from([(extra::SOURCE.to_owned(), Extra::Text(source))]);
    if let Some(name) = encoding.name() {
        extras.insert(extra::ENCODING.to_owned(), Extra::Text(name.to_owned()));
    }
    let write = Write::Note {
        id: None,
        expect: Expect::Any,
        body: Body::Text(text),
        time: None,
        extras,
        now: clock::now(),
    };
    let answer = |outcome, _: &mut dyn Reader| match outcome {
        Outcome::Note(Ok(_)) => Ok(Response::new(Code::CREATED)),
        Outcome::Note(Err(refused)) => {
            let code = Code::REQUEST_ENTITY_TOO_LARGE;
            Ok(Response::diagnostic(code, format!("not kept: {refused}")))
        }
        Outcome::Pushed(_) => unreachable!("a note has the outcome of a note"),
    };
    Writing { write, already: None, answer: Box::new(answer) }
}
