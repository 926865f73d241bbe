//! Messages seen lately, and their answers (RFC 7252 §4.5).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{
    Config, MessageId, Type,
    list::{Link, List},
    peers::PeerKey,
};

/// Where a message was put; by now there may be another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(u32);

impl Slot {
    /// Of a message that has to be looked for.
    pub(crate) const UNKNOWN: Self = Self(u32::MAX);
}

/// Whether a message has been seen lately.
#[derive(Debug)]
pub(crate) enum Seen<'a> {
    /// It is new, and remembered from now on.
    New(Slot),
    /// This was done about it.
    Before(&'a Reaction),
}

/// What has been done about a message, and will be done again when it comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// Nothing yet.
    Pending,
    /// An empty acknowledgement; the response goes separately.
    Acknowledged,
    /// This datagram.
    Answer(Bytes),
}

impl Reaction {
    fn len(&self) -> usize {
        match self {
            Self::Answer(bytes) => bytes.len(),
            Self::Pending | Self::Acknowledged => 0,
        }
    }
}

#[derive(Debug)]
struct Entry {
    peer: PeerKey,
    id: MessageId,
    confirmable: bool,
    fingerprint: u64,
    forget_at: Instant,
    reaction: Reaction,
}

#[derive(Debug, Clone, Copy)]
struct OfPeer {
    entries: List,
    bytes: usize,
}

/// Messages seen lately by peer and message id, bounded per peer and in total; where a bound is
/// reached the oldest is forgotten.
///
/// A message with a remembered id but other bytes is a new message: a retransmission is the same
/// to the last bit (§4.2), so this peer has begun to use its ids again. The RFC leaves such a peer
/// without a defence; we would rather serve it than give it the answer to something else.
#[derive(Debug)]
pub(crate) struct Recent {
    max: usize,
    max_per_peer: usize,
    max_bytes: usize,
    max_bytes_per_peer: usize,
    lifetime: Duration,
    non_lifetime: Duration,
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    index: HashMap<(PeerKey, MessageId), u32>,
    bytes: usize,
    /// Confirmable and other messages, each with one lifetime and hence in order of forgetting.
    by_age: [List; 2],
    age_links: Vec<Link>,
    /// By the index of the peer.
    by_peer: Vec<OfPeer>,
    peer_links: Vec<Link>,
}

