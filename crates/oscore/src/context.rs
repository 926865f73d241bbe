//! The security context (RFC 8613 §3).

use std::fmt;

use aes::Aes128Enc;
use bytes::Bytes;
use ccm::{
    Ccm, KeyInit,
    consts::{U8, U13},
};
use zeroize::Zeroizing;

use crate::{
    KeyId, KidContext, ProtectError, ReplayWindow, Secret,
    derive::{KEY_LEN, Keys},
    nonce::{NONCE_LEN, PartialIv},
};

/// AES-CCM-16-64-128 with its key expanded.
type Cipher = Ccm<Aes128Enc, U8, U13>;

/// A key of AES-CCM-16-64-128; overwritten when dropped.
///
/// Kept as it is, and expanded for each message: that takes a small part of what the message takes, and a server has
/// ten thousand contexts of which few are in use, at 700 bytes for each expanded key.
pub(crate) struct Key(Zeroizing<[u8; KEY_LEN]>);

impl Key {
    pub(crate) fn cipher(&self) -> Cipher {
        Cipher::new((&*self.0).into())
    }
}

/// What keys are derived from; both peers have the same, with sender and recipient swapped (§3.2).
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'a> {
    /// The Master Secret.
    pub secret: &'a Secret,
    /// The Master Salt; may be empty.
    pub salt: &'a [u8],
    /// The ID Context; at most 255 bytes.
    pub id_context: Option<&'a [u8]>,
    /// Our Sender ID.
    pub sender: KeyId,
    /// The peer's; must not be ours.
    pub recipient: KeyId,
}

/// Tells a request from all others under the same keys, and ties answers to it (§5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// Who asked (`request_kid`).
    pub kid: KeyId,
    /// With which number (`request_piv`), below 2^40.
    pub piv: u64,
}

/// What two peers share, and how far each of them has counted.
///
/// Not `Clone`: two copies would use one nonce twice.
pub struct Context {
    pub(crate) sender: KeyId,
    pub(crate) recipient: KeyId,
    pub(crate) id_context: Option<KidContext>,
    pub(crate) sender_key: Key,
    pub(crate) recipient_key: Key,
    pub(crate) common_iv: [u8; NONCE_LEN],
    next: u64,
    pub(crate) window: ReplayWindow,
}

impl Context {
    /// A context that has sent and seen nothing.
    ///
    /// # Panics
    /// If sender and recipient have the same id, since then their keys were the same as well
    /// (§3.3), or if the ID Context is longer than 255 bytes.
    pub fn derive(parameters: &Parameters<'_>) -> Self {
        assert_ne!(parameters.sender, parameters.recipient, "one id for both sides");
        let keys = Keys::derive(parameters);
        Self {
            sender: parameters.sender,
            recipient: parameters.recipient,
            id_context: parameters.id_context.map(|id| {
                KidContext::new(Bytes::copy_from_slice(id))
                    .expect("at most 255 bytes were asked for")
            }),
            sender_key: Key(keys.sender),
            recipient_key: Key(keys.recipient),
            common_iv: keys.common_iv,
            next: 0,
            window: ReplayWindow::new(),
        }
    }

    /// The same, going on at this number (Appendix B.1.1). Never a number that was used.
    #[must_use]
    pub fn with_next(mut self, number: u64) -> Self {
        self.next = number;
        self
    }

    /// The number that our next message takes; from 2^40 on there is none left (§7.2.1).
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// Our id.
    pub fn sender(&self) -> KeyId {
        self.sender
    }

    /// The peer's id.
    pub fn recipient(&self) -> KeyId {
        self.recipient
    }

    /// The ID Context.
    pub fn id_context(&self) -> Option<&[u8]> {
        self.id_context.as_ref().map(KidContext::as_slice)
    }

    /// The numbers that the peer has used.
    pub fn window(&mut self) -> &mut ReplayWindow {
        &mut self.window
    }

    /// Our next number; without one nothing may be protected any more (§7.2.1).
    pub(crate) fn check_number(&self) -> Result<PartialIv, ProtectError> {
        PartialIv::new(self.next).ok_or(ProtectError::NumbersUsedUp)
    }

    /// Takes our next number.
    pub(crate) fn take_number(&mut self) -> Result<(u64, PartialIv), ProtectError> {
        let partial_iv = self.check_number()?;
        let number = self.next;
        self.next += 1;
        Ok((number, partial_iv))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("sender", &self.sender)
            .field("recipient", &self.recipient)
            .field("id_context", &self.id_context)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    fn context(id_context: Option<&[u8]>) -> Context {
        let secret = Secret::from_bytes(&[7; 32]).expect("32 bytes");
        let [sender, recipient] = [b"a", b"b"].map(|id| KeyId::from_slice(id).expect("a byte"));
        Context::derive(&Parameters { secret: &secret, salt: b"", id_context, sender, recipient })
    }

    #[test]
    fn a_context_takes_less_than_two_kilobytes() {
        let on_the_heap = KidContext::MAX_LEN;
        assert!(size_of::<Context>() + on_the_heap < 2048, "{}", size_of::<Context>());
    }

    #[test]
    fn debug_shows_no_key() {
        let text = format!("{:?}", context(Some(&[0xab])));
        assert_eq!(
            text,
            "Context { sender: KeyId(61), recipient: KeyId(62), \
             id_context: Some(KidContext(ab)), next: 0, .. }"
        );
        let secret = Secret::from_bytes(&[0x5a; 32]).expect("32 bytes");
        let id = KeyId::default();
        let parameters =
            Parameters { secret: &secret, salt: b"", id_context: None, sender: id, recipient: id };
        assert!(format!("{parameters:?}").contains("secret: Secret(32 bytes)"));
    }

    #[test]
    fn expanded_keys_are_overwritten_when_dropped() {
        fn check<T: ZeroizeOnDrop>() {}
        check::<Aes128Enc>();
    }

    #[test]
    #[should_panic(expected = "one id for both sides")]
    fn two_sides_have_two_ids() {
        let secret = Secret::from_bytes(&[7; 32]).expect("32 bytes");
        let id = KeyId::default();
        let _ = Context::derive(&Parameters {
            secret: &secret,
            salt: b"",
            id_context: None,
            sender: id,
            recipient: id,
        });
    }
}
