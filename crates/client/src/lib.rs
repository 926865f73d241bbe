//! The client: a replica with its outbox, and the way to the server.
//!
//! [`Client`] is what programs use: a note is durable in the replica first, delivery follows, and no wait is longer
//! than it says. Underneath, [`Sync`] decides what to ask (it owns no socket, no file, no clock), [`Remote`] carries
//! requests by datagram or stream, and the [`Host`] runs the embedded server where nobody set up another one. With an invite a
//! machine becomes a device of a server elsewhere ([`join`]), and what was written before goes along.
//!
//! All of it speaks OSCORE (RFC 8613), to the embedded server with the credential in its lock, to a joined one with that
//! of the [`Membership`]; only a [`Place::Server`], which somebody named, is spoken to without.
//!
//! ```no_run
//! use std::time::Duration;
//! use suibi_client::{Client, ClientConfig, Place};
//!
//! let data_dir = std::path::PathBuf::from("/tmp/suibi");
//! let place = Place::of(&data_dir)?;
//! let mut client = Client::open(ClientConfig { data_dir, place, device: "laptop".into() })?;
//! let added = client.add("first", None, Default::default())?;
//! match added.receipt {
//!     Some(receipt) => println!("saved · {receipt}"),
//!     None => println!("kept here, not yet on the server ({} waiting)", added.waiting),
//! }
//! # Ok::<(), suibi_client::ClientError>(())
//! ```

mod admin;
mod carry;
mod client;
mod error;
mod host;
mod join;
mod join_error;
mod link;
mod live;
mod membership;
mod outcome;
mod pending;
mod place;
mod private;
mod rebuild;
mod remember;
mod remote;
mod replica;
mod sync;
mod verify;
mod walk;

pub use admin::Admin;
pub use client::{Client, ClientConfig};
pub use error::{ClientError, Member, SyncError};
pub use host::{Door, Found, Host, HostError, find_or_become};
pub use join::{Joined, join, join_again};
pub use join_error::JoinError;
pub use live::LiveEvent;
pub use membership::Membership;
pub use outcome::{Added, DeviceSeen, Purged, Rebuilt, Status, Synced, Transport, Written};
pub use place::{DEFAULT_PORT, EMBEDDED_REPLICA, Place, PlaceError};
pub use private::PrivateFileError;
pub use remote::{CallId, Heard, Observation, Patience, Remote, RemoteError, Stop};
#[doc(hidden)]
pub use replica::take;
pub use sync::{AskId, BULK_BYTES, FIRST_BYTES, Keep, PAGE_BYTES, Refused, Report, Step, Sync};
pub use verify::{Checked, Problem, ReceiptCheck, ReceiptHere, Scope, Side, Verification};
