//! Who may do what: rights, devices, invites and the audit trail, and their shapes on the wire.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::DecodeError;
use crate::admission::{MAX_KEY_ID_BYTES, MAX_NAME_BYTES};
use crate::cbor::{MAX_DEVICE_BYTES, MAX_REASON_BYTES, cut};
use crate::change::check_len;
use crate::wire::{Keys, Reader, Writer};

/// The longest address in an audit entry, in bytes: a host's name or an address, and a port.
const MAX_ADDRESS_BYTES: usize = 255;
/// The longest detail in an audit entry, in bytes.
const MAX_DETAIL_BYTES: usize = 1024;
/// The hexadecimal digits of the longest key id.
const MAX_ID_DIGITS: usize = 2 * MAX_KEY_ID_BYTES;

const READ: u64 = 1;
const WRITE: u64 = 2;
const ADMIN: u64 = 4;

/// What a device may do in its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights {
    /// See the notes, and be told of new ones.
    pub read: bool,
    /// Add, change and delete notes; without `read`, add them only.
    pub write: bool,
    /// Invite, rename and revoke devices, and read the audit trail.
    pub admin: bool,
}

/// A text that names no rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("rights are read, write and admin, with commas between them")]
pub struct RightsError;

impl Rights {
    /// A drop: it can add notes and see none.
    pub const DROP: Self = Self { read: false, write: true, admin: false };
    /// What most devices have: see and write notes.
    pub const READ_WRITE: Self = Self { read: true, write: true, admin: false };
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true, admin: true };

    /// Whether all that can be done is to add notes.
    pub fn is_drop(self) -> bool {
        self == Self::DROP
    }

    /// Whether nothing can be done.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// The rights as a number: 1 read, 2 write, 4 admin.
    pub fn bits(self) -> u8 {
        let bit = |has, bit: u64| if has { bit as u8 } else { 0 };
        bit(self.read, READ) | bit(self.write, WRITE) | bit(self.admin, ADMIN)
    }

    /// Reads what [`bits`](Self::bits) gave. `None`: a bit that nobody knows.
    pub fn from_bits(bits: u8) -> Option<Self> {
        let has = |bit: u64| u64::from(bits) & bit != 0;
        let rights = Self { read: has(READ), write: has(WRITE), admin: has(ADMIN) };
        (rights.bits() == bits).then_some(rights)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(self.read, "read"), (self.write, "write"), (self.admin, "admin")];
        let names: Vec<_> = names.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
        f.write_str(if names.is_empty() { "none" } else { "" })?;
        f.write_str(&names.join(","))
    }
}

impl FromStr for Rights {
    type Err = RightsError;

    /// The names in any order, in any case, with or without spaces; at least one.
    fn from_str(text: &str) -> Result<Self, RightsError> {
        let mut rights = Self::default();
        for name in text.split(',') {
            match name.trim().to_ascii_lowercase().as_str() {
                "read" => rights.read = true,
                "write" => rights.write = true,
                "admin" => rights.admin = true,
                _ => return Err(RightsError),
            }
        }
        Ok(rights)
    }
}

/// A device as a list of devices shows it. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its key id: 2 to 14 hexadecimal digits in lower case.
    pub id: String,
    /// Its name; what goes beyond 255 bytes is not sent.
    pub name: String,
    /// The name of its journal; what goes beyond 64 bytes is not sent.
    pub journal: String,
    /// What it may do there.
    pub rights: Rights,
    /// When it joined, milliseconds since 1970.
    pub joined: i64,
    /// When it was last heard of, as far as the server remembers. Milliseconds since 1970.
    pub seen: Option<i64>,
    /// When it was cut off, milliseconds since 1970.
    pub revoked: Option<i64>,
    /// Whether it is another program, with keys that were exported for it.
    pub foreign: bool,
}

/// An invite as a list of invites shows it. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteInfo {
    /// Its key id: 2 to 14 hexadecimal digits in lower case.
    pub id: String,
    /// The name of the journal that it opens; what goes beyond 64 bytes is not sent.
    pub journal: String,
    /// What the device will be allowed to do.
    pub rights: Rights,
    /// The name that the device is to have; what goes beyond 255 bytes is not sent.
    pub name: Option<String>,
    /// When it was made, milliseconds since 1970.
    pub made: i64,
    /// When it ends, milliseconds since 1970.
    pub expires: i64,
    /// When a device joined with it, milliseconds since 1970.
    pub used: Option<i64>,
}

