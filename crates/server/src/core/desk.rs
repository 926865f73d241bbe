//! Changes of who may do what, one after the other, and what the trail says of them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::Rng;
use suibi_coap::{Code, Exchange, Request, Response};
use suibi_journal::admission::DEVICE_REVOKED;
use suibi_journal::{AuditEntry, AuditKind};
use suibi_store::AccessChange;

use super::{Core, Via};
use crate::caller::{Caller, Need, Who, of_device};
use crate::gate;
use crate::limits::{Bucket, Meter, Payer, Place, Queue, Rate};
use crate::problem::Problem;
use crate::resources::{AccessWriting, Decision, Route, Then};
use crate::writer::{AccessResult, WriteJob};

/// Changes that may wait for their turn, in number and bytes.
const MAX_CHANGES: usize = 256;
const MAX_CHANGE_BYTES: usize = 1 << 20;
/// Refusals that may wait to be written down.
const MAX_REFUSALS: usize = 64;
/// So often it is looked whether there are invites to forget.
const UPKEEP: Duration = Duration::from_secs(3600);

/// Refusals that are written down: of one asker, and of all. The trail is bounded, and nobody is to push out of it
/// what others would rather find there.
const REFUSALS_OF_ONE: Rate = Rate { burst: 3, every: Duration::from_secs(600) };
const REFUSALS_OF_ALL: Rate = Rate { burst: 20, every: Duration::from_secs(60) };

/// Where changes wait for their turn.
pub(super) struct Desk {
    waiting: VecDeque<Errand>,
    queue: Queue,
    writing: Option<Writing>,
    /// What the trail is to say.
    entries: VecDeque<AuditEntry>,
    refusals_of_one: Meter<Payer>,
    refusals_of_all: Bucket,
    next_upkeep: Instant,
    /// What could not be written is tried again no sooner.
    not_before: Instant,
}

/// A request that waits until it can be decided.
struct Errand {
    asker: Asker,
    route: Route,
    request: Request,
}

/// Who waits for the answer.
struct Asker {
    via: Via,
    exchange: Exchange,
    caller: Caller,
    place: Place,
}

/// A change on its way to the disk, and who waits for it: nobody, where it is our own.
struct Writing(Option<(Asker, Then)>);

impl Desk {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            queue: Queue::new(MAX_CHANGES, MAX_CHANGE_BYTES),
            writing: None,
            entries: VecDeque::new(),
            refusals_of_one: Meter::new(now, REFUSALS_OF_ONE),
            refusals_of_all: Bucket::new(now, REFUSALS_OF_ALL),
            next_upkeep: now,
            not_before: now,
        }
    }

    /// Whether something is on its way to the disk.
    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// When there is something to do of our own accord.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let has_more = !self.waiting.is_empty() || !self.entries.is_empty();
        let next = if has_more { self.not_before } else { self.next_upkeep };
        self.writing.is_none().then_some(next.max(self.not_before))
    }
}

impl Core {
    /// A request that wants to change who may do what.
    pub(super) fn on_change(
        &mut self,
        now: Instant,
        via: Via,
        exchange: Exchange,
        caller: Caller,
        route: Route,
        request: Request,
    ) {
        if let Some(challenge) = self.challenge(now, &caller, &route, &request) {
            return self.respond(now, via, exchange, challenge);
        }
        let Some(place) = self.desk.queue.enter(Payer::of(&caller), request.payload.len()) else {
            return self.respond(now, via, exchange, Problem::overloaded().into());
        };
        let asker = Asker { via, exchange, caller, place };
        self.desk.waiting.push_back(Errand { asker, route, request });
        self.tend(now);
    }

    /// What is answered first to a request that needs `admin`: a challenge, unless it brings the echo of one.
    pub(super) fn challenge(
        &mut self,
        now: Instant,
        caller: &Caller,
        route: &Route,
        request: &Request,
    ) -> Option<Response> {
        let subject = caller.subject().filter(|_| route.needs() == Need::Admin)?;
        let is_fresh = self.freshness.accept(now, subject, request);
        (!is_fresh).then(|| self.freshness.challenge(now, subject, self.rng.random()))
    }

    /// Goes on with what waits, unless something is on its way to the disk.
    pub(super) fn tend(&mut self, now: Instant) {
        for (subject, peer) in self.registry.take_refused() {
            let (device, journal) = self.registry.names(subject);
            let entry = AuditEntry {
                at: self.about.clock.millis(),
                what: AuditKind::Refused(DEVICE_REVOKED.to_owned()),
                device,
                journal,
                address: peer.address.to_string(),
                detail: String::new(),
            };
            self.keep_refusal(now, Payer::Subject(subject), entry);
        }
        for news in self.about.recovered.take_news() {
            let entry = AuditEntry {
                at: self.about.clock.millis(),
                what: AuditKind::Recovered,
                device: news.device,
                journal: self.registry.journal_name(news.journal).to_owned(),
                address: news.address.to_string(),
                detail: format!("{} changes or more that were acknowledged before", news.changes),
            };
            self.desk.entries.push_back(entry);
        }
        while self.desk.writing.is_none() && now >= self.desk.not_before {
            if let Some(change) = self.registry.poll_reservation() {
                self.write_access(now, change, None, None);
            } else if let Some(errand) = self.desk.waiting.pop_front() {
                self.decide(now, errand);
            } else if let Some(entry) = self.desk.entries.pop_front() {
                self.write_access(now, AccessChange::AuditOnly, Some(entry), None);
            } else if self.desk.next_upkeep <= now {
                match self.registry.forgettable(self.about.clock.millis()) {
                    Some(change) => self.write_access(now, change, None, None),
                    None => self.desk.next_upkeep = now + UPKEEP,
                }
            } else {
                return;
            }
        }
    }

