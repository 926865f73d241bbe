//! What came of what was asked of a [`Client`](crate::Client).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use suibi_journal::{ChainId, Cursor, Hash, NoteId, NoteTime, Receipt};

use crate::error::ClientError;
use crate::sync::Refused;

/// A note that was added: durable here, perhaps on the server as well.
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

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Synced {
    /// Own changes that the server confirmed.
    pub receipts: Vec<Receipt>,
    /// Own changes that it does not take. They stay in the outbox.
    pub refused: Vec<Refused>,
    /// Changes that came.
    pub pulled: u64,
    /// Changes in the outbox now.
    pub waiting: u64,
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
}
