//! The net thread: every socket, one readiness call, and never a disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use suibi_coap::{Event, Exchange, Observe, Peer, Request, Response, Transmit};
use suibi_journal::{Body, Extra, Extras, extra};
use suibi_net::ReceiveBatch;
use suibi_store::{Expect, Outcome, Reader, Write};

use crate::clock;
use crate::door::{Door, Speaks};
use crate::encoding::Encoding;
use crate::observers::Observers;
use crate::plain::Action;
use crate::problem::Problem;
use crate::reader::{ReadDone, ReadJob};
use crate::resources::{self, About, Caller, Writing};
use crate::stop::StopSignal;
use crate::writer::{WriteJob, Written};

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
    Written { answers: Vec<Written>, changed: bool },
}

/// Who waits for what the other threads do.
enum Waiting {
    Coap {
        door: usize,
        exchange: Exchange,
        observed: Option<Request>,
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

pub(crate) struct NetThread {
    poll: Poll,
    doors: Vec<Door>,
    stops: [StopSignal; 2],
    about: Arc<About>,
    /// Gone once there is to be nothing new.
    writes: Option<Sender<WriteJob>>,
    reads: Sender<ReadJob>,
    dones: Receiver<Done>,
    waiting: BTreeMap<u64, Waiting>,
    next_ticket: u64,
    write_bytes: BTreeMap<u64, usize>,
    write_bytes_total: usize,
    reads_waiting: usize,
    observers: Observers,
}

impl NetThread {
    pub(crate) fn new(
        poll: Poll,
        mut doors: Vec<Door>,
        stops: [StopSignal; 2],
        about: Arc<About>,
        writes: Sender<WriteJob>,
        reads: Sender<ReadJob>,
        dones: Receiver<Done>,
    ) -> io::Result<Self> {
        let both = Interest::READABLE | Interest::WRITABLE;
        for (number, door) in doors.iter_mut().enumerate() {
            poll.registry().register(&mut door.socket, Token(number), both)?;
        }
        for stop in &stops {
            poll.registry().register(&mut SourceFd(&stop.fd()), STOP, Interest::READABLE)?;
        }
        Ok(Self {
            poll,
            doors,
            stops,
            about,
            writes: Some(writes),
            reads,
            dones,
            waiting: BTreeMap::new(),
            next_ticket: 0,
            write_bytes: BTreeMap::new(),
            write_bytes_total: 0,
            reads_waiting: 0,
            observers: Observers::new(Instant::now()),
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
        while !self.write_bytes.is_empty() {
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
        let last = Response::diagnostic(suibi_coap::Code::SERVICE_UNAVAILABLE, text)
            .max_age(Duration::from_secs(1));
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
        let next = timers.chain(self.observers.poll_timeout()).min()?;
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

    fn on_request(
        &mut self,
        now: Instant,
        door: usize,
        exchange: Exchange,
        peer: Peer,
        request: Request,
    ) {
        let caller = Caller { source: peer.address.to_string() };
        if request.method.is_safe() {
            if self.reads_waiting >= MAX_READS {
                return self.respond(now, door, exchange, Problem::overloaded().into());
            }
            let wants = request.observing() == Some(Observe::Register);
            let observed = (wants && resources::is_observable(&request)).then(|| request.clone());
            let ticket = self.wait(Waiting::Coap { door, exchange, observed });
            return self.ask_reader(now, ticket, ReadJob::Request { ticket, request, caller });
        }
        if self.is_full() {
            return self.respond(now, door, exchange, Problem::overloaded().into());
        }
        match resources::write(&request, &caller, &self.about) {
            Ok(writing) => {
                let bytes = request.payload.len();
                let ticket = self.wait(Waiting::Coap { door, exchange, observed: None });
                self.ask_writer(now, WriteJob { ticket, bytes, writing });
            }
            Err(response) => self.respond(now, door, exchange, response),
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
                let ticket = self.wait(Waiting::Plain { door, peer, echo: Echo::History });
                if self.reads_waiting >= MAX_READS {
                    return self.on_answer(now, ticket, Problem::overloaded().into());
                }
                self.ask_reader(now, ticket, ReadJob::History { ticket, style });
            }
            Action::Keep { text, encoding, source, echo } => {
                let echo = echo.map_or(Echo::Silence, Echo::Note);
                let ticket = self.wait(Waiting::Plain { door, peer, echo });
                if self.is_full() {
                    return self.on_answer(now, ticket, Problem::overloaded().into());
                }
                let bytes = text.len();
                let writing = plain_note(text, encoding, source.to_string());
                self.ask_writer(now, WriteJob { ticket, bytes, writing });
            }
        }
    }

    fn on_done(&mut self, now: Instant, done: Done) {
        match done {
            Done::Written { answers, changed } => {
                for Written { ticket, response } in answers {
                    if let Some(bytes) = self.write_bytes.remove(&ticket) {
                        self.write_bytes_total -= bytes;
                    }
                    self.on_answer(now, ticket, response);
                }
                if changed {
                    self.observers.handle_change();
                    // Without a reader there is nobody to index either.
                    let _ = self.reads.send(ReadJob::Changed);
                }
            }
            Done::Read(ReadDone::Response { ticket, response }) => {
                self.reads_waiting -= 1;
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
        match self.waiting.remove(&ticket) {
            Some(Waiting::Coap { door, exchange, observed }) => {
                let Speaks::Coap(endpoint) = &mut self.doors[door].speaks else { return };
                let Some(request) = observed.filter(|_| response.code.is_success()) else {
                    return endpoint.respond(now, exchange, response);
                };
                let told = response.clone();
                if let Some(id) = endpoint.respond_observed(now, exchange, response) {
                    self.observers.add((door, id), request, &told);
                }
            }
            Some(Waiting::Plain { door, peer, echo }) => {
                let bytes = match echo {
                    Echo::Silence => return,
                    Echo::Note(echo) if response.code.is_success() => echo,
                    // The reason, so that nobody takes it for an echo.
                    Echo::Note(_) | Echo::History => response.payload,
                };
                self.doors[door].outgoing.push_back(Transmit { peer, bytes });
            }
            None => {}
        }
    }

    fn respond(&mut self, now: Instant, door: usize, exchange: Exchange, response: Response) {
        if let Speaks::Coap(endpoint) = &mut self.doors[door].speaks {
            endpoint.respond(now, exchange, response);
        }
    }

    fn wait(&mut self, waiting: Waiting) -> u64 {
        self.next_ticket += 1;
        self.waiting.insert(self.next_ticket, waiting);
        self.next_ticket
    }

    fn is_full(&self) -> bool {
        self.write_bytes.len() >= MAX_WRITES || self.write_bytes_total >= MAX_WRITE_BYTES
    }

    fn ask_writer(&mut self, now: Instant, job: WriteJob) {
        let (ticket, bytes) = (job.ticket, job.bytes);
        let is_sent = self.writes.as_ref().is_some_and(|writes| writes.send(job).is_ok());
        if !is_sent {
            return self.on_answer(now, ticket, failed_thread());
        }
        self.write_bytes.insert(ticket, bytes);
        self.write_bytes_total += bytes;
    }

    fn ask_reader(&mut self, now: Instant, ticket: u64, job: ReadJob) {
        match self.reads.send(job) {
            Ok(()) => self.reads_waiting += 1,
            Err(_) => self.on_answer(now, ticket, failed_thread()),
        }
    }
}

/// A thread has panicked; it said why on standard error.
fn failed_thread() -> Response {
    let text = "a part of the server has failed; it has to be started again";
    Response::diagnostic(suibi_coap::Code::INTERNAL_SERVER_ERROR, text)
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
        Outcome::Note(Ok(_)) => Ok(Response::new(suibi_coap::Code::CREATED)),
        Outcome::Note(Err(refused)) => {
            let code = suibi_coap::Code::REQUEST_ENTITY_TOO_LARGE;
            Ok(Response::diagnostic(code, format!("not kept: {refused}")))
        }
        Outcome::Pushed(_) => unreachable!("a note has the outcome of a note"),
    };
    Writing { write, already: None, answer: Box::new(answer) }
}
