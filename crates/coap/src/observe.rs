//! Registrations and freshness (RFC 7641).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::{
    Binding, Exchange, MessageId, ObservationId, Response, Subject, Token, blockwise::Slicing,
    peers::PeerKey,
};

const NUMBER_MASK: u32 = (1 << 24) - 1;

/// Whether `number` was given after `other`, in 24 bits that wrap around (RFC 7641 §3.4).
fn is_after(number: u32, other: u32) -> bool {
    let distance = number.wrapping_sub(other) & NUMBER_MASK;
    distance != 0 && distance < 1 << 23
}

/// The newest notification that came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) number: u32,
    pub(crate) at: Instant,
}

impl Newest {
    /// After so long any notification counts as newer (RFC 7641 §3.4).
    const AGE: Duration = Duration::from_secs(128);

    /// Whether a notification that comes now is newer than this one.
    pub(crate) fn is_before(&self, number: u32, now: Instant) -> bool {
        is_after(number, self.number) || now > self.at + Self::AGE
    }
}

/// Somebody who wants to know.
#[derive(Debug)]
pub(crate) struct Observation {
    pub(crate) peer: PeerKey,
    pub(crate) token: Token,
    pub(crate) slicing: Slicing,
    /// For its notifications, and whose it is.
    pub(crate) protected: Option<(Binding, Subject)>,
    number: Option<u32>,
    /// A notification is queued or waits for its acknowledgement.
    pub(crate) busy: bool,
    /// The message that waits for its acknowledgement.
    pub(crate) in_flight: Option<MessageId>,
    /// What to tell next: the newest state replaces one that was not sent yet (§4.5.2).
    pub(crate) pending: Option<Response>,
}

impl Observation {
    /// The number for a notification now (§4.4).
    ///
    /// Milliseconds since `epoch`, and one more than the last where these do not suffice: so
    /// numbers rise within a registration and from one registration to the next, too.
    pub(crate) fn next_number(&mut self, epoch: Instant, now: Instant) -> u32 {
        let millis = now.saturating_duration_since(epoch).as_millis() as u32 & NUMBER_MASK;
        let number = match self.number {
            Some(last) if !is_after(millis, last) => (last + 1) & NUMBER_MASK,
            _ => millis,
        };
        self.number = Some(number);
        number
    }
}

/// A registration: the token, of whom, behind which address.
type Registration = (PeerKey, Option<Subject>, Token);

/// The table of observers, found by id, by token, and by what they observe.
#[derive(Debug, Default)]
pub(crate) struct Observations {
    by_id: HashMap<ObservationId, Observation>,
    by_token: HashMap<Registration, ObservationId>,
    /// By the cache key of the request, which has the subject in it.
    by_resource: HashMap<(PeerKey, u64), ObservationId>,
    last: u64,
}

impl Observations {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// All observations, the oldest first.
    pub(crate) fn ids(&self) -> Vec<ObservationId> {
        let mut ids: Vec<_> = self.by_id.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    pub(crate) fn get(&self, id: ObservationId) -> Option<&Observation> {
        self.by_id.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: ObservationId) -> Option<&mut Observation> {
        self.by_id.get_mut(&id)
    }

    /// The observation that a registration with this token and target takes the place of.
    ///
    /// By the target, too: a client that registers anew with another token has forgotten the old
    /// one, and must not fill the table (a client registers once per target, §3.1).
    pub(crate) fn replaced(
        &self,
        exchange: &Exchange,
    ) -> impl Iterator<Item = ObservationId> + use<> {
        let by_token = self.by_token(exchange.peer, exchange.subject(), exchange.token);
        let resource = (exchange.peer, exchange.slicing.cache_key);
        let by_resource = self.by_resource.get(&resource).copied();
        by_token.into_iter().chain(by_resource.filter(move |_| by_resource != by_token))
    }

    pub(crate) fn by_token(
        &self,
        peer: PeerKey,
        subject: Option<Subject>,
        token: Token,
    ) -> Option<ObservationId> {
        self.by_token.get(&(peer, subject, token)).copied()
    }

    pub(crate) fn add(&mut self, exchange: &Exchange) -> ObservationId {
        let &Exchange { peer, token, slicing, protected, .. } = exchange;
        self.last += 1;
        let id = ObservationId(self.last);
        // A notification is cut as the registration asked for, and begins at its first block.
        let block2 = slicing.block2.map(|block| crate::blockwise::Block { number: 0, ..block });
        let slicing = Slicing { block1: None, block2, ..slicing };
        self.by_token.insert((peer, exchange.subject(), token), id);
        self.by_resource.insert((peer, slicing.cache_key), id);
        self.by_id.insert(
            id,
            Observation {
                peer,
                token,
                slicing,
                protected,
                number: None,
                busy: false,
                in_flight: None,
                pending: None,
            },
        );
        id
    }

    pub(crate) fn remove(&mut self, id: ObservationId) -> Option<Observation> {
        let observation = self.by_id.remove(&id)?;
        let subject = observation.protected.map(|(_, subject)| subject);
        self.by_token.remove(&(observation.peer, subject, observation.token));
        self.by_resource.remove(&(observation.peer, observation.slicing.cache_key));
        Some(observation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_wrap_around_at_24_bits() {
        assert!(is_after(1, 0) && is_after(0, NUMBER_MASK) && is_after(5, 0xff_fff0));
        assert!(!is_after(0, 0) && !is_after(0, 1) && !is_after(0xff_fff0, 5));
        assert!(is_after((1 << 23) - 1, 0) && !is_after(1 << 23, 0));
    }

    #[test]
    fn after_128_seconds_any_notification_is_fresh() {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let at = Instant::now();
        let newest = Newest { number: 100, at };
        assert!(!newest.is_before(99, at + Duration::from_secs(128)));
        assert!(newest.is_before(99, at + Duration::from_secs(129)));
        assert!(newest.is_before(101, at));
    }
}
