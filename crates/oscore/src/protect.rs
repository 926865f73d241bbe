//! Plain to protected (RFC 8613 §8.1, §8.3).

use bytes::{BufMut, Bytes, BytesMut};
use ccm::AeadInPlace;
use suibi_coap::{Code, OptionNumber, Options, Request, Response, wire};
use thiserror::Error;

use crate::{
    Context, KeyId, KidContext, RequestId,
    nonce::{Aad, NONCE_LEN, PartialIv, nonce},
    option,
};

/// The options that stay outside, where proxies can read them (Class U alone, Figure 5).
///
/// Observe is inside and outside (§4.1.3.5), Proxy-Uri is refused. Everything else, known to us
/// or not, is inside.
pub(crate) const OUTER: [OptionNumber; 3] =
    [OptionNumber::URI_HOST, OptionNumber::URI_PORT, OptionNumber::PROXY_SCHEME];

/// Length of the tag behind the ciphertext, in bytes.
pub(crate) const TAG_LEN: usize = 8;

/// The longest plaintext: a nonce of 13 bytes leaves two for its length (RFC 3610 §2.2).
const MAX_PLAINTEXT_LEN: usize = 65_535;

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
    /// Longer than the cipher takes, 65,535 bytes with code and options; or an ID Context above
    /// 255 bytes.
    #[error("too long to be protected")]
    TooLong,
    /// It has an OSCORE option already (§4.1.3.7).
    #[error("protected already")]
    Nested,
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
        if request.options.has(OptionNumber::PROXY_URI) {
            return Err(ProtectError::ProxyUri);
        }
        let inner = request.options.iter().filter(|(number, _)| !OUTER.contains(number));
        let inner = inner.map(|(number, value)| (number, &value[..]));
        let room = self.id_context().map_or(0, <[u8]>::len);
        let mut text = plaintext(request.method, &request.options, inner, &request.payload, room)?;
        let mut outer = Options::new();
        for number in OUTER {
            for value in request.options.get_all(number) {
                outer.add(number, value.clone());
            }
        }
        let mut method = Code::POST;
        if let Some(value) = request.options.get(OptionNumber::OBSERVE) {
            outer.add(OptionNumber::OBSERVE, value.clone());
            method = Code::FETCH;
        }

        let (piv, partial_iv) = self.take_number()?;
        let kid = self.sender;
        let nonce = nonce(&self.common_iv, kid, partial_iv);
        self.encrypt(&nonce, &Aad::new(kid, partial_iv), &mut text);
        let kid_context = self.id_context().filter(|_| sends_kid_context);
        let payload = finish(text, &mut outer, Some(partial_iv), kid_context, Some(kid));
        let request = Request { method, options: outer, payload };
        Ok((request, RequestId { kid, piv }))
    }

    /// Protects an answer to that request (§8.3).
    ///
    /// An answer with Observe is a notification: its order is that of its own number, and the
    /// value of the option is not protected (§4.1.3.5.2).
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
        if kid_context.is_some_and(|kid_context| kid_context.len() > KidContext::MAX_LEN) {
            return Err(ProtectError::TooLong);
        }
        let request_iv = PartialIv::new(request.piv).ok_or(ProtectError::NumbersUsedUp)?;
        // Observe is empty inside.
        let inner = response.options.iter().map(|(number, value)| match number {
            OptionNumber::OBSERVE => (number, &[][..]),
            _ => (number, &value[..]),
        });
        let room = kid_context.map_or(0, <[u8]>::len);
        let mut text = plaintext(response.code, &response.options, inner, &response.payload, room)?;
        let mut outer = Options::new();
        let mut code = Code::CHANGED;
        if let Some(value) = response.options.get(OptionNumber::OBSERVE) {
            outer.add(OptionNumber::OBSERVE, value.clone());
            code = Code::CONTENT;
        }

        // The id is always that of whose number it is, so that the two kinds never meet.
        let (nonce, own_iv) = match number {
            Number::OfRequest => {
                self.check_number()?;
                (nonce(&self.common_iv, self.recipient, request_iv), None)
            }
            Number::Own => {
                let (_, own_iv) = self.take_number()?;
                (nonce(&self.common_iv, self.sender, own_iv), Some(own_iv))
            }
        };
        self.encrypt(&nonce, &Aad::new(request.kid, request_iv), &mut text);
        let payload = finish(text, &mut outer, own_iv, kid_context, None);
        Ok(Response { code, options: outer, payload })
    }

    /// Encrypts in place, and appends the tag.
    pub(crate) fn encrypt(&self, nonce: &[u8; NONCE_LEN], aad: &Aad, text: &mut BytesMut) {
        let tag = self
            .sender_key
            .cipher()
            .encrypt_in_place_detached(nonce.into(), aad.as_slice(), text)
            .expect("the length was checked");
        text.extend_from_slice(&tag);
    }
}

/// Code, options and payload as they are encrypted (§5.3), with room for what comes behind them: the tag, and the value
/// of the OSCORE option with a kid context of at most `room` bytes.
fn plaintext<'a>(
    code: Code,
    options: &Options,
    inner: impl Iterator<Item = (OptionNumber, &'a [u8])>,
    payload: &[u8],
    room: usize,
) -> Result<BytesMut, ProtectError> {
    if options.has(OptionNumber::OSCORE) {
        return Err(ProtectError::Nested);
    }
    let values: usize = options.iter().map(|(_, value)| value.len() + 5).sum();
    let behind = TAG_LEN + option::MAX_FIXED_LEN + room;
    let mut text = BytesMut::with_capacity(1 + values + 1 + payload.len() + behind);
    text.put_u8(code.byte());
    wire::encode_body(inner, payload, &mut text);
    if text.len() > MAX_PLAINTEXT_LEN { Err(ProtectError::TooLong) } else { Ok(text) }
}

/// Adds the OSCORE option, whose value lies behind the ciphertext: both share one piece of memory.
fn finish(
    mut text: BytesMut,
    outer: &mut Options,
    partial_iv: Option<PartialIv>,
    kid_context: Option<&[u8]>,
    kid: Option<KeyId>,
) -> Bytes {
    let end = text.len();
    option::put(&mut text, partial_iv, kid_context, kid);
    let mut payload = text.freeze();
    outer.add(OptionNumber::OSCORE, payload.split_off(end));
    payload
}
