//! The embedded server: found through the lock of its directory, or run in this very process.
//!
//! ```text
//!            ┌── the lock is held ──> its address ──> talk to it ──┐
//!  look ─────┤                                                     ├── it is gone ──> look again
//!            └── it is free ───────> take it, be the host ─────────┘
//! ```

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use suibi_server::{
    Config, Listen, Running, ServeError, ServeErrorKind, Server, ServerHandle, StopSignal, running,
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
    /// The server that runs on this data does not speak CoAP.
    #[error(
        "the server of this data{} has no CoAP listener: start it with --insecure-coap 127.0.0.1:0 as well",
        of(*.pid)
    )]
    NoCoap {
        /// Which process.
        pid: Option<u32>,
    },
}

impl HostError {
    /// Whether only a person can help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Serve(error) => error.kind() != ServeErrorKind::InUse,
            Self::Lock { .. } | Self::NoCoap { .. } => true,
            Self::Starting { .. } => false,
        }
    }
}

fn of(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

/// The server in this process. It ends when this is dropped: what it has in hand is made durable and answered first.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Takes the lock of the data directory and serves on a port of loopback that the system picks.
    ///
    /// # Errors
    ///
    /// Those of [`Server::bind`]; [`ServeErrorKind::InUse`] when another process was faster.
    pub fn start(data_dir: &Path, device: &str) -> Result<Self, ServeError> {
        let mut config = Config::new(data_dir);
        config.device = device.to_owned();
        config.coap.push(Listen { address: "127.0.0.1:0".to_owned() });
        let server = Server::bind(config)?;
        let address = server.listeners().first().ok_or(ServeError::NoListener)?.address;
        let handle = server.handle();
        let stop = StopSignal::new()?;
        let thread = thread::Builder::new().name("host".to_owned()).spawn(move || {
            if let Err(error) = server.run(stop) {
                tracing::warn!(%error, "the embedded server has ended");
            }
        })?;
        tracing::debug!(%address, "this process is the host now");
        Ok(Self { address, handle, thread: Some(thread) })
    }

    /// Where it listens, on loopback.
    pub fn address(&self) -> SocketAddr {
        self.address
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
    /// In another process, at these addresses.
    Running(Vec<SocketAddr>),
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
            Some(running) if !running.coap.is_empty() => {
                return Ok(Found::Running(reachable(&running)));
            }
            Some(Running { pid, plain, .. }) if !plain.is_empty() => {
                return Err(HostError::NoCoap { pid });
            }
            Some(Running { pid, .. }) => pid,
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

/// Whether some process holds the lock, and says that it listens at `address`.
pub(crate) fn is_running_at(data_dir: &Path, address: SocketAddr) -> bool {
    look(data_dir)
        .is_ok_and(|running| running.is_some_and(|running| reachable(&running).contains(&address)))
}

/// Whether some process holds the lock.
pub(crate) fn is_running(data_dir: &Path) -> Result<bool, HostError> {
    look(data_dir).map(|running| running.is_some())
}

fn look(data_dir: &Path) -> Result<Option<Running>, HostError> {
    running(data_dir).map_err(|source| HostError::Lock { data_dir: data_dir.to_owned(), source })
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
    running.coap.iter().map(here).collect()
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
        let Found::Running(addresses) = find_or_become(dir.path(), "b", soon()).unwrap() else {
            panic!("the lock is held");
        };
        assert_eq!(addresses, [host.address()]);
        assert!(is_running_at(dir.path(), host.address()));
        assert!(host.is_running());

        let address = host.address();
        drop(host);
        assert!(!is_running_at(dir.path(), address));
        assert!(matches!(find_or_become(dir.path(), "b", soon()), Ok(Found::Hosting(_))));
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
                Found::Hosting(host) => Some(host.address()),
                Found::Running(_) => None,
            })
            .collect();
        assert_eq!(hosts.len(), 1);
        for found in &found {
            if let Found::Running(addresses) = found {
                assert_eq!(*addresses, hosts);
            }
        }
    }

    #[test]
    fn a_wildcard_address_is_reached_through_loopback() {
        let coap = vec!["0.0.0.0:7".parse().unwrap(), "[::]:7".parse().unwrap()];
        let running = Running { coap, ..Running::default() };
        let expected: [SocketAddr; 2] =
            ["127.0.0.1:7".parse().unwrap(), "[::1]:7".parse().unwrap()];
        assert_eq!(reachable(&running), expected);
    }
}
