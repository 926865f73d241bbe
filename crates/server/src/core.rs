//! The server without sockets, threads and disks: doors, rights, queues, and who waits for what.
//!
//! ```text
//!   handle_datagram ──►┌──────┐──► poll_transmit
//!   handle_opened,  ──►│      │──► poll_stream, poll_bytes
//!     handle_bytes, …  │ Core │
//!   handle_timeout  ──►│      │──► poll_timeout
//!   handle_done     ──►└──────┘──► jobs ──► writer, reader
//!                          ▲                       │
//!                          └────── Done ◄──────────┘
//! ```
//!
//! After a batch of `handle_*`: [`Core::handle_timeout`], then drain [`Core::jobs`], [`Core::poll_transmit`]
//! and [`Core::poll_stream`], then ask [`Core::poll_timeout`].

use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use suibi_coap::{Code, Event, Exchange, Peer, Request, Response, Transmit};
use suibi_journal::{Body, Extra, Extras, NoteTime, extra};
use suibi_store::{Expect, JournalId, Outcome, Reader, Write};

use crate::caller::Caller;
use crate::config::ListenerKind;
use crate::door::{Door, Speaks};
use crate::encoding::Encoding;
use crate::freshness::Freshness;
use crate::gate;
use crate::limits::{self, Meter, Payer, Place, Queue, Rate};
use crate::observers::{Observer, Observers};
use crate::plain::Action;
use crate::problem::Problem;
use crate::reader::{ReadDone, ReadJob};
use crate::registry::Registry;
use crate::resources::{About, Route, Writing};
use crate::writer::{WriteDone, WriteJob, Written};

mod admission;
mod desk;
mod streams;
mod tickets;

use desk::Desk;
pub use streams::StreamId;
use streams::Streams;
use tickets::Tickets;

/// Writes that may wait for their commit, in number and bytes; what comes then is refused.
const MAX_WRITES: usize = 16_384;
const MAX_WRITE_BYTES: usize = 32 << 20;
/// Questions that may wait for the reader.
const MAX_READS: usize = 4096;

/// The reader learns of changes so long after the first of them: for the index they make no hurry, and waking it up for
/// each commit would hold up the answers.
const TELL_READER_AFTER: Duration = Duration::from_millis(20);

/// What the other threads are to do, each in this order.
#[derive(Default)]
pub(crate) struct Jobs {
    pub(crate) writes: VecDeque<WriteJob>,
    pub(crate) reads: VecDeque<ReadJob>,
}

impl Jobs {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.reads.is_empty()
    }
}

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
        via: Via,
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

/// In which way somebody asks, and is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Via {
    /// By datagrams at this door.
    Door(usize),
    /// By a stream.
    Stream(StreamId),
}

/// The one who decides; see the module.
pub(crate) struct Core {
    doors: Vec<Door>,
    streams: Streams,
    about: Arc<About>,
    jobs: Jobs,
    /// When the reader is to learn that there are changes.
    tell_reader: Option<Instant>,
    /// There is to be nothing new.
    is_ending: bool,
    registry: Registry,
    waiting: Tickets<Waiting>,
    writing: Queue,
    reading: Queue,
    desk: Desk,
    observers: Observers,
    freshness: Freshness,
    /// For hosts beyond loopback at unprotected doors.
    unproven: Meter<IpAddr>,
    rng: StdRng,
}

impl Core {
    /// `seed` has to be random and new, but for tests: challenges are drawn from it.
    pub(crate) fn new(
        now: Instant,
        seed: [u8; 32],
        doors: Vec<Door>,
        about: Arc<About>,
        registry: Registry,
        unproven: Rate,
    ) -> Self {
        Self {
            doors,
            streams: Streams::default(),
            about,
            jobs: Jobs::default(),
            tell_reader: None,
            is_ending: false,
            registry,
            waiting: Tickets::new(),
            writing: Queue::new(MAX_WRITES, MAX_WRITE_BYTES),
            reading: Queue::new(MAX_READS, usize::MAX),
            desk: Desk::new(now),
            observers: Observers::new(now),
            freshness: Freshness::default(),
            unproven: Meter::new(now, unproven),
            rng: StdRng::from_seed(seed),
        }
    }

    /// A datagram came in at this door, whatever it is.
    pub(crate) fn handle_datagram(&mut self, now: Instant, door: usize, peer: Peer, bytes: &[u8]) {
        match &mut self.doors[door].speaks {
            Speaks::Coap(endpoint) => {
                endpoint.handle_datagram(now, peer, bytes);
                self.on_events(now, door);
            }
            Speaks::Plain(plain) => {
                let action = plain.handle_datagram(now, peer, bytes);
                self.on_action(now, door, peer, action);
            }
        }
    }

