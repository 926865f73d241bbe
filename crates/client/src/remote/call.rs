//! One request on its way: to which address by which transport it is sent, and when to try the next.
//!
//! ```text
//!   small   ──> datagram ──(250 ms)──> next address …
//!                   └─────(300 ms of silence)──────────> stream ──> next address …
//!   long    ──> stream ──(not open after 300 ms, or refused)──> blocks in datagrams
//! ```
//!
//! Whoever answers first is the server from then on, and the other tries are dropped. So a request may arrive more than
//! once, and has to be one that bears it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use suibi_coap::{Request, RequestId};

use super::streams::StreamRequest;

/// How long the first address of several is tried alone (as RFC 8305 §5 does for connections).
pub(super) const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// How long datagrams may be silent before a stream is tried as well, and how long a stream may take to open before
/// datagrams are.
pub(super) const OTHER_AFTER: Duration = Duration::from_millis(300);

/// How long an open stream may be silent before datagrams are tried beside it.
pub(super) const STREAM_SILENT_FOR: Duration = Duration::from_secs(2);

/// How often a stream that broke off is opened anew for one request.
const REOPENED: u32 = 3;

/// A request, and where it was sent to by now.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    /// It takes several datagrams, or is one of many that do.
    pub(super) is_long: bool,
    /// Streams are asked first.
    pub(super) is_stream_first: bool,
    pub(super) begun: Instant,
    /// Addresses that datagrams were not tried with.
    pub(super) datagrams: Way,
    /// … and streams.
    pub(super) streams: Way,
    pub(super) tries: Vec<Try>,
    reopened: u32,
}

/// The addresses for one transport that were not tried.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) order: VecDeque<usize>,
    /// Not before this.
    pub(super) next_at: Instant,
}

/// One sending of a request: to this address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Try {
    pub(super) link: usize,
    pub(super) by: By,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// And so much was known about the address before.
    Datagram {
        id: RequestId,
        unreachable_before: u32,
    },
    Stream(StreamRequest),
}

impl Call {
    pub(super) fn new(
        now: Instant,
        request: Request,
        is_long: bool,
        is_stream_first: bool,
        patience: Duration,
        order: VecDeque<usize>,
    ) -> Self {
        let later = now + patience;
        let (first, second) = if is_stream_first { (later, now) } else { (now, later) };
        Self {
            request,
            is_long,
            is_stream_first,
            begun: now,
            datagrams: Way { order: order.clone(), next_at: first },
            streams: Way { order, next_at: second },
            tries: Vec::new(),
            reopened: 0,
        }
    }

    /// A try that came to nothing. A stream that broke off (the server was restarted, say) can be opened anew.
    pub(super) fn on_failed(&mut self, now: Instant, at: usize, was_open: bool) {
        let Try { link, by } = self.tries.remove(at);
        match by {
            By::Stream(_) => {
                self.datagrams.next_at = self.datagrams.next_at.min(now);
                if was_open && self.reopened < REOPENED {
                    self.reopened += 1;
                    self.streams.order.push_front(link);
                    self.streams.next_at = now;
                }
            }
            By::Datagram { .. } => self.streams.next_at = self.streams.next_at.min(now),
        }
    }

    /// Whether nothing more can come of it.
    pub(super) fn is_hopeless(&self) -> bool {
        self.tries.is_empty() && self.datagrams.order.is_empty() && self.streams.order.is_empty()
    }

    /// When to look after it again.
    pub(super) fn due(&self) -> Option<Instant> {
        let ways = [&self.datagrams, &self.streams];
        ways.iter().filter(|way| !way.order.is_empty()).map(|way| way.next_at).min()
    }
}
