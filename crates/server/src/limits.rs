//! How much one asker may take: rates for addresses that prove nothing, shares of the queues for everybody.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use suibi_coap::Subject;

use crate::caller::Caller;
use crate::recent::Recent;

/// So many at once, and then one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// At once, after a rest.
    pub burst: u32,
    /// In the long run one in so long a time.
    pub every: Duration,
}

/// What an address may still send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    rate: Rate,
    left: f64,
    filled: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant, rate: Rate) -> Self {
        Self { rate, left: rate.burst.into(), filled: now }
    }

    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        let gained = passed / self.rate.every.as_secs_f64();
        self.left = (self.left + gained).min(self.rate.burst.into());
        self.filled = now;
        let has_room = self.left >= 1.0;
        if has_room {
            self.left -= 1.0;
        }
        has_room
    }
}

/// Askers whose rate is remembered.
const MAX_METERS: usize = 4096;
/// After so long of silence one makes room for another; a full bucket is as good as none.
const METER_IDLE: Duration = Duration::from_secs(60);

/// A rate for each of many, in bounded memory. Newcomers who find no room share one bucket.
#[derive(Debug)]
pub(crate) struct Meter<K> {
    rate: Rate,
    buckets: Recent<K, Bucket>,
    strangers: Bucket,
}

impl<K: Ord + Copy> Meter<K> {
    pub(crate) fn new(now: Instant, rate: Rate) -> Self {
        let lifetime = Duration::from_secs(24 * 3600);
        Self {
            rate,
            buckets: Recent::new(MAX_METERS, METER_IDLE, lifetime),
            strangers: Bucket::new(now, rate),
        }
    }

    /// Whether this one has not had too much of late. It counts as one more then.
    pub(crate) fn take(&mut self, now: Instant, key: K) -> bool {
        let known = self.buckets.get(now, &key).copied();
        let mut bucket = known.unwrap_or_else(|| Bucket::new(now, self.rate));
        let has_room = bucket.take(now);
        if self.buckets.insert(now, key, bucket) { has_room } else { self.strangers.take(now) }
    }
}

/// The host of an address, for limits: of IPv6 the /64, which one customer has whole.
pub(crate) fn host(address: SocketAddr) -> IpAddr {
    match address.ip().to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            IpAddr::V6((u128::from(ip) & !u128::from(u64::MAX)).into())
        }
        ip => ip,
    }
}

/// Who takes a share: a credential, or a host that has shown none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Payer {
    Subject(Subject),
    Host(IpAddr),
}

impl Payer {
    pub(crate) fn of(caller: &Caller) -> Self {
        caller.subject().map_or_else(|| Self::Host(host(caller.address)), Self::Subject)
    }
}

/// Payers that are remembered while nothing of theirs waits.
const MAX_IDLE: usize = 64;

/// A queue of which nobody gets more than half.
#[derive(Debug)]
pub(crate) struct Queue {
    max_jobs: usize,
    max_bytes: usize,
    all: Load,
    loads: BTreeMap<Payer, Load>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Load {
    jobs: usize,
    bytes: usize,
}

/// A place in a [`Queue`]; given back with [`Queue::leave`].
#[derive(Debug, Clone, Copy)]
#[must_use = "it has to be given back"]
pub(crate) struct Place {
    payer: Payer,
    bytes: usize,
}

impl Queue {
    /// At most so many jobs, and so many bytes of them: what comes then has to wait.
    pub(crate) fn new(max_jobs: usize, max_bytes: usize) -> Self {
        Self { max_jobs, max_bytes, all: Load::default(), loads: BTreeMap::new() }
    }

    /// A place, unless the queue, or the payer's half of it, is full.
    pub(crate) fn enter(&mut self, payer: Payer, bytes: usize) -> Option<Place> {
        if self.all.is_at(self.max_jobs, self.max_bytes) {
            return None;
        }
        let (half_jobs, half_bytes) = (self.max_jobs / 2, self.max_bytes / 2);
        let load = self.loads.entry(payer).or_default();
        // An empty load is never full: nothing is left behind here.
        if load.is_at(half_jobs, half_bytes) {
            return None;
        }
        for load in [load, &mut self.all] {
            load.jobs += 1;
            load.bytes += bytes;
        }
        Some(Place { payer, bytes })
    }

