//! Why a server does not start, or ends.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use suibi_net::AddressError;
use suibi_store::StoreError;
use thiserror::Error;

/// Why a server does not start, or ends: one sentence, and the thing to change in it.
#[derive(Debug, Error)]
pub enum ServeError {
    /// No listener is named.
    #[error("there is nothing to listen on; name a CoAP or a plain listener")]
    NoListener,
    /// What should be an address is none, or its name does not resolve.
    #[error("cannot listen on «{text}»: {source}")]
    Address {
        /// As it was written.
        text: String,
        /// What is wrong with it.
        source: AddressError,
    },
    /// A CoAP listener with options, of which it has none.
    #[error(
        "cannot listen on «{0}»: options after a comma are for --plain only; leave them out here"
    )]
    CoapOptions(String),
    /// A plain listener that others could reach, which nobody has asked for.
    #[error(
        "{address} can be reached from other machines, and the plain dialect is open to everybody who \
         reaches it; use 127.0.0.1, or allow it with --plain-anyone"
    )]
    PlainReach {
        /// The address.
        address: SocketAddr,
    },
    /// A history datagram that is too small for anything, or larger than UDP carries.
    #[error("a history datagram has 1 to {max} bytes, not {0}", max = crate::plain::MAX_DATAGRAM_BYTES)]
    PlainMax(usize),
    /// The system does not give us the address.
    #[error("cannot listen on {address}: {}", bind_reason(.source, *.address))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Another server runs on the same data.
    #[error(
        "another suibi server{} runs on {}; end it, or choose another data directory",
        process(*.pid), .data_dir.display()
    )]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// Its process, if it has written it down.
        pid: Option<u32>,
        /// Where it listens.
        listeners: Vec<SocketAddr>,
    },
    /// The data directory cannot be made or written.
    #[error("the data directory {} cannot be used: {}", .data_dir.display(), directory_reason(.source))]
    DataDir {
        /// The data directory.
        data_dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("the notes in {} cannot be opened: {source}", .data_dir.display())]
    Store {
        /// The data directory.
        data_dir: PathBuf,
        /// What is wrong with it.
        source: StoreError,
    },
    /// A part of the server has panicked; on standard error it said why.
    #[error("the {0} of the server has failed; what it had acknowledged is kept, start it again")]
    Crashed(&'static str),
    /// The system refused something that servers need: threads, files, random bytes.
    #[error("the system does not let a server run: {0}")]
    System(#[from] io::Error),
}

/// Whose fault a [`ServeError`] is, so that a program can choose its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServeErrorKind {
    /// What was asked for makes no sense.
    Usage,
    /// An address that cannot be had.
    Network,
    /// Another server is in the way.
    InUse,
    /// The disk, or what is on it.
    Data,
    /// The system.
    System,
}

impl ServeError {
    /// Whose fault it is.
    pub fn kind(&self) -> ServeErrorKind {
        match self {
            Self::NoListener
            | Self::CoapOptions(_)
            | Self::PlainReach { .. }
            | Self::PlainMax(_) => ServeErrorKind::Usage,
            Self::Address { source, .. } if source.is_permanent() => ServeErrorKind::Usage,
            Self::Address { .. } | Self::Bind { .. } => ServeErrorKind::Network,
            Self::InUse { .. } => ServeErrorKind::InUse,
            Self::DataDir { .. } | Self::Store { .. } => ServeErrorKind::Data,
            Self::System(_) | Self::Crashed(_) => ServeErrorKind::System,
        }
    }
}

fn bind_reason(error: &io::Error, address: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program uses this port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "ports below 1024 need a right that this process does not have; choose a higher one"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

fn directory_reason(error: &io::Error) -> String {
    let reason = match error.kind() {
        io::ErrorKind::PermissionDenied => "this user may not write there".to_owned(),
        io::ErrorKind::ReadOnlyFilesystem => "it is on a disk that is read-only".to_owned(),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a file is in its place".to_owned()
        }
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    };
    format!("{reason}; mend that, or choose another one with --data-dir")
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
