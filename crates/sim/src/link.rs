//! One direction between two nodes.

use std::time::Duration;

use rand::{Rng, rngs::StdRng};

/// One direction between two nodes: what happens to datagrams there, and what did.
#[derive(Debug, Clone)]
pub struct Link {
    /// How likely a datagram is lost, 0 to 1. Default: 0.
    pub loss: f64,
    /// How likely a datagram that is not lost comes twice, 0 to 1. Default: 0.
    pub doubling: f64,
    /// How long each takes. Default: 1 ms.
    pub delay: Duration,
    /// How much longer one may take, by chance; beyond the distance between two datagrams it
    /// reorders them. Default: none.
    pub jitter: Duration,
    /// Whether nothing at all comes through. Default: false.
    pub is_down: bool,
    /// Datagrams that were put in.
    pub carried: u64,
    /// Of these, datagrams that were lost.
    pub lost: u64,
    drop_next: u32,
    double_next: u32,
    hold_next: Option<Duration>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            loss: 0.0,
            doubling: 0.0,
            delay: Duration::from_millis(1),
            jitter: Duration::ZERO,
            is_down: false,
            carried: 0,
            lost: 0,
            drop_next: 0,
            double_next: 0,
            hold_next: None,
        }
    }
}

impl Link {
    /// Loses the next `count` datagrams.
    pub fn drop_next(&mut self, count: u32) {
        self.drop_next = count;
    }

    /// Doubles the next `count` datagrams.
    pub fn double_next(&mut self, count: u32) {
        self.double_next = count;
    }

    /// Holds the next datagram back so much longer than its delay.
    pub fn hold_next(&mut self, time: Duration) {
        self.hold_next = Some(time);
    }

    /// How long each copy of the next datagram takes; none: it is lost.
    pub(crate) fn carry(&mut self, rng: &mut StdRng) -> Vec<Duration> {
        self.carried += 1;
        // The dice fall for every datagram, so that one setting does not shift all later luck.
        let (lose, double): (f64, f64) = (rng.random(), rng.random());
        let jitter: [f64; 2] = rng.random();
        let hold = self.hold_next.take().unwrap_or_default();
        if self.is_down || countdown(&mut self.drop_next) || lose < self.loss {
            self.lost += 1;
            return Vec::new();
        }
        let copies = 1 + usize::from(countdown(&mut self.double_next) || double < self.doubling);
        let time = |luck: &f64| self.delay + hold + self.jitter.mul_f64(*luck);
        jitter.iter().take(copies).map(time).collect()
    }
}

fn countdown(count: &mut u32) -> bool {
    let is_running = *count > 0;
    *count = count.saturating_sub(1);
    is_running
}
