//! Who wants to be told of changes (RFC 7641), and what they were told last.
//!
//! Many observers ask the same question, so each question is answered once a round. A round begins when
//! something has changed and the round before is over; what changes meanwhile is in the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use suibi_coap::{ObservationId, OptionNumber, Request, Response};

/// At least so long from round to round, so that a busy writer does not keep everybody busy.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(50);

/// An observation at one of several doors.
pub(crate) type Observer = (usize, ObservationId);

#[derive(Debug)]
pub(crate) struct Observers {
    questions: BTreeMap<usize, Question>,
    by_bytes: BTreeMap<Vec<u8>, usize>,
    asks: BTreeMap<Observer, usize>,
    next_number: usize,
    /// Something may be different from what was told.
    is_stale: bool,
    /// A round is on its way.
    is_asking: bool,
    next_round: Instant,
}

#[derive(Debug)]
struct Question {
    request: Request,
    bytes: Vec<u8>,
    observers: BTreeSet<Observer>,
    told: Bytes,
}

impl Observers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            questions: BTreeMap::new(),
            by_bytes: BTreeMap::new(),
            asks: BTreeMap::new(),
            next_number: 0,
            is_stale: false,
            is_asking: false,
            next_round: now,
        }
    }

    /// Somebody has registered, and was answered with `told`.
    pub(crate) fn add(&mut self, observer: Observer, mut request: Request, told: &Response) {
        self.remove(&observer);
        // The question is the same whatever its asker has seen, and asking it again is no registration.
        request.options.remove(OptionNumber::OBSERVE);
        request.options.remove(OptionNumber::ETAG);
        let bytes = key(&request);
        let next_number = self.next_number;
        let number = *self.by_bytes.entry(bytes.clone()).or_insert(next_number);
        if number == next_number {
            self.next_number += 1;
        }
        let told = told.payload.clone();
        let question = self.questions.entry(number).or_insert_with(|| Question {
            request,
            bytes,
            observers: BTreeSet::new(),
            told: told.clone(),
        });
        if question.told != told {
            // Some know this, some that: everybody is told once more.
            question.told = Bytes::new();
        }
        question.observers.insert(observer);
        self.asks.insert(observer, number);
        // Something may have changed between the answer and now.
        self.is_stale = true;
    }

    /// Somebody does not want to know any more.
    pub(crate) fn remove(&mut self, observer: &Observer) {
        let Some(number) = self.asks.remove(observer) else { return };
        let Some(question) = self.questions.get_mut(&number) else { return };
        question.observers.remove(observer);
        if question.observers.is_empty()
            && let Some(question) = self.questions.remove(&number)
        {
            self.by_bytes.remove(&question.bytes);
        }
    }

    /// Everybody, whatever they observe.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Observer> {
        self.asks.keys()
    }

    /// There was a commit.
    pub(crate) fn handle_change(&mut self) {
        self.is_stale = true;
    }

    /// The questions of the next round, if it is time for one.
    pub(crate) fn poll_round(&mut self, now: Instant) -> Option<Vec<(usize, Request)>> {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return None;
        }
        self.is_stale = false;
        self.is_asking = true;
        self.next_round = now + BETWEEN_ROUNDS;
        let ask = |(number, question): (&usize, &Question)| (*number, question.request.clone());
        Some(self.questions.iter().map(ask).collect())
    }

    /// When the next round may begin, if there is need of one.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let is_due = self.is_stale && !self.is_asking && !self.questions.is_empty();
        is_due.then_some(self.next_round)
    }

    /// A round could not be asked; it is due again.
    pub(crate) fn handle_refused_round(&mut self) {
        self.is_asking = false;
        self.is_stale = true;
    }

    /// The answers of a round. What is new is told with `tell`.
    pub(crate) fn handle_round(
        &mut self,
        answers: Vec<(usize, Response)>,
        mut tell: impl FnMut(&Observer, &Response),
    ) {
        self.is_asking = false;
        for (number, response) in answers {
            let Some(question) = self.questions.get_mut(&number) else { continue };
            // An error would end the observation (RFC 7641 §4.2), and is over by the next change.
            if !response.code.is_success() || question.told == response.payload {
                continue;
            }
            question.told = response.payload.clone();
            for observer in &question.observers {
                tell(observer, &response);
            }
        }
    }
}

