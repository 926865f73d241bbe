//! The writer thread: group commit.
//!
//! Whatever arrived while the last commit ran is the next batch. All answers of a batch leave together, after
//! its commit; where that failed, all of them say why, and nothing is acknowledged.

use std::sync::mpsc::{Receiver, TryRecvError};

use suibi_coap::Response;
use suibi_store::{JournalId, Outcome, Reader, Store, StoreError, Write};

use crate::problem::Problem;
use crate::resources::{JOURNAL, Writing};

/// The most writes in one commit.
const MAX_BATCH: usize = 4096;
/// The most bytes in one commit; a single write may be longer.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// One write that waits.
pub(crate) struct WriteJob {
    /// What the net thread knows it by.
    pub(crate) ticket: u64,
    /// About how many bytes it brings.
    pub(crate) bytes: usize,
    pub(crate) writing: Writing,
}

/// One write that is done, or refused.
pub(crate) struct Written {
    pub(crate) ticket: u64,
    pub(crate) response: Response,
}

/// Opens the store anew after a disk failed.
pub(crate) type Open = Box<dyn Fn() -> Result<Box<dyn Store>, StoreError> + Send>;

/// The store as the writer has it.
pub(crate) struct Writer {
    store: Box<dyn Store>,
    reader: Box<dyn Reader>,
    open: Open,
    broken: bool,
}

impl Writer {
    pub(crate) fn new(open: Open) -> Result<Self, StoreError> {
        let store = open()?;
        let reader = store.reader()?;
        Ok(Self { store, reader, open, broken: false })
    }

    /// A reader for another thread.
    pub(crate) fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.store.reader()
    }

    /// Commits batch after batch until nobody can send any more.
    ///
    /// `done` gets the answers of one batch, and whether it changed anything.
    pub(crate) fn run(
        &mut self,
        jobs: &Receiver<WriteJob>,
        mut done: impl FnMut(Vec<Written>, bool),
    ) {
        let mut next = jobs.recv().ok();
        while let Some(first) = next.take() {
            let mut bytes = first.bytes;
            let mut batch = vec![first];
            let mut is_over = false;
            while batch.len() < MAX_BATCH {
                match jobs.try_recv() {
                    Ok(job) if bytes + job.bytes > MAX_BATCH_BYTES => {
                        next = Some(job);
                        break;
                    }
                    Ok(job) => {
                        bytes += job.bytes;
                        batch.push(job);
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => {
                        is_over = true;
                        break;
                    }
                }
            }
            let (answers, changed) = self.commit(batch);
            done(answers, changed);
            if next.is_none() && !is_over {
                next = jobs.recv().ok();
            }
        }
    }

    fn commit(&mut self, batch: Vec<WriteJob>) -> (Vec<Written>, bool) {
        let mut written = Vec::with_capacity(batch.len());
        let mut writes = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        for WriteJob { ticket, writing, .. } in batch {
            let already = match writing.already {
                Some(already) => already(&mut *self.reader),
                None => Ok(None),
            };
            match already {
                Ok(None) => {
                    writes.push((JOURNAL, writing.write));
                    answers.push((ticket, writing.answer));
                }
                Ok(Some(response)) => written.push(Written { ticket, response }),
                Err(problem) => written.push(Written { ticket, response: problem.into() }),
            }
        }
        if writes.is_empty() {
            return (written, false);
        }
        match self.store_commit(writes) {
            Ok(outcomes) => {
                for ((ticket, answer), outcome) in answers.into_iter().zip(outcomes) {
                    let response = answer(outcome, &mut *self.reader);
                    let response = response.unwrap_or_else(Response::from);
                    written.push(Written { ticket, response });
                }
                (written, true)
            }
            Err(error) => {
                tracing::warn!(%error, writes = answers.len(), "a batch is not kept");
                let refusal = Response::from(Problem::not_kept(&error));
                written.extend(
                    answers
                        .into_iter()
                        .map(|(ticket, _)| Written { ticket, response: refusal.clone() }),
                );
                (written, false)
            }
        }
    }

    fn store_commit(
        &mut self,
        writes: Vec<(JournalId, Write)>,
    ) -> Result<Vec<Outcome>, StoreError> {
        if self.broken {
            self.store = (self.open)()?;
            self.reader = self.store.reader()?;
            self.broken = false;
            tracing::info!("the store is open again");
        }
        let result = self.store.commit(writes);
        self.broken = matches!(result, Err(StoreError::Broken(_)));
        result
    }
}
