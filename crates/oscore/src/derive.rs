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