impl Recent {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            max: config.max_remembered.clamp(1, 1 << 30),
            max_per_peer: config.max_remembered_per_peer.max(1),
            max_bytes: config.max_remembered_bytes,
            max_bytes_per_peer: config.max_remembered_bytes_per_peer,
            lifetime: config.timing.exchange_lifetime(),
            non_lifetime: config.timing.non_lifetime(),
            entries: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            bytes: 0,
            by_age: [List::EMPTY; 2],
            age_links: Vec::new(),
            by_peer: Vec::new(),
            peer_links: Vec::new(),
        }
    }

    /// Remembers a message that is new, or tells what was done about it.
    pub(crate) fn see(
        &mut self,
        now: Instant,
        peer: PeerKey,
        id: MessageId,
        kind: Type,
        fingerprint: u64,
    ) -> Seen<'_> {
        self.forget_due(now);
        if let Some(&slot) = self.index.get(&(peer, id)) {
            let is_same = |entry: &Entry| entry.fingerprint == fingerprint;
            if self.entries[slot as usize].as_ref().is_some_and(is_same) {
                let entry =
                    self.entries[slot as usize].as_ref().expect("it was looked at just now");
                return Seen::Before(&entry.reaction);
            }
            self.forget(slot);
        }
        let confirmable = kind == Type::Confirmable;
        let lifetime = if confirmable { self.lifetime } else { self.non_lifetime };
        Seen::New(self.remember(Entry {
            peer,
            id,
            confirmable,
            fingerprint,
            forget_at: now + lifetime,
            reaction: Reaction::Pending,
        }))
    }

    /// What was done about a message, if it is remembered. Where it was put spares looking for it.
    pub(crate) fn reaction(&self, peer: PeerKey, id: MessageId, slot: Slot) -> Option<&Reaction> {
        let slot = self.find(peer, id, slot)?;
        self.entries[slot as usize].as_ref().map(|entry| &entry.reaction)
    }

    fn find(&self, peer: PeerKey, id: MessageId, Slot(slot): Slot) -> Option<u32> {
        let is_this = |entry: &Entry| entry.peer == peer && entry.id == id;
        if self.entries.get(slot as usize).and_then(Option::as_ref).is_some_and(is_this) {
            return Some(slot);
        }
        self.index.get(&(peer, id)).copied()
    }

    /// Remembers what was done about a message, unless the message is forgotten already.
    pub(crate) fn react(&mut self, peer: PeerKey, id: MessageId, slot: Slot, reaction: Reaction) {
        let Some(slot) = self.find(peer, id, slot) else { return };
        let Some(entry) = &mut self.entries[slot as usize] else { return };
        let of_peer = &mut self.by_peer[peer.index as usize];
        let (old, new) = (entry.reaction.len(), reaction.len());
        entry.reaction = reaction;
        self.bytes = self.bytes - old + new;
        of_peer.bytes = of_peer.bytes - old + new;
        while self.by_peer[peer.index as usize].bytes > self.max_bytes_per_peer {
            let Some(first) = self.by_peer[peer.index as usize].entries.first() else { break };
            self.forget(first);
        }
        while self.bytes > self.max_bytes {
            let Some(oldest) = self.oldest() else { break };
            self.forget(oldest);
        }
    }

    /// Forgets one message, as if it had not come.
    pub(crate) fn forget_message(&mut self, peer: PeerKey, id: MessageId) {
        if let Some(&slot) = self.index.get(&(peer, id)) {
            self.forget(slot);
        }
    }

    /// Forgets what has outlived its time.
    pub(crate) fn forget_due(&mut self, now: Instant) {
        for list in 0..self.by_age.len() {
            while let Some(slot) = self.by_age[list].first() {
                if self.forget_at(slot).is_none_or(|at| at > now) {
                    break;
                }
                self.forget(slot);
            }
        }
    }

    /// Forgets everything of a peer that is itself forgotten.
    pub(crate) fn forget_peer(&mut self, peer: PeerKey) {
        while let Some(first) =
            self.by_peer.get(peer.index as usize).and_then(|p| p.entries.first())
        {
            self.forget(first);
        }
    }

    /// When the next message will have outlived its time.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.oldest().and_then(|slot| self.forget_at(slot))
    }

    /// How many messages, and how many bytes of answers, are remembered.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.index.len(), self.bytes)
    }

    fn forget_at(&self, slot: u32) -> Option<Instant> {
        self.entries[slot as usize].as_ref().map(|entry| entry.forget_at)
    }

    fn oldest(&self) -> Option<u32> {
        self.by_age.iter().filter_map(|list| list.first()).min_by_key(|slot| self.forget_at(*slot))
    }

    fn remember(&mut self, entry: Entry) -> Slot {
        let peer = entry.peer.index as usize;
        if self.by_peer.len() <= peer {
            self.by_peer.resize(peer + 1, OfPeer { entries: List::EMPTY, bytes: 0 });
        }
        if self.by_peer[peer].entries.len() >= self.max_per_peer
            && let Some(first) = self.by_peer[peer].entries.first()
        {
            self.forget(first);
        }
        if self.index.len() >= self.max
            && let Some(oldest) = self.oldest()
        {
            self.forget(oldest);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.entries.push(None);
            self.age_links.push(Link::LOOSE);
            self.peer_links.push(Link::LOOSE);
            (self.entries.len() - 1) as u32
        });
        self.by_age[usize::from(entry.confirmable)].push(&mut self.age_links, slot);
        self.by_peer[peer].entries.push(&mut self.peer_links, slot);
        self.index.insert((entry.peer, entry.id), slot);
        self.entries[slot as usize] = Some(entry);
        Slot(slot)
    }

    fn forget(&mut self, slot: u32) {
        let Some(entry) = self.entries[slot as usize].take() else { return };
        let of_peer = &mut self.by_peer[entry.peer.index as usize];
        of_peer.entries.remove(&mut self.peer_links, slot);
        of_peer.bytes -= entry.reaction.len();
        self.bytes -= entry.reaction.len();
        self.by_age[usize::from(entry.confirmable)].remove(&mut self.age_links, slot);
        self.index.remove(&(entry.peer, entry.id));
        self.free.push(slot);
    }
}
