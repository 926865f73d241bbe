//! A table of those who were here lately, bounded in number and in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Remembers up to `capacity` entries. When full, an entry that was idle for `idle` makes room for a new
/// one; busy ones are never pushed out by newcomers. After `lifetime` without use an entry is forgotten.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    capacity: usize,
    idle: Duration,
    lifetime: Duration,
    entries: BTreeMap<K, Entry<V>>,
    /// Key by time of last use; the number tells apart those of one instant.
    by_use: BTreeMap<(Instant, u64), K>,
    uses: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    used: (Instant, u64),
}

impl<K: Ord + Copy, V> Recent<K, V> {
    pub(crate) fn new(capacity: usize, idle: Duration, lifetime: Duration) -> Self {
        Self {
            capacity,
            idle,
            lifetime,
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    /// What is remembered under this key; looking is no use.
    pub(crate) fn get(&self, now: Instant, key: &K) -> Option<&V> {
        let entry = self.entries.get(key)?;
        (now.saturating_duration_since(entry.used.0) < self.lifetime).then_some(&entry.value)
    }

    /// Remembers `value`, and says `false` when there is no room for a new key.
    pub(crate) fn insert(&mut self, now: Instant, key: K, value: V) -> bool {
        if !self.entries.contains_key(&key) && self.entries.len() >= self.capacity {
            let Some((&oldest, _)) = self.by_use.first_key_value() else { return false };
            if now.saturating_duration_since(oldest.0) < self.idle {
                return false;
            }
            if let Some(key) = self.by_use.remove(&oldest) {
                self.entries.remove(&key);
            }
        }
        self.uses += 1;
        let used = (now, self.uses);
        if let Some(before) = self.entries.insert(key, Entry { value, used }) {
            self.by_use.remove(&before.used);
        }
        self.by_use.insert(used, key);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_idle_make_room() {
        let mut now = Instant::now();
        let second = Duration::from_secs(1);
        let mut recent = Recent::new(2, 10 * second, 100 * second);
        assert!(recent.insert(now, 'a', 1));
        now += 9 * second;
        assert!(recent.insert(now, 'b', 2));
        assert!(!recent.insert(now, 'c', 3));
        now += second;
        assert!(recent.insert(now, 'c', 3));
        assert_eq!(recent.get(now, &'a'), None);
        assert_eq!(recent.get(now, &'b'), Some(&2));
        assert!(recent.insert(now, 'b', 4));
        assert!(!recent.insert(now + 9 * second, 'a', 5));
        assert_eq!(recent.get(now, &'b'), Some(&4));
        now += 100 * second;
        assert_eq!(recent.get(now, &'b'), None);
        assert_eq!(recent.entries.len(), recent.by_use.len());
    }
}
