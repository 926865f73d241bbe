//! Simulated time, network and disks, for tests only.
//!
//! A [`World`] holds nodes of one type, and a [`Link`] from each to each that loses, doubles,
//! delays and reorders what it is told to. Time goes on when nothing is left to do at a moment,
//! and chance comes from a seed, so that a run is the same each time; a failing test prints it.
//! A [`Disk`] keeps what a database writes, and what would be left of it after a power cut.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use suibi_sim::{Node, NodeId, World};
//!
//! /// Repeats once what it hears.
//! #[derive(Default)]
//! struct Echo(Vec<(NodeId, Vec<u8>)>, usize);
//!
//! impl Node for Echo {
//!     fn handle_datagram(&mut self, _now: Instant, from: NodeId, datagram: &[u8]) {
//!         self.1 += 1;
//!         if self.1 == 1 {
//!             self.0.push((from, datagram.to_vec()));
//!         }
//!     }
//!     fn handle_timeout(&mut self, _now: Instant) {}
//!     fn poll_transmit(&mut self) -> Option<(NodeId, Vec<u8>)> {
//!         self.0.pop()
//!     }
//!     fn poll_timeout(&self) -> Option<Instant> {
//!         None
//!     }
//! }
//!
//! let mut world = World::new(1);
//! let (one, other) = (world.add(Echo::default()), world.add(Echo::default()));
//! world.link(one, other).delay = Duration::from_millis(30);
//! world.node(one).0.push((other, b"hello".to_vec()));
//! world.run();
//! // There, back, and there again; the way back takes 1 ms, as nothing else was said.
//! assert_eq!(world.elapsed(), Duration::from_millis(61));
//! assert_eq!(world.link(other, one).carried, 1);
//! ```

mod disk;
mod link;
mod world;

pub use disk::{Disk, Fault, Moment};
pub use link::Link;
pub use world::{Node, NodeId, World};
