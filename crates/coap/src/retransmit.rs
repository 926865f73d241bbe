//! One confirmable message waiting (RFC 7252 §4.2).

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::{Message, ObservationId, RequestId, Timing, timers::TimerKey};

/// Whose message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A request of ours.
    Request(RequestId),
    /// A response that goes separately, after an empty acknowledgement.
    Response,
    /// A notification.
    Notification(ObservationId),
}

/// A confirmable message that waits for its turn; it has no id yet.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) message: Message,
    pub(crate) purpose: Purpose,
}

/// A confirmable message that waits for its acknowledgement.
#[derive(Debug)]
pub(crate) struct Transmission {
    pub(crate) purpose: Purpose,
    pub(crate) bytes: Bytes,
    pub(crate) first_sent: Instant,
    /// How long the present wait is.
    pub(crate) timeout: Duration,
    pub(crate) retransmits: u32,
    pub(crate) timer: TimerKey,
}

impl Transmission {
    /// Doubles the wait and gives the new one, or `None` if this was the last attempt.
    ///
    /// Measured timeouts are short, so four attempts might all fall into one bad moment; they
    /// may go on, up to the span of time that the RFC gives to a peer never met.
    pub(crate) fn on_timeout(&mut self, now: Instant, timing: &Timing) -> Option<Duration> {
        let in_time = now < self.first_sent + timing.max_transmit_span();
        let regular = self.retransmits < timing.max_retransmit;
        let measured = timing.measured && self.retransmits < timing.max_measured_retransmit;
        if !(regular || measured && in_time) {
            return None;
        }
        self.retransmits += 1;
        self.timeout = self.timeout.saturating_mul(2);
        Some(self.timeout)
    }
}
