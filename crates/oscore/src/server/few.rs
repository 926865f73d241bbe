//! A map of few entries that takes the memory of those it has.
//!
//! There is one for each credential, and most credentials have one context: a node of a tree has room for eleven
//! from the first one on, which for ten thousand devices that were heard of once was a fifth of all they took.

/// Entries in the order of their keys; some hundreds at most, so moving them is nothing.
#[derive(Debug)]
pub(super) struct Few<K, V>(Vec<(K, V)>);

impl<K: Ord, V> Few<K, V> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// Takes an entry in; one with the same key goes.
    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.find(&key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => {
                // A vector would begin with room for four.
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, (key, value));
            }
        }
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.0.iter()
    }

    fn find(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map() {
        let (mut few, mut map) = (Few::new(), BTreeMap::new());
        for step in 0..2_000_u32 {
            let key = step.wrapping_mul(2_654_435_761) >> 24;
            if step % 3 == 2 {
                assert_eq!(few.remove(&key), map.remove(&key));
            } else {
                few.insert(key, step);
                map.insert(key, step);
            }
            assert_eq!((few.len(), few.get(&key)), (map.len(), map.get(&key)));
        }
        assert!(few.iter().map(|(key, value)| (key, value)).eq(map.iter()));
        few.clear();
        assert_eq!(few.iter().count(), 0);
    }

    #[test]
    fn one_entry_has_room_for_one() {
        let mut few = Few::new();
        few.insert([7_u8; 16], 1_u64);
        assert_eq!(few.0.capacity(), 1);
    }
}
