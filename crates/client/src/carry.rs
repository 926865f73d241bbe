//! Taking along what this machine wrote before it joined a server.
//!
//! ```text
//!   server.db ── sync ──> replica-embedded.db ── its changes, as they are ──> joined-….db ── outbox ──> the server
//! ```
//!
//! Changes keep their chains and hashes, so whatever is done twice has the same result: a process may be killed at any
//! point, and the next one does it again from where it was. The embedded replica is only read. A prompt that is still
//! open on it when the machine joins goes on there; what it writes follows with the next sync.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use suibi_journal::{ChainId, Cursor, Entry, Refusal};
use suibi_store::salvage::FeedRead;
use suibi_store::{JournalId, Outcome, SqliteStore, Store as _, StoreError, Write};

use crate::client::{Client, ClientConfig, open_replica};
use crate::error::ClientError;
use crate::host;
use crate::membership::Membership;
use crate::place::{EMBEDDED_REPLICA, Place};

/// How long the embedded server may take to give what it has, as long as it gives something.
const GATHER_WITHIN: Duration = Duration::from_secs(600);

/// So much is taken along in one transaction.
const PAGE_BYTES: usize = 1 << 20;

/// Where the embedded replica's notes went, in its `meta`: the file of that replica. They go nowhere else.
const CARRIED_TO: &str = "carried-to";

/// How far the embedded replica was taken along, in the `meta` of the joined one: a cursor of its own feed.
const CARRIED: &str = "carried";

/// Brings everything that the embedded server has (what came in through its plain listeners, say) into its replica.
/// A machine that was never its own server has nothing to bring.
pub(crate) fn gather(data_dir: &Path, device: &str) -> Result<(), ClientError> {
    if !host::has_data(data_dir) && !data_dir.join(EMBEDDED_REPLICA).exists() {
        return Ok(());
    }
    let place = Place::Embedded { data_dir: data_dir.to_owned() };
    let device = device.to_owned();
    let mut client = Client::open(ClientConfig { data_dir: data_dir.to_owned(), place, device })?;
    client.sync(GATHER_WITHIN, |_| {})?;
    Ok(())
}

/// Whether the embedded replica's notes may go to the replica `file`: those that went elsewhere stay there.
pub(crate) fn may_go_to(
    data_dir: &Path,
    device: &str,
    file: &str,
) -> Result<Option<SqliteStore>, StoreError> {
    let path = data_dir.join(EMBEDDED_REPLICA);
    if !path.exists() {
        return Ok(None);
    }
    let mut old = open_replica(&path, device)?;
    let is_ours = old.meta(CARRIED_TO)?.is_none_or(|to| to == file);
    Ok(is_ours.then_some(old))
}

