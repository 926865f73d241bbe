//! Why a join did not happen, and what to do next.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use suibi_coap::Code;
use suibi_journal::admission::MAX_NAME_BYTES;
use thiserror::Error;

use crate::error::{ClientError, said};
use crate::membership::Membership;
use crate::place::PlaceError;
use crate::private::PrivateFileError;

/// Why a join did not happen. The text names the cause, [`JoinError::hint`] the next thing to do.
#[derive(Debug, Error)]
pub enum JoinError {
    /// This machine has joined a server before.
    #[error(
        "this machine has joined the server «{}» ({}) as «{}» already", .0.server, .0.address, .0.device
    )]
    AlreadyJoined(Box<Membership>),
    /// The invite let somebody in before.
    #[error("{}", or(.text, "this invite was used already"))]
    Used {
        /// What the server said about it: when.
        text: String,
    },
    /// The invite's time is over.
    #[error("{}", or(.text, "this invite has expired"))]
    Expired {
        /// What the server said about it: when, and what its clock says.
        text: String,
    },
    /// Nothing came back.
    #[error("nobody answers at {address} (waited {} s)", waited.as_secs())]
    NoAnswer {
        /// Who was asked.
        address: SocketAddr,
        /// How long.
        waited: Duration,
    },
    /// The server let us in, and then did not answer to the new credential in time.
    #[error("the server at {address} has let this device in, and then did not answer any more")]
    NotConfirmed {
        /// Who was asked.
        address: SocketAddr,
    },
    /// The machine is there, and nobody listens.
    #[error("nobody listens at {address}")]
    Unreachable {
        /// Who was asked.
        address: SocketAddr,
    },
    /// The line names an address that means "this machine" wherever it is read, and no server of it is here.
    #[error(
        "the line leads to {address}, which is this machine itself, and its server is not here"
    )]
    LoopbackElsewhere {
        /// The address.
        address: SocketAddr,
    },
    /// The line leads to the server that runs on the very data that would join it.
    #[error("the line leads to the server of this machine itself, which needs no invite")]
    OwnServer,
    /// This machine has no way there.
    #[error("this machine has no way to {address}")]
    Offline {
        /// Who was to be asked.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The line's host has no address.
    #[error("the address of «{host}» is not found")]
    Unresolvable {
        /// The host as the line names it.
        host: String,
        /// What the resolver said.
        source: PlaceError,
    },
    /// Something speaks CoAP there, and does not know the invite.
    #[error("a server answers at {address}, and does not know this invite")]
    NotOurs {
        /// Who was asked.
        address: SocketAddr,
    },
    /// The server says no.
    #[error("the server refuses the join ({code}{})", said(.text))]
    Refused {
        /// The code of its answer.
        code: Code,
        /// What it said about it.
        text: String,
    },
    /// The server has no time, or no disk.
    #[error("the server cannot let anybody in just now ({code}{})", said(.text))]
    Busy {
        /// The code of its answer.
        code: Code,
        /// What it said about it.
        text: String,
    },
    /// The answer is none to what was asked.
    #[error("the server's answer makes no sense: {0}")]
    Nonsense(String),
    /// A name that no device can have.
    #[error(
        "«{0}» is no name for a device: 1 to {MAX_NAME_BYTES} bytes, no control characters, no space at its ends"
    )]
    Device(String),
    /// Another process joins on this very data.
    #[error("another suibi on this machine is joining right now")]
    InProgress,
    /// The notes that this machine had could not be taken along.
    #[error("the notes of this machine cannot be taken along")]
    Carry(#[source] ClientError),
    /// Files of this machine.
    #[error(transparent)]
    Files(#[from] PrivateFileError),
    /// Anything else of this machine: its replica, its sockets.
    #[error(transparent)]
    Local(#[from] ClientError),
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

impl JoinError {
    /// The next thing to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::AlreadyJoined(_) => {
                "suibi status shows it; suibi join --again LINE leaves it for the one of the line"
            }
            Self::Used { .. } => {
                "an invite lets one device in: ask for another one (suibi invite on the server); if it was not you who \
                 used it, suibi devices there shows who did"
            }
            Self::Expired { .. } => {
                "ask for another one: suibi invite on the server; --expires 1h lasts longer"
            }
            Self::NoAnswer { .. } => {
                "is the server running, and does its firewall let UDP in? Then join with the same line again; the \
                 invite is not lost"
            }
            Self::NotConfirmed { .. } => "join with the same line again; the invite is not lost",
            Self::Unreachable { .. } => {
                "start the server (suibi serve), or ask for a line with its right port; then join with the same line \
                 again"
            }
            Self::LoopbackElsewhere { .. } => {
                "on the server: suibi serve --listen :5683, then suibi invite --host NAME with a name or an address \
                 that others can reach"
            }
            Self::OwnServer => {
                "notes written here are on it already; on another device: suibi join LINE"
            }
            Self::Offline { .. } => {
                "is it online? Then join with the same line again; the invite is not lost"
            }
            Self::Unresolvable { .. } => {
                "is this machine online, and the host spelled right? suibi invite --host ADDRESS on the server makes a \
                 line with an address in digits"
            }
            Self::NotOurs { .. } => {
                "is it the server that made the line? It may be another one, or its data older than the invite: ask \
                 for another one (suibi invite on the server)"
            }
            Self::Refused { .. } | Self::Nonsense(_) => {
                "the same version of suibi on both sides helps; suibi audit on the server may say more"
            }
            Self::Busy { .. } => {
                "join with the same line again in a minute; the invite is not lost"
            }
            Self::Device(_) => "choose another one: suibi join --name NAME LINE",
            Self::InProgress => "wait for it, or end it",
            Self::Carry(_) => {
                "nothing was changed; when that is mended, join with the same line again"
            }
            Self::Files(_) | Self::Local(_) => {
                "nothing was lost; when that is mended, join with the same line again"
            }
        }
    }
}
