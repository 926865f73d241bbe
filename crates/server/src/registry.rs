//! Who may do what: the net thread's copy of the store's [`Access`], and what goes with it in memory.
//!
//! ```text
//!   request ──► Resource::change(ask, &registry) ──► Decision::Change
//!                        ▲                                │ one at a time
//!                        │                                ▼
//!                 then(&registry, done) ◄── apply ◄── writer thread: Store::change_access
//! ```
//!
//! Asking is done here without a disk. A change is decided on the net thread, made durable by the writer thread,
//! applied here (contexts of [`ServerContexts`] come and go with it) and only then answered. Changes are carried out one
//! after the other, so that a decision still holds when it is answered: of two who join with one invite at once the
//! second is decided when the first has joined.
//!
//! Secrets are in here; nothing of this module goes into a log or an error.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use suibi_coap::{Peer, Protection, Subject};
use suibi_journal::hex::to_hex;
use suibi_journal::{DeviceInfo, InviteInfo, Rights};
use suibi_oscore::{FixedContext, KeyId, Secret, ServerContexts, invite_key};
use suibi_store::{Access, AccessChange, AccessDone, DeviceRow, InviteRow, JournalId};

use crate::caller::{Caller, LOCAL, Who, of_device, of_invite};
use crate::gate::Gate;
use crate::listen;

/// Own numbers of a fixed context that are reserved at once (RFC 8613 Appendix B.1.1).
pub(crate) const RESERVED_AT_ONCE: u64 = 4096;

/// 2025-01-01T00:00:00Z, in milliseconds since 1970.
const NUMBERS_BEGIN: i64 = 1_735_689_600_000;

/// An invite is remembered so long after it expired or was used, so that it can say so. Milliseconds.
const INVITE_KEPT: i64 = 7 * 24 * 3_600_000;

/// Who may do what.
pub(crate) struct Registry {
    journals: BTreeMap<JournalId, Arc<str>>,
    devices: BTreeMap<u32, Device>,
    invites: BTreeMap<u32, InviteRow>,
    /// The owner's own commands, on this machine.
    local: KeyId,
    contexts: ServerContexts,
    gate: Gate,
}

struct Device {
    row: DeviceRow,
    /// Shared with every [`Caller`] that it is.
    name: Arc<str>,
    /// When it was last heard of since the server started, milliseconds since 1970.
    seen: Option<i64>,
}

impl Registry {
    /// The registry of what the store has. Fixed contexts must have been reserved ([`Self::first_reserved`]).
    pub(crate) fn new(
        access: Access,
        contexts: ServerContexts,
        gate: Gate,
        local: KeyId,
        secret: Secret,
    ) -> Self {
        contexts.add_paired(LOCAL, local, secret);
        let mut registry = Self {
            journals: access.journals.into_iter().map(|(id, name)| (id, name.into())).collect(),
            devices: BTreeMap::new(),
            invites: BTreeMap::new(),
            local,
            contexts,
            gate,
        };
        for row in access.devices {
            registry.add_device(row);
        }
        for row in access.invites {
            registry.add_invite(row);
        }
        registry
    }

    /// What stands between a stream to devices and the wire.
    pub(crate) fn protection(&self) -> Box<dyn Protection> {
        self.gate.before(self.contexts.protection())
    }

    /// The journals and their names.
    pub(crate) fn journals(&self) -> impl Iterator<Item = (JournalId, &str)> {
        self.journals.iter().map(|(id, name)| (*id, &**name))
    }

    /// The journal of this name.
    pub(crate) fn journal_named(&self, name: &str) -> Option<JournalId> {
        self.journals().find(|(_, known)| *known == name).map(|(id, _)| id)
    }

    /// The name of a journal.
    pub(crate) fn journal_name(&self, id: JournalId) -> &str {
        self.journals.get(&id).map_or("", |name| name)
    }

    /// The same, for a [`Caller`].
    pub(crate) fn shared_name(&self, id: JournalId) -> Arc<str> {
        self.journals.get(&id).map_or_else(Arc::default, Arc::clone)
    }

    /// The devices in the order in which they came, revoked ones among them.
    pub(crate) fn devices(&self) -> impl Iterator<Item = &DeviceRow> {
        self.devices.values().map(|device| &device.row)
    }

    /// The device of this number.
    pub(crate) fn device(&self, number: u32) -> Option<&DeviceRow> {
        self.devices.get(&number).map(|device| &device.row)
    }

    /// The device of this key id, in hexadecimal digits as [`DeviceInfo::id`] has it.
    pub(crate) fn device_by_id(&self, id: &str) -> Option<&DeviceRow> {
        self.devices().find(|row| to_hex(&row.key_id) == id)
    }

