//! Letting devices in: what is asked and answered when an invite is made, a device joins with it, or a foreign
//! client gets a key of its own. The shapes are in `docs/protocol.md`, `/invites`, `/join` and `/devices`.
//!
//! Strict like everything in CBOR here: one encoding for each value, unknown keys are refused. Answers hold secrets,
//! so `Debug` shows their lengths only.

use std::fmt;

use crate::DecodeError;
use crate::access::Rights;
use crate::change::check_len;
use crate::wire::{Keys, Reader, Writer};

/// The longest name of a device or journal that a person gives, in bytes.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest id of a key, in bytes (RFC 8613 §3.3, with the nonce of AES-CCM-16-64-128).
pub const MAX_KEY_ID_BYTES: usize = 7;
const VERSION: u64 = 1;

/// What a server says in its 4.03, whatever is asked, to a device that was cut off: all of the diagnostic payload.
///
/// A program acts on it, and on [`INVITE_ENDED`], so neither is worded anew.
pub const DEVICE_REVOKED: &str = "this device was revoked";

/// How the diagnostic payload of the 4.03 begins with which a server refuses a join because the invite's time is over.
pub const INVITE_ENDED: &str = "this invite ended";

/// Why a text is no name of a device or journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME_BYTES} bytes, no control characters, and no space at its ends")]
pub struct NameError;

/// Whether `name` can be the name of a device or journal.
///
/// # Errors
/// When it is empty, longer than [`MAX_NAME_BYTES`], begins or ends with white space, or holds what steers a terminal.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let is_harmless = name.chars().all(|c| c != '\t' && crate::render::visible(c) == c);
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && is_harmless && name.trim() == name { Ok(()) } else { Err(NameError) }
}

/// `POST /join`: a device asks to be let in, under the key of an invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The joiner's half of the key exchange (X25519, RFC 7748 §5). The same one asks for the same answer again.
    pub public: [u8; 32],
    /// What the device would like to be called; a name in the invite goes before.
    pub name: String,
    /// The joiner's clock, in milliseconds since 1970-01-01 UTC.
    pub time: i64,
}

/// The answer: with both halves, joiner and server derive the device's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAnswer {
    /// The server's half of the key exchange.
    pub public: [u8; 32],
    /// The id of the device's key, 1 to 7 bytes.
    pub id: Vec<u8>,
    /// The server's half of the ID Context (R2), so that the first note takes one round trip.
    pub epoch: [u8; 8],
    /// What the device is called.
    pub name: String,
    /// The journal that it may use.
    pub journal: String,
    /// What it may do there.
    pub rights: Rights,
    /// The server's name.
    pub server: String,
    /// The server's clock, in milliseconds since 1970-01-01 UTC.
    pub time: i64,
}

/// `POST /invites`: an invite is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRequest {
    /// Into which journal. `None`: the asker's own.
    pub journal: Option<String>,
    /// What the device may do there.
    pub rights: Rights,
    /// How long it lasts, in seconds. `None`: as the server likes.
    pub lasts: Option<u64>,
    /// What the device is to be called. `None`: as it likes.
    pub name: Option<String>,
}

/// The answer: what the invite's line is made of. The secret is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteAnswer {
    /// The invite's id, 1 to 7 bytes.
    pub id: Vec<u8>,
    /// Its secret.
    pub secret: [u8; 16],
    /// Into which journal it leads.
    pub journal: String,
    /// Whether that journal was made for it.
    pub is_new_journal: bool,
    /// What the device may do there.
    pub rights: Rights,
    /// What the device is to be called.
    pub name: Option<String>,
    /// When it ends by the server's clock, in milliseconds since 1970-01-01 UTC.
    pub expires: i64,
    /// The server's clock, likewise.
    pub time: i64,
}

/// `POST /devices`: a foreign client is to get a key of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRequest {
    /// For which journal. `None`: the asker's own.
    pub journal: Option<String>,
    /// What it may do there.
    pub rights: Rights,
    /// What it is to be called.
    pub name: String,
}

