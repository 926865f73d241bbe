//! The embedded server: found through the lock of its directory, or run in this very process.
//!
//! ```text
//!            ┌── the lock is held ──> its address ──> talk to it ──┐
//!  look ─────┤                                                     ├── it is gone ──> look again
//!            └── it is free ───────> take it, be the host ─────────┘
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use suibi_server::{
    Config, Listen, LocalCredential, Running, ServeError, ServeErrorKind, Server, ServerHandle,
    StopSignal, database, running,
};
use thiserror::Error;

/// How long to let another process come further before looking again.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Why there is no embedded server.
#[derive(Debug, Error)]
pub enum HostError {
    /// It cannot be started.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The lock file cannot be read.
    #[error("the lock in {} cannot be read", .data_dir.display())]
    Lock {
        /// The data directory.
        data_dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody holds the lock, and does not say in time where it listens.
    #[error("another process has the server{}, and does not say where it listens", of(*.pid))]
    Starting {
        /// Which process, if it has said so.
        pid: Option<u32>,
    },
}

impl HostError {
    /// Whether only a person can help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Serve(error) => error.kind() != ServeErrorKind::InUse,
            Self::Lock { .. } => true,
            Self::Starting { .. } => false,
        }
    }
}

fn of(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// The way into a server of this machine: where it listens under OSCORE, and the credential that it made for whoever
/// may read its data. It has another one after each start.
#[derive(Debug, Clone, PartialEq)]
pub struct Door {
    /// On loopback, the preferred one first.
    pub addresses: Vec<SocketAddr>,
    /// For everything that the owner may do.
    pub credential: LocalCredential,
}

impl Door {
    /// What a server that has come so far says in its lock.
    fn of(running: Running) -> Option<Self> {
        let addresses = reachable(&running);
        let credential = running.local?;
        (!addresses.is_empty()).then_some(Self { addresses, credential })
    }
}

/// The server in this process. It ends when this is dropped: what it has in hand is made durable and answered first.
#[derive(Debug)]
pub struct Host {
    door: Door,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Takes the lock of the data directory and serves under OSCORE on a port of loopback that the system picks.
    ///
    /// # Errors
    ///
    /// Those of [`Server::bind`]; [`ServeErrorKind::InUse`] when another process was faster.
    pub fn start(data_dir: &Path, device: &str) -> Result<Self, ServeError> {
        let mut config = Config::new(data_dir);
        config.device = device.to_owned();
        config.is_brief = true;
        config.listen.push(Listen { address: "127.0.0.1:0".to_owned() });
        let server = Server::bind(config)?;
        let door = running(data_dir)?.and_then(Door::of).ok_or(ServeError::NoListener)?;
        let handle = server.handle();
        let stop = StopSignal::new()?;
        let thread = thread::Builder::new().name("host".to_owned()).spawn(move || {
            if let Err(error) = server.run(stop) {
                tracing::warn!(%error, "the embedded server has ended");
            }
        })?;
        tracing::debug!(addresses = ?door.addresses, "this process is the host now");
        Ok(Self { door, handle, thread: Some(thread) })
    }

    /// The way into it.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Whether it still serves.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.handle.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the embedded server has crashed");
        }
    }
}

/// Where the embedded server is.
#[derive(Debug)]
pub enum Found {
    /// In another process.
    Running(Door),
    /// Here.
    Hosting(Host),
}

