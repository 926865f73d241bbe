//! The embedded server: found through the lock of its directory, or run in this very process.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use thiserror::Error;

/// Why there is no embedded server.
#[derive(Debug, Error)]
pub enum HostError {
    /// Somebody holds the lock, and does not say where it listens.
    #[error("another process is just starting the server, and does not come to an end")]
    Starting,
}

impl HostError {
    /// Whether only a person can help.
    pub fn is_permanent(&self) -> bool {
        false
    }
}

/// The server in this process. It ends when this is dropped.
#[derive(Debug)]
pub struct Host {
    address: SocketAddr,
}

impl Host {
    /// Where it listens, on loopback.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it still runs.
    pub fn is_running(&self) -> bool {
        true
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

/// Finds the server of a data directory through its lock, or takes the lock and becomes it.
pub(crate) fn find_or_become(
    _data_dir: &Path,
    _device: &str,
    _deadline: Instant,
) -> Result<Found, HostError> {
    Err(HostError::Starting)
}

/// Whether some process holds the lock, and says that it listens at `address`.
pub(crate) fn is_running(_data_dir: &Path, _address: Option<SocketAddr>) -> bool {
    false
}
