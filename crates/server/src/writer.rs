//! The writer thread: group commit.
//!
//! Whatever arrived while the last commit ran is the next batch. All answers of a batch leave together, after
//! its commit; where that failed, all of them say why, and nothing is acknowledged.

use std::collections::{BTreeSet, VecDeque};

use suibi_coap::Response;
use suibi_journal::AuditEntry;
use suibi_store::{
    Access, AccessChange, AccessDone, AccessRefused, JournalId, Outcome, Reader, Store, StoreError,
    Write,
};

use crate::handover::Taker;
use crate::problem::Problem;
use crate::resources::{Answer, Writing};

/// The most writes in one commit.
const MAX_BATCH: usize = 4096;
/// The most bytes in one commit; a single write may be longer.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// Something that waits for the disk.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are notes; a box would be one more allocation for each"
)]
pub(crate) enum WriteJob {
    /// A write to a journal.
    Notes {
        /// What the net thread knows it by.
        ticket: u64,
        /// About how many bytes it brings.
        bytes: usize,
        journal: JournalId,
        writing: Writing,
    },
    /// A change of who may do what.
    Access { change: Box<AccessChange>, audit: Option<Box<AuditEntry>> },
}

/// What has become of them.
pub(crate) enum WriteDone {
    /// Answers of one batch, and the journals that it changed.
    Notes { answers: Vec<Written>, changed: BTreeSet<JournalId> },
    /// A change, handed back, and what came of it.
    Access { change: Box<AccessChange>, result: AccessResult },
}

/// The outer error is the disk's; the inner one says why it may not be.
pub(crate) type AccessResult = Result<Result<AccessDone, AccessRefused>, StoreError>;

/// One write that is done, or refused.
pub(crate) struct Written {
    pub(crate) ticket: u64,
    pub(crate) response: Response,
}

/// What goes into one commit, and who waits for it.
struct Batch {
    /// What needs no commit.
    written: Vec<Written>,
    writes: Vec<(JournalId, Write)>,
    /// For each of these, in the same order.
    answers: Vec<(u64, Answer)>,
}

/// Opens the store, and anew after a disk failed; the argument says whether what stands in its log is doubted.
pub(crate) type Open = Box<dyn Fn(bool) -> Result<Box<dyn Store>, StoreError> + Send>;

/// The store as the writer has it.
pub(crate) struct Writer {
    store: Box<dyn Store>,
    reader: Box<dyn Reader>,
    open: Open,
    broken: bool,
    /// Whether no store before this one has failed.
    is_sound: bool,
}

impl Writer {
    /// `is_doubted`: whether the one before may not have ended in good order.
    pub(crate) fn new(open: Open, is_doubted: bool) -> Result<Self, StoreError> {
        let store = open(is_doubted)?;
        let reader = store.reader()?;
        Ok(Self { store, reader, open, broken: false, is_sound: true })
    }

    /// Whether all that it has written is on the disk, as far as the disk says.
    pub(crate) fn is_sound(&self) -> bool {
        self.is_sound && !self.broken && self.store.is_sound()
    }

    /// A reader for another thread.
    pub(crate) fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.store.reader()
    }

    /// Who may use the store.
    pub(crate) fn access(&mut self) -> Result<Access, StoreError> {
        self.store.access()
    }

    /// Changes who may use the store.
    pub(crate) fn change_access(
        &mut self,
        change: &AccessChange,
        audit: Option<&AuditEntry>,
    ) -> AccessResult {
        self.reopen_if_broken()?;
        let result = self.store.change_access(change, audit);
        self.broken = matches!(result, Err(StoreError::Broken(_)));
        result
    }

    /// Commits batch after batch until nobody can give any more.
    pub(crate) fn run(&mut self, jobs: &Taker<WriteJob>, mut done: impl FnMut(WriteDone)) {
        let mut next = VecDeque::new();
        while jobs.take(&mut next) {
            if let Some(what) = self.carry_out(&mut next) {
                done(what);
            }
        }
    }

    /// Carries out the first of `jobs`, and in the same commit those behind it, as far as that can be. `None`: there are
    /// none.
    pub(crate) fn carry_out(&mut self, jobs: &mut VecDeque<WriteJob>) -> Option<WriteDone> {
        if let WriteJob::Notes { .. } = jobs.front()? {
            let batch = self.batch(jobs);
            let (answers, changed) = self.commit(batch);
            return Some(WriteDone::Notes { answers, changed });
        }
        let Some(WriteJob::Access { change, audit }) = jobs.pop_front() else { return None };
        let result = self.change_access(&change, audit.as_deref());
        if let (Some(entry), Ok(Ok(_))) = (&audit, &result) {
            let AuditEntry { what, device, journal, address, .. } = &**entry;
            tracing::info!(%what, device, journal, address, "access");
        }
        Some(WriteDone::Access { change, result })
    }

    /// Takes from the front of `jobs` what goes into one commit.
    fn batch(&mut self, jobs: &mut VecDeque<WriteJob>) -> Batch {
        let count = jobs.len().min(MAX_BATCH);
        let mut batch = Batch {
            written: Vec::with_capacity(count),
            writes: Vec::with_capacity(count),
            answers: Vec::with_capacity(count),
        };
        let mut total = 0;
        for _ in 0..count {
            let is_next = |job: &mut WriteJob| match job {
                WriteJob::Notes { bytes, .. } => total == 0 || total + *bytes <= MAX_BATCH_BYTES,
                WriteJob::Access { .. } => false,
            };
            let Some(WriteJob::Notes { ticket, bytes, journal, mut writing }) =
                jobs.pop_front_if(is_next)
            else {
                break;
            };
            total += bytes;
            writing.note_source();
            let already = writing.already.map_or(Ok(None), |already| already(&mut *self.reader));
            match already {
                Ok(None) => {
                    batch.writes.push((journal, writing.write));
                    batch.answers.push((ticket, writing.answer));
                }
                Ok(Some(response)) => batch.written.push(Written { ticket, response }),
                Err(problem) => batch.written.push(Written { ticket, response: problem.into() }),
            }
        }
        batch
    }

    fn commit(&mut self, batch: Batch) -> (Vec<Written>, BTreeSet<JournalId>) {
        let Batch { mut written, writes, answers } = batch;
        if writes.is_empty() {
            return (written, BTreeSet::new());
        }
        let changed = writes.iter().map(|(journal, _)| *journal).collect();
        match self.store_commit(writes) {
            Ok(outcomes) => {
                for ((ticket, answer), outcome) in answers.into_iter().zip(outcomes) {
                    let response = answer(outcome, &mut *self.reader);
                    let response = response.unwrap_or_else(Response::from);
                    written.push(Written { ticket, response });
                }
                (written, changed)
            }
            Err(error) => {
                tracing::warn!(%error, writes = answers.len(), "a batch is not kept");
                let refusal = Response::from(Problem::not_kept(&error));
                written.extend(
                    answers
                        .into_iter()
                        .map(|(ticket, _)| Written { ticket, response: refusal.clone() }),
                );
                (written, BTreeSet::new())
            }
        }
    }

    fn store_commit(
        &mut self,
        writes: Vec<(JournalId, Write)>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.reopen_if_broken()?;
        let result = self.store.commit(writes);
        self.broken = matches!(result, Err(StoreError::Broken(_)));
        result
    }

    fn reopen_if_broken(&mut self) -> Result<(), StoreError> {
        if self.broken {
            self.is_sound = false;
            self.store = (self.open)(true)?;
            self.reader = self.store.reader()?;
            self.broken = false;
            tracing::info!("the store is open again");
        }
        Ok(())
    }
}
