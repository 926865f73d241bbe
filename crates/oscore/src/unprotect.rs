//! Protected to plain, or why not (RFC 8613 §8.2, §8.4).

use bytes::Bytes;
use ccm::{AeadInPlace, Tag, consts::U8};
use suibi_coap::{Code, Message, OptionNumber, Request, Response, wire};
use thiserror::Error;

use crate::{
    Context, OscoreOption, RequestId,
    nonce::{Aad, NONCE_LEN, PartialIv, nonce},
    option::OSCORE,
    protect::{CODE_AT, HEADER_START, OUTER, PLAINTEXT_AT},
};

/// Length of the tag behind the ciphertext, in bytes.
const TAG_LEN: usize = 8;

/// Why a protected message is refused (RFC 8613 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnprotectError {
    /// The option is missing, there twice, cut off, not in its shortest form, or without what a
    /// request needs.
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
    /// `option` is that of `outer`. What a proxy may read stays as it came: Uri-Host, Uri-Port and
    /// the Proxy options are not protected. Everything else outside is dropped.
    ///
    /// # Errors
    /// See [`UnprotectError`]. The replay window moves only if the tag was right.
    pub fn unprotect_request(
        &mut self,
        outer: &Request,
        option: &OscoreOption,
    ) -> Result<(Request, RequestId), UnprotectError> {
        let (plain, id) = self.open_request(outer, option)?;
        if !self.window.check(id.piv) {
            return Err(UnprotectError::Replayed);
        }
        self.window.accept(id.piv);
        Ok((read_request(plain, outer)?, id))
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
        let (plain, id) = self.open_request(outer, option)?;
        Ok((read_request(plain, outer)?, id))
    }

    /// Opens an answer to our request (§8.4), and says which number of its own it has.
    ///
    /// `newest`: the number of the newest answer to this request so far, if it had one. This one
    /// must have a higher one then (§7.4.1), so notifications that were overtaken are refused. That
    /// at most one answer has no number is the caller's to see to, as is that a request without
    /// Observe gets no notification. The value of Observe is made from the number (§4.1.3.5.2).
    ///
    /// # Errors
    /// See [`UnprotectError`].
    pub fn unprotect_response(
        &self,
        outer: &Response,
        request: RequestId,
        newest: Option<u64>,
    ) -> Result<(Response, Option<u64>), UnprotectError> {
        let option = OscoreOption::of(&outer.options).ok_or(UnprotectError::BadOption)??;
        let request_iv = PartialIv::new(request.piv).ok_or(UnprotectError::DecryptionFailed)?;
        let nonce = match option.partial_iv.and_then(PartialIv::new) {
            Some(own_iv) => nonce(&self.common_iv, self.recipient, own_iv),
            None => nonce(&self.common_iv, self.sender, request_iv),
        };
        let plain = self.decrypt(&nonce, &Aad::new(request.kid, request_iv), &outer.payload)?;
        if newest.is_some_and(|newest| option.partial_iv.is_none_or(|number| number <= newest)) {
            return Err(UnprotectError::Replayed);
        }
        let message = read(plain)?;
        if !message.code.is_response() {
            return Err(UnprotectError::DecryptionFailed);
        }
        let Message { code, mut options, payload, .. } = message;
        if options.has(OptionNumber::OBSERVE) {
            let order = option.partial_iv.unwrap_or(0) & 0xff_ffff;
            options.set_uint(OptionNumber::OBSERVE, order as u32);
        }
        Ok((Response { code, options, payload }, option.partial_iv))
    }

    /// Steps 2 and 4 to 6 of §8.2.
    fn open_request(
        &self,
        outer: &Request,
        option: &OscoreOption,
    ) -> Result<(Vec<u8>, RequestId), UnprotectError> {
        let kid = option.kid.ok_or(UnprotectError::BadOption)?;
        let piv = option.partial_iv.ok_or(UnprotectError::BadOption)?;
        let partial_iv = PartialIv::new(piv).ok_or(UnprotectError::BadOption)?;
        let is_other_context =
            option.kid_context.is_some() && option.kid_context != self.id_context;
        if kid != self.recipient || is_other_context {
            return Err(UnprotectError::UnknownContext);
        }
        let nonce = nonce(&self.common_iv, kid, partial_iv);
        let plain = self.decrypt(&nonce, &Aad::new(kid, partial_iv), &outer.payload)?;
        Ok((plain, RequestId { kid, piv }))
    }

    /// The plaintext, with the start of a header before it.
    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &Aad,
        payload: &[u8],
    ) -> Result<Vec<u8>, UnprotectError> {
        let (ciphertext, tag) = payload
            .len()
            .checked_sub(TAG_LEN)
            .and_then(|at| payload.split_at_checked(at))
            .ok_or(UnprotectError::DecryptionFailed)?;
        let mut plain = Vec::with_capacity(PLAINTEXT_AT + ciphertext.len());
        plain.extend_from_slice(&HEADER_START);
        plain.extend_from_slice(ciphertext);
        self.recipient_cipher
            .decrypt_in_place_detached(
                nonce.into(),
                aad.as_slice(),
                &mut plain[PLAINTEXT_AT..],
                Tag::<U8>::from_slice(tag),
            )
            .map_err(|_| UnprotectError::DecryptionFailed)?;
        Ok(plain)
    }
}

/// Reads what was decrypted; nothing in it may be protected once more (§4.1.3.7).
fn read(mut plain: Vec<u8>) -> Result<Message, UnprotectError> {
    plain[CODE_AT] = *plain.get(PLAINTEXT_AT).ok_or(UnprotectError::DecryptionFailed)?;
    let message =
        wire::decode(&Bytes::from(plain)).map_err(|_| UnprotectError::DecryptionFailed)?;
    if message.options.has(OSCORE) { Err(UnprotectError::DecryptionFailed) } else { Ok(message) }
}

fn read_request(plain: Vec<u8>, outer: &Request) -> Result<Request, UnprotectError> {
    let message = read(plain)?;
    if !message.code.is_request() {
        return Err(UnprotectError::DecryptionFailed);
    }
    let Message { code, mut options, payload, .. } = message;
    for number in OUTER {
        for value in outer.options.get_all(number) {
            options.add(number, value.clone());
        }
    }
    Ok(Request { method: code, options, payload })
}
