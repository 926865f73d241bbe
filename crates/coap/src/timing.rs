//! The parameters of transmission, and every time computed from them (RFC 7252 §4.8).

use std::time::Duration;

/// The parameters of RFC 7252 §4.8, and ours for what it leaves open.
#[derive(Debug, Clone, PartialEq)]
pub struct Timing {
    /// How long to wait for the first acknowledgement of an unknown peer (`ACK_TIMEOUT`).
    ///
    /// Default: 2 s. Each retransmission doubles it; [`Timing::max_transmit_span`] is the sum.
    pub ack_timeout: Duration,
    /// The first wait is stretched by a random factor between 1 and this (`ACK_RANDOM_FACTOR`).
    ///
    /// Default: 1.5.
    pub ack_random_factor: f64,
    /// How often a message is sent again (`MAX_RETRANSMIT`). Default: 4.
    pub max_retransmit: u32,
    /// How many requests, or other confirmable messages, may be under way to one peer (`NSTART`).
    ///
    /// Default: 1. RFC 7252 §4.7 asks for a reason to use more; ours are measured timeouts.
    pub nstart: usize,
    /// The longest that a datagram may travel (`MAX_LATENCY`). Default: 100 s.
    pub max_latency: Duration,
    /// Whether the round trips of a peer, once measured, replace [`Timing::ack_timeout`] for it.
    pub measured: bool,
    /// The shortest timeout that measuring may lead to. Default: 100 ms.
    ///
    /// It leaves a server's disk the time to make a note durable before we ask again.
    pub min_timeout: Duration,
    /// How often a message may be sent again when its measured timeout is so short that
    /// [`Timing::max_retransmit`] would leave most of [`Timing::max_transmit_span`] unused.
    ///
    /// Default: 8, which reaches from 100 ms to about half a minute.
    pub max_measured_retransmit: u32,
    /// How long a request may wait for its response before an empty acknowledgement tells the
    /// peer to be patient (RFC 7252 §5.2.2). Default: 200 ms.
    pub acknowledge_after: Duration,
    /// How long a message id stays unused for a peer after it was used. Default:
    /// [`Timing::exchange_lifetime`], as RFC 7252 §4.4 demands of everybody towards everybody.
    ///
    /// 65,536 ids within it bound the rate towards one peer.
    pub message_id_rest: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self::rfc()
    }
}

impl Timing {
    /// The defaults of RFC 7252 §4.8, for peers of any make.
    pub fn rfc() -> Self {
        let timing = Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_factor: 1.5,
            max_retransmit: 4,
            nstart: 1,
            max_latency: Duration::from_secs(100),
            measured: false,
            min_timeout: Duration::from_millis(100),
            max_measured_retransmit: 8,
            acknowledge_after: Duration::from_millis(200),
            message_id_rest: Duration::ZERO,
        };
        Self { message_id_rest: timing.exchange_lifetime(), ..timing }
    }

    /// Towards our own server: measured timeouts, four requests under way.
    ///
    /// Message ids rest for 30 s only (2,184 messages a second to one server): our server takes
    /// a used id with other bytes for the new message that it is.
    pub fn own() -> Self {
        Self { nstart: 4, measured: true, message_id_rest: Duration::from_secs(30), ..Self::rfc() }
    }

    /// From the first transmission of a message to its last (`MAX_TRANSMIT_SPAN`); 45 s.
    pub fn max_transmit_span(&self) -> Duration {
        self.ack_timeout.mul_f64(self.doublings(self.max_retransmit) * self.ack_random_factor)
    }

    /// From the first transmission until hope is given up (`MAX_TRANSMIT_WAIT`); 93 s.
    pub fn max_transmit_wait(&self) -> Duration {
        self.ack_timeout.mul_f64(self.doublings(self.max_retransmit + 1) * self.ack_random_factor)
    }

    /// The longest that a peer takes to acknowledge (`PROCESSING_DELAY`); 2 s.
    pub fn processing_delay(&self) -> Duration {
        self.ack_timeout
    }

    /// The longest round trip (`MAX_RTT`); 202 s.
    pub fn max_rtt(&self) -> Duration {
        2 * self.max_latency + self.processing_delay()
    }

    /// How long a confirmable message may still come again (`EXCHANGE_LIFETIME`); 247 s.
    pub fn exchange_lifetime(&self) -> Duration {
        self.max_transmit_span() + self.max_rtt()
    }

    /// How long a non-confirmable message may still come again (`NON_LIFETIME`); 145 s.
    pub fn non_lifetime(&self) -> Duration {
        self.max_transmit_span() + self.max_latency
    }

    fn doublings(&self, times: u32) -> f64 {
        2_f64.powi(times.min(30).cast_signed()) - 1.0
    }
}

/// What measuring round trips to a peer has taught so far (RFC 6298 §2).
///
/// A process may keep it and give it to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RttEstimate {
    /// The smoothed round trip.
    pub srtt: Duration,
    /// How much single ones differ from it.
    pub rttvar: Duration,
}

impl RttEstimate {
    /// What one measured round trip tells.
    pub fn first(sample: Duration) -> Self {
        Self { srtt: sample, rttvar: sample / 2 }
    }

    /// What one more measured round trip tells.
    #[must_use]
    pub fn updated(self, sample: Duration) -> Self {
        Self {
            rttvar: (self.rttvar * 3 + self.srtt.abs_diff(sample)) / 4,
            srtt: (self.srtt * 7 + sample) / 8,
        }
    }

    /// How long to wait for an answer before asking again: `srtt + 4 * rttvar`, within `floor`
    /// and one minute.
    pub fn timeout(self, floor: Duration) -> Duration {
        const CEILING: Duration = Duration::from_secs(60);
        self.srtt.saturating_add(self.rttvar.saturating_mul(4)).clamp(floor.min(CEILING), CEILING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_times_are_those_of_rfc_7252_section_4_8_2() {
        let timing = Timing::rfc();
        assert_eq!(timing.max_transmit_span(), Duration::from_secs(45));
        assert_eq!(timing.max_transmit_wait(), Duration::from_secs(93));
        assert_eq!(timing.max_rtt(), Duration::from_secs(202));
        assert_eq!(timing.exchange_lifetime(), Duration::from_secs(247));
        assert_eq!(timing.non_lifetime(), Duration::from_secs(145));
        assert_eq!(timing.message_id_rest, Duration::from_secs(247));
    }

    #[test]
    fn the_estimate_follows_rfc_6298_section_2() {
        let ms = Duration::from_millis;
        let first = RttEstimate::first(ms(80));
        assert_eq!(first, RttEstimate { srtt: ms(80), rttvar: ms(40) });
        assert_eq!(first.timeout(ms(100)), ms(240));
        let second = first.updated(ms(160));
        assert_eq!(second, RttEstimate { srtt: ms(90), rttvar: ms(50) });
        let steady = (0..100).fold(second, |estimate, _| estimate.updated(ms(1)));
        assert_eq!(steady.timeout(ms(100)), ms(100));
        let absurd = RttEstimate { srtt: Duration::MAX, rttvar: Duration::MAX };
        assert_eq!(absurd.timeout(ms(100)), Duration::from_secs(60));
    }
}