/// The same for the same question.
fn key(request: &Request) -> Vec<u8> {
    let mut key = vec![request.method.byte()];
    for (number, value) in request.options.iter() {
        key.extend(number.0.to_be_bytes());
        key.extend((value.len() as u32).to_be_bytes());
        key.extend(value);
    }
    key.extend(&request.payload);
    key
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use suibi_coap::{Code, Config, Endpoint, Event};

    use super::*;

    /// Real observation ids: only an endpoint gives them.
    fn observations(count: u16) -> Vec<ObservationId> {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(Config::own(), [1; 32]);
        let mut ids = Vec::new();
        for number in 0..count {
            let peer = SocketAddr::from(([127, 0, 0, 1], 1000 + number));
            // GET with an empty Observe option, Token 1.
            let datagram = [0x41, 0x01, 0, 1, 1, 0x60];
            endpoint.handle_datagram(now, peer.into(), &datagram);
            let Some(Event::Request { exchange, .. }) = endpoint.poll_event() else { panic!() };
            ids.extend(endpoint.respond_observed(now, exchange, response("")));
        }
        ids
    }

    fn response(text: &str) -> Response {
        Response::new(Code::CONTENT).payload(text.to_owned())
    }

    fn question(path: &str) -> Request {
        Request::new(Code::GET).path(path).observe(true)
    }

    fn told(observers: &mut Observers, answers: Vec<(usize, Response)>) -> Vec<Observer> {
        let mut told = Vec::new();
        observers.handle_round(answers, |observer, _| told.push(*observer));
        told
    }

    #[test]
    fn many_observers_of_one_thing_are_one_question_and_told_only_of_news() {
        let mut now = Instant::now();
        let mut observers = Observers::new(now);
        let ids = observations(3);
        observers.add((0, ids[0]), question("/a"), &response("1"));
        observers.add((1, ids[1]), question("/a").etag(b"x"), &response("1"));
        observers.add((0, ids[2]), question("/b"), &response("1"));
        let round = observers.poll_round(now).unwrap();
        assert_eq!(round.len(), 2);
        assert!(round.iter().all(|(_, request)| request.observing().is_none()));
        // Until the answers are there, no other round begins; and then not at once.
        observers.handle_change();
        now += BETWEEN_ROUNDS;
        assert_eq!(observers.poll_round(now), None);
        let news = told(&mut observers, vec![(0, response("2")), (1, response("1"))]);
        assert_eq!(news, [(0, ids[0]), (1, ids[1])]);
        assert!(observers.poll_round(now).is_some());
        assert_eq!(told(&mut observers, vec![(0, response("2"))]), []);
        assert_eq!(observers.poll_timeout(), None);
    }

    #[test]
    fn who_came_with_older_news_is_told_again() {
        let now = Instant::now();
        let mut observers = Observers::new(now);
        let ids = observations(2);
        observers.add((0, ids[0]), question("/a"), &response("2"));
        observers.add((0, ids[1]), question("/a"), &response("1"));
        assert!(observers.poll_round(now).is_some());
        assert_eq!(told(&mut observers, vec![(0, response("2"))]).len(), 2);
    }

    #[test]
    fn an_error_ends_no_observation_and_who_left_is_told_nothing() {
        let now = Instant::now();
        let mut observers = Observers::new(now);
        let id = observations(1)[0];
        observers.add((0, id), question("/a"), &response("1"));
        assert!(observers.poll_round(now).is_some());
        let error = Response::new(Code::SERVICE_UNAVAILABLE);
        assert_eq!(told(&mut observers, vec![(0, error)]), []);
        observers.remove(&(0, id));
        assert_eq!(told(&mut observers, vec![(0, response("2"))]), []);
        observers.handle_change();
        assert_eq!(observers.poll_timeout(), None);
    }
}
