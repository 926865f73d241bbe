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
