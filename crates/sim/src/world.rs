//! Nodes, links and time.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};

use crate::Link;

/// Finds a node in its world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

/// What can live in a world: a machine without sockets and clocks.
pub trait Node {
    /// A datagram came in.
    fn handle_datagram(&mut self, now: Instant, from: NodeId, datagram: &[u8]);
    /// Time passed.
    fn handle_timeout(&mut self, now: Instant);
    /// The next datagram to send, and to whom.
    fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)>;
    /// When to call [`Node::handle_timeout`].
    fn poll_timeout(&self) -> Option<Instant>;
}

struct Flight {
    from: NodeId,
    to: NodeId,
    datagram: Vec<u8>,
}

/// Nodes, the links between them, and a time of their own.
pub struct World<N: Node> {
    seed: u64,
    rng: StdRng,
    start: Instant,
    now: Instant,
    nodes: Vec<N>,
    links: BTreeMap<(NodeId, NodeId), Link>,
    flights: BTreeMap<(Instant, u64), Flight>,
    serial: u64,
}

/// More steps than any test takes: two nodes talk in circles.
const MAX_STEPS: u64 = 20_000_000;

impl<N: Node> World<N> {
    /// An empty world; all chance in it comes from the seed.
    pub fn new(seed: u64) -> Self {
        let start = Instant::now();
        Self {
            seed,
            rng: StdRng::seed_from_u64(seed),
            start,
            now: start,
            nodes: Vec::new(),
            links: BTreeMap::new(),
            flights: BTreeMap::new(),
            serial: 0,
        }
    }

    /// Puts a node in.
    pub fn add(&mut self, node: N) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    /// The node.
    ///
    /// # Panics
    /// If it is of another world.
    pub fn node(&mut self, id: NodeId) -> &mut N {
        &mut self.nodes[id.0]
    }

    /// The direction from one node to another.
    pub fn link(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        self.links.entry((from, to)).or_default()
    }

    /// The time in this world.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How long this world has existed.
    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Goes on until nothing is under way and no node waits for anything.
    ///
    /// # Panics
    /// If that does not come to pass.
    pub fn run(&mut self) {
        self.advance(None, |_| false);
    }

    /// Goes on for this long, then stands at that moment.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.advance(Some(end), |_| false);
        self.now = end;
    }

    /// Goes on until `is_done`, which is asked after each step; gives whether it came to pass
    /// before nothing was left to do.
    pub fn run_until(&mut self, is_done: impl FnMut(&mut [N]) -> bool) -> bool {
        self.advance(None, is_done)
    }

    fn advance(&mut self, end: Option<Instant>, mut is_done: impl FnMut(&mut [N]) -> bool) -> bool {
        for _ in 0..MAX_STEPS {
            self.collect();
            if is_done(&mut self.nodes) {
                return true;
            }
            let arrival = self.flights.first_key_value().map(|((at, _), _)| *at);
            let timeout = self.nodes.iter().filter_map(Node::poll_timeout).min();
            let next = [arrival, timeout].into_iter().flatten().min();
            let Some(next) = next.filter(|next| end.is_none_or(|end| *next <= end)) else {
                return false;
            };
            self.now = self.now.max(next);
            let now = self.now;
            if arrival == Some(next)
                && let Some((_, Flight { from, to, datagram })) = self.flights.pop_first()
            {
                self.nodes[to.0].handle_datagram(now, from, &datagram);
                continue;
            }
            for node in &mut self.nodes {
                if node.poll_timeout().is_some_and(|at| at <= now) {
                    node.handle_timeout(now);
                }
            }
        }
        panic!("the world does not come to rest");
    }

    fn collect(&mut self) {
        for index in 0..self.nodes.len() {
            let from = NodeId(index);
            while let Some((to, datagram)) = self.nodes[index].poll_transmit() {
                let link = self.links.entry((from, to)).or_default();
                for time in link.carry(&mut self.rng) {
                    self.serial += 1;
                    let flight = Flight { from, to, datagram: datagram.clone() };
                    self.flights.insert((self.now + time, self.serial), flight);
                }
            }
        }
    }
}

impl<N: Node> Drop for World<N> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this world's seed: {}, after {:?}", self.seed, self.now - self.start);
        }
    }
}