    /// What others may know of a device.
    pub(crate) fn device_info(&self, row: &DeviceRow) -> DeviceInfo {
        DeviceInfo {
            id: to_hex(&row.key_id),
            name: row.name.clone(),
            journal: self.journal_name(row.journal).to_owned(),
            rights: row.rights,
            joined: row.joined,
            seen: self.devices.get(&row.number).and_then(|device| device.seen),
            revoked: row.revoked,
            foreign: row.salt.is_some(),
        }
    }

    /// The invites in the order in which they were made, used and expired ones among them.
    pub(crate) fn invites(&self) -> impl Iterator<Item = &InviteRow> {
        self.invites.values()
    }

    /// The invite of this number.
    pub(crate) fn invite(&self, number: u32) -> Option<&InviteRow> {
        self.invites.get(&number)
    }

    /// The invite of this key id, in hexadecimal digits as [`InviteInfo::id`] has it.
    pub(crate) fn invite_by_id(&self, id: &str) -> Option<&InviteRow> {
        self.invites().find(|row| to_hex(&row.key_id) == id)
    }

    /// What others may know of an invite.
    pub(crate) fn invite_info(&self, row: &InviteRow) -> InviteInfo {
        InviteInfo {
            id: to_hex(&row.key_id),
            journal: self.journal_name(row.journal).to_owned(),
            rights: row.rights,
            name: row.name.clone(),
            made: row.made,
            expires: row.expires,
            used: row.joiner.as_ref().map(|joiner| joiner.at),
        }
    }

    /// What a new client of this device should remember of the server: the current R2.
    pub(crate) fn epoch(&self, device: u32) -> Option<[u8; 8]> {
        self.contexts.epoch(of_device(device))
    }

    /// The same for the owner's own commands.
    pub(crate) fn local_epoch(&self) -> [u8; 8] {
        self.contexts.epoch(LOCAL).expect("it was added at the start, and is never removed")
    }

    /// Whether this is the key id of the owner's own commands, in hexadecimal digits.
    pub(crate) fn is_local_id(&self, id: &str) -> bool {
        to_hex(self.local.as_slice()) == id
    }

    /// Four random bytes that name nobody yet.
    ///
    /// # Errors
    ///
    /// When the system has no random bytes.
    pub(crate) fn free_key_id(&self) -> io::Result<KeyId> {
        let mut taken: BTreeSet<&[u8]> = self.devices().map(|row| &*row.key_id).collect();
        taken.extend(self.invites().map(|row| &*row.key_id));
        taken.insert(self.local.as_slice());
        loop {
            let id = random_key_id()?;
            if !taken.contains(id.as_slice()) {
                return Ok(id);
            }
        }
    }

    /// What [`DeviceRow::reserved`] has to be before a fixed context is used in this process.
    ///
    /// Appendix B.1.1 of RFC 8613 goes on at the end of the stored reservation. A restored backup has an old one, so
    /// the numbers begin at the time as well: one for each millisecond since 2025, which lasts until 2059. They are used
    /// no faster than that but for a second's worth at once ([`FixedContext::next`]), so a backup repeats nothing, unless
    /// it is started within a second of such a burst, the clock was set back, or both run at once.
    pub(crate) fn first_reserved(now_millis: i64, reserved: u64) -> u64 {
        let millis = now_millis.saturating_sub(NUMBERS_BEGIN).max(0).unsigned_abs();
        reserved.max(millis) + RESERVED_AT_ONCE
    }

    /// Something is durable, and counts from now on.
    pub(crate) fn apply(&mut self, change: AccessChange, done: &AccessDone) {
        match change {
            AccessChange::AddJournal { name } => {
                if let Some(id) = done.journal {
                    self.journals.insert(id, name.into());
                }
            }
            AccessChange::AddInvite(row) => {
                if let Some(number) = done.invite {
                    self.add_invite(InviteRow { number, ..row });
                }
            }
            AccessChange::DropInvite(number) => {
                self.invites.remove(&number);
                self.contexts.remove(of_invite(number));
            }
            AccessChange::Join { invite, device, .. } => {
                let is_known = done.device.is_none_or(|number| self.devices.contains_key(&number));
                if let (Some(number), false) = (done.device, is_known) {
                    self.add_device(DeviceRow { number, ..device });
                }
                if let Some(row) = self.invites.get_mut(&invite) {
                    row.joiner.clone_from(&done.joiner);
                }
            }
            AccessChange::AddDevice(row) => {
                if let Some(number) = done.device {
                    self.add_device(DeviceRow { number, ..row });
                }
            }
            AccessChange::Rename { device, name } => {
                if let Some(device) = self.devices.get_mut(&device) {
                    device.name = name.as_str().into();
                    device.row.name = name;
                }
            }
            AccessChange::Revoke { device, at } => {
                self.gate.revoke(of_device(device));
                if let Some(device) = self.devices.get_mut(&device) {
                    device.row.revoked.get_or_insert(at);
                }
            }
            AccessChange::Reserve { device, up_to } => {
                if let Some(device) = self.devices.get_mut(&device) {
                    device.row.reserved = device.row.reserved.max(up_to);
                }
                self.contexts.reserved(of_device(device), up_to);
            }
            AccessChange::AuditOnly => {}
        }
    }