    /// Goes on with what time brings, and with what the last datagrams have left to do.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for number in 0..self.doors.len() {
            let door = &mut self.doors[number];
            if door.timeout().is_some_and(|at| at <= now)
                && let Speaks::Coap(endpoint) = &mut door.speaks
            {
                endpoint.handle_timeout(now);
                self.on_events(now, number);
            }
        }
        if self.tell_reader.take_if(|at| *at <= now).is_some() {
            self.jobs.reads.push_back(ReadJob::Changed);
        }
        if let Some(questions) = self.observers.poll_round(now) {
            self.jobs.reads.push_back(ReadJob::Observed(questions));
        }
        self.tend(now);
        self.on_stream_timeout(now);
    }

    /// A job was done.
    pub(crate) fn handle_done(&mut self, now: Instant, done: Done) {
        match done {
            Done::Write(WriteDone::Notes { answers, changed }) => {
                for Written { ticket, response } in answers {
                    self.on_answer(now, ticket, response);
                }
                if !changed.is_empty() {
                    for journal in changed {
                        self.observers.handle_change(journal);
                    }
                    self.tell_reader.get_or_insert(now + TELL_READER_AFTER);
                }
            }
            Done::Write(WriteDone::Access { change, result }) => {
                self.on_access(now, *change, result);
            }
            Done::Read(ReadDone::Response { ticket, response }) => {
                self.on_answer(now, ticket, response);
            }
            Done::Read(ReadDone::Observed(answers)) => {
                for (observer, response) in self.observers.handle_round(answers) {
                    self.notify(now, observer, response);
                }
            }
        }
    }

    /// The jobs that are there are done by nobody: their thread has panicked, and said why on standard error.
    pub(crate) fn handle_lost(&mut self, now: Instant) {
        let text = "a part of the server has failed; it has to be started again";
        let failed = Response::diagnostic(Code::INTERNAL_SERVER_ERROR, text);
        let Jobs { writes, reads } = mem::take(&mut self.jobs);
        for job in writes {
            match job {
                WriteJob::Notes { ticket, .. } => self.on_answer(now, ticket, failed.clone()),
                WriteJob::Access { .. } => self.on_access_lost(now, failed.clone()),
            }
        }
        for job in reads {
            match job {
                ReadJob::Request { ticket, .. } | ReadJob::History { ticket, .. } => {
                    self.on_answer(now, ticket, failed.clone());
                }
                ReadJob::Observed(_) => self.observers.handle_refused_round(),
                // Without a reader there is nobody to index either.
                ReadJob::Changed => {}
            }
        }
        self.settle_streams(now);
    }

    /// From now on nothing new is written.
    pub(crate) fn handle_ending(&mut self) {
        self.is_ending = true;
    }

    /// The last words. The next server at this address does not know our observers, and would leave them waiting: an
    /// error ends an observation (RFC 7641 §4.2), so that they register anew. Nobody waits for their acknowledgements.
    /// Streams are released (RFC 8323 §5.5).
    pub(crate) fn say_goodbye(&mut self, now: Instant) {
        let text = "the server ends; register again when it is back";
        let last =
            Response::diagnostic(Code::SERVICE_UNAVAILABLE, text).max_age(Duration::from_secs(1));
        let all: Vec<Observer> = self.observers.all().copied().collect();
        for observer in all {
            self.notify(now, observer, last.clone());
        }
        self.release_streams(now, None);
        self.on_stream_timeout(now);
    }

    /// What the other threads are to do; to be taken out.
    pub(crate) fn jobs(&mut self) -> &mut Jobs {
        &mut self.jobs
    }

    /// The next datagram to leave by this door.
    pub(crate) fn poll_transmit(&mut self, door: usize) -> Option<Transmit> {
        let door = &mut self.doors[door];
        match &mut door.speaks {
            Speaks::Coap(endpoint) => endpoint.poll_transmit(),
            Speaks::Plain(_) => door.replies.pop_front(),
        }
    }

    /// When to call [`Self::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let timers = self.doors.iter().filter_map(Door::timeout);
        let own = [
            self.observers.poll_timeout(),
            self.desk.poll_timeout(),
            self.stream_timeout(),
            self.tell_reader,
        ];
        timers.chain(own.into_iter().flatten()).min()
    }

    /// Whether somebody waits for the writer.
    pub(crate) fn is_writing(&self) -> bool {
        !self.writing.is_empty() || self.desk.is_writing()
    }

    fn on_events(&mut self, now: Instant, number: usize) {
        loop {
            let Speaks::Coap(endpoint) = &mut self.doors[number].speaks else { return };
            match endpoint.poll_event() {
                Some(Event::Request { exchange, peer, request }) => {
                    self.on_request(now, Via::Door(number), exchange, peer, request);
                }
                Some(Event::ObservationEnded { observation }) => {
                    self.observers.remove(&(Via::Door(number), observation));
                }
                // We ask nobody anything.
                Some(_) => {}
                None => return,
            }
        }
    }

    fn on_action(&mut self, now: Instant, door: usize, peer: Peer, action: Action) {
        match action {
            Action::Nothing => {}
            Action::Reply(bytes) => {
                self.doors[door].replies.push_back(Transmit { peer, bytes });
            }
            Action::History(style) => {
                let payer = Payer::Host(limits::host(peer.address));
                let asker = Asker::Plain { door, peer, echo: Echo::History };
                let Some(place) = self.reading.enter(payer, 0) else {
                    return self.answer(now, asker, Problem::overloaded().into());
                };
                let ticket = self.wait(WaitsFor::Reader, place, asker);
                self.jobs.reads.push_back(ReadJob::History { ticket, style });
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
                let time = self.about.clock.now();
                let writing = plain_note(time, text, encoding, source.to_string());
                let journal = JournalId::FIRST;
                let job = WriteJob::Notes { ticket, bytes, journal, writing };
                self.jobs.writes.push_back(job);
            }
        }
    }

    /// The answer for whoever waits under this ticket.
    fn on_answer(&mut self, now: Instant, ticket: u64, response: Response) {
        let Some(Waiting { asker, place, waits_for }) = self.waiting.take(ticket) else {
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
            Asker::Coap { via, exchange, observed } => {
                let Some(observed) = observed.filter(|_| response.code.is_success()) else {
                    return self.respond(now, via, exchange, response);
                };
                let (caller, route, request) = *observed;
                // Who was revoked meanwhile observes nothing.
                let subject = caller.subject();
                let millis = self.about.clock.millis();
                let is_gone = |who| self.registry.caller(millis, who, caller.address).is_none();
                if subject.is_some_and(is_gone) {
                    return self.respond(now, via, exchange, gate::revoked());
                }
                if !self.observers.has_room(subject) {
                    return self.respond(now, via, exchange, response);
                }
                let told = response.clone();
                let registered = match via {
                    Via::Door(door) => match &mut self.doors[door].speaks {
                        Speaks::Coap(endpoint) => {
                            endpoint.respond_observed(now, exchange, response)
                        }
                        Speaks::Plain(_) => None,
                    },
                    Via::Stream(id) => self
                        .connection(id)
                        .and_then(|stream| stream.respond_observed(now, exchange, response)),
                };
                if let Some(id) = registered {
                    self.observers.add((via, id), &caller, route, request, &told);
                }
            }
            Asker::Plain { door, peer, echo } => {
                let bytes = match echo {
                    Echo::Silence => return,
                    Echo::Note(echo) if response.code.is_success() => echo,
                    // The reason, so that nobody takes it for an echo.
                    Echo::Note(_) | Echo::History => response.payload,
                };
                self.doors[door].replies.push_back(Transmit { peer, bytes });
            }
        }
    }

    fn respond(&mut self, now: Instant, via: Via, exchange: Exchange, response: Response) {
        match via {
            Via::Door(door) => {
                if let Speaks::Coap(endpoint) = &mut self.doors[door].speaks {
                    endpoint.respond(now, exchange, response);
                }
            }
            Via::Stream(id) => {
                if let Some(stream) = self.connection(id) {
                    stream.respond(now, exchange, response);
                }
            }
        }
    }

    fn notify(&mut self, now: Instant, (via, observation): Observer, response: Response) {
        match via {
            Via::Door(door) => {
                if let Speaks::Coap(endpoint) = &mut self.doors[door].speaks {
                    endpoint.notify(now, &observation, response);
                }
            }
            Via::Stream(id) => {
                if let Some(stream) = self.connection(id) {
                    stream.notify(now, &observation, response);
                }
            }
        }
    }

    /// What is spoken where this comes in.
    fn kind(&self, via: Via) -> Option<ListenerKind> {
        let door = match via {
            Via::Door(door) => door,
            Via::Stream(id) => self.door_of(id)?,
        };
        Some(self.doors[door].kind)
    }

    fn wait(&mut self, waits_for: WaitsFor, place: Place, asker: Asker) -> u64 {
        self.waiting.add(Waiting { asker, place, waits_for })
    }
}

/// A datagram of the plain dialect as a note.
fn plain_note(now: NoteTime, text: String, encoding: Encoding, source: String) -> Writing {
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
        now,
    };
    let answer = |outcome, _: &mut dyn Reader| match outcome {
        Outcome::Note(Ok(_)) => Ok(Response::new(Code::CREATED)),
        Outcome::Note(Err(refused)) => {
            let code = Code::REQUEST_ENTITY_TOO_LARGE;
            Ok(Response::diagnostic(code, format!("not kept: {refused}")))
        }
        Outcome::Pushed(_) => unreachable!("a note has the outcome of a note"),
    };
    Writing { write, source: None, already: None, answer: Box::new(answer) }
}
