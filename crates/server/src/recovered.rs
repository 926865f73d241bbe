//! What devices gave back: changes that this server had acknowledged, and lacked since it was put back to an older state.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use suibi_store::JournalId;

/// So many devices are told apart; what comes from further ones is counted, and the trail says nothing of them.
const MAX_DEVICES: usize = 1024;

/// How much came back since the start, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Recovered(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    changes: BTreeMap<JournalId, u64>,
    /// Of whom the trail tells.
    devices: BTreeSet<(JournalId, String)>,
    news: Vec<News>,
}

/// A device has given something back for the first time since the start.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) journal: JournalId,
    pub(crate) device: String,
    pub(crate) address: SocketAddr,
    /// How much came at once; more may have followed.
    pub(crate) changes: u64,
}

impl Recovered {
    /// A device pushed again what had a receipt, and so many of these changes were not there.
    pub(crate) fn handle_changes(
        &self,
        journal: JournalId,
        device: &str,
        address: SocketAddr,
        changes: u64,
    ) {
        if changes == 0 {
            return;
        }
        let state = &mut *self.state();
        *state.changes.entry(journal).or_default() += changes;
        let key = (journal, device.to_owned());
        if state.devices.len() < MAX_DEVICES && state.devices.insert(key) {
            state.news.push(News { journal, device: device.to_owned(), address, changes });
        }
    }

    /// How many changes of a journal came back.
    pub(crate) fn changes(&self, journal: JournalId) -> u64 {
        self.state().changes.get(&journal).copied().unwrap_or(0)
    }

    /// What the trail has not been told yet.
    pub(crate) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut self.state().news)
    }

    /// Nothing is left half done where this is held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_is_news_once_and_all_is_counted() {
        let recovered = Recovered::default();
        let (journal, other) = (JournalId::FIRST, JournalId(2));
        let address = SocketAddr::from(([192, 0, 2, 1], 5));
        let add = |journal, device: &str, changes| {
            recovered.handle_changes(journal, device, address, changes);
        };
        add(journal, "phone", 0);
        assert_eq!(recovered.take_news(), []);
        for _ in 0..3 {
            add(journal, "phone", 20);
        }
        add(other, "phone", 1);
        let news: Vec<_> =
            recovered.take_news().into_iter().map(|news| (news.journal, news.changes)).collect();
        assert_eq!(news, [(journal, 20), (other, 1)]);
        assert_eq!([journal, other].map(|journal| recovered.changes(journal)), [60, 1]);
        for number in 0..2 * MAX_DEVICES {
            add(journal, &number.to_string(), 1);
        }
        assert_eq!(recovered.take_news().len(), MAX_DEVICES - 2);
    }
}
