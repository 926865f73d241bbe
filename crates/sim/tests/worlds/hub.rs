//! The server: its machine, on a disk whose power may fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use rand::Rng;
use rand::rngs::StdRng;
use suibi_coap::Peer;
use suibi_server::ListenerKind;
use suibi_server::machine::{Clock, Machine, MachineConfig};
use suibi_sim::{Disk, Moment};
use suibi_store::{OwnChain, SqliteOptions, SqliteStore};

use crate::doom::Doom;

/// The file of the server.
pub(crate) const FILE: &str = "server.db";

/// A server.
pub(crate) struct Hub {
    pub(crate) disk: Disk,
    pub(crate) doom: Doom,
    /// Its wall clock, in milliseconds since 1970.
    pub(crate) clock: Arc<AtomicI64>,
    machine: Option<Machine>,
    rng: StdRng,
}

impl Hub {
    pub(crate) fn new(disk: Disk, rng: StdRng) -> Self {
        let (doom, clock) = (Doom::default(), Arc::default());
        Self { disk, doom, clock, machine: None, rng }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.machine.is_some()
    }

    /// Starts, unless it runs.
    pub(crate) fn start(&mut self, now: Instant, millis: i64) {
        if self.is_up() {
            return;
        }
        self.clock.store(millis, Ordering::Relaxed);
        self.disk.settle();
        let (file, clock) = (self.disk.path(FILE), Clock::Set(Arc::clone(&self.clock)));
        let directory = self.disk.directory().to_owned();
        let config = MachineConfig::new(vec![ListenerKind::Oscore], clock, directory);
        let seed = self.rng.random();
        let machine = Machine::new(now, self.rng.random(), config, move || {
            let options = SqliteOptions { own_chain: OwnChain::Fresh, device: "server".to_owned() };
            Ok(Box::new(SqliteStore::open_seeded(&file, options, seed)?))
        });
        self.machine = Some(machine.unwrap());
    }

    /// It ends between two steps.
    pub(crate) fn die(&mut self, power: bool) {
        let now = self.disk.moment();
        self.fall(now, power);
    }

    /// It ends as it should.
    pub(crate) fn stop(&mut self) {
        self.machine = None;
    }

    /// It goes on with another disk, as one that was restored.
    pub(crate) fn replace(&mut self, disk: Disk) {
        self.machine = None;
        self.disk = disk;
    }

    fn fall(&mut self, at: Moment, power: bool) {
        let left = if power { self.disk.cut(at, &mut self.rng) } else { self.disk.killed_at(at) };
        self.machine = None;
        self.disk = left;
    }

    /// Does what the threads of a server do, in any order, until nothing is left or it ends.
    fn work(&mut self, now: Instant) {
        while let Some(machine) = &mut self.machine {
            let begun = self.disk.moment();
            let did = match self.rng.random_range(0..3) {
                0 => machine.write() || machine.read() || machine.tell(now),
                1 => machine.read() || machine.tell(now) || machine.write(),
                _ => machine.tell(now) || machine.write() || machine.read(),
            };
            if !did {
                return;
            }
            if let Some(power) = self.doom.strikes() {
                let at = begun.to(self.disk.moment(), &mut self.rng);
                self.fall(at, power);
            }
        }
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, from: Peer, bytes: &[u8]) {
        if let Some(machine) = &mut self.machine {
            machine.handle_datagram(now, 0, from, bytes);
            self.work(now);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(machine) = &mut self.machine {
            machine.handle_timeout(now);
            self.work(now);
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<(Peer, Vec<u8>)> {
        let (_, transmit) = self.machine.as_mut()?.poll_transmit()?;
        Some((transmit.peer, transmit.bytes.to_vec()))
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.machine.as_ref()?.poll_timeout()
    }
}