/// The answer: an OSCORE security context (RFC 8613 §3.2) as the foreign client needs it, without an ID Context. The
/// secret is told this once.
#[derive(Clone, PartialEq, Eq)]
pub struct ForeignAnswer {
    /// The client's Sender ID, 1 to 7 bytes.
    pub id: Vec<u8>,
    /// The client's Recipient ID, the server's, 1 to 7 bytes.
    pub server_id: Vec<u8>,
    /// The Master Secret.
    pub secret: [u8; 16],
    /// The Master Salt.
    pub salt: [u8; 8],
    /// What the device is called.
    pub name: String,
    /// The journal that it may use.
    pub journal: String,
    /// What it may do there.
    pub rights: Rights,
}

impl JoinRequest {
    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(4).uint(0).uint(VERSION);
        writer.uint(1).bytes(&self.public).uint(2).text(&self.name).uint(3).int(self.time);
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no such request of version 1. Whether the name can be one is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            let what = "a request to join";
            let mut keys = Keys::of_version(reader, what, "the version of the request", VERSION)?;
            let (mut public, mut name, mut time) = (None, None, None);
            while let Some(key) = keys.next(reader)? {
                match key {
                    1 => public = Some(reader.fixed("a public key, 32 bytes")?),
                    2 => name = Some(read_name(reader)?),
                    3 => time = Some(read_time(reader)?),
                    _ => return Err(keys.unknown(key)),
                }
            }
            Ok(Self {
                public: public.ok_or(DecodeError::Missing("the public key"))?,
                name: name.ok_or(DecodeError::Missing("the name"))?,
                time: time.ok_or(DecodeError::Missing("the time"))?,
            })
        })
    }
}

impl JoinAnswer {
    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(9).uint(0).uint(VERSION);
        writer.uint(1).bytes(&self.public).uint(2).bytes(&self.id).uint(3).bytes(&self.epoch);
        writer.uint(4).text(&self.name).uint(5).text(&self.journal);
        writer.uint(6).uint(bits(self.rights)).uint(7).text(&self.server).uint(8).int(self.time);
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no such answer of version 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            let what = "an answer to a join";
            let mut keys = Keys::of_version(reader, what, "the version of the answer", VERSION)?;
            let (mut public, mut id, mut epoch, mut name) = (None, None, None, None);
            let (mut journal, mut rights, mut server, mut time) = (None, None, None, None);
            while let Some(key) = keys.next(reader)? {
                match key {
                    1 => public = Some(reader.fixed("a public key, 32 bytes")?),
                    2 => id = Some(read_key_id(reader)?),
                    3 => epoch = Some(reader.fixed("half of an ID Context, 8 bytes")?),
                    4 => name = Some(read_name(reader)?),
                    5 => journal = Some(read_name(reader)?),
                    6 => rights = Some(read_rights(reader)?),
                    7 => server = Some(read_name(reader)?),
                    8 => time = Some(read_time(reader)?),
                    _ => return Err(keys.unknown(key)),
                }
            }
            Ok(Self {
                public: public.ok_or(DecodeError::Missing("the public key"))?,
                id: id.ok_or(DecodeError::Missing("the device's id"))?,
                epoch: epoch.ok_or(DecodeError::Missing("the half of the ID Context"))?,
                name: name.ok_or(DecodeError::Missing("the name"))?,
                journal: journal.ok_or(DecodeError::Missing("the journal"))?,
                rights: rights.ok_or(DecodeError::Missing("what it may do"))?,
                server: server.ok_or(DecodeError::Missing("the server's name"))?,
                time: time.ok_or(DecodeError::Missing("the time"))?,
            })
        })
    }
}