/// What happened: to the access to a server, or what was lost, repaired or erased here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditKind {
    /// Somebody was refused; the reason in words. What goes beyond 1,024 bytes is not sent.
    Refused(String),
    /// An invite was made.
    Invited,
    /// An invite was withdrawn before it was used.
    Withdrawn,
    /// A device joined.
    Joined,
    /// A device has another name.
    Renamed,
    /// A device was cut off.
    Revoked,
    /// Keys were made for another program.
    Exported,
    /// A journal was added.
    JournalAdded,
    /// A server that was put back to an older state got from a device what it lacked.
    Recovered,
    /// A replica wrote the lost branch of a fork anew, on a rescued chain.
    Rescued,
    /// A damaged replica was put aside and filled anew from its server.
    Rebuilt,
    /// A note was erased for good.
    Purged,
}

impl AuditKind {
    /// Its number in encodings and in the store, 0 for [`Refused`](Self::Refused).
    pub fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 0,
            Self::Invited => 1,
            Self::Withdrawn => 2,
            Self::Joined => 3,
            Self::Renamed => 4,
            Self::Revoked => 5,
            Self::Exported => 6,
            // 7 was given before, to a kind that is gone.
            Self::JournalAdded => 8,
            Self::Recovered => 9,
            Self::Rescued => 10,
            Self::Rebuilt => 11,
            Self::Purged => 12,
        }
    }

    /// The kind of a number; `reason` is there exactly when it is a refusal. `None`: a number that
    /// nobody knows, or a reason too many or too few.
    pub fn from_code(code: u8, reason: Option<String>) -> Option<Self> {
        Some(match (code, reason) {
            (0, Some(reason)) => Self::Refused(reason),
            (1, None) => Self::Invited,
            (2, None) => Self::Withdrawn,
            (3, None) => Self::Joined,
            (4, None) => Self::Renamed,
            (5, None) => Self::Revoked,
            (6, None) => Self::Exported,
            (8, None) => Self::JournalAdded,
            (9, None) => Self::Recovered,
            (10, None) => Self::Rescued,
            (11, None) => Self::Rebuilt,
            (12, None) => Self::Purged,
            _ => return None,
        })
    }

    /// One word for it (`journal-added` is two).
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Invited => "invited",
            Self::Withdrawn => "withdrawn",
            Self::Joined => "joined",
            Self::Renamed => "renamed",
            Self::Revoked => "revoked",
            Self::Exported => "exported",
            Self::JournalAdded => "journal-added",
            Self::Recovered => "recovered",
            Self::Rescued => "rescued",
            Self::Rebuilt => "rebuilt",
            Self::Purged => "purged",
        }
    }

    /// Why somebody was refused.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Refused(reason) => Some(reason),
            _ => None,
        }
    }
}

impl fmt::Display for AuditKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        self.reason().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// One line of the audit trail. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, milliseconds since 1970.
    pub at: i64,
    /// What happened.
    pub what: AuditKind,
    /// Whose name it concerns: a device's or an invite's; may be empty.
    pub device: String,
    /// The name of the journal; may be empty.
    pub journal: String,
    /// Where it was asked from; may be empty.
    pub address: String,
    /// More, in words, such as the old name or the rights; may be empty.
    pub detail: String,
}

impl AuditEntry {
    /// The entry with its texts cut, at a character's end, to what is kept and sent: 255 bytes of
    /// a device or address, 64 of a journal, 1,024 of a detail or reason.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        let shorten = |text: &mut String, max| text.truncate(cut(text, max).len());
        if let AuditKind::Refused(reason) = &mut self.what {
            shorten(reason, MAX_REASON_BYTES);
        }
        shorten(&mut self.device, MAX_DEVICE_BYTES);
        shorten(&mut self.journal, MAX_NAME_BYTES);
        shorten(&mut self.address, MAX_ADDRESS_BYTES);
        shorten(&mut self.detail, MAX_DETAIL_BYTES);
        self
    }
}

/// The devices of a server: `GET /devices`.
pub fn encode_devices(devices: &[DeviceInfo]) -> Vec<u8> {
    let mut writer = Writer::new();
    for device in devices {
        let optional = [device.seen.is_some(), device.revoked.is_some(), device.foreign];
        writer.map(5 + optional.iter().filter(|is_there| **is_there).count());
        writer.uint(0).text(&device.id);
        writer.uint(1).text(cut(&device.name, MAX_DEVICE_BYTES));
        writer.uint(2).text(cut(&device.journal, MAX_NAME_BYTES));
        writer.uint(3).uint(device.rights.bits().into());
        writer.uint(4).int(device.joined);
        write_time(&mut writer, 5, device.seen);
        write_time(&mut writer, 6, device.revoked);
        if device.foreign {
            writer.uint(7).bool(true);
        }
    }
    writer.into_bytes()
}