/// Puts into `new` what `old` has and what was not taken along yet, and into its outbox. Returns how many changes.
pub(crate) fn carry(old: &mut SqliteStore, new: &mut SqliteStore) -> Result<u64, StoreError> {
    let mut reader = old.reader()?;
    let mut after: Cursor =
        new.meta(CARRIED)?.and_then(|text| text.parse().ok()).unwrap_or(Cursor::START);
    let mut carried = 0;
    let mut is_from_start = after == Cursor::START;
    loop {
        let page = match reader.feed(JournalId::FIRST, after, PAGE_BYTES)? {
            Ok(page) => page,
            // It was put back to an earlier state: what we have of it already does no harm.
            Err(_) if after != Cursor::START => {
                after = Cursor::START;
                is_from_start = true;
                continue;
            }
            Err(error) => return Err(StoreError::Corrupt(error.to_string())),
        };
        if page.entries.is_empty() {
            return Ok(carried);
        }
        let page_len = page.entries.len() as u64;
        let devices: BTreeMap<ChainId, String> =
            reader.heads(JournalId::FIRST)?.into_iter().map(|h| (h.chain, h.device)).collect();
        let of_device = |(_, entry): (u64, Entry)| {
            let device = devices.get(&entry.change().chain).cloned().unwrap_or_default();
            (device, entry)
        };
        let all: Vec<_> = page.entries.into_iter().map(of_device).collect();
        let push = |(device, entry): &(String, Entry)| {
            let (device, entries) = (device.clone(), vec![entry.clone()]);
            let write = Write::Push { device, entries, only_new: false, may_purge: true };
            (JournalId::FIRST, write)
        };
        let outcomes = new.commit(all.iter().map(push).collect())?;
        let mut first: BTreeMap<ChainId, u64> = BTreeMap::new();
        let mut refused = Vec::new();
        let mut has_gap = false;
        for (one, outcome) in all.into_iter().zip(outcomes) {
            let (chain, seq) = (one.1.change().chain, one.1.change().seq);
            let Outcome::Pushed(mut answers) = outcome else {
                unreachable!("one outcome for each write, of its kind")
            };
            match answers.pop() {
                Some(Err(refusal @ (Refusal::Gap { .. } | Refusal::Fork { .. }))) => {
                    has_gap |= matches!(refusal, Refusal::Gap { .. });
                    refused.push(one);
                }
                Some(Err(refusal)) => {
                    tracing::warn!(%chain, seq, %refusal, "a change of before the join stays behind");
                }
                Some(Ok(_)) | None => {
                    let first = first.entry(chain).or_insert(seq);
                    *first = seq.min(*first);
                }
            }
        }
        if has_gap && !is_from_start {
            // This replica is another one than the one that was filled: all of it once more.
            after = Cursor::START;
            is_from_start = true;
            continue;
        }
        carried += page_len;
        // Those whose places are taken go on a chain of their own; those behind a gap wait for what the server has.
        if !refused.is_empty() {
            new.take_back(&refused, FeedRead::Never)?;
        }
        // Not only what was new: whoever was killed after the commit left some without a place in the outbox.
        for (chain, seq) in first {
            new.requeue_after(chain, seq - 1)?;
        }
        new.set_meta(CARRIED, &page.next.to_string())?;
        after = page.next;
    }
}

/// Says in the embedded replica that its notes belong to the replica `file` now.
pub(crate) fn seal(old: &mut SqliteStore, file: &str) -> Result<(), StoreError> {
    if old.meta(CARRIED_TO)?.is_none() {
        old.set_meta(CARRIED_TO, file)?;
    }
    Ok(())
}

/// The same again, for a machine that has joined already. Most have nothing there, and this costs next to nothing.
pub(crate) fn carry_on(
    data_dir: &Path,
    membership: &Membership,
    new: &mut SqliteStore,
) -> Result<(), StoreError> {
    let Membership { device, replica, rights, .. } = membership;
    if rights.write
        && let Some(mut old) = may_go_to(data_dir, device, replica)?
    {
        carry(&mut old, new)?;
        seal(&mut old, replica)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use suibi_journal::{Body, Extras, Query};
    use suibi_store::Expect;

    use super::*;

    fn write(store: &mut SqliteStore, text: &str) {
        let write = Write::Note {
            id: None,
            expect: Expect::Any,
            body: Body::Text(text.into()),
            time: None,
            extras: Extras::new(),
            now: "2026-11-23T09:05:00.000+08:00".parse().unwrap(),
        };
        store.commit(vec![(JournalId::FIRST, write)]).unwrap();
    }

    #[test]
    fn what_forks_from_what_was_taken_along_goes_on_a_chain_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| open_replica(&dir.path().join(name), "phone").unwrap();
        let mut old = open("old.db");
        write(&mut old, "one");
        drop(old);
        std::fs::copy(dir.path().join("old.db"), dir.path().join("put-back.db")).unwrap();
        let (mut old, mut new) = (open("old.db"), open("new.db"));
        write(&mut old, "two");
        assert_eq!(carry(&mut old, &mut new).unwrap(), 2);

        // Put back to a backup, it goes on in the same places.
        let mut put_back = open("put-back.db");
        write(&mut put_back, "another two");
        write(&mut put_back, "three");
        for _ in 0..2 {
            carry(&mut put_back, &mut new).unwrap();
            let notes = new.reader().unwrap().notes(JournalId::FIRST, &Query::default()).unwrap();
            let mut texts: Vec<_> = notes.iter().map(|note| note.text.as_str()).collect();
            texts.sort_unstable();
            assert_eq!(texts, ["another two", "one", "three", "two"]);
            assert_eq!(new.waiting().unwrap(), 4);
        }
    }
}
