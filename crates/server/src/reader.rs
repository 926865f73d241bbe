//! The reader thread: queries, and in quiet moments what is kept off the acknowledging path.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use suibi_coap::{Code, Request, Response};
use suibi_store::Reader;

use crate::caller::Caller;
use crate::observers::Observed;
use crate::plain::{HistoryStyle, history};
use crate::problem::Problem;
use crate::resources::{About, Route, recent_text};

/// So long after the last message the moment counts as quiet.
const QUIET: Duration = Duration::from_millis(100);
/// Even under steady load the index goes on after so long.
const AT_LEAST_EVERY: Duration = Duration::from_secs(5);
/// Changes that are indexed between two looks at the queue.
const STEP: usize = 256;

/// An address for nobody.
const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Something for the reader thread.
pub(crate) enum ReadJob {
    /// A request that changes nothing.
    Request { ticket: u64, route: Route, request: Request, caller: Caller },
    /// A history datagram.
    History { ticket: u64, style: HistoryStyle },
    /// What observers should be told, each by the number of its question.
    Observed(Vec<(usize, Observed)>),
    /// There are new changes, to be indexed when there is time.
    Changed,
}

/// What the reader thread has done.
pub(crate) enum ReadDone {
    /// The answer to a request, or a history as its payload.
    Response { ticket: u64, response: Response },
    /// What [`ReadJob::Observed`] asked for.
    Observed(Vec<(usize, Response)>),
}

/// Works until nobody can send any more.
pub(crate) fn run(
    reader: &mut dyn Reader,
    about: &About,
    jobs: &Receiver<ReadJob>,
    mut done: impl FnMut(ReadDone),
) {
    // What was left undone when the last server ended.
    let mut is_behind = true;
    let mut indexed = Instant::now();
    let mut is_quiet = false;
    loop {
        let job = if is_behind {
            // Once it is quiet, step follows on step.
            jobs.recv_timeout(if is_quiet { Duration::ZERO } else { QUIET })
        } else {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        is_quiet = job.is_err();
        match job {
            Ok(ReadJob::Changed) => is_behind = true,
            Ok(job) => {
                if let Some(what) = answer(reader, about, job) {
                    done(what);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if is_behind && (is_quiet || indexed.elapsed() >= AT_LEAST_EVERY) {
            is_behind = catch_up(reader);
            indexed = Instant::now();
        }
    }
}

/// Answers what asks for an answer.
pub(crate) fn answer(reader: &mut dyn Reader, about: &About, job: ReadJob) -> Option<ReadDone> {
    Some(match job {
        ReadJob::Changed => return None,
        ReadJob::Request { ticket, route, request, caller } => {
            let response = route.read(&request, &caller, about, reader);
            ReadDone::Response { ticket, response }
        }
        ReadJob::History { ticket, style } => {
            ReadDone::Response { ticket, response: history_response(reader, style) }
        }
        ReadJob::Observed(questions) => {
            let answer = |(number, observed): (usize, Observed)| {
                let Observed { request, route, journal } = observed;
                // Whose question it is matters no more: all of them had the right to ask it of this journal.
                let caller = Caller { journal, ..Caller::anyone(NOWHERE) };
                (number, route.read(&request, &caller, about, reader))
            };
            ReadDone::Observed(questions.into_iter().map(answer).collect())
        }
    })
}

fn history_response(reader: &mut dyn Reader, style: HistoryStyle) -> Response {
    match recent_text(reader, style.max_bytes) {
        Ok(text) => Response::new(Code::CONTENT).payload(history(&text, style)),
        Err(error) => Problem::from(error).into(),
    }
}

/// One step of the index; says whether there is more to do.
fn catch_up(reader: &mut dyn Reader) -> bool {
    reader.catch_up(STEP).unwrap_or_else(|error| {
        // A query tries again, and says what is wrong.
        tracing::warn!(%error, "the index is left behind");
        0
    }) > 0
}
