//! A few large things, bounded in number, bytes and time.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use crate::{Config, peers::PeerKey};

/// How long a transfer may pause. The RFC leaves it open (RFC 7959 §2.4, §2.5); a minute is more
/// than the retransmissions of one block take with a loss now and then.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);

/// A peer, and the hash of what it transfers.
pub(crate) type Key = (PeerKey, u64);

/// The moment of the last use, and a number that makes it unique.
type Stamp = (Instant, u64);

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    stamp: Stamp,
}

/// A map that forgets what was not used for longest: beyond its bounds, and after [`LIFETIME`].
#[derive(Debug)]
pub(crate) struct Bounded<V> {
    max: usize,
    max_per_peer: usize,
    max_bytes: usize,
    entries: HashMap<Key, Entry<V>>,
    by_use: BTreeMap<Stamp, Key>,
    by_peer: BTreeMap<(PeerKey, u64), Key>,
    bytes: usize,
    serial: u64,
}

impl<V> Bounded<V> {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            max: config.max_transfers.max(1),
            max_per_peer: config.max_transfers_per_peer.max(1),
            max_bytes: config.max_transfer_bytes,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            bytes: 0,
            serial: 0,
        }
    }

    /// Uses the value.
    pub(crate) fn get(&mut self, now: Instant, key: Key) -> Option<&V> {
        let bytes = self.entries.get(&key)?.bytes;
        let value = self.remove(key)?;
        self.insert(now, key, value, bytes);
        self.entries.get(&key).map(|entry| &entry.value)
    }

    /// Takes the value out.
    pub(crate) fn remove(&mut self, key: Key) -> Option<V> {
        let entry = self.entries.remove(&key)?;
        self.by_use.remove(&entry.stamp);
        self.by_peer.remove(&(key.0, entry.stamp.1));
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    /// Puts a value of so many bytes in; the peer's own oldest, then those of others, make room.
    pub(crate) fn insert(&mut self, now: Instant, key: Key, value: V, bytes: usize) {
        self.remove(key);
        while self.of_peer(key.0).count() >= self.max_per_peer {
            let Some(oldest) = self.of_peer(key.0).next() else { break };
            self.remove(oldest);
        }
        while self.entries.len() >= self.max || self.bytes.saturating_add(bytes) > self.max_bytes {
            let Some((_, &oldest)) = self.by_use.first_key_value() else { break };
            self.remove(oldest);
        }
        self.serial += 1;
        let stamp = (now, self.serial);
        self.by_use.insert(stamp, key);
        self.by_peer.insert((key.0, self.serial), key);
        self.bytes += bytes;
        self.entries.insert(key, Entry { value, bytes, stamp });
    }

    /// Forgets what was not used for [`LIFETIME`].
    pub(crate) fn forget_due(&mut self, now: Instant) {
        while self.next_due().is_some_and(|at| at <= now) {
            let Some((_, &oldest)) = self.by_use.first_key_value() else { break };
            self.remove(oldest);
        }
    }

    /// Forgets everything of a peer that is itself forgotten.
    pub(crate) fn forget_peer(&mut self, peer: PeerKey) {
        loop {
            let Some(key) = self.of_peer(peer).next() else { break };
            self.remove(key);
        }
    }

    /// When the next value will have been unused for [`LIFETIME`].
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.by_use.first_key_value().map(|((at, _), _)| *at + LIFETIME)
    }

    /// How many values, and how many bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn of_peer(&self, peer: PeerKey) -> impl Iterator<Item = Key> {
        self.by_peer.range((peer, 0)..=(peer, u64::MAX)).map(|(_, key)| *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Peer, allowance::Allowance, peers::Peers};

    fn keys() -> [PeerKey; 2] {
        let mut peers = Peers::new(2);
        [1, 2].map(|port| {
            let peer = Peer::from(std::net::SocketAddr::from(([127, 0, 0, 1], port)));
            peers.add(peer, 0, Allowance::Proven)
        })
    }

    #[test]
    fn a_peer_makes_room_for_itself_first() {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let now = Instant::now();
        let [one, other] = keys();
        let mut map = Bounded::new(&Config { max_transfers_per_peer: 2, ..Config::own() });
        map.insert(now, (other, 0), "other", 1);
        for hash in 1..=3 {
            map.insert(now, (one, hash), "one", 1);
        }
        assert_eq!(map.size(), (3, 3));
        assert!(map.get(now, (one, 1)).is_none() && map.get(now, (other, 0)).is_some());
    }

    #[test]
    fn bytes_are_bounded_and_the_least_used_goes() {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let now = Instant::now();
        let [one, other] = keys();
        let mut map = Bounded::new(&Config { max_transfer_bytes: 100, ..Config::own() });
        map.insert(now, (one, 1), (), 40);
        map.insert(now, (other, 2), (), 40);
        assert!(map.get(now, (one, 1)).is_some());
        map.insert(now, (one, 3), (), 40);
        assert_eq!(map.size(), (2, 80));
        assert!(map.get(now, (other, 2)).is_none());
    }

    #[test]
    fn what_is_not_used_is_forgotten() {
        #[expect(clippy::disallowed_methods, reason = "some instant to count from")]
        let now = Instant::now();
        let [one, _] = keys();
        let mut map = Bounded::new(&Config::own());
        map.insert(now, (one, 1), (), 40);
        map.forget_due(now + LIFETIME / 2);
        assert!(map.get(now + LIFETIME / 2, (one, 1)).is_some());
        map.forget_due(now + LIFETIME);
        assert_eq!(map.size().0, 1);
        map.forget_due(now + LIFETIME * 3 / 2);
        assert_eq!((map.size(), map.next_due()), ((0, 0), None));
    }
}
