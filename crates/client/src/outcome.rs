//! What came of what was asked of a [`Client`](crate::Client).

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use suibi_journal::{AuditEntry, ChainId, Cursor, Hash, NoteId, NoteTime, Receipt};

use crate::error::ClientError;
use crate::sync::Refused;

/// A note that was added, edited, deleted or restored: durable here, perhaps on the server as well.
#[derive(Debug)]
pub struct Added {
    /// The note.
    pub note: NoteId,
    /// Its time.
    pub time: NoteTime,
    /// The change that made it: the chain, the place there, the hash.
    pub change: (ChainId, u64, Hash),
    /// The server's word, if it came in time.
    pub receipt: Option<Receipt>,
    /// Changes in the outbox now, this one among them if there is no receipt.
    pub waiting: u64,
    /// What kept it from the server. `None` also while the background delivers, and when another change was refused.
    pub trouble: Option<ClientError>,
    /// What the server does not take, perhaps an earlier change.
    pub refused: Vec<Refused>,
}

/// The same, for what was not added.
pub type Written = Added;

/// A note that was erased on the server.
#[derive(Debug)]
pub struct Purged {
    /// What kept it from being erased here in the same go; the next sync does it.
    pub trouble: Option<ClientError>,
}

/// What a sync did.
#[derive(Debug, Clone, Default)]
pub struct Synced {
    /// Own changes that the server confirmed.
    pub receipts: Vec<Receipt>,
    /// Own changes that it does not take. They stay in the outbox.
    pub refused: Vec<Refused>,
    /// Changes that came.
    pub pulled: u64,
    /// Changes in the outbox now.
    pub waiting: u64,
    /// Changes that were written anew on a chain of their own, because another copy of this replica had written their
    /// places in the old one.
    pub rescued: u64,
    /// Changes that the server had lost and got back.
    pub recovered: u64,
    /// What was done about a replica that could not be used any more.
    pub rebuilt: Option<Rebuilt>,
    /// Why notes that this machine wrote before it joined could not be taken along. The next sync tries again.
    pub left_behind: Option<Arc<ClientError>>,
}

/// A damaged replica that was put aside; a new one was filled from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// Where the damaged file is now, nothing of it removed.
    pub aside: PathBuf,
    /// Changes that were not on the server, and could be read from it.
    pub kept: u64,
}

/// By which way the server was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream on the same port, because datagrams do not get through.
    Tcp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// How far the changes of a device were seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSeen {
    /// Its name.
    pub name: String,
    /// Its chains.
    pub chains: u64,
    /// Its changes, in all of them.
    pub changes: u64,
    /// The time of its newest note, as far as it has one.
    pub last: Option<NoteTime>,
}

/// How things stand.
#[derive(Debug)]
pub struct Status {
    /// The file of the replica.
    pub replica: PathBuf,
    /// Notes in it, deleted ones not counted.
    pub notes: u64,
    /// Changes in the outbox.
    pub waiting: u64,
    /// How far the server's feed was read.
    pub cursor: Cursor,
    /// Where the server is, if it was found.
    pub server: Option<SocketAddr>,
    /// Whether it runs in this process.
    pub is_host: bool,
    /// The end of the server's feed, or why it did not say. A drop is not told: it has its own cursor here when the
    /// server answers.
    pub head: Result<Cursor, ClientError>,
    /// The round trip to it, if one was measured.
    pub rtt: Option<Duration>,
    /// When the server answered last, in milliseconds since 1970; just now if [`Status::head`] is good.
    pub last_contact: Option<i64>,
    /// By which way it answered, if it did.
    pub transport: Option<Transport>,
    /// Whose changes are here, by name, this device among them.
    pub devices: Vec<DeviceSeen>,
    /// What had to be repaired here, oldest first: forks rescued, the replica rebuilt.
    pub repairs: Vec<AuditEntry>,
}
