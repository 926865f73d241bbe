//! Plain to protected (RFC 8613 §8.1, §8.3).

use suibi_coap::{Request, Response};
use thiserror::Error;

use crate::{Context, RequestId};

/// Whose number makes the nonce of an answer (RFC 8613 §5.2, §8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// The request's. For one answer only, and only if the request's number was new to a window
    /// that is alive: nothing else keeps the nonce from being used twice.
    OfRequest,
    /// One of our own, which travels with the answer. For notifications, and when in doubt.
    Own,
}

/// Why a message cannot be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProtectError {
    /// All 2^40 numbers of this context were used (§7.2.1).
    #[error("all sequence numbers of the security context are used up")]
    NumbersUsedUp,
    /// Longer than the cipher takes: 65,535 bytes with code and options.
    #[error("too long to be protected")]
    TooLong,
    /// Proxy-Uri would show the path to everybody (§4.1.3.3); Proxy-Scheme does not.
    #[error("Proxy-Uri cannot be protected")]
    ProxyUri,
}

impl Context {
    /// Protects a request under our next number (§8.1).
    ///
    /// `sends_kid_context`: whether the ID Context goes along for the server to find the context.
    ///
    /// # Errors
    /// See [`ProtectError`]; nothing was used up then.
    pub fn protect_request(
        &mut self,
        request: &Request,
        sends_kid_context: bool,
    ) -> Result<(Request, RequestId), ProtectError> {
        let _ = (request, sends_kid_context);
        unimplemented!()
    }

    /// Protects an answer to that request (§8.3).
    ///
    /// # Errors
    /// See [`ProtectError`]; nothing was used up then.
    pub fn protect_response(
        &mut self,
        response: &Response,
        request: RequestId,
        number: Number,
        kid_context: Option<&[u8]>,
    ) -> Result<Response, ProtectError> {
        let _ = (response, request, number, kid_context);
        unimplemented!()
    }
}
