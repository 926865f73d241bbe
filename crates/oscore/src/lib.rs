//! OSCORE (RFC 8613) without sockets or clocks, and how devices come to share a secret.
//!
//! A [`Context`] is what two peers share: keys, ids, how far each has counted. It turns a request
//! into one that only the other can read, and back; everything else in this crate decides which
//! context that is.
//!
//! ```
//! use suibi_coap::{Code, Request, Response};
//! use suibi_oscore::{Context, KeyId, Number, OscoreOption, Parameters, Secret};
//!
//! let secret = Secret::from_bytes(&[7; 32]).expect("1 to 64 bytes");
//! let [phone, server] = [b"p", b"s"].map(|id| KeyId::from_slice(id).expect("at most 7 bytes"));
//! let mut ours = Context::derive(&Parameters {
//!     secret: &secret, salt: b"", id_context: None, sender: phone, recipient: server,
//! });
//! let mut theirs = Context::derive(&Parameters {
//!     secret: &secret, salt: b"", id_context: None, sender: server, recipient: phone,
//! });
//!
//! let request = Request::new(Code::GET).path("/notes");
//! let (protected, asked) = ours.protect_request(&request, false).expect("numbers are left");
//! assert_eq!(protected.method, Code::POST);
//!
//! let option = OscoreOption::of(&protected.options).expect("protected").expect("well formed");
//! let (read, answers) = theirs.unprotect_request(&protected, &option).expect("the same keys");
//! assert_eq!(read, request);
//!
//! let response = Response::new(Code::CONTENT).payload("milk");
//! let protected = theirs.protect_response(&response, answers, Number::OfRequest, None).expect("short");
//! let (read, _) = ours.unprotect_response(&protected, asked, None).expect("the same keys");
//! assert_eq!(read, response);
//! ```
//!
//! # Choices that RFC 8613 leaves open
//!
//! - One algorithm: AES-CCM-16-64-128 with HKDF-SHA-256, which every peer has to have (§3.2).
//! - The replay window holds 1,024 numbers (§7.4 asks for a window, 32 by default).
//! - Option values that are not in their shortest form are refused (§6.1).
//!
//! - Of what is outside, a request keeps Uri-Host and Uri-Port alone (§4.1.3.2).
//!
//! Absent: Proxy-Uri (§4.1.3.3), block-wise transfer by proxies (§4.1.3.4.2), groups, HTTP.

// RFC 8613: a security context, and messages in it.
mod context;
mod derive;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod key_id;
mod nonce;
mod option;
mod protect;
mod replay;
mod secret;
mod unprotect;

// Which context a message belongs to, and how devices come to share a secret.
mod client;
mod invite;
mod pairing;
mod server;

pub use context::{Context, Parameters, RequestId};
pub use key_id::KeyId;
pub use option::{KidContext, OscoreOption};
pub use protect::{Number, ProtectError};
pub use replay::ReplayWindow;
pub use secret::Secret;
pub use unprotect::UnprotectError;

pub use client::{ClientContext, Hint};
pub use invite::{InviteLine, InviteLineError};
pub use pairing::{JoinSecret, Transcript, credential, invite_key};
pub use server::{ContextLimits, ContextStats, FixedContext, SERVER_ID, ServerContexts};
