//! Protected to plain, or why not (RFC 8613 §8.2, §8.4).

use suibi_coap::{Code, Request, Response};
use thiserror::Error;

use crate::{Context, OscoreOption, RequestId};

/// Why a protected message is refused (RFC 8613 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnprotectError {
    /// The option is missing, cut off, or not in its shortest form.
    #[error("failed to decode COSE")]
    BadOption,
    /// Nobody here has a context for these ids.
    #[error("security context not found")]
    UnknownContext,
    /// The key does not fit, the message was altered, or what was in it is no message.
    #[error("decryption failed")]
    DecryptionFailed,
    /// This number was seen before, or is too old to tell.
    #[error("replay detected")]
    Replayed,
}

impl UnprotectError {
    /// What the peer is told (§8.2); the text of the error is the diagnostic payload.
    pub fn code(self) -> Code {
        match self {
            Self::BadOption => Code::BAD_OPTION,
            Self::UnknownContext | Self::Replayed => Code::UNAUTHORIZED,
            Self::DecryptionFailed => Code::BAD_REQUEST,
        }
    }
}

impl Context {
    /// Opens a request; its number counts as used from then on (§8.2).
    ///
    /// `option` is that of `outer`; that its ids are those of this context is the caller's to know.
    ///
    /// # Errors
    /// See [`UnprotectError`]; the replay window is as it was then.
    pub fn unprotect_request(
        &mut self,
        outer: &Request,
        option: &OscoreOption,
    ) -> Result<(Request, RequestId), UnprotectError> {
        let _ = (outer, option);
        unimplemented!()
    }

    /// Opens a request and leaves the replay window alone: it may be an old one sent once more.
    ///
    /// # Errors
    /// See [`UnprotectError`], but never [`UnprotectError::Replayed`].
    pub fn verify_request(
        &self,
        outer: &Request,
        option: &OscoreOption,
    ) -> Result<(Request, RequestId), UnprotectError> {
        let _ = (outer, option);
        unimplemented!()
    }

    /// Opens an answer to our request (§8.4), and says which number of its own it has.
    ///
    /// `newest`: the number of the newest notification to this request, which this one must exceed
    /// (§7.4.1); it may be the first to have one.
    ///
    /// # Errors
    /// See [`UnprotectError`].
    pub fn unprotect_response(
        &self,
        outer: &Response,
        request: RequestId,
        newest: Option<u64>,
    ) -> Result<(Response, Option<u64>), UnprotectError> {
        let _ = (outer, request, newest);
        unimplemented!()
    }
}
