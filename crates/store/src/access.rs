//! Who may use the journals of a store: devices, invites, and how they change.

use std::fmt;
use std::ops::Deref;

use suibi_journal::Rights;
use suibi_journal::admission::NameError;
use zeroize::Zeroizing;

use crate::JournalId;

/// How many entries the audit trail keeps; older ones are forgotten.
pub const MAX_AUDIT: usize = 10_000;

/// Bytes of a key. They are wiped when dropped, and `Debug` shows only how many there are.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyBytes(Zeroizing<Vec<u8>>);

impl From<Vec<u8>> for KeyBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for KeyBytes {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl Deref for KeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyBytes({} bytes)", self.0.len())
    }
}

/// A device as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Given by the store, from 1, and never given again. Of a row that is to be added: not looked at.
    pub number: u32,
    /// By which its messages are known, 1 to 7 bytes; unique among devices and invites.
    pub key_id: Vec<u8>,
    /// Its name ([`check_name`](suibi_journal::admission::check_name)); unique among the devices of its
    /// journal that are not revoked.
    pub name: String,
    /// The one journal that it may use.
    pub journal: JournalId,
    /// What it may do there; something at least.
    pub rights: Rights,
    /// The secret that it shares with this server.
    pub secret: KeyBytes,
    /// `Some`: a fixed context of a foreign client, with this Master Salt (RFC 8613 §3.2).
    pub salt: Option<Vec<u8>>,
    /// Of a fixed context: own numbers up to this one, exclusive, may have been used (Appendix B.1).
    pub reserved: u64,
    /// When it was added, milliseconds since 1970.
    pub joined: i64,
    /// When it was cut off, milliseconds since 1970. Of a row that is to be added: not looked at.
    pub revoked: Option<i64>,
}

/// An invite as the store keeps it. Whether it is too old is for the caller to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRow {
    /// Given by the store, from 1, and never given again. Of a row that is to be added: not looked at.
    pub number: u32,
    /// By which messages under it are known, 1 to 7 bytes; unique among devices and invites.
    pub key_id: Vec<u8>,
    /// The secret in its line.
    pub secret: KeyBytes,
    /// The journal that it opens.
    pub journal: JournalId,
    /// What the device will be allowed to do; something at least.
    pub rights: Rights,
    /// The name that the device is to have, under the same rules as a device's.
    pub name: Option<String>,
    /// When it was made, milliseconds since 1970.
    pub made: i64,
    /// When it ends, milliseconds since 1970.
    pub expires: i64,
    /// Who has used it. Of a row that is to be added: not looked at.
    pub joiner: Option<Joiner>,
}

/// Who used an invite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joiner {
    /// The joiner's public key, by which it is known when it asks again.
    pub public: Vec<u8>,
    /// The server's public key in that exchange, part of the answer.
    pub own_public: Vec<u8>,
    /// [`DeviceRow::number`] of the device that it became.
    pub device: u32,
    /// When, milliseconds since 1970.
    pub at: i64,
}

/// Everything about who may use a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// The journals and their names, by id. Of a new store: one, `notes`.
    pub journals: Vec<(JournalId, String)>,
    /// The devices by number, revoked ones too.
    pub devices: Vec<DeviceRow>,
    /// The invites by number, used ones too.
    pub invites: Vec<InviteRow>,
}

/// A change to who may use a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessChange {
    /// Nothing but an entry in the audit trail.
    AuditOnly,
    /// A new journal.
    AddJournal {
        /// Its name ([`check_name`](suibi_journal::admission::check_name)); unique.
        name: String,
    },
    /// A new invite.
    AddInvite(InviteRow),
    /// An invite is taken out of the list, used or not; [`InviteRow::number`].
    DropInvite(u32),
    /// A device joins: it is added and the invite is used up, both or neither.
    ///
    /// The same joiner may ask again, and gets what it got the first time; another is refused.
    Join {
        /// [`InviteRow::number`].
        invite: u32,
        /// The joiner's public key.
        joiner_public: Vec<u8>,
        /// The server's public key in the exchange.
        own_public: Vec<u8>,
        /// The device. It gets the journal and the rights of the invite, whatever it says;
        /// [`DeviceRow::joined`] is also when the invite was used.
        device: DeviceRow,
    },
    /// A device without an invite.
    AddDevice(DeviceRow),
    /// Another name. The chains that carry the old one in the device's journal follow, so that
    /// what it wrote is found under the new one.
    Rename {
        /// [`DeviceRow::number`]; a revoked device keeps its name.
        device: u32,
        /// The new name.
        name: String,
    },
    /// A device is cut off. One that was cut off before keeps the first time.
    Revoke {
        /// [`DeviceRow::number`].
        device: u32,
        /// When, milliseconds since 1970.
        at: i64,
    },
    /// Own numbers of a fixed context are about to be used (RFC 8613 Appendix B.1). It never goes back.
    Reserve {
        /// [`DeviceRow::number`].
        device: u32,
        /// Up to here, exclusive.
        up_to: u64,
    },
}

/// What a change to the access has made. All of it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessDone {
    /// The journal that was added.
    pub journal: Option<JournalId>,
    /// The number of the device that was added, or that this joiner became before.
    pub device: Option<u32>,
    /// The number of the invite that was added.
    pub invite: Option<u32>,
    /// How the invite is used: of this [`AccessChange::Join`], or of the first one of the same joiner.
    pub joiner: Option<Joiner>,
}

/// Why a change to the access is not made; nothing of it is kept, its audit entry neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessRefused {
    /// Somebody else joined with this invite.
    #[error("this invite was used already; ask for a new one")]
    Used {
        /// When, milliseconds since 1970.
        at: i64,
    },
    /// A device that is not revoked has this name in this journal.
    #[error(
        "there is a device named {0} already; choose another name, or rename or revoke that one"
    )]
    DeviceName(String),
    /// A journal has this name.
    #[error("there is a journal named {0} already")]
    JournalName(String),
    /// No name for a device or journal.
    #[error("{0}")]
    BadName(#[from] NameError),
    /// A device or an invite has this key id; another one is to be drawn.
    #[error("the key id is taken")]
    KeyId,
    /// A key id of no or more than 7 bytes, or a secret of none or more than 64.
    #[error("a key id has 1 to 7 bytes, a secret 1 to 64")]
    BadKey,
    /// No rights at all.
    #[error("a device needs at least one right: read, write or admin")]
    NoRights,
    /// There is no such journal.
    #[error("there is no such journal")]
    NoJournal,
    /// There is no such device.
    #[error("there is no such device")]
    NoDevice,
    /// There is no such invite.
    #[error("there is no such invite")]
    NoInvite,
    /// The device was cut off.
    #[error("this device was revoked")]
    Revoked {
        /// When, milliseconds since 1970.
        at: i64,
    },
}
