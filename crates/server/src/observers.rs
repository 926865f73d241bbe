//! Who wants to be told of changes (RFC 7641), and what they were told last.
//!
//! Many observers ask the same question of the same journal, so each is answered once a round. A round begins when
//! something has changed and the round before is over; what changes meanwhile is in the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;
use suibi_coap::{ObservationId, OptionNumber, Request, Response, Subject};
use suibi_store::JournalId;

use crate::caller::Caller;
use crate::core::Via;
use crate::resources::Route;

/// At least so long from round to round, so that a busy writer does not keep everybody busy.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(50);

/// And so long for each who was told, where they are many: to tell one takes about a twentieth of it.
const FOR_EACH_TOLD: Duration = Duration::from_micros(200);

/// Observations of one credential, from however many addresses, so that it leaves room for others.
const MAX_OF_ONE: usize = 256;

/// An observation, by the way in which it came.
pub(crate) type Observer = (Via, ObservationId);

#[derive(Debug)]
pub(crate) struct Observers {
    questions: BTreeMap<usize, Question>,
    by_bytes: BTreeMap<(JournalId, Vec<u8>), usize>,
    asks: BTreeMap<Observer, Asks>,
    /// How many observations there are by the right of each.
    shares: BTreeMap<Subject, usize>,
    next_number: usize,
    /// Where something may be different from what was told.
    stale: BTreeSet<JournalId>,
    /// What the round is about that is on its way.
    asking: Option<BTreeSet<JournalId>>,
    /// When the last round began.
    begun: Instant,
    next_round: Instant,
}

/// What somebody observes.
#[derive(Debug)]
struct Asks {
    question: usize,
    /// Whose right it is by.
    subject: Option<Subject>,
}

/// What is asked of a journal in each round.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) request: Request,
    pub(crate) route: Route,
    pub(crate) journal: JournalId,
}

#[derive(Debug)]
struct Question {
    observed: Observed,
    key: (JournalId, Vec<u8>),
    observers: BTreeSet<Observer>,
    told: Bytes,
}

impl Observers {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            questions: BTreeMap::new(),
            by_bytes: BTreeMap::new(),
            asks: BTreeMap::new(),
            shares: BTreeMap::new(),
            next_number: 0,
            stale: BTreeSet::new(),
            asking: None,
            begun: now,
            next_round: now,
        }
    }

    /// Whether this one may observe one thing more.
    pub(crate) fn has_room(&self, subject: Option<Subject>) -> bool {
        subject.and_then(|who| self.shares.get(&who)).is_none_or(|share| *share < MAX_OF_ONE)
    }

    /// Somebody has registered, and was answered with `told`.
    pub(crate) fn add(
        &mut self,
        observer: Observer,
        caller: &Caller,
        route: Route,
        mut request: Request,
        told: &Response,
    ) {
        self.remove(&observer);
        let journal = caller.journal;
        // The question is the same whatever its asker has seen, and asking it again is no registration.
        request.options.remove(OptionNumber::OBSERVE);
        request.options.remove(OptionNumber::ETAG);
        let key = (journal, bytes(&request));
        let next_number = self.next_number;
        let number = *self.by_bytes.entry(key.clone()).or_insert(next_number);
        if number == next_number {
            self.next_number += 1;
        }
        let told = told.payload.clone();
        let question = self.questions.entry(number).or_insert_with(|| Question {
            observed: Observed { request, route, journal },
            key,
            observers: BTreeSet::new(),
            told: told.clone(),
        });
        if question.told != told {
            // Some know this, some that: everybody is told once more.
            question.told = Bytes::new();
        }
        question.observers.insert(observer);
        self.asks.insert(observer, Asks { question: number, subject: caller.subject() });
        if let Some(subject) = caller.subject() {
            *self.shares.entry(subject).or_default() += 1;
        }
        // Something may have changed between the answer and now.
        self.stale.insert(journal);
    }

    /// Somebody does not want to know any more.
    pub(crate) fn remove(&mut self, observer: &Observer) {
        let Some(Asks { question: number, subject }) = self.asks.remove(observer) else { return };
        if let Some(subject) = subject
            && let Some(share) = self.shares.get_mut(&subject)
        {
            *share -= 1;
            if *share == 0 {
                self.shares.remove(&subject);
            }
        }
        let Some(question) = self.questions.get_mut(&number) else { return };
        question.observers.remove(observer);
        if question.observers.is_empty()
            && let Some(question) = self.questions.remove(&number)
        {
            self.by_bytes.remove(&question.key);
        }
    }

    /// Everybody, whatever they observe.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Observer> {
        self.asks.keys()
    }

    /// What this one observes; it is not told of any of it again.
    pub(crate) fn remove_all_of(&mut self, subject: Subject) -> Vec<Observer> {
        let is_theirs = |(_, asks): &(&Observer, &Asks)| asks.subject == Some(subject);
        let theirs: Vec<Observer> =
            self.asks.iter().filter(is_theirs).map(|(observer, _)| *observer).collect();
        for observer in &theirs {
            self.remove(observer);
        }
        theirs
    }

    /// There was a commit that changed this journal.
    pub(crate) fn handle_change(&mut self, journal: JournalId) {
        self.stale.insert(journal);
    }

    /// The questions of the next round, if it is time for one.
    pub(crate) fn poll_round(&mut self, now: Instant) -> Option<Vec<(usize, Observed)>> {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return None;
        }
        let stale = std::mem::take(&mut self.stale);
        let questions = self.questions.iter();
        let round: Vec<_> = questions
            .filter(|(_, question)| stale.contains(&question.observed.journal))
            .map(|(number, question)| (*number, question.observed.clone()))
            .collect();
        if round.is_empty() {
            return None;
        }
        self.asking = Some(stale);
        (self.begun, self.next_round) = (now, now + BETWEEN_ROUNDS);
        Some(round)
    }

    /// When the next round may begin, if there is need of one.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let is_due = !self.stale.is_empty() && self.asking.is_none() && !self.questions.is_empty();
        is_due.then_some(self.next_round)
    }

    /// A round could not be asked; it is due again.
    pub(crate) fn handle_refused_round(&mut self) {
        self.stale.extend(self.asking.take().unwrap_or_default());
    }

    /// The answers of a round; gives what is new, and who is to be told.
    pub(crate) fn handle_round(
        &mut self,
        answers: Vec<(usize, Response)>,
    ) -> Vec<(Observer, Response)> {
        self.asking = None;
        let mut news = Vec::new();
        for (number, response) in answers {
            let Some(question) = self.questions.get_mut(&number) else { continue };
            // An error would end the observation (RFC 7641 §4.2), and is over by the next change.
            if !response.code.is_success() || question.told == response.payload {
                continue;
            }
            question.told = response.payload.clone();
            news.extend(question.observers.iter().map(|observer| (*observer, response.clone())));
        }
        let told = u32::try_from(news.len()).expect("an endpoint has fewer observers");
        self.next_round = self.next_round.max(self.begun + FOR_EACH_TOLD * told);
        news
    }
}

