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

    /// Whether there is one use.
    pub(super) fn is_left(&self, now: Instant) -> bool {
        self.next(now).is_some()
    }

    /// Takes one use, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let next = self.next(now);
        self.used_until = next.or(self.used_until);
        next.is_some()
    }

    /// Until when all of it is used up once one more is taken.
    fn next(&self, now: Instant) -> Option<Instant> {
        let until = self.used_until.map_or(now, |until| until.max(now)) + self.every;
        (until <= now + self.burst).then_some(until)
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
        let later = start + Duration::from_secs(120);
        assert!((0..10).all(|_| allowance.is_left(later)), "who looks takes nothing");
        assert!((0..5).all(|_| allowance.take(later)) && !allowance.is_left(later));
    }
}