/// Reads what [`encode_devices`] wrote.
///
/// # Errors
/// [`DecodeError::Item`], which says which item is wrong and why.
pub fn decode_devices(bytes: &[u8]) -> Result<Vec<DeviceInfo>, DecodeError> {
    Reader::new(bytes).until_end(|reader| {
        let mut keys = Keys::of_map(reader, "a device")?;
        let (mut id, mut name, mut journal) = (None, None, None);
        let (mut rights, mut joined, mut seen, mut revoked) = (None, None, None, None);
        let mut foreign = false;
        while let Some(key) = keys.next(reader)? {
            match key {
                0 => id = Some(read_id(reader)?),
                1 => name = Some(read_text(reader, "the device's name", MAX_DEVICE_BYTES)?),
                2 => journal = Some(read_text(reader, "the journal's name", MAX_NAME_BYTES)?),
                3 => rights = Some(read_rights(reader)?),
                4 => joined = Some(reader.int(A_TIME)?),
                5 => seen = Some(reader.int(A_TIME)?),
                6 => revoked = Some(reader.int(A_TIME)?),
                7 if reader.bool("true")? => foreign = true,
                7 => return Err(DecodeError::Invalid("what is not foreign does not say so")),
                _ => return Err(keys.unknown(key)),
            }
        }
        Ok(DeviceInfo {
            id: id.ok_or(DecodeError::Missing("the device's id"))?,
            name: name.ok_or(DecodeError::Missing("the device's name"))?,
            journal: journal.ok_or(DecodeError::Missing("the device's journal"))?,
            rights: rights.ok_or(DecodeError::Missing("the rights"))?,
            joined: joined.ok_or(DecodeError::Missing("when the device joined"))?,
            seen,
            revoked,
            foreign,
        })
    })
}

/// The invites of a server: `GET /invites`.
pub fn encode_invites(invites: &[InviteInfo]) -> Vec<u8> {
    let mut writer = Writer::new();
    for invite in invites {
        let optional = [invite.name.is_some(), invite.used.is_some()];
        writer.map(5 + optional.iter().filter(|is_there| **is_there).count());
        writer.uint(0).text(&invite.id);
        writer.uint(1).text(cut(&invite.journal, MAX_NAME_BYTES));
        writer.uint(2).uint(invite.rights.bits().into());
        if let Some(name) = &invite.name {
            writer.uint(3).text(cut(name, MAX_DEVICE_BYTES));
        }
        writer.uint(4).int(invite.made);
        writer.uint(5).int(invite.expires);
        write_time(&mut writer, 6, invite.used);
    }
    writer.into_bytes()
}

/// Reads what [`encode_invites`] wrote.
///
/// # Errors
/// [`DecodeError::Item`], which says which item is wrong and why.
pub fn decode_invites(bytes: &[u8]) -> Result<Vec<InviteInfo>, DecodeError> {
    Reader::new(bytes).until_end(|reader| {
        let mut keys = Keys::of_map(reader, "an invite")?;
        let (mut id, mut journal, mut rights, mut name) = (None, None, None, None);
        let (mut made, mut expires, mut used) = (None, None, None);
        while let Some(key) = keys.next(reader)? {
            match key {
                0 => id = Some(read_id(reader)?),
                1 => journal = Some(read_text(reader, "the journal's name", MAX_NAME_BYTES)?),
                2 => rights = Some(read_rights(reader)?),
                3 => name = Some(read_text(reader, "the device's name", MAX_DEVICE_BYTES)?),
                4 => made = Some(reader.int(A_TIME)?),
                5 => expires = Some(reader.int(A_TIME)?),
                6 => used = Some(reader.int(A_TIME)?),
                _ => return Err(keys.unknown(key)),
            }
        }
        Ok(InviteInfo {
            id: id.ok_or(DecodeError::Missing("the invite's id"))?,
            journal: journal.ok_or(DecodeError::Missing("the invite's journal"))?,
            rights: rights.ok_or(DecodeError::Missing("the rights"))?,
            name,
            made: made.ok_or(DecodeError::Missing("when the invite was made"))?,
            expires: expires.ok_or(DecodeError::Missing("when the invite ends"))?,
            used,
        })
    })
}

