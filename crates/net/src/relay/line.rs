//! The line of a [`Relay`](super::Relay): how long it is, how much passes at a time, what is let through.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What the way is like, whatever the dice say. Default: a perfect one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// From the clients to the server.
    pub up: Lane,
    /// From the server to the clients.
    pub down: Lane,
    /// Both directions share the rate and the queue of `up`, as on a radio link; that of `down` is not looked at.
    pub is_shared: bool,
    /// No datagram passes: a network that knows TCP only.
    pub udp_is_blocked: bool,
    /// What happens to streams.
    pub tcp: Passage,
    /// So often everybody's port towards the server becomes another one, as when a NAT forgets. What the server sends to
    /// the old one vanishes, and the new one is there once the client has sent something. Datagrams only.
    pub rebind_every: Option<Duration>,
}

impl Line {
    /// The same delay each way, and nothing else.
    pub fn of_delay(delay: Duration) -> Self {
        let lane = Lane { delay, rate: None };
        Self { up: lane, down: lane, ..Self::default() }
    }

    /// One rate for everything, both ways together.
    pub fn narrow(rate: Rate) -> Self {
        let up = Lane { delay: Duration::ZERO, rate: Some(rate) };
        Self { up, is_shared: true, ..Self::default() }
    }
}

/// One direction of a [`Line`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lane {
    /// How much later everything arrives; comes on top of [`Faults::delay`](super::Faults::delay).
    pub delay: Duration,
    /// How much passes, datagrams and streams together.
    pub rate: Option<Rate>,
}

/// A narrow place and the queue before it, as a router has. Headers of IP, UDP and TCP count; bare acknowledgements of
/// TCP, which have no counterpart in a relay, do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// What passes in a second, at least 1.
    pub bytes_per_second: u64,
    /// What may wait. A datagram for which there is no room is dropped; a stream takes it as a loss, and slows down.
    pub queue_bytes: u64,
}

impl Rate {
    /// How long so many bytes take.
    pub(super) fn time_of(self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.max(1) as f64)
    }
}

/// What becomes of a stream that wants to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Passage {
    /// It passes.
    #[default]
    Open,
    /// It hears nothing: what was open stands still, what is opened stays without an answer. When it is open again,
    /// both go on.
    Silent,
    /// Nobody listens any more, and what was open is reset.
    Refused,
}

/// The narrow place of a lane at work.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// When all that waits has passed.
    empty_at: Option<Instant>,
}

impl Queue {
    /// Lets so many bytes queue up: when they have passed, or `None` where there is no room for them.
    pub(super) fn admit(
        &mut self,
        rate: Option<Rate>,
        now: Instant,
        bytes: u64,
    ) -> Option<Instant> {
        let Some(rate) = rate else { return Some(now) };
        let begin = self.empty_at.map_or(now, |at| at.max(now));
        // An empty queue takes anything, or a packet larger than it would never pass.
        if begin > now && begin + rate.time_of(bytes) > now + rate.time_of(rate.queue_bytes) {
            return None;
        }
        let end = begin + rate.time_of(bytes);
        self.empty_at = Some(end);
        Some(end)
    }
}

/// How much of a stream may be on its way, by the rules of Reno (RFC 5681): it opens with every acknowledgement, and
/// halves when the queue is full. So a stream takes its share of a narrow line as a real one does, and no more.
#[derive(Debug)]
pub(super) struct Window {
    bytes: f64,
    slow_start_until: f64,
    /// On their way, and when they are acknowledged; the earliest first.
    in_flight: VecDeque<(Instant, u64)>,
    in_flight_bytes: u64,
}

/// What a segment of TCP carries, and what its headers add.
pub(super) const SEGMENT_LEN: usize = 1_460;
pub(super) const SEGMENT_OVERHEAD: u64 = 40;

/// What the headers of a datagram add.
pub(super) const DATAGRAM_OVERHEAD: u64 = 28;

impl Window {
    pub(super) fn new() -> Self {
        Self {
            bytes: 10.0 * SEGMENT_LEN as f64,
            slow_start_until: f64::INFINITY,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
        }
    }

    /// Until when to wait before another segment may go: not at all, or for the next acknowledgement.
    pub(super) fn closed_until(&mut self, now: Instant) -> Option<Instant> {
        while let Some(&(at, bytes)) = self.in_flight.front().filter(|(at, _)| *at <= now) {
            debug_assert!(at <= now, "the earliest comes first");
            self.in_flight.pop_front();
            self.in_flight_bytes -= bytes;
            let segment = SEGMENT_LEN as f64;
            self.bytes += match self.bytes < self.slow_start_until {
                true => bytes as f64,
                false => segment * bytes as f64 / self.bytes,
            };
        }
        let is_full = self.in_flight_bytes as f64 + SEGMENT_LEN as f64 > self.bytes;
        self.in_flight.front().filter(|_| is_full).map(|(at, _)| *at)
    }

    /// So many bytes were sent and are acknowledged then; not before what was sent earlier.
    pub(super) fn sent(&mut self, acknowledged: Instant, bytes: u64) {
        let last = self.in_flight.back().map_or(acknowledged, |(at, _)| *at);
        self.in_flight.push_back((acknowledged.max(last), bytes));
        self.in_flight_bytes += bytes;
    }

    /// The queue was full.
    pub(super) fn lost(&mut self) {
        self.bytes = (self.bytes / 2.0).max(2.0 * SEGMENT_LEN as f64);
        self.slow_start_until = self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { bytes_per_second: 1_000, queue_bytes: 500 };

    #[test]
    fn a_queue_passes_its_rate_and_drops_what_it_cannot_hold() {
        let mut queue = Queue::default();
        let now = Instant::now();
        let millis = |millis| Some(now + Duration::from_millis(millis));
        assert_eq!(queue.admit(Some(RATE), now, 300), millis(300));
        assert_eq!(queue.admit(Some(RATE), now, 200), millis(500));
        assert_eq!(queue.admit(Some(RATE), now, 1), None);
        let later = now + Duration::from_millis(400);
        assert_eq!(queue.admit(Some(RATE), later, 400), millis(900));
        assert_eq!(queue.admit(Some(RATE), now + Duration::from_secs(5), 2_000), millis(7_000));
        assert_eq!(queue.admit(None, now, 1 << 30), Some(now));
    }

    #[test]
    fn a_window_opens_with_what_arrives_and_halves_when_something_is_lost() {
        let mut window = Window::new();
        let mut now = Instant::now();
        let round_trip = Duration::from_millis(100);
        // How many segments go within a round trip.
        let mut round = |window: &mut Window| {
            let mut sent = 0;
            while window.closed_until(now).is_none() {
                window.sent(now + round_trip, SEGMENT_LEN as u64);
                sent += 1;
            }
            now += round_trip;
            sent
        };
        assert_eq!([round(&mut window), round(&mut window), round(&mut window)], [10, 20, 40]);
        window.lost();
        // Half, and then about one segment more each round trip.
        assert_eq!([round(&mut window), round(&mut window), round(&mut window)], [21, 22, 23]);
    }
}
