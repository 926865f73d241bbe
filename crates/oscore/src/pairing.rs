//! How an invite becomes the credential of one device.
//!
//! ```text
//!  joiner                                                     server
//!    │  POST /join, its public key   (OSCORE, key: invite_key)  │
//!    ├─────────────────────────────────────────────────────────▶│  draws a key pair and an id,
//!    │  2.01, the server's public key, the device's id, R2      │  stores the credential
//!    │◀─────────────────────────────────────────────────────────┤
//!    └── credential(…)  ═══════ the same 32 bytes ═══════  credential(…)
//! ```
//!
//! The credential is the OSCORE Master Secret of the device (RFC 8613 §3.2). Into it go
//!
//! - the **invite's secret**, so that only who has the line can join, and who has a different line
//!   ends with a different credential;
//! - an **X25519 exchange** (RFC 7748) of two keys that both sides forget, so that a recorded join
//!   and the line, leaked afterwards, open nothing: without one of the two private keys the shared
//!   value stays unknown;
//! - **everything that the exchange was about** (ids and both public keys), so that two sides that
//!   saw different messages do not end with one credential.
//!
//! Neither public key is signed: they are carried under the invite's own key, which proves both
//! ends to each other. Who has the line *while* it is used, and sits between the two, can join in
//! the joiner's place; that is what "one use, fifteen minutes" is for.
//!
//! Once paired there is no further exchange of this kind: who steals a credential later can read
//! the recorded traffic of that device (no forward secrecy).

use std::fmt;

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroize;

use crate::{KeyId, Secret};

/// One side's private key of a join, to be forgotten when the join is done.
///
/// The joiner keeps it on disk until the answer has come, so that a lost answer can be asked for
/// again. Zeroized on drop; `Debug` shows nothing of it.
pub struct JoinSecret(StaticSecret);

impl JoinSecret {
    /// A key made of 32 random bytes; all values are good ones.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(StaticSecret::from(bytes))
    }

    /// The bytes that [`from_bytes`](Self::from_bytes) takes; the caller wipes them.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// What the other side is told.
    pub fn public(&self) -> [u8; 32] {
        PublicKey::from(&self.0).to_bytes()
    }
}

impl fmt::Debug for JoinSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinSecret(32 bytes)")
    }
}

/// What a join was about, as both sides saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transcript {
    /// The id of the invite, which is the kid of the join.
    pub invite: KeyId,
    /// The id that the server gave the device.
    pub device: KeyId,
    /// The joiner's public key.
    pub joiner: [u8; 32],
    /// The server's public key.
    pub server: [u8; 32],
}

impl Transcript {
    /// SHA-256 over a name of the purpose and each part, every one behind its length, so that no
    /// two transcripts are the same bytes.
    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        let parts: [&[u8]; 5] = [
            b"suibi join 1",
            self.invite.as_slice(),
            &self.joiner,
            &self.server,
            self.device.as_slice(),
        ];
        for part in parts {
            let len = u8::try_from(part.len()).expect("no part is longer than 32 bytes");
            hash.update([len]);
            hash.update(part);
        }
        hash.finalize().into()
    }
}

/// The device's credential, 32 bytes: the same on both sides.
///
/// ```text
/// credential = HKDF-SHA256(salt: SHA-256(transcript),
///                          ikm:  X25519(own, theirs) ‖ invite secret,
///                          info: "suibi credential")
/// ```
///
/// `invite` is the secret of the line, `own` one side's private key, `theirs` the other's public
/// one, and `transcript` what passed between them.
///
/// `None` if `theirs` contributes nothing (a point of small order makes the shared value zero
/// whatever our key is, RFC 7748 §6.1), or if `own` and `theirs` are not the two keys of the
/// transcript.
pub fn credential(
    invite: &Secret,
    own: &JoinSecret,
    theirs: &[u8; 32],
    transcript: &Transcript,
) -> Option<Secret> {
    let keys = (own.public(), *theirs);
    let (joiner, server) = (transcript.joiner, transcript.server);
    if keys != (joiner, server) && keys != (server, joiner) {
        return None;
    }
    let shared = own.0.diffie_hellman(&PublicKey::from(*theirs));
    if !shared.was_contributory() {
        return None;
    }
    let mut material = Vec::with_capacity(32 + invite.as_bytes().len());
    material.extend_from_slice(shared.as_bytes());
    material.extend_from_slice(invite.as_bytes());
    let secret = expand(&transcript.digest(), &material, b"suibi credential");
    material.zeroize();
    Some(secret)
}

/// The OSCORE Master Secret under which a join with this invite travels, 32 bytes.
///
/// The line's secret is mixed into the credential as well; with a key of its own for the join's
/// messages the two uses have nothing to do with each other.
pub fn invite_key(secret: &Secret) -> Secret {
    expand(b"suibi invite 1", secret.as_bytes(), b"suibi invite key")
}

fn expand(salt: &[u8], material: &[u8], info: &[u8]) -> Secret {
    let mut bytes = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), material)
        .expand(info, &mut bytes)
        .expect("32 bytes are one block of HKDF-SHA256");
    let secret = Secret::from_bytes(&bytes).expect("32 bytes are a secret");
    bytes.zeroize();
    secret
}
