//! What is known of each peer.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    MessageId, Peer, RttEstimate, Timing,
    allowance::Allowance,
    list::{Link, List},
    retransmit::Queued,
    timers::TimerKey,
};

/// Finds a peer's state without hashing its address; goes stale when the peer is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PeerKey {
    pub(crate) index: u32,
    generation: u32,
}

impl PeerKey {
    /// The other end of a stream, which has no others beside it.
    pub(crate) const ONLY: Self = Self { index: 0, generation: 0 };
}

/// What is known of one peer.
#[derive(Debug)]
pub(crate) struct PeerState {
    pub(crate) peer: Peer,
    pub(crate) ids: MessageIds,
    pub(crate) rtt: Option<RttEstimate>,
    /// What stands in for `rtt` until something is measured.
    pub(crate) assumed: Option<RttEstimate>,
    /// The timeout to begin with after a round trip that could not be measured, as the answer may
    /// have been to any of the transmissions (Karn's rule, RFC 6298 §5.5-5.7).
    pub(crate) backed_off: Option<Duration>,
    /// Confirmable messages of ours that wait for an acknowledgement.
    pub(crate) in_flight: usize,
    /// Confirmable messages of ours that wait for their turn.
    pub(crate) queue: VecDeque<Queued>,
    /// Set while the queue waits for a message id.
    pub(crate) resume: Option<TimerKey>,
    /// Our requests to it and its observations: while there are any it is not forgotten.
    pub(crate) holds: usize,
    /// Its observations.
    pub(crate) observations: usize,
    /// The network said that nobody is there.
    pub(crate) unreachable: bool,
    /// How much it may be sent.
    pub(crate) allowance: Allowance,
}

impl PeerState {
    fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.queue.is_empty() && self.holds == 0
    }

    /// How long to wait for an answer before the random stretch.
    pub(crate) fn timeout(&self, timing: &Timing) -> Duration {
        let measured = self.rtt.or(self.assumed).map(|rtt| rtt.timeout(timing.min_timeout));
        self.backed_off.or(measured).unwrap_or(timing.ack_timeout)
    }

    /// Takes note of a round trip that needed `retransmits`, the last of which waited `timeout`.
    pub(crate) fn learn(
        &mut self,
        timing: &Timing,
        sample: Duration,
        retransmits: u32,
        timeout: Duration,
    ) {
        if !timing.measured {
            return;
        }
        if retransmits > 0 {
            self.backed_off = Some(timeout.min(timing.ack_timeout));
            return;
        }
        self.backed_off = None;
        self.rtt = Some(self.rtt.map_or(RttEstimate::first(sample), |rtt| rtt.updated(sample)));
    }
}

/// Hands out message ids, none twice before it has rested (RFC 7252 §4.4).
#[derive(Debug)]
pub(crate) struct MessageIds {
    next: u16,
    /// Ids left in the present block.
    left: u16,
    /// When the other blocks were used up, the one that is next in turn first.
    used_up: VecDeque<Instant>,
}

impl MessageIds {
    const BLOCK: u16 = 4096;
    const OTHERS: usize = 15;

    pub(crate) fn new(first: u16) -> Self {
        Self { next: first, left: Self::BLOCK, used_up: VecDeque::new() }
    }

    /// The next id, or when there will be one.
    pub(crate) fn take(&mut self, now: Instant, rest: Duration) -> Result<MessageId, Instant> {
        if self.left == 0 {
            if self.used_up.len() == Self::OTHERS {
                let rested = self.used_up[0] + rest;
                if rested > now {
                    return Err(rested);
                }
                self.used_up.pop_front();
            }
            self.used_up.push_back(now);
            self.left = Self::BLOCK;
        }
        self.left -= 1;
        let id = MessageId(self.next);
        self.next = self.next.wrapping_add(1);
        Ok(id)
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    state: Option<PeerState>,
}

/// All peers, bounded; the one not heard of for longest is forgotten first.
#[derive(Debug)]
pub(crate) struct Peers {
    max: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    index: HashMap<Peer, u32>,
    by_use: List,
    links: Vec<Link>,
}

impl Peers {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max: max.clamp(1, 1 << 30),
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            by_use: List::EMPTY,
            links: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The peer, if anything is known of it. One that we spoke to without saying from which of
    /// our addresses may answer to any of them.
    pub(crate) fn find(&self, peer: Peer) -> Option<PeerKey> {
        let index = self.index.get(&peer).or_else(|| {
            peer.local?;
            self.index.get(&Peer::from(peer.address))
        })?;
        Some(PeerKey { index: *index, generation: self.slots[*index as usize].generation })
    }

