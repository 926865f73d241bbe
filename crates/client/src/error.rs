//! Why something could not be done, and what may be behind it.

use std::path::PathBuf;

use suibi_coap::{Code, Response};
use suibi_journal::admission::MAX_NAME_BYTES;
use suibi_journal::{NoteId, TimeError};
use suibi_store::{NoteRefused, StoreError};
use thiserror::Error;

use crate::host::HostError;
use crate::membership::Membership;
use crate::place::PlaceError;
use crate::private::PrivateFileError;
use crate::remote::RemoteError;

/// Why something could not be done.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The replica.
    #[error("the notes kept here")]
    Store(#[from] StoreError),
    /// The note itself.
    #[error(transparent)]
    Note(#[from] NoteRefused),
    /// The note is another one than the one that was shown: edited or deleted meanwhile, here or elsewhere.
    #[error("the note was changed in the meantime")]
    Changed(NoteId),
    /// There is nothing to restore: the note is not deleted.
    #[error("the note is not deleted")]
    NotDeleted(NoteId),
    /// There is nothing to restore: the note was erased for good, or its texts never came here.
    #[error("no text of the note is kept here")]
    NothingToRestore(NoteId),
    /// A receipt that is none.
    #[error("«{0}» is no receipt; a receipt looks like #1284 · 3f9ac1")]
    Receipt(String),
    /// The server's address.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// No answer from the server.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The server's answer.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The embedded server.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The membership, or another small file beside the replicas.
    #[error(transparent)]
    Files(#[from] PrivateFileError),
    /// A joined place without a membership: it was removed meanwhile.
    #[error("this machine has not joined any server ({} is missing)", .0.display())]
    NotJoined(PathBuf),
    /// The server says, and has proved to be the server, that this device was cut off. What is here is kept.
    #[error("the server «{server}» has cut this device off (it knows it as «{device}»)")]
    Revoked {
        /// What the server calls this device.
        device: String,
        /// What the server calls itself.
        server: String,
    },
    /// A note cannot be added: this device may only read in the journal that it has joined.
    #[error("«{}» may read the journal «{}» on «{}» and not write there", .0.device, .0.journal, .0.server)]
    ReadOnly(Member),
    /// Nothing can be asked: this device may only add notes to the journal that it has joined.
    #[error(
        "«{}» may add notes to the journal «{}» on «{}» and read nothing there",
        .0.device, .0.journal, .0.server
    )]
    WriteOnly(Member),
    /// An owner's command, and this device is none of the server's administrators.
    #[error("«{device}» may not administer the server «{server}» that this machine has joined")]
    NotAdmin {
        /// What the server calls this device.
        device: String,
        /// What the server calls itself.
        server: String,
    },
    /// A joined server is silent, several times in a row.
    ///
    /// A server keeps silent to a device that it does not know, so it may be one whose data is older than the join. That
    /// and `may_be_another` are guesses: silence proves nothing.
    #[error(
        "no answer {tries} times in a row; {}", unanswered(*.may_be_another)
    )]
    Unanswered {
        /// How often nobody answered, by now.
        tries: u32,
        /// Something answered without proving who it is: another program at that address, or a forger.
        may_be_another: bool,
        /// The last time.
        source: RemoteError,
    },
    /// The system's clock.
    #[error("the clock of this machine")]
    Clock(#[from] TimeError),
    /// The device's name.
    #[error(
        "a device's name has 1 to {MAX_NAME_BYTES} bytes and no control characters, «{0}» does not fit"
    )]
    Device(String),
    /// A thread could not be started.
    #[error("no thread for the background")]
    Thread(#[source] std::io::Error),
}

/// Which device, where: of whom it is said that it may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What the server calls this device.
    pub device: String,
    /// The journal.
    pub journal: String,
    /// What the server calls itself.
    pub server: String,
}

impl From<&Membership> for Member {
    fn from(Membership { device, journal, server, .. }: &Membership) -> Self {
        Self { device: device.clone(), journal: journal.clone(), server: server.clone() }
    }
}

fn unanswered(may_be_another: bool) -> &'static str {
    if may_be_another {
        "something at that address answers that cannot prove to be the server: it may be another one by now"
    } else {
        "perhaps the server does not know this device any more: its data may come from a backup made before this device \
         joined"
    }
}

impl ClientError {
    /// Whether it only says that the server is out of reach: what was written is kept, and goes there later.
    pub fn is_offline(&self) -> bool {
        match self {
            Self::Remote(_) | Self::Unanswered { .. } => true,
            Self::Place(error) => !error.is_permanent(),
            Self::Sync(error) => !error.is_permanent(),
            Self::Host(error) => !error.is_permanent(),
            _ => false,
        }
    }

    /// Whether the replica writes nothing more until it is opened anew.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, Self::Store(StoreError::Broken(_)))
    }
}

/// Why a run ended before its end. What it has kept until then stays.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyncError {
    /// The server has no time or no disk; asking again later is right.
    #[error("the server is busy ({code}{})", said(.text))]
    Busy {
        /// 5.03 and its like.
        code: Code,
        /// What it said about it.
        text: String,
    },
    /// The server refuses the request as a whole.
    #[error("the server refuses ({code}{})", said(.text))]
    Refused {
        /// The code of the answer.
        code: Code,
        /// What it said about it.
        text: String,
    },
    /// An answer that is no answer to what was asked: another protocol version, or a damaged server.
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(String),
}

impl SyncError {
    /// What an answer that is no success says.
    pub(crate) fn of(response: &Response) -> Self {
        let (code, text) = (response.code, response.text().trim().to_owned());
        match code {
            Code::SERVICE_UNAVAILABLE
            | Code::INTERNAL_SERVER_ERROR
            | Code::GATEWAY_TIMEOUT
            | Code::TOO_MANY_REQUESTS
            | Code::REQUEST_ENTITY_INCOMPLETE => Self::Busy { code, text },
            _ => Self::Refused { code, text },
        }
    }

    /// Whether asking again brings the same.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Busy { .. })
    }
}

/// A sentence of the server behind what we say of it.
pub(crate) fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}
