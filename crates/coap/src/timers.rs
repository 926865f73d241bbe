//! What is to happen when.

use std::{collections::BTreeMap, time::Instant};

use crate::{MessageId, RequestId, peers::PeerKey};

/// What a timer of an [`Endpoint`](crate::Endpoint) is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A confirmable message has not been acknowledged.
    Retransmit(PeerKey, MessageId),
    /// A request of the peer has waited long enough for its response: acknowledge it at least.
    Acknowledge(PeerKey, MessageId),
    /// The peer acknowledged our request, but its response does not come.
    AwaitResponse(RequestId),
    /// A message id of ours has rested, so that what queues for this peer may go on.
    Resume(PeerKey),
    /// Old answers and pieces of bodies may be forgotten.
    Forget,
}

/// Finds a timer again, to stop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    at: Instant,
    serial: u64,
}

impl TimerKey {
    /// When it is due.
    pub(crate) const fn at(self) -> Instant {
        self.at
    }
}

/// All timers, the next one first; setting and stopping cost O(log n).
#[derive(Debug)]
pub(crate) struct Timers<T = Timer> {
    pending: BTreeMap<TimerKey, T>,
    serial: u64,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { pending: BTreeMap::new(), serial: 0 }
    }
}

impl<T> Timers<T> {
    pub(crate) fn set(&mut self, at: Instant, timer: T) -> TimerKey {
        self.serial += 1;
        let key = TimerKey { at, serial: self.serial };
        self.pending.insert(key, timer);
        key
    }

    pub(crate) fn stop(&mut self, key: TimerKey) {
        self.pending.remove(&key);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(key, _)| key.at)
    }

    /// Takes the first timer that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let entry = self.pending.first_entry()?;
        (entry.key().at <= now).then(|| entry.remove())
    }
}
