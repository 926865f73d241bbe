//! What becomes of a request: who asks, whether they may, and who is to answer.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use suibi_coap::{Code, Exchange, Observe, OptionNumber, Peer, Request, Response};

use super::{Asker, Core, Via, WaitsFor};
use crate::caller::Caller;
use crate::config::ListenerKind;
use crate::gate;
use crate::limits::{self, Payer};
use crate::problem::Problem;
use crate::reader::ReadJob;
use crate::resources::{Kind, Route};
use crate::writer::WriteJob;

impl Core {
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        via: Via,
        exchange: Exchange,
        peer: Peer,
        mut request: Request,
    ) {
        let mut caller = match self.caller(now, via, &exchange, peer.address) {
            Ok(caller) => caller,
            Err(response) => return self.respond(now, via, exchange, response),
        };
        let method = request.method;
        let route = match self.admit(&mut caller, &mut request) {
            Ok(route) => route,
            Err(problem) => {
                let response = Response::from(problem);
                self.audit_refusal(now, &caller, &response);
                return self.respond(now, via, exchange, response);
            }
        };
        let payer = Payer::of(&caller);
        match route.kind(method) {
            Kind::Read => {
                let Some(place) = self.reading.enter(payer, 0) else {
                    return self.respond(now, via, exchange, Problem::overloaded().into());
                };
                let wants = request.observing() == Some(Observe::Register);
                let observed = (wants && route.is_observable())
                    .then(|| Box::new((caller.clone(), route.clone(), request.clone())));
                let ticket =
                    self.wait(WaitsFor::Reader, place, Asker::Coap { via, exchange, observed });
                let job = ReadJob::Request { ticket, route, request, caller };
                self.jobs.reads.push_back(job);
            }
            Kind::Write => {
                if let Some(challenge) = self.challenge(now, &caller, &route, &request) {
                    return self.respond(now, via, exchange, challenge);
                }
                let bytes = request.payload.len();
                let Some(mut place) = self.writing.enter(payer, bytes) else {
                    return self.respond(now, via, exchange, Problem::overloaded().into());
                };
                let journal = caller.journal;
                match route.write(&request, &caller, &self.about) {
                    Ok(writing) => {
                        // What came compressed is longer now.
                        let bytes = bytes.max(writing.bytes());
                        self.writing.grow(&mut place, bytes);
                        let asker = Asker::Coap { via, exchange, observed: None };
                        let ticket = self.wait(WaitsFor::Writer, place, asker);
                        let job = WriteJob::Notes { ticket, bytes, journal, writing };
                        self.jobs.writes.push_back(job);
                    }
                    Err(response) => {
                        self.writing.leave(place);
                        self.respond(now, via, exchange, response);
                    }
                }
            }
            Kind::Tell => {
                let response = route.tell(&request, &caller, &self.about, &self.registry);
                self.respond(now, via, exchange, response);
            }
            Kind::Change => self.on_change(now, via, exchange, caller, route, request),
        }
    }

    /// Who asks, or what they are told instead.
    fn caller(
        &mut self,
        now: Instant,
        via: Via,
        exchange: &Exchange,
        address: SocketAddr,
    ) -> Result<Caller, Response> {
        match (exchange.subject(), self.kind(via)) {
            (Some(subject), _) => {
                let millis = self.about.clock.millis();
                self.registry.caller(millis, subject, address).ok_or_else(gate::revoked)
            }
            (None, Some(ListenerKind::Coap)) => {
                let is_distant = !address.ip().to_canonical().is_loopback();
                if is_distant && !self.unproven.take(now, limits::host(address)) {
                    return Err(Problem::too_many().into());
                }
                Ok(Caller::anyone(address))
            }
            // The Protection lets nothing else in; should it ever, it comes no further.
            (None, _) => Err(Response::new(Code::UNAUTHORIZED)),
        }
    }

    /// The way of the request, if there is one and the caller may go it.
    fn admit(&self, caller: &mut Caller, request: &mut Request) -> Result<Route, Problem> {
        if caller.is_local() {
            self.choose_journal(caller, request)?;
        }
        let route = Route::find(request)?;
        route.admit(caller)?;
        Ok(route)
    }

    /// The owner's own commands may speak of any journal: `?journal=NAME`.
    fn choose_journal(&self, caller: &mut Caller, request: &mut Request) -> Result<(), Problem> {
        let queries: Vec<_> = request.options.get_all(OptionNumber::URI_QUERY).cloned().collect();
        let is_choice = |query: &Bytes| query.starts_with(b"journal=");
        let Some(choice) = queries.iter().find(|query| is_choice(query)) else { return Ok(()) };
        let name = String::from_utf8_lossy(&choice["journal=".len()..]);
        caller.journal = self.registry.journal_named(&name).ok_or_else(|| {
            Problem::new(Code::NOT_FOUND, format!("there is no journal \"{name}\" on this server"))
        })?;
        caller.journal_name = self.registry.shared_name(caller.journal);
        caller.is_of_all = false;
        request.options.remove(OptionNumber::URI_QUERY);
        for query in queries.into_iter().filter(|query| !is_choice(query)) {
            request.options.add(OptionNumber::URI_QUERY, query);
        }
        Ok(())
    }
}
