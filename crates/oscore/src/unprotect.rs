//! Protected to plain, or why not (RFC 8613 §8.2, §8.4).

use std::ops::RangeInclusive;

use bytes::Bytes;
use ccm::{AeadInPlace, Tag, consts::U8};
use suibi_coap::{Code, Message, OptionNumber, Request, Response, wire};
use thiserror::Error;

use crate::{
    Context, OscoreOption, RequestId,
    nonce::{Aad, NONCE_LEN, PartialIv, nonce},
    protect::TAG_LEN,
};

/// The plaintext is a message without the first three bytes of its header: code, options, payload
/// (§5.3). So the codec of messages reads it, with the code where the id ends.
const PLAINTEXT_AT: usize = 3;
/// Where the code is in a header.
const CODE_AT: usize = 1;
/// What a message without token starts with.
const HEADER_START: [u8; PLAINTEXT_AT] = [0x40, 0, 0];

/// Up to here a message is opened where nothing is allocated for it, and then takes one allocation.
const SHORT: usize = 256;

/// The options outside that a request keeps, with the lengths that RFC 7252 §5.10 gives them.
const KEPT: [(OptionNumber, RangeInclusive<usize>); 2] =
    [(OptionNumber::URI_HOST, 1..=255), (OptionNumber::URI_PORT, 0..=2)];

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
    /// `option` is that of `outer`. Of the other options outside, Uri-Host and Uri-Port stay, which
    /// are not protected; the rest is dropped. So are Proxy-Uri and Proxy-Scheme: what opens here
    /// was meant for here, and nobody on the way can have it refused by adding an option.
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
        Ok((read_request(&plain, outer)?, id))
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
        Ok((read_request(&plain, outer)?, id))
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
        // Answers need no kid (§5); one that is there has to be right.
        if option.kid.is_some_and(|kid| kid != self.recipient) {
            return Err(UnprotectError::UnknownContext);
        }
        let request_iv = PartialIv::new(request.piv).ok_or(UnprotectError::DecryptionFailed)?;
        let nonce = match option.partial_iv.and_then(PartialIv::new) {
            Some(own_iv) => nonce(&self.common_iv, self.recipient, own_iv),
            None => nonce(&self.common_iv, self.sender, request_iv),
        };
        let plain = self.decrypt(&nonce, &Aad::new(request.kid, request_iv), &outer.payload)?;
        if newest.is_some_and(|newest| option.partial_iv.is_none_or(|number| number <= newest)) {
            return Err(UnprotectError::Replayed);
        }
        let message = read(&plain)?;
        if !message.code.is_response() {
            return Err(UnprotectError::DecryptionFailed);
        }
        let Message { code, mut options, payload, .. } = message;
        if options.has(OptionNumber::OBSERVE) {
            // One without a number of its own, the first at most, is older than all others.
            let order = option.partial_iv.map_or(0, |number| number + 1) & 0xff_ffff;
            options.set_uint(OptionNumber::OBSERVE, order as u32);
        }
        Ok((Response { code, options, payload }, option.partial_iv))
    }

    /// Steps 2 and 4 to 6 of §8.2.
    fn open_request(
        &self,
        outer: &Request,
        option: &OscoreOption,
    ) -> Result<(Bytes, RequestId), UnprotectError> {
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

    /// The plaintext, behind the header of a message with its code.
    fn decrypt(
        &self,
        nonce: &[u8; NONCE_LEN],
        aad: &Aad,
        payload: &[u8],
    ) -> Result<Bytes, UnprotectError> {
        let (ciphertext, tag) = payload
            .len()
            .checked_sub(TAG_LEN)
            .and_then(|at| payload.split_at_checked(at))
            .ok_or(UnprotectError::DecryptionFailed)?;
        let decrypt = |message: &mut [u8]| {
            let (header, plain) = message.split_at_mut(PLAINTEXT_AT);
            header.copy_from_slice(&HEADER_START);
            plain.copy_from_slice(ciphertext);
            self.recipient_key
                .cipher()
                .decrypt_in_place_detached(
                    nonce.into(),
                    aad.as_slice(),
                    plain,
                    Tag::<U8>::from_slice(tag),
                )
                .map_err(|_| UnprotectError::DecryptionFailed)?;
            // Without a code it is shorter than a header, which is for the reader to refuse.
            header[CODE_AT] = plain.first().copied().unwrap_or_default();
            Ok(())
        };
        let len = PLAINTEXT_AT + ciphertext.len();
        if len > SHORT {
            let mut message = vec![0; len];
            return decrypt(&mut message).map(|()| Bytes::from(message));
        }
        let mut message = [0; SHORT];
        decrypt(&mut message[..len]).map(|()| suibi_coap::shared(&message[..len]))
    }
}