impl InviteRequest {
    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        let fields = [self.journal.is_some(), self.lasts.is_some(), self.name.is_some()];
        let mut writer = Writer::new();
        writer.map(2 + fields.iter().filter(|is_there| **is_there).count());
        writer.uint(0).uint(VERSION).uint(1).uint(bits(self.rights));
        if let Some(journal) = &self.journal {
            writer.uint(2).text(journal);
        }
        if let Some(lasts) = self.lasts {
            writer.uint(3).uint(lasts);
        }
        if let Some(name) = &self.name {
            writer.uint(4).text(name);
        }
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no such request of version 1. Whether the names can be some is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            let what = "a request for an invite";
            let mut keys = Keys::of_version(reader, what, "the version of the request", VERSION)?;
            let (mut rights, mut journal, mut lasts, mut name) = (None, None, None, None);
            while let Some(key) = keys.next(reader)? {
                match key {
                    1 => rights = Some(read_rights(reader)?),
                    2 => journal = Some(read_name(reader)?),
                    3 => lasts = Some(reader.uint("a number of seconds")?),
                    4 => name = Some(read_name(reader)?),
                    _ => return Err(keys.unknown(key)),
                }
            }
            let rights = rights.ok_or(DecodeError::Missing("what it may do"))?;
            Ok(Self { journal, rights, lasts, name })
        })
    }
}

impl InviteAnswer {
    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(8 + usize::from(self.name.is_some())).uint(0).uint(VERSION);
        writer.uint(1).bytes(&self.id).uint(2).bytes(&self.secret).uint(3).text(&self.journal);
        writer.uint(4).bool(self.is_new_journal).uint(5).uint(bits(self.rights));
        if let Some(name) = &self.name {
            writer.uint(6).text(name);
        }
        writer.uint(7).int(self.expires).uint(8).int(self.time);
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no such answer of version 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            let what = "an invite";
            let mut keys = Keys::of_version(reader, what, "the version of the invite", VERSION)?;
            let (mut id, mut secret, mut journal, mut is_new_journal) = (None, None, None, None);
            let (mut rights, mut name, mut expires, mut time) = (None, None, None, None);
            while let Some(key) = keys.next(reader)? {
                match key {
                    1 => id = Some(read_key_id(reader)?),
                    2 => secret = Some(reader.fixed("a secret, 16 bytes")?),
                    3 => journal = Some(read_name(reader)?),
                    4 => is_new_journal = Some(reader.bool("whether the journal is new")?),
                    5 => rights = Some(read_rights(reader)?),
                    6 => name = Some(read_name(reader)?),
                    7 => expires = Some(read_time(reader)?),
                    8 => time = Some(read_time(reader)?),
                    _ => return Err(keys.unknown(key)),
                }
            }
            Ok(Self {
                id: id.ok_or(DecodeError::Missing("the invite's id"))?,
                secret: secret.ok_or(DecodeError::Missing("the secret"))?,
                journal: journal.ok_or(DecodeError::Missing("the journal"))?,
                is_new_journal: is_new_journal
                    .ok_or(DecodeError::Missing("whether the journal is new"))?,
                rights: rights.ok_or(DecodeError::Missing("what it may do"))?,
                name,
                expires: expires.ok_or(DecodeError::Missing("the end"))?,
                time: time.ok_or(DecodeError::Missing("the time"))?,
            })
        })
    }
}

impl ForeignRequest {
    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(3 + usize::from(self.journal.is_some()));
        writer.uint(0).uint(VERSION).uint(1).uint(bits(self.rights)).uint(2).text(&self.name);
        if let Some(journal) = &self.journal {
            writer.uint(3).text(journal);
        }
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no such request of version 1. Whether the names can be some is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            let what = "a request for a foreign device";
            let mut keys = Keys::of_version(reader, what, "the version of the request", VERSION)?;
            let (mut rights, mut name, mut journal) = (None, None, None);
            while let Some(key) = keys.next(reader)? {
                match key {
                    1 => rights = Some(read_rights(reader)?),
                    2 => name = Some(read_name(reader)?),
                    3 => journal = Some(read_name(reader)?),
                    _ => return Err(keys.unknown(key)),
                }
            }
            Ok(Self {
                journal,
                rights: rights.ok_or(DecodeError::Missing("what it may do"))?,
                name: name.ok_or(DecodeError::Missing("the name"))?,
            })
        })
    }
}

