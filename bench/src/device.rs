//! A server that devices join, and the devices, which are clients in this process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use suibi_client::{Admin, Client, ClientConfig, Place, join};
use suibi_journal::admission::InviteRequest;
use suibi_oscore::{InviteLine, KeyId, Secret};
use suibi_store::{JournalId, Store as _, Write};

use crate::feed::Chain;
use crate::server::Server;
use crate::{Failure, cpu, sqlite};

/// How long anything may take that has no figure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// How many notes a commit of a prepared store has, and how many devices have written them.
const BATCH: u32 = 1_024;
const WRITERS: usize = 4;

/// A protected server on a directory of its own.
pub(crate) struct Home {
    pub(crate) server: Server,
    data: PathBuf,
    directory: PathBuf,
    devices: usize,
}

impl Home {
    /// A server with so many notes in it, idle.
    pub(crate) fn with_notes(
        program: &Path,
        directory: &Path,
        notes: u32,
    ) -> Result<Self, Failure> {
        Self::listening(program, directory, notes, "127.0.0.1:0")
    }

    /// The same elsewhere.
    pub(crate) fn listening(
        program: &Path,
        directory: &Path,
        notes: u32,
        address: &str,
    ) -> Result<Self, Failure> {
        let data = directory.join("server");
        let mut store = sqlite::open(&data)?;
        let mut chains: Vec<_> = (0..WRITERS).map(Chain::new).collect();
        for first in (0..notes).step_by(BATCH as usize) {
            let chain = &mut chains[(first / BATCH) as usize % WRITERS];
            let numbers = first..notes.min(first + BATCH);
            let entries = numbers.map(|number| chain.next_plausible(number)).collect();
            let device = format!("writer {}", (first / BATCH) as usize % WRITERS);
            let push = Write::Push { device, entries, only_new: false, may_purge: false };
            store.commit(vec![(JournalId::FIRST, push)])?;
        }
        drop(store);
        let server = Server::protected_at(program, &data, address)?;
        let home = Self { server, data, directory: directory.to_owned(), devices: 0 };
        home.settle()?;
        Ok(home)
    }

    /// Waits until the server has nothing more to do: the full-text index.
    fn settle(&self) -> Result<(), Failure> {
        let used = || -> Result<Duration, Failure> {
            Ok(cpu::by_thread(self.server.id())?.into_values().sum())
        };
        let (mut last, start) = (used()?, Instant::now());
        while start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(500));
            let now = used()?;
            if now - last < Duration::from_millis(5) {
                return Ok(());
            }
            last = now;
        }
        Err("the server is never idle".into())
    }

    /// A new device, joined to the server as it is reached at `address`.
    pub(crate) fn device(&mut self, address: SocketAddr) -> Result<Client, Failure> {
        Ok(Client::open(self.joined(address)?)?)
    }

    /// The same, not yet opened.
    pub(crate) fn joined(&mut self, address: SocketAddr) -> Result<ClientConfig, Failure> {
        self.devices += 1;
        let name = format!("device {}", self.devices);
        let mut owner = Admin::open(&self.data, "owner", PATIENCE)?;
        let rights = "read,write".parse().map_err(|_| "no rights")?;
        let request = InviteRequest { journal: None, rights, lasts: None, name: None };
        let made = owner.invite(&request)?;
        let line = InviteLine {
            host: address.ip().to_string(),
            port: address.port(),
            id: KeyId::from_slice(&made.id).ok_or("not an id")?,
            secret: Secret::from_bytes(&made.secret).ok_or("not a secret")?,
        };
        let data_dir = self.directory.join(format!("device-{}", self.devices));
        join(&data_dir, &line, &name, PATIENCE)?;
        let place = Place::Joined { data_dir: data_dir.clone() };
        Ok(ClientConfig { data_dir, place, device: name })
    }

    /// Where the server keeps its data.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// What the server has used so far, all threads together.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        Ok(cpu::by_thread(self.server.id())?.into_values().sum())
    }
}
