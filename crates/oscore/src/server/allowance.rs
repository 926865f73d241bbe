//! How often something may be asked for.

use std::time::{Duration, Instant};

/// A token bucket that needs a single moment to be remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// One use every so often, on average.
    every: Duration,
    /// What may be used at once after a pause, as the time in which it grows again.
    burst: Duration,
    /// Until when all of it is used up, if there were no burst.
    used_until: Option<Instant>,
}

impl Allowance {
    pub(super) const fn new(every: Duration, burst: u32) -> Self {
        Self { every, burst: every.saturating_mul(burst), used_until: None }
    }

    /// Takes one use, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let until = self.used_until.map_or(now, |until| until.max(now)) + self.every;
        let is_allowed = until <= now + self.burst;
        if is_allowed {
            self.used_until = Some(until);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_a_steady_rate() {
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        let start = Instant::now();
        let mut allowance = Allowance::new(Duration::from_millis(10), 5);
        let mut taken = |now| (0..100).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(start), 5);
        assert_eq!(taken(start + Duration::from_millis(9)), 0);
        assert_eq!(taken(start + Duration::from_millis(10)), 1);
        assert_eq!(taken(start + Duration::from_millis(35)), 2);
        assert_eq!(taken(start + Duration::from_secs(60)), 5, "a pause saves up no more");
    }
}
