//! A data directory, a server that can be stopped and started again at the same address, clients.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use suibi_client::{Client, ClientConfig, Place};
use suibi_journal::Query;
use suibi_server::{Config, Listen, Server, ServerHandle, StopSignal};
use suibi_store::{JournalId, Reader};
use tempfile::TempDir;

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A server with its data in `server`.
    pub(crate) fn serve(&self, address: impl Into<Option<SocketAddr>>) -> Serving {
        Serving::start(self.dir("server"), address.into())
    }

    /// A client of a server, with its replica in a directory of the device's name.
    pub(crate) fn client(&self, device: &str, server: SocketAddr) -> Client {
        let place = Place::Server { address: server.to_string() };
        self.open(device, place)
    }

    /// A client of the embedded server; all of them share the directory.
    pub(crate) fn embedded(&self) -> Client {
        let data_dir = self.dir("home");
        let place = Place::Embedded { data_dir: data_dir.clone() };
        Client::open(ClientConfig { data_dir, place, device: "laptop".into() }).unwrap()
    }

    fn open(&self, device: &str, place: Place) -> Client {
        let data_dir = self.dir(device);
        Client::open(ClientConfig { data_dir, place, device: device.into() }).unwrap()
    }
}

/// A server in a thread.
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    fn start(data_dir: PathBuf, address: Option<SocketAddr>) -> Self {
        let mut config = Config::new(data_dir);
        let address = address.map_or("127.0.0.1:0".to_owned(), |address| address.to_string());
        config.coap.push(Listen { address });
        let server = Server::bind(config).unwrap();
        let address = server.listeners()[0].address;
        let handle = server.handle();
        let stop = StopSignal::new().unwrap();
        let thread = thread::spawn(move || server.run(stop).unwrap());
        Self { address, handle, thread: Some(thread) }
    }

    pub(crate) fn stop(self) -> SocketAddr {
        self.address
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The texts that a replica has, sorted.
pub(crate) fn texts(reader: &mut dyn Reader) -> Vec<String> {
    let notes = reader.notes(JournalId::FIRST, &Query::default()).unwrap();
    let mut texts: Vec<_> = notes.into_iter().map(|note| note.text).collect();
    texts.sort();
    texts
}

/// Tries again until it is so.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
