//! Who asks, and what they may do.

use std::net::SocketAddr;
use std::sync::Arc;

use suibi_coap::{Code, Subject};
use suibi_journal::Rights;
use suibi_store::JournalId;

use crate::problem::Problem;

/// Who asks, as far as the door can tell, and what they may do.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Where the request came from.
    pub(crate) address: SocketAddr,
    pub(crate) who: Who,
    /// The journal that they speak of.
    pub(crate) journal: JournalId,
    /// Its name; empty for those who administer nothing.
    pub(crate) journal_name: Arc<str>,
    /// Whether lists tell of all journals: the owner, who has named none.
    pub(crate) is_of_all: bool,
    pub(crate) rights: Rights,
}

/// Who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody knows: an unprotected door.
    Anyone,
    /// The owner's own commands on this machine.
    Local,
    /// A device that has joined.
    Device {
        /// Its number in the [`Registry`](crate::registry::Registry).
        number: u32,
        name: Arc<str>,
    },
    /// Somebody who has an invite, by its number, and wants to join.
    Invite(u32),
}

/// What a request needs a right for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: any device may ask.
    Nothing,
    /// To read notes.
    Read,
    /// To change notes.
    Write,
    /// To add notes: what a drop may do as well.
    Add,
    /// To say who may do what.
    Admin,
    /// An invite, which is good for nothing else.
    Join,
}

impl Caller {
    /// Whoever comes to an unprotected door: they read and write the first journal.
    pub(crate) fn anyone(address: SocketAddr) -> Self {
        let rights = Rights { read: true, write: true, admin: false };
        Self {
            address,
            who: Who::Anyone,
            journal: JournalId::FIRST,
            journal_name: Arc::default(),
            is_of_all: false,
            rights,
        }
    }

    /// What is kept with a note that comes in here: the device's name, else the address.
    pub(crate) fn source(&self) -> String {
        match &self.who {
            Who::Device { name, .. } => name.as_ref().to_owned(),
            _ => self.address.to_string(),
        }
    }

    /// The name that the credential gives; the others may choose one.
    pub(crate) fn device(&self) -> Option<&str> {
        match &self.who {
            Who::Device { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The owner's own commands on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.who == Who::Local
    }

    /// Whether this journal is theirs to administer.
    pub(crate) fn manages(&self, journal: JournalId) -> bool {
        self.is_of_all || self.journal == journal
    }

    /// Whether it may add notes and see none.
    pub(crate) fn is_drop(&self) -> bool {
        self.rights.is_drop()
    }

    /// Whether the rights are enough, or in 4.03 why not.
    pub(crate) fn may(&self, need: Need) -> Result<(), Problem> {
        let Rights { read, write, admin } = self.rights;
        let is_invite = matches!(self.who, Who::Invite(_));
        let allowed = match need {
            Need::Join => is_invite,
            _ if is_invite => false,
            Need::Nothing => true,
            Need::Read => read,
            Need::Write => read && write,
            Need::Add => write,
            Need::Admin => admin,
        };
        if allowed {
            return Ok(());
        }
        let text = match (need, &self.who) {
            (_, Who::Invite(_)) => "an invite can only be used to join: suibi join LINE",
            (Need::Join, Who::Anyone) => {
                "joining needs an invite and an encrypted listener: suibi serve --listen ADDR"
            }
            (Need::Join, _) => "this device has joined already; joining needs an invite of its own",
            (Need::Admin, Who::Anyone) => {
                "this needs the right \"admin\", which nobody has over an unprotected listener"
            }
            (Need::Admin, _) => "this device has no right \"admin\"; ask the owner of the server",
            (Need::Read | Need::Write, _) if self.is_drop() => {
                "this device can only add notes; ask the owner of the server for more"
            }
            (Need::Read, _) => "this device has no right to read; ask the owner of the server",
            _ => "this device has no right to write; ask the owner of the server",
        };
        Err(Problem::new(Code::FORBIDDEN, text))
    }

    /// Whom limits are counted for.
    pub(crate) fn subject(&self) -> Option<Subject> {
        match self.who {
            Who::Anyone => None,
            Who::Local => Some(LOCAL),
            Who::Device { number, .. } => Some(of_device(number)),
            Who::Invite(number) => Some(of_invite(number)),
        }
    }
}

/// The owner's own commands.
pub(crate) const LOCAL: Subject = Subject(0);

/// A device as the Protection names it.
pub(crate) fn of_device(number: u32) -> Subject {
    Subject(1 << 32 | u64::from(number))
}

/// An invite as the Protection names it.
pub(crate) fn of_invite(number: u32) -> Subject {
    Subject(2 << 32 | u64::from(number))
}