/// Reads what was decrypted; nothing in it may be protected once more (§4.1.3.7).
fn read(plain: &Bytes) -> Result<Message, UnprotectError> {
    let message = wire::decode(plain).map_err(|_| UnprotectError::DecryptionFailed)?;
    if message.options.has(OptionNumber::OSCORE) {
        Err(UnprotectError::DecryptionFailed)
    } else {
        Ok(message)
    }
}

fn read_request(plain: &Bytes, outer: &Request) -> Result<Request, UnprotectError> {
    let message = read(plain)?;
    if !message.code.is_request() {
        return Err(UnprotectError::DecryptionFailed);
    }
    let Message { code, mut options, payload, .. } = message;
    for (number, lengths) in KEPT {
        let value = outer.options.get(number).filter(|value| lengths.contains(&value.len()));
        if let Some(value) = value.filter(|_| !options.has(number)) {
            options.add(number, value.clone());
        }
    }
    Ok(Request { method: code, options, payload })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use hex_literal::hex;

    use super::*;
    use crate::{KeyId, Parameters, ReplayWindow, Secret};

    fn pair() -> (Context, Context) {
        let secret = Secret::from_bytes(&[7; 16]).unwrap();
        let [client, server] = [b"c", b"s"].map(|id| KeyId::from_slice(id).unwrap());
        let side = |sender, recipient| {
            let (salt, id_context) = (&b""[..], None);
            Context::derive(&Parameters { secret: &secret, salt, id_context, sender, recipient })
        };
        (side(client, server), side(server, client))
    }

    /// What only somebody with the keys can send.
    fn sealed(by: &Context, kid: KeyId, text: &[u8]) -> Bytes {
        let first = PartialIv::new(0).unwrap();
        let mut text = BytesMut::from(text);
        by.encrypt(&nonce(&by.common_iv, kid, first), &Aad::new(kid, first), &mut text);
        text.freeze()
    }

    const RUDE: [(&[u8], &str); 9] = [
        (&hex!(""), "nothing at all"),
        (&hex!("00"), "no code"),
        (&hex!("00b3747631"), "no code, but an option"),
        (&hex!("21"), "a reserved code"),
        (&hex!("e1"), "a signal"),
        (&hex!("02f0"), "a reserved nibble"),
        (&hex!("02bd"), "an option that is cut off"),
        (&hex!("02ff"), "a marker without payload"),
        (&hex!("0290ff00"), "protected twice"),
    ];

    #[test]
    fn a_request_that_decrypts_to_none_is_refused_and_its_number_used() {
        for (text, why) in RUDE.into_iter().chain([(&hex!("45ff00")[..], "an answer")]) {
            let (client, mut server) = pair();
            let kid = client.sender;
            let outer = Request::new(Code::POST).payload(sealed(&client, kid, text));
            let option = OscoreOption { partial_iv: Some(0), kid: Some(kid), kid_context: None };
            let refused = Err(UnprotectError::DecryptionFailed);
            assert_eq!(server.verify_request(&outer, &option), refused, "{why}");
            assert_eq!(*server.window(), ReplayWindow::new());
            assert_eq!(server.unprotect_request(&outer, &option), refused, "{why}");
            let again = server.unprotect_request(&outer, &option);
            assert_eq!(again, Err(UnprotectError::Replayed), "{why}");
        }
    }

    #[test]
    fn an_answer_that_decrypts_to_none_is_refused() {
        for (text, why) in RUDE.into_iter().chain([(&hex!("01ff00")[..], "a request")]) {
            let (client, server) = pair();
            let mut outer =
                Response::new(Code::CHANGED).payload(sealed(&server, client.sender, text));
            outer.options.add(OptionNumber::OSCORE, Bytes::new());
            let asked = RequestId { kid: client.sender, piv: 0 };
            let refused = client.unprotect_response(&outer, asked, None);
            assert_eq!(refused, Err(UnprotectError::DecryptionFailed), "{why}");
        }
    }

    #[test]
    fn an_answer_may_have_the_kid_of_who_sends_it_and_no_other() {
        let (client, server) = pair();
        let asked = RequestId { kid: client.sender, piv: 0 };
        let mut outer =
            Response::new(Code::CHANGED).payload(sealed(&server, client.sender, &hex!("45")));
        for (kid, is_right) in [(server.sender, true), (client.sender, false)] {
            let option = OscoreOption { kid: Some(kid), ..OscoreOption::default() };
            outer.options.set(OptionNumber::OSCORE, option.encode());
            assert_eq!(client.unprotect_response(&outer, asked, None).is_ok(), is_right);
        }
    }
}