    /// An invite that nobody needs to know of any more.
    pub(crate) fn forgettable(&self, now_millis: i64) -> Option<AccessChange> {
        let is_over = |row: &&InviteRow| {
            let end = row.joiner.as_ref().map_or(row.expires, |joiner| joiner.at);
            end.saturating_add(INVITE_KEPT) < now_millis
        };
        self.invites().find(is_over).map(|row| AccessChange::DropInvite(row.number))
    }

    /// A reservation could not be stored; it is asked for again.
    pub(crate) fn handle_unreserved(&self, device: u32) {
        if let Some(row) = self.device(device) {
            self.contexts.reserved(of_device(device), row.reserved);
        }
    }

    /// Who was turned away since this was asked last.
    pub(crate) fn take_refused(&self) -> Vec<(Subject, Peer)> {
        self.gate.take_refused()
    }

    /// Own numbers of a fixed context that have to be reserved on disk soon.
    pub(crate) fn poll_reservation(&self) -> Option<AccessChange> {
        let (subject, up_to) = self.contexts.poll_reservation()?;
        let (&device, _) =
            self.devices.iter().find(|(number, _)| of_device(**number) == subject)?;
        Some(AccessChange::Reserve { device, up_to })
    }

    /// What the audit trail calls it, and the name of its journal.
    pub(crate) fn names(&self, subject: Subject) -> (String, String) {
        let number = subject.0 as u32;
        let (name, journal) = match (self.devices.get(&number), self.invites.get(&number)) {
            (Some(device), _) if subject == of_device(number) => {
                (device.row.name.clone(), device.row.journal)
            }
            (_, Some(invite)) if subject == of_invite(number) => {
                (invite.name.clone().unwrap_or_default(), invite.journal)
            }
            _ => return (String::new(), String::new()),
        };
        (name, self.journal_name(journal).to_owned())
    }

    /// Who this is. `None`: nobody any more, or one who was revoked. `millis`: the time now, since 1970.
    pub(crate) fn caller(
        &mut self,
        millis: i64,
        subject: Subject,
        address: SocketAddr,
    ) -> Option<Caller> {
        if subject == LOCAL {
            let (who, rights) = (Who::Local, Rights::ALL);
            let journal = JournalId::FIRST;
            let journal_name = self.shared_name(journal);
            return Some(Caller { address, who, journal, journal_name, is_of_all: true, rights });
        }
        let number = subject.0 as u32;
        if subject == of_device(number) {
            let device = self.devices.get_mut(&number)?;
            if device.row.revoked.is_some() {
                return None;
            }
            device.seen = Some(millis);
            let who = Who::Device { number, name: Arc::clone(&device.name) };
            let DeviceRow { journal, rights, .. } = device.row;
            let journal_name =
                if rights.admin { self.shared_name(journal) } else { Arc::default() };
            return Some(Caller { address, who, journal, journal_name, is_of_all: false, rights });
        }
        let row = self.invites.get(&number).filter(|_| subject == of_invite(number))?;
        let (who, rights) = (Who::Invite(number), Rights::default());
        let (journal, journal_name) = (row.journal, Arc::default());
        Some(Caller { address, who, journal, journal_name, is_of_all: false, rights })
    }

    fn add_device(&mut self, row: DeviceRow) {
        let subject = of_device(row.number);
        let Some(id) = KeyId::from_slice(&row.key_id) else { return };
        let Some(secret) = Secret::from_bytes(&row.secret) else { return };
        match &row.salt {
            None => self.contexts.add_paired(subject, id, secret),
            Some(salt) => {
                let (salt, reserved) = (salt.clone(), row.reserved);
                let next = reserved.saturating_sub(RESERVED_AT_ONCE);
                self.contexts.add_fixed(subject, FixedContext { id, secret, salt, next, reserved });
            }
        }
        // Its contexts stay, so that it is told.
        if row.revoked.is_some() {
            self.gate.revoke(subject);
        }
        let name = row.name.as_str().into();
        self.devices.insert(row.number, Device { row, name, seen: None });
    }

    fn add_invite(&mut self, row: InviteRow) {
        let Some(id) = KeyId::from_slice(&row.key_id) else { return };
        let Some(secret) = Secret::from_bytes(&row.secret) else { return };
        let key = invite_key(&secret);
        self.contexts.add_paired(of_invite(row.number), id, key);
        self.invites.insert(row.number, row);
    }
}