impl ForeignAnswer {
    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.map(8).uint(0).uint(VERSION).uint(1).bytes(&self.id).uint(2).bytes(&self.server_id);
        writer.uint(3).bytes(&self.secret).uint(4).bytes(&self.salt).uint(5).text(&self.name);
        writer.uint(6).text(&self.journal).uint(7).uint(bits(self.rights));
        writer.into_bytes()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// When the bytes are no such answer of version 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Reader::whole(bytes, |reader| {
            let what = "the key of a foreign device";
            let mut keys = Keys::of_version(reader, what, "the version of the answer", VERSION)?;
            let (mut id, mut server_id, mut secret, mut salt) = (None, None, None, None);
            let (mut name, mut journal, mut rights) = (None, None, None);
            while let Some(key) = keys.next(reader)? {
                match key {
                    1 => id = Some(read_key_id(reader)?),
                    2 => server_id = Some(read_key_id(reader)?),
                    3 => secret = Some(reader.fixed("a secret, 16 bytes")?),
                    4 => salt = Some(reader.fixed("a salt, 8 bytes")?),
                    5 => name = Some(read_name(reader)?),
                    6 => journal = Some(read_name(reader)?),
                    7 => rights = Some(read_rights(reader)?),
                    _ => return Err(keys.unknown(key)),
                }
            }
            Ok(Self {
                id: id.ok_or(DecodeError::Missing("the device's id"))?,
                server_id: server_id.ok_or(DecodeError::Missing("the server's id"))?,
                secret: secret.ok_or(DecodeError::Missing("the secret"))?,
                salt: salt.ok_or(DecodeError::Missing("the salt"))?,
                name: name.ok_or(DecodeError::Missing("the name"))?,
                journal: journal.ok_or(DecodeError::Missing("the journal"))?,
                rights: rights.ok_or(DecodeError::Missing("what it may do"))?,
            })
        })
    }
}

impl fmt::Debug for InviteAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteAnswer")
            .field("id", &self.id)
            .field("secret", &Hidden(self.secret.len()))
            .field("journal", &self.journal)
            .field("is_new_journal", &self.is_new_journal)
            .field("rights", &self.rights)
            .field("name", &self.name)
            .field("expires", &self.expires)
            .field("time", &self.time)
            .finish()
    }
}

impl fmt::Debug for ForeignAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignAnswer")
            .field("id", &self.id)
            .field("server_id", &self.server_id)
            .field("secret", &Hidden(self.secret.len()))
            .field("salt", &self.salt)
            .field("name", &self.name)
            .field("journal", &self.journal)
            .field("rights", &self.rights)
            .finish()
    }
}

/// What `Debug` shows of a secret.
struct Hidden(usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

fn bits(rights: Rights) -> u64 {
    u64::from(rights.bits())
}

/// Rights that let somebody do something.
fn read_rights(reader: &mut Reader<'_>) -> Result<Rights, DecodeError> {
    let expected = "rights, a sum of 1 read, 2 write, 4 admin";
    let at = reader.at();
    let bits = u8::try_from(reader.uint(expected)?).ok();
    let rights = bits.and_then(Rights::from_bits).filter(|rights| !rights.is_none());
    rights.ok_or(DecodeError::Unexpected { at, expected })
}

fn read_key_id(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    let expected = "the id of a key, 1 to 7 bytes";
    let at = reader.at();
    let id = reader.bytes(expected)?;
    if !(1..=MAX_KEY_ID_BYTES).contains(&id.len()) {
        return Err(DecodeError::Unexpected { at, expected });
    }
    Ok(id.to_vec())
}

/// A name as long as any that was given, so that a person hears what is wrong with a longer one.
fn read_name(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let name = reader.text("a name, a text")?;
    check_len("a name", name.len(), 1024)?;
    Ok(name.to_owned())
}

fn read_time(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    reader.int("a time in milliseconds")
}
