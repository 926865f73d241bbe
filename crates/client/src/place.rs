//! Which server a client belongs to, and what its files are called.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use suibi_journal::Hash;
use suibi_net::{AddressError, resolve};
use thiserror::Error;

use crate::membership::Membership;
use crate::private::PrivateFileError;

/// The port of CoAP (RFC 7252 §12.6).
pub const DEFAULT_PORT: u16 = 5683;

/// Where the server of a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On this machine, in whichever `suibi` process runs first.
    Embedded {
        /// The server's data directory; whoever holds its lock is the host.
        data_dir: PathBuf,
    },
    /// The server that this machine has joined, as its membership says.
    Joined {
        /// The directory of the membership.
        data_dir: PathBuf,
    },
    /// A server that somebody runs, on a listener without protection.
    Server {
        /// `HOST:PORT`, `HOST` or `[IPV6]:PORT`, with or without `coap://`.
        address: String,
    },
}

/// Why a server's address cannot be used.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// It is no address, or the name is not known.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The names of this machine's resolver take longer than we may wait.
    #[error("looking up «{0}» takes too long")]
    Slow(String),
}

impl PlaceError {
    /// Whether only a person can help.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Address(error) if error.is_permanent())
    }
}

impl Place {
    /// Where a data directory belongs: to the server that it has joined, else to the embedded one.
    ///
    /// # Errors
    ///
    /// When there is a membership that cannot be read; nobody should write elsewhere meanwhile.
    pub fn of(data_dir: &Path) -> Result<Self, PrivateFileError> {
        let data_dir = data_dir.to_owned();
        Ok(match Membership::load(&data_dir)? {
            Some(_) => Self::Joined { data_dir },
            None => Self::Embedded { data_dir },
        })
    }
}

/// The replica of the embedded server, without directory.
pub const EMBEDDED_REPLICA: &str = "replica-embedded.db";

/// The replica of a server that is named by its address, without directory. Each has its own:
/// `replica-127.0.0.1+5683.db`.
pub(crate) fn named_replica(address: &str) -> String {
    format!("replica-{}.db", file_name(&with_port(address)))
}

/// The replica of a journal that this machine has joined, without directory: `joined-notes.example+5683-notes.db`.
pub(crate) fn joined_replica(address: &str, journal: &str) -> String {
    let (address, name) = (with_port(address), file_name(journal));
    let whole = format!("joined-{}-{name}.db", file_name(&address));
    if whole.len() <= MAX_FILE_NAME_BYTES {
        return whole;
    }
    let hash = Hash::of(format!("{address} {journal}").as_bytes()).to_string();
    format!("joined-{}.db", &hash[..32])
}

/// A name that leaves room for what SQLite adds (`-index.db-journal`), below the 255 bytes of most file systems.
const MAX_FILE_NAME_BYTES: usize = 200;

/// All addresses of a server elsewhere, within a bound: the system's resolver may take half a minute.
pub(crate) fn look_up(address: &str, within: Duration) -> Result<Vec<SocketAddr>, PlaceError> {
    let bare = bare(address);
    if bare.parse::<SocketAddr>().is_ok() {
        return Ok(resolve(bare, DEFAULT_PORT)?);
    }
    let (sender, receiver) = mpsc::channel();
    let text = bare.to_owned();
    // The thread ends with the lookup; nobody else can end it.
    let thread = thread::Builder::new().name("resolver".into()).spawn(move || {
        let _ = sender.send(resolve(&text, DEFAULT_PORT));
    });
    if thread.is_err() {
        return Ok(resolve(bare, DEFAULT_PORT)?);
    }
    match receiver.recv_timeout(within) {
        Ok(addresses) => Ok(addresses?),
        Err(_) => Err(PlaceError::Slow(bare.to_owned())),
    }
}

/// The address without scheme and slash.
fn bare(address: &str) -> &str {
    let address = address.trim();
    let address = address.strip_prefix("coap://").unwrap_or(address);
    address.trim_end_matches('/')
}

/// The same server written with and without the usual port is the same server.
fn with_port(address: &str) -> String {
    let text = bare(address).to_lowercase();
    let bracketed = text.ends_with(']');
    let colons = text.matches(':').count();
    match colons {
        0 => format!("{text}:{DEFAULT_PORT}"),
        _ if bracketed => format!("{text}:{DEFAULT_PORT}"),
        1 => text,
        _ if text.starts_with('[') => text,
        // A bare IPv6 address has no room for a port.
        _ => format!("[{text}]:{DEFAULT_PORT}"),
    }
}

/// A file name for an address: two addresses never get the same one.
fn file_name(address: &str) -> String {
    let mut name = String::with_capacity(address.len());
    for c in address.chars() {
        match c {
            'a'..='z' | '0'..='9' | '.' | '-' => name.push(c),
            ':' => name.push('+'),
            '[' | ']' => {}
            _ => name.push_str(&format!("_{:x}_", u32::from(c))),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::named_replica as replica;

    #[test]
    fn every_server_has_a_replica_of_its_own() {
        assert_eq!(replica("127.0.0.1:4242"), "replica-127.0.0.1+4242.db");
        assert_eq!(replica("notes.example:1"), "replica-notes.example+1.db");
        assert_eq!(replica("[::1]:7"), "replica-++1+7.db");
        assert_ne!(replica("a_b:1"), replica("a-b:1"));
    }

    #[test]
    fn one_server_has_one_replica_however_it_is_written() {
        for same in
            ["Notes.example", "notes.example:5683", "coap://notes.example/", " notes.example "]
        {
            assert_eq!(replica(same), "replica-notes.example+5683.db", "{same}");
        }
        for same in ["::1", "[::1]", "coap://[::1]:5683"] {
            assert_eq!(replica(same), "replica-++1+5683.db", "{same}");
        }
    }

    #[test]
    fn every_joined_journal_has_a_replica_of_its_own() {
        let notes = joined_replica("notes.example:5683", "notes");
        assert_eq!(notes, "joined-notes.example+5683-notes.db");
        assert_eq!(joined_replica("Notes.example", "notes"), notes);
        assert_ne!(joined_replica("notes.example", "work"), notes);
        let long = joined_replica("notes.example", &"日".repeat(21));
        assert!(long.len() <= MAX_FILE_NAME_BYTES && long != joined_replica("a", &"日".repeat(21)));
    }

    #[test]
    fn an_address_never_leaves_its_directory() {
        for name in [replica("../../etc/x:1"), joined_replica("a/b", "../../etc/x")] {
            assert!(!name.contains('/'), "{name}");
        }
    }

    #[test]
    fn an_address_in_digits_needs_no_resolver() {
        let found = look_up("coap://127.0.0.1:9", Duration::ZERO).unwrap();
        assert_eq!(found, ["127.0.0.1:9".parse().unwrap()]);
    }
}