    /// What stands at this place has so many bytes by now.
    pub(crate) fn grow(&mut self, place: &mut Place, bytes: usize) {
        let more = bytes.saturating_sub(place.bytes);
        // Most things are as long as they came.
        if more == 0 {
            return;
        }
        place.bytes += more;
        self.all.bytes += more;
        if let Some(load) = self.loads.get_mut(&place.payer) {
            load.bytes += more;
        }
    }

    pub(crate) fn leave(&mut self, place: Place) {
        self.all.jobs -= 1;
        self.all.bytes -= place.bytes;
        let Some(load) = self.loads.get_mut(&place.payer) else { return };
        load.jobs -= 1;
        load.bytes -= place.bytes;
        // Those who come again and again are not put in and taken out each time.
        if load.jobs == 0 && self.loads.len() > MAX_IDLE {
            self.loads.remove(&place.payer);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.jobs == 0
    }
}

impl Load {
    fn is_at(self, max_jobs: usize, max_bytes: usize) -> bool {
        self.jobs >= max_jobs || self.bytes >= max_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: u64) -> Payer {
        Payer::Subject(Subject(number))
    }

    #[test]
    fn one_device_gets_half_of_a_queue_and_leaves_the_rest_to_others() {
        let mut queue = Queue::new(8, 1000);
        let places: Vec<_> = (0..4).map(|_| queue.enter(subject(1), 10).unwrap()).collect();
        assert!(queue.enter(subject(1), 10).is_none());
        let other = queue.enter(subject(2), 10).unwrap();
        queue.leave(places[0]);
        let again = queue.enter(subject(1), 10).unwrap();
        for place in [again, other].into_iter().chain(places.into_iter().skip(1)) {
            queue.leave(place);
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn those_who_have_left_are_forgotten_but_for_a_few() {
        let mut queue = Queue::new(8, 1000);
        for number in 0..10_000 {
            let place = queue.enter(subject(number), 1).unwrap();
            queue.leave(place);
        }
        assert_eq!(queue.loads.len(), MAX_IDLE);
    }

    #[test]
    fn bytes_count_as_jobs_do_and_one_large_job_is_let_in() {
        let mut queue = Queue::new(100, 1000);
        let mut large = queue.enter(subject(1), 10).unwrap();
        queue.grow(&mut large, 5000);
        assert!(queue.enter(subject(1), 0).is_none());
        assert!(queue.enter(subject(2), 0).is_none());
        queue.leave(large);
        assert!(queue.enter(subject(2), 0).is_some());
    }

    #[test]
    fn a_meter_fills_again_and_stays_bounded() {
        let mut now = Instant::now();
        let mut meter = Meter::new(now, Rate { burst: 2, every: Duration::from_secs(1) });
        assert_eq!([(); 3].map(|()| meter.take(now, 0)), [true, true, false]);
        now += Duration::from_secs(1);
        assert_eq!([(); 2].map(|()| meter.take(now, 0)), [true, false]);
        // The table is full of busy ones: who comes now shares one bucket.
        for key in 1..MAX_METERS {
            assert!(meter.take(now, key));
        }
        let strangers = (MAX_METERS..2 * MAX_METERS).filter(|key| meter.take(now, *key)).count();
        assert_eq!(strangers, 2);
    }

    #[test]
    fn all_addresses_of_one_customer_are_one_host() {
        let host = |text: &str| host(text.parse().unwrap());
        assert_eq!(host("[2001:db8::1]:1"), host("[2001:db8::ffff:2]:9"));
        assert_ne!(host("[2001:db8::1]:1"), host("[2001:db8:0:1::1]:1"));
        assert_eq!(host("192.0.2.1:1"), host("[::ffff:192.0.2.1]:2"));
    }
}
