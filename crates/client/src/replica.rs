//! Carrying out the steps of a [`Sync`] on a replica.

use suibi_journal::{ChainId, Hash, NoteId, Receipt};
use suibi_store::{JournalId, Reader, SqliteStore, Store as _, StoreError};

use crate::error::ClientError;
use crate::link::Asking;
use crate::remote::Patience;
use crate::sync::{Keep, Report, Step, Sync};

/// Does what `sync` wants, one step after the other, until it is done or fails; `asking` is how the server is asked.
///
/// The report says what was kept, in the case of an error as well.
pub(crate) fn run(
    mut sync: Sync,
    store: &mut SqliteStore,
    asking: &mut Asking<'_, impl Fn() -> Patience>,
    mut progress: impl FnMut(&Report),
) -> (Report, Result<(), ClientError>) {
    loop {
        let outcome = match sync.poll_step() {
            Some(Step::Ask { ask, request, bulk }) => {
                asking.ask(ask, request, bulk);
                Ok(())
            }
            Some(step) => take(step, &mut sync, store),
            None if sync.is_done() => break,
            None => {
                asking.next().and_then(|(ask, response)| Ok(sync.handle_reply(ask, &response)?))
            }
        };
        if let Err(error) = outcome {
            return (sync.into_report(), Err(error));
        }
        progress(sync.report());
    }
    (sync.into_report(), Ok(()))
}

/// Takes a step that needs the replica alone: any but [`Step::Ask`]. Public for simulated worlds only.
///
/// # Errors
///
/// When the replica cannot be read or written, or the machine makes no sense of what is in it.
pub fn take(step: Step, sync: &mut Sync, store: &mut SqliteStore) -> Result<(), ClientError> {
    match step {
        Step::ReadOutbox { max_bytes } => sync.handle_outbox(store.outbox(max_bytes)?),
        Step::ReadCursor => sync.handle_cursor(store.cursor()?),
        Step::ReadChains => sync.handle_chains(&store.reader()?.heads(JournalId::FIRST)?),
        Step::Keep(keep) => self::keep(keep, sync, store)?,
        Step::Ask { .. } => unreachable!("asked by the caller"),
    }
    Ok(())
}

fn keep(keep: Keep, sync: &mut Sync, store: &mut SqliteStore) -> Result<(), StoreError> {
    match keep {
        Keep::Receipts(receipts) => store.apply_receipts(&receipts)?,
        Keep::Page { after, page } => {
            let applied = store.apply_page(after, &page)?;
            if !applied.rescued.is_empty() {
                sync.handle_rescued(applied.rescued.iter().map(|rescued| rescued.changes).sum());
            }
        }
        Keep::NewFeed => store.reset_cursor()?,
        Keep::Requeue { chain, seq } => {
            let changes = store.requeue_after(chain, seq)?;
            sync.handle_requeued(chain, seq, changes);
        }
        Keep::Heads(heads) => store.apply_heads(&heads)?,
        Keep::Rescue { chain, seq } => {
            let rescued = store.rescue_from(chain, seq)?;
            if rescued.changes > 0 {
                sync.handle_rescued(rescued.changes);
            }
        }
    }
    Ok(())
}

/// The receipt of a change that made what `note` is now, if the server has given one by now.
pub(crate) fn receipt(
    reader: &mut dyn Reader,
    note: NoteId,
    (chain, seq, hash): (ChainId, u64, Hash),
) -> Result<Option<Receipt>, StoreError> {
    let note = reader.note(JournalId::FIRST, note)?;
    let receipt = note.filter(|note| !note.waiting).and_then(|note| note.receipt);
    Ok(receipt.filter(|(_, written)| *written == hash).map(|(position, hash)| Receipt {
        chain,
        seq,
        position,
        hash,
    }))
}