    pub(crate) fn get(&self, key: PeerKey) -> Option<&PeerState> {
        let slot = self.slots.get(key.index as usize)?;
        slot.state.as_ref().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn get_mut(&mut self, key: PeerKey) -> Option<&mut PeerState> {
        let slot = self.slots.get_mut(key.index as usize)?;
        slot.state.as_mut().filter(|_| slot.generation == key.generation)
    }

    /// Puts the peer behind all others in the order of forgetting.
    pub(crate) fn touch(&mut self, key: PeerKey) {
        if self.get(key).is_some() {
            self.by_use.remove(&mut self.links, key.index);
            self.by_use.push(&mut self.links, key.index);
        }
    }

    /// Forgets an idle peer if there is no room for one more, and names it.
    ///
    /// # Errors
    /// When the peers that could go are busy.
    pub(crate) fn make_room(&mut self) -> Result<Option<PeerKey>, Full> {
        // Busy ones are passed over, a few at a time so that the cost stays bounded; they go to
        // the end, so the next attempt looks at others.
        const TRIES: usize = 8;
        if self.len() < self.max {
            return Ok(None);
        }
        for _ in 0..TRIES {
            let Some(index) = self.by_use.first() else { break };
            let key = PeerKey { index, generation: self.slots[index as usize].generation };
            if self.remove(key) {
                return Ok(Some(key));
            }
            self.touch(key);
        }
        Err(Full)
    }

    /// Forgets a peer if it is idle, and says whether it was.
    pub(crate) fn remove(&mut self, key: PeerKey) -> bool {
        if !self.get(key).is_some_and(PeerState::is_idle) {
            return false;
        }
        let slot = &mut self.slots[key.index as usize];
        if let Some(state) = slot.state.take() {
            self.index.remove(&state.peer);
        }
        slot.generation = slot.generation.wrapping_add(1);
        self.by_use.remove(&mut self.links, key.index);
        self.free.push(key.index);
        true
    }

    /// Adds a peer that [`Peers::find`] does not find and [`Peers::make_room`] made room for.
    pub(crate) fn add(&mut self, peer: Peer, first_id: u16, allowance: Allowance) -> PeerKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.links.push(Link::LOOSE);
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.state = Some(PeerState {
            peer,
            ids: MessageIds::new(first_id),
            rtt: None,
            assumed: None,
            backed_off: None,
            in_flight: 0,
            queue: VecDeque::new(),
            resume: None,
            holds: 0,
            observations: 0,
            unreachable: false,
            allowance,
        });
        self.index.insert(peer, index);
        self.by_use.push(&mut self.links, index);
        PeerKey { index, generation: slot.generation }
    }
}

/// There is no room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use super::*;

    fn peer(port: u16) -> Peer {
        Peer::from(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn the_peer_silent_longest_makes_room() {
        let mut peers = Peers::new(2);
        let [first, second] = [1, 2].map(|port| peers.add(peer(port), 0, Allowance::Proven));
        peers.touch(first);
        assert_eq!(peers.make_room(), Ok(Some(second)));
        let third = peers.add(peer(3), 0, Allowance::Proven);
        assert_eq!(third.index, second.index);
        assert!(peers.get(second).is_none(), "a stale key finds nobody");
        assert!(peers.get(third).is_some());
    }

    #[test]
    fn a_busy_peer_is_kept() {
        let mut peers = Peers::new(1);
        let key = peers.add(peer(1), 0, Allowance::Proven);
        peers.get_mut(key).unwrap().holds = 1;
        assert_eq!(peers.make_room(), Err(Full));
        assert!(peers.get(key).is_some());
    }

    #[test]
    fn a_peer_spoken_to_from_anywhere_may_answer_to_any_address() {
        let mut peers = Peers::new(2);
        let key = peers.add(peer(1), 0, Allowance::Proven);
        let heard = Peer { local: Some(IpAddr::from([10, 0, 0, 1])), ..peer(1) };
        assert_eq!(peers.find(heard), Some(key));
        assert_eq!(peers.find(peer(2)), None);
    }

    #[test]
    fn no_message_id_comes_twice_before_it_has_rested() {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let start = Instant::now();
        let rest = Duration::from_secs(247);
        let mut ids = MessageIds::new(65_000);
        let first = ids.take(start, rest).unwrap();
        let mut seen = std::collections::HashSet::from([first]);
        let later = start + Duration::from_secs(10);
        while let Ok(id) = ids.take(later, rest) {
            assert!(seen.insert(id));
        }
        assert_eq!(seen.len(), 65_536);
        assert_eq!(ids.take(later, rest), Err(later + rest));
        assert_eq!(ids.take(later + rest, rest), Ok(first));
    }
}
