//! Walking through a feed: whether each chain in it is whole.

use std::collections::BTreeMap;

use suibi_journal::{ChainId, Entry, Hash};

/// The chains of a feed, as far as it was read. Of changes that come in the order of their chains it keeps the last one
/// only; the rest of a feed may be as long as it likes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Walk {
    chains: BTreeMap<ChainId, Chain>,
    pub(crate) changes: u64,
    pub(crate) purged: u64,
}

#[derive(Debug, Clone, Default)]
struct Chain {
    /// The last change up to which nothing is missing.
    seq: u64,
    hash: Option<Hash>,
    /// What came before its turn, with what it names as the one before.
    ahead: BTreeMap<u64, (Hash, Option<Hash>)>,
    /// A place whose hash is wanted.
    mark: Option<(u64, Option<Hash>)>,
    faults: Vec<Fault>,
}

/// What is wrong in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Changes are missing, from the first to the last.
    Missing(u64, u64),
    /// A change names another one before it than the one that is there.
    Broken(u64),
    /// A place comes twice.
    Twice(u64),
}

impl Walk {
    /// Remembers, when it comes by, the hash of the change at a place of a chain.
    pub(crate) fn mark(&mut self, chain: ChainId, seq: u64) {
        self.chains.entry(chain).or_default().mark = Some((seq, None));
    }

    /// The hash at the place that was marked, if it came by.
    pub(crate) fn marked(&self, chain: ChainId) -> Option<Hash> {
        self.chains.get(&chain)?.mark?.1
    }

    /// The next change.
    pub(crate) fn take(&mut self, entry: &Entry) {
        let (change, hash) = (entry.change(), entry.hash());
        self.changes += 1;
        self.purged += u64::from(entry.content().is_none());
        let chain = self.chains.entry(change.chain).or_default();
        if let Some((seq, marked)) = &mut chain.mark
            && *seq == change.seq
        {
            *marked = Some(hash);
        }
        if change.seq <= chain.seq || chain.ahead.contains_key(&change.seq) {
            chain.faults.push(Fault::Twice(change.seq));
            return;
        }
        chain.ahead.insert(change.seq, (hash, change.previous));
        chain.go_on();
    }

    /// The end of each chain up to which it was read: place and hash.
    pub(crate) fn ends(&self) -> BTreeMap<ChainId, (u64, Hash)> {
        let end = |chain: &Chain| match chain.ahead.last_key_value() {
            Some((seq, (hash, _))) => Some((*seq, *hash)),
            None => chain.hash.map(|hash| (chain.seq, hash)),
        };
        self.chains.iter().filter_map(|(id, chain)| Some((*id, end(chain)?))).collect()
    }

    /// What is wrong, chain by chain.
    pub(crate) fn faults(&self) -> Vec<(ChainId, Fault)> {
        let mut all = Vec::new();
        for (id, chain) in &self.chains {
            let mut last = chain.seq;
            let gaps = chain.ahead.keys().filter_map(|&seq| {
                let gap = (seq > last + 1).then(|| Fault::Missing(last + 1, seq - 1));
                last = seq;
                gap
            });
            all.extend(chain.faults.iter().copied().chain(gaps).map(|fault| (*id, fault)));
        }
        all
    }
}

impl Chain {
    fn go_on(&mut self) {
        while let Some((hash, previous)) = self.ahead.remove(&(self.seq + 1)) {
            self.seq += 1;
            if previous != self.hash {
                self.faults.push(Fault::Broken(self.seq));
            }
            self.hash = Some(hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use suibi_journal::{Body, Change, Content, Extras, NoteId};

    use super::*;

    fn chain(len: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for seq in 1..=len {
            let change = Change {
                chain: ChainId::from_bytes([7; 16]),
                seq,
                previous: entries.last().map(Entry::hash),
                note: NoteId::new(seq as i64, [1; 10]),
                parents: Vec::new(),
                time: "2026-11-23T09:05:00.000+08:00".parse().unwrap(),
                content: Hash::ZERO,
            };
            let body = Body::Text(seq.to_string());
            entries
                .push(Entry::new(change, Content { salt: [0; 16], body, extras: Extras::new() }));
        }
        entries
    }

    fn faults<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<Fault> {
        let mut walk = Walk::default();
        entries.into_iter().for_each(|entry| walk.take(entry));
        walk.faults().into_iter().map(|(_, fault)| fault).collect()
    }

    #[test]
    fn a_whole_chain_has_no_fault_in_whatever_order_it_came() {
        let chain = chain(9);
        assert_eq!(faults(&chain), []);
        assert_eq!(faults(chain.iter().rev()), []);
        let mut walk = Walk::default();
        walk.mark(chain[0].change().chain, 4);
        chain.iter().rev().for_each(|entry| walk.take(entry));
        assert_eq!(walk.marked(chain[0].change().chain), Some(chain[3].hash()));
        assert_eq!(walk.ends()[&chain[0].change().chain], (9, chain[8].hash()));
        assert_eq!((walk.changes, walk.purged), (9, 0));
    }

    #[test]
    fn what_is_missing_altered_or_doubled_is_named() {
        let chain = chain(9);
        let without = |gone: &[u64]| -> Vec<Entry> {
            chain.iter().filter(|entry| !gone.contains(&entry.change().seq)).cloned().collect()
        };
        assert_eq!(faults(&without(&[1])), [Fault::Missing(1, 1)]);
        assert_eq!(faults(&without(&[3, 4, 7])), [Fault::Missing(3, 4), Fault::Missing(7, 7)]);
        let mut altered = chain.clone();
        let mut change = chain[4].change().clone();
        change.parents.push(Hash::of(b"altered"));
        altered[4] = Entry::new(change, chain[4].content().unwrap().clone());
        assert_eq!(faults(&altered), [Fault::Broken(6)]);
        let doubled = chain.iter().chain(&chain[2..3]);
        assert_eq!(faults(doubled), [Fault::Twice(3)]);
    }
}
