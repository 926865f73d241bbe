//! What a handler answers when it cannot do what was asked.

use std::time::Duration;

use suibi_coap::{Code, OptionNumber, Response};
use suibi_journal::MAX_TEXT_BYTES;
use suibi_store::StoreError;

/// A refusal with a sentence that a person can act on (RFC 7252 §5.5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(Box<Response>);

impl Problem {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self(Box::new(Response::diagnostic(code, text)))
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(Code::BAD_REQUEST, text)
    }

    pub(crate) fn text_too_long(len: usize) -> Self {
        let mut problem = Self::new(
            Code::REQUEST_ENTITY_TOO_LARGE,
            format!("the text has {len} bytes; a note may have {MAX_TEXT_BYTES}, split it"),
        );
        // RFC 7959 §2.9.3: how much would be taken.
        problem.0.options.set_uint(OptionNumber::SIZE1, MAX_TEXT_BYTES as u32);
        problem
    }

    /// More waits than can be done soon.
    pub(crate) fn overloaded() -> Self {
        Self::new(Code::SERVICE_UNAVAILABLE, "too much to do just now; try again in a second")
            .later(Duration::from_secs(1))
    }

    /// What comes too late to be done.
    pub(crate) fn ending() -> Self {
        Self::new(Code::SERVICE_UNAVAILABLE, "the server ends; ask again when it is back")
            .later(Duration::from_secs(1))
    }

    /// An address that proves nothing asks too much (RFC 8516).
    pub(crate) fn too_many() -> Self {
        Self::new(
            Code::TOO_MANY_REQUESTS,
            "too many requests from your address; try again in a second",
        )
        .later(Duration::from_secs(1))
    }

    /// A batch that could not be made durable.
    pub(crate) fn not_kept(error: &StoreError) -> Self {
        Self::store(error, format!("not kept: {error}"))
    }

    /// With the state that the condition of the request did not meet.
    pub(crate) fn etag(self, etag: &[u8]) -> Self {
        Self(Box::new(self.0.etag(etag)))
    }

    fn store(error: &StoreError, text: String) -> Self {
        if error.is_permanent() {
            return Self::new(Code::INTERNAL_SERVER_ERROR, text);
        }
        let wait = if matches!(error, StoreError::Busy) { 1 } else { 10 };
        Self::new(Code::SERVICE_UNAVAILABLE, text).later(Duration::from_secs(wait))
    }

    /// With 5.03, Max-Age is how long to wait (RFC 7252 §5.9.3.4).
    fn later(self, wait: Duration) -> Self {
        Self(Box::new(self.0.max_age(wait)))
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        *problem.0
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the store cannot be read");
        Self::store(&error, format!("cannot be read: {error}"))
    }
}