/// The same for the same question.
fn bytes(request: &Request) -> Vec<u8> {
    let mut bytes = vec![request.method.byte()];
    for (number, value) in request.options.iter() {
        bytes.extend(number.0.to_be_bytes());
        bytes.extend((value.len() as u32).to_be_bytes());
        bytes.extend(value);
    }
    bytes.extend(&request.payload);
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use suibi_coap::{Code, Config, Endpoint, Event};

    use super::*;
    use crate::caller::Who;

    const HERE: JournalId = JournalId::FIRST;

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

    fn add(
        observers: &mut Observers,
        journal: JournalId,
        observer: Observer,
        request: Request,
        told: &Response,
    ) {
        let caller = Caller { journal, ..caller() };
        observers.add(observer, &caller, Route::find(&request).unwrap(), request, told);
    }

    fn caller() -> Caller {
        Caller::anyone(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    fn told(observers: &mut Observers, answers: Vec<(usize, Response)>) -> Vec<Observer> {
        observers.handle_round(answers).into_iter().map(|(observer, _)| observer).collect()
    }

    #[test]
    fn many_observers_of_one_thing_are_one_question_and_told_only_of_news() {
        let mut now = Instant::now();
        let mut observers = Observers::new(now);
        let ids = observations(3);
        add(&mut observers, HERE, (Via::Door(0), ids[0]), question("/notes"), &response("1"));
        add(
            &mut observers,
            HERE,
            (Via::Door(1), ids[1]),
            question("/notes").etag(b"x"),
            &response("1"),
        );
        add(&mut observers, HERE, (Via::Door(0), ids[2]), question("/feed/head"), &response("1"));
        let round = observers.poll_round(now).unwrap();
        assert_eq!(round.len(), 2);
        assert!(round.iter().all(|(_, asked)| asked.request.observing().is_none()));
        // Until the answers are there, no other round begins; and then not at once.
        observers.handle_change(HERE);
        now += BETWEEN_ROUNDS;
        assert!(observers.poll_round(now).is_none());
        let news = told(&mut observers, vec![(0, response("2")), (1, response("1"))]);
        assert_eq!(news, [(Via::Door(0), ids[0]), (Via::Door(1), ids[1])]);
        assert!(observers.poll_round(now).is_some());
        assert_eq!(told(&mut observers, vec![(0, response("2"))]), []);
        assert_eq!(observers.poll_timeout(), None);
    }

    #[test]
    fn who_came_with_older_news_is_told_again() {
        let now = Instant::now();
        let mut observers = Observers::new(now);
        let ids = observations(2);
        add(&mut observers, HERE, (Via::Door(0), ids[0]), question("/notes"), &response("2"));
        add(&mut observers, HERE, (Via::Door(0), ids[1]), question("/notes"), &response("1"));
        assert!(observers.poll_round(now).is_some());
        assert_eq!(told(&mut observers, vec![(0, response("2"))]).len(), 2);
    }

    #[test]
    fn an_error_ends_no_observation_and_who_left_is_told_nothing() {
        let now = Instant::now();
        let mut observers = Observers::new(now);
        let id = observations(1)[0];
        add(&mut observers, HERE, (Via::Door(0), id), question("/notes"), &response("1"));
        assert!(observers.poll_round(now).is_some());
        let error = Response::new(Code::SERVICE_UNAVAILABLE);
        assert_eq!(told(&mut observers, vec![(0, error)]), []);
        observers.remove(&(Via::Door(0), id));
        assert_eq!(told(&mut observers, vec![(0, response("2"))]), []);
        observers.handle_change(HERE);
        assert_eq!(observers.poll_timeout(), None);
    }

    #[test]
    fn two_journals_never_share_a_question_and_only_the_changed_one_is_asked() {
        let mut now = Instant::now();
        let mut observers = Observers::new(now);
        let ids = observations(2);
        let there = JournalId(2);
        add(&mut observers, HERE, (Via::Door(0), ids[0]), question("/notes"), &response("1"));
        add(&mut observers, there, (Via::Door(0), ids[1]), question("/notes"), &response("1"));
        let round = observers.poll_round(now).unwrap();
        let journals: Vec<_> = round.iter().map(|(_, asked)| asked.journal).collect();
        assert_eq!(journals, [HERE, there]);
        assert_eq!(told(&mut observers, vec![(0, response("2"))]), [(Via::Door(0), ids[0])]);
        now += BETWEEN_ROUNDS;
        observers.handle_change(there);
        let round = observers.poll_round(now).unwrap();
        assert_eq!((round.len(), round[0].1.journal), (1, there));
        // What could not be asked is asked again.
        observers.handle_refused_round();
        now += BETWEEN_ROUNDS;
        assert_eq!(observers.poll_round(now).unwrap()[0].1.journal, there);
    }

    #[test]
    fn the_more_are_told_the_longer_it_is_until_the_next_round() {
        let now = Instant::now();
        let mut observers = Observers::new(now);
        for id in observations(1000) {
            add(&mut observers, HERE, (Via::Door(0), id), question("/notes"), &response("1"));
        }
        assert!(observers.poll_round(now).is_some());
        assert_eq!(told(&mut observers, vec![(0, response("2"))]).len(), 1000);
        observers.handle_change(HERE);
        assert_eq!(observers.poll_timeout(), Some(now + 1000 * FOR_EACH_TOLD));
        let now = now + 1000 * FOR_EACH_TOLD;
        assert!(observers.poll_round(now).is_some());
        // Nobody had to be told.
        assert_eq!(told(&mut observers, vec![(0, response("2"))]), []);
        observers.handle_change(HERE);
        assert_eq!(observers.poll_timeout(), Some(now + BETWEEN_ROUNDS));
    }

    #[test]
    fn one_credential_leaves_room_for_the_observers_of_others() {
        let mut observers = Observers::new(Instant::now());
        let ids = observations(MAX_OF_ONE as u16);
        let who = Who::Device { number: 1, name: "phone".into() };
        let phone = Caller { who, ..caller() };
        let subject = phone.subject();
        for id in &ids {
            assert!(observers.has_room(subject));
            let request = question("/notes");
            let route = Route::find(&request).unwrap();
            observers.add((Via::Door(0), *id), &phone, route, request, &response("1"));
        }
        assert!(!observers.has_room(subject));
        assert!(observers.has_room(Some(Subject(7))) && observers.has_room(None));
        observers.remove(&(Via::Door(0), ids[0]));
        assert!(observers.has_room(subject));
        observers.remove_all_of(subject.unwrap());
        assert!(observers.shares.is_empty());
    }

    #[test]
    fn who_is_cut_off_observes_nothing_any_more() {
        let now = Instant::now();
        let mut observers = Observers::new(now);
        let ids = observations(2);
        let who = Who::Device { number: 1, name: "phone".into() };
        let phone = Caller { who, ..caller() };
        let subject = phone.subject().unwrap();
        let route = |request: &Request| Route::find(request).unwrap();
        let request = question("/notes");
        let answer = response("1");
        observers.add((Via::Door(0), ids[0]), &phone, route(&request), request.clone(), &answer);
        observers.add((Via::Door(0), ids[1]), &caller(), route(&request), request, &answer);
        assert_eq!(observers.remove_all_of(subject), [(Via::Door(0), ids[0])]);
        assert!(observers.poll_round(now).is_some());
        assert_eq!(told(&mut observers, vec![(0, response("2"))]), [(Via::Door(0), ids[1])]);
    }
}