/// Four random bytes.
fn random_key_id() -> io::Result<KeyId> {
    Ok(KeyId::from_slice(&listen::random::<4>()?).expect("four bytes fit a key id"))
}

#[cfg(test)]
mod tests {
    use suibi_store::Joiner;

    use super::*;

    fn registry() -> Registry {
        let access = Access {
            journals: vec![(JournalId::FIRST, "notes".to_owned())],
            devices: vec![device(1, "phone")],
            invites: vec![invite(1)],
        };
        let secret = Secret::from_bytes(&[9; 32]).unwrap();
        let contexts = ServerContexts::new([1; 32]);
        Registry::new(access, contexts, Gate::default(), random_key_id().unwrap(), secret)
    }

    fn device(number: u32, name: &str) -> DeviceRow {
        DeviceRow {
            number,
            key_id: number.to_be_bytes().to_vec(),
            name: name.to_owned(),
            journal: JournalId::FIRST,
            rights: Rights::READ_WRITE,
            secret: vec![7; 32].into(),
            salt: None,
            reserved: 0,
            joined: 0,
            revoked: None,
        }
    }

    fn invite(number: u32) -> InviteRow {
        InviteRow {
            number,
            key_id: vec![0xff, number as u8],
            secret: vec![8; 16].into(),
            journal: JournalId::FIRST,
            rights: Rights::DROP,
            name: None,
            made: 0,
            expires: 1000,
            joiner: None,
        }
    }

    fn who(registry: &mut Registry, subject: Subject) -> Option<Who> {
        let address = SocketAddr::from(([192, 0, 2, 1], 5));
        registry.caller(0, subject, address).map(|caller| caller.who)
    }

    #[test]
    fn who_joins_is_somebody_and_who_is_revoked_nobody() {
        let mut registry = registry();
        assert_eq!(who(&mut registry, of_device(2)), None);
        assert_eq!(who(&mut registry, of_invite(1)), Some(Who::Invite(1)));
        let joiner = Joiner { public: vec![1], own_public: vec![2], device: 2, at: 5 };
        let change = AccessChange::Join {
            invite: 1,
            joiner_public: vec![1],
            own_public: vec![2],
            device: DeviceRow { key_id: vec![4], ..device(0, "laptop") },
        };
        let done = AccessDone { device: Some(2), joiner: Some(joiner), ..AccessDone::default() };
        registry.apply(change, &done);
        let laptop = Who::Device { number: 2, name: "laptop".into() };
        assert_eq!(who(&mut registry, of_device(2)), Some(laptop));
        assert!(registry.epoch(2).is_some());
        assert_eq!(registry.invite_info(registry.invite(1).unwrap()).used, Some(5));

        registry.apply(AccessChange::Revoke { device: 1, at: 6 }, &AccessDone::default());
        assert_eq!(who(&mut registry, of_device(1)), None);
        assert_eq!(registry.names(of_device(1)), ("phone".to_owned(), "notes".to_owned()));
        assert!(registry.epoch(1).is_some(), "its keys stay, so that it can be told");
    }

    #[test]
    fn a_rename_counts_from_the_next_request() {
        let mut registry = registry();
        let change = AccessChange::Rename { device: 1, name: "pocket".to_owned() };
        registry.apply(change, &AccessDone::default());
        let pocket = Who::Device { number: 1, name: "pocket".into() };
        assert_eq!(who(&mut registry, of_device(1)), Some(pocket));
        assert_eq!(registry.device(1).unwrap().name, "pocket");
    }

    #[test]
    fn an_invite_is_forgotten_a_week_after_its_end() {
        let mut registry = registry();
        assert_eq!(registry.forgettable(1000 + INVITE_KEPT), None);
        let change = registry.forgettable(1001 + INVITE_KEPT).unwrap();
        assert_eq!(change, AccessChange::DropInvite(1));
        registry.apply(change, &AccessDone::default());
        assert_eq!(who(&mut registry, of_invite(1)), None);
        assert_eq!(registry.forgettable(i64::MAX), None);
    }

    #[test]
    fn own_numbers_begin_after_the_last_reservation_and_at_the_time() {
        let day = NUMBERS_BEGIN + 24 * 3_600_000;
        let at_time = 24 * 3_600_000;
        assert_eq!(Registry::first_reserved(day, 0), at_time + RESERVED_AT_ONCE);
        assert_eq!(Registry::first_reserved(day + 1, 0), at_time + 1 + RESERVED_AT_ONCE);
        let later = at_time + 5_000_000;
        assert_eq!(Registry::first_reserved(day, later), later + RESERVED_AT_ONCE);
        // A clock before 2025 is no help and no harm.
        assert_eq!(Registry::first_reserved(0, 17), 17 + RESERVED_AT_ONCE);
        assert!(Registry::first_reserved(i64::MAX, 0) > 0);
    }
}
