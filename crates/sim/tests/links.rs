//! What links do to datagrams.

use std::time::{Duration, Instant};

use suibi_sim::{Node, NodeId, World};

#[derive(Default)]
struct Sink {
    out: Vec<(NodeId, Vec<u8>)>,
    heard: Vec<u8>,
}

impl Node for Sink {
    fn handle_datagram(&mut self, _now: Instant, _from: NodeId, datagram: &[u8]) {
        self.heard.extend(datagram);
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
        (!self.out.is_empty()).then(|| self.out.remove(0))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

fn two_with_datagrams(seed: u64, count: u8) -> (World<Sink>, NodeId, NodeId) {
    let mut world = World::new(seed);
    let (one, other) = (world.add(Sink::default()), world.add(Sink::default()));
    world.node(one).out = (0..count).map(|n| (other, vec![n])).collect();
    (world, one, other)
}

#[test]
fn a_plain_link_keeps_order() {
    let (mut world, _, other) = two_with_datagrams(1, 5);
    world.run();
    assert_eq!(world.node(other).heard, [0, 1, 2, 3, 4]);
    assert_eq!(world.elapsed(), Duration::from_millis(1));
}

#[test]
fn datagrams_are_dropped_doubled_and_held_on_demand() {
    let (mut world, one, other) = two_with_datagrams(1, 4);
    world.link(one, other).drop_next(1);
    world.link(one, other).hold_next(Duration::from_secs(1));
    world.run();
    assert_eq!(world.node(other).heard, [1, 2, 3], "the hold fell on the one that was dropped");
    world.node(one).out = vec![(other, vec![7]), (other, vec![8])];
    world.link(one, other).double_next(1);
    world.run();
    assert_eq!(world.node(other).heard[3..], [7, 7, 8]);
    assert_eq!((world.link(one, other).carried, world.link(one, other).lost), (6, 1));
}

#[test]
fn jitter_reorders_and_the_same_seed_does_it_the_same_way() {
    let run = |seed| {
        let (mut world, one, other) = two_with_datagrams(seed, 50);
        let link = world.link(one, other);
        (link.jitter, link.loss) = (Duration::from_millis(20), 0.2);
        world.run();
        std::mem::take(&mut world.node(other).heard)
    };
    let heard = run(7);
    assert!(!heard.is_sorted() && heard.len() < 50);
    assert_eq!(heard, run(7));
    assert_ne!(heard, run(8));
}
