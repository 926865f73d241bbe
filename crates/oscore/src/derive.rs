//! Keys from the Master Secret (RFC 8613 §3.2).

use hkdf::Hkdf;
use minicbor::Encoder;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Parameters, nonce::NONCE_LEN};

/// AES-CCM-16-64-128 in the registry of COSE.
const AES_CCM_16_64_128: i64 = 10;
/// Length of its key, in bytes.
pub(crate) const KEY_LEN: usize = 16;

/// What a context is made of.
pub(crate) struct Keys {
    pub(crate) sender: Zeroizing<[u8; KEY_LEN]>,
    pub(crate) recipient: Zeroizing<[u8; KEY_LEN]>,
    pub(crate) common_iv: [u8; NONCE_LEN],
}

impl Keys {
    pub(crate) fn derive(parameters: &Parameters<'_>) -> Self {
        let hkdf = Hkdf::new(Some(parameters.salt), parameters.secret.as_bytes());
        let mut keys = Self {
            sender: Zeroizing::default(),
            recipient: Zeroizing::default(),
            common_iv: [0; NONCE_LEN],
        };
        let id_context = parameters.id_context;
        expand(&hkdf, parameters.sender.as_slice(), id_context, "Key", keys.sender.as_mut());
        expand(&hkdf, parameters.recipient.as_slice(), id_context, "Key", keys.recipient.as_mut());
        expand(&hkdf, &[], id_context, "IV", &mut keys.common_iv);
        keys
    }
}

fn expand(
    hkdf: &Hkdf<Sha256>,
    id: &[u8],
    id_context: Option<&[u8]>,
    kind: &str,
    output: &mut [u8],
) {
    hkdf.expand(&info(id, id_context, kind, output.len()), output)
        .expect("HKDF gives up to 255 hashes, and this is half of one");
}

/// `[id, id_context, alg_aead, type, L]` in CBOR (§3.2.1).
fn info(id: &[u8], id_context: Option<&[u8]>, kind: &str, len: usize) -> Vec<u8> {
    let mut cbor = Encoder::new(Vec::with_capacity(64));
    cbor.array(5)
        .and_then(|cbor| cbor.bytes(id))
        .and_then(|cbor| match id_context {
            Some(id_context) => cbor.bytes(id_context),
            None => cbor.null(),
        })
        .and_then(|cbor| cbor.i64(AES_CCM_16_64_128))
        .and_then(|cbor| cbor.str(kind))
        .and_then(|cbor| cbor.u64(len as u64))
        .expect("a Vec takes everything");
    cbor.into_writer()
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::{
        KeyId, Secret,
        nonce::{PartialIv, nonce},
    };

    const SECRET: [u8; 16] = hex!("0102030405060708090a0b0c0d0e0f10");
    const SALT: [u8; 8] = hex!("9e7ca92223786340");
    const ID_CONTEXT: [u8; 8] = hex!("37cbf3210017a2d3");

    /// What Appendix C lists for one side of a context.
    struct Vector<'a> {
        salt: &'a [u8],
        id_context: Option<&'a [u8]>,
        sender: &'a [u8],
        recipient: &'a [u8],
        infos: [&'a [u8]; 3],
        sender_key: [u8; 16],
        recipient_key: [u8; 16],
        common_iv: [u8; 13],
        sender_nonce: [u8; 13],
        recipient_nonce: [u8; 13],
    }

    impl Vector<'_> {
        /// The same from the other side.
        fn swapped(self) -> Self {
            let [sender, recipient, common_iv] = self.infos;
            Self {
                sender: self.recipient,
                recipient: self.sender,
                infos: [recipient, sender, common_iv],
                sender_key: self.recipient_key,
                recipient_key: self.sender_key,
                sender_nonce: self.recipient_nonce,
                recipient_nonce: self.sender_nonce,
                ..self
            }
        }

        fn check(&self) {
            let [sender, recipient] =
                [self.sender, self.recipient].map(|id| KeyId::from_slice(id).unwrap());
            assert_eq!(info(self.sender, self.id_context, "Key", 16), self.infos[0]);
            assert_eq!(info(self.recipient, self.id_context, "Key", 16), self.infos[1]);
            assert_eq!(info(&[], self.id_context, "IV", 13), self.infos[2]);
            let keys = Keys::derive(&Parameters {
                secret: &Secret::from_bytes(&SECRET).unwrap(),
                salt: self.salt,
                id_context: self.id_context,
                sender,
                recipient,
            });
            assert_eq!(*keys.sender, self.sender_key);
            assert_eq!(*keys.recipient, self.recipient_key);
            assert_eq!(keys.common_iv, self.common_iv);
            let first = PartialIv::new(0).unwrap();
            assert_eq!(nonce(&keys.common_iv, sender, first), self.sender_nonce);
            assert_eq!(nonce(&keys.common_iv, recipient, first), self.recipient_nonce);
        }
    }

    fn c_1_1() -> Vector<'static> {
        Vector {
            salt: &SALT,
            id_context: None,
            sender: b"",
            recipient: b"\x01",
            infos: [
                &hex!("8540f60a634b657910"),
                &hex!("854101f60a634b657910"),
                &hex!("8540f60a6249560d"),
            ],
            sender_key: hex!("f0910ed7295e6ad4b54fc793154302ff"),
            recipient_key: hex!("ffb14e093c94c9cac9471648b4f98710"),
            common_iv: hex!("4622d4dd6d944168eefb54987c"),
            sender_nonce: hex!("4622d4dd6d944168eefb54987c"),
            recipient_nonce: hex!("4722d4dd6d944169eefb54987c"),
        }
    }

    fn c_2_1() -> Vector<'static> {
        Vector {
            salt: b"",
            id_context: None,
            sender: b"\x00",
            recipient: b"\x01",
            infos: [
                &hex!("854100f60a634b657910"),
                &hex!("854101f60a634b657910"),
                &hex!("8540f60a6249560d"),
            ],
            sender_key: hex!("321b26943253c7ffb6003b0b64d74041"),
            recipient_key: hex!("e57b5635815177cd679ab4bcec9d7dda"),
            common_iv: hex!("be35ae297d2dace910c52e99f9"),
            sender_nonce: hex!("bf35ae297d2dace910c52e99f9"),
            recipient_nonce: hex!("bf35ae297d2dace810c52e99f9"),
        }
    }

    fn c_3_1() -> Vector<'static> {
        Vector {
            salt: &SALT,
            id_context: Some(&ID_CONTEXT),
            sender: b"",
            recipient: b"\x01",
            infos: [
                &hex!("85404837cbf3210017a2d30a634b657910"),
                &hex!("8541014837cbf3210017a2d30a634b657910"),
                &hex!("85404837cbf3210017a2d30a6249560d"),
            ],
            sender_key: hex!("af2a1300a5e95788b356336eeecd2b92"),
            recipient_key: hex!("e39a0c7c77b43f03b4b39ab9a268699f"),
            common_iv: hex!("2ca58fb85ff1b81c0b7181b85e"),
            sender_nonce: hex!("2ca58fb85ff1b81c0b7181b85e"),
            recipient_nonce: hex!("2da58fb85ff1b81d0b7181b85e"),
        }
    }

    #[test]
    fn c_1_key_derivation_with_master_salt() {
        c_1_1().check();
        c_1_1().swapped().check();
    }

    #[test]
    fn c_2_key_derivation_without_master_salt() {
        c_2_1().check();
        c_2_1().swapped().check();
    }

    #[test]
    fn c_3_key_derivation_with_id_context() {
        c_3_1().check();
        c_3_1().swapped().check();
    }
}