/// Finds the server of a data directory through its lock, or takes the lock and becomes it. Of many processes that do
/// so at once, one becomes it; the others wait for its address, until `deadline`.
///
/// # Errors
///
/// When there is none, and none can be started.
pub fn find_or_become(
    data_dir: &Path,
    device: &str,
    deadline: Instant,
) -> Result<Found, HostError> {
    loop {
        let pid = match look(data_dir)? {
            Some(running) => {
                let pid = running.pid;
                match Door::of(running) {
                    Some(door) => return Ok(Found::Running(door)),
                    None => pid,
                }
            }
            None => match Host::start(data_dir, device) {
                Ok(host) => return Ok(Found::Hosting(host)),
                // Somebody was faster; what the file said just then may be old.
                Err(ServeError::InUse { pid, .. }) => pid,
                Err(error) => return Err(error.into()),
            },
        };
        if Instant::now() >= deadline {
            return Err(HostError::Starting { pid });
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Whether some process holds the lock, and it is the server that we know: a later one has another credential, be it at
/// the same address.
pub(crate) fn is_still(data_dir: &Path, door: &Door) -> bool {
    look(data_dir).is_ok_and(|running| running.and_then(Door::of).as_ref() == Some(door))
}

/// Whether some process holds the lock.
pub(crate) fn is_running(data_dir: &Path) -> Result<bool, HostError> {
    look(data_dir).map(|running| running.is_some())
}

/// Whether the server that runs on this data, if one does, listens under OSCORE at one of these addresses.
pub(crate) fn listens_at(data_dir: &Path, addresses: &[SocketAddr]) -> Result<bool, HostError> {
    let Some(running) = look(data_dir)? else { return Ok(false) };
    // An address is this machine's own if a socket can have it.
    let is_own = |ip: IpAddr| UdpSocket::bind((ip, 0)).is_ok();
    Ok(addresses.iter().any(|asked| {
        running.oscore.iter().any(|ours| {
            let is_covered = ours.ip() == asked.ip() || ours.ip().is_unspecified();
            ours.port() == asked.port() && is_covered && is_own(asked.ip())
        })
    }))
}

/// Whether a server has ever kept its data here.
pub(crate) fn has_data(data_dir: &Path) -> bool {
    database(data_dir).exists()
}

fn look(data_dir: &Path) -> Result<Option<Running>, HostError> {
    running(data_dir).map_err(|source| HostError::Lock { data_dir: data_dir.to_owned(), source })
}

/// Its credential is for loopback.
fn is_here(address: SocketAddr) -> bool {
    address.ip().is_loopback() || address.ip().is_unspecified()
}

/// Every interface is reached from here through loopback.
fn reachable(running: &Running) -> Vec<SocketAddr> {
    let here = |&(mut address): &SocketAddr| {
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        address
    };
    running.oscore.iter().filter(|address| is_here(**address)).map(here).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn the_first_becomes_the_host_and_the_second_finds_it() {
        let dir = tempfile::tempdir().unwrap();
        let Found::Hosting(host) = find_or_become(dir.path(), "a", soon()).unwrap() else {
            panic!("nobody else is there");
        };
        let Found::Running(door) = find_or_become(dir.path(), "b", soon()).unwrap() else {
            panic!("the lock is held");
        };
        assert_eq!(&door, host.door());
        assert!(is_still(dir.path(), &door) && is_running(dir.path()).unwrap());
        assert!(host.is_running());

        drop(host);
        assert!(!is_still(dir.path(), &door) && !is_running(dir.path()).unwrap());
        let Ok(Found::Hosting(next)) = find_or_become(dir.path(), "b", soon()) else {
            panic!("nobody is there any more");
        };
        assert_ne!(next.door().credential.secret, door.credential.secret);
    }

    #[test]
    fn of_many_at_once_one_becomes_the_host() {
        let dir = tempfile::tempdir().unwrap();
        let found: Vec<Found> = thread::scope(|scope| {
            let look = || find_or_become(dir.path(), "a", soon()).unwrap();
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(look)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let hosts: Vec<_> = found
            .iter()
            .filter_map(|found| match found {
                Found::Hosting(host) => Some(host.door().clone()),
                Found::Running(_) => None,
            })
            .collect();
        assert_eq!(hosts.len(), 1);
        for found in &found {
            if let Found::Running(door) = found {
                assert_eq!(*door, hosts[0]);
            }
        }
    }

    #[test]
    fn a_wildcard_address_is_reached_through_loopback() {
        let addresses = ["192.0.2.1:7", "0.0.0.0:7", "[::]:7"];
        let oscore = addresses.map(|address| address.parse().unwrap()).to_vec();
        let running = Running { oscore, ..Running::default() };
        let expected: [SocketAddr; 2] =
            ["127.0.0.1:7".parse().unwrap(), "[::1]:7".parse().unwrap()];
        assert_eq!(reachable(&running), expected);
    }
}
