//! A data directory, a server that can be stopped and started again at the same address, clients.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use suibi_client::{Admin, Client, ClientConfig, Joined, Place, join};
use suibi_journal::Query;
use suibi_journal::admission::InviteRequest;
use suibi_oscore::{InviteLine, KeyId, Secret};
use suibi_server::{
    Config, Listen, ListenerKind, PlainListen, Server, ServerHandle, StopSignal, plain::PlainRules,
};
use suibi_store::{JournalId, Reader};
use tempfile::TempDir;

/// Longer than anything here takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a person calls at once, and a very busy test machine on top; still not a wait for somebody who is gone.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(8);

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

    /// An invite of the server that runs on the data in `server`, made by its owner.
    pub(crate) fn invite(&self, rights: &str) -> InviteLine {
        self.invite_to("server", rights)
    }

    /// An invite of any server of this world.
    pub(crate) fn invite_to(&self, server: &str, rights: &str) -> InviteLine {
        let rights = rights.parse().unwrap();
        let request = InviteRequest { journal: None, rights, lasts: None, name: None };
        let made = self.admin(server).invite(&request).unwrap();
        let address = oscore_of(&self.dir(server));
        InviteLine {
            host: address.ip().to_string(),
            port: address.port(),
            id: KeyId::from_slice(&made.id).unwrap(),
            secret: Secret::from_bytes(&made.secret).unwrap(),
        }
    }

    /// The owner of a server of this world, on its machine.
    pub(crate) fn admin(&self, server: &str) -> Admin {
        Admin::open(&self.dir(server), "owner", PATIENCE).unwrap()
    }

    /// Joins as a device whose data is in a directory of its name.
    #[track_caller]
    pub(crate) fn join(&self, device: &str, line: &InviteLine) -> Joined {
        join(&self.dir(device), line, device, PATIENCE).unwrap()
    }

    /// What a command of such a device opens.
    pub(crate) fn joined(&self, device: &str) -> Client {
        self.open(device, Place::Joined { data_dir: self.dir(device) })
    }

    fn open(&self, device: &str, place: Place) -> Client {
        let data_dir = self.dir(device);
        Client::open(ClientConfig { data_dir, place, device: device.into() }).unwrap()
    }
}

/// A server in a thread.
pub(crate) struct Serving {
    /// Without protection.
    pub(crate) address: SocketAddr,
    /// Under OSCORE.
    pub(crate) oscore: SocketAddr,
    /// The exercise's dialect.
    pub(crate) plain: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Serving {
    /// On the same ports as before, like a server that is restarted by its owner.
    pub(crate) fn restart(self, world: &World) -> Self {
        let (address, oscore) = (self.address, self.oscore);
        drop(self);
        Self::start_at(world.dir("server"), Some(address), Some(oscore))
    }

    pub(crate) fn start(data_dir: PathBuf, address: Option<SocketAddr>) -> Self {
        Self::start_at(data_dir, address, None)
    }

    pub(crate) fn start_at(
        data_dir: PathBuf,
        address: Option<SocketAddr>,
        oscore: Option<SocketAddr>,
    ) -> Self {
        let mut config = Config::new(data_dir);
        let listen = |address: Option<SocketAddr>| Listen {
            address: address.map_or("127.0.0.1:0".to_owned(), |address| address.to_string()),
        };
        config.coap.push(listen(address));
        config.listen.push(listen(oscore));
        config.plain.push(PlainListen {
            address: "127.0.0.1:0".to_owned(),
            rules: PlainRules::default(),
            anyone: false,
        });
        let server = Server::bind(config).unwrap();
        let at = |kind| {
            server.listeners().iter().find(|listener| listener.kind == kind).unwrap().address
        };
        let [address, oscore, plain] =
            [ListenerKind::Coap, ListenerKind::Oscore, ListenerKind::Plain].map(at);
        let handle = server.handle();
        let stop = StopSignal::new().unwrap();
        let thread = thread::spawn(move || server.run(stop).unwrap());
        Self { address, oscore, plain, handle, thread: Some(thread) }
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

/// Where the server of a directory listens under OSCORE.
pub(crate) fn oscore_of(data_dir: &Path) -> SocketAddr {
    suibi_server::running(data_dir).unwrap().unwrap().oscore[0]
}

/// The directory and what is in it, as a backup or a clone takes it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
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