    fn decide(&mut self, now: Instant, errand: Errand) {
        let Errand { mut asker, route, request } = errand;
        // What they may do may be another thing by now.
        let (millis, address) = (self.about.clock.millis(), asker.caller.address);
        let decision = match asker.caller.subject() {
            Some(subject) => match self.registry.caller(millis, subject, address) {
                Some(caller) => {
                    asker.caller =
                        Caller { rights: caller.rights, who: caller.who, ..asker.caller };
                    None
                }
                None => Some(gate::revoked()),
            },
            None => None,
        };
        let decision = match decision {
            Some(refusal) => Decision::Answer(refusal),
            None => route.change(&request, &asker.caller, &self.about, &self.registry),
        };
        self.on_decision(now, asker, decision);
    }

    fn on_decision(&mut self, now: Instant, asker: Asker, decision: Decision) {
        match decision {
            Decision::Answer(response) => {
                let Asker { via, exchange, caller, place } = asker;
                self.desk.queue.leave(place);
                self.audit_refusal(now, &caller, &response);
                self.respond(now, via, exchange, response);
            }
            Decision::Change(writing) => {
                let AccessWriting { change, audit, then } = *writing;
                self.write_access(now, change, audit, Some((asker, then)));
            }
        }
    }

    fn write_access(
        &mut self,
        now: Instant,
        change: AccessChange,
        audit: Option<AuditEntry>,
        waits: Option<(Asker, Then)>,
    ) {
        self.desk.writing = Some(Writing(waits));
        if self.is_ending {
            return self.on_access_lost(now, Problem::ending().into());
        }
        let job = WriteJob::Access { change: Box::new(change), audit: audit.map(Box::new) };
        self.jobs.writes.push_back(job);
    }

    /// A change never gets to the disk. The end of this server is near: what is our own is done by the next one.
    pub(super) fn on_access_lost(&mut self, now: Instant, response: Response) {
        self.desk.not_before = now + Duration::from_secs(1);
        if let Some(Writing(Some((asker, _)))) = self.desk.writing.take() {
            self.on_decision(now, asker, Decision::Answer(response));
        }
    }

    /// A change is durable, or is not to be.
    pub(super) fn on_access(&mut self, now: Instant, change: AccessChange, result: AccessResult) {
        let waits = self.desk.writing.take().and_then(|Writing(waits)| waits);
        let result = match result {
            Ok(result) => result,
            Err(error) => {
                tracing::warn!(%error, "a change of who may do what is not kept");
                self.desk.not_before = now + Duration::from_secs(1);
                if let AccessChange::Reserve { device, .. } = change {
                    self.registry.handle_unreserved(device);
                }
                if let Some((asker, _)) = waits {
                    let response = Problem::not_kept(&error).into();
                    self.on_decision(now, asker, Decision::Answer(response));
                }
                return;
            }
        };
        if let Ok(done) = &result {
            let cut_off = match change {
                AccessChange::Revoke { device, .. } => Some(device),
                _ => None,
            };
            self.registry.apply(change, done);
            if let Some(device) = cut_off {
                self.end_observations(now, device);
            }
        }
        if let Some((asker, then)) = waits {
            let decision = then(&self.registry, result);
            self.on_decision(now, asker, decision);
        }
        self.tend(now);
    }

    /// A device that was cut off is told so once more, where it observed something (RFC 7641 §4.2), and its streams are
    /// released.
    fn end_observations(&mut self, now: Instant, device: u32) {
        let last = gate::revoked();
        for observer in self.observers.remove_all_of(of_device(device)) {
            self.notify(now, observer, last.clone());
        }
        self.release_streams(now, Some(of_device(device)));
    }

    /// A refusal goes into the trail if it is about who may do what.
    pub(super) fn audit_refusal(&mut self, now: Instant, caller: &Caller, response: &Response) {
        // An invite that somebody else has used; other conflicts are about names.
        let is_used = response.code == Code::CONFLICT && matches!(caller.who, Who::Invite(_));
        if response.code != Code::FORBIDDEN && !is_used {
            return;
        }
        let (device, journal) = match caller.subject() {
            Some(subject) => self.registry.names(subject),
            None => (String::new(), self.registry.journal_name(caller.journal).to_owned()),
        };
        let entry = AuditEntry {
            at: self.about.clock.millis(),
            what: AuditKind::Refused(response.text()),
            device,
            journal,
            address: caller.address.to_string(),
            detail: String::new(),
        };
        self.keep_refusal(now, Payer::of(caller), entry);
    }

    fn keep_refusal(&mut self, now: Instant, payer: Payer, entry: AuditEntry) {
        let desk = &mut self.desk;
        if desk.entries.len() < MAX_REFUSALS
            && desk.refusals_of_one.take(now, payer)
            && desk.refusals_of_all.take(now)
        {
            desk.entries.push_back(entry);
        }
    }
}