/// The audit trail of a server: `GET /audit`.
pub fn encode_audit(entries: &[AuditEntry]) -> Vec<u8> {
    let mut writer = Writer::new();
    for entry in entries {
        let texts = [
            (2, &entry.device, MAX_DEVICE_BYTES),
            (3, &entry.journal, MAX_NAME_BYTES),
            (4, &entry.address, MAX_ADDRESS_BYTES),
            (5, &entry.detail, MAX_DETAIL_BYTES),
        ];
        let reason = entry.what.reason();
        let there = texts.iter().filter(|(_, text, _)| !text.is_empty()).count();
        writer.map(2 + there + usize::from(reason.is_some()));
        writer.uint(0).int(entry.at);
        writer.uint(1).uint(entry.what.code().into());
        for (key, text, max) in texts.into_iter().filter(|(_, text, _)| !text.is_empty()) {
            writer.uint(key).text(cut(text, max));
        }
        if let Some(reason) = reason {
            writer.uint(6).text(cut(reason, MAX_REASON_BYTES));
        }
    }
    writer.into_bytes()
}

/// Reads what [`encode_audit`] wrote.
///
/// # Errors
/// [`DecodeError::Item`], which says which item is wrong and why.
pub fn decode_audit(bytes: &[u8]) -> Result<Vec<AuditEntry>, DecodeError> {
    Reader::new(bytes).until_end(|reader| {
        let mut keys = Keys::of_map(reader, "an audit entry")?;
        let (mut at, mut code, mut reason) = (None, None, None);
        let mut texts: [String; 4] = Default::default();
        while let Some(key) = keys.next(reader)? {
            let (place, what, max) = match key {
                0 => {
                    at = Some(reader.int(A_TIME)?);
                    continue;
                }
                1 => {
                    code = Some((reader.at(), reader.uint(A_KIND)?));
                    continue;
                }
                6 => {
                    reason = Some(read_text(reader, "the reason", MAX_REASON_BYTES)?);
                    continue;
                }
                2 => (0, "the device's name", MAX_DEVICE_BYTES),
                3 => (1, "the journal's name", MAX_NAME_BYTES),
                4 => (2, "the address", MAX_ADDRESS_BYTES),
                5 => (3, "the detail", MAX_DETAIL_BYTES),
                _ => return Err(keys.unknown(key)),
            };
            texts[place] = read_text(reader, what, max)?;
            if texts[place].is_empty() {
                return Err(DecodeError::Invalid("a text that is empty is left out"));
            }
        }
        let (at_byte, code) = code.ok_or(DecodeError::Missing("what happened"))?;
        let what = u8::try_from(code).ok().and_then(|code| AuditKind::from_code(code, reason));
        let [device, journal, address, detail] = texts;
        Ok(AuditEntry {
            at: at.ok_or(DecodeError::Missing("when it happened"))?,
            what: what.ok_or(DecodeError::Unexpected { at: at_byte, expected: A_KIND })?,
            device,
            journal,
            address,
            detail,
        })
    })
}

const A_TIME: &str = "a time, milliseconds since 1970";
const A_KIND: &str = "what happened, 0 to 8, with a reason exactly when it is 0";

fn write_time(writer: &mut Writer, key: u64, time: Option<i64>) {
    if let Some(time) = time {
        writer.uint(key).int(time);
    }
}

fn read_id(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let expected = "an id, 2 to 14 hexadecimal digits in lower case";
    let at = reader.at();
    let text = reader.text(expected)?;
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hex && text.len() % 2 == 0 && (2..=MAX_ID_DIGITS).contains(&text.len()) {
        Ok(text.to_owned())
    } else {
        Err(DecodeError::Unexpected { at, expected })
    }
}

fn read_text(
    reader: &mut Reader<'_>,
    what: &'static str,
    max: usize,
) -> Result<String, DecodeError> {
    let text = reader.text(what)?;
    check_len(what, text.len(), max)?;
    Ok(text.to_owned())
}

fn read_rights(reader: &mut Reader<'_>) -> Result<Rights, DecodeError> {
    let expected = "rights, a sum of 1 read, 2 write, 4 admin";
    let at = reader.at();
    let bits = u8::try_from(reader.uint(expected)?).ok();
    bits.and_then(Rights::from_bits).ok_or(DecodeError::Unexpected { at, expected })
}
